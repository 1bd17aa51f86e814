"""The smart cache: what is cached is declared once, by class, and how is a policy.

Example:
    >>> news = SmartCache([MemoryTier(), RedisTier(client)], namespace="news", policies="news.toml")
    >>> authors = news.entity(Author, AuthorSource(db), relations={
    ...     "articles": Many(to="Article", load=article_ids, back="author", shown=True)})
    >>> articles = news.entity(Article, ArticleSource(db), relations={
    ...     "author": One(to="Author", field="author_id")})
    >>> articles.get(17).title
    'Ferry is back'
    >>> authors.related(4, "articles")
    [Article(id=17, ...), ...]
"""

# ruff: noqa: A002 - an id is called id, and a type type

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from labkit.cache.aio import AsyncCache
from labkit.cache.backends.base import name_of
from labkit.cache.backends.memory import MemoryTier
from labkit.cache.base import BaseCache
from labkit.cache.cache import Cache
from labkit.cache.entities.entities import Entities
from labkit.cache.entities.graph import Graph
from labkit.cache.entities.kinds import Kind
from labkit.cache.entities.sessions import Sessions
from labkit.cache.hot import HotKeys
from labkit.cache.options import refuse_unknown
from labkit.cache.policies import InvalidPolicy, Policies, Policy
from labkit.cache.policies.policy import SERIALIZERS, check_tiers, policy_of
from labkit.cache.stats import row_of
from labkit.cache.steps import run, run_async
from labkit.cache.targets import Entity
from labkit.cache.targets import chosen as target_of

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from labkit.cache.backends.base import Tier
    from labkit.cache.engine import Engine
    from labkit.cache.entities.lists import Lists
    from labkit.cache.entities.reach import Reached
    from labkit.cache.entities.relations import Relation
    from labkit.cache.known import Known
    from labkit.cache.sources.base import Source
    from labkit.cache.stats import Stats
    from labkit.cache.steps import Steps
    from labkit.cache.targets import Target
    from labkit.cache.warming import Warmed

C = TypeVar("C", bound=BaseCache)
K = TypeVar("K")
V = TypeVar("V")

MOST = 1000
"""Entities that a change reaches one by one, unless told otherwise; beyond, all of a name go."""


