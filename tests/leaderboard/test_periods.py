"""Boards across time: rollovers, late scores, frozen periods, what is forgotten, and seasons."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from labkit.clock import FakeClock, fast_forward
from labkit.leaderboard import ScoreRefused, Season, WindowClosed
from tests.leaderboard.storage import NOON, dump
from tests.scale import times

if TYPE_CHECKING:
    import redis

    from tests.leaderboard.conftest import Boards

DAY = 86_400
LENGTHS = {"hourly": 3600, "daily": DAY, "weekly": 7 * DAY, "monthly": 30 * DAY}


def shown(board: Any) -> list[tuple[str, float]]:
    return [(entry.member, entry.score) for entry in board.top(1000)]


def test_a_late_score_counts_in_the_window_of_its_own_time(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, windows=("daily", "all"), grace="2h")
    scored = dt.datetime(2026, 11, 22, 23, 59, 59, 999_000, dt.UTC)
    clock.set(scored.timestamp() + 3600)  # past midnight
    answer = board.submit("ada", 10, at=scored)
    assert answer.moves["daily"].period == "2026-11-22"
    assert board.window("daily").size() == 0
    assert shown(board.window("daily", at=scored)) == [("ada", 10)]
    (yesterday,) = board.history("daily")
    assert shown(board.window("daily", at=yesterday)) == [("ada", 10)]
    assert board.submit("ada", 11).moves["daily"].period == "2026-11-23"
    assert board.rank_history("ada", "daily", 3)[1] == (
        yesterday,
        board.window("daily", yesterday).get("ada"),
    )


def test_a_period_is_frozen_once_its_grace_is_over(
    boards: Boards, client: redis.Redis, awaited: bool
) -> None:
    midnight = NOON + DAY / 2
    clock = FakeClock(midnight + 3599.999)
    board = boards.board("b", awaited=awaited, clock=clock, windows=("daily", "all"))
    assert board.submit("ada", 1, at=midnight - 1).moves["daily"].outcome == "new"
    clock.set(midnight + 3600)
    answer = board.submit("ada", 2, at=midnight - 1)
    assert answer.moves["daily"].outcome == "closed"
    assert answer.moves["daily"].new_score is None
    assert answer.moves["daily"].period == "2026-11-22"
    assert answer.moves["all"].new_score == 2
    assert shown(board.window("daily", at=midnight - 1)) == [("ada", 1)]
    (closed,) = board.history("daily")
    only = boards.board("c", awaited=awaited, clock=clock, windows=("daily",))
    before = dump(client)
    with pytest.raises(WindowClosed):
        only.submit("ada", 3, at=closed.end - 1)
    assert issubclass(WindowClosed, ScoreRefused)
    assert dump(client) == before
    assert board.trim(1) == 0
    assert shown(board.window("daily", at=closed)) == [("ada", 1)]


@pytest.mark.parametrize("how", ["submit", "submit twice", "load", "load twice", "all gone"])
@pytest.mark.parametrize("window", ["hourly", "daily", "weekly", "monthly"])
def test_a_period_lives_as_long_as_the_settings_say(
    boards: Boards, client: redis.Redis, awaited: bool, window: str, how: str
) -> None:
    clock = FakeClock(NOON)
    board = boards.board(
        "b",
        awaited=awaited,
        clock=clock,
        windows=(window,),
        keep={window: "3d"},
        grace="1h",
        policy="last",
        dense=True,
    )
    if how.startswith("load"):
        board.load({"ada": 1})
    else:
        board.submit("ada", 1)
    if how == "load twice":
        board.load({"ada": 2})
    elif how == "submit twice":
        # The only row of the period is replaced: its key must not lose its time to live.
        board.submit("ada", 2, {"x": 1})
    elif how == "all gone":
        board.remove("ada")
        board.submit("bob", 2)
    period = board.window(window).period
    expected = period.end + 3600 + 3 * DAY - NOON
    keys = [key for key in client.scan_iter(match="*") if window in key]
    assert len(keys) == 3
    for key in keys:
        assert expected - 60 < client.pttl(key) / 1000 <= expected, key
    # A minute before that it can be read, and afterwards nothing of it is left.
    clock.advance(expected - 60)
    fast_forward(client, expected - 60)
    assert board.history(window) == [period]
    assert board.window(window, at=period).size() == 1
    clock.advance(60)
    fast_forward(client, 60)
    assert board.history(window) == []
    assert board.window(window, at=period).size() == 0
    assert not [key for key in client.scan_iter(match="*") if window in key]


def test_what_is_kept_for_ever_has_no_time_to_live(boards: Boards, client: redis.Redis) -> None:
    board = boards.board(
        "b", windows=("daily", "yearly", "all"), keep={"daily": None}, clock=FakeClock(NOON)
    )
    board.submit("ada", 1)
    assert all(client.pttl(key) == -1 for key in client.scan_iter(match="*"))


def test_history_lists_the_periods_that_are_over_the_newest_first(
    boards: Boards, client: redis.Redis, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board(
        "b", awaited=awaited, clock=clock, windows=("daily", "all"), keep={"daily": "3d"}
    )
    for day in (1, 2, 4, 5, 6):
        clock.set(NOON + day * DAY)
        board.submit("ada", day)
    names = [period.name for period in board.history("daily")]
    # The 23rd and the 24th have been forgotten: each stays for three days and an hour.
    assert names == ["2026-11-27", "2026-11-26"]
    assert board.history("all") == []
    # Nor does the board still list them for itself: three days and all time are left.
    assert client.zcard("leaderboard:{b}:periods") == 4
    past = board.rank_history("ada", "daily", 4)
    assert [period.name[-2:] for period, _ in past] == ["28", "27", "26", "25"]
    assert [entry.score if entry else None for _, entry in past] == [6, 5, 4, None]
    periods = [period for period, _ in past]
    assert all(later.start == earlier.end for later, earlier in pairwise(periods))


def test_a_window_without_a_moment_follows_the_clock(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, windows=("hourly",))
    following, fixed = board.window("hourly"), board.window("hourly", NOON)
    board.submit("ada", 1)
    assert shown(following) == shown(fixed) == shown(board) == [("ada", 1)]
    clock.advance("1h")
    assert (following.size(), fixed.size(), board.size()) == (0, 1, 0)
    assert following.period.start == fixed.period.end
    assert board.history("hourly") == [fixed.period]


def test_a_season_takes_scores_from_its_first_moment_to_its_last(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    cup = Season("cup", NOON, dt.datetime.fromtimestamp(NOON + 100, dt.UTC).timestamp())
    board = boards.board(
        "b", awaited=awaited, clock=clock, windows=(cup, "all"), grace="10s", keep={"cup": "1d"}
    )
    clock.set(NOON - 1)
    assert set(board.submit("early", 1).moves) == {"all"}
    clock.set(NOON)
    assert board.submit("ada", 2).moves["cup"].new_rank == 1
    clock.set(NOON + 99.999)
    assert board.submit("bob", 3).moves["cup"].new_rank == 1
    assert board.history("cup") == []
    clock.set(NOON + 100)
    assert set(board.submit("late", 4).moves) == {"all"}
    assert board.submit("cyd", 5, at=NOON + 50).moves["cup"].new_rank == 1
    assert board.submit("dan", 5, at=NOON - 1).moves.keys() == {"all"}
    clock.set(NOON + 110)
    assert board.submit("eve", 6, at=NOON + 50).moves["cup"].outcome == "closed"
    expected = [("cyd", 5), ("bob", 3), ("ada", 2)]
    assert shown(board.window("cup")) == expected
    (period,) = board.history("cup")
    assert (period.start, period.end, period.id) == (NOON, NOON + 100, "cup")
    assert shown(board.window("cup", period)) == expected
    assert [entry for _, entry in board.rank_history("ada", "cup")] == [
        board.window("cup").get("ada")
    ]
    clock.set(NOON + 110 + DAY)
    assert board.history("cup") == []


def test_a_board_that_has_only_a_season_takes_nothing_outside_it(
    boards: Boards, client: redis.Redis, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board(
        "b", awaited=awaited, clock=clock, windows=(Season("cup", NOON + 1, NOON + 2),)
    )
    with pytest.raises(WindowClosed):
        board.submit("ada", 1)
    with pytest.raises(WindowClosed):
        board.load({"ada": 1})
    assert dump(client) == {}
    assert board.submit("ada", 1, at=NOON + 1).rank == 1


def test_metadata_comes_along_into_a_new_period(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, windows=("hourly", "all"))
    board.submit("ada", 5, {"level": 3})
    clock.advance("1h")
    board.submit("ada", 4)
    assert board.window("hourly").get("ada").metadata == {"level": 3}
    board.submit("ada", 3, {"level": 4})
    assert board.window("hourly").get("ada").metadata == board.get("ada").metadata == {"level": 4}
    assert board.window("hourly", NOON).get("ada").metadata == {"level": 3}


def test_a_step_that_is_too_small_leaves_its_window_as_it_was(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board(
        "b", awaited=awaited, clock=clock, windows=("hourly", "all"), policy="last", step=1
    )
    board.submit("ada", 10, at=NOON - 3600)
    answer = board.submit("ada", 10.5)
    assert {name: move.outcome for name, move in answer.moves.items()} == {
        "hourly": "new",
        "all": "too small",
    }
    assert board.get("ada").score == 10
    # It does not count as the latest score either.
    assert board.submit("ada", 20, at=NOON - 1800).moves["all"].new_score == 20


def test_an_increment_does_not_let_an_older_score_count(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, policy="last")
    board.submit("ada", 5, at=NOON - 50)
    board.submit("ada", 5, at=NOON - 10)
    board.increment("ada", 1, at=NOON - 30)
    assert not board.submit("ada", 9, at=NOON - 20).changed
    board.increment("ada", 0, {"x": 1}, at=NOON - 30)
    assert not board.submit("ada", 9, at=NOON - 20).changed
    assert board.get("ada").score == 6
    assert board.submit("ada", 9, at=NOON - 10).changed


def test_who_reached_a_score_first_comes_first_whoever_is_told_first(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock)
    board.submit_many([("cyd", 1, None, NOON - 1), ("bob", 1, None, NOON - 2), ("ada", 1)])
    board.submit("dan", 1, at=NOON - 1.5)
    board.submit("eve", 1)
    assert [entry.member for entry in board.top()] == ["bob", "dan", "cyd", "ada", "eve"]
    # The same score again, earlier and later: the earliest counts.
    board.submit("ada", 1, at=NOON - 9)
    board.submit("bob", 1)
    assert [entry.member for entry in board.top()] == ["ada", "bob", "dan", "cyd", "eve"]


exact_scores = st.integers(-40, 40).map(lambda number: number / 8)


@given(
    scored=st.lists(st.tuples(st.sampled_from("abcd"), exact_scores), min_size=1, max_size=12),
    data=st.data(),
    policy=st.sampled_from(["best", "last", "sum", "first"]),
    order=st.sampled_from(["desc", "asc"]),
)
@settings(max_examples=times(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_delivery_does_not_matter(
    boards: Boards,
    scored: list[tuple[str, float]],
    data: st.DataObject,
    policy: str,
    order: str,
) -> None:
    """The same scores with moments of their own make the same board, however they arrive.

    Two cases aside, in which the board would need a member's whole past to order a tie: with
    "last" a score that the same member had before, and with "sum" one of zero.
    """
    boards.client().flushall()
    had: set[tuple[str, float]] = set()
    rows = []
    for number, (member, score) in enumerate(scored):
        if policy == "last" and (member, score) in had:
            continue
        if policy == "sum" and score == 0:
            continue
        had.add((member, score))
        rows.append((member, score, {"n": number}, NOON + number - 50))
    options: dict[str, Any] = {
        "policy": policy,
        "order": order,
        "windows": ("hourly", "daily", "all"),
    }
    options["clock"] = FakeClock(NOON)
    in_order, shuffled = boards.board("b", **options), boards.board("c", **options)
    for board, delivered in ((in_order, rows), (shuffled, data.draw(st.permutations(rows)))):
        for member, score, _, at in delivered:
            board.submit(member, score, at=at)
    for window in in_order.settings.names:
        for at in (NOON, NOON - 50):
            expected = in_order.window(window, at).top(100)
            assert shuffled.window(window, at).top(100) == expected
