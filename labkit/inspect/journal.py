"""A file of records that a power cut can tear only at its end.

Each record stands behind its length and two checksums, of itself and of this head. What is torn is
the last record, which was being written, and it is ignored; any other damage is refused.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Self

from labkit.inspect.durable import lock, private, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedRandom, BufferedReader

_MAGIC = b"labkit journal 1\n"
_HEAD = struct.Struct("<QI")  # length and CRC-32 of a record
_SUM = struct.Struct("<I")  # CRC-32 of the head


class Damaged(ValueError):
    """A file that is no journal, or is damaged elsewhere than at its end."""


class Journal:
    """A journal that is open, for this process alone.

    Args:
        path: Where it is.
        new: Make it; only its owner may read it. Else it is read to its end first, and what is
            torn there is cut off.

    Raises:
        FileExistsError: It is to be made and something is there.
        FileNotFoundError: It is not there.
        BlockingIOError: Another process has it open.
        Damaged: It cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], *, new: bool = False) -> None:
        self.path = Path(path)
        self._file = _created(self.path) if new else self.path.open("r+b")
        try:
            lock(self._file, self.path, "another process works with this journal")
            if new:
                self._file.write(_MAGIC)
                sync_directory(self.path.parent)
            self._end = self._sound()
            self._file.truncate(self._end)
            self._file.seek(self._end)
        except BaseException:
            self._file.close()
            raise

    def append(self, record: bytes, *, sync: bool = True) -> None:
        """Write a record.

        Args:
            record: Any bytes.
            sync: Return when it is on the disk. Else the next one that is synced takes it there,
                and until then it outlives this process, though not a power cut.
        """
        head = _HEAD.pack(len(record), zlib.crc32(record))
        self._file.write(head + _SUM.pack(zlib.crc32(head)) + record)
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())
        self._end = self._file.tell()

    def records(self) -> Iterator[bytes]:
        """The records that there are now, in order; more may be written meanwhile."""
        end = self._end
        with self.path.open("rb") as file:
            for record, after in _records(file, self.path):
                if after > end:
                    return
                yield record

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sound(self) -> int:
        """Where the last record ends that is whole."""
        self._file.flush()
        with self.path.open("rb") as file:
            end = min(len(_MAGIC), os.fstat(file.fileno()).st_size)
            for _, end in _records(file, self.path):  # noqa: B007 - the last one is wanted
                pass
        return end


def _created(path: Path) -> BufferedRandom:
    try:
        return open(path, "x+b", opener=private)
    except FileExistsError as error:
        advice = "a journal must be a new file; resume or undo this one, or name another"
        raise FileExistsError(error.errno, advice, str(path)) from None


def _records(file: BufferedReader, path: Path) -> Iterator[tuple[bytes, int]]:
    """Each record that is whole, and where it ends."""
    size = os.fstat(file.fileno()).st_size
    magic = file.read(len(_MAGIC))
    if not _MAGIC.startswith(magic):
        raise Damaged(f"{path} is no journal; expected a file that a run has written")
    while True:
        head = file.read(_HEAD.size)
        check = file.read(_SUM.size)
        if len(check) < _SUM.size:
            return
        if _SUM.pack(zlib.crc32(head)) != check:
            raise _damaged(file, path)
        length, crc = _HEAD.unpack(head)
        end = file.tell() + length
        if end > size:
            return
        record = file.read(length)
        if zlib.crc32(record) != crc:
            if end == size:
                return
            raise _damaged(file, path)
        yield record, end


def _damaged(file: BufferedReader, path: Path) -> Damaged:
    return Damaged(
        f"{path} is damaged before byte {file.tell():,}; nothing was done with it. "
        "Take it from a backup"
    )
