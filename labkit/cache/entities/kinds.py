"""What a cache has to know of a class of entities: its fields, and what tells its objects apart.

It is a dataclass, an msgspec struct or a model of SQLAlchemy.
"""

# ruff: noqa: A002 - an id is called id, and a type type

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from labkit.cache.entities.fingerprints import shape_of, stamp_of
from labkit.cache.entities.stamps import stamped
from labkit.cache.serializers import Raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.cache.serializers import Serializer

V = TypeVar("V")


class Kind(Generic[V]):
    """A class whose objects are entities.

    A class may have a `__cache_version__`: where the meaning of its fields changes and they do not,
    another one makes what is stored a miss.

    Args:
        type: The class.
        name: What keys, tags and statistics call it. Default: the name of the class.
        id: The field that tells its objects apart, or several. Default: `id`, and of a model its
            primary key.

    Attributes:
        type: The class.
        name: Its name.
        fields: The names of its fields.
        id: The names of those that tell its objects apart.

    Raises:
        TypeError: It is no such class, or a field is of a type that cannot be read back.
        ValueError: There is no such field.
    """

    def __init__(
        self,
        type: type[V],
        *,
        name: str | None = None,
        id: str | Sequence[str] | None = None,
    ) -> None:
        self.type = type
        self.name = type.__name__ if name is None else name
        self.fields, usual, shape = _described(type)
        wanted = usual if id is None else (id,) if isinstance(id, str) else tuple(id)
        for field in wanted:
            if field not in self.fields:
                raise ValueError(
                    f"{self.name} has no field {field!r} to tell its objects apart; pass "
                    f"id= one of {', '.join(self.fields)}, or several of them"
                )
        self.id = wanted
        self._stamp = stamp_of(type, shape)

    def id_of(self, value: V) -> Any:
        """What tells an object apart: the value of its field, or a tuple of several.

        Raises:
            TypeError: It is of another class.
        """
        if not isinstance(value, self.type):
            raise TypeError(f"the value is {value!r}; expected an object of {self.name}")
        found = tuple(getattr(value, field) for field in self.id)
        return found[0] if len(found) == 1 else found

    def id_from(self, text: str) -> Any:
        """An id out of a text, such as a line of a file.

        Raises:
            ValueError: It is none.
            TypeError: Ids are made of several fields.
        """
        if len(self.id) != 1:
            raise TypeError(f"an id of {self.name} has the fields {', '.join(self.id)}; pass ids")
        try:
            return msgspec.convert(text, field_type(self.type, self.id[0]), strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(f"{text!r} is no id of {self.name}: {error}") from None

    def serializer(self, base: Serializer) -> Serializer:
        """One that stores objects of this class, and takes those of another shape for garbage.

        Raises:
            ValueError: It cannot store them.
        """
        if isinstance(base, Raw):
            raise ValueError(
                f'the serializer of {self.name} is "raw", which stores bytes only, and these are '
                f'objects of {self.type.__name__}; expected "msgpack" or "json"'
            )
        if hasattr(self.type, "__mapper__"):
            from labkit.cache.entities.models import ModelSerializer

            return ModelSerializer(self.type, base)
        return stamped(base, self.type, self._stamp)

    def __repr__(self) -> str:
        return f"<Kind {self.name}: {', '.join(self.fields)}>"


def _described(type: Any) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The fields of a class, those that usually tell its objects apart, and its shape."""
    if hasattr(type, "__mapper__"):
        from labkit.cache.entities.models import described

        return described(type)
    if isinstance(type, _CLASS) and issubclass(type, msgspec.Struct):
        return tuple(type.__struct_fields__), ("id",), shape_of(type)
    if isinstance(type, _CLASS) and dataclasses.is_dataclass(type):
        return tuple(each.name for each in dataclasses.fields(type)), ("id",), shape_of(type)
    raise TypeError(
        f"{type!r} is no class of entities; expected a dataclass, an msgspec.Struct or a model of "
        "SQLAlchemy"
    )


def field_type(type: Any, field: str) -> Any:
    """What the values of a field are, as its class says; Any where it does not."""
    if hasattr(type, "__mapper__"):
        from labkit.cache.entities.columns import key_type

        return key_type(type.__mapper__.column_attrs[field])
    return typing.get_type_hints(type).get(field, Any)


_CLASS = type
