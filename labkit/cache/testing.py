"""The test suite of the contract in `labkit.cache.backends.base`: run it on your own backend.

It needs pytest, and hypothesis for one of its tests, which is skipped without it. Give it a tier,
and a way to let time pass:

    from labkit.cache.testing import StoreContract
    from labkit.clock import FakeClock

    class TestMine(StoreContract):
        @pytest.fixture
        def tier(self):
            self.clock = FakeClock()
            return MyTier(clock=self.clock)

        def pass_time(self, seconds):
            self.clock.advance(seconds)

Stores whose methods are coroutine functions are tested too; each test has an event loop.
"""

# ruff: noqa: D102 - the name of a test is the sentence that describes it

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
import queue
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache.backends.base import Busy, Claim, Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

PATIENCE = 30.0
"""Seconds after which something that should have ended is taken for stuck."""

NEVER = 3600.0
"""Seconds that no test takes: of a time to live, a lease or a wait."""

KEYS = ("k", "ключ 鍵 🗝", " ", "a b\tc\n", "*?[a-z]", "v:1{x}", "%_'\"\\", "nul\0key", "k" * 10_000)
PREFIXES = ("a*", "a?", "a[bc]", "a%", "a_", "a\\", "ü", "a:")


class StoreContract:
    """Tests of one tier, as methods: inherit from it in a class whose name starts with `Test`.

    Give it a fixture `tier`. Every test opens a namespace of its own, so that they may share a
    server.
    """

    asynchronous: bool
    """Whether the methods of the store are coroutine functions; found out by asking it."""

    examples = 100
    """How many random histories are compared with a dictionary; fewer for a store that is slow."""

    # --- What a backend says of itself

    @pytest.fixture
    def tier(self) -> Any:
        """The tier to test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `tier` with your tier")

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the store: its times to live and its leases, not how long it waits.

        Move the clock that the store was given, or age what it has stored. Tests that need it are
        skipped where it is missing.
        """
        pytest.skip("pass_time is missing: say how time passes for this store")

    # --- What the tests are made of

    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        with asyncio.Runner() as self._runner:
            yield

    @pytest.fixture
    def store(self, tier: Any, _loop: None) -> Iterator[Any]:
        """A store in an empty namespace."""
        with self.opened(tier) as store:
            yield store

    def opened(self, tier: Any, namespace: str | None = None) -> Opened:
        """A store for a `with` block, in a namespace of its own unless one is given."""
        return Opened(self, tier.open(namespace or f"contract-{secrets.token_hex(8)}"))

    def call(self, answer: Any) -> Any:
        """What a method of the store answers, awaited where that is needed."""
        self.asynchronous = inspect.isawaitable(answer)
        return self._runner.run(_awaited(answer)) if self.asynchronous else answer

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Make calls to the store at the same time, in threads or as tasks; answers their answers.

        The first error is raised again.
        """
        return self._runner.run(_as_tasks(calls)) if self.asynchronous else _in_threads(calls)

    def read(self, store: Any, key: str, tags: Sequence[str] = ()) -> bytes | None:
        """The payload of a key, or None."""
        found = self.call(store.get(key, tags))
        assert found is None or isinstance(found, Found)
        return found.payload if found else None

    def claim(self, store: Any, key: str, tags: Sequence[str] = (), **how: Any) -> Claim:
        """Take a claim that has to be granted."""
        claim = self.call(store.claim(key, tags, **{"lease": NEVER, **how}))
        assert isinstance(claim, Claim), f"the claim of {key!r} was not granted: {claim}"
        return claim

    def busy(self, store: Any, key: str) -> bool:
        """Whether somebody else is told that the key is being loaded."""
        answer = self.call(store.claim(key, lease=NEVER))
        if isinstance(answer, Claim):
            self.call(store.release(answer))
        return isinstance(answer, Busy)

    # --- Values

    @pytest.mark.parametrize(
        "payload", [b"", b"\0", b"\0a\0", bytes(range(256)), b"x" * 1_000_000], ids=len
    )
    def test_bytes_come_back_as_they_were_stored(self, store: Any, payload: bytes) -> None:
        self.call(store.set("k", payload))
        self.call(store.set_many([("m", payload)], [None]))
        claim = self.claim(store, "f")
        assert self.call(store.fill(claim, payload))
        for key in ("k", "m", "f"):
            found = self.read(store, key)
            assert type(found) is bytes
            assert found == payload

    def test_a_key_that_was_never_stored_has_no_value(self, store: Any) -> None:
        assert self.read(store, "k") is None
        assert self.read(store, "k", ["t"]) is None

    def test_any_text_is_a_key_and_differs_from_every_other(self, store: Any) -> None:
        keys = [*KEYS, "K", "k ", "k\0", "nul"]
        for i, key in enumerate(keys):
            self.call(store.set(key, b"%d" % i))
        assert [self.read(store, key) for key in keys] == [b"%d" % i for i in range(len(keys))]
        assert self.call(store.delete(keys[:1])) == 1
        assert self.read(store, keys[0]) is None
        assert [self.read(store, key) for key in keys[1:]] == [
            b"%d" % i for i in range(1, len(keys))
        ]

    def test_the_last_value_that_was_stored_counts(self, store: Any) -> None:
        self.call(store.set("k", b"1", NEVER, ["t"]))
        self.call(store.set("k", b"22"))
        assert self.read(store, "k") == b"22"
        self.call(store.set_many([("k", b"3"), ("l", b"4"), ("k", b"5")], [None, None, None]))
        assert self.read(store, "k") == b"5"

    def test_a_value_that_is_replaced_loses_its_tags_and_its_time_to_live(self, store: Any) -> None:
        self.call(store.set("k", b"1", 10, ["t"]))
        self.call(store.set("k", b"2"))
        self.call(store.drop_tags(["t"]))
        assert self.read(store, "k") == b"2"
        assert self.call(store.get("k", ttl=True)).ttl is None

    def test_many_come_back_in_the_order_they_were_asked_for(self, store: Any) -> None:
        self.call(store.set_many([("a", b"1"), ("b", b"2")], [None, None], ["t"]))
        self.call(store.set("c", b"3"))
        found = self.call(store.get_many(["c", "no", "a", "c", "b", "a"]))
        assert [one and one.payload for one in found] == [b"3", None, b"1", b"3", b"2", b"1"]

    def test_many_may_be_none_and_may_be_thousands(self, store: Any) -> None:
        assert self.call(store.get_many([])) == []
        self.call(store.set_many([], []))
        assert self.call(store.delete([])) == 0
        self.call(store.drop_tags([]))
        items = [(f"k{i}", b"%d" % i) for i in range(2000)]
        self.call(store.set_many(items, [NEVER] * 2000))
        found = self.call(store.get_many([key for key, _ in reversed(items)], ttl=True))
        assert [one.payload for one in found] == [payload for _, payload in reversed(items)]
        assert self.call(store.delete([key for key, _ in items])) == 2000

    def test_deleting_answers_how_many_there_were(self, store: Any) -> None:
        self.call(store.set_many([("a", b"1"), ("b", b"2"), ("c", b"3")], [None] * 3))
        assert self.call(store.delete(["a", "no", "b", "a"])) == 2
        assert self.call(store.delete(["a"])) == 0
        assert [self.read(store, key) for key in "abc"] == [None, None, b"3"]

    # --- Time

    def test_the_time_to_live_is_answered_where_it_is_asked_for(self, store: Any) -> None:
        self.call(store.set("a", b"1", 100))
        self.call(store.set("b", b"2"))
        assert self.call(store.get("a", ttl=True)).ttl == about(100)
        assert self.call(store.get("b", ttl=True)) == Found(b"2", None)
        assert self.call(store.get("a")) == Found(b"1", None)
        assert self.call(store.get_many(["a"])) == [Found(b"1", None)]
        a, b, missing = self.call(store.get_many(["a", "b", "no"], ttl=True))
        assert a.ttl == about(100)
        assert (b, missing) == (Found(b"2", None), None)

    def test_a_value_lives_as_long_as_it_was_given(self, store: Any) -> None:
        self.call(store.set("a", b"1", 100))
        self.call(store.set_many([("b", b"2"), ("c", b"3"), ("d", b"4")], [100, 200, None]))
        assert self.call(store.fill(self.claim(store, "e"), b"5", 100))
        self.pass_time(50)
        assert [self.read(store, key) for key in "abcde"] == [b"1", b"2", b"3", b"4", b"5"]
        assert self.call(store.get("a", ttl=True)).ttl == about(50)
        self.pass_time(100)
        assert [self.read(store, key) for key in "abcde"] == [None, None, b"3", b"4", None]
        assert self.call(store.get_many(["a", "b"])) == [None, None]
        assert self.call(store.delete(["a", "b", "c"])) == 1

    def test_a_time_to_live_below_a_second_is_kept(self, store: Any) -> None:
        self.call(store.set("a", b"1", 0.4))
        self.pass_time(0.9)
        assert self.read(store, "a") is None

    def test_a_time_to_live_can_be_given_anew(self, store: Any) -> None:
        self.call(store.set("a", b"1", 100, ["t"]))
        self.call(store.set("b", b"2"))
        assert self.call(store.expire("a", 500)) is True
        assert self.call(store.expire("b", 100)) is True
        assert self.call(store.expire("no", 100)) is False
        self.pass_time(200)
        assert self.read(store, "a", ["t"]) == b"1"
        assert self.read(store, "b") is None
        assert self.call(store.expire("b", 100)) is False
        assert self.read(store, "b") is None

    # --- Tags

    def test_a_value_is_found_whatever_tags_are_expected(self, store: Any) -> None:
        self.call(store.set("k", b"1", NEVER, ["t", "u"]))
        self.call(store.set("plain", b"2"))
        for tags in (["t", "u"], ["u", "t"], ["t"], ["u"], [], ["w"], ["t", "w"], ["t", "u", "w"]):
            assert self.read(store, "k", tags) == b"1"
            assert self.read(store, "plain", tags) == b"2"

    def test_a_dropped_tag_hides_its_values_and_no_others(self, store: Any) -> None:
        tagged = {"a": ["t"], "b": ["t", "u"], "c": ["u", "t"], "d": ["u"], "e": []}
        for key, tags in tagged.items():
            self.call(store.set(key, key.encode(), NEVER, tags))
        self.call(store.drop_tags(["t", "never used"]))
        for key, tags in tagged.items():
            expected = None if "t" in tags else key.encode()
            assert self.read(store, key) == expected
            assert self.read(store, key, tags) == expected
        found = self.call(store.get_many(list(tagged)))
        assert [one and one.payload for one in found] == [None, None, None, b"d", b"e"]

    def test_several_tags_are_dropped_at_once(self, store: Any) -> None:
        for key, tag in (("a", "t"), ("b", "u"), ("c", "w")):
            self.call(store.set(key, b"1", None, [tag]))
        self.call(store.drop_tags(["u", "t"]))
        assert [self.read(store, key) for key in "abc"] == [None, None, b"1"]

    def test_a_value_that_was_dropped_stays_so_when_its_tag_is_used_again(self, store: Any) -> None:
        self.call(store.set("old", b"1", None, ["t"]))
        self.call(store.drop_tags(["t"]))
        self.call(store.set("new", b"2", NEVER, ["t"]))
        assert (self.read(store, "old"), self.read(store, "new")) == (None, b"2")
        assert (self.read(store, "old", ["t"]), self.read(store, "new", ["t"])) == (None, b"2")
        self.call(store.set("old", b"3", None, ["t"]))
        assert self.read(store, "old", ["t"]) == b"3"
        self.call(store.drop_tags(["t"]))
        assert (self.read(store, "old"), self.read(store, "new")) == (None, None)

    def test_tags_that_were_used_together_are_two(self, store: Any) -> None:
        self.call(store.set("both", b"1", None, ["t", "u"]))
        self.call(store.set("one", b"2", None, ["u"]))
        assert isinstance(self.call(store.claim("one", ["t"], lease=100, force=True)), Claim)
        self.call(store.set("one", b"3", None, ["u"]))
        self.call(store.drop_tags(["u"]))
        assert self.read(store, "one", ["t"]) is None
        assert isinstance(self.call(store.claim("one", ["t"], lease=100)), Claim)

    def test_a_tag_is_any_text_and_may_be_given_twice(self, store: Any) -> None:
        tags = ["t", "T", "тег 🏷", "a b", "*", "a:{b}", "%_'", "t" * 1000]
        for i, tag in enumerate(tags):
            self.call(store.set(f"k{i}", b"1", None, [tag, tag]))
        for i, tag in enumerate(tags):
            assert self.read(store, f"k{i}", [tag, tag]) == b"1"
            self.call(store.drop_tags([tag]))
            assert self.read(store, f"k{i}", [tag, tag]) is None

    def test_a_key_and_a_tag_of_the_same_name_are_two_things(self, store: Any) -> None:
        self.call(store.set("x", b"1", None, ["y"]))
        self.call(store.set("y", b"2", None, ["x"]))
        self.call(store.delete(["x"]))
        assert self.read(store, "y", ["x"]) == b"2"
        self.call(store.drop_tags(["x"]))
        assert self.read(store, "y") is None

    def test_a_tag_lives_as_long_as_any_value_that_carries_it(self, store: Any) -> None:
        self.call(store.set("long", b"1", 1000, ["t"]))
        self.call(store.set("ever", b"2", None, ["t"]))
        self.call(store.set("short", b"3", 10, ["t"]))
        claim = self.claim(store, "filled", ["u"], lease=100)
        assert self.call(store.fill(claim, b"4", 1000))
        self.claim(store, "loading", ["t", "u"], lease=10)
        self.pass_time(500)
        for key, tag in (("long", "t"), ("ever", "t"), ("filled", "u")):
            assert self.read(store, key, [tag]) is not None
        self.call(store.set("later", b"5", 10, ["t", "u"]))
        keys = ("long", "ever", "filled", "later")
        assert None not in [self.read(store, key) for key in keys]
        self.call(store.drop_tags(["t", "u"]))
        assert [self.read(store, key) for key in keys] == [None] * 4

    # --- Prefixes, everything, namespaces

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_a_prefix_deletes_the_keys_that_start_so_and_is_no_pattern(
        self, store: Any, prefix: str
    ) -> None:
        inside = [prefix, f"{prefix}x", f"{prefix}{prefix}", f"{prefix}鍵\n"]
        outside = ["a", "abc", "ab", "b", f" {prefix}", f"x{prefix}", prefix[:-1] + "~", "A*", "ù"]
        keys = inside + outside
        self.call(store.set_many([(key, b"1") for key in keys], [None, *[NEVER] * (len(keys) - 1)]))
        assert self.call(store.delete_prefix(prefix)) == len(inside)
        assert [key for key in keys if self.read(store, key)] == outside
        assert self.call(store.delete_prefix(prefix)) == 0

    def test_the_empty_prefix_deletes_every_key(self, store: Any) -> None:
        self.call(store.set_many([("a", b"1"), ("\U0010ffff", b"2"), ("", b"3")], [None] * 3))
        assert self.call(store.delete_prefix("")) == 3
        assert [self.read(store, key) for key in ("a", "\U0010ffff", "")] == [None] * 3

    def test_clear_hides_every_value(self, store: Any) -> None:
        self.call(store.set("a", b"1"))
        self.call(store.set("b", b"2", NEVER, ["t"]))
        self.call(store.clear())
        assert [self.read(store, key) for key in "ab"] == [None, None]
        assert self.read(store, "b", ["t"]) is None
        self.call(store.set("b", b"3", NEVER, ["t"]))
        assert self.read(store, "a") is None
        assert self.read(store, "b", ["t"]) == b"3"
        self.call(store.clear())
        assert self.read(store, "b") is None

    def test_namespaces_know_nothing_of_each_other(self, tier: Any, store: Any) -> None:
        with self.opened(tier) as other:
            claim = self.claim(store, "loading", ["t"])
            self.call(store.set("k", b"1", None, ["t"]))
            self.call(other.set("k", b"2", None, ["t"]))
            mine = self.claim(other, "loading", ["t"])
            self.call(other.drop_tags(["t"]))
            self.call(other.delete(["k", "loading"]))
            self.call(other.delete_prefix(""))
            self.call(other.clear())
            assert self.read(store, "k", ["t"]) == b"1"
            assert self.read(other, "k") is None
            assert not self.call(other.fill(mine, b"3"))
            assert self.call(store.fill(claim, b"4"))
            assert self.read(other, "loading") is None

    def test_the_stores_of_one_namespace_share_everything(self, tier: Any) -> None:
        name = f"contract-{secrets.token_hex(8)}"
        with self.opened(tier, name) as one, self.opened(tier, name) as other:
            self.call(one.set("k", b"1", None, ["t"]))
            assert self.read(other, "k", ["t"]) == b"1"
            self.call(other.drop_tags(["t"]))
            assert self.read(one, "k", ["t"]) is None
            claim = self.claim(one, "k")
            assert self.busy(other, "k")
            self.call(other.delete(["k"]))
            assert not self.call(one.fill(claim, b"2"))

    # --- Claims

    def test_one_caller_at_a_time_has_the_claim_of_a_key(self, store: Any) -> None:
        claim = self.claim(store, "k", ["t"], lease=100)
        assert (claim.key, tuple(claim.tags)) == ("k", ("t",))
        answer = self.call(store.claim("k", ["t"], lease=NEVER))
        assert isinstance(answer, Busy)
        assert answer.seconds == about(100)
        self.claim(store, "another key")

    def test_a_filled_claim_is_the_value_and_is_over(self, store: Any) -> None:
        claim = self.claim(store, "k", ["t"])
        assert self.call(store.fill(claim, b"1", 100)) is True
        assert self.read(store, "k", ["t"]) == b"1"
        assert self.call(store.get("k", ttl=True)).ttl == about(100)
        assert self.call(store.fill(claim, b"2")) is False
        assert self.read(store, "k") == b"1"
        self.call(store.delete(["k"]))
        assert not self.busy(store, "k")

    def test_a_filled_value_carries_the_tags_of_its_claim(self, store: Any) -> None:
        assert self.call(store.fill(self.claim(store, "k", ["t", "u"]), b"1"))
        self.call(store.drop_tags(["u"]))
        assert self.read(store, "k") is None

    def test_several_claims_are_each_as_one(self, store: Any) -> None:
        self.call(store.set("stored", b"1", NEVER, ["t"]))
        self.claim(store, "taken", ["t"])
        answers = self.call(store.claim_many(["free", "stored", "taken"], ["t"], lease=100))
        assert [type(answer) for answer in answers] == [Claim, Found, Busy]
        assert (answers[0].key, tuple(answers[0].tags)) == ("free", ("t",))
        assert answers[1].payload == b"1"
        assert self.busy(store, "free")
        assert self.call(store.claim_many([], ["t"], lease=100)) == []

    def test_several_fills_are_each_as_one(self, store: Any) -> None:
        first, second, third = self.call(store.claim_many(["a", "b", "c"], ["t"], lease=100))
        self.call(store.delete(["b"]))
        fills = [(first, b"1", 100), (second, b"2", 100), (third, b"3", None)]
        assert self.call(store.fill_many(fills)) == [True, False, True]
        assert [self.read(store, key) for key in "abc"] == [b"1", None, b"3"]
        assert self.call(store.get("c", ttl=True)).ttl is None
        assert not self.busy(store, "a")
        self.call(store.drop_tags(["t"]))
        assert [self.read(store, key) for key in "abc"] == [None, None, None]
        assert self.call(store.fill_many([])) == []

    def test_a_value_is_found_with_the_tags_that_it_carries(self, store: Any) -> None:
        self.call(store.set("tagged", b"1", NEVER, ["t", "u"]))
        self.call(store.set("plain", b"2"))
        for expected in ((), ("t",), ("t", "u"), ("w",)):
            assert set(self.call(store.get("tagged", expected)).tags) == {"t", "u"}
            assert tuple(self.call(store.get("plain", expected)).tags) == ()
        tagged, plain = self.call(store.get_many(["tagged", "plain"]))
        assert (set(tagged.tags), tuple(plain.tags)) == ({"t", "u"}, ())
        assert set(self.call(store.claim("tagged", ["t", "u"], lease=100)).tags) == {"t", "u"}

    def test_a_claim_finds_the_value_that_is_there_by_then(self, store: Any) -> None:
        self.call(store.set("a", b"1", NEVER, ["t"]))
        self.call(store.set("b", b"2"))
        for key, tags, payload in (("a", ["t"], b"1"), ("b", [], b"2")):
            found = self.call(store.claim(key, tags, lease=NEVER))
            assert isinstance(found, Found)
            assert found.payload == payload
        self.call(store.drop_tags(["t"]))
        self.claim(store, "a", ["t"])
        self.call(store.delete(["b"]))
        self.claim(store, "b")

    def test_a_value_that_has_expired_is_not_found_by_a_claim(self, store: Any) -> None:
        self.call(store.set("k", b"1", 100, ["t"]))
        self.pass_time(150)
        self.claim(store, "k", ["t"])

    def test_force_takes_the_claim_whoever_has_it_and_whatever_is_stored(self, store: Any) -> None:
        first = self.claim(store, "k", ["t"])
        second = self.claim(store, "k", ["t"], force=True)
        assert self.call(store.fill(first, b"1")) is False
        self.call(store.release(first))
        assert self.busy(store, "k")
        assert self.call(store.fill(second, b"2")) is True
        third = self.claim(store, "k", ["t"], force=True)
        assert self.read(store, "k", ["t"]) == b"2"
        assert self.call(store.fill(third, b"3")) is True
        assert self.read(store, "k", ["t"]) == b"3"

    def test_a_claim_over_a_value_leaves_it_until_it_is_filled(self, store: Any) -> None:
        self.call(store.set("k", b"1", NEVER, ["t"]))
        claim = self.claim(store, "k", ["t"], over=True)
        answer = self.call(store.claim("k", ["t"], lease=NEVER, over=True))
        assert isinstance(answer, Busy)
        assert self.read(store, "k", ["t"]) == b"1"
        assert isinstance(self.call(store.claim("k", ["t"], lease=NEVER)), Found)
        assert self.call(store.fill(claim, b"2")) is True
        assert self.read(store, "k", ["t"]) == b"2"
        self.claim(store, "no value", over=True)

    def test_a_claim_to_write_drops_the_value_that_is_there(self, store: Any) -> None:
        self.call(store.set("k", b"1", NEVER, ["t"]))
        claim = self.claim(store, "k", ["t"], write=True)
        assert self.read(store, "k", ["t"]) is None
        assert self.busy(store, "k")
        assert self.call(store.fill(claim, b"2", 100)) is True
        assert self.read(store, "k", ["t"]) == b"2"
        self.call(store.release(self.claim(store, "k", ["t"], write=True)))
        assert self.read(store, "k", ["t"]) is None
        self.claim(store, "no value", write=True)

    def test_a_claim_to_write_waits_for_the_load_that_is_under_way(self, store: Any) -> None:
        self.call(store.set("k", b"1"))
        load = self.claim(store, "k", over=True)
        answer = self.call(store.claim("k", lease=NEVER, write=True))
        assert isinstance(answer, Busy)
        assert self.read(store, "k") == b"1"
        assert self.call(store.fill(load, b"2")) is True
        self.claim(store, "k", write=True)

    def test_nobody_takes_a_claim_to_write_away(self, store: Any) -> None:
        claim = self.claim(store, "k", ["t"], lease=100, write=True)
        for how in ({}, {"force": True}, {"over": True}, {"write": True}):
            answer = self.call(store.claim("k", ["t"], lease=NEVER, **how))
            assert isinstance(answer, Busy), how
            assert answer.seconds == about(100)
        assert self.call(store.fill(claim, b"1")) is True
        self.claim(store, "k", ["t"], lease=100, write=True)
        self.pass_time(150)
        self.claim(store, "k", ["t"], write=True)

    def test_several_claims_over_values_are_each_as_one(self, store: Any) -> None:
        self.call(store.set("stored", b"1"))
        self.claim(store, "taken")
        answers = self.call(store.claim_many(["stored", "taken", "free"], lease=100, over=True))
        assert [type(answer) for answer in answers] == [Claim, Busy, Claim]
        self.call(store.release(answers[0]))
        assert self.read(store, "stored") == b"1"

    def test_a_released_key_is_free_again(self, store: Any) -> None:
        claim = self.claim(store, "k", ["t"])
        self.call(store.release(claim))
        assert self.call(store.fill(claim, b"1")) is False
        self.call(store.release(claim))
        assert self.read(store, "k") is None
        second = self.claim(store, "k", ["t"])
        self.call(store.release(claim))
        assert self.busy(store, "k")
        assert self.call(store.fill(second, b"2")) is True

    def test_the_value_stays_when_a_forced_claim_is_released(self, store: Any) -> None:
        self.call(store.set("k", b"1"))
        self.call(store.release(self.claim(store, "k", force=True)))
        assert self.read(store, "k") == b"1"

    def test_a_claim_whose_lease_has_run_out_is_refused(self, store: Any) -> None:
        claim = self.claim(store, "k", ["t"], lease=100)
        self.pass_time(50)
        assert self.busy(store, "k")
        self.pass_time(100)
        assert self.call(store.fill(claim, b"1")) is False
        assert self.read(store, "k") is None
        self.claim(store, "k", ["t"])

    def test_a_late_caller_does_not_disturb_the_one_that_took_over(self, store: Any) -> None:
        late = self.claim(store, "k", ["t"], lease=100)
        self.pass_time(150)
        current = self.claim(store, "k", ["t"], lease=100)
        self.call(store.release(late))
        assert self.call(store.fill(late, b"late")) is False
        assert self.busy(store, "k")
        assert self.read(store, "k") is None
        assert self.call(store.fill(current, b"1")) is True
        assert self.read(store, "k", ["t"]) == b"1"

    # --- Fences

    @pytest.mark.parametrize("change", ["set", "set_many", "delete", "drop", "prefix", "clear"])
    @pytest.mark.parametrize("force", [False, True])
    def test_a_load_is_refused_when_its_value_was_changed_meanwhile(
        self, store: Any, change: str, force: bool
    ) -> None:
        if force:
            self.call(store.set("key", b"stored", None, ["t", "u"]))
        claim = self.claim(store, "key", ["t", "u"], force=force)
        self._change(store, change)
        stored = b"new" if change.startswith("set") else None
        assert self.read(store, "key", ["t", "u"]) == stored
        assert self.call(store.fill(claim, b"loaded")) is False
        assert self.read(store, "key", ["t", "u"]) == stored
        self.call(store.delete(["key"]))
        assert self.call(store.fill(self.claim(store, "key", ["t", "u"]), b"again")) is True
        assert self.read(store, "key", ["t", "u"]) == b"again"

    def _change(self, store: Any, change: str) -> None:
        if change == "set":
            self.call(store.set("key", b"new"))
        elif change == "set_many":
            self.call(store.set_many([("other", b"1"), ("key", b"new")], [None, None]))
        elif change == "delete":
            self.call(store.delete(["other", "key"]))
        elif change == "drop":
            self.call(store.drop_tags(["other", "u"]))
        elif change == "prefix":
            self.call(store.delete_prefix("ke"))
        else:
            self.call(store.clear())

    def test_a_load_that_was_refused_has_ended(self, store: Any) -> None:
        claim = self.claim(store, "k", ["t"])
        self.call(store.drop_tags(["t"]))
        assert self.call(store.fill(claim, b"1")) is False
        assert not self.busy(store, "k")

    def test_a_change_before_the_claim_refuses_nothing(self, store: Any) -> None:
        self.call(store.set("k", b"1", None, ["t"]))
        self.call(store.drop_tags(["t"]))
        self.call(store.delete_prefix("k"))
        self.call(store.clear())
        assert self.call(store.fill(self.claim(store, "k", ["t"]), b"2")) is True
        assert self.read(store, "k", ["t"]) == b"2"

    def test_changes_to_other_keys_and_tags_refuse_nothing(self, store: Any) -> None:
        claim = self.claim(store, "k", ["t"])
        second = self.claim(store, "k2", ["u"])
        self.call(store.set("K", b"1", None, ["t"]))
        self.call(store.set_many([("k3", b"1"), ("", b"2")], [None, 10], ["t", "u"]))
        self.call(store.delete(["k3", "t", "no"]))
        self.call(store.drop_tags(["u", "T", "k"]))
        assert self.call(store.fill(second, b"2")) is False
        assert self.call(store.fill(claim, b"3")) is True
        assert self.read(store, "k", ["t"]) == b"3"

    # --- Waiting

    @pytest.mark.parametrize("how", ["fill", "release"])
    def test_whoever_waits_goes_on_when_the_claim_ends(self, store: Any, how: str) -> None:
        claim = self.claim(store, "k")
        assert self.busy(store, "k")

        def end() -> Any:
            return store.fill(claim, b"1") if how == "fill" else store.release(claim)

        # First a short wait, so that the others are waiting by then.
        def wait_and_end() -> Any:
            store.wait("k", 0.2)
            return end()

        async def wait_and_end_as_task() -> Any:
            await store.wait("k", 0.2)
            return await end()

        last = wait_and_end_as_task if self.asynchronous else wait_and_end
        self.together(*[lambda: store.wait("k", NEVER)] * 3, last)
        assert self.read(store, "k") == (b"1" if how == "fill" else None)

    def test_whoever_waits_goes_on_after_the_time_it_gave(self, store: Any) -> None:
        claim = self.claim(store, "k")
        assert self.busy(store, "k")
        self.together(*[lambda: store.wait("k", 0.05)] * 3)
        assert self.busy(store, "k")
        assert self.call(store.fill(claim, b"1"))

    def test_waiting_for_nothing_ends_too(self, store: Any) -> None:
        self.together(lambda: store.wait("k", 0.05))

    # --- Many at a time

    def test_of_many_callers_one_gets_the_claim(self, store: Any) -> None:
        for key in ("a", "b", "c"):
            answers = self.together(*[lambda k=key: store.claim(k, ["t"], lease=NEVER)] * 8)
            assert sorted(type(answer).__name__ for answer in answers) == ["Busy"] * 7 + ["Claim"]

    def test_of_many_fills_of_one_claim_one_counts(self, store: Any) -> None:
        claim = self.claim(store, "k")
        fills = [lambda i=i: store.fill(claim, b"%d" % i) for i in range(8)]
        kept = self.together(*fills)
        assert sorted(kept) == [False] * 7 + [True]
        assert self.read(store, "k") == b"%d" % kept.index(True)

    def test_writes_at_the_same_time_all_arrive(self, store: Any) -> None:
        writes = [lambda i=i: store.set(f"k{i}", b"%d" % i, NEVER, ["t"]) for i in range(8)]
        same = [lambda i=i: store.set("same", bytes([i]) * 1000) for i in range(8)]
        self.together(*writes, *same)
        assert [self.read(store, f"k{i}", ["t"]) for i in range(8)] == [b"%d" % i for i in range(8)]
        assert self.read(store, "same") in [bytes([i]) * 1000 for i in range(8)]

    def test_a_value_is_read_whole_while_it_is_written(self, store: Any) -> None:
        whole = [bytes([i]) * 50_000 for i in range(8)]
        self.call(store.set("k", whole[0]))
        writes = [lambda payload=payload: store.set("k", payload) for payload in whole]
        answers = self.together(*writes, *[lambda: store.get("k")] * 8)
        assert all(found.payload in whole for found in answers[8:])

    def test_closing_twice_is_harmless(self, tier: Any) -> None:
        with self.opened(tier) as store:
            self.call(store.set("k", b"1"))
            self.call(store.close())
            self.call(store.close())

    # --- Everything, in any order

    def test_whatever_came_before_it_does_what_a_plain_dictionary_does(self, tier: Any) -> None:
        pytest.importorskip("hypothesis")
        from hypothesis import given, settings
        from hypothesis.strategies import lists, randoms, sampled_from

        timed = type(self).pass_time is not StoreContract.pass_time
        steps = [name for name in STEPS if timed or name != "pass_time"]

        @settings(deadline=None, max_examples=self.examples)
        @given(lists(sampled_from(steps), min_size=30, max_size=60), randoms(use_true_random=True))
        def check(names: list[str], random: Random) -> None:
            with self.opened(tier) as store:
                walk = Walk(self, store, random)
                for name in names:
                    getattr(walk, name)()
                    walk.compare()

        check()


def about(seconds: float) -> Any:
    """Equals what is left of a time some moments later."""
    return pytest.approx(seconds, abs=10)


class Opened:
    """A store that is closed at the end of a `with` block."""

    def __init__(self, contract: StoreContract, store: Any) -> None:
        self._contract = contract
        self._store = store

    def __enter__(self) -> Any:
        self._contract.call(self._store.get(""))  # shows whether its methods are coroutines
        return self._store

    def __exit__(self, *_: object) -> None:
        self._contract.call(self._store.close())


async def _awaited(answer: Any) -> Any:
    return await answer


async def _as_tasks(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*[call() for call in calls])


def _in_threads(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The answers of calls that start at the same time, each in a thread."""
    answers: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
    start = threading.Barrier(len(calls))

    def run(number: int, call: Callable[[], Any]) -> None:
        start.wait(PATIENCE)
        try:
            answers.put((number, call(), None))
        except BaseException as error:
            answers.put((number, None, error))

    for number, call in enumerate(calls):
        threading.Thread(target=run, args=(number, call), daemon=True).start()
    result: list[Any] = [None] * len(calls)
    for ended in range(len(calls)):
        try:
            number, result[number], error = answers.get(timeout=PATIENCE)
        except queue.Empty:
            pytest.fail(f"{len(calls) - ended} of {len(calls)} calls did not end")
        if error:
            raise error
    return result


