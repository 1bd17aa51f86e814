"""A page that shows what all processes of an application report, live.

GET /         the page: one file, without anything from elsewhere
GET /data     what it shows, as JSON
GET /events   the same as Server-Sent Events, again whenever it is gathered
GET /healthz  whether Redis answers
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import FastAPI, HTTPException
from starlette.responses import Response, StreamingResponse

from labkit.cache.backends.redis_reports import RedisReports
from labkit.cache.monitor.gathering import gathered
from labkit.cache.monitor.watching import Watch, shown
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_MOST = 300  # moments that a page shows: ten minutes, at one every two seconds

_encode = msgspec.json.Encoder().encode


class Monitor:
    """Gathers reports again and again, for everybody who looks.

    Args:
        reports: Where they are.
        name: Their name.
        every: Seconds from one time to the next.
    """

    def __init__(self, reports: RedisReports, name: str, every: float) -> None:
        self.name = name
        self.every = every
        self.problem: str | None = None
        self._reports = reports
        self._watch = Watch(_MOST)
        self._now: dict[str, Any] | None = None
        self._number = 0
        self._changed = asyncio.Condition()
        self._ended = False

    async def keep_on(self) -> None:
        """Gather until cancelled; the first time after a while."""
        while True:
            await asyncio.sleep(self.every)
            await self.gather()

    async def gather(self) -> None:
        """Gather once, and tell everybody."""
        try:
            found = gathered(self.name, await self._all())
            self._watch.add(found, time.time())
            self._now = shown(found)
            self.problem = None
        except Exception as error:  # Redis is away, or somebody reports what makes no sense
            self.problem = f"{error}. What is shown is what was known before."
        async with self._changed:
            self._number += 1
            self._changed.notify_all()

    async def _all(self) -> list[bytes]:
        if self._reports.asynchronous:
            return await self._reports.all()  # type: ignore[no-any-return]
        return await asyncio.to_thread(self._reports.all)

    def state(self, moments: int | None = None) -> dict[str, Any]:
        """What is known: so many of the last moments, and the counts of now."""
        known = list(self._watch.moments)
        return {
            "name": self.name,
            "every": self.every,
            "problem": self.problem,
            "moments": known if moments is None else known[len(known) - moments :],
            "now": self._now,
        }

    async def events(self) -> AsyncIterator[bytes]:
        """What is known, and then what is new, as Server-Sent Events, until `end`."""
        number = self._number
        yield b"retry: 1000\n" + _event("all", self.state())
        while not self._ended:
            async with self._changed:
                while not self._ended and self._number == number:
                    await self._changed.wait()
                new, number = self._number - number, self._number
            if not self._ended:
                yield _event("new", self.state(0 if self.problem else min(new, _MOST)))

    async def end(self) -> None:
        """End all streams, which would keep a server from stopping."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()


def create_app(client: Any, name: str, *, every: float | str = "2s") -> FastAPI:
    """The page, for processes that report under a name.

    It has no keys: whoever reaches it sees numbers, the names of functions and entities, and hot
    keys where they are counted; values never. Let it listen on loopback, or behind something that
    asks who comes.

    Args:
        client: What `labkit.connect()` or `connect_async()` returns; it stays the caller's.
        name: What processes report under.
        every: How often reports are gathered.

    Raises:
        TypeError: `client` is no client of redis-py.
        ValueError: The name has signs that names do not have, or `every` is no time above 0.
    """
    seconds = duration(every)
    if seconds <= 0:
        raise ValueError(f'every is {every!r}; expected a time above 0, such as "2s"')
    reports = RedisReports(client, name)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        monitor = app.state.monitor = Monitor(reports, name, seconds)
        await monitor.gather()
        task = asyncio.create_task(monitor.keep_on())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await monitor.end()

    app = FastAPI(
        title=f"Cache monitor: {name}",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )

    @app.get("/")
    async def page() -> Response:
        text = (resources.files("labkit.cache.monitor") / "page.html").read_text("utf-8")
        return Response(text, media_type="text/html; charset=utf-8", headers=_HEADERS)

    @app.get("/data")
    async def data() -> Response:
        text = _encode(app.state.monitor.state())
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-cache"})

    @app.get("/events")
    async def events() -> Response:
        return StreamingResponse(
            app.state.monitor.events(), media_type="text/event-stream", headers=_STREAM
        )

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        if app.state.monitor.problem is not None:
            raise HTTPException(503, "Redis does not answer.")
        return {"status": "ok"}

    return app


def _event(kind: str, state: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(state))
