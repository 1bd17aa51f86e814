"""Parts of entities and what spares their source: where loads wait, fail, or lag behind."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache import FunctionSource, Overloaded
from labkit.cache.entities import Many
from labkit.cache.policies import Limits, Policy
from labkit.cache.smart import AsyncSmartCache, SmartCache
from tests.cache.crowd import PATIENCE
from tests.cache.entities.press import Article, Headline, Press

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cache.conftest import Bed
    from tests.cache.entities.conftest import Plain


class Table:
    """Articles, with a source that can fail, and read some columns alone."""

    def __init__(self, *, fields: bool = False) -> None:
        self.rows: dict[int, Article] = dict(Press().articles)
        self.down = False
        self.asked: list[Any] = []
        if fields:
            self.load_fields = self._fields

    def load(self, key: int) -> Article | None:
        return self.load_many([key]).get(key)

    def load_many(self, keys: Any) -> dict[int, Article]:
        self.asked.append(tuple(keys))
        if self.down:
            raise ConnectionError("the database is away")
        return {key: self.rows[key] for key in keys if key in self.rows}

    def _fields(self, keys: Any, fields: Any) -> dict[int, dict[str, Any]]:
        found = self.load_many(keys)
        return {key: {name: getattr(row, name) for name in fields} for key, row in found.items()}

    def save(self, key: int, value: Article) -> None:
        self.rows[key] = value

    def delete(self, key: int) -> None:
        del self.rows[key]

    def versions(self, keys: Any) -> dict[int, Any]:
        return {}


# --- Written behind


@pytest.mark.parametrize("fields", [False, True])
def test_parts_of_what_is_written_behind_are_never_older_than_it(
    smart: Callable[..., Plain], bed: Bed, fields: bool
) -> None:
    if bed.client is None:
        pytest.skip("needs Redis")
    plain = smart()
    table = Table(fields=fields)
    plain.smart.entity(Article, table, policy=Policy("write-behind", ttl=100), parts=[Headline])
    articles, heads = plain["Article"], plain.part("Article", Headline)
    articles.save(Article(1, None, "New", []))
    articles.save(Article(50, None, "First", []))
    for _ in range(2):
        assert heads.get(1) == Headline("New", "")
        assert heads.get_many([1, 50, 99]) == {1: Headline("New", ""), 50: Headline("First", "")}
        bed.advance(200)  # the queue alone has them now
    assert table.rows[1].title == "Story 1"
    drained = plain.smart["Article"].strategy.drain()
    assert bed.run(drained) if bed.awaited else drained
    assert table.rows[1].title == "New"
    bed.advance(200)
    assert heads.get_many([1, 50, 2]).keys() == {1, 50, 2}
    assert heads.get(1) == Headline("New", "")


# --- Where the source is away


def test_an_older_whole_stands_in_for_a_part_that_cannot_be_loaded(
    smart: Callable[..., Plain], bed: Bed
) -> None:
    plain = smart()
    table = Table()
    policy = Policy(ttl=10, stale_if_error=100)
    plain.smart.entity(Article, table, policy=policy, parts=[Headline])
    articles, heads = plain["Article"], plain.part("Article", Headline)
    articles.get_many([1, 2])
    table.rows[1] = Article(1, None, "Changed", [])
    bed.advance(20)
    assert heads.get(1) == Headline("Changed", "")  # the source is there
    bed.advance(20)
    table.down = True
    assert heads.get(2) == Headline("Story 2", "")
    assert heads.get_many([2, 1]).keys() == {2, 1}
    assert articles.get(2).title == "Story 2"
    with pytest.raises(ConnectionError, match="away"):
        heads.get_many([2, 3])
    bed.advance(200)
    with pytest.raises(ConnectionError, match="away"):
        heads.get(2)


# --- Limits


class Counted:
    """A source, and a function for lists, whose loads wait until they are let go."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self._lock = threading.Lock()

    def hold(self) -> None:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.begun.release()
        assert self.go.wait(PATIENCE)
        with self._lock:
            self.running -= 1

    def load_many(self, keys: list[int]) -> dict[int, Article]:
        self.hold()
        return {key: Article(key, None, "...", []) for key in keys}

    def load_fields(self, keys: list[int], fields: Any) -> dict[int, dict[str, str]]:
        self.hold()
        return {key: {"title": "...", "by": ""} for key in keys}

    def lists(self, ids: list[int]) -> dict[int, list[int]]:
        self.hold()
        return {each: [] for each in ids}


