"""What can be asked of the newsroom, and that each question is one read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit.newsroom import Comment, Draft, Headline, Newsroom, PageVersions, Tally, day
from tests.newsroom.conftest import NOW, empty, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = [0, -1, 41, 10**9, 10**12, 2**63, 10**40, -(10**40)]


def test_an_article_comes_alone_and_among_others_as_the_same(site: Newsroom) -> None:
    alone = {number: site.article(number) for number in site.ids()}
    assert alone == site.articles_of(site.ids())
    assert list(alone) == list(range(1, 41))
    for number, article in alone.items():
        assert article is not None
        assert article.id == number
        assert article.title
        assert article.body
        assert list(article.tags) == sorted(set(article.tags))
        assert article.version == article.headline_version == article.body_version == 1


def test_authors_come_alone_and_among_others_as_the_same(site: Newsroom) -> None:
    authors = site.authors_of(range(100))
    assert list(authors) == [1, 2, 3, 4, 5, 6]
    assert [site.author(number) for number in authors] == list(authors.values())
    assert all(author.version == 1 for author in authors.values())


def test_answers_come_in_the_order_asked_for_and_each_once(site: Newsroom) -> None:
    assert list(site.articles_of([9, 3, 77, 9, 5])) == [9, 3, 5]
    assert list(site.authors_of(number for number in (6, 1, 6))) == [6, 1]
    assert site.article_versions([7, 99, 2]) == {7: 1, 2: 1}
    assert list(site.article_versions([7, 99, 2])) == [7, 2]
    assert site.author_versions([4, 99]) == {4: 1}


@pytest.mark.parametrize("number", NOBODY)
def test_a_made_up_number_is_nobodys(site: Newsroom, number: int) -> None:
    assert site.article(number) is None
    assert site.author(number) is None
    assert site.page_versions(number) is None
    assert site.articles_of([number, 1]).keys() == {1}
    assert site.comments(number) == []
    assert site.latest_of(number) == []
    assert site.comment_count(number) == 0
    assert site.comment(number if number < 1 or number > 10**6 else 10**6) is None
    assert site.comments_page(number, "best") == site.replies(number + 10**6) == []
    assert site.votes_of(number) == {}
    assert site.draft_source.load(number) is None


def test_comments_are_those_readers_see_the_oldest_first(site: Newsroom) -> None:
    found = 0
    for number, article in site.articles_of(site.ids()).items():
        comments = site.comments(number, 10_000)
        assert len(comments) == article.comment_count == site.comment_count(number)
        assert comments == sorted(comments, key=lambda each: (each.posted_at, each.id))
        assert all(each.article_id == number and not each.hidden for each in comments)
        assert all(each.posted_at >= article.published_at for each in comments)
        assert site.comments(number, 3) == comments[:3]
        found += len(comments)
    assert found > 100


def test_the_latest_of_an_author_are_their_newest_articles(site: Newsroom) -> None:
    for author in site.authors_of(range(100)):
        theirs = [
            each for each in site.articles_of(site.ids()).values() if each.author_id == author
        ]
        theirs.sort(key=lambda each: -each.published_at)
        headlines = [Headline(each.id, each.title) for each in theirs]
        assert site.latest_of(author) == headlines[:5]
        assert site.latest_of(author, 1000) == headlines


def test_the_versions_of_a_page_are_those_of_all_it_shows(db: Newsroom) -> None:
    article = db.article(17)
    assert article is not None
    db.edit_article(17, title="Another", tags=["new", *article.tags])
    db.edit_author(article.author_id, bio="Another.")
    db.rename_tag("new", "newer")
    db.add_comment(17, "ada", "First")
    before = db.page_versions(17)
    assert before is not None
    assert before == PageVersions(
        article_id=17,
        headline=2,
        topics=2,
        body=1,
        comments=2,
        author_id=article.author_id,
        author=2,
        tags=before.tags,
        latest=before.latest,
    )
    assert [version for _, version in before.tags] == [1] * len(article.tags) + [2]
    latest = [headline.id for headline in db.latest_of(article.author_id)]
    expected = [(number, 2 if number == 17 else 1) for number in sorted(latest, reverse=True)]
    assert list(before.latest) == expected
    number = db.publish(article.author_id, "Newest", "Text", "city")
    after = db.page_versions(17)
    assert after is not None
    assert after.latest == ((number, 1), *before.latest[:4])


def test_an_article_without_tags_and_comments_has_none(db: Newsroom) -> None:
    number = db.publish(1, "Title", "Text", "city")
    article, page = db.article(number), db.page_versions(number)
    assert article is not None
    assert page is not None
    assert article.tags == ()
    assert page.tags == ()
    assert article.comment_count == db.comment_count(number) == 0
    assert db.comments(number) == []


def test_the_most_read_are_what_readers_of_the_same_seed_ask_for(site: Newsroom) -> None:
    views = [each.article for each in day(40, spikes=0, skew=3.0) if each.kind == "view"]
    often = sorted(set(views), key=lambda number: -views.count(number))
    assert site.most_read(3) == often[:3]
    assert sorted(site.most_read(1000)) == site.ids()


FIRST = Comment(6, 3, "ada", "Text", 0.0, hidden=False, score=9)
"""What a page begins behind."""

QUESTIONS: dict[str, Callable[[Newsroom], Any]] = {
    "article": lambda db: [db.article(3)],
    "articles_of": lambda db: db.articles_of([3, 4, 99, 3]),
    "article_versions": lambda db: db.article_versions([3, 4]),
    "page_versions": lambda db: [db.page_versions(3)],
    "author": lambda db: [db.author(3)],
    "authors_of": lambda db: db.authors_of([3, 4]),
    "author_versions": lambda db: db.author_versions([3]),
    "latest_of": lambda db: db.latest_of(1, 2),
    "comments": lambda db: db.comments(3, 1),
    "comment_count": lambda db: [db.comment_count(3)],
    "comment": lambda db: [db.comment(3)],
    "comments_of": lambda db: db.comments_of([3, 4, 10**6]),
    "comments_page": lambda db: db.comments_page(3, "best", FIRST, most=1),
    "replies": lambda db: db.replies(6),
    "comments_by": lambda db: db.comments_by("cyril", most=2),
    "comments_after": lambda db: db.comments_after(3, most=2),
    "reader_totals": lambda db: [db.reader_totals("cyril")],
    "votes_of": lambda db: db.votes_of(6),
    "outbox": lambda db: db.outbox(),
    "outbox_state": lambda db: [db.outbox_state()],
    "drafts": lambda db: db.drafts(),
    "drafts_of": lambda db: db.draft_source.load_many([1, 2]),
    "draft_versions": lambda db: db.draft_source.versions([1, 2]),
    "most_read": lambda db: db.most_read(7),
    "ids": lambda db: db.ids(),
}


@pytest.fixture(scope="module", params=["memory", "file", "postgresql"])
def furnished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Newsroom]:
    """A small site with a reply, votes, drafts, and notes of changes."""
    directory = tmp_path_factory.mktemp("furnished")
    with empty(request.param, request, directory) as place, opened(place, outbox=True) as db:
        db.add_comment(3, "ada", "Reply", parent=6)
        db.vote(6, "ada", 1)
        db.vote(6, "bob", 1)
        for number in (1, 2):
            db.draft_source.save(number, Draft(number, "Title", "Text", NOW))
        yield db


@pytest.mark.parametrize("query", QUESTIONS)
def test_each_question_is_one_read_of_the_rows_it_answers(furnished: Newsroom, query: str) -> None:
    with furnished.counting() as tally:
        answer = QUESTIONS[query](furnished)
    assert len(answer) > 0
    assert dict(tally) == {query: Tally(1, len(answer), 0.0)}


def test_who_names_no_rows_does_not_read(site: Newsroom) -> None:
    with site.counting() as tally:
        assert site.articles_of([]) == {}
        assert site.authors_of(iter(())) == {}
        assert site.article_versions([]) == site.author_versions([]) == {}
        assert site.comments_of([]) == {}
        assert site.draft_source.load_many([]) == {}
        assert site.draft_source.versions([]) == {}
    assert tally.reads == 0


REFUSED: dict[str, Callable[[Newsroom], Any]] = {
    "article_id is '17'": lambda db: db.article("17"),  # type: ignore[arg-type]
    "article_id is True": lambda db: db.article(True),
    "one of ids is 1.0": lambda db: db.articles_of([1.0]),  # type: ignore[list-item]
    "ids has 10001 numbers": lambda db: db.articles_of(range(10_001)),
    "author_id is None": lambda db: db.author(None),  # type: ignore[arg-type]
    "limit is 0; expected a whole number from 1": lambda db: db.comments(1, 0),
    "limit is -1": lambda db: db.latest_of(1, -1),
    "comment_id is '1'": lambda db: db.replies("1"),  # type: ignore[arg-type]
    "order is 'worst'; expected one of 'oldest', 'newest', 'best'": lambda db: db.comments_page(
        1,
        "worst",  # type: ignore[arg-type]
    ),
    "after is 7; expected the last comment": lambda db: db.comments_page(
        1,
        after=7,  # type: ignore[arg-type]
    ),
    "most is 0; expected a whole number from 1": lambda db: db.comments_by("ada", most=0),
    "most is 'all'": lambda db: db.comments_after(0, most="all"),  # type: ignore[arg-type]
    "most is -1": lambda db: db.outbox(-1),
    "reader is ''": lambda db: db.reader_totals(""),
    "reader is 7": lambda db: db.comments_by(7),  # type: ignore[arg-type]
    "limit is 2.5": lambda db: db.most_read(2.5),  # type: ignore[arg-type]
}


def test_a_question_that_makes_no_sense_is_refused_before_it_is_asked(site: Newsroom) -> None:
    with site.counting() as tally:
        for message, question in REFUSED.items():
            with pytest.raises((TypeError, ValueError), match=message):
                question(site)
    assert tally.reads == 0


def test_ten_thousand_rows_are_one_question(site: Newsroom) -> None:
    assert list(site.articles_of(range(10_000))) == site.ids()
