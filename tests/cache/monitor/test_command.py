"""`labkit serve cache-monitor`: what it says, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from labkit import LocalServer, connect
from labkit.__main__ import app
from labkit.cache.monitor import gather
from labkit.server import find_server
from tests.cache.monitor.test_reporter import until
from tests.site.served import command, told

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 60.0


def test_it_says_where_it_is_and_serves_the_demo() -> None:
    with command("--redis-url", "fake://", "--demo", service="cache-monitor") as process:
        line, url = told(process)
        assert line == f"The monitor is at {url}, for what reports as 'cache'.\n"
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        assert httpx.get(url).text.startswith("<!doctype html>")


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_stream_ends_well_when_the_service_stops() -> None:
    with (
        command("--redis-url", "fake://", "--every", "1h", service="cache-monitor") as process,
        httpx.stream("GET", f"{told(process)[1]}/events", timeout=DEADLINE) as answer,
    ):
        coming = answer.iter_bytes()
        assert next(coming).startswith(b"retry: 1000\nevent: all\n")
        process.send_signal(signal.SIGTERM)
        assert list(coming) == []  # and not cut off
        process.wait(DEADLINE)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--every", "0"], "every is '0'; expected a time above 0"),
        (["--every", "soon"], "not a duration"),
        (["--name", "a b"], "name is 'a b'; expected letters"),
        (["--redis", "redis://127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments: list[str], says: str) -> None:
    options = [*arguments, *([] if "--redis" in arguments else ["--redis", "fake://"])]
    with command(*options, service="cache-monitor") as process:
        out, error = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert error.startswith("labkit: ")
    assert says in error
    assert "Traceback" not in error
    assert out == ""


@pytest.mark.parametrize("service", ["cache-monitor", "chat", "newsroom", "leaderboard"])
def test_a_level_that_there_is_not_is_told_with_those_that_there_are(service: str) -> None:
    result = CliRunner().invoke(app, ["serve", service, "--log-level", "loud"])
    assert result.exit_code == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─\n]", " ", result.output).split())
    assert "--log-level" in said
    assert "'loud' is no level; expected debug, info, warning, error." in said


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    if find_server() is None:
        pytest.skip("needs a real server")
    with LocalServer() as server:
        yield server


WORKER = textwrap.dedent(
    """
    import sys
    import labkit
    from labkit.cache import Cache
    from labkit.cache.monitor import Reporter

    cache = Cache(namespace="app")
    for number in range(int(sys.argv[2])):
        cache.get_or_load("one", lambda: 1)
    reporter = Reporter(cache, labkit.connect(sys.argv[1]), every="200ms")
    sys.stdin.read()
    reporter.close()
    """
)


def started(server: LocalServer, reads: int) -> subprocess.Popen[Any]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, server.url, str(reads)], stdin=subprocess.PIPE
    )


def test_processes_come_go_and_are_killed(server: LocalServer) -> None:
    processes = [started(server, reads) for reads in (10, 200, 3_000)]
    try:
        with connect(server.url) as client:
            until(lambda: len(gather(client, "app").processes) == 3)
            found = gather(client, "app")
            assert found.total.reads == 3_210
            assert found.total.loads == 3
            assert {each.pid for each in found.processes} == {each.pid for each in processes}
            leaving, dying, staying = processes
            leaving.communicate(timeout=DEADLINE)
            assert gather(client, "app").total.reads == 3_200
            dying.kill()
            until(lambda: gather(client, "app").total.reads == 3_000)
            (left,) = gather(client, "app").processes
            assert left.pid == staying.pid
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_cluster_keeps_reports(cluster_url: str) -> None:
    from labkit.cache import Cache
    from labkit.cache.monitor import Reporter

    client = connect(cluster_url)
    with Reporter(Cache(), client, name="in-a-cluster", every="1h") as reporter:
        assert reporter.publish(), reporter.error
        assert len(gather(client, "in-a-cluster").processes) == 1
    assert gather(client, "in-a-cluster").processes == []
    client.close()
