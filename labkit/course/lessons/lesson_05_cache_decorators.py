"""What lesson 05-cache-decorators checks: a cache built by hand, from a closure to a fence."""

from __future__ import annotations

import gc
import itertools
import json
import random
import weakref
from typing import TYPE_CHECKING, Any

import redis

from labkit.cache.eviction import Entry, policy_of
from labkit.clock import FakeClock
from labkit.course.exercise import AnswerRaised, Outline, Question, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

outline = Outline(
    "05-cache-decorators",
    title="Remember what you computed",
    prefix="news:",
)


class _Work:
    """A function to cache: it counts its calls, and answers a value of its own for each."""

    def __init__(self, name: str = "work", answers: Callable[..., Any] | None = None) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._answers = answers or (lambda *args, **kwargs: f"{name}-{len(self.calls)}")
        self.__name__ = self.__qualname__ = name
        self.__doc__ = f"What {name} does."

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return self._answers(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"


def _made(trial: Trial, *args: Any) -> Callable[..., Any]:
    """What the answer returns, which has to be a function."""
    made = trial.call(*args)
    trial.require(
        callable(made),
        f"Your function returns {made!r}. It has to return a function: the inner one that you "
        "define, without calling it.",
    )
    return made  # type: ignore[no-any-return]


def _use(shown: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what the answer made; `shown` is how that looks to the learner."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        raise AnswerRaised(f"`{shown}` raised {type(error).__name__}: {error}") from error


# -- 1.2 a function that remembers -------------------------------------------------------------

remember = outline.exercise(
    "remember",
    "A decorator that remembers",
    hints=(
        "Make a dictionary in `remember`, and inside it a function `wrapper(*args, **kwargs)` that "
        "looks there first. Return the wrapper.",
        "The key has to hold both kinds of arguments without mixing them up: a tuple of two "
        "things, the positional ones and the sorted keyword ones. `key in memory` asks whether there is a "
        "value, also when it is None. Looking up a key that has no hash raises TypeError.",
        "`key = (args, tuple(sorted(kwargs.items())))`. Put only the look-up into "
        "`try: ... except TypeError: return function(*args, **kwargs)`, and keep the call that "
        "computes out of it. Above `def wrapper` goes `@functools.wraps(function)`.",
    ),
)


@remember.check("computes a call once, and None is remembered like any value", points=2)
def _remembers(trial: Trial) -> None:
    work = _Work()
    wrapper = _made(trial, work)
    one, two = trial.rng.sample(range(1000), 2)
    first = _use(f"wrapper({one})", wrapper, one)
    trial.require(
        len(work.calls) == 1,
        f"After one call of the wrapper the function itself has run {len(work.calls)} times; "
        "expected once.",
    )
    trial.equal(first, "work-1", f"wrapper({one})")
    trial.equal(_use(f"wrapper({one})", wrapper, one), "work-1", f"wrapper({one}), again")
    trial.equal(_use(f"wrapper({two})", wrapper, two), "work-2", f"wrapper({two})")
    trial.equal(len(work.calls), 2, "how often the function itself ran in three calls")
    nothing = _Work("nothing", answers=lambda *_: None)
    wrapper = _made(trial, nothing)
    for _ in range(3):
        trial.equal(_use(f"wrapper({one})", wrapper, one), None, f"wrapper({one})")
    trial.require(
        len(nothing.calls) == 1,
        f"A function that returns None ran {len(nothing.calls)} times in three calls. `memory.get` "
        "answers None for a missing key too; ask `key in memory`.",
    )


@remember.check(
    "takes the same keywords in any order for the same call, and mixes nothing up", points=1
)
def _spelled(trial: Trial) -> None:
    work = _Work()
    wrapper = _made(trial, work)
    a, b = trial.rng.sample(range(1000), 2)
    _use(f"wrapper(a={a}, b={b})", wrapper, a=a, b=b)
    _use(f"wrapper(b={b}, a={a})", wrapper, b=b, a=a)
    trial.require(
        len(work.calls) == 1,
        f"wrapper(a={a}, b={b}) and wrapper(b={b}, a={a}) are one call, and the function ran "
        f"{len(work.calls)} times: sort the keyword arguments in the key.",
    )
    trial.equal(work.calls[0], ((), {"a": a, "b": b}), "the arguments that the function got")
    different: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((a,), {"b": b}),
        ((a,), {"c": b}),
        ((a, ("b", b)), {}),
        ((a, "b", b), {}),
        (((a, b),), {}),
        ((a, b), {}),
    ]
    work = _Work()
    wrapper = _made(trial, work)
    for args, kwargs in different:
        before = len(work.calls)
        shown = ", ".join([*map(repr, args), *(f"{k}={v}" for k, v in kwargs.items())])
        _use(f"wrapper({shown})", wrapper, *args, **kwargs)
        trial.require(
            len(work.calls) == before + 1,
            f"wrapper({shown}) got the value of another call. In the key, keep the positional "
            "arguments apart from the keywords, and a keyword's name with its value.",
        )


@remember.check("lets arguments through that cannot be a key", points=1)
def _unhashable(trial: Trial) -> None:
    work = _Work()
    wrapper = _made(trial, work)
    numbers = trial.rng.sample(range(1000), 3)
    for number in (1, 2):
        try:
            got = wrapper(numbers)
        except TypeError as error:
            trial.fail(
                f"`wrapper({numbers})` raised {error}. A list has no hash: catch TypeError at the "
                "look-up, and call the function."
            )
        trial.equal(got, f"work-{number}", f"wrapper({numbers}), call {number}")

    def fails(*_: Any) -> None:
        raise TypeError("from the function itself")

    broken = _Work("broken", answers=fails)
    wrapper = _made(trial, broken)
    try:
        wrapper(1)
    except TypeError:
        pass
    else:
        trial.fail("A TypeError that the function itself raises has to reach the caller.")
    trial.require(
        len(broken.calls) == 1,
        f"A function that raises TypeError itself ran {len(broken.calls)} times in one call: keep "
        "the call that computes out of the `try`.",
    )


@remember.check("keeps the function's name and its docstring", points=1)
def _keeps_name(trial: Trial) -> None:
    work = _Work(trial.word())
    wrapper = _made(trial, work)
    advice = "`@functools.wraps(function)` above the wrapper copies both."
    trial.equal(
        getattr(wrapper, "__name__", ""), work.__name__, "the wrapper's name", advice=advice
    )
    trial.equal(wrapper.__doc__, work.__doc__, "the wrapper's docstring", advice=advice)


# -- 1.3 a decorator with parameters -----------------------------------------------------------

remember_for = outline.exercise(
    "remember_for",
    "A decorator with parameters",
    hints=(
        "Three functions inside each other: `remember_for` gets the parameters and returns a "
        "decorator; the decorator gets the function and returns the wrapper; the wrapper gets the "
        "arguments.",
        "Store when a value was computed beside it: `memory[args] = (clock(), value)`. It is fresh "
        "while `clock() - then < seconds`. Where does the dictionary belong, so that two decorated "
        "functions do not share it?",
        "The dictionary is made in the decorator, the middle function. In the wrapper: if there is "
        "a pair for `args` and it is fresh, return its value; else call the function and store the "
        "pair after it has returned, so that an error stores nothing.",
    ),
)


def _decorated(trial: Trial, clock: FakeClock, seconds: float, work: _Work) -> Callable[..., Any]:
    decorate = _made(trial, seconds, clock)
    wrapper = _use("remember_for(...)(work)", decorate, work)
    trial.require(
        callable(wrapper),
        f"`remember_for({seconds}, clock)(work)` gave {wrapper!r}, not a function: there are three "
        "functions inside each other, and each returns the next.",
    )
    return wrapper  # type: ignore[no-any-return]


@remember_for.check("computes once while the value is fresh", points=1)
def _fresh(trial: Trial) -> None:
    clock, work = trial.named("clock", FakeClock(1000.0)), _Work()
    seconds = trial.rng.randrange(10, 100)
    wrapper = _decorated(trial, clock, seconds, work)
    trial.equal(_use("work(1)", wrapper, 1), "work-1", "work(1)")
    clock.advance(seconds - 1)
    trial.equal(
        _use("work(1)", wrapper, 1),
        "work-1",
        f"work(1), {seconds - 1} seconds later, with seconds={seconds}",
    )
    trial.equal(_use("work(2)", wrapper, 2), "work-2", "work(2)")


@remember_for.check(
    "computes anew when the time is over, and again not before it is over", points=1
)
def _stale(trial: Trial) -> None:
    clock, work = trial.named("clock", FakeClock(1000.0)), _Work()
    seconds = trial.rng.randrange(10, 100)
    wrapper = _decorated(trial, clock, seconds, work)
    _use("work(1)", wrapper, 1)
    clock.advance(seconds - 1)
    _use("work(1)", wrapper, 1)
    clock.advance(1)
    trial.equal(
        _use("work(1)", wrapper, 1),
        "work-2",
        f"work(1), {seconds} seconds after it was computed, with seconds={seconds}",
        advice="The time counts from when the value was computed, and a hit does not prolong it.",
    )
    clock.advance(seconds - 1)
    trial.equal(
        _use("work(1)", wrapper, 1),
        "work-2",
        f"work(1), {seconds - 1} seconds after it was computed anew",
        advice="A value that was computed anew has its whole time again.",
    )


@remember_for.check("keeps the values of two functions apart", points=1)
def _apart(trial: Trial) -> None:
    clock = trial.named("clock", FakeClock(1000.0))
    decorate = _made(trial, 60, clock)
    one, two = _Work("one"), _Work("two")
    first, second = _use("cached(one)", decorate, one), _use("cached(two)", decorate, two)
    trial.require(
        callable(first) and callable(second),
        "`remember_for(60, clock)(one)` is not a function: there are three functions inside each "
        "other, and each returns the next.",
    )
    _use("one(1)", first, 1)
    trial.equal(
        _use("two(1)", second, 1),
        "two-1",
        "two(1), with `cached = remember_for(60, clock)` used on both",
        advice="Make the dictionary where the function is known, in the decorator.",
    )


@remember_for.check("does not remember an error, which reaches the caller", points=1)
def _errors(trial: Trial) -> None:
    clock = trial.named("clock", FakeClock(1000.0))
    states = iter([ValueError("the database is away"), None])

    def shaky(*_: Any) -> str:
        if (error := next(states)) is not None:
            raise error
        return "fine"

    wrapper = _decorated(trial, clock, 60, _Work("shaky", answers=shaky))
    try:
        got = wrapper(1)
    except ValueError:
        pass
    else:
        trial.fail(f"The function raised ValueError, and its caller got {got!r} instead.")
    trial.equal(_use("shaky(1)", wrapper, 1), "fine", "shaky(1), after a first call that raised")


# -- 2.1 bounded: the least recently used goes --------------------------------------------------

make_lru = outline.exercise(
    "make_lru",
    "A cache that stays small: LRU",
    hints=(
        "A dictionary keeps the order in which its keys were put in. The first key is the oldest: "
        "`next(iter(memory))`.",
        "A hit is a use, so the key has to go to the end: take it out with `memory.pop(key)` and "
        "put it in again. When there are more than `room`, delete the first.",
        "In `get`: `if key in memory: memory[key] = memory.pop(key)`; else store `load(key)`, and "
        "`if len(memory) > room: del memory[next(iter(memory))]`. Return `memory[key]` before you "
        "delete, or let the room be at least 1.",
    ),
)


@make_lru.check("loads a key once while there is room", points=1)
def _loads_once(trial: Trial) -> None:
    load = trial.named("load", _Work("load"))
    room = trial.rng.randrange(3, 6)
    get = _made(trial, room, load)
    keys = trial.words(room)
    for key in keys * 3:
        _use(f"get({key!r})", get, key)
    trial.equal(
        [args[0] for args, _ in load.calls],
        keys,
        f"what was loaded when {room} keys were asked for three times, with room={room}",
    )
    trial.equal(_use(f"get({keys[0]!r})", get, keys[0]), "load-1", f"get({keys[0]!r})")


@make_lru.check("gives up the key that was used longest ago, and a hit is a use", points=2)
def _least_recent(trial: Trial) -> None:
    load = trial.named("load", _Work("load"))
    get = _made(trial, 3, load)
    a, b, c, d = trial.words(4)
    for key in (a, b, c, a, d):  # b is the one that goes
        _use(f"get({key!r})", get, key)
    _use(f"get({a!r})", get, a)
    trial.require(
        len(load.calls) == 4,
        f"With room for 3, after {a}, {b}, {c}, {a}, {d} the key {a} was gone, though it was used "
        f"after {b} and {c}. A hit has to move its key to the end.",
    )
    _use(f"get({b!r})", get, b)
    trial.require(
        len(load.calls) == 5,
        f"With room for 3, after {a}, {b}, {c}, {a}, {d} the key {b} was still there, which was "
        "used longest ago.",
    )
    room, names = trial.rng.randrange(2, 6), trial.words(9)
    requests = trial.rng.choices(names, k=300)
    load = _Work("load")
    get = _made(trial, room, load)
    for key in requests:
        _use(f"get({key!r})", get, key)
    trial.equal(
        len(load.calls),
        _lru_loads(requests, room),
        f"how often `load` ran in 300 requests for 9 keys, with room={room}",
    )


@make_lru.check("lets go of what it gave up", points=2)
def _bounded(trial: Trial) -> None:
    alive: weakref.WeakSet[_Page] = weakref.WeakSet()

    def load(_: Hashable) -> _Page:
        page = _Page()
        alive.add(page)
        return page

    room = trial.rng.randrange(3, 6)
    get = _made(trial, room, trial.named("load", load))
    for number in range(100):
        _use(f"get({number})", get, number)
    gc.collect()
    trial.require(
        len(alive) <= room,
        f"After 100 different keys {len(alive)} values are kept, with room={room}. What goes has "
        "to leave every dictionary and list that you keep.",
    )
    trial.require(
        len(alive) == room,
        f"After 100 different keys only {len(alive)} values are kept, with room={room}.",
    )


class _Page:
    """Something that is loaded."""


def _lru_loads(requests: list[str], room: int) -> int:
    kept: list[str] = []
    loads = 0
    for key in requests:
        loads += key not in kept
        kept = [*[other for other in kept if other != key], key][-room:]
    return loads


# -- 2.3 SIEVE ----------------------------------------------------------------------------------

sieve_step = outline.exercise(
    "sieve_step",
    "One step of SIEVE",
    hints=(
        "Look at `queue[hand]`. If it is in `visited`, take its mark away and go one place on; if "
        "not, it is the victim.",
        "Going on means `hand + 1`, and after the last place 0: `hand = (hand + 1) % len(queue)`. "
        "Every mark that is met is taken away, so the loop ends.",
        "`while queue[hand] in visited:` discard the mark and move the hand. Then `victim = "
        "queue.pop(hand)`: what was behind it has moved up into its place, so the hand stays where "
        "it is, unless that is now past the end.",
    ),
)


def _sieve(queue: list[str], visited: set[str], hand: int) -> tuple[str, int]:
    while queue[hand] in visited:
        visited.discard(queue[hand])
        hand = (hand + 1) % len(queue)
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


def _sieved(
    trial: Trial, queue: list[str], visited: set[str], hand: int
) -> tuple[list[str], set[str], Any]:
    """Call the answer on copies; what is left in them, and what it returned."""
    queue, visited = list(queue), set(visited)
    got = trial.call(queue, visited, hand)
    trial.require(
        isinstance(got, tuple) and len(got) == 2,
        f"Your function returned {got!r}; expected two things, the victim and the new hand.",
    )
    return queue, visited, got


@sieve_step.check("without marks, the one at the hand goes", points=1)
def _oldest(trial: Trial) -> None:
    keys = trial.words(5)
    hand = trial.rng.randrange(4)
    queue, _, got = _sieved(trial, keys, set(), hand)
    trial.equal(got[0], keys[hand], "the victim")
    trial.equal(queue, keys[:hand] + keys[hand + 1 :], "the queue afterwards, the victim taken out")
    trial.equal(
        got[1],
        hand,
        "the new hand",
        advice="The next one has moved up into the victim's place.",
    )


@sieve_step.check("one with a mark stays where it is, and loses the mark", points=1)
def _spared(trial: Trial) -> None:
    keys = trial.words(5)
    queue, visited, got = _sieved(trial, keys, {keys[0], keys[1], keys[4]}, 0)
    trial.equal(got[0], keys[2], f"the victim, with marks on {keys[0]}, {keys[1]} and {keys[4]}")
    trial.equal(
        queue,
        [keys[0], keys[1], keys[3], keys[4]],
        "the queue afterwards",
        advice="What is spared keeps its place: that is what makes SIEVE cheaper than LRU.",
    )
    trial.equal(
        visited,
        {keys[4]},
        "the marks afterwards",
        advice="Marks that the hand passed are gone; one that it did not reach stays.",
    )
    trial.equal(got[1], 2, "the new hand")


@sieve_step.check("after the newest, the hand goes on at the oldest", points=1)
def _wraps(trial: Trial) -> None:
    keys = trial.words(4)
    queue, visited, got = _sieved(trial, keys, {keys[2], keys[3]}, 2)
    trial.equal(got[0], keys[0], f"the victim, with the hand at 2 and marks on {keys[2:]}")
    trial.equal(visited, set(), "the marks afterwards")
    queue, _, got = _sieved(trial, keys, set(), 3)
    trial.equal(
        (got[0], queue), (keys[3], keys[:3]), "the victim and the queue, with the hand at 3"
    )
    trial.equal(got[1], 0, "the new hand, when the newest went")
    queue, _, got = _sieved(trial, keys, set(keys), 1)
    trial.equal(got[0], keys[1], "the victim, with the hand at 1 and a mark on every key")


@sieve_step.check("evicts what labkit's SIEVE evicts, over a thousand requests", points=1)
def _as_labkit(trial: Trial) -> None:
    queue: list[str] = []
    visited: set[str] = set()
    hand = 0
    policy, entries = policy_of("sieve"), dict[str, Entry]()
    names = trial.words(30)
    for key in trial.rng.choices(names, weights=range(30, 0, -1), k=1000):
        if key in entries:
            visited.add(key)
            entries[key].visited = True
            continue
        if len(queue) == 10:
            victim = policy.victim()
            policy.remove(victim)
            del entries[victim.key]
            shown = list(queue), set(visited), hand
            got = trial.call(queue, visited, hand)
            trial.require(
                isinstance(got, tuple) and len(got) == 2 and got[0] == victim.key,
                f"With queue={shown[0]}, visited={shown[1]} and hand={shown[2]} it is "
                f"{victim.key!r} that goes; your function returned {got!r}.",
            )
            hand = got[1]
        queue.append(key)
        entries[key] = Entry(key, None, float("inf"), None, (), 0, None)
        policy.add(entries[key])


# -- 3 in Redis ---------------------------------------------------------------------------------

cached_json = outline.exercise(
    "cached_json",
    "A cache that outlives the process",
    hints=(
        "Read, and if there is a text, turn it into a value with `json.loads`. Otherwise load, and "
        "store the text of `json.dumps` with its time to live in the same command.",
        "`r.get` answers None where there is no key, and the text 'null' where the value is None: "
        "compare the text with None, not the value. `json.loads` raises ValueError on what is no "
        "JSON.",
        "`text = r.get(key)`; `if text is not None: try: return json.loads(text) except "
        "ValueError: pass`. Then `value = load()`, `r.set(key, json.dumps(value), ex=seconds)`, return it.",
    ),
)


def _value(trial: Trial) -> dict[str, Any]:
    return {"id": trial.rng.randrange(1000), "title": trial.word(), "tags": trial.words(2)}


@cached_json.check("loads what is missing and stores it with its time to live", points=2)
def _stores(trial: Trial) -> None:
    key, value, seconds = (
        f"news:article:{trial.word()}",
        _value(trial),
        trial.rng.randrange(60, 999),
    )
    load = trial.named("load", _Work("load", answers=lambda: value))
    got = trial.call(trial.client, key, seconds, load)
    trial.equal(got, value, advice="On a miss, return what `load()` returned.")
    trial.equal(len(load.calls), 1, "how often `load` ran")
    found = trial.client.get(key)
    trial.require(found is not None, f"Nothing is stored under {key}.")
    try:
        stored = json.loads(found)
    except ValueError:
        trial.fail(f"{key} holds {found!r}, which is no JSON. `json.dumps(value)` makes the text.")
    trial.equal(stored, value, f"the value stored under {key}")
    left = trial.client.ttl(key)
    trial.require(left != -1, f"{key} never expires: pass `ex=seconds` to SET.")
    trial.require(
        seconds - 30 <= left <= seconds,
        f"{key} lives {left} more seconds; expected {seconds}.",
    )
    trips = trial.log.round_trips
    trial.require(
        trips == 2 and not trial.log.commands[-1].name.endswith("EXPIRE"),
        f"A miss made {trips} round trips; expected two, a GET and one SET that carries the time to "
        "live. A crash between SET and EXPIRE leaves a key that never expires.",
    )


@cached_json.check("answers from Redis in one trip, without loading", points=2)
def _hits(trial: Trial) -> None:
    values: list[Any] = [_value(trial), None, 0, "", [], False]
    for value in values:
        key = f"news:article:{trial.word()}"
        trial.client.set(key, json.dumps(value), ex=60)
        load = trial.named("load", _Work("load", answers=lambda: "from the database"))
        got = trial.call(trial.client, key, 60, load)
        trial.require(
            not load.calls,
            f"{key} holds {json.dumps(value)!r}, and your function loaded all the same. "
            + (
                "None, 0 and empty values are values: only a missing key reads as None."
                if not value
                else "Look into Redis first."
            ),
        )
        trial.equal(got, value, advice="Turn the text back into a value with `json.loads`.")
        trial.one_trip("A hit is one GET.")


@cached_json.check("takes what it cannot read for a miss", points=1)
def _garbage(trial: Trial) -> None:
    key, value = f"news:article:{trial.word()}", _value(trial)
    trial.client.set(key, '{"id": 1, "ti', ex=60)
    load = trial.named("load", _Work("load", answers=lambda: value))
    with trial.explain(
        ValueError,
        "The text under the key was cut off. A cache that cannot be read must not bring the page "
        "down: catch ValueError and load.",
    ):
        got = trial.call(trial.client, key, 60, load)
    trial.equal(got, value)
    trial.equal(
        json.loads(trial.client.get(key) or "null"),
        value,
        f"the value stored under {key}",
    )


# -- 4 hybrid -----------------------------------------------------------------------------------

write_and_tell = outline.exercise(
    "write_and_tell",
    "Write, and tell the others",
    hints=(
        "`r.publish(channel, message)` sends a message to whoever listens. Here the channel is "
        "`news:changes` and the message is the key.",
        "Both commands have to happen, or none: a pipeline with its transaction (which is the "
        "default) sends them between MULTI and EXEC, in one trip.",
        "`with r.pipeline() as pipe:` `pipe.set(key, value, ex=seconds)`, then "
        "`pipe.publish('news:changes', key)`, then `pipe.execute()`.",
    ),
)


@write_and_tell.check("stores the text with its time to live", points=1)
def _writes(trial: Trial) -> None:
    key, value, seconds = f"news:{trial.word()}", trial.word(), trial.rng.randrange(60, 999)
    trial.call(trial.client, key, value, seconds)
    trial.equal(trial.client.get(key), value, f"the value of {key}")
    left = trial.client.ttl(key)
    trial.require(
        seconds - 30 <= left <= seconds,
        f"{key} has a time to live of {left} seconds (-1 is never); expected {seconds}.",
    )


@write_and_tell.check("tells the key on news:changes, in the same transaction", points=2)
def _tells(trial: Trial) -> None:
    key, value = f"news:{trial.word()}", trial.word()
    witness = trial.another_client()
    with witness.pubsub(ignore_subscribe_messages=True) as line:
        line.psubscribe("*")
        line.get_message(timeout=1)
        trial.call(trial.client, key, value, 60)
        told = line.get_message(timeout=1) or line.get_message(timeout=1)
    trial.require(told is not None, "Nobody was told: there was no message on any channel.")
    assert told is not None
    trial.equal(told["channel"], "news:changes", "the channel")
    trial.equal(told["data"], key, "the message", advice="Send the key, not the value.")
    trial.one_trip("Between two trips the program can die, and nobody hears of the change.")
    names = [command.name for command in trial.log]
    trial.require(
        "MULTI" in names or any(name.startswith(("EVAL", "FCALL")) for name in names),
        "One trip, but no transaction: with `transaction=False` another client may come in between "
        "the commands, or the first fail and the second still be sent.",
    )


# -- 5 keys -------------------------------------------------------------------------------------

call_key = outline.exercise(
    "call_key",
    "A key for a call",
    hints=(
        "`str` loses what you need: `str('1') == str(1)`. Which of Python's functions writes 1 and "
        "'1' differently, and puts quotes around a text so that you can see where it ends?",
        "`repr((args, sorted(kwargs.items())))` keeps types and borders. Python's own `hash` differs "
        "from process to process; those in `hashlib` do not.",
        "Begin with `f'{namespace}:v{version}:{function.__module__}.{function.__qualname__}:'`. Add "
        "the repr; if the whole is longer than 200 characters, add instead of it "
        "`hashlib.sha256(text.encode()).hexdigest()`.",
    ),
)


def _article(*_: Any, **__: Any) -> None:
    """A function to make keys for."""


_article.__module__, _article.__name__, _article.__qualname__ = "site", "article", "article"


class _Restless(str):
    """A text whose hash differs each time, as that of every text does between two processes."""

    def __hash__(self) -> int:
        return random.getrandbits(32)


def _key(trial: Trial, args: tuple[Any, ...], kwargs: dict[str, Any], **others: Any) -> str:
    asked = {"namespace": "news", "version": 1, **others}
    got = trial.call(
        asked["namespace"], asked["version"], trial.named("article", _article), args, kwargs
    )
    trial.require(isinstance(got, str), f"Your function returned {got!r}; expected a text.")
    return str(got)


@call_key.check("begins with namespace, version and function, for people to read", points=1)
def _readable(trial: Trial) -> None:
    namespace, version = trial.word(), trial.rng.randrange(2, 90)
    got = _key(trial, (1,), {}, namespace=namespace, version=version)
    start = f"{namespace}:v{version}:site.article:"
    trial.require(
        got.startswith(start), f"The key is {got!r}; expected it to begin with {start!r}."
    )


@call_key.check("is the same for equal calls, in every process", points=1)
def _same(trial: Trial) -> None:
    word, number = trial.word(), trial.rng.randrange(1000)
    trial.equal(
        _key(trial, (word,), {"a": 1, "b": number}),
        _key(trial, (word,), {"b": number, "a": 1}),
        "the keys of article(..., a=1, b=2) and article(..., b=2, a=1)",
        advice="Sort the keyword arguments.",
    )
    one, two = _key(trial, (_Restless(word),), {}), _key(trial, (_Restless(word),), {})
    trial.require(
        one == two,
        f"Two equal calls gave {one!r} and {two!r}: Python's `hash` of a text differs from process "
        "to process, so another process would never find the value. `hashlib` does not.",
    )
    long = trial.word(500)
    one, two = _key(trial, (_Restless(long),), {}), _key(trial, (_Restless(long),), {})
    trial.require(
        one == two, "Two equal calls with a long argument gave different keys: use `hashlib`."
    )


@call_key.check("differs for different calls", points=2)
def _different(trial: Trial) -> None:
    a, b, c = trial.words(3)
    long = trial.word(300)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}),
        (("1",), {}),
        ((1.0,), {}),
        ((True,), {}),
        ((None,), {}),
        (("None",), {}),
        ((f"{a} {b}", c), {}),
        ((a, f"{b} {c}"), {}),
        ((f"{a},{b}",), {}),
        ((f"{a}, {b}",), {}),
        ((f"{a}:{b}",), {}),
        ((f"{a}', '{b}",), {}),
        ((a, b), {}),
        ((a,), {}),
        ((), {}),
        ((), {a: b}),
        ((f"{a}={b}",), {}),
        ((a,), {a: b}),
        ((), {a: f"{b}, {c}={b}"}),
        ((), {a: b, c: b}),
        ((long, 1), {}),
        ((long, 2), {}),
        ((long,), {"a": 1}),
    ]
    keys = [_key(trial, args, kwargs) for args, kwargs in calls]
    for (one, first), (two, second) in itertools.combinations(zip(calls, keys, strict=True), 2):
        if first == second:
            trial.fail(
                f"{_call(*one)} and {_call(*two)} have the same key, {_short(first)}: one caller "
                "gets the other's value. Types and the borders between arguments belong in the key."
            )
    other = _key(trial, (1,), {}, version=2)
    trial.require(other != keys[0], "Versions 1 and 2 have the same key.")


