"""The writes to articles and authors, each inside a transaction that the caller has begun.

Whatever is compared is locked first, and everything is checked before the first row is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from labkit.newsroom.errors import Conflict, NotFound
from labkit.newsroom.questions import ARTICLE, article_of
from labkit.newsroom.records import Author, Change
from labkit.newsroom.schema import (
    article_tags,
    articles,
    authors,
    comment_votes,
    comments,
    tags,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from labkit.newsroom.records import Article

ALL = ("headline", "topics", "body", "comments")
"""The aspects of an article."""

_SHOWN_IN = {"headline": {"title"}, "topics": {"section", "tags"}, "body": {"body"}}


def edit_article(
    connection: Connection,
    article_id: int,
    given: Mapping[str, Any],
    at: float,
    if_version: int | None,
) -> tuple[Change, Article]:
    """Give an article what differs of a title, section, body and tags.

    Answers the article as it then stands, too; its tags may be older where their table is not
    locked, which whoever gives some has done.
    """
    statement = ARTICLE.with_for_update(of=articles)
    row = connection.execute(statement, {"id": article_id}).first()
    if row is None:
        raise no_such("article", article_id)
    _check_version(f"article {article_id}", row.version, if_version)
    article = article_of(row)
    changed = {name: value for name, value in given.items() if value != getattr(article, name)}
    aspects = tuple(aspect for aspect, names in _SHOWN_IN.items() if names & changed.keys())
    change = Change(article_id, aspects, article_id, article.author_id)
    if not aspects:
        return change, article
    columns = {name: value for name, value in changed.items() if name != "tags"}
    renew(connection, article_id, aspects, updated_at=at, **columns)
    if "tags" in changed:
        connection.execute(article_tags.delete().where(article_tags.c.article_id == article_id))
        _tag(connection, article_id, changed["tags"])
    # The row is locked: what has risen is known without asking.
    risen = {name: getattr(article, name) + 1 for name in _versions(aspects)}
    return change, msgspec.structs.replace(article, **changed, **risen, updated_at=at)


def publish(
    connection: Connection, author_id: int, names: tuple[str, ...], **columns: Any
) -> Change:
    """Add an article."""
    _author(connection, author_id)
    article_id = insert(connection, articles, author_id=author_id, **columns)
    _tag(connection, article_id, names)
    return Change(article_id, ALL, article_id, author_id)


def delete_article(connection: Connection, article_id: int) -> Change:
    """Remove an article, its comments, the votes on them, and its choice of tags."""
    author_id = lock_article(connection, article_id)
    if author_id is None:
        raise no_such("article", article_id)
    theirs = sa.select(comments.c.id).where(comments.c.article_id == article_id)
    connection.execute(comment_votes.delete().where(comment_votes.c.comment_id.in_(theirs)))
    for table in (comments, article_tags):
        connection.execute(table.delete().where(table.c.article_id == article_id))
    connection.execute(articles.delete().where(articles.c.id == article_id))
    return Change(article_id, ALL, article_id, author_id)


def edit_author(
    connection: Connection, author_id: int, given: Mapping[str, str], if_version: int | None
) -> tuple[Change, Author]:
    """Give an author what differs of a name and a bio.

    Answers the author as they then stand, too.
    """
    author = Author(**_author(connection, author_id)._mapping)
    _check_version(f"author {author_id}", author.version, if_version)
    changed = {name: value for name, value in given.items() if value != getattr(author, name)}
    if not changed:
        return Change(author_id, (), None, author_id), author
    statement = authors.update().where(authors.c.id == author_id)
    connection.execute(statement.values(version=authors.c.version + 1, **changed))
    author = msgspec.structs.replace(author, **changed, version=author.version + 1)
    return Change(author_id, ("author",), None, author_id), author


def delete_author(connection: Connection, author_id: int) -> Change:
    """Remove an author who has no articles."""
    _author(connection, author_id)
    written = sa.select(sa.func.count()).where(articles.c.author_id == author_id)
    if number := connection.scalar(written):
        raise ValueError(
            f"author {author_id} has {number} articles; expected none: delete them first"
        )
    connection.execute(authors.delete().where(authors.c.id == author_id))
    return Change(author_id, ("author",), None, author_id)


def rename_tag(connection: Connection, old: str, new: str) -> Change:
    """Give a tag another name, which all of its articles then have."""
    statement = sa.select(tags.c.name, tags.c.id).where(tags.c.name.in_([old, new]))
    named = {row.name: row.id for row in connection.execute(statement)}
    if old not in named:
        raise NotFound(f"there is no tag {old!r}; nothing was written")
    tag_id = named[old]
    if old == new:
        return Change(tag_id, ())
    if new in named:
        raise ValueError(f"there is a tag {new!r} already; expected a name that is free")
    renamed = tags.update().where(tags.c.id == tag_id)
    connection.execute(renamed.values(name=new, version=tags.c.version + 1))
    carries = sa.select(article_tags.c.article_id).where(article_tags.c.tag_id == tag_id)
    # In the order of their numbers, so that no two writers wait for each other.
    locked = sa.select(articles.c.id).where(articles.c.id.in_(carries)).order_by(articles.c.id)
    connection.execute(locked.with_for_update())
    touched = articles.update().where(articles.c.id.in_(carries))
    connection.execute(touched.values(version=articles.c.version + 1))
    return Change(tag_id, ("tag",))


def lock_article(connection: Connection, article_id: int) -> int | None:
    """Let nobody else write an article until the end; answers its author, None without one."""
    statement = sa.select(articles.c.author_id).where(articles.c.id == article_id)
    return connection.scalar(statement.with_for_update())


def _author(connection: Connection, author_id: int) -> sa.Row[Any]:
    """An author whom nobody else writes until the end."""
    statement = sa.select(authors).where(authors.c.id == author_id)
    row = connection.execute(statement.with_for_update()).first()
    if row is None:
        raise no_such("author", author_id)
    return row


def insert(connection: Connection, table: sa.Table, **columns: Any) -> int:
    """Add a row; answers its number."""
    statement = table.insert().values(columns).returning(table.c.id)
    return int(connection.execute(statement).scalar_one())


def renew(
    connection: Connection, article_id: int, aspects: tuple[str, ...], **columns: Any
) -> None:
    """Let the versions of some aspects of an article rise, and write these columns."""
    columns |= {name: articles.c[name] + 1 for name in _versions(aspects)}
    connection.execute(articles.update().where(articles.c.id == article_id).values(columns))


def _versions(aspects: tuple[str, ...]) -> list[str]:
    """The versions of an article that rise with some of its aspects."""
    return ["version", *(f"{aspect}_version" for aspect in aspects)]


def _tag(connection: Connection, article_id: int, names: tuple[str, ...]) -> None:
    """Give tags to an article that has none; those that are new are made."""
    if not names:
        return
    chosen = tags.c.name.in_(names)
    known = set(connection.scalars(sa.select(tags.c.name).where(chosen)))
    if new := [{"name": name} for name in names if name not in known]:
        connection.execute(tags.insert(), new)
    rows = sa.select(sa.literal(article_id, articles.c.id.type), tags.c.id).where(chosen)
    connection.execute(article_tags.insert().from_select(["article_id", "tag_id"], rows))


def _check_version(what: str, stored: int, expected: int | None) -> None:
    if expected is not None and stored != expected:
        raise Conflict(
            f"{what} has version {stored}, and the write was made of version {expected}; "
            "read it again and write what should change"
        )


def no_such(what: str, number: int) -> NotFound:
    """The error where a row is not there."""
    return NotFound(f"there is no {what} {number}; nothing was written")
