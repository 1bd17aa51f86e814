"""Ways to call the service: without a network, and as a client of its streams."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
from httpx_sse import EventSource

from labkit.leaderboard.api import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from fastapi import FastAPI

DEADLINE = 60.0
"""Seconds after which something that should have happened counts as not happening."""

PATIENT = Limits(heartbeat=3 * DEADLINE)
"""Limits of a service whose signs of life do not keep a test waiting past the deadline."""

KEYS = {scope: f"{scope}-secret-0123456789" for scope in ("read", "write", "admin")}


class Client:
    """A service called without a network, by calls that wait for their answer."""

    def __init__(self, app: FastAPI, **headers: str) -> None:
        self._runner = asyncio.Runner()
        self._lifespan = app.router.lifespan_context(app)
        self._runner.run(self._lifespan.__aenter__())
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://service",
            headers=headers,
        )

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self._http.request(method, path, **options))
        return answer

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self("PUT", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self("POST", path, json=body, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self("DELETE", path, **options)

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._http.aclose())
        self._runner.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()


class Stream:
    """A client of Server-Sent Events; reading waits, up to the deadline, for what has to come."""

    def __init__(self, url: str, headers: dict[str, str] | None = None, **query: Any) -> None:
        self._http = httpx.Client(timeout=DEADLINE)
        self._request = self._http.stream("GET", url, params=query, headers=headers)
        self.response = self._request.__enter__()
        assert self.response.status_code == 200, self.response.read()
        self._events = EventSource(self.response).iter_sse()

    def next(self) -> dict[str, Any]:
        """The next event; its id in the protocol is that in the JSON."""
        event = next(self._events)
        told: dict[str, Any] = json.loads(event.data)
        assert (event.id, event.event) == (str(told["id"]), told["type"])
        return told

    def take(self, count: int) -> list[dict[str, Any]]:
        return [self.next() for _ in range(count)]

    def until(self, found: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """What comes, up to the first event that fits."""
        events = [self.next()]
        while not found(events[-1]):
            events.append(self.next())
        return events

    def rest(self) -> list[dict[str, Any]]:
        """What comes until the service ends the stream."""
        return [json.loads(event.data) for event in self._events]

    def close(self) -> None:
        self._request.__exit__(None, None, None)
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def pages(client: Client, path: str, relation: str) -> Iterator[httpx.Response]:
    """The pages from one on, as the header Link leads."""
    answer = client.get(path)
    yield answer
    while link := answer.links.get(relation):
        answer = client.get(link["url"])
        yield answer


def scores(events: list[dict[str, Any]]) -> list[float]:
    """The new scores that changes tell of."""
    return [event["new_score"] for event in events if event["type"] == "change"]


def in_thread(action: Callable[[], object]) -> threading.Thread:
    """Run something beside the test; join it."""
    thread = threading.Thread(target=action)
    thread.start()
    return thread
