"""Advice: every rule is reached, nothing that is not allowed is advised, and traffic agrees."""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given

from labkit.cache import Cache, FunctionSource, MemoryTier
from labkit.cache.policies import Advice, Observed, Policy, advise, rules
from labkit.cache.policies.rules import DECIDING, SHAPING, Case, oldest
from labkit.cache.stats import Counts
from labkit.clock import FakeClock

DAY = 86_400.0
times = st.tuples(st.floats(1e-5, 10), st.floats(1e-5, 10)).map(lambda pair: tuple(sorted(pair)))
rates = st.floats(0, 1e5)
seen = st.builds(
    Observed,
    reads_per_second=rates,
    writes_per_second=rates | st.just(0.0),
    keys=st.integers(1, 10**6),
    load_seconds=times | st.none(),
    write_seconds=times | st.none(),
    store_seconds=st.floats(1e-6, 0.1) | st.just(0.0),
    load_failures=st.floats(0, 1) | st.just(0.0),
    hit_ratio=st.floats(0, 1) | st.none(),
    value_bytes=st.floats(0, 1e6) | st.none(),
    writes_heard=st.booleans(),
)
bounds = st.floats(0.001, 10 * DAY) | st.sampled_from([0, 1, "30s", "10m"])
wishes = st.fixed_dictionaries(
    {"patience": st.floats(0.001, 3) | st.just(0.0), "may_queue": st.booleans()},
)

FAST = (0.0001, 0.0002)
SLOW = (0.3, 0.9)

# What was seen, what is allowed, and the policy (None: no cache) by the rule that decides it.
DECIDED: list[tuple[str, Observed, Any, dict[str, Any], str | None]] = [
    ("unread", Observed(0, 5), "1m", {}, None),
    ("unread", Observed(0.001, keys=1000), "1m", {}, None),
    ("unheard", Observed(50, 1, 10, writes_heard=False), 0, {}, None),
    ("unheard", Observed(50, 1, 10, (0.5, 2.0), writes_heard=False), "1s", {}, None),
    ("unheard", Observed(50, 1, 1000, writes_heard=False), "2s", {}, None),
    ("unheard", Observed(50, 1, 10, writes_heard=False), "2s", {}, "read-through"),
    ("queued", Observed(9, 90, 9, write_seconds=SLOW), 0, {"may_queue": True}, "write-behind"),
    ("unwritten", Observed(50, 0, 10), 0, {}, "read-through"),
    ("overwritten", Observed(50, 60, 1000), "5s", {}, None),
    ("overwritten", Observed(50, 60, 10), "5s", {}, "write-around"),
    ("overwritten", Observed(9, 90, 9, write_seconds=SLOW), 0, {}, None),
    ("overwritten", Observed(9, 90, 9, write_seconds=FAST), 0, {"may_queue": True}, None),
    ("linearizable", Observed(50, 1, 10), 0, {}, "write-through"),
    ("linearizable", Observed(50, 50, 10), 0, {}, "write-through"),
    ("rewritten", Observed(50, 1, 10), "5s", {}, "read-through"),
    ("rewritten", Observed(50, 1, 10, SLOW), "5s", {"patience": 9}, "write-through"),
    ("rewritten", Observed(50, 1, 10, FAST), "5s", {}, "read-through"),
]


@pytest.mark.parametrize(("rule", "observed", "staleness", "wishes", "strategy"), DECIDED)
def test_each_rule_decides_what_it_is_for(
    rule: str, observed: Observed, staleness: Any, wishes: dict[str, Any], strategy: str | None
) -> None:
    case = Case(observed, labkit_duration(staleness), 0.1, wishes.get("may_queue", False))
    assert next(each.__name__ for each in DECIDING if each(case)) == rule
    advice = advise(observed, staleness, **wishes)
    if strategy is None:
        assert advice.policy is None
        assert (advice.exact, advice.staleness, advice.hit_ratio) == (True, 0, 0)
        assert len(advice.reasons) == 1
        assert re.search(r"[Nn]o cache|Nothing is read", advice.reasons[0])
    else:
        assert advice.policy is not None
        assert advice.policy.strategy == strategy
        assert strategy in advice.reasons[0].lower()


