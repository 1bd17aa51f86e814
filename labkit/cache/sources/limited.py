"""A limit on how many loads run at a time, and on how long each may take.

A database that is asked for more than it can do gets slower for all, and then stops. Beyond the
limit callers queue up for a short time and are then refused: a cache can serve them what it has.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from labkit.cache.flights import LATE
from labkit.cache.sources.base import Around, K, V
from labkit.cache.sources.waiting import Call, Turn, Wait, share
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from labkit.cache.sources.base import Source
    from labkit.cache.steps import Steps


class Overloaded(Exception):
    """A load did not get its turn: too many others were under way."""


class TimedOut(TimeoutError):
    """A load took longer than it may."""


_holding: ContextVar[frozenset[Any]] = ContextVar("labkit_cache_places", default=frozenset())


class Limited(Around[K, V]):
    """Loads at most so many keys or batches at a time, each for at most so long.

    Whoever finds every place taken waits in a queue; the first who came is the first who goes on.
    What a load itself loads by the same limit has its place with it.

    A load of coroutine functions that takes too long is cancelled. One that blocks cannot be
    stopped: with a `timeout` it runs in a thread, which its caller leaves behind when the time is
    over. It occupies its place until it ends, for so long does it burden the database.

    Args:
        source: Where values come from.
        at_once: How many loads may run at a time.
        wait: How long a caller waits for its turn at most.
        timeout: How long a load may take; None: as long as it likes.

    Attributes:
        refused: How many loads did not get their turn.
        timed_out: How many took too long.

    Raises:
        ValueError: `at_once` is below 1, or `timeout` is not above 0.
    """

    def __init__(
        self,
        source: Source[K, V],
        at_once: int = 8,
        wait: float | str = "1s",
        timeout: float | str | None = None,
    ) -> None:
        super().__init__(source)
        if at_once < 1:
            raise ValueError(f"at_once is {at_once!r}; expected a number of loads, 1 or more")
        self._at_once = at_once
        self._wait = duration(wait)
        self._timeout = None if timeout is None else duration(timeout)
        if self._timeout == 0:
            raise ValueError(f"timeout is {timeout!r}; expected a time above 0, or None for none")
        self.refused = self.timed_out = 0
        share(self)

    def forget(self) -> None:
        """Start anew, in a process that was forked while others loaded."""
        self._lock = threading.Lock()
        self._free = self._at_once
        self._queue: dict[Turn, None] = {}

    def load(self, key: K) -> Any:
        """The value of a key; None where there is none.

        Raises:
            Overloaded: The load did not get its turn.
            TimedOut: The load took too long.
        """
        return self._carry_out(self._limited(functools.partial(self.source.load, key)))

    def load_many(self, keys: Sequence[K]) -> Any:
        """The values of keys; those that have none are left out.

        Raises:
            Overloaded: The load did not get its turn.
            TimedOut: The load took too long.
        """
        return self._carry_out(self._limited(functools.partial(self.source.load_many, keys)))

    def _limited(self, load: Callable[[], Any]) -> Steps[Any]:
        if self in _holding.get():  # a part of a load that has a place, and would wait for that
            return (yield Call(load))
        load = functools.partial(self._with_place, load)
        turn = self._queue_up()
        try:
            yield Wait(turn, self._wait)
        except BaseException:
            if not self._withdrawn(turn):
                self._give_back()
            raise
        if self._withdrawn(turn):
            with self._lock:
                self.refused += 1
            raise Overloaded(
                f"{self._at_once} loads are under way and none of them ended within "
                f"{self._wait:g} s; ask again later, or let more run (at_once) or callers wait "
                "longer (wait) if the database can bear it"
            )
        if self._timeout is None:
            try:
                return (yield Call(load))
            finally:
                self._give_back()
        answer = yield _Timed(load, self._timeout, self._give_back)
        if answer is LATE:
            with self._lock:
                self.timed_out += 1
            raise TimedOut(
                f"a load took longer than {self._timeout:g} s; "
                + (
                    "it was cancelled"
                    if self.asynchronous
                    else f"it goes on{self._meanwhile} until it ends"
                )
            )
        return answer

    def _with_place(self, load: Callable[[], Any]) -> Any:
        """What is loaded, by one whose further loads need no place of their own."""
        held = _holding.set(_holding.get() | {self})
        try:
            answer = load()
        finally:
            _holding.reset(held)
        return self._awaited(answer) if inspect.isawaitable(answer) else answer

    async def _awaited(self, answer: Awaitable[Any]) -> Any:
        held = _holding.set(_holding.get() | {self})
        try:
            return await answer
        finally:
            _holding.reset(held)

    @property
    def _meanwhile(self) -> str:
        """What a load that was left behind takes, where places are counted."""
        bounded = self._at_once < sys.maxsize
        return f", and takes one of {self._at_once} places" if bounded else ""

    def _queue_up(self) -> Turn:
        turn = Turn()
        with self._lock:
            if self._free:
                self._free -= 1
                turn.tell(None)
            else:
                self._queue[turn] = None
        return turn

    def _withdrawn(self, turn: Turn) -> bool:
        """Leave the queue; False where the turn has come already."""
        with self._lock:
            waited = turn in self._queue
            self._queue.pop(turn, None)
            return waited

    def _give_back(self) -> None:
        """Let the next one load."""
        with self._lock:
            if self._queue:
                turn = next(iter(self._queue))
                del self._queue[turn]
                turn.tell(None)
            else:
                self._free += 1


class Beside(Around[K, V]):
    """Another source of the same database, whose loads take places among those of a `Limited`.

    Args:
        source: The other source.
        limit: Whose places they are.
    """

    def __init__(self, source: Source[K, V], limit: Limited[Any, Any]) -> None:
        super().__init__(source)
        self._limit = limit

    def load(self, key: K) -> Any:
        """The value of a key; None where there is none."""
        return self._carry_out(self._limit._limited(functools.partial(self.source.load, key)))

    def load_many(self, keys: Sequence[K]) -> Any:
        """The values of keys; those that have none are left out."""
        return self._carry_out(self._limit._limited(functools.partial(self.source.load_many, keys)))


class _Timed:
    """Load for so many seconds at most; LATE where that is not enough.

    Args:
        load: Loads.
        seconds: How long that may take.
        ended: Called when the load has ended, which may be later.
    """

    def __init__(self, load: Callable[[], Any], seconds: float, ended: Callable[[], None]) -> None:
        self._load = load
        self._seconds = seconds
        self._ended = ended

    def now(self) -> Any:
        """What was loaded, or LATE."""
        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def work() -> None:
            try:
                answer = self._load()
            except BaseException as error:
                self._ended()
                outcome.set_exception(error)
            else:
                self._ended()
                outcome.set_result(answer)

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,), name="labkit-load", daemon=True)
        try:
            thread.start()
        except BaseException:
            self._ended()
            raise
        ended, _ = concurrent.futures.wait([outcome], self._seconds)
        return outcome.result() if ended else LATE

    async def later(self) -> Any:
        """What was loaded, or LATE."""
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await Call(self._load).later()
        except TimeoutError:
            if limit.expired():
                return LATE
            raise
        finally:
            self._ended()
