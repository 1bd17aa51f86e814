"""Keys of calls: two calls share one only where they are the same call, and say so everywhere."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labkit.cache import keys
from labkit.cache.keys import CallKey, Template, Unkeyable, encode

HERE = __name__


class Color(enum.Enum):
    RED = "red"
    CRIMSON = "red"  # noqa: PIE796 - an alias is meant
    BLUE = "blue"


class Named(str, enum.Enum):  # noqa: UP042 - the kind that is a text
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    x: Any
    y: Any


class Couple(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass
class Spot:
    x: Any
    y: Any = None


class Row(msgspec.Struct):
    x: Any
    y: Any = None


class Text(str):
    mark: Any


class Slotted(list[Any]):
    __slots__ = ("mark",)


class Whole(int): ...


class Real(float): ...


class Items(list[Any]): ...


class Repository:
    def __init__(self, url: str) -> None:
        self.url = url

    def __cache_key__(self) -> Any:
        return self.url

    def find(self, number: int) -> None: ...

    @classmethod
    def every(cls, number: int) -> None: ...


class Archive(Repository): ...


class Bare:
    def find(self, number: int) -> None: ...


def marked(value: Any, mark: Any) -> Any:
    value.mark = mark
    return value


def article(id: Any, author_id: Any = 7, *, limit: Any = 10) -> None: ...  # noqa: A002


def two(a: Any, b: Any) -> None: ...


def one(value: Any) -> None: ...


def many(a: Any, *rest: Any, b: Any = 1, **others: Any) -> None: ...


WORDS = ["None", "True", "inf", "-inf", "nan", "set", "b", "1", "-1", "0x1", "a" * 63, "a" * 64]
ODD = "aZ_19.-+:'%#,;[](){}=<>\\ \0\n\x7fé\u2028\ud800\U0001f600"

Scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(1 << 300), 1 << 300)
    | st.floats()
    | st.text()
    | st.text(alphabet=ODD, max_size=6)
    | st.sampled_from(WORDS)
    | st.binary()
)
Keys = st.recursive(
    Scalars,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
Values = st.recursive(
    Scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(Keys, inner, max_size=4)
        | st.sets(Keys, max_size=4)
        | Keys
    ),
    max_leaves=15,
)


def content(value: Any) -> Any:
    """What tells a value from others: its type and what is in it."""
    kind = type(value).__name__
    if isinstance(value, float):
        return kind, "nan" if math.isnan(value) else (value, math.copysign(1, value))
    if isinstance(value, dict):
        pairs = ((content(key), content(item)) for key, item in value.items())
        return kind, frozenset(Counter(pairs).items())
    if isinstance(value, (set, frozenset)):
        return kind, frozenset(Counter(map(content, value)).items())
    if isinstance(value, (list, tuple)):
        return kind, tuple(map(content, value))
    return kind, value


class Reader:
    """Reads what `encode` writes, as far as `Values` go, into `content`.

    That it can is the proof that no two values have one text.
    """

    def __init__(self, text: str) -> None:
        self.rest = text

    def take(self, pattern: str) -> str | None:
        match = re.match(pattern, self.rest)
        if match is None:
            return None
        self.rest = self.rest[match.end() :]
        return match[0]

    def value(self) -> Any:
        if (quoted := self.take("b?'[!-&(-~]*'")) is not None:
            if quoted[0] == "b":
                return "bytes", unquote_to_bytes(quoted[2:-1])
            return "str", unquote(quoted[1:-1], errors="surrogatepass")
        if self.take(r"\["):
            return "list", tuple(self.items("]"))
        if self.take(r"\("):
            return "tuple", tuple(self.items(")"))
        if self.take(r"\{"):
            return "dict", frozenset(Counter(self.items("}")).items())
        if kind := self.take(r"(frozen)?set\("):
            return kind[:-1], frozenset(Counter(self.items(")")).items())
        return self.word(self.take(r"[A-Za-z0-9_.+-]+") or "")

    def items(self, end: str) -> list[Any]:
        found: list[Any] = []
        while not self.take(re.escape(end)):
            assert not found or self.take(",")
            item = self.value()
            found.append((item, self.value()) if end == "}" and self.take("=") else item)
        return found

    def word(self, word: str) -> Any:
        known: dict[str, Any] = {"None": None, "True": True, "False": False}
        if word in known:
            return content(known[word])
        if re.fullmatch("-?(0x[0-9a-f]+|[0-9]+)", word):
            return content(int(word, 0))
        if re.fullmatch("-?[0-9].*|-?inf|nan", word):
            return content(float(word))
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}", word)
        return content(word)


@given(Values)
@example({math.nan: 1, float("nan"): 2})
@example(["%20", b"%20"])
@example([(), [], {}, set(), frozenset(), "", b"", None])
def test_a_text_says_which_value_it_is_and_of_which_type(value: Any) -> None:
    reader = Reader(encode(value))
    assert reader.value() == content(value)
    assert reader.rest == ""


@given(Values)
def test_a_text_is_printable_and_has_no_mark_of_a_shortened_key(value: Any) -> None:
    assert re.fullmatch("[!-~]*", text := encode(value))
    assert not set(text) & set("#<>")


@given(st.dictionaries(Keys, Scalars), st.sets(Keys), st.randoms())
def test_the_order_of_dicts_and_sets_does_not_count(
    mapping: dict[Any, Any], members: set[Any], random: Any
) -> None:
    pairs, values = list(mapping.items()), list(members)
    random.shuffle(pairs)
    random.shuffle(values)
    assert encode(dict(pairs)) == encode(mapping)
    assert encode(set(values)) == encode(members)
    assert encode(frozenset(values)) == encode(frozenset(members))


LISBON = zoneinfo.ZoneInfo("Europe/Lisbon")
HOUR = dt.timedelta(hours=1)
WINTER = dt.datetime(2026, 1, 2, 3, 4, 5, 6)
DISTINCT: list[tuple[Any, str]] = [
    (None, "None"),
    (True, "True"),
    (1, "1"),
    (1.0, "1.0"),
    (0.0, "0.0"),
    (-0.0, "-0.0"),
    (-math.inf, "-inf"),
    ("None", "'None'"),
    ("1", "'1'"),
    ("a-word_of.9", "a-word_of.9"),
    ("caf\xe9 #1", "'caf%C3%A9%20%231'"),
    (b"1", "b'1'"),
    (bytearray(b"1"), "bytearray(b'1')"),
    (1j, "complex(0.0,1.0)"),
    (complex(-0.0, 1), "complex(-0.0,1.0)"),
    (1 << 128, "0x1" + "0" * 32),
    (-(1 << 128), "-0x1" + "0" * 32),
    (Decimal("1.0"), "Decimal(1.0)"),
    (Decimal("1.00"), "Decimal(1.00)"),
    (Decimal("1e+30"), "Decimal(1E+30)"),
    (Fraction(1), "Fraction(1,1)"),
    (Fraction(-1, 3), "Fraction(-1,3)"),
    (range(3), "range(0,3,1)"),
    (range(0, 3, 2), "range(0,3,2)"),
    (uuid.UUID(int=1), "UUID(00000000-0000-0000-0000-000000000001)"),
    (pathlib.PurePosixPath("a/b"), "PurePosixPath('a/b')"),
    (pathlib.PureWindowsPath("a"), "PureWindowsPath(a)"),
    (pathlib.PurePosixPath("a"), "PurePosixPath(a)"),
    (dt.date(2026, 1, 2), "date(2026-01-02)"),
    (dt.datetime(2026, 1, 2), "datetime(2026-01-02T00:00:00)"),
    (WINTER, "datetime(2026-01-02T03:04:05.000006)"),
    (WINTER.replace(fold=1), "datetime(2026-01-02T03:04:05.000006,fold=1)"),
    (WINTER.replace(tzinfo=dt.UTC), "datetime(2026-01-02T03:04:05.000006+00:00)"),
    (
        WINTER.replace(tzinfo=dt.timezone(HOUR * 0, "GMT")),
        "datetime(2026-01-02T03:04:05.000006+00:00,name=GMT)",
    ),
    (
        WINTER.replace(tzinfo=LISBON),
        "datetime(2026-01-02T03:04:05.000006+00:00,zone='Europe/Lisbon')",
    ),
    (dt.time(3), "time(03:00:00)"),
    (dt.time(3, tzinfo=LISBON), "time(03:00:00,zone='Europe/Lisbon')"),
    (dt.time(3, tzinfo=dt.timezone(HOUR)), "time(03:00:00+01:00)"),
    (HOUR, "timedelta(0,3600,0)"),
    (-HOUR / 7, "timedelta(-1,85885,714286)"),
    (OrderedDict(a=1, b=2), "OrderedDict(a=1,b=2)"),
    (OrderedDict(b=2, a=1), "OrderedDict(b=2,a=1)"),
    ({"a": 1, "b": 2}, "{a=1,b=2}"),
    (defaultdict(list, a=1, b=2), "collections.defaultdict({a=1,b=2})"),
    (Color.RED, f"{HERE}.Color(RED)"),
    (Color.BLUE, f"{HERE}.Color(BLUE)"),
    (Named.RED, f"{HERE}.Named(RED)"),
    (Number.ONE, f"{HERE}.Number(ONE)"),
    (Access.READ | Access.WRITE, f"{HERE}.Access(3)"),
    (Access(0), f"{HERE}.Access(0)"),
    (Pair(1, 2), f"{HERE}.Pair(x=1,y=2)"),
    (Couple(1, 2), f"{HERE}.Couple(x=1,y=2)"),
    ((1, 2), "(1,2)"),
    (Point(1, 2), f"{HERE}.Point(x=1,y=2)"),
    (Point(1, 3), f"{HERE}.Point(x=1,y=3)"),
    (Spot(1, 2), f"{HERE}.Spot(x=1,y=2)"),
    (Row(1, [2]), f"{HERE}.Row(x=1,y=[2])"),
    (Text("a"), f"{HERE}.Text(a)"),
    (marked(Text("a"), 1), f"{HERE}.Text(a,{{mark=1}})"),
    (marked(Text("a"), 2), f"{HERE}.Text(a,{{mark=2}})"),
    (marked(Slotted([1]), 3), f"{HERE}.Slotted([1],(None,{{mark=3}}))"),
    (Whole(1), f"{HERE}.Whole(1)"),
    (Real(1), f"{HERE}.Real(1.0)"),
    (Items([1]), f"{HERE}.Items([1])"),
    ([1], "[1]"),
    (Repository("a"), f"{HERE}.Repository(a)"),
    (Archive("a"), f"{HERE}.Archive(a)"),
    (Repository, f"class({HERE}.Repository)"),
    (Repository.find, f"function({HERE}.Repository.find)"),
    (len, "function(builtins.len)"),
    (np.int64(1), "numpy.int64(1)"),
    (np.int32(1), "numpy.int32(1)"),
    (np.float64(1), "numpy.float64(1.0)"),
    (np.bool_(True), f"numpy.{np.bool_.__name__}(True)"),
    (np.complex128(1j), "numpy.complex128(complex(0.0,1.0))"),
    (np.str_("a"), "numpy.str_(a)"),
]


@pytest.mark.parametrize(("value", "text"), DISTINCT, ids=[text for _, text in DISTINCT])
def test_a_value_is_written_so(value: Any, text: str) -> None:
    assert encode(value) == text
    assert encode([value]) == f"[{text}]"


def test_no_two_of_the_values_share_a_text() -> None:
    assert len({encode(value) for value, _ in DISTINCT}) == len(DISTINCT)


def test_an_alias_of_an_enum_is_the_member_itself() -> None:
    assert encode(Color.CRIMSON) == encode(Color.RED)


def test_settings_of_the_process_do_not_change_a_text() -> None:
    vast = 10**5000
    with localcontext() as context:
        context.capitals = 0
        assert encode(Decimal("1E+30")) == "Decimal(1E+30)"
    assert encode(vast) == hex(vast)
    assert encode(Fraction(1, vast)) == f"Fraction(1,{hex(vast)})"


Numbers = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.fractions()
    | st.decimals(allow_nan=False, min_value=-(10**30), max_value=10**30)
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([1.0, 0.1, 0.5, -0.0, 2**53 + 1, 2.0**53, Fraction(1, 10), Decimal("0.1")])
    | st.sampled_from([Decimal("0.5"), math.inf, Decimal("Infinity"), complex(2.0**53), 10**400])
)


@given(Numbers, Numbers)
@example(Fraction(1, 10), 0.1)
@example(Decimal("0.5"), Fraction(1, 2))
@example(-0.0, 0)
@example(Fraction(1, 10**400), 0.0)
@example(Fraction(10**400 + 1, 10), math.inf)
@example(-math.inf, math.inf)
def test_untyped_numbers_share_a_text_exactly_where_they_are_equal(a: Any, b: Any) -> None:
    for number in (a, b):
        for other in (a, b):
            alike = encode([number], typed=False) == encode([other], typed=False)
            assert alike == (number == other or (number != number and other != other))
            assert alike or encode(number) != encode(other)


@pytest.mark.parametrize(
    "one", [True, 1.0, Fraction(1), 1 + 0j, Number.ONE, Whole(1), np.int8(1), np.float32(1)]
)
def test_untyped_numbers_of_every_kind_share(one: Any) -> None:
    assert encode(one, typed=False) == encode((1, {one}), typed=False)[1] == "1"
    assert encode(one) != "1"
    assert CallKey(two, typed=False)(one, "1") == CallKey(two)(1, "1")
    assert Template("{a}", two, typed=False).of((one, 2), {}) == "1"
    assert CallKey(two, key="{a}", typed=False)(one, 2) == "1"


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth - 1):
        inner = [inner]
    return inner


def holding_itself() -> list[list[Any]]:
    lists: list[list[Any]] = [[], [1], []]
    lists[0].append(lists[0])
    lists[1] += [{"a": (lists[1], lists[1])}] * 2
    lists[2] += [lists[2]] * 9
    return lists


@pytest.mark.parametrize("value", holding_itself(), ids=["itself", "through others", "often"])
def test_what_holds_itself_is_refused(value: Any) -> None:
    with pytest.raises(Unkeyable, match="the value is more than 50 containers deep, or holds it"):
        encode(value)


def test_fifty_containers_in_each_other_are_written() -> None:
    assert encode(nested(50)) == "[" * 50 + "]" * 50
    with pytest.raises(Unkeyable):
        encode(nested(51))


class Odd(dt.tzinfo):
    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        return HOUR

    dst = utcoffset

    def tzname(self, when: dt.datetime | None) -> str:
        return "odd"


REFUSED: list[tuple[str, Any, str]] = [
    ("an object", Bare(), rf"is a {HERE}.Bare; a key needs plain values.*__cache_key__"),
    ("a method", [].append, r"is the function .*append; a key needs a function that its module"),
    ("a bound method", Repository("").find, "is a method;"),
    ("a lambda", lambda: 0, "is the function .*<lambda>; a key needs"),
    ("an array", np.arange(2), "is a numpy.ndarray; a key needs the few values of it"),
    ("a small array", np.array(1), "is a numpy.ndarray;"),
    ("a long double", np.longdouble(1), "is a numpy.longdouble;"),
    ("a zone", WINTER.replace(tzinfo=Odd()), rf"zone is a {HERE}.Odd; a key needs datetime"),
    ("a place", ({"a": [0, Bare()]},), rf"holds a {HERE}.Bare at \[0\]\['a'\]\[1\];"),
    ("a field", Point(1, Spot(Bare())), r"at \.y\.x;"),
    ("a field of a tuple", Pair(1, Bare()), r"at \.y;"),
    ("a key of a dict", {Bare(): 1}, r"at \.keys\(\);"),
    ("a member of a set", [{Bare()}], r"at \[0\]\{\};"),
    ("what an object answers", [Repository(Bare())], r"at \[0\]\.__cache_key__\(\);"),  # type: ignore[arg-type]
    ("far inside", {"k" * 99: Bare()}, r"at \['k{58}\.\.\.;"),
]


@pytest.mark.parametrize(
    ("value", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_value_without_a_text_is_refused(value: Any, message: str) -> None:
    with pytest.raises(Unkeyable, match=f"^the value {message}" if message[0] == "i" else message):
        encode(value)


def test_a_class_inside_a_function_is_refused() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    for value in (Local(1), [Local(1)]):
        with pytest.raises(Unkeyable, match=r"<locals>\.Local.*defined in a module"):
            encode(value)
    with pytest.raises(Unkeyable, match=r"the class .*Local; a key needs a class that its module"):
        encode(Local)


def test_a_function_that_has_lost_its_name_to_another_is_refused() -> None:
    def find() -> None: ...

    find.__qualname__, find.__module__ = "one", HERE
    with pytest.raises(Unkeyable, match=rf"the function {HERE}\.one; a key"):
        encode(find)


def test_a_refusal_names_the_argument_the_function_and_a_way_out() -> None:
    with socket.socket() as held, pytest.raises(Unkeyable) as refusal:
        CallKey(one, name="app.search")({"a": [held]})
    assert str(refusal.value) == (
        "argument 'value' of app.search holds a socket.socket at ['a'][0]; a key needs plain "
        "values, containers of them, dataclasses, or objects with __cache_key__; leave it out with "
        "ignore=('value',) or give key="
    )


@pytest.mark.parametrize("call", [((1, Bare()), {}), ((1,), {"author_id": Bare()})])
def test_a_refusal_names_the_right_argument(call: Any) -> None:
    with pytest.raises(Unkeyable, match="argument 'author_id' of"):
        CallKey(article)(*call[0], **call[1])
    with pytest.raises(Unkeyable, match=r"argument 'others' of .* at \['x'\]"):
        CallKey(many)(1, x=Bare())
    with pytest.raises(Unkeyable, match=r"argument 'b' of .* a time whose zone"):
        CallKey(two)(1, WINTER.replace(tzinfo=Odd()))


Call = st.tuples(
    st.lists(Scalars, min_size=1, max_size=3), st.dictionaries(st.sampled_from("bxyz"), Scalars)
)


def key_of(key: CallKey, call: tuple[list[Any], dict[str, Any]]) -> str:
    return key(*call[0], **call[1])


@given(Call, Call)
def test_two_calls_share_a_key_exactly_where_they_are_the_same(a: Any, b: Any) -> None:
    key = CallKey(many)
    said = [content([*args, {"b": 1, **kwargs}]) for args, kwargs in (a, b)]
    assert (key_of(key, a) == key_of(key, b)) == (said[0] == said[1])
    assert key_of(key, a).startswith(key.prefix)


@given(Values, Values, Values)
def test_how_a_call_is_spelled_makes_no_difference(a: Any, b: Any, c: Any) -> None:
    key = CallKey(article)
    assert key(a, b, limit=c) == key(a, limit=c, author_id=b) == key(limit=c, author_id=b, id=a)
    assert key(a) == key(a, 7) == key(id=a, limit=10, author_id=7)
    more = CallKey(many)
    assert more(a, x=b, y=c) == more(a, y=c, x=b, b=1) == more(y=c, a=a, x=b)


def test_a_key_is_the_name_and_the_arguments() -> None:
    assert CallKey(article)(1, "two") == f"{HERE}.article(1,author_id=two,limit=10)"
    assert CallKey(article).prefix == f"{HERE}.article("
    assert CallKey(article).parameters == ("id", "author_id", "limit")
    assert CallKey(many)(1) == f"{HERE}.many(1,b=1)"
    assert CallKey(many)(1, 2, b=3, x=4) == f"{HERE}.many(1,*(2),b=3,**{{x=4}})"
    assert CallKey(article, name="news:article")(1) == "news:article(1,author_id=7,limit=10)"
    assert CallKey(lambda: 0, name="now")() == "now()"


def test_positional_and_keyword_only_parameters_are_bound_as_python_does() -> None:
    def search(a: Any, /, b: Any, *, c: Any, **others: Any) -> None: ...

    key = CallKey(search, name="s")
    assert key(1, 2, c=3) == "s(1,2,c=3)"
    assert key(1, b=2, c=3, a=4) == "s(1,2,c=3,**{a=4})"


def test_a_parameter_may_be_called_as_anything() -> None:
    def odd(self: Any, scope: Any, defaults: Any = 3, bind: Any = 4, größe: Any = 5) -> None: ...

    key = CallKey(odd, name="odd")
    assert key(self=1, scope=2) == "odd(1,2,defaults=3,bind=4,'gr%C3%B6%C3%9Fe'=5)"
    assert CallKey(odd, key="odd:{größe}{{%s}}")(1, 2) == "odd:5{%s}"


def test_ignored_parameters_are_left_out() -> None:
    key = CallKey(article, ignore=("author_id", "id"), name="article")
    assert key(Bare(), Bare()) == key(2) == "article(limit=10)"
    assert CallKey(many, ignore=["rest", "others"], name="m")(1, Bare(), x=Bare()) == "m(1,b=1)"


@pytest.mark.parametrize("call", [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"id": 1})])
@pytest.mark.parametrize("key", [None, "article:{id}"])
def test_a_wrong_call_raises_what_the_function_raises(call: Any, key: str | None) -> None:
    args, kwargs = call
    with pytest.raises(TypeError) as raised:
        article(*args, **kwargs)
    with pytest.raises(TypeError, match=f"^{re.escape(str(raised.value))}$"):
        CallKey(article, key=key)(*args, **kwargs)


def test_a_version_makes_other_keys() -> None:
    keys_of_versions = [
        [CallKey(one, name="one", version=version, key=key)(3) for version in (1, 2, "2026-11.a")]
        for key in (None, "one:{value}", lambda value: f"own:{value}")
    ]
    assert keys_of_versions == [
        ["one(3)", "one@2(3)", "one@2026-11.a(3)"],
        ["one:3", "one:3@2", "one:3@2026-11.a"],
        ["own:3", "own:3@2", "own:3@2026-11.a"],
    ]
    assert CallKey(one, name="one", version=2).prefix == "one@2("


def test_the_object_of_a_method_is_part_of_the_key() -> None:
    find = CallKey(Repository.find, method=True)
    assert find(Repository("a"), 1) == f"{HERE}.Repository.find({HERE}.Repository(a),1)"
    assert find(Repository("b"), 1) != find(Repository("a"), 1) != find(Archive("a"), 1)
    every = CallKey(Repository.every.__func__, method=True)
    assert every(Archive, 1) == f"{HERE}.Repository.every(class({HERE}.Archive),1)"


def test_the_object_of_a_method_is_left_out_where_it_is_ignored() -> None:
    find = CallKey(Bare.find, method=True, ignore=("self",))
    assert find(Bare(), 1) == f"{HERE}.Bare.find(1)"
    with pytest.raises(Unkeyable) as refusal:
        CallKey(Bare.find, method=True)(Bare(), 1)
    assert str(refusal.value) == (
        f"argument 'self' of {HERE}.Bare.find is a {HERE}.Bare; a key needs plain values, "
        "containers of them, dataclasses, or objects with __cache_key__; ignore=('self',) if all "
        "its objects answer alike"
    )


def test_a_function_makes_keys_that_are_used_as_they_are() -> None:
    key = CallKey(article, key=lambda id, **_: f"own #{id} é")  # noqa: A006
    assert key(3, author_id=4) == "own #3 é"
    assert key("x" * 300) == f"own #{'x' * 300} é"
    assert key.prefix == ""


@pytest.mark.parametrize("answer", [None, 3, b"x"])
def test_a_function_that_makes_no_text_is_refused(answer: Any) -> None:
    with pytest.raises(TypeError, match=rf"key= of {HERE}.one returned {answer!r}; expected a te"):
        CallKey(one, key=lambda value: answer)(1)


@pytest.mark.parametrize("control", ["\0", "\n", "\x7f", "\x9f", "\u2028", "\udfff"])
def test_control_characters_are_in_no_key(control: str) -> None:
    with pytest.raises(ValueError, match="without control characters"):
        CallKey(one, key=lambda value: f"a{control}b")(1)
    with pytest.raises(ValueError, match="without control characters"):
        Template(f"a{control}b", one)


NOWHERE: Any = lambda: 0  # noqa: E731

DECLARATIONS: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
    ("an unknown ignore", one, {"ignore": ("vale",)}, ValueError, "ignore has 'vale'; .* value$"),
    ("ignore as text", one, {"ignore": "value"}, TypeError, r"expected names, such as \('value',"),
    ("a lambda", NOWHERE, {}, ValueError, "'.*<lambda>'; keys need one of its own.*name= or key="),
    ("a name", one, {"name": "a(1"}, ValueError, r"name is 'a\(1'"),
    ("an empty name", one, {"name": ""}, ValueError, "name is ''"),
    ("a version", one, {"version": "a b"}, ValueError, "version is 'a b'; expected a number"),
    ("a true version", one, {"version": True}, ValueError, "version is True"),
    ("a key", one, {"key": 3}, TypeError, "key is 3; expected a template"),
    ("no signature", type, {}, TypeError, "no signature that can be read"),
    ("no self", lambda *a: 0, {"method": True, "name": "m"}, TypeError, "m takes no first"),
    ("no arguments", lambda: 0, {"method": True, "name": "m"}, TypeError, "such as self"),
]


@pytest.mark.parametrize(
    ("function", "options", "kind", "message"),
    [row[1:] for row in DECLARATIONS],
    ids=[row[0] for row in DECLARATIONS],
)
def test_a_wrong_declaration_is_refused_at_once(
    function: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        CallKey(function, **options)


Long = st.text(alphabet="ab", min_size=190, max_size=260)


@given(Long, Long)
def test_a_long_key_ends_in_a_hash_of_the_whole(a: str, b: str) -> None:
    key = CallKey(one, name="one")
    short, text = f"one({encode(a)})", key(a)
    if len(short) <= 200:
        assert text == short
    else:
        assert re.fullmatch(f"{re.escape(short[:100])}#[0-9a-f]{{32}}", text)
    assert (text == key(b)) == (a == b)


def test_keys_are_shortened_from_201_characters_on() -> None:
    key = CallKey(one, name="one")
    assert len(key("x" * 193)) == 200
    assert len(key("x" * 194)) == 100 + 1 + 32
    assert key(["x"] * 300)[:100] == ("one([" + "x," * 300)[:100]
    tag = Template("author:{value}", one)
    assert "#" not in tag.of(("x" * 191,), {})
    assert re.fullmatch("author:'x{92}#[0-9a-f]{32}", tag.of(("x" * 192,), {}))


def test_a_long_key_keeps_the_whole_prefix() -> None:
    for options in ({"name": "n" * 150}, {"key": "t" * 150 + "{value}"}):
        key = CallKey(one, **options)  # type: ignore[arg-type]
        assert re.fullmatch(f"{re.escape(key.prefix)}#[0-9a-f]{{32}}", key("x" * 100))


TEMPLATES: list[tuple[str, tuple[Any, ...], str]] = [
    ("front page é", (1, 2), "front page é"),
    ("x:{a}", (1, 2), "x:1"),
    ("x:{b}:{a}:{b}", (1, "2"), "x:'2':1:'2'"),
    ("{{{a}}}", (1, 2), "{1}"),
    ("a{{b}}c", (1, 2), "a{b}c"),
    ("{a.x.y}", (Spot(Spot(1, "two")), 0), "two"),
    ("{a[0]}/{a[1][k]}", (["zero", {"k": None}], 0), "zero/None"),
    ("{a[0].x}", ([Spot(3)], 0), "3"),
    ("{a:%Y-%m-%d}", (dt.date(2026, 1, 2), 0), "2026-01-02"),
    ("{a:%H:%M}", (dt.time(3, 4), 0), "'03:04'"),
    ("{a:>3}", (1, 0), "'%20%201'"),
    ("{a:.2f}", (1.005, 0), "1.00"),
    ("{a}:{b}", ("x:y", "z"), "'x:y':z"),
    ("{a}-{b}", ("x", "y-z"), "x-y-z"),
    ("{a}-{b}", ("x-y", "z"), "<x-y>-z"),
    ("{a}x{b}x", ([1], "x"), "[1]xxx"),
    ("{a}({b}", ({1}, 2), "<set(1)>(2"),
    ("{a}'{b}", (b"", 2), "<b''>'2"),
    ("{a:%Y}{{{b}", (dt.date(2026, 1, 2), 1), "2026{1"),
]


@pytest.mark.parametrize(("template", "call", "text"), TEMPLATES)
def test_a_template_is_filled_in(template: str, call: tuple[Any, ...], text: str) -> None:
    assert Template(template, two).of(call, {}) == text
    assert CallKey(two, key=template)(*call) == text
    assert text.startswith(Template(template, two).prefix)


def test_a_template_fills_in_defaults_and_keywords() -> None:
    template = Template("t:{author_id}:{limit}:{id}", article)
    assert template.of((), {"id": 1}) == "t:7:10:1"
    assert template.of((1, 2), {"limit": 3}) == "t:2:3:1"
    assert Template("{rest[1]}:{others[x]}", many).of((0, 1, 2), {"x": 3}) == "2:3"
    assert template.prefix == "t:"
    assert CallKey(article, key="a:{{{id}", version=2).prefix == "a:{"


Separators = [
    "-",
    ".",
    "_",
    "+",
    "1",
    "e",
    "x-",
    ":",
    "::",
    "/",
    ",",
    "=",
    "(",
    ")",
    "'",
    "[",
    "{{",
    "<",
    ">",
    " ",
    "é",
]
SMALL: list[Any] = [
    *("".join(letters) for n in range(4) for letters in itertools.product("-.1e:", repeat=n)),
    *("x", "x-", "x-x", "set", "b", "<", ">", "'", "(", "é"),
    *(1, -1, 11, 1.1, 1e16, 1e-7, -1e-7, 1j, b"", b"1", (), (1,), [], [1], {}, {1: 1}, {1}, set()),
    *(None, True, math.inf, Fraction(1, 11), Color.RED, Repository, dt.time(1), Spot(1)),
]


@pytest.mark.parametrize("separator", Separators)
def test_no_separator_lets_two_pairs_share_a_text(separator: str) -> None:
    template = Template(f"{{a}}{separator}{{b}}", two)
    texts = {template.of(pair, {}) for pair in itertools.product(SMALL, SMALL)}
    assert len(texts) == len(SMALL) ** 2


@pytest.mark.parametrize("separator", ["-", ":", "1", "'"])
def test_no_separator_lets_two_formatted_pairs_share_a_text(separator: str) -> None:
    template = Template(f"{{a:s}}{separator}{{b:s}}", two)
    small = [text for text in SMALL if isinstance(text, str)]
    texts = {template.of(pair, {}) for pair in itertools.product(small, small)}
    assert len(texts) == len(small) ** 2


@given(st.sampled_from(Separators), *[Values] * 4)
def test_templates_tell_any_two_pairs_apart(sep: str, a: Any, b: Any, c: Any, d: Any) -> None:
    template = Template(f"{{a}}{sep}{{b}}", two)
    alike = template.of((a, b), {}) == template.of((c, d), {})
    assert alike == (content((a, b)) == content((c, d)))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{idd}", r"has the field \{idd\}; expected the name of a parameter: id, author_id, limit"),
        ("{}", r"has the field \{\}; expected the name of a parameter: id"),
        ("{0}", r"has the field \{0\}; expected the name"),
        ("{id.}", r"has the field \{id\.\}; expected"),
        ("{id!r}", r"has \{id!r\}; write \{id\}"),
        ("{id:{limit}}", "has a field inside of"),
        ("{id}{limit}", r"has a field next to \{id\}; put ':' between"),
        ("{id.__class__}", "reaches for the private part '__class__'"),
        ("{id.name._secret}", "reaches for the private part '_secret'"),
        ("{id", "cannot be read: "),
        ("id}", "cannot be read: "),
        ("a#{id}", "has '#' in it"),
    ],
)
def test_a_template_that_cannot_be_is_refused_at_once(template: str, message: str) -> None:
    for make in (lambda: Template(template, article), lambda: CallKey(article, key=template)):
        with pytest.raises(
            ValueError, match=f"^template {re.escape(repr(template))} of .*article "
        ) as e:
            make()
        assert re.search(message, str(e.value))


@pytest.mark.parametrize(
    ("template", "value", "message"),
    [
        ("{value.id}", None, "cannot be filled in: AttributeError.*no attribute 'id'"),
        ("{value[x]}", {}, "cannot be filled in: KeyError"),
        ("{value[1]}", [0], "cannot be filled in: IndexError"),
        ("{value:%Y}", "a", "cannot be filled in: ValueError"),
        ("{value}", Bare(), r"is a .*Bare; a key needs .*; name a part of it, or a format"),
        ("{value}", [Bare()], r"holds a .*Bare at \[0\];"),
    ],
)
def test_a_value_that_does_not_fit_a_template_is_refused(
    template: str, value: Any, message: str
) -> None:
    with pytest.raises(Unkeyable, match=message) as refusal:
        Template(f"t:{template}", one).of((value,), {})
    assert f"field {template} of the template 't:{template}' of {HERE}.one" in str(refusal.value)


PORTABLE = """
import datetime, decimal, fractions, importlib.util, json, pathlib, sys, uuid, zoneinfo
spec = importlib.util.spec_from_file_location("labkit.cache.keys", sys.argv[1])
keys = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # not labkit itself
spec.loader.exec_module(keys)

