"""A look at an entry: what every tier has, at no price for anybody."""

from __future__ import annotations

import asyncio
import inspect
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from labkit import CommandLog, connect
from labkit.cache import (
    Cache,
    FileTier,
    FunctionSource,
    Json,
    MemoryTier,
    NullTier,
    RedisTier,
    SplitTier,
)
from labkit.cache.entities import Many
from labkit.cache.looking import MOST, Looked, Place, look, short
from labkit.cache.smart import AsyncSmartCache, SmartCache
from labkit.clock import FakeClock
from tests.cache.dict_store import DictTier
from tests.cache.test_invalidation import Failing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labkit.course.bench import Bench
    from tests.cache.conftest import Bed


def looked(bed: Bed, cache: Any, key: str, **how: Any) -> dict[str, Place]:
    return {place.tier: place for place in seen(bed, cache, key, **how).places}


def seen(bed: Bed, cache: Any, key: str, **how: Any) -> Looked:
    found: Any = look(getattr(cache, "target", cache), key, **how)
    answer = bed.run(found) if inspect.isawaitable(found) else found
    assert isinstance(answer, Looked)
    return answer


def stores(bed: Bed) -> list[str]:
    """The stores behind the memory; that of a dictionary cannot be looked at beyond a read."""
    return [] if not bed.has_store else ["redis"] if bed.tells else ["dict"]


def tiers(bed: Bed) -> list[str]:
    return ["memory"] * bed.has_memory + stores(bed)


def test_every_tier_tells_what_it_has(bed: Bed) -> None:
    cache = bed.cache(staleness="1d")
    cache.set("a", ["first", "second"], ttl=60, tags=["x", "y"])
    bed.advance(20)
    found = looked(bed, cache, "a")
    assert list(found) == tiers(bed)
    for place in found.values():
        assert place.there
        assert place.readable
        assert place.kind == "value"
        assert place.left == pytest.approx(40, abs=2)
        assert place.tags == ("x", "y")
        assert place.fresh is None
        assert place.bytes is not None
        assert place.bytes > 10
        assert place.claimed is None
        assert place.preview is None
    for tier in stores(bed):
        assert found[tier].age == pytest.approx(0, abs=60)  # the wall clock stood still
    nearest = seen(bed, cache, "a").nearest
    assert nearest is not None
    assert nearest.tier == tiers(bed)[0]


