"""What is never stored, and whose requests are never shared."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Cookie, Depends, Header, HTTPException, Request, Response, Security
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from starlette.authentication import SimpleUser, UnauthenticatedUser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from tests.cache.web.conftest import Web


def answering(web: Web, **made: Any) -> None:
    """A route that answers with a status and headers."""

    def page() -> Response:
        web.ran.append("/")
        return JSONResponse(len(web.ran), **made)

    web.route("/", page)


@pytest.mark.parametrize(
    "made",
    [
        {"headers": {"Set-Cookie": "session=1"}},
        {"headers": {"Cache-Control": "no-store"}},
        {"headers": {"Cache-Control": "max-age=60, NO-STORE"}},
        {"headers": {"Cache-Control": "private"}},
        {"headers": {"Cache-Control": "private, max-age=60"}},
        {"headers": {"Cache-Control": "no-cache"}},
        {"headers": {"Cache-Control": "max-age=0"}},
        {"headers": {"Cache-Control": "max-age=60, s-maxage=0"}},
        {"headers": {"Vary": "Cookie"}},
        {"headers": {"Vary": "Accept, X-Own"}},
        {"headers": {"Vary": "*"}},
        *({"status_code": status} for status in (206, 304, 400, 401, 403, 404, 412, 500, 503)),
    ],
)
def test_it_is_never_stored(web: Web, made: dict[str, Any]) -> None:
    answering(web, **made)
    first, second = web.get("/"), web.get("/")
    assert len(web.ran) == 2
    assert first.status_code == made.get("status_code", 200)
    assert second.headers["X-Cache"] == "miss"
    for name, value in made.get("headers", {}).items():
        assert second.headers[name] == value
    assert "ETag" not in second.headers


@pytest.mark.parametrize(
    "made",
    [
        {"status_code": 201},
        {"status_code": 301, "headers": {"Location": "/there"}},
        {"headers": {"Vary": "ACCEPT"}},
        {"headers": {"Cache-Control": "public, max-age=60"}},
        {"headers": {"ETag": 'W/"7"'}},
    ],
)
def test_it_is_stored(web: Web, made: dict[str, Any]) -> None:
    answering(web, **made)
    first, second = web.get("/"), web.get("/")
    assert len(web.ran) == 1
    assert second.headers["X-Cache"] == "hit"
    assert first.status_code == second.status_code == made.get("status_code", 200)
    for name, value in made.get("headers", {}).items():
        assert second.headers[name].lower().startswith(value.lower())


def test_a_max_age_of_its_own_bounds_the_ttl(web: Web) -> None:
    answering(web, headers={"Cache-Control": "public, max-age=60, s-maxage=5"})
    web.get("/")
    web.clock.advance(4)
    kept = web.get("/")
    assert kept.headers["Cache-Control"] == "public, max-age=60, s-maxage=5"
    assert kept.headers["Age"] == "4"
    web.clock.advance(2)
    assert web.get("/").headers["X-Cache"] == "miss"


@pytest.mark.parametrize(
    ("expires", "lives"),
    [(format_datetime(datetime.fromtimestamp(1_005, UTC), usegmt=True), 5), ("0", 0), ("-1", 0)],
)
def test_an_expires_of_its_own_bounds_the_ttl(web: Web, expires: str, lives: int) -> None:
    answering(web, headers={"Expires": expires})
    web.get("/")
    web.clock.advance(4)
    assert web.get("/").headers["X-Cache"] == ("hit" if lives else "miss")
    web.clock.advance(2)
    assert web.get("/").headers["X-Cache"] == "miss"


def test_a_max_age_of_its_own_does_not_lengthen_the_ttl(web: Web) -> None:
    answering(web, headers={"Cache-Control": "max-age=6000"})
    web.get("/")
    web.clock.advance(601)
    assert web.get("/").headers["X-Cache"] == "miss"


def test_an_etag_of_its_own_is_kept(web: Web) -> None:
    answering(web, headers={"ETag": 'W/"7"'})
    web.get("/")
    assert web.get("/", If_None_Match='"7"').status_code == 304
    assert web.get("/", If_None_Match='"8"').status_code == 200


def test_modified_since(web: Web) -> None:
    answering(web, headers={"Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"})
    assert web.get("/", If_Modified_Since="Sun, 01 Mar 2026 12:00:00 GMT").status_code == 304
    assert web.get("/", If_Modified_Since="Sun, 01 Mar 2026 11:59:59 GMT").status_code == 200


def test_streams_and_files_are_never_stored(web: Web, tmp_path: Path) -> None:
    path = tmp_path / "page.txt"
    path.write_text("a file")

    def stream() -> StreamingResponse:
        web.ran.append("stream")
        return StreamingResponse(iter([b"a ", b"stream"]), media_type="text/plain")

    def file() -> FileResponse:
        web.ran.append("file")
        return FileResponse(path)

    web.route("/stream", stream)
    web.route("/file", file)
    for _ in range(2):
        assert web.get("/stream").text == "a stream"
        assert web.get("/file").text == "a file"
    assert sorted(web.ran) == ["file", "file", "stream", "stream"]


def test_others_get_no_cookie_when_they_ask_meanwhile(awaited_web: Web) -> None:
    """A stampede on a response that is for one reader only: each has their own."""
    web = awaited_web

    def page(response: Response) -> str:
        web.ran.append("/")
        response.set_cookie("session", str(len(web.ran)))
        return "hello"

    web.route("/", page)
    answers = web.together(["/"] * 8)
    cookies = {answer.headers["Set-Cookie"] for answer in answers}
    assert len(cookies) == len(web.ran) == 8


def test_cookies_of_dependencies_are_of_one_request(web: Web) -> None:
    def session(request: Request, response: Response) -> None:
        response.set_cookie("session", request.headers["x-user"])

    def page(_: None = Depends(session)) -> str:
        web.ran.append("/")
        return "hello"

    web.route("/", page)
    for user in ("ada", "bob"):
        answer = web.get("/", X_User=user)
        assert answer.headers["Set-Cookie"].startswith(f"session={user};")
        assert answer.headers["Cache-Control"] == "private, max-age=600"
    assert len(web.ran) == 1


def greeting(web: Web, **how: Any) -> None:
    """A route that greets who asks."""

    def hello(request: Request) -> str:
        web.ran.append("/")
        shown = request.headers.get("authorization") or request.headers.get("cookie")
        return f"hello {shown}"

    web.route("/", hello, **how)


def test_requests_with_authorization_are_not_shared(web: Web) -> None:
    greeting(web)
    for _ in range(2):
        for who in ("ada", "bob"):
            answer = web.get("/", Authorization=who)
            assert answer.json() == f"hello {who}"
            assert answer.headers["X-Cache"] == "bypass"
            assert "Cache-Control" not in answer.headers
    assert web.get("/").json() == "hello None"


@pytest.mark.parametrize("header", ["Authorization", "Cookie"])
def test_each_reader_has_their_own(web: Web, header: str) -> None:
    greeting(web, private=True)
    for number in range(2):
        for who in ("ada", "bob"):
            answer = web.get("/", **{header: who})
            assert answer.json() == f"hello {who}"
            assert answer.headers["X-Cache"] == ("hit" if number else "miss")
            assert answer.headers["Cache-Control"] == "private, max-age=600"
            assert {"authorization", "cookie"} <= set(answer.headers["Vary"].split(", "))


def test_a_function_may_say_whose_it_is(web: Web) -> None:
    greeting(web, private=lambda request: request.headers["x-user"])
    assert web.get("/", X_User="ada", Authorization="1").headers["X-Cache"] == "miss"
    assert web.get("/", X_User="ada", Authorization="2").headers["X-Cache"] == "hit"
    assert web.get("/", X_User="bob", Authorization="1").headers["X-Cache"] == "miss"


def test_a_private_response_of_the_route_is_kept_for_its_reader(web: Web) -> None:
    def page(response: Response) -> str:
        web.ran.append("/")
        response.headers["Cache-Control"] = "private, max-age=60"
        response.headers["Vary"] = "Cookie"
        return "hello"

    web.route("/", page, private=True)
    assert [web.get("/", Cookie="a=1").headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]


def test_a_key_may_share_them(web: Web) -> None:
    def login(request: Request) -> str:
        user = request.headers.get("authorization")
        if user is None:
            raise HTTPException(401)
        return user

    def feed(user: str = Depends(login)) -> str:
        web.ran.append(user)
        return user

    web.route("/feed", feed, key="feed:{user}")
    for _ in range(2):
        assert web.get("/feed", Authorization="ada").json() == "ada"
        assert web.get("/feed", Authorization="bob").json() == "bob"
        # Who may ask is asked each time.
        assert web.get("/feed").status_code == 401
    assert sorted(web.ran) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("scheme", "header"),
    [
        (HTTPBearer(), {"Authorization": "Bearer 1"}),
        (APIKeyHeader(name="X-Secret"), {"X-Secret": "1"}),
        (APIKeyCookie(name="key"), {"Cookie": "key=1"}),
    ],
)
def test_secrets_of_fastapi_are_known(web: Web, scheme: Any, header: dict[str, str]) -> None:
    given = Security(scheme)

    def inner(secret: Any = given) -> Any:
        return secret

    below = Depends(inner)

    def page(secret: Any = below) -> str:
        web.ran.append("/")
        return "hello"

    web.route("/", page)
    for _ in range(2):
        assert web.get("/", **header).headers["X-Cache"] == "bypass"
    assert len(web.ran) == 2


@pytest.mark.parametrize(
    ("how", "vary"),
    [
        ({"vary": ()}, "authorization, cookie"),
        ({"vary": (), "private": True}, "authorization, cookie"),
        ({"vary": ("Accept",), "key": "page"}, "accept"),
    ],
)
def test_caches_on_the_way_know_what_is_not_shared(
    web: Web, how: dict[str, Any], vary: str
) -> None:
    def page(theme: str = Cookie("light")) -> str:
        return theme

    web.route("/", page, **how)
    assert web.get("/").headers["Vary"] == vary


def test_a_vary_that_names_what_is_not_shared_may_be_stored(web: Web) -> None:
    answering(web, headers={"Vary": "Authorization"})
    assert [web.get("/").headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]


def test_one_cookie_that_is_known_is_not_all_of_them(web: Web) -> None:
    def page(response: Response, theme: str = Cookie("light")) -> str:
        response.headers["Vary"] = "Cookie"
        return theme

    web.route("/", page)
    assert [web.get("/").headers["X-Cache"] for _ in range(2)] == ["miss", "miss"]


def test_cookies_that_a_route_reads_are_known(web: Web) -> None:
    def page(theme: Annotated[str, Cookie()] = "light") -> str:
        return theme

    web.route("/", page)
    assert web.get("/", Cookie="theme=dark").json() == "dark"
    assert web.get("/", Cookie="other=1").json() == "light"
    assert web.get("/", Cookie="theme=dark").headers["X-Cache"] == "bypass"
    assert web.get("/", Cookie="other=2").headers["X-Cache"] == "hit"


def test_headers_that_a_route_reads_choose_among_variants(web: Web) -> None:
    def region(x_region: Annotated[str, Header()] = "all") -> str:
        return x_region

    def page(
        where: str = Depends(region),
        kind: Annotated[str, Header(alias="X-Kind")] = "any",
        old: str = Header("none", alias="X-Old"),
    ) -> str:
        return f"{where} {kind} {old}"

    web.route("/", page, vary=())
    assert web.get("/").json() == "all any none"
    assert web.get("/", X_Region="north").json() == "north any none"
    assert web.get("/", X_Kind="short").json() == "all short none"
    assert web.get("/", X_Old="yes").json() == "all any yes"
    again = web.get("/", X_Region="north", Accept="x")
    assert again.headers["X-Cache"] == "hit"
    assert again.headers["Vary"] == "x-kind, x-old, x-region, authorization"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_other_methods_and_bodies_are_not_shared(web: Web, method: str) -> None:
    async def echo(request: Request) -> str:
        return (await request.body()).decode()

    web.route("/", echo)
    for text in ("one", "two"):
        answer = web(method, "/", content=text)
        assert answer.json() == text
        assert answer.headers["X-Cache"] == "bypass"
    assert web.get("/").json() == ""


def test_a_body_of_unknown_length_is_not_shared(web: Web) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one"

    greeting(web)
    answer = web("GET", "/", content=body())
    assert answer.headers["X-Cache"] == "bypass"


@pytest.mark.parametrize(
    ("scope", "what"),
    [
        ({"session": {"user": "ada"}}, "bypass"),
        ({"session": {}}, "hit"),
        ({"user": SimpleUser("ada")}, "bypass"),
        ({"user": UnauthenticatedUser()}, "hit"),
    ],
)
@pytest.mark.parametrize("private", [False, True])
def test_who_is_signed_in_is_known(
    web: Web, scope: dict[str, Any], what: str, private: bool
) -> None:
    """By the middlewares of Starlette, which leave it in the scope."""

    class SignsIn:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, given: Scope, receive: Receive, send: Send) -> None:
            await self._app({**given, **scope}, receive, send)

    web.app.add_middleware(SignsIn)
    greeting(web, private=private)
    web.get("/")
    answer = web.get("/")
    assert answer.headers["X-Cache"] == ("hit" if private else what)
    assert ("cookie" in answer.headers.get("Vary", "")) == (private or scope == {"session": {}})


def test_a_response_that_is_not_shared_is_that_of_the_route(web: Web) -> None:
    def session(response: Response) -> None:
        response.set_cookie("session", "1")

    def page(_: None = Depends(session)) -> Response:
        return JSONResponse("hello", 202, {"X-Own": "1"})

    web.route("/", page)
    answer = web.get("/", Authorization="ada")
    assert (answer.status_code, answer.json(), answer.headers["X-Own"]) == (202, "hello", "1")
    assert answer.headers["X-Cache"] == "bypass"
    assert "Set-Cookie" in answer.headers


@pytest.mark.parametrize("obeys", [False, True])
def test_readers_are_obeyed_where_that_is_asked_for(web: Web, obeys: bool) -> None:
    greeting(web, obey_client=obeys)
    expected = {
        "no-cache": "miss",
        "max-age=5": "miss",
        "max-age=0": "miss",
        "max-age=60": "hit",
        "no-store": "bypass",
    }
    web.get("/")
    for said, what in expected.items():
        web.clock.advance(10)
        answer = web.get("/", Cache_Control=said)
        assert answer.headers["X-Cache"] == (what if obeys else "hit"), said
        web.get("/", Cache_Control="no-cache")
    assert web.get("/", Pragma="no-cache").headers["X-Cache"] == ("miss" if obeys else "hit")
    # A reader's own Cache-Control counts before an old-fashioned Pragma.
    both = web.get("/", Pragma="no-cache", Cache_Control="max-age=60")
    assert both.headers["X-Cache"] == "hit"


def test_what_is_loaded_anew_for_a_reader_is_kept_for_all(web: Web) -> None:
    greeting(web, obey_client=True)
    web.get("/")
    web.get("/", Cache_Control="no-cache")
    assert web.get("/").headers["X-Cache"] == "hit"
    assert len(web.ran) == 2


def test_what_is_not_stored_any_more_leaves_nothing_old(web: Web) -> None:
    stored = True

    def page(response: Response) -> int:
        web.ran.append("/")
        if not stored:
            response.headers["Cache-Control"] = "no-store"
        return len(web.ran)

    web.route("/", page, obey_client=True)
    assert web.get("/").json() == 1
    stored = False
    assert web.get("/", Cache_Control="no-cache").json() == 2
    assert web.get("/").json() == 3


class Gone(HTTPException):
    """An error that an application shows in a way of its own."""


@pytest.mark.parametrize("error", [Gone(410, "gone"), HTTPException(410, object())])
def test_errors_that_cannot_be_stored_are_shown_as_ever(web: Web, error: HTTPException) -> None:
    def page() -> str:
        web.ran.append("/")
        raise error

    def show(_: Request, shown: Any) -> Response:
        return JSONResponse(type(shown).__name__, 410)

    web.app.exception_handler(HTTPException)(show)
    web.route("/", page, statuses={410} if isinstance(error, Gone) else ())
    for _ in range(2):
        answer = web.get("/")
        assert answer.status_code == 410
        assert answer.json() == type(error).__name__
    assert len(web.ran) == 2
