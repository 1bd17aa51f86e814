"""What lesson 04-leaderboard-api checks: the heart of a leaderboard, piece by piece."""

from __future__ import annotations

import datetime as dt
import json
import time
import zoneinfo
from typing import TYPE_CHECKING, Any

import httpx
import redis
from redis.crc import key_slot

from labkit.course.exercise import Outline, Question, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

outline = Outline("04-leaderboard-api", title="Build a leaderboard API", prefix="arcade:")

_PRECISE = (
    "Digits were lost on the way. In Lua a number that is returned is cut to a whole one, and "
    "tostring keeps 14 digits: hand the score on as the text that Redis gave."
)


# -- 1 architecture --------------------------------------------------------------------------

board_key = outline.exercise(
    "board_key",
    "Name the keys of a board",
    hints=(
        "The name is put together from the general to the particular: the lesson's prefix, the "
        "board, the window, the period. The last part is there only when there is a period.",
        "The braces belong to the key: they tell a Redis Cluster which part of the name decides "
        "where the key lives. In an f-string a brace that is meant is written twice.",
        'The first part is f"arcade:{{{board}}}:{window}"; the period, when it is not None, '
        "follows after another colon.",
    ),
)


@board_key.check("puts board, window and period in order, the board in braces", points=1)
def _named(trial: Trial) -> None:
    board, period = trial.word(), f"2026-{trial.rng.randint(10, 12)}-{trial.rng.randint(10, 28)}"
    got = trial.call(board, "daily", period)
    trial.require(
        not (isinstance(got, str) and "{" not in got),
        f"{got!r} has no braces. In an f-string `{{board}}` puts in the name and nothing else; "
        "`{{{board}}}` writes a brace, the name and a brace.",
    )
    trial.equal(got, f"arcade:{{{board}}}:daily:{period}")
    trial.equal(
        trial.call(board, "all"),
        f"arcade:{{{board}}}:all",
        advice="A window without periods, such as all time, has no fourth part.",
    )


@board_key.check("keeps all keys of a board in one slot, and boards apart", points=1)
def _one_slot(trial: Trial) -> None:
    boards = trial.words(6)
    keys = {
        board: [
            trial.call(board, "all"),
            trial.call(board, "daily", "2026-11-22"),
            trial.call(board, "weekly", "2026-W47"),
        ]
        for board in boards
    }
    flat = [key for of_board in keys.values() for key in of_board]
    for key in flat:
        trial.require(isinstance(key, str), f"A key is a text; your function gave {key!r}.")
    trial.require(
        len(set(flat)) == len(flat), "Two boards, windows or periods share a key: scores mix."
    )
    for board, of_board in keys.items():
        trial.require(
            len({key_slot(key.encode()) for key in of_board}) == 1,
            f"The keys of {board} are in different slots, so one script cannot write them together "
            "in a cluster. Redis takes what stands between the first braces as the part that "
            "decides: that has to be the board's name and nothing else.",
        )
    slots = {key_slot(of_board[0].encode()) for of_board in keys.values()}
    trial.require(
        len(slots) > 1,
        "All boards are in one slot, so a cluster keeps them on one machine: what stands between "
        "the braces has to differ from board to board.",
    )


# -- 2 operations ----------------------------------------------------------------------------

submit_best = outline.exercise(
    "submit_best",
    "Keep the best score, and say what changed",
    hints=(
        "Everything has to happen in one step: look at the score and rank before, store, look "
        "again. ZADD has an option that keeps the larger score by itself.",
        "With `gt=True` ZADD never lowers a score (and still adds a player who is new). Then "
        "nothing has to be decided between the commands, and a pipeline is enough: a transaction "
        "runs as a whole.",
        "Queue `zscore`, `zrevrank`, `zadd` with `gt=True`, `zscore` and `zrevrank` on one "
        "`r.pipeline()`. Of its five replies the first two are the old ones and the last two the "
        "new; ranks start at 0 there and at 1 here.",
    ),
)


def _change(
    old_score: float | None, new_score: float, old_rank: int | None, new_rank: int
) -> dict[str, Any]:
    return {
        "old_score": old_score,
        "new_score": new_score,
        "old_rank": old_rank,
        "new_rank": new_rank,
    }


def _filled(trial: Trial, scores: dict[str, float]) -> str:
    """A board with these scores; its key."""
    key = f"arcade:{{{trial.word()}}}:all"
    if scores:
        trial.client.zadd(key, scores)
    return key


