"""First in, first out: what was put longest ago goes, however often it is used."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from labkit.cache.eviction.base import Policy

if TYPE_CHECKING:
    from labkit.cache.eviction.base import Entry


class Fifo(Policy):
    """Evicts in the order in which values were put."""

    marks = True

    def __init__(self) -> None:
        # Finds its first item in constant time; a plain dict steps over all that were deleted.
        self._queue: OrderedDict[Entry, None] = OrderedDict()

    def add(self, entry: Entry) -> None:
        """Take in a new entry, last of all."""
        self._queue[entry] = None

    def remove(self, entry: Entry) -> None:
        """Forget an entry."""
        del self._queue[entry]

    def victim(self) -> Entry:
        """The entry that was put longest ago."""
        return next(iter(self._queue))

    def clear(self) -> None:
        """Forget every entry."""
        self._queue.clear()
