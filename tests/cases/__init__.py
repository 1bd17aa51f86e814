"""Right and wrong answers to every exercise, kept to prove that the checks judge well.

The cases of an exercise stand in `tests/cases/NN-name/<exercise>.py`, each a function with the
exercise's arguments, named for the idea (right) or the misconception (wrong) that it holds:

    @right
    def one_command(r, name): ...

    @wrong(says="never expires")
    def forgets_the_time_to_live(r, name): ...

`says` is a part of the message that is meant for this mistake. An answer that `waits`, for what
comes or until the check gives it up, is judged with one seed, where others are with several.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One answer, and what the checks should make of it."""

    name: str
    answer: Callable[..., Any]
    says: str | None
    waits: bool = False

    @property
    def is_right(self) -> bool:
        return self.says is None


def right(answer: Callable[..., Any]) -> Case:
    """Mark an answer that earns full points."""
    return Case(answer.__name__, answer, None)


def wrong(*, says: str, waits: bool = False) -> Callable[[Callable[..., Any]], Case]:
    """Mark an answer that does not, and give a part of the message it is met with."""
    return lambda answer: Case(answer.__name__, answer, says, waits)


def cases(lesson: str, exercise: str) -> list[Case]:
    """The cases of an exercise; none when its file is missing."""
    file = HERE / lesson / f"{exercise}.py"
    if not file.exists():
        return []
    spec = importlib.util.spec_from_file_location(f"cases_{exercise}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [value for value in vars(module).values() if isinstance(value, Case)]
