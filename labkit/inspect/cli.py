"""Commands as they are typed into redis-cli, and what it would print."""

from __future__ import annotations

import contextlib
import functools
import math
import queue
import re
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import redis

from labkit.connection import connect
from labkit.inspect.documentation import helped
from labkit.inspect.printing import Form, shown
from labkit.inspect.replies import Reply, of_python, read
from labkit.inspect.words import InvalidArguments, split

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator, Iterator, Sequence
    from io import BufferedReader

_NUMBER = re.compile(rb"[-+]?[0-9]+")
_ENDLESS = frozenset({b"subscribe", b"psubscribe", b"ssubscribe", b"monitor"})
_READING = "Reading messages... (press Ctrl-C to quit)\n"


class _Wire(Protocol):
    """A connection that carries words there and replies back."""

    def send(self, words: Sequence[bytes]) -> None: ...
    def receive(self, timeout: float | None = None) -> Reply: ...
    def close(self) -> None: ...


class _Socket:
    """The socket of a connection of redis-py, which has signed in and spoken of the protocol."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        connection.connect()
        self._socket: socket.socket = connection._sock
        self._stream: BufferedReader = self._socket.makefile("rb")

    def send(self, words: Sequence[bytes]) -> None:
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self._socket.sendall(b"".join(parts))

    def receive(self, timeout: float | None = None) -> Reply:
        self._socket.settimeout(timeout)
        if self._stream.peek(1).startswith(b"+"):
            return self._status()
        return read(self._stream)

    def close(self) -> None:
        self._stream.close()
        self._connection.disconnect()

    def _status(self) -> Reply:
        """A line of any length: MONITOR shows commands with all that they carry."""
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        return Reply("status", line[1:-2])


class _Fake:
    """A connection to fakeredis, which answers with objects."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._words: Sequence[bytes] = ()
        connection.connect()

    def send(self, words: Sequence[bytes]) -> None:
        self._words = words
        self._connection.send_command(*words)

    def receive(self, timeout: float | None = None) -> Reply:
        try:
            answer = self._connection._sock.responses.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError("nothing came") from None
        return of_python(answer, self._words)

    def close(self) -> None:
        self._connection.disconnect()


