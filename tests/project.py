"""The files that belong to the project, with git or without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1]

# What tools and learners leave in a copy that git does not look after.
_MADE = {"__pycache__", "build", "dist", "submitted", "autograded", "feedback", "progress.json"}


def project_files() -> list[Path]:
    """What a clone would have, with the changes that are not committed yet."""
    if shutil.which("git") is None or not (PROJECT / ".git").exists():
        return [path for path in PROJECT.rglob("*") if path.is_file() and not _is_made(path)]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := PROJECT / name).is_file()]


def _is_made(path: Path) -> bool:
    parts = path.relative_to(PROJECT).parts
    hidden = [part for part in parts if part.startswith(".") and part not in (".ci", ".gitignore")]
    return bool(hidden) or bool(_MADE & set(parts))
