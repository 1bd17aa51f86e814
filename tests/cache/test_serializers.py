"""Serializers: what is stored comes back the same, what cannot is refused, garbage runs nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import hmac
import inspect
import math
import pickle
import struct
import threading
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple, NoReturn, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import example, given, settings

from labkit.cache.proof import prove
from labkit.cache.serializers import (
    Json,
    MessagePack,
    Raw,
    Serializer,
    SignedPickle,
    Undecodable,
    Unserializable,
)
from tests.scale import times

KEY, OTHER, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))
HOUR = dt.timezone(dt.timedelta(hours=1))
LISBON = ZoneInfo("Europe/Lisbon")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Article:
    id: int
    tags: tuple[str, ...] = ()
    extra: Any = None


class Point(msgspec.Struct):
    x: float
    y: float
    note: Any = None


class Pair(NamedTuple):
    left: int
    right: str | None


class Row(TypedDict):
    id: int
    when: dt.datetime


class Plain:
    """Equal only to itself, as objects are."""

    def __init__(self, value: int = 0) -> None:
        self.value = value


class Strange:
    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth of it is ambiguous")

    __hash__ = None  # type: ignore[assignment]


class Unwilling:
    def __reduce__(self) -> Any:
        raise OSError("no hands")


acted: list[str] = []


def act() -> None:
    acted.append("unpickled")


class Acts:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> Any:
        return act, ()


class Fails:
    def __reduce__(self) -> Any:
        return int, ("not a number",)


def exact(value: Any) -> str:
    """A text that differs wherever a type, an order, a zero's sign or a digit does."""
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}{sorted(map(exact, value))}"
    if isinstance(value, dict):
        return f"{type(value).__name__}{[(exact(k), exact(v)) for k, v in value.items()]}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}{list(map(exact, value))}"
    if dataclasses.is_dataclass(value) or isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in type(value).__annotations__}
        return f"{type(value).__name__}{exact(fields)}"
    return f"{type(value).__name__}({value!r})"


ZONES = st.sampled_from([None, dt.UTC, HOUR, LISBON])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(2**63), 2**64 - 1)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | numbers
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
hashables = st.recursive(
    st.none()
    | numbers
    | st.integers(-(2**90), 2**90)
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | texts
    | st.binary(max_size=8)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.dates()
    | st.times(timezones=ZONES)
    | st.datetimes(timezones=ZONES)
    | st.timedeltas()
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3)),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
anything = st.recursive(
    hashables
    | st.floats()
    | st.decimals(allow_nan=True)
    | st.complex_numbers()
    | st.binary(max_size=8).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashables, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3)
    ),
    max_leaves=12,
)
# ISO 8601 has no word for fold.
MOMENTS = st.datetimes(timezones=st.sampled_from([None, dt.UTC])).map(lambda m: m.replace(fold=0))
TYPED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (tuple[int, ...], st.lists(numbers).map(tuple)),
    (set[str], st.sets(texts)),
    (frozenset[int], st.frozensets(numbers)),
    (dict[int, list[bytes]], st.dictionaries(numbers, st.lists(st.binary()))),
    (dt.date, st.dates()),
    (dt.datetime, MOMENTS),
    (uuid.UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Article, st.builds(Article, numbers, st.lists(texts).map(tuple), texts)),
    (Point, st.builds(Point, *[st.floats(allow_nan=False, allow_infinity=False)] * 2)),
    (list[Pair], st.lists(st.builds(Pair, numbers, st.none() | texts))),
    (Article | None, st.none() | st.builds(Article, numbers)),
    (Row, st.fixed_dictionaries({"id": numbers, "when": MOMENTS})),
]
SERIALIZERS: list[Serializer] = [
    MessagePack(),
    MessagePack(Article),
    Json(),
    Json(dict[str, dt.datetime]),
    SignedPickle(KEY),
]


