"""Hot keys in several copies, so that the load of one key spreads over the nodes of a cluster.

A key lies in one hash slot, and its slot on one node: however many nodes there are, one of them
answers everybody who asks for the front page. Here such a key is read from one of several copies,
`key#1`, `key#2` and so on, drawn at random; their names put them into other slots. They lie in a
namespace of their own beside the one of the values, `<namespace>#copies`.

The value under the key itself, the primary, is the truth. Claims, fills and changes go to it, and a
copy that is missing is made of it, under a claim: the claim is taken before the primary is read.
Whoever changes the primary deletes the copies afterwards, and with them such claims. In the other
order a reader could make a copy of the old value between the two, which nobody would delete.
"""

from __future__ import annotations

import inspect
import random
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from labkit.cache.backends.base import Claim, Found
from labkit.cache.steps import Ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from labkit.cache.backends.base import Feed, Listener, Tier
    from labkit.cache.steps import Steps

T = TypeVar("T")

_LEASE = 5.0  # seconds for reading the primary; whoever comes meanwhile reads it too


class SplitTier:
    """Reads hot keys of another tier from copies.

    Every process that uses the namespace has to take the same keys for hot, all the time: one that
    does not would change a value and leave its copies. A copy is one more value in the store; what
    copies are made for is read far more often than it is written, since each write deletes them.

    Args:
        tier: The other tier.
        copies: How many copies a hot key has.
        hot: The hot keys, or a function that says whether a key is one. A key has the name that
            it has in the cache, without the namespace.

    Raises:
        TypeError: `hot` is neither a collection of keys nor a function.
        ValueError: `copies` is below 1.
    """

    def __init__(
        self, tier: Tier, copies: int = 8, *, hot: Collection[str] | Callable[[str], bool]
    ) -> None:
        if copies < 1:
            raise ValueError(f"copies is {copies!r}; expected a number of copies, 1 or more")
        if isinstance(hot, str) or not (callable(hot) or hasattr(hot, "__contains__")):
            raise TypeError(
                f"hot is {hot!r}; expected a collection of keys, such as {{'front'}}, or a "
                "function that says whether a key is hot"
            )
        self.tier = tier
        self._copies = copies
        self._hot = hot if callable(hot) else frozenset(hot).__contains__

    def open(self, namespace: str) -> SplitStore:
        """A store for the values of one namespace."""
        values, copies = self.tier.open(namespace), self.tier.open(f"{namespace}#copies")
        kind = ToldSplitStore if hasattr(values, "listen") else SplitStore
        return kind(values, copies, self._copies, self._hot)

    def __repr__(self) -> str:
        return f"<SplitTier of {self.tier!r} with {self._copies} copies>"


