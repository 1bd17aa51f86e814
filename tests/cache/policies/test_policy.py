"""A policy: what it takes, what it refuses and how it says so, and the strategy that it makes."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

import labkit
from labkit.cache import (
    AsyncCache,
    Cache,
    CacheAside,
    Coalesced,
    Json,
    Limited,
    MemoryTier,
    MessagePack,
    Raw,
    ReadThrough,
    RedisTier,
    RefreshAhead,
    WriteAround,
    WriteBehind,
    WriteThrough,
)
from labkit.cache.known import KnownSet
from labkit.cache.policies import InvalidPolicy, Limits, Policy, Queue, Warm
from labkit.clock import FakeClock
from tests.cache.policies import drawn
from tests.cache.table import Article, AsyncTable, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.options import Options


def refusal(make: Callable[[], object]) -> InvalidPolicy:
    with pytest.raises(InvalidPolicy) as caught:
        make()
    return caught.value


# --- Values


def test_without_options_it_is_a_cache_without_options() -> None:
    policy = Policy()
    options = Cache()._options
    kept = policy.keeping()
    assert type(kept.pop("serializer")) is type(options.serializer)
    assert kept == {name: getattr(options, name) for name in kept}


def test_times_are_kept_as_seconds_so_that_equal_policies_are_equal() -> None:
    assert Policy(ttl="10m", lease="1s") == Policy(ttl=600, lease=1.0)
    assert hash(Policy(ttl="10m", tags=["a"])) == hash(Policy(ttl=600, tags=("a",)))
    assert Policy(ttl="10m").ttl == 600.0
    assert Policy(negative_ttl=0).negative_ttl == 0.0
    assert Policy(negative_ttl="same").negative_ttl == "same"
    assert Warm(rate=5) == Warm(rate=5.0)


def test_it_can_be_copied_and_pickled() -> None:
    policy = Policy(ttl=3, warm=Warm(rate=2), limits=Limits(at_once=3))
    assert copy.deepcopy(policy) == pickle.loads(pickle.dumps(policy)) == policy


@given(drawn.options)
def test_whatever_is_accepted_is_accepted_again(options: dict[str, Any]) -> None:
    try:
        policy = drawn.policy(options)
    except InvalidPolicy:
        return
    assert policy.but() == policy
    assert Policy(**{name: getattr(policy, name) for name in Policy.options}) == policy


@given(drawn.options)
def test_whatever_is_accepted_makes_a_strategy_that_reads(options: dict[str, Any]) -> None:
    try:
        policy = drawn.policy(options)
    except InvalidPolicy:
        return
    if policy.strategy == "write-behind":
        policy = policy.but(strategy="write-through", queue=None)
    source = Table({1: b"one"})
    with Cache([MemoryTier()]) as cache:
        strategy = policy.build(cache, source, name="article", type=bytes | None)
        assert strategy.get(1) == b"one"
        assert strategy.get(2) is None
        strategy.invalidate(1)


# --- What is refused

WRONG: list[tuple[Any, dict[str, Any], str, str, str]] = [
    (Policy, {"strategy": "write-thru"}, "strategy", '"write-around"', '"write-through"?'),
    (Policy, {"strategy": "Read_Through"}, "strategy", "expected", '"read-through"?'),
    (Policy, {"strategy": 3}, "strategy", "is 3; expected", "read-through"),
    (Policy, {"strategy": "xyz"}, "strategy", '"xyz"; expected', "read-through"),
    (Policy, {"ttl": "10x"}, "ttl", 'is "10x"; expected a duration', "units are d, h, m"),
    (Policy, {"ttl": "10 minutes"}, "ttl", "expected a duration", 'Did you mean "10m"?'),
    (Policy, {"ttl": "1.5 hrs"}, "ttl", "expected a duration", 'Did you mean "1.5h"?'),
    (Policy, {"ttl": "20sec."}, "ttl", "expected a duration", 'Did you mean "20s"?'),
    (
        Policy,
        {"ttl": 0},
        "ttl",
        "is 0; expected a duration above 0",
        'Write a longer one, such as "1s"',
    ),
    (Policy, {"ttl": -5}, "ttl", "is -5", "Write 5"),
    (Policy, {"ttl": True}, "ttl", "is True", "units"),
    (Policy, {"ttl": float("nan")}, "ttl", "is nan", "units"),
    (Policy, {"ttl": lambda _: 3}, "ttl", "expected a duration", "units"),
    (Policy, {"jitter": 10}, "jitter", "is 10; expected a share", "Did you mean 0.1"),
    (Policy, {"jitter": 1.0}, "jitter", "is 1; expected a share", "Did you mean 0.01"),
    (Policy, {"jitter": "10%"}, "jitter", 'is "10%"', "Write 0.1, without quotes"),
    (Policy, {"jitter": "little"}, "jitter", 'is "little"', "without quotes"),
    (Policy, {"jitter": -0.1}, "jitter", "is -0.1", "Write 0.1"),
    (Policy, {"jitter": float("nan")}, "jitter", "is nan", "a share"),
    (Policy, {"negative_ttl": "some"}, "negative_ttl", 'or "same"', "units"),
    (Policy, {"stale_while_revalidate": None}, "stale_while_revalidate", "is None", "units"),
    (Policy, {"stale_if_error": -1}, "stale_if_error", "is -1", "Write 1"),
    (Policy, {"refresh_ahead": 20}, "refresh_ahead", "is 20", "Did you mean 0.2"),
    (Policy, {"early": -1}, "early", "is -1; expected a number of 0 or more", "Write 1"),
    (Policy, {"early": float("inf")}, "early", "is inf", "number"),
    (Policy, {"tiers": "memory"}, "tiers", 'is "memory"; expected several', 'Write ["memory"]'),
    (Policy, {"tiers": ["a", "a"]}, "tiers", "expected several", "twice"),
    (Policy, {"tags": ["a", 3]}, "tags", "expected several tags", "texts"),
    (Policy, {"tags": [""]}, "tags", "expected several tags", "not empty"),
    (Policy, {"tags": {"a": 1}}, "tags", "expected several tags", "texts"),
    (Policy, {"tags": 7}, "tags", "is 7", "texts"),
    (Policy, {"serializer": "jsn"}, "serializer", "expected", '"json"?'),
    (Policy, {"serializer": Json()}, "serializer", "expected", "msgpack"),
    (Policy, {"compress_over": -1}, "compress_over", "of 0 or more", "Write 0"),
    (Policy, {"compress_over": True}, "compress_over", "is True", "quotes"),
    (Policy, {"copy": "no"}, "copy", 'is "no"; expected True or False', "no quotes"),
    (Policy, {"copy": 0}, "copy", "is 0", "no quotes"),
    (Policy, {"lease": "0s"}, "lease", 'is "0s"', 'Write a longer one, such as "1s"'),
    (Warm, {"on_start": True}, "warm.on_start", "there are no keys", 'Write keys = "warm'),
    (Policy, {"lease": None}, "lease", "is None", "units"),
    (Policy, {"lease": 0}, "lease", "is 0", 'Write a longer one, such as "1s"'),
    (Policy, {"warm": {"rate": 3}}, "warm", "expected a Warm", "Write Warm("),
    (Policy, {"limits": True}, "limits", "expected a Limits", "Write Limits("),
    (Policy, {"queue": 10}, "queue", "expected a Queue", "Write Queue("),
    (Warm, {"rate": 0}, "warm.rate", "is 0; expected a number above 0", "number"),
    (Warm, {"rate": "5"}, "warm.rate", 'is "5"', "Write 5, without quotes"),
    (Warm, {"batch": 0}, "warm.batch", "a whole number of 1 or more", "Write 1"),
    (Warm, {"batch": 1.5}, "warm.batch", "is 1.5", "without a point"),
    (Warm, {"keys": 3}, "warm.keys", "is 3; expected the path", "Write one"),
    (Warm, {"keys": ""}, "warm.keys", 'is ""', "Write one"),
    (Warm, {"on_start": 1}, "warm.on_start", "is 1", "no quotes"),
    (Limits, {"at_once": 0}, "limits.at_once", "of 1 or more", "Write 1"),
    (Limits, {"at_once": 1, "wait": -1}, "limits.wait", "is -1", "Write 1"),
    (Limits, {"timeout": 0}, "limits.timeout", "is 0", 'Write a longer one, such as "1s"'),
    (Limits, {"coalesce": "many"}, "limits.coalesce", 'is "many"', "without quotes"),
    (Queue, {"depth": 0}, "queue.depth", "of 1 or more", "Write 1"),
    (Queue, {"batch": 6000}, "queue.batch", "from 1 up to 5,000", "Write 5000"),
    (Queue, {"attempts": 0}, "queue.attempts", "is 0", "Write 1"),
    (Queue, {"ownership": 0}, "queue.ownership", "is 0", 'Write a longer one, such as "1s"'),
]


@pytest.mark.parametrize(("kind", "options", "where", "problem", "fix"), WRONG)
def test_a_wrong_value_is_named_with_what_was_expected_and_a_fix(
    kind: Any, options: dict[str, Any], where: str, problem: str, fix: str
) -> None:
    error = refusal(lambda: kind(**options))
    assert error.where == where
    assert problem in error.problem
    assert fix in error.fix
    assert str(error) == f"{where} {error.problem}. {error.fix}"
    assert error.fix[0].isupper()
    assert error.fix[-1] in ".?"


def test_every_option_is_refused_once_at_least() -> None:
    tried = {(kind, name) for kind, options, *_ in WRONG for name in options}
    for kind in (Policy, Warm, Limits):
        assert {name for who, name in tried if who is kind} == set(kind.options), kind
    assert {name for who, name in tried if who is Queue} == set(Queue.options) - {"wait"}


TOGETHER: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"strategy": "cache-aside", "ttl": 9, "early": 1}, "early", {"early": 0}),
    (
        {"strategy": "cache-aside", "ttl": 9, "refresh_ahead": 0.2},
        "refresh_ahead",
        {"strategy": "read-through"},
    ),
    (
        {"strategy": "cache-aside", "ttl": 9, "stale_if_error": 3},
        "stale_if_error",
        {"stale_if_error": 0},
    ),
    ({"stale_while_revalidate": "1m"}, "stale_while_revalidate", {"ttl": "10m"}),
    ({"stale_if_error": "1m"}, "stale_if_error", {"stale_if_error": 0}),
    ({"refresh_ahead": 0.2}, "refresh_ahead", {"ttl": "10m"}),
    ({"early": 1.0}, "early", {"ttl": "10m"}),
    ({"strategy": "refresh-ahead"}, "strategy", {"ttl": "10m"}),
    ({"strategy": "write-around"}, "ttl", {"ttl": "1m"}),
    ({"strategy": "write-around", "ttl": 3, "negative_ttl": None}, "negative_ttl", {"ttl": "1m"}),
    ({"strategy": "write-behind", "tiers": ["memory"]}, "tiers", {"tiers": ["memory", "redis"]}),
    ({"queue": Queue()}, "queue", {"strategy": "write-behind"}),
    ({"strategy": "write-through", "queue": Queue(depth=3)}, "queue", {"queue": None}),
]


@pytest.mark.parametrize(("options", "where", "mended"), TOGETHER)
def test_what_does_not_go_together_is_refused_and_its_fix_works(
    options: dict[str, Any], where: str, mended: dict[str, Any]
) -> None:
    error = refusal(lambda: Policy(**options))
    assert error.where == where
    name = next(iter(mended))
    assert name in error.fix
    fixed = options | mended
    if where == "negative_ttl":
        fixed = options | {"negative_ttl": "1m"}
        assert "negative_ttl" in error.fix
    assert isinstance(Policy(**fixed), Policy)


def test_limits_that_limit_nothing_are_refused() -> None:
    error = refusal(lambda: Limits(wait=3))
    assert str(error).startswith("limits has no at_once, timeout or coalesce")
    assert Limits(timeout=3) != Limits(at_once=8)


def test_everything_that_is_wrong_is_told() -> None:
    error = refusal(lambda: Policy(ttl="soon", jitter=3, copy=1))  # type: ignore[arg-type]
    assert [each.where for each in (error, *error.others)] == ["ttl", "jitter", "copy"]
    error = refusal(lambda: Policy(early=1, stale_if_error=3, queue=Queue()))
    wrong = [each.where for each in (error, *error.others)]
    assert wrong == ["stale_if_error", "early", "queue"]


def test_but_checks_again_and_knows_its_options() -> None:
    policy = Policy(ttl="10m", stale_if_error="1h")
    assert policy.but(jitter=0.1) == Policy(ttl="10m", stale_if_error="1h", jitter=0.1)
    assert policy.jitter == 0
    assert refusal(lambda: policy.but(ttl=None)).where == "stale_if_error"
    error = refusal(lambda: policy.but(tll="10m"))
    assert (error.where, error.fix) == ("tll", "Did you mean ttl?")
    assert "expected strategy, ttl, jitter" in error.problem


def test_an_error_can_be_pickled() -> None:
    error = refusal(lambda: Policy(ttl="10x"))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.where == "ttl"


# --- The strategy that it makes


def test_keeping_is_what_a_cached_function_takes_too() -> None:
    clock = FakeClock(0)
    cache = Cache([MemoryTier(clock=clock)])
    policy = Policy(ttl="10m", serializer="json", compress_over=None, copy=False)
    loads = []
    how = policy.keeping()
    how.pop("compress_over")

    @cache.cached(key="f:{n}", **how)
    def f(n: int) -> list[int]:
        loads.append(n)
        return [n]

    assert f(1) is f(1)
    clock.advance(599)
    f(1)
    assert loads == [1]
    clock.advance(1)
    f(1)
    assert loads == [1, 1]


@pytest.mark.parametrize(("name", "kind"), [("msgpack", MessagePack), ("json", Json), ("raw", Raw)])
def test_serializers_have_names(name: str, kind: type) -> None:
    assert type(Policy(serializer=name).keeping()["serializer"]) is kind


KINDS = {
    "cache-aside": CacheAside,
    "read-through": ReadThrough,
    "refresh-ahead": RefreshAhead,
    "write-through": WriteThrough,
    "write-around": WriteAround,
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("awaited", [False, True])
def test_a_strategy_of_its_class_reads_and_writes(name: str, awaited: bool) -> None:
    policy = Policy(name, ttl="10m", jitter=0.5, lease=3, compress_over=7)
    cache: Any = AsyncCache() if awaited else Cache()
    table = AsyncTable() if awaited else Table()
    build: Any = policy.build
    strategy = build(cache, table, name="article", type=Article | None)
    assert type(strategy).__name__ == KINDS[name].__name__
    options: Options = strategy._options
    assert (options.ttl, options.jitter, options.lease) == (600, 0.5, 3)
    assert options.compress_over == 7

    async def use() -> list[Any]:
        new = Article(1, "New")
        return [await strategy.get(1), await strategy.save(1, new), await strategy.refresh(1)]

    if awaited:
        found = asyncio.run(use())
    else:
        found = [strategy.get(1), strategy.save(1, Article(1, "New")), strategy.refresh(1)]
    assert found == [Article(1, "Story 1"), None, Article(1, "New")]


def test_refresh_ahead_loads_in_the_last_share() -> None:
    clock = FakeClock(0)
    for policy, due in ((Policy("refresh-ahead", ttl=100), 80), (Policy(ttl=100), 100)):
        cache = Cache([MemoryTier(clock=clock)], background=lambda load: load())
        table = Table()
        strategy = policy.build(cache, table, name="article", type=Article | None)
        strategy.get(1)
        clock.advance(due - 1)
        strategy.get(1)
        assert len(table.asked) == 1
        clock.advance(2)
        strategy.get(1)
        assert len(table.asked) == 2
    assert Policy("refresh-ahead", ttl=9).ahead == 0.2
    assert Policy("refresh-ahead", ttl=9, refresh_ahead=0.5).ahead == 0.5
    assert Policy(ttl=9, refresh_ahead=0.5).keeping()["refresh_ahead"] == 0.5


def test_write_behind_takes_the_queue_and_more() -> None:
    with Cache([MemoryTier(), RedisTier(labkit.connect("fake://"))], namespace="behind") as cache:
        policy = Policy("write-behind", ttl="10m", queue=Queue(depth=2, batch=7, attempts=3))
        table = Table()
        strategy: Any = policy.build(
            cache, table, name="article", type=Article | None, retry_on=[KeyError]
        )
        assert type(strategy) is WriteBehind
        applying = strategy._crew._how
        assert (applying.batch, applying.attempts, applying.lease) == (7, 3, 10)
        assert applying.retry_on == (KeyError,)
        strategy.save(1, Article(1, "New"))
        assert table.rows[1].title == "Story 1"
        assert strategy.get(1).title == "New"
        assert strategy.drain()
        assert table.rows[1].title == "New"


def test_write_behind_without_redis_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match="give it a RedisTier as its last tier"):
        Policy("write-behind").build(Cache(), Table(), name="article")


def test_tags_of_the_policy_and_of_the_strategy_come_together() -> None:
    for tags in (["b", "a"], lambda key: ["b", "a"]):
        cache = Cache()
        strategy = Policy(tags=["a", "c"]).build(cache, Table(), name="article", tags=tags)
        assert set(strategy._tags_of(1)) == {"a", "b", "c"}
        assert len(strategy._tags_of(1)) == 3
        strategy.get(1)
        cache.invalidate(tag="c")
        strategy.get(1)
        assert strategy.stats().loads == 2
    plain = Policy().build(Cache(), Table(), name="article", tags=lambda key: [f"t:{key}"])
    assert plain._tags_of(3) == ("t:3",)


def test_tags_that_are_one_text_are_refused() -> None:
    with pytest.raises(TypeError, match="tags is the text 'site'"):
        Policy(tags=["a"]).build(Cache(), Table(), name="article", tags="site")


def test_known_keys_are_passed_on() -> None:
    table = Table()
    strategy = Policy().build(Cache(), table, name="article", known=KnownSet(["1"]))
    assert strategy.get(2) is None
    assert table.asked == []


# --- Limits


def test_without_limits_a_source_is_left_as_it_is() -> None:
    table = Table()
    assert Policy().source(table) is table


def test_limits_are_put_around_it_and_a_batch_takes_one_place() -> None:
    table = Table()
    source: Any = Policy(limits=Limits(at_once=2, wait=3, timeout=4, coalesce=5)).source(table)
    assert type(source) is Coalesced
    assert source._most == 5
    assert type(source.source) is Limited
    assert (source.source._at_once, source.source._wait, source.source._timeout) == (2, 3, 4)
    assert source.source.source is table
    assert source.load(1) == Article(1, "Story 1")
    assert table.asked == [[1]]


def test_a_timeout_alone_limits_nothing_else() -> None:
    source: Any = Policy(limits=Limits(timeout="1h")).source(Table())
    assert type(source) is Limited
    assert [source.load(n) for n in (1, 2)] == [Article(1, "Story 1"), Article(2, "Story 2")]
    assert source._at_once > 10**9


def test_a_strategy_reads_through_the_limits() -> None:
    table = Table()
    policy = Policy(limits=Limits(coalesce=10))
    strategy = policy.build(Cache(), table, name="article", type=Article | None)
    assert isinstance(strategy.source, Coalesced)
    assert strategy.get(1) == Article(1, "Story 1")
    assert table.asked == [[1]]
