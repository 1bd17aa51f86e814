"""What `Cache` and `AsyncCache` have in common: what they are made of and what they are asked."""

from __future__ import annotations

import inspect
import re
import weakref
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.base import name_of
from labkit.cache.backends.memory import MemoryTier
from labkit.cache.background import Background
from labkit.cache.batches import load_many
from labkit.cache.engine import Call, Engine
from labkit.cache.hot import HotKeys
from labkit.cache.options import Options, checked_tags, seconds
from labkit.cache.serializers import MessagePack
from labkit.cache.targets import Key, Prefix, Tag, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.cache.backends.base import Tier
    from labkit.cache.curves import Sampler
    from labkit.cache.options import TTL
    from labkit.cache.serializers import Serializer
    from labkit.cache.stats import Stats
    from labkit.cache.steps import Steps
    from labkit.cache.targets import Target

_NAMESPACE = re.compile(r"[A-Za-z0-9_.:/-]+")
_taken: weakref.WeakSet[MemoryTier] = weakref.WeakSet()


class BaseCache:
    """Values behind keys, in one or several tiers.

    Args:
        tiers: Where values are kept, nearest first: at most one `MemoryTier`, which comes first and
            belongs to this cache alone, and stores: `RedisTier`, `FileTier`, or your own. The last
            store decides between processes. Default: a `MemoryTier`.
        namespace: What keeps this cache's keys apart from others in the same store.
        version: The version of what is stored: with another one nothing that is there is read.
        ttl: How long a value lives: seconds, a text such as "10m", None for ever, or a function
            that gets the value and returns one of these, or one of `labkit.cache.lifetimes`.
        jitter: By which share a time to live is shortened at most, at random, so that what was
            stored together does not expire together.
        negative_ttl: How long None lives: a time, 0 for not at all, "same" for as long as others.
        errors: What a call raised is remembered where it is one of these classes, for the time that
            stands there, and raised again. Their arguments must be what MessagePack can store.
        sliding: Whether a value that is read lives on for its whole time. (Every tenth of it: a
            value may leave up to a tenth of its time early.)
        stale_while_revalidate: How long after its time a value is still given out, while one caller
            has it loaded anew in the background.
        stale_if_error: How long after its time a value is given out where its load fails. Both
            count from the end of the ttl, as RFC 5861 has them.
        refresh_ahead: In which last share of its time a value that is read is loaded anew in the
            background: 0.2 is the last fifth.
        early: How eagerly one of many readers, by chance, has a value loaded anew before its time
            is over, the sooner the longer its load took: the beta of XFetch. 1.0 is a good choice.
        serializer: Makes bytes of values. Default: MessagePack.
        copy: Whether callers are kept apart. What can be changed is stored as bytes, or copied, and
            made anew for each caller; False hands the same object to all.
        lease: How long one caller may load a key before another is let.
        compress_over: The size in bytes above which stores get compressed values; None: never.
        staleness: For how long memory may be behind the stores when it cannot hear of changes: the
            connection is lost, or the last store does not tell.
        pause: For how long a store that failed is left alone; so is the loader of a key, where
            there is an older value to give out.
        hot_keys: How many of the keys that are asked for most `stats` tells, estimated in bounded
            memory; 0: they are not counted. Or the counter itself, where somebody else reads it.
        curves: Samples what is asked for, so that `stats` tells how many reads would miss with
            another size; see `labkit.cache.curves.Sampler`.
        background: Who loads what is loaded in the background: gets a function without parameters,
            and calls it. Default: threads of the cache's own; an `AsyncCache` makes tasks.

    Raises:
        TypeError: A tier is none, or waits in a way that this kind of cache cannot.
        ValueError: The tiers are in an impossible order, or an option makes no sense.
    """

    _asynchronous: bool
    _is_part = False
    """Whether it is one of the caches of a smart one."""

    def __init__(
        self,
        tiers: Sequence[MemoryTier | Tier] | None = None,
        *,
        namespace: str = "cache",
        version: int | str = 1,
        ttl: TTL | Callable[[Any], TTL] = None,
        jitter: float = 0.0,
        negative_ttl: TTL = "same",
        errors: Mapping[type[Exception], float | str] | None = None,
        sliding: bool = False,
        stale_while_revalidate: float | str = 0.0,
        stale_if_error: float | str = 0.0,
        refresh_ahead: float = 0.0,
        early: float = 0.0,
        serializer: Serializer | None = None,
        copy: bool = True,
        lease: float | str = "10s",
        compress_over: int | None = 16_384,
        staleness: float | str = "2s",
        pause: float | str = "1s",
        hot_keys: int | HotKeys = 0,
        curves: Sampler | None = None,
        background: Callable[[Callable[[], object]], object] | None = None,
    ) -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise ValueError(
                f"namespace is {namespace!r}; expected letters, digits and any of _ . : / -"
            )
        self.namespace = namespace if str(version) == "1" else f"{namespace}@{version}"
        self._options = Options(
            ttl=ttl,
            jitter=jitter,
            negative_ttl=negative_ttl,
            errors=errors or {},
            sliding=sliding,
            stale_while_revalidate=stale_while_revalidate,  # type: ignore[arg-type]
            stale_if_error=stale_if_error,  # type: ignore[arg-type]
            refresh_ahead=refresh_ahead,
            early=early,
            serializer=serializer if serializer is not None else MessagePack(),
            copy=copy,
            lease=lease,  # type: ignore[arg-type]
            compress_over=compress_over,
        )
        bound, rest = seconds("staleness", staleness), seconds("pause", pause)
        if bound is None or rest is None:
            raise ValueError("staleness and pause are bounds; expected a time, not None")
        memory, others = _sorted(list(tiers) if tiers is not None else [MemoryTier()])
        stores = self._opened(others)
        if memory is not None:
            _taken.add(memory)
        if background is not None and self._asynchronous:
            raise TypeError("an AsyncCache loads in tasks of its own; leave out background")
        self._engine = Engine(
            memory,
            stores,
            staleness=bound,
            pause=rest,
            background=Background(background),
            hot=_counter(hot_keys),
            curves=curves,
        )

    def stats(self) -> Stats:
        """What was counted until now, by function and by tier."""
        return self._engine.stats()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.namespace!r}: {', '.join(self._engine.tiers)}>"

    def _opened(self, tiers: Sequence[Any]) -> dict[str, Any]:
        stores: dict[str, Any] = {}
        for tier in tiers:
            asynchronous = getattr(tier, "asynchronous", False)
            store = tier.open(self.namespace)
            if (asynchronous or inspect.iscoroutinefunction(store.get)) and not self._asynchronous:
                raise TypeError(
                    f"{tier!r} is asynchronous; use an AsyncCache, or give the tier a client of "
                    "labkit.connect()"
                )
            name = name_of(tier)
            while name in stores:
                name += "+"
            stores[name] = store
        return stores

    def _call(self, key: str, tags: Sequence[str] = (), loader: Any = None, **changes: Any) -> Call:
        options = self._options.but(**changes) if changes else self._options
        _checked([key])
        return Call(key, checked_tags(tags), options, self._engine.direct, loader)

    def _get_many(self, keys: Sequence[str]) -> Steps[dict[str, Any]]:
        _checked(keys)
        return self._engine.get_many(keys, self._call("."))

    def _set_many(self, values: Mapping[str, Any], tags: Sequence[str], ttl: Any) -> Steps[None]:
        _checked(values)
        return self._engine.set_many(values, self._call(".", tags, ttl=ttl))

    def _get_or_load_many(
        self, keys: Sequence[str], loader: Any, tags: Sequence[str], ttl: Any
    ) -> Steps[dict[str, Any]]:
        _checked(keys)
        return load_many(self._engine, keys, loader, self._call(".", tags, ttl=ttl))

    def _invalidation(
        self,
        key: str | None,
        tag: str | None,
        prefix: str | None,
        entity: tuple[str, Any] | None,
    ) -> Steps[None]:
        return self._drop([chosen(key, tag, prefix, entity)])

    def _drop(self, targets: Sequence[Target]) -> Steps[None]:
        """Drop what targets name: all keys in one trip, and all tags."""
        if keys := [str(target) for target in targets if isinstance(target, Key)]:
            yield from self._engine.delete(keys)
        if tags := [str(target) for target in targets if isinstance(target, Tag)]:
            yield from self._engine.delete_tags(tags)
        for target in targets:
            if isinstance(target, Prefix):
                yield from self._engine.delete_prefix(str(target))

    def _delete(self, key: str) -> Steps[bool]:
        _checked([key])
        return bool((yield from self._engine.delete([key])))


