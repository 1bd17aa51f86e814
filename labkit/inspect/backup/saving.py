"""Saving the keys of a server to a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labkit.inspect.backup.blocks import ahead, as_bytes, scanned
from labkit.inspect.backup.databases import Databases, about
from labkit.inspect.backup.layout import Header, Summary
from labkit.inspect.backup.writer import Writer
from labkit.inspect.scripts import database_of, refuse_others

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import redis


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
    with Writer(Path(path), header) as file, Databases(client) as clients:
        numbers = file.header.databases
        first, cursor = file.place or (numbers[0] if numbers else 0, b"0")
        for number in numbers[numbers.index(first) :] if numbers else ():
            for block in ahead(scanned(clients(number), number, cursor, file.header.pattern)):
                file.write(block)
                if progress is not None:
                    progress(file.keys)
            cursor = b"0"
        return file.finish()


def _header(
    client: redis.Redis,
    pattern: str | bytes,
    databases: Literal["all"] | Sequence[int] | None,
) -> Header:
    here = about(client)
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
        as_bytes(pattern),
        numbers,
        databases == "all",
    )
