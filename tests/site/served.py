"""A service of `labkit serve`, run as a process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 60.0
"""Seconds after which something that should have happened counts as not happening."""


@contextlib.contextmanager
def command(*arguments: str, service: str = "newsroom") -> Iterator[subprocess.Popen[str]]:
    """Serve on a free port; the process is gone when the block is left."""
    options = ["--port", "0", "--log-level", "error", *arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", "serve", service, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What the command says when it is ready, and the address that it names."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return line, line.split()[4].rstrip(",")
