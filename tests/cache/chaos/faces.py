"""The faces of a smart cache under test, each used by threads in the same way."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from labkit import connect, connect_async
from labkit.cache import FileTier, MemoryTier, RedisTier
from labkit.cache.smart import AsyncSmartCache, SmartCache
from tests.cache.chaos.terms import BUDGET, LEASE, PAUSE, STALENESS, TERMS

if TYPE_CHECKING:
    from collections.abc import Iterator

FACES: Final = ("threads", "tasks", "threads with files")
"""A `SmartCache`; an `AsyncSmartCache`; a `SmartCache` with a `FileTier` between memory and Redis,
which all processes share."""


class Lost:
    """How many trips to Redis have failed under an act."""

    def __init__(self) -> None:
        self.count = 0


lost: ContextVar[Lost] = ContextVar("lost")
"""That of the act under way; tasks and threads that an act begins inherit it."""


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, function: Any, /, *args: Any, **named: Any) -> Any:
        """What a function returns that is called in the loop; a coroutine is awaited there."""

        async def called() -> Any:
            answer = function(*args, **named)
            return await answer if inspect.isawaitable(answer) else answer

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result()

    @contextlib.contextmanager
    def entered(self, manager: Any) -> Iterator[Any]:
        """An `async with`, for threads."""
        answer = self.call(manager.__aenter__)
        try:
            yield answer
        finally:
            self.call(manager.__aexit__, None, None, None)

    def close(self) -> None:
        """Stop it, once all is done."""
        self.call(self._loop.shutdown_default_executor)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Elsewhere:
    """An object whose methods run in a loop, and which threads wait for."""

    def __init__(self, target: Any, loop: Loop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return functools.partial(self._loop.call, found) if callable(found) else found


@contextlib.contextmanager
def smart_cache(face: str, url: str, directory: str) -> Iterator[tuple[Any, Loop | None]]:
    """A smart cache over Redis, and the event loop that it lives in; None: in none.

    Args:
        face: One of FACES.
        url: Where Redis is.
        directory: For files that processes share.
    """
    options: dict[str, Any] = {
        "namespace": "chaos",
        "policies": {name: terms.policy for name, terms in TERMS.items()},
        "staleness": STALENESS,
        "pause": PAUSE,
        "lease": LEASE,
    }
    if face != "tasks":
        files = [FileTier(f"{directory}/files")] if face == "threads with files" else []
        with connect(url) as client:
            tier = RedisTier(client, budget=BUDGET)
            _count_lost(tier)
            with SmartCache([MemoryTier(), *files, tier], **options) as smart:
                yield smart, None
        return
    loop = Loop()
    client = loop.call(connect_async, url)
    tier = RedisTier(client, budget=BUDGET)
    _count_lost(tier)
    try:
        with loop.entered(AsyncSmartCache([MemoryTier(), tier], **options)) as smart:
            yield smart, loop
    finally:
        loop.call(client.aclose)
        loop.close()


def _count_lost(tier: RedisTier) -> None:
    """Count the trips of a tier that fail, by act."""
    line: Any = tier._line
    trip = line._trip

    @contextlib.contextmanager
    def counting() -> Iterator[None]:
        try:
            yield
        except BaseException:
            lost.get(Lost()).count += 1
            raise

    def counted(*arguments: Any) -> Any:
        with counting():
            return trip(*arguments)

    async def counted_async(*arguments: Any) -> Any:
        with counting():
            return await trip(*arguments)

    line._trip = counted_async if inspect.iscoroutinefunction(trip) else counted
