"""Invalidation by entity and by event, what is counted of it, and what it costs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from labkit import CommandLog
from labkit.cache import MISSING, Cache, MemoryTier, RedisTier
from labkit.cache.backends.file import FileTier
from labkit.cache.errors import Unavailable
from labkit.cache.invalidation import Invalidations, RuleFailed, entity, key, prefix, tag
from labkit.clock import FakeClock
from tests.cache.conftest import Awaited, Bed
from tests.cache.crowd import in_threads, until
from tests.cache.dict_store import DictTier
from tests.scale import times

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.course.bench import Bench

some = pytest.mark.parametrize("bed", ["memory", "dict", "memory+server"], indirect=True)


# --- Entities


@pytest.mark.parametrize("number", [4, "4", "ada", (1, "x"), None, 2.5])
def test_an_entity_drops_every_value_that_shows_it_and_no_other(bed: Bed, number: Any) -> None:
    cache, other = bed.cache(), bed.cache()
    cache.set_many({"article:1": 1, "article:2": 2}, tags=[entity("author", number)])
    cache.set("article:3", 3, tags=[entity("author", f"not {number}"), entity("section", number)])
    assert len(other.get_many(["article:1", "article:2", "article:3"])) == (
        3 if bed.has_store else 0
    )
    cache.invalidate(entity=("author", number))
    assert cache.get_many(["article:1", "article:2", "article:3"]) == {"article:3": 3}
    assert set(bed.cache().get_many(["article:1", "article:2"])) == set()


def test_a_template_makes_the_same_tag(bed: Bed) -> None:
    def article(number: int, author: Any) -> str:
        return f"{number} by {author}"

    cache = bed.cache()
    cached = bed.cached(cache, article, tags=["author:{author}"])
    for author in (4, "4", "ada", "a b", "x" * 300):
        cached(1, author)
        cached(2, author)
        loads = cached.stats().loads
        cache.invalidate(entity=("author", author))
        cached(1, author)
        assert cached.stats().loads == loads + 1
    cache.invalidate(entity=("author", 4))
    loads = cached.stats().loads
    cached(1, "4")
    assert cached.stats().loads == loads


ids = st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.none(), st.floats())


@given(a=st.tuples(st.sampled_from(["author", "tag"]), ids), b=st.tuples(st.just("author"), ids))
def test_two_entities_have_two_tags(a: tuple[str, Any], b: tuple[str, Any]) -> None:
    same = repr(a) == repr(b)
    assert (entity(*a) == entity(*b)) is same


@pytest.mark.parametrize("kind", ["", "a:b", "a b", "a#", "\n", 4, None])
def test_a_kind_is_a_plain_text(kind: Any) -> None:
    with pytest.raises(ValueError, match="the kind of an entity is"):
        entity(kind, 1)


def test_targets_are_texts_that_are_not_empty() -> None:
    for make in (key, tag, prefix):
        with pytest.raises(ValueError, match=r"is empty; clear.. drops everything"):
            make("")
        with pytest.raises(TypeError, match="is 3; expected a text"):
            make(3)  # type: ignore[arg-type]
    assert repr([key("a"), tag("b"), prefix("c:")]) == "[key('a'), tag('b'), prefix('c:')]"


# --- Events


@dataclasses.dataclass(frozen=True)
class Added:
    article_id: int
    reader: str = "ada"
    name: str = "comment.added"


@dataclasses.dataclass(frozen=True)
class Voted(Added):
    name: str = "comment.voted"


def rules_of(cache: Any, **how: Any) -> Any:
    """The rules of a bed's cache, whose methods wait for their answer."""
    if isinstance(cache, Awaited):
        return Awaited(Invalidations(cache.target, **how), cache._runner)
    return Invalidations(cache, **how)


def test_an_event_drops_what_its_rules_say(bed: Bed) -> None:
    cache = bed.cache()
    rules = rules_of(cache)
    rules.on("comment.added")(
        lambda event: [key(f"article:{event.article_id}"), entity("reader", event.reader)]
    )
    rules.on("front")(lambda event: prefix("front:"))
    rules.on(Voted)(lambda event: tag("votes"))
    rules.on(lambda event: event == 17)(lambda event: (target for target in [key("seventeen")]))
    values = {"article:1": 1, "article:2": 1, "front:a": 1, "front": 1, "seventeen": 1}
    told = {
        Added(1): {"article:1", "ada"},
        Voted(1): {"votes"},
        "front": {"front:a"},
        17: {"seventeen"},
        "other": set(),
    }
    for event, gone in told.items():
        cache.set_many(values)
        cache.set("ada", 1, tags=[entity("reader", "ada")])
        cache.set("votes", 1, tags=["votes"])
        everything = [*values, "ada", "votes"]
        assert rules.tell(event) is True
        assert set(cache.get_many(everything)) == set(everything) - gone
        assert set(bed.cache().get_many(list(gone))) == set()
    assert (rules.told, rules.unknown, rules.failures) == (5, 1, 0)


