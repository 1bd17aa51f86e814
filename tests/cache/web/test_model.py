"""Requests, changes and time in any order: responses are what a plain model says."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI, Request
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from labkit.cache import AsyncCache, Cache, MemoryTier
from labkit.cache.web import cached_response
from labkit.clock import FakeClock
from tests.scale import times

TTL, STALE = 60, 30
ids = st.integers(1, 2)
pages = st.sampled_from([None, "1", "2"])
languages = st.sampled_from([None, "en", "pt"])


class Readers(RuleBasedStateMachine):
    """A site whose articles change, and its readers.

    The model knows of each request when its response was made, and of which version.
    """

    @initialize(awaited=st.booleans(), stale=st.booleans())
    def begin(self, awaited: bool, stale: bool) -> None:
        self.runner = asyncio.Runner()
        self.clock = FakeClock(1_000)
        self.window = STALE if stale else 0
        kind: Any = AsyncCache if awaited else Cache
        self.cache = kind([MemoryTier(clock=self.clock)], ttl=TTL)
        self.versions = {1: 0, 2: 0}
        self.known: dict[Any, tuple[float, int]] = {}
        self.tags: dict[Any, str] = {}
        app = FastAPI()

        @app.get("/articles/{id}")
        @cached_response(
            self.cache,
            tags=["article:{id}"],
            stale_while_revalidate=self.window,
            x_cache=True,
            clock=self.clock,
        )
        async def article(id: int, request: Request, page: str = "") -> Any:  # noqa: A002
            return [id, page, request.headers.get("accept-language"), self.versions[id]]

        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://example.org")

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        answer: Any = self.cache.close()
        if answer is not None:
            self.runner.run(answer)
        self.runner.close()

    @rule(id=ids, page=pages, language=languages, again=st.booleans())
    def read(self, id: int, page: str | None, language: str | None, again: bool) -> None:  # noqa: A002
        asks = (id, page, language)
        headers = {} if language is None else {"Accept-Language": language}
        if again and asks in self.tags:
            headers["If-None-Match"] = self.tags[asks]
        query = {} if page is None else {"page": page}
        answer = self.runner.run(self.http.get(f"/articles/{id}", params=query, headers=headers))
        self.runner.run(self.settled())

        now, newest = self.clock(), self.versions[id]
        made, version = self.known.get(asks, (now, newest))
        age = now - made
        if age >= TTL + self.window:
            made, version, age = now, newest, 0.0
        self.known[asks] = made, version
        if age >= TTL:  # this reader gets the old one, and the next one another
            # One that has just become stale is stale for no time.
            assert answer.headers["X-Cache"] in ({"stale", "hit"} if age == TTL else {"stale"})
            self.known[asks] = now, newest
        if age:
            assert answer.headers["Age"] == str(int(age))
        if answer.status_code == 304:
            assert again
            assert answer.headers["ETag"] == self.tags[asks]
            assert self.bodies[answer.headers["ETag"]] == [id, page or "", language, version]
        else:
            assert answer.json() == [id, page or "", language, version]
            self.tags[asks] = answer.headers["ETag"]
            self.bodies[answer.headers["ETag"]] = answer.json()

    async def settled(self) -> None:
        """What is loaded in the background has ended."""
        while tasks := set(self.cache._engine.background._tasks):
            await asyncio.gather(*tasks)

    @rule(id=ids, told=st.booleans())
    def change(self, id: int, told: bool) -> None:  # noqa: A002
        self.versions[id] += 1
        if told:
            answer: Any = self.cache.invalidate(tag=f"article:{id}")
            if answer is not None:
                self.runner.run(answer)
            self.known = {asks: what for asks, what in self.known.items() if asks[0] != id}

    @rule(seconds=st.sampled_from([1, 20, 59, 60, 75, 200]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    bodies: dict[str, Any]

    @initialize()
    def remember(self) -> None:
        self.bodies = {}

    @precondition(lambda self: hasattr(self, "bodies"))
    @invariant()
    def one_body_has_one_tag(self) -> None:
        texts = [str(body) for body in self.bodies.values()]
        assert len(texts) == len(set(texts))


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=times(40), stateful_step_count=25, deadline=None)
