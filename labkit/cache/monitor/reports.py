"""What a process reports of its caches: numbers that only grow, so that they can be subtracted.

A report is small whatever the caches hold: some functions, some hot keys, some points of a curve.
It has names of functions, entities, tiers and hot keys in it, and never a value.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache.monitor.histogram import Histogram, count
from labkit.cache.smart import caches_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labkit.cache.base import BaseCache
    from labkit.cache.curves import Curve
    from labkit.cache.engine import Engine
    from labkit.cache.smart import Hub
    from labkit.cache.stats import Counters

VERSION = 1
"""Of the layout; a report of another one is not read."""

OTHERS = "(others)"
"""What the functions are called that there is no room for."""

_FUNCTIONS = 200
_HOTTEST = 20
_POINTS = 64


class Function(msgspec.Struct, kw_only=True):
    """What was counted of a function, an entity, or a cache's own methods; see `stats.Counts`.

    Attributes:
        saved: Seconds of loading that were not needed.
        cost: Seconds of loading.
        load_times: How long loads took.
        write_times: How long writes took.
    """

    hits: dict[str, int] = {}
    misses: int = 0
    loads: int = 0
    errors: int = 0
    waits: int = 0
    refused: int = 0
    renewals: int = 0
    stale: int = 0
    saved: float = 0.0
    cost: float = 0.0
    writes: int = 0
    write_failures: int = 0
    load_times: Histogram = {}
    write_times: Histogram = {}

    @property
    def reads(self) -> int:
        """Calls, and keys of calls with several."""
        return sum(self.hits.values()) + self.misses + self.waits

    @property
    def hit_ratio(self) -> float | None:
        """The share of the reads that a tier answered; None where there were none."""
        return sum(self.hits.values()) / self.reads if self.reads else None

    def plus(self, other: Function, sign: int = 1) -> Function:
        """Both together; with -1, what has come since the other."""
        return Function(
            **{
                name: _plus(getattr(self, name), getattr(other, name), sign)
                for name in self.__struct_fields__
            }
        )


class TierReport(msgspec.Struct, kw_only=True):
    """How a tier is, as one process sees it; see `stats.TierState`.

    Attributes:
        most: How many entries it may hold; None: no bound, or not known.
        most_bytes: How many bytes.
    """

    name: str
    entries: int | None = None
    bytes: int | None = None
    most: int | None = None
    most_bytes: int | None = None
    evictions: int | None = None
    away: bool = False
    failures: int = 0
    openings: int = 0
    owes: int = 0


class HotReport(msgspec.Struct):
    """A key that was asked for often: its count, and by how much that may be too high."""

    key: str
    count: int
    error: int


class CurveReport(msgspec.Struct, kw_only=True):
    """Some points of a miss-ratio curve, see `labkit.cache.curves`; and the size that there is."""

    hits: dict[int, float]
    cold: float
    requests: int
    samples: int
    rate: float
    unit: str
    size: int | None


class CacheReport(msgspec.Struct, kw_only=True):
    """One cache of a process."""

    functions: dict[str, Function]
    tiers: list[TierReport]
    hot: list[HotReport] = []
    curve: CurveReport | None = None
    listening: bool = False
    invalidations: int = 0
    reloads: int = 0


class Report(msgspec.Struct, kw_only=True):
    """What a process reports.

    Attributes:
        v: The version of the layout.
        id: What tells it from all others.
        host: Where it runs.
        pid: Its number there.
        uptime: For how many seconds it has reported, on a clock that only grows.
        at: When that was, seconds since 1970.
        caches: Its caches by name.
    """

    v: int = VERSION
    id: str
    host: str
    pid: int
    uptime: float
    at: float
    caches: dict[str, CacheReport]

    @property
    def total(self) -> Function:
        """All functions of all its caches together."""
        return summed(each for cache in self.caches.values() for each in cache.functions.values())


class _Versioned(msgspec.Struct):
    v: int


_version = msgspec.json.Decoder(_Versioned).decode
_read = msgspec.json.Decoder(Report).decode
write = msgspec.json.Encoder().encode


def read(text: bytes) -> Report | None:
    """The report that a text is; None where it is none, or of another version."""
    try:
        return _read(text) if _version(text).v == VERSION else None
    except msgspec.MsgspecError:
        return None


def summed(functions: Iterable[Function]) -> Function:
    """All together."""
    total = Function()
    for each in functions:
        total = total.plus(each)
    return total


class Recorder:
    """Makes the reports of a process.

    Args:
        cache: A cache, or a smart one.
        now: A clock that only grows.
        anew: Whether what was counted before does not count: a forked process has its parent's.
    """

    def __init__(
        self,
        cache: BaseCache | Hub[Any],
        now: Callable[[], float] = time.monotonic,
        *,
        anew: bool = False,
    ) -> None:
        self._cache = cache
        self._now = now
        self._began = now()
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._before: dict[tuple[str, str], Function] = {}
        self.id = uuid.uuid4().hex
        if anew:
            for name, each in caches_of(cache).items():
                for function, counters in list(each._engine.counters.items()):
                    self._before[name, function] = self._of_function(name, counters)

    def report(self) -> Report:
        """The report of now."""
        return Report(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            uptime=self._now() - self._began,
            at=time.time(),
            caches={
                name: self._of_cache(name, cache._engine)
                for name, cache in caches_of(self._cache).items()
            },
        )

    def _of_cache(self, name: str, engine: Engine) -> CacheReport:
        stats = engine.stats()
        found = {
            each: self._of_function(name, counters)
            for each, counters in list(engine.counters.items())
        }
        kept = sorted(found, key=lambda each: -found[each].reads)[:_FUNCTIONS]
        functions = {each: found[each] for each in found if each in set(kept)}
        if len(found) > len(kept):
            functions[OTHERS] = summed(found[each] for each in found if each not in functions)
        tiers = [
            TierReport(
                **{field: getattr(tier, field) for field in _FIELDS_OF_TIERS},
            )
            for tier in stats.tiers
        ]
        if (memory := engine.memory) is not None:
            tiers[0].most, tiers[0].most_bytes = memory.maxsize, memory.max_bytes
        return CacheReport(
            functions=functions,
            tiers=tiers,
            hot=[HotReport(str(hot.key), hot.count, hot.error) for hot in stats.hot[:_HOTTEST]],
            curve=None if stats.curves is None else _thin(stats.curves.total, engine),
            listening=stats.listening,
            invalidations=stats.invalidations.calls,
            reloads=stats.invalidations.reloads,
        )

    def _of_function(self, cache: str, counters: Counters) -> Function:
        seen = self._seen.setdefault((cache, counters.name), _Seen())
        seen.loads = _count_new(seen.load_times, counters.load_times, counters.loads, seen.loads)
        seen.writes = _count_new(
            seen.write_times, counters.write_times, counters.writes, seen.writes
        )
        found = counters.read()
        since = Function(
            **{field: getattr(found, field) for field in _FIELDS_OF_COUNTS},
            saved=found.time_saved,
            cost=counters.load_seconds,
            load_times=dict(seen.load_times),
            write_times=dict(seen.write_times),
        )
        before = self._before.get((cache, counters.name))
        return since if before is None else since.plus(before, -1)


class _Seen:
    """How many loads and writes of a function were counted until now, and how long they took."""

    def __init__(self) -> None:
        self.loads = self.writes = 0
        self.load_times: Histogram = {}
        self.write_times: Histogram = {}


def _count_new(histogram: Histogram, times: Iterable[float], now: int, before: int) -> int:
    """Count what has come since; of more than the 1,000 that are kept, these stand for all."""
    if now > before:
        new = list(times)[-(now - before) :]
        if new:
            count(histogram, new, (now - before) / len(new))
    return now


def _thin(curve: Curve, engine: Engine) -> CurveReport:
    """Some points of a curve; between two of them it seems higher than it is, and never lower."""
    points = curve.points(_POINTS)
    hits = {
        size: (before - misses) * curve.requests
        for (_, before), (size, misses) in itertools.pairwise(points)
        if before > misses
    }
    memory = engine.memory
    size = None
    if memory is not None:
        size = memory.max_bytes if curve.unit == "bytes" else memory.maxsize
    return CurveReport(
        hits=hits,
        cold=points[-1][1] * curve.requests,
        requests=curve.requests,
        samples=curve.samples,
        rate=curve.rate,
        unit=curve.unit,
        size=size,
    )


def _plus(one: Any, other: Any, sign: int) -> Any:
    if not isinstance(one, dict):
        return one + sign * other
    names = dict.fromkeys([*one, *other])
    return {name: one.get(name, 0) + sign * other.get(name, 0) for name in names}


_FIELDS_OF_TIERS = (
    *("name", "entries", "bytes", "evictions", "away", "failures", "openings", "owes"),
)
_FIELDS_OF_COUNTS = (
    *("hits", "misses", "loads", "errors", "waits", "refused", "renewals", "stale"),
    *("writes", "write_failures"),
)
