"""How verdicts and progress look: rich text in a notebook, plain lines everywhere else."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING

from labkit.course.exercise import Outcome, Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A sign and a word beside the colour: neither alone reaches every reader.
_SIGN = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.RAISED: "!",
    Outcome.NOT_ATTEMPTED: "·",
}
# Mixed with the colour of the text around it, each is readable in a light and in a dark theme.
_COLOUR = {
    Outcome.PASSED: "#009e73",
    Outcome.FAILED: "#d55e00",
    Outcome.RAISED: "#cc79a7",
    Outcome.NOT_ATTEMPTED: "#888888",
}


def show(text: str, html: str) -> None:
    """Display a text that has a rich form: rich in a notebook, plain in a terminal."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if shell is None:
        print(text)
        return
    shell.display_pub.publish({"text/plain": text, "text/html": html})


def show_text(text: str) -> None:
    """Show a sentence; what stands between backticks is set as code."""
    show(text, f"<p>{_code(text)}</p>")


def show_source(source: str) -> None:
    """Show a piece of Python."""
    show(source, f"<pre>{escape(source)}</pre>")


def show_verdict(verdict: Verdict, so_far: str) -> None:
    """Show each check by name, then the points."""
    show(verdict_text(verdict, so_far), verdict_html(verdict, so_far))


def verdict_text(verdict: Verdict, so_far: str = "") -> str:
    """The verdict as plain lines."""
    lines = [_headline(verdict)]
    for result in verdict.results:
        lines.append(f"  {_SIGN[result.outcome]} {result.outcome.value}: {result.statement}")
        if result.message:
            lines.append(f"      {result.message}")
    return "\n".join(filter(None, [*lines, _advice(verdict), so_far]))


def verdict_html(verdict: Verdict, so_far: str = "") -> str:
    """The verdict as a table that can be read without its colours."""
    rows = "".join(_row(result) for result in verdict.results)
    below = " ".join(filter(None, [_advice(verdict), so_far]))
    return (
        f"<div><strong>{escape(_headline(verdict))}</strong>"
        f'<table style="text-align:left"><tbody>{rows}</tbody></table>'
        f"<div>{_code(below)}</div></div>"
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Display a plain table."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [list(headings), *cells]
    ]
    head = _html_row(headings, "th")
    body = "".join(_html_row(row, "td") for row in cells)
    show(
        "\n".join(lines),
        f"<table><thead>{head}</thead><tbody>{body}</tbody></table>",
    )


def _html_row(cells: Iterable[str], tag: str) -> str:
    inside = "".join(f'<{tag} style="text-align:left">{escape(c)}</{tag}>' for c in cells)
    return f"<tr>{inside}</tr>"


def _headline(verdict: Verdict) -> str:
    exercise = verdict.exercise
    return f"{exercise.name}: {verdict.points:g} of {exercise.points:g} points"


def _advice(verdict: Verdict) -> str:
    name = verdict.exercise.name
    if not verdict.attempted:
        return "Write your answer in place of `raise NotImplementedError()`, then run this again."
    if verdict.solved:
        return f'Solved. To compare: `lesson.solution("{name}")`.'
    return f'For a hint: `lesson.hint("{name}")`.'


def _row(result: Result) -> str:
    colour = _COLOUR[result.outcome]
    message = f"<br>{_code(result.message)}" if result.message else ""
    return (
        f'<tr><td style="color:color-mix(in srgb, {colour} 60%, currentColor);text-align:left;'
        f'white-space:nowrap;vertical-align:top">'
        f"<strong>{_SIGN[result.outcome]} {result.outcome.value}</strong></td>"
        f'<td style="text-align:left">{_code(result.statement)}{message}</td></tr>'
    )


def _code(text: str) -> str:
    """Escape a text, setting what stands between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )
