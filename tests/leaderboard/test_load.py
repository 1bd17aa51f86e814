"""Bulk loads: the same board as one submission after another makes, in flat memory."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from labkit.clock import FakeClock
from labkit.leaderboard import Loaded, ScoreRefused
from tests.leaderboard.storage import NOON, check_storage
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tests.leaderboard.conftest import Boards

ROWS = [(f"m{number % 700}", (number * 37 % 1000) / 4) for number in range(1000)]


@pytest.mark.parametrize(
    "form",
    [
        list,
        iter,
        lambda rows: ((member, score) for member, score in rows),
        lambda rows: [list(row) for row in rows],
        lambda rows: pd.DataFrame(rows, columns=["member", "score"]),
        lambda rows: pd.DataFrame(
            {"other": 0, "score": [row[1] for row in rows], "member": [row[0] for row in rows]}
        ),
    ],
    ids=["list", "iterator", "generator", "lists", "frame", "frame of other columns"],
)
@pytest.mark.parametrize("policy", ["best", "last", "sum", "first"])
def test_a_load_makes_the_board_that_submissions_make(
    boards: Boards, client: redis.Redis, awaited: bool, policy: str, form: Callable[[Any], Any]
) -> None:
    options: dict[str, Any] = {
        "awaited": awaited,
        "policy": policy,
        "clock": FakeClock(NOON),
        "windows": ("daily", "all"),
    }
    loaded, submitted = boards.board("loaded", **options), boards.board("submitted", **options)
    for board in (loaded, submitted):
        board.submit("m5", 50, {"level": 1})
        board.submit("m6", -50, at=NOON - 60)
    assert loaded.load(form(ROWS), ordered=True, chunk=300) == Loaded(1000, [])
    submitted.submit_many(ROWS)
    for window in ("daily", "all"):
        found, expected = (board.window(window).top(1000) for board in (loaded, submitted))
        assert found == expected
    check_storage(client, "loaded")


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_a_mapping_is_loaded_ties_by_name(boards: Boards, awaited: bool, order: str) -> None:
    board = boards.board("b", awaited=awaited, order=order)
    rows = {f"m{number * 7 % 100:02}": number % 3 for number in range(100)}
    assert board.load(rows).rows == 100
    expected = sorted(rows, key=lambda name: (rows[name] * (-1 if order == "desc" else 1), name))
    assert [entry.member for entry in board.top(100)] == expected
    assert board.load({}) == Loaded(0, [])
    kept = boards.board("kept", awaited=awaited, order=order)
    kept.load(rows, ordered=True)
    in_turn = sorted(rows, key=lambda name: rows[name] * (-1 if order == "desc" else 1))
    assert [entry.member for entry in kept.top(100)] == in_turn


@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-5, 5)), max_size=25),
    chunk=st.integers(1, 30),
    policy=st.sampled_from(["best", "last", "sum", "first"]),
    limits=st.sampled_from([{}, {"minimum": -4, "maximum": 4}, {"step": 2}]),
)
@settings(max_examples=times(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_refusals_of_a_load_are_those_of_submissions(
    boards: Boards,
    rows: list[tuple[str, int]],
    chunk: int,
    policy: str,
    limits: dict[str, Any],
) -> None:
    boards.client().flushall()
    options: dict[str, Any] = {"policy": policy, "clock": FakeClock(NOON), **limits}
    loaded, submitted = boards.board("loaded", **options), boards.board("submitted", **options)
    if policy != "sum":
        rows = [row for row in rows if abs(row[1]) <= 4]
    found = loaded.load(rows, ordered=True, chunk=chunk)
    answers = submitted.submit_many(rows)
    assert found.rows == len(rows)
    assert set(found.refused) == {answer.member for answer in answers if answer.refused}
    assert loaded.top(100) == submitted.top(100)


def test_a_refused_row_is_named_and_what_came_before_its_chunk_is_stored(
    boards: Boards, awaited: bool
) -> None:
    board = boards.board("b", awaited=awaited, maximum=100)
    rows: list[Any] = [(f"m{number}", number) for number in range(30)]
    for bad, error, words in (
        (("", 1), ValueError, r"in rows 20 to 29: member is ''"),
        ((7, 1), TypeError, r"in rows 20 to 29: member is 7"),
        (("eve", "1"), TypeError, r"in rows 20 to 29: score is '1'"),
        (("eve", 101), ScoreRefused, r"in rows 20 to 29: 101.0 for 'eve'"),
        (("eve",), ValueError, r"in rows 20 to 29: .*unpack"),
    ):
        board.clear()
        with pytest.raises(error, match=words):
            board.load([*rows[:25], bad, *rows[25:]], chunk=10)
        assert board.size() == 20
    # Repeating the load, put right, makes the same board.
    assert board.load(rows, chunk=10).rows == 30
    assert board.size() == 30


def test_an_error_of_the_source_is_its_own(boards: Boards, awaited: bool) -> None:
    def broken() -> Any:
        yield from ROWS[:15]
        raise OSError("the file ended")

    board = boards.board("b", awaited=awaited)
    with pytest.raises(OSError, match="the file ended"):
        board.load(broken(), chunk=10)
    assert board.size() == 10


def test_a_frame_without_the_columns_is_refused(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited)
    with pytest.raises(ValueError, match="no column member"):
        board.load(pd.DataFrame({"name": ["ada"], "score": [1]}))
    with pytest.raises(ValueError, match="score is nan"):
        board.load(pd.DataFrame({"member": ["ada"], "score": [float("nan")]}))
    with pytest.raises(TypeError, match="score is True"):
        board.load(pd.DataFrame({"member": ["ada"], "score": [True]}))


def test_a_large_integer_of_a_frame_is_kept_or_refused(boards: Boards) -> None:
    board = boards.board("b")
    board.load(pd.DataFrame({"member": ["ada"], "score": [2**53]}))
    assert board.get("ada").score == 2**53
    with pytest.raises(ValueError, match="9007199254740993"):
        board.load(pd.DataFrame({"member": ["ada"], "score": [2**53 + 1]}))


def test_the_memory_of_a_load_does_not_grow_with_the_table(boards: Boards) -> None:
    """A load of 50,000 rows may take as much as one of 10,000, and less than 3 MB."""
    board = boards.board("b", events=0)
    if "fake://" in boards.url:
        pytest.skip("fakeredis keeps its data in this process")
    peaks = []
    board.load((f"member {number}", number) for number in range(2000))
    for size in (10_000, times(50_000)):
        board.clear()
        tracemalloc.start()
        board.load((f"member {number}", number) for number in range(size))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 3_000_000
    assert peaks[1] < 1.5 * peaks[0]
    assert board.size() == times(50_000)


def test_rows_that_were_loaded_together_live_on_as_any_other(
    boards: Boards, client: redis.Redis, awaited: bool
) -> None:
    clock = FakeClock(NOON)
    board = boards.board("b", awaited=awaited, clock=clock)
    board.load({"ada": 3, "bob": 2, "cyd": 1, "dan": 1})
    assert board.get("cyd").rank == 3
    assert [entry.member for entry in board.around("bob", 3)] == ["ada", "bob", "cyd"]
    assert board.percentile("ada") == 75
    assert board.among(["dan", "eve", "ada"]).missing == ["eve"]
    clock.advance(1)
    move = board.submit("dan", 3, {"x": 1})
    assert (move.old_rank, move.rank, move.old_score) == (3, 1, 1)
    assert [entry.member for entry in board.top()] == ["ada", "dan", "bob", "cyd"]
    board.submit("cyd", 0, {"kept": True})
    assert board.get("cyd").metadata == {"kept": True}
    board.load({"bob": 9, "eve": 1, "cyd": 0})
    assert [entry.member for entry in board.top()] == ["bob", "ada", "dan", "cyd", "eve"]
    assert board.remove("ada", "cyd") == 2
    assert board.size() == 3
    check_storage(client, "b")
    board.remove("bob", "dan", "eve")
    assert not list(client.scan_iter(match="*:all*"))
    # The board is empty again, and what was loaded before leaves no trace in ties.
    clock.advance(1)
    board.submit("zoe", 1)
    board.load({"yan": 1})
    assert [entry.member for entry in board.top()] == ["zoe", "yan"]
    check_storage(client, "b")


def test_progress_is_shown_on_request(
    boards: Boards, awaited: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    board = boards.board("b", awaited=awaited)
    board.load(ROWS)
    assert capsys.readouterr().out == ""
    board.load(ROWS, progress=True)
    assert "loading" in capsys.readouterr().out
