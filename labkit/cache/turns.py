"""One caller of this process at a time for a key, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque

from labkit.cache.sources.waiting import Turn, share


class Turns:
    """Queues of callers, one for each key that somebody has the turn of."""

    def __init__(self) -> None:
        share(self)

    def forget(self) -> None:
        """Start anew, in a process that was forked while others stood in a queue."""
        self._lock = threading.Lock()
        self._queues: dict[str, deque[Turn]] = {}

    def queue_up(self, key: str) -> Turn:
        """A place in the queue of a key; it is told when its turn has come."""
        turn = Turn()
        with self._lock:
            queue = self._queues.setdefault(key, deque())
            queue.append(turn)
            if len(queue) == 1:
                turn.tell(None)
        return turn

    def leave(self, key: str, turn: Turn) -> None:
        """Leave the queue, whose next one has the turn then."""
        with self._lock:
            queue = self._queues.get(key)
            if queue is None or turn not in queue:  # a fork has forgotten it
                return
            first = queue[0]
            queue.remove(turn)
            if not queue:
                del self._queues[key]
            elif queue[0] is not first:
                queue[0].tell(None)
