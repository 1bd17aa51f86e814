"""Whether lessons keep their promises, told without nbgrader's own command, which never fails."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.course import build, catalogue
from labkit.course.errors import CourseError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from nbformat import NotebookNode

    from labkit.course.exercise import Exercise, Outline

_MARKER = re.compile(r"### (BEGIN|END) ")
_SOLUTION = re.compile(
    r"^[ \t]*### BEGIN SOLUTION[ \t]*\n(.*?)^[ \t]*### END SOLUTION", re.MULTILINE | re.DOTALL
)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.+)$", re.MULTILINE)


def validate(lessons: Iterable[str] = ()) -> list[str]:
    """Look for what is wrong with lessons. Every notebook is executed once.

    Args:
        lessons: Which ones; all when empty.

    Returns:
        The problems, each in words; empty when all is well.

    Raises:
        LookupError: There is no such lesson.
    """
    return [
        f"{lesson}: {problem}"
        for lesson in build.chosen(lessons)
        for problem in lesson_problems(
            catalogue.outline(lesson),
            catalogue.solution_notebook(lesson),
            catalogue.learner_notebook(lesson),
        )
    ]


def lesson_problems(outline: Outline, source: Path, learner: Path) -> list[str]:
    """Look for what is wrong with one lesson.

    Args:
        outline: Its exercises.
        source: Its solution.
        learner: Its learner's version.
    """
    missing = [file for file in (source, learner) if not file.exists()]
    if missing:
        return [f"{file.parent} has no {file.name}; run `make build`." for file in missing]
    # Both are run while the rest is looked at: a kernel spends much of its time waiting.
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(_collect, solution_run_problems, source),
            pool.submit(_collect, learner_run_problems, learner),
        ]
        solution = build.read(source)
        return [
            *format_problems(json.loads(source.read_text("utf-8"))),
            *exercise_problems(outline, solution),
            *text_problems(outline, solution),
            *leak_problems(solution, build.read(learner)),
            *_collect(release_problems, source, learner),
            *(problem for run in runs for problem in run.result()),
        ]


def format_problems(stored: dict[str, Any]) -> Iterator[str]:
    """What breaks the format of notebooks, or nbgrader's, in a file as it is stored."""
    from nbformat import from_dict
    from nbformat.validator import iter_validate
    from nbgrader.nbgraderformat import MetadataValidator

    for error in iter_validate(stored):
        place = "/".join(map(str, error.absolute_path))
        yield f"The notebook's format is broken at {place or 'its top'}: {error.message}."
    for name in _repeated(cell.get("id") for cell in stored["cells"]):
        yield f"Two cells have the id {name!r}; give one of them another."
    for cell in from_dict(stored).cells:
        try:
            MetadataValidator().validate_cell(cell)
        except Exception as error:  # jsonschema's and nbgrader's own have no parent in common
            yield f"nbgrader's metadata of cell {cell.get('id')} is broken: {error}."


def exercise_problems(outline: Outline, solution: NotebookNode) -> Iterator[str]:
    """Where the graded cells and the lesson's exercises differ."""
    names = [_about(cell).get("grade_id") for cell in solution.cells]
    for name in _repeated(filter(None, names)):
        yield f"Two cells have the grade_id {name!r}; each must have its own."
    known = {f"check-{name}" for name in outline.exercises}.union(outline.by_hand)
    for cell in solution.cells:
        if _about(cell).get("grade") and _about(cell)["grade_id"] not in known:
            yield f"Cell {cell.id} gives points, but is the check of no exercise."
    if "set-up" not in names:
        yield "There is no locked set-up cell with the grade_id 'set-up'."
    for exercise in outline.exercises.values():
        yield from _pair_problems(exercise, solution.cells, names)
    for name, points in outline.by_hand.items():
        yield from _written_problems(name, points, solution.cells)


def text_problems(outline: Outline, solution: NotebookNode) -> Iterator[str]:
    """What is wrong with the headings and the objectives."""
    headings = [
        (len(marks), title)
        for cell in solution.cells
        if cell.cell_type == "markdown"
        for marks, title in _HEADING.findall(_FENCED.sub("", cell.source))
    ]
    titles = [title for level, title in headings if level == 1]
    if len(titles) != 1:
        yield f"There must be one heading of level 1, and there are {len(titles)}: {titles}."
    for (above, _), (level, title) in pairwise(headings):
        if level > above + 1:
            yield f"The heading {title!r} is of level {level} under one of level {above}."
    objectives = "\n".join(cell.source for cell in solution.cells if cell.id == "objectives")
    if not objectives:
        yield "There is no cell with the id 'objectives'."
    for name in outline.exercises:
        if objectives and f"`{name}`" not in objectives:
            yield f"No objective names the exercise `{name}`."


