"""The site over HTTP: pages, what readers keep, outages, floods, edits, and what operators see."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import redis

from labkit import CommandLog, LocalServer
from labkit.site.app import create_app
from labkit.site.editing import KEY_VARIABLE, Editors
from tests.leaderboard.api.driver import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.newsroom import Newsroom
    from tests.site.conftest import Service

KEY = "an editor's key, 0123456789"
SCRIPT = "<script>alert('&amp;')</script>"


def rows(text: str) -> dict[str, str]:
    """Where the panel says that each fragment came from."""
    return dict(re.findall(r'<th scope="row">([\w:]+)</th><td>(\w+)</td>', text))


def test_an_article(service: Service) -> None:
    article = service.db.article(17)
    assert article is not None
    author = service.db.author(article.author_id)
    assert author is not None
    answer = service.get("/articles/17")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    text = unescape(answer.text)
    assert f"<h1>{article.title}</h1>" in text
    assert f"<title>{article.title} – " in text
    assert author.name in text
    assert author.bio in text
    for tag in article.tags:
        assert f"<li>{tag}</li>" in text
    for paragraph in article.body.split("\n\n"):
        assert f"<p>{paragraph}</p>" in text
    comments = service.db.comments(17)
    assert f">{len(comments)} comment{'' if len(comments) == 1 else 's'}</h2>" in text
    for comment in comments:
        assert comment.body in text
    for headline in service.db.latest_of(article.author_id):
        assert f'<a href="/articles/{headline.id}">{headline.title}</a>' in text


def test_a_page_needs_nothing_from_elsewhere(service: Service) -> None:
    for path in ("/", "/articles/17?debug=1", "/cache", "/articles/9999"):
        answer = service.get(path)
        assert not re.findall(r"<link|<img|@import|url\(|src=|https?://", answer.text), path
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert answer.text.count("<h1>") == 1


def test_what_people_write_stays_text(service: Service) -> None:
    db, site = service.db, service.site
    article = db.article(17)
    assert article is not None
    site.write(db.edit_article, 17, title=SCRIPT, body=SCRIPT, section=SCRIPT, tags=[SCRIPT])
    site.write(db.edit_author, article.author_id, name=SCRIPT, bio=SCRIPT)
    site.write(db.add_comment, 17, SCRIPT, "</main><main " + SCRIPT)
    for path in ("/articles/17", "/articles/17?debug=1", "/"):
        text = service.get(path).text
        assert "<script" not in text
        assert "&lt;script&gt;alert(&#x27;&amp;amp;&#x27;)&lt;/script&gt;" in text
    text = service.get("/articles/17?debug=1").text
    assert text.index('id="made"') < text.index("<main ")
    assert text.count("<main ") == 1


def test_many_comments_are_counted_and_the_first_ones_shown(service: Service) -> None:
    db = service.db
    seen = len(db.comments(17, 1000))
    for number in range(seen, 51):
        service.site.write(db.add_comment, 17, "ada", f"No. {number}")
    assert "51 comments, the first 50 of them" in service.get("/articles/17").text
    assert "No. 50" not in service.get("/articles/17").text


# --- What readers keep


def test_a_reader_who_has_the_page_is_told_so_and_nothing_is_rendered(
    service: Service, client: Any
) -> None:
    first = service.get("/articles/17")
    etag = first.headers["ETag"]
    assert etag.startswith('W/"')
    assert "stale-while-revalidate=" in first.headers["Cache-Control"]
    fragments = service.site.fragments.stats()
    for shown in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        reads = service.db.reads
        answer = service.get("/articles/17", If_None_Match=shown)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == etag
        assert answer.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert service.db.reads == reads
    assert service.site.fragments.stats() == fragments
    assert service.get("/articles/17", If_None_Match='"other"').status_code == 200


def test_an_edit_gives_the_pages_that_show_it_another_etag(service: Service) -> None:
    db = service.db
    latest = [headline.id for headline in db.latest_of(1)]
    others = [n for n, article in db.articles_of(db.ids()).items() if article.author_id != 1]
    etags = {n: service.get(f"/articles/{n}").headers["ETag"] for n in (*latest, *others)}
    assert len(set(etags.values())) == len(etags)

    def changed() -> set[int]:
        codes = {
            n: service.get(f"/articles/{n}", If_None_Match=tag).status_code
            for n, tag in etags.items()
        }
        assert set(codes.values()) <= {200, 304}
        return {number for number, code in codes.items() if code == 200}

    assert changed() == set()
    service.site.write(db.add_comment, latest[1], "ada", "yes")
    assert changed() == {latest[1]}
    service.site.write(db.edit_article, latest[1], title="New")
    assert changed() == set(latest)


def test_the_front_page_shows_what_is_new_and_what_is_read(service: Service) -> None:
    db = service.db
    answer = service.get("/")
    listed = [int(number) for number in re.findall(r"/articles/(\d+)", answer.text)]
    assert listed == [*db.ids()[:-11:-1], *db.most_read(10)]
    etag = answer.headers["ETag"]
    reads = db.reads
    assert service.get("/", If_None_Match=etag).status_code == 304
    assert db.reads == reads
    service.site.write(db.add_comment, listed[0], "ada", "yes")
    assert service.get("/", If_None_Match=etag).status_code == 304
    service.site.write(db.edit_article, listed[0], title="Ferry is back")
    assert ">Ferry is back</a>" in service.get("/", If_None_Match=etag).text
    number = service.site.publish(1, "Just in", "Now.", "city")
    assert f'<a href="/articles/{number}">Just in</a>' in service.get("/").text
    service.site.write(db.delete_article, number)
    assert "Just in" not in service.get("/").text


def test_head_is_answered_as_get_is(service: Service) -> None:
    for path in ("/", "/articles/17", "/articles/9999"):
        assert service("HEAD", path).status_code == service.get(path).status_code


# --- Made-up numbers


@pytest.mark.parametrize(
    "number", ["0", "-1", "017", "1e3", "17.0", "x", "9" * 18, "9" * 5000, "１７", "17%00", "%3C"]
)
def test_what_is_no_number_of_an_article_is_not_there(service: Service, number: str) -> None:
    reads = service.db.reads
    answer = service.get(f"/articles/{number}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")
    assert "<h1>Not found</h1>" in answer.text
    assert service.db.reads == reads


def test_a_flood_of_made_up_numbers_does_not_reach_the_database(
    service: Service, client: Any
) -> None:
    stored = client.dbsize()
    reads = service.db.reads
    for number in range(1_000, 1_200):
        assert service.get(f"/articles/{number}").status_code == 404
    assert service.db.reads == reads
    assert client.dbsize() == stored  # nor does it fill Redis
    assert service.site.versions.turned_away == 200
    assert "200 made-up numbers turned away" in service.get("/cache").text


def test_what_another_process_publishes_is_known(make: Callable[..., Service]) -> None:
    here, there = make(), make()
    number = here.db.ids()[-1] + 1
    assert there.get(f"/articles/{number}").status_code == 404
    assert here.site.publish(1, "Ferry", "It is back.", "city") == number
    assert there.get(f"/articles/{number}").status_code == 200


# --- While the database is down


def test_old_pages_stand_in_for_a_while_and_then_there_is_an_error(service: Service) -> None:
    fresh = service.get("/articles/17")
    front = service.get("/")
    assert fresh.headers["X-Cache"] == "miss"
    assert service.get("/articles/17").headers["X-Cache"] == "hit"
    with service.db.down():
        assert service.get("/articles/17").headers["X-Cache"] == "hit"  # nobody asks
        service.advance("11m")
        for path, before in (("/articles/17", fresh), ("/", front)):
            for _ in range(2):
                answer = service.get(path)
                assert (answer.status_code, answer.text) == (200, before.text)
                assert answer.headers["X-Cache"] == "stale"
                assert answer.headers["Cache-Control"] == "no-cache"
                assert not {"age", "warning"} & set(answer.headers)
            etag = before.headers["ETag"]
            assert service.get(path, If_None_Match=etag).headers["X-Cache"] == "stale"
        assert "may be out of date" in service.get("/articles/17?debug=1").text
        never_seen = service.get("/articles/3")
        service.advance("2h")
        for answer in (never_seen, service.get("/articles/17"), service.get("/")):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Cache-Control"] == "no-store"
            assert "<h1>Out of order</h1>" in answer.text
    service.advance("2s")
    for path in ("/articles/17", "/articles/3", "/"):
        answer = service.get(path)
        assert answer.status_code == 200
        assert answer.headers["X-Cache"] != "stale"


def test_after_an_outage_pages_are_as_they_should_be(service: Service) -> None:
    service.get("/articles/17")
    service.advance("11m")
    with service.db.down():
        assert service.get("/articles/17").headers["X-Cache"] == "stale"
    service.advance("2s")
    service.db.edit_article(17, title="Past the site")  # nobody is told of it
    answer = service.get("/articles/17")
    assert answer.headers["X-Cache"] == "miss"
    assert "<h1>Past the site</h1>" in answer.text


# --- The panel of a page


def test_the_panel_says_where_each_fragment_came_from(service: Service) -> None:
    author = service.db.page_versions(17).author_id
    names = {"page:17", "title:17", "header:17", "body:17", "comments:17"}
    names |= {f"author:{author}", f"sidebar:{author}"}
    cold = service.get("/articles/17?debug=1")
    assert cold.headers["Cache-Control"] == "no-store"
    assert rows(cold.text) == dict.fromkeys(names, "rendered")
    assert "<strong>6 database reads</strong>" in cold.text
    warm = service.get("/articles/17?debug=1").text
    assert rows(warm) == {"page:17": "memory"}
    assert "<strong>0 database reads</strong>" in warm
    service.site.write(service.db.add_comment, 17, "ada", "yes")
    edited = service.get("/articles/17?debug=1").text
    assert rows(edited) == dict.fromkeys(names - {f"author:{author}"}, "memory") | {
        "page:17": "rendered",
        "comments:17": "rendered",
        # It is inside the header and the sidebar, which were there.
    }
    assert "<strong>2 database reads</strong>" in edited
    assert 'id="made"' not in service.get("/articles/17").text


def test_another_process_says_that_it_came_from_redis(make: Callable[..., Service]) -> None:
    here, there = make(), make()
    here.get("/articles/17")
    assert rows(there.get("/articles/17?debug=1").text) == {"page:17": "redis"}
    assert rows(there.get("/articles/17?debug=1").text) == {"page:17": "memory"}


def test_a_page_that_memory_has_asks_redis_nothing(service: Service) -> None:
    service.get("/articles/17")
    service.get("/articles/17")
    client = service.redis
    with CommandLog(client) as log:
        service.get("/articles/17")
        service.get("/articles/17", If_None_Match="*")
    assert log.round_trips == 0


# --- Editing


def test_an_edit_is_seen_at_once(make: Callable[..., Service]) -> None:
    service = make(editable=True)
    service.get("/articles/17")
    form = service.get("/articles/17/edit").text
    assert unescape(form).count(service.db.article(17).title) == 1
    answer = service.edit("/articles/17", title="A & B", body="One\r\n\r\nTwo", version="1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/articles/17?debug=1")
    text = service.get("/articles/17").text
    assert "<h1>A &amp; B</h1>" in text
    assert "<p>One</p>\n<p>Two</p>" in text
    assert service.db.article(17).body == "One\n\nTwo"


@pytest.mark.parametrize(
    ("path", "form", "status", "told"),
    [
        ("/articles/17", {"title": "x", "version": "9"}, 409, "changed the article meanwhile"),
        ("/articles/17", {"title": " "}, 422, "expected text that is not empty"),
        ("/articles/17", {"title": "x", "version": "one"}, 400, "no number"),
        ("/articles/17", {"title": "x" * 300_000}, 413, "too large"),
        ("/articles/17", {str(n): "x" for n in range(50)}, 400, "cannot be read"),
        ("/articles/9999", {"title": "x"}, 404, "no such page"),
        ("/articles/x", {"title": "x"}, 404, "no such page"),
    ],
)
def test_edits_that_cannot_be(
    make: Callable[..., Service], path: str, form: dict[str, str], status: int, told: str
) -> None:
    service = make(editable=True)
    answer = service.edit(path, **form)
    assert answer.status_code == status
    assert told in unescape(answer.text)
    assert service.db.writes == 0


def test_bytes_that_are_no_form(make: Callable[..., Service]) -> None:
    service = make(editable=True)
    headers = {"Host": "127.0.0.1"}
    answer = service("POST", "/articles/17", content=b"\xff\xfe", headers=headers)
    assert answer.status_code == 400
    answer = service("POST", "/articles/17", content=b"title=%FF", headers=headers)
    assert answer.status_code == 400
    assert service.db.writes == 0


def test_only_this_machine_edits_without_a_key(make: Callable[..., Service]) -> None:
    service = make(editable=True)
    for host in ("127.0.0.1", "localhost:8000", "[::1]:8000"):
        assert service.edit("/articles/17", host=host, title=host).status_code == 303
    for host in ("news.example", "127.0.0.1.example", "10.0.0.7", "", "[::1"):
        assert service.edit("/articles/17", host=host, title="x").status_code == 403
    foreign = {"Host": "127.0.0.1", "Origin": "http://news.example"}
    answer = service("POST", "/articles/17", data={"title": "x"}, headers=foreign)
    assert answer.status_code == 403
    assert service.db.writes == 3


def test_whoever_has_the_key_edits(make: Callable[..., Service]) -> None:
    service = make(editable=True, editor_key=KEY)
    assert 'name="key"' in service.get("/articles/17/edit").text
    for wrong in ({}, {"key": ""}, {"key": KEY[:-1]}, {"key": "ключ"}):
        answer = service.edit("/articles/17", host="news.example", title="x", **wrong)
        assert answer.status_code == 403
        assert KEY not in answer.text
    assert service.db.writes == 0
    answer = service.edit("/articles/17", host="news.example", title="x", key=KEY)
    assert answer.status_code == 303


def test_the_key_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert Editors().keyed
    monkeypatch.setenv(KEY_VARIABLE, "")
    assert not Editors().keyed
    with pytest.raises(ValueError, match="expected at least 16"):
        Editors("short")


def test_a_site_is_not_editable_unless_it_says_so(service: Service) -> None:
    assert service.get("/articles/17/edit").status_code == 404
    assert service.edit("/articles/17", title="x").status_code == 405
    assert "/edit" not in service.get("/articles/17?debug=1").text
    assert service.db.writes == 0


# --- What operators see


def test_metrics(service: Service) -> None:
    for _ in range(3):
        service.get("/articles/17")
    text = service.get("/metrics").text
    assert (
        'labkit_cache_hits_total{cache="news",function="fragment:page",tier="memory"} 2.0' in text
    )
    assert 'labkit_cache_loads_total{cache="news",function="fragment:body"} 1.0' in text
    assert 'labkit_cache_loads_total{cache="news",function="article"} 1.0' in text


def test_the_panel_of_the_cache_is_live(service: Service) -> None:
    page = service.get("/cache")
    assert '<th scope="row">article</th>' in page.text
    script = re.search(r"<script>(.*?)</script>", page.text, re.S)
    assert script is not None
    assert '"/cache/panel"' in script[1]
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    service.get("/articles/17")
    panel = service.get("/cache/panel").text
    assert "<html" not in panel
    for kind in ("page", "title", "header", "author", "body", "comments", "sidebar"):
        assert re.search(rf'<th scope="row">fragment:{kind}</th><td>1</td>', panel)


# --- While Redis is away


def test_only_numbers_that_nobody_here_knows_are_asked_for_in_redis(service: Service) -> None:
    with CommandLog(service.redis) as log:
        service.get("/articles/17")
        service.get("/articles/18")
    assert log.names == []
    with CommandLog(service.redis) as log:
        service.get("/articles/9999")
    assert log.names == ["SMISMEMBER"]


def test_the_site_goes_on_without_redis(db: Newsroom) -> None:
    server = LocalServer()
    app = create_app(db, server.url)
    with Client(app) as http:
        http.get("/articles/17")
        server.close()
        assert http.get("/articles/17").headers["X-Cache"] == "hit"
        assert http.get("/articles/18").status_code == 200
        assert http.get("/").status_code == 200
        site = app.state.site
        site.write(db.edit_article, 17, title="Ferry is back")
        assert "<h1>Ferry is back</h1>" in http.get("/articles/17").text
        number = site.publish(1, "Bridge", "Closed.", "city")
        assert "<h1>Bridge</h1>" in http.get(f"/articles/{number}").text
        reads = db.reads
        assert http.get("/articles/9999").status_code == 404
        assert db.reads == reads + 1  # nobody knows that it was made up


def test_what_was_published_while_redis_was_away_is_told_with_the_next_write(
    make: Callable[..., Service],
) -> None:
    here, there = make(), make()

    def away(_: int) -> None:
        raise redis.exceptions.ConnectionError

    with CommandLog(here.redis, before=away):
        number = here.site.publish(1, "Ferry", "It is back.", "city")
    assert here.get(f"/articles/{number}").status_code == 200
    assert there.get(f"/articles/{number}").status_code == 404
    here.site.write(here.db.add_comment, 17, "ada", "yes")
    assert there.get(f"/articles/{number}").status_code == 200
