"""Right answers earn full points, wrong ones do not and are told why, the stub earns none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkit.course import catalogue
from labkit.course.exercise import Exercise, Outcome
from tests.cases import Case, cases
from tests.scale import SEED, times

if TYPE_CHECKING:
    from labkit.course.bench import Bench

EXERCISES = [
    pytest.param(lesson, exercise, id=f"{lesson}-{exercise.name}")
    for lesson in catalogue.names()
    for exercise in catalogue.outline(lesson).exercises.values()
]
CASES = [
    pytest.param(exercise, case, id=f"{lesson}-{exercise.name}-{case.name}")
    for lesson in catalogue.names()
    for exercise in catalogue.outline(lesson).exercises.values()
    for case in cases(lesson, exercise.name)
]
SEEDS = range(SEED, SEED + times(3))


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES)
def test_every_exercise_has_cases_enough(lesson: str, exercise: Exercise) -> None:
    kept = cases(lesson, exercise.name)
    assert sum(case.is_right for case in kept) >= 2
    assert sum(not case.is_right for case in kept) >= 5


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES)
def test_the_stub_earns_nothing(lesson: str, exercise: Exercise, bench: Bench) -> None:
    def stub(*_: object) -> None:
        raise NotImplementedError

    verdict = exercise.judge(stub, bench)
    assert verdict.points == 0
    assert not verdict.attempted
    assert {result.outcome for result in verdict.results} == {Outcome.NOT_ATTEMPTED}


@pytest.mark.soak
@pytest.mark.parametrize(("exercise", "case"), CASES)
def test_case(exercise: Exercise, case: Case, bench: Bench) -> None:
    for seed in SEEDS[:1] if case.waits else SEEDS:
        verdict = exercise.judge(case.answer, bench, seed=seed)
        messages = [result.message for result in verdict.results if result.points == 0]
        if case.says is None:
            assert verdict.points == exercise.points, (seed, messages)
        else:
            assert verdict.points < exercise.points, seed
            assert any(case.says in message for message in messages), (seed, messages)


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES)
def test_an_answer_that_equals_everything_earns_nothing(
    lesson: str, exercise: Exercise, bench: Bench
) -> None:
    class Yes:
        def __eq__(self, _: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    assert exercise.judge(lambda *_: Yes(), bench).points == 0
