"""Flags that processes share, in a file, however Redis is."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

STOP: Final = 0
"""Nobody begins anything new."""
SOURCE_AWAY: Final = 1
"""The source raises."""
CLOCK_JUMPED: Final = 2
"""The wall clock of the first process is an hour ahead."""
READY: Final = 16
"""From here on one flag a process: it acts."""
WELL: Final = 64
"""From here on one flag a process: it asks Redis, owes it nothing, and hears of changes."""
DONE: Final = 128
"""From here on one flag a process: it acts no more."""

_SIZE = 256


class Signs:
    """Some flags.

    Args:
        path: Their file, which is made where there is none.
    """

    def __init__(self, path: str) -> None:
        if not Path(path).exists():
            Path(path).write_bytes(bytes(_SIZE))
        with Path(path).open("r+b") as file:
            self._flags = mmap.mmap(file.fileno(), _SIZE)

    def set(self, flag: int, up: bool = True) -> None:
        """Raise a flag, or lower it."""
        self._flags[flag] = up

    def up(self, flag: int) -> bool:
        """Whether a flag is raised."""
        return bool(self._flags[flag])

    def all_up(self, first: int, count: int) -> bool:
        """Whether so many flags in a row are raised."""
        return all(self._flags[first : first + count])
