"""A process that kills itself at a step which is counted: of its Redis connections, of its source.

A command has four places to die at: before it is sent, with one half of it sent, after it is sent,
and after its answer was read. A write of the source has three: before, inside its transaction, and
after the commit.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

import redis

from tests.cache.ledger import Ledger, PlainLedger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator


class Doom:
    """Counts steps, and ends the process at one of them.

    Args:
        at: Which step, from 1; 0 is none.
        tell: Gets the name of that step, as the last that the process does.
    """

    def __init__(self, at: int, tell: Callable[[str], object]) -> None:
        self.armed = False
        self._left = at
        self._tell = tell

    def comes(self) -> bool:
        """Whether the end is at this step."""
        self._left -= self.armed
        return self.armed and self._left == 0

    def step(self, name: str) -> None:
        """Die here, if it is time."""
        if self.comes():
            self.die(name)

    def die(self, name: str) -> None:
        """Die here."""
        self._tell(name)
        os.kill(os.getpid(), signal.SIGKILL)


def doomed_client(url: str, doom: Doom) -> redis.Redis:
    """A client whose connections die at a step."""

    class Connection(redis.Connection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            doom.step("redis before")
            if doom.comes():
                packed = command if isinstance(command, bytes) else b"".join(command)
                super().send_packed_command([packed[: len(packed) // 2]], check_health)
                doom.die("redis half")
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
