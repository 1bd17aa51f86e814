"""A day of the news site: who asks for what, and who writes what, from one midnight to the next."""

from __future__ import annotations

import math
import time
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Literal, TypedDict

import msgspec

from labkit.clock import duration
from labkit.newsroom import prose, words
from labkit.newsroom.checks import count
from labkit.newsroom.generate import DAY
from labkit.newsroom.popularity import SKEW, ranking, shares

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labkit.newsroom.database import Newsroom
    from labkit.newsroom.records import Change

Kind = Literal["view", "crawl", "probe", "edit", "comment"]
Aspect = Literal["title", "body"]

_ASPECTS: tuple[Aspect, ...] = ("title", "body")
# How many readers there are in each hour, beside one another.
_READERS = (3, 2, 1, 1, 1, 2, 5, 9, 11, 9, 8, 8, 10, 9, 8, 8, 8, 9, 10, 11, 12, 10, 7, 5)
_SPIKE = 0.03  # of all pages are asked for in one spike
_SPIKE_LASTS = 12.0  # seconds
_NEWS = 0.1  # of the articles are new enough to become breaking news
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Event(msgspec.Struct, frozen=True):
    """One thing that happens.

    Attributes:
        at: When, in seconds from the start of the day.
        kind: `"view"`: a reader opens an article; `"crawl"`: a crawler does, on its way through all
            of them; `"probe"`: somebody asks for an article that does not exist; `"edit"` and
            `"comment"` are writes, for `apply`.
        article: The number of the article.
        aspect: What an edit changes, `"title"` or `"body"`; None for all others.
    """

    at: float
    kind: Kind
    article: int
    aspect: Aspect | None = None


def day(
    articles: int = 2000,
    *,
    pages: int = 10_000,
    seed: int = 5,
    number: int = 1,
    skew: float = SKEW,
    spikes: int = 2,
    crawlers: float = 0.02,
    edits: int = 100,
    comments: int = 200,
    probes: float = 0.01,
    length: float | str = "1d",
) -> list[Event]:
    """A day of traffic, in the order of its events; the same arguments make the same day.

    Popularity follows Zipf's law and belongs to the seed: what is popular on one day of a site is
    so on every other. A site that was filled with the same number of articles and the same seed
    has them in `Newsroom.most_read`.

    Args:
        articles: How many articles the site has, numbered from 1.
        pages: How many views there are, those of spikes included.
        seed: That of the site.
        number: Another number is another day of the same site.
        skew: How much popularity differs: the article of rank i is asked for in proportion to
            1/i**skew.
        spikes: How often there is breaking news: a new article gets another headline, and within
            seconds 3 % of all views are for it.
        crawlers: How many pages crawlers ask for, as a share of `pages`.
        edits: How many edits there are, beside those that breaking news begins with.
        comments: How many comments are added.
        probes: How many made-up numbers are asked for, as a share of `pages`.
        length: How long the day is, a `duration`; its nights become shorter with it.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: A number is negative, or there are more spikes than pages for them.
    """
    count("articles", articles)
    for name, value in {
        "pages": pages,
        "spikes": spikes,
        "edits": edits,
        "comments": comments,
    }.items():
        count(name, value, 0)
    for name, share in {"skew": skew, "crawlers": crawlers, "probes": probes}.items():
        if not 0 <= share < math.inf:
            raise ValueError(f"{name} is {share!r}; expected a number that is not negative")
    in_spike = round(pages * _SPIKE)
    if spikes * in_spike > pages:
        raise ValueError(
            f"spikes is {spikes}, each of {in_spike} views, more than the {pages} pages of the day"
        )
    random = Random(f"day {number} of {seed}")
    seconds = duration(length)
    crowd = _Crowd(articles, seed, skew, seconds, random)
    events = [
        *crowd.events("view", pages - spikes * in_spike),
        *_crawls(articles, round(pages * crawlers), seconds, random),
        *_probes(articles, round(pages * probes), seconds, random),
        *crowd.events("edit", edits),
        *crowd.events("comment", comments),
    ]
    for _ in range(spikes):
        events += _spike(articles, in_spike, seconds, random)
    return sorted(events, key=lambda event: event.at)


