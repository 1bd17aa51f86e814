"""A day of traffic: how many of each kind, who is popular, when it is quiet, what breaks."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from labkit import newsroom
from labkit.newsroom import DAY, Event, NotFound, apply, day, to_log
from tests.newsroom.state import everything

if TYPE_CHECKING:
    from labkit.newsroom import Newsroom


def test_a_day_has_as_many_events_of_each_kind_as_were_asked_for() -> None:
    events = day(500, pages=3000, spikes=3, crawlers=0.1, edits=7, comments=11, probes=0.05)
    assert Counter(event.kind for event in events) == {
        "view": 3000, "crawl": 300, "probe": 150, "edit": 7 + 3, "comment": 11
    }  # fmt: skip
    assert events == sorted(events, key=lambda event: event.at)
    assert 0 <= events[0].at <= events[-1].at <= 86_400
    for event in events:
        assert (event.aspect in ("title", "body")) == (event.kind == "edit")
        assert (1 <= event.article <= 500) == (event.kind != "probe")


def test_the_same_arguments_make_the_same_day_and_others_another() -> None:
    assert day(100, pages=200) == day(100, pages=200)
    assert day(100, pages=200) != day(100, pages=200, number=2)
    assert day(100, pages=200) != day(100, pages=200, seed=6)


def test_popularity_is_that_of_the_seed_on_every_day_and_not_the_order_of_numbers() -> None:
    def popular(**options: Any) -> list[int]:
        views = [event.article for event in day(1000, pages=20_000, spikes=0, **options)]
        return [article for article, _ in Counter(views).most_common(5)]

    today, tomorrow = popular(skew=1.2), popular(skew=1.2, number=2)
    assert today[:3] == tomorrow[:3]
    assert set(today) != set(range(1, 6))
    assert not set(today) & set(popular(skew=1.2, seed=6))


def test_views_follow_zipfs_law() -> None:
    events = day(1000, pages=40_000, skew=0.9, spikes=0, crawlers=0, probes=0, edits=0, comments=0)
    counts = [count for _, count in Counter(event.article for event in events).most_common()]
    total = sum(rank**-0.9 for rank in range(1, 1001))
    for rank in (1, 2, 5, 10):
        assert counts[rank - 1] / 40_000 == pytest.approx(rank**-0.9 / total, rel=0.15)
    even = day(10, pages=40_000, skew=0, spikes=0, crawlers=0, probes=0)
    views = Counter(event.article for event in even if event.kind == "view")
    assert max(views.values()) < 1.1 * min(views.values())


def test_nights_are_quiet_and_shorter_where_the_day_is() -> None:
    for length, hour in (("1d", 3600), ("2h", 300)):
        views = [e.at for e in day(pages=20_000, spikes=0, length=length) if e.kind == "view"]
        hours = Counter(int(at // hour) for at in views)
        assert sum(hours[night] for night in (2, 3, 4)) * 5 < sum(hours[h] for h in (19, 20, 21))
        assert max(hours) == 23


def test_breaking_news_is_an_edit_and_hundreds_who_ask_for_it_within_seconds() -> None:
    events = day(2000, pages=10_000, spikes=2, edits=0)
    edits = [event for event in events if event.kind == "edit"]
    assert len(edits) == 2
    for edit in edits:
        assert edit.aspect == "title"
        assert edit.article > 1800
        place = events.index(edit)
        asked = [
            event
            for event in events[place + 1 :]
            if event.article == edit.article and event.at <= edit.at + 12.001
        ]
        assert len(asked) >= 300
        assert len([event for event in asked if event.at < edit.at + 3]) >= 120


def test_a_crawler_asks_for_one_after_the_other() -> None:
    crawled = [
        event.article for event in day(50, pages=1000, crawlers=0.1) if event.kind == "crawl"
    ]
    first = crawled[0]
    assert crawled == [1 + (first - 1 + step) % 50 for step in range(100)]


def test_writes_are_carried_out_with_words_of_the_event_alone(db: Newsroom) -> None:
    with newsroom.open("sqlite://", articles=40, authors=6) as other:
        for event in day(40, pages=100, edits=30, comments=30):
            if event.kind in ("edit", "comment"):
                change = apply(db, event)
                assert change
                assert change.article_id == event.article
                assert apply(other, event) == change
                if event.kind == "edit":
                    assert change.aspects == (
                        ("headline",) if event.aspect == "title" else ("body",)
                    )
                    assert db.articles_of([event.article])[event.article].updated_at == (
                        DAY + event.at
                    )
        assert everything(db) == everything(other)
        assert db.reads > 0
    # An edit changes something, whatever was there.
    edit = Event(60.5, "edit", 7, "title")
    assert apply(db, edit)
    assert not apply(db, edit)
    assert db.articles_of([7])[7].title.endswith("(00:01:00.500)")


def test_an_event_that_writes_nothing_is_not_applied(site: Newsroom) -> None:
    with pytest.raises(ValueError, match="the event is a 'view'; expected an 'edit' or a 'comm"):
        apply(site, Event(1.0, "view", 7))
    with pytest.raises(NotFound):
        apply(site, Event(1.0, "comment", 77))


def test_a_log_has_a_line_for_every_page_that_was_asked_for() -> None:
    events = day(50, pages=300)
    lines = list(to_log(events))
    asked = [event for event in events if event.kind in ("view", "crawl", "probe")]
    assert len(lines) == len(asked)
    form = re.compile(
        r"[\d.]+ - - \[\d\d/Mar/2025:\d\d:\d\d:\d\d \+0000\] "
        r'"GET /articles/(\d+) HTTP/1\.1" (200|404) [1-9]\d+'
    )
    for line, event in zip(lines, asked, strict=True):
        found = form.fullmatch(line)
        assert found is not None, line
        assert int(found[1]) == event.article
        assert (found[2] == "404") == (event.kind == "probe")
    (line,) = to_log([Event(3_723.5, "view", 17)])
    assert "[03/Mar/2025:01:02:03 +0000]" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"articles": 0}, "articles is 0"),
        ({"pages": -1}, "pages is -1"),
        ({"edits": 1.5}, "edits is 1.5"),
        ({"skew": -0.1}, "skew is -0.1; expected a number that is not negative"),
        ({"crawlers": float("nan")}, "crawlers is nan"),
        ({"spikes": 34}, "spikes is 34, each of 300 views, more than the 10000 pages"),
        ({"length": "long"}, "not a duration"),
    ],
)
def test_a_day_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        day(**options)
