"""Backup and restore: keys of all types with their expiries, in one file with checksums.

What is read of a key is of one moment: value, type and expiry. Different keys are read at different
moments, as SCAN comes to them; a key that comes or goes meanwhile may be in the backup or not.

| What happens | What comes of it |
| --- | --- |
| `save` is cut off | `<path>.part` stays; called again, it goes on where it was |
| ... and the server was started again since | it begins anew: cursors of SCAN mean nothing then |
| `restore` is cut off | `<path>.restoring` stays; called again, it goes on where it was |
| The file is damaged | nothing is written |
| A key expires after it was saved | it is counted, and not written |
| SCAN gives a key twice | the later record counts |

How long a key was idle and how often it was used are not kept. fakeredis dumps values in a form of
its own, which contains pickled objects: restore into it only files that you trust.

Example:
    >>> backup.save(client, "game.backup").keys
    2
    >>> client.flushdb()
    True
    >>> backup.restore(client, "game.backup")
    Restored(restored=2, replaced=0, skipped=0, expired=0)
"""

from __future__ import annotations

import contextlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar, get_args

import msgspec
import redis
from redis.client import NEVER_DECODE

from labkit.inspect import info
from labkit.inspect.backup_file import Block, Damaged, Header, Reader, Summary, Writer, hashed
from labkit.inspect.bulk import Pace
from labkit.inspect.journal import Journal
from labkit.inspect.printing import quoted
from labkit.inspect.scripts import ask, database_of, refuse_others

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = [
    "BATCH",
    "ENOUGH",
    "Conflict",
    "Damaged",
    "Difference",
    "NotAccepted",
    "Restored",
    "Summary",
    "compare",
    "restore",
    "save",
    "verify",
]

BATCH = 1000
"""Keys that one step reads or writes, or a few more; the server serves nobody else meanwhile."""
ENOUGH = 4 * 2**20
"""Bytes of values after which a step ends; it is larger by one value at most."""

T = TypeVar("T")
_How = Literal["refuse", "skip", "replace"]

_SHOWN = 3  # names that an error shows
_NEAR = 2  # ms; Redis 6.2 tells expiries no better
_COUNTS = ("restored", "replaced", "skipped", "expired")


class Conflict(ValueError):
    """Keys that would be restored are there already."""


class NotAccepted(ValueError):
    """The server cannot read values that another one dumped."""


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


class Difference(NamedTuple):
    """A key that is not the same on two servers, and what differs."""

    key: bytes
    what: str


