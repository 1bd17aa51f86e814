"""Comments over HTTP: read, written, voted on and moderated, live, and while Redis is away."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import redis

from labkit import CommandLog, LocalServer
from labkit.newsroom.comment_questions import ORDERS
from labkit.site.app import create_app
from labkit.site.comments.checking import check
from labkit.site.threads import LONGEST, LONGEST_NAME
from tests.cache.crowd import until
from tests.leaderboard.api.driver import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.newsroom import Newsroom
    from tests.site.conftest import Service

KEY = "an editor's key, 0123456789"
SCRIPT = "<script>alert('&amp;')</script>"
KEEPS_UP = {"outbox"}  # beside the requests, the outbox is looked at now and then
HERE = {"Host": "127.0.0.1", "Origin": "http://127.0.0.1"}
SAID = {"reader": "ada", "body": "About time."}


@pytest.fixture
def service(make: Callable[..., Service]) -> Service:
    """A site on which readers comment and editors on this machine moderate."""
    return opened(make)


def opened(make: Callable[..., Service], **options: Any) -> Service:
    service = make(comments=True, editable=True, **options)
    until(service.comments.views.built, "the views")
    return service


def send(service: Service, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Send JSON as a program on this machine does."""
    return service(method, path, json=body, headers={**HERE, **headers})


def say(service: Service, **given: Any) -> int:
    """Say something about article 17; answers the number of the comment."""
    number: int = send(service, "POST", "/articles/17/comments", SAID | given).json()["id"]
    return number


def listed(service: Service, query: str = "") -> list[int]:
    answer = service.get(f"/articles/17/comments?{query}")
    assert answer.headers["Cache-Control"] == "no-store"
    return [comment["id"] for comment in answer.json()["comments"]]


# --- Reading


def test_the_comments_of_an_article_page_by_page(service: Service) -> None:
    for number in range(5):
        service.comments.vote(say(service, body=f"No. {number}"), "bob", number % 3 - 1)
    db = service.db
    for order in ORDERS:
        expected = [comment.id for comment in db.comments_page(17, order, most=1000)]
        answer = service.get(f"/articles/17/comments?order={order}&most=1000").json()
        assert [comment["id"] for comment in answer["comments"]] == expected
        assert (answer["article"], answer["order"], answer["next"]) == (17, order, None)
        assert answer["count"] == len(expected)
        found: list[int] = []
        after: str | None = ""
        with db.counting() as reads:
            while after is not None:
                page = service.get(f"/articles/17/comments?order={order}&most=2{after}").json()
                found += [comment["id"] for comment in page["comments"]]
                after = page["next"] and f"&after={page['next']}"
        assert found == expected
        assert set(reads.by_query) <= KEEPS_UP
    shown = service.get("/articles/17/comments?order=best&most=1").json()["comments"][0]
    assert (shown["reader"], shown["body"], shown["score"]) == ("ada", "No. 2", 1)
    assert (shown["parent"], shown["version"]) == (None, 2)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/articles/9999/comments", 404),
        ("/articles/x/comments", 404),
        ("/articles/x/comments/live", 404),
        ("/articles/9999/discussion", 404),
        ("/articles/17/comments?order=worst", 422),
        ("/articles/17/comments?most=0", 422),
        ("/articles/17/comments?most=1001", 422),
        ("/articles/17/comments?after=x", 422),
        ("/articles/17/discussion?after=x", 422),
        ("/articles/17/comments/live?ids=1,x", 422),
        (f"/articles/17/comments/live?ids={','.join(['1'] * 1001)}", 422),
        ("/comments/9999/edit", 404),
        ("/comments/x/edit", 404),
    ],
)
def test_what_cannot_be_asked(service: Service, path: str, status: int) -> None:
    assert service.get(path).status_code == status


def test_what_is_live_asks_no_database(service: Service) -> None:
    first, second = say(service), say(service)
    service.comments.vote(first, "bob", -1)
    with CommandLog(service.redis) as log, service.db.counting() as reads:
        live = service.get(f"/articles/17/comments/live?ids={first},{second},999999")
    assert live.headers["Cache-Control"] == "no-store"
    assert live.json()["scores"] == {str(first): -1, str(second): 0}
    # It is looked for views now and then.
    assert [name[:4] for name in log.names if name != "EXISTS"] == ["EVAL"]
    assert set(reads.by_query) <= KEEPS_UP
    assert live.json()["count"] == service.db.comment_count(17)
    assert service.get("/articles/9998/comments/live").json() == {"count": 0, "scores": {}}


# --- The page


