"""The text of values that hold no others: numbers, text, bytes, times, UUIDs, paths, ranges."""

from __future__ import annotations

import datetime as dt
import pathlib
import re
import uuid
import zoneinfo
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from labkit.cache.keys.names import an, full_name
from labkit.cache.keys.refusals import NoText

if TYPE_CHECKING:
    from collections.abc import Callable

_VAST = 1 << 128  # Python limits how many decimal digits it writes, by a setting; hex has no limit
_WORD = re.compile(r"(?!(?:True|False|None|inf|nan)\Z)[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_ESCAPED = re.compile(r"[^!-~]|['#%<>]")


def write_string(value: str) -> str:
    """A text: as it is where it is a word, else in quotes."""
    return value if _WORD.fullmatch(value) else quote(value)


def quote(value: str) -> str:
    """A text in quotes, with all that is not plain escaped as in a URL."""
    return f"'{_ESCAPED.sub(_escape, value)}'"


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _bytes(value: bytes) -> str:
    escaped = _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", value.decode("latin-1"))
    return f"b'{escaped}'"


def write_integer(value: int) -> str:
    """An integer; a vast one in hex."""
    return repr(value) if -_VAST < value < _VAST else hex(value)


def write_number(value: Any) -> str:
    """The one text of all numbers that are equal to this one."""
    if isinstance(value, complex):
        if value.imag == 0:
            return write_number(value.real)
        return f"complex({write_number(value.real)},{write_number(value.imag)})"
    try:
        above, below = value.as_integer_ratio()
    except ValueError:
        return "nan"
    except OverflowError:
        return "inf" if value > 0 else "-inf"
    if below == 1:
        return write_integer(above)
    try:
        nearest = above / below
    except OverflowError:
        nearest = 0.0
    if nearest.as_integer_ratio() == (above, below):
        return repr(nearest)
    return f"Fraction({write_integer(above)},{write_integer(below)})"


def _moment(value: dt.datetime | dt.time) -> str:
    fold = ",fold=1" if value.fold else ""
    return f"{type(value).__name__}({value.isoformat()}{_zone(value.tzinfo)}{fold})"


def _zone(zone: dt.tzinfo | None) -> str:
    """What a time's own text does not say of its zone."""
    if zone is None:
        return ""
    if type(zone) is dt.timezone:
        name = zone.tzname(None)
        usual = dt.timezone(zone.utcoffset(None)).tzname(None)
        return "" if name == usual else f",name={write_string(name)}"
    if type(zone) is zoneinfo.ZoneInfo and zone.key:
        return f",zone={write_string(zone.key)}"
    raise NoText(
        f"a time whose zone is {an(full_name(type(zone)))}",
        "a key needs datetime.timezone or a zoneinfo.ZoneInfo that has a name",
    )


def _path(value: pathlib.PurePath) -> str:
    return f"{type(value).__name__}({write_string(str(value))})"


# What writes a value of just this type; UNTYPED writes equal numbers alike.
SCALARS: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    bool: repr,
    int: write_integer,
    float: repr,
    str: write_string,
    bytes: _bytes,
    bytearray: lambda value: f"bytearray({_bytes(value)})",
    complex: lambda value: f"complex({value.real!r},{value.imag!r})",
    Decimal: lambda value: f"Decimal({str(value).upper()})",  # a context may write 1e+3 or 1E+3
    Fraction: lambda value: (
        f"Fraction({write_integer(value.numerator)},{write_integer(value.denominator)})"
    ),
    dt.datetime: _moment,
    dt.time: _moment,
    dt.date: lambda value: f"date({value})",
    dt.timedelta: lambda value: f"timedelta({value.days},{value.seconds},{value.microseconds})",
    uuid.UUID: lambda value: f"UUID({value})",
    range: lambda value: (
        f"range({','.join(map(write_integer, (value.start, value.stop, value.step)))})"
    ),
    pathlib.PurePosixPath: _path,
    pathlib.PureWindowsPath: _path,
    pathlib.PosixPath: _path,
    pathlib.WindowsPath: _path,
}
UNTYPED = {**SCALARS, **dict.fromkeys((bool, float, complex, Decimal, Fraction), write_number)}
