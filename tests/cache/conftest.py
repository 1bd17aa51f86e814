"""What the tests of the cache share: caches over every arrangement of tiers, and their time."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from labkit import connect_async
from labkit.cache import AsyncCache, Cache, MemoryTier, RedisTier
from labkit.cache.flights import Flight
from labkit.clock import FakeClock, fast_forward
from labkit.course.bench import Bench
from tests.cache.dict_store import DictTier
from tests.cache.table import Article
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labkit import LocalServer


# What is behind the "+" is behind a memory tier; "fake" and "server" are Redis.
LAYOUTS = ("memory", "dict", "memory+dict", "server", "memory+fake", "memory+server")
WITH_REDIS = ("server", "memory+fake", "memory+server")

_namespaces = (f"test-{number}" for number in itertools.count())


class Awaited:
    """An `AsyncCache`, or a function that it caches, whose methods wait for their answer."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self.target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.target, name)
        return functools.partial(self._call, found) if callable(found) else found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self.target, *args, **kwargs)

    def _call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        answer = function(*args, **kwargs)
        return self._runner.run(_answer(answer)) if inspect.isawaitable(answer) else answer


async def _answer(awaitable: Any) -> Any:
    return await awaitable


class Bed:
    """Caches over one arrangement of tiers: their stores are the same, their memories are not.

    Attributes:
        layout: Which arrangement; one of LAYOUTS.
        clock: The time of memory tiers and dictionaries.
        awaited: Whether caches are async ones.
        client: A client of the Redis that is behind, to look and to damage; None where none is.
        namespace: The namespace of the caches.
    """

    def __init__(self, layout: str, benches: Benches, *, awaited: bool = False) -> None:
        self.layout = layout
        self.awaited = awaited
        self.clock = FakeClock(1_000)
        self.namespace = next(_namespaces)
        self._benches = benches
        self._store: Any = DictTier(self.clock) if "dict" in layout else None
        self.client: Any = None
        if layout in WITH_REDIS:
            bench = benches.get(layout.removeprefix("memory+"))
            self.client = benches.client(bench)
            self._store = RedisTier(benches.client(bench, awaited=awaited), budget="5s")
        self.has_memory = layout.startswith("memory")
        self.has_store = self._store is not None

    @property
    def tier(self) -> Any:
        """The tier behind the memory."""
        return self._store

    @property
    def tells(self) -> bool:
        """Whether what other caches change is heard."""
        return self.client is not None

    def tiers(self, **memory: Any) -> list[Any]:
        """New tiers; the store among them holds the same values each time."""
        nearest = [MemoryTier(clock=self.clock, **memory)] if self.has_memory else []
        return nearest + ([self._store] if self.has_store else [])

    def cache(self, **options: Any) -> Any:
        """A cache; an async one behaves as if it were blocking."""
        kind: Any = AsyncCache if self.awaited else Cache
        how = {"tiers": self.tiers(), "namespace": self.namespace} | options
        cache = kind(**how)
        self._benches.close_later(cache)
        return Awaited(cache, self._benches.runner) if self.awaited else cache

    def cached(self, cache: Any, function: Callable[..., Any], **how: Any) -> Any:
        """A cached function; for an async cache it is made a coroutine function first."""
        if not self.awaited:
            return cache.cached(**how)(function)

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return Awaited(cache.cached(**how)(coroutine), self._benches.runner)

    def run(self, awaitable: Any) -> Any:
        """Wait for something in the event loop of the caches."""
        return self._benches.run(awaitable)

    def store(self, namespace: str | None = None) -> Any:
        """The store of the caches' namespace, without a cache around it."""
        store = self._store.open(namespace or self.namespace)
        return Awaited(store, self._benches.runner) if self.awaited else store

    def advance(self, seconds: float) -> None:
        """Let time pass, for every tier."""
        self.clock.advance(seconds)
        if self.client is not None:
            fast_forward(self.client, seconds)


