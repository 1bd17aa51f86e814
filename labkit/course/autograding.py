"""nbgrader as this course uses it: its settings, and two steps that guard the grades.

Left to itself nbgrader stops at a copied cell, gives full points to a check that ends in anything
but a number, and none to one that passed with a warning on stderr. `MendSubmission` runs before
a submission is executed and `ReadPoints` after it; nbgrader_config.py switches both on for
nbgrader's own commands too.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import v4
from nbgrader.api import Gradebook
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    Execute,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from nbgrader.utils import is_grade, is_solution

from labkit.course.environment import CELL_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbformat import NotebookNode
    from traitlets.config import Config

COURSE_ID = "redis-caching-workbook"
NO_POINTS = "CheckGaveNoPoints"

_PLAIN_NUMBER = re.compile(r"\d+(\.\d+)?")


def configure(config: Config) -> None:
    """Put the course's settings into a configuration of nbgrader."""
    config.CourseDirectory.course_id = COURSE_ID
    config.CourseDirectory.source_directory = "solutions"
    config.CourseDirectory.release_directory = "notebooks"
    # A lesson is one notebook. The README beside a solution is the instructor's, and a module
    # beside a submission, such as redis.py, would take the place of the installed one.
    config.CourseDirectory.ignore = [
        *("*.md", "*.py", "*.pyc", "*.so", "__pycache__"),
        *(".ipynb_checkpoints", ".*", "progress.json", "kernel-ipc-*"),
    ]
    config.Execute.timeout = CELL_TIMEOUT
    config.OverwriteCells.add_missing_cells = True
    config.Autograde.sanitize_preprocessors = [
        ClearOutput,
        MendSubmission,
        OverwriteKernelspec,
        OverwriteCells,
        CheckCellMetadata,
    ]
    config.Autograde.autograde_preprocessors = [
        Execute,
        ReadPoints,
        IgnorePattern,
        ClearMetadataPreprocessor,
        LimitOutput,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]


class MendSubmission(NbGraderPreprocessor):  # type: ignore[misc]
    """Give a submission back the cells that grading needs, once each and unchanged."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Mend the notebook; what was wrong goes to the log."""
        about = resources["nbgrader"]
        with Gradebook(about["db_url"]) as gradebook:
            released = released_cells(gradebook, about["assignment"])
        for remark in mend(nb, released):
            self.log.warning(remark)
        return nb, resources


class ReadPoints(NbGraderPreprocessor):  # type: ignore[misc]
    """Leave of a check's outputs only what nbgrader reads as the points that the check gave."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: Any, cell_index: int
    ) -> tuple[NotebookNode, Any]:
        """Rewrite the outputs of a check cell; other cells stay as they are."""
        if is_grade(cell) and cell.cell_type == "code":
            cell.outputs = _unmistakable(cell)
        return cell, resources


def checks_of(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells whose checks give points; a written answer, which is graded by hand, is none."""
    return [cell for cell in notebook.cells if is_grade(cell) and not is_solution(cell)]


def points_given(cell: NotebookNode) -> float | None:
    """The points that an executed check cell ends in.

    `None` when it raised, or ends in anything but one plain number from 0 to the cell's points:
    nbgrader itself takes `False`, `nan` or no value at all for full points.
    """
    results = [output for output in cell.outputs if output.output_type == "execute_result"]
    if _errors(cell) or len(results) != 1:
        return None
    text = results[0].data.get("text/plain", "")
    if not _PLAIN_NUMBER.fullmatch(text):
        return None
    given = float(text)
    return given if given <= cell.metadata.nbgrader.points else None


def released_cells(gradebook: Gradebook, lesson: str) -> list[NotebookNode]:
    """The cells with nbgrader's metadata, in order, as they were when the lesson was released."""
    notebook = gradebook.find_notebook(lesson, lesson)
    points = {cell.name: cell.max_score for cell in notebook.grade_cells}
    solutions = {cell.name for cell in notebook.solution_cells}
    return [
        _released(cell, points.get(cell.name), cell.name in solutions)
        for cell in notebook.source_cells
    ]


