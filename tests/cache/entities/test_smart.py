"""A smart cache as a whole: what reaches all of its caches, and how it is told what to do."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from labkit.cache import (
    Cache,
    FileTier,
    FunctionSource,
    Json,
    MemoryTier,
    NullTier,
    ReadThrough,
    SignedPickle,
)
from labkit.cache.curves import Sampler
from labkit.cache.entities import One
from labkit.cache.fragments import Fragments
from labkit.cache.hot import HotKeys
from labkit.cache.invalidation import Invalidations, entity, key, prefix, tag
from labkit.cache.panel import Panel
from labkit.cache.policies import InvalidPolicies, InvalidPolicy, Policies, Policy, Warm
from labkit.cache.smart import AsyncSmartCache, SmartCache
from labkit.cache.survey import survey
from tests.cache.entities.press import Article, AsyncDesk, Author, Desk, Press, Topic, declare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEAR = {"Article": Policy(tiers=["near"], tags=["site"]), "Author": Policy(tags=["site"])}


class Hub:
    """A smart cache of the press, whose methods are waited for; articles have tiers of their own.

    Attributes:
        smart: The cache.
        press: Where entities come from.
    """

    def __init__(self, runner: asyncio.Runner, path: Path, *, awaited: bool) -> None:
        kind: Any = AsyncSmartCache if awaited else SmartCache
        tiers = {"near": MemoryTier(), "far": FileTier(path / "cache.db")}
        self.smart = kind(tiers, namespace="press", policies=NEAR)
        self.press = Press()
        self._runner = runner
        declare(self.smart, self.press, AsyncDesk if awaited else Desk)

    def run(self, answer: Any) -> Any:
        return self._runner.run(_awaited(answer)) if inspect.isawaitable(answer) else answer

    def title(self, id: int) -> str:  # noqa: A002 - it is one
        return str(self.run(self.smart["Article"].get(id)).title)

    def name(self, id: int) -> str:  # noqa: A002 - it is one
        return str(self.run(self.smart["Author"].get(id)).name)

    def change(self) -> None:
        """Change an author and a story of theirs, past the cache."""
        self.press.authors[2] = Author(2, "Changed")
        self.press.articles[1].title = "Changed"


async def _awaited(answer: Any) -> Any:
    return await answer


@pytest.fixture
def hub(awaited: bool, tmp_path: Path) -> Iterator[Hub]:
    with asyncio.Runner() as runner:
        hub = Hub(runner, tmp_path, awaited=awaited)
        assert (hub.title(1), hub.name(2)) == ("Story 1", "Author 2")
        hub.run(hub.smart.cache.set("page", 1, tags=["site", entity("Article", 1)]))
        hub.change()
        assert (hub.title(1), hub.name(2)) == ("Story 1", "Author 2")
        yield hub
        hub.run(hub.smart.close())


# --- What is dropped in all caches


@pytest.mark.parametrize(
    ("what", "title", "name", "page"),
    [
        ({"tag": "site"}, "Changed", "Changed", None),
        ({"tag": "Article"}, "Changed", "Author 2", 1),
        ({"prefix": "Article:"}, "Changed", "Author 2", 1),
        ({"prefix": "Author:"}, "Story 1", "Changed", 1),
        ({"key": "Article:1"}, "Changed", "Author 2", 1),
        ({"key": "Author:2"}, "Story 1", "Changed", 1),
        ({"entity": ("Article", 1)}, "Changed", "Changed", None),  # authors show their articles
        ({"entity": ("Article", 2)}, "Changed", "Changed", 1),
        ({"entity": ("page", 1)}, "Story 1", "Author 2", 1),
    ],
)
def test_an_invalidation_reaches_entities_wherever_they_are_kept(
    hub: Hub, what: dict[str, Any], title: str, name: str, page: int | None
) -> None:
    hub.run(hub.smart.invalidate(**what))
    assert (hub.title(1), hub.name(2)) == (title, name)
    assert hub.run(hub.smart.cache.get("page", None)) == page


def test_rules_say_which_entities_are_old(hub: Hub) -> None:
    rules: Any = Invalidations(hub.smart)
    rules.on("edited")(lambda event: [entity("Article", event["id"])])
    rules.on("renamed")(lambda event: [tag("Author"), key("no"), prefix("no:")])
    assert hub.run(rules.tell({"name": "edited", "id": 1})) is True
    assert (hub.title(1), hub.name(2)) == ("Changed", "Changed")
    assert hub.run(hub.smart.cache.get("page", None)) is None
    hub.press.authors[2] = Author(2, "Again")
    hub.run(rules.tell_all([{"name": "renamed"}, {"name": "edited", "id": 5}]))
    assert hub.name(2) == "Again"


def test_rules_over_a_part_of_a_smart_cache_would_miss_entities(hub: Hub) -> None:
    for part in hub.smart.caches:
        with pytest.raises(TypeError, match=r"is a part of a smart cache.*pass the smart cache"):
            Invalidations(part)


def test_a_source_that_fails_keeps_no_other_entity(hub: Hub) -> None:
    """Where relations lead is asked of the sources; one that is away stops nothing else."""
    rules: Any = Invalidations(hub.smart)
    rules.on("edited")(lambda event: [entity("Author", 3), entity("Article", 1)])
    desk = hub.smart["Article"].source
    read = desk.read

    def fail(id: int) -> Any:  # noqa: A002 - it is one
        raise OSError("the database is away")

    desk.read = fail
    with pytest.raises(OSError, match="is away"):
        hub.run(rules.tell("edited"))
    desk.read = read
    assert hub.title(1) == "Changed"


def test_a_session_asks_again(hub: Hub) -> None:
    with hub.smart.session():
        assert hub.title(1) == "Story 1"
        hub.run(hub.smart.invalidate(tag="site"))
        assert hub.title(1) == "Changed"
        hub.press.articles[1].title = "Again"
        assert hub.title(1) == "Changed"
        hub.run(hub.smart.clear())
        assert hub.title(1) == "Again"


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ({}, "got nothing; expected one of key=, tag="),
        ({"tag": "a", "key": "b"}, "got key, tag; expected one"),
        ({"entity": "Article:1"}, "entity is 'Article:1'; expected a kind and an id"),
        ({"tag": 3}, "tag is 3; expected a text"),
        ({"prefix": ""}, r"prefix is empty; clear\(\) drops everything"),
    ],
)
def test_an_invalidation_names_one_thing(hub: Hub, what: dict[str, Any], problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        hub.run(hub.smart.invalidate(**what))
    assert hub.title(1) == "Story 1"


# --- What is counted


def test_each_cache_samples_its_own_reads() -> None:
    sampler, hot = Sampler(100, rate=0.5), HotKeys(7)
    policies = {"Article": Policy(tiers=["near"])}
    tiers: dict[str, Any] = {"near": MemoryTier(), "far": NullTier()}
    with SmartCache(tiers, policies=policies, curves=sampler, hot_keys=hot) as smart:
        declare(smart, Press())
        for _ in range(3):
            smart["Author"].get(1)
        near: Any = smart["Article"].engine
        far: Any = smart["Author"].engine
        assert (near.stats().curves.total.requests, far.stats().curves.total.requests) == (0, 3)
        assert [each.key for each in near.stats().hot] == []
        assert [each.key for each in far.stats().hot] == ["Author:1"]
        assert far.curves is sampler
        assert far.hot is hot
        assert (near.curves.most, near.curves.rate) == (100, 0.5)
        assert near.hot.most == 7


def test_a_panel_shows_all_caches_also_later_ones() -> None:
    with SmartCache([MemoryTier(), NullTier()], policies={"Topic": {"tiers": ["memory"]}}) as smart:
        panel = Panel(smart)
        assert "cache/memory" not in str(panel)
        declare(smart, Press())
        smart["Topic"].get(1)
        assert "cache: tiers" in str(panel)
        assert "cache/memory: tiers" in str(panel)


def test_where_a_plain_cache_works_a_smart_one_is_refused_at_once() -> None:
    with SmartCache() as smart:
        given: Any = smart
        for take in (
            lambda: ReadThrough(given, FunctionSource(str), name="x"),
            lambda: Fragments(given),
            lambda: survey(given),
            lambda: Policy().build(given, FunctionSource(str), name="x"),
        ):
            with pytest.raises(TypeError, match=r"<SmartCache .*pass its \.cache"):
                take()
    nothing: Any = "smart"
    with pytest.raises(TypeError, match="'smart' is no cache; expected a Cache, a SmartCache"):
        Invalidations(nothing)


# --- How it is told what to do

FILE = """\
[defaults]
tiers = ["memry"]
ttl = "10x"

