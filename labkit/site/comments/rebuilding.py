"""Making the views anew from the database, while readers read and writers write.

A rebuild makes a *generation*: views under names of their own. From its beginning on every state
goes to both, what readers see and what is made; the pages of the database are applied to the latter
only, where a newer state may be already. Then one script lets readers see it, and the keys of the
one before are removed. Nothing is taken over from it, so nothing that was wrong survives. Where a
rebuild ends in the middle, readers see what they saw; the next one removes what it has left.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

from labkit.cache.backends.redis_trips import errors_of_a_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labkit.newsroom import Comment, Newsroom
    from labkit.site.comments.views import CommentViews

T = TypeVar("T")

PAGE = 1000
"""Rows of one read, and keys of one look at Redis."""


def rebuild(views: CommentViews, db: Newsroom) -> int:
    """Make the views anew; answers how many rows the database has.

    A read for a thousand rows, and a round trip for a hundred of them.

    Raises:
        RuntimeError: Another rebuild has begun meanwhile, and its views will count; or this one
            made no step for five minutes.
        Unavailable: Redis did not answer. Readers see what they saw.
        DatabaseDown: The database did not answer. Readers see what they saw.
    """
    generation = views.begin()
    _unmark(views, db)
    number = 0
    for rows in pages(db):
        if not views.build(generation, rows):
            raise _superseded()
        number += len(rows)
    if not views.switch(generation):
        raise _superseded()
    sweep(views)
    return number


def drop(views: CommentViews) -> None:
    """Remove the views, so that there are none."""
    for some in batches(keys(views), PAGE):
        views.scripts.ask([("UNLINK", key) for key in some])


def sweep(views: CommentViews) -> None:
    """Remove the generations that nobody reads any more."""
    for name in views.scripts.run("retired"):
        generation = name.decode()
        for some in batches(keys(views, f"{generation}:"), PAGE):
            views.scripts.ask([("UNLINK", key) for key in some])
        views.scripts.ask([("SREM", f"{views.root}generations", generation)])


def pages(db: Newsroom) -> Iterator[list[Comment]]:
    """All comments of the database by their numbers, those that nobody sees included."""
    rows = db.comments_after(0, PAGE)
    while rows:
        yield rows
        rows = db.comments_after(rows[-1].id, PAGE)


def keys(views: CommentViews, begin: str = "") -> Iterator[str]:
    """The keys of the views that begin so, after their root; some may come twice."""
    pattern = "".join(f"\\{each}" if each in "*?[]\\" else each for each in views.root + begin)
    with errors_of_a_cache():
        for key in views.client.scan_iter(match=f"{pattern}*", count=PAGE):
            yield key.decode() if isinstance(key, bytes) else key


def marked(views: CommentViews, db: Newsroom) -> list[int]:
    """Articles that are there, and whose comments the views ignore as if they were deleted."""
    begin = f"{views.root}gone:"
    rests = (key.removeprefix(begin) for key in keys(views, "gone:"))
    numbers = (int(rest) for rest in rests if rest.isdecimal())
    return [number for some in batches(numbers, PAGE) for number in db.article_versions(some)]


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    rest = iter(items)
    while some := list(itertools.islice(rest, size)):
        yield some


def _unmark(views: CommentViews, db: Newsroom) -> None:
    """An article that is there was never deleted: no number is given twice."""
    views.scripts.ask([("DEL", f"{views.root}gone:{number}") for number in marked(views, db)])


def _superseded() -> RuntimeError:
    return RuntimeError(
        "another rebuild of the comments began while this one ran, or this one made no step for "
        "five minutes; let one process at a time do it"
    )
