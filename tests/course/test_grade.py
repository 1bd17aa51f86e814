"""Grading with the real nbgrader: every submission gets the grade that its checks give."""

from __future__ import annotations

import ast
import copy
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from nbformat import v4
from nbgrader.api import Gradebook

from labkit.course import build, catalogue, grade
from labkit.course.autograding import COURSE_ID, mend, points_given
from labkit.course.bench import Bench
from labkit.course.errors import CourseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbformat import NotebookNode

START, DATA, WRITTEN = "00-start-here", "01-data-structures", "08-smart-cache-api"
ANSWER = "greet"
NEVER_EXPIRES = """\
def greet(r, name):
    r.set(f"start:greeting:{name}", f"Hello, {name}!")
    return f"Hello, {name}!"
"""


class Class:
    """A course folder with submissions to one lesson."""

    def __init__(self, lesson: str, course: Path) -> None:
        self.lesson = lesson
        self.course = course
        self.answers = catalogue.worked_solutions(lesson)

    def folder(self, student: str) -> Path:
        folder = self.course / "submitted" / student / self.lesson
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def notebook(self, answers: Mapping[str, str]) -> NotebookNode:
        """The learner's version with answers filled in."""
        notebook = build.read(catalogue.learner_notebook(self.lesson))
        for name, source in answers.items():
            cell(notebook, name).source = source
        return notebook

    def hand_in(self, student: str, notebook: NotebookNode, name: str | None = None) -> Path:
        file = self.folder(student) / f"{name or self.lesson}.ipynb"
        build.write(notebook, file)
        return file

    def grade(self, timeout: int = 60) -> dict[str, grade.Grade]:
        found = grade.grade(self.lesson, self.course, timeout=timeout)
        return {each.student: each for each in found}

    def judged(self, answers: Mapping[str, str]) -> dict[str, float]:
        """What the checks say about answers, without any notebook."""
        bench = Bench()
        try:
            return {
                exercise.name: exercise.judge(
                    self._function(answers.get(exercise.name), exercise.name), bench
                ).points
                for exercise in catalogue.outline(self.lesson).exercises.values()
            }
        finally:
            bench.close()

    def in_gradebook(self, student: str) -> float:
        with Gradebook(f"sqlite:///{self.course / 'gradebook.db'}", COURSE_ID) as gradebook:
            return float(gradebook.find_submission(self.lesson, student).score)

    def _function(self, source: str | None, name: str) -> object:
        def stub(*_: object) -> None:
            raise NotImplementedError

        if source is None:
            return stub
        names: dict[str, Any] = {}
        for line in _imports(build.read(catalogue.solution_notebook(self.lesson))):
            exec(line, names)
        exec(source, names)
        return names[name]


@pytest.fixture(scope="module")
def gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook that knows the first lesson: making one costs more than grading."""
    course = Class(START, tmp_path_factory.mktemp("course"))
    course.hand_in("ada", course.notebook({}))
    course.grade()
    return course.course / "gradebook.db"


@pytest.fixture
def start(tmp_path: Path, gradebook: Path) -> Class:
    shutil.copy(gradebook, tmp_path)
    return Class(START, tmp_path)


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    """Neither a kernel nor a server outlives grading."""
    before = set(_children())
    yield
    assert [process.name() for process in _children() if process not in before] == []


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    """The first cell that nbgrader knows by a name."""
    found: NotebookNode = next(
        cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name
    )
    return found


def copied(notebook: NotebookNode, name: str) -> NotebookNode:
    """A copy of a cell, as JupyterLab's copy and paste makes it."""
    again = copy.deepcopy(cell(notebook, name))
    again.id = f"{again.id}-again"
    return again


