"""What lesson 08 checks of the layers below: a backend in memory, one in Redis, and both as one."""

from __future__ import annotations

import functools
import gc
import itertools
import math
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from labkit.cache import Unavailable
from labkit.clock import FakeClock
from labkit.course.exercise import AnswerRaised, CheckFailed, PowerCut, Trial, _described
from labkit.course.lessons.lesson_07_write_strategies import Cancelled
from labkit.course.lessons.lesson_08_smart_cache_api import outline
from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labkit.spy import Command


class _Made:
    """An object of the learner's class; what its methods raise is told with the call.

    Attributes:
        complaint: What is wrong, found while a method was running: told when it has returned,
            since the learner's own `except` would catch it.

    Args:
        trial: The trial.
        *args: What the class is called with.
    """

    def __init__(self, trial: Trial, *args: Any) -> None:
        self._trial = trial
        self._object = trial.call(*args)
        self.complaint: CheckFailed | AnswerRaised | None = None

    def get(self, key: str) -> Any:
        return self._use("get", key)

    def set(self, key: str, text: str, ttl: float | None) -> Any:
        return self._use("set", key, text, ttl)

    def delete(self, key: str) -> Any:
        return self._use("delete", key)

    def report(self) -> Any:
        return self._use("report")

    def _use(self, name: str, *args: Any) -> Any:
        method = getattr(self._object, name, None)
        if not callable(method):
            self._trial.fail(
                f"What your class makes, {self._object!r:.60}, has no method `{name}`."
            )
        shown = f"`{name}({', '.join(map(repr, args))})`"
        try:
            result = method(*args)
        except (KeyboardInterrupt, PowerCut):
            raise
        except BaseException as error:
            unwritten = isinstance(error, NotImplementedError)
            advice = " This method is not written yet." if unwritten else ""
            raise AnswerRaised(f"{shown} raised {_described(error)}{advice}") from error
        finally:
            if self.complaint is not None:
                raise self.complaint
        self._trial._refuse_unfinished(result)
        return result


# -- a backend in memory -------------------------------------------------------------------------

memory_backend = outline.exercise(
    "MemoryBackend",
    "At most so many texts",
    hints=(
        "A `collections.OrderedDict` from the key to the text and the moment at which it ends has "
        "it all: its order is the order of use, if every get and every set moves its key to the "
        "end. What has ended at `clock()` has to go before anything else happens.",
        "`move_to_end(key)` makes a key the one used last, and `popitem(last=False)` takes the one "
        "used least recently. A text without a time to live ends at `math.inf`. `pop(key, None)` "
        "removes a key that need not be there.",
        "A method that every other one calls first: `now = self._clock()`, and `del` each key "
        "whose end is `<= now`, from a list of them. Then `get`: None if the key is not there, "
        "else `move_to_end` and the text. `set`: `pop(key, None)`; return if the ttl is not above "
        "0; `popitem(last=False)` if there are `most`; store the text and its end.",
    ),
)

_Step = tuple[Any, ...]
"""A call, such as `("set", "a", "text", None)`, or `("wait", 5.0)`."""


class _Model:
    """What a `MemoryBackend` does, without a thought for what it costs."""

    def __init__(self, most: int, clock: FakeClock) -> None:
        self._most = most
        self._clock = clock
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def get(self, key: str) -> str | None:
        self._expire()
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def set(self, key: str, text: str, ttl: float | None) -> None:
        self.delete(key)
        if ttl is not None and ttl <= 0:
            return
        if len(self._held) == self._most:
            self._held.popitem(last=False)
        self._held[key] = text, math.inf if ttl is None else self._clock() + ttl

    def delete(self, key: str) -> None:
        self._expire()
        self._held.pop(key, None)

    def _expire(self) -> None:
        for key in [key for key, (_, ends) in self._held.items() if ends <= self._clock()]:
            del self._held[key]


def _difference(trial: Trial, clock: FakeClock, most: int, steps: Sequence[_Step]) -> str | None:
    """Where the answer does not do what the model does, in words; None: nowhere."""
    made, model = _Made(trial, most, clock), _Model(most, clock)
    told: list[str] = []
    for name, *args in steps:
        if name == "wait":
            clock.advance(args[0])
            told.append(f"{args[0]:g} s later")
            continue
        told.append(f"`{name}({', '.join(map(repr, args))})`")
        so_far = f"`MemoryBackend({most}, clock)`: {', '.join(told)}"
        try:
            got = getattr(made, name)(*args)
        except AnswerRaised as raised:
            if isinstance(raised.__cause__, NotImplementedError):
                raise
            return f"{so_far}. The last call raised {_described(raised.__cause__ or raised)}"
        expected = getattr(model, name)(*args)
        if name == "get" and (got is None) != (expected is None):
            return f"{so_far} returned {got!r:.60}; expected {expected!r}."
        if name == "get":
            trial.equal(got, expected, so_far)
    return None


def _demand(trial: Trial, *scenes: tuple[int, Sequence[_Step], str]) -> None:
    """Demand that the answer goes through each scene as the model does, or give its advice."""
    clock = trial.named("clock", FakeClock(trial.rng.randrange(100_000)))
    for most, steps, advice in scenes:
        if message := _difference(trial, clock, most, steps):
            trial.fail(f"{message} {advice}")


@memory_backend.check("keeps texts; set replaces them, and delete removes them", points=0.5)
def _keeps_texts(trial: Trial) -> None:
    a, b = trial.words(2, 5)
    old, new = trial.words(2)
    _demand(
        trial,
        (5, [("get", a)], "Nothing was stored: the answer is None."),
        (5, [("set", a, old, None), ("get", a), ("get", a), ("get", b)], ""),
        (5, [("set", a, "", None), ("get", a)], "An empty text is a text, and no miss."),
        (5, [("set", a, old, None), ("set", a, new, None), ("get", a)], "A set replaces."),
        (
            5,
            [("set", a, old, None), ("set", b, new, 60), ("delete", a), ("get", a), ("get", b)],
            "A delete removes the one key.",
        ),
        (5, [("delete", a), ("set", a, old, 60), ("delete", a), ("delete", a), ("get", a)], ""),
    )


