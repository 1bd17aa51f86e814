"""Many writers at once, threads and processes: no score is lost, and no change number."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from labkit import connect
from labkit.clock import FakeClock
from labkit.leaderboard import Leaderboard, Reset, Submission
from tests.leaderboard.storage import NOON, check_storage
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tests.leaderboard.conftest import Boards

THREADS, PROCESSES = 8, 4
WINDOWS = ("daily", "all")
MEMBERS = [f"m{number}" for number in range(5)]
Played = list[tuple[str, float, bool]]


def play(board: Any, seed: int, count: int) -> Played:
    """Submits random scores; what was sent, and whether it changed the board."""
    source = random.Random(seed)
    played = []
    for _ in range(count):
        member, score = source.choice(MEMBERS), source.randrange(1000) / 8
        answer: Submission = board.submit(member, score)
        played.append((member, score, answer.changed))
    return played


def play_in_process(url: str, policy: Any, seed: int, count: int) -> Played:
    with connect(url) as client:
        board = Leaderboard(client, "b", policy=policy, windows=WINDOWS, clock=FakeClock(NOON))
        return play(board, seed, count)


def in_threads(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """What each of the threads returned; they begin together."""
    ready = threading.Barrier(count)

    def begin(number: int) -> Any:
        ready.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def check_outcome(board: Any, policy: str, played: Played) -> None:
    """The board has what all scores together make, and the stream every change of it once."""
    by_member = {
        member: [score for name, score, _ in played if name == member] for member in MEMBERS
    }
    for window in WINDOWS:
        found = {entry.member: entry.score for entry in board.window(window).top(100)}
        for member, scores in by_member.items():
            if policy == "best":
                assert found[member] == max(scores)
            elif policy == "sum":
                assert found[member] == sum(scores)
            else:
                assert found[member] in scores
    events = list(board.watch(0, timeout=0))
    ids = [event.id for event in events]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert len(ids) == sum(changed for _, _, changed in played)
    # Each change begins where the one before it ended.
    latest: dict[str, float | None] = {}
    for event in events:
        assert event.old_score == latest.get(event.member)
        latest[event.member] = event.new_score
    assert latest == {entry.member: entry.score for entry in board.top(100)}


@pytest.mark.parametrize("policy", ["best", "last", "sum", "first"])
def test_threads_lose_nothing(boards: Boards, client: redis.Redis, policy: str) -> None:
    board = boards.board("b", policy=policy, windows=WINDOWS, clock=FakeClock(NOON))
    played = in_threads(lambda number: play(board, SEED + number, times(25)))
    check_outcome(board, policy, list(itertools.chain(*played)))
    check_storage(client, "b")


def test_processes_lose_nothing(boards: Boards, client: redis.Redis) -> None:
    if boards.url.startswith("fake://"):
        pytest.skip("fakeredis lives in one process")
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        for policy in ("best", "sum"):
            client.flushall()
            futures = [
                pool.submit(play_in_process, boards.url, policy, SEED + number, times(100))
                for number in range(PROCESSES)
            ]
            played = list(itertools.chain(*(future.result() for future in futures)))
            board = boards.board("b", policy=policy, windows=WINDOWS, clock=FakeClock(NOON))
            check_outcome(board, policy, played)
            check_storage(client, "b")


@pytest.mark.parametrize("dense", [True, False])
def test_removals_trims_and_clearings_leave_a_consistent_board(
    boards: Boards, client: redis.Redis, dense: bool
) -> None:
    clock = FakeClock(NOON)
    board = boards.board("b", policy="last", windows=("hourly", *WINDOWS), clock=clock, dense=dense)

    def work(number: int) -> None:
        source = random.Random(SEED + number)
        for step in range(times(12)):
            if number < 4:
                board.submit_many([(name, source.randrange(9)) for name in MEMBERS])
            elif number == 4:
                board.remove(*source.sample(MEMBERS, 2))
            elif number == 5:
                board.trim(3)
            elif number == 6:
                board.load([(f"{name} {step}", step) for name in MEMBERS])
                clock.advance("10m")  # periods come into being meanwhile
            elif step % 4 == 0:
                board.clear()

    in_threads(work)
    check_storage(client, "b")
    for window in board.settings.names:
        entries = board.window(window).top(1000)
        assert board.window(window).size() == len(entries)
        assert all(board.window(window).get(entry.member) == entry for entry in entries)
    ids = [event.id for event in board.watch(0, timeout=0)]
    assert ids == sorted(set(ids))
    board.delete()
    assert list(client.scan_iter(match="*")) == []


def test_a_watcher_sees_every_change_of_many_writers(boards: Boards) -> None:
    board = boards.board("b", policy="last", windows=("all",), clock=FakeClock(NOON))
    watch = board.watch()
    count = times(20)
    seen: list[Any] = []

    def work(number: int) -> None:
        if number:
            for step in range(count):
                board.submit(f"m{number}", step)
        else:
            seen.extend(itertools.islice(watch, (THREADS - 1) * count))

    in_threads(work)
    assert not any(isinstance(event, Reset) for event in seen)
    ids = [event.id for event in seen]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for number in range(1, THREADS):
        mine = [event.new_score for event in seen if event.member == f"m{number}"]
        assert mine == list(range(count))
