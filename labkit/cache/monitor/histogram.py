"""Times in buckets, so that those of several processes can be put together.

The percentiles of two processes cannot be: the mean of two 95th percentiles is that of nothing. The
counts of equal buckets add up, and the percentile of the sum is the true one, as exact as a bucket
is narrow: each is a tenth wider than the one before, so a percentile is off by 5 % at most.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GROWTH = 1.1
_LOG = math.log(GROWTH)
_LEAST = 1e-7  # seconds; what is shorter counts as that
_NONE = 1e-6  # what rounding may have left of no times at all

Histogram = dict[int, float]
"""How many times fell into each bucket; bucket n holds those from GROWTH**n to GROWTH**(n+1)."""


def bucket_of(seconds: float) -> int:
    """The bucket of a time."""
    return math.floor(math.log(max(seconds, _LEAST)) / _LOG)


def count(histogram: Histogram, times: Iterable[float], weight: float = 1.0) -> None:
    """Count times, each as so many."""
    for seconds in times:
        bucket = bucket_of(seconds)
        histogram[bucket] = histogram.get(bucket, 0.0) + weight


def quantile(histogram: Mapping[int, float], share: float) -> float | None:
    """The time below which that share of all lies; None where there is none.

    It is the middle, as ratios go, of the bucket in which it lies.
    """
    total = math.fsum(histogram.values())
    if total < _NONE:
        return None
    passed = 0.0
    last = max(bucket for bucket, number in histogram.items() if number > 0)
    for bucket in sorted(histogram):
        passed += histogram[bucket]
        if passed >= share * total * (1 - 1e-12):
            return float(GROWTH ** (bucket + 0.5))
    return float(GROWTH ** (last + 0.5))


def quantiles(histogram: Mapping[int, float]) -> tuple[float, float, float] | None:
    """The 50th, 95th and 99th percentile; None where there is no time."""
    found = [quantile(histogram, share) for share in (0.5, 0.95, 0.99)]
    if None in found:
        return None
    p50, p95, p99 = found
    return p50, p95, p99  # type: ignore[return-value]
