"""No more keys a second than asked for."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pace:
    """Lets batches go so that there are no more keys a second than asked for.

    Args:
        rate: How many; None: any.
        clock: Seconds that only grow.
        sleep: Waits for seconds.

    Raises:
        ValueError: `rate` is not above 0.
    """

    def __init__(
        self,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate is not None and not rate > 0:
            raise ValueError(f"rate is {rate!r}; expected keys a second above 0, or None")
        self._rate = math.inf if rate is None else rate
        self._clock = clock
        self._sleep = sleep
        self._free = -math.inf

    def most(self, batch: int) -> int:
        """How many keys of a batch may go at once: no more than in a second."""
        return math.ceil(min(batch, self._rate))

    def wait(self, keys: int) -> None:
        """Wait until so many keys may go; they go now."""
        pause = self._free - self._clock()
        if pause > 0:
            self._sleep(pause)
        self._free = self._clock() + keys / self._rate
