"""Which value goes when there is no room for another: the policies by name, and how to add one.

Name        Goes first                                  A hit takes the lock
----------  ------------------------------------------  --------------------
`"sieve"`   what was not used since a hand passed it    no
`"lru"`     what was used longest ago                   yes
`"lfu"`     what was used least often                   yes
`"fifo"`    what was put longest ago                    no
`"ttl"`     what expires soonest                        no

A policy of your own is a subclass of `Policy`; give the class to `MemoryTier(policy=...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.cache.eviction.base import Entry, Policy
from labkit.cache.eviction.fifo import Fifo
from labkit.cache.eviction.lfu import Lfu
from labkit.cache.eviction.lru import Lru
from labkit.cache.eviction.sieve import Sieve
from labkit.cache.eviction.ttl import Ttl

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["POLICIES", "Entry", "Fifo", "Lfu", "Lru", "Policy", "Sieve", "Ttl", "policy_of"]

POLICIES: Mapping[str, type[Policy]] = {
    "sieve": Sieve,
    "lru": Lru,
    "lfu": Lfu,
    "fifo": Fifo,
    "ttl": Ttl,
}


def policy_of(policy: str | Policy | type[Policy]) -> Policy:
    """The policy object for one tier.

    Args:
        policy: A name, a class, or an object that no other tier uses.

    Raises:
        ValueError: There is no policy of that name.
        TypeError: It is nothing of that kind.
    """
    if isinstance(policy, str):
        if policy not in POLICIES:
            raise ValueError(f"policy is {policy!r}; expected one of {', '.join(POLICIES)}")
        return POLICIES[policy]()
    found = policy() if isinstance(policy, type) else policy
    if not isinstance(found, Policy):
        raise TypeError(
            f"policy is {policy!r}; expected one of {', '.join(POLICIES)}, or a subclass of "
            "labkit.cache.eviction.Policy"
        )
    return found