[entity.Article]
tiers = ["null", "memory"]

[entity.Author]
jitter = 0.1

[entity."An other"]
tiers = ["memory", "disk"]
"""


def test_tiers_are_told_with_all_else_that_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.toml"
    path.write_text(FILE)
    with pytest.raises(InvalidPolicies) as caught:
        SmartCache([MemoryTier(), NullTier()], policies=path)
    assert str(caught.value).splitlines() == [
        f'{path}:2: defaults.tiers has "memry", and there is no such tier; expected some of '
        '"memory", "null". Did you mean "memory"?',
        f'{path}:3: defaults.ttl is "10x"; expected a duration above 0 such as "10m", "90s" or '
        '"2h5m", or seconds as a number, or None ("none" in a file). The units are d, h, m, s and '
        "ms, the largest first.",
        f'{path}:6: entity.Article.tiers has "memory" behind another tier; expected memory first, '
        'and once. Write "memory" first.',
        f'{path}:12: entity."An other".tiers has "disk", and there is no such tier; expected some '
        'of "memory", "null". Write one of these.',
    ]
    path.write_text(FILE.replace("10x", "10s"))
    with pytest.raises(InvalidPolicies, match=r"cache\.toml:6: entity\.Article\.tiers has"):
        SmartCache([MemoryTier(), NullTier()], policies=Policies.read(path))


def test_tiers_of_policies_in_python_are_told_at_once_too() -> None:
    policies: Any = {
        "Article": Policy(tiers=["memry"]),
        "Author": {"tiers": ["disk"]},
        "Tag": Policy(),
    }
    for given in (policies, Policies(policies)):
        with pytest.raises(InvalidPolicies) as caught:
            SmartCache(policies=given)
        assert [each.where for each in caught.value.errors] == [
            "entity.Article.tiers",
            "entity.Author.tiers",
        ]
    with pytest.raises(InvalidPolicies, match=r"^defaults\.tiers has"):
        SmartCache(policies=Policies(policies, Policy(tiers=["memry"])))


@pytest.mark.parametrize("read", [False, True])
def test_options_hold_where_a_file_says_nothing(tmp_path: Path, read: bool) -> None:
    path = tmp_path / "cache.toml"
    path.write_text('[defaults]\njitter = 0.1\n[entity.Topic]\nttl = "1h"\n')
    given = Policies.read(path) if read else path
    with SmartCache(policies=given, ttl="7s", jitter=0.5, errors={KeyError: 3}) as smart:
        declare(smart, Press())
        assert smart["Author"].policy == Policy(ttl=7, jitter=0.1)
        assert smart["Topic"].policy == Policy(ttl=3600, jitter=0.1)
    with pytest.raises(InvalidPolicies, match=r"cache\.toml:1: defaults\.early is 1, and there"):
        SmartCache(policies=given, early=1.0)


def test_options_hold_where_python_says_nothing() -> None:
    with SmartCache(policies=Policies({"Topic": {"ttl": "1h"}}), ttl="7s", jitter=0.5) as smart:
        declare(smart, Press())
        assert smart["Author"].policy == Policy(ttl=7, jitter=0.5)
        assert smart["Topic"].policy == Policy(ttl=3600, jitter=0.5)
    with SmartCache(policies=Policies(None, Policy(ttl="1h")), ttl="7s") as smart:
        declare(smart, Press())
        assert smart["Author"].policy == Policy(ttl=3600)


def test_a_mapping_of_options_is_a_policy() -> None:
    own = {"ttl": "3s", "warm": {"keys": "a.txt"}}
    with SmartCache(policies={"Topic": own}, jitter=0.1) as smart:
        press = Press()
        topics = smart.entity(Topic, Desk(press, "topic", press.topics))
        authors = smart.entity(
            Author, Desk(press, "author", press.authors), policy={"strategy": "write-through"}
        )
        assert topics.policy == Policy(ttl=3, jitter=0.1, warm=Warm(keys="a.txt"))
        assert authors.policy == Policy("write-through", jitter=0.1)
        for policy, problem in (
            ({"ttll": 3}, "the policy of Article.ttll is no option of a policy.*mean ttl"),
            ("10m", 'the policy of Article is "10m"; expected a Policy'),
        ):
            given: Any = policy
            with pytest.raises(InvalidPolicy, match=problem):
                smart.entity(Article, Desk(press, "article", press.articles), policy=given)
        assert [each.name for each in smart] == ["Topic", "Author"]


@pytest.mark.parametrize(
    ("policies", "problem"),
    [
        (
            {"Topic": {"tll": 3}},
            r"^entity\.Topic\.tll is no option of a policy.*Did you mean ttl\?",
        ),
        ({"Topic": {"ttl": -3}}, r"^entity\.Topic\.ttl is -3; expected a duration"),
        (
            {"Topic": {"warm": {"kesy": "a"}}},
            r"^entity\.Topic\.warm\.kesy is no.*Did you mean keys",
        ),
        ({"Topic": {"warm": "a.txt"}}, r'^entity\.Topic\.warm is "a\.txt"; expected a Warm'),
        (
            {"Topic": "10m"},
            r'^entity\.Topic is "10m"; expected a Policy.*Write Policy\(ttl="10m"\)',
        ),
    ],
)
def test_a_mapping_that_is_no_policy_is_refused(policies: Any, problem: str) -> None:
    with pytest.raises(InvalidPolicy, match=problem):
        SmartCache(policies=policies)


def test_policies_are_of_the_kinds_that_they_may_be() -> None:
    nothing: Any = 3
    with pytest.raises(TypeError, match="policies is 3; expected Policies, a mapping of them, or"):
        SmartCache(policies=nothing)


def test_a_policy_of_nobody_is_told_where_that_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "cache.toml"
    path.write_text('[entity.Artcle]\nttl = 3\n[entity.Author]\n\n[entity."x y"]\nttl = 3\n')
    with SmartCache(policies=path) as smart:
        declare(smart, Press())  # another program may declare the others
        assert smart.warm() == {}
        with pytest.raises(InvalidPolicies) as caught:
            smart.check()
    assert str(caught.value).splitlines() == [
        f"{path}:1: entity.Artcle is of no entity that is declared; expected Author, Article, "
        "Page or Topic. Did you mean Article?",
        f'{path}:5: entity."x y" is of no entity that is declared; expected Author, Article, Page '
        "or Topic. Declare it, or take its policy out.",
    ]
    with SmartCache(policies={"Author": Policy()}) as smart:
        with pytest.raises(InvalidPolicies, match=r"^entity\.Author is .*expected none so far"):
            smart.check()
        declare(smart, Press())
        smart.check()


def test_a_check_asks_where_relations_lead() -> None:
    with SmartCache() as smart:
        press = Press()
        lone = Desk(press, "author", press.authors)
        smart.entity(Author, lone, relations={"a": One(to="Article", field="latest")})
        with pytest.raises(LookupError, match=r"Author\.a leads to 'Article', which is not decl"):
            smart.check()


class Note(msgspec.Struct, frozen=True):
    id: int


@pytest.mark.parametrize("serializer", [Json(), "json"])
def test_a_serializer_holds_for_entities_and_all_else(tmp_path: Path, serializer: Any) -> None:
    tiers = [FileTier(tmp_path / "cache.db")]
    with SmartCache(tiers, namespace="n", serializer=serializer) as smart:
        notes = smart.entity(Note, FunctionSource(Note))
        assert (notes.get(1), notes.get(1)) == (Note(1), Note(1))
        assert notes.policy.serializer == "json"
        smart.cache.set("a", {"b": 1})
        assert smart.cache.get("a") == {"b": 1}
    with Cache([FileTier(tmp_path / "cache.db")], namespace="n", serializer=Json()) as plain:
        assert plain.get("a") == {"b": 1}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"ttl": lambda _: 3}, r"^ttl is <function .*expected a time, since policies are data"),
        ({"serializer": SignedPickle(b"k" * 32)}, '^serializer is .*expected "msgpack", "json" or'),
        ({"serializer": "jso"}, 'Did you mean "json"'),
        ({"ttll": 3}, "^there is no option 'ttll'; did you mean 'ttl'"),
        ({"ttl": -1}, "^ttl is -1; expected a duration"),
    ],
)
def test_an_option_that_entities_cannot_have_is_refused(
    options: dict[str, Any], problem: str
) -> None:
    for policies in (None, "[defaults]\n"):
        with pytest.raises((TypeError, ValueError), match=problem):
            SmartCache(policies=policies, **options)


def test_an_option_that_is_not_there_is_named_for_a_call() -> None:
    with SmartCache() as smart:
        notes: Any = smart.entity(Note, FunctionSource(Note))
        notes.get(2)
        with pytest.raises(TypeError, match="there is no option 'tll'; did you mean 'ttl'"):
            notes.get(2, tll="1m")
        with pytest.raises(TypeError, match="there is no option 'x'; expected ttl, jitter, "):
            notes.get(2, x=1)
        with pytest.raises(ValueError, match=r"^ttl is not a duration: -1; expected"):
            notes.get(2, ttl=-1)
        with pytest.raises(ValueError, match=r"^stale_if_error is not a duration: 'x'"):
            notes.get(2, stale_if_error="x")
        with pytest.raises(TypeError, match="not supported between"):
            notes.get(2, jitter="x")
