"""Three layouts of a page: they show the same, and cost what the lesson says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit.site.layouts import Fragmented, Hash, Whole, compare
from labkit.site.pages import ArticlePage, Gone
from tests.site.conftest import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.newsroom import Newsroom


@pytest.fixture(params=[Whole, Hash, Fragmented])
def layout(request: pytest.FixtureRequest, db: Newsroom, client: Any) -> Iterator[Any]:
    layout = request.param(db, client)
    yield layout
    if isinstance(layout, Fragmented):
        layout.close()


def test_each_shows_what_is_there(layout: Any, db: Newsroom, client: Any) -> None:
    ids = [headline.id for headline in db.latest_of(1, 100)][:4]
    other = next(n for n, article in db.articles_of(db.ids()).items() if article.author_id != 1)
    comment = db.add_comment(ids[0], "ada", "yes").id

    def right() -> None:
        for number in [*ids, other]:
            versions = db.page_versions(number)
            assert versions is not None
            expected = plain(ArticlePage(db, versions).fragment)
            assert layout.page(number) == expected  # loaded
            reads = db.reads
            assert layout.page(number) == expected  # and kept
            assert db.reads == reads

    right()
    layout.write(db.edit_article, ids[0], title="Ferry is back")
    right()
    layout.write(db.edit_article, ids[1], body="At noon.")
    right()
    layout.write(db.add_comment, ids[2], "bob", "no")
    layout.write(db.delete_comment, comment)
    right()
    layout.write(db.edit_author, 1, name="Somebody Else")
    right()
    layout.write(db.edit_article, ids[0], title="Ferry is back")  # changes nothing
    right()
    for number in range(60):
        db.add_comment(other, "ada", str(number))
    layout.write(db.add_comment, other, "ada", "one more")
    right()
    assert "the first 50 of them" in layout.page(other)
    layout.write(db.delete_article, ids[1])
    ids.remove(ids[1])
    right()
    assert [key for key in client.scan_iter("news:[wh]*") if client.ttl(key) < 0] == []


def test_two_do_not_know_which_pages_show_a_tag(layout: Any, db: Newsroom) -> None:
    article = db.article(17)
    assert article is not None
    layout.page(17)
    if isinstance(layout, Fragmented):
        layout.write(db.rename_tag, article.tags[0], "quite new")
        assert "<li>quite new</li>" in layout.page(17)
        return
    with pytest.raises(ValueError, match="which pages show a tag"):
        layout.write(db.rename_tag, article.tags[0], "quite new")


def test_what_is_not_there(layout: Any) -> None:
    with pytest.raises(Gone, match="there is no article 9999"):
        layout.page(9999)


def test_what_an_edit_costs(db: Newsroom, client: Any) -> None:
    article = db.article(17)
    assert article is not None
    latest = [headline.id for headline in db.latest_of(article.author_id, 100)]
    pages = len(latest)
    assert pages > 5
    frame = compare(db, client, latest[0])
    assert list(frame.columns) == ["reads", "trips", "bytes"]
    reads = {layout: dict(frame.loc[layout]["reads"]) for layout in ("whole", "hash", "fragments")}
    assert reads == {
        # The title stands on all pages of its author, and who asks which those are reads too.
        "whole": {"title": 1 + 4 * pages, "body": 4, "comment": 4},
        "hash": {"title": 1 + 1 + pages, "body": 1, "comment": 1},
        # Versions, then what shows it; the sidebar is the same on all pages.
        "fragments": {"title": 2 + 2, "body": 1 + 1, "comment": 1 + 1},
    }
    trips = frame["trips"]
    assert trips["whole", "body"] == pages + 1 + 1  # each page, the deletion, the new value
    assert trips["hash", "body"] == pages + 1 + 1
    assert trips["whole", "title"] == 2 * pages + 1
    size = frame["bytes"]
    for edit in ("title", "body", "comment"):
        # The outermost fragment is the whole document, and is stored anew with each of its parts.
        assert size["hash", edit] < size["whole", edit] < size["fragments", edit]


def test_a_title_that_no_list_shows_costs_its_own_page(db: Newsroom, client: Any) -> None:
    older = [headline.id for headline in db.latest_of(1, 100)][5:]
    article = min(db.articles_of(older).values(), key=lambda article: article.comment_count)
    reads = compare(db, client, article.id)["reads"]
    assert (reads["whole", "title"], reads["hash", "title"], reads["fragments", "title"]) == (
        *(1 + 4, 1 + 1),  # which pages show it, and then what it costs there
        2 + 1,
    )


def test_comparing_what_is_not_there(db: Newsroom, client: Any) -> None:
    with pytest.raises(Gone, match="there is no article 9999"):
        compare(db, client, 9999)
