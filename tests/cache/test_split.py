"""Hot keys in copies: the contract of a store, and what makes the copies worth their place."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import randoms

import labkit
from labkit import CommandLog
from labkit.cache import MISSING, AsyncCache, Cache, MemoryTier, RedisTier
from labkit.cache.backends.base import Claim, Found
from labkit.cache.backends.split import SplitTier
from labkit.cache.testing import StoreContract
from labkit.clock import FakeClock, fast_forward
from tests.cache.conftest import Awaited
from tests.cache.crowd import Stage, until
from tests.cache.dict_store import DictStore, DictTier
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from labkit.course.bench import Bench
    from tests.cache.conftest import Benches


def every(key: str) -> bool:
    return True


def none(key: str) -> bool:
    return False


def all_but_thousands(key: str) -> bool:
    """Every key of the contract is hot, but k10 to k1999: their copies would take most of the time.

    A trip of that test has hot and cold keys then.
    """
    return not (key[1:].isdigit() and len(key) > 2)


@pytest.mark.parametrize("hot", [every, none])
class TestTheContractOverADictionary(StoreContract):
    examples = times(30)

    @pytest.fixture
    def tier(self, hot: Any) -> SplitTier:
        self.clock = FakeClock(1_000)
        return SplitTier(DictTier(self.clock), 2, hot=hot)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


class _OverRedis(StoreContract):
    examples = times(3)
    client: Any

    def pass_time(self, seconds: float) -> None:
        fast_forward(self.client, seconds)


class TestTheContractOverRedis(_OverRedis):
    @pytest.fixture
    def tier(self, bench: Bench) -> SplitTier:
        self.client = bench.client()
        return SplitTier(RedisTier(bench.client(), budget="5s"), 2, hot=all_but_thousands)


class TestTheContractOverRedisAwaited(_OverRedis):
    @pytest.fixture
    def tier(self, benches: Benches) -> SplitTier:
        bench = benches.get("server")
        self.client = benches.client(bench)
        client = self.call(labkit.connect_async(bench.url))
        return SplitTier(RedisTier(client, budget="5s"), 2, hot=all_but_thousands)


class TestTheContractOverRedisWithoutHotKeys(_OverRedis):
    @pytest.fixture
    def tier(self, benches: Benches) -> SplitTier:
        bench = benches.get("server")
        self.client = benches.client(bench)
        return SplitTier(RedisTier(benches.client(bench), budget="5s"), 2, hot=none)


# --- Where a key is read


class Watched:
    """A tier of dictionaries that says what is asked of each, and lets something happen before."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.before: dict[tuple[str, str], Callable[[], object]] = {}
        self.stores: dict[str, DictStore] = {}

    def open(self, namespace: str) -> Any:
        values = self.stores.setdefault(namespace, DictStore(lambda: 1.0))
        return WatchedStore(self, "copies" if namespace.endswith("#copies") else "values", values)


class WatchedStore:
    blocking = False

    def __init__(self, tier: Watched, name: str, values: DictStore) -> None:
        self._tier, self._name, self._values = tier, name, values

    def __getattr__(self, method: str) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            self._tier.asked.append((self._name, method))
            self._tier.before.pop((self._name, method), lambda: None)()
            return getattr(self._values, method)(*args, **kwargs)

        if method == "listen":
            raise AttributeError(method)
        return ask


@pytest.fixture
def tier() -> Watched:
    return Watched()


def copies_in(tier: Watched, namespace: str = "n") -> list[str]:
    return sorted(tier.stores[f"{namespace}#copies"]._values)


def read_all(store: Any, key: str, times: int = 100) -> Counter[bytes | None]:
    """What is found in so many reads: enough of them to meet every one of a few copies."""
    return Counter(found and found.payload for found in (store.get(key) for _ in range(times)))


def test_a_hot_key_is_read_from_its_copies_alone_once_they_are_there(tier: Watched) -> None:
    store = SplitTier(tier, 4, hot={"k"}).open("n")
    store.set("k", b"1")
    assert read_all(store, "k") == {b"1": 100}
    assert copies_in(tier) == ["k#1", "k#2", "k#3", "k#4"]
    tier.asked.clear()
    assert read_all(store, "k") == {b"1": 100}
    assert set(tier.asked) == {("copies", "get")}


