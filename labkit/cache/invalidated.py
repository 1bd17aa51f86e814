"""What invalidations cost: their own time, and the loads of what they took out."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

KINDS = ("key", "tag", "prefix", "all")

_MOST = 10_000


@dataclasses.dataclass(frozen=True)
class KindCounts:
    """The invalidations of one kind.

    Attributes:
        calls: How many there were.
        targets: How many keys, tags or prefixes they named; an entity is a tag.
        entries: How many values they took out, as far as the tiers tell: a store that drops a tag
            or clears a namespace does not know how many values that makes unreadable.
        seconds: How long their callers waited for them, all together.
    """

    calls: int = 0
    targets: int = 0
    entries: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class InvalidationCounts:
    """What the invalidations of a cache were, and what they cost.

    Attributes:
        kinds: What this cache invalidated: "key", "tag", "prefix" and "all".
        reloads: How many loads were of a key that had a value when it was dropped.
        reload_seconds: How long these loads took; a batch counts the keys' share of it.
    """

    kinds: dict[str, KindCounts] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(KINDS, KindCounts())
    )
    reloads: int = 0
    reload_seconds: float = 0.0

    @property
    def calls(self) -> int:
        """How many invalidations there were, of all kinds."""
        return sum(kind.calls for kind in self.kinds.values())


class Invalidated:
    """Counts the invalidations of a cache, and the loads that they make necessary.

    The keys that had a value when they were dropped are remembered, the last 10,000 of them, until
    they have one again. What the memory tier held is known by key. What only a store held is known
    where a key is dropped by itself, or all that are dropped together were there.
    """

    def __init__(self) -> None:
        self._kinds = {kind: [0, 0, 0, 0.0] for kind in KINDS}
        self._reloads = 0
        self._reload_seconds = 0.0
        self._dropped: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, kind: str, targets: int, entries: int, seconds: float) -> None:
        """Count an invalidation."""
        with self._lock:
            counts = self._kinds[kind]
            for number, more in enumerate((1, targets, entries, seconds)):
                counts[number] += more

    def dropped(self, keys: Collection[str]) -> None:
        """These keys had a value."""
        if not keys:
            return
        with self._lock:
            for key in keys:
                self._dropped[key] = None
                self._dropped.move_to_end(key)
            while len(self._dropped) > _MOST:
                self._dropped.popitem(last=False)

    def loaded(self, keys: Iterable[str], seconds: float) -> None:
        """These keys were loaded together, in so many seconds."""
        if not self._dropped:
            return
        wanted = list(keys)
        with self._lock:
            again = self._forget(wanted)
            self._reloads += again
            self._reload_seconds += seconds * again / max(len(wanted), 1)

    def back(self, keys: Iterable[str]) -> None:
        """These keys have a value again that nobody here had to load."""
        if self._dropped:
            with self._lock:
                self._forget(keys)

    def read(self) -> InvalidationCounts:
        """The counts of now."""
        with self._lock:
            kinds = {kind: KindCounts(*counts) for kind, counts in self._kinds.items()}  # type: ignore[arg-type]
            return InvalidationCounts(kinds, self._reloads, self._reload_seconds)

    def forget_parent(self) -> None:
        """In a forked process: no thread is left that could let go of the lock."""
        self._lock = threading.Lock()

    def _forget(self, keys: Iterable[str]) -> int:
        known = [key for key in dict.fromkeys(keys) if key in self._dropped]
        for key in known:
            del self._dropped[key]
        return len(known)