class SplitStore:
    """The values of one namespace; the methods are described in `backends.base.Store`.

    They return awaitables where those of the other tier's store do.
    """

    def __init__(self, values: Any, copies: Any, count: int, hot: Callable[[str], bool]) -> None:
        self._values = values
        self._copies = copies
        self._count = count
        self._hot = hot
        self.blocking = values.blocking
        if hasattr(values, "look"):  # at the primary, of which copies are made
            self.look = values.look

    # --- Reading

    def get(self, key: str, tags: Sequence[str] = (), *, ttl: bool = False) -> Any:
        """The value of a key, or None."""
        if not self._hot(key):
            return self._values.get(key, tags, ttl=ttl)
        return _carried_out(self._get(key, tags, ttl))

    def _get(self, key: str, tags: Sequence[str], ttl: bool) -> Steps[Found | None]:
        copy = self._drawn(key)
        found: Found | None = yield _ask(self._copies, "get", copy, tags, ttl=ttl)
        if found is None:
            found = (yield from self._copied({key: copy}, tags)).get(key)
        return _as_asked(found, ttl)

    def get_many(self, keys: Sequence[str], *, ttl: bool = False) -> Any:
        """The values of keys, in their order, None where there is none."""
        if not any(map(self._hot, keys)):
            return self._values.get_many(keys, ttl=ttl)
        return _carried_out(self._get_many(keys, ttl))

    def _get_many(self, keys: Sequence[str], ttl: bool) -> Steps[list[Found | None]]:
        wanted = {key: self._drawn(key) for key in keys if self._hot(key)}
        answers = yield _ask(self._copies, "get_many", list(wanted.values()), ttl=ttl)
        found = dict(zip(wanted, answers, strict=True))
        missing = {key: copy for key, copy in wanted.items() if found[key] is None}
        if missing:
            found.update((yield from self._copied(missing, ())))
        others = [key for key in dict.fromkeys(keys) if key not in wanted]
        if others:
            answers = yield _ask(self._values, "get_many", others, ttl=ttl)
            found.update(zip(others, answers, strict=True))
        return [_as_asked(found[key], ttl) for key in keys]

    def _copied(
        self, wanted: dict[str, str], tags: Sequence[str], again: bool = True
    ) -> Steps[dict[str, Found]]:
        """The values of keys from their primaries, which are copied on the way.

        Args:
            wanted: The keys, with the name of the copy that is missing.
            tags: The tags that the values probably carry.
            again: Whether to try once more with those that carry other tags. A claim fences a
                value by the tags that it was taken with, and they are known by then only.
        """
        copies = list(wanted.values())
        answers = yield _ask(self._copies, "claim_many", copies, tags, lease=_LEASE)
        claims = {answer.key: answer for answer in answers if isinstance(answer, Claim)}
        asked = time.monotonic()
        values = yield _ask(self._values, "get_many", list(wanted), ttl=True)
        late = time.monotonic() - asked
        found = {key: one for key, one in zip(wanted, values, strict=True) if one is not None}
        fills: list[tuple[Claim, bytes, float | None]] = []
        tagged: dict[tuple[str, ...], dict[str, str]] = {}  # what carries other tags
        for key, one in found.items():
            claim = claims.get(wanted[key])
            if claim is None:
                continue
            if tuple(one.tags) != tuple(tags):
                tagged.setdefault(tuple(one.tags), {})[key] = wanted[key]
            elif one.ttl is None or one.ttl > late:  # no copy lives longer than its value
                ttl = None if one.ttl is None else one.ttl - late
                fills.append((claims.pop(claim.key), one.payload, ttl))
        if fills:
            yield _ask(self._copies, "fill_many", fills)
        if claims:
            yield _ask(self._copies, "delete", list(claims))  # which ends them in one trip
        if again:
            for others, keys in tagged.items():
                newer = yield from self._copied(keys, others, again=False)
                found = {key: one for key, one in found.items() if key not in keys} | newer
        return found

    # --- Writing: the primary first, then the copies

    def set(
        self, key: str, payload: bytes, ttl: float | None = None, tags: Sequence[str] = ()
    ) -> Any:
        """Store a value; loads of the key that are under way will not be kept."""
        return self._changing([key], "set", key, payload, ttl, tags)

    def set_many(
        self,
        items: Sequence[tuple[str, bytes]],
        ttls: Sequence[float | None],
        tags: Sequence[str] = (),
    ) -> Any:
        """Store several values, each as `set` does."""
        return self._changing([key for key, _ in items], "set_many", items, ttls, tags)

    def expire(self, key: str, ttl: float) -> Any:
        """Give a value a new time to live; False where there is none."""
        return self._changing([key], "expire", key, ttl)

    def delete(self, keys: Sequence[str]) -> Any:
        """Delete values and refuse the loads of them that are under way; answers how many."""
        return self._changing(keys, "delete", keys)

    def fill(self, claim: Claim, payload: bytes, ttl: float | None = None) -> Any:
        """Store what a claim loaded and end the claim; False where a fence refused it."""
        return self._changing([claim.key], "fill", claim, payload, ttl)

    def fill_many(self, fills: Sequence[tuple[Claim, bytes, float | None]]) -> Any:
        """Store what claims loaded, each as `fill` does."""
        return self._changing([claim.key for claim, _, _ in fills], "fill_many", fills)

    def _changing(self, keys: Iterable[str], method: str, *arguments: Any, **named: Any) -> Any:
        """Change primaries; the copies of hot ones are deleted afterwards."""
        numbers = range(1, self._count + 1)
        names = [f"{key}#{i}" for key in dict.fromkeys(keys) if self._hot(key) for i in numbers]
        if not names:
            return getattr(self._values, method)(*arguments, **named)
        return _carried_out(self._both(method, arguments, "delete", [names], named))

    def drop_tags(self, tags: Sequence[str]) -> Any:
        """Make every value with one of the tags unreadable, and refuse loads that carry one."""
        return _carried_out(self._both("drop_tags", [tags], "drop_tags", [tags]))

    def delete_prefix(self, prefix: str) -> Any:
        """Delete every value whose key starts so; refuse the loads under way; answers how many."""
        return _carried_out(self._both("delete_prefix", [prefix], "delete_prefix", [prefix]))

    def clear(self) -> Any:
        """Make every value of the namespace unreadable, and refuse the loads under way."""
        return _carried_out(self._both("clear", [], "clear", []))

    def close(self) -> Any:
        """Give back connections and files."""
        return _carried_out(self._both("close", [], "close", []))

    def _both(
        self,
        method: str,
        arguments: Sequence[Any],
        then: str,
        of_copies: Sequence[Any],
        named: Mapping[str, Any] | None = None,
    ) -> Steps[Any]:
        answer = yield _ask(self._values, method, *arguments, **(named or {}))
        yield _ask(self._copies, then, *of_copies)
        return answer

    # --- Loading: the primary alone

    def claim(self, key: str, tags: Sequence[str] = (), *, write: bool = False, **how: Any) -> Any:
        """Take the right to load a key for some seconds, or say why not."""
        if write:  # which drops the value
            return self._changing([key], "claim", key, tags, write=True, **how)
        return self._values.claim(key, tags, **how)

    def claim_many(self, keys: Sequence[str], tags: Sequence[str] = (), **how: Any) -> Any:
        """Take the right to load several keys, each as `claim` does."""
        return self._values.claim_many(keys, tags, **how)

    def release(self, claim: Claim) -> Any:
        """End a claim without a value."""
        return self._values.release(claim)

    def wait(self, key: str, seconds: float) -> Any:
        """Return when a claim of the key ends, or after `seconds`, or earlier."""
        return self._values.wait(key, seconds)

    def _drawn(self, key: str) -> str:
        return f"{key}#{random.randint(1, self._count)}"


