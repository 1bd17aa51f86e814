"""Who may do what: keys and their scopes; and without keys, only whoever sits here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from labkit.cache import Cache
from labkit.cache.admin import create_app, router
from labkit.cache.admin.routes import MOST_BYTES
from tests.cache.admin.conftest import KEYS, SCOPES, Api, keyed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

OPERATIONS: list[tuple[str, str, Any, str]] = [
    ("GET", "/stats", None, "read"),
    ("GET", "/entities", None, "read"),
    ("GET", "/entities/Article", None, "read"),
    ("GET", "/entries?key=Article:1", None, "read"),
    ("GET", "/entries?key=Article:1&preview=true", None, "admin"),
    ("GET", "/hot", None, "read"),
    ("GET", "/curves", None, "read"),
    ("GET", "/export", None, "read"),
    ("GET", "/export?format=csv", None, "read"),
    ("GET", "/export?format=prometheus", None, "read"),
    ("POST", "/invalidations", {"key": "Article:1"}, "write"),
    ("POST", "/invalidations", {"prefix": "A"}, "write"),
    ("POST", "/invalidations", {"all": True}, "admin"),
    ("POST", "/warmings", {"entity": "Article", "ids": [1]}, "write"),
]


@pytest.mark.parametrize("shown", [None, "wrong", *SCOPES])
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_who_may_do_what(make: Callable[..., Api], shown: str | None, header: str) -> None:
    api = make(keys=keyed())
    secret = KEYS.get(shown or "", shown)
    begin = "Bearer " if header == "Authorization" else ""
    headers = {header: f"{begin}{secret}"} if secret else {}
    for method, path, body, needed in OPERATIONS:
        answer = api(method, path, json=body, headers=headers)
        if shown not in SCOPES:
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == (shown == "wrong")
        elif SCOPES.index(shown) < SCOPES.index(needed):
            assert answer.status_code == 403, path
            # What a route lets nobody do but an administrator needs the scope of the route first.
            first = "write" if method == "POST" and shown == "read" else needed
            assert f'scope="{first}"' in answer.headers["WWW-Authenticate"]
        else:
            assert answer.status_code == 200, answer.text


def test_every_operation_is_in_the_matrix(make: Callable[..., Api]) -> None:
    paths = make().app.openapi()["paths"]
    described = {(method.upper(), path) for path in paths for method in paths[path]}
    tried = {
        (method, path.partition("?")[0].replace("/Article", "/{name}"))
        for method, path, *_ in OPERATIONS
    }
    assert tried == described


def test_what_is_refused_has_not_happened(make: Callable[..., Api]) -> None:
    api = make(keys=keyed())
    api.cache["Article"].get(1)
    for key in (None, "read", "write"):
        assert api.post("/invalidations", {"all": True}, key=key).status_code in (401, 403)
    assert api.post("/invalidations", {"key": "Article:1"}, key="read").status_code == 403
    api.post("/warmings", {"entity": "Article", "ids": [2]}, key="read")
    assert api.press.loaded == [("Article", 1)]
    assert api.cache["Article"].get(1)
    assert api.press.loaded == [("Article", 1)]


def test_a_request_without_a_key_learns_nothing(make: Callable[..., Api]) -> None:
    api = make(keys=keyed())
    answers = [
        api.get("/entities/Article"),
        api.get("/entities/Nothing"),
        api.get("/entries"),
        api("POST", "/invalidations", content=b"{no json"),
        api.post("/invalidations", {"nothing": 1}),
        api("POST", "/warmings", content=b"x" * (MOST_BYTES + 1)),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers}) == 1


HERE = "http://127.0.0.1:8000"


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1"])
@pytest.mark.parametrize("base", [HERE, "http://localhost", "http://[::1]:8000"])
def test_without_keys_this_machine_may_do_everything(
    make: Callable[..., Api], client: str, base: str
) -> None:
    api = make()
    for method, path, body, _ in OPERATIONS:
        answer = api(method, path, json=body, client=(client, 1), base=base)
        assert answer.status_code == 200, answer.text
    same = api.get("/stats", base=base, client=(client, 1), headers={"Origin": base})
    assert same.status_code == 200


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"client": ("192.0.2.7", 1)}, "comes from another one"),
        ({"client": ("testclient", 1)}, "comes from another one"),
        ({"client": ("::ffff:192.0.2.7", 1)}, "comes from another one"),
        ({"headers": {"X-Forwarded-For": "127.0.0.1"}}, "a proxy"),
        ({"headers": {"Forwarded": "for=127.0.0.1"}}, "a proxy"),
        ({"headers": {"Via": "1.1 proxy"}}, "a proxy"),
        ({"base": "http://example.org:8000"}, "asks for another host"),
        ({"base": "http://127.0.0.1.example.org"}, "asks for another host"),
        ({"headers": {"Host": ""}}, "asks for another host"),
        ({"headers": {"Host": "[::1"}}, "asks for another host"),
        ({"headers": {"Origin": "https://example.org"}}, "page of another origin"),
        ({"headers": {"Origin": "null"}}, "page of another origin"),
        ({"headers": {"Origin": "http://127.0.0.1:9999"}}, "page of another origin"),
    ],
)
def test_without_keys_nobody_else_may_do_anything(
    make: Callable[..., Api], how: dict[str, Any], why: str
) -> None:
    api = make()
    api.cache["Article"].get(1)
    for method, path, body, _ in OPERATIONS:
        answer = api(method, path, json=body, **how)
        assert answer.status_code == 403
        problem = answer.json()
        assert problem["type"] == "urn:problem-type:cache:no-keys"
        assert why in problem["detail"]
        assert "LABKIT_API_KEYS" in problem["detail"]
    assert api.get("/entries?key=Article:1").json()["tiers"][0]["there"]


def test_keys_come_from_the_environment_too(
    make: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    monkeypatch.setenv("LABKIT_API_KEYS", ",".join(keyed()))
    api = Api(Cache(), create_app(Cache()), make()._runner, make().press)
    assert api.get("/stats").status_code == 401
    assert api.get("/stats", key="read").status_code == 200
    alone = Api(Cache(), create_app(Cache(), keys=[]), api._runner, api.press)
    assert alone.get("/stats").status_code == 200


def test_the_routes_stand_in_another_application_as_they_are(
    make: Callable[..., Api], runner: asyncio.Runner
) -> None:
    own = FastAPI()
    cache = Cache()
    own.include_router(router(cache, keyed()), prefix="/cache")
    api = Api(cache, own, runner, make().press)
    assert api.get("/cache/stats").status_code == 401
    assert api.get("/cache/stats", key="read").status_code == 200
    assert api.get("/cache/entries", key="read").status_code == 422
    assert api.get("/cache/entities/A", key="read").json()["instance"] == "/cache/entities/A"


def test_the_description_asks_for_keys_where_there_are_some(make: Callable[..., Api]) -> None:
    document = make(keys=keyed()).app.openapi()
    assert {each["type"] for each in document["components"]["securitySchemes"].values()} == {
        "http",
        "apiKey",
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            assert len(operation["security"]) == 2
            assert operation["x-scope"] in SCOPES
            assert operation["description"]
            assert {"401", "403"} <= set(operation["responses"])
            assert "application/problem+json" in operation["responses"]["422"]["content"]
    assert "securitySchemes" not in make().app.openapi()["components"]


def test_what_is_no_cache_or_no_key_is_refused() -> None:
    with pytest.raises(TypeError, match="is no cache; expected a Cache"):
        create_app({})
    with pytest.raises(ValueError, match="name:scope:secret"):
        create_app(Cache(), keys=["short"])
