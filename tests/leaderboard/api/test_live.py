"""Live streams: every change once, cut off or not, for one client or for hundreds."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import websockets.exceptions
from websockets.sync.client import connect

from labkit import connect as connect_redis
from labkit import connect_async
from labkit.leaderboard import AsyncLeaderboard, Leaderboard
from labkit.leaderboard.api import Limits, create_app, serve, serving
from labkit.leaderboard.api.live import Live
from tests.leaderboard.api.driver import DEADLINE, KEYS, PATIENT, Stream, in_thread, scores
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from labkit.leaderboard.api.live import Frames


@pytest.fixture
def arcade(served: str) -> str:
    """The address of a board without a policy that hides scores."""
    board = f"{served}/boards/arcade"
    settings = {"policy": "last", "windows": ["daily", "all"], "events": 100_000}
    httpx.put(board, json=settings).raise_for_status()
    return board


@pytest.fixture
def library(url: str, arcade: str) -> Iterator[Leaderboard]:
    """The same board, written to by another program."""
    with connect_redis(url) as client:
        yield Leaderboard.open(client, "arcade")


class Socket:
    """A client of the stream over WebSocket, read as `Stream` is."""

    def __init__(self, board: str, **query: Any) -> None:
        url = httpx.URL(f"{board}/events", params=query).copy_with(scheme="ws")
        # A bounded queue that is full would keep the client from reading the end of the connection.
        opening = connect(str(url), open_timeout=DEADLINE, close_timeout=DEADLINE, max_queue=None)
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(opening)

    def next(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self._socket.recv(timeout=DEADLINE))
        return event

    def take(self, count: int) -> list[dict[str, Any]]:
        return [self.next() for _ in range(count)]

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def opened(kind: str, board: str, after: int | None = None, **query: Any) -> Any:
    """A stream of that kind that goes on from an event."""
    if kind == "websocket":
        return Socket(board, **query, **({} if after is None else {"last_event_id": after}))
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    return Stream(f"{board}/events", headers, **query)


@pytest.mark.parametrize("kind", ["sse", "websocket"])
def test_every_change_is_told_once(arcade: str, library: Leaderboard, kind: str) -> None:
    with opened(kind, arcade) as stream:
        opening = stream.next()
        assert opening == {"type": "open", "id": opening["id"], "window": "all"}
        for score in range(20):
            library.submit("ada", score)
        events = stream.take(20)
    assert scores(events) == list(range(20))
    ids = [opening["id"], *(event["id"] for event in events)]
    assert all(before < after for before, after in itertools.pairwise(ids))
    assert events[0]["old_rank"] is None
    assert events[-1] == {
        **events[-1],
        "member": "ada",
        "window": "all",
        "outcome": "changed",
        "old_score": 18,
        "new_score": 19,
        "new_rank": 1,
    }


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sse", "websocket"])
def test_a_stream_that_is_cut_goes_on_where_it_was(
    arcade: str, library: Leaderboard, kind: str
) -> None:
    count = times(400)
    members = [f"m{number % 7}" for number in range(count)]

    def write() -> None:
        for number, member in enumerate(members):
            library.submit(member, number)

    with opened(kind, arcade) as stream:
        last = stream.next()["id"]
    writer = in_thread(write)
    told: list[dict[str, Any]] = []
    lengths = itertools.cycle([1, 13, 2, 40, 5])
    while len(told) < count:
        with opened(kind, arcade, last) as stream:
            assert stream.next()["type"] == "open"
            told += stream.take(min(next(lengths), count - len(told)))
            last = told[-1]["id"]
    writer.join()
    assert scores(told) == list(range(count))
    ids = [event["id"] for event in told]
    assert ids == sorted(set(ids))


def test_the_id_of_the_opening_is_one_to_go_on_from(arcade: str, library: Leaderboard) -> None:
    with Stream(f"{arcade}/events") as stream:
        start = stream.next()["id"]
    library.submit("ada", 1)
    with Stream(f"{arcade}/events", last_event_id=start) as stream:
        assert stream.next()["id"] == start
        assert scores([stream.next()]) == [1]


def test_the_header_wins_over_the_query(arcade: str, library: Leaderboard) -> None:
    for score in (1, 2):
        library.submit("ada", score)
    with Stream(f"{arcade}/events", last_event_id=0) as stream:
        stream.next()
        first = stream.next()["id"]
    headers = {"Last-Event-ID": str(first)}
    with Stream(f"{arcade}/events", headers, last_event_id=0) as stream:
        stream.next()
        assert scores([stream.next()]) == [2]


def test_one_window_is_watched(arcade: str, library: Leaderboard) -> None:
    day = 86_400
    now = library._board.clock()
    with Stream(f"{arcade}/events", window="daily") as stream:
        assert stream.next()["window"] == "daily"
        library.submit("ada", 1)
        library.submit("bob", 1, at=now - 300 * day)  # a day that has closed
        library.submit("ada", 2)
        events = stream.take(2)
    assert {event["window"] for event in events} == {"daily"}
    assert scores(events) == [1, 2]


def test_a_change_of_several_periods_is_not_torn(arcade: str, library: Leaderboard) -> None:
    settings = {"policy": "last", "windows": ["hourly"], "grace": "5h"}
    httpx.put(f"{arcade}-hourly", json=settings).raise_for_status()
    board = Leaderboard.open(library._client, "arcade-hourly")
    now = board._board.clock()
    for hours in range(4):
        board.submit("ada", hours, at=now - 3600 * hours)
    with Stream(f"{arcade}-hourly/events", last_event_id=0) as stream:
        before = stream.take(5)
    board.remove("ada")
    with Stream(f"{arcade}-hourly/events", last_event_id=before[-1]["id"]) as stream:
        stream.next()
        removed = stream.take(4)
    periods = [event["period"] for event in removed]
    assert len(set(periods)) == 4
    assert {event["outcome"] for event in removed} == {"removed"}
    for kept in range(4):
        last = removed[kept - 1]["id"] if kept else before[-1]["id"]
        with Stream(f"{arcade}-hourly/events", last_event_id=last) as stream:
            stream.next()
            again = [event["period"] for event in stream.take(4)]
        assert again == periods, "what follows a cut between them is all of them"
    board.submit("ada", 9)
    with Stream(f"{arcade}-hourly/events", last_event_id=removed[-1]["id"]) as stream:
        stream.next()
        assert scores([stream.next()]) == [9]


def test_resets_and_gaps_are_told(arcade: str, library: Leaderboard) -> None:
    with Stream(f"{arcade}/events") as stream:
        start = stream.next()["id"]
        library.load([("ada", 1), ("bob", 2)])
        reset = stream.next()
        assert (reset["type"], reset["reason"], reset["count"]) == ("reset", "loaded", 2)
        library.clear()
        assert stream.next()["reason"] == "cleared"
        library.submit("ada", 7)
        assert scores([stream.next()]) == [7]
    with Stream(f"{arcade}/events", last_event_id=start) as stream:
        stream.next()
        gap = stream.next()
        assert (gap["type"], gap["first"]) == ("gap", start + 1)
        assert stream.next()["reason"] == "cleared"
        assert scores([stream.next()]) == [7]


def test_a_board_that_is_made_again_with_another_order(arcade: str, library: Leaderboard) -> None:
    with Stream(f"{arcade}/events") as stream:
        last = stream.next()["id"]
        library.delete()
        later = library._board.clock() + 2
        again = Leaderboard(
            library._client, "arcade", clock=lambda: later, order="asc", policy="last"
        )
        again.submit("ada", 5)
        assert stream.rest() == [], "the stream ends, so that its clients find the new board"
    with Stream(f"{arcade}/events", last_event_id=last) as stream:
        stream.next()
        assert stream.next()["type"] == "gap"
        assert scores([stream.next()]) == [5]


def test_streams_of_a_deleted_board_end(arcade: str) -> None:
    with (
        Stream(f"{arcade}/events") as stream,
        Stream(f"{arcade}/events", top=3) as top,
        Socket(arcade) as socket,
    ):
        for each in (stream, top, socket):
            each.next()
        httpx.delete(arcade).raise_for_status()
        assert stream.rest() == top.rest() == []
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            socket.next()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1012
    assert httpx.get(f"{arcade}/events").status_code == 404


def test_what_cannot_be_watched(arcade: str, served: str) -> None:
    future = httpx.get(f"{arcade}/events", params={"last_event_id": 10**17})
    assert future.status_code == 422
    assert future.json()["type"].endswith(":unknown-event")
    httpx.put(f"{served}/boards/silent", json={"events": 0}).raise_for_status()
    silent = httpx.get(f"{served}/boards/silent/events")
    assert silent.status_code == 409
    assert silent.json()["type"].endswith(":no-events")
    for path in ("none", "silent", "arcade"):
        query = {"last_event_id": "x"} if path == "arcade" else {}
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            Socket(f"{served}/boards/{path}", **query)
        expected = {"none": 404, "silent": 409, "arcade": 422}[path]
        assert refused.value.response.status_code == expected
        assert json.loads(refused.value.response.body)["status"] == expected


def test_streams_ask_for_keys(url: str) -> None:
    keys = [f"a:admin:{KEYS['admin']}"]
    with serve(create_app(url, keys=keys, limits=PATIENT)) as service:
        board = f"{service.url}/boards/b"
        headers = {"X-API-Key": KEYS["admin"]}
        httpx.put(board, headers=headers).raise_for_status()
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            Socket(board)
        assert refused.value.response.status_code == 401
        with Stream(f"{board}/events", headers) as stream:
            assert stream.next()["type"] == "open"


@pytest.mark.parametrize("kind", ["sse", "websocket"])
def test_the_top_as_it_changes(arcade: str, library: Leaderboard, kind: str) -> None:
    library.submit_many([("a", 30), ("b", 20), ("c", 10)])
    with opened(kind, arcade, top=2) as stream:
        first = stream.next()
        assert first["type"] == "top"
        assert [entry["member"] for entry in first["entries"]] == ["a", "b"]
        assert (first["entered"], first["left"], first["moved"]) == (["a", "b"], [], [])
        library.submit("c", 5)  # below the top: nothing to tell
        library.submit("c", 25)
        change = stream.next()
        assert [(entry["member"], entry["rank"]) for entry in change["entries"]] == [
            ("a", 1),
            ("c", 2),
        ]
        assert (change["entered"], change["left"], change["moved"]) == (["c"], ["b"], [])
        library.submit("a", 31)
        assert stream.next()["moved"] == ["a"]
    with opened(kind, arcade, change["id"], top=2) as stream:
        assert [entry["score"] for entry in stream.next()["entries"]] == [31, 25]


def test_a_burst_of_changes_is_one_look(arcade: str, library: Leaderboard) -> None:
    with Stream(f"{arcade}/events", top=3) as stream:
        stream.next()
        library.submit_many([("ada", score) for score in range(500)])
        looks = stream.until(lambda event: event["entries"][0]["score"] == 499)
    assert len(looks) < 50


def test_clients_of_one_top_share_its_looks(url: str, arcade: str, library: Leaderboard) -> None:
    def sent() -> int:
        stats = library._client.info("commandstats") if "fake" not in url else {}
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))

    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(Stream(f"{arcade}/events", top=3)) for _ in range(10)]
        for stream in streams:
            stream.next()
        before = sent()
        library.submit("ada", 1)
        for stream in streams:
            assert stream.next()["entered"] == ["ada"]
        assert sent() - before <= 3, "ten clients looked ten times"


def test_a_client_that_does_not_read_misses_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = serving.listen

    def narrow(host: str, port: int) -> socket.socket:
        listener = honest(host, port)  # its connections take over the size of its buffers
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return listener

    monkeypatch.setattr(serving, "listen", narrow)
    count = times(3000)
    settings = {"policy": "last", "events": 10 * count}
    with (
        serve(create_app(url, limits=Limits(waiting=10, heartbeat=60))) as service,
        connect_redis(url) as client,
        socket.socket() as slow,
    ):
        board = f"{service.url}/boards/b"
        httpx.put(board, json=settings).raise_for_status()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(DEADLINE)
        target = httpx.URL(board)
        slow.connect((target.host, target.port))
        slow.sendall(b"GET /boards/b/events HTTP/1.1\r\nHost: x\r\n\r\n")
        with Stream(f"{board}/events") as quick:
            quick.next()
            library = Leaderboard.open(client, "b")
            for start in range(0, count, 500):
                library.submit_many([("ada", score) for score in range(start, start + 500)])
            assert scores(quick.take(count)) == list(range(count))
        received = b""
        while b'"new_score":%d.0' % (count - 1) not in received:
            received += slow.recv(65536)
    told = [
        json.loads(line.removeprefix(b"data: "))
        for line in received.split(b"\n")
        if line.startswith(b"data: ") and line.endswith(b"}")
    ]
    # The pieces of a chunked answer may cut a line; what is whole is in order, and told once.
    seen = scores(told)
    assert seen == sorted(set(seen))
    assert b'"type":"gap"' not in received
    lines = {json.loads(b"[%s]" % found)[0] for found in _numbers(received)}
    assert lines == set(range(count))


def _numbers(received: bytes) -> list[bytes]:
    """The new scores in a raw answer, read without the sizes of its pieces."""
    import re

    body = re.sub(rb"\r\n(?:[0-9a-f]+\r\n)?", b"", received)
    return re.findall(rb'"new_score":([0-9]+)\.0', body)


class Late:
    """A way to Redis on which waiting for changes takes until the gate is opened."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.gate = asyncio.Event()

    async def execute_command(self, *words: Any) -> Any:
        if words[0] == "XREAD":
            await self.gate.wait()
        return await self._client.execute_command(*words)