class Hub(Generic[C]):
    """What `SmartCache` and `AsyncSmartCache` have in common.

    Args:
        tiers: Where values are kept, nearest first, as in `Cache`; or by names of your own. Each
            choice of tiers that a policy makes has a cache of its own, and a `MemoryTier` of its
            own: one of 100 entries and three choices hold 300.
        namespace: What keeps its keys apart from others in the same stores.
        policies: How entities are cached, by their names: `Policies`, a mapping, or the path of a
            TOML file. A mapping has a `Policy` for each, or a mapping of options.
        most: How many entities a change reaches one by one.
        **options: What `Cache` takes, for what is no entity, and for entities where policies say
            nothing; a `Policy` that is made in Python says all that there is to say. The
            `serializer` is one of `MessagePack()`, `Json()` and `Raw()`, or its name, and `ttl` is
            no function: policies are data. Each cache has a sampler of its own like that of
            `curves`, which is that of `cache`; `hot_keys` likewise.

    Attributes:
        namespace: Its namespace.
        sessions: Entities that are one object within a request.
        most: How many entities a change reaches one by one.

    Raises:
        TypeError: There is no such option.
        ValueError: A name of a tier comes twice, or an option makes no sense.
        InvalidPolicy: A policy makes no sense.
        InvalidPolicies: The same of a file, or a tier is not there; tells all of it.
    """

    _kind: type[C]
    _asynchronous: bool

    def __init__(
        self,
        tiers: Sequence[MemoryTier | Tier] | Mapping[str, MemoryTier | Tier] | None = None,
        *,
        namespace: str = "cache",
        policies: Policies
        | Mapping[str, Policy | Mapping[str, Any]]
        | str
        | os.PathLike[str]
        | None = None,
        most: int = MOST,
        **options: Any,
    ) -> None:
        if most < 1:
            raise ValueError(f"most is {most!r}; expected a whole number above 0")
        self.namespace = namespace
        self.sessions = Sessions()
        self.most = most
        self._tiers = _named(tiers if tiers is not None else [MemoryTier()])
        refuse_unknown(options, _OPTIONS)
        usual = _usual(options)
        if "serializer" in usual:
            options |= {"serializer": SERIALIZERS[usual["serializer"]]()}
        self._options = options
        self._policies = _policies(policies, usual, self._tiers)
        self._caches: dict[tuple[str, ...], C] = {}
        self._entities: dict[str, Entities[C, Any, Any]] = {}
        self._graph: Graph | None = None
        self.cache = self._cache_of(())

    def entity(
        self,
        type: type[V],
        source: Source[K, V],
        *,
        name: str | None = None,
        id: str | Sequence[str] | None = None,
        policy: Policy | Mapping[str, Any] | None = None,
        relations: Mapping[str, Relation] | None = None,
        parts: Sequence[type] = (),
        known: Known | None = None,
    ) -> Entities[C, K, V]:
        """Declare entities.

        All processes that share a store declare the same, so that each drops what the others keep.

        Args:
            type: Their class: a dataclass, an msgspec struct, or a model of SQLAlchemy.
            source: Where they come from, by their ids.
            name: What keys, statistics and policies call them. Default: the name of the class.
            id: The field that tells them apart, or several of them.
            policy: How they are cached, or the options that are other than the defaults. Default:
                what `policies` says of their name.
            relations: How they belong to others, by names of your own.
            parts: Classes with some of their fields.
            known: Which ids there are; see `labkit.cache.known`.

        Raises:
            TypeError: The class is none of these.
            ValueError: The name is taken, or a field or a tier is not there.
        """
        kind = Kind(type, name=name, id=id)
        if kind.name in self._entities:
            raise ValueError(f"there are entities called {kind.name!r} already; pass another name=")
        chosen = self._policies.get(kind.name)
        if policy is not None:
            chosen = policy_of(f"the policy of {kind.name}", policy, self._policies.defaults)
        check_tiers("tiers", chosen.tiers, self._tiers)
        made = Entities(
            self,
            self._cache_of(tuple(chosen.tiers)),
            source,
            kind,
            chosen,
            relations=relations,
            parts=parts,
            known=known,
        )
        self._entities[kind.name] = made
        self._graph = None
        return made

    def session(self) -> contextlib.AbstractContextManager[None]:
        """A request: within the `with` block an entity is one object, and asked for once."""
        return self.sessions.begin()

    @property
    def graph(self) -> Graph:
        """All entities, and what leads where.

        Raises:
            LookupError: A relation leads to what is not declared.
        """
        if self._graph is None:
            self._graph = Graph(self._entities.values())
        return self._graph

    def check(self) -> None:
        """Refuse what shows only when all entities are declared; to be called then.

        It does not happen by itself: several programs with tiers of the same names may share a
        file of policies, and each declares its own entities.

        Raises:
            InvalidPolicies: There are policies of entities that nobody has declared.
            LookupError: A relation leads to what is not declared.
        """
        self._policies.check_names(self._entities)
        _ = self.graph

    @property
    def caches(self) -> list[C]:
        """The caches behind it, one for each choice of tiers; what a `Panel` shows."""
        return list(self._caches.values())

    def frame(self) -> pd.DataFrame:
        """What was counted until now: a row for each kind of entities, its parts and its lists.

        The columns are those of `Stats.frame`, and `load_seconds`, what loads have cost in all.
        """
        import pandas as pd

        rows = {
            name: row_of(counts) | {"load_seconds": counts.load_total}
            for stats in self.stats().values()
            for name, counts in stats.functions.items()
            if name
        }
        return pd.DataFrame.from_dict(rows, orient="index").drop(columns="name", errors="ignore")

    def _planned(self, on_start: bool) -> list[Entities[C, Any, Any]]:
        """The entities that policies name files of; only those to be warmed at the start, if so."""
        plans = [(each, each.policy.warm) for each in self]
        return [each for each, plan in plans if plan and plan.keys and plan.on_start >= on_start]

    def stats(self) -> dict[str, Stats]:
        """What was counted until now, by the tiers that values are kept in."""
        return {"+".join(names): cache.stats() for names, cache in self._caches.items()}

    def drop(
        self,
        entities: Entities[C, Any, Any],
        id: Any,
        reached: Reached,
        lists: Sequence[tuple[Lists, Sequence[Any] | None]],
    ) -> Steps[None]:
        """Drop what a change has made old, but for the value of the changed entity itself."""
        old = _Old()
        for name, ids in reached.ids.items():
            others = self.graph.by_name[name]
            for one in ids:
                if (name, one) != (entities.name, id):
                    old.add(others.engine, keys=[others.key(one)])
                old.add(others.engine, keys=others.keys(one))
        for name in reached.whole:
            others = self.graph.by_name[name]
            old.add(others.engine, tags=[each.name for each in others.strategies])
        for each, owners in lists:
            if owners is None:
                old.add(each.engine, tags=[each.name])
            else:
                old.add(each.engine, keys=map(each.key, owners))
        yield from old.drop()

    def _cache_of(self, names: tuple[str, ...]) -> C:
        """The cache with these tiers; entities of one choice share it."""
        chosen = names or tuple(self._tiers)
        if chosen not in self._caches:
            first = not self._caches
            space = self.namespace if first else f"{self.namespace}/{'-'.join(chosen)}"
            tiers = [self._tiers[name] for name in chosen]
            options = self._options
            if not first:
                tiers = [one.another() if isinstance(one, MemoryTier) else one for one in tiers]
                options = options | _others(options)
            self._caches[chosen] = made = self._kind(tiers, namespace=space, **options)
            made._is_part = True
        return self._caches[chosen]

    def _drop(self, targets: Sequence[Target]) -> Steps[None]:
        """Drop what targets name, in all caches, and the entities among them with what shows them.

        Where the source of one fails, the others are dropped all the same.
        """
        for cache in self.caches:
            yield from cache._drop(targets)
        self._meet_anew()
        failed = []
        for target in targets:
            if isinstance(target, Entity) and target.kind in self._entities:
                try:
                    yield from self._entities[target.kind]._invalidate(target.id, None)
                except Exception as error:
                    failed.append(error)
        if failed:
            raise failed[0]

    def _meet_anew(self) -> None:
        """Let a session ask the caches again."""
        for name in self._entities:
            self.sessions.forget(name)

    @property
    def _engine(self) -> Any:
        """What a plain cache has, and whoever takes one asks for.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{self!r} was given where a plain cache works; pass its .cache")

    def __getitem__(self, name: str) -> Entities[C, Any, Any]:
        """The entities of a name.

        Raises:
            LookupError: There are none.
        """
        if name not in self._entities:
            raise LookupError(
                f"there are no entities called {name!r}; expected one of "
                f"{', '.join(self._entities) or 'none so far'}"
            )
        return self._entities[name]

    def __iter__(self) -> Iterator[Entities[C, Any, Any]]:
        return iter(self._entities.values())

    def __repr__(self) -> str:
        names = ", ".join(self._entities) or "nothing"
        return f"<{type(self).__name__} {self.namespace!r} of {names}>"


class SmartCache(Hub[Cache]):
    """Entities in a cache for threads.

    Attributes:
        cache: For what is no entity, with all tiers. What it invalidates it invalidates there
            alone; `invalidate` reaches entities too.
    """

    _kind = Cache
    _asynchronous = False

    def warm(self, *, on_start: bool = False) -> dict[str, Warmed]:
        """Load the entities that policies name files of, one name after the other.

        Args:
            on_start: Only those whose policy says that this is done when the application starts.
        """
        return {each.name: each.warm() for each in self._planned(on_start)}

    def invalidate(
        self,
        *,
        key: str | None = None,
        tag: str | None = None,
        prefix: str | None = None,
        entity: tuple[str, Any] | None = None,
    ) -> None:
        """Drop something in all caches; see `Cache.invalidate`.

        Args:
            key: The key.
            tag: A tag of the values; the name of entities is one of all of them.
            prefix: How the keys begin.
            entity: The name of entities and an id, such as ("Article", 17): what shows it goes too,
                as `Entities.invalidate` has it, and what carries the tag of that name and id.

        Raises:
            TypeError: Not exactly one of them is given.
        """
        run(self._drop([target_of(key, tag, prefix, entity)]))

    def clear(self) -> None:
        """Drop everything."""
        self._meet_anew()
        for cache in self.caches:
            cache.clear()

    def close(self) -> None:
        """Let go of what the caches hold. Harmless when repeated."""
        for cache in self.caches:
            cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSmartCache(Hub[AsyncCache]):
    """Entities in a cache for asyncio: the methods of `SmartCache` and its entities, awaited."""

    _kind = AsyncCache
    _asynchronous = True

    async def warm(self, *, on_start: bool = False) -> dict[str, Warmed]:
        """As in `SmartCache`, awaited."""
        return {each.name: await each.warm() for each in self._planned(on_start)}

    async def invalidate(
        self,
        *,
        key: str | None = None,
        tag: str | None = None,
        prefix: str | None = None,
        entity: tuple[str, Any] | None = None,
    ) -> None:
        """As in `SmartCache`, awaited."""
        await run_async(self._drop([target_of(key, tag, prefix, entity)]))

    async def clear(self) -> None:
        """Drop everything."""
        self._meet_anew()
        for cache in self.caches:
            await cache.clear()

    async def close(self) -> None:
        """Let go of what the caches hold. Harmless when repeated."""
        for cache in self.caches:
            await cache.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Old:
    """Keys and tags to drop, by the cache that they are in."""

    def __init__(self) -> None:
        self._keys: dict[Engine, dict[str, None]] = {}
        self._tags: dict[Engine, dict[str, None]] = {}

    def add(self, engine: Engine, *, keys: Any = (), tags: Any = ()) -> None:
        self._keys.setdefault(engine, {}).update(dict.fromkeys(keys))
        self._tags.setdefault(engine, {}).update(dict.fromkeys(tags))

    def drop(self) -> Steps[None]:
        for engine, keys in self._keys.items():
            if keys:
                yield from engine.delete(list(keys))
            if tags := self._tags[engine]:
                yield from engine.delete_tags(list(tags))


def _named(tiers: Any) -> dict[str, Any]:
    if isinstance(tiers, Mapping):
        return dict(tiers)
    found: dict[str, Any] = {}
    for tier in tiers:
        name = name_of(tier)
        if name in found:
            raise ValueError(
                f"two tiers are called {name!r}; pass a mapping with names of your own"
            )
        found[name] = tier
    return found


_OPTIONS = tuple(inspect.signature(BaseCache).parameters)[2:]  # without tiers and namespace


def _usual(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options for a cache that a policy has too.

    Raises:
        InvalidPolicy: No policy can have it.
    """
    usual = {name: value for name, value in options.items() if name in Policy.options}
    if callable(usual.get("ttl")):
        raise InvalidPolicy(
            "ttl",
            f"is {usual['ttl']!r}; expected a time, since policies are data",
            'Write one such as "10m"; give a function to what is no entity: smart.cache.cached(...)'
            ", or a strategy over smart.cache.",
        )
    serializer = usual.pop("serializer", None)
    if serializer is not None:
        named = {kind: name for name, kind in SERIALIZERS.items()}
        usual["serializer"] = named.get(type(serializer), serializer)
    for name, value in usual.items():
        Policy.of(name).value(name, value)
    return usual


def _policies(given: Any, usual: Mapping[str, Any], tiers: Mapping[str, Any]) -> Policies:
    """The policies of all entities; by the options for the cache where nothing else is said."""
    if isinstance(given, Policies):
        return given.over(usual, tiers)
    if given is None or isinstance(given, Mapping):
        return Policies(given).over(usual, tiers)
    if isinstance(given, (str, os.PathLike)):
        return Policies.read(given, options=usual, tiers=tiers)
    raise TypeError(
        f"policies is {given!r}; expected Policies, a mapping of them, or the path of a TOML file"
    )


def _others(options: Mapping[str, Any]) -> dict[str, Any]:
    """What counts the reads of one more cache, by itself: figures of one are not those of all."""
    curves, hot = options.get("curves"), options.get("hot_keys")
    found: dict[str, Any] = {} if curves is None else {"curves": curves.another()}
    return found | {"hot_keys": hot.most} if isinstance(hot, HotKeys) else found


def caches_of(cache: BaseCache | Hub[Any]) -> dict[str, Any]:
    """The caches of a smart one by the names of their tiers, or a cache by its namespace.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(cache, Hub):
        return {"+".join(names): each for names, each in list(cache._caches.items())}
    if isinstance(cache, BaseCache):
        return {cache.namespace: cache}
    raise TypeError(
        f"{cache!r} is no cache; expected a Cache, a SmartCache or one of their async kinds"
    )


def face_of(cache: BaseCache | Hub[Any]) -> Callable[[Any], Any]:
    """What carries out operations as the methods of a cache do: at once, or to be awaited.

    Raises:
        TypeError: It is no cache.
    """
    caches_of(cache)
    return run_async if cache._asynchronous else run
