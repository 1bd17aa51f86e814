"""Which ids exist, in Redis: simulated, real, awaited and in a cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import labkit
from labkit import CommandLog, LocalServer
from labkit.cache import Refused, Unavailable
from labkit.cache.backends.redis_known import RedisBloom, RedisIds
from labkit.cache.known import BloomFilter
from labkit.clock import fast_forward
from labkit.server import find_server
from tests.cache.conftest import Awaited
from tests.cache.crowd import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.course.bench import Bench

needs_server = pytest.mark.skipif(find_server() is None, reason="fakeredis is never away")

KINDS: dict[str, Callable[[Any], Any]] = {
    "bloom": lambda client: RedisBloom(client, "articles", 5_000, 0.1),
    "ids": lambda client: RedisIds(client, "articles"),
}


@pytest.fixture
def client(bench: Bench) -> Iterator[redis.Redis]:
    bench.reset()
    with bench.client() as client:
        yield client


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


@pytest.fixture
def known(kind: Any, client: redis.Redis, bench: Bench, awaited: bool) -> Iterator[Any]:
    """One of the two, over each kind of client."""
    if not awaited:
        yield kind(client)
        return
    with asyncio.Runner() as runner:
        own = runner.run(labkit.connect_async(bench.url))
        known = kind(own)
        assert not known.blocking
        yield Awaited(known, runner)
        runner.run(own.aclose())


def test_what_was_built_is_known_and_little_else(known: Any) -> None:
    known.replace(f"article:{i}" for i in range(1_100))
    assert all(known.has(f"article:{i}") for i in (0, 1, 999, 1_000, 1_001, 1_099))
    assert sum(known.has(f"made-up:{i}") for i in range(50)) <= 2
    assert known.add(["made-up:x", "ключ 🗝"]) is True
    assert known.has("made-up:x")
    assert known.has("ключ 🗝")
    known.replace(["article:1"])
    assert known.has("article:1")
    assert not known.has("article:2")
    assert known.add([]) is True


def test_as_long_as_nothing_was_built_every_id_is_known(known: Any, client: redis.Redis) -> None:
    assert known.has("a")
    assert known.add(["b"]) is False  # with a few ids alone, all others would be unknown
    assert known.has("a")
    known.replace(["b"])
    assert not known.has("a")
    client.flushall()
    assert known.add(["c"]) is False
    assert known.has("a")


def test_a_build_of_no_ids_knows_none(known: Any) -> None:
    known.replace([])
    assert not known.has("a")
    assert not known.has("")


# In the midst of a build others ask and add, with a client of their own.


def test_what_is_there_is_asked_until_the_new_one_is_complete(
    known: Any, kind: Any, client: redis.Redis
) -> None:
    known.replace(["old"])
    others = kind(client)

    def ids() -> Iterator[str]:
        for number in range(1_200):
            if number in (0, 1_100):
                assert others.has("old")
                assert not others.has("id:0")
            yield f"id:{number}"

    known.replace(ids())
    assert not known.has("old")
    assert all(known.has(f"id:{number}") for number in (0, 999, 1_000, 1_199))


def test_an_id_that_is_added_meanwhile_is_not_lost(
    known: Any, kind: Any, client: redis.Redis
) -> None:
    known.replace(["old"])

    def ids() -> Iterator[str]:
        assert kind(client).add(["added"])
        yield "new"

    known.replace(ids())
    assert known.has("added")
    assert known.has("new")


def test_of_two_builds_at_a_time_the_later_one_counts(
    known: Any, kind: Any, client: redis.Redis
) -> None:
    def ids() -> Iterator[str]:
        yield from (f"first:{number}" for number in range(1_000))
        kind(client).replace(["second"])
        yield "first"

    with pytest.raises(RuntimeError, match="another replace of 'articles' began while this one"):
        known.replace(ids())
    assert known.has("second")
    assert not known.has("first")
    assert not known.has("first:0")


def test_a_build_that_was_lost_on_its_way_counts_for_nothing(
    known: Any, client: redis.Redis
) -> None:
    known.replace(["old"])

    def ids() -> Iterator[str]:
        yield from (f"new:{number}" for number in range(1_000))
        client.delete(*client.keys("*:new"))  # as an eviction does
        yield "last"

    with pytest.raises(RuntimeError, match="another replace"):
        known.replace(ids())
    assert known.has("old")
    assert not known.has("last")


def test_a_build_that_breaks_off_leaves_what_stood_and_nothing_for_ever(
    known: Any, client: redis.Redis
) -> None:
    known.replace(["old"])

    def ids() -> Iterator[str]:
        yield "new"
        raise LookupError

    with pytest.raises(LookupError):
        known.replace(ids())
    assert known.has("old")
    assert not known.has("new")
    assert known.add(["added"])
    fast_forward(client, "2h")
    (left,) = client.keys("*")
    assert client.ttl(left) == -1
    assert known.has("added")


def test_one_text_is_not_taken_for_several_ids(known: Any) -> None:
    for method in (known.add, known.replace):
        with pytest.raises(TypeError, match="keys is the text 'abc'"):
            method("abc")


def test_an_id_need_not_be_a_text(known: Any) -> None:
    known.replace([1, (2, "x"), "a b"])
    known.add([3])
    assert all(known.has(each) for each in (1, "1", 3, (2, "x"), "a b"))
    assert sum(known.has(each) for each in range(100, 150)) <= 10


def test_asking_is_one_round_trip_and_adding_is_one_for_a_thousand(
    kind: Any, client: redis.Redis
) -> None:
    known = kind(client)
    known.replace(["a"])
    known.add(["b"])
    for trips, call in (
        (1, lambda: known.has("a")),
        (1, lambda: known.has("x")),
        (1, lambda: known.add(map(str, range(1_000)))),
        (2, lambda: known.add(map(str, range(1_001)))),
        (3, lambda: known.replace(map(str, range(1_000)))),
    ):
        with CommandLog(client) as log:
            call()
        assert log.round_trips == trips, str(log)


def test_many_threads_that_add_lose_no_id(kind: Any, client: redis.Redis) -> None:
    known = kind(client)
    known.replace([])
    in_threads(8, lambda number: known.add([f"{number}:{i}" for i in range(100)]))
    assert all(known.has(f"{number}:{i}") for number in range(8) for i in range(0, 100, 9))


def test_both_answer_what_their_likes_in_memory_do(client: redis.Redis) -> None:
    names = [f"article:{i}" for i in range(300)]
    mine = BloomFilter(300, 0.2)
    mine.add(names)
    theirs = RedisBloom(client, "small", 300, 0.2)
    theirs.replace(names)
    asked = [f"made-up:{i}" for i in range(100)]
    assert [theirs.has(key) for key in asked] == [mine.has(key) for key in asked]
    assert 0 < sum(map(mine.has, asked)) < 50


def test_a_filter_that_was_given_other_numbers_is_refused(client: redis.Redis) -> None:
    RedisBloom(client, "articles", 1_000).replace(["a"])
    other = RedisBloom(client, "articles", 2_000)
    message = "the filter 'articles' was made with other numbers.*same capacity and error_rate"
    for call in (lambda: other.has("a"), lambda: other.add(["b"])):
        with pytest.raises(ValueError, match=message):
            call()
    other.replace(["b"])
    assert other.has("b")
    with pytest.raises(ValueError, match=message):
        RedisBloom(client, "articles", 1_000).has("b")
    assert RedisBloom(client, "articles", 2_000, 0.01).has("b")


def test_an_id_that_is_added_to_a_build_with_other_numbers_is_refused(client: redis.Redis) -> None:
    old, new = RedisBloom(client, "articles", 1_000), RedisBloom(client, "articles", 2_000)
    old.replace(["a"])

    def ids() -> Iterator[str]:
        with pytest.raises(ValueError, match="made with other numbers"):
            old.add(["added"])
        yield "a"

    new.replace(ids())
    assert not new.has("added")


def test_what_is_there_by_another_hand_is_refused(kind: Any, client: redis.Redis) -> None:
    known = kind(client)
    known.replace(["a"])
    (name,) = client.keys("*")
    client.delete(name)
    client.hset(name, "f", "v")
    with pytest.raises(Refused, match="WRONGTYPE"):
        known.has("a")


def test_names_are_kept_apart(client: redis.Redis) -> None:
    for make in (lambda name: RedisBloom(client, name, 100), lambda name: RedisIds(client, name)):
        one, other = make("one"), make("other")
        one.replace(["a"])
        other.replace(["b"])
        assert (one.has("a"), one.has("b")) == (True, False)
        assert (other.has("a"), other.has("b")) == (False, True)


@pytest.mark.parametrize("awaited", [False, True])
def test_they_lie_in_one_slot_of_a_cluster(cluster_url: str, kind: Any, awaited: bool) -> None:
    with asyncio.Runner() as runner:
        if awaited:
            client: Any = runner.run(labkit.connect_async(cluster_url))
            known: Any = Awaited(kind(client), runner)
        else:
            client = labkit.connect(cluster_url)
            known = kind(client)
        known.replace(map(str, range(1_100)))
        assert known.has("1099")
        assert not known.has("made-up")
        assert known.add(["made-up"])
        assert known.has("made-up")
        if awaited:
            runner.run(client.aclose())
        else:
            client.close()


# --- Redis is away


@needs_server
def test_as_long_as_redis_is_away_every_id_is_known_and_none_can_be_added(kind: Any) -> None:
    with LocalServer() as server:
        client = labkit.connect(server.url, retry=Retry(NoBackoff(), 0))
        known = kind(client)
        known.replace(["a"])
        assert not known.has("b")
        server.kill()
        assert known.has("b")
        assert known.has("a")
        for call in (lambda: known.add(["c"]), lambda: known.replace(["c"])):
            with pytest.raises(Unavailable, match="Redis did not answer"):
                call()
        client.close()


@needs_server
def test_as_long_as_redis_is_away_every_id_is_known_to_tasks_too(kind: Any) -> None:
    async def check() -> None:
        with LocalServer() as server:
            retry: Any = redis.asyncio.retry.Retry(NoBackoff(), 0)
            client = await labkit.connect_async(server.url, retry=retry)
            known = kind(client)
            await known.replace(["a"])
            assert not await known.has("b")
            server.kill()
            assert await known.has("b")
            with pytest.raises(Unavailable, match="Redis did not answer"):
                await known.add(["c"])
            await client.aclose()

    asyncio.run(check())


@needs_server
def test_a_redis_that_is_frozen_costs_the_time_out_of_the_client(kind: Any) -> None:
    with LocalServer() as server:
        client = labkit.connect(server.url, retry=Retry(NoBackoff(), 0), socket_timeout=0.05)
        known = kind(client)
        known.replace(["a"])
        with server.client() as other:
            other.execute_command("CLIENT", "PAUSE", 60_000, "ALL")
        assert known.has("b")
        server.kill()
        client.close()


# --- Refusals


def test_what_cannot_be_is_refused(client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="capacity is 0; expected"):
        RedisBloom(client, "n", 0)
    with pytest.raises(ValueError, match=r"which take \d+ bits; a value in Redis has 4294967296"):
        RedisBloom(client, "n", 10**9)
    with pytest.raises(TypeError, match=r"a str is no client of redis-py; expected what labkit"):
        RedisIds("localhost", "n")