def mend(notebook: NotebookNode, released: Sequence[NotebookNode]) -> list[str]:
    """Give a submission the cells that grading needs, once each and unchanged.

    Of a cell that was copied the last one counts, since it is what the learner's kernel ran last;
    the others stay as ordinary cells. A check or set-up cell that is missing comes back in its
    place, one that was edited comes back as it was.

    Args:
        notebook: The submission; it is changed.
        released: What `released_cells` answers.

    Returns:
        What was wrong, a sentence each.
    """
    v4.upgrade(notebook)
    remarks = _keep_last(notebook, {grade_id(cell): cell for cell in released})
    return [*remarks, *_bring_back(notebook, released)]


def grade_id(cell: NotebookNode) -> str | None:
    """The name that nbgrader knows a cell by; `None` for an ordinary cell."""
    about = cell.metadata.get("nbgrader")
    name = about.get("grade_id") if isinstance(about, dict) else None
    return name if isinstance(name, str) else None


def _keep_last(notebook: NotebookNode, known: dict[str | None, NotebookNode]) -> list[str]:
    remarks: dict[str, None] = {}
    met = set()
    for index, cell in reversed(list(enumerate(notebook.cells))):
        name = grade_id(cell)
        cell.metadata.pop("nbgrader", None)
        if name is None or name not in known:
            continue
        if name in met:
            remarks[f"{name} is there more than once; the last one counts."] = None
            continue
        met.add(name)
        original = copy.deepcopy(known[name])
        if not is_solution(original):
            if original.source != cell.source:
                remarks[f"{name} was changed; it was put back as it was."] = None
        else:
            original.source = cell.source
        original.id = cell.get("id", original.id)
        notebook.cells[index] = original
    return list(remarks)


def _bring_back(notebook: NotebookNode, released: Sequence[NotebookNode]) -> list[str]:
    remarks = []
    names = [grade_id(cell) for cell in notebook.cells]
    place = len(names)
    for cell in reversed(released):
        name = grade_id(cell)
        if name in names:
            place = names.index(name)
        elif is_solution(cell):
            remarks.append(f"{name}, the answer's cell, is missing.")
        else:
            remarks.append(f"{name} was missing; it was put back.")
            names.insert(place, name)
            notebook.cells.insert(place, copy.deepcopy(cell))
    return remarks


def _released(cell: Any, points: float | None, solution: bool) -> NotebookNode:
    about = {
        "grade": points is not None,
        "grade_id": cell.name,
        "locked": cell.locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        about["points"] = points
    metadata = {"nbgrader": about}
    made: NotebookNode = (
        v4.new_code_cell(cell.source, metadata=metadata)
        if cell.cell_type == "code"
        else v4.new_markdown_cell(cell.source, metadata=metadata)
    )
    return made


def _unmistakable(cell: NotebookNode) -> list[NotebookNode]:
    """The outputs in which nbgrader finds the right grade: an error, or a number and no stderr."""
    calm = [output for output in cell.outputs if output.get("name") != "stderr"]
    errors = _errors(cell)
    if points_given(cell) is None and not errors:
        errors = [_no_points(cell)]
    return [*errors, *(output for output in calm if output.output_type != "error")]


def _errors(cell: NotebookNode) -> list[NotebookNode]:
    return [output for output in cell.outputs if output.output_type == "error"]


def _no_points(cell: NotebookNode) -> NotebookNode:
    message = (
        f"{grade_id(cell)} did not end in a number of points from 0 to "
        f"{cell.metadata.nbgrader.points:g}. It counts as 0 until somebody has looked at it."
    )
    lines = [f"{NO_POINTS}: {message}"]
    error: NotebookNode = v4.new_output("error", ename=NO_POINTS, evalue=message, traceback=lines)
    return error
