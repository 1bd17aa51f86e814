"""API keys: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkit.leaderboard.api import ApiKey, create_app
from labkit.leaderboard.api.security import KEYS_VARIABLE
from tests.leaderboard.api.driver import KEYS, Client

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATIONS = [
    ("PUT", "/boards/arcade", {}, "admin"),
    ("POST", "/boards/arcade/scores", {"member": "ada", "score": 1}, "write"),
    ("POST", "/boards/arcade/scores/batch", {"scores": [{"member": "a", "score": 1}]}, "write"),
    ("POST", "/boards/arcade/increments", {"member": "ada", "by": 1}, "write"),
    ("GET", "/boards/arcade", None, "read"),
    ("GET", "/boards/arcade/windows", None, "read"),
    ("GET", "/boards/arcade/windows/all/periods", None, "read"),
    ("GET", "/boards/arcade/entries", None, "read"),
    ("GET", "/boards/arcade/members/bob", None, "read"),
    ("GET", "/boards/arcade/members/bob/around", None, "read"),
    ("GET", "/boards/arcade/members/bob/percentile", None, "read"),
    ("GET", "/boards/arcade/members/bob/history", None, "read"),
    ("GET", "/boards/arcade/around-score?score=1", None, "read"),
    ("GET", "/boards/arcade/among?member=bob", None, "read"),
    ("GET", "/boards/arcade/rank-of?score=1", None, "read"),
    ("GET", "/boards/arcade/score-at?percentile=1", None, "read"),
    ("GET", "/boards/arcade/count", None, "read"),
    # A board without events, so that what is let in does not wait for them.
    ("GET", "/boards/silent/events", None, "read"),
    ("DELETE", "/boards/arcade/members/bob", None, "write"),
    ("DELETE", "/boards/arcade", None, "admin"),
]
SCOPES = ["read", "write", "admin"]


@pytest.fixture
def locked(make: Callable[..., Client]) -> Client:
    api = make(keys=[f"{scope}er:{scope}:{secret}" for scope, secret in KEYS.items()])
    admin = {"X-API-Key": KEYS["admin"]}
    api.put("/boards/arcade", headers=admin)
    api.put("/boards/silent", json={"events": 0}, headers=admin)
    api.post("/boards/arcade/scores", {"member": "bob", "score": 1}, headers=admin)
    return api


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
@pytest.mark.parametrize("shown", [None, "wrong", *SCOPES])
def test_who_may_do_what(locked: Client, shown: str | None, header: str) -> None:
    secret = KEYS.get(shown or "", shown)
    begin = "Bearer " if header == "Authorization" else ""
    headers = {header: f"{begin}{secret}"} if secret else {}
    for method, path, body, needed in OPERATIONS:
        answer = locked(method, path, json=body, headers=headers)
        if shown not in SCOPES:
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == (shown == "wrong")
        elif SCOPES.index(shown) < SCOPES.index(needed):
            assert answer.status_code == 403
            assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]
        else:
            silent = "silent" in path
            assert answer.status_code in ((409,) if silent else (200, 204)), answer.text


def test_every_operation_is_in_the_matrix(locked: Client) -> None:
    document = locked.get("/openapi.json").json()
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith("/boards")
    }
    tried = {
        (
            method,
            path.partition("?")[0]
            .replace("arcade", "{board}")
            .replace("silent", "{board}")
            .replace("bob", "{member}")
            .replace("windows/all", "windows/{window}"),
        )
        for method, path, *_ in OPERATIONS
    }
    assert tried == described


def test_a_request_without_a_key_learns_nothing(locked: Client) -> None:
    there, missing = locked.get("/boards/arcade"), locked.get("/boards/none")
    assert there.status_code == missing.status_code == 401
    assert there.json()["detail"] == missing.json()["detail"]
    invalid = locked.post("/boards/arcade/scores", {"score": "x"})
    assert invalid.status_code == 401


def test_keys_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, f" a:read:{KEYS['read']},b:admin:{KEYS['admin']}\n")
    with Client(create_app(url)) as api:
        assert api.put("/boards/b").status_code == 401
        assert api.put("/boards/b", headers={"X-API-Key": KEYS["read"]}).status_code == 403
        assert api.put("/boards/b", headers={"X-API-Key": KEYS["admin"]}).status_code == 201
    with Client(create_app(url, keys=[])) as open_to_all:
        assert open_to_all.get("/boards/b").status_code == 200


@pytest.mark.parametrize(
    "key",
    [
        "",
        "name",
        "name:read",
        "name:read:short",
        "name:root:0123456789abcdef",
        "a b:read:" + "x" * 16,
    ],
)
def test_a_key_that_cannot_be_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="name:scope:secret") as refused:
        create_app("fake://", keys=[key])
    assert "0123456789abcdef" not in str(refused.value)


def test_names_of_keys_differ() -> None:
    with pytest.raises(ValueError, match="same name"):
        create_app("fake://", keys=[f"a:read:{KEYS['read']}", f"a:write:{KEYS['write']}"])


def test_a_secret_is_not_shown() -> None:
    key = ApiKey("game", "write", "a:secret:with:colons")
    assert "colons" not in repr(key)
    assert ApiKey.parse("game:write:a:secret:with:colons") == key


def test_every_key_is_compared_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    from labkit.leaderboard.api.security import Keyring

    compared = []
    honest = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return honest(one, other)

    ring = Keyring([f"k{number}:read:secret-number-{number:04}" for number in range(5)])
    monkeypatch.setattr("hmac.compare_digest", counted)
    for secret in ("secret-number-0000", "secret-number-0004", "none"):
        compared.clear()
        found = ring.find(secret)
        assert (found is None) == (secret == "none")
        assert compared == [32] * 5


def test_the_description_asks_for_keys_where_there_are_some(
    locked: Client, make: Callable[..., Client]
) -> None:
    document = locked.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    operation = document["paths"]["/boards/{board}"]["get"]
    assert operation["security"] == [{"bearer": []}, {"apiKey": []}]
    assert {"401", "403"} <= set(operation["responses"])
    assert "securitySchemes" not in make().get("/openapi.json").json()["components"]
