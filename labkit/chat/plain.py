"""Plain publish and subscribe: what is said reaches those who listen now, at most once.

The cheapest of three ways to pass texts on, and the one that promises least:

    ====================  ====================  ======================  =======================
    What happens          `plain.Channel`       `groups.Group`          `chat.Room`
    ====================  ====================  ======================  =======================
    Delivered             at most once          at least once           exactly once, or a gap
                                                                        says what is missing
    To whom               all who listen now    one worker of many      all who listen, also
                                                                        those who come back
    Nobody listens        lost                  waits                   kept in the history
    The connection fails  lost until it is      held; another worker    made up for
                          back                  gets it later
    A listener is slow    lost when its output  waits                   as its buffer's policy
                          buffer is full                                says
    The server restarts   lost                  as well as the server   as well as the server
                                                keeps its data          keeps its data
    Kept in Redis         nothing               until it is done        as `Settings` say
    ====================  ====================  ======================  =======================
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import redis

from labkit.calls import scripts_of, send, send_async, text
from labkit.chat.operations import PREFIX
from labkit.chat.scripts import Call
from labkit.chat.settings import check_channel, size_of
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

SLICE = 0.1
"""Seconds that one wait takes at most, so that `close` is noticed."""
CONFIRMED_WITHIN = 10.0
"""Seconds within which a server is to confirm that it has subscribed us."""

_WILD = re.compile(r"[*?]")


class _Calls:
    """What a channel sends, and the names on the server; no I/O here."""

    def __init__(self, name: Any) -> None:
        self.name = check_channel(name)

    def publish(self, said: Any) -> Call[int]:
        """Passes a text on; answers how many heard it."""
        if _WILD.search(self.name):
            raise ValueError(
                f"{self.name!r} is a pattern over channels; publish on one of them, by its name"
            )
        size_of(said, "a channel")  # which sets no limit
        return Call("PUBLISH", (_channel(self.name),), (said,), int)

    def hearing(self, pattern: bool, timeout: float | str | None) -> _Hearing:
        """What a listener knows at first."""
        if _WILD.search(self.name) and not pattern:
            raise ValueError(
                f"{self.name!r} is a pattern over channels; listen(pattern=True) hears them all"
            )
        return _Hearing(self.name, pattern, timeout)


class _Hearing:
    """What a listener knows, and what it makes of what comes; no I/O here."""

    def __init__(self, name: str, pattern: bool, timeout: float | str | None) -> None:
        self.name = name
        self.channel = _channel(name)
        self.pattern = pattern
        self.closed = False
        self.confirmed = False
        self.reconnects = 0
        self.source: str | None = None
        self._patience = None if timeout is None else duration(timeout)
        self._idle = 0.0
        self._unconfirmed = 0.0

    @property
    def slice(self) -> float:
        """Seconds to wait now."""
        return SLICE if self._patience is None else min(SLICE, self._patience - self._idle)

    @property
    def over(self) -> bool:
        """Whether it has been closed, or nothing has come for as long as it waits."""
        return self.closed or (self._patience is not None and self._idle >= self._patience)

    def subscribed(self, message: Mapping[str, Any] | None) -> None:
        """Take in what came while the server was to confirm."""
        if message is not None and message["type"] in ("subscribe", "psubscribe"):
            self.confirmed = True
            return
        self._unconfirmed += SLICE
        if self._unconfirmed >= CONFIRMED_WITHIN:
            raise redis.TimeoutError(
                f"the server did not confirm that {self.name!r} is listened to within "
                f"{CONFIRMED_WITHIN:g} seconds; see whether it answers to PING"
            )

    def begin(self) -> None:
        """Begin to wait for a text; the time without one counts anew."""
        self._idle = 0.0

    def heard(self, message: Mapping[str, Any] | None, waited: float) -> str | None:
        """The text in what came, if there is one."""
        if message is None:
            self._idle += waited
        elif message["type"] in ("message", "pmessage"):
            self.source = text(message["channel"])[len(PREFIX) + 1 : -len("}:plain")]
            return text(message["data"])
        elif message["type"] in ("subscribe", "psubscribe"):
            self.reconnects += 1  # redis-py has connected anew by itself
        return None


def _channel(name: str) -> str:
    return f"{PREFIX}{{{name}}}:plain"


class Channel:
    """A channel of texts: what is published is heard by those who listen at that moment.

    There is nothing to make or to delete; a channel is only a name.

    Example:
        >>> channel = Channel(client, "news")
        >>> with channel.listen(timeout="1s") as texts:
        ...     channel.publish("hello")
        ...     list(texts)
        1
        ['hello']
        >>> channel.publish("nobody is there")
        0

    Args:
        client: A `redis.Redis` or `redis.RedisCluster`, with decoded responses or without.
        name: Its name: 1 to 100 of the letters a to z, digits, and `.`, `_`, `-`. To listen to
            several, a pattern: `*` stands for any part of a name and `?` for one character.

    Raises:
        TypeError: The name is no text.
        ValueError: It has something else in it.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._calls = _Calls(name)

    @property
    def name(self) -> str:
        """Its name."""
        return self._calls.name

    def publish(self, text: str) -> int:
        """Pass a text on to all who listen now; nobody gets it later.

        Returns:
            How many heard it: to how many connections the server has written it. In a cluster it
            counts those of one node only.

        Raises:
            TypeError: It is no text.
            ValueError: It cannot be written, or the channel's name is a pattern.
        """
        return send(self._client, self._held, self._calls.publish(text))

    def listen(self, *, pattern: bool = False, timeout: float | str | None = None) -> Subscription:
        """Listen: from here on, nothing is missed while the connection lasts.

        Args:
            pattern: The name is a pattern over channels; `source` of what is returned tells from
                which of them a text came.
            timeout: Ends the iteration when nothing came for this `duration`; None waits until it
                is closed.

        Returns:
            An iterator over texts, to be used in `with`. The server has confirmed it.

        Raises:
            ValueError: The name is a pattern, and `pattern` is not asked for.
            redis.ConnectionError: The server cannot be reached.
        """
        return Subscription(self._client, self._calls.hearing(pattern, timeout))