@memory_backend.check("the least recently used one goes; get and set are uses", points=0.5)
def _uses(trial: Trial) -> None:
    a, b, c = trial.words(3, 5)
    two: list[_Step] = [("set", a, "first", None), ("set", b, "second", None)]
    third: _Step = ("set", c, "third", None)
    _demand(
        trial,
        (2, [*two, ("get", b), ("get", a)], "There is room for both."),
        (2, [*two, third, ("get", a), ("get", b), ("get", c)], "Two texts are all it may keep."),
        (
            2,
            [*two, ("get", a), third, ("get", b), ("get", a), ("get", c)],
            "A get is a use: it makes a text the last to go.",
        ),
        (
            2,
            [*two, ("set", a, "anew", None), third, ("get", b), ("get", a)],
            "A set is a use, of a key that is there, too.",
        ),
        (2, [*two, ("set", b, "anew", None), ("get", a)], "To replace a text takes no more room."),
        (2, [*two, ("delete", b), third, ("get", a), ("get", c)], "The delete had made room."),
        (1, [*two, ("get", a), ("get", b)], "One text is all it may keep."),
    )


@memory_backend.check("a text is gone at the moment its time is over", points=0.5)
def _ends(trial: Trial) -> None:
    a = trial.word(5)
    ttl = trial.rng.randrange(8, 100) / 4
    short: _Step = ("set", a, "short", ttl)
    for_ever: _Step = ("set", a, "for ever", None)
    get: _Step = ("get", a)
    most_of_it, over = ("wait", ttl - 0.25), ("wait", 0.25)
    _demand(
        trial,
        (
            3,
            [short, most_of_it, over, get],
            "It lives as long as `clock() < stored + ttl`, `clock` being the function that you "
            "are given.",
        ),
        (3, [short, most_of_it, get], "It lives as long as `clock() < stored + ttl`."),
        (3, [short, most_of_it, get, over, get], "A get does not make it live longer."),
        (3, [short, for_ever, over, most_of_it, get], "A set replaces the time to live as well."),
        (3, [for_ever, short, over, most_of_it, get], "A set replaces the time to live as well."),
        (
            3,
            [short, most_of_it, short, most_of_it, get, over, get],
            "Its time begins anew with a set.",
        ),
        (
            3,
            [for_ever, ("set", a, "no time", 0), get],
            "A time to live of 0 is over at once, and the old text has been replaced. `if ttl:` "
            "takes 0 for None: ask `ttl is None`.",
        ),
        (3, [for_ever, ("set", a, "no time", -1.5), get], "Its time was over before it began."),
    )


@memory_backend.check("what is over takes no room, and nothing of it is held", points=0.5)
def _takes_no_room(trial: Trial) -> None:
    a, b, c, d = trial.words(4, 5)
    ttl = trial.rng.randrange(8, 100) / 4
    _demand(
        trial,
        (
            2,
            [
                ("set", a, "lives", None),
                ("set", b, "short", ttl),
                ("wait", ttl),
                ("set", c, "new", None),
                ("get", a),
                ("get", b),
                ("get", c),
            ],
            f"The time of {b!r} was over, so that one goes, and not {a!r}, however long ago "
            f"{a!r} was used.",
        ),
        (
            3,
            [
                ("set", a, "lives", None),
                ("set", b, "short", ttl),
                ("set", c, "short", ttl),
                ("wait", ttl),
                ("set", d, "new", None),
                ("set", b, "new", None),
                ("get", a),
            ],
            "There was room: two of three were over.",
        ),
        (
            2,
            [
                ("set", a, "lives", None),
                ("set", b, "lives", None),
                ("set", c, "no time", 0),
                ("get", a),
                ("get", b),
            ],
            "What is over at once takes no room: nothing goes for it.",
        ),
    )
    _holds_no_more(trial)


class _Text(str):
    """A text of which can be told whether anybody still holds it."""


def _alive(held: list[weakref.ref[_Text]], most: int) -> int:
    """How many are still there, if more than `most` after all that nobody can reach has gone."""
    if sum(ref() is not None for ref in held) > most:
        gc.collect()
    return sum(ref() is not None for ref in held)


def _holds_no_more(trial: Trial) -> None:
    """Demand that neither texts nor keys that went are held."""
    most, rounds = 4, 200
    numbers: tuple[Callable[[int], int], ...] = (lambda n: n, lambda n: n % most)
    for number, ttl in itertools.product(numbers, (None, 1000)):
        made = _Made(trial, most, trial.named("clock", FakeClock()))
        keys: list[weakref.ref[_Text]] = []
        texts: list[weakref.ref[_Text]] = []
        for n in range(rounds):
            key, text = _Text(f"key {number(n)}"), _Text(f"text {n}")
            keys.append(weakref.ref(key))
            texts.append(weakref.ref(text))
            made.set(key, text, ttl)
            del key, text
        distinct = len({number(n) for n in range(rounds)})
        done = (
            f"`MemoryBackend({most}, clock)`, and {rounds} times a `set`, of {distinct} keys: "
            "there are still "
        )
        kept = _alive(texts, most)
        trial.require(
            kept <= most,
            f"{done}{kept} of the texts in memory. What went may be held nowhere.",
        )
        # A heap of moments may hold some keys that went, as long as it is cleaned now and then.
        kept = _alive(keys, 10 * most)
        trial.require(
            kept <= 10 * most,
            f"{done}{kept} of the keys in memory. What is kept beside the texts, as their ends or "
            "their order, has to go with them.",
        )


@memory_backend.check("a `most` below 1 is refused with a ValueError", points=0.25)
def _refuses_no_room(trial: Trial) -> None:
    clock = trial.named("clock", FakeClock())
    trial.call(1, clock)
    for most in (0, -trial.rng.randrange(1, 100)):
        try:
            trial.call(most, clock)
        except AnswerRaised as raised:
            if isinstance(raised.__cause__, ValueError):
                continue
            raise
        trial.fail(
            f"`MemoryBackend({most}, clock)` was made; expected a ValueError, from the "
            "constructor: a backend that can keep nothing is a mistake of the caller's."
        )


_HISTORIES = 300


