"""Rooms for asyncio: the same calls as `room` sends, awaited, and a task where it has a thread."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import redis.asyncio

from labkit.calls import scripts_of, send_async
from labkit.chat.buffer import Buffer, Policy
from labkit.chat.errors import Closed
from labkit.chat.feed import CHECK, LOST, PAUSES, SLICE, Feed, too_slow
from labkit.chat.heard import Heard
from labkit.chat.line import MISSED, SharedLine, heed
from labkit.chat.operations import PREFIX, Calls, tab
from labkit.chat.settings import settings
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from labkit.calls import Call
    from labkit.chat.messages import Event, Happened, Position
    from labkit.clock import Clock

T = TypeVar("T")


class AsyncListener(Heard):
    """`Listener` for asyncio. It subscribes at `async with`, or at the first `await`.

    Args:
        client: A client of `redis.asyncio`, or a `SharedLine`.
        feed: As in `Listener`; so are the others.
        buffer: How many events wait for whoever takes them.
        policy: What to do where there is no room.
        timeout: Ends the iteration when nothing came for this `duration`.
        beat: Called now and then.
        every: The seconds between two beats.
    """

    def __init__(
        self,
        client: Any,
        feed: Feed,
        *,
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
        beat: Callable[[], Awaitable[object]] | None = None,
        every: float = CHECK,
    ) -> None:
        super().__init__(feed, Buffer(buffer, policy))
        self._client = client
        self._held = scripts_of(client)
        self._patience = None if timeout is None else duration(timeout)
        self._beat, self._every, self._due = beat, every, 0.0
        self._changed = asyncio.Condition()
        self._ready = asyncio.Event()
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        """Subscribe; nothing that happens after that is missed. Harmless when repeated.

        Raises:
            redis.ConnectionError: The server cannot be reached.
        """
        if self._task is None and not self._ended:
            self._task = asyncio.create_task(self._run(), name=f"chat {self._feed.name}")
        await self._ready.wait()
        if self._ended and self._error is not None and self._buffer.empty:
            raise self._error
        return self

    async def take(self, timeout: float | str | None = None) -> Event | None:
        """The next event; None where none comes within this `duration`, or it is closed.

        Raises:
            TooSlow: It has been disconnected, and everything before that was taken.
            Exception: What has ended it otherwise.
        """
        await self.start()
        try:
            async with asyncio.timeout(None if timeout is None else duration(timeout)):
                async with self._changed:
                    await self._changed.wait_for(lambda: not self._buffer.empty or self._ended)
        except TimeoutError:
            return None
        event = self._heard()
        if event is not None:
            async with self._changed:
                self._changed.notify_all()
            return event
        if self._error is not None:
            raise self._error
        return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event."""
        event = await self.take(self._patience)
        if event is None:
            raise StopAsyncIteration
        return event

    async def close(self) -> None:
        """Stop listening; what is in the buffer can still be taken. Harmless when repeated."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._end()

    async def __aenter__(self) -> Self:
        try:
            return await self.start()
        except BaseException:
            await self.close()  # also what was cancelled, since nobody else closes it
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _end(self) -> None:
        self._ended = True
        self._ready.set()
        async with self._changed:
            self._changed.notify_all()

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                try:
                    async with self._client.pubsub() as hub:
                        await self._subscribe(hub)
                        while True:
                            await self._step(hub)
                            heed()
                            failures = 0
                except LOST:
                    if not self._ready.is_set():
                        raise
                    await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
                    failures += 1
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = error
            await self._end()

    async def _subscribe(self, hub: Any) -> None:
        feed = self._feed
        subscribe = hub.psubscribe if feed.pattern else hub.subscribe
        await (hub.ssubscribe if feed.sharded else subscribe)(feed.channel)
        self._silent = 0.0

    async def _step(self, hub: Any) -> None:
        """Wait a while for what the channel tells, and see to it."""
        receive = getattr(hub, "get_sharded_message", None) if self._feed.sharded else None
        message = await (receive or hub.get_message)(timeout=SLICE)
        if self._beat is not None and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            await self._beat()
        if message is None:
            self._silent += SLICE
            if self._silent >= CHECK:
                self._silent = 0.0
                await self._catch_up()
            return
        self._silent = 0.0
        if message is MISSED or message["type"].endswith("subscribe"):
            # At first, and after each connection, also where redis-py has made it by itself.
            self.reconnects += message is not MISSED and self._ready.is_set()
            await self._catch_up()
            self._ready.set()
            return
        name, events = self._feed.heard(message)
        if events is None:
            await self._replay(name)
        else:
            await self._put(events)

    async def _catch_up(self) -> None:
        """Find the rooms, and ask the stream of each for what was missed."""
        feed = self._feed
        names = await self._send(feed.names()) if feed.pattern else [feed.name]
        for name in feed.new(names):
            feed.located(name, await self._send(feed.calls(name).position()))
        feed.begin()
        for name in [*feed.rooms]:
            await self._replay(name)

    async def _replay(self, name: str) -> None:
        following = self._feed.rooms[name]
        while True:
            told = await self._send(self._feed.calls(name).after(following.position))
            await self._put(following.replayed(told))
            if following.position is not None and following.position.number >= told.last:
                return

    async def _put(self, events: list[Event]) -> None:
        async with self._changed:
            for event in events:
                while not self._buffer.put(event):
                    if self._buffer.overflowed:
                        raise too_slow(self._feed.name, self._buffer.most)
                    self._changed.notify_all()
                    self._ready.set()
                    heed()
                    await self._changed.wait()
            self._changed.notify_all()

    async def _send(self, call: Call[T]) -> T:
        return await send_async(self._client, self._held, call)


class AsyncRooms:
    """`Rooms` for a client of `redis.asyncio`; the methods are described there.

    All that listen through it, and through its rooms and their visits, share one connection. Where
    rooms are sharded, and in a cluster, each listener has its own, as that of an `AsyncRoom` has
    which is made without it.
    """

    def __init__(
        self, client: Any, *, prefix: str = PREFIX, clock: Clock | None = None, **options: Any
    ) -> None:
        self._prefix = prefix
        self._clock = clock
        self._settings = settings(**options)
        alone = self._settings.sharded or isinstance(client, redis.asyncio.RedisCluster)
        self._client = client if alone else SharedLine(client)
        self._held = scripts_of(self._client)

    def calls(self, name: str) -> Calls:
        """The calls of a room."""
        return Calls(name, self._settings, self._prefix, self._clock)

    def room(self, name: str) -> AsyncRoom:
        """A room; it is there as soon as something happens in it."""
        how = msgspec.structs.asdict(self._settings)
        return AsyncRoom(self._client, name, prefix=self._prefix, clock=self._clock, **how)

    async def names(self, pattern: str = "*") -> list[str]:
        """The names of the rooms that a pattern fits, in order."""
        feed = Feed(self.calls, self._prefix, pattern, pattern=True)
        return await send_async(self._client, self._held, feed.names())

    def listen(
        self,
        pattern: str,
        *,
        after: Mapping[str, Position] | None = None,
        begin: str = "now",
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
    ) -> AsyncListener:
        """Listen to all rooms that a pattern fits, those that come later among them."""
        if self._settings.sharded:
            raise ValueError("rooms that are sharded have no patterns; listen to each, by its name")
        feed = Feed(self.calls, self._prefix, pattern, pattern=True, after=after, begin=begin)
        return AsyncListener(self._client, feed, buffer=buffer, policy=policy, timeout=timeout)


class AsyncRoom:
    """`Room` for a client of `redis.asyncio`; the methods are described there."""

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        prefix: str = PREFIX,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._calls = Calls(name, settings(**options), prefix, clock)
        self._registered = False

    @property
    def name(self) -> str:
        """Its name."""
        return self._calls.name

    async def join(self, member: str, tab_name: str | None = None) -> AsyncVisit:
        """Be there, until you leave or are not heard of for `presence` seconds."""
        visit = AsyncVisit(self, member, tab_name or tab())
        await visit.beat()
        return visit

    async def leave(self, member: str, tab_name: str) -> bool:
        """Let a tab be gone; the member leaves with the last of theirs. Whether it was there."""
        return await self._send(self._calls.leave(member, tab_name))

    async def say(
        self, member: str, said: str, *, key: str | None = None, tab_name: str | None = None
    ) -> int:
        """Say something; one round trip. Its number in the room."""
        call = self._calls.say(member, said, tab_name, key)
        await self._register()
        return await self._send(call)

    async def say_many(
        self,
        member: str,
        texts: Sequence[str],
        *,
        key: str | None = None,
        tab_name: str | None = None,
    ) -> list[int]:
        """Say several things, all of them or none, in one round trip. Their numbers."""
        call = self._calls.say_many(member, texts, tab_name, key)
        if not texts:
            return []
        await self._register()
        return await self._send(call)

    async def typing(self, member: str) -> None:
        """Tell those who listen now that somebody types."""
        await self._send(self._calls.typing(member))

    async def who(self) -> list[str]:
        """Who is there, by name."""
        return await self._send(self._calls.who())

    async def delete(self) -> bool:
        """Remove all that is kept of the room; whether there was something."""
        await self._send(self._calls.unregister())
        self._registered = False
        return await self._send(self._calls.delete())

    async def position(self) -> Position:
        """Where the room stands: `listen(after=...)` goes on there."""
        return await self._send(self._calls.position())

    async def history(self, most: int = 50, *, before: int | None = None) -> list[Happened]:
        """The latest events, the oldest of them first."""
        return await self._send(self._calls.history(most, before))

    def listen(
        self,
        after: Position | None = None,
        *,
        begin: str = "now",
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
    ) -> AsyncListener:
        """Listen to what happens."""
        return AsyncListener(
            self._client, self._feed(after, begin), buffer=buffer, policy=policy, timeout=timeout
        )

    def _feed(self, after: Position | None, begin: str) -> Feed:
        return Feed.of_room(self._calls, after, begin)

    async def _beat(self, member: str, tab_name: str) -> None:
        call = self._calls.beat(member, tab_name)
        await self._register()
        await self._send(call)

    async def _register(self) -> None:
        """Make the room one that patterns find; before anything happens in it."""
        if not self._registered:
            await self._send(self._calls.register())
            self._registered = True

    async def _send(self, call: Call[T]) -> T:
        return await send_async(self._client, self._held, call)


class AsyncVisit:
    """`Visit` for asyncio; the methods are described there."""

    def __init__(self, room: AsyncRoom, member: str, tab_name: str) -> None:
        self.room = room
        self.member = member
        self.tab = tab_name
        self._over = False

    async def say(self, said: str, *, key: str | None = None) -> int:
        """Say something; see `Room.say`."""
        self._check()
        return await self.room.say(self.member, said, key=key, tab_name=self.tab)

    async def say_many(self, texts: Sequence[str], *, key: str | None = None) -> list[int]:
        """Say several things together; see `Room.say_many`."""
        self._check()
        return await self.room.say_many(self.member, texts, key=key, tab_name=self.tab)

    async def typing(self) -> None:
        """Tell that you type."""
        self._check()
        await self.room.typing(self.member)

    async def beat(self) -> None:
        """Stay for another `presence` seconds."""
        self._check()
        await self.room._beat(self.member, self.tab)

    def listen(
        self,
        after: Position | None = None,
        *,
        begin: str = "now",
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
    ) -> AsyncListener:
        """Listen, and stay present meanwhile; see `Room.listen`."""
        return AsyncListener(
            self.room._client,
            self.room._feed(after, begin),
            buffer=buffer,
            policy=policy,
            timeout=timeout,
            beat=self._beat_unless_over,
            every=self.room._calls.settings.presence / 3,
        )

    async def leave(self) -> None:
        """Leave this tab. Harmless when repeated."""
        if not self._over:
            self._over = True
            await self.room.leave(self.member, self.tab)

    async def _beat_unless_over(self) -> None:
        if not self._over:
            await self.beat()

    def _check(self) -> None:
        if self._over:
            raise Closed(f"{self.member!r} has left {self.room.name!r}; join again")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.leave()
