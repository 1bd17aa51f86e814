from __future__ import annotations

import asyncio
import gc
import math
import statistics
import warnings
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.latency import (
    Growth,
    Measurement,
    format_number,
    format_time,
    growth,
    measure,
    measure_async,
    percentile,
    time_unit,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

times = st.floats(1e-9, 10, allow_subnormal=False)


class Stopwatch:
    """A timer whose time passes only while a design takes it."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def taking(self, nanoseconds: int) -> Callable[[], None]:
        def design() -> None:
            self.now += nanoseconds

        return design

    def taking_async(self, nanoseconds: int) -> Callable[[], Awaitable[None]]:
        async def design() -> None:
            self.now += nanoseconds

        return design


# --- measure --------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7])
def test_a_sample_is_the_time_of_one_call(batch: int) -> None:
    watch = Stopwatch()
    designs = {"fast": watch.taking(250), "slow": watch.taking(4_000)}
    found = measure(designs, rounds=5, warmup=2, batch=batch, timer=watch)
    assert found.samples["fast"] == pytest.approx([250e-9] * 5)
    assert found.samples["slow"] == pytest.approx([4e-6] * 5)
    assert watch.now == (250 + 4_000) * 7 * batch


def test_the_warm_up_does_not_count() -> None:
    watch = Stopwatch()
    cold = iter([900_000, 800_000])
    found = measure(
        lambda: watch.taking(next(cold, 100))(), rounds=10, warmup=2, batch=1, timer=watch
    )
    assert max(found.samples["<lambda>"]) == pytest.approx(100e-9)


def test_rounds_are_interleaved_in_an_order_that_changes_and_repeats() -> None:
    def order_of_calls() -> list[str]:
        calls: list[str] = []
        designs = {name: lambda name=name: calls.append(name) for name in "abc"}
        measure(designs, rounds=40, warmup=0)
        return calls

    calls = order_of_calls()
    rounds = [tuple(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) == 6
    assert max(Counter(one[0] for one in rounds).values()) < 30
    assert calls == order_of_calls()


def test_a_machine_that_slows_down_slows_both_sides_of_a_ratio() -> None:
    watch = Stopwatch()
    calls = 0

    def drifting(cost: int) -> Callable[[], None]:
        def design() -> None:
            nonlocal calls
            calls += 1
            watch.now += cost * (1000 + calls)

        return design

    found = measure({"a": drifting(1), "b": drifting(10)}, rounds=500, warmup=0, timer=watch)
    assert found.ratio("b", "a") == pytest.approx(10, rel=0.01)


def test_freeing_a_large_result_is_not_on_the_time_of_the_next_design() -> None:
    watch = Stopwatch()

    class Large:
        def __del__(self) -> None:
            watch.now += 10**6

    async def large() -> Large:
        return Large()

    found = measure({"large": Large, "small": watch.taking(100)}, rounds=9, timer=watch)
    assert found.samples["small"] == pytest.approx([100e-9] * 9)
    found = asyncio.run(
        measure_async({"large": large, "small": watch.taking_async(100)}, rounds=9, timer=watch)
    )
    assert found.samples["small"] == pytest.approx([100e-9] * 9)


def test_one_function_is_measured_under_its_own_name() -> None:
    def get() -> None: ...

    found = measure(get, rounds=3, warmup=0)
    assert list(found.samples) == ["get"]
    assert len(found.samples["get"]) == 3


def test_a_call_shorter_than_a_tick_counts_as_one_tick() -> None:
    found = measure({"nothing": lambda: None}, rounds=2, warmup=0, batch=10, timer=lambda: 42)
    assert found.samples["nothing"] == pytest.approx([1e-10, 1e-10])


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_not_collected_while_timing_and_again_after(enabled: bool) -> None:
    seen: list[bool] = []
    (gc.enable if enabled else gc.disable)()
    try:
        measure({"look": lambda: seen.append(gc.isenabled())}, rounds=2, warmup=1)
        assert (seen, gc.isenabled()) == ([False] * 3, enabled)
    finally:
        gc.enable()


def test_a_failing_design_raises_its_own_error_and_leaves_collection_on() -> None:
    with pytest.raises(ZeroDivisionError):
        measure({"broken": lambda: 1 / 0})
    assert gc.isenabled()


async def asynchronous() -> None: ...


@pytest.mark.parametrize("design", [asynchronous, lambda: asynchronous()])
def test_an_asynchronous_design_is_sent_elsewhere(design: Any) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(TypeError, match=r"design 'get' .*await measure_async"):
            measure({"get": design})
        gc.collect()
    assert not warned


def test_asynchronous_designs_are_measured_alike() -> None:
    watch = Stopwatch()
    designs = {"fast": watch.taking_async(250), "slow": watch.taking_async(4_000)}
    found = asyncio.run(measure_async(designs, rounds=5, warmup=2, batch=3, timer=watch))
    assert found.samples["fast"] == pytest.approx([250e-9] * 5)
    assert found.samples["slow"] == pytest.approx([4e-6] * 5)
    assert watch.now == (250 + 4_000) * 7 * 3


@pytest.mark.parametrize(
    ("designs", "error", "message"),
    [
        ({}, ValueError, "no design"),
        ({"get": "value"}, TypeError, "design 'get' is 'value'; expected a function"),
        (None, TypeError, "expected a function"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    designs: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        measure(designs)
    with pytest.raises(error, match=message):
        asyncio.run(measure_async(designs))


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"warmup": -1}, {"batch": 0}])
def test_numbers_that_are_too_small_are_refused_before_any_call(wrong: dict[str, int]) -> None:
    calls: list[int] = []
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .* expected at least"):
        measure({"a": lambda: calls.append(1)}, **wrong)  # type: ignore[arg-type]
    assert not calls


# --- percentile -----------------------------------------------------------------------------------


@given(st.lists(times, min_size=1, max_size=50), st.integers(0, 100))
def test_percentiles_are_those_of_numpy(samples: list[float], q: int) -> None:
    assert percentile(samples, q) == pytest.approx(float(np.percentile(samples, q)))


@given(st.lists(times, min_size=1, max_size=50))
def test_percentiles_are_ordered_between_the_extremes(samples: list[float]) -> None:
    found = [percentile(samples, q) for q in (0, 50, 95, 99, 100)]
    assert found[0] == min(samples)
    assert found[1] == pytest.approx(statistics.median(samples))
    assert found[-1] == max(samples)
    assert all(b >= a or math.isclose(a, b) for a, b in pairwise(found))


@pytest.mark.parametrize("q", [-1, 101, float("nan")])
def test_a_percentage_out_of_range_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        percentile([1.0], q)


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 50)


# --- Measurement ----------------------------------------------------------------------------------

TWO = Measurement(
    {
        "pipeline": [1.1e-3] * 90 + [1.2e-3] * 7 + [1.9e-3] * 4,
        "one by one": [34e-3] * 90 + [41e-3] * 7 + [60e-3] * 4,
    }
)


def test_the_words_hold_the_figures() -> None:
    assert TWO.words == (
        "Median per call: pipeline 1.1 ms (p95 1.2, p99 1.9); one by one 34 ms (p95 41, p99 60): "
        "pipeline is 31 times faster than one by one."
    )
    assert repr(TWO) == TWO.words


def test_the_words_of_one_three_and_equal_designs() -> None:
    assert Measurement({"get": [3e-8]}).words == "Median per call: get 30 ns (p95 30, p99 30)."
    three = Measurement({"a": [3e-3], "b": [1e-3], "c": [1.05e-3]})
    assert three.words.endswith(": b is 3 times faster than a and about as fast as c.")


def test_the_frame_has_one_row_a_sample() -> None:
    frame = Measurement({"a": [0.1, 0.2], "b": [0.3, 0.4]}).frame
    assert frame.to_dict("list") == {
        "design": ["a", "a", "b", "b"],
        "round": [0, 1, 0, 1],
        "seconds": [0.1, 0.2, 0.3, 0.4],
    }


def test_the_summary_is_in_microseconds_or_as_asked() -> None:
    summary = TWO.summary()
    assert list(summary.index) == ["pipeline", "one by one"]
    assert summary.index.name == "design"
    assert summary.columns.name == "µs per call"
    assert summary.loc["pipeline"].to_dict() == {
        "samples": 101, "p50": 1100.0, "p95": 1200.0, "p99": 1900.0,
    }  # fmt: skip
    assert TWO.summary("ms").loc["one by one", "p99"] == 60.0
    assert TWO.summary("us").equals(summary)
    assert Measurement({"a": [1.23456e-8]}).summary().loc["a", "p50"] == 0.0123


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unit is 'min'; expected one of ns, µs, ms, s"):
        TWO.summary("min")


def test_a_quantile_of_the_frame_is_the_figure_of_the_summary() -> None:
    found = Measurement({"a": [1e-6, 2e-6, 7e-6, 9e-6]})
    quantile = found.frame["seconds"].quantile(0.95) * 1e6
    assert found.summary().loc["a", "p95"] == pytest.approx(quantile, rel=0.005)


@given(st.lists(st.tuples(times, times), min_size=1, max_size=20))
def test_a_ratio_is_the_median_over_paired_rounds(pairs: list[tuple[float, float]]) -> None:
    found = Measurement({"a": [a for a, _ in pairs], "b": [b for _, b in pairs]})
    assert found.ratio("a", "b") == pytest.approx(statistics.median(a / b for a, b in pairs))


def test_pairing_matters() -> None:
    found = Measurement({"a": [1.0, 10.0, 100.0], "b": [100.0, 5.0, 50.0]})
    assert found.ratio("a", "b") == 2.0


def test_a_design_that_was_not_measured_is_named() -> None:
    with pytest.raises(KeyError, match="'mget' was not measured; measured: pipeline, one by one"):
        TWO.ratio("pipeline", "mget")


def test_a_notebook_shows_table_and_words_with_names_escaped() -> None:
    shown = Measurement({"a < b": [1e-6]})._repr_html_()
    assert "<table" in shown
    assert shown.count("a &lt; b") == 2
    assert "a < b" not in shown
    assert "µs per call" in shown


# --- growth ---------------------------------------------------------------------------------------


def powers(**exponents: float) -> Growth:
    """Designs whose cost is an exact power of the size."""
    return Growth(
        {
            size: Measurement({name: [1e-6 * size**k] for name, k in exponents.items()})
            for size in (100, 1_000, 100_000)
        },
        "members",
    )


@given(st.floats(-1, 3), st.floats(1e-9, 1), st.sets(st.integers(1, 10**6), min_size=2))
def test_the_slope_of_a_power_law_is_its_exponent(
    exponent: float, constant: float, sizes: set[int]
) -> None:
    found = Growth(
        {n: Measurement({"law": [constant * n**exponent]}) for n in sorted(sizes)}, "items"
    )
    assert found.slope("law") == pytest.approx(exponent, abs=1e-6)


def test_growth_measures_what_was_prepared_for_each_size() -> None:
    watch = Stopwatch()
    prepared: list[int] = []

    def prepare(size: int) -> dict[str, Callable[[], object]]:
        watch.now += 10**9
        prepared.append(size)
        return {"ZSCORE": watch.taking(20_000), "SMEMBERS": watch.taking(30 * size)}

    found = growth(prepare, [100, 1_000, 10_000], rounds=4, warmup=1, unit="members", timer=watch)
    assert prepared == found.sizes == [100, 1_000, 10_000]
    assert found.designs == ["ZSCORE", "SMEMBERS"]
    assert found.median("SMEMBERS") == pytest.approx([3e-6, 3e-5, 3e-4])
    assert found.slope("ZSCORE") == pytest.approx(0, abs=1e-9)
    assert found.slope("SMEMBERS") == pytest.approx(1)
    assert all(len(one.samples["ZSCORE"]) == 4 for one in found.measurements.values())


def test_growth_in_a_frame() -> None:
    frame = powers(GET=0, SMEMBERS=1).frame
    assert list(frame.columns) == ["size", "design", "p50", "p95"]
    assert len(frame) == 6
    last = frame.query("size == 100_000 and design == 'SMEMBERS'")
    assert last[["p50", "p95"]].to_numpy().tolist() == [[pytest.approx(0.1)] * 2]


def test_growth_in_words() -> None:
    found = powers(ZSCORE=0, SMEMBERS=1)
    assert found.words == (
        "From 100 to 100,000 members the median call grows: "
        "ZSCORE 1x (slope 0.00), SMEMBERS 1,000x (slope 1.00)."
    )
    assert repr(found) == found.words


def test_a_slope_is_never_minus_zero() -> None:
    found = Growth({n: Measurement({"GET": [1e-6 - n * 1e-12]}) for n in (100, 1_000)}, "keys")
    assert found.slope("GET") < 0
    assert "GET 1x (slope 0.00)" in found.words


@pytest.mark.parametrize("sizes", [[], [10], [10, 10], [100, 10], [0, 10]])
def test_sizes_ascend_from_one(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="positive and ascending"):
        growth(lambda _: {"a": lambda: None}, sizes)


def test_designs_keep_their_names_from_size_to_size() -> None:
    with pytest.raises(ValueError, match="other designs for other sizes"):
        growth(lambda size: {f"get {size}": lambda: None}, [1, 2], rounds=1, warmup=0)


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (5e-10, "0.5 ns"),
        (33e-9, "33 ns"),
        (999.9e-9, "1 µs"),
        (27.4e-6, "27 µs"),
        (1.234e-3, "1.2 ms"),
        (0.5, "500 ms"),
        (1.0, "1 s"),
        (1234.5, "1,234 s"),
    ],
)
def test_a_time_is_written_in_the_unit_in_which_it_reads_best(seconds: float, written: str) -> None:
    assert format_time(seconds) == written
    assert written.endswith(f" {time_unit(seconds)}")


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (0.0123, "0.012"), (1.26, "1.3"), (9.97, "10"), (37.4, "37"), (1e6, "1,000,000")],
)
def test_a_number_is_written_with_the_digits_that_matter(value: float, written: str) -> None:
    assert format_number(value) == written
