"""What a cache does, written once for `Cache` and `AsyncCache`: every operation is made of steps.

Values go through the tiers in order: the memory, which holds objects, then the stores, which hold
bytes. The last store is the authority: there a claim makes sure that one process at a time loads a
key, and that nothing older than an invalidation is stored. A store before it is only ever filled
under a claim of its own, taken before the next one was asked.

Invalidations go the other way, from the authority up, and reach the memory last. So whoever asks
after an invalidation finds nothing old in any tier; and whoever asked before it, and comes to put
something old into a tier, finds the claim or the ticket withdrawn.

A value that has an age (see `freshness`) may be given out while it is loaded anew. That load is one
like any other, claimed, fenced, and joined by those who have nothing; only nobody waits for it.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from labkit.cache import flights
from labkit.cache.ages import Aged, Ages
from labkit.cache.backends.base import Busy, Claim, Found
from labkit.cache.background import Aside, Background, EndAll
from labkit.cache.errors import Unavailable
from labkit.cache.flights import ABANDONED, LATE, Flights
from labkit.cache.guard import AWAY, Guard
from labkit.cache.invalidated import Invalidated
from labkit.cache.listening import Ear
from labkit.cache.options import Options
from labkit.cache.origins import note
from labkit.cache.products import Product, in_memory, made, opened
from labkit.cache.stats import Counters, Stats, TierState, summed
from labkit.cache.steps import Apart, Ask, Delivered, Here, Join, Load
from labkit.cache.tickets import Tickets
from labkit.cache.turns import Turns

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable, Mapping

    from labkit.cache.backends.memory import Entry, MemoryTier
    from labkit.cache.curves import Sampler
    from labkit.cache.flights import Flight
    from labkit.cache.freshness import Freshness
    from labkit.cache.hot import HotKeys
    from labkit.cache.steps import Steps
    from labkit.cache.tickets import Ticket


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final[Any] = _Missing()
"""What stands where there is no value; None is a value."""

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


class Call(msgspec.Struct, eq=False):
    """What is asked for: a key, how its value is kept, and how it is loaded.

    Attributes:
        key: The key.
        tags: The tags that the value carries.
        options: How it is kept.
        counters: Where the call is counted.
        loader: A function without parameters that makes the value.
        alias: Where the entry in memory shall stand as well: a dictionary, and the key there.
    """

    key: str
    tags: Sequence[str]
    options: Options
    counters: Counters
    loader: Callable[[], Any] | None = None
    alias: tuple[dict[Any, Any], Any] | None = None


class Claiming(msgspec.Struct):
    """How a caller asks a store for a value or the right to load it.

    Attributes:
        refresh: It is to be loaded whatever is there.
        asked: The store was asked, and has nothing better than is known.
        kept: A value that is there and too old; another one is looked for.
        aside: Nobody waits for it.
    """

    refresh: bool
    asked: bool
    kept: Product | None
    aside: bool


class Engine:
    """The tiers of one cache and what goes on between them.

    Args:
        memory: The tier of objects, if there is one.
        stores: The stores behind it, by the names that statistics use; the last is the authority.
        staleness: Seconds for which memory may be behind the stores when it cannot hear of changes.
        pause: Seconds for which a store that failed is left alone; so is the loader of a key,
            where there is an older value to give out.
        background: Carries out the loads that nobody waits for.
        hot: Counts the keys that are asked for.
        curves: Takes a sample of them.

    Attributes:
        counting: What is called with the key of every read, whoever counts; None: nobody does.
        loop: The event loop of an `AsyncCache`, once it listens to changes.
    """

    def __init__(
        self,
        memory: MemoryTier | None,
        stores: Mapping[str, Any],
        *,
        staleness: float,
        pause: float,
        background: Background,
        hot: HotKeys | None = None,
        curves: Sampler | None = None,
    ) -> None:
        self.memory = memory
        self.now = time.monotonic if memory is None else memory.clock
        self.ages = Ages(self.now, pause)
        self.hot = hot
        self.curves = curves
        self.counting = _counting(hot, curves)
        self.background = background
        self.stores = [Guard(store, name, pause, background) for name, store in stores.items()]
        for at, guard in enumerate(self.stores):
            guard.nearer = self.stores[:at]
        self.staleness = staleness
        self.tickets = Tickets()
        self.flights = Flights()
        self.writers = Turns()
        self.counters: dict[str, Counters] = {}
        self.invalidated = Invalidated()
        self.direct = self.counters_for("")
        self.authority = self.stores[-1] if self.stores else None
        # The one tier there is, if it is a store: a hit there needs nothing of what follows.
        self._only = self.stores[0] if memory is None and len(self.stores) == 1 else None
        self._wants_ttl = memory is not None or len(self.stores) > 1
        self._feed: Any = None
        self._opening = threading.Lock()  # a feed is opened once, whoever asks first
        self.loop: AbstractEventLoop | None = None
        self._listens = bool(
            (memory is not None or len(self.stores) > 1)
            and self.authority is not None
            and hasattr(self.authority.store, "listen")
        )
        self.listening = False
        _engines.add(self)
        # A cache that nobody closed takes along what rests; at the exit that is no matter.
        weakref.finalize(self, background.end).atexit = False

    @property
    def tiers(self) -> list[str]:
        """The names of the tiers, nearest first."""
        memory = [] if self.memory is None else ["memory"]
        return [*memory, *(guard.name for guard in self.stores)]

    def counters_for(self, name: str) -> Counters:
        """The counters of a function."""
        return self.counters.setdefault(name, Counters(name, [g.name for g in self.stores]))

    # --- Reading

    def hit(self, entry: Entry, counters: Counters) -> Any:
        """The value of an entry that was found in memory.

        Raises:
            Exception: The call raised, and that is remembered.
        """
        counters.count_hit(entry.key, "memory")
        return entry.value if entry.open is None else entry.open(entry.value)

    def fresh_entry(self, key: str) -> Entry | None:
        """The entry of a key in memory, where its time is not over."""
        entry = None if self.memory is None else self.memory.find(key)
        if entry is None or entry.freshness is None or self.ages.fresh(entry.freshness):
            return entry
        return None

    def sure_entry(self, key: str) -> Entry | None:
        """The entry of a key in memory, where it can be given out without a look at its age."""
        entry = None if self.memory is None else self.memory.find(key)
        if entry is None or entry.sure <= self.now():
            return None
        if self.counting is not None:
            self.counting(key)
        return entry

    def get(self, call: Call, default: Any) -> Steps[Any]:
        """The value of a key, or the default; nothing is loaded."""
        if self.counting is not None:
            self.counting(call.key)
        entry = self.fresh_entry(call.key)
        if entry is not None:
            yield from self._slide(call, entry)
            return self.hit(entry, call.counters)
        product, tier = yield from self._look_up(call, self.ages.fresh)
        if product is None:
            call.counters.misses += 1
            return default
        call.counters.count_hit(call.key, tier)
        return product.given()

    def load(self, call: Call, *, refresh: bool = False) -> Steps[Any]:
        """The value of a key, loaded where no tier has it, once for all who ask meanwhile."""
        if not refresh and not call.options.sliding:
            entry = self.sure_entry(call.key)
            if entry is not None:
                return self.hit(entry, call.counters)
        if self.counting is not None and not refresh:
            self.counting(call.key)
        asked = False
        kept: Product | None = None
        if call.options.aging and not refresh:
            kept, tier = yield from self._kept(call)
            aged = Aged()
            if kept is not None and self.ages.given_out(call.key, kept, call.options, aged):
                if aged.due:
                    yield self.aside(partial(self._renew, call, kept))
                call.counters.count_hit(call.key, tier)
                self.ages.count(call.key, kept, call.counters)
                return kept.given()
            asked = tier != "memory"
        elif self._only is not None and not refresh and not self._only.rests():
            product, _ = yield from self._read(self._only, call, self.ages.fresh)
            if product is not None:
                call.counters.count_hit(call.key, self._only.name)
                return product.given()
            asked = True
        return (yield from self._load(call, refresh, asked, kept))

    def _load(self, call: Call, refresh: bool, asked: bool, kept: Product | None) -> Steps[Any]:
        """The value of a key from a load, the caller's own or one that is under way."""
        product: Any
        while True:
            flight, leads = self.flights.join(call.key, anew=refresh)
            if flight is None:  # it is loaded further up, by a function that needs it itself
                return (yield from self.compute(call)).given()
            if leads:
                break
            product = yield Join(flight, call.options.lease)
            if product is LATE:
                return (yield from self.compute(call)).given()
            if product is not ABANDONED:
                call.counters.count_wait(call.key)
                self.ages.count(call.key, product, call.counters)
                return product.shared()
        lead = self._lead(call, flight, refresh, asked, kept)
        product = yield from self._fly(call, flight, lead)
        self.ages.count(call.key, product, call.counters)
        return product.given()

    def _fly(self, call: Call, flight: Flight, lead: Steps[Product]) -> Steps[Product]:
        """Lead a flight; its outcome, a value or an error, is that of all who joined."""
        product: Any = ABANDONED
        try:
            product = yield from lead
            if flight.close():
                product.protect(serialized=bool(self.stores))
        except Exception as error:
            product = Product(error, call.options, raised=True, ttl=0)
        finally:
            alone = product is not ABANDONED and product.alone
            self.flights.land(call.key, flight, ABANDONED if alone else product)
        return product  # type: ignore[no-any-return]

    def _lead(
        self,
        call: Call,
        flight: Flight,
        refresh: bool,
        asked: bool,
        kept: Product | None = None,
        aside: bool = False,
    ) -> Steps[Product]:
        """Find a value or load it, and keep it.

        Args:
            call: What is asked for.
            flight: Which others join meanwhile.
            refresh: Load it whatever is there.
            asked: The stores were asked already, and have nothing better than `kept`.
            kept: An older value; it is the outcome where the load fails.
            aside: Nobody waits: do not wait for others either.
        """
        memory = self.memory
        if self._deaf():
            yield from self._listen()
        if refresh:  # what is loading already is older than what this will load
            self.tickets.mark_keys({call.key})
        ticket = self.tickets.open(call.key, call.tags)
        claims: list[tuple[Guard, Claim]] = []
        try:
            if memory is not None and not refresh:
                entry = memory.find(call.key)
                # Another load has just ended, or the value is sliding.
                if entry is not None and self.ages.usable(entry.freshness, kept, call.options):
                    yield from self._slide(call, entry)
                    if not aside:
                        call.counters.count_hit(call.key, "memory")
                    return in_memory(entry, call.options)
            found: Product | None = None
            for guard in self.stores:
                if guard.rests() or not self._told(guard):
                    continue
                how = Claiming(refresh, asked, kept, aside)
                got = yield from self._find_or_claim(guard, call, how)
                if isinstance(got, Busy):  # somebody else loads it
                    assert kept is not None
                    yield from self._release(claims)
                    return kept
                if isinstance(got, Claim):
                    claims.append((guard, got))
                elif got is not None:
                    found = got
                    break
            if found is None:
                loaded = yield from self.compute(call, misses=not (refresh or aside))
                call.counters.renewals += aside
                if not aside:
                    note(call.key, "loaded")
                whole = not self.stores or (bool(claims) and claims[-1][0] is self.authority)
                if kept is not None and self.ages.stands_in(call.key, loaded, kept):
                    yield from self._release(claims)
                    return kept
                product = loaded
            else:
                product, whole = found, True
            if product.ttl is not None and product.ttl <= 0:
                yield from self._release(claims)
                return product
            # Who comes from now on may come after a write that another process has ended; a fill
            # that is kept says that none had ended before this.
            flight.close()
            stored = not claims or (yield from self._fill(claims, product, call))
            claims = []
            product.alone = not stored or (found is not None and memory is None)
            if stored:
                self.remember(ticket, product, call, whole)
            return product
        except GeneratorExit:
            raise
        except BaseException:
            yield from self._release(claims)
            raise
        finally:
            self.tickets.close(ticket)

    def compute(self, call: Call, misses: int = 1) -> Steps[Product]:
        """Run the loader, for so many calls or keys that found no value."""
        assert call.loader is not None
        value, raised, seconds = yield from self.run(call.loader, call, misses)
        return made(value, call.options, self.now(), key=call.key, raised=raised, load=seconds)

    def run(
        self, loader: Callable[[], Any], call: Call, misses: int, keys: Sequence[str] = ()
    ) -> Steps[tuple[Any, bool, float]]:
        """What a loader came to, whether that is an error, and how many seconds it took.

        Args:
            loader: A function without parameters.
            call: Where the load is counted.
            misses: How many calls or keys found no value.
            keys: What it loads, where that is not the call's own key.
        """
        call.counters.misses += misses
        start = self.now()
        value, raised = yield Load(loader)
        seconds = self.now() - start
        call.counters.loaded(seconds, failed=raised)
        self.invalidated.loaded(keys or (call.key,), seconds)
        return value, raised, seconds

    def _find_or_claim(
        self, guard: Guard, call: Call, how: Claiming
    ) -> Steps[Product | Claim | Busy | None]:
        """The store's value or the right to fill it; None where the store is of no use now.

        `Busy` is answered only where nobody waits.
        """
        key, tags, options = call.key, call.tags, call.options
        force = how.refresh or guard is not self.authority
        over = how.kept is not None

        def usable(freshness: Freshness) -> bool:
            return self.ages.usable(freshness, how.kept, options)

        if not how.refresh and not how.asked:
            product, needs = yield from self._read(guard, call, usable)
            if product is not None:
                if not how.aside:
                    call.counters.count_hit(call.key, guard.name)
                return product
            force, over = force or needs == "force", over or needs == "over"
        patience = time.monotonic() + options.lease
        waited = False
        while True:
            if force or not over:
                got = yield from guard.ask("claim", key, tags, lease=options.lease, force=force)
            else:
                got = yield from guard.ask("claim", key, tags, lease=options.lease, over=True)
                # It may have been loaded anew since it was read.
                if isinstance(got, Claim | Busy):
                    product, _ = yield from self._read(guard, call, usable)
                    if product is not None:
                        if isinstance(got, Claim):
                            yield from guard.ask("release", got)
                        if not how.aside:
                            call.counters.count_found(call.key, guard.name, waited)
                        return product
            if got is AWAY:
                return None
            if isinstance(got, Claim):
                return got
            if isinstance(got, Found):
                product = opened(got, options, self.now())
                if product is None:
                    force = True
                    continue
                if not self.ages.usable(product.freshness, how.kept, options):
                    over = True
                    continue
                call.counters.count_found(call.key, guard.name, waited)
                return product
            assert isinstance(got, Busy)
            left = patience - time.monotonic()
            if how.aside:
                return got
            if left <= 0:
                return None
            waited = True
            if (yield from guard.ask("wait", key, min(got.seconds, left))) is AWAY:
                return None

    def _read(
        self, guard: Guard, call: Call, usable: Callable[[Freshness], bool]
    ) -> Steps[tuple[Product | None, str]]:
        """The store's value where it is usable; else what a claim needs because of the one there.

        That is "over" for one that is too old, and "force" for one that cannot be read.
        """
        start = perf_counter()
        options = call.options
        wants_ttl = self._wants_ttl or options.aging
        found = yield from guard.ask("get", call.key, call.tags, ttl=wants_ttl)
        if found is AWAY or found is None:
            return None, ""
        product = opened(found, options, self.now())
        if product is None:
            return None, "force"
        if product.freshness and not usable(product.freshness):
            return None, "over"
        call.counters.store_times[guard.name].append(perf_counter() - start)
        if options.sliding:
            product.ttl = options.ttl  # type: ignore[assignment]
            yield from guard.ask("expire", call.key, product.ttl)
        return product, ""

    def _look_up(
        self, call: Call, usable: Callable[[Freshness], bool]
    ) -> Steps[tuple[Product | None, str]]:
        """The value of the first store that has it, which memory then has too, and its name."""
        if self._deaf():
            yield from self._listen()
        ticket = self.tickets.open(call.key, None)
        try:
            for guard in self.stores:
                if self._told(guard):
                    product, _ = yield from self._read(guard, call, usable)
                    if product is not None:
                        self.remember(ticket, product, call, whole=True)
                        return product, guard.name
            return None, ""
        finally:
            self.tickets.close(ticket)

    def get_many(self, keys: Sequence[str], call: Call) -> Steps[dict[str, Any]]:
        """The values that some tier has, by their keys, in their order."""
        found = yield from self.look_up_many(keys, call)
        self.direct.misses += len(set(keys)) - len(found)
        if self._only is not None:  # they came in their order
            return found
        return {key: found[key] for key in keys if key in found}

    def look_up_many(
        self, keys: Sequence[str], call: Call, aged: Aged | None = None, *, again: bool = False
    ) -> Steps[dict[str, Any]]:
        """The values that some tier has, by their keys; misses are not counted.

        Args:
            keys: The keys.
            call: How they are kept and counted; its own key is not used.
            aged: Gets what should be loaded anew; without it nothing stale is given out.
            again: It is the same read as before, whose keys are counted already.
        """
        options, counters, memory = call.options, call.counters, self.memory
        found: dict[str, Any] = {}
        missing = list(dict.fromkeys(keys))
        if self.counting is not None and not again:
            for key in missing:
                self.counting(key)
        tickets: dict[str, Ticket] = {}
        if memory is not None:
            for key in missing:
                if (entry := memory.find(key)) is None:
                    continue
                one = Call(key, (), options, counters)
                product = None if entry.freshness is None else in_memory(entry, options)
                if product is None:
                    found[key] = self.hit(entry, counters)
                elif self.ages.given_out(key, product, options, aged):
                    found[key] = product.given()
                    one.counters.count_hit(one.key, "memory")
                    self.ages.count(one.key, product, one.counters)
            missing = [key for key in missing if key not in found]
            if missing and self._deaf():
                yield from self._listen()
            tickets = {key: self.tickets.open(key, None) for key in missing}
        try:
            for guard in self.stores:
                if not missing or not self._told(guard):
                    continue
                wants_ttl = self._wants_ttl or options.aging
                answers = yield from guard.ask("get_many", missing, ttl=wants_ttl)
                if answers is AWAY:
                    continue
                absent = []
                for key, answer in zip(missing, answers, strict=True):
                    stored = answer and opened(answer, options, self.now())
                    one = Call(key, (), options, counters)
                    if stored is None or not self.ages.given_out(key, stored, options, aged):
                        absent.append(key)
                        continue
                    found[key] = stored.given()
                    one.counters.count_hit(one.key, guard.name)
                    self.ages.count(one.key, stored, one.counters)
                    if memory is not None:
                        self.remember(tickets[key], stored, one, whole=True)
                missing = absent
        finally:
            for ticket in tickets.values():
                self.tickets.close(ticket)
        return found

    # --- Values that have an age

    def loaded_since(self, key: str, kept: Product | None, options: Options) -> bool:
        """Whether there is a value in memory by now that will do."""
        entry = None if self.memory is None else self.memory.peek(key)
        return entry is not None and self.ages.usable(entry.freshness, kept, options)

    def aside(self, steps: Callable[[], Steps[None]]) -> Aside:
        """A step that begins an operation, and does not wait for it."""
        return Aside(self.background, steps)

    def _kept(self, call: Call) -> Steps[tuple[Product | None, str]]:
        """What the nearest tier has that may be given out, if only where a load fails; its name."""

        def lives(freshness: Freshness) -> bool:
            return self.ages.lives(freshness, call.options)

        entry = None if self.memory is None else self.memory.find(call.key)
        if entry is not None and (entry.freshness is None or lives(entry.freshness)):
            return in_memory(entry, call.options), "memory"
        return (yield from self._look_up(call, lives))

    def _renew(self, call: Call, kept: Product) -> Steps[None]:
        """Load a value anew while callers are given the one that is there."""
        try:
            flight, leads = self.flights.join(call.key)
            if flight is not None and leads:
                lead = self._lead(call, flight, False, self.memory is None, kept, aside=True)
                yield from self._fly(call, flight, lead)
        finally:
            self.ages.renewed([call.key])

    # --- Writing

    def set(self, call: Call, value: Any) -> Steps[None]:
        """Store a value in every tier; what is loading meanwhile is not kept."""
        yield from self.set_many({call.key: value}, call)

    def set_many(self, values: Mapping[str, Any], call: Call) -> Steps[None]:
        """Store values as `set` does, in one trip a store; `call` says how, not which."""
        options = call.options
        products = {key: made(value, options, self.now(), key=key) for key, value in values.items()}
        keep = {k: p for k, p in products.items() if p.ttl is None or p.ttl > 0}
        if self.stores:
            items = [(key, product.payload) for key, product in keep.items()]
        if self._deaf():
            yield from self._listen()
        tickets = {key: self.tickets.open(key, call.tags) for key in keep}
        try:
            whole, left = True, list(self.stores)
            while left:
                guard = left[-1]
                ttls = [product.ttl for product in keep.values()]
                if guard is not self.authority:
                    ttls = [self._bounded(ttl) for ttl in ttls]
                answer = yield from guard.ask("set_many", items, ttls, call.tags)
                if answer is AWAY:  # what was there may be there yet
                    yield from guard.tell("delete", list(keep))
                    whole = False
                left.pop()
            self.drop_keys(list(tickets), but=set(tickets.values()))
            for key, ticket in tickets.items():
                one = Call(key, call.tags, options, call.counters)
                self.remember(ticket, keep[key], one, whole)
        except Exception:
            raise
        except BaseException as stop:
            self.drop_keys(list(keep))
            for guard in left[:-1] if isinstance(stop, Delivered) else left:
                yield from guard.stopped(stop, "delete", list(keep))
            raise
        finally:
            for ticket in tickets.values():
                self.tickets.close(ticket)
        self.invalidated.back(keep)
        if brief := [key for key in products if key not in keep]:
            yield from self.delete(brief)

    def delete(self, keys: Sequence[str]) -> Steps[int]:
        """Invalidate keys; answers how many there were, as far as the tiers that answered know."""
        start = perf_counter()
        try:
            gone = yield from self._order("delete", keys)
        finally:  # also for a caller who is cancelled
            here = self.drop_keys(keys)
        if gone == len(set(keys)):
            self.invalidated.dropped(keys)
        gone = max(gone, here)
        self.invalidated.count("key", len(keys), gone, perf_counter() - start)
        return gone

    def delete_tags(self, tags: Sequence[str]) -> Steps[None]:
        """Invalidate every value that carries one of the tags."""
        start = perf_counter()
        try:
            yield from self._order("drop_tags", tags)
        finally:
            gone = self.drop_tags(tags)
        self.invalidated.count("tag", len(tags), gone, perf_counter() - start)

    def delete_prefix(self, prefix: str) -> Steps[int]:
        """Invalidate every key that starts so; answers how many there were."""
        start = perf_counter()
        try:
            gone = yield from self._order("delete_prefix", [prefix])
        finally:
            here = self.drop_prefix(prefix)
        gone = max(gone, here)
        self.invalidated.count("prefix", 1, gone, perf_counter() - start)
        return gone

    def clear(self) -> Steps[None]:
        """Invalidate everything."""
        start = perf_counter()
        try:
            yield from self._order("clear", [])
        finally:
            keys = [] if self.memory is None else self.memory.keys()
            self.drop_all()
        self.invalidated.dropped(keys)
        self.invalidated.count("all", 1, len(keys), perf_counter() - start)

    def _order(self, method: str, targets: Sequence[str]) -> Steps[int]:
        """Tell the stores of an invalidation, the authority first; what fails is owed."""
        gone, left = 0, list(self.stores)
        try:
            while left:
                gone = max(gone, (yield from left.pop().tell(method, targets)))
        except BaseException as stop:  # the one that was being told knows itself
            for guard in left:
                yield from guard.stopped(stop, method, targets)
            raise
        return gone

    # --- Steps that others are made of

    def _fill(self, claims: list[tuple[Guard, Claim]], product: Product, call: Call) -> Steps[bool]:
        """Store what was loaded, the authority first; False where that was invalidated."""
        kept = True
        for guard, claim in reversed(claims):
            if not kept or (product.tags is not None and product.tags != tuple(claim.tags)):
                yield from guard.ask("release", claim)
                continue
            ttl = product.ttl if guard is self.authority else self._bounded(product.ttl)
            filled = yield from guard.ask("fill", claim, product.payload, ttl)
            if filled is False:
                kept = False
                call.counters.refused += 1
            elif filled is AWAY:
                # It may have been stored all the same, and be fenced or not: nobody knows.
                kept = False
        return kept

    def _release(self, claims: list[tuple[Guard, Claim]]) -> Steps[None]:
        for guard, claim in claims:
            yield from guard.ask("release", claim)

    def _slide(self, call: Call, entry: Entry) -> Steps[None]:
        """Let a value live on, once it has used up a tenth of its time."""
        memory, ttl = self.memory, call.options.ttl
        if not call.options.sliding or memory is None:
            return
        assert isinstance(ttl, float)
        if entry.deadline - memory.clock() < 0.9 * ttl:
            heard = self.listening or not self.stores  # else changes would go unheard for ever
            if heard:
                memory.extend(call.key, ttl)
            for guard in self.stores:
                if heard or guard is self.authority:
                    yield from guard.ask("expire", call.key, ttl)

    # --- The memory tier

    def remember(self, ticket: Ticket, product: Product, call: Call, whole: bool) -> None:
        """Put a product into memory, unless it was invalidated on its way.

        Args:
            ticket: Opened before the product was made.
            product: What to keep.
            call: Its key and tags.
            whole: Whether the authority knows it; else it is kept for the bound of staleness.
        """
        memory, tags = self.memory, product.tags
        if memory is None:
            return
        self.invalidated.back([call.key])
        if tags is None:
            tags = tuple(call.tags)
        elif ticket.tags is not None and not set(tags).issubset(ticket.tags):
            return  # nobody would have marked the ticket when one of these was dropped
        product.protect(serialized=bool(self.stores))
        kept, opens = product.form
        with memory.lock:
            if not ticket.valid:
                call.counters.refused += not self.stores  # stores have counted it
                return
            ttl = self._bounded(product.ttl)
            if not whole:
                ttl = self.staleness if ttl is None else min(ttl, self.staleness)
            age = product.freshness
            memory.put(
                call.key,
                kept,
                ttl=ttl,
                tags=tags,
                open=opens,
                alias=call.alias,
                freshness=age,
                sure=math.inf if age is None else age.surely_fresh_until(call.options),
            )

    def _bounded(self, ttl: float | None) -> float | None:
        """A time to live in memory: where changes cannot be heard, as long as staleness allows."""
        if not self.stores or self.listening:
            return ttl
        return self.staleness if ttl is None else min(ttl, self.staleness)

    def _told(self, guard: Guard) -> bool:
        """Whether a store is no staler than it may be: one before the authority must be told.

        And while one behind it owes something, others may fill it from there with what is old.
        """
        if guard is self.authority:
            return True
        if self._listens and not self.listening:
            return False
        behind = self.stores[len(guard.nearer) + 1 :]
        return not any(each.away and each.owes for each in behind)

    def drop_keys(self, keys: Sequence[str], but: Collection[Ticket] = ()) -> int:
        """Drop keys from memory, and what is on its way there for them; answers how many."""
        # First from memory: whoever opens a ticket later than the marking must not find it there.
        with self.changing():
            gone = [] if self.memory is None else [k for k in keys if self.memory.delete(k)]
            self._withdraw(self.tickets.mark_keys(set(keys), but))
        self.invalidated.dropped(gone)
        return len(gone)

    def drop_tags(self, tags: Sequence[str]) -> int:
        """Drop what carries these tags from memory, and what is on its way there; how many."""
        with self.changing():
            gone = [] if self.memory is None else self.memory.tagged(tags)
            if self.memory is not None:
                self.memory.drop_tags(tags)
            self._withdraw(self.tickets.mark_tags(tags))
        self.invalidated.dropped(gone)
        return len(gone)

    def drop_prefix(self, prefix: str) -> int:
        """Drop the keys that start so from memory, and what is on its way there."""
        with self.changing():
            here = [] if self.memory is None else self.memory.keys()
            gone = [key for key in here if key.startswith(prefix)]
            if self.memory is not None:
                self.memory.delete_prefix(prefix)
            self._withdraw(self.tickets.mark_prefix(prefix))
        self.invalidated.dropped(gone)
        return len(gone)

    def drop_all(self) -> None:
        """Drop everything from memory, and what is on its way there."""
        with self.changing():
            if self.memory is not None:
                self.memory.clear()
            self._withdraw(self.tickets.mark_all())

    def changing(self) -> contextlib.AbstractContextManager[Any]:
        """The memory's lock, which every change of it holds."""
        return self.memory.lock if self.memory is not None else contextlib.nullcontext()

    def _withdraw(self, tickets: Iterable[Ticket]) -> None:
        """Whoever asks from now on does not join a load that was invalidated."""
        for ticket in tickets:
            self.flights.detach(ticket.key)

    # --- What others change

    def _deaf(self) -> bool:
        """Whether to see that changes are heard, and by the loop that there is now."""
        return self._listens and (
            not self.listening or (self.loop is not None and self.loop.is_closed())
        )

    def _listen(self) -> Steps[None]:
        """Make sure that changes are heard, or that it is known that they are not."""
        authority = self.authority
        assert authority is not None
        self.loop = yield Here()
        if self._feed is None and not authority.away:
            yield Apart(self._open_feed)

    def _open_feed(self) -> None:
        assert self.authority is not None
        with self._opening:
            if self._feed is None:
                self._feed = self.authority.store.listen(Ear(self), self.staleness / 2)
                # A cache that nobody closed takes its feed along; at the exit that is no matter.
                weakref.finalize(self, self._feed.close).atexit = False

    def forget_parent(self) -> None:
        """Start anew in a forked process: its threads did not come along."""
        self._feed = None
        self._opening = threading.Lock()
        self.loop = None
        self.listening = False
        self.background.forget_parent()
        self.ages.forget()
        self.flights.forget()
        self.tickets = Tickets()
        self.invalidated.forget_parent()
        if self.curves is not None:
            self.curves.forget_parent()
        for guard in self.stores:
            guard.forget_parent()
        if self.memory is not None:
            self.memory.clear()

    def close(self) -> Steps[None]:
        """Stop listening and close the stores."""
        feed, self._feed = self._feed, None
        if feed is not None:  # first of all: it may begin something
            yield Apart(feed.close)
        yield EndAll(self.background)
        self.ages.forget()
        self.listening = False
        self.drop_all()
        for guard in self.stores:
            if guard.owes:  # the last chance that others hear of it
                yield from guard.settle()
            with contextlib.suppress(Unavailable):
                yield Ask(guard.store, "close", (), {})

    # --- Statistics

    def stats(self) -> Stats:
        """The counts of now."""
        names = [guard.name for guard in self.stores]
        tiers = [
            TierState(
                guard.name,
                away=guard.away,
                failures=guard.failures,
                openings=guard.openings,
                owes=guard.owes,
            )
            for guard in self.stores
        ]
        if (memory := self.memory) is not None:
            tiers.insert(
                0,
                TierState(
                    "memory",
                    entries=len(memory),
                    bytes=memory.bytes if memory.measured else None,
                    evictions=memory.evictions,
                ),
            )
        counters = list(self.counters.values())
        return Stats(
            summed("total", counters, names),
            {each.name: each.read() for each in counters},
            tiers,
            self.listening,
            [] if self.hot is None else self.hot.top(self.hot.most),
            self.invalidated.read(),
            None if self.curves is None else self.curves.curves(),
        )


def _counting(*counters: HotKeys | Sampler | None) -> Callable[[str], None] | None:
    """One call for all who count; None where nobody does."""
    counts = [each.count for each in counters if each is not None]
    if len(counts) < 2:
        return counts[0] if counts else None
    first, second = counts

    def both(key: str) -> None:
        first(key)
        second(key)

    return both


def _forget_parents() -> None:
    flights.forget_parent()
    for engine in list(_engines):
        engine.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
