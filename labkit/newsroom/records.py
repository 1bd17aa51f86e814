"""What the newsroom answers: authors, articles, comments, drafts, and the versions of a page.

Versions are whole numbers from 1. Each rises when what it stands for changes, and only then.
"""

from __future__ import annotations

from typing import NamedTuple

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


# Encoded, a comment leaves out what is as it was at first, which most comments are.
class Comment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a reader said about an article, or in reply to another comment on it.

    Readers see it unless it is hidden or deleted.

    Attributes:
        id: The number of the comment; it is never given to another one.
        article_id: The article it stands under; never changes.
        reader: Who said it; empty where it was deleted.
        body: The text; empty where it was deleted.
        posted_at: When, in seconds since the epoch; never changes.
        hidden: Whether it was taken out of readers' sight, for as long as that holds.
        parent_id: The comment that it replies to; None: it stands by itself. Never changes.
        deleted: Whether only its place is left, so that replies to it keep theirs.
        score: The sum of the votes on it; 0 where it was deleted.
        version: Rises whenever this record changes, with votes too; from 1.
    """

    id: int
    article_id: int
    reader: str
    body: str
    posted_at: float
    hidden: bool
    parent_id: int | None = None
    deleted: bool = False
    score: int = 0
    version: int = 1


class ReaderTotals(msgspec.Struct, frozen=True):
    """What a reader has said, of what other readers see.

    Attributes:
        comments: How many comments.
        score: The sum of their scores.
    """

    comments: int
    score: int


class Draft(msgspec.Struct, frozen=True):
    """The text of an article as an editor's window saved it last, before anything is published.

    Attributes:
        article_id: The article; there need be none of that number yet.
        title: The headline, which may be empty.
        body: The text, which may be empty.
        saved_at: When, in seconds since the epoch.
    """

    article_id: int
    title: str
    body: str
    saved_at: float


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
            `"author"`, `"tag"`; all those of an article or author that was published or deleted.
            `"votes"` stands alone: the score of a comment changed, and of the versions that of
            the comment only.
        article_id: The article whose versions rose, or whose comment was voted on; None where an
            author or a tag changed.
        author_id: Its author, or the author who changed; None where a tag changed.
    """

    id: int
    aspects: tuple[str, ...]
    article_id: int | None = None
    author_id: int | None = None

    def __bool__(self) -> bool:
        return bool(self.aspects)


class Noted(msgspec.Struct, frozen=True):
    """A change as the outbox has it.

    Attributes:
        id: The number of the note; it is never given to another one.
        at: When the change was written, in seconds since the epoch.
        change: What changed.
    """

    id: int
    at: float
    change: Change


class Backlog(NamedTuple):
    """What waits in the outbox.

    Attributes:
        depth: How many notes.
        age: How many seconds ago the oldest was written; 0.0 where none waits.
    """

    depth: int
    age: float
