"""An edit renews exactly the fragments that show it, and whoever looks afterwards sees it."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labkit import newsroom
from labkit.newsroom import Change, Latency
from labkit.site.pages import ArticlePage
from labkit.site.site import Site
from tests.cache.crowd import PATIENCE, in_threads
from tests.scale import times
from tests.site.conftest import Place, inside, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.cache import Cache
    from labkit.newsroom import Newsroom
    from labkit.site.pages import Fragment

Edit = tuple[str, int, str]
"""What is done, to which of those that are there, and what is written."""

KINDS = (
    "title",
    "body",
    "section",
    "tags",
    "name",
    "bio",
    "rename",
    "comment",
    "edit comment",
    "hide comment",
    "delete comment",
    "publish",
    "delete",
)
WORDS = ("ferry", "<b>bridge</b>", "tram & bus", "“harbour”")

edits = st.tuples(st.sampled_from(KINDS), st.integers(0, 100), st.sampled_from(WORDS))


@pytest.fixture
def place(client: Any, database: str) -> Place:
    return Place(client, database)


def carry_out(site: Site, edit: Edit) -> Change | None:
    """Do what is drawn, through the site; None: there is nothing to do it to."""
    kind, number, word = edit
    db = site.db
    ids = db.ids()
    if kind == "publish":
        site.publish(1 + number % 2, word, word, "city", tags=[word])
        return Change(0, ("publish",))
    if not ids:
        return None
    article = db.article(ids[number % len(ids)])
    assert article is not None
    if kind == "delete":
        return site.write(db.delete_article, article.id)
    given: dict[str, Any] = {kind: WORDS[: number % 4] if kind == "tags" else word}
    if kind in ("title", "body", "section", "tags"):
        return site.write(db.edit_article, article.id, **given)
    if kind in ("name", "bio"):
        return site.write(db.edit_author, article.author_id, **given)
    if kind == "rename":
        if not article.tags:
            return None
        tag = article.tags[number % len(article.tags)]
        with contextlib.suppress(ValueError):  # the name is taken
            return site.write(db.rename_tag, tag, f"{word} {number}")
        return None
    if kind == "comment":
        return site.write(db.add_comment, article.id, "ada", word)
    comments = db.comments(article.id)
    if not comments:
        return None
    comment = comments[number % len(comments)].id
    if kind == "edit comment":
        return site.write(db.edit_comment, comment, word)
    return site.write(db.hide_comment if kind == "hide comment" else db.delete_comment, comment)


def fragments(db: Newsroom) -> dict[int, Fragment]:
    """The pages of all articles, past the cache."""
    pages = {}
    for number in db.ids():
        versions = db.page_versions(number)
        assert versions is not None
        pages[number] = ArticlePage(db, versions).fragment
    return pages


def texts(pages: dict[int, Fragment]) -> dict[str, str]:
    """The texts of all fragments by name, rendered without a cache."""
    return {part.name: plain(part) for page in pages.values() for part in inside(page)}


def view(site: Site, pages: dict[int, Fragment], right: dict[str, str]) -> list[str]:
    """Look at all pages, which are right; what was rendered, as often as it was."""
    rendered = []
    for number, page in pages.items():
        found = site.find(number)
        assert found is not None
        shown = site.show(found)
        assert shown.text == right[page.name]
        assert not shown.stale
        rendered += [piece.name for piece in shown.pieces if piece.where == "rendered"]
    return rendered


@pytest.fixture
def caches(place: Place) -> Iterator[tuple[Cache, Cache]]:
    """Those of two processes; the second has nothing in memory that it would be told about."""
    with place.cache() as one, place.cache(memory=False) as other:
        yield one, other


# Each kind once, on several articles; what is drawn comes on top.
@example(history=[(kind, number, WORDS[number % 4]) for number, kind in enumerate(KINDS)])
@example(history=[(kind, 3, "second") for kind in reversed(KINDS) if kind != "delete"])
@settings(max_examples=times(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(edits, min_size=3, max_size=10))
def test_an_edit_renews_exactly_the_fragments_that_show_it(
    place: Place, caches: tuple[Cache, Cache], history: list[Edit]
) -> None:
    with place.newsroom() as db:
        site, elsewhere = (Site(db, cache) for cache in caches)
        site.cache.clear()  # of another newsroom, whose versions were of other texts
        pages = fragments(db)
        before = texts(pages)
        known = set(before.items())
        assert sorted(view(site, pages, before)) == sorted(before)
        for edit in history:
            carry_out(site, edit)
            pages = fragments(db)
            now = texts(pages)
            differs = {name for name, text in now.items() if before.get(name) != text}
            if edit[0] == "delete":  # lists may be again what they were before a publication
                differs = {name for name in differs if (name, now[name]) not in known}
            assert sorted(view(site, pages, now)) == sorted(differs)
            assert view(elsewhere, pages, now) == []  # another process finds all of it
            before |= now
            known |= set(now.items())


def test_an_edit_asks_the_database_nothing_and_drops_two_keys_at_most(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[str] = []
    with place.newsroom() as db, place.site(db) as site:
        invalidate = site.cache.invalidate

        def note(**what: Any) -> None:
            dropped.extend(what.values())
            invalidate(**what)

        monkeypatch.setattr(site.cache, "invalidate", note)
        article = db.article(db.ids()[0])
        assert article is not None
        own, theirs = f"article:{article.id}", f"author:{article.author_id}"
        comment = db.add_comment(article.id, "ada", "yes").id
        cases: list[tuple[Callable[[], object], list[str]]] = [
            (lambda: site.write(db.edit_article, article.id, title="x"), [own, theirs, "front"]),
            (lambda: site.write(db.edit_article, article.id, title="x"), []),
            (lambda: site.write(db.edit_article, article.id, body="x"), [own]),
            (lambda: site.write(db.hide_comment, comment), [own]),
            (lambda: site.write(db.delete_comment, comment), []),
            (lambda: site.write(db.edit_author, article.author_id, bio="x"), [theirs]),
            (lambda: site.write(db.rename_tag, article.tags[0], "new"), ["topic:"]),
            (lambda: site.write(db.delete_article, article.id), [own, theirs, "front"]),
        ]
        for write, expected in cases:
            dropped.clear()
            reads = db.reads
            write()
            assert db.reads == reads
            assert [key if key[:6] != "topic:" else "topic:" for key in dropped] == expected


def test_what_pages_cost(client: Any) -> None:
    place = Place(client, "sqlite://")
    with place.newsroom(articles=30, authors=2) as db, place.site(db) as site:
        first, second = db.latest_of(1, 2)

        def reads(number: int) -> dict[str, int]:
            with db.counting() as count:
                found = site.find(number)
                assert found is not None
                assert site.show(found).reads == count.reads
            return count.by_query

        everything = {"page_versions": 2, "article": 1, "author": 1, "comments": 1, "latest_of": 1}
        assert reads(first.id) == everything
        assert reads(first.id) == {}
        # Its author's part is known, but perhaps not each of its tags.
        cold = reads(second.id)
        assert cold.pop("page_versions") in (1, 2)
        assert cold == {"article": 1, "comments": 1}
        site.write(db.add_comment, first.id, "ada", "yes")
        assert reads(first.id) == {"page_versions": 1, "comments": 1}
        assert reads(second.id) == {}
        site.write(db.edit_article, first.id, body="New.")
        assert reads(first.id) == {"page_versions": 1, "article": 1}
        site.write(db.edit_article, first.id, title="New")
        assert reads(first.id) == {"page_versions": 2, "article": 1, "latest_of": 1}
        assert reads(second.id) == {}  # which shows the new headline, rendered already
        found = site.find(second.id)
        assert found is not None
        assert ">New</a>" in site.show(found).text
        site.write(db.edit_author, 1, name="Nobody Else")
        # What holds the name is made anew, and so its other content is read.
        assert reads(second.id) == {"page_versions": 1, "author": 1, "article": 1, "latest_of": 1}
        assert reads(first.id) == {"article": 1}


@pytest.mark.parametrize("memory", [True, False])
def test_a_reader_whom_an_edit_overtakes_leaves_nothing_old(client: Any, memory: bool) -> None:
    """The versions are read, then the edit comes, then they are to be kept."""
    place = Place(client, "sqlite://")
    reading, edited = threading.Event(), threading.Event()

    def pause(_: float) -> None:
        if threading.current_thread() is reader:
            reading.set()
            assert edited.wait(PATIENCE)

    def read() -> None:
        found = site.find(number)
        assert found is not None
        site.show(found)

    with newsroom.open("sqlite://", articles=6) as db, place.site(db, memory=memory) as site:
        number = db.ids()[-1]
        reader = threading.Thread(target=read)
        db.latency = Latency("1ms", 0, wait=pause)
        reader.start()
        assert reading.wait(PATIENCE)
        site.write(db.edit_article, number, title="Ferry is back")
        edited.set()
        reader.join(PATIENCE)
        found = site.find(number)
        assert found is not None
        assert "<h1>Ferry is back</h1>" in site.show(found).text


def test_tags_that_change_between_two_reads(client: Any) -> None:
    """A page's own versions name its tags; by the time theirs are read it may have others."""
    place = Place(client, "sqlite://")
    with place.newsroom() as db, place.site(db) as site, place.site(db) as elsewhere:
        number = db.ids()[-1]
        read = db.page_versions
        asked: list[int] = []

        def between(article_id: int) -> Any:
            versions = read(article_id)
            asked.append(article_id)
            if len(asked) == 1:
                elsewhere.write(db.edit_article, number, tags=["quite new"])
            return versions

        db.page_versions = between  # type: ignore[method-assign]
        found = site.find(number)
        assert found is not None
        assert found.reads == len(asked) == 3
        assert "<li>quite new</li>" in site.show(found).text


