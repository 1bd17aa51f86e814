"""The comments on a page, where readers may comment: threads, votes, forms, and what is live.

Without its script the page works as well: every button is a form's, and only the scores are then
not shown on the page of the article, whose text is kept longer than they hold.
"""

from __future__ import annotations

import functools
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from labkit.newsroom.comment_questions import ORDERS
from labkit.site.frame import time_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labkit.newsroom import Comment
    from labkit.newsroom.comment_questions import Order

SCRIPT = """
const count = document.querySelector("[data-live]");
const shown = count.textContent;
const scores = new Map();
for (const each of document.querySelectorAll("[data-score]")) scores.set(each.dataset.score, each);
async function renew() {
  if (document.hidden) return;
  const answer = await fetch(`${count.dataset.live}?ids=${[...scores.keys()]}`).catch(() => null);
  if (!answer || !answer.ok) return;
  const live = await answer.json();
  count.textContent = live.count;
  document.querySelector("[data-more]").hidden = live.count == shown;
  for (const [id, score] of Object.entries(live.scores)) scores.get(id).textContent = score;
}
document.addEventListener("submit", async event => {
  if (!event.target.matches(".vote")) return;
  event.preventDefault();
  const body = new URLSearchParams({value: event.submitter.value});
  await fetch(event.target.action, {method: "POST", body}).catch(() => null);
  renew();
});
renew();
setInterval(renew, 2000);
"""
"""Renews the count and the scores every two seconds, and votes without leaving the page."""

LONGEST = 4_000
"""Characters of a comment; `LONGEST_NAME` of a reader's name."""

LONGEST_NAME = 60

_DEEPEST = 3  # threads are indented so often
_NAMES = {"oldest": "Oldest", "newest": "Newest", "best": "Best"}


@functools.cache
def style() -> str:
    """What the pages that show threads look like, beside what all pages do."""
    return (resources.files("labkit.site") / "threads.css").read_text("utf-8")


def on_page(article_id: int, shown: Sequence[Comment], count: int) -> str:
    """The first comments on the page of an article."""
    more = f'<a href="/articles/{article_id}/discussion?order='
    said = f"<p>The first {len(shown)} of them. " if count > len(shown) else "<p>"
    links = " · ".join(f'{more}{order}">{_NAMES[order]} first</a>' for order in ORDERS)
    return _section(article_id, shown, count, f"{said}{links}</p>", None, "")


def discussion(
    article_id: int,
    shown: Sequence[Comment],
    count: int,
    order: Order,
    following: str | None,
    *,
    moderated: bool,
) -> str:
    """All comments on an article, page by page.

    Args:
        article_id: The article.
        shown: The comments of this page.
        count: How many there are.
        order: Their order.
        following: Where the next page begins; None: there is none.
        moderated: Whether there are editors.
    """
    address = f"/articles/{article_id}/discussion?order="
    links = " · ".join(
        f"<strong>{_NAMES[each]} first</strong>"
        if each == order
        else f'<a href="{address}{each}">{_NAMES[each]} first</a>'
        for each in ORDERS
    )
    more = f'<p><a href="{address}{order}&amp;after={following}">More comments</a></p>'
    scores = {comment.id: comment.score for comment in shown}
    section = _section(
        article_id,
        shown,
        count,
        f"<p>{links}</p>",
        scores,
        more if following else "",
        moderated=moderated,
    )
    return (
        f'<h1>Discussion</h1>\n<p><a href="/articles/{article_id}">The article</a></p>\n{section}'
    )


def form(comment: Comment, *, keyed: bool) -> str:
    """What an editor may do to a comment."""
    shown = "show" if comment.hidden else "hide"
    by = escape(comment.reader)
    key = '<label for="key">Key</label><input id="key" name="key" type="password" required>'
    state = "It is hidden from readers." if comment.hidden else "Readers see it."
    return (
        f'<h1>Comment {comment.id}</h1>\n<p class="meta"><strong>{by}</strong> '
        f"{time_of(comment.posted_at)} · {state}</p>\n"
        f'<form class="edit" method="post" action="/comments/{comment.id}">\n'
        f'<input type="hidden" name="version" value="{comment.version}">\n'
        # A textarea leaves out a line break right after its tag.
        '<label for="body">Text</label>'
        f'<textarea id="body" name="body" required>\n{escape(comment.body)}</textarea>\n'
        f"{key if keyed else ''}\n"
        '<button name="action" value="edit">Save</button>\n'
        f'<button name="action" value="{shown}">{shown.capitalize()} it</button>\n'
        '<button name="action" value="delete">Delete it</button>\n'
        f'<button name="action" value="hide_reader">Hide all by {by}</button>\n</form>'
    )


