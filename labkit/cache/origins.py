"""Where the values of a block of code came from, key by key.

    with origins() as found:
        cache.get_or_load("front", load)
    print(found["front"].where)  # "memory", "redis", "loaded", ...

It sees the methods of caches and strategies, in the thread or task of the block. A function that is
decorated with `cached` answers hits in memory without asking anybody, and those are not seen.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Origin(NamedTuple):
    """Where a value came from.

    Attributes:
        where: The name of a tier, "loaded" for the caller's own load, and "waited" for that of
            another caller.
        stale: For how many seconds its time was over; 0.0 if it was not.
    """

    where: str
    stale: float = 0.0


_found: ContextVar[dict[str, Origin] | None] = ContextVar("labkit_cache_origins", default=None)


@contextmanager
def origins() -> Iterator[dict[str, Origin]]:
    """Collect the origins of the values that the block gets, by their keys in the cache."""
    found: dict[str, Origin] = {}
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


def note(key: str, where: str) -> None:
    """Say where the value of a key came from."""
    found = _found.get()
    if found is not None:
        found[key] = Origin(where)


def note_age(key: str, seconds: float) -> None:
    """Say for how long the time of a value was over."""
    found = _found.get()
    if found is not None and key in found:
        found[key] = found[key]._replace(stale=seconds)
