"""A circuit breaker.

A server that fails once is left alone for a while: callers go on without it at once, instead of
each waiting for its own time-out. When the while is over, one caller at a time tries again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from labkit.cache.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.errors import Unavailable


class Breaker:
    """Whether to ask a server.

    Args:
        pause: Seconds for which it is left alone after it failed.
        now: A clock.

    Attributes:
        away: Whether it failed, and has not answered since.
        failures: How often it did not do what it was asked.
        openings: How often it was taken for away.
    """

    def __init__(self, pause: float, now: Callable[[], float] = time.monotonic) -> None:
        self.away = False
        self.failures = 0
        self.openings = 0
        self._pause = pause
        self._now = now
        self._until = 0.0
        self._lock = threading.Lock()

    def rests(self) -> bool:
        """Whether nobody is to ask it now."""
        return self.away and self._now() < self._until

    def closed(self) -> bool:
        """Whether to ask it now.

        While it is away, one caller a pause is told to try; it has to say how that went.
        """
        if not self.away:
            return True
        if self._now() < self._until:
            return False
        with self._lock:
            if self.away and self._now() < self._until:
                return False
            self._until = self._now() + self._pause
            return True

    def failed(self, error: Unavailable) -> None:
        """It did not do what it was asked; one that refused is not taken for away."""
        with self._lock:
            self.failures += 1
            if not isinstance(error, Refused):
                self._open()

    def answered(self) -> None:
        """It does what it is asked again."""
        with self._lock:
            self.away = False

    def forget_parent(self) -> None:
        """In a forked process: no thread is left that could let go of the lock."""
        self._lock = threading.Lock()

    def _open(self) -> None:
        self.openings += not self.away
        self.away = True
        self._until = self._now() + self._pause
