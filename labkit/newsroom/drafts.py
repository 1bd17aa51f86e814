"""Drafts, saved every few seconds while somebody writes: the case for writing behind a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from labkit.newsroom import checks
from labkit.newsroom.records import Draft
from labkit.newsroom.schema import drafts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.newsroom.base import Database

_LARGEST = 2**63 - 1  # version that the databases have room for

_there = drafts.c.body.is_not(None)
_among = drafts.c.article_id.in_(sa.bindparam("ids", expanding=True))
_number = drafts.c.article_id.label("id")
_DRAFTS = sa.select(_number, drafts.c.title, drafts.c.body, drafts.c.saved_at).where(_there)
_VERSIONS = sa.select(_number, drafts.c.version).where(_there, _among)


class Write(Protocol):
    """One write of several: the value of a key, and where it stands among those of the key."""

    @property
    def key(self) -> int:
        """The number of the article."""

    @property
    def value(self) -> Draft | None:
        """Its draft; None deletes it."""

    @property
    def version(self) -> int:
        """A whole number from 1 to 2**63 - 1; the highest write of a key counts."""


class DraftSource:
    """The drafts of a newsroom by the numbers of their articles, which need not exist yet.

    Each row keeps the version of its last write, also where that was a deletion: a write that comes
    late, or twice, finds its version no higher, and changes nothing. Drafts are what readers do not
    see; the outbox has no notes of them.

    Attributes:
        returning: `save` answers what is stored.
    """

    returning = True

    def __init__(self, db: Database) -> None:
        self._db = db

    def load(self, key: int) -> Draft | None:
        """The draft; None: there is none."""
        return self.load_many([key]).get(key)

    def load_many(self, keys: Iterable[int]) -> dict[int, Draft]:
        """Those of the drafts that are there, in one read."""
        rows = self._db._ask_many("drafts_of", _DRAFTS.where(_among), keys)
        return {number: _draft(row) for number, row in rows.items()}

    def all(self) -> dict[int, Draft]:
        """Every draft by the number of its article, ascending, in one read."""
        rows = self._db._ask("drafts", _DRAFTS.order_by(drafts.c.article_id))
        return {row.id: _draft(row) for row in rows}

    def versions(self, keys: Iterable[int]) -> dict[int, int]:
        """The versions of those that are there, in one read."""
        rows = self._db._ask_many("draft_versions", _VERSIONS, keys)
        return {number: row.version for number, row in rows.items()}

    def save(self, key: int, value: Draft) -> Draft:
        """Write a draft, whatever is there; its version is one higher.

        Returns:
            The draft.

        Raises:
            TypeError: A field is of the wrong kind.
            ValueError: The draft is of another article than `key`, or cannot be kept.
        """
        self._put(key, value)
        return value

    def delete(self, key: int) -> None:
        """Remove the draft, if it is there; the version is one higher."""
        self._put(key, None)

    def apply(self, writes: Iterable[Write]) -> None:
        """Carry out many writes in one transaction, each unless it is older than what is there.

        Writes may come in any order and any number of times: of each key the one with the highest
        version is what stays.

        Raises:
            TypeError: A field is of the wrong kind; nothing was written.
            ValueError: A draft is of another article than its key, or cannot be kept, or a version
                is out of range; nothing was written.
        """
        highest: dict[int, dict[str, Any]] = {}
        for write in writes:
            row = {**_row(write.key, write.value), "version": _version(write.version)}
            known = highest.get(write.key)
            if known is None or known["version"] < row["version"]:
                highest[write.key] = row
        # In the order of their numbers, so that no two writers wait for each other.
        rows = [highest[key] for key in sorted(highest)]
        if rows:
            self._db._write(lambda connection: connection.execute(_if_newer(connection), rows))

    def _put(self, key: int, value: Draft | None) -> None:
        row = _row(key, value)

        def put(connection: sa.Connection) -> None:
            if connection.execute(_over(connection), row).first() is None:
                raise ValueError(f"draft {key} has the highest version there is; nothing follows")

        self._db._write(put)


def _draft(row: sa.Row[Any]) -> Draft:
    return Draft(row.id, row.title, row.body, row.saved_at)


def _row(key: int, value: Draft | None) -> dict[str, Any]:
    """The columns of a draft, checked; one that is deleted has none but its number."""
    if not 1 <= checks.number("key", key) < _LARGEST:
        raise ValueError(f"key is {key}; expected the number of an article, from 1")
    if value is None:
        return {"article_id": key, "title": None, "body": None, "saved_at": None, "version": 1}
    if not isinstance(value, Draft):
        raise TypeError(f"the value of key {key!r} is {value!r}; expected a Draft, or None")
    if value.article_id != key:
        raise ValueError(f"the key is {key!r}, but the draft is of article {value.article_id!r}")
    return {
        "article_id": key,
        "title": checks.storable("title", value.title),
        "body": checks.storable("body", value.body),
        "saved_at": checks.moment("saved_at", value.saved_at),
        "version": 1,
    }


def _version(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"version is {value!r}; expected a whole number")
    if not 1 <= value <= _LARGEST:
        raise ValueError(f"version is {value}; expected a whole number from 1 to 2**63 - 1")
    return value


def _upsert(connection: sa.Connection) -> tuple[postgresql.Insert | sqlite.Insert, dict[str, Any]]:
    """An INSERT of the database's own kind, and what it would have written where a row is."""
    postgres = connection.dialect.name == "postgresql"
    insert = postgresql.insert(drafts) if postgres else sqlite.insert(drafts)
    names = ("title", "body", "saved_at", "version")
    return insert, {name: insert.excluded[name] for name in names}


def _over(connection: sa.Connection) -> sa.Executable:
    """Writes a row over what is there, with a version above it; answers that, if there is one."""
    insert, new = _upsert(connection)
    new["version"] = drafts.c.version + 1
    risen = drafts.c.version < _LARGEST
    upsert = insert.on_conflict_do_update(index_elements=["article_id"], set_=new, where=risen)
    return upsert.returning(drafts.c.version)


def _if_newer(connection: sa.Connection) -> sa.Insert:
    """Writes rows over those there are that have lower versions."""
    insert, new = _upsert(connection)
    older = drafts.c.version < insert.excluded.version
    return insert.on_conflict_do_update(index_elements=["article_id"], set_=new, where=older)