def save(
    client: redis.Redis,
    path: str | os.PathLike[str],
    *,
    pattern: str | bytes = "*",
    databases: Literal["all"] | Sequence[int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Save keys to a file, which replaces one of that name when it is whole.

    It is written as `<path>.part`, which only its owner may read. If that is there, of the same
    pattern, the same databases and a server that was not started again since, it goes on.

    Memory holds two steps of `BATCH` keys or `ENOUGH` bytes, and 8 bytes for each key. A value of
    more than 512 MB is saved, but a server takes it back only with a larger `proto-max-bulk-len`.

    Args:
        client: Whose server it is; a replica will do. On Redis and Valkey its user needs the rights
            `+scan +dump +type +pttl +pexpiretime +time +eval +evalsha`, the right to read the keys,
            `+select` for other databases than 0, and `+info`: without it, or on fakeredis, it
            cannot go on after it was cut off, nor save "all".
        path: Where the file shall be.
        pattern: Which keys, as for SCAN: `*`, `?`, `[ab]`.
        databases: The numbers of the databases; "all": those that have keys; None: the client's.
        progress: Called after each step with the number of keys so far.

    Raises:
        TypeError: The client is not a synchronous one of one server.
        ValueError: The databases make no sense, or the server is part of a cluster.
        LookupError: All databases are asked for, and the server does not tell which there are.
        BlockingIOError: Another process is writing this backup.
        redis.RedisError: What the server refuses.
    """
    refuse_others(client)
    header = _header(client, pattern, databases)
    with Writer(Path(path), header) as file, _Databases(client) as clients:
        numbers = file.header.databases
        first, cursor = file.place or (numbers[0] if numbers else 0, b"0")
        for number in numbers[numbers.index(first) :] if numbers else ():
            for block in _ahead(_blocks(clients(number), number, cursor, file.header.pattern)):
                file.write(block)
                if progress is not None:
                    progress(file.keys)
            cursor = b"0"
        return file.finish()


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
    with Reader(Path(path)) as file, _Databases(client) as clients:
        summary, repeated, digest = file.check()
        _server(client)
        with _Notes(Path(f"{path}.restoring"), digest, clients, summary.counts) as notes:
            if notes.ended and _any(file, clients):
                return notes.end()
            plan = _Plan(file, clients, conflict, repeated)
            plan.check(notes.next)
            notes.begin()
            plan.run(notes, pace, progress)
            return notes.end()


def compare(
    client: redis.Redis, other: redis.Redis, pattern: str | bytes = "*"
) -> Iterator[Difference]:
    """The differences between the databases of two clients, as they are found.

    Two keys are the same if their types, expiries (to 2 ms) and values are. Where DUMP says the
    same of both, so are the values. Else each is read as a whole: a list by its order, a set and a
    hash in any, the expiries of fields among it, scores to the last bit; of a stream its entries,
    last and deleted ids, groups and their consumers, and what is pending for whom, since when and
    how often. When a consumer was last seen does not matter. fakeredis does not tell since when.

    Memory holds two steps, as in `save`, and a value of each that differs in its dump. What changes
    meanwhile may show as a difference; a key that SCAN gives twice may be told twice.

    Args:
        client: The one.
        other: The other.
        pattern: Which keys, as for SCAN.

    Raises:
        TypeError: A client is not a synchronous one of one server.
        redis.RedisError: What a server refuses.
    """
    refuse_others(client)
    refuse_others(other)
    return _differences(client, other, _bytes(pattern))


def _differences(client: redis.Redis, other: redis.Redis, pattern: bytes) -> Iterator[Difference]:
    for block in _ahead(_blocks(client, 0, b"0", pattern)):
        mine = dict(_rows(block))
        for part in _parts(other, block.keys):
            for key, theirs in _rows(part):
                found = mine.pop(key, None)
                what = found and _told(client, other, key, found, theirs)
                if what:
                    yield Difference(key, what)
        yield from (Difference(key, "only in the first") for key in mine)
    asked: Any = other
    names = asked.scan_iter(pattern, BATCH, **{NEVER_DECODE: []})
    while keys := list(islice(names, BATCH)):
        yield from (Difference(key, "only in the second") for key in _missing(client, keys))


class _Key(NamedTuple):
    kind: bytes
    expiry: int
    dump: bytes


def _rows(block: Block) -> Iterator[tuple[bytes, _Key]]:
    kinds = (block.kinds[code] for code in block.types)
    return zip(block.keys, map(_Key, kinds, block.expiries, block.dumps), strict=True)


def _told(client: redis.Redis, other: redis.Redis, key: bytes, mine: _Key, theirs: _Key) -> str:
    """What differs of a key that both have; empty: nothing."""
    if mine.kind != theirs.kind:
        return f"type: {mine.kind.decode()}, {theirs.kind.decode()}"
    what = []
    if mine.dump != theirs.dump:
        one, two = (_value(whose, key) for whose in (client, other))
        what += [name for name in one | two if one.get(name) != two.get(name)]
    if bool(mine.expiry) != bool(theirs.expiry) or abs(mine.expiry - theirs.expiry) > _NEAR:
        what.append(f"expiry: {mine.expiry or 'never'}, {theirs.expiry or 'never'}")
    return ", ".join(what)


def _value(client: redis.Redis, key: bytes) -> dict[str, Any]:
    """The value of a key in parts that can be compared."""
    kind, value, *more = ask(client, "backup_value", [key])
    match kind:
        case b"set":
            return {"members": frozenset(value)}
        case b"zset":
            scores = (float(score).hex() for score in value[1::2])
            return {"members": dict(zip(value[::2], scores, strict=True))}
        case b"hash":
            return {"fields": _pairs(value), "expiries of fields": _pairs(more[0])}
        case b"stream":
            return _stream(_pairs(value))
    return {"value": value}


def _stream(told: Mapping[bytes, Any]) -> dict[str, Any]:
    names = ("entries", "last-generated-id", "max-deleted-entry-id", "entries-added")
    groups = {group[b"name"]: _group(group) for group in map(_pairs, told[b"groups"])}
    return {name: told.get(name.encode()) for name in names} | {"groups": groups}


def _group(told: Mapping[bytes, Any]) -> tuple[Any, ...]:
    consumers = {_pairs(consumer)[b"name"] for consumer in told[b"consumers"]}
    read = (told[b"last-delivered-id"], told.get(b"entries-read"))
    return (*read, told[b"pending"], consumers)


def _pairs(flat: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


class _Plan:
    """What a restore does with the blocks of a file."""

    def __init__(
        self, file: Reader, clients: _Databases, conflict: _How, repeated: frozenset[int]
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
        for number, block in _ahead(self._file.blocks(first)):
            client = self._clients(block.database)
            for dump in block.dumps:
                if (kind := (block.database, dump[0])) not in tried:
                    tried.add(kind)
                    self._try(client, dump)
            if self._conflict == "refuse" and (there := _count(client, block.keys)):
                taken += there
                names += _existing(client, block.keys) if len(names) < _SHOWN else ()
            self._learn(number, block)
        if taken:
            raise Conflict(_conflicts(taken, names) + "; nothing was written")

    def run(self, notes: _Notes, pace: Pace, progress: Callable[[int], None] | None) -> None:
        """Write the blocks that are left."""
        done = 0
        for number, block in _ahead(self._file.blocks(notes.next)):
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
        name = f"{_PREFIX}{secrets.token_hex(8)}"
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
            header, here = self._file.header, _server(client)
            raise NotAccepted(
                f"{_named(here.product, here.version)} does not take values that "
                f"{_named(header.product, header.version)} dumped ({error}); nothing was written. "
                "Restore into a server of that version, or a later one of its kind"
            ) from error


_PREFIX = "labkit:restoring:"


class _Begun(msgspec.Struct, tag="begun"):
    token: str
    backup: str


class _Ended(msgspec.Struct, tag="ended"):
    counts: list[int]


class _Notes:
    """How far a restore has come: on the disk its random number, in each database the rest.

    Attributes:
        key: The key of the hash with the rest.
        next: The number of the block that is to be written next.
        ended: Whether all was written, and the notes in the databases are gone.
    """

    def __init__(
        self, path: Path, backup: str, clients: _Databases, databases: Iterable[int]
    ) -> None:
        self._path = path
        self._backup = backup
        self._clients = clients
        self._databases = tuple(databases)
        self._journal: Journal | None = Journal(path) if path.exists() else None
        begun, self._ended = self._read()
        self.key = f"{_PREFIX}{begun.token}".encode()
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
        token = self.key.decode().removeprefix(_PREFIX)
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


class _Databases:
    """Clients of the databases of a server, each with a connection of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._own: dict[int, redis.Redis] = {database_of(client): client}

    def __call__(self, number: int) -> redis.Redis:
        if number not in self._own:
            pool = self._client.connection_pool
            options = pool.connection_kwargs | {"db": number}
            connections = redis.ConnectionPool(connection_class=pool.connection_class, **options)
            self._own[number] = redis.Redis.from_pool(connections)
        return self._own[number]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._own.values():
            if client is not self._client:
                client.close()


def _blocks(client: redis.Redis, database: int, cursor: bytes, pattern: bytes) -> Iterator[Block]:
    """The keys of a database from a cursor on."""
    left: list[bytes] = []
    after = cursor
    while cursor:
        told, left, *columns = ask(client, "backup_read", left, after, pattern, BATCH, ENOUGH)
        after = told or after
        if not left:
            cursor = b"" if after == b"0" else after
        if columns[0]:
            yield Block(database, cursor, *columns)


def _parts(client: redis.Redis, keys: list[bytes]) -> Iterator[Block]:
    """Some keys, as far as they are there."""
    while keys:
        _, keys, *columns = ask(client, "backup_read", keys, b"", b"", BATCH, ENOUGH)
        yield Block(0, b"", *columns)


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same, each made while the one before is worked on."""
    with ThreadPoolExecutor(1, "labkit-backup") as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


def _any(file: Reader, clients: _Databases) -> bool:
    return any(_count(clients(block.database), block.keys) for _, block in file.blocks())


def _count(client: redis.Redis, keys: Sequence[bytes]) -> int:
    found: Any = client.exists(*keys)
    return int(found)


def _existing(client: redis.Redis, keys: Sequence[bytes]) -> list[bytes]:
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.exists(key)
        return [key for key, there in zip(keys, pipe.execute(), strict=True) if there]


def _missing(client: redis.Redis, keys: Sequence[bytes]) -> list[bytes]:
    if _count(client, keys) == len(keys):
        return []
    there = {*_existing(client, keys)}
    return [key for key in keys if key not in there]


def _conflicts(count: int, keys: Sequence[bytes]) -> str:
    names = ", ".join(quoted(key).decode("ascii") for key in keys[:_SHOWN])
    return f"{count:,} of the keys are there already, such as {names}"


def _header(
    client: redis.Redis,
    pattern: str | bytes,
    databases: Literal["all"] | Sequence[int] | None,
) -> Header:
    here = _server(client)
    if databases == "all":
        if here.run_id is None:
            raise LookupError(
                "the server does not tell which databases have keys: it has no INFO, or this user "
                "may not ask; name their numbers"
            )
        numbers = sorted(here.keyspace)
    else:
        numbers = [database_of(client)] if databases is None else list(databases)
        if len({*numbers}) < len(numbers) or any(number < 0 for number in numbers) or not numbers:
            raise ValueError(
                f'databases is {databases!r}; expected "all", or numbers from 0, each once'
            )
    return Header(
        here.product,
        here.version,
        here.run_id,
        here.taken_at or datetime.now(UTC),
        _bytes(pattern),
        numbers,
        databases == "all",
    )


def _server(client: redis.Redis) -> info.Info:
    """What the server says of itself; nothing where this user may not ask, or on fakeredis."""
    try:
        here = info.read(client)
    except LookupError:
        return info.Info()
    if here.mode == "cluster":
        raise ValueError(
            "the server is a node of a cluster, whose keys are on all of its nodes; a backup is "
            "of one server by itself. Copy the files that BGSAVE writes on each node"
        )
    return here


def _bytes(pattern: str | bytes) -> bytes:
    return pattern.encode("utf-8", "surrogateescape") if isinstance(pattern, str) else pattern


def _named(product: str | None, version: str | None) -> str:
    return f"{product} {version}" if product else "a server of unknown version"