@memory_backend.check(f"does all of it in any order: {_HISTORIES} random histories", points=0.75)
def _any_history(trial: Trial) -> None:
    rng = trial.rng
    clock = trial.named("clock", FakeClock(rng.randrange(100_000)))
    keys = trial.words(4, 2)

    def step() -> _Step:
        key = rng.choice(keys)
        match rng.randrange(10):
            case 0 | 1 | 2 | 3:
                return "set", key, trial.word(3), rng.choice((None, None, 1.0, 2.0, 3.5, 0))
            case 4 | 5 | 6:
                return "get", key
            case 7:
                return "delete", key
            case _:
                return "wait", rng.choice((0.5, 1.0, 2.0))

    for number in range(_HISTORIES):
        most = rng.randrange(1, 4)
        steps = [step() for _ in range(4 + number % 12)]
        steps += [("get", key) for key in rng.sample(keys, len(keys))]
        if message := _difference(trial, clock, most, steps):
            for at in reversed(range(len(steps))):
                fewer = [*steps[:at], *steps[at + 1 :]]
                if shorter := _difference(trial, clock, most, fewer):
                    steps, message = fewer, shorter
            trial.fail(message)


# -- a backend in Redis --------------------------------------------------------------------------

redis_backend = outline.exercise(
    "RedisBackend",
    "The same three calls, in Redis",
    hints=(
        "Each method is one call of the client, between `try:` and two kinds of `except`. What a "
        "SET can carry with it need not be a second command.",
        "`r.set(name, text, px=milliseconds)` takes a whole number of at least 1, and `px=None` is "
        "no time to live at all. `redis.ConnectionError` and `redis.TimeoutError` have namesakes "
        "in Python without `redis.`, which are other errors.",
        "`px = None if ttl is None else max(1, round(ttl * 1000))`; for a ttl of 0 or less call "
        "`self.delete(key)` instead. Around each call: `try: ...`, `except (redis.ConnectionError, "
        "redis.TimeoutError) as error: raise Unavailable(str(error)) from error`.",
    ),
)

_AWKWARD = ("", "007", "null", '{"title": "Fähre"}', "two\r\nlines", "a\x00b", "PX 1", "🗞")


class _Sending(_Made):
    """A backend of the learner's whose commands are recorded in the trial's log.

    Attributes:
        before: Runs before each round trip.
    """

    def __init__(self, trial: Trial, prefix: str) -> None:
        # A client that tries again by itself would hide that Redis is away, and sleep.
        trial.client.set_retry(Retry(NoBackoff(), 0))
        super().__init__(trial, trial.client, prefix)
        self.before: Callable[[int], None] | None = None

    def _use(self, name: str, *args: Any) -> Any:
        self._trial.log = CommandLog(self._trial.client, before=self.before)
        with self._trial.log:
            return super()._use(name, *args)


def _one_command(trial: Trial, what: str, advice: str) -> None:
    """Demand that the last call sent one command; `advice` says how."""
    trial.require(len(trial.log) > 0, f"{what} sent nothing to Redis through `r`.")
    trial.require(
        len(trial.log) == 1 and trial.log.round_trips == 1,
        f"{what} sent {', '.join(trial.log.names)}. One command is enough: {advice}",
    )


@redis_backend.check("each call is one command on prefix + key; texts come back", points=0.5)
def _texts_in_redis(trial: Trial) -> None:
    prefix = f"news:{trial.word()}:"
    made, witness = _Sending(trial, prefix), trial.another_client()
    other = trial.word(12)
    witness.set(other, "another's")
    texts = [trial.word(20), *trial.rng.sample(_AWKWARD, len(_AWKWARD))]
    for key, text in zip(trial.words(len(texts)), texts, strict=True):
        trial.equal(made.get(key), None, f"`get({key!r})`, where nothing is")
        made.set(key, text, None)
        _one_command(trial, f"`set({key!r}, {text!r}, None)`", "SET.")
        names = {*witness.scan_iter()} - {other}
        trial.require(
            names == {prefix + key},
            f"With the prefix {prefix!r}, `set({key!r}, ...)` stored {sorted(names)}; expected "
            f"{prefix + key!r}, the prefix and the key, with nothing in between.",
        )
        trial.equal(
            witness.get(prefix + key),
            text,
            f"what stands under {prefix + key}",
            advice="Store the text as it is: what it means is not the backend's concern.",
        )
        trial.equal(made.get(key), text, f"`get({key!r})`", advice="It is the text as it was set.")
        _one_command(trial, f"`get({key!r})`", "GET answers None where nothing is.")
        for there in ("there", "not there"):
            made.delete(key)
            _one_command(trial, f"`delete({key!r})`, with the key {there},", "DEL.")
            trial.require(not witness.exists(prefix + key), f"`delete({key!r})` left the key.")
    trial.equal(witness.get(other), "another's", f"what {other!r} holds, which has not the prefix")


def _milliseconds(trial: Trial, command: Command, what: str) -> int | None:
    """The time to live that a command gave a key; None: it gave none."""
    if command.name in ("PSETEX", "SETEX"):
        return int(command.args[1]) * (1 if command.name == "PSETEX" else 1000)
    options = [word.upper() for word in command.args[2:]]
    for word, factor in (("PX", 1), ("EX", 1000)):
        if word in options:
            return int(options[options.index(word) + 1]) * factor
    for word in ("PXAT", "EXAT"):
        if word in options:
            trial.fail(
                f"{what} sent {word}: that is a moment by this machine's clock, and the server "
                "has its own. Say how long, with `px=`."
            )
    return None


@redis_backend.check("a time to live goes with the SET, to the millisecond", points=0.5)
def _lives_in_redis(trial: Trial) -> None:
    rng = trial.rng
    prefix, key = f"news:{trial.word()}:", trial.word()
    made, witness = _Sending(trial, prefix), trial.another_client()
    made.set(key, "text", None)
    fine = rng.randrange(1_000, 90_000) / 1000 + 0.0004
    for ttl in (60, 300.0, 0.25, 1.5, fine, 0.0004, 1e-9):
        what = f"`set({key!r}, 'text', {ttl})`"
        with (
            trial.explain(redis.DataError, "`px=` takes a whole number, an int."),
            trial.explain(
                redis.ResponseError,
                "Redis takes no time to live below 1 millisecond: send at least 1.",
            ),
        ):
            made.set(key, "text", ttl)
        _one_command(
            trial,
            what,
            "SET takes the time to live with `px=`. A program that is stopped between two leaves "
            "a key that never expires.",
        )
        got = _milliseconds(trial, trial.log.commands[0], what)
        trial.require(
            got is not None,
            f"{what} sent `{trial.log.commands[0]}`: the key never expires. Pass `px=`.",
        )
        expected = {max(1, math.floor(ttl * 1000)), max(1, math.ceil(ttl * 1000))}
        trial.require(
            got in expected,
            f"{what} gave the key {got} ms; expected {' or '.join(map(str, sorted(expected)))}. "
            "A ttl is in seconds, with a fraction; `px=` takes milliseconds, at least 1.",
        )
    made.set(key, "text", 60)
    made.set(key, "text", None)
    trial.require(
        witness.ttl(prefix + key) == -1,
        f"`set({key!r}, 'text', None)` over a key with a time to live left it one. A plain SET "
        "takes it away.",
    )
    for ttl in (0, 0.0, -rng.randrange(1, 100) / 4):
        witness.set(prefix + key, "old")
        what = f"`set({key!r}, 'text', {ttl})`"
        advice = "Its time is over: nothing is stored, and what was there has gone. Send a DEL."
        with trial.explain(redis.ResponseError, advice):
            made.set(key, "text", ttl)
        found: Any = witness.get(prefix + key)
        trial.require(
            found is None and not trial.sent("SET"),
            f"{what} sent {', '.join(trial.log.names) or 'nothing'}, and then the key holds "
            f"{found!r}. {advice}",
        )
        _one_command(trial, what, "DEL.")


