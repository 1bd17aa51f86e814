"""What stands in the journal of a run: the plan, and two records for each step."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

import msgspec

from labkit.inspect.bulk.actions import Copy, Delete, Expire, Rename

if TYPE_CHECKING:
    from collections.abc import Sequence


class Planned(msgspec.Struct, tag="planned"):
    """What the first record has: all that a run needs."""

    action: Delete | Expire | Rename | Copy
    keys: tuple[bytes, ...]
    targets: tuple[bytes, ...]
    home: int
    rate: float | None
    batch: int


class Before(msgspec.Struct, tag="before"):
    """What keys were before they are changed, in columns.

    Attributes:
        at: Which keys of the plan.
        expiries: In ms since the epoch; -1: never.
        tokens: By which their values are known again; empty: any value will do.
        dumps: Their values, as far as they are needed.
        to: What their expiries shall be.
    """

    at: list[int]
    expiries: list[int]
    tokens: list[bytes]
    dumps: list[bytes]
    to: int

    def only(self, chosen: Sequence[bool]) -> Before:
        """The same of some of its keys."""
        return Before(
            list(compress(self.at, chosen)),
            list(compress(self.expiries, chosen)),
            list(compress(self.tokens, chosen)),
            list(compress(self.dumps, chosen)),
            self.to,
        )


class After(msgspec.Struct, tag="after"):
    """What came of keys: of those of the record before, and of others that were left alone.

    Attributes:
        at: Which keys of the plan.
        came: A code for each.
        marks: The tokens of the copies that were made of the keys of the record before.
    """

    at: list[int]
    came: list[int]
    marks: list[bytes]


class Undone(msgspec.Struct, tag="undone"):
    """What came of the keys of one step when they were put back."""

    came: list[int]


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Planned | Before | After | Undone).decode
