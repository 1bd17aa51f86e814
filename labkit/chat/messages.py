"""What listeners get, and how it is written in Redis.

A room numbers what happens in it: messages, joins, leaves. The numbers follow each other without a
hole, and begin with 1 in each *epoch*, a random name that a room gets when it is made; a room that
was lost with its server and made anew has another one. `Position` is a place in that row.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import msgspec

Reason = Literal["trimmed", "slow", "new epoch"]


class Position(NamedTuple):
    """A place in what happens in a room: everything up to it has been seen.

    Its text form, `str(position)`, can be kept in a file or a browser, and read with `parse`.

    Attributes:
        epoch: Which row of numbers.
        number: The number of what was seen last; 0 is before the first.
    """

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            ValueError: It is none.
        """
        epoch, found, number = text.rpartition("-")
        if not found or not epoch.isalnum() or not (number.isascii() and number.isdigit()):
            raise ValueError(f"{text!r} is no position; expected what str(position) gave")
        return cls(epoch, int(number))


class _Placed(msgspec.Struct, frozen=True, kw_only=True):
    room: str
    epoch: str
    number: int

    @property
    def position(self) -> Position:
        """Where a listener goes on that has seen this."""
        return Position(self.epoch, self.number)


class _Event(_Placed, frozen=True, kw_only=True):
    at: float
    member: str


class Said(_Event, frozen=True, kw_only=True, tag="said"):
    """Somebody said something.

    Attributes:
        room: In which room.
        epoch: The room's epoch.
        number: The number in the room.
        at: When, in seconds since the epoch, by the server's clock.
        member: Who.
        text: What, as it was given: escape it where it is shown.
    """

    text: str


class Joined(_Event, frozen=True, kw_only=True, tag="joined"):
    """Somebody is there who was not: the first of their tabs has come."""


class Left(_Event, frozen=True, kw_only=True, tag="left"):
    """Somebody is gone: the last of their tabs has left, or was not heard of for too long."""


class Typing(_Event, frozen=True, kw_only=True, tag="typing"):
    """Somebody is about to say something. It has no number (0), is not kept and may be lost."""


class Gap(_Placed, frozen=True, kw_only=True, tag="gap"):
    """Something that this listener will not get.

    Attributes:
        room: In which room.
        epoch: The room's epoch.
        first: The number of the first that is missing.
        number: The number of the last.
        reason: `"trimmed"`: the room no longer has it. `"slow"`: it did not fit into the buffer.
            `"new epoch"`: the room was lost and made anew, and the numbers begin with `first`
            again; how much of the old one is missing nobody knows.
    """

    first: int
    reason: Reason


Happened = Said | Joined | Left
Event = Happened | Typing | Gap

_KINDS: dict[str, Any] = {"said": Said, "joined": Joined, "left": Left, "typing": Typing}


class _Body(msgspec.Struct, omit_defaults=True):
    kind: Literal["said", "joined", "left", "typing"]
    member: str
    text: str = ""


_read_body = msgspec.json.Decoder(_Body).decode
_write = msgspec.json.Encoder().encode


def name_as_json(member: str) -> str:
    """A member's name as it stands in Redis, where scripts put it into bodies as it is."""
    return _write(member).decode()


def person_of(written: str) -> str:
    """The name that `name_as_json` wrote."""
    return msgspec.json.decode(written, type=str)


def body(kind: Literal["said", "typing"], member: str, said: str = "") -> bytes:
    """What happened, as it stands in Redis."""
    return _write(_Body(kind, member, said))


def event(room: str, place: Position, milliseconds: int, written: str) -> Happened | Typing:
    """What happened, from what stands in Redis."""
    found = _read_body(written)
    more = {"text": found.text} if found.kind == "said" else {}
    happened: Happened | Typing = _KINDS[found.kind](
        room=room,
        epoch=place.epoch,
        number=place.number,
        at=milliseconds / 1000,
        member=found.member,
        **more,
    )
    return happened
