"""The tables of the newsroom."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# SQLite numbers rows by itself only in a column that is called INTEGER, which has 64 bits there.
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _version() -> sa.Column[int]:
    return sa.Column("version", sa.Integer, nullable=False, default=1)


authors = sa.Table(
    "authors",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("bio", sa.Text, nullable=False),
    _version(),
)

# A number that was deleted is not given again (AUTOINCREMENT): a cache may still know it.
articles = sa.Table(
    "articles",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("author_id", sa.ForeignKey("authors.id"), nullable=False),
    sa.Column("section", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("published_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("headline_version", sa.Integer, nullable=False, default=1),
    sa.Column("topics_version", sa.Integer, nullable=False, default=1),
    sa.Column("body_version", sa.Integer, nullable=False, default=1),
    sa.Column("comments_version", sa.Integer, nullable=False, default=1),
    sa.Column("comment_count", sa.Integer, nullable=False, default=0),
    _version(),
    sa.Column("reads", sa.BigInteger, nullable=False, default=0),
    sa.Index("articles_by_author", "author_id", "published_at", "id"),
    sa.Index("articles_by_reads", "reads", "id"),
    sqlite_autoincrement=True,
)

# One that was deleted stays as a row without content, for the replies to it.
comments = sa.Table(
    "comments",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("article_id", sa.ForeignKey("articles.id"), nullable=False),
    sa.Column("parent_id", sa.ForeignKey("comments.id")),
    sa.Column("reader", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("posted_at", sa.Double, nullable=False),
    sa.Column("hidden", sa.Boolean, nullable=False, default=False),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False),
    sa.Column("score", sa.Integer, nullable=False, default=0),
    # So that one direction goes through all: the highest score first, then the oldest.
    sa.Column("negated_score", sa.Integer, sa.Computed("-score", persisted=True)),
    _version(),
    sa.Index("comments_by_article", "article_id", "posted_at", "id"),
    sa.Index("comments_by_score", "article_id", "negated_score", "posted_at", "id"),
    sa.Index("comments_by_parent", "parent_id", "posted_at", "id"),
    sa.Index("comments_by_reader", "reader", "posted_at", "id"),
    sqlite_autoincrement=True,
)

comment_votes = sa.Table(
    "comment_votes",
    metadata,
    sa.Column("comment_id", sa.ForeignKey("comments.id"), primary_key=True),
    sa.Column("reader", sa.Text, primary_key=True),
    sa.Column("value", sa.SmallInteger, nullable=False),
)

tags = sa.Table(
    "tags",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    _version(),
)

article_tags = sa.Table(
    "article_tags",
    metadata,
    sa.Column("article_id", sa.ForeignKey("articles.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True, index=True),
)

# A number is not given again: one who is slow may say of it that it is done.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("change", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

# Without text, what is left of a draft that was deleted: the version of that.
drafts = sa.Table(
    "drafts",
    metadata,
    sa.Column("article_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("title", sa.Text),
    sa.Column("body", sa.Text),
    sa.Column("saved_at", sa.Double),
    sa.Column("version", sa.BigInteger, nullable=False),
)
