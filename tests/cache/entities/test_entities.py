"""Entities, read and written with what belongs to them, on all tiers and with both faces."""

# ruff: noqa: A001, A002 - an id is called id, and a type type

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.cache import FunctionSource
from labkit.cache.entities import Many, One
from labkit.cache.panel import Panel
from labkit.cache.policies import Policy
from labkit.cache.smart import AsyncSmartCache, SmartCache
from tests.cache.entities.press import (
    Article,
    AsyncDesk,
    Author,
    Desk,
    Headline,
    Page,
    Press,
    Topic,
    declare,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cache.conftest import Bed, Benches
    from tests.cache.entities.conftest import Plain


# --- Reading


def test_an_entity_is_loaded_once_and_comes_back_as_itself(press: Plain) -> None:
    for _ in range(2):
        assert press["Article"].get(4) == Article(4, 2, "Story 4", [1, 3], by="Author 2")
        assert press["Author"].get(9) is None
    assert press.press.asked == [("article", (4,)), ("author", (9,))]
    assert press["Article"].stats().loads == 1
    assert press["Article"].key(4) == "Article:4"


def test_who_changes_an_entity_changes_their_own(press: Plain) -> None:
    press["Article"].get(4).topic_ids.append(99)
    press["Article"].get(4).title = "Mine"
    assert press["Article"].get(4) == press.press.article(4)


def test_many_are_loaded_together(press: Plain) -> None:
    press["Article"].get(2)
    assert list(press["Article"].get_many([3, 2, 77, 1])) == [3, 2, 1]
    assert press.press.asked == [("article", (2,)), ("article", (3, 77, 1))]


def test_a_call_can_keep_an_entity_otherwise(press: Plain, bed: Bed) -> None:
    press["Article"].get(1, ttl=10)
    press["Article"].get(2)
    bed.advance(20)
    press["Article"].get_many([1, 2])
    assert press.press.asked[2:] == [("article", (1,))]
    with pytest.raises(ValueError, match="jitter is 2"):
        press["Article"].get(3, jitter=2)


def test_relations_lead_to_entities_in_two_batches(press: Plain) -> None:
    found = press["Author"].related_many([1, 2, 3, 9], "articles")
    assert found == {
        1: [press.press.article(3), press.press.article(6)],
        2: [press.press.article(1), press.press.article(4)],
        3: [press.press.article(2), press.press.article(5)],
        9: [],
    }
    assert press.press.asked == [
        ("articles_of", (1, 2, 3, 9)),
        ("article", (3, 6, 1, 4, 2, 5)),
    ]
    assert press["Article"].related(1, "author") == press.press.author(2)
    assert press["Article"].related(1, "topics") == [Topic(2, "Topic 2"), Topic(3, "Topic 3")]
    assert press["Article"].related(99, "author") is None
    assert press["Article"].related(99, "topics") == []
    assert press["Article"].related_many([99, 1], "author") == {99: None, 1: press.press.author(2)}
    assert press["Article"].related_many([99], "topics") == {99: []}
    assert press["Author"].related_many([99], "articles") == {99: []}
    assert len(press.press.asked) == 6  # an author, topics, and what is not there
    press["Author"].related_many([3, 1], "articles")
    assert len(press.press.asked) == 6


def test_a_relation_that_is_not_there_is_named(press: Plain) -> None:
    with pytest.raises(LookupError, match="Author has no relation 'pages'; expected one of art"):
        press["Author"].related(1, "pages")


def test_a_part_is_kept_by_itself_and_taken_from_the_whole(press: Plain) -> None:
    part = press.part("Article", Headline)
    assert part.get_many([1, 2, 99]) == {
        1: Headline("Story 1", "Author 2"),
        2: Headline("Story 2", "Author 3"),
    }
    assert part.get(1) == Headline("Story 1", "Author 2")
    assert press.press.asked == [("article", (1, 2, 99))]
    press["Article"].get(3)
    asked = len(press.press.asked)
    assert part.get(3) == Headline("Story 3", "Author 1")
    assert len(press.press.asked) == asked
    with pytest.raises(LookupError, match=r"Page is not declared as a part of Article .Headline"):
        press.smart["Article"].part(Page)


def test_a_source_may_read_the_fields_of_a_part_alone(smart: Callable[..., Plain]) -> None:
    asked = []

    class Source(Desk):
        def load_fields(self, keys: Any, fields: Any) -> Any:
            asked.append((list(keys), fields))
            return {key: {"title": f"Story {key}", "by": "?", "more": 1} for key in keys}

    plain = smart()
    source = Source(plain.press, "article", plain.press.articles)
    plain.smart.entity(Article, source, parts=[Headline])
    assert plain.part("Article", Headline).get(7) == Headline("Story 7", "?")
    assert asked == [([7], ("title", "by"))]
    assert plain.press.asked == []


# --- Within a request


def test_within_a_session_an_entity_is_one_object(press: Plain, bed: Bed) -> None:
    if bed.awaited:
        pytest.skip("each call runs in a context of its own here; see below")
    articles = press["Article"]
    with press.smart.session():
        first = articles.get(1)
        first.title = "Changed in passing"
        assert articles.get(1) is first
        assert articles.get_many([2, 1])[1] is first
        assert press["Author"].related(2, "articles")[0] is first
        with press.smart.session():
            assert articles.get(1) is first
        assert (articles.get(99), articles.get(99)) == (None, None)
    assert articles.get(1).title == "Story 1"


def test_a_session_sees_what_it_writes(press: Plain, bed: Bed) -> None:
    if bed.awaited:
        pytest.skip("each call runs in a context of its own here; see below")
    with press.smart.session():
        assert press["Page"].get(1).text == "Story 1, by Author 2"
        article = press["Article"].get(1)
        article.title = "Better"
        press["Article"].save(article)
        assert press["Article"].get(1).title == "Better"
        assert press["Page"].get(1).text == "Better, by Author 2"
        press["Article"].delete(1)
        assert press["Article"].get(1) is None


def test_each_task_has_its_own_session_and_shares_it_with_its_tasks() -> None:
    press = Press()

    async def request(smart: Any) -> Any:
        with smart.session():
            first, second = await asyncio.gather(*(smart["Article"].get(1) for _ in range(2)))
            assert first is second is await smart["Article"].get(1)
            await smart["Article"].save(Article(1, None, "Told", []))
            assert (await smart["Article"].get(1)).title == "Told"
            return first

    async def main() -> None:
        async with AsyncSmartCache() as smart:
            declare(smart, press, AsyncDesk)
            await smart["Article"].get(1)
            one, other = await asyncio.gather(request(smart), request(smart))
            assert one is not other

    asyncio.run(main())


# --- Writing


def warm(press: Plain) -> None:
    """Let everything be in the cache."""
    for name in ("Author", "Article", "Page", "Topic"):
        press[name].get_many(range(1, 8))
    press["Author"].related_many([1, 2, 3], "articles")
    press["Topic"].related_many([1, 2, 3], "articles")
    press.part("Article", Headline).get_many(range(1, 8))


def check(press: Plain) -> None:
    """What the cache says is what the database says."""
    db = press.press
    for id in range(1, 9):
        assert press["Author"].get(id) == db.author(id)
        assert press["Article"].get(id) == db.article(id)
        assert press["Page"].get(id) == db.page(id)
        whole = db.article(id)
        part = whole and Headline(whole.title, whole.by)
        assert press.part("Article", Headline).get(id) == part
    for id in (1, 2, 3):
        articles = [db.article(each) for each in db.articles_of([id]).get(id, [])]
        assert press["Author"].related(id, "articles") == articles
        assert press["Topic"].related(id, "articles") == [
            db.article(each) for each in db.about([id])[id]
        ]


def elsewhere(press: Plain, id: int, number: int) -> None:
    """Somebody else writes an article, and tells of it, with or without what it was."""
    before = press.press.articles.get(id)
    press.press.articles[id] = Article(id, 1 + number % 3, f"Sent {number}", [3])
    press["Article"].invalidate(id, before if number % 2 else None)


ACTIONS: dict[str, Callable[[Plain, int, int], None]] = {
    "rename": lambda press, a, b: press["Author"].save(Author(1 + a % 3, f"Named {b}")),
    "rewrite": lambda press, a, b: press["Article"].save(
        Article(1 + a, 1 + b % 3 if b % 5 else None, f"Told {b}", [1 + b % 2])
    ),
    "remove": lambda press, a, b: press["Article"].delete(1 + a),
    "leave": lambda press, a, b: press["Author"].delete(1 + a % 3),
    "elsewhere": lambda press, a, b: elsewhere(press, 1 + a, b),
    "warm": lambda press, a, b: warm(press),
}
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 6), st.integers(0, 9)), max_size=8
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, back=st.booleans(), most=st.sampled_from([1, 3, 1000]))
def test_whatever_is_written_nothing_old_is_read(
    smart: Callable[..., Plain], bed: Bed, benches: Benches, steps: Any, back: bool, most: int
) -> None:
    """Against the database itself, whether few or all are dropped, and with a circle in it."""
    press = smart(most=most, namespace=f"{bed.namespace}-{next(_numbers)}")
    declare(press.smart, press.press, AsyncDesk if bed.awaited else Desk, back=back)
    warm(press)
    for name, a, b in steps:
        ACTIONS[name](press, a, b)
        check(press)
    for cache in press.smart._caches.values():
        benches.close_later(cache)
    benches.close_caches(most=10)


