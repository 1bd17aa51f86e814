"""What a change of an entity makes old: found along its relations, in bounded steps.

From the changed entity on, all that shows it is followed, and all that shows that, each entity
once, so that a circle of relations ends. Where they become too many, all entities of a name are
dropped at once, by a tag, and all that may show one of them.

Where a relation leads is asked of the sources: what a memory has may be a moment behind, and what
it does not lead to would stay.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labkit.cache.entities.entities import Entities
    from labkit.cache.entities.graph import Graph
    from labkit.cache.steps import Steps


class Reached:
    """What is old now.

    Attributes:
        ids: By the name of entities those of them.
        whole: The names of which all are.
    """

    def __init__(self) -> None:
        self.ids: dict[str, dict[Any, None]] = {}
        self.whole: dict[str, None] = {}

    def add(self, name: str, ids: Iterable[Any]) -> list[Any]:
        """Add some; answers those that are new."""
        known = self.ids.setdefault(name, {})
        fresh = [each for each in dict.fromkeys(ids) if each not in known]
        known.update(dict.fromkeys(fresh))
        return fresh

    def add_whole(self, names: Iterable[str]) -> None:
        """Add all entities of some names."""
        for name in names:
            self.whole[name] = None
            self.ids.pop(name, None)

    def __len__(self) -> int:
        return sum(map(len, self.ids.values()))


def reach(
    graph: Graph,
    start: Entities[Any, Any, Any],
    changed: Mapping[Any, Sequence[Any]],
    most: int,
) -> Steps[Reached]:
    """Follow what shows changed entities.

    Args:
        graph: All entities.
        start: What has changed.
        changed: The ids, and of each what is known of its values: before the change, and after it.
        most: How many entities are told one by one.
    """
    reached = Reached()
    reached.add(start.name, changed)
    waiting = deque([(start, changed)])
    while waiting:
        entities, found = waiting.popleft()
        for name, relation in entities.relations.items():
            if not relation.shown or {relation.to, entities.name} & reached.whole.keys():
                continue
            fresh = reached.add(relation.to, (yield from entities.led(name, found)))
            if len(reached) > most:
                reached.add_whole(graph.may_show(relation.to))
            elif fresh:
                waiting.append((graph.by_name[relation.to], dict.fromkeys(fresh, ())))
    return reached
