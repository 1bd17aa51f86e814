"""What was measured of the reads and writes of one kind of entity."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.cache.stats import Counts


@dataclasses.dataclass(frozen=True)
class Observed:
    """How one kind of entity is read and written.

    Attributes:
        reads_per_second: How often it is read, all keys together.
        writes_per_second: How often it is written, all keys together.
        keys: How many different keys that is.
        load_seconds: The 50th and 95th percentile of a load from the source; None: not known.
        write_seconds: The same of a write to the source.
        store_seconds: How long a round trip to the store of the cache usually takes.
        load_failures: Which share of the loads raises.
        hit_ratio: Which share of the reads the cache has now; None: not known.
        value_bytes: How large a value is; None: not known.
        writes_heard: Whether the cache hears of every write: each goes through the strategy, or
            invalidates what it changes.
        shared: Whether all processes share a store of the cache; False: each has a memory of its
            own, and hears of no write of another.

    Raises:
        ValueError: A number makes no sense.
    """

    reads_per_second: float
    writes_per_second: float = 0.0
    keys: int = 1
    load_seconds: tuple[float, float] | None = None
    write_seconds: tuple[float, float] | None = None
    store_seconds: float = 0.0005
    load_failures: float = 0.0
    hit_ratio: float | None = None
    value_bytes: float | None = None
    writes_heard: bool = True
    shared: bool = True

    def __post_init__(self) -> None:
        for name in ("reads_per_second", "writes_per_second", "store_seconds", "value_bytes"):
            number = getattr(self, name)
            if number is not None and not (_is_number(number) and 0 <= number < math.inf):
                raise ValueError(f"{name} is {number!r}; expected a number of 0 or more")
        for name in ("load_failures", "hit_ratio"):
            share = getattr(self, name)
            if share is not None and not (_is_number(share) and 0 <= share <= 1):
                raise ValueError(f"{name} is {share!r}; expected a share from 0 to 1")
        for name in ("load_seconds", "write_seconds"):
            times = getattr(self, name)
            if times is not None and not (len(times) == 2 and 0 <= times[0] <= times[1] < math.inf):
                raise ValueError(
                    f"{name} is {times!r}; expected the 50th and the 95th percentile, in seconds"
                )
        if not _is_number(self.keys) or not 1 <= self.keys < math.inf:
            raise ValueError(f"keys is {self.keys!r}; expected how many keys there are, 1 or more")

    @property
    def reads(self) -> float:
        """How often one key is read a second, on average."""
        return self.reads_per_second / self.keys

    @property
    def writes(self) -> float:
        """How often one key is written a second, on average."""
        return self.writes_per_second / self.keys

    @classmethod
    def of(
        cls,
        counts: Counts,
        seconds: float,
        *,
        keys: int,
        before: Counts | None = None,
        **known: Any,
    ) -> Observed:
        """What a cache has counted of a function or a strategy.

        Percentiles are those of the last 1,000 loads and writes.

        Args:
            counts: Its counts now: `strategy.stats()`, or one of `cache.stats().functions`.
            seconds: For how long they were counted, since `before`.
            keys: How many different keys were read.
            before: Its counts at an earlier moment; None: when nothing was counted yet.
            **known: What counts do not tell, such as `value_bytes` and `writes_heard`.

        Raises:
            ValueError: No time went by, or `before` is the later one.
        """
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds is {seconds!r}; expected the time between the two counts")
        now, then = _counted(counts), _counted(before) if before else {}
        since = {name: number - then.get(name, 0) for name, number in now.items()}
        if any(number < 0 for number in since.values()):
            raise ValueError(
                "before has higher counts than counts; expected the earlier moment of the same "
                "process: what was counted begins anew when it is started"
            )
        stores = [times[0] for times in counts.store_seconds.values() if times is not None]
        told: dict[str, Any] = {
            "load_seconds": counts.load_seconds and counts.load_seconds[:2],
            "write_seconds": counts.write_seconds and counts.write_seconds[:2],
        }
        if stores:
            told["store_seconds"] = max(stores)
        if since["loads"]:
            told["load_failures"] = since["errors"] / since["loads"]
        if since["reads"]:
            told["hit_ratio"] = since["hits"] / since["reads"]
        rates = (since["reads"] / seconds, since["writes"] / seconds)
        return cls(*rates, keys=keys, **told | known)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _counted(counts: Counts) -> dict[str, int]:
    hits = sum(counts.hits.values())
    return {
        "hits": hits,
        "reads": hits + counts.misses + counts.waits,
        "loads": counts.loads,
        "errors": counts.errors,
        "writes": counts.writes,
    }
