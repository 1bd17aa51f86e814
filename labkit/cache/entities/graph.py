"""All entities of a smart cache and how they belong to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cache.entities.ids import plain_type
from labkit.cache.entities.relations import Many
from labkit.cache.strategies import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.cache.entities.entities import Entities
    from labkit.cache.entities.lists import Lists

    AnyEntities = Entities[Any, Any, Any]


class Listing(NamedTuple):
    """Lists of entities of a name.

    Attributes:
        lists: The lists, by the ids of whose they are.
        back: The name of the relation that leads from an entity to those whose lists it is in.
    """

    lists: Lists
    back: str | None


class Graph:
    """What leads where.

    Args:
        entities: All of them.

    Raises:
        LookupError: A relation leads to what is not declared, or back along what does not lead
            back.
        TypeError: A relation leads by a field of another type than the ids there.
        ValueError: A list is of entities whose source is behind.
    """

    def __init__(self, entities: Iterable[AnyEntities]) -> None:
        self.by_name = {each.name: each for each in entities}
        self.listings: dict[str, list[Listing]] = {name: [] for name in self.by_name}
        for owner in self.by_name.values():
            for name, relation in owner.relations.items():
                where = f"{owner.name}.{name}"
                if relation.to not in self.by_name:
                    raise LookupError(
                        f"{where} leads to {relation.to!r}, which is not declared; expected one "
                        f"of {', '.join(self.by_name)}"
                    )
                if name in owner.lists:
                    self._add(owner, where, owner.lists[name], relation)
                else:
                    _check(owner, where, relation, self.by_name[relation.to])

    def _add(self, owner: AnyEntities, where: str, lists: Lists, relation: Any) -> None:
        target = self.by_name[relation.to]
        if isinstance(target.strategy, WriteBehind):
            raise ValueError(
                f"{where} looks up entities of {target.name} in the source, which is behind what "
                "was saved; let the ids stand in a field=, or give them another strategy"
            )
        back = relation.back
        if back is not None:
            leads = target.relations.get(back)
            if leads is None or leads.to != owner.name:
                raise LookupError(
                    f"{where} has the way back {back!r}, which {target.name} has not, or which "
                    f"leads elsewhere; expected a relation to {owner.name}"
                )
        self.listings[target.name].append(Listing(lists, back))

    def may_show(self, name: str) -> list[str]:
        """The names of all entities that may show one of these, near or far, and their own."""
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found[each] = None
                ways = self.by_name[each].relations.values()
                waiting += [relation.to for relation in ways if relation.shown]
        return list(found)


def _check(owner: AnyEntities, where: str, relation: Any, target: AnyEntities) -> None:
    """Refuse a field whose values are no ids of what it leads to: their keys are others."""
    if relation.field not in owner.kind.fields:
        return  # it is computed
    found = plain_type(owner.kind, relation.field, several=isinstance(relation, Many))
    wanted = target.ids.type
    if found is not None and wanted is not None and found is not wanted:
        raise TypeError(
            f"{where} leads by {relation.field}, of type {found.__qualname__}, to {target.name}, "
            f"whose ids are of type {wanted.__qualname__}; expected the same type for both"
        )


def is_list(relation: Any) -> bool:
    """Whether the ids of a relation are looked up, and kept as a list of their own."""
    return isinstance(relation, Many) and relation.load is not None