def test_events_have_their_name_in_an_item_too() -> None:
    rules = Invalidations(Cache())
    rules.on("edited")(lambda event: key(f"article:{event['id']}"))
    assert rules.targets({"name": "edited", "id": 4}) == [key("article:4")]
    assert rules.targets({"id": 4}) == []
    assert rules.told == 0


@some
def test_several_events_drop_each_target_once(bed: Bed) -> None:
    cache = bed.cache()
    rules = rules_of(cache)
    rules.on(Added)(lambda event: [key(f"article:{event.article_id}"), tag("comments")])
    rules.on(Added)(
        lambda event: [key("front"), prefix("page:"), key(f"article:{event.article_id}")]
    )
    rules.tell_all(Added(number % 3) for number in range(30))
    kinds = cache.stats().invalidations.kinds
    assert (kinds["key"].calls, kinds["key"].targets) == (1, 4)
    assert (kinds["tag"].calls, kinds["tag"].targets) == (1, 1)
    assert (kinds["prefix"].calls, kinds["all"].calls) == (1, 0)
    assert rules.told == 30


def test_a_key_and_a_tag_of_one_text_are_two_targets() -> None:
    rules = Invalidations(Cache())
    rules.on("e")(lambda event: [key("a"), tag("a"), prefix("a"), key("a")])
    assert rules.targets("e") == [key("a"), tag("a"), prefix("a")]
    assert [type(target) for target in rules.targets("e")] == [
        type(key("a")),
        type(tag("a")),
        type(prefix("a")),
    ]


def test_all_keys_are_one_trip_and_all_tags_one(bench: Bench) -> None:
    bench.reset()
    tier = RedisTier(bench.client())
    cache = Cache([tier], namespace="trips")
    rules = Invalidations(cache)
    rules.on("e")(lambda event: [*map(key, "abcdefgh"), *map(tag, "abcdefgh")])
    rules.tell("e")  # the script is known from now on
    with CommandLog(tier.client) as log:
        rules.tell_all(["e", "e"])
    assert log.round_trips == 2
    cache.close()


