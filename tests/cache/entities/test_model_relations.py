"""Relations of models lead where those of SQLAlchemy do, and follow what is written."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Table, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from labkit.cache.entities.models import relations_of
from labkit.cache.smart import SmartCache
from labkit.cache.sources.models import ModelSource


class Base(DeclarativeBase):
    pass


class Country(Base):
    __tablename__ = "country"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    cities: Mapped[list[City]] = relationship(back_populates="country")


class City(Base):
    """Its foreign key leads to a column that is not the primary key."""

    __tablename__ = "city"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(ForeignKey("country.number"))
    country: Mapped[Country] = relationship(back_populates="cities")


class Node(Base):
    """A tree."""

    __tablename__ = "node"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    children: Mapped[list[Node]] = relationship(back_populates="parent")
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side="Node.id")


follow = Table(
    "follow",
    Base.metadata,
    Column("follower", ForeignKey("user.id"), primary_key=True),
    Column("followed", ForeignKey("user.id"), primary_key=True),
)


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    follows: Mapped[list[User]] = relationship(
        secondary=follow,
        primaryjoin="User.id == follow.c.follower",
        secondaryjoin="User.id == follow.c.followed",
        back_populates="followers",
    )
    followers: Mapped[list[User]] = relationship(
        secondary=follow,
        primaryjoin="User.id == follow.c.followed",
        secondaryjoin="User.id == follow.c.follower",
        back_populates="follows",
    )
    profile: Mapped[Profile | None] = relationship(back_populates="user", uselist=False)


class Profile(Base):
    __tablename__ = "profile"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), unique=True)
    user: Mapped[User] = relationship(back_populates="profile")
    early: Mapped[User | None] = relationship(
        viewonly=True, primaryjoin="and_(Profile.user_id == User.id, User.id < 2)"
    )


class Row(Base):
    """Its primary key has two columns, and so has what leads to it."""

    __tablename__ = "row"
    hall: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    chairs: Mapped[list[Chair]] = relationship(back_populates="row")


class Chair(Base):
    __tablename__ = "chair"
    __table_args__ = (ForeignKeyConstraint(["hall", "number"], ["row.hall", "row.number"]),)
    id: Mapped[int] = mapped_column(primary_key=True)
    hall: Mapped[int]
    number: Mapped[int]
    row: Mapped[Row] = relationship(back_populates="chairs")


class Pet(Base):
    __tablename__ = "pet"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}  # noqa: RUF012


class Dog(Pet):
    __tablename__ = "dog"
    id: Mapped[int] = mapped_column(ForeignKey("pet.id"), primary_key=True)
    fleas: Mapped[list[Flea]] = relationship(back_populates="dog")
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012


class Flea(Base):
    """Its foreign key leads to the table of a subclass."""

    __tablename__ = "flea"
    id: Mapped[int] = mapped_column(primary_key=True)
    dog_id: Mapped[int] = mapped_column(ForeignKey("dog.id"))
    dog: Mapped[Dog] = relationship(back_populates="fleas")


class Shelf(Base):
    """Its books are loaded with it, by a join."""

    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list[Book]] = relationship(lazy="joined")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id"))


@pytest.fixture
def sessions(tmp_path: Any) -> sessionmaker[Any]:
    engine = create_engine(f"sqlite:///{tmp_path / 'relations.db'}")
    Base.metadata.create_all(engine)
    return sessionmaker(engine)


def declared(
    sessions: sessionmaker[Any], *models: type, without: dict[type, list[str]] | None = None
) -> SmartCache:
    smart = SmartCache()
    for model in models:
        left = (without or {}).get(model, [])
        relations = relations_of(model, sessions, without=left)
        smart.entity(model, ModelSource(sessions, model), relations=relations)
    return smart


def add(sessions: sessionmaker[Any], *rows: Any) -> None:
    with sessions() as session:
        for row in rows:
            session.add(row)
            session.flush()
        session.commit()


def ids(found: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    return {own: [each.id for each in some] for own, some in found.items()}


@pytest.mark.parametrize(
    ("model", "name", "by"),
    [
        (City, "country", "country.number = city.number"),
        (Profile, "early", "profile.user_id = "),
        (Chair, "row", "chair.hall"),
    ],
)
def test_a_key_that_is_not_the_id_is_never_taken_for_it(
    sessions: sessionmaker[Any], model: Any, name: str, by: str
) -> None:
    with pytest.raises(ValueError, match=f"{model.__name__}.{name} does not lead to its") as error:
        relations_of(model, sessions)
    assert by in str(error.value)
    assert f"leave it out with without=['{name}']" in str(error.value)
    assert name not in relations_of(model, sessions, without=[name])
    with pytest.raises(ValueError, match=f"{model.__name__} has no relationship 'none'"):
        relations_of(model, sessions, without=["none"])


def test_lists_over_such_a_key_are_those_of_the_database(sessions: sessionmaker[Any]) -> None:
    add(sessions, Country(id=1, number=2), Country(id=2, number=1), City(id=5, number=2))
    with declared(sessions, Country, City, without={City: ["country"]}) as smart:
        assert ids(smart["Country"].related_many([1, 2], "cities")) == {1: [5], 2: []}
        smart["City"].save(City(id=5, number=1))
        assert ids(smart["Country"].related_many([1, 2], "cities")) == {1: [], 2: [5]}
        smart["Country"].save(Country(id=2, number=3))
        smart["Country"].save(Country(id=1, number=1))
        assert ids(smart["Country"].related_many([1, 2], "cities")) == {1: [5], 2: []}


def test_lists_by_keys_of_several_columns(sessions: sessionmaker[Any]) -> None:
    rows = [Row(hall=1, number=n) for n in (1, 2)]
    add(sessions, *rows, Chair(id=7, hall=1, number=2), Chair(id=8, hall=1, number=2))
    with declared(sessions, Row, Chair, without={Chair: ["row"]}) as smart:
        found = smart["Row"].related_many([(1, 1), (1, 2)], "chairs")
        assert ids(found) == {(1, 1): [], (1, 2): [7, 8]}
        smart["Chair"].save(Chair(id=7, hall=1, number=1))
        found = smart["Row"].related_many([(1, 1), (1, 2)], "chairs")
        assert ids(found) == {(1, 1): [7], (1, 2): [8]}


def test_a_tree_is_followed_up_and_down(sessions: sessionmaker[Any]) -> None:
    add(sessions, Node(id=1), Node(id=2, parent_id=1), Node(id=3, parent_id=1))
    with declared(sessions, Node) as smart:
        nodes = smart["Node"]
        assert ids(nodes.related_many([1, 2, 3], "children")) == {1: [2, 3], 2: [], 3: []}
        assert nodes.related(1, "parent") is None
        assert nodes.related(2, "parent").id == 1
        nodes.save(Node(id=3, parent_id=2))
        assert ids(nodes.related_many([1, 2, 3], "children")) == {1: [2], 2: [3], 3: []}
        assert nodes.related(3, "parent").id == 2
        nodes.delete(3)
        assert ids(nodes.related_many([1, 2], "children")) == {1: [2], 2: []}


def test_who_follows_whom_is_told_from_both_ends(sessions: sessionmaker[Any]) -> None:
    users = [User(id=n) for n in (1, 2, 3)]
    users[0].follows = users[1:]
    add(sessions, *users)
    with declared(sessions, User, Profile, without={Profile: ["early"]}) as smart:

        def both() -> tuple[dict[Any, Any], dict[Any, Any]]:
            named = [
                smart["User"].related_many([1, 2, 3], each) for each in ("follows", "followers")
            ]
            return ids(named[0]), ids(named[1])

        assert both() == ({1: [2, 3], 2: [], 3: []}, {1: [], 2: [1], 3: [1]})
        smart["User"].save(User(id=1, follows=[User(id=3)]))
        assert both() == ({1: [3], 2: [], 3: []}, {1: [], 2: [], 3: [1]})
        smart["User"].save(User(id=2, followers=[User(id=1), User(id=3)]))
        assert both() == ({1: [2, 3], 2: [], 3: [2]}, {1: [], 2: [1, 3], 3: [1]})


def test_the_far_side_of_a_one_to_one_is_a_list_of_one(sessions: sessionmaker[Any]) -> None:
    add(sessions, User(id=1), User(id=2), Profile(id=5, user_id=1))
    with declared(sessions, User, Profile, without={Profile: ["early"]}) as smart:
        assert ids(smart["User"].related_many([1, 2], "profile")) == {1: [5], 2: []}
        assert smart["Profile"].related(5, "user").id == 1
        smart["Profile"].save(Profile(id=5, user_id=2))
        assert ids(smart["User"].related_many([1, 2], "profile")) == {1: [], 2: [5]}


def test_a_key_of_a_subclass_is_the_id_of_its_objects(sessions: sessionmaker[Any]) -> None:
    add(sessions, Pet(id=1), Dog(id=2), Dog(id=3), Flea(id=9, dog_id=2))
    with declared(sessions, Dog, Flea) as smart:
        assert smart["Flea"].related(9, "dog").id == 2
        assert ids(smart["Dog"].related_many([2, 3], "fleas")) == {2: [9], 3: []}
        smart["Flea"].save(Flea(id=9, dog_id=3))
        assert ids(smart["Dog"].related_many([2, 3], "fleas")) == {2: [], 3: [9]}


def test_what_is_loaded_by_a_join_makes_one_object_of_its_rows(sessions: sessionmaker[Any]) -> None:
    add(sessions, Shelf(id=1), Book(id=1, shelf_id=1), Book(id=2, shelf_id=1), Shelf(id=2))
    source = ModelSource(sessions, Shelf)
    found = source.load_many([1, 2, 3])
    assert {key: len(shelf.books) for key, shelf in found.items()} == {1: 2, 2: 0}
    assert [each and len(each.books) for each in (source.load(1), source.load(3))] == [2, None]
    assert len(source.save(1, Shelf(id=1)).books) == 2
    assert source.save(None, Shelf()).id == 3  # the database has given it one
