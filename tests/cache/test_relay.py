"""The relay: every change that was noted down is acted on, whatever fails, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import prometheus_client
import pytest
from hypothesis import given, settings

from labkit import LocalServer, newsroom
from labkit.cache import AsyncCache, Cache, MemoryTier, RedisTier, Unavailable
from labkit.cache.invalidation import Invalidations, key
from labkit.cache.metrics import RelayCollector
from labkit.cache.relay import AsyncRelay, Relay
from labkit.clock import FakeClock
from labkit.newsroom import Change
from labkit.server import find_server
from tests.cache.crowd import PATIENCE, until
from tests.cache.dict_store import DictTier
from tests.cache.test_invalidation import Failing
from tests.postgres import find_postgres, postgres
from tests.project import PROJECT
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Note:
    id: int
    at: float
    change: Any


class Box:
    """An outbox in a list."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.asked: list[int] = []
        self._ids = itertools.count(1)

    def add(self, *changes: Any, at: float = 0.0) -> None:
        self.notes += [Note(next(self._ids), at, change) for change in changes]

    def outbox(self, most: int) -> list[Note]:
        self.asked.append(most)
        return self.notes[:most]

    def done(self, ids: Sequence[int]) -> None:
        self.notes = [note for note in self.notes if note.id not in ids]


