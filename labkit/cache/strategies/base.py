"""What all strategies have in common: names, options, reading, invalidating."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar, Unpack, overload

from labkit.cache.aio import AsyncCache
from labkit.cache.engine import Call
from labkit.cache.keys import encode
from labkit.cache.known import text_of
from labkit.cache.options import checked_tags
from labkit.cache.sources.base import asynchronous, blocking
from labkit.cache.steps import Ask, Finish, run, run_async
from labkit.cache.warming import warm, warm_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from labkit.cache.base import BaseCache
    from labkit.cache.cache import Cache
    from labkit.cache.engine import Engine
    from labkit.cache.known import Known
    from labkit.cache.options import TTL, Options
    from labkit.cache.serializers import Serializer
    from labkit.cache.sources.base import Source
    from labkit.cache.stats import Counts
    from labkit.cache.steps import Steps
    from labkit.cache.warming import Warmed

C = TypeVar("C", bound="BaseCache")
K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Keeping(TypedDict, total=False):
    """How the values of a strategy are kept; each as in `Cache`, whose options hold otherwise."""

    ttl: TTL | Callable[[Any], TTL]
    jitter: float
    negative_ttl: TTL
    errors: Mapping[type[Exception], float | str]
    stale_while_revalidate: float | str
    stale_if_error: float | str
    refresh_ahead: float
    early: float
    serializer: Serializer
    copy: bool
    lease: float | str
    compress_over: int | None


class _Asked:
    """A source that says whether it blocks, as a step wants to know."""

    def __init__(self, source: Any) -> None:
        self.blocking = blocking(source)
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


class Strategy(Generic[C, K, V]):
    """What the strategies have in common; choose one of them.

    Args:
        cache: Where values are kept.
        source: Where they come from.
        name: What the keys of this strategy begin with, and what statistics call it.
        type: What the values are; a store's bytes are decoded into it. Default: as they come.
        tags: The tags that a value carries: a function of its key, or the same for all.
        known: Which keys exist: what it does not know is None, and reaches neither a store nor the
            source. See `labkit.cache.known`.
        **keeping: How values are kept; see `Keeping`.

    Attributes:
        turned_away: How many keys `known` did not know.
    """

    def __init__(
        self,
        cache: C,
        source: Source[K, V],
        *,
        name: str,
        type: Any = Any,  # noqa: A002 - it is one
        tags: Sequence[str] | Callable[[K], Sequence[str]] = (),
        known: Known | None = None,
        **keeping: Unpack[Keeping],
    ) -> None:
        if not name or ":" in name:
            raise ValueError(
                f"name is {name!r}; expected a text without a colon, such as 'article'"
            )
        self.cache = cache
        self.source = source
        self.name = name
        self.turned_away = 0
        self._known = known
        self._tags = tags if callable(tags) else checked_tags(tags)
        self._engine: Engine = cache._engine
        options = cache._options.but(**keeping)
        self._options: Options = options.but(serializer=options.serializer.for_type(type))
        self._accept(self._options)
        self._counters = self._engine.counters_for(name)
        self._awaited = isinstance(cache, AsyncCache)
        self._run: Callable[[Any], Any] = run_async if self._awaited else run
        if asynchronous(source) and not self._awaited:
            raise TypeError(
                f"{source!r} loads with coroutine functions; use an AsyncCache, or a source whose "
                "methods are plain functions"
            )
        self._asked = _Asked(source)

    def but(self, **keeping: Unpack[Keeping]) -> Self:
        """The same strategy, which keeps values in another way.

        Args:
            **keeping: What is other; see `Keeping`.

        Raises:
            ValueError: An option makes no sense here.
        """
        other = copy.copy(self)
        other._options = self._options.but(**keeping)
        self._accept(other._options)
        return other

    def _accept(self, options: Options) -> None:
        """Refuse options that make no sense with the strategy."""

    def _current(self, keys: list[K]) -> Steps[Mapping[K, V]]:
        """The values of keys as they were saved last, past the cache."""
        return (yield Ask(self._asked, "load_many", (keys,), {}))  # type: ignore[no-any-return]

    def _value(self, call: Call) -> Steps[V | None]:
        """The value of a call that is not in memory."""
        raise NotImplementedError

    def _values(self, named: dict[str, K], call: Call) -> Steps[dict[str, V | None]]:
        """The values of the keys that these texts stand for, kept as the call says."""
        raise NotImplementedError

    # --- Reading

    @overload
    def get(self: Strategy[Cache, K, V], key: K) -> V | None: ...
    @overload
    def get(self: Strategy[AsyncCache, K, V], key: K) -> Awaitable[V | None]: ...
    def get(self, key: K) -> Any:
        """The value of a key; None where there is none.

        Raises:
            Exception: What the source raised, where no older value may stand in.
        """
        if not self._awaited:  # a hit in memory needs none of what follows
            entry = self._engine.sure_entry(self.key(key))
            if entry is not None:
                return self._engine.hit(entry, self._counters)
        return self._run(self._get(key))

    def _get(self, key: K) -> Steps[Any]:
        call = self._call(key)
        entry = self._engine.sure_entry(call.key) if self._awaited else None
        if entry is not None:
            return self._engine.hit(entry, self._counters)
        if (yield from self._unknown([key])):
            return None
        return (yield from self._value(call))

    @overload
    def get_many(self: Strategy[Cache, K, V], keys: Iterable[K]) -> dict[K, V]: ...
    @overload
    def get_many(self: Strategy[AsyncCache, K, V], keys: Iterable[K]) -> Awaitable[dict[K, V]]: ...
    def get_many(self, keys: Iterable[K]) -> Any:
        """The values of keys, without those that have none; what is missing is loaded together."""
        return self._run(self._get_many(list(dict.fromkeys(keys))))

    def _get_many(self, keys: list[K]) -> Steps[dict[K, Any]]:
        unknown = yield from self._unknown(keys)
        groups: dict[tuple[str, ...], dict[str, K]] = {}
        for key in keys:
            if key not in unknown:
                groups.setdefault(self._tags_of(key), {})[self.key(key)] = key
        found: dict[K, Any] = {}
        for tags, named in groups.items():  # a batch has one set of tags
            call = Call("", tags, self._options, self._counters)
            values = yield from self._values(named, call)
            found |= {named[text]: value for text, value in values.items()}
        return {key: found[key] for key in keys if found.get(key) is not None}

    def _load_many(self, named: Mapping[str, K], texts: list[str]) -> Any:
        """What the source has, by the texts of the keys; None where it has nothing."""
        ask = Ask(self._asked, "load_many", ([named[text] for text in texts],), {})

        def by_text(values: Mapping[K, V]) -> dict[str, V | None]:
            return {text: values.get(named[text]) for text in texts}

        async def later() -> dict[str, V | None]:
            return by_text(await ask.later())

        return later() if self._awaited else by_text(ask.now())

    @overload
    def refresh(self: Strategy[Cache, K, V], key: K) -> V | None: ...
    @overload
    def refresh(self: Strategy[AsyncCache, K, V], key: K) -> Awaitable[V | None]: ...
    def refresh(self, key: K) -> Any:
        """Load the value of a key anew and keep it, whatever is there."""
        return self._run(self._engine.load(self._call(key), refresh=True))

    @overload
    def versions(self: Strategy[Cache, K, V], keys: Iterable[K]) -> Mapping[K, Any]: ...
    @overload
    def versions(
        self: Strategy[AsyncCache, K, V], keys: Iterable[K]
    ) -> Awaitable[Mapping[K, Any]]: ...
    def versions(self, keys: Iterable[K]) -> Any:
        """The versions that the source has now, past the cache."""
        return self._run(self._of_source("versions", list(keys)))

    # --- Writing

    @overload
    def save(self: Strategy[Cache, K, V], key: K, value: V) -> None: ...
    @overload
    def save(self: Strategy[AsyncCache, K, V], key: K, value: V) -> Awaitable[None]: ...
    def save(self, key: K, value: V) -> Any:
        """Write a value to the source, and invalidate it.

        It is invalidated also where the source raises: nobody knows what it has written by then.
        """
        return self._run(self._counted(self._write("save", key, value)))

    @overload
    def delete(self: Strategy[Cache, K, V], key: K) -> None: ...
    @overload
    def delete(self: Strategy[AsyncCache, K, V], key: K) -> Awaitable[None]: ...
    def delete(self, key: K) -> Any:
        """Delete a value in the source, and invalidate it."""
        return self._run(self._counted(self._write("delete", key)))

    def _counted(self, write: Steps[T]) -> Steps[T]:
        """Carry out a write, and count it with what it took."""
        start, failed = self._engine.now(), True
        try:
            done = yield from write
            failed = False
            return done
        finally:
            self._counters.wrote(self._engine.now() - start, failed=failed)

    def _write(self, method: str, key: K, *value: V) -> Steps[Any]:
        """Write or delete a value, as the strategy does that."""
        try:
            yield from self._of_source(method, key, *value)
            if value and self._known is not None:
                yield Ask(self._known, "add", ([text_of(key)],), {})
        finally:
            yield from self._engine.delete([self.key(key)])

    @overload
    def invalidate(self: Strategy[Cache, K, V], key: K) -> None: ...
    @overload
    def invalidate(self: Strategy[AsyncCache, K, V], key: K) -> Awaitable[None]: ...
    def invalidate(self, key: K) -> Any:
        """Drop the value of a key; a load of it that is under way is not kept."""
        return self._run(self._engine.delete([self.key(key)]))

    # --- The rest

    @overload
    def warm(self: Strategy[Cache, K, V], keys: Iterable[K], **how: Any) -> Warmed: ...
    @overload
    def warm(
        self: Strategy[AsyncCache, K, V], keys: Iterable[K], **how: Any
    ) -> Awaitable[Warmed]: ...
    def warm(self, keys: Iterable[K], **how: Any) -> Any:
        """Load what is not there yet, before readers come.

        Args:
            keys: The keys, the most important first.
            **how: `rate`, `batch`, `checkpoint`, `progress` and `brake`, as in
                `labkit.cache.warming.warm`.
        """
        # The one of the two that the cache wants is known at run time only.
        begin: Any = warm_async if self._awaited else warm
        return begin(keys, lambda batch: self._run(self._get_many(batch)), **how)

    def key(self, key: K) -> str:
        """What stands for a key in the cache."""
        return f"{self.name}:{encode(key)}"

    def stats(self) -> Counts:
        """What was counted until now."""
        return self._counters.read()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self.cache!r}>"

    def _tags_of(self, key: K) -> tuple[str, ...]:
        return checked_tags(self._tags(key)) if callable(self._tags) else self._tags

    def _call(self, key: K) -> Call:
        ask = Ask(self._asked, "load", (key,), {})
        loader = ask.later if self._awaited else ask.now
        return Call(self.key(key), self._tags_of(key), self._options, self._counters, loader)

    def _of_source(self, method: str, *arguments: Any) -> Steps[Any]:
        return (yield Finish(self._asked, method, arguments, {}))

    def _unknown(self, keys: Sequence[K]) -> Steps[set[K]]:
        """Those of the keys that are known not to exist."""
        unknown = set()
        if self._known is not None:
            for key in keys:
                if not (yield Ask(self._known, "has", (text_of(key),), {})):
                    unknown.add(key)
            self.turned_away += len(unknown)
        return unknown
