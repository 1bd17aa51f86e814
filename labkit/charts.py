"""The workbook's plots: one style, told apart without colour, each with its figures in words."""

from __future__ import annotations

import io
import logging
import math
import textwrap
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from labkit.latency import (
    PERCENTILES,
    SECONDS_PER_UNIT,
    Growth,
    Measurement,
    format_number,
    percentile,
    time_unit,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from labkit.cache.curves import Curve

# Okabe and Ito, "Color Universal Design" (2008), without the yellow that is pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
GREY = "#595959"

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "figure.figsize": (7.2, 3.6),
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that no font is ever missing
    "font.size": 9,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 3,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "savefig.dpi": "figure",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}

_LOG_FROM = 20  # an axis is logarithmic when its largest value is so many times its smallest
_HEIGHT = 3.6
_LONG_UNITS = {"d": 86_400.0, "h": 3_600.0, "min": 60.0}
_STEPS = 500  # that a curve of many values is drawn with


@dataclass(frozen=True, repr=False, eq=False)
class Chart:
    """A figure and what it shows, in words: notebooks show pictures without alternative text.

    Attributes:
        figure: The matplotlib figure, which no pyplot state knows of.
        words: The figures in plain sentences.
    """

    figure: Figure
    words: str

    def png(self) -> bytes:
        """The picture as a PNG file."""
        buffer = io.BytesIO()
        self._write(buffer, "png")
        return buffer.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file; the suffix says the format: png, svg, pdf.

        Raises:
            ValueError: matplotlib does not know the format.
        """
        self._write(path, None)

    def _write(self, target: str | os.PathLike[str] | io.BytesIO, form: str | None) -> None:
        with _style(), warnings.catch_warnings():
            # A name may hold signs that the font lacks; they show as boxes, and in the words.
            warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
            self.figure.savefig(target, format=form)

    def __repr__(self) -> str:
        return self.words

    def _ipython_display_(self) -> None:
        from IPython.display import Image, display

        picture = Image(self.png(), format="png", alt=self.words)
        display(picture)
        print(self.words)


def latency_distribution(measurement: Measurement, title: str | None = None) -> Chart:
    """The empirical distribution of each design: the share of calls that are faster than a time.

    The upper end of the vertical axis is stretched, so that the slowest percent can be read;
    marks stand at p50, p95 and p99.
    """
    samples, unit = _fitted(measurement.samples, "s")
    with _style():
        figure, axes = _canvas(title, samples)
        _scale(axes, "x", _flat(samples), "time per call", unit, log=True)
        _tail_scale(axes, calls=max(map(len, samples.values())))
        for index, (design, times) in enumerate(samples.items()):
            look = _look(index)
            marks = [(percentile(times, q), 1 - q / 100) for q in PERCENTILES]
            curve = sorted(_slower(times) + marks, key=lambda point: -point[1])
            axes.plot(*_xy(curve), label=_label(design), markevery=[], **look)
            axes.plot(*_xy(marks), **look | {"linestyle": "none"})
        _legend(axes)
    return Chart(figure, measurement.words)


def percentiles(measurement: Measurement, title: str | None = None) -> Chart:
    """p50, p95 and p99 of the designs side by side, each with its value.

    They are dots, because the length of a bar means nothing on a log scale.
    """
    values, unit = _fitted(
        {
            design: [percentile(times, q) for q in PERCENTILES]
            for design, times in measurement.samples.items()
        },
        "s",
    )
    groups = range(len(PERCENTILES))
    size = 8.5 if len(values) < 5 else 7
    with _style():
        figure, axes = _canvas(title, values)
        _scale(axes, "y", _flat(values), "time per call", unit)
        for index, (design, y) in enumerate(values.items()):
            aside = 0.84 * ((index + 0.5) / len(values) - 0.5)
            x = [group + aside for group in groups]
            axes.plot(x, y, label=_label(design), **_look(index) | {"linestyle": "none"})
            for point in zip(x, y, strict=True):
                _note(axes, format_number(point[1]), point, (0, 7), ha="center", fontsize=size)
        axes.margins(y=0.15)
        if axes.get_yscale() == "linear":
            axes.set_ylim(0, 1.15 * max(_flat(values)))
        axes.set_xticks(groups, [f"p{q}" for q in PERCENTILES])
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.set_xlabel("percentile of the calls")
        axes.grid(visible=False, axis="x")
        _legend(axes)
    return Chart(figure, measurement.words)


def cost_against_size(growth: Growth, title: str | None = None, guides: bool = True) -> Chart:
    """Median time per call of each design against the size of the data, both on log axes.

    Args:
        growth: From `labkit.latency.growth`.
        title: The message of the chart.
        guides: Whether to draw how O(1), O(log N) and O(N) would grow from the cheapest design.
    """
    medians, unit = _fitted({design: growth.median(design) for design in growth.designs}, "s")
    with _style():
        figure, axes = _canvas(title, medians)
        _scale(axes, "x", growth.sizes, "size", growth.unit, log=True)
        _scale(axes, "y", _flat(medians), "median time per call", unit, log=True)
        for index, (design, median) in enumerate(medians.items()):
            axes.plot(growth.sizes, median, label=_label(design), **_look(index))
        if guides:
            _guides(axes, growth.sizes, start=min(median[0] for median in medians.values()))
        _legend(axes, gap=0.15 if guides else 0.02)
    return Chart(figure, growth.words)


def bars(
    values: Mapping[str, float], *, unit: str, title: str | None = None, compare: bool = True
) -> Chart:
    """One bar a design, such as the bytes it takes; dots on a log scale where they differ much.

    Args:
        values: Not negative, by name; drawn from top to bottom.
        unit: What they count: "bytes", "reads"; "s" is shown in the unit of time that fits.
        title: The message of the chart.
        compare: Whether to say how many times the smallest each one is.

    Raises:
        ValueError: There is no value, or one is negative or not finite.
    """
    _refuse_unusable(values)
    fitted, unit = _fitted({name: [value] for name, value in values.items()}, unit)
    shown = _flat(fitted)
    rows = range(len(shown))
    smallest = min(shown) if compare and len(shown) > 1 else 0
    notes = [format_number(value) + _times(value, smallest) for value in shown]
    with _style():
        figure, axes = _canvas(title, height=max(2.0, 1.0 + 0.4 * len(shown)))
        _scale(axes, "x", shown, "", unit)
        if _needs_log(shown):
            axes.plot(shown, rows, **_look(0) | {"linestyle": "none"})
        else:
            axes.barh(rows, shown, height=0.6, color=PALETTE[0])
        for row in rows:
            _note(axes, notes[row], (shown[row], row), (7, 0), va="center_baseline")
        axes.margins(x=0.25)
        axes.set_yticks(rows, [_label(name, width=28) for name in values])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
    figures = [f"{name} {note}" for name, note in zip(values, notes, strict=True)]
    return Chart(figure, f"In {unit}: {', '.join(figures)}.")


def histogram(
    counts: Mapping[str, float],
    *,
    unit: str,
    across: str,
    apart: str | None = None,
    title: str | None = None,
) -> Chart:
    """One upright bar a range, with its count and its share of all.

    Args:
        counts: By the name of the range, in order; not negative.
        unit: What is counted: "keys".
        across: What the ranges are ranges of: "time to live".
        apart: The one that is no range like the others, such as "never"; it is hatched, and
            stands apart.
        title: The message of the chart.

    Raises:
        ValueError: There is no count, or one is negative or not finite; or `apart` is none of them.
    """
    _refuse_unusable(counts)
    if apart is not None and apart not in counts:
        raise ValueError(f"apart is {apart!r}; expected one of {list(counts)}")
    total = sum(counts.values())
    notes = {name: f"{format_number(n)}{_percent(n, total)}" for name, n in counts.items()}
    with _style():
        figure, axes = _canvas(title)
        _scale(axes, "y", list(counts.values()), unit, "", log=False)
        places = [at + 0.6 * (name == apart) for at, name in enumerate(counts)]
        for place, (name, count) in zip(places, counts.items(), strict=True):
            look: dict[str, Any] = {"color": PALETTE[0]}
            if name == apart:
                look = {"edgecolor": GREY, "hatch": "//", "fill": False}
            axes.bar(place, count, width=0.8, **look)
            text = notes[name].replace(" ", "\n", 1)
            _note(axes, text, (place, count), (0, 4), ha="center", va="bottom")
        axes.set_xticks(places, [_label(name) for name in counts])
        axes.set_xlabel(across)
        axes.set_ylim(0, 1.25 * max(counts.values()) or 1)
        axes.grid(visible=False, axis="x")
    figures = [f"{name} {note}" for name, note in notes.items()]
    return Chart(figure, f"By {across}, in {unit}: {', '.join(figures)}.")


def lines(
    frame: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    *,
    unit_x: str,
    unit_y: str,
    title: str | None = None,
    log_x: bool | None = None,
    log_y: bool | None = None,
) -> Chart:
    """One line a design, through the rows of a long frame.

    Args:
        frame: One row a point, with at least the columns `x`, `y` and `by`.
        x: The column of the horizontal axis, numbers.
        y: The column of the vertical axis, numbers.
        by: The column that names the line a point belongs to.
        unit_x: What `x` counts; "s" is shown in the unit of time that fits.
        unit_y: What `y` counts, likewise.
        title: The message of the chart.
        log_x: Whether the axis is logarithmic; None: where the range asks for it.
        log_y: Likewise.

    Raises:
        ValueError: The frame is empty, lacks a column, or a point is not finite.
    """
    _refuse_unplottable(frame, x, y, by)
    groups = {str(name): rows.sort_values(x) for name, rows in frame.groupby(by, sort=False)}
    across, unit_x = _fitted({name: rows[x].tolist() for name, rows in groups.items()}, unit_x)
    up, unit_y = _fitted({name: rows[y].tolist() for name, rows in groups.items()}, unit_y)
    with _style():
        figure, axes = _canvas(title, groups)
        _scale(axes, "x", _flat(across), x, unit_x, log=log_x)
        _scale(axes, "y", _flat(up), y, unit_y, log=log_y)
        for index, name in enumerate(groups):
            axes.plot(across[name], up[name], label=_label(name), **_look(index))
        _legend(axes)
    left, right = (format_number(edge(_flat(across))) for edge in (min, max))
    ends = [f"{name} {_course(points)}" for name, points in up.items()]
    reach = f"From {left} to {_with_unit(right, unit_x)}"
    return Chart(figure, f"{reach}, {_named_unit(y, unit_y)}: {'; '.join(ends)}.")


def remaining(times: Mapping[str, Sequence[float | None]], title: str | None = None) -> Chart:
    """The share of values that are still there, against the time from now on: one line a tier.

    Args:
        times: By tier, the seconds that each value has left; None for one that does not expire.
        title: The message of the chart.

    Raises:
        ValueError: No value expires, or a time is negative or not finite.
    """
    finite = {name: sorted(t for t in all_ if t is not None) for name, all_ in times.items()}
    shown = {name: values for name, values in finite.items() if values}
    for name, time in [(name, time) for name, values in shown.items() for time in values]:
        _refuse_unusable({name: time})
    _refuse_unusable({name: values[0] for name, values in shown.items()})
    fitted, unit = _fitted_long(shown)
    longest = max(_flat(fitted))
    medians = [percentile(values, 50) for values in fitted.values()]
    log = _needs_log(medians)
    start = min(medians) / _LOG_FROM if log else 0.0
    with _style():
        figure, axes = _canvas(title, shown)
        _scale(axes, "x", [start, longest], "time from now", unit, log=log)
        axes.set_xlim(start, longest * 1.02)
        for index, (name, values) in enumerate(fitted.items()):
            curve = _surviving(values, len(times[name]), start)
            look = _look(index) | {"markevery": max(1, len(curve) // 8)}
            axes.plot(*_xy(curve), drawstyle="steps-post", label=_label(name), **look)
        axes.set_ylim(-2, 104)
        axes.set_ylabel("values still there (%)")
        _legend(axes)
    ends = [_departure(name, finite[name], len(all_)) for name, all_ in times.items()]
    return Chart(figure, f"Time from now until values are gone: {'; '.join(ends)}.")


def _surviving(left: Sequence[float], count: int, start: float) -> list[tuple[float, float]]:
    """Each time, of few enough to draw, with the percent of the values that are there after it."""
    every = max(1, len(left) // _STEPS)
    steps = [*range(every - 1, len(left) - 1, every), len(left) - 1]
    return [(start, 100.0), *((left[i], 100 * (1 - (i + 1) / count)) for i in steps)]


def _departure(name: str, left: Sequence[float], count: int) -> str:
    """When the values of a tier go."""
    if not left:
        return f"{name}, {count:,} values that never expire"
    half = left[math.ceil(count / 2) - 1] if len(left) * 2 >= count else None
    parts = [f"{name}, {count:,} values", f"the first after {_span(left[0])}"]
    parts += [f"half after {_span(half)}"] if half is not None else []
    parts.append(f"the last after {_span(left[-1])}")
    never = count - len(left)
    return ", ".join([*parts, *([f"{never:,} never"] if never else [])])


def miss_ratios(
    curves: Mapping[str, Curve], size: int | None = None, title: str | None = None
) -> Chart:
    """The share of reads that miss, against the size of the cache: one line a curve.

    Args:
        curves: By name; see `labkit.cache.curves`.
        size: The size that the cache has now, which is marked.
        title: The message of the chart.

    Raises:
        ValueError: No curve falls, some count entries and some bytes, or the size is not above 0.
    """
    if size is not None and size <= 0:
        raise ValueError(f"size is {size!r}; expected a number above 0")
    units = {curve.unit for curve in curves.values()}
    if len(units) > 1:
        raise ValueError("some of the curves count entries, others bytes; draw two charts")
    falling = [curve for curve in curves.values() if curve.sizes]
    if not falling:
        raise ValueError("no curve to draw; expected at least one of keys that were read twice")
    unit = units.pop()
    marked = [size] if size is not None else []
    first = [1 / curve.rate if unit == "entries" else curve.sizes[0] for curve in falling]
    reach = [*first, *marked, *(curve.sizes[-1] for curve in falling)]
    log = _needs_log(reach)
    start = min(reach) if log else 0.0
    with _style():
        figure, axes = _canvas(title, curves)
        _scale(axes, "x", reach, "size of the cache", unit, log=log)
        for index, (name, curve) in enumerate(curves.items()):
            points = [(x, 100 * curve.at(x)) for x in _grid(curve.sizes, start, max(reach))]
            look = _look(index) | {"markevery": max(1, len(points) // 8)}
            axes.plot(*_xy(points), drawstyle="steps-post", label=_label(name), **look)
        axes.set_ylim(-2, 108)
        axes.set_ylabel("reads that miss (%)")
        if size is not None:
            axes.axvline(size, color=GREY, linestyle=(0, (4, 4)), linewidth=0.9, zorder=1)
            _note(axes, f"now: {size:,}", (size, 108), (4, -4), va="top", color=GREY)
        _legend(axes)
    figures = [f"{name}, {_fall(curve, size)}" for name, curve in curves.items()]
    return Chart(figure, f"Reads that miss, by the size in {unit}: {'; '.join(figures)}.")


def _grid(sizes: Sequence[int], start: float, end: float) -> list[float]:
    """Where to look at a curve: where it falls, or at few enough places to draw."""
    if start <= 0 or len(sizes) <= _STEPS:
        every = max(1, len(sizes) // _STEPS)
        return [start, *(float(x) for x in sizes[::every] if x > start), end]
    return [start * (end / start) ** (step / _STEPS) for step in range(_STEPS + 1)]


def _fall(curve: Curve, size: int | None) -> str:
    """Where a curve is now, where it would be with twice the room, and where it ends."""
    if not curve.sizes:
        return "all, at every size"
    place = curve.knee() if size is None else size
    assert place is not None
    places = [place] if size is None else [place, 2 * place]
    shares = [f"{format_number(100 * curve.at(x))} % with {x:,}" for x in places]
    least = f"{format_number(100 * curve.least)} % at best, with {curve.sizes[-1]:,}"
    return ", ".join([*shares, least])


def _course(points: Sequence[float]) -> str:
    """Where a line begins and ends, and how high it rises in between."""
    ends = f"{format_number(points[0])} to {format_number(points[-1])}"
    peak = max(points)
    return f"{ends}, at most {format_number(peak)}" if peak > max(points[0], points[-1]) else ends


@contextmanager
def _style() -> Iterator[None]:
    """Draw in the workbook's style, without a word on stderr.

    The first import of matplotlib may build its font cache, and says so in a log record.
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        import matplotlib.figure

        with matplotlib.rc_context(STYLE):
            yield
    finally:
        logger.setLevel(level)


