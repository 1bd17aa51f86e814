"""The tier of objects: what it keeps, for how long, how much, and among threads."""

from __future__ import annotations

import gc
import itertools
import math
import os
import random
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache.backends.memory import MemoryTier, estimate
from labkit.cache.eviction import POLICIES, Lru, policy_of
from labkit.clock import FakeClock
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.eviction import Entry

THREADS = 4


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000)


def test_a_value_is_found_as_the_object_that_it_is(clock: FakeClock) -> None:
    tier = MemoryTier(clock=clock)
    value, opener = object(), str
    entry = tier.put("k", value, ttl=5, tags=["a", "b"], open=opener, size=7)
    assert entry is not None
    assert tier.find("k") is tier.peek("k") is entry
    assert entry.value is value
    assert entry.open is opener
    assert (entry.key, entry.deadline, entry.tags, entry.size) == ("k", 1_005, ("a", "b"), 7)
    assert tier.find("other") is tier.peek("other") is None


def test_a_find_counts_as_a_use_and_a_peek_does_not() -> None:
    tier = MemoryTier()
    entry = tier.put("k", 1)
    assert entry is not None
    tier.peek("k")
    assert not entry.visited
    tier.find("k")
    assert entry.visited


@pytest.mark.parametrize("policy", ["lru", "lfu"])
def test_a_peek_does_not_keep_a_value_from_leaving(policy: str) -> None:
    tier = MemoryTier(2, policy=policy)
    tier.put("a", 1)
    tier.put("b", 1)
    tier.peek("a")
    tier.put("c", 1)
    assert tier.keys() == ["b", "c"]


def test_only_policies_with_an_order_of_use_ask_for_touch() -> None:
    assert {name for name in POLICIES if MemoryTier(policy=name).marks} == {"sieve", "fifo", "ttl"}


