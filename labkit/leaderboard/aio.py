"""The leaderboard for asyncio: the same calls as `board` sends, awaited."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from labkit.calls import scripts_of, send_async
from labkit.leaderboard import bulk
from labkit.leaderboard.events import Event, Tail, TopChange, TopTail
from labkit.leaderboard.operations import (
    PREFIX,
    Board,
    Reads,
    Writes,
    check_count,
    check_members,
    rank_history,
    stored_settings,
)
from labkit.leaderboard.settings import Settings, SettingsOptions, Ties

if TYPE_CHECKING:
    from types import TracebackType

    from labkit.clock import Clock
    from labkit.leaderboard.bulk import Loaded
    from labkit.leaderboard.results import Entry, Group, Metadata, Page, Score, Submission
    from labkit.leaderboard.scripts import Call
    from labkit.leaderboard.windows import Moment, Period

T = TypeVar("T")


class AsyncWindow:
    """`Window` for a client of `redis.asyncio`; the methods are described there."""

    def __init__(self, client: Any, board: Board, window: str, at: Any = None) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._board = board
        self._reads = Reads(board, window, at)

    @property
    def period(self) -> Period:
        """The period that a read made now reads."""
        return self._reads.period

    async def _send(self, call: Call[T]) -> T:
        return await send_async(self._client, self._held, call)

    async def get(self, member: str, *, ties: Ties | None = None) -> Entry | None:
        """A member's entry, or None where the member is not on the board."""
        return await self._send(self._reads.get(member, ties))

    async def top(self, count: int = 10, *, ties: Ties | None = None) -> list[Entry]:
        """The first `count` entries, the best first."""
        return await self._send(self._reads.top(count, ties))

    async def page(
        self,
        limit: int = 50,
        cursor: str | None = None,
        *,
        snapshot: float | str | None = None,
        ties: Ties | None = None,
    ) -> Page:
        """A page of entries, and the cursors that lead on in both directions."""
        return await self._send(self._reads.page(limit, cursor, snapshot, ties))

    async def around(
        self, member: str, count: int = 10, *, ties: Ties | None = None
    ) -> list[Entry]:
        """The `count` entries around a member, itself included."""
        return await self._send(self._reads.around(member, count, ties))

    async def around_score(
        self, score: float, count: int = 10, *, ties: Ties | None = None
    ) -> list[Entry]:
        """The `count` entries around the place where a score is or would be."""
        return await self._send(self._reads.around_score(score, count, ties))

    async def among(self, members: Iterable[str], *, ties: Ties | None = None) -> Group:
        """The entries of up to 1,000 members, each with its rank on the board and in the group."""
        return await self._send(self._reads.among(members, ties))

    async def percentile(self, member: str) -> float | None:
        """The percentage of entries, 0 to 100, whose score is worse; None for a missing member."""
        return await self._send(self._reads.percentile(member))

    async def score_at(self, percentile: float) -> float | None:
        """The score at a percentile, by the nearest-rank method; None on an empty board."""
        return await self._send(self._reads.score_at(percentile))

    async def rank_of(self, score: float, *, ties: Ties | None = None) -> int:
        """The rank that a score would get if a new member reached it now."""
        return await self._send(self._reads.rank_of(score, ties))

    async def count(self, low: float | None = None, high: float | None = None) -> int:
        """How many entries have a score from `low` to `high`, both included; None is no bound."""
        return await self._send(self._reads.count(low, high))

    async def size(self) -> int:
        """How many entries there are."""
        return await self._send(self._reads.size())

    def watch(self, after: int | None = None, *, timeout: float | str | None = None) -> AsyncWatch:
        """The changes of this window as they happen, each with its old and new rank.

        As `Window.watch`; where `after` is None it starts at the first step of the iteration, or
        where `async with` opens it.
        """
        return AsyncWatch(self._client, Tail(self._board, self._reads, after, timeout))

    async def watch_top(
        self, count: int = 10, *, timeout: float | str | None = None
    ) -> AsyncIterator[TopChange]:
        """The first entries now, and then again whenever they have changed."""
        check_count(count, "count")
        tail = Tail(self._board, self._reads, None, timeout)
        await self._send(tail.locate())
        top = TopTail(self._reads)
        while True:
            if tail.take_all() or top.stale():
                difference = top.compare(tail.last_id, await self.top(count))
                if difference is not None:
                    yield difference
            if tail.exhausted:
                return
            await self._send(tail.follow())


class AsyncWatch(AsyncIterator[Event]):
    """The changes of a window, as they happen; made by `AsyncLeaderboard.watch`."""

    def __init__(self, client: Any, tail: Tail) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._tail = tail

    @property
    def last_id(self) -> int:
        """The number of the last change that was given out: `watch(after=...)` goes on there."""
        return self._tail.last_id

    async def __aenter__(self) -> Self:
        if not self._tail.located:
            await send_async(self._client, self._held, self._tail.locate())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __anext__(self) -> Event:
        if not self._tail.located:
            await send_async(self._client, self._held, self._tail.locate())
        while (event := self._tail.take()) is None:
            if self._tail.exhausted:
                raise StopAsyncIteration
            await send_async(self._client, self._held, self._tail.follow())
        return event

    def close(self) -> None:
        """End the iteration; where another task waits in it, within a second."""
        self._tail.closed = True


