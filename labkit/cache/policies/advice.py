"""Advice: the policy that what was measured speaks for, and why."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from labkit.cache.options import time
from labkit.cache.policies.model import hit_ratio
from labkit.cache.policies.rules import DECIDING, SHAPING, Case, oldest

if TYPE_CHECKING:
    from labkit.cache.policies.observed import Observed
    from labkit.cache.policies.policy import Policy


@dataclasses.dataclass(frozen=True)
class Advice:
    """A policy and what speaks for it.

    Attributes:
        policy: The policy; None: better no cache.
        reasons: A sentence or two for each choice, with its figures.
        exact: Whether a reader gets nothing older than the last write that the cache has heard of,
            whatever the age of a value. A memory tier hears of what another process writes a moment
            later; see `Cache`. Never where values are in memory alone, which hears nothing of other
            processes.
        staleness: How many seconds after a change a reader may still see what was before; 0 where
            it is exact.
        hit_ratio: Which share of the reads are hits, at least, where there is room for all values;
            0 without a cache.
    """

    policy: Policy | None
    reasons: list[str]
    exact: bool
    staleness: float
    hit_ratio: float

    def __str__(self) -> str:
        return "\n".join(f"- {reason}" for reason in self.reasons)


def advise(
    observed: Observed,
    staleness: float | str = 0,
    *,
    patience: float | str = "100ms",
    may_queue: bool = False,
) -> Advice:
    """The policy that what was measured speaks for.

    Where the cache hears of every write, a policy is chosen that never shows anything older, and
    `staleness` says whether older values may help out where loads are slow or fail. Where it does
    not, or where values are written more often than read, the age of a value is the bound: `ttl`,
    what is given out after it and the time of a slow load never exceed `staleness` together. The
    rules are those of `labkit.cache.policies.rules`.

    Args:
        observed: What was measured.
        staleness: For how long after a change a reader may still see what was before.
        patience: How long a reader may wait for a load. A tenth of a second is what people take
            for at once (J. Nielsen, "Usability engineering", 1993, chapter 5).
        may_queue: Whether a write may be acknowledged when it stands in Redis: who reads the
            database itself sees it later, and it is as durable as that Redis is.

    Example:
        >>> from labkit.cache.policies import Observed
        >>> seen = Observed(412, 0.2, keys=1_000, load_seconds=(0.02, 0.05))
        >>> advice = advise(seen, "30s")
        >>> advice.policy.strategy, advice.policy.ttl, advice.policy.jitter, advice.exact
        ('write-through', 240.0, 0.1, True)
        >>> print(advice.reasons[0])
        412 reads and 0.2 writes a second, 99.95 % of the traffic reads, so 2,060 reads for each \
write: to store what is written costs 1 ms a write, to drop it 20 ms with the load of the next \
reader, who comes before the next write in 99.95 % of cases. Write-through stores it.
    """
    case = Case(observed, time("staleness", staleness), time("patience", patience), may_queue)
    policy, why = next(found for rule in DECIDING if (found := rule(case)) is not None)
    if policy is None:
        return Advice(None, [why], exact=True, staleness=0.0, hit_ratio=0.0)
    reasons = [why]
    for shape in SHAPING:
        shaped = shape(case, policy)
        if shaped is not None:
            policy, why = shaped
            reasons.append(why)
    exact = case.exact(policy) and observed.shared
    loading = case.staleness - case.age
    ratio = hit_ratio(case.hits(policy))
    return Advice(policy, reasons, exact, 0.0 if exact else oldest(policy) + loading, ratio)