def test_other_keys_have_no_copies(tier: Watched) -> None:
    store = SplitTier(tier, 4, hot={"k"}).open("n")
    store.set("cold", b"1", None, ["t"])
    assert read_all(store, "cold") == {b"1": 100}
    assert store.get_many(["cold", "no"]) == [Found(b"1", None, ("t",)), None]
    store.delete(["cold"])
    assert {name for name, _ in tier.asked} == {"values"}


def test_what_is_hot_is_a_collection_or_a_function(tier: Watched) -> None:
    store = SplitTier(tier, 1, hot=lambda key: key.startswith("front")).open("n")
    store.set_many([("front:1", b"1"), ("back", b"2")], [None, None])
    assert [found.payload for found in store.get_many(["back", "front:1"])] == [b"2", b"1"]
    assert copies_in(tier) == ["front:1#1"]


def test_a_key_that_is_missing_is_not_copied_and_nobody_is_kept_from_copying_it(
    tier: Watched,
) -> None:
    store = SplitTier(tier, 1, hot={"k", "m"}).open("n")
    assert store.get("k") is None
    assert store.get_many(["k", "m"]) == [None, None]
    assert copies_in(tier) == []
    store.set_many([("k", b"1"), ("m", b"2")], [None, None])
    assert [found.payload for found in store.get_many(["k", "m"])] == [b"1", b"2"]
    assert copies_in(tier) == ["k#1", "m#1"]


def test_while_somebody_else_copies_a_key_it_is_read_from_the_primary(tier: Watched) -> None:
    store = SplitTier(tier, 1, hot={"k"}).open("n")
    store.set("k", b"1")
    other = tier.open("n#copies").claim("k#1", lease=60)
    assert isinstance(other, Claim)
    assert read_all(store, "k") == {b"1": 100}
    assert copies_in(tier) == []


def test_copies_carry_the_tags_of_the_value_whatever_was_expected(tier: Watched) -> None:
    store = SplitTier(tier, 1, hot=every).open("n")
    for read in (lambda: store.get("k"), lambda: store.get("k", ["w"]), lambda: one_of_many(store)):
        store.set("k", b"1", None, ["t", "u"])
        assert read() == Found(b"1", None, ("t", "u"))
        assert copies_in(tier) == ["k#1"]
        assert read() == Found(b"1", None, ("t", "u"))
        store.drop_tags(["u"])
        assert read() is None


def one_of_many(store: Any) -> Found | None:
    found: list[Found | None] = store.get_many(["other", "k"])
    return found[1]


def test_a_copy_lives_no_longer_than_its_value(tier: Watched) -> None:
    store = SplitTier(tier, 1, hot={"k"}).open("n")
    store.set("k", b"1", 100)
    assert store.get("k") == Found(b"1", None)
    assert tier.open("n#copies").get("k#1", ttl=True).ttl <= 100
    assert store.expire("k", 10)
    assert store.get("k", ttl=True).ttl <= 10
    assert tier.open("n#copies").get("k#1", ttl=True).ttl <= 10


# --- What changes meanwhile

CHANGES: dict[str, Callable[[Any], Any]] = {
    "set": lambda store: store.set("k", b"new"),
    "set_many": lambda store: store.set_many([("k", b"new")], [None]),
    "fill": lambda store: store.fill(store.claim("k", lease=60, force=True), b"new"),
    "fill_many": lambda store: store.fill_many([(claimed_over(store), b"new", None)]),
    "delete": lambda store: store.delete(["k"]),
    "drop_tags": lambda store: store.drop_tags(["t"]),
    "delete_prefix": lambda store: store.delete_prefix("k"),
    "clear": lambda store: store.clear(),
}


