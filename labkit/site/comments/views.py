"""What readers see of comments, as materialised views in Redis.

| View | Kept as | Holds |
| --- | --- | --- |
| `comment:12` | hash | a comment; its version alone where readers do not see it |
| `time:17` | sorted set | the comments on an article, the oldest first |
| `best:17` | sorted set | the same, those with the highest score first, ties the oldest first |
| `replies:12` | sorted set | the replies to a comment, the oldest first |
| `by:ada` | sorted set | the comments of a reader, the oldest first |
| `counts` | hash | how many comments an article has, by its number |
| `totals:ada` | hash | how many comments a reader has, and the sum of their scores |

Only what readers see is in them. A list would be smaller than a sorted set, and right where things
are only ever added, at one end. Comments are not: one that is shown again goes back to its place in
the middle, a state may arrive after a later one, and to take one out a list is searched, O(N).

All keys of a namespace share a hash tag, `news:{comments}:`, so that one script changes every view
of a comment at once. On a cluster they therefore lie on one node, whose memory is their limit.
Redis must not evict them (`noeviction`, or a `volatile-` policy): nobody would notice but `check`.

The views of a generation stand under names of their own, `news:{comments}:<generation>:...`, beside
`live` and `next`, which name the one that readers see and the one that a rebuild makes;
`generations`, the set of all that may have keys; and `gone:17`, which expires and says that an
article was deleted.
"""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache.options import seconds
from labkit.newsroom import Comment
from labkit.newsroom.comment_questions import ORDERS, Order
from labkit.newsroom.records import ReaderTotals
from labkit.site.comments.places import place, rank
from labkit.site.comments.scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from labkit.cache.options import TTL

BATCH = 100
"""States that one script applies; a server does nothing else meanwhile."""

MOST = 1000
"""Comments, or numbers, that one read may ask for."""

_LEASE = 300_000  # milliseconds that a rebuild may go on without a word
_HIGHEST = 2**53  # that Lua can tell from its neighbours


class NotBuilt(LookupError):
    """There are no views: Redis is new, or was emptied. `rebuild` makes them."""


class Live(msgspec.Struct, frozen=True):
    """What changes on a page that stands.

    Attributes:
        count: How many comments readers see.
        scores: The scores of comments by their numbers; those that nobody sees are left out.
    """

    count: int
    scores: dict[int, int]


