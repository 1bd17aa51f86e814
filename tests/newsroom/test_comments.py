"""Threads and votes: who replies to whom, how comments are ordered, and what is left of one."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from labkit.newsroom import Change, Comment, NotFound, ReaderTotals
from tests.newsroom.conftest import NOW
from tests.newsroom.state import everything
from tests.scale import SEED

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.newsroom import Newsroom, Order


@pytest.fixture
def story(db: Newsroom) -> int:
    """The number of an article without comments."""
    return db.publish(2, "Title", "Text", "city")


def versions(db: Newsroom, story: int) -> tuple[int, int, int]:
    """What an article says of its comments, and its version."""
    article = db.articles_of([story])[story]
    return article.comments_version, article.comment_count, article.version


def test_a_reply_stands_under_its_comment_and_counts_as_one(db: Newsroom, story: int) -> None:
    first = db.add_comment(story, "ada", "First").id
    late = db.add_comment(story, "bob", "Late", at=NOW + 2, parent=first)
    early = db.add_comment(story, "cyd", "Early", at=NOW + 1, parent=first).id
    deep = db.add_comment(story, "ada", "Deep", parent=early).id
    assert late == Change(late.id, ("comments",), story, 2)
    assert db.comment(early) == Comment(early, story, "cyd", "Early", NOW + 1, False, first)
    assert [each.id for each in db.replies(first)] == [early, late.id]
    assert [each.id for each in db.replies(first, most=1)] == [early]
    assert [each.id for each in db.replies(early)] == [deep]
    assert db.replies(deep) == []
    assert {each.id for each in db.comments(story)} == {first, early, late.id, deep}
    assert versions(db, story) == (5, 4, 5)


def test_what_is_replied_to_has_to_be_there_on_the_same_article(db: Newsroom, story: int) -> None:
    other = db.add_comment(1, "ada", "Elsewhere").id
    gone = db.add_comment(story, "ada", "Gone").id
    db.delete_comment(gone)
    before = everything(db)
    with pytest.raises(ValueError, match=f"parent {other} is a comment on article 1; expected one"):
        db.add_comment(story, "bob", "Reply", parent=other)
    for number in (gone, 10**6):
        with pytest.raises(NotFound, match=f"there is no comment {number}"):
            db.add_comment(story, "bob", "Reply", parent=number)
    assert everything(db) == before


def test_what_is_deleted_leaves_its_place_to_its_replies(db: Newsroom, story: int) -> None:
    first = db.add_comment(story, "ada", "First").id
    reply = db.add_comment(story, "bob", "Reply", parent=first).id
    db.vote(first, "bob", 1)
    assert db.delete_comment(first) == Change(first, ("comments",), story, 2)
    assert db.comment(first) == Comment(
        first, story, reader="", body="", posted_at=NOW, hidden=False, deleted=True, version=3
    )
    assert db.votes_of(first) == {}
    assert [each.id for each in db.comments(story)] == [reply]
    assert [each.id for each in db.replies(first)] == [reply]
    assert versions(db, story) == (4, 1, 4)
    assert db.comments_by("ada", most=1000) == [
        each for each in db.comments_by("ada", most=1000) if each.article_id != story
    ]
    before = everything(db)
    writes: list[Callable[[int], Any]] = [
        db.delete_comment,
        db.hide_comment,
        db.show_comment,
        lambda number: db.edit_comment(number, "Again"),
        lambda number: db.vote(number, "bob", 1),
    ]
    for write in writes:
        with pytest.raises(NotFound, match=f"there is no comment {first}; nothing was written"):
            write(first)
    assert everything(db) == before
    db.delete_comment(reply)
    assert db.add_comment(story, "ada", "Next").id == reply + 1


def test_a_hidden_comment_is_seen_again_when_it_is_shown(db: Newsroom, story: int) -> None:
    comment = db.add_comment(story, "ada", "First").id
    reply = db.add_comment(story, "bob", "Reply", parent=comment).id
    assert not db.show_comment(comment)
    assert db.hide_comment(comment)
    assert [each.id for each in db.comments(story)] == [reply]
    assert not db.hide_comment(comment)
    assert db.show_comment(comment) == Change(comment, ("comments",), story, 2)
    assert [each.id for each in db.comments(story)] == [comment, reply]
    assert versions(db, story) == (5, 2, 5)
    shown = db.comment(comment)
    assert shown is not None
    assert (shown.hidden, shown.version) == (False, 3)


def test_a_reader_has_one_vote_on_a_comment_and_the_last_one_counts(
    db: Newsroom, story: int
) -> None:
    comment = db.add_comment(story, "ada", "First").id
    before = versions(db, story)
    votes = [("bob", 1), ("bob", 1), ("cyd", -1), ("bob", -1), ("cyd", 0), ("dan", 0), ("cyd", 1)]
    scores = [1, 1, 0, -2, -1, -1, 0]
    version = 1
    for (reader, value), score in zip(votes, scores, strict=True):
        known = db.votes_of(comment)
        change = db.vote(comment, reader, value)
        differs = known.get(reader, 0) != value
        version += differs
        assert change == Change(comment, ("votes",) if differs else (), story, 2)
        stored = db.comment(comment)
        assert stored is not None
        assert (stored.score, stored.version) == (score, version)
    assert db.votes_of(comment) == {"bob": -1, "cyd": 1}
    assert versions(db, story) == before


def test_a_vote_on_what_readers_do_not_see_counts_and_shows_nothing(
    db: Newsroom, story: int
) -> None:
    comment = db.add_comment(story, "ada", "First").id
    db.hide_comment(comment)
    assert db.vote(comment, "bob", 1) == Change(comment, (), story, 2)
    assert db.show_comment(comment)
    assert db.comments(story)[0].score == 1


def test_an_article_takes_its_threads_and_votes_along(db: Newsroom, story: int) -> None:
    comment = db.add_comment(story, "ada", "First").id
    reply = db.add_comment(story, "bob", "Reply", parent=comment).id
    kept = db.add_comment(1, "ada", "Kept").id
    for number in (comment, reply, kept):
        db.vote(number, "cyd", 1)
    db.delete_article(story)
    assert db.comments_of([comment, reply, kept]).keys() == {kept}
    assert db.votes_of(comment) == db.votes_of(reply) == {}
    assert db.votes_of(kept) == {"cyd": 1}
    with pytest.raises(NotFound, match=f"there is no comment {comment}"):
        db.vote(comment, "cyd", 1)


def crowded(db: Newsroom, story: int) -> list[Comment]:
    """Comments in no order, many of which tie in time, in score, or in both."""
    random = Random(SEED)
    for number in range(30):
        comment = db.add_comment(story, "ada", f"{number}", at=NOW + random.randrange(4)).id
        for reader in range(random.randrange(3)):
            db.vote(comment, f"{reader}", random.choice([-1, 1]))
        if random.random() < 0.2:
            random.choice([db.hide_comment, db.delete_comment])(comment)
    return db.comments(story)


@pytest.mark.parametrize("order", ["oldest", "newest", "best"])
def test_page_by_page_each_comment_is_met_once_in_order(
    db: Newsroom, story: int, order: Order
) -> None:
    places: dict[Order, Callable[[Comment], Any]] = {
        "oldest": lambda each: (each.posted_at, each.id),
        "newest": lambda each: (-each.posted_at, -each.id),
        "best": lambda each: (-each.score, each.posted_at, each.id),
    }
    expected = sorted(crowded(db, story), key=places[order])
    assert 10 < len(expected) < 30
    assert db.comments_page(story, order, most=1000) == expected
    for most in (1, 4, len(expected)):
        found: list[Comment] = []
        while page := db.comments_page(story, order, found[-1] if found else None, most=most):
            assert len(page) <= most
            found += page
        assert found == expected


def test_votes_between_two_pages_move_only_what_was_voted_on(db: Newsroom, story: int) -> None:
    stay = crowded(db, story)
    first = db.comments_page(story, "best", most=5)
    moved = [first[-1], db.comments_page(story, "best", first[-1], most=1)[0]]
    for reader in ("x", "y", "z"):
        db.vote(moved[0].id, reader, -1)  # what the next page begins behind
        db.vote(moved[1].id, reader, 1)
    rest = db.comments_page(story, "best", first[-1], most=1000)
    met = [each.id for each in [*first, *rest]]
    for each in stay:
        if each not in moved:
            assert met.count(each.id) == 1


def test_what_a_reader_said_is_found_on_all_articles(db: Newsroom, story: int) -> None:
    kept = db.add_comment(story, "nemo", "First").id
    later = db.add_comment(1, "nemo", "Later", at=NOW + 1).id
    hidden = db.add_comment(2, "nemo", "Spam").id
    db.add_comment(2, "other", "Not theirs")
    db.vote(kept, "bob", 1)
    db.vote(later, "bob", 1)
    db.vote(hidden, "bob", 1)
    db.hide_comment(hidden)
    assert [each.id for each in db.comments_by("nemo")] == [later, kept]
    assert [each.id for each in db.comments_by("nemo", most=1)] == [later]
    assert db.reader_totals("nemo") == ReaderTotals(2, 2)
    assert db.reader_totals("nobody") == ReaderTotals(0, 0)
    assert db.comments_by("nobody") == []


def test_all_comments_are_met_by_number_whatever_became_of_them(db: Newsroom, story: int) -> None:
    last = db.add_comment(story, "ada", "First").id
    db.hide_comment(last)
    gone = db.add_comment(story, "ada", "Second").id
    db.delete_comment(gone)
    found: list[Comment] = []
    while page := db.comments_after(found[-1].id if found else 0, most=7):
        found += page
    assert [each.id for each in found] == list(range(1, gone + 1))
    assert {each.id: each for each in found} == db.comments_of(range(1, gone + 1))
    assert [each.hidden or each.deleted for each in found[-2:]] == [True, True]


def test_a_generated_site_has_no_threads_and_no_votes(site: Newsroom) -> None:
    every = site.comments_after(0, 100_000)
    assert len(every) > 100
    for each in every:
        assert (each.parent_id, each.deleted, each.score, each.version) == (None, False, 0, 1)
        assert site.votes_of(each.id) == {}
        stored = msgspec.json.decode(msgspec.json.encode(each))
        assert list(stored) == ["id", "article_id", "reader", "body", "posted_at", "hidden"]
