"""What a cache answers, over every arrangement of tiers, to blocking and to async callers."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import gc
import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import labkit
import labkit.cache
from labkit.cache import (
    MISSING,
    AsyncCache,
    Cache,
    Json,
    MemoryTier,
    MessagePack,
    RedisTier,
    SignedPickle,
    Unserializable,
)
from labkit.cache.backends.base import Claim
from labkit.cache.flights import Flights
from tests.cache.conftest import LAYOUTS, WITH_REDIS, Bed
from tests.cache.dict_store import DictTier
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labkit.clock import FakeClock
    from tests.cache.conftest import Benches

PATIENCE = 30.0

blocking = pytest.mark.parametrize("awaited", ["sync"], indirect=True)
with_memory = pytest.mark.parametrize(
    "bed", [layout for layout in LAYOUTS if layout.startswith("memory")], indirect=True
)
with_store = pytest.mark.parametrize("bed", LAYOUTS[1:], indirect=True)
some = pytest.mark.parametrize("bed", ["memory", "memory+server"], indirect=True)
with_redis = pytest.mark.parametrize("bed", WITH_REDIS, indirect=True)


class Loader:
    """A loader that counts its calls, and raises where it was given an error."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise type(self.answer)(*self.answer.args)
        return self.answer


class ManyLoader:
    """A loader of several keys that remembers what it was asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.asked: list[list[str]] = []

    def __call__(self, keys: list[str]) -> dict[str, Any]:
        self.asked.append(list(keys))
        return {key: self.values[key] for key in keys if key in self.values}


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int


class Missing(LookupError): ...


class Gone(Missing): ...


class Failed(Exception): ...


class Fussy(Exception):
    """An error whose arguments do not make it anew."""

    def __init__(self) -> None:
        super().__init__("fussy", 1)


# --- One key


def test_a_value_that_was_set_is_found_by_every_cache_of_the_store(bed: Bed) -> None:
    cache = bed.cache()
    assert cache.get("k") is MISSING
    cache.set("k", {"n": 1})
    assert cache.get("k") == {"n": 1}
    assert bed.cache().get("k", None) == ({"n": 1} if bed.has_store else None)


def test_a_value_takes_the_place_of_the_one_before(bed: Bed) -> None:
    cache = bed.cache()
    for value in (1, "two", None, [3]):
        cache.set("k", value)
        assert cache.get("k") == value


@some
@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, 0.0, b""], ids=repr)
def test_an_empty_value_is_a_value(bed: Bed, value: Any) -> None:
    cache, load = bed.cache(), Loader(value)
    for _ in range(2):
        answer = cache.get_or_load("k", load)
        assert answer == value
        assert type(answer) is type(value)
    assert load.calls == 1
    assert cache.get("k", "default") == value
    assert cache.get_many(["k"]) == {"k": value}


def test_missing_is_false_and_says_what_it_is() -> None:
    assert not MISSING
    assert repr(MISSING) == "MISSING"


def test_the_default_stands_where_there_is_no_value(bed: Bed) -> None:
    cache = bed.cache()
    assert cache.get("k", None) is None
    assert cache.get("k", default=7) == 7
    assert cache.get("k") is MISSING  # a default is not kept


def test_delete_answers_whether_there_was_a_value(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("k", 1)
    cache.set("other", 2)
    assert cache.delete("k") is True
    assert cache.delete("k") is False
    assert cache.get("k") is MISSING
    assert bed.cache().get("k") is MISSING
    assert cache.get("other") == 2


def test_a_value_that_only_the_store_has_is_deleted_too(bed: Bed) -> None:
    bed.cache().set("k", 1)
    assert bed.cache().delete("k") is bed.has_store
    assert bed.cache().get("k") is MISSING


def test_a_key_is_loaded_once(bed: Bed) -> None:
    cache, load = bed.cache(), Loader("v")
    assert [cache.get_or_load("k", load) for _ in range(3)] == ["v"] * 3
    assert load.calls == 1
    assert bed.cache().get_or_load("k", load) == "v"
    assert load.calls == (1 if bed.has_store else 2)
    assert cache.get_or_load("other", Loader("w")) == "w"


def test_a_value_that_was_set_is_not_loaded(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("k", 1)
    assert cache.get_or_load("k", Loader(2)) == 1


@some
@pytest.mark.parametrize("key", ["", 3, None, b"k", ("k",)], ids=repr)
def test_a_key_is_a_text_that_is_not_empty(bed: Bed, key: Any) -> None:
    cache = bed.cache()
    for use in (
        lambda: cache.get(key),
        lambda: cache.set(key, 1),
        lambda: cache.delete(key),
        lambda: cache.get_or_load(key, Loader(1)),
        lambda: cache.get_many(["k", key]),
        lambda: cache.set_many({"k": 1, key: 1}),
        lambda: cache.get_or_load_many([key], ManyLoader({})),
    ):
        with pytest.raises(TypeError, match="a text that is not empty"):
            use()
    assert cache.get("k") is MISSING


@some
@pytest.mark.parametrize("key", ["ключ 鍵", "a b\tc\n", "*?[a-z]", "v:k", "k" * 5_000, "{x}"])
def test_any_text_is_a_key(bed: Bed, key: str) -> None:
    cache = bed.cache()
    cache.set(key, 1)
    cache.set(f"{key}!", 2)
    assert bed.cache().get(key) == (1 if bed.has_store else MISSING)
    assert cache.delete(key)
    assert cache.get_many([key, f"{key}!"]) == {f"{key}!": 2}


# --- Several keys


def test_get_many_finds_what_there_is_in_the_order_of_the_keys(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("a", 1)
    bed.cache().set("b", 2)
    cache.set("c", None)
    keys = ["c", "x", "b", "a", "c"]
    expected = {"c": None, "b": 2, "a": 1} if bed.has_store else {"c": None, "a": 1}
    assert list(cache.get_many(keys).items()) == list(expected.items())
    assert cache.get_many([]) == {}
    assert cache.get_many(["x"]) == {}


def test_set_many_keeps_each_value(bed: Bed) -> None:
    cache, values = bed.cache(), {f"k{i}": [i] for i in range(20)}
    cache.set_many(values)
    cache.set_many({})
    assert cache.get_many(list(values)) == values
    assert bed.cache().get_many(list(values)) == (values if bed.has_store else {})
    assert cache.get("k7") == [7]


def test_one_text_is_no_list_of_keys(bed: Bed) -> None:
    cache = bed.cache()
    for use in (cache.get_many, lambda keys: cache.get_or_load_many(keys, ManyLoader({}))):
        with pytest.raises(TypeError, match=r"keys is the text 'abc'; expected several keys"):
            use("abc")


def test_the_loader_of_many_gets_what_is_missing(bed: Bed) -> None:
    cache, load = bed.cache(), ManyLoader({"a": 1, "b": [2], "c": None})
    cache.set("a", 10)
    assert list(cache.get_or_load_many(["c", "b", "a", "b"], load).items()) == [
        ("c", None),
        ("b", [2]),
        ("a", 10),
    ]
    assert load.asked == [["c", "b"]]
    assert cache.get_or_load_many(["a", "b", "c"], load) == {"a": 10, "b": [2], "c": None}
    assert len(load.asked) == 1
    other = bed.cache().get_or_load_many(["a", "b"], load)
    assert other == ({"a": 10, "b": [2]} if bed.has_store else {"a": 1, "b": [2]})
    assert len(load.asked) == (1 if bed.has_store else 2)
    assert cache.get_or_load_many([], load) == {}


def test_a_key_without_a_value_is_left_out_and_asked_for_again(bed: Bed) -> None:
    cache, load = bed.cache(), ManyLoader({"a": 1})
    for _ in range(2):
        assert cache.get_or_load_many(["a", "x"], load) == {"a": 1}
    assert load.asked == [["a", "x"], ["x"]]
    load.values["x"] = 2
    assert cache.get_or_load_many(["a", "x"], load) == {"a": 1, "x": 2}
    assert cache.get_or_load("y", Loader(3)) == 3  # nothing is left claimed


def test_what_a_loader_of_many_was_not_asked_for_is_not_kept(bed: Bed) -> None:
    cache = bed.cache()
    assert cache.get_or_load_many(["a"], lambda _: {"a": 1, "b": 2}) == {"a": 1}
    assert cache.get("b") is MISSING


# --- Errors


def test_an_error_reaches_the_caller_and_the_next_call_loads_again(bed: Bed) -> None:
    cache, load = bed.cache(), Loader(Failed("no", 1))
    for calls in (1, 2):
        with pytest.raises(Failed) as caught:
            cache.get_or_load("k", load)
        assert caught.value.args == ("no", 1)
        assert load.calls == calls
    assert cache.get("k") is MISSING
    assert cache.get_or_load("k", Loader(1)) == 1


def test_an_error_of_a_loader_of_many_keeps_nothing_and_claims_nothing(bed: Bed) -> None:
    cache = bed.cache(lease="1h")

    def fail(keys: list[str]) -> Any:
        raise Failed(*keys)

    for _ in range(2):
        with pytest.raises(Failed) as caught:
            cache.get_or_load_many(["a", "b"], fail)
        assert caught.value.args == ("a", "b")
    assert cache.get_many(["a", "b"]) == {}
    assert unclaimed(bed, "a")
    assert cache.get_or_load_many(["a", "b"], ManyLoader({"b": 2})) == {"b": 2}


def test_a_named_error_is_remembered_for_its_time(bed: Bed) -> None:
    cache, load = bed.cache(errors={Missing: "10s"}), Loader(Missing("k", 7))
    caught: list[Exception] = []
    for _ in range(3):
        with pytest.raises(Missing) as info:
            cache.get_or_load("k", load)
        assert info.type is Missing
        assert info.value.args == ("k", 7)
        caught.append(info.value)
    assert load.calls == 1
    assert len({id(error) for error in caught}) == 3  # each caller gets one of its own
    with pytest.raises(Missing):
        cache.get("k")
    bed.advance(11)
    assert cache.get("k") is MISSING
    assert cache.get_or_load("k", Loader(1)) == 1


def test_an_error_of_a_subclass_is_remembered_as_what_it_is(bed: Bed) -> None:
    cache, load = bed.cache(errors={LookupError: 10}), Loader(Gone("k"))
    for _ in range(2):
        with pytest.raises(Gone) as caught:
            cache.get_or_load("k", load)
        assert caught.value.args == ("k",)
    assert load.calls == 1


def test_an_error_that_is_not_named_is_not_remembered(bed: Bed) -> None:
    cache = bed.cache(errors={Gone: 10, ValueError: 10})
    for error in (Missing("k"), Failed("k")):
        load = Loader(error)
        for _ in range(2):
            with pytest.raises(type(error)):
                cache.get_or_load("k", load)
        assert load.calls == 2


@with_store
def test_a_remembered_error_comes_back_from_the_store_for_those_who_name_it(bed: Bed) -> None:
    args = ("k", 1, None, ("a", 2), dt.date(2026, 11, 23), b"\0")
    with pytest.raises(Gone):
        bed.cache(errors={Missing: 10}).get_or_load("k", Loader(Gone(*args)))
    for named in (Missing, Gone, LookupError):
        load = Loader(1)
        with pytest.raises(Gone) as caught:
            bed.cache(errors={named: 10}).get_or_load("k", load)
        assert caught.value.args == args
        assert type(caught.value.args[3]) is tuple
        assert load.calls == 0
    # What the bytes name is never looked up: for others they cannot be read.
    assert bed.cache(errors={ValueError: 10}).get("k") is MISSING
    assert bed.cache().get_or_load("k", Loader(1)) == 1


def test_an_error_that_cannot_be_made_anew_is_still_raised(bed: Bed) -> None:
    cache, load = bed.cache(errors={Fussy: 10}), Loader(None)

    def fail() -> None:
        load()
        raise Fussy

    for _ in range(3):
        with pytest.raises(Fussy) as caught:
            cache.get_or_load("k", fail)
        assert caught.value.args == ("fussy", 1)
    assert load.calls == (1 if bed.has_memory else 3)


@with_store
def test_an_error_with_arguments_that_cannot_be_stored_is_refused(bed: Bed) -> None:
    cache = bed.cache(errors={Failed: 10})
    with pytest.raises(Unserializable, match="Failed is remembered by errors=") as caught:
        cache.get_or_load("k", Loader(Failed(object())))
    assert isinstance(caught.value.__cause__, (Failed, Unserializable))
    assert unclaimed(bed, "k")


@with_memory
@blocking
def test_a_remembered_error_keeps_nothing_alive_that_its_function_had(bed: Bed) -> None:
    cache = bed.cache(errors={Failed: 10})
    seen: list[Any] = []

    class Large: ...

    def fail() -> None:
        large = Large()
        seen.append(weakref.ref(large))
        raise Failed("no")

    for _ in range(2):
        with pytest.raises(Failed):
            cache.get_or_load("k", fail)
    gc.collect()
    assert len(seen) == 1
    assert seen[0]() is None


# --- Times to live


@pytest.mark.parametrize("ttl", [10, 10.0, "10s", "10", lambda value: "10s"])
def test_a_value_lives_for_its_time(bed: Bed, ttl: Any) -> None:
    by_cache, by_call = bed.cache(ttl=ttl), bed.cache(ttl="1ms")
    by_cache.set("a", 1)
    by_cache.get_or_load("b", Loader(1))
    by_call.set("c", 1, ttl=ttl)
    by_call.set_many({"d": 1}, ttl=ttl)
    by_call.get_or_load("e", Loader(1), ttl=ttl)
    by_call.get_or_load_many(["f"], ManyLoader({"f": 1}), ttl=ttl)
    bed.advance(9)
    assert by_cache.get_many(["a", "b"]) == {"a": 1, "b": 1}
    assert by_call.get_many(["c", "d", "e", "f"]) == {"c": 1, "d": 1, "e": 1, "f": 1}
    bed.advance(1)
    for cache in (by_cache, by_call):
        assert cache.get_many(["a", "b", "c", "d", "e", "f"]) == {}


def test_a_value_without_a_time_lives_for_ever(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("a", 1)
    bed.cache(ttl=5).set("b", 1, ttl=None)
    bed.advance(1e6)
    assert cache.get("a") == 1
    assert cache.get("b") == (1 if bed.has_store else MISSING)


def test_a_value_that_comes_from_the_store_lives_no_longer_for_it(bed: Bed) -> None:
    bed.cache().set("k", 1, ttl=10)
    bed.advance(8)
    cache = bed.cache(ttl="1h")
    assert cache.get_or_load("k", Loader(1)) == 1
    cache.get_many(["k"])
    bed.advance(3)
    assert cache.get("k") == (MISSING if bed.has_store else 1)


def test_a_value_decides_on_its_time(bed: Bed) -> None:
    cache = bed.cache(ttl=lambda value: value)
    cache.set_many({"a": 5, "b": "20s", "c": None})
    assert cache.get_or_load("d", Loader(20)) == 20
    bed.advance(6)
    assert cache.get_many(["a", "b", "c", "d"]) == {"b": "20s", "c": None, "d": 20}
    bed.advance(15)
    assert cache.get_many(["a", "b", "c", "d"]) == {"c": None}


def test_a_value_with_no_time_is_not_kept(bed: Bed) -> None:
    cache, load = bed.cache(ttl=lambda value: 0, lease="1h"), Loader([1])
    assert [cache.get_or_load("k", load) for _ in range(2)] == [[1], [1]]
    assert load.calls == 2
    many = ManyLoader({"m": 1})
    assert [cache.get_or_load_many(["m"], many) for _ in range(2)] == [{"m": 1}] * 2
    assert len(many.asked) == 2
    cache.set("k", 1)
    assert cache.get_many(["k", "m"]) == {}
    assert unclaimed(bed, "k")
    assert unclaimed(bed, "m")


def test_setting_a_value_with_no_time_drops_the_one_before(bed: Bed) -> None:
    cache = bed.cache()
    cache.set_many({"a": 1, "b": 1})
    cache.set("a", 2, ttl=lambda value: 0)
    cache.set_many({"b": 0, "c": 9}, ttl=lambda value: value)
    assert cache.get_many(["a", "b", "c"]) == {"c": 9}
    assert bed.cache().get("a") is MISSING


@some
@pytest.mark.parametrize(
    "ttl", [0, -3, "soon", "", True, float("nan"), float("inf"), [1]], ids=repr
)
def test_a_time_that_makes_no_sense_is_refused(bed: Bed, ttl: Any) -> None:
    cache = bed.cache()
    for use in (
        lambda: bed.cache(ttl=ttl),
        lambda: cache.set("k", 1, ttl=ttl),
        lambda: cache.get_or_load("k", Loader(1), ttl=ttl),
    ):
        with pytest.raises((TypeError, ValueError), match=r"ttl|duration"):
            use()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("jitter", 1, "jitter is 1; expected a share from 0 up to below 1"),
        ("jitter", -0.1, "jitter is -0.1"),
        ("errors", {ValueError: 0}, r"errors\[ValueError\] is 0; expected a time above 0"),
        ("negative_ttl", -1, "-1"),
        ("lease", 0, "lease is 0; expected a time above 0"),
        ("staleness", 0, "staleness is 0"),
        ("staleness", None, "staleness and pause are bounds"),
        ("pause", None, "staleness and pause are bounds"),
        ("sliding", True, "sliding=True needs a ttl"),
        ("namespace", "", "namespace is ''; expected letters"),
        ("namespace", "a b", "namespace is 'a b'"),
        ("namespace", "a@2", "namespace is 'a@2'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option: str, value: Any, message: str) -> None:
    for kind in (Cache, AsyncCache):
        options: dict[str, Any] = {option: value}
        with pytest.raises(ValueError, match=message):
            kind(**options)


def test_sliding_needs_one_time_for_all_values() -> None:
    with pytest.raises(ValueError, match="sliding=True needs a ttl that is a time"):
        Cache(sliding=True, ttl=lambda value: 3)


def test_none_lives_for_a_time_of_its_own(bed: Bed) -> None:
    cache, load = bed.cache(ttl=100, negative_ttl="5s"), Loader(None)
    cache.get_or_load("k", load)
    cache.set("other", 1)
    bed.advance(4)
    assert cache.get("k") is None
    bed.advance(2)
    assert cache.get("k") is MISSING
    assert cache.get("other") == 1
    cache.get_or_load("k", load)
    assert load.calls == 2


def test_none_is_not_kept_where_its_time_is_0(bed: Bed) -> None:
    cache, load = bed.cache(negative_ttl=0), Loader(None)
    assert [cache.get_or_load("k", load) for _ in range(2)] == [None, None]
    assert load.calls == 2
    cache.set("k", 1)
    cache.set("k", None)
    assert cache.get("k") is MISSING
    empty = {"a": 0, "b": "", "c": [], "d": False}  # of these, none is None
    cache.set_many(empty)
    assert cache.get_many(list(empty)) == empty


def test_none_lives_as_long_as_others_where_nothing_else_is_said(bed: Bed) -> None:
    cache = bed.cache(ttl=10)
    cache.set("k", None)
    bed.advance(9)
    assert cache.get("k") is None
    bed.advance(2)
    assert cache.get("k") is MISSING


def test_jitter_shortens_times_within_its_share_and_not_all_alike(bed: Bed) -> None:
    cache, keys = bed.cache(ttl=1_000, jitter=0.5), [f"k{i}" for i in range(60)]
    cache.set_many(dict.fromkeys(keys, 1))
    for key in keys[:5]:
        cache.delete(key)
        cache.get_or_load(key, Loader(1))
    bed.advance(495)
    assert len(cache.get_many(keys)) == 60
    bed.advance(255)
    assert 0 < len(cache.get_many(keys)) < 60
    bed.advance(251)
    assert cache.get_many(keys) == {}


@pytest.mark.parametrize("read", ["get", "get_or_load"])
def test_a_sliding_value_lives_as_long_as_it_is_read(bed: Bed, read: str) -> None:
    cache = bed.cache(ttl=10, sliding=True)
    cache.set("k", 1)
    load = Loader(2)
    for _ in range(5):
        bed.advance(8.5)
        assert (cache.get("k") if read == "get" else cache.get_or_load("k", load)) == 1
    assert load.calls == 0
    assert bed.cache(ttl=10).get("k", 1) == 1
    bed.advance(10)
    assert cache.get("k") is MISSING


def test_a_sliding_value_leaves_at_most_a_tenth_of_its_time_early(bed: Bed) -> None:
    cache = bed.cache(ttl=10, sliding=True)
    cache.set("k", 1)
    bed.advance(0.9)
    assert cache.get("k") == 1
    bed.advance(8.9)
    assert cache.get("k") == 1


@pytest.mark.parametrize("bed", ["memory+dict"], indirect=True)
@pytest.mark.parametrize("sliding", [False, True])
def test_memory_is_behind_a_store_that_does_not_tell_for_the_bound_at_most(
    bed: Bed, sliding: bool
) -> None:
    cache, other = bed.cache(ttl="1h", sliding=sliding, staleness=3), bed.cache()
    for new in (cache.set, lambda key, value: cache.get_or_load(key, Loader(value))):
        new("k", 1)
        other.set("k", 2)
        for _ in range(4):
            assert cache.get("k") == 1
            bed.advance(0.8)
        assert cache.get("k") == 2
        cache.delete("k")


# --- Tags, prefixes, everything


def test_a_dropped_tag_hides_its_values(bed: Bed) -> None:
    cache, other = bed.cache(), bed.cache()

    def fill() -> None:
        cache.set("a", 1, tags=["t", "u"])
        cache.set_many({"b": 1}, tags=["t"])
        cache.get_or_load("c", Loader(1), tags=["t"])
        cache.get_or_load_many(["d"], ManyLoader({"d": 1}), tags=["u", "t"])
        cache.set("e", 1, tags=["T", "u"])
        cache.set("f", 1)

    keys = ["a", "b", "c", "d", "e", "f"]
    fill()
    cache.invalidate(tag="t")
    assert cache.get_many(keys) == {"e": 1, "f": 1}
    assert other.get("a") is MISSING
    fill()
    assert len(cache.get_many(keys)) == 6  # values that came later are there
    cache.invalidate(tag="u")
    assert [key for key in keys if cache.get(key) is MISSING] == ["a", "d", "e"]
    cache.invalidate(tag="never used")
    assert cache.get("f") == 1


@with_store
def test_a_dropped_tag_reaches_values_that_were_found_by_their_keys(bed: Bed) -> None:
    bed.cache().set_many({"a": 1, "b": 1, "c": 1}, tags=["t", "u"])
    cache = bed.cache()
    assert cache.get("a") == 1
    assert cache.get_many(["b"]) == {"b": 1}
    assert cache.get_or_load("c", Loader(2)) == 1
    cache.invalidate(tag="u")
    assert cache.get_many(["a", "b", "c"]) == {}


def test_a_value_that_is_set_anew_has_its_new_tags_only(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("k", 1, tags=["t"])
    cache.set("k", 2, tags=["u"])
    cache.invalidate(tag="t")
    assert cache.get("k") == 2
    cache.invalidate(tag="u")
    assert cache.get("k") is MISSING


@some
@pytest.mark.parametrize("tags", ["author", [1], [""], [None], ["a", b"b"]], ids=repr)
def test_tags_are_texts_that_are_not_empty(bed: Bed, tags: Any) -> None:
    cache = bed.cache()
    for use in (
        lambda: cache.set("k", 1, tags=tags),
        lambda: cache.set_many({"k": 1}, tags=tags),
        lambda: cache.get_or_load("k", Loader(1), tags=tags),
        lambda: cache.get_or_load_many(["k"], ManyLoader({"k": 1}), tags=tags),
    ):
        with pytest.raises(TypeError, match=r"tags? is"):
            use()
    assert cache.get("k") is MISSING


@some
@pytest.mark.parametrize(
    ("tags", "says"),
    [(["a\0b"], "NUL"), ([str(n) for n in range(201)], "201 tags")],
    ids=["NUL", "many"],
)
def test_tags_that_no_store_could_keep_are_refused(bed: Bed, tags: Any, says: str) -> None:
    cache = bed.cache()
    with pytest.raises(ValueError, match=says):
        cache.set("k", 1, tags=tags)
    assert cache.get("k") is MISSING


def test_invalidate_drops_one_key(bed: Bed) -> None:
    cache = bed.cache()
    cache.set_many({"k": 1, "k2": 2})
    assert cache.invalidate(key="k") is None
    assert cache.get_many(["k", "k2"]) == {"k2": 2}
    assert bed.cache().get("k") is MISSING


@pytest.mark.parametrize("bed", ["memory", "dict", "memory+fake", "memory+server"], indirect=True)
@pytest.mark.parametrize("prefix", ["a:", "a*", "a?", "a[bc]", "a\\", "ü", "a^-"])
def test_invalidate_drops_the_keys_that_begin_so(bed: Bed, prefix: str) -> None:
    cache = bed.cache()
    inside = [prefix, f"{prefix}1", f"{prefix}*"]
    outside = ["a", "ab", "ac1", "b", f"x{prefix}", prefix.upper()]
    outside = [key for key in outside if not key.startswith(prefix)]
    cache.set_many(dict.fromkeys(inside + outside, 1))
    cache.invalidate(prefix=prefix)
    assert set(cache.get_many(inside + outside)) == set(outside)
    assert set(bed.cache().get_many(inside)) == set()


@some
@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            {},
            TypeError,
            "invalidate.. got nothing; expected one of key=, tag=, prefix= and entity=",
        ),
        ({"key": "a", "tag": "b"}, TypeError, "got key, tag"),
        ({"key": "a", "tag": "b", "prefix": "c"}, TypeError, "got key, tag, prefix"),
        ({"key": ""}, ValueError, "key is empty; clear.. drops everything"),
        ({"tag": ""}, ValueError, "tag is empty"),
        ({"prefix": ""}, ValueError, "prefix is empty"),
        ({"key": 3}, TypeError, "key is 3; expected a text"),
        ({"tag": ["a"]}, TypeError, r"tag is \['a'\]; expected a text"),
        ({"prefix": b"a"}, TypeError, "prefix is b'a'; expected a text"),
        ({"tag": "a", "entity": ("a", 1)}, TypeError, "got tag, entity"),
        ({"entity": "a:1"}, TypeError, "entity is 'a:1'; expected a kind and an id"),
        ({"entity": ("a:b", 1)}, ValueError, "kind of an entity is 'a:b'; expected a text"),
    ],
)
def test_invalidate_wants_one_text(
    bed: Bed, how: dict[str, Any], error: type[Exception], message: str
) -> None:
    cache = bed.cache()
    cache.set("a", 1, tags=["b"])
    with pytest.raises(error, match=message):
        cache.invalidate(**how)
    assert cache.get("a") == 1


def test_clear_drops_everything_in_the_namespace(bed: Bed) -> None:
    cache, apart = bed.cache(), bed.cache(namespace=f"{bed.namespace}-other")
    cache.set_many({"a": 1, "b": 2}, tags=["t"])
    cache.set("c", 3)
    apart.set("a", 9)
    cache.clear()
    assert cache.get_many(["a", "b", "c"]) == {}
    assert bed.cache().get("a") is MISSING
    assert apart.get("a") == 9
    cache.set("a", 4)
    assert cache.get("a") == 4


def test_namespaces_and_versions_are_apart(bed: Bed) -> None:
    caches = [
        bed.cache(namespace=namespace, version=version)
        for namespace in ("app", "app2", "app:w")
        for version in (1, 2, "b")
    ]
    for number, cache in enumerate(caches):
        cache.set("k", number, tags=["t"])
    assert [cache.get("k") for cache in caches] == list(range(9))
    caches[0].invalidate(tag="t")
    caches[1].clear()
    caches[2].delete("k")
    caches[3].invalidate(prefix="k")
    assert [cache.get("k") for cache in caches] == [MISSING] * 4 + list(range(4, 9))
    same = bed.cache(namespace="app2", version="2")  # a number and its text are one version
    assert same.get("k") == (4 if bed.has_store else MISSING)


# --- What a store holds


def unclaimed(bed: Bed, key: str) -> bool:
    """Whether nobody holds the right to load a key."""
    if not bed.has_store:
        return True
    store = bed.store()
    claim = store.claim(key, lease=5)
    if isinstance(claim, Claim):
        store.release(claim)
    return isinstance(claim, Claim)


GARBAGE = {
    "empty": lambda good: b"",
    "noise": lambda good: b"\xff" * 40,
    "cut in its head": lambda good: good[:5],
    "cut in its body": lambda good: good[:-1],
    "too long": lambda good: good + b"!",
    "another version": lambda good: bytes([good[0] + 1]) + good[1:],
    "unknown flags": lambda good: good[:1] + b"\x80" + good[2:],
    "not compressed": lambda good: good[:1] + bytes([good[1] | 1]) + good[2:],
    "no error": lambda good: good[:1] + bytes([good[1] | 4]) + good[2:],
}


@with_store
@pytest.mark.parametrize("value", [["word"] * 2, ["word"] * 20_000], ids=["plain", "compressed"])
def test_bytes_that_cannot_be_read_are_a_miss_and_are_replaced(bed: Bed, value: list[str]) -> None:
    bed.cache().set("k", value)
    store = bed.store()
    good = store.get("k").payload
    cache, reader = bed.cache(errors={Failed: 5}, lease="1h"), bed.cache()
    for name, harm in GARBAGE.items():
        if (bad := harm(good)) == good:  # it is compressed as it is
            continue
        store.set_many([(name, bad), (f"{name} 2", bad)], [None, None])
        assert cache.get(name) is MISSING, name
        assert cache.get_many([name]) == {}
        assert cache.get_or_load(name, Loader("new")) == "new"
        many = ManyLoader({f"{name} 2": "newer"})
        assert cache.get_or_load_many([f"{name} 2"], many) == many.values
        assert reader.get_many([name, f"{name} 2"]) == {name: "new", f"{name} 2": "newer"}


@with_redis
@pytest.mark.parametrize(
    "raw", [b"", b"x", b"\xc1\x01", b"\xc1\x01\x01", b"\xc1\x01\x09" + b"y" * 30, b"\xc1\x02\x01z"]
)
def test_bytes_in_redis_that_nobody_of_us_wrote_are_a_miss(bed: Bed, raw: bytes) -> None:
    cache = bed.cache(lease="1h")
    (name,) = (bed.cache().set("k", 1), bed.client.keys(f"{bed.namespace}:v:*"))[1]
    bed.client.set(name, raw)
    assert cache.get("k") is MISSING
    assert cache.get_or_load("k", Loader("new")) == "new"
    assert bed.cache().get("k") == "new"


@with_store
def test_values_of_another_serializer_are_a_miss(bed: Bed) -> None:
    signed = SignedPickle(b"k" * 32)
    bed.cache(serializer=signed).set("k", Point(1, 2))
    assert bed.cache(serializer=signed).get("k") == Point(1, 2)
    for other in (MessagePack(), Json(), SignedPickle(b"o" * 32)):
        assert bed.cache(serializer=other).get("k") is MISSING
    assert bed.cache().get_or_load("k", Loader(3)) == 3


@with_store
def test_a_large_value_is_compressed_in_the_store(bed: Bed) -> None:
    text = "word " * 20_000
    size = len(MessagePack().dumps(text))
    sizes = {}
    for over in (None, size, size - 1, 16_384):
        cache = bed.cache(compress_over=over)
        cache.set("k", text)
        sizes[over] = len(bed.store().get("k").payload)
        assert bed.cache().get("k") == text  # whoever reads need not know
    assert sizes[None] == sizes[size] > size
    assert sizes[size - 1] == sizes[16_384] < size / 20


@with_store
def test_a_value_that_would_not_shrink_is_stored_as_it_is(bed: Bed) -> None:
    noise = bytes(range(256)) + b"".join(bytes([i * j % 251]) for i in range(9) for j in range(9))
    bed.cache(compress_over=None).set("a", noise)
    bed.cache(compress_over=1).set("b", noise)
    bed.cache(compress_over=1).set("c", b"\x07")
    payloads = [bed.store().get(key).payload for key in "abc"]
    assert len(payloads[0]) >= len(payloads[1])
    assert bed.cache().get_many(["a", "b", "c"]) == {"a": noise, "b": noise, "c": b"\x07"}


@with_store
@pytest.mark.parametrize("value", [object(), Point(1, 2), [Point(1, 2)], {"a": {1: object()}}])
def test_a_value_that_cannot_be_stored_faithfully_is_refused(bed: Bed, value: Any) -> None:
    cache = bed.cache(lease="1h")
    cache.set("old", 1)
    for use in (
        lambda: cache.set("k", value),
        lambda: cache.set_many({"a": 1, "k": value}),
        lambda: cache.get_or_load("k", lambda: value),
        lambda: cache.get_or_load_many(["a", "k"], lambda keys: {"a": 1, "k": value}),
        lambda: cache.set("old", value),
    ):
        with pytest.raises(Unserializable, match="cannot store a value of type"):
            use()
    assert cache.get_many(["a", "k", "old"]) == {"old": 1}
    assert bed.cache().get_many(["a", "k", "old"]) == {"old": 1}
    assert unclaimed(bed, "k")
    assert unclaimed(bed, "a")
    assert cache.get_or_load("k", Loader(1)) == 1


@pytest.mark.parametrize("bed", ["memory"], indirect=True)
def test_memory_alone_keeps_what_no_serializer_could(bed: Bed) -> None:
    class Own:
        def __init__(self) -> None:
            self.parts = [1]

    cache, own = bed.cache(), Own()
    cache.set("k", own)
    found = cache.get("k")
    assert type(found) is Own
    assert found is not own
    found.parts.append(2)
    assert cache.get("k").parts == [1]


@pytest.mark.parametrize("bed", ["memory"], indirect=True)
def test_a_value_that_can_neither_be_shared_nor_copied_is_refused(bed: Bed) -> None:
    cache = bed.cache()
    for use in (
        lambda: cache.set("k", [threading.Lock()]),
        lambda: cache.get_or_load("k", lambda: [threading.Lock()]),
        lambda: cache.get_or_load_many(["k"], lambda keys: {"k": [threading.Lock()]}),
    ):
        with pytest.raises(TypeError, match="cannot be copied for each caller"):
            use()
    assert cache.get_or_load("k", Loader(1)) == 1


# --- Keeping callers apart


def changed(value: Any) -> Any:
    """The value, with everything in it changed."""
    value["list"].append(9)
    value["more"]["x"] = [9]
    value.clear()
    return value


def fresh() -> dict[str, Any]:
    return {"list": [1, [2]], "more": {"x": [3]}}


def test_a_caller_that_changes_its_value_changes_nobody_elses(bed: Bed) -> None:
    cache = bed.cache()
    changed(cache.get_or_load("a", fresh))
    changed(cache.get_or_load_many(["b"], lambda keys: {"b": fresh()})["b"])
    given = {"c": fresh(), "d": fresh()}
    cache.set("c", given["c"])
    cache.set_many({"d": given["d"]})
    changed(given["c"])
    changed(given["d"])
    for _ in range(2):
        for key in "abcd":
            for read in (
                lambda key: cache.get(key),
                lambda key: cache.get_many([key])[key],
                lambda key: cache.get_or_load(key, Loader(0)),
                lambda key: cache.get_or_load_many([key], ManyLoader({}))[key],
            ):
                value = read(key)
                assert value == fresh()
                changed(value)


@with_store
def test_a_value_that_comes_from_the_store_is_its_callers_own(bed: Bed) -> None:
    bed.cache().set("k", fresh())
    cache = bed.cache()
    changed(cache.get("k"))
    changed(cache.get_many(["k"])["k"])
    assert cache.get("k") == fresh()


@blocking
@pytest.mark.parametrize("many", [False, True])
def test_those_who_waited_for_a_load_have_values_of_their_own(
    bed: Bed, waiting: threading.Semaphore, many: bool
) -> None:
    cache, callers, loads = bed.cache(), 6, itertools.count()

    def load(keys: Any = None) -> Any:
        next(loads)
        for _ in range(callers - 1):
            assert waiting.acquire(timeout=PATIENCE)
        return {"k": fresh()} if many else fresh()

    def call() -> None:
        single = {} if many else {"k": cache.get_or_load("k", load)}
        value = (single or cache.get_or_load_many(["k"], load))["k"]
        assert value == fresh()
        changed(value)

    in_threads([call] * callers)
    assert next(loads) == 1
    assert cache.get("k") == fresh()


@blocking
@pytest.mark.parametrize("many", [False, True])
def test_a_load_that_ends_just_before_another_would_begin_is_not_repeated(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    cache, load, plain = bed.cache(), ManyLoader({"k": [1]}), Flights.join
    between = [lambda: cache.get_or_load_many(["k"], load)]

    def join(flights: Flights, key: str, *, anew: bool = False) -> Any:
        if between:
            between.pop()()
        return plain(flights, key, anew=anew)

    monkeypatch.setattr(Flights, "join", join)
    if many:
        assert cache.get_or_load_many(["k"], load) == {"k": [1]}
    else:
        assert cache.get_or_load("k", lambda: load(["k"])["k"]) == [1]
    assert load.asked == [["k"]]


@blocking
@with_store
def test_those_who_waited_for_a_value_that_cannot_be_stored_do_not_wait_for_ever(
    bed: Bed, waiting: threading.Semaphore
) -> None:
    cache, first = bed.cache(lease="1h"), threading.Event()

    def load(keys: list[str]) -> Any:
        if not first.is_set():
            first.set()
            assert waiting.acquire(timeout=PATIENCE)
        return {"k": object()}

    def call() -> None:
        with pytest.raises(Unserializable):
            cache.get_or_load_many(["k"], load)

    in_threads([call] * 2)
    assert unclaimed(bed, "k")


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    """What calls return that are made at the same time; the first error is raised again."""
    answers: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        try:
            start.wait(PATIENCE)
            answers[number] = calls[number]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[n], daemon=True) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "it is locked up"
    return answers


@with_memory
def test_without_copies_all_callers_have_the_same_object(bed: Bed) -> None:
    cache, value = bed.cache(copy=False), [1]
    assert cache.get_or_load("k", lambda: value) is value
    assert cache.get("k") is value
    other = [2]
    cache.set("k", other)
    assert cache.get("k") is other


@with_memory
@pytest.mark.parametrize(
    "value",
    [(1, "a"), frozenset({1}), "text" * 50, dt.date(2026, 1, 1), 10**30, b"b" * 9],
    ids=repr,
)
def test_what_cannot_change_is_shared(bed: Bed, value: Any) -> None:
    cache = bed.cache()
    assert cache.get_or_load("k", lambda: value) is value
    assert cache.get("k") is value
    assert cache.get_many(["k"])["k"] is value


# --- Tiers


@pytest.mark.parametrize(
    ("tiers", "error", "message"),
    [
        (list, ValueError, "tiers is empty; expected at least one"),
        (lambda: [MemoryTier(), MemoryTier()], ValueError, "a MemoryTier comes first, and only"),
        (lambda: ["redis"], TypeError, "'redis' is no tier; expected a MemoryTier"),
        (lambda: [MemoryTier(), object()], TypeError, "is no tier"),
        (lambda: [labkit.connect("fake://order")], TypeError, "is no tier"),
        (
            lambda: [RedisTier(labkit.connect("fake://order")), MemoryTier()],
            ValueError,
            "a MemoryTier comes first",
        ),
    ],
)
def test_tiers_that_do_not_go_together_are_refused(
    tiers: Callable[[], list[Any]], error: type[Exception], message: str
) -> None:
    for kind in (Cache, AsyncCache):
        with pytest.raises(error, match=message):
            kind(tiers())


def test_a_memory_tier_belongs_to_one_cache() -> None:
    memory = MemoryTier()
    Cache([memory])
    for kind in (Cache, AsyncCache):
        with pytest.raises(ValueError, match="this MemoryTier belongs to another cache"):
            kind([memory])


def test_a_memory_tier_of_a_cache_that_was_refused_is_free() -> None:
    memory = MemoryTier()
    with pytest.raises(TypeError):
        Cache([memory, object()])  # type: ignore[list-item]
    Cache([memory])


def test_an_async_tier_needs_an_async_cache(benches: Benches) -> None:
    tier = RedisTier(benches.run(labkit.connect_async("fake://async-tier")))
    with pytest.raises(TypeError, match="is asynchronous; use an AsyncCache"):
        Cache([tier])
    AsyncCache([tier])


def test_the_tiers_have_names(bed: Bed) -> None:
    cache = bed.cache()
    names = [tier.name for tier in cache.stats().tiers]
    assert (names[0] == "memory") is bed.has_memory
    assert len(names) == bed.has_memory + bed.has_store
    assert repr(Cache([MemoryTier()], namespace="news")) == "<Cache 'news': memory>"
    tier = RedisTier(labkit.connect("fake://names"))
    assert (
        repr(AsyncCache([MemoryTier(), tier, tier]))
        == "<AsyncCache 'cache': memory, redis, redis+>"
    )


def test_a_cache_without_tiers_has_a_memory() -> None:
    with Cache() as cache:
        cache.set("k", 1)
        assert cache.get("k") == 1
        assert [tier.name for tier in cache.stats().tiers] == ["memory"]


def test_a_closed_cache_has_given_its_memory_back(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("k", 1)
    cache.close()
    cache.close()
    if bed.has_memory:
        assert cache.stats().tiers[0].entries == 0


class ThreeTiers(Bed):
    """Caches over memory, a store between, which is each cache's own, and a last one."""

    def __init__(self, last: str, benches: Benches, folder: Path, **how: Any) -> None:
        super().__init__(last, benches, awaited=how["awaited"])
        self.between = how["between"]
        self._files = (folder / f"{number}.db" for number in itertools.count())

    def middle(self) -> Any:
        """A new tier for the place between."""
        if self.between == "dict":
            return DictTier(self.clock)
        return labkit.cache.FileTier(next(self._files), clock=self.clock)

    def tiers(self, **memory: Any) -> list[Any]:
        middle = self.middle()
        return [MemoryTier(clock=self.clock, **memory), middle, *super().tiers()]


