"""What can be done to many keys, and taken back; one class each, which stands in the journal."""

# ruff: noqa: D102 - what the methods of each are for is said of `Action`

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from labkit.inspect.bulk.outcome import ENDLESS, MORTAL, OTHER
from labkit.inspect.scripts import ask, chunks, database_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from labkit.inspect.bulk.records import Before


class Action(msgspec.Struct):
    """What is done to keys, and taken back. Keys with targets come in turn with them."""

    looks: ClassVar[str] = "token"

    def words(self) -> str:
        """What is done to how many keys, `{}`."""
        raise NotImplementedError

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        """What the server does to one key."""
        raise NotImplementedError

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        """Do it, or with the mode "look" find out for which it was done; codes and marks."""
        raise NotImplementedError

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, marks: Sequence[bytes]
    ) -> list[int]:
        """Put back what it did; a code for each key."""
        raise NotImplementedError

    def declines(self, expiry: int) -> int:
        """The code of why nothing is to be done to a key, or 0."""
        return 0

    def goal(self, now: int) -> int:
        """What the expiries of keys shall be, in ms; of no meaning where they stay."""
        return -1

    def taken(self, client: redis.Redis, keys: Sequence[bytes]) -> list[int]:
        """Which targets are there, 1 or 0 for each."""
        return [0] * len(keys)


class Delete(Action, tag="delete"):
    """Removes keys; their values are kept in the journal."""

    looks: ClassVar[str] = "dump"

    def words(self) -> str:
        return "Delete {}"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        return ("UNLINK", *keys)

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        return ask(client, "bulk_delete", keys, mode, *turns(before.tokens, before.expiries)), []

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, marks: Sequence[bytes]
    ) -> list[int]:
        rows = turns(before.dumps, before.tokens, before.expiries)
        return ask(client, "bulk_restore", keys, *rows)


class Expire(Action, tag="expire"):
    """Sets a time to live in ms, or takes it away: None."""

    looks: ClassVar[str] = "expiry"

    ttl: int | None
    immortal: bool

    def words(self) -> str:
        if self.ttl is None:
            return "Let {} live for ever"
        return f"Let {{}} expire in {self.ttl / 1000:,g} s"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        return ("PERSIST", *keys) if self.ttl is None else ("PEXPIREAT", *keys, 1)

    def declines(self, expiry: int) -> int:
        if self.ttl is None and expiry == -1:
            return ENDLESS
        return MORTAL if self.immortal and expiry >= 0 else 0

    def goal(self, now: int) -> int:
        return -1 if self.ttl is None else now + self.ttl

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        goals = [before.to] * len(keys)
        return ask(client, "bulk_expire", keys, mode, *turns(before.expiries, goals)), []

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, marks: Sequence[bytes]
    ) -> list[int]:
        given = [before.to] * len(keys)
        came = ask(client, "bulk_expire", keys, "do", *turns(given, before.expiries))
        return [code or OTHER for code in came]


class Rename(Action, tag="rename"):
    """Gives keys other names."""

    def words(self) -> str:
        return "Rename {}"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        return ("RENAMENX", *keys)

    def taken(self, client: redis.Redis, keys: Sequence[bytes]) -> list[int]:
        return exist(client, keys[1::2], None)

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        return ask(client, "bulk_rename", keys, mode, *before.tokens), []

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, marks: Sequence[bytes]
    ) -> list[int]:
        back = turns(keys[1::2], keys[::2])
        return ask(client, "bulk_rename", back, "back", *before.tokens)


class Copy(Action, tag="copy"):
    """Copies keys, into another database or, None, their own."""

    database: int | None

    def words(self) -> str:
        return "Copy {}" if self.database is None else f"Copy {{}} to database {self.database}"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        where = () if self.database is None else ("DB", self.database)
        return ("COPY", *keys, *where)

    def taken(self, client: redis.Redis, keys: Sequence[bytes]) -> list[int]:
        return exist(client, keys[1::2], self.database)

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        where = _where(client, self.database)
        came, marks = ask(client, "bulk_copy", keys, mode, *where, *before.tokens)
        return came, marks

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: Before, marks: Sequence[bytes]
    ) -> list[int]:
        where = _where(client, self.database)
        return ask(client, "bulk_uncopy", keys[1::2], *where, *marks)


def exist(client: redis.Redis, keys: Sequence[bytes], database: int | None) -> list[int]:
    """Which keys are there, 1 or 0 for each, in a database or, None, the client's own."""
    where = _where(client, database)
    return [one for some in chunks(keys) for one in ask(client, "bulk_exist", some, *where)]


def _where(client: redis.Redis, database: int | None) -> tuple[Any, Any]:
    """A database other than the client's, as scripts are told it; and the client's own."""
    return ("" if database is None else database, database_of(client))


def turns(*columns: Sequence[Any]) -> list[Any]:
    """The values of columns, row by row."""
    return [value for row in zip(*columns, strict=True) for value in row]
