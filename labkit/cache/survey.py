"""What a cache holds, and how long that has left.

    found = survey(cache)
    print(found)
    found.expiring_within("1m"), found.frame()
    charts.remaining(found.tiers)

A survey looks at a sample of each tier, and disturbs nothing: it reads no value, and counts for no
reader. Redis is walked with SCAN, and asked for times to live in batches.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

from labkit.cache.aio import AsyncCache
from labkit.cache.backends.base import Times
from labkit.cache.guard import AWAY
from labkit.cache.steps import run, run_async
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    import pandas as pd

    from labkit.cache.backends.memory import MemoryTier
    from labkit.cache.cache import Cache
    from labkit.cache.engine import Engine
    from labkit.cache.steps import Steps

_BUCKETS = ("10s", "1m", "10m", "1h", "1d")
_NEVER = "never"


@dataclass(frozen=True)
class Survey:
    """How long the values of a cache have left.

    The time of a value is that until it is gone; where it may be given out after its time, that
    counts, too. Values that a dropped tag has made unreadable may be in a store until they expire.

    Attributes:
        tiers: By tier, nearest first: the seconds that each value has left that was looked at; None
            for one that does not expire.
        sampled: The tiers that hold more values than were looked at.
        unknown: The stores that are away, or cannot tell.
    """

    tiers: dict[str, tuple[float | None, ...]]
    sampled: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def forever(self) -> dict[str, int]:
        """By tier, how many of the values do not expire."""
        return {tier: times.count(None) for tier, times in self.tiers.items()}

    def expiring_within(self, seconds: float | str) -> dict[str, int]:
        """By tier, how many of the values are gone after a time, a `duration`."""
        bound = duration(seconds)
        return {
            tier: sum(left is not None and left <= bound for left in times)
            for tier, times in self.tiers.items()
        }

    def buckets(self, bounds: Sequence[float | str] = _BUCKETS) -> dict[str, dict[str, int]]:
        """By tier, how many of the values are gone by each bound, and not by the one before.

        Args:
            bounds: Durations, the shortest first.

        Returns:
            The counts by tier and bucket: one bucket a bound, one for what lives longer than all,
            and "never".

        Raises:
            ValueError: The bounds do not rise.
        """
        ends = [duration(bound) for bound in bounds]
        if not ends or any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"bounds are {bounds!r}; expected durations, each above the last one")
        names = [f"<= {bound}" for bound in bounds] + [f"> {bounds[-1]}"]
        found: dict[str, dict[str, int]] = {}
        for tier, times in self.tiers.items():
            counts = found[tier] = dict.fromkeys([*names, _NEVER], 0)
            for left in times:
                passed = sum(left > end for end in ends) if left is not None else -1
                counts[_NEVER if left is None else names[passed]] += 1
        return found

    def frame(self, bounds: Sequence[float | str] = _BUCKETS) -> pd.DataFrame:
        """The buckets as a frame: one row a tier and bucket, with their number and share."""
        import pandas as pd

        rows = [
            (tier, bucket, count, count / max(len(self.tiers[tier]), 1))
            for tier, counts in self.buckets(bounds).items()
            for bucket, count in counts.items()
        ]
        return pd.DataFrame(rows, columns=["tier", "left", "values", "share"])

    def __str__(self) -> str:
        lines = []
        for tier, counts in self.buckets().items():
            size = f"{len(self.tiers[tier]):,} values"
            what = f"a sample of {size}" if tier in self.sampled else size
            shown = [f"{count:,} {bucket}" for bucket, count in counts.items() if count]
            lines.append(": ".join([f"{tier}, {what}", *([", ".join(shown)] if shown else [])]))
        return "\n".join([*lines, *(f"{tier}: unknown" for tier in self.unknown)])


@overload
def survey(cache: Cache, sample: int = ...) -> Survey: ...
@overload
def survey(cache: AsyncCache, sample: int = ...) -> Awaitable[Survey]: ...
def survey(cache: Any, sample: int = 10_000) -> Any:
    """Look how long the values of a cache have left; with an `AsyncCache` it is awaited.

    Args:
        cache: The cache.
        sample: At how many values of each tier to look at most.

    Raises:
        ValueError: `sample` is below 1.

    Example:
        >>> from labkit.cache import Cache
        >>> cache = Cache()
        >>> cache.set_many({"a": 1, "b": 2}, ttl="30s")
        >>> cache.set("c", 3)
        >>> print(survey(cache))
        memory, 3 values: 2 <= 1m, 1 never
    """
    if sample < 1:
        raise ValueError(f"sample is {sample!r}; expected a number of values above 0")
    carry_out: Any = run_async if isinstance(cache, AsyncCache) else run
    return carry_out(_survey(cache._engine, sample))


def _survey(engine: Engine, sample: int) -> Steps[Survey]:
    found: dict[str, Times] = {}
    unknown: list[str] = []
    if engine.memory is not None:
        found["memory"] = _of_memory(engine.memory, sample)
    for guard in engine.stores:
        answer: Any = AWAY
        if hasattr(guard.store, "times"):
            answer = yield from guard.ask("times", sample)
        if answer is AWAY:
            unknown.append(guard.name)
        else:
            found[guard.name] = answer
    return Survey(
        {tier: tuple(times.seconds) for tier, times in found.items()},
        tuple(tier for tier, times in found.items() if not times.complete),
        tuple(unknown),
    )


def _of_memory(memory: MemoryTier, most: int) -> Times:
    keys = memory.keys()
    chosen = random.sample(keys, most) if len(keys) > most else keys
    now = memory.clock()
    entries = [entry for key in chosen if (entry := memory.peek(key)) is not None]
    lefts = [entry.deadline - now for entry in entries]
    seconds = [None if left == math.inf else left for left in lefts if left > 0]
    return Times(seconds, len(keys) <= most)
