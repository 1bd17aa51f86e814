"""How far a restore has come, noted so that it goes on after it was cut off."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import msgspec

from labkit.inspect.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from labkit.inspect.backup.databases import Databases

PREFIX = "labkit:restoring:"

_COUNTS = ("restored", "replaced", "skipped", "expired")


@dataclass(frozen=True)
class Restored:
    """What came of the keys of a backup; each counts once.

    Attributes:
        restored: So many were not there and are now.
        replaced: So many were there and have the value of the backup now.
        skipped: So many were there and were left as they are.
        expired: So many have expired since they were saved, and were not written.
    """

    restored: int
    replaced: int
    skipped: int
    expired: int


class _Begun(msgspec.Struct, tag="begun"):
    token: str
    backup: str


class _Ended(msgspec.Struct, tag="ended"):
    counts: list[int]


class Notes:
    """How far a restore has come: on the disk its random number, in each database the rest.

    Attributes:
        key: The key of the hash with the rest.
        next: The number of the block that is to be written next.
        ended: Whether all was written, and the notes in the databases are gone.
    """

    def __init__(
        self, path: Path, backup: str, clients: Databases, databases: Iterable[int]
    ) -> None:
        self._path = path
        self._backup = backup
        self._clients = clients
        self._databases = tuple(databases)
        self._journal: Journal | None = Journal(path) if path.exists() else None
        begun, self._ended = self._read()
        self.key = f"{PREFIX}{begun.token}".encode()
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)
            if begun.backup != backup:
                raise ValueError(
                    f"{path} is of another backup, whose restore did not end. To begin this one, "
                    f"remove the file, and the key {self.key.decode()} where it was restored to"
                )
            states = self._states()
            stack.pop_all()
        self.next = max((int(state[0]) for state in states), default=0)
        self.ended = self._ended is not None and not states

    def begin(self) -> None:
        """Take the random number to the disk, before anything is written."""
        if self._journal is None:
            self._journal = Journal(self._path, new=True)
        token = self.key.decode().removeprefix(PREFIX)
        self._journal.append(msgspec.msgpack.encode(_Begun(token, self._backup)))

    def end(self) -> Restored:
        """Remove all notes; what came of the keys."""
        assert self._journal is not None
        if not self.ended or self._ended is None:
            states = self._states()
            counts = [sum(int(count or 0) for count in one) for one in zip(*states, strict=True)]
            self._ended = _Ended(counts[1:] or [0] * len(_COUNTS))
            self._journal.append(msgspec.msgpack.encode(self._ended))
        for number in self._databases:
            self._clients(number).delete(self.key)
        self.close()
        self._path.unlink()
        return Restored(*self._ended.counts)

    def close(self) -> None:
        """Close the file; the notes stay. Harmless when repeated."""
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> tuple[_Begun, _Ended | None]:
        begun, ended = _Begun(secrets.token_hex(8), self._backup), None
        for record in () if self._journal is None else self._journal.records():
            told = msgspec.msgpack.decode(record, type=_Begun | _Ended)
            begun, ended = (told, None) if isinstance(told, _Begun) else (begun, told)
        return begun, ended

    def _states(self) -> list[list[Any]]:
        """The next block and the counts, from each database that has notes."""
        if self._journal is None:
            return []
        found = [
            self._clients(number).hmget(self.key, ["next", *_COUNTS]) for number in self._databases
        ]
        return [state for state in found if state[0] is not None]
