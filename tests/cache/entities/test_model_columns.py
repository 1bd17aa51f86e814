"""What the columns of models hold comes back from a store as it was, or is refused beforehand."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections import OrderedDict  # noqa: TC003 - SQLAlchemy reads it
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import JSON, Enum, ForeignKey, Integer, Numeric, PickleType, String, create_engine
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedColumn,
    deferred,
    mapped_column,
    reconstructor,
    sessionmaker,
)
from sqlalchemy.types import TypeDecorator

from labkit.cache import Unserializable
from labkit.cache.backends.memory import MemoryTier
from labkit.cache.entities.kinds import Kind
from labkit.cache.policies import Policy
from labkit.cache.smart import SmartCache
from labkit.cache.sources.models import ModelSource
from labkit.clock import FakeClock
from tests.cache.dict_store import DictTier
from tests.cache.entities import press


class Base(DeclarativeBase):
    pass


class Status(enum.Enum):
    DRAFT = "draft"
    LIVE = "live"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Tone(enum.StrEnum):
    WARM = enum.auto()
    COLD = enum.auto()


class Corner(enum.Enum):
    """Its values are of no type that msgspec reads."""

    LEFT = (0, "left")
    RIGHT = (1, "right")


@dataclass(frozen=True)
class Money:
    cents: int
    currency: str = "EUR"


class Opaque:
    def __init__(self, text: str) -> None:
        self.text = text


class MoneyColumn(TypeDecorator[Money]):
    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Money | None, dialect: Any) -> Any:
        return None if value is None else value.cents

    def process_result_value(self, value: Any, dialect: Any) -> Money | None:
        return None if value is None else Money(value)


class OpaqueColumn(TypeDecorator[Opaque]):
    impl = String
    cache_ok = True


class WordsColumn(TypeDecorator[Any]):
    """What it makes of values is written nowhere: lists of words."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return " ".join(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value.split()


class ZonedColumn(TypeDecorator[dt.datetime]):
    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value.replace(tzinfo=None).isoformat()

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return dt.datetime.fromisoformat(value).replace(tzinfo=ZoneInfo("Europe/Berlin"))


class UserId(str):
    __slots__ = ()


class UserIdColumn(TypeDecorator[Any]):
    impl = String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return UserId(value)


class JsonColumn(TypeDecorator[Any]):
    """A column of JSON whose values come out as they went in."""

    impl = JSON
    cache_ok = True


