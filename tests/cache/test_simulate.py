"""The simulator counts what a tier does, and its bound is one that nothing exceeds."""

from __future__ import annotations

import collections
from functools import lru_cache
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.eviction import Lru
from labkit.cache.simulate import Row, compare, hit_ratio, loop, optimal, scan_mix, zipf

if TYPE_CHECKING:
    from collections.abc import Sequence

POLICIES = ("sieve", "lru", "lfu", "fifo", "ttl")
traces = st.lists(st.integers(0, 5), max_size=11)


def best(trace: Sequence[int], room: int) -> int:
    """The most hits that any choices lead to, found by trying them all."""

    @lru_cache(None)
    def from_here(place: int, kept: frozenset[int]) -> int:
        if place == len(trace):
            return 0
        key = trace[place]
        if key in kept:
            return 1 + from_here(place + 1, kept)
        full = kept | {key}
        choices = [full] if len(full) <= room else [full - {other} for other in full]
        return max(from_here(place + 1, choice) for choice in choices)

    return from_here(0, frozenset())


@given(trace=traces, room=st.integers(1, 4))
def test_the_optimum_is_the_best_of_all_choices(trace: list[int], room: int) -> None:
    assert optimal(trace, room) * len(trace) == pytest.approx(best(trace, room))


@given(trace=st.lists(st.integers(0, 20), max_size=200), room=st.integers(1, 12))
def test_no_policy_exceeds_the_optimum(trace: list[int], room: int) -> None:
    bound = optimal(trace, room)
    for row in compare(trace, [room], POLICIES):
        assert row.ratio <= bound


@given(trace=st.lists(st.integers(0, 20), max_size=200), room=st.integers(1, 12))
def test_lru_has_the_hits_of_the_standard_library(trace: list[int], room: int) -> None:
    known = lru_cache(room)(lambda key: key)
    for key in trace:
        known(key)
    assert compare(trace, [room], ["lru"])[0].hits == known.cache_info().hits


def test_the_figures_of_the_course_come_out() -> None:
    trace = zipf(50_000, 300_000, skew=0.9)
    assert hit_ratio(trace, "lru", 250) == pytest.approx(0.258, abs=0.015)
    assert hit_ratio(trace, "sieve", 250) == pytest.approx(0.376, abs=0.015)


def test_a_loop_a_little_too_long_has_no_hits_but_the_optimum_has_many() -> None:
    trace = loop(375, 5_000)
    assert hit_ratio(trace, "lru", 250) == hit_ratio(trace, "fifo", 250) == 0
    assert hit_ratio(trace, "lru", 375) == 1 - 375 / 5_000
    assert optimal(trace, 250) > 0.6
    assert trace[:2] + trace[374:377] == [0, 1, 374, 0, 1]


def test_sieve_keeps_what_is_popular_while_scans_pass() -> None:
    sieve, lru = compare(scan_mix(5_000, 40_000, skew=1.0), [250], ["sieve", "lru"])
    assert sieve.ratio > lru.ratio * 1.1


def test_zipf_asks_for_keys_in_proportion_to_their_rank() -> None:
    trace = zipf(1_000, 50_000, skew=1.0, seed=3)
    counts = collections.Counter(trace)
    total = sum(1 / rank for rank in range(1, 1_001))
    for rank in (1, 2, 5, 10):
        assert counts[rank - 1] / 50_000 == pytest.approx(1 / rank / total, rel=0.12)
    assert 0 <= min(trace) <= max(trace) < 1_000
    even = collections.Counter(zipf(10, 50_000, skew=0))
    assert max(even.values()) < 1.1 * min(even.values())


def test_a_seed_gives_the_same_requests_again_and_another_one_others() -> None:
    assert zipf(100, 50, 0.9, seed=1) == zipf(100, 50, 0.9, seed=1) != zipf(100, 50, 0.9, seed=2)
    assert scan_mix(100, 50, 0.9, seed=1) == scan_mix(100, 50, 0.9, seed=1)
    assert scan_mix(100, 50, 0.9, seed=1) != scan_mix(100, 50, 0.9, seed=2)


def test_scans_ask_for_keys_once_and_lie_between_the_usual_requests() -> None:
    trace = scan_mix(100, 70, 0.9, scan=10, every=20)
    scanned = [key for key in trace if key >= 100]
    assert scanned == list(range(100, 120))
    assert [place for place, key in enumerate(trace) if key >= 100] == [
        *range(20, 30),
        *range(50, 60),
    ]
    assert [key for key in trace if key < 100] == zipf(100, 70, 0.9)[:50]


def test_rows_come_size_by_size_with_the_names_of_the_policies() -> None:
    rows = compare(["x", "y", ("x",), "x"], [1, 2], ["fifo", Lru])
    assert rows == [
        Row("fifo", 1, 0, 4),
        Row("Lru", 1, 0, 4),
        Row("fifo", 2, 0, 4),
        Row("Lru", 2, 0, 4),
    ]
    assert [row.policy for row in compare([], [1])] == ["sieve", "lru", "lfu", "fifo"]
    assert Row("lru", 1, 3, 4).ratio == 0.75


def test_an_empty_trace_has_no_hits() -> None:
    assert hit_ratio([], "sieve", 3) == optimal([], 3) == 0


def test_a_number_and_its_text_are_two_keys() -> None:
    assert hit_ratio([1, "1", 1, "1"], "lru", 1) == 0


def test_room_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="maxsize is 0"):
        hit_ratio([1], "lru", 0)
    with pytest.raises(ValueError, match="maxsize is 0"):
        optimal([1], 0)
