"""Grading a class with nbgrader, each submission on its own: `labkit grade`.

In the course folder stands `submitted/<student>/<lesson>/<lesson>.ipynb`. Each is run alone in
a temporary folder, so that a submission that cannot be graded stops no other. What comes of it:
`autograded/`, `feedback/`, `gradebook.db` and `grades-<lesson>.csv`, all in the course folder.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.connection import URL_VARIABLE
from labkit.course import build, catalogue
from labkit.course.environment import CELL_TIMEOUT, environment, scripts_first
from labkit.course.errors import CourseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbformat import NotebookNode
    from nbgrader.apps import NbGraderAPI

_BESIDE = ("timestamp.txt", "progress.json")


@dataclass(frozen=True)
class Grade:
    """What came of one submission.

    Attributes:
        student: The student's folder in submitted/.
        points: The points by exercise, also by hand where that is done; `None` if it could not be
            graded.
        problem: What somebody has to look at, and what to do; "" if nothing.
        remarks: What was put right before grading, or is worth knowing.
    """

    student: str
    points: Mapping[str, float] | None
    problem: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def total(self) -> float | None:
        """All points together."""
        return None if self.points is None else sum(self.points.values())


class NeedsHuman(Exception):
    """A submission cannot be graded; the message says why, and what to do."""


def grade(
    lesson: str,
    course: Path,
    *,
    timeout: int = CELL_TIMEOUT,
    on_graded: Callable[[Grade], object] = lambda _: None,
) -> list[Grade]:
    """Grade every submission of a lesson, also those that were graded before.

    Args:
        lesson: The lesson.
        course: The course folder.
        timeout: How many seconds a cell may take.
        on_graded: Called with each grade as soon as it is there.

    Raises:
        LookupError: There is no such lesson.
        CourseError: There are no submissions, or the gradebook does not fit the lesson.
    """
    catalogue.outline(lesson)
    course = course.resolve()
    students = _students(lesson, course)
    grades = []
    # Submissions get a server of their own: they may do to it whatever they like.
    variables = {"PATH": scripts_first(), URL_VARIABLE: "", "LABKIT_PROGRESS": "off"}
    with environment(variables), _quiet():
        _prepare_gradebook(lesson, course)
        for student in students:
            try:
                found = _grade(student, lesson, course, timeout)
            except NeedsHuman as reason:
                found = Grade(student, None, str(reason))
            except Exception as error:  # whatever it is, the others are graded
                found = Grade(student, None, f"Grading it raised {type(error).__name__}: {error}.")
            grades.append(found)
            on_graded(found)
    return grades


def main(lesson: str, course: Path) -> int:
    """Grade, print a table and write grades-<lesson>.csv.

    Returns:
        The exit code: 0 when all are graded, 1 when some need a human.
    """
    out_of = catalogue.outline(lesson).total
    grades = grade(lesson, course, on_graded=lambda found: print(_line(found, out_of), flush=True))
    file = course / f"grades-{lesson}.csv"
    write_csv(grades, lesson, file)
    waiting = [found for found in grades if found.problem]
    print(f"\nGraded {len(grades) - len(waiting)} of {len(grades)}; see {file} and feedback/.")
    for found in waiting:
        print(f"To do for {found.student}: {found.problem}")
    return 1 if waiting else 0


def write_csv(grades: Sequence[Grade], lesson: str, file: Path) -> None:
    """Write a line a student: points, points by exercise, and what is to be said."""
    outline = catalogue.outline(lesson)
    exercises = (*outline.exercises, *outline.by_hand)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["student", "points", "out of", *exercises, "problem", "remarks"])
        for found in grades:
            points = found.points or {}
            writer.writerow(
                [
                    found.student,
                    "" if found.total is None else found.total,
                    outline.total,
                    *(points.get(name, "") for name in exercises),
                    found.problem,
                    " ".join(found.remarks),
                ]
            )


def _line(found: Grade, out_of: float) -> str:
    points = "   -" if found.total is None else f"{found.total:4g}"
    said = [*found.remarks, "See below."] if found.problem else found.remarks
    return f"{found.student:<24} {points} of {out_of:g}  {' '.join(said)}".rstrip()


def _students(lesson: str, course: Path) -> list[str]:
    submitted = course / "submitted"
    students = sorted(folder.parent.name for folder in submitted.glob(f"*/{lesson}"))
    if not students:
        raise CourseError(
            f"There is no submission of {lesson} in {submitted}. They belong in "
            f"submitted/<student>/{lesson}/{lesson}.ipynb; --course names another course folder."
        )
    return students


def _prepare_gradebook(lesson: str, course: Path) -> None:
    """Tell the gradebook about the lesson, unless it knows it as it is now."""
    if _known_to(_gradebook_url(course), lesson):
        return
    try:
        with tempfile.TemporaryDirectory(prefix="labkit-grade-") as folder:
            build.release(
                [lesson], catalogue.SOLUTIONS, Path(folder, "release"), _gradebook_url(course)
            )
    except build.BuildFailed as error:
        raise CourseError(
            f"{course / 'gradebook.db'} holds submissions of an older {lesson}, with other "
            f"exercises. Move submitted/ to a new course folder and grade there.\n{error}"
        ) from error


def _known_to(gradebook_url: str, lesson: str) -> bool:
    from nbgrader.api import Gradebook, MissingEntry

    from labkit.course.autograding import COURSE_ID

    outline = catalogue.outline(lesson)
    with Gradebook(gradebook_url, COURSE_ID) as gradebook:
        try:
            cells = gradebook.find_notebook(lesson, lesson).grade_cells
        except MissingEntry:
            return False
        known = {cell.name: cell.max_score for cell in cells}
    checks = {f"check-{exercise.name}": exercise.points for exercise in outline.exercises.values()}
    return known == checks | outline.by_hand


def _grade(student: str, lesson: str, course: Path, timeout: int) -> Grade:
    notebook, remarks = _submission(course / "submitted" / student / lesson, student, course)
    with _stage(course, timeout) as (api, stage):
        inside = Path(student, lesson)
        handed_in = stage / "submitted" / inside
        build.write(notebook, handed_in / f"{lesson}.ipynb")
        _copy_timestamp(course / "submitted" / inside, handed_in)
        _demand(api.autograde(lesson, student), timeout)
        _demand(api.generate_feedback(lesson, student), timeout)
        executed = build.read(stage / "autograded" / inside / f"{lesson}.ipynb")
        for kind in ("autograded", "feedback"):
            _replace(stage / kind / inside, course / kind / inside)
    remarks += _interrupted(executed, timeout)
    points = _points(student, lesson, course)
    remarks += [
        f"{name} is to be graded by hand, in the formgrader."
        for name in catalogue.outline(lesson).by_hand
        if name not in points
    ]
    return Grade(student, points, _unclear(executed), tuple(remarks))


def _submission(folder: Path, student: str, course: Path) -> tuple[NotebookNode, list[str]]:
    """A submitted notebook with what grading needs, and what was wrong with it."""
    from nbgrader.api import Gradebook

    from labkit.course.autograding import COURSE_ID, mend, released_cells

    file = _notebook_in(folder, student)
    with Gradebook(_gradebook_url(course), COURSE_ID) as gradebook:
        released = released_cells(gradebook, folder.name)
    try:
        notebook = build.read(file)
        remarks = mend(notebook, released)
    except Exception as error:  # whatever a file that is no notebook makes nbformat raise
        raise NeedsHuman(
            f"{file.name} cannot be read as a notebook ({type(error).__name__}). "
            f"Ask {student} to hand it in again."
        ) from error
    if file.stem != folder.name:
        remarks.insert(0, f"{file.name} was taken for {folder.name}.ipynb.")
    return notebook, remarks + _left_out(folder)


def _notebook_in(folder: Path, student: str) -> Path:
    expected = folder / f"{folder.name}.ipynb"
    found = [expected] if expected.is_file() else sorted(folder.glob("*.ipynb"))
    if not found:
        raise NeedsHuman(f"There is no notebook. Ask {student} to hand in {expected.name}.")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise NeedsHuman(
            f"None of the notebooks is called {expected.name} ({names}). Rename the right one in "
            f"submitted/{student}/{folder.name}, then grade again."
        )
    return found[0]


def _left_out(folder: Path) -> list[str]:
    """Name the files that are not graded with the notebook.

    A lesson needs none, and one called redis.py would take the place of the installed package.
    """
    extra = sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".ipynb" and file.name not in _BESIDE
    )
    return [f"Left out: {', '.join(extra)}. Only the notebook is graded."] if extra else []


@contextmanager
def _stage(course: Path, timeout: int) -> Iterator[tuple[NbGraderAPI, Path]]:
    """A course folder with a single submission in it, and the course's own gradebook."""
    from nbgrader.apps import NbGraderAPI

    from labkit.course.autograding import configure

    with (
        build.kernel_sockets() as config,
        tempfile.TemporaryDirectory(prefix="labkit-grade-") as folder,
    ):
        # macOS hands out temporary folders under a link, and nbgrader compares paths as text.
        stage = Path(folder).resolve()
        configure(config)
        config.CourseDirectory.root = str(stage)
        config.CourseDirectory.source_directory = str(stage / "solutions")
        config.CourseDirectory.db_url = _gradebook_url(course)
        config.Execute.timeout = timeout
        yield NbGraderAPI(config=config), stage


