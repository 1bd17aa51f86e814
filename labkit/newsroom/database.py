"""The newsroom's database: what can be asked of it, what can be written, and what that costs."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import sqlalchemy as sa

from labkit.newsroom import checks, questions, writes
from labkit.newsroom.connecting import Connecting
from labkit.newsroom.counter import Count, Counter
from labkit.newsroom.errors import DatabaseDown
from labkit.newsroom.generate import Size, fill
from labkit.newsroom.latency import Latency
from labkit.newsroom.records import Article, Author, Change, Comment, Headline, PageVersions
from labkit.newsroom.schema import articles
from labkit.newsroom.sources import ArticleSource, AuthorSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from labkit.clock import Clock

R = TypeVar("R")


class Newsroom:
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

    Raises:
        ValueError: The URL is of no known kind.

    Attributes:
        latency: See above; may be exchanged at any time.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        schema: str | None = None,
        latency: Latency | None = None,
        clock: Clock = time.time,
    ) -> None:
        self._connecting = Connecting(
            url or os.environ.get("LABKIT_DATABASE_URL") or "sqlite://", schema
        )
        self._clock = clock
        self._counter = Counter()
        self._outages = 0
        self._lock = threading.Lock()  # over the number of outages
        self.latency = latency or Latency(0, 0)

    # --- The tables

    def create(self) -> None:
        """Make the tables that are missing."""
        with self._connecting.alone() as connection:
            self._connecting.create(connection)

    def drop(self) -> None:
        """Remove the tables and all that is in them."""
        with self._connecting.alone() as connection:
            self._connecting.drop(connection)

    def fill(self, size: Size | None = None, *, seed: int = 5) -> bool:
        """Fill empty tables with a site; one that has articles stays as it is.

        Args:
            size: How large the site is; None: of the usual size.
            seed: Another seed makes another site of the same kind. The same seed makes the same
                site on every database.

        Returns:
            Whether the tables were empty.
        """
        with self._connecting.alone() as connection:
            if connection.execute(sa.select(articles.c.id).limit(1)).first():
                return False
            fill(connection, size or Size(), seed)
            self._connecting.settle(connection)
        return True

    def close(self) -> None:
        """Give the connections back."""
        self._connecting.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Newsroom {self._connecting.address}: {self.reads} reads, {self.writes} writes>"

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

    def comments(self, article_id: int, limit: int = 50) -> list[Comment]:
        """The comments on an article that readers see, the oldest first."""
        number, most = checks.number("article_id", article_id), checks.count("limit", limit)
        rows = self._ask("comments", questions.COMMENTS, id=number, most=most)
        return [Comment(**row._mapping) for row in rows]

    def comment_count(self, article_id: int) -> int:
        """How many comments on an article readers see; 0 where there is no article."""
        number = checks.number("article_id", article_id)
        (row,) = self._ask("comment_count", questions.COMMENT_COUNT, id=number)
        return int(row[0])

    def most_read(self, limit: int) -> list[int]:
        """The numbers of the articles that were read most, the first of them first."""
        rows = self._ask("most_read", questions.MOST_READ, most=checks.count("limit", limit))
        return [row.id for row in rows]

    def ids(self) -> list[int]:
        """The numbers of all articles, ascending."""
        return [row.id for row in self._ask("ids", questions.IDS)]

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
        given: dict[str, Any] = _texts(title=title, body=body, section=section)
        if tags is not None:
            given["tags"] = checks.tags(tags)
        moment = self._moment(at)
        return self._write(
            lambda connection: writes.edit_article(connection, number, given, moment, if_version),
            "tags" if "tags" in given else None,
        )

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
        columns: dict[str, Any] = _texts(title=title, body=body, section=section, required=True)
        columns["published_at"] = columns["updated_at"] = self._moment(at)
        return self._write(
            lambda connection: writes.publish(connection, number, names, **columns), "tags"
        )

    def delete_article(self, article_id: int) -> Change:
        """Remove an article and its comments.

        Raises:
            NotFound: There is no such article.
        """
        number = checks.number("article_id", article_id)
        return self._write(lambda connection: writes.delete_article(connection, number))

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
        number, given = checks.number("author_id", author_id), _texts(name=name, bio=bio)
        return self._write(
            lambda connection: writes.edit_author(connection, number, given, if_version)
        )

    def delete_author(self, author_id: int) -> Change:
        """Remove an author who has no articles.

        Raises:
            NotFound: There is no such author.
            ValueError: They have articles.
        """
        number = checks.number("author_id", author_id)
        return self._write(lambda connection: writes.delete_author(connection, number))

    def rename_tag(self, old: str, new: str) -> Change:
        """Give a tag another name, on all of its articles at once.

        Raises:
            NotFound: There is no tag `old`.
            TypeError: A name is no text.
            ValueError: There is a tag `new` already, or it is no name for a tag.
        """
        names = checks.tag("old", old), checks.tag("new", new)
        return self._write(lambda connection: writes.rename_tag(connection, *names), "tags")

    def add_comment(
        self, article_id: int, reader: str, body: str, at: float | None = None
    ) -> Change:
        """Add a comment; its number is the `id` of the answer.

        Args:
            article_id: The article.
            reader: Who says it.
            body: The text.
            at: When, in seconds since the epoch; None is now.

        Raises:
            NotFound: There is no such article.
            TypeError: An argument is of the wrong kind.
            ValueError: A text is empty.
        """
        number = checks.number("article_id", article_id)
        columns: dict[str, Any] = _texts(reader=reader, body=body, required=True)
        columns["posted_at"] = self._moment(at)
        return self._write(lambda connection: writes.add_comment(connection, number, **columns))

    def edit_comment(self, comment_id: int, body: str) -> Change:
        """Give a comment another text.

        Raises:
            NotFound: There is no such comment.
            TypeError: The text is none.
            ValueError: The text is empty.
        """
        number, text = checks.number("comment_id", comment_id), checks.text("body", body)
        return self._write(lambda connection: writes.edit_comment(connection, number, text))

    def hide_comment(self, comment_id: int) -> Change:
        """Take a comment out of readers' sight.

        Raises:
            NotFound: There is no such comment.
        """
        number = checks.number("comment_id", comment_id)
        return self._write(lambda connection: writes.hide_comment(connection, number))

    def delete_comment(self, comment_id: int) -> Change:
        """Remove a comment.

        Raises:
            NotFound: There is no such comment.
        """
        number = checks.number("comment_id", comment_id)
        return self._write(lambda connection: writes.delete_comment(connection, number))

    # --- For a cache

    @property
    def article_source(self) -> ArticleSource:
        """The articles by their numbers, as a cache loads and saves them."""
        return ArticleSource(self)

    @property
    def author_source(self) -> AuthorSource:
        """The authors by their numbers, as a cache loads and saves them."""
        return AuthorSource(self)

    # --- What it costs

    @property
    def reads(self) -> int:
        """How many questions the database has answered."""
        return self._counter.count.reads

    @property
    def writes(self) -> int:
        """How many writes the database has carried out, those that changed nothing included."""
        return self._counter.writes

    @property
    def count(self) -> Count:
        """The reads by question; goes on counting."""
        return self._counter.count

    def counting(self) -> contextlib.AbstractContextManager[Count]:
        """Count what is read while a block runs, from all threads.

        Example:
            >>> with db.counting() as tally:
            ...     show_page(17)
            >>> tally.reads, tally.by_query
            (3, {'article': 1, 'author': 1, 'comments': 1})
        """
        return self._counter.counting()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """An outage: while the block runs, each question and write raises `DatabaseDown`."""
        self._outage(1)
        try:
            yield
        finally:
            self._outage(-1)

    def _outage(self, step: int) -> None:
        with self._lock:
            self._outages += step

    def _refuse_if_down(self) -> None:
        if self._outages:
            raise DatabaseDown("the database is down, as Newsroom.down() said")

    def _ask(self, query: str, statement: sa.Executable, **parameters: Any) -> list[sa.Row[Any]]:
        """The rows of one SELECT, which is counted."""
        latency, begun = self.latency, self._clock()
        with latency.turn:
            self._refuse_if_down()
            with self._connecting.reading() as connection:
                rows = list(connection.execute(statement, parameters))
            # After the rows are there: who waits for them may get what is no longer true.
            latency.pause(len(rows))
        self._counter.read(query, len(rows), self._clock() - begun)
        return rows

    def _ask_many(
        self, query: str, statement: sa.Executable, ids: Iterable[int]
    ) -> dict[int, sa.Row[Any]]:
        """The rows by their numbers, in the order of `ids`."""
        numbers = checks.numbers("ids", ids)
        if not numbers:
            return {}
        found = {row.id: row for row in self._ask(query, statement, ids=numbers)}
        return {number: found[number] for number in numbers if number in found}

    def _write(self, work: Callable[[sa.Connection], R], lock: Literal["tags"] | None = None) -> R:
        """Do some work in one transaction, which is counted."""
        self._refuse_if_down()
        with self._connecting.writing(lock) as connection:
            done = work(connection)
        self._counter.wrote()
        return done

    def _moment(self, at: float | None) -> float:
        return checks.moment("at", self._clock() if at is None else at)


def _texts(*, required: bool = False, **given: str | None) -> dict[str, str]:
    """The texts that were given, checked; all must be where they are `required`."""
    return {
        name: checks.text(name, value)
        for name, value in given.items()
        if required or value is not None
    }


def open(  # noqa: A001 - as newsroom.open(), which reads as it is meant
    url: str | None = None,
    *,
    articles: int = 2000,
    authors: int = 40,
    seed: int = 5,
    schema: str | None = None,
    latency: Latency | None = None,
    clock: Clock = time.time,
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

    Raises:
        DatabaseDown: The database does not answer.
        ValueError: An argument makes no sense.
    """
    size = Size(articles=articles, authors=authors)
    db = Newsroom(url, schema=schema, latency=latency, clock=clock)
    try:
        db.create()
        db.fill(size, seed=seed)
    except BaseException:
        db.close()
        raise
    return db
