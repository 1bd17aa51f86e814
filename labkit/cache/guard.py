"""A circuit breaker in front of a store.

A store that fails once is left alone for a while: callers go on without it at once, instead of each
waiting for its own time-out. When the while is over, one caller at a time tries again.

What could not be deleted meanwhile is owed: it is deleted before anything else is asked of the
store, so that a store which comes back does not serve what was invalidated while it was away.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from labkit.cache.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labkit.cache.backends.base import Store
    from labkit.cache.errors import Unavailable

_MOST_OWED = 10_000  # beyond that the whole namespace is cleared


class Guard:
    """A store, and whether to ask it.

    Args:
        store: The store.
        name: What statistics call it.
        pause: Seconds for which a store that failed is left alone.
        now: A clock.
    """

    def __init__(
        self, store: Store, name: str, pause: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.store: Any = store
        self.name = name
        self.away = False
        self.failures = 0
        self.openings = 0
        self._pause = pause
        self._now = now
        self._until = 0.0
        self._lock = threading.Lock()
        self._owed: dict[tuple[str, str], None] = {}

    def rests(self) -> bool:
        """Whether nobody is to ask the store now."""
        return self.away and self._now() < self._until

    def closed(self) -> bool:
        """Whether to ask the store now.

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
        """The store did not do what it was asked; one that refused it is not taken for away."""
        with self._lock:
            self.failures += 1
            if not isinstance(error, Refused):
                self._open()

    def answered(self) -> None:
        """The store does what it is asked again."""
        with self._lock:
            self.away = bool(self._owed)

    def owe(self, method: str, targets: Sequence[str]) -> None:
        """Remember an invalidation that failed: of keys, tags, prefixes, or (no targets) of all."""
        with self._lock:
            self._owed.update(((method, target), None) for target in targets or [""])
            if len(self._owed) > _MOST_OWED:
                self._owed = {("clear", ""): None}
            # The store would serve what should be gone, so nobody asks it before it has paid.
            self._open()

    def take_debts(self) -> list[tuple[str, list[str]]]:
        """What is owed, as (method, targets); whoever takes it pays, or owes it again."""
        with self._lock:
            owed, self._owed = self._owed, {}
        methods = dict.fromkeys(method for method, _ in owed)
        return [(name, [target for method, target in owed if method == name]) for name in methods]

    @property
    def owes(self) -> int:
        """How many invalidations the store has not heard of."""
        return len(self._owed)

    def forget_parent(self) -> None:
        """In a forked process: no thread is left that could let go of the lock."""
        self._lock = threading.Lock()

    def _open(self) -> None:
        self.openings += not self.away
        self.away = True
        self._until = self._now() + self._pause
