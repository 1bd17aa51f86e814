"""Request coalescing: one query for what many callers miss at the same time.

Databases write their log so, and call it group commit. When nothing is being loaded, a call goes
at once. Whoever comes while a load runs is collected, and when it ends, one of those who were
collected loads for all of them. The busier the source, the larger its batches; nobody waits for a
timer. Nobody joins a load that has begun: it may miss what was written before the caller asked.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Generic

from labkit.cache.sources.base import Around, K, V
from labkit.cache.sources.waiting import Call, Turn, Wait, share
from labkit.cache.steps import Load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from labkit.cache.sources.base import Source
    from labkit.cache.steps import Steps

_LEAD: Final = "lead"
_DONE: Final = "done"

# Whoever leads does not queue up anywhere: what it would wait for may be waiting for it.
_leads: ContextVar[bool] = ContextVar("labkit_cache_coalesced", default=False)


class _Batch(Generic[K]):
    """Keys that are loaded together, and the turns of those who want them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.keys: list[K] = []
        self.turns: dict[Turn, None] = {}
        self.leader: Turn | None = None
        self.begun = False
        self.outcome: tuple[Any, bool] | None = None  # as the step `Load` has it
        self.trace: TracebackType | None = None  # of its error


class Coalesced(Around[K, V]):
    """Loads keys that many threads or tasks ask for with as few `load_many` as possible.

    One `load_many` runs at a time. The callers of one key get the same object. An error reaches
    every caller of its batch. When the one who loads is cancelled or killed, another one of its
    batch loads again. A loader that asks for other keys here gets them at once, in a load of its
    own.

    Args:
        source: Where values come from.
        most: The most keys of one `load_many`; what asks for more is cut into several.

    Attributes:
        batches: How many times `load_many` was called.
        keys: How many keys those calls had, all together.

    Raises:
        ValueError: `most` is below 1.
    """

    def __init__(self, source: Source[K, V], most: int = 100) -> None:
        super().__init__(source)
        if most < 1:
            raise ValueError(f"most is {most!r}; expected a number of keys, 1 or more")
        self._most = most
        self.batches = self.keys = 0
        share(self)

    def forget(self) -> None:
        """Start anew, in a process that was forked while others loaded."""
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        # The first one has a leader, who is loading it or about to. The others are being collected.
        self._queue: deque[_Batch[K]] = deque()
        self._collected: dict[K, _Batch[K]] = {}

    def load(self, key: K) -> Any:
        """The value of a key; None where there is none."""
        return self._carry_out(self._load(key))

    def load_many(self, keys: Sequence[K]) -> Any:
        """The values of keys; those that have none are left out."""
        return self._carry_out(self._load_many(keys))

    def _load(self, key: K) -> Steps[V | None]:
        found = yield from self._load_many([key])
        return found.get(key)

    def _load_many(self, keys: Sequence[K]) -> Steps[dict[K, V]]:
        wanted = dict.fromkeys(keys)
        found: dict[K, V] = {}
        if _leads.get():
            for some in _chunks(list(wanted), self._most):
                self._count(some)
                answer: Mapping[K, V] = yield Call(self.source.load_many, some)
                found.update(answer)
            return found
        places = deque(self._queue_up(wanted))
        try:
            while places:
                batch, turn = places[0]
                if (yield Wait(turn)) is _LEAD:
                    yield from self._lead(batch, turn)
                places.popleft()
                assert batch.outcome is not None
                loaded, failed = batch.outcome
                if failed:
                    raise loaded.with_traceback(batch.trace)  # else each caller would add to it
                found.update((k, loaded[k]) for k in batch.keys if k in wanted and k in loaded)
        finally:
            for batch, turn in places:
                self._leave(batch, turn)
        return {key: found[key] for key in wanted if key in found}

    def _queue_up(self, wanted: dict[K, None]) -> list[tuple[_Batch[K], Turn]]:
        """Turns in the batches that the keys are in, in the order in which those are loaded."""
        turns: dict[_Batch[K], Turn] = {}
        with self._lock:
            for key in wanted:
                batch = self._collected.get(key)
                if batch is None:
                    batch = self._collected[key] = self._with_room()
                    batch.keys.append(key)
                if batch not in turns:
                    turns[batch] = Turn()
                    batch.turns[turns[batch]] = None
            self._appoint()
        return sorted(turns.items(), key=lambda place: place[0].number)

    def _with_room(self) -> _Batch[K]:
        """The batch that is being collected."""
        last = self._queue[-1] if self._queue else None
        if last is None or last.begun or len(last.keys) >= self._most:
            last = _Batch(next(self._numbers))
            self._queue.append(last)
        return last

    def _appoint(self) -> None:
        """Make sure that the first batch has a leader."""
        while self._queue and self._queue[0].leader is None:
            batch = self._queue[0]
            if batch.turns:
                batch.leader = next(iter(batch.turns))
                batch.leader.tell(_LEAD)
            else:  # all have left
                self._queue.popleft()
                self._close(batch)

    def _lead(self, batch: _Batch[K], turn: Turn) -> Steps[None]:
        """Load a batch for all who want it."""
        with self._lock:
            self._close(batch)
        self._count(batch.keys)
        _leads.set(True)
        try:
            outcome = yield Load(lambda: self.source.load_many(batch.keys))
        finally:
            _leads.set(False)
        answer, failed = outcome
        if failed:
            batch.trace = answer.__traceback__
        with self._lock:
            batch.outcome = outcome
            self._queue.popleft()
            for other in batch.turns:
                if other is not turn:
                    other.tell(_DONE)
            self._appoint()

    def _close(self, batch: _Batch[K]) -> None:
        """Let nobody join a batch from now on."""
        batch.begun = True
        for key in batch.keys:
            if self._collected.get(key) is batch:
                del self._collected[key]

    def _leave(self, batch: _Batch[K], turn: Turn) -> None:
        """Wait no longer; where others wait for this one to load, another one does."""
        with self._lock:
            if batch.outcome is None:
                del batch.turns[turn]
                if batch.leader is turn:
                    batch.leader = None
                    self._appoint()

    def _count(self, keys: Sequence[K]) -> None:
        with self._lock:
            self.batches += 1
            self.keys += len(keys)


def _chunks(keys: list[K], most: int) -> list[list[K]]:
    return [keys[start : start + most] for start in range(0, len(keys), most)]
