"""What a process reports: what its caches have counted, in few bytes, and nothing else."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from labkit.cache import Cache, FunctionSource, MemoryTier, ReadThrough
from labkit.cache.curves import Sampler
from labkit.cache.monitor import reports
from labkit.cache.monitor.gathering import merged
from labkit.cache.monitor.histogram import quantile
from labkit.cache.monitor.reports import OTHERS, Function, Recorder, read, summed, write
from labkit.cache.smart import SmartCache
from labkit.clock import FakeClock
from tests.cache.entities.press import Author

if TYPE_CHECKING:
    from tests.cache.conftest import Bed

FUNCTIONS = st.builds(
    Function,
    hits=st.dictionaries(st.sampled_from(["memory", "redis"]), st.integers(0, 1_000)),
    misses=st.integers(0, 1_000),
    waits=st.integers(0, 1_000),
    loads=st.integers(0, 1_000),
    load_times=st.dictionaries(st.integers(-100, 100), st.integers(1, 100).map(float)),
)


def test_a_report_tells_what_statistics_tell(bed: Bed) -> None:
    cache = bed.cache(staleness="1d")
    function = bed.cached(cache, lambda number: number, key="n:{number}", name="numbers")
    for number in (1, 2, 1, 1):
        function(number)
    cache.get("nothing")
    cache.invalidate(key="n:1")
    report = Recorder(getattr(cache, "target", cache)).report()
    assert list(report.caches) == [bed.namespace]
    (found,) = report.caches.values()
    counts = cache.stats()
    assert set(found.functions) == {"", "numbers"}
    for name, each in found.functions.items():
        for field in ("hits", "misses", "loads", "errors", "waits", "stale", "writes"):
            assert getattr(each, field) == getattr(counts.functions[name], field)
        assert each.saved == counts.functions[name].time_saved
        assert each.hit_ratio == counts.functions[name].hit_ratio
    assert found.invalidations == 1
    assert [tier.name for tier in found.tiers] == [tier.name for tier in counts.tiers]
    assert found.tiers[0].most == (10_000 if bed.has_memory else None)
    assert read(write(report)) == report


def test_a_smart_cache_reports_each_choice_of_tiers() -> None:
    smart = SmartCache([MemoryTier()])
    smart.entity(Author, FunctionSource(lambda id: Author(id, "Nora")))  # noqa: A006
    smart["Author"].get(1)
    (found,) = Recorder(smart).report().caches.items()
    assert found[0] == "memory"
    assert found[1].functions["Author"].loads == 1


def test_loads_are_counted_once_however_often_it_reports() -> None:
    clock = FakeClock(0.0)
    cache = Cache([MemoryTier(clock=clock)])

    def load(number: int, seconds: float) -> int:
        clock.advance(seconds)
        return number

    recorder = Recorder(cache)
    for number in range(10):
        cache.get_or_load(f"a{number}", functools.partial(load, number, 0.010))
        recorder.report()
    for number in range(90):
        cache.get_or_load(f"b{number}", functools.partial(load, number, 1.0))
    (found,) = recorder.report().caches.values()
    times = found.functions[""].load_times
    assert sum(times.values()) == 100
    assert quantile(times, 0.05) == pytest.approx(0.010, rel=0.05)
    assert quantile(times, 0.5) == pytest.approx(1.0, rel=0.05)
    assert found.functions[""].cost == pytest.approx(90.1)


def test_of_more_loads_than_are_kept_the_last_stand_for_all() -> None:
    cache = Cache()
    recorder = Recorder(cache)
    cache.get_or_load_many([str(n) for n in range(10)], lambda keys: dict.fromkeys(keys, 1))
    for number in range(3_000):
        cache.get_or_load(f"k{number}", lambda: 1)
    (found,) = recorder.report().caches.values()
    assert sum(found.functions[""].load_times.values()) == pytest.approx(found.functions[""].loads)


def test_a_report_stays_small_whatever_the_cache_holds() -> None:
    cache = Cache(hot_keys=1_000, curves=Sampler(1_000))
    for number in range(1_000):
        strategy = ReadThrough(cache, FunctionSource(lambda key: key), name=f"entity{number}")
        for key in range(3 if number == 500 else 1):
            strategy.get(key)
    report = Recorder(cache).report()
    (found,) = report.caches.values()
    assert len(found.functions) == 201
    assert "entity500" in found.functions
    assert found.functions[OTHERS].reads == 800
    assert report.total.reads == cache.stats().total.misses
    assert len(found.hot) == 20
    assert found.curve is not None
    assert len(found.curve.hits) <= 64
    assert len(write(report)) < 64_000


def test_values_are_not_in_a_report() -> None:
    cache = Cache(hot_keys=10)
    cache.set("key", "a secret value")
    cache.get("key")
    text = write(Recorder(cache).report())
    assert b"secret" not in text
    assert b'"key"' in text


@given(st.lists(FUNCTIONS, max_size=5), FUNCTIONS)
def test_counts_can_be_added_and_subtracted(some: list[Function], one: Function) -> None:
    total = summed(some)
    assert total.reads == sum(each.reads for each in some)
    back = total.plus(one).plus(one, -1)
    for field in Function.__struct_fields__:
        was, now = getattr(total, field), getattr(back, field)
        if isinstance(was, dict):
            was, now = ({k: v for k, v in each.items() if v} for each in (was, now))
        assert was == now


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b'{"v":1}', b'{"v":2,"id":7}', b"null"]))
def test_what_is_no_report_is_none(text: bytes) -> None:
    assert read(text) is None


def test_a_report_of_another_version_is_not_read() -> None:
    report: dict[str, Any] = msgspec.to_builtins(Recorder(Cache()).report())
    assert read(write(report)) is not None
    assert read(write(report | {"v": 2})) is None


@given(st.lists(st.integers(0, 300), max_size=400), st.integers(2, 40))
def test_a_thinner_curve_is_never_too_hopeful(keys: list[int], most: int) -> None:
    sampler = Sampler()
    cache = Cache(curves=sampler)
    for key in keys:
        cache.get(str(key))
    whole = sampler.curve()
    points, reports._POINTS = reports._POINTS, most
    try:
        (found,) = Recorder(cache).report().caches.values()
    finally:
        reports._POINTS = points
    thin = merged("c", [found]).curve
    assert thin is not None
    assert thin.requests == whole.requests
    for size in range(1, 310, 7):
        assert thin.at(size) >= whole.at(size) - 1e-9
    for size, _ in whole.points(most):
        assert thin.at(size) == pytest.approx(whole.at(size))