@some
def test_what_other_rules_say_is_dropped_though_one_raises(bed: Bed) -> None:
    cache = bed.cache()
    rules = rules_of(cache)
    rules.on(Added)(lambda event: key(f"article:{event.article_id}"))
    rules.on(Voted)(lambda event: 1 // 0)
    cache.set_many({"article:1": 1, "article:2": 2, "article:3": 3})
    with pytest.raises(RuleFailed, match=r"event Voted.article_id=2.*ZeroDivisionError") as failed:
        rules.tell_all([Added(1), Voted(2), Added(3)])
    assert failed.value.events == [Voted(2)]
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert cache.get_many(["article:1", "article:2", "article:3"]) == {}
    with pytest.raises(RuleFailed, match="so it went 1 more times"):
        rules.tell_all([Voted(2), Voted(3)])
    assert (rules.told, rules.failures) == (5, 3)


@pytest.mark.parametrize("answer", ["article:1", ["article:1"], [key("a"), 3], 3])
def test_a_rule_returns_targets_and_nothing_else(answer: Any) -> None:
    rules = Invalidations(Cache())

    @rules.on("e")
    def rule(event: Any) -> Any:
        return answer

    with pytest.raises(RuleFailed, match=r"expected targets that key|not iterable"):
        rules.tell("e")


def test_an_event_that_no_rule_is_for_is_an_error_where_that_is_asked_for() -> None:
    rules = Invalidations(Cache(), strict=True)
    rules.on("known")(lambda event: None)
    assert rules.tell("known") is True
    with pytest.raises(RuleFailed, match=r"'unknown' could not .*there is no rule for it"):
        rules.tell("unknown")
    assert (rules.told, rules.unknown) == (2, 1)


@pytest.mark.parametrize("what", [3, None, ["a"]])
def test_what_a_rule_is_on_is_checked(what: Any) -> None:
    with pytest.raises(TypeError, match="a rule is on"):
        Invalidations(Cache()).on(what)


class Failing:
    """A store that does not answer while it is told not to."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.down = False
        self.blocking = store.blocking

    def open(self, namespace: str) -> Failing:
        return self

    def __getattr__(self, name: str) -> Any:
        if self.down and name != "close":
            raise_it = Unavailable("it is down")

            def method(*args: Any, **kwargs: Any) -> Any:
                raise raise_it

            return method
        return getattr(self.store, name)


def test_who_tells_an_event_learns_whether_the_store_has_heard_of_it() -> None:
    tier = Failing(DictTier().open("n"))
    cache = Cache([MemoryTier(), tier], pause="1ms")
    rules = Invalidations(cache)
    rules.on("e")(lambda event: key("a"))
    cache.set("a", 1)
    tier.down = True
    assert rules.tell("e") is False
    assert rules.tell("e") is False
    tier.down = False
    assert tier.store.get("a") is not None
    while not rules.tell("e"):
        pass
    assert tier.store.get("a") is None


names = st.sampled_from(["a", "b", "c", "a:1", "a:2", "b:1"])
targets = st.one_of(st.builds(key, names), st.builds(tag, names), st.builds(prefix, names))


@settings(max_examples=times(60))
@given(
    stored=st.dictionaries(names, st.sets(names, max_size=2), max_size=6),
    events=st.lists(st.lists(targets, max_size=4), max_size=4),
)
def test_rules_drop_what_their_targets_name_and_nothing_else(
    stored: dict[str, set[str]], events: list[list[Any]]
) -> None:
    cache = Cache([MemoryTier(), DictTier()])
    rules = Invalidations(cache)
    rules.on(list)(lambda event: event)
    for name, tags in stored.items():
        cache.set(name, name, tags=sorted(tags))
    rules.tell_all(events)
    named = [target for event in events for target in event]
    left = {
        name
        for name, tags in stored.items()
        if key(name) not in [t for t in named if type(t) is type(key("x"))]
        and not any(type(t) is type(tag("x")) and t in tags for t in named)
        and not any(type(t) is type(prefix("x")) and name.startswith(t) for t in named)
    }
    assert set(cache.get_many(list(stored))) == left
    cache.close()


# --- What is counted


def counts_of(cache: Any, kind: str) -> tuple[int, int, int]:
    counts = cache.stats().invalidations.kinds[kind]
    return counts.calls, counts.targets, counts.entries


def test_invalidations_are_counted_by_kind(bed: Bed) -> None:
    cache = bed.cache()
    assert cache.stats().invalidations.calls == 0
    cache.set_many({"a:1": 1, "a:2": 2, "b:1": 3}, tags=["t"])
    cache.invalidate(key="a:1")
    cache.invalidate(key="a:1")
    cache.delete("nothing")
    assert counts_of(cache, "key") == (3, 3, 1)
    cache.invalidate(prefix="a:")
    assert counts_of(cache, "prefix") == (1, 1, 1)
    cache.invalidate(tag="t")
    cache.invalidate(entity=("author", 4))
    assert counts_of(cache, "tag") == (2, 2, 1 if bed.has_memory else 0)
    cache.set("c", 1)
    cache.clear()
    assert counts_of(cache, "all") == (1, 1, 1 if bed.has_memory else 0)
    assert cache.stats().invalidations.calls == 7
    assert cache.stats().invalidations.kinds["key"].seconds > 0


DROPS: dict[str, Any] = {
    "key": lambda cache: cache.invalidate(key="a"),
    "tag": lambda cache: cache.invalidate(tag="t"),
    "prefix": lambda cache: cache.invalidate(prefix="a"),
    "all": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("kind", DROPS)
@pytest.mark.parametrize("many", [False, True])
def test_loads_of_what_was_dropped_are_reloads(bed: Bed, kind: str, many: bool) -> None:
    cache = bed.cache()

    def load() -> None:
        if many:
            cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, 1), tags=["t"])
        else:
            cache.get_or_load("a", lambda: 1, tags=["t"])

    load()
    assert cache.stats().invalidations.reloads == 0
    DROPS[kind](cache)
    assert cache.stats().invalidations.reloads == 0
    load()
    known = bed.has_memory or kind == "key"
    both = many and kind in ("tag", "all")
    assert cache.stats().invalidations.reloads == known * (2 if both else 1)
    bed.advance(1)
    cache.get_or_load("new", lambda: 1)
    assert cache.stats().invalidations.reloads == known * (2 if both else 1)


@some
def test_what_was_not_there_or_came_back_by_itself_is_no_reload(bed: Bed) -> None:
    cache = bed.cache()
    cache.invalidate(key="a")
    cache.get_or_load("a", lambda: 1, ttl=5)
    cache.invalidate(key="a")
    cache.set("a", 2, ttl=5)
    bed.advance(10)
    cache.get_or_load("a", lambda: 3, ttl=5)
    assert cache.stats().invalidations.reloads == 0
    if bed.has_memory and bed.has_store:
        cache.invalidate(key="a")
        bed.cache().set("a", 4, ttl=5)
        assert cache.get("a") == 4
        bed.advance(10)
        cache.get_or_load("a", lambda: 5, ttl=5)
        assert cache.stats().invalidations.reloads == 0


def test_the_time_of_reloads_is_counted(bed: Bed) -> None:
    cache = bed.cache(tiers=[MemoryTier(clock=bed.clock)])

    def load(keys: Any = None) -> Any:
        bed.clock.advance(2)
        return dict.fromkeys(keys, 1) if keys else 1

    cache.get_or_load("a", load)
    cache.invalidate(key="a")
    cache.get_or_load("a", load)
    assert cache.stats().invalidations.reload_seconds == 2
    cache.invalidate(key="a")
    cache.get_or_load_many(["a", "b", "c", "d"], load)
    assert cache.stats().invalidations.reload_seconds == pytest.approx(2.5)


def test_so_many_dropped_keys_are_remembered_and_no_more() -> None:
    cache = Cache([MemoryTier(maxsize=None)])
    batches = [[str(start + n) for n in range(400)] for start in range(0, 12_000, 400)]
    for keys in batches:
        cache.set_many(dict.fromkeys(keys, 1), tags=["t"])
    cache.invalidate(tag="t")
    for keys in batches:
        cache.get_or_load_many(keys, lambda wanted: dict.fromkeys(wanted, 1))
    assert cache.stats().invalidations.reloads == 10_000


@pytest.mark.parametrize("bed", ["memory+fake", "memory+server"], indirect=True)
def test_a_reload_counts_where_it_is_paid_for(bed: Bed) -> None:
    writer, reader = bed.cache(), bed.cache()
    reader.get("hello")
    reader.get_or_load("a", lambda: 1)
    writer.invalidate(key="a")
    until(lambda: reader.get("a", MISSING) is MISSING, "the reader hears of it")
    reader.get_or_load("a", lambda: 2)
    assert reader.stats().invalidations.reloads == 1
    assert (writer.stats().invalidations.calls, reader.stats().invalidations.calls) == (1, 0)
    assert writer.get("a") == 2
    assert writer.stats().invalidations.reloads == 0


def test_a_file_tells_what_went(tmp_path: Path) -> None:
    cache = Cache([FileTier(tmp_path / "cache")])
    cache.set_many({"a": 1, "b": 2})
    cache.invalidate(prefix="a")
    assert counts_of(cache, "prefix") == (1, 1, 1)
    cache.close()


moves = st.one_of(
    st.tuples(st.just("load"), names),
    st.tuples(st.just("load_many"), st.lists(names, max_size=4)),
    st.tuples(st.just("set"), names),
    st.tuples(st.just("key"), names),
    st.tuples(st.just("tag"), st.sampled_from("ab")),
    st.tuples(st.just("prefix"), st.sampled_from(["a", "b:"])),
    st.tuples(st.just("clear"), st.none()),
    st.tuples(st.just("expire"), st.none()),
)


@settings(max_examples=times(100))
@given(walk=st.lists(moves, max_size=40))
def test_reloads_are_the_loads_of_what_was_there_when_it_was_dropped(
    walk: list[tuple[str, Any]],
) -> None:
    """Against two sets: what is there, and what was when it went."""
    clock = FakeClock(0)
    cache = Cache([MemoryTier(clock=clock)], ttl=10)
    there: set[str] = set()
    went: set[str] = set()
    expected = 0

    def drop(gone: set[str]) -> None:
        went.update(there & gone)
        there.difference_update(gone)

    for move, what in walk:
        if move in ("load", "load_many"):
            wanted = {what} if move == "load" else set(what)
            expected += len((wanted - there) & went)
            for name in sorted(wanted) if move == "load" else ():
                cache.get_or_load(name, lambda: 1, tags=[name[0]])
            for letter in "abc" if move == "load_many" else ():
                some = [name for name in what if name[0] == letter]
                cache.get_or_load_many(some, lambda keys: dict.fromkeys(keys, 1), tags=[letter])
            there |= wanted
            went -= wanted
        elif move == "set":
            cache.set(what, 1, tags=[what[0]])
            there.add(what)
            went.discard(what)
        elif move == "expire":
            clock.advance(11)
            there.clear()
        elif move == "clear":
            cache.clear()
            drop(set(there))
        else:
            cache.invalidate(**{move: what})
            if move == "key":
                drop({what})
            else:
                drop({name for name in there if name.startswith(what)})
        assert cache.stats().invalidations.reloads == expected


def test_threads_count_each_invalidation_and_each_reload_once() -> None:
    cache = Cache()

    def work(number: int) -> None:
        for turn in range(200):
            name = f"{number}:{turn}"
            cache.get_or_load(name, lambda: 1)
            cache.invalidate(key=name)
            cache.get_or_load(name, lambda: 2)

    in_threads(4, work)
    counts = cache.stats().invalidations
    assert (counts.calls, counts.reloads, counts.kinds["key"].entries) == (800, 800, 800)
