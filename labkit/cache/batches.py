"""Loading many keys at a time, each of them once, with one call of the loader.

A batch leads the flights of the keys that nobody loads, claims them, and loads them together. For
the others it waits: they are loaded by other callers, here or in other processes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.base import Busy, Claim, Found
from labkit.cache.engine import Call
from labkit.cache.flights import ABANDONED, LATE
from labkit.cache.guard import AWAY
from labkit.cache.products import Product, opened
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
    while missing := [key for key in wanted if key not in found]:
        found |= yield from engine.look_up_many(missing, call.options)
        missing = [key for key in missing if key not in found]
        if not missing:
            break
        loaded, absent, busy = yield from _load_batch(engine, missing, loader, call)
        found |= loaded
        wanted = [key for key in wanted if key not in absent]
        for key, seconds in busy.items():
            left = min(seconds, patience - time.monotonic())
            if left > 0 and engine.authority is not None:
                yield from engine.authority.ask("wait", key, left)
        if busy and time.monotonic() >= patience:  # whoever loads them takes too long
            product = yield from engine.compute(_batch(list(busy), loader, call), len(busy))
            found |= product.given()
            wanted = [key for key in wanted if key not in busy or key in found]
    return {key: found[key] for key in dict.fromkeys(keys) if key in found}


def _load_batch(
    engine: Engine, keys: Sequence[str], loader: Callable[[list[str]], Any], call: Call
) -> Steps[tuple[dict[str, Any], set[str], dict[str, float]]]:
    """Load what nobody else loads: values, the keys that have none, and how long to wait."""
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
    try:
        if engine.memory is not None:  # another load may have ended since they were looked up
            busy = {key: 0.0 for key in led if engine.memory.peek(key) is not None}
        claims, others = yield from _claim_many(engine, [k for k in led if k not in busy], call)
        busy |= others
        mine = [key for key in keys if key not in busy and key not in joined]
        if mine:
            batch = yield from engine.compute(_batch(mine, loader, call), len(mine))
            found = {key: value for key, value in batch.given().items() if key in mine}
        kept = [key for key in found if key in led]
        for key in kept:
            options = call.options
            landings[key] = Product(found[key], options, ttl=options.lifetime(found[key]))
        yield from _fill_many(engine, claims, landings, tickets, call)
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
    for key, flight in joined.items():
        product = yield Join(flight, call.options.lease)
        if isinstance(product, Product):
            call.counters.waits += 1
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


def _batch(keys: list[str], loader: Callable[[list[str]], Any], call: Call) -> Call:
    return Call("", call.tags, call.options, call.counters, lambda: loader(keys))


def _claim_many(
    engine: Engine, keys: Sequence[str], call: Call
) -> Steps[tuple[dict[str, Claim], dict[str, float]]]:
    """The claims of keys at the authority, and for how long others load, 0 if they have."""
    claims: dict[str, Claim] = {}
    busy: dict[str, float] = {}
    guard = engine.authority
    if guard is None or not keys:
        return claims, busy
    answers = yield from guard.ask("claim_many", keys, call.tags, lease=call.options.lease)
    if answers is not AWAY:
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, Found) and opened(answer, call.options) is None:
                answer = yield from guard.ask(  # nobody can read what stands there
                    "claim", key, call.tags, lease=call.options.lease, force=True
                )
            if isinstance(answer, Claim):
                claims[key] = answer
            else:
                busy[key] = answer.seconds if isinstance(answer, Busy) else 0.0
    return claims, busy


def _fill_many(
    engine: Engine,
    claims: Mapping[str, Claim],
    products: Mapping[str, Any],
    tickets: Mapping[str, Ticket],
    call: Call,
) -> Steps[None]:
    """Store what a batch loaded, and put into memory what no fence refused."""
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
