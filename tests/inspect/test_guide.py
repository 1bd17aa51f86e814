"""The guide's examples run as they stand, and print what they say."""

from __future__ import annotations

import re

import pytest

from labkit.server import find_server
from tests.guides import examples


@pytest.mark.skipif(find_server() is None, reason="fakeredis tells no memory")
def test_the_examples_of_the_guide_run() -> None:
    code, printed = examples("inspect", blocks=6)
    assert printed == re.findall(r"print\(.*\)  # (.*)", code)