class _Crowd:
    """Readers, who come by day rather than by night and want what is popular."""

    def __init__(
        self, articles: int, seed: int, skew: float, seconds: float, random: Random
    ) -> None:
        self._ranking = ranking(articles, seed)
        self._shares = shares(articles, skew)
        self._seconds = seconds
        self._random = random
        self._hours = list(accumulate(_READERS))

    def events(self, kind: Kind, number: int) -> Iterator[Event]:
        """So many events of a kind."""
        draw = self._random.random
        wanted = self._random.choices(self._ranking, cum_weights=self._shares, k=number)
        hours = self._random.choices(range(len(_READERS)), cum_weights=self._hours, k=number)
        for article, hour in zip(wanted, hours, strict=True):
            at = (hour + draw()) / len(_READERS) * self._seconds
            aspect = prose.pick(self._random, _ASPECTS) if kind == "edit" else None
            yield Event(_rounded(at), kind, article, aspect)


def _crawls(articles: int, number: int, seconds: float, random: Random) -> Iterator[Event]:
    """A crawler that asks for one article after the other, day and night, at an even pace."""
    first = int(random.random() * articles)
    for step in range(number):
        article = 1 + (first + step) % articles
        yield Event(_rounded(step / number * seconds), "crawl", article)


def _probes(articles: int, number: int, seconds: float, random: Random) -> Iterator[Event]:
    """Numbers that no article has, nor will soon."""
    for _ in range(number):
        made_up = 2 * articles + 1_000 + int(random.random() * 1_000_000)
        yield Event(_rounded(random.random() * seconds), "probe", made_up)


def _spike(articles: int, number: int, seconds: float, random: Random) -> Iterator[Event]:
    """Breaking news in the middle of the day: an edit, and then everybody at once."""
    article = articles - int(random.random() * articles * _NEWS)
    begin = seconds * (0.4 + 0.4 * random.random())
    yield Event(_rounded(begin), "edit", article, "title")
    for _ in range(number):
        # Most come at once; nobody comes before the edit, which stands before them in the list.
        at = begin + min(_SPIKE_LASTS, seconds - begin) * random.random() ** 2
        yield Event(max(_rounded(at), _rounded(begin)), "view", article)


def _rounded(at: float) -> float:
    return round(at, 3)


def apply(db: Newsroom, event: Event) -> Change:
    """Carry out an edit or a comment, with words that the event alone decides.

    It is written as of the day after which a generated site was made.

    Raises:
        NotFound: The article is gone.
        ValueError: The event is no write.
    """
    at = DAY + event.at
    if event.kind == "comment":
        random = _chance(event)
        reader = prose.pick(random, words.FIRST_NAMES).lower()
        return db.add_comment(event.article, reader, prose.comment(random), at)
    if event.kind != "edit":
        raise ValueError(f"the event is a {event.kind!r}; expected an 'edit' or a 'comment'")
    return db.edit_article(event.article, at=at, **edited(event))


class Edited(TypedDict, total=False):
    """What an edit gives an article: one of the two."""

    title: str
    body: str


def edited(event: Event) -> Edited:
    """What an edit gives an article, in words that the event alone decides."""
    random = _chance(event)
    section = prose.section(random)
    # The time makes it differ from what is there, whatever that is.
    if event.aspect == "title":
        return {"title": f"{prose.headline(random, section)} ({_clock_time(event.at)})"}
    body = prose.body(random, section)
    return {"body": f"{body}\n\nUpdated at {_clock_time(event.at)}."}


def to_log(events: Iterable[Event]) -> Iterator[str]:
    """What a web server would have logged of the day, in the common log format.

    Readers and crawlers got their page (200), probes did not (404); writes are left out.
    """
    for event in events:
        if event.kind not in ("view", "crawl", "probe"):
            continue
        status, size = 404, 431
        if event.kind != "probe":
            status, size = 200, 4_000 + 37 * event.article % 9_000  # about what a page has
        # An address for documentation, another one for those who are no readers.
        host = f"203.0.113.{int(event.at * 1000) % 254 + 1}"
        if event.kind != "view":
            host = "198.51.100.7" if event.kind == "crawl" else "198.51.100.66"
        request = f"GET /articles/{event.article} HTTP/1.1"
        yield f'{host} - - [{_logged(DAY + event.at)}] "{request}" {status} {size}'


def _logged(moment: float) -> str:
    """The moment as servers log it; not by strftime, which knows the months of the locale."""
    utc = time.gmtime(moment)
    return (
        f"{utc.tm_mday:02}/{_MONTHS[utc.tm_mon - 1]}/{utc.tm_year}:"
        f"{utc.tm_hour:02}:{utc.tm_min:02}:{utc.tm_sec:02} +0000"
    )


def _chance(event: Event) -> Random:
    """Chance that goes by the event alone."""
    return Random(f"{event.kind} {event.aspect} {event.article} {event.at}")


def _clock_time(at: float) -> str:
    minutes, seconds = divmod(at, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02}:{minutes:02}:{seconds:06.3f}"
