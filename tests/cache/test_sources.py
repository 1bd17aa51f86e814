"""Sources made of functions, loads that are put together, and loads that are limited."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis.strategies import randoms

from labkit.cache.policies import Limits
from labkit.cache.sources import (
    Coalesced,
    FunctionSource,
    Limited,
    Overloaded,
    TimedOut,
    asynchronous,
    blocking,
)
from labkit.cache.sources.waiting import Turn
from tests.cache.crowd import PATIENCE, in_threads, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from labkit.cache.sources import Source


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released by each caller that stands in a queue by now, even if it need not wait there."""
    arrived = threading.Semaphore(0)
    wait = Turn.wait

    def arrive(turn: Turn, seconds: float | None) -> Any:
        arrived.release()
        return wait(turn, seconds)

    monkeypatch.setattr(Turn, "wait", arrive)
    return arrived


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


def come(turns: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        assert turns.acquire(timeout=PATIENCE), "somebody did not come"


class Gate:
    """A database that answers when it is let: each key's value is its name in capitals."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.errors: list[BaseException | None] = []
        self.begun = threading.Semaphore(0)
        self._go = threading.Semaphore(0)

    def load(self, key: str) -> str | None:
        return self.load_many([key]).get(key)

    def load_many(self, keys: Sequence[str]) -> dict[str, str]:
        self.batches.append(list(keys))
        error = self.errors.pop(0) if self.errors else None
        self.begun.release()
        assert self._go.acquire(timeout=PATIENCE)
        if error is not None:
            raise error
        return {key: key.upper() for key in keys if key != "none"}

    def open(self, count: int = 1) -> None:
        """Let so many loads end."""
        self._go.release(count)

    def wait(self) -> None:
        """Return when a load has begun."""
        assert self.begun.acquire(timeout=PATIENCE), "no load has begun"

    def save(self, key: str, value: str) -> str:
        return f"{key}={value}"

    def delete(self, key: str) -> str:
        return f"-{key}"

    def versions(self, keys: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(keys, 1)


class AsyncGate:
    """`Gate` for tasks."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.under_way: list[asyncio.Future[BaseException | None]] = []
        self.cancelled = 0

    async def load(self, key: str) -> str | None:
        return (await self.load_many([key])).get(key)

    async def load_many(self, keys: Sequence[str]) -> dict[str, str]:
        self.batches.append(list(keys))
        going: asyncio.Future[BaseException | None] = asyncio.Future()
        self.under_way.append(going)
        try:
            error = await going
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way.remove(going)
        if error is not None:
            raise error
        return {key: key.upper() for key in keys if key != "none"}

    async def save(self, key: str, value: str) -> None: ...

    async def delete(self, key: str) -> None: ...

    async def versions(self, keys: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(keys, 1)

    def open(self, error: BaseException | None = None) -> None:
        """Let the load that is under way end."""
        self.under_way[0].set_result(error)


async def settle() -> None:
    """Let every task run until it waits for something that does not come by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


# --- Functions


def test_a_single_load_and_a_batch_are_made_of_each_other() -> None:
    one = FunctionSource[str, str](lambda key: key.upper() if key else None)
    assert one.load("a") == "A"
    assert one.load_many(["a", "", "b", "a"]) == {"a": "A", "b": "B"}
    many = FunctionSource[str, str](load_many=lambda keys: {k: k.upper() for k in keys if k})
    assert many.load("a") == "A"
    assert many.load("") is None
    assert many.load_many(["a", "", "b"]) == {"a": "A", "b": "B"}
    assert not one.asynchronous
    assert one.blocking


def test_coroutine_functions_make_a_source_that_is_awaited() -> None:
    async def load(key: str) -> str | None:
        return key.upper() or None

    async def load_many(keys: list[str]) -> dict[str, str]:
        return {key: key.upper() for key in keys if key}

    async def save(key: str, value: str) -> None: ...

    assert not FunctionSource[str, str](save=save).blocking

    async def check() -> None:
        one = FunctionSource[str, str](load)
        for source in (one, FunctionSource(load_many=load_many)):
            assert source.asynchronous
            assert not source.blocking
            assert await source.load("a") == "A"
            assert await source.load("") is None
            assert await source.load_many(["a", "", "b"]) == {"a": "A", "b": "B"}

    asyncio.run(check())


def test_a_function_that_was_given_gets_what_the_source_gets() -> None:
    calls: list[tuple[Any, ...]] = []
    source = FunctionSource[str, int](
        load=lambda key: len(key),
        load_many=lambda keys: dict.fromkeys(keys, 0),
        save=lambda key, value: calls.append(("save", key, value)),
        delete=lambda key: calls.append(("delete", key)),
        versions=lambda keys: dict.fromkeys(keys, 7),
    )
    assert source.load("abc") == 3
    assert source.load_many(("a", "b")) == {"a": 0, "b": 0}
    source.save("a", 1)
    source.delete("a")
    assert source.versions(["a"]) == {"a": 7}
    assert calls == [("save", "a", 1), ("delete", "a")]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda source: source.load("a"), r"has no load; pass it load=.*\(key\) or load_many="),
        (lambda source: source.load_many(["a"]), r"has no load_many; pass it load_many=.*\(keys\)"),
        (lambda source: source.save("a", 1), r"has no save; pass it save=.*\(key, value\)"),
        (lambda source: source.delete("a"), r"has no delete; pass it delete=.*\(key\)"),
        (lambda source: source.versions(["a"]), r"has no versions; pass it versions=.*\(keys\)"),
    ],
)
def test_what_was_not_given_is_asked_for_by_name(call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(FunctionSource())


def test_functions_that_do_not_go_together_are_refused() -> None:
    async def load(key: str) -> str | None:
        return key

    with pytest.raises(TypeError, match="one of load and load_many is a coroutine function"):
        FunctionSource[str, str](load, load_many=lambda keys: dict.fromkeys(keys, ""))
    with pytest.raises(TypeError, match=r"save is 3; expected a function .* \(key, value\)"):
        FunctionSource[str, str](load, save=3)  # type: ignore[arg-type]


def test_a_source_blocks_unless_it_loads_with_coroutines_or_says_that_it_does_not() -> None:
    assert (asynchronous(Gate()), blocking(Gate())) == (False, True)
    assert (asynchronous(AsyncGate()), blocking(AsyncGate())) == (True, False)
    quick = Gate()
    quick.blocking = False
    assert not blocking(quick)
    for around in (Coalesced(quick), Limited(Coalesced(quick))):
        assert (around.asynchronous, around.blocking) == (False, False)
    assert asynchronous(Limited(Coalesced(AsyncGate())))


@pytest.mark.parametrize("around", [Coalesced, Limited])
def test_what_does_not_load_is_passed_on(around: Any) -> None:
    source = around(Gate())
    assert source.save("a", "b") == "a=b"
    assert source.delete("a") == "-a"
    assert source.versions(["a"]) == {"a": 1}


# --- Coalesced: threads


def test_a_call_goes_at_once_where_nothing_is_being_loaded() -> None:
    gate = Gate()
    gate.open(3)
    source = Coalesced(gate)
    assert source.load("a") == "A"
    assert source.load("none") is None
    assert source.load_many(["b", "none", "b"]) == {"b": "B"}
    assert source.load_many([]) == {}
    assert gate.batches == [["a"], ["none"], ["b", "none"]]
    assert (source.batches, source.keys) == (3, 4)


def test_those_who_come_while_a_load_runs_are_loaded_together(
    turns: threading.Semaphore, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    source = Coalesced(gate)
    first = pool.submit(source.load, "first")
    gate.wait()
    names = [f"k{number % 20}" for number in range(40)]
    others = [pool.submit(source.load, name) for name in names]
    some = pool.submit(source.load_many, ["k3", "x", "none"])
    come(turns, 42)
    assert gate.batches == [["first"]]
    gate.open(2)
    assert first.result(PATIENCE) == "FIRST"
    assert [each.result(PATIENCE) for each in others] == [name.upper() for name in names]
    assert some.result(PATIENCE) == {"k3": "K3", "x": "X"}
    assert len(gate.batches) == 2
    assert Counter(gate.batches[1]) == Counter({*names, "x", "none"})
    assert (source.batches, source.keys) == (2, 23)


def test_nobody_joins_a_load_that_has_begun(
    turns: threading.Semaphore, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    source = Coalesced(gate)
    first = pool.submit(source.load, "k")
    gate.wait()
    second = pool.submit(source.load, "k")
    come(turns, 2)
    gate.open(2)
    assert (first.result(PATIENCE), second.result(PATIENCE)) == ("K", "K")
    assert gate.batches == [["k"], ["k"]]


def test_a_batch_has_no_more_keys_than_it_may_have(
    turns: threading.Semaphore, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    source = Coalesced(gate, most=3)
    first = pool.submit(source.load_many, list("abcdefgh"))
    gate.wait()
    others = [pool.submit(source.load, key) for key in "hijk"]
    come(turns, 5)
    gate.open(100)
    assert first.result(PATIENCE) == {key: key.upper() for key in "abcdefgh"}
    assert [each.result(PATIENCE) for each in others] == list("HIJK")
    assert [len(batch) for batch in gate.batches] == [3, 3, 3, 2]
    assert sorted(key for batch in gate.batches for key in batch) == list("abcdefghijk")


def test_callers_whose_keys_lie_in_several_batches_do_not_wait_for_one_another(
    turns: threading.Semaphore, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    source = Coalesced(gate, most=2)
    first = pool.submit(source.load, "first")
    gate.wait()
    asked = [list("abcd"), list("dcba"), list("cxay"), list("yb")]
    waiting = []
    for number, keys in enumerate(asked):
        waiting.append(pool.submit(source.load_many, keys))
        come(turns, 1 + (number == 0))
    gate.open(100)
    assert first.result(PATIENCE) == "FIRST"
    for keys, each in zip(asked, waiting, strict=True):
        assert each.result(PATIENCE) == {key: key.upper() for key in keys}
    assert gate.batches == [["first"], ["a", "b"], ["c", "d"], ["x", "y"]]


def test_an_error_reaches_every_caller_of_its_batch_and_no_other(
    turns: threading.Semaphore, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    gate.errors = [None, LookupError("down")]
    source = Coalesced(gate)
    first = pool.submit(source.load, "first")
    gate.wait()
    failing = [pool.submit(source.load, f"k{number}") for number in range(8)]
    come(turns, 9)
    gate.open()
    gate.wait()
    after = pool.submit(source.load, "after")
    come(turns, 1)
    gate.open(2)
    assert first.result(PATIENCE) == "FIRST"
    errors = [each.exception(PATIENCE) for each in failing]
    assert {repr(error) for error in errors} == {"LookupError('down')"}
    assert len(traceback.extract_tb(errors[0].__traceback__)) < 20  # it is not the sum of all
    assert after.result(PATIENCE) == "AFTER"


def test_a_thread_that_is_killed_while_it_loads_leaves_the_loading_to_another(
    turns: threading.Semaphore, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    gate.errors = [KeyboardInterrupt(), SystemExit(), None]
    source = Coalesced(gate)
    killed = pool.submit(source.load, "first")
    gate.wait()
    others = [pool.submit(source.load, f"k{number}") for number in range(5)]
    come(turns, 6)
    gate.open(3)
    errors = [each.exception(PATIENCE) for each in others]
    assert isinstance(killed.exception(PATIENCE), KeyboardInterrupt)
    assert sorted(type(error).__name__ for error in errors if error) == ["SystemExit"]
    assert {each.result() for each in others if not each.exception()} < {f"K{i}" for i in range(5)}
    gate.open()
    assert source.load("later") == "LATER"


@pytest.mark.parametrize("most", [1, 100])
def test_a_loader_may_load_other_keys_from_its_own_source(most: int) -> None:
    def load_many(keys: list[str]) -> dict[str, str]:
        below = source.load_many([key[1:] for key in keys if key[1:]])
        return {key: below.get(key[1:], "") + key[0] for key in keys}

    source: Coalesced[str, str] = Coalesced(FunctionSource(load_many=load_many), most)
    assert source.load("abc") == "cba"
    assert source.load_many(["abc", "xy"]) == {"abc": "cba", "xy": "yx"}


def test_loaders_that_need_each_others_sources_do_not_wait_for_each_other(
    pool: ThreadPoolExecutor,
) -> None:
    both = threading.Barrier(2)
    nested = threading.local()

    def loader(other: Callable[[], Coalesced[str, str]]) -> Any:
        def load_many(keys: list[str]) -> dict[str, str]:
            if not getattr(nested, "here", False):
                nested.here = True
                both.wait(PATIENCE)
                other().load_many(keys)
            return {key: key.upper() for key in keys}

        return FunctionSource[str, str](load_many=load_many)

    one: Coalesced[str, str] = Coalesced(loader(lambda: two))
    two: Coalesced[str, str] = Coalesced(loader(lambda: one))
    found = [pool.submit(one.load, "a"), pool.submit(two.load, "b")]
    assert [each.result(PATIENCE) for each in found] == ["A", "B"]


def test_many_threads_get_what_they_asked_for() -> None:
    lock = threading.Lock()

    def load_many(keys: list[int]) -> dict[int, int]:
        assert lock.acquire(blocking=False), "two loads at a time"
        try:
            return {key: key * key for key in keys if key % 7}
        finally:
            lock.release()

    source = Coalesced(FunctionSource[int, int](load_many=load_many), most=10)

    def ask(number: int) -> bool:
        for round_ in range(50):
            keys = [(number * 3 + round_ * step) % 40 for step in range(5)]
            if source.load_many(keys) != {key: key * key for key in keys if key % 7}:
                return False
            if source.load(number) != (number * number if number % 7 else None):
                return False
        return True

    assert in_threads(8, ask) == [True] * 8


# --- Coalesced: tasks


def test_tasks_that_begin_together_are_one_batch() -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Coalesced(gate)
        asked = asyncio.gather(*[source.load(f"k{number}") for number in range(100)])
        await settle()
        gate.open()
        assert await asked == [f"K{number}" for number in range(100)]
        assert (source.batches, source.keys) == (1, 100)

    asyncio.run(check())


@pytest.mark.parametrize("when", ["before it loads", "while it loads"])
def test_a_task_that_is_cancelled_leaves_the_loading_to_another(when: str) -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Coalesced(gate)
        leader = asyncio.create_task(source.load("a"))
        other = asyncio.create_task(source.load("b"))
        await asyncio.sleep(0)  # both have a turn; nobody has been told yet
        if when == "while it loads":
            await settle()
            assert gate.batches == [["a", "b"]]
        leader.cancel()
        await settle()
        assert leader.cancelled()
        gate.open()
        assert await other == "B"
        assert gate.cancelled == (when == "while it loads")
        later = asyncio.create_task(source.load("c"))
        await settle()
        gate.open()
        assert await later == "C"

    asyncio.run(check())


def test_when_all_have_been_cancelled_the_next_one_loads() -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Coalesced(gate, most=1)
        tasks = [asyncio.create_task(source.load(key)) for key in "abc"]
        await settle()
        for task in reversed(tasks):
            task.cancel()
        await settle()
        last = asyncio.create_task(source.load("d"))
        await settle()
        gate.open()
        assert await last == "D"

    asyncio.run(check())


@given(randoms(use_true_random=True))
def test_whoever_is_not_cancelled_gets_an_answer(random: Random) -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Coalesced(gate, most=random.randint(1, 5))
        tasks: list[tuple[list[str], asyncio.Task[dict[str, str]]]] = []
        for _ in range(30):
            step = random.random()
            if step < 0.5:
                keys = random.choices("abcdefgh", k=random.randint(0, 6))
                tasks.append((keys, asyncio.create_task(source.load_many(keys))))
            elif step < 0.65 and tasks:
                random.choice(tasks)[1].cancel()
            elif step < 0.85 and gate.under_way and not gate.under_way[0].done():
                gate.open(LookupError() if random.random() < 0.3 else None)
            for _ in range(random.randint(0, 4)):
                await asyncio.sleep(0)
            assert len(gate.under_way) <= 1
        while not all(task.done() for _, task in tasks):
            await settle()
            if gate.under_way and not gate.under_way[0].done():
                gate.open()
        for keys, task in tasks:
            if not task.cancelled() and not isinstance(task.exception(), LookupError):
                assert task.result() == {key: key.upper() for key in keys}
        assert source.keys == sum(map(len, gate.batches))
        assert all(batch for batch in gate.batches)

    asyncio.run(check())


# --- Limited: threads


def test_so_many_loads_run_at_a_time_and_no_more(pool: ThreadPoolExecutor) -> None:
    lock, running, most = threading.Lock(), [0], [0]
    full = threading.Barrier(3)  # three at a time have to come, or none goes on

    def load(key: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        full.wait(PATIENCE)
        with lock:
            running[0] -= 1
        return key

    source = Limited(FunctionSource(load), at_once=3, wait=PATIENCE)
    assert list(pool.map(source.load, range(30))) == list(range(30))
    assert most[0] == 3


def test_whoever_gets_no_turn_is_refused(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    source = Limited(gate, at_once=2, wait=0)
    under_way = [pool.submit(source.load, "a"), pool.submit(source.load_many, ["b", "c"])]
    gate.wait()
    gate.wait()
    message = r"^2 loads are under way and none of them ended within 0 s; ask again later, or let"
    with pytest.raises(Overloaded, match=message):
        source.load("d")
    with pytest.raises(Overloaded):
        source.load_many(["d"])
    assert source.save("a", "b") == "a=b"
    assert source.refused == 2
    gate.open(3)
    assert [each.result(PATIENCE) for each in under_way] == ["A", {"b": "B", "c": "C"}]
    assert source.load("d") == "D"
    assert source.refused == 2


def test_a_caller_waits_for_its_turn_first_come_first_served(
    turns: threading.Semaphore, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    source = Limited(gate, at_once=1, wait=PATIENCE)
    asked = []
    for key in "abcdefgh":
        asked.append(pool.submit(source.load, key))
        come(turns, 1)
    gate.open(8)
    assert [each.result(PATIENCE) for each in asked] == list("ABCDEFGH")
    assert gate.batches == [[key] for key in "abcdefgh"]


def test_an_error_gives_the_place_back() -> None:
    gate = Gate()
    gate.errors = [LookupError(), KeyboardInterrupt(), None]
    gate.open(3)
    for timeout in (None, PATIENCE):
        source = Limited(gate, at_once=1, wait=0, timeout=timeout)
        gate.errors = [LookupError(), KeyboardInterrupt(), None]
        gate.open(3)
        with pytest.raises(LookupError):
            source.load("a")
        with pytest.raises(KeyboardInterrupt):
            source.load("a")
        assert source.load("a") == "A"


def test_a_load_that_takes_too_long_is_left_behind_and_keeps_its_place() -> None:
    gate = Gate()
    source = Limited(gate, at_once=1, wait=0, timeout="1ms")
    with pytest.raises(TimedOut, match=r"longer than 0.001 s; it goes on, and takes one of 1 pl"):
        source.load("a")
    assert issubclass(TimedOut, TimeoutError)
    with pytest.raises(Overloaded):
        source.load("b")
    assert (source.timed_out, source.refused) == (1, 1)
    gate.open()
    patient = Limited(gate, at_once=1, wait=0, timeout=PATIENCE)
    gate.open()
    assert patient.load_many(["b"]) == {"b": "B"}
    until(lambda: source._free == 1, "giving back the place")


def test_where_places_are_not_counted_none_is_told() -> None:
    gate = Gate()
    with pytest.raises(TimedOut, match=r"longer than 0.001 s; it goes on until it ends$"):
        Limits(timeout="1ms").around(gate).load("a")
    gate.open()


def test_a_time_out_of_the_database_itself_is_not_taken_for_one_of_the_limit() -> None:
    gate = Gate()
    gate.errors = [TimeoutError("the database's own")]
    gate.open()
    source = Limited(gate, timeout=PATIENCE)
    with pytest.raises(TimeoutError, match="the database's own") as caught:
        source.load("a")
    assert not isinstance(caught.value, TimedOut)
    assert source.timed_out == 0


def test_a_load_with_a_time_limit_is_still_the_callers_own() -> None:
    """It may ask its own source again, as it may without one."""

    def load_many(keys: list[str]) -> dict[str, str]:
        below = source.load_many([key[1:] for key in keys if key[1:]])
        return {key: below.get(key[1:], "") + key[0] for key in keys}

    limited = Limited(FunctionSource[str, str](load_many=load_many), timeout=PATIENCE)
    source = Coalesced(limited)
    assert source.load("abc") == "cba"


# --- Limited: tasks


def test_tasks_wait_for_their_turn_and_are_refused_after_a_time() -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Limited(gate, at_once=1, wait=PATIENCE)
        impatient = Limited(source, at_once=2, wait=0)
        tasks = [asyncio.create_task(impatient.load(key)) for key in "ab"]
        await settle()
        with pytest.raises(Overloaded):
            await impatient.load("c")
        assert gate.batches == [["a"]]
        gate.open()
        await settle()
        gate.open()
        assert await asyncio.gather(*tasks) == ["A", "B"]
        assert (impatient.refused, source.refused) == (1, 0)

    asyncio.run(check())


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_a_cancelled_task_gives_its_place_to_the_next(timeout: float | None) -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Limited(gate, at_once=1, wait=PATIENCE, timeout=timeout)
        loading, waiting, last = [asyncio.create_task(source.load(key)) for key in "abc"]
        await settle()
        waiting.cancel()
        loading.cancel()
        await settle()
        assert gate.batches == [["a"], ["c"]]
        gate.open()
        assert await last == "C"
        one_more = asyncio.create_task(source.load("d"))
        await settle()
        gate.open()
        assert await one_more == "D"

    asyncio.run(check())


def test_a_task_that_is_cancelled_when_its_turn_has_just_come_passes_it_on() -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Limited(gate, at_once=1, wait=PATIENCE)
        first, second, third = [asyncio.create_task(source.load(key)) for key in "abc"]
        await settle()
        gate.open()
        while not first.done():
            await asyncio.sleep(0)
        second.cancel()
        await settle()
        assert second.cancelled()
        gate.open()
        assert await third == "C"
        assert gate.batches[-1] == ["c"]

    asyncio.run(check())


def test_a_task_whose_load_takes_too_long_is_cancelled_and_gives_its_place_back() -> None:
    async def check() -> None:
        gate = AsyncGate()
        source = Limited(gate, at_once=1, wait=0, timeout="1ms")
        with pytest.raises(TimedOut, match=r"longer than 0.001 s; it was cancelled"):
            await source.load("a")
        assert gate.cancelled == 1
        with pytest.raises(TimedOut):
            await source.load_many(["b"])
        assert (source.timed_out, source.refused) == (2, 0)

    asyncio.run(check())


# --- Refusals, and forked processes


def test_limits_that_make_no_sense_are_refused() -> None:
    source: Source[str, str] = Gate()
    with pytest.raises(ValueError, match="most is 0; expected"):
        Coalesced(source, most=0)
    with pytest.raises(ValueError, match="at_once is 0; expected"):
        Limited(source, at_once=0)
    with pytest.raises(ValueError, match="timeout is 0; expected a time above 0"):
        Limited(source, timeout=0)
    with pytest.raises(ValueError, match="not a duration: 'soon'"):
        Limited(source, wait="soon")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_wait_for_the_loads_of_its_parent(
    pool: ThreadPoolExecutor,
) -> None:
    gate = Gate()
    source = Coalesced(Limited(gate, at_once=1, wait=0))
    parents = pool.submit(source.load, "a")
    gate.wait()
    pid = os.fork()
    if not pid:
        gate.open()
        os._exit(0 if source.load("b") == "B" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    gate.open()
    assert parents.result(PATIENCE) == "A"
