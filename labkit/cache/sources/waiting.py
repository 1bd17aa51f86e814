"""Steps of sources that serve many callers, threads or tasks, at once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from labkit.cache.flights import LATE

if TYPE_CHECKING:
    from collections.abc import Callable


class Turn:
    """A place in a queue. Whoever stands there is told something, once, from any thread."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()  # one who leaves cancels nothing

    def tell(self, what: Any) -> None:
        """Let whoever stands here go on."""
        self._future.set_result(what)

    def wait(self, seconds: float | None) -> Any:
        """What is told, or LATE."""
        try:
            return self._future.result(seconds)
        except concurrent.futures.TimeoutError:
            return LATE

    async def wait_async(self, seconds: float | None) -> Any:
        """What is told, or LATE."""
        try:
            # Not wait_for: where a task is cancelled as it is told, Python 3.11 forgets the former.
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(self._future)
        except TimeoutError:
            return LATE


class Wait:
    """Wait for what is told at a turn; LATE where nothing is in time."""

    __slots__ = ("_seconds", "_turn")

    def __init__(self, turn: Turn, seconds: float | None = None) -> None:
        self._turn = turn
        self._seconds = seconds

    def now(self) -> Any:
        """What is told, or LATE."""
        return self._turn.wait(self._seconds)

    async def later(self) -> Any:
        """What is told, or LATE."""
        return await self._turn.wait_async(self._seconds)


class Call:
    """Call a function, or a coroutine function."""

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._function = function
        self._arguments = arguments

    def now(self) -> Any:
        """What it returns."""
        return self._function(*self._arguments)

    async def later(self) -> Any:
        """What it returns, awaited where that is needed."""
        answer = self._function(*self._arguments)
        return await answer if inspect.isawaitable(answer) else answer


class Shared(Protocol):
    """What has a queue and a lock."""

    def forget(self) -> None:
        """Start anew, in a process that was forked while others waited."""


_shared: weakref.WeakSet[Shared] = weakref.WeakSet()


def share(shared: Shared) -> None:
    """Let something forget its queue in forked processes: those who wait did not come along."""
    shared.forget()
    _shared.add(shared)


def _forget_all() -> None:
    for shared in list(_shared):
        shared.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
