"""What each strategy promises, with threads and with tasks, on every arrangement of tiers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache import AsyncCache, Cache, CacheAside, FunctionSource, ReadThrough, RefreshAhead
from labkit.cache.known import BloomFilter, KnownSet
from labkit.cache.origins import origins
from tests.cache.conftest import Awaited
from tests.cache.crowd import in_threads
from tests.cache.table import Article, AsyncTable, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.cache.conftest import Bed

STRATEGIES = [CacheAside, ReadThrough, RefreshAhead]


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> Any:
    return request.param


# --- Reading


@pytest.mark.parametrize("table", [Table, AsyncTable])
def test_a_value_is_loaded_once_and_found_from_then_on(
    made: Callable[..., Any], strategy: Any, table: Any, bed: Bed
) -> None:
    if table is AsyncTable and not bed.awaited:
        pytest.skip("a Cache refuses it, see below")
    source = table()
    articles = made(strategy, source)
    for _ in range(3):
        assert articles.get(3) == Article(3, "Story 3")
    assert source.asked == [3]
    assert (articles.stats().misses, articles.stats().loads) == (1, 1)
    assert sum(articles.stats().hits.values()) == 2
    bed.advance(120)
    articles.get(3)
    assert source.asked == [3, 3]


def test_what_does_not_exist_is_remembered_too(made: Callable[..., Any], strategy: Any) -> None:
    source = Table()
    articles = made(strategy, source)
    assert [articles.get(99), articles.get(99)] == [None, None]
    assert articles.get_many([99, 98]) == {}
    assert articles.get_many([99, 98]) == {}
    assert source.asked == [99, [98]]


def test_what_is_missing_of_several_is_loaded_together(
    made: Callable[..., Any], strategy: Any
) -> None:
    source = Table()
    articles = made(strategy, source)
    articles.get(2)
    found = articles.get_many(iter([3, 2, 77, 1, 3]))
    assert list(found) == [3, 2, 1]
    assert found[1] == Article(1, "Story 1")
    assert source.asked == [2, [3, 77, 1]]
    assert articles.get_many([]) == {}


def test_keys_of_other_types_are_other_keys(made: Callable[..., Any], strategy: Any) -> None:
    articles = made(strategy, FunctionSource(lambda key: repr(key)), type=str)
    assert (articles.get(1), articles.get("1"), articles.get((1, "a"))) == ("1", "'1'", "(1, 'a')")
    assert articles.get_many([1, "1"]) == {1: "1", "1": "'1'"}
    assert articles.key(1) != articles.key("1")


def test_an_error_of_the_source_reaches_the_caller(made: Callable[..., Any], strategy: Any) -> None:
    source = Table()
    articles = made(strategy, source)
    source.failing = True
    for _ in range(2):
        with pytest.raises(ConnectionError):
            articles.get(1)
    source.failing = False
    assert articles.get(1) == Article(1, "Story 1")


def test_several_that_fail_to_load_fail(made: Callable[..., Any], strategy: Any) -> None:
    def load_many(keys: Sequence[int]) -> dict[int, Any]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        made(strategy, FunctionSource(load_many=load_many)).get_many([1, 2])


# --- Writing


def test_what_was_saved_is_read(made: Callable[..., Any], strategy: Any) -> None:
    source = Table()
    articles = made(strategy, source)
    articles.get(1)
    articles.save(1, Article(1, "New title"))
    assert articles.get(1) == Article(1, "New title")
    articles.delete(1)
    assert articles.get(1) is None
    assert articles.versions([1, 2]) == {2: "Article(id=2, title='Story 2', tags=())"}


def test_a_write_that_may_have_happened_invalidates(
    made: Callable[..., Any], strategy: Any
) -> None:
    source = Table()
    articles = made(strategy, source)
    articles.get(1)
    source.failing = True
    with pytest.raises(ConnectionError, match="after the write"):
        articles.save(1, Article(1, "New title"))
    source.failing = False
    assert articles.get(1) == Article(1, "New title")


def test_refresh_and_invalidate_ask_the_source_again(
    made: Callable[..., Any], strategy: Any
) -> None:
    source = Table()
    articles = made(strategy, source)
    articles.get(1)
    source.rows[1] = Article(1, "Written past the cache")
    assert articles.get(1) == Article(1, "Story 1")
    assert articles.refresh(1) == Article(1, "Written past the cache")
    source.rows[1] = Article(1, "Again")
    articles.invalidate(1)
    assert articles.get(1) == Article(1, "Again")


def test_a_tag_drops_the_values_that_carry_it(
    made: Callable[..., Any], strategy: Any, bed: Bed
) -> None:
    source = Table()
    articles = made(strategy, source, tags=lambda key: [f"even:{key % 2 == 0}"])
    articles.get_many([1, 2, 3])
    assert source.asked == [[1, 3], [2]]
    cache = Awaited(articles.target.cache, articles._runner) if bed.awaited else articles.cache
    cache.invalidate(tag="even:True")
    articles.get_many([1, 2, 3])
    assert source.asked == [[1, 3], [2], [2]]


# --- At the edges


@pytest.mark.parametrize(("kind", "loads"), [(ReadThrough, 1), (CacheAside, 8)])
def test_callers_who_miss_at_once_load_once_or_each(bed: Bed, kind: Any, loads: int) -> None:
    if bed.awaited:
        pytest.skip("threads")
    inside = threading.Barrier(8)
    asked: list[int] = []

    def load(key: int) -> str:
        asked.append(key)
        if kind is CacheAside:
            inside.wait(30)  # all of them are inside before the first has stored anything
        return "value"

    values: Any = kind(bed.cache(), FunctionSource(load), name="v")
    assert in_threads(8, lambda _: values.get(1)) == ["value"] * 8
    assert len(asked) == loads


@pytest.mark.parametrize(("kind", "after"), [(CacheAside, "old"), (ReadThrough, "new")])
def test_a_reader_who_loaded_before_a_write_stores_after_it_or_not(
    made: Callable[..., Any], bed: Bed, kind: Any, after: str
) -> None:
    """The race of readers and writers, in the order in which cache-aside loses it."""
    source = Table({1: "old"})
    articles: Any = None

    def load(key: int) -> Any:
        value = source.rows[key]
        if meanwhile:
            meanwhile.pop()
            writer.save(1, "new")
        return value

    async def load_async(key: int) -> Any:
        value = source.rows[key]
        if meanwhile:
            meanwhile.pop()
            await writer.save(1, "new")
        return value

    meanwhile = [True]
    articles = made(kind, FunctionSource(load_async if bed.awaited else load), type=str)
    cache = articles.target.cache if bed.awaited else articles.cache
    writer: Any = kind(cache, AsyncTable(source.rows) if bed.awaited else source, name="article")
    assert articles.get(1) == "old"
    assert articles.get(1) == after


def test_refresh_ahead_loads_before_the_time_is_over(bed: Bed) -> None:
    if bed.awaited:
        pytest.skip("see test_freshness")
    jobs: list[Callable[[], object]] = []
    cache = bed.cache(ttl=100, background=jobs.append)
    source = Table()
    articles: Any = RefreshAhead(cache, source, name="article", type=Article, ahead=0.3)
    articles.get(1)
    bed.advance(60)
    articles.get(1)
    assert not jobs
    bed.advance(20)
    articles.get(1)
    jobs.pop()()
    bed.advance(40)
    assert articles.get(1) == Article(1, "Story 1")
    assert source.asked == [1, 1]
    assert articles.stats().misses == 1


def test_a_failing_source_is_stood_in_for_where_that_is_allowed(
    made: Callable[..., Any], bed: Bed
) -> None:
    source = Table()
    articles = made(ReadThrough, source, stale_if_error=1000)
    articles.get(1)
    bed.advance(500)
    source.failing = True
    assert articles.get(1) == Article(1, "Story 1")
    assert articles.stats().stale == 1
    with pytest.raises(ConnectionError):
        articles.get(2)


# --- Keys that are known


@pytest.mark.parametrize("kind", [KnownSet, BloomFilter])
def test_made_up_keys_do_not_reach_the_source(
    made: Callable[..., Any], strategy: Any, kind: Any
) -> None:
    known = KnownSet() if kind is KnownSet else BloomFilter(1_000, error_rate=0.0001)
    known.add(str(n) for n in range(10))
    source = Table()
    articles = made(strategy, source, known=known)
    assert [articles.get(n) for n in range(1_000, 1_500)] == [None] * 500
    assert articles.get_many([3, *range(1_000, 1_100)]) == {3: Article(3, "Story 3")}
    assert source.asked == [[3]]
    assert articles.turned_away == 600
    assert sum(articles.stats().hits.values()) == 0


def test_a_key_that_was_saved_is_known(made: Callable[..., Any], strategy: Any) -> None:
    articles = made(strategy, Table(), known=KnownSet(["1"]))
    assert articles.get(50) is None
    articles.save(50, Article(50, "Just in"))
    assert articles.get(50) == Article(50, "Just in")


# --- Warming


def test_warming_loads_in_batches_what_is_not_there(
    made: Callable[..., Any], strategy: Any
) -> None:
    source = Table()
    articles = made(strategy, source)
    articles.get(1)
    warmed = articles.warm(range(9), batch=3)
    assert (warmed.done, warmed.stopped) == (9, None)
    assert source.asked == [1, [0, 2], [3, 4, 5], [6, 7, 8]]
    assert articles.get_many(range(9)).keys() == set(range(9))
    assert len(source.asked) == 4


def test_a_cache_warms_too(bed: Bed) -> None:
    cache = bed.cache(ttl=100)
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int]:
        asked.append(keys)
        return {key: len(key) for key in keys}

    cache.set("b", 0)
    assert cache.warm(iter(["aaa", "b", "cc"]), load, batch=2, tags=["t"]).done == 3
    assert asked == [["aaa"], ["cc"]]
    assert cache.get_many(["aaa", "b", "cc"]) == {"aaa": 3, "b": 0, "cc": 2}
    cache.invalidate(tag="t")
    assert cache.get_many(["aaa", "b", "cc"]) == {"b": 0}


# --- What is asked for most, and where values came from


def test_hot_keys_are_told_where_they_are_counted(bed: Bed) -> None:
    assert bed.cache().stats().hot == []
    cache = bed.cache(namespace="hot", hot_keys=2)
    cached = bed.cached(cache, lambda n: n, name="f", key="f:{n}")
    for _ in range(5):
        cached(1)
    for _ in range(3):
        cache.get_or_load("k", lambda: 1)
        cache.get("k")
        cache.get_many(["k"])
    assert [(hot.key, hot.count) for hot in cache.stats().hot] == [("k", 9), ("f:1", 5)]


def test_the_origin_of_each_value_is_told(bed: Bed) -> None:
    if bed.awaited:
        pytest.skip("what is collected stands in a context variable, and each call has its own")
    cache = bed.cache(ttl=100, stale_while_revalidate=100, background=lambda job: None)
    nearest = cache.stats().tiers[0].name
    cache.set("a", 1)
    with origins() as found:
        cache.get_or_load("a", lambda: 1)
        cache.get_or_load("b", lambda: 1)
        cache.get_or_load_many(["a", "c"], lambda keys: dict.fromkeys(keys, 1))
        cache.get("missing")
    assert {key: origin.where for key, origin in found.items()} == {
        "a": nearest,
        "b": "loaded",
        "c": "loaded",
    }
    bed.advance(150)
    with origins() as found:
        cache.get_or_load("a", lambda: 1)
        cache.get_many(["b"])
    # A memory that hears of no changes has let go of it.
    assert found["a"].where == (nearest if bed.layout != "memory+dict" else "dict")
    assert 49 < found["a"].stale < 60
    assert "b" not in found
    cache.get("a")
    assert len(found) == 1


def test_a_caller_that_waited_is_told_so(waiting: threading.Semaphore) -> None:
    cache = Cache()
    go = threading.Event()

    def load() -> int:
        go.wait(30)
        return 1

    def ask(_: int) -> str:
        with origins() as found:
            cache.get_or_load("k", load)
        return found["k"].where

    def release() -> None:
        assert waiting.acquire(timeout=30)
        go.set()

    released = threading.Thread(target=release)
    released.start()
    answers = in_threads(2, ask)
    released.join()
    assert sorted(answers) == ["loaded", "waited"]


# --- Refusals


def test_what_cannot_be_is_refused() -> None:
    source: Any = FunctionSource(lambda key: key)
    with pytest.raises(ValueError, match=r"name is 'a:b'; expected a text without a colon"):
        ReadThrough(Cache(), source, name="a:b")
    with pytest.raises(ValueError, match="name is ''"):
        ReadThrough(Cache(), source, name="")
    with pytest.raises(ValueError, match="use ReadThrough"):
        CacheAside(Cache(ttl=1), source, name="a", stale_if_error=5)
    with pytest.raises(ValueError, match="use ReadThrough"):
        CacheAside(Cache(ttl=1, early=1), source, name="a")
    with pytest.raises(TypeError, match="use an AsyncCache"):
        ReadThrough(Cache(), AsyncTable(), name="a")
    with pytest.raises(TypeError, match="expected several tags"):
        ReadThrough(AsyncCache(), source, name="a", tags="t")
    with pytest.raises(TypeError, match="maxsize"):
        ReadThrough(Cache(), source, name="a", maxsize=5)  # type: ignore[call-arg]
