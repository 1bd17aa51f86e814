"""Who does what nobody waits for: a few threads, or tasks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from labkit.cache.steps import run, run_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.steps import Steps

_THREADS = 4
_SHORTEST_REST = 0.01  # however often one would like to try again


class Background:
    """Carries out operations that nobody waits for.

    Args:
        runner: Gets a function without parameters and calls it, now or later; None: threads of
            this object's own. It serves caches of threads only.

    Attributes:
        ending: Set when what rests is to end.
    """

    def __init__(self, runner: Callable[[Callable[[], object]], object] | None = None) -> None:
        self._runner = runner
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._own: set[threading.Thread] = set()
        self.ending = threading.Event()

    def start(self, steps: Callable[[], Steps[None]]) -> None:
        """Carry out an operation in a thread; nothing happens where the interpreter is ending."""
        runner = self._runner
        if runner is None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="labkit-cache")
            runner = self._pool.submit
        with contextlib.suppress(RuntimeError):
            runner(lambda: run(steps()))

    def start_own(self, steps: Callable[[], Steps[None]]) -> None:
        """Carry out an operation that mostly rests, in a thread of its own."""

        def carry_out() -> None:
            try:
                run(steps())
            finally:
                self._own.discard(thread)

        thread = threading.Thread(target=carry_out, name="labkit-cache-rests", daemon=True)
        with contextlib.suppress(RuntimeError):  # the interpreter is ending
            thread.start()
            self._own.add(thread)

    def start_task(self, steps: Callable[[], Steps[None]]) -> None:
        """Carry out an operation in a task of the running event loop."""
        # In a context of its own: it is no part of a load that its caller may be in.
        task = asyncio.get_running_loop().create_task(
            run_async(steps()), context=contextvars.Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Wait for the threads' work that has begun, and drop the rest."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        self.end()
        for thread in list(self._own):
            thread.join()
        self.ending = threading.Event()

    def end(self) -> None:
        """Wake what rests, to end; wait for nothing."""
        self.ending.set()

    async def close_tasks(self) -> None:
        """Cancel the tasks, and wait until they have ended."""
        tasks = list(self._tasks)
        # Where a client's answer comes just as it is cancelled, the cancellation may be lost.
        while left := [task for task in tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.1)
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._own:
            await asyncio.to_thread(self.close)

    def forget_parent(self) -> None:
        """Start anew in a forked process: the threads did not come along."""
        self._pool = None
        self._tasks.clear()
        self._own.clear()
        self.ending = threading.Event()


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


class Beside(Aside):
    """Begin an operation that mostly rests, and do not wait for it."""

    __slots__ = ()

    def now(self) -> None:
        """Begin it in a thread of its own."""
        self._background.start_own(self._steps)


class Rest:
    """Let time pass; the answer is False where the operation is to end."""

    __slots__ = ("_background", "_seconds")

    def __init__(self, background: Background, seconds: float) -> None:
        self._background = background
        self._seconds = seconds

    def now(self) -> bool:
        """Let it pass, unless the background is closed meanwhile."""
        return not self._background.ending.wait(max(_SHORTEST_REST, self._seconds))

    async def later(self) -> bool:
        """Let it pass; a task is cancelled."""
        await asyncio.sleep(max(_SHORTEST_REST, self._seconds))
        return not self._background.ending.is_set()


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
