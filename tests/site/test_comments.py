"""Comments are written to the database and then to their views, whatever crashes in between."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, given, settings

from labkit import CommandLog, connect, newsroom
from labkit.cache.errors import Unavailable
from labkit.newsroom import NotFound
from labkit.newsroom.comment_questions import ORDERS
from labkit.server import LocalServer, find_server
from labkit.site.comments.checking import check
from labkit.site.comments.rebuilding import drop, rebuild
from labkit.site.comments.service import Comments
from labkit.site.comments.views import CommentViews
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.scale import SEED, times
from tests.site.conftest import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labkit.newsroom import Newsroom

READERS = ("ada", "bob", "eve")
KINDS = (
    *("add", "reply", "reply", "edit", "hide", "show", "delete", "vote", "vote"),
    *("hide reader", "delete article"),
)
PROCESSES, ROUNDS = 2, times(60)
LAST = -7.0  # when a process says its last words, whose row stays whatever others do to them
SPAWN = multiprocessing.get_context("spawn")

operations = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 30), st.sampled_from(READERS), st.booleans()
)


@pytest.fixture
def place(client: Any, database: str) -> Place:
    return Place(client, database)


@pytest.fixture
def news(place: Place) -> Iterator[Newsroom]:
    with place.newsroom(outbox=True) as db:
        yield db


def opened(client: Any, db: Newsroom) -> Comments:
    """The comments of a newsroom, as a process that has just begun sees them."""
    return Comments(db, CommentViews(client))


@pytest.fixture
def comments(client: Any, news: Newsroom) -> Comments:
    comments = opened(client, news)
    rebuild(comments.views, news)
    return comments


def carry_out(comments: Comments, kind: str, number: int, reader: str) -> None:
    """Do what is drawn; nothing where there is nothing to do it to."""
    db = comments.db
    articles = db.ids()
    if kind == "delete article":
        if number % 5 == 0 and len(articles) > 1:  # one is left
            comments.delete_article(articles[1 + number % (len(articles) - 1)])
        return
    if kind == "hide reader":
        comments.hide_reader(reader)
        return
    if kind == "add":
        comments.add(articles[number % len(articles)], reader, f"No. {number}", at=number // 3)
        return
    rows = [comment.id for comment in db.comments_after(0) if not comment.deleted][-12:]
    if not rows:
        return
    comment = rows[number % len(rows)]
    match kind:
        case "reply":
            comments.reply(comment, reader, "Yes.", at=number // 3)
        case "edit":
            comments.edit(comment, f"Edited {number % 3}")
        case "vote":
            comments.vote(comment, reader, number % 3 - 1)
        case _:
            getattr(comments, kind)(comment)


def check_against(comments: Comments) -> None:
    """Every view is as a recount has it, and every read as the database answers it."""
    views, db = comments.views, comments.db
    assert check(views, db) == []
    for article in db.ids():
        for order in ORDERS:
            assert views.page(article, order) == db.comments_page(article, order)
        assert views.count(article) == db.comment_count(article)
    for reader in READERS:
        assert views.by(reader) == db.comments_by(reader)
        assert views.totals(reader) == db.reader_totals(reader)


@settings(max_examples=times(12), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(operations, min_size=4, max_size=25))
def test_views_are_a_recount_after_any_operations_and_crashes(
    client: Any, news: Newsroom, history: list[tuple[str, int, str, bool]]
) -> None:
    """A crash is the end of a process between the database and the views."""

    def crash(_: int) -> None:
        raise redis.ConnectionError

    comments = opened(client, news)
    drop(comments.views)
    rebuild(comments.views, news)
    for kind, number, reader, crashes in history:
        if crashes:
            with CommandLog(client, before=crash):
                carry_out(comments, kind, number, reader)
            comments = opened(client, news)
        else:
            carry_out(comments, kind, number, reader)
            if not news.outbox():
                assert check(comments.views, news) == []
    comments.catch_up()
    assert news.outbox() == []
    check_against(comments)


def test_a_write_answers_the_comment_as_it_is_then(comments: Comments) -> None:
    said = comments.add(1, "ada", "Yes.", at=5)
    assert (said.reader, said.body, said.posted_at, said.version) == ("ada", "Yes.", 5.0, 1)
    reply = comments.reply(said.id, "bob", "No.")
    assert (reply.parent_id, reply.article_id) == (said.id, 1)
    assert comments.vote(said.id, "bob", 1).score == 1
    assert comments.vote(said.id, "bob", 1).version == 2
    assert comments.edit(said.id, "Perhaps.").body == "Perhaps."
    assert comments.hide(said.id).hidden
    assert comments.edit(said.id, "Hidden.").body == "Hidden."
    assert not comments.show(said.id).hidden
    assert comments.delete(reply.id).deleted
    for call in (
        lambda: comments.reply(reply.id, "ada", "Yes."),
        lambda: comments.reply(999_999, "ada", "Yes."),
        lambda: comments.delete(reply.id),
    ):
        with pytest.raises(NotFound):
            call()
    check_against(comments)


def test_a_spammer_is_out_of_sight_at_once(comments: Comments) -> None:
    ids = [comments.add(1 + n % 3, "eve", "Buy!").id for n in range(5)]
    comments.hide(ids[0])
    assert comments.hide_reader("eve") == 4
    assert comments.hide_reader("eve") == 0
    assert comments.by("eve") == []
    assert comments.totals("eve").comments == 0
    check_against(comments)
    comments.show(ids[2])
    assert [comment.id for comment in comments.by("eve")] == [ids[2]]


def test_what_is_read_of_views_asks_the_database_nothing(comments: Comments) -> None:
    news, said = comments.db, comments.add(1, "ada", "Yes.")
    with news.counting() as reads:
        comments.page(1, "best")
        comments.replies(said.id)
        comments.by("ada")
        comments.totals("ada")
        assert comments.counts([1, 2])[1] == comments.live(1, [said.id]).count
    assert reads.reads == 0


def test_the_site_hears_of_what_others_have_written(client: Any, news: Newsroom) -> None:
    with Place(client, "").site(news) as site:
        here = Comments(news, CommentViews(client), site)
        rebuild(here.views, news)
        found = site.find(1)
        assert found is not None
        site.show(found)
        news.add_comment(1, "ada", "Past the site.")
        here.catch_up()
        later = site.find(1)
        assert later is not None
        assert "Past the site." in site.show(later).text
        said = here.add(1, "ada", "Through the site.")
        last = site.find(1)
        assert last is not None
        assert "Through the site." in site.show(last).text
        etag = last.page.etag
        here.vote(said.id, "bob", 1)
        same = site.find(1)
        assert same is not None
        assert same.page.etag == etag  # scores are in no fragment


# --- Redis is away


@pytest.mark.parametrize("outbox", [True, False])
def test_without_redis_writes_stand_and_reads_ask_the_database(
    client: Any, place: Place, outbox: bool
) -> None:
    with place.newsroom(outbox=outbox) as news:
        comments = opened(client, news)
        rebuild(comments.views, news)
        write_and_read_without_redis(client, comments)
        check_against(comments)
        assert news.outbox() == []


def write_and_read_without_redis(client: Any, comments: Comments) -> None:
    news = comments.db

    def away(_: int) -> None:
        raise redis.ConnectionError

    with CommandLog(client, before=away):
        said = comments.add(1, "ada", "Yes.")
        reply = comments.reply(said.id, "bob", "No.")
        assert comments.vote(said.id, "bob", 1).score == 1
        assert comments.page(1, "best")[0].id == said.id
        assert comments.replies(said.id) == [reply]
        assert comments.by("bob")[0] == reply
        assert comments.totals("ada") == news.reader_totals("ada")
        assert comments.counts([1]) == {1: news.comment_count(1)}
        live = comments.live(1, [said.id, reply.id, 999_999])
        assert live.scores == {said.id: 1, reply.id: 0}
        assert live.count == news.comment_count(1)
        if news.outbox():
            with pytest.raises(Unavailable):
                comments.catch_up()
    assert comments.views.count(1) < news.comment_count(1)
    assert comments.counts([1]) == {1: news.comment_count(1)}  # its own writes are seen at once


def test_views_that_were_lost_are_made_anew(client: Any, comments: Comments) -> None:
    comments.add(1, "ada", "Yes.")
    client.flushall()
    assert comments.page(1) == comments.db.comments_page(1)
    stop = threading.Event()
    keeper = threading.Thread(target=comments.keep_up, args=(stop, 0.001))
    keeper.start()
    try:
        until(comments.views.built, "the rebuild")
        check_against(comments)
        comments.db.add_comment(1, "ada", "Past the service.")
        until(lambda: not comments.db.outbox(), "the note")
        check_against(comments)
    finally:
        stop.set()
        keeper.join(PATIENCE)


def test_one_who_keeps_views_up_does_not_disturb_a_rebuild(client: Any, comments: Comments) -> None:
    client.flushall()
    begun = comments.views.begin()
    stop = threading.Event()
    looks: list[bool] = []
    building = comments.views.building

    def look() -> bool:
        looks.append(building())
        if len(looks) == 3:
            stop.set()
        return looks[-1]

    comments.views.building = look  # type: ignore[method-assign]
    comments.keep_up(stop, 0)
    assert looks == [True] * 3
    assert comments.views.switch(begun)


# --- Many at once


def test_threads_that_write_to_the_same_comments(comments: Comments) -> None:
    said = [comments.add(1, "ada", "Yes.").id for _ in range(3)]

    def write(number: int) -> None:
        for round_ in range(8):
            comments.vote(said[round_ % 3], f"reader {number}", 1 - number % 2 * 2 * (round_ % 2))
            comments.reply(said[round_ % 3], READERS[number % 3], f"{round_}")
            (comments.hide if round_ % 2 else comments.show)(said[2])

    assert in_threads(4, write) == [None] * 4
    check_against(comments)


def test_whoever_writes_sees_it_at_once_while_the_views_are_made_anew(comments: Comments) -> None:
    """One thread makes the views anew, again and again; the others write, and look."""
    writers, rounds = 3, 12
    ended = [threading.Event() for _ in range(writers)]

    def act(number: int) -> int:
        if number == writers:
            made = 0
            while not all(each.is_set() for each in ended):
                rebuild(comments.views, comments.db)
                made += 1
            return made
        article, reader = 1 + number, f"reader {number}"
        try:
            for round_ in range(rounds):
                said = comments.add(article, reader, f"{round_}")
                assert comments.views.by(reader, 1) == [said]
                assert comments.views.totals(reader).comments == round_ // 2 + 1
                voted = comments.vote(said.id, "bob", 1)
                assert comments.views.page(article, "newest", most=1) == [voted]
                if round_ % 2 == 0:
                    comments.delete(said.id)
                    assert said.id not in [c.id for c in comments.views.by(reader)]
        finally:
            ended[number].set()
        return 0

    made = in_threads(writers + 1, act)
    assert made[:writers] == [0] * writers
    assert made[writers] > 1
    check_against(comments)


def write_in_process(place: dict[str, Any], url: str, seed: int, dies: bool) -> None:
    """In a process: write at random, beside others; and perhaps end between the two stores."""
    chance = random.Random(seed)
    with newsroom.open(**place, articles=4, authors=2, outbox=True) as db, connect(url) as client:
        comments = opened(client, db)
        client.incr("here")
        until(lambda: int(client.get("here") or 0) >= PROCESSES, "the coming of the others")
        for round_ in range(ROUNDS):
            kind, reader = chance.choice(KINDS), chance.choice(READERS)
            try:
                if dies and round_ == ROUNDS // 2:
                    with CommandLog(client, before=lambda _: os._exit(9)):
                        comments.add(db.ids()[0], reader, "The last words.", at=LAST)
                carry_out(comments, kind, chance.randrange(30), reader)
            except NotFound:
                pass  # another was faster


@pytest.fixture(params=["file", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param == "file":
        return {"url": f"sqlite:///{tmp_path / 'news.db'}"}
    return {"url": request.getfixturevalue("postgres_url"), "schema": f"two {tmp_path.name}"}


@pytest.mark.skipif(find_server() is None, reason="fakeredis lives in one process")
@pytest.mark.parametrize("dies", [False, True])
def test_views_are_a_recount_after_two_processes_have_written(
    shared: dict[str, Any], dies: bool
) -> None:
    with (
        LocalServer() as server,
        server.client() as client,
        newsroom.open(**shared, articles=4, authors=2, outbox=True) as db,
    ):
        comments = opened(client, db)
        rebuild(comments.views, db)
        seeds = [SEED * 1000 + number for number in range(PROCESSES)]
        arguments = [(shared, server.url, seed, dies and seed == seeds[0]) for seed in seeds]
        processes = [SPAWN.Process(target=write_in_process, args=each) for each in arguments]
        for process in processes:
            process.start()
        for process in processes:
            process.join(2 * PATIENCE)
        assert [process.exitcode for process in processes] == [9 if dies else 0, 0]
        comments.catch_up()
        check_against(comments)
        assert dies == (LAST in [comment.posted_at for comment in db.comments_after(0)])
        db.drop()
