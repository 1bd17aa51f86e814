"""The panel that says how a page was made: where each fragment came from, and what it cost."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.cache.fragments import Piece
    from labkit.site.site import Shown


def panel(shown: Shown, seconds: float, links: str = "") -> str:
    """The panel of a page.

    Args:
        shown: The page.
        seconds: How long the request took until here.
        links: What else can be done with the page, as HTML.
    """
    reads = f"{shown.reads} database read{'' if shown.reads == 1 else 's'}"
    stale = " The database did not answer: what you see may be out of date." if shown.stale else ""
    return (
        '<section class="panel" id="made" aria-labelledby="made-title">\n'
        '<h2 id="made-title">How this page was made</h2>\n'
        '<div class="scroll" tabindex="0" role="group" aria-label="Fragments"><table>\n'
        '<thead><tr><th scope="col">Fragment</th><th scope="col">From</th>'
        '<th scope="col">Time</th><th scope="col">Bytes</th></tr></thead>\n'
        f"<tbody>{_rows(shown.pieces)}</tbody></table></div>\n"
        f"<p><strong>{format_time(seconds)}</strong> in all, <strong>{reads}</strong>.{stale} "
        "What lies inside a fragment that the cache had was not looked at.</p>\n"
        f"<p>{links}</p>\n</section>"
    )


def _rows(pieces: Iterable[Piece]) -> str:
    return "\n".join(
        f'<tr class="{escape(piece.where)}"><th scope="row">{escape(piece.name)}</th>'
        f"<td>{escape(piece.where)}</td><td>{format_time(piece.seconds)}</td>"
        f"<td>{piece.bytes:,}</td></tr>"
        for piece in pieces
    )
