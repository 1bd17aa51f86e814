"""What lesson 04-leaderboard-api checks: the heart of a leaderboard, piece by piece."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
import zoneinfo
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpx
import redis
from redis.crc import key_slot

from labkit.course.exercise import AnswerRaised, Outline, Question, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Row = tuple[str, float]

outline = Outline("04-leaderboard-api", title="Build a leaderboard API", prefix="arcade:")

_PRECISE = (
    "Digits were lost on the way. In Lua a number that is returned is cut to a whole one, and "
    "tostring keeps 14 digits: hand the score on as the text that Redis gave."
)
_AS_TEXT = "In what a script answers, a score is text: `float(...)` makes a number of it."


def _one_trip(trial: Trial, why: str, args: tuple[Any, ...], others: tuple[Any, ...]) -> None:
    """Call the answer and demand a single round trip.

    Args:
        trial: The trial.
        why: The mistake's sentence.
        args: What to call it with, after the client.
        others: Other arguments, for a second call where its script was new to the server.
    """
    trial.call(trial.client, *args)
    if "SCRIPT" in trial.log.names:
        trial.call(trial.client, *others)
    trial.require(
        not trial.sent("SCRIPT", "EXISTS"),
        "In a pipeline a registered script first asks whether the server knows it, which is a trip "
        "of its own: queue `pipe.eval(...)`, or call the script by itself.",
    )
    trial.require(
        "SCRIPT" not in trial.log.names,
        "The text of your script differs from call to call, so the server has to learn it each "
        "time: three trips. Leave the values out of the text and hand them over as arguments; the "
        "script finds them in ARGV.",
    )
    trial.one_trip(why)


def _one_step(trial: Trial, why: str) -> None:
    """Demand that nobody could act between the commands of the last call's only trip."""
    names = trial.log.names
    commands = [name for name in names if name not in ("MULTI", "EXEC")]
    trial.require(len(commands) == 1 or "MULTI" in names, why)


def _remark_on_size(trial: Trial, names: set[str], most: int) -> None:
    """Note beside the passed check that more of the board travelled than it takes."""
    carried = _carried(trial, names)
    if carried > most:
        trial.remark = (
            f"And {carried} of the board's {len(names)} names travelled: on a board of a million, "
            "reading it whole moves a million."
        )


def _carried(trial: Trial, names: set[str]) -> int:
    """How many of the names came back to the answer: its questions are asked once more."""
    witness = trial.another_client()
    replies = [
        witness.execute_command(command.name, *command.args)
        for command in trial.log
        if command.name.startswith(("Z", "EVAL"))
    ]
    return sum(text in names for text in _texts(replies))


def _texts(reply: object) -> Iterator[str]:
    if isinstance(reply, str):
        yield reply
    elif isinstance(reply, list | tuple):
        for part in reply:
            yield from _texts(part)


def _pairs(trial: Trial, got: object, what: str) -> None:
    """Demand a list of (name, score) pairs; whether they are the right ones is another question."""
    if type(got) is not list:
        trial.fail(f"{what} is {got!r:.80}; a list of (name, score) pairs is asked for.")
    for entry in got:
        trial.require(
            not isinstance(entry, str),
            f"{what} is a list of names, or of names and scores in turn: {got!r:.80}. Make it a "
            "list of pairs, (name, score).",
        )
        trial.require(
            type(entry) is tuple and len(entry) == 2,
            f"{what} has the entry {entry!r:.80}; a pair is a tuple, (name, score).",
        )
        name, score = entry
        trial.require(
            type(score) is not str, f"{what} has the score {score!r:.80}, a text. {_AS_TEXT}"
        )
        trial.require(
            type(score) is float and type(name) is str,
            f"{what} has the entry {entry!r:.80}; a pair is a text and a float.",
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
        f"{got!r:.80} has no braces. In an f-string `{{board}}` puts in the name and nothing else; "
        "`{{{board}}}` writes a brace, the name and a brace.",
    )
    trial.require(
        not (isinstance(got, str) and "{board}" in got),
        f"{got!r:.80} has the word board, not the board's name. In an f-string two braces write "
        "one brace and put nothing in; it takes three, `{{{board}}}`, for a brace and the name.",
    )
    trial.equal(got, f"arcade:{{{board}}}:daily:{period}")
    no_period = "A window without periods, such as all time, has no fourth part."
    trial.equal(trial.call(board, "all"), f"arcade:{{{board}}}:all", advice=no_period)
    board, window, period = f"{trial.word().title()} {trial.word()}", trial.word(), trial.word()
    trial.equal(
        trial.call(board, window, period),
        f"arcade:{{{board}}}:{window}:{period}",
        advice="Board, window and period stand in the key as they are, whichever they are.",
    )
    trial.equal(trial.call(board, window, None), f"arcade:{{{board}}}:{window}", advice=no_period)


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
        trial.require(type(key) is str, f"A key is a text; your function gave {key!r:.80}.")
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


def _submit(trial: Trial, expected: dict[str, Any], what: str, *args: Any) -> None:
    """Call the answer and compare the change that it tells, with the sentence for a mistake."""
    nobody = (
        "ZREVRANK and ZSCORE answer None for who is not on the board: so it is before a new "
        "player's score is stored, and after it where nothing was. Look before you add 1."
    )
    cut = "In what a script answers, a nil ends the table: hand on false for what is not there."
    with trial.explain(TypeError, nobody), trial.explain(ValueError, cut):
        got = trial.call(trial.client, *args)
    trial.require(got is not None, "Your function returns nothing; return the dictionary.")
    if type(got) is dict:
        _explain_change(trial, got, expected, what)
    trial.equal(got, expected, what)


def _explain_change(trial: Trial, got: dict[str, Any], expected: dict[str, Any], what: str) -> None:
    for name, value in expected.items():
        found, shown = got.get(name), f"{what}: {name} is {got.get(name)!r:.80}"
        is_score = name.endswith("score")
        trial.require(not (is_score and type(found) is str), f"{shown}, a text. {_AS_TEXT}")
        if value is None:
            trial.require(
                found not in (0, 1) or is_score,
                f"{shown}. A player who was not on the board has no old rank: None.",
            )
            continue
        trial.require(
            found is not None or name not in got,
            f"{shown}, and it was {value}. `if {name}` takes 0 for nothing, and the best has rank "
            "0 in Redis: ask `is None`.",
        )
        trial.require(
            not (is_score and _nearly(found, value)),
            f"{shown}, and the score is {value!r}. {_PRECISE}",
        )
        trial.require(
            is_score or found != value - 1,
            f"{shown}, and the player is number {value}: Redis counts ranks from 0, players "
            "from 1.",
        )


def _nearly(found: object, value: float) -> bool:
    """Whether a number is another one, by no more than digits that were lost."""
    if not isinstance(found, int | float):
        return False
    return 0 < abs(found - value) < max(1, abs(value) * 1e-12)


@submit_best.check("answers old and new score and rank", points=2)
def _answers_change(trial: Trial) -> None:
    ada, bob, cyd, dan, eve = trial.words(5)
    low = trial.rng.randint(10, 400)
    key = _filled(trial, {bob: low + 100, cyd: low + 200})
    better, best = low + 150.25, low + 1000.5
    huge = 2.0**53 - trial.rng.randrange(1, 1000, 2)
    for what, player, score, expected in (
        ("what a new player's score does", ada, low, _change(None, float(low), None, 3)),
        ("what a better score does", ada, better, _change(float(low), better, 3, 2)),
        ("what the best score of all does", ada, best, _change(better, best, 2, 1)),
        ("what the leader's better score does", ada, best + 1, _change(best, best + 1, 1, 1)),
        ("what a new player's score of 0 does", dan, 0, _change(None, 0.0, None, 4)),
        ("what follows a score of 0", dan, 1, _change(0.0, 1.0, 4, 4)),
        ("what a huge score does", eve, huge, _change(None, huge, None, 1)),
    ):
        _submit(trial, expected, what, key, player, score)
    before, after = sorted((trial.word(), trial.word(9)))
    tie = _filled(trial, {after: low})
    trial.equal(
        trial.call(trial.client, tie, before, low),
        _change(None, float(low), None, 2),
        f"what {before}'s score does beside {after}'s equal one",
        advice="ZREVRANK orders a tie by name, the largest first; counting who has more points "
        "makes both the first.",
    )


@submit_best.check("keeps the best score", points=1)
def _keeps_best(trial: Trial) -> None:
    ada, bob = trial.words(2)
    # With one digit more, the larger number is the smaller text.
    for best, worse in ((trial.rng.randint(500, 900), 450), (trial.rng.randint(1000, 2000), 950)):
        key = _filled(trial, {ada: best, bob: 400})
        got = trial.call(trial.client, key, ada, worse)
        trial.equal(
            trial.client.zscore(key, ada),
            float(best),
            f"the score kept when {worse} comes after {best}",
            advice="A plain ZADD overwrites; `gt=True` keeps the larger. A script has to compare "
            "numbers, `tonumber(...)`, not texts.",
        )
        trial.equal(got, _change(float(best), float(best), 1, 1), "what a worse score answers")
        trial.call(trial.client, key, bob, 1500)
        trial.equal(
            trial.client.zscore(key, bob),
            1500.0,
            "the score kept when 1500 comes after 400",
            advice="A better score replaces the old one: `nx=True` never does so, `gt=True` does. "
            "A script has to compare numbers, `tonumber(...)`, not texts.",
        )


@submit_best.check("loses no best score to a rival at the same moment", points=1)
def _no_lost_best(trial: Trial) -> None:
    ada, bob = trial.words(2)
    witness = trial.another_client()
    key = _filled(trial, {})
    acted: list[bool] = []

    def prepare() -> None:
        acted.clear()
        witness.zadd(key, {ada: 100, bob: 150})

    def rival() -> None:
        acted.append(True)
        witness.zadd(key, {ada: 900}, gt=True)

    with trial.explain(redis.WatchError, "Somebody scored meanwhile: begin again."):
        for _ in trial.race(prepare, rival, trial.client, key, ada, 500):
            if not acted:  # the rehearsal's other trips taught the server a script
                continue
            trial.equal(
                witness.zscore(key, ada),
                900.0,
                "the best of 500 and 900, sent at the same moment",
                advice="Reading the old score and then writing leaves a gap in which a better one "
                "arrives and is overwritten.",
            )
    _stays(trial, key, ada)


def _stays(trial: Trial, key: str, player: str) -> None:
    trial.client.delete(key)
    trial.call(trial.client, key, player, 500)
    trial.equal(trial.client.zscore(key, player), 500.0, "the score kept without a rival")


@submit_best.check("does all of it in one atomic round trip", points=1)
def _submit_trip(trial: Trial) -> None:
    ada, bob, cyd = trial.words(3)
    key = _filled(trial, {bob: 10})
    _one_trip(
        trial,
        "Between two trips the board changes, and old and new no longer fit together.",
        (key, ada, 20),
        (key, cyd, 30),
    )
    _one_step(
        trial,
        "Your pipeline is no transaction: other clients may score between its commands. Leave "
        "`transaction=False` out.",
    )
    trial.equal(trial.client.zscore(key, ada), 20.0, "the score kept")


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


def _standing_of(trial: Trial, key: str, player: str) -> Any:
    """Call the answer for a player who is there, with sentences for what is not a standing."""
    got = trial.call(trial.client, key, player)
    trial.require(
        type(got) is dict and set(got) == {"rank", "score"},
        f"For a player who is there, return a dictionary with `rank` and `score`, not {got!r:.80}.",
    )
    score = got["score"]
    trial.require(type(score) is not str, f"The score is {score!r:.80}, a text. {_AS_TEXT}")
    return got


