"""What `labkit comments rebuild` and `labkit comments check` do."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from labkit import newsroom
from labkit.cache.errors import Unavailable
from labkit.connection import connect
from labkit.site.comments.checking import check
from labkit.site.comments.rebuilding import rebuild
from labkit.site.comments.views import CommentViews

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.newsroom import Newsroom

_SHOWN = 20  # differences


def run_rebuild(*, redis: str | None, database: str | None, namespace: str) -> None:
    """Make the views of comments anew, while the site goes on.

    Raises:
        ValueError: The database is in memory.
        OSError: The database is not reached, or Redis does not answer.
        CannotConnect: Redis is not reached.
    """
    with _opened(redis, database, namespace) as (views, db):
        try:
            number = rebuild(views, db)
        except RuntimeError as error:
            raise OSError(str(error)) from error
    print(f"The views under {views.root} are made of {number:,} comments.")


def run_check(*, redis: str | None, database: str | None, namespace: str) -> bool:
    """Compare the views of comments with the database; whether they are the same.

    Raises:
        ValueError: The database is in memory.
        OSError: The database is not reached, or Redis does not answer.
        CannotConnect: Redis is not reached.
        NotBuilt: There are no views.
    """
    with _opened(redis, database, namespace) as (views, db):
        try:
            differences = check(views, db)
        except RuntimeError as error:
            raise OSError(str(error)) from error
    for difference in differences[:_SHOWN]:
        print(difference)
    if differences:
        number = f"{len(differences):,} difference{'' if len(differences) == 1 else 's'}"
        print(f"{number}. `labkit comments rebuild` makes the views anew.")
    else:
        print(f"The views under {views.root} are as the database says.")
    return not differences


@contextlib.contextmanager
def _opened(
    redis: str | None, database: str | None, namespace: str
) -> Iterator[tuple[CommentViews, Newsroom]]:
    """The views and the newsroom, for as long as the block lasts."""
    if (database or os.environ.get("LABKIT_DATABASE_URL")) in (None, "", "sqlite://"):
        raise ValueError(
            "The database is in memory, where nobody else has anything. Give one with --database "
            "or the environment variable LABKIT_DATABASE_URL."
        )
    with newsroom.Newsroom(database) as db, connect(redis) as client:
        try:
            yield CommentViews(client, namespace), db
        except Unavailable as error:
            raise OSError(f"{error}. Nothing that readers see was changed.") from error
