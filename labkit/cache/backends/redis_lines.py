"""Connections that a Redis store holds on to, with a bound on what each trip may cost.

A client of redis-py takes a connection from its pool for every command and gives it back. A line
keeps the ones it has, as many as there are callers at a time, and writes and reads on them
directly: that is where a hit in Redis becomes cheaper than `client.get`.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.sentinel
from redis import exceptions
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from labkit.cache.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    # An operation: it yields trips, gets their replies (errors among them as values), and returns.
    # A trip: commands that go out together, and the seconds that the server may let the last wait.
    Flow = Generator[tuple[Sequence["Command"], float], list[Any], Any]

Command = tuple[Any, ...]

# Whoever sends an invalid response is no Redis.
_LOST = (
    *(exceptions.ConnectionError, exceptions.TimeoutError, OSError),
    exceptions.InvalidResponse,
)
# What redis-py puts into a pool's options for itself.
_NOT_OPTIONS = ("himport_registry", "maint_notifications_pool_handler")

# redis-py refuses the 101st connection of a pool. Callers who wait for others' loads hold one each.
_NO_BOUND = 2**31
_TASKS = 64  # that are on their way to the server at a time; there may be thousands

_lines: weakref.WeakSet[SyncLine] = weakref.WeakSet()


class SyncLine:
    """Sends the trips of a blocking client.

    Args:
        client: Whose server, login and TLS are used.
        budget: Seconds that one trip may take, and connecting too.
    """

    def __init__(self, client: redis.Redis, budget: float) -> None:
        pool = _pool(client.connection_pool, redis.ConnectionPool, budget, Retry(NoBackoff(), 0))
        self.client = redis.Redis(connection_pool=pool)
        self._pool: Any = pool
        self._budget = budget
        self._idle: deque[Any] = deque()
        _lines.add(self)

    def run(self, flow: Flow) -> Any:
        """Carry out an operation."""
        try:
            commands, wait = next(flow)
            while True:
                commands, wait = flow.send(self._trip(commands, wait))
        except StopIteration as stop:
            return stop.value

    def _trip(self, commands: Sequence[Command], wait: float) -> list[Any]:
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._exchange(self._pool.get_connection(), commands, wait)
            try:
                return self._exchange(connection, commands, wait)
            except exceptions.TimeoutError:
                raise
            except _LOST:
                # The server may have closed it while it was idle, and the others with it.
                self._let_go()
                return self._exchange(self._pool.get_connection(), commands, wait)
        except _LOST as error:
            self._let_go()
            raise Unavailable(f"Redis did not answer: {error}") from error

    def _exchange(self, connection: Any, commands: Sequence[Command], wait: float) -> list[Any]:
        try:
            if len(commands) == 1:
                packed = connection.pack_command(*commands[0])
            else:
                packed = connection.pack_commands(commands)
            connection.send_packed_command(packed, check_health=False)
            replies = []
            for _ in commands:
                try:
                    if wait:
                        reply = connection.read_response(
                            disable_decoding=True, timeout=wait + self._budget
                        )
                    else:
                        reply = connection.read_response(disable_decoding=True)
                except exceptions.ReadOnlyError as error:  # the master is elsewhere by now
                    raise exceptions.ConnectionError(str(error)) from error
                except exceptions.ResponseError as error:
                    reply = error
                replies.append(reply)
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._idle.append(connection)
        return replies

    def _let_go(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            connection.disconnect()
            self._pool.release(connection)

    def forget(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        self._idle = deque()

    def close(self) -> None:
        """Close the connections."""
        self._let_go()
        self.client.close()


class AsyncLine:
    """Sends the trips of a client of `redis.asyncio`; see `SyncLine`."""

    def __init__(self, client: redis.asyncio.Redis, budget: float) -> None:
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        pool = _pool(client.connection_pool, redis.asyncio.ConnectionPool, budget, retry)
        self.client = redis.asyncio.Redis(connection_pool=pool)
        self._pool: Any = pool
        self._budget = budget
        self._idle: deque[Any] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = asyncio.Semaphore(_TASKS)
        self._failures = 0

    async def run(self, flow: Flow) -> Any:
        """Carry out an operation."""
        try:
            commands, wait = next(flow)
            while True:
                commands, wait = flow.send(await self._trip(commands, wait))
        except StopIteration as stop:
            return stop.value

    async def _trip(self, commands: Sequence[Command], wait: float) -> list[Any]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # connections live and die with their event loop
            self._loop = loop
            self._idle = deque()
            self._pool.reset()
            self._turns = asyncio.Semaphore(_TASKS)
        if wait:
            return await self._travel(commands, wait)
        failures = self._failures
        async with self._turns:
            if self._failures > failures:  # each of the callers in line would wait for its own
                raise Unavailable("Redis did not answer a caller who came before")
            return await self._travel(commands, wait)

    async def _travel(self, commands: Sequence[Command], wait: float) -> list[Any]:
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                return await self._exchange(await self._pool.get_connection(), commands, wait)
            try:
                return await self._exchange(connection, commands, wait)
            except (exceptions.TimeoutError, TimeoutError):
                raise
            except _LOST:
                await self._let_go()
                return await self._exchange(await self._pool.get_connection(), commands, wait)
        except _LOST as error:
            self._failures += 1
            await self._let_go()
            raise Unavailable(f"Redis did not answer: {error}") from error

    async def _exchange(
        self, connection: Any, commands: Sequence[Command], wait: float
    ) -> list[Any]:
        try:
            if len(commands) == 1:
                packed = connection.pack_command(*commands[0])
            else:
                packed = connection.pack_commands(commands)
            await connection.send_packed_command(packed, check_health=False)
            replies = []
            for _ in commands:
                try:
                    if wait:
                        async with asyncio.timeout(wait + self._budget):
                            reply = await connection.read_response(
                                disable_decoding=True, timeout=float("inf")
                            )
                    else:
                        reply = await connection.read_response(disable_decoding=True)
                except exceptions.ReadOnlyError as error:  # the master is elsewhere by now
                    raise exceptions.ConnectionError(str(error)) from error
                except exceptions.ResponseError as error:
                    reply = error
                replies.append(reply)
        except BaseException:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        self._idle.append(connection)
        return replies

    async def _let_go(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def close(self) -> None:
        """Close the connections."""
        if self._loop is asyncio.get_running_loop():
            await self._let_go()
        await self.client.aclose()


class ClusterLine:
    """Sends the trips of a `RedisCluster`, each command to its node; time-outs are the client's."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, flow: Flow) -> Any:
        """Carry out an operation."""
        try:
            commands, _ = next(flow)
            while True:
                commands, _ = flow.send([self._reply(command) for command in commands])
        except StopIteration as stop:
            return stop.value

    def _reply(self, command: Command) -> Any:
        try:
            return _plain(self.client.execute_command(*command, **self._options(command)), command)
        except exceptions.ResponseError as error:
            return error
        except (*_LOST, exceptions.RedisClusterException) as error:
            raise Unavailable(f"The cluster did not answer: {error}") from error

    def _options(self, command: Command) -> dict[str, Any]:
        options: dict[str, Any] = {"NEVER_DECODE": True}
        if command[0] == "SCAN":  # its pattern names the slot
            options["target_nodes"] = self.client.get_node_from_key(command[3])
        return options

    def close(self) -> None:
        """Nothing: the client is its owner's."""