@pytest.fixture(params=["dict", "fake", "server"])
def three(
    request: pytest.FixtureRequest, benches: Benches, awaited: bool, tmp_path: Path, between: str
) -> Iterator[ThreeTiers]:
    last = request.param if request.param != "fake" else "memory+fake"
    bed = ThreeTiers(last, benches, tmp_path, awaited=awaited, between=between)
    bed.has_memory = False  # it comes with the tier between
    yield bed
    benches.close_caches()


between = pytest.mark.parametrize("between", ["dict", "file"])


def hits(cache: Any) -> list[int]:
    """How many values came from each tier."""
    return list(cache.stats().total.hits.values())


@between
def test_a_value_is_promoted_into_the_tiers_before(three: ThreeTiers) -> None:
    three.cache().set_many({"k": [1], "m": [2]}, ttl=100)
    cache = three.cache()
    assert cache.get_or_load("k", Loader(0)) == [1]
    assert hits(cache) == [0, 0, 1]
    assert cache.get_or_load("k", Loader(0)) == [1]
    assert hits(cache) == [1, 0, 1]


@between
def test_a_value_that_left_the_memory_is_found_between(three: ThreeTiers) -> None:
    cache = three.cache(tiers=three.tiers(maxsize=1), ttl=100)
    for key in ("a", "b"):
        assert cache.get_or_load(key, Loader(key)) == key
    assert cache.get_or_load("a", Loader(0)) == "a"
    assert hits(cache) == [0, 1, 0]
    three.advance(101)
    assert cache.get("a") is MISSING


