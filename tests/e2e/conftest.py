"""What the tests of the whole course share: a copy of the project, JupyterLab, a browser."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.project import PROJECT, project_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from playwright.sync_api import Browser, Page

DEADLINE = 120.0
"""Seconds after which something that should have happened counts as not happening."""

TOKEN = "a-token-for-tests"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab.

    Attributes:
        project: The copy of the project that it serves.
        process: The command that was started.
        address: Where it listens.
    """

    project: Path
    process: subprocess.Popen[bytes]
    address: tuple[str, int]

    @property
    def url(self) -> str:
        host, port = self.address
        return f"http://{host}:{port}/?token={TOKEN}"

    def request(self, path: str, method: str = "GET") -> tuple[int, str]:
        """The status of an answer, and its body; of a redirect, where it leads."""
        connection = HTTPConnection(*self.address, timeout=DEADLINE)
        try:
            connection.request(method, path, headers={"Authorization": f"token {TOKEN}"})
            answer = connection.getresponse()
            body = answer.read().decode()
            return answer.status, answer.getheader("Location") or body
        finally:
            connection.close()


def copy_project(destination: Path) -> Path:
    """Copy what a clone would have, with the changes that are not committed yet."""
    for path in project_files():
        copy = destination / path.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return destination


def newcomers_environment(home: Path) -> dict[str, str]:
    """The environment of somebody who has just logged in: nothing of ours, nor of make's."""
    ours = ("JUPYTER", "LABKIT", "MAKE", "MFLAGS", "MPL", "NBGRADER", "PYTEST", "PYTHON", "VIRTUAL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept.pop("ARGS", None)
    # pip's cache stays where it is: each download once is enough.
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return {
        "PIP_CACHE_DIR": str(Path(cache) / "pip"),
        **kept,
        "HOME": str(home),
        "JUPYTER_PLATFORM_DIRS": "1",
        # An environment that lives for a minute need not be compiled as a whole.
        "PIP_NO_COMPILE": "1",
    }


@contextmanager
def running_lab(
    command: Sequence[str], port: int, project: Path, environment: Mapping[str, str]
) -> Iterator[Lab]:
    """Start JupyterLab by a command, wait until it answers, and stop it as a user would."""
    with tempfile.TemporaryDirectory(prefix="labkit-runtime-") as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=project,
                env={**environment, "JUPYTER_RUNTIME_DIR": folder, "JUPYTER_TOKEN": TOKEN},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            lab = Lab(project, process, ("127.0.0.1", port))
            _wait_until_ready(lab, log)
            yield lab
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; nothing that it started may outlive it."""
    family = _descendants(process)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    _, left = psutil.wait_procs(family, timeout=DEADLINE)
    for orphan in left:
        orphan.kill()
    assert not left


def _descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def _wait_until_ready(lab: Lab, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        with suppress(ConnectionError):
            lab.request("/api")
            return
        with suppress(subprocess.TimeoutExpired):
            code = lab.process.wait(0.05)
            raise AssertionError(f"JupyterLab ended with {code}:\n{log.read_text()}")
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()}")


def free_port() -> int:
    """A port that nobody has: neither an outgoing connection nor a LocalServer ever takes it."""
    while True:
        port = random.randrange(12_000, 20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def labkit_lab(*options: str, settings: Mapping[str, object] = {}) -> Iterator[Lab]:
    """`labkit lab` of this environment on a copy of the project, so that ours stays as it is.

    Args:
        *options: Those of `labkit lab`.
        settings: JupyterLab's user settings, by plugin such as "notebook-extension:tracker".
    """
    with tempfile.TemporaryDirectory(prefix="labkit-e2e-") as folder:
        home = Path(folder, "home")
        user = home / "settings" / "@jupyterlab"
        for plugin, values in settings.items():
            file = user / f"{plugin.replace(':', '/')}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values), "utf-8")
        project = copy_project(Path(folder, "course"))
        environment = {
            **newcomers_environment(home),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            # The copy's labkit comes before the one that is installed.
            "PYTHONPATH": str(project),
        }
        port = free_port()
        command = [sys.executable, "-m", "labkit", "lab", "--no-browser", f"--port={port}"]
        with running_lab([*command, *options], port, project, environment) as lab:
            yield lab


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of this machine.

    Raises:
        LookupError: There is none.
    """
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        raise LookupError(f"no browser on PATH: {', '.join(CHROMIUM)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, headless=True, args=CHROMIUM_OPTIONS
        )
        try:
            yield browser
        finally:
            browser.close()


PHONE: Any = {"width": 360, "height": 720}


@contextmanager
def silent_page(browser: Browser, scheme: Any, viewport: Any = PHONE) -> Iterator[Page]:
    """A page, light or dark, whose console stays silent."""
    said: list[str] = []
    context = browser.new_context(color_scheme=scheme, viewport=viewport)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert said == []


def is_narrow(page: Page) -> bool:
    """Whether nothing of a page sticks out to the side."""
    fits: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return fits


def open_notebook(page: Page, url: str) -> None:
    """Open a notebook and wait until its kernel is there: before that, a run is forgotten."""
    page.goto(url)
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    expect(page.locator(".jp-SpinnerContent")).to_have_count(0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, of which is waited for as long as for everything else: the machine may be busy."""
    try:
        with chromium() as browser:
            expect.set_options(timeout=DEADLINE * 1000)
            yield browser
    except LookupError as error:
        pytest.skip(str(error.args[0]))