_numbers = iter(range(10**9))


def test_a_write_drops_what_shows_it_and_nothing_else(press: Plain) -> None:
    warm(press)
    press.press.asked.clear()
    press["Article"].save(Article(1, 3, "Moved", [2, 3]))
    press.press.asked.clear()
    warm(press)
    asked = {name: set(ids) for name, ids in press.press.asked}
    # Its page and itself; the authors that it left and came to, their lists and their articles;
    # the pages of those; the lists of its topics.
    assert asked == {
        "author": {2, 3},
        "article": {1, 2, 4, 5},
        "page": {1, 2, 4, 5},
        "articles_of": {2, 3},
        "about": {2, 3},
    }


def test_where_too_many_are_reached_all_of_their_names_go(smart: Callable[..., Plain]) -> None:
    press = smart(most=2)
    declare(press.smart, press.press, AsyncDesk if press._runner else Desk)
    warm(press)
    press["Author"].save(Author(1, "Ada"))
    press.press.asked.clear()
    warm(press)
    asked = Counter(name for name, ids in press.press.asked for _ in ids)
    assert asked == {"author": 7, "article": 7, "page": 7, "articles_of": 3}


def test_the_value_that_was_written_through_stays(bed: Bed, smart: Callable[..., Plain]) -> None:
    plain = smart(policies={"Article": Policy("write-through", ttl=100)})
    declare(plain.smart, plain.press, AsyncDesk if bed.awaited else Desk)
    warm(plain)
    plain["Article"].save(Article(1, None, "Through", []))
    plain.press.asked.clear()
    assert plain["Article"].get(1).title == "Through"
    assert plain.press.asked == []


