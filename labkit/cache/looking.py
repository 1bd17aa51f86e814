"""What a cache has under a key, tier by tier.

    print(look(cache, "article:17"))

A look is no read: it counts for nobody, loads nothing, and changes neither what a memory gives up
next nor how long a value lives. Stores are asked in one trip, or in two where the value has tags.
"""

from __future__ import annotations

import math
import reprlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from labkit.cache import envelope
from labkit.cache.aio import AsyncCache
from labkit.cache.backends.base import Found, Seen
from labkit.cache.backends.memory import estimate
from labkit.cache.guard import AWAY
from labkit.cache.products import opened
from labkit.cache.serializers import Undecodable
from labkit.cache.smart import AsyncSmartCache, Hub
from labkit.cache.steps import run, run_async
from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from labkit.cache.base import BaseCache
    from labkit.cache.cache import Cache
    from labkit.cache.engine import Engine
    from labkit.cache.eviction import Entry
    from labkit.cache.guard import Guard
    from labkit.cache.options import Options
    from labkit.cache.products import Product
    from labkit.cache.smart import SmartCache
    from labkit.cache.steps import Steps

MOST = 200
"""Characters of a preview at most."""

_DEAD = "it does not count: a tag was dropped or the cache cleared since, or its layout is another"


@dataclass(frozen=True)
class Place:
    """What one tier has under a key.

    Attributes:
        tier: The tier.
        there: Whether it has a value that counts; None where it is away.
        kind: "value", "none" (it is remembered that there is no value) or "error" (it is remembered
            what the call raised); None where there is nothing, or where it cannot be read.
        left: Seconds until the value is gone; None where it does not expire.
        fresh: Seconds that it stays fresh; below 0 its time is over for so long. None where its age
            means no more than that it is there.
        age: Seconds since it was made; None where that is not known.
        bytes: The size of its payload; of an object in memory what the tier measures or estimates.
        load: Seconds that its load took; None where that is not known.
        tags: The tags that it carries.
        claimed: Seconds for which somebody has the right to load it at most; None: nobody has, or
            the tier does not tell.
        problem: Why what stands there is not given out: it cannot be read, or does not count.
        preview: The beginning of the value, where one was asked for.
    """

    tier: str
    there: bool | None = False
    kind: str | None = None
    left: float | None = None
    fresh: float | None = None
    age: float | None = None
    bytes: int | None = None
    load: float | None = None
    tags: tuple[str, ...] = ()
    claimed: float | None = None
    problem: str | None = None
    preview: str | None = None

    @property
    def readable(self) -> bool:
        """Whether a reader would get it, if its age does."""
        return bool(self.there) and self.problem is None

    def __str__(self) -> str:
        words = []
        if self.there is None:
            words.append("away")
        elif not self.there:
            words.append(f"nothing that counts, {self.problem}" if self.problem else "nothing")
        else:
            said = {"none": "remembered as missing", "error": "a remembered error"}
            words.append(said.get(self.kind or "", f"{self.bytes or 0:,} bytes"))
            words.append("for ever" if self.left is None else f"{format_time(self.left)} left")
            if self.fresh is not None:
                late = self.fresh <= 0
                words.append(f"{'stale' if late else 'fresh'} for {format_time(abs(self.fresh))}")
            if self.age is not None:
                words.append(f"made {format_time(self.age)} ago")
            if self.tags:
                words.append(f"tags {', '.join(self.tags)}")
            if self.problem is not None:
                words.append(f"unreadable: {self.problem}")
        if self.claimed is not None:
            words.append(f"claimed for {format_time(self.claimed)} at most")
        if self.preview is not None:
            words.append(self.preview)
        return f"{self.tier}: {', '.join(words)}"


@dataclass(frozen=True)
class Looked:
    """What a cache has under a key.

    Attributes:
        key: The key.
        places: Every tier, nearest first.
        loading: Whether it is being loaded here, or somebody has a claim on it.
    """

    key: str
    places: tuple[Place, ...]
    loading: bool = False

    @property
    def nearest(self) -> Place | None:
        """The nearest tier whose value can be read; None where there is none."""
        return next((place for place in self.places if place.readable), None)

    def __str__(self) -> str:
        head = f"{self.key!r}{', being loaded' if self.loading else ''}"
        return "\n".join([head, *(f"  {place}" for place in self.places)])


@overload
def look(cache: Cache | SmartCache, key: str, *, preview: bool = ...) -> Looked: ...
@overload
def look(
    cache: AsyncCache | AsyncSmartCache, key: str, *, preview: bool = ...
) -> Awaitable[Looked]: ...
def look(cache: Any, key: str, *, preview: bool = False) -> Any:
    """Look what a cache has under a key; with an asynchronous one it is awaited.

    Args:
        cache: The cache. A smart cache looks where the entities of the key's name are kept, and
            reads values as they do.
        key: The key, as `key()` of entities, strategies and functions answers it.
        preview: Whether to show the beginning of the value, which may be nobody else's business.

    Raises:
        TypeError: The key is no text.
        ValueError: It is empty.

    Example:
        >>> from labkit.cache import Cache
        >>> cache = Cache()
        >>> cache.set("motto", "first, and right", ttl="30s", tags=["site"])
        >>> found = look(cache, "motto", preview=True)
        >>> found.nearest.tier, found.nearest.tags, found.nearest.preview
        ('memory', ('site',), "'first, and right'")
        >>> look(cache, "nothing").nearest is None
        True
    """
    if not isinstance(key, str):
        raise TypeError(f"key is {key!r}; expected a text, such as articles.key(17)")
    if not key:
        raise ValueError("key is empty; expected one, such as articles.key(17)")
    engine, options = _where(cache, key)
    carry_out: Any = run_async if isinstance(cache, AsyncCache | AsyncSmartCache) else run
    return carry_out(_look(engine, options, key, preview))


