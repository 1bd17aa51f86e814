"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["advice", "files", "policy"])
def test_an_example_does_what_it_says(name: str) -> None:
    module = importlib.import_module(f"labkit.cache.policies.{name}")
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed
