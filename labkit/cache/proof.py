"""What makes a value safe to store: its bytes are read back once, and compared with it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from labkit.cache.marks import marked
from labkit.cache.serializers import MessagePack, Undecodable, Unserializable, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from labkit.cache.serializers import Serializer

_BY_VALUE = frozenset(
    {type(None), bool, int, str, bytes, bytearray, dt.date, dt.timedelta, UUID, Fraction, range}
)
# NaN is itself; 0.0 and -0.0 are two, and so are Decimal("1.0") and Decimal("1.00").
_BY_TEXT = frozenset({float, complex, Decimal, dt.timezone, ZoneInfo})


def prove(serializer: Serializer, value: Any) -> bytes:
    """The bytes of a value that were read back once, and were equal, in type too.

    One thing may change: an int comes back as a float where an annotation says float.

    Raises:
        Unserializable: They were not; the message says where, and what to do.
    """
    try:
        return _proved(serializer, value, value)
    except Unserializable as why:
        if not isinstance(serializer, MessagePack):
            raise
        try:
            return _proved(serializer, marked(value), value)
        except RecursionError:
            raise why from None
        except Unserializable as why_still:
            # To a type, marked parts are one more surprise; without one, only what is left is told.
            raise (why_still if serializer.type is Any else why) from None


def _proved(serializer: Serializer, form: Any, value: Any) -> bytes:
    payload = serializer.dumps(form)
    try:
        changed = _changed(value, serializer.loads(payload))
    except (Undecodable, RecursionError) as error:
        raise refusal(serializer, value, error) from error
    if changed:
        raise refusal(serializer, value, f"value{changed}")
    return payload


def _changed(kept: Any, back: Any) -> str:
    """The first difference and the path that leads to it, in words; empty where there is none."""
    kind: Any = type(kept)
    if type(back) is not kind:
        if kind is int and type(back) is float and kept == back:
            return ""
        return f" is of type {kind.__qualname__} and comes back as {type(back).__qualname__}"
    if kind in _BY_VALUE or isinstance(kept, enum.Enum):
        same = kept == back
    elif kind in _BY_TEXT:
        same = repr(kept) == repr(back)
    elif kind is dt.datetime or kind is dt.time:
        same = _moment_text(kept) == _moment_text(back)
    elif isinstance(kept, (set, frozenset)):
        same = _same_members(kept, back)
    elif isinstance(kept, dict) and len(kept) == len(back):
        return _changed_item(kept, back)
    elif isinstance(kept, (list, tuple)) and len(kept) == len(back):
        return _changed_member(kept, back)
    elif isinstance(kept, (dict, list, tuple)):
        same = False
    else:
        return _changed_field(kept, back)
    return "" if same else f" is of type {kind.__qualname__} and comes back as another"


def _changed_member(kept: Sequence[Any], back: Sequence[Any]) -> str:
    for index, (one, other) in enumerate(zip(kept, back, strict=True)):
        if found := _changed(one, other):
            return f"[{index}]{found}"
    return ""


def _changed_item(kept: dict[Any, Any], back: dict[Any, Any]) -> str:
    for (key, one), (other_key, other) in zip(kept.items(), back.items(), strict=True):
        if found := _changed(key, other_key):
            return f", key {key!r}{found}"
        if found := _changed(one, other):
            return f"[{key!r}]{found}"
    return ""


def _changed_field(kept: Any, back: Any) -> str:
    kind: Any = type(kept)
    # An object that is no record came back as one of its own type: its serializer knows it best.
    for name in _fields(kind):
        if found := _changed(getattr(kept, name, None), getattr(back, name, None)):
            return f".{name}{found}"
    return ""


def _same_members(kept: AbstractSet[Any], back: AbstractSet[Any]) -> bool:
    mates = {member: member for member in back}
    return len(kept) == len(back) and all(
        member in mates and not _changed(member, mates[member]) for member in kept
    )


@functools.lru_cache
def _fields(kind: Any) -> tuple[str, ...]:
    """The names of the fields of a Struct, a dataclass or an attrs class."""
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return tuple(field.name for field in getattr(kind, "__attrs_attrs__", ()))


def _moment_text(moment: dt.datetime | dt.time) -> tuple[str, int, str]:
    # By the name of its zone, so that ZoneInfo("UTC") may come back as datetime.UTC.
    return moment.replace(tzinfo=None).isoformat(), moment.fold, str(moment.tzinfo)
