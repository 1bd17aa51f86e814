"""Every lesson, run as learners run it: solved and unsolved, on fakeredis and on a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4

from labkit.connection import URL_VARIABLE
from labkit.course import build, catalogue
from labkit.course.autograding import checks_of, points_given
from labkit.server import LocalServer, find_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbformat import NotebookNode

LESSONS = catalogue.names()
SANITIZE = catalogue.PROJECT / "tests" / "lessons" / "sanitize.cfg"
COMPARED = 0.7

needs_server = pytest.mark.skipif(find_server() is None, reason="no Redis or Valkey to start")
SERVERS = ["fakeredis", pytest.param("server", marks=needs_server)]

# Run in the kernel before the first and after the last cell of a lesson. A thread that is about
# to end is given the time to; one of pyzmq's begins when a picture of some size is sent.
PROBE = """\
import json, threading, psutil
def threads():
    found = threading.enumerate()
    return {each for each in found if not type(each).__module__.startswith("zmq.")}
kernels_own = globals().get("kernels_own") or threads()
for thread in threads() - kernels_own:
    thread.join(timeout=10)
me = psutil.Process()
print(json.dumps({
    "threads": sorted(thread.name for thread in threads()),
    "processes": sorted(child.name() for child in me.children(recursive=True)),
    "ports": [at.laddr.port for at in me.net_connections("inet") if at.status == "LISTEN"],
}))
"""


class Target:
    """A server for a lesson that can be looked into afterwards."""

    def __init__(self, server: LocalServer | None) -> None:
        self._server = server
        self.url = server.url if server else f"fake://{uuid.uuid4().hex}"

    def keys(self) -> list[str]:
        """What is left on the server; a fake one is gone with the lesson's process."""
        if self._server is None:
            return []
        with self._server.client() as client:
            return sorted(client.scan_iter())


@pytest.fixture(params=SERVERS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "fakeredis":
        yield Target(None)
        return
    with LocalServer() as server:
        yield Target(server)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_solution_runs_and_leaves_nothing_behind(
    lesson: str, target: Target, tmp_path: Path
) -> None:
    file = _with_probes(catalogue.solution_notebook(lesson), tmp_path)
    start = time.perf_counter()
    # Raises where a cell raises, and where one writes to stderr, as a mistyped magic does.
    notebook = build.executed(file, {URL_VARIABLE: target.url})
    print(f"{lesson}: {time.perf_counter() - start:.1f} s")
    _assert_nothing_left(notebook, target)
    for cell in checks_of(notebook):
        assert points_given(cell) == cell.metadata.nbgrader.points, cell.id


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_learners_version_runs_to_its_end_and_earns_nothing(
    lesson: str, target: Target, tmp_path: Path
) -> None:
    file = _with_probes(catalogue.learner_notebook(lesson), tmp_path)
    notebook = build.run(file, {URL_VARIABLE: target.url}, allow_errors=True)
    _assert_nothing_left(notebook, target)
    errors = [output.ename for output in _outputs(notebook) if output.output_type == "error"]
    assert set(errors) <= {"NotImplementedError"}
    assert not [output.text for output in _outputs(notebook) if output.get("name") == "stderr"]
    checks = checks_of(notebook)
    assert checks
    assert {cell.id: _value(cell) for cell in checks} == {cell.id: "0.0" for cell in checks}


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize("server", SERVERS)
def test_the_stored_outputs_come_again(lesson: str, server: str, tmp_path: Path) -> None:
    notebook = build.read(catalogue.solution_notebook(lesson))
    if server == "fakeredis":
        for cell in notebook.cells:
            if "real-server" in _tags(cell):
                cell.metadata.tags = sorted({*_tags(cell), "nbval-ignore-output"})
    result = _nbval(notebook, lesson, server, tmp_path)
    assert result.returncode == 0, result.stdout[-5000:]


def test_nbval_notices_another_output(tmp_path: Path) -> None:
    """The test above can fail: this one plants what it looks for."""
    lesson = LESSONS[0]
    notebook = build.read(catalogue.solution_notebook(lesson))
    check = checks_of(notebook)[0]
    result = next(output for output in check.outputs if output.output_type == "execute_result")
    result.data["text/plain"] = "0.5"
    assert _nbval(notebook, lesson, "fakeredis", tmp_path).returncode == 1


@pytest.mark.parametrize("lesson", LESSONS)
def test_most_stored_outputs_are_compared(lesson: str) -> None:
    notebook = build.read(catalogue.solution_notebook(lesson))
    with_output = [cell for cell in notebook.cells if cell.get("outputs")]
    compared = [
        cell
        for cell in with_output
        if not {"nbval-ignore-output", "nbval-skip"} & set(_tags(cell))
        and not cell.source.lstrip().startswith(("# NBVAL_IGNORE_OUTPUT", "# NBVAL_SKIP"))
        and any(_is_comparable(output) for output in cell.outputs)
    ]
    assert len(compared) >= COMPARED * len(with_output)


def _nbval(
    notebook: NotebookNode, lesson: str, server: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Compare a notebook's outputs with those of a run, in a folder of its own."""
    build.write(notebook, folder / lesson / f"{lesson}.ipynb")
    (folder / "pytest.ini").write_text("[pytest]\n")
    variables = {name: value for name, value in os.environ.items() if name != URL_VARIABLE}
    if server == "fakeredis":
        variables[URL_VARIABLE] = "fake://"
    command = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "-p", "no:cacheprovider", "-q"]
    options = ["--nbval", f"--nbval-sanitize-with={SANITIZE}", "--nbval-cell-timeout=60"]
    return subprocess.run(
        [*command, *options, lesson],
        cwd=folder,
        env={**variables, "LABKIT_PROGRESS": "off"},
        capture_output=True,
        text=True,
        check=False,
    )


def _with_probes(file: Path, folder: Path) -> Path:
    """A copy of a notebook that also says what its process holds, first and last."""
    notebook = build.read(file)
    probes = [v4.new_code_cell(PROBE) for _ in range(2)]
    notebook.cells = [probes[0], *notebook.cells, probes[1]]
    copy = folder / file.stem / file.name
    build.write(notebook, copy)
    return copy


def _assert_nothing_left(notebook: NotebookNode, target: Target) -> None:
    before, after = (_probed(notebook.cells[place]) for place in (0, -1))
    assert after["threads"] == before["threads"]
    assert after["ports"] == before["ports"]  # the kernel's debugger listens on one
    assert after["processes"] == []
    assert target.keys() == []


def _probed(cell: NotebookNode) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cell.outputs[0].text)
    return found


def _outputs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def _value(cell: NotebookNode) -> str:
    return "".join(
        output.data["text/plain"]
        for output in cell.outputs
        if output.output_type == "execute_result"
    )


def _is_comparable(output: NotebookNode) -> bool:
    """Whether nbval compares anything of it: it never compares images."""
    kinds = set(output.get("data", {"text": output.get("text")}))
    return any(not kind.startswith("image/") for kind in kinds)


def _tags(cell: NotebookNode) -> list[str]:
    tags: list[str] = cell.metadata.get("tags", [])
    return tags