def _section(
    article_id: int,
    shown: Sequence[Comment],
    count: int,
    above: str,
    scores: Mapping[int, int] | None,
    below: str,
    *,
    moderated: bool = False,
) -> str:
    tree = _Tree(shown, scores, moderated)
    return (
        '<section class="comments" aria-labelledby="comments">\n'
        f'<h2 id="comments">Comments: <span data-live="/articles/{article_id}/comments/live">'
        f"{count}</span></h2>\n{above}\n"
        f'<p data-more hidden><a href="/articles/{article_id}/discussion?order=newest">'
        "There are others by now</a></p>\n"
        f"<ol>{tree.html()}</ol>\n{below}\n"
        f"<h3>Say something</h3>\n{_say(f'/articles/{article_id}/comments', 'new')}\n"
        f"<script>{SCRIPT}</script>\n</section>"
    )


class _Tree:
    """Comments, each below the one that it replies to."""

    def __init__(
        self, shown: Sequence[Comment], scores: Mapping[int, int] | None, moderated: bool
    ) -> None:
        self._ids = {comment.id for comment in shown}
        self._scores = scores
        self._moderated = moderated
        self._below: dict[int | None, list[Comment]] = {}
        for comment in shown:
            parent = comment.parent_id if comment.parent_id in self._ids else None
            self._below.setdefault(parent, []).append(comment)

    def html(self) -> str:
        """All of them; a thread is followed without recursion, however deep it goes."""
        parts: list[str] = []
        rest: list[tuple[Comment, int] | str] = self._children(None, 0)
        while rest:
            item = rest.pop()
            if isinstance(item, str):
                parts.append(item)
                continue
            comment, depth = item
            parts.append(f'<li id="comment-{comment.id}">{self._said(comment)}')
            below = self._children(comment.id, depth + 1)
            if below and depth < _DEEPEST:
                parts.append("<ol>")
                rest += ["</li>", "</ol>", *below]
            else:  # deeper than that, replies stand beside what they reply to
                parts.append("</li>")
                rest += below
        return "\n".join(parts)

    def _children(self, parent: int | None, depth: int) -> list[tuple[Comment, int] | str]:
        """The last of them first, as a stack has them."""
        return [(comment, depth) for comment in reversed(self._below.get(parent, []))]

    def _said(self, comment: Comment) -> str:
        number = comment.id
        score = "·" if self._scores is None else self._scores[number]
        to = ""
        if comment.parent_id is not None:
            known = comment.parent_id in self._ids
            to = (
                f' <a href="#comment-{comment.parent_id}">in reply</a>'
                if known
                else " in reply to a comment that is not shown here"
            )
        edit = f' · <a href="/comments/{number}/edit">Moderate</a>' if self._moderated else ""
        return (
            f'<span class="meta"><strong>{escape(comment.reader)}</strong> '
            f"{time_of(comment.posted_at)}{to}{edit}</span><p>{escape(comment.body)}</p>\n"
            f'<form class="vote" method="post" action="/comments/{number}/votes">'
            '<button name="value" value="1" aria-label="Vote for it">▲</button>'
            f'<span data-score="{number}" title="Score">{score}</span>'
            '<button name="value" value="-1" aria-label="Vote against it">▼</button></form>\n'
            f"<details><summary>Reply</summary>{_say(f'/comments/{number}/replies', number)}"
            "</details>"
        )


def _say(address: str, name: int | str) -> str:
    """A form to say something with; its fields are named apart from those of others."""
    return (
        f'<form class="say" method="post" action="{address}">'
        f'<label for="reader-{name}">Your name</label>'
        f'<input id="reader-{name}" name="reader" required maxlength="{LONGEST_NAME}" '
        'autocomplete="nickname">'
        f'<label for="body-{name}">Comment</label>'
        f'<textarea id="body-{name}" name="body" required maxlength="{LONGEST}"></textarea>'
        "<button>Post</button></form>"
    )


def listed(comments: Iterable[Comment]) -> list[dict[str, object]]:
    """Comments as JSON has them."""
    return [
        {
            "id": comment.id,
            "parent": comment.parent_id,
            "reader": comment.reader,
            "body": comment.body,
            "posted_at": comment.posted_at,
            "score": comment.score,
            "version": comment.version,
        }
        for comment in comments
    ]
