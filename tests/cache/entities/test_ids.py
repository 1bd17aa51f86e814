"""Ids: one key for each entity, and those that only the database knows."""

# ruff: noqa: A002 - an id is called id

from __future__ import annotations

import asyncio
import datetime as dt
import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NewType
from uuid import UUID

import msgspec
import numpy as np
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from labkit.cache import FunctionSource
from labkit.cache.entities import Many, One
from labkit.cache.known import KnownSet
from labkit.cache.policies import Policy
from labkit.cache.smart import AsyncSmartCache, SmartCache
from labkit.cache.sources.models import ModelSource
from tests.cache.conftest import Bed
from tests.cache.entities.press import Article, Headline, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cache.conftest import Benches
    from tests.cache.entities.conftest import Plain


@pytest.fixture(params=["memory", "memory+fake"])
def bed(request: pytest.FixtureRequest, benches: Benches, awaited: bool) -> Iterator[Bed]:
    """Caches whose tiers differ as far as ids are concerned, with both faces."""
    yield Bed(request.param, benches, awaited=awaited)
    benches.close_caches()


# --- Of which type they are

METHODS: dict[str, Callable[[Plain, Any], Any]] = {
    "get": lambda press, one: press["Article"].get(one),
    "get_many": lambda press, one: press["Article"].get_many([2, one]),
    "refresh": lambda press, one: press["Article"].refresh(one),
    "part": lambda press, one: press.part("Article", Headline).get(one),
    "parts": lambda press, one: press.part("Article", Headline).get_many([2, one]),
    "related": lambda press, one: press["Article"].related(one, "author"),
    "related_many": lambda press, one: press["Article"].related_many([2, one], "topics"),
    "save": lambda press, one: press["Article"].save(Article(one, 1, "...", [])),
    "delete": lambda press, one: press["Article"].delete(one),
    "invalidate": lambda press, one: press["Article"].invalidate(one),
    "warm": lambda press, one: press["Article"].warm([2, one]),
    "warm lazily": lambda press, one: press["Article"].warm(iter([one])),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("id", ["1", 1.0, True])
def test_an_id_of_another_type_is_refused(press: Plain, method: str, id: Any) -> None:
    rows = dict(press.press.articles)
    message = rf"the id of Article is .*, of type {type(id).__qualname__}; expected type int, so"
    with pytest.raises(TypeError, match=message):
        METHODS[method](press, id)
    assert press.press.asked == []
    assert press.press.articles == rows


def test_a_relation_that_leads_to_an_id_of_another_type_is_told(
    smart: Callable[..., Plain],
) -> None:
    plain = smart()
    wrong = Many(to="Topic", load=lambda ids: {each: [1, "2"] for each in ids})
    plain.smart.entity(Topic, FunctionSource(lambda key: Topic(key, "...")), relations={"x": wrong})
    with pytest.raises(TypeError, match=r"Topic\.x leads to '2', of type str; expected type int"):
        plain["Topic"].related(1, "x")


def test_a_field_of_another_type_than_the_ids_it_holds_is_refused(awaited: bool) -> None:
    """What a write makes old could not be dropped: it has another key."""

    class Line(msgspec.Struct, frozen=True):
        id: int
        topic_id: str | None
        topic_ids: list[str]

    for wrong in (One(to="Topic", field="topic_id"), Many(to="Topic", field="topic_ids")):
        smart: Any = AsyncSmartCache() if awaited else SmartCache()
        rows: dict[Any, Any] = {}
        lines = smart.entity(
            Line, FunctionSource(rows.get, save=rows.__setitem__), relations={"topic": wrong}
        )
        smart.entity(Topic, FunctionSource(lambda key: Topic(key, "...")))
        message = (
            r"Line\.topic leads by topic_ids?, of type str, to Topic, whose ids are of type int"
        )
        with pytest.raises(TypeError, match=message):
            finish(lines.save(Line(1, "2", ["2"])), awaited)
        assert rows == {}


def finish(answer: Any, awaited: bool) -> Any:
    return asyncio.run(_wait(answer)) if awaited else answer


async def _wait(answer: Any) -> Any:
    return await answer


class Colour(enum.Enum):
    RED = "red"


Number = NewType("Number", int)


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (str, "1", 1),
        (bytes, b"1", "1"),
        (UUID, UUID(int=1), str(UUID(int=1))),
        (Decimal, Decimal(1), 1),
        (dt.date, dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)),
        (Colour, Colour.RED, "red"),
        (Number, 1, "1"),
        (Annotated[int, msgspec.Meta(gt=0)], 1, "1"),
        (int | None, 1, None),
        (int | str, "1", ...),
        (Any, 1.0, ...),
    ],
)
def test_the_class_says_of_which_type_an_id_is(annotation: Any, good: Any, bad: Any) -> None:
    thing = msgspec.defstruct("Thing", [("id", annotation)])
    with SmartCache() as smart:
        things = smart.entity(thing, FunctionSource(thing))
        assert things.get(good) == thing(good)
        if bad is not ...:
            with pytest.raises(TypeError, match=f"the id of Thing is .*{type(bad).__name__}"):
                things.get(bad)


