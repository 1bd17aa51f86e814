"""The ids that a relation leads to, where they are looked up: lists that are cached themselves."""

# ruff: noqa: A002 - an id is called id, and a type type

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from labkit.cache.sources.functions import FunctionSource
from labkit.cache.sources.limited import Beside
from labkit.cache.steps import Ask
from labkit.cache.strategies import ReadThrough

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.cache.base import BaseCache
    from labkit.cache.engine import Engine
    from labkit.cache.sources.limited import Limited
    from labkit.cache.steps import Steps


class Lists:
    """The lists of one relation, by the ids of those whose they are.

    Args:
        cache: Where they are kept.
        name: What keys and statistics call them; also a tag of all of them.
        load: Answers the ids for each of several ids; what it leaves out has none.
        keeping: How they are kept.
        limit: Whose places the loads take; None: there is no limit.
    """

    def __init__(
        self,
        cache: BaseCache,
        name: str,
        load: Callable[..., Any],
        keeping: Mapping[str, Any],
        limit: Limited[Any, Any] | None = None,
    ) -> None:
        self.name = name
        source: Any = FunctionSource(load_many=_whole(load))
        if limit is not None:
            source = Beside(source, limit)
        self.strategy: Any = ReadThrough(
            cache, source, name=name, type=tuple, tags=(name,), **keeping
        )

    @property
    def engine(self) -> Engine:
        """Where they are kept."""
        engine: Engine = self.strategy._engine
        return engine

    def key(self, id: Any) -> str:
        """What stands for a list in the cache."""
        key: str = self.strategy.key(id)
        return key

    def get_many(self, ids: Sequence[Any]) -> Steps[dict[Any, tuple[Any, ...]]]:
        """The lists of ids; what is missing is looked up together."""
        return (yield from self.strategy._get_many(list(ids)))  # type: ignore[no-any-return]

    def now(self, ids: Sequence[Any]) -> Steps[dict[Any, tuple[Any, ...]]]:
        """What they are where they come from; what a memory has may be a moment old."""
        if not ids:
            return {}
        return (yield Ask(self.strategy._asked, "load_many", (list(ids),), {}))  # type: ignore[no-any-return]


def _whole(load: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    """The same function, that leaves no id out."""

    def lists(ids: list[Any], answer: Mapping[Any, Sequence[Any]]) -> dict[Any, tuple[Any, ...]]:
        return {each: tuple(answer.get(each) or ()) for each in ids}

    if inspect.iscoroutinefunction(load):

        async def later(ids: list[Any]) -> dict[Any, tuple[Any, ...]]:
            return lists(ids, await load(ids))

        return later
    return lambda ids: lists(ids, load(ids))
