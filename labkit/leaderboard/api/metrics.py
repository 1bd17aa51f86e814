"""What the service counts, for Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Metrics:
    """The counters of one application.

    Attributes:
        requests: Requests by route template, method and status.
        seconds: Seconds until a response began, by route template and method.
        streams: Live streams that are open, by kind: `sse` or `websocket`.
        redis_errors: Commands that Redis did not answer.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "leaderboard_http_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "leaderboard_http_response_seconds",
            "Seconds until a response began.",
            ["route", "method"],
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
        )
        self.streams = Gauge(
            "leaderboard_open_streams", "Live streams open now.", ["kind"], registry=registry
        )
        self.redis_errors = Counter(
            "leaderboard_redis_errors", "Commands that Redis did not answer.", registry=registry
        )

    def exposition(self) -> bytes:
        """The counters, as Prometheus reads them."""
        return generate_latest(self._registry)


class Counting:
    """Middleware that counts every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI asks."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        counted = False

        def count(status: int) -> None:
            nonlocal counted
            if counted:
                return
            counted = True
            # The router writes the route that it found into the scope.
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.requests.labels(route, method, str(status)).inc()
            self.metrics.seconds.labels(route, method).observe(time.perf_counter() - started)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            count(500)
            raise
