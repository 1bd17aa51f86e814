"""Objects of SQLAlchemy's models as a cache keeps them, and what their models say of relations.

What comes out of a cache is detached: it has no session, and loads nothing by itself. Reading a
relationship of it raises DetachedInstanceError: ask the cache with `related`, or let a session take
it in with `session.merge(value, load=False)`, which answers an object that loads.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import RelationshipDirection, aliased, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from labkit.cache.entities import columns
from labkit.cache.entities.fingerprints import SIZE, stamp_of
from labkit.cache.entities.relations import Many, One
from labkit.cache.entities.stamps import cut
from labkit.cache.proof import prove
from labkit.cache.serializers import (
    Json,
    MessagePack,
    Serializer,
    Undecodable,
    Unserializable,
    refusal,
)
from labkit.cache.sources.models import among, key_columns, key_of, mappers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy.orm import Mapper, RelationshipProperty, Session

    from labkit.cache.entities.relations import Relation


def described(model: Any) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The columns of a model, those of its primary key, and its shape.

    Raises:
        TypeError: The values of a column cannot be read back.
    """
    mapper = model.__mapper__
    fields = tuple(column.key for column in mapper.column_attrs)
    ids = tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)
    told = ", ".join(sorted(columns.shape(column) for column in mapper.column_attrs))
    if mapper.polymorphic_on is not None:  # classes of one table may have the same columns
        told = f"{mapper.polymorphic_identity!r}; {told}"
    return fields, ids, told


class ModelSerializer:
    """Stores the columns of an object, and makes a detached object of them.

    An object of a subclass comes back as one, with its own columns.

    Args:
        model: The class.
        base: The format: MessagePack or Json.

    Raises:
        TypeError: It is another one, or the values of a column cannot be read back.
    """

    def __init__(self, model: Any, base: Serializer) -> None:
        if not isinstance(base, MessagePack | Json):
            raise TypeError(f"{model.__name__} is stored by MessagePack or Json, not by {base!r}")
        self._model = model
        self._base = base
        self._rows: dict[type, _Rows] = {}
        self._by_stamp: dict[bytes, _Rows] = {}
        self._learn()

    def dumps(self, value: Any) -> bytes:
        """The bytes of an object.

        Raises:
            Unserializable: A column was not loaded, or has a value that cannot be stored.
        """
        kind = type(value)
        if kind not in self._rows:
            self._learn()
        if kind not in self._rows:
            raise refusal(self, value, f"expected an object of {self._model.__name__}")
        return self._rows[kind].dumps(value)

    def loads(self, payload: bytes) -> Any:
        """The object again, a new one every time.

        Its reconstructors and the listeners to its `load` are called, with no query (the context is
        None) and no session. One that needs them, and raises, is passed over: what it would have
        set is missing.

        Raises:
            Undecodable: The bytes are damaged, or of another version of the model.
        """
        stamp = payload[:SIZE]
        if stamp not in self._by_stamp:
            self._learn()
        if stamp not in self._by_stamp:
            raise Undecodable("the bytes are of another version of the type")
        return self._by_stamp[stamp].loads(payload)

    def for_type(self, annotation: Any) -> Serializer:
        """Itself: it knows its model."""
        return self

    def _learn(self) -> None:
        """Take in the classes of the model; subclasses may be defined after it was declared."""
        for mapper in mappers(self._model.__mapper__):
            if mapper.class_ not in self._rows:
                rows = _Rows(mapper, self._base)
                self._rows[mapper.class_] = self._by_stamp[rows.stamp] = rows

    def __repr__(self) -> str:
        return f"ModelSerializer({self._model.__name__})"


class _Rows:
    """How objects of one class are stored: a stamp, and by their names what the columns hold."""

    def __init__(self, mapper: Mapper[Any], base: Serializer) -> None:
        self.stamp = stamp_of(mapper.class_, described(mapper.class_)[2])
        self._class = mapper.class_
        self._new: Callable[[], Any] = mapper.class_manager.new_instance
        self._columns = {each.key: columns.serializer(each, base) for each in mapper.column_attrs}
        form: Any = msgspec.json if isinstance(base, Json) else msgspec.msgpack
        self._encode: Callable[[Any], bytes] = form.Encoder().encode
        self._decode: Callable[[bytes], Any] = form.Decoder(dict[str, msgspec.Raw]).decode

    def dumps(self, value: Any) -> bytes:
        held = value._sa_instance_state.dict
        if missing := [field for field in self._columns if field not in held]:
            why = f"{', '.join(missing)} was not loaded; load all columns, or cache a part of them"
            raise Unserializable(f"an object of {self._class.__name__} cannot be stored: {why}")
        row = {field: msgspec.Raw(self._proved(field, held[field])) for field in self._columns}
        return self.stamp + self._encode(row)

    def loads(self, payload: bytes) -> Any:
        value = self._new()
        for field, content in self._row(cut(payload, self.stamp)).items():
            set_committed_value(value, field, content)
        make_transient_to_detached(value)
        _tell_of_load(value)
        return value

    def _row(self, body: bytes) -> dict[str, Any]:
        try:
            found = self._decode(body)
        except msgspec.DecodeError as error:
            raise Undecodable(f"not the columns of {self._class.__name__}: {error}") from error
        if found.keys() != self._columns.keys():
            raise Undecodable(f"not the columns of {self._class.__name__}")
        return {field: each.loads(found[field]) for field, each in self._columns.items()}

    def _proved(self, field: str, content: Any) -> bytes:
        try:
            return prove(self._columns[field], _unwrapped(content))
        except Unserializable as error:
            raise Unserializable(f"{self._class.__name__}.{field}: {error}") from error


