"""The outbox: every change is noted once, in the transaction that makes it, until it is done."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from labkit import newsroom
from labkit.clock import FakeClock
from labkit.newsroom import Backlog, Change, Conflict, DatabaseDown, Newsroom, NotFound
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.newsroom.conftest import NOW, empty, execute, opened
from tests.newsroom.state import everything
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.newsroom.conftest import Place

THREADS, ROUNDS = 6, 5
SPAWN = multiprocessing.get_context("spawn")
ALL = ("headline", "topics", "body", "comments")


@pytest.fixture(params=["memory", "file", "postgresql"])
def noting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Newsroom]:
    """A small site with an outbox."""
    with empty(request.param, request, tmp_path) as place, opened(place, outbox=True) as db:
        yield db


def changes(db: Newsroom) -> list[Change]:
    return [note.change for note in db.outbox()]


def test_each_write_that_changes_something_is_noted(noting: Newsroom) -> None:
    db = noting
    number = db.publish(2, "Title", "Text", "city", ["a"])
    expected = [Change(number, ALL, number, 2)]
    expected.append(db.edit_article(number, title="New"))
    expected.append(db.edit_author(2, name="New"))
    expected.append(db.rename_tag("a", "new"))
    comment = db.add_comment(number, "ada", "First")
    expected += [comment, db.vote(comment.id, "bob", 1), db.edit_comment(comment.id, "First!")]
    expected += [db.hide_comment(comment.id), db.show_comment(comment.id)]
    expected += [db.delete_comment(comment.id), db.delete_article(number)]
    assert all(expected)
    notes = db.outbox()
    assert [note.change for note in notes] == expected
    assert {note.at for note in notes} == {NOW}
    assert [note.id for note in notes] == sorted({note.id for note in notes})


def test_what_changes_nothing_and_what_is_refused_is_not_noted(noting: Newsroom) -> None:
    db = noting
    comment = db.add_comment(1, "ada", "First").id
    db.hide_comment(comment)
    db.done(note.id for note in db.outbox())
    assert not db.edit_article(1)
    assert not db.vote(comment, "bob", 1)
    assert not db.delete_comment(comment)
    with pytest.raises(NotFound):
        db.add_comment(99, "ada", "Nowhere")
    with pytest.raises(Conflict):
        db.edit_article(1, title="New", if_version=99)
    with pytest.raises(ValueError, match="title is ''"):
        db.edit_article(1, title="")
    with db.down(), pytest.raises(DatabaseDown):
        db.edit_article(1, title="New")
    db.draft_source.save(1, newsroom.Draft(1, "", "", NOW))
    assert db.outbox() == []


def test_what_a_source_saves_is_noted(noting: Newsroom) -> None:
    article, author = noting.article(1), noting.author(2)
    assert article is not None
    assert author is not None
    noting.article_source.save(1, article)
    noting.author_source.save(2, author)
    assert noting.outbox() == []
    noting.edit_article(1, title="New")
    article = noting.articles_of([1])[1]
    noting.article_source.save(1, msgspec.structs.replace(article, body="New"))
    noting.author_source.save(2, msgspec.structs.replace(author, bio="New"))
    assert [each.aspects for each in changes(noting)] == [("headline",), ("body",), ("author",)]


def test_without_an_outbox_nothing_is_noted(db: Newsroom) -> None:
    db.publish(2, "Title", "Text", "city")
    db.add_comment(1, "ada", "First")
    assert db.outbox() == []
    assert db.outbox_state() == (0, 0.0)


def test_what_is_done_is_gone_and_its_number_is_not_given_again(noting: Newsroom) -> None:
    db = noting
    for number in range(1, 6):
        db.edit_article(number, title="New")
    notes = db.outbox()
    assert db.outbox(most=2) == notes[:2]
    assert db.done([notes[1].id, notes[4].id, 10**6]) == 2
    assert db.outbox() == [notes[0], notes[2], notes[3]]
    assert db.done(note.id for note in notes) == 3
    assert db.done([note.id for note in notes]) == db.done([]) == 0
    db.edit_article(1, title="Newer")
    (last,) = db.outbox()
    assert last.id > notes[-1].id


def test_depth_and_age_are_those_of_what_waits(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    with newsroom.open("sqlite://", articles=3, clock=clock, outbox=True) as db:
        assert db.outbox_state() == Backlog(0, 0.0)
        db.edit_article(1, title="New")
        clock.advance(5)
        db.edit_article(2, title="New")
        clock.advance(2)
        assert db.outbox_state() == Backlog(depth=2, age=7.0)
        db.done([db.outbox()[0].id])
        assert db.outbox_state() == Backlog(depth=1, age=2.0)
        clock.set(NOW)  # a clock that was put back
        assert db.outbox_state() == Backlog(depth=1, age=0.0)


def test_each_question_about_the_outbox_is_one_read(noting: Newsroom) -> None:
    noting.add_comment(1, "ada", "First")
    with noting.counting() as tally:
        notes = noting.outbox()
        noting.outbox_state()
        noting.wait_for_changes(0)
    assert tally.by_query == {"outbox": 1, "outbox_state": 1}
    assert noting.writes == 1
    noting.done([notes[0].id])
    assert noting.writes == 2


examples = itertools.count()
word = st.sampled_from(["a", "b"])
WRITES: st.SearchStrategy[tuple[str, int, dict[str, Any]]] = st.one_of(
    st.tuples(st.just("edit_article"), st.integers(1, 42), st.fixed_dictionaries({"title": word})),
    st.tuples(st.just("edit_author"), st.integers(1, 7), st.fixed_dictionaries({"bio": word})),
    st.tuples(
        st.just("vote"),
        st.integers(1, 5),
        st.fixed_dictionaries({"reader": word, "value": st.sampled_from([-1, 0, 1])}),
    ),
    st.tuples(st.just("edit_comment"), st.integers(1, 5), st.fixed_dictionaries({"body": word})),
    st.tuples(st.sampled_from(["hide_comment", "show_comment"]), st.integers(1, 5), st.just({})),
)


@settings(max_examples=times(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(WRITES, min_size=3, max_size=15))
def test_there_is_a_note_exactly_for_each_change(
    noting: Newsroom, writes: list[tuple[str, int, dict[str, Any]]]
) -> None:
    noting.done(note.id for note in noting.outbox())
    made: list[Change] = []
    for name, number, given_ in writes:
        try:
            change = getattr(noting, name)(number, **given_)
        except NotFound:
            continue
        if change:
            made.append(change)
    assert changes(noting) == made


def test_of_many_writers_every_change_is_noted_once(noting: Newsroom) -> None:
    def write(number: int) -> list[Change]:
        made = []
        for round_ in range(ROUNDS):
            comment = noting.add_comment(7, "ada", f"{number} {round_}")
            made += [comment, noting.vote(comment.id, "bob", 1)]
            made += [noting.edit_article(7, title=f"{number} {round_}")]
        return made

    made = [change for each in in_threads(THREADS, write) for change in each]
    key = repr
    assert sorted(changes(noting), key=key) == sorted(made, key=key)
    assert len(made) == THREADS * ROUNDS * 3


REFUSING = {
    "file": ["CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'is full'); END"],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'is full'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON outbox EXECUTE FUNCTION public.refuse()",
    ],
}


def test_a_change_that_cannot_be_noted_is_not_made(shared: Place) -> None:
    with opened(shared, outbox=True) as db:
        execute(shared, *REFUSING["postgresql" if shared["schema"] else "file"])
        before = everything(db)
        writes: list[Callable[[], Any]] = [
            lambda: db.edit_article(1, title="New"),
            lambda: db.add_comment(1, "ada", "First"),
            lambda: db.publish(1, "T", "B", "city"),
            lambda: db.edit_author(1, bio="New"),
        ]
        for write in writes:
            with pytest.raises(Exception, match="is full"):
                write()
        assert everything(db) == before
        assert (db.outbox(), db.writes) == ([], 0)


def write_until_killed(place: Place, begun: Any) -> None:
    with newsroom.open(**place, articles=40, authors=6, outbox=True) as db:
        for number in itertools.count():
            db.add_comment(7, "killed", f"{number}")
            if number == 3:
                begun.set()


def test_who_is_killed_leaves_as_many_notes_as_comments(shared: Place) -> None:
    with opened(shared) as db:
        begun = SPAWN.Event()
        writer = SPAWN.Process(target=write_until_killed, args=(shared, begun))
        writer.start()
        assert begun.wait(PATIENCE)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(PATIENCE)
        said = {each.id for each in db.comments_by("killed", most=100_000)}
        assert len(said) >= 4
        assert sorted(note.change.id for note in db.outbox(100_000)) == sorted(said)


def take(place: Place, died: bool) -> list[int]:
    """Act on what is in the outbox, and say so unless one dies before."""
    with Newsroom(**place) as db:
        notes = db.outbox()
        if died:
            os._exit(9)
        db.done(note.id for note in notes)
        return [note.change.id for note in notes]


def test_what_was_not_said_to_be_done_is_found_by_the_next(shared: Place) -> None:
    with opened(shared, outbox=True) as db:
        made = [db.add_comment(1, "ada", f"{number}").id for number in range(3)]
        taker = SPAWN.Process(target=take, args=(shared, True))
        taker.start()
        taker.join(PATIENCE)
        assert taker.exitcode == 9
        assert take(shared, False) == made
        assert take(shared, False) == []


HELD = 7_412  # the number of a lock


def test_who_goes_by_the_highest_number_would_miss_what_commits_later(
    server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with (
        empty("postgresql", request, tmp_path) as place,
        opened(place, outbox=True) as db,
        psycopg.connect(server, autocommit=True) as holder,
    ):
        # The transaction that edits article 1 stops between its note and its end.
        execute(
            place,
            "CREATE OR REPLACE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock({HELD}); RETURN NEW; END $$",
            "CREATE TRIGGER hold AFTER INSERT ON outbox FOR EACH ROW "
            """WHEN (NEW.change LIKE '{"id":1,%') EXECUTE FUNCTION public.hold()""",
        )
        holder.execute(f"SELECT pg_advisory_lock({HELD})")
        slow = threading.Thread(target=db.edit_article, args=(1,), kwargs={"title": "Slow"})
        slow.start()
        waiting = f"SELECT 1 FROM pg_locks WHERE objid = {HELD} AND NOT granted"
        until(lambda: holder.execute(waiting).fetchone(), "the slow one at its stop")
        db.edit_article(2, title="Quick")
        (quick,) = db.outbox()
        assert quick.change.id == 2
        db.done([quick.id])
        holder.execute(f"SELECT pg_advisory_unlock({HELD})")
        slow.join(PATIENCE)
        (late,) = db.outbox()
        assert late.change.id == 1
        assert late.id < quick.id  # and so below the highest number that was seen


def test_nothing_is_waited_for_once_what_was_written_is_known(noting: Newsroom) -> None:
    noting.add_comment(1, "ada", "Before anybody asked")
    assert noting.wait_for_changes(0)
    assert not noting.wait_for_changes("0s")
    noting.add_comment(1, "ada", "First")
    assert noting.wait_for_changes(PATIENCE)
    assert not noting.wait_for_changes(0)
    noting.edit_article(1)
    assert not noting.wait_for_changes(0)
    with pytest.raises(ValueError, match="not a duration"):
        noting.wait_for_changes(-1)
    with noting.down(), pytest.raises(DatabaseDown):
        noting.wait_for_changes(0)


def test_who_waits_is_woken_by_a_write(noting: Newsroom) -> None:
    noting.wait_for_changes(0)

    def act(number: int) -> Any:
        if number == 0:
            return noting.wait_for_changes(PATIENCE, pause=threading.Event().wait)
        return bool(noting.add_comment(1, "ada", "First"))

    assert in_threads(2, act) == [True, True]
    assert len(noting.outbox()) == 1


def test_who_waits_is_woken_by_the_write_of_another_newsroom(shared: Place) -> None:
    with opened(shared, outbox=True) as writer, Newsroom(**shared) as reader:
        reader.wait_for_changes(0)
        assert not reader.wait_for_changes(0)
        writer.add_comment(1, "ada", "First")
        assert reader.wait_for_changes(PATIENCE)
        assert len(reader.outbox()) == 1


def test_a_file_is_looked_at_until_the_time_is_over(tmp_path: Path) -> None:
    waited: list[float] = []
    with newsroom.open(f"sqlite:///{tmp_path / 'a.db'}", articles=3, outbox=True) as db:
        db.wait_for_changes(0)
        assert not db.wait_for_changes("1s", pause=waited.append)
        assert sum(waited) == pytest.approx(1)
        assert len(waited) > 10

        def write(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                db.add_comment(1, "ada", "First")

        waited.clear()
        assert db.wait_for_changes("1s", pause=write)
        assert len(waited) == 3


def test_one_waits_at_a_time_and_the_others_no_longer_than_they_said(tmp_path: Path) -> None:
    with newsroom.open(f"sqlite:///{tmp_path / 'a.db'}", articles=3, outbox=True) as db:
        db.wait_for_changes(0)
        waiting, go = threading.Event(), threading.Event()

        def pause(_: float) -> None:
            waiting.set()
            assert go.wait(PATIENCE)

        def act(number: int) -> bool:
            if number == 0:
                return db.wait_for_changes(PATIENCE, pause)
            assert waiting.wait(PATIENCE)
            db.add_comment(1, "ada", "First")
            told = db.wait_for_changes("1ms")
            go.set()
            return told

        assert in_threads(2, act) == [True, False]


def test_who_acts_on_changes_as_they_come_misses_none(noting: Newsroom) -> None:
    acted: list[Change] = []
    made: list[list[Change]] = []

    def act(number: int) -> None:
        if number:
            made.append([noting.add_comment(7, "ada", f"{each}") for each in range(ROUNDS)])
            return
        while len(acted) < (THREADS - 1) * ROUNDS:
            notes = noting.outbox()
            acted.extend(note.change for note in notes)
            noting.done(note.id for note in notes)
            if not notes:
                assert noting.wait_for_changes(PATIENCE)

    assert in_threads(THREADS, act) == [None] * THREADS
    assert sorted(each.id for each in acted) == sorted(each.id for one in made for each in one)
    assert noting.outbox() == []


def test_a_schema_hears_of_its_own_writes_only(server: str) -> None:
    with (
        newsroom.open(server, schema="one", articles=3, outbox=True) as one,
        newsroom.open(server, schema="other", articles=3, outbox=True) as other,
    ):
        one.wait_for_changes(0)
        other.wait_for_changes(0)
        other.add_comment(1, "ada", "First")
        assert other.wait_for_changes(PATIENCE)
        assert not one.wait_for_changes("50ms")
        one.drop()
        other.drop()


def test_who_listens_comes_back_after_the_line_was_cut(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as other:
        other.execute("CREATE ROLE ear LOGIN SUPERUSER")
        with (
            newsroom.open(
                server.replace("labkit@", "ear@"), schema="ear", articles=3, outbox=True
            ) as db,
            newsroom.open(server, schema="ear", articles=3, outbox=True) as writer,
        ):
            db.wait_for_changes(0)
            assert not db.wait_for_changes(0)
            theirs = "FROM pg_stat_activity WHERE usename = 'ear'"
            other.execute(f"SELECT pg_terminate_backend(pid) {theirs}")
            until(lambda: not other.execute(f"SELECT 1 {theirs}").fetchone(), "the cut")
            writer.add_comment(1, "ada", "While nobody listened")
            assert db.wait_for_changes(PATIENCE)
            assert not db.wait_for_changes(0)
            writer.add_comment(1, "ada", "Heard again")
            assert db.wait_for_changes(PATIENCE)
            writer.drop()
        other.execute("DROP ROLE ear")
