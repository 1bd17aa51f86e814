"""Acts on the changes that a database notes down, such as by invalidating what shows them.

    with Relay(db, rules.tell_all):
        ...

The database writes a note of a change in the transaction that makes it, into a table that serves as
an outbox. A relay asks for notes, hands their changes to a function, and only then says that they
are done. Whatever crashes in between, and if it is the relay, a note is handled again: at least
once, and never not at all. Invalidations may well come twice.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from labkit.cache.errors import Unavailable
from labkit.cache.stats import percentiles
from labkit.cache.steps import Ask, Load, run, run_async
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from labkit.cache.steps import Steps
    from labkit.clock import Clock

_SAMPLES = 1000


class Note(Protocol):
    """A change that was noted down."""

    @property
    def id(self) -> Any:
        """What tells it from other notes."""

    @property
    def at(self) -> float:
        """When it was made, in seconds since the epoch."""

    @property
    def change(self) -> Any:
        """The change."""


class Outbox(Protocol):
    """Where changes are noted down.

    It may also have `wait_for_changes(seconds)`, which returns when something is noted down, or
    after so many seconds; without it a relay asks again and again. For an `AsyncRelay` methods may
    be coroutine functions.
    """

    def outbox(self, most: int) -> Any:
        """The notes that are not done, the oldest first, so many at most."""

    def done(self, ids: Sequence[Any]) -> Any:
        """Remove these notes; those that are gone already are no error."""


@dataclass(frozen=True)
class RelayState:
    """How a relay is.

    Attributes:
        handled: How many notes were handled and said to be done.
        failures: How often something failed: the database, or what handles the changes.
        stuck: How many notes are tried again later, because their own handling raises.
        away: Whether the last try came to nothing, because the database or the cache was away.
        lag: The 50th, 95th and 99th percentile of the seconds from a change to the end of its
            handling, of the last 1,000 notes.
        error: What failed last; None: nothing has.
    """

    handled: int
    failures: int
    stuck: int
    away: bool
    lag: tuple[float, float, float] | None
    error: str | None


class BaseRelay:
    """What `Relay` and `AsyncRelay` have in common.

    Args:
        outbox: Where changes are noted down, such as a `Newsroom` with an outbox.
        handle: Gets a list of changes, and returns when it has acted on all of them. False says
            that it could not: the notes are kept, and come again. `Invalidations.tell_all` says so
            where a store has not heard of an invalidation; to say done then would lose it, if this
            process ended before the store was back.
        batch: How many notes are asked for at a time.
        every: How often to look, where nobody tells of changes; and how long to wait at a time
            where somebody does.
        pause: How long to wait after something failed; twice as long after each further failure.
        longest: How long at most.
        clock: The time since the epoch.

    Raises:
        ValueError: `batch` is below 1, or a time is 0.
    """

    def __init__(
        self,
        outbox: Outbox,
        handle: Callable[[list[Any]], Any],
        *,
        batch: int = 500,
        every: float | str = "1s",
        pause: float | str = "100ms",
        longest: float | str = "30s",
        clock: Clock = time.time,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch!r}; expected a number of notes above 0")
        self._outbox = _Asked(outbox)
        self._waits = hasattr(outbox, "wait_for_changes")
        self._handle = handle
        self._batch = batch
        self._every, self._pause, self._longest = map(duration, (every, pause, longest))
        if not self._every or not self._pause or self._longest < self._pause:
            raise ValueError(
                f"every is {every!r}, pause {pause!r} and longest {longest!r}; expected times "
                "above 0, and a longest that is no shorter than pause"
            )
        self._clock = clock
        self._handled = self._failures = self._failed_turns = 0
        self._lags: deque[float] = deque(maxlen=_SAMPLES)
        self._error: str | None = None
        # By note: how often its handling raised, and when it is tried again.
        self._stuck: dict[Any, tuple[int, float]] = {}

    def stats(self) -> RelayState:
        """How it is now."""
        return RelayState(
            self._handled,
            self._failures,
            len(self._stuck),
            self._failed_turns > 0,
            percentiles(self._lags),
            self._error,
        )

    def _run(self, ended: Any) -> Steps[None]:
        """Handle notes until it ends; nothing that fails ends it."""
        while not ended.is_set():
            seconds = yield from self._turn()
            if seconds:
                yield _Pause(ended, seconds)

    def _turn(self) -> Steps[float]:
        """Handle what there is; for how many seconds to pause then."""
        try:
            handled = yield from self._once()
            if handled or self._failed_turns:
                return 0.0 if handled else self._backoff(self._failed_turns)
            if self._waits:
                yield Ask(self._outbox, "wait_for_changes", (self._every,), {})
                return 0.0
        except Exception as error:  # the database is away
            self._failed(error)
            self._failed_turns += 1
            return self._backoff(self._failed_turns)
        return self._every

    def _once(self) -> Steps[int]:
        """Handle one batch; how many of its notes are done."""
        most = self._batch + len(self._stuck)  # or those that are stuck would keep out the others
        notes: list[Note] = list((yield Ask(self._outbox, "outbox", (most,), {})))
        there = {note.id for note in notes}
        self._stuck = {note: last for note, last in self._stuck.items() if note in there}
        now = self._clock()
        due = [note for note in notes if self._stuck.get(note.id, (0, 0.0))[1] <= now]
        done, away = yield from self._act(due)
        if done:
            yield Ask(self._outbox, "done", ([note.id for note in done],), {})
        now = self._clock()
        self._handled += len(done)
        self._lags.extend(max(now - note.at, 0.0) for note in done)
        self._failed_turns = self._failed_turns + 1 if away else 0
        return len(done)

    def _act(self, notes: list[Note]) -> Steps[tuple[list[Note], bool]]:
        """Those of the notes that were acted on, and whether that ended because a store is away."""
        fresh = [note for note in notes if note.id not in self._stuck]
        done: list[Note] = []
        # All together drop a target once; where that raises, by themselves: one holds up no other.
        groups = [fresh] if fresh else []
        groups += [[note] for note in notes if note.id in self._stuck]
        while groups:
            group = groups.pop(0)
            error = yield from self._try([note.change for note in group])
            if error is None:
                done += group
                for note in group:
                    self._stuck.pop(note.id, None)
            elif isinstance(error, Unavailable):
                self._failed(error)
                return done, True
            elif len(group) > 1:
                groups = [[note] for note in group] + groups
            else:
                self._failed(error)
                times = self._stuck.get(group[0].id, (0, 0.0))[0] + 1
                self._stuck[group[0].id] = times, self._clock() + self._backoff(times)
        return done, False

    def _try(self, changes: list[Any]) -> Steps[Exception | None]:
        """What acting on these changes failed with; None: it did not."""
        answer, raised = yield Load(partial(self._handle, changes))
        if raised:
            return answer  # type: ignore[no-any-return]
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError(
                f"{self._handle!r} returns an awaitable; expected a plain function. Use an "
                "AsyncRelay"
            )
        if answer is False:
            return Unavailable("a store has not heard of what was invalidated yet")
        return None

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._error = repr(error)

    def _backoff(self, failures: int) -> float:
        return min(self._pause * 2.0 ** min(failures - 1, 60), self._longest)


class Relay(BaseRelay):
    """Hands the changes in an outbox to a function, in a thread or when it is asked to.

    Example:
        >>> from types import SimpleNamespace
        >>> class Box:
        ...     notes = [SimpleNamespace(id=1, at=0.0, change="an edit")]
        ...     def outbox(self, most):
        ...         return self.notes[:most]
        ...     def done(self, ids):
        ...         self.notes = [note for note in self.notes if note.id not in ids]
        >>> relay = Relay(Box(), print)
        >>> relay.once(), relay.once()
        ['an edit']
        (1, 0)
    """

    _thread: threading.Thread | None = None

    def once(self) -> int:
        """Handle one batch of notes; how many are done.

        Raises:
            Exception: What the database raised. What raises while changes are handled is counted,
                and their notes stay.
        """
        return run(self._once())

    def run(self, ended: threading.Event) -> None:
        """Handle notes until the event is set, whatever fails meanwhile."""
        run(self._run(ended))

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("this relay runs in another block already; make one of its own")
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self.run, args=(self._ended,), name="labkit-relay", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self._ended.set()
        self._thread.join()
        self._thread = None


class AsyncRelay(BaseRelay):
    """`Relay` for `async` code: the function may be a coroutine function, as with an `AsyncCache`.

    An outbox that blocks is asked in threads.
    """

    _task: asyncio.Task[None] | None = None

    async def once(self) -> int:
        """Handle one batch of notes; how many are done; see `Relay`."""
        return await run_async(self._once())

    async def run(self, ended: asyncio.Event) -> None:
        """Handle notes until the event is set, whatever fails meanwhile."""
        await run_async(self._run(ended))

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("this relay runs in another block already; make one of its own")
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self.run(self._ended))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._ended.set()
        await self._task
        self._task = None


class _Asked:
    """An outbox that says whether it blocks, as a step wants to know."""

    def __init__(self, outbox: Any) -> None:
        self.blocking = not inspect.iscoroutinefunction(outbox.outbox)
        self._outbox = outbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)


class _Pause:
    """Wait for so many seconds, or until the event is set."""

    def __init__(self, ended: Any, seconds: float) -> None:
        self._ended = ended
        self._seconds = seconds

    def now(self) -> None:
        """Wait."""
        self._ended.wait(self._seconds)

    async def later(self) -> None:
        """Wait."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._ended.wait()
        except TimeoutError:
            pass
