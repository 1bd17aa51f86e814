"""A server for each module, and redis-cli where there is one."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from labkit import connect
from labkit.server import LocalServer, find_server, find_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

CLI = shutil.which("redis-cli") or shutil.which("valkey-cli")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    if find_server() is None:
        pytest.skip("no Redis or Valkey to start")
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="module", params=find_servers(), ids=lambda path: path.name)
def each(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """One of each program that is on this machine."""
    with LocalServer(binary=request.param) as server:
        yield server


@pytest.fixture(params=["fakeredis", "server"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    if request.param == "fakeredis":
        yield connect(f"fake://{uuid.uuid4().hex}")
        return
    server: LocalServer = request.getfixturevalue("server")
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def cli(server: LocalServer) -> Callable[..., bytes]:
    """Runs redis-cli with options and lines on its standard input; what it printed."""
    if CLI is None:
        pytest.skip("no redis-cli on this machine")

    def run(*options: str, lines: str) -> bytes:
        found = subprocess.run(
            [CLI, "-u", server.url, "--no-auth-warning", *options],
            input=lines.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return found.stdout

    return run


@pytest.fixture
def cli_process(server: LocalServer) -> Callable[..., dict[str, bytes]]:
    """Runs lines of redis-cli that do not end; what each printed when two messages had come."""
    if CLI is None:
        pytest.skip("no redis-cli on this machine")

    def run(*lines: str, resp: int = 2) -> dict[str, bytes]:
        return {line: _endless(server, line, resp) for line in lines}

    return run


def _endless(server: LocalServer, line: str, resp: int) -> bytes:
    command = [CLI or "", "-u", server.url, "--no-auth-warning", "--no-raw", f"-{resp}"]
    with (
        server.client() as client,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        confirmed = 1 + 3 * line.count(" ")  # the first line, and three for each
        printed = b"".join(process.stdout.readline() for _ in range(confirmed))
        client.publish("news", "hello\n")
        client.publish("news", b"\x80")
        messages = 2 * (3 if line.startswith("SUBSCRIBE") else 4)
        printed += b"".join(process.stdout.readline() for _ in range(messages))
        process.terminate()
    return printed
