"""A source of the objects of a model of SQLAlchemy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import inspect, select, tuple_
from sqlalchemy.orm import undefer, with_polymorphic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.orm import Mapper, Session


V = TypeVar("V")


class ModelSource(Generic[V]):
    """The rows of a table as objects, by their primary keys; of several columns a tuple.

    What it loads is detached, with all columns loaded, deferred ones too, and those of subclasses.
    A relationship that was not loaded raises DetachedInstanceError when it is read;
    `session.merge(value, load=False)` answers an object that belongs to a session, and loads.

    A model with a `version_id_col` refuses a save of what somebody else has changed meanwhile.

    Args:
        sessions: Opens a session: a `sessionmaker`.
        model: The class.

    Attributes:
        returning: `save` answers what stands in the table, with what the database has filled in.

    Example:
        >>> source = ModelSource(sessionmaker(engine), Author)
        >>> source.load_many([1, 2])
        {1: <Author 1>, 2: <Author 2>}
    """

    returning = True

    def __init__(self, sessions: Callable[[], Session], model: type[V]) -> None:
        self._sessions = sessions
        self._model = model
        self._mapper: Mapper[Any] = model.__mapper__  # type: ignore[attr-defined]
        self._key = key_columns(self._mapper)

    def load(self, key: Any) -> V | None:
        """The object of a key; None: there is none."""
        with self._sessions() as session:
            found: V | None = session.scalars(self._whole([key])).unique().first()
            return found

    def load_many(self, keys: Sequence[Any]) -> dict[Any, V]:
        """The objects of keys, without those that are not there, with one query."""
        with self._sessions() as session:
            found = session.scalars(self._whole(keys)).unique()
            return {key_of(self._mapper.primary_key_from_instance(each)): each for each in found}

    def load_fields(self, keys: Sequence[Any], fields: Sequence[str]) -> dict[Any, dict[str, Any]]:
        """Some columns of the objects of keys, by their names, with one query."""
        columns = [getattr(self._model, field) for field in fields]
        with self._sessions() as session:
            rows = session.execute(select(*self._key, *columns).where(among(self._key, keys)))
            own = len(self._key)
            return {key_of(row[:own]): dict(zip(fields, row[own:], strict=True)) for row in rows}

    def save(self, key: Any, value: V) -> V:
        """Write an object, new or changed, and answer it as it stands then.

        Raises:
            ValueError: It has another key.
            StaleDataError: Somebody has changed it meanwhile, where the model has versions.
        """
        own = key_of(self._mapper.primary_key_from_instance(value))
        if own != key:
            raise ValueError(f"the key is {key!r}, and the object has {own!r}")
        with self._sessions() as session:
            stored = session.merge(value)
            session.commit()
            anew = self._whole([key_of(inspect(stored).identity)])
            found = session.scalars(anew, execution_options={"populate_existing": True})
            written: V = found.unique().one()
            return written

    def delete(self, key: Any) -> None:
        """Delete an object, if it is there."""
        with self._sessions() as session:
            found = session.get(self._model, key)
            if found is not None:
                session.delete(found)
                session.commit()

    def versions(self, keys: Sequence[Any]) -> dict[Any, Any]:
        """The versions of those that are there.

        Raises:
            TypeError: The model has no `version_id_col`.
        """
        column = self._mapper.version_id_col
        if column is None:
            raise TypeError(
                f"{self._model.__name__} has no versions; give it "
                '__mapper_args__ = {"version_id_col": ...}'
            )
        field = self._mapper.get_property_by_column(column).key
        return {key: row[field] for key, row in self.load_fields(keys, [field]).items()}

    def _whole(self, keys: Sequence[Any]) -> Any:
        """The query of the objects of keys, with all columns."""
        one = self._of_any_class
        return select(one).options(undefer("*")).where(among(key_columns(self._mapper, one), keys))

    @functools.cached_property
    def _of_any_class(self) -> Any:
        """The class, or what joins the tables of its subclasses; they may be defined after this."""
        if len(mappers(self._mapper)) == 1:
            return self._model
        return with_polymorphic(self._mapper, "*")


def mappers(mapper: Mapper[Any]) -> list[Mapper[Any]]:
    """Those of the classes that rows of a table may be of: its own, and of subclasses."""
    return [mapper] if mapper.polymorphic_on is None else list(mapper.self_and_descendants)


def key_columns(mapper: Mapper[Any], of: Any = None) -> list[Any]:
    """The attributes of a primary key.

    Args:
        mapper: That of the class.
        of: An alias of the class, where one is asked for.
    """
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    return [getattr(mapper.class_ if of is None else of, key) for key in keys]


def among(columns: Sequence[Any], keys: Sequence[Any]) -> Any:
    """The condition that a row has one of these keys."""
    if len(columns) == 1:
        return columns[0].in_(list(keys))
    return tuple_(*columns).in_([tuple(key) for key in keys])


def key_of(key: Any) -> Any:
    """A primary key as it is passed about: the value of its column, or a tuple of several."""
    return key[0] if len(key) == 1 else tuple(key)
