"""Times in buckets: percentiles are right to 5 %, and those of several processes add up."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.monitor.histogram import Histogram, bucket_of, count, quantile, quantiles

TIMES = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200)
SHARES = st.sampled_from([0.0, 0.01, 0.5, 0.95, 0.99, 1.0])


def histogram_of(times: list[float]) -> Histogram:
    histogram: Histogram = {}
    count(histogram, times)
    return histogram


@given(TIMES, SHARES)
def test_a_percentile_is_right_to_a_bucket(times: list[float], share: float) -> None:
    exact = sorted(times)[max(0, math.ceil(share * len(times) - 1e-9) - 1)]
    found = quantile(histogram_of(times), share)
    assert found == pytest.approx(exact, rel=0.05)


@given(TIMES, TIMES)
def test_what_two_have_counted_adds_up(one: list[float], other: list[float]) -> None:
    first, second = histogram_of(one), histogram_of(other)
    together = {b: first.get(b, 0) + second.get(b, 0) for b in {*first, *second}}
    assert together == histogram_of(one + other)


@given(TIMES, st.floats(0.5, 100))
def test_percentiles_do_not_depend_on_how_much_each_stands_for(
    times: list[float], weight: float
) -> None:
    weighed: Histogram = {}
    count(weighed, times, weight)
    plain = quantiles(histogram_of(times))
    found = quantiles(weighed)
    assert plain is not None
    assert found is not None
    for a, b in zip(plain, found, strict=True):
        assert abs(bucket_of(a) - bucket_of(b)) <= 1 or a == b


def test_the_mean_of_percentiles_is_not_the_percentile_of_all() -> None:
    fast, slow = histogram_of([0.001] * 990), histogram_of([1.0] * 10)
    p95 = quantile({b: fast.get(b, 0) + slow.get(b, 0) for b in {*fast, *slow}}, 0.95)
    assert p95 == pytest.approx(0.001, rel=0.05)  # and not half a second


@pytest.mark.parametrize("histogram", [{}, {3: 0.0}, {3: 1e-12, 4: -1e-12}])
def test_no_times_have_no_percentiles(histogram: Histogram) -> None:
    assert quantile(histogram, 0.5) is None
    assert quantiles(histogram) is None


def test_no_time_is_too_short_or_too_long() -> None:
    assert quantile(histogram_of([0.0]), 0.5) == pytest.approx(1e-7, rel=0.06)
    assert quantile(histogram_of([1e9]), 0.5) == pytest.approx(1e9, rel=0.05)
