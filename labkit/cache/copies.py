"""Keeping callers apart: what may be handed to many as it is, and copies of what may not."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import enum
import functools
import re
import types
import typing
from abc import ABC
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class Uncopyable(TypeError):
    """A value can change, and cannot be copied."""


_IMMUTABLE = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes, range, Decimal, Fraction, UUID),
        *(dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone, ZoneInfo, re.Pattern),
        *(PurePosixPath, PureWindowsPath, PosixPath, WindowsPath),
        *(types.EllipsisType, types.NotImplementedType, types.ModuleType),
        types.FunctionType,
    }
)
_PLAIN_BASES = frozenset({object, ABC, typing.Generic})


def shareable(value: Any) -> bool:
    """Whether a value is immutable all the way down, so that many callers may have the same one.

    What is not known to be immutable is taken for mutable. Functions, classes, modules and members
    of an Enum are what they are for everyone, and are shared.
    """
    kind: Any = type(value)
    if kind in _IMMUTABLE:
        return True
    try:
        if kind is tuple or kind is frozenset:
            return all(map(shareable, value))
        if issubclass(kind, (type, enum.Enum)):
            return True
        if kind is types.BuiltinFunctionType:
            return shareable(value.__self__)  # of a module, or bound to an object
        fields = _fields(kind)
        return fields is not None and all(shareable(getattr(value, name, None)) for name in fields)
    except RecursionError:
        return False


def copier_of(value: Any) -> Callable[[Any], Any]:
    """What copies a value that can change, and copies of it: chosen once, as that takes longer.

    The copier raises `Uncopyable` where there is no copy that can be changed by itself.
    """
    kind: Any = type(value)
    members = value.items() if kind is dict else value
    # Members that cannot change need no copies, nor a record of which were the same object.
    if kind in (dict, list, set) and all(map(shareable, members)):
        copier: Callable[[Any], Any] = kind.copy
        return copier
    return _deep_copy


def _deep_copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise Uncopyable(
            f"a value of type {type(value).__qualname__} cannot be copied for each caller "
            f"({str(error) or type(error).__name__}); return something immutable, "
            "give a serializer that can store it, or share it with copy=False"
        ) from error


@functools.lru_cache(maxsize=1024)
def _fields(kind: Any) -> tuple[str, ...] | None:
    """The names of the fields of a record that cannot change; None for any other class."""
    if any(_caches(each) for each in kind.__mro__):
        return None
    if _is_frozen_dataclass(kind):
        known = all(each in _PLAIN_BASES or _is_frozen_dataclass(each) for each in kind.__mro__)
        return tuple(field.name for field in dataclasses.fields(kind)) if known else None
    if kind.__dictoffset__:  # attributes can be added
        return None
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__) if kind.__struct_config__.frozen else None
    if issubclass(kind, tuple):
        return getattr(kind, "_fields", None)
    return None


def _is_frozen_dataclass(kind: type) -> bool:
    parameters = vars(kind).get("__dataclass_params__")
    return parameters is not None and parameters.frozen


def _caches(kind: type) -> bool:
    """Whether its objects are not frozen altogether: a cached property adds what it computed."""
    return any(isinstance(each, functools.cached_property) for each in vars(kind).values())
