"""The guide's examples run as they stand, and print what they say."""

from __future__ import annotations

import re

from tests.guides import examples


def test_the_examples_of_the_guide_run() -> None:
    code, printed = examples("chat", blocks=4)
    assert printed == re.findall(r"print\(.*\)  # (.*)", code)
