"""What each finding advises: one function a rule, and two tables of them.

The first rule of `DECIDING` that has something to say decides how values are read and written, or
that they are better not cached. Then each of `SHAPING` may change the policy. Nothing that they
choose lets a reader see more than was allowed: see `Case.exact`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, TypeAlias

from labkit.cache.policies.model import (
    hit_ratio,
    hits_per_load,
    read_within,
    renewed_in_time,
    time_for,
)
from labkit.cache.policies.policy import AHEAD, Limits, Policy
from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.policies.observed import Observed

LONGEST = 86_400.0  # what is not read once a day is not worth its room
SHORTEST = 60.0  # a shorter time saves nothing where writes are heard
ENOUGH = 0.99  # of the reads are hits: a longer time has little to add
LIKELY = 0.95  # the chance that makes it worth while to load ahead
BUSY = 0.5  # a server that works half of its time has each request wait as long as it takes
MANY = 100  # keys that end at the same moment are felt
SPREAD = 0.1
TOGETHER = 100  # keys in one query


@dataclasses.dataclass(frozen=True)
class Case:
    """What the rules go by.

    Attributes:
        observed: What was measured.
        staleness: How many seconds after a change a reader may still see what was before.
        patience: How many seconds a reader may wait for a load.
        may_queue: Whether writes may reach the database later than they are acknowledged.
    """

    observed: Observed
    staleness: float
    patience: float
    may_queue: bool

    @property
    def age(self) -> float:
        """How old a value may be, from the end of its load: it may have changed meanwhile."""
        load = self.observed.load_seconds
        return max(self.staleness - (load[1] if load else 0.0), 0.0)

    @property
    def reads_per_write(self) -> float:
        """How often a value is read between two writes."""
        seen = self.observed
        return seen.reads / seen.writes if seen.writes else math.inf

    def exact(self, policy: Policy) -> bool:
        """Whether what a reader gets is no older than the last write that has ended.

        It is where the cache hears of every write and acts on it: whatever age a value may reach,
        it was not changed meanwhile. Else its age is the bound: see `oldest`. Of a memory that is
        not `shared` that is true within its process.
        """
        return self.observed.writes_heard and policy.strategy != "write-around"

    def dropped(self, policy: Policy) -> float:
        """How often a second a write takes the value of a key out of the cache."""
        drops = policy.strategy in ("read-through", "refresh-ahead") and self.exact(policy)
        return self.observed.writes if drops else 0.0

    def hits(self, policy: Policy) -> float:
        """How many reads each load serves after the first, at least."""
        lasts = _ttl(policy) * (1 - policy.jitter) * (1 - policy.ahead)
        return hits_per_load(self.observed.reads, self.dropped(policy), lasts)


Decision: TypeAlias = tuple[Policy | None, str]
"""A policy, or None for no cache, and the reason."""

Deciding: TypeAlias = "Callable[[Case], Decision | None]"
Shaping: TypeAlias = "Callable[[Case, Policy], tuple[Policy, str] | None]"


def oldest(policy: Policy) -> float:
    """How old a value may be that a reader gets, in seconds."""
    return _ttl(policy) + max(float(policy.stale_while_revalidate), float(policy.stale_if_error))


def _ttl(policy: Policy) -> float:
    return math.inf if policy.ttl is None else float(policy.ttl)


# --- How values are read and written, and whether they are cached at all


def unread(case: Case) -> Decision | None:
    """What nobody reads, or hardly ever."""
    seen = case.observed
    if seen.reads * LONGEST >= 1:
        return None
    if not seen.reads:
        return None, "Nothing is read: a cache would keep what nobody asks for."
    often = f"{_figure(seen.reads * LONGEST)} times a day"
    return None, f"A key is read {often}, less than once: its value waits in vain. No cache."


def unheard(case: Case) -> Decision | None:
    """Writes that the cache does not hear of: the age of a value is all that bounds it."""
    seen = case.observed
    if seen.writes_heard:
        return None
    if not case.age:
        return None, (
            "The cache does not hear of writes, and nothing older may be read than what a load "
            "brings: no value could be trusted. Let writes go through a strategy or invalidate, or "
            "allow some staleness. No cache."
        )
    again = seen.reads * case.age
    if again < 1:
        return None, (
            f"The cache does not hear of writes, so that a value may serve {_time(case.age)} at "
            f"most, and in that time a key is read {_figure(again)} times: less than one more read "
            "for each load. No cache."
        )
    return Policy("read-through"), (
        "The cache does not hear of writes: read-through, and the age of a value is what bounds "
        f"it; in {_time(case.age)} a key is read {_figure(again)} times."
    )


def queued(case: Case) -> Decision | None:
    """Writes that keep the database busy, and may reach it later."""
    seen = case.observed
    if not case.may_queue or seen.write_seconds is None:
        return None
    busy = seen.writes_per_second * seen.write_seconds[0]
    if busy < BUSY:
        return None
    return Policy("write-behind"), (
        f"{_many(seen.writes_per_second, 'write')} a second of {_time(seen.write_seconds[0])} each "
        f"are {_figure(busy)} seconds of work a second, and writes may reach the database later: "
        "write-behind applies many together, and of each key the latest alone."
    )


def unwritten(case: Case) -> Decision | None:
    """What is only read."""
    if case.observed.writes:
        return None
    return Policy("read-through"), (
        f"{_rates(case)}: nothing is written, so that every strategy reads alike; read-through is "
        "the simplest that loads a key once."
    )


def overwritten(case: Case) -> Decision | None:
    """What is written more often than it is read: most values would go unread."""
    seen = case.observed
    if case.reads_per_write >= 1:
        return None
    reads = f"{_rates(case)}: a value is read {_figure(case.reads_per_write)} times before it is "
    reads += "written again"
    again = seen.reads * case.age
    if again < 1:
        return None, f"{reads}, so that most of what is stored is stored in vain. No cache."
    return Policy("write-around", ttl=case.age), (
        f"{reads}; but it may be {_time(case.age)} old, and is read {_figure(again)} times in that "
        "time: write-around leaves it there, and a write costs the cache nothing."
    )


def linearizable(case: Case) -> Decision | None:
    """Readers who may see nothing old, not even where a writer dies."""
    if case.staleness:
        return None
    return Policy("write-through"), (
        f"{_rates(case)}, and nothing stale may be read: write-through takes the old value out "
        "before the database is written, so that not even a writer that dies leaves it behind."
    )


def rewritten(case: Case) -> Decision | None:
    """Whether a write stores its value, or drops the old one.

    To store it costs a write two round trips, to claim the key and to put the value. To drop the
    old one costs a round trip and, where a read comes before the next write, a load. (Z. Mao,
    R. Iyer, S. Shenker and I. Stoica ask the same in "Revisiting cache freshness for emerging
    real-time applications", HotNets 2024.)
    """
    seen = case.observed
    figures = f"{_rates(case)}, so {_many(case.reads_per_write, 'read')} for each write"
    if seen.load_seconds is None:
        return Policy("read-through"), (
            f"{figures}: read-through drops what is written. How long a load takes is not known; "
            "where it is long, write-through may be better."
        )
    trip, load = seen.store_seconds, seen.load_seconds[0]
    first = seen.reads / (seen.reads + seen.writes)
    storing, dropping = 2 * trip, trip + first * load
    figures += (
        f": to store what is written costs {_time(storing)} a write, to drop it {_time(dropping)} "
        f"with the load of the next reader, who comes before the next write in {_percent(first)} "
        "of cases"
    )
    if storing < dropping:
        return Policy("write-through"), f"{figures}. Write-through stores it."
    return Policy("read-through"), f"{figures}. Read-through drops it."


DECIDING: tuple[Deciding, ...] = (
    unread,
    unheard,
    queued,
    unwritten,
    overwritten,
    linearizable,
    rewritten,
)


# --- For how long, and what happens at the end of that time


def time_to_live(case: Case, policy: Policy) -> tuple[Policy, str]:
    """As long as more time brings more hits, and no longer than a value may be old."""
    wanted = _rounded(max(time_for(ENOUGH, case.observed.reads), SHORTEST))
    exact = case.exact(policy)
    wanted = min(wanted, LONGEST)
    if exact or wanted <= case.age:
        return policy.but(ttl=wanted), (
            f"A key is read {_figure(case.observed.reads)} times a second: with a ttl of "
            f"{_time(wanted)} one read in {_figure(1 + case.observed.reads * wanted)} comes after "
            "its end, and a longer one would bring little."
        )
    return policy.but(ttl=case.age), (
        f"A ttl of {_time(case.age)}: a longer one would save loads, but nothing may be read that "
        f"was changed more than {_time(case.staleness)} ago."
    )


def spread(case: Case, policy: Policy) -> tuple[Policy, str] | None:
    """Many keys that were stored together, and would all end together."""
    keys = case.observed.keys
    if keys < MANY:
        return None
    over = _ttl(policy) * SPREAD
    return policy.but(jitter=SPREAD), (
        f"What is stored together ends together, {keys:,} keys at worst: jitter spreads their "
        f"loads over {_time(over)}, which is {_figure(keys / over)} a second."
    )


def outage(case: Case, policy: Policy) -> tuple[Policy, str] | None:
    """Loads that fail, where an older value is better than none."""
    failures = case.observed.load_failures
    if not failures or not case.staleness:
        return None
    ttl, stale = _ttl(policy), case.staleness
    if not case.exact(policy):  # both have to fit in
        ttl = min(ttl, case.age / 2)
        stale = case.age - ttl
        if case.observed.reads * ttl < 1:
            return policy, (
                f"Of the loads {_percent(failures)} fail, but the staleness that is allowed leaves "
                "no room for older values: who misses gets the error."
            )
    return policy.but(ttl=ttl, stale_if_error=stale), (
        f"Of the loads {_percent(failures)} fail, and some staleness is allowed: with a ttl of "
        f"{_time(ttl)}, a value is given out for {_time(stale)} more where its load fails."
    )


def ahead(case: Case, policy: Policy) -> tuple[Policy, str] | None:
    """Loads that take longer than readers shall wait: let them run while there is a value."""
    seen = case.observed
    if seen.load_seconds is None or seen.load_seconds[1] < case.patience:
        return None
    load, slow = seen.load_seconds
    ttl = _ttl(policy)
    slowly = f"A load takes up to {_time(slow)}, longer than the {_time(case.patience)} that a "
    slowly += "reader shall wait"
    chance = renewed_in_time(seen.reads, load)
    if chance >= LIKELY:
        return policy.but(early=1.0), (
            f"{slowly}, and {_figure(seen.reads * load)} readers of a key come while it runs: "
            f"early lets one of them begin before the end, in time in {_percent(chance)} of cases."
        )
    chance = read_within(seen.reads, AHEAD * ttl)
    if chance >= LIKELY and AHEAD * ttl >= slow:
        strategy = "refresh-ahead" if policy.strategy == "read-through" else policy.strategy
        return policy.but(strategy=strategy, refresh_ahead=AHEAD), (
            f"{slowly}, and {_percent(chance)} of the keys are read in the last fifth of their "
            "time: refresh-ahead has them loaded then, in the background."
        )
    if chance < LIKELY:
        slowly += ". A key is read too seldom to be loaded ahead"
    else:
        slowly += ". That is longer than the last fifth of a value's time"
    left = case.staleness if case.exact(policy) else case.age - ttl
    if left > 0:
        stale = min(ttl, left)
        return policy.but(stale_while_revalidate=stale), (
            f"{slowly}: for {_time(stale)} after its time a value is given out while it is loaded "
            "anew."
        )
    return policy, (
        f"{slowly}, and the staleness that is allowed leaves no room for an older value: who "
        "misses waits."
    )


def served(case: Case, policy: Policy) -> tuple[Policy, str]:
    """What all this brings."""
    hits = case.hits(policy)
    least = math.floor(1000 * hit_ratio(hits)) / 1000
    why = f"Each load serves {_figure(hits)} reads more: at least {_percent(least)} are hits, and "
    why += "more where some keys are more popular than others"
    if case.observed.hit_ratio is not None:
        why += f"; it is {_percent(case.observed.hit_ratio)} now"
    return policy, f"{why}."


def together(case: Case, policy: Policy) -> tuple[Policy, str] | None:
    """Loads of several keys that run at the same time.

    How many do is the rate of loads times their duration: J. D. C. Little, "A proof for the queuing
    formula L = lambda W", Operations Research 9 (1961).
    """
    seen = case.observed
    if seen.load_seconds is None:
        return None
    rate = seen.reads_per_second * (1 - hit_ratio(case.hits(policy)))
    running = rate * seen.load_seconds[0]
    if running < 2:
        return None
    return policy.but(limits=Limits(coalesce=TOGETHER)), (
        f"Up to {_figure(rate)} loads a second of {_time(seen.load_seconds[0])} each: "
        f"{_figure(running)} run at the same time. Coalesced, they share one query of {TOGETHER} "
        "keys at most."
    )


def room(case: Case, policy: Policy) -> tuple[Policy, str] | None:
    """How much memory all values take."""
    seen = case.observed
    if not seen.value_bytes:
        return None
    megabytes = seen.keys * seen.value_bytes / 1e6
    return policy, (
        f"{seen.keys:,} values of {_figure(seen.value_bytes)} bytes take {_figure(megabytes)} MB: "
        "a tier with less room gives values up before their time, and has fewer hits than this."
    )


def bound(case: Case, policy: Policy) -> tuple[Policy, str]:
    """How old what a reader gets may be, and what that rests on."""
    if case.exact(policy):
        after = "A change that goes past the cache shows after"
        if policy.strategy not in ("write-through", "write-behind"):
            after = "A change past the cache, or a writer that dies, shows after"
        why = "What is read is never older than the last write, since the cache hears of writes. "
        why += f"{after} {_time(oldest(policy))} at the latest."
        return policy, why if case.observed.shared else f"{why} {_ALONE}"
    late = case.staleness - case.age
    loading = f", and have changed while it was loaded, for {_time(late)}" if late else ""
    return policy, (
        f"What is read may be {_time(oldest(policy))} old, ttl and all{loading}; "
        f"{_time(case.staleness)} are allowed."
    )


_ALONE = (
    "All this holds for one process: values are in memory alone, and what another process writes "
    "is such a change. Where there are several, add a tier that they share."
)

SHAPING: tuple[Shaping, ...] = (
    time_to_live,
    spread,
    outage,
    ahead,
    served,
    together,
    room,
    bound,
)


# --- Words


def _rates(case: Case) -> str:
    seen = case.observed
    whole = seen.reads_per_second + seen.writes_per_second
    share = _percent(seen.reads_per_second / whole)
    reads, writes = _many(seen.reads_per_second, "read"), _many(seen.writes_per_second, "write")
    return f"{reads} and {writes} a second, {share} of the traffic reads"


def _many(number: float, what: str) -> str:
    """So many of something."""
    figure = _figure(number)
    return f"{figure} {what}" if figure == "1" else f"{figure} {what}s"


def _rounded(seconds: float) -> float:
    """A time of a minute or more with two digits, rounded down."""
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return math.floor(seconds / unit * (1 + 1e-9)) * unit  # 990 may have come as 989.9999


def _figure(number: float) -> str:
    """A number with so many digits as say something."""
    if 0 < number < 0.001:
        return "under 0.001"
    if number > 1e9:
        return "over a billion"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _percent(share: float) -> str:
    """A share; so near the whole that what is missing shows."""
    if share <= 0.9 or share == 1:
        return f"{_figure(100 * share)} %"
    if share > 0.9999:
        return "over 99.99 %"
    return f"{100 * share:.{max(math.ceil(-math.log10(1 - share)) - 2, 1)}f} %"


def _time(seconds: float) -> str:
    """A time, whole seconds from 100 on."""
    return f"{seconds:,.0f} s" if seconds >= 100 else format_time(seconds)
