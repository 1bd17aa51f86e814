"""From the one source to the learner's version: execute solutions/, generate notebooks/.

Everything is made in temporary folders first and moved into place at the end, so a build that
fails changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.course import catalogue
from labkit.course.environment import CELL_TIMEOUT, environment, scripts_first
from labkit.course.errors import CourseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbformat import NotebookNode
    from traitlets.config import Config


class BuildFailed(CourseError):
    """A lesson cannot be built; nothing was changed."""


def build(lessons: Iterable[str] = (), *, execute: bool = True) -> None:
    """Execute solutions and generate the learner's versions from them.

    Args:
        lessons: Which ones; all when empty.
        execute: Run the solutions and store their outputs. Without it only the learner's
            versions are made anew.

    Raises:
        BuildFailed: A solution raised, earned less than full points, or could not be released.
    """
    names = chosen(lessons)
    with tempfile.TemporaryDirectory(prefix="labkit-build-") as folder:
        fresh = Path(folder)
        for lesson in names:
            source = catalogue.solution_notebook(lesson)
            notebook = executed(source) if execute else read(source)
            if execute:
                _demand_full_points(notebook, source.name)
            write(notebook, fresh / "solutions" / lesson / source.name)
            _write_json(worked_solutions(notebook), fresh / "worked" / f"{lesson}.json")
        release(names, fresh / "solutions", fresh / "notebooks")
        for lesson in names:
            notebook_file = f"{lesson}/{lesson}.ipynb"
            _copy(fresh / "solutions" / notebook_file, catalogue.solution_notebook(lesson))
            _copy(fresh / "notebooks" / notebook_file, catalogue.learner_notebook(lesson))
            _copy(fresh / "worked" / f"{lesson}.json", catalogue.WORKED / f"{lesson}.json")


def chosen(lessons: Iterable[str]) -> list[str]:
    """The lessons named, or all if none is.

    Raises:
        LookupError: There is no such lesson.
    """
    names = list(lessons) or catalogue.names()
    for name in names:
        catalogue.outline(name)
    return names


def executed(source: Path, variables: Mapping[str, str] | None = None) -> NotebookNode:
    """A solution run from top to bottom in a fresh kernel, with its outputs.

    Args:
        source: The notebook. It is not changed.
        variables: Environment variables for the kernel, beside the current ones.

    Raises:
        BuildFailed: A cell raised or wrote to stderr; the message gives the cell and the error.
    """
    notebook = run(source, variables)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise BuildFailed(
                    f"{source.name}, cell {cell.id}, writes to stderr, which nbgrader takes for an "
                    f"error:\n{output.text}"
                )
    # What the machine adds differs from one to the next and says nothing about the lesson.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def run(
    source: Path, variables: Mapping[str, str] | None = None, *, allow_errors: bool = False
) -> NotebookNode:
    """A notebook run from top to bottom in a fresh kernel, as *Run All Cells* does.

    Args:
        source: The notebook. It is not changed.
        variables: Environment variables for the kernel, beside the current ones.
        allow_errors: Go on after a cell that raises; the error is in its outputs.

    Raises:
        BuildFailed: The notebook did not reach its end; the message gives the cell and the error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert.filters import strip_ansi

    notebook = read(source)
    with kernel_sockets() as config:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            allow_errors=allow_errors,
            config=config,
            resources={"metadata": {"path": str(source.parent)}},
        )
        try:
            client.execute(env={**os.environ, "LABKIT_PROGRESS": "off", **(variables or {})})
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            reason = strip_ansi(str(error))
            raise BuildFailed(f"{source.name} does not run to its end:\n{reason}") from error
    return notebook


def release(
    lessons: Iterable[str], source: Path, destination: Path, gradebook: str | None = None
) -> None:
    """Generate learner's versions with nbgrader into an empty folder.

    Args:
        lessons: Which ones.
        source: The folder of the solutions.
        destination: An empty folder, or one that does not exist yet.
        gradebook: The URL of the gradebook that is to know the lessons; without it they are
            recorded nowhere.

    Raises:
        BuildFailed: nbgrader refused; the message holds its log.
    """
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    from labkit.course.autograding import configure

    with (
        tempfile.TemporaryDirectory(prefix="labkit-release-") as course,
        environment({"PATH": scripts_first()}),
    ):
        config = Config()
        configure(config)
        config.CourseDirectory.root = course
        config.CourseDirectory.release_directory = str(destination.resolve())
        config.CourseDirectory.db_url = gradebook or f"sqlite:///{course}/gradebook.db"
        api = NbGraderAPI(config=config)
        for lesson in lessons:
            notebook = f"{lesson}/{lesson}.ipynb"
            # Only the notebook: nbgrader would release everything that lies beside it.
            _copy(source / notebook, Path(course, "solutions", notebook))
            answer = api.generate_assignment(lesson, force=False, create=True)
            if not answer["success"] or not (destination / notebook).exists():
                reason = answer.get("log") or answer.get("error")
                raise BuildFailed(f"nbgrader does not release {lesson}:\n{reason}")


def worked_solutions(notebook: NotebookNode) -> dict[str, str]:
    """The answers of a solution notebook by exercise, without nbgrader's markers.

    An answer that is graded by hand is the instructor's alone.
    """
    return {
        cell.metadata.nbgrader.grade_id: "\n".join(
            line
            for line in cell.source.splitlines()
            if line.strip() not in ("### BEGIN SOLUTION", "### END SOLUTION")
        )
        for cell in notebook.cells
        if (about := cell.metadata.get("nbgrader", {})).get("solution") and not about["grade"]
    }


def _demand_full_points(notebook: NotebookNode, name: str) -> None:
    from labkit.course.autograding import checks_of, points_given

    for cell in checks_of(notebook):
        if points_given(cell) != cell.metadata.nbgrader.points:
            raise BuildFailed(
                f"{name}, cell {cell.id}: the solution earns {points_given(cell)} of "
                f"{cell.metadata.nbgrader.points} points."
            )


@contextmanager
def kernel_sockets() -> Iterator[Config]:
    """Settings for a kernel that talks over files of its own.

    Kernels that pick TCP ports collide now and then when several start at once.
    """
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="labkit-") as folder:
        sockets = {"transport": "ipc", "ip": f"{folder}/kernel"}
        yield Config() if sys.platform == "win32" else Config({"KernelManager": sockets})


def read(path: Path) -> NotebookNode:
    """Read a notebook."""
    import nbformat

    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, making its folder if need be."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _write_json(data: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _copy(file: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, destination)
