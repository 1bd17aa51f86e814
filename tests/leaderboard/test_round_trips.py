"""What an operation costs: one script in one round trip, for a fresh board and client too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit import CommandLog, connect, connect_async
from labkit.clock import FakeClock
from labkit.leaderboard import AsyncLeaderboard, Leaderboard, Season
from tests.leaderboard.storage import NOON

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.course.bench import Bench
    from tests.leaderboard.conftest import Boards

WINDOWS = ("hourly", "daily", "weekly", "monthly", "yearly", Season("cup", 0, 2 * NOON), "all")

ONE_TRIP: dict[str, Callable[[Any], Any]] = {
    "submit": lambda board: board.submit("ada", 1, {"x": 1}, at=NOON, key="k"),
    "increment": lambda board: board.increment("ada", 1),
    "submit_many": lambda board: board.submit_many([(f"m{n}", n) for n in range(500)]),
    "load": lambda board: board.load([(f"m{n}", n) for n in range(1000)]),
    "get": lambda board: board.get("ada"),
    "top": lambda board: board.top(1000),
    "page": lambda board: board.page(1000),
    "page of a snapshot": lambda board: board.page(10, snapshot="1m"),
    "around": lambda board: board.around("ada"),
    "around_score": lambda board: board.around_score(5),
    "among": lambda board: board.among(f"m{n}" for n in range(1000)),
    "percentile": lambda board: board.percentile("ada"),
    "score_at": lambda board: board.score_at(50),
    "rank_of": lambda board: board.rank_of(5),
    "count": lambda board: board.count(1, 5),
    "size": lambda board: board.size(),
    "configure": lambda board: board.configure(),
    "history": lambda board: board.history("daily"),
    "rank_history": lambda board: board.rank_history("ada", "daily", 400),
    "a window": lambda board: board.window("daily", NOON - 86_400).top(),
}


@pytest.mark.parametrize("ties", ["ordinal", "competition", "dense", "modified"])
@pytest.mark.parametrize("name", ONE_TRIP)
def test_an_operation_is_one_command_in_one_round_trip(
    boards: Boards, bench: Bench, name: str, ties: Any
) -> None:
    options: dict[str, Any] = {"ties": ties, "windows": WINDOWS, "clock": FakeClock(NOON)}
    boards.client().script_flush()
    with connect(bench.url) as client, CommandLog(client) as log:
        ONE_TRIP[name](Leaderboard(client, "b", **options))
        assert log.round_trips == len(log) == 1, str(log)
    # And again, by a client that has sent the script before and one that has not.
    with connect(bench.url) as client:
        for _ in range(2):
            with CommandLog(client) as log:
                ONE_TRIP[name](Leaderboard(client, "b", **options))
            assert log.round_trips == len(log) == 1, str(log)


@pytest.mark.parametrize("name", ONE_TRIP)
def test_an_async_operation_is_one_command_in_one_round_trip(
    boards: Boards, bench: Bench, name: str
) -> None:
    async def count() -> list[str]:
        client = await connect_async(bench.url)
        with CommandLog(client) as log:
            await ONE_TRIP[name](
                AsyncLeaderboard(client, "b", windows=WINDOWS, clock=FakeClock(NOON))
            )
        await client.aclose()
        return log.names

    assert len(boards.run(count())) == 1


def test_a_script_travels_in_full_once(boards: Boards, bench: Bench) -> None:
    boards.client().script_flush()
    with connect(bench.url) as client, CommandLog(client) as log:
        for _ in range(3):
            Leaderboard(client, "b").submit("ada", 1)
    assert log.names == ["EVAL", "EVALSHA", "EVALSHA"]


def test_a_server_that_forgot_the_scripts_is_sent_them_again(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited)
    assert board.submit("ada", 1).rank == 1
    assert board.top()[0].member == "ada"
    boards.client().script_flush()
    assert board.submit("bob", 2).rank == 1
    assert [entry.member for entry in board.top()] == ["bob", "ada"]


def test_a_batch_takes_a_round_trip_for_500_and_a_load_one_for_a_chunk(boards: Boards) -> None:
    rows = [(f"m{number}", number) for number in range(1001)]
    with connect(boards.url) as client:
        board = Leaderboard(client, "b")
        with CommandLog(client) as log:
            board.submit_many(rows)
        assert log.round_trips == 3
        with CommandLog(client) as log:
            board.load(rows, chunk=500)
        assert log.round_trips == 3
        with CommandLog(client) as log:
            board.submit_many([])
            board.load([])
        assert log.round_trips == 0


def test_what_needs_the_list_of_periods_takes_two_round_trips(boards: Boards) -> None:
    with connect(boards.url) as client:
        board = Leaderboard(client, "b", clock=FakeClock(NOON), windows=WINDOWS)
        board.submit("ada", 1)
        for call in (lambda: board.remove("ada"), board.clear, board.delete):
            with CommandLog(client) as log:
                call()
            assert log.round_trips == 2, str(log)


def test_making_a_board_sends_nothing(boards: Boards, client: Any) -> None:
    with CommandLog(client) as log:
        board = boards.board("b", windows=WINDOWS)
        board.window("daily")
        assert board.name == "b"
        assert board.settings.names
    assert log.round_trips == 0