class Benches:
    """The servers of a run, each started for the first who needs it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.runner.get_loop().set_default_executor(ThreadPoolExecutor(64))
        self._open: dict[str, Bench] = {}
        self._caches: list[Any] = []
        self._clients: dict[Any, Any] = {}

    def get(self, name: str) -> Bench:
        """The server of that name, emptied."""
        if name not in self._open:
            self._open[name] = Bench(fake=name == "fake")
        self._open[name].reset()
        return self._open[name]

    def client(self, bench: Bench, *, awaited: bool = False) -> Any:
        """A client of a server, the same each time."""
        if (bench, awaited) not in self._clients:
            made = connect_async(bench.url) if awaited else bench.client()
            self._clients[bench, awaited] = self.run(made) if awaited else made
        return self._clients[bench, awaited]

    def run(self, awaitable: Any) -> Any:
        return self.runner.run(awaitable)

    def close_later(self, cache: Any) -> None:
        self._caches.append(cache)

    def close_caches(self, *, most: int = 60) -> None:
        """Close caches once they are many: their threads take a moment to end, all the same one."""
        if len(self._caches) > most:
            caches, self._caches = self._caches, []
            self.run(_all(caches))

    def close(self) -> None:
        self.close_caches(most=0)
        for (_, awaited), client in self._clients.items():
            if awaited:
                self.run(client.aclose())
            else:
                client.close()
        self.runner.close()
        for bench in self._open.values():
            bench.close()


async def _close(cache: Any) -> None:
    if isinstance(cache, AsyncCache):
        await cache.close()
    else:
        await asyncio.to_thread(cache.close)


async def _all(caches: Iterable[Any]) -> None:
    await asyncio.gather(*map(_close, caches))


@pytest.fixture(scope="session")
def benches() -> Iterator[Benches]:
    benches = Benches()
    yield benches
    benches.close()


@pytest.fixture(scope="module", autouse=True)
def no_cache_outlives_its_module(benches: Benches) -> Iterator[None]:
    """Their threads would open and close connections while other tests count them."""
    yield
    benches.close_caches(most=0)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released by each caller that waits for a load of another one."""
    arrived = threading.Semaphore(0)
    wait, wait_async = Flight.wait, Flight.wait_async

    def arrive(flight: Flight, seconds: float) -> Any:
        arrived.release()
        return wait(flight, seconds)

    def arrive_async(flight: Flight, seconds: float) -> Any:
        arrived.release()
        return wait_async(flight, seconds)

    monkeypatch.setattr(Flight, "wait", arrive)
    monkeypatch.setattr(Flight, "wait_async", arrive_async)
    return arrived


@pytest.fixture
def proxy(server: LocalServer) -> Iterator[Proxy]:
    """A way to the test's server that can be cut: what was sent by it does not arrive later."""
    proxy = Proxy(server.url)
    yield proxy
    proxy.close()


@pytest.fixture(params=["sync", "async"])
def awaited(request: pytest.FixtureRequest) -> bool:
    """Whether caches are async ones."""
    return bool(request.param == "async")


@pytest.fixture(params=LAYOUTS)
def bed(request: pytest.FixtureRequest, benches: Benches, awaited: bool) -> Iterator[Bed]:
    """Caches over each arrangement of tiers, with both faces."""
    yield Bed(request.param, benches, awaited=awaited)
    benches.close_caches()


@pytest.fixture
def made(bed: Bed, benches: Benches) -> Callable[..., Any]:
    """Makes a strategy over the bed's cache; an awaited one behaves as if it were blocking."""

    def make(kind: Any, source: Any, **how: Any) -> Any:
        cache = bed.cache(ttl=100)
        options = {"name": "article", "type": Article | None} | how
        if bed.awaited:
            return Awaited(kind(cache.target, source, **options), benches.runner)
        return kind(cache, source, **options)

    return make
