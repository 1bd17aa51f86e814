"""How the writes of one partition reach the source.

A write is a whole value, and so the latest waiting one of a key stands for all before it: it alone
is applied, and they are removed with it. Where the source refuses it, a later one takes its place
as soon as there is one; else it is tried again, while other keys go on, and in the end put aside.
What it had covered is then applied itself.

Who owns a partition may lose it without noticing, if it stands still for longer than the lease.
What it applies then comes late, and a source with `apply` ignores it by its version. One without
can be taken back to an older value, so between two of its writes the owner looks at the time.
"""

from __future__ import annotations

import inspect
import math
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache.backends.base import Busy, Queued
from labkit.cache.behind.backoff import Backoff
from labkit.cache.behind.records import Applied
from labkit.cache.sources.base import Write
from labkit.cache.steps import Finish

if TYPE_CHECKING:
    from labkit.cache.steps import Steps

_LONGEST_REASON = 1000


class Applying(msgspec.Struct, frozen=True):
    """How writes are applied.

    Attributes:
        queue: Where they wait.
        source: Where they go.
        together: Whether the source has `apply`.
        opened: Reads a waiting write.
        dropped: Drops what this process's tiers before the queue have of a key.
        token: What tells this worker from others, apart from its process.
        lease: Seconds for which a partition is owned.
        batch: How many writes are read at a time.
        attempts: How often a write is tried that the source refuses.
        retry_on: What the source raises when it is away.
        backoff: How long to wait between tries.
        clock: Tells the time in seconds.
    """

    queue: Any
    source: Any
    together: bool
    opened: Callable[[Queued], Write[Any, Any]]
    dropped: Callable[[str], Any]  # it answers steps
    token: bytes
    lease: float
    batch: int
    attempts: int
    retry_on: tuple[type[Exception], ...]
    backoff: Backoff
    clock: Callable[[], float]


class _Failing(msgspec.Struct):
    """A write that the source has refused so many times, and when it is tried again."""

    version: int
    tries: int
    due: float


class _Outcome(msgspec.Struct):
    """What became of the writes of a round."""

    applied: list[Queued]
    refused: list[tuple[Queued, Exception]]
    away: bool = False


class Partition:
    """One partition, as one worker sees it.

    Attributes:
        due: When the source is asked again, if it is away.
        lag: How many seconds the oldest write of the last batch had waited.
        seen: The version above which a write would be news; None: none would change anything.
    """

    def __init__(self, how: Applying, number: int) -> None:
        self.due = -math.inf
        self.lag: float | None = None
        self.seen: int | None = 0
        self._how = how
        self._number = number
        self._failures = 0
        self._failing: dict[str, _Failing] = {}
        self._held = 0  # writes of failing keys, which do not count to the batch
        self._lock = threading.Lock()

    def round(self) -> Steps[Applied]:
        """Apply the first of the waiting writes, if the partition is free or one's own."""
        if self._how.clock() < self.due or not self._lock.acquire(blocking=False):
            return Applied()
        try:
            return (yield from self._round())
        finally:
            self._lock.release()

    def next(self) -> float:
        """When there is something to do, if no write comes before."""
        return max(self.due, min((each.due for each in self._failing.values()), default=-math.inf))

    def leave(self) -> Steps[None]:
        """Give the partition back."""
        yield self._ask("leave")

    def _round(self) -> Steps[Applied]:
        how, start = self._how, self._how.clock()
        self.seen = None
        taken = yield self._ask("take", how.lease, how.batch + self._held)
        if isinstance(taken, Busy):
            self._failing, self._held = {}, 0
            return Applied()
        self.seen = taken[-1].version if taken else 0
        runs: dict[str, list[Queued]] = {}
        for each in taken:
            runs.setdefault(each.key, []).append(each)
        self._failing = {
            key: failing
            for key, failing in self._failing.items()
            if key in runs and runs[key][-1].version == failing.version
        }
        latest = [run[-1] for key, run in runs.items() if not self._rests(key, start)]
        latest.sort(key=lambda each: each.version)
        outcome = yield from self._apply(latest, start + how.lease)
        done = yield from self._remove([each for one in outcome.applied for each in runs[one.key]])
        coalesced = max(0, done - len(outcome.applied))
        retried, aside = yield from self._refuse(outcome.refused, runs)
        self._held = sum(len(runs[key]) for key in self._failing)
        if outcome.away:
            self._failures += 1
            self.due = how.clock() + how.backoff.seconds(self._failures)
            self.seen = None
            retried += 1
        elif latest:
            self._failures = 0
        return Applied(done, coalesced, retried, aside)

    def _rests(self, key: str, now: float) -> bool:
        failing = self._failing.get(key)
        return failing is not None and now < failing.due

    # --- Applying

    def _apply(self, latest: Sequence[Queued], until: float) -> Steps[_Outcome]:
        """Try to apply writes of different keys, all at once if that is possible."""
        outcome = _Outcome([], [])
        writes: list[tuple[Queued, Write[Any, Any]]] = []
        for each in latest:
            try:
                writes.append((each, self._how.opened(each)))
            except Exception as unreadable:
                outcome.refused.append((each, unreadable))
        if self._how.together and len(writes) > 1:
            error = yield from self._try("apply", [write for _, write in writes])
            if error is None:
                outcome.applied = [each for each, _ in writes]
                return outcome
            if isinstance(error, self._how.retry_on):
                outcome.away = True
                return outcome
        for each, write in writes:
            if self._how.clock() >= until:
                break
            error = yield from self._try_one(write)
            if error is None:
                outcome.applied.append(each)
            elif isinstance(error, self._how.retry_on):
                outcome.away = True
                break
            else:
                outcome.refused.append((each, error))
        return outcome

    def _try_one(self, write: Write[Any, Any]) -> Steps[Exception | None]:
        if self._how.together:
            return self._try("apply", [write])
        if write.value is None:
            return self._try("delete", write.key)
        return self._try("save", write.key, write.value)

    def _try(self, method: str, *arguments: Any) -> Steps[Exception | None]:
        try:
            answer = yield Finish(self._how.source, method, arguments, {})
        except Exception as error:
            return error
        if inspect.iscoroutine(answer):  # what nobody waits for has not written anything
            answer.close()
            return TypeError(
                f"{method} is a coroutine function; use an AsyncCache, and let load be one as well"
            )
        return None

    # --- What follows

    def _remove(self, writes: list[Queued]) -> Steps[int]:
        """Remove writes that were applied; answers how many."""
        if not writes:
            return 0
        lag = yield self._ask("done", writes)
        if lag is None:
            return 0
        self.lag = lag
        return len(writes)

    def _refuse(
        self, refused: Sequence[tuple[Queued, Exception]], runs: dict[str, list[Queued]]
    ) -> Steps[tuple[int, int]]:
        """Let writes that the source refused rest, or put them aside; answers how many each."""
        how, aside = self._how, 0
        for each, error in refused:
            failing = self._failing.setdefault(each.key, _Failing(each.version, 0, 0.0))
            failing.tries += 1
            failing.due = how.clock() + how.backoff.seconds(failing.tries)
            if failing.tries >= how.attempts:
                before = runs[each.key][-2] if len(runs[each.key]) > 1 else None
                reason = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
                aside += yield self._ask("put_aside", each, before, reason)
                yield from how.dropped(each.key)
                del self._failing[each.key]
        return len(refused) - aside, aside

    def _ask(self, method: str, *arguments: Any) -> Finish:
        """A step that asks the queue about this partition."""
        token = self._how.token + os.getpid().to_bytes(4, "big")
        return Finish(self._how.queue, method, (self._number, token, *arguments), {})
