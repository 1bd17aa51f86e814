"""Errors as problem details (RFC 9457), from every route whatever application it stands in."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi.exceptions import RequestValidationError

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An error of this service.

    Args:
        status: The HTTP status.
        kind: Its name, the end of the problem's `type`; empty for a plain HTTP error.
        detail: What was wrong, what was expected, what to do.
        headers: Headers that belong to the answer.
    """

    def __init__(
        self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind


def respond(path: str, error: HTTPException, **more: Any) -> Response:
    """An error as a response; `path` is what the request was for."""
    kind = getattr(error, "kind", "")
    phrase = HTTPStatus(error.status_code).phrase
    problem = {
        "type": f"urn:problem-type:cache:{kind}" if kind else "about:blank",
        "title": kind.replace("-", " ").capitalize() or phrase,
        "status": error.status_code,
        "detail": _writable(str(error.detail)) or phrase,
        "instance": _writable(path),
        **more,
    }
    headers = {"Cache-Control": "no-store", **(error.headers or {})}
    return Response(msgspec.json.encode(problem), error.status_code, headers, MEDIA_TYPE)


def invalid(path: str, error: RequestValidationError) -> Response:
    """What is wrong with a request, field by field; what it said is not repeated."""
    found = [
        {
            "in": str(each["loc"][0]),
            "field": _writable(".".join(str(part) for part in each["loc"][1:])),
            "detail": _writable(each["msg"]),
        }
        for each in error.errors()
    ]
    first = found[0]
    place = f"{first['in']} {first['field']}".strip()
    detail = f"{place}: {first['detail']}" + (" (and more)" if len(found) > 1 else "")
    return respond(path, Problem(422, "invalid-request", detail), errors=found)


def _writable(text: str) -> str:
    """A text without signs that UTF-8 cannot write, which a client may have sent."""
    return text.encode(errors="replace").decode()
