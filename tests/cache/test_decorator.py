"""Cached functions: which calls are the same, what they answer, and what stands in their place."""

# ruff: noqa: A001, A002, A006 - the functions of users do take an `id`

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import inspect
import subprocess
import sys
import threading
import typing
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import labkit
from labkit.cache import (
    MISSING,
    AsyncCache,
    Cache,
    MemoryTier,
    MessagePack,
    Unkeyable,
    Unserializable,
)
from tests.cache.conftest import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cache.conftest import Bed

PATIENCE = 30.0

with_memory = pytest.mark.parametrize(
    "bed", [layout for layout in LAYOUTS if layout.startswith("memory")], indirect=True
)
with_store = pytest.mark.parametrize("bed", LAYOUTS[1:], indirect=True)


@dataclasses.dataclass
class Article:
    id: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Later(typing.NamedTuple):
    number: int


class Missing(LookupError): ...


@pytest.fixture
def cache() -> Iterator[Cache]:
    with Cache() as cache:
        yield cache


class Calls(list[Any]):
    """The arguments that a function was really called with."""

    def note(self, *arguments: Any) -> Any:
        self.append(arguments)
        return arguments


@pytest.fixture
def calls() -> Calls:
    return Calls()


# --- What it does, over every arrangement of tiers


def test_a_call_is_computed_once(bed: Bed, calls: Calls) -> None:
    def f(x: int, y: int = 2) -> list[int]:
        calls.note(x, y)
        return [x, y]

    cache = bed.cache()
    cached = bed.cached(cache, f, name="f")
    for _ in range(3):
        assert cached(1) == [1, 2]
    assert cached(1, 3) == [1, 3]
    assert calls == [(1, 2), (1, 3)]
    assert bed.cached(bed.cache(), f, name="f")(1) == [1, 2]
    assert len(calls) == (2 if bed.has_store else 3)


def test_a_cached_function_can_be_steered(bed: Bed, calls: Calls) -> None:
    def f(x: int, *, y: int = 0) -> int:
        calls.note(x, y)
        return 100 * len(calls) + 10 * x + y

    cache = bed.cache()
    cached = bed.cached(cache, f, name="f")
    assert cached.peek(1) is MISSING
    assert cached(1) == 110
    assert cached.peek(1) == cached.peek(x=1, y=0) == 110
    assert cached.refresh(1) == 210
    assert cached(1) == 210
    assert cached.bypass(1, y=5) == 315
    assert cached.peek(1, y=5) is MISSING
    assert cached.set(7, 1) is None
    assert cached(1) == cache.get(cached.key(1)) == 7
    assert cached.set(8, 1, y=2) is None
    assert cached(x=1, y=2) == 8
    assert cached.invalidate(1) is True
    assert cached.invalidate(1) is False
    assert cached.peek(1) is MISSING
    assert cached(1, y=2) == 8
    assert cached.key(1) == "f(1,y=0)"
    assert len(calls) == 3


def test_errors_none_and_times_are_kept_as_said(bed: Bed, calls: Calls) -> None:
    def f(x: int) -> int | None:
        calls.note(x)
        if x < 0:
            raise Missing("no", x)
        return x or None

    cache = bed.cache(ttl="1h", errors={Missing: 30})
    cached = bed.cached(cache, f, ttl=10, negative_ttl=5, errors={LookupError: 3})
    for _ in range(2):
        assert (cached(1), cached(0)) == (1, None)
        with pytest.raises(Missing) as caught:
            cached(-1)
        assert caught.value.args == ("no", -1)
    assert calls == [(1,), (0,), (-1,)]
    bed.advance(4)
    assert cached.peek(-1) is MISSING
    assert cached.peek(0) is None
    bed.advance(2)
    assert cached.peek(0) is MISSING
    assert cached.peek(1) == 1
    bed.advance(5)
    assert cached.peek(1) is MISSING


def test_tags_of_templates_find_the_calls_they_name(bed: Bed) -> None:
    def f(id: int, author: str) -> int:
        return id

    cache = bed.cache()
    cached = bed.cached(cache, f, name="f", tags=["author:{author}", "all"])
    cached(1, "ada"), cached(2, author="ada"), cached(3, "bob")
    cache.invalidate(tag="author:ada")
    assert [cached.peek(*call) for call in ((1, "ada"), (2, "ada"), (3, "bob"))] == [
        MISSING,
        MISSING,
        3,
    ]
    cached.set(9, 1, "ada")
    cached.refresh(2, "ada")
    cache.invalidate(tag="all")
    assert cached.peek(1, "ada") is cached.peek(2, "ada") is cached.peek(3, "bob") is MISSING


