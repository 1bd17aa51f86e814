"""A leaderboard that is plainly right: dicts and sorted lists, slow and simple.

Its methods have the names, arguments and answers of `labkit.leaderboard.Leaderboard`, so that a
test makes one call on both and compares. It keeps time in whole milliseconds, as the board does.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import zoneinfo
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import msgspec

from labkit.leaderboard import (
    Entry,
    Group,
    KeyReused,
    Loaded,
    Move,
    Period,
    Score,
    ScoreRefused,
    Season,
    Settings,
    Submission,
    WindowClosed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labkit.clock import Clock
    from labkit.leaderboard.results import Metadata

FOREVER = math.inf


def milliseconds(moment: float) -> int:
    return math.floor(Fraction(repr(moment)) * 1000)


def naive_period(window: str | Season, at: float, timezone: str) -> Period | None:
    """The period of a window that holds a moment, where the clocks change on whole hours."""
    if isinstance(window, Season):
        inside = window.start <= at < window.end
        return Period(window.name, window.name, window.start, window.end) if inside else None
    zone = zoneinfo.ZoneInfo(timezone)
    local = dt.datetime.fromtimestamp(at, zone)
    if window == "all":
        return Period("all", "all", -FOREVER, FOREVER)
    if window == "hourly":
        offset = cast("dt.timedelta", local.utcoffset()).total_seconds()
        start = math.floor((at + offset) / 3600) * 3600.0 - offset
        return Period(window, local.strftime("%Y-%m-%dT%H%z"), start, start + 3600)
    day = local.date()
    if window == "daily":
        first, after, name = day, day + dt.timedelta(1), day.isoformat()
    elif window == "weekly":
        first = day - dt.timedelta(day.weekday())
        after, name = first + dt.timedelta(7), day.strftime("%G-W%V")
    elif window == "monthly":
        first = day.replace(day=1)
        after, name = (first + dt.timedelta(31)).replace(day=1), day.strftime("%Y-%m")
    else:
        first, name = day.replace(month=1, day=1), str(day.year)
        after = first.replace(year=day.year + 1)
    midnights = [
        dt.datetime(each.year, each.month, each.day, tzinfo=zone).timestamp()
        for each in (first, after)
    ]
    return Period(window, name, *midnights)


def better(order: str) -> float:
    """The factor that makes a better score a smaller number."""
    return -1.0 if order == "desc" else 1.0


def rank(scores: Sequence[float], score: float, place: int, ties: str) -> int:
    """The rank of the row at `place` (from 0) among all scores, as they count: smaller first."""
    if ties == "ordinal":
        return place + 1
    if ties == "modified":
        return sum(other <= score for other in scores)
    ahead = [other for other in scores if other < score]
    return 1 + len(set(ahead) if ties == "dense" else ahead)


@dataclass
class Row:
    """What is kept of a member: `since` is when it reached its score, `seen` its latest one.

    Rows that a load stored together have one number, and rank by name among themselves.
    """

    score: float
    since: int
    seen: int
    number: int
    note: Metadata | None = None
    together: bool = False


@dataclass
class Plan:
    period: Period
    old: Row | None
    new: Row
    outcome: str


Rows = dict[str, Row]


@dataclass
class Happened:
    """What the stream tells of one change: a number, then what each period saw of it."""

    number: int
    kind: str
    detail: list[tuple[Any, ...]] = field(default_factory=list)


def settle(policy: str, old: Row | None, given: float, moment: int) -> tuple[float, int]:
    if old is None:
        return given, moment
    if policy == "last" and moment >= old.seen:
        return given, old.since if given == old.score else moment
    if policy == "first" and moment < old.since:
        return given, moment
    if policy == "sum" and given:
        return old.score + given, max(old.since, moment)
    return old.score, old.since


class Model:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.sign = better(settings.order)
        self.tables: dict[Period, Rows] = {}
        self.known: set[Period] = set()
        self.loaded: dict[Period, tuple[int, int]] = {}
        self.once: dict[str, tuple[float, Any, Submission, str]] = {}
        self.changes = 0
        self.happened: list[Happened] = []
        self.window = "all" if "all" in settings.names else settings.names[0]

    # Periods

    def period(self, window: str, at: float | Period | None = None) -> Period | None:
        if isinstance(at, Period):
            return at
        moment = self.clock() if at is None else at
        kind = next(
            each for each in self.settings.windows if window in (each, getattr(each, "name", None))
        )
        return naive_period(kind, moment, self.settings.timezone)

    def is_open(self, period: Period) -> bool:
        return self.clock() < period.end + float(self.settings.grace)

    def forgotten(self, period: Period) -> float:
        kept = self.settings.keep[period.window]
        return FOREVER if kept is None else period.end + float(self.settings.grace) + float(kept)

    def forget(self) -> None:
        """Drop the periods whose time is over; to be called when the clock has moved."""
        for period in [each for each in self.known if self.forgotten(each) <= self.clock()]:
            self.known.discard(period)
            self.tables.pop(period, None)
            self.loaded.pop(period, None)

    def rows(self, period: Period | None) -> Rows:
        return {} if period is None else self.tables.get(period, {})

    def put(self, period: Period, member: str, row: Row) -> None:
        self.tables.setdefault(period, {})[member] = row
        self.known.add(period)

    # Reading

    def ordered(self, rows: Rows) -> list[tuple[str, Row]]:
        return sorted(
            rows.items(),
            key=lambda item: (
                self.sign * item[1].score,
                item[1].since,
                item[1].number,
                item[0].encode(),
            ),
        )

    def rank_in(self, rows: Rows, member: str, ties: str | None = None) -> int:
        ordered = self.ordered(rows)
        scores = [self.sign * row.score for _, row in ordered]
        place = [name for name, _ in ordered].index(member)
        return rank(scores, scores[place], place, ties or self.settings.ties)

    def entries(self, window: str, at: Any = None, ties: str | None = None) -> list[Entry]:
        rows = self.rows(self.period(window, at))
        return [
            Entry(self.rank_in(rows, member, ties), member, row.score, row.note)
            for member, row in self.ordered(rows)
        ]

    def view(self, window: str, at: Any = None) -> View:
        return View(self, window, at)

    def history(self, window: str) -> list[Period]:
        over = [
            period
            for period in self.known
            if period.window == window and period.end <= self.clock() < self.forgotten(period)
        ]
        return sorted(over, key=lambda period: -period.start)

    def rank_history(
        self, member: str, window: str, limit: int = 30, *, ties: str | None = None
    ) -> list[tuple[Period, Entry | None]]:
        season = next((each for each in self.settings.seasons if each.name == window), None)
        at = season.start if season else self.clock()
        found: list[tuple[Period, Entry | None]] = []
        while len(found) < limit:
            period = self.period(window, at)
            assert period is not None
            found.append((period, self.view(window, period).get(member, ties=ties)))
            if season or window == "all":
                break
            at = period.start - 1
        return found

    # Writing

    def submit(
        self,
        member: str,
        score: float,
        metadata: Metadata | None = None,
        *,
        at: float | None = None,
        key: str | None = None,
    ) -> Submission:
        return self.store(Score(member, score, metadata, at, key), self.settings.policy)

    def increment(
        self,
        member: str,
        by: float,
        metadata: Metadata | None = None,
        *,
        at: float | None = None,
        key: str | None = None,
    ) -> Submission:
        return self.store(Score(member, by, metadata, at, key), "sum")

    def submit_many(self, scores: Iterable[Score]) -> list[Submission]:
        answers = []
        scores = list(scores)
        for score in scores:
            self.check(score.score, self.settings.policy)
        for score in scores:
            try:
                answers.append(self.store(score, self.settings.policy))
            except (ScoreRefused, KeyReused) as error:
                answers.append(Submission(score.member, {}, refused=str(error), window=self.window))
        return answers

    def outside(self, score: float) -> bool:
        low, high = self.settings.minimum, self.settings.maximum
        return (
            (low is not None and score < low)
            or (high is not None and score > high)
            or math.isinf(score)
        )

    def check(self, score: float, policy: str) -> None:
        if policy != "sum" and self.outside(score):
            raise ScoreRefused("outside")

    def plan(
        self, period: Period, member: str, score: float, moment: int, policy: str, number: int
    ) -> Plan:
        """What a score would do in one open period."""
        old = self.rows(period).get(member)
        if policy == "best" and old is not None:
            counts = [(self.sign * old.score, old.since), (self.sign * score, moment)]
            new, since = (score, moment) if min(counts) != counts[0] else (old.score, old.since)
        else:
            new, since = settle(policy, old, score, moment)
        if self.outside(new):
            raise ScoreRefused("outside")
        seen = max(since, old.seen if old else 0, moment if policy == "last" else 0)
        note = old.note if old else None
        if old is None:
            return Plan(period, old, Row(new, since, seen, number, note), "new")
        if 0 < abs(new - old.score) < (self.settings.step or 0):
            return Plan(period, old, Row(**vars(old)), "too small")
        moved = (new, since) != (old.score, old.since)
        row = Row(new, since, seen, number if moved else old.number, note)
        return Plan(period, old, row, "changed" if moved else "kept")

    def store(self, score: Score, policy: str) -> Submission:
        member, given, metadata, at, key = score
        given += 0.0
        self.check(given, policy)
        now = self.clock()
        payload = (policy, member, given, json.dumps(metadata, sort_keys=True), at)
        if key is not None and key in self.once and self.once[key][0] > now:
            _, known, answer, _ = self.once[key]
            if payload != known:
                raise KeyReused("reused")
            return msgspec.structs.replace(answer, replayed=True)
        moment = milliseconds(now if at is None else at)
        periods = [self.period(name, now if at is None else at) for name in self.settings.names]
        plans: list[Plan] = []
        moves: dict[str, Move] = {}
        for period in periods:
            if period is None:
                continue
            if not self.is_open(period):
                moves[period.window] = Move(period.name, "closed")
                continue
            plans.append(self.plan(period, member, given, moment, policy, self.changes + 1))
            moves[period.window] = Move(period.name, "kept")
        if all(plan.outcome == "too small" for plan in plans):
            raise ScoreRefused("small") if plans else WindowClosed("closed")

        # A member that is new to one window brings along what the others know of it.
        inherited = next(
            (plan.old.note for plan in plans if plan.old and plan.old.note is not None), None
        )
        happened = Happened(self.changes + 1, "change")
        for plan in plans:
            period = plan.period
            old_rank = self.rank_in(self.rows(period), member) if plan.old else None
            note = plan.old.note if plan.old else inherited
            plan.new.note = note if metadata is None else metadata
            plan.new.together = (
                plan.old is not None
                and plan.old.together
                and plan.new.number == plan.old.number
                and plan.new.note == plan.old.note
                and not plan.new.seen > plan.new.since
            )
            self.put(period, member, plan.new)
            new_rank = self.rank_in(self.rows(period), member)
            moves[period.window] = Move(
                period.name,
                cast("Any", plan.outcome),
                plan.old.score if plan.old else None,
                plan.new.score,
                old_rank,
                new_rank,
            )
            if plan.outcome in ("new", "changed"):
                move = moves[period.window]
                moved = (move.old_score, move.new_score, move.old_rank, move.new_rank)
                happened.detail.append((period, member, move.outcome, moment / 1000, *moved))
        if happened.detail:
            self.changes += 1
            self.happened.append(happened)
        answer = Submission(member, moves, window=self.window)
        if key is not None:
            self.once[key] = (now + float(self.settings.remember), payload, answer, member)
        return answer

    def load(
        self,
        rows: Iterable[tuple[str, float]],
        *,
        at: float | None = None,
        ordered: bool = False,
        chunk: int = 1000,
    ) -> Loaded:
        at = self.clock() if at is None else at
        refused: list[str] = []
        count, pairs = 0, list(rows)
        for start in range(0, len(pairs), chunk):
            part = pairs[start : start + chunk]
            for _, score in part:
                self.check(score, self.settings.policy)
            periods = [self.period(name, at) for name in self.settings.names]
            still = [period for period in periods if period and self.is_open(period)]
            if not still:
                raise WindowClosed("closed")
            bad: set[str] = set()
            for period in still:
                bad |= self.load_into(period, part, milliseconds(at), ordered)
            self.changes += len(part)
            self.happened.append(Happened(self.changes, "loaded", [(len(part),)]))
            refused += bad
            count += len(part)
        return Loaded(count, sorted(refused))

    def load_into(
        self, period: Period, part: Sequence[tuple[str, float]], moment: int, ordered: bool
    ) -> set[str]:
        policy = self.settings.policy
        unordered = not (ordered or policy == "sum" or self.settings.step or self.settings.dense)
        if unordered and not self.rows(period):
            self.loaded[period] = (moment, self.changes)
        shared = self.loaded.get(period, (None, 0))
        bad = set()
        for offset, (member, score) in enumerate(part, 1):
            old = self.rows(period).get(member)
            try:
                plan = self.plan(period, member, score + 0.0, moment, policy, self.changes + offset)
            except ScoreRefused:
                bad.add(member)
                continue
            if plan.outcome == "too small":
                bad.add(member)
                continue
            plan.new.note = old.note if old else None
            if unordered and shared[0] == moment and (old is None or old.together):
                plan.new.number, plan.new.together = shared[1], True
            self.put(period, member, plan.new)
        return bad

    def drop(self, period: Period, member: str) -> Row:
        row = self.tables[period].pop(member)
        if not self.tables[period]:
            self.loaded.pop(period, None)
        return row

    def registered(self) -> list[Period]:
        return sorted(self.known, key=lambda period: (self.forgotten(period), period.id))

    def remove(self, *members: str, history: bool = True) -> int:
        removed = 0
        for member in members:
            happened = Happened(self.changes + 1, "change")
            for period in self.registered():
                rows = self.rows(period)
                if member in rows and (history or self.is_open(period)):
                    old_rank, row = self.rank_in(rows, member), self.drop(period, member)
                    at = milliseconds(self.clock()) / 1000
                    happened.detail.append(
                        (period, member, "removed", at, row.score, None, old_rank, None)
                    )
            self.forget_keys(member)
            if happened.detail:
                removed += 1
                self.changes += 1
                self.happened.append(happened)
        return removed

    def forget_keys(self, member: str) -> None:
        self.once = {key: kept for key, kept in self.once.items() if kept[3] != member}

    def trim(self, keep: int) -> int:
        removed = 0
        cut: set[str] = set()
        for period in self.registered():
            if self.is_open(period):
                rows = self.rows(period)
                lost = [member for member, _ in self.ordered(rows)[keep:]]
                for member in lost:
                    self.drop(period, member)
                if lost:
                    self.changes += 1
                    self.happened.append(Happened(self.changes, "trimmed", [(len(lost),)]))
                removed += len(lost)
                cut |= set(lost)
        still = {
            member for period in self.known if self.is_open(period) for member in self.rows(period)
        }
        for member in cut - still:
            self.forget_keys(member)
        return removed

    def clear(self) -> None:
        self.tables.clear()
        self.loaded.clear()
        self.known.clear()
        self.once.clear()
        self.changes += 1
        self.happened = [Happened(self.changes, "cleared", [(0,)])]

    def told(self, window: str, at: Any = None) -> list[tuple[Any, ...]]:
        """What a watcher of a window has been told, from the oldest change that is kept."""
        fixed = None if at is None and window not in self.one_period else self.period(window, at)
        told: list[tuple[Any, ...]] = []
        for happened in self.happened:
            for detail in happened.detail:
                if happened.kind != "change":
                    told.append((happened.number, happened.kind, *detail))
                elif fixed == detail[0] or (fixed is None and window == detail[0].window):
                    period, member, *rest = detail
                    told.append((happened.number, member, period.window, period.name, *rest))
        return told

    @property
    def one_period(self) -> set[str]:
        return {"all", *(season.name for season in self.settings.seasons)}


class View:
    """The reading methods on one window of a model."""

    def __init__(self, model: Model, window: str, at: Any) -> None:
        self.model = model
        self.name = window
        season = next((each for each in model.settings.seasons if each.name == window), None)
        self.at = season.start if season else at

    def entries(self, ties: str | None = None) -> list[Entry]:
        return self.model.entries(self.name, self.at, ties)

    def scores(self) -> list[float]:
        """Every score as it counts, smaller first."""
        return [self.model.sign * entry.score for entry in self.entries()]

    def get(self, member: str, *, ties: str | None = None) -> Entry | None:
        return next((entry for entry in self.entries(ties) if entry.member == member), None)

    def top(self, count: int = 10, *, ties: str | None = None) -> list[Entry]:
        return self.entries(ties)[:count]

    def stretch(self, centre: int, count: int, ties: str | None) -> list[Entry]:
        entries = self.entries(ties)
        start = max(0, min(centre - count // 2, len(entries) - count))
        return entries[start : start + count]

    def around(self, member: str, count: int = 10, *, ties: str | None = None) -> list[Entry]:
        members = [entry.member for entry in self.entries()]
        if member not in members:
            return []
        return self.stretch(members.index(member), count, ties)

    def around_score(
        self, score: float, count: int = 10, *, ties: str | None = None
    ) -> list[Entry]:
        ahead = sum(other < self.model.sign * score for other in self.scores())
        return self.stretch(ahead, count, ties)

    def among(self, members: Iterable[str], *, ties: str | None = None) -> Group:
        asked = list(dict.fromkeys(members))
        entries = [entry for entry in self.entries(ties) if entry.member in asked]
        found = {entry.member for entry in entries}
        scores = [self.model.sign * entry.score for entry in entries]
        kind = ties or self.model.settings.ties
        placed = [
            msgspec.structs.replace(entry, place=rank(scores, scores[index], index, kind))
            for index, entry in enumerate(entries)
        ]
        return Group(placed, [member for member in asked if member not in found])

    def percentile(self, member: str) -> float | None:
        entry = self.get(member)
        if entry is None:
            return None
        scores = self.scores()
        worse = sum(other > self.model.sign * entry.score for other in scores)
        return 100.0 * worse / len(scores)

    def score_at(self, percentile: float) -> float | None:
        scores = self.scores()[::-1]
        if not scores:
            return None
        place = max(1, math.ceil(Fraction(percentile) * len(scores) / 100))
        return self.model.sign * scores[place - 1] + 0.0

    def rank_of(self, score: float, *, ties: str | None = None) -> int:
        # The rank of a newcomer who reaches that score after everybody else.
        scores = self.scores()
        place = sum(other <= self.model.sign * score for other in scores)
        scores.insert(place, self.model.sign * score)
        return rank(scores, scores[place], place, ties or self.model.settings.ties)

    def count(self, low: float | None = None, high: float | None = None) -> int:
        return sum(
            (low is None or low <= entry.score) and (high is None or entry.score <= high)
            for entry in self.entries()
        )

    def size(self) -> int:
        return len(self.entries())
