"""Every error is a problem; health, readiness and counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkit.leaderboard.api import Limits, create_app
from tests.leaderboard.api.driver import KEYS, Client

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx


def assert_problem(answer: httpx.Response, status: int, path: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["instance"] == path
    assert body["title"]
    assert body["detail"]
    assert body["type"] == "about:blank" or body["type"].startswith("urn:problem-type:")


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/boards/none", {}, 404),
        ("GET", "/boards/a%00b", {}, 404),
        ("PATCH", "/boards/arcade", {}, 405),
        ("POST", "/boards/arcade/entries", {}, 405),
        ("PUT", "/boards/arcade", {"json": {"order": "asc"}}, 409),
        ("PUT", "/boards/a%7Bb", {}, 422),
        ("PUT", "/boards/" + 201 * "a", {}, 422),
        ("POST", "/boards/arcade/scores", {"content": b"{"}, 422),
        ("POST", "/boards/arcade/scores", {"content": b"x" * 2000}, 413),
        ("GET", "/boards/arcade/entries", {"params": {"limit": "many"}}, 422),
    ],
)
def test_errors_are_problems(
    make: Callable[..., Client], method: str, path: str, options: dict[str, object], status: int
) -> None:
    api = make(limits=Limits(body=1000))
    api.put("/boards/arcade")
    assert_problem(api(method, path, **options), status, path)


def test_a_validation_error_lists_its_fields(api: Client) -> None:
    answer = api.post(
        "/boards/arcade/scores/batch", {"scores": [{"member": "a", "score": 1}, {"score": "x"}]}
    )
    assert_problem(answer, 422, "/boards/arcade/scores/batch")
    assert [(each["in"], each["field"]) for each in answer.json()["errors"]] == [
        ("body", "scores.1.member"),
        ("body", "scores.1.score"),
    ]


def test_a_method_that_is_not_there_names_those_that_are(api: Client) -> None:
    assert api.delete("/healthz").headers["Allow"] == "GET"


def test_a_failure_is_a_problem_that_tells_nothing(
    make: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make()
    api.put("/boards/arcade")

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("labkit.leaderboard.AsyncWindow.count", broken)
    answer = api.get("/boards/arcade/count")
    assert_problem(answer, 500, "/boards/arcade/count")
    assert "secret" not in answer.text
    counted = api.get("/metrics").text
    assert 'route="/boards/{board}/count",status="500"} 1.0' in counted


def test_health_and_readiness_need_no_key(make: Callable[..., Client]) -> None:
    api = make(keys=[f"a:read:{KEYS['read']}"])
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json() == {"status": "ready"}
    assert api.get("/metrics").status_code == 200


def test_requests_are_counted_by_their_route(api: Client) -> None:
    for member in "abc":
        api.post("/boards/arcade/scores", {"member": member, "score": 1})
        api.get(f"/boards/arcade/members/{member}%2F1")
    api.get("/nowhere")
    api("BREW", "/boards/arcade")
    counted = api.get("/metrics").text
    name = "leaderboard_http_requests_total"
    for line in (
        '{method="POST",route="/boards/{board}/scores",status="200"} 3.0',
        '{method="GET",route="/boards/{board}/members/{member}",status="404"} 3.0',
        '{method="GET",route="unmatched",status="404"} 1.0',
        '{method="other",route="/boards/{board}",status="405"} 1.0',
    ):
        assert name + line in counted
    assert (
        'leaderboard_http_response_seconds_count{method="POST",route="/boards/{board}/scores"} 3.0'
        in counted
    )


def test_each_application_counts_for_itself(url: str) -> None:
    with Client(create_app(url)) as first, Client(create_app(url)) as second:
        first.get("/nowhere")
        assert 'status="404"' in first.get("/metrics").text
        assert 'status="404"' not in second.get("/metrics").text
