"""Comparing the views with a recount from the database.

First every row is looked for in the views, then everything in the views is looked for in the rows:
the one finds what is missing or wrong, the other what is there and should not be. Rows and keys are
read a thousand at a time. What is counted up meanwhile is held in memory: two numbers for each
article, reader and comment with replies. Each row is read twice or more.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.site.comments.places import place, rank
from labkit.site.comments.rebuilding import PAGE, batches, keys, marked, pages
from labkit.site.comments.views import NotBuilt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labkit.newsroom import Comment, Newsroom
    from labkit.site.comments.views import CommentViews

_NOTHING = None
_SETS = ("time", "best", "replies", "by")
_HASHES = ("comment", "counts", "totals")


class Difference(NamedTuple):
    """Something in the views that is not as the database has it.

    Attributes:
        view: Which view, such as `"time:17"`.
        what: Which part of it, such as the field `"score"` or the member of a sorted set.
        expected: What the database says; None: it should not be there.
        found: What is there; None: it is missing.
    """

    view: str
    what: str
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        expected = "nothing" if self.expected is None else repr(self.expected)
        found = "nothing" if self.found is None else repr(self.found)
        return f"{self.view}, {self.what}: expected {expected}, found {found}"


def check(views: CommentViews, db: Newsroom) -> list[Difference]:
    """Compare every view with the database.

    Do it while nobody writes: of what is written meanwhile, the views may be behind.

    Returns:
        Every difference; none where the views are as `rebuild` would make them.

    Raises:
        NotBuilt: There are no views.
        RuntimeError: A rebuild took their place meanwhile.
        Unavailable: Redis did not answer.
        DatabaseDown: The database did not answer.
    """
    live = _live(views)
    checker = _Checker(views, db, f"{views.root}{live}:")
    found = [*checker.rows(), *checker.sums(), *checker.keys()]
    found += [Difference(f"gone:{n}", "mark", None, "1") for n in marked(views, db)]
    if _live(views) != live:
        raise RuntimeError("the views were made anew while they were checked; check them again")
    return list(dict.fromkeys(found))


def _live(views: CommentViews) -> str:
    (name,) = views.scripts.ask([("GET", f"{views.root}live")])
    if name is None:
        raise NotBuilt(f"there are no views under {views.root}; make them with rebuild(db)")
    return _text(name) or ""


class _Checker:
    """Looks at one generation, whose keys begin with `at`."""

    def __init__(self, views: CommentViews, db: Newsroom, at: str) -> None:
        self._views = views
        self._ask = views.scripts.replies
        self._db = db
        self._at = at
        self._counts: Counter[str] = Counter()
        self._totals: defaultdict[str, Counter[str]] = defaultdict(Counter)

    # --- From the rows to the views

    def rows(self) -> Iterator[Difference]:
        """What is missing or wrong of each comment."""
        for comments in pages(self._db):
            commands: list[Any] = [("HGETALL", f"{self._at}comment:{c.id}") for c in comments]
            stored = [_mapping(reply) for reply in self._ask(commands)]
            for comment, found in zip(comments, stored, strict=True):
                self._add(comment)
                yield from _hash_differences(comment, found)
            yield from self._missing([c for c in comments if _seen(c)])

    def _add(self, comment: Comment) -> None:
        if _seen(comment):
            self._counts[str(comment.article_id)] += 1
            self._totals[comment.reader].update(comments=1, score=comment.score)

    def _missing(self, comments: Iterable[Comment]) -> Iterator[Difference]:
        wanted = [item for comment in comments for item in _memberships(comment).items()]
        replies = self._ask([("ZSCORE", self._at + view, member) for view, member in wanted])
        for (view, member), reply in zip(wanted, replies, strict=True):
            if reply is None or isinstance(reply, Exception):
                yield Difference(view, f"member {member}", member, _text(reply))

    # --- The sums over the rows

    def sums(self) -> Iterator[Difference]:
        """Counts and totals that are missing or wrong, and counts that should not be there."""
        (reply,) = self._ask([("HGETALL", f"{self._at}counts")])
        counts = {number: str(count) for number, count in self._counts.items()}
        yield from _field_differences("counts", counts, _mapping(reply))
        for readers in batches(self._totals, PAGE):
            commands: list[Any] = [("HGETALL", f"{self._at}totals:{name}") for name in readers]
            for name, found in zip(readers, self._ask(commands), strict=True):
                totals = {field: str(self._totals[name][field]) for field in ("comments", "score")}
                yield from _field_differences(f"totals:{name}", totals, _mapping(found))

    # --- From the views to the rows

    def keys(self) -> Iterator[Difference]:
        """What is in the views, and should not be."""
        begin = self._at.removeprefix(self._views.root)
        for some in batches(keys(self._views, begin), PAGE):
            names = [key.removeprefix(self._at) for key in some]
            kinds = self._ask([("TYPE", key) for key in some])
            comments, sets = [], []
            for name, kind in zip(names, map(_text, kinds), strict=True):
                view, _, of = name.partition(":")
                wanted = "zset" if view in _SETS else "hash" if view in _HASHES else _NOTHING
                if kind == "none":
                    continue  # its time is over
                if kind != wanted or (view == "counts") != (not of):
                    yield Difference(name, "type", wanted, kind)
                elif view == "comment":
                    comments.append(name)
                elif view in _SETS:
                    sets.append(name)
                elif view == "totals" and of not in self._totals:
                    yield Difference(name, "all of it", None, "a hash")
            yield from self._ghosts(comments)
            for members in batches(self._members(sets), PAGE):
                yield from self._strangers(members)

    def _ghosts(self, names: list[str]) -> Iterator[Difference]:
        """Comments that readers would see, and of which there is no row; or no number."""
        numbers = {int(of) for name in names if (of := name.partition(":")[2]).isdecimal()}
        rows = {str(number) for number in self._db.comments_of(numbers)}
        fields: list[Any] = [("HEXISTS", f"{self._at}{name}", "place") for name in names]
        lasting: list[Any] = [("PTTL", f"{self._at}{name}") for name in names]
        found = zip(names, self._ask(fields), self._ask(lasting), strict=True)
        for name, seen, ttl in found:
            if seen and name.partition(":")[2] not in rows:
                yield Difference(name, "all of it", None, "a hash")
            if bool(seen) != (ttl == -1) and ttl != -2:
                says = ("never", "in a while") if seen else ("in a while", "never")
                yield Difference(name, "expires", *says)

    def _members(self, names: list[str]) -> Iterator[tuple[str, str, str]]:
        """View, member and score of all that is in sorted sets."""
        cursors = dict.fromkeys(names, b"0")
        while cursors:
            commands: list[Any] = [
                ("ZSCAN", self._at + name, cursor, "COUNT", PAGE)
                for name, cursor in cursors.items()
            ]
            replies = zip(list(cursors), self._ask(commands), strict=True)
            for name, reply in replies:
                if isinstance(reply, Exception):  # it was another type a moment ago
                    raise reply
                cursors[name], pairs = reply
                for member, score in _pairs(pairs):
                    yield name, member, score
            cursors = {name: cursor for name, cursor in cursors.items() if int(cursor)}

    def _strangers(self, members: list[tuple[str, str, str]]) -> Iterator[Difference]:
        """Members that no row has there, and those whose score would put them elsewhere."""
        numbers = {int(end) for _, member, _ in members if (end := member[-19:]).isdecimal()}
        rows = self._db.comments_of(numbers)
        for view, member, score in members:
            end = member[-19:]
            row = rows.get(int(end)) if end.isdecimal() else None
            wanted = _memberships(row).get(view) if row is not None and _seen(row) else None
            if wanted != member:
                yield Difference(view, f"member {member}", None, member)
            elif float(score) != 0:
                yield Difference(view, f"score of {member}", "0", score)


def _seen(comment: Comment) -> bool:
    return not comment.hidden and not comment.deleted


def _memberships(comment: Comment) -> dict[str, str]:
    """The sorted sets that a comment is in, and the members that stand for it there."""
    where = place(comment)
    found = {
        f"time:{comment.article_id}": where,
        f"best:{comment.article_id}": rank(comment),
        f"by:{comment.reader}": where,
    }
    if comment.parent_id is not None:
        found[f"replies:{comment.parent_id}"] = where
    return found


def _hash_differences(comment: Comment, found: dict[str, str | None] | str) -> Iterator[Difference]:
    view = f"comment:{comment.id}"
    if _seen(comment):
        expected = {
            "version": str(comment.version),
            "article": str(comment.article_id),
            "parent": "" if comment.parent_id is None else str(comment.parent_id),
            "reader": comment.reader,
            "body": comment.body,
            "posted_at": repr(comment.posted_at),
            "score": str(comment.score),
            "place": place(comment),
            "rank": rank(comment),
        }
        yield from _field_differences(view, expected, found)
    elif isinstance(found, str) or found.keys() - {"version"}:
        yield Difference(view, "all of it", None, "a comment that readers see")


def _field_differences(
    view: str, expected: dict[str, str], found: dict[str, str | None] | str
) -> Iterator[Difference]:
    if isinstance(found, str):
        yield Difference(view, "type", "hash", found)
        return
    if expected and not found:
        yield Difference(view, "all of it", "a hash", None)
        return
    for field in {**expected, **found}:
        if expected.get(field) != found.get(field):
            yield Difference(view, field, expected.get(field), found.get(field))


def _mapping(reply: Any) -> dict[str, str | None] | str:
    """The fields of a hash; what stands there instead, as text."""
    if isinstance(reply, Exception):
        return str(reply)
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {_text(field) or "": _text(value) for field, value in pairs}


def _pairs(reply: Any) -> Iterator[tuple[str, str]]:
    """Members and scores, as redis-py pairs them."""
    for member, score in reply:
        yield _text(member) or "", str(float(score))


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value and str(value)
