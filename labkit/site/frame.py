"""What every page of the site stands in: one document, with its style and without anything else."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from importlib import resources

NAME = "The Daily Cache"
"""What the paper is called."""

LOOK = 1
"""Which look pages have; another one makes what is cached, here and at readers', old."""


def document(title: str, content: str, footer: str = "", style: str = "") -> str:
    """A whole document.

    Args:
        title: What it is called, as HTML without tags.
        content: What stands in it, as HTML.
        footer: What stands below it, as HTML.
        style: CSS that it needs beside that of every page.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} – {NAME}</title>\n<style>\n{_style()}{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the content</a>\n'
        f'<header class="masthead"><a href="/">{NAME}</a></header>\n'
        f'<main id="content">\n{content}\n</main>\n'
        f'<footer>{footer} <a href="/cache">How the cache is doing</a></footer>\n'
        "</body>\n</html>\n"
    )


def with_panel(text: str, panel: str) -> str:
    """A document with a panel before its content."""
    # Whatever people wrote is escaped: this tag stands there once.
    head, tag, rest = text.partition("<main ")
    return f"{head}{panel}\n{tag}{rest}"


def time_of(moment: float) -> str:
    """A moment in seconds since the epoch, as HTML."""
    when = datetime.fromtimestamp(moment, UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%Y-%m-%d %H:%M} UTC</time>'


@functools.cache
def _style() -> str:
    return (resources.files("labkit.site") / "style.css").read_text("utf-8")