@redis_backend.check("Redis away is Unavailable, and no other error is", points=1)
def _tells_unavailable(trial: Trial) -> None:
    key = trial.word()
    made = _Sending(trial, "news:")
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("get", lambda: made.get(key)),
        ("set", lambda: made.set(key, "text", None)),
        ("set", lambda: made.set(key, "text", 60)),
        ("set", lambda: made.set(key, "text", 0)),
        ("delete", lambda: made.delete(key)),
    ]
    for _, call in calls:
        call()
    away: list[BaseException] = [
        redis.ConnectionError("Connection refused."),
        redis.TimeoutError("Timeout reading from socket."),
        redis.BusyLoadingError("Redis is loading the dataset in memory."),
    ]
    for error, (name, call) in itertools.product(away, calls):
        what = f"`{name}` met redis.{type(error).__name__}"
        if isinstance(error, redis.BusyLoadingError):
            what += ", which is a ConnectionError,"
        cause, trips = _met(made, error, call, f"{what} and")
        assert cause is not None
        trial.require(
            cause is not error,
            f"{what} and let it through. Make it an `Unavailable`: whoever uses a backend knows no "
            "redis. `except ConnectionError` without `redis.` means Python's own, another error.",
        )
        trial.require(
            isinstance(cause, Unavailable),
            f"{what} and raised {_described(cause)} Expected `labkit.cache.Unavailable`.",
        )
        trial.require(
            cause.__cause__ is error,
            f"{what} and raised an `Unavailable` that does not say what it came from: `raise "
            "Unavailable(...) from error`.",
        )
        trial.require(
            trips == 1,
            f"{what} and tried {trips} times. Raise at once: who waits for a server that is away "
            "decides how often.",
        )
    others: list[BaseException] = [
        redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis.DataError("Invalid input"),
        RuntimeError("out of threads"),
        Cancelled("the page was closed"),
    ]
    for error, (name, call) in itertools.product(others, calls):
        what = f"`{name}` met {type(error).__name__}"
        cause, _ = _met(made, error, call, f"{what} and")
        assert cause is not None
        trial.require(
            cause is error,
            f"{what} and raised {_described(cause)} The server is not away: this is a bug, or "
            "somebody's Ctrl-C. Let it through as it is.",
        )


def _met(
    made: _Sending, error: BaseException, call: Callable[[], Any], what: str
) -> tuple[BaseException | None, int]:
    """What a call raises when every trip raises an error, and how often it went."""
    trips = 0

    def fail(_: int) -> None:
        nonlocal trips
        trips += 1
        raise Cancelled("tried 20 times") if trips > 20 else error

    made.before = fail
    try:
        got = call()
    except AnswerRaised as raised:
        return raised.__cause__, trips
    else:
        made._trial.fail(
            f"{what} returned {got!r:.60}: the caller takes that for an answer. Raise."
        )
    finally:
        made.before = None


# -- two backends as one -------------------------------------------------------------------------

tiers = outline.exercise(
    "Tiers",
    "Near and far as one",
    hints=(
        "All calls of far go through one method, which knows whether far may be asked, turns "
        "Unavailable into an answer, and remembers what is owed. Everything that it remembers "
        "changes under one lock, and no lock is held while far is at work.",
        "Four things to remember: until when far is left alone (None: it works), whether somebody "
        "is trying it, the set of keys that are owed, and how many sets and deletes there were. "
        "`get` reads that number before it asks far, and puts the text into near only if it is "
        "still the same, asking and putting under the lock.",
        "`_ask(call, owes)`: under the lock, if far is away and (somebody tries or `clock() < "
        "until`), add `owes` and return None; else note whether this is the try. Then `try:` if it "
        "is the try, `far.delete(key)` for each key owed, the loop going on until none is left; "
        "then `call()`. `except Unavailable:` `until = clock() + pause`, add `owes`. `else:` "
        "`owes` is settled, and the try has far back if nothing is owed. `finally:` the try is "
        "over. `set` and `delete` ask far first, then, under the lock, count and change near.",
    ),
)

_PATIENCE = 0.1  # seconds in which another caller may be waiting for a lock, as it should
_LONG = 3.0  # seconds after which one that should not wait is given up