@call_key.check("is never longer than 200 characters", points=1)
def _not_long(trial: Trial) -> None:
    got = _key(trial, (trial.word(5000),), {"text": trial.word(500)})
    trial.require(
        len(got) <= 200,
        f"A call with a long text has a key of {len(got):,} characters. Put a digest from `hashlib` "
        "in the place of what is too long.",
    )


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    shown = [*(_short(arg) for arg in args), *(f"{k}={_short(v)}" for k, v in kwargs.items())]
    return f"article({', '.join(shown)})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:30]}...{text[-10:]}"


# -- 6 the fence --------------------------------------------------------------------------------

fill_if_current = outline.exercise(
    "fill_if_current",
    "Store nothing that was invalidated meanwhile",
    hints=(
        "The comparison and the SET have to happen as one. Between a GET and a SET that you send "
        "one after the other, somebody can invalidate.",
        "Either WATCH the generation, read it, and put the SET between `pipe.multi()` and "
        "`pipe.execute()`, which raises `redis.WatchError` if it changed; or send a Lua script that "
        "compares and stores.",
        "With a pipeline: `pipe.watch(generation)`; `if pipe.get(generation) != seen: return False`; "
        "`pipe.multi()`; `pipe.set(key, value, ex=600)`; `pipe.execute()`; `return True`; and on "
        "`redis.WatchError` return False.",
    ),
)


