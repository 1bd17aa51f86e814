"""What a leaderboard answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Metadata = dict[str, Any]
Outcome = Literal["new", "changed", "kept", "too small", "closed"]


class Entry(msgspec.Struct, frozen=True):
    """A member's place on a board.

    Attributes:
        rank: The rank, from 1, as the board ranks ties.
        member: The member's name.
        score: The score, at full double precision.
        metadata: What was submitted with the score, or None.
        place: The rank within the set that was asked for, in `among`; otherwise None.
    """

    rank: int
    member: str
    score: float
    metadata: Metadata | None = None
    place: int | None = None


class Page(msgspec.Struct, frozen=True):
    """A page of a board, in board order.

    Attributes:
        entries: The page's entries, with their ranks at the time of reading.
        next_cursor: Leads to the entries after the last one here; None at the end.
        previous_cursor: Leads to the entries before the first one here; None at the top.
        total: How many entries the window has.
    """

    entries: list[Entry]
    next_cursor: str | None
    previous_cursor: str | None
    total: int

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class Group(msgspec.Struct, frozen=True):
    """Some members of a board, such as a player's friends, in board order.

    Attributes:
        entries: Those that are on the board, each with `place`, its rank within the group.
        missing: Those that are not, in the order they were asked for.
    """

    entries: list[Entry]
    missing: list[str]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Entry:
        return self.entries[index]


class Score(NamedTuple):
    """One score of a batch; a tuple that leaves out the last fields will do.

    Attributes:
        member: Who scored.
        score: The score.
        metadata: Kept with the entry; None leaves what is there.
        at: When it was scored; None is now.
        key: An idempotency key of its own.
    """

    member: str
    score: float
    metadata: Metadata | None = None
    at: Any = None
    key: str | None = None


class Move(msgspec.Struct, frozen=True):
    """What a score did in one window.

    Attributes:
        period: The period's name, such as `"2026-11-22"`.
        outcome: `"new"` on this window, `"changed"`, `"kept"` by the policy, `"too small"` a step,
            or `"closed"`: the window is frozen.
        old_score: The score before; None when there was none.
        new_score: The score now; None when the member is not in the window.
        old_rank: The rank before, from 1.
        new_rank: The rank now, from 1.
    """

    period: str
    outcome: Outcome
    old_score: float | None = None
    new_score: float | None = None
    old_rank: int | None = None
    new_rank: int | None = None


class Submission(msgspec.Struct, frozen=True):
    """What became of a score.

    Attributes:
        member: Who scored.
        moves: What it did in each window, by the window's name.
        replayed: True when its idempotency key had been seen: the first answer once more.
        refused: Why it was refused, in a batch; None when it was taken. `submit` raises instead.
        window: The window that the attributes below speak of: the board's own.
    """

    member: str
    moves: dict[str, Move]
    replayed: bool = False
    refused: str | None = None
    window: str = "all"

    @property
    def _move(self) -> Move | None:
        return self.moves.get(self.window)

    @property
    def changed(self) -> bool:
        """Whether any window changed."""
        return any(move.outcome in ("new", "changed") for move in self.moves.values())

    @property
    def rank(self) -> int | None:
        """The rank now, in the board's own window."""
        return self._move.new_rank if self._move else None

    @property
    def score(self) -> float | None:
        """The score that the board now keeps, in its own window."""
        return self._move.new_score if self._move else None

    @property
    def old_rank(self) -> int | None:
        """The rank before, in the board's own window."""
        return self._move.old_rank if self._move else None

    @property
    def old_score(self) -> float | None:
        """The score before, in the board's own window."""
        return self._move.old_score if self._move else None
