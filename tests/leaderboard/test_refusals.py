"""What a board refuses: the kind of exception, what the message names, and that nothing is written.

On a board that has scores, and on one that nobody has made yet.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from labkit.clock import FakeClock
from labkit.leaderboard import (
    CursorRefused,
    KeyReused,
    LayoutMismatch,
    LeaderboardError,
    NoSuchBoard,
    Period,
    Score,
    ScoreRefused,
    Season,
    WindowClosed,
)
from tests.leaderboard.storage import NOON, dump

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tests.leaderboard.conftest import Boards

Refusal = tuple[str, "Callable[[Any], object]", type[Exception], str]

WRITES: list[Refusal] = [
    ("nan", lambda board: board.submit("ada", math.nan), ValueError, "score is nan"),
    ("infinity", lambda board: board.submit("ada", math.inf), ValueError, "score is inf"),
    ("minus infinity", lambda board: board.increment("ada", -math.inf), ValueError, "-inf"),
    ("a truth value", lambda board: board.submit("ada", True), TypeError, "score is True"),
    ("a text", lambda board: board.submit("ada", "12"), TypeError, "score is '12'"),
    ("nothing", lambda board: board.submit("ada", None), TypeError, "score is None"),
    ("bytes", lambda board: board.submit("ada", b"1"), TypeError, "score is b'1'"),
    ("a complex number", lambda board: board.submit("ada", 1j), TypeError, "score is 1j"),
    ("2**53 + 1", lambda board: board.submit("ada", 2**53 + 1), ValueError, str(2**53 + 1)),
    ("a vast integer", lambda board: board.submit("ada", 10**400), ValueError, "exactly|finite"),
    (
        "an integer of another kind that no double equals",
        lambda board: board.submit("ada", np.int64(2**53 + 1)),
        ValueError,
        str(2**53 + 1),
    ),
    ("a score below the minimum", lambda board: board.submit("ada", -1), ScoreRefused, "minimum 0"),
    ("a score above the maximum", lambda board: board.submit("ada", 101), ScoreRefused, "101"),
    ("a total above the maximum", lambda board: board.increment("new", 101), ScoreRefused, "101"),
    ("no member", lambda board: board.submit("", 1), ValueError, "1 to 512 bytes"),
    ("a NUL in a member", lambda board: board.submit("a\0b", 1), ValueError, "NUL"),
    ("a long member", lambda board: board.submit("ü" * 257, 1), ValueError, "514 bytes"),
    ("half a character", lambda board: board.submit("\ud800", 1), ValueError, "UTF-8"),
    ("bytes as member", lambda board: board.submit(b"ada", 1), TypeError, "member is b'ada'"),
    ("a number as member", lambda board: board.increment(7, 1), TypeError, "member is 7"),
    ("metadata as text", lambda board: board.submit("ada", 1, "x"), TypeError, "metadata is 'x'"),
    ("a list as metadata", lambda board: board.submit("ada", 1, [1]), TypeError, "metadata is"),
    ("a set", lambda board: board.submit("ada", 1, {"x": object()}), TypeError, "JSON"),
    ("half text", lambda board: board.submit("ada", 1, {"x": "\ud800"}), TypeError, "JSON"),
    (
        "much metadata",
        lambda board: board.submit("ada", 1, {"x": "ü" * 2048}),
        ValueError,
        "4104 bytes.*at most 4096",
    ),
    (
        "a moment without a time zone",
        lambda board: board.submit("ada", 1, at=dt.datetime(2026, 11, 22, 12)),
        ValueError,
        "without a time zone",
    ),
    ("a text as moment", lambda board: board.submit("ada", 1, at="now"), TypeError, "at is 'now'"),
    ("the year 1969", lambda board: board.submit("ada", 1, at=-1), ValueError, "at is -1"),
    ("the year 2500", lambda board: board.submit("ada", 1, at=1e12), ValueError, "at is"),
    ("no moment", lambda board: board.submit("ada", 1, at=math.nan), ValueError, "at is nan"),
    ("true as moment", lambda board: board.submit("ada", 1, at=True), TypeError, "at is True"),
    ("an empty key", lambda board: board.submit("ada", 1, key=""), ValueError, "key is ''"),
    ("a long key", lambda board: board.submit("ada", 1, key="k" * 257), ValueError, "256"),
    ("a NUL in a key", lambda board: board.submit("ada", 1, key="a\0b"), ValueError, "key is"),
    ("half a key", lambda board: board.submit("ada", 1, key="\ud800"), ValueError, "key is"),
    ("a number as key", lambda board: board.submit("ada", 1, key=3), TypeError, "key is 3"),
    (
        "a closed window",
        lambda board: board.submit("ada", 1, at=NOON - 9 * 86_400),
        WindowClosed,
        "no window of the score for 'ada' is open.*3600 s",
    ),
    (
        "a closed window in a load",
        lambda board: board.load([("ada", 1)], at=NOON - 9 * 86_400),
        WindowClosed,
        "no window of the score",
    ),
    (
        "one bad score of many",
        lambda board: board.submit_many([("ada", 1), ("bob", math.nan)]),
        ValueError,
        "nan",
    ),
    ("one bad item of many", lambda board: board.submit_many([("a", 1), 5]), TypeError, "item 1"),
    ("a text as scores", lambda board: board.submit_many(["ab"]), TypeError, "item 0 is 'ab'"),
    (
        "too long an item",
        lambda board: board.submit_many([("a", 1, None, None, None, 6)]),
        TypeError,
        "item 0",
    ),
    ("nobody to remove", lambda board: board.remove(), ValueError, "number of members is 0"),
    (
        "1,001 to remove",
        lambda board: board.remove(*map(str, range(1001))),
        ValueError,
        "1001; expected 1 to 1000",
    ),
    ("a bad one to remove", lambda board: board.remove("ada", ""), ValueError, "member is ''"),
    ("a trim to nothing", lambda board: board.trim(0), ValueError, "keep is 0"),
    ("a trim to a half", lambda board: board.trim(1.5), TypeError, "keep is 1.5"),
    ("a trim to true", lambda board: board.trim(True), TypeError, "keep is True"),
    ("a row without a score", lambda board: board.load([("a", 1), ("b",)]), ValueError, "rows 0"),
    ("a row that is none", lambda board: board.load([5]), TypeError, "rows 0 to 0"),
    ("a nan in a table", lambda board: board.load({"ada": math.nan}), ValueError, "score is nan"),
    ("a bad name in a table", lambda board: board.load([("", 1)]), ValueError, "member is ''"),
    ("an outlier in a table", lambda board: board.load([("a", 101)]), ScoreRefused, "'a'.*100"),
    ("a chunk of none", lambda board: board.load([("a", 1)], chunk=0), ValueError, "chunk is 0"),
    ("a vast chunk", lambda board: board.load([("a", 1)], chunk=3001), ValueError, "chunk is 3001"),
    ("an unknown window", lambda board: board.history("weekly"), ValueError, "'weekly'.*'daily'"),
]

READS: list[Refusal] = [
    ("another rank", lambda board: board.top(3, ties="olympic"), ValueError, "'olympic'.*'dense'"),
    ("no entries", lambda board: board.top(0), ValueError, "count is 0; expected 1 to 1000"),
    ("too many entries", lambda board: board.top(1001), ValueError, "count is 1001"),
    ("entries as text", lambda board: board.around("ada", "3"), TypeError, "count is '3'"),
    ("no page", lambda board: board.page(0), ValueError, "limit is 0"),
    ("a short snapshot", lambda board: board.page(5, snapshot=0), ValueError, "snapshot is 0"),
    ("a bad snapshot", lambda board: board.page(5, snapshot="soon"), ValueError, "'soon'"),
    ("a bad cursor", lambda board: board.page(5, "cursor"), CursorRefused, "damaged"),
    ("a number as cursor", lambda board: board.page(5, 5), CursorRefused, "the cursor is 5"),
    ("a member as members", lambda board: board.among("ada"), TypeError, r"\['ada', 'bob'\]"),
    ("no members", lambda board: board.among([]), ValueError, "number of members is 0"),
    ("1,001 members", lambda board: board.among(map(str, range(1001))), ValueError, "1001"),
    ("a bad member", lambda board: board.get(None), TypeError, "member is None"),
    ("a bad member around", lambda board: board.around(""), ValueError, "member is ''"),
    ("a bad score around", lambda board: board.around_score(math.nan), ValueError, "score is nan"),
    ("a percentile below", lambda board: board.score_at(-0.1), ValueError, "percentile is -0.1"),
    ("a percentile above", lambda board: board.score_at(100.1), ValueError, "percentile is 100.1"),
    ("a bad percentile", lambda board: board.score_at(math.nan), ValueError, "percentile is nan"),
    ("a rank of nothing", lambda board: board.rank_of(None), TypeError, "score is None"),
    ("bounds in disorder", lambda board: board.count(2, 1), ValueError, "count from 2 to 1"),
    ("a bad bound", lambda board: board.count("a"), TypeError, "low is 'a'"),
    ("an unknown window", lambda board: board.window("cup"), ValueError, "'cup'.*'daily'"),
    (
        "a period of another window",
        lambda board: board.window("daily", Period("all", "all", -math.inf, math.inf)),
        ValueError,
        "period of 'all'",
    ),
    ("a naive window", lambda board: board.window("daily", "now"), TypeError, "at is 'now'"),
    ("no history", lambda board: board.rank_history("ada", "daily", 0), ValueError, "limit is 0"),
    ("much history", lambda board: board.rank_history("a", "daily", 401), ValueError, "401"),
    ("a bad id", lambda board: next(board.watch(-1, timeout=0)), ValueError, "after is -1"),
    ("true as id", lambda board: next(board.watch(True, timeout=0)), ValueError, "after is True"),
    ("no patience", lambda board: next(board.watch(timeout=-1)), ValueError, "-1"),
    ("a top of none", lambda board: next(board.watch_top(0, timeout=0)), ValueError, "count is 0"),
]


def make(boards: Boards, awaited: bool, **options: Any) -> Any:
    return boards.board(
        "b",
        awaited=awaited,
        clock=FakeClock(NOON),
        windows=("daily",),
        **{"minimum": 0, "maximum": 100, **options},
    )


@pytest.mark.parametrize("made", [True, False], ids=["board", "no board"])
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [case[1:] for case in WRITES + READS],
    ids=[f"{case[0]}" for case in WRITES + READS],
)
def test_a_refusal_names_what_was_wrong_and_writes_nothing(
    boards: Boards,
    client: redis.Redis,
    made: bool,
    call: Callable[[Any], object],
    error: type[Exception],
    words: str,
) -> None:
    board = make(boards, awaited=False)
    if made:
        board.submit("ada", 10, {"level": 3}, key="k")
        board.submit("bob", 10)
    before = dump(client)
    for face in (board, make(boards, awaited=True)):
        with pytest.raises(error, match=f"(?s){words}") as caught:
            call(face)
        assert isinstance(caught.value, LeaderboardError) == issubclass(error, LeaderboardError)
        assert dump(client) == before


def test_what_only_the_board_can_refuse_writes_nothing(
    boards: Boards, client: redis.Redis, awaited: bool
) -> None:
    board = make(boards, awaited, step=5, policy="last")
    with pytest.raises(ScoreRefused, match="'new' is outside"):
        board.increment("new", -1)
    with pytest.raises(ScoreRefused, match=r"101\.0 for 'new'"):
        board.increment("new", 101)
    assert dump(client) == {}
    board.submit("ada", 10, key="k")
    before = dump(client)
    for call, error, words in (
        (lambda: board.submit("ada", 14.5), ScoreRefused, r"'ada' differs.*step of 5\.0"),
        (lambda: board.increment("ada", 95), ScoreRefused, "105.0 for 'ada' is outside"),
        (lambda: board.increment("ada", -10.5), ScoreRefused, "outside.*minimum 0"),
        (lambda: board.submit("ada", 11, key="k"), KeyReused, "key.*'ada'.*another payload"),
        (lambda: board.submit("bob", 10, key="k"), KeyReused, "'bob'"),
        (lambda: board.increment("ada", 10, key="k"), KeyReused, "payload"),
        (lambda: board.submit("ada", 10, {"a": 1}, key="k"), KeyReused, "payload"),
        (lambda: board.submit("ada", 10, at=NOON - 1, key="k"), KeyReused, "payload"),
    ):
        with pytest.raises(error, match=words):
            call()
        assert dump(client) == before
    assert board.submit("ada", 15).changed


def test_a_batch_stores_what_it_can_and_says_why_not_the_rest(
    boards: Boards, awaited: bool
) -> None:
    board = make(boards, awaited, step=5, policy="last")
    answers = board.submit_many(
        [
            ("ada", 10, None, None, "k"),
            Score("ada", 11),
            ("bob", 20, None, None, "k"),
            ["cyd", 30, {"x": 1}],
            ("dan", 40, None, NOON - 9 * 86_400),
        ]
    )
    assert [answer.refused is None for answer in answers] == [True, False, False, True, False]
    for answer, words in zip(answers, ("", "step", "key", "", "is open"), strict=True):
        assert words in (answer.refused or "")
        assert answer.changed == (answer.refused is None)
    assert [entry.member for entry in board.top()] == ["cyd", "ada"]
    assert board.submit_many({"eve": 1.5})[0].rank == 3
    assert board.submit_many([]) == []


@pytest.mark.parametrize(
    "score",
    [np.float64(0.1), np.int64(2**53), Decimal("0.5"), Fraction(1, 4), np.float32(0.5), 2**60],
    ids=repr,
)
def test_every_finite_number_that_a_double_keeps_is_a_score(boards: Boards, score: Any) -> None:
    board = boards.board("b")
    assert board.submit("ada", score).score == float(score)
    assert board.get("ada").score == float(score)


@pytest.mark.parametrize(
    "other",
    [{"order": "asc"}, {"timezone": "Asia/Kolkata"}, {"week_start": "sunday"}],
    ids=str,
)
def test_a_board_of_another_layout_is_neither_read_nor_written(
    boards: Boards, client: redis.Redis, awaited: bool, other: dict[str, Any]
) -> None:
    make(boards, awaited).submit("ada", 10)
    before = dump(client)
    board = make(boards, awaited, **other)
    for call in (
        lambda: board.submit("ada", 20),
        lambda: board.increment("ada", 20),
        lambda: board.submit_many({"ada": 20}),
        lambda: board.load({"ada": 20}),
        lambda: board.remove("ada"),
        lambda: board.trim(1),
        board.clear,
        board.delete,
        board.configure,
        lambda: board.get("ada"),
        board.top,
        board.page,
        lambda: board.page(snapshot=5),
        lambda: board.around("ada"),
        lambda: board.among(["ada"]),
        lambda: board.percentile("ada"),
        board.size,
        lambda: board.rank_history("ada", "daily"),
    ):
        with pytest.raises(LayoutMismatch, match="desc UTC monday") as caught:
            call()
        assert "Leaderboard.open" in str(caught.value)
        assert dump(client) == before


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", ValueError),
        ("x" * 201, ValueError),
        ("a{b", ValueError),
        ("a}b", ValueError),
        ("a\nb", ValueError),
        ("a\0b", ValueError),
        ("\ud800", ValueError),
        (b"board", TypeError),
        (None, TypeError),
    ],
)
def test_a_bad_name_is_refused(boards: Boards, name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="the board's name is"):
        boards.board(name)
    with pytest.raises(error, match="the board's name is"):
        boards.open(name)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"order": "down"}, ValueError, "order is 'down'"),
        ({"ties": None}, ValueError, "ties is None"),
        ({"policy": "worst"}, ValueError, "policy is 'worst'.*'best'"),
        ({"windows": "daily"}, TypeError, "several"),
        ({"windows": ()}, ValueError, "at least one"),
        ({"windows": ("daily", "daily")}, ValueError, "each once"),
        ({"windows": ("fortnightly",)}, ValueError, "'fortnightly'"),
        ({"windows": (Season("daily", 0, 1),)}, ValueError, "'daily'"),
        ({"windows": (Season("Cup", 0, 1),)}, ValueError, "'Cup'"),
        ({"windows": (Season("a:b", 0, 1),)}, ValueError, "'a:b'"),
        ({"windows": (Season("cup", 0, 1), Season("cup", 2, 3))}, ValueError, "each once"),
        ({"timezone": "Mars/Olympus"}, ValueError, "timezone is 'Mars/Olympus'"),
        ({"timezone": "/etc/passwd"}, ValueError, "timezone is"),
        ({"timezone": 3}, ValueError, "timezone is 3"),
        ({"week_start": "someday"}, ValueError, "week_start is 'someday'"),
        ({"minimum": math.nan}, ValueError, "minimum is nan"),
        ({"maximum": "1"}, TypeError, "maximum is '1'"),
        ({"minimum": 2, "maximum": 1}, ValueError, "nothing fits"),
        ({"step": 0}, ValueError, "step is 0"),
        ({"step": math.inf}, ValueError, "step is inf"),
        ({"grace": -1}, ValueError, "-1"),
        ({"grace": "soon"}, ValueError, "'soon'"),
        ({"keep": {"weekly": "1d"}}, ValueError, "weekly"),
        ({"keep": ["daily"]}, TypeError, "keep is"),
        ({"keep": {"all": "later"}, "windows": ("hourly",)}, ValueError, "all"),
        ({"keep": {"hourly": "later"}, "windows": ("hourly",)}, ValueError, "'later'"),
        ({"remember": 0}, ValueError, "remember"),
        ({"remember": "4000d"}, ValueError, "remember"),
        ({"events": -1}, ValueError, "events is -1"),
        ({"events": True}, ValueError, "events is True"),
        ({"metadata_limit": 10**7}, ValueError, "metadata_limit is 10000000"),
        ({"metadata_limit": 1.5}, ValueError, "metadata_limit is 1.5"),
        ({"secrets": "x"}, TypeError, "secrets"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_bad_setting_is_refused(
    boards: Boards, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        boards.board("b", **options)


@pytest.mark.parametrize("name", ["board", "periods", "changes", "once", "snapshot"])
def test_a_season_cannot_have_the_name_of_another_key(boards: Boards, name: str) -> None:
    with pytest.raises(ValueError, match=f"a season is named '{name}'"):
        boards.board("b", windows=(Season(name, 0, 1),))


def test_a_season_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="'cup' ends before it starts"):
        Season("cup", 10, 10)
    with pytest.raises(ValueError, match="start is"):
        Season("cup", dt.datetime(2026, 1, 1), 10)  # type: ignore[arg-type]


def test_a_board_that_nobody_made_cannot_be_opened(boards: Boards, awaited: bool) -> None:
    with pytest.raises(NoSuchBoard, match="no board 'b'"):
        boards.open("b", awaited=awaited)


def test_a_board_is_opened_with_every_setting_it_was_made_with(
    boards: Boards, awaited: bool
) -> None:
    options: dict[str, Any] = {
        "order": "asc",
        "ties": "dense",
        "policy": "sum",
        "windows": ("daily", Season("cup", 10, 20), "all"),
        "timezone": "Asia/Kolkata",
        "week_start": "sunday",
        "minimum": -1.5,
        "maximum": 2**53,
        "step": 0.25,
        "grace": "2h5m",
        "keep": {"daily": None, "cup": "3d"},
        "remember": "90s",
        "events": 7,
        "dense": False,
        "metadata_limit": 100,
    }
    board = boards.board("b", awaited=awaited, **options)
    assert board.configure() is True
    assert board.configure() is False
    found = boards.open("b", awaited=awaited)
    assert found.settings == board.settings
    assert found.settings.grace == 7500
    assert found.settings.keep == {"daily": None, "cup": 259_200, "all": None}
    assert found.name == "b"
    # Others may be stored later; what is in the layout may not.
    boards.board("b", awaited=awaited, **{**options, "events": 8}).configure()
    assert boards.open("b").settings.events == 8


def test_a_board_that_keeps_no_events_cannot_be_watched(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited, events=0)
    board.submit("ada", 1)
    with pytest.raises(ValueError, match="events"):
        board.watch(0, timeout=0)
