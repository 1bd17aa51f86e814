"""Entities of one class: read and written by their ids, with what belongs to them."""

# ruff: noqa: A001, A002 - an id is called id, and a type type

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from labkit.cache.ages import Aged
from labkit.cache.engine import Call
from labkit.cache.entities.graph import is_list
from labkit.cache.entities.ids import Ids, unmade
from labkit.cache.entities.lists import Lists
from labkit.cache.entities.parts import Parts
from labkit.cache.entities.reach import Reached, reach
from labkit.cache.entities.relations import Many, Relation, checked, ids_in
from labkit.cache.keyfiles import ids_from
from labkit.cache.known import text_of
from labkit.cache.policies import Observed, advise
from labkit.cache.sources.base import returning
from labkit.cache.sources.coalesced import Coalesced
from labkit.cache.sources.limited import Beside
from labkit.cache.steps import Ask
from labkit.cache.strategies import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence

    from labkit.cache.aio import AsyncCache
    from labkit.cache.base import BaseCache
    from labkit.cache.cache import Cache
    from labkit.cache.engine import Engine
    from labkit.cache.entities.kinds import Kind
    from labkit.cache.known import Known
    from labkit.cache.policies import Advice, Policy
    from labkit.cache.smart import Hub
    from labkit.cache.sources.base import Source
    from labkit.cache.sources.limited import Limited
    from labkit.cache.stats import Counts
    from labkit.cache.steps import Steps
    from labkit.cache.strategies.base import Keeping
    from labkit.cache.warming import Warmed

C = TypeVar("C", bound="BaseCache")
K = TypeVar("K")
V = TypeVar("V")
P = TypeVar("P")


