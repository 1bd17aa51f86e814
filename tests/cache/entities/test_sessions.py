"""Sessions in which others read and write at the same time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache import FunctionSource
from labkit.cache.entities import Many, One
from labkit.cache.smart import AsyncSmartCache, SmartCache
from tests.cache.crowd import PATIENCE
from tests.cache.entities.press import Article, AsyncDesk, Page, Press, Topic
from tests.cache.entities.press import declare as declare_press

if TYPE_CHECKING:
    from collections.abc import Callable

READS: dict[str, Callable[[Any], Any]] = {
    "get": lambda smart: smart["Topic"].get(1),
    "get_many": lambda smart: smart["Topic"].get_many([1, 2]),
    "related": lambda smart: smart["Page"].related(1, "topic"),
    "related_many": lambda smart: smart["Page"].related_many([1], "topics"),
    "refresh": lambda smart: smart["Topic"].refresh(1),
}
CHANGES: dict[str, Callable[[Any, dict[int, Topic]], Any]] = {
    "save": lambda smart, _: smart["Topic"].save(Topic(1, "new")),
    "invalidate": lambda smart, rows: (
        rows.update({1: Topic(1, "new")}) or smart["Topic"].invalidate(1)
    ),
}


class Slow:
    """Topics whose first load has read its rows, and waits."""

    def __init__(self) -> None:
        self.rows = {1: Topic(1, "old"), 2: Topic(2, "other")}
        self.read = threading.Event()
        self.go = threading.Event()

    def load_many(self, keys: list[int]) -> dict[int, Topic]:
        found = {key: self.rows[key] for key in keys if key in self.rows}
        if not self.read.is_set():
            self.read.set()
            assert self.go.wait(PATIENCE)
        return found

    def source(self) -> FunctionSource[int, Topic]:
        return FunctionSource(load_many=self.load_many, save=self.rows.__setitem__)


def declare(smart: Any, topics: Slow) -> None:
    smart.entity(Topic, topics.source())
    smart.entity(
        Page,
        FunctionSource(lambda key: Page(key, "...")),
        relations={
            "topic": One(to="Topic", field="id"),
            "topics": Many(to="Topic", load=lambda ids: {each: [1, 2] for each in ids}),
        },
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("read", READS)
def test_a_load_from_before_a_write_is_not_kept(read: str, change: str, awaited: bool) -> None:
    """By the session; the cache itself refuses it."""
    topics = Slow()

    def blocking() -> Any:
        with SmartCache() as smart, ThreadPoolExecutor(1) as pool, smart.session():
            declare(smart, topics)
            early = pool.submit(contextvars.copy_context().run, READS[read], smart)
            assert topics.read.wait(PATIENCE)
            CHANGES[change](smart, topics.rows)
            topics.go.set()
            early.result(PATIENCE)
            return smart["Topic"].get(1)

    async def coroutine() -> Any:
        async with AsyncSmartCache() as smart:
            with smart.session():
                declare(smart, topics)
                early = asyncio.ensure_future(READS[read](smart))
                assert await asyncio.to_thread(topics.read.wait, PATIENCE)
                await CHANGES[change](smart, topics.rows)
                topics.go.set()
                await early
                return await smart["Topic"].get(1)

    found = asyncio.run(coroutine()) if awaited else blocking()
    assert found == Topic(1, "new")


def test_who_asks_for_several_of_which_one_is_forgotten_meanwhile_gets_all(awaited: bool) -> None:
    topics = Slow()

    def blocking() -> Any:
        with SmartCache() as smart, ThreadPoolExecutor(1) as pool, smart.session():
            declare(smart, topics)
            topics.read.set()
            smart["Topic"].get(1)
            topics.read.clear()
            early = pool.submit(contextvars.copy_context().run, READS["get_many"], smart)
            assert topics.read.wait(PATIENCE)
            smart["Topic"].save(Topic(1, "new"))
            topics.go.set()
            return early.result(PATIENCE), smart["Topic"].get(1)

    async def coroutine() -> Any:
        async with AsyncSmartCache() as smart:
            with smart.session():
                declare(smart, topics)
                topics.read.set()
                await smart["Topic"].get(1)
                topics.read.clear()
                early = asyncio.ensure_future(READS["get_many"](smart))
                assert await asyncio.to_thread(topics.read.wait, PATIENCE)
                await smart["Topic"].save(Topic(1, "new"))
                topics.go.set()
                return await early, await smart["Topic"].get(1)

    early, now = asyncio.run(coroutine()) if awaited else blocking()
    assert early == {1: Topic(1, "old"), 2: Topic(2, "other")}
    assert now == Topic(1, "new")


def test_loads_that_began_together_end_with_one_object() -> None:
    topics = Slow()
    with SmartCache() as smart, smart.session():
        declare(smart, topics)
        with ThreadPoolExecutor(2) as pool:
            both = [
                pool.submit(contextvars.copy_context().run, smart["Page"].get, 1) for _ in range(2)
            ]
            first, second = (each.result(PATIENCE) for each in both)
        assert first is second is smart["Page"].get(1)


def test_what_was_read_while_it_was_dropped_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, awaited: bool
) -> None:
    press = Press()
    met: list[Page] = []

    def read_before_it_is_dropped(smart: Any) -> None:
        engine = smart["Page"].engine
        delete = engine.delete

        def staged(keys: list[str]) -> Any:
            if smart["Page"].key(1) in keys:
                found = yield from smart["Page"]._get(1, {})
                met.append(found)
            yield from delete(keys)

        monkeypatch.setattr(engine, "delete", staged)

    def blocking() -> Any:
        with SmartCache() as smart, smart.session():
            declare_press(smart, press)
            smart["Page"].get(1)
            read_before_it_is_dropped(smart)
            smart["Article"].save(Article(1, None, "New", []))
            return smart["Page"].get(1)

    async def coroutine() -> Any:
        async with AsyncSmartCache() as smart:
            with smart.session():
                declare_press(smart, press, AsyncDesk)
                await smart["Page"].get(1)
                read_before_it_is_dropped(smart)
                await smart["Article"].save(Article(1, None, "New", []))
                return await smart["Page"].get(1)

    found = asyncio.run(coroutine()) if awaited else blocking()
    assert [each.text for each in met] == ["Story 1, by Author 2"]
    assert found.text == "New, by "


def test_a_session_that_nobody_was_in_says_so() -> None:
    session = SmartCache().session()
    contextvars.copy_context().run(session.__enter__)  # as FastAPI runs a plain dependency
    with pytest.raises(RuntimeError, match="`async def`, or begin it in a middleware"):
        session.__exit__(None, None, None)
