"""What a board sends and how it reads the replies, written once for sync and async; no I/O here.

`Board` holds what every operation needs: keys, settings, calendar, clock. `Writes` and `Reads` make
the `Call`s, and the faces in `board` and `aio` send them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

import msgspec

from labkit.calls import text
from labkit.clock import duration
from labkit.leaderboard.cursor import Cursor, SignedCursor
from labkit.leaderboard.errors import (
    CursorRefused,
    KeyReused,
    NoSuchBoard,
    ScoreRefused,
    WindowClosed,
)
from labkit.leaderboard.results import (
    Entry,
    Group,
    Metadata,
    Move,
    Outcome,
    Page,
    Score,
    Submission,
)
from labkit.leaderboard.scripts import Call
from labkit.leaderboard.settings import LARGEST, Settings, Ties, check_name, exact
from labkit.leaderboard.windows import Calendar, Period, seconds

if TYPE_CHECKING:
    from labkit.clock import Clock

PREFIX = "leaderboard:"
"""What the keys of a board begin with, unless it is told otherwise."""
BATCH = 500
"""Scores in one script of `submit_many`: a Redis server does nothing else meanwhile."""
MOST_MEMBERS = 1000
"""Members that one `among` or `remove` may name."""
MOST_PERIODS = 400
"""Periods that one `rank_history` may ask for."""
MOST_ENTRIES = 1000
"""Entries that one read may ask for."""

_LONGEST_MEMBER = 512
_LONGEST_KEY = 256
_SHORTEST_SNAPSHOT = 0.001
_OUTCOMES = {"small": "too small"}


def check_member(member: Any) -> str:
    """A member's name: text of 1 to 512 bytes as UTF-8, without NUL.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty, too long, or no valid text.
    """
    if not isinstance(member, str):
        raise TypeError(f"member is {member!r}; expected text, such as str({member!r})")
    if not 0 < len(member) <= _LONGEST_MEMBER or "\0" in member or not member.isascii():
        try:
            size = len(member.encode())
        except UnicodeEncodeError:
            raise ValueError(f"member is {member!r}, which UTF-8 cannot write") from None
        if not 0 < size <= _LONGEST_MEMBER or "\0" in member:
            raise ValueError(
                f"member is {member[:60]!r}, {size} bytes; expected 1 to {_LONGEST_MEMBER} bytes "
                "and no NUL"
            )
    return member


def check_count(number: Any, what: str, most: int = MOST_ENTRIES) -> int:
    """A number of entries, 1 to `most`; ValueError or TypeError otherwise."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{what} is {number!r}; expected a whole number")
    if not 1 <= number <= most:
        raise ValueError(f"{what} is {number}; expected 1 to {most}")
    return number


def check_members(members: Sequence[Any]) -> None:
    """Members' names, 1 to `MOST_MEMBERS` of them."""
    for member in members:
        check_member(member)
    check_count(len(members), "the number of members", MOST_MEMBERS)


def check_key(key: Any) -> str:
    """An idempotency key: text of 1 to 256 characters, without NUL."""
    if not isinstance(key, str):
        raise TypeError(f"key is {key!r}; expected text")
    if not 0 < len(key) <= _LONGEST_KEY or "\0" in key or not key.isprintable():
        raise ValueError(f"key is {key[:60]!r}; expected 1 to {_LONGEST_KEY} printable characters")
    return key