def _canvas(
    title: str | None, series: Collection[str] = (), height: float = _HEIGHT
) -> tuple[Figure, Axes]:
    """An empty figure, unknown to pyplot, and its axes."""
    from matplotlib.figure import Figure

    if len(series) > len(PALETTE):
        raise ValueError(
            f"{len(series)} series; a chart tells {len(PALETTE)} apart at most: draw two charts"
        )
    figure = Figure(figsize=(7.2, height))
    axes = figure.add_subplot()
    if title:
        axes.set_title(textwrap.fill(title, 80))
    return figure, axes


def _look(index: int) -> dict[str, Any]:
    """How the series of this number looks: three differences, of which colour is only one."""
    return {"color": PALETTE[index], "marker": MARKERS[index], "linestyle": LINES[index]}


def _fitted(series: Mapping[str, Sequence[float]], unit: str) -> tuple[dict[str, list[float]], str]:
    """Times ("s") in the unit in which they read best, and that unit; all else as it is."""
    positive = [value for value in _flat(series) if value > 0]
    if unit != "s" or not positive:
        return {name: list(values) for name, values in series.items()}, unit
    middle = math.sqrt(min(positive) * max(positive))
    unit = time_unit(middle)
    size = SECONDS_PER_UNIT[unit]
    return {name: [value / size for value in values] for name, values in series.items()}, unit


