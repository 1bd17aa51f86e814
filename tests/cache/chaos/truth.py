"""The source that all processes share, a SQLite file, which knows when each value was written."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labkit.cache import Write


class Item(msgspec.Struct, frozen=True):
    """An entity.

    Attributes:
        id: Which.
        number: What was written; each number is written once, and 0 is there from the beginning.
    """

    id: int
    number: int


class Commit(NamedTuple):
    """A write that stands in the source; its times are those of the machine's monotonic clock.

    Attributes:
        name: The entity's name.
        id: Its id.
        number: What was written.
        order: Greater than that of every earlier commit of the same entity.
        begin: When nobody had seen it yet.
        end: When it could be seen.
    """

    name: str
    id: int
    number: int
    order: int
    begin: float
    end: float


class SourceAway(ConnectionError):
    """The source does not answer."""


class Truth:
    """A SQLite file.

    Args:
        path: The file.
        away: Says whether it is to raise.
        delay: For how many seconds a load and a write take at most, at random.

    Attributes:
        commits: What was written by this process.
    """

    def __init__(self, path: str, away: Callable[[], bool] = bool, delay: float = 0.0) -> None:
        self.commits: list[Commit] = []
        self._path = path
        self._away = away
        self._delay = delay
        self._here = threading.local()
        self._rest = threading.Event()
        self._opened: list[sqlite3.Connection] = []

    def begin(self, names: Sequence[str], ids: Sequence[int]) -> None:
        """Make the file, with an entity for each name and id."""
        db = self._db()
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE items (name, id, number, version, PRIMARY KEY (name, id))")
        rows = [(name, one) for name in names for one in ids]
        db.executemany("INSERT INTO items VALUES (?, ?, 0, 0)", rows)

    def numbers(self, name: str) -> dict[int, int]:
        """What stands there, by id."""
        rows = self._db().execute("SELECT id, number FROM items WHERE name = ?", (name,))
        return dict(rows.fetchall())

    def read(self, name: str, ids: Sequence[int]) -> dict[int, Item]:
        """The entities of some ids."""
        self._takes_a_while()
        found = self.numbers(name)
        self._takes_a_while()
        return {one: Item(one, found[one]) for one in ids if one in found}

    def write(self, name: str, items: Sequence[tuple[Item, int]]) -> None:
        """Write entities together, each with its version; 0: the one after that which is there.

        A version that is not above the one that is there is ignored.
        """
        self._takes_a_while()
        done: list[tuple[Item, int]] = []
        with self._transaction() as db:
            begin = time.monotonic()
            for item, version in items:
                found = db.execute(
                    "UPDATE items SET number = ?, version = max(version + 1, ?)"
                    " WHERE name = ? AND id = ? AND (? = 0 OR ? > version) RETURNING version",
                    (item.number, version, name, item.id, version, version),
                ).fetchall()
                done += [(item, order) for (order,) in found]
        end = time.monotonic()
        self.commits += [Commit(name, i.id, i.number, order, begin, end) for i, order in done]

    def close(self) -> None:
        """Close the connections."""
        for each in self._opened:
            each.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _takes_a_while(self) -> None:
        if self._away():
            raise SourceAway("told to be away")
        if self._delay and random.random() < 0.5:
            self._rest.wait(random.random() * self._delay / 2)

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._here, "db", None)
        if db is None:
            db = sqlite3.connect(
                self._path, timeout=30, isolation_level=None, check_same_thread=False
            )
            db.execute("PRAGMA synchronous = OFF")  # no machine is killed here
            self._here.db = db
            self._opened.append(db)
        return db


class Table:
    """The entities of one name, as a source."""

    def __init__(self, truth: Truth, name: str) -> None:
        self._truth = truth
        self._name = name

    def load(self, key: int) -> Item | None:
        return self._truth.read(self._name, [key]).get(key)

    def load_many(self, keys: Sequence[int]) -> dict[int, Item]:
        return self._truth.read(self._name, keys)

    def save(self, key: int, value: Item) -> None:
        self._truth.write(self._name, [(value, 0)])

    def delete(self, key: int) -> None:
        raise NotImplementedError("nothing is deleted here")

    def versions(self, keys: Sequence[int]) -> dict[int, int]:
        return {}


class Versioned(Table):
    """The same for writes that come behind."""

    def apply(self, writes: Sequence[Write[int, Item]]) -> None:
        given = [(write.value, write.version) for write in writes if write.value is not None]
        self._truth.write(self._name, given)
