"""From a clean copy: `make` on a machine with only Python and make, and Binder's steps in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.e2e.conftest import copy_project, free_port, newcomers_environment, running_lab
from tests.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BASH = ("bash", "dirname", "env", "mktemp", "rm", "sh", "sleep", "timeout")
FIRST = "notebooks/00-start-here/00-start-here.ipynb"
LOOK = """
import json, os, labkit
client = labkit.connect()
print(json.dumps({
    "url": os.environ.get("LABKIT_REDIS_URL"),
    "kind": labkit.describe(client).kind,
    "ping": client.ping(),
    "labkit": labkit.__file__,
}))
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder that is gone after the test: pytest would keep an environment of 1 GB."""
    with tempfile.TemporaryDirectory(prefix="labkit-install-") as folder:
        yield Path(folder).resolve()


def tools(folder: Path, *names: str) -> Path:
    """A folder for PATH that has these programs of this machine, and this Python, only."""
    folder.mkdir()
    for name in names:
        program = shutil.which(name) or pytest.skip(f"{name} is not on this machine")
        (folder / name).symlink_to(program)
    # Not the one of our virtual environment, which would bring its packages.
    (folder / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
    return folder


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command to its end; what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@contextmanager
def started(
    command: Sequence[str], project: Path, environment: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """What a Python command prints as JSON under binder/start; its server is there meanwhile."""
    process = subprocess.Popen(
        [str(project / "binder" / "start"), *command],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        printed = process.stdout.read()
        assert process.wait() == 0
        yield json.loads(printed)
    finally:
        # In a container, the server would end with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_make_installs_once_and_serves_the_first_lesson(temporary: Path) -> None:
    project = copy_project(temporary / "course")
    environment = newcomers_environment(temporary / "home")
    environment["PATH"] = str(tools(temporary / "bin", "awk", "make", "rm", "sh", "touch"))

    assert "pip install" in run(["make", "install"], project, environment)
    assert "pip" not in run(["make", "install"], project, environment)
    ready, lock = project / ".venv" / ".installed", project / "binder" / "requirements.txt"
    later = ready.stat().st_mtime + 60
    os.utime(lock, (later, later))
    assert "pip install" in run(["make", "--dry-run", "install"], project, environment)
    os.utime(ready, (later, later))

    port = free_port()
    make = ["make", "lab", f"ARGS=--no-browser --port={port}"]
    with running_lab(make, port, project, environment) as lab:
        status, target = lab.request("/")
        assert status == 302
        assert target.partition("?")[0] == f"/lab/tree/{FIRST}"
        assert lab.request(target)[0] == 200
        assert lab.request(f"/api/contents/{FIRST}?content=0")[0] == 200
        # A kernel, so that there is something to leave behind.
        status, kernel = lab.request("/api/kernels", "POST")
        assert status == 201, kernel


def test_make_help_lists_every_target(tmp_path: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    [targets] = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    printed = run(["make", "help"], PROJECT, newcomers_environment(tmp_path))
    assert re.findall(r"^  make (\w+) +\S", printed, re.MULTILINE) == targets.split()


def test_binder_steps(temporary: Path) -> None:
    project = copy_project(temporary / "course")
    venv = temporary / "venv"
    home = temporary / "home"
    environment = {**newcomers_environment(home), "MPLCONFIGDIR": str(home / "matplotlib")}
    run([sys.executable, "-m", "venv", str(venv)], temporary, environment)
    system = environment["PATH"]
    environment["PATH"] = os.pathsep.join([str(venv / "bin"), system])

    requirements = str(project / "binder" / "requirements.txt")
    pip = ["pip", "install", "--quiet", "--require-hashes", "--requirement", requirements]
    run(pip, temporary, environment)
    run([str(project / "binder" / "postBuild")], temporary, environment)
    assert list((home / "matplotlib").glob("fontlist-*.json"))

    with started(["python", "-c", LOOK], project, environment) as seen:
        assert seen["ping"]
        assert Path(seen["labkit"]) == project / "labkit" / "__init__.py"

    bare = tools(temporary / "bin", *BASH)
    environment["PATH"] = os.pathsep.join([str(venv / "bin"), str(bare)])
    with started(["python", "-c", LOOK], project, environment) as seen:
        assert seen["url"] is None
        assert seen["kind"] == "valkey"
        assert seen["ping"]

    port = free_port()
    jupyter = ["jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}"]
    start = [str(project / "binder" / "start"), *jupyter]
    with running_lab(start, port, project, environment) as lab:
        assert lab.request(f"/lab/tree/{FIRST}")[0] == 200
        assert lab.request("/formgrader")[0] == 404


def test_binder_starts_a_bounded_server_for_this_machine_only(tmp_path: Path) -> None:
    for program in ("redis-server", "redis-cli"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine")
    environment = newcomers_environment(tmp_path)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])

    with started(["python", "-c", LOOK], PROJECT, environment) as seen:
        assert seen["url"] is not None
        with redis.Redis.from_url(seen["url"], decode_responses=True) as client:
            settings = client.config_get("bind", "maxmemory", "save")
        assert settings == {"bind": "127.0.0.1", "maxmemory": str(256 * 2**20), "save": ""}
        stranger = seen["url"].replace(seen["url"].partition("@")[0], "redis://", 1)
        with (
            redis.Redis.from_url(stranger.replace("@", "")) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


@pytest.mark.parametrize("server", ["exit 1", "exec sleep 600"], ids=["broken", "silent"])
def test_binder_starts_jupyter_without_its_server(tmp_path: Path, server: str) -> None:
    path = tools(tmp_path / "bin", *BASH)
    for program, script in {"redis-server": server, "redis-cli": "exit 1"}.items():
        (path / program).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        (path / program).chmod(0o755)
    environment = newcomers_environment(tmp_path / "home")
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), str(path)])
    environment["LABKIT_REDIS_URL"] = "redis://127.0.0.1:1/0"

    command = ["python", "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    with started(command, PROJECT, environment) as variables:
        assert "LABKIT_REDIS_URL" not in variables


def test_binder_files() -> None:
    binder = PROJECT / "binder"
    runtime = (binder / "runtime.txt").read_text("utf-8").strip()
    found = re.fullmatch(r"python-3\.(\d+)", runtime)
    assert found is not None
    assert int(found[1]) >= 11
    for script in ("postBuild", "start"):
        assert os.access(binder / script, os.X_OK)
