"""What statistics and miss-ratio curves cost, and how near samples come to the whole truth.

Times are those of a read; "counts" is a hit as it always is, with the count that statistics need,
whose own part stands at the end. How far a curve is off is the mean over a hundred sizes, and of
ten sets of names of the keys the mean and the worst.
"""

from __future__ import annotations

import statistics
import time
import timeit
from typing import TYPE_CHECKING

from labkit.cache import Cache
from labkit.cache.curves import Curve, Sampler, exact, sampled
from labkit.cache.simulate import loop, scan_mix, zipf
from labkit.cache.stats import Counters
from labkit.latency import format_time, measure, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KEYS = 50_000
READS = 300_000
NAMES = 10
SIZE = 1_000


def rows() -> Iterator[str]:
    """Yield one line a figure."""
    traces = {
        "zipf 0.9": zipf(KEYS, READS, 0.9),
        "loop": loop(KEYS, READS),
        "scan_mix 0.9": scan_mix(KEYS, READS, 0.9),
    }
    for name, trace in traces.items():
        yield f"{name}, {READS:,} reads of {len(set(trace)):,} keys, a read: {_times(trace)}"
    for name, trace in traces.items():
        yield f"{name}, off by: {_errors(trace)}"
    yield f"a hit in memory, decorated: {_hits()}"


def _times(trace: Sequence[int]) -> str:
    keys = [f"a:{key}" for key in trace]
    ways = {
        "exact": exact,
        "sample of 8,192": sampled,
        "sample of 1,024": lambda keys: sampled(keys, 1_024),
        "rate 0.01": lambda keys: sampled(keys, rate=0.01),
    }
    return "; ".join(
        f"{name} {format_time(min(_timed(way, keys) for _ in range(3)) / len(keys))}"
        for name, way in ways.items()
    )


def _timed(way: Callable[[Sequence[str]], Curve], keys: Sequence[str]) -> float:
    begin = time.perf_counter()
    way(keys)
    return time.perf_counter() - begin


def _errors(trace: Sequence[int]) -> str:
    whole = exact(trace)
    sizes = [whole.sizes[-1] * share // 100 for share in range(1, 101)]
    figures = []
    for most in (1_024, 8_192):
        off = []
        for name in range(NAMES):
            sample = sampled([f"{name}:{key}" for key in trace], most)
            off.append(statistics.fmean(abs(whole.at(size) - sample.at(size)) for size in sizes))
        figures.append(f"{most:,} samples {statistics.fmean(off):.4f}, at worst {max(off):.4f}")
    return "; ".join(figures)


def _hits() -> str:
    caches = {
        "counts": Cache(ttl=600),
        "hot keys": Cache(ttl=600, hot_keys=2 * SIZE),
        "curves, none sampled": Cache(ttl=600, curves=Sampler(rate=1e-9)),
        "curves, 1 % sampled": Cache(ttl=600, curves=Sampler(rate=0.01)),
        "curves, 10 % sampled": Cache(ttl=600, curves=Sampler(rate=0.1)),
        "curves, all sampled": Cache(ttl=600, curves=Sampler()),
    }
    found = measure(
        {name: _each(cache.cached(key="text:{number}")(_text)) for name, cache in caches.items()},
        rounds=100,
        warmup=3,
    )
    first = next(iter(caches))
    figures = []
    for name, samples in found.samples.items():
        ratio = f" {found.ratio(name, first):.2f} x" if name != first else ""
        figures.append(f"{name}{ratio} ({format_time(percentile(samples, 50) / SIZE)})")
    return f"{'; '.join(figures)}; the count of a hit alone {format_time(_count())}"


def _count() -> float:
    """What counting one hit takes, in seconds: the statement that a decorated function has."""
    scope = {"counters": Counters("", [])}
    counted, empty = (
        min(timeit.repeat(statement, globals=scope, number=100_000, repeat=50))
        for statement in ("counters.memory_hits += 1.0", "pass")
    )
    return (counted - empty) / 100_000


def _each(function: Callable[[int], str]) -> Callable[[], None]:
    def run() -> None:
        for number in range(SIZE):
            function(number)

    return run


def _text(number: int) -> str:
    return f"article {number}"
