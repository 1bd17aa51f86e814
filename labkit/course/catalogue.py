"""Which lessons there are, where their files stand, and what belongs to each."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.course import lessons

if TYPE_CHECKING:
    from labkit.course.exercise import Outline

PROJECT = Path(__file__).parents[2]
SOLUTIONS = PROJECT / "solutions"
NOTEBOOKS = PROJECT / "notebooks"
WORKED = Path(lessons.__file__).parent / "worked"

_PREFIX = "lesson_"


def names() -> list[str]:
    """The lessons in order, such as `"01-data-structures"`."""
    modules = (module.name for module in pkgutil.iter_modules(lessons.__path__))
    return sorted(
        module.removeprefix(_PREFIX).replace("_", "-")
        for module in modules
        if module.startswith(_PREFIX)
    )


def outline(lesson: str) -> Outline:
    """The exercises of a lesson.

    Raises:
        LookupError: There is no such lesson; the message lists those there are.
    """
    if lesson not in names():
        raise LookupError(f"There is no lesson {lesson!r}. The lessons: {', '.join(names())}.")
    module = importlib.import_module(f"{lessons.__name__}.{_PREFIX}{lesson.replace('-', '_')}")
    found: Outline = module.outline
    return found


def worked_solutions(lesson: str) -> dict[str, str]:
    """The worked solutions of a lesson by exercise, as `make build` took them from solutions/."""
    file = WORKED / f"{lesson}.json"
    found: dict[str, str] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def solution_notebook(lesson: str) -> Path:
    """The notebook a lesson is written in."""
    return SOLUTIONS / lesson / f"{lesson}.ipynb"


def learner_notebook(lesson: str) -> Path:
    """The learner's version, generated from the solution."""
    return NOTEBOOKS / lesson / f"{lesson}.ipynb"