def test_every_rule_has_its_case() -> None:
    assert {rule for rule, *_ in DECIDED} == {rule.__name__ for rule in DECIDING}
    assert {rule for rule, *_ in SHAPED} == {rule.__name__ for rule in SHAPING}
    told = {name for name, each in vars(rules).items() if not name.startswith("_")}
    assert {rule.__name__ for rule in (*DECIDING, *SHAPING)} <= told


def labkit_duration(value: Any) -> float:
    policy = Policy(stale_if_error=value, ttl=1)
    return float(policy.stale_if_error)


UNHEARD: dict[str, Any] = {"writes_heard": False}
SHAPED: list[tuple[str, Observed, Any, dict[str, Any], str]] = [
    ("time_to_live", Observed(10), 0, {"ttl": 60}, "one read in 601"),
    ("time_to_live", Observed(1, keys=10), 0, {"ttl": 990}, "one read in 100"),
    ("time_to_live", Observed(1, keys=1000), 0, {"ttl": DAY}, "bring little"),
    ("time_to_live", Observed(10, **UNHEARD), 7, {"ttl": 7}, "more than 7 s ago"),
    ("time_to_live", Observed(10, **UNHEARD), DAY, {"ttl": 60}, "bring little"),
    ("time_to_live", Observed(10, 0, 1, (0.5, 2), **UNHEARD), 7, {"ttl": 5}, "A ttl of 5 s"),
    ("spread", Observed(100, keys=100), 0, {"jitter": 0.1}, "100 keys at worst"),
    ("spread", Observed(100, keys=99), 0, {"jitter": 0}, ""),
    (
        "outage",
        Observed(9, load_failures=0.02),
        30,
        {"stale_if_error": 30},
        "Of the loads 2 % fail",
    ),
    ("outage", Observed(9, load_failures=0.02), 0, {"stale_if_error": 0}, ""),
    (
        "outage",
        Observed(9, load_failures=0.5, **UNHEARD),
        30,
        {"ttl": 15, "stale_if_error": 15},
        "with a ttl of 15 s, a value is given out for 15 s more",
    ),
    (
        "outage",
        Observed(1, load_failures=0.5, **UNHEARD),
        1.5,
        {"ttl": 1.5, "stale_if_error": 0},
        "no room for older values",
    ),
    (
        "outage",
        Observed(9, load_failures=0.5, **UNHEARD),
        200,
        {"ttl": 60, "stale_if_error": 140},
        "for 140 s more",
    ),
    ("ahead", Observed(10, load_seconds=FAST), 9, {"early": 0, "refresh_ahead": 0}, ""),
    ("ahead", Observed(10, load_seconds=SLOW), 9, {"early": 1.0}, "3 readers of a key"),
    (
        "ahead",
        Observed(1, load_seconds=SLOW),
        9,
        {"strategy": "refresh-ahead", "refresh_ahead": 0.2},
        "in the background",
    ),
    (
        "ahead",
        Observed(1, 0.1, load_seconds=SLOW),
        9,
        {"strategy": "write-through", "refresh_ahead": 0.2},
        "in the background",
    ),
    (
        "ahead",
        Observed(1, keys=10**4, load_seconds=SLOW),
        9,
        {"stale_while_revalidate": 9, "early": 0},
        "A key is read too seldom to be loaded ahead: for 9 s after its time",
    ),
    (
        "ahead",
        Observed(1, keys=2, load_seconds=(9, 20), **UNHEARD),
        40,
        {"stale_while_revalidate": 0, "early": 1.0},
        "early",
    ),
    (
        "ahead",
        Observed(2, load_seconds=(0.5, 4), **UNHEARD),
        20,
        {"stale_while_revalidate": 0, "early": 0, "refresh_ahead": 0, "ttl": 16},
        "fifth of a value's time, and the staleness that is allowed leaves no room",
    ),
    (
        "ahead",
        Observed(1, keys=10, load_seconds=(0.5, 4), **UNHEARD),
        18,
        {"stale_while_revalidate": 0, "early": 0, "refresh_ahead": 0, "ttl": 14},
        "who misses waits",
    ),
    (
        "ahead",
        Observed(1, keys=10, load_seconds=(0.5, 1), **UNHEARD),
        15,
        {"stale_while_revalidate": 0, "early": 0, "refresh_ahead": 0, "ttl": 14},
        "A key is read too seldom to be loaded ahead, and",
    ),
    ("served", Observed(1, keys=10, hit_ratio=0.62), 0, {}, "at least 99.0 % are hits"),
    ("served", Observed(1, keys=10, hit_ratio=0.62), 0, {}, "1 read and 0 writes a second"),
    (
        "together",
        Observed(1000, keys=10**5, load_seconds=SLOW),
        0,
        {"limits": rules.Limits(coalesce=100)},
        "run at the same time",
    ),
    ("together", Observed(10, load_seconds=SLOW), 0, {"limits": None}, ""),
    ("room", Observed(10, keys=2000, value_bytes=3000), 0, {}, "take 6 MB"),
    ("bound", Observed(10, 1), 0, {}, "goes past the cache shows after 60 s"),
    ("bound", Observed(10), 0, {}, "a writer that dies, shows after 60 s"),
    ("bound", Observed(10, **UNHEARD), 7, {}, "What is read may be 7 s old"),
    (
        "bound",
        Observed(10, load_seconds=(1, 2), **UNHEARD),
        7,
        {},
        "5 s old, ttl and all, and have changed while it was loaded, for 2 s; 7 s are allowed",
    ),
]


