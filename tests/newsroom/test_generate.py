"""A site from a seed: the same everywhere, of any size, and much like a real one."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest

from labkit import newsroom
from labkit.newsroom import DAY, Newsroom, Size
from tests.newsroom.state import everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.newsroom.conftest import Place

DIGEST = """
import hashlib, msgspec
from labkit import newsroom
from tests.newsroom.state import everything
with newsroom.open("sqlite://", articles=40, authors=6) as db:
    site = msgspec.json.encode([everything(db), newsroom.day(40, pages=500)])
print(hashlib.sha256(site).hexdigest())
"""


def test_the_same_seed_makes_the_same_site_on_every_database(shared: Place) -> None:
    with (
        newsroom.open("sqlite://", articles=150, authors=9, seed=11) as memory,
        newsroom.open(**shared, articles=150, authors=9, seed=11) as other,
    ):
        assert everything(memory) == everything(other)


def test_the_same_seed_makes_the_same_site_and_day_in_every_process() -> None:
    with newsroom.open("sqlite://", articles=40, authors=6) as db:
        here = msgspec.json.encode([everything(db), newsroom.day(40, pages=500)])
    for seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", DIGEST],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        assert printed.strip() == hashlib.sha256(here).hexdigest()


def test_another_seed_makes_another_site() -> None:
    with (
        newsroom.open("sqlite://", articles=20, seed=1) as one,
        newsroom.open("sqlite://", articles=20, seed=2) as other,
    ):
        assert one.ids() == other.ids()
        assert one.authors_of([1, 2, 3]) != other.authors_of([1, 2, 3])
        assert not any(
            one.articles_of([number])[number].body == other.articles_of([number])[number].body
            for number in one.ids()
        )
        assert one.most_read(5) != other.most_read(5)


@pytest.fixture(scope="module")
def large() -> Iterator[Newsroom]:
    with newsroom.open("sqlite://", articles=2500, authors=50) as db:
        yield db


def test_a_few_articles_have_most_of_the_comments_and_reads(large: Newsroom) -> None:
    articles = large.articles_of(large.ids()).values()
    comments = sorted(article.comment_count for article in articles)
    assert comments[0] == 0
    assert 4 <= statistics.median(comments) <= 6
    assert sum(comments[-250:]) > 0.4 * sum(comments)
    lengths = sorted(len(article.body) for article in articles)
    assert statistics.mean(lengths) > 1.1 * statistics.median(lengths)
    assert lengths[-1] > 5 * statistics.median(lengths)


def test_articles_have_what_articles_have(large: Newsroom) -> None:
    articles = list(large.articles_of(large.ids()).values())
    published = [article.published_at for article in articles]
    assert published == sorted(published)
    assert all(before < after for before, after in pairwise(published))
    assert published[-1] < DAY
    assert len({article.title for article in articles}) > 2400
    assert len({article.section for article in articles}) == 6
    assert {len(article.tags) for article in articles} == {1, 2, 3, 4}
    assert len({tag for article in articles for tag in article.tags}) == 60
    authors = [article.author_id for article in articles]
    assert set(authors) == set(range(1, 51))
    assert authors.count(1) > 3 * authors.count(50)
    shown = [comment for number in range(1, 300) for comment in large.comments(number, 1000)]
    assert all(comment.posted_at < DAY for comment in shown)


def test_a_site_may_have_no_tags_comments_or_articles() -> None:
    with Newsroom("sqlite://") as db:
        db.create()
        assert db.fill(Size(articles=0, authors=2, tags=0, comments=0))
        assert db.ids() == []
        assert list(db.authors_of(range(10))) == [1, 2]
        db.drop()
        db.create()
        assert db.fill(Size(articles=3, authors=1, tags=0, comments=0))
        articles = db.articles_of(db.ids())
        assert [each.tags for each in articles.values()] == [()] * 3
        assert [each.comment_count for each in articles.values()] == [0] * 3


def test_a_site_may_have_more_tags_than_there_are_topics() -> None:
    with Newsroom("sqlite://") as db:
        db.create()
        assert db.fill(Size(articles=1000, tags=500))
        names = {tag for each in db.articles_of(db.ids()).values() for tag in each.tags}
        assert len(names) > 300
        assert any(" in " in name for name in names)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"articles": -1}, "articles is -1; expected a whole number from 0"),
        ({"authors": 0}, "authors is 0; expected a whole number from 1"),
        ({"comments": 1.5}, "comments is 1.5"),
        ({"tags": 10_000}, "tags is 10000; there are names for"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(size: dict[str, int], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Size(**size)
