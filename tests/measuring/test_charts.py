from __future__ import annotations

import subprocess
import sys
import warnings
from functools import cache
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from labkit.cache.curves import exact
from labkit.cache.simulate import loop, zipf
from labkit.charts import (
    Chart,
    bars,
    cost_against_size,
    histogram,
    latency_distribution,
    lines,
    miss_ratios,
    percentiles,
    remaining,
)
from labkit.latency import Growth, Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

PNG = b"\x89PNG\r\n\x1a\n"

CLOSE = Measurement({"hash": [30e-6 + n * 1e-7 for n in range(200)], "json": [45e-6] * 200})
FAR = Measurement(
    {
        "pipeline": [0.9e-3 + n * 1e-6 for n in range(200)],
        "one by one": [34e-3 + n * 1e-5 for n in range(200)],
        "MSET": [0.6e-3] * 200,
    }
)
GROWTH = Growth(
    {
        size: Measurement({"ZSCORE": [28e-6], "SMEMBERS": [size * 2e-7]})
        for size in (100, 1_000, 10_000, 100_000)
    },
    "members",
)
BATCHES = pd.DataFrame(
    [
        (size, design, seconds * size)
        for design, seconds in (("single", 30e-6), ("pipeline", 1e-6))
        for size in (1_000, 1, 10, 100)
    ],
    columns=["batch", "design", "time"],
)

TIMES: dict[str, list[float | None]] = {
    "memory": [float(second) for second in range(60, 661)],
    "redis": [*(float(3 * second) for second in range(200, 400)), *[None] * 50],
}

READS = {"zipf": exact(zipf(2_000, 10_000, 0.9)), "loop": exact(loop(500, 2_000))}
FEW = {"abacus": exact("abacus abacus"), "abc": exact("abc")}

COUNTS = {"< 1 min": 1_234_567, "1-10 min": 12, "> 10 min": 0, "never": 765_421}


def of_batches(**options: Any) -> Chart:
    return lines(BATCHES, "batch", "time", "design", unit_x="keys", unit_y="s", **options)


def of_counts(counts: Mapping[str, float] = COUNTS, **options: Any) -> Chart:
    return histogram(counts, unit="keys", across="time to live", **options)


EVERY: dict[str, Callable[..., Chart]] = {
    "distribution": lambda **title: latency_distribution(FAR, **title),
    "percentiles": lambda **title: percentiles(FAR, **title),
    "percentiles, close": lambda **title: percentiles(CLOSE, **title),
    "cost": lambda **title: cost_against_size(GROWTH, **title),
    "bars": lambda **title: bars({"hash": 893, "JSON": 412}, unit="bytes", **title),
    "bars, far": lambda **title: bars({"none": 120_000, "smart": 212}, unit="reads", **title),
    "histogram": lambda **title: of_counts(apart="never", **title),
    "lines": lambda **title: of_batches(**title),
    "misses": lambda **title: miss_ratios(READS, 400, **title),
    "misses, few": lambda **title: miss_ratios(FEW, **title),
    "remaining": lambda **title: remaining(TIMES, **title),
    "remaining, far": lambda **title: remaining({**TIMES, "memory": [0.5, 1.0, 2.0]}, **title),
}


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What an earlier test of this process left to the garbage collector is not a chart's.
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def axes(chart: Chart) -> Axes:
    (only,) = chart.figure.axes
    return only


def series(chart: Chart) -> list[Any]:
    """The lines that the legend names."""
    return [line for line in axes(chart).lines if not str(line.get_label()).startswith("_child")]


def others(chart: Chart) -> list[Any]:
    """The lines that it does not name."""
    return [line for line in axes(chart).lines if line not in series(chart)]


def legend(chart: Chart) -> list[str]:
    found = axes(chart).get_legend()
    return [text.get_text() for text in found.get_texts()] if found else []


def notes(chart: Chart) -> list[str]:
    return [text.get_text() for text in axes(chart).texts]


def tick_labels(chart: Chart, which: str) -> list[str]:
    chart.png()
    axis = getattr(axes(chart), f"{which}axis")
    low, high = sorted(axis.get_view_interval())
    return [
        label.get_text()
        for place, label in zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        if low <= place <= high
    ]


# --- every chart ----------------------------------------------------------------------------------


@cache
def rendered(name: str) -> tuple[Chart, bytes]:
    chart = EVERY[name](title="a long title " * 12)
    return chart, chart.png()


