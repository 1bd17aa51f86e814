"""What the routes ask of a cache, whichever of the four kinds it is; nothing here knows HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache.aio import AsyncCache
from labkit.cache.looking import cache_of, look
from labkit.cache.smart import AsyncSmartCache, Hub, caches_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labkit.cache.admin.models import Invalidation, Warming
    from labkit.cache.base import BaseCache
    from labkit.cache.curves import Curve
    from labkit.cache.engine import Engine
    from labkit.cache.entities.entities import Entities
    from labkit.cache.looking import Looked
    from labkit.cache.warming import Warmed

_POINTS = 200
_MOST = 10_000  # ids of a file that one request has warmed


class Refused(Exception):
    """What was asked for makes no sense here; the message says why."""


class Missing(Refused):
    """There are no such entities."""


class SourceFailed(Refused):
    """The source of entities raised."""


class Desk:
    """A cache, or a smart one, and what is asked of it.

    Args:
        cache: A `Cache`, `AsyncCache`, `SmartCache` or `AsyncSmartCache`.
        clock: Seconds that only grow.

    Raises:
        TypeError: It is none of these.
    """

    def __init__(
        self, cache: BaseCache | Hub[Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not hasattr(cache, "stats") or not hasattr(cache, "namespace"):
            raise TypeError(
                f"{cache!r} is no cache; expected a Cache, a SmartCache or one of their async kinds"
            )
        self.cache: Any = cache
        self._awaited = isinstance(cache, AsyncCache | AsyncSmartCache)
        self._clock = clock

    @property
    def caches(self) -> dict[str, Any]:
        """The caches by name."""
        return caches_of(self.cache)

    def engines(self) -> Iterator[tuple[str, Engine]]:
        """Their engines."""
        for name, cache in self.caches.items():
            yield name, cache._engine

    async def _do(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a method of a cache; one that blocks, in a thread."""
        if self._awaited:
            return await function(*arguments, **named)
        return await asyncio.to_thread(function, *arguments, **named)

    # --- Reading

    def stats(self) -> dict[str, Any]:
        """What was counted, by cache; hot keys and curves are asked for by themselves."""
        return {
            name: msgspec.to_builtins(dataclasses.replace(engine.stats(), hot=[], curves=None))
            for name, engine in self.engines()
        }

    async def look(self, key: str, *, preview: bool) -> Looked:
        """What every tier has under a key."""
        found: Looked = await self._do(look, self.cache, key, preview=preview)
        return found

    def hot(self, most: int) -> list[dict[str, Any]]:
        """The keys that were asked for most, of all caches."""
        found: list[dict[str, Any]] = [
            {"cache": name, "key": str(hot.key), "least": hot.count - hot.error, "most": hot.count}
            for name, engine in self.engines()
            if engine.hot is not None
            for hot in engine.hot.top(most)
        ]
        return sorted(found, key=lambda each: -each["least"])[:most]

    def curves(self) -> dict[str, Any]:
        """How many reads would miss with another size, by cache, where that is sampled."""
        found = {}
        for name, engine in self.engines():
            if engine.curves is not None:
                curves = engine.curves.curves()
                groups = {group: _curve(each, engine) for group, each in curves.groups.items()}
                found[name] = {"total": _curve(curves.total, engine), "groups": groups}
        return found

    # --- Entities

    def entities(self, name: str) -> Entities[Any, Any, Any]:
        """The entities of a name.

        Raises:
            Missing: There are none.
        """
        if not isinstance(self.cache, Hub):
            raise Missing(f"There are no entities called {name!r}: this is a plain cache.")
        try:
            return self.cache[name]
        except LookupError as error:
            raise Missing(f"{error.args[0]}.") from error

    def summaries(self) -> list[dict[str, Any]]:
        """All entities in short."""
        if not isinstance(self.cache, Hub):
            return []
        return [self._summary(each) for each in self.cache]

    def _summary(self, entities: Entities[Any, Any, Any]) -> dict[str, Any]:
        counts = entities.stats()
        return {
            "name": entities.name,
            "strategy": entities.policy.strategy,
            "tiers": entities.engine.tiers,
            "ttl": entities.policy.ttl,
            "reads": sum(counts.hits.values()) + counts.misses + counts.waits,
            **{
                field: getattr(counts, field)
                for field in ("hit_ratio", "loads", "errors", "writes", "time_saved")
            },
        }

    def detail(self, name: str, staleness: str, patience: str, may_queue: bool) -> dict[str, Any]:
        """The policy of entities, their counts, and what these speak for.

        Raises:
            Missing: There are none of that name.
            Refused: A time is none.
        """
        entities = self.entities(name)
        counts = entities.stats()
        keys = _keys(entities)
        advice, why = None, None
        if not sum(counts.hits.values()) + counts.misses + counts.waits:
            why = "Nothing was read so far."
        elif keys is None:
            why = (
                "Nobody knows how many different ids were read: there is no memory tier, and no "
                "curves=Sampler()."
            )
        else:
            try:
                advised = entities.advise(
                    staleness, keys=keys, patience=patience, may_queue=may_queue
                )
            except ValueError as error:
                raise Refused(str(error)) from error
            advice = msgspec.to_builtins(advised)
        return {
            "name": entities.name,
            "policy": msgspec.to_builtins(entities.policy),
            "tiers": entities.engine.tiers,
            "relations": list(entities.relations),
            "parts": [part.name for part in entities.parts.values()],
            "counts": msgspec.to_builtins(counts),
            "keys": keys,
            "advice": advice,
            "unadvised": why,
        }

    # --- Changing

    async def invalidate(self, what: Invalidation) -> dict[str, Any]:
        """Drop something, and say where that was and who has not heard of it yet.

        Raises:
            Missing: There are no such entities.
            Refused: There is no such id.
        """
        caches = self.caches
        if what.entity is not None and isinstance(self.cache, Hub):
            entities = self.entities(what.entity.name)
            await self._do(entities.invalidate, id_of(entities, what.entity.id))
        elif what.entity is not None:
            ref = what.entity
            given = tuple(ref.id) if isinstance(ref.id, list) else ref.id
            await self._do(self.cache.invalidate, entity=(ref.name, given))
        elif what.key is not None and isinstance(self.cache, Hub):
            kept = cache_of(self.cache, what.key)
            caches = {name: each for name, each in caches.items() if each is kept}
            await self._do(kept.invalidate, key=what.key)  # type: ignore[attr-defined]
        elif what.all:
            await self._do(self.cache.clear)
        else:
            named = {
                name: value
                for name in ("key", "tag", "prefix")
                if (value := getattr(what, name)) is not None
            }
            for each in caches.values():
                await self._do(each.invalidate, **named)
        owed: dict[str, int] = {}
        for each in caches.values():
            for guard in each._engine.stores:
                if guard.owes:
                    owed[guard.name] = owed.get(guard.name, 0) + guard.owes
        return {"caches": list(caches), "owed": owed}

    async def warm(self, what: Warming) -> dict[str, Any]:
        """Load entities that are not there yet, for a bounded time.

        Raises:
            Missing: There are no such entities.
            Refused: An id is none, or there are neither ids nor a file.
            SourceFailed: The source raised.
        """
        entities = self.entities(what.entity)
        ids = _Ids(_asked(entities, what), self._clock() + what.seconds, self._clock)
        planned = entities.policy.warm
        rate = what.rate or (planned and planned.rate)
        batch = what.batch or (planned.batch if planned else 100)
        if rate:
            batch = min(batch, max(1, int(rate)))  # so that a pause is no longer than a second
        try:
            done: Warmed = await self._do(entities.warm, ids, rate=rate, batch=batch)
        except Refused:
            raise
        except Exception as error:
            raise SourceFailed(
                f"The source of {entities.name} raised {type(error).__name__}; what was loaded "
                "before is kept."
            ) from error
        stopped = done.stopped
        if stopped is None and not ids.exhausted:
            stopped = f"{what.seconds:g} s are over" if ids.late else f"{_MOST:,} ids are enough"
        return {
            "done": done.done,
            "skipped": done.skipped,
            "failed": done.failed,
            "seconds": done.seconds,
            "complete": ids.exhausted and done.stopped is None,
            "stopped": stopped,
        }