class Board:
    """A board's name, settings and keys.

    Args:
        name: The board's name.
        settings: Its settings.
        clock: The time source; programs that write to one board should agree on the time.
        secret: Signs the cursors; None takes the one that is kept with the board.
        prefix: What every key begins with.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        clock: Clock,
        secret: str | None = None,
        prefix: str = PREFIX,
    ) -> None:
        self.name = check_name(name)
        self.settings = settings
        self.clock = clock
        self.calendar = Calendar(settings.timezone, settings.week_start, settings.seasons)
        self.seasons = {season.name: season.period for season in settings.seasons}
        names = settings.names
        self.window = "all" if "all" in names else names[0]
        self.sign = -1.0 if settings.order == "desc" else 1.0
        self.secret = secret
        # Given to the board if this object's write makes it; one that exists has its own.
        self.new_secret = secrets.token_hex(16)

        self.base = base = _base(name, prefix)
        self.key = f"{base}:board"
        self.periods = f"{base}:periods"
        self.changes = f"{base}:changes"
        self.once = (f"{base}:once", f"{base}:once:due", f"{base}:once:by")
        self.stored_settings = msgspec.json.encode(settings).decode()

    def keys(self, period_id: str) -> tuple[str, str, str]:
        """The keys of a period: scores, members, levels."""
        scores = f"{self.base}:{period_id}"
        return scores, f"{scores}:members", f"{scores}:levels"

    def stored(self, score: Any, what: str = "score") -> float:
        """A score as it is stored, better first."""
        return self.sign * exact(score, what) + 0.0

    def score(self, stored: Any) -> float:
        """A stored score, as text or number, as the board shows it."""
        return self.sign * float(stored) + 0.0

    def period(self, window: str, at: Any = None) -> Period:
        """The period of a window at a moment; a season is one, at any moment."""
        if window in self.seasons:
            return self.seasons[window]
        if window not in self.settings.names:
            expected = ", ".join(repr(name) for name in self.settings.names)
            raise ValueError(f"window is {window!r}; this board has {expected}")
        moment = self.clock() if at is None else seconds(at)
        return cast("Period", self.calendar.period(window, moment))

    def closes(self, period: Period) -> float:
        """The moment from which a period takes no more scores."""
        return period.end + cast("float", self.settings.grace)

    def forgotten(self, period: Period) -> float:
        """The moment from which a period can no longer be read; infinity for never."""
        kept = self.settings.keep[period.window]
        return math.inf if kept is None else self.closes(period) + cast("float", kept)

    def retention(self, period: Period, now: float) -> tuple[str, str, str]:
        """A period as the register names it, the moment it is forgotten, its time to live."""
        forgotten = self.forgotten(period)
        name = f"{period.id} {period.start!r} {period.end!r}"
        if forgotten == math.inf:
            return name, "+inf", "0"
        return name, f"{forgotten * 1000:.0f}", f"{max(1, (forgotten - now) * 1000):.0f}"

    def registered(self, name: str) -> Period | None:
        """The period of a name in the register; None for a snapshot."""
        identity, start, end = name.rsplit(" ", 2)
        window, _, own = identity.partition(":")
        if window == "snapshot":
            return None
        return Period(window, own or window, float(start), float(end))


class Writes:
    """The calls that change a board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        settings = board.settings
        low = -LARGEST if settings.minimum is None else settings.minimum
        high = LARGEST if settings.maximum is None else settings.maximum
        self._low, self._high = low, high
        bounds = sorted((board.sign * low, board.sign * high))
        self._step = settings.step or 0.0
        self._bounds = tuple(repr(bound) for bound in (*bounds, self._step))
        self._levels = "1" if settings.dense else "0"
        remember = f"{cast('float', settings.remember) * 1000:.0f}"
        # What every submit says, between the policy and the number of windows.
        self._rules = " ".join(
            (settings.ties, *self._bounds, str(settings.events), remember, self._levels)
        )
        self._birth = f"{board.stored_settings}\0{board.new_secret}"
        self._keys = (board.key, board.periods, board.changes)

    def submit(
        self, member: str, score: Any, metadata: Metadata | None, at: Any, key: str | None
    ) -> Call[Submission]:
        """One score."""
        item = self._item(Score(member, score, metadata, at, key), self.board.settings.policy)
        return self._call([item], self.board.settings.policy, self._only)

    def increment(
        self, member: str, by: Any, metadata: Metadata | None, at: Any, key: str | None
    ) -> Call[Submission]:
        """One score, added to what is there whatever the policy."""
        return self._call(
            [self._item(Score(member, by, metadata, at, key), "sum")], "sum", self._only
        )

    def submit_many(self, scores: Any) -> list[Call[list[Submission]]]:
        """Many scores, checked before the first call: a call for each `BATCH` of them."""
        policy = self.board.settings.policy
        if isinstance(scores, Mapping):
            scores = scores.items()
        items = [self._item(_as_score(number, item), policy) for number, item in enumerate(scores)]
        return [
            self._call(items[start : start + BATCH], policy, self._all)
            for start in range(0, len(items), BATCH)
        ]

    def _item(self, score: Score, policy: str) -> tuple[Score, float, float, str, str]:
        """A score, checked: itself, as stored, its moment, its metadata, its digest and key."""
        member = check_member(score.member)
        number = exact(score.score)
        if policy != "sum" and not self._low <= number <= self._high:
            raise ScoreRefused(self._outside(member, number))
        at = self.board.clock() if score.at is None else seconds(score.at)
        metadata = "" if score.metadata is None else self._encoded(score.metadata)
        known = ""
        if score.key is not None:
            key = check_key(score.key)
            moment = "" if score.at is None else repr(at)
            note = "" if score.metadata is None else _json(score.metadata, sort_keys=True)
            payload = "\0".join((policy, member, repr(number), note, moment))
            known = hashlib.sha256(payload.encode()).hexdigest()[:32] + key
        return score, self.board.sign * number + 0.0, at, metadata, known

    def _encoded(self, metadata: Any) -> str:
        if not isinstance(metadata, Mapping):
            raise TypeError(f"metadata is {metadata!r}; expected a dict that JSON can write")
        try:
            encoded = _json(metadata)
            size = len(encoded.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"metadata cannot be written as JSON: {error}") from None
        limit = self.board.settings.metadata_limit
        if size > limit:
            raise ValueError(f"metadata is {size} bytes as JSON; at most {limit}")
        return encoded

    def _outside(self, member: str, number: float) -> str:
        settings = self.board.settings
        return (
            f"{number} for {member!r} is outside the board's bounds: "
            f"minimum {settings.minimum}, maximum {settings.maximum}"
        )

    def _call(
        self, items: Sequence[tuple[Score, float, float, str, str]], policy: str, read: Any
    ) -> Call[Any]:
        board = self.board
        now = board.clock()
        names = board.settings.names
        keys = list(self._keys)
        described: list[str] = []
        numbers: dict[str, int] = {}
        words: list[str] = []
        placed: list[list[Period | None]] = []
        keyed = False
        for score, stored, at, metadata, known in items:
            place = f"{int(at * 1000):011x}"
            periods = [board.calendar.period(name, at) for name in names]
            placed.append(periods)
            for period in periods:
                if period is None or now >= board.closes(period):
                    place += "0000"
                    continue
                number = numbers.get(period.id)
                if number is None:
                    number = numbers[period.id] = len(numbers) + 1
                    keys += board.keys(period.id)
                    described.append("|".join(board.retention(period, now)))
                place += f"{number:04}"
            words += (score.member, repr(stored), place, metadata, known)
            keyed = keyed or known != ""
        if keyed:
            keys += board.once
        arguments = (
            board.settings.layout,
            self._birth,
            f"{now * 1000:.0f} {policy} {self._rules} {len(names)}",
            *described,
            "",
            *words,
        )
        return Call("submit", keys, arguments, lambda reply: read(items, placed, reply))

    def _only(self, items: Any, placed: Any, reply: Any) -> Submission:
        ((score, *_),) = items
        line = text(reply)
        status = line.split(" ", 1)[0]
        if status == "stored":
            return self._submission(score.member, placed[0], line)
        submission = self._submission(score.member, placed[0], line)
        if submission.refused is None:
            return submission
        refusals = {"reused": KeyReused, "closed": WindowClosed}
        raise refusals.get(status, ScoreRefused)(submission.refused)

    def _all(self, items: Any, placed: Any, reply: Any) -> list[Submission]:
        return [
            self._submission(item[0].member, periods, line)
            for item, periods, line in zip(items, placed, text(reply).split("\n"), strict=True)
        ]

    def _submission(self, member: str, periods: Sequence[Period | None], line: str) -> Submission:
        board = self.board
        status, *words = line.split(" ")
        if status == "replayed":
            moment = int(words.pop(0), 16) / 1000
            periods = [board.calendar.period(name, moment) for name in board.settings.names]
        if status not in ("stored", "replayed"):
            return Submission(
                member, {}, refused=self._refusal(member, status, words), window=board.window
            )
        moves = {}
        for number, period in enumerate(periods):
            if period is not None:
                outcome, old, old_rank, new, new_rank = words[number * 5 : number * 5 + 5]
                moves[period.window] = Move(
                    period.name,
                    cast("Outcome", _OUTCOMES.get(outcome, outcome)),
                    None if old == "-" else board.score(old),
                    None if new == "-" else board.score(new),
                    None if old_rank == "-" else int(old_rank),
                    None if new_rank == "-" else int(new_rank),
                )
        return Submission(member, moves, replayed=status == "replayed", window=board.window)

    def _refusal(self, member: str, status: str, words: Sequence[str]) -> str:
        if status == "reused":
            return (
                f"the idempotency key of this score for {member!r} has come before with another "
                "payload; a retry sends the same payload, and a new score a new key"
            )
        if status == "bounds":
            return self._outside(member, self.board.score(words[0]))
        if status == "small":
            return (
                f"the score for {member!r} differs from the one kept by less than the board's "
                f"step of {self._step}"
            )
        return (
            f"no window of the score for {member!r} is open at its moment: a period takes late "
            f"scores for {self.board.settings.grace:g} s after its end, a season none before it"
        )

    def configure(self) -> Call[bool]:
        """The settings, stored; True where the board is new."""
        board = self.board
        arguments = (
            board.settings.layout,
            board.stored_settings,
            board.new_secret,
            f"{board.clock() * 1000:.0f}",
            self._levels,
        )
        return Call("configure", (board.key,), arguments, bool)

    def load(
        self, pairs: Sequence[tuple[str, str]], at: float, *, ordered: bool
    ) -> Call[tuple[int, list[str]]]:
        """A chunk of a bulk load: members, and scores as they are stored.

        Raises:
            WindowClosed: Every window has closed at that moment.
        """
        board = self.board
        now = board.clock()
        keys = list(self._keys)
        described: list[str] = []
        for name in board.settings.names:
            period = board.calendar.period(name, at)
            if period is not None and now < board.closes(period):
                keys += board.keys(period.id)
                described += board.retention(period, now)
        if not described:
            raise WindowClosed(self._refusal("the load", "closed", ()))
        arguments = (
            board.settings.layout,
            board.stored_settings,
            board.new_secret,
            f"{now * 1000:.0f}",
            board.settings.policy,
            *self._bounds,
            str(board.settings.events),
            self._levels,
            f"{int(at * 1000):011x}",
            "1" if ordered else "0",
            *described,
            *itertools.chain.from_iterable(pairs),
        )
        return Call(
            "load",
            keys,
            arguments,
            lambda reply: (reply[0], [text(member) for member in reply[1:]]),
        )

    def bulk(self, rows: Iterable[tuple[Any, Any]]) -> list[tuple[str, str]]:
        """Rows of a bulk load, checked, scores as they are stored."""
        sign, low, high = self.board.sign, self._low, self._high
        pairs = []
        for member, score in rows:
            check_member(member)
            number = score if type(score) is float and score - score == 0 else exact(score)
            if not low <= number <= high and self.board.settings.policy != "sum":
                raise ScoreRefused(self._outside(member, number))
            pairs.append((member, repr(sign * number + 0.0)))
        return pairs

    def register(self) -> Call[list[str]]:
        """The names in the register of periods, oldest to be forgotten first."""
        return Call(
            "ZRANGE", (self.board.periods,), (0, -1), lambda reply: [text(name) for name in reply]
        )

    def open_periods(self, names: Sequence[str], *, history: bool) -> list[Period]:
        """The registered periods; without `history` those that still take scores."""
        now = self.board.clock()
        periods = [self.board.registered(name) for name in names]
        return [
            period
            for period in periods
            if period is not None and (history or now < self.board.closes(period))
        ]

    def ended(self, names: Sequence[str], window: str) -> list[Period]:
        """The registered periods of a window that are over and can be read, the newest first."""
        now = self.board.clock()
        periods = [self.board.registered(name) for name in names]
        over = [
            period
            for period in periods
            if period is not None
            and period.window == window
            and period.end <= now < self.board.forgotten(period)
        ]
        return sorted(over, key=lambda period: period.start, reverse=True)

    def remove(
        self, members: Sequence[str], names: Sequence[str], *, history: bool
    ) -> Call[int | None]:
        """Members, out of the registered periods; None where the register has changed."""
        board = self.board
        periods = self.open_periods(names, history=history)
        keys = list(self._keys)
        for period in periods:
            keys += board.keys(period.id)
        keys += board.once
        arguments = (
            board.settings.layout,
            board.settings.ties,
            str(board.settings.events),
            f"{board.clock() * 1000:.0f}",
            str(len(names)),
            *names,
            *(f"{period.id} {period.start!r} {period.end!r}" for period in periods),
            *members,
        )
        return Call("remove", keys, arguments, lambda reply: reply)

    def trim(self, keep: int, names: Sequence[str]) -> Call[int]:
        """The open periods, cut to `keep` rows, a thousand at a time."""
        board = self.board
        periods = self.open_periods(names, history=False)
        keys = list(self._keys)
        for period in periods:
            keys += board.keys(period.id)
        keys += board.once
        arguments = (
            board.settings.layout,
            str(keep),
            str(board.settings.events),
            f"{board.clock() * 1000:.0f}",
            *(period.id for period in periods),
        )
        return Call("trim", keys, arguments, int)

    def clear(self, names: Sequence[str], how: str) -> Call[int | None]:
        """Every key but the settings, or with "delete" every key; None as with `remove`."""
        board = self.board
        keys = [*self._keys, *board.once]
        for name in names:
            keys += board.keys(name.split(" ", 1)[0])
        arguments = (
            board.settings.layout,
            how,
            str(board.settings.events),
            f"{board.clock() * 1000:.0f}",
            *names,
        )
        return Call("clear", keys, arguments, lambda reply: reply)


