"""Files that are for one process and its owner alone, and are there after a power cut."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path


def private(name: str, flags: int) -> int:
    """Opens a file that only its owner may read, as `open(opener=)` wants it."""
    return os.open(name, flags, 0o600)


def lock(file: IO[bytes], path: Path, advice: str) -> None:
    """Keep other processes out until the file is closed; Windows lets them in.

    Raises:
        BlockingIOError: Another process keeps us out; `advice` says what to do.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, advice, str(path)) from None


def sync_directory(path: Path) -> None:
    """Take new names in a directory to the disk."""
    if sys.platform == "win32":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
