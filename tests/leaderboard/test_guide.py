"""The guide's examples run as they stand."""

from __future__ import annotations

from tests.guides import examples


def test_the_examples_of_the_guide_run() -> None:
    _, printed = examples("leaderboard", blocks=4)
    assert printed[0] == "1 None new"
    assert printed[2] == "2 ada 4200.0 {'country': 'PT'}"
    assert "member='dan'" in printed[-1]
