"""The guide's examples run as they stand, and print what it says."""

from __future__ import annotations

import re

from tests.guides import examples


def test_the_examples_of_the_guide_run() -> None:
    code, printed = examples("newsroom", blocks=9)
    promised = re.findall(r"(?m)^ *print\(.*\)  # (.*)$", code)
    assert len(promised) == 14
    assert [line for line in printed if line in promised] == promised
