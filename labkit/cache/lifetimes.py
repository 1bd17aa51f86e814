"""Times to live that follow what a value does: how old it is, how often it changes, who reads it.

    cache = Cache(ttl=ByAge(lambda article: article.updated_at, least="10s", most="1h"))

Each is a `ttl=` for a cache, a cached function or a strategy. Each keeps within its bounds, and
`explain` says what it would give and why. What it remembers of keys is this process's own, and
bounded; `jitter=` of the cache applies to what it gives.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.hot import HotKeys
    from labkit.clock import Clock

T = TypeVar("T")

_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Explained:
    """A time to live, and why it is what it is.

    Attributes:
        seconds: The time to live.
        why: A sentence with the figures that it comes from.
    """

    seconds: float
    why: str


class Lifetime:
    """A time to live that depends on the key and the value, within bounds.

    Args:
        least: The shortest time that a value gets; None, which stands for nothing, gets no other.
        most: The longest.

    Attributes:
        least: The same in seconds.
        most: The same in seconds.

    Raises:
        ValueError: `least` is 0, or above `most`.
    """

    def __init__(self, least: float | str, most: float | str) -> None:
        self.least, self.most = duration(least), duration(most)
        if not 0 < self.least <= self.most:
            raise ValueError(
                f"least is {least!r} and most is {most!r}; expected two times above 0, the "
                "shorter one first"
            )

    def __call__(self, value: Any, key: str = "") -> float:
        """Seconds that a value shall live that has just been made, for the cache."""
        return self.explain(key, value).seconds

    def explain(self, key: str, value: Any) -> Explained:
        """The time that a value would get that was made now; nothing is noted down."""
        if value is None:
            return Explained(self.least, f"There is no value; that lives {_time(self.least)}.")
        return self._explained(key, value)

    def _explained(self, key: str, value: Any) -> Explained:
        raise NotImplementedError

    def _bounded(self, seconds: float, why: str) -> Explained:
        """The time within the bounds; the sentence so far gets an end that says so."""
        kept = min(max(seconds, self.least), self.most)
        if kept > seconds:
            why += f", but at least {_time(self.least)}"
        elif kept < seconds:
            why += f", but at most {_time(self.most)}"
        return Explained(kept, f"{why}.")


class ByAge(Lifetime):
    """A share of the time since the last change: what has been left alone for long stays long.

    It is the heuristic of RFC 9111, section 4.2.2, which web caches use where a server says
    nothing; a tenth is what the RFC calls typical.

    Args:
        updated_at: When a value changed last, in seconds since the epoch.
        share: The share.
        least: The shortest time.
        most: The longest time.
        clock: The time since the epoch.

    Raises:
        ValueError: `share` or a bound is not above 0.

    Example:
        >>> from labkit.clock import FakeClock
        >>> ttl = ByAge(lambda page: page["at"], least="10s", most="1h", clock=FakeClock(1_000))
        >>> ttl.explain("page:1", {"at": 400})
        Explained(seconds=60.0, why='It changed 600 s ago; 0.1 of that is 60 s.')
    """

    def __init__(
        self,
        updated_at: Callable[[Any], float],
        share: float = 0.1,
        *,
        least: float | str = "1s",
        most: float | str = "1d",
        clock: Clock = time.time,
    ) -> None:
        super().__init__(least, most)
        if not 0 < share < math.inf:
            raise ValueError(f"share is {share!r}; expected a number above 0, such as 0.1")
        self._updated_at = updated_at
        self._share = share
        self._clock = clock

    def _explained(self, key: str, value: Any) -> Explained:
        age = _age(self._updated_at(value), self._clock())
        seconds = self._share * age
        return self._bounded(
            seconds, f"It changed {_time(age)} ago; {self._share:g} of that is {_time(seconds)}"
        )


class _Pace(NamedTuple):
    """What is known of the changes of a key: the last one, and the mean time between two."""

    at: float
    version: int
    mean: float | None


class ByChange(Lifetime):
    """So long that a change within that time is unlikely, from how often the key has changed.

    Changes are taken to come at random, as a Poisson process: then one comes within t with the
    chance 1 - exp(-t / mean), and t = -ln(1 - risk) * mean keeps that at the risk (J. Cho,
    H. Garcia-Molina, "Estimating frequency of change", 2003). The mean is one of the intervals
    between changes, in which a later one weighs more. What has not changed for longer than that is
    taken to change as seldom as that says; so is what has not been seen to change yet.

    Changes are seen when a value is loaded. Several between two loads count as one, which makes the
    times too long, unless `version` tells how many there were.

    Args:
        updated_at: When a value changed last, in seconds since the epoch.
        risk: The chance that a value changes before its time is over, between 0 and 1.
        version: A whole number of the value that rises by one with each change.
        weight: What a new interval weighs in the mean, above 0; 1 forgets all older ones.
        least: The shortest time.
        most: The longest time.
        keys: How many keys are remembered; those that were loaded longest ago go first.
        clock: The time since the epoch.

    Raises:
        ValueError: An option is out of its range.

    Example:
        >>> from labkit.clock import FakeClock
        >>> ttl = ByChange(lambda page: page["at"], risk=0.1, clock=FakeClock(1_000))
        >>> round(ttl({"at": 0}, "page:1")), round(ttl({"at": 1_000}, "page:1"))
        (105, 105)
        >>> ttl.explain("page:1", {"at": 1_000}).why
        'It changes every 1,000 s; a change within 105 s has a chance of 0.1.'
    """

    def __init__(
        self,
        updated_at: Callable[[Any], float],
        risk: float = 0.1,
        *,
        version: Callable[[Any], int] | None = None,
        weight: float = 0.3,
        least: float | str = "1s",
        most: float | str = "1d",
        keys: int = _KEYS,
        clock: Clock = time.time,
    ) -> None:
        super().__init__(least, most)
        if not 0 < risk < 1:
            raise ValueError(f"risk is {risk!r}; expected a chance above 0 and below 1")
        if not 0 < weight <= 1:
            raise ValueError(f"weight is {weight!r}; expected a share above 0 and up to 1")
        self._updated_at = updated_at
        self._risk = risk
        self._version = version
        self._weight = weight
        self._clock = clock
        self._paces: _Latest[_Pace] = _Latest(keys)

    def __call__(self, value: Any, key: str = "") -> float:
        """Seconds that a value shall live that has just been made; its change is noted down."""
        if value is not None:
            self._paces.put(key, self._pace(key, value))
        return super().__call__(value, key)

    def _pace(self, key: str, value: Any) -> _Pace:
        """What is known of the changes of a key, with this value."""
        at = self._updated_at(value)
        version = 0 if self._version is None else self._version(value)
        old = self._paces.get(key)
        if old is None:
            return _Pace(at, version, None)
        if at <= old.at:  # it has not changed, or an older value came late
            return old
        changes = max(1, version - old.version)
        interval = (at - old.at) / changes
        if old.mean is None:
            return _Pace(at, version, interval)
        weight = 1 - (1 - self._weight) ** changes  # as if each of them had been seen by itself
        return _Pace(at, version, old.mean + weight * (interval - old.mean))

    def _explained(self, key: str, value: Any) -> Explained:
        pace = self._pace(key, value)
        age = _age(pace.at, self._clock())
        if pace.mean is None or age > pace.mean:
            mean, why = age, f"It has not changed for {_time(age)}"
        else:
            mean, why = pace.mean, f"It changes every {_time(pace.mean)}"
        seconds = -math.log1p(-self._risk) * mean
        return self._bounded(
            seconds, f"{why}; a change within {_time(seconds)} has a chance of {self._risk:g}"
        )


class _Turn(NamedTuple):
    """The last time to live of a key, and how often it had been asked for by then."""

    seconds: float
    asked: int


class ByActivity(Lifetime):
    """What was read since it was made last gets twice its last time, what was not gets half.

    What is read all the time climbs to `most` in a few loads; what is hardly read sinks to `least`,
    and leaves room in the memory. Reads are those that the cache counts for its hot keys, so that
    the two share one counter; a key that is not among them is cold.

        hot = HotKeys(1_000)
        cache = Cache(hot_keys=hot, ttl=ByActivity(hot, least="30s", most="1h"))

    A read that has the value loaded is no sign of activity, a second one is. A cache that counts no
    hot keys pays nothing for all this; one that does pays for each read what `HotKeys` takes.

    Args:
        hot: The counter, which is given to the cache as well.
        least: The shortest time.
        most: The longest time.
        first: The time of a key that is not known yet; None: the shortest.
        keys: How many keys are remembered; those that were loaded longest ago go first.

    Raises:
        ValueError: `first` is not within the bounds.
    """

    def __init__(
        self,
        hot: HotKeys,
        *,
        least: float | str,
        most: float | str,
        first: float | str | None = None,
        keys: int = _KEYS,
    ) -> None:
        super().__init__(least, most)
        self._first = self.least if first is None else duration(first)
        if not self.least <= self._first <= self.most:
            raise ValueError(f"first is {first!r}; expected a time from least to most")
        self._hot = hot
        self._turns: _Latest[_Turn] = _Latest(keys)

    def __call__(self, value: Any, key: str = "") -> float:
        """Seconds that a value shall live that has just been made; they are noted down."""
        asked = self._hot.seen(key)
        seconds = super().__call__(value, key)
        self._turns.put(key, _Turn(seconds, asked))
        return seconds

    def _explained(self, key: str, value: Any) -> Explained:
        last = self._turns.get(key)
        if last is None:
            return self._bounded(self._first, f"It is new, and begins with {_time(self._first)}")
        seen = self._hot.seen(key)
        # A key that lost its counter meanwhile, and got one again, is counted from there.
        asked = seen - last.asked if seen >= last.asked else seen
        times = "once" if asked == 1 else f"{asked:,} times"
        if asked > 1:
            factor, word = 2.0, "twice"
        else:
            factor, word = 0.5, "half"
        return self._bounded(
            factor * last.seconds,
            f"It was asked for {times} since it was made last, and gets {word} the "
            f"{_time(last.seconds)} of that time: {_time(factor * last.seconds)}",
        )


class _Latest(Generic[T]):
    """What is known of the keys that were put last, so many of them.

    There is no lock, which a fork could leave locked: each line is one operation on the dictionary.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"keys is {most!r}; expected a whole number above 0")
        self._most = most
        self._known: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        """What is known of a key."""
        return self._known.get(key)

    def put(self, key: str, what: T) -> None:
        """Remember this of a key."""
        with suppress(KeyError):  # another thread has just taken out the last one
            self._known[key] = what
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)


def _age(at: float, now: float) -> float:
    if not math.isfinite(at):
        raise ValueError(f"updated_at returned {at!r}; expected seconds since the epoch")
    return max(now - at, 0.0)  # a clock that is ahead makes no value younger than new


def _time(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:.3g} s"