LOADS: list[Callable[[Any], Any]] = [
    lambda articles: articles.get(1),
    lambda articles: articles.get_many([2, 3]),
    lambda articles: articles.part(Headline).get(4),
    lambda articles: articles.related(5, "more"),
    lambda articles: articles.related_many([6, 7], "more"),
]


def declare(smart: Any, source: Counted, limits: Limits, *, fields: bool) -> Any:
    functions: Any = FunctionSource(load_many=source.load_many)
    if fields:
        functions.load_fields = source.load_fields
    return smart.entity(
        Article,
        functions,
        policy=Policy(limits=limits),
        relations={"more": Many(to="Article", load=source.lists)},
        parts=[Headline],
    )


@pytest.mark.parametrize("coalesce", [None, 10])
@pytest.mark.parametrize("fields", [False, True])
def test_a_limit_is_one_for_an_entity_its_parts_and_its_lists(
    fields: bool, coalesce: int | None, awaited: bool
) -> None:
    source = Counted()
    limits = Limits(at_once=1, wait=PATIENCE, coalesce=coalesce)

    def blocking() -> None:
        with SmartCache() as smart, ThreadPoolExecutor(len(LOADS)) as pool:
            articles = declare(smart, source, limits, fields=fields)
            loads = [pool.submit(load, articles) for load in LOADS]
            assert source.begun.acquire(timeout=PATIENCE)
            source.go.set()
            for each in loads:
                each.result(PATIENCE)

    async def coroutine() -> None:
        async with AsyncSmartCache() as smart:
            articles = declare(smart, source, limits, fields=fields)
            loads = [asyncio.ensure_future(load(articles)) for load in LOADS]
            assert await asyncio.to_thread(source.begun.acquire, timeout=PATIENCE)
            source.go.set()
            await asyncio.gather(*loads)

    asyncio.run(coroutine()) if awaited else blocking()
    assert source.most == 1


@pytest.mark.parametrize("load", LOADS[2:])
def test_who_finds_the_place_of_the_entity_taken_is_refused(load: Callable[[Any], Any]) -> None:
    source = Counted()
    with SmartCache() as smart, ThreadPoolExecutor(1) as pool:
        articles = declare(smart, source, Limits(at_once=1, wait=0), fields=True)
        first = pool.submit(articles.get, 1)
        assert source.begun.acquire(timeout=PATIENCE)
        with pytest.raises(Overloaded):
            load(articles)
        source.go.set()
        assert first.result(PATIENCE).id == 1
        load(articles)


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_a_list_that_asks_for_entities_needs_no_place_of_their_own(
    timeout: float | None, awaited: bool
) -> None:
    limits = Limits(at_once=1, wait=0, timeout=timeout)
    articles = {one: Article(one, 1, f"Story {one}", []) for one in range(3)}

    def blocking() -> list[Article]:
        def others(ids: list[int]) -> dict[int, list[int]]:
            there = smart["Article"].get_many([0, 1, 2])
            return {each: [one for one in there if one != each] for each in ids}

        with SmartCache() as smart:
            relations = {"others": Many(to="Article", load=others)}
            policy = Policy(limits=limits)
            source: Any = FunctionSource(articles.get)
            smart.entity(Article, source, policy=policy, relations=relations)
            return smart["Article"].related(1, "others")  # type: ignore[no-any-return]

    async def coroutine() -> list[Article]:
        async def others(ids: list[int]) -> dict[int, list[int]]:
            there = await smart["Article"].get_many([0, 1, 2])
            return {each: [one for one in there if one != each] for each in ids}

        async def load(one: int) -> Article | None:
            return articles.get(one)

        async with AsyncSmartCache() as smart:
            relations = {"others": Many(to="Article", load=others)}
            policy = Policy(limits=limits)
            source: Any = FunctionSource(load)
            smart.entity(Article, source, policy=policy, relations=relations)
            return await smart["Article"].related(1, "others")  # type: ignore[no-any-return]

    found = asyncio.run(coroutine()) if awaited else blocking()
    assert found == [articles[0], articles[2]]