@submit_best.check("answers old and new score and rank", points=2)
def _answers_change(trial: Trial) -> None:
    ada, bob, cyd = trial.words(3)
    low = trial.rng.randint(10, 400)
    key = _filled(trial, {bob: low + 100, cyd: low + 200})
    got = trial.call(trial.client, key, ada, low)
    trial.require(got is not None, "Your function returns nothing; return the dictionary.")
    advice = "Redis counts ranks from 0, players from 1."
    shown = "what a new player's score does"
    trial.require(
        not (isinstance(got, dict) and got.get("old_rank") == 0),
        "A player who was not on the board has no old rank: None, not 0.",
    )
    trial.equal(got, _change(None, float(low), None, 3), shown, advice=advice)
    got = trial.call(trial.client, key, ada, low + 150)
    trial.equal(
        got, _change(float(low), low + 150.0, 3, 2), "what a better score does", advice=advice
    )
    got = trial.call(trial.client, key, ada, low + 500)
    trial.equal(got, _change(low + 150.0, low + 500.0, 2, 1), "what the best score of all does")


@submit_best.check("keeps the best score", points=1)
def _keeps_best(trial: Trial) -> None:
    ada, bob = trial.words(2)
    best = trial.rng.randint(500, 900)
    key = _filled(trial, {ada: best, bob: best - 50})
    got = trial.call(trial.client, key, ada, best - 100)
    kept = trial.client.zscore(key, ada)
    trial.equal(
        kept,
        float(best),
        "the score kept after a worse one",
        advice="A plain ZADD overwrites; `gt=True` keeps the larger.",
    )
    trial.equal(got, _change(float(best), float(best), 1, 1), "what a worse score answers")


@submit_best.check("loses no best score to a rival at the same moment", points=1)
def _no_lost_best(trial: Trial) -> None:
    ada, bob = trial.words(2)
    witness = trial.another_client()
    key = _filled(trial, {})

    def prepare() -> None:
        witness.zadd(key, {ada: 100, bob: 150})

    def rival() -> None:
        witness.zadd(key, {ada: 900}, gt=True)

    with trial.explain(redis.WatchError, "Somebody scored meanwhile: begin again."):
        for _ in trial.race(prepare, rival, trial.client, key, ada, 500):
            trial.equal(
                witness.zscore(key, ada),
                900.0,
                "the best of 500 and 900, sent at the same moment",
                advice="Reading the old score and then writing leaves a gap in which a better one "
                "arrives and is overwritten.",
            )


@submit_best.check("does all of it in one atomic round trip", points=1)
def _submit_trip(trial: Trial) -> None:
    ada, bob = trial.words(2)
    key = _filled(trial, {bob: 10})
    trial.call(trial.client, key, ada, 20)
    trial.one_trip("Between two trips the board changes, and old and new no longer fit together.")
    several = len([name for name in trial.log.names if name.startswith("Z")]) > 1
    trial.require(
        not several or "MULTI" in trial.log.names,
        "Your pipeline is no transaction: other clients may score between its commands. Leave "
        "`transaction=False` out.",
    )


rank_and_score = outline.exercise(
    "rank_and_score",
    "A fair rank in one trip",
    hints=(
        "The rank is the number of players with *more* points, plus one. To count them you need "
        "the player's score, and to have both in one trip you need a script.",
        "In the script: ZSCORE; when there is none, return false (it arrives as None). Otherwise "
        "ZCOUNT from just above the score to +inf. A '(' in front of a bound leaves the bound out.",
        "ZCOUNT's bounds are '(' .. score and '+inf'. Return a table of the score, as the text it "
        "is, and the count; in Python the first becomes a float and the second gets one added.",
    ),
)


@rank_and_score.check("answers the player's rank and score, None for a stranger", points=1)
def _finds(trial: Trial) -> None:
    names = trial.words(5)
    scores = {name: float(100 * number) for number, name in enumerate(names, 1)}
    key = _filled(trial, scores)
    wanted = trial.rng.choice(names[:4])
    got = trial.call(trial.client, key, wanted)
    trial.equal(got, {"rank": 5 - names.index(wanted), "score": scores[wanted]})
    trial.equal(trial.call(trial.client, key, trial.word()), None, "the answer for a stranger")


@rank_and_score.check("gives equal scores the same rank", points=1)
def _ties_share(trial: Trial) -> None:
    first, *tied, last = trial.words(5)
    key = _filled(trial, {first: 900, **dict.fromkeys(tied, 700), last: 500})
    for name in tied:
        got = trial.call(trial.client, key, name)
        trial.require(
            not (isinstance(got, dict) and got.get("rank") == 4),
            "All three of the tie are called fourth: count the players with more points, without "
            "those who have as many. '(' in front of the bound leaves them out.",
        )
        trial.equal(
            got,
            {"rank": 2, "score": 700.0},
            f"{name}, one of three with 700 points behind one with more",
            advice="ZREVRANK orders a tie by name; a fair rank counts who has more points.",
        )
    trial.equal(trial.call(trial.client, key, last), {"rank": 5, "score": 500.0}, "who comes after")


@rank_and_score.check("keeps every digit of a score", points=1)
def _digits(trial: Trial) -> None:
    ada, bob = trial.words(2)
    score = 2.0**53 - trial.rng.randrange(1, 1000) * 2 - 1
    fraction = trial.rng.randrange(1, 999) + 0.1
    key = _filled(trial, {ada: score, bob: fraction})
    for name, expected in ((ada, score), (bob, fraction)):
        got = trial.call(trial.client, key, name)
        trial.require(
            isinstance(got, dict) and "score" in got, f"Expected a dictionary, got {got}."
        )
        trial.equal(got["score"], expected, "the score", advice=_PRECISE)


@rank_and_score.check("asks in one round trip", points=1)
def _rank_trip(trial: Trial) -> None:
    ada, bob = trial.words(2)
    key = _filled(trial, {ada: 5, bob: 7})
    trial.call(trial.client, key, ada)
    trial.one_trip(
        "Between the score and the count the board may change, and it takes twice as long."
    )


around_me = outline.exercise(
    "around_me",
    "Around me, always a full page",
    hints=(
        "Where the page starts follows from the player's rank, the size of the board and n. Near "
        "an end the start moves so that the page stays full.",
        "In a script: ZREVRANK (false: the player is not there), ZCARD, then ZREVRANGE with "
        "WITHSCORES from the start to the start plus n minus 1.",
        "The start is the rank minus math.floor(n / 2), at most the size minus n, and at least 0: "
        "math.max(0, math.min(rank - half, size - n)). WITHSCORES answers names and scores in "
        "turn; in Python they become pairs.",
    ),
)


def _ladder(trial: Trial, count: int) -> tuple[str, list[tuple[str, float]]]:
    """A board of `count` players; its key, and its rows from the best on."""
    names = trial.words(count)
    rows = [(name, float(10 * (count - place))) for place, name in enumerate(names)]
    return _filled(trial, dict(rows)), rows


@around_me.check("puts the player in the middle", points=1)
def _middle(trial: Trial) -> None:
    key, rows = _ladder(trial, 31)
    n = trial.rng.choice([3, 5, 6, 8])
    place = trial.rng.randrange(10, 20)
    got = trial.call(trial.client, key, rows[place][0], n)
    trial.require(
        not (
            isinstance(got, list)
            and got == rows[place - n // 2 : place + n // 2 + 1]
            and n % 2 == 0
        ),
        f"{len(got or [])} players came and {n} were asked for: ZREVRANGE includes its last index.",
    )
    start = place - n // 2
    trial.equal(
        got,
        rows[start : start + n],
        advice=f"{n // 2} players stand before the player, and the best comes first.",
    )


@around_me.check("stays full at both ends", points=2)
def _ends(trial: Trial) -> None:
    key, rows = _ladder(trial, 20)
    n = trial.rng.choice([5, 6, 7])
    for place in (0, 1, 19, 18):
        got = trial.call(trial.client, key, rows[place][0], n)
        expected = rows[:n] if place < 10 else rows[-n:]
        end = "top" if place < 10 else "bottom"
        trial.equal(
            got,
            expected,
            f"{n} around number {place + 1} of 20",
            advice=f"Near the {end} the other side gives more, so that the page is full. "
            "(A negative index counts from the end in Redis.)",
        )


@around_me.check("copes with a small board and a stranger", points=1)
def _small(trial: Trial) -> None:
    key, rows = _ladder(trial, 4)
    trial.equal(
        trial.call(trial.client, key, rows[2][0], 10), rows, "10 around number 3 of 4 players"
    )
    trial.equal(trial.call(trial.client, key, trial.word(), 5), [], "5 around a stranger")


@around_me.check("reads it in one round trip", points=1)
def _around_trip(trial: Trial) -> None:
    key, rows = _ladder(trial, 9)
    trial.call(trial.client, key, rows[4][0], 3)
    trial.one_trip(
        "Between asking for the rank and reading the range the player moves, and the page is of "
        "somebody else. A script does both at once."
    )


first_come = outline.exercise(
    "first_come",
    "In a tie, who came first",
    hints=(
        "Redis orders equal scores by the bytes of the member, the largest first when the highest "
        "score comes first. So put something in front of the name that is *smaller* the later it "
        "is written, and always of the same length.",
        "Count the changes with INCR and take the count from a large number: 999999999999 minus "
        "the count, written with twelve digits. The hash `<key>:rows` tells which row a player "
        "had, so that the old one can be removed.",
        "In one script: HGET the old row; where its ZSCORE equals the new score, nothing is to do. "
        "Otherwise ZREM it, INCR the counter, build string.format('%012.0f', 999999999999 - count) "
        ".. ':' .. player, ZADD and HSET. At the end return ZREVRANK of the row plus one.",
    ),
)


def _rows(trial: Trial, key: str, **options: Any) -> Any:
    return trial.client.zrange(key, 0, -1, desc=True, **options)


def _standing(trial: Trial, key: str) -> list[str]:
    """The players as the board orders them."""
    rows = _rows(trial, key)
    for row in rows:
        trial.require(
            ":" in row, f"The sorted set holds {row!r}; a row is a stamp, a colon and the player."
        )
    return [row.split(":", 1)[1] for row in rows]


@first_come.check("puts the best first and, in a tie, who came first", points=2)
def _first_first(trial: Trial) -> None:
    names = trial.words(14)
    key = _filled(trial, {})
    scores = {name: float(trial.rng.choice([100, 200])) for name in names}
    for name in names:
        trial.call(trial.client, key, name, scores[name])
    kind = trial.client.type(key)
    trial.require(kind == "zset", f"{key} is a {kind}, not a sorted set.")
    expected = sorted(names, key=lambda name: -scores[name])
    found = _standing(trial, key)
    trial.require(
        found != sorted(names, key=lambda name: (-scores[name], -names.index(name))),
        "In a tie the last one comes first: with the highest score first, Redis orders equal "
        "scores by the *largest* bytes. The stamp has to become smaller.",
    )
    trial.equal(
        found,
        expected,
        "the order of 14 players with two scores",
        advice="Bytes are compared one by one, so '9' comes after '10': write every stamp with the "
        "same number of digits.",
    )


@first_come.check("moves who scores anew, and leaves who repeats", points=1)
def _moves(trial: Trial) -> None:
    ada, bob, cyd = trial.words(3)
    key = _filled(trial, {})
    for name in (ada, bob, cyd):
        trial.call(trial.client, key, name, 100.0)
    trial.call(trial.client, key, ada, 100.0)
    trial.equal(
        _standing(trial, key),
        [ada, bob, cyd],
        "the order after the first one sent the same score again",
        advice="A score that does not change was reached when it was reached first.",
    )
    trial.call(trial.client, key, cyd, 300.0)
    got = trial.call(trial.client, key, ada, 300.0)
    trial.require(
        trial.client.zcard(key) == 3,
        "A player stands on the board twice: the row of the old score has to go.",
    )
    trial.equal(_standing(trial, key), [cyd, ada, bob], "the order after two have improved")
    trial.equal(got, 2, "what the function returns", advice="It is the place, from 1.")
    rows = trial.client.hgetall(f"{key}:rows")
    by_row = {row.split(":", 1)[1]: row for row in _rows(trial, key)}
    trial.equal(rows, by_row, f"the hash {key}:rows")


@first_come.check("keeps the score itself whole", points=1)
def _whole(trial: Trial) -> None:
    ada, bob = trial.words(2)
    key = _filled(trial, {})
    best = 2.0**53 - trial.rng.randrange(1, 1000)
    trial.call(trial.client, key, ada, best)
    trial.call(trial.client, key, bob, best - 1)
    found = dict(_rows(trial, key, withscores=True))
    expected = {trial.client.hget(f"{key}:rows", name): best - (name == bob) for name in (ada, bob)}
    trial.equal(
        found,
        expected,
        "two scores that differ by one in sixteen digits",
        advice="A double has no room for a time beside such a score: the order goes into the "
        "member.",
    )


@first_come.check("does it in one round trip", points=1)
def _stamp_trip(trial: Trial) -> None:
    key = _filled(trial, {})
    trial.call(trial.client, key, trial.word(), 5.0)
    trial.one_trip("Between two trips another score is stored, and numbers and rows mix.")


# -- 3 windows -------------------------------------------------------------------------------

window_names = outline.exercise(
    "window_names",
    "Which day is it, and where",
    hints=(
        "The moment is the same everywhere, the day is not. Make a datetime of the moment *in the "
        "time zone*, and take the names from that.",
        "`datetime.fromtimestamp(moment, ZoneInfo(timezone))` knows the clock changes. A week of "
        "ISO 8601 has a year of its own: `isocalendar()` gives it.",
        "Daily is `local.date().isoformat()`, monthly its first seven characters; for weekly take "
        "year and week from `local.isocalendar()` and write the week with two digits.",
    ),
)

_ZONES = ("Europe/Lisbon", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney")


def _names_at(moment: float, zone: str) -> dict[str, str]:
    local = dt.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone))
    year, week, _ = local.isocalendar()
    day = local.date().isoformat()
    return {"daily": day, "weekly": f"{year}-W{week:02}", "monthly": day[:7]}


def _compare_names(trial: Trial, moment: float, zone: str, advice: str) -> None:
    got = trial.call(moment, zone)
    expected = _names_at(moment, zone)
    trial.require(isinstance(got, dict), f"Return a dictionary with three names, not {got!r}.")
    for window, name in expected.items():
        trial.equal(got.get(window), name, f"{window} at {moment:.0f} in {zone}", advice=advice)
    trial.equal(got, expected)


@window_names.check("names day, week and month", points=1)
def _plain_names(trial: Trial) -> None:
    noon = dt.datetime(2026, trial.rng.randint(2, 11), trial.rng.randint(1, 28), 12, tzinfo=dt.UTC)
    _compare_names(
        trial,
        noon.timestamp(),
        "UTC",
        "Months, days and weeks have two digits, and a week is of ISO 8601: it begins on Monday.",
    )


@window_names.check("goes by the clocks of the place", points=1)
def _place(trial: Trial) -> None:
    day = dt.datetime(2026, 6, trial.rng.randint(2, 27), tzinfo=dt.UTC)
    for zone, hour in (("Asia/Tokyo", 20), ("America/New_York", 2)):
        moment = (day + dt.timedelta(hours=hour)).timestamp()
        _compare_names(
            trial, moment, zone, "It is another day there than in UTC, and on this machine's clock."
        )


@window_names.check("follows the clocks when they change", points=1)
def _clocks(trial: Trial) -> None:
    for zone in trial.rng.sample(_ZONES, 3):
        for month in (1, 7):
            day = dt.datetime(2026, month, trial.rng.randint(2, 27), tzinfo=zoneinfo.ZoneInfo(zone))
            for minutes in (-30, 30):
                _compare_names(
                    trial,
                    day.timestamp() + 60 * minutes,
                    zone,
                    "A time zone is more than an offset: in summer midnight is at another moment "
                    "of UTC than in winter. ZoneInfo knows when.",
                )


@window_names.check("knows that a week may belong to another year", points=1)
def _iso_year(trial: Trial) -> None:
    for day in ("2027-01-01", "2024-12-30", "2026-12-31"):
        moment = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()
        _compare_names(
            trial,
            moment,
            "UTC",
            "Around New Year a week belongs to the year that has its Thursday: take the year from "
            "`isocalendar()` too.",
        )


submit_windows = outline.exercise(
    "submit_windows",
    "One score, every window",
    hints=(
        "Each window is a sorted set of its own; one transaction writes them all. The keys are the "
        "ones of `board_key`.",
        "For each window: `zadd` with `gt=True`, and `expireat` with the moment that the window "
        "brings along. A moment, other than a number of seconds, is not prolonged by saying it "
        "again.",
        "On one `r.pipeline()`: `zadd` to the key of all time, then for each `window, (period, "
        "until)` of `windows.items()` a `zadd` and an `expireat(key, until)`. Then execute.",
    ),
)


def _windows(trial: Trial) -> dict[str, tuple[str, int]]:
    now = int(time.time())
    return {
        "daily": ("2026-11-22", now + trial.rng.randint(100_000, 200_000)),
        "weekly": ("2026-W47", now + trial.rng.randint(700_000, 900_000)),
    }


def _window_keys(board: str, windows: dict[str, tuple[str, int]]) -> dict[str, int | None]:
    keys: dict[str, int | None] = {
        f"arcade:{{{board}}}:{window}:{period}": until
        for window, (period, until) in windows.items()
    }
    return {f"arcade:{{{board}}}:all": None, **keys}


def _exactly_these(trial: Trial, keys: dict[str, int | None]) -> None:
    found = sorted(trial.client.scan_iter())
    trial.equal(found, sorted(keys), "the keys that your function leaves")


@submit_windows.check("keeps the best score in every window and for all time", points=1)
def _everywhere(trial: Trial) -> None:
    board, player = trial.words(2)
    windows = _windows(trial)
    for score in (300.0, 500.0, 400.0):
        trial.call(trial.client, board, player, score, windows)
    keys = _window_keys(board, windows)
    _exactly_these(trial, keys)
    for key in keys:
        trial.equal(
            trial.client.zscore(key, player),
            500.0,
            f"the score in {key} after 300, 500 and 400",
            advice="`gt=True` keeps the larger.",
        )


@submit_windows.check("lets a window end when it should, and all time never", points=1)
def _window_ends(trial: Trial) -> None:
    board, *players = trial.words(3)
    windows = _windows(trial)
    keys = _window_keys(board, windows)
    for number, player in enumerate(players):
        trial.call(trial.client, board, player, 100.0 + number, windows)
        _exactly_these(trial, keys)
        for key, until in keys.items():
            left = trial.client.pttl(key) / 1000
            if until is None:
                trial.require(left < 0, f"{key} has a time to live; all time does not end.")
                continue
            trial.require(left > 0, f"{key} has no time to live, and stays for ever.")
            due = until - time.time()
            trial.require(
                abs(left - due) < 60,
                f"{key} lives {left:.0f} s, and its window keeps it for {due:.0f} s: EXPIREAT "
                "takes a moment, in seconds since the epoch; EXPIRE takes a number of seconds.",
            )


