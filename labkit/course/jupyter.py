"""Opening JupyterLab on the first lesson."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.course import catalogue
from labkit.course.environment import environment, scripts_first

if TYPE_CHECKING:
    from collections.abc import Sequence


# Switches off what only instructors need: nbgrader's formgrader and its neighbours.
LEARNER = Path(__file__).parent / "jupyter_learner"


def lab(options: Sequence[str] = (), *, instructor: bool = False) -> int:
    """Run JupyterLab until it is stopped, the first lesson open.

    It runs in this process, so that Ctrl+C and every other signal reach it and nothing else.

    Args:
        options: Passed on to JupyterLab, such as `--no-browser` or `--port=9000`.
        instructor: Also load nbgrader's formgrader and its other tools for instructors.

    Returns:
        0 once it was stopped. When it cannot start it says why and raises SystemExit.
    """
    from jupyterlab.labapp import LabApp

    first = catalogue.learner_notebook(catalogue.names()[0])
    with environment(_variables(instructor)):
        LabApp.launch_instance(
            [
                f"--ServerApp.root_dir={catalogue.PROJECT}",
                f"--LabApp.default_url=/lab/tree/{first.relative_to(catalogue.PROJECT).as_posix()}",
                # In a container the learner is often root. It listens on loopback, with a token.
                "--ServerApp.allow_root=True",
                *options,
            ]
        )
    return 0


def _variables(instructor: bool) -> dict[str, str]:
    variables = {"PATH": scripts_first()}
    if not instructor:
        folders = [str(LEARNER), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
        variables["JUPYTER_CONFIG_PATH"] = os.pathsep.join(folders)
    return variables
