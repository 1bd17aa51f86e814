"""Exercises and their checks: what a right answer does, and what to say to a wrong one.

A lesson's module in `labkit/course/lessons/` makes one `Outline`, adds exercises to it, and to
each exercise its checks. A check is a function that tries the learner's answer out on a server
of its own and says what is wrong with it:

    outline = Outline("01-data-structures", title="...", prefix="arcade:")
    greet = outline.exercise("greet", "Store a greeting", hints=("...", "...", "..."))

    @greet.check("stores the text under the key", points=1)
    def _(trial: Trial) -> None:
        key, text = trial.word(), trial.word()
        trial.call(trial.client, key, text)
        trial.equal(trial.client.get(key), text, f"the value of {key}")

Inputs are drawn afresh at every run, so an answer cannot be typed in.
"""

from __future__ import annotations

import contextlib
import io
import random
import secrets
import string
import warnings
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import redis

    from labkit.course.bench import Bench

    CheckFunction = Callable[["Trial"], None]

_SHOWN_CHARACTERS = 120


class Outcome(Enum):
    """What came of one check."""

    PASSED = "passed"
    FAILED = "failed"
    RAISED = "raised"
    NOT_ATTEMPTED = "not attempted"


@dataclass(frozen=True, slots=True)
class Result:
    """One check's outcome, with what to tell the learner."""

    statement: str
    outcome: Outcome
    points: float
    out_of: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks of one exercise say about one answer."""

    exercise: Exercise
    results: tuple[Result, ...]

    @property
    def points(self) -> float:
        """The points earned, a plain float: nbgrader reads it as the grade."""
        return float(sum(result.points for result in self.results))

    @property
    def attempted(self) -> bool:
        """Whether there was an answer to judge."""
        return any(result.outcome is not Outcome.NOT_ATTEMPTED for result in self.results)

    @property
    def solved(self) -> bool:
        """Whether every check passed."""
        return all(result.outcome is Outcome.PASSED for result in self.results)


class CheckFailed(Exception):
    """The answer does not do what the check states; the message says how."""


class AnswerRaised(Exception):
    """The answer raised; the message gives the call and the error."""


class NotAttempted(Exception):
    """The answer is the untouched stub."""


class PowerCut(BaseException):
    """Stops an answer between two trips, past every `except Exception` it may have."""


@dataclass(eq=False)
class Exercise:
    """One graded answer: its title, its hints and its checks.

    Attributes:
        name: The name of the function that the learner writes; also nbgrader's cell id.
        title: What the exercise asks, in a line.
        hints: Three texts, each telling more than the one before.
    """

    name: str
    title: str
    hints: tuple[str, ...]
    checks: list[tuple[str, float, CheckFunction]] = field(default_factory=list)

    @property
    def points(self) -> float:
        """What a full answer earns."""
        return float(sum(points for _, points, _ in self.checks))

    def check(self, statement: str, *, points: float) -> Callable[[CheckFunction], CheckFunction]:
        """Add a check.

        Args:
            statement: What holds when the check passes, as the learner reads it.
            points: What passing it earns.
        """

        def add(function: CheckFunction) -> CheckFunction:
            self.checks.append((statement, float(points), function))
            return function

        return add

    def judge(self, answer: object, bench: Bench, *, seed: int | None = None) -> Verdict:
        """Run every check on an answer.

        Args:
            answer: The learner's function.
            bench: The server to try it on. It is emptied before each check.
            seed: Fixes the inputs that the checks draw; without it they are new each time.
        """
        rng = random.Random(secrets.randbits(64) if seed is None else seed)
        results = []
        for statement, points, check in self.checks:
            with Trial(self, answer, bench, random.Random(rng.random())) as trial:
                results.append(Result(statement, *_outcome(check, trial, points)))
        return Verdict(self, tuple(results))


def _outcome(
    check: CheckFunction, trial: Trial, points: float
) -> tuple[Outcome, float, float, str]:
    try:
        check(trial)
    except NotAttempted:
        return Outcome.NOT_ATTEMPTED, 0.0, points, ""
    except CheckFailed as failure:
        return Outcome.FAILED, 0.0, points, str(failure)
    except AnswerRaised as error:
        return Outcome.RAISED, 0.0, points, str(error)
    return Outcome.PASSED, points, points, trial.remark


class Trial:
    """What a check has at hand: the answer, a client on an empty server, and random inputs.

    Attributes:
        client: A client of the bench's server, which is empty when the check begins.
        rng: The source of this run's inputs.
        log: The commands that the last `call` sent through `client`.
        remark: Shown beside a check that passed, where there is something to add.
    """

    def __init__(self, exercise: Exercise, answer: object, bench: Bench, rng: random.Random):
        self.rng = rng
        self.remark = ""
        self._exercise = exercise
        self._answer = answer
        self._bench = bench
        self._shown_call = f"{exercise.name}()"
        self._clients: list[redis.Redis] = []

    def __enter__(self) -> Trial:
        self._bench.reset()
        self.client = self.another_client()
        self.log = CommandLog(self.client)
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()

    def another_client(self) -> redis.Redis:
        """A second connection to the same server: a rival, or a witness that is not logged."""
        client = self._bench.client()
        self._clients.append(client)
        return client

    def reset(self) -> None:
        """Empty the server in the middle of a check."""
        self._bench.reset()

    # -- trying the answer out

    def call(self, *args: Any, before: Callable[[int], None] | None = None, **kwargs: Any) -> Any:
        """Call the answer, recording its commands in `log`.

        Args:
            *args: The arguments, passed on.
            before: Runs before each of the answer's round trips, with the trip's number.
            **kwargs: Named arguments, passed on.

        Raises:
            NotAttempted: The answer is the stub.
            AnswerRaised: The answer raised something else.
            CheckFailed: The answer is no function.
        """
        if not callable(self._answer):
            self.fail(
                f"{self._exercise.name} is {_shown(self._answer)}, not a function. "
                f"Begin the answer with `def {self._exercise.name}(`."
            )
        self._shown_call = self._show_call(args, kwargs)
        self.log = CommandLog(self.client, before=before)
        with self.log, _silence():
            try:
                return self._answer(*args, **kwargs)
            except NotImplementedError as error:
                raise NotAttempted from error
            except Exception as error:
                raise AnswerRaised(
                    f"`{self._shown_call}` raised {type(error).__name__}: {error}"
                ) from error

    def crash(self, after: int, *args: Any) -> None:
        """Call the answer and cut it off once `after` round trips have been made."""

        def cut(trip: int) -> None:
            if trip > after:
                raise PowerCut

        with contextlib.suppress(PowerCut):
            self.call(*args, before=cut)

    def race(
        self, prepare: Callable[[], object], rival: Callable[[], object], *args: Any
    ) -> Iterator[Any]:
        """Call the answer once for every gap between its round trips, the rival acting in it.

        Before each call the server is emptied and `prepare` fills it. The answer's results are
        yielded one by one, each with the server as that race left it; an answer of one trip has
        no gap and yields none.
        """
        self.reset()
        prepare()
        self.call(*args)
        for gap in range(2, self.log.round_trips + 1):
            self.reset()
            prepare()
            yield self.call(*args, before=_only(gap, rival))

    # -- saying what is wrong

    def fail(self, message: str) -> NoReturn:
        """End the check with a message to the learner."""
        raise CheckFailed(message)

    def require(self, condition: bool, message: str) -> None:
        """End the check with a message unless the condition holds."""
        if not condition:
            self.fail(message)

    def equal(self, got: object, expected: object, what: str = "", *, advice: str = "") -> None:
        """Demand the very same plain value: same types all the way down, then same contents.

        Types come first, so that neither `True` for `1` nor an object that calls itself equal
        to everything passes.

        Args:
            got: What came.
            expected: What should have come.
            what: What is compared, named in the message; the answer's result if left out.
            advice: A sentence added to the message.
        """
        if not _same(got, expected):
            what = what or f"`{self._shown_call}`"
            message = f"{what}: expected {_shown(expected)}, got {_shown(got)}"
            if _same(str(got), str(expected)):
                message += f" ({type(got).__name__} instead of {type(expected).__name__})"
            self.fail(f"{message}. {advice}".rstrip() if advice else f"{message}.")

    def one_trip(self, why: str) -> None:
        """Demand that the last call made a single round trip; `why` is the mistake's sentence."""
        trips = self.log.round_trips
        if trips != 1:
            self.fail(f"{why} Your answer made {trips} round trips: {_shown_names(self.log)}.")

    # -- random inputs

    def word(self, length: int = 8) -> str:
        """A random lower-case word."""
        return "".join(self.rng.choices(string.ascii_lowercase, k=length))

    def words(self, count: int, length: int = 8) -> list[str]:
        """Random words, each different."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self.word(length)] = None
        return list(found)

    def _show_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        shown = ["r" if arg is self.client else _shown(arg) for arg in args]
        shown += [f"{name}={_shown(value)}" for name, value in kwargs.items()]
        return f"{self._exercise.name}({', '.join(shown)})"


@dataclass(frozen=True)
class Question:
    """One question of a quiz.

    Attributes:
        text: The question in a line, as the check's statement.
        answer: The letter of the right option.
        reasons: Why each option is right or wrong, by letter.
    """

    text: str
    answer: str
    reasons: Mapping[str, str]


@dataclass
class Outline:
    """One lesson as the checks see it.

    Attributes:
        name: Its folder, such as `"01-data-structures"`.
        title: Its title.
        prefix: What its keys begin with.
        needs: The commands some of its cells need and fakeredis has not.
        exercises: Its exercises by name, in order.
    """

    name: str
    title: str
    prefix: str
    needs: tuple[str, ...] = ()
    exercises: dict[str, Exercise] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """What the whole lesson is worth."""
        return sum(exercise.points for exercise in self.exercises.values())

    def exercise(self, name: str, title: str, *, hints: Sequence[str]) -> Exercise:
        """Add an exercise.

        Args:
            name: The function that the learner writes.
            title: What it asks, in a line.
            hints: Three texts, each telling more.

        Raises:
            ValueError: The name is taken, or there are not three hints.
        """
        if name in self.exercises:
            raise ValueError(f"{self.name} has an exercise {name!r} already. Choose another name.")
        if len(hints) != 3:
            raise ValueError(f"Exercise {name!r} has {len(hints)} hints; give it three.")
        self.exercises[name] = Exercise(name, title, tuple(hints))
        return self.exercises[name]

    def quiz(
        self, name: str, title: str, questions: Mapping[str, Question], *, hints: Sequence[str]
    ) -> Exercise:
        """Add a quiz: the answer is a function that returns a letter for each question.

        Args:
            name: The function that the learner writes.
            title: What the quiz is about.
            questions: The questions by the key that the learner's dictionary uses.
            hints: Three texts, each telling more.
        """
        quiz = self.exercise(name, title, hints=hints)
        for key, question in questions.items():
            quiz.check(f"{key}: {question.text}", points=1)(_asked(key, question))
        return quiz


def _only(trip: int, act: Callable[[], object]) -> Callable[[int], None]:
    def before(number: int) -> None:
        if number == trip:
            act()

    return before


def _asked(key: str, question: Question) -> CheckFunction:
    letters = ", ".join(question.reasons)

    def check(trial: Trial) -> None:
        letter = _letter(trial, trial.call(), key)
        if letter not in question.reasons:
            trial.fail(f"{key} is {_shown(letter)}; the options are {letters}.")
        if letter != question.answer:
            trial.fail(f"Not {letter}: {question.reasons[letter]}")
        trial.remark = question.reasons[letter]

    return check


def _letter(trial: Trial, answers: object, key: str) -> str:
    if type(answers) is not dict:
        trial.fail(f"Return a dictionary such as {{{key!r}: 'a'}}, not {_shown(answers)}.")
    letter = answers.get(key)
    if type(letter) is not str:
        trial.fail(f"The dictionary has no letter for {key!r}.")
    return letter.strip().lower()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what an answer prints or warns away: nbgrader takes stderr in a check for an error."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _same(got: object, expected: object) -> bool:
    if type(got) is not type(expected):
        return False
    if isinstance(expected, dict):
        assert isinstance(got, dict)
        return len(got) == len(expected) and all(
            key in got and _same(got[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        assert isinstance(got, list | tuple)
        return len(got) == len(expected) and all(map(_same, got, expected))
    return got == expected


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[: _SHOWN_CHARACTERS - 20]} ... {text[-15:]}"


def _shown_names(log: CommandLog) -> str:
    names = log.names
    return ", ".join(names[:6]) + (f" ... ({len(names)} commands)" if len(names) > 6 else "")
