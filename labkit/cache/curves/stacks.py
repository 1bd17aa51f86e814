"""LRU stacks that tell how deep a key lies in them: what was asked for since it was last."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable

_SLOTS = 1_024


class Stack(Protocol):
    """Keys in the order in which they were last asked for."""

    def touch(self, key: Hashable, weight: int) -> int | None:
        """Put a key on top; what the keys that lay above it weigh, None where it is new."""

    def drop(self, key: Hashable) -> None:
        """Take a key out."""

    def __len__(self) -> int:
        """How many keys there are."""


class Tree:
    """A stack of any number of keys, each with a weight: O(log n) a request.

    The weights stand in a Fenwick tree in the order of the requests: first the key that nobody has
    asked for longest (F. Olken, "Efficient methods for calculating the success function of fixed
    space replacement policies", 1981, with another tree).
    """

    def __init__(self) -> None:
        self._slots: dict[Hashable, tuple[int, int]] = {}  # where a key stands, and its weight
        self._build([])

    def touch(self, key: Hashable, weight: int = 1) -> int | None:
        """Put a key on top; what the keys that lay above it weigh, None where it is new."""
        above = self._remove(key)
        if self._used == self._size:
            self._build([weight for _, weight in self._slots.values()])
        self._used += 1
        self._slots[key] = self._used, weight
        self._add(self._used, weight)
        return above

    def drop(self, key: Hashable) -> None:
        """Take a key out."""
        self._remove(key)

    def __len__(self) -> int:
        return len(self._slots)

    def _remove(self, key: Hashable) -> int | None:
        """Take a key out, if it is there; what the keys above it weigh."""
        slot, weight = self._slots.pop(key, (0, 0))
        if not slot:
            return None
        self._add(slot, -weight)
        above, sums = self._total, self._sums
        while slot:
            above -= sums[slot]
            slot &= slot - 1
        return above

    def _add(self, slot: int, weight: int) -> None:
        self._total += weight
        sums, size = self._sums, self._size
        while slot <= size:
            sums[slot] += weight
            slot += slot & -slot

    def _build(self, weights: list[int]) -> None:
        """Close the gaps that keys have left, and make room for as many again."""
        self._used, self._total = len(weights), sum(weights)
        self._size = max(_SLOTS, 2 * len(weights))
        # The keys stand in a dictionary in the order in which they were put there, as in the tree.
        self._slots = {k: (i, w) for i, (k, (_, w)) in enumerate(self._slots.items(), 1)}
        sums = self._sums = [0, *weights, *[0] * (self._size - len(weights))]
        for slot in range(1, self._size + 1):
            if (parent := slot + (slot & -slot)) <= self._size:
                sums[parent] += sums[slot]


class Times:
    """A stack of a few thousand keys of equal weight.

    It is a sorted list of the times at which they were last asked for. A change moves a part of it,
    which is O(n) and up to 10,000 keys several times faster than a tree.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, int] = {}
        self._times: list[int] = []
        self._now = 0

    def touch(self, key: Hashable, weight: int = 1) -> int | None:
        """Put a key on top; how many lay above it, None where it is new."""
        times, last = self._times, self._last.get(key)
        now = self._now = self._now + 1
        self._last[key] = now
        above = None
        if last is not None:
            place = bisect_left(times, last)
            above = len(times) - place - 1
            del times[place]
        times.append(now)
        return above

    def drop(self, key: Hashable) -> None:
        """Take a key out."""
        del self._times[bisect_left(self._times, self._last.pop(key))]

    def __len__(self) -> int:
        return len(self._times)
