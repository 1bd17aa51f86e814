"""Sources for writing behind: in memory, and in a file that processes share."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from labkit.cache import Write


class Plain:
    """A source without versions, which keeps what it is told and in which order.

    Attributes:
        rows: The values by their keys.
        told: The keys and values that it was told to write, None for deletions.
        asked: The keys that it was asked for.
        failing: What it raises, by the values for which it does; ALL for all.
        tried: How many values it was told to write, and may have refused.
    """

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self.told: list[tuple[Any, Any]] = []
        self.asked: list[Any] = []
        self.failing: dict[Any, Exception] = {}
        self.tried = 0

    def load(self, key: Any) -> Any:
        self.asked.append(key)
        return self.rows.get(key)

    def load_many(self, keys: Sequence[Any]) -> dict[Any, Any]:
        self.asked += keys
        return {key: self.rows[key] for key in keys if key in self.rows}

    def save(self, key: Any, value: Any) -> None:
        self.check(value)
        self.told.append((key, value))
        self.rows[key] = value

    def delete(self, key: Any) -> None:
        self.check(None)
        self.told.append((key, None))
        self.rows.pop(key, None)

    def versions(self, keys: Sequence[Any]) -> dict[Any, Any]:
        return {}

    def check(self, value: Any) -> None:
        self.tried += 1
        for wrong in (ALL, value):
            if wrong in self.failing:
                raise self.failing[wrong]


ALL = object()
POISON = "poison"


class Versioned(Plain):
    """A source with `apply`.

    Attributes:
        batches: The writes of each transaction that was carried out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.applied: dict[Any, int] = {}
        self.batches: list[list[Write[Any, Any]]] = []

    def apply(self, writes: Sequence[Write[Any, Any]]) -> None:
        for write in writes:
            self.check(write.value)
        self.batches.append(list(writes))
        for write in writes:
            if write.version <= self.applied.get(write.key, 0):
                continue
            self.applied[write.key] = write.version
            if write.value is None:
                super().delete(write.key)
            else:
                super().save(write.key, write.value)


class PlainLedger:
    """A source in a SQLite file, without versions, and a log of what it was told.

    Args:
        path: The file.
        who: What the log says of who has written.
    """

    def __init__(self, path: Path | str, who: str = "") -> None:
        self._path = str(path)
        self._who = who
        with self._open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS rows (key PRIMARY KEY, value, version INTEGER)")
            db.execute("CREATE TABLE IF NOT EXISTS log (key, value, version INTEGER, who)")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=30)) as db, db:
            db.execute("PRAGMA synchronous = OFF")  # processes are killed here, not the machine
            yield db

    def rows(self) -> dict[Any, Any]:
        """The values that are there."""
        with self._open() as db:
            found = db.execute("SELECT key, value FROM rows WHERE value IS NOT NULL").fetchall()
        return {key: json.loads(value) for key, value in found}

    def log(self) -> dict[Any, list[tuple[int, Any, str]]]:
        """What was written to each key, in its order: the version, the value, and by whom."""
        with self._open() as db:
            found = db.execute("SELECT key, version, value, who FROM log ORDER BY rowid").fetchall()
        entries: dict[Any, list[tuple[int, Any, str]]] = {}
        for key, version, value, who in found:
            entries.setdefault(key, []).append((version, json.loads(value), who))
        return entries

    def load(self, key: Any) -> Any:
        return self.rows().get(key)

    def load_many(self, keys: Sequence[Any]) -> dict[Any, Any]:
        return {key: value for key, value in self.rows().items() if key in keys}

    def save(self, key: Any, value: Any) -> None:
        with self._open() as db:
            self._write(db, key, value, 2**62)

    def delete(self, key: Any) -> None:
        self.save(key, None)

    def versions(self, keys: Sequence[Any]) -> dict[Any, Any]:
        return {}

    def _write(self, db: sqlite3.Connection, key: Any, value: Any, version: int) -> None:
        if value == POISON:
            raise ValueError("poison")
        done = db.execute(
            "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
            " SET value = excluded.value, version = excluded.version"
            " WHERE excluded.version > rows.version OR excluded.version = 1 << 62",
            (key, None if value is None else json.dumps(value), version),
        )
        if done.rowcount:
            entry = (key, json.dumps(value), version, self._who)
            db.execute("INSERT INTO log VALUES (?, ?, ?, ?)", entry)


class Ledger(PlainLedger):
    """The same with versions."""

    def apply(self, writes: Sequence[Write[Any, Any]]) -> None:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            for write in writes:
                self._write(db, write.key, write.value, write.version)
