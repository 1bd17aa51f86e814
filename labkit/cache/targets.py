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


class Entity(Tag):
    """The tag of an entity, which knows whose it is.

    Attributes:
        kind: What the entity is.
        id: Which one it is.
    """

    __slots__ = ("id", "kind")

    kind: str
    id: Any

    @classmethod
    def of(cls, text: str, kind: str, id: Any) -> Entity:  # noqa: A002 - it is one
        """The tag of this text."""
        made = cls(text)
        made.kind, made.id = kind, id
        return made

    def __repr__(self) -> str:
        return f"entity({self.kind!r}, {self.id!r})"


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


def entity(kind: str, id: Any) -> Entity:  # noqa: A002 - it is one
    """The tag that stands for a thing, such as an author, in every value that shows it.

    It is the tag that the template `author:{author_id}` makes of the same id. In a `SmartCache`
    that has entities of this kind it stands for the entity itself, too.

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
    return Entity.of(shorten(f"{kind}:{encode(id)}", f"{kind}:"), kind, id)


def chosen(
    key: str | None, tag: str | None, prefix: str | None, entity: tuple[str, Any] | None
) -> Target:
    """The one target that the arguments of `invalidate` name.

    Raises:
        TypeError: Not exactly one of them is given, or it is nothing of the kind.
        ValueError: It is empty.
    """
    given: dict[str, Any] = {"key": key, "tag": tag, "prefix": prefix, "entity": entity}
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) != 1:
        raise TypeError(
            f"invalidate() got {', '.join(named) or 'nothing'}; expected one of key=, tag=, "
            "prefix= and entity=. clear() drops everything"
        )
    ((what, value),) = named.items()
    if what != "entity":
        return _KINDS[what](_filled(what, value))
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"entity is {value!r}; expected a kind and an id: ('author', 4)")
    return _entity(*value)


_KINDS: dict[str, type[Target]] = {"key": Key, "tag": Tag, "prefix": Prefix}
_entity = entity  # which `chosen` has as a parameter


def _filled(what: str, text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} is {text!r}; expected a text")
    if not text:
        raise ValueError(f"{what} is empty; clear() drops everything")
    return text
