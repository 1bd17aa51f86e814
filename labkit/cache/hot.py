"""Which keys are asked for most, in a bounded amount of memory.

The sketch is Space-Saving (A. Metwally, D. Agrawal, A. El Abbadi, "Efficient computation of
frequent and top-k elements in data streams", 2005): it keeps so many counters, and a key that has
none takes over the smallest one, with its count. What a counter may have inherited is its error.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from heapq import heappop, heappush, nlargest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(frozen=True, slots=True)
class Hot:
    """A key that is asked for often.

    Attributes:
        key: The key.
        count: How often it was asked for at most.
        error: By how much that may be too high: it was `count - error` times at least.
    """

    key: Hashable
    count: int
    error: int


class HotKeys:
    """Counts keys, and keeps those that are asked for most.

    Of N calls, every key that had more than N / most is among them. Threads may count at the same
    time: now and then one of two counts of the same moment is lost.

    Args:
        most: How many keys are kept.

    Raises:
        ValueError: `most` is below 1.
    """

    def __init__(self, most: int = 100) -> None:
        if most < 1:
            raise ValueError(f"most is {most!r}; expected a whole number above 0")
        self.most = most
        self._lock = threading.Lock()
        self.reset()

    def count(self, key: Hashable) -> None:
        """Count a key."""
        # Without the lock: at worst the counter has just been taken from the key.
        counter = self._counters.get(key)
        if counter is None:
            self._enter(key)
        else:
            counter[0] += 1

    def seen(self, key: Hashable) -> int:
        """How often a key was asked for at least since it has a counter; 0 where it has none."""
        counter = self._counters.get(key)
        return 0 if counter is None else counter[0] - counter[1]

    def top(self, n: int = 10) -> list[Hot]:
        """The `n` keys with the highest counts, highest first."""
        with self._lock:
            found = [Hot(key, *counter) for key, counter in self._counters.items()]
        return nlargest(n, found, key=lambda hot: hot.count)

    def reset(self) -> None:
        """Forget everything, so that what was hot long ago does not hide what is hot now."""
        with self._lock:
            self._counters: dict[Hashable, list[int]] = {}  # count and error by key
            # Each key stands with the count that it had when it was last looked at: the smallest
            # of these counts and its keys, the others, and a heap of those.
            self._low = 0
            self._lowest: list[Hashable] = []
            self._higher: dict[int, list[Hashable]] = {}
            self._counts: list[int] = []

    def __len__(self) -> int:
        """How many keys are kept."""
        return len(self._counters)

    def _enter(self, key: Hashable) -> None:
        self._lock.acquire()  # a with statement takes twice the time
        try:
            if key in self._counters:  # another thread was first
                self._counters[key][0] += 1
                return
            error = self._evict() if len(self._counters) == self.most else 0
            self._counters[key] = [error + 1, error]
            self._place(key, error + 1)
        finally:
            self._lock.release()

    def _evict(self) -> int:
        """Take the smallest counter from its key; its count."""
        while True:
            while self._lowest:
                key = self._lowest.pop()
                count = self._counters[key][0]
                if count <= self._low:
                    del self._counters[key]
                    return count
                self._place(key, count)
            self._low = heappop(self._counts)
            self._lowest = self._higher.pop(self._low)
            self._lowest.reverse()  # first come, first gone

    def _place(self, key: Hashable, count: int) -> None:
        if count in self._higher:
            self._higher[count].append(key)
        else:
            self._higher[count] = [key]
            heappush(self._counts, count)
