"""The reports of several processes, put together: against what they have counted by themselves."""

from __future__ import annotations

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit import connect, connect_async
from labkit.cache import Cache, MemoryTier
from labkit.cache.backends.redis_reports import RedisReports
from labkit.cache.curves import Sampler, exact
from labkit.cache.errors import Unavailable
from labkit.cache.monitor import gather
from labkit.cache.monitor.gathering import Gathered, gathered
from labkit.cache.monitor.reports import Recorder, Report, write
from labkit.clock import FakeClock


class Process:
    """A process that reads; it is this one."""

    def __init__(self, maxsize: int | None = 50, **options: Any) -> None:
        self.clock = FakeClock(0.0)
        memory = MemoryTier(maxsize, clock=self.clock, policy="lru")
        self.cache = Cache([memory], namespace="news", **options)
        self.recorder = Recorder(self.cache, self.clock)

    def read(self, key: str, seconds: float = 0.0) -> None:
        def load() -> str:
            self.clock.advance(seconds)
            return key

        self.cache.get_or_load(key, load)

    def report(self) -> Report:
        self.clock.advance(1)
        return self.recorder.report()


def together(*processes: Process, name: str = "news") -> Gathered:
    return gathered(name, [write(process.report()) for process in processes])


@given(st.lists(st.lists(st.integers(0, 20), max_size=40), min_size=1, max_size=4))
def test_counts_add_up(reads: list[list[int]]) -> None:
    processes = [Process() for _ in reads]
    for process, keys in zip(processes, reads, strict=True):
        for key in keys:
            process.read(str(key))
    found = together(*processes)
    counts = [process.cache.stats().total for process in processes]
    for total in (found.total, found.caches["news"].total):
        assert total.hits == {"memory": sum(each.hits["memory"] for each in counts)}
        assert total.misses == sum(each.misses for each in counts)
        assert total.loads == sum(each.loads for each in counts)
    assert found.caches["news"].processes == len(reads)
    (memory,) = found.caches["news"].tiers
    assert memory.entries == sum(len(set(keys)) for keys in reads)
    assert memory.most == 50 * len(reads)


def test_percentiles_are_those_of_all_loads() -> None:
    fast, slow = Process(None), Process(None)
    for number in range(970):
        fast.read(str(number), 0.001)
    for number in range(30):
        slow.read(str(number), 2.0)
    p50, p95, p99 = together(fast, slow).load_seconds or (0, 0, 0)
    assert p50 == pytest.approx(0.001, rel=0.05)
    assert p95 == pytest.approx(0.001, rel=0.05)  # their mean would be a second
    assert p99 == pytest.approx(2.0, rel=0.05)


def test_hot_keys_add_up_and_the_hottest_come_first() -> None:
    one, other = Process(hot_keys=10), Process(hot_keys=10)
    for key, times in {"a": 5, "b": 3}.items():
        for _ in range(times):
            one.read(key)
    for key, times in {"b": 4, "c": 1}.items():
        for _ in range(times):
            other.read(key)
    hot = together(one, other).caches["news"].hot
    assert [(each.key, each.count - each.error) for each in hot] == [("b", 7), ("a", 5), ("c", 1)]


def test_the_curve_is_that_of_a_memory_of_that_size_in_each_process() -> None:
    rng = random.Random(1)
    requests = [[str(rng.randrange(30)) for _ in range(400)] for _ in range(2)]
    processes = [Process(20, curves=Sampler()) for _ in requests]
    for process, keys in zip(processes, requests, strict=True):
        for key in keys:
            process.read(key)
    merged = together(*processes).caches["news"]
    assert merged.size == 20
    assert merged.curve is not None
    for size in range(1, 35):
        apart = sum(exact(keys).at(size) * len(keys) for keys in requests)
        assert merged.curve.at(size) == pytest.approx(apart / 800)
    misses = sum(process.cache.stats().total.misses for process in processes)
    assert merged.curve.at(20) == pytest.approx(misses / 800)
    differing = together(Process(20, curves=Sampler()), Process(30, curves=Sampler()))
    assert differing.caches["news"].size is None


def test_there_is_no_curve_where_nobody_samples() -> None:
    assert together(Process()).caches["news"].curve is None


def test_reports_of_another_version_are_counted_and_not_read() -> None:
    found = gathered("news", [write(Process().report()), b'{"v":9}', b"garbage"])
    assert len(found.processes) == 1
    assert found.unread == 2


def test_it_says_what_it_has_in_words() -> None:
    assert str(gathered("news", [])) == "news: 0 processes, 0 reads, no hits, 0 loads"
    process = Process()
    process.read("a")
    process.read("a")
    assert str(together(process)) == "news: 1 process, 2 reads, 50.0 % hits, 1 load"


def test_those_that_have_reported_for_longest_come_first() -> None:
    old, new = Process(), Process()
    old.clock.advance(100)
    found = together(new, old)
    assert [report.id for report in found.processes] == [old.recorder.id, new.recorder.id]


def test_a_name_is_no_pattern_and_has_no_braces(fake: str) -> None:
    for name in ("", "a b", "{a}", "a*", "x" * 201):
        with pytest.raises(ValueError, match=r"name is .*; expected letters"):
            RedisReports(connect(fake), name)


def test_redis_that_does_not_answer_is_unavailable(fake: str) -> None:
    client = connect(fake)
    client.connection_pool.connection_kwargs["server"].connected = False
    with pytest.raises(Unavailable, match="Redis did not answer"):
        gather(client, "news")


async def put_and_gather(fake: str) -> Gathered:
    client = await connect_async(fake)
    await RedisReports(client, "news").put("one", write(Process().report()), 10)
    found: Gathered = await gather(client, "news")
    await client.aclose()
    return found


def test_a_client_of_asyncio_is_awaited(fake: str) -> None:
    import asyncio

    assert len(asyncio.run(put_and_gather(fake)).processes) == 1
