"""A learner's first ten minutes, in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import DEADLINE, Lab, labkit_lab, open_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

STUB = "raise NotImplementedError()"
ANSWER = '''def greet(r, name):
    """Store a greeting for `name` that expires after 60 seconds, and return it."""
    text = f"Hello, {name}!"
    r.set(f"start:greeting:{name}", text, ex=60)
    return text
'''
PROGRESS = "notebooks/progress.json"
READABLE = 4.5
"""The contrast between text and background that WCAG's level AA asks for."""

# The contrast of every piece of text with what lies behind it, by WCAG's formula.
_CONTRASTS = """
root => {
    const pixel = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const numbers = colour => {  // however the colour is written
        pixel.clearRect(0, 0, 1, 1);
        pixel.fillStyle = colour;
        pixel.fillRect(0, 0, 1, 1);
        return pixel.getImageData(0, 0, 1, 1).data;
    };
    const over = (front, back) => {
        const alpha = front[3] / 255;
        return [0, 1, 2].map(i => alpha * front[i] + (1 - alpha) * back[i]);
    };
    const behind = element => {
        if (!element) return [255, 255, 255];
        const own = numbers(getComputedStyle(element).backgroundColor);
        return over(own, behind(element.parentElement));
    };
    const luminance = colour => {
        const [r, g, b] = colour.map(c => {
            c /= 255;
            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = element => {
        const back = behind(element);
        const front = over(numbers(getComputedStyle(element).color), back);
        const [dark, light] = [luminance(front), luminance(back)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const says = element => [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    return [...root.querySelectorAll('*')].filter(says).map(e => [e.textContent, contrast(e)]);
}
"""


class Notebook:
    """The lesson that is open in the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def cell(self, source: str) -> Locator:
        """The code cell that has this in its source."""
        editor = self.page.locator(".jp-InputArea-editor", has_text=source)
        return self.page.locator(".jp-CodeCell", has=editor)

    def run(self, cell: Locator) -> Locator:
        """Run a cell with Shift+Enter; its output, once the kernel has answered."""
        before = cell.locator(".jp-InputPrompt").inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        prompt = cell.locator(".jp-InputPrompt")
        expect(prompt).not_to_have_text(before)
        expect(prompt).not_to_have_text("[*]:")
        return cell.locator(".jp-OutputArea-output")

    def write(self, cell: Locator, source: str) -> None:
        """Replace what a cell says by typing."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(source)


@pytest.fixture(scope="module")
def lab(browser: Browser) -> Iterator[Lab]:
    # JupyterLab leaves out the cells one cannot see; a test wants to find them all.
    with labkit_lab(settings={"notebook-extension:tracker": {"windowingMode": "none"}}) as lab:
        yield lab


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def lesson(lab: Lab, browser: Browser, complaints: list[str]) -> Iterator[Notebook]:
    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(DEADLINE * 1000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", hear)
    open_notebook(page, lab.url)
    yield Notebook(page)
    page.close()


def test_a_learner_solves_the_first_exercise(
    lab: Lab, lesson: Notebook, complaints: list[str]
) -> None:
    page = lesson.page
    expect(page.get_by_role("heading", name="Start here")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Kernel")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Nbgrader")).to_have_count(0)

    expect(lesson.run(lesson.cell("from labkit.course"))).to_contain_text("Server:")

    answer = lesson.cell("def greet")
    check = lesson.cell('lesson.check("greet"')
    lesson.run(answer)
    untouched = lesson.run(check)
    expect(untouched.first).to_contain_text("0 of 3 points")
    expect(untouched.first).to_contain_text("not attempted")
    assert not (lab.project / PROGRESS).exists()

    lesson.write(answer, ANSWER)
    lesson.run(answer)
    solved = lesson.run(check)
    expect(solved.first).to_contain_text("3 of 3 points")
    expect(solved.first).to_contain_text("✓ passed")
    expect(solved.first).not_to_contain_text("✗")

    lesson.write(answer, ANSWER.replace(", ex=60", ""))
    lesson.run(answer)
    broken = lesson.run(check)
    expect(broken.first).to_contain_text("✗ failed")
    expect(broken.first).to_contain_text("never expires")

    help_cell = lesson.cell("Stuck?")
    lesson.write(help_cell, 'lesson.hint("greet")')
    expect(lesson.run(lesson.cell("lesson.hint"))).to_contain_text("Hint 1 of 3")

    kept = json.loads((lab.project / PROGRESS).read_text("utf-8"))
    assert kept == {"00-start-here": {"greet": {"points": 3.0, "attempts": 2, "hints": 1}}}
    assert complaints == []


def test_only_an_instructor_has_the_formgrader(lab: Lab) -> None:
    assert lab.request("/formgrader")[0] == 404
    with labkit_lab("--instructor") as instructors:
        assert instructors.request("/formgrader/manage_assignments")[0] == 200


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_verdicts_are_readable(lesson: Notebook, theme: str) -> None:
    page = lesson.page
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text(theme, exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)

    lesson.run(lesson.cell("from labkit.course"))
    check = lesson.cell('lesson.check("greet"')
    pale: dict[str, float] = {}
    for body in (STUB, "return 1 / 0", "return 'Hello'", ANSWER.split('"""\n')[1].strip()):
        answer = lesson.cell("def greet")
        lesson.write(answer, f"def greet(r, name):\n    {body}\n")
        lesson.run(answer)
        verdict = lesson.run(check).first
        pale |= {
            text: contrast for text, contrast in verdict.evaluate(_CONTRASTS) if contrast < READABLE
        }
    assert not pale
