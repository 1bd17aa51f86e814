"""The guard of a store among many callers: what is owed, and claims that nobody could end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache import Cache
from labkit.cache.background import Background
from labkit.cache.errors import Refused
from labkit.cache.guard import AWAY, Guard
from labkit.cache.steps import run
from labkit.clock import FakeClock
from tests.cache.crowd import until
from tests.cache.dict_store import DictTier
from tests.cache.test_faults import SHORT, Fragile

if TYPE_CHECKING:
    from collections.abc import Callable


def fragile_guard(clock: FakeClock) -> tuple[Fragile, Guard]:
    tier = Fragile()
    return tier, Guard(tier.open("test"), "dict", 1.0, Background(), clock)


def test_what_is_owed_meanwhile_does_not_put_off_the_next_try() -> None:
    clock = FakeClock(1000)
    tier, guard = fragile_guard(clock)
    tier.fails = lambda _: True
    assert run(guard.ask("delete", ["k"])) is AWAY
    for number in range(10):
        clock.advance(0.1)
        guard.remember("delete", [f"k{number}"])
    tier.fails = lambda _: False
    assert run(guard.ask("get", "k")) is None
    assert (guard.away, guard.owes) == (False, 0)


def test_a_store_that_owes_and_is_not_away_is_left_alone_from_then_on() -> None:
    clock = FakeClock(1000)
    _, guard = fragile_guard(clock)
    guard.remember("delete", ["k"])
    clock.advance(0.9)
    assert run(guard.ask("get", "k")) is AWAY
    clock.advance(0.2)
    assert run(guard.ask("get", "k")) is None


def test_what_is_owed_while_debts_are_paid_is_paid_before_anything_is_read() -> None:
    clock = FakeClock(1000)
    tier, guard = fragile_guard(clock)
    guard.remember("delete", ["k0"])
    clock.advance(2)
    asked: list[str] = []

    def another_writes(name: str) -> bool:
        asked.append(name)
        if name == "delete" and len(asked) < 50:
            guard.remember("delete", [f"k{len(asked)}"])
        return False

    tier.loses = another_writes
    assert run(guard.ask("get", "k")) is None
    assert asked == ["delete"] * 50 + ["get"]
    assert (guard.away, guard.owes) == (False, 0)


# --- Claims that nobody could end


def get_or_load(cache: Cache, load: Callable[[], int]) -> int:
    return cache.get_or_load("k", load)


def get_or_load_many(cache: Cache, load: Callable[[], int]) -> int:
    return cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, load()))["k"]


@pytest.mark.parametrize("ask", [get_or_load, get_or_load_many])
@pytest.mark.parametrize("how", ["fails", "loses", "left alone", "raises"])
def test_a_claim_that_could_not_be_ended_keeps_nobody_waiting(
    ask: Callable[[Cache, Callable[[], int]], int], how: str
) -> None:
    tier = Fragile()
    cache = Cache([tier], pause=SHORT if how != "left alone" else "20ms", lease="1h")

    def load() -> int:
        if how == "loses":
            tier.loses = lambda name: name.startswith("fill")
            return 1
        tier.fails = lambda _: True
        if how == "left alone":
            cache.get("another")  # from now on nobody asks for a while
            tier.fails = lambda _: False
        if how == "raises":
            raise LookupError
        return 1

    if how == "raises":
        with pytest.raises(LookupError):
            ask(cache, load)
    else:
        assert ask(cache, load) == 1
    waited: list[str] = []

    def waits(name: str) -> bool:
        waited.extend([name] * (name == "wait"))
        return name == "wait"

    tier.fails, tier.loses = waits, lambda _: False
    until(lambda: ask(cache, lambda: 2) == 2 and cache.get("k") == 2, "the recovery")
    assert waited == []


def test_a_claim_that_a_store_would_not_fill_does_not_count_as_away() -> None:
    class Refusing(DictTier):
        def open(self, namespace: str) -> Any:
            store: Any = super().open(namespace)

            def fill(*_: Any) -> bool:
                raise Refused("full")

            store.fill = fill
            return store

    cache = Cache([Refusing(lambda: 1.0)], lease="1h")
    assert cache.get_or_load("k", lambda: 1) == 1
    assert not cache.stats().tiers[-1].away


def test_nothing_is_owed_for_what_was_never_claimed() -> None:
    clock = FakeClock(1000)
    tier, guard = fragile_guard(clock)
    tier.fails = lambda _: True
    assert run(guard.ask("get", "k")) is AWAY
    for number in range(10):
        assert run(guard.ask("claim", f"k{number}", (), lease=1)) is AWAY
    assert guard.owes == 0
