"""The case study of part 2: the SQL database of a news site, and a day of its traffic.

    db = newsroom.open(articles=2000, seed=5)
    db.article(17), db.page_versions(17)
    for event in newsroom.day(articles=2000, seed=5): ...
    db.reads, db.count.frame()

Where things are: `database` says what can be asked and written of articles and authors, `commented`
of comments, `outbox` of changes and `drafts` of drafts; `questions` and `writes` say how,
`connecting` what SQLite and PostgreSQL do differently; `generate` makes a site and `traffic` a day.
"""

from __future__ import annotations

from labkit.newsroom.comment_questions import Order
from labkit.newsroom.counter import Count, Tally
from labkit.newsroom.database import Newsroom, open  # noqa: A004 - newsroom.open() is meant
from labkit.newsroom.drafts import DraftSource
from labkit.newsroom.errors import Conflict, DatabaseDown, NotFound
from labkit.newsroom.generate import DAY, Size
from labkit.newsroom.latency import Latency
from labkit.newsroom.records import (
    Article,
    Author,
    Backlog,
    Change,
    Comment,
    Draft,
    Headline,
    Noted,
    PageVersions,
    ReaderTotals,
)
from labkit.newsroom.sources import ArticleSource, AuthorSource
from labkit.newsroom.traffic import Event, apply, day, to_log

__all__ = [
    "DAY",
    "Article",
    "ArticleSource",
    "Author",
    "AuthorSource",
    "Backlog",
    "Change",
    "Comment",
    "Conflict",
    "Count",
    "DatabaseDown",
    "Draft",
    "DraftSource",
    "Event",
    "Headline",
    "Latency",
    "Newsroom",
    "NotFound",
    "Noted",
    "Order",
    "PageVersions",
    "ReaderTotals",
    "Size",
    "Tally",
    "apply",
    "day",
    "open",
    "to_log",
]
