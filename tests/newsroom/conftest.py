"""Newsrooms in memory, in a file, and on a PostgreSQL that is started for the session."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import TYPE_CHECKING, TypedDict

import psycopg
import pytest

from labkit import newsroom
from labkit.clock import FakeClock
from labkit.newsroom import Newsroom
from tests.postgres import find_postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = newsroom.DAY + 1000.0
"""What the clock of `db` says."""

_schemas = itertools.count()


class Place(TypedDict):
    """Where a newsroom is, as arguments of `Newsroom`."""

    url: str
    schema: str | None


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a PostgreSQL."""
    programs = find_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL to start: neither on PATH nor in /usr/lib/postgresql")
    with postgres(programs) as url:
        yield url


@contextlib.contextmanager
def empty(kind: str, request: pytest.FixtureRequest, directory: Path) -> Iterator[Place]:
    """A place where nothing is, before and after."""
    if kind == "memory":
        yield {"url": "sqlite://", "schema": None}
        return
    place: Place = {"url": f"sqlite:///{directory / 'news.db'}", "schema": None}
    if kind == "postgresql":
        place = {"url": request.getfixturevalue("server"), "schema": f"test {next(_schemas)}"}
    yield place
    with Newsroom(**place) as db:
        db.drop()


@pytest.fixture(params=["file", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place that several newsrooms and processes may be opened on."""
    with empty(request.param, request, tmp_path) as place:
        yield place


@pytest.fixture(params=["memory", "file", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Newsroom]:
    """A small site, on which the clock stands still."""
    with empty(request.param, request, tmp_path) as place, opened(place) as db:
        yield db


@pytest.fixture(scope="module", params=["memory", "file", "postgresql"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Newsroom]:
    """The same, for tests that write nothing."""
    directory = tmp_path_factory.mktemp("site")
    with empty(request.param, request, directory) as place, opened(place) as db:
        yield db


def opened(place: Place, *, outbox: bool = False) -> Newsroom:
    """A small site, on which the clock stands still."""
    return newsroom.open(**place, articles=40, authors=6, clock=FakeClock(NOW), outbox=outbox)


def execute(place: Place, *statements: str) -> None:
    """Do something to a database past the newsroom."""
    if place["schema"] is None:
        with sqlite3.connect(place["url"].removeprefix("sqlite:///")) as file:
            for statement in statements:
                file.execute(statement)
        return
    with psycopg.connect(place["url"], autocommit=True) as server:
        server.execute(f'SET search_path = "{place["schema"]}"')
        for statement in statements:
            server.execute(statement)
