"""What lesson 03 checks of keys that expire, or never do, of copies, and of choosing a tool."""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING, Any

import redis

from labkit.course.exercise import AnswerRaised
from labkit.course.lessons.lesson_03_redis_cli import _TWICE, _step_by_step, _Steps, outline
from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from labkit.course.exercise import Trial

_MOST_TRIPS = 60

# What a check and the server may differ by in telling one moment, in milliseconds.
_SLACK = 5

_KEYS = (
    "KEYS goes through every key of the server in one go, and nobody else is served meanwhile: on "
    "a large server that is an outage. SCAN does it in steps."
)


def _expiries(client: redis.Redis, names: Iterable[str]) -> dict[str, int]:
    """When each key expires, in milliseconds since the epoch; -1 never, -2 it is not there."""
    names = list(names)
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pexpiretime(name)
        return dict(zip(names, pipe.execute(), strict=True))


def _now(client: redis.Redis) -> int:
    """The server's time, in milliseconds since the epoch."""
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def _plant(client: redis.Redis, lives: Mapping[str, int | None]) -> None:
    """Make keys that live so many milliseconds each; None: for ever. Every third is a hash."""
    with client.pipeline(transaction=False) as pipe:
        for number, (name, milliseconds) in enumerate(lives.items()):
            if number % 3:
                pipe.set(name, number)
            else:
                pipe.hset(name, "number", number)
            if milliseconds is not None:
                pipe.pexpire(name, milliseconds)
        pipe.execute()


def _group(trial: Trial, count: int) -> tuple[str, list[str]]:
    """A pattern and so many names that it fits, in a random order."""
    group = trial.word()
    names = [f"arcade:{group}:{word}" for word in trial.words(count)]
    return f"arcade:{group}:*", names


def _sends(log: CommandLog, *names: str) -> bool:
    """Whether one of these commands was sent, or is called in a script."""
    calls = re.compile(rf"call\(\s*['\"]({'|'.join(names)})['\"]", re.IGNORECASE)
    return any(command.name in names or calls.search(" ".join(command.args)) for command in log)


def _few_trips(trial: Trial, log: CommandLog, keys: int, singly: str) -> None:
    """Demand few round trips for so many keys; `singly` is what to say of one key a trip."""
    trips = log.round_trips
    scans = len({command.trip for command in log if command.name == "SCAN"})
    why = (
        "SCAN looks at some 10 keys a step unless told otherwise: pass `count=1000`."
        if scans > _MOST_TRIPS
        else singly
    )
    trial.require(
        trips <= _MOST_TRIPS,
        f"{keys:,} keys took {trips:,} round trips, where {_MOST_TRIPS} are enough. {why}",
    )


# -- what expires soon ---------------------------------------------------------------------------

expiring = outline.exercise(
    "expiring",
    "Which keys expire soon?",
    hints=(
        "Two steps: SCAN gives the names, PTTL tells of each how many milliseconds it has left. "
        "Ask for many of them in one pipeline.",
        "`names = set(r.scan_iter(match=pattern, count=1000))`, then a pipeline with `pttl` for "
        "each. Of the answers, -1 means that the key never expires and -2 that it is gone; and "
        "`within` is in seconds.",
        "Pair answers and names with `zip(pipe.execute(), names)`, keep the pairs with "
        "`0 <= left <= within * 1000`, sort them by `left`, and return the names.",
    ),
)

_ROUNDED = (
    "TTL rounds to whole seconds, so that 1,400 ms and 600 ms both read 1, and sorting by it "
    "leaves the order to chance. Ask PTTL, and compare milliseconds."
)


def _names(trial: Trial, pattern: str, within: int) -> list[str]:
    """Call the answer; its list of names."""
    got = trial.call(trial.client, pattern, within)
    trial.require(
        type(got) is list and all(type(name) is str for name in got),
        f"Return a list of names, the soonest first; not {got!r:.80}.",
    )
    trial.require(len(set(got)) == len(got), f"A name is in the list twice. {_TWICE}")
    names: list[str] = got
    return names


