"""The leaderboard for programs that block."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from labkit.calls import scripts_of, send
from labkit.leaderboard import bulk
from labkit.leaderboard.events import Event, Tail, TopChange, TopTail
from labkit.leaderboard.operations import (
    PREFIX,
    Board,
    Reads,
    Writes,
    check_count,
    check_member,
    check_members,
    rank_history,
    stored_settings,
)
from labkit.leaderboard.settings import Settings, SettingsOptions, Ties

if TYPE_CHECKING:
    from labkit.clock import Clock
    from labkit.leaderboard.bulk import Loaded
    from labkit.leaderboard.results import Entry, Group, Metadata, Page, Score, Submission
    from labkit.leaderboard.scripts import Call
    from labkit.leaderboard.windows import Moment, Period

T = TypeVar("T")


class Window:
    """The reading side of one window of a board; made by `Leaderboard.window`.

    Every method is one round trip. `ties` asks for another kind of rank than the board's own.
    Counts of entries go up to 1,000.
    """

    def __init__(self, client: Any, board: Board, window: str, at: Any = None) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._board = board
        self._reads = Reads(board, window, at)

    @property
    def period(self) -> Period:
        """The period that a read made now reads."""
        return self._reads.period

    def _send(self, call: Call[T]) -> T:
        return send(self._client, self._held, call)

    def get(self, member: str, *, ties: Ties | None = None) -> Entry | None:
        """A member's entry, or None where the member is not on the board."""
        return self._send(self._reads.get(member, ties))

    def top(self, count: int = 10, *, ties: Ties | None = None) -> list[Entry]:
        """The first `count` entries, the best first."""
        return self._send(self._reads.top(count, ties))

    def page(
        self,
        limit: int = 50,
        cursor: str | None = None,
        *,
        snapshot: float | str | None = None,
        ties: Ties | None = None,
    ) -> Page:
        """A page of entries, and the cursors that lead on in both directions.

        A cursor is a place in the order, not a number of entries: every entry that does not move
        is met exactly once, whatever the others do meanwhile. What moves across the place may be
        met twice or not at all, unless a snapshot is paged through.

        Args:
            limit: How many entries at most.
            cursor: What an earlier page gave; None is the first page.
            snapshot: A `duration`: copies the window (at a cost of O(N), once) and pages through
                the copy, which is gone after that time. Cursors lead through the same copy.
            ties: How equal scores rank.

        Raises:
            CursorRefused: The cursor is damaged, foreign, or of a window or snapshot that is over.
        """
        return self._send(self._reads.page(limit, cursor, snapshot, ties))

    def around(self, member: str, count: int = 10, *, ties: Ties | None = None) -> list[Entry]:
        """The `count` entries around a member, itself included.

        The list is full while the board has as many entries: at an end of the board the other
        side gives more. It is empty where the member is not on the board.
        """
        return self._send(self._reads.around(member, count, ties))

    def around_score(
        self, score: float, count: int = 10, *, ties: Ties | None = None
    ) -> list[Entry]:
        """The `count` entries around the place where a score is or would be."""
        return self._send(self._reads.around_score(score, count, ties))

    def among(self, members: Iterable[str], *, ties: Ties | None = None) -> Group:
        """The entries of up to 1,000 members, each with its rank on the board and in the group."""
        return self._send(self._reads.among(members, ties))

    def percentile(self, member: str) -> float | None:
        """The percentage of entries, 0 to 100, whose score is worse; None for a missing member."""
        return self._send(self._reads.percentile(member))

    def score_at(self, percentile: float) -> float | None:
        """The score at a percentile, by the nearest-rank method; None on an empty board.

        It is the best score that at most `percentile` percent of the entries are worse than or
        equal to, counted from the worst: 0 gives the worst score and 100 the best.
        """
        return self._send(self._reads.score_at(percentile))

    def rank_of(self, score: float, *, ties: Ties | None = None) -> int:
        """The rank that a score would get if a new member reached it now."""
        return self._send(self._reads.rank_of(score, ties))

    def count(self, low: float | None = None, high: float | None = None) -> int:
        """How many entries have a score from `low` to `high`, both included; None is no bound."""
        return self._send(self._reads.count(low, high))

    def size(self) -> int:
        """How many entries there are; `len` says the same."""
        return self._send(self._reads.size())

    def __len__(self) -> int:
        return self.size()

    def __contains__(self, member: object) -> bool:
        try:
            return self.get(check_member(member)) is not None
        except (TypeError, ValueError):
            return False

    def watch(self, after: int | None = None, *, timeout: float | str | None = None) -> Watch:
        """The changes of this window as they happen, each with its old and new rank.

        Args:
            after: The `id` of the last change that was seen: what followed it comes first, and a
                `Gap` tells what the stream no longer has. None starts now, at this call; 0 at
                the oldest change that is kept.
            timeout: Ends the iteration when nothing came for this `duration`; None waits for ever.

        Returns:
            An iterator over `Change`, `Reset` and `Gap`.
        """
        return Watch(self._client, Tail(self._board, self._reads, after, timeout))

    def watch_top(
        self, count: int = 10, *, timeout: float | str | None = None
    ) -> Iterator[TopChange]:
        """The first entries now, and then again whenever they have changed.

        Many changes between two looks come as one difference.
        """
        check_count(count, "count")
        tail = Tail(self._board, self._reads, None, timeout)
        self._send(tail.locate())
        return self._top_changes(tail, count)

    def _top_changes(self, tail: Tail, count: int) -> Iterator[TopChange]:
        top = TopTail(self._reads)
        while True:
            if tail.take_all() or top.stale():
                difference = top.compare(tail.last_id, self.top(count))
                if difference is not None:
                    yield difference
            if tail.exhausted:
                return
            self._send(tail.follow())


