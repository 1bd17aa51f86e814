"""SIEVE: a queue, one bit an entry, and a hand that goes over it.

Yazhuo Zhang, Juncheng Yang, Yao Yue, Ymir Vigfusson and K. V. Rashmi: "SIEVE is Simpler than LRU:
an Efficient Turn-Key Eviction Algorithm for Web Caches", NSDI 2024.
"""

from __future__ import annotations

import math

from labkit.cache.eviction.base import Entry, Policy


class Sieve(Policy):
    """Evicts what was not used since the hand passed it.

    New entries join the queue at its newest end and are never moved. The hand goes from the oldest
    to the newest: it spares an entry that was used, for this once, and stops at the first that was
    not. A hit only sets a bit, and a crowd of values that are used once leaves quickly. A step of
    the hand is paid for by a hit, so that a victim is found in constant time on average.
    """

    marks = True

    def __init__(self) -> None:
        self._end = Entry("", None, math.inf)  # closes the queue to a ring; never a victim
        self._hand = self._end.before = self._end.after = self._end

    def add(self, entry: Entry) -> None:
        """Take in a new entry at the newest end."""
        end = self._end
        newest = end.before
        entry.before, entry.after = newest, end
        newest.after = end.before = entry

    def remove(self, entry: Entry) -> None:
        """Forget an entry; a hand that points to it goes on to the next one."""
        if self._hand is entry:
            self._hand = entry.after
        entry.before.after, entry.after.before = entry.after, entry.before

    def touch(self, entry: Entry) -> None:
        """Mark the entry as used."""
        entry.visited = True

    def victim(self) -> Entry:
        """The first entry from the hand on that was not used."""
        hand: Entry = self._hand
        end = self._end
        while hand is end or hand.visited:
            hand.visited = False
            hand = hand.after
        self._hand = hand
        return hand

    def clear(self) -> None:
        """Forget every entry."""
        self._hand = self._end.before = self._end.after = self._end
