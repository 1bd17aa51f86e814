"""Which policy, and how much room? Play a trace of requests before you deploy.

A trace is a list of keys in the order in which they are asked for: one of those made here, or one
from your own log.

Example:
    >>> trace = zipf(50_000, 100_000, skew=0.9)
    >>> for row in compare(trace, sizes=[250, 2_500]):
    ...     print(f"{row.policy:6} {row.size:6} {row.ratio:.1%}")
"""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.cache.backends.memory import MemoryTier

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from labkit.cache.eviction import Policy


def zipf(n_keys: int, n_requests: int, skew: float, seed: int = 0) -> list[int]:
    """Requests as people make them: few keys are asked for often, most hardly ever.

    Args:
        n_keys: How many keys there are, numbered from 0, the most popular one first.
        n_requests: How many requests.
        skew: How much popularity differs: key i is asked for in proportion to 1/(i+1)**skew. 0 is
            even; web traffic lies about 0.6 to 1.1.
        seed: Another seed gives other requests of the same kind.
    """
    shares = itertools.accumulate((key + 1) ** -skew for key in range(n_keys))
    return random.Random(seed).choices(range(n_keys), cum_weights=list(shares), k=n_requests)


def loop(n_keys: int, n_requests: int) -> list[int]:
    """Every key in turn, over and over, as a nightly job that walks through a table does."""
    return [request % n_keys for request in range(n_requests)]


def scan_mix(
    n_keys: int,
    n_requests: int,
    skew: float,
    *,
    scan: int = 1_000,
    every: int = 5_000,
    seed: int = 0,
) -> list[int]:
    """`zipf` requests, and scans between them: runs of keys that nobody asks for again.

    Args:
        n_keys: How many popular and less popular keys; those of the scans come on top.
        n_requests: How many requests in all.
        skew: See `zipf`.
        scan: How long a scan is.
        every: How many requests lie between two scans.
        seed: See `zipf`.
    """
    usual = iter(zipf(n_keys, n_requests, skew, seed))
    fresh = itertools.count(n_keys)
    return [
        next(usual) if request % (every + scan) < every else next(fresh)
        for request in range(n_requests)
    ]


@dataclass(frozen=True, slots=True)
class Row:
    """How a policy did with some room.

    Attributes:
        policy: The name of the policy.
        size: For how many entries there was room.
        hits: How many requests were hits.
        requests: How many requests there were.
    """

    policy: str
    size: int
    hits: int
    requests: int

    @property
    def ratio(self) -> float:
        """The share of hits, from 0 to 1."""
        return self.hits / self.requests if self.requests else 0.0


def hit_ratio(trace: Iterable[Hashable], policy: str | type[Policy], maxsize: int) -> float:
    """The share of hits that a `MemoryTier` with this policy and room has on a trace."""
    return _play(_named(trace), policy, maxsize).ratio


def compare(
    trace: Iterable[Hashable],
    sizes: Iterable[int],
    policies: Sequence[str | type[Policy]] = ("sieve", "lru", "lfu", "fifo"),
) -> list[Row]:
    """Play a trace with every size and policy; one row for each, size by size."""
    keys = _named(trace)
    return [_play(keys, policy, size) for size in sizes for policy in policies]


def optimal(trace: Iterable[Hashable], maxsize: int) -> float:
    """The share of hits that no policy can exceed.

    It knows the future: what is asked for again latest goes, or is not even kept (L. A. Belady, "A
    study of replacement algorithms for a virtual-storage computer", 1966).
    """
    if maxsize < 1:
        raise ValueError(f"maxsize is {maxsize!r}; expected a whole number above 0")
    requests = list(trace)
    following = _next_requests(requests)
    kept: dict[Hashable, int] = {}
    latest: list[tuple[int, int]] = []  # when a kept key comes again, negative; where it came
    hits = 0
    for place, key in enumerate(requests):
        hits += key in kept
        kept[key] = following[place]
        heapq.heappush(latest, (-following[place], place))
        if len(kept) > maxsize:
            # The latest of all is always up to date: a request that is over lies before now.
            del kept[requests[heapq.heappop(latest)[1]]]
    return hits / len(requests) if requests else 0.0


def _next_requests(requests: list[Hashable]) -> list[int]:
    """Where each request's key comes next; after the end, in any order, where it does not."""
    following = [0] * len(requests)
    seen: dict[Hashable, int] = {}
    for place in range(len(requests) - 1, -1, -1):
        following[place] = seen.get(requests[place], len(requests) + place)
        seen[requests[place]] = place
    return following


def _named(trace: Iterable[Hashable]) -> list[str]:
    """The keys as text, which is what a tier takes; the same text for the same key."""
    names: dict[Hashable, str] = {}
    return [names.setdefault(key, str(len(names))) for key in trace]


def _play(keys: list[str], policy: str | type[Policy], size: int) -> Row:
    tier = MemoryTier(size, policy=policy, clock=lambda: 0.0)
    hits = 0
    for key in keys:
        if tier.find(key) is None:
            tier.put(key, None)
        else:
            hits += 1
    name = policy if isinstance(policy, str) else policy.__name__
    return Row(name, size, hits, len(keys))
