"""What the strategies promise that write in another way than by invalidating."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from labkit import LocalServer
from labkit.cache import (
    AsyncCache,
    Cache,
    Contended,
    FunctionSource,
    MemoryTier,
    ReadThrough,
    RedisTier,
    Unavailable,
    Unserializable,
    WriteAround,
    WriteThrough,
)
from labkit.cache.known import KnownSet
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.cache.table import Article, AsyncTable, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cache.conftest import Bed

OLD, NEW = Article(1, "Story 1"), Article(1, "Ferry is back")


class Hooked(Table):
    """A source that lets something happen right before and right after it has written."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], Any] = lambda: None
        self.after: Callable[[], Any] = lambda: None

    def save(self, key: int, value: Any) -> None:
        self.before()
        super().save(key, value)
        self.after()

    def delete(self, key: int) -> None:
        self.before()
        super().delete(key)
        self.after()


class Slow(Hooked):
    """A source whose write stops until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.go = threading.Event()
        self.before = self._stop

    def _stop(self) -> None:
        self.reached.set()
        assert self.go.wait(PATIENCE)


# --- Write-through


def test_what_was_saved_is_found_without_a_load(made: Callable[..., Any]) -> None:
    source = Table()
    articles = made(WriteThrough, source)
    articles.get(1)
    articles.save(1, NEW)
    articles.save(50, Article(50, "Just in"))
    assert source.rows[1] == NEW
    assert (articles.get(1), articles.get(50)) == (NEW, Article(50, "Just in"))
    assert articles.get_many([1, 50]) == {1: NEW, 50: Article(50, "Just in")}
    assert source.asked == [1]
    counts = articles.stats()
    assert (counts.writes, counts.write_failures, counts.loads) == (2, 0, 1)


def test_what_was_deleted_is_gone_and_known_to_be(made: Callable[..., Any]) -> None:
    source = Table()
    articles = made(WriteThrough, source)
    articles.get(1)
    articles.delete(1)
    assert articles.get(1) is None
    assert (source.rows.get(1), source.asked) == (None, [1])
    brief = made(WriteThrough, source, name="brief", negative_ttl=0)
    brief.delete(2)
    assert brief.get(2) is None
    assert source.asked == [1, 2]


def test_another_cache_finds_it_too(made: Callable[..., Any], bed: Bed) -> None:
    if not bed.has_store:
        pytest.skip("its memory is its own")
    source = Table()
    one, other = made(WriteThrough, source), made(WriteThrough, source)
    other.get(1)
    one.save(1, NEW)
    if bed.tells:
        until(lambda: other.get(1) == NEW)
    else:
        bed.advance(10)  # memory goes by its bound of staleness
        assert other.get(1) == NEW
    assert source.asked == [1]


def test_a_source_that_returns_what_it_stored_is_believed(made: Callable[..., Any]) -> None:
    rows: dict[int, Any] = {}

    def save(key: int, value: Any) -> Any:
        rows[key] = Article(value.id, value.title, ("version 2",))
        return rows[key]

    articles = made(WriteThrough, FunctionSource(rows.get, save=save, returning=True))
    articles.save(1, NEW)
    assert articles.get(1) == rows[1] == Article(1, "Ferry is back", ("version 2",))
    silent = made(WriteThrough, FunctionSource(rows.get, save=save), name="silent")
    silent.save(2, Article(2, "As given"))
    assert silent.get(2) == Article(2, "As given")


def test_what_the_source_fills_in_need_not_be_there_before(
    made: Callable[..., Any], bed: Bed
) -> None:
    rows: dict[int, Any] = {}

    def save(key: int, value: Any) -> Any:
        rest: Any = object() if key == 3 else ("filled in",)
        rows[key] = Article(value.id, value.title, rest)
        return rows[key]

    incomplete = Article(1, "New", None)  # type: ignore[arg-type]
    articles = made(WriteThrough, FunctionSource(rows.get, save=save, returning=True))
    articles.save(1, incomplete)
    assert articles.get(1) == Article(1, "New", ("filled in",))
    if not bed.has_store:
        return
    silent = made(WriteThrough, FunctionSource(rows.get, save=save), name="silent")
    with pytest.raises(Unserializable):
        silent.save(2, incomplete)
    assert 2 not in rows
    with pytest.raises(Unserializable):
        articles.save(3, incomplete)
    assert 3 in rows
    rows[3] = Article(3, "Mended")
    assert articles.get(3) == Article(3, "Mended")


def test_nothing_old_is_read_once_the_source_has_the_new_value(
    made: Callable[..., Any], bed: Bed
) -> None:
    if bed.awaited or bed.has_memory:
        pytest.skip("a memory of another cache hears of it a moment later")
    source = Hooked()
    writer, reader = made(WriteThrough, source), made(ReadThrough, source, lease=0.02)
    assert reader.get(1) == OLD
    seen = []
    source.after = lambda: seen.append(reader.get(1))  # waits for its lease, and then asks itself
    writer.save(1, NEW)
    assert seen == [NEW]


def test_who_reads_while_it_is_written_waits_and_gets_the_new_value(
    made: Callable[..., Any], bed: Bed, waiting: threading.Semaphore
) -> None:
    if bed.awaited:
        pytest.skip("see the next one")
    source = Slow()
    articles = made(WriteThrough, source)
    assert articles.get(1) == OLD
    got: list[Any] = []
    writer = threading.Thread(target=articles.save, args=(1, NEW))
    reader = threading.Thread(target=lambda: got.append(articles.get(1)))
    writer.start()
    assert source.reached.wait(PATIENCE)
    reader.start()
    assert waiting.acquire(timeout=PATIENCE)
    assert got == []
    source.go.set()
    writer.join(PATIENCE)
    reader.join(PATIENCE)
    assert got == [NEW]
    assert source.asked == [1]


def test_tasks_that_read_while_it_is_written_wait_too() -> None:
    async def play() -> None:
        source = AsyncTable()
        reached, go = asyncio.Event(), asyncio.Event()

        async def save(key: int, value: Any) -> None:
            reached.set()
            await go.wait()
            source.rows[key] = value

        source.save = save  # type: ignore[method-assign]
        async with AsyncCache(ttl=100) as cache:
            articles: Any = WriteThrough(cache, source, name="article")
            assert await articles.get(1) == OLD
            writing = asyncio.create_task(articles.save(1, NEW))
            await reached.wait()
            reading = [asyncio.create_task(articles.get(1)) for _ in range(100)]
            await asyncio.sleep(0)
            go.set()
            await writing
            assert await asyncio.gather(*reading) == [NEW] * 100
            assert source.asked == [1]

    asyncio.run(play())


def test_a_load_from_before_the_write_is_not_kept(made: Callable[..., Any], bed: Bed) -> None:
    if bed.awaited:
        pytest.skip("threads show it")
    source = Table()
    articles = made(WriteThrough, source)
    loaded, go = threading.Event(), threading.Event()
    load = source.load

    def slow(key: int) -> Any:
        row = load(key)
        loaded.set()
        assert go.wait(PATIENCE)
        return row

    source.load = slow  # type: ignore[method-assign]
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.append(articles.get(1)))
    reader.start()
    assert loaded.wait(PATIENCE)
    source.load = load  # type: ignore[method-assign]
    writer = threading.Thread(target=articles.save, args=(1, NEW))
    writer.start()
    # Where there is a store, the write waits until the load has ended; else it goes ahead.
    if not bed.has_store:
        writer.join(PATIENCE)
    go.set()
    reader.join(PATIENCE)
    writer.join(PATIENCE)
    assert got == [OLD]
    assert articles.get(1) == NEW
    assert source.asked == [1]


def test_writers_of_one_key_leave_the_same_in_the_source_and_in_the_cache(
    made: Callable[..., Any], bed: Bed
) -> None:
    if bed.awaited:
        pytest.skip("threads show it")
    source = Table()
    one, other = made(WriteThrough, source), made(WriteThrough, source)
    both = [one, other] if bed.has_store else [one, one]
    values = [Article(1, f"Draft {n}") for n in range(16)]
    errors = in_threads(16, lambda n: both[n % 2].save(1, values[n]))
    assert errors == [None] * 16
    if bed.tells or not bed.has_memory or not bed.has_store:
        until(lambda: one.get(1) == both[1].get(1) == source.rows[1])
    assert source.asked == []


def test_writers_of_one_key_take_turns(made: Callable[..., Any], bed: Bed) -> None:
    if bed.awaited:
        pytest.skip("threads show it")
    source = Hooked()
    inside: list[int] = []
    most: list[int] = []

    def enter() -> None:
        inside.append(1)
        most.append(len(inside))

    source.before, source.after = enter, inside.pop
    articles = made(WriteThrough, source)
    in_threads(8, lambda n: articles.save(1, Article(1, f"Draft {n}")))
    assert most == [1] * 8


# --- Write-through: what goes wrong


def test_where_the_source_raises_nothing_of_the_write_is_read(
    made: Callable[..., Any], bed: Bed
) -> None:
    source = Table()
    articles = made(WriteThrough, source)
    assert articles.get(1) == OLD

    def refuse(key: int, value: Any) -> None:
        raise ValueError("a conflict of versions")

    save, source.save = source.save, refuse  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="conflict"):
        articles.save(1, NEW)
    assert articles.get(1) == OLD
    assert source.asked == [1, 1]  # it was asked, since nobody knows what a failed write has done
    source.save = save  # type: ignore[method-assign]
    source.failing = True
    with pytest.raises(ConnectionError):
        articles.save(1, NEW)
    source.failing = False
    assert articles.get(1) == NEW
    assert articles.stats().write_failures == 2


def test_what_cannot_be_stored_is_refused_before_anything_is_written(
    made: Callable[..., Any], bed: Bed
) -> None:
    source = Table()
    articles = made(WriteThrough, source)
    articles.get(1)
    if not bed.has_store:
        articles.save(1, object())
        return
    with pytest.raises(Unserializable):
        articles.save(1, object())
    assert source.rows[1] == OLD
    assert (articles.get(1), source.asked) == (OLD, [1])


def test_a_write_that_was_invalidated_meanwhile_leaves_no_value(
    made: Callable[..., Any], bed: Bed
) -> None:
    if bed.awaited:
        pytest.skip("the hook invalidates, and would need the loop that waits for it")
    source = Hooked()
    articles = made(WriteThrough, source)
    other = made(ReadThrough, source) if bed.has_store else articles

    def correct() -> None:  # somebody writes past the cache, and says so
        source.rows[1] = Article(1, "Corrected")
        other.invalidate(1)

    source.after = correct
    articles.save(1, NEW)
    assert articles.get(1) == Article(1, "Corrected")
    assert articles.stats().refused == 1


def test_a_writer_that_was_overtaken_drops_what_it_brings(
    made: Callable[..., Any], bed: Bed
) -> None:
    if bed.awaited or not bed.has_store:
        pytest.skip("leases are those of stores")
    source = Hooked()
    slow, fast = made(WriteThrough, source, lease=10), made(WriteThrough, source, lease=10)
    latest = Article(1, "Latest")

    def overtake() -> None:
        source.before = lambda: None
        bed.advance(15)
        fast.save(1, latest)

    source.before = overtake
    slow.save(1, NEW)  # comes to the source after the other, as a frozen process would
    assert source.rows[1] == NEW
    until(lambda: slow.get(1) == NEW)
    if bed.tells or not bed.has_memory:
        until(lambda: fast.get(1) == NEW)


def test_who_does_not_get_the_turn_writes_nothing(made: Callable[..., Any], bed: Bed) -> None:
    if not bed.has_store:
        pytest.skip("in one process the turn comes when a lease is over")
    source = Table()
    articles = made(WriteThrough, source, lease=0.02)
    bed.store().claim(articles.key(1), lease=1_000)
    with pytest.raises(Contended, match=r"0\.02 s.* nothing was written"):
        articles.save(1, NEW)
    assert source.rows[1] == OLD


def test_a_refresh_does_not_take_the_key_from_a_writer(made: Callable[..., Any], bed: Bed) -> None:
    if bed.awaited or not bed.has_store:
        pytest.skip("threads and a store show it")
    source = Slow()
    writer, reader = made(WriteThrough, source), made(ReadThrough, source)
    writing = threading.Thread(target=writer.save, args=(1, NEW))
    writing.start()
    assert source.reached.wait(PATIENCE)
    got: list[Any] = []
    reading = threading.Thread(target=lambda: got.append(reader.refresh(1)))
    reading.start()
    source.go.set()
    writing.join(PATIENCE)
    reading.join(PATIENCE)
    assert got == [NEW]
    assert writer.stats().refused == 0


def test_a_task_that_is_cancelled_while_a_thread_writes_waits_for_it() -> None:
    async def play() -> None:
        source = Slow()
        async with AsyncCache(ttl=100) as cache:
            articles: Any = WriteThrough(cache, source, name="article")
            writing = asyncio.create_task(articles.save(1, NEW))
            await asyncio.to_thread(source.reached.wait)
            writing.cancel()
            reading = asyncio.create_task(articles.get(1))
            await asyncio.sleep(0)
            source.go.set()
            with pytest.raises(asyncio.CancelledError):
                await writing
            assert await reading == NEW

    asyncio.run(play())


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


def test_without_redis_nothing_is_written(server: LocalServer) -> None:
    source = Table()
    with Cache([MemoryTier(), RedisTier(server.client())], ttl=100) as cache:
        articles: Any = WriteThrough(cache, source, name="article", type=Article | None)
        articles.save(1, NEW)
        server.kill()
        with pytest.raises(Unavailable, match=r"nothing was written.*ReadThrough"):
            articles.save(1, OLD)
        with pytest.raises(Unavailable):
            articles.delete(1)
        assert source.rows[1] == NEW


def test_where_redis_dies_after_the_source_has_written_the_write_stands(
    server: LocalServer,
) -> None:
    source = Hooked()
    with Cache([MemoryTier(), RedisTier(server.client())], ttl=100, pause="1ms") as cache:
        articles: Any = WriteThrough(cache, source, name="article", type=Article | None)
        assert articles.get(1) == OLD
        source.after = server.kill
        articles.save(1, NEW)
        assert articles.get(1) == NEW


def test_a_key_that_was_written_through_is_known(made: Callable[..., Any]) -> None:
    articles = made(WriteThrough, Table(), known=KnownSet(["1"]))
    assert articles.get(50) is None
    articles.save(50, Article(50, "Just in"))
    assert articles.get(50) == Article(50, "Just in")


def test_a_value_carries_its_tags(made: Callable[..., Any], bed: Bed) -> None:
    source = Table()
    articles = made(WriteThrough, source, tags=lambda key: [f"odd:{key % 2}"])
    articles.save(1, NEW)
    articles.save(2, Article(2, "Even"))
    cache = articles.target.cache if bed.awaited else articles.cache
    done = cache.invalidate(tag="odd:1")
    if bed.awaited:
        bed.run(done)
    articles.get_many([1, 2])
    assert source.asked == [[1]]


# --- Write-around


def test_a_write_around_is_seen_when_the_time_of_the_old_value_is_over(
    made: Callable[..., Any], bed: Bed
) -> None:
    source = Table()
    articles = made(WriteAround, source)
    assert (articles.get(1), articles.get(50)) == (OLD, None)
    articles.save(1, NEW)
    articles.save(50, Article(50, "Just in"))
    assert source.rows[1] == NEW
    assert (articles.get(1), articles.get(50)) == (OLD, None)
    articles.save(60, Article(60, "Nobody has asked for it"))
    assert articles.get(60) == Article(60, "Nobody has asked for it")
    bed.advance(150)
    assert (articles.get(1), articles.get(50)) == (NEW, Article(50, "Just in"))
    articles.delete(1)
    assert articles.get(1) == NEW
    assert articles.stats().writes == 4


@pytest.mark.parametrize("how", [{"ttl": None}, {"negative_ttl": None}])
def test_a_write_around_has_to_be_seen_at_some_time(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="never ends; give it a ttl"):
        WriteAround(Cache(ttl=100), Table(), name="article", **how)
    with pytest.raises(ValueError, match="no sliding"):
        WriteAround(Cache(ttl=100, sliding=True), Table(), name="article")
