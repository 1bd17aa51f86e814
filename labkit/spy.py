"""Which commands a block of code sends to the server, and in how many round trips."""

from __future__ import annotations

import inspect
import itertools
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

_SHOWN_CHARACTERS = 60

# The logs that already see the send under way. redis-py sends through several layers of one
# connection, and says hello on a new one by itself; neither is a trip of the caller's.
_seen_by: ContextVar[frozenset[int]] = ContextVar("labkit_command_log", default=frozenset())


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it went to the server.

    Attributes:
        name: The command in capitals, such as `"ZADD"`.
        args: Its arguments as text, in order.
        trip: The round trip that carried it, counted from 1.
    """

    name: str
    args: tuple[str, ...]
    trip: int

    def __str__(self) -> str:
        return " ".join([self.name, *(_shown(arg) for arg in self.args)])


class CommandLog:
    """Records what a client sends while the block runs.

    A pipeline is one round trip however many commands it carries, and so is a script. What the
    client sends by itself (the greeting of a new connection, health checks) is left out. Works
    on sync and async clients, their pipelines, on fakeredis and on a `RedisCluster`; threads
    and tasks that share the client are recorded together.

    Example:
        >>> with CommandLog(client) as log:
        ...     client.set("greeting", "hello", ex=60)
        >>> log.names, log.round_trips
        (['SET'], 1)

    Args:
        client: The client to listen to.
        before: Called before each trip leaves, with the number of the trip. It may raise, and
            the trip is then neither sent nor recorded: a crash at an exact place.

    Raises:
        TypeError: The client has no connection pool to listen to.
    """

    def __init__(self, client: Any, *, before: Callable[[int], None] | None = None) -> None:
        self._pools = _pools(client)
        self._held = getattr(client, "connection", None)
        self._before = before
        self._lock = threading.Lock()
        self._trips = itertools.count(1)
        self._undo: list[Callable[[], None]] = []
        self._tapped: set[int] = set()
        self.commands: list[Command] = []

    @property
    def names(self) -> list[str]:
        """The commands' names, in the order they were sent."""
        return [command.name for command in self.commands]

    @property
    def round_trips(self) -> int:
        """How many times the client sent something and waited for the answer."""
        return len({command.trip for command in self.commands})

    def __len__(self) -> int:
        return len(self.commands)

    def __iter__(self) -> Iterator[Command]:
        return iter(self.commands)

    def __str__(self) -> str:
        lines = []
        for trip, commands in itertools.groupby(self.commands, key=lambda command: command.trip):
            label = f"trip {trip}"
            for command in commands:
                lines.append(f"{label:<8} {command}")
                label = ""
        return "\n".join([*lines, self.words])

    @property
    def words(self) -> str:
        """The totals in a sentence."""
        trips, commands = self.round_trips, len(self)
        return (
            f"{commands} command{'' if commands == 1 else 's'} "
            f"in {trips} round trip{'' if trips == 1 else 's'}"
        )

    def __repr__(self) -> str:
        return f"<CommandLog: {self.words}>"

    def __enter__(self) -> CommandLog:
        if self._undo:
            raise RuntimeError("This CommandLog is already recording. Make a new one.")
        for pool in self._pools:
            self._replace(pool, "get_connection", self._watched(pool.get_connection))
            for connection in tuple(getattr(pool, "_in_use_connections", ())):
                self._tap(connection)
        if self._held is not None:
            self._tap(self._held)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._undo:
            self._undo.pop()()
        self._tapped.clear()

    def _watched(self, get_connection: Callable[..., Any]) -> Callable[..., Any]:
        """The pool's `get_connection`, tapping what it hands out."""

        def get(*args: Any, **kwargs: Any) -> Any:
            with self._unseen():
                connection = get_connection(*args, **kwargs)
            self._tap(connection)
            return connection

        async def get_async(*args: Any, **kwargs: Any) -> Any:
            with self._unseen():
                connection = await get_connection(*args, **kwargs)
            self._tap(connection)
            return connection

        return get_async if inspect.iscoroutinefunction(get_connection) else get

    def _tap(self, connection: Any) -> None:
        """Record what goes through the connection's ways out."""
        with self._lock:
            if id(connection) in self._tapped:
                return
            self._tapped.add(id(connection))
        send_command = connection.send_command
        send_packed_command = connection.send_packed_command
        pack_command = connection.pack_command
        pack_commands = connection.pack_commands
        packed: list[tuple[Any, ...]] = []

        def pack_one(*args: Any) -> Any:
            packed[:] = [args]
            return pack_command(*args)

        def pack(commands: Iterable[tuple[Any, ...]]) -> Any:
            several = [tuple(command) for command in commands]
            parts = pack_commands(several)
            packed[:] = several  # now: an async connection has packed them one by one
            return parts

        def send_one(*args: Any, **kwargs: Any) -> Any:
            with self._trip([args]):
                return send_command(*args, **kwargs)

        def send_many(*args: Any, **kwargs: Any) -> Any:
            with self._trip(packed):
                return send_packed_command(*args, **kwargs)

        async def send_one_async(*args: Any, **kwargs: Any) -> Any:
            with self._trip([args]):
                return await send_command(*args, **kwargs)

        async def send_many_async(*args: Any, **kwargs: Any) -> Any:
            with self._trip(packed):
                return await send_packed_command(*args, **kwargs)

        is_async = inspect.iscoroutinefunction(send_command)
        self._replace(connection, "pack_command", pack_one)
        self._replace(connection, "pack_commands", pack)
        self._replace(connection, "send_command", send_one_async if is_async else send_one)
        self._replace(connection, "send_packed_command", send_many_async if is_async else send_many)

    @contextmanager
    def _trip(self, commands: Iterable[tuple[Any, ...]]) -> Iterator[None]:
        if id(self) in _seen_by.get():
            yield
            return
        with self._unseen():
            with self._lock:
                trip = next(self._trips)
            if self._before is not None:
                self._before(trip)
            self.commands.extend(_command(args, trip) for args in commands)
            yield

    @contextmanager
    def _unseen(self) -> Iterator[None]:
        token = _seen_by.set(_seen_by.get() | {id(self)})
        try:
            yield
        finally:
            _seen_by.reset(token)

    def _replace(self, owner: Any, name: str, method: Callable[..., Any]) -> None:
        """Shadow a method on this one object, and remember how to take the shadow away."""
        before = vars(owner).get(name)
        setattr(owner, name, method)
        self._undo.append(
            (lambda: delattr(owner, name))
            if before is None
            else (lambda: setattr(owner, name, before))
        )


