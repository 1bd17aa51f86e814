"""Rebuilding the views while everybody goes on, and comparing them with the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from labkit import CommandLog
from labkit.cache.errors import Unavailable
from labkit.clock import fast_forward
from labkit.newsroom import DatabaseDown
from labkit.site.comments import rebuilding
from labkit.site.comments.checking import check
from labkit.site.comments.places import place, rank
from labkit.site.comments.rebuilding import drop, rebuild
from labkit.site.comments.views import CommentViews, NotBuilt
from tests.site.conftest import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.newsroom import Comment, Newsroom


@pytest.fixture
def news(client: Any) -> Iterator[Newsroom]:
    """A small newsroom with a thread, votes, and comments that are hidden and deleted."""
    with Place(client, "sqlite://").newsroom() as db:
        for number in range(12):
            db.add_comment(1 + number % 2, "ada" if number % 3 else "bob", f"No. {number}")
        first, second, third = db.comments(1)[-3:]
        for reader in ("cy", "di"):
            db.vote(first.id, reader, 1)
        for parent in (first, first, second):
            db.add_comment(1, "eve", "Yes.", parent=parent.id)
        db.hide_comment(second.id)
        db.delete_comment(third.id)
        yield db


@pytest.fixture
def views(client: Any, news: Newsroom) -> CommentViews:
    views = CommentViews(client)
    rebuild(views, news)
    return views


class Interrupted:
    """A newsroom on which something happens before each page of a rebuild is read, and at its end.

    Args:
        db: The newsroom.
        between: What happens, with the number of the page.
    """

    def __init__(self, db: Newsroom, between: Callable[[int], object]) -> None:
        self._db = db
        self._between = between
        self.pages = 0

    def comments_after(self, *arguments: Any) -> Any:
        self._between(self.pages)
        self.pages += 1
        return self._db.comments_after(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def interrupted(db: Newsroom, between: Callable[[int], object]) -> Any:
    return Interrupted(db, between)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "PAGE", 3)


def everything(client: Any) -> dict[str, Any]:
    """All keys, with the number of members and fields that they have."""
    sizes = {"hash": client.hlen, "zset": client.zcard, "set": client.scard, "string": client.get}
    return {key: sizes[client.type(key)](key) for key in client.scan_iter()}


def test_views_are_what_the_database_says(news: Newsroom, views: CommentViews) -> None:
    assert check(views, news) == []
    for article in news.ids():
        assert views.page(article, most=1000) == news.comments_page(article, most=1000)
        assert views.page(article, "best") == news.comments_page(article, "best")
        assert views.count(article) == news.comment_count(article) > 0
    for reader in ("ada", "bob", "eve", "cy"):
        assert views.by(reader, 1000) == news.comments_by(reader, 1000)
        assert views.totals(reader) == news.reader_totals(reader)
    for comment in news.comments_after(0):
        assert views.replies(comment.id) == news.replies(comment.id)


def test_a_rebuild_costs_a_trip_for_a_hundred_rows(client: Any, news: Newsroom) -> None:
    views = CommentViews(client)
    rows = len(news.comments_after(0))
    with CommandLog(client) as log, news.counting() as reads:
        assert rebuild(views, news) == rows
    assert log.names.count("EVAL") + log.names.count("EVALSHA") <= rows / 100 + 3
    assert reads.by_query == {"comments_after": 2}


@pytest.mark.usefixtures("small_pages")
def test_readers_and_writers_go_on_while_a_rebuild_runs(
    news: Newsroom, views: CommentViews
) -> None:
    """Writes on both sides of where the rebuild is, and readers who see each at once."""
    rows = [c.id for c in news.comments_after(0) if not c.hidden and not c.deleted]
    first = views.page(1)[0].id
    written: list[int] = []

    def write(page: int) -> None:
        for number in (rows[page % len(rows)], rows[-1 - page % len(rows)]):
            written.append(number)
            match page % 4:
                case 0:
                    change = news.vote(number, f"reader {page}", 1)
                case 1:
                    change = news.hide_comment(number)
                case 2:
                    change = news.edit_comment(number, f"edited {page}")
                case _:
                    change = news.add_comment(1, "ada", "new", parent=first)
            comment = news.comment(change.id)
            assert comment is not None
            views.apply(comment)
        assert check(views, news) == []

    rebuild(views, interrupted(news, write))
    assert len(written) > len(rows) / 2
    assert check(views, news) == []


@pytest.mark.usefixtures("small_pages")
def test_an_article_that_is_deleted_while_a_rebuild_runs_stays_away(
    news: Newsroom, views: CommentViews
) -> None:
    (victim,) = (c for c in news.comments_after(0)[4:5])

    class Held(Interrupted):
        """The row was read before its article was deleted, and is applied after that."""

        def comments_after(self, *arguments: Any) -> Any:
            rows = super().comments_after(*arguments)
            if victim.id in [row.id for row in rows]:
                self._db.delete_article(victim.article_id)
                views.forget(victim.article_id)
            return rows

    held: Any = Held(news, lambda _: None)
    rebuild(views, held)
    assert news.article(victim.article_id) is None
    assert check(views, news) == []
    assert victim.id not in [c.id for c in views.by(victim.reader, 1000)]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("down", [DatabaseDown, KeyboardInterrupt, Unavailable])
def test_a_rebuild_that_ends_in_the_middle_leaves_what_readers_see(
    client: Any, news: Newsroom, views: CommentViews, down: type[BaseException]
) -> None:
    def stop(page: int) -> None:
        if page == 2:
            raise down

    before = {article: views.page(article, "best") for article in news.ids()}
    keys = everything(client)
    with pytest.raises(down):
        rebuild(views, interrupted(news, stop))
    assert len(everything(client)) > len(keys)
    assert {article: views.page(article, "best") for article in news.ids()} == before
    assert check(views, news) == []
    fast_forward(client, "10m")  # nobody writes what is half made for ever
    change = news.add_comment(1, "ada", "later")
    with CommandLog(client) as log:
        views.apply(news.comments_of([change.id])[change.id])
    assert log.round_trips == 1
    rebuild(views, news)
    assert check(views, news) == []
    sizes = sorted(size for key, size in everything(client).items() if not key.endswith("live"))
    fresh = CommentViews(client, "fresh")
    rebuild(fresh, news)
    other = everything(client)
    assert sizes == sorted(
        size for key, size in other.items() if "fresh" in key and not key.endswith("live")
    )


@pytest.mark.usefixtures("small_pages")
def test_of_two_rebuilds_the_later_one_counts(news: Newsroom, views: CommentViews) -> None:
    def begin(page: int) -> None:
        if page == 2:
            rebuild(views, news)

    with pytest.raises(RuntimeError, match="another rebuild"):
        rebuild(views, interrupted(news, begin))
    assert check(views, news) == []


# --- Planted differences


def of(news: Newsroom) -> Comment:
    """The comment with two votes and two replies."""
    return max(news.comments(1), key=lambda comment: comment.score)


PLANTED: dict[str, tuple[str, str, Callable[[Any, str, Newsroom], Any]]] = {
    "a body": (
        "comment:{id}",
        "body",
        lambda r, at, db: r.hset(f"{at}comment:{of(db).id}", "body", "No."),
    ),
    "a score": (
        "comment:{id}",
        "score",
        lambda r, at, db: r.hincrby(f"{at}comment:{of(db).id}", "score", 1),
    ),
    "an old version": (
        "comment:{id}",
        "version",
        lambda r, at, db: r.hset(f"{at}comment:{of(db).id}", "version", 1),
    ),
    "a missing hash": (
        "comment:{id}",
        "all of it",
        lambda r, at, db: r.delete(f"{at}comment:{of(db).id}"),
    ),
    "a hash that ends": (
        "comment:{id}",
        "expires",
        lambda r, at, db: r.expire(f"{at}comment:{of(db).id}", 3600),
    ),
    "another type": (
        "comment:{id}",
        "type",
        lambda r, at, db: r.set(f"{at}comment:{of(db).id}", "x"),
    ),
    "a missing member": (
        "time:1",
        "member {place}",
        lambda r, at, db: r.zrem(f"{at}time:1", place(of(db))),
    ),
    "a missing view": ("best:1", "member {rank}", lambda r, at, db: r.delete(f"{at}best:1")),
    "a member too many": (
        "time:2",
        "member {place}",
        lambda r, at, db: r.zadd(f"{at}time:2", {place(of(db)): 0}),
    ),
    "a member that is none": (
        "time:1",
        "member x",
        lambda r, at, db: r.zadd(f"{at}time:1", {"x": 0}),
    ),
    "a rank twice": (
        "best:1",
        "member {other}",
        lambda r, at, db: r.zadd(f"{at}best:1", {other(db): 0}),
    ),
    "a score that reorders": (
        "time:1",
        "score of {place}",
        lambda r, at, db: r.zadd(f"{at}time:1", {place(of(db)): 5}),
    ),
    "a missing reply": (
        "replies:{id}",
        "member {reply}",
        lambda r, at, db: r.zremrangebyrank(f"{at}replies:{of(db).id}", 0, 0),
    ),
    "somebody else's comment": (
        "by:eve",
        "member {place}",
        lambda r, at, db: r.zadd(f"{at}by:eve", {place(of(db)): 0}),
    ),
    "a ghost reader": (
        "by:nobody",
        "member {place}",
        lambda r, at, db: r.zadd(f"{at}by:nobody", {place(of(db)): 0}),
    ),
    "a count": ("counts", "1", lambda r, at, db: r.hincrby(f"{at}counts", 1, 1)),
    "a missing count": ("counts", "1", lambda r, at, db: r.hdel(f"{at}counts", 1)),
    "no counts": ("counts", "all of it", lambda r, at, db: r.delete(f"{at}counts")),
    "a ghost article": ("counts", "999", lambda r, at, db: r.hset(f"{at}counts", 999, 3)),
    "a total": (
        "totals:ada",
        "comments",
        lambda r, at, db: r.hincrby(f"{at}totals:ada", "comments", -1),
    ),
    "a total score": (
        "totals:eve",
        "score",
        lambda r, at, db: r.hincrby(f"{at}totals:eve", "score", 7),
    ),
    "a missing total": (
        "totals:eve",
        "all of it",
        lambda r, at, db: r.delete(f"{at}totals:eve"),
    ),
    "a ghost's total": (
        "totals:nobody",
        "all of it",
        lambda r, at, db: r.hset(f"{at}totals:nobody", "comments", 1),
    ),
    "a ghost comment": (
        "comment:999",
        "all of it",
        lambda r, at, db: r.hset(f"{at}comment:999", "place", "x"),
    ),
    "a ghost's view": (
        "time:999",
        "member {place}",
        lambda r, at, db: r.zadd(f"{at}time:999", {place(of(db)): 0}),
    ),
    "a hidden comment": (
        "comment:{hidden}",
        "all of it",
        lambda r, at, db: r.hset(f"{at}comment:{hidden(db)}", "body", "Spam."),
    ),
    "what is remembered for ever": (
        "comment:{hidden}",
        "expires",
        lambda r, at, db: r.persist(f"{at}comment:{hidden(db)}"),
    ),
    "a key of its own": ("else", "type", lambda r, at, db: r.set(f"{at}else", "x")),
    "a mark": (
        "gone:1",
        "mark",
        lambda r, at, db: r.set(f"{at.rpartition(':')[0].rpartition(':')[0]}:gone:1", 1),
    ),
}


def hidden(news: Newsroom) -> int:
    return next(comment.id for comment in news.comments_after(0) if comment.hidden)


def other(news: Newsroom) -> str:
    return rank(msgspec.structs.replace(of(news), score=99))


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_difference_is_found_and_named_and_survives_no_rebuild(
    client: Any, news: Newsroom, views: CommentViews, planted: str
) -> None:
    view, what, plant = PLANTED[planted]
    plant(client, f"{views.root}{client.get(views.root + 'live')}:", news)
    comment = of(news)
    names = {
        "id": comment.id,
        "place": place(comment),
        "rank": rank(comment),
        "other": other(news),
        "hidden": hidden(news),
        "reply": place(news.replies(comment.id)[0]),
    }
    found = check(views, news)
    assert (view.format(**names), what.format(**names)) in [(d.view, d.what) for d in found]
    assert all(difference.expected != difference.found for difference in found)
    assert view.format(**names) in " ".join(map(str, found))
    rebuild(views, news)
    assert check(views, news) == []


def test_a_check_of_views_that_are_not_there(client: Any, news: Newsroom) -> None:
    with pytest.raises(NotBuilt, match="rebuild"):
        check(CommentViews(client), news)


def test_a_check_and_a_rebuild_at_the_same_time(news: Newsroom, views: CommentViews) -> None:
    with pytest.raises(RuntimeError, match="check them again"):
        check(views, interrupted(news, lambda page: page or rebuild(views, news)))


def test_views_are_of_one_namespace(client: Any, news: Newsroom, views: CommentViews) -> None:
    keys = everything(client)
    odd = CommentViews(client, "*[x]?")
    rebuild(odd, news)
    assert check(odd, news) == []
    drop(odd)
    assert everything(client) == keys
    assert check(views, news) == []
