"""What changed from one report to the next: rates, and how they went."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache.monitor.histogram import quantiles
from labkit.cache.monitor.reports import Function, summed

if TYPE_CHECKING:
    from labkit.cache.monitor.gathering import Gathered, Merged
    from labkit.cache.monitor.reports import Report


class Moment(msgspec.Struct, kw_only=True):
    """How much went on at a moment, a second, in all processes together.

    Attributes:
        at: The moment, seconds since 1970.
        processes: How many processes reported.
        reads: How many reads there were a second.
        hits: By tier, how many of these it answered.
        waits: How many of these were given what another reader was loading.
        loads: How many loads there were a second.
        writes: How many writes.
        errors: How many loads and writes that raised.
        load_seconds: The 50th, 95th and 99th percentile of these loads; None where there was none.
    """

    at: float
    processes: int
    reads: float = 0.0
    hits: dict[str, float] = {}
    waits: float = 0.0
    loads: float = 0.0
    writes: float = 0.0
    errors: float = 0.0
    load_seconds: tuple[float, float, float] | None = None


class Watch:
    """Remembers the last reports of each process, and what went on between them.

    Rates are those between the last two reports of a process, by its own clock: it does not matter
    when somebody looks, nor whether clocks agree. A process that came or went between two moments
    is no jump in them.

    Args:
        most: How many moments are remembered.

    Attributes:
        moments: These, the oldest first.
    """

    def __init__(self, most: int = 300) -> None:
        self.moments: deque[Moment] = deque(maxlen=most)
        self._last: dict[str, tuple[Report | None, Report]] = {}

    def add(self, found: Gathered, at: float) -> Moment:
        """Take in what all processes report at a moment."""
        last = {}
        for report in found.processes:
            before, known = self._last.get(report.id, (None, report))
            newer = report.uptime > known.uptime
            last[report.id] = (known, report) if newer else (before, known)
        self._last = last
        moment = Moment(at=at, processes=len(found.processes))
        since = []
        for before, now in last.values():
            if before is None:
                continue
            seconds = now.uptime - before.uptime
            change = now.total.plus(before.total, -1)
            since.append(change)
            moment.reads += change.reads / seconds
            moment.waits += change.waits / seconds
            moment.loads += change.loads / seconds
            moment.writes += change.writes / seconds
            moment.errors += (change.errors + change.write_failures) / seconds
            for tier, hits in change.hits.items():
                moment.hits[tier] = moment.hits.get(tier, 0.0) + hits / seconds
        moment.load_seconds = quantiles(summed(since).load_times)
        if since or not last:  # else nothing is known of it, which is not the same as nothing
            self.moments.append(moment)
        return moment


def shown(found: Gathered) -> dict[str, Any]:
    """What a page shows of all processes, as JSON may have it."""
    return {
        "unread": found.unread,
        "total": _function("", found.total),
        "caches": [_cache(cache) for cache in found.caches.values()],
        "processes": [
            {
                "id": report.id[:8],
                "host": report.host,
                "pid": report.pid,
                "uptime": report.uptime,
                "at": report.at,
                **_function("", report.total),
            }
            for report in found.processes
        ],
    }


def _cache(cache: Merged) -> dict[str, Any]:
    return {
        "name": cache.name,
        "processes": cache.processes,
        "listening": cache.listening,
        "invalidations": cache.invalidations,
        "reloads": cache.reloads,
        "functions": [
            _function(name or "(direct)", each)
            for name, each in cache.functions.items()
            if each.reads or each.writes or each.loads or name
        ],
        "tiers": [
            msgspec.to_builtins(tier) | {"away": cache.away[tier.name]} for tier in cache.tiers
        ],
        "hot": [{"key": hot.key, "least": hot.count - hot.error} for hot in cache.hot],
        "curve": _curve(cache),
    }


def _function(name: str, each: Function) -> dict[str, Any]:
    fields = ("hits", "misses", "waits", "loads", "errors", "stale", "saved", "cost", "writes")
    return {
        "name": name,
        "reads": each.reads,
        "hit_ratio": each.hit_ratio,
        "write_failures": each.write_failures,
        "load_seconds": quantiles(each.load_times),
        **{field: getattr(each, field) for field in fields},
    }


def _curve(cache: Merged) -> dict[str, Any] | None:
    curve, size = cache.curve, cache.size
    if curve is None or not curve.requests:
        return None
    return {
        "points": curve.points(),
        "unit": curve.unit,
        "size": size,
        "samples": curve.samples,
        "requests": curve.requests,
        "words": str(curve.gain(size, 2)) if size else None,
    }
