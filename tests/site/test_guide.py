"""The guide to the site: its examples run as they stand, and its table is what a replay gives."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from labkit import newsroom
from labkit.site import replay
from tests.project import PROJECT
from tests.scale import FACTOR

GUIDE = (PROJECT / "docs" / "site.md").read_text("utf-8")
ROWS = dict(re.findall(r"(?m)^\| ([a-z][^|]*?) \| ([\d.,| ]+) \|$", GUIDE))
# Each is a matter of seconds; the small table of test_replay is made whole in every run.
DESIGNS = replay.DESIGNS if FACTOR > 1 else replay.DESIGNS[-2:]


BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```", GUIDE)


@pytest.mark.parametrize("block", BLOCKS, ids=["a site", "comments"])
def test_the_examples_of_the_guide_run(block: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert printed == re.findall(r"print\(.*\)  # (.*)", block)


def test_the_table_has_a_row_for_each_design() -> None:
    assert list(ROWS) == [design.name for design in replay.DESIGNS]


@pytest.mark.soak
@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_the_table_of_the_guide_is_what_a_replay_gives(design: replay.Design) -> None:
    told = [float(cell.replace(",", "")) for cell in ROWS[design.name].split("|")]
    assert list(replay.replay(newsroom.day(), design).values()) == told