class _Double:
    """A backend that a check looks into.

    Attributes:
        texts: What it holds.
        ttls: The time to live that each key was last set with.
        calls: The calls it got, such as `("get", "a")`.
        away: Whether it raises Unavailable.
        before: Runs when a call comes in, and `after` when it has had its effect.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.ttls: dict[str, float | None] = {}
        self.calls: list[tuple[str, str]] = []
        self.away = False
        self.before: Callable[[str, str], object] = lambda name, key: None
        self.after: Callable[[str, str], object] = lambda name, key: None

    def get(self, key: str) -> str | None:
        self._come("get", key)
        text = self.texts.get(key)
        self.after("get", key)
        return text

    def set(self, key: str, text: str, ttl: float | None) -> None:
        self._come("set", key)
        self.texts[key], self.ttls[key] = text, ttl
        self.after("set", key)

    def delete(self, key: str) -> None:
        self._come("delete", key)
        self.texts.pop(key, None)
        self.after("delete", key)

    def _come(self, name: str, key: str) -> None:
        self.calls.append((name, key))
        self.before(name, key)
        if self.away:
            raise Unavailable("no answer from far")


class _Caller:
    """Somebody else, in a thread of their own, who makes one call.

    Args:
        trial: The trial.
        call: What they do.
    """

    def __init__(self, trial: Trial, call: Callable[[], Any]) -> None:
        self._trial = trial
        self._call = call
        self._answers: list[Any] = []
        self._errors: list[BaseException] = []
        # One who waits for ever shall not keep Python from ending.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether they are done, now or within so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def answer(self, advice: str) -> Any:
        """Their answer; the check fails with the advice where they wait for ever."""
        if not self.wait(_LONG):
            self._trial.fail(advice)
        if self._errors:
            raise self._errors[0]
        return self._answers[0]

    def _run(self) -> None:
        try:
            self._answers.append(self._call())
        except BaseException as error:
            self._errors.append(error)


class _Pair:
    """The learner's `Tiers` around two doubles.

    Attributes:
        a: A key, and `b` another.
        tiers: The answer.
    """

    def __init__(self, trial: Trial) -> None:
        rng = trial.rng
        self.trial = trial
        self.clock = trial.named("clock", FakeClock(rng.choice((0, rng.randrange(100_000)))))
        self.near, self.far = trial.named("near", _Double()), trial.named("far", _Double())
        self.near_ttl, self.pause = rng.randrange(8, 80) / 4, rng.randrange(8, 80) / 4
        self.a, self.b = trial.words(2, 4)
        self.tiers = _Made(trial, self.near, self.far, self.clock, self.near_ttl, self.pause)

    def use(self, name: str, key: str) -> Any:
        """Call a method by its name; a set stores the text "new", for 100 seconds."""
        return self.tiers.set(key, "new", 100) if name == "set" else getattr(self.tiers, name)(key)

    def lose(self, name: str, key: str) -> None:
        """Let far be away, and a call find that out."""
        self.far.away = True
        with self.trial.explain(
            Unavailable, "That far is away nobody notices: a get is a miss, a set keeps it near."
        ):
            self.use(name, key)

    def come_back(self) -> None:
        """Let far be back, and the pause be over."""
        self.far.away = False
        self.clock.advance(self.pause)
        self.far.calls.clear()

    def elsewhere(self, call: Callable[[], Any], waits_for: str) -> Any:
        """What somebody else is answered meanwhile, who must not have to wait."""
        return _Caller(self.trial, call).answer(
            f"While {waits_for}, another caller had to wait for it. A slow far shall hold up no "
            "one who does not need it: hold no lock while far is at work."
        )

    def only(self, double: _Double, name: str, act: Callable[[], object]) -> Callable[..., None]:
        """What acts in the first call of this name, for a double's `before` or `after`."""

        def hook(called: str, key: str) -> None:
            if called == name and key == self.a:
                double.before = double.after = lambda name, key: None
                try:
                    act()
                except (CheckFailed, AnswerRaised) as complaint:
                    self.tiers.complaint = complaint

        return hook


@tiers.check("near first, then far; set and delete reach both", points=1)
def _as_one(trial: Trial) -> None:
    for text in (trial.word(), ""):
        pair = _Pair(trial)
        a, near, far, tiers = pair.a, pair.near, pair.far, pair.tiers
        trial.equal(tiers.get(a), None, f"`get({a!r})`, with nothing in either")
        trial.require(a not in near.texts, "Far had nothing, and something was put into near.")
        far.texts[a] = text
        trial.equal(tiers.get(a), text, f"`get({a!r})`, with {text!r} in far alone")
        trial.require(
            near.texts.get(a) == text,
            f"Far had {text!r}, and near did not get it: the next get asks far again.",
        )
        trial.equal(
            near.ttls[a],
            pair.near_ttl,
            f"the time to live in near of what came from far, `near_ttl` being {pair.near_ttl}",
            advice="Far does not tell how long a text has left there.",
        )
        far.calls.clear()
        trial.equal(tiers.get(a), text, f"`get({a!r})`, with {text!r} in near")
        trial.require(
            not far.calls,
            f"Near had {text!r}, and far was asked all the same."
            + (" An empty text is a text: ask `is not None`." if not text else ""),
        )
    _sets_and_deletes(trial)


def _sets_and_deletes(trial: Trial) -> None:
    pair = _Pair(trial)
    a, near, far, limit = pair.a, pair.near, pair.far, pair.near_ttl
    for ttl, in_near in ((limit / 2, limit / 2), (limit + 10.5, limit), (None, limit)):
        text = trial.word()
        what = f"`set({a!r}, {text!r}, {ttl})`"
        pair.tiers.set(a, text, ttl)
        trial.equal(far.texts.get(a), text, f"what far holds after {what}")
        trial.equal(near.texts.get(a), text, f"what near holds after {what}")
        trial.equal(far.ttls[a], ttl, f"the time to live in far after {what}")
        trial.equal(
            near.ttls[a],
            in_near,
            f"the time to live in near after {what}, `near_ttl` being {limit}",
            advice="The shorter of the two counts; None is no end at all.",
        )
    pair.tiers.delete(a)
    trial.require(a not in far.texts, f"`delete({a!r})` left the key in far.")
    trial.require(a not in near.texts, f"`delete({a!r})` left the key in near.")
    pair.tiers.delete(a)
    error = RuntimeError("a bug in far")

    def fail(name: str, key: str) -> None:
        raise error

    far.before = fail
    for name in ("get", "set", "delete"):
        try:
            got = pair.use(name, pair.b)
        except AnswerRaised as raised:
            if raised.__cause__ is not error:
                raise
        else:
            trial.fail(
                f"Far raised RuntimeError in `{name}`, and `{name}` returned {got!r:.60}. Only "
                "`Unavailable` means that far is away; a bug has to come out."
            )


