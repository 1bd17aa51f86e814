"""Entities that are models of SQLAlchemy, over a database of their own."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import JSON, Column, ForeignKey, String, Table, create_engine, event, inspect
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    deferred,
    mapped_column,
    reconstructor,
    relationship,
    sessionmaker,
)
from sqlalchemy.orm.exc import DetachedInstanceError, StaleDataError

from labkit.cache import FunctionSource, Unserializable
from labkit.cache.entities.models import relations_of
from labkit.cache.policies import Policy
from labkit.cache.smart import SmartCache
from labkit.cache.sources.models import ModelSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cache.conftest import Bed


class Base(DeclarativeBase):
    pass


about = Table(
    "about",
    Base.metadata,
    Column("article_id", ForeignKey("article.id"), primary_key=True),
    Column("topic_id", ForeignKey("topic.id"), primary_key=True),
)


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    articles: Mapped[list[Article]] = relationship(back_populates="author")


class Article(Base):
    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    title: Mapped[str]
    price: Mapped[Decimal]
    at: Mapped[dt.datetime]
    version: Mapped[int] = mapped_column(default=1)
    author: Mapped[Author | None] = relationship(back_populates="articles")
    topics: Mapped[list[Topic]] = relationship(secondary=about, back_populates="articles")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as SQLAlchemy wants it


class Topic(Base):
    __tablename__ = "topic"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    articles: Mapped[list[Article]] = relationship(secondary=about, back_populates="topics")


class Seat(Base):
    __tablename__ = "seat"
    row: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str] = deferred(mapped_column(String, default="free"))


class Tenant(Base):
    """Its reconstructor, and the listener below, use a session."""

    __tablename__ = "tenant"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    marks: Mapped[dict[str, int]] = mapped_column(MutableDict.as_mutable(JSON))

    @reconstructor
    def begin(self) -> None:
        self.upper = self.name.upper()
        self.town = inspect(self).session.info.get("town")


@event.listens_for(Tenant, "load")
def _note_session(tenant: Any, context: Any) -> None:
    tenant.had_session = context.session is not None


@event.listens_for(Tenant, "load")
def _note_load(tenant: Any, context: Any) -> None:
    tenant.heard = True


class Title(msgspec.Struct, frozen=True):
    title: str


class Database:
    """A database in a file, and the statements that it was asked."""

    def __init__(self, path: Any) -> None:
        engine = create_engine(f"sqlite:///{path}")
        Base.metadata.create_all(engine)
        self.sessions = sessionmaker(engine)
        self.asked: list[str] = []
        with self.sessions() as session:
            topics = [Topic(id=n, name=f"Topic {n}") for n in (1, 2)]
            for n in (1, 2, 3):
                session.add(Author(id=n, name=f"Author {n}"))
            for n in range(1, 5):
                when = dt.datetime(2026, 1, n)
                article = Article(id=n, author_id=1 + n % 2, title=f"Story {n}", at=when)
                article.price = Decimal("1.50")
                article.topics = topics[: n % 3]
                session.add(article)
            session.commit()
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, *args: Any) -> None:
        self.asked.append(args[2].split()[0])


@pytest.fixture
def db(tmp_path: Any) -> Database:
    return Database(tmp_path / "press.db")


@pytest.fixture
def smart(bed: Bed, db: Database) -> Iterator[SmartCache]:
    if bed.awaited:
        pytest.skip("one face will do: what differs is tested with other entities")
    with SmartCache(bed.tiers(), namespace=bed.namespace, ttl=100) as cache:
        for model, shown in ((Author, ["articles"]), (Article, []), (Topic, [])):
            cache.entity(
                model,
                ModelSource(db.sessions, model),
                relations=relations_of(model, db.sessions, shown=shown),
                parts=[Title] if model is Article else [],
            )
        yield cache


def test_a_model_comes_back_whole_and_detached(smart: SmartCache, db: Database) -> None:
    articles = smart["Article"]
    for _ in range(2):
        found = articles.get(2)
        assert (found.title, found.price, found.at) == (
            "Story 2",
            Decimal("1.50"),
            dt.datetime(2026, 1, 2),
        )
    assert db.asked == ["SELECT"]
    assert inspect(found).detached
    assert articles.get(99) is None
    with db.sessions() as session:
        attached = session.merge(found, load=False)
        assert attached.author.name == "Author 1"
        assert session.get(Article, 2) is attached


def test_relations_are_those_of_the_model(smart: SmartCache, db: Database) -> None:
    found = smart["Author"].related_many([1, 2, 3], "articles")
    assert {own: [each.id for each in some] for own, some in found.items()} == {
        1: [2, 4],
        2: [1, 3],
        3: [],
    }
    assert db.asked == ["SELECT", "SELECT"]
    assert [each.name for each in smart["Article"].related(2, "topics")] == ["Topic 1", "Topic 2"]
    assert [each.id for each in smart["Topic"].related(2, "articles")] == [2]
    assert smart["Article"].related(2, "author").name == "Author 1"
    assert smart["Article"].part(Title).get(2) == Title("Story 2")


def test_a_save_moves_an_article_from_list_to_list(smart: SmartCache, db: Database) -> None:
    def lists() -> dict[int, list[int]]:
        found = smart["Author"].related_many([1, 2, 3], "articles")
        return {own: [each.id for each in some] for own, some in found.items()}

    assert lists() == {1: [2, 4], 2: [1, 3], 3: []}
    article = smart["Article"].get(1)
    article.author_id = 3
    smart["Article"].save(article)
    assert lists() == {1: [2, 4], 2: [3], 3: [1]}
    smart["Article"].delete(2)
    assert lists() == {1: [4], 2: [3], 3: [1]}
    smart["Article"].save(
        Article(id=9, author_id=1, title="New", price=Decimal(2), at=dt.datetime(2026, 1, 9))
    )
    assert lists() == {1: [4, 9], 2: [3], 3: [1]}


def test_who_saves_what_was_changed_meanwhile_is_refused(smart: SmartCache, db: Database) -> None:
    mine, theirs = smart["Article"].get(1), smart["Article"].get(1)
    assert mine is not theirs
    theirs.title = "Theirs"
    smart["Article"].save(theirs)
    mine.title = "Mine"
    with pytest.raises(StaleDataError):
        smart["Article"].save(mine)
    assert smart["Article"].get(1).title == "Theirs"
    assert smart["Article"].strategy.versions([1, 99]) == {1: 2}


def test_what_was_not_loaded_is_not_kept_as_if_it_were_empty(bed: Bed, db: Database) -> None:
    if bed.awaited or not bed.has_store:
        pytest.skip("needs a store; one face will do")
    with db.sessions() as session:
        session.add(Seat(row=1, number=2))
        session.commit()

    def load(key: tuple[int, int]) -> Seat | None:
        with db.sessions() as session:
            return session.get(Seat, key)

    with SmartCache(bed.tiers(), namespace=bed.namespace) as smart:
        seats = smart.entity(Seat, FunctionSource(load))
        assert seats.kind.id == ("row", "number")
        with pytest.raises(Unserializable, match="note was not loaded; load all columns"):
            seats.get((1, 2))


def test_deferred_columns_are_loaded_with_the_others(bed: Bed, db: Database) -> None:
    if bed.awaited:
        pytest.skip("one face will do")
    with SmartCache(bed.tiers(), namespace=bed.namespace) as smart:
        seats = smart.entity(Seat, ModelSource(db.sessions, Seat), policy=Policy("write-through"))
        seats.save(Seat(row=1, number=1, note="free"))
        seats.save(Seat(row=1, number=2, note="taken"))
        for _ in range(2):
            found = seats.get_many([(1, 1), (1, 2)])
            assert [each.note for each in found.values()] == ["free", "taken"]
            assert seats.get((1, 2)).note == "taken"
            seats.invalidate((1, 2))
            assert seats.get((1, 2)).note == "taken"


def test_an_unloaded_relationship_is_refused_until_a_session_has_it(
    smart: SmartCache, db: Database
) -> None:
    found = smart["Article"].get(2)
    with pytest.raises(DetachedInstanceError):
        found.author  # noqa: B018 - reading it is what fails
    with db.sessions() as session:
        assert session.merge(found, load=False).author.name == "Author 1"


def test_composite_keys_find_their_rows(db: Database) -> None:
    source = ModelSource(db.sessions, Seat)
    source.save((1, 2), Seat(row=1, number=2, note="taken"))
    source.save((2, 1), Seat(row=2, number=1, note="free"))
    assert {*source.load_many([(1, 2), (2, 2)])} == {(1, 2)}
    assert source.load_fields([(1, 2), (2, 1)], ["note"]) == {
        (1, 2): {"note": "taken"},
        (2, 1): {"note": "free"},
    }
    source.delete((1, 2))
    assert source.load((1, 2)) is None
    with pytest.raises(ValueError, match=r"the key is \(1, 1\), and the object has \(2, 1\)"):
        source.save((1, 1), Seat(row=2, number=1))
    with pytest.raises(TypeError, match="Seat has no versions"):
        source.versions([(1, 2)])
    with pytest.raises(ValueError, match="Author has no relationship 'article'; expected some of"):
        relations_of(Author, db.sessions, shown=["article"])


def test_an_object_in_a_session_is_not_what_is_kept(smart: SmartCache, db: Database) -> None:
    with Session(db.sessions.kw["bind"]) as session:
        own = session.get(Article, 1)
        assert own is not None
        assert smart["Article"].get(1) is not own


def test_a_hit_needs_no_session_for_who_waits_for_loads(bed: Bed, db: Database) -> None:
    if bed.awaited:
        pytest.skip("one face will do: what differs is tested with other entities")
    with db.sessions() as session:
        session.add(Tenant(id=1, name="ann", marks={"a": 1}))
        session.commit()
    with SmartCache(bed.tiers(), namespace=bed.namespace, ttl=100) as cache:
        tenants = cache.entity(Tenant, ModelSource(db.sessions, Tenant))
        db.asked.clear()
        for _ in range(2):
            found: Any = tenants.get(1)
    assert db.asked == ["SELECT"]
    assert (found.name, found.upper, found.heard) == ("ann", "ANN", True)
    assert isinstance(found.marks, MutableDict)