@rank_and_score.check("answers the player's rank and score, None for a stranger", points=1)
def _finds(trial: Trial) -> None:
    names = trial.words(5)
    scores = {name: float(100 * number) for number, name in enumerate(names)}
    key = _filled(trial, scores)
    for wanted in (names[4], names[0], trial.rng.choice(names[1:4])):
        rank = 5 - names.index(wanted)
        got = _standing_of(trial, key, wanted)
        trial.require(
            rank == 3 or got["rank"] not in (6 - rank, 5 - rank),
            f"Number {rank} of 5 is called {got['rank']}, counted from the lowest score.",
        )
        trial.require(
            got["rank"] != rank - 1,
            f"Number {rank} is called {got['rank']}: the rank is the count of those with more "
            "points, *plus one*.",
        )
        trial.require(
            got["rank"] != rank + 1,
            f"Number {rank} is called {got['rank']}: do not count the player as well. '(' in front "
            "of the bound leaves those with as many points out.",
        )
        trial.equal(got, {"rank": rank, "score": scores[wanted]})
    stranger = (
        "For a stranger ZSCORE answers false in a script: return false then, it arrives as None."
    )
    with trial.explain(redis.ResponseError, stranger), trial.explain(TypeError, stranger):
        got = trial.call(trial.client, key, trial.word())
    trial.equal(got, None, "the answer for a stranger")


@rank_and_score.check("gives equal scores the same rank", points=1)
def _ties_share(trial: Trial) -> None:
    first, *tied, last = trial.words(5)
    key = _filled(trial, {first: 900, **dict.fromkeys(tied, 700), last: 500})
    standings = {name: _standing_of(trial, key, name) for name in tied}
    ranks = [standing["rank"] for standing in standings.values()]
    trial.require(
        ranks not in ([4] * 3, [5] * 3),
        f"Each of the tie is called number {ranks[0]}: count the players with more points, without "
        "those who have as many. '(' in front of the bound leaves them out.",
    )
    for name, got in standings.items():
        trial.equal(
            got,
            {"rank": 2, "score": 700.0},
            f"{name}, one of three with 700 points behind one with more",
            advice="ZREVRANK orders a tie by name; a fair rank counts who has more points.",
        )
    trial.equal(
        _standing_of(trial, key, last),
        {"rank": 5, "score": 500.0},
        "who comes after",
        advice="Four have more points. A rank that counts each score once would be another style.",
    )


@rank_and_score.check("keeps every digit of a score", points=1)
def _digits(trial: Trial) -> None:
    over, ada, under, bob = trial.words(4)
    score = 2.0**53 - trial.rng.randrange(1, 1000) * 2 - 1
    fraction = trial.rng.randrange(1, 999) + 0.1
    key = _filled(trial, {over: score + 1, ada: score, under: score - 1, bob: fraction})
    for name, rank, expected in ((ada, 2, score), (under, 3, score - 1), (bob, 4, fraction)):
        got = _standing_of(trial, key, name)
        trial.equal(got["score"], expected, "the score", advice=_PRECISE)
        trial.equal(
            got["rank"],
            rank,
            "the rank among scores that differ in a digit",
            advice="A bound that has lost digits counts others: make it of the text that Redis "
            "gave.",
        )


@rank_and_score.check("asks in one round trip", points=1)
def _rank_trip(trial: Trial) -> None:
    names = trial.words(20)
    key = _filled(trial, {name: number for number, name in enumerate(names)})
    _one_trip(
        trial,
        "Between the score and the count the board may change, and it takes twice as long.",
        (key, names[4]),
        (key, names[5]),
    )
    trial.equal(trial.call(trial.client, key, names[4]), {"rank": 16, "score": 4.0})
    _remark_on_size(trial, set(names), 3)


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


def _ladder(trial: Trial, count: int, step: float = 10.0) -> tuple[str, list[Row]]:
    """A board of `count` players; its key, and its rows from the best on."""
    names = trial.words(count)
    rows = [(name, step * (count - place)) for place, name in enumerate(names)]
    return _filled(trial, dict(rows)), rows


def _around(trial: Trial, key: str, player: str, n: int) -> Any:
    not_whole = "A half is no index: `n // 2` in Python, `math.floor(n / 2)` in Lua."
    with trial.explain(redis.ResponseError, not_whole):
        got = trial.call(trial.client, key, player, n)
    _pairs(trial, got, f"`around_me` for n = {n}")
    return got


@around_me.check("puts the player in the middle", points=1)
def _middle(trial: Trial) -> None:
    key, rows = _ladder(trial, 31)
    for n in (*trial.rng.sample([3, 5, 7, 9], 2), trial.rng.choice([4, 6, 8]), 1, 2):
        place = trial.rng.randrange(10, 20)
        got = _around(trial, key, rows[place][0], n)
        trial.require(
            len(got) != n + 1,
            f"{n + 1} players came and {n} were asked for: ZREVRANGE includes its last index.",
        )
        start = place - n // 2
        trial.require(
            n == 1 or got != rows[start : start + n][::-1],
            "The players are right, with the best one last.",
        )
        trial.equal(
            got,
            rows[start : start + n],
            advice=f"{n // 2} of the {n} players stand before the player, and the best comes "
            "first.",
        )


@around_me.check("stays full at both ends", points=2)
def _ends(trial: Trial) -> None:
    key, rows = _ladder(trial, 20)
    n = trial.rng.choice([5, 6, 7])
    for place in (0, 1, 19, 18):
        got = _around(trial, key, rows[place][0], n)
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
    key, rows = _ladder(trial, 4, step=1000 / 7)
    whole = "A board with fewer than n players comes whole: the start is never less than 0."
    for place, n in ((2, 10), (3, 5), (0, 9), (1, 4)):
        got = _around(trial, key, rows[place][0], n)
        trial.require(
            [name for name, _ in got] != [name for name, _ in rows] or got == rows,
            f"Expected {rows}, got {got}. {_PRECISE}",
        )
        trial.equal(got, rows, f"{n} around number {place + 1} of 4 players", advice=whole)
    stranger = "For a stranger ZREVRANK has no rank: answer an empty list."
    with trial.explain(TypeError, stranger), trial.explain(redis.ResponseError, stranger):
        got = trial.call(trial.client, key, trial.word(), 5)
    trial.equal(got, [], "5 around a stranger", advice=stranger)


@around_me.check("reads it in one round trip", points=1)
def _around_trip(trial: Trial) -> None:
    key, rows = _ladder(trial, 30)
    _one_trip(
        trial,
        "Between asking for the rank and reading the range the player moves, and the page is of "
        "somebody else. A script does both at once.",
        (key, rows[14][0], 3),
        (key, rows[15][0], 4),
    )
    trial.equal(trial.call(trial.client, key, rows[14][0], 3), rows[13:16])
    _remark_on_size(trial, {name for name, _ in rows}, 8)


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


_STAMPS_DIFFER = "No two changes may have the same stamp."


def _rows(trial: Trial, key: str, **options: Any) -> Any:
    return trial.client.zrange(key, 0, -1, desc=True, **options)


def _standing(trial: Trial, key: str) -> list[str]:
    """The players as the board orders them."""
    kind = trial.client.type(key)
    trial.require(
        kind == "zset",
        f"There is no sorted set {key}: nothing is stored there."
        if kind == "none"
        else f"{key} is a {kind}, not a sorted set.",
    )
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
        f"same number of digits. {_STAMPS_DIFFER}",
    )
    others = sorted(name for name in trial.client.scan_iter() if name != key)
    for other in others:
        trial.require(
            other.startswith(f"{key}:"),
            f"Your function uses the key {other}. What belongs to a board has a key that begins "
            f"with {key}: so that boards do not mix.",
        )
    _arrival_counts(trial)
    _lasts(trial)


def _arrival_counts(trial: Trial) -> None:
    """Who reaches the board first is first, also where another call began earlier."""
    ada, bob, cyd = trial.words(3)
    key = _filled(trial, {})
    elsewhere = trial.named("r", trial.another_client())
    trial.call(trial.client, key, cyd, 100.0)

    def overtake(trip: int) -> None:
        if trip == 1:
            trial.call(elsewhere, key, bob, 100.0)

    trial.call(trial.client, key, ada, 100.0, before=overtake)
    trial.equal(
        _standing(trial, key),
        [cyd, bob, ada],
        f"the order where {bob}'s score reached Redis while {ada}'s was still on its way",
        advice="A stamp that Python makes follows the clocks of many servers, which never agree, "
        "and not the order in which scores arrive: make the stamp in the script, from a count.",
    )


def _lasts(trial: Trial) -> None:
    """The order holds after a million more scores."""
    ada, bob, cyd = trial.words(3)
    key = _filled(trial, {})
    trial.call(trial.client, key, trial.word(), 100.0)
    before = _counts(trial, key)
    trial.call(trial.client, key, ada, 100.0)
    for name, count in _counts(trial, key).items():
        change = count - before.get(name, 0)
        if change:
            trial.client.incrby(name, 1_000_000 if change > 0 else -1_000_000)
    for name in (bob, cyd):
        trial.call(trial.client, key, name, 100.0)
    trial.equal(
        _standing(trial, key)[1:],
        [ada, bob, cyd],
        "the order after the count has grown by a million",
        advice="The stamps have run out of digits: count down from a number of twelve, and write "
        "all twelve.",
    )


def _counts(trial: Trial, key: str) -> dict[str, int]:
    """The whole numbers that the answer keeps beside the board."""
    names = [name for name in trial.client.scan_iter() if name.startswith(f"{key}:")]
    texts = {
        name: str(trial.client.get(name)) for name in names if trial.client.type(name) == "string"
    }
    return {name: int(text) for name, text in texts.items() if re.fullmatch(r"-?\d{1,15}", text)}


@first_come.check("moves who scores anew, and leaves who repeats", points=1)
def _moves(trial: Trial) -> None:
    ada, bob, cyd = trial.words(3)
    key = _filled(trial, {})
    for name in (ada, bob, cyd):
        trial.call(trial.client, key, name, 100.0)
    trial.equal(
        _standing(trial, key),
        [ada, bob, cyd],
        "the order of three who reached 100 one after the other",
        advice="Begin with the order of a tie, which the first check looks at.",
    )
    got = trial.call(trial.client, key, ada, 100.0)
    repeated = (
        "A score that does not change was reached when it was reached first: compare the old with "
        "the new, as numbers."
    )
    trial.require(
        trial.client.zcard(key) == 3,
        "A player stands on the board twice: the row of the old score has to go.",
    )
    trial.equal(
        _standing(trial, key),
        [ada, bob, cyd],
        "the order after the first one sent the same score again",
        advice=repeated,
    )
    from_one = "It is the place, from 1, after the score is stored."
    trial.equal(got, 1, "what the same score again returns", advice=from_one)
    trial.call(trial.client, key, cyd, 300.0)
    got = trial.call(trial.client, key, ada, 300.0)
    trial.require(
        trial.client.zcard(key) == 3,
        "A player stands on the board twice: the row of the old score has to go.",
    )
    trial.equal(
        _standing(trial, key),
        [cyd, ada, bob],
        "the order after two have improved",
        advice=f"{_STAMPS_DIFFER} And who improves is the last to reach the new score.",
    )
    trial.equal(got, 2, "what the function returns", advice=from_one)
    _check_rows(trial, key)
    _plays_on(trial)


def _check_rows(trial: Trial, key: str) -> None:
    trial.equal(
        trial.client.type(f"{key}:rows"), "hash", f"the type of {key}:rows", advice=_ROWS_OF_HASH
    )
    rows = trial.client.hgetall(f"{key}:rows")
    by_row = {row.split(":", 1)[1]: row for row in _rows(trial, key)}
    trial.equal(rows, by_row, f"the hash {key}:rows", advice=_ROWS_OF_HASH)


_ROWS_OF_HASH = "It leads from each player to the row that stands in the sorted set now."


def _plays_on(trial: Trial) -> None:
    """Many scores, better, worse and equal; the board as a list that is kept in order."""
    names = trial.words(5)
    key = _filled(trial, {})
    order: list[tuple[float, str]] = []
    for _ in range(25):
        name, score = trial.rng.choice(names), float(trial.rng.choice([100, 200, 300]))
        got = trial.call(trial.client, key, name, score)
        if (score, name) not in order:
            order = [entry for entry in order if entry[1] != name] + [(score, name)]
            order.sort(key=lambda entry: -entry[0])
        trial.equal(
            _standing(trial, key),
            [player for _, player in order],
            f"the order after {name} scored {score:.0f}",
            advice="A new score replaces the old one, also when it is lower, and who makes it is "
            f"the last to reach it. {_STAMPS_DIFFER}",
        )
        trial.equal(
            got, order.index((score, name)) + 1, "what the function returns", advice="From 1."
        )
    _check_rows(trial, key)


@first_come.check("keeps the score itself whole", points=1)
def _whole(trial: Trial) -> None:
    ada, bob, cyd = trial.words(3)
    key = _filled(trial, {})
    best = 2.0**53 - trial.rng.randrange(1, 1000)
    scores = {ada: best, bob: best - 1, cyd: trial.rng.randrange(1, 999) + 0.1}
    for name, score in scores.items():
        trial.call(trial.client, key, name, score)
    _standing(trial, key)
    rows = _rows(trial, key, withscores=True)
    trial.equal(
        {row.split(":", 1)[1]: score for row, score in rows},
        scores,
        "the scores, two of which differ by one in sixteen digits",
        advice="A double has no room for a time beside such a score: the order goes into the "
        "member. And a script hands the score on as it came, as text.",
    )


@first_come.check("does it in one round trip", points=1)
def _stamp_trip(trial: Trial) -> None:
    key, player = _filled(trial, {}), trial.word()
    for score in (5.0, 7.0):
        _one_trip(
            trial,
            "Between two trips another score is stored, and numbers and rows mix.",
            (key, player, score),
            (key, player, score + 1),
        )
        _one_step(
            trial,
            "Your pipeline is no transaction: other clients may score between its commands. A "
            "script does all of it in one step.",
        )
    trial.equal(_standing(trial, key), [player], "the board after one player's two scores")


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
    trial.require(type(got) is dict, f"Return a dictionary with three names, not {got!r:.80}.")
    for window, name in expected.items():
        trial.equal(got.get(window), name, f"{window} at {moment:.0f} in {zone}", advice=advice)
    trial.equal(got, expected)