def _json(metadata: Any, *, sort_keys: bool = False) -> str:
    """Metadata as JSON, which knows no NaN and no infinity."""
    return json.dumps(
        metadata,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        sort_keys=sort_keys,
    )


def _as_score(number: int, item: Any) -> Score:
    if isinstance(item, Score):
        return item
    if not isinstance(item, (tuple, list)) or not 2 <= len(item) <= len(Score._fields):
        raise TypeError(
            f"item {number} is {item!r}; expected (member, score), and after them, if wanted, "
            "metadata, at and key"
        )
    return Score(*item)


def kind_of_ties(board: Board, ties: Ties | None) -> Ties:
    """How equal scores rank: as asked, or as the board says; ValueError for another."""
    if ties is None:
        return board.settings.ties
    if ties not in get_args(Ties):
        expected = ", ".join(repr(choice) for choice in get_args(Ties))
        raise ValueError(f"ties is {ties!r}; expected one of {expected}")
    return ties


class Reads:
    """The calls that read one window of a board.

    Args:
        board: The board.
        window: The window's name.
        at: A moment of the period to read, or a `Period`; None is the present one, always.
    """

    def __init__(self, board: Board, window: str, at: Any = None) -> None:
        self.board = board
        self.window = window
        self._fixed: Period | None = None
        if isinstance(at, Period):
            if at.window != window:
                raise ValueError(f"at is a period of {at.window!r}, not of {window!r}")
            self._fixed = at
        period = self._fixed or board.period(window, at)
        if at is not None or window == "all" or window in board.seasons:
            self._fixed = period
        self._latest = period, (board.key, *board.keys(period.id))

    @property
    def period(self) -> Period:
        """The period that a read made now reads."""
        return self._fixed or self.board.period(self.window)

    @property
    def follows(self) -> bool:
        """Whether it follows the clock from one period to the next."""
        return self._fixed is None

    def _keys(self, period: Period, ties: Ties | None = None) -> tuple[str, ...]:
        latest, keys = self._latest
        if period is not latest:
            keys = (self.board.key, *self.board.keys(period.id))
            self._latest = period, keys
        return keys if ties == "dense" else keys[:3]

    def get(self, member: str, ties: Ties | None) -> Call[Entry | None]:
        """One member."""

        def read(reply: Any) -> Entry | None:
            if reply is None:
                return None
            value, score, rank = text(reply).split("\0")
            return Entry(int(rank), member, self.board.score(score), _metadata(value))

        kind = kind_of_ties(self.board, ties)
        return Call(
            "get",
            self._keys(self.period, kind),
            (self.board.settings.layout, kind, check_member(member)),
            read,
        )

    def top(self, count: int, ties: Ties | None) -> Call[list[Entry]]:
        """The first entries."""
        return self._stretch(check_count(count, "count"), ties, "top")

    def around(self, member: str, count: int, ties: Ties | None) -> Call[list[Entry]]:
        """The entries around a member."""
        count = check_count(count, "count")
        return self._stretch(count, ties, "member", check_member(member))

    def around_score(self, score: Any, count: int, ties: Ties | None) -> Call[list[Entry]]:
        """The entries around a score."""
        stored = repr(self.board.stored(score))
        return self._stretch(check_count(count, "count"), ties, "score", stored)

    def _stretch(self, count: int, ties: Ties | None, *where: str) -> Call[list[Entry]]:
        kind = kind_of_ties(self.board, ties)

        def read(reply: Any) -> list[Entry]:
            return self._entries(text(reply).split("\0"), kind)

        return Call(
            "range",
            self._keys(self.period, kind),
            (self.board.settings.layout, kind, count, *where),
            read,
        )

    def page(
        self, limit: int, cursor: str | None, snapshot: float | str | None, ties: Ties | None
    ) -> Call[Page]:
        """A page, the first one or the one that a cursor leads to."""
        check_count(limit, "limit")
        lasting = 0.0 if snapshot is None else duration(snapshot)
        if snapshot is not None and lasting < _SHORTEST_SNAPSHOT:
            raise ValueError(f"snapshot is {snapshot!r}; expected a duration from 1ms")
        kind = kind_of_ties(self.board, ties)
        period = self.period
        signed = None if cursor is None else SignedCursor(cursor)
        place: tuple[str, ...] = ("page",)
        keys = self._keys(period, "dense")
        made = ""
        extra: tuple[str, ...] = ()
        if signed is not None:
            came = signed.cursor
            if came.period != period.id:
                raise CursorRefused(
                    f"the cursor is of {came.period}, and {period.id} is being read: windows that "
                    "have closed stay readable through window(name, at=...); start again there, "
                    "or here without a cursor"
                )
            place = (came.where, came.score, came.row, str(came.position))
            made = came.snapshot
        elif snapshot is not None:
            made = secrets.token_hex(8)
            forgotten = (self.board.clock() + lasting) * 1000
            extra = (f"snapshot:{made} 0 0", f"{forgotten:.0f}", f"{lasting * 1000:.0f}")
        if made:
            scores, _, levels = self.board.keys(f"snapshot:{made}")
            if extra:
                keys = (*keys, scores, levels, self.board.periods)
            else:
                keys = (keys[0], scores, keys[2], levels)

        def read(reply: Any) -> Page:
            parts = text(reply).split("\0")
            start, total, count = int(parts[0]), int(parts[2]), int(parts[4])
            secret = self.board.secret or parts[3]
            if signed is not None:
                signed.verify(self.board.name, secret)
                if made and not total:
                    raise CursorRefused("the cursor's snapshot is over; start again without one")

            def lead(where: str, index: int) -> str:
                row, score = parts[5 + index * 2], parts[6 + index * 2]
                cursor = Cursor(where, period.id, made, score, row, start + index)
                return cursor.sign(self.board.name, secret)

            return Page(
                self._entries(parts, kind),
                lead("after", count - 1) if count and start + count < total else None,
                lead("before", 0) if count and start > 0 else None,
                total,
            )

        return Call("range", keys, (self.board.settings.layout, kind, limit, *place, *extra), read)

    def _entries(self, parts: list[str], ties: Ties) -> list[Entry]:
        """The entries in an answer of lua/range.lua."""
        start, origin, stop = int(parts[0]), int(parts[1]), 5 + 2 * int(parts[4])
        sign = self.board.sign
        names = [row[18:] for row in parts[5:stop:2]]
        scores = [sign * float(score) + 0.0 for score in parts[6:stop:2]]
        ranks = _ranks(scores, start, origin, ties)
        if len(parts) == stop:
            return list(map(Entry, ranks, names, scores))
        return list(map(Entry, ranks, names, scores, map(_metadata, parts[stop:])))

    def among(self, members: Iterable[str], ties: Ties | None) -> Call[Group]:
        """A set of members."""
        if isinstance(members, str):
            raise TypeError(f"members is {members!r}; expected several, such as ['ada', 'bob']")
        asked = [check_member(member) for member in dict.fromkeys(members)]
        check_count(len(asked), "the number of members", MOST_MEMBERS)
        kind = kind_of_ties(self.board, ties)

        def read(reply: Any) -> Group:
            found = []
            missing = []
            parts = text(reply).split("\0")
            for member, value, score, rank in zip(
                asked, parts[::3], parts[1::3], parts[2::3], strict=True
            ):
                if not value:
                    missing.append(member)
                else:
                    found.append((float(score), value[:18], member, int(rank), value))
            found.sort()
            scores = [row[0] for row in found]
            # Within the set the first rank is 1; the modified kind counts from the last instead.
            origin = len(scores) if kind == "modified" else 1
            places = _ranks(scores, 0, origin, kind)
            entries = [
                Entry(rank, member, self.board.score(score), _metadata(value), place)
                for (score, _, member, rank, value), place in zip(found, places, strict=True)
            ]
            return Group(entries, missing)

        return Call(
            "among", self._keys(self.period, kind), (self.board.settings.layout, kind, *asked), read
        )

    def percentile(self, member: str) -> Call[float | None]:
        """The share of the board with a worse score."""

        def read(reply: Any) -> float | None:
            return None if reply is None else 100.0 * reply[1] / reply[0]

        return self._count(read, "below", check_member(member))

    def score_at(self, percentile: Any) -> Call[float | None]:
        """The score at a share of the board."""
        share = exact(percentile, "percentile")
        if not 0 <= share <= 100:
            raise ValueError(f"percentile is {percentile!r}; expected 0 to 100")
        return self._count(
            lambda reply: None if reply is None else self.board.score(reply), "share", repr(share)
        )

    def rank_of(self, score: Any, ties: Ties | None) -> Call[int]:
        """The rank that a score would get."""
        return self._count(
            int, "beside", repr(self.board.stored(score)), kind_of_ties(self.board, ties)
        )

    def count(self, low: Any, high: Any) -> Call[int]:
        """The entries from one score to another."""
        first = -math.inf if low is None or low == -math.inf else exact(low, "low")
        last = math.inf if high is None or high == math.inf else exact(high, "high")
        if first > last:
            raise ValueError(f"count from {low!r} to {high!r}: the lower bound comes first")
        bounds = sorted((self.board.sign * first + 0.0, self.board.sign * last + 0.0))
        return self._count(int, "between", *map(repr, bounds))

    def size(self) -> Call[int]:
        """The number of entries."""
        return self._count(int, "all")

    def _count(self, read: Any, *what: str) -> Call[Any]:
        return Call(
            "count", self._keys(self.period, "dense"), (self.board.settings.layout, *what), read
        )


