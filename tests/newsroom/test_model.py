"""Random writes against plain dictionaries: versions rise exactly when what they stand for does."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import msgspec
from hypothesis import HealthCheck, given, settings

from labkit.newsroom import Article, Comment, NotFound
from tests.newsroom.conftest import NOW
from tests.scale import times

if TYPE_CHECKING:
    from labkit.newsroom import Change, Newsroom

examples = itertools.count()

# Few words, so that many writes change nothing.
words = st.sampled_from(["a", "b", "c"])
names = st.sampled_from(["p", "q", "r", "s"])
number = st.integers(0, 5)
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
    st.tuples(st.just("say"), number, words),
    st.tuples(st.just("correct"), number, words),
    st.tuples(st.just("hide"), number),
    st.tuples(st.just("withdraw"), number),
    st.tuples(st.just("publish"), number, words, st.frozensets(names, max_size=3)),
    st.tuples(st.just("delete"), number),
)


class Model:
    """What the site should be, beside the site; articles and comments are picked by place."""

    def __init__(self, db: Newsroom, prefix: str) -> None:
        self.db = db
        self.prefix = prefix  # makes the tags those of this example alone
        self.articles: dict[int, dict[str, Any]] = {}
        self.authors = db.authors_of([1, 2])
        self.comments: dict[int, Comment] = {}
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

    def say(self, place: int, body: str) -> None:
        if (article := self.article(place)) is not None:
            change = self.db.add_comment(article, "ada", body, at=float(place))
            self.comments[change.id] = Comment(change.id, article, "ada", body, place, False)
            assert change.aspects == self.raised(article, "comments")

    def correct(self, place: int, body: str) -> None:
        if (mine := self.comment(place)) is not None:
            changed = self.db.edit_comment(mine.id, body)
            self.check_comment(changed, mine, differs=mine.body != body)
            self.comments[mine.id] = msgspec.structs.replace(mine, body=body)

    def hide(self, place: int) -> None:
        if (mine := self.comment(place)) is not None:
            self.check_comment(self.db.hide_comment(mine.id), mine)
            self.comments[mine.id] = msgspec.structs.replace(mine, hidden=True)

    def withdraw(self, place: int) -> None:
        if (mine := self.comment(place)) is not None:
            self.check_comment(self.db.delete_comment(mine.id), mine)
            del self.comments[mine.id]

    def check_comment(self, change: Change, mine: Comment, *, differs: bool = True) -> None:
        shown = differs and not mine.hidden
        assert (change.id, change.article_id) == (mine.id, mine.article_id)
        assert change.aspects == (self.raised(mine.article_id, "comments") if shown else ())

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
        for comment in self.comments.values():
            if not comment.hidden:
                shown[comment.article_id].append(comment)
        expected = {
            article: Article(**mine, comment_count=len(shown[article]))
            for article, mine in self.articles.items()
        }
        assert self.db.articles_of(expected) == expected
        assert self.db.authors_of(self.authors) == self.authors
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


@settings(max_examples=times(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, min_size=4, max_size=12))
def test_versions_rise_exactly_when_what_they_stand_for_changes(
    db: Newsroom, operations: list[tuple[str, Any]]
) -> None:
    model = Model(db, f"{next(examples)} ")
    model.check()
    for name, *arguments in operations:
        getattr(model, name)(*arguments)
        model.check()