def test_an_article_that_goes_while_it_is_read(client: Any) -> None:
    place = Place(client, "sqlite://")
    with place.newsroom() as db, place.site(db) as site:
        number = db.ids()[-1]
        found = site.find(number)
        assert found is not None
        site.write(db.delete_article, number)
        with pytest.raises(LookupError, match="is gone"):
            site.show(found)
        assert site.find(number) is None


def test_an_article_that_was_asked_for_before_it_was_there(client: Any) -> None:
    place = Place(client, "sqlite://")
    with place.newsroom() as db, place.site(db) as site:
        number = db.ids()[-1] + 1
        assert site.find(number) is None
        assert site.find(number) is None
        assert site.publish(1, "Ferry", "It is back.", "city") == number
        found = site.find(number)
        assert found is not None
        assert "<h1>Ferry</h1>" in site.show(found).text
        assert "Ferry" in site.front().text


@pytest.mark.soak
@pytest.mark.parametrize("memory", [True, False])
def test_no_reader_sees_less_than_was_published_before(client: Any, memory: bool) -> None:
    place = Place(client, "sqlite://")
    published = [0]

    with newsroom.open("sqlite://", articles=6) as db, place.site(db, memory=memory) as site:
        number = db.ids()[-1]
        site.write(db.edit_article, number, title="0")

        def work(who: int) -> int:
            seen = 0
            if who == 0:
                for edition in range(1, times(20) + 1):
                    site.write(db.edit_article, number, title=str(edition))
                    published.append(edition)
                return 0
            while seen < times(20):
                least = published[-1]
                found = site.find(number)
                assert found is not None
                title = re.search(r"<h1>(\d+)</h1>", site.show(found).text)
                assert title is not None
                seen = int(title[1])
                assert seen >= least
            return seen

        assert in_threads(4, work) == [0, *[times(20)] * 3]