# --- A plain dictionary that does the same

STEPS = (
    "compare",  # changes nothing: what hypothesis puts in for a step that does not matter
    *("set", "set_many", "expire", "delete", "drop_tags", "delete_prefix", "clear"),
    *("claim", "claim", "claim", "fill", "fill", "release", "pass_time"),
)
TIMES = (50.0, 150.0, 250.0)  # time passes by the hundred: what has expired is never in doubt
HOWS: tuple[tuple[str, ...], ...] = ((), (), (), ("force",), ("over",), ("write",))  # of a claim
MODEL_KEYS = ("a", "ab", "b")
MODEL_TAGS = ("t", "u")


@dataclass
class Value:
    """What the dictionary holds."""

    payload: bytes
    until: float
    tags: list[str]
    hidden: bool = False  # by a tag or clear: a store may keep it, but not show it


@dataclass
class Load:
    """A claim that was granted."""

    claim: Claim
    until: float
    sound: bool | None = True  # whether a fill counts; None: the store may choose
    writes: bool = False


class Walk:
    """Takes steps with a store and a dictionary, and compares what they answer."""

    def __init__(self, contract: StoreContract, store: Any, random: Random) -> None:
        self._contract = contract
        self._store = store
        self._random = random
        self._now = 0.0
        self._values: dict[str, Value] = {}
        self._loads: list[Load] = []
        self._holders: dict[str, Load] = {}
        self._payloads = (b"%d" % i for i in itertools.count())

    def compare(self) -> None:
        """Every value is there, with its time to live, however it is asked for."""
        found = self._do("get_many", MODEL_KEYS)
        for key, one in zip(MODEL_KEYS, found, strict=True):
            value = self._shown(key)
            single = self._do("get", key, self._some(MODEL_TAGS), ttl=True)
            assert (one and one.payload) == (single and single.payload) == (value and value.payload)
            if value:
                endless = value.until == math.inf
                assert single.ttl == (None if endless else about(value.until - self._now))

    def set(self) -> None:
        key, payload, tags = self._key(), next(self._payloads), self._some(MODEL_TAGS)
        ttl = self._ttl()
        self._do("set", key, payload, ttl, tags)
        self._store_value(key, payload, ttl, tags)

    def set_many(self) -> None:
        tags = self._some(MODEL_TAGS)
        items = [(key, next(self._payloads)) for key in self._some(MODEL_KEYS)]
        ttls = [self._ttl() for _ in items]
        self._do("set_many", items, ttls, tags)
        for (key, payload), ttl in zip(items, ttls, strict=True):
            self._store_value(key, payload, ttl, tags)

    def expire(self) -> None:
        key, ttl = self._key(), self._random.choice(TIMES)
        done = self._do("expire", key, ttl)
        value = self._shown(key)
        if value:
            value.until = self._now + ttl
        assert done is bool(value) or self._may_be_kept(key)

    def delete(self) -> None:
        keys = self._some(MODEL_KEYS)
        self._removed(keys, self._do("delete", keys))
        self._refuse(lambda load: load.claim.key in keys)

    def delete_prefix(self) -> None:
        prefix = self._random.choice(["", "a", "ab", "b", "?", "x"])
        keys = [key for key in MODEL_KEYS if key.startswith(prefix)]
        self._removed(keys, self._do("delete_prefix", prefix))
        for load in self._loads:
            load.sound = load.sound and None
        self._refuse(lambda load: load.claim.key in keys)

    def drop_tags(self) -> None:
        tags = self._some(MODEL_TAGS)
        self._do("drop_tags", tags)
        for value in self._values.values():
            value.hidden |= not {*tags}.isdisjoint(value.tags)
        self._refuse(lambda load: not {*tags}.isdisjoint(load.claim.tags))

    def clear(self) -> None:
        self._do("clear")
        for value in self._values.values():
            value.hidden = True
        self._refuse(lambda load: True)

    def claim(self) -> None:
        key, lease = self._key(), self._random.choice(TIMES)
        how = self._random.choice(HOWS)
        value, holder = self._shown(key), self._holders.get(key)
        tags = value.tags if value else self._some(MODEL_TAGS)
        answer = self._do("claim", key, tags, lease=lease, **dict.fromkeys(how, True))
        if value and not how:
            assert isinstance(answer, Found)
            assert answer.payload == value.payload
            return
        forced = how == ("force",) and not (holder and holder.writes)
        if holder and holder.until > self._now and not forced:
            # One that has lost its right may count as long as its lease, or not.
            assert isinstance(answer, Busy) or not holder.sound
            if isinstance(answer, Busy):
                assert 0 < answer.seconds <= holder.until - self._now + 1
                return
        assert isinstance(answer, Claim)
        if holder:
            holder.sound = False
        if how == ("write",):
            self._values.pop(key, None)
        self._holders[key] = Load(answer, self._now + lease, writes=how == ("write",))
        self._loads.append(self._holders[key])

    def fill(self) -> None:
        if not self._loads:
            return
        load, payload, ttl = self._random.choice(self._loads), next(self._payloads), self._ttl()
        kept = self._do("fill", load.claim, payload, ttl)
        sound = load.sound if load.until > self._now else False
        assert kept is sound or sound is None
        if kept:
            self._store_value(load.claim.key, payload, ttl, list(load.claim.tags))
        self._end(load)

    def release(self) -> None:
        if self._loads:
            load = self._random.choice(self._loads)
            self._do("release", load.claim)
            self._end(load)

    def pass_time(self) -> None:
        self._contract.pass_time(100)
        self._now += 100

    def _do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._contract.call(getattr(self._store, method)(*args, **kwargs))

    def _key(self) -> str:
        return self._random.choice(MODEL_KEYS)

    def _ttl(self) -> float | None:
        return self._random.choice([*TIMES, None])

    def _some(self, words: Sequence[str]) -> list[str]:
        return self._random.sample(words, self._random.randint(0, len(words)))

    def _shown(self, key: str) -> Value | None:
        value = self._values.get(key)
        return value if value and not value.hidden and value.until > self._now else None

    def _may_be_kept(self, key: str) -> bool:
        return key in self._values and self._values[key].hidden

    def _store_value(self, key: str, payload: bytes, ttl: float | None, tags: list[str]) -> None:
        until = math.inf if ttl is None else self._now + ttl
        self._values[key] = Value(payload, until, tags)
        self._refuse(lambda load: load.claim.key == key)

    def _removed(self, keys: list[str], count: int) -> None:
        shown = sum(self._shown(key) is not None for key in keys)
        assert shown <= count <= shown + sum(self._may_be_kept(key) for key in keys)
        for key in keys:
            self._values.pop(key, None)

    def _refuse(self, which: Callable[[Load], bool]) -> None:
        for load in self._loads:
            if which(load):
                load.sound = False

    def _end(self, load: Load) -> None:
        load.sound = False
        if self._holders.get(load.claim.key) is load:
            del self._holders[load.claim.key]