class Place(NamedTuple):
    row: int
    letter: str
    on: str | None


class Letter(enum.StrEnum):
    B = "B"


class Ordinal(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize("id", [np.int64(1), Ordinal.ONE])
def test_what_says_the_same_is_the_same_id(press: Plain, id: Any) -> None:
    article = press["Article"].get(1)
    assert press["Article"].get(id) == article
    assert press["Article"].get_many([id]) == {1: article}
    assert len(press.press.asked) == 1
    press["Article"].invalidate(id)
    press["Article"].get(1)
    assert len(press.press.asked) > 1


def test_an_id_of_several_fields_is_a_tuple_of_their_types() -> None:
    class Seat(msgspec.Struct, frozen=True):
        row: int
        letter: str
        on: str | None

    with SmartCache() as smart:
        source: Any = FunctionSource(lambda key: Seat(*key))
        seats = smart.entity(Seat, source, id=["row", "letter", "on"])
        assert seats.get((3, "B", None)) == Seat(3, "B", None)
        wanted = r"expected a tuple of row \(int\), letter \(str\), on \(any\)"
        for same in ([3, "B", None], Place(3, "B", None), (np.int64(3), Letter.B, None)):
            assert seats.key(seats.ids.plain(same)) == seats.key((3, "B", None))
            assert seats.get(same) == Seat(3, "B", None)
        for bad in [("3", "B", "x"), (3, "B"), "3B", 3]:
            with pytest.raises(TypeError, match=wanted):
                seats.get(bad)


# --- Those that the database makes


class Shelfmark(msgspec.Struct, frozen=True):
    room: int
    shelf: str | None
    books: int


def test_a_part_of_an_id_that_may_be_none_need_not_be_made() -> None:
    stored: list[Shelfmark] = []

    def save(key: Any, value: Shelfmark) -> Shelfmark:
        stored.append(value)
        return value

    source: Any = FunctionSource(lambda key: stored[-1] if stored else None, save=save)
    source.returning = True
    with SmartCache() as smart:
        marks = smart.entity(Shelfmark, source, id=["room", "shelf"])
        assert marks.get((1, None)) is None
        marks.save(Shelfmark(1, None, 20))
        assert stored == [Shelfmark(1, None, 20)]
        assert marks.get((1, None)) == Shelfmark(1, None, 20)


@dataclass
class Note:
    title: str
    shelf_id: int | None = None
    id: int | None = None
    tag_ids: list[int] = field(default_factory=list)


class Shelf(msgspec.Struct, frozen=True):
    id: int
    count: int = 0


class Notes:
    """A table that numbers its rows, and says what it has stored."""

    returning = True

    def __init__(self) -> None:
        self.rows: dict[int, Note] = {}
        self.broken: Exception | None = None

    def load(self, key: int) -> Note | None:
        return self.rows.get(key)

    def load_many(self, keys: Any) -> dict[int, Note]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    def save(self, key: int | None, value: Note) -> Any:
        own = len(self.rows) + 1 if key is None else key
        self.rows[own] = Note(value.title, value.shelf_id, own, value.tag_ids)
        if self.broken:
            raise self.broken
        return self.rows[own]

    def delete(self, key: int) -> None:
        del self.rows[key]

    def versions(self, keys: Any) -> dict[int, Any]:
        return {}

    def on(self, shelves: Any) -> dict[int, list[int]]:
        return {s: [n for n, each in self.rows.items() if each.shelf_id == s] for s in shelves}

    def tags(self, notes: Any) -> dict[int, list[int]]:
        return {each: self.rows[each].tag_ids for each in notes if each in self.rows}

    def tagged(self, tags: Any) -> dict[int, list[int]]:
        return {t: [n for n, each in self.rows.items() if t in each.tag_ids] for t in tags}

    def shelf(self, key: int) -> Shelf:
        return Shelf(key, len(self.on([key])[key]))


class Tag(msgspec.Struct, frozen=True):
    id: int


def take_notes(smart: Any, **how: Any) -> Notes:
    notes = Notes()
    lists = {
        "notes": Many(to="Note", load=notes.on, back="shelf"),
    }
    smart.entity(Shelf, FunctionSource(notes.shelf), relations=lists)
    lists = {"notes": Many(to="Note", load=notes.tagged, back="tags")}
    smart.entity(Tag, FunctionSource(Tag), relations=lists)
    smart.entity(
        Note,
        notes,
        relations={
            "shelf": One(to="Shelf", field="shelf_id", shown=True),
            "tags": Many(to="Tag", load=notes.tags, shown=True),
        },
        **how,
    )
    return notes


@pytest.mark.parametrize("strategy", ["read-through", "write-through", "cache-aside"])
def test_an_object_whose_id_the_database_makes_is_found_by_that(
    smart: Callable[..., Plain], strategy: str
) -> None:
    plain = smart()
    known = KnownSet()
    take_notes(plain.smart, policy=Policy(strategy, ttl=100), known=known)
    known.add([1])
    notes, shelves, tags = plain["Note"], plain["Shelf"], plain["Tag"]
    assert notes.get(1) is None
    assert (shelves.related(7, "notes"), tags.related(5, "notes")) == ([], [])
    assert shelves.get(7) == Shelf(7, 0)
    stored = notes.save(Note("first", 7, tag_ids=[5]))
    assert stored == Note("first", 7, 1, [5]) == notes.get(1)
    assert shelves.related(7, "notes") == tags.related(5, "notes") == [stored]
    assert shelves.get(7) == Shelf(7, 1)
    assert notes.save(Note("second")).id == 2
    assert notes.get(2).title == "second"
    assert notes.stats().writes == 2
    stored.title = "edited"
    notes.save(stored)
    assert notes.get(1).title == "edited"


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "row"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str] = mapped_column(default="...")


