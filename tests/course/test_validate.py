"""The gate: every planted fault is found, with its sentence, and the lessons have none."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING

import pytest
from nbformat import v4

from labkit.course import build, catalogue, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from nbformat import NotebookNode

    Fault = Callable[[NotebookNode], object]

LESSON = "00-start-here"
OUTLINE = catalogue.outline(LESSON)


@pytest.fixture
def solution() -> NotebookNode:
    return build.read(catalogue.solution_notebook(LESSON))


@pytest.fixture
def learner() -> NotebookNode:
    return build.read(catalogue.learner_notebook(LESSON))


@pytest.mark.parametrize("lesson", catalogue.names())
def test_the_lessons_are_valid(lesson: str) -> None:
    assert validate.validate([lesson]) == []


def test_an_unknown_lesson_is_refused() -> None:
    with pytest.raises(LookupError, match="no lesson 'nowhere'"):
        validate.validate(["nowhere"])


def _cell(notebook: NotebookNode, name: str) -> NotebookNode:
    found: NotebookNode = next(cell for cell in notebook.cells if cell.id == name)
    return found


def _points_differ(notebook: NotebookNode) -> None:
    _cell(notebook, "check-greet").metadata.nbgrader.points = 4


def _unlocked(notebook: NotebookNode) -> None:
    _cell(notebook, "check-greet").metadata.nbgrader.locked = False


def _no_check(notebook: NotebookNode) -> None:
    notebook.cells.remove(_cell(notebook, "check-greet"))


def _check_elsewhere(notebook: NotebookNode) -> None:
    check = _cell(notebook, "check-greet")
    notebook.cells.remove(check)
    notebook.cells.append(check)


def _two_checks(notebook: NotebookNode) -> None:
    again = copy.deepcopy(_cell(notebook, "check-greet"))
    again.id = "again"
    notebook.cells.append(again)


def _stray_points(notebook: NotebookNode) -> None:
    about = _cell(notebook, "check-greet").metadata.nbgrader
    _cell(notebook, "progress").metadata.nbgrader = {**about, "grade_id": "bonus"}


def _other_exercise(notebook: NotebookNode) -> None:
    _cell(notebook, "check-greet").source = 'lesson.check("wave", wave)'


def _no_markers(notebook: NotebookNode) -> None:
    answer = _cell(notebook, "greet")
    answer.source = answer.source.replace("###", "#")


def _no_set_up(notebook: NotebookNode) -> None:
    del _cell(notebook, "set-up").metadata["nbgrader"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (_points_differ, "check-greet has 4 points, and its checks give 3"),
        (_unlocked, "check-greet is not a locked cell"),
        (_no_check, "1 cells with the grade_id 'greet' and 0 with 'check-greet'"),
        (_check_elsewhere, "check-greet does not stand right after greet"),
        (_two_checks, "Two cells have the grade_id 'check-greet'"),
        (_stray_points, "Cell progress gives points, but is the check of no exercise"),
        (_other_exercise, 'does not run `lesson.check("greet", greet)`'),
        (_no_markers, "greet is no solution cell"),
        (_no_set_up, "no locked set-up cell"),
    ],
)
def test_a_fault_in_the_exercises(solution: NotebookNode, fault: Fault, sentence: str) -> None:
    assert list(validate.exercise_problems(OUTLINE, solution)) == []
    fault(solution)
    _assert_found(sentence, validate.exercise_problems(OUTLINE, solution))


def test_an_answer_that_is_graded_by_hand_has_its_cell(solution: NotebookNode) -> None:
    outline = dataclasses.replace(OUTLINE, by_hand={"essay": 2.0})
    _assert_found(
        "no cell with the grade_id 'essay'", validate.exercise_problems(outline, solution)
    )
    about = {"grade": True, "solution": True, "locked": False, "points": 2.0, "task": False}
    written = v4.new_markdown_cell("One way to put it.")
    written.metadata["nbgrader"] = about | {"grade_id": "essay", "schema_version": 3}
    solution.cells.append(written)
    assert list(validate.exercise_problems(outline, solution)) == []
    written.metadata["nbgrader"]["points"] = 3.0
    _assert_found("no markdown cell for an answer", validate.exercise_problems(outline, solution))


@pytest.mark.parametrize(
    ("markdown", "sentence"),
    [
        ("# Another title", "one heading of level 1, and there are 2"),
        ("## Section\n\n#### Deep", "'Deep' is of level 4 under one of level 2"),
    ],
)
def test_a_fault_in_the_headings(solution: NotebookNode, markdown: str, sentence: str) -> None:
    assert list(validate.text_problems(OUTLINE, solution)) == []
    solution.cells.append(v4.new_markdown_cell(markdown))
    _assert_found(sentence, validate.text_problems(OUTLINE, solution))


def test_a_comment_in_a_code_block_is_no_heading(solution: NotebookNode) -> None:
    solution.cells.append(v4.new_markdown_cell("```python\n# not a title\n```"))
    assert list(validate.text_problems(OUTLINE, solution)) == []


def test_an_exercise_that_no_objective_names(solution: NotebookNode) -> None:
    objectives = _cell(solution, "objectives")
    objectives.source = objectives.source.replace("`greet`", "greet")
    _assert_found("No objective names the exercise `greet`", _text(solution))
    objectives.id = "aims"
    _assert_found("no cell with the id 'objectives'", _text(solution))


def _duplicate_cell(notebook: NotebookNode) -> None:
    notebook.cells[1].id = notebook.cells[0].id


def _no_cell_id(notebook: NotebookNode) -> None:
    del notebook.cells[1]["id"]


def _old_schema(notebook: NotebookNode) -> None:
    _cell(notebook, "greet").metadata.nbgrader.schema_version = 1


def _no_grade_id(notebook: NotebookNode) -> None:
    del _cell(notebook, "greet").metadata.nbgrader["grade_id"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (_duplicate_cell, "Two cells have the id 'title'"),
        (_no_cell_id, "'id' is a required property"),
        (_old_schema, "nbgrader's metadata of cell greet is broken"),
        (_no_grade_id, "nbgrader's metadata of cell greet is broken"),
    ],
)
def test_a_fault_in_the_format(solution: NotebookNode, fault: Fault, sentence: str) -> None:
    assert list(validate.format_problems(solution)) == []
    fault(solution)
    _assert_found(sentence, validate.format_problems(solution))


SECRET = "text = 'nobody else says this'"


def _leak_in_text(notebook: NotebookNode) -> None:
    notebook.cells[0].source += f"\n\nTry `{SECRET}`."


def _leak_in_metadata(notebook: NotebookNode) -> None:
    notebook.cells[0].metadata["answer"] = {"lines": [SECRET]}


def _leak_in_output(notebook: NotebookNode) -> None:
    output = v4.new_output("stream", text=SECRET)
    _cell(notebook, "finish").outputs = [output]


@pytest.mark.parametrize("leak", [_leak_in_text, _leak_in_metadata, _leak_in_output])
def test_a_leak(solution: NotebookNode, learner: NotebookNode, leak: Fault) -> None:
    answer = _cell(solution, "greet")
    answer.source = answer.source.replace("    return text", f"    {SECRET}\n    return text")
    assert list(validate.leak_problems(solution, learner)) == []
    leak(learner)
    _assert_found(SECRET, validate.leak_problems(solution, learner))


def test_a_marker_that_is_left(solution: NotebookNode, learner: NotebookNode) -> None:
    _cell(learner, "greet").source += "\n### BEGIN HIDDEN TESTS"
    _assert_found("the marker '### BEGIN '", validate.leak_problems(solution, learner))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("greet = None\nlesson.check('greet', greet)", "earns 0 of 3 points in check-greet"),
        ("None", "earns something that is no plain number of 3 points"),
        ("raise ValueError('broken')", "ValueError: broken"),
    ],
)
def test_a_solution_that_does_not_earn_its_points(
    solution: NotebookNode, tmp_path: Path, source: str, sentence: str
) -> None:
    _cell(solution, "check-greet").source = source
    file = tmp_path / LESSON / f"{LESSON}.ipynb"
    build.write(solution, file)
    found = validate.lesson_problems(OUTLINE, file, catalogue.learner_notebook(LESSON))
    _assert_found(sentence, found)
    _assert_found("The learner's version is not what the solution makes", found)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("3.0", "check-greet earns 3, not 0.0"),
        ("False", "check-greet earns something that is no plain number, not 0.0"),
        ("raise ValueError('broken')", "cell check-greet raises ValueError: broken"),
        ("%no_such_magic", "cell check-greet writes to stderr: UsageError"),
    ],
)
def test_a_learners_version_that_earns_points_unsolved(
    learner: NotebookNode, tmp_path: Path, source: str, sentence: str
) -> None:
    _cell(learner, "check-greet").source = source
    file = tmp_path / LESSON / f"{LESSON}.ipynb"
    build.write(learner, file)
    _assert_found(sentence, validate.learner_run_problems(file))


def test_a_lesson_that_was_never_built(tmp_path: Path) -> None:
    source = catalogue.solution_notebook(LESSON)
    found = validate.lesson_problems(OUTLINE, source, tmp_path / f"{LESSON}.ipynb")
    _assert_found("run `make build`", found)


def _text(solution: NotebookNode) -> Iterable[str]:
    return validate.text_problems(OUTLINE, solution)


def _assert_found(sentence: str, problems: Iterable[str]) -> None:
    found = list(problems)
    assert any(sentence in problem for problem in found), found