def test_a_function_may_tell_the_tags(bed: Bed) -> None:
    def f(*ids: int) -> int:
        return len(ids)

    cache = bed.cache()
    cached = bed.cached(cache, f, name="f", tags=lambda *ids: [f"id:{id}" for id in ids])
    cached(1, 2), cached(2, 3)
    cache.invalidate(tag="id:1")
    assert (cached.peek(1, 2), cached.peek(2, 3)) == (MISSING, 2)


def test_all_calls_of_a_function_begin_alike(bed: Bed) -> None:
    def f(x: int) -> int:
        return x

    cache = bed.cache()
    one, other = bed.cached(cache, f, name="one"), bed.cached(cache, f, key="other:{x}")
    assert (one.prefix, other.prefix) == ("one(", "other:")
    for x in range(3):
        one(x), other(x)
    cache.invalidate(prefix=one.prefix)
    assert [one.peek(0), one.peek(2), other.peek(0)] == [MISSING, MISSING, 0]


@with_store
def test_values_come_back_as_the_type_that_the_function_is_annotated_with(
    bed: Bed, calls: Calls
) -> None:
    def one(id: int) -> Article:
        calls.note(id)
        return Article(id, ["x"])

    def several() -> list[Article]:
        calls.note()
        return [Article(1), Article(2)]

    def forward() -> dict[str, Later]:
        calls.note()
        return {"a": Later(1)}

    for _ in range(2):
        cache = bed.cache()
        for function, expected in (
            (functools.partial(bed.cached(cache, one), 1), Article(1, ["x"])),
            (bed.cached(cache, several), [Article(1), Article(2)]),
            (bed.cached(cache, forward), {"a": Later(1)}),
        ):
            for _ in range(2):
                value = function()
                assert value == expected
                assert typing.cast("Any", type(value)) is type(expected)
    assert type(value["a"]) is Later
    assert len(calls) == 3


@with_store
def test_what_an_annotation_does_not_name_is_refused(bed: Bed) -> None:
    def wrong() -> list[int]:
        return [Article(1)]  # type: ignore[list-item]

    def unknown() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        return Article(1)

    for function in (wrong, unknown):
        cached = bed.cached(bed.cache(lease="1h"), function)
        for _ in range(2):
            with pytest.raises(Unserializable, match="cannot store a value of type"):
                cached()


@with_store
def test_a_serializer_made_for_a_type_stays_with_it(bed: Bed) -> None:
    def f() -> Any:
        return Article(1)

    for _ in range(2):
        cached = bed.cached(bed.cache(), f, name="f", serializer=MessagePack(Article))
        assert cached() == Article(1)


def test_callers_are_kept_apart(bed: Bed) -> None:
    def f() -> Article:
        return Article(1, ["a"])

    cached = bed.cached(bed.cache(), f)
    for _ in range(4):
        article = cached()
        assert article == Article(1, ["a"])
        article.tags.append("b")
        article.id = 2


@with_memory
def test_without_copies_callers_share(bed: Bed) -> None:
    def f() -> Article:
        return Article(1)

    cached = bed.cached(bed.cache(), f, copy=False)
    first = cached()
    assert cached() is cached() is first


@with_memory
def test_what_left_the_memory_is_not_answered(bed: Bed, calls: Calls) -> None:
    def f(x: int) -> int:
        calls.note(x)
        return len(calls)

    cache = bed.cache(tiers=bed.tiers()[:1])
    cached = bed.cached(cache, f, name="f", tags=["t:{x}"], ttl=10)
    for number, drop in enumerate(
        (
            lambda: bed.advance(10),
            lambda: cache.delete(cached.key(1)),
            lambda: cached.invalidate(1),
            lambda: cache.invalidate(key="f(1)"),
            lambda: cache.invalidate(tag="t:1"),
            lambda: cache.invalidate(prefix="f("),
            lambda: cache.clear(),
        ),
        start=1,
    ):
        for _ in range(3):
            assert cached(1) == number
        drop()
    assert cached(1) == len(calls) == 8
    cache.set("f(1)", "set", ttl=10)
    assert [cached(1), cached(1)] == ["set", "set"]