@settings(max_examples=times(400))
@given(anything)
@example({dt.date(2024, 2, 29): [(1, {2**64}), -(2**63) - 1]})
@example([math.nan, -0.0, Decimal("1.50"), complex(-0.0, math.nan)])
@example(dt.datetime(2024, 10, 27, 1, 30, tzinfo=LISBON, fold=1))
@example(dt.time(1, 30, fold=1))
@example({True: [False], None: {1.5: b""}})
def test_untyped_messagepack_keeps_every_common_type(value: Any) -> None:
    assert exact(MessagePack().loads(prove(MessagePack(), value))) == exact(value)


@settings(max_examples=times(200))
@given(anything)
def test_a_signed_pickle_keeps_every_common_type(value: Any) -> None:
    serializer = SignedPickle(KEY)
    assert exact(serializer.loads(prove(serializer, value))) == exact(value)


@settings(max_examples=times(200))
@given(json_values)
def test_untyped_json_keeps_what_json_has_a_word_for(value: Any) -> None:
    assert exact(Json().loads(prove(Json(), value))) == exact(value)


@pytest.mark.parametrize("make", [MessagePack, Json])
@settings(max_examples=times(200))
@given(st.sampled_from(TYPED).flatmap(lambda case: st.tuples(st.just(case[0]), case[1])))
@example((Article, Article(1, ("a",), {"deep": [1, None]})))
@example((dict[str, Any], {"rows": [{"id": 1, "title": "x"}]}))
def test_what_an_annotation_names_comes_back_as_itself(make: Any, case: tuple[Any, Any]) -> None:
    annotation, value = case
    serializer = make().for_type(annotation)
    assert exact(serializer.loads(prove(serializer, value))) == exact(value)
    assert exact(make(type=annotation).loads(serializer.dumps(value))) == exact(value)


@settings(max_examples=times(400))
@given(anything)
def test_what_prove_lets_through_untyped_json_is_the_same(value: Any) -> None:
    try:
        payload = prove(Json(), value)
    except Unserializable:
        return
    assert exact(Json().loads(payload)) == exact(value)


def test_rich_types_inside_an_untyped_part_of_an_annotation_come_back() -> None:
    serializer = MessagePack().for_type(dict[str, Any])
    value = {"when": dt.datetime(2024, 1, 1), "cost": Decimal("1.0"), "ids": (1, 2)}
    assert exact(serializer.loads(prove(serializer, value))) == exact(value)


@pytest.mark.parametrize("value", [1j, Fraction(1, 3), range(2)])
def test_types_unknown_to_msgspec_come_back_in_a_typed_record(value: Any) -> None:
    serializer = MessagePack(Article)
    kept = Article(1, extra=value)
    assert exact(serializer.loads(prove(serializer, kept))) == exact(kept)


def test_an_int_may_stand_where_the_annotation_says_float() -> None:
    serializer = MessagePack().for_type(dict[str, float])
    assert serializer.loads(prove(serializer, {"sum": 0})) == {"sum": 0.0}
    with pytest.raises(Unserializable):
        prove(serializer, {"sum": 2**53 + 1})
    with pytest.raises(Unserializable):
        prove(serializer, {"sum": True})


def test_utc_may_come_back_by_its_other_name_and_no_other_zone_may() -> None:
    serializer = MessagePack().for_type(dt.datetime)
    now = dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))
    assert serializer.loads(prove(serializer, now)) == now
    for zone in (LISBON, HOUR):  # Lisbon keeps UTC in winter, but not in summer
        with pytest.raises(Unserializable, match="datetime and comes back as another"):
            prove(serializer, now.replace(tzinfo=zone))


@pytest.mark.parametrize(
    ("serializer", "value", "said"),
    [
        (MessagePack(), Article(1), "value is of type Article and comes back as dict"),
        (MessagePack(), (1, Article(1)), r"value\[1\] is of type Article and comes back as dict"),
        (MessagePack(), {"a": [Point(1, 2)]}, r"value\['a'\]\[0\] is of type Point and"),
        (MessagePack(), Pair(1, ""), "Pair and comes back as list"),
        (MessagePack(), Colour.RED, "Colour and comes back as str"),
        (MessagePack(), [Level.LOW], r"value\[0\] is of type Level and comes back as int"),
        (MessagePack(), OrderedDict(a=1), "OrderedDict and comes back as dict"),
        (MessagePack(), {"a": defaultdict(int)}, r"value\['a'\] is of type defaultdict"),
        (MessagePack(), [Plain()], "no form for type Plain"),
        (MessagePack(), PurePosixPath("a"), "no form for type PurePosixPath"),
        (MessagePack(), (n for n in "ab"), "no form for type generator"),
        (MessagePack(), "\ud800", "surrogates"),
        (MessagePack(), {math.nan}, "set and comes back as another"),
        (MessagePack(), dt.timezone(dt.timedelta(hours=1), "X"), "timezone and comes back as an"),
        (MessagePack(int), 2**70, "can't serialize ints"),
        (MessagePack(int), "1", "Expected `int`, got `str`"),
        (MessagePack(dt.datetime), dt.datetime(2024, 1, 1, fold=1), "comes back as another"),
        (MessagePack(list[int]), (1,), "tuple and comes back as list"),
        (MessagePack(Article), Article(1, extra=(1,)), r"value\.extra is of type tuple"),
        (MessagePack(Point), Point(1, 2, {1}), r"value\.note is of type set and comes back as l"),
        (Json(), (1, 2), "tuple and comes back as list"),
        (Json(), {"a": {1: 2}}, r"value\['a'\], key 1 is of type int and comes back as str"),
        (Json(), {1: 1, "1": 2}, "dict and comes back as another"),
        (Json(), {"a": math.nan}, r"value\['a'\] is of type float and comes back as NoneType"),
        (Json(), dt.date(2024, 1, 1), "date and comes back as str"),
        (Json(), b"a", "bytes and comes back as str"),
        (Json(), Plain(), "Plain"),
        (Json(), {(1, 2): 3}, "keys"),
    ],
)
def test_what_would_come_back_changed_is_refused_with_its_place_and_a_way_out(
    serializer: Serializer, value: Any, said: str
) -> None:
    with pytest.raises(Unserializable, match=said) as refused:
        prove(serializer, value)
    text = str(refused.value)
    assert text.startswith(f"{serializer!r} cannot store a value of type {type(value).__name__}: ")
    assert "annotate exactly what the function returns" in text
    assert text.endswith("or use SignedPickle")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda: 1, "type function"),
        (threading.Lock(), "type lock: cannot pickle"),
        (Unwilling(), "type Unwilling: no hands; return plain data"),
        (Fails(), "type Fails: the pickle cannot be read"),
    ],
)
def test_what_pickle_does_not_take_is_refused(value: Any, said: str) -> None:
    with pytest.raises(Unserializable, match=said) as refused:
        prove(SignedPickle(KEY), value)
    assert str(refused.value).endswith("; return plain data")


@pytest.mark.parametrize("serializer", SERIALIZERS, ids=repr)
def test_a_value_that_holds_itself_is_refused(serializer: Serializer) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(Unserializable, match="nested too deeply, or holds itself"):
        prove(serializer, endless)


def test_objects_that_are_no_records_are_left_to_their_serializer() -> None:
    serializer = SignedPickle(KEY)
    for value in (Plain(1), Strange(), [Plain(), {"a": Strange()}]):
        assert type(serializer.loads(prove(serializer, value))) is type(value)


class Lossy:
    """A user's serializer that gives back what it was told to."""

    def __init__(self, back: Any) -> None:
        self.back = back

    def dumps(self, value: Any) -> bytes:
        return b""

    def loads(self, payload: bytes) -> Any:
        return self.back

    def for_type(self, annotation: Any) -> Serializer:
        return self


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (1, 2),
        (0.0, -0.0),
        (1, True),
        (1.0, 1),
        (Decimal("1.0"), Decimal("1.00")),
        ([1, 2], [1]),
        ([1], [1, 2]),
        ((1,), (2,)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({None, 1}, {1, 2}),
        ({1}, {1, 2}),
        ({1.0}, {1}),
        ({(1, 2.0)}, {(1, 2)}),
        (Pair(1, "a"), Pair(1, "b")),
        (Article(1), Article(2)),
        (Point(1, 2), Point(1, 3)),
        (Colour.RED, Colour.BLUE),
        (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, fold=1)),
        (dt.time(1), dt.time(1, tzinfo=dt.UTC)),
        (bytearray(b"a"), bytearray(b"b")),
        (range(3), range(4)),
        (OrderedDict(a=1), OrderedDict(a=2)),
    ],
)
def test_prove_sees_every_change_that_a_serializer_makes(value: Any, back: Any) -> None:
    assert prove(Lossy(value), value) == b""
    with pytest.raises(Unserializable):
        prove(Lossy(back), value)


def test_raw_takes_bytes_and_nothing_else() -> None:
    assert Raw().loads(prove(Raw(), b"\x00abc")) == b"\x00abc"
    for value in ("abc", bytearray(b"abc"), memoryview(b"abc"), None, 1):
        with pytest.raises(Unserializable, match=f"type {type(value).__name__}; Raw stores bytes"):
            prove(Raw(), value)


@pytest.mark.parametrize("make", [MessagePack, Json])
@pytest.mark.parametrize(
    "annotation",
    [None, Any, object, inspect.Signature.empty, "Article", TypeVar("T")],
    ids=repr,
)
def test_where_there_is_no_type_the_serializer_stays_as_it_is(make: Any, annotation: Any) -> None:
    serializer = make()
    assert serializer.for_type(annotation) is serializer


def test_a_serializer_made_for_a_type_stays_with_it() -> None:
    serializer = MessagePack(Article)
    assert serializer.for_type(int) is serializer


@pytest.mark.parametrize("annotation", [int | list[int] | tuple[int, ...], NoReturn, list["Gone"]])  # type: ignore[name-defined]  # noqa: F821
def test_an_annotation_that_msgspec_cannot_read_is_left_out_and_the_repr_says_so(
    annotation: Any,
) -> None:
    serializer = MessagePack().for_type(annotation)
    assert repr(serializer).startswith("MessagePack(Any; not ")
    assert repr(serializer).endswith(", unreadable)")
    assert serializer.loads(prove(serializer, (1, 2))) == (1, 2)


@pytest.mark.parametrize("annotation", [Iterable[int], Sequence[int]])
def test_an_abstract_annotation_takes_a_list(annotation: Any) -> None:
    serializer = MessagePack().for_type(annotation)
    assert serializer.loads(prove(serializer, [1, 2])) == [1, 2]


def test_reprs_are_short_and_tell_no_secret() -> None:
    assert repr(MessagePack()) == "MessagePack()"
    assert repr(MessagePack(list[int])) == "MessagePack(list[int])"
    assert repr(Json(int)) == "Json(int)"
    assert repr(Raw()) == "Raw()"
    assert repr(SignedPickle(KEY)) == "SignedPickle(<1 key>)"
    assert repr(SignedPickle([KEY, OTHER])) == "SignedPickle(<2 keys>)"


def test_serializers_can_be_dictionary_keys() -> None:
    all_of_them = [*SERIALIZERS, Raw()]
    assert len(dict.fromkeys(all_of_them)) == len(all_of_them)


