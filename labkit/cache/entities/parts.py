"""Parts of entities: some of their fields, loaded and kept by themselves.

A list of headlines needs no bodies. A source that has `load_fields(keys, fields)` reads the fields
of a part alone; of any other, whole entities are loaded, and their parts kept.
"""

# ruff: noqa: A002 - an id is called id, and a type type

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from labkit.cache.entities.kinds import Kind
from labkit.cache.sources.base import Around
from labkit.cache.sources.waiting import Call
from labkit.cache.strategies import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from labkit.cache.aio import AsyncCache
    from labkit.cache.cache import Cache
    from labkit.cache.entities.entities import Entities
    from labkit.cache.steps import Steps

C = TypeVar("C")
K = TypeVar("K")
P = TypeVar("P")


class Parts(Generic[C, K, P]):
    """Parts of entities, by the ids of those; `Entities.part` has them.

    Where the whole entity is in the cache, its part is taken from that. Where loads fail, one whose
    time is over will do as well, for as long as `stale_if_error` says.

    The source of entities that are written behind lags behind them. No part of those is kept by
    itself, and all are taken from the whole.

    Args:
        whole: The entities.
        type: What a part is: a dataclass or an msgspec struct, with fields of theirs.
        strategy_of: Makes the strategy for a source and a kind.

    Attributes:
        name: What keys and statistics call them.

    Raises:
        ValueError: A field of the part is none of theirs.
    """

    def __init__(
        self,
        whole: Entities[Any, K, Any],
        type: type[P],
        strategy_of: Callable[[Any, Kind[Any]], Any],
    ) -> None:
        self.name = f"{whole.name}.{type.__name__}"
        self._whole = whole
        self._kind = kind = Kind(type, name=self.name, id=())
        if others := [field for field in kind.fields if field not in whole.kind.fields]:
            raise ValueError(
                f"{type.__name__} has the field {others[0]!r}, and {whole.name} has not; expected "
                f"some of {', '.join(whole.kind.fields)}"
            )
        self._behind = isinstance(whole.strategy, WriteBehind)
        self.strategy = strategy_of(_PartSource(whole.source, kind), kind)

    @overload
    def get(self: Parts[Cache, K, P], id: K) -> P | None: ...
    @overload
    def get(self: Parts[AsyncCache, K, P], id: K) -> Awaitable[P | None]: ...
    def get(self, id: K) -> Any:
        """The part of an entity; None where there is none."""
        return self.strategy._run(self._get(self._whole.ids.plain(id)))

    @overload
    def get_many(self: Parts[Cache, K, P], ids: Iterable[K]) -> dict[K, P]: ...
    @overload
    def get_many(self: Parts[AsyncCache, K, P], ids: Iterable[K]) -> Awaitable[dict[K, P]]: ...
    def get_many(self, ids: Iterable[K]) -> Any:
        """The parts of entities, without those that are not there; loaded together."""
        return self.strategy._run(self._get_many(self._whole.ids.distinct(ids)))

    def key(self, id: K) -> str:
        """What stands for a part in the cache."""
        key: str = self.strategy.key(id)
        return key

    def _get(self, id: K) -> Steps[P | None]:
        found = yield from self._get_many([id])
        return found.get(id)

    def _get_many(self, ids: Sequence[K]) -> Steps[dict[K, P]]:
        if self._behind:
            values = yield from self._whole.strategy._get_many(list(ids))
            return self._parts_of(values)
        whole = yield from self._whole.there(ids)
        found = self._parts_of(whole)
        rest = [key for key in ids if key not in whole]
        try:
            found |= yield from self.strategy._get_many(rest)
        except Exception:
            old = yield from self._whole.there(rest, old=True)
            if not old.keys() >= set(rest):
                raise
            found |= self._parts_of(old)
        return {key: found[key] for key in ids if key in found}

    def _parts_of(self, whole: Mapping[K, Any]) -> dict[K, P]:
        return {
            key: part_of(self._kind, value) for key, value in whole.items() if value is not None
        }


class _PartSource(Around[Any, Any]):
    """Loads parts from a source of whole entities.

    Never from the cache: what a memory has may be a moment old, and would be kept for longer.
    """

    def __init__(self, source: Any, kind: Kind[Any]) -> None:
        super().__init__(source)
        self._kind = kind

    def load(self, key: Any) -> Any:
        return self._carry_out(self._load_one(key))

    def load_many(self, keys: Sequence[Any]) -> Any:
        return self._carry_out(self._load(keys))

    def _load_one(self, key: Any) -> Steps[Any]:
        found = yield from self._load([key])
        return found.get(key)

    def _load(self, keys: Sequence[Any]) -> Steps[dict[Any, Any]]:
        some = getattr(self.source, "load_fields", None)
        if some is None:
            found = yield Call(self.source.load_many, keys)
        else:
            found = yield Call(some, keys, self._kind.fields)
        return {key: part_of(self._kind, value) for key, value in found.items()}


def part_of(kind: Kind[P], value: Any) -> P:
    """The part of an entity, or of a mapping of fields."""
    if isinstance(value, kind.type):
        return value
    if isinstance(value, Mapping):
        return kind.type(**{field: value[field] for field in kind.fields})
    return kind.type(**{field: getattr(value, field) for field in kind.fields})