def test_a_touch_marks_an_entry_under_sieve() -> None:
    tier = MemoryTier(2)
    first = tier.put("a", 1)
    tier.put("b", 1)
    assert first is not None
    tier.touch(first)
    tier.put("c", 1)
    assert tier.keys() == ["a", "c"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_touch_of_an_entry_that_left_changes_nothing(policy: str) -> None:
    tier = MemoryTier(2, policy=policy)
    entry = tier.put("a", 1)
    assert entry is not None
    tier.put("a", 2)
    tier.touch(entry)
    tier.delete("a")
    tier.touch(entry)
    tier.put("b", 1)
    assert tier.keys() == ["b"]


def test_a_value_is_dead_from_its_deadline_on(clock: FakeClock) -> None:
    tier = MemoryTier(clock=clock)
    tier.put("k", 1, ttl=5)
    clock.advance(4.999)
    assert tier.find("k")
    clock.advance(0.001)
    assert tier.find("k") is tier.peek("k") is None
    assert not tier.extend("k", 10)
    assert not tier.delete("k")


@pytest.mark.parametrize("ttl", [0, -1, math.nan, 1e-300])
def test_a_value_without_time_to_live_is_refused_and_hides_the_old_one(ttl: float) -> None:
    tier = MemoryTier(clock=FakeClock(1_000))
    tier.put("k", "old")
    assert tier.put("k", "new", ttl=ttl) is None
    assert tier.find("k") is None
    tier.put("k", "old")
    assert not tier.extend("k", ttl)
    assert tier.find("k") is None


def test_expired_values_go_before_live_ones(clock: FakeClock) -> None:
    tier = MemoryTier(20, clock=clock)
    for number in range(10):
        tier.put(f"old {number}", 0)
    for number in range(10):
        tier.put(f"short {number}", 0, ttl=1)
    clock.advance(1)
    for number in range(10):
        tier.put(f"new {number}", 0)
    assert len(tier) == len(tier.keys()) == 20
    assert (tier.evictions, tier.expirations) == (0, 10)


def test_a_large_value_takes_the_room_of_all_that_expired_before_it_takes_a_live_one(
    clock: FakeClock,
) -> None:
    tier = MemoryTier(max_bytes=100, clock=clock)
    tier.put("live", 0, size=50)
    for number in range(50):
        tier.put(str(number), 0, size=1, ttl=1)
    clock.advance(1)
    tier.put("large", 0, size=50)
    assert tier.keys() == ["live", "large"]
    assert (tier.evictions, tier.expirations) == (0, 50)


def test_keys_that_never_come_again_do_not_fill_a_tier_without_bound(clock: FakeClock) -> None:
    tier = MemoryTier(None, clock=clock)
    for number in range(2_000):
        tier.put(str(number), 0, ttl=10)
        clock.advance(1)
        assert len(tier) <= 11
    assert tier.expirations >= 1_989


def test_a_crowd_that_expires_at_once_goes_a_few_each_time(clock: FakeClock) -> None:
    tier = MemoryTier(None, clock=clock)
    for number in range(100):
        tier.put(str(number), 0, ttl=1)
    clock.advance(1)
    tier.put("x", 0)
    assert 50 < len(tier) < 100
    for _ in range(50):
        tier.put("x", 0)
    assert len(tier) == 1
    assert tier.purge() == 0


def test_what_left_is_not_held_in_memory(clock: FakeClock) -> None:
    class Value:
        pass

    tier = MemoryTier(None, clock=clock)
    seen = []
    for number in range(50):
        value = Value()
        seen.append(weakref.ref(value))
        tier.put(f"k{number % 2}", value, ttl=1_000 + number)
    del value
    tier.delete("k0")
    gc.collect()
    assert [ref() is not None for ref in seen] == [False] * 49 + [True]


def reachable(root: object) -> int:
    """How many objects belong to a tier."""
    gc.collect()
    seen, waiting = {id(root)}, [root]
    while waiting:
        for item in gc.get_referents(waiting.pop()):
            if id(item) not in seen and not isinstance(item, type) and not callable(item):
                seen.add(id(item))
                waiting.append(item)
    return len(seen)


@pytest.mark.parametrize("policy", POLICIES)
def test_one_key_put_or_extended_over_and_over_takes_no_more_memory(policy: str) -> None:
    tier = MemoryTier(policy=policy, clock=FakeClock())
    for round_ in range(3_000):
        tier.put("k", 1, ttl=1_000 + round_, tags=[f"t{round_}"])
        tier.extend("k", 5_000 + round_)
        tier.find("k")
    assert reachable(tier) < 1_000


def test_an_extended_value_lives_from_now_on_for_so_long(clock: FakeClock) -> None:
    tier = MemoryTier(clock=clock)
    tier.put("k", 1, ttl=5)
    clock.advance(4)
    assert tier.extend("k", 5)
    clock.advance(4)
    assert tier.find("k")
    assert tier.extend("k", None)
    clock.advance(10_000)
    tier.put("other", 1)
    assert tier.find("k")
    assert not tier.extend("missing", 5)


def test_nothing_lives_longer_than_a_bound_that_was_set_later(clock: FakeClock) -> None:
    tier = MemoryTier(clock=clock)
    for key, ttl in (("never", None), ("long", 60), ("short", 2)):
        tier.put(key, 1, ttl=ttl)
    tier.keep_at_most(5)
    tier.put("new", 1)
    clock.advance(2)
    assert tier.keys() == ["never", "long", "new"]
    clock.advance(3)
    assert tier.keys() == ["new"]
    assert tier.purge() == 3


@pytest.mark.parametrize("policy", POLICIES)
def test_bytes_are_bounded_and_the_room_of_a_replaced_value_counts(policy: str) -> None:
    tier = MemoryTier(None, max_bytes=100, policy=policy, sizeof=len)
    tier.put("a", b"x" * 60)
    tier.put("b", b"x" * 40)
    tier.put("b", b"x" * 39)
    assert (tier.bytes, tier.evictions) == (99, 0)
    tier.put("c", b"x" * 90)
    assert (tier.keys(), tier.bytes, tier.evictions) == (["c"], 90, 2)
    assert tier.put("d", b"x" * 100)
    assert tier.put("d", b"x" * 101) is None
    assert (tier.keys(), tier.bytes) == ([], 0)


def test_a_given_size_goes_before_a_measured_one() -> None:
    tier = MemoryTier(max_bytes=100, sizeof=lambda value: 1 // 0)
    assert tier.put("k", 1, size=5)
    assert tier.bytes == 5


def test_nothing_is_measured_without_a_bound_of_bytes() -> None:
    tier = MemoryTier()
    tier.put("k", "x" * 1_000)
    assert tier.bytes == 0
    counted = MemoryTier(sizeof=len)
    counted.put("k", "x" * 1_000)
    assert counted.bytes == 1_000
    estimated = MemoryTier(max_bytes=10_000)
    estimated.put("k", "x" * 1_000)
    assert estimated.bytes == estimate("x" * 1_000)


def test_a_negative_size_is_refused() -> None:
    tier = MemoryTier()
    with pytest.raises(ValueError, match="the size of 'k' is -1; expected 0 or more"):
        tier.put("k", 1, size=-1)
    assert len(tier) == 0


@dataclass
class Plain:
    text: str


@pytest.mark.parametrize(
    "make",
    [
        lambda text: text,
        lambda text: text.encode(),
        lambda text: [text],
        lambda text: (text,),
        lambda text: {text},
        lambda text: {"k": text},
        lambda text: {text: 1},
        Plain,
    ],
)
def test_an_estimate_sees_one_level_deep(make: Callable[[str], Any]) -> None:
    # The dictionary of an object is larger in the first object of its class.
    grown = estimate(make("x" * 10_000)) - estimate(make("x" * 1_000))
    assert grown == pytest.approx(9_000, abs=400)


def test_an_estimate_of_many_items_takes_them_to_be_alike() -> None:
    one = sys.getsizeof("x" * 500)
    many = ["x" * 500] * 100_000
    assert estimate(many) - estimate([]) == pytest.approx(100_000 * (one + 8), rel=0.01)
    assert estimate(None) > sys.getsizeof(None)


@pytest.mark.parametrize("bound", [0, -1, True, 2.5, "10"])
def test_a_bound_that_is_no_number_above_0_is_refused(bound: Any) -> None:
    with pytest.raises(
        ValueError, match=r"maxsize is .*; expected a whole number above 0, or None"
    ):
        MemoryTier(bound)
    with pytest.raises(ValueError, match=r"max_bytes is .*; expected a whole number above 0"):
        MemoryTier(max_bytes=bound)


def test_a_dropped_tag_takes_out_its_values_and_no_others() -> None:
    tier = MemoryTier()
    tier.put("a", 1, tags=["x", "y", "x"])
    tier.put("b", 1, tags=["y"])
    tier.put("c", 1, tags=["z"])
    assert tier.drop_tags(["x", "nobody's"]) == 1
    assert tier.keys() == ["b", "c"]
    assert tier.drop_tags(["y", "z", "x"]) == 2
    tier.put("a", 1, tags=["x"])
    assert tier.keys() == ["a"]


def test_a_value_has_the_tags_that_it_was_put_with_last() -> None:
    tier = MemoryTier()
    tier.put("k", 1, tags=["old", "both"])
    tier.put("k", 2, tags=["new", "both"])
    assert tier.drop_tags(["old"]) == 0
    assert tier.drop_tags(["both", "new"]) == 1


def test_a_prefix_is_taken_literally() -> None:
    tier = MemoryTier()
    for key in ("a*", "ab", "a", "b", "ba*"):
        tier.put(key, 1)
    assert tier.delete_prefix("a*") == 1
    assert tier.delete_prefix("a") == 2
    assert tier.keys() == ["b", "ba*"]


def test_an_alias_is_there_as_long_as_the_entry() -> None:
    tier, table, other = MemoryTier(2), dict[Any, "Entry"](), dict[Any, "Entry"]()
    first = tier.put("a", 1, alias=(table, (1,)))
    second = tier.put("a", 2, alias=(table, (1,)))
    assert first is not None
    assert table == {(1,): second}
    assert first.deadline == -math.inf
    tier.put("a", 3, alias=(other, "moved"))
    assert table == {}
    third = tier.put("b", 4, alias=(other, "moved"))
    tier.delete("a")
    assert other == {"moved": third}
    for key in "cde":
        tier.put(key, 0)
    assert other == {}


def in_threads(work: Callable[[int], Any]) -> None:
    """Run it in several threads that begin together; what one raises is raised."""
    ready = threading.Barrier(THREADS)

    def begin(number: int) -> Any:
        ready.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(begin, range(THREADS)))


@pytest.fixture
def often_switching() -> Any:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.soak
@pytest.mark.usefixtures("often_switching")
@pytest.mark.parametrize("policy", POLICIES)
def test_threads_leave_a_tier_whole(policy: str) -> None:
    ticks = itertools.count()
    order = policy_of(policy)
    tier = MemoryTier(40, max_bytes=300, policy=order, clock=lambda: next(ticks) / 500)
    table: dict[Any, Entry] = {}

    def work(thread: int) -> None:
        source = random.Random(SEED * 100 + thread)
        for step in range(times(2_500)):
            key = f"{source.randrange(8)}:{source.randrange(10)}"
            choice = source.random()
            if choice < 0.4:
                entry = tier.find(key)
                assert entry is None or entry.key == entry.value == key
            elif choice < 0.6:
                entry = table.get(key)
                if entry is not None and entry.deadline > tier.clock():
                    entry.visited = True
                    tier.touch(entry)
            elif choice < 0.9:
                ttl = source.choice([None, 1, 5])
                tags = [f"t{source.randrange(5)}"]
                size = source.randrange(12)
                tier.put(key, key, ttl=ttl, tags=tags, size=size, alias=(table, key))
            elif choice < 0.95:
                tier.extend(key, source.choice([None, 1, 5]))
            elif choice < 0.98:
                tier.delete(key)
            elif step % 5 == 0:
                tier.delete_prefix(key[:2])
            else:
                tier.drop_tags([f"t{source.randrange(5)}"])
                tier.keep_at_most(20)
                tier.keys()

    in_threads(work)
    assert len(tier) <= 40
    assert tier.bytes <= 300
    tier.clock = lambda: next(ticks) / 1e9 - 1e9  # nothing expires any more
    live = sorted(tier.keys())
    entries = {key: tier.peek(key) for key in live}
    assert table == entries
    assert tier.bytes == sum(entry.size for entry in entries.values() if entry)
    for tag in ("t0", "t1"):
        expected = sum(tag in entry.tags for entry in table.values())
        assert tier.drop_tags([tag]) == expected
    # The policy gives out every entry that is left, each once.
    left = sorted(tier.keys())
    given = []
    while len(tier):
        given.append(order.victim().key)
        assert tier.delete(given[-1])
    assert sorted(given) == left
    assert (tier.bytes, table) == (0, {})


@pytest.mark.usefixtures("often_switching")
def test_a_key_that_is_put_over_and_over_is_never_missed() -> None:
    tier = MemoryTier()
    tier.put("k", 0, ttl=60)
    rounds = times(20_000)
    done = threading.Event()

    def work(thread: int) -> None:
        if thread == 0:
            for number in range(rounds):
                tier.put("k", number, ttl=60)
            done.set()
        else:
            last = 0
            while not done.is_set():
                entry, peeked = tier.find("k"), tier.peek("k")
                assert entry is not None
                assert peeked is not None
                assert last <= entry.value <= peeked.value
                last = peeked.value

    in_threads(work)


def test_a_policy_is_called_with_the_lock_held() -> None:
    def free() -> bool:
        """Whether another thread could take the lock."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(tier.lock.acquire, blocking=False).result()

    class Watched(Lru):
        def add(self, entry: Entry) -> None:
            calls.append(("add", free()))
            super().add(entry)

        def remove(self, entry: Entry) -> None:
            calls.append(("remove", free()))
            super().remove(entry)

        def touch(self, entry: Entry) -> None:
            calls.append(("touch", free()))
            super().touch(entry)

    calls: list[tuple[str, bool]] = []
    tier = MemoryTier(1, policy=Watched)
    tier.put("a", 1)
    tier.find("a")
    tier.put("b", 1)
    tier.delete("b")
    assert calls == [(name, False) for name in ("add", "touch", "remove", "add", "remove")]


FORK = """
import os, sys, threading
from labkit.cache.backends.memory import MemoryTier

tier, quiet, table = MemoryTier(), MemoryTier(), {}
entry = tier.put("k", 1, ttl=60, tags=["t"], size=3, alias=(table, "k"))
quiet.put("k", 1)
held, over = threading.Event(), threading.Event()

def hold():
    with tier.lock:
        held.set()
        over.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
with quiet.lock:
    child = os.fork()
if child == 0:
    # The lock's holder is not here: the tier begins anew and works; the other one is unchanged.
    fine = len(tier) == tier.bytes == len(table) == 0 and entry.deadline < 0
    tier.put("k", 2, tags=["t"])
    fine = fine and tier.find("k").value == 2 and tier.drop_tags(["t"]) == 1
    other = threading.Thread(target=quiet.delete, args=("k",))
    fine = fine and quiet.find("k").value == 1
    other.start()
    other.join(30)
    os._exit(0 if fine and len(quiet) == 0 else 1)
over.set()
thread.join()
_, status = os.waitpid(child, 0)
fine = tier.find("k").value == quiet.find("k").value == 1 and table["k"] is entry
sys.exit(os.waitstatus_to_exitcode(status) or not fine)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_not_stopped_by_a_lock_that_stayed_behind() -> None:
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)


def test_the_module_is_light() -> None:
    code = (
        "import sys; from labkit.cache.backends import memory; import labkit.cache.simulate; "
        "print({'numpy', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
