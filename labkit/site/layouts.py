"""The page of an article in Redis in three layouts, and what an edit costs in each.

| Layout | In Redis | An edit drops |
| --- | --- | --- |
| `Whole` | one value a page | the value of each page that shows it |
| `Hash` | one hash a page, a field a part | that field, in the hash of each page that shows it |
| `Fragmented` | fragments, keyed by version | the versions that it raised |

The first two have to ask the database which pages show a headline: all those of its author, where
it is among the latest. They
are as simple as they can be, and promise nothing where a reader and a writer meet; nor do they know
which pages show a tag.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from labkit.cache import Cache, RedisTier
from labkit.newsroom import Article, Author, Comment, Headline
from labkit.site import pages
from labkit.site.site import Site
from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from labkit.newsroom import Change, Newsroom

_TTL = 86_400  # seconds
_MOST = 10_000  # articles of one author
_LISTED = 5  # of them on each page
_PARTS = {"topics": "headline"}  # where an aspect is not named as the part that shows it


class Layout(Protocol):
    """A way to keep pages in Redis.

    Attributes:
        client: The client that carries the layout's commands.
        written: How many bytes of content it has stored.
    """

    client: Any
    written: int

    def page(self, article_id: int) -> str:
        """The page of an article that is there."""

    def write(self, write: Callable[..., Change], *args: Any, **kwargs: Any) -> None:
        """Carry out a write, and drop what it changed."""


class Parts(msgspec.Struct):
    """What a page shows, by the reads that bring it; None: it is not known.

    Attributes:
        headline: The article without its body.
        body: The body.
        author: The author.
        comments: How many comments readers see, and those that are shown.
        latest: The latest headlines of the author.
    """

    headline: Article | None = None
    body: str | None = None
    author: Author | None = None
    comments: tuple[int, list[Comment]] | None = None
    latest: list[Headline] | None = None


class Whole:
    """One JSON value a page: whatever changes, all of it is read and written anew."""

    def __init__(self, db: Newsroom, client: Any, prefix: str = "news:whole") -> None:
        self.client = client
        self.written = 0
        self._db = db
        self._prefix = prefix

    def page(self, article_id: int) -> str:
        """The page of an article that is there."""
        key = f"{self._prefix}:{article_id}"
        stored = self.client.get(key)
        if stored is not None:
            return _html(msgspec.json.decode(stored, type=Parts))
        parts = Parts()
        _complete(self._db, article_id, parts)
        value = msgspec.json.encode(parts)
        self.client.set(key, value, ex=_TTL)
        self.written += len(value)
        return _html(parts)

    def write(self, write: Callable[..., Change], *args: Any, **kwargs: Any) -> None:
        """Carry out a write, and drop the pages that show what it changed."""
        change = write(*args, **kwargs)
        shown_on = {number for _, numbers in _shown(self._db, change) for number in numbers}
        if shown_on:
            self.client.delete(*(f"{self._prefix}:{number}" for number in sorted(shown_on)))


class Hash:
    """One hash a page, with a field for each part, which is read and written anew by itself."""

    def __init__(self, db: Newsroom, client: Any, prefix: str = "news:hash") -> None:
        self.client = client
        self.written = 0
        self._db = db
        self._prefix = prefix

    def page(self, article_id: int) -> str:
        """The page of an article that is there."""
        key = f"{self._prefix}:{article_id}"
        parts = Parts()
        stored = self.client.hmget(key, Parts.__struct_fields__)
        for field, value in zip(msgspec.structs.fields(Parts), stored, strict=True):
            if value is not None:
                setattr(parts, field.name, msgspec.json.decode(value, type=field.type))
        renewed = {
            name: msgspec.json.encode(getattr(parts, name))
            for name in _complete(self._db, article_id, parts)
        }
        if renewed:
            with self.client.pipeline() as pipeline:  # no crash leaves a hash that never expires
                pipeline.hset(key, mapping=renewed)
                pipeline.expire(key, _TTL)
                pipeline.execute()
            self.written += sum(map(len, renewed.values()))
        return _html(parts)

    def write(self, write: Callable[..., Change], *args: Any, **kwargs: Any) -> None:
        """Carry out a write, and drop the parts that show what it changed."""
        change = write(*args, **kwargs)
        with self.client.pipeline(transaction=False) as pipeline:
            for part, numbers in _shown(self._db, change):
                for number in numbers:
                    pipeline.hdel(f"{self._prefix}:{number}", part)
            pipeline.execute()


class Fragmented:
    """Fragments in a cache: `labkit.site.site.Site` with Redis as its only tier."""

    def __init__(self, db: Newsroom, client: Any, namespace: str = "news:fragments") -> None:
        tier = RedisTier(client)
        self.client = tier.client
        self.written = 0
        self._cache = Cache([tier], namespace=namespace, ttl=_TTL)
        self._site = Site(db, self._cache)

    def page(self, article_id: int) -> str:
        """The page of an article that is there."""
        found = self._site.find(article_id)
        if found is None:
            raise pages.Gone(f"there is no article {article_id}")
        shown = self._site.show(found)
        self.written += sum(p.bytes for p in shown.pieces if p.where == "rendered")
        return shown.text

    def write(self, write: Callable[..., Change], *args: Any, **kwargs: Any) -> None:
        """Carry out a write, and drop the versions that it raised."""
        self._site.write(write, *args, **kwargs)

    def close(self) -> None:
        """Give the connections back."""
        self._cache.close()


class Cost(NamedTuple):
    """What it costs to edit an article and to view all pages once more.

    Attributes:
        reads: How often the database was asked.
        trips: How many round trips went to Redis.
        bytes: How much content was stored anew.
    """

    reads: int
    trips: int
    bytes: int


def compare(
    db: Newsroom, client: Any, article_id: int, views: Sequence[int] | None = None
) -> pd.DataFrame:
    """What an edit of the title, of the body and a comment cost in each layout.

    Args:
        db: A newsroom, which is written to.
        client: A client of Redis.
        article_id: What is edited.
        views: The pages that are viewed, once before and once after each edit; None: all those of
            the author.

    Returns:
        A row for each edit in each layout, with the columns of `Cost`.

    Raises:
        Gone: There is no such article.
    """
    import pandas as pd

    article = db.article(article_id)
    if article is None:
        raise pages.Gone(f"there is no article {article_id}")
    if views is None:
        views = [headline.id for headline in db.latest_of(article.author_id, _MOST)]
    fragmented = Fragmented(db, client)
    layouts: dict[str, Layout] = {
        "whole": Whole(db, client),
        "hash": Hash(db, client),
        "fragments": fragmented,
    }
    rows = {}
    try:
        for name, layout in layouts.items():
            edits: dict[str, tuple[Callable[..., Change], dict[str, str]]] = {
                "title": (db.edit_article, {"title": f"{article.title}, seen by {name}"}),
                "body": (db.edit_article, {"body": f"{article.body} Seen by {name}."}),
                "comment": (db.add_comment, {"reader": "ada", "body": f"Seen by {name}."}),
            }
            for edit, (write, given) in edits.items():
                rows[name, edit] = _cost(db, layout, views, write, article_id, given)
    finally:
        fragmented.close()
    index = pd.MultiIndex.from_tuples(rows, names=["layout", "edit"])
    return pd.DataFrame(list(rows.values()), index=index, columns=Cost._fields)


def _cost(
    db: Newsroom,
    layout: Layout,
    views: Iterable[int],
    write: Callable[..., Change],
    article_id: int,
    given: dict[str, str],
) -> Cost:
    for number in views:
        layout.page(number)
    before = layout.written
    with db.counting() as count, CommandLog(layout.client) as log:
        layout.write(write, article_id, **given)
        for number in views:
            layout.page(number)
    return Cost(count.reads, log.round_trips, layout.written - before)


def _complete(db: Newsroom, article_id: int, parts: Parts) -> list[str]:
    """Read what is not known of a page, and that only; answers what it was."""
    missing = [name for name in Parts.__struct_fields__ if getattr(parts, name) is None]
    if parts.headline is None or parts.body is None:
        article = db.article(article_id)
        if article is None:
            raise pages.Gone(f"there is no article {article_id}")
        parts.headline, parts.body = msgspec.structs.replace(article, body=""), article.body
    author_id = parts.headline.author_id
    if parts.author is None:
        parts.author = db.author(author_id)
    if parts.comments is None:
        shown = db.comments(article_id, pages.SHOWN)
        more = len(shown) == pages.SHOWN
        parts.comments = db.comment_count(article_id) if more else len(shown), shown
    if parts.latest is None:
        parts.latest = db.latest_of(author_id)
    return missing


def _html(parts: Parts) -> str:
    """The page that its parts make."""
    article, author = parts.headline, parts.author
    assert article is not None
    assert author is not None
    count, shown = parts.comments or (0, [])
    title, by = escape(article.title), pages.author(author)
    return pages.whole(
        article.id,
        title,
        pages.header(article, title, by),
        pages.body(parts.body or ""),
        pages.comments(shown, count),
        pages.sidebar(parts.latest or [], by),
    )


def _shown(db: Newsroom, change: Change) -> list[tuple[str, list[int]]]:
    """The parts that show what a write changed, each with the articles on whose pages it is."""
    if "tag" in change.aspects:
        raise ValueError("this layout does not know which pages show a tag; use Fragmented")
    own = [] if change.article_id is None else [change.article_id]
    parts = [(_PARTS.get(aspect, aspect), own) for aspect in change.aspects if own]
    if {"headline", "author"}.intersection(change.aspects):
        assert change.author_id is not None
        theirs = [headline.id for headline in db.latest_of(change.author_id, _MOST)]
        if not own:
            parts.append(("author", theirs))
        elif change.article_id in theirs[:_LISTED] or change.article_id not in theirs:
            parts.append(("latest", theirs))  # it is listed on all their pages, or was deleted
    return parts
