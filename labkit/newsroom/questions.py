"""The questions about articles and authors, each one SELECT, and how records are made of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from labkit.newsroom.records import Article, PageVersions
from labkit.newsroom.schema import article_tags, articles, authors, tags

if TYPE_CHECKING:
    from collections.abc import Iterable

SEPARATOR = "\x1f"
"""Stands between the tags of an article in its row; no tag has it in it."""

_LATEST = 5  # articles of the author that a page lists

_tagged = article_tags.join(tags).select().where(article_tags.c.article_id == articles.c.id)
_tag_names = _tagged.with_only_columns(sa.func.aggregate_strings(tags.c.name, SEPARATOR))

# One row an article, however many tags it has.
_article: sa.Select[Any] = sa.select(
    *(articles.c[name] for name in Article.__struct_fields__ if name != "tags"),
    _tag_names.correlate(articles).scalar_subquery().label("tags"),
)


def _among(column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return column.in_(sa.bindparam("ids", expanding=True))


ARTICLES = _article.where(_among(articles.c.id))
ARTICLE = _article.where(articles.c.id == sa.bindparam("id"))
AUTHORS = sa.select(authors).where(_among(authors.c.id))
AUTHOR = sa.select(authors).where(authors.c.id == sa.bindparam("id"))
ARTICLE_VERSIONS = sa.select(articles.c.id, articles.c.version).where(_among(articles.c.id))
AUTHOR_VERSIONS = sa.select(authors.c.id, authors.c.version).where(_among(authors.c.id))
IDS = sa.select(articles.c.id).order_by(articles.c.id)
MOST_READ = (
    sa.select(articles.c.id)
    .order_by(articles.c.reads.desc(), articles.c.id.desc())
    .limit(sa.bindparam("most"))
)
LATEST_OF = (
    sa.select(articles.c.id, articles.c.title)
    .where(articles.c.author_id == sa.bindparam("id"))
    .order_by(articles.c.published_at.desc(), articles.c.id.desc())
    .limit(sa.bindparam("most"))
)


def _pairs(left: sa.ColumnElement[int], right: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """The pairs of all rows, as one text: `1:4,7:2`, in no order."""
    pair = sa.cast(left, sa.Text) + ":" + sa.cast(right, sa.Text)
    return sa.func.aggregate_strings(pair, ",")


def _page_versions() -> sa.Select[Any]:
    of_tags = _tagged.with_only_columns(_pairs(tags.c.id, tags.c.version)).correlate(articles)
    others = articles.alias()
    latest = (
        sa.select(others.c.id, others.c.headline_version)
        .where(others.c.author_id == articles.c.author_id)
        .order_by(others.c.published_at.desc(), others.c.id.desc())
        .limit(_LATEST)
        .correlate(articles)
        .subquery()
    )
    return (
        sa.select(
            articles.c.id.label("article_id"),
            articles.c.headline_version.label("headline"),
            articles.c.topics_version.label("topics"),
            articles.c.body_version.label("body"),
            articles.c.comments_version.label("comments"),
            articles.c.author_id,
            authors.c.version.label("author"),
            of_tags.scalar_subquery().label("tags"),
            sa.select(_pairs(latest.c.id, latest.c.headline_version))
            .scalar_subquery()
            .label("latest"),
        )
        .select_from(articles.join(authors))
        .where(articles.c.id == sa.bindparam("id"))
    )


PAGE_VERSIONS = _page_versions()


def article_of(row: sa.Row[Any]) -> Article:
    """The article of a row."""
    return Article(**{**row._mapping, "tags": tags_of(row)})


def tags_of(row: sa.Row[Any]) -> tuple[str, ...]:
    """The tags of an article's row, in alphabetical order."""
    return tuple(sorted(row.tags.split(SEPARATOR))) if row.tags else ()


def page_versions_of(row: sa.Row[Any]) -> PageVersions:
    """The versions of a page's row."""
    of_tags = tuple(sorted(_numbers(row.tags)))
    latest = tuple(sorted(_numbers(row.latest), reverse=True))
    return PageVersions(**{**row._mapping, "tags": of_tags, "latest": latest})


def _numbers(pairs: str | None) -> Iterable[tuple[int, int]]:
    for pair in pairs.split(",") if pairs else ():
        left, right = pair.split(":")
        yield int(left), int(right)
