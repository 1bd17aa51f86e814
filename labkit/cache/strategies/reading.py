"""Strategies that differ in how they read; a write goes to the source, and invalidates."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from labkit.cache.batches import load_many
from labkit.cache.engine import MISSING
from labkit.cache.strategies.base import C, K, Strategy, V

if TYPE_CHECKING:
    from labkit.cache.engine import Call
    from labkit.cache.options import Options
    from labkit.cache.steps import Steps


class CacheAside(Strategy[C, K, V]):
    """The caller looks into the cache, and on a miss loads and puts the value there itself.

    This is what most applications write by hand. Nothing is promised at the edges: callers who miss
    at the same time load each for themselves, and one who loaded before a write may put the older
    value there after it, where it stays until its time is over.

    Raises:
        ValueError: `stale_while_revalidate` or its like was given: nothing is loaded aside.
    """

    def _accept(self, options: Options) -> None:
        if options.aging:
            raise ValueError(
                "CacheAside loads on a miss and at no other time; leave out refresh_ahead, early "
                "and the stale times, or use ReadThrough"
            )

    def _value(self, call: Call) -> Steps[V | None]:
        value = yield from self._engine.get(call, MISSING)
        if value is MISSING:
            assert call.loader is not None
            value, raised, _ = yield from self._engine.run(call.loader, call, misses=0)
            if raised:
                raise value
            yield from self._engine.set(call, value)
        return value  # type: ignore[no-any-return]

    def _values(self, named: dict[str, K], call: Call) -> Steps[dict[str, V | None]]:
        found = yield from self._engine.look_up_many(list(named), call)
        missing = [text for text in named if text not in found]
        if missing:
            loader = functools.partial(self._load_many, named, missing)
            values, raised, _ = yield from self._engine.run(loader, call, len(missing), missing)
            if raised:
                raise values
            yield from self._engine.set_many(values, call)
            found |= values
        return found


class ReadThrough(Strategy[C, K, V]):
    """The cache loads what it does not have: the application knows the cache alone.

    Example:
        >>> from labkit.cache import Cache, FunctionSource
        >>> squares = ReadThrough(Cache(), FunctionSource(lambda n: n * n), name="square")
        >>> squares.get(7), squares.get(7), squares.stats().loads
        (49, 49, 1)
    """

    def _value(self, call: Call) -> Steps[V | None]:
        value: V | None = yield from self._engine.load(call)
        return value

    def _values(self, named: dict[str, K], call: Call) -> Steps[dict[str, V | None]]:
        loader = functools.partial(self._load_many, named)
        return (yield from load_many(self._engine, list(named), loader, call))


class RefreshAhead(ReadThrough[C, K, V]):
    """`ReadThrough` that has a value loaded in the background shortly before its time is over.

    What is read often is never waited for; what nobody reads any more goes as it always did.

    Args:
        *args: As in `ReadThrough`.
        ahead: In which last share of its time a value that is read is loaded anew.
        **kwargs: As in `ReadThrough`.
    """

    def __init__(self, *args: Any, ahead: float = 0.2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs, refresh_ahead=ahead)
