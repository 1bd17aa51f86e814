"""A day of the site, replayed under one design after the other, in simulated time.

The cache is the real one and the database answers real queries. Only time is simulated: a read of
the database takes so many milliseconds on the clock of the replay, requests overlap as they would,
and a day is over in seconds. The same day and the same design give the same figures to the read.

A page asks three questions: its article, the article's author, and how many comments there are. An
edit or a comment goes to the database at its moment; a design that invalidates does so right after.
Write-through puts edits into the cache as it writes them; comments are invalidated, or views of
them brought up to date.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import msgspec

from labkit import newsroom
from labkit.cache import (
    AsyncCache,
    CacheAside,
    FunctionSource,
    MemoryTier,
    ReadThrough,
    RefreshAhead,
    WriteThrough,
)
from labkit.cache.known import KnownSet
from labkit.clock import FakeClock, run_in_virtual_time
from labkit.connection import connect
from labkit.newsroom import Article, Author
from labkit.newsroom.traffic import edited
from labkit.site.comments.rebuilding import rebuild
from labkit.site.comments.views import CommentViews

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from labkit.newsroom import Event, Newsroom
    from labkit.newsroom.traffic import Edited

_READ = 0.020  # seconds that a read of the database takes
_TRIP = 0.0005  # seconds that a trip to the cache takes
_CONNECTIONS = 10  # reads that the database works on at a time
_VIEWS = "news:day"  # what the keys of views begin with
_ASPECTS = ("headline", "body", "comments")  # what may change on a page


class Design(msgspec.Struct, frozen=True):
    """How the site reads.

    Attributes:
        name: What the table calls it.
        strategy: `CacheAside`, `ReadThrough` or `RefreshAhead`; None: every page asks the database.
        invalidates: Whether a write drops what it changed, or readers wait until its time is over.
        knows_ids: Whether made-up numbers are turned away.
        warmed: How many of the most read articles are loaded before the day begins.
        how: What else the strategy is told, such as its `ttl`.
        views: Whether the numbers of comments come from views, which are built before the day
            begins and brought up to date with each comment.
    """

    name: str
    strategy: Any = None
    invalidates: bool = False
    knows_ids: bool = False
    warmed: int = 0
    how: dict[str, Any] = {}
    views: bool = False


_TTL = {"ttl": "1h"}
_WEEK = {"ttl": "7d"}
_STALE = _TTL | {"stale_while_revalidate": "1d"}

DESIGNS = (
    Design("no cache"),
    Design("cache-aside, an hour", CacheAside, how=_TTL),
    Design("cache-aside, deletes", CacheAside, invalidates=True, how=_TTL),
    Design("read-through", ReadThrough, invalidates=True, how=_TTL),
    Design("refresh-ahead", RefreshAhead, invalidates=True, how=_TTL),
    Design("stale-while-revalidate", ReadThrough, invalidates=True, how=_STALE),
    Design("the same, ids known", ReadThrough, invalidates=True, knows_ids=True, how=_STALE),
    Design("read-through, a week", ReadThrough, True, True, how=_WEEK),
    Design("the same, warmed", ReadThrough, True, True, 500, _WEEK),
    Design("write-through", WriteThrough, True, True, how=_WEEK),
    Design("write-through, views", WriteThrough, True, True, how=_WEEK, views=True),
)
"""From no cache at all to one that loads what changed, and little else."""


class Figures(TypedDict):
    """What a day came to.

    Attributes:
        reads: How often the database was asked, warming included.
        rows: How many rows it answered.
        p50: The median of the milliseconds that a view took; p95 and p99 likewise.
        bytes: The size of what the cache held at the end, encoded.
        stale: How many views showed something that had been changed before they began.
        oldest: The longest that such a change had been made before, in seconds.
    """

    reads: int
    rows: int
    p50: float
    p95: float
    p99: float
    bytes: int
    stale: int
    oldest: float


def replay(
    events: Sequence[Event],
    design: Design,
    *,
    articles: int = 2000,
    seed: int = 5,
    client: Any = None,
) -> Figures:
    """Replay a day on a site of its own.

    Args:
        events: What `labkit.newsroom.day` made, for as many articles.
        design: How the site reads.
        articles: How many articles the site has.
        seed: That of the site; chance in the cache is drawn from it too.
        client: A client of redis-py for the views, which are left there; None: of a Redis of the
            replay's own, which is simulated.
    """
    clock = FakeClock()
    state = random.getstate()
    random.seed(seed)
    try:
        with newsroom.open("sqlite://", articles=articles, seed=seed) as db:
            day = _Day(db, design, clock, client)
            with db.counting() as count:
                run_in_virtual_time(lambda: day.play(events), clock)
            return day.figures(count.reads, count.rows)
    finally:
        random.setstate(state)


def compare(
    events: Sequence[Event],
    designs: Iterable[Design] = DESIGNS,
    **how: Any,
) -> pd.DataFrame:
    """The figures of several designs: a row for each, by name.

    Args:
        events: As in `replay`.
        designs: What to compare.
        **how: `articles`, `seed` and `client`, as in `replay`.
    """
    import pandas as pd

    rows = {design.name: replay(events, design, **how) for design in designs}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("design")


class Fact(NamedTuple):
    """What a page should show: a version or a count, and since when."""

    value: int
    since: float


class _Day:
    """One day of one design."""

    def __init__(self, db: Newsroom, design: Design, clock: FakeClock, client: Any) -> None:
        self._db = db
        self._design = design
        self._clock = clock
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._bytes = 0
        self._seconds: list[float] = []
        self._staleness: list[float] = []
        self._truth: dict[int, tuple[Fact, ...]] = {
            article.id: (
                Fact(article.headline_version, 0.0),
                Fact(article.body_version, 0.0),
                Fact(article.comment_count, 0.0),
            )
            for article in db.articles_of(db.ids()).values()
        }
        self._memory = MemoryTier(None, max_bytes=2**40, sizeof=_size, clock=clock)
        self._cache = AsyncCache([self._memory], namespace="news")
        known = KnownSet(map(str, db.ids())) if design.knows_ids else None
        self._article = self._front("article", db.article, Article | None, known)
        self._author = self._front("author", db.author, Author | None)
        self._comments = self._front("comments", db.comment_count, int)
        self._views = None
        if design.views:
            self._views = CommentViews(client or connect("fake://"), _VIEWS)

    def _front(
        self, name: str, question: Callable[[int], Any], kind: Any, known: KnownSet | None = None
    ) -> Any:
        """What a page asks instead of the database."""

        async def load(key: int) -> Any:
            async with self._turns:
                answer = question(key)
                await asyncio.sleep(_READ)
                return answer

        source: FunctionSource[int, Any] = FunctionSource(load, save=self._save, returning=True)
        design = self._design
        if design.strategy is None:
            return source
        return design.strategy(self._cache, source, name=name, type=kind, known=known, **design.how)

    async def play(self, events: Sequence[Event]) -> None:
        """Let every event happen at its time."""
        if self._views is not None:
            rebuild(self._views, self._db)
        if self._design.warmed:
            for number in self._db.most_read(self._design.warmed):
                await self._page(number)
        start = self._clock()
        begun = []
        for event in events:
            await asyncio.sleep(start + event.at - self._clock())
            happens = self._write if event.kind in ("edit", "comment") else self._view
            begun.append(asyncio.create_task(happens(event)))
        await asyncio.gather(*begun)
        self._memory.purge()
        self._bytes = self._memory.bytes
        await self._cache.close()

    async def _view(self, event: Event) -> None:
        start = self._clock()
        truth = self._truth.get(event.article)
        shown = await self._page(event.article)
        if event.kind == "view" and truth is not None:
            self._seconds.append(self._clock() - start)
            late = [now.since for now, then in zip(truth, shown, strict=True) if then < now.value]
            if late:
                self._staleness.append(start - min(late))

    async def _page(self, number: int) -> tuple[int, ...]:
        """What a page shows, as `_truth` has it; nothing where there is no such article."""
        article = await self._asked(self._article, number)
        if article is None:
            return ()
        await self._asked(self._author, article.author_id)
        comments = await self._comment_count(number)
        return article.headline_version, article.body_version, comments

    async def _comment_count(self, number: int) -> int:
        if self._views is None:
            return await self._asked(self._comments, number)  # type: ignore[no-any-return]
        await asyncio.sleep(_TRIP)
        return self._views.count(number)

    async def _asked(self, front: Any, key: int) -> Any:
        if self._design.strategy is None:
            return await front.load(key)
        await asyncio.sleep(_TRIP)
        return await front.get(key)

    async def _write(self, event: Event) -> None:
        if event.kind == "edit" and self._design.strategy is WriteThrough:
            await self._edit(event.article, edited(event))
            return
        change = newsroom.apply(self._db, event)
        self._changed(event.article, change.aspects)
        if event.kind == "comment" and self._views is not None:
            comment = self._db.comment(change.id)
            assert comment is not None
            self._views.apply(comment)
        elif self._design.invalidates:
            front = self._comments if event.kind == "comment" else self._article
            await front.invalidate(event.article)

    async def _edit(self, number: int, texts: Edited) -> None:
        """Write an article through the cache, made of what the cache has of it."""
        article = await self._asked(self._article, number)
        try:
            await self._article.save(number, msgspec.structs.replace(article, **texts))
        except newsroom.Conflict:  # a comment has raised its version
            article = await self._article.refresh(number)
            await self._article.save(number, msgspec.structs.replace(article, **texts))

    async def _save(self, number: int, article: Article) -> Article:
        """Write an article that was edited; it takes as long as a read."""
        async with self._turns:
            await asyncio.sleep(_READ)
            stored = self._db.article_source.save(number, article)
            self._changed(number, [_ASPECTS[stored.headline_version == article.headline_version]])
            return stored

    def _changed(self, number: int, aspects: Sequence[str]) -> None:
        """From now on a page should show something else."""
        self._truth[number] = tuple(
            Fact(fact.value + 1, self._clock()) if aspect in aspects else fact
            for aspect, fact in zip(_ASPECTS, self._truth[number], strict=True)
        )

    def figures(self, reads: int, rows: int) -> Figures:
        """What it came to."""
        ordered = sorted(self._seconds)
        last = len(ordered) - 1
        p50, p95, p99 = (1000 * ordered[round(last * share)] for share in (0.5, 0.95, 0.99))
        return Figures(
            reads=reads,
            rows=rows,
            p50=round(p50, 1),
            p95=round(p95, 1),
            p99=round(p99, 1),
            bytes=self._bytes,
            stale=len(self._staleness),
            oldest=round(max(self._staleness, default=0.0), 1),
        )


def _size(value: Any) -> int:
    return len(msgspec.msgpack.encode(value))
