"""A leaderboard on Redis: policies, ties, windows, cursors, live changes; sync and async."""

from labkit.leaderboard.aio import AsyncLeaderboard, AsyncWatch, AsyncWindow
from labkit.leaderboard.board import Leaderboard, Watch, Window
from labkit.leaderboard.bulk import Loaded
from labkit.leaderboard.errors import (
    CursorRefused,
    KeyReused,
    LayoutMismatch,
    LeaderboardError,
    NoSuchBoard,
    ScoreRefused,
    WindowClosed,
)
from labkit.leaderboard.events import Change, Gap, Reset, TopChange
from labkit.leaderboard.results import Entry, Group, Move, Page, Score, Submission
from labkit.leaderboard.settings import Settings
from labkit.leaderboard.windows import Period, Season

__all__ = [
    "AsyncLeaderboard",
    "AsyncWatch",
    "AsyncWindow",
    "Change",
    "CursorRefused",
    "Entry",
    "Gap",
    "Group",
    "KeyReused",
    "LayoutMismatch",
    "Leaderboard",
    "LeaderboardError",
    "Loaded",
    "Move",
    "NoSuchBoard",
    "Page",
    "Period",
    "Reset",
    "Score",
    "ScoreRefused",
    "Season",
    "Settings",
    "Submission",
    "TopChange",
    "Watch",
    "Window",
    "WindowClosed",
]
