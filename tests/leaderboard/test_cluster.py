"""A Redis Cluster serves boards too: every key of a board is on one node."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from labkit import CommandLog, connect, connect_async
from labkit.leaderboard import AsyncLeaderboard, Change, Leaderboard, Season
from tests.leaderboard.conftest import Boards
from tests.leaderboard.storage import NOON, check_storage
from tests.leaderboard.test_model import Comparison
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator


NAMES = ["arcade", "chess", "golf", "darts", "pool", "rugby"]


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


@pytest.fixture
def boards(url: str) -> Iterator[Boards]:
    boards = Boards(url)
    boards.client().flushall(target_nodes="primaries")
    yield boards
    boards.close()


def test_every_operation_does_on_a_cluster_what_the_model_does(boards: Boards) -> None:
    machine = type("Machine", (Comparison,), {"boards": boards})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=times(8), stateful_step_count=25)
    )


def test_boards_spread_over_the_nodes_and_each_stays_on_one(boards: Boards) -> None:
    client = boards.client()
    nodes = set()
    for name in NAMES:
        board = Leaderboard(
            client, name, windows=("daily", Season("cup", 0, 2 * NOON), "all"), dense=True
        )
        board.submit("ada", 1, {"x": 1}, key="k")
        board.page(1, snapshot="1m")
        keys = [key for key in client.scan_iter(match="*") if f"{{{name}}}" in key]
        assert len(keys) >= 14
        slots = {client.keyslot(key) for key in keys}
        assert len(slots) == 1
        nodes.add(client.get_node_from_key(keys[0]).port)
        check_storage(client, name)
    assert len(nodes) == 3


def test_an_operation_on_a_cluster_is_one_command(boards: Boards) -> None:
    client = boards.client()
    for name in NAMES[:3]:
        board = Leaderboard(client, name)
        board.load({f"m{number}": number for number in range(100)})
        with CommandLog(client) as log:
            board.submit("ada", 1)
            board.top()
            board.around("ada")
            board.page(10)
        assert len(log) == 4, str(log)


def test_a_removal_on_a_cluster_leaves_nothing(boards: Boards) -> None:
    client = boards.client()
    for name in NAMES:
        board = Leaderboard(client, name, windows=("daily", "all"))
        board.submit("ada", 1, key="k")
        assert board.remove("ada") == 1
        board.delete()
    assert list(client.scan_iter(match="*")) == []


def test_an_async_client_of_a_cluster(url: str) -> None:
    async def scenario() -> None:
        client = await connect_async(url)
        boards = [AsyncLeaderboard(client, f"async {name}") for name in NAMES]
        await asyncio.gather(*(board.submit("ada", 1, {"x": 1}) for board in boards))
        for board in boards:
            await board.submit_many([("bob", 2), ("cyd", 3)])
            assert (await board.load({"dan": 4})).rows == 1
            assert [entry.member for entry in await board.top()] == ["dan", "cyd", "bob", "ada"]
            page = await board.page(3)
            following = await board.page(3, page.next_cursor)
            assert [entry.member for entry in following] == ["ada"]
            events = [event async for event in board.watch(0, timeout=0)]
            assert [type(event) is Change for event in events] == [True, True, True, False]
            assert [event.entries async for event in board.watch_top(1, timeout=0)] == [
                page.entries[:1]
            ]
            await board.delete()
        await client.aclose()

    asyncio.run(scenario())
    with connect(url) as client:
        assert [key for key in client.scan_iter(match="*") if "async" in key] == []
