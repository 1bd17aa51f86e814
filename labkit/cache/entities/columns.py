"""What the columns of a model hold, and how each of them is stored."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import operator
import sys
import types
import typing
from decimal import Decimal
from fractions import Fraction
from inspect import get_annotations
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec import inspect
from sqlalchemy import JSON
from sqlalchemy.ext.mutable import MutableDict, MutableList, MutableSet
from sqlalchemy.orm import Mapped

from labkit.cache.entities.fingerprints import shape_of
from labkit.cache.serializers import MessagePack, Serializer, Undecodable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import ColumnProperty

# Types of columns that say little of what is in them: an annotation says more.
_VAGUE = (object, list, dict)
# A type is needed to read these back; any other value names its type in MessagePack itself.
_NAMED = (
    inspect.EnumType,
    inspect.StructType,
    inspect.DataclassType,
    inspect.NamedTupleType,
)
# What watches the values of a column for changes, and what those are without it.
WATCHED: tuple[tuple[type, type], ...] = (
    (MutableDict, dict),
    (MutableList, list),
    (MutableSet, set),
)
# What msgspec does not know, and `labkit.cache.marks` does.
_MARKED = (complex, range, Fraction, ZoneInfo, dt.timezone)


def type_of(column: ColumnProperty[Any]) -> Any:
    """The type of the values of a column besides None; Any where nothing says it.

    It is what the type of the column says. Where that says nothing, as a `TypeDecorator` does, it
    is what the attribute is annotated with.
    """
    told: Any = column.columns[0].type.python_type
    if told in _VAGUE:
        told = _annotated(column.parent.class_, column.key) or told
    return Any if told is object else told


def key_type(column: ColumnProperty[Any]) -> Any:
    """The type of the ids in a column: what a text is read as.

    Where the annotation says another than the type of the column, callers go by the annotation, and
    rows by the column: it is what is annotated, as an `Annotated` type, which is no plain class
    that each id has to be of. An int over `Numeric(10, 0)` is one: whole numbers are taken for it.
    """
    told = type_of(column)
    said = _annotated(column.parent.class_, column.key)
    if (said, told) == (int, Decimal):
        return int
    if told is Any or said is told or not isinstance(said, type):
        return told
    return typing.Annotated[said, "or what its column makes of it"]


def shape(column: ColumnProperty[Any]) -> str:
    """A column in words: another text wherever its stored values would read otherwise.

    Raises:
        TypeError: Its values cannot be read back.
    """
    told = _kept(column)
    what = f"Enum({sorted(told.__members__)})" if _is_enum(told) else _readable(column, told)
    return f"{column.key}: {column.columns[0].type!r} {what}"


def serializer(column: ColumnProperty[Any], base: Serializer) -> Serializer:
    """What stores the values of a column, in the format of another serializer."""
    told = _kept(column)
    if _is_enum(told):
        return _ByName(told, base)
    if told is Any:
        return base
    if isinstance(base, MessagePack) and not any(isinstance(each, _NAMED) for each in _parts(told)):
        return base  # it keeps more of a value than one for a type: the name of a time's zone, too
    return base.for_type(told | None)


def _kept(column: ColumnProperty[Any]) -> Any:
    """The type that the values of a column are stored as.

    What a column of plain JSON holds comes back without one, whatever its annotation promises.
    """
    return Any if isinstance(column.columns[0].type, JSON) else type_of(column)


class _ByName:
    """Stores members of an Enum by their names, as SQLAlchemy does; their values may be anything.

    Args:
        members: The Enum.
        base: What stores the names.
    """

    def __init__(self, members: type[enum.Enum], base: Serializer) -> None:
        self._members = members
        self._base = base

    def dumps(self, value: Any) -> bytes:
        # What is no member comes back as None, and is refused by that.
        return self._base.dumps(value.name if isinstance(value, self._members) else None)

    def loads(self, payload: bytes) -> Any:
        name = self._base.loads(payload)
        if name is None:
            return None
        if not isinstance(name, str) or name not in self._members.__members__:
            raise Undecodable(f"{name!r} is no name in {self._members.__name__}")
        return self._members[name]

    def for_type(self, annotation: Any) -> Serializer:
        return self

    def __repr__(self) -> str:
        return f"{type(self._base).__name__}({self._members.__name__})"


def _annotated(model: type, field: str) -> Any:
    """What an attribute is annotated with, without `Mapped` and None; None: with nothing."""
    try:
        for owner in model.__mro__:
            if field in (found := get_annotations(owner)):
                return _plain(_without_none(_resolved(found[field], owner.__module__)))
    except Exception:  # a name is not there at run time: it is imported for type checkers only
        return None
    return None


def _resolved(annotation: Any, module: str) -> Any:
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    told = typing.get_type_hints(holder, vars(sys.modules[module]))["it"]
    origin = typing.get_origin(told)
    mapped = isinstance(origin, type) and issubclass(origin, Mapped)
    return typing.get_args(told)[0] if mapped else told


def _without_none(told: Any) -> Any:
    if typing.get_origin(told) not in (typing.Union, types.UnionType):
        return told
    others = [each for each in typing.get_args(told) if each is not type(None)]
    return functools.reduce(operator.or_, others)


def _plain(told: Any) -> Any:
    """A type in words that msgspec knows, down to its parts.

    Nothing watches what is stored, and neither `object` nor the name of a type, as in an alias that
    has itself in it, says more than Any.
    """
    if told is object or isinstance(told, str | typing.ForwardRef):
        return Any
    origin, parts = typing.get_origin(told), typing.get_args(told)
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_plain, parts))
    if parts and origin is not typing.Literal:
        return _unwatched(origin)[tuple(map(_plain, parts))]
    return _unwatched(told)


def _unwatched(told: Any) -> Any:
    if not isinstance(told, type):
        return told
    return next((plain for watched, plain in WATCHED if issubclass(told, watched)), told)


def _is_enum(told: Any) -> bool:
    return isinstance(told, type) and issubclass(told, enum.Enum)


def _readable(column: ColumnProperty[Any], told: Any) -> str:
    """The shape of a type, if its values can be read back."""
    try:
        unknown = [each for each in _parts(told) if isinstance(each, inspect.CustomType)]
        if all(each.cls in _MARKED for each in unknown):
            return shape_of(told)
    except (TypeError, RecursionError) as error:
        raise _refusal(column, told) from error
    raise _refusal(column, told)


def _parts(told: Any) -> Iterator[inspect.Type]:
    """What msgspec makes of a type, and of what that is made of.

    A TypedDict is made of its fields, as its values are dicts; a class is not.
    """
    waiting, seen = [inspect.type_info(told)], set()
    while waiting:
        info: Any = waiting.pop()
        yield info
        if isinstance(info, inspect.TypedDictType) and info.cls not in seen:
            seen.add(info.cls)
            waiting += [field.type for field in info.fields]
        inner = [getattr(info, each, None) for each in ("type", "item_type", "key_type")]
        inner += [getattr(info, "value_type", None), *getattr(info, "item_types", ())]
        waiting += [each for each in [*inner, *getattr(info, "types", ())] if each is not None]


def _refusal(column: ColumnProperty[Any], told: Any) -> TypeError:
    where = f"{column.parent.class_.__name__}.{column.key}"
    named = getattr(told, "__qualname__", told) if isinstance(told, type) else told
    return TypeError(
        f"{where} holds values of type {named}, which cannot be stored and read back; let "
        f"{column.columns[0].type!r} make a dataclass, an msgspec.Struct, an Enum or a plain value "
        "of them, or cache a dataclass with the fields that you need"
    )