@tiers.check("far away: nobody notices, and far gets not one call for `pause`", points=1)
def _leaves_far_alone(trial: Trial) -> None:
    for name in ("get", "set", "delete"):
        pair = _Pair(trial)
        a, b, near, far, pause = pair.a, pair.b, pair.near, pair.far, pair.pause
        near.texts.update({b: "near", **({a: "old"} if name != "get" else {})})
        took = trial.rng.randrange(4, 20) / 4

        def wait(name: str, key: str, pair: _Pair = pair, took: float = took) -> None:
            pair.clock.advance(took)  # a time-out takes its time

        far.before = wait
        pair.lose(name, a)
        far.before = lambda name, key: None
        when = f"Far raised Unavailable in `{name}({a!r}, ...)`"
        expected = {"get": None, "set": "new", "delete": None}[name]
        trial.require(
            near.texts.get(a) == expected,
            f"{when}, and then near holds {near.texts.get(a)!r}; expected {expected!r}. Near is "
            "there: set and delete do their part in it.",
        )
        trial.require(
            name != "set" or near.ttls.get(a) == min(100, pair.near_ttl),
            f"{when}, and near keeps the text for {near.ttls.get(a)} s; expected "
            f"{min(100, pair.near_ttl)}, as always.",
        )
        trial.equal(len(far.calls), 1, f"{when}: the number of calls that far got")
        far.calls.clear()
        for step in (0.0, pause / 2, pause / 2 - 0.25):
            pair.clock.advance(step)
            trial.equal(pair.tiers.get(b), "near", f"{when}. `get({b!r})`, which is in near")
            for other in ("get", "set", "delete"):
                trial.equal(
                    pair.use(other, f"{other} {step}"), None, f"{when}. Then `{other}(...)`"
                )
            trial.require(
                f"set {step}" in near.texts,
                f"{when}. A `set` soon after did not keep its text in near.",
            )
            trial.require(
                not far.calls,
                f"{when}. Far was called before the {pause:g} s after that were over: {far.calls}. "
                "The pause begins when the call has failed.",
            )
        far.away = False
        far.texts["back"] = "text"
        pair.clock.advance(0.25)
        trial.equal(
            pair.tiers.get("back"),
            "text",
            f"{when}, {pause:g} s ago, and is back. `get('back')`, with 'text' in far",
        )


@tiers.check("then one caller tries, and the others go on without", points=1)
def _half_open(trial: Trial) -> None:
    for name in ("get", "set", "delete"):
        pair = _Pair(trial)
        pair.lose("get", pair.b)
        for again in range(1, 4):
            pair.clock.advance(pair.pause)
            pair.far.calls.clear()
            pair.use(name, pair.a)
            trial.require(
                len(pair.far.calls) == 1,
                f"The pause was over for the {again}. time, and far was still away. `{name}` "
                f"called far {len(pair.far.calls)} times; expected one try.",
            )
            pair.clock.advance(pair.pause - 0.25)
            for other in ("get", "set", "delete"):
                pair.use(other, pair.b)
            trial.require(
                len(pair.far.calls) == 1,
                "A try after the pause had failed, and far got another call before a second pause "
                "was over.",
            )
            pair.clock.advance(0.25)
            pair.lose("get", trial.word(6))
    _one_at_a_time(trial)
    _a_late_answer(trial)
    _a_try_that_ends_badly(trial)


def _one_at_a_time(trial: Trial) -> None:
    """Demand that of those who come while far is tried none calls far, and none waits."""
    for name in ("get", "set", "delete"):
        pair = _Pair(trial)
        pair.lose("get", pair.b)
        pair.come_back()
        pair.near.texts["near"] = "text"
        pair.far.texts["far"] = "text"

        def others(pair: _Pair = pair) -> None:
            tried = len(pair.far.calls)
            for call in (
                functools.partial(pair.tiers.get, "near"),
                functools.partial(pair.tiers.get, "far"),
                functools.partial(pair.tiers.set, "other", "text", None),
                functools.partial(pair.tiers.delete, "another"),
            ):
                pair.elsewhere(call, "one caller was trying far")
            pair.trial.require(
                len(pair.far.calls) == tried,
                "The pause was over and one caller was trying far, which had not answered yet. "
                f"Others called it as well: {pair.far.calls[tried:]}. One tries; the others go on "
                "without far until it has answered.",
            )

        pair.far.before = pair.only(pair.far, name, others)
        pair.use(name, pair.a)
        trial.equal(pair.tiers.get("far"), "text", "`get('far')`, after the try has shown far back")


def _a_late_answer(trial: Trial) -> None:
    """Let a call that far had begun before it went away end well in the pause."""
    for name, lost in itertools.product(("get", "set", "delete"), ("get", "delete")):
        pair = _Pair(trial)
        b, far = pair.b, pair.far
        far.texts[b] = "old"

        def go_away(pair: _Pair = pair, lost: str = lost) -> None:
            pair.far.away = True
            key = pair.b if lost == "delete" else "other"
            pair.elsewhere(functools.partial(pair.use, lost, key), "far was at work")
            pair.far.away = False
            pair.far.calls.clear()

        far.after = pair.only(far, name, go_away)
        pair.use(name, pair.a)
        for other in ("get", "set", "delete"):
            pair.use(other, "third")
        when = (
            f"While far was at work on a `{name}`, another caller's `{lost}` met Unavailable. Then "
            f"far answered the `{name}`"
        )
        trial.require(
            not far.calls,
            f"{when}, and was called again before the pause was over: {far.calls}. That far is "
            "back shows the one who tries it after the pause, and no answer that was under way.",
        )
        if lost == "delete":
            pair.clock.advance(pair.pause)
            got = pair.tiers.get(b)
            trial.require(
                got is None,
                f"{when}; after the pause `get({b!r})`, which was deleted, returned {got!r}. What "
                "is owed stays owed until it is deleted in far.",
            )


def _a_try_that_ends_badly(trial: Trial) -> None:
    """Demand that far is not left alone for ever when a try ends in another error."""
    for error in (RuntimeError("a bug in far"), Cancelled("the page was closed")):
        for name in ("get", "set", "delete"):
            pair = _Pair(trial)
            pair.lose("get", pair.b)
            pair.come_back()

            def fail(error: BaseException = error) -> None:
                raise error

            pair.far.before = pair.only(pair.far, name, fail)
            try:
                pair.use(name, pair.a)
            except AnswerRaised as raised:
                if raised.__cause__ is not error:
                    raise
            else:
                trial.fail(
                    f"The try after a pause ended in {type(error).__name__}, and `{name}` hid it. "
                    "Only `Unavailable` means that far is away."
                )
            pair.clock.advance(pair.pause)
            pair.far.texts["far"] = "text"
            trial.equal(
                pair.tiers.get("far"),
                "text",
                f"The try after a pause ended in {type(error).__name__}, which came out of "
                f"`{name}`; {pair.pause:g} s later `get('far')`, with 'text' in far,",
                advice="However a try ends, the next one must be possible: `finally`.",
            )


