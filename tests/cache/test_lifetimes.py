"""Times to live by age, by change and by activity: bounded, monotone, and explained."""

from __future__ import annotations

import math
import random
import re
import statistics
import threading
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache import Cache, CacheAside, FunctionSource, MemoryTier, ReadThrough
from labkit.cache.hot import HotKeys
from labkit.cache.lifetimes import ByActivity, ByAge, ByChange, Lifetime
from labkit.clock import FakeClock
from tests.cache.crowd import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cache.conftest import Bed

seconds = st.floats(0.001, 1e7)
moments = st.floats(0, 1e9)


def at(value: Any) -> float:
    """When a value changed: it is that moment."""
    return float(value)


def bounds(a: float, b: float) -> dict[str, float]:
    return {"least": min(a, b), "most": max(a, b)}


# --- In a cache


class ByKey(Lifetime):
    """As many seconds as the key says."""

    def _explained(self, key: str, value: Any) -> Any:
        return self._bounded(float(key.rpartition(":")[2]), f"{key} has {value}")


def left_of(cache: Any, key: str) -> float | None:
    """Seconds that a value has left in memory, or in the store where there is no memory."""
    engine = getattr(cache, "target", cache)._engine
    if engine.memory is not None:
        entry = engine.memory.peek(key)
        return None if entry is None else float(entry.deadline - engine.memory.clock())
    return None


def test_a_lifetime_gets_the_key_wherever_a_value_is_made(bed: Bed) -> None:
    ttl = ByKey(1, 100)
    cache = bed.cache(ttl=ttl)
    plain = bed.cache(namespace=f"{bed.namespace}-2")
    cached = bed.cached(plain, lambda n: n, key="f:{n}", ttl=ttl)
    cache.set("a:10", 1)
    cache.set_many({"b:10": 1, "c:20": 2})
    cache.get_or_load("d:10", lambda: 1)
    cache.get_or_load_many(["e:10", "g:20"], lambda keys: dict.fromkeys(keys, 1))
    plain.set("h:10", 1, ttl=ttl)
    plain.get_or_load("i:10", lambda: 1, ttl=ttl)
    cached(10), cached(20)
    here, there = ["a:10", "b:10", "c:20", "d:10", "e:10", "g:20"], ["h:10", "i:10", "f:10", "f:20"]
    bed.advance(9)
    assert set(cache.get_many(here)) == set(here)
    assert set(plain.get_many(there)) == set(there)
    bed.advance(2)
    assert set(cache.get_many(here)) == {"c:20", "g:20"}
    assert set(plain.get_many(there)) == {"f:20"}
    bed.advance(10)
    assert cache.get_many(here) == plain.get_many(there) == {}


@pytest.mark.parametrize("kind", [ReadThrough, CacheAside])
def test_a_strategy_takes_a_lifetime(kind: Any) -> None:
    clock = FakeClock(0)
    cache = Cache([MemoryTier(clock=clock)])
    strategy = kind(cache, FunctionSource(lambda n: n), name="n", ttl=ByKey(1, 100))
    strategy.get(10)
    strategy.get_many([20, 30])
    assert [left_of(cache, f"n:{n}") for n in (10, 20, 30)] == [10, 20, 30]


def test_a_function_still_gets_the_value_alone() -> None:
    clock = FakeClock(0)
    cache = Cache([MemoryTier(clock=clock)], ttl=lambda value: value)
    cache.set("a", 7)
    assert left_of(cache, "a") == 7


def test_jitter_and_negative_ttl_apply_to_it() -> None:
    clock = FakeClock(0)
    ttl = ByAge(at, least=10, most=100, clock=clock)
    cache = Cache([MemoryTier(clock=clock)], ttl=ttl, jitter=0.5)
    for number in range(20):
        cache.set(str(number), 0)
        left = left_of(cache, str(number))
        assert left is not None
        assert 5 <= left <= 10
    never = Cache([MemoryTier(clock=clock)], ttl=ttl, negative_ttl=0)
    never.set("a", None)
    assert left_of(never, "a") is None
    same = Cache([MemoryTier(clock=clock)], ttl=ttl)
    same.set("a", None)
    assert left_of(same, "a") == 10


