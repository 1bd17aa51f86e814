"""The reports of all processes, put together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.redis_reports import RedisReports
from labkit.cache.curves import Curve
from labkit.cache.monitor.histogram import quantiles
from labkit.cache.monitor.reports import Function, HotReport, TierReport, read, summed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labkit.cache.monitor.reports import CacheReport, CurveReport, Report


@dataclass(frozen=True)
class Merged:
    """One cache, as all processes together use it.

    Counts add up. Percentiles are those of all loads (see `histogram`), never a mean of
    percentiles.

    Attributes:
        name: The cache.
        processes: How many processes have it.
        functions: The counts by function.
        tiers: The tiers, nearest first: of the memory the entries, bytes and bounds of all
            processes together; a store is one and the same for all.
        away: By tier, for how many processes it is away.
        hot: The keys that were asked for most. The count less the error is what there was at least;
            a process that did not count a key among its own hottest ones adds nothing.
        curve: The share of reads that miss by the size of a memory, the same in every process;
            None where no process samples it.
        size: That size now; None where there is no bound, or processes differ.
        listening: How many processes hear what others change.
        invalidations: How many invalidations there were.
        reloads: How many loads were of what one had dropped.
    """

    name: str
    processes: int
    functions: dict[str, Function]
    tiers: list[TierReport]
    away: dict[str, int]
    hot: list[HotReport]
    curve: Curve | None
    size: int | None
    listening: int
    invalidations: int
    reloads: int

    @property
    def total(self) -> Function:
        """All functions together."""
        return summed(self.functions.values())


@dataclass(frozen=True)
class Gathered:
    """What all processes report.

    Attributes:
        name: The name that they report under.
        processes: Their reports, those first that have reported for longest.
        unread: How many reports could not be read, since they are of another version of labkit.
    """

    name: str
    processes: list[Report]
    unread: int = 0

    @cached_property
    def caches(self) -> dict[str, Merged]:
        """The caches by name."""
        found: dict[str, list[CacheReport]] = {}
        for process in self.processes:
            for name, cache in process.caches.items():
                found.setdefault(name, []).append(cache)
        return {name: merged(name, reports) for name, reports in found.items()}

    @cached_property
    def total(self) -> Function:
        """All caches of all processes together."""
        return summed(process.total for process in self.processes)

    @property
    def load_seconds(self) -> tuple[float, float, float] | None:
        """The 50th, 95th and 99th percentile of all loads since the processes began."""
        return quantiles(self.total.load_times)

    def __str__(self) -> str:
        total, count = self.total, len(self.processes)
        ratio = total.hit_ratio
        hits = "no hits" if ratio is None else f"{100 * ratio:.1f} % hits"
        return (
            f"{self.name}: {_several(count, 'process', 'es')}, {_several(total.reads, 'read')}, "
            f"{hits}, {_several(total.loads, 'load')}"
        )


def gather(client: Any, name: str) -> Any:
    """What all processes report under a name: a `Gathered`.

    Args:
        client: What `labkit.connect()` returns; with a client of `redis.asyncio` it is awaited.
        name: The name that they report under.

    Raises:
        TypeError: `client` is no client of redis-py.
        Unavailable: Redis does not answer.
        ValueError: The name has signs that names do not have.
    """
    reports = RedisReports(client, name)
    if reports.asynchronous:
        return _later(name, reports)
    return gathered(name, reports.all())


async def _later(name: str, reports: RedisReports) -> Gathered:
    return gathered(name, await reports.all())


def gathered(name: str, texts: Iterable[bytes]) -> Gathered:
    """The reports that texts are."""
    found = [read(text) for text in texts]
    known = [report for report in found if report is not None]
    known.sort(key=lambda report: (-report.uptime, report.id))
    return Gathered(name, known, len(found) - len(known))


def merged(name: str, reports: Sequence[CacheReport]) -> Merged:
    """The reports of one cache by several processes, put together."""
    functions = {
        each: summed(report.functions[each] for report in reports if each in report.functions)
        for each in dict.fromkeys(each for report in reports for each in report.functions)
    }
    tiers: dict[str, list[TierReport]] = {}
    for report in reports:
        for tier in report.tiers:
            tiers.setdefault(tier.name, []).append(tier)
    curves = [report.curve for report in reports if report.curve is not None]
    units = {curve.unit for curve in curves}
    sizes = {curve.size for curve in curves}
    return Merged(
        name=name,
        processes=len(reports),
        functions=functions,
        tiers=[_tier(each, states) for each, states in tiers.items()],
        away={each: sum(state.away for state in states) for each, states in tiers.items()},
        hot=_hottest(reports),
        curve=_curve(curves) if len(units) == 1 else None,
        size=sizes.pop() if len(sizes) == 1 else None,
        listening=sum(report.listening for report in reports),
        invalidations=sum(report.invalidations for report in reports),
        reloads=sum(report.reloads for report in reports),
    )


def _tier(name: str, states: Sequence[TierReport]) -> TierReport:
    def total(field: str) -> Any:
        known = [getattr(state, field) for state in states]
        return None if None in known else sum(known)

    fields = ("entries", "bytes", "most", "most_bytes", "evictions", "failures", "openings", "owes")
    away = any(state.away for state in states)
    return TierReport(name=name, away=away, **{field: total(field) for field in fields})


def _hottest(reports: Sequence[CacheReport]) -> list[HotReport]:
    found: dict[str, HotReport] = {}
    for report in reports:
        for hot in report.hot:
            known = found.setdefault(hot.key, HotReport(hot.key, 0, 0))
            known.count += hot.count
            known.error += hot.error
    return sorted(found.values(), key=lambda hot: (hot.error - hot.count, hot.key))[:20]


def _curve(curves: Sequence[CurveReport]) -> Curve:
    """The curve of memories of one size, one in each process: what hits there adds up."""
    hits: dict[int, float] = {}
    for curve in curves:
        for size, number in curve.hits.items():
            hits[size] = hits.get(size, 0.0) + number
    return Curve(
        hits=hits,
        cold=sum(curve.cold for curve in curves),
        requests=sum(curve.requests for curve in curves),
        samples=sum(curve.samples for curve in curves),
        rate=min(curve.rate for curve in curves),
        unit=curves[0].unit,
    )


def _several(number: int, noun: str, ending: str = "s") -> str:
    return f"{number:,} {noun}{'' if number == 1 else ending}"
