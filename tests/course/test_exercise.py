"""Exercises: what becomes of an answer, whatever it does."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import pytest

from labkit.course.exercise import Exercise, Outcome, Outline, Question, Trial, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from labkit.course.bench import Bench


def judge(
    bench: Bench, answer: object, *checks: Callable[[Trial], None], seed: int | None = None
) -> Verdict:
    """Judge an answer by these checks, of 1, 2, 3 ... points in turn."""
    exercise = Exercise("answer", "An exercise of a test", ("a", "b", "c"))
    for points, check in enumerate(checks, start=1):
        exercise.check(f"check {points}", points=points)(check)
    return exercise.judge(answer, bench, seed=seed)


def is_one(trial: Trial) -> None:
    trial.equal(trial.call(trial.client), 1)


def outcome(bench: Bench, answer: object, check: Callable[[Trial], None] = is_one) -> Outcome:
    return judge(bench, answer, check).results[0].outcome


def message(bench: Bench, answer: object, check: Callable[[Trial], None] = is_one) -> str:
    return judge(bench, answer, check).results[0].message


# -- outcomes and points


def test_a_right_answer_passes(bench: Bench) -> None:
    verdict = judge(bench, lambda _: 1, is_one)
    assert verdict.results[0].outcome is Outcome.PASSED
    assert (verdict.points, verdict.attempted, verdict.solved) == (1, True, True)


def test_a_wrong_answer_fails_and_is_told_what_was_expected(bench: Bench) -> None:
    verdict = judge(bench, lambda _: 2, is_one)
    assert verdict.results[0].outcome is Outcome.FAILED
    assert verdict.results[0].message == "`answer(r)`: expected 1, got 2."
    assert (verdict.points, verdict.attempted, verdict.solved) == (0, True, False)


def test_an_answer_that_raises_is_told_with_which_arguments(bench: Bench) -> None:
    def answer(_: object, divisor: int, *, by_name: str) -> float:
        return 1 / divisor

    def check(trial: Trial) -> None:
        trial.call(trial.client, 0, by_name="x")

    assert outcome(bench, answer, check) is Outcome.RAISED
    assert message(bench, answer, check) == (
        "`answer(r, 0, by_name='x')` raised ZeroDivisionError: division by zero."
    )


def test_the_stub_is_not_attempted(bench: Bench) -> None:
    def answer(_: object) -> None:
        raise NotImplementedError

    verdict = judge(bench, answer, is_one, is_one)
    assert {result.outcome for result in verdict.results} == {Outcome.NOT_ATTEMPTED}
    assert (verdict.points, verdict.attempted, verdict.solved) == (0, False, False)


def test_what_an_answer_calls_may_raise_not_implemented_error(bench: Bench) -> None:
    def unfinished() -> None:
        raise NotImplementedError

    assert outcome(bench, lambda _: unfinished()) is Outcome.RAISED


def test_points_are_partial_and_a_plain_float(bench: Bench) -> None:
    def is_two(trial: Trial) -> None:
        trial.equal(trial.call(trial.client), 2)

    for answer, points in [(1, 1.0), (2, 2.0), (3, 0.0)]:
        verdict = judge(bench, lambda _, answer=answer: answer, is_one, is_two)
        assert type(verdict.points) is float
        assert verdict.points == points
    assert verdict.exercise.points == 3


def test_a_remark_stands_beside_a_check_that_passed(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.remark = "well done"

    assert message(bench, lambda: None, check) == "well done"


# -- strict comparison


class Yes:
    def __eq__(self, _: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Small(IntEnum):
    ONE = 1


class Words(list[str]):
    pass


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (True, 1),
        (1.0, 1),
        (1, True),
        (0, False),
        ("1", 1),
        (b"a", "a"),
        (Small.ONE, 1),
        (Yes(), 1),
        (Yes(), None),
        (None, []),
        (("a",), ["a"]),
        (["a", "b"], ["b", "a"]),
        (["a"], ["a", "b"]),
        (Words("a"), ["a"]),
        ([True], [1]),
        ([Yes()], ["a"]),
        ({"a": 1.0}, {"a": 1}),
        ({True: "a"}, {1: "a"}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({True}, {1}),
        (frozenset("a"), {"a"}),
        ([("a", 1)], [("a", 1.0)]),
    ],
)
def test_what_only_looks_equal_fails(got: object, expected: object, bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.equal(trial.call(), expected)

    assert outcome(bench, lambda: got, check) is Outcome.FAILED


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, "a", [1, ["a"]], {"a": [1, (2.0,)]}, {1, "a"}, frozenset("ab")]
)
def test_the_very_same_value_passes(value: object, bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.equal(trial.call(), value)

    assert outcome(bench, lambda: value, check) is Outcome.PASSED


@pytest.mark.parametrize(
    ("got", "ending"),
    [
        (None, "got None, as from a function that ends without `return`."),
        ("1", "got '1' (str instead of int)."),
        (True, "got True (bool instead of int)."),
        ((number for number in [1]), "a generator runs nothing until somebody goes through it."),
    ],
)
def test_the_message_says_how_two_values_differ(got: object, ending: str, bench: Bench) -> None:
    assert message(bench, lambda _: got).endswith(ending)


def test_advice_follows_the_comparison(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.equal(2, 1, "the count", advice="INCR counts.")

    assert message(bench, None, check) == "the count: expected 1, got 2. INCR counts."


def test_a_long_value_is_cut(bench: Bench) -> None:
    assert len(message(bench, lambda _: "x" * 10_000)) < 250


# -- answers that are no plain function


@pytest.mark.parametrize("answer", [None, 5, {"q1": "a"}, "text"])
def test_what_is_no_function_is_named(answer: object, bench: Bench) -> None:
    assert message(bench, answer) == (
        f"answer is {answer!r}, not a function. Begin the answer with `def answer(`."
    )


def test_an_async_function_is_told_so(bench: Bench, recwarn: pytest.WarningsRecorder) -> None:
    async def answer(_: object) -> int:
        return 1

    assert "Your function is async" in message(bench, answer)
    assert not recwarn.list  # nobody complains that it was never awaited


def test_a_pipeline_that_was_never_sent_is_told_so(bench: Bench) -> None:
    assert "`pipe.execute()`" in message(bench, lambda r: r.pipeline().get("a"))


# -- answers that misbehave


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, RecursionError, BaseException])
def test_no_error_gets_past_the_checks(error: type[BaseException], bench: Bench) -> None:
    def answer(_: object) -> None:
        raise error("bye")

    assert message(bench, answer) == f"`answer(r)` raised {error.__name__}: bye."


def test_an_interrupt_stops_the_checks(bench: Bench) -> None:
    def answer(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(bench, answer, is_one)


class Hostile:
    def __eq__(self, _: object) -> bool:
        raise SystemExit

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        raise ValueError

    def __bool__(self) -> bool:
        raise SystemExit


class Nameless(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_a_value_that_raises_when_it_is_looked_at_fails(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.require(trial.call(trial.client) != 2, "two")

    assert outcome(bench, lambda _: Hostile()) is Outcome.FAILED
    assert outcome(bench, lambda _: Hostile(), check) is Outcome.FAILED


def test_an_error_without_a_text_is_named(bench: Bench) -> None:
    def answer(_: object) -> None:
        raise Nameless

    assert message(bench, answer) == "`answer(r)` raised Nameless."


def test_what_a_check_cannot_read_fails(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.call(trial.client)
        trial.equal(trial.client.get("a"), "x")

    assert "WRONGTYPE" in message(bench, lambda r: r.lpush("a", "x"), check)
    assert outcome(bench, lambda r: r.lpush("a", "x"), check) is Outcome.FAILED


def test_an_answer_that_sends_for_ever_is_stopped(bench: Bench) -> None:
    def answer(r: redis.Redis) -> None:
        while True:
            r.ping()

    assert "does its loop ever end?" in message(bench, answer)


@pytest.mark.parametrize(
    "leave",
    [
        lambda r: r.execute_command("SELECT", 3),
        lambda r: r.execute_command("MULTI"),
        lambda r: r.execute_command("WATCH", "a"),
        lambda r: r.close(),
    ],
)
def test_what_an_answer_does_to_its_connection_ends_with_it(
    leave: Callable[[redis.Redis], object], bench: Bench
) -> None:
    def answer(r: redis.Redis) -> int:
        leave(r)
        return 1

    def check(trial: Trial) -> None:
        trial.call(trial.client)
        trial.client.set("a", "x")
        trial.equal(trial.another_client().get("a"), "x")

    assert outcome(bench, answer, check) is Outcome.PASSED


def test_an_answer_is_silent(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    class Loud:
        def __del__(self) -> None:
            print("gone", file=sys.stderr)

        def __repr__(self) -> str:
            print("looked at", file=sys.stderr)
            return "Loud()"

    def answer(_: object) -> Loud:
        print("out")
        print("err", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        logging.getLogger().critical("log")
        thread = threading.Thread(target=lambda: print("thread", file=sys.stderr))
        thread.start()
        thread.join()
        return Loud()

    ear = Ear()
    logging.getLogger().addHandler(ear)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            judge(bench, answer, is_one)
            logging.getLogger().warning("after")
    finally:
        logging.getLogger().removeHandler(ear)
    assert capsys.readouterr() == ("", "")
    assert not warned
    assert [record.getMessage() for record in heard] == ["after"]


# -- inputs and the server


def test_every_check_begins_on_an_empty_server(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.equal(trial.client.dbsize(), 0)
        trial.call(trial.client)
        trial.equal(trial.client.dbsize(), 1)
        trial.reset()
        trial.equal(trial.client.dbsize(), 0)
        trial.call(trial.client)

    assert judge(bench, lambda r: r.set("a", 1), check, check).solved


def test_inputs_are_fresh_and_come_back_with_the_seed(bench: Bench) -> None:
    def drawn(seed: int | None = None) -> list[object]:
        inputs: list[object] = []

        def check(trial: Trial) -> None:
            inputs.extend([trial.word(), *trial.words(3), trial.rng.random()])

        judge(bench, None, check, check, seed=seed)
        return inputs

    assert drawn(seed=7) == drawn(seed=7)
    assert drawn(seed=7) != drawn(seed=8)
    assert drawn() != drawn()
    assert drawn(seed=7)[:5] != drawn(seed=7)[5:]


def test_words_are_different_and_of_the_length_asked_for(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        words = trial.words(20, length=1)
        trial.equal(len(set(words)), 20)
        trial.equal({len(word) for word in words}, {1})

    assert judge(bench, None, check).solved


# -- commands and trips


def three_trips(r: redis.Redis) -> int:
    r.set("a", 1)
    r.set("b", 2)
    r.set("c", 3)
    return 1


def test_the_log_has_what_the_last_call_sent(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        for _ in range(2):
            trial.call(trial.client)
        trial.client.get("a")
        trial.equal(trial.log.names, ["SET", "SET", "SET"])
        trial.require(trial.sent("SET", "b"), "sent")
        trial.require(not trial.sent("SET", "a", "b"), "not in one command")

    assert judge(bench, three_trips, check).solved


def test_one_trip_tells_the_trips_and_the_mistake(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        trial.call(trial.client)
        trial.one_trip("One is enough.")

    assert outcome(bench, lambda r: r.mset({"a": 1, "b": 2}), check) is Outcome.PASSED
    assert message(bench, three_trips, check) == (
        "One is enough. Your answer made 3 round trips: SET, SET, SET."
    )
    assert "sends nothing" in message(bench, lambda _: None, check)


def test_a_known_error_is_explained(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        with trial.explain(KeyError, "Use `get`."):
            trial.call(trial.client)

    def raises(error: Exception) -> Callable[[object], None]:
        def answer(_: object) -> None:
            raise error

        return answer

    assert message(bench, raises(KeyError("a")), check) == (
        "`answer(r)` raised KeyError: 'a'. Use `get`."
    )
    assert message(bench, raises(ValueError("a")), check) == "`answer(r)` raised ValueError: a."
    assert outcome(bench, raises(KeyError("a")), check) is Outcome.RAISED


# -- crashes


def keys_after_crashes(seen: list[tuple[int, list[str]]]) -> Callable[[Trial], None]:
    def check(trial: Trial) -> None:
        witness = trial.another_client()
        crashes = trial.crashes(lambda: witness.set("prepared", 1), trial.client)
        seen.extend((after, sorted(witness.scan_iter())) for after in crashes)

    return check


def test_a_crash_comes_after_each_number_of_trips(bench: Bench) -> None:
    seen: list[tuple[int, list[str]]] = []
    assert outcome(bench, three_trips, keys_after_crashes(seen)) is Outcome.PASSED
    assert seen == [
        (0, ["prepared"]),
        (1, ["a", "prepared"]),
        (2, ["a", "b", "prepared"]),
        (3, ["a", "b", "c", "prepared"]),
    ]


def test_an_answer_that_catches_exceptions_does_not_survive_a_crash(bench: Bench) -> None:
    survived: list[int] = []

    def answer(r: redis.Redis) -> None:
        try:
            r.set("a", 1)
            r.set("b", 1)
        except Exception:
            survived.append(1)
        survived.append(2)

    def check(trial: Trial) -> None:
        trial.crash(1, trial.client)

    assert outcome(bench, answer, check) is Outcome.PASSED
    assert not survived


def test_after_a_crash_nothing_is_sent_or_heard(bench: Bench) -> None:
    def answer(r: redis.Redis) -> None:
        try:
            r.set("a", 1)
            r.set("b", 1)
        except BaseException as error:
            for key in "cd":
                try:
                    r.set(key, 1)
                except BaseException:
                    continue
            raise ValueError from error

    def check(trial: Trial) -> None:
        trial.crash(1, trial.client)
        trial.equal(sorted(trial.client.scan_iter()), ["a"])

    assert outcome(bench, answer, check) is Outcome.PASSED


def test_an_answer_that_raises_before_the_crash_is_told(bench: Bench) -> None:
    def answer(_: object) -> None:
        raise ValueError("early")

    assert outcome(bench, answer, lambda trial: trial.crash(1, trial.client)) is Outcome.RAISED


def test_an_answer_that_tries_again_for_ever_is_told(bench: Bench) -> None:
    def answer(r: redis.Redis) -> None:
        while True:
            try:
                r.set("a", 1)
                return
            except:  # noqa: E722
                continue

    assert "tries again for ever" in message(
        bench, answer, lambda trial: trial.crash(0, trial.client)
    )


# -- races


def test_a_rival_acts_in_every_gap(bench: Bench) -> None:
    seen: list[list[str]] = []

    def answer(r: redis.Redis) -> list[str]:
        gets = [r.get("rival") or "-" for _ in range(3)]
        return [str(got) for got in gets]

    def check(trial: Trial) -> None:
        witness = trial.another_client()
        seen.extend(
            trial.race(
                lambda: witness.set("rival", "before"),
                lambda: witness.set("rival", "after"),
                trial.client,
            )
        )

    assert outcome(bench, answer, check) is Outcome.PASSED
    assert seen == [["before", "after", "after"], ["before", "before", "after"]]


def test_an_answer_of_one_trip_has_no_gap(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        rivals: list[Any] = list(trial.race(lambda: None, lambda: None, trial.client))
        trial.equal(rivals, [])

    assert outcome(bench, lambda r: r.get("a"), check) is Outcome.PASSED


@pytest.mark.parametrize("way", ["race", "crashes"])
def test_an_answer_that_sends_nothing_passes_neither_races_nor_crashes(
    way: str, bench: Bench
) -> None:
    def check(trial: Trial) -> None:
        if way == "race":
            list(trial.race(lambda: None, lambda: None, trial.client))
        else:
            list(trial.crashes(lambda: None, trial.client))

    assert "sends nothing to Redis through `r`" in message(bench, lambda _: 1, check)


def test_the_rival_does_not_appear_in_the_log(bench: Bench) -> None:
    def check(trial: Trial) -> None:
        rival = trial.another_client()
        for _ in trial.race(lambda: None, lambda: rival.get("rival"), trial.client):
            trial.equal(trial.log.names, ["SET", "SET", "SET"])

    assert judge(bench, three_trips, check).solved


# -- outlines and quizzes


@pytest.fixture
def outline() -> Outline:
    return Outline("99-a-test", title="A test", prefix="test:")


@pytest.fixture
def quiz(outline: Outline) -> Exercise:
    reasons = {"b": "B is right.", "a": "A is wrong."}
    questions = {"q1": Question("first", "b", reasons), "q2": Question("second", "a", reasons)}
    return outline.quiz("ask", "A quiz", questions, hints=("1", "2", "3"))


def test_an_outline_adds_up_its_exercises(outline: Outline, quiz: Exercise) -> None:
    other = outline.exercise("other", "Another", hints=("1", "2", "3"))
    other.check("holds", points=3)(lambda _: None)
    assert outline.points == 5
    assert list(outline.exercises) == ["ask", "other"]


def test_an_outline_refuses_a_name_twice_and_other_than_three_hints(outline: Outline) -> None:
    outline.exercise("one", "One", hints=("1", "2", "3"))
    with pytest.raises(ValueError, match="Choose another name"):
        outline.exercise("one", "One", hints=("1", "2", "3"))
    with pytest.raises(ValueError, match="give it three"):
        outline.exercise("two", "Two", hints=("1", "2"))


def test_a_quiz_gives_a_point_and_a_reason_for_each_answer(quiz: Exercise, bench: Bench) -> None:
    verdict = quiz.judge(lambda: {"q1": " B ", "q2": "b"}, bench)
    assert verdict.points == 1
    assert [result.message for result in verdict.results] == ["B is right.", "Not b: B is right."]
    assert [result.statement for result in verdict.results] == ["q1: first", "q2: second"]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (None, "Return a dictionary such as {'q1': '...'}, not None."),
        (["b"], "Return a dictionary such as {'q1': '...'}, not ['b']."),
        ({}, "The dictionary has no text under 'q1'; choose one of the options."),
        ({"q1": 1}, "The dictionary has no text under 'q1'; choose one of the options."),
        ({"q1": "c"}, "q1 is 'c'; the options are a, b."),
    ],
)
def test_a_quiz_says_what_it_cannot_read(
    answers: object, told: str, quiz: Exercise, bench: Bench
) -> None:
    assert quiz.judge(lambda: answers, bench).results[0].message == told
