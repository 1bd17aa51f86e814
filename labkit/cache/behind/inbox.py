"""How callers ask a queue: they wait for room, and leave it alone for a while after it failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.base import Full
from labkit.cache.behind.records import QueueFull
from labkit.cache.breaker import Breaker
from labkit.cache.errors import Unavailable
from labkit.cache.sources.waiting import share
from labkit.cache.steps import Finish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.cache.backends.base import Queue, Queued
    from labkit.cache.steps import Steps


class Inbox:
    """A queue, for those who write and read.

    Nothing stands in for a queue that does not answer. So every error reaches the caller, unlike
    those of a store.

    Args:
        queue: The queue.
        name: What errors call it.
        depth: How many writes may wait in it.
        patience: How many seconds a write waits for room.
        pause: For how many seconds it is left alone after it failed.
    """

    def __init__(self, queue: Queue, name: str, depth: int, patience: float, pause: float) -> None:
        self._queue = queue
        self._name = name
        self._depth = depth
        self._patience = patience
        self._breaker = Breaker(pause)
        self._checked = False
        share(self)

    def forget(self) -> None:
        """Start anew, in a process that was forked."""
        self._breaker.forget_parent()

    def push(
        self, write: Queued, payload: bytes, ttl: float | None, tags: Sequence[str]
    ) -> Steps[int]:
        """Put a write into the queue and its value into the cache; answers its version.

        Raises:
            QueueFull: There was no room in time.
            Unavailable: The queue does not answer, or is left alone.
            Refused: It answers, but may lose what it is given.
        """
        if not self._checked:
            yield from self._ask("check")
            self._checked = True
        until = time.monotonic() + self._patience
        while True:
            answer: int | Full = yield from self._ask("push", write, payload, ttl, tags)
            if not isinstance(answer, Full):
                return answer
            left = until - time.monotonic()
            if left <= 0:
                raise QueueFull(
                    f"{self._depth} writes wait for {self._name!r}, and there was no room within "
                    f"{self._patience:g} s; see that a worker runs and what the source says "
                    "(state), or let more wait (depth)"
                )
            yield from self._ask("wait_for_room", write.key, answer.since, left)

    def latest(self, keys: Sequence[str]) -> Steps[dict[str, Queued]]:
        """The latest of the waiting writes of each key that has any.

        Raises:
            Unavailable: The queue does not answer, or is left alone.
        """
        found: dict[str, Queued] = yield from self._ask("latest", keys)
        return found

    def _ask(self, method: str, *arguments: Any) -> Steps[Any]:
        breaker = self._breaker
        if not breaker.closed():
            raise Unavailable("Redis did not answer a moment ago, and is asked again in a while")
        try:
            answer = yield Finish(self._queue, method, arguments, {})
        except Unavailable as error:
            breaker.failed(error)
            raise
        if breaker.away:
            breaker.answered()
        return answer
