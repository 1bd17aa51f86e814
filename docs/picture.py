"""Take docs/lesson.png, the README's picture of a lesson: python -m docs.picture."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import chromium, labkit_lab, open_notebook
from tests.e2e.test_lab import Notebook

LESSON = "notebooks/01-data-structures/01-data-structures.ipynb"
ANSWER = '''def add_recent(r, player, game, keep):
    """Put a game in front of the player's recent games and return the newest `keep` of them."""
    key = f"arcade:recent:{player}"
    with r.pipeline() as pipe:
        pipe.lpush(key, game)
        pipe.ltrim(key, 0, keep)
        pipe.lrange(key, 0, -1)
        return pipe.execute()[-1]'''
PICTURE = Path(__file__).with_name("lesson.png")
SETTINGS = {"notebook-extension:tracker": {"windowingMode": "none"}}


def main() -> None:
    """Solve an exercise of lesson 01 almost, and take a picture of what the checks say."""
    with labkit_lab(settings=SETTINGS) as lab, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        open_notebook(page, lab.url.replace("/?", f"/lab/tree/{LESSON}?"))
        page.keyboard.press("ControlOrMeta+B")  # without the list of files

        lesson = Notebook(page)
        lesson.run(lesson.cell("from labkit.course"))
        answer = lesson.cell("def add_recent")
        lesson.write(answer, ANSWER)
        lesson.run(answer)
        verdict = lesson.run(lesson.cell('lesson.check("add_recent"')).first
        expect(verdict).to_contain_text("points")
        page.get_by_role("heading", name="recent games").evaluate("e => e.scrollIntoView()")
        page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
