"""What may be written and asked for: every argument is checked before the database sees it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MOST_IDS = 10_000
"""How many rows one question may name; databases have a bound of their own, not far above."""

_LARGEST = 2**63 - 1  # that the databases have room for


def number(name: str, value: Any) -> int:
    """The number of a row; one that is too large for any becomes one that is there for none.

    Raises:
        TypeError: It is no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; expected a whole number")
    return min(max(value, -_LARGEST), _LARGEST)


def numbers(name: str, values: Iterable[Any]) -> list[int]:
    """The numbers of rows, each once.

    Raises:
        TypeError: One is no whole number.
        ValueError: They are too many for one question.
    """
    found = list(dict.fromkeys(number(f"one of {name}", value) for value in values))
    if len(found) > MOST_IDS:
        raise ValueError(f"{name} has {len(found)} numbers; ask for at most {MOST_IDS} at a time")
    return found


def count(name: str, value: Any, least: int = 1) -> int:
    """How many of something.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is less than `least`.
    """
    if number(name, value) < least:
        raise ValueError(f"{name} is {value!r}; expected a whole number from {least}")
    return number(name, value)


def text(name: str, value: Any) -> str:
    """A text that a database can keep, and that says something.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty, or has characters that databases refuse.
    """
    if not storable(name, value).strip():
        raise ValueError(f"{name} is {value!r}; expected text that is not empty")
    return str(value)


def storable(name: str, value: Any) -> str:
    """A text that a database can keep, which may be empty.

    Raises:
        TypeError: It is no text.
        ValueError: It has characters that databases refuse.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; expected text")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name} is {value!r}; expected text without NUL and without surrogates")
    return value


def one_of(name: str, value: Any, accepted: Collection[Any]) -> None:
    """Refuse what is none of a few values.

    Raises:
        ValueError: It is another one.
    """
    if value not in accepted:
        expected = ", ".join(map(repr, accepted))
        raise ValueError(f"{name} is {value!r}; expected one of {expected}")


def tag(name: str, value: Any) -> str:
    """The name of a tag: a text in one line.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty or has control characters in it.
    """
    if any(character < " " for character in text(name, value)):
        raise ValueError(f"{name} is {value!r}; expected text without control characters")
    return str(value)


def tags(values: Any) -> tuple[str, ...]:
    """The tags of an article, each once, in alphabetical order.

    Raises:
        TypeError: They are one text, or one of them is no text.
        ValueError: One of them is no name for a tag.
    """
    if isinstance(values, str):
        raise TypeError(f"tags is the text {values!r}; expected several tags: [{values!r}]")
    return tuple(sorted({tag("a tag", value) for value in values}))


def moment(name: str, value: Any) -> float:
    """Seconds since the epoch.

    Raises:
        TypeError: It is no number.
        ValueError: It is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is {value!r}; expected seconds since the epoch")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; expected finite seconds since the epoch")
    return float(value)