@between
def test_an_invalidation_reaches_all_three_tiers(three: ThreeTiers) -> None:
    cache, load = three.cache(tiers=three.tiers(maxsize=1)), Loader(1)
    for drop in (
        lambda: cache.invalidate(key="k"),
        lambda: cache.invalidate(tag="t"),
        lambda: cache.invalidate(prefix="k"),
        lambda: cache.delete("k"),
        lambda: cache.clear(),
    ):
        for crowd in (False, True):  # in memory too, and between only
            load.calls = 0
            cache.get_or_load("k", load, tags=["t"])
            if crowd:
                cache.set("crowd", 1)
            drop()
            assert cache.get("k") is MISSING
            assert three.cache().get("k") is MISSING
            assert load.calls == 1


@between
def test_a_value_that_is_set_is_the_one_of_all_three_tiers(three: ThreeTiers) -> None:
    cache = three.cache(tiers=three.tiers(maxsize=1))
    cache.get_or_load("k", Loader(1))
    cache.set("k", 2)
    assert cache.get("k") == 2
    cache.set("crowd", 1)
    assert cache.get("k") == 2
    assert hits(cache)[1] == 1
    assert three.cache().get("k") == 2


@between
@pytest.mark.parametrize("three", ["dict"], indirect=True)
def test_no_tier_is_behind_a_store_that_does_not_tell_for_longer_than_the_bound(
    three: ThreeTiers,
) -> None:
    cache, other = three.cache(staleness=3), three.cache()
    for keep in (
        lambda: cache.set("k", 1),
        lambda: cache.set_many({"k": 1}),
        lambda: cache.get_or_load("k", Loader(1)),
    ):
        keep()
        other.set("k", 2)
        three.advance(3.1)
        assert cache.get("k") == 2
        cache.delete("k")


