"""What a cache counts.

A hit in memory adds one to one number. Everything that happens behind it is slow enough to be
timed.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import TYPE_CHECKING, Any

from labkit.cache.invalidated import InvalidationCounts
from labkit.cache.origins import note, note_age

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from labkit.cache.curves import Curves
    from labkit.cache.hot import Hot

_SAMPLES = 1000


class Counters:
    """The running counts of one function, or of the calls of the cache's own methods."""

    __slots__ = (
        "errors",
        "load_seconds",
        "load_times",
        "loads",
        "memory_hits",
        "misses",
        "name",
        "refused",
        "renewals",
        "stale",
        "stale_times",
        "store_hits",
        "store_times",
        "waits",
        "write_failures",
        "write_seconds",
        "write_times",
        "writes",
    )

    def __init__(self, name: str, stores: Sequence[str]) -> None:
        self.name = name
        self.memory_hits = 0.0  # a float is counted up in half the time of an int
        self.store_hits = dict.fromkeys(stores, 0)
        self.misses = 0
        self.loads = 0
        self.errors = 0
        self.waits = 0
        self.refused = 0
        self.renewals = 0
        self.stale = 0
        self.stale_times: deque[float] = deque(maxlen=_SAMPLES)
        self.load_seconds = 0.0
        self.load_times: deque[float] = deque(maxlen=_SAMPLES)
        self.writes = 0
        self.write_failures = 0
        self.write_seconds = 0.0
        self.write_times: deque[float] = deque(maxlen=_SAMPLES)
        self.store_times: dict[str, deque[float]] = {n: deque(maxlen=_SAMPLES) for n in stores}

    def count_hit(self, key: str, tier: str) -> None:
        """Count a value that a tier had."""
        note(key, tier)
        if tier == "memory":
            self.memory_hits += 1.0
        else:
            self.store_hits[tier] += 1

    def count_wait(self, key: str) -> None:
        """Count a value that somebody else has loaded meanwhile."""
        note(key, "waited")
        self.waits += 1

    def count_found(self, key: str, tier: str, waited: bool) -> None:
        """Count a value that was there by the time of the claim."""
        if waited:
            self.count_wait(key)
        else:
            self.count_hit(key, tier)

    def count_stale(self, key: str, seconds: float) -> None:
        """Count a value that was given out so long after its time."""
        note_age(key, seconds)
        self.stale += 1
        self.stale_times.append(seconds)

    def loaded(self, seconds: float, *, failed: bool) -> None:
        """Count a load."""
        self.loads += 1
        self.errors += failed
        self.load_seconds += seconds
        self.load_times.append(seconds)

    def wrote(self, seconds: float, *, failed: bool) -> None:
        """Count a write."""
        self.writes += 1
        self.write_failures += failed
        self.write_seconds += seconds
        self.write_times.append(seconds)

    def read(self) -> Counts:
        """The counts of now."""
        hits = {"memory": int(self.memory_hits), **self.store_hits}
        load = self.load_seconds / self.loads if self.loads else 0.0
        return Counts(
            self.name,
            hits,
            self.misses,
            self.loads,
            self.errors,
            self.waits,
            self.refused,
            self.renewals,
            self.stale,
            percentiles(self.stale_times),
            load * (sum(hits.values()) + self.waits),
            percentiles(self.load_times),
            {name: percentiles(times) for name, times in self.store_times.items()},
            self.writes,
            self.write_failures,
            percentiles(self.write_times),
            self.load_seconds,
        )


@dataclasses.dataclass(frozen=True)
class Counts:
    """What was counted until now, for one function or for all.

    Each call, and each key of a call with several, is one hit, one miss or one wait. A refresh is a
    load and none of them.

    Attributes:
        name: The function, "" for `cache.get` and its like, "total" for all together.
        hits: How many values came from each tier.
        misses: How many calls found their value in no tier, and nobody else who was loading it.
        loads: How often a loader ran.
        errors: How often it raised.
        waits: How many calls got their value from a load that another caller had begun.
        refused: How many loaded values were not kept, because something invalidated them meanwhile.
        renewals: How many of the loads ran in the background, while callers had an older value.
        stale: How many calls were given a value whose time was over.
        stale_seconds: The 50th, 95th and 99th percentile of how long it was over, of the last
            1,000 of those calls.
        time_saved: Seconds of loading that hits and waits made unnecessary: their number times the
            mean time of a load, an estimate.
        load_seconds: The 50th, 95th and 99th percentile of the last 1,000 loads.
        store_seconds: The same of the last 1,000 reads of each store.
        writes: How many values a strategy wrote or deleted.
        write_failures: How many of these writes raised.
        write_seconds: The same percentiles of the last 1,000 writes.
        load_total: Seconds that all loads took together.
    """

    name: str
    hits: dict[str, int]
    misses: int
    loads: int
    errors: int
    waits: int
    refused: int
    renewals: int
    stale: int
    stale_seconds: tuple[float, float, float] | None
    time_saved: float
    load_seconds: tuple[float, float, float] | None
    store_seconds: dict[str, tuple[float, float, float] | None]
    writes: int = 0
    write_failures: int = 0
    write_seconds: tuple[float, float, float] | None = None
    load_total: float = 0.0

    @property
    def hit_ratio(self) -> float:
        """Hits of all tiers among all calls; 0 where there was none."""
        hits = sum(self.hits.values())
        calls = hits + self.misses + self.waits
        return hits / calls if calls else 0.0


