"""Live changes for many clients from one reading of Redis.

However many clients watch a window, one task of this process reads its stream of changes (a `Hub`)
and gives each change to them all. A client that comes back with the number of the change it saw
last is first read, on its own, what the stream holds since; then it joins the others. The same
happens to a client that falls behind: its share of the hub is bounded, and when it overflows the
client is read from the stream again, from where it was. So no client misses a change that the
board still keeps, none gets one twice, and what the board no longer keeps is told as a `gap`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from labkit.leaderboard import AsyncLeaderboard, Entry, Gap, Period, TopChange
from labkit.leaderboard.api.problems import PASSING, Problem, Unavailable, refusals

if TYPE_CHECKING:
    from labkit.leaderboard import AsyncWatch, AsyncWindow
    from labkit.leaderboard.api.options import Limits
    from labkit.leaderboard.events import Event

PAUSE = 0.1
"""Seconds between two tries to reach Redis."""

GLANCE = 0.05
"""Seconds from one look at the first entries to the next: changes closer together are one."""

TICK = 1.0
"""Seconds after which a new period is noticed where nothing has changed."""

_BATCH = 100
_log = logging.getLogger(__name__)


class Opening(msgspec.Struct, frozen=True, tag="open"):
    """The first event of every stream.

    Attributes:
        id: What to resume from if nothing else comes: everything after it will be told.
        window: The window that is watched.
    """

    id: int
    window: str


class Frame:
    """An event as it is sent, written once for all clients.

    Attributes:
        id: The number of the change.
        text: The event as JSON, its kind in the member `type`: `open`, `change`, `reset`, `gap` or
            `top`.
    """

    def __init__(self, event: Event | Opening | TopChange) -> None:
        self._event = event
        self.id = event.id
        self.text = msgspec.json.encode(event).decode()

    @functools.cached_property
    def sse(self) -> bytes:
        """The event in the format of Server-Sent Events."""
        kind = type(self._event).__struct_config__.tag
        return f"id: {self.id}\nevent: {kind}\ndata: {self.text}\n\n".encode()

    @functools.cached_property
    def early(self) -> Frame:
        """The event where another one with its number follows.

        It has the number before as its id: who is cut off in between and comes back with it gets
        both.
        """
        return Frame(msgspec.structs.replace(self._event, id=self.id - 1))


Frames = AsyncGenerator[list[Frame], None]
"""What a client is sent, as it comes; an empty list is a sign of life.