@pytest.mark.parametrize("policy", ["sieve", "lru", "lfu", "fifo", "ttl"])
def test_what_was_evicted_is_kept_by_nobody(policy: str) -> None:
    class Value:
        __slots__ = ("__weakref__",)

    cache = Cache([MemoryTier(10, policy=policy)], copy=False)
    seen: list[weakref.ref[Value]] = []

    @cache.cached
    def make(number: int) -> Value:
        value = Value()
        seen.append(weakref.ref(value))
        return value

    for number in range(100):
        make(number)
        make(number)
    gc.collect()
    assert sum(ref() is not None for ref in seen) == 10
    assert len(seen) == 100
    cache.clear()
    gc.collect()
    assert not any(ref() for ref in seen)


@pytest.mark.parametrize("bed", ["memory+fake", "memory+server"], indirect=True)
def test_a_hit_in_memory_sends_nothing(bed: Bed) -> None:
    def f(x: int, y: list[int]) -> list[int]:
        return [x]

    cached = bed.cached(bed.cache(), f, tags=["t:{x}"])
    cached(1, [2])
    with labkit.CommandLog(bed.tier.client) as log:
        for _ in range(3):
            assert cached(1, [2]) == [1]
    assert log.names == []


@pytest.mark.parametrize("policy", ["lru", "lfu"])
def test_a_hit_counts_as_a_use(policy: str, calls: Calls) -> None:
    cache = Cache([MemoryTier(2, policy=policy)])

    @cache.cached
    def f(x: int) -> int:
        calls.note(x)
        return x

    f(1), f(2), f(1), f(1), f(3)
    f(1)
    assert calls == [(1,), (2,), (3,)]


def test_a_sliding_function_lives_as_long_as_it_is_called(bed: Bed, calls: Calls) -> None:
    def f() -> int:
        calls.note()
        return 1

    cached = bed.cached(bed.cache(), f, ttl=10, sliding=True)
    for _ in range(5):
        cached()
        bed.advance(8.5)
    assert len(calls) == 1
    bed.advance(2)
    cached()
    assert len(calls) == 2


# --- Which calls are the same


def test_calls_that_are_spelled_differently_are_one(cache: Cache, calls: Calls) -> None:
    @cache.cached
    def f(a: int, /, b: int, c: int = 3, *, d: int, e: int = 5) -> Any:
        return calls.note(a, b, c, d, e)

    expected = (1, 2, 3, 4, 5)
    assert f(1, 2, d=4) == expected
    assert f(1, b=2, d=4) == expected
    assert f(1, 2, 3, d=4) == expected
    assert f(1, c=3, e=5, d=4, b=2) == expected
    assert calls == [expected]
    f(1, 2, 3, d=4, e=6)
    assert len(calls) == 2


def test_any_kind_of_parameter_is_passed_on(cache: Cache, calls: Calls) -> None:
    @cache.cached
    def everything(*args: Any, **kwargs: Any) -> Any:
        return calls.note(args, kwargs)

    @cache.cached
    def mixed(a: int, *rest: int, key: str = "k", **more: int) -> Any:
        return calls.note(a, rest, key, more)

    @cache.cached
    def nothing() -> Any:
        return calls.note()

    for _ in range(2):
        assert everything() == ((), {})
        assert everything(1, "b", c=3) == ((1, "b"), {"c": 3})
        assert everything(c=3, d=4) == everything(d=4, c=3) == ((), {"c": 3, "d": 4})
        assert everything((1, "b"), {"c": 3}) == (((1, "b"), {"c": 3}), {})
        assert mixed(1) == (1, (), "k", {})
        assert mixed(1, 2, key="x", y=3) == (1, (2,), "x", {"y": 3})
        assert nothing() == ()
    assert len(calls) == 7


@pytest.mark.parametrize(
    "different",
    [
        (1, "1", 1.0, True, b"1", None, 1 + 0j),
        (0, 0.0, -0.0, False, ""),
        ((1,), [1], (1.0,), frozenset({1}), {1}, {1: 1}),
        ("a,b", ("a", "b"), ["a", "b"], "('a','b')"),
    ],
    ids=repr,
)
def test_arguments_that_differ_are_different_calls(
    cache: Cache, calls: Calls, different: tuple[Any, ...]
) -> None:
    @cache.cached
    def f(x: Any) -> Any:
        calls.note(x)
        return len(calls)

    first = [f(x) for x in different]
    assert first == list(range(1, len(different) + 1))
    assert [f(x) for x in different] == [f(x=x) for x in different] == first
    assert len({f.key(x) for x in different}) == len(different)