def test_sliding_wants_a_time() -> None:
    with pytest.raises(ValueError, match="sliding=True needs a ttl that is a time"):
        Cache(ttl=ByAge(at), sliding=True)


MAKERS: dict[str, Callable[..., Lifetime]] = {
    "age": lambda **how: ByAge(at, clock=lambda: 1e9, **how),
    "change": lambda **how: ByChange(at, clock=lambda: 1e9, **how),
    "activity": lambda **how: ByActivity(HotKeys(3), **how),
}


@pytest.mark.parametrize("maker", MAKERS)
@given(
    values=st.lists(st.one_of(st.none(), moments), min_size=1, max_size=10), a=seconds, b=seconds
)
def test_a_time_is_within_its_bounds_and_explained(
    maker: str, values: list[float | None], a: float, b: float
) -> None:
    ttl = MAKERS[maker](**bounds(a, b))
    for value in values:
        before = ttl.explain("k", value)
        assert before == ttl.explain("k", value)  # it notes nothing down
        assert ttl(value, "k") == before.seconds
        assert ttl.least <= before.seconds <= ttl.most
        assert re.fullmatch(r"[A-Z].*\d.*\.", before.why)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(("least", "most"), [(0, 10), (20, 10), ("0s", "1s")])
def test_bounds_are_checked(maker: str, least: Any, most: Any) -> None:
    with pytest.raises(ValueError, match=r"least is .* and most is .*; expected two times above 0"):
        MAKERS[maker](least=least, most=most)


# --- By age


def test_a_share_of_the_age_is_the_time() -> None:
    ttl = ByAge(at, least="10s", most="1h", clock=FakeClock(100_000))
    explained = {value: ttl.explain("k", value) for value in (99_000, 99_990, 0, 200_000)}
    assert {value: one.seconds for value, one in explained.items()} == {
        99_000: 100,
        99_990: 10,
        0: 3600,
        200_000: 10,
    }
    assert explained[99_000].why == "It changed 1,000 s ago; 0.1 of that is 100 s."
    assert explained[99_990].why == ("It changed 10 s ago; 0.1 of that is 1 s, but at least 10 s.")
    assert explained[0].why == (
        "It changed 100,000 s ago; 0.1 of that is 10,000 s, but at most 3,600 s."
    )
    assert ttl.explain("k", None).why == "There is no value; that lives 10 s."


@given(older=moments, newer=moments, share=st.floats(0.001, 10), a=seconds, b=seconds)
def test_what_is_older_lives_no_shorter(
    older: float, newer: float, share: float, a: float, b: float
) -> None:
    older, newer = sorted((older, newer))
    ttl = ByAge(at, share, clock=lambda: 1e9, **bounds(a, b))
    assert ttl(older) >= ttl(newer)
    more = ByAge(at, share * 2, clock=lambda: 1e9, **bounds(a, b))
    assert more(older) >= ttl(older)


@pytest.mark.parametrize("share", [0, -1, math.inf, math.nan])
def test_a_share_is_checked(share: float) -> None:
    with pytest.raises(ValueError, match="share is"):
        ByAge(at, share)


@pytest.mark.parametrize("moment", [math.nan, math.inf])
@pytest.mark.parametrize("kind", [ByAge, ByChange])
def test_a_moment_is_a_number(kind: Any, moment: float) -> None:
    with pytest.raises(ValueError, match="updated_at returned"):
        kind(lambda value: moment)("x", "k")


# --- By change


@given(risk=st.floats(0.001, 0.999), interval=st.floats(1, 1e6))
def test_the_chance_of_a_change_within_the_time_is_the_risk(risk: float, interval: float) -> None:
    clock = FakeClock(0)
    ttl = ByChange(at, risk, clock=clock, least=1e-9, most=1e12)
    for number in range(5):
        clock.set(number * interval)
        found = ttl(clock(), "k")
    assert 1 - math.exp(-found / interval) == pytest.approx(risk)