def claimed_over(store: Any) -> Claim:
    (claim,) = store.claim_many(["k"], lease=60, over=True)
    assert isinstance(claim, Claim)
    return claim


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at", ["claim_many", "fill_many"])
def test_what_changes_while_it_is_copied_is_not_kept_in_the_copy(
    tier: Watched, change: str, at: str
) -> None:
    store = SplitTier(tier, 3, hot={"k"}).open("n")
    store.set("k", b"old", None, ["t"])
    tier.before["copies", at] = lambda: CHANGES[change](store)
    store.get("k", ["t"])
    assert ("copies", at) not in tier.before
    new = b"new" if change.startswith(("set", "fill")) else None
    assert read_all(store, "k") == {new: 100}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_gone_from_every_copy(tier: Watched, change: str) -> None:
    store = SplitTier(tier, 3, hot={"k"}).open("n")
    store.set("k", b"old", None, ["t"])
    read_all(store, "k")
    assert len(copies_in(tier)) == 3
    CHANGES[change](store)
    new = b"new" if change.startswith(("set", "fill")) else None
    assert read_all(store, "k") == {new: 100}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_of_the_old_value_that_is_made_during_a_change_does_not_outlive_it(
    tier: Watched, change: str
) -> None:
    store = SplitTier(tier, 3, hot={"k"}).open("n")
    store.set("k", b"old", None, ["t"])
    last = change if change in ("drop_tags", "delete_prefix", "clear") else "delete"
    # Others read just before each of the two steps, in whichever order these are.
    for step in (("copies", last), ("values", change)):
        tier.before[step] = lambda: read_all(store, "k")
    CHANGES[change](store)
    new = b"new" if change.startswith(("set", "fill")) else None
    assert read_all(store, "k") == {new: 100}


class Staged:
    """Dictionaries with a checkpoint before and after whatever is asked of them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def open(self, namespace: str) -> Any:
        return StagedDict(self._stage, DictStore(lambda: 1.0))


class StagedDict:
    blocking = False

    def __init__(self, stage: Stage, values: DictStore) -> None:
        self._stage, self._values = stage, values

    def __getattr__(self, method: str) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            self._stage.checkpoint()
            answer = getattr(self._values, method)(*args, **kwargs)
            self._stage.checkpoint()
            return answer

        if method == "listen":
            raise AttributeError(method)
        return ask


@settings(max_examples=times(60))
@given(randoms(use_true_random=True))
def test_whoever_reads_after_a_write_has_ended_never_gets_what_was_there_before(
    random: Random,
) -> None:
    stage = Stage(random)
    store = SplitTier(Staged(stage), 2, hot={"k"}).open("n")
    written = [0]

    def write() -> None:
        for number in range(1, 4):
            how = random.choice(["set", "delete", "drop", "fill"])
            if how == "set":
                store.set("k", b"%d" % number, None, ["t"])
            elif how == "fill":
                claim = store.claim("k", ["t"], lease=60, force=True)
                assert store.fill(claim, b"%d" % number)
            elif how == "drop":
                store.drop_tags(["t"])
            else:
                store.delete(["k"])
            written[0] = number

    def read() -> None:
        for _ in range(4):
            ended = written[0]
            found = store.get("k", ["t"]) if random.random() < 0.7 else store.get_many(["k"])[0]
            assert found is None or int(found.payload) >= ended

    stage.play([write, read, read, read])


# --- In Redis


def test_how_many_trips_it_takes(bench: Bench) -> None:
    bench.reset()
    inner = RedisTier(bench.client(), budget="5s")
    store = SplitTier(inner, 1, hot={"k"}).open("site")
    for trips, operation in (
        (2, lambda: store.set("k", b"1")),
        (4, lambda: store.get("k")),  # the copy, its claim, the primary, and the copy is made
        (1, lambda: store.get("k")),
        (1, lambda: store.get_many(["k"])),
        (2, lambda: store.get_many(["k", "cold"])),
        (2, lambda: store.delete(["k"])),
        (1, lambda: store.set("cold", b"1")),
        (1, lambda: store.get("cold")),
    ):
        with CommandLog(inner.client) as log:
            operation()
        assert log.round_trips == trips, str(log)
    store.close()


def test_the_copies_of_a_key_spread_over_the_nodes_of_a_cluster(cluster_url: str) -> None:
    client = labkit.connect(cluster_url)
    client.flushall(target_nodes="primaries")
    store = SplitTier(RedisTier(client), 16, hot={"front"}).open("site")
    store.set("front", b"1")
    read_all(store, "front", 300)
    names = list(client.scan_iter("*v:front#*", target_nodes="primaries"))
    assert len(names) == 16
    assert len({client.get_node_from_key(name).name for name in names}) == 3
    store.set("front", b"2")
    assert read_all(store, "front") == {b"2": 100}
    client.close()


def test_a_cache_loads_a_hot_key_once_and_drops_it_whole(benches: Benches, awaited: bool) -> None:
    bench, loads = benches.get("server"), []

    def load() -> str:
        loads.append(1)
        return f"load {len(loads)}"

    async def load_later() -> str:
        return load()

    client = benches.client(bench, awaited=awaited)
    tier = SplitTier(RedisTier(client, budget="10s"), 2, hot={"hot"})
    kind: Any = AsyncCache if awaited else Cache
    cache: Any = kind([tier])
    if awaited:
        cache = Awaited(cache, benches.runner)
    for number in (1, 2):
        for _ in range(20):
            assert cache.get_or_load("hot", load_later if awaited else load) == f"load {number}"
            assert cache.get_many(["hot", "cold"]) == {"hot": f"load {number}"}
        cache.invalidate(key="hot")
        assert cache.get("hot") is MISSING
    cache.close()


def has(cache: Cache, key: str, value: str) -> bool:
    return bool(cache.get(key) == value)


def test_a_memory_in_front_hears_what_other_caches_change(benches: Benches) -> None:
    bench = benches.get("server")

    def opened() -> Cache:
        inner = RedisTier(bench.client(), budget="10s")
        return Cache([MemoryTier(), SplitTier(inner, 2, hot={"hot"})], staleness="1h")

    with opened() as mine, opened() as other:
        for key in ("hot", "cold"):
            mine.set(key, "old", tags=["t"])
            assert other.get(key) == mine.get(key) == "old"
            mine.set(key, "new", tags=["t"])
            until(functools.partial(has, other, key, "new"), "hearing of the new value")
        other.invalidate(tag="t")
        until(lambda: mine.get("hot") is MISSING, "hearing of the tag")
        assert mine.stats().listening


# --- What is heard of changes


class Ear:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.heard.append((name, *args))


class Telling(DictTier):
    """Dictionaries that tell nothing by themselves: the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Any] = []
        self.closed = 0

    def open(self, namespace: str) -> Any:
        store: Any = super().open(namespace)
        store.listen = self._listen
        return store

    def _listen(self, listener: Any, bound: float) -> Any:
        self.listeners.append(listener)
        return self

    def close(self) -> None:
        self.closed += 1


