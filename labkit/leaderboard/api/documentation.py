"""The OpenAPI description: what every operation may answer, and the keys it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from labkit.leaderboard.api.models import InvalidField, Problem
from labkit.leaderboard.api.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from fastapi import FastAPI

    from labkit.leaderboard.api.service import Service

TAGS = [
    {"name": "boards", "description": "Making, describing and removing boards."},
    {"name": "scores", "description": "Submitting scores."},
    {"name": "reads", "description": "Entries, ranks and neighbours, in any window."},
    {"name": "live", "description": "Changes as they happen."},
    {"name": "health", "description": "For those who watch the service; no key is needed."},
]
DESCRIPTION = (
    "Leaderboards on Redis: atomic submits, ranks under four kinds of ties, windows of time, "
    "stable paging, live changes. Errors are problem details (RFC 9457)."
)

_ERRORS = {
    400: "The request cannot be read.",
    401: "No valid API key.",
    403: "The key's scope is too small.",
    404: "There is no such board, member or address.",
    409: "It does not fit what is there.",
    413: "The body is too large.",
    422: "The request is not as it should be; the problem says where.",
    429: "Too many requests; the header Retry-After says when to come back.",
    500: "The service failed.",
    503: "Redis does not answer, or the service is full or shutting down.",
}
_EXAMPLES = {
    404: ("no-such-board", "No such board", "There is no board 'arcade'; a PUT makes one."),
    422: ("score-refused", "Score refused", "-1.0 for 'ada' is outside the board's bounds."),
}


def install(app: FastAPI, service: Service) -> None:
    """Let an application describe itself."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app, keys=bool(service.keyring))
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _described(app: FastAPI, *, keys: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, InvalidField):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    if keys:
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            guarded = keys and "health" not in operation["tags"]
            if guarded:
                operation["security"] = [{"bearer": []}, {"apiKey": []}]
            for status in _possible(path, method, guarded=guarded):
                described = operation["responses"].get(str(status), {}).get("description")
                operation["responses"][str(status)] = _error(status, described)
    return document


def _possible(path: str, method: str, *, guarded: bool) -> list[int]:
    """The errors that an operation may answer."""
    statuses = [429, 500, 503]
    if guarded:
        statuses += [401, 403]
    if "{board}" in path:
        statuses += [404, 409, 422]
    if method in ("post", "put"):
        statuses += [400, 413]
    return sorted(statuses)


def _error(status: int, description: str | None) -> dict[str, Any]:
    kind, title, detail = _EXAMPLES.get(status, ("", "", ""))
    example = {
        "type": f"urn:problem-type:leaderboard:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "/boards/arcade",
    }
    body: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if kind:
        body["example"] = example
    if description in (None, "Validation Error"):
        description = _ERRORS[status]
    return {"description": description, "content": {MEDIA_TYPE: body}}
