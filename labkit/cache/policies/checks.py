"""What an option takes: one check for each kind of value, the same from Python and from a file."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from labkit.cache.options import checked_tags
from labkit.cache.policies.refusals import InvalidPolicy, nearest, one_of, shown, unknown
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"ms": "ms", "s": "s", "sec": "s", "m": "m", "min": "m", "h": "h", "hr": "h", "d": "d"}
_UNITS |= {word: word[0] for word in ("second", "minute", "hour", "day")}
_SPELLED = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+?)s?\.?\s*")


@dataclasses.dataclass(frozen=True)
class Check:
    """What an option takes.

    Attributes:
        read: Makes the value of what was given; raises ValueError or TypeError where it cannot be.
        expected: What should have been given.
        hint: A sentence that says what to write in place of a wrong value.
        optional: Whether None is a value too.
    """

    read: Callable[[Any], Any]
    expected: str
    hint: Callable[[Any], str]
    optional: bool = False

    def value(self, where: str, given: Any) -> Any:
        """The value of what was given.

        Raises:
            InvalidPolicy: It is none.
        """
        if given is None and self.optional:
            return None
        try:
            return self.read(given)
        except (TypeError, ValueError):
            expected = self.expected
            if self.optional:
                expected += ', or None ("none" in a file)'
            problem = f"is {shown(given)}; expected {expected}"
            raise InvalidPolicy(where, problem, self.hint(given)) from None


class Checked:
    """A dataclass whose fields are checked, and each brought into one form.

    Attributes:
        options: What each field takes.
        table: What stands before the names of fields; "" for a policy itself.
    """

    options: ClassVar[Mapping[str, Check]] = {}
    table: ClassVar[str] = ""

    def __post_init__(self) -> None:
        wrong: list[InvalidPolicy] = []
        for name, check in self.options.items():
            try:
                value = check.value(self.where(name), getattr(self, name))
            except InvalidPolicy as error:
                wrong.append(error)
            else:
                object.__setattr__(self, name, value)  # it is frozen from here on
        wrong = wrong or list(self.contradictions())
        if wrong:
            wrong[0].others = tuple(wrong[1:])
            raise wrong[0]

    def contradictions(self) -> Iterable[InvalidPolicy]:
        """What does not go together, although each field by itself would do."""
        return ()

    @classmethod
    def where(cls, name: str) -> str:
        """A field as messages name it."""
        return f"{cls.table}.{name}" if cls.table else name

    @classmethod
    def of(cls, name: str) -> Check:
        """What a field takes.

        Raises:
            InvalidPolicy: There is no such field.
        """
        if name not in cls.options:
            raise unknown(
                cls.where(name), name, cls.options, f"option of {cls.table or 'a policy'}"
            )
        return cls.options[name]


def time(*, zero: bool = False, optional: bool = False, same: bool = False) -> Check:
    """A duration, in seconds; the text "same" where that has a meaning."""

    def read(given: Any) -> float | str:
        if same and given == "same":
            return "same"
        found = duration(given)
        if not found and not zero:
            raise ValueError(given)
        return found

    above = "a duration" if zero else "a duration above 0"
    expected = f'{above} such as "10m", "90s" or "2h5m", or seconds as a number'

    def hint(given: Any) -> str:
        try:
            duration(given)
        except (TypeError, ValueError):
            return _spelled(given)
        return 'Write a longer one, such as "1s", or leave it out.'  # it is 0

    return Check(read, expected + (', or "same"' if same else ""), hint, optional)


def _spelled(given: Any) -> str:
    """What somebody may have meant by a duration that is none."""
    match = _SPELLED.fullmatch(given) if isinstance(given, str) else None
    if match and (unit := _UNITS.get(match[2].lower())):
        return f'Did you mean "{match[1]}{unit}"?'
    if isinstance(given, (int, float)) and not isinstance(given, bool) and given < 0:
        return f"Write {shown(-given)} if that is what you meant; a time is never negative."
    return "The units are d, h, m, s and ms, the largest first."


def share() -> Check:
    """A share of a whole, the whole itself excluded."""
    return _number(lambda n: 0 <= n < 1, "a share from 0 up to below 1, such as 0.1")


def number(*, zero: bool = False, optional: bool = False) -> Check:
    """A finite number, above 0 or from 0 on."""
    if zero:
        return _number(lambda n: 0 <= n < math.inf, "a number of 0 or more", optional)
    return _number(lambda n: 0 < n < math.inf, "a number above 0", optional)


def _number(fits: Callable[[float], bool], expected: str, optional: bool = False) -> Check:
    def read(given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not fits(given):
            raise ValueError(given)
        return float(given)

    def hint(given: Any) -> str:
        if isinstance(given, str):
            text = given.strip()
            percent = text.removesuffix("%")
            try:
                meant = float(percent) / (100 if percent != text else 1)
            except ValueError:
                return "Write a number without quotes."
            if fits(meant):
                return f"Write {meant:g}, without quotes."
        elif isinstance(given, (int, float)) and not isinstance(given, bool):
            if fits(given / 100) and "share" in expected:
                return f"Did you mean {given / 100:g}, which is {given:g} in a hundred?"
            if given < 0 and fits(-given):
                return f"Write {-given:g} if that is what you meant."
        return f"Write {expected}."

    return Check(read, expected, hint, optional)


def whole(least: int, most: int | None = None, *, optional: bool = False) -> Check:
    """A whole number within bounds."""
    upto = f"from {least} up to {most:,}" if most else f"of {least} or more"

    def read(given: Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int):
            raise TypeError(given)
        if given < least or (most is not None and given > most):
            raise ValueError(given)
        return given

    def hint(given: Any) -> str:
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            if most is not None and given > most:
                return f"Write {most} for as many as there may be."
            if given < least:
                return f"Write {least} for as few as there may be."
        return "Write it without quotes and without a point."

    return Check(read, f"a whole number {upto}", hint, optional)


def flag() -> Check:
    """Yes or no."""

    def read(given: Any) -> bool:
        if not isinstance(given, bool):
            raise TypeError(given)
        return given

    return Check(read, "True or False (true or false in a file)", lambda _: "Write no quotes.")


def choice(names: Iterable[str]) -> Check:
    """One of several names."""
    known = tuple(names)

    def read(given: Any) -> str:
        if given not in known:
            raise ValueError(given)
        return str(given)

    def hint(given: Any) -> str:
        near = nearest(given, known) if isinstance(given, str) else None
        return f"Did you mean {shown(near)}?" if near else f"The first, {known[0]}, fits most."

    return Check(read, one_of(map(shown, known)), hint)


def texts(what: str) -> Check:
    """Several texts, each once, in their order."""

    def read(given: Any) -> tuple[str, ...]:
        if isinstance(given, Mapping) or not isinstance(given, Iterable):
            raise TypeError(given)
        found = checked_tags(given)
        if len(set(found)) < len(found):
            raise ValueError(given)
        return found

    def hint(given: Any) -> str:
        if isinstance(given, str):
            return f"Write [{shown(given)}]."
        return "Write texts that are not empty, and none of them twice."

    return Check(read, f'several {what}, each a text, such as ["{what[:-1]}"]', hint)


def path() -> Check:
    """Where a file is; None for none."""

    def read(given: Any) -> str:
        found = os.fspath(given)
        if not isinstance(found, str) or not found or "\0" in found:
            raise ValueError(given)
        return found

    return Check(
        read, "the path of a file", lambda _: 'Write one such as "warm/articles.txt".', True
    )


def part(kind: type[Any]) -> Check:
    """A group of options; None for none."""
    name = kind.__name__

    def read(given: Any) -> Any:
        if not isinstance(given, kind):
            raise TypeError(given)
        return given

    def hint(given: Any) -> str:
        options = ", ".join(f"{each}=..." for each in list(kind.options)[:2])
        return f"Write {name}({options}); in a file a table with that name."

    return Check(read, f"a {name}", hint, True)
