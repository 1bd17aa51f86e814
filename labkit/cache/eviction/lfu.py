"""Least frequently used: what was asked for least often goes, the longest unused among equals."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from labkit.cache.eviction.base import Policy

if TYPE_CHECKING:
    from labkit.cache.eviction.base import Entry


class _Level(OrderedDict["Entry", None]):
    """The entries that were used equally often, the longest unused first."""

    def __init__(self, uses: int) -> None:
        super().__init__()
        self.uses = uses
        self.lower = self.higher = self


class Lfu(Policy):
    """Evicts what was used least often.

    Levels form a ring in rising order, which begins and ends at a bottom without entries. A use
    lifts an entry by one level, so that every step takes the same short time. A key that gets a
    new value keeps its level and rises by one. Counts do not fade: what was popular once stays
    long. Each hit takes the lock.
    """

    def __init__(self) -> None:
        self._bottom = _Level(0)

    def add(self, entry: Entry) -> None:
        """Take in a new entry, used once."""
        self._put_above(self._bottom, entry)

    def remove(self, entry: Entry) -> None:
        """Forget an entry."""
        _drop(entry.level, entry)

    def replace(self, old: Entry, new: Entry) -> None:
        """Let the new value have the uses of the old one, and one more."""
        level: _Level = old.level
        self._put_above(level, new)
        _drop(level, old)

    def touch(self, entry: Entry) -> None:
        """Lift the entry by one level."""
        level: _Level = entry.level
        if len(level) == 1 and level.higher.uses != level.uses + 1:
            level.uses += 1  # it takes its level along
        else:
            self.replace(entry, entry)

    def victim(self) -> Entry:
        """The longest unused entry of the lowest level."""
        return next(iter(self._bottom.higher))

    def clear(self) -> None:
        """Forget every entry."""
        self._bottom = _Level(0)

    def _put_above(self, level: _Level, entry: Entry) -> None:
        """Put the entry on the level of one use more; it is made where it is missing."""
        above = level.higher
        if above.uses != level.uses + 1:
            above = _Level(level.uses + 1)
            above.lower, above.higher = level, level.higher
            level.higher.lower = level.higher = above
        above[entry] = None
        entry.level = above


def _drop(level: _Level, entry: Entry) -> None:
    """Take the entry off a level; an empty level leaves the ring."""
    del level[entry]
    if not level:
        level.lower.higher, level.higher.lower = level.higher, level.lower
