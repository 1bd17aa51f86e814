"""Restoring the keys of a backup."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import redis

from labkit.inspect.backup.blocks import ahead, count, existing
from labkit.inspect.backup.counted import hashed
from labkit.inspect.backup.databases import Databases, about
from labkit.inspect.backup.notes import PREFIX, Notes, Restored
from labkit.inspect.backup.reader import Reader
from labkit.inspect.pace import Pace
from labkit.inspect.printing import quoted
from labkit.inspect.scripts import ask, refuse_others

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from labkit.inspect.backup.layout import Block, Summary

_How = Literal["refuse", "skip", "replace"]

_SHOWN = 3  # names that an error shows


class Conflict(ValueError):
    """Keys that would be restored are there already."""


class NotAccepted(ValueError):
    """The server cannot read values that another one dumped."""


def verify(path: str | os.PathLike[str]) -> Summary:
    """Read all of a backup, and say what is in it.

    Raises:
        FileNotFoundError: There is no such file.
        Damaged: It is not what was written.
    """
    with Reader(Path(path)) as file:
        return file.check()[0]


def restore(
    client: redis.Redis,
    path: str | os.PathLike[str],
    *,
    conflict: _How = "refuse",
    rate: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Restored:
    """Write the keys of a backup, each into the database that it came from.

    The whole file is read first, the server is asked whether it takes such values, and, with
    "refuse", whether there are keys of the same names. All that changes nothing.

    What was done is noted in the server, in a hash `labkit:restoring:` and a random number, in the
    same step as the keys are written; `<path>.restoring` has this number. Both are gone at the end.
    After it was cut off, call it again: keys that it wrote are no conflicts, and what has become of
    them since is left alone.

    Args:
        client: Of the server where the keys shall be. Its user needs `+restore +pexpireat +exists
            +time +hget +hset +hincrby +hmget +del +eval +evalsha`, `~*`, and `+select` for other
            databases than 0.
        path: The backup.
        conflict: What to do if a key is there: "refuse" writes nothing if there is any (one that
            comes while it writes ends it, and stays), "skip" leaves it as it is, "replace" writes
            that of the backup in its place.
        rate: How many keys a second at most, on average over a step of some `BATCH` keys. None: as
            fast as they go.
        progress: Called after each step with the number of keys so far, of this call.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: The client is not a synchronous one of one server.
        ValueError: There is no such way with conflicts, the rate makes no sense, the server is part
            of a cluster, or another backup of this name was being restored.
        Damaged: The file is not what was written.
        Conflict: There are keys of the same names.
        NotAccepted: The server cannot read the values, which a newer one dumped.
        BlockingIOError: Another process restores this file.
        redis.RedisError: What the server refuses.
    """
    refuse_others(client)
    if conflict not in get_args(_How):
        raise ValueError(f'conflict is {conflict!r}; expected "refuse", "skip" or "replace"')
    pace = Pace(rate)
    with Reader(Path(path)) as file, Databases(client) as clients:
        summary, repeated, digest = file.check()
        about(client)
        with Notes(Path(f"{path}.restoring"), digest, clients, summary.counts) as notes:
            if notes.ended and _any(file, clients):
                return notes.end()
            plan = _Plan(file, clients, conflict, repeated)
            plan.check(notes.next)
            notes.begin()
            plan.run(notes, pace, progress)
            return notes.end()


class _Plan:
    """What a restore does with the blocks of a file."""

    def __init__(
        self, file: Reader, clients: Databases, conflict: _How, repeated: frozenset[int]
    ) -> None:
        self._file = file
        self._clients = clients
        self._conflict = conflict
        self._repeated = repeated
        self._last: dict[tuple[int, bytes], tuple[int, int]] = {}

    def check(self, first: int) -> None:
        """Refuse what cannot be restored from a block on, and learn which records count."""
        tried: set[tuple[int, int]] = set()
        taken, names = 0, list[bytes]()
        for number, block in ahead(self._file.blocks(first)):
            client = self._clients(block.database)
            for dump in block.dumps:
                if (kind := (block.database, dump[0])) not in tried:
                    tried.add(kind)
                    self._try(client, dump)
            if self._conflict == "refuse" and (there := count(client, block.keys)):
                taken += there
                names += existing(client, block.keys) if len(names) < _SHOWN else ()
            self._learn(number, block)
        if taken:
            raise Conflict(_conflicts(taken, names) + "; nothing was written")

    def run(self, notes: Notes, pace: Pace, progress: Callable[[int], None] | None) -> None:
        """Write the blocks that are left."""
        done = 0
        for number, block in ahead(self._file.blocks(notes.next)):
            rows = [
                (key, expiry, dump)
                for at, (key, expiry, dump) in enumerate(
                    zip(block.keys, block.expiries, block.dumps, strict=True)
                )
                if self._last.get((block.database, key), (number, at)) == (number, at)
            ]
            pace.wait(len(rows))
            words = [word for _, *value in rows for word in value]
            keys = [notes.key, *(key for key, *_ in rows)]
            client = self._clients(block.database)
            with self._explained(client):
                taken = ask(client, "backup_restore", keys, self._conflict, number + 1, *words)
            if taken:
                advice = "they came meanwhile and stay; what was written before stays, too"
                raise Conflict(f"{_conflicts(len(taken), taken)}; {advice}")
            done += len(rows)
            if progress is not None:
                progress(done)

    def _learn(self, number: int, block: Block) -> None:
        if self._repeated:
            for at, key in enumerate(block.keys):
                if hashed(block.database, key) in self._repeated:
                    self._last[block.database, key] = (number, at)

    def _try(self, client: redis.Redis, dump: bytes) -> None:
        """Let the server read a value of a key that has expired long ago, so that it stays away."""
        name = f"{PREFIX}{secrets.token_hex(8)}"
        try:
            with self._explained(client):
                client.restore(name, 1, dump, absttl=True)
        except redis.ResponseError as error:
            if "syntax error" not in str(error):  # fakeredis has no ABSTTL
                raise

    @contextlib.contextmanager
    def _explained(self, client: redis.Redis) -> Iterator[None]:
        try:
            yield
        except redis.ResponseError as error:
            if not any(words in str(error) for words in ("DUMP payload", "Bad data format")):
                raise
            header, here = self._file.header, about(client)
            raise NotAccepted(
                f"{_named(here.product, here.version)} does not take values that "
                f"{_named(header.product, header.version)} dumped ({error}); nothing was written. "
                "Restore into a server of that version, or a later one of its kind"
            ) from error


def _any(file: Reader, clients: Databases) -> bool:
    return any(count(clients(block.database), block.keys) for _, block in file.blocks())


def _conflicts(count: int, keys: Sequence[bytes]) -> str:
    names = ", ".join(quoted(key).decode("ascii") for key in keys[:_SHOWN])
    return f"{count:,} of the keys are there already, such as {names}"


def _named(product: str | None, version: str | None) -> str:
    return f"{product} {version}" if product else "a server of unknown version"
