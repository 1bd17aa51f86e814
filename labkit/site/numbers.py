"""Which articles exist: known to this process, and through Redis to all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labkit.cache.errors import Unavailable
from labkit.cache.known import KnownSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labkit.cache.backends.redis_known import RedisIds


class Numbers:
    """Asks Redis only for what this process does not know: made-up numbers and quite new ones.

    So while Redis is away, articles are found as quickly as ever. A number that was deleted stays
    known; asking for it costs one read, and is remembered for a while.

    Args:
        shared: What all processes know.
    """

    blocking = True

    def __init__(self, shared: RedisIds) -> None:
        self._own = KnownSet()
        self._shared = shared

    def has(self, key: str) -> bool:
        """Whether an article exists; True as well where that cannot be known."""
        return self._own.has(key) or bool(self._shared.has(key))

    def add(self, keys: Iterable[str]) -> None:
        """These articles exist from now on.

        Raises:
            Unavailable: Redis is away: so far this process alone knows them.
        """
        keys = list(keys)
        self._own.add(keys)
        self._shared.add(keys)

    def fill(self, keys: Iterable[str]) -> None:
        """These articles exist, and no others.

        Where Redis is away, every number is taken for known until somebody fills it.

        Args:
            keys: Their numbers, asked for no earlier than the first is wanted.
        """

        def noted() -> Iterator[str]:
            for key in keys:
                self._own.add([key])
                yield key

        # Of several processes that begin together, what one has filled is enough.
        with contextlib.suppress(Unavailable, RuntimeError):
            self._shared.replace(noted())