class AsyncClusterLine(ClusterLine):
    """`ClusterLine` for a `redis.asyncio.RedisCluster`."""

    async def run(self, flow: Flow) -> Any:
        """Carry out an operation."""
        try:
            commands, _ = next(flow)
            while True:
                commands, _ = flow.send([await self._reply(command) for command in commands])
        except StopIteration as stop:
            return stop.value

    async def _reply(self, command: Command) -> Any:
        try:
            reply = await self.client.execute_command(*command, **self._options(command))
            return _plain(reply, command)
        except exceptions.ResponseError as error:
            return error
        except (*_LOST, exceptions.RedisClusterException) as error:
            raise Unavailable(f"The cluster did not answer: {error}") from error

    async def close(self) -> None:  # type: ignore[override]
        """Nothing: the client is its owner's."""


def _plain(reply: Any, command: Command) -> Any:
    """A cluster's reply as a single server would give it: its SCAN has a cursor for each node."""
    if command[0] == "SCAN" and isinstance(reply[0], dict):
        (cursor,) = reply[0].values()
        return cursor, reply[1]
    return reply


def line_of(client: Any, budget: float) -> Any:
    """The line for a client of redis-py.

    Raises:
        TypeError: It is no such client.
    """
    if isinstance(client, redis.Redis):
        return SyncLine(client, budget)
    if isinstance(client, redis.asyncio.Redis):
        return AsyncLine(client, budget)
    if isinstance(client, redis.RedisCluster):
        return ClusterLine(client)
    if isinstance(client, redis.asyncio.RedisCluster):
        return AsyncClusterLine(client)
    raise TypeError(
        f"a {type(client).__name__} is no client of redis-py; expected what labkit.connect() or "
        "labkit.connect_async() returns"
    )


