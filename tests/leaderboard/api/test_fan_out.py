"""Hundreds of streams held by one process, from one reading of Redis."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from labkit import connect
from labkit.leaderboard import Leaderboard
from labkit.leaderboard.api import create_app, serve
from tests.leaderboard.api.driver import DEADLINE, PATIENT, in_thread
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = 500


async def watch(port: int, count: int, opened: Callable[[], None]) -> list[int]:
    """The new scores that one client is told, up to a number of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /boards/b/events HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"event: open\n")
        opened()
        received = b""
        found: list[bytes] = []
        while len(found) < count:
            received += await reader.read(65536)
            found = re.findall(rb'"new_score":([0-9]+)\.0,"old_rank', received)
        return [int(score) for score in found]
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.soak
def test_hundreds_of_clients_get_every_change(url: str) -> None:
    changes = times(20)
    with serve(create_app(url, limits=PATIENT)) as service, connect(url) as client:
        board = f"{service.url}/boards/b"
        httpx.put(board, json={"policy": "last"}).raise_for_status()
        library = Leaderboard.open(client, "b")
        connected_before = len(client.client_list()) if "fake" not in url else 0

        def write() -> None:
            for score in range(changes):
                library.submit("ada", score)

        async def everybody() -> list[list[int]]:
            waiting = CLIENTS
            everybody_is_there = asyncio.Event()

            def one_more() -> None:
                nonlocal waiting
                waiting -= 1
                if not waiting:
                    everybody_is_there.set()

            port = httpx.URL(board).port
            assert port
            watchers = [asyncio.create_task(watch(port, changes, one_more)) for _ in range(CLIENTS)]
            async with asyncio.timeout(DEADLINE):
                await everybody_is_there.wait()
            gauge = await asyncio.to_thread(lambda: httpx.get(f"{service.url}/metrics").text)
            assert f'leaderboard_open_streams{{kind="sse"}} {CLIENTS}.0' in gauge
            if "fake" not in url:
                # One reading serves them all; one that a busy machine has cut off ends by itself.
                async with asyncio.timeout(DEADLINE):
                    while len([e for e in client.client_list() if "b" in e["flags"]]) > 1:
                        await asyncio.sleep(0.05)
                assert len(client.client_list()) - connected_before < 60
            writer = in_thread(write)
            async with asyncio.timeout(3 * DEADLINE):
                told = await asyncio.gather(*watchers)
            writer.join()
            return list(told)

        told = asyncio.run(everybody())
    assert told == [list(range(changes))] * CLIENTS
