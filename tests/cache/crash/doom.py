"""A death at a step which is counted: of the Redis connections of a process, and of its source.

A command has four places to die at: before it is sent, with one half of it sent, after it is sent,
and after its answer was read. A write of the source has three: before, inside its transaction, and
after the commit. Who dies is the process itself, or the server that it talks to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import redis

from tests.cache.crowd import until
from tests.cache.ledger import Ledger, PlainLedger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator


class Doom:
    """Counts steps, and kills a process at one of them.

    Args:
        at: Which step, from 1; 0 is none.
        tell: Gets the name of that step, before it happens.
        kill: Kills; without it, the process that takes the steps.
    """

    def __init__(
        self, at: int, tell: Callable[[str], object], kill: Callable[[], object] | None = None
    ) -> None:
        self.armed = False
        self._left = at
        self._tell = tell
        self._kill = kill or kill_this

    def comes(self) -> bool:
        """Whether the end is at this step."""
        self._left -= self.armed
        return self.armed and self._left == 0

    def step(self, name: str) -> None:
        """Kill here, if it is time."""
        if self.comes():
            self.strike(name)

    def strike(self, name: str) -> None:
        """Kill here."""
        self._tell(name)
        self._kill()


def kill_this() -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_server(pid: int, port: int) -> None:
    """Kill a server on this machine, and see that it is gone."""
    os.killpg(pid, signal.SIGKILL)
    until(lambda: _refuses(port), "the end of the server")


def _refuses(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) != 0


def doomed_client(url: str, doom: Doom) -> redis.Redis:
    """A client whose connections die at a step."""

    class Connection(redis.Connection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            doom.step("redis before")
            if doom.comes():
                packed = command if isinstance(command, bytes) else b"".join(command)
                super().send_packed_command([packed[: len(packed) // 2]], check_health)
                doom.strike("redis half")
            super().send_packed_command(command, check_health)
            doom.step("redis sent")

        def read_response(self, *args: Any, **how: Any) -> Any:
            answer = super().read_response(*args, **how)
            doom.step("redis answered")
            return answer

    pool = redis.ConnectionPool.from_url(url, connection_class=Connection, client_name="doomed")
    return redis.Redis(connection_pool=pool)


class DoomedPlainLedger(PlainLedger):
    """A source that dies at a step."""

    def __init__(self, path: str, doom: Doom) -> None:
        self._doom = doom
        super().__init__(path)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._doom.step("source before")
        with super()._open() as db:
            yield db
            self._doom.step("source written")
        self._doom.step("source committed")


class DoomedLedger(DoomedPlainLedger, Ledger):
    """The same with versions."""
