"""Writing behind where processes are killed: what was acknowledged is applied, once, in order."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import random
import signal
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from labkit import connect
from labkit.cache import Cache, MemoryTier, RedisTier, Unavailable, WriteBehind
from labkit.cache.behind import Backoff
from labkit.clock import fast_forward
from labkit.server import LocalServer, find_server
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.cache.ledger import POISON, Ledger, PlainLedger
from tests.cache.mortal import Mortal, Replaced, kill
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

pytestmark = pytest.mark.skipif(find_server() is None, reason="fakeredis lives in one process")

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@contextlib.contextmanager
def opened(
    url: str, source: Any, *, queue: Callable[[Any], Any] | None = None, **how: Any
) -> Iterator[Any]:
    """A strategy that does not take a busy machine for a dead server.

    Args:
        url: Where Redis is.
        source: The source.
        queue: Gets the queue, and returns what stands in for it.
        **how: As in `WriteBehind`.
    """
    with connect(url) as client:
        tier: Any = RedisTier(client, budget="10s")
        if queue is not None:
            tier = Replaced(tier, queue)
        with Cache([MemoryTier(), tier], staleness="1h", pause=0.001) as cache:
            options: dict[str, Any] = {"ownership": "1h", "attempts": 1}
            options |= {"backoff": Backoff(0.001, 0.002)} | how
            yield WriteBehind(cache, source, name="d", **options)


def work(url: str, path: str, method: str = "", when: str = "", calls: int = 1, **how: Any) -> None:
    """In a process: apply writes until it is killed."""
    source: Any = (PlainLedger if how.pop("plain", False) else Ledger)(path, str(os.getpid()))
    queue: Callable[[Any], Any] | None = None
    if method == "apply":
        source = Mortal(source, kill).arm(method, when, calls)
    elif method:
        queue = lambda queue: Mortal(queue, kill).arm(method, when, calls)  # noqa: E731
    with opened(url, source, queue=queue, **how) as drafts:
        drafts.work(lambda: False)


def killed(process: Any) -> None:
    """Wait for the death of a process by SIGKILL."""
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL


def owner_gone(client: redis.Redis) -> None:
    fast_forward(client, "2h", match="*:q:d:owner")


def in_order(log: dict[Any, list[tuple[int, Any, str]]]) -> bool:
    """Whether each key got its versions in their order, and none twice."""
    return all(
        versions == sorted(set(versions))
        for versions in ([version for version, _, _ in entries] for entries in log.values())
    )


# --- A worker is killed


STEPS = ["take", "apply", "done", "put_aside"]


@pytest.mark.soak
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", STEPS)
def test_a_worker_may_be_killed_at_any_step(
    server: LocalServer, client: redis.Redis, tmp_path: Path, method: str, when: str
) -> None:
    draw = random.Random(f"{SEED} {method} {when}")
    for number in range(times(1)):
        client.flushall()
        path, how = str(tmp_path / f"ledger {number}"), dict[str, Any](batch=draw.randrange(1, 9))
        ledger = Ledger(path, "parent")
        last: dict[int, Any] = {}
        with opened(server.url, ledger, **how) as drafts:

            def write(count: int, last: dict[int, Any] = last, drafts: Any = drafts) -> None:
                for number in range(count):
                    key, value = draw.randrange(3), draw.choice([number, number, None])
                    drafts.delete(key) if value is None else drafts.save(key, value)
                    last[key] = value

            write(draw.randrange(9, 20))
            drafts.save(9, POISON)
            write(draw.randrange(9, 20))
            process = SPAWN.Process(
                target=work,
                args=(server.url, path, method, when, 1 if method == "put_aside" else 2),
                kwargs=how,
            )
            process.start()
            killed(process)
            write(draw.randrange(6))
            assert {key: drafts.get(key) for key in last} == last
            owner_gone(client)
            assert drafts.drain()
            assert ledger.rows() == {key: value for key, value in last.items() if value is not None}
            assert in_order(ledger.log())
            assert [(each.key, each.value) for each in drafts.aside()] == [(9, POISON)]
            assert {key: drafts.refresh(key) for key in last} == last
            assert drafts.get(9) is None


@pytest.mark.soak
def test_workers_that_come_and_die_apply_everything_in_order(
    server: LocalServer, client: redis.Redis, tmp_path: Path
) -> None:
    """Two work, without versions to help them; one is killed now and then, another one comes."""
    path, draw = str(tmp_path / "ledger"), random.Random(SEED)
    ledger = PlainLedger(path)
    how = {"plain": True, "batch": 5}
    last: dict[int, int] = {}

    def begin() -> Any:
        process = SPAWN.Process(target=work, args=(server.url, path), kwargs=how)
        process.start()
        return process

    with opened(server.url, ledger) as drafts:
        workers = [begin(), begin()]
        for number in range(times(3)):
            for step in range(100):
                key = draw.randrange(5)
                last[key] = number * 1000 + step
                drafts.save(key, last[key])
            until(lambda: ledger.log(), "the first application")
            dying = workers.pop(draw.randrange(2))
            os.kill(dying.pid, signal.SIGKILL)
            killed(dying)
            owner_gone(client)
            workers.append(begin())
        until(lambda: drafts.state().depth == 0, "the end of the queue")
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
            killed(worker)
    assert ledger.rows() == last
    for entries in ledger.log().values():
        values = [value for _, value, _ in entries]
        # One that was killed has not told what it had applied; the next one does it again.
        assert values == sorted(values)


# --- The application is killed


def write_for_ever(url: str, path: str, told: Any) -> None:
    """In a process: write, and tell what was acknowledged."""
    with opened(url, Ledger(path)) as drafts:
        for number in range(1_000_000):
            drafts.save(number % 3, number)
            told.send(number)


@pytest.mark.soak
def test_what_a_killed_application_was_told_is_applied(
    server: LocalServer, client: redis.Redis, tmp_path: Path
) -> None:
    path, draw = str(tmp_path / "ledger"), random.Random(SEED)
    for _ in range(times(2)):
        client.flushall()
        here, there = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=write_for_ever, args=(server.url, path, there))
        process.start()
        there.close()
        acknowledged = [here.recv() for _ in range(draw.randrange(50, 300))]
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        with contextlib.suppress(EOFError):
            while True:
                acknowledged.append(here.recv())
        killed(process)
        ledger = Ledger(path)
        with opened(server.url, ledger) as drafts:
            read = drafts.get_many(range(3))
            assert drafts.drain()
            assert ledger.rows() == read
        for key, value in read.items():
            newest = max(number for number in acknowledged if number % 3 == key)
            assert value in (newest, newest + 3)  # one more may have come before the kill


# --- Redis is killed


@pytest.mark.soak
@pytest.mark.parametrize("working", [False, True])
def test_what_redis_acknowledged_outlives_it(tmp_path: Path, working: bool) -> None:
    """Threads write and read, a worker works or not, and Redis dies at a moment that is drawn."""
    writers, draw = 4, random.Random(SEED)
    ledger = Ledger(tmp_path / "ledger")
    acknowledged: dict[int, list[int]] = defaultdict(list)
    tried: dict[int, int] = {}
    with LocalServer(persistence="aof") as server, opened(server.url, ledger) as drafts:
        for number in range(times(3)):
            enough, dead = threading.Semaphore(0), threading.Event()
            least = draw.randrange(20, 400)

            def act(who: int, enough: Any = enough, dead: Any = dead, least: int = least) -> None:
                if who == writers:
                    for _ in range(least):
                        assert enough.acquire(timeout=PATIENCE)
                    server.kill()
                    dead.set()
                    return
                for value in range(tried.get(who, 0) + 1, 10**9):
                    if dead.is_set():
                        return
                    tried[who] = value
                    with contextlib.suppress(Unavailable):
                        drafts.save(who, value)
                        acknowledged[who].append(value)
                        assert drafts.get(who) == value
                    enough.release()

            with drafts.worker(drain=0) if working else contextlib.nullcontext():
                assert in_threads(writers + 1, act) == [None] * (writers + 1)
            server.start()
            read = until(functools.partial(_all, drafts, writers), "its return")
            for who in range(writers):
                # What was acknowledged last, or one of those of which nothing was heard.
                assert acknowledged[who][-1] <= read[who] <= tried[who], number
            with server.client() as client:
                owner_gone(client)
        assert drafts.drain()
        assert ledger.rows() == read
        assert {who: drafts.refresh(who) for who in range(writers)} == read
        assert in_order(ledger.log())


def _all(drafts: Any, count: int) -> Any:
    try:
        return drafts.get_many(range(count))
    except Unavailable:
        return None


# --- A process is forked


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_a_worker_of_its_own(
    server: LocalServer, client: redis.Redis, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    with opened(server.url, ledger, batch=1) as drafts:
        drafts.save(1, "one")
        drafts.save(2, "two")
        assert drafts.apply_some()
        pid = os.fork()
        if not pid:
            os._exit(0 if not drafts.apply_some() and drafts.save(3, "three") else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert drafts.drain()
        assert ledger.rows() == {1: "one", 2: "two", 3: "three"}
