"""What reads cost: counted exactly, made slow, and refused while the database is down."""

from __future__ import annotations

import threading

import pytest

from labkit import newsroom
from labkit.clock import FakeClock
from labkit.newsroom import DatabaseDown, Latency, Newsroom, Tally
from tests.cache.crowd import PATIENCE, in_threads


def test_a_block_counts_what_is_read_in_it_and_no_more(db: Newsroom) -> None:
    db.article(1)
    with db.counting() as outer:
        db.article(1)
        with db.counting() as inner:
            db.comments(1, 2)
            assert inner.reads == 1
        db.articles_of([1, 2, 3])
    db.article(1)
    assert (inner.reads, inner.by_query) == (1, {"comments": 1})
    assert outer.by_query == {"article": 1, "articles_of": 1, "comments": 1}
    assert outer.rows == 1 + inner.rows + 3
    assert db.reads == db.count.reads == 5
    assert db.count["article"] == Tally(3, 3, 0.0)
    assert list(db.count.by_query) == ["article", "articles_of", "comments"]


def test_a_block_that_fails_counts_no_longer(db: Newsroom) -> None:
    db.article(1)
    with pytest.raises(TypeError), db.counting() as tally:
        db.article("1")  # type: ignore[arg-type]
    db.article(1)
    assert tally.reads == 0


def test_blocks_of_equal_counts_are_two_blocks(db: Newsroom) -> None:
    with db.counting() as outer:
        with db.counting():
            pass
        db.article(1)
    assert outer.reads == 1


def test_reads_of_all_threads_are_counted(db: Newsroom) -> None:
    def read(number: int) -> None:
        for _ in range(20):
            db.author(1 + number % 3)
            db.articles_of([1, 2])

    with db.counting() as tally:
        assert in_threads(6, read) == [None] * 6
    assert dict(tally) == {"author": Tally(120, 120, 0.0), "articles_of": Tally(120, 240, 0.0)}
    assert db.reads == 240


def test_a_count_as_a_frame_has_one_row_a_question(db: Newsroom) -> None:
    assert db.count.frame().empty
    db.article(1)
    db.article(99)
    db.articles_of([1, 2])
    frame = db.count.frame()
    assert list(frame.index) == ["article", "articles_of"]
    assert list(frame.columns) == ["reads", "rows", "seconds"]
    assert frame["reads"].to_list() == [2, 1]
    assert frame["rows"].to_list() == [1, 2]
    assert "3 reads, 3 rows: article 2, articles_of 1" in repr(db.count)


def test_a_slow_database_takes_its_time_by_read_and_by_row() -> None:
    clock = FakeClock()
    latency = Latency("2ms", "0.5ms", wait=clock.advance)
    with newsroom.open("sqlite://", articles=10, latency=latency, clock=clock) as db:
        assert clock() == 0
        db.article(1)
        assert clock() == pytest.approx(0.0025)
        db.articles_of([1, 2, 3, 99])
        assert clock() == pytest.approx(0.006)
        db.article(99)
        db.articles_of([])
        db.edit_article(1, title="New")
        assert clock() == pytest.approx(0.008)
        assert db.count["article"].seconds == pytest.approx(0.0045)
        assert db.count.seconds == pytest.approx(0.008)
        db.latency = Latency(0, 0, wait=lambda _: pytest.fail("there is nothing to wait for"))
        db.article(1)


def test_a_read_that_waits_holds_up_nobody_and_brings_what_was_true(db: Newsroom) -> None:
    reading, written = threading.Event(), threading.Event()

    def wait(_: float) -> None:
        reading.set()
        assert written.wait(PATIENCE)

    def act(number: int) -> object:
        if number == 0:
            return db.author(1)
        assert reading.wait(PATIENCE)
        db.latency = Latency(0, 0)
        db.edit_author(1, name="New")
        after = db.author(1)
        written.set()
        return after

    db.latency = Latency("1s", wait=wait)
    slow, quick = in_threads(2, act)
    assert (slow.version, quick.version) == (1, 2)


def test_a_busy_database_works_on_so_many_reads_at_once(db: Newsroom) -> None:
    entered, go = threading.Semaphore(0), threading.Semaphore(0)
    lock, inside = threading.Lock(), [0]

    def wait(_: float) -> None:
        with lock:
            inside[0] += 1
        entered.release()
        assert go.acquire(timeout=PATIENCE)

    def act(number: int) -> None:
        if number < 6:
            db.article(1)
            return
        for served in range(3):
            for _ in range(2):
                assert entered.acquire(timeout=PATIENCE)
            # Both that may be inside are, and none of the others came in.
            assert inside[0] == 2 * (served + 1)
            go.release(2)

    db.latency = Latency("1s", wait=wait, at_once=2)
    assert in_threads(7, act) == [None] * 7
    assert db.reads == 6


def test_while_the_database_is_down_nothing_is_read_or_written(db: Newsroom) -> None:
    db.latency = Latency(0, 0, at_once=1)
    with db.down():
        for ask in (lambda: db.article(1), db.ids, lambda: db.add_comment(1, "ada", "Hello")):
            with pytest.raises(DatabaseDown, match="the database is down"):
                ask()
        raised = in_threads(3, lambda _: db.author(1))
        assert [type(each) for each in raised] == [DatabaseDown] * 3
        with db.down():
            pass
        with pytest.raises(OSError, match="down"):
            db.article_source.load(1)
        assert db.articles_of([]) == {}
    assert (db.reads, db.writes) == (0, 0)
    assert db.article(1) is not None


def test_an_outage_ends_with_its_block_however_that_ends(db: Newsroom) -> None:
    with pytest.raises(DatabaseDown), db.down():
        db.article(1)
    assert db.article(1) is not None


def test_a_latency_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        Latency("fast")
    with pytest.raises(ValueError, match="at_once is 0"):
        Latency(at_once=0)
    assert repr(Latency("2ms", 0, at_once=8)) == "Latency(0.002, 0.0, at_once=8)"
    assert repr(Latency()) == "Latency(0.002, 0.0001)"