def test_what_is_not_there_is_nowhere(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("a", 1, ttl=10)
    cache.set("b", 1)
    cache.delete("b")
    bed.advance(11)
    for key in ("a", "b", "c"):
        found = seen(bed, cache, key)
        assert found.nearest is None
        assert not found.loading
        assert [place.there for place in found.places] == [False] * len(tiers(bed))


def test_none_and_errors_are_told_apart_from_values(bed: Bed) -> None:
    cache = bed.cache(errors={LookupError: "1m"}, staleness="1d")

    def fail() -> int:
        raise LookupError("there is none")

    cache.set("none", None)
    failing = bed.cached(cache, fail, key="failing")
    with pytest.raises(LookupError):
        failing()
    assert {place.kind for place in looked(bed, cache, "none").values()} == {"none"}
    errors = looked(bed, cache, "failing", preview=True)
    assert {place.kind for place in errors.values()} == {"error"}
    assert {place.preview for place in errors.values()} == {"LookupError('there is none')"}


def test_freshness_is_told_before_and_after_its_end(bed: Bed) -> None:
    cache = bed.cache(ttl=30, stale_if_error=60, staleness="1d")
    cache.set("a", 1)
    bed.advance(10)
    assert [place.fresh for place in looked(bed, cache, "a").values()] == pytest.approx(
        [20] * len(tiers(bed)), abs=2
    )
    bed.advance(30)
    for place in looked(bed, cache, "a").values():
        assert place.fresh == pytest.approx(-10, abs=2)
        assert place.left == pytest.approx(50, abs=2)
        assert "stale for" in str(place)


def test_a_preview_is_shown_when_it_is_asked_for_and_bounded(bed: Bed) -> None:
    cache = bed.cache(staleness="1d")
    cache.set("a", {"text": "x" * 10_000})
    for place in looked(bed, cache, "a").values():
        assert place.preview is None
    for place in looked(bed, cache, "a", preview=True).values():
        assert place.preview is not None
        assert place.preview.startswith("{'text': 'xxx")
        assert len(place.preview) <= MOST


def test_a_look_counts_for_nobody_and_changes_nothing(bed: Bed) -> None:
    cache = bed.cache(sliding=True, ttl=60, staleness="1d", hot_keys=10)
    cache.set("a", 1)
    bed.advance(30)
    before = cache.stats()
    for _ in range(3):
        seen(bed, cache, "a", preview=True)
        seen(bed, cache, "missing")
    assert cache.stats() == before
    bed.advance(31)
    assert cache.get("a", None) is None


@pytest.mark.parametrize("policy", ["lru", "lfu", "sieve"])
def test_a_look_does_not_keep_a_value_in_memory(policy: str) -> None:
    memory = MemoryTier(maxsize=2, policy=policy)
    cache = Cache([memory])
    cache.set("looked at", 1)
    cache.set("other", 2)
    if policy != "sieve":
        cache.get("other")
    for _ in range(5):
        assert look(cache, "looked at").nearest is not None
    cache.set("new", 3)
    assert look(cache, "looked at").nearest is None


def test_a_load_that_is_under_way_is_seen(bed: Bed) -> None:
    cache, other = bed.cache(), bed.cache()
    met: list[Looked] = []

    def load() -> int:
        if bed.awaited:  # the loop is the caches' own
            return 1
        met.extend([seen(bed, cache, "a"), seen(bed, other, "a")])
        return 1

    async def load_later() -> int:
        met.append(await look(cache.target, "a"))
        met.append(await look(other.target, "a"))
        return 1

    cache.get_or_load("a", load_later if bed.awaited else load)
    here, there = met
    assert here.loading
    assert here.nearest is None
    claims = {place.tier: place.claimed for place in there.places}
    if bed.tells:  # it is seen in the store by everybody
        assert there.loading
        assert claims["redis"] == pytest.approx(10, abs=2)
    else:
        assert not there.loading
    after = seen(bed, cache, "a")
    assert not after.loading
    assert after.nearest is not None


def test_bytes_that_nobody_can_read_are_called_so(bed: Bed) -> None:
    cache = bed.cache(staleness="1d")
    if not bed.has_store:
        return
    store = bed.store()
    store.set("garbage", b"\xff\xff\xff", 60)
    (place,) = [p for p in seen(bed, cache, "garbage").places if p.tier != "memory"]
    assert place.there
    assert not place.readable
    assert place.kind is None
    assert place.bytes == 3
    assert "envelope" in (place.problem or "")
    assert "unreadable" in str(place)
    bed.cache(serializer=Json()).set("json", {"a": 1})
    (place,) = [p for p in seen(bed, cache, "json").places if p.tier != "memory"]
    assert not place.readable
    assert "MessagePack" in (place.problem or "")


def test_what_a_dropped_tag_has_left_behind_does_not_count(bench: Bench) -> None:
    bench.reset()
    cache = Cache([RedisTier(bench.client(), budget="5s")], namespace="left")
    cache.set("a", 1, tags=["t"])
    cache.set("b", 1)
    cache.invalidate(tag="t")
    (place,) = look(cache, "a").places
    assert place.there is False
    assert "tag was dropped" in (place.problem or "")
    cache.clear()
    (place,) = look(cache, "b").places
    assert not place.readable
    assert place.problem
    cache.close()


def test_a_look_at_redis_takes_one_trip_and_a_second_for_tags(bench: Bench) -> None:
    bench.reset()
    tier = RedisTier(bench.client(), budget="5s")
    cache = Cache([tier], namespace="trips")
    cache.set("plain", 1)
    cache.set("tagged", 1, tags=["a", "b"])
    for key, trips in {"plain": 1, "none": 1, "tagged": 2}.items():
        with CommandLog(tier.client) as log:
            look(cache, key)
        assert log.round_trips == trips, key
        assert {command.name for command in log.commands} == {"MGET", "PTTL"}
    cache.close()


def test_a_file_can_be_looked_at(tmp_path: Path) -> None:
    clock = FakeClock(1_000)
    cache = Cache([FileTier(tmp_path / "cache", clock=clock)])
    cache.set("a", "value", ttl=60, tags=["t"])
    clock.advance(10)
    (place,) = look(cache, "a", preview=True).places
    assert (place.there, place.left, place.tags, place.preview) == (True, 50.0, ("t",), "'value'")
    cache.invalidate(tag="t")
    (place,) = look(cache, "a").places
    assert place.there is False
    assert place.problem
    claimed: list[Looked] = []
    cache.get_or_load("b", lambda: claimed.append(look(cache, "b")))
    assert claimed[0].places[0].claimed == 10.0
    cache.close()


def test_a_hot_key_is_looked_at_in_its_primary() -> None:
    tier = RedisTier(connect("fake://looking"), budget="5s")
    cache = Cache([SplitTier(tier, copies=2, hot={"front"})], namespace="split")
    cache.set("front", 1, ttl=60)
    with CommandLog(tier.client) as log:
        (place,) = look(cache, "front").places
    assert place.readable
    assert {command.name for command in log.commands} == {"MGET", "PTTL"}
    cache.close()


def test_a_tier_that_is_away_is_named() -> None:
    tier = Failing(DictTier().open("n"))
    cache = Cache([MemoryTier(), tier])
    cache.set("a", 1)
    tier.down = True
    memory, store = look(cache, "a").places
    assert memory.readable
    assert store.there is None
    assert not store.readable
    assert str(store) == "failing: away"


def test_a_tier_that_keeps_nothing_has_nothing() -> None:
    cache = Cache([NullTier()])
    cache.set("a", 1)
    assert look(cache, "a").nearest is None


def test_a_cluster_is_looked_at(cluster_url: str) -> None:
    cache = Cache([RedisTier(connect(cluster_url))], namespace="looked")
    cache.set("a", 1, ttl=100, tags=["t"])
    (place,) = look(cache, "a").places
    assert place.readable
    assert place.tags == ("t",)
    cache.clear()
    cache.close()


@dataclass(frozen=True)
class Author:
    id: int
    name: str


@dataclass(frozen=True)
class Name:
    """A part of an author."""

    name: str


PEOPLE = {1: Author(1, "Nora")}


def declared(smart: Any, function: Callable[[Any], Any] = lambda ids: {1: (7,)}) -> Any:
    return smart.entity(
        Author,
        FunctionSource(PEOPLE.get),
        parts=[Name],
        relations={"books": Many(to="Author", load=function)},
    )


def test_entities_are_looked_at_as_they_are_read() -> None:
    client = connect("fake://looking")
    smart = SmartCache([MemoryTier(), RedisTier(client, budget="5s")], namespace="smart")
    authors = declared(smart)
    authors.part(Name).get(1)  # before the whole, of which it would be made
    authors.get(1)
    authors.related(1, "books")
    for key in (authors.key(1), authors.part(Name).key(1), authors.lists["books"].key(1)):
        found = look(smart, key, preview=True)
        assert [place.readable for place in found.places] == [True, True], key
        assert found.places[0].preview == found.places[1].preview
    assert look(smart, authors.key(1), preview=True).places[1].preview == repr(PEOPLE[1])

    @dataclass(frozen=True)
    class Author_:  # noqa: N801 - the same name, after a deploy
        id: int
        name: str
        born: int = 0

    Author_.__name__ = "Author"
    newer = SmartCache([RedisTier(client, budget="5s")], namespace="smart")
    newer.entity(Author_, FunctionSource(lambda id: None))  # noqa: A006
    (place,) = look(newer, authors.key(1)).places
    assert place.there
    assert not place.readable
    assert "another version" in (place.problem or "")
    smart.cache.set("no entity", 1)
    assert look(smart, "no entity").nearest is not None
    smart.close()
    newer.close()


def test_entities_of_an_asyncio_cache_are_looked_at() -> None:
    async def main() -> Looked:
        async with AsyncSmartCache() as smart:
            authors = declared(smart)
            await authors.get(1)
            return await look(smart, authors.key(1), preview=True)

    found = asyncio.run(main())
    assert found.nearest is not None
    assert found.nearest.preview == repr(PEOPLE[1])


def test_what_cannot_be_a_key_is_refused() -> None:
    cache = Cache()
    with pytest.raises(TypeError, match=r"key is 17; expected a text"):
        look(cache, 17)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="key is empty"):
        look(cache, "")


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "begins"),
    [
        ("x" * 1_000, "'xxx"),
        (list(range(10_000)), "[0, 1, 2"),
        (Broken(), "<Broken "),
        ({"a": [["b" * 1_000]] * 1_000}, "{'a': ["),
        (10**5_000, "<int "),
    ],
    ids=["text", "list", "broken", "nested", "number"],
)
def test_a_preview_has_a_bound_whatever_the_value_is(value: Any, begins: str) -> None:
    text = short(value)
    assert len(text) <= MOST
    assert text.startswith(begins)


