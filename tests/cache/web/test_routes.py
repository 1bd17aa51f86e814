"""What FastAPI does around a route is done, and what cannot be is refused."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from labkit.cache import Cache
from labkit.cache.web import cached_response
from labkit.cache.web.parameters import parameter_of, reads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.cache.web.conftest import Web


class Public(BaseModel):
    id: int
    title: str = ""


class Secret(Public):
    password: str = "secret"


class Named(BaseModel):
    x_kind: str = "any"
    lang: str = Field("any", alias="x-lang")


def test_a_response_model_hides_what_it_does_not_name(web: Web) -> None:
    def page(id: int) -> Any:  # noqa: A002
        return Secret(id=id, title="Ferry")

    cached = web.cached()(page)
    web.app.get("/whole/{id}", response_model=Public)(cached)
    web.app.get("/brief/{id}", response_model=Public, response_model_exclude={"title"})(cached)
    for _ in range(2):
        assert web.get("/whole/1").json() == {"id": 1, "title": "Ferry"}
        assert web.get("/brief/1").json() == {"id": 1}


def test_the_type_that_a_route_returns_is_its_model(web: Web) -> None:
    def page(id: int) -> Public:  # noqa: A002
        return Secret(id=id)

    web.app.get("/{id}")(web.cached()(page))
    assert web.get("/1").json() == {"id": 1, "title": ""}
    described = web.get("/openapi.json").json()["paths"]["/{id}"]["get"]
    assert [each["name"] for each in described["parameters"]] == ["id"]
    assert described["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Public"
    }


def test_statuses_and_classes_of_a_route(web: Web) -> None:
    def page() -> str:
        return "<p>hello</p>"

    def made(response: Response) -> str:
        response.status_code = 203
        return "hello"

    web.app.get("/page", response_class=HTMLResponse, status_code=202)(web.cached()(page))
    web.app.get("/made")(web.cached()(made))
    for _ in range(2):
        answer = web.get("/page")
        assert answer.status_code == 202
        assert answer.text == "<p>hello</p>"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert web.get("/made").status_code == 203


def test_routers_and_what_they_add(web: Web) -> None:
    asked: list[str] = []

    def page() -> str:
        return "hello"

    router = APIRouter(dependencies=[Depends(lambda: asked.append("router"))])
    router.get("/page")(web.cached()(page))
    outer = APIRouter(prefix="/v1", default_response_class=PlainTextResponse)
    outer.include_router(router)
    web.app.include_router(outer)
    web.app.include_router(router, prefix="/v2")
    for _ in range(2):
        assert web.get("/v1/page").text == "hello"
        assert web.get("/v2/page").text == '"hello"'
    assert asked == ["router"] * 4


def test_applications_that_are_mounted_are_told_apart(web: Web) -> None:
    for name in ("one", "two"):
        inner = FastAPI()

        def page(name: str = name) -> str:
            return name

        inner.get("/")(web.cached()(page))
        web.app.mount(f"/{name}", inner)
        router = APIRouter(default_response_class=PlainTextResponse)
        router.mount(f"/{name}", inner)
        web.app.include_router(router, prefix="/v1")
    for _ in range(2):
        for name in ("one", "two"):
            assert web.get(f"/{name}/").json() == name
            assert web.get(f"/v1/{name}/").json() == name


def test_parameters_are_checked_each_time(web: Web) -> None:
    def page(id: int, page: int = 1) -> int:  # noqa: A002
        return id + page

    web.app.get("/{id}")(web.cached()(page))
    assert web.get("/1?page=2").json() == 3
    for _ in range(2):
        assert web.get("/x").status_code == 422
        assert web.get("/1?page=x").status_code == 422


def test_a_dependency_with_yield_is_open_while_the_route_runs(web: Web) -> None:
    log: list[str] = []

    async def session() -> AsyncIterator[str]:
        log.append("open")
        yield "session"
        log.append("close")

    def page(db: str = Depends(session)) -> str:
        log.append("run")
        return db

    web.route("/", page)
    assert web.get("/").json() == web.get("/").json() == "session"
    assert log == ["open", "run", "close", "open", "close"]


def test_background_tasks_are_done_when_the_route_has_run(web: Web) -> None:
    done: list[str] = []

    def page(tasks: BackgroundTasks) -> str:
        tasks.add_task(done.append, "added")
        return "hello"

    def made() -> Response:
        return Response("hello", background=BackgroundTask(done.append, "own"))

    web.route("/page", page)
    web.route("/made", made)
    for path in ("/page", "/page", "/made", "/made"):
        web.get(path)
    assert done == ["added", "own"]


def test_other_decorators_may_be_inside(web: Web) -> None:
    def loud(function: Any) -> Any:
        @functools.wraps(function)
        def louder(*args: Any, **kwargs: Any) -> str:
            return str(function(*args, **kwargs)).upper()

        return louder

    @loud
    def page(name: str) -> str:
        return name

    web.route("/{name}", page, key="{name}")
    assert web.get("/ferry").json() == "FERRY"


def test_decorators_may_make_a_route_a_coroutine(web: Web) -> None:
    def later(function: Any) -> Any:
        @functools.wraps(function)
        async def answer(**kwargs: Any) -> Any:
            return function(**kwargs)

        return answer

    @later
    def page(name: str) -> str:
        return name

    web.route("/{name}", page)
    for _ in range(2):
        assert web.get("/ferry").json() == "ferry"


def test_methods_are_routes_too(web: Web) -> None:
    class Pages:
        def page(self, id: int) -> int:  # noqa: A002
            web.ran.append("/")
            return id

    web.route("/{id}", Pages().page, tags=["page:{id}"])
    for _ in range(2):
        assert web.get("/1").json() == 1
    assert len(web.ran) == 1


def test_headers_and_cookies_of_a_model(web: Web) -> None:
    def page(given: Annotated[Named, Header()]) -> str:
        return f"{given.x_kind} {given.lang}"

    web.route("/", page, vary=())
    assert web.get("/", X_Kind="short").json() == "short any"
    assert web.get("/", X_Kind="long").json() == "long any"
    assert web.get("/", X_Lang="pt").json() == "any pt"


def test_templates_and_functions_of_tags(web: Web) -> None:
    def page(id: int, author: str = "ada") -> int:  # noqa: A002
        web.ran.append("/")
        return id

    web.route("/t/{id}", page, tags=["page:{id}", "author:{author}"])
    web.route("/f/{id}", page, tags=lambda request: [f"path:{request.url.path}"])
    for tag in ("page:1", "author:'ada'", "author:ada"):
        web.get("/t/1")
        web.cache.invalidate(tag=tag)
    web.get("/f/1")
    web.cache.invalidate(tag="path:/f/1")
    web.get("/f/1")
    assert len(web.ran) == 4


class Region:
    """A dependency that is a class, whose parameters are headers."""

    def __init__(self, x_region: Annotated[str, Header()] = "all") -> None:
        self.name = x_region


def loud(prefix: str, x_kind: Annotated[str, Header()] = "any") -> str:
    return f"{prefix}{x_kind}"


def both(
    region: Annotated[Region, Depends()],
    kind: Annotated[str, Depends(functools.partial(loud, "!"))],
) -> str:
    return f"{region.name} {kind}"


def diamond(
    one: Annotated[str, Depends(both)], region: Annotated[Region, Depends()], limit: Any = 5
) -> str:
    return f"{one} {region.name}"


def unreadable(request: Request, later: Nowhere = None) -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


def test_dependencies_are_looked_through() -> None:
    assert reads(diamond).headers == {"x-region", "x-kind"}
    assert reads(unreadable).headers == set()
    assert parameter_of(unreadable, Request) == "request"


def test_dependencies_choose_among_variants(web: Web) -> None:
    web.route("/", diamond, vary=())
    for _ in range(2):
        assert web.get("/").json() == "all !any all"
        assert web.get("/", X_Region="north").json() == "north !any north"
        assert web.get("/", X_Kind="short").json() == "all !short all"


def test_a_response_without_a_body(web: Web) -> None:
    def page() -> None:
        web.ran.append("/")

    web.app.get("/", status_code=204)(web.cached()(page))
    for _ in range(2):
        answer = web.get("/")
        assert (answer.status_code, answer.content) == (204, b"")
        assert "Content-Length" not in answer.headers
    assert len(web.ran) == 1


def session_of_a_request() -> Iterator[str]:
    yield "session"


class Sessions:
    async def __call__(self) -> AsyncIterator[str]:
        yield "session"


def outer(inner: str = Depends(session_of_a_request)) -> str:
    return inner


def route_with_session(db: Annotated[str, Depends(session_of_a_request)]) -> str:
    return db


def route_with_object(db: str = Depends(Sessions())) -> str:
    return db


def route_with_inner_session(db: Annotated[str, Depends(outer)]) -> str:
    return db


def route_with_tasks(tasks: BackgroundTasks) -> str:
    return ""


@pytest.mark.parametrize(
    "route", [route_with_session, route_with_object, route_with_inner_session, route_with_tasks]
)
@pytest.mark.parametrize("how", ["stale_while_revalidate", "refresh_ahead", "early"])
def test_what_ends_with_a_request_is_not_used_after_it(route: Any, how: str) -> None:
    with Cache(ttl=60) as cache:
        late: Any = {how: 0.5}
        with pytest.raises(ValueError, match="ends with the request, and"):
            cached_response(cache, **late)(route)
        cached_response(cache, stale_if_error=60)(route)


def streaming() -> Iterator[str]:
    yield "a"


async def streaming_later() -> AsyncIterator[str]:
    yield "a"


def plain(id: int) -> int:  # noqa: A002
    return id


def open_to_all(**anything: Any) -> None: ...


@pytest.mark.parametrize(
    ("route", "how", "says"),
    [
        (streaming, {}, "streams what it yields"),
        (streaming_later, {}, "streams what it yields"),
        ("plain", {}, "is no route"),
        (Public, {}, "is no route"),
        (open_to_all, {}, "takes \\*\\*anything"),
        (plain, {"key": "{other}"}, "expected the name of a parameter: id"),
        (plain, {"tags": ["page:{other}"]}, "expected the name of a parameter: id"),
        (plain, {"tags": "page"}, "tags is the text"),
        (plain, {"vary": "accept"}, "vary is the text"),
        (plain, {"ttl": -1}, "not a duration"),
        (plain, {"max_age": "soon"}, "not a duration"),
        (plain, {"jitter": 2}, "jitter is 2"),
    ],
)
def test_what_makes_no_sense_is_refused(route: Any, how: dict[str, Any], says: str) -> None:
    with Cache() as cache, pytest.raises((TypeError, ValueError), match=says):
        cached_response(cache, **how)(route)


def test_importing_the_cache_needs_no_fastapi() -> None:
    code = "import sys, labkit.cache; assert not {'fastapi', 'starlette'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
