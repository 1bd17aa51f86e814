"""Reporters: they come, say what they have, and go; and they never disturb anybody."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from labkit import CommandLog, connect, connect_async
from labkit.cache import AsyncCache, Cache
from labkit.cache.monitor import AsyncReporter, Reporter, gather
from labkit.cache.monitor.reports import Recorder
from labkit.cache.smart import AsyncSmartCache, SmartCache
from labkit.clock import fast_forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.course.bench import Bench

DEADLINE = 60.0


@pytest.fixture
def client(bench: Bench) -> Iterator[Any]:
    bench.reset()
    client = bench.client()
    yield client
    client.close()


def until(true: Any) -> None:
    """Wait until something is so, for a minute at most."""
    deadline = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.005)


def test_what_a_process_reports_is_there_until_it_closes(client: Any) -> None:
    cache = Cache(namespace="news")
    reporter = Reporter(cache, client, every="1h")
    until(lambda: reporter.published)
    cache.get_or_load("a", lambda: 1)
    cache.get("a")
    assert gather(client, "news").total.reads == 0
    assert reporter.publish()
    (found,) = gather(client, "news").processes
    assert found.id == reporter.id
    assert found.pid == os.getpid()
    assert found.total.reads == 2
    thread = reporter._thread
    reporter.close()
    reporter.close()
    assert not thread.is_alive()
    assert gather(client, "news").processes == []
    assert not reporter.publish()
    assert client.keys("labkit:reports:*") == []


def test_a_process_that_died_is_gone_by_itself(client: Any) -> None:
    with Reporter(Cache(), client, name="news", every="10s") as alive:
        until(lambda: alive.published)
        reports, recorder = alive._reports, Recorder(Cache())
        dead = recorder.report()
        reports.put(dead.id, b'{"v":9}', 30)
        assert gather(client, "news").unread == 1
        fast_forward(client, 31)
        assert gather(client, "news").unread == 0
        assert alive.publish()
        assert len(gather(client, "news").processes) == 1


def test_names_are_apart(client: Any) -> None:
    with (
        Reporter(Cache(), client, name="a", every="1h") as one,
        Reporter(Cache(), client, name="a:b", every="1h") as other,
    ):
        until(lambda: one.published and other.published)
        assert [each.id for each in gather(client, "a").processes] == [one.id]
        assert [each.id for each in gather(client, "a:b").processes] == [other.id]


def test_every_report_has_an_end_and_there_is_no_scan(client: Any) -> None:
    with Reporter(Cache(), client, name="n", every="10s") as reporter:
        until(lambda: reporter.published)
        with CommandLog(client) as log:
            assert reporter.publish()
            gather(client, "n")
        names = [command.name for command in log.commands]
        assert names == ["SET", "ZADD", "ZREMRANGEBYSCORE", "EXPIRE", "ZRANGE", "MGET"]
        assert log.round_trips == 3
        for key in client.keys("labkit:reports:*"):
            assert client.pttl(key) > 0


def test_a_hit_sends_nothing_and_is_counted_by_nobody_else(client: Any) -> None:
    cache = Cache(namespace="news")
    cache.set("a", 1)
    with Reporter(cache, client, every="1h") as reporter:
        until(lambda: reporter.published)
        assert cache._engine.counting is None
        with CommandLog(client) as log:
            for _ in range(100):
                cache.get("a")
        assert log.commands == []


@pytest.mark.parametrize("every", ["20ms", 0.01])
def test_it_reports_by_itself(client: Any, every: Any) -> None:
    with Reporter(Cache(), client, name="n", every=every) as reporter:
        until(lambda: reporter.published > 3)


def test_redis_that_is_away_disturbs_nobody_and_comes_back(fake: str) -> None:
    client = connect(fake)
    server = client.connection_pool.connection_kwargs["server"]
    server.connected = False
    reporter = Reporter(Cache(), client, name="n", every="1h")
    until(lambda: reporter.failures)
    assert not reporter.publish()
    assert "did not answer" in str(reporter.error)
    server.connected = True
    assert reporter.publish()
    assert reporter.error is None
    server.connected = False
    reporter.close()


class Odd(Cache):
    """A cache whose statistics cannot be read."""

    def __init__(self) -> None:
        super().__init__(namespace="odd")
        self._engine.stats = self.fail  # type: ignore[method-assign]

    def fail(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


def test_a_mistake_of_its_own_is_not_raised_either(fake: str) -> None:
    with Reporter(Odd(), connect(fake), every="1h") as reporter:
        until(lambda: reporter.failures)
        assert not reporter.publish()
        assert isinstance(reporter.error, RuntimeError)


def test_threads_that_publish_and_close_at_once_leave_nothing(client: Any) -> None:
    reporter = Reporter(Cache(), client, name="n", every="1h")
    threads = [threading.Thread(target=reporter.publish) for _ in range(8)]
    closing = [threading.Thread(target=reporter.close) for _ in range(2)]
    for thread in (*threads, *closing):
        thread.start()
    for thread in (*threads, *closing):
        thread.join()
    assert gather(client, "n").processes == []


def test_what_makes_no_sense_is_refused(fake: str) -> None:
    client = connect(fake)
    with pytest.raises(ValueError, match="every is 0"):
        Reporter(Cache(), client, every=0)
    with pytest.raises(ValueError, match="name is 'a b'"):
        Reporter(Cache(), client, name="a b")
    with pytest.raises(TypeError, match="no client of redis-py"):
        Reporter(Cache(), object())


def test_each_kind_wants_its_client(fake: str) -> None:
    async def main() -> None:
        client = await connect_async(fake)
        with pytest.raises(TypeError, match="use an AsyncReporter"):
            Reporter(Cache(), client)
        with pytest.raises(TypeError, match="use a Reporter, which has a thread"):
            AsyncReporter(AsyncCache(), connect(fake))
        await client.aclose()

    asyncio.run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        AsyncReporter(AsyncCache(), connect(fake))


def test_a_task_reports_for_asyncio(bench: Bench) -> None:
    bench.reset()

    async def main() -> None:
        client = await connect_async(bench.url)
        async with AsyncSmartCache(namespace="smart") as smart:
            async with AsyncReporter(smart, client, every="1h") as reporter:
                await smart.cache.get_or_load("a", later)
                assert await reporter.publish()
                found = await gather(client, "smart")
                assert found.total.loads == 1
            assert (await gather(client, "smart")).processes == []
            assert not await reporter.publish()
            await reporter.close()
        await client.aclose()

    async def later() -> int:
        return 1

    asyncio.run(main())


def test_a_task_survives_redis_that_is_away(fake: str) -> None:
    async def main() -> None:
        client = await connect_async(fake)
        server = client.connection_pool.connection_kwargs["server"]
        server.connected = False
        reporter = AsyncReporter(AsyncCache(), client, name="n", every="1h")
        assert not await reporter.publish()
        assert "did not answer" in str(reporter.error)
        server.connected = True
        assert await reporter.publish()
        await reporter.close()
        await client.aclose()

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_reports_for_itself(client: Any, bench: Bench) -> None:
    if bench.url.startswith("fake"):
        pytest.skip("fakeredis is one process")
    smart = SmartCache(namespace="forked")
    smart.cache.get_or_load("before", lambda: 1)
    reporter = Reporter(smart, client, every="1h")
    until(lambda: reporter.published)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            smart.cache.get_or_load("after", lambda: 1)
            os.write(write, b"+" if reporter.publish() else b"-")
            threading.Event().wait(DEADLINE)  # until it is killed
        finally:
            os._exit(1)
    try:
        assert os.read(read, 1) == b"+"
        found = gather(client, "forked")
        loads = {report.pid: report.total.loads for report in found.processes}
        assert loads == {os.getpid(): 1, child: 1}
        assert len({report.id for report in found.processes}) == 2
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
        reporter.close()


def test_what_threads_read_meanwhile_is_all_there_in_the_end(client: Any) -> None:
    cache = Cache(namespace="busy", hot_keys=10)
    numbers = range(4)
    done = threading.Barrier(len(numbers) + 1)

    def read(thread: int) -> None:
        for number in range(500):
            cache.get_or_load(f"{thread}-{number % 50}", lambda: 1)
        done.wait(DEADLINE)

    threads = [threading.Thread(target=read, args=(number,)) for number in numbers]
    with Reporter(cache, client, every="5ms") as reporter:
        for thread in threads:
            thread.start()
        done.wait(DEADLINE)
        assert reporter.publish()
        found, counts = gather(client, "busy").total, cache.stats().total
        assert (found.hits, found.misses, found.loads) == (counts.hits, 200, 200)
        assert sum(found.load_times.values()) == pytest.approx(200)
        assert reporter.failures == 0
    for thread in threads:
        thread.join()
