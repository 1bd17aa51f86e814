"""Waiting until something was written, in each of the ways that databases have for it.

Each tells of what was written since it was asked last. Asked for the first time it says yes, since
what was written before is unknown; it may say yes without need later, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import sqlalchemy as sa

_LOOK = 0.05  # seconds between two looks at a file


Pause = Callable[[float], object]
"""Lets so many seconds pass."""


class Signal(Protocol):
    """Tells one who waits that something was written."""

    def send(self, connection: sa.Connection) -> None:
        """Say, in the transaction that writes, that something is written once it ends."""

    def sent(self) -> None:
        """Say that such a transaction has ended."""

    def wait(self, seconds: float, pause: Pause) -> bool:
        """Whether something was written; False: nothing, for so many seconds."""

    def close(self) -> None:
        """Give back what waiting took."""


class InMemory:
    """For a database that lives in this process: an event."""

    def __init__(self) -> None:
        self._written = threading.Event()
        self._written.set()

    def send(self, connection: sa.Connection) -> None:
        """Nothing: nobody sees the transaction before it ends."""

    def sent(self) -> None:
        """Wake who waits."""
        self._written.set()

    def wait(self, seconds: float, pause: Pause) -> bool:
        """Whether something was written; False: nothing, for so many seconds."""
        written = self._written.wait(seconds)
        # What is written before this line is there for whoever looks once this has returned.
        self._written.clear()
        return written

    def close(self) -> None:
        """Nothing: it takes nothing."""


class InFile:
    """For SQLite files: a number that rises with each commit of another connection, looked at.

    Args:
        connect: Opens a connection.
    """

    def __init__(self, connect: Callable[[], sa.Connection]) -> None:
        self._connect = connect
        self._connection: sa.Connection | None = None
        self._seen: int | None = None

    def send(self, connection: sa.Connection) -> None:
        """Nothing: the commit itself is seen."""

    def sent(self) -> None:
        """Nothing: the commit itself is seen."""

    def wait(self, seconds: float, pause: Pause) -> bool:
        """Whether something was written; False: nothing, for so many seconds."""
        while not self._risen():
            if seconds <= 0:
                return False
            pause(min(_LOOK, seconds))
            seconds -= _LOOK
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._seen = None

    def _risen(self) -> bool:
        # The number is comparable only with those that the same connection saw.
        if self._connection is None:
            self._connection = self._connect()
        number = self._connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        before, self._seen = self._seen, number
        return bool(number != before)