def test_a_class_is_graded_as_its_checks_say(tmp_path: Path) -> None:
    course = Class(DATA, tmp_path)
    half = dict(list(course.answers.items())[::2])
    answers: dict[str, Mapping[str, str]] = {
        "perfect": course.answers,
        "half": half,
        "untouched": {},
        "copied": half,
    }
    for student, given in answers.items():
        course.hand_in(student, course.notebook(given))
    with_copies = course.notebook(half)
    name = next(iter(half))
    place = with_copies.cells.index(cell(with_copies, name))
    with_copies.cells[place:place] = [
        copied(with_copies, name),
        copied(with_copies, f"check-{name}"),
    ]
    course.hand_in("copied", with_copies)

    found = course.grade()

    expected = {student: course.judged(given) for student, given in answers.items()}
    assert {student: each.points for student, each in found.items()} == expected
    assert found["perfect"].total == catalogue.outline(DATA).points
    assert found["untouched"].total == 0
    assert 0 < (found["half"].total or 0) < catalogue.outline(DATA).points
    assert [each.problem for each in found.values()] == [""] * 4
    assert any("more than once" in remark for remark in found["copied"].remarks)
    for student, each in found.items():
        assert course.in_gradebook(student) == each.total
        assert (tmp_path / "feedback" / student / DATA / f"{DATA}.html").stat().st_size > 10_000


def _partial(course: Class) -> None:
    course.hand_in("case", course.notebook({ANSWER: NEVER_EXPIRES}))


def _deleted_check(course: Class) -> None:
    notebook = course.notebook(course.answers)
    notebook.cells.remove(cell(notebook, "check-greet"))
    course.hand_in("case", notebook)


def _deleted_all(course: Class) -> None:
    notebook = course.notebook(course.answers)
    for name in ("set-up", "greet", "check-greet"):
        notebook.cells.remove(cell(notebook, name))
    course.hand_in("case", notebook)


def _edited_check(course: Class) -> None:
    notebook = course.notebook({})
    cell(notebook, "check-greet").source = "3.0"
    cell(notebook, "check-greet").metadata.nbgrader.points = 300
    course.hand_in("case", notebook)


def _noisy(course: Class) -> None:
    noise = (
        "import logging, sys\nlogging.basicConfig(level='DEBUG')\n\n\ndef greet(r, name):\n"
        "    print('noise', file=sys.stderr)\n    logging.warning('noise')\n"
    )
    _, body = course.answers[ANSWER].split("\n", 1)
    course.hand_in("case", course.notebook({ANSWER: noise + body}))


def _endless(course: Class) -> None:
    endless = "def greet(r, name):\n    while True:\n        pass"
    course.hand_in("case", course.notebook({ANSWER: endless}))


def _deaf(course: Class) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"
    course.hand_in("case", course.notebook({ANSWER: deaf}))


def _exits(course: Class) -> None:
    course.hand_in("case", course.notebook({ANSWER: "import os\nos._exit(0)"}))


def _no_json(course: Class) -> None:
    (course.folder("case") / f"{START}.ipynb").write_text("{nope")


def _no_notebook_inside(course: Class) -> None:
    (course.folder("case") / f"{START}.ipynb").write_text("[]")


def _nothing(course: Class) -> None:
    course.folder("case")


def _renamed(course: Class) -> None:
    course.hand_in("case", course.notebook(course.answers), f"{START} (1)")


def _two_others(course: Class) -> None:
    course.hand_in("case", course.notebook(course.answers), "mine")
    course.hand_in("case", course.notebook({}), "mine too")


def _shadows(course: Class) -> None:
    file = course.hand_in("case", course.notebook(course.answers))
    (file.parent / "redis.py").write_text("raise SystemExit")


def _nan(course: Class) -> None:
    cheat = "\nlesson.check = lambda *_: float('nan')"
    course.hand_in("case", course.notebook({ANSWER: course.answers[ANSWER] + cheat}))


def _no_value(course: Class) -> None:
    cheat = "\nlesson.check = print"
    course.hand_in("case", course.notebook({ANSWER: course.answers[ANSWER] + cheat}))


def _old_format(course: Class) -> None:
    notebook = course.notebook(course.answers)
    notebook.nbformat_minor = 4
    for each in notebook.cells:
        del each["id"]
    course.hand_in("case", notebook)


def _as_markdown(course: Class) -> None:
    notebook = course.notebook(course.answers)
    place = notebook.cells.index(cell(notebook, ANSWER))
    about = notebook.cells[place]
    notebook.cells[place] = v4.new_markdown_cell(about.source, metadata=about.metadata)
    course.hand_in("case", notebook)


