"""Each policy evicts exactly what the textbook says, in a tier that does what a model does."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from labkit.cache.backends.memory import MemoryTier
from labkit.cache.eviction import POLICIES, Fifo, Lru, Policy, Sieve, policy_of
from labkit.clock import FakeClock
from tests.scale import SEED, times

if TYPE_CHECKING:
    from labkit.cache.eviction import Entry

KEYS = [f"{letter}:{number}" for letter in "ab" for number in range(12)]
TAGS = ["red", "green", "blue"]
SWEEP = 8


class Kept:
    """A value of the model."""

    def __init__(self, value: int, deadline: float, tags: list[str], size: int) -> None:
        self.value, self.deadline, self.tags, self.size = value, deadline, tags, size
        self.stamp = 0


class Textbook:
    """An order of keys, oldest first; what FIFO is."""

    def __init__(self, kept: dict[str, Kept]) -> None:
        self.kept = kept
        self.queue: list[str] = []

    def add(self, key: str) -> None:
        self.queue.append(key)

    def remove(self, key: str) -> None:
        self.queue.remove(key)

    def replace(self, key: str) -> None:
        self.remove(key)
        self.add(key)

    def use(self, key: str) -> None:
        pass

    def victim(self) -> str:
        return self.queue[0]


class TextbookLru(Textbook):
    def use(self, key: str) -> None:
        self.replace(key)


class TextbookLfu(Textbook):
    def __init__(self, kept: dict[str, Kept]) -> None:
        super().__init__(kept)
        self.uses: dict[str, int] = {}

    def add(self, key: str) -> None:
        super().add(key)
        self.uses[key] = 1

    def replace(self, key: str) -> None:
        self.use(key)

    def use(self, key: str) -> None:
        self.uses[key] += 1
        self.queue.remove(key)
        self.queue.append(key)

    def victim(self) -> str:
        return min(self.queue, key=lambda key: self.uses[key])


class TextbookSieve(Textbook):
    def __init__(self, kept: dict[str, Kept]) -> None:
        super().__init__(kept)
        self.hand = 0
        self.used: set[str] = set()

    def remove(self, key: str) -> None:
        place = self.queue.index(key)
        self.queue.remove(key)
        self.used.discard(key)
        self.hand -= place < self.hand
        # A hand that falls off the newest end begins again at the oldest, whoever comes meanwhile.
        if self.hand == len(self.queue):
            self.hand = 0

    def use(self, key: str) -> None:
        self.used.add(key)

    def victim(self) -> str:
        while self.queue[self.hand] in self.used:
            self.used.remove(self.queue[self.hand])
            self.hand = (self.hand + 1) % len(self.queue)
        return self.queue[self.hand]


class TextbookTtl(Textbook):
    def victim(self) -> str:
        return min(self.queue, key=lambda key: (self.kept[key].deadline, self.kept[key].stamp))


TEXTBOOK = {
    "fifo": Textbook,
    "lru": TextbookLru,
    "lfu": TextbookLfu,
    "sieve": TextbookSieve,
    "ttl": TextbookTtl,
}

keys = st.sampled_from(KEYS)
ttls = st.none() | st.integers(0, 12)
tags = st.lists(st.sampled_from(TAGS), max_size=3)


class TierMachine(RuleBasedStateMachine):
    policy: str

    @initialize(
        maxsize=st.sampled_from([1, 2, 3, 5, 8, None]),
        max_bytes=st.sampled_from([None, None, 12, 30]),
    )
    def begin(self, maxsize: int | None, max_bytes: int | None) -> None:
        self.clock = FakeClock(1_000)
        self.tier = MemoryTier(maxsize, max_bytes=max_bytes, policy=self.policy, clock=self.clock)
        self.maxsize = math.inf if maxsize is None else maxsize
        self.max_bytes = math.inf if max_bytes is None else max_bytes
        self.kept: dict[str, Kept] = {}
        self.order = TEXTBOOK[self.policy](self.kept)
        self.table: dict[Any, Entry] = {}
        self.gone: list[Entry] = []
        self.evictions = self.expirations = self.stamps = 0

    def live(self, key: str) -> Kept | None:
        kept = self.kept.get(key)
        return kept if kept is not None and kept.deadline > self.clock() else None

    def take_out(self, key: str) -> bool:
        live = self.live(key) is not None
        self.expirations += not live
        self.order.remove(key)
        del self.kept[key]
        self.gone.append(self.table[key])
        return live

    def take_out_all(self, chosen: list[str]) -> int:
        return sum([self.take_out(key) for key in chosen])

    def schedule(self, key: str, deadline: float) -> None:
        self.stamps += 1
        self.kept[key].deadline, self.kept[key].stamp = deadline, self.stamps

    def sweep(self, most: int) -> int:
        over = [key for key in self.kept if not self.live(key)]
        over.sort(key=lambda key: (self.kept[key].deadline, self.kept[key].stamp))
        self.take_out_all(over[:most])
        return len(over[:most])

    def model_put(self, key: str, kept: Kept) -> bool:
        self.sweep(SWEEP)
        if kept.deadline <= self.clock() or kept.size > self.max_bytes:
            self.take_out_all([key] if key in self.kept else [])
            return False
        while True:
            others = [other for name, other in self.kept.items() if name != key]
            room = self.max_bytes - sum(other.size for other in others)
            if kept.size <= room and (key in self.kept or len(others) < self.maxsize):
                break
            if not self.sweep(1):
                self.take_out(self.order.victim())
                self.evictions += 1
        if key in self.kept:
            self.expirations += self.live(key) is None
            self.order.replace(key)
            self.gone.append(self.table[key])
        else:
            self.order.add(key)
        self.kept[key] = kept
        self.schedule(key, kept.deadline)
        return True

    @rule(key=keys, ttl=ttls, tags=tags, size=st.integers(0, 14), value=st.integers())
    def put(self, key: str, ttl: int | None, tags: list[str], size: int, value: int) -> None:
        deadline = math.inf if ttl is None else self.clock() + ttl
        expected = self.model_put(key, Kept(value, deadline, tags, size))
        alias = (self.table, key)
        entry = self.tier.put(key, value, ttl=ttl, tags=tags, size=size, alias=alias)
        assert (entry is not None) == expected

    @rule(many=st.lists(keys, unique=True, min_size=9), ttl=st.integers(1, 3))
    def put_many(self, many: list[str], ttl: int) -> None:
        for key in many:
            self.put(key, ttl, [], 1, 0)

    @rule(key=keys)
    def find(self, key: str) -> None:
        kept, entry = self.live(key), self.tier.find(key)
        if kept is None:
            assert entry is None
        else:
            assert entry is not None
            assert entry.value == kept.value
            self.order.use(key)

    @rule(key=keys)
    def hit_by_alias(self, key: str) -> None:
        entry = self.table.get(key)
        if entry is not None and entry.deadline > self.clock():
            entry.visited = True
            if not self.tier.marks:
                self.tier.touch(entry)
            self.order.use(key)

    @rule(key=keys, ttl=ttls)
    def extend(self, key: str, ttl: int | None) -> None:
        expected = self.live(key) is not None and ttl != 0
        if expected:
            self.schedule(key, math.inf if ttl is None else self.clock() + ttl)
        elif self.live(key):
            self.take_out(key)
        assert self.tier.extend(key, ttl) == expected

    @rule(key=keys)
    def delete(self, key: str) -> None:
        expected = self.take_out_all([key] if key in self.kept else [])
        assert self.tier.delete(key) == bool(expected)

    @rule(tags=tags)
    def drop_tags(self, tags: list[str]) -> None:
        chosen = [key for key, kept in self.kept.items() if set(tags) & set(kept.tags)]
        expected = self.take_out_all(chosen)
        assert self.tier.drop_tags(tags) == expected

    @rule(prefix=st.sampled_from(["a:", "b:1", "c", "a:11"]))
    def delete_prefix(self, prefix: str) -> None:
        expected = self.take_out_all([key for key in self.kept if key.startswith(prefix)])
        assert self.tier.delete_prefix(prefix) == expected

    @rule()
    def clear(self) -> None:
        expected = self.take_out_all(list(self.kept))
        assert self.tier.clear() == expected

    @rule(seconds=st.integers(0, 6))
    def keep_at_most(self, seconds: int) -> None:
        latest = self.clock() + seconds
        for key in self.kept:
            if self.kept[key].deadline > latest:
                self.schedule(key, latest)
        self.tier.keep_at_most(seconds)

    @rule()
    def purge(self) -> None:
        expected = self.sweep(len(self.kept))
        assert self.tier.purge() == expected

    @rule(seconds=st.integers(1, 5))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def agrees(self) -> None:
        live = [key for key in self.kept if self.live(key)]
        assert self.tier.keys() == live
        assert len(self.tier) == len(self.kept) <= self.maxsize
        assert self.tier.bytes == sum(kept.size for kept in self.kept.values()) <= self.max_bytes
        assert self.tier.evictions == self.evictions
        assert self.tier.expirations == self.expirations
        for key in KEYS:
            found, kept = self.tier.peek(key), self.live(key)
            assert (found and found.value) == (kept and kept.value)

    @invariant()
    def the_second_dictionary_has_the_same_entries(self) -> None:
        assert self.table.keys() == self.kept.keys()
        live = self.tier.keys()
        for key in live:
            assert self.table[key] is self.tier.peek(key)
        assert {entry.deadline for entry in self.gone} <= {-math.inf}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_tier_does_what_a_model_does_and_evicts_what_the_textbook_says(policy: str) -> None:
    machine = type("Machine", (TierMachine,), {"policy": policy})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=times(40), stateful_step_count=60, deadline=None)
    )


def survivors(policy: str, script: str, room: int = 3) -> str:
    """The letters that are left when each was asked for in turn, and put where it was missing."""
    tier = MemoryTier(room, policy=policy)
    for letter in script:
        if tier.find(letter) is None:
            tier.put(letter, letter)
    return "".join(sorted(tier.keys()))


@pytest.mark.parametrize(
    ("policy", "script", "left"),
    [
        ("fifo", "abcad", "bcd"),  # the use of a does not count
        ("lru", "abcad", "acd"),  # b is the longest unused
        ("lfu", "aabbcd", "abd"),  # c was used least
        ("lfu", "abbccad", "acd"),  # all but d twice: b is the longest unused
        ("sieve", "abcad", "acd"),  # the hand spares a and takes b
        ("sieve", "abcadacbef", "aef"),
        ("ttl", "abcad", "bcd"),  # none expires: the order of their coming
    ],
)
def test_a_short_story_ends_as_by_hand(policy: str, script: str, left: str) -> None:
    assert survivors(policy, script) == left


def test_a_popular_key_stays_popular_under_lfu_when_it_gets_a_new_value() -> None:
    tier = MemoryTier(2, policy="lfu")
    tier.put("popular", 1)
    for _ in range(3):
        tier.find("popular")
    tier.put("popular", 2)
    for key in ("x", "y", "y", "z"):
        tier.find(key) or tier.put(key, 0)
    assert tier.keys() == ["popular", "z"]


def test_what_expires_soonest_goes_first_under_ttl_also_after_it_was_extended() -> None:
    tier = MemoryTier(3, policy="ttl", clock=FakeClock())
    tier.put("never", 0)
    tier.put("late", 0, ttl=50)
    tier.put("soon", 0, ttl=10)
    tier.extend("soon", 90)
    tier.put("new", 0, ttl=70)
    assert tier.keys() == ["never", "soon", "new"]


def test_the_order_of_deadlines_outlives_many_deletions() -> None:
    source = random.Random(SEED)
    order = policy_of("ttl")
    tier = MemoryTier(None, policy=order, clock=FakeClock())
    deadlines = source.sample(range(1, 10_000), 500)
    for deadline in deadlines:
        tier.put(str(deadline), 0, ttl=deadline)
    for deadline in source.sample(deadlines, 400):
        tier.delete(str(deadline))
    left = sorted(tier.keys(), key=int)
    for key in left:
        assert order.victim().key == key
        tier.delete(key)


def test_a_policy_may_be_a_class_or_an_object() -> None:
    sieve = Sieve()
    assert policy_of(sieve) is sieve
    assert isinstance(policy_of(Fifo), Fifo)
    assert type(policy_of("lru")) is Lru


class Newest(Policy):
    """Evicts what was put last."""

    def __init__(self) -> None:
        self.stack: list[Entry] = []

    def add(self, entry: Entry) -> None:
        self.stack.append(entry)

    def remove(self, entry: Entry) -> None:
        self.stack.remove(entry)

    def victim(self) -> Entry:
        return self.stack[-1]

    def clear(self) -> None:
        self.stack.clear()


def test_a_policy_of_your_own_decides() -> None:
    tier = MemoryTier(2, policy=Newest)
    for key in "abc":
        tier.put(key, key)
        assert tier.find(key) is not None
    tier.put("a", "again")
    tier.put("d", "d")
    assert tier.keys() == ["c", "d"]


def test_an_unknown_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="policy is 'arc'; expected one of sieve, lru, lfu"):
        MemoryTier(policy="arc")
    with pytest.raises(TypeError, match="policy is 7; expected one of sieve"):
        MemoryTier(policy=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="policy is <class 'dict'>"):
        MemoryTier(policy=dict)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_cleared_policy_begins_anew(policy: str) -> None:
    order = policy_of(policy)
    tier = MemoryTier(5, policy=order, clock=FakeClock())
    for key in "abc":
        tier.put(key, key)
        tier.find(key)
    order.clear()
    fresh = [MemoryTier(None, clock=FakeClock()).put(key, key, ttl=9) for key in "de"]
    for entry in fresh:
        assert entry is not None
        entry.timer = None
        order.add(entry)
    assert order.victim() is fresh[0]