def test_a_write_that_fails_drops_what_it_may_have_changed(
    press: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm(press)
    source = press.smart["Author"].source

    def fail(key: int, value: Author) -> None:
        source.rows[key] = value
        raise ConnectionError("the line broke after the write")

    monkeypatch.setattr(source, "save", fail)
    with pytest.raises(ConnectionError, match="after the write"):
        press["Author"].save(Author(1, "Ada"))
    check(press)


def test_what_cannot_be_asked_after_a_write_is_dropped_altogether(
    press: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write stands, and its caller is told so."""
    warm(press)
    source, lists = press.smart["Article"].source, press.smart["Author"].lists["articles"]
    fails: list[bool] = []
    now = lists.now

    def fail(ids: Any) -> Any:
        if press.press.articles[1].title == "Moved":
            fails.append(True)
            raise ConnectionError("the database is away for a moment")
        return now(ids)

    monkeypatch.setattr(lists, "now", fail)
    press["Article"].save(Article(1, 3, "Moved", [2, 3]))
    assert fails
    assert source.rows[1].title == "Moved"
    check(press)


def test_what_was_before_is_an_entity_of_that_id(press: Plain) -> None:
    press["Article"].get(1)
    with pytest.raises(TypeError, match="expected an object of Article"):
        press["Article"].invalidate(1, Topic(1, "..."))
    with pytest.raises(ValueError, match="the id is 1, and that of the Article before is 2"):
        press["Article"].invalidate(1, press.press.article(2))
    press["Article"].get(1)
    assert press.press.asked == [("article", (1,))]


def test_a_relation_may_lead_by_a_field_that_is_computed(awaited: bool) -> None:
    class Page(msgspec.Struct, frozen=True):
        id: int

        @property
        def next_id(self) -> int:
            return self.id + 1

    relations = {"next": One(to="Page", field="next_id")}
    smart: Any = AsyncSmartCache() if awaited else SmartCache()
    pages = smart.entity(Page, FunctionSource(Page), relations=relations)

    async def ask() -> Any:
        return await pages.related(1, "next")

    assert (asyncio.run(ask()) if awaited else pages.related(1, "next")) == Page(2)


# --- Figures


def test_what_was_counted_is_told_by_entity(press: Plain) -> None:
    warm(press)
    press["Article"].get_many([1, 2, 3])
    frame = press.smart.frame()
    assert list(frame.index) == [
        *("Author", "Author.articles", "Article", "Article.Headline", "Page"),
        *("Topic", "Topic.articles"),
    ]
    found = press["Article"].stats()
    assert frame.loc["Article", "loads"] == found.loads == 1
    assert frame.loc["Article", "misses"] == found.misses == 7
    assert frame.loc["Article", "load_seconds"] == found.load_total
    assert sum(found.hits.values()) > 3
    panel = str(Panel(press.smart.caches))
    assert all(name in panel for name in frame.index)


# --- Warming, and advice


def test_a_policy_says_what_is_warmed_and_how(
    smart: Callable[..., Plain], bed: Bed, tmp_path: Any
) -> None:
    (tmp_path / "ids").write_text("3\n1\n99\n2\n")
    text = f"""
        [entity.Article]
        ttl = "1m"
        warm = {{ keys = "{tmp_path / "ids"}", batch = 2 }}
        """
    plain = smart(policies=text)
    declare(plain.smart, plain.press, AsyncDesk if bed.awaited else Desk)
    warmed = plain.smart.warm()
    found = bed.run(warmed) if bed.awaited else warmed
    assert {name: each.done for name, each in found.items()} == {"Article": 4}
    assert plain.press.asked == [("article", (3, 1)), ("article", (99, 2))]
    at_start = plain.smart.warm(on_start=True)
    assert (bed.run(at_start) if bed.awaited else at_start) == {}
    with pytest.raises(ValueError, match="the policy of Author names no file with ids to warm"):
        plain["Author"].warm()
    plain["Author"].warm([1, 2])
    assert plain.press.asked[-1] == ("author", (1, 2))
    (tmp_path / "ids").write_text("3\nthree\n")
    with pytest.raises(ValueError, match="'three' is no id of Article"):
        plain["Article"].warm()


def test_what_was_counted_speaks_for_a_policy(press: Plain) -> None:
    for _ in range(200):
        press["Article"].get(1)
    read, unread = (press.smart[name].advise("30s", keys=1) for name in ("Article", "Author"))
    assert read.policy is not None
    # In memory alone it would not be, where there are several processes.
    assert read.exact is bool(press.smart["Article"].engine.stores)
    assert (read.staleness == 0) is read.exact
    assert unread.policy is None


# --- What is declared


def test_a_changed_class_does_not_read_what_the_old_one_stored(
    bed: Bed, smart: Callable[..., Plain]
) -> None:
    loads: list[Any] = []

    def declare(type: Any, **values: Any) -> Any:
        plain = smart()

        def load(key: int) -> Any:
            loads.append(type)
            return type(id=key, **values)

        plain.smart.entity(type, FunctionSource(load), name="Thing")
        return plain["Thing"]

    old = make_dataclass("Thing", [("id", int), ("size", int)])
    same = make_dataclass("Renamed", [("id", int), ("size", int)])
    more = make_dataclass("Thing", [("id", int), ("size", int), ("colour", str, field(default=""))])
    other = make_dataclass("Thing", [("id", int), ("size", float)])
    marked = make_dataclass("Thing", [("id", int), ("size", int)])
    marked.__cache_version__ = 2
    assert declare(old, size=1).get(1) == old(1, 1)
    declare(same, size=1).get(1)
    assert loads == ([old] if bed.has_store else [old, same])
    for type in (more, other, marked):
        assert declare(type, size=2).get(1) == type(1, 2)
        assert loads[-1] is type
    things = declare(old, size=3)
    assert things.get(1) == old(1, 3)
    assert things.key(1) == "Thing:1"  # shared, so that each hears of the other's writes


def test_what_makes_no_sense_is_refused() -> None:
    smart = SmartCache()
    press = Press()
    desk = Desk(press, "author", press.authors)

    @dataclass
    class Nameless:
        size: int

    for problem, declared in [
        ("<class 'int'> is no class of entities", lambda: smart.entity(int, desk)),
        ("Nameless has no field 'id'.*one of size", lambda: smart.entity(Nameless, desk)),
        ("has no field 'no'", lambda: smart.entity(Author, desk, id=["id", "no"])),
        ("Headline has the field 'title'", lambda: smart.entity(Author, desk, parts=[Headline])),
        (
            'has "redis", and there is no such tier; expected some of "memory"',
            lambda: smart.entity(Author, desk, policy=Policy(tiers=["redis"])),
        ),
        ("field= or load=|field=, where", lambda: Many(to="x")),
        ("back= belongs to load=", lambda: Many(to="x", field="y", back="z")),
        ("load is 'y'; expected a function", lambda: Many(to="x", load="y")),  # type: ignore[arg-type]
        (r"One\(to='x'\) has the field None; expected field=", lambda: One(to="x")),
        ("to is <class.*; expected the name", lambda: One(to=Author, field="y")),  # type: ignore[arg-type]
        (
            "the relation 'author' of Article is 'Author'; expected One",
            lambda: smart.entity(Article, desk, relations={"author": "Author"}),  # type: ignore[dict-item]
        ),
        (
            "the field 'autor_id', and Article has not. Did you mean 'author_id'. Expected one of",
            lambda: smart.entity(
                Article, desk, relations={"author": One(to="Author", field="autor_id")}
            ),
        ),
        (
            "the relation 'topics' of Article has the field 'x', and Article has not. Expected one",
            lambda: smart.entity(Article, desk, relations={"topics": Many(to="Topic", field="x")}),
        ),
    ]:
        with pytest.raises((TypeError, ValueError), match=problem):
            declared()
    assert list(smart) == []
    authors = smart.entity(Author, desk, relations={"articles": One(to="Article", field="latest")})
    with pytest.raises(ValueError, match="called 'Author' already"):
        smart.entity(Author, desk)
    with pytest.raises(LookupError, match=r"Author.articles leads to 'Article', which is not decl"):
        authors.save(Author(1, "Ada"))
    assert press.authors[1].name == "Author 1"
    with pytest.raises(TypeError, match="expected an object of Author"):
        authors.save(Topic(1, "none"))
    with pytest.raises(LookupError, match="no entities called 'Page'; expected one of Author"):
        smart["Page"]


def test_a_way_back_that_leads_elsewhere_is_refused() -> None:
    smart = SmartCache()
    press = Press()
    lists = Many(to="Topic", load=press.about, back="author")
    smart.entity(Author, Desk(press, "author", press.authors), relations={"topics": lists})
    smart.entity(Topic, Desk(press, "topic", press.topics))
    with pytest.raises(LookupError, match=r"Author\.topics has the way back 'author', which Topic"):
        smart["Author"].save(Author(1, "Ada"))


def test_several_fields_may_tell_entities_apart() -> None:
    class Seat(msgspec.Struct, frozen=True):
        row: int
        number: int

    with SmartCache() as smart:
        seats = smart.entity(Seat, FunctionSource(lambda key: Seat(*key)), id=["row", "number"])
        assert seats.get((3, 7)) == Seat(3, 7)
        assert seats.kind.id_of(Seat(1, 2)) == (1, 2)
        assert seats.key((1, 2)) != seats.key((12, 2))


def test_entities_that_choose_the_same_tiers_share_a_cache(bed: Bed) -> None:
    if bed.awaited or not (bed.has_memory and bed.has_store):
        pytest.skip("needs two tiers; one face will do")
    press = Press()
    near = Policy(tiers=["near"], ttl=50)
    memory, store = bed.tiers()
    with SmartCache({"near": memory, "far": store}, namespace=bed.namespace, ttl=100) as smart:
        smart.entity(Author, Desk(press, "author", press.authors), policy=near)
        smart.entity(Topic, Desk(press, "topic", press.topics), policy=near)
        smart.entity(Page, Desk(press, "page", {}))
        for name in ("Author", "Topic", "Page"):
            assert smart[name].get(1) is smart[name].get(1)
        assert list(smart.stats()) == ["near+far", "near"]
        assert smart["Author"].engine is smart["Topic"].engine is not smart["Page"].engine
        assert smart.cache.get("Page:1", None) is not None
        assert smart.cache.get("Author:1", None) is None
