"""A time to live for a tier: values may stay for longer in the tiers behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.cache.backends.base import name_of
from labkit.cache.options import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.cache.backends.base import Claim, Tier


class CappedTier:
    """Another tier, in which no value stays for longer than a time; then it comes from the next.

    A `MemoryTier` takes such a time itself, as `ttl`. What `WriteBehind` has acknowledged keeps its
    own time.

    Args:
        tier: The other tier.
        ttl: For how long a value stays at most.

    Raises:
        ValueError: `ttl` is no time above 0.

    Example:
        >>> near = CappedTier(FileTier("near.db"), "1h")
        >>> Cache([MemoryTier(ttl="1m"), near, RedisTier(client)], ttl="1d")
        <Cache 'cache': memory, file, redis>
    """

    def __init__(self, tier: Tier, ttl: float | str) -> None:
        most = seconds("ttl", ttl)
        if most is None:
            raise ValueError("ttl is None, which caps nothing; expected a time such as '1h'")
        self._tier = tier
        self._most = most
        self.name = name_of(tier)
        self.asynchronous = getattr(tier, "asynchronous", False)

    def open(self, namespace: str) -> Any:
        """The store of a namespace."""
        return _CappedStore(self._tier.open(namespace), self._most)

    def __repr__(self) -> str:
        return f"CappedTier({self._tier!r}, {self._most:g})"


class _CappedStore:
    """Another store, which it is but for the times."""

    def __init__(self, store: Any, most: float) -> None:
        self._store = store
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def set(
        self, key: str, payload: bytes, ttl: float | None = None, tags: Sequence[str] = ()
    ) -> Any:
        return self._store.set(key, payload, self._capped(ttl), tags)

    def set_many(
        self,
        items: Sequence[tuple[str, bytes]],
        ttls: Sequence[float | None],
        tags: Sequence[str] = (),
    ) -> Any:
        return self._store.set_many(items, [self._capped(ttl) for ttl in ttls], tags)

    def expire(self, key: str, ttl: float) -> Any:
        return self._store.expire(key, self._capped(ttl))

    def fill(self, claim: Claim, payload: bytes, ttl: float | None = None) -> Any:
        return self._store.fill(claim, payload, self._capped(ttl))

    def fill_many(self, fills: Sequence[tuple[Claim, bytes, float | None]]) -> Any:
        return self._store.fill_many(
            [(claim, payload, self._capped(ttl)) for claim, payload, ttl in fills]
        )

    def _capped(self, ttl: float | None) -> float:
        return self._most if ttl is None else min(ttl, self._most)
