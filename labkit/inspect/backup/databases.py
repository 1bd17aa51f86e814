"""A server and its databases, as a backup sees them."""

from __future__ import annotations

from typing import Self

import redis

from labkit.inspect import info
from labkit.inspect.scripts import database_of


class Databases:
    """Clients of the databases of a server, each with a connection of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._own: dict[int, redis.Redis] = {database_of(client): client}

    def __call__(self, number: int) -> redis.Redis:
        """A client of one of them."""
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


def about(client: redis.Redis) -> info.Info:
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
