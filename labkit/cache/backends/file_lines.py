"""Connections to the file of a cache: one a thread, none across a fork; and its tables.

Whoever opens the file first lays it out, and one of an older layout anew. What SQLite says is wrong
becomes `Unavailable` or `Refused`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from typing import TYPE_CHECKING

from labkit.cache.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_APPLICATION = 0x6C616263  # marks a database as one of this module
_LAYOUT = 1
_TABLES = """
CREATE TABLE spaces (id INTEGER PRIMARY KEY, name BLOB UNIQUE);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, space INTEGER NOT NULL, key BLOB NOT NULL, expires REAL NOT NULL,
    payload BLOB NOT NULL, tags TEXT, UNIQUE (space, key)
);
CREATE INDEX entries_by_expiry ON entries (expires);
CREATE TABLE tags (id INTEGER PRIMARY KEY, space INTEGER NOT NULL, name BLOB, UNIQUE (name, space));
CREATE TABLE marks (entry INTEGER, tag INTEGER, PRIMARY KEY (entry, tag)) WITHOUT ROWID;
CREATE INDEX marks_by_tag ON marks (tag);
CREATE TABLE leases (
    space INTEGER, key BLOB, token BLOB NOT NULL, until REAL NOT NULL, tags TEXT NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE TABLE meter (bytes INTEGER NOT NULL);
INSERT INTO meter VALUES (0);
CREATE TRIGGER entry_written AFTER INSERT ON entries BEGIN
    UPDATE meter SET bytes = bytes + length(new.key) + length(new.payload);
END;
CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
    UPDATE meter SET bytes = bytes - length(old.key) - length(old.payload);
    DELETE FROM tags WHERE id IN (SELECT tag FROM marks WHERE entry = old.id)
        AND NOT EXISTS (SELECT 1 FROM marks WHERE tag = tags.id AND entry <> old.id);
    DELETE FROM marks WHERE entry = old.id;
END;
"""

_SMALLEST = 512  # bytes of a database
_PAUSE = 0.001  # seconds between two tries to open a file together
_REFUSALS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_TOOBIG)

_lines: weakref.WeakSet[_Line] = weakref.WeakSet()
_gate = threading.Lock()  # over the sets of lines


class FileLines:
    """The connections of a store, one for each thread that calls it.

    Args:
        path: The file.
        budget: Seconds that a call waits for other writers.
    """

    def __init__(self, path: Path, budget: float) -> None:
        self._path, self._budget = path, budget
        self._mine = threading.local()
        self._lines: weakref.WeakSet[_Line] = weakref.WeakSet()

    def mine(self) -> _Line:
        """The connection of this thread, for use in a `with` block."""
        try:
            line: _Line = self._mine.line
        except AttributeError:
            line = self._mine.line = _Line(self._path, self._budget)
            with _gate:
                self._lines.add(line)
                _lines.add(line)
        return line

    @contextlib.contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """One transaction on it, which is undone where an error leaves the block.

        Raises:
            Unavailable: The file did not do it; `Refused` where it could do other work.
        """
        try:
            with self.mine() as db, db:
                db.execute(f"BEGIN {kind}")
                yield db
        except sqlite3.DatabaseError as error:
            raise failure(error) from error

    def close(self) -> None:
        """Give back the connections; a call that follows makes a new one."""
        with _gate:
            lines = list(self._lines)
        for line in lines:
            line.close()


def try_file(path: Path, budget: float) -> None:
    """Refuse a file that will never do; one that is locked or read-only may do later."""
    try:
        _connect(path, budget).close()
    except sqlite3.DatabaseError as error:
        code = _code(error)
        if code == sqlite3.SQLITE_CANTOPEN:
            raise ValueError(
                f"cannot open {path}; expected a file that this process may write, in a "
                "directory where it may make files"
            ) from error
        if code in (None, sqlite3.SQLITE_NOTADB):
            raise ValueError(
                f"{path} is not a cache but some other file ({error}); give the path of "
                "a new file, or delete this one"
            ) from error


class _Line:
    """A thread's connection to a file, made when it is needed; for use in a `with` block."""

    def __init__(self, path: Path, budget: float) -> None:
        self._path, self._budget = path, budget
        self._connection: sqlite3.Connection | None = None
        self.lock = threading.RLock()

    def __enter__(self) -> sqlite3.Connection:
        self.lock.acquire()
        if self._connection is None:
            try:
                self._connection = _connect(self._path, self._budget)
            except BaseException:
                self.lock.release()
                raise
        return self._connection

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def close(self) -> None:
        """Give the connection back, when the call that uses it has ended."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    __del__ = close


_held: list[_Line] = []


def _before_fork() -> None:
    """Close every connection: a child may neither use nor close one that its parent has opened."""
    _gate.acquire()
    for line in list(_lines):
        line.lock.acquire()
        line.close()
        _held.append(line)


def _after_fork() -> None:
    while _held:
        _held.pop().lock.release()
    _gate.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _connect(path: Path, budget: float) -> sqlite3.Connection:
    # SQLite would make the file readable for others. Only a file that is missing may be opened
    # here: to close one that is there would end the locks that this process has on it.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=budget, isolation_level=None, check_same_thread=False)
    try:
        if 0 < path.stat().st_size < _SMALLEST:  # which SQLite would take for an empty one
            raise sqlite3.DatabaseError("too short for a database")
        if _marks(db) != (_APPLICATION, _LAYOUT):
            with db:
                db.execute("BEGIN IMMEDIATE")
                _lay_out(db)
        _use_wal(db, time.monotonic() + budget)
        db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def _marks(db: sqlite3.Connection) -> tuple[int, int]:
    """Whose database it is, and its layout."""
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    layout: int = db.execute("PRAGMA user_version").fetchone()[0]
    return application, layout


def _lay_out(db: sqlite3.Connection) -> None:
    """Make the tables, in the place of those of another layout, unless somebody just did."""
    application, layout = _marks(db)
    if (application, layout) == (_APPLICATION, _LAYOUT):
        return
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    if tables and application != _APPLICATION:
        raise sqlite3.DatabaseError("a database of another program")
    for (name,) in tables:
        db.execute(f'DROP TABLE "{name}"')
    # Not executescript, which would commit first.
    statement = ""
    for part in _TABLES.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    db.execute(f"PRAGMA application_id = {_APPLICATION}")
    db.execute(f"PRAGMA user_version = {_LAYOUT}")


def _use_wal(db: sqlite3.Connection, deadline: float) -> None:
    """Let readers and a writer work side by side, which the file remembers from then on."""
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:  # SQLite does not wait here while others open the file
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)


def _code(error: sqlite3.DatabaseError) -> int | None:
    """What SQLite calls the error; None: it is not one of SQLite."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def failure(error: sqlite3.DatabaseError) -> Unavailable:
    """What a store raises for an error of SQLite."""
    kind = Refused if _code(error) in _REFUSALS else Unavailable
    return kind(f"the file of the cache: {error}")
