"""One connection for all that listen in a process, and a few for all that they send.

A pool of redis-py has 100 connections unless it is told otherwise, and who listens holds one for as
long as they do. Here they share one: a task reads it, and hands each message to all who listen to
its channel. What a listener has to do remains in `aio`: a hub tells it of each new connection, and
raises what has ended one, as a `PubSub` of its own would.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import redis

from labkit.calls import text

if TYPE_CHECKING:
    from collections.abc import Mapping

MISSED: Mapping[str, Any] = {"type": "missed"}
"""What a hub says where messages were dropped that the stream has."""
AT_ONCE = 50
"""Commands that are under way at once; a pool of redis-py refuses the 101st connection."""
WAITING = 1000
"""Messages that wait for one listener; where there are more, it asks the stream for all of them."""
TURN = 0.02
"""Seconds that one wait takes at most, so that a new channel is subscribed."""


class Key(NamedTuple):
    """A channel, or a pattern over channels."""

    channel: str
    pattern: bool


class SharedLine:
    """Stands in place of a client, for as many rooms and listeners as you like.

    Args:
        client: A client of `redis.asyncio`, of one server and not of a cluster.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._line: _Line | None = None

    def pubsub(self) -> Hub:
        """What to listen with; it has what a listener uses of a `PubSub`."""
        return Hub(self)

    async def execute_command(self, *words: Any) -> Any:
        """Send a command, when it is its turn.

        Raises:
            redis.RedisError: What the client raises.
        """
        async with self._turns:
            return await self._client.execute_command(*words)

    def join(self, hub: Hub, key: Key) -> _Line:
        """Let a hub listen to a channel, or to the channels of a pattern."""
        if self._line is None or self._line.over:
            self._line = _Line(self._client)
        self._line.join(hub, key)
        return self._line


class Hub:
    """What one listener hears; made by `SharedLine.pubsub` and used in `async with`."""

    def __init__(self, shared: SharedLine) -> None:
        self._shared = shared
        self._line: _Line | None = None
        self._waiting = asyncio.Queue[Any](WAITING)

    async def subscribe(self, channel: str) -> None:
        """Listen to a channel; a message tells when that has begun, or has begun anew."""
        self._line = self._shared.join(self, Key(channel, pattern=False))

    async def psubscribe(self, pattern: str) -> None:
        """The same for all channels that a pattern fits."""
        self._line = self._shared.join(self, Key(pattern, pattern=True))

    async def get_message(self, timeout: float) -> Any:
        """The next message; None where none comes within so many seconds.

        Raises:
            redis.ConnectionError: The connection is lost, or cannot be made; so is this hub.
            redis.RedisError: The server does not let us listen.
        """
        try:
            async with asyncio.timeout(timeout):
                message = await self._waiting.get()
        except TimeoutError:
            return None
        if isinstance(message, BaseException):
            raise message.with_traceback(None)  # many raise the same one
        return message

    def put(self, message: Any) -> None:
        """Let a message wait, or an error; where there is no room, the stream has it all."""
        if self._waiting.full():
            dropped = [self._waiting.get_nowait() for _ in range(WAITING)]
            message = next(filter(_is_new, [message, *dropped]), MISSED)
        self._waiting.put_nowait(message)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._line is not None:
            await self._line.leave(self)


class _Line:
    """One connection, for as long as somebody listens and it holds.

    Its task alone uses it, since redis-py connects anew wherever it sends or reads; what hubs want
    is seen to in its next turn.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._hubs: dict[Key, set[Hub]] = {}
        self._confirmed: dict[Key, bool] = {}  # False: the server has not answered yet
        self._changed = False
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="chat line")
        self._task.add_done_callback(self._fail)

    @property
    def over(self) -> bool:
        """Whether it takes no more hubs."""
        return self._closing or self._task.done()

    def join(self, hub: Hub, key: Key) -> None:
        self._hubs.setdefault(key, set()).add(hub)
        self._changed = True
        if self._confirmed.get(key):
            hub.put({"type": "subscribe"})

    async def leave(self, hub: Hub) -> None:
        """Close the connection with the last hub."""
        for key in [key for key, hubs in self._hubs.items() if hub in hubs]:
            self._hubs[key].discard(hub)
            if not self._hubs[key]:
                del self._hubs[key]
                self._changed = True
        if not self._hubs:
            self._closing = True
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        async with self._client.pubsub() as line:
            try:
                while True:
                    heed()
                    await self._subscribe(line)
                    message = await line.get_message(timeout=TURN)
                    if message is not None:
                        self._hand_on(message)
                        await asyncio.sleep(0)  # who listens is to keep up with a flood
            finally:
                self._closing = True
                await _hang_up(line.connection)

    async def _subscribe(self, line: Any) -> None:
        """See to what hubs want, one thing after the other for each channel."""
        if not self._changed:
            return
        self._changed = False
        for key in self._hubs.keys() - self._confirmed.keys():
            self._confirmed[key] = False
            await (line.psubscribe if key.pattern else line.subscribe)(key.channel)
        for key in [key for key, on in self._confirmed.items() if on and key not in self._hubs]:
            self._confirmed[key] = False
            await (line.punsubscribe if key.pattern else line.unsubscribe)(key.channel)

    def _hand_on(self, message: Mapping[str, Any]) -> None:
        kind = message["type"].removeprefix("p")
        if kind not in ("message", "subscribe", "unsubscribe"):
            return
        key = Key(text(message["pattern"] or message["channel"]), kind != message["type"])
        if kind == "unsubscribe":
            self._confirmed.pop(key, None)
            self._changed = True
            return
        if kind == "subscribe":
            self._confirmed[key] = True
            self._changed = True  # redis-py subscribes anew also what nobody wants any more
        if self._confirmed.get(key):  # else it is the end of a subscription before
            for hub in self._hubs.get(key, ()):
                hub.put(message)

    def _fail(self, task: asyncio.Task[None]) -> None:
        """Tell all hubs what has ended it; each of their listeners sees to another one."""
        lost = redis.ConnectionError("the connection that listens was closed")
        error = lost if task.cancelled() else task.exception()
        refused = isinstance(error, redis.ResponseError)
        for key, hubs in self._hubs.items():
            # What the server refuses concerns those whom it has not let in.
            mine = lost if refused and self._confirmed.get(key) else error
            for hub in hubs:
                hub.put(mine)
        self._hubs.clear()


def heed() -> None:
    """Raise a cancellation that was passed over, as `wait_for` of Python 3.11 does now and then."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _is_new(message: Any) -> bool:
    """Whether a message tells of a connection, or is what has ended one."""
    return isinstance(message, BaseException) or message["type"].endswith("subscribe")


async def _hang_up(connection: Any) -> None:
    # The connection goes anyway, but not that to fakeredis.
    if connection is not None and connection.is_connected:
        with suppress(redis.RedisError, OSError):
            for command in ("UNSUBSCRIBE", "PUNSUBSCRIBE"):
                await connection.send_command(command, check_health=False)
