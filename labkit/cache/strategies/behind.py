"""A strategy that writes to the cache and a queue at once, and to the source later."""

from __future__ import annotations

import math
import secrets
import time
from typing import TYPE_CHECKING, Any, overload

from labkit.cache.backends.base import Found, Queued
from labkit.cache.behind import Applying, Aside, Backoff, Crew, Inbox, Worker
from labkit.cache.engine import MISSING
from labkit.cache.errors import Unavailable
from labkit.cache.known import text_of
from labkit.cache.options import seconds
from labkit.cache.products import made, opened
from labkit.cache.proof import prove
from labkit.cache.serializers import MessagePack, Undecodable
from labkit.cache.sources.base import Write, applies
from labkit.cache.sources.limited import Overloaded
from labkit.cache.steps import Ask, Finish
from labkit.cache.strategies.base import C, K, V
from labkit.cache.strategies.reading import ReadThrough

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from labkit.cache.aio import AsyncCache
    from labkit.cache.backends.base import PutAside, Queue
    from labkit.cache.behind import Applied, Measure, Waiting
    from labkit.cache.cache import Cache
    from labkit.cache.engine import Call
    from labkit.cache.steps import Steps

_NAMES = MessagePack()  # what it writes of a key is read again by whoever applies the write
_BACKOFF = Backoff()
_AWAY = (OSError, Overloaded, Unavailable)  # OSError is ConnectionError and TimeoutError as well


