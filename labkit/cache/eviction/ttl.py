"""Time to live: what expires soonest goes."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Any

from labkit.cache.eviction.base import Policy

if TYPE_CHECKING:
    from labkit.cache.eviction.base import Entry

_SLACK = 64


class Ttl(Policy):
    """Evicts what expires soonest; among equals, what got its deadline first.

    A heap of records: a deadline, a number and the entry. A record whose entry has gone, or has got
    another deadline, is empty; empty ones are at most as many as the others, and a few.
    A tier keeps one of these besides any other policy, to find what has expired.
    """

    marks = True

    def __init__(self) -> None:
        self._heap: list[list[Any]] = []
        self._empty = 0
        self._numbers = itertools.count()

    def add(self, entry: Entry) -> None:
        """Take in an entry, or its new deadline."""
        if entry.timer is not None:
            self.remove(entry)
        entry.timer = record = [entry.deadline, next(self._numbers), entry]
        heapq.heappush(self._heap, record)

    def remove(self, entry: Entry) -> None:
        """Forget an entry; harmless where it is unknown."""
        record = entry.timer
        if record is None:
            return
        record[2] = entry.timer = None
        self._empty += 1
        if self._empty > len(self._heap) // 2 + _SLACK:
            self._heap = [record for record in self._heap if record[2] is not None]
            heapq.heapify(self._heap)
            self._empty = 0

    def victim(self) -> Entry:
        """The entry that expires soonest."""
        heap = self._heap
        while heap[0][2] is None:
            heapq.heappop(heap)
            self._empty -= 1
        entry: Entry = heap[0][2]
        return entry

    def expired(self, now: float) -> Entry | None:
        """The entry that expires soonest, if its time is over."""
        heap = self._heap
        if len(heap) == self._empty or heap[0][0] > now:
            return None
        entry = self.victim()
        return entry if entry.deadline <= now else None

    def clear(self) -> None:
        """Forget every entry."""
        self._heap.clear()
        self._empty = 0
