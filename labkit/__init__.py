"""A leaderboard and a smart cache on Redis, and the tools of the course that explains them."""

from labkit.connection import CannotConnect, connect, connect_async, describe
from labkit.server import LocalServer
from labkit.spy import CommandLog

__version__ = "0.1.0"

__all__ = [
    "CannotConnect",
    "CommandLog",
    "LocalServer",
    "connect",
    "connect_async",
    "describe",
]
