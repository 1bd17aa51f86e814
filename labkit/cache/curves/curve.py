"""Miss-ratio curves and what can be read off them."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class Curve:
    """The share of reads that miss, for every size of an LRU cache.

    Attributes:
        hits: How many reads are hits from a size on, by that size, which is 1 at least.
        cold: How many reads miss at every size, because nobody had asked for their key before. It
            is the number of different keys as well.
        requests: How many reads there were. In a sample, hits and cold reads are estimated, and do
            not quite come to this; what lacks are reads of the keys that are read most, and those
            are hits (SHARDS-adj, see `Sampler`).
        samples: How many keys the curve was made of: the more, the better.
        rate: Which share of all keys these were in the end. Sizes below 1 / rate entries are too
            small for the sample.
        unit: What sizes count: "entries" or "bytes".
    """

    hits: Mapping[int, float]
    cold: float
    requests: int
    samples: int
    rate: float = 1.0
    unit: str = "entries"

    def at(self, size: float) -> float:
        """The share of reads that miss with so much room, from 0 to 1; 1 where there were none."""
        place = bisect_right(self.sizes, size)
        return self._misses[place] if size > 0 else 1.0

    def for_ratio(self, hits: float) -> int | None:
        """The smallest size with at least this share of hits; None where no size has it.

        Raises:
            ValueError: The share is not from 0 to 1.
        """
        if not 0 <= hits <= 1:
            raise ValueError(f"hits is {hits!r}; expected a share from 0 to 1, such as 0.9")
        if not hits:
            return 0
        most = 1 - hits + 1e-12  # 1 - 0.9 is a little less than 0.1
        place = bisect_left(self._misses, -most, key=lambda misses: -misses)
        return self._places[place] if place < len(self._places) else None

    @property
    def least(self) -> float:
        """The share of reads that miss with room for everything."""
        return self.at(self.sizes[-1]) if self.sizes else self.at(1)

    def knee(self) -> int | None:
        """From which size on more room brings less than it did on average; None without hits.

        It is where the curve lies farthest below the straight line from no room to room for all.
        """
        if not self.sizes:
            return None
        slope = (1 - self.least) / self.sizes[-1]
        return max(self.sizes, key=lambda size: 1 - self.at(size) - slope * size)

    def gain(self, size: int, times: float = 2) -> Gain:
        """What so many times the room would bring, in figures and, as a text, in words.

        Raises:
            ValueError: `size` or `times` is not above 0.
        """
        for name, value in {"size": size, "times": times}.items():
            if value <= 0:
                raise ValueError(f"{name} is {value!r}; expected a number above 0")
        other = round(size * times)
        return Gain(size, other, self.at(size), self.at(other), self.unit)

    def points(self, most: int | None = None) -> list[tuple[int, float]]:
        """Sizes and the share that misses from there to the next, beginning with no room.

        Args:
            most: How many points are enough; the first and the last are among them.
        """
        found = [(0, 1.0), *zip(self._places, self._misses, strict=True)]
        if found[1][1] == 1 or 1 in self.hits:  # then it says nothing
            del found[1]
        if most is None or len(found) <= most:
            return found
        step = (len(found) - 1) / (most - 1)
        return [found[round(number * step)] for number in range(most)]

    def frame(self) -> pd.DataFrame:
        """The points as a frame with the columns size, misses and hits, both shares of 1."""
        import pandas as pd

        sizes, misses = zip(*self.points(), strict=True)
        shares = pd.Series(misses, dtype=float)
        return pd.DataFrame({"size": sizes, "misses": shares, "hits": 1 - shares})

    @cached_property
    def sizes(self) -> Sequence[int]:
        """The sizes at which the curve falls, ascending."""
        return sorted(self.hits)

    @property
    def _places(self) -> list[int]:
        """Where each of the shares of misses begins; there is no room for less than one entry."""
        return [1, *self.sizes]

    @cached_property
    def _misses(self) -> list[float]:
        """The share of misses below the first of the sizes, and from each of them on."""
        if not self.requests:
            return [1.0]
        # From the largest size down, so that what is missed at every size is exact.
        farther = itertools.accumulate(
            (self.hits[size] for size in reversed(self.sizes)), initial=self.cold
        )
        return [min(1.0, misses / self.requests) for misses in farther][::-1]

    def __repr__(self) -> str:
        return (
            f"<Curve of {self.requests:,} reads and {self.samples:,} keys: "
            f"{self.least:.1%} miss at best>"
        )


@dataclass(frozen=True)
class Gain:
    """What another size would bring.

    Attributes:
        size: The size now.
        other: The other size.
        misses: The share of reads that miss now.
        then: The share that would miss with the other size.
        unit: What sizes count.
    """

    size: int
    other: int
    misses: float
    then: float
    unit: str = "entries"

    @property
    def saved(self) -> float:
        """The share of the loads that would be saved; negative where there would be more."""
        return 1 - self.then / self.misses if self.misses else -float(self.then > 0)

    def __str__(self) -> str:
        now, then, saved = (f"{100 * x:.1f} %" for x in (self.misses, self.then, abs(self.saved)))
        with_other = f"With {self.other:,} {self.unit} instead of {self.size:,}"
        if now == then:
            return f"{with_other}, just as many reads would miss: {now}."
        return (
            f"{with_other}, {then} of the reads would miss instead of {now}: "
            f"{saved} {'fewer' if self.saved > 0 else 'more'} loads."
        )


@dataclass(frozen=True)
class Curves:
    """The curves of a cache.

    Attributes:
        total: All keys in one cache.
        groups: Each group of keys in a cache of its own, by the group's name.
    """

    total: Curve
    groups: dict[str, Curve] = field(default_factory=dict)