# What is handed in, the points, and what the instructor reads about it.
CASES: dict[str, tuple[Callable[[Class], None], float | None, str]] = {
    "a partial answer": (_partial, 2.0, ""),
    "a deleted check": (_deleted_check, 3.0, "check-greet was missing; it was put back"),
    "every cell deleted": (_deleted_all, 0.0, "greet, the answer's cell, is missing"),
    "an edited check": (_edited_check, 0.0, "check-greet was changed; it was put back"),
    "noise on stderr": (_noisy, 3.0, ""),
    "an endless loop": (_endless, 0.0, "check-greet took longer than 5 s and was stopped"),
    "a renamed notebook": (_renamed, 3.0, f"{START} (1).ipynb was taken for {START}.ipynb"),
    "a file that shadows redis": (_shadows, 3.0, "Left out: redis.py"),
    "an older format": (_old_format, 3.0, ""),
    "an answer as text": (_as_markdown, 3.0, ""),
}
FOR_A_HUMAN: dict[str, tuple[Callable[[Class], None], float | None, str]] = {
    "a loop that cannot be stopped": (_deaf, None, "could not be interrupted"),
    "os._exit": (_exits, None, "A cell ends the kernel"),
    "no JSON": (_no_json, None, "cannot be read as a notebook"),
    "no notebook in the JSON": (_no_notebook_inside, None, "cannot be read as a notebook"),
    "an empty folder": (_nothing, None, f"Ask case to hand in {START}.ipynb"),
    "two notebooks of other names": (_two_others, None, "(mine too.ipynb, mine.ipynb)"),
    "nan for points": (_nan, 0.0, "check-greet did not end in a number of points"),
    "no points": (_no_value, 0.0, "check-greet did not end in a number of points"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_odd_submission_is_graded(case: str, start: Class) -> None:
    hand_in, points, remark = CASES[case]
    hand_in(start)
    found = start.grade(timeout=5)["case"]
    assert (found.total, found.problem) == (points, "")
    assert remark in " ".join(found.remarks)
    assert start.in_gradebook("case") == points


@pytest.mark.parametrize("case", FOR_A_HUMAN)
def test_a_submission_that_needs_a_human_is_named(case: str, start: Class) -> None:
    hand_in, points, problem = FOR_A_HUMAN[case]
    hand_in(start)
    found = start.grade(timeout=5)["case"]
    assert found.total == points
    assert problem in found.problem


def test_the_command_goes_on_after_a_bad_submission(
    start: Class, capsys: pytest.CaptureFixture[str]
) -> None:
    start.hand_in("ada", start.notebook(start.answers))
    (start.folder("bob") / f"{START}.ipynb").write_text("{nope")
    start.hand_in("cy", start.notebook({ANSWER: NEVER_EXPIRES}))
    start.hand_in("x+y [z]", start.notebook(start.answers))

    assert grade.main(START, start.course) == 1

    out = capsys.readouterr().out
    assert "To do for bob: 00-start-here.ipynb cannot be read" in out
    with (start.course / f"grades-{START}.csv").open(encoding="utf-8") as stream:
        rows = {row["student"]: row for row in csv.DictReader(stream)}
    assert {student: row["points"] for student, row in rows.items()} == {
        "ada": "3.0",
        "bob": "",
        "cy": "2.0",
        "x+y [z]": rows["x+y [z]"]["points"],
    }
    assert {row["out of"] for row in rows.values()} == {"3.0"}
    assert rows["cy"][ANSWER] == "2.0"
    assert "hand it in again" in rows["bob"]["problem"]


def test_grading_again_takes_the_newer_answer(
    start: Class, capsys: pytest.CaptureFixture[str]
) -> None:
    start.hand_in("ada", start.notebook({}))
    assert start.grade()["ada"].total == 0
    start.hand_in("ada", start.notebook(start.answers))
    assert grade.main(START, start.course) == 0
    assert start.in_gradebook("ada") == 3
    assert "Graded 1 of 1" in capsys.readouterr().out


def test_points_given_by_hand_are_kept(start: Class) -> None:
    start.hand_in("ada", start.notebook({}))
    start.grade()
    with Gradebook(f"sqlite:///{start.course / 'gradebook.db'}", COURSE_ID) as gradebook:
        gradebook.find_grade("check-greet", START, START, "ada").manual_score = 1.5
        gradebook.db.commit()
    assert start.grade()["ada"].points == {ANSWER: 1.5}


def test_a_written_answer_waits_for_a_grade_by_hand(tmp_path: Path) -> None:
    course = Class(WRITTEN, tmp_path)
    course.hand_in("ada", course.notebook({"design": "Comments: an entity is ..."}))
    course.hand_in("bob", course.notebook({}))
    found = course.grade()
    assert "design" not in (found["ada"].points or {})
    assert "design is to be graded by hand" in " ".join(found["ada"].remarks)
    assert (found["bob"].points or {})["design"] == 0  # untouched
    assert "by hand" not in " ".join(found["bob"].remarks)
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}", COURSE_ID) as gradebook:
        written = gradebook.find_grade("design", WRITTEN, WRITTEN, "ada")
        written.manual_score, written.needs_manual_grade = 2.5, False
        gradebook.db.commit()
    again = course.grade()["ada"]
    assert (again.points or {})["design"] == 2.5
    assert again.remarks == ()
    grade.write_csv([again], WRITTEN, tmp_path / "grades.csv")
    with (tmp_path / "grades.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["design"], row["points"], row["out of"]) == ("2.5", "2.5", "40.0")


def test_there_must_be_submissions(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no submission of 00-start-here"):
        grade.grade(START, tmp_path)


def test_there_must_be_such_a_lesson(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no lesson 'nowhere'"):
        grade.grade("nowhere", tmp_path)


def test_nbgraders_own_commands_are_guarded_too(start: Class) -> None:
    shutil.copy(catalogue.PROJECT / "nbgrader_config.py", start.course)
    source = start.course / "solutions" / START
    source.mkdir(parents=True)
    shutil.copy(catalogue.solution_notebook(START), source)
    (source / "README.md").write_text("For the instructor.")
    notebook = start.notebook(start.answers)
    notebook.cells.append(copied(notebook, "check-greet"))
    (start.course / "gradebook.db").unlink()
    file = start.hand_in("ada", notebook)
    (file.parent / "redis.py").write_text("raise SystemExit")
    cheat = start.answers[ANSWER] + "\nlesson.check = print"
    start.hand_in("bob", start.notebook({ANSWER: cheat}))

    for command in (["generate_assignment", START], ["autograde", START], ["export"]):
        _nbgrader(command, start.course)

    released = start.course / "notebooks" / START
    assert [file.name for file in released.iterdir()] == [f"{START}.ipynb"]
    with (start.course / "grades.csv").open() as stream:
        scores = {row["student_id"]: row["score"] for row in csv.DictReader(stream)}
    assert scores == {"ada": "3.0", "bob": "0.0"}


@pytest.mark.parametrize(
    "shown", ["nan", "inf", "-1.0", "4.0", "True", "None", "np.float64(1.0)", "'3.0'", ""]
)
def test_only_a_plain_number_of_points_is_read(shown: str) -> None:
    assert points_given(_check(shown)) is None


def test_an_error_beside_a_number_gives_no_points() -> None:
    check = _check("3.0")
    assert points_given(check) == 3
    check.outputs.append(v4.new_output("error", ename="E", evalue="", traceback=[]))
    assert points_given(check) is None


def test_mending_a_sound_submission_changes_nothing(start: Class) -> None:
    notebook = start.notebook(start.answers)
    released = [each for each in notebook.cells if "nbgrader" in each.metadata]
    before = copy.deepcopy(notebook)
    assert mend(notebook, released) == []
    assert [each.source for each in notebook.cells] == [each.source for each in before.cells]


def _check(shown: str) -> NotebookNode:
    result = v4.new_output("execute_result", data={"text/plain": shown} if shown else {})
    about = {"grade": True, "solution": False, "grade_id": "check-greet", "points": 3}
    check: NotebookNode = v4.new_code_cell(outputs=[result], metadata={"nbgrader": about})
    return check


def _children() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
    ]


def _imports(notebook: NotebookNode) -> list[str]:
    """What earlier cells of a lesson import; its answers may use it."""
    return [
        ast.unparse(node)
        for each in notebook.cells
        if each.cell_type == "code" and "%" not in each.source[:1]
        for node in ast.parse(each.source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def _nbgrader(command: Sequence[str], folder: Path) -> None:
    # Without the virtual environment's scripts on PATH: the settings must see to that.
    subprocess.run(
        [Path(sys.executable).parent / "nbgrader", *command],
        cwd=folder,
        env={**os.environ, "PATH": os.defpath},
        capture_output=True,
        check=True,
    )
