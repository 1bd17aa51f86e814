"""Keys of a server, block by block, each block of one moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from redis.client import NEVER_DECODE

from labkit.inspect.backup.layout import Block
from labkit.inspect.scripts import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import redis

T = TypeVar("T")

BATCH = 1000
"""Keys that one step reads or writes, or a few more; the server serves nobody else meanwhile."""
ENOUGH = 4 * 2**20
"""Bytes of values after which a step ends; it is larger by one value at most."""


def scanned(client: redis.Redis, database: int, cursor: bytes, pattern: bytes) -> Iterator[Block]:
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


def looked_up(client: redis.Redis, keys: list[bytes]) -> Iterator[Block]:
    """Some keys, as far as they are there."""
    while keys:
        _, keys, *columns = ask(client, "backup_read", keys, b"", b"", BATCH, ENOUGH)
        yield Block(0, b"", *columns)


def named(client: Any, pattern: bytes) -> Iterator[list[bytes]]:
    """The names of the keys of a database, step by step."""
    names = client.scan_iter(pattern, BATCH, **{NEVER_DECODE: []})
    while keys := list(islice(names, BATCH)):
        yield keys


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same, each made while the one before is worked on."""
    with ThreadPoolExecutor(1, "labkit-backup") as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


def count(client: redis.Redis, keys: Sequence[bytes]) -> int:
    """How many of some keys are there."""
    found: Any = client.exists(*keys)
    return int(found)


def existing(client: redis.Redis, keys: Sequence[bytes]) -> list[bytes]:
    """Which of some keys are there."""
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.exists(key)
        return [key for key, there in zip(keys, pipe.execute(), strict=True) if there]


def missing(client: redis.Redis, keys: Sequence[bytes]) -> list[bytes]:
    """Which of some keys are not there."""
    if count(client, keys) == len(keys):
        return []
    there = {*existing(client, keys)}
    return [key for key in keys if key not in there]


def as_bytes(pattern: str | bytes) -> bytes:
    """A pattern as it is sent; surrogates in it stand for bytes that are no UTF-8."""
    return pattern.encode("utf-8", "surrogateescape") if isinstance(pattern, str) else pattern
