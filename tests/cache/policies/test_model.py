"""The arithmetic of advice, against traffic that is drawn at random."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.policies.model import (
    hit_ratio,
    hits_per_load,
    read_within,
    renewed_in_time,
    time_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

rates = st.floats(1e-6, 1e6)
seconds = st.floats(1e-3, 1e6)


def poisson(rate: float, until: float, draw: random.Random) -> Iterator[float]:
    """Moments at random, so many a second on average."""
    gaps = (draw.expovariate(rate) for _ in itertools.count())
    return itertools.takewhile(lambda at: at < until, itertools.accumulate(gaps))


@pytest.mark.parametrize(
    ("reads", "writes", "ttl"),
    [(1, 0, 10), (5, 1, 1e9), (2, 0.5, 3), (0.3, 0.1, 20), (1, 3, 10), (0.05, 0, 10)],
)
def test_hits_per_load_are_those_of_random_traffic(reads: float, writes: float, ttl: float) -> None:
    draw = random.Random(1)
    until = 40_000 / reads
    events = [(at, "read") for at in poisson(reads, until, draw)]
    if writes:
        events += [(at, "write") for at in poisson(writes, until, draw)]
    hits = loads = 0
    ends = -1.0
    for at, what in sorted(events):
        if what == "write":
            ends = -1.0
        elif at < ends:
            hits += 1
        else:
            loads += 1
            ends = at + ttl
    assert hits / loads == pytest.approx(hits_per_load(reads, writes, ttl), rel=0.05)
    assert hits / (hits + loads) == pytest.approx(
        hit_ratio(hits_per_load(reads, writes, ttl)), abs=0.01
    )


@given(reads=rates, ttl=seconds)
def test_without_writes_it_is_the_formula_of_the_paper(reads: float, ttl: float) -> None:
    assert hit_ratio(hits_per_load(reads, 0, ttl)) == pytest.approx(1 - 1 / (1 + reads * ttl))


@given(reads=rates, writes=rates, ttl=seconds, factor=st.floats(1, 100))
def test_it_rises_with_reads_and_time_and_falls_with_writes(
    reads: float, writes: float, ttl: float, factor: float
) -> None:
    hits = hits_per_load(reads, writes, ttl)
    nearly = hits * (1 - 1e-6)
    assert hits_per_load(reads * factor, writes, ttl) >= nearly
    assert hits_per_load(reads, writes, ttl * factor) >= nearly
    assert nearly <= hits_per_load(reads, writes / factor, ttl) * (1 + 1e-6)
    assert nearly <= min(reads * ttl, reads / writes)


@given(skew=st.floats(0, 2), keys=st.integers(1, 50), ttl=st.floats(0.1, 100))
def test_equal_keys_have_the_fewest_hits(skew: float, keys: int, ttl: float) -> None:
    shares = [(n + 1) ** -skew for n in range(keys)]
    rates = [share / sum(shares) for share in shares]
    skewed = sum(rate * hit_ratio(hits_per_load(rate, 0, ttl)) for rate in rates)
    assert skewed >= hit_ratio(hits_per_load(1 / keys, 0, ttl)) - 1e-9


@given(ratio=st.floats(0.01, 0.999), reads=rates)
def test_a_time_for_a_ratio_brings_it(ratio: float, reads: float) -> None:
    assert hit_ratio(hits_per_load(reads, 0, time_for(ratio, reads))) == pytest.approx(ratio)


@pytest.mark.parametrize(("reads", "load", "beta"), [(1, 1, 1), (10, 0.3, 1), (2, 0.1, 2)])
def test_xfetch_is_in_time_as_often_as_is_said(reads: float, load: float, beta: float) -> None:
    draw = random.Random(2)
    rounds = 4_000
    begun = 0
    for _ in range(rounds):  # the time before the end of the value runs backwards
        ahead = poisson(reads, 60 * load * beta, draw)
        begun += any(-load * beta * math.log(1 - draw.random()) >= left for left in ahead)
    assert begun / rounds == pytest.approx(renewed_in_time(reads, load, beta), abs=0.03)
    assert renewed_in_time(reads, load) == read_within(reads, load)
