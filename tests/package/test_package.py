"""What holds for the project as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

import labkit
from tests.project import PROJECT, project_files

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ["pandas", "matplotlib", "numpy", "fakeredis", "sqlalchemy", "fastapi", "IPython", "typer"]
PARTS = ["leaderboard", "chat", "inspect", "cache", "newsroom"]


def test_importing_labkit_loads_nothing_heavy() -> None:
    code = "import labkit, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "redis" in loaded
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("module", ["apikeys", "cache.smart", "cache.looking", "cache.monitor"])
def test_what_an_application_imports_needs_no_web_framework(module: str) -> None:
    code = f"import labkit.{module}, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"fastapi", "starlette", "uvicorn", "pandas", "sqlalchemy"} & set(loaded)


def test_the_version_is_said_once() -> None:
    metadata = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    assert metadata["project"]["version"] == labkit.__version__


def imported(path: Path) -> set[str]:
    """The modules of labkit that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in names if name.startswith("labkit.")}


def test_only_the_course_knows_the_course() -> None:
    for path in (PROJECT / "labkit").rglob("*.py"):
        part = path.relative_to(PROJECT / "labkit").parts[0]
        if part not in ("course", "__main__.py"):
            assert not [name for name in imported(path) if name.startswith("labkit.course")], path


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_do_not_know_each_other(part: str) -> None:
    others = tuple(f"labkit.{other}" for other in PARTS if other != part)
    for path in (PROJECT / "labkit" / part).rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith(others)], path


def test_api_keys_stand_on_nothing_that_has_them() -> None:
    assert not imported(PROJECT / "labkit" / "apikeys.py")


def test_the_site_joins_the_newsroom_and_the_cache_and_stands_on_nothing_else() -> None:
    joins = ("labkit.site", "labkit.cache", "labkit.newsroom")
    parts = tuple(f"labkit.{part}" for part in [*PARTS, "course"])
    for path in (PROJECT / "labkit" / "site").rglob("*.py"):
        known = [name for name in imported(path) if name.startswith(parts)]
        assert not [name for name in known if not name.startswith(joins)], path


def test_only_the_course_and_the_command_know_the_site() -> None:
    for path in (PROJECT / "labkit").rglob("*.py"):
        part = path.relative_to(PROJECT / "labkit").parts[0]
        if part not in ("site", "course", "__main__.py"):
            assert not [name for name in imported(path) if name.startswith("labkit.site")], path


# Put together here, so that this file is not the one that is found.
FORBIDDEN = [
    "py" + "pi.org",
    "python" + "hosted",
    r"registry\.npm" + "js",
    r"deb\.debian" + r"\.org",
    r"(?<![\w.])/(root|home/\w+|Users/\w+)/",
]


def test_no_file_names_a_package_index_or_a_path_of_a_machine() -> None:
    pattern = re.compile("|".join(FORBIDDEN))
    found = []
    for path in project_files():
        if path.suffix not in (".png", ".ico"):
            text = path.read_text("utf-8")
            found += [f"{path.name}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_the_lock_holds_exact_versions_with_hashes() -> None:
    lock = (PROJECT / "binder" / "requirements.txt").read_text("utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", lock).strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_lock_answers_every_dependency() -> None:
    lock = (PROJECT / "binder" / "requirements.txt").read_text("utf-8")
    locked = set(re.findall(r"(?m)^([\w.-]+)==", lock))
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(each for extra in extras for each in extra)]:
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        assert re.sub(r"[-_.]+", "-", name[0].lower()) in locked, requirement


def test_the_readmes_commands_are_targets() -> None:
    readme = (PROJECT / "README.md").read_text("utf-8")
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    commands = set(re.findall(r"\bmake ([a-z]+)\b", readme))
    assert {"lab", "test"} <= commands
    for command in commands:
        assert re.search(rf"(?m)^{command}:", makefile), command


def test_the_readmes_example_runs() -> None:
    readme = (PROJECT / "README.md").read_text("utf-8")
    (example,) = re.findall(r"(?ms)^```python\n(.*?)^```", readme)
    printed = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert printed[1:] == ["1 ['MULTI', 'INCRBY', 'EXPIRE', 'EXEC']", "1"]
