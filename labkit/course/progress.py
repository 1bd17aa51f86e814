"""A learner's progress: a small readable file beside the notebooks.

The file is JSON, one object a lesson, one entry an exercise:

    {"01-data-structures": {"save_player": {"points": 4.0, "attempts": 2, "hints": 1}}}

`points` is the best so far: an answer that is broken later takes nothing away.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "progress.json"


class Record(TypedDict):
    """What is kept of one exercise."""

    points: float
    attempts: int
    hints: int


class Progress:
    """The progress file, read and written as a whole at each change.

    Args:
        file: Where it stands. `None` keeps progress in memory only, as while an instructor's
            tool runs the notebook.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._memory: dict[str, dict[str, Record]] = {}

    @classmethod
    def beside_notebooks(cls, lesson: str) -> Progress:
        """The progress file that belongs to a lesson running in the current directory.

        It stands beside the lessons' folders when the lesson runs in a folder of its own, and in
        the current directory otherwise. `LABKIT_PROGRESS` names another file, or `off`. Nothing
        is written while nbgrader grades or validates.
        """
        chosen = os.environ.get("LABKIT_PROGRESS")
        if chosen == "off" or "NBGRADER_EXECUTION" in os.environ:
            return cls(None)
        if chosen:
            return cls(Path(chosen))
        here = Path.cwd()
        return cls((here.parent if here.name == lesson else here) / FILE)

    def read(self) -> dict[str, dict[str, Record]]:
        """Everything kept so far, by lesson and exercise.

        A file that is damaged is set aside under the ending `.damaged`, and counts as empty.
        """
        if self.file is None:
            return self._memory
        try:
            return _valid(json.loads(self.file.read_text("utf-8")))
        except FileNotFoundError:
            return {}
        except ValueError:
            self.file.replace(self.file.with_suffix(".damaged"))
            return {}

    def record(self, lesson: str, exercise: str) -> Record:
        """What is kept of one exercise."""
        return self.read().get(lesson, {}).get(exercise, Record(points=0.0, attempts=0, hints=0))

    def attempt(self, lesson: str, exercise: str, points: float) -> None:
        """Count an attempt and keep its points when they are the best so far."""
        old = self.record(lesson, exercise)
        best = max(old["points"], points)
        self._keep(lesson, exercise, {**old, "points": best, "attempts": old["attempts"] + 1})

    def hint(self, lesson: str, exercise: str, number: int) -> None:
        """Keep how many of the exercise's hints were read."""
        record = self.record(lesson, exercise)
        self._keep(lesson, exercise, {**record, "hints": max(record["hints"], number)})

    def points(self, lesson: str) -> float:
        """The points earned in a lesson."""
        return sum(record["points"] for record in self.read().get(lesson, {}).values())

    def _keep(self, lesson: str, exercise: str, record: Record) -> None:
        everything = self.read()
        everything.setdefault(lesson, {})[exercise] = record
        if self.file is not None:
            _write(self.file, everything)


def _valid(data: object) -> dict[str, dict[str, Record]]:
    if not isinstance(data, dict):
        raise ValueError("progress is an object with an entry a lesson")
    return {
        str(lesson): {
            str(exercise): Record(
                points=float(record["points"]),
                attempts=int(record["attempts"]),
                hints=int(record["hints"]),
            )
            for exercise, record in exercises.items()
        }
        for lesson, exercises in data.items()
    }


def _write(file: Path, everything: Mapping[str, Mapping[str, Record]]) -> None:
    # Through a second file and a rename: a kernel killed in the middle leaves the old one whole.
    text = json.dumps(everything, indent=2, sort_keys=True) + "\n"
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}-", delete=False
    ) as fresh:
        fresh.write(text)
    Path(fresh.name).replace(file)