@tiers.check("what far missed is deleted there before anything is read from it", points=1)
def _pays(trial: Trial) -> None:
    for name, moment in itertools.product(("set", "delete"), _MOMENTS):
        for first in ("get", "set", "delete"):
            _paid_before(trial, name, first, moment)
    _owes_no_more(trial)
    _pays_until_it_is_done(trial)
    _pays_in_spite_of_a_bug(trial)


_STALE = (
    "Far did not hear of it when it was away, and still holds what is old. Remember the key, and "
    "delete it in far before anything is read from there."
)


_MOMENTS = ("which found that out", "in the pause", "the try after a pause")


def _paid_before(trial: Trial, name: str, first: str, moment: str) -> None:
    """Demand that what was done to a key while far was away holds when far is back.

    Args:
        trial: The trial.
        name: What was done, `set` or `delete`.
        first: What comes first when far is back.
        moment: When that was, one of `_MOMENTS`.
    """
    pair = _Pair(trial)
    a, far = pair.a, pair.far
    far.texts[a] = "old"
    if moment != _MOMENTS[0]:
        pair.lose("get", pair.b)
    if moment == _MOMENTS[2]:
        pair.clock.advance(pair.pause)
    times = 1 if moment == _MOMENTS[2] else 3
    for _ in range(times):
        pair.lose(name, a)
    pair.near.texts.clear()  # what is near does not last
    pair.come_back()
    if first == "get":
        far.texts["other"] = "text"
        trial.equal(pair.tiers.get("other"), "text", "`get('other')`, with far back and the text")
        read = far.calls.index(("get", "other"))
        trial.require(
            ("delete", a) in far.calls[:read],
            f"While far was away there was `{name}({a!r}, ...)`. Far is back and was read before "
            f"{a!r} was deleted there: {far.calls}. {_STALE}",
        )
    else:
        pair.use(first, pair.b)
    got = pair.tiers.get(a)
    trial.require(
        got is None,
        f"Far held 'old' under {a!r} and was away for `{name}({a!r}, ...)`, {moment}. It is back, "
        f"`{first}` of another key came first, and `get({a!r})` returned {got!r}. {_STALE}",
    )
    paid = far.calls.count(("delete", a))
    trial.require(
        paid == 1,
        f"{times} times `{name}({a!r}, ...)` while far was away, and then {paid} deletes of it in "
        "far; expected one. One entry a key is enough: use a set.",
    )
    far.calls.clear()
    pair.near.texts.clear()
    pair.tiers.get(pair.b)
    trial.require(
        ("delete", a) not in far.calls, f"{a!r} was deleted in far, and is deleted there again."
    )


def _owes_no_more(trial: Trial) -> None:
    """Demand that nothing is deleted in far that it has to keep."""
    pair = _Pair(trial)
    a, far = pair.a, pair.far
    far.texts[a] = "text"
    pair.lose("get", a)
    pair.come_back()
    trial.equal(
        pair.tiers.get(a),
        "text",
        f"Far was away for `get({a!r})` and is back, with 'text'. `get({a!r})`",
        advice="A get changes nothing, so nothing is owed for it.",
    )
    pair = _Pair(trial)
    a, far = pair.a, pair.far
    far.texts[a] = "old"
    pair.lose("delete", a)
    pair.come_back()
    pair.tiers.set(a, "newest", None)
    pair.tiers.get(pair.b)
    trial.equal(
        far.texts.get(a),
        "newest",
        f"`delete({a!r})` while far was away; far is back, `set({a!r}, 'newest', None)`, and "
        f"`get({pair.b!r})`. What far then holds under {a!r}",
        advice="A set that far has carried out settles what was owed for its key.",
    )


def _pays_in_spite_of_a_bug(trial: Trial) -> None:
    """Demand that a delete in far that ends in another error is still owed."""
    for error in (RuntimeError("a bug in far"), Cancelled("the page was closed")):
        pair = _Pair(trial)
        a, far = pair.a, pair.far
        far.texts[a] = "old"
        pair.lose("delete", a)
        pair.come_back()

        def fail(error: BaseException = error) -> None:
            raise error

        far.before = pair.only(far, "delete", fail)
        try:
            pair.tiers.get(pair.b)
        except AnswerRaised as raised:
            if raised.__cause__ is not error:
                raise
        pair.clock.advance(pair.pause)
        pair.tiers.get(pair.b)
        got = pair.tiers.get(a)
        trial.require(
            got is None,
            f"Far was away for `delete({a!r})`. It is back, and raised {type(error).__name__} when "
            f"{a!r} was to be deleted there; later `get({a!r})` returned {got!r}. A key is owed "
            "until far has deleted it, whatever comes.",
        )


def _pays_until_it_is_done(trial: Trial) -> None:
    """Demand that nothing is read while far cannot delete what is owed."""
    pair = _Pair(trial)
    far, keys = pair.far, trial.words(3, 5)
    far.texts.update(dict.fromkeys(keys, "old"))
    for key in keys:
        pair.lose("delete", key)
    pair.come_back()

    def fail_second(name: str, key: str) -> None:
        if len(far.calls) == 2:
            raise Unavailable("away again")

    far.before = fail_second
    done = f"`delete` of {keys} while far was away. It is back, and away again at the second call"
    with trial.explain(Unavailable, "An error while paying is far away, and nobody notices."):
        trial.equal(pair.tiers.get(keys[0]), None, f"{done}. `get({keys[0]!r})`")
    far.before = lambda name, key: None
    calls = len(far.calls)
    trial.require(
        calls == 2,
        f"{done}: it got {calls} calls. What is owed comes first, and with Unavailable the next "
        "pause begins.",
    )
    pair.clock.advance(pair.pause - 0.25)
    trial.equal(pair.tiers.get(keys[2]), None, f"{done}. `get` in the pause")
    trial.require(len(far.calls) == 2, f"{done}, and was called again before the pause was over.")
    pair.clock.advance(0.25)
    for key in keys:
        got = pair.tiers.get(key)
        trial.require(
            got is None,
            f"{done}, and back for good after that. `get({key!r})` returned {got!r}: what was owed "
            "and could not be deleted is still owed.",
        )
    _owed_meanwhile(trial)


