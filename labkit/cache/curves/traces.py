"""Curves of recorded requests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from labkit.cache.curves.curve import Curve
from labkit.cache.curves.sampler import Sampler
from labkit.cache.curves.stacks import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable


def exact(trace: Iterable[Hashable], *, weigh: Callable[[Any], int] | None = None) -> Curve:
    """The curve of a trace, in one pass: O(log n) a request, and memory for each different key.

    Args:
        trace: The keys in the order in which they are asked for.
        weigh: Answers the size of a key's value in bytes, which does not change; sizes are bytes
            then. What is larger than the cache is taken to sweep it empty.
    """
    stack = Tree()
    hits: Counter[int] = Counter()
    cold = requests = 0
    for key in trace:
        weight = 1 if weigh is None else weigh(key)
        above = stack.touch(key, weight)
        requests += 1
        if above is None:
            cold += 1
        else:
            hits[above + weight or 1] += 1
    unit = "entries" if weigh is None else "bytes"
    return Curve(hits, cold, requests, len(stack), unit=unit)


def sampled(
    trace: Iterable[Hashable],
    most: int = 8_192,
    *,
    rate: float = 1.0,
    weigh: Callable[[Any], int] | None = None,
) -> Curve:
    """An estimate of the curve of a trace, in bounded memory; see `Sampler`."""
    sampler = Sampler(most, rate=rate, group=None, weigh=weigh)
    for key in trace:
        sampler.count(key)
    return sampler.curve()
