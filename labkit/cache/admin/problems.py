"""Errors as problem details (RFC 9457), from every route whatever application it stands in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit import problems
from labkit.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.responses import Response

__all__ = ["MEDIA_TYPE", "Problem", "invalid", "respond"]


def respond(path: str, error: HTTPException, **more: Any) -> Response:
    """An error as a response; `path` is what the request was for."""
    kind = getattr(error, "kind", "")
    headers = {"Cache-Control": "no-store", **(error.headers or {})}
    return problems.response(
        "cache", path, error.status_code, kind, str(error.detail), headers, **more
    )


def invalid(path: str, error: RequestValidationError) -> Response:
    """What is wrong with a request, field by field."""
    detail, found = problems.invalid(error)
    return respond(path, Problem(422, "invalid-request", detail), errors=found)