@window_names.check("names day, week and month", points=1)
def _plain_names(trial: Trial) -> None:
    single_digits = dt.datetime(2026, 2, trial.rng.randint(1, 9), 12, tzinfo=dt.UTC)
    wednesday = dt.datetime(2026, 4, 1, 12, tzinfo=dt.UTC)
    for noon in (single_digits, wednesday + dt.timedelta(weeks=trial.rng.randint(0, 38))):
        _compare_names(
            trial,
            noon.timestamp(),
            "UTC",
            "Months, days and weeks have two digits, and a week is of ISO 8601: it begins on "
            "Monday, and the first one has the year's first Thursday.",
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

_Windows = dict[str, tuple[str, int]]


def _windows(trial: Trial) -> _Windows:
    """Some windows with periods, and the moments until which they are kept."""
    now = int(time.time())
    kinds = trial.rng.sample(["hourly", "daily", "weekly", "monthly", trial.word()], 3)
    return {
        kind: (f"2026-{trial.word(3)}", now + trial.rng.randint(100_000, 900_000)) for kind in kinds
    }


def _window_keys(board: str, windows: _Windows) -> dict[str, int | None]:
    keys: dict[str, int | None] = {
        f"arcade:{{{board}}}:{window}:{period}": until
        for window, (period, until) in windows.items()
    }
    return {f"arcade:{{{board}}}:all": None, **keys}


def _exactly_these(trial: Trial, keys: dict[str, int | None]) -> None:
    found = set(trial.client.scan_iter())
    missing, others = sorted(set(keys) - found), sorted(found - set(keys))
    if missing:
        advice = "Every window that `windows` names has a key, and so has all time."
        if any(trial.sent(name, missing[0]) for name in ("EXPIREAT", "PEXPIREAT")):
            advice = (
                "A moment that is over deletes a key at once: EXPIREAT counts seconds since the "
                "epoch, PEXPIREAT milliseconds."
            )
        elif others:
            advice = f"There is {others[0]} instead."
        trial.fail(f"There is no key {missing[0]} after the score. {advice}")
    trial.require(not others, f"Besides the windows' keys there is {', '.join(others[:2])}.")
    for key in keys:
        kind = trial.client.type(key)
        trial.require(kind == "zset", f"{key} is a {kind}, not a sorted set.")


@submit_windows.check("keeps the best score in every window and for all time", points=1)
def _everywhere(trial: Trial) -> None:
    board, player = trial.words(2)
    windows = _windows(trial)
    for score in (300.0, 1500.0, 400.0):
        trial.call(trial.client, board, player, score, windows)
        _exactly_these(trial, _window_keys(board, windows))
    for key in _window_keys(board, windows):
        trial.equal(
            trial.client.zscore(key, player),
            1500.0,
            f"the score in {key} after 300, 1500 and 400",
            advice="`gt=True` keeps the larger, in every window.",
        )
    _next_day(trial, board, player, windows)


def _next_day(trial: Trial, board: str, player: str, windows: _Windows) -> None:
    """A window that begins has a best of its own, below that of all time."""
    (window, (_, until)), *_ = windows.items()
    begun = {window: (f"2027-{trial.word(3)}", until + 86_400)}
    trial.call(trial.client, board, player, 200.5, begun)
    keys = _window_keys(board, begun)
    missing = [key for key in keys if not trial.client.exists(key)]
    trial.require(
        not missing,
        f"There is no key {', '.join(missing)} after a score of 200.5, where all time has 1500. "
        "Each window has a best of its own.",
    )
    _exactly_these(trial, _window_keys(board, windows) | keys)
    expected = [1500.0 if until is None else 200.5 for until in keys.values()]
    trial.equal(
        [trial.client.zscore(key, player) for key in keys],
        expected,
        "the best of all time and of a window that has just begun, after 1500 before it and 200.5 "
        "in it",
        advice="Each window has a best of its own.",
    )


@submit_windows.check("lets a window end when it should, and all time never", points=1)
def _window_ends(trial: Trial) -> None:
    board, *players = trial.words(3)
    windows = _windows(trial)
    keys = _window_keys(board, windows)
    for number, player in enumerate([*players, players[0]]):
        trial.call(trial.client, board, player, 100.0 + number, windows)
        _exactly_these(trial, keys)
        for key, until in keys.items():
            left = trial.client.pttl(key) / 1000
            if until is None:
                trial.require(left < 0, f"{key} has a time to live; all time does not end.")
                continue
            trial.require(
                left > 0,
                f"{key} has no time to live, and stays for ever: after its score is stored, in the "
                "same transaction, say until when it is kept.",
            )
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
    _one_trip(
        trial,
        "A crash between two trips leaves a score in one window and not in the other.",
        (board, player, 10.0, windows),
        (board, player, 20.0, windows),
    )
    _one_step(trial, "A pipeline with `transaction=False` can be interrupted between its commands.")
    _exactly_these(trial, _window_keys(board, windows))


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


def _page(trial: Trial, key: str, limit: int, cursor: object) -> tuple[list[Row], Any]:
    """The entries and the next cursor that the answer gives."""
    empty = "A page may be empty, and has no last entry then to make a cursor of: look first."
    with trial.explain(IndexError, empty):
        got = trial.call(trial.client, key, limit, cursor)
    trial.require(
        type(got) is dict and set(got) == {"entries", "cursor"},
        f"Return a dictionary with `entries` and `cursor`, not {got!r:.80}.",
    )
    _pairs(trial, got["entries"], "`entries`")
    trial.require(
        len(got["entries"]) <= limit,
        f"A page has {len(got['entries'])} entries where {limit} are asked for: ZREVRANGE includes "
        "its last index, and what is joined has to be cut.",
    )
    return got["entries"], got["cursor"]


def _pages(
    trial: Trial, key: str, limit: int, between: Callable[[int], object] | None = None
) -> Iterator[list[Row]]:
    """The pages of a board, until the cursor is None; `between` acts between two of them."""
    cursor: Any = None
    entries: list[Row] = []
    for number in range(100):
        entries, cursor = _page(trial, key, limit, cursor)
        yield entries
        if cursor is None:
            return
        if between is not None:
            between(number)
    trial.fail(
        f"After 100 pages there is still a cursor, and the page is {entries!r:.80}: "
        + (
            "the pages go round in circles. The cursor's own entry, or a score that has lost "
            "digits, leads back to what has come already."
            if entries
            else "where nothing is left, the cursor is None."
        )
    )


def _tied_board(trial: Trial, count: int) -> tuple[str, list[Row]]:
    """A board where many have the same score, of names and scores of every kind."""
    names = [
        trial.rng.choice([name, name.title(), f"{name[:3]}:{name[3:]}", f"{name} é"])
        for name in trial.words(count)
    ]
    ties = [10.0, trial.rng.randrange(20, 90) + 0.1, 2.0**53 - trial.rng.randrange(1, 999, 2)]
    # Each tie is longer than a page, and the upper two end in the middle of one.
    first, second = trial.rng.choice([9, 11]), trial.rng.choice([9, 11])
    low, middle, high = ties
    placed = [high] * first + [middle] * second + [low] * (count - first - second)
    key = _filled(trial, dict(zip(names, placed, strict=True)))
    return key, _rows(trial, key, withscores=True)


@page_after.check("leads through the whole board, page by page", points=1)
def _all_pages(trial: Trial) -> None:
    key, rows = _ladder(trial, 23)
    _leads_through(trial, key, rows, 5)
    key, rows = _ladder(trial, 12)
    _leads_through(trial, key, rows, 4)
    _leads_through(trial, key, rows, 50)
    _, cursor = _page(trial, key, 3, None)
    again = [_page(trial, key, 3, cursor) for _ in range(2)]
    trial.equal(
        [entries for entries, _ in again],
        [rows[3:6]] * 2,
        "the second page, asked for twice with the same cursor",
        advice="A cursor is a place, and leads to the same page however often it is used.",
    )
    empty = _page(trial, f"{key}:none", 5, None)
    trial.equal(empty, ([], None), "the entries and the cursor of an empty board")


def _leads_through(trial: Trial, key: str, rows: list[Row], limit: int) -> None:
    pages = list(_pages(trial, key, limit))
    trial.equal(pages[0], rows[:limit], "the first page", advice="The best comes first.")
    met = [row for page in pages for row in page]
    trial.require(
        len(met) == len(set(met)),
        "Some players come twice: the cursor's own entry belongs to the page before.",
    )
    missing = [name for name, _ in rows if name not in dict(met)]
    trial.require(
        not missing,
        f"{len(missing)} of {len(rows)} players never came, with {limit} to a page: the next page "
        "begins right after the last entry of this one, and the cursor is None only where nothing "
        "is left.",
    )
    trial.equal(met, rows, "all pages together")
    _full_pages(trial, pages, len(rows), limit)


def _full_pages(trial: Trial, pages: list[list[Row]], count: int, limit: int) -> None:
    full, rest = divmod(count, limit)
    trial.equal(
        [len(page) for page in pages if page],
        [limit] * full + [rest] * (rest > 0),
        "the lengths of the pages",
        advice="What is left of the tie and what comes below it fill a page together.",
    )


@page_after.check("cuts a tie in two without losing anybody", points=1)
def _tied_pages(trial: Trial) -> None:
    for limit in (4, trial.rng.choice([1, 2, 3])):
        key, rows = _tied_board(trial, 31)
        pages = list(_pages(trial, key, limit))
        met = [row for page in pages for row in page]
        missing = [name for name, _ in rows if name not in dict(met)]
        trial.require(
            not missing,
            f"{len(missing)} of 31 players never came: they have the same score as the last entry "
            "of a page. The score alone, or not all of its digits, is no place within a tie; the "
            "name is needed as well, and of the cursor's score the *smaller* names are still to "
            "come: smaller by their bytes, as Python compares; in Lua `<` goes by the server's "
            "locale.",
        )
        trial.require(
            len(met) == len(set(met)),
            "Some players of a tie come twice: of those with the cursor's score, only the ones "
            "with a smaller name are still to come, by their bytes.",
        )
        trial.equal(
            met,
            rows,
            "all pages together",
            advice="The order is that of ZREVRANGE: equal scores by the bytes of the name, the "
            "largest first.",
        )
        _full_pages(trial, pages, len(rows), limit)


def _place_of(row: Row) -> tuple[float, str]:
    name, score = row
    return score, name


@page_after.check("meets everybody who stays exactly once while others move", points=2)
def _moving_pages(trial: Trial) -> None:
    key, rows = _tied_board(trial, 40)
    witness = trial.another_client()
    names = [name for name, _ in rows]
    still = set(trial.rng.sample(names, 20))
    moving = [name for name in names if name not in still]
    seen: list[Row] = []
    astray: list[str] = []
    stale: list[str] = []

    def between(number: int) -> None:
        # Those just read climb or vanish, the cursor's own row among them; new ones come on top.
        # Of those still to come, one falls.
        for name in [name for name, _ in seen[-6:] if name in moving]:
            if trial.rng.random() < 0.5:
                witness.zadd(key, {name: 2.0**60 + number})
            else:
                witness.zrem(key, name)
        witness.zadd(key, {f"new{number}": 2.0**61 + number})
        met = {name for name, _ in seen}
        for name in [name for name in moving if name not in met][-1:]:
            witness.zadd(key, {name: 5.0 - number / 8}, xx=True)

    for page in _pages(trial, key, 3, between):
        live: list[Row] = _rows(trial, key, withscores=True)
        place = _place_of(seen[-1]) if seen else (float("inf"), "")
        stale += [name for name, score in page if (name, score) not in live]
        if page != [row for row in live if _place_of(row) < place][:3]:
            astray += [f"{page!r:.120}"]
        seen += page
    met = [name for name, _ in seen if name in still]
    twice = sorted({name for name in met if met.count(name) > 1})
    missed = sorted(still - set(met))
    trial.require(
        not stale,
        f"{', '.join(stale[:1])} came with a score of an earlier moment, or had left: read each "
        "page from the board as it is now, not from a copy.",
    )
    trial.require(
        not (twice or missed or astray),
        f"Of 20 players who did not move, {len(missed)} never came and {len(twice)} came twice; "
        f"{len(astray)} pages did not begin right after the last entry of the page before. "
        "Others moved across the page meanwhile, so a count of entries, or the place of an entry "
        "that has gone, points elsewhere: go on from the score and the name.",
    )


@page_after.check("reads a page in one round trip", points=1)
def _page_trip(trial: Trial) -> None:
    key, rows = _ladder(trial, 40)
    _one_trip(trial, "The first page takes one question.", (key, 4, None), (key, 5, None))
    _, cursor = _page(trial, key, 4, None)
    _one_trip(
        trial,
        "Between the rest of the tie and what follows it the board may change.",
        (key, 4, cursor),
        (key, 5, _page(trial, key, 5, None)[1]),
    )
    most = max((len(command.args) for command in trial.log), default=0)
    trial.require(most < 30, "Your function sends more than a place and a limit.")
    names = {name for name, _ in rows}
    _remark_on_size(trial, names, 20)
    trial.equal(_page(trial, key, 4, cursor)[0], rows[4:8], "the second page")
    left = sorted(trial.client.scan_iter())
    trial.equal(left, [key], "the keys on the server", advice="A page is read, and writes nothing.")


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

_LOST: dict[str, type[httpx.TransportError]] = {
    "read timeout": httpx.ReadTimeout,
    "read error": httpx.ReadError,
    "closed": httpx.RemoteProtocolError,
}
_DOWN: dict[str, type[httpx.TransportError]] = {
    "down": httpx.ConnectError,
    "connect timeout": httpx.ConnectTimeout,
}


class _Service:
    """A service that adds scores up, forgets nothing, and fails as it is told to.

    Args:
        trial: The trial, in whose messages the client is called `http`.
        failures: What befalls each request in turn: a word of `_LOST` (stored, and the answer is
            lost), one of `_DOWN` (nothing arrives), or a status such as "503"; requests after
            them succeed.
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
        if failure in _DOWN:
            raise _DOWN[failure]("the service cannot be reached", request=request)
        if failure.isdigit():
            return httpx.Response(int(failure), json={"status": int(failure)})
        answer = self._store(request)
        if answer is None:
            return httpx.Response(422, json={"detail": "expected a JSON object", "status": 422})
        if failure in _LOST:
            raise _LOST[failure]("no answer came", request=request)
        return httpx.Response(201, json=answer)

    def _store(self, request: httpx.Request) -> dict[str, Any] | None:
        key = request.headers.get("Idempotency-Key")
        if key in self._answers:
            return self._answers[key]
        body = _body(request)
        if type(body) is not dict or not isinstance(body.get("score"), int | float):
            return None
        self.total += body["score"]
        answer = {"member": body.get("member"), "total": self.total}
        if key is not None:
            self._answers[key] = answer
        return answer


def _body(request: httpx.Request) -> Any:
    try:
        return json.loads(request.content)
    except ValueError:
        return request.content.decode("utf-8", "replace")


def _post(trial: Trial, service: _Service, *args: Any) -> Any:
    """Call the answer with the service's client, and without ever waiting."""
    with service.http, mock.patch("time.sleep") as sleep:
        try:
            got = trial.call(service.http, *args)
        except AnswerRaised:
            trial.require(bool(service.requests), _NOTHING_SENT)
            raise
    trial.require(bool(service.requests), _NOTHING_SENT)
    trial.require(
        not sleep.called,
        "Your function waits between its attempts; the contract asks for the next one at once.",
    )
    return got


_NOTHING_SENT = (
    "Nothing was sent through `http`, the client that your function is given: it alone knows the "
    "service's address. Call `http.post(...)`."
)


@post_once.check("posts the score and returns the service's answer", points=1)
def _posts(trial: Trial) -> None:
    board, player, score = trial.word(), trial.word(), trial.rng.randint(10, 900)
    service = _Service(trial)
    refused = ""
    try:
        got = _post(trial, service, board, player, score)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, httpx.HTTPStatusError):
            raise
        got, refused = None, " The service answered 422: pass the dictionary as `json=`."
    request, *more = service.requests
    trial.equal(request.method, "POST", "the method")
    trial.equal(request.url.path, f"/boards/{board}/scores", "the path")
    trial.equal(
        _body(request), {"member": player, "score": score}, "the body", advice=refused.strip()
    )
    kind = request.headers.get("Content-Type", "")
    trial.require(
        kind.startswith("application/json"),
        f"The request says that its body is {kind or 'of no type'}, and the service reads JSON: "
        "pass the dictionary as `json=`, which says so too.",
    )
    trial.require(not more, f"{len(more) + 1} requests were sent; the first one succeeded.")
    trial.require(
        not isinstance(got, httpx.Response), "Return the answer's JSON, not the response itself."
    )
    trial.equal(got, {"member": player, "total": float(score)})


