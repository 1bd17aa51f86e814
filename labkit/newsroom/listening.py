"""Waiting until PostgreSQL notifies that something was written."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
import sqlalchemy.exc

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.newsroom.signals import Pause

_CHANNEL = "labkit_newsroom"


class OnServer:
    """For PostgreSQL: it notifies whoever listens, when the transaction has ended.

    A connection that was cut is opened anew; what was notified meanwhile is unknown.

    Args:
        connect: Opens a connection that begins no transactions.
    """

    def __init__(self, connect: Callable[[], sa.Connection]) -> None:
        self._connect = connect
        self._connection: sa.Connection | None = None
        self._schema = ""

    def send(self, connection: sa.Connection) -> None:
        """Notify, once the transaction ends, those who listen for this schema."""
        connection.execute(sa.select(sa.func.pg_notify(_CHANNEL, sa.func.current_schema())))

    def sent(self) -> None:
        """Nothing: the server does it."""

    def wait(self, seconds: float, pause: Pause) -> bool:
        """Whether something was written; False: nothing, for so many seconds."""
        if self._connection is None:
            self._listen()
            return True
        try:
            return self._notified(self._connection, seconds)
        except psycopg.Error:  # the connection was cut
            self.close()
            self._listen()
            return True

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(sa.exc.DBAPIError):
                self._connection.close()
            self._connection = None

    def _listen(self) -> None:
        connection = self._connect()
        connection.exec_driver_sql(f"LISTEN {_CHANNEL}")
        self._schema = str(connection.scalar(sa.select(sa.func.current_schema())))
        self._connection = connection

    def _notified(self, connection: sa.Connection, seconds: float) -> bool:
        driver: Any = connection.connection.dbapi_connection
        notices = driver.notifies(timeout=seconds)
        return any(notice.payload == self._schema for notice in notices)
