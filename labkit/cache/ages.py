"""Which values are given out at their age, which are loaded anew, and whose loaders rest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from labkit.cache.freshness import Freshness, State
from labkit.cache.products import Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labkit.cache.options import Options
    from labkit.cache.stats import Counters

_MOST = 10_000  # keys that are renewed at a time, and that rest


class Aged(msgspec.Struct):
    """Values that should be loaded anew.

    Attributes:
        due: By key, those that are given out meanwhile.
        old: By key, those that are given out only where the load fails.
    """

    due: dict[str, Product] = {}
    old: dict[str, Product] = {}


class Ages:
    """What a cache knows of the ages of its values.

    Args:
        now: The cache's clock.
        pause: Seconds for which a loader that failed rests.
    """

    def __init__(self, now: Callable[[], float], pause: float) -> None:
        self._now = now
        self._pause = pause
        # Until when each key counts as being loaded: a load that never began is not waited for.
        self._renewing: dict[str, float] = {}
        self._resting: dict[str, float] = {}

    def fresh(self, freshness: Freshness) -> bool:
        """Whether the time of a value is not over."""
        return freshness.until > self._now()

    def lives(self, freshness: Freshness, options: Options) -> bool:
        """Whether a value may be given out at all, if only where its load fails."""
        return freshness.until + options.window > self._now()

    def usable(self, freshness: Freshness | None, kept: Product | None, options: Options) -> bool:
        """Whether a value will do for a caller who has loaded nothing yet, and knows of `kept`."""
        if freshness is None:
            return True
        if kept is not None and kept.freshness is not None:
            return self.fresh(freshness) and freshness.written != kept.freshness.written
        return freshness.until + options.stale_while_revalidate > self._now()

    def given_out(self, key: str, product: Product, options: Options, aged: Aged | None) -> bool:
        """Whether a value is given out as it is.

        Args:
            key: Its key.
            product: The value.
            options: How it is kept.
            aged: Gets it, if it should be loaded anew; None: there is no loader.
        """
        freshness = product.freshness
        if freshness is None:
            return True
        state = freshness.state(options, self._now())
        if aged is None:
            return state in (State.FRESH, State.DUE)
        if state is State.GONE:
            return False
        resting = self._rests(key)
        if state is State.OLD and not resting:
            aged.old[key] = product
            return False
        if state is not State.FRESH and not resting and not self._is_renewed(key):
            self._renewing[key] = self._now() + options.lease
            aged.due[key] = product
        return True

    def renewed(self, keys: Iterable[str]) -> None:
        """The loads of values that were due have ended, well or not."""
        for key in keys:
            self._renewing.pop(key, None)

    def stands_in(self, key: str, loaded: Product, kept: Product) -> bool:
        """Whether an older value stands in for what a load came to; its loader then rests.

        An error that is to be remembered is an answer like any other.
        """
        if not loaded.raised or loaded.ttl != 0:
            self._resting.pop(key, None)
            return False
        if len(self._resting) >= _MOST:
            self._resting.clear()
        self._resting[key] = self._now() + self._pause
        assert kept.freshness is not None
        return kept.freshness.until + kept.freshness.window > self._now()

    def count(self, key: str, product: Product, counters: Counters) -> None:
        """Count a value that is given out after its time."""
        if product.freshness and (over := self._now() - product.freshness.until) >= 0:
            counters.count_stale(key, over)

    def forget(self) -> None:
        """Nothing is being loaded any more."""
        self._renewing.clear()

    def _is_renewed(self, key: str) -> bool:
        """Whether somebody loads a key anew, or nobody should because so many are under way."""
        if len(self._renewing) >= _MOST:
            self._renewing = {
                k: until for k, until in self._renewing.items() if until > self._now()
            }
        return self._renewing.get(key, -math.inf) > self._now() or len(self._renewing) >= _MOST

    def _rests(self, key: str) -> bool:
        """Whether the last load of a key failed a moment ago."""
        until = self._resting.get(key)
        if until is None:
            return False
        if until <= self._now():
            self._resting.pop(key, None)
            return False
        return True
