"""What the tests of the site share: a small newsroom, and a site in front of it."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry

from labkit import connect, newsroom
from labkit.cache import Cache, MemoryTier, RedisTier
from labkit.clock import FakeClock, fast_forward
from labkit.site.app import create_app
from labkit.site.editing import KEY_VARIABLE
from labkit.site.site import Site
from tests.leaderboard.api.driver import Client
from tests.postgres import find_postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from labkit.course.bench import Bench
    from labkit.newsroom import Newsroom
    from labkit.site.pages import Fragment

_schemas = itertools.count()


class Place:
    """Where a site is: makes newsrooms and caches there.

    Attributes:
        client: A client of the Redis behind.
    """

    def __init__(self, client: Any, url: str) -> None:
        self.client = client
        self._url = url

    @contextlib.contextmanager
    def newsroom(
        self, articles: int = 4, authors: int = 2, *, outbox: bool = False
    ) -> Iterator[Newsroom]:
        """A newsroom of its own, on which the clock stands still."""
        schema = f"site {next(_schemas)}" if self._url.startswith("postgresql") else None
        clock = FakeClock(newsroom.DAY + 1000)
        with newsroom.open(
            self._url,
            schema=schema,
            articles=articles,
            authors=authors,
            clock=clock,
            outbox=outbox,
        ) as db:
            yield db
            db.drop()

    def cache(self, *, memory: bool = True) -> Cache:
        """A cache, of a process of its own."""
        store = RedisTier(self.client, budget="5s")
        return Cache([MemoryTier(), store] if memory else [store], namespace="news")

    @contextlib.contextmanager
    def site(self, db: Newsroom, *, memory: bool = True) -> Iterator[Site]:
        """A site in front of it, in a process of its own."""
        with self.cache(memory=memory) as cache:
            yield Site(db, cache)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL."""
    programs = find_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL to start: neither on PATH nor in /usr/lib/postgresql")
    with postgres(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Where newsrooms are."""
    return "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def client(bench: Bench) -> Iterator[Any]:
    """A client of an empty server: each test runs on fakeredis and on a real one."""
    bench.reset()
    # Nobody here waits for Redis to come back.
    with connect(bench.url, retry=Retry(NoBackoff(), 0)) as client:
        yield client


@pytest.fixture
def db() -> Iterator[Newsroom]:
    """A small newsroom in memory."""
    with newsroom.open("sqlite://", articles=40, authors=5) as db:
        yield db


class Service:
    """The application in front of a newsroom, called without a network.

    Attributes:
        db: The newsroom.
        site: The site.
        redis: The client of Redis that the site was given.
        comments: Its comments; None where nobody comments.
    """

    def __init__(self, app: FastAPI, http: Client, redis: Any, clock: FakeClock) -> None:
        self.site: Site = app.state.site
        self.comments: Any = app.state.comments
        self.db = self.site.db
        self.redis = redis
        self._http = http
        self._clock = clock

    def advance(self, duration: str) -> None:
        """Let time pass, in memory and in Redis."""
        self._clock.advance(duration)
        fast_forward(self.redis, duration)

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        return self._http(method, path, **options)

    def get(self, path: str, **headers: str) -> Any:
        return self("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def edit(self, path: str, *, host: str = "127.0.0.1", **form: str) -> Any:
        """Send a form as a browser on this machine does."""
        return self("POST", path, data=form, headers={"Host": host, "Origin": f"http://{host}"})


@pytest.fixture
def make(
    client: Any, db: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Service]]:
    """Makes services with options of their own, whose time stands still."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with contextlib.ExitStack() as stack:

        def made(**options: Any) -> Service:
            clock = FakeClock(1_000)
            app = create_app(db, client, clock=clock, **options)
            return Service(app, stack.enter_context(Client(app)), client, clock)

        yield made


@pytest.fixture
def service(make: Callable[..., Service]) -> Service:
    """A site that nobody edits."""
    return make()


def plain(fragment: Fragment) -> str:
    """The text of a fragment, rendered without a cache."""
    text = fragment.render(*map(plain, fragment.parts))
    assert isinstance(text, str)
    return text


def inside(fragment: Fragment) -> Iterator[Fragment]:
    """A fragment and all that is in it."""
    yield fragment
    for part in fragment.parts:
        yield from inside(part)
