"""Changes that nobody can come between: one contract, by Lua and by WATCH, under races."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis.strategies import integers, lists
from redis.backoff import NoBackoff
from redis.retry import Retry

import labkit
from labkit import CommandLog, LocalServer
from labkit.cache import Refused, Unavailable
from labkit.cache.backends.redis_atomic import Contended, LuaAtomic, Versioned, WatchAtomic
from labkit.clock import fast_forward
from labkit.server import find_server
from tests.cache.conftest import Awaited
from tests.cache.crowd import PATIENCE, in_threads
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.course.bench import Bench

needs_server = pytest.mark.skipif(find_server() is None, reason="fakeredis lives in one process")

HIGHEST = 2**63 - 1
WAYS: dict[str, Any] = {"lua": LuaAtomic, "watch": WatchAtomic}

_prefixes = (f"atomic-{number}" for number in itertools.count())


@pytest.fixture
def client(bench: Bench) -> Iterator[redis.Redis]:
    with bench.client() as client:
        yield client


@pytest.fixture
def prefix() -> str:
    """What nobody has used before."""
    return next(_prefixes)


@pytest.fixture(params=[*WAYS, "lua awaited"])
def atomic(
    request: pytest.FixtureRequest, client: redis.Redis, bench: Bench, prefix: str
) -> Iterator[Any]:
    """Each of the two, and the one that tasks may use too."""
    if request.param in WAYS:
        yield WAYS[request.param](client, prefix)
        return
    with asyncio.Runner() as runner:
        own = runner.run(labkit.connect_async(bench.url))
        yield Awaited(LuaAtomic(own, prefix), runner)
        runner.run(own.aclose())


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Any:
    return WAYS[request.param]


# --- One after another


def test_a_value_is_set_on_the_version_that_it_rests_on(atomic: Any) -> None:
    assert atomic.get("k") is None
    assert atomic.compare_and_set("k", b"1", 7) is None
    first = atomic.compare_and_set("k", b"\xff\0", None)
    assert first.value == b"\xff\0"
    assert first.version > 0
    assert atomic.get("k") == first
    for version in (None, 0, first.version - 1, first.version + 1, -1):
        assert atomic.compare_and_set("k", b"2", version) is None
    second = atomic.compare_and_set("k", b"2", first.version)
    assert second == Versioned(b"2", first.version + 1)
    assert atomic.compare_and_set("k", b"3", first.version) is None
    assert atomic.get("k") == second


def test_a_version_never_stands_for_two_values(atomic: Any) -> None:
    versions = set()
    for number in range(5):
        made = atomic.get_or_set("k", b"%d" % number)
        versions.add(made.version)
        assert atomic.delete("k") is True
        assert atomic.compare_and_set("k", b"x", made.version) is None
        versions.add(atomic.compare_and_set("k", b"y", 0).version)
        assert atomic.delete("k")
    assert len(versions) == 10


def test_only_what_is_newer_is_set(atomic: Any) -> None:
    assert atomic.set_newer("k", b"5", 5) is True
    for version in (5, 4, 0):
        assert atomic.set_newer("k", b"old", version) is False
    assert atomic.get("k") == Versioned(b"5", 5)
    assert atomic.set_newer("k", b"10", 10) is True
    assert atomic.get("k") == Versioned(b"10", 10)
    assert atomic.set_newer("zero", b"0", 0) is True
    assert atomic.get("zero") == Versioned(b"0", 0)


@settings(max_examples=times(25))
@given(lists(integers(0, HIGHEST), min_size=1, max_size=6))
def test_large_versions_are_not_rounded(versions: list[int]) -> None:
    with labkit.connect("fake://atomic-versions") as client:
        for way in WAYS.values():
            atomic = way(client, next(_prefixes))
            best = -1
            for version in [v for around in versions for v in (around, min(around + 1, HIGHEST))]:
                assert atomic.set_newer("k", b"%d" % version, version) is (version > best)
                best = max(best, version)
                assert atomic.get("k") == Versioned(b"%d" % best, best)


def test_large_versions_and_counters_are_not_rounded_by_a_server(atomic: Any) -> None:
    for version in (2**53, 2**53 + 1, 2**53 + 2, 10**18, 10**18 + 1, HIGHEST - 1):
        assert atomic.set_newer("k", b"v", version)
        assert not atomic.set_newer("k", b"w", version)
        assert atomic.get("k").version == version
    assert atomic.compare_and_set("k", b"x", HIGHEST - 1) == Versioned(b"x", HIGHEST)
    assert atomic.increment("n", 2**53 + 1) == 2**53 + 1
    assert atomic.increment("n") == 2**53 + 2


def test_the_first_value_stays(atomic: Any) -> None:
    made = atomic.get_or_set("k", b"first")
    assert made.value == b"first"
    assert atomic.get_or_set("k", b"second") == made
    assert atomic.get("k") == made


def test_a_counter_counts(atomic: Any) -> None:
    assert atomic.increment("n") == 1
    assert atomic.increment("n", 10) == 11
    assert atomic.increment("n", -12) == -1
    assert atomic.increment("n", 0) == -1
    assert atomic.delete("n") is True
    assert atomic.delete("n") is False
    assert atomic.increment("n", 0) == 0


def test_a_value_lives_as_long_as_its_last_writer_said(
    atomic: Any, client: redis.Redis, prefix: str
) -> None:
    def left() -> int:
        return int(client.ttl(f"{prefix}:k"))

    made = atomic.get_or_set("k", b"1", "10m")
    assert 590 <= left() <= 600
    atomic.get_or_set("k", b"2", 5)
    assert 590 <= left() <= 600
    made = atomic.compare_and_set("k", b"2", made.version, 100)
    assert 90 <= left() <= 100
    atomic.compare_and_set("k", b"3", 0, 5)
    assert 90 <= left() <= 100
    atomic.compare_and_set("k", b"3", made.version)
    assert left() == -1
    atomic.delete("k")
    atomic.set_newer("k", b"1", 5, "10m")
    assert 590 <= left() <= 600
    atomic.set_newer("k", b"0", 5, 5)
    assert 590 <= left() <= 600
    atomic.set_newer("k", b"2", 6)
    assert left() == -1


def test_the_time_of_a_counter_begins_with_its_first_use(
    atomic: Any, client: redis.Redis, prefix: str
) -> None:
    assert atomic.increment("n", 1, "10m") == 1
    fast_forward(client, 500, match=f"{prefix}:*")
    assert atomic.increment("n", 1, "10m") == 2
    assert 90 <= client.ttl(f"{prefix}:n") <= 100
    fast_forward(client, 100, match=f"{prefix}:*")
    assert atomic.increment("n", 1, "10m") == 1
    assert atomic.increment("ever") == 1
    assert atomic.increment("ever", 1, "10m") == 2
    assert client.ttl(f"{prefix}:ever") == -1


@settings(max_examples=times(10))
@given(seed=integers(0, 2**32))
def test_whatever_comes_before_it_does_what_a_dictionary_does(seed: int) -> None:
    with labkit.connect("fake://atomic-model") as client:
        for way in WAYS.values():
            walk(way(client, next(_prefixes)), Random(seed), 40)


def test_a_server_does_the_same(atomic: Any) -> None:
    walk(atomic, Random(5), 200)


def walk(atomic: Any, random: Random, steps: int) -> None:
    """Take steps with values and a dictionary, and compare what they answer."""
    held: dict[str, Versioned] = {}
    for number in range(steps):
        key, value = random.choice("ab"), b"%d" % number
        old = held.get(key)
        step = random.choice(["cas", "cas", "newer", "get_or_set", "delete"])
        if step == "cas":
            rests = random.choice([0, old.version if old else 1, random.randint(1, 9)])
            made = atomic.compare_and_set(key, value, rests)
            assert (made is not None) == ((old.version if old else 0) == rests)
            if made is not None:
                assert made.value == value
                assert old is None or made.version == old.version + 1
                held[key] = made
        elif step == "newer":
            version = random.randint(0, 20) + (old.version - 10 if old else 0)
            version = max(version, 0)
            stored = atomic.set_newer(key, value, version)
            assert stored is (old is None or version > old.version)
            if stored:
                held[key] = Versioned(value, version)
        elif step == "get_or_set":
            made = atomic.get_or_set(key, value)
            assert made == old if old else made.value == value
            held[key] = made
        else:
            assert atomic.delete(key) is (held.pop(key, None) is not None)
        assert {k: v for k in "ab" if (v := atomic.get(k))} == held
    for key in "ab":
        atomic.delete(key)


# --- What it costs


def test_a_script_is_one_round_trip(client: redis.Redis, prefix: str) -> None:
    atomic = LuaAtomic(client, prefix)
    calls = (
        lambda: atomic.get("k"),
        lambda: atomic.get_or_set("k", b"1"),
        lambda: atomic.compare_and_set("k", b"2", 1),
        lambda: atomic.set_newer("k", b"2", HIGHEST),
        lambda: atomic.increment("n", 1, 60),
        lambda: atomic.delete("n"),
    )
    for call in calls * 2:
        with CommandLog(client) as log:
            call()
        assert log.round_trips == 1, str(log)
    client.script_flush()
    with CommandLog(client) as log:
        atomic.increment("n")
    assert log.names == ["EVALSHA", "EVAL"]


def test_a_transaction_is_three_round_trips(client: redis.Redis, prefix: str) -> None:
    atomic = WatchAtomic(client, prefix)
    for names, call in (
        ("HMGET", lambda: atomic.get("k")),
        ("WATCH HMGET MULTI HSET PERSIST EXEC", lambda: atomic.get_or_set("k", b"1")),
        ("WATCH HMGET UNWATCH", lambda: atomic.get_or_set("k", b"1")),
        ("WATCH HMGET UNWATCH", lambda: atomic.compare_and_set("k", b"2", 0)),
        ("WATCH HMGET MULTI HSET PEXPIRE EXEC", lambda: atomic.set_newer("k", b"2", HIGHEST, 9)),
        ("MULTI INCRBY EXEC", lambda: atomic.increment("n")),
        ("MULTI SET INCRBY EXEC", lambda: atomic.increment("n", 1, 60)),
    ):
        with CommandLog(client) as log:
            call()
        assert " ".join(log.names) == names
        assert log.round_trips == (3 if "WATCH" in names else 1)


# --- What others do between two trips


@settings(max_examples=times(40))
@given(seed=integers(0, 2**32))
def test_a_transaction_sees_what_others_do_in_every_gap(seed: int) -> None:
    """Others write before its trips leave; what it decides is right at the end all the same."""
    random = Random(seed)
    with (
        labkit.connect("fake://atomic-gaps") as client,
        labkit.connect("fake://atomic-gaps") as other,
    ):
        prefix = next(_prefixes)
        atomic, others = WatchAtomic(client, prefix), LuaAtomic(other, prefix)
        highest = -1
        for _ in range(4):
            budget = [3]

            def meanwhile(trip: int, budget: list[int] = budget) -> None:
                nonlocal highest
                if budget[0] and random.random() < 0.5:
                    budget[0] -= 1
                    version = random.randint(0, 20)
                    others.set_newer("k", b"%d" % version, version)
                    highest = max(highest, version)

            version = random.randint(0, 20)
            with CommandLog(client, before=meanwhile):
                atomic.set_newer("k", b"%d" % version, version)
            highest = max(highest, version)
            assert others.get("k") == Versioned(b"%d" % highest, highest)


@pytest.mark.parametrize("gap", [2, 3])
@pytest.mark.parametrize("change", ["set", "delete", "made anew"])
def test_what_changes_in_a_gap_is_not_overwritten(
    bench: Bench, client: redis.Redis, prefix: str, gap: int, change: str
) -> None:
    atomic, others = WatchAtomic(client, prefix), LuaAtomic(bench.client(), prefix)
    made = others.get_or_set("k", b"mine")

    def meanwhile(trip: int) -> None:
        if trip == gap:
            if change == "set":
                others.compare_and_set("k", b"theirs", made.version)
            else:
                others.delete("k")
            if change == "made anew":
                others.get_or_set("k", b"theirs")

    with CommandLog(client, before=meanwhile):
        assert atomic.compare_and_set("k", b"new", made.version) is None
    left = others.get("k")
    assert (left and left.value) == (None if change == "delete" else b"theirs")


def test_a_change_that_is_always_disturbed_is_given_up(
    bench: Bench, client: redis.Redis, prefix: str
) -> None:
    atomic, others = WatchAtomic(client, prefix, attempts=3), LuaAtomic(bench.client(), prefix)
    versions = itertools.count()
    tries: list[int] = []

    def meanwhile(trip: int) -> None:
        if trip % 3 == 0:
            tries.append(trip)
            others.set_newer("k", b"theirs", next(versions))

    message = "'k' was changed by others each of the 3 times that this was tried; use LuaAtomic"
    with CommandLog(client, before=meanwhile), pytest.raises(Contended, match=message):
        atomic.set_newer("k", b"mine", HIGHEST)
    assert tries == [3, 6, 9]
    assert others.get("k") == Versioned(b"theirs", 2)
    assert atomic.set_newer("k", b"mine", HIGHEST)


# --- Threads

WORKERS, ROUNDS = 8, 20


def test_increments_of_many_threads_sum_up(bench: Bench, way: Any, prefix: str) -> None:
    with bench.client() as client:
        atomic = way(client, prefix)
        seen = in_threads(
            WORKERS, lambda _: [atomic.increment("n", 1, "1h") for _ in range(ROUNDS)]
        )
        assert sorted(itertools.chain(*seen)) == list(range(1, WORKERS * ROUNDS + 1))
        assert client.ttl(f"{prefix}:n") > 3_000


def test_of_many_that_set_on_one_version_one_wins(bench: Bench, way: Any, prefix: str) -> None:
    with bench.client() as client:
        atomic = way(client, prefix)
        found = atomic.get_or_set("k", b"first")
        for _ in range(5):
            version = found.version

            def act(number: int, version: int = version) -> Any:
                return atomic.compare_and_set("k", b"%d" % number, version)

            answers = in_threads(WORKERS, act)
            (winner,) = [answer for answer in answers if answer]
            found = atomic.get("k")
            assert found == winner
            assert found.version == version + 1


def test_of_many_that_make_a_value_one_wins(bench: Bench, way: Any, prefix: str) -> None:
    with bench.client() as client:
        atomic = way(client, prefix)
        for key in "abc":

            def act(number: int, key: str = key) -> Any:
                return atomic.get_or_set(key, b"%d" % number)

            assert set(in_threads(WORKERS, act)) == {atomic.get(key)}


def test_after_any_order_of_writers_the_newest_is_there(
    bench: Bench, way: Any, prefix: str
) -> None:
    with bench.client() as client:
        atomic = way(client, prefix)
        versions = Random(1).sample(range(10_000), WORKERS * ROUNDS)
        answers = in_threads(
            WORKERS,
            lambda number: [
                atomic.set_newer("k", b"%d" % version, version)
                for version in versions[number::WORKERS]
            ],
        )
        assert all(isinstance(answer, list) for answer in answers)
        assert atomic.get("k") == Versioned(b"%d" % max(versions), max(versions))


# --- Processes

PROCESSES = 3


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        yield pool


def work(url: str, name: str, number: int) -> int:
    """In a process: count, add to a value, and set versions, all at the same time as others."""
    with labkit.connect(url) as client:
        atomic = WAYS[name](client, name)
        client.incr(f"{name}:here")
        while int(client.get(f"{name}:here") or 0) < PROCESSES:
            pass
        for _ in range(ROUNDS):
            atomic.increment("n")
            while True:
                found = atomic.get_or_set("sum", b"0")
                new = b"%d" % (int(found.value) + 1)
                if atomic.compare_and_set("sum", new, found.version):
                    break
        versions = Random(number).sample(range(1_000), ROUNDS)
        for version in versions:
            atomic.set_newer("newest", b"%d" % version, version)
        return max(versions)


@needs_server
@pytest.mark.parametrize("name", WAYS)
def test_processes_lose_nothing(server: LocalServer, pool: ProcessPoolExecutor, name: str) -> None:
    asked = [pool.submit(work, server.url, name, number) for number in range(PROCESSES)]
    highest = max(each.result(PATIENCE) for each in asked)
    with server.client() as client:
        atomic = WAYS[name](client, name)
        assert atomic.increment("n", 0) == PROCESSES * ROUNDS
        assert atomic.get("sum").value == b"%d" % (PROCESSES * ROUNDS)
        assert atomic.get("newest") == Versioned(b"%d" % highest, highest)


# --- Clusters, refusals and servers that are away


@pytest.mark.parametrize("awaited", [False, True])
def test_scripts_work_in_a_cluster(cluster_url: str, prefix: str, awaited: bool) -> None:
    with asyncio.Runner() as runner:
        if awaited:
            client: Any = runner.run(labkit.connect_async(cluster_url))
            atomic: Any = Awaited(LuaAtomic(client, prefix), runner)
        else:
            client = labkit.connect(cluster_url)
            atomic = LuaAtomic(client, prefix)
        for key in map(str, range(9)):  # on every node
            made = atomic.get_or_set(key, b"1")
            assert atomic.compare_and_set(key, b"2", made.version).value == b"2"
            assert atomic.get(key).value == b"2"
            assert atomic.delete(key)
            assert atomic.increment(key, 2) == 2
            assert atomic.delete(key)
        if awaited:
            runner.run(client.aclose())
        else:
            client.close()


def test_a_key_of_another_kind_is_refused(atomic: Any) -> None:
    atomic.increment("n")
    atomic.get_or_set("k", b"1")
    for call in (
        lambda: atomic.get("n"),
        lambda: atomic.get_or_set("n", b"1"),
        lambda: atomic.compare_and_set("n", b"1", 0),
        lambda: atomic.set_newer("n", b"1", 1),
        lambda: atomic.increment("k"),
    ):
        with pytest.raises(Refused, match="WRONGTYPE"):
            call()
    atomic.increment("n", HIGHEST - 1)
    with pytest.raises(Refused, match="overflow"):
        atomic.increment("n")


@needs_server
def test_a_server_that_is_away_is_said_to_be(way: Any) -> None:
    with LocalServer() as server:
        client = labkit.connect(server.url, retry=Retry(NoBackoff(), 0))
        atomic = way(client, "p")
        made = atomic.get_or_set("k", b"1")
        server.kill()
        for call in (
            lambda: atomic.get("k"),
            lambda: atomic.get_or_set("k", b"1"),
            lambda: atomic.compare_and_set("k", b"2", made.version),
            lambda: atomic.set_newer("k", b"2", HIGHEST),
            lambda: atomic.increment("n"),
            lambda: atomic.delete("k"),
        ):
            with pytest.raises(Unavailable, match="Redis did not answer"):
                call()
        client.close()


@pytest.mark.parametrize("version", [-1, 2**63, 1.5, "7", True, None])
def test_a_version_that_the_database_cannot_have_is_refused(atomic: Any, version: Any) -> None:
    with pytest.raises(ValueError, match=r"version is .*; expected a whole number from 0 up to"):
        atomic.set_newer("k", b"1", version)


def test_times_that_make_no_sense_are_refused(atomic: Any) -> None:
    for ttl in (0, -1, "soon"):
        with pytest.raises(ValueError, match=r"ttl is|not a duration"):
            atomic.get_or_set("k", b"1", ttl)
    assert atomic.get("k") is None


def test_a_client_that_cannot_watch_is_refused() -> None:
    other: Any = redis.asyncio.Redis()
    with pytest.raises(TypeError, match=r"redis.asyncio.client.Redis; expected a redis.Redis"):
        WatchAtomic(other, "p")
    with pytest.raises(TypeError, match="a str is no client of redis-py"):
        LuaAtomic("localhost", "p")
    with pytest.raises(ValueError, match="attempts is 0; expected"):
        WatchAtomic(redis.Redis(), "p", attempts=0)
