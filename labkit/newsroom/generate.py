"""A news site of any size, made from a seed: the same on every database and machine."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from labkit.newsroom import prose, words
from labkit.newsroom.checks import count
from labkit.newsroom.popularity import SKEW, ranking
from labkit.newsroom.schema import article_tags, articles, authors, comments, tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

DAY = 1_740_960_000.0
"""The morning on which a generated site stands, a Monday; everything on it is older."""

_HOURS_APART = 2.0  # between two articles
_BATCH = 1000  # articles that are written together
_MOST_TAGS = len(words.TOPICS) * (len(words.PLACES) + 1)

Row = dict[str, Any]


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large a site is.

    Attributes:
        articles: How many articles.
        authors: How many authors; a few write much.
        tags: How many tags; each article has one to four, and a few are on very many.
        comments: How many comments an article has in the middle of all; most have fewer.
    """

    articles: int = 2000
    authors: int = 40
    tags: int = 60
    comments: int = 6

    def __post_init__(self) -> None:
        for name, least in (("articles", 0), ("authors", 1), ("tags", 0), ("comments", 0)):
            count(name, getattr(self, name), least)
        if self.tags > _MOST_TAGS:
            raise ValueError(f"tags is {self.tags}; there are names for {_MOST_TAGS}")


class Batch(NamedTuple):
    """Rows of articles, and of what belongs to them."""

    articles: list[Row]
    article_tags: list[Row]
    comments: list[Row]


def fill(connection: sa.Connection, size: Size, seed: int) -> None:
    """Write a site into empty tables."""
    _insert(connection, authors, list(_authors(size, seed)))
    _insert(connection, tags, [{"id": i + 1, "name": _topic(i)} for i in range(size.tags)])
    for batch in _batches(size, seed):
        _insert(connection, articles, batch.articles)
        _insert(connection, article_tags, batch.article_tags)
        _insert(connection, comments, batch.comments)


def _insert(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _authors(size: Size, seed: int) -> Iterator[Row]:
    random = Random(f"authors {seed}")
    for number in range(1, size.authors + 1):
        yield {"id": number, "name": prose.name(random), "bio": prose.bio(random)}


def _topic(number: int) -> str:
    """The name of a tag: a topic, then the topics of one place after the other."""
    place, topic = divmod(number, len(words.TOPICS))
    name = words.TOPICS[topic]
    return f"{name} in {words.PLACES[place - 1]}" if place else name


def _batches(size: Size, seed: int) -> Iterator[Batch]:
    random = Random(f"articles {seed}")
    reads = _reads(size.articles, seed)
    batch = Batch([], [], [])
    comment_id = 0
    for number in range(1, size.articles + 1):
        article = _article(random, number, size)
        said = list(_comments(random, article, size.comments))
        for comment in said:
            comment_id += 1
            comment["id"] = comment_id
        article["comment_count"] = sum(not comment["hidden"] for comment in said)
        article["reads"] = reads[number]
        batch.articles.append(article)
        batch.comments.extend(said)
        for tag_id in _chosen(random, size.tags):
            batch.article_tags.append({"article_id": number, "tag_id": tag_id})
        if len(batch.articles) == _BATCH:
            yield batch
            batch = Batch([], [], [])
    yield batch


def _article(random: Random, number: int, size: Size) -> Row:
    hours = (size.articles - number + random.random()) * _HOURS_APART
    published = DAY - 1 - int(hours * 3600)
    section = prose.section(random)
    return {
        "id": number,
        "author_id": _few(random, size.authors),
        "section": section,
        "title": prose.headline(random, section),
        "body": prose.body(random, section),
        "published_at": published,
        "updated_at": published,
    }


def _comments(random: Random, article: Row, median: int) -> Iterator[Row]:
    """Comments in the order in which they came: many at once, and then fewer and fewer."""
    published = article["published_at"]
    number = int(prose.skewed(random, median, 1.2)) if median else 0
    moments = sorted(published + (DAY - published) * random.random() ** 6 for _ in range(number))
    for moment in moments:
        yield {
            "article_id": article["id"],
            "reader": prose.pick(random, words.FIRST_NAMES).lower(),
            "body": prose.comment(random),
            "posted_at": float(int(moment)),
            "hidden": random.random() < 0.02,
        }


def _chosen(random: Random, tags: int) -> list[int]:
    """The tags of an article."""
    if not tags:
        return []
    return sorted({_few(random, tags) for _ in range(1 + int(random.random() * 4))})


def _few(random: Random, number: int) -> int:
    """A number from 1, the lower the more often."""
    return 1 + int(random.random() ** 2 * number)


def _reads(number: int, seed: int) -> dict[int, int]:
    """How often each article was read so far."""
    return {
        article: round(10 * number * (rank + 1) ** -SKEW)
        for rank, article in enumerate(ranking(number, seed))
    }
