"""What lesson 03-redis-cli checks: commands typed and piped, keys found, and figures read."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import redis

from labkit.course.exercise import AnswerRaised, Outline, Question, Trial, cut
from labkit.inspect import InvalidArguments, split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labkit.spy import Command

    Row = tuple[str, int, int]

outline = Outline(
    "03-redis-cli",
    title="Diagnose a sick server",
    prefix="arcade:",
    needs=("INFO", "CONFIG", "OBJECT", "MEMORY", "SLOWLOG", "LATENCY", "MONITOR"),
)


def _refused(trial: Trial, *args: Any, otherwise: str) -> str:
    """Demand that the answer raises ValueError; what the error says.

    Args:
        trial: The trial.
        *args: The answer's arguments.
        otherwise: What to say when it raises nothing.
    """
    try:
        trial.call(*args)
    except AnswerRaised as raised:
        if isinstance(raised.__cause__, ValueError):
            return str(raised.__cause__)
        raise
    return trial.fail(otherwise)


# -- 1 typed ----------------------------------------------------------------------------------

typed = outline.exercise(
    "typed",
    "Type any bytes",
    hints=(
        "In double quotes every byte can be typed: those that mean something there get a backslash "
        'in front, and those that cannot be typed are written `\\xff`. An empty word is `""`.',
        'Only the backslash and `"` need a backslash. A byte from 32 to 126 may stand for itself; '
        'for any other `f"\\\\x{byte:02x}"` is right, the newline among them. Going through a '
        "`bytes` gives numbers.",
        'For each word: for each byte, `"\\\\" + chr(byte)` when it is `"` or the backslash, '
        '`chr(byte)` when it is from 32 to 126, else `f"\\\\x{byte:02x}"`; join them and put `"` '
        "on both sides. Join the words with blanks.",
    ),
)


_BACKSLASH = (
    'In double quotes `"` and the backslash need a backslash in front: the backslash is the first '
    "to get it, or both get it in one go."
)


def _arrives(trial: Trial, words: list[bytes]) -> None:
    """Demand a line that redis-cli reads as these words."""
    any_bytes = (
        "A word is any bytes, and not always UTF-8 or ASCII: write what is neither as `\\xff`, "
        "byte by byte."
    )
    with trial.explain(UnicodeError, any_bytes):
        line = trial.call(list(words))
    trial.require(
        isinstance(line, str),
        f"The line is a text (str), not {type(line).__name__}.",
    )
    trial.require(
        "\n" not in line and "\r" not in line,
        f"{cut(repr(line), 120)} is more than one line: redis-cli sends what stands before a "
        "newline at once. In double quotes a newline is typed as a backslash and `n`.",
    )
    trial.require(
        "\0" not in line,
        "redis-cli takes a byte 0 for the end of the line. In double quotes it is typed `\\x00`.",
    )
    for sign in line:
        trial.require(
            sign >= " " and sign != "\x7f",
            f"{cut(repr(line), 120)} holds the control character {sign!r}, and a terminal acts on "
            f"it in place of typing it. In double quotes it is typed `\\x{ord(sign):02x}`.",
        )
    trial.require(
        not any("\ud800" <= sign <= "\udfff" for sign in line),
        f"{cut(repr(line), 120)} holds bytes that are no characters, and no keyboard has them: "
        "type `\\xff`.",
    )
    try:
        got = split(line)
    except InvalidArguments:
        trial.fail(
            f"redis-cli answers `Invalid argument(s)` to {cut(line, 120)}. {_BACKSLASH} A shell "
            "quotes otherwise."
        )
    if got != words:
        trial.fail(f"{_first_difference(line, words, got)} {_mistyped(line, words, got)}".rstrip())


def _first_difference(line: str, words: list[bytes], got: list[bytes]) -> str:
    """How redis-cli reads the first word that it reads otherwise."""
    at = next(
        (at for at, pair in enumerate(zip(words, got, strict=False)) if pair[0] != pair[1]),
        min(len(words), len(got)),
    )
    expected, came = (
        cut(repr(each[at]), 80) if at < len(each) else "missing" for each in (words, got)
    )
    count = f"{len(got)} words, not {len(words)}" if len(got) != len(words) else "other words"
    return (
        f"redis-cli reads {cut(line, 120)} as {count}: word {at + 1} is {came}, and should be "
        f"{expected}."
    )


def _mistyped(line: str, words: list[bytes], got: list[bytes]) -> str:
    """What most likely went wrong."""
    if got and got[0] == b"b" + words[0]:
        return "`repr` writes Python's `b'...'`: redis-cli takes the b for a part of the word."
    if got == [word for word in words if word]:
        return 'Nothing between two blanks is no word: an empty one is typed `""`.'
    if len(got) > len(words):
        return "A blank ends a word, unless the word stands in quotes."
    if got == [word.decode("latin-1").encode() for word in words]:
        return (
            "A character above 127 is sent as UTF-8, in two bytes or more: a single byte is typed "
            "`\\xff`."
        )
    if r"\u" in line:
        return "redis-cli has no `\\u`: JSON's escapes stand for characters, `\\xff` for a byte."
    if re.search(r"\\x[0-9A-Fa-f]?(?![0-9A-Fa-f])", line):
        return r"`\x` takes two digits, always: a newline is `\x0a`, not `\xa`."
    if " '" in line and any(b"\\" in word for word in got):
        return (
            "In single quotes a backslash stands for itself, unless a `'` follows: `\\n` and "
            "`\\xff` are understood in double quotes alone."
        )
    if any(b"\\" in word for word in words):
        return _BACKSLASH
    if any(b"?" in word or b"\xef\xbf\xbd" in word for word in got):
        return "What cannot be decoded was replaced: the byte is lost. Type it as `\\xff`."
    return ""


@typed.check("types words with blanks and quotes, and empty ones, in one line", points=1)
def _types_words(trial: Trial) -> None:
    one, two, three = (word.encode() for word in trial.words(3))
    _arrives(trial, [b"GET", b"arcade:" + one])
    _arrives(trial, [b"SET", b"arcade:" + one, two + b" " + three])
    _arrives(trial, [b"SET", b"arcade:" + one, b""])
    _arrives(trial, [b"MSET", b"", one, b"arcade:" + two, b"", b"arcade:" + three, b" "])
    _arrives(trial, [b"SET", b"arcade:" + one, two + b' says "' + three + b'"'])
    _arrives(trial, [b"SET", b"arcade:it's " + one, b"'" + two + b"'"])


@typed.check("types newlines, tabs and backslashes", points=1)
def _types_escapes(trial: Trial) -> None:
    one, two = (word.encode() for word in trial.words(2))
    _arrives(trial, [b"SET", b"arcade:" + one, b"say\n" + two + b"\r\n\t"])
    # What follows the backslash would make an escape of it.
    for sign in trial.rng.sample([b"n", b"x41", b"t", b"\\", b'"', b"a", b"'"], 7):
        _arrives(trial, [b"SET", b"arcade:" + one, two + b"\\" + sign])
    _arrives(trial, [b"SET", b"arcade:" + one, two + b"\\"])


@typed.check("types any byte", points=1)
def _types_bytes(trial: Trial) -> None:
    one = trial.word().encode()
    _arrives(trial, [b"SET", b"arcade:" + one, "Zoë größer 🎮".encode()])
    _arrives(trial, [b"SET", b"arcade:" + one, bytes(trial.rng.sample(range(128, 256), 20))])
    _arrives(trial, [b"SET", b"arcade:\x00" + one, b"\x00\x01\x1b\x7f"])
    # A digit behind an escape shall not become a part of it.
    _arrives(trial, [b"SET", b"arcade:" + one, b"\x000\x01f\x0b\x0c1\xff9"])
    every = bytes(trial.rng.sample(range(256), 256))
    _arrives(trial, [b"SET", b"arcade:" + one, every])


# -- 2 find -----------------------------------------------------------------------------------

find = outline.exercise(
    "find",
    "Find keys without KEYS",
    hints=(
        "SCAN goes through the keys in steps, and its options say which of them it gives: a "
        "pattern, a type, and how many to look at in one step.",
        "`r.scan_iter(match=..., count=..., _type=...)` takes every step for you. A name may come "
        "twice, so gather them in a set.",
        "Make a set of what `scan_iter` gives with the pattern, `count=1000` and `_type=kind`, and "
        "return it sorted.",
    ),
)

_TWICE = (
    "SCAN may give a name twice while the server resizes its table of keys, and this check has it "
    "do so: gather the names in a set."
)
_ALL = (
    "A step of SCAN may give few names or none with more to come: only the cursor 0 says that it "
    "has ended."
)
_MATCH = "Leave the pattern to the server's MATCH: `fnmatch` and `re` read others."


class _Steps:
    """The steps of SCAN that a client takes, noted as their replies pass by.

    Where they are `awkward`, they are as bad as SCAN's promises allow: steps come back empty with
    more to come, and the last gives every name a second time.

    Attributes:
        ended: Whether a scan has come to its end.
        given: How many names came.
    """

    def __init__(self, client: redis.Redis, *, awkward: bool = False) -> None:
        self.ended = False
        self.given = 0
        self._awkward = awkward
        self._held: list[str] = []
        self._seen: list[str] = []
        self._parse: Callable[..., tuple[int, list[str]]] = client.response_callbacks["SCAN"]
        client.set_response_callback("SCAN", self._reply)

    def _reply(self, reply: Any, **options: Any) -> tuple[int, list[str]]:
        cursor, names = self._parse(reply, **options)
        self.ended = self.ended or cursor == 0
        self.given += len(names)
        return cursor, self._worst(cursor, names) if self._awkward else names

    def _worst(self, cursor: int, names: list[str]) -> list[str]:
        held, self._held = self._held, names
        self._seen += names
        if cursor != 0:
            return held
        seen, self._held, self._seen = self._seen, [], []
        return held + names + seen


def _fill(trial: Trial, names: Sequence[str], kind: str = "string") -> None:
    """Store small values of this type."""
    with trial.another_client() as client, client.pipeline(transaction=False) as pipe:
        _STORE[kind](pipe, names)
        pipe.execute()


# One command for all strings, as there are many.
_STORE: dict[str, Callable[[redis.Redis, Sequence[str]], object]] = {
    "string": lambda client, names: client.mset(dict.fromkeys(names, "1")),
    "hash": lambda client, names: [client.hset(name, "field", "1") for name in names],
    "list": lambda client, names: [client.rpush(name, "1") for name in names],
    "set": lambda client, names: [client.sadd(name, "1") for name in names],
    "zset": lambda client, names: [client.zadd(name, {"member": 1}) for name in names],
}


def _found(trial: Trial, got: Any, expected: list[str]) -> None:
    """Demand the names, sorted and once each."""
    if isinstance(got, list) and got != expected:
        names = [name for name in got if isinstance(name, str)]
        missing, more = set(expected) - set(names), set(names) - set(expected)
        trial.require(not missing, f"{len(missing)} of {len(expected)} names are missing. {_ALL}")
        trial.require(not more, f"Your list has {min(more, default='')!r}, which is not asked for.")
        trial.require(len(names) == len(set(names)), f"A name is in the list twice. {_TWICE}")
        trial.require(sorted(names) != expected, "The names are not sorted.")
    trial.require(not isinstance(got, set), "A set has no order: return `sorted(...)` of it.")
    trial.equal(got, expected)


# How many keys a step of SCAN may look at.
_STEP = 1000


def _seems_large(client: redis.Redis) -> None:
    """Have DBSIZE tell this client of ten million keys: a COUNT that is a share of them shows."""
    client.set_response_callback("DBSIZE", lambda *_, **__: 10_000_000)


def _step_by_step(trial: Trial, keys: int) -> None:
    """Demand that the last call went through so many keys, which are all, in small steps."""
    trial.require(
        "KEYS" not in trial.log.names,
        "KEYS goes through all keys in one step, and all other clients wait for it: with ten "
        "million keys for seconds. SCAN takes small steps.",
    )
    most = max(map(_count, trial.log), default=0)
    told = " (In this check DBSIZE tells of ten million.)" if "DBSIZE" in trial.log.names else ""
    trial.require(
        most <= _STEP,
        f"With COUNT {most} one step goes through that many keys, and holds everybody up as KEYS "
        f"does: ask for {_STEP:,} at most, however many keys there are.{told}",
    )
    scripts = [each for each in trial.log if each.name.startswith(("EVAL", "FCALL"))]
    trial.require(
        "SCAN" in trial.log.names or not scripts or len(scripts) * _STEP >= keys,
        "A script holds the server up until it ends: one that goes through all keys is KEYS by "
        "another name. Send SCAN step by step.",
    )


def _count(command: Command) -> int:
    """How many keys a step of SCAN looks at."""
    if command.name != "SCAN":
        return 0
    words = [word.upper() for word in command.args]
    return int(words[words.index("COUNT") + 1]) if "COUNT" in words else 10


def _few_trips(trial: Trial, keys: int) -> None:
    trips = trial.log.round_trips
    trial.require(
        trips <= 60,
        f"{keys:,} keys took {trips:,} round trips; 60 are enough. Without COUNT a step of SCAN "
        "looks at 10 keys, and a command for each key is a trip for each key: ask for 1,000 a "
        "step, and send what you do with them together.",
    )


@find.check("gives the names that fit the pattern and are of this type, sorted", points=1)
def _finds(trial: Trial) -> None:
    group, other = trial.words(2)
    kinds = ["string", "hash", "list", "set", "zset"]
    names: dict[str, list[str]] = {}
    for kind in kinds:
        numbers = trial.rng.sample(range(1000), trial.rng.randrange(4, 9))
        names[kind] = sorted(f"arcade:{group}:{number} {kind}" for number in numbers)
        _fill(trial, names[kind], kind)
        _fill(trial, [f"arcade:{other}:{kind}", f"arcade:{group}s:{kind}"], kind)
    for kind in trial.rng.sample(kinds, 5):
        got = trial.call(trial.client, f"arcade:{group}:*", kind)
        _found(trial, got, names[kind])
    _found(trial, trial.call(trial.client, f"arcade:{group}:*", "stream"), [])
    trial.reset()
    odd = sorted(f"arcade:{group}:{sign}" for sign in ("a", "b", "^", "!"))
    _fill(trial, [*odd, f"arcade:{group}:*"])
    for pattern, fits in {"[^a]": "!*^b", "\\*": "*", "?": "!*^ab"}.items():
        trial.equal(
            trial.call(trial.client, f"arcade:{group}:{pattern}", "string"),
            [f"arcade:{group}:{sign}" for sign in fits],
            advice=_MATCH,
        )


@find.check("goes through all steps of SCAN, and gives each name once", points=1)
def _finds_once(trial: Trial) -> None:
    group = trial.word()
    # Spread over all steps, whether these go by names or by hashes.
    every = [f"arcade:{group}:{number}" for number in range(2500)]
    names = trial.rng.sample(every, 40)
    _fill(trial, sorted(set(every) - set(names)))
    _fill(trial, names, "hash")
    _Steps(trial.client, awkward=True)
    _seems_large(trial.client)
    _found(trial, trial.call(trial.client, f"arcade:{group}:*", "hash"), sorted(names))
    _step_by_step(trial, len(every))


@find.check("lets the server choose: 5,000 keys in at most 60 round trips, none for all", points=1)
def _finds_in_steps(trial: Trial) -> None:
    group = trial.word()
    names = [f"arcade:{group}:{number}" for number in trial.rng.sample(range(9000), 50)]
    _fill(trial, [f"arcade:other:{number}" for number in range(4500)])
    _fill(trial, [f"arcade:{group}:text:{number}" for number in range(450)])
    _fill(trial, names, "hash")
    steps = _Steps(trial.client)
    _seems_large(trial.client)
    got = trial.call(trial.client, f"arcade:{group}:*", "hash")
    _found(trial, got, sorted(names))
    _step_by_step(trial, 5000)
    trial.require(
        "TYPE" not in trial.log.names,
        "A TYPE for each key asks for what SCAN can choose by itself: its option TYPE (`_type=` in "
        "redis-py) gives the keys of one type.",
    )
    trial.require(
        steps.given < 500,
        f"{steps.given:,} names came for the {len(names)} that are asked for. With MATCH and TYPE "
        "(`match=` and `_type=`) the server sends none of the others.",
    )
    _few_trips(trial, 5000)


# -- 3 clear_out ------------------------------------------------------------------------------

clear_out = outline.exercise(
    "clear_out",
    "Delete with a guard",
    hints=(
        "Two phases: look until SCAN has ended, and only then decide. What you remove is the list "
        "that you counted, not what fits by then.",
        "Gather the names in a set, `count=1000` a step. If there are more than `most`, raise "
        "ValueError with their number. Else give UNLINK up to 1,000 names at a time; it answers "
        "how many it removed.",
        "`found = list(set(r.scan_iter(match=pattern, count=1000)))`; the guard; then, for each "
        "start in `range(0, len(found), 1000)`, add `r.unlink(*found[start : start + 1000])` to a "
        "total that began at 0. Where nothing was found the loop has no turn.",
    ),
)


def _fitting(trial: Trial, count: int) -> tuple[str, list[str]]:
    """A pattern, and stored keys that fit; others that stay stand beside them."""
    group, other = trial.words(2)
    names = [f"arcade:{group}:{number} of {count}" for number in range(count)]
    _fill(trial, names)
    _fill(trial, _others(group, other))
    return f"arcade:{group}:*", names


def _others(group: str, other: str) -> list[str]:
    return [f"arcade:{group}", f"arcade:{group}s:1", *(f"arcade:{other}:{at}" for at in range(20))]


def _left(trial: Trial) -> set[str]:
    with trial.another_client() as client:
        return set(client.scan_iter(count=1000))


def _clears(trial: Trial, pattern: str, names: list[str], most: int) -> None:
    """Demand that a call removes these keys and no other, and counts them."""
    others = _left(trial) - set(names)
    got = trial.call(trial.client, pattern, most)
    left = _left(trial)
    advice = f" {_MATCH}" if "[" in pattern else ""
    trial.require(
        others <= left,
        f"{len(others - left)} keys are gone that do not fit {pattern}, such as "
        f"{min(others - left, default='')!r}.{advice}",
    )
    stayed = left & set(names)
    trial.require(
        not stayed,
        f"{len(stayed)} of {len(names)} keys that fit {pattern} are still there. {_ALL} And the "
        "last piece has to go, too.",
    )
    trial.equal(got, len(names), advice="UNLINK answers how many keys it removed: add these up.")


@clear_out.check("removes the keys that fit and returns how many, 0 where there are none", points=1)
def _clears_out(trial: Trial) -> None:
    pattern, names = _fitting(trial, trial.rng.randrange(30, 60))
    _clears(trial, pattern, names, len(names) + trial.rng.randrange(1, 9))
    nothing = "Nothing fits, and UNLINK without a name is an error: then there is nothing to send."
    with trial.explain(redis.ResponseError, nothing):
        _clears(trial, pattern, [], 5)
        _clears(trial, pattern, [], 0)
    group = trial.word()
    _fill(trial, [f"arcade:{group}:a", f"arcade:{group}:b"])
    _clears(trial, f"arcade:{group}:[^a]", [f"arcade:{group}:b"], 1)


@clear_out.check("raises ValueError and removes nothing when more than `most` fit", points=1)
def _guards(trial: Trial) -> None:
    count = trial.rng.randrange(2300, 2500)
    pattern, names = _fitting(trial, count)
    for most in (count - 1, trial.rng.randrange(2, 90)):
        said = _refused(
            trial,
            trial.client,
            pattern,
            most,
            otherwise=f"{count} keys fit where {most} may, and your function raised no ValueError. "
            "A pattern that fits more than was meant empties the server.",
        )
        gone = len(set(names) - _left(trial))
        trial.require(
            not gone,
            f"{gone} of {count} keys are gone although your function raised ValueError: a guard "
            "decides before the first key is removed, not on the way.",
        )
        numbers = re.findall(r"\d+", re.sub(r"(?<=\d)[,._' ](?=\d{3})", "", said))
        trial.require(
            str(count) in numbers,
            f"{count} keys fit, and the error says {said!r}: whoever reads it wants to know how "
            "many fit, so go on counting to the end.",
        )
    _allows(trial, "Exactly `most` keys fit, and so many may: more than `most` are too many.")
    _Steps(trial.client, awkward=True)
    _allows(trial, f"No more than `most` keys fit, each counted once. {_TWICE}")


def _allows(trial: Trial, advice: str) -> None:
    """Demand that as many keys as are allowed may go."""
    trial.reset()
    count = trial.rng.randrange(20, 40)
    pattern, names = _fitting(trial, count)
    with trial.explain(ValueError, advice):
        _clears(trial, pattern, names, count)


@clear_out.check("removes what it found, and nothing that came after the look", points=1)
def _removes_found(trial: Trial) -> None:
    names = [f"arcade:{trial.word()}:{number}" for number in range(25)]
    pattern = "arcade:*"
    later, rival = f"arcade:later:{trial.word()}", trial.another_client()
    steps, came, taken = _Steps(trial.client), False, 0

    def prepare() -> None:
        nonlocal came, taken
        came, taken = False, 0
        _fill(trial, names)
        steps.ended = False

    def other() -> None:
        nonlocal came, taken
        came = steps.ended or "KEYS" in trial.log.names
        if came:
            rival.set(later, "1")
            taken = rival.unlink(names[7])

    for got in trial.race(prepare, other, trial.client, pattern, 25):
        left = _left(trial)
        trial.require(
            later in left or not came,
            f"{later} came when your function had looked, and is gone: it looks a second time to "
            "delete, and the guard has never counted what came in between. Remove the very names "
            "that you counted.",
        )
        trial.equal(sorted(left - {later}), [], "the keys that were found and are still there")
        trial.equal(
            got,
            25 - taken,
            advice="One of the keys was removed by somebody else meanwhile. UNLINK answers how "
            "many there still were.",
        )


@clear_out.check("sends UNLINK for up to 1,000 keys at a time, and at most 60 trips", points=1)
def _clears_gently(trial: Trial) -> None:
    pattern, names = _fitting(trial, 3000)
    _seems_large(trial.client)
    _clears(trial, pattern, names, 5000)
    _step_by_step(trial, 3000)
    sent = set(trial.log.names)
    trial.require(
        not sent & {"FLUSHDB", "FLUSHALL"}, "FLUSHDB and FLUSHALL remove everything, fit or not."
    )
    trial.require(
        "DEL" not in sent,
        "DEL frees the memory of what it removes before it answers, and with large values "
        "everybody waits. UNLINK takes the names away and frees the memory in another thread.",
    )
    trial.require(
        any(name == "UNLINK" or name.startswith(("EVAL", "FCALL")) for name in sent),
        f"UNLINK removes keys; your answer sent {', '.join(sorted(sent))}.",
    )
    most = max(len(set(names) & set(command.args)) for command in trial.log)
    trial.require(
        most <= 1000,
        f"One command carried {most:,} names, and holds up everybody until it is done. Up to "
        "1,000 at a time leave others their turn.",
    )
    _few_trips(trial, 3000)


# -- 4 pipe_lines -----------------------------------------------------------------------------

pipe_lines = outline.exercise(
    "pipe_lines",
    "Write for redis-cli --pipe",
    hints=(
        "A command is an array of words: `*` and how many, then for each word `$`, its length, and "
        "the word. Each of these ends with `\\r\\n`.",
        "Make bytes of every word first (`name.encode()`, `str(score).encode()`): the length is "
        'that of the bytes. `b"$%d\\r\\n%s\\r\\n" % (len(word), word)` writes one.',
        'For each player: `words = [b"ZADD", b"arcade:scores", str(score).encode(), '
        'name.encode()]`; append `b"*4\\r\\n"` and then each word as above. `b"".join(...)` of all '
        "is the result, and of nothing it is `b''`.",
    ),
)

_NUMBER = re.compile(rb"[*$](0|[1-9][0-9]*)\r\n")


def _piped(trial: Trial, scores: dict[str, int]) -> None:
    """Demand the commands that store these scores, in order, and run them."""
    data = trial.call(dict(scores))
    trial.require(
        not isinstance(data, str),
        "redis-cli --pipe passes bytes on as they come, and the lengths count them: return bytes, "
        "not a str.",
    )
    trial.require(
        isinstance(data, bytes), f"Return bytes, not {type(data).__name__}: all commands in one."
    )
    commands = _commands(trial, data)
    trial.require(
        len(commands) == len(scores),
        f"{len(scores)} players need as many commands, one ZADD each; there are {len(commands)}.",
    )
    for words, (player, score) in zip(commands, scores.items(), strict=True):
        expected = [b"ZADD", b"arcade:scores", b"%d" % score, player.encode()]
        trial.require(
            [words[0].upper(), *words[1:2], *words[3:]] == [*expected[:2], *expected[3:]],
            f"The command for {player!r} is {words!r}, not {expected!r}. ZADD wants the score "
            "before the member, and the commands stand in the order of `scores`.",
        )
    for words in commands:
        try:
            trial.client.execute_command(*words)
        except redis.ResponseError as error:
            trial.fail(f"Redis answers `{error}` to {words!r}: write the score in digits.")
    stored: Any = trial.client.zrange("arcade:scores", 0, -1, withscores=True)
    got = dict(stored)
    board = {player: float(score) for player, score in scores.items()}
    unsigned = {player: abs(score) for player, score in board.items()}
    advice = "A score below 0 keeps its minus sign, one more byte." if got == unsigned else ""
    trial.equal(got, board, "what arcade:scores holds after these commands", advice=advice)


def _commands(trial: Trial, data: bytes) -> list[list[bytes]]:
    """The commands, read as strictly as the server reads them."""
    commands, at = [], 0
    while at < len(data):
        count, at = _number(trial, data, at, "*")
        words = []
        for _ in range(count):
            length, at = _number(trial, data, at, "$")
            word, end = data[at : at + length], data[at + length : at + length + 2]
            if end != b"\r\n":
                trial.fail(
                    f"{length} bytes after their length, at byte {at + length}, `\\r\\n` is "
                    f"expected and {end!r} stands there, behind {word[-20:]!r}. A length counts "
                    "bytes, not characters: `é` is one character and two bytes."
                )
            words.append(word)
            at += length + 2
        trial.require(bool(words), "A command has no words: `*0`.")
        commands.append(words)
    return commands


def _number(trial: Trial, data: bytes, at: int, sign: str) -> tuple[int, int]:
    """The number of words or bytes that is announced there, and where it ends."""
    found = _NUMBER.match(data, at)
    if found is None or data[at : at + 1] != sign.encode():
        what = "how many words the next command has" if sign == "*" else "how long a word is"
        trial.fail(
            f"At byte {at} stands {data[at : at + 20]!r}, where `{sign}` and {what} are expected. "
            f"{_misread(data, at)}"
        )
    return int(found[1]), found.end()


def _misread(data: bytes, at: int) -> str:
    """What most likely went wrong."""
    if data[at : at + 1].isalpha():
        return (
            "A command in plain words is split at blanks and quotes, so a name with a blank or a "
            "newline becomes other commands; `*` and `$` with lengths carry any bytes."
        )
    if re.compile(rb"[*$]?\d*\n").match(data, at):
        return "Every number and every word ends with `\\r\\n`, not with `\\n` alone."
    if data.startswith(b"\r\n", at):
        return "Nothing stands between two commands, and nothing behind the last."
    if data.startswith(b":", at):
        return "A command's words are all strings: a number, too, is `$`, its length and digits."
    return "`*4` announces four words, the command's name among them: count them."


@pipe_lines.check("writes one ZADD for each player in the protocol, in order", points=1)
def _pipes(trial: Trial) -> None:
    players = trial.words(trial.rng.randrange(12, 20))
    players = [name[: trial.rng.randrange(5, 9)] + str(at) for at, name in enumerate(players)]
    scores = [0, 0, *(trial.rng.randrange(-(10**4), 0) for _ in range(3))]
    scores += [trial.rng.randrange(1, 10**9) for _ in players[len(scores) :]]
    trial.rng.shuffle(scores)
    _piped(trial, dict(zip(players, scores, strict=True)))


@pipe_lines.check("counts bytes: names of any signs, and no players at all", points=1)
def _pipes_any(trial: Trial) -> None:
    plain = trial.words(8)
    signs = [" ", '"', "'", "\n", "\r\n", "é", "🎮", "\\x00"]
    trial.rng.shuffle(signs)
    players = [f"{name[:4]}{sign}{name[4:]}" for name, sign in zip(plain, signs, strict=True)]
    _piped(trial, {name: trial.rng.randrange(10**6) for name in [*players, "", "$3\r\nGET\r\n"]})
    trial.equal(trial.call({}), b"", advice="No players need no command.")


# -- 5 hit_ratio ------------------------------------------------------------------------------

hit_ratio = outline.exercise(
    "hit_ratio",
    "Read the hit ratio from INFO",
    hints=(
        "Both counters only grow from the start of the server on: what happened between two "
        "moments is the difference. And who starts a server begins them anew, under a new run_id.",
        "Make a dictionary of each text: go through `text.splitlines()`, leave out what has no "
        '`:`, and cut at the first with `line.partition(":")`. Compare `run_id` before anything '
        "else.",
        "If the run_ids differ, raise ValueError. `hits` and `misses` are the differences of "
        "`keyspace_hits` and `keyspace_misses` as ints; if their sum is 0 return None, else "
        "`hits / (hits + misses)`.",
    ),
)


def _info(trial: Trial, run: str, up: int, hits: int, misses: int) -> str:
    """A text as INFO prints it; no two have the lines of a section in the same order."""
    rng = trial.rng
    sections = {
        # In a container every server is process 1.
        "Server": [
            "redis_version:7.0.15",
            "process_id:1",
            f"run_id:{run}",
            "tcp_port:6379",
            f"uptime_in_seconds:{up}",
            "config_file:/etc/redis/arcade:1.conf",
        ],
        "Clients": [f"connected_clients:{rng.randrange(1, 99)}", "blocked_clients:0"],
        "Stats": [
            f"total_commands_processed:{hits + misses + rng.randrange(10**6)}",
            f"expired_keys:{rng.randrange(10**4)}",
            f"evicted_keys:{rng.randrange(10**4)}",
            f"keyspace_hits:{hits}",
            f"keyspace_misses:{misses}",
        ],
        "Replication": ["role:master", f"master_replid:{_run(trial)}"],
        "Commandstats": [f"cmdstat_get:calls={hits},usec={misses},usec_per_call=1.00"],
        "Keyspace": [f"db0:keys={rng.randrange(10**4)},expires=0,avg_ttl=0"],
    }
    parts = []
    for name, lines in sections.items():
        rng.shuffle(lines)
        parts.append("".join(f"{line}\r\n" for line in [f"# {name}", *lines]))
    return "\r\n".join(parts)


def _run(trial: Trial) -> str:
    return f"{trial.rng.getrandbits(160):040x}"


def _between(
    trial: Trial, hits: int, misses: int, *, since: tuple[int, int] = (900_000, 90_000)
) -> Any:
    """What the answer says of so many reads between two moments of one run."""
    run, up = _run(trial), trial.rng.randrange(100, 10**6)
    before = _info(trial, run, up, *since)
    after = _info(trial, run, up + 60, since[0] + hits, since[1] + misses)
    nothing = "Nothing was read between the two moments: then there is no share, and it is None."
    one_run = (
        "It is one run of the server. Lines of INFO may be headers or empty, their order differs, "
        'and a value may hold a `:` too: cut at the first with `line.partition(":")`.'
    )
    with (
        trial.explain(ZeroDivisionError, nothing),
        trial.explain(ValueError, one_run),
        trial.explain(IndexError, one_run),
    ):
        return trial.call(before, after)


def _share(trial: Trial, hits: int, misses: int) -> None:
    """Demand the share of reads that found their key."""
    got, expected = _between(trial, hits, misses), hits / (hits + misses)
    if type(got) is float and math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-12):
        return
    what = f"the share of {hits} hits and {misses} misses between the two moments"
    trial.equal(got, expected, what, advice=_misjudged(got, hits, misses))


def _misjudged(got: Any, hits: int, misses: int) -> str:
    """What most likely went wrong."""
    if got is None:
        return "Reads that all missed are reads: their share is 0.0."
    if type(got) is not float:
        return ""
    share = hits / (hits + misses)
    total = (900_000 + hits) / (990_000 + hits + misses)
    meant = {
        900 / 990: "That is the share up to the first moment.",
        total: "That is the share since the server started, which hides what happens now: take "
        "the differences of the counters.",
        total - 900 / 990: "Take the differences of the counters first, and the share of those.",
        100 * share: "That is in percent; a share goes from 0 to 1.",
        1 - share: "That is the share of the misses.",
        hits / misses if misses else 0.0: "Hits by misses is no share: divide by all reads.",
    }
    for value, advice in meant.items():
        if math.isclose(got, value, rel_tol=1e-9):
            return advice
    return "Do not round it." if math.isclose(got, share, abs_tol=0.06) else ""


@hit_ratio.check("gives the share of hits between the two moments", points=1)
def _gives_share(trial: Trial) -> None:
    for _ in range(4):
        _share(trial, trial.rng.randrange(211, 400), trial.rng.randrange(501, 900))
    _share(trial, trial.rng.randrange(200, 400), 0)
    _share(trial, 0, trial.rng.randrange(200, 400))


@hit_ratio.check("gives None when nothing was read between", points=1)
def _gives_none(trial: Trial) -> None:
    for since in ((trial.rng.randrange(1, 900), trial.rng.randrange(1, 900)), (0, 0)):
        got = _between(trial, 0, 0, since=since)
        trial.require(
            type(got) not in (int, float),
            f"Nothing was read between the two moments, and {got!r} would be a figure about reads "
            "that there were not: it is None.",
        )
        trial.require(got is None, "Nothing was read between the two moments: the answer is None.")
    some = "A hit and a miss are two reads, and None says that there were none."
    trial.require(_between(trial, 1, 1) is not None, some)


@hit_ratio.check("raises ValueError when the server restarted in between", points=1)
def _notices_restart(trial: Trial) -> None:
    rng = trial.rng
    counters = [
        ((9000, 3000), (rng.randrange(900), rng.randrange(900))),  # lower than before
        ((900, 300), (rng.randrange(9000, 9900), rng.randrange(3000, 3900))),  # higher already
        ((9000, 300), (rng.randrange(900), rng.randrange(3000, 3900))),
        ((90, 30), (90, 30)),
        ((0, 0), (0, 0)),
    ]
    for earlier, later in counters:
        # Up for longer than it was before the restart, if the two moments are far apart.
        up = rng.randrange(100, 1000)
        before = _info(trial, _run(trial), up, *earlier)
        after = _info(trial, _run(trial), up * rng.randrange(2, 9), *later)
        _refused(
            trial,
            before,
            after,
            otherwise=f"The server restarted in between and counted from 0 again: from {earlier} "
            f"to {later} hits and misses there is no difference to take, however plausible it "
            "looks. Counters and uptime may have overtaken the old ones; run_id differs at every "
            "start.",
        )


# -- 6 slow_shapes ----------------------------------------------------------------------------

slow_shapes = outline.exercise(
    "slow_shapes",
    "Sum the slow log by shape",
    hints=(
        "For each entry make its shape, and add its duration to what that shape has so far. A "
        "command of 1 ms that comes a thousand times costs more than one of 300 ms.",
        '`words = entry["command"].decode(errors="replace").split(" ")`, since words may be any '
        "bytes: the first in capitals is the name, and "
        '`re.sub(r"[0-9]+", "*", words[1])` stars the second, if there is one. Sort by '
        "`(-total, shape)`.",
        "Two dictionaries (`collections.Counter` serves) from shape to count and from shape to "
        "total; then the list of `(shape, counts[shape], totals[shape])`, sorted with "
        "`key=lambda row: (-row[2], row[0])`.",
    ),
)


def _entries(trial: Trial, commands: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Entries of a slow log, as `slowlog_get` gives them."""
    start = trial.rng.randrange(1_700_000_000, 1_800_000_000)
    return [
        {
            "id": len(commands) - at,
            "start_time": start - at,
            "duration": micros,
            "command": command.encode(errors="surrogateescape"),
            "client_address": b"127.0.0.1:50000",
            "client_name": b"",
        }
        for at, (command, micros) in enumerate(commands)
    ]