@submit_windows.check("writes all of them in one transaction", points=1)
def _window_trip(trial: Trial) -> None:
    board, player = trial.words(2)
    windows = _windows(trial)
    trial.call(trial.client, board, player, 10.0, windows)
    trial.one_trip("A crash between two trips leaves a score in one window and not in the other.")
    trial.require(
        "MULTI" in trial.log.names or {"EVAL", "EVALSHA"} & set(trial.log.names) != set(),
        "A pipeline with `transaction=False` can be interrupted between its commands.",
    )


# -- 4 pages ---------------------------------------------------------------------------------

page_after = outline.exercise(
    "page_after",
    "Pages that skip nobody",
    hints=(
        "A number of entries is no place: it means somebody else as soon as one player moves. Let "
        "the cursor be the last entry itself, its score and its name.",
        "The next page is what comes after that score and name: first the rest of its tie (the "
        "same score, and a name that Redis orders later), then everything with a lower score. Both "
        "can be read in one pipeline.",
        "`zrevrangebyscore(key, score, score)` reads the tie, of which the names *smaller* than "
        "the cursor's are still to come; `zrevrangebyscore(key, f'({score!r}', '-inf', start=0, "
        "num=limit, withscores=True)` reads on. Join, cut to `limit`; where fewer are left, the "
        "next cursor is None.",
    ),
)


def _pages(
    trial: Trial, key: str, limit: int, between: Any = None
) -> Iterator[list[tuple[str, float]]]:
    """The pages of a board, until the cursor is None; `between` acts between two of them."""
    cursor = None
    for number in range(200):
        got = trial.call(trial.client, key, limit, cursor)
        trial.require(
            isinstance(got, dict) and set(got) == {"entries", "cursor"},
            f"Return a dictionary with `entries` and `cursor`, not {got!r}.",
        )
        yield got["entries"]
        cursor = got["cursor"]
        if cursor is None:
            return
        if between is not None:
            between(number)
    trial.fail("After 200 pages there is still a cursor: the last page has None.")


def _tied_board(trial: Trial, count: int) -> tuple[str, list[tuple[str, float]]]:
    names = trial.words(count)
    scores = {name: float(trial.rng.choice([10, 20, 30])) for name in names}
    key = _filled(trial, scores)
    return key, _rows(trial, key, withscores=True)


@page_after.check("leads through the whole board, page by page", points=1)
def _all_pages(trial: Trial) -> None:
    key, rows = _ladder(trial, 23)
    pages = list(_pages(trial, key, 5))
    trial.equal(pages[0], rows[:5], "the first page", advice="The best comes first.")
    met = [row for page in pages for row in page]
    trial.require(
        len(met) == len(set(met)),
        "Some players come twice: the cursor's own entry belongs to the page before.",
    )
    trial.equal(met, rows, "all pages together")
    trial.equal([len(page) for page in pages if page], [5, 5, 5, 5, 3], "the lengths of the pages")
    empty = trial.call(trial.client, f"{key}:none", 5, None)
    trial.equal(empty, {"entries": [], "cursor": None}, "the page of an empty board")


@page_after.check("cuts a tie in two without losing anybody", points=1)
def _tied_pages(trial: Trial) -> None:
    key, rows = _tied_board(trial, 31)
    met = [row for page in _pages(trial, key, 4) for row in page]
    missing = [name for name, _ in rows if name not in dict(met)]
    trial.require(
        not missing,
        f"{len(missing)} of 31 players never came: they have the same score as the last entry of a "
        "page. The score alone is no place within a tie; the name is needed as well.",
    )
    trial.equal(met, rows, "all pages together")


@page_after.check("meets everybody who stays exactly once while others move", points=2)
def _moving_pages(trial: Trial) -> None:
    key, rows = _tied_board(trial, 40)
    witness = trial.another_client()
    names = [name for name, _ in rows]
    still = set(trial.rng.sample(names, 20))
    moving = [name for name in names if name not in still]
    seen: list[tuple[str, float]] = []

    def between(number: int) -> None:
        # Those just read climb or vanish, the cursor's own row among them; new ones come on top.
        for name in [name for name, _ in seen[-6:] if name in moving]:
            if trial.rng.random() < 0.5:
                witness.zadd(key, {name: 100.0 + number})
            else:
                witness.zrem(key, name)
        witness.zadd(key, {f"new{number}": 1000.0 + number})

    for page in _pages(trial, key, 3, between):
        trial.require(isinstance(page, list), f"`entries` is {page!r}, not a list of pairs.")
        seen += page
    met = [name for name, _ in seen if name in still]
    twice = sorted({name for name in met if met.count(name) > 1})
    missed = sorted(still - set(met))
    trial.require(
        not twice and not missed,
        f"Of 20 players who did not move, {len(missed)} never came and {len(twice)} came twice. "
        "Others moved across the page meanwhile, so a count of entries, or the place of an entry "
        "that has gone, points elsewhere: go on from the score and the name.",
    )


