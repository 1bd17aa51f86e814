"""Values in a file, an SQLite database, shared by the processes of one machine.

Whatever decides is one transaction that holds the right to write from its start. In the file stand:

    spaces   the namespaces; clear takes the name away, and the next write makes a new one
    entries  the values, with their tags' names, numbered in the order in which they were written
    tags     the tags that values carry; to drop one takes its name away
    marks    which value carries which tag
    leases   the loads that are under way, and the tags that their values will carry
    meter    how many bytes the entries hold

A value counts while its namespace and all of its tags have their names. A load counts while it has
its lease, so whatever makes a load worthless takes its lease away. What nobody can read any more is
removed by the writes that follow, a few rows each.

`file_lines` has the connections, and the tables in SQL.
"""

from __future__ import annotations

import json
import math
import secrets
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.cache.backends.base import Busy, Claim, Found, Seen, Times
from labkit.cache.backends.file_lines import FileLines, failure, try_file
from labkit.clock import duration

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from labkit.clock import Clock

_SPACE = "(SELECT id FROM spaces WHERE name = ?)"
_COUNTS = """expires > ? AND NOT EXISTS (
    SELECT 1 FROM marks LEFT JOIN tags ON tags.id = marks.tag
    WHERE marks.entry = entries.id AND tags.name IS NULL
)"""
_READABLE = f"space = {_SPACE} AND key = ? AND {_COUNTS}"
_GET = f"SELECT payload, expires, tags FROM entries WHERE {_READABLE}"
_TIMES = (
    f"SELECT expires FROM entries WHERE space = {_SPACE} AND {_COUNTS} ORDER BY random() LIMIT ?"
)
_THERE = f"SELECT 1 FROM entries WHERE space = {_SPACE} AND key = ? AND expires > ?"
_HELD = f"SELECT token, until FROM leases WHERE space = {_SPACE} AND key = ? AND until > ?"
_LOADS, _WRITES = b"L", b"W"  # what the tokens of claims begin with
_END = f"DELETE FROM leases WHERE space = {_SPACE} AND key = ?"
# A key that starts with a prefix lies below the prefix and 0xFF, which is no byte of UTF-8.
_STARTS = f"space = {_SPACE} AND key >= ? AND key < ?"

_ROWS = 16  # that a write removes of each kind
_EXPIRED = f"SELECT id FROM entries WHERE expires <= ? LIMIT {_ROWS}"
_DROPPED = f"""SELECT entry FROM marks
    WHERE tag = (SELECT id FROM tags WHERE name IS NULL LIMIT 1) LIMIT {_ROWS}"""
_CLEARED = f"""SELECT id FROM entries
    WHERE space = (SELECT id FROM spaces WHERE name IS NULL LIMIT 1) LIMIT {_ROWS}"""
_EMPTY = "name IS NULL AND NOT EXISTS (SELECT 1 FROM entries WHERE space = spaces.id)"

_CHUNK = 1000  # keys that are deleted in one transaction, while other writers wait
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05  # seconds between two looks at a lease