@post_once.check("stores it once however often the answer is lost", points=1)
def _stores_once(trial: Trial) -> None:
    statuses = ("500", "502", "503", "504", "599")
    lost, down, status = (trial.rng.choice([*words]) for words in (_LOST, _DOWN, statuses))
    _stored_once(trial, tuple(trial.rng.sample([lost, down, status], 3)))
    for failure in (*_LOST, *_DOWN, *statuses):
        _stored_once(trial, (failure,))


_UNAVAILABLE = "A status of 500 or more is the service's trouble, and may soon be over: try again."


def _why_again(error: BaseException | None, attempts: int) -> str:
    made = f"Attempts made: {attempts} of 4."
    if isinstance(error, httpx.TransportError):
        return f"{made} Try again after any httpx.TransportError."
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code >= 500:
        return f"{made} {_UNAVAILABLE}"
    return ""


def _stored_once(trial: Trial, failures: tuple[str, ...]) -> None:
    score, player = trial.rng.randint(10, 900), trial.word()
    service = _Service(trial, failures)
    try:
        got = _post(trial, service, trial.word(), player, score)
    except AnswerRaised as raised:
        advice = _why_again(raised.__cause__, len(service.requests))
        raise AnswerRaised(f"{raised} {advice}".rstrip()) from raised.__cause__
    what = ", then ".join(failures)
    trial.require(
        None not in service.keys,
        "A request had no Idempotency-Key header, so a retry is stored as another score.",
    )
    trial.require(
        len(service.requests) > len(failures),
        f"No request followed the last failure ({what}), and the next one succeeds. {_UNAVAILABLE}",
    )
    trial.require(
        len(service.requests) == len(failures) + 1,
        f"{len(service.requests)} requests were sent, where {len(failures)} failed ({what}) and "
        "the next one succeeded: then there is nothing to try again.",
    )
    trial.require(
        len(set(service.keys)) == 1,
        "Each attempt had a key of its own, so the service took the retry for another score. Make "
        "the key once, before the loop.",
    )
    trial.equal(service.total, float(score), "the points that the service has added up")
    trial.equal(got, {"member": player, "total": float(score)})


