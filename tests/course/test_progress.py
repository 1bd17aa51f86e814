"""Progress is kept in a small readable file, survives damage, and travels."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from labkit.course import catalogue, files
from labkit.course.errors import CourseError
from labkit.course.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

LESSON = "00-start-here"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's notebooks of their own."""
    folder = tmp_path / "notebooks"
    for lesson in catalogue.names():
        (folder / lesson).mkdir(parents=True)
        (folder / lesson / f"{lesson}.ipynb").write_text(f'{{"lesson": "{lesson}"}}')
    monkeypatch.setattr(catalogue, "NOTEBOOKS", folder)
    return folder


def test_the_file_is_readable(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json")
    progress.attempt(LESSON, "greet", 2.0)
    progress.hint(LESSON, "greet", 1)
    kept = json.loads((tmp_path / "progress.json").read_text())
    assert kept == {LESSON: {"greet": {"points": 2.0, "attempts": 1, "hints": 1}}}


def test_the_best_points_stay(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json")
    for points in [1.0, 3.0, 0.0]:
        progress.attempt(LESSON, "greet", points)
    assert progress.record(LESSON, "greet") == {"points": 3.0, "attempts": 3, "hints": 0}
    assert progress.points(LESSON) == 3.0


def test_hints_count_upwards_only(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json")
    progress.hint(LESSON, "greet", 3)
    progress.hint(LESSON, "greet", 1)
    assert progress.record(LESSON, "greet")["hints"] == 3


def test_another_reader_sees_it(tmp_path: Path) -> None:
    Progress(tmp_path / "progress.json").attempt(LESSON, "greet", 3.0)
    assert Progress(tmp_path / "progress.json").points(LESSON) == 3.0


def test_in_memory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    progress = Progress(None)
    progress.attempt(LESSON, "greet", 3.0)
    assert progress.points(LESSON) == 3.0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", '{"00-start-here": {"greet": {"points": "x"}}}']
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "progress.json"
    file.write_text(damage)
    progress = Progress(file)
    assert progress.points(LESSON) == 0
    progress.attempt(LESSON, "greet", 1.0)
    assert progress.points(LESSON) == 1.0
    assert (tmp_path / "progress.damaged").read_text() == damage


def test_it_stands_beside_the_lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABKIT_PROGRESS", raising=False)
    (tmp_path / LESSON).mkdir()
    monkeypatch.chdir(tmp_path / LESSON)
    assert Progress.beside_notebooks(LESSON).file == tmp_path / "progress.json"
    monkeypatch.chdir(tmp_path)
    assert Progress.beside_notebooks(LESSON).file == tmp_path / "progress.json"


@pytest.mark.parametrize(
    ("name", "value"), [("LABKIT_PROGRESS", "off"), ("NBGRADER_EXECUTION", "autograde")]
)
def test_instructors_tools_write_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delenv("LABKIT_PROGRESS", raising=False)
    monkeypatch.setenv(name, value)
    assert Progress.beside_notebooks(LESSON).file is None


def test_export_and_restore_bring_everything_back(project: Path, tmp_path: Path) -> None:
    files.progress().attempt(LESSON, "greet", 3.0)
    mine = project / LESSON / f"{LESSON}.ipynb"
    mine.write_text("my answer")
    archive = tmp_path / "work.zip"
    files.export(archive)

    mine.write_text("as new")
    (project / "progress.json").unlink()
    assert "Restored" in files.restore(archive)

    assert mine.read_text() == "my answer"
    assert files.progress().points(LESSON) == 3.0
    assert mine.with_suffix(".backup-1.ipynb").read_text() == "as new"


def test_restoring_the_same_makes_no_backup(project: Path, tmp_path: Path) -> None:
    files.export(tmp_path / "work.zip")
    files.restore(tmp_path / "work.zip")
    assert not list(project.rglob("*backup*"))


def test_export_overwrites_nothing(project: Path, tmp_path: Path) -> None:
    (tmp_path / "work.zip").write_text("precious")
    with pytest.raises(CourseError, match="exists already"):
        files.export(tmp_path / "work.zip")
    assert (tmp_path / "work.zip").read_text() == "precious"


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "00-start-here/evil.ipynb"])
def test_restore_refuses_what_is_no_lesson(project: Path, tmp_path: Path, name: str) -> None:
    mine = project / LESSON / f"{LESSON}.ipynb"
    before = mine.read_text()
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(f"{LESSON}/{LESSON}.ipynb", "changed")
        archive.writestr(name, "evil")
    with pytest.raises(CourseError, match="no lesson's notebook"):
        files.restore(tmp_path / "evil.zip")
    assert mine.read_text() == before
    assert not list(tmp_path.rglob("evil.py"))


@pytest.mark.parametrize("content", [None, b"not a zip"])
def test_restore_says_what_is_wrong_with_the_file(
    project: Path, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "work.zip").write_bytes(content)
    with pytest.raises(CourseError, match="cannot be read"):
        files.restore(tmp_path / "work.zip")


def test_reset_puts_the_lesson_back(project: Path) -> None:
    mine = project / LESSON / f"{LESSON}.ipynb"
    mine.write_text("spoilt")
    assert "backup-1" in files.reset(LESSON)
    assert mine.with_suffix(".backup-1.ipynb").read_text() == "spoilt"
    assert "raise NotImplementedError()" in mine.read_text()
    assert "BEGIN SOLUTION" not in mine.read_text()

    mine.write_text("spoilt again")
    assert "backup-2" in files.reset(LESSON)


def test_reset_names_the_lessons_there_are() -> None:
    with pytest.raises(LookupError, match="00-start-here"):
        files.reset("99-nowhere")
