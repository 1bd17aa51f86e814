"""The day of traffic under each design: the same figures in every run, to the read."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

import pytest

from labkit import newsroom
from labkit.site import replay

ARTICLES = 500
EVENTS = newsroom.day(ARTICLES, pages=1500, edits=60, comments=60)

# Reads, rows, p50, p95 and p99 in milliseconds, bytes, stale views, and the oldest in seconds.
TABLE: dict[str, tuple[Any, ...]] = {
    "no cache": (4605, 4590, 60.0, 60.0, 60.0, 0, 0, 0.0),
    "cache-aside, an hour": (2320, 2305, 41.5, 61.5, 61.5, 38701, 56, 3376.8),
    "cache-aside, deletes": (2335, 2320, 41.5, 61.5, 61.5, 38020, 0, 0.0),
    "read-through": (2329, 2314, 41.5, 61.5, 61.5, 38020, 0, 0.0),
    "refresh-ahead": (2491, 2476, 41.5, 61.5, 61.5, 37909, 0, 0.0),
    "stale-while-revalidate": (2329, 2314, 1.5, 41.5, 61.5, 468163, 0, 0.0),
    "the same, ids known": (2314, 2314, 1.5, 41.5, 61.5, 468148, 0, 0.0),
    "read-through, a week": (849, 849, 1.5, 41.5, 61.5, 468148, 0, 0.0),
    "the same, warmed": (1135, 1634, 1.5, 21.5, 21.5, 632764, 0, 0.0),
    "write-through": (822, 822, 1.5, 41.5, 61.5, 481902, 0, 0.0),
    "write-through, views": (486, 6089, 1.5, 21.5, 41.5, 481541, 0, 0.0),
}


@pytest.mark.parametrize("design", replay.DESIGNS, ids=lambda design: design.name)
def test_a_day_costs_what_the_table_says(design: replay.Design) -> None:
    figures = replay.replay(EVENTS, design, articles=ARTICLES)
    assert tuple(figures.values()) == TABLE[design.name]


def test_without_a_cache_every_page_asks_three_questions() -> None:
    pages = sum(event.kind in ("view", "crawl") for event in EVENTS)
    probes = sum(event.kind == "probe" for event in EVENTS)
    assert TABLE["no cache"][0] == 3 * pages + probes


def test_the_figures_are_those_of_any_process() -> None:
    code = (
        "import json; from labkit import newsroom; from labkit.site import replay\n"
        f"events = newsroom.day({ARTICLES}, pages=1500, edits=60, comments=60)\n"
        f"design = replay.DESIGNS[5]\n"
        f"print(json.dumps(replay.replay(events, design, articles={ARTICLES})))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert tuple(json.loads(printed).values()) == TABLE["stale-while-revalidate"]


def test_chance_in_the_cache_is_drawn_from_the_seed_and_nobody_elses_is_touched() -> None:
    early = replay.Design("early", replay.ReadThrough, how={"ttl": "1h", "early": 50.0})
    random.seed(1)
    before = random.getstate()
    first = replay.replay(EVENTS, early, articles=ARTICLES)
    assert random.getstate() == before
    random.seed(2)
    assert replay.replay(EVENTS, early, articles=ARTICLES) == first


def test_designs_are_compared_in_a_table() -> None:
    designs = [replay.DESIGNS[-2], replay.DESIGNS[-1]]
    table = replay.compare(EVENTS[:300], designs, articles=ARTICLES)
    assert list(table.index) == ["write-through", "write-through, views"]
    assert list(table.columns) == list(replay.Figures.__annotations__)
    assert (table["reads"] > 0).all()
