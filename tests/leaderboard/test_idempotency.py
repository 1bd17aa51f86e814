"""A score that is sent again under its key is stored once and answered as the first time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
import pytest

from labkit.leaderboard import KeyReused, Score, Season, Submission
from tests.leaderboard.storage import NOON, dump
from tests.scale import times

if TYPE_CHECKING:
    import redis

    from labkit.clock import FakeClock
    from tests.leaderboard.conftest import Boards

WINDOWS = ("daily", Season("cup", NOON, NOON + 86_400), "all")


def again(answer: Submission) -> Submission:
    return msgspec.structs.replace(answer, replayed=True)


def test_a_repeated_score_changes_nothing_whatever_happened_since(
    boards: Boards, client: redis.Redis, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, windows=WINDOWS, policy="sum")
    first = board.submit("ada", 10, {"b": 1, "a": 2}, key="k")
    assert not first.replayed
    assert board.submit("ada", 10, {"a": 2, "b": 1}, key="k") == again(first)
    board.submit("bob", 99)
    board.submit("ada", 5)
    board.load({"ada": 1})
    before = dump(client)
    assert board.submit("ada", 10, {"b": 1, "a": 2}, key="k") == again(first)
    assert dump(client) == before
    assert board.get("ada").score == 16


@pytest.mark.parametrize("policy", ["best", "last", "sum", "first"])
def test_a_repetition_on_another_day_is_answered_with_the_first_days_periods(
    boards: Boards, awaited: bool, clock: FakeClock, policy: str
) -> None:
    # At the first time the cup is about to begin; at the second it is over, and so is the day.
    clock.set(NOON - 60)
    board = boards.board("b", awaited=awaited, clock=clock, windows=WINDOWS, policy=policy)
    early = board.submit("ada", 10, key="early")
    clock.set(NOON)
    first = board.submit("ada", 11, key="k")
    assert set(early.moves) == {"daily", "all"}
    assert set(first.moves) == {"daily", "cup", "all"}
    clock.advance("23h")
    assert board.submit("ada", 10, key="early") == again(early)
    assert board.submit("ada", 11, key="k") == again(first)
    assert first.moves["daily"].period == "2026-11-22"


def test_a_key_is_forgotten_after_its_time(boards: Boards, awaited: bool, clock: FakeClock) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, policy="sum", remember="10m")
    board.submit("ada", 1, key="k")
    clock.advance("9m59s")
    assert board.submit("ada", 1, key="k").replayed
    clock.advance("1s")
    assert not board.submit("ada", 1, key="k").replayed
    assert board.get("ada").score == 2
    clock.advance("10m")
    # Another member may have the key by now, and keeps it.
    assert board.submit("bob", 7, key="k").rank == 1


def test_due_keys_leave_the_server_as_new_ones_come(
    boards: Boards, client: redis.Redis, clock: FakeClock
) -> None:
    board = boards.board("b", clock=clock, remember="10m")
    board.submit_many([Score(f"m{n}", n, None, None, f"key{n}") for n in range(250)])
    clock.advance("10m")
    for number in range(5):
        board.submit("ada", number, key=f"new {number}")
    kept = dump(client, "*once*")
    assert len(kept) == 3
    assert b"key" not in str(kept).encode()


@pytest.mark.parametrize("removed", [True, False])
def test_a_key_that_another_member_takes_over_stays_with_it(
    boards: Boards, clock: FakeClock, removed: bool
) -> None:
    # A hundred keys are forgotten in one call; here more are due, and one of the rest is used.
    board = boards.board("b", clock=clock, policy="sum", remember="10m")
    board.submit_many([Score(f"m{n:03}", 1, None, NOON, f"key{n:03}") for n in range(250)])
    clock.advance("10m")
    board.submit("zoe", 1, key="key249")
    if removed:
        board.remove("m249")
    for number in range(4):
        board.submit("ada", 1, key=f"new {number}")
    assert board.submit("zoe", 1, key="key249").replayed
    assert board.get("zoe").score == 1


def test_every_item_of_a_batch_has_a_key_of_its_own(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, policy="sum")
    batch = [
        Score("ada", 1, None, None, "k1"),
        Score("ada", 1, None, None, "k2"),
        Score("ada", 1, None, None, "k1"),
        Score("ada", 1),
    ]
    first = board.submit_many(batch)
    assert [answer.replayed for answer in first] == [False, False, True, False]
    assert first[2] == again(first[0])
    second = board.submit_many(batch)
    assert [answer.replayed for answer in second] == [True, True, True, False]
    assert board.get("ada").score == 4
    assert second[:3] == [again(first[0]), again(first[1]), again(first[0])]


def test_a_refused_score_does_not_use_up_its_key(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, policy="sum", maximum=10)
    (refused,) = board.submit_many([Score("ada", 11, None, None, "k")])
    assert refused.refused
    assert not board.submit("ada", 1, key="k").replayed
    with pytest.raises(KeyReused):
        board.submit("ada", 11, key="k")


def test_a_submission_and_an_increment_are_different_payloads(
    boards: Boards, awaited: bool
) -> None:
    board = boards.board("b", awaited=awaited)
    assert not board.increment("ada", 1, key="k").replayed
    assert board.increment("ada", 1, key="k").replayed
    with pytest.raises(KeyReused):
        board.submit("ada", 1, key="k")


def test_of_many_threads_with_one_key_one_stores(boards: Boards, clock: FakeClock) -> None:
    board = boards.board("b", clock=clock, policy="sum")
    for number in range(times(10)):
        ready = threading.Barrier(4)

        def send(ready: threading.Barrier = ready, key: str = f"k{number}") -> Submission:
            ready.wait()
            answer: Submission = board.submit("ada", 1, key=key)
            return answer

        with ThreadPoolExecutor(4) as pool:
            answers = [future.result() for future in [pool.submit(send) for _ in range(4)]]
        assert sorted(answer.replayed for answer in answers) == [False, True, True, True]
        assert len({answer.rank for answer in answers}) == 1
        assert board.get("ada").score == number + 1