def search(text, *more, limit=10, **others): ...

words = ["one", "two", "three", "caf\\u00e9", "\\ud800", "\\u0378"]
call = dict(a=set(words), b=frozenset(words), c={word: 1 for word in words}, d=[1.5, 1e300, 1j])
values = [
    decimal.Decimal("1e3"), fractions.Fraction(1, 3), 10**5000, pathlib.Path("a/b"), range(3),
    datetime.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC")), uuid.UUID(int=5),
]
key = keys.CallKey(search, version=2)
tag = keys.Template("t:{others[a]}:{limit}", search)
print(json.dumps([key("x", **call), keys.encode(call), keys.encode(values), key(1, b="x"),
                  tag.of((1,), call)]))
"""


def portable(python: str, seed: str) -> Any:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [python, "-c", PORTABLE, keys.__file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_processes_with_other_hash_seeds_make_the_same_keys() -> None:
    first = portable(sys.executable, "1")
    assert first == portable(sys.executable, "2")
    assert re.fullmatch(r"__main__\.search@2\(x,.*#[0-9a-f]{32}", first[0])


def test_the_keys_of_a_worker_process_are_those_of_its_parent() -> None:
    def work() -> None: ...

    work.__qualname__, work.__module__ = "work", "__mp_main__"
    assert CallKey(work)() == "__main__.work()"


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_another_python_makes_the_same_keys(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-V"], capture_output=True).returncode:
        pytest.skip(f"there is no Python {version} here")
    assert portable(python, "3") == portable(sys.executable, "1")
