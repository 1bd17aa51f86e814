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
import inspect
import io
import logging
import random
import secrets
import string
import warnings
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from redis.client import Pipeline

from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import redis

    from labkit.course.bench import Bench

    CheckFunction = Callable[["Trial"], None]

T = TypeVar("T")

_SHOWN_CHARACTERS = 120
_SHOWN_OF_ERROR = 300

# Far above what any answer needs: an endless loop of commands ends here, with a message.
_MOST_TRIPS = 10_000

_SENDS_NOTHING = "Your function sends nothing to Redis through `r`, the client that it is given."

# An answer that swallows a power cut and tries again this often would do so for ever.
_MOST_CUTS = 100


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


class Runaway(BaseException):
    """Stops an answer that goes on sending without end."""


@dataclass(eq=False)
class Exercise:
    """One graded answer: its title, its hints and its checks.

    Attributes:
        name: The function, or the class, that the learner writes; also nbgrader's cell id.
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
            # Silence all of it: what an answer returns may print when it is compared or dropped.
            with _silence(), Trial(self, answer, bench, random.Random(rng.random())) as trial:
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
    except KeyboardInterrupt:
        raise  # the learner's way out of an answer that never ends
    except BaseException as error:
        # The check came upon something it cannot read, such as a list where a text belongs.
        message = f"What your answer left cannot be checked: {_described(error)}"
        return Outcome.FAILED, 0.0, points, message
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
        self._named: list[tuple[object, str]] = []

    def __enter__(self) -> Trial:
        self._bench.reset()
        self.client = self.named("r", self.another_client())
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

    def named(self, name: str, value: T) -> T:
        """A value that stands under a name of the lesson's where a call is shown."""
        self._named.append((value, name))
        return value

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
            CheckFailed: The answer is no function, is asynchronous, returns a pipeline that was
                never sent, or goes on sending for ever.
        """
        if not callable(self._answer):
            name = self._exercise.name
            is_class = name[:1].isupper()
            kind, begin = ("class", f"class {name}:") if is_class else ("function", f"def {name}(")
            self.fail(
                f"{name} is {_shown(self._answer)}, not a {kind}. Begin the answer with `{begin}`."
            )
        self._shown_call = self._show_call(args, kwargs)
        self.log = CommandLog(self.client, before=_bounded(before))
        try:
            with self.log:
                result = self._answer(*args, **kwargs)
        except (KeyboardInterrupt, PowerCut):
            raise
        except Runaway:
            self.fail(
                f"`{self._shown_call}` was stopped after {_MOST_TRIPS:,} round trips: "
                "does its loop ever end?"
            )
        except BaseException as error:  # SystemExit too: it would end the learner's kernel
            if _is_stub(error):
                raise NotAttempted from error
            raise AnswerRaised(f"`{self._shown_call}` raised {_described(error)}") from error
        finally:
            # An answer's SELECT, MULTI or WATCH shall not outlast it. What it still holds, such as
            # a subscription, nobody else gets.
            self.client.connection_pool.disconnect(inuse_connections=False)
        self._refuse_unfinished(result)
        return result

    def _refuse_unfinished(self, result: object) -> None:
        if inspect.iscoroutine(result):
            result.close()
            self.fail(
                "Your function is async: calling it makes a coroutine and runs nothing. Begin it "
                "with `def`, not `async def`, and leave out `await`."
            )
        if isinstance(result, Pipeline):
            self.fail(
                "Your function returns the pipeline itself. Commands are queued on it until "
                "`pipe.execute()` sends them and answers a list of replies."
            )

    @contextlib.contextmanager
    def explain(self, error: type[BaseException], advice: str) -> Iterator[None]:
        """Add a sentence to the report when the answer raises this error in the block.

        Args:
            error: The error that a common mistake raises here.
            advice: What to say about it.
        """
        try:
            yield
        except AnswerRaised as raised:
            if not isinstance(raised.__cause__, error):
                raise
            raise AnswerRaised(f"{raised} {advice}") from raised.__cause__

    def crash(self, after: int, *args: Any) -> None:
        """Call the answer and cut it off once `after` round trips have been made."""
        cuts = 0

        def cut(trip: int) -> None:
            nonlocal cuts
            if trip > after:
                cuts += 1
                if cuts <= _MOST_CUTS:
                    raise PowerCut

        try:
            self.call(*args, before=cut)
        except PowerCut:
            pass
        except AnswerRaised:
            if not cuts:  # what is raised after the cut, nobody is there to hear
                raise
        self.require(
            cuts <= _MOST_CUTS,
            "Your function catches every error, even being cut off, and tries again for ever. "
            "Name the error you expect, such as `except redis.WatchError:`.",
        )

    def crashes(self, prepare: Callable[[], object], *args: Any) -> Iterator[int]:
        """Call the answer once for every number of its round trips, cut off after so many.

        Before each call the server is emptied and `prepare` fills it. The number is yielded,
        with the server as that crash left it; the last call is not cut off.
        """
        for after in range(self._rehearse(prepare, *args) + 1):
            self.reset()
            prepare()
            self.crash(after, *args)
            yield after

    def race(
        self, prepare: Callable[[], object], rival: Callable[[], object], *args: Any
    ) -> Iterator[Any]:
        """Call the answer once for every gap between its round trips, the rival acting in it.

        Before each call the server is emptied and `prepare` fills it. The answer's results are
        yielded one by one, each with the server as that race left it; an answer of one trip has
        no gap and yields none.
        """
        for gap in range(2, self._rehearse(prepare, *args) + 1):
            self.reset()
            prepare()
            yield self.call(*args, before=_only(gap, rival))

    def _rehearse(self, prepare: Callable[[], object], *args: Any) -> int:
        """Call the answer undisturbed; return how many round trips it made."""
        self.reset()
        prepare()
        self.call(*args)
        self.require(len(self.log) > 0, _SENDS_NOTHING)
        return self.log.round_trips

    def sent(self, *words: str) -> bool:
        """Whether one command of the last `call` has all these words, its name among them."""
        return any({command.name, *command.args} >= set(words) for command in self.log)

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
        if _same(got, expected):
            return
        hint = _difference(got, expected, is_result=not what)
        what = what or f"`{self._shown_call}`"
        message = f"{what}: expected {_shown(expected)}, got {_shown(got)}{hint}."
        self.fail(f"{message} {advice}".rstrip())

    def one_trip(self, why: str) -> None:
        """Demand that the last call made a single round trip; `why` is the mistake's sentence."""
        trips = self.log.round_trips
        self.require(trips > 0, _SENDS_NOTHING)
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
        shown = [self._show(arg) for arg in args]
        shown += [f"{name}={self._show(value)}" for name, value in kwargs.items()]
        return f"{self._exercise.name}({', '.join(shown)})"

    def _show(self, value: object) -> str:
        return next((name for known, name in self._named if known is value), _shown(value))


