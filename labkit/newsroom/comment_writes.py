"""The writes to comments and votes, each inside a transaction that the caller has begun.

All of them happen under the lock of the comment's article, so that no two of them meet: whatever
was read of a comment under it is so until the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from labkit.newsroom.records import Change
from labkit.newsroom.schema import articles, comment_votes, comments
from labkit.newsroom.writes import insert, lock_article, no_such, renew

if TYPE_CHECKING:
    from sqlalchemy import Connection


def add(connection: Connection, article_id: int, parent: int | None, **columns: Any) -> Change:
    """Add a comment that readers see."""
    author_id = lock_article(connection, article_id)
    if author_id is None:
        raise no_such("article", article_id)
    if parent is not None:
        _check_parent(connection, article_id, parent)
    columns |= {"article_id": article_id, "parent_id": parent}
    comment_id = insert(connection, comments, **columns)
    renew(connection, article_id, ("comments",), comment_count=articles.c.comment_count + 1)
    return Change(comment_id, ("comments",), article_id, author_id)


def edit(connection: Connection, comment_id: int, body: str) -> Change:
    """Give a comment another text."""
    comment, author_id = _lock(connection, comment_id)
    if comment.body == body:
        return _nothing(comment, author_id)
    _update(connection, comment_id, body=body)
    return _seen(connection, comment, author_id)


def hide(connection: Connection, comment_id: int) -> Change:
    """Take a comment out of readers' sight."""
    comment, author_id = _lock(connection, comment_id)
    if comment.hidden:
        return _nothing(comment, author_id)
    _update(connection, comment_id, hidden=True)
    return _seen(connection, comment, author_id, more=-1)


def show(connection: Connection, comment_id: int) -> Change:
    """Bring a comment back into readers' sight."""
    comment, author_id = _lock(connection, comment_id)
    if not comment.hidden:
        return _nothing(comment, author_id)
    _update(connection, comment_id, hidden=False)
    renew(connection, comment.article_id, ("comments",), comment_count=_shown(1))
    return Change(comment_id, ("comments",), comment.article_id, author_id)


def delete(connection: Connection, comment_id: int) -> Change:
    """Empty a comment, and remove the votes on it; its row stays, for the replies."""
    comment, author_id = _lock(connection, comment_id)
    connection.execute(comment_votes.delete().where(comment_votes.c.comment_id == comment_id))
    _update(connection, comment_id, deleted=True, reader="", body="", score=0)
    return _seen(connection, comment, author_id, more=-1)


def vote(connection: Connection, comment_id: int, reader: str, value: int) -> Change:
    """Let a reader's vote on a comment be this one; 0 takes it back."""
    comment, author_id = _lock(connection, comment_id)
    theirs = (comment_votes.c.comment_id == comment_id) & (comment_votes.c.reader == reader)
    before = connection.scalar(sa.select(comment_votes.c.value).where(theirs)) or 0
    if value == before:
        return _nothing(comment, author_id)
    connection.execute(comment_votes.delete().where(theirs))
    if value:
        row = {"comment_id": comment_id, "reader": reader, "value": value}
        connection.execute(comment_votes.insert().values(row))
    _update(connection, comment_id, score=comments.c.score + value - before)
    aspects = () if comment.hidden else ("votes",)
    return Change(comment_id, aspects, comment.article_id, author_id)


def _lock(connection: Connection, comment_id: int) -> tuple[sa.Row[Any], int]:
    """A comment that nobody else writes until the end, and the author of its article."""
    statement = sa.select(comments).where(comments.c.id == comment_id, ~comments.c.deleted)
    if (comment := connection.execute(statement).first()) is not None:
        # What was seen before its article was locked may be old.
        author_id = lock_article(connection, comment.article_id)
        comment = connection.execute(statement).first()
        if comment is not None and author_id is not None:
            return comment, author_id
    raise no_such("comment", comment_id)


def _check_parent(connection: Connection, article_id: int, parent: int) -> None:
    """Refuse a parent of another article, and one that is not there."""
    statement = sa.select(comments.c.article_id)
    under = connection.scalar(statement.where(comments.c.id == parent, ~comments.c.deleted))
    if under is None:
        raise no_such("comment", parent)
    if under != article_id:
        raise ValueError(
            f"parent {parent} is a comment on article {under}; expected one on article {article_id}"
        )


def _update(connection: Connection, comment_id: int, **columns: Any) -> None:
    """Write these columns of a comment, and let its version rise."""
    columns["version"] = comments.c.version + 1
    connection.execute(comments.update().where(comments.c.id == comment_id).values(columns))


def _seen(connection: Connection, comment: sa.Row[Any], author_id: int, *, more: int = 0) -> Change:
    """What a change to a comment changes for readers: nothing where they did not see it."""
    if comment.hidden:
        return _nothing(comment, author_id)
    renew(connection, comment.article_id, ("comments",), comment_count=_shown(more))
    return Change(comment.id, ("comments",), comment.article_id, author_id)


def _nothing(comment: sa.Row[Any], author_id: int) -> Change:
    return Change(comment.id, (), comment.article_id, author_id)


def _shown(more: int) -> sa.ColumnElement[int]:
    """How many comments of an article readers see, when there are so many more."""
    return articles.c.comment_count + more
