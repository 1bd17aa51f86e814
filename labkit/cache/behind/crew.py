"""How the writes of all partitions reach the source: once, until none is left, or until the end."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING

from labkit.cache.behind.partition import Partition
from labkit.cache.behind.records import Applied, Waiting
from labkit.cache.errors import Unavailable
from labkit.cache.sources.waiting import share
from labkit.cache.steps import Ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.backends.base import QueueState
    from labkit.cache.behind.partition import Applying
    from labkit.cache.steps import Steps

_NAP = 0.25  # seconds, within which a worker notices that it shall end


class Nap:
    """Let so many seconds pass."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> None:
        """Let them pass."""
        time.sleep(self._seconds)

    async def later(self) -> None:
        """Let them pass."""
        await asyncio.sleep(self._seconds)


class Crew:
    """Who applies the waiting writes of a queue, for one process.

    Args:
        how: How they are applied.
    """

    def __init__(self, how: Applying) -> None:
        self._how = how
        share(self)

    def forget(self) -> None:
        """Start anew, in a process that was forked while others worked."""
        self._partitions = [Partition(self._how, n) for n in range(self._how.queue.partitions)]
        self._done = Applied()

    def round(self) -> Steps[Applied]:
        """Apply the first writes of each partition that is free or one's own."""
        applied = Applied()
        for partition in self._partitions:
            applied += yield from partition.round()
        self._done += applied
        return applied

    def drain(self, seconds: float = math.inf) -> Steps[bool]:
        """Apply what waits, and give the partitions back; False where the time was too short."""
        until = self._how.clock() + seconds
        try:
            while True:
                if (yield from self.round()):
                    continue
                state: QueueState = yield Ask(self._how.queue, "state", (), {})
                if not state.depth:
                    return True
                left = until - self._how.clock()
                if left <= 0:
                    return False
                yield from self._wait(left)
        finally:
            yield from self.leave()

    def work(self, ended: Callable[[], bool], patience: float) -> Steps[None]:
        """Apply writes as they come until it is ended, and then drain for so long at most."""
        while not ended():
            try:
                if not (yield from self.round()):
                    yield from self._wait(_NAP)
            except Unavailable:
                yield Nap(_NAP)
        with contextlib.suppress(Unavailable):
            yield from self.drain(patience)

    def leave(self) -> Steps[None]:
        """Give the partitions back."""
        with contextlib.suppress(Unavailable):
            for partition in self._partitions:
                yield from partition.leave()

    def state(self) -> Steps[Waiting]:
        """How the queue is."""
        state: QueueState = yield Ask(self._how.queue, "state", (), {})
        lags = [partition.lag for partition in self._partitions if partition.lag is not None]
        lag = max(lags, default=None)
        return Waiting(state.depth, state.age, state.aside, self._done, lag)

    def _wait(self, seconds: float) -> Steps[None]:
        """Wait for a write that is news, or until something is due, for so long at most."""
        now = self._how.clock()
        dues = [due for p in self._partitions if (due := p.next()) > now]
        seconds = min(seconds, _NAP, *(due - now for due in dues))
        since = {n: p.seen for n, p in enumerate(self._partitions) if p.seen is not None}
        if since:
            yield Ask(self._how.queue, "wait", (since, seconds), {})
        else:
            yield Nap(seconds)
