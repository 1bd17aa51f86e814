"""Copies: what many callers share cannot change, and what can change is not shared."""

from __future__ import annotations

import abc
import array
import collections
import dataclasses
import datetime as dt
import enum
import functools
import math
import operator
import re
import threading
import types
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from labkit.cache.copies import Uncopyable, copier_of, shareable
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Colour(enum.Enum):
    RED = bytearray(b"red")


class Pair(NamedTuple):
    left: Any
    right: Any = 0


class Tagged(Pair):
    """Has a __dict__, which a NamedTuple has not."""


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: Any
    number: int = dataclasses.field(default=1, init=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    value: Any


@dataclasses.dataclass(frozen=True)
class Below(Frozen):
    other: Any = None


@dataclasses.dataclass(frozen=True)
class Box(abc.ABC, Generic[T]):
    value: T


class Named(Protocol):
    """A base that is not known to be immutable."""

    value: Any


@dataclasses.dataclass(frozen=True)
class Protocolled(Named):
    value: Any


class Undecorated(Frozen):
    """Takes new attributes: only the dataclass's own fields are frozen."""


class Counting:
    total = 0

    def add(self) -> None:
        vars(self)["total"] = self.total + 1


@dataclasses.dataclass(frozen=True)
class OnCounting(Counting):
    value: int


@dataclasses.dataclass(frozen=True)
class FrozenList(list[int]):
    value: int = 1


@dataclasses.dataclass(frozen=True)
class Computed:
    value: int

    @functools.cached_property
    def parts(self) -> list[int]:
        return [self.value]


@dataclasses.dataclass
class Open:
    value: Any = 1


class FrozenStruct(msgspec.Struct, frozen=True):
    value: Any


class DictStruct(msgspec.Struct, frozen=True, dict=True):
    value: int


class OpenStruct(msgspec.Struct):
    value: Any = 1


class Text(str):
    """Has a __dict__, which a str has not."""


class Stubborn:
    def __deepcopy__(self, memo: Any) -> Any:
        raise OSError("no hands")


def recursive_tuple(depth: int) -> Any:
    value: Any = ()
    for _ in range(depth):
        value = (value,)
    return value


IMMUTABLE: list[Any] = [
    *(None, True, 1, 1.5, 1j, "text", b"bytes", range(3), Decimal(1), Fraction(1, 2), ...),
    *(dt.date(2024, 1, 1), dt.datetime(2024, 1, 1), dt.time(1), dt.timedelta(1), dt.UTC),
    *(ZoneInfo("Europe/Lisbon"), uuid.UUID(int=1), re.compile("a"), Colour.RED),
    *(Path("a"), PurePosixPath("a"), PureWindowsPath("a")),
    *(len, [1, 2].__class__, "a".upper, recursive_tuple, lambda: 1, math, int, Open, Colour, Named),
    *((), (1, ("a", frozenset({1, (2,)}))), Pair(1, (2,)), frozenset()),
    *(Frozen((1, 2)), Slotted("a"), Below(1, (2,)), Box(1), FrozenStruct(("a",))),
]
MUTABLE: list[Any] = [
    *([], {}, set(), bytearray(), memoryview(b""), array.array("i"), collections.deque()),
    *(types.MappingProxyType({}), types.SimpleNamespace(), iter([]), slice([]), object()),
    *(collections.OrderedDict(), collections.Counter(), functools.partial(int), [].append),
    *((1, []), ((), ({},)), Pair(1, []), Tagged(1, 2), Text("a")),
    *(Frozen([]), Slotted([]), Below([]), Below(1, []), Box([]), Protocolled(1), FrozenStruct([])),
    *(Undecorated(1), OnCounting(1), FrozenList(), Computed(1), Open(), DictStruct(1)),
    *(OpenStruct(), recursive_tuple(100_000)),
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
values = st.recursive(
    scalars | st.builds(Open, scalars) | st.builds(Frozen, scalars) | st.sets(scalars, max_size=1),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.builds(Open, inner)
        | st.builds(Frozen, inner)
        | st.builds(Pair, inner, scalars)
    ),
    max_leaves=10,
)


def label(value: Any) -> str:
    return type(value).__name__


def mutables(value: Any) -> list[Any]:
    """Every object in a value that can change, in order, outermost first."""
    if isinstance(value, list | tuple | set):
        inner: list[Any] = list(value)
    elif isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, Open | Frozen):
        inner = [value.value]
    else:
        return []
    found = [each for member in inner for each in mutables(member)]
    return [value, *found] if isinstance(value, list | dict | set | Open) else found


