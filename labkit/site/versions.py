"""The versions of a page from the cache, each under the record that it is of.

| Key | The versions of | Dropped by |
| --- | --- | --- |
| `article:17` | headline, topics, body, comments; its author and tags | writes of article 17 |
| `author:4` | the author; their five latest headlines | writes of author 4 and of their headlines |
| `topic:9` | a tag | its renaming |

One read, `page_versions`, tells all three for one page. Kept apart, they need no list of the pages
that show an author or a tag: a write drops at most two keys, however many pages show what it
changed, and asks the database nothing. Each of those pages then finds its own versions where they
were, and the first of them reads the one that is missing for all. A page of which nothing is known
costs two reads, since only its own versions say whose others it needs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from labkit.cache.origins import origins
from labkit.cache.sources import FunctionSource
from labkit.cache.strategies import ReadThrough
from labkit.newsroom import PageVersions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labkit.cache import Cache
    from labkit.cache.known import Known
    from labkit.newsroom import Change, Newsroom


class Own(msgspec.Struct, frozen=True):
    """What an article says about its page by itself.

    Attributes:
        headline: As in `PageVersions`; so are `topics`, `body`, `comments` and `author_id`.
        tags: The numbers of its tags.
    """

    headline: int
    topics: int
    body: int
    comments: int
    author_id: int
    tags: tuple[int, ...]


class Found(NamedTuple):
    """The versions of a page.

    Attributes:
        versions: Them; None: there is no such article.
        stale: Whether the database was asked for newer ones and did not answer.
        reads: How often it was asked and answered.
    """

    versions: PageVersions | None
    stale: bool
    reads: int


class Versions:
    """Reads the versions of pages through the cache.

    Args:
        db: Where they are read.
        cache: Where they are kept, as its options say. With `stale_if_error` it gives out old ones
            while the database is down.
        known: Which articles exist, by their numbers as text; others ask neither a store nor the
            database.
    """

    def __init__(self, db: Newsroom, cache: Cache, known: Known | None = None) -> None:
        self._db = db
        self._cache = cache
        self._own: ReadThrough[Cache, int, Own] = ReadThrough(
            cache, FunctionSource(self._load_own), name="article", type=Own, known=known
        )

    @property
    def turned_away(self) -> int:
        """How many made-up numbers were asked for."""
        return self._own.turned_away

    def of(self, article_id: int) -> Found:
        """The versions of a page, none older than the last `drop` of what they are of.

        Raises:
            DatabaseDown: The database does not answer, and there are none that may stand in.
        """
        with origins() as found:
            own = self._own.get(article_id)
            versions, again = (None, 0) if own is None else self._whole(article_id, own)
        stale = any(origin.stale for origin in found.values())
        loaded = {key for key, o in found.items() if o.where == "loaded" and not o.stale}
        own_key = self._own.key(article_id)
        reads = (own_key in loaded) + bool(loaded - {own_key}) + again
        return Found(versions, stale, reads)

    def drop(self, change: Change) -> None:
        """Forget the versions that a write has raised."""
        for key in keys_of(change):
            self._cache.invalidate(key=key)

    def _whole(self, article_id: int, own: Own) -> tuple[PageVersions | None, int]:
        """The versions of a page, and how often the database was asked once more for them."""
        author, topics = f"author:{own.author_id}", {tag: f"topic:{tag}" for tag in own.tags}
        keys = [author, *topics.values()]
        parts = self._cache.get_or_load_many(keys, partial(self._load_others, article_id))
        if len(parts) < len(keys):  # its tags were changed a moment ago, or it was deleted
            return self._db.page_versions(article_id), 1
        version, latest = parts[author]
        return PageVersions(
            article_id,
            own.headline,
            own.topics,
            own.body,
            own.comments,
            own.author_id,
            version,
            tuple((tag, parts[key]) for tag, key in topics.items()),
            latest,
        ), 0

    def _load_own(self, article_id: int) -> Own | None:
        read = self._db.page_versions(article_id)
        if read is None:
            return None
        tags = tuple(number for number, _ in read.tags)
        return Own(read.headline, read.topics, read.body, read.comments, read.author_id, tags)

    def _load_others(self, article_id: int, _: list[str]) -> Mapping[str, Any]:
        read = self._db.page_versions(article_id)
        if read is None:
            return {}
        others: dict[str, Any] = {f"topic:{tag}": version for tag, version in read.tags}
        return others | {f"author:{read.author_id}": (read.author, read.latest)}


def keys_of(change: Change) -> list[str]:
    """The keys under which the versions stand that a write has raised: two at most.

    A vote raises none: scores are in no fragment.
    """
    keys = []
    if set(change.aspects) - {"votes"} and change.article_id is not None:
        keys.append(f"article:{change.article_id}")
    if {"headline", "author"}.intersection(change.aspects):
        keys.append(f"author:{change.author_id}")
    if "tag" in change.aspects:
        keys.append(f"topic:{change.id}")
    return keys
