"""The service does what its OpenAPI description says, whatever it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from labkit.leaderboard.api import create_app, serve
from tests.leaderboard.api.driver import PATIENT
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
BOARD = {"windows": ["hourly", "daily", "all"], "maximum": 1e6}


@pytest.fixture(scope="module")
def described(bench: Any) -> Iterator[Any]:
    """The operations of a service that really listens, without the stream that does not end."""
    bench.reset()
    with serve(create_app(bench.url, limits=PATIENT)) as service:
        yield schemathesis.openapi.from_url(f"{service.url}/openapi.json")


def operations() -> list[tuple[str, str]]:
    """The method and path of every operation but the stream that does not end."""
    paths = create_app("fake://").openapi()["paths"]
    found = [(method, path) for path, methods in paths.items() for method in methods]
    return [(method, path) for method, path in found if not path.endswith("/events")]


@pytest.mark.soak
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), operations())
def test_every_operation_does_as_described(
    described: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = described[path][method]
    board = f"{described.get_base_url().rstrip('/')}/boards/arcade"

    def make_board() -> None:
        httpx.put(board, json=BOARD).raise_for_status()
        httpx.post(f"{board}/scores", json={"member": "ada", "score": 7}).raise_for_status()

    httpx.delete(board)  # what another test has made of it
    make_board()

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=times(10),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def check(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and "{board}" in path:
            # What is sent as described meets a board that is there.
            case.path_parameters["board"] = "arcade"
            if operation.definition.raw["operationId"] == "deleteBoard":
                make_board()
        case.call_and_validate(checks=CHECKS)

    try:
        check()
    except hypothesis.errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "nothing can be sent to it"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = create_app("fake://").openapi()
    return found


def test_operations_read_well(document: dict[str, Any]) -> None:
    operations = [
        operation for operations in document["paths"].values() for operation in operations.values()
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) == 23
    for operation in operations:
        assert operation["operationId"].isalpha()
        assert operation["summary"]
        assert operation["description"]
        assert len(operation["tags"]) == 1
        errors = [status for status in operation["responses"] if status >= "4"]
        assert {"429", "500", "503"} <= set(errors)
        for status in errors:
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"]
            assert operation["responses"][status]["description"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_documentation_is_there(api: Any) -> None:
    assert api.get("/docs").status_code == 200
    assert api.get("/openapi.json").json()["info"]["title"] == "Leaderboard"