@fill_if_current.check(
    "stores the value for 600 seconds while the generation is the same", points=1
)
def _fills(trial: Trial) -> None:
    key, value, generation = f"news:{trial.word()}", trial.word(), f"news:gen:{trial.word()}"
    for seen in (None, str(trial.rng.randrange(1, 99))):
        trial.reset()
        if seen is not None:
            trial.client.set(generation, seen)
        got = trial.call(trial.client, key, value, generation, seen)
        trial.require(
            trial.client.get(key) == value,
            f"The generation is still {seen!r}, and nothing is stored under {key}."
            + (" A generation that was never counted reads as None." if seen is None else ""),
        )
        left = trial.client.ttl(key)
        trial.require(
            540 < left <= 600,
            f"{key} has a time to live of {left} seconds (-1 is never); expected 600.",
        )
        trial.equal(got, True)


@fill_if_current.check("stores nothing when the generation has moved on", points=1)
def _refuses(trial: Trial) -> None:
    key, value, generation = f"news:{trial.word()}", trial.word(), f"news:gen:{trial.word()}"
    for seen, now in ((None, "1"), ("4", "5")):
        trial.reset()
        trial.client.set(generation, now)
        got = trial.call(trial.client, key, value, generation, seen)
        trial.require(
            trial.client.get(key) is None,
            f"The generation was {seen!r} before the load and is {now!r} now: what was loaded is "
            "old, and your function stored it.",
        )
        trial.equal(got, False)


