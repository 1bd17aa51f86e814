"""The newsroom's database: what can be asked of it, what can be written, and what that costs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from labkit.newsroom import checks, questions, writes
from labkit.newsroom.base import texts
from labkit.newsroom.commented import Commented
from labkit.newsroom.drafts import DraftSource
from labkit.newsroom.generate import Size
from labkit.newsroom.outbox import Outbox
from labkit.newsroom.records import Article, Author, Change, Draft, Headline, PageVersions
from labkit.newsroom.sources import ArticleSource, AuthorSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.clock import Clock
    from labkit.newsroom.latency import Latency


class Newsroom(Commented, Outbox):
    """The SQL database of a news site, with a counter of its reads.

    Each question is one SELECT and counts as one read, unless it names no rows: then nobody asks.
    Each write is one transaction; it raises exactly the versions of what it changes, and is refused
    before anything is written where an argument makes no sense. Any number of threads may use it.

    Args:
        url: `sqlite://` is in memory and gone with this object, `sqlite:///path` is a file that
            processes may share, `postgresql://user@host/database` a server. None: the variable
            `LABKIT_DATABASE_URL` of the environment, or else in memory.
        schema: The PostgreSQL schema for the tables, so that several newsrooms share a database.
        latency: Makes reads as slow as those of a distant or busy database.
        clock: Tells when something is written, and how long a read takes.
        outbox: Whether each write that changes something leaves a note of it; see `outbox`.

    Raises:
        ValueError: The URL is of no known kind.

    Attributes:
        latency: See above; may be exchanged at any time.
    """

    # --- Questions

    def article(self, article_id: int) -> Article | None:
        """The article; None: there is none."""
        rows = self._ask("article", questions.ARTICLE, id=checks.number("article_id", article_id))
        return questions.article_of(rows[0]) if rows else None

    def articles_of(self, ids: Iterable[int]) -> dict[int, Article]:
        """Those of the articles that are there, in the order of their numbers in `ids`."""
        rows = self._ask_many("articles_of", questions.ARTICLES, ids)
        return {number: questions.article_of(row) for number, row in rows.items()}

    def article_versions(self, ids: Iterable[int]) -> dict[int, int]:
        """The `Article.version` of each article that is there."""
        rows = self._ask_many("article_versions", questions.ARTICLE_VERSIONS, ids)
        return {number: row.version for number, row in rows.items()}

    def page_versions(self, article_id: int) -> PageVersions | None:
        """Every version on which the page of an article depends; None: there is none."""
        number = checks.number("article_id", article_id)
        rows = self._ask("page_versions", questions.PAGE_VERSIONS, id=number)
        return questions.page_versions_of(rows[0]) if rows else None

    def author(self, author_id: int) -> Author | None:
        """The author; None: there is none."""
        rows = self._ask("author", questions.AUTHOR, id=checks.number("author_id", author_id))
        return Author(**rows[0]._mapping) if rows else None

    def authors_of(self, ids: Iterable[int]) -> dict[int, Author]:
        """Those of the authors who are there, in the order of their numbers in `ids`."""
        rows = self._ask_many("authors_of", questions.AUTHORS, ids)
        return {number: Author(**row._mapping) for number, row in rows.items()}

    def author_versions(self, ids: Iterable[int]) -> dict[int, int]:
        """The `Author.version` of each author who is there."""
        rows = self._ask_many("author_versions", questions.AUTHOR_VERSIONS, ids)
        return {number: row.version for number, row in rows.items()}

    def latest_of(self, author_id: int, limit: int = 5) -> list[Headline]:
        """The articles of an author, the newest first."""
        number, most = checks.number("author_id", author_id), checks.count("limit", limit)
        rows = self._ask("latest_of", questions.LATEST_OF, id=number, most=most)
        return [Headline(**row._mapping) for row in rows]

    def most_read(self, limit: int) -> list[int]:
        """The numbers of the articles that were read most, the first of them first."""
        rows = self._ask("most_read", questions.MOST_READ, most=checks.count("limit", limit))
        return [row.id for row in rows]

    def ids(self) -> list[int]:
        """The numbers of all articles, ascending."""
        return [row.id for row in self._ask("ids", questions.IDS)]

    def drafts(self) -> dict[int, Draft]:
        """Every draft by the number of its article, ascending."""
        return self.draft_source.all()

    # --- Writes

    def edit_article(
        self,
        article_id: int,
        *,
        title: str | None = None,
        body: str | None = None,
        section: str | None = None,
        tags: Iterable[str] | None = None,
        at: float | None = None,
        if_version: int | None = None,
    ) -> Change:
        """Change an article. What is None, or as it is already, stays.

        Args:
            article_id: The article.
            title: A new headline.
            body: A new text.
            section: Another section.
            tags: All its tags, in any order; those that do not exist yet are made.
            at: When, in seconds since the epoch; None is now.
            if_version: The `Article.version` that the change was made of.

        Raises:
            NotFound: There is no such article.
            Conflict: The article does not have the version `if_version`.
            TypeError: An argument is of the wrong kind.
            ValueError: An argument makes no sense, such as an empty title.
        """
        number = checks.number("article_id", article_id)
        given: dict[str, Any] = texts(title=title, body=body, section=section)
        if tags is not None:
            given["tags"] = checks.tags(tags)
        moment = self._moment(at)
        change, _ = self._change_to(
            lambda connection: writes.edit_article(connection, number, given, moment, if_version),
            "tags" if "tags" in given else None,
        )
        return change

    def save_article(self, article: Article) -> Article:
        """Write title, section, tags and body of an article that was read, and then changed.

        Returns:
            The article as it stands now, with the versions that it has now.

        Raises:
            Conflict: Somebody has changed the article since it was read.
            NotFound: There is no such article; `publish` makes one.
            TypeError: A field is of the wrong kind.
            ValueError: A field makes no sense, such as an empty title.
        """
        number = checks.number("id", article.id)
        given: dict[str, Any] = texts(
            title=article.title, body=article.body, section=article.section, required=True
        )
        given["tags"] = checks.tags(article.tags)
        moment, version = self._moment(None), checks.number("version", article.version)
        _, now = self._change_to(
            lambda connection: writes.edit_article(connection, number, given, moment, version),
            "tags",
        )
        return now

    def publish(
        self,
        author_id: int,
        title: str,
        body: str,
        section: str,
        tags: Iterable[str] = (),
        at: float | None = None,
    ) -> int:
        """Add an article.

        Args:
            author_id: Who wrote it.
            title: The headline.
            body: The text.
            section: Where it stands.
            tags: What it is about; tags that do not exist yet are made.
            at: When it appears, in seconds since the epoch; None is now.

        Returns:
            Its number, which no article has had before.

        Raises:
            NotFound: There is no such author.
            TypeError: An argument is of the wrong kind.
            ValueError: An argument makes no sense, such as an empty title.
        """
        number, names = checks.number("author_id", author_id), checks.tags(tags)
        columns: dict[str, Any] = texts(title=title, body=body, section=section, required=True)
        columns["published_at"] = columns["updated_at"] = self._moment(at)
        change = self._change(
            lambda connection: writes.publish(connection, number, names, **columns), "tags"
        )
        return change.id

    def delete_article(self, article_id: int) -> Change:
        """Remove an article and its comments.

        Raises:
            NotFound: There is no such article.
        """
        number = checks.number("article_id", article_id)
        return self._change(lambda connection: writes.delete_article(connection, number))

    def edit_author(
        self,
        author_id: int,
        *,
        name: str | None = None,
        bio: str | None = None,
        if_version: int | None = None,
    ) -> Change:
        """Change an author. What is None, or as it is already, stays.

        Args:
            author_id: The author.
            name: Another name.
            bio: Another sentence about them.
            if_version: The `Author.version` that the change was made of.

        Raises:
            NotFound: There is no such author.
            Conflict: The author does not have the version `if_version`.
            TypeError: An argument is of the wrong kind.
            ValueError: A text is empty.
        """
        number, given = checks.number("author_id", author_id), texts(name=name, bio=bio)
        change, _ = self._change_to(
            lambda connection: writes.edit_author(connection, number, given, if_version)
        )
        return change

    def save_author(self, author: Author) -> Author:
        """Write name and bio of an author who was read, and then changed.

        Returns:
            The author as they stand now, with the version that they have now.

        Raises:
            Conflict: Somebody has changed the author since they were read.
            NotFound: There is no such author.
            TypeError: A field is of the wrong kind.
            ValueError: A text is empty.
        """
        number = checks.number("id", author.id)
        given = texts(name=author.name, bio=author.bio, required=True)
        version = checks.number("version", author.version)
        _, now = self._change_to(
            lambda connection: writes.edit_author(connection, number, given, version)
        )
        return now

    def delete_author(self, author_id: int) -> Change:
        """Remove an author who has no articles.

        Raises:
            NotFound: There is no such author.
            ValueError: They have articles.
        """
        number = checks.number("author_id", author_id)
        return self._change(lambda connection: writes.delete_author(connection, number))

    def rename_tag(self, old: str, new: str) -> Change:
        """Give a tag another name, on all of its articles at once.

        Raises:
            NotFound: There is no tag `old`.
            TypeError: A name is no text.
            ValueError: There is a tag `new` already, or it is no name for a tag.
        """
        names = checks.tag("old", old), checks.tag("new", new)
        return self._change(lambda connection: writes.rename_tag(connection, *names), "tags")

    # --- For a cache

    @property
    def article_source(self) -> ArticleSource:
        """The articles by their numbers, as a cache loads and saves them."""
        return ArticleSource(self)

    @property
    def author_source(self) -> AuthorSource:
        """The authors by their numbers, as a cache loads and saves them."""
        return AuthorSource(self)

    @property
    def draft_source(self) -> DraftSource:
        """The drafts of articles by their numbers, as a cache loads, saves and applies them."""
        return DraftSource(self)


def open(  # noqa: A001 - as newsroom.open(), which reads as it is meant
    url: str | None = None,
    *,
    articles: int = 2000,
    authors: int = 40,
    seed: int = 5,
    schema: str | None = None,
    latency: Latency | None = None,
    clock: Clock = time.time,
    outbox: bool = False,
) -> Newsroom:
    """A newsroom that is ready: its tables are made, and filled where they are empty.

    Args:
        url: See `Newsroom`.
        articles: How many articles an empty database gets.
        authors: How many authors.
        seed: See `Newsroom.fill`.
        schema: See `Newsroom`.
        latency: See `Newsroom`.
        clock: See `Newsroom`.
        outbox: See `Newsroom`.

    Raises:
        DatabaseDown: The database does not answer.
        ValueError: An argument makes no sense.
    """
    size = Size(articles=articles, authors=authors)
    db = Newsroom(url, schema=schema, latency=latency, clock=clock, outbox=outbox)
    try:
        db.create()
        db.fill(size, seed=seed)
    except BaseException:
        db.close()
        raise
    return db
