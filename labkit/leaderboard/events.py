"""Watching a board: its stream of changes, read from any point, live, without losing any unseen.

Every change of a board has a number, and the numbers follow each other. The stream keeps the last
of them; who comes back asks for what followed the number it saw last, and what the stream no longer
has is reported as a `Gap`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from labkit.calls import text
from labkit.clock import duration
from labkit.leaderboard.results import Entry, Outcome
from labkit.leaderboard.scripts import Call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from labkit.leaderboard.operations import Board, Reads

SLICE = 1.0
"""Seconds that one blocking read waits at most, so that `close` is noticed."""
_BATCH = 500


class Change(msgspec.Struct, frozen=True, tag="change"):
    """A member's score or rank changed.

    Attributes:
        id: The number of the change: `watch(after=id)` goes on from here.
        member: Whose it is.
        window: The window it happened in.
        period: The period's name.
        outcome: `"new"` in the window, `"changed"` or `"removed"`.
        at: When it was scored, in seconds since the epoch.
        old_score: The score before; None for a new member.
        new_score: The score now; None for one that was removed.
        old_rank: The rank before, as the board ranks ties.
        new_rank: The rank now.
    """

    id: int
    member: str
    window: str
    period: str
    outcome: Outcome | Literal["removed"]
    at: float
    old_score: float | None
    new_score: float | None
    old_rank: int | None
    new_rank: int | None


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Much changed at once, without a `Change` for each: read what you show again.

    Attributes:
        id: The number of the last change it stands for.
        reason: `"loaded"` in bulk, `"trimmed"` or `"cleared"`.
        count: How many rows; 0 for a cleared board.
    """

    id: int
    reason: Literal["loaded", "trimmed", "cleared"]
    count: int


class Gap(msgspec.Struct, frozen=True, tag="gap"):
    """Changes that the stream no longer has: read what you show again.

    Attributes:
        first: The number of the first change that is missing.
        id: The number of the last one.
    """

    first: int
    id: int


class TopChange(msgspec.Struct, frozen=True, tag="top"):
    """The first entries of a board have changed, by one change or by many together.

    Attributes:
        id: The number of the last change that it takes into account.
        period: The period's name.
        entries: The first entries now.
        entered: Members that were not among them before.
        left: Members that no longer are.
        moved: Members whose rank or score changed.
    """

    id: int
    period: str
    entries: list[Entry]
    entered: list[str]
    left: list[str]
    moved: list[str]


Event = Change | Reset | Gap