@dataclasses.dataclass(frozen=True)
class TierState:
    """How one tier is.

    Attributes:
        name: "memory", "redis", "file" or what a user's store is called.
        entries: How many values it holds; None where that is not known.
        bytes: Their size; None where that is not known.
        evictions: How many it gave up for want of room.
        away: Whether it is left alone at the moment, because it failed.
        failures: How often it did not do what it was asked.
        openings: How often it was left alone.
        owes: How many invalidations it has not heard of.
    """

    name: str
    entries: int | None = None
    bytes: int | None = None
    evictions: int | None = None
    away: bool = False
    failures: int = 0
    openings: int = 0
    owes: int = 0


@dataclasses.dataclass(frozen=True)
class Stats:
    """The statistics of a cache.

    Attributes:
        total: All calls together.
        functions: The calls by function; "" stands for the cache's own methods.
        tiers: The tiers, nearest first.
        listening: Whether the memory tier hears what other processes change.
        hot: The keys that were asked for most, most first, where the cache counts them.
        invalidations: What was invalidated, and what that cost.
        curves: How many reads would miss with another size, where the cache samples them.
    """

    total: Counts
    functions: dict[str, Counts]
    tiers: list[TierState]
    listening: bool
    hot: list[Hot] = dataclasses.field(default_factory=list)
    invalidations: InvalidationCounts = dataclasses.field(default_factory=InvalidationCounts)
    curves: Curves | None = None

    def frame(self) -> pd.DataFrame:
        """The counts as a frame: one row a function and one for all, one column a number."""
        import pandas as pd

        return pd.DataFrame([row_of(c) for c in [*self.functions.values(), self.total]]).set_index(
            "name"
        )


def row_of(counts: Counts) -> dict[str, Any]:
    """The counts of a function as one flat row."""
    row: dict[str, Any] = {"name": counts.name or "(direct)"}
    row |= {f"{tier}_hits": hits for tier, hits in counts.hits.items()}
    row |= {name: getattr(counts, name) for name in ("misses", "loads", "errors", "waits")}
    row |= {name: getattr(counts, name) for name in ("refused", "renewals", "stale", "hit_ratio")}
    row["time_saved"] = counts.time_saved
    for share, value in zip(_SHARES, counts.load_seconds or [None] * 3, strict=True):
        row[f"load_p{share}"] = value
    row |= {"writes": counts.writes, "write_failures": counts.write_failures}
    for share, value in zip(_SHARES, counts.write_seconds or [None] * 3, strict=True):
        row[f"write_p{share}"] = value
    return row


def summed(name: str, counts: Iterable[Counters], stores: Sequence[str]) -> Counts:
    """All calls together."""
    total = Counters(name, stores)
    saved = 0.0
    for each in counts:
        total.memory_hits += each.memory_hits
        total.misses += each.misses
        total.loads += each.loads
        total.errors += each.errors
        total.waits += each.waits
        total.refused += each.refused
        total.renewals += each.renewals
        total.stale += each.stale
        total.stale_times.extend(each.stale_times)
        total.load_seconds += each.load_seconds
        total.load_times.extend(each.load_times)
        total.writes += each.writes
        total.write_failures += each.write_failures
        total.write_seconds += each.write_seconds
        total.write_times.extend(each.write_times)
        for store in stores:
            total.store_hits[store] += each.store_hits[store]
            total.store_times[store].extend(each.store_times[store])
        saved += each.read().time_saved
    return dataclasses.replace(total.read(), time_saved=saved)


_SHARES = (50, 95, 99)


def percentiles(times: Iterable[float]) -> tuple[float, float, float] | None:
    """The 50th, 95th and 99th percentile of times, each one of them; None where there is none."""
    ordered = sorted(times)
    if not ordered:
        return None
    last = len(ordered) - 1
    p50, p95, p99 = (ordered[round(last * share / 100)] for share in _SHARES)
    return p50, p95, p99
