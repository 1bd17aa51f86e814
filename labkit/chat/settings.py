"""What a room allows, and for how long it remembers."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from labkit.clock import duration

_ROOM = re.compile(r"[\w.\-]{1,100}", re.ASCII)
_PATTERN = re.compile(r"[\w.\-*?]{1,100}", re.ASCII)
_LETTERS = "a to z, A to Z, 0 to 9, '.', '_' and '-'"
_LONGEST_NAME = 100
_LONGEST_KEY = 200


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a room allows; the same in every process that uses it.

    Attributes:
        history: How many events are kept, messages, joins and leaves together.
        age: For how long they are kept, in seconds; None: as long as there is room.
        presence: Seconds after which somebody who is not heard of is gone.
        longest: The most bytes that a message may have, as UTF-8.
        rate: How many messages a member may say at once; over time so many in each `per`. None:
            any number.
        per: The seconds of `rate`.
        remember: For how long the key of a message is known, in seconds: what is said again under
            it meanwhile is not said twice.
        sharded: Publish in shards (Redis 7 in a cluster): a message goes to the one node that has
            the room, not to all. Patterns do not hear such rooms.
    """

    history: int = 1000
    age: float | None = None
    presence: float = 30.0
    longest: int = 4000
    rate: int | None = None
    per: float = 10.0
    remember: float = 86_400.0
    sharded: bool = False


def settings(**options: Any) -> Settings:
    """Settings from options, whose times may be texts such as `"30s"`.

    Raises:
        TypeError: There is no such option, or it is of another type.
        ValueError: It makes no sense.
    """
    unknown = sorted({*options} - {*Settings.__struct_fields__})
    if unknown:
        raise TypeError(
            f"a room has no option {unknown[0]!r}; it has {', '.join(Settings.__struct_fields__)}"
        )
    for name in ("age", "presence", "per", "remember"):
        if options.get(name) is not None:
            options[name] = duration(options[name])
    made = msgspec.convert(options, Settings)
    for name in ("history", "longest", "rate"):
        number = getattr(made, name)
        if number is not None and number < 1:
            raise ValueError(f"{name} is {number}; expected 1 or more")
    for name in ("age", "presence", "per", "remember"):
        seconds = getattr(made, name)
        if seconds is not None and seconds < 0.001:
            raise ValueError(f"{name} is {seconds} s; expected a millisecond or more")
    return made


def check_room(name: Any) -> str:
    """The name of a room: 1 to 100 of the letters a to z, digits, and `.`, `_`, `-`.

    Raises:
        TypeError: It is no text.
        ValueError: It has something else in it.
    """
    return check_name(name, "a room")


def check_name(name: Any, what: str) -> str:
    """The same for something else, such as `"the stream"`."""
    return _matching(_ROOM, name, what, _LETTERS)


def check_pattern(pattern: Any) -> str:
    """A pattern over rooms: a name with `*` for any part of it, and `?` for one character."""
    return _matching(_PATTERN, pattern, "a pattern over rooms", "those of a name, '*' and '?'")


def check_channel(name: Any) -> str:
    """The name of a channel, or a pattern over channels."""
    return _matching(_PATTERN, name, "a channel", f"{_LETTERS}, and in a pattern '*' and '?'")


def _matching(allowed: re.Pattern[str], name: Any, what: str, letters: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of {what} is {name!r}; expected text")
    if not allowed.fullmatch(name):
        raise ValueError(f"the name of {what} is {name[:120]!r}; expected 1 to 100 of {letters}")
    return name


def check_member(name: Any) -> str:
    """A person's name: 1 to 100 printable characters, without space at its ends."""
    return _printable(name, "member", _LONGEST_NAME)


def check_key(key: Any) -> str:
    """The key that a message is known by: 1 to 200 printable characters."""
    return _printable(key, "key", _LONGEST_KEY)


def _printable(name: Any, what: str, longest: int) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{what} is {name!r}; expected text")
    if not 0 < len(name) <= longest or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"{what} is {name[:120]!r}; expected 1 to {longest} printable characters, and no space "
            "at either end"
        )
    return name


def check_tab(tab: Any) -> str:
    """The name of a tab: 1 to 64 letters and digits; ValueError otherwise."""
    if not (isinstance(tab, str) and tab.isalnum() and len(tab) <= 64):
        raise ValueError(f"tab is {tab!r}; expected 1 to 64 letters and digits")
    return tab


def size_of(text: Any, taker: str) -> int:
    """How many bytes a text has as UTF-8, for who takes it, such as `"a room"`.

    Raises:
        TypeError: It is no text.
        ValueError: It cannot be written.
    """
    if not isinstance(text, str):
        raise TypeError(
            f"{taker} takes text, and this is {type(text).__name__}; write it as text first, such "
            "as json.dumps(...) or base64"
        )
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"the text {text[:60]!r} has characters that UTF-8 cannot write") from None


def check_text(text: str, longest: int) -> str:
    """A message: text of 1 to `longest` bytes as UTF-8.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty, too long, or cannot be written.
    """
    size = size_of(text, "a room")
    if not 0 < size <= longest:
        raise ValueError(
            f"the message has {size:,} bytes; expected 1 to {longest:,}. Split it, or make "
            "the room with a larger `longest`"
        )
    return text


def check_batch(texts: Any, most: int, rate: int | None) -> int:
    """How many messages are to be said together: at most so many, and not more than the rate.

    Raises:
        TypeError: It is one text, and not a row of them.
        ValueError: They are too many.
    """
    if isinstance(texts, str):
        raise TypeError(f"the texts are one text, {texts[:60]!r}; put it into a list")
    count = len(texts)
    if count > most:
        raise ValueError(f"these are {count:,} messages; expected at most {most:,} together")
    if rate is not None and count > rate:
        raise ValueError(
            f"these are {count:,} messages, and the room's rate never allows more than {rate:,} "
            "together; split them"
        )
    return count