def test_a_page_has_threads_and_forms_and_is_kept_as_before(service: Service) -> None:
    parent = say(service, body=SCRIPT)
    reply = service.comments.reply(parent, SCRIPT, "Yes.")
    page = service.get("/articles/17")
    text = page.text
    assert page.headers["X-Cache"] == "miss"
    assert page.headers["Cache-Control"] == "no-cache"  # who has just replied sees it
    assert service.get("/articles/17").headers["X-Cache"] == "hit"
    below = text[text.index(f'<li id="comment-{parent}">') :]
    assert below.index("<ol>") < below.index(f'<li id="comment-{reply.id}">') < below.index("</ol>")
    for address in ("/articles/17/comments", f"/comments/{parent}/replies"):
        assert f'method="post" action="{address}"' in text
    assert unescape(text).count(f"<p>{SCRIPT}</p>") == 1
    assert text.count("<script>") == 1
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    etag = page.headers["ETag"]
    service.comments.vote(parent, "bob", 1)
    assert service.get("/articles/17", If_None_Match=etag).status_code == 304
    service.comments.edit(reply.id, "No.")
    assert service.get("/articles/17", If_None_Match=etag).status_code == 200


def test_one_process_with_comments_and_one_without_do_not_share_pages(
    make: Callable[..., Service], service: Service
) -> None:
    plain = make()
    assert '<form class="say"' not in plain.get("/articles/17").text
    assert '<form class="say"' in service.get("/articles/17").text
    assert '<form class="say"' not in plain.get("/articles/17").text
    assert "script-src" not in plain.get("/articles/17").headers["Content-Security-Policy"]
    assert plain.get("/articles/17/comments").status_code == 404


def test_the_discussion_has_all_comments_with_their_scores(service: Service) -> None:
    parent = say(service)
    for number in range(60):
        service.comments.reply(parent, "bob", f"No. {number}")
    service.comments.vote(parent, "bob", 1)
    page = service.get("/articles/17/discussion?order=best").text
    assert f'<span data-score="{parent}" title="Score">1</span>' in page
    found: list[str] = []
    while True:
        found += re.findall(r'<li id="comment-(\d+)">', page)
        more = re.search(r'href="([^"]+after=[^"]+)"', page)
        if more is None:
            break
        page = service.get(unescape(more[1])).text
    expected = [c.id for c in service.db.comments(17, 1000)]
    assert sorted(map(int, found)) == sorted(expected)
    assert "in reply to a comment that is not shown here" in page
    assert f'<a href="/comments/{expected[-1]}/edit">Moderate</a>' in page


def test_a_thread_as_deep_as_can_be(service: Service) -> None:
    said = say(service)
    for number in range(40):
        said = service.comments.reply(said, "bob", f"No. {number}").id
    text = service.get("/articles/17/discussion?order=newest").text
    assert text.count("<ol>") == text.count("</ol>") == 4
    assert text.count("<li id=") == len(listed(service))
    for number in range(40):
        assert text.count(f"<p>No. {number}</p>") == 1


# --- Writing


def test_a_form_is_answered_by_the_page_that_shows_it(service: Service) -> None:
    given = {"reader": "ada", "body": "One\r\n\r\nTwo"}
    answer = service("POST", "/articles/17/comments", data=given, headers=HERE)
    assert answer.status_code == 303
    address, _, anchor = answer.headers["Location"].partition("#")
    assert f'id="{anchor}"' in service.get(address).text
    comment = service.db.comment(int(anchor.removeprefix("comment-")))
    assert comment.body == "One\n\nTwo"
    reply = service("POST", f"/comments/{comment.id}/replies", data=given, headers=HERE)
    assert reply.status_code == 303
    assert service.db.replies(comment.id)[0].reader == "ada"
    assert "<p>One\n\nTwo</p>" in service.get("/articles/17").text


def test_json_is_answered_by_json(service: Service) -> None:
    answer = send(service, "POST", "/articles/17/comments", SAID)
    assert answer.status_code == 201
    number = answer.json()["id"]
    assert answer.headers["Location"].endswith(f"#comment-{number}")
    answer = send(service, "POST", f"/comments/{number}/replies", SAID)
    assert (answer.status_code, answer.json()["parent"]) == (201, number)
    answer = send(service, "POST", f"/comments/{number}/votes", {"reader": "bob", "value": 1})
    assert (answer.status_code, answer.json()) == (200, {"id": number, "score": 1})
    assert "set-cookie" not in answer.headers
    assert listed(service, "order=best")[0] == number
    assert check(service.comments.views, service.db) == []


def test_one_reader_has_one_vote_by_a_cookie(service: Service) -> None:
    number = say(service)

    def vote(value: int, cookie: str) -> Any:
        headers = {**HERE, "Cookie": cookie}
        return service("POST", f"/comments/{number}/votes", data={"value": value}, headers=headers)

    first = vote(1, "")
    assert first.status_code == 303
    assert "HttpOnly" in first.headers["Set-Cookie"]
    assert "SameSite=lax" in first.headers["Set-Cookie"]
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    for value, score in ((1, 1), (-1, -1), (0, 0), (1, 1)):
        vote(value, cookie)
        assert service.db.comment(number).score == score
    vote(1, "")
    vote(1, "reader=somebody made this up")
    assert service.db.comment(number).score == 3


@pytest.mark.parametrize(
    ("path", "given", "status"),
    [
        ("/articles/17/comments", {}, 422),
        ("/articles/17/comments", SAID | {"body": " "}, 422),
        ("/articles/17/comments", SAID | {"body": 7}, 422),
        ("/articles/17/comments", SAID | {"body": "x" * (LONGEST + 1)}, 422),
        ("/articles/17/comments", SAID | {"reader": "x" * (LONGEST_NAME + 1)}, 422),
        ("/articles/17/comments", SAID | {"body": "a\0b"}, 422),
        ("/articles/17/comments", [SAID], 422),
        ("/articles/17/comments", SAID | {"x": "x" * 300_000}, 413),
        ("/articles/9999/comments", SAID, 404),
        ("/articles/x/comments", SAID, 404),
        ("/comments/999999/replies", SAID, 404),
        ("/comments/x/replies", SAID, 404),
        ("/comments/{gone}/replies", SAID, 409),
        ("/comments/{hidden}/replies", SAID, 409),
        ("/comments/{there}/replies", SAID | {"body": ""}, 422),
        ("/comments/{there}/votes", {"value": 2}, 422),
        ("/comments/{there}/votes", {}, 422),
        ("/comments/{there}/votes", {"value": 1, "reader": ""}, 422),
        ("/comments/999999/votes", {"value": 1}, 404),
        ("/comments/x/votes", {"value": 1}, 404),
        ("/comments/{gone}/votes", {"value": 1}, 404),
    ],
)
def test_what_cannot_be_written(service: Service, path: str, given: Any, status: int) -> None:
    there, gone, hidden = (say(service) for _ in range(3))
    service.comments.delete(gone)
    service.comments.hide(hidden)
    writes = service.db.writes
    path = path.format(there=there, gone=gone, hidden=hidden)
    answer = send(service, "POST", path, given)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert service.db.writes == writes


def test_bytes_that_are_no_json_or_no_text(service: Service) -> None:
    headers = {**HERE, "Content-Type": "application/json"}
    surrogate = rb'{"reader": "\ud800", "body": "x"}'
    for content, status in ((b"{", 400), (b"\xff", 400), (b"[" * 100_000, 400), (surrogate, 422)):
        answer = service("POST", "/articles/17/comments", content=content, headers=headers)
        assert answer.status_code == status


def test_pages_from_elsewhere_write_nothing(service: Service) -> None:
    number = say(service)
    writes = service.db.writes
    foreign = {"Host": "127.0.0.1", "Origin": "http://news.example"}
    for path in ("/articles/17/comments", f"/comments/{number}/votes", f"/comments/{number}"):
        given = {**SAID, "value": "1", "action": "delete"}
        assert service("POST", path, data=given, headers=foreign).status_code == 403
        assert service("POST", path, json=given, headers=foreign).status_code == 403
    for method in ("PATCH", "DELETE"):
        answer = service(method, f"/comments/{number}", json={"body": "x"}, headers=foreign)
        assert answer.status_code == 403
    assert service.db.writes == writes


# --- Moderating


def test_an_editor_changes_hides_shows_and_deletes(service: Service) -> None:
    number = say(service)
    path = f"/comments/{number}"
    answer = send(service, "PATCH", path, {"body": "Edited.", "version": 1})
    assert (answer.status_code, answer.json()["body"]) == (200, "Edited.")
    assert send(service, "PATCH", path, {"body": "Late.", "version": 1}).status_code == 409
    hidden = send(service, "PATCH", path, {"hidden": True})
    assert hidden.json()["hidden"]
    assert number not in listed(service, "most=1000")
    shown = send(service, "PATCH", path, {"hidden": False, "version": hidden.json()["version"]})
    assert not shown.json()["hidden"]
    assert number in listed(service, "most=1000")
    for wrong in ({"hidden": "yes"}, {"body": ""}, {"body": 7}, {"body": "x" * (LONGEST + 1)}):
        assert send(service, "PATCH", path, wrong).status_code == 422
    assert send(service, "DELETE", path).status_code == 204
    assert send(service, "DELETE", path).status_code == 404
    assert send(service, "PATCH", path, {"body": "x"}).status_code == 404
    assert number not in listed(service, "most=1000")
    assert check(service.comments.views, service.db) == []


