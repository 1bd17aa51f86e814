"""Scores: submitted, added up, sent again, refused, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from labkit.clock import FakeClock
    from tests.leaderboard.api.driver import Client

SCORES = "/boards/arcade/scores"


def keyed(api: Client, body: dict[str, Any], key: str, path: str = SCORES) -> httpx.Response:
    return api.post(path, body, headers={"Idempotency-Key": key})


def test_a_score_is_answered_with_its_rank(api: Client) -> None:
    api.post(SCORES, {"member": "bob", "score": 5})
    api.post(SCORES, {"member": "ada", "score": 4, "metadata": {"level": 7}})
    answer = api.post(SCORES, {"member": "ada", "score": 6.5})
    assert answer.status_code == 200
    assert answer.json() == {
        "member": "ada",
        "window": "all",
        "changed": True,
        "rank": 1,
        "score": 6.5,
        "old_rank": 2,
        "old_score": 4,
        "moves": {
            "all": {
                "period": "all",
                "outcome": "changed",
                "old_score": 4,
                "new_score": 6.5,
                "old_rank": 2,
                "new_rank": 1,
            }
        },
    }
    assert api.get("/boards/arcade/members/ada").json()["metadata"] == {"level": 7}


def test_a_score_counts_at_the_time_it_was_made(api: Client, clock: FakeClock) -> None:
    api.put("/boards/b", json={"windows": ["hourly"], "grace": "2h"})
    for at in (clock() - 3600, "1970-01-01T00:00:00Z"):
        answer = api.post("/boards/b/scores", {"member": "ada", "score": 1, "at": at})
        late = isinstance(at, str)
        assert answer.status_code == (409 if late else 200)
    assert api.get("/boards/b/count").json() == {"count": 0}
    past = api.get("/boards/b/count", params={"at": clock() - 3600})
    assert past.json() == {"count": 1}


def test_increments_add_up(api: Client) -> None:
    for by in (10, 2.5, -1):
        answer = api.post("/boards/arcade/increments", {"member": "ada", "by": by})
    assert answer.json()["score"] == 11.5


@pytest.mark.parametrize(
    ("path", "amount"), [(SCORES, "score"), ("/boards/arcade/increments", "by")]
)
def test_a_repeated_request_is_stored_once(api: Client, path: str, amount: str) -> None:
    body = {"member": "ada", amount: 5}
    first = keyed(api, body, "k1", path)
    api.post(path, {"member": "ada", amount: 7})
    again = keyed(api, body, "k1", path)
    assert again.status_code == first.status_code == 200
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    kept = api.get("/boards/arcade/members/ada").json()["score"]
    assert kept == (12 if amount == "by" else 7)


def test_a_key_belongs_to_one_request(api: Client) -> None:
    keyed(api, {"member": "ada", "score": 5}, "k1")
    refused = keyed(api, {"member": "ada", "score": 6}, "k1")
    assert refused.status_code == 422
    assert refused.json()["type"].endswith(":key-reused")
    assert api.get("/boards/arcade/members/ada").json()["score"] == 5
    assert keyed(api, {"member": "ada", "score": 6}, "k2").status_code == 200


def test_a_batch_says_what_became_of_each(api: Client) -> None:
    api.put("/boards/b", json={"minimum": 0, "maximum": 100, "step": 5})
    api.post("/boards/b/scores", {"member": "old", "score": 50})
    batch = [
        {"member": "ada", "score": 10, "key": "k1"},
        {"member": "low", "score": -1},
        {"member": "high", "score": 101},
        {"member": "old", "score": 52},
        {"member": "bob", "score": 0},
    ]
    body = api.post("/boards/b/scores/batch", {"scores": batch}).json()
    assert [each["status"] for each in body["results"]] == [
        "stored",
        "refused",
        "refused",
        "refused",
        "stored",
    ]
    assert (body["stored"], body["replayed"], body["refused"]) == (2, 0, 3)
    assert "maximum 100" in body["results"][2]["refused"]
    assert "step" in body["results"][3]["refused"]
    assert body["results"][4]["submission"]["rank"] == 3
    assert api.get("/boards/b/count").json() == {"count": 3}

    again = api.post("/boards/b/scores/batch", {"scores": batch[:1]}).json()
    assert again["results"][0]["status"] == "replayed"
    assert again["results"][0]["submission"] == body["results"][0]["submission"]


def test_a_malformed_batch_stores_nothing(api: Client) -> None:
    batch = [{"member": "ada", "score": 1}, {"member": "bob", "score": "2"}]
    assert api.post(f"{SCORES}/batch", {"scores": batch}).status_code == 422
    batch[1] = {"member": "x" * 600, "score": 2}
    assert api.post(f"{SCORES}/batch", {"scores": batch}).status_code == 422
    assert api.get("/boards/arcade/count").json() == {"count": 0}


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"member": "ada"}, "score"),
        ({"member": "ada", "score": None}, "expected a number"),
        ({"member": "ada", "score": True}, "expected a number"),
        ({"member": "ada", "score": "7"}, "expected a number"),
        ({"member": "ada", "score": 2**53 + 1}, "exactly"),
        ({"member": "ada", "score": 10**400}, "exactly"),
        ({"member": "", "score": 1}, "member"),
        ({"member": "a\0b", "score": 1}, "NUL"),
        ({"member": "ü" * 300, "score": 1}, "600 bytes"),
        ({"member": 7, "score": 1}, "member"),
        ({"member": "ada", "score": 1, "at": "yesterday"}, "time zone"),
        ({"member": "ada", "score": 1, "at": "2026-11-22T10:00:00"}, "time zone"),
        ({"member": "ada", "score": 1, "at": -1}, "1970"),
        ({"member": "ada", "score": 1, "metadata": []}, "metadata"),
        ({"member": "ada", "score": 1, "metadata": {"a": "x" * 5000}}, "at most 4096"),
        ({"member": "ada", "score": 1, "extra": 1}, "extra"),
    ],
)
def test_a_score_that_cannot_be_is_refused(api: Client, body: dict[str, Any], hint: str) -> None:
    answer = api.post(SCORES, body)
    assert answer.status_code == 422, answer.text
    assert hint in answer.text
    assert api.get("/boards/arcade/count").json() == {"count": 0}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"member": "ada", "score": NaN}',
        b'{"member": "ada", "score": 1e999}',
        b'{"member": "\\ud800", "score": 1}',
        b'{"member": "ada", "score": 1, "metadata": {"a": "\\ud800"}}',
        b'{"member": "ada", "\\ud800": 1}',
        b'{"member"',
        b"[1]",
        b'{"member": "ada", "score": 1, "metadata": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}",
    ],
)
def test_json_at_its_edges_is_no_failure(api: Client, raw: bytes) -> None:
    answer = api("POST", SCORES, content=raw, headers={"Content-Type": "application/json"})
    nested = b"[[" in raw
    assert answer.status_code in ((200, 422) if nested else (422,)), answer.text
    assert nested or api.get("/boards/arcade/count").json() == {"count": 0}


def test_refusals_of_the_board(make: Callable[..., Client]) -> None:
    api = make()
    api.put("/boards/b", json={"minimum": 0})
    refused = api.post("/boards/b/scores", {"member": "ada", "score": -1})
    assert refused.status_code == 422
    assert refused.json()["type"].endswith(":score-refused")
    assert "minimum 0" in refused.json()["detail"]


def test_a_removed_member_is_gone_from_every_window(api: Client, clock: FakeClock) -> None:
    api.put("/boards/b", json={"windows": ["daily", "all"]})
    api.post("/boards/b/scores", {"member": "ada", "score": 1})
    clock.advance("1d")
    api.post("/boards/b/scores", {"member": "ada", "score": 1})
    yesterday = {"window": "daily", "at": clock() - 86_400}
    assert api.delete("/boards/b/members/ada", params={"history": False}).status_code == 204
    assert api.get("/boards/b/members/ada").status_code == 404
    assert api.get("/boards/b/members/ada", params=yesterday).status_code == 200
    assert api.delete("/boards/b/members/ada").status_code == 204
    assert api.get("/boards/b/members/ada", params=yesterday).status_code == 404
    missing = api.delete("/boards/b/members/ada")
    assert missing.status_code == 404
    assert missing.json()["type"].endswith(":no-such-member")
