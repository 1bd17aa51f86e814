"""The writes, each inside a transaction that the caller has begun.

Whatever is compared is locked first, and everything is checked before the first row is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from labkit.newsroom.errors import Conflict, NotFound
from labkit.newsroom.questions import ARTICLE, tags_of
from labkit.newsroom.records import Change
from labkit.newsroom.schema import article_tags, articles, authors, comments, tags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

ALL = ("headline", "topics", "body", "comments")
"""The aspects of an article."""

_SHOWN_IN = {"headline": {"title"}, "topics": {"section", "tags"}, "body": {"body"}}


def edit_article(
    connection: Connection,
    article_id: int,
    given: Mapping[str, Any],
    at: float,
    if_version: int | None,
) -> Change:
    """Give an article what differs of a title, section, body and tags."""
    statement = ARTICLE.with_for_update(of=articles)
    row = connection.execute(statement, {"id": article_id}).first()
    if row is None:
        raise _no("article", article_id)
    _check_version(f"article {article_id}", row.version, if_version)
    stored = {**row._mapping, "tags": tags_of(row)}
    changed = {name: value for name, value in given.items() if value != stored[name]}
    aspects = tuple(aspect for aspect, names in _SHOWN_IN.items() if names & changed.keys())
    if aspects:
        columns = {name: value for name, value in changed.items() if name != "tags"}
        _renew(connection, article_id, aspects, updated_at=at, **columns)
    if "tags" in changed:
        connection.execute(article_tags.delete().where(article_tags.c.article_id == article_id))
        _tag(connection, article_id, changed["tags"])
    return Change(article_id, aspects, article_id, row.author_id)


def publish(connection: Connection, author_id: int, names: tuple[str, ...], **columns: Any) -> int:
    """Add an article; answers its number."""
    _author(connection, author_id)
    article_id = _insert(connection, articles, author_id=author_id, **columns)
    _tag(connection, article_id, names)
    return article_id


def delete_article(connection: Connection, article_id: int) -> Change:
    """Remove an article, its comments and its choice of tags."""
    author_id = _lock_article(connection, article_id)
    if author_id is None:
        raise _no("article", article_id)
    for table in (comments, article_tags):
        connection.execute(table.delete().where(table.c.article_id == article_id))
    connection.execute(articles.delete().where(articles.c.id == article_id))
    return Change(article_id, ALL, article_id, author_id)


def edit_author(
    connection: Connection, author_id: int, given: Mapping[str, str], if_version: int | None
) -> Change:
    """Give an author what differs of a name and a bio."""
    row = _author(connection, author_id)
    _check_version(f"author {author_id}", row.version, if_version)
    changed = {name: value for name, value in given.items() if value != row._mapping[name]}
    if not changed:
        return Change(author_id, (), None, author_id)
    statement = authors.update().where(authors.c.id == author_id)
    connection.execute(statement.values(version=authors.c.version + 1, **changed))
    return Change(author_id, ("author",), None, author_id)


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


def add_comment(connection: Connection, article_id: int, **columns: Any) -> Change:
    """Add a comment that readers see."""
    author_id = _lock_article(connection, article_id)
    if author_id is None:
        raise _no("article", article_id)
    comment_id = _insert(connection, comments, article_id=article_id, **columns)
    _renew(connection, article_id, ("comments",), comment_count=articles.c.comment_count + 1)
    return Change(comment_id, ("comments",), article_id, author_id)


def edit_comment(connection: Connection, comment_id: int, body: str) -> Change:
    """Give a comment another text."""
    comment, author_id = _lock_comment(connection, comment_id)
    if comment.body == body:
        return Change(comment_id, (), comment.article_id, author_id)
    connection.execute(comments.update().where(comments.c.id == comment_id).values(body=body))
    return _comment_changed(connection, comment, author_id)


def hide_comment(connection: Connection, comment_id: int) -> Change:
    """Take a comment out of readers' sight."""
    comment, author_id = _lock_comment(connection, comment_id)
    connection.execute(comments.update().where(comments.c.id == comment_id).values(hidden=True))
    return _comment_changed(connection, comment, author_id, gone=True)


def delete_comment(connection: Connection, comment_id: int) -> Change:
    """Remove a comment."""
    comment, author_id = _lock_comment(connection, comment_id)
    connection.execute(comments.delete().where(comments.c.id == comment_id))
    return _comment_changed(connection, comment, author_id, gone=True)


def _comment_changed(
    connection: Connection, comment: sa.Row[Any], author_id: int, *, gone: bool = False
) -> Change:
    """What a change to a comment changes for readers: nothing where they did not see it."""
    aspects = () if comment.hidden else ("comments",)
    if aspects:
        shown = articles.c.comment_count - (1 if gone else 0)
        _renew(connection, comment.article_id, aspects, comment_count=shown)
    return Change(comment.id, aspects, comment.article_id, author_id)


def _lock_comment(connection: Connection, comment_id: int) -> tuple[sa.Row[Any], int]:
    """A comment that nobody else writes until the end, and the author of its article."""
    statement = sa.select(comments).where(comments.c.id == comment_id)
    if (comment := connection.execute(statement).first()) is not None:
        # Comments change under the lock of their article only; what was seen before it may be old.
        author_id = _lock_article(connection, comment.article_id)
        comment = connection.execute(statement).first()
        if comment is not None and author_id is not None:
            return comment, author_id
    raise _no("comment", comment_id)


def _lock_article(connection: Connection, article_id: int) -> int | None:
    """Let nobody else write an article until the end; answers its author, None without one."""
    statement = sa.select(articles.c.author_id).where(articles.c.id == article_id)
    return connection.scalar(statement.with_for_update())


def _author(connection: Connection, author_id: int) -> sa.Row[Any]:
    """An author whom nobody else writes until the end."""
    statement = sa.select(authors).where(authors.c.id == author_id)
    row = connection.execute(statement.with_for_update()).first()
    if row is None:
        raise _no("author", author_id)
    return row


def _insert(connection: Connection, table: sa.Table, **columns: Any) -> int:
    """Add a row; answers its number."""
    statement = table.insert().values(columns).returning(table.c.id)
    return int(connection.execute(statement).scalar_one())


def _renew(
    connection: Connection, article_id: int, aspects: tuple[str, ...], **columns: Any
) -> None:
    """Let the versions of some aspects of an article rise, and write these columns."""
    for name in ("version", *(f"{aspect}_version" for aspect in aspects)):
        columns[name] = articles.c[name] + 1
    connection.execute(articles.update().where(articles.c.id == article_id).values(columns))


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


def _no(what: str, number: int) -> NotFound:
    return NotFound(f"there is no {what} {number}; nothing was written")