def _stop_time(trial: Trial, lives: Mapping[str, int]) -> list[int]:
    """Have PTTL and TTL answer the next call as if no time passed; what they answer so."""
    told: list[int] = []

    def asked(command: str) -> Iterator[int | None]:
        for sent in trial.log:
            if sent.name == command:
                yield lives.get(sent.args[0])

    def stop(command: str, unit: int) -> None:
        answers = asked(command)

        def reply(left: int, **_: Any) -> int:
            life = next(answers, None)
            if life is None:
                return left
            told.append((life + unit // 2) // unit)
            return told[-1]

        trial.client.set_response_callback(command, reply)

    stop("PTTL", 1)
    stop("TTL", 1000)
    return told


@expiring.check("names the keys that fit and expire within the time, soonest first", points=1)
def _soonest_first(trial: Trial) -> None:
    pattern, names = _group(trial, 140)
    _, others = _group(trial, 20)
    within = trial.rng.randint(100, 900)
    # A step of 50 ms around the limit: what rounds to seconds takes in too many, in no order.
    close = range((within - 3) * 1000, (within + 3) * 1000, 50)
    # Seconds apart: a wrong order shows, however long the answer takes.
    near = [trial.rng.randint(60, within - 10) * 1000 for _ in range(10)]
    far = [(within + trial.rng.randint(100, 5000)) * 1000 for _ in range(10)]
    _plant(trial.client, dict(zip(names, [*near, *close, *far], strict=True)))
    _plant(trial.client, dict.fromkeys(others, within * 500))
    witness = trial.another_client()
    expiries = _expiries(witness, names)
    begun = _now(witness)
    told = _stop_time(trial, {name: moment - begun for name, moment in expiries.items()})
    got = _names(trial, pattern, within)
    ended = _now(witness)
    for name in got:
        trial.require(name in expiries, f"{name} does not fit the pattern {pattern}.")
    _nothing_beyond(trial, got, expiries, (begun if told else ended) + within * 1000)
    _nothing_missing(trial, got, expiries, begun + within * 1000)
    _in_order(trial, got, expiries, ended - begun)
    _Steps(trial.client, awkward=True)
    _names(trial, pattern, within)  # each once
    nothing = _names(trial, f"arcade:{trial.word()}:*", within)
    trial.equal(nothing, [], "the answer where no key fits")


def _nothing_beyond(trial: Trial, got: list[str], expiries: Mapping[str, int], latest: int) -> None:
    beyond = max((expiries[name] - latest for name in got), default=0)
    trial.require(
        beyond <= _SLACK,
        f"A key that expires {beyond} ms after the time asked for is among the names. "
        + (_ROUNDED if beyond <= 1000 else "`within` is in seconds, what PTTL answers in ms."),
    )


def _nothing_missing(
    trial: Trial, got: list[str], expiries: Mapping[str, int], latest: int
) -> None:
    expected = [name for name, moment in expiries.items() if moment <= latest - _SLACK]
    missing = [name for name in expected if name not in got]
    trial.require(
        bool(got) or not expected,
        f"{len(expected)} keys expire in time and the list is empty. PTTL answers milliseconds "
        "and `within` counts seconds: compare with `within * 1000`.",
    )
    for name in missing[:1]:
        trial.fail(
            f"{len(missing)} of the {len(expected)} keys that expire in time are not in the list, "
            f"{name} for one. Go on with SCAN until its cursor is 0 again."
        )


def _in_order(trial: Trial, got: list[str], expiries: Mapping[str, int], took: int) -> None:
    """Demand the order of expiry; keys that were asked at different moments may come closer."""
    late = max((expiries[one] - expiries[two] for one, two in itertools.pairwise(got)), default=0)
    if late <= took + _SLACK:
        return
    if got == sorted(got):
        why = "The names stand in the order of the alphabet; sort them by what PTTL answers."
    elif got == sorted(got, key=lambda name: -expiries[name]):
        why = "The latest stands first."
    else:
        why = _ROUNDED if late <= 1000 + took else "Sort the names by what PTTL answers."
    trial.fail(f"A key stands before one that expires {late} ms sooner. {why}")


@expiring.check("leaves out what never expires and what is gone meanwhile", points=1)
def _leaves_out(trial: Trial) -> None:
    pattern, names = _group(trial, 40)
    soon, never = names[:30], names[30:]
    witness = trial.another_client()
    # Ten seconds apart: however slowly PTTL is asked, the order is clear.
    lives = {name: (100 + 10 * number) * 1000 for number, name in enumerate(soon)}
    everything = list((lives | dict.fromkeys(never)).items())
    trial.rng.shuffle(everything)
    gone = soon[-10:]

    def prepare() -> None:
        _plant(witness, dict(everything))

    def expire() -> None:
        witness.delete(*gone)

    prepare()
    got = _names(trial, pattern, 1000)
    for name in got:
        trial.require(
            name not in never,
            f"{name} never expires: PTTL answers -1 of such a key, and -1 is less than any time. "
            "Whoever clears up by this list throws away what was to stay.",
        )
    trial.equal(got, soon)
    for got in trial.race(prepare, expire, trial.client, pattern, 1000):
        # A key that was asked before it went stands rightly at its place, the end.
        trial.require(
            isinstance(got, list) and (got[:20] == soon[:20] or not set(got) & set(gone)),
            f"{gone[0]} and others went between SCAN and PTTL, which answers -2 of a key that is "
            "not there: they are in the list, though they expire no more.",
        )
        kept = [name for name in soon if name in got or name not in gone]
        trial.equal(got, kept, f"the list after {len(gone)} keys went between SCAN and PTTL")


@expiring.check("only looks, and takes few round trips: SCAN, then PTTL in pipelines", points=1)
def _looks_only(trial: Trial) -> None:
    pattern, names = _group(trial, 2000)
    _, others = _group(trial, 300)
    lives = {name: (100 + number) * 1000 for number, name in enumerate(names)}
    _plant(trial.client, lives | dict.fromkeys(others))
    witness = trial.another_client()
    before = _expiries(witness, [*names, *others])
    got = _names(trial, pattern, 10_000)
    trial.equal(len(got), len(names), "the number of names in the list")
    trial.require(not _sends(trial.log, "KEYS"), _KEYS)
    _step_by_step(trial, len(before))
    trial.require(
        _expiries(witness, before) == before and witness.dbsize() == len(before),
        "Your answer changed keys, or when they expire. A question must not: look with SCAN and "
        "PTTL only.",
    )
    singly = (
        "One PTTL a trip is a journey for each key: queue them on a pipeline, with "
        "`r.pipeline(transaction=False)`."
    )
    _few_trips(trial, trial.log, len(before), singly)


# -- a time to live for what has none ------------------------------------------------------------

mend = outline.exercise(
    "mend",
    "A time to live for what has none",
    hints=(
        "Looking first and setting then leaves a gap, and costs a trip for each key. Since Redis "
        "7.0 EXPIRE itself has an option that sets a time to live only where there is none.",
        "`expire(name, seconds, nx=True)` answers True where it set one, and False for a key that "
        "expires already or is not there. Queue one for each name on a pipeline.",
        "`pipe.execute()` answers in the order of the names: return the names whose answer is "
        "true, `[name for name, done in zip(names, pipe.execute()) if done]`.",
    ),
)

_PROLONGED = (
    "EXPIRE sets a time to live whether there is one or not: a session that was to end in a minute "
    "lives on. `nx=True` sets it only where there is none."
)


def _lives(trial: Trial, witness: redis.Redis, name: str, seconds: int) -> None:
    """Demand that the key lives so many seconds, give a minute for a busy machine."""
    left = witness.pttl(name)
    trial.require(
        left != -1,
        f"{name} still never expires. Of the options of EXPIRE, `nx=True` is the one for keys that "
        "have no time to live; `xx=True` and `gt=True` pass them over.",
    )
    trial.require(
        left > seconds,
        f"{name} lives {seconds} ms, if it lives, and not {seconds} seconds: PEXPIRE counts "
        "milliseconds, EXPIRE seconds.",
    )
    trial.require(
        (seconds - 60) * 1000 < left <= seconds * 1000,
        f"{name} lives {left} ms, and {seconds} seconds are {seconds * 1000} ms.",
    )


def _mended(trial: Trial, got: object, expected: list[str]) -> None:
    """Demand the names, in order; a common mistake gets its sentence."""
    advice = ""
    if isinstance(got, list) and got and all(isinstance(part, bool | int) for part in got):
        advice = "These are the replies of the pipeline; return the names whose reply is true."
    elif type(got) is int:
        advice = "Return the names, so that somebody can look at them, not how many there are."
    elif isinstance(got, list) and set(map(str, got)) > set(expected):
        advice = "Those that expired already, or are not there, got nothing: leave them out."
    elif isinstance(got, list | set) and set(map(str, got)) == set(expected):
        advice = "Return a list in the order of `names`."
    trial.equal(got, expected, advice=advice)


@mend.check("gives a time to live to each that has none, and names them in order", points=1)
def _gives(trial: Trial) -> None:
    _, names = _group(trial, 30)
    given, others = names[:20], names[20:]
    seconds = trial.rng.randint(1000, 90_000)
    _plant(trial.client, dict.fromkeys(names))
    trial.client.script_flush()  # so that the text of a script is sent
    got = trial.call(trial.client, list(given), seconds)
    witness = trial.another_client()
    for name in given:
        _lives(trial, witness, name, seconds)
    trial.require(
        all(moment == -1 for moment in _expiries(witness, others).values()),
        "Your answer gave a time to live to keys that are not among `names`.",
    )
    _mended(trial, got, given)
    trial.require(
        not _sends(trial.log, "KEYS", "SCAN"),
        "You have the names, and your answer goes through all keys of the server. In a script, "
        "nobody else is served until it ends: ask for the keys in `names` alone.",
    )
    no_names = "With no names there is nothing to send: return an empty list."
    with trial.explain(redis.RedisError, no_names):
        trial.equal(trial.call(trial.client, [], seconds), [])


@mend.check("leaves what expires already, even since a moment ago", points=1)
def _leaves(trial: Trial) -> None:
    _, names = _group(trial, 24)
    immortal, short, long, missing = (names[start::4] for start in range(4))
    seconds = trial.rng.randint(2000, 9000)
    witness = trial.another_client()
    lives = dict.fromkeys(short, 900_000) | dict.fromkeys(long, 90_000_000)
    _plant(witness, dict.fromkeys(immortal) | lives)
    before = _expiries(witness, [*lives, *missing])
    got = trial.call(trial.client, list(names), seconds)
    after = _expiries(witness, before)
    trial.require(
        all(after[name] <= before[name] for name in short), f"{short[0]} lives longer. {_PROLONGED}"
    )
    trial.require(
        all(after[name] == before[name] for name in long),
        f"{long[0]} lived for a day and now expires in {witness.ttl(long[0])} s. `lt=True` takes "
        "a key without a time to live for one that lives for ever, and shortens all others, too.",
    )
    trial.require(after == before, "Keys that expire, or were not there, are no more as they were.")
    for name in immortal:
        _lives(trial, witness, name, seconds)
    _mended(trial, got, [name for name in names if name in immortal])
    _keeps_a_rivals(trial, witness, immortal, seconds)
    _leaves_a_rivals_out(trial, immortal, seconds)


def _keeps_a_rivals(trial: Trial, witness: redis.Redis, names: list[str], seconds: int) -> None:
    """Race with somebody who gives half a minute to a key, unless it expires already."""
    faster = False

    def prepare() -> None:
        _plant(witness, dict.fromkeys(names))

    def sign_off() -> None:
        nonlocal faster
        faster = bool(witness.expire(names[-1], 30, nx=True))

    again = "Somebody changed a key meanwhile: EXPIRE with `nx=True` needs no WATCH."
    with trial.explain(redis.WatchError, again):
        for got in trial.race(prepare, sign_off, trial.client, list(names), seconds):
            trial.require(
                not faster or witness.ttl(names[-1]) <= 30,
                "Between your looking and your EXPIRE somebody gave the key 30 seconds, and you "
                f"made {seconds} of them. `nx=True` lets the server look and set in one step.",
            )
            expected = names[:-1] if faster else names
            trial.equal(got, expected, "the names, with a rival", advice=_NOT_YOURS)


_NOT_YOURS = (
    "Before your EXPIRE came, somebody else gave a time to a key that had none when you looked. "
    "Others have their turn between two commands, on a pipeline, too: name the keys whose EXPIRE "
    "with `nx=True` answered True."
)


def _leaves_a_rivals_out(trial: Trial, names: list[str], seconds: int) -> None:
    """Have EXPIRE answer as if somebody else had just given each key a time."""
    answered: list[bool] = []

    def too_late(given: object, **_: Any) -> bool:
        # Within a transaction nobody comes in between.
        answered.append("MULTI" in trial.log.names and bool(given))
        return answered[-1]

    for command in ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"):
        trial.client.set_response_callback(command, too_late)
    trial.reset()
    _plant(trial.another_client(), dict.fromkeys(names))
    got = trial.call(trial.client, list(names), seconds)
    expected = names if all(answered) else []
    trial.equal(got, expected, "the names, with rivals that are faster", advice=_NOT_YOURS)


@mend.check("takes one round trip, however many names there are", points=1)
def _mends_in_one_trip(trial: Trial) -> None:
    _, names = _group(trial, 400)
    immortal = set(names[:300])
    _plant(trial.client, {name: None if name in immortal else 900_000 for name in names[:350]})
    trial.rng.shuffle(names)
    got = trial.call(trial.client, list(names), 5000)
    trips = trial.log.round_trips
    trial.one_trip(
        "One command a trip is a journey for each key: a pipeline carries all of them."
        if trips >= len(immortal)
        else "Looking and setting are two trips, and in between things change: EXPIRE with "
        "`nx=True` does both in one."
    )
    witness = trial.another_client()
    for name in sorted(immortal):
        _lives(trial, witness, name, 5000)
    _mended(trial, got, [name for name in names if name in immortal])


# -- copies --------------------------------------------------------------------------------------

copy_all = outline.exercise(
    "copy_all",
    "Copy keys, whatever they are",
    hints=(
        "DUMP answers what a key of any type holds, in a form that RESTORE takes. It does not "
        "hold the time to live: PTTL tells that, and RESTORE takes it, in milliseconds.",
        "SCAN with `count=1000`. For the names, DUMP and PTTL on one pipeline of the source, made "
        "with `transaction=False` (else redis-py reads DUMP's bytes as text); then RESTORE with "
        "`replace=True` on one pipeline of the target. Skip a name whose DUMP is None.",
        "After `replies = pipe.execute()`, go through `zip(names, replies[::2], replies[1::2])`: "
        "where the dump is not None and PTTL not -2, queue `restore(name, ttl, dump, "
        "replace=True)`. RESTORE says 0 where PTTL says -1, so `ttl` is 0 there, and at least 1 "
        "elsewhere. Count what you queue.",
    ),
)

_ANY_TYPE = (
    "GET reads strings alone, and bytes that are no text not even then. DUMP answers what a key of "
    "any type holds, and RESTORE makes it anew."
)
_UNDECODED = (
    "A dump is bytes, not text. redis-py leaves what `dump` answers as it is, also on a pipeline, "
    "but neither in a transaction (pass `transaction=False`) nor from a script."
)
_COPY_ERRORS = {
    "BUSYKEY": "The target has a key of that name: RESTORE replaces it with `replace=True`.",
    "Invalid TTL": "PTTL answers -1 of a key that never expires, where RESTORE wants 0, and -2 of "
    "one that is gone by now: skip that one.",
    "WRONGTYPE": _ANY_TYPE,
    "DataError": "DUMP answers None of a key that is gone by now: skip it.",
    "syntax error": "fakeredis, which imitates Redis, has no ABSTTL: pass the milliseconds that "
    "PTTL answers.",
    "payload": "RESTORE takes the bytes that DUMP answered, just as they are.",
}

# They reach other databases of the same server, or have one server call on the other.
_NEARBY = frozenset({"COPY", "MOVE", "MIGRATE"})


def _elsewhere(trial: Trial, database: int, *, decode: bool = True) -> redis.Redis:
    """A client of another database of the bench's server."""
    client = trial.another_client()
    client.connection_pool.connection_kwargs.update(db=database, decode_responses=decode)
    return client


def _target(trial: Trial) -> tuple[redis.Redis, redis.Redis]:
    """A client of an empty database to copy to, and one that reads its bytes."""
    database = trial.rng.randint(1, 15)
    target = trial.named("target", _elsewhere(trial, database))
    return target, _elsewhere(trial, database, decode=False)


@contextlib.contextmanager
def _copying(trial: Trial) -> Iterator[None]:
    """Explain what a copy that does not succeed raises."""
    try:
        yield
    except AnswerRaised as raised:
        told = f"{type(raised.__cause__).__name__} {raised.__cause__}"
        advice = next((said for word, said in _COPY_ERRORS.items() if word in told), "")
        if isinstance(raised.__cause__, UnicodeDecodeError):
            dumped = {"DUMP", "EVAL", "EVALSHA"} & set(trial.log.names)
            advice = _UNDECODED if dumped else _ANY_TYPE
        raise AnswerRaised(f"{raised} {advice}".rstrip()) from raised.__cause__


def _copy(trial: Trial, target: redis.Redis, pattern: str) -> Any:
    with _copying(trial):
        return trial.call(trial.client, target, pattern)


def _treasure(trial: Trial, client: redis.Redis) -> tuple[str, list[str]]:
    """A pattern and the names of keys that it fits, of every type, in a random order."""
    group, *words = trial.words(6)
    start = f"arcade:{group}:"
    makers = [
        lambda name: client.set(name, b"\xff" + trial.rng.randbytes(40)),
        lambda name: client.set(name, trial.rng.randint(1, 10**6)),
        lambda name: client.rpush(name, *words, *words),
        lambda name: client.sadd(name, *words),
        lambda name: client.zadd(name, {word: rank / 4 for rank, word in enumerate(words)}),
        lambda name: client.hset(name, mapping={word: f"{word} ü" for word in words}),
        lambda name: _make_stream(client, name, words),
    ]
    trial.rng.shuffle(makers)
    names = [f"{start}{word} é" for word in trial.words(len(makers))]
    for name, make in zip(names, makers, strict=True):
        make(name)
    return f"{start}*", names


def _make_stream(client: redis.Redis, name: str, words: list[str]) -> None:
    """A stream with a group of readers, which reading its entries does not show."""
    for word in words:
        client.xadd(name, {"player": word})
    client.xgroup_create(name, words[0], "0")


def _holdings(client: redis.Redis) -> dict[str, tuple[str, Any]]:
    """What each key of the database is and holds, read by a client that does not decode."""
    readers: dict[str, Any] = {
        "string": client.get,
        "list": lambda name: client.lrange(name, 0, -1),
        "set": client.smembers,
        "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
        "hash": client.hgetall,
        "stream": lambda name: (
            client.xrange(name),
            [group["name"] for group in client.xinfo_groups(name)],
        ),
    }
    found = {}
    for name in client.scan_iter(count=1000):
        kind = client.type(name).decode()
        found[name.decode()] = (kind, readers[kind](name))
    return found


@copy_all.check("copies every key that fits, of whatever type, and nothing else", points=1)
def _copies(trial: Trial) -> None:
    target, reader = _target(trial)
    witness = _elsewhere(trial, 0, decode=False)
    pattern, names = _treasure(trial, trial.another_client())
    _treasure(trial, trial.another_client())
    replaced = trial.rng.sample(names, 3)
    for name in replaced:
        reader.rpush(name, "old", "older")
    own = [pattern.replace("*", trial.word()), f"arcade:{trial.word()}"]
    for name in own:
        reader.set(name, trial.word())
    source, before = _holdings(witness), _holdings(reader)
    _Steps(trial.client, awkward=True)
    got = _copy(trial, target, pattern)
    trial.require(
        not _NEARBY & set(trial.log.names),
        "COPY, MOVE and MIGRATE need two databases of one server, or servers that reach each "
        "other. DUMP and RESTORE copy between any two that your program reaches.",
    )
    trial.require(
        _holdings(witness) == source, "The source is not as it was: a copy only reads there."
    )
    after = _holdings(reader)
    trial.require(
        all(after.get(name) == before[name] for name in own),
        "Other keys of the target, which are none of the copies, are gone or changed. Replace key "
        "by key, with `replace=True`; FLUSHDB takes away what others have there.",
    )
    _arrived(trial, names, source, after)
    strangers = ", ".join(sorted(after.keys() - {*names, *own})[:2])
    trial.require(not strangers, f"Copied, though it does not fit {pattern}: {strangers}.")
    twice = isinstance(got, int) and got > len(names)
    trial.equal(got, len(names), advice=_TWICE if twice else "Return how many keys were copied.")
    trial.equal(_copy(trial, target, f"arcade:{trial.word()}:*"), 0)


def _arrived(
    trial: Trial,
    names: list[str],
    source: Mapping[str, tuple[str, Any]],
    after: Mapping[str, tuple[str, Any]],
) -> None:
    for name in names:
        kind, _ = source[name]
        trial.require(name in after, f"{name!r}, a {kind}, is not at the target. {_ANY_TYPE}")
    for name in names:
        kind, _ = source[name]
        trial.require(
            after[name] != ("list", [b"old", b"older"]),
            f"{name!r} is at the target what it was there before: RESTORE replaces it with "
            "`replace=True`.",
        )
        trial.require(
            after[name] == source[name],
            f"{name!r} is a {kind} at the source, and at the target a {after[name][0]} that "
            f"differs from it. {_ANY_TYPE}",
        )


@copy_all.check("each copy expires when its original does, or never", points=1)
def _same_lives(trial: Trial) -> None:
    target, reader = _target(trial)
    pattern, names = _group(trial, 30)
    lives: dict[str, int | None] = {
        name: trial.rng.randint(300_000, 900_000) if number % 3 else None
        for number, name in enumerate(names)
    }
    _plant(trial.client, lives)
    _plant(reader, dict.fromkeys(names[:2]) | dict.fromkeys(names[2:4], 500_000))
    witness = trial.another_client()
    begun = _now(witness)
    with CommandLog(target) as written:
        _copy(trial, target, pattern)
    took = _now(witness) - begun
    originals, copies = _expiries(witness, names), _expiries(reader, names)
    for name in names:
        if originals[name] == -1:
            trial.require(
                copies[name] == -1,
                f"{name} never expires at the source, and its copy does, or is gone already. PTTL "
                "says -1 for never and RESTORE says 0.",
            )
        else:
            told = f"{name} had {lives[name]} ms to live, and its copy"
            _expires_alike(trial, told, copies[name], originals[name], took)
    trial.require(
        {int(sent.args[1]) % 1000 for sent in written if sent.name == "RESTORE"} != {0},
        f"Every time to live that RESTORE got is in whole seconds. {_WHOLE}",
    )
    # As if each key that expires were in its last millisecond.
    trial.client.set_response_callback("PTTL", lambda left, **_: min(left, 0))
    _copy(trial, target, pattern)
    copies = _expiries(reader, names)
    trial.require(
        all(copies[name] != -1 for name in names if originals[name] != -1),
        "PTTL answers 0 of a key in its last millisecond, and RESTORE takes 0 for never: the copy "
        "lives for ever. Pass at least 1 for a key that expires.",
    )


_WHOLE = "RESTORE takes the milliseconds that PTTL answers; TTL rounds them to whole seconds."


def _expires_alike(trial: Trial, told: str, copied: int, original: int, took: int) -> None:
    """Demand that a copy expires with its original, or later by no more than the copying took."""
    later = copied - original
    trial.require(
        copied != -1,
        f"{told} never expires: DUMP holds the value alone. Ask PTTL, too, and pass what it "
        "answers to RESTORE.",
    )
    trial.require(
        copied != -2 and later > -200_000,
        f"{told} is gone or about to go: RESTORE counts milliseconds, as PTTL answers them; TTL "
        "answers seconds.",
    )
    trial.require(
        -_SLACK <= later <= took + _SLACK,
        f"{told} expires {abs(later)} ms {'later' if later > 0 else 'sooner'}. {_WHOLE}",
    )


@copy_all.check("skips a key that goes between SCAN and DUMP", points=1)
def _skips(trial: Trial) -> None:
    target, reader = _target(trial)
    pattern, names = _group(trial, 24)
    witness = trial.another_client()
    gone = names[::2]

    def prepare() -> None:
        _plant(witness, dict.fromkeys(names, 900_000))

    def expire() -> None:
        witness.delete(*gone)

    prepare()
    trial.equal(_copy(trial, target, pattern), len(names))
    trial.equal(sorted(_holdings(reader)), sorted(names), "the names at the target")
    with _copying(trial):
        for got in trial.race(prepare, expire, trial.client, target, pattern):
            there = {name: left for name, left in _expiries(reader, names).items() if left != -2}
            trial.require(
                {*names} - {*gone} <= there.keys(),
                "Some keys went between SCAN and DUMP, and of those that stayed some were not "
                "copied: skip the one that is gone and go on with the others.",
            )
            trial.require(
                -1 not in there.values(),
                "A key went between DUMP and PTTL, which then answers -2, and its copy lives for "
                "ever. Ask both on one pipeline, and skip what is gone.",
            )
            trial.equal(
                got,
                len(there),
                f"the answer after {len(gone)} keys went meanwhile and {len(there)} were copied",
                advice="Count what was restored, not what SCAN found.",
            )


@copy_all.check("takes few round trips on either side, and never KEYS", points=1)
def _copies_in_pipelines(trial: Trial) -> None:
    target, reader = _target(trial)
    pattern, names = _group(trial, 1000)
    _, others = _group(trial, 300)
    _plant(trial.client, dict.fromkeys([*names, *others]))
    with CommandLog(target) as written:
        got = _copy(trial, target, pattern)
    trial.equal(got, len(names))
    trial.equal(reader.dbsize(), len(names), "the number of keys at the target")
    for log in (trial.log, written):
        trial.require(not _sends(log, "KEYS"), _KEYS)
    _step_by_step(trial, len(names) + len(others))
    read_singly = "One DUMP a trip is a journey for each key: queue them on a pipeline."
    _few_trips(trial, trial.log, len(names), f"At the source: {read_singly}")
    written_singly = "One RESTORE a trip is a journey for each key: queue them on a pipeline."
    _few_trips(trial, written, len(names), f"At the target: {written_singly}")