class WriteBehind(ReadThrough[C, K, V]):
    """A write is acknowledged as soon as it stands in Redis, and reaches the source a moment later.

    It suits what is written far more often than it needs to be in the database: of many writes of a
    key the latest alone is applied, and many keys together. One script puts the write into a queue
    and its value into the cache, so that both are there or neither. Workers carry the queue to the
    source: see `worker`, `work`, `drain` and `apply_some`. What holds:

    | Question | Answer |
    | --- | --- |
    | A reader after `save` has returned | sees that value or a later one, wherever it is read |
    | One whose value expired, was evicted or dropped | the same: a load asks the queue first |
    | A memory tier of another process | a moment behind, as with all changes |
    | One who reads the source itself | sees it later, by the lag; see `state` |
    | Order | the writes of a key are applied in the order in which they were acknowledged |
    | `save` raises `QueueFull` | nothing was written |
    | `save` raises `Unavailable` | not acknowledged; if the answer was lost, written all the same |
    | The line breaks while `save` waits | sent once more: it may be written twice, in that order |
    | A worker is killed, at any point | nothing is lost; another goes on, after its lease |
    | A worker stands still and comes back | nothing, with `apply`; without see below |
    | The application is killed | nothing that was acknowledged is lost |
    | Redis is killed, its AOF synced `always` | nothing that was acknowledged is lost |
    | The same, synced `everysec` | about the last second, in cache and queue alike |
    | The same, without AOF, or a failover | what its snapshot or its replica has not got |
    | Somebody empties Redis | all that waits; drain first |
    | The source is away | writes wait, and are tried for ever; see `depth` |
    | A value is in no tier, and Redis away | `get` raises `Unavailable`; the source may be behind |
    | The source refuses a write | after `attempts` it is put aside, and the source's value counts |

    A source with `apply` (see `sources.base.Applies`) gets whole batches with versions, by which it
    ignores what comes twice or late. One without gets `save` and `delete`, one after another, which
    may come twice; and where a worker stands still within such a call, longer than its lease while
    another one goes on, it can put an older value back. Versions begin with the server's time, so
    the clock of one that has lost its queue must not be set back.

    Write what has such a strategy through it alone, and invalidate what is changed in the source
    itself. All processes use the same name and as many buckets; drain before you change those.

    Args:
        cache: Where values are kept; its last tier is a `RedisTier`, whose server evicts no keys
            that have no time to live.
        source: Where they come from and go.
        name: As in `Strategy`; also that of the queue.
        type: As in `Strategy`.
        tags: As in `Strategy`.
        depth: How many writes may wait; a cluster's buckets have equal shares of it.
        wait: How long a write waits for room at most.
        batch: How many writes a worker reads at a time, 5,000 at most.
        attempts: How often a write is tried that the source refuses.
        retry_on: What the source raises when it is away. All writes wait then, and nothing is put
            aside. Default: OSError, of which ConnectionError and TimeoutError are kinds,
            `Overloaded` and `Unavailable`. Name what else your driver raises, such as SQLAlchemy's
            OperationalError: what is not named is taken for a refusal.
        backoff: How long to wait between tries.
        ownership: For how long a worker that says nothing keeps what it works on. It should be
            longer than the source takes for a batch.
        clock: Tells workers the time in seconds.
        **keeping: `known`, and how values are kept; see `Strategy`.

    Raises:
        TypeError: The cache's last tier has no queues.
        ValueError: A number makes no sense.
    """

    def __init__(
        self,
        cache: C,
        source: Any,
        *,
        name: str,
        type: Any = Any,  # noqa: A002 - it is one
        tags: Sequence[str] | Callable[[K], Sequence[str]] = (),
        depth: int = 10_000,
        wait: float | str = "1s",
        batch: int = 500,
        attempts: int = 5,
        retry_on: Sequence[type[Exception]] = _AWAY,
        backoff: Backoff = _BACKOFF,
        ownership: float | str = "10s",
        clock: Callable[[], float] = time.monotonic,
        **keeping: Any,
    ) -> None:
        super().__init__(cache, source, name=name, type=type, tags=tags, **keeping)
        for what, number, most in (
            ("depth", depth, math.inf),
            ("batch", batch, 5_000),
            ("attempts", attempts, math.inf),
        ):
            if not 1 <= number <= most:
                raise ValueError(f"{what} is {number!r}; expected a number from 1 up to {most:,}")
        authority = self._engine.authority
        if authority is None or not hasattr(authority.store, "queue"):
            raise TypeError(
                f"{cache!r} has no place where writes can wait; give it a RedisTier as its last "
                "tier, or use WriteThrough"
            )
        self._queue: Queue = authority.store.queue(name, depth)
        patience = seconds("wait", wait, zero=True)
        self._inbox = Inbox(
            self._queue, name, depth, math.inf if patience is None else patience, authority._pause
        )
        lease = seconds("ownership", ownership)
        if lease is None:
            raise ValueError(
                "ownership is None; expected a time, after which another worker goes on"
            )
        self._crew = Crew(
            Applying(
                queue=self._queue,
                source=self._asked,
                together=applies(source),
                opened=self._opened,
                dropped=self._drop_nearer,
                token=secrets.token_bytes(12),
                lease=lease,
                batch=batch,
                attempts=attempts,
                retry_on=tuple(retry_on),
                backoff=backoff,
                clock=clock,
            )
        )

    # --- Writing

    @overload  # type: ignore[override]
    def save(self: WriteBehind[Cache, K, V], key: K, value: V) -> int: ...
    @overload
    def save(self: WriteBehind[AsyncCache, K, V], key: K, value: V) -> Awaitable[int]: ...
    def save(self, key: K, value: V) -> Any:
        """Acknowledge a write: once this has returned, it is read, and will be applied.

        Returns:
            Its version, above that of every earlier write of the key.

        Raises:
            QueueFull: There was no room in time. Nothing was written.
            Unavailable: Redis did not answer. Nothing is acknowledged; where it was the answer that
                was lost, the write is carried out all the same.
            Refused: Redis answered, but would not: it is full, or may evict what waits.
            Unserializable: The value, or the key, cannot be stored faithfully.
            ValueError: The value is None, which stands for a deletion.
        """
        if value is None:
            raise ValueError(f"the value of {key!r} is None, which is what has none; use delete()")
        return self._run(self._counted(self._write("save", key, value)))

    @overload  # type: ignore[override]
    def delete(self: WriteBehind[Cache, K, V], key: K) -> int: ...
    @overload
    def delete(self: WriteBehind[AsyncCache, K, V], key: K) -> Awaitable[int]: ...
    def delete(self, key: K) -> Any:
        """Acknowledge a deletion, as `save` does a write; answers its version."""
        return self._run(self._counted(self._write("delete", key)))

    def _write(self, method: str, key: K, *value: V) -> Steps[int]:
        call = self._call(key)
        kept = value[0] if value else None
        product = made(kept, self._options, self._engine.now(), key=call.key)
        payload = product.payload
        write = Queued(call.key, prove(_NAMES, key), 0, payload if value else None)
        try:
            version = yield from self._inbox.push(write, payload, product.ttl, call.tags)
        except GeneratorExit:
            raise
        except BaseException:
            yield from self._drop_nearer(call.key)
            raise
        yield from self._drop_nearer(call.key)
        if value and self._known is not None:
            yield Ask(self._known, "add", ([text_of(key)],), {})
        return version

    def _drop_nearer(self, key: str) -> Steps[None]:
        """Drop what the tiers before the last have of a key, and what is on its way there.

        This comes before `save` returns. What is written later than an answer was waited for drops
        it again, since the queue tells of a write everyone who listens, this process too.
        """
        for guard in self._engine.stores[:-1]:
            yield from guard.tell("delete", [key])
        self._engine.drop_keys([key])

    # --- Reading: never what is older than a waiting write
    #
    # The queue is asked first, the source second. What the queue has not got any more was applied
    # before it was asked, so that the source has it, or was put aside. And what comes into the
    # queue after it was asked ends the claim of the load, whose value is then not kept.

    def _call(self, key: K) -> Call:
        call = super()._call(key)
        call.loader = lambda: self._run(self._newest(call.key, key))
        return call

    def _newest(self, text: str, key: K) -> Steps[V | None]:
        """The value of a key as it stands in the queue, else in the source."""
        waiting = yield from self._inbox.latest([text])
        if text in waiting:
            return self._value_of(waiting[text])
        value: V | None = yield Ask(self._asked, "load", (key,), {})
        return value

    def _load_many(self, named: Mapping[str, K], texts: list[str]) -> Any:
        return self._run(self._newest_of(named, texts))

    def _newest_of(self, named: Mapping[str, K], texts: list[str]) -> Steps[dict[str, V | None]]:
        waiting = yield from self._inbox.latest(texts)
        found: dict[str, V | None] = dict.fromkeys(texts)
        found |= {text: self._value_of(write) for text, write in waiting.items()}
        if keys := [named[text] for text in texts if text not in waiting]:
            loaded: Mapping[K, V] = yield Ask(self._asked, "load_many", (keys,), {})
            found |= {text: loaded.get(named[text]) for text in texts if text not in waiting}
        return found

    def _current(self, keys: list[K]) -> Steps[Mapping[K, V]]:
        named = {self.key(key): key for key in keys}
        found = yield from self._newest_of(named, list(named))
        return {named[text]: value for text, value in found.items() if value is not None}

    # --- Applying

    @overload
    def apply_some(self: WriteBehind[Cache, K, V]) -> Applied: ...
    @overload
    def apply_some(self: WriteBehind[AsyncCache, K, V]) -> Awaitable[Applied]: ...
    def apply_some(self) -> Any:
        """Apply the first `batch` of the waiting writes, and tell what happened to them.

        In a cluster those of each bucket. What another worker owns is left to it; what is owned now
        stays so for `ownership`, or until `drain` gives it back.

        Raises:
            Unavailable: Redis did not answer. What was applied may be applied again.
        """
        return self._run(self._crew.round())

    @overload
    def drain(self: WriteBehind[Cache, K, V], seconds: float | str | None = None) -> bool: ...
    @overload
    def drain(
        self: WriteBehind[AsyncCache, K, V], seconds: float | str | None = None
    ) -> Awaitable[bool]: ...
    def drain(self, seconds: float | str | None = None) -> Any:
        """Apply what waits until nothing does, for so long at most; None: for as long as it takes.

        Returns:
            Whether nothing waits any more.

        Raises:
            Unavailable: Redis did not answer.
        """
        return self._run(self._crew.drain(_endless(seconds)))

    def worker(self, drain: float | str | None = "10s") -> Worker:
        """Apply writes in the background: `with` in a thread, for an AsyncCache `async with`.

        Args:
            drain: How long the end of the block may take to apply what waits.
        """
        return Worker(self._crew, self._awaited, _endless(drain))

    @overload
    def work(
        self: WriteBehind[Cache, K, V],
        until: Callable[[], bool],
        drain: float | str | None = "10s",
    ) -> None: ...
    @overload
    def work(
        self: WriteBehind[AsyncCache, K, V],
        until: Callable[[], bool],
        drain: float | str | None = "10s",
    ) -> Awaitable[None]: ...
    def work(self, until: Callable[[], bool], drain: float | str | None = "10s") -> Any:
        """Apply writes as they come, for a process that does nothing else.

        Args:
            until: Says whether to end; asked a few times a second.
            drain: How long the end may take to apply what waits.

        Example:
            ended = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: ended.set())
            drafts.work(ended.is_set)
        """
        return self._run(self._crew.work(until, _endless(drain)))

    # --- What was put aside

    @overload
    def aside(self: WriteBehind[Cache, K, V], most: int = 1000) -> list[Aside]: ...
    @overload
    def aside(self: WriteBehind[AsyncCache, K, V], most: int = 1000) -> Awaitable[list[Aside]]: ...
    def aside(self, most: int = 1000) -> Any:
        """The writes that were put aside, oldest first, so many at most."""
        return self._run(self._aside(most))

    def _aside(self, most: int) -> Steps[list[Aside]]:
        found: list[PutAside] = yield Ask(self._queue, "aside", (most,), {})
        return [self._told(each) for each in found]

    @overload
    def again(self: WriteBehind[Cache, K, V], ids: Iterable[str]) -> list[str]: ...
    @overload
    def again(self: WriteBehind[AsyncCache, K, V], ids: Iterable[str]) -> Awaitable[list[str]]: ...
    def again(self, ids: Iterable[str]) -> Any:
        """Let writes that were put aside wait again, as if they were saved now, room or not.

        Returns:
            Which. The others are superseded: their keys were written since, and to put them back
            would undo that. What is to count all the same can be saved.
        """
        return self._run(self._again(list(ids)))

    def _again(self, ids: list[str]) -> Steps[list[str]]:
        """Let them wait again, and nothing older be read from this process's memory."""
        done: dict[str, str] = yield Finish(self._queue, "again", (ids,), {})
        for text in done.values():
            yield from self._drop_nearer(text)
        return list(done)

    @overload
    def forget(self: WriteBehind[Cache, K, V], ids: Iterable[str]) -> int: ...
    @overload
    def forget(self: WriteBehind[AsyncCache, K, V], ids: Iterable[str]) -> Awaitable[int]: ...
    def forget(self, ids: Iterable[str]) -> Any:
        """Drop writes that were put aside; answers how many."""
        return self._run(self._forget(list(ids)))

    def _forget(self, ids: list[str]) -> Steps[int]:
        gone: int = yield Finish(self._queue, "forget", (ids,), {})
        return gone

    # --- How it is

    @overload
    def state(self: WriteBehind[Cache, K, V]) -> Waiting: ...
    @overload
    def state(self: WriteBehind[AsyncCache, K, V]) -> Awaitable[Waiting]: ...
    def state(self) -> Any:
        """How many writes wait, for how long, and what this process has done about it."""
        return self._run(self._crew.state())

    @overload
    def collect(self: WriteBehind[Cache, K, V]) -> list[Measure]: ...
    @overload
    def collect(self: WriteBehind[AsyncCache, K, V]) -> Awaitable[list[Measure]]: ...
    def collect(self) -> Any:
        """The same as numbers for a monitoring system."""
        return self._run(self._collect())

    def _collect(self) -> Steps[list[Measure]]:
        state = yield from self._crew.state()
        return state.measures()

    # --- Words

    def _opened(self, write: Queued) -> Write[K, V]:
        """A waiting write as the source gets it."""
        value = None if write.payload is None else self._value_of(write)
        return Write(_NAMES.loads(write.name), value, write.version)

    def _value_of(self, write: Queued) -> V | None:
        if write.payload is None:
            return None
        product = opened(Found(write.payload), self._options, self._engine.now())
        if product is None:
            raise Undecodable(f"the waiting write of {write.key!r} was made by something else")
        return product.value  # type: ignore[no-any-return]

    def _told(self, found: PutAside) -> Aside:
        try:
            value: Any = self._value_of(found.write)
        except Undecodable:
            value = MISSING
        key, version = _NAMES.loads(found.write.name), found.write.version
        return Aside(found.id, key, value, version, found.reason, found.at, found.superseded)


def _endless(time: float | str | None) -> float:
    found = seconds("drain", time, zero=True)
    return math.inf if found is None else found
