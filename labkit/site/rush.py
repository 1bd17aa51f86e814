"""Readers who all want one value, before and after its time is over, in simulated time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cache import AsyncCache, FunctionSource, MemoryTier
from labkit.clock import FakeClock, run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from labkit.site.replay import Design

_STEP = 0.1  # seconds between two points of the chart


class Rush(NamedTuple):
    """What became of the readers.

    Attributes:
        loads: How often the value was loaded.
        at_once: The most loads that ran at the same time.
        waited: How many readers had to wait for a load, their own or another's.
        longest: The longest that one waited, in seconds.
        moments: When, in seconds from the first reader; how many loads ran, and how many waited.
    """

    loads: int
    at_once: int
    waited: int
    longest: float
    moments: list[tuple[float, int, int]]


def rush(
    design: Design,
    *,
    rate: float = 100.0,
    seconds: float = 30.0,
    load: float = 0.5,
    seed: int = 5,
) -> Rush:
    """Let readers come at an even rate, each wanting the same value, which is there at first.

    Args:
        design: How they read; its `how` has the time to live.
        rate: How many come each second.
        seconds: For how long.
        load: How many seconds a load takes.
        seed: Of chance in the cache.
    """
    clock = FakeClock()
    running = waiting = loads = at_once = 0
    waits: list[float] = []
    moments: list[tuple[float, int, int]] = []

    async def value(_: str) -> str:
        nonlocal running, loads, at_once
        loads += 1
        running += 1
        at_once = max(at_once, running)
        try:
            await asyncio.sleep(load)
            return "value"
        finally:
            running -= 1

    source: FunctionSource[str, str] = FunctionSource(value)
    cache = AsyncCache([MemoryTier(clock=clock)], namespace="rush")
    reads: Any = source.load
    if design.strategy is not None:
        reads = design.strategy(cache, source, name="front", **design.how).get

    async def reader() -> None:
        nonlocal waiting
        begin = clock()
        waiting += 1
        await reads("page")
        waiting -= 1
        if clock() > begin:
            waits.append(clock() - begin)

    async def readers(start: float) -> None:
        tasks = []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(start + number / rate - clock())
            tasks.append(asyncio.create_task(reader()))
        await asyncio.gather(*tasks)

    async def watch(start: float) -> None:
        for number in range(round(seconds / _STEP)):
            await asyncio.sleep(start + number * _STEP - clock())
            moments.append((round(clock() - start, 3), running, waiting))

    async def play() -> None:
        nonlocal loads, at_once
        await reads("page")
        loads = at_once = 0
        start = clock()
        await asyncio.gather(readers(start), watch(start))
        await cache.close()

    state = random.getstate()
    random.seed(seed)
    try:
        run_in_virtual_time(play, clock)
    finally:
        random.setstate(state)
    return Rush(loads, at_once, len(waits), round(max(waits, default=0.0), 3), moments)


def waiting_over_time(designs: Sequence[Design], **how: Any) -> pd.DataFrame:
    """How many readers waited at each moment: columns `seconds`, `waiting` and `design`."""
    import pandas as pd

    rows = [
        {"seconds": moment, "waiting": waiting, "design": design.name}
        for design in designs
        for moment, _, waiting in rush(design, **how).moments
    ]
    return pd.DataFrame(rows)
