"""The news site in a browser: an article with its panel, edited, on a phone, by keyboard."""

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
    """The address of an editable site."""
    with command("--articles", "60", "--editable") as process:
        yield told(process)[1]


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page whose console stays silent."""
    with silent_page(browser, request.param) as page:
        yield page


def test_an_article_says_how_it_was_made_and_what_an_edit_renews(page: Page, url: str) -> None:
    page.goto(url)
    assert is_narrow(page)
    page.get_by_role("region", name="Latest").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="How this page was made").click()
    panel = page.get_by_role("region", name="How this page was made")
    expect(panel.get_by_role("row")).to_have_count(2)  # it was just read: the cache has the page
    expect(panel).to_contain_text("0 database reads")
    assert is_narrow(page)

    panel.get_by_role("link", name="Edit").click()
    headline = page.get_by_label("Headline")
    title = f"{headline.input_value()} {SCRIPT}"
    headline.fill(title)
    headline.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page).not_to_have_title("broken into")
    where: dict[str, set[str]] = {}
    for row in panel.get_by_role("row").all()[1:]:
        name = row.get_by_role("rowheader").inner_text().partition(":")[0]
        where.setdefault(row.get_by_role("cell").first.inner_text(), set()).add(name)
    assert where == {
        "rendered": {"page", "title", "header", "sidebar"},
        "memory": {"author", "body", "comments"},
    }
    assert is_narrow(page)


def test_the_panel_of_the_cache_renews_itself(page: Page, url: str) -> None:
    page.goto(f"{url}/cache")
    row = page.get_by_role("row").filter(has_text="article")
    before = row.inner_text()
    page.request.get(f"{url}/articles/1")
    expect(row).not_to_have_text(before, use_inner_text=True)
    assert is_narrow(page)


def test_the_keyboard_goes_past_what_stands_above(page: Page, url: str) -> None:
    page.goto(f"{url}/articles/2?debug=1")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
