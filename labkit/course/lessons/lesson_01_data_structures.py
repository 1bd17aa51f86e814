"""What lesson 01-data-structures checks: an arcade game's data, structure by structure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from labkit.clock import fast_forward
from labkit.course.exercise import AnswerRaised, Outline, Question, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

outline = Outline(
    "01-data-structures",
    title="Pick the right data structure",
    prefix="arcade:",
    needs=("OBJECT", "MEMORY"),
)


def _only_key(
    trial: Trial, key: str, kind: str, *, elsewhere: str = "", otherwise: str = ""
) -> None:
    """Demand this key, of this type, and no other: what follows may then read it.

    Args:
        trial: The trial.
        key: The key.
        kind: Its type.
        elsewhere: What to say when another key stands there in its place.
        otherwise: What to say when the key is of another type.
    """
    keys = sorted(trial.client.scan_iter())
    trial.require(bool(keys), f"Nothing is stored: there is no {key}.")
    others = ", ".join([name for name in keys if name != key][:3])
    trial.require(
        key in keys, f"There is no {key}; what is stored is {others}. {elsewhere}".strip()
    )
    trial.require(not others, f"Besides {key} your answer leaves {others} behind.")
    found = trial.client.type(key)
    trial.require(found == kind, f"{key} is a {found}, not a {kind}. {otherwise}".strip())


def _in_milliseconds(trial: Trial, seconds: int) -> bool:
    """Whether the answer passed seconds to what counts milliseconds."""
    return any(trial.sent(word, str(seconds)) for word in ("PX", "PEXPIRE", "PSETEX"))


def _seconds(milliseconds: int, expected: int) -> bool:
    """Whether a time to live is what was asked for, give a minute for a busy machine."""
    return (expected - 60) * 1000 < milliseconds <= expected * 1000


def _nothing() -> None:
    """What to prepare where a race or a crash begins on an empty server."""


# -- 2.1 strings -----------------------------------------------------------------------------

claim_nickname = outline.exercise(
    "claim_nickname",
    "Claim a nickname, once",
    hints=(
        "SET has an option that stores only where there is nothing yet, and one for the time to "
        "live. Both go into the same command.",
        "The options are `nx` and `ex`. Look at what `r.set` returns when the key is taken: "
        "redis-py answers `None` then, and the contract asks for `False`.",
        "A single `r.set` with the key, the player and both options does everything; turn what it "
        "returns into a bool. No GET before, no EXPIRE after.",
    ),
)


def _nickname(trial: Trial) -> tuple[str, str]:
    nickname = trial.word()
    return nickname, f"arcade:nickname:{nickname}"


@claim_nickname.check("gives a free nickname to the player for ten minutes", points=1)
def _claims(trial: Trial) -> None:
    (nickname, key), player = _nickname(trial), trial.word()
    got = trial.call(trial.client, nickname, player)
    trial.require(
        not trial.sent("XX"),
        "`xx=True` stores only where there is something already; `nx=True` stores only where "
        "there is nothing.",
    )
    trial.require(
        not _in_milliseconds(trial, 600),
        f"{key} lives 600 ms, and ten minutes are 600,000: `ex` counts seconds, `px` milliseconds.",
    )
    _only_key(trial, key, "string")
    trial.equal(trial.client.get(key), player, f"the value of {key}")
    left = trial.client.pttl(key)
    trial.require(left != -1, f"{key} never expires: pass `ex=600`.")
    trial.require(
        540_000 < left <= 600_000, f"{key} lives {left} ms, and ten minutes are 600,000 ms."
    )
    trial.equal(got, True)


@claim_nickname.check("leaves a taken nickname with its holder", points=1)
def _respects(trial: Trial) -> None:
    (nickname, key), holder = _nickname(trial), trial.word()
    trial.call(trial.client, nickname, holder)
    _only_key(trial, key, "string")
    trial.client.set(key, holder, ex=100)
    got = trial.call(trial.client, nickname, trial.word())
    trial.equal(
        trial.client.get(key),
        holder,
        f"the holder of {key}",
        advice="SET overwrites unless you pass `nx=True`, which stores only where nothing is.",
    )
    trial.require(
        0 < trial.client.ttl(key) <= 100,
        "A refused claim changed how long the holder keeps the name.",
    )
    trial.require(
        got is not None,
        "redis-py answers `None`, not `False`, when `nx=True` finds the key taken: wrap it in "
        "`bool(...)`.",
    )
    trial.equal(got, False)


@claim_nickname.check("gives it to one of two players who ask at the same moment", points=1)
def _one_winner(trial: Trial) -> None:
    (nickname, key), player, rival = _nickname(trial), trial.word(), trial.word()
    witness = trial.another_client()

    def claim() -> None:
        witness.set(key, rival, nx=True, ex=600)

    trial.call(trial.client, nickname, player)
    _only_key(trial, key, "string")
    taken = "Another player claimed the name meanwhile: it is taken, and the answer is `False`."
    with trial.explain(redis.WatchError, taken):
        for got in trial.race(_nothing, claim, trial.client, nickname, player):
            trial.require(
                (witness.get(key), got) != (player, True),
                "Looking first and storing then leaves a gap: another player claimed the name in "
                "between and lost it. `nx=True` lets Redis look and store in one step.",
            )
            holder = witness.get(key)
            trial.equal(got, holder == player, f"the answer when the name goes to {holder}")


@claim_nickname.check("leaves no claim without a time to live, even when cut off", points=1)
def _claim_expires(trial: Trial) -> None:
    (nickname, key), player = _nickname(trial), trial.word()
    trial.call(trial.client, nickname, player)
    _only_key(trial, key, "string")
    for _ in trial.crashes(_nothing, trial.client, nickname, player):
        trial.require(
            trial.client.ttl(key) != -1,
            "Storing and then expiring are two trips: a crash between them leaves a nickname "
            "that never comes free again.",
        )


allow_request = outline.exercise(
    "allow_request",
    "Count requests without a race",
    hints=(
        "INCR counts and tells in one step. What is left is to make sure that the counter has a "
        "time to live from its very first moment, and that later requests do not renew it.",
        "Send two commands in one transaction: the first creates the counter at 0 with its time "
        "to live, but only where there is none (`nx=True`); the second is INCR.",
        "On one pipeline: `set` to 0 with `nx` and `ex`, then `incr`. Of the two replies, the "
        "second is the count with this request in it, and that may be as large as `limit`.",
    ),
)


def _allow(trial: Trial, player: str, limit: int, window: int) -> Any:
    return trial.call(trial.client, player, limit, window)


@allow_request.check("lets the first `limit` requests through and refuses the rest", points=1)
def _limits(trial: Trial) -> None:
    limit, other_limit = trial.rng.sample(range(2, 7), 2)
    player = trial.word()
    _count_up(trial, player, limit)
    key = f"arcade:rate:{player}"
    trial.require(
        trial.client.dbsize() > 0,
        f"There is no {key}. A count kept in Python is one process's own; kept in Redis, every "
        "server of the game shares it.",
    )
    _only_key(trial, key, "string", elsewhere="Every player needs a counter of their own.")
    _count_up(trial, trial.word(), other_limit)


def _count_up(trial: Trial, player: str, limit: int) -> None:
    for number in range(1, limit + 3):
        got = _allow(trial, player, limit, 60)
        trial.equal(
            got,
            number <= limit,
            f"request number {number} where {limit} are allowed",
            advice="Compare the count, this request included, with `<= limit`."
            if type(got) is bool and number in (limit, limit + 1)
            else "",
        )


@allow_request.check("begins the window with the first request and never prolongs it", points=1)
def _window(trial: Trial) -> None:
    player, window = trial.word(), trial.rng.randint(1000, 9000)
    key = f"arcade:rate:{player}"
    _allow(trial, player, 5, window)
    trial.require(
        not _in_milliseconds(trial, window),
        f"{key} lives {window} ms, not {window} seconds: PEXPIRE and `px` count milliseconds.",
    )
    _only_key(trial, key, "string")
    left = trial.client.pttl(key)
    trial.require(left != -1, f"{key} never expires, so the player is never let in again.")
    trial.require(_seconds(left, window), f"{key} lives {left} ms, not {window} seconds.")
    fast_forward(trial.client, window // 2, match=key)
    _allow(trial, player, 5, window)
    left = trial.client.pttl(key)
    trial.require(left != -1, "The second request took the counter's time to live away.")
    trial.require(
        left <= (window - window // 2) * 1000,
        "The second request made the window longer: whoever keeps trying is locked out for good. "
        "Set the time to live only when the counter begins.",
    )
    fast_forward(trial.client, window, match=key)
    trial.equal(_allow(trial, player, 1, window), True, "the first request of a new window")


@allow_request.check("counts every request when two arrive at the same moment", points=1)
def _counts_all(trial: Trial) -> None:
    player = trial.word()
    key = f"arcade:rate:{player}"
    rival = trial.another_client()

    def request() -> None:
        rival.pipeline().set(key, 0, nx=True, ex=60).incr(key).execute()

    request()
    _allow(trial, player, 5, 60)
    _only_key(trial, key, "string", elsewhere="Every player needs a counter of their own.")
    trial.equal(rival.get(key), "2", f"the count in {key} after two requests")
    again = "Another request was counted meanwhile: catch WatchError and begin again."
    with trial.explain(redis.WatchError, again):
        for _ in trial.race(_nothing, request, trial.client, player, 5, 60):
            trial.equal(
                rival.get(key),
                "2",
                f"the count in {key} after two requests at once",
                advice="Reading the count and then writing it loses whatever came in between: "
                "INCR adds on the server.",
            )


@allow_request.check("never leaves a counter without a time to live", points=1)
def _counter_expires(trial: Trial) -> None:
    player = trial.word()
    key = f"arcade:rate:{player}"
    witness = trial.another_client()
    _allow(trial, player, 5, 60)
    _only_key(trial, key, "string")
    for _ in trial.crashes(_nothing, trial.client, player, 5, 60):
        trial.require(
            witness.ttl(key) != -1,
            "INCR and then EXPIRE are two trips: a crash between them leaves a counter that never "
            "expires, and the player is locked out for good.",
        )

    def begin() -> None:
        witness.set(key, 1, ex=60)

    def run_out() -> None:
        witness.delete(key)

    for _ in trial.race(begin, run_out, trial.client, player, 5, 60):
        trial.require(
            witness.ttl(key) != -1,
            "The window ended between two of your trips, and INCR began a counter that never "
            "expires. Send both commands in one transaction.",
        )


# -- 2.2 lists -------------------------------------------------------------------------------

add_recent = outline.exercise(
    "add_recent",
    "Recent games, capped with a list",
    hints=(
        "Three list commands: one pushes to the left end, one cuts the list to a range, one reads "
        "it.",
        "`lpush`, `ltrim` and `lrange`. Both ranges include their last index: the first `keep` "
        "entries are 0 to `keep - 1`.",
        "Queue all three on one pipeline, in that order; `execute()` answers three replies, and "
        "the list is the last of them.",
    ),
)


def _play(trial: Trial, keep: int, games: list[str]) -> tuple[str, Any]:
    player = trial.word()
    got = None
    for game in games:
        got = trial.call(trial.client, player, game, keep)
    return f"arcade:recent:{player}", got


@add_recent.check("answers the recent games, newest first", points=1)
def _newest_first(trial: Trial) -> None:
    games = trial.words(7)
    games.append(games[0])
    key, got = _play(trial, 10, games)
    trial.require(got is not None, "Your function returns nothing; return the list of games.")
    trial.require(type(got) is not int, "LPUSH answers the length of the list, LRANGE its games.")
    trial.require(
        not (isinstance(got, list) and got and isinstance(got[-1], list)),
        "`pipe.execute()` answers one reply for each command: the list of games is the last.",
    )
    _only_key(trial, key, "list")
    stored = trial.client.lrange(key, 0, -1)
    trial.require(
        stored != games,
        f"In {key} the newest game stands last: RPUSH puts it at the end, LPUSH in front.",
    )
    twice = f"{games[0]} was played twice, so it is on the list twice."
    advice = twice if stored == games[:0:-1] else ""
    trial.equal(stored, games[::-1], f"the list in {key}", advice=advice)
    trial.equal(got, games[::-1])


@add_recent.check("keeps the newest `keep` games and no more", points=1)
def _capped(trial: Trial) -> None:
    keep = trial.rng.randint(3, 6)
    games = trial.words(keep + 4)
    key, got = _play(trial, keep, games)
    _only_key(trial, key, "list")
    stored = trial.client.lrange(key, 0, -1)
    trial.require(
        len(stored) != keep + 1,
        f"{key} holds {len(stored)} games where {keep} are kept: LTRIM includes its last index, so "
        "the first `keep` entries are 0 to `keep - 1`.",
    )
    trial.require(
        len(stored) <= keep,
        f"{key} holds {len(stored)} games where {keep} are kept. Cutting the answer in Python "
        "leaves the list in Redis growing for ever: LTRIM cuts it there.",
    )
    trial.require(
        games[0] not in stored,
        "The oldest game is still there and the newest are not: LTRIM keeps the range that you "
        "name, and the newest are at the end that you push to.",
    )
    trial.equal(stored, games[: -keep - 1 : -1], f"the list in {key}")
    trial.equal(got, games[: -keep - 1 : -1])


@add_recent.check("pushes, trims and reads in one round trip", points=1)
def _recent_trip(trial: Trial) -> None:
    key, _ = _play(trial, 3, trial.words(1))
    _only_key(trial, key, "list")
    trial.one_trip(
        "LPUSH and then LTRIM are two trips: a crash between them leaves a list that is too long, "
        "and every player waits twice. A pipeline carries all of them at once."
    )


# -- 2.3 sets --------------------------------------------------------------------------------

common_friends = outline.exercise(
    "common_friends",
    "Common friends with sets",
    hints=(
        "What two sets have in common is their intersection, and the server can compute it.",
        "`r.sinter(key1, key2)` answers a Python set. The contract asks for a sorted list.",
        "`sinter` takes both keys and `sorted` makes the list: together they are one line.",
    ),
)


def _befriend(trial: Trial, *, common: int) -> tuple[str, str, list[str]]:
    player, other = trial.words(2)
    names = trial.words(common + 40)
    shared, mine, theirs = names[:common], names[common::2], names[common + 1 :: 2]
    trial.client.sadd(f"arcade:friends:{player}", *shared, *mine)
    trial.client.sadd(f"arcade:friends:{other}", *shared, *theirs)
    return player, other, sorted(shared)


def _friends(trial: Trial, player: str) -> set[str]:
    return set(trial.client.sscan_iter(f"arcade:friends:{player}"))


@common_friends.check("answers the friends that both have, in alphabetical order", points=1)
def _both_have(trial: Trial) -> None:
    player, other, shared = _befriend(trial, common=12)
    mine, theirs = _friends(trial, player), _friends(trial, other)
    got = trial.call(trial.client, player, other)
    trial.require(
        not isinstance(got, set | frozenset),
        "A set has no order: return `sorted(...)`, which makes a list of it.",
    )
    if isinstance(got, list):
        found = sorted(map(str, got))
        trial.require(
            found != sorted(mine | theirs),
            "That is everybody whom either of them knows: SUNION joins two sets, SINTER keeps "
            "what is in both.",
        )
        trial.require(
            found not in (sorted(mine - theirs), sorted(theirs - mine)),
            "Those are the friends that only one of them has: SDIFF takes away, SINTER keeps what "
            "is in both.",
        )
        trial.require(
            got == shared or found != shared,
            "The right friends in the wrong order: a set has none of its own, so sort the answer.",
        )
    trial.equal(got, shared)


@common_friends.check("lets the server intersect, in one round trip", points=1)
def _on_the_server(trial: Trial) -> None:
    player, other, shared = _befriend(trial, common=3)
    got = trial.call(trial.client, player, other)
    trial.require(
        not trial.sent("SISMEMBER"),
        "Asking for each friend singly, by SISMEMBER, is a question a friend: SINTER asks for all.",
    )
    trial.require(
        not any(
            trial.sent(name, f"arcade:friends:{friend}")
            for name in ("SMEMBERS", "SSCAN")
            for friend in (player, other)
        ),
        "SMEMBERS carries both sets to Python, every friend of both, where the few in common "
        "would do: SINTER compares them on the server.",
    )
    trial.one_trip("One question to the server is enough: SINTER takes both keys.")
    found = sorted(map(str, got)) if isinstance(got, set | list) else got
    trial.equal(found, shared, "the friends that both have, in whatever order")


@common_friends.check("answers an empty list for strangers, and leaves nothing behind", points=1)
def _strangers(trial: Trial) -> None:
    player, other, _ = _befriend(trial, common=0)
    mine, theirs = _friends(trial, player), _friends(trial, other)
    keys = {f"arcade:friends:{player}", f"arcade:friends:{other}"}
    trial.equal(trial.call(trial.client, player, other), [])
    trial.equal(trial.call(trial.client, player, trial.word()), [])
    trial.require(
        _friends(trial, player) == mine and _friends(trial, other) == theirs,
        "Your answer changed the friends of one of them: a question changes nothing, and "
        "SINTERSTORE overwrites the key that it is given.",
    )
    myself = trial.call(trial.client, player, player)
    left = set(trial.client.scan_iter()) - keys
    trial.require(
        not left,
        f"The key {', '.join(sorted(left))} is left behind: SINTERSTORE keeps its result, SINTER "
        "only answers it.",
    )
    trial.require(
        isinstance(myself, list) and set(map(str, myself)) == mine,
        "With themselves, a player has every friend in common. "
        f"`common_friends` answers {len(myself) if isinstance(myself, list) else 'no list'}.",
    )


# -- 2.4 hashes ------------------------------------------------------------------------------

save_player = outline.exercise(
    "save_player",
    "A player as a hash with a time to live, in one trip",
    hints=(
        "Three things belong together: forget the old player, store the new fields, set the time "
        "to live. A pipeline sends them at once, and as a transaction.",
        "`pipe.delete(key)`, `pipe.hset(key, mapping=fields)` and `pipe.expire(key, ttl)`.",
        "Queue the three on one pipeline, in that order, all for the same key, and execute it. "
        "Leave `transaction` alone: it is on unless you switch it off.",
    ),
)


_AS_ONE_TEXT = (
    "A hash keeps each field by itself. In one text, changing one field means reading and writing "
    "all of them."
)


def _player(trial: Trial) -> tuple[str, dict[str, str], int]:
    fields = {
        "name": trial.word().title(),
        "level": str(trial.rng.randint(1, 90)),
        "coins": str(trial.rng.randint(100, 9000)),
    }
    return trial.word(4), fields, trial.rng.randint(1000, 9000)


@save_player.check("stores each field in a hash", points=1)
def _stores_hash(trial: Trial) -> None:
    player_id, fields, ttl = _player(trial)
    with trial.explain(redis.DataError, "HSET takes a dictionary as `mapping=fields`."):
        trial.call(trial.client, player_id, dict(fields), ttl)
    key = f"arcade:player:{player_id}"
    _only_key(trial, key, "hash", otherwise=_AS_ONE_TEXT)
    trial.equal(trial.client.hgetall(key), fields, f"the hash in {key}")


@save_player.check("lets the player expire after `ttl` seconds", points=1)
def _player_expires(trial: Trial) -> None:
    player_id, fields, ttl = _player(trial)
    trial.call(trial.client, player_id, dict(fields), ttl)
    trial.require(
        not _in_milliseconds(trial, ttl),
        f"The player lives {ttl} ms where {ttl} seconds were asked for: EXPIRE counts seconds, "
        "PEXPIRE milliseconds.",
    )
    left = trial.client.pttl(f"arcade:player:{player_id}")
    trial.require(left != -2, f"There is no arcade:player:{player_id}.")
    trial.require(
        left != -1 or not trial.sent("EXPIRE"),
        "The player never expires: EXPIRE came when there was no key yet, or HSET made a new one "
        "after it.",
    )
    trial.require(left != -1, "The player never expires: HSET takes no time to live, EXPIRE does.")
    trial.require(
        _seconds(left, ttl),
        f"The player lives {left} ms where {ttl} seconds were asked for.",
    )


@save_player.check("replaces an older player as a whole", points=1)
def _replaces(trial: Trial) -> None:
    player_id, fields, ttl = _player(trial)
    key = f"arcade:player:{player_id}"
    trial.client.hset(key, mapping={"name": "old", "banned": "yes"})
    trial.call(trial.client, player_id, dict(fields), ttl)
    _only_key(trial, key, "hash", otherwise=_AS_ONE_TEXT)
    trial.equal(
        trial.client.hgetall(key),
        fields,
        f"the hash in {key}, where an older player had a field `banned`",
        advice="HSET changes the fields it is given and leaves the others: delete the key first.",
    )


@save_player.check("does so in one round trip that cannot be cut in two", points=1)
def _player_trip(trial: Trial) -> None:
    player_id, fields, ttl = _player(trial)
    trial.call(trial.client, player_id, dict(fields), ttl)
    _only_key(trial, f"arcade:player:{player_id}", "hash", otherwise=_AS_ONE_TEXT)
    hsets = {command.trip for command in trial.log if command.name == "HSET"}
    trial.require(
        len(hsets) < 2,
        f"Field by field, HSET made {len(hsets)} trips: `mapping=fields` carries all fields at "
        "once.",
    )
    if _apart(trial, hsets, "EXPIRE", "PEXPIRE"):
        why = (
            "HSET and then EXPIRE are two trips: a crash between them leaves a player that never "
            "expires."
        )
    elif _apart(trial, hsets, "DEL", "UNLINK"):
        why = "DEL and then HSET are two trips: a crash between them leaves no player at all."
    else:
        why = "Forgetting, storing and expiring fit into one trip."
    trial.one_trip(why)
    trial.require(
        bool({"MULTI", "EVAL", "EVALSHA"} & set(trial.log.names)),
        "One trip, but no transaction: another client can read between DEL and HSET and find no "
        "player. Leave out `transaction=False`.",
    )


def _apart(trial: Trial, trips: set[int], *names: str) -> bool:
    return any(command.name in names and command.trip not in trips for command in trial.log)


# -- 2.6 more types --------------------------------------------------------------------------

mark_active = outline.exercise(
    "mark_active",
    "Daily active players, a bit each",
    hints=(
        "A string is also a row of bits, and each player's number is a place in it.",
        "`setbit(key, player_id, 1)` sets the player's bit, however often it is called; "
        "`bitcount(key)` counts the bits that are set.",
        "Queue both on one pipeline, the marking first; of the two replies, the second is the "
        "count.",
    ),
)


def _days(trial: Trial) -> tuple[str, list[int]]:
    day = f"2026-{trial.rng.randint(1, 12):02}-{trial.rng.randint(1, 28):02}"
    return day, trial.rng.sample(range(4000), 25)


@mark_active.check("answers how many players were active, each counted once", points=1)
def _counts_once(trial: Trial) -> None:
    day, players = _days(trial)
    for count, player in enumerate(players, start=1):
        got = trial.call(trial.client, day, player)
        trial.require(
            not isinstance(got, list),
            "`pipe.execute()` answers one reply for each command: the count is the last.",
        )
        trial.require(
            type(got) is not int or got != 0,
            "SETBIT answers what the bit was before; BITCOUNT answers how many bits are set.",
        )
        trial.equal(got, count)
    trial.equal(
        trial.call(trial.client, day, players[0]),
        len(players),
        advice="The same player came twice and was counted twice.",
    )


@mark_active.check("spends one bit a player", points=1)
def _one_bit(trial: Trial) -> None:
    day, players = _days(trial)
    key = f"arcade:active:{day}"
    for player in players:
        trial.call(trial.client, day, player)
    trial.require(
        not trial.sent("PFADD"),
        "A HyperLogLog only estimates how many there were, and cannot say who: a bit a player "
        "counts exactly.",
    )
    _only_key(
        trial,
        key,
        "string",
        otherwise="That spends several bytes a player, where a bit tells as much.",
    )
    bits = [trial.client.getbit(key, player) for player in players]
    size, room = trial.client.strlen(key), max(players) // 8 + 1
    trial.require(
        size <= room or not all(bits),
        f"{key} takes {size} bytes; a bit for each number up to {max(players)} takes {room}.",
    )
    trial.require(
        all(bits),
        f"The bits of {bits.count(0)} of {len(bits)} active players are not set: set the bit at "
        "the player's own number with SETBIT.",
    )


@mark_active.check("marks and counts in one round trip", points=1)
def _active_trip(trial: Trial) -> None:
    day, players = _days(trial)
    trial.call(trial.client, day, players[0])
    trial.one_trip("Marking and then counting are two trips: a pipeline carries both.")
    _only_key(trial, f"arcade:active:{day}", "string")


# -- 3.2 pipelines ---------------------------------------------------------------------------

load_scores = outline.exercise(
    "load_scores",
    "A thousand writes in one trip",
    hints=(
        "Cut the scores into pieces of 1,000 and send each piece at once. ZADD takes a whole "
        "dictionary of members and scores, so a piece is one command.",
        "`entries = list(scores.items())`, then go through `range(0, len(entries), 1000)`. ZADD "
        "answers how many members were new: add these answers up.",
        "For each start, cut `entries[start : start + 1000]`, make a dictionary of it again, "
        "and add what `zadd` answers to a total that began at 0. With no scores the loop has no "
        "turn, and ZADD never sees an empty dictionary.",
    ),
)


def _scores(trial: Trial, count: int) -> tuple[str, dict[str, float]]:
    names = trial.words(count, length=6)
    return trial.word(), {name: float(trial.rng.randint(1, 10**6)) for name in names}


def _board(trial: Trial, board: str) -> dict[str, float]:
    key = f"arcade:board:{board}"
    _only_key(trial, key, "zset", otherwise="A zset is what Redis calls a sorted set.")
    stored: Any = trial.client.zrange(key, 0, -1, withscores=True)
    return dict(stored)


def _load(trial: Trial, board: str, scores: dict[str, float]) -> Any:
    # A copy: an answer that takes the scores out of its dictionary shall not empty the check's.
    swapped = "`zadd` takes a dictionary from member to score: the players are the members."
    with trial.explain(redis.ResponseError, swapped):
        return trial.call(trial.client, board, dict(scores))


def _same_scores(trial: Trial, stored: dict[str, float], scores: dict[str, float]) -> None:
    for name, score in scores.items():
        trial.equal(stored.get(name), score, f"the score of {name} on the board")
    trial.equal(len(stored), len(scores), "the number of members on the board")


@load_scores.check("stores every score in the sorted set", points=1)
def _stores_all(trial: Trial) -> None:
    board, scores = _scores(trial, trial.rng.randint(1200, 1800))
    _load(trial, board, scores)
    stored = _board(trial, board)
    trial.require(
        len(stored) >= len(scores),
        f"{len(scores)} scores went in and {len(stored)} are on the board: the last piece is "
        "often the one that is forgotten.",
    )
    _same_scores(trial, stored, scores)


@load_scores.check("sends 1,000 scores in one round trip", points=1)
def _one_trip_a_thousand(trial: Trial) -> None:
    board, scores = _scores(trial, 1000)
    _load(trial, board, scores)
    trial.equal(len(_board(trial, board)), 1000, "the number of members on the board")
    writes = {command.trip for command in trial.log if command.name == "ZADD"}
    if len(writes) == 1:
        why = "The scores need one trip, and ZADD itself answers how many members were new."
    elif len(writes) < 500:
        why = "Up to 1,000 scores go into one trip; smaller pieces make more of them."
    else:
        why = "One command a trip makes 1,000 journeys where one would do."
    trial.one_trip(why)


@load_scores.check("never puts more than 1,000 scores into one trip", points=1)
def _bounded_trips(trial: Trial) -> None:
    board, scores = _scores(trial, trial.rng.randint(2001, 2900))
    _load(trial, board, scores)
    trial.equal(len(_board(trial, board)), len(scores), "the number of members on the board")
    carried: dict[int, int] = {}
    for command in trial.log:
        # However they are packed, as arguments or in one JSON text.
        names = scores.keys() & set(re.findall("[a-z]+", " ".join(command.args)))
        carried[command.trip] = carried.get(command.trip, 0) + len(names)
    most = max(carried.values(), default=0)
    trial.require(
        most <= 1000,
        f"One trip carried {most} scores. Without a bound, commands and answers fill memory on "
        "both sides, and a single ZADD of that length holds up every other client.",
    )
    trial.require(
        len(carried) <= 3,
        f"{len(scores)} scores took {len(carried)} trips, where 3 of up to 1,000 are enough.",
    )


@load_scores.check("answers how many members were new, 0 for no scores at all", points=1)
def _answers_new(trial: Trial) -> None:
    board, scores = _scores(trial, 1500)
    # Some of the old scores are higher, some lower and some equal: ZADD's options tell them apart.
    known = {
        name: score + number % 3 - 1
        for number, (name, score) in enumerate(list(scores.items())[:400])
    }
    trial.client.zadd(f"arcade:board:{board}", known)
    got = _load(trial, board, scores)
    trial.require(
        type(got) is not int or got != 1500,
        f"{len(scores)} scores were stored and {len(known)} of the players were there already: "
        f"1100 are new, not {got}. ZADD itself answers how many members it added.",
    )
    trial.require(
        not trial.sent("CH") or got == 1100,
        "With `ch=True` ZADD also counts the members whose score changed.",
    )
    trial.equal(
        got,
        1100,
        f"the answer for {len(scores)} scores of which {len(known)} members were there already",
    )
    trial.require(
        not any(trial.sent(option) for option in ("NX", "GT", "LT")),
        "`nx`, `gt` and `lt` keep some of the old scores: all of them are to be stored anew.",
    )
    _same_scores(trial, _board(trial, board), scores)
    empty = "ZADD refuses an empty dictionary: with no scores there is nothing to send."
    with trial.explain(redis.DataError, empty), trial.explain(redis.ResponseError, empty):
        trial.equal(trial.call(trial.client, trial.word(), {}), 0)


# -- 3.4 transactions ------------------------------------------------------------------------

transfer_coins = outline.exercise(
    "transfer_coins",
    "Move coins and lose none",
    hints=(
        "Whether there are enough coins and moving them must be one step for everybody else: "
        "either WATCH, which refuses the transaction when the key has changed, or a Lua script.",
        "With WATCH: `pipe.watch(key)`, read the coins, decide, `pipe.multi()`, queue DECRBY and "
        "INCRBY, `pipe.execute()`. When it raises `redis.WatchError`, begin again. With a script: "
        "both keys in KEYS, the amount in ARGV, `tonumber` around what you compare, and "
        "`bool(...)` around what `r.eval` answers: Lua's `true` arrives as 1, its `false` as None.",
        "`r.transaction(move, giver_key, value_from_callable=True)` does the watching and the "
        "beginning again: in `move(pipe)` read with `pipe.get`, return `False` when there are too "
        "few, else call `pipe.multi()`, queue both commands and return `True`.",
    ),
)


def _purses(trial: Trial, coins: int) -> tuple[str, str, str, str]:
    giver, taker = trial.words(2)
    purse, other = f"arcade:coins:{giver}", f"arcade:coins:{taker}"
    trial.client.mset({purse: coins, other: 5})
    return giver, taker, purse, other


def _coins(client: redis.Redis, *keys: str) -> list[int]:
    return [int(coins or 0) for coins in client.mget(keys)]


@transfer_coins.check("moves the coins when there are enough", points=1)
def _moves(trial: Trial) -> None:
    coins = trial.rng.randint(50, 90)
    giver, taker, *keys = _purses(trial, coins)
    amount = trial.rng.randint(10, 40)
    as_text = "In a script, what GET answers and what ARGV holds is text: compare `tonumber(...)`."
    with trial.explain(redis.ResponseError, as_text):
        trial.equal(trial.call(trial.client, giver, taker, amount), True)
    trial.equal(
        _coins(trial.client, *keys), [coins - amount, 5 + amount], "the coins of both afterwards"
    )
    left = ", ".join(sorted(set(trial.client.scan_iter()) - set(keys)))
    trial.require(not left, f"Besides both players' coins your answer leaves {left} behind.")
    got = trial.call(trial.client, giver, taker, coins - amount)
    trial.require(
        got is not False,
        "Giving away the very last coin is allowed: the giver needs at least `amount`, not more.",
    )
    trial.equal(got, True)
    trial.equal(_coins(trial.client, *keys), [0, 5 + coins], "the coins of both afterwards")


@transfer_coins.check("refuses when there are too few, and changes nothing", points=1)
def _refuses(trial: Trial) -> None:
    giver, taker, *keys = _purses(trial, 10)
    trial.equal(trial.call(trial.client, giver, taker, 3), True)
    got = trial.call(trial.client, giver, taker, 8)
    left = _coins(trial.client, *keys)
    trial.require(
        left[0] >= 0,
        f"The giver had 7 coins, gave 8 and is left with {left[0]}: DECRBY goes below zero "
        "without a word, so look whether there are enough.",
    )
    trial.equal(left, [7, 8], "the coins of both after a refused transfer")
    trial.equal(got, False)
    missing = "A missing key means 0 coins: GET answers `None` there, so write `or 0`."
    with trial.explain(TypeError, missing):
        trial.equal(trial.call(trial.client, trial.word(), taker, 1), False)


@transfer_coins.check("never spends coins that the giver spends at the same moment", points=2)
def _no_overdraft(trial: Trial) -> None:
    giver, taker = trial.words(2)
    purse, other = f"arcade:coins:{giver}", f"arcade:coins:{taker}"
    witness = trial.another_client()
    found: list[int] = []

    def prepare() -> None:
        witness.mset({purse: 30, other: 5})

    def spend() -> None:
        found[:] = _coins(witness, purse)
        witness.decrby(purse, 25)

    def spend_little() -> None:
        witness.decrby(purse, 2)

    def earn() -> None:
        witness.incrby(other, 7)

    prepare()
    trial.equal(trial.call(trial.client, giver, taker, 20), True)
    trial.equal(_coins(witness, purse, other), [10, 25], "the coins of both afterwards")
    again = "WATCH refuses when the key has changed: catch it and begin again, in a loop."
    with trial.explain(redis.WatchError, again):
        for got in trial.race(prepare, spend, trial.client, giver, taker, 20):
            left = _coins(witness, purse, other)
            # The rival either found all the 30 coins, and the transfer comes too late, or it
            # found the transfer made and went into debt by itself.
            expected = (False, [5, 5]) if found == [30] else (True, [-15, 25])
            trial.require(
                (got, left) == expected,
                "Between reading the giver's coins and moving them, the giver spent 25 of 30 "
                f"elsewhere. Your transfer of 20 then answered {got!r} and left {left[0]} and "
                f"{left[1]} coins. WATCH the key, or do it all in one script.",
            )
        for got in trial.race(prepare, spend_little, trial.client, giver, taker, 20):
            left = _coins(witness, purse, other)
            trial.require(
                (got, left) == (True, [8, 25]),
                "The giver spent 2 of 30 coins elsewhere, which leaves enough for 20. Your "
                f"transfer then answered {got!r} and left {left[0]} and {left[1]} coins. After "
                "`redis.WatchError`, begin again: it does not mean that there are too few.",
            )
        for got in trial.race(prepare, earn, trial.client, giver, taker, 20):
            left = _coins(witness, purse, other)
            trial.require(
                (got, left) == (True, [10, 32]),
                "The taker earned 7 coins while 20 were on their way to the 5 they had. Your "
                f"transfer then answered {got!r} and left the taker with {left[1]}. SET writes "
                "over what came in between; INCRBY adds to it.",
            )


@transfer_coins.check("loses and makes no coin when it is cut off", points=1)
def _conserves(trial: Trial) -> None:
    giver, taker, purse, other = _purses(trial, 40)
    witness = trial.another_client()

    def prepare() -> None:
        witness.mset({purse: 40, other: 5})

    trial.call(trial.client, giver, taker, 15)
    trial.equal(_coins(witness, purse, other), [25, 20], "the coins of both afterwards")
    for _ in trial.crashes(prepare, trial.client, giver, taker, 15):
        trial.require(
            sum(_coins(witness, purse, other)) == 45,
            "Taking and giving are two trips: a crash between them makes coins disappear or "
            "appear. A transaction carries both, or neither.",
        )
    for _ in trial.crashes(prepare, trial.client, giver, taker, 41):
        left = _coins(witness, purse, other)
        trial.require(
            left == [40, 5],
            "Taking first and giving back what was too much: cut off in between, the giver of 41 "
            f"out of 40 coins has {left[0]} and the taker {left[1]}. Look before you take.",
        )
    prepare()
    trial.call(trial.client, giver, giver, 15)
    trial.equal(
        _coins(witness, purse),
        [40],
        "the coins of a giver who is also the taker",
        advice="Writing what was read before makes coins; INCRBY adds to what is there.",
    )


# -- 4 the leaderboard -----------------------------------------------------------------------

top_and_me = outline.exercise(
    "top_and_me",
    "Top ten and my rank",
    hints=(
        "Two questions to one sorted set, both from the high end: a range by rank with scores, "
        "and the rank of one member. A pipeline asks both at once.",
        "`zrange` with `desc=True` and `withscores=True`, and `zrevrank`. Redis counts ranks from "
        "0, includes the last rank of a range, and answers `None` for a stranger.",
        "Queue both on one pipeline. Of the replies, the first is `top` as it stands; add 1 to the "
        "second unless it is `None`, and return both in a dictionary.",
    ),
)


def _ranking(trial: Trial, count: int = 60) -> tuple[str, list[tuple[str, float]]]:
    board = trial.word()
    scores = trial.rng.sample(range(1000, 99_000), count)
    entries = [(name, float(score)) for name, score in zip(trial.words(count), scores, strict=True)]
    trial.client.zadd(f"arcade:board:{board}", dict(entries))
    return board, sorted(entries, key=lambda entry: -entry[1])


def _answer(trial: Trial, board: str, player: str, n: int) -> dict[str, Any]:
    got = trial.call(trial.client, board, player, n)
    trial.require(
        type(got) is dict and set(got) == {"top", "rank"},
        f"Return a dictionary with the keys `top` and `rank`, not {got!r:.80}.",
    )
    found: dict[str, Any] = got
    return found


@top_and_me.check("answers the `n` best with their scores, best first", points=1)
def _top(trial: Trial) -> None:
    board, entries = _ranking(trial)
    n = trial.rng.randint(4, 12)
    top = _answer(trial, board, entries[0][0], n)["top"]
    trial.require(
        not isinstance(top, list) or len(top) != n + 1,
        f"`top` has {n + 1} entries where {n} were asked for: a range includes its last rank.",
    )
    trial.require(
        top != entries[::-1][:n],
        "`top` begins with the lowest score: ask for the range with `desc=True`.",
    )
    trial.require(top != entries[:n][::-1], "`top` has the right entries, with the best one last.")
    trial.require(
        top != [name for name, _ in entries[:n]],
        "`top` has the names without their scores: pass `withscores=True`.",
    )
    trial.equal(top, entries[:n], "`top`")


@top_and_me.check("answers the player's rank, 1 for the best", points=1)
def _rank(trial: Trial) -> None:
    board, entries = _ranking(trial)
    # In the upper half, so that no rank counted from the other end looks right.
    place = trial.rng.randint(2, len(entries) // 3)
    rank = _answer(trial, board, entries[place - 1][0], 3)["rank"]
    trial.require(rank != place - 1, f"The rank is {rank}: Redis counts from 0, players from 1.")
    trial.require(
        rank not in (len(entries) - place, len(entries) - place + 1),
        f"The rank is {rank}, counted from the lowest score. ZREVRANK counts from the highest.",
    )
    trial.equal(rank, place, f"the rank of number {place} of {len(entries)}")
    trial.equal(
        _answer(trial, board, entries[0][0], 3)["rank"],
        1,
        "the rank of the best",
        advice="Redis answers 0 for the best, and `if rank` takes 0 for nothing: ask `is None`.",
    )


@top_and_me.check("answers None as the rank of a player who has no score", points=1)
def _stranger(trial: Trial) -> None:
    board, entries = _ranking(trial)
    stranger = "Redis answers `None` as the rank of a stranger: look before you add 1."
    with trial.explain(TypeError, stranger):
        answer = _answer(trial, board, trial.word(5), 3)
    trial.equal(answer["top"], entries[:3], "`top`")
    trial.equal(answer["rank"], None, "the rank of a player who has no score")


@top_and_me.check("asks for no more than it answers, in one round trip", points=1)
def _top_trip(trial: Trial) -> None:
    board, entries = _ranking(trial)
    answer = _answer(trial, board, entries[7][0], 3)
    trial.equal(
        trial.client.zcard(f"arcade:board:{board}"),
        len(entries),
        "the number of entries on the board after the question",
        advice="ZPOPMAX takes away what it answers; a range leaves it there.",
    )
    carried = _carried(trial, {name for name, _ in entries})
    trial.require(
        carried <= 3,
        f"{carried} entries of the board travel where 3 are asked for: on a board of a million, "
        "fetching it whole and cutting it in Python moves a million.",
    )
    trial.one_trip("The top and the rank are two trips: a pipeline asks both at once.")
    trial.equal(answer["top"], entries[:3], "`top`")


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


# -- 6 break it ------------------------------------------------------------------------------

read_or = outline.exercise(
    "read_or",
    "An answer in any case",
    hints=(
        "Three things may happen: a value, no value, or an error of two kinds that you expect. "
        "Everything else is not yours to handle.",
        "GET answers `None` for a missing key. The errors are `redis.ConnectionError` and "
        "`redis.TimeoutError`; one `except` takes both in parentheses.",
        "Put only the GET into the `try`, and return the default from the `except`. Behind it, "
        "compare the value with `None`: an empty text is a value and counts as false in Python.",
    ),
)


def _fails(error: Exception) -> Callable[[int], None]:
    """What makes every trip end in this error, as a lost or frozen server does."""

    def before(_: int) -> None:
        raise error

    return before


@read_or.check("returns the value, an empty text included, or the default", points=1)
def _reads(trial: Trial) -> None:
    key, missing, value, default = trial.words(4)
    trial.client.set(key, value)
    trial.equal(trial.call(trial.client, key, default), value)
    trial.equal(trial.call(trial.client, missing, default), default)
    trial.client.set(key, "")
    got = trial.call(trial.client, key, default)
    trial.require(
        got != default,
        "An empty text is stored, and your function returned the default: `or` and `if not` take "
        "an empty text for nothing. Compare with `None`.",
    )
    trial.equal(got, "")


@read_or.check("returns the default when Redis is lost, and when it is too slow", points=1)
def _survives(trial: Trial) -> None:
    key, value, default = trial.words(3)
    trial.client.set(key, value)
    trial.client.set_retry(Retry(NoBackoff(), 0))
    python_has_one_too = (
        "Catch `redis.ConnectionError`, with `redis.` in front: Python's own of that name is "
        "another exception."
    )
    with trial.explain(redis.ConnectionError, python_has_one_too):
        lost = redis.ConnectionError("Connection refused.")
        got = trial.call(trial.client, key, default, before=_fails(lost))
    trial.equal(got, default, "the answer while the server is gone")
    neither_includes_the_other = (
        "Catch `redis.TimeoutError` too, with `redis.` in front: a time-out is no "
        "`redis.ConnectionError`."
    )
    with trial.explain(redis.TimeoutError, neither_includes_the_other):
        slow = redis.TimeoutError("Timeout reading from socket.")
        got = trial.call(trial.client, key, default, before=_fails(slow))
    trial.equal(got, default, "the answer while the server is frozen")


@read_or.check("hides no other error", points=1)
def _hides_nothing(trial: Trial) -> None:
    key, default = trial.words(2)
    trial.client.rpush(key, "a", "list")
    try:
        got = trial.call(trial.client, key, default)
    except AnswerRaised as raised:
        if isinstance(raised.__cause__, redis.ResponseError):
            return
        raise
    trial.fail(
        f"{key} is a list, a mistake in the program, and your function answered {got!r} as if all "
        "were well. Catch the two errors you expect, not every error."
    )


# -- 7 quiz ----------------------------------------------------------------------------------

pick_structures = outline.quiz(
    "pick_structures",
    "Pick the structure for six situations",
    {
        "q1": Question(
            "the last 50 chat lines of a room",
            "list",
            {
                "list": "LPUSH and LTRIM keep the newest 50 in order, each in constant time.",
                "set": "A set drops the order, and a line that is said twice.",
                "sorted set": "It would do with a time as the score, at O(log N) and more memory "
                "than an order of arrival needs.",
                "string": "Every new line would read and write the whole text.",
            },
        ),
        "q2": Question(
            "a player's profile, whose fields change singly",
            "hash",
            {
                "hash": "HSET and HINCRBY change one field on the server and leave the rest alone.",
                "string": "As JSON, two writers of different fields overwrite each other.",
                "list": "Fields by position: every reader must know what stands at index 3.",
                "set": "A set has members and no names for them.",
            },
        ),
        "q3": Question(
            "how many different players came today, out of a hundred million, to about 1 %",
            "hyperloglog",
            {
                "hyperloglog": "12 KB whatever the number, with a standard error of 0.81 %.",
                "set": "Exact, and several gigabytes for a hundred million members.",
                "hash": "Like a set, with a value nobody asked for.",
                "list": "A list counts visits, not visitors.",
            },
        ),
        "q4": Question(
            "the ten best of a million scores that change all the time",
            "sorted set",
            {
                "sorted set": "Order is kept at every write in O(log N); the top ten are a range.",
                "hash": "To find the ten best, all the million must be read and sorted.",
                "list": "Inserting at the right place means walking the list: O(N).",
                "string": "Every change would write the million again.",
            },
        ),
        "q5": Question(
            "who of my friends is online, given a set of everyone online",
            "set",
            {
                "set": "SINTER of friends and online answers it on the server.",
                "list": "Is this member there? A list answers that in O(N).",
                "string": "It would have to be read and parsed as a whole.",
                "hyperloglog": "It counts members and cannot name one.",
            },
        ),
        "q6": Question(
            "match events that three services read at their own pace, none lost",
            "stream",
            {
                "stream": "Entries stay where they are; each consumer group has its own place in "
                "them and acknowledges what it has done.",
                "list": "What one service pops, the others never see.",
                "set": "No order, and no place to go on from.",
                "string": "One value, and every event would overwrite it.",
            },
        ),
    },
    hints=(
        "Ask of each situation: is there an order, and by what? Is a member there once? Is one "
        "part changed alone?",
        "Order of arrival, order of score, no order but no doubles, named fields, a count only, "
        "a log with several readers: six situations, six structures.",
        "Each of list, hash, hyperloglog, sorted set, set and stream is the answer once.",
    ),
    points=0.5,
)
