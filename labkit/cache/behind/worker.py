"""Who applies waiting writes in the background, while a block runs."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from labkit.cache.steps import run, run_async

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from labkit.cache.behind.crew import Crew


class Worker:
    """Applies writes as they come: `with` in a thread, `async with` in a task.

    At the end of the block it applies what waits and gives back what it owns. What it cannot apply
    in time stays in the queue.

    Args:
        crew: Who applies them.
        awaited: Whether the block is `async with`.
        patience: How many seconds the end of the block may take.

    Raises:
        TypeError: By the wrong kind of block.
    """

    def __init__(self, crew: Crew, awaited: bool, patience: float) -> None:
        self._crew = crew
        self._awaited = awaited
        self._patience = patience
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        if self._awaited:
            raise TypeError("the writes of an AsyncCache are applied by a task; use `async with`")
        self._ended.clear()
        self._thread = threading.Thread(target=self._work, name="labkit-behind", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _work(self) -> None:
        try:
            run(self._crew.work(self._ended.is_set, self._patience))
        except BaseException as error:
            self._error = error
            raise  # to be heard of at once

    async def __aenter__(self) -> Self:
        if not self._awaited:
            raise TypeError("the writes of a Cache are applied by a thread; use `with`")
        self._ended.clear()
        work = run_async(self._crew.work(self._ended.is_set, self._patience))
        self._task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._ended.set()
        await self._task
