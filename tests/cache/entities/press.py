"""A small press to be cached: authors, articles, topics and front pages, all in dictionaries.

Authors show their last headline, articles the name of their author, and pages the article and what
that shows: a circle, and a chain.
"""

# ruff: noqa: A002 - an id is called id

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache.entities import Many, One

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Author(msgspec.Struct, frozen=True):
    id: int
    name: str
    latest: str = ""


@dataclass
class Article:
    id: int
    author_id: int | None
    title: str
    topic_ids: list[int]
    body: str = "..."
    by: str = ""


@dataclass(frozen=True)
class Page:
    id: int
    text: str


class Topic(msgspec.Struct, frozen=True):
    id: int
    name: str


class Headline(msgspec.Struct, frozen=True):
    """A part of an article."""

    title: str
    by: str


class Press:
    """The database. What entities show is put together when they are read."""

    def __init__(self) -> None:
        self.authors = {n: Author(n, f"Author {n}") for n in range(1, 4)}
        self.topics = {n: Topic(n, f"Topic {n}") for n in range(1, 4)}
        self.articles = {
            n: Article(n, 1 + n % 3, f"Story {n}", [1 + n % 2, 3]) for n in range(1, 7)
        }
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.lock = threading.Lock()  # what it is read and written in, as a transaction is

    def author(self, id: int) -> Author | None:
        found = self.authors.get(id)
        if found is None:
            return None
        own = [each for each in self.articles.values() if each.author_id == id]
        return msgspec.structs.replace(found, latest=max((a.title for a in own), default=""))

    def article(self, id: int) -> Article | None:
        found = self.articles.get(id)
        if found is None:
            return None
        author = self.authors.get(found.author_id or 0)
        return replace(found, topic_ids=[*found.topic_ids], by=author.name if author else "")

    def page(self, id: int) -> Page | None:
        found = self.article(id)
        return None if found is None else Page(id, f"{found.title}, by {found.by}")

    def topic(self, id: int) -> Topic | None:
        return self.topics.get(id)

    def articles_of(self, ids: Sequence[int]) -> dict[int, list[int]]:
        self.asked.append(("articles_of", tuple(ids)))
        with self.lock:
            articles = sorted(self.articles.values(), key=lambda each: each.id)
        found: dict[int, list[int]] = {}
        for article in articles:
            if article.author_id in ids:
                found.setdefault(article.author_id or 0, []).append(article.id)
        return found

    def about(self, ids: Sequence[int]) -> dict[int, list[int]]:
        self.asked.append(("about", tuple(ids)))
        with self.lock:
            articles = list(self.articles.values())
        return {n: [a.id for a in articles if n in a.topic_ids] for n in ids}


class Desk:
    """The source of one kind of entities."""

    def __init__(self, press: Press, name: str, rows: dict[int, Any]) -> None:
        self.press = press
        self.name = name
        self.rows = rows
        self.read: Callable[[int], Any] = getattr(press, name)

    def load(self, key: int) -> Any:
        return self.load_many([key]).get(key)

    def load_many(self, keys: Sequence[int]) -> dict[int, Any]:
        self.press.asked.append((self.name, tuple(keys)))
        with self.press.lock:
            found = {key: self.read(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def save(self, key: int, value: Any) -> None:
        with self.press.lock:
            self.rows[key] = value

    def delete(self, key: int) -> None:
        with self.press.lock:
            self.rows.pop(key, None)

    def versions(self, keys: Sequence[int]) -> dict[int, int]:
        return {}


class AsyncDesk(Desk):
    """The same, awaited."""

    async def load(self, key: int) -> Any:
        return (await self.load_many([key])).get(key)

    async def load_many(self, keys: Sequence[int]) -> dict[int, Any]:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().load_many(keys)

    async def save(self, key: int, value: Any) -> None:  # type: ignore[override]
        super().save(key, value)

    async def delete(self, key: int) -> None:  # type: ignore[override]
        super().delete(key)


def declare(smart: Any, press: Press, desk: type[Desk] = Desk, *, back: bool = True) -> None:
    """Declare all entities of a press."""
    awaited = desk is AsyncDesk
    smart.entity(
        Author,
        desk(press, "author", press.authors),
        relations={
            "articles": Many(
                to="Article",
                load=_awaitable(press.articles_of) if awaited else press.articles_of,
                back="author" if back else None,
                shown=True,
            )
        },
    )
    smart.entity(
        Article,
        desk(press, "article", press.articles),
        relations={
            "author": One(to="Author", field="author_id", shown=True),
            "topics": Many(to="Topic", field="topic_ids"),
            "page": One(to="Page", field="id", shown=True),
        },
        parts=[Headline],
    )
    smart.entity(Page, desk(press, "page", {}))
    smart.entity(
        Topic,
        desk(press, "topic", press.topics),
        relations={
            "articles": Many(
                to="Article",
                load=_awaitable(press.about) if awaited else press.about,
                back="topics" if back else None,
            )
        },
    )


def _awaitable(function: Callable[[Sequence[int]], Any]) -> Any:
    async def later(ids: Sequence[int]) -> Any:
        await asyncio.sleep(0)
        return function(ids)

    return later