def _owed_meanwhile(trial: Trial) -> None:
    """Demand that what others delete while one caller pays is paid as well."""
    for name, tried in itertools.product(("set", "delete"), ("", "get", "set", "delete")):
        pair = _Pair(trial)
        a, b, far = pair.a, pair.b, pair.far
        far.texts.update({a: "old", b: "old"})
        pair.lose("get" if tried else "delete", a)
        pair.come_back()
        doing = f"tried a `{tried}` in far" if tried else "deleted in far what was owed"
        meanwhile = functools.partial(pair.use, name, b)
        far.after = pair.only(
            far,
            tried or "delete",
            functools.partial(pair.elsewhere, meanwhile, f"one caller {doing}"),
        )
        pair.use(tried or "get", a if tried else "other")
        pair.near.texts.clear()
        got = pair.tiers.get(b)
        if got is None or far.texts.get(b) == "new":
            continue
        trial.fail(
            f"While one caller {doing}, another one did `{name}({b!r}, ...)`. "
            f"Then `get({b!r})` returned {got!r}, from far. Far counts as back when nothing is "
            "owed any more, and not when what was owed at first is paid."
        )


@tiers.check("no reader brings back what is old, and no one waits for far in vain", points=1)
def _nothing_old(trial: Trial) -> None:
    _waits_in_vain(trial)
    _between_the_steps(trial)
    _fetched_before(trial)
    _about_to_put(trial)
    _half_changed(trial)


def _waits_in_vain(trial: Trial) -> None:
    for name in ("get", "set", "delete"):
        pair = _Pair(trial)
        pair.near.texts["near"] = "text"
        far_works = functools.partial(
            pair.elsewhere,
            functools.partial(pair.tiers.get, "near"),
            f"far was at work on a `{name}`, and with its text in near",
        )
        pair.far.before = pair.only(pair.far, name, far_works)
        pair.use(name, pair.a)


def _left(pair: _Pair, what: str, advice: str, *, fine: tuple[str | None, ...]) -> None:
    """Demand that near holds nothing old; `what` says what happened."""
    got = pair.near.texts.get(pair.a)
    pair.trial.require(got in fine, f"{what} Then near holds {got!r} under {pair.a!r}. {advice}")


def _between_the_steps(trial: Trial) -> None:
    """Let a reader come just before and just after far has done a delete, or a set."""
    for name, moment, there in itertools.product(
        ("delete", "set"), ("before", "after"), (True, False)
    ):
        pair = _Pair(trial)
        pair.far.texts[pair.a] = "old"
        if there:
            pair.near.texts[pair.a] = "old"
        read = functools.partial(
            pair.elsewhere,
            functools.partial(pair.tiers.get, pair.a),
            f"far was at work on a `{name}`",
        )
        setattr(pair.far, moment, pair.only(pair.far, name, read))
        pair.use(name, pair.a)
        _left(
            pair,
            f"A `get` came just {moment} far had done a `{name}`.",
            "Far goes first: as long as far holds the old text, a reader may bring it to near.",
            fine=(None,) if name == "delete" else (None, "new"),
        )


def _fetched_before(trial: Trial) -> None:
    """Let a text change between its way out of far and its way into near."""
    for name, away in itertools.product(("delete", "set"), (False, True)):
        pair = _Pair(trial)
        pair.far.texts[pair.a] = "old"

        def change(pair: _Pair = pair, name: str = name, away: bool = away) -> None:
            pair.far.away = away
            pair.elsewhere(functools.partial(pair.use, name, pair.a), "a `get` was reading far")

        pair.far.after = pair.only(pair.far, "get", change)
        pair.tiers.get(pair.a)
        _left(
            pair,
            f"A `get` had fetched 'old' from far, and not put it into near yet, when `{name}` came"
            + (", while far went away," if away else "")
            + " and was done.",
            "Count the sets and deletes: if there was one since the get asked far, what it "
            "fetched may be old, and does not go into near.",
            fine=(None,) if name == "delete" else (None, "new"),
        )


_ONE_STEP = (
    "To look whether there was a change and to put the text into near is one step, which needs a "
    "lock; so is to count a change and to make it in near."
)


def _about_to_put(trial: Trial) -> None:
    """Let a text change when a `get` is about to put the old one into near."""
    for name in ("delete", "set"):
        pair = _Pair(trial)
        pair.far.texts[pair.a] = "old"
        writers: list[_Caller] = []

        def change(pair: _Pair = pair, name: str = name, writers: list[_Caller] = writers) -> None:
            writers.append(_Caller(pair.trial, functools.partial(pair.use, name, pair.a)))
            writers[0].wait(_PATIENCE)

        pair.near.before = pair.only(pair.near, "set", change)
        pair.tiers.get(pair.a)
        trial.require(bool(writers), "Far had a text, and near did not get it.")
        writers[0].answer(f"A `{name}` that came while a `get` put a text into near never returns.")
        _left(
            pair,
            f"A `get` had fetched 'old' from far and was about to put it into near, when `{name}` "
            "came and was done.",
            _ONE_STEP,
            fine=(None,) if name == "delete" else (None, "new"),
        )


def _half_changed(trial: Trial) -> None:
    """Let a `get` put what it has fetched when a change is made in near, and not done yet."""
    for name in ("delete", "set"):
        pair = _Pair(trial)
        pair.far.texts[pair.a] = "old"
        fetched, go_on = threading.Event(), threading.Event()

        def hold(fetched: threading.Event = fetched, go_on: threading.Event = go_on) -> None:
            fetched.set()
            go_on.wait(_LONG)

        pair.far.after = pair.only(pair.far, "get", hold)
        reader = _Caller(trial, functools.partial(pair.tiers.get, pair.a))
        fetched.wait(_LONG)

        def let_go(reader: _Caller = reader, go_on: threading.Event = go_on) -> None:
            go_on.set()
            reader.wait(_PATIENCE)

        pair.near.after = pair.only(pair.near, name, let_go)
        pair.use(name, pair.a)
        go_on.set()
        reader.answer(f"A `get` that came while `{name}` changed near never returns.")
        _left(
            pair,
            f"A `get` had fetched 'old' from far, and put it into near when a `{name}` that came "
            "meanwhile was done there, and nearly over.",
            _ONE_STEP,
            fine=(None,) if name == "delete" else (None, "new"),
        )