def copied(value: Any) -> Any:
    """A copy of the copy that is kept, as a caller gets it."""
    copier = copier_of(value)
    return copier(copier(value))


@pytest.mark.parametrize("value", IMMUTABLE, ids=label)
def test_what_cannot_change_is_shared(value: Any) -> None:
    assert shareable(value) is True


@pytest.mark.parametrize("value", MUTABLE, ids=label)
def test_what_can_change_or_is_unknown_is_not_shared(value: Any) -> None:
    assert shareable(value) is False


def test_a_deeply_immutable_value_of_any_depth_gets_an_answer() -> None:
    assert shareable(recursive_tuple(50)) is True
    assert shareable(recursive_tuple(100_000)) is False


MUTATIONS: list[Callable[[Any], object]] = [
    lambda value: setattr(value, "value", 2),
    lambda value: setattr(value, "left", 2),
    lambda value: setattr(value, "added", 2),
    lambda value: operator.setitem(value, 0, 2),
    lambda value: operator.delitem(value, 0),
    lambda value: value.append(1),
    lambda value: value.add(1),
    lambda value: value.update({1: 2}),
    lambda value: value.clear(),
]
# Everyone's own: a change of these is a change of the program, not of a value.
OF_THE_PROGRAM = (type, types.FunctionType, types.ModuleType, enum.Enum)


@pytest.mark.parametrize("mutate", MUTATIONS)
@pytest.mark.parametrize(
    "value", [each for each in IMMUTABLE if not isinstance(each, OF_THE_PROGRAM)], ids=label
)
def test_nothing_public_changes_a_shared_value(value: Any, mutate: Callable[[Any], object]) -> None:
    with pytest.raises((AttributeError, TypeError)):
        mutate(value)


@settings(max_examples=times(400))
@given(values)
def test_a_value_is_shared_just_when_nothing_in_it_can_change(value: Any) -> None:
    assert shareable(value) is not bool(mutables(value))


@settings(max_examples=times(400))
@given(values)
def test_a_copy_is_equal_and_has_no_mutable_part_in_common(value: Any) -> None:
    made = copied(value)
    assert repr(made) == repr(value)
    theirs = {id(each) for each in mutables(value)}
    assert not theirs & {id(each) for each in mutables(made)}


@settings(max_examples=times(300))
@given(values)
def test_changing_a_copy_never_changes_the_original(value: Any) -> None:
    before = repr(value)
    for each in mutables(copied(value)):
        if isinstance(each, Open):
            each.value = "changed"
        else:
            each.clear()
    assert repr(value) == before


@pytest.mark.parametrize(
    "value",
    [
        {"rows": [{"id": 1}]},
        [bytearray(b"a")],
        {1: Open()},
        collections.OrderedDict(a=[1]),
        collections.defaultdict(list, a=[1]),
        collections.deque([[1]]),
        OpenStruct([1]),
        array.array("i", [1]),
        Text("a"),
        FrozenList(),
        [math, math.sqrt],
        {math: math.sqrt},
        {math},
    ],
    ids=label,
)
def test_a_copy_keeps_the_type(value: Any) -> None:
    made = copied(value)
    assert type(made) is type(value)
    assert made == value
    assert made is not value


def test_what_was_one_object_in_the_value_is_one_in_the_copy() -> None:
    row = {"id": 1}
    one, other = copied([row, row])
    assert one is other is not row
    endless: list[Any] = []
    endless.append(endless)
    made = copied(endless)
    assert made[0] is made is not endless


def test_a_mutable_key_is_copied_too() -> None:
    class Key:
        pass

    key = Key()
    (made,) = copied({key: 1})
    assert type(made) is Key
    assert made is not key
    (member,) = copied({key})
    assert member is not key


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((number for number in range(3)), "type generator cannot be copied for each caller"),
        (threading.Lock(), r"type lock cannot be copied for each caller \(cannot pickle"),
        ({"lock": [threading.Lock()]}, "type dict cannot"),
        (types.MappingProxyType({}), "type mappingproxy cannot"),
        (Stubborn(), r"type Stubborn cannot be copied for each caller \(no hands\)"),
    ],
    ids=label,
)
def test_what_cannot_be_copied_is_refused_with_a_way_out(value: Any, said: str) -> None:
    with pytest.raises(Uncopyable, match=said) as refused:
        copied(value)
    assert str(refused.value).endswith(
        "return something immutable, give a serializer that can store it, "
        "or share it with copy=False"
    )
    assert isinstance(refused.value, TypeError)


def test_a_value_nested_too_deeply_to_copy_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Uncopyable, match="recursion"):
        copied(deep)
