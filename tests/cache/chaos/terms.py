"""The policies under test, and what each of them promises and allows."""

from __future__ import annotations

import dataclasses
from typing import Final

from labkit.cache.policies import Policy, Queue

BUDGET: Final = 0.2
PAUSE: Final = 0.25
STALENESS: Final = 0.6
LEASE: Final = 2.0
SHORT: Final = 0.3  # a time to live that ends often
LONG: Final = 300.0  # one of which nobody sees the end: what is not invalidated stays old
WINDOW: Final = 0.5

UNAVAILABLE: Final = frozenset({"Unavailable", "Refused"})


@dataclasses.dataclass(frozen=True)
class Terms:
    """A policy, and what holds of its values.

    Attributes:
        policy: How they are cached.
        known: From when on a write is promised to be read, but for what memory may be behind:
            "committed" in the source, "saved", or "acknowledged" by the queue.
        extra: For how many seconds more an older value may be read.
        reading: What a read may raise while Redis is away.
        writing: What a write may raise then.
    """

    policy: Policy
    known: str
    extra: float = 0.0
    reading: frozenset[str] = frozenset()
    writing: frozenset[str] = frozenset()


_READ = Policy(ttl=LONG, lease=LEASE)

TERMS: Final[dict[str, Terms]] = {
    "read-through": Terms(_READ, "saved"),
    # An invalidation drops a value at once, stale or not: the windows add nothing to its age.
    "read-through, stale": Terms(
        _READ.but(ttl=SHORT, stale_while_revalidate=WINDOW / 2, stale_if_error=WINDOW), "saved"
    ),
    "refresh-ahead": Terms(_READ.but(strategy="refresh-ahead", ttl=SHORT), "saved"),
    "cache-aside": Terms(_READ.but(strategy="cache-aside", ttl=SHORT), "saved", SHORT),
    "write-around": Terms(_READ.but(strategy="write-around", ttl=SHORT), "committed", SHORT),
    "write-around, stale": Terms(
        _READ.but(
            strategy="write-around",
            ttl=SHORT,
            stale_while_revalidate=WINDOW / 2,
            stale_if_error=WINDOW,
        ),
        "committed",
        SHORT + WINDOW,
    ),
    "write-through": Terms(
        _READ.but(strategy="write-through"), "committed", writing=UNAVAILABLE | {"Contended"}
    ),
    "write-behind": Terms(
        _READ.but(strategy="write-behind", queue=Queue(ownership=LEASE)),
        "acknowledged",
        reading=UNAVAILABLE,
        writing=UNAVAILABLE | {"QueueFull"},
    ),
}
