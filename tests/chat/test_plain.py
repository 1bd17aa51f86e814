"""Plain channels: who listens hears what is said from then on, and nobody hears it later."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import redis

from labkit import LocalServer, connect, connect_async
from labkit.chat import plain
from labkit.chat.plain import AsyncChannel, AsyncSubscription, Channel
from labkit.server import find_server
from tests.cache.crowd import in_threads, until
from tests.chat.connected import KINDS, Connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.course.bench import Bench
    from tests.chat.faces import Loop

QUIET = 0.2  # seconds; long enough to see that nothing comes that should not


@pytest.fixture(params=KINDS)
def connected(bench: Bench, loop: Loop, request: pytest.FixtureRequest) -> Iterator[Connected]:
    connected = Connected(bench.url, request.param, loop)
    yield connected
    connected.close()


def take(listener: Any, count: int) -> list[str]:
    return [next(listener) for _ in range(count)]


def test_all_who_listen_hear_it(connected: Connected) -> None:
    channel = connected.channel()
    with channel.listen() as here, channel.listen() as there:
        assert channel.publish("hello") == 2
        assert channel.publish("wörld ☃") == 2
        for listener in (here, there):
            assert take(listener, 2) == ["hello", "wörld ☃"]
            assert (listener.source, listener.reconnects) == ("news", 0)


def test_what_nobody_hears_is_lost(connected: Connected) -> None:
    channel = connected.channel()
    assert channel.publish("before") == 0
    with channel.listen(timeout=QUIET) as listener:
        assert listener.source is None
        assert channel.publish("during") == 1
        assert list(listener) == ["during"]
    until(lambda: channel.publish("after") == 0)
    with channel.listen(timeout=QUIET) as listener:
        assert list(listener) == []
    assert connected.client.keys() == []


def test_nothing_is_missed_once_it_listens(connected: Connected) -> None:
    channel = connected.channel()
    for number in range(20):
        with channel.listen() as listener:
            assert channel.publish(str(number)) == 1
            assert next(listener) == str(number)


def test_all_comes_in_the_order_in_which_it_was_said(connected: Connected) -> None:
    channel = connected.channel()
    said = [f"text {number}" for number in range(500)]
    with channel.listen() as listener:
        for text in said:
            channel.publish(text)
        assert take(listener, 500) == said


@pytest.mark.parametrize("timeout", [0, 0.05, "50ms"])
def test_an_iteration_ends_when_nothing_comes_and_goes_on_later(
    connected: Connected, timeout: float | str
) -> None:
    channel = connected.channel()
    with channel.listen(timeout=timeout) as listener:
        assert list(listener) == []
        channel.publish("late")
        assert until(lambda: list(listener)) == ["late"]
        assert list(listener) == []


def test_a_listener_that_is_closed_ends(connected: Connected) -> None:
    channel = connected.channel()
    listener = channel.listen()
    channel.publish("hello")
    listener.close()
    listener.close()
    assert list(listener) == []
    until(lambda: channel.publish("nobody hears it") == 0)


def test_whoever_waits_is_ended_by_another(connected: Connected) -> None:
    channel = connected.channel()
    listener = channel.listen()

    def work(number: int) -> Any:
        if number == 0:
            return list(listener)
        channel.publish("hello")
        until(lambda: listener.source == "news")
        return listener.close()

    assert in_threads(2, work) == [["hello"], None]


def test_a_pattern_hears_all_channels_that_fit(connected: Connected) -> None:
    every = connected.channel("news.*")
    with every.listen(pattern=True) as listener:
        connected.channel("weather").publish("not this one")
        heard = {}
        for name, text in (("news.sport", "goal"), ("news.", "empty"), ("news.a.b", "both")):
            assert connected.channel(name).publish(text) == 1
            heard[text] = next(listener), listener.source
        assert heard == {
            "goal": ("goal", "news.sport"),
            "empty": ("empty", "news."),
            "both": ("both", "news.a.b"),
        }
    with connected.channel("news.?").listen(pattern=True, timeout=QUIET) as listener:
        connected.channel("news.ab").publish("two")
        connected.channel("news.a").publish("one")
        assert list(listener) == ["one"]


def test_a_name_without_wild_parts_is_a_pattern_for_itself(connected: Connected) -> None:
    channel = connected.channel()
    with channel.listen(pattern=True) as listener:
        assert channel.publish("hello") == 1
        assert (next(listener), listener.source) == ("hello", "news")


def test_a_name_is_nothing_but_a_name(connected: Connected) -> None:
    with connected.channel("a.c").listen(timeout=QUIET) as listener:
        connected.channel("abc").publish("another channel")
        assert list(listener) == []
    assert connected.channel("a.c").name == "a.c"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (b"news", TypeError, "expected text"),
        (None, TypeError, "expected text"),
        ("", ValueError, "expected 1 to 100 of a to z"),
        ("a b", ValueError, "expected 1 to 100"),
        ("[ab]", ValueError, "expected 1 to 100"),
        ("n" * 101, ValueError, "expected 1 to 100"),
    ],
)
@pytest.mark.parametrize("face", [Channel, AsyncChannel])
def test_a_name_that_cannot_be_is_refused(
    face: Any, name: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        face(redis.Redis(), name)


@pytest.mark.parametrize("said", [b"bytes", 7, None, {"a": 1}])
def test_what_is_no_text_is_refused(connected: Connected, said: Any) -> None:
    with pytest.raises(TypeError, match=r"write it as text first, such as json\.dumps"):
        connected.channel().publish(said)


def test_other_refusals_say_what_to_do(connected: Connected) -> None:
    with pytest.raises(ValueError, match="UTF-8 cannot write"):
        connected.channel().publish("\ud800")
    with pytest.raises(ValueError, match="publish on one of them"):
        connected.channel("news.*").publish("hello")
    with pytest.raises(ValueError, match=r"listen\(pattern=True\) hears them all"):
        connected.channel("news.*").listen()
    with pytest.raises(ValueError, match="not a duration"):
        connected.channel().listen(timeout="soon")


def test_what_is_published_while_it_is_cut_off_is_lost(connected: Connected) -> None:
    if connected.fake:
        pytest.skip("fakeredis has no connections that could be cut")
    channel = connected.channel()
    with channel.listen(timeout="30s") as listener:
        channel.publish("before")
        assert next(listener) == "before"
        connected.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        assert channel.publish("meanwhile") == 0

        def work(number: int) -> Any:
            if number == 0:
                return next(listener)
            return until(lambda: channel.publish("after") == 1)

        assert in_threads(2, work) == ["after", True]
        assert listener.reconnects == 1


@pytest.mark.skipif(find_server() is None, reason="there is no Redis or Valkey to start")
def test_a_server_that_is_gone_is_reported() -> None:
    async def listen(url: str, gone: LocalServer) -> None:
        client = await connect_async(url)
        async with client:
            gone.close()
            with pytest.raises(redis.ConnectionError):
                await AsyncChannel(client, "news").listen().start()
            with pytest.raises(redis.ConnectionError):
                await anext(AsyncChannel(client, "news").listen())

    with LocalServer() as server, connect(server.url) as client:
        asyncio.run(listen(server.url, server))
        with pytest.raises(redis.ConnectionError):
            Channel(client, "news").listen()


async def _begin(listener: AsyncSubscription) -> None:
    await listener.start()


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_server_that_does_not_confirm_is_reported(
    face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        closed = False
        connection = None

        def pubsub(self) -> Any:
            return self

        def subscribe(self, _: str) -> Any:
            return contextlib.nullcontext() if face == "sync" else asyncio.sleep(0)

        def get_message(self, timeout: float) -> Any:
            return None if face == "sync" else asyncio.sleep(0)

        def close(self) -> None:
            self.closed = True

        async def aclose(self) -> None:
            self.closed = True

    def listen() -> None:
        if face == "sync":
            Channel(silent, "news").listen()
        else:
            asyncio.run(_begin(AsyncChannel(silent, "news").listen()))

    silent = Silent()
    monkeypatch.setattr(plain, "CONFIRMED_WITHIN", 1.0)
    with pytest.raises(redis.TimeoutError, match=r"within 1 seconds; see whether"):
        listen()
    assert silent.closed


def test_an_async_listener_begins_with_its_first_step(bench: Bench) -> None:
    async def main() -> None:
        client = await connect_async(bench.url)
        async with client:
            channel = AsyncChannel(client, "news")
            listener = channel.listen()
            first = asyncio.ensure_future(anext(listener))
            while await channel.publish("hello") == 0:
                await asyncio.sleep(0)
            assert await first == "hello"
            await listener.close()
            never = channel.listen()
            await never.close()
            assert [text async for text in never] == []

    asyncio.run(main())


def test_the_time_without_a_text_counts_from_the_last_one() -> None:
    class Scripted:
        def __init__(self) -> None:
            self.said: list[str] = []
            self.waits = 0

        def pubsub(self) -> Any:
            return self

        def subscribe(self, _: str) -> None:
            self.said.append("subscribe")

        def get_message(self, timeout: float) -> Any:
            self.waits += 1
            kind = self.said.pop(0) if self.said else None
            return kind and {"type": kind, "channel": "chat:{news}:plain", "data": "text"}

        def close(self) -> None:
            pass

    hub = Scripted()
    with Channel(hub, "news").listen(timeout=3 * plain.SLICE) as listener:
        for said, waits in (([], 3), ([], 3), (["message", "message"], 5)):
            hub.said, hub.waits = said, 0
            assert list(listener) == ["text"] * (waits - 3)
            assert hub.waits == waits


@pytest.mark.skipif(find_server() is None, reason="there is no Redis or Valkey to start")
@pytest.mark.parametrize("protocol", [2, 3])
def test_with_each_protocol(protocol: int) -> None:
    with (
        LocalServer() as server,
        connect(server.url, protocol=protocol) as client,
        Channel(client, "news.*").listen(pattern=True) as listener,
    ):
        assert Channel(client, "news.a").publish("hello") == 1
        assert (next(listener), listener.source) == ("hello", "news.a")


def test_on_a_cluster(cluster_url: str) -> None:
    with connect(cluster_url) as client, Channel(client, "news").listen() as listener:

        def work(number: int) -> Any:
            if number == 0:
                return next(listener)
            return until(lambda: listener.source or Channel(client, "news").publish("hello"))

        assert in_threads(2, work)[0] == "hello"