# --- Trips


@with_redis
def test_each_call_asks_the_store_as_seldom_as_it_can(bed: Bed) -> None:
    cache, warm = bed.cache(), bed.cache()
    warm.get_or_load("warm", Loader(1), tags=["t"])
    cache.get_or_load("warm", Loader(1))
    keys = [f"k{i}" for i in range(50)]
    others = [f"o{i}" for i in range(50)]
    many = ManyLoader(dict.fromkeys(others, 1))

    def trips(call: Callable[[], Any]) -> int:
        with labkit.CommandLog(bed.tier.client) as log:
            call()
        return log.round_trips

    assert trips(lambda: cache.get("x")) == 1
    assert trips(lambda: cache.get_many(keys)) == 1
    assert trips(lambda: cache.set("k", [1], tags=["t", "u"])) == 1
    assert trips(lambda: cache.set_many(dict.fromkeys(keys, 1), tags=["t"])) == 1
    assert trips(lambda: cache.delete("k")) == 1
    assert trips(lambda: cache.invalidate(tag="t")) == 1
    assert trips(cache.clear) == 1
    assert trips(lambda: cache.get_or_load("new", Loader(1), tags=["t"])) == 3  # get, claim, fill
    assert trips(lambda: cache.get_or_load_many(others, many)) == 3
    assert trips(lambda: warm.get_or_load("new", Loader(1), tags=["t"])) == 1
    assert trips(lambda: warm.get_many(others)) == 1
    assert trips(lambda: cache.get_or_load_many(others, many)) == (0 if bed.has_memory else 1)
    assert trips(lambda: cache.get("new")) == (0 if bed.has_memory else 2)  # its tags are unknown


