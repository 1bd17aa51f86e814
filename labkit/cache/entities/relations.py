"""How entities belong to each other: what a change of one reaches."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.cache.entities.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What `One` and `Many` have in common.

    Attributes:
        to: The name of the entities that it leads to.
        field: The field in which their ids stand.
        shown: Whether what it leads to shows this one, so that a change of this one makes it old.

    Raises:
        TypeError: `to` is no name.
    """

    to: str
    field: str | None = None
    shown: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.to, str):
            raise TypeError(f"to is {self.to!r}; expected the name of entities, such as 'Author'")


@dataclass(frozen=True, kw_only=True)
class One(Relation):
    """Leads to one entity, or none: many-to-one.

    Attributes:
        field: The field with its id; None in it leads nowhere.

    Raises:
        TypeError: `field` is not given, or no name.

    Example:
        >>> One(to="Author", field="author_id")
        One(to='Author', field='author_id', shown=False)
    """

    field: str = None  # type: ignore[assignment] # it has to be given; see below

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.field, str):
            raise TypeError(
                f"One(to={self.to!r}) has the field {self.field!r}; expected field=, the name of "
                "the field with the id that it leads to"
            )


@dataclass(frozen=True, kw_only=True)
class Many(Relation):
    """Leads to several entities: one-to-many, or many-to-many.

    Attributes:
        field: The field with their ids; or else
        load: Gets a list of ids, and answers for each of them the ids that it leads to, from where
            the entities come from. It may be a coroutine function, as those of a source. What it
            answers is cached.
        back: The name of the relation that leads back, if there is one. Only the lists of those are
            dropped then that a changed entity belongs to, or belonged to; else all of them.

    Raises:
        TypeError: `load` is no function.
        ValueError: There is none or both of field and load, or a way back to what is no list.

    Example:
        >>> Many(to="Article", load=lambda ids: {2: [17, 18]}, back="author").to
        'Article'
    """

    load: Callable[[list[Any]], Mapping[Any, Sequence[Any]] | Any] | None = None
    back: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.field is None) == (self.load is None):
            raise ValueError(
                "Many has either field=, where the ids stand in the entity, or load=, a function "
                "that looks them up"
            )
        if self.load is not None and not callable(self.load):
            raise TypeError(f"load is {self.load!r}; expected a function that gets a list of ids")
        if self.back is not None and self.load is None:
            raise ValueError("back= belongs to load=: a list in a field changes with its entity")


def ids_in(relation: Relation, value: Any) -> list[Any]:
    """The ids that stand in a field of a value; none where there is no value."""
    assert relation.field is not None
    found = None if value is None else getattr(value, relation.field)
    if found is None:
        return []
    return [found] if isinstance(relation, One) else list(found)


def checked(relations: Mapping[str, Relation], kind: Kind[Any]) -> dict[str, Relation]:
    """The relations of entities of a kind.

    Raises:
        TypeError: One is none.
        ValueError: The field of one is none of theirs.
    """
    for name, relation in relations.items():
        if not isinstance(relation, Relation):
            raise TypeError(
                f"the relation {name!r} of {kind.name} is {relation!r}; expected One(to=..., "
                "field=...) or Many(to=..., ...)"
            )
        field = relation.field
        if field is not None and field not in kind.fields and not _computed(kind.type, field):
            near = difflib.get_close_matches(field, kind.fields, 1)
            raise ValueError(
                f"the relation {name!r} of {kind.name} has the field {field!r}, and {kind.name} "
                + (f"has not. Did you mean {near[0]!r}?" if near else "has not.")
                + f" Expected one of {', '.join(kind.fields)}"
            )
    return dict(relations)


def _computed(type: type, field: str) -> bool:  # noqa: A002 - it is one
    """Whether a class computes a field, by a property."""
    found = inspect.getattr_static(type, field, None)
    return isinstance(found, property) or hasattr(found, "fget")  # as a hybrid_property has
