"""The page of the cache monitor: numbers change by themselves, on a phone and without colour."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from labkit import LocalServer
from labkit.cache import Cache
from labkit.cache.monitor import Reporter
from labkit.server import find_server
from tests.e2e.conftest import PHONE, is_narrow, silent_page
from tests.site.served import command, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(find_server() is None, reason="needs a real server")

WIDE = {"width": 1280, "height": 900}
SCRIPT = "<img src=x onerror=\"document.title='broken into'\">"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="module")
def url(server: LocalServer) -> Iterator[str]:
    options = ("--redis-url", server.url, "--name", "demo", "--demo", "--every", "200ms")
    with command(*options, service="cache-monitor") as process:
        yield told(process)[1]


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page whose console stays silent."""
    with silent_page(browser, request.param, WIDE if request.param == "light" else PHONE) as page:
        yield page


def test_numbers_are_there_and_change_by_themselves(page: Page, url: str) -> None:
    page.goto(url)
    expect(page).to_have_title("Cache monitor: demo")
    expect(page.get_by_role("status")).to_have_text("Live: 1 process.")
    table = page.get_by_role("region", name="Entities and functions")
    article = table.get_by_role("row").filter(has_text="Article")
    expect(article).to_be_visible()
    before = article.inner_text()
    expect(article).not_to_have_text(before, use_inner_text=True)
    expect(page.locator("#tiles")).to_contain_text(re.compile(r"Hit ratio\s*\d+\.\d %"))
    expect(page.locator("#tiers")).to_contain_text("memory")
    expect(page.locator("#hot")).to_contain_text("Author:")
    expect(page.locator("#curve .words").first).to_contain_text("entries instead of 800")
    expect(page.get_by_role("img")).to_have_count(5)
    for figure in page.get_by_role("img").all():
        assert re.search(r"\d", figure.get_attribute("aria-label") or "")
    assert is_narrow(page)


def test_lines_are_told_apart_without_colour(page: Page, url: str) -> None:
    page.goto(url)
    lines = page.locator("#ratio .lines path")
    expect(lines).to_have_count(3)
    dashes = [line.get_attribute("stroke-dasharray") for line in lines.all()]
    assert len(set(dashes)) == 3
    expect(page.locator("#ratio .legend li")).to_have_count(3)


def test_processes_come_and_go_and_names_are_only_text(
    page: Page, url: str, server: LocalServer
) -> None:
    page.goto(url)
    cache = Cache(namespace="other", hot_keys=10)
    for _ in range(2_000):
        cache.get(SCRIPT)
    with server.client() as client:
        with Reporter(cache, client, name="demo", every="100ms"):
            expect(page.get_by_role("status")).to_have_text("Live: 2 processes.")
            expect(page.locator("#processes tbody tr")).to_have_count(2)
            expect(page.locator("#functions")).to_contain_text("other")
            expect(page.locator("#hot")).to_contain_text(SCRIPT)
        expect(page.get_by_role("status")).to_have_text("Live: 1 process.")
    expect(page).to_have_title("Cache monitor: demo")
    assert is_narrow(page)


def test_redis_may_go_away_and_come_back(page: Page, browser: Browser) -> None:
    with (
        LocalServer() as server,
        command("--redis", server.url, "--every", "200ms", service="cache-monitor") as process,
    ):
        page.goto(told(process)[1])
        expect(page.get_by_role("status")).to_have_text("No process reports as cache.")
        server.kill()
        # A client tries several times before it gives up.
        away = expect(page.get_by_role("status"))
        away.to_contain_text("did not answer")
        server.start()
        with server.client() as client, Reporter(Cache(), client, every="100ms"):
            expect(page.get_by_role("status")).to_have_text("Live: 1 process.")
        page.goto("about:blank")  # before the service ends, which a console tells
