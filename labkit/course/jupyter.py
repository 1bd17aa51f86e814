"""Opening JupyterLab on the first lesson."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.course import catalogue
from labkit.course.environment import scripts_first

if TYPE_CHECKING:
    from collections.abc import Sequence


# Switches off what only instructors need: nbgrader's formgrader and its neighbours.
LEARNER = Path(__file__).parent / "jupyter_learner"


def lab(options: Sequence[str] = (), *, instructor: bool = False) -> int:
    """Run JupyterLab until it is stopped, the first lesson open.

    Args:
        options: Passed on to JupyterLab, such as `--no-browser` or `--port=9000`.
        instructor: Also load nbgrader's formgrader and its other tools for instructors.

    Returns:
        JupyterLab's exit code.
    """
    first = catalogue.learner_notebook(catalogue.names()[0])
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={catalogue.PROJECT}",
        f"--LabApp.default_url=/lab/tree/{first.relative_to(catalogue.PROJECT).as_posix()}",
        *options,
    ]
    try:
        return subprocess.run(command, env=_environment(instructor), check=False).returncode
    except KeyboardInterrupt:
        return 0


def _environment(instructor: bool) -> dict[str, str]:
    variables = {**os.environ, "PATH": scripts_first()}
    if not instructor:
        folders = [str(LEARNER), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
        variables["JUPYTER_CONFIG_PATH"] = os.pathsep.join(folders)
    return variables
