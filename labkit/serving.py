"""What labkit's services have in common: a server that says when it is ready, and its socket."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

GRACE = 5
"""Seconds that requests under way have to end when a service stops."""


class Server(uvicorn.Server):
    """A server that tells when requests are answered.

    Args:
        app: The application.
        ready: Called when requests are answered.
        options: Those of `uvicorn.Config`.
    """

    def __init__(
        self, app: FastAPI, ready: Callable[[], object] = lambda: None, **options: Any
    ) -> None:
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=GRACE, **options))
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell so."""
        await super().startup(sockets)
        self._ready()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        OSError: It cannot; the message says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, unlike that of create_server(): asyncio sends small answers at once
    # (TCP_NODELAY) only where it knows that a socket is of TCP, and each would wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise OSError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose a --port."
        ) from error
    except BaseException:
        listener.close()
        raise
    return listener


def address(listener: socket.socket) -> str:
    """The URL of what listens on a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether an address reaches no farther than this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
