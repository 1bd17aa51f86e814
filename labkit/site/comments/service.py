"""Comments as readers write and read them: the database first, and then the views."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from labkit.cache.errors import Unavailable
from labkit.newsroom import DatabaseDown, NotFound
from labkit.site.comments.rebuilding import rebuild
from labkit.site.comments.views import Live, NotBuilt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from labkit.newsroom import Change, Comment, Newsroom
    from labkit.newsroom.comment_questions import Order
    from labkit.newsroom.records import Noted, ReaderTotals
    from labkit.site.comments.views import CommentViews
    from labkit.site.site import Site

T = TypeVar("T")

_BATCH = 100  # notes of the outbox, or comments, at a time
_COMMENTED = {"comments", "votes"}  # nothing else changes with a comment
_ARTICLE = {"headline", "comments"}  # these change together where an article comes or goes


class Comments:
    """The comments of a newsroom, and their views.

    A write goes to the database; then the state that is there is read back, and applied to the
    views. States may overtake each other: the views keep the newest. A write stands as soon as the
    database has it. Where Redis does not answer, its state is applied with the next write or read;
    where the process dies, a note is left in the outbox, if the newsroom has one, and the next
    write of another process or `catch_up` acts on it. Notes of other changes are taken out as well,
    and the site is told of them: nobody else may take notes out of this outbox.

    Reads ask the views, and the database where there are none or Redis does not answer.

    Args:
        db: The newsroom.
        views: Its views; `labkit.site.comments.rebuilding.rebuild` makes them.
        site: The site whose pages show the comments; it is told of every change.
    """

    def __init__(self, db: Newsroom, views: CommentViews, site: Site | None = None) -> None:
        self.db = db
        self.views = views
        self._site = site
        self._lock = threading.Lock()
        self._behind: tuple[Change, ...] = ()  # written, and not applied: Redis was away

    # --- Writing; each answers the comment as it is then

    def add(self, article_id: int, reader: str, body: str, at: float | None = None) -> Comment:
        """Say something about an article; see `Newsroom.add_comment`."""
        return self._write(self.db.add_comment, article_id, reader, body, at)

    def reply(self, comment_id: int, reader: str, body: str, at: float | None = None) -> Comment:
        """Reply to a comment.

        Raises:
            NotFound: There is no such comment, or it was deleted.
            ValueError: A text is empty.
        """
        parent = self.db.comment(comment_id)
        if parent is None:
            raise NotFound(f"there is no comment {comment_id}; nothing was written")
        return self._write(
            self.db.add_comment, parent.article_id, reader, body, at, parent=comment_id
        )

    def edit(self, comment_id: int, body: str) -> Comment:
        """Give a comment another text; see `Newsroom.edit_comment`."""
        return self._write(self.db.edit_comment, comment_id, body)

    def hide(self, comment_id: int) -> Comment:
        """Take a comment out of readers' sight; see `Newsroom.hide_comment`."""
        return self._write(self.db.hide_comment, comment_id)

    def show(self, comment_id: int) -> Comment:
        """Bring a comment back into readers' sight; see `Newsroom.show_comment`."""
        return self._write(self.db.show_comment, comment_id)

    def delete(self, comment_id: int) -> Comment:
        """Remove what a comment says, and leave its place; see `Newsroom.delete_comment`."""
        return self._write(self.db.delete_comment, comment_id)

    def vote(self, comment_id: int, reader: str, value: int) -> Comment:
        """Vote on a comment, with 1, -1, or 0 to take the vote back; see `Newsroom.vote`."""
        return self._write(self.db.vote, comment_id, reader, value)

    def hide_reader(self, reader: str) -> int:
        """Take all that a reader has said out of readers' sight; answers how many comments."""
        hidden = 0
        while seen := self.db.comments_by(reader, _BATCH):
            changes = []
            for comment in seen:
                with contextlib.suppress(NotFound):  # it was deleted meanwhile
                    changes.append(self._carry_out(self.db.hide_comment, comment.id))
            self._settle(*changes)
            hidden += len(changes)
        return hidden

    def delete_article(self, article_id: int) -> None:
        """Remove an article with its comments; see `Newsroom.delete_article`."""
        self._settle(self._carry_out(self.db.delete_article, article_id))

    # --- Reading

    def page(
        self,
        article_id: int,
        order: Order = "oldest",
        after: Comment | None = None,
        most: int = 50,
    ) -> list[Comment]:
        """The comments on an article; see `CommentViews.page`."""
        return self._read(
            lambda: self.views.page(article_id, order, after, most),
            lambda: self.db.comments_page(article_id, order, after, most),
        )

    def replies(self, comment_id: int, most: int = 50) -> list[Comment]:
        """The replies to a comment, the oldest first."""
        return self._read(
            lambda: self.views.replies(comment_id, most),
            lambda: self.db.replies(comment_id, most),
        )

    def by(self, reader: str, most: int = 50) -> list[Comment]:
        """The comments of a reader, the newest first."""
        return self._read(
            lambda: self.views.by(reader, most), lambda: self.db.comments_by(reader, most)
        )

    def totals(self, reader: str) -> ReaderTotals:
        """What a reader has said, of what others see."""
        return self._read(lambda: self.views.totals(reader), lambda: self.db.reader_totals(reader))

    def counts(self, article_ids: Sequence[int]) -> dict[int, int]:
        """How many comments on each of these articles readers see."""
        return self._read(
            lambda: self.views.counts(article_ids),
            lambda: {number: self.db.comment_count(number) for number in article_ids},
        )

    def live(self, article_id: int, comment_ids: Sequence[int]) -> Live:
        """What changes on a page that stands; see `CommentViews.live`."""
        return self._read(
            lambda: self.views.live(article_id, comment_ids),
            lambda: self._live(article_id, comment_ids),
        )

    def _live(self, article_id: int, comment_ids: Sequence[int]) -> Live:
        rows = self.db.comments_of(comment_ids).values()
        scores = {row.id: row.score for row in rows if not row.hidden and not row.deleted}
        return Live(self.db.comment_count(article_id), scores)

    def _read(self, views: Callable[[], T], database: Callable[[], T]) -> T:
        if self._behind:
            self._settle()
        if self._behind:
            return database()
        try:
            return views()
        except (Unavailable, NotBuilt):
            return database()

    # --- Keeping the views up

    def catch_up(self) -> int:
        """Act on what the outbox has; answers how many changes that were.

        Raises:
            Unavailable: Redis did not answer. What was not applied stays in the outbox.
            DatabaseDown: The database did not answer.
        """
        number = 0
        while noted := self.db.outbox(_BATCH):
            self._act([], noted)
            number += len(noted)
        return number

    def keep_up(self, stop: threading.Event, every: float = 1.0) -> None:
        """Act on what others have written and not applied, until told to stop.

        Views that are not there, since Redis is new or was emptied, are made anew.

        Args:
            stop: Set it, and this returns.
            every: Seconds between two looks.
        """
        due = True
        while not stop.is_set():
            with contextlib.suppress(Unavailable, DatabaseDown, RuntimeError):
                if not self.views.built() and not self.views.building():
                    rebuild(self.views, self.db)
                due = due or self.db.wait_for_changes(0)
                if due:
                    self.catch_up()
                    due = False
            stop.wait(every)

    def _write(self, write: Callable[..., Change], *args: Any, **kwargs: Any) -> Comment:
        """Write to a comment; answers it as it is then."""
        change = self._carry_out(write, *args, **kwargs)
        found = self._settle(change)
        comment = found.get(change.id) or self.db.comment(change.id)
        if comment is None:
            raise NotFound(f"comment {change.id} was written, and is gone with its article")
        return comment

    def _carry_out(self, write: Callable[..., Change], *args: Any, **kwargs: Any) -> Change:
        if self._site is None:
            return write(*args, **kwargs)
        return self._site.write(write, *args, **kwargs)

    def _settle(self, *changes: Change) -> dict[int, Comment]:
        """Apply changes, and what could not be applied before; answers the comments."""
        with self._lock:
            changes, self._behind = (*self._behind, *changes), ()
        try:
            return self._act(changes, self.db.outbox(_BATCH))
        except (Unavailable, DatabaseDown):
            with self._lock:
                self._behind = (*changes, *self._behind)
            return {}

    def _act(self, changes: Sequence[Change], noted: Sequence[Noted]) -> dict[int, Comment]:
        """Apply what the database has now of what was changed; answers the comments."""
        if self._site is not None:
            for note in noted:
                self._site.forget(note.change)
        changes = [*changes, *(note.change for note in noted)]
        comments = self.db.comments_of({c.id for c in changes if _COMMENTED.issuperset(c.aspects)})
        self.views.apply_many(comments.values())
        for article_id in self._gone(changes):
            self.views.forget(article_id)
        if noted:
            self.db.done(note.id for note in noted)
        return comments

    def _gone(self, changes: Iterable[Change]) -> set[int]:
        """The articles that were deleted, of those whose every aspect has changed."""
        articles = {
            change.article_id
            for change in changes
            if change.article_id is not None and _ARTICLE.issubset(change.aspects)
        }
        return articles - self.db.article_versions(articles).keys()