class CommentViews:
    """Views of the comments of a newsroom.

    They are kept up by *states*: a comment as the database has it. A state is ignored where one of
    the same or a higher version is there, so states may come late, twice and in any order. That a
    comment was deleted or hidden, or an article deleted, is remembered for a while, and for that
    long no older state brings it back.

    Whatever is read takes one round trip, and nothing grows with the number of all comments.

    Args:
        client: A blocking client of redis-py.
        namespace: What the keys begin with. It belongs to one database.
        remember: For how long that is, at least. It has to be longer than a process may take from
            reading a state to applying it.

    Raises:
        ValueError: The namespace has braces in it, or the time is none.
    """

    def __init__(self, client: Any, namespace: str = "news", remember: TTL = "1d") -> None:
        if not namespace or set("{}") & set(namespace):
            raise ValueError(f"namespace is {namespace!r}; expected text without braces")
        how_long = seconds("remember", remember)
        if how_long is None:
            raise ValueError("remember is None; expected a time such as '1d'")
        self.client = client
        self.root = f"{namespace}:{{comments}}:"
        self._remember = max(1, round(how_long * 1000))
        self._keys = (f"{self.root}live", f"{self.root}next")
        self.scripts = Scripts(client, self._keys)

    # --- Keeping them up

    def apply(self, comment: Comment) -> bool:
        """Apply the state of a comment, to all views at once. One round trip, O(log N).

        Returns:
            Whether it was news. False as well where there are no views yet.

        Raises:
            Unavailable: Redis did not answer; whether it was applied is not known. Apply it again.
            ValueError: The state is of no row, or its version is 2**53 or more.
        """
        return self.apply_many([comment]) == 1

    def apply_many(self, comments: Iterable[Comment]) -> int:
        """Apply states, each at once. One round trip for a hundred; answers how many were news."""
        return sum(
            self.scripts.run("apply", self._remember, *words) for words in _batches(comments)
        )

    def forget(self, article_id: int) -> None:
        """Take the comments on an article that was deleted out of the views, for good.

        O(log N) for each of them, and one round trip for a hundred.
        """
        while self.scripts.run("forget", article_id, BATCH, self._remember):
            pass

    # --- Reading them

    def built(self) -> bool:
        """Whether there are views. Errors are those of `page`."""
        return bool(self.scripts.ask([("EXISTS", self._keys[0])])[0])

    def building(self) -> bool:
        """Whether a rebuild is under way. Errors are those of `page`."""
        return bool(self.scripts.ask([("EXISTS", self._keys[1])])[0])

    def page(
        self,
        article_id: int,
        order: Order = "oldest",
        after: Comment | None = None,
        most: int = 50,
    ) -> list[Comment]:
        """The comments on an article, replies among them.

        Args:
            article_id: The article.
            order: `"best"` is by score, the highest first, and then the oldest first.
            after: The last comment of the page before, as it was then: it may have moved since.
            most: How many.

        Raises:
            NotBuilt: There are no views.
            Unavailable: Redis did not answer.
            ValueError: There is no such order, or `most` is not from 1 to 1,000.
        """
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}; expected one of {', '.join(ORDERS)}")
        of, text = ("best", rank) if order == "best" else ("time", place)
        last = None if after is None else text(after)
        return self._list(f"{of}:{article_id}", last, most, back=order == "newest")

    def replies(self, comment_id: int, most: int = 50) -> list[Comment]:
        """The replies to a comment, the oldest first. Errors are those of `page`."""
        return self._list(f"replies:{comment_id}", None, most)

    def by(self, reader: str, most: int = 50) -> list[Comment]:
        """The comments of a reader, the newest first. Errors are those of `page`."""
        return self._list(f"by:{reader}", None, most, back=True)

    def count(self, article_id: int) -> int:
        """How many comments on an article readers see. Errors are those of `page`."""
        return self.counts([article_id])[article_id]

    def counts(self, article_ids: Sequence[int]) -> dict[int, int]:
        """How many comments on each of these articles readers see. Errors are those of `page`."""
        if not article_ids:
            return {}
        _check_most("the number of articles", len(article_ids))
        found = self._read("fields", "counts", *article_ids)
        return {number: int(count or 0) for number, count in zip(article_ids, found, strict=True)}

    def totals(self, reader: str) -> ReaderTotals:
        """What a reader has said, of what others see. Errors are those of `page`."""
        comments, score = self._read("fields", f"totals:{reader}", "comments", "score")
        return ReaderTotals(int(comments or 0), int(score or 0))

    def live(self, article_id: int, comment_ids: Sequence[int]) -> Live:
        """The count of an article and the scores of comments. Errors are those of `page`."""
        if comment_ids:
            _check_most("the number of comments", len(comment_ids))
        count, *scores = self._read("live", article_id, *comment_ids)
        known = zip(comment_ids, scores, strict=True)
        return Live(int(count or 0), {number: int(s) for number, s in known if s is not None})

    def _list(
        self, view: str, after: str | None, most: int, *, back: bool = False
    ) -> list[Comment]:
        _check_most("most", most)
        begin = ("+" if back else "-") if after is None else f"({after}"
        command, end = ("ZREVRANGEBYLEX", "-") if back else ("ZRANGEBYLEX", "+")
        return [_comment(fields) for fields in self._read("list", view, command, begin, end, most)]

    def _read(self, name: str, *arguments: Any) -> list[Any]:
        found = self.scripts.run(name, *arguments)
        if found is None:
            raise NotBuilt(f"there are no views under {self.root}; make them with rebuild(db)")
        return list(found)

    # --- Making them anew; `labkit.site.comments.rebuilding` says how

    def begin(self) -> str:
        """Begin another generation, which gets every state from now on; answers its name."""
        name = secrets.token_hex(8)
        add = ("SADD", f"{self.root}generations", name)
        self.scripts.ask([add, ("SET", self._keys[1], name, "PX", _LEASE)])
        return name

    def build(self, generation: str, comments: Iterable[Comment]) -> bool:
        """Apply states to a generation that was begun; False: another has begun since."""
        return all(
            self.scripts.run("build", generation, _LEASE, self._remember, *words)
            for words in _batches(comments)
        )

    def switch(self, generation: str) -> bool:
        """Let readers see a generation; False: another has begun since."""
        return bool(self.scripts.run("switch", generation))


def words_of(comment: Comment) -> tuple[Any, ...]:
    """The state of a comment as the scripts take it."""
    if not 0 < comment.id < 2**63 or not 0 < comment.version < _HIGHEST:
        raise ValueError(
            f"comment {comment.id} has version {comment.version}; expected a row of the database, "
            f"with a version from 1 up to {_HIGHEST - 1}"
        )
    seen = not comment.hidden and not comment.deleted
    return (
        comment.id,
        comment.version,
        comment.article_id,
        "" if comment.parent_id is None else comment.parent_id,
        comment.reader,
        comment.body,
        repr(comment.posted_at),
        comment.score,
        place(comment) if seen else "",
        rank(comment) if seen else "",
    )


def _batches(comments: Iterable[Comment]) -> Iterator[list[Any]]:
    rest = map(words_of, comments)
    while some := list(itertools.islice(rest, BATCH)):
        yield list(itertools.chain.from_iterable(some))


def _comment(fields: list[bytes]) -> Comment:
    number, article, reader, body, posted_at, parent, score, version = fields
    return Comment(
        int(number),
        int(article),
        reader.decode(),
        body.decode(),
        float(posted_at),
        hidden=False,
        parent_id=int(parent) if parent else None,
        score=int(score),
        version=int(version),
    )


def _check_most(what: str, number: int) -> None:
    if not 1 <= number <= MOST:
        raise ValueError(f"{what} is {number!r}; expected 1 to {MOST}")
