"""What a leaderboard refuses, and why."""

from __future__ import annotations


class LeaderboardError(Exception):
    """Something that a leaderboard refused; the message says what to do."""


class ScoreRefused(LeaderboardError, ValueError):
    """A score outside the board's bounds, or too small a step; nothing was written."""


class WindowClosed(ScoreRefused):
    """Every window that the score belongs to has closed; nothing was written."""


class KeyReused(LeaderboardError, ValueError):
    """An idempotency key came back with another payload; nothing was written."""


class CursorRefused(LeaderboardError, ValueError):
    """A cursor that is damaged, foreign, or of a window or snapshot that is over."""


class LayoutMismatch(LeaderboardError):
    """The board was made with another order, time zone or week start."""


class NoSuchBoard(LeaderboardError, LookupError):
    """There is no board of that name."""
