"""What lesson 05-cache-decorators checks: a cache built by hand, from a closure to a fence."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import json
import weakref
from typing import TYPE_CHECKING, Any
from unittest import mock

import redis

from labkit.cache.eviction import Entry, policy_of
from labkit.clock import FakeClock
from labkit.course.exercise import AnswerRaised, Outline, Question, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from contextlib import AbstractContextManager

    from redis.client import PubSub

outline = Outline(
    "05-cache-decorators",
    title="Remember what you computed",
    prefix="news:",
)


class _Work:
    """A function to cache: its calls are counted, and each is answered with a value of its own."""

    def __init__(self, name: str = "work", answers: Callable[..., Any] | None = None) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

        def function(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((args, kwargs))
            return answers(*args, **kwargs) if answers else f"{name}-{len(self.calls)}"

        function.__name__ = function.__qualname__ = name
        function.__doc__ = f"What {name} does."
        self.function = function


def _made(trial: Trial, *args: Any) -> Callable[..., Any]:
    """What the answer returns, which has to be a function."""
    made = trial.call(*args)
    trial.require(
        callable(made),
        f"Your function returns {_short(made)}. It has to return a function: the inner one that "
        "you define, without calling it.",
    )
    return made  # type: ignore[no-any-return]


def _use(shown: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what the answer made; `shown` is how that looks to the learner."""
    try:
        return function(*args, **kwargs)
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise AnswerRaised(f"`{shown}` raised {what}.") from error


def _reaches_the_caller(
    trial: Trial, kind: type[Exception], shown: str, function: Callable[..., Any], *args: Any
) -> None:
    """Demand that an error of the function's comes out of what the answer made of it."""
    try:
        got = _use(shown, function, *args)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, kind):
            raise
    else:
        trial.fail(
            f"The function raised {kind.__name__}, and `{shown}` returned {_short(got)}: an error "
            "has to reach the caller."
        )


def _call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    shown = [*(_short(arg) for arg in args), *(f"{k}={_short(v)}" for k, v in kwargs.items())]
    return f"{name}({', '.join(shown)})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:30]}...{text[-10:]}"


# -- 1.2 a function that remembers -------------------------------------------------------------

remember = outline.exercise(
    "remember",
    "A decorator that remembers",
    hints=(
        "Make a dictionary in `remember`, and inside it a function `wrapper(*args, **kwargs)` that "
        "looks there first. Return the wrapper.",
        "The key has to hold both kinds of arguments without mixing them up: a tuple of two "
        "things, the positional ones and the sorted keyword ones. `key in memory` asks whether "
        "there is a value, also when it is None. Looking up a key that has no hash raises "
        "TypeError.",
        "`key = (args, tuple(sorted(kwargs.items())))`. Put only the look-up into "
        "`try: ... except TypeError: return function(*args, **kwargs)`, and keep the call that "
        "computes out of it. Above `def wrapper` goes `@functools.wraps(function)`.",
    ),
)


def _remembered(trial: Trial, work: _Work) -> Callable[..., Any]:
    return _made(trial, trial.named(work.function.__name__, work.function))


@remember.check("computes a call once, and None is remembered like any value", points=2)
def _remembers(trial: Trial) -> None:
    work = _Work()
    wrapper = _remembered(trial, work)
    trial.require(
        not work.calls,
        "`remember(work)` ran the function at once: only a call of the wrapper does.",
    )
    one, two, three = trial.rng.sample(range(10**6), 3)
    first = _use(f"wrapper({one})", wrapper, one)
    trial.require(
        len(work.calls) <= 1,
        f"After one call of the wrapper the function itself has run {len(work.calls)} times; "
        "expected once.",
    )
    trial.equal(first, "work-1", f"wrapper({one})")
    again = _use(f"wrapper({one})", wrapper, one)
    trial.require(
        len(work.calls) == 1,
        f"wrapper({one}) ran the function again the second time: nothing was remembered. Is the "
        "dictionary made outside the wrapper, and the value put into it?",
    )
    trial.equal(again, "work-1", f"wrapper({one}), again")
    trial.equal(_use(f"wrapper({two})", wrapper, two), "work-2", f"wrapper({two})")
    trial.equal(len(work.calls), 2, "how often the function itself ran in three calls")
    nothing = _Work("nothing", answers=lambda *_: None)
    wrapper = _remembered(trial, nothing)
    for _ in range(3):
        trial.equal(_use(f"wrapper({three})", wrapper, three), None, f"wrapper({three})")
    trial.require(
        len(nothing.calls) == 1,
        f"A function that returns None ran {len(nothing.calls)} times in three calls. `memory.get` "
        "answers None for a missing key too; ask `key in memory`.",
    )


@remember.check(
    "takes the same keywords in any order for the same call, and mixes nothing up", points=1
)
def _spelled(trial: Trial) -> None:
    word = trial.word()
    one, two = _remembered(trial, _Work("one")), _remembered(trial, _Work("two"))
    shown = f"wrapper({word!r})"
    trial.equal(_use(shown, one, word), "one-1", f"{shown}, of the function one")
    trial.equal(
        _use(shown, two, word),
        "two-1",
        f"{shown}, of the function two",
        advice="Make the dictionary in `remember`, so that each function has its own.",
    )
    work = _Work()
    wrapper = _remembered(trial, work)
    a, b = trial.rng.sample(range(10**6), 2)
    _use(f"wrapper(a={a}, b={b})", wrapper, a=a, b=b)
    _use(f"wrapper(b={b}, a={a})", wrapper, b=b, a=a)
    trial.require(
        len(work.calls) == 1,
        f"wrapper(a={a}, b={b}) and wrapper(b={b}, a={a}) are one call, and the function ran "
        f"{len(work.calls)} times: sort the keyword arguments in the key.",
    )
    trial.equal(work.calls[0], ((), {"a": a, "b": b}), "the arguments that the function got")
    _mixes_nothing_up(trial, a, b)


