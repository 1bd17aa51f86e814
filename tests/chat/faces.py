"""The asyncio rooms with the methods of the blocking ones, so that one test serves both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any, Self

from labkit.chat import AsyncListener, AsyncRoom, AsyncRooms, AsyncVisit

PATIENCE = 30.0
"""Seconds after which something that should have happened is taken for missing."""

_ASYNC = (AsyncListener, AsyncRoom, AsyncRooms, AsyncVisit)


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """What it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Blocking:
    """Something async, whose methods block.

    Args:
        loop: Where it runs.
        inner: What it is.
    """

    def __init__(self, loop: Loop, inner: Any) -> None:
        self._on = loop
        self._inner = inner
        if isinstance(inner, AsyncListener):
            loop.run(inner.start())

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._call(found) if inspect.ismethod(found) else found

    def _call(self, method: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            got = method(*args, **options)
            got = self._on.run(got) if inspect.isawaitable(got) else got
            return Blocking(self._on, got) if isinstance(got, _ASYNC) else got

        return call

    def __enter__(self) -> Self:
        self._on.run(self._inner.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self._on.run(self._inner.__aexit__(*error))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return self._on.run(self._inner.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None
