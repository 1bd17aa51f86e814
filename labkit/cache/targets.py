"""What an invalidation can name: a key, a tag, an entity, or how keys begin."""

from __future__ import annotations

import re
from typing import Any

from labkit.cache.keys import encode
from labkit.cache.keys.templates import shorten

_KIND = re.compile(r"[^\s:#\x00-\x1f\x7f]+")


class Target(str):
    """What an invalidation names; it is the text itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__.lower()}({str(self)!r})"


class Key(Target):
    """A key."""

    __slots__ = ()


class Tag(Target):
    """A tag; it stands for every value that carries it."""

    __slots__ = ()


class Prefix(Target):
    """How keys begin."""

    __slots__ = ()


def key(text: str) -> Key:
    """A key, as the target of an invalidation."""
    return Key(_filled("key", text))


def tag(text: str) -> Tag:
    """Every value that carries this tag."""
    return Tag(_filled("tag", text))


def prefix(text: str) -> Prefix:
    """Every key that begins so."""
    return Prefix(_filled("prefix", text))


def entity(kind: str, id: Any) -> Tag:  # noqa: A002 - it is one
    """The tag that stands for a thing, such as an author, in every value that shows it.

    It is the tag that the template `author:{author_id}` makes of the same id.

    Args:
        kind: What the thing is: a text without white space, `:` and `#`.
        id: Which one it is: whatever a key can be made of. 4 and "4" are two things.

    Returns:
        A text, for `tags=`, and for `invalidate(tag=...)`, which is the same as
        `invalidate(entity=(kind, id))`.

    Raises:
        ValueError: The kind is no such text.
        Unkeyable: The id has no text of its own.

    Example:
        >>> from labkit.cache import Cache
        >>> cache = Cache()
        >>> cache.set("article:17", "Ferry is back", tags=[entity("author", 4)])
        >>> cache.invalidate(entity=("author", 4))
        >>> cache.get("article:17", None) is None
        True
    """
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ValueError(
            f"the kind of an entity is {kind!r}; expected a text without white space, ':' and '#', "
            "such as 'author'"
        )
    return Tag(shorten(f"{kind}:{encode(id)}", f"{kind}:"))


def _filled(what: str, text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} is {text!r}; expected a text")
    if not text:
        raise ValueError(f"{what} is empty; clear() drops everything")
    return text
