"""Errors as problem details (RFC 9457): every error of the service leaves through here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from redis import exceptions
from starlette.exceptions import HTTPException

from labkit import problems
from labkit.leaderboard import errors
from labkit.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.types import Scope

__all__ = ["MEDIA_TYPE", "PASSING", "Problem", "Unavailable", "install", "refusals", "respond"]


class Unavailable(Problem):
    """Redis did not answer in time, or not at all; a later try may succeed."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "redis-unavailable",
            "Redis does not answer. Nothing is known of a write that was under way: send it again "
            "with the same Idempotency-Key.",
            {"Retry-After": "1"},
        )


# Troubles of the server that a later try may not meet.
PASSING = (
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
)

_REFUSALS: Mapping[type[Exception], tuple[int, str]] = {
    errors.NoSuchBoard: (404, "no-such-board"),
    errors.LayoutMismatch: (409, "layout-mismatch"),
    errors.WindowClosed: (409, "window-closed"),
    errors.ScoreRefused: (422, "score-refused"),
    errors.KeyReused: (422, "key-reused"),
    errors.CursorRefused: (422, "cursor-refused"),
}


@contextmanager
def refusals() -> Iterator[None]:
    """Around calls of the library: what it says of an argument is the client's to read, as 422."""
    try:
        yield
    except errors.LeaderboardError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise Problem(422, "invalid-argument", str(error)) from error
    except RecursionError as error:
        raise Problem(422, "invalid-argument", "the metadata is nested too deeply") from error


def respond(
    scope: Scope,
    status: int,
    kind: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A problem as a response.

    Args:
        scope: The ASGI scope of the request, which the problem names as its `instance`.
        status: The HTTP status.
        kind: The end of the problem's `type`; empty for about:blank.
        detail: What was wrong, and what to do.
        headers: Headers of the response.
        more: Further members of the problem.
    """
    instance = (scope.get("raw_path") or b"").decode("latin-1")
    return problems.response("leaderboard", instance, status, kind, detail, headers, **more)


def install(app: FastAPI) -> None:
    """Let every error of an application leave as a problem."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _invalid)
    app.add_exception_handler(errors.LeaderboardError, _refused)
    app.add_exception_handler(Exception, _broken)
    for passing in PASSING:
        app.add_exception_handler(passing, _passing)


async def _http_error(connection: HTTPConnection, error: Any) -> Response:
    kind, more = getattr(error, "kind", ""), getattr(error, "more", {})
    return respond(
        connection.scope, error.status_code, kind, str(error.detail), error.headers, **more
    )


async def _invalid(connection: HTTPConnection, error: Any) -> Response:
    detail, found = problems.invalid(error)
    return respond(connection.scope, 422, "invalid-request", detail, errors=found)


async def _refused(connection: HTTPConnection, error: Any) -> Response:
    status, kind = next(
        (known for cls, known in _REFUSALS.items() if type(error) is cls), (422, "refused")
    )
    return respond(connection.scope, status, kind, str(error))


async def _passing(connection: HTTPConnection, error: Any) -> Response:
    detail = f"Redis refuses the command for now: {error}"
    return respond(connection.scope, 503, "redis-unavailable", detail, {"Retry-After": "1"})


async def _broken(connection: HTTPConnection, error: Exception) -> Response:
    return respond(connection.scope, 500, "", "The service failed; its log says more.")
