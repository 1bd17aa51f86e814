"""What the tests of the service share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from labkit.clock import FakeClock
from labkit.leaderboard.api import create_app, serve
from labkit.leaderboard.api.security import KEYS_VARIABLE
from tests.leaderboard.api.driver import PATIENT, Client
from tests.leaderboard.storage import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.course.bench import Bench


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own keys are asked for."""
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)


@pytest.fixture
def url(bench: Bench) -> str:
    """An empty server: each test runs on fakeredis and on a real one."""
    bench.reset()
    return bench.url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def make(url: str, clock: FakeClock) -> Iterator[Callable[..., Client]]:
    """Makes services with options of their own."""
    with contextlib.ExitStack() as stack:

        def made(headers: dict[str, str] | None = None, **options: Any) -> Client:
            app = create_app(url, clock=clock, **options)
            return stack.enter_context(Client(app, **(headers or {})))

        yield made


@pytest.fixture
def api(make: Callable[..., Client]) -> Client:
    """A service with a board `arcade`."""
    api = make()
    assert api.put("/boards/arcade").status_code == 201
    return api


@pytest.fixture
def served(url: str) -> Iterator[str]:
    """The address of a service that really listens, whose streams are silent until the deadline."""
    with serve(create_app(url, limits=PATIENT)) as service:
        yield service.url