def _pools(client: Any) -> list[Any]:
    if hasattr(client, "connection_pool"):
        return [client.connection_pool]
    nodes = client.get_nodes() if hasattr(client, "get_nodes") else []
    pools = [node.redis_connection.connection_pool for node in nodes if _is_connected(node)]
    if not pools:
        raise TypeError(
            f"CommandLog listens to a redis-py client; {type(client).__name__} has no connection "
            "pool. Pass the client that labkit.connect() or connect_async() gave."
        )
    return pools


def _is_connected(node: Any) -> bool:
    return getattr(node, "redis_connection", None) is not None


def _command(args: tuple[Any, ...], trip: int) -> Command:
    # redis-py passes some names in two words ("CONFIG GET"); the server reads two arguments.
    name, *rest = (*_text(args[0]).split(), *(_text(arg) for arg in args[1:]))
    return Command(name.upper(), tuple(rest), trip)


def _text(value: Any) -> str:
    return (
        bytes(value).decode("utf-8", "backslashreplace")
        if isinstance(value, bytes | bytearray | memoryview)
        else str(value)
    )


def _shown(arg: str) -> str:
    if len(arg) > _SHOWN_CHARACTERS:
        arg = f"{arg[:_SHOWN_CHARACTERS]}..."
    plain = arg and not any(sign.isspace() or sign in "\"'" for sign in arg)
    return arg if plain else '"' + arg.replace("\\", "\\\\").replace('"', '\\"') + '"'
