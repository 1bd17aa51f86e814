"""Who is about to put something into the memory tier, so that an invalidation can stop them.

A caller opens a ticket before it asks for a value. Whoever invalidates marks the tickets that are
open after the stores know of it: what such a caller brings may be older than the invalidation.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class Ticket(msgspec.Struct, eq=False):
    """The intention to put the value of a key into memory.

    Attributes:
        key: The key.
        tags: The tags that the value may carry; None: any.
        valid: False from the moment on when something invalidated it.
    """

    key: str
    tags: Collection[str] | None
    valid: bool = True


class Tickets:
    """The tickets that are open. Marking happens under the memory tier's lock."""

    def __init__(self) -> None:
        self._open: set[Ticket] = set()

    def open(self, key: str, tags: Collection[str] | None) -> Ticket:
        """Open a ticket."""
        ticket = Ticket(key, tags)
        self._open.add(ticket)
        return ticket

    def close(self, ticket: Ticket) -> None:
        """Close a ticket. Twice is harmless."""
        self._open.discard(ticket)

    def mark_keys(self, keys: Collection[str], but: Collection[Ticket] = ()) -> list[Ticket]:
        """What is on its way for these keys must not be put into memory; answers the tickets."""
        return _marked(t for t in self._open.copy() if t.key in keys and t not in but)

    def mark_tags(self, tags: Iterable[str]) -> list[Ticket]:
        """What is on its way with one of these tags must not be put into memory."""
        dropped = set(tags)
        return _marked(
            t for t in self._open.copy() if t.tags is None or not dropped.isdisjoint(t.tags)
        )

    def mark_prefix(self, prefix: str) -> list[Ticket]:
        """What is on its way for keys that start so must not be put into memory."""
        return _marked(t for t in self._open.copy() if t.key.startswith(prefix))

    def mark_all(self) -> list[Ticket]:
        """Nothing that is on its way may be put into memory."""
        return _marked(self._open.copy())


def _marked(tickets: Iterable[Ticket]) -> list[Ticket]:
    marked = list(tickets)
    for ticket in marked:
        ticket.valid = False
    return marked