Events with one number come in one list.
"""


def told(frames: list[Frame]) -> list[Frame]:
    """Frames as they are sent: one change may be several events, and only the last has its id."""
    pairs = itertools.pairwise(frames)
    early = [frame.early if frame.id == after.id else frame for frame, after in pairs]
    return early + frames[-1:]


class Place:
    """A client's place in a feed: what has come and has not been sent yet.

    Attributes:
        start: Everything after this change comes to the place.
        lost: Whether the client fell so far behind that what waited was dropped.
    """

    def __init__(self, start: int, most: int) -> None:
        self.start = start
        self.lost = False
        self._most = most
        self._waiting: list[Frame] = []
        self._woken = asyncio.Event()

    def put(self, frame: Frame) -> None:
        """Add a frame."""
        if self.lost or len(self._waiting) == self._most:
            self.lost = True
            self._waiting.clear()
        else:
            self._waiting.append(frame)
        self.wake()

    def wake(self) -> None:
        """Let the client look."""
        self._woken.set()

    async def take(self, patience: float) -> list[Frame]:
        """What has come; empty where nothing did for `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._woken.wait()
        self._woken.clear()
        frames, self._waiting = self._waiting, []
        return frames


class Feed:
    """A task that many clients listen to; it runs while there is one.

    Attributes:
        ended: Whether nothing more will come.
        users: How many listen.
    """

    def __init__(self, most: int) -> None:
        self.ended = False
        self.users = 0
        self._most = most
        self._places: set[Place] = set()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())

    @property
    def position(self) -> int:
        """The number of the last change that the clients have been given."""
        raise NotImplementedError

    async def work(self) -> None:
        """Find out where Redis is, call `started`, and pass on what comes."""
        raise NotImplementedError

    async def _run(self) -> None:
        try:
            await self.work()
        except Exception as error:
            if self._ready.done():
                _log.exception("A feed of changes failed; its streams end.")
            else:
                self._ready.set_exception(error)
        finally:
            self.end()

    def started(self) -> None:
        """Let the clients in that wait in `ready`."""
        if not self._ready.done():
            self._ready.set_result(None)

    async def ready(self) -> None:
        """Wait until the feed has started; what kept it from starting is raised."""
        await asyncio.shield(self._ready)

    def give(self, frame: Frame) -> None:
        """Give a frame to every client."""
        for place in self._places:
            place.put(frame)

    def wake(self) -> None:
        """Let every client look."""
        for place in self._places:
            place.wake()

    @contextlib.contextmanager
    def joined(self) -> Iterator[Place]:
        """A place, for as long as the block lasts."""
        place = Place(self.position, self._most)
        self._places.add(place)
        try:
            yield place
        finally:
            self._places.discard(place)

    def end(self) -> None:
        """Let every client know that nothing more will come."""
        self.ended = True
        if not self._ready.done():
            self._ready.set_exception(Unavailable())
        self._ready.exception()  # looked at, even if no client waits any more
        self.wake()

    async def aclose(self) -> None:
        """End the task."""
        self.end()
        await stop(self._task)


async def stop(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they are done.

    Once is not enough: where an answer of Redis comes at the same moment, redis-py gives the answer
    and the cancellation is forgotten.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=PAUSE)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at: it is raised elsewhere, or not of interest any more


class Hub(Feed):
    """The changes of a window."""

    def __init__(self, window: AsyncWindow, most: int) -> None:
        self._watch = window.watch()
        super().__init__(most)

    @property
    def position(self) -> int:
        """The number of the last change that was read, of this window or of another."""
        return self._watch.last_id

    async def work(self) -> None:
        """Pass every change on; a gap ends the feed, and a client that returns is told of it.

        A gap also comes when the board was deleted and made again, perhaps with another order:
        the clients that return find the new one.
        """
        async with self._watch:
            self.started()
            while not isinstance(event := await _next(self._watch), Gap):
                self.give(Frame(event))


class Look(NamedTuple):
    """The first entries at a moment.

    Attributes:
        id: The number of the last change taken into account.
        period: The period they were read from.
        entries: The entries.
    """

    id: int
    period: Period
    entries: list[Entry]


class Top(Feed):
    """The first entries of a window: read once for all clients when something has changed.

    Attributes:
        look: The last look at them; None before the first.
    """

    def __init__(self, window: AsyncWindow, hub: Hub, count: int) -> None:
        self._window = window
        self._hub = hub
        self._count = count
        self._frames: dict[int, Frame | None] = {}
        self.look: Look | None = None
        super().__init__(1)

    @property
    def position(self) -> int:
        """The number of the last change that the last look took into account."""
        return self.look.id if self.look else 0

    async def work(self) -> None:
        """Look again after each change, and when a new period begins."""
        with self._hub.joined() as place:
            while not self._hub.ended:
                place.lost = False
                await self._look()
                await asyncio.sleep(GLANCE)
                while not (await place.take(TICK) or place.lost or self._hub.ended):
                    if self.look and self.look.period != self._window.period:
                        break

    async def _look(self) -> None:
        number, period = self._hub.position, self._window.period
        try:
            entries = await self._window.top(self._count)
        except (Unavailable, *PASSING):
            if self.look is None:
                raise
            return
        self.look = Look(number, period, entries)
        self._frames.clear()
        self.started()
        self.wake()

    def frame(self, shown: Look | None) -> Frame | None:
        """What has changed since a client was shown a look; None where nothing has.

        Most clients were shown the same look, so that this is worked out once for them all.
        """
        assert self.look is not None
        if id(shown) not in self._frames:
            change = _difference(shown, self.look)
            self._frames[id(shown)] = None if change is None else Frame(change)
        return self._frames[id(shown)]


def _difference(shown: Look | None, look: Look) -> TopChange | None:
    before = {entry.member: entry for entry in shown.entries} if shown else {}
    now = {entry.member: entry for entry in look.entries}
    entered = [member for member in now if member not in before]
    left = [member for member in before if member not in now]
    moved = [member for member in now if member in before and now[member] != before[member]]
    if shown and shown.period == look.period and not (entered or left or moved):
        return None
    return TopChange(look.id, look.period.name, look.entries, entered, left, moved)


FeedT = TypeVar("FeedT", bound=Feed)


class Live:
    """The live streams of a process.

    Args:
        limits: How many streams, and how far a client may fall behind.
        waiting: Gives the same board on a way to Redis for reads that wait for changes.
    """

    def __init__(
        self, limits: Limits, waiting: Callable[[AsyncLeaderboard], AsyncLeaderboard]
    ) -> None:
        self._limits = limits
        self._waiting = waiting
        self._hubs: dict[Hashable, Hub] = {}
        self._tops: dict[Hashable, Top] = {}
        self._open = 0
        self._closing = False

    async def changes(self, board: AsyncLeaderboard, window: str, after: int | None) -> Frames:
        """The changes of a window.

        Args:
            board: The board.
            window: The window's name.
            after: The number of the last change that the client saw; None starts now.

        Yields:
            An `open`, then changes by number, as many at once as there are.

        Raises:
            Problem: Before the first item: too many streams are open, or the number is none of
                this board's.
            Unavailable: Redis did not answer; at the beginning, or while what came before is read.
        """
        with refusals():
            past = board.window(window)
        patience = self._limits.heartbeat
        with self._admitted():
            async with self._hub(board, window) as hub:
                if after is None:
                    after = hub.position
                elif after > hub.position:
                    await _check_known(past, after)
                yield [Frame(Opening(after, window))]
                while not hub.ended:
                    with hub.joined() as place:
                        if after < place.start:
                            async for frames in _between(past, after, place.start):
                                yield frames
                            after = place.start
                        while not (place.lost or hub.ended):
                            frames = [f for f in await place.take(patience) if f.id > after]
                            if frames:
                                after = frames[-1].id
                            yield frames

    async def tops(self, board: AsyncLeaderboard, window: str, count: int) -> Frames:
        """The first entries of a window, at once and then whenever they have changed.

        Changes that come close together are told as one difference to what the client was told
        last; a client that is slow skips what lay between.

        Args:
            board: The board.
            window: The window's name.
            count: How many entries.

        Yields:
            A `top`.

        Raises:
            Problem: Before the first item: too many streams are open.
            Unavailable: Before the first item: Redis did not answer.
        """
        with refusals():
            present = board.window(window)
        with self._admitted():
            async with (
                self._hub(board, window) as hub,
                _shared(
                    self._tops, (board.name, window, count), lambda: Top(present, hub, count)
                ) as top,
            ):
                shown: Look | None = None
                with top.joined() as place:
                    while not top.ended:
                        frame = top.frame(shown) if top.look is not shown else None
                        shown = top.look
                        yield [frame] if frame else []
                        await place.take(self._limits.heartbeat)

    def _hub(
        self, board: AsyncLeaderboard, window: str
    ) -> contextlib.AbstractAsyncContextManager[Hub]:
        def make() -> Hub:
            return Hub(self._waiting(board).window(window), self._limits.waiting)

        return _shared(self._hubs, (board.name, window), make)

    @contextlib.contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._closing:
            detail = "The service is shutting down; connect again, to where it runs next."
            raise Problem(503, "shutting-down", detail, {"Retry-After": "1"})
        if self._open >= self._limits.streams:
            detail = f"All {self._limits.streams} streams of this process are taken; try later."
            raise Problem(503, "too-many-streams", detail, {"Retry-After": "10"})
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    def end(self, board: str) -> None:
        """End the streams of a board that is gone."""
        for key, feed in [*self._hubs.items(), *self._tops.items()]:
            if isinstance(key, tuple) and key[0] == board:
                feed.end()

    def close(self) -> None:
        """End every stream, and open no more."""
        self._closing = True
        for feed in (*self._hubs.values(), *self._tops.values()):
            feed.end()

    async def aclose(self) -> None:
        """End every stream and what they listened to."""
        self.close()
        for feed in (*self._tops.values(), *self._hubs.values()):
            await feed.aclose()


@contextlib.asynccontextmanager
async def _shared(
    feeds: dict[Hashable, FeedT], key: Hashable, make: Callable[[], FeedT]
) -> AsyncIterator[FeedT]:
    """The feed of that key, made for the first client and closed by the last."""
    feed = feeds.get(key)
    if feed is None or feed.ended:
        feed = feeds[key] = make()
    feed.users += 1
    try:
        await feed.ready()
        yield feed
    finally:
        feed.users -= 1
        if not feed.users:
            if feeds.get(key) is feed:
                del feeds[key]
            await feed.aclose()


async def _next(watch: AsyncWatch) -> Event:
    """The next event, however long Redis is away."""
    while True:
        try:
            return await anext(watch)
        except (Unavailable, *PASSING):
            await asyncio.sleep(PAUSE)


async def _between(window: AsyncWindow, after: int, last: int) -> AsyncIterator[list[Frame]]:
    """What the stream holds from one change to another, both numbers known to be of the board."""
    frames: list[Frame] = []
    async for event in window.watch(after, timeout=0):
        if event.id > last:
            if isinstance(event, Gap) and event.first <= last:
                frames.append(Frame(Gap(event.first, last)))
            break
        if len(frames) >= _BATCH and event.id > frames[-1].id:
            yield frames
            frames = []
        frames.append(Frame(event))
    if frames:
        yield frames


async def _check_known(window: AsyncWindow, after: int) -> None:
    async with window.watch() as watch:
        latest = watch.last_id
    if after > latest:
        raise Problem(
            422,
            "unknown-event",
            f"The last event id is {after}, and the latest change of this board is {latest}; "
            "connect without one, and read what you show again.",
        )
