"""Objects of SQLAlchemy's models as a cache keeps them: the values of their columns.

What comes out of a cache is detached: it has no session, and loads nothing by itself. A session
takes it in with `session.merge(value, load=False)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from labkit.cache.entities.stamps import cut
from labkit.cache.serializers import MessagePack, Serializer, Undecodable, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence


def described(model: Any) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The columns of a model, those of its primary key, and its shape."""
    mapper = model.__mapper__
    fields = tuple(attribute.key for attribute in mapper.column_attrs)
    ids = tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)
    told = sorted(f"{each.key}: {each.columns[0].type!r}" for each in mapper.column_attrs)
    return fields, ids, ", ".join(told)


class ModelSerializer:
    """Stores the columns of an object, and makes a detached object of them.

    Args:
        model: The class.
        stamp: What the bytes begin with.
    """

    def __init__(self, model: Any, stamp: bytes) -> None:
        self._model = model
        self._stamp = stamp
        self._plain = MessagePack()
        self._fields: Sequence[str] = described(model)[0]

    def dumps(self, value: Any) -> bytes:
        """The bytes of an object.

        Raises:
            Unserializable: A column was not loaded, or has a value that cannot be stored.
        """
        from labkit.cache.proof import prove

        state = value._sa_instance_state
        if missing := [field for field in self._fields if field not in state.dict]:
            why = f"{', '.join(missing)} was not loaded; load all columns, or cache a part of them"
            raise refusal(self, value, why)
        row = {field: state.dict[field] for field in self._fields}
        return self._stamp + prove(self._plain, row)

    def loads(self, payload: bytes) -> Any:
        """The object again, a new one every time.

        Raises:
            Undecodable: The bytes are damaged, or of another version of the model.
        """
        row = self._plain.loads(cut(payload, self._stamp))
        if not isinstance(row, dict) or set(row) != set(self._fields):
            raise Undecodable(f"not the columns of {self._model.__name__}")
        value = self._model.__mapper__.class_manager.new_instance()
        for field, content in row.items():
            set_committed_value(value, field, content)
        make_transient_to_detached(value)
        return value

    def for_type(self, annotation: Any) -> Serializer:
        """Itself: it knows its model."""
        return self

    def __repr__(self) -> str:
        return f"ModelSerializer({self._model.__name__})"
