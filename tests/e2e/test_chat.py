"""Two people in two browser windows, one of whom is cut off for a while: nothing is missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from labkit import LocalServer
from labkit.chat import Room
from labkit.server import find_server
from tests.proxy import Proxy
from tests.site.served import command, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(find_server() is None, reason="needs a real server")

SCRIPT = "<img src=x onerror=\"document.title='broken into'\">"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(persistence="aof", config={"appendfsync": "no"}) as server:
        yield server


@pytest.fixture(scope="module")
def url(server: LocalServer) -> Iterator[str]:
    with command("--redis", server.url, service="chat") as process:
        yield told(process)[1]


@pytest.fixture
def way(url: str) -> Iterator[Proxy]:
    """By which one of the two comes to the service."""
    way = Proxy(url)
    yield way
    way.close()


def enter(browser: Browser, url: str, name: str, **how: object) -> Page:
    page = browser.new_context(**how).new_page()  # type: ignore[arg-type]
    page.goto(url)
    page.keyboard.type(name)  # the first field has the focus
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text(f"You are here as {name}.")
    return page


def say(page: Page, text: str) -> None:
    page.keyboard.type(text)  # it has the focus from the start
    page.keyboard.press("Enter")


def said(page: Page) -> list[str]:
    return page.locator("#log li:not(.note)").all_text_contents()


def without_times(lines: list[str]) -> list[str]:
    return [re.sub(r"^\d\d:\d\d( [AP]M)?", "", line) for line in lines]


def test_two_windows_chat_and_nothing_is_missing(
    browser: Browser, url: str, way: Proxy, server: LocalServer
) -> None:
    ada = enter(browser, url, "ada")
    bob = enter(
        browser, way.url, "bob", viewport={"width": 360, "height": 640}, color_scheme="dark"
    )
    for page in (ada, bob):
        expect(page.locator("#who li")).to_have_text(
            [
                f"{name} (you)" if page is mine else name
                for name, mine in (("ada", ada), ("bob", bob))
            ]
        )
    say(ada, SCRIPT)
    expect(bob.locator("#log")).to_contain_text(SCRIPT)
    expect(bob).to_have_title("Chat")
    bob.keyboard.type("I am")
    expect(ada.locator("#typing")).to_have_text("bob is typing")
    bob.keyboard.press("Enter")
    expect(ada.locator("#typing")).to_have_text("")
    assert bob.evaluate("document.documentElement.scrollWidth <= innerWidth")

    way.cut()
    with server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # the service notices nothing
        for number in range(5):
            Room(client, "lobby").say("bot", f"missed {number}")
    expect(bob.locator("#state")).to_have_class("away")
    say(bob, "said while the line was broken")
    expect(bob.locator("#log .waiting")).to_contain_text("said while the line was broken")
    say(ada, "where is bob?")
    way.mend()
    expect(bob.locator("#state")).to_have_text("You are here as bob.")
    expect(bob.locator("#log .waiting")).to_have_count(0)
    expect(ada.locator("#log")).to_contain_text("said while the line was broken")
    say(ada, "the end")
    expect(bob.locator("#log")).to_contain_text("the end")
    expected = [
        f"ada: {SCRIPT}",
        "bob: I am",
        *(f"bot: missed {number}" for number in range(5)),
        "ada: where is bob?",
        "bob: said while the line was broken",
        "ada: the end",
    ]
    assert without_times(said(ada)) == expected
    assert without_times(said(bob)) == expected

    server.kill()
    server.start()
    say(bob, "after Redis was killed")
    expect(ada.locator("#log")).to_contain_text("after Redis was killed")
    assert without_times(said(ada)) == [*expected, "bob: after Redis was killed"]

    thief = browser.new_context().new_page()
    thief.goto(url)
    thief.get_by_label("Your name").fill("Ada")
    thief.keyboard.press("Enter")
    expect(thief.get_by_role("alert")).to_have_text("The name 'Ada' is taken. Choose another one.")
    bob.get_by_role("button", name="Leave").click()
    expect(ada.locator("#who li")).to_have_text(["ada (you)"])
    expect(bob.get_by_label("Your name")).to_be_focused()
    for page in (ada, bob, thief):
        page.context.close()