@pytest.mark.parametrize(("rule", "observed", "staleness", "options", "words"), SHAPED)
def test_each_rule_shapes_what_it_is_for(
    rule: str, observed: Observed, staleness: Any, options: dict[str, Any], words: str
) -> None:
    advice = advise(observed, staleness)
    assert advice.policy is not None
    assert {name: getattr(advice.policy, name) for name in options} == options
    assert words in str(advice)


@pytest.mark.parametrize(
    ("observed", "hits"),
    [
        (Observed(10), 600),
        (Observed(1000, keys=100), 540),  # jitter takes a tenth of the time at most
        (Observed(1, load_seconds=SLOW), 80),  # what is loaded ahead lives for four fifths
        (Observed(10, 1), 600),  # write-through: a write ends no time
    ],
)
def test_hits_are_told_for_the_time_that_a_value_really_has(
    observed: Observed, hits: float
) -> None:
    assert advise(observed).hit_ratio == pytest.approx(hits / (hits + 1), rel=1e-3)


# --- What holds for whatever was seen


@given(observed=seen, staleness=bounds, wishes=wishes)
def test_nothing_is_advised_that_is_not_allowed(
    observed: Observed, staleness: Any, wishes: dict[str, Any]
) -> None:
    advice = advise(observed, staleness, **wishes)
    allowed = labkit_duration(staleness)
    policy = advice.policy
    if policy is None:
        return
    assert policy.ttl is not None
    if advice.exact:
        assert advice.staleness == 0
        assert observed.writes_heard
        assert policy.strategy != "write-around"
        assert float(policy.stale_while_revalidate) <= allowed
        assert float(policy.stale_if_error) <= allowed
    else:
        loading = observed.load_seconds[1] if observed.load_seconds else 0.0
        assert oldest(policy) + loading == pytest.approx(advice.staleness)
        assert advice.staleness <= allowed * (1 + 1e-12)
    if policy.strategy == "write-behind":
        assert wishes["may_queue"]
    if observed.keys >= 100:
        assert policy.jitter > 0