class FileTier:
    """Keeps values in a file, which outlives its processes.

    The file is an SQLite database of its own on a local disk; a `-wal` and a `-shm` file lie beside
    it while it is open. Any number of processes of one machine may use it. Times to live and leases
    go by the wall clock, since processes and restarts share them: a clock that is set back makes
    values live longer.

    Args:
        path: The file; it is made where it is missing, for its owner only, in a directory that is
            there.
        budget: The longest that a call waits for other writers.
        max_bytes: How many bytes of keys and values the file may hold, all namespaces together;
            what was written first goes first. The file itself is somewhat larger, and does not
            shrink.
        clock: Tells the time.

    Raises:
        ValueError: The file cannot be made, is no database, or is one of another program.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        budget: float | str = "250ms",
        max_bytes: int | None = None,
        clock: Clock = time.time,
    ) -> None:
        self.path = Path(path).absolute()
        self.budget = duration(budget)
        if self.budget <= 0:
            raise ValueError(f"budget is {budget!r}; expected a time above 0")
        if max_bytes is not None and max_bytes <= 0:
            raise ValueError(f"max_bytes is {max_bytes}; expected a number above 0, or None")
        self.max_bytes = max_bytes
        self.clock = clock
        if not self.path.parent.is_dir():
            raise ValueError(f"there is no directory {self.path.parent}; make it first")
        try_file(self.path, self.budget)

    def open(self, namespace: str) -> FileStore:
        """A store for the values of one namespace."""
        return FileStore(self, namespace)

    def __repr__(self) -> str:
        return f"<FileTier {str(self.path)!r} budget={self.budget:g}s>"


class FileStore:
    """The values of one namespace in a file; see `backends.base.Store` for the methods."""

    blocking = True

    def __init__(self, tier: FileTier, namespace: str) -> None:
        self._tier = tier
        self._name = _bytes(namespace)
        self._now = tier.clock
        self._lines = FileLines(tier.path, tier.budget)

    # --- Reading

    def get(self, key: str, tags: Sequence[str] = (), *, ttl: bool = False) -> Found | None:
        """The value of a key, or None."""
        # One statement needs no transaction around it, which would take longer than the statement.
        try:
            with self._lines.mine() as db:
                return self._found(db, key, ttl)
        except sqlite3.DatabaseError as error:
            raise failure(error) from error

    def get_many(self, keys: Sequence[str], *, ttl: bool = False) -> list[Found | None]:
        """The values of keys, in their order, None where there is none."""
        with self._lines.transaction("DEFERRED") as db:
            return [self._found(db, key, ttl) for key in keys]

    def _found(self, db: sqlite3.Connection, key: str, ttl: bool) -> Found | None:
        now = self._now()
        row = db.execute(_GET, (self._name, _bytes(key), now)).fetchone()
        if row is None:
            return None
        payload, expires, tags = row
        left = expires - now if ttl and expires != math.inf else None
        return Found(payload, left, tuple(json.loads(tags)) if tags else ())

    def times(self, most: int) -> Times:
        """How long values have left, so many of them at most; see `backends.base.Timed`."""
        now = self._now()
        with self._lines.transaction("DEFERRED") as db:
            rows = db.execute(_TIMES, (self._name, now, most + 1)).fetchall()
        left = [None if expires == math.inf else expires - now for (expires,) in rows]
        return Times(left[:most], len(left) <= most)

    def look(self, key: str) -> Seen:
        """What stands under a key; see `backends.base.Seeing`."""
        place = (self._name, _bytes(key), self._now())
        with self._lines.transaction("DEFERRED") as db:
            found = self._found(db, key, ttl=True)
            there = db.execute(_THERE, place).fetchone() is not None
            held = db.execute(_HELD, place).fetchone()
        claimed = held[1] - place[2] if held else None
        return Seen(found, dead=there and found is None, claimed=claimed)

    # --- Writing

    def set(
        self, key: str, payload: bytes, ttl: float | None = None, tags: Sequence[str] = ()
    ) -> None:
        """Store a value; loads of the key that are under way will not be kept."""
        self.set_many([(key, payload)], [ttl], tags)

    def set_many(
        self,
        items: Sequence[tuple[str, bytes]],
        ttls: Sequence[float | None],
        tags: Sequence[str] = (),
    ) -> None:
        """Store several values, each as `set` does."""
        with self._lines.transaction() as db:
            for (key, payload), ttl in zip(items, ttls, strict=True):
                db.execute(_END, (self._name, _bytes(key)))
                self._put(db, key, payload, ttl, tags)
            self._tidy(db)

    def expire(self, key: str, ttl: float) -> bool:
        """Give a value a new time to live; False where there is none."""
        now = self._now()
        with self._lines.transaction() as db:
            done = db.execute(
                f"UPDATE entries SET expires = ? WHERE {_READABLE}",
                (now + ttl, self._name, _bytes(key), now),
            )
            return done.rowcount > 0

    def delete(self, keys: Sequence[str]) -> int:
        """Delete values and refuse the loads of them that are under way; answers how many."""
        gone = 0
        with self._lines.transaction() as db:
            for key in keys:
                place = (self._name, _bytes(key))
                db.execute(_END, place)
                done = db.execute(f"DELETE FROM entries WHERE {_READABLE}", (*place, self._now()))
                gone += done.rowcount
        return gone

    def drop_tags(self, tags: Sequence[str]) -> None:
        """Make every value with one of the tags unreadable, and refuse loads that carry one."""
        with self._lines.transaction() as db:
            db.executemany(
                f"UPDATE tags SET name = NULL WHERE name = ? AND space = {_SPACE}",
                [(_bytes(tag), self._name) for tag in tags],
            )
            leases = f"SELECT key, tags FROM leases WHERE space = {_SPACE}"
            for key, carried in db.execute(leases, (self._name,)).fetchall():
                if not set(tags).isdisjoint(json.loads(carried)):
                    db.execute(_END, (self._name, key))

    def delete_prefix(self, prefix: str) -> int:
        """Delete every value whose key starts so; refuse the loads under way; answers how many."""
        start = _bytes(prefix)
        place = (self._name, start, start + b"\xff")
        with self._lines.transaction() as db:
            db.execute(f"DELETE FROM leases WHERE {_STARTS}", place)
            (newest,) = db.execute("SELECT max(id) FROM entries").fetchone()
        gone, found = 0, _CHUNK
        while found == _CHUNK:
            with self._lines.transaction() as db:
                found = db.execute(
                    "DELETE FROM entries WHERE id IN (SELECT id FROM entries "
                    f"WHERE {_STARTS} AND {_COUNTS} AND id <= ? LIMIT {_CHUNK})",
                    (*place, self._now(), newest),
                ).rowcount
            gone += found
        return gone

    def clear(self) -> None:
        """Make every value of the namespace unreadable, and refuse the loads under way."""
        with self._lines.transaction() as db:
            db.execute(f"DELETE FROM leases WHERE space = {_SPACE}", (self._name,))
            db.execute("UPDATE spaces SET name = NULL WHERE name = ?", (self._name,))

    # --- Loading

    def claim(
        self,
        key: str,
        tags: Sequence[str] = (),
        *,
        lease: float,
        force: bool = False,
        over: bool = False,
        write: bool = False,
    ) -> Claim | Busy | Found:
        """Take the right to load a key for `lease` seconds, or say why not."""
        with self._lines.transaction() as db:
            return self._claim(db, key, tuple(tags), lease, force, over, write)

    def claim_many(
        self, keys: Sequence[str], tags: Sequence[str] = (), *, lease: float, over: bool = False
    ) -> list[Claim | Busy | Found]:
        """Take the right to load several keys, each as `claim` does, in their order."""
        with self._lines.transaction() as db:
            return [self._claim(db, key, tuple(tags), lease, False, over) for key in keys]

    def _claim(
        self,
        db: sqlite3.Connection,
        key: str,
        tags: tuple[str, ...],
        lease: float,
        force: bool,
        over: bool,
        write: bool = False,
    ) -> Claim | Busy | Found:
        if not (force or over or write) and (found := self._found(db, key, ttl=True)):
            return found
        now = self._now()
        held = db.execute(_HELD, (self._name, _bytes(key), now)).fetchone()
        if held and (not force or held[0].startswith(_WRITES)):
            return Busy(held[1] - now)
        if write:
            place = (self._name, _bytes(key), now)
            db.execute(f"DELETE FROM entries WHERE {_READABLE}", place)
        claim = Claim(key, tags, (_WRITES if write else _LOADS) + secrets.token_bytes(15))
        db.execute(
            "REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
            (self._space(db), _bytes(key), claim.token, now + lease, json.dumps(claim.tags)),
        )
        return claim

    def fill(self, claim: Claim, payload: bytes, ttl: float | None = None) -> bool:
        """Store what a claim loaded and end the claim; False where a fence refused it."""
        return self.fill_many([(claim, payload, ttl)])[0]

    def fill_many(self, fills: Sequence[tuple[Claim, bytes, float | None]]) -> list[bool]:
        """Store what claims loaded, each as `fill` does: (claim, payload, ttl)."""
        with self._lines.transaction() as db:
            kept = [self._fill(db, *fill) for fill in fills]
            self._tidy(db)
            return kept

    def _fill(
        self, db: sqlite3.Connection, claim: Claim, payload: bytes, ttl: float | None
    ) -> bool:
        held = db.execute(_HELD, (self._name, _bytes(claim.key), self._now())).fetchone()
        if not held or held[0] != claim.token:
            return False
        db.execute(_END, (self._name, _bytes(claim.key)))
        self._put(db, claim.key, payload, ttl, claim.tags)
        return True

    def release(self, claim: Claim) -> None:
        """End a claim without a value."""
        with self._lines.transaction() as db:
            db.execute(f"{_END} AND token = ?", (self._name, _bytes(claim.key), claim.token))

    def wait(self, key: str, seconds: float) -> None:
        """Return when a claim of the key ends, or after `seconds`.

        A file tells nobody that it has changed: this looks at it, first after a thousandth of a
        second, then more and more seldom, and at last twenty times a second.
        """
        end = time.monotonic() + seconds
        pause = _SHORTEST_PAUSE
        claim = self._holder(key)
        while claim and (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
            if self._holder(key) != claim:
                return

    def close(self) -> None:
        """Give back the connections; a call that follows makes a new one."""
        self._lines.close()

    # --- Words

    def _holder(self, key: str) -> bytes | None:
        """The token of the claim that a key is under."""
        with self._lines.transaction("DEFERRED") as db:
            held = db.execute(_HELD, (self._name, _bytes(key), self._now())).fetchone()
            return held[0] if held else None

    def _space(self, db: sqlite3.Connection) -> int:
        """The number of the namespace, made where it has none."""
        db.execute("INSERT OR IGNORE INTO spaces (name) VALUES (?)", (self._name,))
        number: int = db.execute(f"SELECT {_SPACE}", (self._name,)).fetchone()[0]
        return number

    def _put(
        self,
        db: sqlite3.Connection,
        key: str,
        payload: bytes,
        ttl: float | None,
        tags: Sequence[str],
    ) -> None:
        space, place = self._space(db), _bytes(key)
        expires = math.inf if ttl is None else self._now() + ttl
        # Not a REPLACE, which would run no trigger.
        db.execute("DELETE FROM entries WHERE space = ? AND key = ?", (space, place))
        row = (space, place, expires, payload, json.dumps(list(tags)) if tags else None)
        number = db.execute(
            "INSERT INTO entries (space, key, expires, payload, tags) VALUES (?, ?, ?, ?, ?)", row
        ).lastrowid
        for name in {_bytes(tag) for tag in tags}:
            db.execute("INSERT OR IGNORE INTO tags (space, name) VALUES (?, ?)", (space, name))
            db.execute(
                "INSERT INTO marks SELECT ?, id FROM tags WHERE name = ? AND space = ?",
                (number, name, space),
            )

    def _tidy(self, db: sqlite3.Connection) -> None:
        """Remove a few rows that nobody can read any more, and what is beyond the bound."""
        now = self._now()
        db.execute(f"DELETE FROM entries WHERE id IN ({_EXPIRED})", (now,))
        db.execute(f"DELETE FROM entries WHERE id IN ({_DROPPED})")
        db.execute(f"DELETE FROM entries WHERE id IN ({_CLEARED})")
        db.execute(f"DELETE FROM spaces WHERE {_EMPTY}")
        db.execute("DELETE FROM leases WHERE until <= ?", (now,))
        if self._tier.max_bytes is not None:
            self._evict(db, self._tier.max_bytes)

    def _evict(self, db: sqlite3.Connection, most: int) -> None:
        """Remove the oldest values until the others are within the bound."""
        excess = db.execute("SELECT bytes FROM meter").fetchone()[0] - most
        number = 0
        oldest = db.execute("SELECT id, length(key) + length(payload) FROM entries ORDER BY id")
        while excess > 0:
            number, size = oldest.fetchone()
            excess -= size
        oldest.close()
        db.execute("DELETE FROM entries WHERE id <= ?", (number,))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
