"""What all parts of the newsroom's database rest on: tables, transactions, counts and outages."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import sqlalchemy as sa

from labkit.newsroom import checks, notes
from labkit.newsroom.connecting import Connecting
from labkit.newsroom.counter import Count, Counter
from labkit.newsroom.errors import DatabaseDown
from labkit.newsroom.generate import Size, fill
from labkit.newsroom.latency import Latency
from labkit.newsroom.schema import articles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from labkit.clock import Clock
    from labkit.newsroom.records import Change

R = TypeVar("R")


class Database:
    """A database with a counter of its reads; see `Newsroom`, which says what can be asked."""

    def __init__(
        self,
        url: str | None = None,
        *,
        schema: str | None = None,
        latency: Latency | None = None,
        clock: Clock = time.time,
        outbox: bool = False,
    ) -> None:
        self._connecting = Connecting(
            url or os.environ.get("LABKIT_DATABASE_URL") or "sqlite://", schema
        )
        self._clock = clock
        self._counter = Counter()
        self._noting = outbox
        self._signal = self._connecting.signal()
        self._outages = 0
        self._lock = threading.Lock()  # over the number of outages
        self._one_waits = threading.Lock()
        self.latency = latency or Latency(0, 0)

    # --- The tables

    def create(self) -> None:
        """Make the tables that are missing."""
        with self._connecting.alone() as connection:
            self._connecting.create(connection)

    def drop(self) -> None:
        """Remove the tables and all that is in them."""
        with self._connecting.alone() as connection:
            self._connecting.drop(connection)

    def fill(self, size: Size | None = None, *, seed: int = 5) -> bool:
        """Fill empty tables with a site; one that has articles stays as it is.

        Args:
            size: How large the site is; None: of the usual size.
            seed: Another seed makes another site of the same kind. The same seed makes the same
                site on every database.

        Returns:
            Whether the tables were empty.
        """
        with self._connecting.alone() as connection:
            if connection.execute(sa.select(articles.c.id).limit(1)).first():
                return False
            fill(connection, size or Size(), seed)
            self._connecting.settle(connection)
        return True

    def close(self) -> None:
        """Give the connections back, once nobody waits for changes any more."""
        with self._one_waits:
            self._signal.close()
        self._connecting.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Newsroom {self._connecting.address}: {self.reads} reads, {self.writes} writes>"

    # --- What it costs

    @property
    def reads(self) -> int:
        """How many questions the database has answered."""
        return self._counter.count.reads

    @property
    def writes(self) -> int:
        """How many writes the database has carried out, those that changed nothing included."""
        return self._counter.writes

    @property
    def count(self) -> Count:
        """The reads by question; goes on counting."""
        return self._counter.count

    def counting(self) -> contextlib.AbstractContextManager[Count]:
        """Count what is read while a block runs, from all threads.

        Example:
            >>> with db.counting() as tally:
            ...     show_page(17)
            >>> tally.reads, tally.by_query
            (3, {'article': 1, 'author': 1, 'comments': 1})
        """
        return self._counter.counting()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """An outage: while the block runs, each question and write raises `DatabaseDown`."""
        self._outage(1)
        try:
            yield
        finally:
            self._outage(-1)

    def _outage(self, step: int) -> None:
        with self._lock:
            self._outages += step

    def _refuse_if_down(self) -> None:
        if self._outages:
            raise DatabaseDown("the database is down, as Newsroom.down() said")

    def _ask(self, query: str, statement: sa.Executable, **parameters: Any) -> list[sa.Row[Any]]:
        """The rows of one SELECT, which is counted."""
        latency, begun = self.latency, self._clock()
        with latency.turn:
            self._refuse_if_down()
            with self._connecting.reading() as connection:
                rows = list(connection.execute(statement, parameters))
            # After the rows are there: who waits for them may get what is no longer true.
            latency.pause(len(rows))
        self._counter.read(query, len(rows), self._clock() - begun)
        return rows

    def _ask_many(
        self, query: str, statement: sa.Executable, ids: Iterable[int]
    ) -> dict[int, sa.Row[Any]]:
        """The rows by their numbers, in the order of `ids`."""
        numbers = checks.numbers("ids", ids)
        if not numbers:
            return {}
        found = {row.id: row for row in self._ask(query, statement, ids=numbers)}
        return {number: found[number] for number in numbers if number in found}

    def _write(self, work: Callable[[sa.Connection], R], lock: Literal["tags"] | None = None) -> R:
        """Do some work in one transaction, which is counted."""
        self._refuse_if_down()
        with self._connecting.writing(lock) as connection:
            done = work(connection)
        self._counter.wrote()
        return done

    def _change(
        self, work: Callable[[sa.Connection], Change], lock: Literal["tags"] | None = None
    ) -> Change:
        """Change what readers see, in one transaction, which leaves a note in the outbox."""
        return self._change_to(lambda connection: (work(connection), None), lock)[0]

    def _change_to(
        self,
        work: Callable[[sa.Connection], tuple[Change, R]],
        lock: Literal["tags"] | None = None,
    ) -> tuple[Change, R]:
        """The same, for work that also answers what is there now."""

        def noting(connection: sa.Connection) -> tuple[Change, R]:
            change, now = work(connection)
            if self._noting and change:
                notes.note(connection, self._clock(), change)
                self._signal.send(connection)
            return change, now

        change, now = self._write(noting, lock)
        if self._noting and change:
            self._signal.sent()
        return change, now

    def _moment(self, at: float | None) -> float:
        return checks.moment("at", self._clock() if at is None else at)


def texts(*, required: bool = False, **given: str | None) -> dict[str, str]:
    """The texts that were given, checked; all must be where they are `required`."""
    return {
        name: checks.text(name, value)
        for name, value in given.items()
        if required or value is not None
    }
