"""Measuring how long things take: samples, percentiles, and fair comparisons of designs."""

from __future__ import annotations

import gc
import html
import inspect
import math
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Design = Callable[[], object]
AsyncDesign = Callable[[], Awaitable[object]]
Timer = Callable[[], int]
"""Answers a moment in nanoseconds, as `time.perf_counter_ns` does."""

SECONDS_PER_UNIT = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
PERCENTILES = (50, 95, 99)

_SEED = 0
_NOTICEABLE = 1.1  # below this ratio the words call two designs equally fast

_D = TypeVar("_D", bound=Callable[[], object])


def time_unit(seconds: float) -> str:
    """The unit in which a time reads best: the largest that leaves at least one of it.

    Returns:
        A key of `SECONDS_PER_UNIT`.
    """
    fitting = [unit for unit, size in SECONDS_PER_UNIT.items() if seconds >= 0.9995 * size]
    return fitting[-1] if fitting else "ns"


def format_number(value: float) -> str:
    """Write a figure for reading: `0.012`, `1.2`, `37`, `1,234`."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{float(f'{value:.2g}'):g}"


def format_time(seconds: float) -> str:
    """Write a time in the unit in which it reads best: `1.2 ms`."""
    unit = time_unit(seconds)
    return f"{format_number(seconds / SECONDS_PER_UNIT[unit])} {unit}"


def percentile(samples: Sequence[float], q: float) -> float:
    """The value that `q` percent of the samples do not exceed, interpolated between neighbours.

    This is definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The
    American Statistician 50 (1996), the default of NumPy and pandas, so that a quantile taken
    from `Measurement.frame` is the figure of the summary.

    Args:
        samples: At least one number, in any order.
        q: 0 to 100.

    Raises:
        ValueError: There is no sample, or `q` is outside of its range.
    """
    if not samples:
        raise ValueError("no samples; a percentile needs at least one")
    if not 0 <= q <= 100:
        raise ValueError(f"q is {q!r}; expected a percentage from 0 to 100")
    ordered = sorted(samples)
    position = (len(ordered) - 1) * q / 100
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    return below + (above - below) * (position % 1)


@dataclass(frozen=True, repr=False, eq=False)
class Measurement:
    """What `measure` found.

    Attributes:
        samples: For each design its seconds per call, one figure a round, in the order of rounds.
    """

    samples: Mapping[str, Sequence[float]]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a sample: design, round (from 0), seconds per call."""
        import pandas as pd

        rows = [
            (design, number, seconds)
            for design, samples in self.samples.items()
            for number, seconds in enumerate(samples)
        ]
        return pd.DataFrame(rows, columns=["design", "round", "seconds"])

    def summary(self, unit: str = "µs") -> pd.DataFrame:
        """One row a design: samples, p50, p95, p99.

        Args:
            unit: Of the times: "ns", "µs" (or "us"), "ms" or "s"; written above the index.

        Raises:
            ValueError: The unit is another one.
        """
        import pandas as pd

        unit = "µs" if unit == "us" else unit
        if unit not in SECONDS_PER_UNIT:
            raise ValueError(f"unit is {unit!r}; expected one of {', '.join(SECONDS_PER_UNIT)}")
        rows = {
            design: {"samples": len(samples)}
            | {f"p{q}": _rounded(percentile(samples, q), unit) for q in PERCENTILES}
            for design, samples in self.samples.items()
        }
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("design")
        return frame.rename_axis(f"{unit} per call", axis="columns")

    def ratio(self, a: str, b: str) -> float:
        """How many times longer `a` takes than `b`: the median of the ratios of each round.

        Both sides of a ratio were timed in the same round, so what slowed the machine then
        cancels out.

        Raises:
            KeyError: A design was not measured.
        """
        pairs = zip(self._of(a), self._of(b), strict=True)
        return statistics.median(x / y for x, y in pairs)

    @property
    def words(self) -> str:
        """The figures in one sentence."""
        figures = "; ".join(_figures(design, times) for design, times in self.samples.items())
        return f"Median per call: {figures}{self._comparison()}."

    def _comparison(self) -> str:
        """How the fastest design compares with each other one; empty when it is alone."""
        fastest = min(self.samples, key=lambda design: percentile(self.samples[design], 50))
        others = [design for design in self.samples if design != fastest]
        if not others:
            return ""
        phrases = [_compared(self.ratio(other, fastest), other) for other in others]
        return f": {fastest} is {_joined(phrases)}"

    def _of(self, design: str) -> Sequence[float]:
        if design not in self.samples:
            raise KeyError(f"{design!r} was not measured; measured: {', '.join(self.samples)}")
        return self.samples[design]

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        return f"{self.summary().to_html()}<p>{html.escape(self.words)}</p>"


