"""Objects of SQLAlchemy's models as a cache keeps them, and what their models say of relations.

What comes out of a cache is detached: it has no session, and loads nothing by itself. A session
takes it in with `session.merge(value, load=False)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import RelationshipDirection, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from labkit.cache.entities.relations import Many, One
from labkit.cache.entities.stamps import cut
from labkit.cache.proof import prove
from labkit.cache.serializers import MessagePack, Serializer, Undecodable, refusal
from labkit.cache.sources.models import among, key_columns, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy.orm import Session

    from labkit.cache.entities.relations import Relation


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


def relations_of(
    model: type, sessions: Callable[[], Session], *, shown: Collection[str] = ()
) -> dict[str, Relation]:
    """The relations of entities of a model, out of what its `relationship`s say.

    Many-to-one becomes a `One` by its foreign key; one-to-many and many-to-many become a `Many`
    whose lists are looked up, ordered by primary key.

    Args:
        model: The class. Entities of its relations are called as their classes are.
        sessions: Opens a session.
        shown: The names of the relationships whose other side shows this one.

    Raises:
        ValueError: There is no relationship of such a name, or a foreign key has several columns.
    """
    relationships = model.__mapper__.relationships  # type: ignore[attr-defined]
    if unknown := sorted(set(shown) - set(relationships.keys())):
        raise ValueError(
            f"{model.__name__} has no relationship {unknown[0]!r}; expected some of "
            f"{', '.join(relationships.keys())}"
        )
    return {each.key: _relation(each, sessions, each.key in shown) for each in relationships}


def _relation(relationship: Any, sessions: Callable[[], Session], shown: bool) -> Relation:
    own, other = relationship.parent, relationship.mapper
    if len(relationship.local_remote_pairs) > 1 + (relationship.secondary is not None):
        raise ValueError(f"{relationship} has a key of several columns; declare it by hand")
    to = other.class_.__name__
    if relationship.direction is RelationshipDirection.MANYTOONE:
        field = own.get_property_by_column(relationship.local_remote_pairs[0][0]).key
        return One(to=to, field=field, shown=shown)
    owner, member = key_columns(own), key_columns(other)
    attribute = getattr(own.class_, relationship.key)

    def load(ids: list[Any]) -> dict[Any, list[Any]]:
        pairs = select(*owner, *member).join(attribute).where(among(owner, ids)).order_by(*member)
        found: dict[Any, list[Any]] = {}
        with sessions() as session:
            for row in session.execute(pairs):
                key, one = key_of(row[: len(owner)]), key_of(row[len(owner) :])
                found.setdefault(key, []).append(one)
        return found

    return Many(to=to, load=load, back=relationship.back_populates, shown=shown)
