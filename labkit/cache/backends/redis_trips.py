"""Round trips over a client's own connections, as steps: one operation serves both kinds of client.

What stands beside the stores, and holds no connections as they do, asks with the client that it was
given: with its time-outs, and where `labkit.CommandLog` sees it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
from redis import exceptions

from labkit.cache.errors import Refused, Unavailable
from labkit.cache.steps import run, run_async
from labkit.lua import script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from labkit.cache.backends.redis_lines import Command
    from labkit.cache.steps import Steps

_LOST = (
    *(exceptions.ConnectionError, exceptions.TimeoutError, OSError),
    *(exceptions.InvalidResponse, exceptions.RedisClusterException),
)


@contextlib.contextmanager
def errors_of_a_cache() -> Iterator[None]:
    """Raise what redis-py raises as `Unavailable`, or as `Refused` where the server answered."""
    try:
        yield
    except _LOST as error:
        raise Unavailable(f"Redis did not answer: {error}") from error
    except exceptions.ResponseError as error:
        raise Refused(f"Redis refused: {error}") from error


class Trip:
    """Send commands in one round trip; the replies are bytes, and errors are among them."""

    __slots__ = ("_client", "_commands")

    def __init__(self, client: Any, commands: Sequence[Command]) -> None:
        self._client = client
        self._commands = commands

    def now(self) -> list[Any]:
        """The replies."""
        with errors_of_a_cache(), self._client.pipeline(transaction=False) as pipeline:
            return list(self._queued(pipeline).execute(raise_on_error=False))

    async def later(self) -> list[Any]:
        """The replies."""
        with errors_of_a_cache():
            async with self._client.pipeline(transaction=False) as pipeline:
                return list(await self._queued(pipeline).execute(raise_on_error=False))

    def _queued(self, pipeline: Any) -> Any:
        for command in self._commands:
            pipeline.execute_command(*command, NEVER_DECODE=True)
        return pipeline


class Asker:
    """Carries out operations made of trips, with a client of either kind.

    Args:
        client: What `labkit.connect()` or `connect_async()` returns, or any other client of
            redis-py. With one of `redis.asyncio` every operation returns an awaitable.

    Attributes:
        asynchronous: Whether it does.

    Raises:
        TypeError: `client` is no client of redis-py.
    """

    def __init__(self, client: Any) -> None:
        self.asynchronous = isinstance(client, redis.asyncio.Redis | redis.asyncio.RedisCluster)
        if not self.asynchronous and not isinstance(client, redis.Redis | redis.RedisCluster):
            raise TypeError(
                f"a {type(client).__name__} is no client of redis-py; expected what "
                "labkit.connect() or labkit.connect_async() returns"
            )
        self._client = client
        self._known: set[str] = set()  # the scripts that the server is known to hold

    def carry_out(self, steps: Steps[Any]) -> Any:
        """Carry out an operation, or return an awaitable that does."""
        return run_async(steps) if self.asynchronous else run(steps)

    def ask(self, *commands: Command) -> Steps[list[Any]]:
        """The replies to commands that are sent in one trip.

        Raises:
            Unavailable: No answer came.
            Refused: The answer to one of them is an error.
        """
        replies: list[Any] = yield Trip(self._client, commands)
        return [_good(reply) for reply in replies]

    def script(self, name: str, keys: Sequence[str], *arguments: Any) -> Steps[Any]:
        """What a script answers; one trip, but for one more where a server has forgotten it."""
        text = script("labkit.cache.backends", name)
        words = (len(keys), *keys, *arguments)
        in_full = ("EVAL", text.text, *words)
        first = ("EVALSHA", text.digest, *words) if name in self._known else in_full
        (reply,) = yield Trip(self._client, [first])
        if isinstance(reply, exceptions.NoScriptError):
            (reply,) = yield Trip(self._client, [in_full])
        self._known.add(name)
        return _good(reply)


def _good(reply: Any) -> Any:
    with errors_of_a_cache():
        if isinstance(reply, Exception):
            raise reply
    return reply
