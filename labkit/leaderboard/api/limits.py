"""Middleware that refuses what is too large and what comes too often."""

from __future__ import annotations

import hashlib
import math
from importlib import resources
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection

from labkit.leaderboard.api.problems import Problem, Unavailable, respond

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from labkit.leaderboard.api.options import RateLimit
    from labkit.leaderboard.api.service import Service

FREE = ("/healthz", "/readyz", "/metrics")
"""Paths that the rate limit does not count: who watches the service must not be shut out."""


class BodyLimit:
    """Answers 413 to a body that is too large, before it has been read to its end."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI asks."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        detail = f"The body is larger than {self.most} bytes; send less at once."
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.most:
            await respond(scope, 413, "body-too-large", detail)(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.most:
                raise Problem(413, "body-too-large", detail)
            return message

        await self.app(scope, counted, send)


class Throttle:
    """Answers 429 to a client that has used up its requests, and tells each what it has left."""

    def __init__(self, app: ASGIApp, service: Service, limit: RateLimit) -> None:
        self.app = app
        self.service = service
        self.limit = limit
        self.policy = f'"default";q={limit.requests};w={math.ceil(limit.seconds)}'
        folder = resources.files("labkit.leaderboard.api")
        self.script = (folder / "bucket.lua").read_text("utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI asks."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in FREE:
            await self.app(scope, receive, send)
            return
        try:
            taken, left, wait, full = await self._take(scope)
        except Unavailable as error:
            response = respond(scope, 503, error.kind, error.detail, error.headers)
            await response(scope, receive, send)
            return
        told = {
            "RateLimit-Policy": self.policy,
            "RateLimit": f'"default";r={left};t={math.ceil(full / 1000)}',
        }
        if not taken:
            after = max(1, math.ceil(wait / 1000))
            detail = (
                f"{self.limit.requests} requests in {self.limit.seconds:g} s are allowed; "
                f"try again in {after} s."
            )
            headers = {**told, "Retry-After": str(after)}
            response = respond(scope, 429, "too-many-requests", detail, headers)
            await response(scope, receive, send)
            return

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        await self.app(scope, receive, telling)

    async def _take(self, scope: Scope) -> list[int]:
        key = self.service.keyring.shown(HTTPConnection(scope))
        address = (scope.get("client") or ("unknown", 0))[0]
        client = f"key {key.name}" if key else f"address {address}"
        digest = hashlib.sha256(client.encode()).hexdigest()[:32]
        bucket = f"{self.service.key_prefix}api:bucket:{{{digest}}}"
        now, limit = self.service.clock(), self.limit
        words = (1, bucket, limit.requests, repr(limit.seconds), repr(now))
        answer: list[int] = await self.service.redis.execute_command("EVAL", self.script, *words)
        return answer
