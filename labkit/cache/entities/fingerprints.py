"""What a type looks like, in a few bytes: another one wherever its values would read otherwise."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

SIZE = 6
"""Bytes of a fingerprint."""


def fingerprint(shape: str) -> bytes:
    """A shape in `SIZE` bytes, the same in every process."""
    return hashlib.blake2b(shape.encode(), digest_size=SIZE).digest()


def stamp_of(type: Any, shape: str) -> bytes:  # noqa: A002
    """What the bytes of a class begin with; its `__cache_version__` counts as its shape does."""
    version = getattr(type, "__cache_version__", None)
    return fingerprint(shape if version is None else f"{shape} {version!r}")


def shape_of(annotation: Any) -> str:
    """What msgspec makes of a type: its fields and theirs, in words; names of classes do not count.

    Raises:
        TypeError: msgspec cannot read it.
    """
    return _Shapes().of(msgspec.inspect.type_info(annotation))


class _Shapes:
    """Describes types; one that comes again, as in a tree, is told by its number."""

    def __init__(self) -> None:
        self._seen: dict[Any, int] = {}

    def of(self, info: Any) -> str:
        if isinstance(info, msgspec.inspect.Metadata):
            return self.of(info.type)
        fields = getattr(info, "fields", None)
        if fields is not None:
            return self._record(info, fields)
        name = type(info).__name__
        if isinstance(info, msgspec.inspect.EnumType):
            return f"{name}({sorted(repr(member.value) for member in info.cls)})"
        if isinstance(info, msgspec.inspect.LiteralType):
            return f"{name}({sorted(map(repr, info.values))})"
        if isinstance(info, msgspec.inspect.CustomType):
            return f"{name}({info.cls.__module__}.{info.cls.__qualname__})"
        if isinstance(info, msgspec.inspect.UnionType):
            return f"{name}({sorted(map(self.of, info.types))})"
        parts = [getattr(info, each, None) for each in ("item_type", "key_type", "value_type")]
        parts += getattr(info, "item_types", ())
        return f"{name}({', '.join(self.of(part) for part in parts if part is not None)})"

    def _record(self, info: Any, fields: Any) -> str:
        number = self._seen.get(info.cls)
        if number is not None:
            return f"again {number}"
        self._seen[info.cls] = len(self._seen)
        told = [f"{field.encode_name}: {self.of(field.type)}" for field in fields]
        if not getattr(info, "array_like", False):
            told.sort()
        tag = getattr(info, "tag", None)
        return f"{type(info).__name__}({tag!r}; {', '.join(told)})"
