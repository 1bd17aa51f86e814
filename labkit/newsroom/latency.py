"""A database that is as slow as a real one, over a network and under load."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from labkit.clock import duration
from labkit.newsroom.checks import count

if TYPE_CHECKING:
    from collections.abc import Callable


class Latency:
    """How long a read takes, on top of what the database itself needs.

    Args:
        per_read: A `duration` for each read.
        per_row: A `duration` for each row that comes back.
        wait: Lets so many seconds pass. A lesson or a test passes its own, such as
            `FakeClock().advance`, and then nobody sleeps.
        at_once: How many reads the database works on at the same time; the others queue. None:
            there is no bound.

    Raises:
        TypeError: A duration is none, or `at_once` is no whole number.
        ValueError: A duration is negative, or `at_once` is less than 1.
    """

    def __init__(
        self,
        per_read: float | str = "2ms",
        per_row: float | str = "0.1ms",
        *,
        wait: Callable[[float], object] = time.sleep,
        at_once: int | None = None,
    ) -> None:
        self.per_read = duration(per_read)
        self.per_row = duration(per_row)
        self.at_once = at_once
        self._wait = wait
        self.turn: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        """Is held by a read from its start to its end."""
        if at_once is not None:
            self.turn = threading.Semaphore(count("at_once", at_once))

    def pause(self, rows: int) -> None:
        """Let the time of a read pass that brought so many rows."""
        if seconds := self.per_read + rows * self.per_row:
            self._wait(seconds)

    def __repr__(self) -> str:
        bound = "" if self.at_once is None else f", at_once={self.at_once}"
        return f"Latency({self.per_read}, {self.per_row}{bound})"