class Tail:
    """Where a watcher is in the stream: what it asks for next, and what a reply tells it.

    Args:
        board: The board.
        reads: The window it watches.
        after: The number of the last change it has seen; 0 starts at the oldest that is kept, and
            None at the present.
        timeout: Ends the watch when nothing came for this `duration`; None waits for ever.
    """

    def __init__(
        self, board: Board, reads: Reads, after: int | None, timeout: float | str | None
    ) -> None:
        if not board.settings.events:
            raise ValueError("this board keeps no events: its setting `events` is 0")
        if after is not None and (
            isinstance(after, bool) or not isinstance(after, int) or after < 0
        ):
            raise ValueError(f"after is {after!r}; expected the id of a change, or None")
        self._board = board
        self._reads = reads
        self._patience = None if timeout is None else duration(timeout)
        self._idle: float | None = None
        self._ready: deque[Event] = deque()
        self._given = after
        self.read = after
        self.closed = False

    @property
    def located(self) -> bool:
        """Whether it knows where to start."""
        return self.read is not None

    def locate(self) -> Call[None]:
        """Asks for the number of the latest change, to start there."""
        return Call("HGET", (self._board.key,), ("changes",), self._locate)

    def _locate(self, reply: Any) -> None:
        self.read = self._given = 0 if reply is None else int(reply)

    def follow(self) -> Call[None]:
        """Asks for what follows; the server waits a while where nothing does."""
        wait = SLICE
        if self._patience is not None:
            wait = min(SLICE, self._patience - (self._idle or 0.0))
        blocking = ("BLOCK", max(1, int(wait * 1000))) if wait > 0 else ()
        self._asked = wait
        words = ("COUNT", _BATCH, *blocking, "STREAMS", self._board.changes, f"{self.read}-0")
        return Call("XREAD", (), words, self._read)

    @property
    def exhausted(self) -> bool:
        """Whether it has been closed, or nothing has come for as long as it waits."""
        if self._patience is None or self._idle is None:
            return self.closed
        return self.closed or self._idle >= self._patience

    @property
    def last_id(self) -> int:
        """The number of the last change that was taken; a later watch goes on there."""
        if not self._ready:
            return self.read or 0
        # One change may be several events; until the last of them it has not been taken.
        given = self._given or 0
        return given - 1 if self._ready[0].id == given else given

    def take(self) -> Event | None:
        """The next event that has been read, or None."""
        if not self._ready:
            return None
        event = self._ready.popleft()
        self._given = event.id
        return event

    def take_all(self) -> bool:
        """Pass over every event that has been read; whether there was one."""
        found = bool(self._ready)
        self._ready.clear()
        return found

    def _read(self, reply: Any) -> None:
        messages = _messages(reply)
        self._idle = None if messages else (self._idle or 0.0) + self._asked
        events = self._ready
        for name, fields in messages:
            number = int(text(name).split("-")[0])
            words = {text(key): text(value) for key, value in fields.items()}
            before = int(words["after"]) if "after" in words else number - 1
            if self.read and before > self.read:
                events.append(Gap(self.read + 1, before))
            self.read = number
            events.extend(self._events(number, words))

    def _events(self, number: int, words: Mapping[str, str]) -> Iterator[Event]:
        for reason in ("cleared", "loaded", "trimmed"):
            if reason in words:
                count = 0 if reason == "cleared" else int(words[reason])
                yield Reset(number, cast("Any", reason), count)
                return
        for name, line in words.items():
            if not self._watched(name):
                continue
            period = self._board.registered(name)
            assert period is not None
            outcome, old, old_rank, new, new_rank = line.split(" ")
            yield Change(
                number,
                words["member"],
                period.window,
                period.name,
                cast("Outcome", outcome),
                int(words["at"]) / 1000,
                None if old == "-" else self._board.score(old),
                None if new == "-" else self._board.score(new),
                None if old_rank == "-" else int(old_rank),
                None if new_rank == "-" else int(new_rank),
            )

    def _watched(self, name: str) -> bool:
        identity = name.split(" ", 1)[0]
        if " " not in name:
            return False
        if self._reads.follows:
            return identity.split(":", 1)[0] == self._reads.window
        return identity == self._reads.period.id


def _messages(reply: Any) -> list[tuple[Any, dict[Any, Any]]]:
    """The messages of an XREAD of one stream, in each shape that redis-py gives them."""
    if not reply:
        return []
    (messages,) = reply.values() if isinstance(reply, dict) else (stream[1] for stream in reply)
    if messages and isinstance(messages[0], list) and isinstance(messages[0][0], (tuple, list)):
        messages = messages[0]
    return [(name, fields or {}) for name, fields in messages]


class TopTail:
    """What a watcher of the first entries has shown, and what has changed since."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._shown: dict[str, Entry] | None = None
        self.period: str = ""

    def stale(self) -> bool:
        """Whether the period that is shown is over."""
        return self._reads.period.id != self.period

    def compare(self, number: int, entries: Sequence[Entry]) -> TopChange | None:
        """The difference to what was shown; None where there is none."""
        shown, first = self._shown or {}, self._shown is None
        now = {entry.member: entry for entry in entries}
        entered = [member for member in now if member not in shown]
        left = [member for member in shown if member not in now]
        moved = [member for member in now if member in shown and now[member] != shown[member]]
        period = self._reads.period
        self._shown, self.period = now, period.id
        if not (first or entered or left or moved):
            return None
        return TopChange(number, period.name, list(entries), entered, left, moved)