@dataclass(frozen=True)
class Question:
    """One question of a quiz.

    Attributes:
        text: The question in a line, as the check's statement.
        answer: The right option, in lower case.
        reasons: Why each option is right or wrong, by option.
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
        by_hand: Points that an instructor gives for a written answer, by the name of its cell.
        exercises: Its exercises by name, in order.
    """

    name: str
    title: str
    prefix: str
    needs: tuple[str, ...] = ()
    by_hand: dict[str, float] = field(default_factory=dict)
    exercises: dict[str, Exercise] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """What its checks give."""
        return sum(exercise.points for exercise in self.exercises.values())

    @property
    def total(self) -> float:
        """What the whole lesson is worth, with what is graded by hand."""
        return self.points + sum(self.by_hand.values())

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
        self,
        name: str,
        title: str,
        questions: Mapping[str, Question],
        *,
        hints: Sequence[str],
        points: float = 1,
    ) -> Exercise:
        """Add a quiz: the answer is a function that returns an option for each question.

        Args:
            name: The function that the learner writes.
            title: What the quiz is about.
            questions: The questions by the key that the learner's dictionary uses.
            hints: Three texts, each telling more.
            points: What each question earns.
        """
        quiz = self.exercise(name, title, hints=hints)
        for key, question in questions.items():
            quiz.check(f"{key}: {question.text}", points=points)(_asked(key, question))
        return quiz


