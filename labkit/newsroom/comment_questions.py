"""The questions about comments and votes, each one SELECT."""

from __future__ import annotations

from typing import Any, Literal, get_args

import sqlalchemy as sa

from labkit.newsroom.records import Comment
from labkit.newsroom.schema import comment_votes, comments

Order = Literal["oldest", "newest", "best"]
"""How comments stand below each other; "best": by score, and the oldest first of those that tie."""

ORDERS: tuple[Order, ...] = get_args(Order)

_comment: sa.Select[Any] = sa.select(*(comments.c[name] for name in Comment.__struct_fields__))
_at, _id = comments.c.posted_at, comments.c.id
_most = sa.bindparam("most", type_=sa.Integer)
_shown = ~comments.c.hidden & ~comments.c.deleted
_under = (comments.c.article_id == sa.bindparam("article_id")) & _shown

COMMENT = _comment.where(_id == sa.bindparam("id"))
COMMENTS_OF = _comment.where(_id.in_(sa.bindparam("ids", expanding=True)))
COMMENT_COUNT = sa.select(sa.func.count()).select_from(comments).where(_under)
COMMENTS = _comment.where(_under).order_by(_at, _id).limit(_most)
REPLIES = (
    _comment.where(comments.c.parent_id == sa.bindparam("id"), _shown)
    .order_by(_at, _id)
    .limit(_most)
)
_theirs = (comments.c.reader == sa.bindparam("reader")) & _shown
COMMENTS_BY = _comment.where(_theirs).order_by(_at.desc(), _id.desc()).limit(_most)
READER_TOTALS = sa.select(
    sa.func.count().label("comments"),
    sa.func.coalesce(sa.func.sum(comments.c.score), 0).label("score"),
).where(_theirs)
COMMENTS_AFTER = _comment.where(_id > sa.bindparam("id")).order_by(_id).limit(_most)
VOTES_OF = sa.select(comment_votes.c.reader, comment_votes.c.value).where(
    comment_votes.c.comment_id == sa.bindparam("id")
)


def _pages(order: Order) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """The first page of an order, and any after it: it begins behind a comment's place."""
    at, number = sa.bindparam("at", type_=sa.Double), sa.bindparam("id", type_=_id.type)
    first = _comment.where(_under).limit(_most)
    if order == "newest":
        first = first.order_by(_at.desc(), _id.desc())
        return first, first.where(sa.tuple_(_at, _id) < sa.tuple_(at, number))
    if order == "oldest":
        first = first.order_by(_at, _id)
        return first, first.where(sa.tuple_(_at, _id) > sa.tuple_(at, number))
    score = comments.c.negated_score
    place = sa.tuple_(sa.bindparam("score", type_=score.type), at, number)
    first = first.order_by(score, _at, _id)
    return first, first.where(sa.tuple_(score, _at, _id) > place)


_PAGES = {order: _pages(order) for order in ORDERS}


def page_after(order: Order, after: Comment | None) -> tuple[sa.Select[Any], dict[str, Any]]:
    """The page that follows a comment, or the first one; what is asked, and with what."""
    first, next_ = _PAGES[order]
    if after is None:
        return first, {}
    place = {"at": after.posted_at, "id": after.id}
    return next_, place if order != "best" else {**place, "score": -after.score}