def test_the_form_of_an_editor(service: Service) -> None:
    spam = [say(service, reader="eve", body="Buy!") for _ in range(3)]
    path = f"/comments/{spam[0]}"
    form = service.get(f"{path}/edit").text
    assert "Buy!" in form
    assert 'name="key"' not in form
    edit = {"action": "edit", "body": "One\r\nTwo", "version": "1"}
    assert service("POST", path, data=edit, headers=HERE).status_code == 303
    assert service.db.comment(spam[0]).body == "One\nTwo"
    assert service("POST", path, data=edit, headers=HERE).status_code == 409
    assert service("POST", path, data={"action": "x"}, headers=HERE).status_code == 422
    for action, seen in (("hide", 2), ("show", 3), ("delete", 2), ("hide_reader", 0)):
        place = f"/comments/{spam[1]}" if action == "hide_reader" else path
        assert service("POST", place, data={"action": action}, headers=HERE).status_code == 303
        assert service.comments.totals("eve").comments == seen
    assert service.get(f"{path}/edit").status_code == 404
    assert "It is hidden from readers." in service.get(f"/comments/{spam[1]}/edit").text


def test_only_editors_moderate(make: Callable[..., Service]) -> None:
    service = opened(make, editor_key=KEY)
    number = say(service)
    path = f"/comments/{number}"
    assert 'name="key"' in service.get(f"{path}/edit").text
    for wrong in ({}, {"Authorization": f"Bearer {KEY[:-1]}"}, {"Authorization": "Basic x"}):
        assert send(service, "PATCH", path, {"body": "x"}, **wrong).status_code == 403
        assert send(service, "DELETE", path, **wrong).status_code == 403
    assert send(service, "POST", path, {"action": "delete", "key": 7}).status_code == 403
    form = {"action": "delete", "key": "wrong"}
    assert service("POST", path, data=form, headers=HERE).status_code == 403
    right = {"Authorization": f"Bearer {KEY}", "Host": "news.example", "Origin": ""}
    right["Origin"] = "https://news.example"
    assert send(service, "PATCH", path, {"body": "x"}, **right).status_code == 200
    assert service("POST", path, data=form | {"key": KEY}, headers=HERE).status_code == 303
    assert service.db.comment(number).deleted


def test_where_nobody_edits_nobody_moderates(make: Callable[..., Service]) -> None:
    service = make(comments=True)
    number = say(service)
    assert service.get(f"/comments/{number}/edit").status_code == 404
    assert send(service, "DELETE", f"/comments/{number}").status_code in (404, 405)
    assert "Moderate" not in service.get("/articles/17/discussion").text
    assert not service.db.comment(number).deleted


# --- Several processes, and outages


def test_another_process_sees_what_was_said(make: Callable[..., Service]) -> None:
    here, there = opened(make), opened(make)
    there.get("/articles/17")
    number = say(here)
    assert number in listed(there, "most=1000")
    # Its memory hears of it a moment later.
    until(lambda: f'id="comment-{number}"' in there.get("/articles/17").text, "the comment")


def test_readers_comment_while_redis_is_away(service: Service) -> None:
    def away(_: int) -> None:
        raise redis.ConnectionError

    before = service.db.comment_count(17)
    with CommandLog(service.redis, before=away):
        number = say(service)
        assert listed(service, "order=newest")[0] == number
        live = service.get(f"/articles/17/comments/live?ids={number}").json()
        assert live == {"count": before + 1, "scores": {str(number): 0}}
        assert f'id="comment-{number}"' in service.get("/articles/17").text
    assert listed(service, "order=newest")[0] == number
    assert check(service.comments.views, service.db) == []


def test_a_site_that_begins_without_redis(db: Newsroom) -> None:
    server = LocalServer()
    with Client(create_app(db, server.url, comments=True)) as http:
        server.close()
        answer = http("POST", "/articles/17/comments", json=SAID)
        assert answer.status_code == 201
        ids = [comment["id"] for comment in http.get("/articles/17/comments").json()["comments"]]
        assert ids == [comment.id for comment in db.comments(17)]


def test_readers_have_comments_while_the_database_is_down(service: Service) -> None:
    number = say(service)
    service.get("/articles/17")
    with service.db.down():
        assert number in listed(service, "most=1000")
        assert str(number) in service.get(f"/articles/17/comments/live?ids={number}").text
        answer = send(service, "POST", "/articles/17/comments", SAID)
        assert answer.status_code == 503
    assert send(service, "POST", "/articles/17/comments", SAID).status_code == 201