def listening_client(client: Any, budget: float) -> Any:
    """A blocking client of the same server, for a thread that listens; it is the caller's own."""
    if isinstance(client, redis.RedisCluster | redis.asyncio.RedisCluster):
        make: Any = redis.cluster.ClusterNode
        nodes = [make(node.host, node.port) for node in client.get_nodes()]
        known = getattr(client, "connection_kwargs", None) or client.get_connection_kwargs()
        options = {
            name: value
            for name, value in known.items()
            if name in ("username", "password", "protocol") and value is not None
        }
        return redis.RedisCluster(startup_nodes=nodes, **options)
    pool = _pool(client.connection_pool, redis.ConnectionPool, budget, Retry(NoBackoff(), 0))
    pool.connection_kwargs["protocol"] = 2  # in which changes come as messages of a channel
    return redis.Redis(connection_pool=pool)


def _pool(pool: Any, kind: Any, budget: float, retry: Any) -> Any:
    """A pool of the same server's connections that keeps within the budget."""
    options = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name not in _NOT_OPTIONS and not name.startswith("orig_")
    }
    options.update(
        socket_timeout=budget,
        socket_connect_timeout=budget,
        retry=retry,
        retry_on_error=[],
        health_check_interval=0,
        decode_responses=False,
        # They would hide that a connection has died.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    is_async = kind is redis.asyncio.ConnectionPool
    if isinstance(
        pool, redis.sentinel.SentinelConnectionPool | redis.asyncio.sentinel.SentinelConnectionPool
    ):
        options.pop("connection_pool", None)
        if is_async == isinstance(pool, redis.asyncio.sentinel.SentinelConnectionPool):
            return type(pool)(
                pool.service_name, pool.sentinel_manager, max_connections=_NO_BOUND, **options
            )
        found = [s.connection_pool.connection_kwargs for s in pool.sentinel_manager.sentinels]
        blocking: Any = redis.sentinel
        manager = blocking.Sentinel(
            [(node["host"], node["port"]) for node in found],
            sentinel_kwargs={"socket_timeout": budget, "password": found[0].get("password")},
        )
        return blocking.SentinelConnectionPool(
            pool.service_name, manager, max_connections=_NO_BOUND, **options
        )
    if "path" in options:
        options.pop("socket_connect_timeout")
    connection_class = _connection_class(pool.connection_class, is_async)
    return kind(connection_class=connection_class, max_connections=_NO_BOUND, **options)


def _connection_class(found: Any, is_async: bool) -> Any:
    """The class itself, or its blocking twin for a blocking pool of an asyncio client."""
    if is_async or not asyncio.iscoroutinefunction(found.connect):
        return found
    if found.__module__.startswith("fakeredis"):
        import fakeredis

        return fakeredis.FakeRedis().connection_pool.connection_class
    return getattr(redis, found.__name__)


def _forget_all() -> None:
    for line in list(_lines):
        line.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
