"""Entity tags and who has the response already, against RFC 9110."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from labkit.cache.web.conditions import etag_of, has_it, tags_in

if TYPE_CHECKING:
    from collections.abc import Sequence

# What RFC 9110, 8.8.3 lets stand between the quotes: no quote, and a comma too.
opaque = st.text(
    st.characters(
        min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"', codec="latin-1"
    ).filter(lambda c: not 0x7F <= ord(c) <= 0x7F),
    max_size=6,
)
tags = st.lists(st.tuples(st.booleans(), opaque), min_size=1, max_size=5)
gaps = st.sampled_from(["", " ", "\t", "  ", " , ", ",,"])


def asking(**headers: str) -> Headers:
    return Headers({name.replace("_", "-"): text for name, text in headers.items()})


@given(tags, st.data())
def test_a_list_of_tags_is_read_as_it_was_written(
    named: Sequence[tuple[bool, str]], data: st.DataObject
) -> None:
    written = [
        f'{data.draw(gaps)}{"W/" * weak}"{text}"{data.draw(st.sampled_from(["", " "]))}'
        for weak, text in named
    ]
    assert tags_in(",".join(written)) == frozenset(f'"{text}"' for _, text in named)


@given(tags, st.sampled_from(["x", "W/", '"', '"open', "w/", "*", '"a" "b"', 'W/ "a"']))
def test_what_is_no_list_of_tags_names_none(named: Sequence[tuple[bool, str]], wrong: str) -> None:
    good = ",".join(f'"{text}"' for _, text in named)
    assert tags_in(f"{good},{wrong}") == frozenset()
    assert tags_in(f"{wrong},{good}") == frozenset()


@given(st.text(max_size=30))
def test_any_text_can_be_read(text: str) -> None:
    found = tags_in(text)
    assert (found is None) == (text.strip() == "*")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The examples of 13.1.2.
        ('"xyzzy"', True),
        ('W/"xyzzy"', True),
        ('"xyzzy", "r2d2xxxx", "c3piozzzz"', True),
        ('W/"xyzzy", W/"r2d2xxxx", W/"c3piozzzz"', True),
        ("*", True),
        ('"r2d2xxxx", "c3piozzzz"', False),
        # A tag holds commas, and its case counts.
        ('"a,"xyzzy"', False),
        ('"XYZZY"', False),
        ("xyzzy", False),
        ("", False),
    ],
)
def test_the_examples_of_the_rfc(line: str, expected: bool) -> None:
    assert has_it(asking(if_none_match=line), '"xyzzy"', None) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # The table of 8.8.3.2, weak comparison.
        ('W/"1"', 'W/"1"', True),
        ('W/"1"', 'W/"2"', False),
        ('W/"1"', '"1"', True),
        ('"1"', '"1"', True),
    ],
)
def test_tags_are_compared_weakly(one: str, other: str, expected: bool) -> None:
    assert has_it(asking(if_none_match=one), other, None) is expected
    assert has_it(asking(if_none_match=other), one, None) is expected


def test_several_lines_are_one_list() -> None:
    raw = [(b"if-none-match", b'"a"'), (b"if-none-match", b'"b", "c"')]
    for etag in ('"a"', '"b"', 'W/"c"'):
        assert has_it(Headers(raw=raw), etag, None)
    assert not has_it(Headers(raw=raw), '"d"', None)


MARCH = "Sun, 01 Mar 2026 12:00:00 GMT"
APRIL = "Wed, 01 Apr 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("since", "modified", "expected"),
    [
        (MARCH, MARCH, True),
        (APRIL, MARCH, True),
        (MARCH, APRIL, False),
        ("yesterday", MARCH, False),
        (MARCH, "yesterday", False),
        (MARCH, None, False),
        ("Sun, 01 Mar 2026 12:00:00 -0000", MARCH, False),  # of no zone
    ],
)
def test_modified_since(since: str, modified: str | None, expected: bool) -> None:
    assert has_it(asking(if_modified_since=since), '"a"', modified) is expected


def test_a_tag_counts_before_a_date() -> None:
    both = asking(if_none_match='"other"', if_modified_since=APRIL)
    assert not has_it(both, '"a"', MARCH)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_a_tag_is_that_of_the_body(one: bytes, other: bytes) -> None:
    assert (etag_of(one) == etag_of(other)) == (one == other)
    assert tags_in(etag_of(one)) == frozenset({etag_of(one)})


def test_the_same_bytes_of_another_type_are_another_representation() -> None:
    kinds = [
        etag_of(b"[]", [(b"content-type", kind)]) for kind in (b"text/html", b"application/json")
    ]
    assert len({*kinds, etag_of(b"[]")}) == 3
    assert etag_of(b"[]", [(b"x-request", b"17")]) == etag_of(b"[]")
