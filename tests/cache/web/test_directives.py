"""What Cache-Control says, read and written."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cache.web.directives import control, directives, seconds_of

names = st.sampled_from(["max-age", "no-cache", "private", "x-own", "s-maxage"])
values = st.none() | st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True)


@given(st.dictionaries(names, values), st.data())
def test_directives_are_read_as_they_were_written(
    said: dict[str, str | None], data: st.DataObject
) -> None:
    def written(name: str, value: str | None) -> str:
        name = data.draw(st.sampled_from([name, name.upper(), name.title()]))
        if value is None:
            return name
        return f'{name}="{value}"' if data.draw(st.booleans()) else f"{name}={value}"

    gap = data.draw(st.sampled_from([",", ", ", " ,, "]))
    assert directives(gap.join(written(*pair) for pair in said.items())) == said


@given(st.text(max_size=40))
def test_any_text_can_be_read(text: str) -> None:
    assert all(name == name.lower() for name in directives(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max-age=60", 60.0),
        ('max-age="60"', 60.0),
        ("max-age=-1", 0.0),
        ("max-age=soon", 0.0),
        ("max-age", 0.0),
        ("max-age=60, max-age=0", 60.0),
        ('private="max-age=5"', None),
        ("", None),
    ],
)
def test_seconds(text: str, expected: float | None) -> None:
    assert seconds_of(directives(text), "max-age") == expected


def told(**how: Any) -> tuple[str, bool]:
    usual = {"most": None, "while_revalidate": 0.0, "if_error": 0.0, "private": False}
    return control(**usual | how)


def test_the_examples_of_rfc_5861() -> None:
    assert told(lifetime=600.0, left=600.0, while_revalidate=30.0) == (
        "max-age=600, stale-while-revalidate=30",
        True,
    )
    assert told(lifetime=600.0, left=100.0, if_error=1200.0) == (
        "max-age=600, stale-if-error=1200",
        True,
    )


def test_what_lives_for_ever_is_asked_for_each_time() -> None:
    assert told(lifetime=None, left=None) == ("no-cache", False)
    assert told(lifetime=None, left=None, private=True) == ("private, no-cache", False)
    assert told(lifetime=None, left=None, most=60.0) == ("max-age=60", False)


def test_readers_may_be_told_less() -> None:
    assert told(lifetime=600.0, left=600.0, most=60.0, while_revalidate=9.0) == (
        "max-age=60",
        False,
    )
    assert told(lifetime=600.0, left=20.5, most=60.0) == ("max-age=20", False)
    assert told(lifetime=600.0, left=-3.0, most=60.0) == ("no-cache", False)
    assert told(lifetime=600.0, left=600.0, most=0.0) == ("no-cache", False)


@given(st.floats(0, 1e6), st.floats(0, 1), st.none() | st.floats(0, 1e6))
def test_nobody_is_told_to_keep_it_longer_than_it_is_fresh(
    lifetime: float, share: float, most: float | None
) -> None:
    left = lifetime * (1 - share)
    text, aged = told(lifetime=lifetime, left=left, most=most)
    span = seconds_of(directives(text), "max-age") or 0.0
    age = math.ceil(lifetime - left) if aged else 0
    assert span - age <= left
