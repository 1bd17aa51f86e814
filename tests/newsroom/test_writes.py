"""What can be written, which versions that raises, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from labkit.newsroom import Article, Change, Comment, Conflict, Newsroom, NotFound
from tests.newsroom.conftest import NOW
from tests.newsroom.state import everything

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def story(db: Newsroom) -> Article:
    """An article with two tags and no comments."""
    return stored(db, db.publish(2, "Title", "Text", "city", ["b", "a"], at=NOW - 50))


def stored(db: Newsroom, number: int) -> Article:
    article = db.article(number)
    assert article is not None
    return article


def test_what_is_published_is_there_with_versions_of_one(db: Newsroom, story: Article) -> None:
    expected = Article(
        id=41,
        author_id=2,
        section="city",
        title="Title",
        body="Text",
        tags=("a", "b"),
        published_at=NOW - 50,
        updated_at=NOW - 50,
        headline_version=1,
        topics_version=1,
        body_version=1,
        comments_version=1,
        comment_count=0,
        version=1,
    )
    assert story == expected
    assert db.latest_of(2, 1)[0].id == 41
    assert db.most_read(100)[-1] == 41
    assert stored(db, db.publish(2, "T", "B", "city")).published_at == NOW


EDITS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"title": "New"}, ("headline",)),
    ({"section": "sport"}, ("topics",)),
    ({"tags": ["a"]}, ("topics",)),
    ({"tags": []}, ("topics",)),
    ({"tags": ["a", "b", "c"], "title": "New"}, ("headline", "topics")),
    ({"body": "New"}, ("body",)),
    ({"body": "New", "title": "New"}, ("headline", "body")),
    ({"body": "New", "title": "Title"}, ("body",)),
    ({"title": "Title", "body": "Text", "section": "city", "tags": ["b", "a", "b"]}, ()),
    ({}, ()),
]


def test_an_edit_raises_the_versions_of_what_it_changes(db: Newsroom) -> None:
    for changes, aspects in EDITS:
        story = stored(db, db.publish(2, "Title", "Text", "city", ["b", "a"], at=NOW - 50))
        others = db.articles_of(range(1, story.id))
        change = db.edit_article(story.id, **changes)
        assert change == Change(story.id, aspects, story.id, story.author_id)
        assert bool(change) == bool(aspects)
        expected = {**changes, **{f"{aspect}_version": 2 for aspect in aspects}}
        if "tags" in changes:
            expected["tags"] = tuple(sorted(set(changes["tags"])))
        if aspects:
            expected |= {"version": 2, "updated_at": NOW}
        assert stored(db, story.id) == msgspec.structs.replace(story, **expected)
        assert db.articles_of(range(1, story.id)) == others


def test_an_edit_may_say_when_it_was_made(db: Newsroom, story: Article) -> None:
    db.edit_article(story.id, title="New", at=NOW + 5)
    assert stored(db, story.id).updated_at == NOW + 5


def test_an_edit_of_another_version_conflicts(db: Newsroom, story: Article) -> None:
    db.edit_article(story.id, title="New", if_version=1)
    before = everything(db)
    with pytest.raises(Conflict, match="article 41 has version 2, and the write was made of versi"):
        db.edit_article(story.id, title="Newer", if_version=1)
    with pytest.raises(Conflict):
        db.edit_article(story.id, if_version=3)
    assert everything(db) == before
    db.edit_author(1, name="New", if_version=1)
    with pytest.raises(Conflict, match="author 1 has version 2"):
        db.edit_author(1, name="Newer", if_version=1)


def test_an_author_who_changes_has_a_new_version(db: Newsroom) -> None:
    before = db.authors_of(range(10))
    assert db.edit_author(3, name=before[3].name, bio=before[3].bio) == Change(3, (), None, 3)
    assert db.authors_of(range(10)) == before
    assert db.edit_author(3, name="New") == Change(3, ("author",), None, 3)
    assert db.edit_author(3, bio="New.") == Change(3, ("author",), None, 3)
    author = db.author(3)
    assert author is not None
    assert (author.name, author.bio, author.version) == ("New", "New.", 3)
    assert {**db.authors_of(range(10)), 3: before[3]} == before


def test_a_tag_that_is_renamed_is_so_on_all_of_its_articles(db: Newsroom, story: Article) -> None:
    other = db.publish(1, "T", "B", "city", ["b", "c"])
    others = db.articles_of(range(1, 41))
    change = db.rename_tag("b", "z")
    assert change.aspects == ("tag",)
    assert (change.article_id, change.author_id) == (None, None)
    assert stored(db, story.id) == msgspec.structs.replace(story, tags=("a", "z"), version=2)
    assert stored(db, other).tags == ("c", "z")
    assert db.articles_of(range(1, 41)) == others
    page = db.page_versions(story.id)
    assert page is not None
    assert (change.id, 2) in page.tags
    assert sorted(version for _, version in page.tags) == [1, 2]
    assert not db.rename_tag("z", "z")
    # The old name is free again, for a tag of its own.
    db.edit_article(story.id, tags=["b", "z"])
    page = db.page_versions(story.id)
    assert page is not None
    assert sorted(version for _, version in page.tags) == [1, 2]


def test_comments_come_change_hide_and_go(db: Newsroom, story: Article) -> None:
    def shown() -> tuple[int, int, int]:
        article = stored(db, story.id)
        assert article.updated_at == story.updated_at
        assert (article.headline_version, article.body_version) == (1, 1)
        assert db.comment_count(story.id) == article.comment_count
        return article.comments_version, article.version, article.comment_count

    first = db.add_comment(story.id, "ada", "First")
    assert first == Change(first.id, ("comments",), story.id, 2)
    second = db.add_comment(story.id, "bob", "Second", at=NOW - 5)
    assert shown() == (3, 3, 2)
    assert db.comments(story.id) == [
        Comment(second.id, story.id, "bob", "Second", NOW - 5, False),
        Comment(first.id, story.id, "ada", "First", NOW, False),
    ]
    assert db.edit_comment(first.id, "First!") == first
    assert shown() == (4, 4, 2)
    assert not db.edit_comment(first.id, "First!")
    assert shown() == (4, 4, 2)
    assert db.hide_comment(first.id) == first
    assert shown() == (5, 5, 1)
    assert [each.id for each in db.comments(story.id)] == [second.id]
    # What readers do not see changes nothing for them.
    for change in (
        db.hide_comment(first.id),
        db.edit_comment(first.id, "?"),
        db.delete_comment(first.id),
    ):
        assert change == Change(first.id, (), story.id, 2)
    assert shown() == (5, 5, 1)
    assert db.delete_comment(second.id)
    assert shown() == (6, 6, 0)


def test_a_deleted_article_takes_its_comments_along_and_its_number_is_not_given_again(
    db: Newsroom, story: Article
) -> None:
    comment = db.add_comment(story.id, "ada", "First")
    change = db.delete_article(story.id)
    assert change == Change(story.id, ("headline", "topics", "body", "comments"), story.id, 2)
    assert db.article(story.id) is None
    assert db.page_versions(story.id) is None
    assert db.comments(story.id) == []
    with pytest.raises(NotFound):
        db.edit_comment(comment.id, "?")
    assert db.publish(2, "Title", "Text", "city") == story.id + 1
    assert db.add_comment(1, "ada", "Another").id == comment.id + 1


def test_an_author_goes_after_all_articles(db: Newsroom) -> None:
    theirs = [headline.id for headline in db.latest_of(3, 100)]
    assert theirs
    with pytest.raises(ValueError, match=f"author 3 has {len(theirs)} articles"):
        db.delete_author(3)
    for number in theirs:
        db.delete_article(number)
    assert db.delete_author(3) == Change(3, ("author",), None, 3)
    assert db.author(3) is None


REFUSED: dict[str, Callable[[Newsroom], Any]] = {
    "there is no article 77": lambda db: db.edit_article(77, title="T"),
    "there is no article 78": lambda db: db.add_comment(78, "ada", "Hello"),
    "there is no article 79": lambda db: db.delete_article(79),
    "there is no article 9223372036854775807": lambda db: db.delete_article(10**40),
    "there is no author 77": lambda db: db.edit_author(77, name="N"),
    "there is no author 78": lambda db: db.publish(78, "T", "B", "city", ["unheard"]),
    "there is no author 79": lambda db: db.delete_author(79),
    "there is no comment 77777": lambda db: db.edit_comment(77777, "?"),
    "there is no comment 77778": lambda db: db.hide_comment(77778),
    "there is no comment 77779": lambda db: db.delete_comment(77779),
    "there is no comment 77780": lambda db: db.show_comment(77780),
    "there is no comment 77781": lambda db: db.vote(77781, "ada", 1),
    "there is no comment 77782": lambda db: db.add_comment(1, "ada", "Hello", parent=77782),
    "value is 2; expected one of -1, 0, 1": lambda db: db.vote(1, "ada", 2),
    "value is True": lambda db: db.vote(1, "ada", True),
    "value is 0.5": lambda db: db.vote(1, "ada", 0.5),  # type: ignore[arg-type]
    "reader is ' '": lambda db: db.vote(1, " ", 1),
    "parent is '1'": lambda db: db.add_comment(1, "a", "b", parent="1"),  # type: ignore[arg-type]
    "there is no tag 'unheard'": lambda db: db.rename_tag("unheard", "of"),
    "there is a tag 'art' already": lambda db: db.rename_tag("budget", "art"),
    "title is ''; expected text that is not empty": lambda db: db.edit_article(1, title=""),
    "title is ' '": lambda db: db.edit_article(1, title=" ", body="New"),
    "title is 7; expected text": lambda db: db.edit_article(1, title=7),  # type: ignore[arg-type]
    "body is 'a.x00b'": lambda db: db.edit_article(1, title="New", body="a\0b"),
    "section is '.ud800'": lambda db: db.publish(1, "T", "B", "\ud800"),
    "body is None": lambda db: db.publish(1, "T", None, "city"),  # type: ignore[arg-type]
    "tags is the text 'art'": lambda db: db.edit_article(1, tags="art"),
    "a tag is ''": lambda db: db.edit_article(1, title="New", tags=["new", ""]),
    "a tag is 'a.x1fb'": lambda db: db.publish(1, "T", "B", "city", ["a\x1fb"]),
    "new is ''": lambda db: db.rename_tag("art", ""),
    "name is ''": lambda db: db.edit_author(1, name="", bio="New"),
    "reader is ''": lambda db: db.add_comment(1, "", "Hello"),
    "body is '.n'": lambda db: db.edit_comment(1, "\n"),
    "at is nan": lambda db: db.add_comment(1, "ada", "Hello", at=float("nan")),
    "at is 'now'": lambda db: db.publish(1, "T", "B", "city", at="now"),  # type: ignore[arg-type]
    "article_id is '1'": lambda db: db.edit_article("1", title="T"),  # type: ignore[arg-type]
}


def test_a_write_that_makes_no_sense_is_refused_and_nothing_is_written(site: Newsroom) -> None:
    before = everything(site)
    for message, write in REFUSED.items():
        with pytest.raises((TypeError, ValueError, LookupError), match=message):
            write(site)
    assert everything(site) == before
    assert site.writes == 0


def test_writes_are_counted_apart_from_reads(db: Newsroom) -> None:
    db.publish(1, "T", "B", "city", ["new"])
    db.edit_article(1)
    with pytest.raises(NotFound):
        db.delete_article(99)
    assert (db.reads, db.writes) == (0, 2)
    assert "0 reads, 2 writes" in repr(db)


def test_a_source_loads_saves_and_deletes_articles(db: Newsroom, story: Article) -> None:
    source = db.article_source
    assert source.load(story.id) == story
    assert source.load(99) is None
    assert source.load_many([story.id, 99, 1]) == {story.id: story, 1: db.article(1)}
    assert source.versions([story.id, 99]) == {story.id: 1}
    assert db.count["articles_of"].reads == 1

    assert source.returning
    assert source.save(story.id, story) == story
    returned = source.save(story.id, msgspec.structs.replace(story, title="New", tags=("c",)))
    assert db.count["articles_of"].reads == 1
    saved = stored(db, story.id)
    assert returned == saved
    assert (saved.title, saved.tags) == ("New", ("c",))
    assert (saved.headline_version, saved.body_version) == (2, 1)
    assert source.versions([story.id]) == {story.id: saved.version} == {story.id: 2}
    with pytest.raises(Conflict):
        source.save(story.id, story)
    db.add_comment(story.id, "ada", "First")
    with pytest.raises(Conflict):
        source.save(story.id, saved)
    with pytest.raises(ValueError, match="the key is 1, but the record has the id 41"):
        source.save(1, stored(db, story.id))
    source.delete(story.id)
    source.delete(story.id)
    assert source.load(story.id) is None
    with pytest.raises(NotFound):
        source.save(story.id, saved)


def test_a_source_loads_saves_and_deletes_authors(db: Newsroom) -> None:
    source = db.author_source
    author = source.load(1)
    assert author is not None
    assert source.load(99) is None
    assert source.load_many([1, 99]) == {1: author}
    assert source.returning
    assert source.save(1, author) == author
    returned = source.save(1, msgspec.structs.replace(author, name="New"))
    assert returned == db.author(1) == msgspec.structs.replace(author, name="New", version=2)
    assert source.versions([1, 2, 99]) == {1: 2, 2: 1}
    with pytest.raises(Conflict):
        source.save(1, author)
    with pytest.raises(ValueError, match="the key is 2"):
        source.save(2, author)
    with pytest.raises(ValueError, match="articles"):
        source.delete(1)
    source.delete(99)


def test_a_renamed_tag_is_a_new_version_for_the_source(db: Newsroom, story: Article) -> None:
    db.rename_tag("a", "z")
    assert db.article_source.versions([story.id]) == {story.id: 2}
    with pytest.raises(Conflict):
        db.article_source.save(story.id, story)