@page_after.check("reads a page in one round trip", points=1)
def _page_trip(trial: Trial) -> None:
    key, _ = _tied_board(trial, 20)
    first = trial.call(trial.client, key, 6, None)
    trial.one_trip("The first page takes one question.")
    trial.call(trial.client, key, 6, first["cursor"])
    trial.one_trip("Between the rest of the tie and what follows it the board may change.")
    most = max((len(command.args) for command in trial.log), default=0)
    trial.require(most < 40, "Your function sends more than a place and a limit.")


# -- 5 the service ---------------------------------------------------------------------------

post_once = outline.exercise(
    "post_once",
    "A write that is safe to repeat",
    hints=(
        "When no answer comes, you cannot know whether the score was stored. So send it again, "
        "with something by which the service knows that it is the same one.",
        "Make one key for the call (`uuid.uuid4()`), send it in the header `Idempotency-Key` with "
        "every attempt, and try again after `httpx.TransportError` and after a status of 500 or "
        "more: four attempts in all.",
        "A loop over range(4) with try and except httpx.TransportError around `http.post`. After a "
        "status below 500 call `raise_for_status()` and return `.json()`. After the last attempt "
        "raise what came last.",
    ),
)


class _Service:
    """A service that adds scores up, forgets nothing, and fails as it is told to.

    Args:
        trial: The trial, in whose messages the client is called `http`.
        failures: What befalls each request in turn: "lost" (stored, the answer is lost), "down"
            (no connection), "busy" (503), "wrong" (422); requests after them succeed.
    """

    def __init__(self, trial: Trial, failures: tuple[str, ...] = ()) -> None:
        self.failures = list(failures)
        self.requests: list[httpx.Request] = []
        self.total = 0.0
        self._answers: dict[str, dict[str, Any]] = {}
        self.http = trial.named(
            "http",
            httpx.Client(transport=httpx.MockTransport(self._handle), base_url="http://arcade"),
        )

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("Idempotency-Key") for request in self.requests]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "down":
            raise httpx.ConnectError("the service cannot be reached", request=request)
        if failure == "busy":
            return httpx.Response(503, json={"title": "Service Unavailable", "status": 503})
        if failure == "wrong":
            return httpx.Response(422, json={"title": "Unprocessable Content", "status": 422})
        answer = self._store(request)
        if failure == "lost":
            raise httpx.ReadTimeout("no answer came in time", request=request)
        return httpx.Response(201, json=answer)

    def _store(self, request: httpx.Request) -> dict[str, Any]:
        key = request.headers.get("Idempotency-Key")
        if key in self._answers:
            return self._answers[key]
        body = json.loads(request.content)
        self.total += body["score"]
        answer = {"member": body["member"], "total": self.total}
        if key is not None:
            self._answers[key] = answer
        return answer


def _post(trial: Trial, service: _Service, *args: Any) -> Any:
    with service.http:
        return trial.call(service.http, *args)


@post_once.check("posts the score and returns the service's answer", points=1)
def _posts(trial: Trial) -> None:
    board, player, score = trial.word(), trial.word(), trial.rng.randint(10, 900)
    service = _Service(trial)
    got = _post(trial, service, board, player, score)
    trial.require(bool(service.requests), "Nothing was sent through `http`.")
    (request, *more) = service.requests
    trial.require(not more, f"{len(more) + 1} requests were sent; the first one succeeded.")
    trial.equal(request.method, "POST", "the method")
    trial.equal(request.url.path, f"/boards/{board}/scores", "the path")
    trial.equal(json.loads(request.content), {"member": player, "score": score}, "the body")
    trial.require(
        not isinstance(got, httpx.Response), "Return the answer's JSON, not the response itself."
    )
    trial.equal(got, {"member": player, "total": float(score)})


@post_once.check("stores it once however often the answer is lost", points=1)
def _stores_once(trial: Trial) -> None:
    score = trial.rng.randint(10, 900)
    service = _Service(trial, tuple(trial.rng.sample(["lost", "down", "busy"], 3)))
    with trial.explain(httpx.TransportError, "Four attempts are allowed; this was given up early."):
        got = _post(trial, service, trial.word(), "ada", score)
    trial.require(
        len(service.requests) == 4,
        f"{len(service.requests)} requests were sent, where three fail and the fourth succeeds.",
    )
    trial.require(
        None not in service.keys,
        "A request had no Idempotency-Key header, so a retry is stored as another score.",
    )
    trial.require(
        len(set(service.keys)) == 1,
        "Each attempt had a key of its own, so the service took the retry for another score. Make "
        "the key once, before the loop.",
    )
    trial.equal(service.total, float(score), "the points that the service has added up")
    trial.equal(got, {"member": "ada", "total": float(score)})