def measure(
    designs: Mapping[str, Design] | Design,
    *,
    rounds: int = 200,
    warmup: int = 20,
    batch: int = 1,
    timer: Timer = time.perf_counter_ns,
) -> Measurement:
    """Time designs side by side.

    Every round times each design once, in an order that is shuffled anew (from a fixed seed),
    so that a drifting or busy machine slows all designs alike. Garbage collection is paused.

    Args:
        designs: Functions without arguments by name, or one function.
        rounds: Samples a design.
        warmup: Rounds before those, not counted.
        batch: Calls a sample, for functions too short for the timer; the result is per call.
        timer: Nanoseconds, for tests.

    Raises:
        TypeError: A design is not a function, or is asynchronous (see `measure_async`).
        ValueError: There is no design, or a number is too small.
    """
    named = _named(designs)
    _refuse_small(rounds=rounds, warmup=warmup, batch=batch)
    for name, design in named.items():
        if inspect.iscoroutinefunction(design):
            raise TypeError(f"design {name!r} is asynchronous; await measure_async(...) instead")
    elapsed: dict[str, list[int]] = {name: [] for name in named}
    with _no_garbage_collection():
        for name in _schedule(list(named), warmup + rounds):
            design = named[name]
            start = timer()
            for _ in repeat(None, batch):
                result = design()
            elapsed[name].append(timer() - start)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(
                    f"design {name!r} returns a coroutine; await measure_async(...) instead"
                )
            del result  # a large one takes long to free, and not on the next design's time
    return _measurement(elapsed, warmup, batch)


async def measure_async(
    designs: Mapping[str, AsyncDesign] | AsyncDesign,
    *,
    rounds: int = 200,
    warmup: int = 20,
    batch: int = 1,
    timer: Timer = time.perf_counter_ns,
) -> Measurement:
    """Time asynchronous designs side by side; everything else is as in `measure`.

    The calls follow one another: this is latency, not throughput.
    """
    named = _named(designs)
    _refuse_small(rounds=rounds, warmup=warmup, batch=batch)
    elapsed: dict[str, list[int]] = {name: [] for name in named}
    with _no_garbage_collection():
        for name in _schedule(list(named), warmup + rounds):
            design = named[name]
            start = timer()
            for _ in repeat(None, batch):
                result = await design()
            elapsed[name].append(timer() - start)
            del result  # as in measure
    return _measurement(elapsed, warmup, batch)


