"""Many at once: no version is lost, whoever writes, in threads and in processes."""

from __future__ import annotations

import contextlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from labkit import newsroom
from labkit.newsroom import Article, Conflict, Newsroom, NotFound
from tests.cache.crowd import PATIENCE, in_threads
from tests.scale import SEED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.newsroom.conftest import Place

THREADS, ROUNDS, PROCESSES = 8, 6, 2
SPAWN = multiprocessing.get_context("spawn")


def test_no_version_is_lost_among_threads(db: Newsroom) -> None:
    def write(number: int) -> None:
        for round_ in range(ROUNDS):
            text = f"{number} {round_}"
            db.add_comment(7, "ada", text)
            db.edit_article(7, title=text)
            db.edit_article(7, body=text)
            db.edit_author(2, bio=text)

    assert in_threads(THREADS, write) == [None] * THREADS
    article, author = db.article(7), db.author(2)
    assert article is not None
    assert author is not None
    total = THREADS * ROUNDS
    assert article.headline_version == article.body_version == author.version == 1 + total
    assert article.comments_version == 1 + total
    assert article.version == 1 + 3 * total
    assert article.comment_count == db.comment_count(7)
    assert db.writes == 4 * total


def test_of_many_writes_of_one_version_one_is_written(db: Newsroom) -> None:
    def save_article(number: int) -> None:
        new = msgspec.structs.replace(read, title=f"{read.version} {number}")
        db.article_source.save(7, new)

    def edit_article(number: int) -> None:
        db.edit_article(7, title=f"{read.version} {number}", if_version=read.version)

    def edit_author(number: int) -> None:
        db.edit_author(2, name=f"{author.version} {number}", if_version=author.version)

    for write in (save_article, edit_article, edit_author) * ROUNDS:
        read, author = db.articles_of([7])[7], db.authors_of([2])[2]
        outcomes = in_threads(THREADS, write)
        assert [type(each) for each in outcomes if each is not None] == [Conflict] * (THREADS - 1)
        winner, version = outcomes.index(None), read.version + author.version
        after, author = db.articles_of([7])[7], db.authors_of([2])[2]
        assert after.version + author.version == version + 1
        written = author.name if write is edit_author else after.title
        assert written.endswith(f" {winner}")


def test_writers_of_tags_articles_and_comments_do_not_wait_for_each_other_forever(
    db: Newsroom,
) -> None:
    article = db.publish(1, "Title", "Text", "city", ["left", "right"])
    other = db.publish(1, "Title", "Text", "city", ["right", "left"])

    def write(number: int) -> None:
        for round_ in range(ROUNDS):
            match number % 4:
                case 0:
                    db.rename_tag(f"left{'' if round_ == 0 else round_ - 1}", f"left{round_}")
                case 1:
                    db.edit_article(article, tags=[f"new {round_}", "right"])
                case 2:
                    comment = db.add_comment(other, "ada", "Hello").id
                    db.hide_comment(comment)
                    db.delete_comment(comment)
                case _:
                    db.edit_article(other, tags=["right", f"new {round_}"], body=f"{round_}")

    assert in_threads(4, write) == [None] * 4
    last = db.articles_of([article, other])
    assert last[article].tags == last[other].tags == (f"new {ROUNDS - 1}", "right")
    assert last[other].comments_version == 1 + 2 * ROUNDS
    assert last[other].comment_count == 0


def delete(db: Newsroom, comment: int, _: int) -> None:
    db.delete_comment(comment)


def test_one_of_a_comments_writers_finds_it_gone(db: Newsroom) -> None:
    for _ in range(ROUNDS):
        before = db.articles_of([7])[7]
        comment = db.add_comment(7, "ada", "Hello").id
        outcomes = in_threads(THREADS, partial(delete, db, comment))
        assert len([each for each in outcomes if isinstance(each, LookupError)]) == THREADS - 1
        after = db.articles_of([7])[7]
        assert after.comment_count == before.comment_count
        assert after.comments_version == before.comments_version + 2


