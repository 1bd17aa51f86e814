"""What lesson 08 checks of the layer that measures another one."""

from __future__ import annotations

import functools
import itertools
import sys
import threading
from typing import TYPE_CHECKING, Any

from labkit.cache import Unavailable
from labkit.clock import FakeClock
from labkit.course.exercise import AnswerRaised, Trial
from labkit.course.lessons.lesson_07_write_strategies import Cancelled
from labkit.course.lessons.lesson_08_smart_cache_api import outline
from labkit.course.lessons.smart_layers import _LONG, _Caller, _Made

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

measured = outline.exercise(
    "Measured",
    "Measure any layer",
    hints=(
        "What a get does is fixed: read the clock, call the backend, read the clock, count. Only "
        "counting changes anything that threads share, so only counting needs the lock.",
        "`collections.deque(maxlen=1000)` forgets the oldest by itself, and costs the same however "
        "many it holds. Keep the moment of the start in a variable of the call: on `self` the next "
        "thread would overwrite it.",
        "A method `_count(what, *seconds)`: `with self._lock:` `self._counts[what] += 1` and "
        "`self._seconds.extend(seconds)`. `get` calls it after the backend has answered, in "
        '`except Unavailable:` with "errors" before it raises again. `report` copies both under '
        "the lock, sorts the copy, and takes `seconds[math.ceil(len(seconds) * 99 / 100) - 1]`.",
    ),
)

_KEPT = 1000
_THREADS = 8


class _Timed:
    """A backend whose calls take time by a clock.

    Attributes:
        clock: The clock that its calls move on.
        answers: What the next gets return, or raise; None after that.
        takes: How many seconds each of them takes; 0 after that.
        calls: The calls it got, with their arguments.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.answers: list[Any] = []
        self.takes: list[float] = []
        self.calls: list[tuple[Any, ...]] = []

    def get(self, key: str) -> Any:
        return self._answer("get", key)

    def set(self, key: str, text: str, ttl: float | None) -> Any:
        return self._answer("set", key, text, ttl)

    def delete(self, key: str) -> Any:
        return self._answer("delete", key)

    def _answer(self, *call: Any) -> Any:
        self.calls.append(call)
        self.clock.advance(self.takes.pop(0) if self.takes else 0)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _around(trial: Trial) -> tuple[_Made, _Timed]:
    """The learner's object, and the backend that it measures."""
    clock = trial.named("clock", FakeClock(trial.rng.randrange(100_000)))
    backend = trial.named("backend", _Timed(clock))
    return _Made(trial, backend, clock), backend


def _seconds(trial: Trial) -> float:
    """A time that adds up exactly."""
    return trial.rng.randrange(1, 40_000) / 1024


def _expect(trial: Trial, made: _Made, done: str, advice: str = "", **figures: Any) -> None:
    """Demand these figures of a report, after what was done."""
    report = made.report()
    if not isinstance(report, dict):
        trial.fail(f"`report()` returned {report!r:.60}; expected a dictionary.")
    for name, expected in figures.items():
        trial.require(name in report, f"`report()` has no {name!r}; it has {sorted(report)}.")
        trial.equal(report[name], expected, f"{done}: {name!r} in the report", advice=advice)


@measured.check("passes everything on, and counts hits, misses and errors", points=0.5)
def _counts(trial: Trial) -> None:
    made, backend = _around(trial)
    nothing: dict[str, Any] = {"hits": 0, "misses": 0, "errors": 0}
    _expect(
        trial,
        made,
        "Before the first call",
        "Without a get there is nothing to divide, and None is the answer.",
        **nothing,
        hit_ratio=None,
        p50=None,
        p99=None,
    )
    key, ttl = trial.word(), trial.rng.choice((None, 1.5, 60))
    calls: list[tuple[Any, ...]] = [("get", key), ("set", key, "text", ttl), ("delete", key)]
    for call in calls:
        backend.calls.clear()
        made._use(*call)
        trial.equal(
            backend.calls,
            [call],
            f"what the backend was called with after `{call[0]}{call[1:]}`",
            advice="Pass each call on as it is, once.",
        )
    _expect(trial, made, "One get of nothing, one set, one delete", hits=0, misses=1, hit_ratio=0.0)
    made, backend = _around(trial)
    away = Unavailable("no answer")
    answers: list[Any] = ["text", "", None, away] * 2 + ["text"]
    trial.rng.shuffle(answers)
    for answer in answers:
        backend.answers = [answer]
        if answer is away:
            _lets_out(trial, made, away, "get", key)
        else:
            trial.equal(made.get(key), answer, f"`get({key!r})`, of a backend that has {answer!r}")
    _expect(
        trial,
        made,
        "5 gets found a text, 2 of them an empty one, 2 found None, and 2 raised Unavailable",
        "The ratio is that of hits to hits and misses; an empty text is a hit.",
        hits=5,
        misses=2,
        errors=2,
        hit_ratio=5 / 7,
    )
    for call in calls[1:]:
        backend.answers = [away]
        _lets_out(trial, made, away, *call)
    _expect(trial, made, "2 gets, a set and a delete raised Unavailable", hits=5, errors=4)
    bugs = (RuntimeError("a bug"), Cancelled("the page was closed"))
    for error, call in itertools.product(bugs, calls):
        backend.answers = [error]
        _lets_out(trial, made, error, *call)
    _expect(
        trial,
        made,
        "The same, and after that other exceptions than Unavailable",
        "Other exceptions are bugs and count nowhere.",
        hits=5,
        misses=2,
        errors=4,
    )


