"""Notes of changes, written in the transactions that made them, for those who act on them.

A note is deleted once somebody has acted on it. A reader that remembered the highest number it has
seen instead would lose notes on PostgreSQL: numbers are given before transactions end, and the one
with the lower number may end later. Whoever looked in between has passed it by for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from labkit.newsroom.records import Change, Noted
from labkit.newsroom.schema import outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTES = sa.select(outbox).order_by(outbox.c.id).limit(sa.bindparam("most"))
BACKLOG = sa.select(sa.func.count().label("depth"), sa.func.min(outbox.c.at).label("oldest"))

_change = msgspec.json.Decoder(Change)


def note(connection: sa.Connection, at: float, change: Change) -> None:
    """Write a change down, in the transaction that makes it."""
    text = msgspec.json.encode(change).decode()
    connection.execute(outbox.insert().values(at=at, change=text))


def noted(row: sa.Row[Any]) -> Noted:
    """The note of a row."""
    return Noted(row.id, row.at, _change.decode(row.change))


def remove(connection: sa.Connection, ids: Sequence[int]) -> int:
    """Delete notes; answers how many of them were still there."""
    return connection.execute(outbox.delete().where(outbox.c.id.in_(ids))).rowcount
