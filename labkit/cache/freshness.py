"""How old a value is, and what that means: fresh, due, stale, old, or gone.

    made                       ttl           + stale_while_revalidate   + stale_if_error
     |-------- fresh ----- due --|------- stale --------|------- old --------|  gone

Both times count from the end of the ttl, as RFC 5861 has them. A value that is due or stale is
given out, and loaded anew in the background; an old one is given out only where the load fails.
"""

from __future__ import annotations

import math
import random
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from labkit.cache.options import Options

_RAREST = 37.0  # -ln of the smallest number above 0 that 1 - random() can be


class State(Enum):
    """What a value's age means."""

    FRESH = "fresh"
    DUE = "due"
    STALE = "stale"
    OLD = "old"
    GONE = "gone"


class Freshness(msgspec.Struct, frozen=True, gc=False):
    """The age of a value.

    Attributes:
        until: When it stops being fresh, on the cache's clock.
        lifetime: For how many seconds it was fresh when it was made.
        window: For how many seconds it is kept after that.
        load: How many seconds its load took.
        written: When it was made, seconds since 1970; this tells it from one that was made later.
    """

    until: float
    lifetime: float
    window: float
    load: float
    written: float

    def state(self, options: Options, now: float) -> State:
        """What its age means; whether a fresh value is due may be a matter of chance.

        The chance is that of XFetch: the nearer the end and the longer the load, the likelier one
        of many callers loads it before it is over (Vattani, Chierichetti, Lowenstein, *Optimal
        Probabilistic Cache Stampede Prevention*, VLDB 2015).
        """
        left = self.until - now
        if left > 0:
            ahead = options.refresh_ahead * self.lifetime
            if options.early and left <= self.load * options.early * _RAREST:
                ahead = max(ahead, -self.load * options.early * math.log(1 - random.random()))
            return State.DUE if left <= ahead else State.FRESH
        if left > -options.stale_while_revalidate:
            return State.STALE
        return State.OLD if left > -options.stale_if_error else State.GONE

    def surely_fresh_until(self, options: Options) -> float:
        """The moment up to which `state` cannot be anything but fresh."""
        ahead = max(options.refresh_ahead * self.lifetime, self.load * options.early * _RAREST)
        return self.until - ahead
