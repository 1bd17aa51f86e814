"""All that a newsroom has, for comparing before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.newsroom import Newsroom


def everything(db: Newsroom) -> dict[str, Any]:
    """What the questions answer about every article and author."""
    ids = db.ids()
    articles = db.articles_of(ids)
    return {
        "articles": articles,
        "authors": db.authors_of(range(1000)),
        "pages": [db.page_versions(number) for number in ids],
        "all comments": db.comments_after(0, 100_000),
        "drafts": db.drafts(),
        "comments": [db.comments(number, 1000) for number in ids],
        "counts": [db.comment_count(number) for number in ids],
        "most read": db.most_read(1000),
    }
