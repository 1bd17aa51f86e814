"""Running the service: in this process, in a notebook, as a command; and stopping it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
import websockets.exceptions

from labkit import LocalServer, connect
from labkit.leaderboard import Leaderboard
from labkit.leaderboard.api import create_app, serve
from labkit.leaderboard.api.security import KEYS_VARIABLE
from labkit.serving import listen
from tests.leaderboard.api.driver import DEADLINE, KEYS, PATIENT, Stream, in_thread
from tests.leaderboard.api.test_live import Socket

if TYPE_CHECKING:
    from collections.abc import Iterator


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz")
    except httpx.ConnectError:
        return True
    return False


def test_a_stop_ends_streams_and_loses_no_score_that_was_accepted(url: str) -> None:
    accepted: list[str] = []
    enough = threading.Event()
    stopped = threading.Event()

    def write(name: str, board: str) -> None:
        number = 0
        with httpx.Client(timeout=DEADLINE) as http:
            while not stopped.is_set():
                number += 1
                member = f"{name}{number}"
                try:
                    answer = http.post(f"{board}/scores", json={"member": member, "score": number})
                except httpx.TransportError:
                    return
                assert answer.status_code == 200
                accepted.append(member)
                if len(accepted) > 50:
                    enough.set()

    with connect(url) as client, contextlib.ExitStack() as readers:
        with serve(create_app(url, limits=PATIENT)) as service:
            board = f"{service.url}/boards/b"
            httpx.put(board).raise_for_status()
            stream = readers.enter_context(Stream(f"{board}/events"))
            top = readers.enter_context(Stream(f"{board}/events", top=3))
            socket = readers.enter_context(Socket(board))
            for each in (stream, top, socket):
                each.next()
            writers = [in_thread(lambda name=name: write(name, board)) for name in "xyz"]  # type: ignore[misc]
            assert enough.wait(DEADLINE)
        stopped.set()
        # A stream that was torn off would raise here.
        told = {event["member"] for event in stream.rest()}
        assert told
        assert top.rest()
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            socket.take(10**6)
        for writer in writers:
            writer.join()
        stored = Leaderboard.open(client, "b")
        for start in range(0, len(accepted), 1000):
            assert stored.among(accepted[start : start + 1000]).missing == []


def test_nothing_is_left_of_a_service(url: str) -> None:
    before = set(threading.enumerate())
    app = create_app(url)
    for _ in range(2):  # the same application may run again
        with serve(app) as service:
            assert httpx.get(f"{service.url}/readyz").status_code == 200
            assert set(threading.enumerate()) > before
        assert refuses(service.url)
    assert {thread for thread in threading.enumerate() if thread.name == "labkit-api"} == set()


def test_a_service_runs_beside_a_running_loop(url: str) -> None:
    async def notebook() -> int:
        with serve(create_app(url)) as service:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"{service.url}/healthz")).status_code

    assert asyncio.run(notebook()) == 200


def test_a_service_is_quiet(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    with serve(create_app(url)) as service:
        httpx.get(f"{service.url}/healthz")
        httpx.get(f"{service.url}/nowhere")
    assert capfd.readouterr() == ("", "")


def test_a_block_that_fails_stops_the_service(url: str) -> None:
    with pytest.raises(ZeroDivisionError), serve(create_app(url)) as service:
        raise ZeroDivisionError
    assert refuses(service.url)


def test_a_port_that_is_taken(url: str) -> None:
    with serve(create_app(url)) as service:
        port = httpx.URL(service.url).port
        assert port
        with pytest.raises(OSError), serve(create_app(url), port=port):  # noqa: PT011
            pass
        assert httpx.get(f"{service.url}/healthz").status_code == 200


def test_small_answers_are_sent_at_once() -> None:
    """What asyncio looks at before it turns off the wait for more to send (TCP_NODELAY)."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        with socket.create_connection(listener.getsockname()[:2], DEADLINE):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.proto == socket.IPPROTO_TCP


@contextlib.contextmanager
def command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", "serve", "leaderboard", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command_serves_and_stops() -> None:
    with LocalServer() as server:
        arguments = (
            "--port",
            "0",
            "--redis",
            server.url,
            "--prefix",
            "/v1",
            "--log-level",
            "error",
        )
        with command(*arguments, LABKIT_API_KEYS=f"a:admin:{KEYS['admin']}") as process:
            assert process.stdout
            line = process.stdout.readline()
            assert line.startswith("The leaderboard is at http://127.0.0.1:")
            assert "/docs" in line
            url = line.split()[4].rstrip(",")
            headers = {"X-API-Key": KEYS["admin"]}
            assert httpx.put(f"{url}/v1/boards/b").status_code == 401
            assert httpx.put(f"{url}/v1/boards/b", headers=headers).status_code == 201
            with Stream(f"{url}/v1/boards/b/events", headers) as stream:
                stream.next()
                process.send_signal(signal.SIGINT)
                assert stream.rest() == []
            _, errors = process.communicate(timeout=DEADLINE)
            assert (process.returncode, errors) == (0, "")
        with server.client() as client:
            assert Leaderboard.open(client, "b").top() == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--host", "0.0.0.0"), KEYS_VARIABLE),
        (("--host", "example.org"), "--key name:scope:secret"),
        (("--key", "name:scope:secret"), "expected name:scope:secret"),
        (("--redis", "redis://127.0.0.1:1"), "nothing listens there"),
        (("--rate-limit", "often"), "100/1m"),
        (("--prefix", "v1"), "'/v1'"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from labkit.__main__ import app

    result = CliRunner().invoke(app, ["serve", "leaderboard", "--port", "0", *arguments])
    assert result.exit_code == 1
    told = result.output.strip()
    assert told.startswith("labkit: ")
    assert hint in told
    assert "\n" not in told


def test_the_package_is_light() -> None:
    """What a program that does not serve never pays for."""
    code = """
import sys, labkit, labkit.leaderboard, labkit.__main__
print([name for name in ("fastapi", "uvicorn", "prometheus_client") if name in sys.modules])
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
