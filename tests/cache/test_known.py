"""Which ids exist: exactly, and in a Bloom filter."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists, sets, text

from labkit.cache import AsyncCache, Cache, FunctionSource, ReadThrough
from labkit.cache.keys import Unkeyable, encode
from labkit.cache.known import BloomFilter, BloomShape, KnownSet
from tests.cache.crowd import in_threads

IDS = text(max_size=8)


@given(sets(IDS), lists(IDS))
def test_a_set_knows_what_it_was_given_and_nothing_else(known: set[str], asked: list[str]) -> None:
    ids = KnownSet(known)
    assert [ids.has(key) for key in asked] == [key in known for key in asked]
    ids.add(asked)
    assert all(map(ids.has, known | {*asked}))
    assert len(ids) == len(known | {*asked})
    assert not ids.blocking


@given(lists(lists(IDS), max_size=4), integers(1, 50))
def test_a_filter_never_forgets(batches: list[list[str]], capacity: int) -> None:
    ids = BloomFilter(capacity)
    for batch in batches:
        ids.add(batch)
    added = {key for batch in batches for key in batch}
    assert all(map(ids.has, added))
    assert len(ids) <= len(added)
    assert (ids.fill == 0) == (not added)
    assert not ids.blocking


@pytest.mark.parametrize(("capacity", "error_rate"), [(100, 0.01), (5_000, 0.1), (5_000, 0.001)])
def test_a_full_filter_errs_as_often_as_it_may(capacity: int, error_rate: float) -> None:
    """The hashes are the same everywhere, and so are the errors: this is no matter of luck."""
    ids = BloomFilter(capacity, error_rate)
    assert not any(ids.has(f"made-up:{i}") for i in range(1_000))
    ids.add(f"article:{i}" for i in range(capacity))
    errors = sum(ids.has(f"made-up:{i}") for i in range(20_000)) / 20_000
    assert errors == pytest.approx(error_rate, rel=0.5)
    assert ids.expected_error == pytest.approx(error_rate, rel=0.3)
    assert ids.fill == pytest.approx(0.5, abs=0.05)
    assert len(ids) == pytest.approx(capacity, rel=0.05)


def test_its_size_is_that_of_the_textbook() -> None:
    assert BloomShape.of(1_000_000, 0.01) == (9_585_059, 7)
    assert BloomShape.of(1, 0.99) == (1, 1)
    bits, hashes = BloomShape.of(1_000, 0.001)
    assert bits == math.ceil(1_000 * math.log(1_000) / math.log(2) ** 2)
    assert hashes == 10
    assert len(BloomFilter(1_000_000).dumps()) == pytest.approx(9_585_059 / 8, abs=100)


def test_bits_are_the_same_in_every_process() -> None:
    code = (
        "from labkit.cache.known import BloomFilter; ids = BloomFilter(100)\n"
        "ids.add(['article:1', 'ключ']); print(ids.dumps().hex())"
    )
    ids = BloomFilter(100)
    ids.add(["article:1", "ключ"])
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == ids.dumps().hex()


def test_many_threads_that_add_lose_no_id() -> None:
    ids = BloomFilter(8_000)
    in_threads(8, lambda number: ids.add(f"{number}:{i}" for i in range(500)))
    assert all(ids.has(f"{number}:{i}") for number in range(8) for i in range(500))


# --- Kept in a file


@given(lists(IDS), integers(1, 100), integers(1, 99))
def test_a_filter_that_was_kept_is_the_same(keys: list[str], capacity: int, percent: int) -> None:
    ids = BloomFilter(capacity, percent / 100)
    ids.add(keys)
    again = BloomFilter.loads(ids.dumps())
    assert again.dumps() == ids.dumps()
    assert (again.capacity, again.error_rate, len(again)) == (capacity, percent / 100, len(ids))
    assert all(map(again.has, keys))
    again.add(["one more"])
    assert again.has("one more")


@given(binary(max_size=100))
def test_bytes_that_are_no_filter_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=rf"these {len(data)} bytes are no whole Bloom filter"):
        BloomFilter.loads(data)


def test_a_filter_that_was_damaged_is_refused() -> None:
    """A bit that got lost would hide an id."""
    ids = BloomFilter(10)
    ids.add(["a"])
    whole = ids.dumps()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        with pytest.raises(ValueError, match="no whole Bloom filter"):
            BloomFilter.loads(bytes(damaged))
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="no whole Bloom filter"):
            BloomFilter.loads(whole[:end])
    with pytest.raises(ValueError, match="no whole Bloom filter"):
        BloomFilter.loads(whole + b"\0")


# --- Refusals


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True])
def test_a_capacity_that_makes_no_sense_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=rf"capacity is {capacity}; expected a number of ids"):
        BloomFilter(capacity)


@pytest.mark.parametrize("error_rate", [0, 1, -0.1, 2.0, math.nan])
def test_an_error_rate_that_makes_no_sense_is_refused(error_rate: float) -> None:
    with pytest.raises(ValueError, match=rf"error_rate is {error_rate}; expected a share above 0"):
        BloomFilter(10, error_rate)


def test_one_text_is_not_taken_for_several_ids() -> None:
    for ids in (KnownSet(), BloomFilter(10)):
        with pytest.raises(TypeError, match=r"keys is the text 'abc'.*: \['abc'\]"):
            ids.add("abc")


# --- Ids that are no texts

PLACE = uuid.UUID(int=7)


@pytest.mark.parametrize("make", [KnownSet, lambda: BloomFilter(100, 1e-6)])
def test_an_id_is_known_by_the_text_that_a_key_has(make: Any) -> None:
    ids = make()
    ids.add([1, (2, "x"), PLACE, "a b"])
    assert all(map(ids.has, [1, (2, "x"), PLACE, "a b", "1", encode((2, "x"))]))
    assert not any(map(ids.has, [2, "2", (2, "y"), (1, "x"), "ab", None]))
    assert len(ids) == 4
    with pytest.raises(Unkeyable, match="is an object"):
        ids.add([object()])
    with pytest.raises(TypeError, match=r"keys is the text b'abc'"):
        ids.add(b"abc")


@pytest.mark.parametrize("id", [1, "1", "ada", "a b", "0af3-77", (1, "x"), PLACE])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_source_with_such_ids_is_asked_for_those_that_are_there(id: Any, awaited: bool) -> None:  # noqa: A002
    """Texts as well: in a key some stand in quotes, and those in a set do not."""
    rows = {id: "there"}
    source = FunctionSource(rows.get, save=rows.__setitem__)
    kind: Any = AsyncCache if awaited else Cache
    cache = kind()
    titles: Any = ReadThrough(cache, source, name="title", known=KnownSet([id]))

    async def ask() -> list[Any]:
        answers = [titles.get(id), titles.get(99), titles.save("b c", "new"), titles.get("b c")]
        return [await each if awaited else each for each in answers]

    assert asyncio.run(ask()) == ["there", None, None, "new"]
    assert titles.turned_away == 1
