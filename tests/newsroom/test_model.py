"""Random writes against plain dictionaries: versions rise exactly when what they stand for does."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from labkit.newsroom import Article, Change, Comment, NotFound, ReaderTotals
from tests.newsroom.conftest import NOW
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.newsroom import Newsroom, Order

examples = itertools.count()

# Few words, so that many writes change nothing.
words = st.sampled_from(["a", "b", "c"])
names = st.sampled_from(["p", "q", "r", "s"])
readers = st.sampled_from(["ada", "bob"])
number = st.integers(0, 5)
COMMENTING = st.one_of(
    st.tuples(st.just("say"), number, readers, words),
    st.tuples(st.just("reply"), number, readers, words),
    st.tuples(st.just("vote"), number, readers, st.sampled_from([-1, 0, 1])),
    st.tuples(st.just("correct"), number, words),
    st.tuples(st.sampled_from(["hide", "show", "withdraw"]), number),
)
OPERATIONS = st.one_of(
    st.tuples(
        st.just("edit"),
        number,
        st.fixed_dictionaries(
            {},
            optional={
                "title": words,
                "body": words,
                "section": words,
                "tags": st.frozensets(names, max_size=3),
            },
        ),
    ),
    st.tuples(st.just("author"), number, st.sampled_from(["name", "bio"]), words),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("publish"), number, words, st.frozensets(names, max_size=3)),
    st.tuples(st.just("delete"), number),
    COMMENTING,
)


class Model:
    """What the site should be, beside the site; articles and comments are picked by place."""

    def __init__(self, db: Newsroom, prefix: str) -> None:
        self.db = db
        self.prefix = prefix  # makes the tags those of this example alone
        self.articles: dict[int, dict[str, Any]] = {}
        self.authors = db.authors_of([1, 2])
        self.comments: dict[int, Comment] = {}
        self.votes: dict[int, dict[str, int]] = {}
        self.tags: dict[str, int] = {}
        for author in (1, 2):
            self.publish(author, "a", frozenset({"p"}))

    def full(self, tags: frozenset[str]) -> tuple[str, ...]:
        return tuple(sorted(self.prefix + tag for tag in tags))

    def article(self, place: int) -> int | None:
        return sorted(self.articles)[place % len(self.articles)] if self.articles else None

    def comment(self, place: int) -> Comment | None:
        comments = list(self.comments.values())
        return comments[place % len(comments)] if comments else None

    def raised(self, article: int, *aspects: str) -> tuple[str, ...]:
        for name in (*(f"{aspect}_version" for aspect in aspects), "version"):
            self.articles[article][name] += 1
        return aspects

    def edit(self, place: int, given: dict[str, Any]) -> None:
        if (article := self.article(place)) is None:
            return
        if "tags" in given:
            given = {**given, "tags": self.full(given["tags"])}
        change = self.db.edit_article(article, **given)
        mine = self.articles[article]
        differs = {name for name in given if mine[name] != given[name]}
        mine.update(given)
        for tag in mine["tags"]:
            self.tags.setdefault(tag, 1)
        aspects = ["headline"] if "title" in differs else []
        aspects += ["topics"] if differs & {"section", "tags"} else []
        aspects += ["body"] if "body" in differs else []
        assert change.aspects == (self.raised(article, *aspects) if aspects else ())
        if aspects:
            mine["updated_at"] = NOW

    def author(self, place: int, name: str, value: str) -> None:
        author = 1 + place % 2
        given: dict[str, Any] = {name: value}
        change = self.db.edit_author(author, **given)
        mine = self.authors[author]
        assert bool(change) == (getattr(mine, name) != value)
        given["version"] = mine.version + bool(change)
        self.authors[author] = msgspec.structs.replace(mine, **given)

    def rename(self, old: str, new: str) -> None:
        old, new = self.prefix + old, self.prefix + new
        try:
            change = self.db.rename_tag(old, new)
        except (NotFound, ValueError):
            assert old not in self.tags or (new in self.tags and new != old)
            return
        assert old in self.tags
        assert bool(change) == (old != new)
        if change:
            assert new not in self.tags
            self.tags[new] = self.tags.pop(old) + 1
            for article, mine in self.articles.items():
                if old in mine["tags"]:
                    mine["tags"] = tuple(sorted({*mine["tags"], new} - {old}))
                    self.raised(article)

    def say(self, place: int, reader: str, body: str) -> None:
        if (article := self.article(place)) is not None:
            self.add(article, place, reader, body, None)

    def reply(self, place: int, reader: str, body: str) -> None:
        if (to := self.comment(place)) is None:
            return
        if to.deleted:
            with pytest.raises(NotFound, match=f"no comment {to.id}"):
                self.db.add_comment(to.article_id, reader, body, parent=to.id)
        else:
            self.add(to.article_id, place, reader, body, to.id)
        for article in self.articles.keys() - {to.article_id}:
            with pytest.raises((NotFound, ValueError), match=f"{to.id}"):
                self.db.add_comment(article, reader, body, parent=to.id)

    def add(self, article: int, place: int, reader: str, body: str, parent: int | None) -> None:
        reader = self.prefix + reader
        change = self.db.add_comment(article, reader, body, at=float(place), parent=parent)
        assert change.id not in self.comments
        self.comments[change.id] = Comment(
            change.id, article, reader, body, float(place), False, parent
        )
        self.votes[change.id] = {}
        assert change.aspects == self.raised(article, "comments")

    def vote(self, place: int, reader: str, value: int) -> None:
        if (mine := self.written(place, lambda number: self.db.vote(number, reader, 1))) is None:
            return
        change = self.db.vote(mine.id, reader, value)
        votes = self.votes[mine.id]
        differs = votes.get(reader, 0) != value
        votes[reader] = value
        if differs:
            self.changed(mine, score=sum(votes.values()))
        aspects = ("votes",) if differs and not mine.hidden else ()
        author = self.articles[mine.article_id]["author_id"]
        assert change == Change(mine.id, aspects, mine.article_id, author)

    def correct(self, place: int, body: str) -> None:
        if mine := self.written(place, lambda number: self.db.edit_comment(number, body)):
            change = self.db.edit_comment(mine.id, body)
            self.check_comment(change, mine, shown=mine.body != body and not mine.hidden)
            if mine.body != body:
                self.changed(mine, body=body)

    def hide(self, place: int) -> None:
        if mine := self.written(place, self.db.hide_comment):
            self.check_comment(self.db.hide_comment(mine.id), mine, shown=not mine.hidden)
            if not mine.hidden:
                self.changed(mine, hidden=True)

    def show(self, place: int) -> None:
        if mine := self.written(place, self.db.show_comment):
            self.check_comment(self.db.show_comment(mine.id), mine, shown=mine.hidden)
            if mine.hidden:
                self.changed(mine, hidden=False)

    def withdraw(self, place: int) -> None:
        if mine := self.written(place, self.db.delete_comment):
            self.check_comment(self.db.delete_comment(mine.id), mine, shown=not mine.hidden)
            self.changed(mine, deleted=True, reader="", body="", score=0)
            self.votes[mine.id] = {}

    def written(self, place: int, write: Callable[[int], Any]) -> Comment | None:
        """A comment that can be written, picked by its place; one that was deleted refuses."""
        mine = self.comment(place)
        if mine is None or not mine.deleted:
            return mine
        with pytest.raises(NotFound, match=f"no comment {mine.id}"):
            write(mine.id)
        return None

    def changed(self, mine: Comment, **fields: Any) -> None:
        fields["version"] = mine.version + 1
        self.comments[mine.id] = msgspec.structs.replace(mine, **fields)

    def check_comment(self, change: Change, mine: Comment, *, shown: bool) -> None:
        """The change is one that readers see, or else one they do not."""
        author = self.articles[mine.article_id]["author_id"]
        aspects = self.raised(mine.article_id, "comments") if shown else ()
        assert change == Change(mine.id, aspects, mine.article_id, author)

    def publish(self, place: int, text: str, tags: frozenset[str]) -> None:
        author = 1 + place % 2
        article = self.db.publish(author, text, text, text, self.full(tags), at=NOW + place)
        assert article not in self.articles
        for tag in self.full(tags):
            self.tags.setdefault(tag, 1)
        self.articles[article] = {
            "id": article,
            "author_id": author,
            "section": text,
            "title": text,
            "body": text,
            "tags": self.full(tags),
            "published_at": NOW + place,
            "updated_at": NOW + place,
            "headline_version": 1,
            "topics_version": 1,
            "body_version": 1,
            "comments_version": 1,
            "version": 1,
        }

    def delete(self, place: int) -> None:
        if (article := self.article(place)) is not None:
            aspects = ("headline", "topics", "body", "comments")
            assert self.db.delete_article(article).aspects == aspects
            assert self.db.article(article) is None
            del self.articles[article]
            kept = [mine for mine in self.comments.values() if mine.article_id != article]
            self.comments = {mine.id: mine for mine in kept}

    def check(self) -> None:
        """The site answers what the model says."""
        shown: dict[int, list[Comment]] = {article: [] for article in self.articles}
        for comment in self.shown():
            shown[comment.article_id].append(comment)
        expected = {
            article: Article(**mine, comment_count=len(shown[article]))
            for article, mine in self.articles.items()
        }
        assert self.db.articles_of(expected) == expected
        assert self.db.authors_of(self.authors) == self.authors
        assert self.db.comments_of(self.comments) == self.comments
        for article, mine in expected.items():
            in_order = sorted(shown[article], key=lambda each: (each.posted_at, each.id))
            assert self.db.comments(article) == in_order
            page = self.db.page_versions(article)
            assert page is not None
            assert (page.headline, page.topics, page.body, page.comments, page.author) == (
                mine.headline_version,
                mine.topics_version,
                mine.body_version,
                mine.comments_version,
                self.authors[mine.author_id].version,
            )
            tags = sorted(version for _, version in page.tags)
            assert tags == sorted(self.tags[tag] for tag in mine.tags)
            latest = [headline.id for headline in self.db.latest_of(mine.author_id)]
            assert [number for number, _ in page.latest] == sorted(latest, reverse=True)
            for number, version in page.latest:
                assert number not in expected or version == expected[number].headline_version

    def shown(self) -> list[Comment]:
        """The comments that readers see, the oldest first."""
        shown = [each for each in self.comments.values() if not each.hidden and not each.deleted]
        return sorted(shown, key=lambda each: (each.posted_at, each.id))

    def check_threads(self) -> None:
        """The site answers what the model says of comments, by whatever they are asked for."""
        shown = self.shown()
        for article in self.articles:
            oldest = [each for each in shown if each.article_id == article]
            best = sorted(oldest, key=lambda each: -each.score)
            orders: dict[Order, list[Comment]] = {"oldest": oldest, "best": best}
            orders["newest"] = oldest[::-1]
            for order, expected in orders.items():
                assert self.db.comments_page(article, order) == expected
                assert walked(self.db, article, order) == expected
            assert self.db.comment_count(article) == len(oldest)
        for number in self.comments:
            assert self.db.replies(number) == [each for each in shown if each.parent_id == number]
            votes = {reader: value for reader, value in self.votes[number].items() if value}
            assert self.db.votes_of(number) == votes
        for reader in (f"{self.prefix}ada", f"{self.prefix}bob"):
            theirs = [each for each in shown if each.reader == reader]
            assert self.db.comments_by(reader) == theirs[::-1]
            totals = ReaderTotals(len(theirs), sum(each.score for each in theirs))
            assert self.db.reader_totals(reader) == totals
        if self.comments:
            every = [self.comments[number] for number in sorted(self.comments)]
            assert self.db.comments_after(every[0].id - 1) == every


def walked(db: Newsroom, article: int, order: Order) -> list[Comment]:
    """The comments in an order, page by page."""
    found: list[Comment] = []
    while page := db.comments_page(article, order, found[-1] if found else None, most=2):
        found += page
    return found


@settings(max_examples=times(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, min_size=4, max_size=12))
def test_versions_rise_exactly_when_what_they_stand_for_changes(
    db: Newsroom, operations: list[tuple[str, Any]]
) -> None:
    carry_out(Model(db, f"{next(examples)} "), operations)


@settings(max_examples=times(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(COMMENTING, min_size=8, max_size=25))
def test_threads_and_votes_are_those_of_the_model(
    db: Newsroom, operations: list[tuple[str, Any]]
) -> None:
    model = Model(db, f"{next(examples)} ")
    model.say(0, "ada", "a")
    carry_out(model, operations)


def carry_out(model: Model, operations: list[tuple[str, Any]]) -> None:
    """Do on the site and in the model what there is to do; they agree after each step."""
    model.check()
    for name, *arguments in operations:
        getattr(model, name)(*arguments)
        model.check()
    model.check_threads()