@post_once.check("gives every call a key of its own", points=1)
def _own_keys(trial: Trial) -> None:
    service = _Service(trial)
    board, player = trial.words(2)
    with service.http:
        trial.call(service.http, board, player, 10)
        trial.call(service.http, board, player, 10)
    trial.equal(
        service.total,
        20.0,
        "the points after the same player scored 10 twice",
        advice="The second score is a new one: a key made of board, player and score cannot tell "
        "it from a retry of the first.",
    )
    trial.require(len(set(service.keys)) == 2, "Two calls shared a key.")


@post_once.check("gives up when it should", points=1)
def _gives_up(trial: Trial) -> None:
    service = _Service(trial, ("wrong",) * 6)
    _raises(trial, service, httpx.HTTPStatusError, "answered 422")
    trial.require(
        len(service.requests) == 1,
        f"{len(service.requests)} requests were sent; a status of 4xx says that this request is "
        "wrong, and will be wrong again.",
    )
    service = _Service(trial, ("down",) * 6)
    _raises(trial, service, httpx.TransportError, "could not be reached")
    trial.equal(len(service.requests), 4, "the attempts while the service cannot be reached")
    service = _Service(trial, ("busy",) * 6)
    _raises(trial, service, httpx.HTTPStatusError, "answered 503 each time")
    trial.equal(len(service.requests), 4, "the attempts while the service answers 503")


def _raises(trial: Trial, service: _Service, error: type[Exception], what: str) -> None:
    from labkit.course.exercise import AnswerRaised

    try:
        got = _post(trial, service, "pong", "ada", 10)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, error):
            raise
        return
    trial.fail(
        f"The service {what}, and your function returned {got!r} as if all were well. Let the "
        "error reach the caller: `raise_for_status()` makes one of a bad status."
    )


# -- quiz ------------------------------------------------------------------------------------

choose_design = outline.quiz(
    "choose_design",
    "Quiz: choose the design",
    {
        "q1": Question(
            "a best score, from many servers at once",
            "zadd gt",
            {
                "zadd gt": "Redis compares and stores in one step: nothing can come between.",
                "get and set": "Between the two another server stores a better score, and it is "
                "lost.",
                "a lock": "It works, at three trips a score, and a crashed holder stops everybody.",
                "watch": "It works, with a loop of trips that grows when many play; comparing on "
                "the server needs none.",
            },
        ),
        "q2": Question(
            "a fair rank for equal scores",
            "zcount",
            {
                "zcount": "It counts who has more points: equal scores get the same rank.",
                "zrevrank": "It orders a tie by name, so equal scores get different ranks.",
                "zcard": "It counts everybody.",
                "zrange": "Reading the players above costs as much as there are.",
            },
        ),
        "q3": Question(
            "a daily board for players in Lisbon",
            "time zone",
            {
                "time zone": "Midnight in Lisbon is another moment of UTC in summer and in winter.",
                "utc": "The day would end at one in the morning for half of the year.",
                "fixed offset": "It is wrong for the half of the year in which the clocks differ.",
                "24 hours": "Two days a year have 23 and 25 hours.",
            },
        ),
        "q4": Question(
            "a list that players page through while others score",
            "score and name",
            {
                "score and name": "The pair is a place in the order, whoever else moves.",
                "offset": "A number of entries means somebody else as soon as one player moves.",
                "page number": "It is an offset under another name.",
                "score": "Within a tie it is no place: the rest of the tie is lost or repeated.",
            },
        ),
        "q5": Question(
            "a POST whose answer did not come",
            "same key again",
            {
                "same key again": "The service knows the key, and stores the score once.",
                "give up": "The score may not have been stored.",
                "new key": "The score may be stored twice.",
                "no key": "The score may be stored twice.",
            },
        ),
        "q6": Question(
            "live ranks, and a client that was away for a minute",
            "stream",
            {
                "stream": "It keeps what was said: the client names the last id it saw and gets "
                "what followed.",
                "pub/sub": "It keeps nothing: what was said while the client was away is gone.",
                "polling": "It costs a request a second for each client, and misses what came and "
                "went between two.",
                "list": "Who takes a message off it takes it from everybody else.",
            },
        ),
    },
    hints=(
        "For each, ask what can happen between two steps: who else acts, and what is lost then?",
        "One command that decides by itself; a count of who is better; a place in an order; a key "
        "that says *this is the same one*; a log that is kept.",
        "q1 is a command with an option, q2 counts, q3 is not an offset, q4 is a pair, q5 repeats, "
        "q6 is a structure of lesson 01.",
    ),
    points=0.5,
)