@given(observed=seen, staleness=bounds, wishes=wishes)
def test_each_reason_is_a_sentence_with_its_figures(
    observed: Observed, staleness: Any, wishes: dict[str, Any]
) -> None:
    advice = advise(observed, staleness, **wishes)
    assert advice == advise(observed, staleness, **wishes)
    assert len(set(advice.reasons)) == len(advice.reasons)
    for reason in advice.reasons:
        assert re.fullmatch(r"[A-Z0-9].*\.", reason)
        assert not re.search(r"\b(nan|inf|None)\b|e[+-]\d\d|\.\.", reason)
    assert str(advice).count("\n") == len(advice.reasons) - 1
    if advice.policy is not None:
        assert len(advice.reasons) >= 4
        assert 0.35 < advice.hit_ratio < 1


def lives(advice: Advice) -> float:
    return 0.0 if advice.policy is None else float(advice.policy.ttl or 0)


@given(
    observed=seen,
    staleness=bounds,
    wishes=wishes,
    more=st.floats(1, 1e4) | st.sampled_from([1.5, 2, 10]),
)
def test_more_writes_never_lead_to_a_longer_time(
    observed: Observed, staleness: Any, wishes: dict[str, Any], more: float
) -> None:
    assume(observed.writes_per_second > 0)
    busier = dataclasses.replace(observed, writes_per_second=more * observed.writes_per_second)
    before, after = advise(observed, staleness, **wishes), advise(busier, staleness, **wishes)
    if after.policy is not None and after.policy.strategy == "write-behind":
        # Writes that keep the database busy make it worth its price; a value whose age was the
        # bound, or that was not kept at all, is exact from then on.
        assume(before.policy is not None and before.exact)
    assert lives(after) <= lives(before)


@given(observed=seen, staleness=st.floats(0, DAY), more=st.floats(1, 100))
def test_more_staleness_never_leads_to_fewer_hits(
    observed: Observed, staleness: float, more: float
) -> None:
    plain = dataclasses.replace(observed, load_failures=0.0, writes_heard=False, load_seconds=None)
    assert advise(plain, more * staleness).hit_ratio >= advise(plain, staleness).hit_ratio


@given(observed=seen, staleness=bounds)
def test_no_queue_where_it_is_not_allowed(observed: Observed, staleness: Any) -> None:
    policy = advise(observed, staleness).policy
    assert policy is None or policy.strategy != "write-behind"


# --- What was seen


def counts(**numbers: Any) -> Counts:
    found: dict[str, Any] = dict.fromkeys(
        ["misses", "loads", "errors", "waits", "refused", "renewals", "stale"], 0
    )
    found |= {"name": "a", "hits": {"memory": 0, "redis": 0}, "stale_seconds": None}
    found |= {"time_saved": 0.0, "load_seconds": None, "store_seconds": {"redis": None}}
    return Counts(**found | numbers)


def test_two_moments_of_a_cache_make_what_was_seen() -> None:
    before = counts(hits={"memory": 100, "redis": 10}, misses=20, waits=5, loads=20, errors=1)
    after = counts(
        hits={"memory": 500, "redis": 50},
        misses=60,
        waits=25,
        loads=60,
        errors=3,
        writes=30,
        load_seconds=(0.1, 0.2, 0.3),
        write_seconds=(0.4, 0.5, 0.6),
        store_seconds={"redis": (0.001, 0.002, 0.003), "file": (0.002, 0.002, 0.003)},
    )
    assert Observed.of(after, 10, keys=7, before=before, value_bytes=9) == Observed(
        reads_per_second=50.0,
        writes_per_second=3.0,
        keys=7,
        load_seconds=(0.1, 0.2),
        write_seconds=(0.4, 0.5),
        store_seconds=0.002,
        load_failures=0.05,
        hit_ratio=0.88,
        value_bytes=9,
    )
    assert Observed.of(before, 10, keys=1).reads_per_second == 13.5
    quiet = Observed.of(before, 10, keys=1, before=before)
    assert (quiet.reads_per_second, quiet.load_failures, quiet.hit_ratio) == (0, 0, None)
    assert quiet.store_seconds == Observed(1).store_seconds
    assert (Observed(6, 3, keys=3).reads, Observed(6, 3, keys=3).writes) == (2, 1)


