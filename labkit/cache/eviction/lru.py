"""Least recently used: what nobody has asked for longest goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.cache.eviction.fifo import Fifo

if TYPE_CHECKING:
    from labkit.cache.eviction.base import Entry


class Lru(Fifo):
    """Evicts what was used longest ago; each hit moves an entry, so it takes the lock."""

    marks = False

    def touch(self, entry: Entry) -> None:
        """Move the entry to the end of the queue."""
        self._queue.move_to_end(entry)
