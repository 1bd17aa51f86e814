"""What MessagePack has no form for, in extensions: tuples, sets, big ints, times, Decimals.

msgspec writes such a part as the nearest form that MessagePack has, and calls no hook. So when that
changed a value, `proof` tries again with each such part marked: it becomes an extension whose code
names the type and whose bytes are, in MessagePack, what the type is made from.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class _Marked:
    """A part that becomes an extension."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def marked(value: Any) -> Any:
    """The value with every part marked that `encode` shall write as an extension."""
    kind = type(value)
    if kind is list:
        return [marked(member) for member in value]
    if kind is dict:
        return {marked(key): marked(member) for key, member in value.items()}
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _Marked(value)
    return _Marked(value) if kind in _FORMS else value


def _extension(value: Any) -> msgspec.msgpack.Ext:
    if type(value) is _Marked:
        value = value.value
    if type(value) not in _FORMS:
        raise TypeError(f"there is no form for type {type(value).__qualname__}")
    code, parts, _ = _FORMS[type(value)]
    return msgspec.msgpack.Ext(code, encode(marked(parts(value))))


def value_of(code: int, data: memoryview) -> Any:
    """What an extension stands for; the hook of decoders."""
    return _BUILD[code](_decode(data))


def _moment_parts(moment: dt.datetime | dt.time) -> list[Any]:
    return [moment.replace(tzinfo=None).isoformat(), moment.fold, moment.tzinfo]


def _moment(kind: Any, text: str, fold: int, zone: dt.tzinfo | None) -> Any:
    return kind.fromisoformat(text).replace(fold=fold, tzinfo=zone)


# The codes are in stored bytes: they never change. Parts come from outside, so a constructor here
# must refuse what is not its own, and must not do much work for few bytes.
_FORMS: dict[type, tuple[int, Callable[[Any], Any], Callable[[Any], Any]]] = {
    tuple: (1, list, tuple),
    set: (2, list, set),
    frozenset: (3, list, frozenset),
    bytearray: (4, bytes, lambda parts: bytearray(memoryview(parts))),
    int: (
        5,
        lambda number: number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True),
        lambda parts: int.from_bytes(parts, "big", signed=True),
    ),
    complex: (6, lambda number: [number.real, number.imag], lambda parts: complex(*parts)),
    Decimal: (7, str, Decimal),
    Fraction: (8, Fraction.as_integer_ratio, lambda parts: Fraction(parts[0], parts[1])),
    range: (9, lambda numbers: [numbers.start, numbers.stop, numbers.step], lambda p: range(*p)),
    UUID: (10, lambda uuid: uuid.bytes, lambda parts: UUID(bytes=parts)),
    dt.date: (11, dt.date.isoformat, dt.date.fromisoformat),
    dt.time: (12, _moment_parts, lambda parts: _moment(dt.time, *parts)),
    dt.datetime: (13, _moment_parts, lambda parts: _moment(dt.datetime, *parts)),
    dt.timedelta: (
        14,
        lambda span: [span.days, span.seconds, span.microseconds],
        lambda parts: dt.timedelta(*parts),
    ),
    dt.timezone: (15, lambda zone: zone.utcoffset(None), dt.timezone),
    ZoneInfo: (16, lambda zone: zone.key, ZoneInfo),
}
_BUILD = {code: build for code, _, build in _FORMS.values()}
encode = msgspec.msgpack.Encoder(enc_hook=_extension).encode
"""The bytes of a value, with an extension for what is marked and what msgspec does not know."""
_decode = msgspec.msgpack.Decoder(ext_hook=value_of).decode
