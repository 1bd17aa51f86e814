"""Rates: what went on between the last two reports of each process."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.cache.monitor.gathering import Gathered
from labkit.cache.monitor.reports import CacheReport, Function, Report
from labkit.cache.monitor.watching import Watch, shown
from tests.cache.monitor.test_gathering import Process, together


def report(process: str, uptime: float, at: float = 0.0, **counts: Any) -> Report:
    cache = CacheReport(functions={"f": Function(**counts)}, tiers=[])
    return Report(id=process, host="h", pid=1, uptime=uptime, at=at, caches={"c": cache})


def gathered(*reports: Report) -> Gathered:
    return Gathered("news", list(reports))


def test_rates_are_those_between_two_reports() -> None:
    watch = Watch()
    watch.add(gathered(report("a", 10, misses=100, loads=100)), 1)
    assert not watch.moments  # one report says nothing of how much goes on
    counts: dict[str, Any] = {
        "hits": {"memory": 60, "redis": 20},
        "misses": 110,
        "waits": 10,
        "loads": 110,
    }
    found = watch.add(gathered(report("a", 12, errors=4, writes=6, **counts)), 3)
    assert (found.reads, found.loads, found.waits, found.writes, found.errors) == (50, 5, 5, 3, 2)
    assert found.hits == {"memory": 30, "redis": 10}
    assert list(watch.moments) == [found]


def test_looking_more_often_than_it_reports_changes_nothing() -> None:
    watch = Watch()
    first, second = report("a", 1, misses=10), report("a", 3, misses=30)
    for each in (first, first, second):
        watch.add(gathered(each), 0)
    rates = {watch.add(gathered(second), at).reads for at in range(5)}
    assert rates == {10.0}


def test_processes_that_come_and_go_are_no_jumps() -> None:
    watch = Watch()
    a, b = report("a", 1, misses=10), report("b", 500, misses=1_000_000)
    watch.add(gathered(a), 0)
    a = report("a", 2, misses=20)
    assert watch.add(gathered(a), 1).reads == 10
    assert watch.add(gathered(a, b), 2).reads == 10
    assert watch.add(gathered(a, report("b", 501, misses=1_000_005)), 3).reads == 15
    assert watch.add(gathered(a), 4).reads == 10
    nobody = watch.add(gathered(), 5)
    assert (nobody.processes, nobody.reads) == (0, 0.0)
    assert watch.moments[-1] is nobody


def test_clocks_need_not_agree() -> None:
    watch = Watch()
    watch.add(gathered(report("a", 1, at=5_000_000, misses=1)), 0)
    assert watch.add(gathered(report("a", 2, at=-7, misses=3)), 1).reads == 2


def test_latencies_are_those_of_the_last_loads() -> None:
    process, watch = Process(None), Watch()
    for number in range(100):
        process.read(f"slow{number}", 1.0)
    watch.add(together(process), 0)
    for number in range(10):
        process.read(f"fast{number}", 0.01)
    found = watch.add(together(process), 1)
    assert found.load_seconds == pytest.approx((0.01, 0.01, 0.01), rel=0.05)
    process.read("fast1")  # a hit
    assert watch.add(together(process), 2).load_seconds is None


def test_only_so_many_moments_are_remembered() -> None:
    watch = Watch(3)
    for number in range(10):
        watch.add(gathered(report("a", number + 1, misses=number)), number)
    assert [moment.at for moment in watch.moments] == [7, 8, 9]


def test_what_is_shown_has_every_part() -> None:
    from labkit.cache.curves import Sampler

    process = Process(20, hot_keys=5, curves=Sampler())
    for number in range(40):
        process.read(str(number % 30), 0.01)
    found = shown(together(process, Process(20)))
    (cache,) = found["caches"]
    assert cache["tiers"][0] | {"bytes": 0} == {
        "name": "memory", "entries": 20, "most": 40, "evictions": 20, "away": 0, "failures": 0,
        "openings": 0, "owes": 0, "bytes": 0, "most_bytes": None,
    }  # fmt: skip
    (function,) = cache["functions"]
    assert function["name"] == "(direct)"
    assert function["reads"] == 40
    assert function["load_seconds"][1] == pytest.approx(0.01, rel=0.05)
    assert cache["curve"]["words"].startswith("With 40 entries instead of 20")
    assert {each["key"] for each in cache["hot"]} <= {str(number) for number in range(30)}
    assert len(found["processes"]) == 2
    assert found["unread"] == 0