@fill_if_current.check("nobody can invalidate between the comparison and the SET", points=2)
def _fenced(trial: Trial) -> None:
    key, value, generation = f"news:{trial.word()}", trial.word(), f"news:gen:{trial.word()}"
    rival = trial.another_client()

    def invalidate() -> None:
        with rival.pipeline() as pipe:
            pipe.incr(generation)
            pipe.delete(key)
            pipe.execute()

    args = (trial.client, key, value, generation, "7")
    with trial.explain(
        redis.WatchError, "Somebody invalidated meanwhile: that is the case to answer False in."
    ):
        for got in trial.race(lambda: rival.set(generation, "7"), invalidate, *args):
            trial.require(
                rival.get(key) is None,
                "Between your look at the generation and your SET somebody invalidated the key, and "
                f"the old value stands there now: `{key}` holds {rival.get(key)!r} although the "
                "generation is 8.",
            )
            trial.equal(got, False, "the answer when somebody invalidated in between")
    trial.reset()
    rival.set(generation, "7")
    trial.equal(trial.call(*args), True)


# -- 8 quiz -------------------------------------------------------------------------------------

choose_cache = outline.quiz(
    "choose_cache",
    "What would you do?",
    {
        "q1": Question(
            "one process computes the tax tables of 40 countries; they change once a year",
            "local",
            {
                "local": "nobody else needs them, they are few, and nothing changes: memory is all.",
                "redis": "a round trip for what one process computes once and keeps for a year.",
                "hybrid": "there is no second process whose changes would have to be heard.",
                "none": "computing the same tables at every call helps nobody.",
            },
        ),
        "q2": Question(
            "twelve web workers show articles; an edit has to be seen within a second",
            "hybrid",
            {
                "local": "eleven of the workers would not hear of the edit.",
                "redis": "right in what it shows, but every page pays round trips that memory saves.",
                "hybrid": "memory answers, Redis shares the load, and messages drop what was edited.",
                "none": "then every page reads the database, which is where the story began.",
            },
        ),
        "q3": Question(
            "a session must survive a restart of the worker that made it",
            "redis",
            {
                "local": "what a process remembers ends with it.",
                "redis": "it outlives the process, and every worker finds it.",
                "hybrid": "sessions change at almost every request: each copy would be dropped at once.",
                "none": "a session has to be kept somewhere.",
            },
        ),
        "q4": Question(
            "a nightly job walks once through a million rows",
            "none",
            {
                "local": "no row is asked for twice, and what is useful would have to go for them.",
                "redis": "a million writes, and not one read.",
                "hybrid": "twice the work for no hit at all.",
                "none": "what is asked for once is not worth keeping.",
            },
        ),
        "q5": Question(
            "what may the arguments `1` and `True` of a function share in its cache",
            "nothing",
            {
                "nothing": "the function may tell them apart, so the cache has to.",
                "the key": "then the first caller decides what the second one gets.",
                "the value": "they may be equal by chance; the cache cannot know.",
                "the lifetime": "each value lives by itself.",
            },
        ),
    },
    hints=(
        "Ask three questions: who else needs the value, how often is it asked for again, and who "
        "has to hear when it changes?",
        "Memory is for one process, Redis for several. Both together pay when reads are many and "
        "changes few. A value that nobody asks for again is not worth keeping.",
        "One of each in q1 to q4: local, hybrid, redis, none. In q5 think of `f(True)` after `f(1)`.",
    ),
)