class PaidColumn(JsonColumn):
    """Makes dicts with an object in them."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return {"sum": value["sum"].cents}

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return {"sum": Money(value["sum"])}


class Look(TypedDict):
    color: str
    width: int


class Paid(TypedDict):
    sum: Money


Leafy = dict[str, "Leafy"] | list["Leafy"] | int


class Page(Base):
    """Columns of JSON, annotated as people do."""

    __tablename__ = "page"
    id: Mapped[int] = mapped_column(primary_key=True)
    watched: Mapped[MutableDict[str, Any]] = mapped_column(MutableDict.as_mutable(JSON))
    listed: Mapped[MutableList] = mapped_column(MutableList.as_mutable(JSON))  # type: ignore[type-arg]
    things: Mapped[dict[str, object]] = mapped_column(JSON)
    members: Mapped[list[object]] = mapped_column(JSON)
    leafy: Mapped[Leafy] = mapped_column(JSON)
    ordered: Mapped[OrderedDict[str, int]] = mapped_column(JSON)
    look: Mapped[Look] = mapped_column(JSON)


class Form(Base):
    """The same over a `TypeDecorator`."""

    __tablename__ = "form"
    id: Mapped[int] = mapped_column(primary_key=True)
    watched: Mapped[MutableDict[str, object]] = mapped_column(MutableDict.as_mutable(JsonColumn))
    leafy: Mapped[Leafy] = mapped_column(JsonColumn)
    look: Mapped[Look] = mapped_column(JsonColumn)
    paid: Mapped[Paid] = mapped_column(PaidColumn)


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(Numeric(10, 0), primary_key=True)


class User(Base):
    __tablename__ = "user"
    id: Mapped[str] = mapped_column(UserIdColumn, primary_key=True)


class Thing(Base):
    """One column of each type."""

    __tablename__ = "thing"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[Status]
    maybe: Mapped[Status | None]
    size: Mapped[Size] = mapped_column(Enum(Size))
    tone: Mapped[Tone]
    corner: Mapped[Corner]
    at: Mapped[dt.datetime]
    day: Mapped[dt.date]
    noon: Mapped[dt.time]
    span: Mapped[dt.timedelta]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    owner: Mapped[UUID | None]
    body: Mapped[bytes]
    open: Mapped[bool]
    ratio: Mapped[float]
    extra: Mapped[dict[str, Any]] = mapped_column(JSON)
    money: Mapped[Money] = mapped_column(MoneyColumn)
    tip: Mapped[Money | None] = mapped_column(MoneyColumn)
    words: MappedColumn[Any] = mapped_column(WordsColumn)
    wide: Mapped[int | None] = mapped_column(deferred=True)


class Note(Base):
    """Values that only MessagePack keeps as they are."""

    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(ZonedColumn)
    pairs: Mapped[list[Any]] = mapped_column(PickleType)
    marks: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(JSON))

    @reconstructor
    def begin(self) -> None:
        self.fresh = True


class Secret(Base):
    __tablename__ = "secret"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[Opaque | None] = mapped_column(OpaqueColumn)


class Pet(Base):
    __tablename__ = "pet"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}  # noqa: RUF012


class Dog(Pet):
    """With a table of its own."""

    __tablename__ = "dog"
    id: Mapped[int] = mapped_column(ForeignKey("pet.id"), primary_key=True)
    bark: Mapped[str] = deferred(mapped_column(String))
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012


class Cat(Pet):
    """In the table of all."""

    lives: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Fish(Pet):
    """With no columns of its own."""

    __mapper_args__ = {"polymorphic_identity": "fish"}  # noqa: RUF012


ID, OWNER = UUID(int=1), UUID(int=2)
THING: dict[str, Any] = {
    "status": Status.LIVE,
    "maybe": None,
    "size": Size.LARGE,
    "tone": Tone.COLD,
    "corner": Corner.RIGHT,
    "at": dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    "day": dt.date(2026, 1, 2),
    "noon": dt.time(12, 0, 0, 1),
    "span": dt.timedelta(days=1, microseconds=1),
    "price": Decimal("1.50"),
    "owner": OWNER,
    "body": b"\x00\xff",
    "open": True,
    "ratio": 1.5,
    "extra": {"a": [1, 2.5, None, {"b": "c"}]},
    "money": Money(250),
    "tip": None,
    "words": ["one", "two"],
    "wide": 7,
}


@pytest.fixture
def sessions(tmp_path: Any) -> sessionmaker[Any]:
    engine = create_engine(f"sqlite:///{tmp_path / 'things.db'}")
    Base.metadata.create_all(engine)
    return sessionmaker(engine)


@pytest.fixture
def tier() -> DictTier:
    return DictTier(FakeClock(1_000))


def add(sessions: sessionmaker[Any], *rows: Any) -> None:
    with sessions() as session:
        session.add_all(rows)
        session.commit()


def same(value: Any, kept: dict[str, Any]) -> None:
    assert {field: getattr(value, field) for field in kept} == kept
    assert {field: type(getattr(value, field)) for field in kept} == {
        field: type(content) for field, content in kept.items()
    }


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_every_column_comes_back_as_it_was(
    sessions: sessionmaker[Any], tier: DictTier, serializer: str
) -> None:
    add(sessions, Thing(id=ID, **THING))
    source = ModelSource(sessions, Thing)
    policy = Policy(serializer=serializer)
    for load in (source, None, None):  # the second and the third are answered by the store
        with SmartCache([tier]) as smart:
            things = smart.entity(Thing, load or Nothing(), policy=policy)
            same(things.get(ID), THING)
            [found] = things.get_many([ID]).values()
            same(found, THING)


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_what_a_save_keeps_comes_back_as_it_was(
    sessions: sessionmaker[Any], tier: DictTier, serializer: str
) -> None:
    policy = Policy("write-through", serializer=serializer)
    changed = THING | {"maybe": Status.DRAFT, "tip": Money(5), "owner": None, "wide": None}
    with SmartCache([tier]) as smart:
        things = smart.entity(Thing, ModelSource(sessions, Thing), policy=policy)
        things.save(Thing(id=ID, **changed))
    with SmartCache([tier]) as smart:
        same(smart.entity(Thing, Nothing(), policy=policy).get(ID), changed)


def test_json_is_text_that_other_programs_read(sessions: sessionmaker[Any], tier: DictTier) -> None:
    add(sessions, Pet(id=1, name="Rex"))
    with SmartCache([tier], namespace="text") as smart:
        pets = smart.entity(Pet, ModelSource(sessions, Pet), policy=Policy(serializer="json"))
        pets.get(1)
        [found] = tier.open("text").get_many([pets.key(1)])
    payload = found.payload
    text = payload[payload.index(b"{") : payload.rindex(b"}") + 1]
    assert json.loads(text) == {"id": 1, "kind": "pet", "name": "Rex"}


def test_messagepack_keeps_zones_tuples_and_what_watches_changes(
    sessions: sessionmaker[Any], tier: DictTier
) -> None:
    at = dt.datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    add(sessions, Note(id=1, at=at, pairs=[(1, 2), {3}], marks={"a": 1}))
    for source in (ModelSource(sessions, Note), Nothing()):
        with SmartCache([tier]) as smart:
            found: Any = smart.entity(Note, source).get(1)
            assert (found.at, str(found.at.tzinfo)) == (at, "Europe/Berlin")
            assert found.pairs == [(1, 2), {3}]
            assert found.fresh
    with sessions() as session:
        attached = session.merge(found, load=False)
        attached.marks["b"] = 2
        session.commit()
    assert ModelSource(sessions, Note).load(1).marks == {"a": 1, "b": 2}


def test_a_column_that_cannot_come_back_is_refused_at_once() -> None:
    with SmartCache() as smart:
        with pytest.raises(
            TypeError, match=r"Secret\.text holds values of type Opaque, which"
        ) as e:
            smart.entity(Secret, Nothing())
        assert "let OpaqueColumn() make a dataclass" in str(e.value)
        with pytest.raises(LookupError):
            smart["Secret"]


PAGE: dict[str, Any] = {
    "watched": {"a": 1},
    "listed": [1, "b"],
    "things": {"a": [None]},
    "members": [1, {}],
    "leafy": [{"a": 1}],
    "ordered": {"b": 1, "a": 2},
    "look": {"color": "red", "width": 1},
}


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
@pytest.mark.parametrize("look", [{"color": "red"}, PAGE["look"], PAGE["look"] | {"more": [1]}])
def test_what_is_plain_json_comes_back_whatever_its_annotation(
    sessions: sessionmaker[Any], tier: DictTier, serializer: str, look: Any
) -> None:
    row = PAGE | {"look": look}
    add(sessions, Page(id=1, **row))
    policy = Policy(serializer=serializer)
    for source in (ModelSource(sessions, Page), Nothing()):
        with SmartCache([tier]) as smart:
            found: Any = smart.entity(Page, source, policy=policy).get(1)
            assert {field: getattr(found, field) for field in row} == row
            assert isinstance(found.watched, MutableDict)
            assert isinstance(found.listed, MutableList)


@pytest.mark.parametrize("look", [{"color": "red"}, PAGE["look"] | {"more": [1]}])
def test_a_decorated_column_is_stored_without_what_its_annotation_adds(
    sessions: sessionmaker[Any], tier: DictTier, look: Any
) -> None:
    row = {"watched": {"a": [1]}, "leafy": [{"a": 1}], "look": look, "paid": {"sum": Money(5)}}
    add(sessions, Form(id=1, **row))
    for source in (ModelSource(sessions, Form), Nothing()):
        with SmartCache([tier]) as smart:
            found: Any = smart.entity(Form, source).get(1)
            assert {field: getattr(found, field) for field in row} == row


def test_ids_are_what_the_annotation_says_where_the_column_makes_others(
    sessions: sessionmaker[Any], tier: DictTier
) -> None:
    add(sessions, Account(id=1))
    with SmartCache([tier]) as smart:
        accounts = smart.entity(Account, ModelSource(sessions, Account))
        found: Any = accounts.get(1)
        assert type(found.id) is Decimal
        assert accounts.get(found.id) is not None
        assert accounts.stats().loads == 1
        accounts.save(found)
        assert accounts.get(1) is not None
        assert accounts.stats().loads == 2  # what was there is gone
    told = Kind(Account).id_from("1")
    assert (told, type(told)) == (1, int)


def test_ids_that_a_column_makes_are_no_others(sessions: sessionmaker[Any]) -> None:
    add(sessions, User(id="ann"))
    with SmartCache([MemoryTier()]) as smart:
        users = smart.entity(User, ModelSource(sessions, User))
        found: Any = users.get("ann")
        made = found.id
        assert type(made) is UserId
        assert users.get(made) is not None
        assert users.stats().loads == 1


def test_a_value_of_another_type_than_its_column_is_refused_by_name(tier: DictTier) -> None:
    wrong = Thing(id=ID, **THING | {"status": "live"})
    with SmartCache([tier]) as smart:
        things = smart.entity(Thing, Nothing({ID: wrong}))
        with pytest.raises(Unserializable, match=r"Thing\.status: .* comes back as NoneType"):
            things.get(ID)


def test_a_renamed_member_is_a_miss(sessions: sessionmaker[Any], tier: DictTier) -> None:
    def model(names: str) -> Any:
        members: Any = enum.Enum("Tone", names)  # type: ignore[misc]

        class Own(DeclarativeBase):
            pass

        class Part(Own):
            __tablename__ = "part"
            id: Mapped[int] = mapped_column(primary_key=True)
            tone = mapped_column(Enum(members))

        return Part

    for names, loads in (("low high", 1), ("low high", 0), ("low loud", 1)):
        part = model(names)
        low = part.__mapper__.columns["tone"].type.enum_class.low
        source = Nothing({1: part(id=1, tone=low)})
        with SmartCache([tier]) as smart:
            assert smart.entity(part, source).get(1).tone is low
        assert source.loads == loads


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_objects_of_subclasses_come_back_as_such(
    sessions: sessionmaker[Any], tier: DictTier, serializer: str
) -> None:
    add(
        sessions,
        Pet(id=1, name="p"),
        Dog(id=2, name="d", bark="wuff"),
        Cat(id=3, name="c", lives=9),
        Fish(id=4, name="f"),
    )
    policy = Policy(serializer=serializer)
    for load in (ModelSource(sessions, Pet), None):
        with SmartCache([tier]) as smart:
            pets = smart.entity(Pet, load or Nothing(), policy=policy)
            found: dict[int, Any] = pets.get_many([1, 2, 3, 4])
            assert [type(found[n]) for n in (1, 2, 3, 4)] == [Pet, Dog, Cat, Fish]
            assert (found[2].name, found[2].bark, found[3].lives) == ("d", "wuff", 9)
    with SmartCache([tier]) as smart:
        dogs = smart.entity(Dog, ModelSource(sessions, Dog), policy=policy)
        dogs.save(Dog(id=2, name="d", bark="grr"))
        assert [each and each.bark for each in (dogs.get(2), dogs.get(3))] == ["grr", None]


@pytest.mark.parametrize("type_", [Pet, press.Topic, press.Page])
def test_raw_is_for_no_entity(type_: Any) -> None:
    with SmartCache() as smart:
        expected = rf'the serializer of {type_.__name__} is "raw", .* expected "msgpack" or "json"'
        with pytest.raises(ValueError, match=expected):
            smart.entity(type_, Nothing(), policy=Policy(serializer="raw"))


class Nothing:
    """A source with no more than what it was given."""

    def __init__(self, rows: dict[Any, Any] | None = None) -> None:
        self.rows = rows or {}
        self.loads = 0

    def load(self, key: Any) -> Any:
        self.loads += 1
        return self.rows.get(key)

    def load_many(self, keys: Any) -> dict[Any, Any]:
        self.loads += 1
        return {key: self.rows[key] for key in keys if key in self.rows}

    def save(self, key: Any, value: Any) -> None:
        self.rows[key] = value

    def delete(self, key: Any) -> None:
        self.rows.pop(key, None)

    def versions(self, keys: Any) -> dict[Any, Any]:
        return {}