def _demand(answer: Mapping[str, object], timeout: int) -> None:
    """Go on if nbgrader succeeded; otherwise say in a sentence why it did not."""
    if answer["success"]:
        return
    log = f"{answer.get('log', '')}\n{answer.get('error', '')}"
    if log.rstrip().endswith("KeyboardInterrupt"):
        raise KeyboardInterrupt
    if "DeadKernelError" in log:
        raise NeedsHuman(
            "A cell ends the kernel (by os._exit, or by taking all memory). Run the notebook cell "
            "by cell, take that cell out of the submission, then grade again."
        )
    if "CellTimeoutError" in log:
        raise NeedsHuman(
            f"A cell took longer than {timeout} s and could not be interrupted. Run the notebook "
            "cell by cell, take that cell out of the submission, then grade again."
        )
    raise NeedsHuman(f"nbgrader does not grade it. Its log:\n{log.strip()}")


def _interrupted(executed: NotebookNode, timeout: int) -> list[str]:
    return [
        f"{_name(cell)} took longer than {timeout} s and was stopped."
        for cell, error in _raised(executed)
        if error == "CellTimeoutError"
    ]


def _unclear(executed: NotebookNode) -> str:
    from labkit.course.autograding import NO_POINTS

    names = [_name(cell) for cell, error in _raised(executed) if error == NO_POINTS]
    if not names:
        return ""
    return (
        f"{', '.join(names)} did not end in a number of points and counts as 0: something in the "
        "notebook interferes with the checks. Read it in autograded/, and give points by hand in "
        "the formgrader if they are due."
    )


