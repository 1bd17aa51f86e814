"""Loads that are under way in this process: each key is loaded once, whoever asks meanwhile waits.

A caller that finds no flight of its key leads one; others join it and get its outcome. A function
that needs its own key while it loads it, directly or through other keys, would wait for itself
forever: `join` sees that and says so, and the caller computes the value without a flight.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextvars import ContextVar
from typing import Any, Final


class _Sign:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


ABANDONED: Final = _Sign("ABANDONED")
"""The outcome of a flight whose leader was cancelled or killed: ask again."""
LATE: Final = _Sign("LATE")
"""The flight had no outcome in time."""

# One for all caches: who waits for whom may lead from one cache into another.
_lock = threading.Lock()
_chain: ContextVar[tuple[Flight, ...]] = ContextVar("labkit_cache_flights", default=())


class Flight:
    """One load that is under way."""

    __slots__ = ("chain", "closed", "future", "joined", "outcome", "waits_for")

    def __init__(self) -> None:
        self.future: concurrent.futures.Future[Any] | None = None  # made for the first who waits
        self.outcome: Any = None
        self.chain: tuple[Flight, ...] = ()
        self.waits_for: list[Flight] = []
        self.joined = self.closed = False

    def wait(self, seconds: float) -> Any:
        """The outcome, or LATE; for a caller that has joined."""
        future = self._join()
        try:
            return future.result(seconds)
        except concurrent.futures.TimeoutError:
            return LATE
        finally:
            self._leave()

    async def wait_async(self, seconds: float) -> Any:
        """The outcome, or LATE; for a caller that has joined."""
        future = asyncio.wrap_future(self._join())
        try:
            # Not wait_for: on Python 3.11 it swallows a cancellation that meets the outcome.
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return LATE
        finally:
            self._leave()

    def close(self) -> bool:
        """Let nobody join from now on; answers whether somebody has."""
        with _lock:
            self.closed = True
            return self.joined

    def _join(self) -> concurrent.futures.Future[Any]:
        with _lock:
            if self.future is None:
                self.future = concurrent.futures.Future()
                self.future.set_running_or_notify_cancel()  # one who leaves cancels it for nobody
                if self.outcome is not None:
                    self.future.set_result(self.outcome)
            return self.future

    def _leave(self) -> None:
        if mine := _chain.get():
            with _lock:
                for flight in mine:
                    flight.waits_for.remove(self)

    def waits_in_the_end_for(self, mine: tuple[Flight, ...]) -> bool:
        """Whether it cannot land before one of these does."""
        ahead, seen = [self], set()
        while ahead:
            flight = ahead.pop()
            if flight in mine:
                return True
            if flight not in seen:
                seen.add(flight)
                ahead.extend(flight.waits_for)
        return False


class Flights:
    """The loads of one cache that are under way."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew, in a process that was forked while others loaded."""
        self._flights: dict[str, Flight] = {}

    def join(self, key: str, *, anew: bool = False) -> tuple[Flight | None, bool]:
        """The flight of a key, and whether the caller leads it; None: the caller must not wait.

        Args:
            key: The key.
            anew: Lead a new one, which takes the place of one that is under way.
        """
        flight = Flight()
        mine = _chain.get()
        while True:
            if anew:
                with _lock:
                    self._flights[key] = found = flight
            else:
                found = self._flights.setdefault(key, flight)
            if found is flight:
                flight.chain = mine
                _chain.set((*mine, flight))
                return flight, True
            with _lock:
                if not found.closed:
                    if mine and found.waits_in_the_end_for(mine):
                        return None, False
                    found.joined = True
                    for each in mine:
                        each.waits_for.append(found)
                    return found, False
            self.leave(key, found)

    def has(self, key: str) -> bool:
        """Whether a flight of a key is under way, and may be joined."""
        flight = self._flights.get(key)
        return flight is not None and not flight.closed

    def leave(self, key: str, flight: Flight) -> None:
        """Let the next caller lead a flight of its own."""
        with _lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def detach(self, key: str) -> None:
        """Whoever asks for the key from now on does not join the flight that is under way."""
        with _lock:
            self._flights.pop(key, None)

    def land(self, key: str, flight: Flight, outcome: Any) -> None:
        """End a flight that the caller leads."""
        _chain.set(flight.chain)
        with _lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.outcome = outcome
            future = flight.future
        if future is not None:
            future.set_result(outcome)


def forget_parent() -> None:
    """In a forked process: no thread is left that could let go of the lock."""
    global _lock
    _lock = threading.Lock()