class Session:
    """What redis-cli is: one connection, with its database and its transaction.

    Only one thread at a time can use it; others wait.

    Args:
        client: A `redis.Redis`: whose server it is, and how to sign in.
        resp: The version of the protocol: 2, or 3 as for `redis-cli -3`.

    Raises:
        ValueError: There is no such version.
    """

    def __init__(self, client: redis.Redis, *, resp: Literal[2, 3] = 2) -> None:
        if resp not in (2, 3):
            raise ValueError(f"resp is {resp!r}; expected 2 or 3")
        self._pool = client.connection_pool
        self._resp = resp
        self._wire: _Wire | None = None
        self._database: bytes | None = None
        self._turn = threading.Lock()

    def ask(self, *words: bytes | str) -> Reply:
        """Send a command, and read its reply with its types.

        Raises:
            redis.ConnectionError: The connection is lost; the next command makes another one.
        """
        command = [word if isinstance(word, bytes) else word.encode() for word in words]
        with self._turn, _named_by_redis():
            try:
                wire = self._connected()
                wire.send(command)
                reply = wire.receive()
                while reply.kind == "push":  # told in between, such as what another client changed
                    reply = wire.receive()
            except BaseException:
                self.close()  # after an error, or Ctrl-C, nothing half read is left behind
                raise
        if len(command) == 2 and command[0].lower() == b"select" and reply.kind == "status":
            self._database = command[1]
        return reply

    def run(
        self,
        line: str,
        *,
        form: Form = "tty",
        most: int | None = None,
        seconds: float | None = None,
    ) -> str:
        """Run a line; what redis-cli prints for it, to the last byte.

        Args:
            line: As it is typed: words, quotes, and a number before the command to repeat it;
                or `help` and what about.
            form: "tty" as on a terminal, or "raw", "csv", "json" as with these options.
            most: Of SUBSCRIBE, MONITOR and the like, how many messages to read.
            seconds: And for how long; without both, until it is interrupted (Ctrl-C).

        Returns:
            The text. What is no UTF-8 in it is kept: `.encode("utf-8", "surrogateescape")`.

        Raises:
            redis.ConnectionError: The connection is lost.
        """
        return "".join(self.lines(line, form=form, most=most, seconds=seconds))

    def lines(
        self,
        line: str,
        *,
        form: Form = "tty",
        most: int | None = None,
        seconds: float | None = None,
    ) -> Iterator[str]:
        """The same piece by piece, as it comes.

        SUBSCRIBE, MONITOR and the like have a connection of their own: the session goes on beside
        them, with its database and its transaction.
        """
        try:
            words = split(line)
        except InvalidArguments:
            yield "Invalid argument(s)\n"
            return
        times = 1
        if len(words) > 1 and _NUMBER.fullmatch(words[0]):
            times = int(words.pop(0))
            if not 0 < times < 2**63:
                yield "Invalid redis-cli repeat command option value.\n"
                return
        if not words:
            return
        if words[0].lower() in (b"help", b"?"):
            yield helped(redis.Redis(connection_pool=self._pool), words[1:])
            return
        if words[0].lower() in _ENDLESS:
            yield from self._followed(words, form, most, seconds)
            return
        for _ in range(times):
            yield _text(shown(self.ask(*words), form, words))

    def follow(
        self, *words: bytes | str, most: int | None = None, seconds: float | None = None
    ) -> Generator[Reply]:
        """What comes for SUBSCRIBE, MONITOR and the like, as it comes.

        Args:
            *words: The command, which has a connection of its own. It is closed at the end.
            most: How many messages to read; the confirmations that come first do not count.
            seconds: And for how long; without both, until it is interrupted (Ctrl-C).

        Yields:
            The confirmations, one for each channel, and the messages. An error is the last.

        Raises:
            redis.ConnectionError: The connection is lost.
        """
        command = [word if isinstance(word, bytes) else word.encode() for word in words]
        confirmations = 1 if command[0].lower() == b"monitor" else len(command) - 1
        left = -1 if most is None else confirmations + most
        until = math.inf if seconds is None else time.monotonic() + seconds
        with _named_by_redis(), contextlib.closing(self._connect()) as wire:
            wire.send(command)
            with contextlib.suppress(KeyboardInterrupt, TimeoutError):
                while left != 0 and (rest := until - time.monotonic()) > 0:
                    reply = wire.receive(None if rest == math.inf else rest)
                    yield reply
                    left = 0 if reply.kind == "error" else left - 1

    def close(self) -> None:
        """Give the connection back. Harmless when repeated; the next command makes another one."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _followed(
        self, words: Sequence[bytes], form: Form, most: int | None, seconds: float | None
    ) -> Iterator[str]:
        if words[0].lower() != b"monitor" and form != "raw":
            yield _READING
        with contextlib.closing(self.follow(*words, most=most, seconds=seconds)) as replies:
            for reply in replies:
                yield _text(shown(reply, form))

    def _connected(self) -> _Wire:
        if self._wire is None:
            self._wire = self._connect()
            if self._database is not None:
                self._wire.send([b"SELECT", self._database])
                self._wire.receive()
        return self._wire

    def _connect(self) -> _Wire:
        how = dict(self._pool.connection_kwargs) | {"protocol": self._resp}
        for option in ("socket_timeout", "decode_responses"):
            how.pop(option, None)
        connection = self._pool.connection_class(**how)
        return _Fake(connection) if hasattr(connection, "_server") else _Socket(connection)


@contextlib.contextmanager
def _named_by_redis() -> Iterator[None]:
    """Raise what a socket raises as redis-py does."""
    try:
        yield
    except OSError as error:
        raise redis.ConnectionError(f"{error}; the next command connects again") from error


@functools.cache
def client_of(url: str | None = None) -> redis.Redis:
    """The client of a URL, or that of `labkit.connect()`: always the same."""
    return connect(url)


# A session knows the pool of its client and not the client, so that it goes when the client does.
_sessions: weakref.WeakKeyDictionary[Any, dict[int, Session]] = weakref.WeakKeyDictionary()


def session(client: redis.Redis | None = None, resp: Literal[2, 3] = 2) -> Session:
    """The session of a client: always the same, so that SELECT and MULTI go on.

    Args:
        client: The client; without one, that of `labkit.connect()`.
        resp: The version of the protocol.
    """
    client = client_of() if client is None else client
    held = _sessions.setdefault(client, {})
    if resp not in held:
        held[resp] = Session(client, resp=resp)
    return held[resp]


def run(
    line: str,
    *,
    client: redis.Redis | None = None,
    form: Form = "tty",
    resp: Literal[2, 3] | None = None,
    most: int | None = None,
    seconds: float | None = None,
) -> str:
    """What redis-cli prints for a line, to the last byte; see `Session.run`.

    Without `resp` it is 2, and 3 for the form "json", as with redis-cli.

    Example:
        >>> print(run("LPUSH letters c b a"), run("LRANGE letters 0 -1"), sep="", end="")
        (integer) 3
        1) "a"
        2) "b"
        3) "c"
    """
    return session(client, resp or (3 if form == "json" else 2)).run(
        line, form=form, most=most, seconds=seconds
    )


def help(name: str = "", *, client: redis.Redis | None = None) -> str:  # noqa: A001 - as redis-cli's
    """What redis-cli prints for `help` and a name, escape codes for colours among it.

    Args:
        name: A command such as "ZADD" or "client list", a group such as "@string", or nothing.
        client: Whose server it is; without one, that of `labkit.connect()`.
    """
    return run(f"help {name}", client=client)


def _text(printed: bytes) -> str:
    return printed.decode("utf-8", "surrogateescape")
