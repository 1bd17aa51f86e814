"""The page of an article, as fragments inside one another.

| Fragment | Shows | Version |
| --- | --- | --- |
| `page:17` | all that follows | the look of the site |
| `title:17` | the headline | headline |
| `header:17` | section, title, author, date, tags | topics; that of each tag |
| `author:4` | name and bio, on every page of theirs | author |
| `body:17` | the text | body |
| `comments:17` | the comments that readers see, and their number | comments |
| `threads:17` | instead of these, where readers may comment: threads with forms | comments |
| `sidebar:4` | the author's five latest headlines, on every page of theirs | their headlines' |

`Article.updated_at` is not shown: it belongs to no version of a part. Nor are scores, which change
without one: `labkit.site.threads` shows them live. A fragment is made of what the database says,
and not of the views of comments: they may be a moment behind the version under which it is kept.
"""

from __future__ import annotations

from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from labkit.cache.fragments import Fragment
from labkit.site import threads
from labkit.site.frame import LOOK, document, time_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.newsroom import Article, Author, Comment, Headline, Newsroom, PageVersions

SHOWN = 50
"""How many comments a page shows."""


class Gone(LookupError):
    """An article was deleted after its versions were read."""


class ArticlePage:
    """The page of an article for one request, which reads what is missing once, and only that.

    Args:
        db: Where it is read.
        versions: The versions of the page, read before anything else.
        commented: Whether readers may comment.

    Attributes:
        reads: The questions that were asked for it.
    """

    def __init__(self, db: Newsroom, versions: PageVersions, *, commented: bool = False) -> None:
        self.reads: list[str] = []
        self._db = db
        self._versions = versions
        self._commented = commented

    @cached_property
    def fragment(self) -> Fragment:
        """The page; nothing is read before it is rendered."""
        versions, number = self._versions, self._versions.article_id
        author = Fragment(f"author:{versions.author_id}", versions.author, self._render_author)
        title = Fragment(f"title:{number}", versions.headline, self._render_title)
        header = Fragment(
            f"header:{number}",
            (versions.topics, versions.tags),
            self._render_header,
            (title, author),
        )
        body = Fragment(f"body:{number}", versions.body, self._render_body)
        kind = "threads" if self._commented else "comments"
        comments = Fragment(f"{kind}:{number}", versions.comments, self._render_comments)
        sidebar = Fragment(
            f"sidebar:{versions.author_id}", versions.latest, self._render_sidebar, (author,)
        )
        parts = (title, header, body, comments, sidebar)
        return Fragment(f"page:{number}", LOOK, self._render_page, parts)

    @property
    def etag(self) -> str:
        """What changes whenever the page does; weak, since a text may be newer than its version."""
        return f'W/"{self.fragment.digest}"'

    # --- What is read

    def _ask(self, question: str, *arguments: Any) -> Any:
        self.reads.append(question)
        return getattr(self._db, question)(*arguments)

    @cached_property
    def _article(self) -> Article:
        article: Article | None = self._ask("article", self._versions.article_id)
        if article is None:
            raise Gone(f"article {self._versions.article_id} is gone")
        return article

    # --- What is rendered

    def _render_page(self, title: str, header: str, body: str, comments: str, sidebar: str) -> str:
        style = threads.style() if self._commented else ""
        return whole(self._versions.article_id, title, header, body, comments, sidebar, style)

    def _render_title(self) -> str:
        return escape(self._article.title)

    def _render_header(self, title: str, author: str) -> str:
        return header(self._article, title, author)

    def _render_author(self) -> str:
        found: Author | None = self._ask("author", self._versions.author_id)
        if found is None:
            raise Gone(f"author {self._versions.author_id} is gone")
        return author(found)

    def _render_body(self) -> str:
        return body(self._article.body)

    def _render_comments(self) -> str:
        number = self._versions.article_id
        shown: Sequence[Comment] = self._ask("comments", number, SHOWN)
        count = self._ask("comment_count", number) if len(shown) == SHOWN else len(shown)
        return threads.on_page(number, shown, count) if self._commented else comments(shown, count)

    def _render_sidebar(self, author: str) -> str:
        return sidebar(self._ask("latest_of", self._versions.author_id), author)


def whole(
    number: int, title: str, header: str, body: str, comments: str, sidebar: str, style: str = ""
) -> str:
    """The page of an article, of its parts."""
    content = (
        f'<div class="page">\n<article>\n{header}\n{body}\n{comments}\n</article>\n'
        f"{sidebar}\n</div>"
    )
    why = f'<a href="/articles/{number}?debug=1">How this page was made</a> ·'
    return document(title, content, why, style)


def header(article: Article, title: str, author: str) -> str:
    """What stands above an article."""
    tags = "".join(f"<li>{escape(tag)}</li>" for tag in article.tags)
    about = f'<ul class="tags" aria-label="Tags">{tags}</ul>' if tags else ""
    return (
        f'<header>\n<p class="section">{escape(article.section)}</p>\n<h1>{title}</h1>\n'
        f'{author}\n<div class="meta">{time_of(article.published_at)}{about}</div>\n</header>'
    )


def author(shown: Author) -> str:
    """Who wrote it."""
    return (
        f'<p class="author"><strong>By {escape(shown.name)}</strong> '
        f"<span>{escape(shown.bio)}</span></p>"
    )


def body(text: str) -> str:
    """What it says."""
    paragraphs = [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]
    return "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)


def comments(shown: Sequence[Comment], count: int) -> str:
    """What readers say: the first comments, and how many there are."""
    said = f"{count:,} comment{'' if count == 1 else 's'}"
    if count > len(shown):
        said += f", the first {len(shown)} of them"
    items = "\n".join(map(_comment, shown))
    return (
        '<section class="comments" aria-labelledby="comments">\n'
        f'<h2 id="comments">{said}</h2>\n<ol>{items}</ol>\n</section>'
    )


def sidebar(latest: Sequence[Headline], author: str) -> str:
    """What else the author has written."""
    return (
        '<aside class="more" aria-labelledby="more">\n<h2 id="more">More by the author</h2>\n'
        f"{author}\n{headlines(latest)}\n</aside>"
    )


def headlines(shown: Sequence[Headline | Article]) -> str:
    """A list of links to articles."""
    items = "\n".join(
        f'<li><a href="/articles/{each.id}">{escape(each.title)}</a></li>' for each in shown
    )
    return f'<ul class="headlines">{items}</ul>'


def front_page(latest: Sequence[Article], most_read: Sequence[Article]) -> str:
    """The front page."""
    return document(
        "Front page",
        '<h1>Today</h1>\n<div class="page">\n<section aria-labelledby="latest">\n'
        f'<h2 id="latest">Latest</h2>\n{headlines(latest)}\n</section>\n'
        '<aside class="more" aria-labelledby="most-read">\n'
        f'<h2 id="most-read">Most read</h2>\n{headlines(most_read)}\n</aside>\n</div>',
    )


def message(title: str, text: str) -> str:
    """A page that says one thing, such as that there is nothing."""
    return document(escape(title), f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>")


def _comment(comment: Comment) -> str:
    return (
        f'<li><span class="meta"><strong>{escape(comment.reader)}</strong> '
        f"{time_of(comment.posted_at)}</span><p>{escape(comment.body)}</p></li>"
    )