def test_of_many_votes_none_is_lost_and_each_reader_has_one(db: Newsroom) -> None:
    comment = db.add_comment(7, "ada", "Hello").id
    before = db.articles_of([7])[7]

    def vote(number: int) -> int:
        random = Random(f"{SEED} {number}")
        changed = 0
        for _ in range(ROUNDS):
            reader = f"{random.randrange(THREADS)}"  # whom other threads let vote, too
            changed += bool(db.vote(comment, reader, random.choice([-1, 0, 1])))
        return changed

    changed = sum(in_threads(THREADS, vote))
    stored = db.comments_of([comment])[comment]
    assert stored.score == sum(db.votes_of(comment).values())
    assert stored.version == 1 + changed
    assert db.articles_of([7])[7] == before


def test_votes_meet_edits_and_the_end_of_a_comment(db: Newsroom) -> None:
    for round_ in range(ROUNDS):
        comment = db.add_comment(7, "ada", "Hello").id

        def act(number: int, comment: int = comment, round_: int = round_) -> bool:
            if number == 0:
                return bool(db.delete_comment(comment))
            if number % 2:
                return bool(db.edit_comment(comment, f"{number} {round_}"))
            return bool(db.vote(comment, f"{number}", 1))

        outcomes = in_threads(THREADS, act)
        assert outcomes[0] is True
        assert {type(each) for each in outcomes} <= {bool, NotFound}
        left = db.comments_of([comment])[comment]
        assert (left.deleted, left.body, left.score) == (True, "", 0)
        assert left.version == 1 + outcomes.count(True)
        assert db.votes_of(comment) == {}
    assert db.articles_of([7])[7].comment_count == db.comment_count(7)


def test_replies_and_the_end_of_their_comment_come_one_after_the_other(db: Newsroom) -> None:
    for _ in range(ROUNDS):
        comment = db.add_comment(7, "ada", "Hello").id

        def act(number: int, comment: int = comment) -> bool:
            if number == 0:
                return bool(db.delete_comment(comment))
            return bool(db.add_comment(7, "bob", "Reply", parent=comment))

        outcomes = in_threads(THREADS, act)
        assert {type(each) for each in outcomes} <= {bool, NotFound}
        assert len(db.replies(comment)) == outcomes.count(True) - 1


def test_what_saving_answers_is_what_everybody_reads_of_that_version(db: Newsroom) -> None:
    number = db.publish(1, "Title", "Text", "city", ["left"])
    source = db.article_source

    def act(actor: int) -> list[Article]:
        seen = []
        for round_ in range(3 * ROUNDS):
            read = db.articles_of([number])[number]
            seen.append(read)
            match actor % 4:
                case 0:
                    names = ("left", "right") if round_ % 2 == 0 else ("right", "left")
                    db.rename_tag(*names)
                case 1:
                    db.add_comment(number, "ada", "Hello")
                case _:
                    with contextlib.suppress(Conflict, ValueError):
                        saved = msgspec.structs.replace(read, body=f"{actor} {round_}")
                        seen.append(source.save(number, saved))
        return seen

    by_version: dict[int, set[Article]] = {}
    for seen in in_threads(4, act):
        for article in seen:
            by_version.setdefault(article.version, set()).add(article)
    assert len(by_version) > ROUNDS
    assert {len(articles) for articles in by_version.values()} == {1}


def write_in_process(place: Place) -> list[int]:
    """In a process: open a site that others open, too, and write to it."""
    with newsroom.open(**place, articles=40, authors=6) as db:
        for round_ in range(ROUNDS):
            db.add_comment(7, "ada", f"{round_}")
            db.edit_author(2, bio=f"{multiprocessing.current_process().pid} {round_}")
        return db.ids()


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, SPAWN) as pool:
        yield pool


def test_processes_share_a_site_that_is_filled_once(
    shared: Place, pool: ProcessPoolExecutor
) -> None:
    futures = [pool.submit(write_in_process, shared) for _ in range(PROCESSES)]
    assert [each.result(PATIENCE) for each in futures] == [list(range(1, 41))] * PROCESSES
    with newsroom.open(**shared) as db, newsroom.open("sqlite://", articles=40, authors=6) as same:
        article, author = db.articles_of([7])[7], db.authors_of([2])[2]
        total = PROCESSES * ROUNDS
        assert article.comments_version == author.version == 1 + total
        assert article.comment_count == same.articles_of([7])[7].comment_count + total
        assert db.articles_of([8, 9]) == same.articles_of([8, 9])
