"""How entities belong to each other: what a change of one reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What `One` and `Many` have in common.

    Attributes:
        to: The name of the entities that it leads to.
        field: The field in which their ids stand.
        shown: Whether what it leads to shows this one, so that a change of this one makes it old.
    """

    to: str
    field: str | None = None
    shown: bool = False


@dataclass(frozen=True, kw_only=True)
class One(Relation):
    """Leads to one entity, or none: many-to-one.

    Attributes:
        field: The field with its id; None in it leads nowhere.

    Example:
        >>> One(to="Author", field="author_id")
        One(to='Author', field='author_id', shown=False)
    """

    field: str


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
        ValueError: There is none or both of field and load, or a way back to what is no list.

    Example:
        >>> Many(to="Article", load=lambda ids: {2: [17, 18]}, back="author").to
        'Article'
    """

    load: Callable[[list[Any]], Mapping[Any, Sequence[Any]] | Any] | None = None
    back: str | None = None

    def __post_init__(self) -> None:
        if (self.field is None) == (self.load is None):
            raise ValueError(
                "Many has either field=, where the ids stand in the entity, or load=, a function "
                "that looks them up"
            )
        if self.back is not None and self.load is None:
            raise ValueError("back= belongs to load=: a list in a field changes with its entity")


def ids_in(relation: Relation, value: Any) -> list[Any]:
    """The ids that stand in a field of a value; none where there is no value."""
    assert relation.field is not None
    found = None if value is None else getattr(value, relation.field)
    if found is None:
        return []
    return [found] if isinstance(relation, One) else list(found)