class SlowBox(Box):
    """An outbox that tells when something is noted down."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()
        self.waits: list[float] = []

    def add(self, *changes: Any, at: float = 0.0) -> None:
        super().add(*changes, at=at)
        self.told.set()

    def wait_for_changes(self, seconds: float) -> bool:
        self.waits.append(seconds)
        found = self.told.wait(seconds)
        self.told.clear()
        return found


class LaterBox(Box):
    """An outbox whose methods are coroutine functions."""

    async def outbox(self, most: int) -> list[Note]:  # type: ignore[override]
        return super().outbox(most)

    async def done(self, ids: Sequence[int]) -> None:  # type: ignore[override]
        super().done(ids)


# --- One batch


def test_changes_are_handled_together_and_then_done() -> None:
    box, seen = Box(), list[Any]()
    box.add("a", "b", "c")

    def handle(changes: list[Any]) -> None:
        assert len(box.notes) == 3  # not done yet
        seen.append(changes)

    relay = Relay(box, handle)
    assert relay.once() == 3
    assert seen == [["a", "b", "c"]]
    assert box.notes == []
    assert relay.once() == 0
    assert len(seen) == 1
    assert relay.stats().handled == 3


def test_a_batch_is_so_large_and_no_larger() -> None:
    box, seen = Box(), list[Any]()
    box.add(*range(5))
    relay = Relay(box, seen.append, batch=2)
    assert [relay.once() for _ in range(4)] == [2, 2, 1, 0]
    assert seen == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("answer", [None, True, 0, [], ["x"]])
def test_only_false_says_that_it_could_not_be_done(answer: Any) -> None:
    box = Box()
    box.add("a")
    assert Relay(box, lambda changes: answer).once() == 1


def test_what_a_store_has_not_heard_of_is_not_done() -> None:
    """The invalidation is owed by this process, which may end before the store is back."""
    tier = Failing(DictTier().open("n"))
    cache = Cache([MemoryTier(), tier], pause="1ms")
    rules = Invalidations(cache)
    rules.on(str)(lambda event: key(event))
    cache.set("a", "old")
    box = Box()
    box.add("a")
    relay = Relay(box, rules.tell_all)
    tier.down = True
    assert relay.once() == 0
    assert len(box.notes) == 1
    state = relay.stats()
    assert (state.handled, state.failures, state.away, state.stuck) == (0, 1, True, 0)
    assert "has not heard" in str(state.error)
    assert tier.store.get("a") is not None
    tier.down = False
    until(relay.once, "the change is handled")
    assert tier.store.get("a") is None
    assert (relay.stats().handled, relay.stats().away) == (1, False)


@pytest.mark.parametrize("error", [Unavailable("down"), ConnectionError("down")])
def test_what_raises_is_not_done(error: Exception) -> None:
    box, fails = Box(), [True]
    box.add("a", at=5.0)
    clock = FakeClock(10)

    def handle(changes: list[Any]) -> None:
        if fails:
            raise error

    relay = Relay(box, handle, clock=clock)
    assert relay.once() == 0
    assert len(box.notes) == 1
    assert repr(error) == relay.stats().error
    fails.clear()
    clock.advance(1)
    assert relay.once() == 1
    assert relay.stats().lag == (6.0, 6.0, 6.0)


def test_one_that_cannot_be_handled_holds_up_no_other() -> None:
    box, clock, tries = Box(), FakeClock(1_000), list[Any]()

    def handle(changes: list[Any]) -> None:
        tries.append(changes)
        if "bad" in changes:
            raise ValueError("bad")

    relay = Relay(box, handle, batch=3, pause=10, longest=40, clock=clock)
    box.add("a", "bad", "b")
    assert relay.once() == 2
    assert tries == [["a", "bad", "b"], ["a"], ["bad"], ["b"]]
    assert [note.change for note in box.notes] == ["bad"]
    box.add("c", "d", "e")
    assert relay.once() == 3  # at once, together, and as many as fit into a batch
    assert tries[4:] == [["c", "d", "e"]]
    waits = []
    for _ in range(4):
        before, count = clock(), len(tries)
        while len(tries) == count:
            clock.advance(1)
            relay.once()
        waits.append(clock() - before)
    assert waits == [10, 20, 40, 40]
    assert (relay.stats().stuck, relay.stats().failures) == (1, 5)
    assert relay.stats().away is False
    box.notes.clear()  # somebody has put it aside
    relay.once()
    assert relay.stats().stuck == 0


def test_an_awaitable_is_not_taken_for_an_answer() -> None:
    box = Box()
    box.add("a")
    rules = Invalidations(AsyncCache())
    relay = Relay(box, rules.tell_all)
    with pytest.raises(TypeError, match="returns an awaitable; expected a plain function"):
        relay.once()
    assert len(box.notes) == 1


@pytest.mark.parametrize(
    "how",
    [{"batch": 0}, {"every": 0}, {"pause": "0s"}, {"pause": 2, "longest": 1}],
)
def test_what_a_relay_is_told_is_checked(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Relay(Box(), print, **how)


class Crash(BaseException):
    """The process dies."""


failing = st.lists(
    st.sampled_from(["add", "ok", "outbox", "handle", "away", "late", "crash", "done"]), max_size=30
)


@settings(max_examples=times(150))
@given(walk=failing, batch=st.integers(1, 4))
def test_every_change_is_acted_on_before_it_is_done_whatever_fails(
    walk: list[str], batch: int
) -> None:
    """Against failures of the database before and after, of the handling, and deaths in between."""
    numbers, clock = itertools.count(), FakeClock(0)
    acted: set[int] = set()
    trouble = "ok"

    class Failure(Box):
        def outbox(self, most: int) -> list[Note]:
            if trouble == "outbox":
                raise ConnectionError
            return super().outbox(most)

        def done(self, ids: Sequence[int]) -> None:
            if trouble == "crash":
                raise Crash
            if trouble == "done":
                raise ConnectionError
            gone = [note.change for note in self.notes if note.id in ids]
            assert acted.issuperset(gone)
            super().done(ids)

    def handle(changes: list[int]) -> bool:
        if trouble == "handle":
            raise ValueError
        if trouble == "away":
            return False
        acted.update(changes)
        if trouble == "late":
            raise ValueError  # it has acted, and nobody knows
        return True

    box = Failure()
    relay = Relay(box, handle, batch=batch, clock=clock)
    for trouble in walk:
        if trouble == "add":
            box.add(next(numbers))
            continue
        try:
            relay.once()
        except ConnectionError:
            pass
        except Crash:
            relay = Relay(box, handle, batch=batch, clock=clock)
        clock.advance(7)
    trouble = "ok"
    clock.advance(100)
    while relay.once():
        pass
    assert box.notes == []
    assert acted == set(range(next(numbers)))
    assert relay.stats().stuck == 0


# --- All the time


@pytest.mark.parametrize("kind", [Box, SlowBox])
def test_a_block_handles_what_comes_and_leaves_no_thread(kind: type[Box]) -> None:
    box, seen = kind(), set[int]()

    def handle(changes: list[int]) -> None:
        seen.update(changes)

    with Relay(box, handle, every="5ms") as relay:
        for number in range(5):
            box.add(number)
            until(lambda: number in seen, "the change is handled")  # noqa: B023 - asked at once
        with pytest.raises(RuntimeError, match="runs in another block"), relay:
            pass
    assert not [each for each in threading.enumerate() if each.name == "labkit-relay"]
    with relay:
        box.add(5)
        until(lambda: not box.notes, "the change is done")
    assert relay.stats().handled == 6


def test_who_is_told_of_changes_does_not_look_for_them_meanwhile() -> None:
    box, arrived = SlowBox(), threading.Semaphore(0)
    with Relay(box, lambda changes: arrived.release(), every="1h") as relay:
        for _ in range(3):
            box.add("x")
            assert arrived.acquire(timeout=PATIENCE)
            until(lambda: not box.notes)
        relay._ended.set()
        box.told.set()
    assert len(box.asked) <= 10
    assert set(box.waits) == {3600.0}


class Waits:
    """An event that is never set, and notes how long it was waited for."""

    def __init__(self, most: int) -> None:
        self.seconds: list[float] = []
        self._most = most

    def is_set(self) -> bool:
        return len(self.seconds) >= self._most

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


def test_it_waits_longer_and_longer_while_the_database_is_away() -> None:
    class Down(Box):
        def outbox(self, most: int) -> list[Note]:
            if len(waits.seconds) < 6:
                raise ConnectionError("down")
            return super().outbox(most)

    waits = Waits(8)
    box = Down()
    relay = Relay(box, print, pause=1, longest=10, every=3)
    relay.run(waits)  # type: ignore[arg-type]
    assert waits.seconds == [1, 2, 4, 8, 10, 10, 3, 3]
    assert (relay.stats().failures, relay.stats().away) == (6, False)


def test_it_waits_longer_and_longer_while_the_cache_is_away() -> None:
    waits, box = Waits(6), Box()
    box.add("a")
    relay = Relay(box, lambda changes: len(waits.seconds) >= 4, pause=1, longest=4, every=3)
    relay.run(waits)  # type: ignore[arg-type]
    assert waits.seconds == [1, 2, 4, 4, 3, 3]
    assert box.notes == []


def test_prometheus_gets_the_state_of_a_relay() -> None:
    box, clock = Box(), FakeClock(100)
    box.add("a", "b", "c", at=60)
    relay = Relay(box, lambda changes: 1 // ("b" not in changes), clock=clock)
    registry = prometheus_client.CollectorRegistry()
    registry.register(RelayCollector(relay, name="site"))
    relay.once()
    expected = {
        "handled_total": 2,
        "failures_total": 1,
        "stuck": 1,
        "away": 0,
    }
    for name, value in expected.items():
        assert registry.get_sample_value(f"labkit_relay_{name}", {"relay": "site"}) == value
    lag = {"relay": "site", "quantile": "0.95"}
    assert registry.get_sample_value("labkit_relay_lag_seconds", lag) == 40


# --- In async code


@pytest.mark.parametrize("kind", [Box, LaterBox, SlowBox])
def test_an_async_relay_does_the_same(kind: type[Box]) -> None:
    box = kind()

    async def main() -> None:
        cache = AsyncCache()
        rules = Invalidations(cache)
        rules.on(str)(lambda event: key(event))
        await cache.set("a", 1)
        await cache.set("b", 1)
        box.add("a")
        relay = AsyncRelay(box, rules.tell_all, every="5ms")
        assert await relay.once() == 1
        assert await cache.get("a", None) is None
        async with relay:
            box.add("b")
            async with asyncio.timeout(PATIENCE):
                while box.notes:
                    await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="runs in another block"):
                await relay.__aenter__()
        assert await cache.get("b", None) is None
        assert relay.stats().handled == 2
        await cache.close()

    asyncio.run(main())


def test_an_async_relay_waits_too() -> None:
    class Down(Box):
        def outbox(self, most: int) -> list[Note]:
            self.asked.append(most)
            raise ConnectionError("down")

    async def main() -> None:
        box, ended = Down(), asyncio.Event()
        relay = AsyncRelay(box, print, pause="1ms", longest="1ms")
        running = asyncio.create_task(relay.run(ended))
        async with asyncio.timeout(PATIENCE):
            while len(box.asked) < 3:
                await asyncio.sleep(0)
        ended.set()
        await running
        assert relay.stats().away

    asyncio.run(main())


# --- With a newsroom


def article_rules(cache: Cache) -> Invalidations[Cache]:
    rules = Invalidations(cache)
    rules.on(Change)(lambda change: key(f"article:{change.article_id}"))
    return rules


@pytest.fixture(params=["memory", "file", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param != "postgresql":
        yield "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'news.db'}"
        return
    programs = find_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL to start: neither on PATH nor in /usr/lib/postgresql")
    with postgres(programs) as address:
        yield address


def test_an_edit_of_another_program_reaches_the_cache(url: str) -> None:
    with contextlib.ExitStack() as stack:
        db = stack.enter_context(newsroom.open(url, articles=5, authors=2, outbox=True))
        writer = db
        if url != "sqlite://":
            writer = stack.enter_context(newsroom.open(url, articles=5, authors=2, outbox=True))
        cache = stack.enter_context(Cache())
        number = db.ids()[0]

        def title() -> str:
            return cache.get_or_load(f"article:{number}", lambda: db.article(number).title)

        before = title()
        with Relay(db, article_rules(cache).tell_all, every="50ms") as relay:
            for turn in range(3):
                writer.edit_article(number, title=f"Ferry is back, {turn}")
                until(lambda: title() != before, "the edit is seen")  # noqa: B023 - asked at once
                before = title()
                assert before == f"Ferry is back, {turn}"
            until(lambda: not db.outbox(), "the notes are done")
        assert relay.stats().handled == 3
        assert relay.stats().error is None


_DIES = """
import os, signal, sys
from labkit import connect, newsroom
from labkit.cache import Cache, RedisTier
from labkit.cache.relay import Relay
from tests.cache.test_relay import article_rules

