"""What a room sends and how it reads the replies, written once for sync and async; no I/O here."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from labkit.calls import text
from labkit.chat.errors import TooFast
from labkit.chat.messages import (
    Happened,
    Position,
    Typing,
    body,
    event,
    name_as_json,
    person_of,
)
from labkit.chat.scripts import Call
from labkit.chat.settings import (
    check_batch,
    check_key,
    check_member,
    check_room,
    check_tab,
    check_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labkit.chat.settings import Settings
    from labkit.clock import Clock

T = TypeVar("T")

PREFIX = "chat:"
"""What the keys of rooms begin with, unless they are told otherwise."""
PAGE = 500
"""Events that one call reads at most."""
BATCH = 1000
"""Messages that one call says at most: nothing else is served while a script runs."""

_RANDOM = 8  # bytes of a tab's random name, and of an epoch


class Replay(NamedTuple):
    """A part of what a room keeps.

    Attributes:
        epoch: Which row of numbers.
        last: The number of the latest event that there is.
        events: What was asked for, in order, as much of it as is kept and fits into one call.
    """

    epoch: str
    last: int
    events: list[Happened]


def tab() -> str:
    """A name for a tab that nobody else has."""
    return secrets.token_hex(_RANDOM)


class Calls:
    """The calls of one room.

    Args:
        name: The room.
        settings: What it allows.
        prefix: What its keys begin with.
        clock: Tells the time in seconds; None: the server does.
    """

    def __init__(
        self, name: str, settings: Settings, prefix: str = PREFIX, clock: Clock | None = None
    ) -> None:
        self.name = check_room(name)
        self.settings = settings
        self.prefix = prefix
        self._clock = clock
        self.channel = channel(prefix, name)
        self._keys = tuple(map(self._key, ("state", "stream", "tabs", "people")))
        how, publish = settings, "SPUBLISH" if settings.sharded else "PUBLISH"
        age = "" if how.age is None else _milliseconds(how.age)
        self._fixed = (self.channel, publish, how.history, age, _milliseconds(how.presence))
        self._rate = ("", "") if how.rate is None else (how.rate, _milliseconds(how.per))
        self._remember = _milliseconds(how.remember)

    def _key(self, what: str) -> str:
        return f"{self.prefix}{{{self.name}}}:{what}"

    def _common(self) -> tuple[Any, ...]:
        now = "" if self._clock is None else round(self._clock() * 1000)
        return (now, secrets.token_hex(_RANDOM), *self._fixed)

    def register(self) -> Call[None]:
        """Makes the room one that patterns find; before anything happens in it."""
        return Call("SADD", (registry(self.prefix),), (self.name,), lambda _: None)

    def unregister(self) -> Call[None]:
        """Makes the room one that patterns do not find."""
        return Call("SREM", (registry(self.prefix),), (self.name,), lambda _: None)

    def delete(self) -> Call[bool]:
        """Removes what is kept of the room; answers whether there was something."""
        return Call("UNLINK", self._keys, (), bool)

    def say(
        self, member: str, said: str, tab: str | None = None, key: str | None = None
    ) -> Call[int]:
        """Says something; answers its number."""
        return self._say(member, (said,), tab, key, int)

    def say_many(
        self, member: str, texts: Sequence[str], tab: str | None = None, key: str | None = None
    ) -> Call[list[int]]:
        """Says several things, all or none; answers their numbers, which follow each other."""
        count = check_batch(texts, BATCH, self.settings.rate)
        return self._say(member, texts, tab, key, lambda first: [*range(first, first + count)])

    def _say(
        self,
        member: str,
        texts: Sequence[str],
        tab: str | None,
        key: str | None,
        numbers: Callable[[int], T],
    ) -> Call[T]:
        how = self.settings
        check_member(member)
        bodies = [body("said", member, check_text(said, how.longest)) for said in texts]
        session = "" if tab is None else _session(tab, member)
        remember = "" if key is None else self._remember
        keys = self._keys
        if key is not None:
            # With the length of the name, since both parts may have a colon in them.
            keys += (self._key(f"said:{len(member)}:{member}:{check_key(key)}"),)
        if how.rate is not None:
            keys += (self._key(f"rate:{member}"),)

        def read(reply: Any) -> T:
            kind, number = text(reply[0]), int(reply[1])
            if kind == "slow":
                raise TooFast(member, number / 1000)
            if kind == "other":
                raise ValueError(
                    f"the key {key!r} of {member!r} is known for a batch of {number:,}, and this "
                    f"is one of {len(texts):,}; repeat the same one, or take a new key"
                )
            return numbers(number)

        return Call("say", keys, (*self._common(), session, remember, *self._rate, *bodies), read)

    def beat(self, member: str, tab: str) -> Call[Position]:
        """Joins, or stays; answers where the room stands."""
        session = _session(tab, check_member(member))
        return Call("beat", self._keys, (*self._common(), session), _position)

    def leave(self, member: str, tab: str) -> Call[bool]:
        """Leaves; answers whether the tab was there."""
        session = _session(tab, check_member(member))
        return Call("leave", self._keys, (*self._common(), session), bool)

    def typing(self, member: str) -> Call[None]:
        """Tells that somebody types."""
        words = body("typing", check_member(member))
        return Call("typing", self._keys, (*self._common(), words), lambda _: None)

    def who(self) -> Call[list[str]]:
        """Asks who is there."""
        return Call("who", self._keys, self._common(), _people)

    def position(self) -> Call[Position]:
        """Asks where the room stands."""
        return Call("after", self._keys, (*self._common(), "", "", ""), _position)

    def after(self, position: Position | None, most: int = PAGE) -> Call[Replay]:
        """Asks for what followed a position; for None, from the oldest that is kept."""
        epoch, number = position or ("", 0)
        words = (*self._common(), epoch, number, most)

        def read(reply: Any) -> Replay:
            epoch, last, entries = reply
            return Replay(text(epoch), int(last), self._events(entries, text(epoch)))

        return Call("after", self._keys, words, read)

    def history(self, most: int, before: int | None) -> Call[list[Happened]]:
        """Asks for the latest events before a number, the oldest first."""
        if not 1 <= most <= PAGE:
            raise ValueError(f"most is {most}; expected 1 to {PAGE}")
        words = (*self._common(), "+" if before is None else f"({before}-0", most)

        def read(reply: Any) -> list[Happened]:
            epoch, entries = reply
            return self._events(entries, text(epoch))[::-1]

        return Call("history", self._keys, words, read)

    def _events(self, entries: Any, epoch: str) -> list[Happened]:
        return [_kept(self.name, epoch, entry) for entry in entries]


def registry(prefix: str) -> str:
    """The key of the set of all rooms."""
    return f"{prefix}rooms"


def channel(prefix: str, room: str) -> str:
    """The channel of a room, or of all that a pattern fits."""
    return f"{prefix}{{{room}}}:live"


def room_of(prefix: str, channel: str) -> str:
    """The room of a channel."""
    return channel[len(prefix) + 1 : -len("}:live")]


def live(room: str, payload: str) -> Happened | Typing:
    """Read what was published.

    Raises:
        ValueError: It is nothing that a room publishes.
    """
    epoch, number, at, written = payload.split(" ", 3)
    return event(room, Position(epoch, int(number)), int(at), written)


def _kept(room: str, epoch: str, entry: Any) -> Happened:
    name, fields = entry
    pairs = (
        fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    )
    words = {text(field): text(value) for field, value in pairs}
    number = int(text(name).partition("-")[0])
    happened = event(room, Position(epoch, number), int(words["at"]), words["body"])
    assert not isinstance(happened, Typing), "typing is not kept"
    return happened


def _position(reply: Any) -> Position:
    return Position(text(reply[0]), int(reply[1]))


def _people(reply: Any) -> list[str]:
    return sorted({person_of(text(session).partition(" ")[2]) for session in reply})


def _session(tab: str, member: str) -> str:
    return f"{check_tab(tab)} {name_as_json(member)}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