@pytest.mark.parametrize("serializer", SERIALIZERS, ids=repr)
@settings(max_examples=times(300))
@given(st.binary(max_size=60))
@example(b"")
@example(b"\x91" * 100_000)
@example(b"[" * 100_000)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xc1")
@example(pickle.dumps(Acts(), protocol=5))
def test_garbage_is_undecodable_or_a_value(serializer: Serializer, garbage: bytes) -> None:
    try:
        value = serializer.loads(garbage)
    except Undecodable:
        pass
    else:
        assert not isinstance(serializer, SignedPickle)
        assert type(serializer.dumps(value)) is bytes
    assert acted == []


CODES = st.integers(-128, 127) | st.integers(1, 17)
PARTS = st.recursive(
    numbers | texts | st.floats() | st.binary(max_size=4) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=times(600))
@given(CODES, PARTS.map(msgspec.msgpack.encode) | st.binary(max_size=12))
@example(4, msgspec.msgpack.encode(2**20))  # bytearray(2**20)
@example(8, msgspec.msgpack.encode(["1e999999999"]))  # Fraction of a text
@example(9, msgspec.msgpack.encode([0, 1, 0]))
@example(2, msgspec.msgpack.encode([[]]))
@example(16, msgspec.msgpack.encode("../../etc/passwd"))
@example(14, msgspec.msgpack.encode([10**12]))
def test_a_forged_extension_is_undecodable_or_a_small_value(code: int, data: bytes) -> None:
    payload = msgspec.msgpack.encode(msgspec.msgpack.Ext(code, data))
    try:
        value = MessagePack().loads(payload)
    except Undecodable:
        return
    assert not isinstance(value, bytearray) or len(value) <= len(data)


def test_extensions_nested_without_end_are_undecodable() -> None:
    payload = b"\x01"
    for _ in range(5000):
        payload = msgspec.msgpack.encode(msgspec.msgpack.Ext(1, payload))
    with pytest.raises(Undecodable):
        MessagePack().loads(payload)


STORED: list[Any] = [
    {"a": [1, 2.5, "text", None]},
    [dt.date(2024, 1, 1), (1, 2**80)],
    [b"bytes", Decimal("1.5")],
]


@pytest.mark.parametrize("value", STORED, ids=repr)
def test_a_truncated_payload_is_undecodable(value: Any) -> None:
    for serializer in (MessagePack(), SignedPickle(KEY)):
        payload = prove(serializer, value)
        for size in range(len(payload)):
            with pytest.raises(Undecodable):
                serializer.loads(payload[:size])
        with pytest.raises(Undecodable):
            serializer.loads(payload + b"\x00")


def test_a_payload_of_another_type_is_undecodable() -> None:
    for make in (MessagePack, Json):
        payload = make().dumps({"id": "no number"})
        with pytest.raises(Undecodable, match="Expected `int`, got `str`"):
            make(Article).loads(payload)


def test_an_error_of_a_records_own_check_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="below zero"):
        MessagePack(Checked).loads(b"\x81\xa2id\xff")


@dataclasses.dataclass
class Checked:
    id: int

    def __post_init__(self) -> None:
        if self.id < 0:
            raise ArithmeticError("below zero")


def test_the_stored_bytes_of_every_form_stay_readable() -> None:
    """A stored value outlives the program that wrote it, so these bytes never change."""
    value = [
        (1, {2}, frozenset({3}), bytearray(b"4"), 2**64, 1j, Decimal("7.0"), Fraction(8, 9)),
        (range(1, 9, 2), uuid.UUID(int=10), dt.date(2024, 1, 11), dt.time(12, fold=1)),
        (dt.datetime(2024, 1, 13, tzinfo=HOUR), dt.timedelta(14, 15, 16), LISBON, dt.UTC),
    ]
    payload = bytes.fromhex(STABLE)
    assert exact(MessagePack().loads(payload)) == exact(value)
    assert prove(MessagePack(), value) == payload