def _lets_out(trial: Trial, made: _Made, error: BaseException, *call: Any) -> None:
    """Demand that what the backend raises comes out of a call."""
    try:
        got = made._use(*call)
    except AnswerRaised as raised:
        if raised.__cause__ is not error:
            raise
    else:
        trial.fail(
            f"The backend raised {type(error).__name__} in `{call[0]}`, and yours returned "
            f"{got!r:.60}. Count it and raise it again: whoever calls has to know."
        )


def _rank(seconds: list[float], percent: int) -> float:
    """The nearest rank."""
    return sorted(seconds)[-(-len(seconds) * percent // 100) - 1]


@measured.check(f"the 50th and 99th percentile of the last {_KEPT:,} gets", points=0.5)
def _percentiles(trial: Trial) -> None:
    for count in (1, 2, 3, trial.rng.randrange(4, 90), 100, 101, 200):
        made, backend = _around(trial)
        seconds = [_seconds(trial) for _ in range(count)]
        _take(trial, made, backend, seconds)
        _expect_ranks(trial, made, f"{count} get{'s' * (count > 1)}", seconds)
    made, backend = _around(trial)
    backend.answers, backend.takes = ["text", None, Unavailable("no answer")], [0.25, 0.5, 8.0]
    made.get("a")
    made.get("b")
    _lets_out(trial, made, backend.answers[0], "get", "c")
    _expect(
        trial,
        made,
        "A hit took 0.25 s, a miss 0.5 s, and a get that raised Unavailable 8 s",
        "All three had somebody waiting.",
        p50=0.5,
        p99=8.0,
    )
    backend.takes = [64.0, 32.0]
    made.set("a", "text", None)
    made.delete("a")
    _expect(
        trial,
        made,
        "The same, and then a set that took 64 s and a delete that took 32 s",
        "The seconds are those of `get` alone.",
        p50=0.5,
        p99=8.0,
    )
    bug = RuntimeError("a bug")
    backend.answers, backend.takes = [bug], [128.0]
    _lets_out(trial, made, bug, "get", "a")
    _expect(
        trial,
        made,
        "The same, and then a get that took 128 s and raised RuntimeError",
        "Other exceptions than Unavailable are bugs and count nowhere.",
        p50=0.5,
        p99=8.0,
    )
    made, backend = _around(trial)
    slow = [1000 + _seconds(trial) for _ in range(trial.rng.randrange(200, 600))]
    seconds = [_seconds(trial) for _ in range(_KEPT)]
    _take(trial, made, backend, slow + seconds)
    trial.require(
        made.report().get("p99") < 1000,
        f"{len(slow)} gets took more than 1,000 s each, and {_KEPT:,} after them at most 40 s. "
        f"{made.report()}: 'p99' is that of the last {_KEPT:,} alone. Memory has to end somewhere.",
    )
    _expect_ranks(trial, made, f"{len(slow)} slow gets and {_KEPT:,} quick ones", seconds)
    more = [_seconds(trial) + 50 for _ in range(trial.rng.randrange(100, 400))]
    _take(trial, made, backend, more)
    left = (seconds + more)[-_KEPT:]
    _expect(
        trial,
        made,
        f"{_KEPT:,} gets, a report, and {len(more)} more gets",
        "Sort a copy: the oldest time goes when the next one comes, and not the shortest.",
        p50=_rank(left, 50),
        p99=_rank(left, 99),
    )


def _take(trial: Trial, made: _Made, backend: _Timed, seconds: list[float]) -> None:
    """Make gets that take so long."""
    for took in seconds:
        backend.takes = [took]
        backend.answers = [trial.rng.choice((None, "text"))]
        made.get("key")


def _expect_ranks(trial: Trial, made: _Made, done: str, seconds: list[float]) -> None:
    for percent in (50, 99):
        _expect(
            trial,
            made,
            done,
            f"Of {len(seconds)} sorted values it is number {-(-len(seconds) * percent // 100)}, "
            "counted from 1.",
            **{f"p{percent}": _rank(seconds, percent)},
        )


class _Moment(float):
    """Seconds that count how often they are compared."""

    compared = 0

    def __sub__(self, other: float) -> _Moment:
        return type(self)(float(self) - float(other))

    def __lt__(self, other: float) -> bool:
        type(self).compared += 1
        return float(self) < float(other)

    def __gt__(self, other: float) -> bool:
        type(self).compared += 1
        return float(self) > float(other)


# One comparison, as for a maximum, is no sorting; to find a place among a thousand takes ten.
_FEW_COMPARISONS = 4


@measured.check("costs a get nothing: no sorting, and the clock read around the call", points=0.5)
def _is_cheap(trial: Trial) -> None:
    own = FakeClock()
    reads = 0

    class Moment(_Moment):
        pass

    def clock() -> float:
        nonlocal reads
        reads += 1
        return Moment(own())

    backend = trial.named("backend", _Timed(own))
    made = _Made(trial, backend, trial.named("clock", clock))
    _take(trial, made, backend, [_seconds(trial) for _ in range(_KEPT)])
    for answer in ("text", None):
        reads, Moment.compared = 0, 0
        backend.takes, backend.answers = [_seconds(trial)], [answer]
        made.get("key")
        trial.require(
            Moment.compared <= _FEW_COMPARISONS,
            f"After {_KEPT:,} gets one more get compared {Moment.compared} times. Keep the times "
            "as they come, and let `report` sort them: gets are many and reports few.",
        )
        trial.equal(
            reads, 2, "how often a get reads the clock", advice="Right before and right after."
        )
    made.report()


class _OwnTime:
    """A clock and a backend in one, that has a time of its own for each thread.

    Attributes:
        within: Runs in each call.
    """

    def __init__(self) -> None:
        self._own = threading.local()
        self.within: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return float(getattr(self._own, "now", 0.0))

    def get(self, key: str) -> str | None:
        """Takes as long as the key says, and answers what it says."""
        what, seconds = key.split()
        self.within()
        self._own.now = self.clock() + float(seconds)
        if what == "error":
            raise Unavailable("no answer")
        return "text" if what == "hit" else None


def _measure(made: _Made, key: str) -> None:
    """A get, whatever becomes of it."""
    try:
        made.get(key)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, Unavailable):
            raise


@measured.check("exact with several threads, which do not wait for each other", points=0.5)
def _exact(trial: Trial) -> None:
    _at_the_same_time(trial)
    _one_within_the_other(trial)
    for what in _FIGURES:
        _interrupted_anywhere(functools.partial(_interrupted, trial, what))
    _interrupted_anywhere(functools.partial(_reported, trial))


_WAITS = (
    "Whoever came second had to wait until the backend had answered the first. Hold the lock while "
    "you count, and not while the backend is at work."
)


def _with_own_time(trial: Trial) -> tuple[_Made, _OwnTime]:
    backend = trial.named("backend", _OwnTime())
    return _Made(trial, backend, trial.named("clock", backend.clock)), backend


def _at_the_same_time(trial: Trial) -> None:
    """Let several threads be at the backend at once."""
    made, backend = _with_own_time(trial)
    meeting = threading.Barrier(_THREADS)

    backend.within = functools.partial(meeting.wait, _LONG)
    kinds = ["hit", "miss", "error", "hit", "hit", "miss", "hit", "hit"]
    callers = [
        _Caller(trial, functools.partial(_measure, made, f"{kind} {2.0**n}"))
        for n, kind in enumerate(kinds)
    ]
    try:
        for caller in callers:
            caller.answer(_WAITS)
    except AnswerRaised as raised:
        if isinstance(raised.__cause__, threading.BrokenBarrierError):
            trial.fail(f"{_THREADS} threads were to be at the backend at once. {_WAITS}")
        raise
    _expect(
        trial,
        made,
        f"{_THREADS} threads at once, 5 with a hit, 2 with a miss, 1 with an error",
        "Keep what belongs to one call in its own variables.",
        hits=5,
        misses=2,
        errors=1,
        p50=8.0,
        p99=128.0,
    )


def _one_within_the_other(trial: Trial) -> None:
    """Let one get begin and end while the backend is at work on another."""
    clock = FakeClock(trial.rng.randrange(1000))
    backend = trial.named("backend", _Timed(clock))
    made = _Made(trial, backend, trial.named("clock", clock))

    class Slow(_Timed):
        """Has another caller come and go in the middle of the first call."""

        def get(self, key: str) -> Any:
            if key == "outer":
                self.clock.advance(5)
                try:
                    _Caller(trial, lambda: made.get("inner")).answer(_WAITS)
                except Exception as complaint:
                    made.complaint = complaint  # type: ignore[assignment]
            self.clock.advance(2)
            return None

    backend.__class__ = Slow
    made.get("outer")
    _expect(
        trial,
        made,
        "A get began 5 s after another one, took 2 s, and was over when that one went on, which "
        "took 9 s in all",
        "Keep the moment at which a get began in a variable of its own, not on `self`.",
        misses=2,
        p50=2.0,
        p99=9.0,
    )


_FIGURES = {"hit": "hits", "miss": "misses", "error": "errors"}

# Seconds for which the first waits until the second is done: less where it waited a step before.
_PATIENCE, _SHORT_PATIENCE = 0.1, 0.003


def _interrupted_anywhere(interrupted: Callable[[int, float], bool | None]) -> None:
    """Stop a call between two steps of Python, and let a get run.

    Where the get waits for the call, as for a lock, the call goes on after a while. To read, add
    and store takes three steps and more, so that every second gap is enough.
    """
    waited: bool | None = False
    for at in itertools.count(1, 2):
        waited = interrupted(at, _SHORT_PATIENCE if waited else _PATIENCE)
        if waited is None:
            return


def _interrupted(trial: Trial, what: str, at: int, patience: float) -> bool | None:
    """Let a get run at this step of another; whether it waited, or None: there is no such step."""
    made, _ = _with_own_time(trial)
    second: list[_Caller] = []
    waited: list[bool] = []

    def interrupt() -> None:
        second.append(_Caller(trial, functools.partial(_measure, made, f"{what} 3")))
        waited.append(not second[0].wait(patience))

    one = functools.partial(_measure, made, f"{what} 1")
    first = _Caller(trial, functools.partial(_stopped, at, interrupt, one))
    first.answer("A get that was stopped for another one never returned.")
    if not second:
        return None
    second[0].answer("A get that came while another one was counting never returned.")
    _expect(
        trial,
        made,
        f"Two threads had a {what} each, one of them stopped for a moment in the middle of it",
        "A count that is read, added to and stored can lose what another thread counted in "
        "between: take a lock around it.",
        **{_FIGURES[what]: 2, "p50": 1.0, "p99": 3.0},
    )
    return waited[0]


def _reported(trial: Trial, at: int, patience: float) -> bool | None:
    """Let a get run at this step of a report; whether it waited, or None: there is no such step."""
    made, _ = _with_own_time(trial)
    for seconds in (1, 2):
        made.get(f"hit {seconds}")
    second: list[_Caller] = []
    waited: list[bool] = []

    def interrupt() -> None:
        second.append(_Caller(trial, functools.partial(_measure, made, "hit 3")))
        waited.append(not second[0].wait(patience))

    with trial.explain(
        RuntimeError,
        "Another thread had a get while this one made a report: copy the times under the lock.",
    ):
        _Caller(trial, functools.partial(_stopped, at, interrupt, made.report)).answer(
            "A report that was stopped for a get never returned."
        )
    if not second:
        return None
    second[0].answer("A get that came while a report was made never returned.")
    return waited[0]


def _stopped(at: int, act: Callable[[], object], call: Callable[[], object]) -> None:
    """Run a call in this thread, and something else at one of its steps."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        if frame.f_code.co_filename in _OURS:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            steps += 1
            if steps == at:
                act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)


_OURS = {__file__, sys.modules[_Made.__module__].__file__, sys.modules[Trial.__module__].__file__}
