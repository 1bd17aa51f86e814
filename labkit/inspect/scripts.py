"""Asking one server, through a client that may or may not decode its replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import redis
from redis.client import NEVER_DECODE

from labkit.calls import Call, scripts_of, send

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHUNK = 1000
"""Keys of a step that changes nothing."""


class _Script(Call[list[Any]]):
    __slots__ = ()

    package = "labkit.inspect"
    options: ClassVar[Mapping[str, Any]] = {NEVER_DECODE: []}


def ask(client: redis.Redis, name: str, keys: Sequence[Any], *arguments: Any) -> list[Any]:
    """Run a script of this package; texts in its reply are bytes."""
    return send(client, scripts_of(client), _Script(name, keys, arguments, list))


def database_of(client: redis.Redis) -> int:
    """The number of the database that a client's connections begin in."""
    return client.connection_pool.connection_kwargs.get("db") or 0


def refuse_others(client: redis.Redis) -> None:
    """Refuse what is no synchronous client of one server.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(client, redis.Redis):
        raise TypeError(
            f"client is a {client.__class__.__qualname__}; expected a synchronous redis.Redis, "
            "which is of one server; of a cluster that of one of its nodes"
        )


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Some values, `CHUNK` of them at a time."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
