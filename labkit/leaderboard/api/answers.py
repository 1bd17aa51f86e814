"""Writing answers: JSON from the library's results, and entity tags."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_JSON = "application/json"


def written(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a write."""
    return Response(msgspec.json.encode(value), status, headers, _JSON)


def read(request: Request, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a read: 304 without a body where the client has it already.

    The entity tag is strong: a digest of the body.
    """
    body = msgspec.json.encode(value)
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    told = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    if _holds(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=told)
    return Response(body, 200, told, _JSON)


def _holds(conditions: list[str], tag: str) -> bool:
    """Whether an If-None-Match names a tag, by the weak comparison that RFC 9110 asks for."""
    named = [each.strip() for line in conditions for each in line.split(",")]
    return "*" in named or any(each.removeprefix("W/") == tag for each in named)
