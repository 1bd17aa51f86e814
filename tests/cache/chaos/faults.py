"""What goes wrong, and comes right again."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from labkit.clock import fast_forward
from labkit.server import LocalServer
from tests.cache.chaos.signs import CLOCK_JUMPED, SOURCE_AWAY
from tests.cache.chaos.terms import BUDGET
from tests.cache.test_faults import frozen
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import redis

    from tests.cache.chaos.signs import Signs


class Way(Proxy):
    """A way to a server that may be slow, or break in the middle of an answer.

    Attributes:
        delay: For how many seconds each piece is held back.
        breaks: The chance that an answer is the last of its connection, and half of it is missing.
    """

    delay = 0.0
    breaks = 0.0

    def _hand_on(self, near: socket.socket, far: socket.socket) -> None:
        rest = threading.Event()
        with contextlib.suppress(OSError):
            answers = near.getpeername() == self._target
            while data := near.recv(65536):
                self._open.wait()
                if self.delay:
                    rest.wait(self.delay)
                if answers and random.random() < self.breaks:
                    far.sendall(data[: len(data) // 2])
                    for each in (near, far):
                        each.shutdown(socket.SHUT_RDWR)
                    return
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)


class Stage(NamedTuple):
    """Where a fault happens.

    Attributes:
        server: The server; its AOF is on.
        client: A client of it, past every `Way`.
        ways: A way of each process, where it has one.
        signs: What the processes look at.
    """

    server: LocalServer
    client: redis.Redis
    ways: dict[int, Way]
    signs: Signs


class Fault(NamedTuple):
    """What goes wrong.

    Attributes:
        happens: A context in which it is so.
        by: Which processes have a way of their own: "all", "first" or "".
        loses: Whether Redis loses what it has acknowledged.
        source: Whether it is the source that is away.
        seen: How a process must have met it, or else it was none: "failures" of trips to Redis,
            "deaf" memory, "errors" of the source; "" where it leaves no such trace.
        flaps: Whether Redis answers now and then while it lasts.
    """

    happens: Callable[[Stage], AbstractContextManager[None]]
    by: str = ""
    loses: bool = False
    source: bool = False
    seen: str = "failures"
    flaps: bool = False


@contextmanager
def nothing(stage: Stage) -> Iterator[None]:
    yield


@contextmanager
def stopped(stage: Stage) -> Iterator[None]:
    """Shut down as an administrator does, and started again with what its AOF has."""
    stage.server.stop()
    yield
    stage.server.start()


@contextmanager
def emptied(stage: Stage) -> Iterator[None]:
    """Killed, and started again with nothing."""
    stage.server.kill()
    yield
    shutil.rmtree(stage.server.directory / "appendonlydir")
    stage.server.start()


@contextmanager
def killed(stage: Stage) -> Iterator[None]:
    """Killed, and started again with what its AOF has."""
    stage.server.kill()
    yield
    stage.server.start()


def freezes(stage: Stage) -> AbstractContextManager[None]:
    return frozen(stage.server)


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Out of memory, and nothing is evicted."""
    stage.client.config_set("maxmemory", 1)
    yield
    stage.client.config_set("maxmemory", 0)


@contextmanager
def replica(stage: Stage) -> Iterator[None]:
    """A read-only replica of another server, whose emptiness it takes over."""
    with LocalServer() as master:
        stage.client.config_set("masterauth", unquote(urlsplit(master.url).password or ""))
        stage.client.replicaof("127.0.0.1", str(master.port))
        yield
        stage.client.replicaof("NO", "ONE")


@contextmanager
def orphan(stage: Stage) -> Iterator[None]:
    """A read-only replica whose master is away: it serves what it has."""
    stage.client.replicaof("127.0.0.1", "1")
    yield
    stage.client.replicaof("NO", "ONE")


def slow(delay: float) -> Callable[[Stage], AbstractContextManager[None]]:
    """Every piece of a conversation is held back."""

    @contextmanager
    def happens(stage: Stage) -> Iterator[None]:
        for way in stage.ways.values():
            way.delay = delay
        yield
        for way in stage.ways.values():
            way.delay = 0.0

    return happens


@contextmanager
def broken(stage: Stage) -> Iterator[None]:
    """Answers break off in the middle, and their connections with them."""
    for way in stage.ways.values():
        way.breaks = 0.1
    yield
    for way in stage.ways.values():
        way.breaks = 0.0


@contextmanager
def silent(stage: Stage) -> Iterator[None]:
    """Nothing comes through, and nobody says so; what is sent meanwhile comes later."""
    for way in stage.ways.values():
        way.silence()
    yield
    for way in stage.ways.values():
        way.speak()


def again_and_again(
    do: Callable[[Stage], Any], every: float = 0.1
) -> Callable[[Stage], AbstractContextManager[None]]:
    """Do something to the server many times."""

    @contextmanager
    def happens(stage: Stage) -> Iterator[None]:
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(every):
                do(stage)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    return happens


@contextmanager
def jumped(stage: Stage) -> Iterator[None]:
    """An hour ahead: the wall clock of a process, and for what has a time to live the server's."""
    stage.signs.set(CLOCK_JUMPED)
    fast_forward(stage.client, "1h")
    yield
    stage.signs.set(CLOCK_JUMPED, up=False)
    fast_forward(stage.client, "1h")


@contextmanager
def source_away(stage: Stage) -> Iterator[None]:
    """The source raises."""
    stage.signs.set(SOURCE_AWAY)
    yield
    stage.signs.set(SOURCE_AWAY, up=False)


FAULTS: dict[str, Fault] = {
    "nothing": Fault(nothing, seen=""),
    "stopped, comes back": Fault(stopped),
    "killed, comes back": Fault(killed),
    "killed, comes back empty": Fault(emptied, loses=True),
    "frozen": Fault(freezes),
    "out of memory": Fault(full, flaps=True),
    "replica of an empty server": Fault(replica, loses=True, flaps=True),
    "replica without a master": Fault(orphan, flaps=True),
    "slow, within the budget": Fault(slow(BUDGET / 5), by="all", seen="", flaps=True),
    "slow, beyond the budget": Fault(slow(BUDGET * 1.5), by="all"),
    "answers break off": Fault(broken, by="all", flaps=True),
    "silent": Fault(silent, by="all"),
    "silent for one process": Fault(silent, by="first"),
    "FLUSHALL": Fault(again_and_again(lambda s: s.client.flushall()), loses=True, seen=""),
    "connections killed": Fault(
        again_and_again(lambda s: s.client.client_kill_filter(_type="normal")),
        seen="deaf",
        flaps=True,
    ),
    "subscriptions killed": Fault(
        again_and_again(lambda s: s.client.client_kill_filter(_type="pubsub")), seen="deaf"
    ),
    "clocks jump": Fault(jumped, seen=""),
    "source away": Fault(source_away, source=True, seen="errors"),
}
