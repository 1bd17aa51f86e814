"""What a listener follows, and what it does with what comes; no I/O here.

A listener has three things to do, in this order: subscribe; ask the stream for what it missed; pass
on what the channel tells. Whatever comes between the first two is in the stream and on the channel,
and is delivered once. The faces in `listening` and `aio` do them, and do them again after each
connection.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self

import msgspec
import redis

from labkit.calls import text
from labkit.chat.errors import TooSlow
from labkit.chat.following import Following
from labkit.chat.operations import Calls, channel, live, registry, room_of
from labkit.chat.scripts import Call
from labkit.chat.settings import check_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from labkit.chat.messages import Event, Position

SLICE = 0.1
"""Seconds that one wait for the channel takes at most, so that `close` is noticed."""
CHECK = 5.0
"""Seconds of silence after which the stream is asked whether the channel has lost something."""
LOST = (redis.ConnectionError, redis.TimeoutError, OSError)
"""What a connection raises that is gone; a listener makes another one."""
PAUSES = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between one connection and the next; the last one again and again."""


class Feed:
    """What a listener follows: one room, or all that a pattern fits.

    Args:
        calls: Makes the calls of a room.
        prefix: What keys begin with.
        name: The room, or the pattern.
        pattern: Whether it is one.
        after: For each room where to go on.
        begin: Where to begin in others that are there: `"now"` or `"oldest"`.
        sharded: Whether the room publishes in shards.
    """

    def __init__(
        self,
        calls: Callable[[str], Calls],
        prefix: str,
        name: str,
        *,
        pattern: bool = False,
        after: Mapping[str, Position] | None = None,
        begin: str = "now",
        sharded: bool = False,
    ) -> None:
        if begin not in ("now", "oldest"):
            raise ValueError(f"begin is {begin!r}; expected 'now' or 'oldest'")
        self.name = check_pattern(name) if pattern else name
        self.pattern = pattern
        self.sharded = sharded
        self.rooms: dict[str, Following] = {}
        self._make = calls
        self._prefix = prefix
        self._calls: dict[str, Calls] = {}
        self._after = dict(after or {})
        self._begin = begin
        self._begun = False

    @classmethod
    def of_room(cls, calls: Calls, after: Position | None, begin: str) -> Self:
        """A feed of one room."""
        return cls(
            lambda _: calls,
            calls.prefix,
            calls.name,
            after=None if after is None else {calls.name: after},
            begin=begin,
            sharded=calls.settings.sharded,
        )

    @property
    def channel(self) -> str:
        """What to subscribe to."""
        return channel(self._prefix, self.name)

    def names(self) -> Call[list[str]]:
        """Asks which rooms there are that the pattern fits."""

        def read(reply: Any) -> list[str]:
            return sorted(name for name in map(text, reply) if fnmatchcase(name, self.name))

        return Call("SMEMBERS", (registry(self._prefix),), (), read)

    def new(self, names: list[str]) -> list[str]:
        """Those that are not followed yet; the ones that have to be located first are left."""
        located = []
        for name in names:
            if name in self.rooms:
                continue
            if name in self._after:
                self.rooms[name] = Following(name, self._after[name])
            elif self._begin == "oldest" or self._begun:
                # A room that came later is new: everything in it is.
                self.rooms[name] = Following(name, None, kept=not self._begun)
            else:
                located.append(name)
        return located

    def located(self, name: str, position: Position) -> None:
        """Follow a room from a position on."""
        self.rooms[name] = Following(name, position)

    def begin(self) -> None:
        """Every room that there was is followed; those that come from now on are new."""
        self._begun = True

    def calls(self, name: str) -> Calls:
        """The calls of a room."""
        if name not in self._calls:
            self._calls[name] = self._make(name)
        return self._calls[name]

    def heard(self, message: Mapping[str, Any]) -> tuple[str, list[Event] | None]:
        """The room that a message of the channel is about, and what to deliver.

        Returns:
            None in place of events: the stream is to be asked. An empty name: it is no message.
        """
        if message["type"] not in ("message", "pmessage", "smessage"):
            return "", []
        name = room_of(self._prefix, text(message["channel"]))
        try:
            told = live(name, text(message["data"]))
        except (ValueError, msgspec.MsgspecError):
            return "", []  # somebody else's words on our channel
        if name not in self.rooms:
            self.new([name])
        return name, self.rooms[name].live(told)


def too_slow(name: str, most: int) -> TooSlow:
    """What ends a listener whose buffer has no room."""
    return TooSlow(
        f"{most:,} events waited in {name!r} and were not taken; listen again from `position`"
    )
