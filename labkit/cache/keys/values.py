"""Any value as text: the same for equal values everywhere, never the same for two others.

`encode` writes values so:

    None True False 1 1.0 inf word      as they are
    'two%20words' b'%00'                other text, and bytes: escaped as in a URL
    [1,2] (1,2) {a=1} set(1,2)          containers; the order of dicts and sets does not count
    date(2026-11-23) Decimal(1.00)      what Python brings along
    app.models.Point(x=1,y=2)           objects, by the full name of their class
    class(app.models.Point)             classes and functions themselves

Outside quotes and brackets there are only letters, digits and `_.+-`, and `#`, `<` and `>` appear
nowhere: that is what `Template` and shortened keys build on.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import types
from collections import OrderedDict
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from labkit.cache.keys.names import an, full_name, module_of
from labkit.cache.keys.refusals import NEEDED, NoText, Unkeyable
from labkit.cache.keys.scalars import (
    SCALARS,
    UNTYPED,
    quote,
    write_integer,
    write_number,
    write_string,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_DEEPEST = 50
_CLASS_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_FEW = "a key needs the few values of it that tell calls apart, such as a tuple"
_NUMBERS = (int, float, complex, Decimal, Fraction)
_NUMPY_NUMBERS = ("numpy.number", "numpy.bool", "numpy.bool_")  # numpy itself is not imported


def encode(value: object, *, typed: bool = True) -> str:
    """The canonical text of a value: equal texts mean equal values of equal types.

    `-0.0` differs from `0.0`, `Decimal("1.0")` from `Decimal("1.00")`, an aware time from the same
    moment in another zone, and an object of a subclass from one of its base. Every field of a
    dataclass counts, also those that `==` leaves out.

    Args:
        value: None, numbers, text, bytes, times, UUIDs, paths, ranges, enum members, numpy scalars;
            tuples, lists, dicts, sets; dataclasses, msgspec Structs, named tuples; classes and
            functions that can be imported; objects with a method `__cache_key__` that returns any
            of these.
        typed: False writes equal numbers alike: 1, 1.0 and True.

    Raises:
        Unkeyable: The value is or holds something else, or holds itself.
    """
    try:
        return write(value, typed)
    except NoText as refused:
        raise Unkeyable(refused.about("the value")) from None


def write(value: object, typed: bool) -> str:
    """The text of a value, for those who say themselves what it is the value of.

    Raises:
        NoText: It has none; `path` leads to the part that is at fault.
    """
    scalar = (SCALARS if typed else UNTYPED).get(type(value))
    if scalar is not None:
        return scalar(value)
    writer = _Writer(typed)
    try:
        return writer.text(value)
    except NoText as refused:
        refused.path = "".join(step.format(thing) for step, thing in writer.path)
        raise


class _Writer:
    """Writes one value; `path` leads to the part that is being written."""

    def __init__(self, typed: bool) -> None:
        self.path: list[tuple[str, object]] = []
        self._typed = typed
        self._scalars = SCALARS if typed else UNTYPED

    def text(self, value: Any) -> str:
        scalar = self._scalars.get(type(value))
        if scalar is not None:
            return scalar(value)
        if len(self.path) >= _DEEPEST:
            self.path.clear()
            raise NoText(f"more than {_DEEPEST} containers deep, or holds itself")
        container = _CONTAINERS.get(type(value))
        return container(self, value) if container is not None else self._other(value)

    def items(self, values: Iterable[Any]) -> list[str]:
        return [self._inside("[{}]", index, value) for index, value in enumerate(values)]

    def members(self, values: Iterable[Any]) -> list[str]:
        return sorted(self._inside("{{}}", None, value) for value in values)

    def pairs(self, mapping: Mapping[Any, Any]) -> list[str]:
        return [
            f"{self._inside('.keys()', key, key)}={self._inside('[{!r}]', key, value)}"
            for key, value in mapping.items()
        ]

    def _inside(self, step: str, thing: object, value: Any) -> str:
        self.path.append((step, thing))
        text = self.text(value)
        self.path.pop()
        return text

    def _fields(self, value: Any, names: Iterable[str]) -> str:
        return ",".join(
            f"{write_string(name)}={self._inside('.{}', name, getattr(value, name))}"
            for name in names
        )

    def _other(self, value: Any) -> str:
        """What is no built-in type itself."""
        kind = type(value)
        if hasattr(kind, "__cache_key__"):
            key = self._inside(".__cache_key__()", None, value.__cache_key__())
            return f"{_class_name(kind)}({key})"
        if not self._typed and isinstance(value, _NUMBERS):
            return write_number(value)
        if isinstance(value, Enum):
            member = (
                write_integer(value._value_)
                if isinstance(value, Flag)
                else write_string(value._name_)
            )
            return f"{_class_name(kind)}({member})"
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
            return _importable(value)
        if (number := _numpy_number(value)) is not None:
            scalar = self._scalars[type(number)](number)
            return f"{_class_name(kind)}({scalar})" if self._typed else scalar
        for base, plain in _BASES.items():
            if isinstance(value, base):
                return self._subclass(value, plain(value))
        names = _field_names(kind)
        if names is None:
            raise NoText(an(full_name(kind)), _FEW if hasattr(kind, "__array__") else NEEDED)
        return f"{_class_name(kind)}({self._fields(value, names)})"

    def _subclass(self, value: Any, plain: Any) -> str:
        """An object of a class that derives from a built-in one: that, and its attributes."""
        kind = type(value)
        names = getattr(kind, "_fields", None)
        text = self.text(plain) if names is None else self._fields(value, names)
        attributes = object.__getstate__(value)
        if attributes is not None:
            text += f",{self.text(attributes)}"
        return f"{_class_name(kind)}({text})"


def _numpy_number(value: Any) -> bool | int | float | complex | None:
    """The Python number that a numpy scalar is; None for everything else."""
    if any(full_name(base) in _NUMPY_NUMBERS for base in type(value).__mro__):
        number = value.item()
        if type(number) in (bool, int, float, complex):  # not so for a longdouble
            return cast("complex", number)
    return None


def _field_names(kind: type) -> Iterable[str] | None:
    """The fields of a dataclass or a msgspec Struct."""
    if hasattr(kind, "__struct_fields__"):
        names: tuple[str, ...] = kind.__struct_fields__
        return names
    if hasattr(kind, "__dataclass_fields__"):
        return [field.name for field in dataclasses.fields(kind)]
    return None


def _class_name(kind: type) -> str:
    """The class of an object, as it stands in a key."""
    if "<" in kind.__qualname__:
        raise NoText(
            f"an object of {full_name(kind)}",
            "a key needs classes that are defined in a module, not in a function",
        )
    name = f"{module_of(kind)}.{kind.__qualname__}"
    return name if _CLASS_NAME.fullmatch(name) else quote(name)


def _importable(value: Any) -> str:
    found: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    what = "class" if isinstance(value, type) else "function"
    if found is not value:
        raise NoText(
            f"the {what} {module_of(value)}.{value.__qualname__}",
            f"a key needs a {what} that its module has under this name",
        )
    return f"{what}({write_string(f'{module_of(value)}.{value.__qualname__}')})"


_CONTAINERS: dict[type, Callable[[_Writer, Any], str]] = {
    list: lambda writer, value: f"[{','.join(writer.items(value))}]",
    tuple: lambda writer, value: f"({','.join(writer.items(value))})",
    dict: lambda writer, value: f"{{{','.join(sorted(writer.pairs(value)))}}}",
    OrderedDict: lambda writer, value: f"OrderedDict({','.join(writer.pairs(value))})",
    set: lambda writer, value: f"set({','.join(writer.members(value))})",
    frozenset: lambda writer, value: f"frozenset({','.join(writer.members(value))})",
}

_BASES: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    **{base: base for base in (bytes, bytearray, tuple, list, dict, set, frozenset)},
}
"""Classes that others derive from, and what makes the plain value of such an object."""