@dataclass(frozen=True, repr=False, eq=False)
class Growth:
    """What `growth` found.

    Attributes:
        measurements: One for each size, the smallest first.
        unit: What a size counts, such as "members".
    """

    measurements: Mapping[int, Measurement]
    unit: str

    @property
    def sizes(self) -> list[int]:
        """The sizes, ascending."""
        return list(self.measurements)

    @property
    def designs(self) -> list[str]:
        """The names of the designs."""
        return list(self.measurements[self.sizes[0]].samples)

    def median(self, design: str) -> list[float]:
        """Median seconds per call of a design, one for each size.

        Raises:
            KeyError: The design was not measured.
        """
        return [percentile(found._of(design), 50) for found in self.measurements.values()]

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each size and design: size, design, p50 and p95 in seconds per call."""
        import pandas as pd

        rows = [
            (size, design, percentile(samples, 50), percentile(samples, 95))
            for size, found in self.measurements.items()
            for design, samples in found.samples.items()
        ]
        return pd.DataFrame(rows, columns=["size", "design", "p50", "p95"])

    def slope(self, design: str) -> float:
        """The exponent k in cost = c * size ** k: 0 for a constant cost, 1 for a linear one.

        Found by ordinary least squares on the logarithms of sizes and medians.

        Raises:
            KeyError: The design was not measured.
        """
        x = [math.log(size) for size in self.sizes]
        y = [math.log(seconds) for seconds in self.median(design)]
        return statistics.linear_regression(x, y).slope

    @property
    def words(self) -> str:
        """The figures in one sentence."""
        first, last = self.sizes[0], self.sizes[-1]
        grown = ", ".join(self._grown(design) for design in self.designs)
        return f"From {first:,} to {last:,} {self.unit} the median call grows: {grown}."

    def _grown(self, design: str) -> str:
        median = self.median(design)
        factor = format_number(median[-1] / median[0])
        return f"{design} {factor}x (slope {self.slope(design):z.2f})"

    def __repr__(self) -> str:
        return self.words


def growth(
    prepare: Callable[[int], Mapping[str, Design]],
    sizes: Sequence[int],
    *,
    rounds: int = 50,
    warmup: int = 5,
    batch: int = 1,
    unit: str = "items",
    timer: Timer = time.perf_counter_ns,
) -> Growth:
    """Measure how the cost of designs grows with the size of their data.

    Args:
        prepare: Builds data of the size it is given and answers the designs to time on it,
            under the same names for each size. It is called anew for each size, untimed.
        sizes: At least two, positive and ascending.
        rounds: As in `measure`, for each size; so are `warmup`, `batch` and `timer`.
        warmup: Rounds before those, not counted.
        batch: Calls a sample.
        unit: What a size counts, in the plural: "members", "keys".
        timer: Nanoseconds, for tests.

    Raises:
        ValueError: The sizes do not ascend, or the designs differ from size to size.
    """
    if len(sizes) < 2 or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
        raise ValueError(f"sizes are {list(sizes)}; expected at least two, positive and ascending")
    found = {
        size: measure(prepare(size), rounds=rounds, warmup=warmup, batch=batch, timer=timer)
        for size in sizes
    }
    names = {size: sorted(measurement.samples) for size, measurement in found.items()}
    if any(of_size != names[sizes[0]] for of_size in names.values()):
        raise ValueError(f"prepare named other designs for other sizes: {names}; keep the names")
    return Growth(found, unit)


def _named(designs: Mapping[str, _D] | _D) -> dict[str, _D]:
    """The designs by name, all callable."""
    if not isinstance(designs, Mapping):
        designs = {getattr(designs, "__name__", type(designs).__name__): designs}
    if not designs:
        raise ValueError('no design to measure; expected at least one, as {"name": function}')
    for name, design in designs.items():
        if not callable(design):
            raise TypeError(
                f"design {name!r} is {design!r}; expected a function without arguments: "
                "pass lambda: client.get(key), not client.get(key)"
            )
    return dict(designs)


def _refuse_small(*, rounds: int, warmup: int, batch: int) -> None:
    for name, value, least in (("rounds", rounds, 1), ("warmup", warmup, 0), ("batch", batch, 1)):
        if value < least:
            raise ValueError(f"{name} is {value}; expected at least {least}")


def _schedule(names: list[str], rounds: int) -> Iterator[str]:
    """Which design to time next: each once a round, in an order shuffled for each round."""
    shuffle = random.Random(_SEED).shuffle
    for _ in range(rounds):
        shuffle(names)
        yield from names


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _measurement(elapsed: Mapping[str, list[int]], warmup: int, batch: int) -> Measurement:
    """Turn nanoseconds a batch into seconds per call.

    No time is shorter than the timer's tick, so that ratios and log axes stay finite.
    """
    return Measurement(
        {
            name: [max(nanoseconds, 1) / batch / 1e9 for nanoseconds in times[warmup:]]
            for name, times in elapsed.items()
        }
    )


def _rounded(seconds: float, unit: str) -> float:
    """A time in `unit`, to three significant digits."""
    return float(f"{seconds / SECONDS_PER_UNIT[unit]:.3g}")


def _figures(design: str, samples: Sequence[float]) -> str:
    """For example: pipeline 1.1 ms (p95 1.2, p99 1.9)."""
    p50, *tail = (percentile(samples, q) for q in PERCENTILES)
    size = SECONDS_PER_UNIT[time_unit(p50)]
    written = [
        f"p{q} {format_number(value / size)}"
        for q, value in zip(PERCENTILES[1:], tail, strict=True)
    ]
    return f"{design} {format_time(p50)} ({', '.join(written)})"


def _compared(ratio: float, other: str) -> str:
    if ratio < _NOTICEABLE:
        return f"about as fast as {other}"
    return f"{format_number(ratio)} times faster than {other}"


def _joined(phrases: Sequence[str]) -> str:
    *most, last = phrases
    return f"{', '.join(most)} and {last}" if most else last