def _mixes_nothing_up(trial: Trial, a: int, b: int) -> None:
    apart = (
        "In the key, keep the positional arguments apart from the keywords, and a keyword's name "
        "with its value."
    )
    types = (
        "A text and a number are two arguments: keep them as they are in the key, without `str`."
    )
    hashed = (
        "Their hashes are equal, as may be for any two: the key is the arguments, not a `hash`."
    )
    different: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        (apart, (a,), {"b": b}),
        (apart, (a,), {"b": a}),
        (apart, (a,), {"c": b}),
        (apart, (a, ("b", b)), {}),
        (apart, (a, "b", b), {}),
        (apart, ((a, b),), {}),
        (apart, (a, b), {}),
        (apart, (a,), {}),
        (types, (str(a),), {}),
        (hashed, (-1,), {}),
        (hashed, (-2,), {}),
    ]
    work = _Work()
    wrapper = _remembered(trial, work)
    seen: dict[object, str] = {}
    for advice, args, kwargs in different:
        shown = _call("wrapper", args, kwargs)
        got = _use(shown, wrapper, *args, **kwargs)
        if len(work.calls) == len(seen):
            whose = seen.get(got, "another call") if type(got) is str else "another call"
            trial.fail(f"`{shown}` got the value of `{whose}`. {advice}")
        trial.equal(got, f"work-{len(work.calls)}", shown)
        seen[got] = shown


@remember.check("lets arguments through that cannot be a key", points=1)
def _unhashable(trial: Trial) -> None:
    work = _Work()
    wrapper = _remembered(trial, work)
    one, *numbers = trial.rng.sample(range(10**6), 4)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((numbers,), {}),
        ((numbers,), {}),
        ((), {"a": numbers}),
    ]
    for count, (args, kwargs) in enumerate(calls, 1):
        shown = _call("wrapper", args, kwargs)
        with trial.explain(
            TypeError,
            "A list has no hash: catch TypeError at the look-up, and call the function.",
        ):
            got = _use(shown, wrapper, *args, **kwargs)
        trial.equal(
            got,
            f"work-{count}",
            f"{shown}, call {count}",
            advice="A list may change between two calls: compute each of them."
            if len(work.calls) < count
            else "",
        )
        trial.equal(work.calls[-1], (args, kwargs), "the arguments that the function got")

    def fails(*_: Any) -> None:
        raise TypeError("from the function itself")

    broken = _Work("broken", answers=fails)
    wrapper = _remembered(trial, broken)
    _reaches_the_caller(trial, TypeError, f"wrapper({one})", wrapper, one)
    trial.require(
        len(broken.calls) == 1,
        f"A function that raises TypeError itself ran {len(broken.calls)} times in one call: keep "
        "the call that computes out of the `try`.",
    )
    _reaches_the_caller(trial, TypeError, f"wrapper({one})", wrapper, one)
    trial.require(
        len(broken.calls) == 2,
        f"wrapper({one}) raised, and the next wrapper({one}) did not ask the function again: an "
        "error is not remembered.",
    )


@remember.check("keeps the function's name and its docstring", points=1)
def _keeps_name(trial: Trial) -> None:
    work = _Work(trial.word())
    wrapper = _remembered(trial, work)
    advice = "`@functools.wraps(function)` above the wrapper copies both."
    trial.equal(
        getattr(wrapper, "__name__", None),
        work.function.__name__,
        "the wrapper's name",
        advice=advice,
    )
    trial.equal(wrapper.__doc__, work.function.__doc__, "the wrapper's docstring", advice=advice)


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
    return _wrapped(trial, _made(trial, seconds, clock), seconds, work)


def _wrapped(
    trial: Trial, decorate: Callable[..., Any], seconds: float, work: _Work
) -> Callable[..., Any]:
    shown = f"remember_for({seconds}, clock)({work.function.__name__})"
    wrapper = _use(shown, decorate, work.function)
    trial.require(
        callable(wrapper),
        f"`{shown}` gave {_short(wrapper)}, not a function: there are three functions inside each "
        "other, and each returns the next.",
    )
    return wrapper  # type: ignore[no-any-return]


def _clock(trial: Trial) -> FakeClock:
    return trial.named("clock", FakeClock(1000.0))


@remember_for.check("computes once while the value is fresh", points=1)
def _fresh(trial: Trial) -> None:
    clock, work = _clock(trial), _Work()
    seconds = trial.rng.randrange(10, 100)
    one, two, three = trial.words(3)
    wrapper = _decorated(trial, clock, seconds, work)
    trial.equal(_use(f"work({one!r})", wrapper, one), "work-1", f"work({one!r})")
    again = _use(f"work({one!r})", wrapper, one)
    trial.require(
        len(work.calls) == 1,
        f"work({one!r}) ran the function again at the same moment: nothing was remembered. Is the "
        "dictionary made in the decorator, and not anew in the wrapper?",
    )
    trial.equal(again, "work-1", f"work({one!r}), again")
    clock.advance(seconds - 1)
    trial.equal(
        _use(f"work({one!r})", wrapper, one),
        "work-1",
        f"work({one!r}), {seconds - 1} seconds later, with seconds={seconds}",
    )
    trial.equal(_use(f"work({two!r})", wrapper, two), "work-2", f"work({two!r})")
    nothing = _Work("nothing", answers=lambda *_: None)
    wrapper = _decorated(trial, clock, seconds, nothing)
    for _ in range(2):
        trial.equal(_use(f"nothing({three!r})", wrapper, three), None, f"nothing({three!r})")
    trial.require(
        len(nothing.calls) == 1,
        "A function that returns None ran twice while the value was fresh: None is a value too.",
    )


