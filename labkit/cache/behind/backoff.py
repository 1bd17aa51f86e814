"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """Waits that double, up to a bound, each shortened at random by up to a half.

    Chance keeps apart those who failed together: "equal jitter" in M. Brooker, Exponential Backoff
    And Jitter, AWS Architecture Blog, 2015.

    Attributes:
        first: Seconds before the second try.
        most: The longest wait in seconds.
    """

    first: float = 0.1
    most: float = 30.0

    def seconds(self, failures: int) -> float:
        """How long to wait after so many failures in a row, 1 or more."""
        whole = min(self.most, self.first * 2.0 ** min(failures - 1, 64))
        return whole * random.uniform(0.5, 1)
