"""What the tests of the admin service share: one over each kind of cache, and no network."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from labkit import connect
from labkit.cache import AsyncCache, Cache, FunctionSource, MemoryTier, RedisTier
from labkit.cache.admin import create_app
from labkit.cache.curves import Sampler
from labkit.cache.entities import Many
from labkit.cache.smart import AsyncSmartCache, SmartCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

KEYS = {
    "read": "read-secret-0123456789",
    "write": "write-secret-0123456789",
    "admin": "admin-secret-0123456789",
}
SCOPES = list(KEYS)

_numbers = itertools.count()


@dataclass(frozen=True)
class Author:
    id: int
    name: str


@dataclass(frozen=True)
class Article:
    id: int
    author_id: int
    title: str


@dataclass(frozen=True)
class Vote:
    article: int
    voter: str
    up: bool = True


class Press:
    """Where entities come from.

    Attributes:
        loaded: The ids that were loaded.
        broken: Whether loads raise.
    """

    def __init__(self) -> None:
        self.loaded: list[tuple[str, Any]] = []
        self.broken = False

    def source(self, name: str, make: Callable[[Any], Any]) -> FunctionSource[Any, Any]:
        def load(key: Any) -> Any:
            if self.broken:
                raise ConnectionError("the password is hunter2")
            self.loaded.append((name, key))
            return make(key)

        return FunctionSource(load)

    def declare(self, smart: Any, **how: Any) -> None:
        smart.entity(
            Author,
            self.source("Author", lambda id: Author(id, f"Author {id}")),  # noqa: A006
            relations={"articles": Many(to="Article", load=lambda ids: dict.fromkeys(ids, ()))},
        )
        smart.entity(
            Article,
            self.source("Article", lambda id: Article(id, 1, f"Story {id}")),  # noqa: A006
            **how,
        )
        smart.entity(
            Vote,
            self.source("Vote", lambda key: Vote(*key)),
            id=("article", "voter"),
        )


class Api:
    """A service, and the cache behind it.

    Attributes:
        cache: The cache.
        press: Where its entities come from, if it is a smart one.
        app: The application.
    """

    def __init__(self, cache: Any, app: FastAPI, runner: asyncio.Runner, press: Press) -> None:
        self.cache = cache
        self.press = press
        self.app = app
        self.smart = isinstance(cache, SmartCache | AsyncSmartCache)
        self._runner = runner

    def run(self, answer: Any) -> Any:
        """What a method of the cache has answered, or will."""
        return self._runner.run(_awaited(answer)) if inspect.isawaitable(answer) else answer

    @property
    def plain(self) -> Any:
        """A plain cache: itself, or the one in which a smart one keeps what is no entity."""
        return self.cache.cache if self.smart else self.cache

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self("GET", path, **how)

    def post(self, path: str, body: Any = None, **how: Any) -> httpx.Response:
        return self("POST", path, **({} if body is None else {"json": body}), **how)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        client: tuple[str, int] | None = ("127.0.0.1", 50_000),
        base: str = "http://127.0.0.1:8000",
        headers: dict[str, str] | None = None,
        **how: Any,
    ) -> httpx.Response:
        """Ask as somebody who shows the key of a scope, from an address."""
        shown = {"X-API-Key": KEYS[key]} if key else {}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(
                self.app,
                raise_app_exceptions=False,
                client=client,  # type: ignore[arg-type]
            )
            async with httpx.AsyncClient(transport=transport, base_url=base) as http:
                return await http.request(method, path, headers=shown | (headers or {}), **how)

        answer = self._runner.run(ask())
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == answer.status_code
            assert {"type", "title", "detail", "instance"} <= set(problem)
        return answer


async def _awaited(answer: Any) -> Any:
    return await answer


def keyed() -> list[str]:
    return [f"{scope}er:{scope}:{secret}" for scope, secret in KEYS.items()]


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def make(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Api]]:
    """Makes a service over a kind of cache, without keys unless it is told some."""
    monkeypatch.delenv("LABKIT_API_KEYS", raising=False)
    made: list[Api] = []

    def make(kind: Any = SmartCache, keys: Any = None, **how: Any) -> Api:
        tier = RedisTier(connect(f"fake://admin-{next(_numbers)}"), budget="5s")
        declared = {name: how.pop(name) for name in ("policy",) if name in how}
        options = {"hot_keys": 100, "curves": Sampler()} | how
        cache = kind([MemoryTier(maxsize=100), tier], namespace="press", **options)
        press = Press()
        if kind in (SmartCache, AsyncSmartCache):
            press.declare(cache, **declared)
        made.append(Api(cache, create_app(cache, keys=keys), runner, press))
        return made[-1]

    yield make
    for api in made:
        api.run(api.cache.close())


@pytest.fixture(params=[SmartCache, AsyncSmartCache], ids=["sync", "async"])
def api(make: Callable[..., Api], request: pytest.FixtureRequest) -> Api:
    """A service over a smart cache."""
    return make(request.param)


@pytest.fixture(
    params=[SmartCache, AsyncSmartCache, Cache, AsyncCache], ids=lambda kind: kind.__name__
)
def any_api(make: Callable[..., Api], request: pytest.FixtureRequest) -> Api:
    """A service over each kind of cache."""
    return make(request.param)