class _Ids:
    """Ids until their time is over, or there were enough of them."""

    def __init__(self, ids: Iterable[Any], end: float, clock: Callable[[], float]) -> None:
        self._ids = ids
        self._end = end
        self._clock = clock
        self.exhausted = self.late = False

    def __iter__(self) -> Iterator[Any]:
        coming = iter(self._ids)
        for _ in range(_MOST):
            self.late = self._clock() >= self._end
            if self.late:
                return
            try:
                one = next(coming)
            except StopIteration:
                self.exhausted = True
                return
            except (TypeError, ValueError) as error:
                raise Refused(f"{error}.") from error
            except OSError as error:
                why = os.strerror(error.errno or 0)  # without its place, which is nobody's business
                raise Refused(f"The file of ids cannot be read: {why}.") from error
            yield one
        self.exhausted = next(coming, None) is None


def _asked(entities: Entities[Any, Any, Any], what: Warming) -> Iterable[Any]:
    """The ids that a request names, else those of the file that the policy names."""
    if what.ids is not None:
        return [id_of(entities, each) for each in what.ids]
    try:
        return entities.planned_ids()
    except ValueError as error:
        raise Refused(f"{error}.") from error


def id_of(entities: Entities[Any, Any, Any], given: Any) -> Any:
    """The id that a request means: a text may stand for a number, as in a path.

    Raises:
        Refused: It is none.
    """
    fields = entities.kind.id
    try:
        if len(fields) == 1 and not isinstance(given, list):
            return entities.kind.id_from(str(given))
        if isinstance(given, list) and len(given) == len(fields) > 1:
            return entities.ids.plain(tuple(given))
    except (TypeError, ValueError) as error:
        raise Refused(f"{error}.") from error
    many = f"a list of {len(fields)}: {', '.join(fields)}" if len(fields) > 1 else fields[0]
    raise Refused(f"The id of {entities.name} is {given!r}; expected {many}.")


def _keys(entities: Entities[Any, Any, Any]) -> int | None:
    """How many different ids were read, as far as anybody knows."""
    engine = entities.engine
    if engine.curves is not None:
        curve = engine.curves.curves().groups.get(entities.name)
        if curve is not None and curve.cold:
            return max(1, round(curve.cold))
    if engine.memory is not None:
        here, begin = engine.memory.keys(), f"{entities.name}:"
        return max(1, sum(key.startswith(begin) for key in here))
    return None


def _curve(curve: Curve, engine: Engine) -> dict[str, Any]:
    memory, size = engine.memory, None
    if memory is not None:
        size = memory.max_bytes if curve.unit == "bytes" else memory.maxsize
    points = [{"size": size, "misses": misses} for size, misses in curve.points(_POINTS)]
    return {
        "points": points,
        "unit": curve.unit,
        "requests": curve.requests,
        "samples": curve.samples,
        "rate": curve.rate,
        "size": size,
        "twice": str(curve.gain(size, 2)) if size and curve.requests else None,
    }