def _tell_of_load(value: Any) -> None:
    """Call who waits to hear of a load: columns that watch their values, and reconstructors.

    There is no query and no session. Who raises for want of them keeps nobody from the value, nor
    the others from being called.
    """
    state = value._sa_instance_state
    for listener in state.manager.dispatch.load:
        with suppress(Exception):
            listener(state, None)


def _unwrapped(content: Any) -> Any:
    """What a mutable column holds, without what watches it; a load puts that around it again."""
    for watched, plain in columns.WATCHED:
        if isinstance(content, watched):
            return plain(content)
    return content


def relations_of(
    model: type,
    sessions: Callable[[], Session],
    *,
    shown: Collection[str] = (),
    without: Collection[str] = (),
) -> dict[str, Relation]:
    """The relations of entities of a model, out of what its `relationship`s say.

    Many-to-one, and the side of a one-to-one with the foreign key, becomes a `One`: an entity or
    None. All else becomes a `Many` whose lists are looked up, ordered by primary key: one-to-many,
    many-to-many, and the other side of a one-to-one, which has a list of one, or of none.

    Args:
        model: The class. Entities of its relations are called as their classes are.
        sessions: Opens a session.
        shown: The names of the relationships whose other side shows this one.
        without: The names of relationships to leave out.

    Raises:
        ValueError: There is no relationship of such a name, or the foreign key of a many-to-one is
            not the id of what it leads to: it leads to another column, has several, or there is
            another condition.
    """
    relationships = model.__mapper__.relationships  # type: ignore[attr-defined]
    if unknown := sorted({*shown, *without} - set(relationships.keys())):
        raise ValueError(
            f"{model.__name__} has no relationship {unknown[0]!r}; expected some of "
            f"{', '.join(relationships.keys())}"
        )
    wanted = [each for each in relationships if each.key not in without]
    return {each.key: _relation(each, sessions, each.key in shown) for each in wanted}


def _relation(
    relationship: RelationshipProperty[Any], sessions: Callable[[], Session], shown: bool
) -> Relation:
    to = relationship.mapper.class_.__name__
    if relationship.direction is RelationshipDirection.MANYTOONE:
        if not _holds_the_id(relationship):
            raise ValueError(
                f"{relationship} does not lead to its {to} by the id of that alone, but by "
                f"{relationship.primaryjoin}; leave it out with without=[{relationship.key!r}], "
                "and declare a Many with load= by hand"
            )
        (column, _), *_ = relationship.local_remote_pairs or []
        return One(to=to, field=relationship.parent.get_property_by_column(column).key, shown=shown)
    return Many(to=to, load=_lookup(relationship, sessions), back=_back(relationship), shown=shown)


def _holds_the_id(relationship: RelationshipProperty[Any]) -> bool:
    """Whether a foreign key is the primary key of what it leads to, and nothing else is asked."""
    other, pairs = relationship.mapper, relationship.local_remote_pairs or []
    if len(pairs) != 1 or len(other.primary_key) != 1:
        return False
    local, remote = pairs[0]
    id = other.get_property_by_column(other.primary_key[0])  # noqa: A001 - an id is called id
    return remote in id.columns and relationship.primaryjoin.compare(local == remote)


def _back(relationship: RelationshipProperty[Any]) -> str | None:
    """The name of the relation that leads back; None where it is none that `relations_of` makes."""
    name: str | None = relationship.back_populates
    if name is None:
        return None
    other = relationship.mapper.relationships[name]
    by_key = other.direction is RelationshipDirection.MANYTOONE
    return name if not by_key or _holds_the_id(other) else None


def _lookup(
    relationship: RelationshipProperty[Any], sessions: Callable[[], Session]
) -> Callable[[list[Any]], dict[Any, list[Any]]]:
    own, there = relationship.parent, aliased(relationship.mapper)  # both may be of one table
    owner, member = key_columns(own), key_columns(relationship.mapper, there)
    way = getattr(own.class_, relationship.key).of_type(there)
    pairs = select(*owner, *member).join(way).order_by(*member)

    def load(ids: list[Any]) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = {}
        with sessions() as session:
            for row in session.execute(pairs.where(among(owner, ids))):
                key, one = key_of(row[: len(owner)]), key_of(row[len(owner) :])
                found.setdefault(key, []).append(one)
        return found

    return load