def test_a_look_waits_for_no_lock_of_a_load() -> None:
    cache = Cache()
    begun, may_end = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert may_end.wait(60)
        return 1

    thread = threading.Thread(target=cache.get_or_load, args=("a", load))
    thread.start()
    assert begun.wait(60)
    assert look(cache, "a").loading
    may_end.set()
    thread.join()
    assert not look(cache, "a").loading


KEYS = st.sampled_from(["a", "b", "c"])
TAGS = st.lists(st.sampled_from(["x", "y"]), unique=True).map(tuple)
STEPS = st.lists(
    st.tuples(st.just("set"), KEYS, st.none() | st.integers(1, 20), TAGS)
    | st.tuples(st.just("delete"), KEYS)
    | st.tuples(st.just("tag"), st.sampled_from(["x", "y"]))
    | st.tuples(st.just("get"), KEYS)
    | st.tuples(st.just("advance"), st.integers(1, 15))
    | st.tuples(st.just("clear")),
    max_size=25,
)


@settings(deadline=None)
@given(STEPS, st.booleans(), st.sampled_from(["lru", "sieve", "lfu", "fifo"]))
def test_a_look_sees_what_a_reader_would_get_and_nobody_notices(
    steps: list[tuple[Any, ...]], store: bool, policy: str
) -> None:
    clock = FakeClock(1_000)

    def made() -> Cache:
        memory = MemoryTier(maxsize=2, policy=policy, clock=clock)
        return Cache([memory, DictTier(clock)] if store else [memory], staleness="1d")

    looked_at, twin = made(), made()
    for what, *how in steps:
        if what == "advance":
            clock.advance(how[0])
        for cache in (looked_at, twin):
            if what == "set":
                cache.set(how[0], how[0], ttl=how[1], tags=how[2])
            elif what == "get":
                cache.get(how[0], None)
            elif what == "delete":
                cache.delete(how[0])
            elif what == "tag":
                cache.invalidate(tag=how[0])
            elif what == "clear":
                cache.clear()
        seen_now = {key: look(looked_at, key).nearest for key in "abc"}
        ours, theirs = looked_at.stats(), twin.stats()
        assert (ours.total.hits, ours.total.misses) == (theirs.total.hits, theirs.total.misses)
        assert ours.tiers == theirs.tiers
        assert looked_at._engine.memory is not None
        assert twin._engine.memory is not None
        assert looked_at._engine.memory.keys() == twin._engine.memory.keys()
    for key, place in (seen_now if steps else {}).items():
        entry = twin._engine.memory.peek(key) if twin._engine.memory else None
        assert (place is not None and place.tier == "memory") == (entry is not None)
        if place is not None and entry is not None:
            assert place.tags == entry.tags
        assert (place is not None) == (twin.get(key, None) is not None)