def _fitted_long(series: Mapping[str, Sequence[float]]) -> tuple[dict[str, list[float]], str]:
    """Seconds in the unit in which the longest reads best, days included, and that unit."""
    unit, size = _long_unit(max(_flat(series)))
    return {name: [value / size for value in values] for name, values in series.items()}, unit


def _long_unit(seconds: float) -> tuple[str, float]:
    """The largest unit of which a time is two or more, and how many seconds that is."""
    for unit, size in _LONG_UNITS.items():
        if seconds >= 2 * size:
            return unit, size
    return "s", 1.0


def _span(seconds: float) -> str:
    unit, size = _long_unit(seconds)
    return f"{format_number(seconds / size)} {unit}"


def _flat(series: Mapping[str, Sequence[float]]) -> list[float]:
    return [value for values in series.values() for value in values]


def _needs_log(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _LOG_FROM


def _scale(
    axes: Axes,
    which: Literal["x", "y"],
    values: Sequence[float],
    name: str,
    unit: str,
    *,
    log: bool | None = None,
) -> None:
    """Give an axis its scale, its ticks in plain figures, and its label with the unit."""
    from matplotlib.ticker import AutoLocator, LogLocator, NullFormatter

    log = _needs_log(values) if log is None else log
    label = _named_unit(name, f"{unit}, log scale" if log else unit)
    axes.set(**{f"{which}scale": "log" if log else "linear", f"{which}label": label})
    axis = axes.xaxis if which == "x" else axes.yaxis
    if log:
        least, most = min(values), max(values)
        if least <= 0:
            raise ValueError(f"{name!r} goes down to {least!r}; a log scale needs positive values")
        if most > 5 * least:
            axis.set_major_locator(LogLocator(subs=(1,) if most > 300 * least else (1, 2, 5)))
        else:
            axis.set_major_locator(AutoLocator())
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(lambda value, _: _tick(value))


def _tick(value: float) -> str:
    return f"{value / 1e6:,.10g}M" if value >= 1e6 else f"{value:,.10g}"


def _slower(times: Sequence[float]) -> list[tuple[float, float]]:
    """Each time with the share of calls slower than it, by the definition of `percentile`."""
    intervals = max(len(times) - 1, 1)
    # Nothing is slower than the slowest call, but a log axis needs a share that is not 0.
    least = min(0.5 / intervals, 0.005)
    return [(time, max(1 - rank / intervals, least)) for rank, time in enumerate(sorted(times))]


def _xy(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _tail_scale(axes: Axes, calls: int) -> None:
    """A vertical axis of shares of calls, which widens towards 100 %."""
    from matplotlib.ticker import NullLocator

    least = min(1 / calls, 0.01)
    shown = [q for q in (0, 50, 90, 95, 99, 99.9, 99.99) if 1 - q / 100 >= 0.999 * least]
    axes.set_yscale("log")
    axes.set_ylim(1.15, least / 1.3)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks([1 - q / 100 for q in shown], [f"{q:g} %" for q in shown])
    axes.set_ylabel("share of calls that are faster")


def _guides(axes: Axes, sizes: Sequence[int], start: float) -> None:
    """Dashed lines that grow as the orders of complexity do, from `start` at the first size."""
    orders: dict[str, Callable[[float], float]] = {
        "O(1)": lambda n: 1.0,
        "O(log N)": lambda n: math.log(1 + n),
        "O(N)": float,
    }
    first, last = sizes[0], sizes[-1]
    x = [first * (last / first) ** (step / 50) for step in range(51)]
    for name, order in orders.items():
        y = [start * order(n) / order(first) for n in x]
        axes.plot(x, y, color=GREY, linestyle=(0, (4, 4)), linewidth=0.9, zorder=1)
        _note(axes, name, (x[-1], y[-1]), (9, 0), va="center", color=GREY)


def _note(
    axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float], **looks: Any
) -> None:
    """Write beside a point; `offset` is in typographic points."""
    style = {"fontsize": 8.5, "annotation_clip": False} | looks
    axes.annotate(text, point, xytext=offset, textcoords="offset points", **style)


def _legend(axes: Axes, gap: float = 0.02) -> None:
    """Name the series beside the axes, where nothing is hidden, in the order in which they end."""
    handles: Any
    handles, labels = axes.get_legend_handles_labels()
    ends = [float(line.get_ydata()[-1]) for line in handles]
    order = sorted(range(len(ends)), key=lambda index: -ends[index])
    axes.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="upper left",
        bbox_to_anchor=(1 + gap, 1),
        borderaxespad=0,
    )


def _label(name: str, width: int = 18) -> str:
    """A name that fits; matplotlib leaves out one that begins with an underscore."""
    return textwrap.fill(f"\u200b{name}" if name.startswith("_") else name, width)


def _named_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if name and unit else name or unit


def _with_unit(figure: str, unit: str) -> str:
    return f"{figure} {unit}".rstrip()


def _times(value: float, smallest: float) -> str:
    """How many times the smallest a value is; empty where that has no meaning."""
    return f" ({format_number(value / smallest)}x)" if smallest > 0 else ""


def _percent(value: float, total: float) -> str:
    """The share of a value; empty where there is nothing to share."""
    if not total:
        return ""
    share = 100 * value / total
    return " (< 0.1 %)" if 0 < share < 0.1 else f" ({format_number(share)} %)"


def _refuse_unusable(values: Mapping[str, float]) -> None:
    if not values:
        raise ValueError("no values to draw; expected at least one, by name")
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name!r} is {value!r}; expected a finite number, not negative")


def _refuse_unplottable(frame: pd.DataFrame, x: str, y: str, by: str) -> None:
    missing = [column for column in (x, y, by) if column not in frame.columns]
    if missing:
        raise ValueError(f"no column {missing}; the frame has {list(frame.columns)}")
    if frame.empty:
        raise ValueError("the frame has no rows; expected at least one point")
    if not all(math.isfinite(value) for column in (x, y) for value in frame[column]):
        raise ValueError(f"{x!r} or {y!r} has values that are not finite; drop those rows first")