def test_a_change_of_a_copy_is_told_as_one_of_its_key() -> None:
    tier, ear = Telling(), Ear()
    feed: Any = SplitTier(tier, hot={"k"}).open("n").listen(ear, 1.0)
    values, copies = tier.listeners
    values.changed(["k", "a#1"])
    copies.changed(["k#3", "a#1#2", "k#4"])
    copies.dropped(["t"])
    copies.prefix_deleted("k")
    copies.cleared()
    assert ear.heard == [
        *[("changed", ["k", "a#1"]), ("changed", ["k", "a#1"])],
        *[("dropped", ["t"]), ("prefix_deleted", "k"), ("cleared",)],
    ]
    feed.close()
    assert tier.closed == 2


def test_changes_are_heard_when_both_feeds_hear_them() -> None:
    tier, ear = Telling(), Ear()
    SplitTier(tier, hot={"k"}).open("n").listen(ear, 1.0)
    values, copies = tier.listeners
    copies.restored()
    assert ear.heard == []
    values.restored()
    copies.cut(0.5)
    values.cut(0.2)
    copies.restored()
    assert ear.heard == [("restored",), ("cut", 0.5), ("cut", 0.2)]
    values.restored()
    assert ear.heard[-1] == ("restored",)


def test_a_feed_that_is_cut_while_the_other_is_restored_is_told_last() -> None:
    tier, ear = Telling(), Ear()
    SplitTier(tier, hot={"k"}).open("n").listen(ear, 1.0)
    values, copies = tier.listeners
    ear.restored = lambda: copies.cut(0.0)
    copies.restored()
    values.restored()
    assert ear.heard == [("cut", 0.0), ("cut", 0.0)]


def test_a_store_that_tells_nothing_does_so_when_split() -> None:
    assert not hasattr(SplitTier(DictTier(), hot={"k"}).open("n"), "listen")


# --- Refusals


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="copies is 0; expected"):
        SplitTier(DictTier(), 0, hot={"k"})
    with pytest.raises(TypeError, match="hot is 'front'; expected a collection of keys"):
        SplitTier(DictTier(), hot="front")
    with pytest.raises(TypeError, match="hot is None; expected a collection of keys"):
        SplitTier(DictTier(), hot=None)  # type: ignore[arg-type]
