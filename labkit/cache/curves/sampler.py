"""Miss-ratio curves of live traffic, from a few of its keys, in a bounded amount of memory."""

from __future__ import annotations

import itertools
import re
import threading
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any
from zlib import crc32

from labkit.cache.curves.curve import Curve, Curves
from labkit.cache.curves.stacks import Times, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from labkit.cache.curves.stacks import Stack

_RANGE = 2**32
_SKIPPED = 16_384
_ENTITY = re.compile(r"[^:(]*(?=[:(])")
_OTHERS = "(others)"


def entity(key: Hashable) -> str:
    """What stands in a key before the first colon or bracket; "" where there is none.

    That is "article" in `article:17`, and the function's name in the key of a call.
    """
    found = _ENTITY.match(key) if isinstance(key, str) else None
    return found[0] if found else ""


class Sampler:
    """Counts reads, and tells how many would miss with another size.

    This is SHARDS (C. Waldspurger, N. Park, A. Garthwaite, I. Ahmad, "Efficient MRC construction
    with SHARDS", FAST 2015). A key is in the sample when its hash is below a threshold; the keys in
    the sample lie in a stack of their own, and a distance there, divided by the share of keys that
    are sampled, estimates the distance among all. When there are too many samples, the one with the
    largest hash goes, and its hash is the new threshold. The hash is the same in every process.

    How far the miss ratio is off, the mean over all sizes, and the worst of ten sets of names, for
    300,000 reads of 50,000 keys and those of the scans (`benchmarks/curves.py`):

    | samples | zipf 0.9       | loop           | scan_mix 0.9   |
    | ------- | -------------- | -------------- | -------------- |
    | 1,024   | 0.010 (0.025)  | 0.021 (0.096)  | 0.010 (0.031)  |
    | 8,192   | 0.003 (0.008)  | 0.009 (0.018)  | 0.003 (0.007)  |

    Below 1 / `rate` entries, where a sample cannot see, it is off by more.

    A read of a key that is not sampled costs a look into a dictionary. Where there are fewer keys
    than `most`, all are sampled: curves are exact, and each read costs 2 to 4 microseconds. With a
    lower `rate` that is rarer, and curves are rougher; so is that of a group with few samples.
    Threads may count at the same time: now and then one of two reads of the same moment is not
    counted.

    The sample is of all keys since `reset`: call it when the traffic is no longer what it was.

    Args:
        most: How many keys are sampled at most, of all groups together.
        rate: The share of keys that are sampled, while these are not more than `most`.
        group: Answers the name of the group that a key belongs to; None: there are no groups.
            Default: the `entity` before the colon.
        groups: How many groups there are at most; keys of further ones are "(others)".
        weigh: Answers the size of a key's value in bytes, and is asked for keys in the sample only.
            With it, sizes are bytes. Default: each key counts 1, and sizes are entries.

    Raises:
        ValueError: `most` or `groups` is below 1, or `rate` is not above 0 and up to 1.
    """

    def __init__(
        self,
        most: int = 8_192,
        *,
        rate: float = 1.0,
        group: Callable[[Any], str] | None = entity,
        groups: int = 50,
        weigh: Callable[[Any], int] | None = None,
    ) -> None:
        for name, number in {"most": most, "groups": groups}.items():
            if number < 1:
                raise ValueError(f"{name} is {number!r}; expected a whole number above 0")
        if not 0 < rate <= 1:
            raise ValueError(f"rate is {rate!r}; expected a share above 0 and up to 1, such as 0.1")
        self.most = most
        self._start = max(1, round(rate * _RANGE)) + 1
        self._group = group
        self._most_groups = groups
        self._weigh = weigh
        # What is not in the sample never will be, for the threshold only falls: that can be known
        # without another look at the key.
        self._skipped: dict[Hashable, _Tally] = {}
        self.forget_parent()

    def another(self) -> Sampler:
        """An empty one with the same settings."""
        return Sampler(
            self.most,
            rate=(self._start - 1) / _RANGE,
            group=self._group,
            groups=self._most_groups,
            weigh=self._weigh,
        )

    def count(self, key: Hashable) -> None:
        """Count a read of a key."""
        tally = self._skipped.get(key)
        if tally is None:
            self._meet(key)
        else:
            tally.requests += 1

    def curve(self, group: str | None = None) -> Curve:
        """The curve of now, of all keys or of a group.

        Raises:
            KeyError: There is no such group.
        """
        with self._lock:
            return self._curve(self._total if group is None else self._groups[group])

    def curves(self) -> Curves:
        """All curves of now."""
        with self._lock:
            groups = {} if self._group is None else self._groups
            return Curves(
                self._curve(self._total),
                {name: self._curve(tally) for name, tally in groups.items()},
            )

    @property
    def rate(self) -> float:
        """The share of keys that are sampled."""
        return 1 / self._stands_for

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._limit(self._start)
            self._sampled: dict[Hashable, _Tally] = {}
            self._numbers = itertools.count()
            self._highest: list[tuple[int, int, Hashable]] = []
            self._total = self._tally()
            # Reads are counted in the groups alone: every read is in one of them.
            self._groups = {"": self._total} if self._group is None else {}
            self._skipped.clear()

    def forget_parent(self) -> None:
        """Start anew in a forked process: a thread that held the lock did not come along."""
        self._lock = threading.Lock()
        self.reset()

    def __len__(self) -> int:
        """How many keys are in the sample."""
        with self._lock:
            return len(self._sampled)

    def _meet(self, key: Hashable) -> None:
        self._lock.acquire()  # a with statement takes twice the time
        try:
            tally = self._sampled.get(key)
            if tally is None:
                tally = self._group_of(key)
                if not self._take(key, tally):
                    tally.requests += 1
                    return
            tally.requests += 1
            weight = 1 if self._weigh is None else self._weigh(key)
            self._total.record(key, weight, self._stands_for)
            if tally is not self._total:
                tally.record(key, weight, self._stands_for)
            if len(self._sampled) > self.most:
                self._shrink()
        finally:
            self._lock.release()

    def _take(self, key: Hashable, tally: _Tally) -> bool:
        """Whether a key that is met for the first time is sampled."""
        number = spread(key)
        if number >= self._threshold:
            self._skip(key, tally)
            return False
        self._sampled[key] = tally
        # Of equal hashes the number of the key decides: keys may have no order.
        heappush(self._highest, (-number, next(self._numbers), key))
        return True

    def _shrink(self) -> None:
        """Lower the threshold to the highest hash in the sample, and drop what is not below it."""
        self._limit(-self._highest[0][0])
        while self._highest and -self._highest[0][0] >= self._threshold:
            key = heappop(self._highest)[-1]
            tally = self._sampled.pop(key)
            self._total.stack.drop(key)
            if tally is not self._total:
                tally.stack.drop(key)
            self._skip(key, tally)

    def _limit(self, threshold: int) -> None:
        self._threshold = threshold
        # So many reads of all are one in the sample. Hashes begin at 1.
        self._stands_for = _RANGE / max(1, threshold - 1)

    def _skip(self, key: Hashable, tally: _Tally) -> None:
        if len(self._skipped) >= _SKIPPED:
            self._skipped.clear()  # the keys that are read often are soon back
        self._skipped[key] = tally

    def _group_of(self, key: Hashable) -> _Tally:
        if self._group is None:
            return self._total
        name = self._group(key)
        if name not in self._groups:
            if len(self._groups) >= self._most_groups:
                name = _OTHERS
            if name not in self._groups:
                self._groups[name] = self._tally()
        return self._groups[name]

    def _tally(self) -> _Tally:
        return _Tally(Times()) if self._weigh is None else _Tally(Tree(), weighed=True)

    def _curve(self, tally: _Tally) -> Curve:
        whole = tally is self._total
        tallies = self._groups.values() if whole else [tally]
        return Curve(
            dict(tally.hits),
            tally.cold,
            sum(each.requests for each in tallies),
            len(tally.stack),
            self.rate,
            "entries" if self._weigh is None else "bytes",
        )


