"""docs/reference/ is what the docstrings say now."""

from __future__ import annotations

import re
import sys

import pytest

import labkit.cache
from docs import reference

NEWER = sys.version_info[:2] > (3, 13)


@pytest.mark.skipif(NEWER, reason="signatures are spelt otherwise by newer Pythons")
def test_the_pages_are_what_the_docstrings_say() -> None:
    stored = {file.name: file.read_text("utf-8") for file in reference.FOLDER.iterdir()}
    made = reference.pages()
    assert sorted(stored) == sorted(made), "run `make reference`"
    assert [name for name in made if stored[name] != made[name]] == [], "run `make reference`"


def test_every_public_class_of_the_cache_has_a_page() -> None:
    pages = reference.pages()
    for name in labkit.cache.__all__:
        if isinstance(getattr(labkit.cache, name), type):
            assert f"{name}.md" in pages
            assert f"]({name}.md)" in pages["README.md"]


def test_a_page_says_all_that_a_docstring_does() -> None:
    pages = reference.pages()
    for name, page in pages.items():
        assert not re.search(r"0x[0-9a-f]{6,}", page), name
        assert page.count("```") % 2 == 0, name
    smart = pages["SmartCache.md"]
    for said in ("- `policies`: How entities", "## entity", "All processes that share a store"):
        assert said in smart