class Entities(Generic[C, K, V]):
    """All entities of a class; `SmartCache.entity` makes them.

    A write drops what it makes old: the parts of the entity, the lists that it is in or was in, and
    whatever shows it, along the relations. While it is written nothing of that is kept that was
    loaded before.

    An id is of the type that the class says, where it says one: 2, "2", 2.0 and True would be four
    keys of one entity. Any other is refused with a TypeError.

    Attributes:
        kind: Their class, and what tells them apart.
        ids: What their ids may be.
        name: What keys and statistics call them.
        policy: How they are cached.
        source: Where they come from.
        strategy: What carries the policy out.
        relations: How they belong to others, by name.
        lists: Of the relations whose ids are looked up, the lists.
        parts: Their parts, by the classes of those.
    """

    def __init__(
        self,
        hub: Hub[C],
        cache: C,
        source: Source[K, V],
        kind: Kind[V],
        policy: Policy,
        *,
        relations: Mapping[str, Relation] | None = None,
        parts: Sequence[type] = (),
        known: Known | None = None,
    ) -> None:
        self._hub = hub
        self._cache = cache
        self._began = time.monotonic()
        self.kind = kind
        self.ids = Ids(kind)
        self._id_type = self.ids.type  # for a hit, which has no time to ask for it
        self.name = kind.name
        self.policy = policy
        self.source: Any = source
        self.relations = checked(relations or {}, kind)
        spared = policy.source(source)
        limit = _limit_of(policy, spared)
        self.strategy: Any = self._strategy(policy.but(limits=None), spared, kind, known)
        keeping = {k: v for k, v in policy.keeping().items() if k != "serializer"}
        self.lists = {
            name: Lists(cache, f"{self.name}.{name}", relation.load, keeping, limit)  # type: ignore[attr-defined]
            for name, relation in self.relations.items()
            if is_list(relation)
        }
        self.parts: dict[type, Parts[C, K, Any]] = {
            each: Parts(self, each, lambda source, kind: self._part_strategy(source, kind, limit))
            for each in parts
        }

    def _strategy(
        self, policy: Policy, source: Any, kind: Kind[Any], known: Known | None = None
    ) -> Any:
        return policy.build(
            self._cache,
            source,
            name=kind.name,
            type=kind.type,
            tags=(kind.name,),
            known=known,
            serializer=kind.serializer(policy.keeping()["serializer"]),
        )

    def _part_strategy(self, source: Any, kind: Kind[Any], limit: Limited[Any, Any] | None) -> Any:
        limits = self.policy.limits
        if limit is not None:
            source = Beside(source, limit)
        if limits is not None and limits.coalesce is not None:
            source = Coalesced(source, limits.coalesce)
        policy = self.policy.but(strategy="read-through", queue=None, limits=None)
        return self._strategy(policy, source, kind)

    # --- Reading

    @overload
    def get(self: Entities[Cache, K, V], id: K, **how: Unpack[Keeping]) -> V | None: ...
    @overload
    def get(
        self: Entities[AsyncCache, K, V], id: K, **how: Unpack[Keeping]
    ) -> Awaitable[V | None]: ...
    def get(self, id: K, **how: Any) -> Any:
        """The entity of an id; None where there is none.

        Args:
            id: The id.
            **how: What is other than the policy says for this call, such as `ttl`.

        Raises:
            TypeError: The id is of another type than the class says; so in all that takes ids.
            Exception: What the source raised, where no older value may stand in.
        """
        if type(id) is not self._id_type:
            id = self.ids.plain(id)
        if not how and self._hub.sessions.current is None:
            return self.strategy.get(id)
        return self.strategy._run(self._get(id, how))

    @overload
    def get_many(
        self: Entities[Cache, K, V], ids: Iterable[K], **how: Unpack[Keeping]
    ) -> dict[K, V]: ...
    @overload
    def get_many(
        self: Entities[AsyncCache, K, V], ids: Iterable[K], **how: Unpack[Keeping]
    ) -> Awaitable[dict[K, V]]: ...
    def get_many(self, ids: Iterable[K], **how: Any) -> Any:
        """The entities of ids, without those that are not there; what is missing loads together."""
        return self.strategy._run(self._get_many(self.ids.distinct(ids), how))

    @overload
    def refresh(self: Entities[Cache, K, V], id: K) -> V | None: ...
    @overload
    def refresh(self: Entities[AsyncCache, K, V], id: K) -> Awaitable[V | None]: ...
    def refresh(self, id: K) -> Any:
        """Load an entity anew and keep it, whatever is there."""
        id = self.ids.plain(id)
        return self.strategy._run(self._refresh(id))

    def related(self, id: K, name: str) -> Any:
        """What a relation leads to: an entity or None, or a list of entities.

        That of an id which is not there leads nowhere: to None, or an empty list.

        Raises:
            LookupError: There is no such relation.
            TypeError: It leads to an id of another type than the class there says.
        """
        id = self.ids.plain(id)
        return self.strategy._run(self._related_to(id, name))

    def related_many(self, ids: Iterable[K], name: str) -> Any:
        """The same of many entities: two batches, however many they are.

        Every id is in the answer, with what `related` answers of it: also one that is not there.
        """
        return self.strategy._run(self._related(self.ids.distinct(ids), name))

    def part(self, type: type[P]) -> Parts[C, K, P]:
        """Parts of these entities.

        Args:
            type: A class that was declared among the `parts`.

        Raises:
            LookupError: It was not.
        """
        if type not in self.parts:
            declared = ", ".join(each.__name__ for each in self.parts) or "none is"
            raise LookupError(
                f"{type.__name__} is not declared as a part of {self.name} ({declared}); pass it "
                "in parts=, so that every process drops it when the entity changes"
            )
        return self.parts[type]

    # --- Writing

    @overload
    def save(self: Entities[Cache, K, V], value: V) -> V | None: ...
    @overload
    def save(self: Entities[AsyncCache, K, V], value: V) -> Awaitable[V | None]: ...
    def save(self, value: V) -> Any:
        """Write an entity as the policy says, and drop what that makes old.

        An object whose id is None is a new one, whose id the database makes. Its source has to be
        `returning`, as a `ModelSource` is; what it stored is not kept, and loaded by the next who
        asks.

        Returns:
            Of an object without an id what the source has stored, which has one.

        Raises:
            TypeError: It is no object of the class, or its id is of another type.
            ValueError: It has no id, and nobody would know which one it gets. Nothing was written.
        """
        id = self.kind.id_of(value)
        if unmade(id) and returning(self.source) and not self._behind:
            return self.strategy._run(self._insert(id, value))
        if id is None:
            raise ValueError(self._no_id())
        id = self.ids.plain(id)
        return self.strategy._run(self._write("save", id, value))

    @overload
    def delete(self: Entities[Cache, K, V], id: K) -> None: ...
    @overload
    def delete(self: Entities[AsyncCache, K, V], id: K) -> Awaitable[None]: ...
    def delete(self, id: K) -> Any:
        """Delete an entity, and drop what that makes old."""
        id = self.ids.plain(id)
        return self.strategy._run(self._write("delete", id))

    @overload
    def invalidate(self: Entities[Cache, K, V], id: K, before: V | None = None) -> None: ...
    @overload
    def invalidate(
        self: Entities[AsyncCache, K, V], id: K, before: V | None = None
    ) -> Awaitable[None]: ...
    def invalidate(self, id: K, before: V | None = None) -> Any:
        """Drop an entity that was changed by somebody else, and what that makes old.

        Args:
            id: The id.
            before: The entity as it was. Where that is not known, all lists go that it may have
                been in, and all entities to which a field of it may have led.

        Raises:
            TypeError: What was before is no object of the class.
            ValueError: It has another id.
        """
        id = self.ids.plain(id)
        if before is not None and (own := self.kind.id_of(before)) != id:
            raise ValueError(f"the id is {id!r}, and that of the {self.name} before is {own!r}")
        return self.strategy._run(self._invalidate(id, before))

    # --- The rest

    @overload
    def warm(self: Entities[Cache, K, V], ids: Iterable[K] | None = None, **how: Any) -> Warmed: ...
    @overload
    def warm(
        self: Entities[AsyncCache, K, V], ids: Iterable[K] | None = None, **how: Any
    ) -> Awaitable[Warmed]: ...
    def warm(self, ids: Iterable[K] | None = None, **how: Any) -> Any:
        """Load what is not there yet, before readers come.

        Args:
            ids: The ids, the most important first; None: those in the file that the policy names.
            **how: As in `labkit.cache.warming.warm`; `rate` and `batch` are those of the policy
                where they are not given.

        Raises:
            ValueError: No ids are given, and the policy names no file; or a line of it is no id.
        """
        planned = self.policy.warm
        if ids is None:
            ids = self.planned_ids()
        elif isinstance(ids, Collection):
            ids = self.ids.distinct(ids)
        else:  # they may be too many to be looked at before
            ids = map(self.ids.plain, ids)
        usual = {} if planned is None else {"rate": planned.rate, "batch": planned.batch}
        return self.strategy.warm(ids, **usual | how)

    def planned_ids(self) -> Iterator[K]:
        """The ids in the file that the policy names.

        Raises:
            ValueError: It names none; or, as they are read, a line is no id.
        """
        planned = self.policy.warm
        if planned is None or planned.keys is None:
            raise ValueError(
                f"the policy of {self.name} names no file with ids to warm; pass ids, or give it a "
                "warm with keys"
            )
        return ids_from(planned.keys, self.kind.id_from)

    def advise(
        self,
        staleness: float | str = 0,
        *,
        keys: int,
        patience: float | str = "100ms",
        may_queue: bool = False,
        **known: Any,
    ) -> Advice:
        """The policy that speaks for itself after what was counted since they were declared.

        Args:
            staleness: For how long after a change a reader may still see what was before.
            keys: How many different ids were read.
            patience: How long a reader may wait for a load.
            may_queue: Whether a write may reach the source later than it is acknowledged.
            **known: What is not counted, such as `value_bytes`; see `Observed`.
        """
        seconds = time.monotonic() - self._began
        shared = {"shared": bool(self.engine.stores)}
        observed = Observed.of(self.stats(), seconds, keys=keys, **shared | known)
        return advise(observed, staleness, patience=patience, may_queue=may_queue)

    def key(self, id: K) -> str:
        """What stands for an entity in the cache."""
        key: str = self.strategy.key(id)
        return key

    def stats(self) -> Counts:
        """What was counted until now."""
        counts: Counts = self.strategy.stats()
        return counts

    def __repr__(self) -> str:
        return f"<Entities {self.name}: {self.policy.strategy}, in {self._cache!r}>"

    # --- As steps

    def _get(self, id: K, how: Mapping[str, Any]) -> Steps[V | None]:
        found = yield from self._get_many([id], how)
        return found.get(id)

    def _get_many(self, ids: Sequence[K], how: Mapping[str, Any]) -> Steps[dict[K, V]]:
        strategy = self.strategy.but(**how) if how else self.strategy
        session = self._hub.sessions.current
        if session is None:
            return (yield from strategy._get_many(list(ids)))  # type: ignore[no-any-return]
        found = session.met(self.name, ids)
        rest = [each for each in ids if each not in found]
        if not rest:
            return {each: found[each] for each in ids if found[each] is not None}
        with session.loading(self.name, rest) as load:
            loaded = yield from strategy._get_many(rest)
            found |= session.keep(load, self.name, rest, loaded)
        return {each: found[each] for each in ids if found[each] is not None}

    def _refresh(self, id: K) -> Steps[V | None]:
        try:
            return (  # type: ignore[no-any-return]
                yield from self.strategy._engine.load(self.strategy._call(id), refresh=True)
            )
        finally:
            self._hub.sessions.forget(self.name, [id])

    def there(self, ids: Sequence[K], *, old: bool = False) -> Steps[dict[K, V | None]]:
        """What some tier has of entities, None for those that are not there; nothing is loaded.

        Args:
            ids: Their ids.
            old: Whether what is given out where a load fails will do.
        """
        strategy, aged = self.strategy, Aged() if old else None
        named = {self.key(each): each for each in ids}
        call = Call("", (), strategy._options, strategy._counters)
        found = yield from strategy._engine.look_up_many(list(named), call, aged)
        if aged is not None:
            strategy._engine.ages.renewed(aged.due)  # nobody loads them now
            for text, product in aged.old.items():
                strategy._engine.ages.count(text, product, strategy._counters)
                found[text] = product.given()
        return {named[text]: value for text, value in found.items()}

    def _related_to(self, id: K, name: str) -> Steps[Any]:
        found = yield from self._related([id], name)
        return found[id]

    def _related(self, ids: Sequence[K], name: str) -> Steps[dict[K, Any]]:
        if name not in self.relations:
            raise LookupError(
                f"{self.name} has no relation {name!r}; expected one of "
                f"{', '.join(self.relations) or 'none'}"
            )
        relation = self.relations[name]
        if name in self.lists:
            led: dict[K, Sequence[Any]] = dict((yield from self.lists[name].get_many(ids)))
        else:
            values = yield from self._get_many(ids, {})
            led = {each: ids_in(relation, value) for each, value in values.items()}
        target = self._hub.graph.by_name[relation.to]
        every = (one for some in led.values() for one in some)
        wanted = target.ids.distinct(every, f"{self.name}.{name}")
        others = yield from target._get_many(wanted, {})
        found = {each: [others[one] for one in led.get(each, ()) if one in others] for each in ids}
        if isinstance(relation, Many):
            return dict(found)
        return {each: some[0] if some else None for each, some in found.items()}

    def _write(self, method: str, id: K, *value: V) -> Steps[Any]:
        before = yield from self._before(id)
        lists = yield from self._listed(id, before)
        try:
            return (yield from self.strategy._counted(self.strategy._write(method, id, *value)))
        finally:
            yield from self._drop(id, before, value[0] if value else None, lists)

    def _insert(self, given: Any, value: V) -> Steps[V]:
        """Write a new object, and take its id out of what the source has stored."""
        strategy, id, now = self.strategy, given, value
        _ = self._hub.graph  # or it raises, before anything is written
        try:
            write = strategy._of_source("save", given, value)
            stored: V = yield from strategy._counted(write)
            id, now = self._made(stored, given), stored
            if strategy._known is not None:
                yield Ask(strategy._known, "add", ([text_of(id)],), {})
            return stored
        finally:
            yield from strategy._engine.delete([self.key(id)])  # that there was none
            yield from self._drop(id, None, now, [])

    def _made(self, stored: Any, given: Any) -> Any:
        """The id of what a source has stored; that which was given may have no part to be made."""
        id = self.kind.id_of(stored) if isinstance(stored, self.kind.type) else None
        if id is None or (unmade(id) and id != given):
            raise TypeError(
                f"the source of {self.name} is returning, and its save returned {stored!r}; "
                f"expected the {self.name} as it is stored, with its id"
            )
        return id

    def _no_id(self) -> str:
        fields = ", ".join(self.kind.id)
        why = (
            f"write-behind writes it when nobody waits for that any more. Give it its {fields} "
            "before, such as a UUID; or insert it in the database, and call invalidate(id)"
            if self._behind
            else f"the source does not say which one it makes. Give it its {fields} before; or let "
            "the save of the source return what it stored, and set returning = True there"
        )
        return f"the {self.name} to save has no {fields}, and {why}. Nothing was written"

    def _invalidate(self, id: K, before: V | None) -> Steps[None]:
        yield from self.strategy._engine.delete([self.key(id)])
        now = yield from self._before(id)
        if before is not None:
            lists = yield from self._listed(id, before)
            yield from self._drop(id, before, now, lists)
            return
        reached = yield from self._reached(id, now)
        self._add_all(reached, but=self.kind.id)
        yield from self._drop_all(id, reached, self._all_lists())

    def _drop(
        self, id: K, before: V | None, now: V | None, lists: list[tuple[Lists, Any]]
    ) -> Steps[None]:
        """Drop what a change has made old, with the lists in which the entity was before."""
        try:
            lists = lists + (yield from self._listed(id, now))
            reached = yield from self._reached(id, before, now)
        except Exception:  # a source does not tell: all goes that may be old, and nobody need know
            reached = Reached()
            reached.add(self.name, [id])
            self._add_all(reached)
            lists = self._all_lists()
        yield from self._drop_all(id, reached, lists)

    def _drop_all(self, id: K, reached: Reached, lists: Sequence[tuple[Lists, Any]]) -> Steps[None]:
        try:
            yield from self._hub.drop(self, id, reached, lists)
        finally:  # what the session met while it was dropped may be what was
            for name, ids in reached.ids.items():
                self._hub.sessions.forget(name, ids)
            for name in reached.whole:
                self._hub.sessions.forget(name)

    def _all_lists(self) -> list[tuple[Lists, None]]:
        return [(each.lists, None) for each in self._hub.graph.listings[self.name]]

    def _add_all(self, reached: Reached, but: Sequence[str] = ()) -> None:
        """Add all that an entity may be shown by, along a relation through no field of `but`."""
        for relation in self.relations.values():
            if relation.shown and relation.field not in but:
                reached.add_whole(self._hub.graph.may_show(relation.to))

    def _before(self, id: K) -> Steps[V | None]:
        """The entity as it is where it comes from, if something hangs on what its fields say."""
        backs = {each.back for each in self._hub.graph.listings[self.name]}
        for name, relation in self.relations.items():
            if relation.field is not None and (relation.shown or name in backs):
                found = yield from self.strategy._current([id])
                return found.get(id)  # type: ignore[no-any-return]
        return None

    def _listed(self, id: K, value: V | None) -> Steps[list[tuple[Lists, Sequence[Any] | None]]]:
        """The lists that an entity is in, and whose they are; None: it may be in all of them."""
        found: list[tuple[Lists, Sequence[Any] | None]] = []
        for lists, back in self._hub.graph.listings[self.name]:
            if back is None or (back in self.lists and unmade(id)):
                found.append((lists, None))
            elif back in self.lists:
                owners = yield from self.lists[back].now([id])
                found.append((lists, owners[id]))
            else:
                found.append((lists, ids_in(self.relations[back], value)))
        return found

    def _reached(self, id: K, *values: V | None) -> Steps[Reached]:
        known = [value for value in values if value is not None]
        reached = yield from reach(self._hub.graph, self, {id: known}, self._hub.most)
        for name in self.lists if unmade(id) else ():  # of no id no list can be asked for
            if self.relations[name].shown:
                reached.add_whole(self._hub.graph.may_show(self.relations[name].to))
        return reached

    def led(self, name: str, found: Mapping[K, Sequence[V]]) -> Steps[list[Any]]:
        """The ids that a relation leads to from entities, as it is where they come from.

        Args:
            name: The relation.
            found: The ids of the entities, and of each what is known of its values, if anything.
        """
        if name in self.lists:
            led = yield from self.lists[name].now([each for each in found if not unmade(each)])
            return [one for some in led.values() for one in some]
        values = [value for some in found.values() for value in some]
        if unknown := [each for each, some in found.items() if not some]:
            current = yield from self.strategy._current(unknown)
            values += current.values()
        return [one for value in values for one in ids_in(self.relations[name], value)]

    def keys(self, id: K) -> list[str]:
        """What stands in the cache for what belongs to an entity: its parts, and its own lists."""
        parts = [part.key(id) for part in self.parts.values()]
        return parts + [lists.key(id) for lists in self.lists.values()]

    @property
    def _behind(self) -> bool:
        """Whether the source has what was saved a moment later."""
        return isinstance(self.strategy, WriteBehind)

    @property
    def engine(self) -> Engine:
        """Where they are kept."""
        engine: Engine = self.strategy._engine
        return engine

    @property
    def strategies(self) -> list[Any]:
        """What keeps the entities, their parts and their lists; the name of each is a tag, too."""
        others: list[Any] = [*self.parts.values(), *self.lists.values()]
        return [self.strategy, *(each.strategy for each in others)]


def _limit_of(policy: Policy, source: Any) -> Limited[Any, Any] | None:
    """What limits the loads of a source that is spared as a policy says."""
    limits = policy.limits
    if limits is None or limits.at_once is limits.timeout is None:
        return None
    return source if limits.coalesce is None else source.source  # type: ignore[no-any-return]