@remember_for.check(
    "computes anew when the time is over, and again not before it is over", points=1
)
def _stale(trial: Trial) -> None:
    clock, work = _clock(trial), _Work()
    seconds = trial.rng.randrange(10, 100)
    one, two, other = trial.words(3)
    shown = f"work({other!r})"
    wrapper = _decorated(trial, clock, 10 * seconds, work)
    _use(shown, wrapper, other)
    clock.advance(1000 * seconds)
    trial.equal(
        _use(shown, wrapper, other),
        "work-2",
        f"{shown}, {1000 * seconds} seconds after it was computed, with seconds={10 * seconds}",
        advice="Ask `clock()` when a value is stored, and again at every call.",
    )
    shown = f"work({one!r})"
    wrapper = _decorated(trial, clock, seconds, _Work())
    _use(shown, wrapper, one)
    clock.advance(seconds)
    trial.equal(
        _use(shown, wrapper, one),
        "work-2",
        f"{shown}, {seconds} seconds after it was computed, with seconds={seconds}",
        advice="A value is fresh while less than `seconds` have passed: `<`, not `<=`.",
    )
    clock.advance(seconds - 1)
    trial.equal(
        _use(shown, wrapper, one),
        "work-2",
        f"{shown}, {seconds - 1} seconds after it was computed anew",
        advice="A value that was computed anew has its whole time again.",
    )
    clock.advance(1)
    trial.equal(
        _use(shown, wrapper, one),
        "work-3",
        f"{shown}, {seconds} seconds after it was computed, with a hit a second ago",
        advice="The time counts from when the value was computed: a hit does not prolong it.",
    )
    clock.advance(seconds - 1)
    trial.equal(_use(f"work({two!r})", wrapper, two), "work-4", f"work({two!r})")
    clock.advance(1)
    advice = "Each value has a time of its own: keep it beside the value, in the dictionary."
    trial.equal(
        _use(shown, wrapper, one),
        "work-5",
        f"{shown}, {seconds} seconds after it was computed, and 1 after work({two!r}) was",
        advice=advice,
    )
    trial.equal(
        _use(f"work({two!r})", wrapper, two),
        "work-4",
        f"work({two!r}), 1 second after it was computed, when {shown} was too old",
        advice=advice,
    )


@remember_for.check("keeps the values of two functions apart", points=1)
def _apart(trial: Trial) -> None:
    decorate = _made(trial, 60, _clock(trial))
    word = trial.word()
    advice = "Make the dictionary where the function is known, in the decorator."
    one, two = (_wrapped(trial, decorate, 60, _Work(name)) for name in ("one", "two"))
    trial.equal(_use(f"one({word!r})", one, word), "one-1", f"one({word!r})")
    trial.equal(
        _use(f"two({word!r})", two, word),
        "two-1",
        f"two({word!r}), with `cached = remember_for(60, clock)` used on both one and two",
        advice=advice,
    )
    for value in trial.words(2):
        # Two functions may have one name: it is no key to tell them by.
        work = _Work("title", answers=lambda _, value=value: value)
        trial.equal(
            _use(f"title({word!r})", _wrapped(trial, decorate, 60, work), word),
            value,
            f"title({word!r}), where two modules have a function `title`",
            advice=advice,
        )


@remember_for.check("does not remember an error, which reaches the caller", points=1)
def _errors(trial: Trial) -> None:
    clock = _clock(trial)
    states = [ValueError("the database is away"), None, ValueError("away again")]

    def shaky(*_: Any) -> str:
        if (error := states.pop(0)) is not None:
            raise error
        return "fine"

    work = _Work("shaky", answers=shaky)
    wrapper = _decorated(trial, clock, 60, work)
    argument = trial.word()
    shown = f"shaky({argument!r})"
    _reaches_the_caller(trial, ValueError, shown, wrapper, argument)
    with trial.explain(
        ValueError,
        "That is the error of the call before: the database is back, and nothing asked it. Store "
        "a value after the function has returned.",
    ):
        got = _use(shown, wrapper, argument)
    trial.equal(got, "fine", f"{shown}, after a first call that raised")
    clock.advance(60)
    asked = len(work.calls)
    with contextlib.suppress(ValueError):
        wrapper(argument)
    trial.require(
        len(work.calls) > asked,
        f"60 seconds after it was computed the value of {shown} was believed all the same, with "
        "seconds=60: the function was not asked.",
    )
    clock.advance(60)
    states.append(ValueError("away once more"))
    _reaches_the_caller(trial, ValueError, shown, wrapper, argument)


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
        "`if len(memory) > room: del memory[next(iter(memory))]`. Then return `memory[key]`.",
    ),
)


def _loader(trial: Trial) -> _Work:
    """A function that loads a key: its values say which one, and how manieth load it was."""
    load = _Work("load", answers=lambda key: f"{key}-{len(load.calls)}")
    trial.named("load", load.function)
    return load


@make_lru.check("loads a key once while there is room", points=1)
def _loads_once(trial: Trial) -> None:
    load = _loader(trial)
    room = trial.rng.randrange(3, 6)
    get = _made(trial, room, load.function)
    keys = trial.words(room)
    for key in keys * 3:
        _use(f"get({key!r})", get, key)
    trial.equal(
        [args[0] for args, _ in load.calls],
        keys,
        f"what was loaded when {room} keys were asked for three times, with room={room}",
    )
    trial.equal(_use(f"get({keys[0]!r})", get, keys[0]), f"{keys[0]}-1", f"get({keys[0]!r})")
    other = _Work("other", answers=lambda key: f"other {key}")
    get = _made(trial, room, trial.named("other", other.function))
    trial.equal(
        _use(f"get({keys[0]!r})", get, keys[0]),
        f"other {keys[0]}",
        f"get({keys[0]!r}) of `make_lru({room}, other)`",
        advice="Make the dictionary in `make_lru`, so that two caches share nothing.",
    )
    nothing = _Work("nothing", answers=lambda _: None)
    get = _made(trial, room, trial.named("nothing", nothing.function))
    for _ in range(2):
        trial.equal(_use(f"get({keys[0]!r})", get, keys[0]), None, f"get({keys[0]!r})")
    trial.require(
        len(nothing.calls) == 1,
        "What was loaded as None was loaded again. `memory.get` answers None for a missing key "
        "too; ask `key in memory`.",
    )


