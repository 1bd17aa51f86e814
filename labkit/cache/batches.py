"""Loading many keys at a time, each of them once, with one call of the loader.

A batch leads the flights of the keys that nobody loads, claims them, and loads them together. For
the others it waits: they are loaded by other callers, here or in other processes. Values that are
given out although they are due or stale are loaded anew aside, in a batch of their own.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from labkit.cache.ages import Aged
from labkit.cache.backends.base import Busy, Claim, Found
from labkit.cache.engine import Call
from labkit.cache.flights import ABANDONED, LATE
from labkit.cache.guard import AWAY
from labkit.cache.origins import note
from labkit.cache.products import Product, made, opened
from labkit.cache.steps import Join

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.cache.engine import Engine
    from labkit.cache.flights import Flight
    from labkit.cache.steps import Steps
    from labkit.cache.tickets import Ticket


def load_many(
    engine: Engine, keys: Sequence[str], loader: Callable[[list[str]], Any], call: Call
) -> Steps[dict[str, Any]]:
    """The values of keys; one call of the loader makes all that no tier has.

    Args:
        engine: The cache.
        keys: The keys.
        loader: Gets the missing keys, and returns the values that exist by their keys.
        call: The tags and options of all of them; its own key is not used.
    """
    wanted = list(dict.fromkeys(keys))
    found: dict[str, Any] = {}
    patience = time.monotonic() + call.options.lease
    again = False
    while missing := [key for key in wanted if key not in found]:
        aged = Aged() if call.options.aging else None
        found |= yield from engine.look_up_many(missing, call, aged, again=again)
        again = True
        if aged is not None and aged.due:
            yield engine.aside(partial(_renew_batch, engine, aged.due, loader, call))
        missing = [key for key in missing if key not in found]
        if not missing:
            break
        kept = aged.old if aged is not None else {}
        loaded, absent, busy = yield from _load_batch(engine, missing, loader, call, kept)
        found |= loaded
        wanted = [key for key in wanted if key not in absent]
        for key, seconds in busy.items():
            left = min(seconds, patience - time.monotonic())
            if left > 0 and engine.authority is not None:
                yield from engine.authority.ask("wait", key, left)
        if busy and time.monotonic() >= patience:  # whoever loads them takes too long
            late = list(busy)
            loaded, raised, _ = yield from engine.run(partial(loader, late), call, len(late), late)
            if raised:
                raise loaded
            found |= loaded
            wanted = [key for key in wanted if key not in busy or key in found]
    return {key: found[key] for key in dict.fromkeys(keys) if key in found}


def _renew_batch(
    engine: Engine, kept: Mapping[str, Product], loader: Callable[[list[str]], Any], call: Call
) -> Steps[None]:
    """Load values anew while callers are given those that are there."""
    try:
        yield from _load_batch(engine, list(kept), loader, call, kept, aside=True)
    except Exception:  # it is counted, and nobody waits for it
        return
    finally:
        engine.ages.renewed(kept)


def _load_batch(
    engine: Engine,
    keys: Sequence[str],
    loader: Callable[[list[str]], Any],
    call: Call,
    kept: Mapping[str, Product],
    aside: bool = False,
) -> Steps[tuple[dict[str, Any], set[str], dict[str, float]]]:
    """Load what nobody else loads: values, the keys that have none, and how long to wait.

    Args:
        engine: The cache.
        keys: The keys.
        loader: As in `load_many`.
        call: As in `load_many`.
        kept: Older values, which stand in where the load fails.
        aside: Nobody waits: do not wait for others either.
    """
    led: dict[str, Flight] = {}
    joined: dict[str, Flight] = {}
    for key in sorted(keys):  # in one order, so that no two batches seem to wait for each other
        flight, leads = engine.flights.join(key)
        if flight is not None:  # None: this very caller loads it further up
            (led if leads else joined)[key] = flight
    landings: dict[str, Any] = dict.fromkeys(led, ABANDONED)
    tickets = {key: engine.tickets.open(key, call.tags) for key in led}
    found: dict[str, Any] = {}
    busy: dict[str, float] = {}
    claims: dict[str, Claim] = {}
    products: dict[str, Product] = {}
    try:
        # Another load may have ended since they were looked up.
        busy = {key: 0.0 for key in led if engine.loaded_since(key, kept.get(key), call.options)}
        unled = [key for key in led if key not in busy]
        claims, others = yield from _claim_many(engine, unled, call, kept)
        busy |= others
        mine = [key for key in keys if key not in busy and key not in joined]
        if mine:
            misses = 0 if aside else len(mine)
            load = partial(loader, mine)
            values, raised, seconds = yield from engine.run(load, call, misses, mine)
            call.counters.renewals += aside
            for key in mine if not aside else ():
                note(key, "loaded")
            if raised:
                landings |= {key: kept[key] for key in _standing(engine, mine, values, kept, call)}
                found = {key: kept[key].given() for key in mine}
                for key in mine:
                    engine.ages.count(key, kept[key], call.counters)
            else:
                found = {key: values[key] for key in mine if key in values}
                share, now = seconds / len(mine), engine.now()
                products = {
                    key: made(value, call.options, now, key=key, load=share)
                    for key, value in found.items()
                    if key in led
                }
                landings |= products
        for key in products:
            led[key].close()
        refused = yield from _fill_many(engine, claims, products, tickets, call)
        landings |= dict.fromkeys(refused, ABANDONED)  # for those who joined; as in `Engine._lead`
    except GeneratorExit:
        raise
    except BaseException as error:
        if isinstance(error, Exception):
            failed = Product(error, call.options, raised=True, ttl=0)
            landings = dict.fromkeys(set(led).difference(busy), failed)
        yield from _fill_many(engine, claims, {}, tickets, call)
        raise
    finally:
        for ticket in tickets.values():
            engine.tickets.close(ticket)
        for key in reversed(led):
            product = landings.get(key, ABANDONED)
            if isinstance(product, Product) and led[key].close():
                product = _protected(engine, product, call)
            engine.flights.land(key, led[key], product)
    absent = {key for key in mine if key not in found}
    for key, flight in joined.items() if not aside else ():
        product = yield Join(flight, call.options.lease)
        if isinstance(product, Product):
            call.counters.count_wait(key)
            engine.ages.count(key, product, call.counters)
            found[key] = product.shared()
        elif product is LATE:
            busy[key] = 0.0
    return found, absent, busy


def _protected(engine: Engine, product: Product, call: Call) -> Product:
    """The product, ready for others; or the error that there is no form to hand it out in."""
    try:
        product.protect(serialized=bool(engine.stores))
    except Exception as error:
        return Product(error, call.options, raised=True, ttl=0)
    return product


def _standing(
    engine: Engine, keys: list[str], error: Exception, kept: Mapping[str, Product], call: Call
) -> list[str]:
    """The keys, where an older value of each stands in for a load that failed; else it raises."""
    failure = made(error, call.options, engine.now(), raised=True)
    stand = [key in kept and engine.ages.stands_in(key, failure, kept[key]) for key in keys]
    if not all(stand):
        raise error
    return keys


def _claim_many(
    engine: Engine, keys: Sequence[str], call: Call, kept: Mapping[str, Product]
) -> Steps[tuple[dict[str, Claim], dict[str, float]]]:
    """The claims of keys at the authority, and for how long others load, 0 if they have."""
    claims: dict[str, Claim] = {}
    busy: dict[str, float] = {}
    guard = engine.authority
    if guard is None or not keys:
        return claims, busy
    lease, options = call.options.lease, call.options
    over = {"over": True} if kept else {}
    answers = yield from guard.ask("claim_many", keys, call.tags, lease=lease, **over)
    if answers is AWAY:
        return claims, busy
    for key, answer in zip(keys, answers, strict=True):
        if isinstance(answer, Found):
            product = opened(answer, options, engine.now())
            if product is None:  # nobody can read what stands there
                answer = yield from guard.ask("claim", key, call.tags, lease=lease, force=True)
            elif not engine.ages.usable(product.freshness, None, options):
                answer = yield from guard.ask("claim", key, call.tags, lease=lease, over=True)
        if isinstance(answer, Claim):
            claims[key] = answer
        else:
            busy[key] = answer.seconds if isinstance(answer, Busy) else 0.0
    if kept and claims:  # they may have been loaded anew since they were looked up
        again = yield from guard.ask("get_many", list(claims), ttl=True)
        for key, found in zip(list(claims), [] if again is AWAY else again, strict=False):
            product = found and opened(found, options, engine.now())
            if product and engine.ages.usable(product.freshness, kept.get(key), options):
                yield from guard.ask("release", claims.pop(key))
                busy[key] = 0.0
    return claims, busy


def _fill_many(
    engine: Engine,
    claims: Mapping[str, Claim],
    products: Mapping[str, Any],
    tickets: Mapping[str, Ticket],
    call: Call,
) -> Steps[set[str]]:
    """Store what a batch loaded, and put into memory what no fence refused; answers the others."""
    guard = engine.authority
    made = {
        key: product
        for key, product in products.items()
        if isinstance(product, Product) and (product.ttl is None or product.ttl > 0)
    }
    filled = {key: (claims[key], product) for key, product in made.items() if key in claims}
    refused: set[str] = set()
    if guard is not None and filled:
        fills = [(claim, p.payload, p.ttl) for claim, p in filled.values()]
        answers = yield from guard.ask("fill_many", fills)
        done = [False] * len(fills) if answers is AWAY else answers
        refused = {key for key, kept in zip(filled, done, strict=True) if not kept}
        call.counters.refused += len(refused)
    for key, claim in claims.items():
        if key not in filled and guard is not None:
            yield from guard.ask("release", claim)
    for key, product in made.items():
        if key not in refused:
            one = Call(key, call.tags, call.options, call.counters)
            engine.remember(tickets[key], product, one, guard is None or key in claims)
    return refused
