"""Delayed double delete, which many applications use in place of a fence; for comparison."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from labkit.cache.known import text_of
from labkit.cache.steps import Ask, Step, run
from labkit.cache.strategies.base import C, K, V
from labkit.cache.strategies.reading import CacheAside
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from labkit.cache.steps import Steps

    Later: TypeAlias = Callable[[float, Callable[[], object]], object]


class DelayedDoubleDelete(CacheAside[C, K, V]):
    """`CacheAside` whose writes delete the value before, and once more a while after.

    The second deletion takes out what a reader has put there who had loaded it before the write. It
    narrows the gap that `CacheAside` has, and does not close it:

    | What happens | What readers see |
    | --- | --- |
    | a reader loads before the write, and puts within the delay | the old value, for the delay |
    | a reader loads before the write, and puts after the delay | the old value, for its time |
    | the process dies within the delay | what is there then, for its time |
    | a reader loads between write and second deletion | the new value, which is loaded twice |

    The delay is a guess at the longest load. `ReadThrough` needs none: it refuses such a load.

    Args:
        *args: As in `CacheAside`.
        delay: How long after the write the second deletion comes.
        later: Calls a function after so many seconds. Default: a timer in a thread of its own, and
            the event loop with an `AsyncCache`.
        **kwargs: As in `CacheAside`.

    Raises:
        ValueError: The delay is 0.
    """

    def __init__(
        self, *args: Any, delay: float | str = "500ms", later: Later | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._delay = duration(delay)
        if not self._delay:
            raise ValueError(f"delay is {delay!r}; expected the time that the longest load takes")
        self._later = later

    def _write(self, method: str, key: K, *value: V) -> Steps[None]:
        text = self.key(key)
        yield from self._engine.delete([text])
        try:
            yield from self._of_source(method, key, *value)
            if value and self._known is not None:
                yield Ask(self._known, "add", ([text_of(key)],), {})
        finally:
            yield self._second(text)

    def _second(self, text: str) -> Step:
        """The step that sees to the second deletion, and does not wait for it."""
        engine = self._engine

        def delete() -> Steps[None]:
            yield from engine.delete([text])

        if self._awaited:
            return _Begin(lambda: engine.background.start_task(delete), self._delay, self._later)
        return _Begin(lambda: run(delete()), self._delay, self._later)


class _Begin:
    """See to it that a function is called after so many seconds."""

    def __init__(self, function: Callable[[], object], delay: float, later: Later | None) -> None:
        self._function = function
        self._delay = delay
        self._later = later

    def now(self) -> None:
        """By a thread that ends then."""
        (self._later or _in_thread)(self._delay, self._function)

    async def later(self) -> None:
        """By the event loop."""
        (self._later or _in_loop)(self._delay, self._function)


def _in_thread(delay: float, function: Callable[[], object]) -> None:
    timer = threading.Timer(delay, function)
    timer.daemon = True
    timer.start()


def _in_loop(delay: float, function: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(delay, function)