@make_lru.check("gives up the key that was used longest ago, and a hit is a use", points=2)
def _least_recent(trial: Trial) -> None:
    a, b, c, d = trial.words(4, 3)
    _gives_up(
        trial,
        (a, b, c, d),
        a,
        "`next(iter(memory))` is the key that was put in first; `popitem()` takes the last.",
    )
    _gives_up(trial, (a, b, c, a, d), b, "A hit has to move its key to the end.")
    _gives_up(
        trial, (a, a, a, b, c, d), a, "It counts when a key was used last, not how often it was."
    )
    _as_a_list_would(trial)


def _gives_up(trial: Trial, used: tuple[str, ...], victim: str, advice: str) -> None:
    gone = []
    for key in dict.fromkeys(used):
        load = _loader(trial)
        get = _made(trial, 3, load.function)
        for each in used:
            _use(f"get({each!r})", get, each)
        before = len(load.calls)
        _use(f"get({key!r})", get, key)
        if len(load.calls) > before:
            gone.append(key)
    trial.require(
        gone == [victim],
        f"With room=3, when {', '.join(used)} were asked for, what is gone is "
        f"{' and '.join(gone) or 'nothing'}; expected {victim}, which was used longest ago. "
        + (advice if gone else "When there is one too many, one has to go."),
    )


def _as_a_list_would(trial: Trial) -> None:
    """Compare each of many requests with a list that is kept in the order of use."""
    load, room = _loader(trial), trial.rng.randrange(2, 6)
    get = _made(trial, room, load.function)
    requests = trial.rng.choices(trial.words(9, 3), k=300)
    kept: list[str] = []
    values: dict[str, str] = {}
    for number, key in enumerate(requests):
        before = len(load.calls)
        got = _use(f"get({key!r})", get, key)
        loaded = len(load.calls) > before
        trial.require(
            loaded == (key not in kept),
            f"With room={room}, when {', '.join(requests[max(0, number - 12) : number])} were the "
            f"last to be asked for, get({key!r}) "
            + ("loaded what should still be there." if loaded else "had what should be gone."),
        )
        if loaded:
            values[key] = f"{key}-{len(load.calls)}"
        trial.equal(got, values[key], f"get({key!r})")
        kept = [*(other for other in kept if other != key), key][-room:]


@make_lru.check("lets go of what it gave up", points=2)
def _bounded(trial: Trial) -> None:
    keys: weakref.WeakSet[_Page] = weakref.WeakSet()
    values: weakref.WeakSet[_Page] = weakref.WeakSet()

    def load(_: Hashable) -> _Page:
        page = _Page()
        values.add(page)
        return page

    room = trial.rng.randrange(3, 6)
    get = _made(trial, room, trial.named("load", load))
    for number in range(100):
        key = _Page()
        keys.add(key)
        _use(f"get({number})", get, key)
    del key
    gc.collect()
    for what, alive in ("values", values), ("keys", keys):
        trial.require(
            len(alive) <= room,
            f"After 100 different keys {len(alive)} {what} are kept, with room={room}. What goes "
            "has to leave every dictionary and list that you keep.",
        )
    trial.require(
        len(values) == room,
        f"After 100 different keys only {len(values)} of the values are kept, with room={room}.",
    )


class _Page:
    """Something that is loaded, or asked for."""


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


