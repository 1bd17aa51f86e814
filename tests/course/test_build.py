"""The build: from solutions/ to notebooks/, all or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from labkit.course import build, catalogue

if TYPE_CHECKING:
    from pathlib import Path

LESSON = "00-start-here"
OTHER = "01-data-structures"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one small lesson, in place of this one."""
    source = catalogue.solution_notebook(LESSON).read_bytes()
    for name in ("SOLUTIONS", "NOTEBOOKS", "WORKED"):
        monkeypatch.setattr(catalogue, name, tmp_path / name.lower())
    copy = catalogue.solution_notebook(LESSON)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(source)
    return tmp_path


def test_a_build_makes_all_three(project: Path) -> None:
    build.build([LESSON])
    assert sorted(_files(project)) == [
        f"notebooks/{LESSON}/{LESSON}.ipynb",
        f"solutions/{LESSON}/{LESSON}.ipynb",
        f"worked/{LESSON}.json",
    ]
    assert json.loads((project / "worked" / f"{LESSON}.json").read_text("utf-8")).keys() == {
        "greet"
    }


def test_a_second_build_makes_the_same_learners_version(project: Path) -> None:
    build.build([LESSON])
    first = catalogue.learner_notebook(LESSON).read_bytes()
    build.build([LESSON], execute=False)
    assert catalogue.learner_notebook(LESSON).read_bytes() == first


@pytest.mark.parametrize(
    ("breaking", "reason"),
    [
        pytest.param("raise ValueError('broken')", "ValueError: broken", id="raises"),
        pytest.param("%no_such_magic", "UsageError", id="bad magic"),
        pytest.param("import sys; sys.stderr.write('!')", "writes to stderr", id="stderr"),
        pytest.param("import os; os._exit(1)", "does not run to its end", id="kernel dies"),
        pytest.param("greet = None", "the solution earns 0.0 of 3 points", id="earns too little"),
    ],
)
def test_a_failed_build_changes_nothing(project: Path, breaking: str, reason: str) -> None:
    build.build([LESSON], execute=False)
    _break(LESSON, breaking)
    before = _files(project)
    with pytest.raises(build.BuildFailed, match=reason):
        build.build([LESSON])
    assert _files(project) == before


def test_one_broken_lesson_leaves_the_others_as_they_were(project: Path) -> None:
    broken = catalogue.solution_notebook(OTHER)
    broken.parent.mkdir()
    broken.write_bytes(catalogue.solution_notebook(LESSON).read_bytes())
    _break(OTHER, "raise ValueError('broken')")
    before = _files(project)
    with pytest.raises(build.BuildFailed):
        build.build([LESSON, OTHER])
    assert _files(project) == before


def test_a_solution_that_cannot_be_released_fails_the_build(project: Path) -> None:
    notebook = build.read(catalogue.solution_notebook(LESSON))
    answer = next(cell for cell in notebook.cells if cell.id == "greet")
    answer.source = answer.source.replace("### END SOLUTION", "")
    build.write(notebook, catalogue.solution_notebook(LESSON))
    before = _files(project)
    with pytest.raises(build.BuildFailed, match="does not release"):
        build.build([LESSON], execute=False)
    assert _files(project) == before


def test_an_unknown_lesson_is_refused() -> None:
    with pytest.raises(LookupError, match="no lesson 'nowhere'"):
        build.build(["nowhere"])


def test_notebooks_are_what_the_generator_makes_of_the_solutions(tmp_path: Path) -> None:
    build.release(catalogue.names(), catalogue.SOLUTIONS, tmp_path)
    fresh = _files(tmp_path)
    # Nothing but notebooks: what stands beside a solution is the instructor's.
    assert sorted(fresh) == [f"{lesson}/{lesson}.ipynb" for lesson in catalogue.names()]
    for lesson in catalogue.names():
        stored = catalogue.learner_notebook(lesson).read_bytes()
        assert fresh[f"{lesson}/{lesson}.ipynb"] == stored, f"{lesson}: run `make build`"


@pytest.mark.parametrize("lesson", catalogue.names())
def test_worked_solutions_are_those_of_the_notebook(lesson: str) -> None:
    answers = build.worked_solutions(build.read(catalogue.solution_notebook(lesson)))
    assert catalogue.worked_solutions(lesson) == answers
    assert answers.keys() == catalogue.outline(lesson).exercises.keys()
    assert not any("###" in answer for answer in answers.values())


def _break(lesson: str, source: str) -> None:
    """Put a line in front of the lesson's first check."""
    file = catalogue.solution_notebook(lesson)
    notebook = build.read(file)
    check = next(cell for cell in notebook.cells if cell.id == "check-greet")
    check.source = f"{source}\n{check.source}"
    build.write(notebook, file)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }
