"""How often the database was read, by the name of the question."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import pandas as pd


class Tally(msgspec.Struct, frozen=True):
    """What a question has cost so far.

    Attributes:
        reads: How often it was asked.
        rows: How many rows came back.
        seconds: How long the answers took together, waiting included.
    """

    reads: int = 0
    rows: int = 0
    seconds: float = 0.0


class Count(Mapping[str, Tally]):
    """A `Tally` by the name of each question that was asked, and their sums."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def __getitem__(self, query: str) -> Tally:
        return self._tallies[query]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._tallies))

    def __len__(self) -> int:
        return len(self._tallies)

    @property
    def reads(self) -> int:
        """How many questions were asked."""
        return sum(tally.reads for tally in self.values())

    @property
    def rows(self) -> int:
        """How many rows came back."""
        return sum(tally.rows for tally in self.values())

    @property
    def seconds(self) -> float:
        """How long the answers took together."""
        return sum(tally.seconds for tally in self.values())

    @property
    def by_query(self) -> dict[str, int]:
        """How often each question was asked, the most frequent first."""
        ordered = sorted(self.items(), key=lambda item: (-item[1].reads, item[0]))
        return {query: tally.reads for query, tally in ordered}

    def frame(self) -> pd.DataFrame:
        """The tallies as a frame: one row a question, the most frequent first."""
        import pandas as pd

        rows = [{"query": query, **msgspec.structs.asdict(self[query])} for query in self.by_query]
        return pd.DataFrame(rows, columns=["query", *Tally.__struct_fields__]).set_index("query")

    def __repr__(self) -> str:
        asked = ", ".join(f"{query} {reads}" for query, reads in self.by_query.items())
        return f"<Count {self.reads} reads, {self.rows} rows: {asked or 'none'}>"

    def _add(self, query: str, rows: int, seconds: float) -> None:
        old = self._tallies.get(query, Tally())
        self._tallies[query] = Tally(old.reads + 1, old.rows + rows, old.seconds + seconds)


class Counter:
    """Counts every read in `count`, and once more in each block that is open."""

    def __init__(self) -> None:
        self.count = Count()
        self.writes = 0
        self._blocks: list[Count] = []
        self._lock = threading.Lock()

    def read(self, query: str, rows: int, seconds: float) -> None:
        """Count a read."""
        with self._lock:
            for count in (self.count, *self._blocks):
                count._add(query, rows, seconds)

    def wrote(self) -> None:
        """Count a write."""
        with self._lock:
            self.writes += 1

    @contextlib.contextmanager
    def counting(self) -> Iterator[Count]:
        """Count the reads of a block, whichever thread they come from."""
        count = Count()
        with self._lock:
            self._blocks.append(count)
        try:
            yield count
        finally:
            with self._lock:
                # By identity: two counts may be equal.
                self._blocks = [block for block in self._blocks if block is not count]