@pytest.mark.parametrize("strategy", ["read-through", "write-through"])
def test_a_new_object_of_a_model_may_lack_what_the_database_fills_in(
    smart: Callable[..., Plain], tmp_path: Any, strategy: str
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'rows.db'}")
    Base.metadata.create_all(engine)
    plain = smart()
    policy = Policy(strategy, ttl=100)
    plain.smart.entity(Row, ModelSource(sessionmaker(engine), Row), policy=policy)
    rows = plain["Row"]
    assert rows.get(1) is None
    assert rows.save(Row(title="first")).id == 1
    assert (rows.get(1).title, rows.get(1).body) == ("first", "...")
    rows.save(Row(id=7, title="seventh"))
    assert (rows.get(7).title, rows.get(7).body) == ("seventh", "...")
    engine.dispose()


def test_a_save_without_an_id_that_fails_drops_what_it_may_have_changed(
    smart: Callable[..., Plain],
) -> None:
    plain = smart()
    table = take_notes(plain.smart)
    shelves, tags = plain["Shelf"], plain["Tag"]
    assert (shelves.related(7, "notes"), tags.related(5, "notes")) == ([], [])
    assert shelves.get(7) == Shelf(7, 0)
    table.broken = ConnectionError("the line broke after the write")
    with pytest.raises(ConnectionError, match="after the write"):
        plain["Note"].save(Note("first", 7, tag_ids=[5]))
    assert [each.id for each in shelves.related(7, "notes")] == [1]
    assert [each.id for each in tags.related(5, "notes")] == [1]
    assert shelves.get(7) == Shelf(7, 1)


def test_where_nobody_would_know_the_id_nothing_is_written(awaited: bool) -> None:
    rows: dict[Any, Any] = {}
    smart = AsyncSmartCache() if awaited else SmartCache()
    notes: Any = smart.entity(Note, FunctionSource(rows.get, save=rows.__setitem__))
    with pytest.raises(ValueError, match=r"the Note to save has no id, .*set returning = True the"):
        notes.save(Note("first"))
    assert rows == {}


def test_a_relation_that_leads_nowhere_is_told_before_a_new_object_is_written(
    smart: Callable[..., Plain],
) -> None:
    plain, table = smart(), Notes()
    plain.smart.entity(Note, table, relations={"shelf": One(to="Shelf", field="shelf_id")})
    with pytest.raises(LookupError, match=r"Note\.shelf leads to 'Shelf', which is not declared"):
        plain["Note"].save(Note("first"))
    assert table.rows == {}


def test_what_is_written_later_needs_an_id_before(bed: Bed, smart: Callable[..., Plain]) -> None:
    if bed.client is None:
        pytest.skip("needs Redis")
    plain = smart()
    table = Notes()
    plain.smart.entity(Note, table, policy=Policy("write-behind", ttl=100))
    with pytest.raises(ValueError, match=r"has no id, and write-behind .*call invalidate\(id\)"):
        plain["Note"].save(Note("first"))
    drained = plain.smart["Note"].strategy.drain()
    assert bed.run(drained) if bed.awaited else drained
    assert table.rows == {}


def test_a_source_that_does_not_return_what_it_stored_is_told(smart: Callable[..., Plain]) -> None:
    plain = smart()
    rows: dict[Any, Any] = {}
    source = FunctionSource(rows.get, save=rows.__setitem__, returning=True)
    plain.smart.entity(Note, source)
    with pytest.raises(TypeError, match="its save returned None; expected the Note as it is stor"):
        plain["Note"].save(Note("first"))
