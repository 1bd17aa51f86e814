"""Which articles are read most: the same for the generator, for each day and for every length."""

from __future__ import annotations

from itertools import accumulate
from random import Random

SKEW = 0.9
"""How much popularity differs where nobody says so; web traffic lies about 0.6 to 1.1."""


def ranking(articles: int, seed: int) -> list[int]:
    """The numbers of all articles, the most popular first."""
    random = Random(f"popularity {seed}")
    return sorted(range(1, articles + 1), key=lambda _: random.random())


def shares(articles: int, skew: float) -> list[float]:
    """How often each rank and those before it are asked for (Zipf), not scaled."""
    return list(accumulate((rank + 1) ** -skew for rank in range(articles)))
