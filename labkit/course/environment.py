"""What the course's tools need from the process's environment."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Seconds. A whole lesson runs in under 30, so a cell that takes longer than this hangs.
CELL_TIMEOUT = 60


def scripts_first() -> str:
    """PATH with this Python's own scripts in front.

    nbgrader starts `alembic` by name, and a learner's terminal should find `labkit`, without
    anybody activating the virtual environment.
    """
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block, and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