class ToldSplitStore(SplitStore):
    """A store that tells what others change, as the other tier's does."""

    def listen(self, listener: Listener, bound: float) -> Feed:
        """Tell the changes that others make, to values and to copies.

        Between the change of a value and that of its copies a memory may have taken an old copy:
        it has to hear of both.
        """
        both = _Both(listener)
        of_copies = _Half(both, lambda copy: copy.rpartition("#")[0])
        both.feeds = [
            self._values.listen(_Half(both, lambda key: key), bound),
            self._copies.listen(of_copies, bound),
        ]
        return both


class _Both:
    """Two feeds as one, which is cut as long as one of them is."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.feeds: list[Feed] = []
        self._heard: set[_Half] = set()
        self._lock = threading.Lock()

    def cut(self, half: _Half, since: float) -> None:
        with self._lock:
            self._heard.discard(half)
        self.listener.cut(since)

    def restored(self, half: _Half) -> None:
        with self._lock:
            self._heard.add(half)
            complete = len(self._heard) == 2
        if complete:
            self.listener.restored()
            # Told without the lock, since whoever is told may close both.
            with self._lock:
                complete = len(self._heard) == 2
            if not complete:
                self.listener.cut(0.0)

    def close(self) -> None:
        """Stop."""
        for feed in self.feeds:
            feed.close()


class _Half:
    """What one of two feeds tells; a `Listener`."""

    def __init__(self, both: _Both, key_of: Callable[[str], str]) -> None:
        self._both = both
        self._key_of = key_of

    def changed(self, keys: Sequence[str]) -> None:
        """These keys, or copies, were set, filled or deleted."""
        self._both.listener.changed(list(dict.fromkeys(map(self._key_of, keys))))

    def dropped(self, tags: Sequence[str]) -> None:
        """These tags were dropped."""
        self._both.listener.dropped(tags)

    def prefix_deleted(self, prefix: str) -> None:
        """Every key that starts so was deleted."""
        self._both.listener.prefix_deleted(prefix)

    def cleared(self) -> None:
        """Everything may have changed."""
        self._both.listener.cleared()

    def cut(self, since: float) -> None:
        """Changes may go unheard from `since` seconds ago on."""
        self._both.cut(self, since)

    def restored(self) -> None:
        """Changes are heard again."""
        self._both.restored(self)


def _ask(store: Any, method: str, *arguments: Any, **named: Any) -> Ask:
    return Ask(store, method, arguments, named)


def _as_asked(found: Found | None, ttl: bool) -> Found | None:
    """A value with its time to live, where that was asked for."""
    if found is None or ttl or found.ttl is None:
        return found
    return Found(found.payload, None, found.tags)


def _carried_out(steps: Steps[T]) -> T | Awaitable[T]:
    """What an operation comes to; an awaitable, where the first answer of a store is one."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step.now()
            except BaseException as error:
                step = steps.throw(error)
                continue
            if inspect.isawaitable(answer):
                return _awaited(steps, answer)
            step = steps.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def _awaited(steps: Steps[T], pending: Any) -> T:
    try:
        while True:
            try:
                answer = await pending if inspect.isawaitable(pending) else pending
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
            pending = step.now()
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
