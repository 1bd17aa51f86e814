"""A tier in a dictionary: how small a backend can be that keeps the whole contract.

Everything happens under one lock, so that a fence is simple: whatever makes a load worthless takes
its lease away, and a load without a lease is not kept.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from labkit.cache.backends.base import Busy, Claim, Found

TTL = float | None
Words = Sequence[str]


class Value(NamedTuple):
    payload: bytes
    tags: tuple[str, ...]
    until: float


class DictTier:
    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._stores: dict[str, DictStore] = defaultdict(lambda: DictStore(clock))

    def open(self, namespace: str) -> DictStore:
        return self._stores[namespace]


class DictStore:
    blocking = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._values: dict[str, Value] = {}
        self._leases: dict[str, tuple[Claim, float]] = {}
        self._lock = threading.Condition()

    def get(self, key: str, tags: Words = (), *, ttl: bool = False) -> Found | None:
        value = self._values.get(key)
        if not value or (left := value.until - self._clock()) <= 0:
            return None
        return Found(value.payload, left if ttl and left < math.inf else None, value.tags)

    def get_many(self, keys: Words, *, ttl: bool = False) -> list[Found | None]:
        return [self.get(key, ttl=ttl) for key in keys]

    def set(self, key: str, payload: bytes, ttl: TTL = None, tags: Words = ()) -> None:
        with self._lock:
            self.delete([key])
            self._values[key] = Value(payload, tuple(tags), self._until(ttl))

    def set_many(
        self, items: Sequence[tuple[str, bytes]], ttls: Sequence[TTL], tags: Words = ()
    ) -> None:
        for (key, payload), ttl in zip(items, ttls, strict=True):
            self.set(key, payload, ttl, tags)

    def expire(self, key: str, ttl: float) -> bool:
        with self._lock:
            if found := self.get(key):
                self._values[key] = self._values[key]._replace(until=self._until(ttl))
            return found is not None

    def delete(self, keys: Iterable[str]) -> int:
        with self._lock:
            gone = 0
            for key in keys:
                gone += self.get(key) is not None
                self._values.pop(key, None)
                self._leases.pop(key, None)
            self._lock.notify_all()
            return gone

    def drop_tags(self, tags: Words) -> None:
        dropped = set(tags)
        with self._lock:
            for key, value in list(self._values.items()):
                if not dropped.isdisjoint(value.tags):
                    del self._values[key]
            for key, (claim, _) in list(self._leases.items()):
                if not dropped.isdisjoint(claim.tags):
                    del self._leases[key]
            self._lock.notify_all()

    def delete_prefix(self, prefix: str) -> int:
        with self._lock:
            return self.delete([k for k in {*self._values, *self._leases} if k.startswith(prefix)])

    def clear(self) -> None:
        self.delete_prefix("")

    def claim(
        self,
        key: str,
        tags: Words = (),
        *,
        lease: float,
        force: bool = False,
        over: bool = False,
        write: bool = False,
    ) -> Claim | Busy | Found:
        with self._lock:
            if not (force or over or write) and (found := self.get(key, ttl=True)):
                return found
            holder, left = self._lease(key)
            if holder and not (force and holder.proof != "write"):
                return Busy(left)
            if write:
                self._values.pop(key, None)
            token = secrets.token_bytes(16)
            claim = Claim(key, tuple(tags), token, "write" if write else None)
            self._leases[key] = (claim, self._until(lease))
            return claim

    def fill(self, claim: Claim, payload: bytes, ttl: TTL = None) -> bool:
        with self._lock:
            if kept := self._lease(claim.key)[0] == claim:
                self.set(claim.key, payload, ttl, claim.tags)
            return kept

    def claim_many(
        self, keys: Words, tags: Words = (), *, lease: float, over: bool = False
    ) -> list[Claim | Busy | Found]:
        return [self.claim(key, tags, lease=lease, over=over) for key in keys]

    def fill_many(self, fills: Sequence[tuple[Claim, bytes, TTL]]) -> list[bool]:
        return [self.fill(*fill) for fill in fills]

    def release(self, claim: Claim) -> None:
        with self._lock:
            if self._lease(claim.key)[0] == claim:
                del self._leases[claim.key]
                self._lock.notify_all()

    def wait(self, key: str, seconds: float) -> None:
        with self._lock:
            claim, left = self._lease(key)
            self._lock.wait_for(lambda: self._lease(key)[0] != claim, min(left, seconds))

    def close(self) -> None:
        pass

    def _until(self, ttl: TTL) -> float:
        return math.inf if ttl is None else self._clock() + ttl

    def _lease(self, key: str) -> tuple[Claim | None, float]:
        """Who loads a key, and for how many seconds more at most."""
        claim, until = self._leases.get(key, (None, 0))
        return (claim, until - self._clock()) if until > self._clock() else (None, 0)
