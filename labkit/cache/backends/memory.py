"""Values in this process: objects as they are, bounded, and read without a lock."""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from labkit.cache.eviction import Entry, Ttl, policy_of
from labkit.cache.options import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labkit.cache.eviction import Policy
    from labkit.cache.eviction.base import Alias
    from labkit.cache.freshness import Freshness

__all__ = ["Entry", "MemoryTier", "estimate"]

_OVERHEAD = 400  # of an entry: itself, its places in dictionaries and queues, and a key
_SAMPLE = 64
_SWEEP = 8


def estimate(value: Any) -> int:
    """About how many bytes a value takes in memory, with what the tier needs to keep it.

    It looks one level deep into dictionaries, lists, tuples, sets and plain objects, at no more
    than 64 items of each, and takes the others to be alike. Deeper nesting is not seen.
    """
    size = _OVERHEAD + sys.getsizeof(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return size + _items(value, len(value))
    if not isinstance(value, dict):
        attributes = getattr(value, "__dict__", None)
        if not isinstance(attributes, dict):
            return size
        size += sys.getsizeof(attributes)
        value = attributes
    return size + _items(value, len(value)) + _items(value.values(), len(value))


def _items(items: Iterable[Any], count: int) -> int:
    sizes = [sys.getsizeof(item) for item in itertools.islice(items, _SAMPLE)]
    return sum(sizes) * count // len(sizes) if sizes else 0


class MemoryTier:
    """Keeps objects in this process, within a bound of entries, of bytes, or of both.

    A reader takes no lock: a hit is one look into a dictionary. (With the policies "lru" and "lfu"
    a hit changes an order, and takes it.) Every change holds `lock`.

    A value whose time is over is never found. It is taken out when others are put, a few each time,
    and goes before any live one where room is needed.

    Args:
        maxsize: The most entries; None for no such bound.
        max_bytes: The most bytes, as `sizeof` counts them; None for no such bound.
        policy: Which entry goes when there is no room: a name in `labkit.cache.eviction.POLICIES`,
            or a `Policy` of your own.
        ttl: For how long a value stays at most; then it comes from the tier behind. None: as long
            as it lives.
        clock: Answers the time in seconds.
        sizeof: Answers the size of a value. Default: `estimate`, and only with `max_bytes`: without
            it nothing is measured.

    Attributes:
        lock: Held by every change. Read it anew each time: a forked child may have another.
        marks: Whether `entry.visited = True` is all that a hit on an entry has to do; where it is
            False, it calls `touch` too.
        bytes: The sum of the sizes.
        measured: Whether sizes are measured at all.
        evictions: How many live values had to go for others.
        expirations: How many values left after their time was over.

    Raises:
        ValueError: A bound is below 1, or there is no such policy.
    """

    def __init__(
        self,
        maxsize: int | None = 10_000,
        *,
        max_bytes: int | None = None,
        policy: str | Policy | type[Policy] = "sieve",
        ttl: float | str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sizeof: Callable[[Any], int] | None = None,
    ) -> None:
        self.maxsize = maxsize
        self.ttl = seconds("ttl", ttl)
        self.max_bytes = max_bytes
        self.clock = clock
        self.lock = threading.RLock()
        self.bytes = self.evictions = self.expirations = 0
        self._most = _bound("maxsize", maxsize)
        self._most_bytes = _bound("max_bytes", max_bytes)
        self._sizeof = estimate if sizeof is None and max_bytes is not None else sizeof
        self._entries: dict[str, Entry] = {}
        self._get = self._entries.get
        self._tagged: dict[str, set[str]] = {}
        self._policy = policy_of(policy)
        self._deadlines = self._policy if isinstance(self._policy, Ttl) else Ttl()
        self.marks = self._policy.marks
        self.measured = self._sizeof is not None
        _tiers.add(self)

    def another(self) -> MemoryTier:
        """An empty tier with the same bounds, policy and clock."""
        return MemoryTier(
            self.maxsize,
            max_bytes=self.max_bytes,
            policy=type(self._policy),
            ttl=self.ttl,
            clock=self.clock,
            sizeof=self._sizeof,
        )

    def find(self, key: str) -> Entry | None:
        """The live entry of a key, marked as used; None where there is none."""
        entry = self._get(key)
        if entry is None:
            return None
        if entry.deadline <= self.clock():
            # An entry that leaves is out of the dictionary first: a newer one may stand there.
            return self.find(key) if entry.deadline == -math.inf else None
        entry.visited = True
        if not self.marks:
            self.touch(entry)
        return entry

    def peek(self, key: str) -> Entry | None:
        """The live entry of a key, without counting as a use."""
        entry = self._get(key)
        if entry is None or entry.deadline > self.clock():
            return entry
        return self.peek(key) if entry.deadline == -math.inf else None

    def touch(self, entry: Entry) -> None:
        """Count a hit on an entry that was found elsewhere, such as in an alias."""
        with self.lock:
            if entry.deadline > -math.inf:
                self._policy.touch(entry)

    def alias(self, entry: Entry, table: dict[Any, Entry], name: Any) -> None:
        """Let an entry stand in a dictionary too, as long as it is in the tier.

        It can stand in one; a second call has no effect, nor has one for an entry that has left.
        """
        with self.lock:
            if entry.alias is None and entry.deadline > -math.inf:
                entry.alias = table, name
                table[name] = entry

    def put(
        self,
        key: str,
        value: Any,
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
        open: Callable[[Any], Any] | None = None,  # noqa: A002 - named as the entry's attribute
        size: int | None = None,
        alias: Alias | None = None,
        freshness: Freshness | None = None,
        sure: float = math.inf,
    ) -> Entry | None:
        """Keep a value, in place of the one that the key had.

        Args:
            key: The key.
            value: The value.
            ttl: Seconds that it lives; None for ever.
            tags: The tags that `drop_tags` finds it by.
            open: A function that turns the value into what a caller gets.
            size: Its size, where the caller knows it.
            alias: A dictionary and a key: the entry stands there as long as it is in the tier.
            freshness: How old it is, where that matters.
            sure: The clock's time up to which a hit needs no look at its age.

        Returns:
            The entry. None where it is not kept, because it is larger than the whole bound or its
            time to live is not above 0; the key then has no value.
        """
        if size is None:
            size = 0 if self._sizeof is None else self._sizeof(value)
        if size < 0:
            raise ValueError(f"the size of {key!r} is {size}; expected 0 or more")
        entry = Entry(key, value, math.inf, open, tuple(tags), size, alias, freshness)
        entry.sure = sure
        with self.lock:
            now = self.clock()
            if self.ttl is not None:
                ttl = self.ttl if ttl is None else min(ttl, self.ttl)
            if ttl is not None:
                entry.end(now + ttl)
            self._sweep(now)
            if entry.deadline > now and size <= self._most_bytes:
                self._place(entry, self._make_room(key, size, now), now)
                return entry
            old = self._get(key)
            if old is not None:
                self._take_out(old, now)
            return None

    def extend(self, key: str, ttl: float | None) -> bool:
        """Let a live value expire `ttl` seconds from now, None for never; False where none is.

        A time to live that is not above 0 takes it out, and answers False.
        """
        with self.lock:
            now = self.clock()
            entry = self._get(key)
            if entry is None or entry.deadline <= now:
                return False
            deadline = math.inf if ttl is None else now + ttl
            if not deadline > now:
                self._take_out(entry, now)
                return False
            entry.deadline = entry.sure = deadline
            self._schedule(entry)
            return True

    def delete(self, key: str) -> bool:
        """Take out a value; whether there was a live one."""
        return self._delete([key]) == 1

    def drop_tags(self, tags: Iterable[str]) -> int:
        """Take out every value with one of the tags; answers how many live ones there were."""
        with self.lock:
            return self._delete({key for tag in tags for key in self._tagged.get(tag, ())})

    def tagged(self, tags: Iterable[str]) -> list[str]:
        """The keys of the live values that carry one of the tags."""
        with self.lock:
            now = self.clock()
            keys = {key for tag in tags for key in self._tagged.get(tag, ())}
            return [key for key in keys if self._entries[key].deadline > now]

    def delete_prefix(self, prefix: str) -> int:
        """Take out every value whose key starts so; answers how many live ones there were.

        Its cost grows with the number of entries.
        """
        with self.lock:
            return self._delete([key for key in self._entries if key.startswith(prefix)])

    def clear(self) -> int:
        """Take out everything; answers how many live values there were."""
        with self.lock:
            return self._delete(list(self._entries))

    def keep_at_most(self, seconds: float) -> None:
        """Let no value that is here now live longer than that from now."""
        with self.lock:
            latest = self.clock() + seconds
            for entry in self._entries.values():
                if entry.deadline > latest:
                    entry.end(latest)
                    self._schedule(entry)

    def purge(self) -> int:
        """Take out what has expired; answers how many there were."""
        with self.lock:
            return self._sweep(self.clock(), len(self._entries))

    def keys(self) -> list[str]:
        """The keys that have a live value, at this moment."""
        with self.lock:
            now = self.clock()
            return [key for key, entry in self._entries.items() if entry.deadline > now]

    def __len__(self) -> int:
        """How many entries there are, with those that expired and are not taken out yet."""
        return len(self._entries)

    def _sweep(self, now: float, most: int = _SWEEP) -> int:
        """Take out expired entries, at most so many; answers how many."""
        count = 0
        while count < most and (entry := self._deadlines.expired(now)) is not None:
            self._take_out(entry, now)
            count += 1
        return count

    def _make_room(self, key: str, size: int, now: float) -> Entry | None:
        """Take out entries until a value of that size fits; answers the one that it replaces."""
        while True:
            old = self._get(key)
            if old is None:
                fits = len(self._entries) < self._most and self.bytes + size <= self._most_bytes
            else:
                fits = self.bytes - old.size + size <= self._most_bytes
            if fits:
                return old
            entry = self._deadlines.expired(now)
            if entry is None:
                entry = self._policy.victim()
                self.evictions += 1
            self._take_out(entry, now)

    def _place(self, entry: Entry, old: Entry | None, now: float) -> None:
        """Put in an entry, in place of `old`; there is room."""
        if old is None:
            self._entries[entry.key] = entry
            self._policy.add(entry)
        else:
            self.expirations += old.deadline <= now
            if old.alias is not None:
                _leave(old, *old.alias)
            self._entries[entry.key] = entry
            self._policy.replace(old, entry)
            self._retire(old)
        if entry.deadline < math.inf and entry.timer is None:
            self._deadlines.add(entry)
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(entry.key)
        self.bytes += entry.size
        if entry.alias is not None:
            table, name = entry.alias
            table[name] = entry

    def _schedule(self, entry: Entry) -> None:
        """Note the new deadline of an entry."""
        if entry.deadline < math.inf or self._deadlines is self._policy:
            self._deadlines.add(entry)
        else:
            self._deadlines.remove(entry)

    def _delete(self, keys: Iterable[str]) -> int:
        """Take out the values of keys; answers how many live ones there were."""
        with self.lock:
            now = self.clock()
            found = [entry for key in keys if (entry := self._get(key)) is not None]
            return sum(self._take_out(entry, now) for entry in found)

    def _take_out(self, entry: Entry, now: float) -> bool:
        """Take out an entry; whether it was live."""
        live = entry.deadline > now
        self.expirations += not live
        # Readers see this order: what they find dead is no longer in the dictionary.
        if entry.alias is not None:
            _leave(entry, *entry.alias)
        del self._entries[entry.key]
        self._policy.remove(entry)
        self._retire(entry)
        return live

    def _retire(self, entry: Entry) -> None:
        """End an entry that is out of the dictionary, or replaced there."""
        entry.end(-math.inf)
        if entry.timer is not None:
            self._deadlines.remove(entry)
        self.bytes -= entry.size
        for tag in entry.tags:
            keys = self._tagged.get(tag)
            if keys is not None:
                keys.discard(entry.key)
                if not keys:
                    del self._tagged[tag]

    def _after_fork(self) -> None:
        """In a child: start anew where a thread that stayed behind was changing something."""
        if self.lock.acquire(blocking=False):
            self.lock.release()
            return
        self.lock = threading.RLock()
        for entry in self._entries.values():
            if entry.alias is not None:
                _leave(entry, *entry.alias)
            entry.end(-math.inf)
        self._entries.clear()
        self._tagged.clear()
        self._policy.clear()
        self._deadlines.clear()
        self.bytes = 0


def _bound(name: str, bound: int | None) -> float:
    """A bound as a number."""
    if bound is None:
        return math.inf
    if isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
        raise ValueError(
            f"{name} is {bound!r}; expected a whole number above 0, or None for no bound"
        )
    return bound


def _leave(entry: Entry, table: dict[Any, Entry], name: Any) -> None:
    """Take the entry out of its second dictionary, unless another one has its place there."""
    if table.get(name) is entry:
        del table[name]


_tiers: weakref.WeakSet[MemoryTier] = weakref.WeakSet()


def _after_fork() -> None:
    for tier in list(_tiers):
        tier._after_fork()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork)