class _Tally:
    """What was counted of one group.

    A read in the sample stands for as many reads as there are keys for one in the sample at its
    moment. That is what it comes to when, as in the paper, all counts are scaled whenever that
    number rises.
    """

    __slots__ = ("_weighed", "cold", "hits", "requests", "stack")

    def __init__(self, stack: Stack, *, weighed: bool = False) -> None:
        self.stack = stack
        self._weighed = weighed
        self.requests = 0
        self.cold = 0.0
        self.hits: dict[int, float] = {}

    def record(self, key: Hashable, weight: int, stands_for: float) -> None:
        above = self.stack.touch(key, weight)
        if above is None:
            self.cold += stands_for
            return
        size = weight + above or 1
        if stands_for > 1 or self._weighed:  # else there are few different ones anyway
            size = _coarse(weight + int(above * stands_for)) or 1
        self.hits[size] = self.hits.get(size, 0.0) + stands_for


def spread(key: Hashable) -> int:
    """A number from 1 to 2**32 that is the same in every process, and as good as random."""
    if isinstance(key, str):
        data = key.encode("utf-8", "surrogatepass")
    else:
        data = repr(key).encode("utf-8", "surrogatepass")
    # The product mixes what a checksum leaves in order: keys that differ in their last digits.
    return crc32(data) * 0x9E3779B1 % _RANGE + 1


def _coarse(size: int) -> int:
    """A size to 8 bits, 0.4 %, so that there are not too many different ones."""
    shift = size.bit_length() - 9
    return size if shift <= 0 else size >> shift << shift
