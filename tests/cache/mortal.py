"""Queues that die, or tell, at a step of their use."""

from __future__ import annotations

import functools
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Died(BaseException):
    """The end of a process, played within one that goes on."""


def kill() -> None:
    """The end of this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def play_dead() -> None:
    """The end of a process, played."""
    raise Died


class Mortal:
    """Calls the methods of another object, and dies before or after one of them.

    Args:
        inner: The other object.
        die: How.

    Attributes:
        answer: What the last call answered, also where it died afterwards.
    """

    def __init__(self, inner: Any, die: Callable[[], None]) -> None:
        self.answer: Any = None
        self._inner = inner
        self._die = die
        self._left = 0
        self._step = self._when = ""

    def arm(self, step: str, when: str, calls: int = 1) -> Mortal:
        """Die "before" or "after" a call of a method; `calls` says which one from now on."""
        self._step, self._when, self._left = step, when, calls
        return self

    def disarm(self) -> None:
        """Live on."""
        self._step = ""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return functools.partial(self._call, found) if name == self._step else found

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0 and self._when == "before":
            self._die()
        try:
            self.answer = method(*arguments)
        finally:
            if self._left == 0:
                self._die()
        return self.answer


class Replaced:
    """A tier whose queues are replaced.

    Args:
        tier: The tier.
        queue: Gets a queue, and returns what stands in for it.
    """

    def __init__(self, tier: Any, queue: Callable[[Any], Any]) -> None:
        self._tier = tier
        self._queue = queue

    def open(self, namespace: str) -> Any:
        store: Any = self._tier.open(namespace)
        plain = store.queue
        store.queue = lambda name, depth: self._queue(plain(name, depth))
        return store
