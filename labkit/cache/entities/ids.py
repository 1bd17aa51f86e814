"""What the ids of entities may be: of the type that their class says, so that each has one key.

The keys of 2, "2", 2.0 and True are four, and a write of 2 reaches that of 2 alone.
"""

# ruff: noqa: A002 - an id is called id, and a type type

from __future__ import annotations

import collections.abc
import datetime as dt
import operator
import types
import typing
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from labkit.cache.entities.kinds import field_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.cache.entities.kinds import Kind

# Of other classes an id may be an object of a subclass, as a PosixPath is a Path.
_PLAIN = frozenset(
    {
        *(bool, int, float, str, bytes, Decimal, UUID),
        *(dt.date, dt.datetime, dt.time, dt.timedelta),
    }
)
_SEVERAL = (list, set, frozenset, collections.abc.Sequence)
_UNIONS = (typing.Union, types.UnionType)


class Ids:
    """The ids of one kind of entities.

    Args:
        kind: The kind.

    Attributes:
        type: What each id is an object of; None where that is not known, or the id has several
            fields. Whoever compares it first asks `plain` for the rest alone.
    """

    def __init__(self, kind: Kind[Any]) -> None:
        self._name = kind.name
        self._fields = kind.id
        alone = len(kind.id) == 1  # and then it is never None, whatever its field may be before
        self._types = [plain_type(kind, field, optional=alone) for field in kind.id]
        self.type = self._types[0] if alone else None

    def plain(self, id: Any, where: str | None = None) -> Any:
        """The id, of the very type that it has in keys.

        What says the same is taken for it: an object of a subclass of int, str or UUID, a NumPy
        integer, a whole Decimal for an int, and a named tuple or a list for a tuple.

        Args:
            id: An id.
            where: What leads to it, where nobody has given it.

        Raises:
            TypeError: It is of another type.
        """
        found = id if self._fits(id) else self._converted(id)
        if self._fits(found):
            return found
        told = f"the id of {self._name} is" if where is None else f"{where} leads to"
        raise TypeError(
            f"{told} {id!r}, of type {type(id).__qualname__}; expected {self._wanted()}, "
            "so that each has one key"
        )

    def distinct(self, ids: Iterable[Any], where: str | None = None) -> list[Any]:
        """The ids, each once, in their order.

        Raises:
            TypeError: One is of another type.
        """
        own = self.type
        some = [each if type(each) is own else self.plain(each, where) for each in ids]
        return list(dict.fromkeys(some))

    def _converted(self, id: Any) -> Any:
        if len(self._types) == 1:
            return _as(self.type, id)
        if not isinstance(id, (tuple, list)) or len(id) != len(self._types):
            return None
        return tuple(_as(kind, each) for kind, each in zip(self._types, id, strict=True))

    def _fits(self, id: Any) -> bool:
        if len(self._types) == 1:
            return self.type is None or type(id) is self.type
        return (
            type(id) is tuple
            and len(id) == len(self._types)
            and all(
                kind is None or type(each) is kind
                for each, kind in zip(id, self._types, strict=True)
            )
        )

    def _wanted(self) -> str:
        names = ["any" if each is None else each.__qualname__ for each in self._types]
        if len(names) == 1:
            return f"type {names[0]}"
        pairs = zip(self._fields, names, strict=True)
        return f"a tuple of {', '.join(f'{field} ({name})' for field, name in pairs)}"


def _as(kind: type | None, value: Any) -> Any:
    """A value as an object of a type, where that says the same; else the value itself."""
    if type(value) is kind or kind is None:
        return value
    if kind is int and not isinstance(value, bool) and hasattr(value, "__index__"):
        return int(operator.index(value))
    if kind is int and isinstance(value, Decimal) and value.is_finite() and value == int(value):
        return int(value)
    if kind is str and isinstance(value, str):
        return str.__getitem__(value, slice(None))
    if kind is UUID and isinstance(value, UUID):
        return UUID(int=value.int)
    return value


def plain_type(
    kind: Kind[Any], field: str, *, optional: bool = True, several: bool = False
) -> type | None:
    """What each value of a field is an object of, and of no subclass; None: nobody knows.

    Args:
        kind: Whose field it is.
        field: Its name.
        optional: Whether one that may be None counts as well, by what it is else.
        several: Whether that is asked of the members of its values.
    """
    try:
        found = field_type(kind.type, field)
    except Exception:  # a name that is not there at run time; a column that is of no type of Python
        return None
    if several:
        members = typing.get_args(found) if typing.get_origin(found) in _SEVERAL else ()
        found = members[0] if members else Any
    return _plain(found, optional)


def _plain(annotation: Any, optional: bool) -> type | None:
    while isinstance(annotation, typing.NewType):
        annotation = annotation.__supertype__
    if typing.get_origin(annotation) in _UNIONS:
        others = [each for each in typing.get_args(annotation) if each is not types.NoneType]
        alone = optional and len(others) == 1
        return _plain(others[0], optional) if alone else None
    if isinstance(annotation, type) and (annotation in _PLAIN or issubclass(annotation, Enum)):
        return annotation
    return None


def unmade(id: Any) -> bool:
    """Whether an id, or a part of it, is still to be made, as a database does."""
    return id is None or (type(id) is tuple and None in id)