# --- A cache does what a dictionary does

KEYS = ("a", "a:1", "a:2", "b")
TAGS = ("t", "u")
keys = st.sampled_from(KEYS)
some_keys = st.lists(keys, max_size=5)
values = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
# Time moves in steps of 3, so that no deadline is as near as the moments that a test itself takes.
ttls = st.sampled_from([None, 10, 100])
tags = st.lists(st.sampled_from(TAGS), unique=True)
steps = st.one_of(
    st.tuples(st.just("set"), keys, values, ttls, tags),
    st.tuples(st.just("set_many"), st.dictionaries(keys, values), ttls, tags),
    st.tuples(st.just("get"), keys),
    st.tuples(st.just("get_many"), some_keys),
    st.tuples(st.just("get_or_load"), keys, values, ttls, tags),
    st.tuples(st.just("get_or_load_many"), some_keys, st.dictionaries(keys, values), ttls, tags),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("invalidate"), st.sampled_from(["key", "prefix"]), keys),
    st.tuples(st.just("invalidate"), st.just("tag"), st.sampled_from(TAGS)),
    st.tuples(st.just("clear")),
    st.tuples(st.just("advance"), st.sampled_from([3, 30])),
)


class Model:
    """What a cache is expected to answer: a dictionary that forgets."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[Any, float, list[str]]] = {}
        self.hidden: set[str] = set()  # by a dropped tag, or by clear

    def set(self, key: str, value: Any, ttl: float | None, tags: list[str]) -> None:
        self._kept[key] = (value, self._clock() + (1e9 if ttl is None else ttl), tags)
        self.hidden.discard(key)

    def set_many(self, values: dict[str, Any], ttl: float | None, tags: list[str]) -> None:
        for key, value in values.items():
            self.set(key, value, ttl, tags)

    def get(self, key: str) -> Any:
        value, deadline, _ = self._kept.get(key, (MISSING, 0, []))
        return value if deadline > self._clock() else MISSING

    def get_many(self, keys: list[str]) -> dict[str, Any]:
        found = {key: self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not MISSING}

    def get_or_load(self, key: str, value: Any, ttl: float | None, tags: list[str]) -> Any:
        if self.get(key) is MISSING:
            self.set(key, value, ttl, tags)
        return self.get(key)

    def get_or_load_many(
        self, keys: list[str], values: dict[str, Any], ttl: float | None, tags: list[str]
    ) -> dict[str, Any]:
        for key in keys:
            if key in values:
                self.get_or_load(key, values[key], ttl, tags)
        return self.get_many(keys)

    def delete(self, key: str) -> bool:
        there = self.get(key) is not MISSING
        self._kept.pop(key, None)
        return there

    def invalidate(self, what: str, which: str) -> None:
        for key, (_, _, tags) in list(self._kept.items()):
            hit = {"key": key == which, "prefix": key.startswith(which), "tag": which in tags}
            if hit[what]:
                del self._kept[key]
                self.hidden.add(key)

    def clear(self) -> None:
        self.hidden.update(self._kept)
        self._kept.clear()


class Subject:
    """A cache with the methods of the model."""

    def __init__(self, bed: Bed) -> None:
        self._cache = bed.cache(tiers=bed.tiers())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def set(self, key: str, value: Any, ttl: float | None, tags: list[str]) -> None:
        self._cache.set(key, value, ttl=ttl, tags=tags)

    def set_many(self, values: dict[str, Any], ttl: float | None, tags: list[str]) -> None:
        self._cache.set_many(values, ttl=ttl, tags=tags)

    def get_or_load(self, key: str, value: Any, ttl: float | None, tags: list[str]) -> Any:
        return self._cache.get_or_load(key, lambda: value, ttl=ttl, tags=tags)

    def get_or_load_many(
        self, keys: list[str], values: dict[str, Any], ttl: float | None, tags: list[str]
    ) -> Any:
        return self._cache.get_or_load_many(keys, ManyLoader(values), ttl=ttl, tags=tags)

    def invalidate(self, what: str, which: str) -> None:
        self._cache.invalidate(**{what: which})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("awaited", [False, True])
@settings(max_examples=times(25))
@given(walk=st.lists(steps, min_size=5, max_size=40))
def test_a_cache_answers_as_a_dictionary_that_forgets(
    benches: Benches, layout: str, awaited: bool, walk: list[tuple[Any, ...]]
) -> None:
    bed = Bed(layout, benches, awaited=awaited)
    model, cache = Model(bed.clock), Subject(bed)
    for name, *arguments in walk:
        if name == "advance":
            bed.advance(*arguments)
        else:
            answer = getattr(cache, name)(*copy.deepcopy(arguments))
            expected = getattr(model, name)(*arguments)
            if name == "delete" and bed.client is not None:
                expected |= answer and arguments[0] in model.hidden  # Redis counts it all the same
            assert answer == expected
            if isinstance(expected, dict):
                assert list(answer) == list(expected)
    assert cache.get_many(KEYS) == model.get_many(list(KEYS))
    if bed.has_store:
        assert bed.cache().get_many(KEYS) == model.get_many(list(KEYS))
    benches.close_caches()
