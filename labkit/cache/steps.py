"""What the operations of a cache consist of.

An operation is written once, as a generator of steps. A step knows how to be done at once and how
to be awaited: `run` carries out an operation for a `Cache`, `run_async` for an `AsyncCache`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from labkit.cache.backends.base import Claim
from labkit.cache.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias

    from labkit.cache.flights import Flight

    Steps: TypeAlias = Generator["Step", Any, "T"]

T = TypeVar("T")


class Step(Protocol):
    """One thing to wait for."""

    def now(self) -> Any:
        """Do it, and return what came out."""

    async def later(self) -> Any:
        """Do it without blocking the event loop, and return what came out."""


class Ask(msgspec.Struct, eq=False):
    """Call a method of a store."""

    _store: Any
    _method: str
    _arguments: tuple[Any, ...]
    _named: Any

    def now(self) -> Any:
        """The method's answer."""
        return getattr(self._store, self._method)(*self._arguments, **self._named)

    async def later(self) -> Any:
        """The method's answer; a method that blocks runs in a thread."""
        method = getattr(self._store, self._method)
        if self._store.blocking:
            return await asyncio.to_thread(method, *self._arguments, **self._named)
        answer = method(*self._arguments, **self._named)
        return await answer if inspect.isawaitable(answer) else answer


class Take(Ask, eq=False):
    """Call a method that grants claims; whoever is cancelled meanwhile gives them back."""

    _lost: Callable[[], Steps[None]]  # done where that fails

    async def later(self) -> Any:
        """The method's answer."""
        asking = asyncio.ensure_future(super().later())
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            try:
                answer = await asking
                for each in answer if isinstance(answer, list) else [answer]:
                    if isinstance(each, Claim):
                        await Ask(self._store, "release", (each,), {}).later()
            except Unavailable:
                await run_async(self._lost())
            raise


class Delivered(asyncio.CancelledError):
    """A caller was cancelled, and what it had begun to say has arrived all the same."""


class Deliver(Ask):
    """Call a method that has to be heard; whoever is cancelled meanwhile waits for its end."""

    async def later(self) -> Any:
        """The method's answer.

        Raises:
            Delivered: The caller was cancelled, and the method has done its work.
        """
        asking = asyncio.ensure_future(super().later())
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError as stop:
            with contextlib.suppress(Unavailable):
                await asking
                raise Delivered from stop
            raise


class Finish(Ask):
    """Call a method that writes; whoever is cancelled while it runs in a thread waits for its end.

    The thread goes on either way. Whoever cleans up must not do so before it has written.
    """

    async def later(self) -> Any:
        """The method's answer."""
        writing = asyncio.ensure_future(super().later())
        if not self._store.blocking:
            return await writing
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await writing
            raise


class Load(msgspec.Struct, eq=False):
    """Call a loader; the outcome is its value and False, or its error and True."""

    _loader: Callable[[], Any]

    def now(self) -> tuple[Any, bool]:
        """The outcome."""
        try:
            return self._loader(), False
        except Exception as error:
            return error, True

    async def later(self) -> tuple[Any, bool]:
        """The outcome."""
        try:
            value = self._loader()
            return (await value if inspect.isawaitable(value) else value), False
        except Exception as error:
            return error, True


class Join:
    """Wait for the outcome of a flight."""

    __slots__ = ("_flight", "_seconds")

    def __init__(self, flight: Flight, seconds: float) -> None:
        self._flight = flight
        self._seconds = seconds

    def now(self) -> Any:
        """The outcome, or LATE."""
        return self._flight.wait(self._seconds)

    async def later(self) -> Any:
        """The outcome, or LATE."""
        return await self._flight.wait_async(self._seconds)


class Apart:
    """Call a function that blocks for a moment."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def now(self) -> Any:
        """What it returns."""
        return self._function()

    async def later(self) -> Any:
        """What it returns, from a thread."""
        return await asyncio.to_thread(self._function)


class Here:
    """Say in which event loop an operation is carried out; None: in none."""

    __slots__ = ()

    def now(self) -> None:
        """None."""

    async def later(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return asyncio.get_running_loop()


def run(steps: Steps[T]) -> T:
    """Carry out an operation."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step.now()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def run_async(steps: Steps[T]) -> T:
    """Carry out an operation without blocking the event loop."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await step.later()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
