"""How fast a walk through many keys may go, so that the database has time for its readers."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.clock import duration
from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Callable

_USUAL = 5  # batches that show how long a key takes


@dataclass(frozen=True, slots=True)
class Brake:
    """When a walk goes slower, and when it stops.

    A slow batch halves the rate; each good one doubles it again, up to what was asked for.

    Attributes:
        slower_than: A batch is slow whose time a key is more than so many times the usual one, the
            median of the first five batches; or, given as a text such as "5ms", longer than that.
            The text is better where the first keys may be in the cache already, and take no time.
        patience: After so many batches in a row that were slow or failed, the walk stops.
        most_errors: How many batches may fail in all before it stops.

    Raises:
        ValueError: One of them makes no sense.
    """

    slower_than: float | str = 3.0
    patience: int = 3
    most_errors: int = 10

    def __post_init__(self) -> None:
        if not isinstance(self.slower_than, str) and not 1 <= self.slower_than < math.inf:
            raise ValueError(
                f"slower_than is {self.slower_than!r}; expected how many times the usual time is "
                'slow, such as 3.0, or a time a key, such as "5ms"'
            )
        if isinstance(self.slower_than, str):
            duration(self.slower_than)
        if self.patience < 1:
            raise ValueError(f"patience is {self.patience!r}; expected a number of batches above 0")
        if self.most_errors < 0:
            raise ValueError(f"most_errors is {self.most_errors!r}; expected 0 or more batches")


class Pace:
    """Tells a walk when its next batch may go, and whether it shall stop.

    Args:
        rate: How many keys a second at most: a token bucket with room for one batch. None: as fast
            as they come.
        brake: When to go slower and when to stop. None: the first error ends the walk.
        clock: Seconds that only grow.

    Raises:
        ValueError: `rate` is not above 0.
    """

    def __init__(self, rate: float | None, brake: Brake | None, clock: Callable[[], float]) -> None:
        if rate is not None and not rate > 0:
            raise ValueError(f"rate is {rate!r}; expected keys a second above 0, or None")
        self._asked = self._rate = math.inf if rate is None else rate
        self._brake = brake
        self._clock = clock
        self._began = -math.inf
        self._keys = 0
        self._usual: list[float] = []
        self._bad = self._errors = 0

    def pause(self) -> float:
        """Seconds until the next batch may go; not above 0: at once."""
        return self._began + self._keys / self._rate - self._clock()

    def begin(self, keys: int) -> None:
        """A batch of so many keys goes now."""
        self._began, self._keys = self._clock(), keys

    def end(self, error: Exception | None) -> str | None:
        """The batch has ended.

        Args:
            error: What it failed with.

        Returns:
            Why the walk shall stop, or None to go on.

        Raises:
            Exception: The error, if there is no brake.
        """
        seconds = self._clock() - self._began
        if self._brake is None:
            if error is not None:
                raise error
            return None
        trouble = self._slow(seconds, self._brake) if error is None else f"failed with {error!r}"
        if trouble is None:
            self._bad = 0
            self._rate = min(self._rate * 2, self._asked)
            return None
        self._bad += 1
        self._errors += error is not None
        if self._bad >= self._brake.patience:
            return f"slow or failed batches in a row: {self._bad}; the last one {trouble}"
        if self._errors > self._brake.most_errors:
            return f"failed batches: {self._errors}; the last one {trouble}"
        return None

    def _slow(self, seconds: float, brake: Brake) -> str | None:
        """What was slow about a batch; then the next ones go slower, too."""
        taken = seconds / self._keys
        if isinstance(brake.slower_than, str):
            bound = duration(brake.slower_than)
        elif len(self._usual) < _USUAL:
            self._usual.append(taken)
            return None
        else:
            bound = brake.slower_than * statistics.median(self._usual)
        if taken <= bound:
            return None
        self._rate = min(self._rate, 1 / taken) / 2
        return f"took {format_time(taken)} a key, more than {format_time(bound)}"
