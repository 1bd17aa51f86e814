"""What is counted of the blocks of a backup, as it is written and as it is read."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from labkit.inspect.backup.layout import Block, Footer, Header, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHELVES = 256


def hashed(database: int, key: bytes) -> int:
    """The hash of a key by which `Reader.check` tells those that come more than once."""
    return hash((database, key))


class Counted:
    """What has been counted of blocks so far."""

    def __init__(self) -> None:
        self.blocks = self.records = 0
        self.repeats = _Repeats()
        self._counts: dict[int, Counter[str]] = {}

    def add(self, block: Block) -> None:
        """Count one more."""
        kinds = [kind.decode("utf-8", "replace") for kind in block.kinds]
        counts = self._counts.setdefault(block.database, Counter())
        for code, count in Counter(block.types).items():
            counts[kinds[code]] += count
        self.repeats.add(hashed(block.database, key) for key in block.keys)
        self.records += len(block.keys)
        self.blocks += 1

    def footer(self, sha256: str) -> Footer:
        """What stands at the end of the file."""
        return Footer(self.blocks, self._plain(), sha256)

    def summary(self, header: Header, size: int) -> Summary:
        """What a caller is told."""
        counts = {number: self._plain().get(number, {}) for number in header.databases}
        return Summary(
            header.product,
            header.version,
            header.began,
            header.pattern,
            counts,
            self.repeats.count(),
            size,
        )

    def _plain(self) -> dict[int, dict[str, int]]:
        return {number: dict(kinds) for number, kinds in self._counts.items()}


class _Repeats:
    """Which keys came more than once, in 8 bytes for each."""

    def __init__(self) -> None:
        # Sorting one shelf after the other takes little more memory than there is on them.
        self._shelves = [array("q") for _ in range(_SHELVES)]

    def add(self, hashes: Iterable[int]) -> None:
        for one in hashes:
            self._shelves[one % _SHELVES].append(one)

    def found(self) -> frozenset[int]:
        return frozenset(self._twice())

    def count(self) -> int:
        return sum(1 for _ in self._twice())

    def _twice(self) -> Iterator[int]:
        for shelf in self._shelves:
            for one, other in pairwise(sorted(shelf)):
                if one == other:
                    yield one