def _raised(executed: NotebookNode) -> Iterator[tuple[NotebookNode, str]]:
    for cell in executed.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                yield cell, output.ename


def _name(cell: NotebookNode) -> str:
    from labkit.course.autograding import grade_id

    return grade_id(cell) or f"The cell {cell.source.strip().splitlines()[0]!r}"


def _points(student: str, lesson: str, course: Path) -> dict[str, float]:
    from nbgrader.api import Gradebook

    from labkit.course.autograding import COURSE_ID

    outline = catalogue.outline(lesson)
    with Gradebook(_gradebook_url(course), COURSE_ID) as gradebook:
        grades = gradebook.find_submission_notebook(lesson, lesson, student).grades
        found = {
            grade.name.removeprefix("check-"): float(grade.score)
            for grade in grades
            if grade.name not in outline.by_hand
            # An answer that nobody touched has 0 by itself. (needs_manual_grade is set anew each
            # time that it is graded again.)
            or (grade.manual_score, grade.auto_score) != (None, None)
        }
    return {name: found[name] for name in (*outline.exercises, *outline.by_hand) if name in found}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep away what nbgrader's way with its database makes SQLAlchemy warn about."""
    from sqlalchemy.exc import SAWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        yield


def _gradebook_url(course: Path) -> str:
    return f"sqlite:///{course / 'gradebook.db'}"


def _copy_timestamp(source: Path, destination: Path) -> None:
    """Keep the time of handing in, from which nbgrader reckons what is late."""
    if (source / "timestamp.txt").exists():
        shutil.copyfile(source / "timestamp.txt", destination / "timestamp.txt")


def _replace(folder: Path, destination: Path) -> None:
    from nbgrader.utils import rmtree  # also removes the read-only files that nbgrader writes

    if destination.exists():
        rmtree(destination)
    shutil.copytree(folder, destination)