def test_it_comes_from_a_strategy_that_was_used() -> None:
    table = {1: "a"}
    source = FunctionSource(table.get, save=table.__setitem__)
    strategy = Policy(ttl="1m").build(Cache(), source, name="a")
    for _ in range(8):
        strategy.get(1)
    strategy.save(1, "b")
    observed = Observed.of(strategy.stats(), 4, keys=1)
    assert (observed.reads_per_second, observed.writes_per_second) == (2, 0.25)
    assert observed.hit_ratio == 7 / 8
    assert observed.load_seconds is not None
    policy = advise(observed, "10s").policy
    assert policy is not None
    assert policy.build(Cache(), source, name="a").get(1) == "b"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Observed(-1), "reads_per_second is -1; expected a number of 0 or more"),
        (lambda: Observed(1, float("nan")), "writes_per_second is nan"),
        (lambda: Observed(1, value_bytes=-3), "value_bytes is -3"),
        (lambda: Observed(1, load_failures=1.5), "load_failures is 1.5; expected a share"),
        (lambda: Observed(1, hit_ratio=-0.5), "hit_ratio is -0.5"),
        (lambda: Observed(1, load_seconds=(2, 1)), r"load_seconds is \(2, 1\); expected the 50th"),
        (lambda: Observed(1, write_seconds=(-1, 1)), "write_seconds is"),
        (lambda: Observed(1, keys=0), "keys is 0"),
        (lambda: Observed.of(counts(), 0, keys=1), "seconds is 0"),
        (lambda: Observed.of(counts(), 1, keys=1, before=counts(loads=3)), "the earlier moment"),
        (lambda: advise(Observed(1), -1), "not a duration"),
        (lambda: advise(Observed(1), patience="x"), "not a duration"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# --- Traffic


@dataclasses.dataclass
class Played:
    """What came of some traffic."""

    loads: int
    waited: int
    reads: int
    staleness: float

    @property
    def hit_ratio(self) -> float:
        return 1 - self.loads / self.reads


def play(policy: Policy, observed: Observed, seconds: float, skew: float = 0.0) -> Played:
    """Random reads and writes through a cache that keeps values as a policy says."""
    draw = random.Random(7)
    random.seed(7)  # for the jitter of the cache
    clock = FakeClock(0)
    changes: dict[int, list[float]] = {key: [0.0] for key in range(observed.keys)}
    loads = 0

    def load(key: int) -> int:
        nonlocal loads
        loads += 1
        return len(changes[key])

    source = FunctionSource(load, save=lambda key, _: changes[key].append(clock()))
    cache = Cache([MemoryTier(clock=clock)], background=lambda renew: renew())
    strategy = policy.build(cache, source, name="n", type=int | None)
    weights = [(key + 1) ** -skew for key in changes]
    both = observed.reads_per_second + observed.writes_per_second
    reads, stale, now = 0, 0.0, draw.expovariate(both)
    while now < seconds:
        clock.set(now)
        (key,) = draw.choices(range(observed.keys), weights)
        if draw.random() < observed.reads_per_second / both:
            reads += 1
            version = strategy.get(key)
            assert version is not None
            if version < len(changes[key]):
                stale = max(stale, now - changes[key][version])
        elif observed.writes_heard:
            strategy.save(key, len(changes[key]) + 1)
        else:
            changes[key].append(now)
        now += draw.expovariate(both)
    return Played(loads, strategy.stats().misses, reads, stale)


TRAFFIC = [
    (Observed(20, 1, 10, SLOW), 30.0, 600),
    (Observed(20, 1, 10, FAST), 30.0, 600),
    (Observed(20, 0.2, 10), 0.0, 600),
    (Observed(20, 2, 10, writes_heard=False), 10.0, 600),
    (Observed(20, 2, 10, (0.0, 0.5), load_failures=0.01, writes_heard=False), 90.0, 2000),
    (Observed(10, 30, 10), 20.0, 600),
    (Observed(50, 5, 200, SLOW), 60.0, 600),
]


@pytest.mark.parametrize(("observed", "allowed", "seconds"), TRAFFIC)
@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_what_is_advised_keeps_its_bound_and_its_word(
    observed: Observed, allowed: float, seconds: float, skew: float
) -> None:
    advice = advise(observed, allowed)
    assert advice.policy is not None
    played = play(advice.policy, observed, seconds, skew)
    assert played.staleness <= advice.staleness <= allowed
    if observed.writes_heard and advice.exact:
        assert played.staleness == 0
    elif advice.policy.ttl == allowed:
        assert played.staleness > allowed / 2  # the bound is used
    assert played.hit_ratio > advice.hit_ratio - 0.01


@pytest.mark.parametrize(("observed", "allowed", "seconds"), TRAFFIC)
def test_what_is_advised_beats_a_time_for_all(
    observed: Observed, allowed: float, seconds: float
) -> None:
    """A short time that keeps the bound has more loads, and a long one does not keep it."""
    advice = advise(observed, allowed)
    assert advice.policy is not None
    played = play(advice.policy, observed, seconds)
    strategy = "read-through" if advice.exact else "write-around"
    careful = play(Policy(strategy, ttl=(allowed or 30) / 3), observed, seconds)
    assert careful.staleness <= (allowed or 30) / 3
    assert played.loads < careful.loads
    careless = play(Policy("write-around", ttl=2 * seconds), observed, seconds)
    assert careless.staleness > allowed


@pytest.mark.parametrize(
    ("observed", "allowed"),
    [
        (Observed(20, 0, 10, SLOW), 0.0),
        (Observed(20, 0, 10, SLOW), 30.0),
        (Observed(20, 2, 10, (0.1, 0.2), **UNHEARD), 10.0),
        (Observed(20, 2, 10, (0.1, 0.2), load_failures=0.01, **UNHEARD), 90.0),
    ],
)
def test_hardly_anybody_waits_for_what_loads_slowly(observed: Observed, allowed: float) -> None:
    policy = advise(observed, allowed).policy
    assert policy is not None
    seconds = 20 * float(policy.ttl or 0)
    played = play(policy, observed, seconds)
    first = observed.keys  # loads that nothing can hide
    assert played.waited - first < (played.loads - first) / 5
    waiting = policy.but(strategy="read-through", refresh_ahead=0, stale_if_error=0)
    assert play(waiting, observed, seconds).waited > 5 * played.waited


def test_where_no_cache_is_advised_a_cache_has_more_misses_than_hits() -> None:
    observed = Observed(10, 30, 10)
    assert advise(observed, 0.5).policy is None
    assert play(Policy(ttl="1d"), observed, 600).hit_ratio < 0.5
    unheard = Observed(10, 1, 100, writes_heard=False)
    assert advise(unheard, 5).policy is None
    assert play(Policy(ttl=5), unheard, 600).hit_ratio < 0.5


def test_a_memory_that_nobody_shares_is_exact_for_its_process_alone() -> None:
    shared = advise(Observed(412, 0.2, keys=1_000, load_seconds=(0.02, 0.05)), "30s")
    alone = advise(Observed(412, 0.2, keys=1_000, load_seconds=(0.02, 0.05), shared=False), "30s")
    assert alone.policy == shared.policy
    assert (shared.exact, shared.staleness) == (True, 0)
    assert (alone.exact, alone.staleness) == (False, 240.05)
    assert "for one process: values are in memory alone" in alone.reasons[-1]
    assert "one process" not in str(shared)
    unheard = advise(Observed(412, 0.2, keys=1_000, writes_heard=False, shared=False), "30s")
    assert unheard.staleness <= 30
    assert "one process" not in str(unheard)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Observed(1, keys="many"), "keys is 'many'; expected how many keys there are"),  # type: ignore[arg-type]
        (lambda: Observed("often"), "reads_per_second is 'often'; expected a number"),  # type: ignore[arg-type]
        (lambda: Observed(1, hit_ratio="x"), "hit_ratio is 'x'; expected a share"),  # type: ignore[arg-type]
        (lambda: advise(Observed(1), -3), "staleness is not a duration: -3"),
        (lambda: advise(Observed(1), patience="fast"), "patience is not a duration: 'fast'"),
    ],
)
def test_what_is_no_figure_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