def cache_of(hub: Hub[Any], key: str) -> BaseCache:
    """The cache of a smart one in which a key is kept."""
    owner = _owner(hub, key)
    cache: BaseCache = hub.cache if owner is None else owner.cache
    return cache


def _where(cache: Any, key: str) -> tuple[Engine, Options]:
    owner = _owner(cache, key) if isinstance(cache, Hub) else None
    if owner is None:
        owner = cache.cache if isinstance(cache, Hub) else cache
    return owner._engine, owner._options


def _owner(hub: Hub[Any], key: str) -> Any:
    """The strategy that keeps what stands under a key; None where it is nobody's."""
    name = key.partition(":")[0]
    kept = (strategy for entities in hub for strategy in entities.strategies)
    return next((strategy for strategy in kept if strategy.name == name), None)


def _look(engine: Engine, options: Options, key: str, preview: bool) -> Steps[Looked]:
    places = []
    if engine.memory is not None:
        entry = engine.memory.peek(key)
        places.append(
            Place("memory") if entry is None else _in_memory(engine, entry, preview=preview)
        )
    for guard in engine.stores:
        seen = yield from _seen(guard, key)
        if seen is None:
            places.append(Place(guard.name, there=None))
        else:
            places.append(_in_store(guard.name, seen, options, engine.now(), preview=preview))
    claimed = any(place.claimed is not None for place in places)
    return Looked(key, tuple(places), loading=claimed or engine.flights.has(key))


def _seen(guard: Guard, key: str) -> Steps[Seen | None]:
    """What a store has; None where it is away."""
    if hasattr(guard.store, "look"):
        answer = yield from guard.ask("look", key)
        return None if answer is AWAY else answer
    answer = yield from guard.ask("get", key, (), ttl=True)
    return None if answer is AWAY else Seen(answer)


def _in_memory(engine: Engine, entry: Entry, *, preview: bool) -> Place:
    memory, freshness = engine.memory, entry.freshness
    assert memory is not None
    kind, value, opens = "none" if entry.value is None else "value", entry.value, entry.open
    if opens is not None and (preview or isinstance(value, BaseException)):
        try:
            value = opens(value)
        except Exception as error:  # which the call raised, and which is remembered
            kind, value = "error", error
    left = entry.deadline - memory.clock()
    return Place(
        "memory",
        there=True,
        kind=kind,
        left=None if left == math.inf else max(left, 0.0),
        fresh=None if freshness is None else freshness.until - engine.now(),
        age=None if freshness is None else max(time.time() - freshness.written, 0.0),
        bytes=entry.size if memory.measured else estimate(entry.value),
        load=None if freshness is None else freshness.load,
        tags=entry.tags,
        preview=short(value) if preview else None,
    )


def _in_store(name: str, seen: Seen, options: Options, now: float, *, preview: bool) -> Place:
    found = seen.found
    if found is None:
        return Place(name, claimed=seen.claimed, problem=_DEAD if seen.dead else None)
    product, problem = _read(found, options, now)
    unsealed = envelope.unseal(found.payload)
    freshness = None if product is None else product.freshness
    return Place(
        name,
        there=True,
        kind=None if product is None else _kind(product),
        left=found.ttl,
        fresh=None if freshness is None else freshness.until - now,
        age=None if unsealed is None else max(time.time() - unsealed[1], 0.0),
        bytes=len(found.payload),
        load=None if unsealed is None else unsealed[2],
        tags=found.tags,
        claimed=seen.claimed,
        problem=problem,
        preview=short(product.value) if preview and product is not None else None,
    )


def _read(found: Found, options: Options, now: float) -> tuple[Product | None, str | None]:
    """The value that a store holds, or why it cannot be read."""
    product = opened(found, options, now)
    if product is not None:
        return product, None
    unsealed = envelope.unseal(found.payload)
    if unsealed is None:
        return None, "its envelope is damaged, or of another version"
    flags, _, _, body, _ = unsealed
    if flags == envelope.RAISED:
        return None, "it is an error of a class that is not remembered here"
    try:
        options.serializer.loads(body)
    except Undecodable as error:
        return None, str(error)
    return None, "its envelope has a sign that is not known here"


def _kind(product: Product) -> str:
    if product.raised:
        return "error"
    return "none" if product.value is None else "value"


class _Short(reprlib.Repr):
    """Looks at no more of a value than it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = MOST
        self.maxdict = self.maxlist = self.maxtuple = 8


def short(value: Any) -> str:
    """The beginning of what a value looks like."""
    try:
        text = _Short().repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
