"""What goes is gone: nothing on the server remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from labkit.clock import FakeClock
from labkit.leaderboard import Season
from tests.leaderboard.storage import NOON, check_storage, dump, mentions
from tests.scale import times

if TYPE_CHECKING:
    import redis

    from tests.leaderboard.conftest import Boards

WINDOWS = ("hourly", "daily", "weekly", Season("cup", NOON - 1e6, NOON + 1e6), "all")
PAST = [0, 1800, 3600, 86_400, 5 * 86_400]


def fill(board: Any, clock: FakeClock, member: str = "mallory", **options: Any) -> None:
    """Scores of one member and of others, in several periods, in every way they can come."""
    for ago in PAST[::-1]:
        clock.set(NOON - ago)
        board.submit(member, 10 + ago, {"name": member}, key=f"by {member} {ago}")
        board.submit("ada", 10 + ago, key=f"by ada {ago}")
        board.load([(f"{member} the loaded", ago), (member, ago), ("bob", ago)], **options)
        board.increment(member, 1)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("policy", ["best", "last", "sum", "first"])
def test_nothing_is_left_of_a_member_that_was_removed(
    boards: Boards, client: redis.Redis, awaited: bool, policy: str, dense: bool
) -> None:
    clock = FakeClock(NOON)
    board = boards.board(
        "b", awaited=awaited, clock=clock, windows=WINDOWS, policy=policy, dense=dense
    )
    fill(board, clock)
    assert mentions(client, "mallory")
    assert board.remove("mallory", "mallory the loaded", "nobody") == 2
    # The stream of past changes aside: a stream cannot give back one of its events.
    assert mentions(client, "mallory") == []
    assert board.get("mallory") is None
    check_storage(client, "b")
    assert board.remove("mallory") == 0
    # Its key is forgotten with it: the score that comes again counts.
    assert not board.submit("mallory", 10, {"name": "mallory"}, key="by mallory 0").replayed
    assert board.submit("ada", 10, key="by ada 0").replayed


def test_a_removal_can_leave_closed_periods_as_they_are(boards: Boards, awaited: bool) -> None:
    clock = FakeClock(NOON)
    board = boards.board("b", awaited=awaited, clock=clock, windows=("hourly", "all"))
    board.submit("ada", 3)
    clock.advance("1h59m")
    board.submit("ada", 2)
    clock.advance("1m")  # the first hour has just been frozen, the second takes late scores
    board.submit("ada", 1)
    assert board.remove("ada", history=False) == 1
    assert [board.window("hourly", NOON + ago).size() for ago in (0, 3600, 7200)] == [1, 0, 0]
    assert board.size() == 0
    assert board.remove("ada", history=False) == 0
    assert board.remove("ada") == 1
    assert board.window("hourly", NOON).size() == 0


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_nothing_is_left_of_what_was_trimmed(
    boards: Boards, client: redis.Redis, awaited: bool, dense: bool, ordered: bool
) -> None:
    board = boards.board("b", awaited=awaited, clock=FakeClock(NOON), dense=dense)
    board.load([(f"loser {number}", number // 3) for number in range(60)], ordered=ordered)
    for number in range(40):
        board.submit(f"loser {number}", number / 4, {"of": f"loser {number}"}, key=f"key{number}")
    board.submit_many([(f"winner {number}", 100) for number in range(5)])
    assert board.trim(5) == 60
    assert board.size() == 5
    assert mentions(client, "loser") == []
    assert mentions(client, "key") == []
    check_storage(client, "b")
    assert board.trim(5) == 0
    assert board.trim(2**53) == 0
    assert not board.submit("loser 1", 0.25, key="key1").replayed


def test_a_trim_cuts_thousands_and_every_open_period(
    boards: Boards, client: redis.Redis, awaited: bool
) -> None:
    clock = FakeClock(NOON)
    board = boards.board("b", awaited=awaited, clock=clock, windows=("hourly", "daily"))
    board.submit_many([(f"m{number}", number) for number in range(20)])
    clock.advance("2h")
    board.load([(f"m{number}", number) for number in range(2500)])
    assert board.trim(10) == 2490 + 2490
    # The first hour is frozen, and keeps all of its rows.
    assert board.window("hourly", NOON).size() == 20
    assert board.window("hourly").size() == board.window("daily").size() == 10
    assert [entry.score for entry in board.window("daily").top()] == [*range(2499, 2489, -1)]
    check_storage(client, "b")


def test_a_trim_forgets_the_keys_only_of_members_that_are_in_no_open_period(
    boards: Boards, awaited: bool
) -> None:
    board = boards.board("b", awaited=awaited, clock=FakeClock(NOON), windows=("hourly", "daily"))
    board.submit("early", 1, at=NOON - 7200, key="early")  # in the day, not in this hour
    board.submit("ada", 5, key="ada")
    board.submit("bob", 3, at=NOON - 3 * 3600, key="bob")
    assert board.trim(2) == 1
    assert not board.submit("early", 1, at=NOON - 7200, key="early").replayed
    assert board.submit("ada", 5, key="ada").replayed
    assert board.submit("bob", 3, at=NOON - 3 * 3600, key="bob").replayed


def test_clearing_leaves_the_settings_and_one_event(
    boards: Boards, client: redis.Redis, awaited: bool
) -> None:
    clock = FakeClock(NOON)
    board = boards.board("b", awaited=awaited, clock=clock, windows=WINDOWS, dense=True)
    fill(board, clock)
    page = board.page(1, snapshot="1h")
    settings_before = boards.open("b").settings
    board.clear()
    left = dump(client)
    assert sorted(key.rpartition(b":")[2] for key in left) == [b"board", b"changes"]
    assert [event.reason for event in board.watch(0, timeout=0)] == ["cleared"]
    for text in ("mallory", "bob"):
        assert not any(text.encode() in str(value).encode() for value in left.values())
    assert boards.open("b").settings == settings_before
    assert page.next_cursor
    assert board.history("daily") == []
    assert not board.submit("ada", 10, key="by ada 0").replayed
    assert board.size() == 1


def test_deleting_leaves_no_key(boards: Boards, client: redis.Redis, awaited: bool) -> None:
    clock = FakeClock(NOON)
    board = boards.board("b", awaited=awaited, clock=clock, windows=WINDOWS, dense=True)
    other = boards.board("c", clock=clock)
    other.submit("eve", 1)
    before = dump(client)
    fill(board, clock)
    board.page(1, snapshot="1h")
    board.delete()
    assert dump(client) == before
    board.delete()
    board.clear()
    assert dump(client) == before


def test_a_board_that_is_made_again_goes_on_counting_its_changes(
    boards: Boards, awaited: bool
) -> None:
    clock = FakeClock(NOON)
    board = boards.board("b", awaited=awaited, clock=clock)
    board.submit("ada", 1)
    (first,) = board.watch(0, timeout=0)
    board.delete()
    clock.advance(1)
    board.submit("bob", 1)
    (second,) = board.watch(0, timeout=0)
    assert second.id > first.id


@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1.0, 1 + 2**-52, 2.0, 0.1, 0.3]))),
    gone=st.lists(st.integers(0, 9), max_size=4),
    keep=st.integers(1, 6),
    policy=st.sampled_from(["best", "last", "sum", "first"]),
)
@settings(max_examples=times(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_index_of_distinct_scores_never_keeps_one_that_nobody_has(
    boards: Boards,
    client: redis.Redis,
    rows: list[tuple[int, float]],
    gone: list[int],
    keep: int,
    policy: str,
) -> None:
    client.flushall()
    board = boards.board("b", ties="dense", policy=policy)
    board.submit_many([(str(member), score) for member, score in rows])
    board.load([(str(member), score) for member, score in rows[::2]])
    for member in gone:
        board.remove(str(member))
        board.increment(str(member), 0.5)
    board.trim(keep)
    check_storage(client, "b")
    scores = sorted({entry.score for entry in board.top(1000)}, reverse=True)
    assert all(entry.rank == scores.index(entry.score) + 1 for entry in board.top(1000))
