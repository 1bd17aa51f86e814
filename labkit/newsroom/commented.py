"""What can be asked and written of comments, replies and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.newsroom import checks, comment_questions, comment_writes
from labkit.newsroom.base import Database, texts
from labkit.newsroom.records import Comment, ReaderTotals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.newsroom.comment_questions import Order
    from labkit.newsroom.records import Change


class Commented(Database):
    """The part of a newsroom that has to do with comments; see `Newsroom`."""

    # --- Questions

    def comment(self, comment_id: int) -> Comment | None:
        """The comment, hidden and deleted ones too; None: there is none."""
        number = checks.number("comment_id", comment_id)
        rows = self._ask("comment", comment_questions.COMMENT, id=number)
        return Comment(**rows[0]._mapping) if rows else None

    def comments_of(self, ids: Iterable[int]) -> dict[int, Comment]:
        """Those of the comments that are there, hidden and deleted ones too, in the order asked."""
        rows = self._ask_many("comments_of", comment_questions.COMMENTS_OF, ids)
        return {number: Comment(**row._mapping) for number, row in rows.items()}

    def comments(self, article_id: int, limit: int = 50) -> list[Comment]:
        """The comments on an article that readers see, the oldest first."""
        number, most = checks.number("article_id", article_id), checks.count("limit", limit)
        return self._comments("comments", comment_questions.COMMENTS, article_id=number, most=most)

    def comments_page(
        self,
        article_id: int,
        order: Order = "oldest",
        after: Comment | None = None,
        most: int = 50,
    ) -> list[Comment]:
        """A page of the comments on an article that readers see.

        A page begins behind the place of a comment, as that was when it was read: whoever goes from
        page to page meets each comment that keeps its place once, whatever the others do.

        Args:
            article_id: The article.
            order: "oldest" first, "newest" first, or "best": by score, and the oldest first of
                those that tie.
            after: The last comment of the page before; None: the first page.
            most: How many comments a page has.

        Raises:
            TypeError: An argument is of the wrong kind.
            ValueError: There is no such order, or `most` is less than 1.
        """
        number, most = checks.number("article_id", article_id), checks.count("most", most)
        checks.one_of("order", order, comment_questions.ORDERS)
        if after is not None and not isinstance(after, Comment):
            raise TypeError(f"after is {after!r}; expected the last comment of the page before")
        statement, place = comment_questions.page_after(order, after)
        return self._comments("comments_page", statement, article_id=number, most=most, **place)

    def replies(self, comment_id: int, most: int = 50) -> list[Comment]:
        """The replies to a comment that readers see, the oldest first."""
        number, most = checks.number("comment_id", comment_id), checks.count("most", most)
        return self._comments("replies", comment_questions.REPLIES, id=number, most=most)

    def comments_by(self, reader: str, most: int = 50) -> list[Comment]:
        """What a reader has said, of what other readers see, the newest first."""
        name, most = checks.text("reader", reader), checks.count("most", most)
        return self._comments("comments_by", comment_questions.COMMENTS_BY, reader=name, most=most)

    def comments_after(self, comment_id: int, most: int = 1000) -> list[Comment]:
        """The comments with higher numbers, hidden and deleted ones too, by number: all, from 0 on.

        Whoever goes through all of them this way has to hear of new ones otherwise: on PostgreSQL a
        comment may appear behind one that has a higher number.
        """
        number, most = checks.number("comment_id", comment_id), checks.count("most", most)
        return self._comments(
            "comments_after", comment_questions.COMMENTS_AFTER, id=number, most=most
        )

    def comment_count(self, article_id: int) -> int:
        """How many comments on an article readers see; 0 where there is no article."""
        number = checks.number("article_id", article_id)
        (row,) = self._ask("comment_count", comment_questions.COMMENT_COUNT, article_id=number)
        return int(row[0])

    def reader_totals(self, reader: str) -> ReaderTotals:
        """How much a reader has said, and what others think of it; zeros for one nobody knows."""
        name = checks.text("reader", reader)
        (row,) = self._ask("reader_totals", comment_questions.READER_TOTALS, reader=name)
        return ReaderTotals(**row._mapping)

    def votes_of(self, comment_id: int) -> dict[str, int]:
        """The votes on a comment, 1 or -1, by reader."""
        number = checks.number("comment_id", comment_id)
        rows = self._ask("votes_of", comment_questions.VOTES_OF, id=number)
        return {row.reader: row.value for row in rows}

    def _comments(self, query: str, statement: Any, **parameters: Any) -> list[Comment]:
        """The comments that a SELECT finds."""
        return [Comment(**row._mapping) for row in self._ask(query, statement, **parameters)]

    # --- Writes

    def add_comment(
        self,
        article_id: int,
        reader: str,
        body: str,
        at: float | None = None,
        parent: int | None = None,
    ) -> Change:
        """Add a comment; its number is the `id` of the answer.

        Args:
            article_id: The article.
            reader: Who says it.
            body: The text.
            at: When, in seconds since the epoch; None is now.
            parent: The comment that it replies to, on the same article.

        Raises:
            NotFound: There is no such article or parent, or the parent was deleted.
            TypeError: An argument is of the wrong kind.
            ValueError: A text is empty, or the parent stands under another article.
        """
        number = checks.number("article_id", article_id)
        to = None if parent is None else checks.number("parent", parent)
        columns: dict[str, Any] = texts(reader=reader, body=body, required=True)
        columns["posted_at"] = self._moment(at)
        return self._change(
            lambda connection: comment_writes.add(connection, number, to, **columns)
        )

    def edit_comment(self, comment_id: int, body: str) -> Change:
        """Give a comment another text.

        Raises:
            NotFound: There is no such comment, or it was deleted.
            TypeError: The text is none.
            ValueError: The text is empty.
        """
        number, text = checks.number("comment_id", comment_id), checks.text("body", body)
        return self._change(lambda connection: comment_writes.edit(connection, number, text))

    def hide_comment(self, comment_id: int) -> Change:
        """Take a comment out of readers' sight; replies to it stay.

        Raises:
            NotFound: There is no such comment, or it was deleted.
        """
        number = checks.number("comment_id", comment_id)
        return self._change(lambda connection: comment_writes.hide(connection, number))

    def show_comment(self, comment_id: int) -> Change:
        """Bring a comment that was hidden back into readers' sight.

        Raises:
            NotFound: There is no such comment, or it was deleted.
        """
        number = checks.number("comment_id", comment_id)
        return self._change(lambda connection: comment_writes.show(connection, number))

    def delete_comment(self, comment_id: int) -> Change:
        """Remove what a comment says, who said it, and the votes on it.

        Its place is left, with `deleted` set, so that replies to it keep theirs.

        Raises:
            NotFound: There is no such comment, or it was deleted before.
        """
        number = checks.number("comment_id", comment_id)
        return self._change(lambda connection: comment_writes.delete(connection, number))

    def vote(self, comment_id: int, reader: str, value: int) -> Change:
        """Vote on a comment; a reader has one vote on each, and the last one counts.

        The score of the comment is the sum of the votes on it. It raises the comment's own version
        only, neither `comments_version` nor that of the article: the aspect is "votes".

        Args:
            comment_id: The comment.
            reader: Who votes.
            value: 1 for, -1 against, 0 takes the vote back.

        Raises:
            NotFound: There is no such comment, or it was deleted.
            TypeError: An argument is of the wrong kind.
            ValueError: The reader is empty, or the value is another one.
        """
        number, name = checks.number("comment_id", comment_id), checks.text("reader", reader)
        checks.one_of("value", checks.number("value", value), (-1, 0, 1))
        return self._change(lambda connection: comment_writes.vote(connection, number, name, value))
