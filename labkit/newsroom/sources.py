"""Articles and authors as a cache loads and saves them: by key, one or many, with versions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labkit.newsroom.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.newsroom.database import Newsroom
    from labkit.newsroom.records import Article, Author


class ArticleSource:
    """The articles of a newsroom by their numbers.

    Attributes:
        returning: `save` answers what is stored, so that a cache may keep it without a read.
    """

    returning = True

    def __init__(self, db: Newsroom) -> None:
        self._db = db

    def load(self, key: int) -> Article | None:
        """The article; None: there is none."""
        return self._db.article(key)

    def load_many(self, keys: Iterable[int]) -> dict[int, Article]:
        """Those of the articles that are there, in one read."""
        return self._db.articles_of(keys)

    def save(self, key: int, value: Article) -> Article:
        """Write title, section, tags and body of an article that was read, and then changed.

        Returns:
            The article as it stands now, with the versions that it has now.

        Raises:
            Conflict: Somebody has changed the article since it was read.
            NotFound: There is no such article; `Newsroom.publish` makes one.
            ValueError: The article has another number than `key`.
        """
        _check_key(key, value.id)
        return self._db.save_article(value)

    def delete(self, key: int) -> None:
        """Remove the article, if it is there."""
        with contextlib.suppress(NotFound):
            self._db.delete_article(key)

    def versions(self, keys: Iterable[int]) -> dict[int, int]:
        """The versions of those that are there, in one read."""
        return self._db.article_versions(keys)


class AuthorSource:
    """The authors of a newsroom by their numbers.

    Attributes:
        returning: `save` answers what is stored, so that a cache may keep it without a read.
    """

    returning = True

    def __init__(self, db: Newsroom) -> None:
        self._db = db

    def load(self, key: int) -> Author | None:
        """The author; None: there is none."""
        return self._db.author(key)

    def load_many(self, keys: Iterable[int]) -> dict[int, Author]:
        """Those of the authors who are there, in one read."""
        return self._db.authors_of(keys)

    def save(self, key: int, value: Author) -> Author:
        """Write name and bio of an author who was read, and then changed.

        Returns:
            The author as they stand now, with the version that they have now.

        Raises:
            Conflict: Somebody has changed the author since they were read.
            NotFound: There is no such author.
            ValueError: The author has another number than `key`.
        """
        _check_key(key, value.id)
        return self._db.save_author(value)

    def delete(self, key: int) -> None:
        """Remove the author, if they are there.

        Raises:
            ValueError: They have articles.
        """
        with contextlib.suppress(NotFound):
            self._db.delete_author(key)

    def versions(self, keys: Iterable[int]) -> dict[int, int]:
        """The versions of those who are there, in one read."""
        return self._db.author_versions(keys)


def _check_key(key: int, number: int) -> None:
    if key != number:
        raise ValueError(f"the key is {key!r}, but the record has the id {number!r}")