STABLE = (
    "93c743019801d5029102d5039103c70304c40134c70b05c409010000000000000000c7130692cb0000000000"
    "000000cb3ff0000000000000d607a3372e30c70608c70301920809c7390194d60993010902c7120ac4100000"
    "000000000000000000000000000ac70b0baa323032342d30312d3131c70c0c93a831323a30303a303001c0c7"
    "460194c7220d93b3323032342d30312d31335430303a30303a303000c7090fc7060e9300cd0e1000d60e930e"
    "0f10c70e10ad4575726f70652f4c6973626f6ec7060fd60e93000000"
)


@settings(max_examples=times(60))
@given(st.integers(1, 255), st.booleans())
def test_a_signed_pickle_with_any_byte_changed_is_never_unpickled(flip: int, two: bool) -> None:
    serializer = SignedPickle([KEY, OTHER] if two else KEY)
    payload = serializer.dumps(Acts())
    for place in range(len(payload)):
        forged = bytearray(payload)
        forged[place] ^= flip
        with pytest.raises(Undecodable):
            serializer.loads(bytes(forged))
    assert acted == []
    serializer.loads(payload)
    assert acted == ["unpickled"]
    acted.clear()


def test_the_first_key_signs_and_every_key_verifies() -> None:
    old, both, new = SignedPickle(KEY), SignedPickle([OTHER, KEY]), SignedPickle([OTHER])
    assert both.loads(old.dumps("value")) == "value"
    assert new.loads(both.dumps("value")) == "value"
    with pytest.raises(Undecodable, match="not signed by one of the keys"):
        old.loads(both.dumps("value"))
    with pytest.raises(Undecodable):
        SignedPickle([THIRD, KEY]).loads(both.dumps("value"))


def test_every_key_is_compared_wherever_the_match_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare = hmac.compare_digest

    def counting(one: Any, other: Any) -> bool:
        compared.append(one)
        return bool(compare(one, other))

    monkeypatch.setattr("labkit.cache.serializers.hmac.compare_digest", counting)
    serializer = SignedPickle([KEY, OTHER, THIRD])
    for signer in (KEY, THIRD):
        compared.clear()
        serializer.loads(SignedPickle(signer).dumps(1))
        assert len(compared) == 3


def test_a_signature_covers_its_context_the_version_and_the_length() -> None:
    """The frame as it is written down; a change of it needs a new version."""
    pickled = pickle.dumps({"a": 1}, protocol=5)
    signed = b"labkit.cache SignedPickle" + b"\x01" + struct.pack(">Q", len(pickled)) + pickled
    signature = hmac.digest(KEY, signed, "sha256")
    assert SignedPickle(KEY).dumps({"a": 1}) == b"\x01" + signature + pickled
    for other in (signed[1:], pickled):
        forged = hmac.digest(KEY, other, "sha256")
        with pytest.raises(Undecodable):
            SignedPickle(KEY).loads(b"\x01" + forged + pickled)


def test_a_signed_pickle_whose_class_is_gone_is_undecodable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payload = SignedPickle(KEY).dumps(Plain())
    monkeypatch.delitem(globals(), "Plain")
    with pytest.raises(Undecodable, match="Plain"):
        SignedPickle(KEY).loads(payload)


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        ([], ValueError, r"keys is empty; expected one, such as secrets.token_bytes\(32\)"),
        (b"", ValueError, "0 bytes; expected 32 or more"),
        (b"secret!" * 4, ValueError, r"28 bytes; expected 32 or more, such as secrets.token_byt"),
        ([KEY, KEY[:31]], ValueError, "31 bytes"),
        (["k" * 40], TypeError, "type str; expected bytes"),
        ("k" * 40, TypeError, "type str; expected bytes"),
    ],
)
def test_keys_that_protect_nothing_are_refused_and_not_shown(
    keys: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as refused:
        SignedPickle(keys)
    assert "secret!" not in str(refused.value)


def test_one_serializer_serves_many_threads() -> None:
    serializer = MessagePack()
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(times(300)):
            value = [number, (turn, 2**70 + number), {"d": Decimal(turn)}]
            if serializer.loads(prove(serializer, value)) != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
