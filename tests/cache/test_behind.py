"""Writing behind: what is acknowledged is read, waits, and reaches the source in order."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from labkit import CommandLog, LocalServer, connect
from labkit.cache import (
    MISSING,
    AsyncCache,
    Cache,
    Coalesced,
    FunctionSource,
    Limited,
    MemoryTier,
    Overloaded,
    QueueFull,
    RedisTier,
    Refused,
    Unavailable,
    Unserializable,
    Write,
    WriteBehind,
)
from labkit.cache.backends.base import Busy, Queued
from labkit.cache.behind import Applied, Backoff
from labkit.cache.known import KnownSet
from labkit.clock import fast_forward
from labkit.server import find_server
from tests.cache.conftest import WITH_REDIS, Awaited, Bed
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.cache.dict_store import DictTier
from tests.cache.ledger import ALL, Plain, Versioned
from tests.cache.mortal import Died, Mortal, Replaced, play_dead
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cache.conftest import Benches

needs_server = pytest.mark.skipif(find_server() is None, reason="there is no server to start")
OWNER = "*:q:*:owner"


@pytest.fixture(params=WITH_REDIS)
def bed(request: pytest.FixtureRequest, benches: Benches, awaited: bool) -> Iterator[Bed]:
    """Caches over Redis, with both faces."""
    yield Bed(request.param, benches, awaited=awaited)
    benches.close_caches()


@pytest.fixture
def made(bed: Bed, benches: Benches) -> Callable[..., Any]:
    """Makes a strategy over a cache of its own on the bed; an awaited one acts as if blocking."""

    def make(source: Any, **how: Any) -> Any:
        options = {"name": "draft", "type": str | None, "clock": bed.clock} | how
        cache = bed.cache()
        if bed.awaited:
            return Awaited(WriteBehind(cache.target, source, **options), benches.runner)
        return WriteBehind(cache, source, **options)

    return make


@pytest.fixture(params=[Plain, Versioned])
def source(request: pytest.FixtureRequest) -> Any:
    return request.param()


def owner_gone(bed: Bed) -> None:
    """The lease of whoever owns a partition runs out, and nothing else does."""
    fast_forward(bed.client, 3600, match=OWNER)


# --- What is acknowledged


def test_a_write_is_read_at_once_and_applied_later(made: Callable[..., Any], source: Any) -> None:
    drafts = made(source)
    assert drafts.get(1) is None
    first, second = drafts.save(1, "one"), drafts.save(2, "two")
    assert 0 < first < second < 2**63
    assert [drafts.get(1), drafts.get(2)] == ["one", "two"]
    assert drafts.get_many([1, 2, 3]) == {1: "one", 2: "two"}
    assert source.rows == {}
    assert drafts.apply_some() == Applied(applied=2)
    assert source.rows == {1: "one", 2: "two"}
    assert not drafts.apply_some()
    assert drafts.delete(1) > second
    assert drafts.get(1) is None
    assert source.rows == {1: "one", 2: "two"}
    assert drafts.drain()
    assert source.rows == {2: "two"}
    assert source.told == [(1, "one"), (2, "two"), (1, None)]


def test_a_write_costs_one_trip(made: Callable[..., Any], bed: Bed, source: Any) -> None:
    drafts = made(source, tags=lambda key: [f"author:{key}"])
    drafts.save(1, "one")  # makes sure that nothing is evicted, and sends the script in full
    with CommandLog(bed.tier.client) as log:
        drafts.save(1, "other")
        drafts.delete(2)
    assert log.round_trips == 2


def test_what_was_never_cached_or_was_dropped_is_read_from_the_queue(
    made: Callable[..., Any], bed: Bed, source: Any
) -> None:
    drafts = made(source, tags=lambda key: ["all"])
    cache = Awaited(drafts.target.cache, drafts._runner) if bed.awaited else drafts.cache
    source.rows = dict.fromkeys(range(6), "old")
    losses: list[Callable[[], Any]] = [
        lambda: cache.invalidate(tag="all"),
        lambda: cache.invalidate(prefix="draft:"),
        lambda: cache.clear(),
        lambda: drafts.invalidate(1),
        lambda: [bed.client.delete(f"{bed.namespace}:v:draft:{n}") for n in range(6)],
    ]
    for number, lose in enumerate(losses):
        drafts.save(1, f"new {number}")
        drafts.delete(2)
        lose()
        until(lambda: drafts.get(1) == f"new {number}")  # noqa: B023
        lose()
        until(lambda: drafts.get_many([1, 2]) == {1: f"new {number}"})  # noqa: B023
        assert drafts.get_many([0, 1, 2]) == {0: "old", 1: f"new {number}"}
        assert drafts.refresh(1) == f"new {number}"
        assert drafts.refresh(2) is None
    assert not {1, 2} & set(source.asked)


def test_what_does_not_exist_may_be_forgotten_at_once(made: Callable[..., Any], bed: Bed) -> None:
    source = Plain()
    drafts = made(source, negative_ttl=0)
    drafts.save(1, "one")
    drafts.drain()
    drafts.delete(1)
    assert not bed.client.exists(f"{bed.namespace}:v:draft:1")
    assert drafts.get(1) is None
    assert source.asked == []


@pytest.mark.parametrize("key", [1, "one", (1, "a"), ("x", (2, None))])
def test_a_key_of_any_kind_reaches_the_source_as_it_was(made: Callable[..., Any], key: Any) -> None:
    source = Versioned()
    drafts = made(source)
    drafts.save(key, "value")
    drafts.drain()
    assert source.rows == {key: "value"}
    assert [type(each) for each in source.rows] == [type(key)]


def test_what_cannot_be_stored_is_refused_before_anything_is_written(
    made: Callable[..., Any], bed: Bed
) -> None:
    drafts = made(Plain(), type=Any)
    with pytest.raises(Unserializable):
        drafts.save(1, object())
    with pytest.raises(ValueError, match=r"use delete\(\)"):
        drafts.save(1, None)
    assert drafts.state().depth == 0
    assert not bed.client.keys("*:q:*")


def test_a_load_that_a_write_overtakes_is_not_kept(made: Callable[..., Any], bed: Bed) -> None:
    source = Plain()
    source.rows[1] = "old"
    meanwhile = [lambda: writer.save(1, "new")]
    writer: Any = made(Plain())

    def load(key: int) -> Any:
        value = source.rows[key]
        if meanwhile:
            meanwhile.pop()()
        return value

    async def load_async(key: int) -> Any:
        value = source.rows[key]
        if meanwhile:
            meanwhile.pop()
            await writer.target.save(1, "new")
        return value

    drafts = made(FunctionSource(load_async if bed.awaited else load))
    assert drafts.get(1) == "old"
    assert drafts.get(1) == "new"


def test_a_memory_elsewhere_hears_of_a_write(made: Callable[..., Any], source: Any) -> None:
    here, there = made(source), made(source)
    here.save(1, "one")
    assert there.get(1) == "one"
    here.save(1, "two")
    until(lambda: there.get(1) == "two", "hearing of it")
    there.delete(1)
    until(lambda: here.get(1) is None, "hearing of it")


def test_a_memory_elsewhere_hears_of_a_deletion_of_which_nothing_is_kept(
    made: Callable[..., Any], source: Any
) -> None:
    here, there = made(source, negative_ttl=0), made(source)
    here.save(1, "one")
    assert there.get(1) == "one"
    here.delete(1)
    until(lambda: there.get(1) is None, "hearing of it")


def test_a_write_that_comes_later_than_was_waited_for_leaves_nothing_older(
    bed: Bed, benches: Benches
) -> None:
    """Whoever reads between the error and the write has put the older value into the memory."""
    if bed.awaited:
        pytest.skip("the queue is played")
    late: list[Callable[[], Any]] = []

    def losing(queue: Any) -> Any:
        push = queue.push

        def lost(write: Any, *arguments: Any) -> Any:
            if write.payload is None:
                late.append(lambda: push(write, *arguments))
                raise Unavailable("late")
            return push(write, *arguments)

        queue.push = lost
        return queue

    tier = RedisTier(bed.client, budget="5s", tracking=False)
    cache = bed.cache(tiers=[MemoryTier(clock=bed.clock), Replaced(tier, losing)], pause=0.001)
    drafts: Any = WriteBehind(cache, Plain(), name="draft")
    drafts.save(1, "one")
    with pytest.raises(Unavailable):
        drafts.delete(1)
    until(lambda: _answer(drafts, 1) == "one")
    late.pop()()
    until(lambda: drafts.get(1) is None, "hearing of it")


def test_a_tier_between_does_not_keep_what_was_overwritten(bed: Bed, benches: Benches) -> None:
    if bed.awaited:
        pytest.skip("the dictionary is a blocking one")
    between, source = DictTier(bed.clock), Versioned()
    cache = bed.cache(tiers=[MemoryTier(clock=bed.clock), between, bed.tier])
    drafts: Any = WriteBehind(cache, source, name="draft", attempts=1)
    for value in ("one", "two"):
        drafts.save(1, value)
        assert [drafts.get(1), drafts.get(1)] == [value, value]
    source.failing = {"poison": ValueError()}
    drafts.save(1, "poison")
    drafts.apply_some()
    assert drafts.get(1) == "two"


def test_a_key_that_was_saved_is_known(made: Callable[..., Any]) -> None:
    drafts = made(Plain(), known=KnownSet(["1"]))
    assert drafts.get(2) is None
    drafts.save(2, "two")
    assert drafts.get(2) == "two"
    assert drafts.turned_away == 1


def test_a_version_grows_where_the_servers_clock_goes_back(
    made: Callable[..., Any], bed: Bed
) -> None:
    source = Versioned()
    drafts = made(source)
    first = drafts.save(1, "one")
    stream, ahead = f"{bed.namespace}:q:draft", (first >> 20) + 10**9
    # The last one of its millisecond for which a version has room.
    last = bed.client.xadd(stream, {"key": "x", "name": b"\x01"}, id=f"{ahead}-{2**20 - 1}")
    bed.client.xdel(stream, last)
    second, third = drafts.save(1, "two"), drafts.save(1, "three")
    assert (second >> 20, third >> 20) == (ahead + 1, ahead + 1)
    assert first < second < third < 2**63
    assert drafts.get(1) == "three"
    drafts.drain()
    assert source.rows == {1: "three"}


def test_writes_are_counted(made: Callable[..., Any]) -> None:
    drafts = made(Plain(), depth=1, wait=0)
    drafts.save(1, "one")
    with pytest.raises(QueueFull):
        drafts.save(1, "two")
    assert (drafts.stats().writes, drafts.stats().write_failures) == (2, 1)


# --- What is applied


def test_of_many_writes_the_latest_of_each_key_is_applied(
    made: Callable[..., Any], source: Any
) -> None:
    drafts = made(source, batch=6)
    for number in range(4):
        drafts.save(1, f"a{number}")
        drafts.save(2, f"b{number}")
    assert drafts.apply_some() == Applied(applied=6, coalesced=4)
    assert source.told == [(1, "a2"), (2, "b2")]
    assert drafts.get_many([1, 2]) == {1: "a3", 2: "b3"}
    assert drafts.apply_some() == Applied(applied=2)
    state = drafts.state()
    assert (state.depth, state.done) == (0, Applied(applied=8, coalesced=4))
    assert source.rows == {1: "a3", 2: "b3"}


def test_a_source_that_can_gets_a_batch_with_versions(made: Callable[..., Any]) -> None:
    source = Versioned()
    drafts = made(source)
    versions = [drafts.save(1, "one"), drafts.save(2, "two"), drafts.delete(3)]
    drafts.apply_some()
    (batch,) = source.batches
    values = ["one", "two", None]
    assert batch == [Write(*each) for each in zip([1, 2, 3], values, versions, strict=True)]


@pytest.mark.parametrize("around", [Limited, Coalesced])
def test_a_source_around_another_one_applies_what_that_can(
    made: Callable[..., Any], around: Any
) -> None:
    source = Versioned()
    drafts = made(around(source))
    drafts.save(1, "one")
    drafts.drain()
    assert len(source.batches) == 1
    assert not hasattr(around(Plain()), "apply")


def test_a_source_of_functions_may_apply(made: Callable[..., Any], bed: Bed) -> None:
    batches: list[list[Write[int, str]]] = []

    async def apply(writes: list[Write[int, str]]) -> None:
        await asyncio.sleep(0)
        batches.append(writes)

    load: Any = {}.get
    drafts = made(FunctionSource(load, apply=apply if bed.awaited else batches.append))
    drafts.save(1, "one")
    assert drafts.drain()
    assert [write.value for (write,) in batches] == ["one"]


@pytest.mark.parametrize("apply", [True, False])
def test_what_nobody_would_wait_for_is_not_taken_for_applied(
    made: Callable[..., Any], apply: bool
) -> None:
    """A source that loads with plain functions, and writes with others."""

    class Mixed(Plain):
        async def save(self, *_: Any) -> None:  # type: ignore[override]
            raise AssertionError

    async def apply_later(_: Any) -> None:
        raise AssertionError

    source: Any = Mixed()
    if apply:
        source.apply = apply_later
    drafts = made(source, attempts=1)
    drafts.save(1, "one")
    assert drafts.apply_some() == Applied(aside=1)
    assert "is a coroutine function; use an AsyncCache" in drafts.aside()[0].reason


def test_one_worker_at_a_time_owns_what_waits(
    made: Callable[..., Any], bed: Bed, source: Any
) -> None:
    one, other = made(source, batch=1), made(source)
    one.save(1, "one")
    one.save(2, "two")
    assert one.apply_some() == Applied(applied=1)
    assert not other.apply_some()
    assert one.apply_some() == Applied(applied=1)
    one.save(3, "three")
    assert not other.apply_some()
    owner_gone(bed)
    assert other.apply_some() == Applied(applied=1)
    one.save(4, "four")
    assert not one.apply_some()
    assert other.drain()
    one.save(5, "five")
    assert one.apply_some() == Applied(applied=1)  # what is drained is given back
    assert source.told == [(1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five")]


@pytest.mark.parametrize("late", ["apply", "remove"])
def test_a_worker_that_stood_still_changes_nothing(
    made: Callable[..., Any], bed: Bed, late: str
) -> None:
    """It comes back when another worker has applied what it holds, and more."""
    source, meanwhile = Versioned(), [True]
    other = made(source)

    class Still(Versioned):
        rows, applied, told = source.rows, source.applied, source.told

        def __init__(self) -> None:
            pass

        def apply(self, writes: Any) -> None:
            if late == "remove":
                source.apply(writes)
            if meanwhile:
                meanwhile.pop()
                if bed.awaited:
                    steps.append(writes)
                    raise _StandStill
                overtake()
            if late == "apply":
                source.apply(writes)

    def overtake() -> None:
        owner_gone(bed)
        other.save(1, "two")
        assert other.apply_some() == Applied(applied=2, coalesced=1)
        other.save(1, "three")

    class _StandStill(ConnectionError):
        pass

    steps: list[Any] = []
    one = made(Still())
    one.save(1, "one")
    assert not (done := one.apply_some()).applied
    if bed.awaited:  # an event loop cannot run a second worker within the first
        assert done == Applied(retried=1)
        overtake()
        source.apply(steps.pop())
    assert source.rows == {1: "two"}
    assert one.get(1) == "three"
    assert one.state().depth == 1
    assert other.drain()
    assert source.rows == {1: "three"}
    assert [value for _, value in source.told] == (
        ["one", "two", "three"] if late == "remove" else ["two", "three"]
    )


def test_who_owns_a_partition_no_longer_changes_nothing_there(bed: Bed) -> None:
    store = bed.store()
    queue = bed.store().target.queue("q", 10) if bed.awaited else store.queue("q", 10)
    ask = Awaited(queue, store._runner) if bed.awaited else queue
    write = Queued("k", b"\x01", 0, b"value")
    versions = [ask.push(write, b"value", None, ()) for _ in range(2)]
    held = ask.take(0, b"one", 60, 10)
    assert [each.version for each in held] == versions
    assert isinstance(ask.take(0, b"other", 60, 10), Busy)
    owner_gone(bed)
    assert ask.take(0, b"other", 60, 1) == held[:1]
    assert ask.done(0, b"one", held) is None
    assert not ask.put_aside(0, b"one", held[1], held[0], "late")
    ask.leave(0, b"one")
    assert isinstance(ask.take(0, b"one", 60, 10), Busy)
    assert ask.state().depth == 2
    assert ask.latest(["k", "other"]) == {"k": held[1]}
    ask.leave(0, b"other")
    assert ask.done(0, b"one", held) >= 0  # nobody else has come
    assert (ask.state().depth, ask.latest(["k"])) == (0, {})


def test_an_owner_whose_time_is_over_goes_no_further(made: Callable[..., Any], bed: Bed) -> None:
    class Slow(Plain):
        def save(self, key: Any, value: Any) -> None:
            super().save(key, value)
            bed.clock.advance(6)

    source = Slow()
    drafts = made(source, ownership="10s")
    for number in range(3):
        drafts.save(number, "value")
    assert drafts.apply_some() == Applied(applied=2)
    assert drafts.apply_some() == Applied(applied=1)


# --- A source that is away


@pytest.mark.parametrize("error", [ConnectionError("gone"), TimeoutError(), Overloaded()])
def test_while_the_source_is_away_everything_waits_longer_and_longer(
    made: Callable[..., Any], bed: Bed, source: Any, error: Exception
) -> None:
    drafts = made(source, backoff=Backoff(1, 8), attempts=2)
    source.failing = {ALL: error}
    drafts.save(1, "one")
    drafts.save(2, "two")
    for wait in (1, 2, 4, 8, 8, 8):
        assert drafts.apply_some() == Applied(retried=1)
        bed.clock.advance(wait / 2 - 0.001)
        assert not drafts.apply_some()
        bed.clock.advance(wait / 2 + 0.001)
    assert source.tried == 6  # it is not asked twice whether it is there
    drafts.save(1, "other")
    source.failing = {}
    assert drafts.apply_some() == Applied(applied=3, coalesced=1)
    assert source.told == [(2, "two"), (1, "other")]
    assert drafts.aside() == []
    source.failing = {ALL: error}
    drafts.save(1, "again")
    assert drafts.apply_some() == Applied(retried=1)
    bed.clock.advance(1)  # it begins anew
    assert drafts.apply_some() == Applied(retried=1)


def test_what_a_source_wrote_before_it_went_away_is_done(made: Callable[..., Any]) -> None:
    source = Plain()
    source.failing = {"three": ConnectionError("gone")}
    drafts = made(source)
    for number, value in enumerate(["one", "two", "three", "four"]):
        drafts.save(number, value)
    assert drafts.apply_some() == Applied(applied=2, retried=1)
    assert drafts.state().depth == 2
    assert source.rows == {0: "one", 1: "two"}


def test_what_counts_as_away_can_be_said(made: Callable[..., Any]) -> None:
    source = Versioned()
    source.failing = {ALL: LookupError()}
    drafts = made(source, retry_on=[LookupError], attempts=1)
    drafts.save(1, "one")
    assert drafts.apply_some() == Applied(retried=1)
    assert drafts.aside() == []


# --- A write that the source refuses


def test_a_write_that_is_refused_is_put_aside_while_others_go_on(
    made: Callable[..., Any], bed: Bed, source: Any
) -> None:
    drafts = made(source, attempts=3, backoff=Backoff(1, 8), batch=2)
    source.rows, source.failing = {1: "old"}, {"poison": ValueError("no such thing")}
    version = drafts.save(1, "poison")
    drafts.save(2, "two")
    assert drafts.apply_some() == Applied(applied=1, retried=1)
    for number in (3, 4, 5):
        drafts.save(number, "good")
    assert drafts.apply_some() == Applied(applied=2)  # what rests takes nobody's place
    assert drafts.apply_some() == Applied(applied=1)
    assert not drafts.apply_some()
    bed.clock.advance(1)
    assert drafts.apply_some() == Applied(retried=1)
    assert drafts.get(1) == "poison"
    bed.clock.advance(2)
    assert drafts.apply_some() == Applied(aside=1)
    assert drafts.get(1) == "old"
    assert source.rows == {1: "old", 2: "two", 3: "good", 4: "good", 5: "good"}
    (aside,) = drafts.aside()
    assert (aside.key, aside.value, aside.version) == (1, "poison", version)
    assert (aside.reason, aside.superseded) == ("ValueError: no such thing", False)
    assert abs(aside.at - version / 2**20 / 1000) < 60
    assert (drafts.state().depth, drafts.state().aside) == (0, 1)


def test_a_later_write_takes_the_place_of_one_that_is_refused(
    made: Callable[..., Any], source: Any
) -> None:
    drafts = made(source, attempts=2)
    source.failing = {"poison": ValueError()}
    drafts.save(1, "poison")
    assert drafts.apply_some() == Applied(retried=1)
    drafts.save(1, "good")
    assert drafts.apply_some() == Applied(applied=2, coalesced=1)
    assert (source.rows, drafts.aside()) == ({1: "good"}, [])


def test_what_a_refused_write_had_covered_is_applied_itself(
    made: Callable[..., Any], source: Any
) -> None:
    drafts = made(source, attempts=1)
    source.failing = {"poison": ValueError()}
    drafts.save(1, "good")
    drafts.save(1, "poison")
    assert drafts.apply_some() == Applied(aside=1)
    assert drafts.get(1) == "good"
    assert source.asked == []
    assert drafts.apply_some() == Applied(applied=1)
    assert (drafts.get(1), source.rows) == ("good", {1: "good"})
    source.failing = {}
    assert drafts.again([each.id for each in drafts.aside()])
    assert drafts.drain()
    assert source.rows == {1: "poison"}


def test_a_write_that_waits_again_counts_as_new(
    made: Callable[..., Any], bed: Bed, source: Any
) -> None:
    drafts, elsewhere = made(source, attempts=1), made(source)
    source.rows, source.failing = {1: "old"}, {"poison": ValueError(), None: ValueError()}
    before = drafts.save(1, "poison")
    drafts.delete(2)
    assert drafts.apply_some() == Applied(aside=2)
    assert (drafts.get(1), elsewhere.get(1)) == ("old", "old")
    source.failing = {}
    ids = [each.id for each in drafts.aside()]
    assert drafts.again(ids) == ids
    assert drafts.again(ids) == []
    assert drafts.aside() == []
    assert drafts.get(1) == "poison"
    until(lambda: elsewhere.get(1) == "poison", "hearing of it")
    assert drafts.drain()
    assert source.rows == {1: "poison"}
    if isinstance(source, Versioned):
        assert source.applied[1] > before


@pytest.mark.parametrize("applied", [True, False])
def test_a_write_that_others_followed_is_not_put_back(
    made: Callable[..., Any], source: Any, applied: bool
) -> None:
    drafts = made(source, attempts=1)
    source.failing = {"poison": ValueError()}
    drafts.save(1, "poison")
    drafts.apply_some()
    drafts.save(1, "newer")
    if applied:
        drafts.drain()
    (aside,) = drafts.aside()
    assert aside.superseded
    assert drafts.again([aside.id]) == []
    assert drafts.get(1) == "newer"
    assert drafts.drain()
    assert source.rows == {1: "newer"}
    assert drafts.forget([aside.id]) == 1
    assert drafts.forget([aside.id]) == 0
    assert drafts.aside() == []


def test_an_id_that_is_none_is_refused(made: Callable[..., Any]) -> None:
    drafts = made(Plain())
    for wrong in ("1-0", "x/1-0", "0/1", "99/1-0"):
        with pytest.raises(ValueError, match=r"one of aside\(\)"):
            drafts.again([wrong])
        with pytest.raises(ValueError, match=r"one of aside\(\)"):
            drafts.forget([wrong])


def test_a_write_that_cannot_be_read_is_put_aside(made: Callable[..., Any], source: Any) -> None:
    writer, drafts = made(source, type=Any), made(source, type=int, attempts=1)
    writer.save(1, "no number")
    writer.save(2, 2)
    assert drafts.apply_some() == Applied(applied=1, aside=1)
    (aside,) = drafts.aside()
    assert aside.value is MISSING
    assert "made by something else" in aside.reason
    assert writer.aside()[0].value == "no number"
    assert source.rows == {2: 2}


# --- Room


@pytest.mark.parametrize("depth", [1, 3])
def test_a_write_without_room_is_not_carried_out(
    made: Callable[..., Any], source: Any, depth: int
) -> None:
    drafts = made(source, depth=depth, wait=0)
    for number in range(depth):
        drafts.save(number, "first")
    with pytest.raises(QueueFull, match=f"{depth} writes wait for 'draft'"):
        drafts.save(0, "second")
    with pytest.raises(QueueFull):
        drafts.delete(0)
    assert drafts.get(0) == "first"
    assert drafts.state().depth == depth
    drafts.drain()
    drafts.save(0, "third")
    drafts.drain()
    assert source.rows[0] == "third"


def test_writers_wait_for_room_and_get_it(bed: Bed) -> None:
    """The worker is held up until every writer has met the full queue."""
    if bed.awaited:
        pytest.skip("threads")
    writers, source = 4, Versioned()
    full = threading.Semaphore(0)

    def telling(queue: Any) -> Any:
        wait = queue.wait_for_room

        def told(*arguments: Any) -> Any:
            full.release()
            return wait(*arguments)

        queue.wait_for_room = told
        return queue

    cache = bed.cache(tiers=[Replaced(bed.tier, telling)])
    drafts: Any = WriteBehind(cache, source, name="draft", depth=2, wait=PATIENCE, batch=1)
    drafts.save(100, "x")
    drafts.save(101, "x")

    def act(number: int) -> Any:
        if number < writers:
            return drafts.save(number, "mine")
        for _ in range(writers):
            assert full.acquire(timeout=PATIENCE)
        assert drafts.state().depth == 2
        while len(source.rows) < writers + 2:
            drafts.apply_some()
            assert drafts.state().depth <= 2
        return None

    answers = in_threads(writers + 1, act)
    assert [type(each) for each in answers] == [int] * writers + [type(None)]
    assert set(source.rows) == {100, 101, *range(writers)}


# --- Workers in the background


def test_a_worker_applies_what_comes_and_ends_with_nothing_left(bed: Bed, source: Any) -> None:
    cache = bed.cache()
    if bed.awaited:
        drafts: Any = WriteBehind(cache.target, source, name="draft")

        async def act() -> None:
            async with drafts.worker():
                await drafts.save(1, "one")
                while 1 not in source.rows:
                    await asyncio.sleep(0)
                await drafts.save(2, "two")

        bed.run(act())
    else:
        drafts = WriteBehind(cache, source, name="draft")
        with drafts.worker():
            drafts.save(1, "one")
            until(lambda: 1 in source.rows, "its application")
            drafts.save(2, "two")
    assert source.rows == {1: "one", 2: "two"}
    assert not bed.client.keys(f"{bed.namespace}{OWNER[1:]}")


def test_a_worker_gives_up_draining_after_its_time(bed: Bed) -> None:
    source = Plain()
    source.failing = {ALL: ConnectionError()}
    cache = bed.cache()
    if bed.awaited:
        drafts: Any = WriteBehind(cache.target, source, name="draft")

        async def act() -> Any:
            async with drafts.worker(drain=0):
                await drafts.save(1, "one")
            assert not await drafts.drain(0)
            return await drafts.state()

        state = bed.run(act())
    else:
        drafts = WriteBehind(cache, source, name="draft")
        with drafts.worker(drain=0):
            drafts.save(1, "one")
        assert not drafts.drain(0)
        state = drafts.state()
    assert state.depth == 1


def test_the_block_of_a_worker_is_that_of_its_cache(bed: Bed) -> None:
    cache = bed.cache()
    drafts: Any = WriteBehind(cache.target if bed.awaited else cache, Plain(), name="draft")

    async def awaited() -> None:
        async with drafts.worker():
            pass

    def blocking() -> None:
        with drafts.worker():
            pass

    with pytest.raises(TypeError, match=r"by a (task; use `async with`|thread; use `with`)"):
        blocking() if bed.awaited else bed.run(awaited())


def test_a_process_of_its_own_works_until_it_is_told(made: Callable[..., Any]) -> None:
    source = Plain()
    drafts = made(source)
    drafts.save(1, "one")
    drafts.work(lambda: bool(source.rows))
    assert source.rows == {1: "one"}


# --- What is told


def test_the_state_says_what_waits_and_what_was_done(made: Callable[..., Any], source: Any) -> None:
    drafts = made(source, attempts=1)
    empty = drafts.state()
    assert (empty.depth, empty.age, empty.aside, empty.done, empty.lag) == (
        0,
        0,
        0,
        Applied(),
        None,
    )
    source.failing = {"poison": ValueError()}
    for value in ("a", "b"):
        drafts.save(1, value)
    drafts.save(2, "poison")
    state = drafts.state()
    assert state.depth == 3
    assert 0 <= state.age < PATIENCE
    drafts.apply_some()
    state = drafts.state()
    assert (state.depth, state.aside) == (0, 1)
    assert state.done == Applied(applied=2, coalesced=1, aside=1)
    assert 0 <= state.lag < PATIENCE
    measures = {each.name: each for each in drafts.collect()}
    values = {name: each.value for name, each in measures.items()}
    assert values | {"queue_lag_seconds": 0} == {
        "queue_depth": 0,
        "queue_age_seconds": 0,
        "queue_lag_seconds": 0,
        "queue_aside": 1,
        "queue_applied": 2,
        "queue_coalesced": 1,
        "queue_retried": 0,
        "queue_put_aside": 1,
    }
    assert {name for name, each in measures.items() if each.grows} == {
        *("queue_applied", "queue_coalesced", "queue_retried", "queue_put_aside")
    }


# --- What it needs


def test_a_cache_without_queues_is_refused(benches: Benches) -> None:
    for layout in ("memory", "dict", "memory+dict"):
        with pytest.raises(TypeError, match="give it a RedisTier as its last tier"):
            WriteBehind(Bed(layout, benches).cache(), Plain(), name="draft")


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"batch": 0}, {"batch": 5001}, {"attempts": 0}])
def test_numbers_that_make_no_sense_are_refused(bed: Bed, wrong: dict[str, Any]) -> None:
    cache = bed.cache()
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        WriteBehind(cache.target if bed.awaited else cache, Plain(), name="draft", **wrong)
    with pytest.raises(ValueError, match="ownership is"):
        WriteBehind(cache.target if bed.awaited else cache, Plain(), name="draft", ownership=0)


@needs_server
@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "noeviction"])
def test_a_server_that_may_evict_the_queue_is_refused(policy: str) -> None:
    config = {"maxmemory": "50mb", "maxmemory-policy": policy}
    with (
        LocalServer(config=config) as server,
        server.client() as client,
        Cache([RedisTier(client)]) as cache,
    ):
        drafts: Any = WriteBehind(cache, Versioned(), name="draft")
        if policy.startswith("allkeys"):
            with pytest.raises(Refused, match=f"maxmemory-policy {policy}"):
                drafts.save(1, "one")
            assert client.keys("*") == []
            client.config_set("maxmemory-policy", "noeviction")
        drafts.save(1, "one")
        assert drafts.drain()


@needs_server
def test_a_server_that_is_full_refuses_all_of_a_write() -> None:
    source = Versioned()
    source.failing = {"poison": ValueError()}
    with LocalServer() as server, server.client() as client, Cache([RedisTier(client)]) as cache:
        drafts: Any = WriteBehind(cache, source, name="draft", attempts=1)
        drafts.save(1, "one")
        drafts.save(2, "poison")
        client.config_set("maxmemory", 1)
        for _ in range(2):
            with pytest.raises(Refused, match="used memory"):
                drafts.save(1, "two")
        assert drafts.get(1) == "one"
        assert drafts.apply_some() == Applied(applied=1, aside=1)  # what is full can be emptied
        (aside,) = drafts.aside()
        with pytest.raises(Refused, match="used memory"):
            drafts.again([aside.id])
        assert drafts.aside() == [aside]
        client.config_set("maxmemory", 0)
        source.failing = {}
        assert drafts.again([aside.id]) == [aside.id]
        assert drafts.drain()
        assert source.rows == {1: "one", 2: "poison"}


@needs_server
def test_nothing_is_acknowledged_while_redis_is_away() -> None:
    source = Versioned()
    with LocalServer(persistence="aof") as server:
        tier = RedisTier(connect(server.url), budget="10s")
        with Cache([MemoryTier(), tier], pause=0.001) as cache:
            drafts: Any = WriteBehind(cache, source, name="draft")
            drafts.save(1, "one")
            assert drafts.get(1) == "one"
            server.kill()
            for act in (
                lambda: drafts.save(1, "two"),
                lambda: drafts.delete(1),
                drafts.apply_some,
                drafts.drain,
                drafts.state,
                lambda: drafts.get(1),  # the memory has forgotten it, and the source is behind
                lambda: drafts.get_many([1]),
            ):
                with pytest.raises(Unavailable):
                    act()
            server.start()
            assert until(functools.partial(_answer, drafts, 1)) == "one"
            assert source.asked == []
            assert drafts.drain()
            assert source.rows == {1: "one"}


@needs_server
def test_a_write_whose_answer_was_lost_is_read_where_it_was_carried_out() -> None:
    """The server stands still, and does later what nobody waits for any more."""
    with LocalServer() as server, server.client() as client:
        tier = RedisTier(connect(server.url), budget="50ms")
        with Cache([MemoryTier(), tier], pause=0.001, staleness="1h") as cache:
            drafts: Any = WriteBehind(cache, Versioned(), name="draft")
            drafts.save(1, "one")
            assert drafts.get(1) == "one"
            os.kill(server.pid, signal.SIGSTOP)
            with pytest.raises(Unavailable):
                drafts.save(1, "two")
            os.kill(server.pid, signal.SIGCONT)
            assert client.ping()
            until(lambda: _answer(drafts, 1) == "two", "its being carried out")


@pytest.mark.soak
@needs_server
@pytest.mark.parametrize("kind", [Plain, Versioned])
def test_readers_never_see_what_is_older_than_what_was_acknowledged(
    benches: Benches, kind: Any
) -> None:
    """One writes each key, all are read, values get lost, and two workers apply what waits."""
    keys, writes = 3, times(150)
    bed = Bed("memory+server", benches)
    source, near = kind(), bed.cache()
    far = Cache([bed.tier], namespace=bed.namespace)
    benches.close_later(far)
    drafts: list[Any] = [WriteBehind(each, source, name="d", batch=4) for each in (near, far)]
    begun, acknowledged, ended = [0] * keys, [0] * keys, threading.Event()

    def write(key: int) -> None:
        for number in range(1, writes):
            begun[key] = number
            drafts[0].save(key, number)
            acknowledged[key] = number

    def read(which: int, draw: random.Random) -> None:
        while not ended.is_set():
            wanted = draw.sample(range(keys), draw.randrange(1, keys + 1))
            least = [acknowledged[key] for key in wanted]
            if len(wanted) == 1:
                found = {wanted[0]: drafts[which].get(wanted[0])}
            else:
                found = drafts[which].get_many(wanted)
            most = [begun[key] for key in wanted]
            for key, low, high in zip(wanted, least, most, strict=True):
                assert low <= (found.get(key) or 0) <= high

    def lose(draw: random.Random) -> None:
        while not ended.is_set():
            key = draw.randrange(keys)
            [
                lambda: drafts[draw.randrange(2)].invalidate(key),  # noqa: B023
                lambda: bed.client.delete(f"{bed.namespace}:v:d:{key}"),  # noqa: B023
                lambda: drafts[draw.randrange(2)].refresh(key),  # noqa: B023
            ][draw.randrange(3)]()

    def act(number: int) -> None:
        draw = random.Random(f"{SEED} {number}")
        try:
            if number < keys:
                write(number)
            elif number < keys + 4:
                read(number % 2, draw)
            elif number < keys + 6:
                drafts[number % 2].work(ended.is_set)
            else:
                lose(draw)
        except BaseException:
            ended.set()
            raise
        finally:
            if number < keys and min(acknowledged) == writes - 1:
                ended.set()

    assert in_threads(keys + 7, act) == [None] * (keys + 7)
    assert drafts[0].drain()
    assert source.rows == dict.fromkeys(range(keys), writes - 1)
    for key in range(keys):  # the latest came last, and none twice out of order
        told = [value for k, value in source.told if k == key]
        assert told == sorted(told)


def _answer(drafts: Any, key: Any) -> Any:
    try:
        return drafts.get(key)
    except Unavailable:
        return None


# --- In a cluster


def test_each_bucket_of_a_cluster_is_a_partition(cluster_url: str, benches: Benches) -> None:
    source = Versioned()
    with connect(cluster_url) as client:
        client.flushall(target_nodes="primaries")
        with Cache([MemoryTier(), RedisTier(client)]) as cache:
            drafts: Any = WriteBehind(
                cache, source, name="draft", tags=lambda key: [f"even:{key % 2 == 0}"], attempts=1
            )
            for number in range(64):
                drafts.save(number, "first")
            for number in range(64):
                drafts.save(number, f"value {number}")
            cache.invalidate(tag="even:True")
            assert drafts.get_many(range(64)) == {n: f"value {n}" for n in range(64)}
            assert source.asked == []
            assert drafts.state().depth == 128
            assert drafts.apply_some() == Applied(applied=128, coalesced=64)
            source.failing = {"poison": ValueError()}
            with drafts.worker():
                for number in range(64):
                    drafts.save(number, "poison" if number % 8 == 0 else "last")
                until(lambda: list(source.rows.values()).count("last") == 56, "its application")
            aside = drafts.aside()
            assert sorted(each.key for each in aside) == list(range(0, 64, 8))
            assert drafts.get(8) == "value 8"
            source.failing = {}
            assert len(drafts.again([each.id for each in aside])) == 8
            assert drafts.drain()
            assert source.rows[8] == "poison"


def test_an_async_client_of_a_cluster_serves_as_well(cluster_url: str, benches: Benches) -> None:
    from labkit import connect_async

    source = Versioned()

    async def act() -> None:
        client = await connect_async(cluster_url)
        async with AsyncCache([RedisTier(client)], namespace="async") as cache:
            drafts: Any = WriteBehind(cache, source, name="draft")
            async with drafts.worker():
                for number in range(32):
                    await drafts.save(number, "value")
            assert source.rows == dict.fromkeys(range(32), "value")
        await client.aclose()

    benches.run(act())


# --- All of it, in any order

KEYS = st.integers(0, 3)
VALUES = st.sampled_from(["a", "b", "c", "poison"])
WHO = st.integers(0, 1)
WHEN = st.sampled_from(["before", "after"])


STEPS = ["take", "apply", "save", "delete", "done", "put_aside"]


class Behind(RuleBasedStateMachine):
    """Two processes write, read and apply, and die at any step; against a history of each key.

    What a key should be is told by what was written to it last, without what was put aside.
    """

    bed: Bed
    kind: Any

    def __init__(self) -> None:
        super().__init__()
        self.bed.client.flushall()
        self.inner = self.kind()
        self.inner.failing = {"poison": ValueError("poison")}
        self.source = Mortal(self.inner, play_dead)
        self.queues: list[Mortal] = []
        tiers = [MemoryTier(clock=self.bed.clock), Replaced(self.bed.tier, self.mortal)]
        self.caches = [self.bed.cache(tiers=tiers), self.bed.cache(tiers=[tiers[1]])]
        self.drafts = [self.made(0), self.made(1)]
        self.written: dict[int, list[tuple[int, Any]]] = {}
        self.known_aside: set[int] = set()
        self.wrote: dict[int, int] = {}  # who has written a key, while nothing else has happened

    def mortal(self, queue: Any) -> Mortal:
        self.queues.append(Mortal(queue, play_dead))
        return self.queues[-1]

    def made(self, who: int) -> Any:
        return WriteBehind(
            self.caches[who],
            self.source,
            name="d",
            type=str | None,
            batch=3,
            attempts=2,
            clock=self.bed.clock,
        )

    def dies(self, who: int, step: str, when: str, act: Callable[[], Any]) -> Mortal:
        """One process does something and dies at a step, if it comes there; another one begins."""
        mortal = self.source if step in ("apply", "save", "delete") else self.drafts[who]._queue
        mortal.arm(step, when)
        try:
            act()
        except Died:
            self.drafts[who] = self.made(who)
            owner_gone(self.bed)
        finally:
            mortal.disarm()
        return mortal

    def expected(self, key: int) -> Any:
        history = [v for n, v in self.written.get(key, []) if n not in self.known_aside]
        return history[-1] if history else None

    def read(self, who: int, key: int) -> None:
        if self.wrote.get(key) == who:
            assert self.drafts[who].get(key) == self.expected(key)
        else:  # it hears of it a moment later
            until(lambda: self.drafts[who].get(key) == self.expected(key))

    def note(self, who: int, key: int, version: int, value: Any) -> None:
        self.written.setdefault(key, [(0, None)]).append((version, value))
        self.wrote[key] = who

    def note_aside(self) -> None:
        self.known_aside |= {each.version for each in self.drafts[0].aside()}
        self.wrote.clear()

    @rule(who=WHO, key=KEYS, value=VALUES)
    def save(self, who: int, key: int, value: str) -> None:
        self.note(who, key, self.drafts[who].save(key, value), value)

    @rule(who=WHO, key=KEYS)
    def delete(self, who: int, key: int) -> None:
        self.note(who, key, self.drafts[who].delete(key), None)

    @rule(who=WHO, key=KEYS)
    def get(self, who: int, key: int) -> None:
        self.read(who, key)

    @rule(who=WHO, keys=st.lists(KEYS, max_size=4))
    def get_many(self, who: int, keys: list[int]) -> None:
        wanted = {k: v for k in keys if (v := self.expected(k)) is not None}
        until(lambda: self.drafts[who].get_many(keys) == wanted)

    @rule(key=KEYS, who=WHO)
    def drop(self, key: int, who: int) -> None:
        self.drafts[who].invalidate(key)

    @rule(key=KEYS)
    def evict(self, key: int) -> None:
        self.bed.client.delete(f"{self.bed.namespace}:v:d:{key}")

    @rule(who=WHO)
    def apply(self, who: int) -> None:
        self.drafts[who].apply_some()
        self.note_aside()

    @rule(who=WHO, step=st.sampled_from(STEPS), when=WHEN)
    def die_applying(self, who: int, step: str, when: str) -> None:
        self.dies(who, step, when, self.drafts[who].apply_some)
        self.note_aside()

    @rule(who=WHO, key=KEYS, value=VALUES, when=WHEN)
    def die_saving(self, who: int, key: int, value: str, when: str) -> None:
        drafts = self.drafts[who]
        queue = self.dies(who, "push", when, lambda: drafts.save(key, value))
        if when == "after":  # nobody heard so, and yet it was carried out
            self.note(who, key, queue.answer, value)

    @rule()
    def pass_time(self) -> None:
        self.bed.clock.advance(60)

    @rule()
    def die(self) -> None:
        owner_gone(self.bed)

    @rule(gone=st.booleans())
    def away(self, gone: bool) -> None:
        self.inner.failing.pop(ALL, None)
        if gone:
            self.inner.failing[ALL] = ConnectionError("away")

    @rule(which=WHO)
    def again(self, which: int) -> None:
        for each in self.drafts[which].aside():
            history = self.written[each.key]
            newest = history[-1][0] == each.version
            assert newest != each.superseded
            assert self.drafts[which].again([each.id]) == [each.id] * newest
            if newest:  # it has a new version, which nobody is told; what follows has a known one
                history[-1] = (-1, each.value)
                assert self.drafts[which].get(each.key) == each.value
                self.save(which, each.key, "a")

    @invariant()
    def a_source_is_never_ahead(self) -> None:
        for key, value in self.inner.rows.items():
            assert value in [written for _, written in self.written[key]]

    def teardown(self) -> None:
        self.inner.failing.pop(ALL, None)
        owner_gone(self.bed)
        for _ in range(100):
            self.bed.clock.advance(60)
            self.drafts[0].apply_some()
            if not self.drafts[0].state().depth:
                break
        self.note_aside()
        rows = {key: value for key in self.written if (value := self.expected(key)) is not None}
        assert self.inner.rows == rows
        for key in self.written:
            self.read(0, key)
            self.read(1, key)


@pytest.mark.soak
@pytest.mark.parametrize("kind", [Plain, Versioned])
@pytest.mark.parametrize("layout", ["memory+fake", "memory+server"])
def test_any_sequence_of_operations_ends_where_a_dictionary_does(
    benches: Benches, layout: str, kind: Any
) -> None:
    bed = Bed(layout, benches)
    machine = type("Machine", (Behind,), {"bed": bed, "kind": kind})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=times(15), stateful_step_count=25)
    )
    benches.close_caches(most=0)
