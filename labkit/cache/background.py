"""Who does what nobody waits for: a few threads, or tasks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from labkit.cache.steps import run, run_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.steps import Steps

T = TypeVar("T")
Worker: TypeAlias = "threading.Thread | asyncio.Task[Any]"

_THREADS = 4
_SHORTEST_REST = 0.01  # however often one would like to try again


class Alarm:
    """Wakes one who rests, to end. A finalizer may ring it, for it needs no lock to do so."""

    def __init__(self) -> None:
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        """Wake who rests."""
        self._rung.put(None)

    def rest(self, seconds: float) -> bool:
        """Wait in a thread; whether it has not rung."""
        try:
            self._rung.get(timeout=_bounded(seconds))
        except queue.Empty:
            return True
        return False

    async def rest_async(self, seconds: float) -> bool:
        """Wait in a task, which is cancelled or sees afterwards whether it has not rung."""
        await asyncio.sleep(_bounded(seconds))
        return self._rung.empty()


class Background:
    """Carries out operations that nobody waits for.

    Args:
        runner: Gets a function without parameters and calls it, now or later; None: threads of
            this object's own. It serves caches of threads only.
    """

    def __init__(self, runner: Callable[[Callable[[], object]], object] | None = None) -> None:
        self._runner = runner
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._resting: dict[Worker, Alarm] = {}

    def start(self, steps: Callable[[], Steps[None]]) -> None:
        """Carry out an operation in a thread; nothing happens where the interpreter is ending."""
        runner = self._runner
        if runner is None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="labkit-cache")
            runner = self._pool.submit
        with contextlib.suppress(RuntimeError):
            runner(lambda: run(steps()))

    def start_task(self, steps: Callable[[], Steps[T]]) -> asyncio.Task[T]:
        """Carry out an operation in a task of the running event loop."""
        # In a context of its own: it is no part of a load that its caller may be in.
        task = asyncio.get_running_loop().create_task(
            run_async(steps()), context=contextvars.Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start_resting(self, steps: Callable[[Alarm], Steps[None]]) -> Worker | None:
        """Carry out an operation that mostly rests, in a thread of its own; None where none is."""
        if sys.is_finalizing():  # a thread would not begin any more, and be waited for
            return None
        alarm = Alarm()

        def carry_out() -> None:
            try:
                run(steps(alarm))
            finally:
                self._resting.pop(thread, None)

        thread = threading.Thread(target=carry_out, name="labkit-cache-rests", daemon=True)
        self._resting[thread] = alarm
        try:
            thread.start()
        except RuntimeError:  # there are too many
            del self._resting[thread]
            return None
        return thread

    def start_resting_task(self, steps: Callable[[Alarm], Steps[None]]) -> Worker:
        """The same in a task of the running event loop."""
        alarm = Alarm()
        task = self.start_task(lambda: steps(alarm))
        self._resting[task] = alarm
        task.add_done_callback(lambda task: self._resting.pop(task, None))
        return task

    def run_in(
        self, loop: asyncio.AbstractEventLoop, steps: Callable[[], Steps[T]], patience: float
    ) -> T:
        """Carry out an operation in the event loop of another thread, and wait for it.

        Raises:
            TimeoutError: The loop has not done it within so many seconds; it may do so yet.
            RuntimeError: The loop is closed.
            concurrent.futures.CancelledError: The loop has ended.
        """
        outcome: Future[T] = Future()

        def hand_over(task: asyncio.Task[T]) -> None:
            if task.cancelled():
                outcome.cancel()
            elif outcome.set_running_or_notify_cancel():
                error = task.exception()
                if error is None:
                    outcome.set_result(task.result())
                else:
                    outcome.set_exception(error)

        def begin() -> None:
            if not outcome.cancelled():
                self.start_task(steps).add_done_callback(hand_over)

        loop.call_soon_threadsafe(begin)
        try:
            return outcome.result(patience)
        finally:
            outcome.cancel()

    def close(self) -> None:
        """Wait for the threads' work that has begun, and drop the rest."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        self.end()
        for worker in list(self._resting):
            if isinstance(worker, threading.Thread):
                with contextlib.suppress(RuntimeError):  # it has not begun yet, or it is this one
                    worker.join()

    def end(self) -> None:
        """Wake who rests, to end; wait for nobody."""
        for alarm in list(self._resting.values()):
            alarm.ring()

    async def close_tasks(self) -> None:
        """Cancel the tasks of this event loop, and wait until they have ended."""
        here = asyncio.get_running_loop()
        tasks = [task for task in list(self._tasks) if task.get_loop() is here]
        self._tasks.intersection_update(tasks)
        # Where a client's answer comes just as it is cancelled, the cancellation may be lost.
        while left := [task for task in tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.1)
        await asyncio.gather(*tasks, return_exceptions=True)
        if any(isinstance(worker, threading.Thread) for worker in list(self._resting)):
            await asyncio.to_thread(self.close)

    def forget_parent(self) -> None:
        """Start anew in a forked process: the threads did not come along."""
        self._pool = None
        self._tasks.clear()
        self._resting.clear()


def alive(worker: Worker | None) -> bool:
    """Whether a thread or a task has not ended, and can go on."""
    if isinstance(worker, asyncio.Task):
        return not (worker.done() or worker.get_loop().is_closed())
    return worker is not None and worker.is_alive()


def _bounded(seconds: float) -> float:
    return min(max(_SHORTEST_REST, seconds), threading.TIMEOUT_MAX)


class Aside:
    """Begin an operation, and do not wait for it."""

    __slots__ = ("_background", "_steps")

    def __init__(self, background: Background, steps: Callable[[], Steps[None]]) -> None:
        self._background = background
        self._steps = steps

    def now(self) -> None:
        """Begin it in a thread."""
        self._background.start(self._steps)

    async def later(self) -> None:
        """Begin it in a task."""
        self._background.start_task(self._steps)


class BeginResting:
    """Begin an operation that mostly rests, and do not wait for it; the answer is who does it."""

    __slots__ = ("_background", "_steps")

    def __init__(self, background: Background, steps: Callable[[Alarm], Steps[None]]) -> None:
        self._background = background
        self._steps = steps

    def now(self) -> Worker | None:
        """Begin it in a thread of its own."""
        return self._background.start_resting(self._steps)

    async def later(self) -> Worker | None:
        """Begin it in a task."""
        return self._background.start_resting_task(self._steps)


class Rest:
    """Let time pass; the answer is False where the operation is to end."""

    __slots__ = ("_alarm", "_seconds")

    def __init__(self, alarm: Alarm, seconds: float) -> None:
        self._alarm = alarm
        self._seconds = seconds

    def now(self) -> bool:
        """Let it pass in a thread."""
        return self._alarm.rest(self._seconds)

    async def later(self) -> bool:
        """Let it pass in a task."""
        return await self._alarm.rest_async(self._seconds)


class EndAll:
    """End what was begun aside."""

    __slots__ = ("_background",)

    def __init__(self, background: Background) -> None:
        self._background = background

    def now(self) -> None:
        """Wait for what has begun."""
        self._background.close()

    async def later(self) -> None:
        """Cancel the tasks."""
        await self._background.close_tasks()