def _counter(hot_keys: int | HotKeys) -> HotKeys | None:
    if isinstance(hot_keys, HotKeys):
        return hot_keys
    return HotKeys(hot_keys) if hot_keys else None


def _sorted(tiers: list[Any]) -> tuple[MemoryTier | None, list[Any]]:
    """The memory tier, if there is one, and the others."""
    if not tiers:
        raise ValueError("tiers is empty; expected at least one, such as MemoryTier()")
    memory = tiers[0] if isinstance(tiers[0], MemoryTier) else None
    others = tiers[memory is not None :]
    for tier in others:
        if isinstance(tier, MemoryTier):
            raise ValueError("a MemoryTier comes first, and only once: it is the nearest tier")
        if not hasattr(tier, "open"):
            raise TypeError(
                f"{tier!r} is no tier; expected a MemoryTier, RedisTier, FileTier or an object "
                "with open(namespace), see labkit.cache.backends.base"
            )
    if memory in _taken:
        raise ValueError("this MemoryTier belongs to another cache; give each cache its own")
    return memory, others


def _checked(keys: Any) -> None:
    if isinstance(keys, str):
        raise TypeError(f"keys is the text {keys!r}; expected several keys, in a list")
    for key in keys:
        if not isinstance(key, str) or not key:
            raise TypeError(f"a key is {key!r}; expected a text that is not empty")
