"""What makes a board one board: its numbers, its keys, its secret, and who shares it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from labkit.clock import FakeClock
from labkit.leaderboard import Change, CursorRefused, Gap
from tests.leaderboard.storage import NOON, dump
from tests.scale import times

if TYPE_CHECKING:
    import redis

    from labkit.leaderboard import Entry
    from tests.leaderboard.conftest import Boards


def members(entries: list[Entry]) -> list[str]:
    return [entry.member for entry in entries]


@pytest.mark.parametrize("now", [0.0, 268435.453, 268435.455, NOON])
def test_a_tie_within_one_millisecond_is_in_order_at_any_time(boards: Boards, now: float) -> None:
    board = boards.board("b", clock=FakeClock(now))
    for name in "dcba":
        board.submit(name, 5)
    board.load([(f"late{number:05}", 5) for number in range(times(3000))][::-1], ordered=True)
    assert members(board.top(6)) == [
        *"dcba",
        *(f"late{times(3000) - 1 - number:05}" for number in range(2)),
    ]


@pytest.mark.parametrize(("rows", "pause"), [(5, "5ms"), (times(5000), f"{times(5) + 1}ms")])
def test_a_board_made_again_never_repeats_a_number(
    boards: Boards, clock: FakeClock, rows: int, pause: str
) -> None:
    board = boards.board("b", clock=clock)
    board.load([(f"m{number}", number) for number in range(rows)])
    board.submit("ada", 1)
    (*_, last) = board.watch(after=0, timeout=0)
    board.delete()
    clock.advance(pause)
    board.submit("bob", 2)
    gap, change = board.watch(after=last.id, timeout=0)
    assert (type(gap), type(change)) == (Gap, Change)
    assert gap.first == last.id + 1
    assert change.id == gap.id + 1 > last.id
    assert change.member == "bob"


@pytest.mark.parametrize(
    "metadata", [{"a": math.nan}, {"a": [math.inf]}, {"a": "\ud800"}, {"\udfff": 1}]
)
def test_metadata_that_json_has_no_word_for_is_refused(
    boards: Boards, client: redis.Redis, metadata: dict[str, Any], awaited: bool
) -> None:
    board = boards.board("b", awaited=awaited)
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        board.submit("ada", 1, metadata)
    assert dump(client) == {}


def test_the_order_of_keys_in_metadata_is_no_other_payload(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited, policy="sum")
    board.submit("ada", 5, {"a": 1, "b": 2}, key="k")
    assert board.submit("ada", 5, {"b": 2, "a": 1}, key="k").replayed
    assert board.get("ada").score == 5


def test_what_can_be_no_member_is_not_on_the_board(boards: Boards) -> None:
    board = boards.board("b")
    board.submit("ada", 1)
    assert "ada" in board
    for other in ("", 3, None, "x" * 1000, "\0", "bob"):
        assert other not in board


def test_a_watch_that_is_left_within_a_change_goes_on_with_all_of_it(
    boards: Boards, clock: FakeClock
) -> None:
    board = boards.board("b", windows=("daily", "all"), clock=clock)
    board.submit("ada", 1)
    clock.advance("1d")
    board.submit("ada", 2)
    daily = board.window("daily")
    before = [change.id for change in daily.watch(after=0, timeout=0)]
    board.remove("ada")
    watch = daily.watch(after=before[-1], timeout=0)
    first = next(watch)
    assert watch.last_id == first.id - 1 == before[-1]
    second = next(watch)
    assert watch.last_id == first.id == second.id
    assert {first.period, second.period} == {"2026-11-22", "2026-11-23"}
    assert list(daily.watch(after=first.id, timeout=0)) == []


def test_boards_of_one_name_under_two_prefixes_do_not_touch(
    boards: Boards, client: redis.Redis, awaited: bool
) -> None:
    game = boards.board("b", awaited=awaited, prefix="game:", policy="sum")
    other = boards.board("b", awaited=awaited, prefix="other:", order="asc")
    game.submit("ada", 5)
    other.submit("bob", 7)
    assert {key.split(b"{")[0] for key in dump(client)} == {b"game:", b"other:"}
    assert (members(game.top()), members(other.top())) == (["ada"], ["bob"])
    found = boards.open("b", awaited=awaited, prefix="game:")
    assert found.settings.policy == "sum"
    game.delete()
    assert {key.split(b"{")[0] for key in dump(client)} == {b"other:"}


def test_a_prefix_with_a_brace_is_refused(boards: Boards) -> None:
    with pytest.raises(ValueError, match=r"prefix is 'game\{'"):
        boards.board("b", prefix="game{")


@pytest.mark.parametrize("dense", [True, False])
def test_objects_with_other_ties_read_one_board(boards: Boards, dense: bool) -> None:
    boards.board("b", dense=dense).submit_many({"a": 30, "b": 20, "c": 20, "d": 10})
    expected = {
        "ordinal": [1, 2, 3, 4],
        "competition": [1, 2, 2, 4],
        "dense": [1, 2, 2, 3],
        "modified": [1, 3, 3, 4],
    }
    for ties, ranks in expected.items():
        board = boards.board("b", ties=ties)
        assert [entry.rank for entry in board.top()] == ranks
        assert [board.get(name).rank for name in "abcd"] == ranks
        assert [entry.rank for entry in board.page(2, board.page(2).next_cursor)] == ranks[2:]
        assert [entry.rank for entry in board.around("d", 2)] == ranks[2:]


def test_a_cursor_goes_with_the_secret_that_signed_it(boards: Boards, awaited: bool) -> None:
    boards.board("b").submit_many(dict.fromkeys("abcdef", 1))
    own, again = boards.board("b", awaited=awaited), boards.board("b")
    first, second = (boards.board("b", awaited=awaited, secret=name) for name in ("one", "two"))
    shared = boards.board("b", secret="one")
    assert members(again.page(2, own.page(2).next_cursor).entries) == ["c", "d"]
    assert members(shared.page(2, first.page(2).next_cursor).entries) == ["c", "d"]
    for giver, taker in ((first, second), (own, first), (first, own)):
        with pytest.raises(CursorRefused):
            taker.page(2, giver.page(2).next_cursor)


@pytest.mark.parametrize("policy", ["best", "last", "first", "sum"])
def test_a_load_ranks_ties_by_name_or_in_the_tables_order(boards: Boards, policy: str) -> None:
    rows = [(name, 5.0) for name in ["zoe", "bob", "émile", "ada", "yan"]]
    options: dict[str, Any] = {"policy": policy, "windows": ("daily", "all")}
    options["clock"] = FakeClock(NOON)
    for name, ordered in (("named", False), ("table", True)):
        board = boards.board(name, **options)
        board.load(rows, ordered=ordered)
        by_name = sorted((name for name, _ in rows), key=str.encode)
        given = [name for name, _ in rows]
        expected = given if ordered or policy == "sum" else by_name
        for window in ("daily", "all"):
            assert members(board.window(window).top()) == expected
        board.submit("new", 5)
        assert members(board.top()) == [*expected, "new"]


def test_a_progress_bar_changes_nothing(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited, policy="sum")
    loaded = board.load([(f"m{number}", number) for number in range(2500)], progress=True)
    assert (loaded.rows, loaded.refused) == (2500, [])
    assert board.get("m2499").score == 2499