def test_of_values_that_change_at_random_so_many_change_in_their_time() -> None:
    """The rate is not told but seen, and each value is loaded when its time is over."""
    draw, clock = random.Random(7), FakeClock(0)
    mean, risk = 100.0, 0.2
    ttl = ByChange(at, risk, weight=0.05, clock=clock, least="1s", most="1d")
    changed, next_change = 0.0, draw.expovariate(1 / mean)
    outcomes = []
    for load in range(20_000):
        clock.advance(ttl(changed, "k"))
        outdated = next_change <= clock()
        while next_change <= clock():
            changed, next_change = next_change, next_change + draw.expovariate(1 / mean)
        if load > 1_000:
            outcomes.append(outdated)
    # What is counted as one change although it was several makes the times a little too long.
    assert risk * 0.8 < statistics.mean(outcomes) < risk * 1.6


@given(
    gaps=st.lists(st.floats(1, 1e5), min_size=2, max_size=8),
    factor=st.floats(1, 10),
    risks=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
)
def test_what_changes_more_seldom_lives_no_shorter(
    gaps: list[float], factor: float, risks: tuple[float, float]
) -> None:
    def after(gaps: list[float], risk: float) -> float:
        clock = FakeClock(0)
        ttl = ByChange(at, risk, clock=clock, least=1e-6, most=1e9)
        for gap in gaps:
            clock.advance(gap)
            found = ttl(clock(), "k")
        return found

    low, high = sorted(risks)
    assert after([gap * factor for gap in gaps], low) >= after(gaps, low) * (1 - 1e-9)
    assert after(gaps, high) >= after(gaps, low) * (1 - 1e-9)


def test_a_later_interval_weighs_more() -> None:
    clock = FakeClock(0)
    ttl = ByChange(at, 1 - 1 / math.e, weight=0.5, clock=clock, least=1e-6, most=1e9)
    found = []
    for gap in (0, 100, 100, 20, 20):
        clock.advance(gap)
        found.append(ttl(clock(), "k"))
    assert found[1:] == pytest.approx([100, 100, 60, 40])
    clock.advance(70)  # it has not changed for longer than that
    assert ttl(clock() - 70, "k") == pytest.approx(70)
    assert "has not changed for 70 s" in ttl.explain("k", clock() - 70).why
    assert ttl(0, "k") == pytest.approx(70)  # an older value that comes late changes nothing


def test_a_version_tells_how_many_changes_there_were() -> None:
    clock = FakeClock(0)

    def times(version: Any) -> float:
        ttl = ByChange(
            lambda value: value[0],
            1 - 1 / math.e,
            version=version,
            clock=clock,
            least=1e-6,
            most=1e9,
        )
        ttl((0.0, 1), "k")
        clock.set(100)
        return ttl((100.0, 6), "k")

    assert times(lambda value: value[1]) == pytest.approx(20)
    clock.set(0)
    assert times(None) == pytest.approx(100)


@given(numbers=st.integers(1, 6), gap=st.floats(1, 100), later=st.floats(1, 100))
def test_several_changes_of_a_version_are_as_that_many_seen_apart(
    numbers: int, gap: float, later: float
) -> None:
    clock = FakeClock(0)

    def make() -> ByChange:
        return ByChange(
            lambda value: value[0],
            version=lambda value: value[1],
            clock=clock,
            least=1e-9,
            most=1e12,
        )

    together, apart = make(), make()
    for ttl in (together, apart):
        ttl((0.0, 0), "k")
        ttl((gap, 1), "k")
    for number in range(1, numbers + 1):
        apart((gap + number * later, 1 + number), "k")
    clock.set(gap + numbers * later)
    value = (clock(), 1 + numbers)
    assert together(value, "k") == pytest.approx(apart(value, "k"))


def test_keys_are_remembered_apart_and_so_many_of_them() -> None:
    clock = FakeClock(0)
    ttl = ByChange(at, 1 - 1 / math.e, clock=clock, least=1, most=1e9, keys=3)
    for key in ("a", "b", "c"):
        ttl(0, key)
    clock.set(100)
    ttl(100, "a")
    assert ttl.explain("a", 100).seconds == pytest.approx(100)
    assert ttl.explain("b", 100).seconds == pytest.approx(100)
    assert ttl.explain("z", 100).seconds == 1
    ttl(100, "d")  # b, whose value was made longest ago, is forgotten
    assert ttl.explain("b", 100).seconds == 1
    assert ttl.explain("a", 100).seconds == pytest.approx(100)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"risk": 0}, "risk is 0"),
        ({"risk": 1}, "risk is 1"),
        ({"weight": 0}, "weight is 0"),
        ({"weight": 1.5}, "weight is 1.5"),
        ({"keys": 0}, "keys is 0"),
    ],
)
def test_options_of_changes_are_checked(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ByChange(at, **how)


# --- By activity


class Noting(ByActivity):
    """Notes the times that it has given."""

    given: list[float]

    def __call__(self, value: Any, key: str = "") -> float:
        self.given.append(super().__call__(value, key))
        return self.given[-1]


def test_what_is_read_stays_longer_and_what_is_not_goes_sooner(bed: Bed) -> None:
    hot = HotKeys(10)
    ttl = Noting(hot, least=10, most=80, first=20)
    ttl.given = []
    cache = bed.cache(ttl=ttl, hot_keys=hot)
    for reads in (3, 3, 3, 3, 0, 0, 0, 0):
        bed.advance(1_000)
        cache.get_or_load("k", lambda: 1)
        for _ in range(reads):
            cache.get("k")
    assert ttl.given == [20, 40, 80, 80, 80, 40, 20, 10]
    assert cache.stats().hot[0].count == 20


@given(
    reads=st.lists(st.integers(0, 3), max_size=12),
    more=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    a=seconds,
    b=seconds,
)
def test_more_reads_make_no_shorter_times(
    reads: list[int], more: list[int], a: float, b: float
) -> None:
    def after(reads: list[int]) -> list[float]:
        hot = HotKeys(2)
        ttl = ByActivity(hot, least=min(a, b), most=max(a, b))
        found = []
        for number in reads:
            for _ in range(number):
                hot.count("k")
            found.append(ttl(1, "k"))
            assert ttl.least <= found[-1] <= ttl.most
        return found

    fewer = after(reads)
    for x, y in zip(fewer, after([r + m for r, m in zip(reads, more, strict=False)]), strict=True):
        assert x <= y * (1 + 1e-9)


def test_it_says_why() -> None:
    hot = HotKeys(2)
    ttl = ByActivity(hot, least=10, most=50, first="30s")
    assert ttl.explain("k", 1).why == "It is new, and begins with 30 s."
    ttl(1, "k")
    assert ttl.explain("k", 1).why == (
        "It was asked for 0 times since it was made last, and gets half the 30 s of that "
        "time: 15 s."
    )
    for _ in range(1_234):
        hot.count("k")
    assert ttl.explain("k", 1).why == (
        "It was asked for 1,234 times since it was made last, and gets twice the 30 s of that "
        "time: 60 s, but at most 50 s."
    )
    assert ttl.explain("k", 1).seconds == 50


def test_a_key_that_lost_its_counter_is_cold_until_it_is_read_again() -> None:
    hot = HotKeys(1)
    ttl = ByActivity(hot, least=10, most=1_000, first=100)
    for _ in range(5):
        hot.count("k")
    ttl(1, "k")
    hot.count("other")  # takes the counter
    assert ttl.explain("k", 1).seconds == 50
    for _ in range(3):
        hot.count("k")  # takes it back, with what was counted there as its error
    assert hot.seen("k") == 3
    assert ttl.explain("k", 1).seconds == 200


def test_a_first_time_is_checked() -> None:
    for first in (5, 200):
        with pytest.raises(ValueError, match=f"first is {first}; expected a time from least"):
            ByActivity(HotKeys(1), least=10, most=100, first=first)


def test_threads_may_make_values_at_the_same_time() -> None:
    hot = HotKeys(100)
    ttl = ByActivity(hot, least=1, most=64, keys=50)
    stop = threading.Event()

    def work(number: int) -> int:
        draw = random.Random(number)
        for _ in range(3_000):
            key = str(draw.randrange(100))
            hot.count(key)
            assert 1 <= ttl(1, key) <= 64
        stop.set()
        return number

    assert in_threads(4, work) == [0, 1, 2, 3]
    assert len(ttl._turns._known) <= 50