def _bounded(before: Callable[[int], None] | None) -> Callable[[int], None]:
    def bounded(number: int) -> None:
        if number > _MOST_TRIPS:
            raise Runaway
        if before is not None:
            before(number)

    return bounded


def _is_stub(error: BaseException) -> bool:
    """Whether the answer itself raised NotImplementedError, and not something that it called."""
    here = error.__traceback__
    inside = here.tb_next if here else None
    return isinstance(error, NotImplementedError) and (inside is None or inside.tb_next is None)


def _only(trip: int, act: Callable[[], object]) -> Callable[[int], None]:
    def before(number: int) -> None:
        if number == trip:
            act()

    return before


def _asked(key: str, question: Question) -> CheckFunction:
    # In order of the alphabet: the order of writing may give the right one away.
    options = ", ".join(sorted(question.reasons))

    def check(trial: Trial) -> None:
        chosen = _chosen(trial, trial.call(), key)
        if chosen not in question.reasons:
            trial.fail(f"{key} is {_shown(chosen)}; the options are {options}.")
        if chosen != question.answer:
            trial.fail(f"Not {chosen}: {question.reasons[chosen]}")
        trial.remark = question.reasons[chosen]

    return check


def _chosen(trial: Trial, answers: object, key: str) -> str:
    if type(answers) is not dict:
        trial.fail(f"Return a dictionary such as {{{key!r}: '...'}}, not {_shown(answers)}.")
    chosen = answers.get(key)
    if type(chosen) is not str:
        trial.fail(f"The dictionary has no text under {key!r}; choose one of the options.")
    return chosen.strip().lower()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what an answer prints or warns away: nbgrader takes stderr in a check for an error."""
    disabled = logging.root.manager.disable
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        # A handler that the learner set up earlier holds the real stderr.
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def _same(got: object, expected: object) -> bool:
    if type(got) is not type(expected):
        return False
    if isinstance(expected, dict):
        assert isinstance(got, dict)
        return _same(set(got), set(expected)) and all(
            _same(got[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        assert isinstance(got, list | tuple)
        return len(got) == len(expected) and all(map(_same, got, expected))
    if isinstance(expected, set | frozenset):
        assert isinstance(got, set | frozenset)
        return {(type(value), value) for value in got} == {
            (type(value), value) for value in expected
        }
    return got == expected


def _difference(got: object, expected: object, *, is_result: bool) -> str:
    """What to add where two values alone do not show what is wrong."""
    if got is None and is_result:
        return ", as from a function that ends without `return`"
    if inspect.isgenerator(got):
        return ": a generator runs nothing until somebody goes through it"
    if got is None or expected is None or type(got) is type(expected):
        return ""
    return f" ({type(got).__name__} instead of {type(expected).__name__})"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return cut(text, _SHOWN_CHARACTERS)


def _described(error: BaseException) -> str:
    """An error's type and message in a sentence."""
    try:
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:
        text = type(error).__name__
    return cut(text, _SHOWN_OF_ERROR).rstrip(".") + "."


def cut(text: str, most: int) -> str:
    """A text for a message: of one that is too long, the beginning and the end."""
    return text if len(text) <= most else f"{text[: most - 20]} ... {text[-15:]}"


def _shown_names(log: CommandLog) -> str:
    names = log.names
    return ", ".join(names[:6]) + (f" ... ({len(names)} commands)" if len(names) > 6 else "")
