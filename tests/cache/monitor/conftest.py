"""What the tests of the monitor share: a fake server for each."""

from __future__ import annotations

import itertools

import pytest

_numbers = itertools.count()


@pytest.fixture
def fake() -> str:
    """The URL of a fake server that nobody else has, so that it may be cut off."""
    return f"fake://monitor-{next(_numbers)}"
