"""A store that keeps nothing: caching switched off, with everything else in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.cache.backends.base import Claim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.cache.backends.base import Busy, Found, Store


class NullTier:
    """Keeps nothing, so that each call loads; who misses a key at the same time still shares it.

    It is for tests, and for finding out what a cache is good for: the application stays as it is.

    Example:
        >>> Cache([NullTier()] if settings.no_cache else [MemoryTier(), RedisTier(client)])
        <Cache 'cache': null>
    """

    def open(self, namespace: str) -> Store:
        """The store of a namespace."""
        return _NullStore()

    def __repr__(self) -> str:
        return "NullTier()"


class _NullStore:
    """A `Store` that grants each claim, since nobody finds what another one has loaded."""

    blocking = False

    def get(self, key: str, tags: Sequence[str] = (), *, ttl: bool = False) -> None:
        return None

    def get_many(self, keys: Sequence[str], *, ttl: bool = False) -> list[Found | None]:
        return [None] * len(keys)

    def set(
        self, key: str, payload: bytes, ttl: float | None = None, tags: Sequence[str] = ()
    ) -> None:
        return None

    def set_many(
        self,
        items: Sequence[tuple[str, bytes]],
        ttls: Sequence[float | None],
        tags: Sequence[str] = (),
    ) -> None:
        return None

    def expire(self, key: str, ttl: float) -> bool:
        return False

    def delete(self, keys: Sequence[str]) -> int:
        return 0

    def drop_tags(self, tags: Sequence[str]) -> None:
        return None

    def delete_prefix(self, prefix: str) -> int:
        return 0

    def clear(self) -> None:
        return None

    def claim(self, key: str, tags: Sequence[str] = (), **how: Any) -> Claim:
        return Claim(key, tuple(tags), b"")

    def claim_many(
        self, keys: Sequence[str], tags: Sequence[str] = (), **how: Any
    ) -> list[Claim | Busy | Found]:
        return [self.claim(key, tags) for key in keys]

    def fill(self, claim: Claim, payload: bytes, ttl: float | None = None) -> bool:
        return True

    def fill_many(self, fills: Sequence[Any]) -> list[bool]:
        return [True] * len(fills)

    def release(self, claim: Claim) -> None:
        return None

    def wait(self, key: str, seconds: float) -> None:
        return None

    def close(self) -> None:
        return None
