"""From the one source to the learner's version: execute solutions/, generate notebooks/.

Everything is made in temporary folders first and moved into place at the end, so a build that
fails changes nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.course import catalogue
from labkit.course.environment import environment, scripts_first
from labkit.course.errors import CourseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbformat import NotebookNode
    from traitlets.config import Config

# A lesson runs in under 30 s as a whole; a cell that takes longer than that hangs.
CELL_TIMEOUT = 60


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
    chosen = list(lessons) or catalogue.names()
    with tempfile.TemporaryDirectory(prefix="labkit-build-") as folder:
        fresh = Path(folder)
        for lesson in chosen:
            source = catalogue.solution_notebook(lesson)
            notebook = executed(source) if execute else _read(source)
            _write(notebook, fresh / "solutions" / lesson / source.name)
            _write_json(worked_solutions(notebook), fresh / "worked" / f"{lesson}.json")
        release(chosen, fresh / "solutions", fresh / "notebooks")
        for lesson in chosen:
            _replace(fresh / "solutions" / lesson / f"{lesson}.ipynb", catalogue.SOLUTIONS / lesson)
            _replace(fresh / "notebooks" / lesson / f"{lesson}.ipynb", catalogue.NOTEBOOKS / lesson)
            _replace(fresh / "worked" / f"{lesson}.json", catalogue.WORKED)


def executed(source: Path, variables: Mapping[str, str] | None = None) -> NotebookNode:
    """A notebook run from top to bottom in a fresh kernel, with its outputs.

    Args:
        source: The notebook. It is not changed.
        variables: Environment variables for the kernel, beside the current ones.

    Raises:
        BuildFailed: A cell raised; the message gives the cell and the error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    notebook = _read(source)
    variables = {"LABKIT_PROGRESS": "off", **(variables or {})}
    with environment(variables), _kernel_sockets() as config:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            config=config,
            resources={"metadata": {"path": str(source.parent)}},
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError) as error:
            raise BuildFailed(f"{source.name} does not run to its end:\n{error}") from error
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


def release(lessons: Iterable[str], source: Path, destination: Path) -> None:
    """Generate learner's versions with nbgrader into an empty folder.

    Args:
        lessons: Which ones.
        source: The folder of the solutions.
        destination: An empty folder, or one that does not exist yet.

    Raises:
        BuildFailed: nbgrader refused; the message holds its log.
    """
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="labkit-release-") as course:
        config = Config()
        config.CourseDirectory.root = course
        config.CourseDirectory.course_id = "redis-caching-workbook"
        config.CourseDirectory.source_directory = str(source.resolve())
        config.CourseDirectory.release_directory = str(destination.resolve())
        config.CourseDirectory.db_url = f"sqlite:///{course}/gradebook.db"
        # The README beside a solution is the instructor's; nbgrader would release it too.
        config.CourseDirectory.ignore = ["*.md", ".ipynb_checkpoints"]
        api = NbGraderAPI(config=config)
        for lesson in lessons:
            with environment({"PATH": scripts_first()}):
                answer = api.generate_assignment(lesson, force=False, create=True)
            notebook = destination / lesson / f"{lesson}.ipynb"
            if not answer["success"] or not notebook.exists():
                reason = answer.get("log") or answer.get("error")
                raise BuildFailed(f"nbgrader does not release {lesson}:\n{reason}")


def worked_solutions(notebook: NotebookNode) -> dict[str, str]:
    """The answers of a solution notebook by exercise, without nbgrader's markers."""
    return {
        cell.metadata.nbgrader.grade_id: "\n".join(
            line
            for line in cell.source.splitlines()
            if line.strip() not in ("### BEGIN SOLUTION", "### END SOLUTION")
        )
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }


@contextmanager
def _kernel_sockets() -> Iterator[Config]:
    """Settings for a kernel that talks over files of its own.

    Kernels that pick TCP ports collide now and then when several start at once.
    """
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="labkit-") as folder:
        sockets = {"transport": "ipc", "ip": f"{folder}/kernel"}
        yield Config() if sys.platform == "win32" else Config({"KernelManager": sockets})


def _read(path: Path) -> NotebookNode:
    import nbformat

    return nbformat.read(path, as_version=4)


def _write(notebook: NotebookNode, path: Path) -> None:
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _write_json(data: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _replace(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)
