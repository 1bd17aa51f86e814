"""Who loads values anew while callers already have an answer: a few threads, or tasks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from labkit.cache.steps import run, run_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.steps import Steps

_THREADS = 4


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

    def start(self, steps: Callable[[], Steps[None]]) -> None:
        """Carry out an operation in a thread; nothing happens where the interpreter is ending."""
        runner = self._runner
        if runner is None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="labkit-cache")
            runner = self._pool.submit
        with contextlib.suppress(RuntimeError):
            runner(lambda: run(steps()))

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

    async def close_tasks(self) -> None:
        """Cancel the tasks, and wait until they have ended."""
        tasks = list(self._tasks)
        # Where a client's answer comes just as it is cancelled, the cancellation may be lost.
        while left := [task for task in tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.1)
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget_parent(self) -> None:
        """Start anew in a forked process: the threads did not come along."""
        self._pool = None
        self._tasks.clear()


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