class AsyncLeaderboard(AsyncWindow):
    """`Leaderboard` for a client of `redis.asyncio`; the arguments are described there.

    Example:
        >>> board = AsyncLeaderboard(client, "arcade", windows=("daily", "all"))
        >>> (await board.submit("ada", 4200)).rank
        1
    """

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        clock: Clock = time.time,
        secret: str | None = None,
        prefix: str = PREFIX,
        **settings: Unpack[SettingsOptions],
    ) -> None:
        board = Board(name, Settings(**settings), clock, secret, prefix)
        super().__init__(client, board, board.window)
        self._writes = Writes(board)

    @classmethod
    async def open(
        cls,
        client: Any,
        name: str,
        *,
        clock: Clock = time.time,
        secret: str | None = None,
        prefix: str = PREFIX,
    ) -> Self:
        """The board of that name, with the settings that are kept with it, or NoSuchBoard."""
        stored = await send_async(client, scripts_of(client), stored_settings(name, prefix))
        options = stored.options()
        return cls(client, name, clock=clock, secret=secret, prefix=prefix, **options)

    @property
    def name(self) -> str:
        """The board's name."""
        return self._board.name

    @property
    def settings(self) -> Settings:
        """What the board accepts and how it ranks."""
        return self._board.settings

    def window(self, window: str, at: Moment | Period | None = None) -> AsyncWindow:
        """The reading methods on one window."""
        return AsyncWindow(self._client, self._board, window, at)

    async def submit(
        self,
        member: str,
        score: float,
        metadata: Metadata | None = None,
        *,
        at: Moment | None = None,
        key: str | None = None,
    ) -> Submission:
        """Store a score, in every window it belongs to: one script, one round trip."""
        return await self._send(self._writes.submit(member, score, metadata, at, key))

    async def increment(
        self,
        member: str,
        by: float,
        metadata: Metadata | None = None,
        *,
        at: Moment | None = None,
        key: str | None = None,
    ) -> Submission:
        """Add to a member's score in every window, whatever the policy; as `submit` otherwise."""
        return await self._send(self._writes.increment(member, by, metadata, at, key))

    async def submit_many(
        self, scores: Iterable[Score | tuple[Any, ...]] | Mapping[str, float]
    ) -> list[Submission]:
        """Store many scores, 500 in one round trip."""
        answers: list[Submission] = []
        for call in self._writes.submit_many(scores):
            answers += await self._send(call)
        return answers

    async def load(
        self,
        rows: Any,
        *,
        at: Moment | None = None,
        ordered: bool = False,
        progress: bool = False,
        chunk: int = 1000,
    ) -> Loaded:
        """Store a whole table of scores, without an answer for each, in flat memory."""
        return await bulk.load_async(self._client, self._writes, rows, at, ordered, progress, chunk)

    async def remove(self, *members: str, history: bool = True) -> int:
        """Remove members with everything that is kept of them, and tell how many were there."""
        check_members(members)
        removed = None
        while removed is None:
            names = await self._send(self._writes.register())
            removed = await self._send(self._writes.remove(members, names, history=history))
        return removed

    async def trim(self, keep: int) -> int:
        """Cut every open period to its first `keep` entries; how many rows were removed."""
        check_count(keep, "keep", 2**53)
        removed, cut = 0, 1
        while cut:
            names = await self._send(self._writes.register())
            cut = await self._send(self._writes.trim(keep, names))
            removed += cut
        return removed

    async def clear(self) -> None:
        """Remove every entry, closed periods included; the settings stay, and watchers are told."""
        await self._wipe("clear")

    async def delete(self) -> None:
        """Remove the board with every key it has."""
        await self._wipe("delete")

    async def _wipe(self, how: str) -> None:
        done = None
        while done is None:
            names = await self._send(self._writes.register())
            done = await self._send(self._writes.clear(names, how))

    async def configure(self) -> bool:
        """Store this object's settings with the board, for `open`; True where the board is new."""
        return await self._send(self._writes.configure())

    async def history(self, window: str) -> list[Period]:
        """The periods of a window that are over and can be read, the newest first."""
        self._board.period(window)
        return self._writes.ended(await self._send(self._writes.register()), window)

    async def rank_history(
        self, member: str, window: str, limit: int = 30, *, ties: Ties | None = None
    ) -> list[tuple[Period, Entry | None]]:
        """A member's entries in the last `limit` periods, the present one first; None for none."""
        return await self._send(rank_history(self._board, window, member, limit, ties))