url, redis = sys.argv[1:]
rules = article_rules(Cache([RedisTier(connect(redis))], namespace="dies"))
with newsroom.open(url, articles=5, authors=2, outbox=True) as db:
    def handle(changes):
        assert rules.tell_all(changes)
        os.kill(os.getpid(), signal.SIGKILL)

    Relay(db, handle).once()
"""


@pytest.mark.skipif(find_server() is None, reason="needs a real server")
def test_a_relay_that_is_killed_before_it_says_done_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'news.db'}"
    with (
        LocalServer() as server,
        newsroom.open(url, articles=5, authors=2, outbox=True) as db,
    ):
        number = db.ids()[0]
        db.edit_article(number, title="Ferry is back")
        cache = Cache([RedisTier(server.client())], namespace="dies")
        cache.set(f"article:{number}", "old")
        died = subprocess.run(
            [sys.executable, "-c", _DIES, url, server.url], cwd=PROJECT, check=False
        )
        assert died.returncode == -signal.SIGKILL
        assert cache.get(f"article:{number}", None) is None
        cache.set(f"article:{number}", "old again")  # as one who had loaded it earlier may do
        assert len(db.outbox()) == 1
        assert Relay(db, article_rules(cache).tell_all).once() == 1
        assert cache.get(f"article:{number}", None) is None
        assert db.outbox() == []
        cache.close()
