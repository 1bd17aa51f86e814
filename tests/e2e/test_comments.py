"""Comments in a browser: said, replied to, voted on without leaving the page, moderated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import is_narrow, silent_page
from tests.site.served import command, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

SCRIPT = "<script>document.title = 'broken into'</script>"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a site on which readers comment and editors moderate."""
    with command("--articles", "20", "--editable", "--comments") as process:
        yield told(process)[1]


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page whose console stays silent."""
    with silent_page(browser, request.param) as page:
        yield page


def test_a_reader_comments_replies_and_votes_and_an_editor_moderates(page: Page, url: str) -> None:
    page.goto(f"{url}/articles/17")
    assert is_narrow(page)
    form = page.locator("form.say").last
    form.get_by_label("Your name").fill("ada")
    form.get_by_label("Comment").fill(SCRIPT)
    form.get_by_role("button", name="Post").click()
    mine = page.locator("li:target")
    expect(mine.locator("> p")).to_have_text(SCRIPT)
    expect(page).not_to_have_title("broken into")
    number = page.url.rpartition("-")[2]

    mine.get_by_text("Reply").click()
    mine.get_by_label("Your name").fill("bob")
    mine.get_by_label("Comment").fill("Yes.")
    mine.get_by_role("button", name="Post").click()
    expect(page.locator(f"#comment-{number} li:target > p")).to_have_text("Yes.")
    assert is_narrow(page)

    score = page.locator(f"[data-score='{number}']")
    for name, shown in (("Vote for it", "1"), ("Vote for it", "1"), ("Vote against it", "-1")):
        page.locator(f"#comment-{number}").get_by_role("button", name=name).first.click()
        expect(score).to_have_text(shown)
    page.goto(f"{url}/articles/17")
    expect(score).to_have_text("-1")  # out of no fragment: it is asked for

    page.goto(f"{url}/articles/17/discussion?order=newest")
    page.locator(f"#comment-{number}").get_by_role("link", name="Moderate").first.click()
    assert is_narrow(page)
    page.get_by_role("button", name="Hide it").click()
    expect(page.locator(f"#comment-{number}")).to_have_count(0)


def test_the_count_is_live(page: Page, url: str) -> None:
    page.goto(f"{url}/articles/3")
    count = page.locator("[data-live]")
    before = int(count.inner_text())
    given = {"reader": "cy", "body": "From elsewhere."}
    page.request.post(f"{url}/articles/3/comments", data=given)
    expect(count).to_have_text(str(before + 1))
    page.get_by_role("link", name="There are others by now").click()
    expect(page.get_by_text("From elsewhere.").first).to_be_visible()
