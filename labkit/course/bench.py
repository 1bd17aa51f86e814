"""The server that checks try answers out on: their own, so that they may empty it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from labkit.connection import connect
from labkit.server import LocalServer, find_server

if TYPE_CHECKING:
    import redis


class Bench:
    """A private server for checks, apart from the lesson's keys.

    Attributes:
        url: The address of the server.

    Args:
        fake: Use fakeredis. Otherwise a private Redis or Valkey is started, and fakeredis
            serves only where there is none to start.
    """

    def __init__(self, *, fake: bool = False) -> None:
        self._server = None if fake or find_server() is None else LocalServer(unix_socket=True)
        self.url = self._server.url if self._server else f"fake://{uuid.uuid4().hex}"
        self._keeper = self.client()

    def client(self) -> redis.Redis:
        """A new client of the server."""
        return connect(self.url)

    def reset(self) -> None:
        """Remove every key, in every database."""
        self._keeper.flushall()

    def close(self) -> None:
        """Stop the server."""
        self._keeper.close()
        if self._server is not None:
            self._server.close()