def _ranks(scores: Sequence[float], start: int, origin: int, ties: Ties) -> Sequence[int]:
    """The ranks of consecutive scores, in board order.

    Args:
        scores: The scores, best first.
        start: How many entries come before the first.
        origin: The rank of the first, or with `"modified"` of the last.
        ties: How equal scores rank.
    """
    count = len(scores)
    if ties == "ordinal":
        return range(start + 1, start + count + 1)
    if ties == "modified":
        ranks = [origin] * count
        for index in range(count - 2, -1, -1):
            same = scores[index] == scores[index + 1]
            ranks[index] = ranks[index + 1] if same else start + index + 1
        return ranks
    ranks = []
    rank, previous = origin, scores[0] if scores else None
    for position, score in enumerate(scores, start + 1):
        if score != previous:
            rank = rank + 1 if ties == "dense" else position
            previous = score
        ranks.append(rank)
    return ranks


def _metadata(value: str) -> Metadata | None:
    """The metadata in a member's value, which begins with a stamp (see lua/_value.lua)."""
    note = value[18:]
    if note[:1] == "@":
        note = note[12:]
    return cast("Metadata", msgspec.json.decode(note)) if note else None


def _base(name: str, prefix: str) -> str:
    """What every key of a board begins with: the name is the hash tag that they share."""
    if not isinstance(prefix, str) or "{" in prefix:
        raise ValueError(f"prefix is {prefix!r}; expected text without an opening brace")
    return f"{prefix}{{{check_name(name)}}}"