class Watch(Iterator[Event]):
    """The changes of a window, as they happen; made by `Leaderboard.watch`."""

    def __init__(self, client: Any, tail: Tail) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._tail = tail
        if not tail.located:
            send(client, self._held, tail.locate())

    @property
    def last_id(self) -> int:
        """The number of the last change that was given out: `watch(after=...)` goes on there."""
        return self._tail.last_id

    def __next__(self) -> Event:
        while (event := self._tail.take()) is None:
            if self._tail.exhausted:
                raise StopIteration
            send(self._client, self._held, self._tail.follow())
        return event

    def close(self) -> None:
        """End the iteration; where another thread waits in it, within a second."""
        self._tail.closed = True


class Leaderboard(Window):
    """A leaderboard on Redis.

    The reading methods read the board's own window, `"all"` where the board has it and otherwise
    the first of its windows; `window` gives the others. Making the object sends nothing; the first
    write makes the board. Objects in several programs may share one board: it refuses one whose
    order, time zone or week start differs, and the other settings are each object's own, so take
    them from the board with `open` where they should agree.

    Example:
        >>> board = Leaderboard(client, "arcade", windows=("daily", "all"))
        >>> board.submit("ada", 4200).rank
        1
        >>> board.top(3)
        [Entry(rank=1, member='ada', score=4200.0, metadata=None, place=None)]

    Args:
        client: A `redis.Redis` or `redis.RedisCluster`, with decoded responses or without.
        name: The board's name, 1 to 200 characters.
        clock: The time source.
        secret: Signs the cursors; by default each board has a random one, kept with it.
        prefix: What the keys begin with; the board's name follows in braces.
        settings: The other settings, described by `Settings`.

    Raises:
        ValueError: A setting that cannot be; TypeError for one of a wrong type.
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
    def open(
        cls,
        client: Any,
        name: str,
        *,
        clock: Clock = time.time,
        secret: str | None = None,
        prefix: str = PREFIX,
    ) -> Self:
        """The board of that name, with the settings that are kept with it.

        Raises:
            NoSuchBoard: There is none.
        """
        options = send(client, scripts_of(client), stored_settings(name, prefix)).options()
        return cls(client, name, clock=clock, secret=secret, prefix=prefix, **options)

    @property
    def name(self) -> str:
        """The board's name."""
        return self._board.name

    @property
    def settings(self) -> Settings:
        """What the board accepts and how it ranks."""
        return self._board.settings

    def window(self, window: str, at: Moment | Period | None = None) -> Window:
        """The reading methods on one window.

        Args:
            window: The window's name.
            at: A moment of the period to read, or a `Period`; None follows the clock from period
                to period. A season has one period.
        """
        return Window(self._client, self._board, window, at)

    def submit(
        self,
        member: str,
        score: float,
        metadata: Metadata | None = None,
        *,
        at: Moment | None = None,
        key: str | None = None,
    ) -> Submission:
        """Store a score, in every window it belongs to: one script, one round trip.

        Args:
            member: Who scored: text of 1 to 512 bytes.
            score: A finite number that a double keeps exactly.
            metadata: Kept with the entry as JSON; None leaves what is there.
            at: When it was scored; None is now. A late score counts in the periods of its own time,
                as long as they are open, and the policy goes by these moments: delivered in
                another order, the same scores make the same board, places within a tie apart.
            key: An idempotency key. The same submission with the same key is stored once, however
                often it is sent, and answered as the first time.

        Returns:
            The old and new score and rank in every window.

        Raises:
            ScoreRefused: It is outside the bounds, or less than a step away from the one kept.
            WindowClosed: Every window it belongs to is closed.
            KeyReused: The key came before with another submission.
            TypeError: An argument of a wrong type; ValueError for one that cannot be. Whatever is
                raised, nothing was written.
        """
        return self._send(self._writes.submit(member, score, metadata, at, key))

    def increment(
        self,
        member: str,
        by: float,
        metadata: Metadata | None = None,
        *,
        at: Moment | None = None,
        key: str | None = None,
    ) -> Submission:
        """Add to a member's score in every window, whatever the policy; as `submit` otherwise."""
        return self._send(self._writes.increment(member, by, metadata, at, key))

    def submit_many(
        self, scores: Iterable[Score | tuple[Any, ...]] | Mapping[str, float]
    ) -> list[Submission]:
        """Store many scores, 500 in one round trip.

        All are checked before the first is sent. Those that only the board can refuse have
        `refused` in their answer; the others are stored. For whole tables see `load`.

        Args:
            scores: Pairs of member and score; `Score`s, or tuples in their order, to say more; or a
                mapping.

        Returns:
            An answer for each, in order.
        """
        answers: list[Submission] = []
        for call in self._writes.submit_many(scores):
            answers += self._send(call)
        return answers

    def load(
        self,
        rows: Any,
        *,
        at: Moment | None = None,
        ordered: bool = False,
        progress: bool = False,
        chunk: int = 1000,
    ) -> Loaded:
        """Store a whole table of scores, without an answer for each, in flat memory.

        The policy applies as in `submit`. Rows are checked chunk by chunk; an error names the row,
        and what came before its chunk is stored: with every policy but `"sum"` the load can simply
        be repeated. Those who watch the board get one `Reset` a chunk.

        Args:
            rows: Pairs of member and score from any iterable, a mapping, or a pandas frame with the
                columns `member` and `score`.
            at: When they were scored; None is now.
            ordered: Whether rows of equal score keep the order in which they come. They all count
                from the same moment; without an order they rank by name, which takes half the
                time and half the memory.
            progress: Whether to show a progress bar.
            chunk: Rows in one round trip, 1 to 3,000.
        """
        return bulk.load(self._client, self._writes, rows, at, ordered, progress, chunk)

    def remove(self, *members: str, history: bool = True) -> int:
        """Remove members with everything that is kept of them, and tell how many were there.

        Past changes stay in the stream until newer ones push them out, and a snapshot keeps what it
        holds until it ends.

        Args:
            members: Up to 1,000.
            history: Whether they vanish from closed periods as well; False leaves those frozen.
        """
        check_members(members)
        removed = None
        while removed is None:
            names = self._send(self._writes.register())
            removed = self._send(self._writes.remove(members, names, history=history))
        return removed

    def trim(self, keep: int) -> int:
        """Cut every open period to its first `keep` entries; how many rows were removed.

        Nothing stays behind of what was cut. At most 1,000 rows go in one round trip.
        """
        check_count(keep, "keep", 2**53)
        removed = 0
        while cut := self._send(self._writes.trim(keep, self._send(self._writes.register()))):
            removed += cut
        return removed

    def clear(self) -> None:
        """Remove every entry, closed periods included; the settings stay, and watchers are told."""
        self._wipe("clear")

    def delete(self) -> None:
        """Remove the board with every key it has."""
        self._wipe("delete")

    def _wipe(self, how: str) -> None:
        while self._send(self._writes.clear(self._send(self._writes.register()), how)) is None:
            pass

    def configure(self) -> bool:
        """Store this object's settings with the board, for `open`; True where the board is new.

        A board's order, time zone, week start and index of distinct scores stay as they are.
        """
        return self._send(self._writes.configure())

    def history(self, window: str) -> list[Period]:
        """The periods of a window that are over and can be read, the newest first.

        `window(name, at=period)` reads one. A period takes late scores for a while after its end
        (the setting `grace`) and is frozen then.
        """
        self._board.period(window)
        return self._writes.ended(self._send(self._writes.register()), window)

    def rank_history(
        self, member: str, window: str, limit: int = 30, *, ties: Ties | None = None
    ) -> list[tuple[Period, Entry | None]]:
        """A member's entries in the last `limit` periods, the present one first; None for none."""
        return self._send(rank_history(self._board, window, member, limit, ties))
