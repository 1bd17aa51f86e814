"""Responses that are kept: over each arrangement of tiers, by functions and coroutine functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import HTTPException, Request, Response
from redis.backoff import NoBackoff
from redis.retry import Retry

from labkit import LocalServer, connect
from labkit.cache import Cache, RedisTier
from labkit.cache.web import cached_response
from labkit.clock import FakeClock
from tests.cache.web.conftest import Web

if TYPE_CHECKING:
    from collections.abc import Callable

HAS_BODY = {"content-type", "content-length"}


def articles(web: Web, *, coroutine: bool = False, **how: Any) -> dict[int, Any]:
    """Routes to articles; answers what they say, to be changed."""
    said: dict[int, Any] = {1: "Ferry is back", 2: "Bridge is shut"}

    def article(id: int, request: Request, response: Response) -> dict[str, Any]:  # noqa: A002
        web.ran.append(request.url.path)
        if isinstance(said.get(id), Exception):
            raise said[id]
        if id not in said:
            raise HTTPException(404, "there is no such article")
        response.headers["X-Own"] = f"article {id}"
        return {"id": id, "title": said[id]}

    async def article_later(
        id: int,  # noqa: A002
        request: Request,
        response: Response,
    ) -> dict[str, Any]:
        return article(id, request, response)

    route = article_later if coroutine else article
    web.route("/articles/{id}", route, tags=["article:{id}"], **how)
    return said


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_response_is_kept_whole_until_it_is_invalidated(
    everywhere: Callable[..., Web], coroutine: bool
) -> None:
    web = everywhere()
    said = articles(web, coroutine=coroutine)
    first, second = web.get("/articles/1"), web.get("/articles/1")
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == {"id": 1, "title": "Ferry is back"}
    assert [each.headers["X-Cache"] for each in (first, second)] == ["miss", "hit"]
    for name in ("Content-Type", "Content-Length", "ETag", "Vary", "X-Own"):
        assert first.headers[name] == second.headers[name]
    assert web.get("/articles/2").json()["title"] == "Bridge is shut"
    assert web.ran == ["/articles/1", "/articles/2"]

    said[1] = "Ferry is late"
    web.cache.invalidate(tag="article:1")
    changed = web.get("/articles/1")
    assert changed.json()["title"] == "Ferry is late"
    assert changed.headers["ETag"] != first.headers["ETag"]
    assert web.get("/articles/2").headers["X-Cache"] == "hit"
    assert len(web.ran) == 3


@pytest.mark.parametrize(
    "target",
    [{"prefix": "web:/articles/1|"}, {"prefix": "web:/articles/"}, {"entity": ("article", 1)}],
)
def test_it_is_invalidated_as_any_other_value(
    everywhere: Callable[..., Web], target: dict[str, Any]
) -> None:
    web = everywhere()
    articles(web)
    for language in ("en", "pt"):
        web.get("/articles/1", accept_language=language)
    web.cache.invalidate(**target)
    for language in ("en", "pt"):
        assert web.get("/articles/1", accept_language=language).headers["X-Cache"] == "miss"


def test_readers_are_told_how_long_it_is_fresh(everywhere: Callable[..., Web]) -> None:
    web = everywhere()
    articles(web, ttl="10m", stale_while_revalidate="30s")
    assert web.get("/articles/1").headers["Cache-Control"] == (
        "max-age=600, stale-while-revalidate=30"
    )
    assert "Age" not in web.get("/articles/2").headers
    web.clock.advance(100)
    kept = web.get("/articles/1")
    assert kept.headers["Cache-Control"] == "max-age=600, stale-while-revalidate=30"
    assert kept.headers["Age"] == "100"
    web.clock.advance(0.5)
    assert web.get("/articles/1").headers["Age"] == "101"


def test_its_time_ends(everywhere: Callable[..., Web], bed: Any) -> None:
    web = everywhere()
    said = articles(web, ttl=60)
    web.get("/articles/1")
    said[1] = "Ferry is late"
    bed.advance(59)
    assert web.get("/articles/1").json()["title"] == "Ferry is back"
    bed.advance(2)
    assert web.get("/articles/1").json()["title"] == "Ferry is late"


def test_rfc_5861_stale_while_revalidate(everywhere: Callable[..., Web], bed: Any) -> None:
    web = everywhere()
    said = articles(web, ttl=600, stale_while_revalidate=30)
    web.get("/articles/1")
    said[1] = "Ferry is late"
    bed.advance(610)
    stale = web.get("/articles/1")
    assert stale.json()["title"] == "Ferry is back"
    assert stale.headers["X-Cache"] == "stale"
    assert stale.headers["Age"] == "610"
    web.settle()
    fresh = web.get("/articles/1")
    assert fresh.json()["title"] == "Ferry is late"
    assert fresh.headers["X-Cache"] == "hit"
    assert len(web.ran) == 2
    bed.advance(631)
    said[1] = "Ferry sails"
    assert web.get("/articles/1").json()["title"] == "Ferry sails"


@pytest.mark.parametrize("raised", [ValueError("no database"), HTTPException(503)])
def test_rfc_5861_stale_if_error(
    everywhere: Callable[..., Web], bed: Any, raised: Exception
) -> None:
    web = everywhere(pause="1s")
    said = articles(web, ttl=600, stale_if_error=1200)
    web.get("/articles/1")
    said[1] = raised
    bed.advance(900)
    stale = web.get("/articles/1")
    assert stale.status_code == 200
    assert stale.headers["X-Cache"] == "stale"
    assert stale.headers["Cache-Control"] == "max-age=600, stale-if-error=1200"
    bed.advance(901)
    assert web.get("/articles/1").status_code in (500, 503)


def test_a_response_that_says_so_is_a_failure_too(everywhere: Callable[..., Web], bed: Any) -> None:
    web = everywhere()
    status = 200

    def page() -> Response:
        return Response(str(status), status)

    web.route("/", page, ttl=600, stale_if_error=1200)
    web.get("/")
    status = 502
    bed.advance(601)
    stale = web.get("/")
    assert (stale.text, stale.headers["X-Cache"]) == ("200", "stale")
    bed.advance(1200)
    failed = web.get("/")
    assert (failed.status_code, failed.text, failed.headers["X-Cache"]) == (502, "502", "miss")


def test_what_is_gone_is_not_stale(everywhere: Callable[..., Web], bed: Any) -> None:
    web = everywhere()
    said = articles(web, ttl=600, stale_if_error=1200)
    web.get("/articles/1")
    del said[1]
    bed.advance(601)
    assert web.get("/articles/1").status_code == 404
    said[1] = ValueError("no database")
    assert web.get("/articles/1").status_code == 500


def test_who_has_it_gets_no_body(everywhere: Callable[..., Web]) -> None:
    web = everywhere()
    said = articles(web)
    etag = web.get("/articles/1").headers["ETag"]
    for line in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = web.get("/articles/1", If_None_Match=line)
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["ETag"] == etag
        assert answer.headers["Cache-Control"] == "max-age=600"
        assert answer.headers["Vary"] == "accept, accept-language, authorization"
        assert not HAS_BODY & set(answer.headers)
        assert "X-Own" not in answer.headers
    assert web.get("/articles/1", If_None_Match='"other"').status_code == 200
    assert len(web.ran) == 1
    web.cache.invalidate(tag="article:1")
    assert web.get("/articles/1", If_None_Match=etag).status_code == 304  # made anew, and the same
    said[1] = "Ferry is late"
    web.cache.invalidate(tag="article:1")
    assert web.get("/articles/1", If_None_Match=etag).status_code == 200


def test_head_is_get_without_a_body(everywhere: Callable[..., Web]) -> None:
    web = everywhere()
    articles(web)
    first = web.head("/articles/1")
    assert first.headers["X-Cache"] == "miss"
    got = web.get("/articles/1")
    assert got.headers["X-Cache"] == "hit"
    again = web.head("/articles/1")
    assert first.content == again.content == b""
    for name in ("ETag", "Content-Length", "Content-Type", "X-Own"):
        assert first.headers[name] == again.headers[name] == got.headers[name]
    assert web.head("/articles/1", If_None_Match=got.headers["ETag"]).status_code == 304
    assert len(web.ran) == 1


def test_the_response_to_a_head_has_no_body_itself(web: Web) -> None:
    """Servers drop a body that should not be there; it should not be sent in the first place."""
    articles(web)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "HEAD",
        "path": "/articles/1",
        "query_string": b"",
        "headers": [],
    }
    web.run(web.app(scope, receive, send))
    assert [message.get("body") for message in sent] == [None, b""]
    assert int(dict(sent[0]["headers"])[b"content-length"]) > 0


def test_errors_are_kept_where_that_is_asked_for(everywhere: Callable[..., Web]) -> None:
    web = everywhere()
    said = articles(web, statuses={404}, ttl=60)
    first, second = web.get("/articles/3"), web.get("/articles/3")
    assert first.status_code == second.status_code == 404
    assert first.json() == second.json() == {"detail": "there is no such article"}
    assert second.headers["X-Cache"] == "hit"
    assert second.headers["Cache-Control"] == "max-age=60"
    assert web.get("/articles/3", If_None_Match="*").status_code == 404
    assert len(web.ran) == 1
    said[3] = "Now there is one"
    web.cache.invalidate(tag="article:3")
    assert web.get("/articles/3").status_code == 200


def test_two_caches_share_what_is_in_a_store(bed: Any) -> None:
    if not bed.has_store:
        pytest.skip("there is nothing behind the memory")
    one, other = (Web(bed.cache(ttl=600), bed.clock, bed.run) for _ in range(2))
    for web in (one, other):
        articles(web)
    etag = one.get("/articles/1").headers["ETag"]
    answer = other.get("/articles/1")
    assert answer.headers["X-Cache"] == "hit"
    assert answer.headers["ETag"] == etag
    assert answer.json() == {"id": 1, "title": "Ferry is back"}
    assert other.ran == []


def test_statistics_are_under_the_name_of_the_route(web: Web) -> None:
    articles(web)
    for _ in range(3):
        web.get("/articles/1")
    (counts,) = [c for name, c in web.real.stats().functions.items() if name.endswith("article")]
    assert (counts.loads, counts.misses, counts.hits) == (1, 1, {"memory": 2})


def test_readers_may_be_told_less_than_the_cache_keeps(web: Web) -> None:
    articles(web, ttl=600, max_age="1m")
    web.get("/articles/1")
    web.clock.advance(300)
    kept = web.get("/articles/1")
    assert (kept.headers["X-Cache"], kept.headers["Cache-Control"]) == ("hit", "max-age=60")
    assert "Age" not in kept.headers
    web.clock.advance(280)
    assert web.get("/articles/1").headers["Cache-Control"] == "max-age=20"


def test_readers_may_be_told_to_ask_each_time(web: Web) -> None:
    articles(web, ttl=None, max_age=0)
    etag = web.get("/articles/1").headers["ETag"]
    web.clock.advance(10**6)
    kept = web.get("/articles/1", If_None_Match=etag)
    assert (kept.status_code, kept.headers["Cache-Control"]) == (304, "no-cache")
    assert kept.headers["X-Cache"] == "hit"


def test_the_lifetime_that_is_told_is_the_one_that_was_drawn(web: Web) -> None:
    articles(web, ttl=1000, jitter=0.5)
    for number in range(20):
        path = f"/articles/1?number={number}"
        lifetime = int(web.get(path).headers["Cache-Control"].removeprefix("max-age="))
        assert 500 <= lifetime <= 1000
        web.clock.advance(lifetime)
        assert web.get(path).headers["X-Cache"] == "hit"
        web.clock.advance(1)
        assert web.get(path).headers["X-Cache"] == "miss"


def test_a_ttl_may_be_a_function_of_the_response(web: Web) -> None:
    articles(web, ttl=lambda kept: 5 if b"Ferry" in kept.body else 50)
    assert web.get("/articles/1").headers["Cache-Control"] == "max-age=5"
    assert web.get("/articles/2").headers["Cache-Control"] == "max-age=50"


def test_a_response_says_what_it_is_only_where_that_is_asked_for(web: Web) -> None:
    def page() -> str:
        return "hello"

    web.app.get("/")(cached_response(web.real, clock=web.clock)(page))
    assert "X-Cache" not in web.get("/").headers
    assert "X-Cache" not in web.get("/", Authorization="ada").headers


def test_languages_in_a_common_form(web: Web) -> None:
    articles(web, vary={"Accept-Language": lambda text: text[:2], "Accept": None})
    for language, what in (("en-GB", "miss"), ("en-US", "hit"), ("pt", "miss")):
        assert web.get("/articles/1", Accept_Language=language).headers["X-Cache"] == what


def test_a_cache_whose_values_slide(everywhere: Callable[..., Web], bed: Any) -> None:
    """A reader cannot be told of a time that moves; so that of a response does not."""
    web = everywhere(ttl=60, sliding=True)
    articles(web)
    web.get("/articles/1")
    for _ in range(3):
        bed.advance(19)
        assert web.get("/articles/1").headers["X-Cache"] == "hit"
    bed.advance(19)
    assert web.get("/articles/1").headers["X-Cache"] == "miss"


def test_what_a_store_spoils_is_made_again(bed: Any) -> None:
    if bed.client is None:
        pytest.skip("there is no Redis")
    web = Web(bed.cache(ttl=600), bed.clock, bed.run)
    articles(web)
    web.get("/articles/1")
    for key in bed.client.keys("*web:*"):
        if bed.client.type(key) in ("string", b"string"):
            bed.client.set(key, b"garbage")
    other = Web(bed.cache(ttl=600), bed.clock, bed.run)
    articles(other)
    assert other.get("/articles/1").json() == {"id": 1, "title": "Ferry is back"}


def test_an_outage_of_the_store_costs_no_response() -> None:
    with LocalServer() as server, asyncio.Runner() as runner:
        client = connect(server.url, retry=Retry(NoBackoff(), 0))
        with Cache([RedisTier(client)], ttl=600) as cache:
            web = Web(cache, FakeClock(1_000), runner.run)
            articles(web)
            assert web.get("/articles/1").headers["X-Cache"] == "miss"
            server.close()
            for _ in range(2):
                assert web.get("/articles/1").json() == {"id": 1, "title": "Ferry is back"}
            assert len(web.ran) == 3