class Subscription(Iterator[str]):
    """The texts of a channel as they come; made by `Channel.listen`.

    It has a connection of its own. What is published while that is lost is lost as well; redis-py
    makes another one, and `reconnects` tells how often.
    """

    def __init__(self, client: Any, hearing: _Hearing) -> None:
        self._hearing = hearing
        self._reading = threading.Lock()
        self._hub = hub = client.pubsub()
        try:
            (hub.psubscribe if hearing.pattern else hub.subscribe)(hearing.channel)
            while not hearing.confirmed:
                hearing.subscribed(hub.get_message(timeout=SLICE))
        except BaseException:
            hub.close()
            raise

    @property
    def source(self) -> str | None:
        """The name of the channel that the last text came from; None before the first."""
        return self._hearing.source

    @property
    def reconnects(self) -> int:
        """How often the connection was lost, and what was published meanwhile with it."""
        return self._hearing.reconnects

    def __next__(self) -> str:
        """The next text."""
        hearing = self._hearing
        with self._reading:
            hearing.begin()
            while not hearing.closed:
                wait = hearing.slice
                said = hearing.heard(self._hub.get_message(timeout=wait), wait)
                if said is not None:
                    return said
                if hearing.over:
                    break
        raise StopIteration

    def close(self) -> None:
        """End the iteration, also where another thread waits in it. Harmless when repeated."""
        self._hearing.closed = True
        with self._reading:
            self._hub.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncChannel:
    """`Channel` for a client of `redis.asyncio`; the arguments are described there.

    Example:
        >>> async with AsyncChannel(client, "news").listen() as texts:
        ...     async for text in texts:
        ...         print(text)
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._calls = _Calls(name)

    @property
    def name(self) -> str:
        """Its name."""
        return self._calls.name

    async def publish(self, text: str) -> int:
        """Pass a text on to all who listen now; see `Channel.publish`."""
        return await send_async(self._client, self._held, self._calls.publish(text))

    def listen(
        self, *, pattern: bool = False, timeout: float | str | None = None
    ) -> AsyncSubscription:
        """Listen; see `Channel.listen`.

        It begins, and the server has confirmed it, when `async with` is entered or `start` has
        ended; without either, at the first step of the iteration.
        """
        return AsyncSubscription(self._client, self._calls.hearing(pattern, timeout))


class AsyncSubscription(AsyncIterator[str]):
    """`Subscription` for asyncio; made by `AsyncChannel.listen`."""

    def __init__(self, client: Any, hearing: _Hearing) -> None:
        self._hearing = hearing
        self._reading = asyncio.Lock()
        self._hub = client.pubsub()

    @property
    def source(self) -> str | None:
        """The name of the channel that the last text came from; None before the first."""
        return self._hearing.source

    @property
    def reconnects(self) -> int:
        """How often the connection was lost, and what was published meanwhile with it."""
        return self._hearing.reconnects

    async def start(self) -> Self:
        """Subscribe; nothing that is published after that is missed. Harmless when repeated.

        Raises:
            redis.ConnectionError: The server cannot be reached.
        """
        async with self._reading:
            await self._start()
        return self

    async def __anext__(self) -> str:
        """The next text."""
        hearing = self._hearing
        async with self._reading:
            await self._start()
            hearing.begin()
            while not hearing.closed:
                wait = hearing.slice
                said = hearing.heard(await self._hub.get_message(timeout=wait), wait)
                if said is not None:
                    return said
                if hearing.over:
                    break
        raise StopAsyncIteration

    async def close(self) -> None:
        """End the iteration, also where another task waits in it. Harmless when repeated."""
        self._hearing.closed = True
        async with self._reading:
            await self._hang_up()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _start(self) -> None:
        hearing, hub = self._hearing, self._hub
        if hearing.confirmed or hearing.closed:
            return
        try:
            await (hub.psubscribe if hearing.pattern else hub.subscribe)(hearing.channel)
            while not hearing.confirmed:
                hearing.subscribed(await hub.get_message(timeout=SLICE))
        except BaseException:
            await self._hang_up()
            raise

    async def _hang_up(self) -> None:
        hub, hearing = self._hub, self._hearing
        if hub.connection is not None and hub.connection.is_connected:
            # The connection goes anyway, but not that to fakeredis.
            with suppress(redis.RedisError, OSError):
                await (hub.punsubscribe if hearing.pattern else hub.unsubscribe)()
        await hub.aclose()