@contextlib.asynccontextmanager
async def late_hub(url: str) -> AsyncIterator[tuple[AsyncLeaderboard, Live, Late]]:
    """A board, and live streams of it that learn of changes when the gate is opened."""
    client = await connect_async(url)
    board = AsyncLeaderboard(client, "b", policy="last")
    await board.configure()
    late = Late(client)
    live = Live(Limits(), lambda _: AsyncLeaderboard(late, "b", policy="last"))
    yield board, live, late
    await live.aclose()
    await client.aclose()


async def one(stream: Frames) -> list[dict[str, Any]]:
    """What a stream gives next."""
    return [json.loads(frame.text) for frame in await anext(stream)]


def test_a_client_may_be_ahead_of_the_others(url: str) -> None:
    """It has seen, on another process, what this one has not read yet."""

    async def watch() -> list[float]:
        async with late_hub(url) as (board, live, late):
            first = live.changes(board, "all", None)
            start = (await one(first))[0]["id"]
            for score in range(4):
                await board.submit("ada", score)
            ahead = live.changes(board, "all", start + 2)
            assert (await one(ahead))[0]["id"] == start + 2
            waiting = asyncio.create_task(one(ahead))
            await asyncio.sleep(0)
            late.gate.set()
            told = await waiting
            await first.aclose()
            await ahead.aclose()
            return scores(told)

    assert asyncio.run(watch()) == [2, 3]


