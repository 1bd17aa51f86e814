"""Limits: bodies, batches, pages, requests; and pages of other origins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit.leaderboard.api import Limits, RateLimit, create_app
from tests.leaderboard.api.driver import KEYS, Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from labkit.clock import FakeClock

ORIGIN = "https://game.example"


def test_a_body_is_bounded_announced_or_not(make: Callable[..., Client]) -> None:
    api = make(limits=Limits(body=500))
    api.put("/boards/b")
    body = b'{"member": "ada", "score": 1, "metadata": {"a": "' + b"x" * 430 + b'"}}'
    assert len(body) < 500

    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    headers = {"Content-Type": "application/json"}
    for padding, status in ((b"", 200), (b" " * 100, 413)):
        sent = api("POST", "/boards/b/scores", content=body + padding, headers=headers)
        assert sent.status_code == status
        streamed = api("POST", "/boards/b/scores", content=pieces(body + padding), headers=headers)
        assert streamed.status_code == status, streamed.text
        if status == 413:
            assert sent.json()["detail"] == streamed.json()["detail"]
            assert "500 bytes" in sent.json()["detail"]


def test_batches_and_pages_are_bounded(make: Callable[..., Client]) -> None:
    api = make(limits=Limits(batch=3, page=5))
    api.put("/boards/b")
    scores = [{"member": f"m{number}", "score": number} for number in range(4)]
    assert api.post("/boards/b/scores/batch", {"scores": scores[:3]}).status_code == 200
    too_many = api.post("/boards/b/scores/batch", {"scores": scores})
    assert too_many.status_code == 422
    assert "at most 3" in too_many.json()["detail"]
    assert api.get("/boards/b/count").json() == {"count": 3}
    assert api.get("/boards/b/entries?limit=5").status_code == 200
    assert api.get("/boards/b/entries?limit=6").status_code == 422
    assert api.get("/boards/b/around-score?score=1&count=6").status_code == 422
    assert api.get("/boards/b/entries").status_code == 200, "the default must fit the limit"
    assert api.get("/boards/b/around-score?score=1").status_code == 200
    events = api.get("/boards/b/events?top=6")
    assert events.status_code == 422


def test_requests_are_counted_and_come_back(make: Callable[..., Client], clock: FakeClock) -> None:
    api = make(rate_limit="3/30s")
    left = []
    for _ in range(3):
        answer = api.get("/boards/none")
        assert answer.status_code == 404
        assert answer.headers["RateLimit-Policy"] == '"default";q=3;w=30'
        left.append(answer.headers["RateLimit"])
    assert left == ['"default";r=2;t=10', '"default";r=1;t=20', '"default";r=0;t=30']

    refused = api.get("/boards/none")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "10"
    assert refused.headers["RateLimit"] == '"default";r=0;t=30'
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["type"].endswith(":too-many-requests")

    clock.advance(9.5)
    assert api.get("/boards/none").status_code == 429
    clock.advance(0.5)
    assert api.get("/boards/none").status_code == 404
    assert api.get("/boards/none").status_code == 429
    clock.advance("1h")
    assert [api.get("/boards/none").status_code for _ in range(4)] == [404, 404, 404, 429]
    clock.set(clock() - 3600)  # as that of another process may be
    late = api.get("/boards/none")
    assert (late.status_code, late.headers["RateLimit"]) == (429, '"default";r=0;t=30')


def test_each_key_has_its_own_requests_on_every_process(make: Callable[..., Client]) -> None:
    keys = [f"{scope}er:{scope}:{secret}" for scope, secret in KEYS.items()]
    first = make(rate_limit=RateLimit(2, "1m"), keys=keys)
    second = make(rate_limit=RateLimit(2, "1m"), keys=keys)
    reader, writer = ({"X-API-Key": KEYS[scope]} for scope in ("read", "write"))
    assert first.get("/boards/b", headers=reader).status_code == 404
    assert second.get("/boards/b", headers=reader).status_code == 404
    assert first.get("/boards/b", headers=reader).status_code == 429
    assert second.get("/boards/b", headers=writer).status_code == 404
    # A wrong key counts for the address, so that secrets cannot be tried out quickly.
    statuses = [
        first.get("/boards/b", headers={"X-API-Key": f"guess {number}"}).status_code
        for number in range(3)
    ]
    assert statuses == [401, 401, 429]


def test_who_watches_the_service_is_not_counted(make: Callable[..., Client]) -> None:
    api = make(rate_limit="1/1h")
    for path in ("/healthz", "/readyz", "/metrics"):
        assert [api.get(path).status_code for _ in range(3)] == [200] * 3


def test_without_a_limit_nothing_is_counted(api: Client) -> None:
    assert "RateLimit" not in api.get("/boards/arcade").headers


def test_pages_of_other_origins_are_let_in_where_they_are_named(
    make: Callable[..., Client],
) -> None:
    api = make(cors_origins=[ORIGIN])
    api.put("/boards/b")
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-api-key"}
    preflight = api("OPTIONS", "/boards/b", headers={"Origin": ORIGIN, **asked})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    answer = api.get("/boards/b/entries", headers={"Origin": ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Link" in answer.headers["Access-Control-Expose-Headers"]
    foreign = api.get("/boards/b/entries", headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in foreign.headers


def test_pages_of_other_origins_are_not_let_in_by_default(api: Client) -> None:
    answer = api.get("/boards/arcade", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"rate_limit": "100"}, "100/1m"),
        ({"rate_limit": "0/1m"}, "1 request"),
        ({"rate_limit": "5/0s"}, "above 0"),
        ({"rate_limit": "x/1m"}, "100/1m"),
        ({"prefix": "v1"}, "'/v1'"),
        ({"prefix": "/v1/"}, "'/v1'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        create_app("fake://", **options)


@pytest.mark.parametrize(
    "limits", [{"body": 0}, {"page": 1001}, {"answer": 0}, {"snapshot": "x"}, {"streams": -1}]
)
def test_limits_that_cannot_be_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=next(iter(limits)) if limits != {"snapshot": "x"} else "x"
    ):
        Limits(**limits)
