"""What is wrong with a policy, where, and what to do about it."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class InvalidPolicy(ValueError):
    """An option of a policy makes no sense, by itself or beside the others.

    Args:
        where: The option.
        problem: What it is, and what was expected; goes on from its name.
        fix: What to do about it: a sentence.
        place: What stands before all this, such as the file and the line.

    Attributes:
        where: The option, such as "ttl", "warm.rate" or, in a file, "entity.Article.ttl".
        problem: What is wrong with it.
        fix: What to do about it.
        place: Where that is written; "" where it is not in a file.
        others: What else is wrong.
    """

    others: tuple[InvalidPolicy, ...] = ()

    def __init__(self, where: str, problem: str, fix: str, place: str = "") -> None:
        super().__init__(where, problem, fix, place)  # all of them, so that it can be pickled
        self.where = where
        self.problem = problem
        self.fix = fix
        self.place = place

    def at(self, where: str, place: str) -> InvalidPolicy:
        """The same, with the whole name of the option, and where that is written."""
        return InvalidPolicy(where, self.problem, self.fix, place)

    def __str__(self) -> str:
        before = f"{self.place}: " if self.place else ""
        return f"{before}{self.where} {self.problem}. {self.fix}"


def unknown(where: str, name: str, known: Iterable[str], what: str) -> InvalidPolicy:
    """The refusal of a name that is none of those that are known."""
    names = list(known)
    near = nearest(name, names)
    fix = f"Did you mean {near}?" if near else "Leave it out, or write one of them."
    return InvalidPolicy(where, f"is no {what}; expected {one_of(names)}", fix)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant by this one; None where there is none near."""
    names = {each.lower().replace("_", "-"): each for each in known}
    wanted = name.lower().replace("_", "-").replace(" ", "-")
    found = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def one_of(names: Iterable[str]) -> str:
    """Names as a sentence lists them."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def shown(value: Any) -> str:
    """A value as it stands in a message: texts in the quotes that TOML and Python both know."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