def leak_problems(solution: NotebookNode, learner: NotebookNode) -> Iterator[str]:
    """What of the solutions stands anywhere in the learner's version."""
    public = "\n".join(_SOLUTION.sub("", cell.source) for cell in solution.cells)
    shown = "\n".join(_texts(learner))
    if marker := _MARKER.search(shown):
        yield f"The learner's version still has the marker {marker.group()!r}."
    for cell in solution.cells:
        for line in _secret_lines(cell):
            if line in shown and line not in public:
                yield f"The learner's version shows the solution's line `{line}` (cell {cell.id})."


def release_problems(source: Path, learner: Path) -> Iterator[str]:
    """Whether the learner's version is what the generator makes of the solution now."""
    lesson = source.stem
    with tempfile.TemporaryDirectory(prefix="labkit-validate-") as folder:
        build.release([lesson], source.parents[1], Path(folder, "notebooks"))
        fresh = Path(folder, "notebooks", lesson, learner.name)
        if fresh.read_bytes() != learner.read_bytes():
            yield "The learner's version is not what the solution makes; run `make build`."


def solution_run_problems(source: Path) -> Iterator[str]:
    """Whether the solution runs and earns full points, as nbgrader reads them."""
    for cell, points in _graded(build.executed(source)):
        if points != cell.metadata.nbgrader.points:
            yield (
                f"The solution earns {_shown(points)} of {cell.metadata.nbgrader.points:g} points "
                f"in {_about(cell)['grade_id']}."
            )


def learner_run_problems(learner: Path) -> Iterator[str]:
    """Whether the untouched learner's version runs to its end and earns nothing."""
    notebook = build.run(learner, allow_errors=True)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error" and output.ename != "NotImplementedError":
                yield f"Unsolved, cell {cell.id} raises {output.ename}: {output.evalue}"
            if output.get("name") == "stderr":
                yield f"Unsolved, cell {cell.id} writes to stderr: {output.text.strip()}"
    for cell, points in _graded(notebook):
        if points != 0:
            yield f"Unsolved, {_about(cell)['grade_id']} earns {_shown(points)}, not 0.0."


def _pair_problems(
    exercise: Exercise, cells: list[NotebookNode], names: list[str | None]
) -> Iterator[str]:
    name, check_name = exercise.name, f"check-{exercise.name}"
    counts = names.count(name), names.count(check_name)
    if counts != (1, 1):
        yield (
            f"Exercise {name} has {counts[0]} cells with the grade_id {name!r} and {counts[1]} "
            f"with {check_name!r}; it must have one of each."
        )
        return
    place = names.index(name)
    if names.index(check_name) != place + 1:
        yield f"The cell {check_name} does not stand right after {name}."
    answer, check = cells[place], cells[names.index(check_name)]
    if not _about(answer).get("solution") or not _SOLUTION.search(answer.source):
        yield f"The cell {name} is no solution cell with a BEGIN and an END SOLUTION marker."
    if not _about(check).get("grade") or not _about(check).get("locked"):
        yield f"The cell {check_name} is not a locked cell that gives points."
    if _about(check).get("points") != exercise.points:
        yield (
            f"The cell {check_name} has {_about(check).get('points')} points, and its checks give "
            f"{exercise.points:g}."
        )
    if f'lesson.check("{name}", {name})' not in check.source:
        yield f'The cell {check_name} does not run `lesson.check("{name}", {name})`.'


def _written_problems(name: str, points: float, cells: list[NotebookNode]) -> Iterator[str]:
    """What is wrong with the cell of an answer that is graded by hand."""
    about = {"grade": True, "solution": True, "locked": False, "points": points}
    found = [cell for cell in cells if _about(cell).get("grade_id") == name]
    for cell in found:
        if cell.cell_type != "markdown" or not about.items() <= _about(cell).items():
            yield f"The cell {name} is no markdown cell for an answer that gives {points:g} points."
    if not found:
        yield f"There is no cell with the grade_id {name!r}, which is to be graded by hand."


def _graded(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, float | None]]:
    """The check cells with the points they give; `None` where nbgrader would misread them."""
    from nbgrader.utils import determine_grade

    from labkit.course.autograding import checks_of, points_given

    for cell in checks_of(notebook):
        points = points_given(cell)
        yield cell, points if points == determine_grade(cell)[0] else None


def _shown(points: float | None) -> str:
    return "something that is no plain number" if points is None else f"{points:g}"


def _secret_lines(cell: NotebookNode) -> Iterator[str]:
    for region in _SOLUTION.findall(cell.source):
        yield from filter(None, map(str.strip, region.splitlines()))


def _about(cell: NotebookNode) -> dict[str, Any]:
    about: dict[str, Any] = cell.metadata.get("nbgrader", {})
    return about


def _texts(value: object) -> Iterator[str]:
    """Every text inside a notebook: sources, metadata and outputs."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _repeated(values: Iterable[Hashable]) -> list[Hashable]:
    return [value for value, count in Counter(values).items() if count > 1]


def _collect(look: Callable[..., Iterator[str]], *files: Path) -> list[str]:
    """Run a search; that a notebook cannot be run or released is a problem like any other."""
    try:
        return list(look(*files))
    except CourseError as error:
        return [str(error)]
