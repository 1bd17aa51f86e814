"""Values that are given out when their time is over, and loaded anew in the background."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cache import MISSING, AsyncCache, Cache, MemoryTier
from labkit.cache.freshness import Freshness, State
from labkit.clock import FakeClock
from tests.cache.crowd import in_threads, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cache.conftest import Bed


class Database:
    """Answers a new number at each load, or fails."""

    def __init__(self) -> None:
        self.loads = 0
        self.failing = False

    def load(self) -> int:
        self.loads += 1
        if self.failing:
            raise ConnectionError("the database is down")
        return self.loads

    def load_many(self, keys: list[str]) -> dict[str, str]:
        number = self.load()
        return {key: f"{key}-{number}" for key in keys}


class Aged:
    """A cache whose background work waits until `finish`.

    (An async cache has tasks, which go on whenever its event loop runs.)
    """

    def __init__(self, bed: Bed, **options: Any) -> None:
        self.bed = bed
        self.jobs: list[Callable[[], object]] = []
        held = {} if bed.awaited else {"background": self.jobs.append}
        self.cache = bed.cache(ttl=100, **options, **held)
        self.db = Database()

    def read(self) -> Any:
        return self.cache.get_or_load("k", self.db.load)

    @property
    def stats(self) -> Any:
        return self.cache.stats().total

    def finish(self, renewals: int) -> None:
        """Let background work be done until so many values were loaded anew."""
        while self.jobs:
            self.jobs.pop(0)()
        if self.bed.awaited:
            self.bed.run(_others())
        assert self.stats.renewals == renewals


async def _others() -> None:
    """Wait for the tasks of this event loop that carry out operations."""
    while tasks := [t for t in asyncio.all_tasks() if t.get_coro().__name__ == "run_async"]:
        await asyncio.wait(tasks)


# --- Stale while revalidate


def test_a_stale_value_is_given_out_while_it_is_loaded_anew(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=50)
    assert [aged.read(), aged.read()] == [1, 1]
    bed.advance(120)
    assert aged.read() == 1
    aged.finish(1)
    assert [aged.read(), aged.db.loads] == [2, 2]
    assert (aged.stats.stale, aged.stats.misses, aged.stats.loads) == (1, 1, 2)
    low, _, high = aged.stats.stale_seconds
    assert 19 < low <= high < 30
    bed.advance(90)  # what was loaded anew has its whole time again
    assert [aged.read(), aged.stats.stale] == [2, 1]


def test_after_the_window_callers_wait_for_the_load(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=50)
    aged.read()
    bed.advance(160)
    assert aged.read() == 2
    assert (aged.stats.stale, aged.stats.renewals, aged.stats.misses) == (0, 0, 2)


def test_one_load_is_begun_however_many_ask(bed: Bed) -> None:
    if bed.awaited:
        pytest.skip("tasks go on whenever the event loop runs")
    aged = Aged(bed, stale_while_revalidate=50)
    aged.read()
    bed.advance(120)
    assert [aged.read() for _ in range(10)] == [1] * 10
    assert len(aged.jobs) == 1
    aged.finish(1)
    assert [aged.read(), aged.db.loads, aged.stats.stale] == [2, 2, 10]


def test_a_load_that_fails_in_the_background_is_counted_and_reaches_nobody(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=50, pause="1h")
    aged.read()
    aged.db.failing = True
    bed.advance(120)
    assert aged.read() == 1
    aged.finish(1)
    assert (aged.stats.errors, aged.stats.loads) == (1, 2)
    assert [aged.read(), aged.read()] == [1, 1]
    assert not aged.jobs
    assert aged.db.loads == 2  # its loader rests
    bed.advance(40)
    with pytest.raises(ConnectionError):
        aged.read()


def test_a_loader_that_failed_is_tried_again_after_the_pause(bed: Bed) -> None:
    if not bed.has_memory:
        pytest.skip("without a memory tier the pause goes by the machine's clock")
    aged = Aged(bed, stale_while_revalidate=50, pause=5)
    aged.read()
    aged.db.failing = True
    bed.advance(110)
    aged.read()
    aged.finish(1)
    aged.db.failing = False
    bed.advance(6)
    assert aged.read() == 1
    aged.finish(2)
    assert aged.read() == 3


def test_a_load_that_never_began_is_begun_again_after_its_lease() -> None:
    clock = FakeClock()
    dropped: list[Callable[[], object]] = []
    db = Database()
    cache = Cache(
        [MemoryTier(clock=clock)],
        ttl=100,
        stale_while_revalidate=500,
        lease=10,
        background=dropped.append,  # and nobody carries it out
    )
    cache.get_or_load("k", db.load)
    clock.advance(150)
    for seconds, begun in ((0, 1), (5, 1), (6, 2), (5, 2)):
        clock.advance(seconds)
        assert cache.get_or_load("k", db.load) == 1
        assert len(dropped) == begun


# --- Stale if error


def test_an_old_value_stands_in_where_the_load_fails(bed: Bed) -> None:
    aged = Aged(bed, stale_if_error=1000, pause="1h")
    aged.read()
    bed.advance(500)
    aged.db.failing = True
    assert [aged.read(), aged.read(), aged.read()] == [1, 1, 1]
    assert aged.db.loads == 2  # after the failure its loader rests
    assert (aged.stats.errors, aged.stats.stale, aged.stats.renewals) == (1, 3, 0)


def test_an_old_value_is_replaced_where_the_load_succeeds(bed: Bed) -> None:
    aged = Aged(bed, stale_if_error=1000)
    aged.read()
    bed.advance(500)
    assert [aged.read(), aged.read()] == [2, 2]
    assert aged.stats.stale == 0


def test_after_its_limit_an_error_reaches_the_caller(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=10, stale_if_error=1000)
    aged.read()
    aged.db.failing = True
    bed.advance(1050)
    assert aged.read() == 1
    bed.advance(60)
    with pytest.raises(ConnectionError):
        aged.read()
    aged.db.failing = False
    assert aged.read() == aged.db.loads


def test_an_error_that_is_remembered_is_an_answer_and_replaces_the_old_value(bed: Bed) -> None:
    aged = Aged(bed, stale_if_error=1000, errors={ConnectionError: 30})
    aged.read()
    bed.advance(500)
    aged.db.failing = True
    for _ in range(3):
        with pytest.raises(ConnectionError):
            aged.read()
    assert aged.db.loads == 2


def test_an_error_without_an_older_value_reaches_the_caller(bed: Bed) -> None:
    aged = Aged(bed, stale_if_error=1000)
    aged.db.failing = True
    with pytest.raises(ConnectionError):
        aged.read()


# --- Ahead, and early


def test_in_the_last_share_of_its_time_a_value_is_loaded_ahead(bed: Bed) -> None:
    aged = Aged(bed, refresh_ahead=0.2)
    aged.read()
    bed.advance(70)
    assert aged.read() == 1
    assert not aged.jobs
    bed.advance(20)
    assert aged.read() == 1
    aged.finish(1)
    assert [aged.read(), aged.stats.stale, aged.db.loads] == [2, 0, 2]
    bed.advance(70)
    assert [aged.read(), aged.stats.misses] == [2, 1]


def test_the_longer_a_load_took_the_earlier_it_is_done_again(bed: Bed) -> None:
    if not bed.has_memory:
        pytest.skip("without a memory tier loads are timed by the machine's clock")
    aged = Aged(bed, early=1e9)
    assert aged.cache.get_or_load("quick", lambda: 1) == 1
    assert aged.cache.get_or_load("quick", lambda: 2) == 1
    assert not aged.jobs

    def slow() -> int:
        bed.clock.advance(2)
        return aged.db.load()

    assert aged.cache.get_or_load("slow", slow) == 1
    assert aged.cache.get_or_load("slow", slow) == 1
    aged.finish(1)
    assert aged.db.loads == 2


@pytest.mark.parametrize(("beta", "took", "left"), [(1.0, 2.0, 1.0), (0.5, 2.0, 3.0), (2.0, 1, 4)])
def test_the_chance_of_an_early_load_is_that_of_xfetch(
    beta: float, took: float, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", random.Random(7).random)
    options = Cache(ttl=100, early=beta)._options
    value = Freshness(until=left, lifetime=100, window=0, load=took, written=0)
    states = [value.state(options, 0.0) for _ in range(20_000)]
    assert set(states) <= {State.FRESH, State.DUE}
    share = states.count(State.DUE) / len(states)
    assert share == pytest.approx(math.exp(-left / (took * beta)), abs=0.015)
    sure = value.surely_fresh_until(options)
    assert value.state(options, sure - 1e-6) is State.FRESH


# --- Who must not get what is stale


def test_what_has_no_loader_gives_out_nothing_stale(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=50, stale_if_error=50)
    cached = bed.cached(aged.cache, lambda: aged.db.load(), name="number")
    aged.read(), cached()
    assert (aged.cache.get("k"), cached.peek()) == (1, 2)
    bed.advance(120)
    assert (aged.cache.get("k"), cached.peek()) == (MISSING, MISSING)
    assert aged.cache.get_many(["k"]) == {}
    assert cached() == 2


def test_a_cache_without_a_window_does_not_read_what_another_one_keeps(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bed.has_store:
        pytest.skip("nothing is shared")
    Aged(bed, stale_while_revalidate=500).cache.set("k", "old")
    plain = bed.cache(ttl=100)
    assert plain.get("k") == "old"
    bed.advance(120)
    now = time.time() + 120  # by which a cache goes that does not ask for times to live
    monkeypatch.setattr("labkit.cache.products.time.time", lambda: now)
    assert plain.get("k") is MISSING
    assert plain.get_or_load("k", lambda: "new") == "new"
    other = bed.cache(ttl=100)
    assert other.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, "newer")) == {"k": "new"}


def test_a_value_that_another_cache_stored_without_an_age_is_fresh(bed: Bed) -> None:
    if not bed.has_store:
        pytest.skip("nothing is shared")
    bed.cache(ttl=100).set("k", "plain")
    aged = Aged(bed, stale_while_revalidate=500)
    bed.advance(50)
    assert aged.read() == "plain"
    bed.advance(60)
    assert aged.read() == 1


def test_what_was_invalidated_is_gone_and_not_stale(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=50, stale_if_error=1000)
    aged.cache.get_or_load("k", aged.db.load, tags=["t"])
    bed.advance(120)
    aged.cache.invalidate(tag="t")
    aged.db.failing = True
    with pytest.raises(ConnectionError):
        aged.read()


def test_a_background_load_that_is_overtaken_by_an_invalidation_is_not_kept(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=50)
    aged.read()
    bed.advance(120)
    cache = aged.cache.target if bed.awaited else aged.cache

    def load() -> int:
        cache.delete("k")
        return 99

    async def load_async() -> int:
        await cache.delete("k")
        return 99

    assert aged.cache.get_or_load("k", load_async if bed.awaited else load) == 1
    aged.finish(1)
    assert aged.cache.get("k") is MISSING
    assert aged.stats.refused == 1


def test_a_value_that_another_cache_renewed_is_not_loaded_again(bed: Bed) -> None:
    if not bed.has_store:
        pytest.skip("nothing is shared")
    aged = Aged(bed, stale_while_revalidate=50)
    other = Aged(bed, stale_while_revalidate=50)
    aged.read()
    assert other.read() == 1
    bed.advance(120)
    if bed.awaited:
        return  # its task may run before the other cache has renewed the value
    assert aged.read() == 1
    assert other.read() == 1
    other.finish(1)
    aged.jobs.pop()()
    assert (aged.db.loads, aged.stats.renewals) == (1, 0)
    assert aged.read() == 1 == other.db.loads


def test_nothing_is_remembered_for_longer_than_was_said(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=500, negative_ttl=20)
    assert aged.cache.get_or_load("none", lambda: None) is None
    bed.advance(30)
    assert aged.cache.get_or_load("none", lambda: "there by now") == "there by now"


# --- Several keys


def test_several_keys_of_all_ages_take_one_load_now_and_one_later(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=50)
    many = aged.cache.get_or_load_many
    many(["stale", "stale too"], aged.db.load_many)
    bed.advance(110)
    many(["fresh"], aged.db.load_many)
    found = many(["missing", "fresh", "stale", "stale too"], aged.db.load_many)
    assert found["stale"] == "stale-1"
    assert found["stale too"] == "stale too-1"
    assert found["fresh"] == "fresh-2"
    aged.finish(1)
    assert aged.db.loads == 4
    assert aged.stats.stale == 2
    again = many(["missing", "fresh", "stale", "stale too"], aged.db.load_many)
    assert {again["stale"], again["missing"]} <= {f"{k}-{n}" for k in again for n in (3, 4)}
    assert aged.db.loads == 4


def test_old_values_of_several_keys_stand_in_where_the_load_fails(bed: Bed) -> None:
    aged = Aged(bed, stale_if_error=1000, pause="1h")
    many = aged.cache.get_or_load_many
    many(["a", "b"], aged.db.load_many)
    bed.advance(500)
    aged.db.failing = True
    for _ in range(2):
        assert many(["a", "b"], aged.db.load_many) == {"a": "a-1", "b": "b-1"}
    assert aged.db.loads == 2
    with pytest.raises(ConnectionError):
        many(["a", "b", "never seen"], aged.db.load_many)


def test_old_values_of_several_keys_are_replaced_where_the_load_succeeds(bed: Bed) -> None:
    aged = Aged(bed, stale_if_error=1000)
    many = aged.cache.get_or_load_many
    many(["a", "b"], aged.db.load_many)
    bed.advance(500)
    for _ in range(2):
        assert many(["a", "b", "c"], aged.db.load_many) == {"a": "a-2", "b": "b-2", "c": "c-2"}


def test_a_time_to_live_that_is_a_function_gets_values_and_not_a_batch(bed: Bed) -> None:
    seen = []

    def lifetime(value: Any) -> int:
        seen.append(value)
        return 100

    bed.cache(ttl=lifetime).get_or_load_many(["a"], lambda keys: dict.fromkeys(keys, "value"))
    assert set(seen) == {"value"}


# --- Functions


def test_a_function_has_ages_of_its_own(bed: Bed) -> None:
    aged = Aged(bed)
    db = Database()
    cached = bed.cached(aged.cache, lambda: db.load(), name="f", ttl=100, stale_while_revalidate=50)
    for _ in range(3):
        assert cached() == 1
    bed.advance(120)
    for _ in range(3):
        assert cached() == 1
        if bed.awaited:
            break
    aged.finish(1)
    for _ in range(3):
        assert cached() == 2
    assert cached.stats().stale == aged.stats.stale >= 1


def test_a_change_of_what_is_given_out_changes_nobody_elses(bed: Bed) -> None:
    aged = Aged(bed, stale_while_revalidate=500, stale_if_error=500, pause="1h")
    aged.cache.get_or_load("k", lambda: [1])
    bed.advance(120)
    aged.db.failing = True
    aged.cache.get_or_load("k", aged.db.load).append("spoilt")
    assert aged.cache.get_or_load("k", aged.db.load) == [1]


# --- Many at once


READERS = 1000


@pytest.mark.parametrize("state", ["stale", "over"])
def test_a_thousand_readers_at_the_end_of_a_value_load_it_once(bed: Bed, state: str) -> None:
    options = {"stale_while_revalidate": 50} if state == "stale" else {"stale_if_error": 50}
    cache = bed.cache(ttl=100, **options)
    if bed.awaited:
        cache = cache.target
    db = Database()
    begun = threading.Event()

    def load() -> int:
        begun.set()
        return db.load()

    async def crowd() -> list[Any]:
        return await asyncio.gather(*[cache.get_or_load("k", load) for _ in range(READERS)])

    if bed.awaited:
        bed.run(cache.get_or_load("k", load))
        bed.advance(120)
        answers = bed.run(crowd())
    else:
        cache.get_or_load("k", load)
        bed.advance(120)
        crew = 100  # each asks ten times
        rounds = range(READERS // crew)
        ask = lambda _: [cache.get_or_load("k", load) for _ in rounds]  # noqa: E731
        answers = [answer for found in in_threads(crew, ask) for answer in found]
    assert len(answers) == READERS
    assert set(answers) <= ({1, 2} if state == "stale" else {2})
    spin = (lambda: bed.run(asyncio.sleep(0))) if bed.awaited else (lambda: None)
    until(lambda: [spin(), db.loads == 2][1])
    assert begun.is_set()
    answer = bed.run(cache.get_or_load("k", load)) if bed.awaited else cache.get_or_load("k", load)
    until(lambda: [spin(), cache.stats().total.loads == 2][1])
    assert answer in (1, 2)
    assert db.loads == 2


# --- Ends


def test_closing_leaves_no_thread_behind() -> None:
    clock = FakeClock()
    before = set(threading.enumerate())
    with Cache([MemoryTier(clock=clock)], ttl=100, stale_while_revalidate=50) as cache:
        cache.get_or_load("k", lambda: 1)
        clock.advance(120)
        assert cache.get_or_load("k", lambda: 2) == 1
        until(lambda: cache.get("k") == 2)
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before


def test_closing_an_async_cache_ends_its_tasks() -> None:
    clock = FakeClock()

    async def scenario() -> None:
        started = asyncio.Event()

        async def forever() -> int:
            started.set()
            await asyncio.Event().wait()
            return 2

        async with AsyncCache(
            [MemoryTier(clock=clock)], ttl=100, stale_while_revalidate=50
        ) as cache:
            await cache.get_or_load("k", lambda: 1)
            clock.advance(120)
            assert await cache.get_or_load("k", forever) == 1
            await started.wait()
            assert len(asyncio.all_tasks()) == 2
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())


def test_an_async_cache_takes_no_runner() -> None:
    with pytest.raises(TypeError, match="leave out background"):
        AsyncCache(background=lambda job: job())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"stale_while_revalidate": "soon"}, "not a duration: 'soon'"),
        ({"stale_if_error": -1}, "not a duration: -1"),
        ({"refresh_ahead": 1}, "refresh_ahead is 1; expected a share from 0 up to below 1"),
        ({"early": -0.5}, "early is -0.5; expected a number of 0 or more"),
        ({"ttl": 5, "sliding": True, "early": 1}, "leave out stale_while_revalidate"),
    ],
)
def test_ages_that_cannot_be_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cache(**how)


# --- Everything, in any order


@given(
    steps=st.lists(st.sampled_from(["read", "read", "wait", "fail", "heal", "job"]), max_size=60),
    revalidate=st.sampled_from([0, 30]),
    error=st.sampled_from([0, 80]),
)
def test_no_history_gives_out_more_than_was_allowed(
    steps: list[str], revalidate: int, error: int
) -> None:
    """Values say when they were made; the model says what each read may answer."""
    clock = FakeClock(1_000)
    jobs: list[Callable[[], object]] = []
    cache = Cache(
        [MemoryTier(clock=clock)],
        ttl=50,
        stale_while_revalidate=revalidate,
        stale_if_error=error,
        pause=5,
        background=jobs.append,
    )
    failing = False
    made: float | None = None

    def load() -> float:
        nonlocal made
        if failing:
            raise ConnectionError
        made = clock()
        return made

    for step in steps:
        if step == "wait":
            clock.advance(13)
        elif step in ("fail", "heal"):
            failing = step == "fail"
        elif step == "job" and jobs:
            jobs.pop(0)()
        elif step == "read":
            before = made
            age = math.inf if before is None else clock() - before
            try:
                value = cache.get_or_load("k", load)
            except ConnectionError:
                assert failing
                assert age >= 50 + max(revalidate, error)
            else:
                if age < 50 + revalidate:
                    assert value == before == made  # nobody waits for a load
                elif failing:
                    assert value == before
                    assert age < 50 + error
                else:
                    # A loader that failed a moment ago rests.
                    assert value == clock() or (value == before and age < 50 + error)
    cache.close()
