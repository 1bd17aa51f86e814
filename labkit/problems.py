"""Errors of labkit's services as problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An error of a service.

    Args:
        status: The HTTP status.
        kind: Its name, the end of the problem's `type`; empty for a plain HTTP error.
        detail: What was wrong, what was expected, what to do.
        headers: Headers that belong to the answer.
        more: Further members of the problem.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.more = more


def response(
    service: str,
    instance: str,
    status: int,
    kind: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A problem as a response.

    Args:
        service: Whose it is; stands in the problem's `type`.
        instance: What the request was for.
        status: The HTTP status.
        kind: The end of the problem's `type`; empty for about:blank.
        detail: What was wrong, and what to do.
        headers: Headers of the response.
        more: Further members of the problem.
    """
    phrase = HTTPStatus(status).phrase
    problem = {
        "type": f"urn:problem-type:{service}:{kind}" if kind else "about:blank",
        "title": kind.replace("-", " ").capitalize() or phrase,
        "status": status,
        "detail": _writable(detail) or phrase,
        "instance": _writable(instance),
        **more,
    }
    return Response(msgspec.json.encode(problem), status, headers, MEDIA_TYPE)


def invalid(error: Any) -> tuple[str, list[dict[str, str]]]:
    """What FastAPI found wrong with a request: in a sentence, and field by field.

    What the request said is not repeated.

    Args:
        error: Its `RequestValidationError`, or that of a WebSocket.
    """
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
    return f"{place}: {first['detail']}" + (" (and more)" if len(found) > 1 else ""), found


def _writable(text: str) -> str:
    """A text without signs that UTF-8 cannot write, which a client may have sent."""
    return text.encode(errors="replace").decode()