class _Queue(list[str]):
    """A list that ends a loop which would look at it for ever."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        if self.looks > 1000:
            raise EndlessLoop("looked at the queue 1,000 times")
        return super().__getitem__(place)


class EndlessLoop(RuntimeError):
    """The answer goes round for ever."""


def _sieved(
    trial: Trial, keys: list[str], marks: set[str], hand: int
) -> tuple[list[str], set[str], str, int]:
    """Call the answer on copies; what is left in them, and what it returned."""
    queue, visited = _Queue(keys), set(marks)
    with (
        trial.explain(
            IndexError, "After the last place comes 0: `hand = (hand + 1) % len(queue)`."
        ),
        trial.explain(
            ZeroDivisionError, "When the last key went, the queue is empty: the hand is 0."
        ),
        trial.explain(
            EndlessLoop,
            "The hand goes round for ever: it has to move on, and each mark that it meets to be "
            "taken away.",
        ),
    ):
        got = trial.call(queue, visited, hand)
    trial.require(
        isinstance(got, tuple) and len(got) == 2,
        f"Your function returned {_short(got)}; expected a tuple of two, the victim and the new "
        "hand.",
    )
    if list(queue) == keys:
        trial.fail(
            f"After `{_step(keys, marks, hand)}` the queue still has every key: take the victim "
            "out of the very list that you are given, with `queue.pop(hand)`."
        )
    return list(queue), visited, *got


def _step(keys: list[str], marks: set[str], hand: int) -> str:
    return f"sieve_step({keys}, {marks or 'set()'}, {hand})"


@sieve_step.check("without marks, the one at the hand goes", points=1)
def _at_the_hand(trial: Trial) -> None:
    keys = trial.words(5, 3)
    hand = trial.rng.randrange(1, 4)
    shown = _step(keys, set(), hand)
    queue, _, victim, after = _sieved(trial, keys, set(), hand)
    trial.equal(victim, keys[hand], f"the victim of `{shown}`")
    trial.equal(queue, keys[:hand] + keys[hand + 1 :], f"the queue after `{shown}`")
    trial.equal(
        after,
        hand,
        f"the new hand after `{shown}`",
        advice="The next one has moved up into the victim's place.",
    )


@sieve_step.check("one with a mark stays where it is, and loses the mark", points=1)
def _spared(trial: Trial) -> None:
    keys = trial.words(5, 3)
    marks = {keys[0], keys[1], keys[4]}
    shown = _step(keys, marks, 0)
    queue, visited, victim, hand = _sieved(trial, keys, marks, 0)
    trial.equal(
        victim,
        keys[2],
        f"the victim of `{shown}`",
        advice="The hand goes towards the newest, and the first without a mark is the victim.",
    )
    trial.equal(
        queue,
        [keys[0], keys[1], keys[3], keys[4]],
        f"the queue after `{shown}`",
        advice="What is spared keeps its place: that is what makes SIEVE cheaper than LRU.",
    )
    trial.equal(
        visited,
        {keys[4]},
        f"the marks after `{shown}`",
        advice="Marks that the hand passed are gone from the very set that you are given; one "
        "that it did not reach stays.",
    )
    trial.equal(hand, 2, f"the new hand after `{shown}`")


@sieve_step.check("after the newest, the hand goes on at the oldest", points=1)
def _wraps(trial: Trial) -> None:
    keys = trial.words(4, 3)
    last: list[tuple[set[str], int, int]] = [
        (set(keys), 1, 1),
        ({keys[2], keys[3]}, 2, 0),
        (set(), 3, 3),
    ]
    for marks, hand, gone in last:
        shown = _step(keys, marks, hand)
        queue, visited, victim, after = _sieved(trial, keys, marks, hand)
        trial.equal(victim, keys[gone], f"the victim of `{shown}`")
        trial.equal(queue, keys[:gone] + keys[gone + 1 :], f"the queue after `{shown}`")
        trial.equal(visited, set(), f"the marks after `{shown}`")
        trial.equal(
            after,
            gone % 3,
            f"the new hand after `{shown}`",
            advice="When the newest went, the hand goes on at the oldest, place 0.",
        )
    queue, _, victim, after = _sieved(trial, keys[:1], set(keys[:1]), 0)
    trial.equal((victim, after), (keys[0], 0), f"`{_step(keys[:1], set(keys[:1]), 0)}`")


@sieve_step.check("evicts what labkit's SIEVE evicts, over a thousand requests", points=1)
def _as_labkit(trial: Trial) -> None:
    # Each step starts from labkit's own state: a mistake is told where it is made.
    queue: list[str] = []
    visited: set[str] = set()
    hand = 0
    policy, entries = policy_of("sieve"), dict[str, Entry]()
    names = trial.words(30, 3)
    for key in trial.rng.choices(names, weights=range(30, 0, -1), k=1000):
        if key in entries:
            visited.add(key)
            entries[key].visited = True
            continue
        if len(queue) == 10:
            expected = policy.victim()
            policy.remove(expected)
            del entries[expected.key]
            shown = _step(queue, visited, hand)
            left, marks, victim, after = _sieved(trial, queue, visited, hand)
            trial.equal(victim, expected.key, f"the victim of `{shown}`")
            hand = queue.index(expected.key)
            queue.remove(expected.key)
            hand %= len(queue)
            visited = {name for name, entry in entries.items() if entry.visited}
            trial.equal(left, queue, f"the queue after `{shown}`")
            trial.equal(marks, visited, f"the marks after `{shown}`")
            trial.equal(after, hand, f"the hand after `{shown}`")
        queue.append(key)
        entries[key] = Entry(key, None, float("inf"))
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
        "ValueError: pass`. Then `value = load()`, `r.set(key, json.dumps(value), ex=seconds)`, "
        "return it.",
    ),
)


def _value(trial: Trial) -> dict[str, Any]:
    return {"id": trial.rng.randrange(1000), "title": trial.word(), "tags": trial.words(2)}


def _text(trial: Trial, key: str) -> str:
    try:
        found = trial.client.get(key)
    except UnicodeDecodeError:
        trial.fail(
            f"{key} holds bytes that are no text, as `pickle` makes them; expected JSON. Whoever "
            "can write to Redis can make `pickle.loads` run what they like."
        )
    trial.require(found is not None, f"Nothing is stored under {key}.")
    return str(found)


def _stored(trial: Trial, key: str) -> object:
    """What the JSON under the key stands for."""
    found = _text(trial, key)
    try:
        return json.loads(found)
    except ValueError:
        trial.fail(f"{key} holds {found!r}, which is no JSON. `json.dumps(value)` makes the text.")


def _expires(trial: Trial, key: str, seconds: int) -> None:
    left = trial.client.ttl(key)
    trial.require(left != -1, f"{key} never expires: pass its time to live to SET, with `ex=`.")
    trial.require(
        500 * left > seconds,
        f"{key} is gone in a moment, not in {seconds} seconds: `px` counts milliseconds.",
    )
    trial.require(
        seconds - 30 <= left <= seconds,
        f"{key} has a time to live of {left} seconds; expected {seconds}.",
    )


@cached_json.check("loads what is missing and stores it with its time to live", points=2)
def _stores(trial: Trial) -> None:
    seconds = trial.rng.randrange(2000, 9999)
    for value in (_value(trial), None):
        key = f"news:article:{trial.word()}"
        load = _Work("load", answers=lambda value=value: value)
        call = (trial.client, key, seconds, trial.named("load", load.function))
        got = trial.call(*call)
        trial.equal(got, value, advice="On a miss, return what `load()` returned.")
        trial.equal(len(load.calls), 1, "how often `load` ran")
        trial.require(
            value is not None or trial.client.exists(key) == 1,
            f"`load()` returned None, and nothing is stored under {key}. None is a value: JSON "
            "writes it `null`.",
        )
        trial.equal(_stored(trial, key), value, f"the value stored under {key}")
        _expires(trial, key, seconds)
        for trips in trial.crashes(lambda: None, *call):
            trial.require(
                trial.client.ttl(key) != -1,
                f"Your program was stopped after {trips} of its round trips, and {key} is there "
                "without a time to live: a crash between SET and EXPIRE leaves a key that never "
                "expires.",
            )
        trips = trial.log.round_trips
        trial.require(
            trips == 2,
            "A miss takes two round trips, a GET and one SET that carries the time to live; yours "
            f"made {trips}: {', '.join(trial.log.names)}.",
        )
        trial.require(
            trial.log.names[-1] != "EXPIRE",
            "EXPIRE went with SET in one trip, but in no transaction: the server may carry out "
            "the first and not the second. Let SET carry the time to live, with `ex=seconds`.",
        )


@cached_json.check("answers from Redis in one trip, without loading", points=2)
def _hits(trial: Trial) -> None:
    values: list[Any] = [_value(trial), None, 0, "", [], False]
    for value in values:
        key = f"news:article:{trial.word()}"
        trial.client.set(key, json.dumps(value), ex=60)
        load = _Work("load", answers=lambda: "from the database")
        got = trial.call(trial.client, key, 600, trial.named("load", load.function))
        trial.require(
            not load.calls,
            f"{key} holds {json.dumps(value)!r}, and your function loaded all the same. "
            + (
                "Look into Redis first."
                if value
                else "None, 0 and empty values are values: only for a missing key GET answers None."
            ),
        )
        trial.equal(got, value, advice="Turn the text back into a value with `json.loads`.")
        trial.one_trip("A hit is one GET.")
        left = trial.client.ttl(key)
        trial.require(
            0 < left <= 60,
            f"{key} had 60 seconds to live, and after a hit {left} (-1 is never): a hit changes "
            "nothing. Else what is read often would never be loaded anew.",
        )


@cached_json.check("takes what it cannot read for a miss", points=1)
def _garbage(trial: Trial) -> None:
    key, value = f"news:article:{trial.word()}", _value(trial)
    garbage = '{"id": 1, "ti'
    trial.client.set(key, garbage, ex=60)
    load = _Work("load", answers=lambda: value)
    with trial.explain(
        ValueError,
        "The text under the key was cut off. A cache that cannot be read must not bring the page "
        "down: catch ValueError and load.",
    ):
        got = trial.call(trial.client, key, 600, trial.named("load", load.function))
    trial.equal(
        got,
        value,
        advice=f"The text under the key was {garbage!r}, cut off. Load, as on a miss.",
    )
    trial.equal(len(load.calls), 1, "how often `load` ran")
    trial.require(
        _text(trial, key) != garbage,
        f"{garbage!r} still stands under {key}: store what was loaded, or every call loads anew.",
    )
    trial.equal(_stored(trial, key), value, f"the value stored under {key}")
    _expires(trial, key, 600)


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
    key, value, seconds = f"news:{trial.word()}", trial.word(), trial.rng.randrange(2000, 9999)
    trial.call(trial.client, key, value, seconds)
    trial.equal(trial.client.get(key), value, f"the value of {key}")
    _expires(trial, key, seconds)


@write_and_tell.check("tells the key on news:changes, in the same transaction", points=2)
def _tells(trial: Trial) -> None:
    key, value = f"news:{trial.word()}", trial.word()
    witness = trial.another_client()
    with witness.pubsub() as line:
        line.psubscribe("*")
        trial.call(trial.client, key, value, 60)
        told = _told(witness, line)
        trial.require(bool(told), "Nobody was told: there was no message on any channel.")
        if (told_to := ("news:changes", key)) not in told:
            trial.equal(
                told[0],
                told_to,
                "the channel and the message",
                advice="The message is the key, not the value: who hears it drops its copy."
                if told[0][1] != key
                else "",
            )
        trial.equal(trial.client.get(key), value, f"the value of {key}, which was told")
        _expires(trial, key, 60)
        for trips in trial.crashes(lambda: _told(witness, line), trial.client, key, value, 60):
            was_told, is_stored = bool(_told(witness, line)), trial.client.exists(key) == 1
            stopped = f"Your program was stopped after {trips} of its round trips: "
            trial.require(
                was_told or not is_stored,
                f"{stopped}the value is stored, and nobody hears of the change. Put both commands "
                "into one transaction.",
            )
            trial.require(
                is_stored or not was_told,
                f"{stopped}the change was told and not made. Put both commands into one "
                "transaction.",
            )
            trial.require(
                trial.client.ttl(key) != -1, f"{stopped}{key} is stored and never expires."
            )
    trial.require(
        any(name == "MULTI" or name.startswith(("EVAL", "FCALL")) for name in trial.log.names),
        "One trip, but no transaction: with `transaction=False` another client may come in between "
        "the commands, or the first fail and the second still be sent.",
    )


def _told(witness: redis.Redis, line: PubSub) -> list[tuple[str, str]]:
    """Each message so far with its channel: all that came before one of our own.

    What the server itself tells of its keys (fakeredis always does) is left out.
    """
    witness.publish("end", "")
    told = []
    while (message := line.get_message(timeout=5)) is not None and message["channel"] != "end":
        if message["type"] == "pmessage" and not message["channel"].startswith("__key"):
            told.append((message["channel"], message["data"]))
    return told


# -- 5 keys -------------------------------------------------------------------------------------

call_key = outline.exercise(
    "call_key",
    "A key for a call",
    hints=(
        "`str` loses what you need: `str('1') == str(1)`. Which of Python's functions writes 1 and "
        "'1' differently, and puts quotes around a text so that you can see where it ends?",
        "`repr((args, sorted(kwargs.items())))` keeps types and borders. Python's own `hash` "
        "differs from process to process; those in `hashlib` do not.",
        "Begin with `f'{namespace}:v{version}:{function.__module__}.{function.__qualname__}:'`. "
        "Add the repr; if the whole is longer than 200 characters, add instead of it "
        "`hashlib.sha256(text.encode()).hexdigest()`.",
    ),
)


def _article(*_: Any, **__: Any) -> None:
    """A function to make keys for."""


_article.__module__, _article.__name__, _article.__qualname__ = "site", "article", "Desk.article"


def _key(trial: Trial, args: tuple[Any, ...], kwargs: dict[str, Any], **others: Any) -> str:
    asked = {"namespace": "news", "version": 1, **others}
    got = trial.call(
        asked["namespace"], asked["version"], trial.named("article", _article), args, kwargs
    )
    trial.require(type(got) is str, f"Your function returned {_short(got)}; expected a text.")
    return str(got)


@call_key.check("begins with namespace, version and function, for people to read", points=1)
def _readable(trial: Trial) -> None:
    namespace, version = trial.word(), trial.rng.randrange(2, 90)
    got = _key(trial, (1,), {}, namespace=namespace, version=version)
    start = f"{namespace}:v{version}:site.Desk.article:"
    trial.require(
        got.startswith(start),
        f"The key is {got!r}; expected it to begin with {start!r}, where `site` is the function's "
        "`__module__` and `Desk.article` its `__qualname__`.",
    )


@call_key.check("is the same for equal calls, in every process", points=1)
def _same(trial: Trial) -> None:
    word, number = trial.word(), trial.rng.randrange(1000)
    for text in (word, trial.word(500)):
        call = ((text, text), {"a": 1, "b": number})
        copy = ((text, "".join(list(text))), {"a": 1, "b": number})
        shown = _call("article", *call)
        one, two = _key(trial, *call), _key(trial, *call)
        trial.require(
            one == two,
            f"{shown} has the key {one!r}, and then {two!r}: neither time nor chance "
            "belongs in it.",
        )
        two = _key(trial, *copy)
        trial.require(
            one == two,
            f"{shown} has the key {one!r}, and with another text that is equal {two!r}: a key must "
            "not depend on which object it is, as `id` and `pickle` do.",
        )
        with _another_process(trial):
            two = _key(trial, *call)
        trial.require(
            one == two,
            f"{shown} has the key {one!r}, and in another process {two!r}: Python's `hash` of a "
            "text differs from process to process. `hashlib` does not.",
        )
    trial.equal(
        _key(trial, (word,), {"b": number, "a": 1}),
        _key(trial, (word,), {"a": 1, "b": number}),
        f"the keys of article({word!r}, b={number}, a=1) and article({word!r}, a=1, b={number})",
        advice="Sort the keyword arguments.",
    )


def _another_process(trial: Trial) -> AbstractContextManager[object]:
    """Give the answer the `hash` of another process, which has another salt."""
    salt = trial.word()

    def salted(value: object) -> int:
        return hash(value) if isinstance(value, int | float) else hash((salt, value))

    names = getattr(trial._answer, "__globals__", {})
    return mock.patch.dict(names, {"hash": salted})


@call_key.check("differs for different calls", points=2)
def _different(trial: Trial) -> None:
    a, c = sorted(trial.words(2))
    b, d = trial.words(2)
    long = trial.word(300)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}),
        (("1",), {}),
        ((1.0,), {}),
        ((True,), {}),
        ((None,), {}),
        (("None",), {}),
        (("",), {}),
        ((1, 2), {}),
        ((12,), {}),
        ((f"{a} {b}", c), {}),
        ((a, f"{b} {c}"), {}),
        *(((f"{a}{sep}{b}",), {}) for sep in _BORDERS),
        ((a, b), {}),
        ((b, a), {}),
        ((a, a), {}),
        ((a,), {}),
        ((), {}),
        ((), {a: b}),
        ((f"{a}={b}",), {}),
        ((a,), {a: b}),
        ((), {a: f"{b}, {c}={b}"}),
        ((), {a: b, c: b}),
        ((), {c: b}),
        *(((), {a: value}) for value in (1, "1", 1.0, True, None)),
        ((long, 1), {}),
        ((long, 2), {}),
        ((long,), {"a": 1}),
    ]
    # Whatever the answer writes between two arguments may also stand in a text.
    between = _between(_key(trial, (a, b), {}), a, b)
    calls.append(((f"{a}{between}{b}",), {}))
    between = _between(_key(trial, (), {a: b, c: d}), b, d)
    calls += [((), {a: f"{b}{between}{d}"}), ((), {a: b, c: d})]
    calls = [call for place, call in enumerate(calls) if not _among(call, calls[:place])]
    keys = [_key(trial, *call) for call in calls]
    for (one, first), (two, second) in itertools.combinations(zip(calls, keys, strict=True), 2):
        if first == second:
            trial.fail(
                f"{_call('article', *one)} and {_call('article', *two)} have the same key, "
                f"{_short(first)}: one caller gets the other's value. "
                + (
                    "What is cut off no longer tells calls apart: put a digest of the whole in the "
                    "place of what is too long."
                    if len(first) >= 200 - len("...")
                    else "Types and the borders between arguments belong in the key."
                )
            )
    other = _key(trial, (1,), {}, version=2)
    trial.require(other != keys[0], "Versions 1 and 2 have the same key.")


_BORDERS = ("", ",", ", ", ":", "|", "/", "-", "_", ";", "&", "', '", '", "', "','", '","')


def _between(key: str, one: str, two: str) -> str:
    """What stands in the key between two texts; nothing where they cannot be seen."""
    return key.partition(one)[2].partition(two)[0] if one in key and two in key else " "


def _among(call: tuple[Any, ...], calls: list[Any]) -> bool:
    """Whether the call is there already: `1`, `1.0` and `True` are equal, and are three."""
    return repr(call) in map(repr, calls)


@call_key.check("is never longer than 200 characters", points=1)
def _not_long(trial: Trial) -> None:
    for length in (*range(100, 201, 10), 5000):
        got = _key(trial, (trial.word(length),), {"text": trial.word()})
        trial.require(
            len(got) <= 200,
            f"A call with a text of {length:,} characters has a key of {len(got):,}. When the "
            "whole key is too long, put a digest from `hashlib` in the place of the arguments.",
        )
    got = _key(trial, (), {"text": trial.word(5000)})
    trial.require(
        len(got) <= 200,
        f"A call with a long text as a keyword has a key of {len(got):,} characters: a digest has "
        "to stand for the keywords too.",
    )


# -- 6 the fence --------------------------------------------------------------------------------

fill_if_current = outline.exercise(
    "fill_if_current",
    "Store nothing that was invalidated meanwhile",
    hints=(
        "The comparison and the SET have to happen as one. Between a GET and a SET that you send "
        "one after the other, somebody can invalidate.",
        "Either WATCH the generation, read it, and put the SET between `pipe.multi()` and "
        "`pipe.execute()`, which raises `redis.WatchError` if it changed; or send a Lua script "
        "that compares and stores.",
        "With a pipeline: `pipe.watch(generation)`; `if pipe.get(generation) != seen: return "
        "False`; `pipe.multi()`; `pipe.set(key, value, ex=600)`; `pipe.execute()`; `return True`; "
        "and on `redis.WatchError` return False.",
    ),
)


_NO_NONE = "`seen` is None where nobody has counted yet, and Redis has no None: send '' instead."


@fill_if_current.check(
    "stores the value for 600 seconds while the generation is the same", points=1
)
def _fills(trial: Trial) -> None:
    key, value, generation = f"news:{trial.word()}", trial.word(), f"news:gen:{trial.word()}"
    for seen in (str(trial.rng.randrange(1, 99)), None):
        trial.reset()
        call = (trial.client, key, value, generation, seen)
        prepare = functools.partial(_count, trial, generation, seen)
        prepare()
        with trial.explain(redis.DataError, _NO_NONE):
            got = trial.call(*call)
        trial.require(
            trial.client.get(key) == value,
            f"The generation is still {seen!r}, and {_held(trial, key)}. "
            + (
                "A generation that was never counted reads as None."
                if seen is None
                else "`seen` is a text, as `r.get` answers it."
            ),
        )
        _expires(trial, key, 600)
        trial.equal(got, True)
        for trips in trial.crashes(prepare, *call):
            trial.require(
                trial.client.ttl(key) != -1,
                f"Your program was stopped after {trips} of its round trips, and {key} is stored "
                "and never expires: pass `ex=600` to SET.",
            )


def _count(trial: Trial, generation: str, count: str | None) -> None:
    if count is not None:
        trial.client.set(generation, count)


def _held(trial: Trial, key: str) -> str:
    found = trial.client.get(key)
    return f"nothing is stored under {key}" if found is None else f"{key} holds {found!r}"


@fill_if_current.check("stores nothing when the generation has moved on", points=1)
def _refuses(trial: Trial) -> None:
    key, value, generation = f"news:{trial.word()}", trial.word(), f"news:gen:{trial.word()}"
    for seen, now in (("4", "5"), (None, "1"), ("4", None)):
        trial.reset()
        _count(trial, generation, now)
        with trial.explain(redis.DataError, _NO_NONE):
            got = trial.call(trial.client, key, value, generation, seen)
        trial.require(
            trial.client.get(key) is None,
            f"The generation was {seen!r} before the load and is {now!r} now: what was loaded is "
            "old, and your function stored it.",
        )
        trial.equal(got, False)
        newer = trial.word()
        trial.client.set(key, newer, ex=600)
        with trial.explain(redis.DataError, _NO_NONE):
            trial.call(trial.client, key, value, generation, seen)
        trial.require(
            trial.client.get(key) == newer,
            f"The generation has moved on and somebody stored the newer {newer!r}; after your "
            f"function {_held(trial, key)}. Compare first, and then store.",
        )


@fill_if_current.check("nobody can invalidate between the comparison and the SET", points=2)
def _fenced(trial: Trial) -> None:
    key, value, generation = f"news:{trial.word()}", trial.word(), f"news:gen:{trial.word()}"
    rival = trial.another_client()
    stored_before = False

    def invalidate() -> None:
        nonlocal stored_before
        with rival.pipeline() as pipe:
            pipe.exists(key).incr(generation).delete(key)
            stored_before = pipe.execute()[0] == 1

    args = (trial.client, key, value, generation, "7")
    with trial.explain(
        redis.WatchError, "Somebody invalidated meanwhile: that is the case to answer False in."
    ):
        for got in trial.race(lambda: rival.set(generation, "7"), invalidate, *args):
            advice = (
                "WATCH the generation, and before you read it."
                if "WATCH" in trial.log.names
                else "Compare and store in one script, or WATCH the generation before you read it."
            )
            trial.require(
                rival.get(key) is None,
                "Between your look at the generation and your SET somebody invalidated the key, "
                f"and the old value stands there now: `{key}` holds {rival.get(key)!r} although "
                f"the generation is 8. {advice}",
            )
            if not stored_before:  # what was stored before the invalidation was current then
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
                "local": "nobody else needs them, they are few, and nothing changes: memory is "
                "all.",
                "redis": "a round trip for what one process computes once and keeps for a year.",
                "hybrid": "there is no second process whose changes would have to be heard.",
                "none": "computing the same tables at every call helps nobody.",
            },
        ),
        "q2": Question(
            "twelve web workers show articles; an edit has to be seen within a few seconds",
            "hybrid",
            {
                "local": "eleven of the workers would not hear of the edit.",
                "redis": "right in what it shows, but every page pays round trips that memory "
                "saves.",
                "hybrid": "memory answers, Redis shares the load, and messages drop what was "
                "edited.",
                "none": "then every page reads the database, which is where the story began.",
            },
        ),
        "q3": Question(
            "a session must survive a restart of the worker that made it",
            "redis",
            {
                "local": "what a process remembers ends with it.",
                "redis": "it outlives the process, and every worker finds it.",
                "hybrid": "sessions change at almost every request: each copy would be dropped "
                "at once.",
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
            "`f(1)` was called, and now comes `f(True)`: which part of the first call's entry may "
            "be used",
            "nothing",
            {
                "nothing": "the function may tell them apart, so the cache has to.",
                "the key": "then the first caller decides what the second one gets.",
                "the value": "they may be equal by chance; the cache cannot know.",
                "the time it has left": "each value has its own time, from when it was made.",
            },
        ),
    },
    hints=(
        "Ask three questions: who else needs the value, how often is it asked for again, and who "
        "has to hear when it changes?",
        "Memory is for one process, Redis for several. Both together pay when reads are many and "
        "changes few. A value that nobody asks for again is not worth keeping.",
        "One of each in q1 to q4: local, hybrid, redis, none. In q5 think of `f(True)` "
        "after `f(1)`.",
    ),
)