def test_numbers_that_are_equal_may_be_one(cache: Cache, calls: Calls) -> None:
    @cache.cached(typed=False)
    def f(x: Any) -> Any:
        calls.note(x)
        return len(calls)

    assert {f(x) for x in (1, 1.0, True, 1, 1.0)} == {1}
    assert f("1") == 2
    assert f(0.0) == f(-0.0) == f(False) == 3


def test_arguments_without_a_hash_are_keys_too(cache: Cache, calls: Calls) -> None:
    @cache.cached
    def f(x: Any, y: int = 0) -> Any:
        calls.note(x)
        return len(calls)

    assert f([1, {"a": 2}]) == f([1, {"a": 2}]) == 1
    assert f([1, {"a": 3}]) == 2
    assert f({"b": 1, "a": 2}) == f({"a": 2, "b": 1}) == 3
    with pytest.raises(Unkeyable, match=r"argument 'x' of .* is an object; .*leave it out with"):
        f(object())
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        f(1, z=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        f()  # type: ignore[call-arg]


def test_ignored_parameters_make_no_difference(cache: Cache, calls: Calls) -> None:
    @cache.cached(ignore=["session", "more"])
    def f(session: object, x: int, **more: object) -> Any:
        calls.note(x)
        return len(calls)

    assert f(object(), 1) == f(object(), 1, z=object()) == f(session=None, x=1) == 1
    assert f(object(), 2) == 2


def test_a_template_says_what_counts(cache: Cache, calls: Calls) -> None:
    @cache.cached(key="article:{article.id}:{lang}")
    def f(article: Article, lang: str = "en") -> Any:
        calls.note(article)
        return len(calls)

    assert f(Article(1)) == f(Article(1, ["other"]), lang="en") == 1
    assert f(Article(2)) == 2
    assert f(Article(1), "pt") == 3
    assert f.key(Article(1)) == "article:1:en"
    assert cache.get("article:1:pt") == 3


def test_a_function_may_tell_the_key(cache: Cache, calls: Calls) -> None:
    @cache.cached(key=lambda x, y=0: f"sum:{x + y}")
    def f(x: int, y: int = 0) -> Any:
        calls.note(x, y)
        return x + y

    assert [f(1, 2), f(2, 1), f(3), f(4)] == [3, 3, 3, 4]
    assert calls == [(1, 2), (4, 0)]
    assert f.key(5) == "sum:5"


def test_versions_of_a_function_are_apart(bed: Bed, calls: Calls) -> None:
    def f(x: int) -> int:
        calls.note(x)
        return len(calls)

    cache = bed.cache()
    one, two = (bed.cached(cache, f, name="f", version=version) for version in (1, 2))
    assert [one(1), two(1), one(1), two(1)] == [1, 2, 1, 2]


# --- Methods


class Plain:
    pass


class Keyed:
    def __init__(self, name: str) -> None:
        self.name = name

    def __cache_key__(self) -> str:
        return self.name


def test_a_method_that_ignores_self_answers_alike_for_all(cache: Cache, calls: Calls) -> None:
    class Repository:
        @cache.cached(ignore=["self"])
        def find(self, id: int) -> Any:
            """Find one."""
            return calls.note(id)

    first, second = Repository(), Repository()
    assert first.find(1) == second.find(id=1) == Repository.find(first, 1) == (1,)
    assert calls == [(1,)]
    assert first.find.key(1) == Repository.find.key(second, 1)


def test_a_method_of_objects_with_a_key_answers_for_each(cache: Cache, calls: Calls) -> None:
    found = Keyed("a"), Keyed("b"), Keyed("a")

    @cache.cached
    def find(keyed: Keyed, id: int) -> Any:
        return calls.note(keyed.name, id)

    for keyed in found:
        find(keyed, 1)
    assert calls == [("a", 1), ("b", 1)]


class Repository(Keyed):
    calls: Calls
    cache: typing.ClassVar[Cache] = Cache()

    @cache.cached(tags=["repository:{self.name}"])
    def find(self, id: int, *, deep: bool = False) -> Any:
        """Find one."""
        return self.calls.note(self.name, id, deep)

    @cache.cached
    @classmethod
    def above(cls, x: int) -> Any:
        """Above."""
        return cls.calls.note(cls.__name__, x)

    @classmethod
    @cache.cached
    def below(cls, x: int) -> Any:
        """Below."""
        return cls.calls.note(cls.__name__, x)

    @cache.cached
    @staticmethod
    def static_above(x: int) -> Any:
        """Static above."""
        return Repository.calls.note("static", x)

    @staticmethod
    @cache.cached
    def static_below(x: int) -> Any:
        """Static below."""
        return Repository.calls.note("static", x)


class Archive(Repository): ...


@pytest.fixture
def repository(calls: Calls) -> type[Repository]:
    Repository.calls = calls
    Repository.cache.clear()
    return Repository


def test_a_method_is_cached_for_each_self(repository: type[Repository], calls: Calls) -> None:
    a, b = repository("a"), repository("b")
    for _ in range(2):
        assert a.find(1) == repository("a").find(id=1) == ("a", 1, False)
        assert b.find(1, deep=True) == ("b", 1, True)
        assert Archive("a").find(1) == ("a", 1, False)  # of another class, another call
    assert len(calls) == 3


def test_a_bound_method_can_be_steered(repository: type[Repository], calls: Calls) -> None:
    a, b = repository("a"), repository("b")
    before = a.find.stats().misses
    assert a.find.peek(1) is MISSING
    a.find(1), b.find(1)
    assert a.find.peek(1) == a.find.peek(id=1, deep=False) == ("a", 1, False)
    assert a.find.key(1) != b.find.key(1)
    assert a.find.key(1) == repository.find.key(a, 1)
    a.find.set("set", 1)
    assert (a.find(1), b.find(1)) == ("set", ("b", 1, False))
    assert a.find.refresh(1) == ("a", 1, False)
    assert a.find.bypass(2, deep=True) == ("a", 2, True)
    assert a.find.invalidate(1) is True
    assert a.find.peek(1) is MISSING
    assert b.find.peek(1) == ("b", 1, False)
    repository.cache.invalidate(tag="repository:b")
    assert b.find.peek(1) is MISSING
    assert a.find.prefix == repository.find.prefix
    assert a.find.stats() == repository.find.stats()
    assert a.find.stats().misses - before == 2 + 3  # of calls, and of peeks that found nothing


@pytest.mark.parametrize("name", ["above", "below"])
def test_a_class_method_is_cached_for_each_class(
    repository: type[Repository], calls: Calls, name: str
) -> None:
    for _ in range(2):
        assert getattr(repository, name)(1) == ("Repository", 1)
        assert getattr(repository("a"), name)(x=1) == ("Repository", 1)
        assert getattr(Archive, name)(1) == ("Archive", 1)
    assert len(calls) == 2


def test_a_class_method_can_be_steered(repository: Any) -> None:
    archive: Any = Archive
    repository.above(1)
    assert repository.above.peek(1) == repository("a").above.peek(1) == ("Repository", 1)
    assert archive.above.peek(1) is MISSING
    assert repository.above.invalidate(1) is True
    archive.above.set("set", 1)
    assert (archive.above(1), repository.above(1)) == ("set", ("Repository", 1))


@pytest.mark.parametrize("name", ["static_above", "static_below"])
def test_a_static_method_is_cached_once(
    repository: type[Repository], calls: Calls, name: str
) -> None:
    for owner in (repository, repository("a"), Archive):
        assert getattr(owner, name)(1) == getattr(owner, name)(x=1) == ("static", 1)
        assert getattr(owner, name).peek(1) == ("static", 1)
    assert calls == [("static", 1)]
    assert getattr(repository, name).invalidate(1) is True


def test_a_method_of_objects_without_a_key_is_refused_with_a_remedy(cache: Cache) -> None:
    class Service:
        @cache.cached
        def find(self, id: int) -> int:
            return id

    with pytest.raises(Unkeyable, match=r"argument 'self' of .*find is a .*Service;") as caught:
        Service().find(1)
    assert "ignore=('self',) if all its objects answer alike" in str(caught.value)


def test_an_async_method_is_cached_for_each_self(calls: Calls) -> None:
    cache = AsyncCache()

    class Service:
        @cache.cached(key="{self.name}:{id}")
        async def find(self, id: int) -> Any:
            return calls.note(id)

        @cache.cached
        @staticmethod
        async def double(x: int) -> int:
            calls.note(x)
            return 2 * x

        def __init__(self, name: str) -> None:
            self.name = name

    async def test() -> None:
        a, b = Service("a"), Service("b")
        static: Any = Service
        for _ in range(2):
            assert await a.find(1) == await b.find(id=1) == (1,)
            assert await static.double(2) == await static("a").double(2) == 4
        assert len(calls) == 3
        assert await a.find.invalidate(1) is True
        assert await a.find.peek(1) is MISSING
        await a.find.set("set", 1)
        assert await a.find(1) == await a.find.peek(1) == "set"
        assert await a.find.refresh(1) == await a.find.bypass(1) == (1,)
        assert a.find.key(1) == "a:1"

    asyncio.run(test())


# --- Functions that call themselves


@pytest.mark.parametrize("awaited", ["sync"], indirect=True)
def test_a_recursive_function_computes_each_call_once(bed: Bed, calls: Calls) -> None:
    def fib(n: int) -> Any:
        calls.note(n)
        return n if n < 2 else cached(n - 1) + cached(n - 2)

    cached = bed.cached(bed.cache(), fib)
    assert cached(40) == 102_334_155
    assert len(calls) == 41


def test_a_recursive_coroutine_computes_each_call_once(calls: Calls) -> None:
    cache = AsyncCache()

    @cache.cached
    async def fib(n: int) -> int:
        calls.note(n)
        if n < 2:
            return n
        return sum(await asyncio.gather(fib(n - 1), fib(n - 2)))

    assert asyncio.run(asyncio.wait_for(fib(40), PATIENCE)) == 102_334_155
    assert len(calls) == 41


@pytest.mark.parametrize("bed", ["memory", "dict", "memory+fake", "server"], indirect=True)
@pytest.mark.parametrize("awaited", ["sync"], indirect=True)
def test_a_function_that_needs_its_own_call_computes_it(bed: Bed, calls: Calls) -> None:
    cache, depth = bed.cache(lease="1h"), threading.local()

    def direct(x: int) -> Any:
        calls.note("direct", x)
        depth.value = getattr(depth, "value", 0) + 1
        return x if depth.value > 1 else cached(x) + 1

    def there(x: int) -> int:
        calls.note("there", x)
        return x if len(calls) > 4 else cached_back(x) + 1

    def back(x: int) -> Any:
        calls.note("back", x)
        return cached_there(x) + 1

    cached = bed.cached(cache, direct)
    cached_there, cached_back = bed.cached(cache, there), bed.cached(cache, back)

    def test() -> None:
        assert cached(1) == 2
        assert calls == [("direct", 1)] * 2
        assert cached_there(1) == 3 + 2 - 2
        assert calls[2:] == [("there", 1), ("back", 1), ("there", 1)]

    ends(test)


def test_two_threads_that_need_each_others_calls_end(cache: Cache) -> None:
    both = threading.Barrier(2)

    @cache.cached
    def a(mark: int) -> int:
        if mark:
            return 0
        meet()
        return 1 + b.bypass(1) + b(0)

    @cache.cached
    def b(mark: int) -> int:
        if mark:
            return 0
        meet()
        return 1 + a.bypass(1) + a(0)

    met = threading.local()

    def meet() -> None:
        if not getattr(met, "once", False):
            met.once = True
            both.wait(PATIENCE)
            return
        raise RecursionError  # it is computed anew below itself, and would be for ever

    answers: list[Any] = []

    def call(function: Callable[[int], int]) -> None:
        try:
            answers.append(function(0))
        except RecursionError as error:
            answers.append(error)

    ends(lambda: call(a), lambda: call(b))
    assert len(answers) == 2


def test_a_coroutine_that_needs_its_own_call_computes_it(calls: Calls) -> None:
    cache = AsyncCache(lease="1h")

    @cache.cached
    async def there(x: int) -> int:
        calls.note("there")
        return x if len(calls) > 2 else await back(x) + 1

    @cache.cached
    async def back(x: int) -> int:
        calls.note("back")
        return await asyncio.create_task(there_coroutine(x)) + 1

    async def there_coroutine(x: int) -> int:
        return await there(x)

    assert asyncio.run(asyncio.wait_for(there(1), PATIENCE)) == 3
    assert calls == [("there",), ("back",), ("there",)]


def ends(*works: Callable[[], None]) -> None:
    """Do things at the same time in threads, which have to end."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[work], daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "it is locked up"
    if errors:
        raise errors[0]


# --- What stands in a function's place


def documented(a: int, /, b: str = "b", *args: float, c: bool = True, **kwargs: Any) -> list[int]:
    """Say what it does."""
    return [a]


documented.mark = "kept"


def test_a_cached_function_looks_like_the_function(cache: Cache) -> None:
    for cached in (
        cache.cached(documented),
        cache.cached()(documented),
        cache.cached(ttl=1)(documented),
    ):
        assert inspect.signature(cached) == inspect.signature(documented)
        assert cached.__wrapped__ is documented
        for name in (
            "__name__",
            "__qualname__",
            "__module__",
            "__doc__",
            "__annotations__",
            "mark",
        ):
            assert getattr(cached, name) == getattr(documented, name)
        assert cached.__defaults__ == ("b",)
        assert cached.__kwdefaults__ == {"c": True}


def test_a_cached_coroutine_function_is_one() -> None:
    cache = AsyncCache()

    @cache.cached
    async def f(x: int) -> int:
        """Say what it does."""
        return x

    assert inspect.iscoroutinefunction(f)
    assert str(inspect.signature(f)) == "(x: 'int') -> 'int'"
    assert f.__doc__ == "Say what it does."


def test_a_cached_method_looks_like_the_method(repository: type[Repository]) -> None:
    a = repository("a")
    assert str(inspect.signature(repository.find)).startswith("(self, id")
    for bound, parameters, doc in (
        (a.find, ["id", "deep"], "Find one."),
        (repository.above, ["x"], "Above."),
        (a.below, ["x"], "Below."),
        (repository.static_above, ["x"], "Static above."),
        (a.static_below, ["x"], "Static below."),
    ):
        assert list(inspect.signature(bound).parameters) == parameters
        assert inspect.getdoc(bound) == doc
    assert a.find.__self__ is a
    assert a.find.__name__ == "find"
    assert a.find.__wrapped__(a, 1) == ("a", 1, False)
    assert not isinstance(a.find.__wrapped__, type(repository.find))
    assert a.find.peek(1) is MISSING


def test_defaults_are_the_very_objects_of_the_function(cache: Cache) -> None:
    sentinel = object()

    @cache.cached(ignore=["x"], copy=False)
    def f(x: object = sentinel) -> object:
        return x

    assert f() is sentinel


def test_a_function_that_another_decorator_wrapped_keeps_its_defaults(cache: Cache) -> None:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return documented(*args, **kwargs)

    f: Any = cache.cached(functools.wraps(documented)(wrapped))
    assert f(1) == f(1, "b", c=True) == [1]
    assert f.stats().misses == f.stats().hits["memory"] == 1


def test_functions_of_one_name_are_told_apart_by_name(cache: Cache) -> None:
    def make(number: int) -> Any:
        @cache.cached(name=f"f{number}")
        def f() -> int:
            return number

        return f

    assert [make(number)() for number in (1, 2)] == [1, 2]
    doubled = cache.cached(name="double")(lambda x: 2 * x)
    assert [doubled(2), doubled(3), doubled(2)] == [4, 6, 4]


async def coroutine() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> typing.AsyncIterator[int]:
    yield 1


def plain(id: int) -> int:
    return id


@pytest.mark.parametrize(
    ("kind", "function", "message"),
    [
        (Cache, generator, "generator is a generator, which can be read only once; return a list"),
        (AsyncCache, async_generator, "async_generator is a generator"),
        (Cache, async_generator, "async_generator is a generator"),
        (Cache, coroutine, "coroutine is a coroutine function; use an AsyncCache"),
        (AsyncCache, plain, "plain is a plain function; use a Cache, not an AsyncCache"),
        (Cache, len, "got <built-in function len>; expected a function"),
        (Cache, Article, "expected a function, a method, or a classmethod"),
        (Cache, functools.partial(plain, 1), "expected a function"),
        (Cache, property(plain), "expected a function"),
        (Cache, 3, "got 3; expected a function"),
    ],
)
def test_what_cannot_be_cached_is_refused(kind: Any, function: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        kind().cached(function)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            {"tll": 3, "maxsize": 5},
            TypeError,
            r"cached\(\) got maxsize, tll; it knows copy, early, errors",
        ),
        (
            {"key": "a:{who}"},
            ValueError,
            r"has the field {who}; expected the name of a parameter: id",
        ),
        ({"tags": ["a:{who}"]}, ValueError, r"has the field {who}"),
        ({"tags": "a:{id}"}, TypeError, r"tags is the text 'a:{id}'; expected several"),
        ({"key": 3}, TypeError, "key is 3; expected a template"),
        ({"ignore": ["who"]}, ValueError, "ignore has 'who'"),
        ({"ignore": "id"}, TypeError, "ignore is 'id'; expected names"),
        ({"ttl": -1}, ValueError, "-1"),
        ({"ttl": 0}, ValueError, "ttl is 0; expected a time above 0"),
        ({"jitter": 2}, ValueError, "jitter is 2"),
        ({"sliding": True}, ValueError, "sliding=True needs a ttl"),
        ({"version": "a b"}, ValueError, "version is 'a b'"),
        ({"name": "a b"}, ValueError, "name is 'a b'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_where_it_is_written(
    cache: Cache, how: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cache.cached(**how)(plain)


def test_a_key_or_a_tag_that_is_no_text_is_refused_by_the_call(cache: Cache) -> None:
    number: Any = lambda id: 3  # noqa: E731
    with pytest.raises(TypeError, match="returned 3; expected a text"):
        cache.cached(key=number)(plain)(1)
    for tags in ("word", [3], [""]):
        tell: Any = lambda id, tags=tags: tags  # noqa: E731
        with pytest.raises(TypeError, match=r"tags? is"):
            cache.cached(name="f", tags=tell)(plain)(1)


def test_names_of_parameters_that_would_be_in_the_way_are_refused(cache: Cache) -> None:
    def f(_cache_key: int) -> int:
        return _cache_key

    with pytest.raises(TypeError, match="has a parameter whose name begins with _cache_"):
        cache.cached(f)


# --- Types

TYPED = """
from labkit.cache import AsyncCache, Cache

cache, async_cache = Cache(), AsyncCache()

@cache.cached
def bare(id: int, *, deep: bool = False) -> list[str]:
    return []

@cache.cached(ttl="10m", key="f:{id}")
def function(id: int) -> str:
    return ""

@async_cache.cached(ttl=3)
async def coroutine(id: int) -> str:
    return ""

class C:
    @cache.cached
    def method(self, id: int) -> str:
        return ""

    @async_cache.cached
    async def coroutine(self, id: int) -> str:
        return ""

async def load() -> bytes:
    return b""

async def use() -> None:
    reveal_type(bare(1, deep=True))
    reveal_type(function(1))
    reveal_type(function.peek(1))
    reveal_type(function.invalidate(id=1))
    reveal_type(await coroutine(1))
    reveal_type(await coroutine.refresh(1))
    reveal_type(C().method(1))
    reveal_type(C().method.key(1))
    reveal_type(await C().coroutine(1))
    reveal_type(await C().coroutine.peek(1))
    reveal_type(cache.get_or_load("k", lambda: 1))
    reveal_type(await async_cache.get_or_load("k", load))
    reveal_type(await async_cache.get_or_load("k", lambda: 1))
    function("a")
    bare(1, True)
    function.key()
    function.set(3, 1)
    C().method("a")
    await coroutine()
    await C().coroutine("a")
    cache.cached(tll=3)
    cache.cached(ttl=[])
"""


def test_a_type_checker_knows_the_parameters_and_the_answer(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    file = tmp_path / "typed.py"
    file.write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", file.name]
    output = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path
    ).stdout
    lines = {
        number: [line for line in output.splitlines() if line.startswith(f"typed.py:{number}: ")]
        for number in range(1, TYPED.count("\n") + 1)
    }
    revealed = ["".join(lines[n]) for n, line in _numbered() if "reveal_type" in line]
    expected = ["list[str]", "str", "str", "bool", "str", "str", "str", "str", "str", "str"]
    expected += ["int", "bytes", "int"]
    assert [text.split('"')[1].replace("builtins.", "") for text in revealed] == expected, output
    wrong = [n for n, line in _numbered() if line.strip().startswith(WRONG)]
    assert len(wrong) == 9
    assert [n for n, found in lines.items() if any(": error: " in line for line in found)] == wrong


WRONG = (
    *('function("a")', "bare(1, True)", "function.key()", "function.set(3", 'C().method("a")'),
    *("await coroutine()", 'await C().coroutine("a")', "cache.cached(tll", "cache.cached(ttl=["),
)


def _numbered() -> list[tuple[int, str]]:
    return list(enumerate(TYPED.splitlines(), start=1))
