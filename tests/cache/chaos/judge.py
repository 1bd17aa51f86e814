"""Whether what processes tell is what the policies promise, and the figures of it.

A read may answer a value that was the latest at some moment between its begin, less what the policy
allows, and its end. When a write counts as known is a promise as well: with its commit, or with the
return of `save`; or, where the cache owes its invalidation then, with the paying of that debt, for
"an invalidation that one process could not deliver because it cannot reach Redis is not known to
processes that can, until it is back". A machine that stands still is seen in the gaps between the
beats of its processes, and is given that much time.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, NamedTuple

from labkit.latency import percentile
from tests.cache.chaos.terms import BUDGET, LEASE, STALENESS, TERMS
from tests.cache.chaos.traffic import BEAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.cache.chaos.terms import Terms
    from tests.cache.chaos.traffic import Act, Beat, Told

SOURCE_AWAY = frozenset({"SourceAway"})
HANGS = 3 * LEASE  # for a turn, a claim and a load of others: each is a lease at most
NO_ORDER = math.inf  # of a write that nobody knows to have happened


class Written(NamedTuple):
    """A value that may be read.

    Attributes:
        order: Greater than that of every earlier write of the same entity.
        begin: Before that nobody has seen it.
        known: From then on nothing earlier is to be read.
    """

    order: float
    begin: float
    known: float


class Span(NamedTuple):
    """From when to when a fault lasted."""

    begin: float
    end: float


class Figures(NamedTuple):
    """What a policy did under a fault.

    Attributes:
        acts: How many reads and writes there were.
        during: For how many seconds each of those took that met the fault.
        errors: How many of them raised what is allowed, by the name of the error.
        oldest: For how many seconds the oldest value that was read had been overwritten.
        allowed: How many it may have been.
        lost: How many trips to Redis failed under one act, at most.
        hung: How many acts took longer than a chain of waits for others' loads can.
        wrong: What is not as promised.
    """

    acts: int
    during: list[float]
    errors: dict[str, int]
    oldest: float
    allowed: float
    lost: int
    hung: int
    wrong: list[str]

    def latency(self, q: float) -> float:
        """A percentile of the latencies, in seconds; nan where there are none."""
        return percentile(self.during, q) if self.during else math.nan


def judged(
    told: Sequence[Told], span: Span, *, loses: bool, source_away: bool
) -> dict[str, Figures]:
    """The figures of each policy.

    Args:
        told: What the processes tell.
        span: When the fault was.
        loses: Whether Redis lost what it had acknowledged.
        source_away: Whether the source was away.
    """
    slack = BUDGET + standstill(told)  # a trip that began before takes its time
    found: dict[str, Figures] = {}
    for name, terms in TERMS.items():
        acts = [act for each in told for act in each.acts if act.name == name]
        written = _written(name, terms, told, span if loses else None)
        oldest, wrong = 0.0, []
        allowed = terms.extra + STALENESS + slack
        for act in acts:
            if act.what == "read" and not act.error:
                age, why = written[act.id].age(act)
                oldest = max(oldest, age)
                if why or age > allowed:
                    wrong.append(why or f"{age:.2f} s old, {allowed:.2f} allowed: {act}")
        errors: dict[str, int] = {}
        for act in acts:
            if act.error:
                errors[act.error] = errors.get(act.error, 0) + 1
                may = terms.reading if act.what == "read" else terms.writing
                if act.error not in may | (SOURCE_AWAY if source_away else frozenset()):
                    wrong.append(f"raised {act.error}: {act}")
        met = [a.end - a.begin for a in acts if a.end > span.begin and a.begin < span.end]
        lost = max((act.lost for act in acts), default=0)
        hung = sum(act.end - act.begin > HANGS for act in acts)
        found[name] = Figures(len(acts), met, errors, oldest, allowed, lost, hung, wrong)
    return found


def standstill(told: Sequence[Told]) -> float:
    """For how many seconds a process stood still, at most."""
    gaps = [
        later.at - earlier.at - BEAT
        for each in told
        for earlier, later in zip(each.beats, each.beats[1:], strict=False)
    ]
    return max(gaps, default=0.0)


class History:
    """The writes of one entity."""

    def __init__(self, writes: Iterable[tuple[int, Written]]) -> None:
        self._by_number = {0: Written(0, -math.inf, -math.inf), **dict(writes)}
        ordered = sorted(self._by_number.values())
        self._orders = [each.order for each in ordered]
        self._known = [math.inf]  # when one of those from here on was known first
        for each in reversed(ordered):
            self._known.append(min(each.known, self._known[-1]))
        self._known.reverse()

    def age(self, read: Act) -> tuple[float, str]:
        """For how long a value had been overwritten when its read began; why it cannot be."""
        if read.number is None:
            return 0.0, f"nothing was read: {read}"
        found = self._by_number.get(read.number)
        if found is None:
            return 0.0, f"a value from nowhere: {read}"
        if found.begin > read.end:
            return 0.0, f"a value from the future: {read}"
        overwritten = self._known[bisect.bisect_right(self._orders, found.order)]
        return max(0.0, read.begin - overwritten), ""


def _written(
    name: str, terms: Terms, told: Sequence[Told], loss: Span | None
) -> dict[int, History]:
    commits = {
        (commit.id, commit.number): commit
        for each in told
        for commit in each.commits
        if commit.name == name
    }
    writes: dict[int, list[tuple[int, Written]]] = {}
    for each in told:
        for act in each.acts:
            if act.name != name or act.what != "write" or act.number is None:
                continue
            commit = commits.get((act.id, act.number))
            if terms.known == "acknowledged":
                order: float = act.order or (commit.order if commit else NO_ORDER)
                kept = not act.error and (
                    loss is None or commit is not None or act.begin > loss.end
                )
                one = Written(order if kept else NO_ORDER, act.begin, act.end if kept else math.inf)
            elif commit is None:
                continue  # it was refused
            elif terms.known == "committed":
                one = Written(commit.order, commit.begin, commit.end)
            else:
                one = Written(commit.order, commit.begin, _paid(each.beats, act.end))
            writes.setdefault(act.id, []).append((act.number, one))
    ids = {act.id for each in told for act in each.acts if act.name == name}
    return {one: History(writes.get(one, [])) for one in ids}


def _paid(beats: Sequence[Beat], moment: float) -> float:
    """When a process that may owe something at a moment owed nothing any more."""
    for beat in beats[bisect.bisect_left(beats, moment, key=lambda beat: beat.at) :]:
        if not beat.owes:
            return max(moment, beat.at - BEAT)
    return math.inf
