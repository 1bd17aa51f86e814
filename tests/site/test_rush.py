"""A crowd at the end of one value, under each cure."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.cache import CacheAside, ReadThrough, RefreshAhead
from labkit.site.replay import Design
from labkit.site.rush import rush, waiting_over_time

TTL = {"ttl": 10}


def test_each_reader_loads_without_a_cache() -> None:
    result = rush(Design("none"), rate=10, seconds=2, load=0.5)
    assert (result.loads, result.waited, result.longest) == (20, 20, 0.5)
    assert result.at_once == 5


def test_cache_aside_loads_as_often_as_readers_come_during_a_load() -> None:
    result = rush(Design("aside", CacheAside, how=TTL), rate=100, seconds=12, load=0.5)
    assert result.loads == result.at_once == result.waited
    assert 49 <= result.loads <= 51


def test_read_through_loads_once_and_the_others_wait() -> None:
    result = rush(Design("through", ReadThrough, how=TTL), rate=100, seconds=12, load=0.5)
    assert (result.loads, result.at_once) == (1, 1)
    assert 49 <= result.waited <= 51


@pytest.mark.parametrize(
    ("strategy", "how"),
    [
        (RefreshAhead, TTL),
        (ReadThrough, TTL | {"stale_while_revalidate": 10}),
        (ReadThrough, TTL | {"early": 1.0}),
    ],
)
def test_what_is_loaded_aside_keeps_nobody_waiting(strategy: Any, how: dict[str, Any]) -> None:
    result = rush(Design("aside", strategy, how=how), rate=100, seconds=30, load=0.5)
    assert (result.at_once, result.waited, result.longest) == (1, 0, 0.0)
    assert 2 <= result.loads <= 5
    assert result == rush(Design("aside", strategy, how=how), rate=100, seconds=30, load=0.5)


def test_moments_are_told_for_a_chart() -> None:
    frame = waiting_over_time([Design("aside", CacheAside, how=TTL)], seconds=12, load=0.5)
    assert list(frame.columns) == ["seconds", "waiting", "design"]
    busy = frame[frame["waiting"] > 0]["seconds"]
    assert 9.9 < busy.min() < 10.2
    assert busy.max() < 11
    assert frame["waiting"].max() >= 45