def test_a_gap_that_reaches_past_what_the_others_were_given(url: str) -> None:
    async def watch() -> None:
        async with late_hub(url) as (board, live, late):
            await board.submit_many([("ada", 1), ("ada", 2)])
            first = live.changes(board, "all", None)
            start = (await one(first))[0]["id"]
            await board.submit_many([("ada", 3), ("ada", 4)])
            await board.clear()
            back = live.changes(board, "all", start - 1)
            assert (await one(back))[0]["id"] == start - 1
            assert await one(back) == [{"type": "gap", "first": start, "id": start}]
            late.gate.set()  # the others learn of their own gap: every stream ends there
            assert [frame.id async for frames in back for frame in frames] == []
            again = live.changes(board, "all", start)
            await anext(again)
            gap, reset = await one(again)
            assert gap == {"type": "gap", "first": start + 1, "id": start + 2}
            assert (reset["type"], reset["reason"]) == ("reset", "cleared")
            await first.aclose()
            await again.aclose()

    asyncio.run(watch())


def test_silence_is_broken(url: str) -> None:
    with serve(create_app(url, limits=Limits(heartbeat=0.05))) as service:
        board = f"{service.url}/boards/b"
        httpx.put(board).raise_for_status()
        for query in ({}, {"top": 1}):
            with httpx.stream("GET", f"{board}/events", params=query, timeout=DEADLINE) as answer:
                assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
                assert answer.headers["Cache-Control"] == "no-cache"
                lines = answer.iter_lines()
                comments = itertools.islice((line for line in lines if line.startswith(":")), 3)
                assert list(comments) == [": alive"] * 3


def test_streams_are_counted_and_bounded(url: str) -> None:
    with serve(create_app(url, limits=Limits(streams=2, heartbeat=60))) as service:
        board = f"{service.url}/boards/b"
        httpx.put(board).raise_for_status()

        def open_now(kind: str) -> bool:
            line = f'leaderboard_open_streams{{kind="{kind}"}} 1.0'
            return line in httpx.get(f"{service.url}/metrics").text

        with Stream(f"{board}/events") as stream, Socket(board) as other:
            stream.next()
            other.next()
            assert open_now("sse")
            assert open_now("websocket")
            full = httpx.get(f"{board}/events")
            assert full.status_code == 503
            assert full.json()["type"].endswith(":too-many-streams")
            assert full.headers["Retry-After"]
        wait = threading.Event()
        for _ in range(int(DEADLINE / 0.02)):
            if not (open_now("sse") or open_now("websocket")):
                break
            wait.wait(0.02)
        with Stream(f"{board}/events") as stream:
            assert stream.next()["type"] == "open"
