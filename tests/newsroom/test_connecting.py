"""Which database a newsroom is on, and what happens when that does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from labkit import newsroom
from labkit.newsroom import DatabaseDown, Newsroom, Size
from tests.cache.crowd import in_threads
from tests.newsroom.conftest import execute
from tests.newsroom.state import everything

if TYPE_CHECKING:
    from pathlib import Path

    from tests.newsroom.conftest import Place


def test_without_a_url_it_is_that_of_the_environment_or_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LABKIT_DATABASE_URL", raising=False)
    with newsroom.open(articles=3, authors=2) as db:
        assert db.ids() == [1, 2, 3]
        assert "sqlite://:" in repr(db)
    monkeypatch.setenv("LABKIT_DATABASE_URL", f"sqlite:///{tmp_path / 'a.db'}")
    with newsroom.open(articles=4) as db:
        assert db.ids() == [1, 2, 3, 4]
    assert (tmp_path / "a.db").is_file()
    with newsroom.open("sqlite://", articles=2) as db:
        assert db.ids() == [1, 2]


def test_a_site_in_memory_is_one_for_all_threads_and_none_for_other_newsrooms() -> None:
    with newsroom.open("sqlite://", articles=3) as db, newsroom.open("sqlite://", articles=5) as b:
        assert in_threads(5, lambda _: db.ids()) == [[1, 2, 3]] * 5
        assert b.ids() == [1, 2, 3, 4, 5]


def test_a_site_stays_where_it_was_opened(shared: Place) -> None:
    with newsroom.open(**shared, articles=3, authors=2) as db:
        db.publish(1, "Title", "Text", "city", ["new"])
        before = everything(db)
    with newsroom.open(**shared, articles=7, seed=8) as db:
        assert everything(db) == before
        assert db.fill() is False
        db.drop()
        db.create()
        db.create()
        assert db.ids() == []
        assert db.fill(Size(articles=2)) is True
        assert db.ids() == [1, 2]


def test_two_schemas_of_a_database_are_two_sites(server: str) -> None:
    names = ['odd "na\\me" of one', "Other"]
    with (
        newsroom.open(server, schema=names[0], articles=3) as one,
        newsroom.open(server, schema=names[1], articles=5) as other,
    ):
        assert (len(one.ids()), len(other.ids())) == (3, 5)
        one.drop()
        assert len(other.ids()) == 5
        other.drop()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/db", "the database is a 'mysql'; expected sqlite://"),
        ("nonsense secret", "cannot be read; expected sqlite://"),
    ],
)
def test_an_address_of_another_kind_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Newsroom(url)
    assert "secret" not in str(caught.value)


def test_sqlite_has_no_schemas() -> None:
    with pytest.raises(ValueError, match="schema is 'a', but SQLite has none"):
        Newsroom("sqlite://", schema="a")


def test_a_database_without_tables_says_what_to_do(shared: Place) -> None:
    with Newsroom(**shared) as db:
        for ask in (db.ids, lambda: db.delete_article(1)):
            with pytest.raises(RuntimeError, match=r"no tables of a newsroom; make them with cre"):
                ask()
        db.create()
        assert db.ids() == []


def test_the_tables_of_an_older_newsroom_say_what_to_do(shared: Place) -> None:
    with newsroom.open(**shared, articles=3) as db:
        execute(shared, "DROP INDEX comments_by_parent", "ALTER TABLE comments DROP hidden")
        with pytest.raises(RuntimeError, match=r"an older newsroom, .* remove them with drop\(\)"):
            db.comments(1)
        db.drop()
        db.create()
        assert db.comments(1) == []


def test_a_database_that_is_not_there_is_down_and_its_password_stays_secret(
    tmp_path: Path,
) -> None:
    url = f"postgresql://ada:secret@/news?host={tmp_path}"
    with pytest.raises(DatabaseDown, match="did not answer") as caught:
        newsroom.open(url)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Newsroom(url))
    with pytest.raises(DatabaseDown, match="unable to open"):
        newsroom.open(f"sqlite:///{tmp_path / 'missing' / 'a.db'}")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_text("Not a database. " * 100, "utf-8")
    with pytest.raises(ValueError, match="not a database"):
        newsroom.open(f"sqlite:///{path}")
    assert path.read_text("utf-8").startswith("Not a database.")


def test_a_line_that_was_cut_costs_one_read(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as other:
        other.execute("CREATE ROLE cut LOGIN SUPERUSER")
        with newsroom.open(server.replace("labkit@", "cut@"), schema="cut", articles=3) as db:
            assert len(db.ids()) == 3
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cut'"
            )
            with pytest.raises(DatabaseDown, match="did not answer"):
                db.ids()
            assert len(db.ids()) == 3
            db.drop()
        other.execute("DROP ROLE cut")
