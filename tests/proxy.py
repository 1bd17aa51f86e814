"""A way to a server that can be cut, or fall silent."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Proxy:
    """A way to a server of this machine; what it is told to hold back or to cut, it does.

    Args:
        url: Where the server is.

    Attributes:
        url: The server's address by this way.
    """

    def __init__(self, url: str) -> None:
        port = urlsplit(url).port
        assert port is not None
        self._target = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{port}", f":{self._door.getsockname()[1]}")
        self._open = threading.Event()
        self._open.set()
        self._whole = True
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self) -> None:
        """Hand on nothing; who connects is let in, and hears nothing."""
        self._open.clear()

    def speak(self) -> None:
        """Hand on everything again, also what came meanwhile."""
        self._open.set()

    def cut(self) -> None:
        """Hang up on all who are connected, and on who connects from now on."""
        self._whole = False
        self._hang_up()

    def mend(self) -> None:
        """Let who connects from now on through."""
        self._whole = True

    def close(self) -> None:
        """Hang up, and let nobody connect any more."""
        self.speak()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                if not self._whole:
                    self._hang_up()
                    continue
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._hand_on, args=ends, daemon=True).start()

    def _hand_on(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                self._open.wait()
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)
