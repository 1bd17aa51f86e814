"""What it costs to keep views up: counted anew after each write, or by the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.site.comments.places import place, rank
from labkit.site.comments.rebuilding import drop
from labkit.site.comments.views import CommentViews
from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from labkit.newsroom import Comment, Newsroom

_ALL = 10**9  # comments; more than there are


class Cost(NamedTuple):
    """What one vote costs once the database has it.

    Attributes:
        reads: How often the database is asked.
        rows: How many rows it answers.
        trips: How many round trips go to Redis.
        commands: How many commands are sent; a script is one.
        bytes: How large they are, the text of the script left out.
    """

    reads: int
    rows: int
    trips: int
    commands: int
    bytes: int


class Recounted:
    """Views that are counted anew: those of the article, the reader and the parent of a comment.

    O(N) in the comments of each. It is right only while nobody else writes: of two recounts, the
    one that read first may be stored last.

    Args:
        db: The newsroom.
        client: A blocking client of redis-py.
        prefix: What the keys begin with.
    """

    def __init__(self, db: Newsroom, client: Any, prefix: str = "news:recounted") -> None:
        self._db = db
        self._client = client
        self._prefix = prefix

    def apply(self, comment: Comment) -> None:
        """Count every view anew that shows a comment; one round trip."""
        on_article = self._db.comments_page(comment.article_id, most=_ALL)
        by_reader = self._db.comments_by(comment.reader, _ALL)
        with self._client.pipeline(transaction=True) as pipe:
            self._replace(pipe, f"time:{comment.article_id}", on_article, place)
            self._replace(pipe, f"best:{comment.article_id}", on_article, rank)
            self._replace(pipe, f"by:{comment.reader}", by_reader, place)
            if comment.parent_id is not None:
                replies = self._db.replies(comment.parent_id, _ALL)
                self._replace(pipe, f"replies:{comment.parent_id}", replies, place)
            pipe.hset(self._key("counts"), str(comment.article_id), len(on_article))
            totals = {"comments": len(by_reader), "score": sum(c.score for c in by_reader)}
            pipe.hset(self._key(f"totals:{comment.reader}"), mapping=totals)
            pipe.hset(
                self._key(f"comment:{comment.id}"),
                mapping={"body": comment.body, "score": comment.score, "version": comment.version},
            )
            pipe.execute()

    def drop(self) -> None:
        """Remove the views."""
        for key in self._client.scan_iter(match=f"{self._prefix}:*", count=1000):
            self._client.delete(key)

    def _replace(
        self, pipe: Any, view: str, comments: Sequence[Comment], text: Callable[[Comment], str]
    ) -> None:
        pipe.delete(self._key(view))
        if comments:
            pipe.zadd(self._key(view), {text(comment): 0 for comment in comments})

    def _key(self, view: str) -> str:
        return f"{self._prefix}:{view}"


def compare(db: Newsroom, client: Any, sizes: Sequence[int] = (10, 100, 1000)) -> pd.DataFrame:
    """What a vote costs, under articles with so many comments, in either way.

    Args:
        db: A newsroom, which is written to: an article is published for each size.
        client: A client of Redis; the views are removed again.
        sizes: How many comments the articles have, from 1.

    Returns:
        A row for each way and size, with the columns of `Cost`.
    """
    import pandas as pd

    views, recounted = CommentViews(client, "news:cost"), Recounted(db, client)
    views.switch(views.begin())
    ways: dict[str, Callable[[Comment], object]] = {
        "recounted": recounted.apply,
        "incremental": views.apply,
    }
    rows: dict[tuple[str, int], Cost] = {}
    try:
        for size in sizes:
            article = db.publish(1, f"{size} comments", "Say something.", "city")
            for number in range(size):
                db.add_comment(article, f"reader {number % 10} of {size}", "About time.")
            said = db.comments_page(article, most=size)
            views.apply_many(said)
            views.apply(said[0])  # the server has the script from here on
            for way, apply in ways.items():
                rows[way, size] = _cost(db, client, said[size // 2].id, way, apply)
    finally:
        drop(views)
        recounted.drop()
    index = pd.MultiIndex.from_tuples(rows, names=["views", "comments"])
    return pd.DataFrame(list(rows.values()), index=index, columns=Cost._fields)


def _cost(
    db: Newsroom, client: Any, comment_id: int, voter: str, apply: Callable[[Comment], object]
) -> Cost:
    db.vote(comment_id, voter, 1)
    with db.counting() as count, CommandLog(client) as log:
        comment = db.comments_of([comment_id])[comment_id]
        apply(comment)
    sent = sum(len(word.encode()) for each in log.commands for word in (each.name, *each.args))
    return Cost(count.reads, count.rows, log.round_trips, len(log.commands), sent)
