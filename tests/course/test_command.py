"""The `labkit` command: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from labkit.course import catalogue

if TYPE_CHECKING:
    from pathlib import Path

LESSON = catalogue.names()[0]


def labkit(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labkit", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command() -> None:
    result = labkit("--help")
    assert result.returncode == 0
    for command in ["lab", "doctor", "build", "validate", "grade", "reset", "progress"]:
        assert f" {command} " in result.stdout


@pytest.mark.parametrize("command", ["build", "validate", "grade", "reset"])
def test_an_unknown_lesson_is_one_sentence_and_an_exit_code(command: str) -> None:
    result = labkit(command, "99-nowhere")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("labkit: There is no lesson '99-nowhere'. The lessons: 00-")
    assert len(result.stderr.splitlines()) == 1


def test_grading_nothing_says_where_submissions_belong(tmp_path: Path) -> None:
    result = labkit("grade", LESSON, "--course", str(tmp_path))
    assert result.returncode == 1
    assert "submitted/<student>/" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_progress_shows_every_lesson() -> None:
    result = labkit("progress")
    assert result.returncode == 0
    for lesson in catalogue.names():
        assert lesson in result.stdout


def test_export_refuses_a_file_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "work.zip"
    file.write_text("mine")
    result = labkit("progress", "export", str(file))
    assert result.returncode == 1
    assert "exists already" in result.stderr
    assert file.read_text() == "mine"


def test_the_doctor_speaks_json() -> None:
    result = labkit("doctor", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)
