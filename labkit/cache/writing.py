"""Writing a source and a cache as one.

The order makes that what a crash leaves is right, wherever it comes:

1. The right to write the key is claimed, and with that its value goes from every tier. From now on
   whoever reads it waits; whoever was loading it is refused.
2. The source is written.
3. The new value is stored, and the claim ends with that.

Nothing old can be read after the source has changed, and nothing new before. A writer that dies on
the way leaves a key without a value, whose claim ends with its lease; then it is loaded.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.base import Busy, Claim
from labkit.cache.engine import MISSING
from labkit.cache.errors import Contended, Unavailable
from labkit.cache.flights import ABANDONED
from labkit.cache.guard import AWAY
from labkit.cache.products import Product, made
from labkit.cache.sources.waiting import Wait
from labkit.cache.steps import Load

if TYPE_CHECKING:
    from labkit.cache.engine import Call, Engine
    from labkit.cache.steps import Steps


def write_through(engine: Engine, call: Call, value: Any) -> Steps[None]:
    """Write a value to a source, and then to every tier of a cache.

    Args:
        engine: The cache.
        call: The key, how its value is kept, and `loader`, which writes it to the source and
            returns it as it then stands there.
        value: The value as it was given; MISSING where the source says what it has stored, since
            what was given may lack what the source fills in.

    Raises:
        Unserializable: The value cannot be stored; nothing was written. What the source says that
            it has stored cannot be; it was written, and the key has no value in the cache.
        Unavailable: The cache does not answer; nothing was written.
        Contended: Others write the key; nothing was written.
        Exception: What the source raised; the key has no value in the cache then.
    """
    if engine.stores and value is not MISSING:
        _ = Product(value, call.options, None).payload  # or it raises
    turn = engine.writers.queue_up(call.key)
    try:
        # One in this process that takes longer than its lease is overtaken, as one elsewhere is.
        yield Wait(turn, call.options.lease)
        if engine._listens and not engine.listening:
            yield from engine._listen()
        claim = yield from _claim(engine, call)
        yield from _write(engine, call, claim)
    finally:
        engine.writers.leave(call.key, turn)


def _claim(engine: Engine, call: Call) -> Steps[Claim | None]:
    """The right to write the key, whose value is gone from the stores then; None without stores."""
    guard, lease = engine.authority, call.options.lease
    if guard is None:
        return None
    patience = time.monotonic() + lease
    while True:
        got = yield from guard.ask("claim", call.key, call.tags, lease=lease, write=True)
        if isinstance(got, Claim):
            claim = got
            break
        left = patience - time.monotonic()
        if isinstance(got, Busy):
            if left <= 0:
                raise Contended(
                    f"{call.key!r} was written or loaded by others for {lease:g} s, and this write "
                    "did not get its turn; nothing was written. Try again, or see what takes so "
                    "long"
                )
            got = yield from guard.ask("wait", call.key, min(got.seconds, left))
        if got is AWAY:
            raise Unavailable(
                f"{guard.name} does not answer, and {call.key!r} may have an older value there; "
                "nothing was written. Try again, or save with ReadThrough, which writes all the "
                "same and deletes the value when the store is back"
            )
    for other in reversed(engine.stores[:-1]):
        yield from other.tell("delete", [call.key])
    return claim


def _write(engine: Engine, call: Call, claim: Claim | None) -> Steps[None]:
    """Write the source and fill the claim; those who ask in this process meanwhile wait."""
    guard, key = engine.authority, call.key
    engine.drop_keys([key])
    ticket = engine.tickets.open(key, call.tags)
    flight, _ = engine.flights.join(key, anew=True)
    assert flight is not None
    outcome: Product | Any = ABANDONED
    try:
        assert call.loader is not None
        value, raised = yield Load(call.loader)
        if raised:
            raise value
        product = made(value, call.options, engine.now(), key=call.key)
        brief = product.ttl is not None and product.ttl <= 0
        stored: Any = True
        if claim is not None and guard is not None:
            if brief:
                yield from guard.ask("release", claim)
            else:
                stored = yield from guard.ask("fill", claim, product.payload, product.ttl)
            claim = None
        overtaken = stored is False if engine.stores else not ticket.valid
        if overtaken:
            # Somebody else has invalidated or written it; what they or others put there since may
            # be from before this write.
            call.counters.refused += 1
            yield from engine.delete([key])
        else:
            if not brief:
                engine.remember(ticket, product, call, whole=stored is True)
            outcome = product
            if flight.close():
                product.protect(serialized=bool(engine.stores))
    except GeneratorExit:
        raise
    except BaseException:
        engine.drop_keys([key])  # what a load of before the write has put there
        if claim is not None and guard is not None:
            yield from guard.ask("release", claim)
        raise
    finally:
        engine.tickets.close(ticket)
        engine.flights.land(key, flight, outcome)