def stored_settings(name: str, prefix: str) -> Call[Settings]:
    """The settings that are kept with a board.

    Raises:
        NoSuchBoard: When the reply is read: there is no such board.
    """

    def read(reply: Any) -> Settings:
        if reply is None:
            raise NoSuchBoard(
                f"there is no board {name!r}; Leaderboard(client, {name!r}, ...) makes one with "
                "its first score, or with configure()"
            )
        return msgspec.json.decode(reply, type=Settings)

    return Call("HGET", (f"{_base(name, prefix)}:board",), ("settings",), read)


def rank_history(
    board: Board, window: str, member: str, limit: int, ties: Ties | None
) -> Call[list[tuple[Period, Entry | None]]]:
    """One member in the last periods of a window, the newest first."""
    check_count(limit, "limit", MOST_PERIODS)
    kind = kind_of_ties(board, ties)
    periods: list[Period] = []
    period: Period | None = board.period(window)
    while period is not None and len(periods) < limit:
        periods.append(period)
        period = board.calendar.before(period)
    keys = [board.key, *itertools.chain.from_iterable(board.keys(each.id) for each in periods)]

    def read(reply: Any) -> list[tuple[Period, Entry | None]]:
        return [
            (each, value and Entry(rank, member, board.score(score), _metadata(text(value))))
            for each, (value, score, rank) in zip(periods, reply, strict=True)
        ]

    return Call("record", keys, (board.settings.layout, kind, check_member(member)), read)