def _rows(trial: Trial, commands: Sequence[tuple[str, int]]) -> list[Row]:
    """What the answer makes of these commands, if it is a list of rows."""
    with_bytes = "A command is bytes: `.decode()` makes a text of it."
    no_argument = "A command without arguments has no second word."
    with (
        trial.explain(TypeError, with_bytes),
        trial.explain(IndexError, no_argument),
        trial.explain(ValueError, no_argument),
    ):
        got = trial.call(_entries(trial, commands))
    if not isinstance(got, list):
        trial.fail(f"Return a list of tuples, not {type(got).__name__}.")
    for row in got:
        trial.require(
            isinstance(row, tuple) and list(map(type, row)) in ([str, int, int], [str, int, float]),
            f"A row is a tuple of shape, count and total: a text and two numbers; got {row!r}.",
        )
        trial.require(
            not row[0].lower().startswith("b'"),
            f"The shape {row[0]!r} begins as Python shows bytes: `.decode()` makes a text of them.",
        )
    return got


@slow_shapes.check("counts and adds up the commands of each shape", points=1)
def _sums(trial: Trial) -> None:
    board, player, jobs = trial.words(3)
    shapes = {
        f"ZRANGE arcade:{board}:*": [f"ZRANGE arcade:{board}:{at} 0 {at}" for at in range(9)],
        f"HGETALL arcade:{player}:*": [f"HGETALL arcade:{player}:{at}" for at in (3, 3, 5)],
        f"ZADD arcade:{board}:*": [f"ZADD arcade:{board}:{at} {at} {player}" for at in range(4)],
        f"LRANGE arcade:{jobs}": [f"LRANGE arcade:{jobs} 0 {at}" for at in range(1, 6)],
    }
    timed = [
        (shape, command, trial.rng.randrange(10_000, 90_000))
        for shape, commands in shapes.items()
        for command in commands
    ]
    trial.rng.shuffle(timed)
    got = _rows(trial, [(command, micros) for _, command, micros in timed])
    expected = {
        shape: (len(micros), sum(micros))
        for shape in shapes
        for micros in [[each[2] for each in timed if each[0] == shape]]
    }
    trial.require(
        {row[0] for row in got} != {command for _, command, _ in timed},
        "Every line stands for itself: which board and which range it was hides that it is one "
        "and the same command. Take the name and the first argument, with its numbers as `*`.",
    )
    trial.equal(sorted({row[0] for row in got}), sorted(expected), "the shapes")
    trial.require(len(got) == len(expected), "A shape stands in the list more than once.")
    for shape, count, total in got:
        micros = [each[2] for each in timed if each[0] == shape]
        trial.equal(count, len(micros), f"the count of {shape}")
        advice = ""
        if total == max(micros):
            advice = "That is the slowest alone; what the server was held up for is the sum."
        elif abs(total * len(micros) - sum(micros)) < len(micros):
            advice = "That is the mean; what the server was held up for is the sum."
        elif total in (sum(micros) / 1000, sum(micros) // 1000, sum(micros) / 1e6):
            advice = "The total stays in microseconds."
        trial.equal(total, sum(micros), f"the total of {shape}", advice=advice)
    trial.equal(_rows(trial, []), [], "the shapes of an empty log")


@slow_shapes.check("puts the most total time first, and equal ones by shape", points=0.5)
def _orders(trial: Trial) -> None:
    often, once, some, *ties = sorted(trial.words(7), reverse=True)
    factor = trial.rng.randrange(2, 90)
    commands = [(f"GET arcade:{once}", 500 * factor)]
    commands += [(f"GET arcade:{some}", 150 * factor)] * 3
    commands += [(f"GET arcade:{often}", 100 * factor)] * 6
    # Equal in total, in an order that is neither that of the shapes nor of the counts.
    for name, count in zip(ties, (2, 4, 1, 3), strict=True):
        commands += [(f"GET arcade:{name}", 12 * factor // count)] * count
    totals: dict[str, int] = {}
    for command, micros in commands:
        totals[command] = totals.get(command, 0) + micros
    got = [row[0] for row in _rows(trial, commands)]
    expected = sorted(totals, key=lambda shape: (-totals[shape], shape))
    trial.equal(got, expected, "the order of the shapes", advice=_disordered(got, commands))


def _disordered(got: list[str], commands: list[tuple[str, int]]) -> str:
    """What they are most likely ordered by."""
    names = [command for command, _ in commands]
    totals = {name: sum(each[1] for each in commands if each[0] == name) for name in set(names)}
    most = {name: max(each[1] for each in commands if each[0] == name) for name in set(names)}
    if set(got) != set(names):
        return ""
    ordered = [totals[name] for name in got]
    if ordered == sorted(ordered, reverse=True):
        return "Equal totals stand by shape, from a to z: sort by `(-total, shape)`."
    if ordered == sorted(ordered):
        return "The most total time comes first."
    counts = [names.count(name) for name in got]
    if counts == sorted(counts, reverse=True):
        return "How often a command came says nothing of the time it took: order by the total."
    slowest = [most[name] for name in got]
    if slowest == sorted(slowest, reverse=True):
        return "Many commands may take more time than the slowest one: order by the total."
    return ""


@slow_shapes.check("makes one shape of what differs in case and numbers alone", points=0.5)
def _shapes(trial: Trial) -> None:
    word = f"{trial.word(4)}{trial.word(4).capitalize()}"
    number = trial.rng.randrange(10, 10**6)
    shapes = {
        "zrange arcade:board:7 0 -1": "ZRANGE arcade:board:*",
        f"ZRange arcade:board:{number} 0 9": "ZRANGE arcade:board:*",
        f"GET arcade:{word}:007:{number}": f"GET arcade:{word}:*:*",
        f"get arcade:{word}:1:2": f"GET arcade:{word}:*:*",
        f"HSET arcade:game{number}on2024-11-26 a{number} 1": "HSET arcade:game*on*-*-*",
        f"GET arcade:größe:{number}": "GET arcade:größe:*",
        f"SELECT {number}": "SELECT *",
        f"SLOWLOG get {number}": "SLOWLOG get",
        f"config{number} get maxmemory": f"CONFIG{number} get",  # renamed by an administrator
        "INFO": "INFO",
        "dbsize": "DBSIZE",
        "KEYS *": "KEYS *",
    }
    for command, shape in trial.rng.sample(list(shapes.items()), len(shapes)):
        got = [row[0] for row in _rows(trial, [(command, number)])]
        trial.equal(
            got,
            [shape],
            f"the shapes of {command!r}",
            advice=_misshaped(got[0] if got else "", command, shape),
        )
    _shapes_of_bytes(trial, word, number)


def _shapes_of_bytes(trial: Trial, word: str, number: int) -> None:
    """Demand rows for commands with words that are no text; how these look is left open."""
    odd = bytes(trial.rng.choices(range(0xFA, 0x100), k=4)).decode(errors="surrogateescape")
    commands = [(f"SET arcade:{word}:{number} {odd}", 2), (f"GET arcade:{odd}:{number}", 1)]
    any_bytes = (
        "Words may be any bytes, such as a picture that is stored, and not always UTF-8: "
        '`.decode(errors="replace")` takes them all.'
    )
    with trial.explain(UnicodeError, any_bytes):
        got = [row[0] for row in trial.call(_entries(trial, commands))]
    trial.require(
        len(got) == 2, f"Two commands of two shapes make two rows, not {len(got)}. {any_bytes}"
    )
    trial.equal(got[0], f"SET arcade:{word}:*", "the shape of a SET whose value is no text")
    trial.require(
        got[1].startswith("GET arcade:") and got[1].endswith(":*"),
        f"The key is `arcade:`, four bytes that are no text, `:` and a number: {got[1]!r} does not "
        "keep what is text of it.",
    )


def _misshaped(got: str, command: str, shape: str) -> str:
    """What most likely went wrong."""
    name, _, rest = command.partition(" ")
    if "*" in got.partition(" ")[0] and re.search(r"\d", name):
        return (
            "Digits in the command's own name stay (an administrator may have renamed CONFIG to "
            "CONFIG7): only those of the first argument become `*`."
        )
    if not rest and got != name:
        return "Without an argument the shape is the name alone, in capitals, and no blank."
    if "**" in got:
        return "A run of digits is one `*`: else 7 and 17 are two shapes."
    if got == shape.upper():
        return "The name alone is in capitals: keys keep their case, `Board` is not `board`."
    if got.upper() == shape.upper():
        return "zrange and ZRANGE are one command: write the name in capitals."
    if got.startswith(f"{shape} "):
        return "Of the arguments only the first belongs to the shape."
    if re.search(r"\d", got.partition(" ")[2]):
        return "Every run of digits in the first argument becomes `*`, wherever it stands."
    if not shape.isascii():
        return (
            "Most keys are UTF-8, in which `ö` is two bytes: decode as that, with "
            '`errors="replace"` for the rest.'
        )
    return ""


# -- 7 to 11: times to live, copies, users, and a sick server -------------------------------------

# They register themselves on the outline above, and import it: they cannot be imported earlier.
from labkit.course.lessons import diagnosing  # noqa: E402, F401  isort: skip
from labkit.course.lessons import incident  # noqa: E402, F401  isort: skip


# -- 12 choose a tool ----------------------------------------------------------------------------

outline.quiz(
    "choose_tool",
    "Choose a tool",
    {
        "q1": Question(
            "all names that begin with arcade:cart:, of ten million keys, while people play",
            "scan",
            {
                "scan": "A step looks at some keys, and others are served in between. What is "
                "there all the time comes at least once; what comes or goes meanwhile may come or "
                "not.",
                "keys": "It answers just that, and goes through all ten million in one go: nobody "
                "else is served until it is done.",
                "monitor": "It shows what is asked from now on. A key that nobody asks for never "
                "shows up.",
                "info": "Its section Keyspace counts the keys of each database, and names none.",
            },
        ),
        "q2": Question(
            "which commands, on which keys, ran for more than 10 ms last night",
            "slowlog",
            {
                "slowlog": "It keeps what ran longer than its threshold, with words, time and "
                "sender: the newest 128, unless slowlog-max-len says otherwise.",
                "monitor": "It shows commands as they come, not those of last night, and not how "
                "long each ran.",
                "commandstats": "INFO commandstats has the calls and the time of each command's "
                "name, summed up since the server started: no keys, and not when.",
                "latency": "LATENCY HISTORY command tells when something took long, and how long, "
                "if latency-monitor-threshold was set: but not which command on which key.",
            },
        ),
        "q3": Question(
            "players wait 200 ms for each answer, and the SLOWLOG, from 1 ms on, stays empty",
            "--latency",
            {
                "--latency": "`redis-cli --latency` times a PING there and back. Started beside "
                "the players and then beside the server, it tells the network from the server; "
                "SLOWLOG counts neither the network nor the wait for one's turn.",
                "slowlog": "With a lower threshold it shows commands that ran for less than 1 ms. "
                "It counts the running alone, and where the other 199 ms went it cannot show.",
                "commandstats": "It sums up the same running times that SLOWLOG looks at: the "
                "network and the wait for one's turn are in neither.",
                "monitor": "It shows no durations, and makes a server that may be busy busier.",
            },
        ),
        "q4": Question(
            "every command that an unknown program sends, for five seconds, on an idle server",
            "monitor",
            {
                "monitor": "It shows each command with its sender. The server writes all of them "
                "to you as well, which can halve what it manages when it is busy: use it for "
                "seconds, and end it.",
                "slowlog": "With the threshold 0 it keeps all commands, of all programs, but only "
                "the newest 128, cuts long ones, and is a setting that somebody has to undo.",
                "client list": "It tells of each connection the address and the name of its last "
                "command: not what came before, and no keys.",
                "scan": "It shows what is stored, and not who asks for it.",
            },
        ),
    },
    hints=(
        "Ask of each tool: does it tell what is stored or what is asked? From now on, or of the "
        "past? And what does the server have to do for it?",
        "SCAN looks in steps, where KEYS looks in one go. SLOWLOG remembers single commands, "
        "commandstats sums. MONITOR shows all from now on, at a price. `--latency` measures the "
        "way as well.",
        "q1 must not stop the players. q2 asks of the past, for single commands. In q3 the "
        "commands run fast, so the time goes elsewhere. q4 wants all of it, and the server has "
        "time.",
    ),
)
