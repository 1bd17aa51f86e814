"""The cache of threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, overload

from labkit.cache.base import BaseCache
from labkit.cache.decorator import cached
from labkit.cache.engine import MISSING
from labkit.cache.options import UNSET
from labkit.cache.steps import run
from labkit.cache.warming import warm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from labkit.cache.decorator import Cached, How
    from labkit.cache.options import TTL
    from labkit.cache.warming import Warmed

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Cache(BaseCache):
    """A cache for threads.

    Example:
        >>> cache = Cache(namespace="news", ttl="10m")
        >>> @cache.cached(key="square:{n}")
        ... def square(n: int) -> int:
        ...     return n * n
        >>> square(3), square(3), square.key(3)
        (9, 9, 'square:3')
        >>> square.stats().hits
        {'memory': 1}
    """

    _asynchronous = False

    # --- One key

    def get(self, key: str, default: Any = MISSING) -> Any:
        """The value of a key, or `default`; None is a value.

        Raises:
            Exception: What stands there is an error that is remembered.
        """
        return run(self._engine.get(self._call(key), default))

    def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: TTL | Callable[[Any], TTL] = UNSET,
        tags: Sequence[str] = (),
    ) -> None:
        """Keep a value in every tier. A load of the key that is under way is not kept.

        Args:
            key: The key.
            value: The value.
            ttl: How long it lives; default: as the cache says.
            tags: By these, `invalidate(tag=...)` finds it.

        Raises:
            Unserializable: The serializer cannot store the value faithfully.
        """
        run(self._engine.set(self._call(key, tags, ttl=ttl), value))

    def delete(self, key: str) -> bool:
        """Drop a key; answers whether there was one. A load of it under way is not kept."""
        return run(self._delete(key))

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: TTL | Callable[[Any], TTL] = UNSET,
        tags: Sequence[str] = (),
    ) -> T:
        """The value of a key; where no tier has it, what the loader returns, which is kept.

        However many callers ask meanwhile, in however many processes, the loader runs once.

        Raises:
            Exception: What the loader raised, for every caller that waited for it.
        """
        call = self._call(key, tags, loader, ttl=ttl)
        return run(self._engine.load(call))  # type: ignore[no-any-return]

    # --- Several keys

    def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values that some tier has, by their keys, in one trip a store."""
        return run(self._get_many(keys))

    def set_many(
        self,
        values: Mapping[str, Any],
        *,
        ttl: TTL | Callable[[Any], TTL] = UNSET,
        tags: Sequence[str] = (),
    ) -> None:
        """Keep several values, each as `set` does, in one trip a store."""
        run(self._set_many(values, tags, ttl))

    def get_or_load_many(
        self,
        keys: Sequence[str],
        loader: Callable[[list[str]], Mapping[str, T]],
        *,
        ttl: TTL | Callable[[Any], TTL] = UNSET,
        tags: Sequence[str] = (),
    ) -> dict[str, T]:
        """The values of keys; the loader gets all that no tier has, and they are kept.

        Args:
            keys: The keys.
            loader: Gets a list of keys, and returns the values of those that have one. Keys that
                somebody else loads are not in the list: they are waited for.
            ttl: How long the values live; default: as the cache says.
            tags: The tags that they carry.

        Returns:
            The values by their keys, without those that have none.
        """
        return run(self._get_or_load_many(keys, loader, tags, ttl))

    def warm(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Mapping[str, Any]],
        *,
        ttl: TTL | Callable[[Any], TTL] = UNSET,
        tags: Sequence[str] = (),
        **how: Any,
    ) -> Warmed:
        """Load what is not there yet, before readers come; see `labkit.cache.warming`.

        Args:
            keys: The keys, the most important first; they are taken as they are needed.
            loader: As in `get_or_load_many`.
            ttl: How long the values live; default: as the cache says.
            tags: The tags that they carry.
            **how: `rate`, `batch`, `checkpoint`, `progress` and `brake`, as in
                `labkit.cache.warming.warm`.

        Returns:
            What was done, and why it was stopped if it was.
        """
        load = partial(self.get_or_load_many, loader=loader, ttl=ttl, tags=tags)
        return warm(keys, load, **how)

    # --- Invalidation

    def invalidate(
        self,
        *,
        key: str | None = None,
        tag: str | None = None,
        prefix: str | None = None,
        entity: tuple[str, Any] | None = None,
    ) -> None:
        """Drop a key, what carries a tag, what shows an entity, or every key that begins so.

        What loads meanwhile is not kept. A tag costs the same for one value and for a million, and
        so does an entity, which is one; a prefix costs a walk over the keys of the store.

        Args:
            key: The key.
            tag: A tag of the values.
            prefix: How the keys begin.
            entity: What the values show, its kind and its id, such as ("author", 4): those drop
                that carry the tag `labkit.cache.targets.entity("author", 4)`.

        Raises:
            TypeError: Not exactly one of them is given.
        """
        run(self._invalidation(key, tag, prefix, entity))

    def clear(self) -> None:
        """Drop everything in this cache's namespace, for every process that uses it."""
        run(self._engine.clear())

    def close(self) -> None:
        """Give back connections and files, and stop listening to changes."""
        run(self._engine.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- Functions

    @overload
    def cached(self, function: Callable[P, R], /) -> Cached[P, R]: ...
    @overload
    def cached(self, /, **how: Unpack[How]) -> Callable[[Callable[P, R]], Cached[P, R]]: ...
    def cached(self, function: Any = None, /, **how: Unpack[How]) -> Any:
        """Keep what a function returns, for each of its calls.

        It works on functions and methods, and above `@classmethod` and `@staticmethod`, with and
        without parentheses. What takes the function's place has its parameters, and the methods
        `key`, `refresh`, `invalidate`, `set`, `peek`, `bypass` and `stats`; see
        `labkit.cache.decorator.Cached`.

        Args:
            function: The function, where the decorator stands without parentheses.
            **how: How its calls are cached; see `labkit.cache.decorator.How`.

        Raises:
            TypeError: It is a coroutine function, or no function, or there is no such option.
            ValueError: A template names a parameter that is not there, or an option makes no sense.
        """

        def decorate(function: Any) -> Any:
            return cached(self._engine, run, function, self._options, how, coroutines=False)

        return decorate if function is None else decorate(function)
