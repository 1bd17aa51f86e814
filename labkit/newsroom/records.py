"""What the newsroom answers: authors, articles, comments, and the versions of a page.

Versions are whole numbers from 1. Each rises when what it stands for changes, and only then.
"""

from __future__ import annotations

import msgspec


class Author(msgspec.Struct, frozen=True):
    """Who writes.

    Attributes:
        id: The number of the author.
        name: Such as `"Nora Whitfield"`.
        bio: A sentence about them.
        version: Rises when name or bio changes.
    """

    id: int
    name: str
    bio: str
    version: int


class Article(msgspec.Struct, frozen=True):
    """A story. Times are seconds since the epoch.

    Attributes:
        id: The number of the article; it is never given to another one.
        author_id: Who wrote it; never changes.
        section: Where it stands, such as `"science"`.
        title: The headline.
        body: The text, in paragraphs.
        tags: What it is about, in alphabetical order.
        published_at: When it appeared; never changes.
        updated_at: When title, section, tags or body changed last.
        headline_version: Rises when the title changes.
        topics_version: Rises when the section or the choice of tags changes.
        body_version: Rises when the body changes.
        comments_version: Rises when the comments that readers see change.
        comment_count: How many comments readers see.
        version: Rises whenever this record changes: with each of the four above, and when one of
            the tags is renamed.
    """

    id: int
    author_id: int
    section: str
    title: str
    body: str
    tags: tuple[str, ...]
    published_at: float
    updated_at: float
    headline_version: int
    topics_version: int
    body_version: int
    comments_version: int
    comment_count: int
    version: int


class Comment(msgspec.Struct, frozen=True):
    """What a reader said about an article.

    Attributes:
        id: The number of the comment; it is never given to another one.
        article_id: The article it stands under.
        reader: Who said it.
        body: The text.
        posted_at: When, in seconds since the epoch.
        hidden: Whether readers do not see it.
    """

    id: int
    article_id: int
    reader: str
    body: str
    posted_at: float
    hidden: bool


class Headline(msgspec.Struct, frozen=True):
    """An article as a list shows it."""

    id: int
    title: str


class PageVersions(msgspec.Struct, frozen=True):
    """Every version on which the page of an article depends.

    Attributes:
        article_id: The article.
        headline: The version of its title.
        topics: The version of its section and its choice of tags.
        body: The version of its body.
        comments: The version of the comments that readers see.
        author_id: Its author.
        author: The version of their name and bio.
        tags: The number and version of each of its tags, by number.
        latest: The number and headline version of each of the author's latest five articles,
            by number, the highest first.
    """

    article_id: int
    headline: int
    topics: int
    body: int
    comments: int
    author_id: int
    author: int
    tags: tuple[tuple[int, int], ...]
    latest: tuple[tuple[int, int], ...]


class Change(msgspec.Struct, frozen=True):
    """What a write changed, of what readers see; false when that is nothing.

    Attributes:
        id: The number of the article, author, tag or comment that was written.
        aspects: Whose versions rose, of `"headline"`, `"topics"`, `"body"`, `"comments"`,
            `"author"`, `"tag"`; all those of an article or author that was deleted.
        article_id: The article whose versions rose; None where an author or a tag changed.
        author_id: Its author, or the author who changed; None where a tag changed.
    """

    id: int
    aspects: tuple[str, ...]
    article_id: int | None = None
    author_id: int | None = None

    def __bool__(self) -> bool:
        return bool(self.aspects)