@pytest.mark.parametrize("name", EVERY)
class TestEveryChart:
    def test_it_is_a_picture_of_notebook_width(self, name: str) -> None:
        _, png = rendered(name)
        assert png.startswith(PNG)
        assert int.from_bytes(png[16:20], "big") == 792

    def test_it_leaves_no_trace_in_matplotlib(self, name: str) -> None:
        before = dict(plt.rcParams)
        EVERY[name]().png()
        assert plt.get_fignums() == []
        assert dict(plt.rcParams) == before

    def test_its_title_is_optional(self, name: str) -> None:
        assert axes(EVERY[name]()).get_title(loc="left") == ""
        assert axes(EVERY[name](title="One trip")).get_title(loc="left") == "One trip"

    def test_nothing_is_cut_off(self, name: str) -> None:
        figure = rendered(name)[0].figure
        drawn = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
        assert figure.bbox.padded(1).containsx(drawn.x0)
        assert figure.bbox.padded(1).containsx(drawn.x1)
        assert figure.bbox.padded(1).containsy(drawn.y0)
        assert figure.bbox.padded(1).containsy(drawn.y1)

    def test_tick_labels_do_not_overlap(self, name: str) -> None:
        chart, _ = rendered(name)
        for axis in (axes(chart).xaxis, axes(chart).yaxis):
            boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
            assert not any(box.overlaps(other) for box, other in combinations(boxes, 2))

    def test_the_legend_hides_no_data(self, name: str) -> None:
        chart, _ = rendered(name)
        found = axes(chart).get_legend()
        if found:
            hidden = found.get_window_extent().overlaps
            assert not hidden(axes(chart).bbox)
            assert not any(hidden(text.get_window_extent()) for text in axes(chart).texts)

    def test_its_words_are_its_plain_form(self, name: str) -> None:
        chart, _ = rendered(name)
        assert repr(chart) == chart.words
        assert chart.words.endswith(".")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_chart_is_saved_in_the_format_of_the_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"chart.{suffix}"
    of_batches().save(path)
    start = {"png": PNG, "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)


def test_a_notebook_gets_the_picture_and_then_the_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    chart = of_batches()
    chart._ipython_display_()
    (image,) = shown
    data, metadata = image._repr_mimebundle_()
    assert list(data) == ["image/png"]
    assert metadata["image/png"]["alt"] == chart.words
    assert image.data.startswith(PNG)
    assert capsys.readouterr().out == chart.words + "\n"


def test_drawing_in_a_fresh_process_says_nothing_and_needs_no_pyplot(tmp_path: Path) -> None:
    # A folder for settings that cannot be made is reported by matplotlib, and so is a missing
    # cache of fonts, in log records that would end on stderr.
    (tmp_path / "file").touch()
    code = """
import sys
from labkit import charts
assert not {"matplotlib", "pandas", "numpy"} & set(sys.modules), "loaded before it is needed"
assert charts.bars({"hash $1": 3, "漢字": 5}, unit="bytes").png()
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {"MPLCONFIGDIR": str(tmp_path / "file" / "below"), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    "chart",
    [
        latency_distribution(Measurement({str(n): [1e-6 * n, 3e-6] for n in range(1, 8)})),
        percentiles(Measurement({str(n): [1e-6 * n] for n in range(1, 8)})),
        of_batches(),
        cost_against_size(GROWTH),
    ],
    ids=["distribution", "percentiles", "lines", "cost"],
)
def test_series_differ_in_colour_and_besides(chart: Chart) -> None:
    found = series(chart)
    assert len(found) == len(legend(chart)) > 1
    assert len({line.get_marker() for line in found}) == len(found)
    assert len({to_hex(line.get_color()) for line in found}) == len(found)


def test_lines_differ_in_their_strokes() -> None:
    chart = latency_distribution(Measurement({str(n): [1e-6 * n] for n in range(1, 8)}))
    assert len({str(line._dash_pattern) for line in series(chart)}) == 7


@pytest.mark.parametrize("draw", [latency_distribution, percentiles])
def test_more_series_than_can_be_told_apart_are_refused(draw: Callable[..., Chart]) -> None:
    with pytest.raises(ValueError, match="8 series; a chart tells 7 apart"):
        draw(Measurement({str(n): [1e-6] for n in range(8)}))


def test_names_of_any_kind_are_shown_as_they_are() -> None:
    names = ["_private", "$5 and $6", r"$\frac{$", "a name that is much too long for one line"]
    chart = latency_distribution(Measurement({name: [1e-6, 2e-6] for name in names}))
    chart.png()
    shown = [label.replace("\u200b", "").replace("\n", " ") for label in legend(chart)]
    assert shown == names


# --- latency --------------------------------------------------------------------------------------


def test_a_distribution_has_a_log_axis_of_time_and_a_stretched_axis_of_shares() -> None:
    chart = latency_distribution(FAR)
    assert (axes(chart).get_xscale(), axes(chart).get_yscale()) == ("log", "log")
    assert axes(chart).get_xlabel() == "time per call (ms, log scale)"
    assert axes(chart).get_ylabel() == "share of calls that are faster"
    assert tick_labels(chart, "y") == ["0 %", "50 %", "90 %", "95 %", "99 %"]
    bottom, top = axes(chart).get_ylim()
    assert bottom > 1 > 0.01 > top > 0
    assert legend(chart) == ["pipeline", "one by one", "MSET"]
    assert chart.words == FAR.words


def test_a_distribution_is_the_empirical_one() -> None:
    times = [5e-3, 1e-3, 2e-3, 3e-3, 4e-3]
    (curve,) = series(latency_distribution(Measurement({"a": times})))
    slower = dict(zip(*curve.get_data(), strict=True))
    assert [slower[x] for x in (1, 2, 3, 4)] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert 0 < slower[5] < 0.01


def test_marks_stand_at_the_percentiles() -> None:
    chart = latency_distribution(FAR)
    marks = others(chart)
    assert len(marks) == 3
    for curve, of_design in zip(series(chart), marks, strict=True):
        assert set(zip(*of_design.get_data(), strict=True)) <= set(
            zip(*curve.get_data(), strict=True)
        )
    assert list(marks[1].get_xdata()) == pytest.approx([34.995, 35.8905, 35.9701])
    assert list(marks[1].get_ydata()) == pytest.approx([0.5, 0.05, 0.01])


def test_percentiles_are_labelled_with_their_values() -> None:
    chart = percentiles(FAR)
    assert axes(chart).get_yscale() == "log"
    assert axes(chart).get_ylabel() == "time per call (ms, log scale)"
    assert axes(chart).get_xlabel() == "percentile of the calls"
    assert tick_labels(chart, "x") == ["p50", "p95", "p99"]
    assert notes(chart) == ["1", "1.1", "1.1", "35", "36", "36", "0.6", "0.6", "0.6"]
    assert legend(chart) == ["one by one", "pipeline", "MSET"]
    assert chart.words == FAR.words


def test_percentiles_that_are_close_share_an_axis_from_zero() -> None:
    chart = percentiles(CLOSE)
    assert axes(chart).get_yscale() == "linear"
    assert axes(chart).get_ylabel() == "time per call (µs)"
    assert axes(chart).get_ylim()[0] == 0
    assert axes(chart).get_ylim()[1] > 50


def test_dots_of_designs_stand_side_by_side() -> None:
    places = [tuple(line.get_xdata()) for line in series(percentiles(FAR))]
    assert len({x for of_design in places for x in of_design}) == 9
    assert all(round(x) == group for xs in places for group, x in enumerate(xs))


@pytest.mark.parametrize("draw", [latency_distribution, percentiles])
def test_equal_samples_and_a_single_one_are_drawn(draw: Callable[..., Chart]) -> None:
    assert draw(Measurement({"a": [1e-4] * 10, "b": [1e-4] * 10})).png()
    assert draw(Measurement({"a": [1e-4]})).png()


def test_a_narrow_log_axis_still_has_figures() -> None:
    chart = latency_distribution(Measurement({"a": [1.10e-4, 1.45e-4]}))
    assert len(tick_labels(chart, "x")) >= 3


# --- growth ---------------------------------------------------------------------------------------


def test_cost_against_size_is_log_log_with_guides() -> None:
    chart = cost_against_size(GROWTH)
    assert (axes(chart).get_xscale(), axes(chart).get_yscale()) == ("log", "log")
    assert axes(chart).get_xlabel() == "size (members, log scale)"
    assert axes(chart).get_ylabel() == "median time per call (µs, log scale)"
    assert tick_labels(chart, "x") == ["100", "1,000", "10,000", "100,000"]
    assert legend(chart) == ["SMEMBERS", "ZSCORE"]
    assert notes(chart) == ["O(1)", "O(log N)", "O(N)"]
    assert chart.words == GROWTH.words


def test_lines_of_cost_are_the_medians() -> None:
    zscore, smembers = series(cost_against_size(GROWTH))
    assert list(zscore.get_xdata()) == [100, 1_000, 10_000, 100_000]
    assert list(zscore.get_ydata()) == pytest.approx([28] * 4)
    assert list(smembers.get_ydata()) == pytest.approx([20, 200, 2_000, 20_000])


def test_guides_grow_as_their_orders_do() -> None:
    chart = cost_against_size(GROWTH)
    guides = others(chart)
    growths = [line.get_ydata()[-1] / line.get_ydata()[0] for line in guides]
    assert growths == pytest.approx([1, 2.5, 1_000], rel=0.01)
    assert [line.get_ydata()[0] for line in guides] == pytest.approx([20] * 3)
    assert all(line.get_linestyle() == "--" for line in guides)


def test_guides_can_be_left_out() -> None:
    chart = cost_against_size(GROWTH, guides=False)
    assert len(axes(chart).lines) == 2
    assert notes(chart) == []


def test_wide_and_flat_growth_are_drawn() -> None:
    flat = Growth({n: Measurement({"GET": [1e-5]}) for n in (1, 2)}, "keys")
    assert cost_against_size(flat).png()
    wide = Growth({n: Measurement({"GET": [1e-5]}) for n in (1, 10**7)}, "keys")
    assert tick_labels(cost_against_size(wide), "x")[-2:] == ["1M", "10M"]


# --- bars and lines -------------------------------------------------------------------------------


def test_bars_say_value_and_ratio() -> None:
    chart = bars({"hash": 893, "JSON string": 412}, unit="bytes")
    found: list[Any] = list(axes(chart).patches)
    assert [bar.get_width() for bar in found] == [893, 412]
    assert axes(chart).get_xlabel() == "bytes"
    assert axes(chart).get_xlim()[0] == 0
    assert tick_labels(chart, "y") == ["hash", "JSON string"]
    assert axes(chart).yaxis_inverted()
    assert notes(chart) == ["893 (2.2x)", "412 (1x)"]
    assert chart.words == "In bytes: hash 893 (2.2x), JSON string 412 (1x)."


def test_bars_without_comparison() -> None:
    assert notes(bars({"a": 3, "b": 4}, unit="reads", compare=False)) == ["3", "4"]
    assert notes(bars({"a": 3}, unit="reads")) == ["3"]
    assert notes(bars({"a": 0, "b": 4}, unit="reads")) == ["0", "4"]


def test_values_far_apart_are_dots_on_a_log_scale() -> None:
    chart = bars({"none": 120_000, "smart": 212}, unit="reads")
    assert axes(chart).get_xscale() == "log"
    assert axes(chart).get_xlabel() == "reads, log scale"
    assert not axes(chart).patches
    assert notes(chart) == ["120,000 (566x)", "212 (1x)"]


def test_bars_of_time_are_in_the_unit_that_fits() -> None:
    chart = bars({"a": 0.0012, "b": 0.0024}, unit="s")
    assert axes(chart).get_xlabel() == "ms"
    assert chart.words == "In ms: a 1.2 (1x), b 2.4 (2x)."


@pytest.mark.parametrize("values", [{}, {"a": -1}, {"a": float("nan")}, {"a": float("inf")}])
def test_values_that_cannot_be_drawn_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        bars(values, unit="bytes")


def test_a_histogram_has_a_bar_for_each_range_with_its_share() -> None:
    chart = of_counts(apart="never")
    found: list[Any] = list(axes(chart).patches)
    assert [bar.get_height() for bar in found] == [*COUNTS.values()]
    assert tick_labels(chart, "x") == [*COUNTS]
    assert axes(chart).get_ylabel() == "keys"
    assert axes(chart).get_xlabel() == "time to live"
    assert notes(chart) == ["1,234,567\n(62 %)", "12\n(< 0.1 %)", "0\n(0 %)", "765,421\n(38 %)"]
    assert chart.words == (
        "By time to live, in keys: < 1 min 1,234,567 (62 %), 1-10 min 12 (< 0.1 %), "
        "> 10 min 0 (0 %), never 765,421 (38 %)."
    )


def test_what_is_no_range_is_hatched_and_stands_apart() -> None:
    found: list[Any] = list(axes(of_counts(apart="never")).patches)
    assert [bar.get_hatch() for bar in found] == [None, None, None, "//"]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in found]
    gaps = [after - before for before, after in pairwise(middles)]
    assert gaps[0] == pytest.approx(gaps[1])
    assert gaps[2] > 1.5 * gaps[0]
    assert not any(bar.get_hatch() for bar in axes(of_counts()).patches)


def test_a_histogram_of_nothing_is_drawn_and_one_without_counts_refused() -> None:
    chart = of_counts({"a": 0, "b": 0})
    assert chart.words == "By time to live, in keys: a 0, b 0."
    assert axes(chart).get_ylim() == (0, 1)
    with pytest.raises(ValueError, match="no values to draw"):
        of_counts({})
    with pytest.raises(ValueError, match=r"'a' is -1"):
        of_counts({"a": -1})
    with pytest.raises(ValueError, match=r"apart is 'c'; expected one of \['a'\]"):
        of_counts({"a": 1}, apart="c")


def test_lines_are_sorted_scaled_and_labelled() -> None:
    chart = of_batches()
    single, pipeline = series(chart)
    assert list(single.get_xdata()) == [1, 10, 100, 1_000]
    assert list(single.get_ydata()) == pytest.approx([30, 300, 3_000, 30_000])
    assert list(pipeline.get_ydata()) == pytest.approx([1, 10, 100, 1_000])
    assert (axes(chart).get_xscale(), axes(chart).get_yscale()) == ("log", "log")
    assert axes(chart).get_xlabel() == "batch (keys, log scale)"
    assert axes(chart).get_ylabel() == "time (µs, log scale)"
    assert legend(chart) == ["single", "pipeline"]
    assert chart.words == (
        "From 1 to 1,000 keys, time (µs): single 30 to 30,000; pipeline 1 to 1,000."
    )


def test_the_figures_of_a_line_tell_how_high_it_rises_in_between() -> None:
    points = [(0, 0, "peak"), (1, 49, "peak"), (2, 0, "peak"), (0, 1, "rise"), (2, 3, "rise")]
    frame = pd.DataFrame(points, columns=["x", "y", "by"])
    chart = lines(frame, "x", "y", "by", unit_x="", unit_y="")
    assert "peak 0 to 0, at most 49; rise 1 to 3" in str(chart)


def test_lines_within_a_small_range_are_on_plain_axes() -> None:
    frame = pd.DataFrame({"minute": [1, 2, 3], "hit rate": [0.2, 0.5, 0.6], "policy": "LRU"})
    chart = lines(frame, "minute", "hit rate", "policy", unit_x="", unit_y="")
    assert (axes(chart).get_xscale(), axes(chart).get_yscale()) == ("linear", "linear")
    assert (axes(chart).get_xlabel(), axes(chart).get_ylabel()) == ("minute", "hit rate")
    assert chart.words == "From 1 to 3, hit rate: LRU 0.2 to 0.6."


def test_the_scale_can_be_chosen() -> None:
    chart = of_batches(log_x=False, log_y=False)
    assert (axes(chart).get_xscale(), axes(chart).get_yscale()) == ("linear", "linear")
    frame = pd.DataFrame({"x": [1, 2], "y": [0, 1], "by": "a"})
    assert (
        axes(lines(frame, "x", "y", "by", unit_x="", unit_y="", log_x=True)).get_xscale() == "log"
    )
    with pytest.raises(ValueError, match="'y' goes down to 0; a log scale needs positive values"):
        lines(frame, "x", "y", "by", unit_x="", unit_y="", log_y=True)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            BATCHES.drop(columns="time"),
            r"no column \['time'\]; the frame has \['batch', 'design'\]",
        ),
        (BATCHES.head(0), "no rows"),
        (BATCHES.assign(time=float("nan")), "not finite"),
    ],
)
def test_frames_that_cannot_be_drawn_are_refused(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lines(frame, "batch", "time", "design", unit_x="keys", unit_y="s")


def test_a_curve_of_remaining_values_falls_as_they_expire() -> None:
    chart = remaining({"memory": [60.0, 120.0, 120.0, 240.0], "redis": [180.0, None]})
    memory, redis = series(chart)
    assert list(zip(*memory.get_data(), strict=True)) == [
        (0, 100),
        (1, 75),
        (2, 50),
        (2, 25),
        (4, 0),
    ]
    assert list(zip(*redis.get_data(), strict=True)) == [(0, 100), (3, 50)]
    assert memory.get_drawstyle() == "steps-post"
    assert axes(chart).get_xlabel() == "time from now (min)"
    assert chart.words == (
        "Time from now until values are gone: memory, 4 values, the first after 60 s, half after "
        "2 min, the last after 4 min; redis, 2 values, the first after 3 min, half after 3 min, "
        "the last after 3 min, 1 never."
    )


def test_curves_that_are_far_apart_are_on_a_log_axis_that_shows_both() -> None:
    times = {"memory": [1.0, 2.0], "redis": [float(n) * 3_600 for n in range(1, 50)]}
    chart = remaining(times)
    assert axes(chart).get_xscale() == "log"
    assert axes(chart).get_xlabel() == "time from now (d, log scale)"
    low, high = axes(chart).get_xlim()
    assert 0 < low < 1 / 86_400
    assert high > 49 / 24
    assert "redis, 49 values, the first after 60 min, half after 25 h, the last after 2" in (
        chart.words
    )


def test_a_curve_of_very_many_values_has_few_points_and_the_same_ends() -> None:
    (line,) = series(remaining({"memory": [float(n) for n in range(1, 100_001)]}))
    x, y = line.get_data()
    assert len(x) < 600
    assert y[-1] == 0
    assert all(a <= b for a, b in pairwise(x))
    assert all(a > b for a, b in pairwise(y))


def test_what_never_expires_is_told_and_cannot_be_all() -> None:
    words = remaining({"memory": [1.0, 2.0], "redis": [None] * 3}).words
    assert words.endswith("redis, 3 values that never expire.")
    nothing: list[dict[str, list[float | None]]] = [{}, {"redis": [None]}, {"redis": []}]
    for times in nothing:
        with pytest.raises(ValueError, match="no values to draw"):
            remaining(times)
    with pytest.raises(ValueError, match=r"'redis' is -1"):
        remaining({"redis": [5.0, -1.0, 7.0]})


def test_a_curve_of_misses_falls_where_room_is_enough_and_marks_the_size_of_now() -> None:
    chart = miss_ratios({"all": exact("abcabc" * 2)}, 2)
    (line,) = series(chart)
    assert list(zip(*line.get_data(), strict=True)) == [(0, 100), (3, 25), (3, 25)]
    assert line.get_drawstyle() == "steps-post"
    (mark,) = others(chart)
    assert list(mark.get_xdata()) == [2, 2]
    assert "now: 2" in notes(chart)
    assert axes(chart).get_xlabel() == "size of the cache (entries)"
    assert axes(chart).get_ylabel() == "reads that miss (%)"
    assert chart.words == (
        "Reads that miss, by the size in entries: "
        "all, 100 % with 2, 25 % with 4, 25 % at best, with 3."
    )


def test_without_a_size_the_words_tell_the_knee_and_what_never_hits() -> None:
    words = miss_ratios({"loop": READS["loop"], "abc": FEW["abc"]}).words
    assert words == (
        "Reads that miss, by the size in entries: loop, 25 % with 500, 25 % at best, with 500; "
        "abc, all, at every size."
    )


def test_a_curve_of_very_many_sizes_has_few_points_that_lie_on_it() -> None:
    curve = READS["zipf"]
    assert len(curve.sizes) > 600
    (line,) = series(miss_ratios({"zipf": curve}))
    points = list(zip(*line.get_data(), strict=True))
    assert 100 < len(points) < 600
    assert all(y == 100 * curve.at(x) for x, y in points)
    assert points[-1][1] == pytest.approx(100 * curve.least)


def test_curves_of_bytes_begin_where_something_fits() -> None:
    curve = exact(zipf(500, 4_000, 0.9), weigh=lambda key: 1_000 + key)
    chart = miss_ratios({"all": curve}, 1_000_000)
    assert axes(chart).get_xlabel() == "size of the cache (bytes, log scale)"
    assert min(series(chart)[0].get_xdata()) == curve.sizes[0] >= 1_000


def test_curves_that_cannot_be_drawn_together_are_refused() -> None:
    for curves in ({}, {"abc": FEW["abc"]}):
        with pytest.raises(ValueError, match="no curve to draw"):
            miss_ratios(curves)
    with pytest.raises(ValueError, match="some of the curves count entries, others bytes"):
        miss_ratios({"a": exact("aa"), "b": exact("aa", weigh=lambda _: 7)})
    with pytest.raises(ValueError, match="size is 0"):
        miss_ratios(READS, 0)