@post_once.check("gives every call a key of its own", points=1)
def _own_keys(trial: Trial) -> None:
    service = _Service(trial)
    board, player = trial.words(2)
    calls = 40
    with service.http, mock.patch("time.sleep"):
        for _ in range(calls):
            trial.call(service.http, board, player, 10)
    trial.require(bool(service.requests), _NOTHING_SENT)
    keys = [key for key in service.keys if key is not None]
    trial.require(len(keys) == len(service.keys), "A request had no Idempotency-Key header.")
    trial.require(
        len(set(keys)) == calls,
        f"Number of keys in {calls} calls: {len(set(keys))}. So the service stored "
        f"{service.total:.0f} points of {calls * 10}. A key made of board, player and score, made "
        "once for all calls, or drawn from few numbers cannot tell a new score from a retry: make "
        "a random one in each call, such as uuid.uuid4().",
    )
    first, second = keys[-2:]
    trial.require(
        not _counted(first, second),
        f"The keys count up: {first!r:.60}, {second!r:.60}. Another game, or this one after a "
        "restart, counts through the same numbers: make a random key, such as uuid.uuid4().",
    )
    trial.equal(service.total, 10.0 * calls, f"the points after {calls} scores of 10")


def _counted(first: str, second: str) -> bool:
    """Whether the second key is the first one with its last number grown by one."""
    one, two = (re.fullmatch(r"(.*?)(\d+)", key) for key in (first, second))
    return bool(one and two and one[1] == two[1] and int(two[2]) - int(one[2]) == 1)


@post_once.check("gives up when it should", points=1)
def _gives_up(trial: Trial) -> None:
    wrong = trial.rng.choice(["400", "401", "403", "404", "409", "422", "429"])
    at_once = "a status of 4xx says that this request is wrong, and will be wrong again."
    service = _Service(trial, (wrong,) * 6)
    _raises(trial, service, httpx.HTTPStatusError, f"answered {wrong}")
    count = len(service.requests)
    trial.require(count == 1, f"{count} requests were sent; {at_once}")
    service = _Service(trial, ("503", *(wrong,) * 5))
    _raises(trial, service, httpx.HTTPStatusError, f"answered 503 and then {wrong}")
    count = len(service.requests)
    trial.require(count > 1, f"1 request was sent, and the answer was 503. {_UNAVAILABLE}")
    trial.require(count == 2, f"{count} requests were sent after 503 and {wrong}; {at_once}")
    service = _Service(trial, ("down",) * 6)
    _raises(trial, service, httpx.TransportError, "could not be reached")
    trial.equal(len(service.requests), 4, "the attempts while the service cannot be reached")
    service = _Service(trial, ("503",) * 6)
    _raises(trial, service, httpx.HTTPStatusError, "answered 503 each time")
    trial.equal(len(service.requests), 4, "the attempts while the service answers 503")
    service = _Service(trial, (*("down",) * 3, *("503",) * 3))
    _raises(trial, service, httpx.HTTPStatusError, "was down three times and answered 503 at last")
    trial.equal(len(service.requests), 4, "the attempts")
    service = _Service(trial, (*("503",) * 3, *("down",) * 3))
    _raises(trial, service, httpx.TransportError, "answered 503 three times and was down at last")
    trial.equal(len(service.requests), 4, "the attempts")


def _raises(trial: Trial, service: _Service, error: type[Exception], what: str) -> None:
    try:
        got = _post(trial, service, "pong", "ada", 10)
    except AnswerRaised as raised:
        trial.require(
            isinstance(raised.__cause__, error),
            f"The service {what}, and {raised} Let the *last* error reach the caller as it is: "
            f"here an httpx.{error.__name__}.",
        )
        return
    trial.fail(
        f"The service {what}, and your function returned {got!r:.80} as if all were well. Let the "
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
