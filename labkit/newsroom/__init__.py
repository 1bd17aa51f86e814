"""The case study of part 2: the SQL database of a news site, and a day of its traffic.

    db = newsroom.open(articles=2000, seed=5)
    db.article(17), db.page_versions(17)
    for event in newsroom.day(articles=2000, seed=5): ...
    db.reads, db.count.frame()

Where things are: `database` says what can be asked and written, `questions` and `writes` how,
`connecting` what SQLite and PostgreSQL do differently, `generate` makes a site and `traffic` a day.
"""

from __future__ import annotations

from labkit.newsroom.counter import Count, Tally
from labkit.newsroom.database import Newsroom, open  # noqa: A004 - newsroom.open() is meant
from labkit.newsroom.errors import Conflict, DatabaseDown, NotFound
from labkit.newsroom.generate import DAY, Size
from labkit.newsroom.latency import Latency
from labkit.newsroom.records import Article, Author, Change, Comment, Headline, PageVersions
from labkit.newsroom.sources import ArticleSource, AuthorSource
from labkit.newsroom.traffic import Event, apply, day, to_log

__all__ = [
    "DAY",
    "Article",
    "ArticleSource",
    "Author",
    "AuthorSource",
    "Change",
    "Comment",
    "Conflict",
    "Count",
    "DatabaseDown",
    "Event",
    "Headline",
    "Latency",
    "Newsroom",
    "NotFound",
    "PageVersions",
    "Size",
    "Tally",
    "apply",
    "day",
    "open",
    "to_log",
]
