"""Writing the file of a backup, or going on with it."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from labkit.inspect.backup.counted import Counted
from labkit.inspect.backup.layout import HEAD, MAGIC, SUM, Block, Damaged, Header, Summary
from labkit.inspect.backup.reader import Reader
from labkit.inspect.durable import lock, private, sync_directory

if TYPE_CHECKING:
    from io import BufferedRandom


class Writer:
    """A backup on its way: in `<path>.part`, and under its own name when it is whole.

    Args:
        path: Where it shall be.
        header: What is asked for. If a file on its way is of the same, it goes on; else it is begun
            anew.

    Attributes:
        header: What is asked for; of a backup that goes on, its own.
        place: The database and the cursor where SCAN goes on; None: at the beginning.

    Raises:
        BlockingIOError: Another process is writing it.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._part = Path(f"{path}.part")
        self._file: BufferedRandom = open(self._part, "a+b", opener=private)  # noqa: SIM115
        self._digest = hashlib.sha256()
        self._counted = Counted()
        self.header = header
        self.place: tuple[int, bytes] | None = None
        try:
            lock(
                self._file,
                self._part,
                "another process is writing this backup; wait for it, or name another file",
            )
            self._file.truncate(self._read())
            if not self._file.tell():
                self._add(MAGIC)
                self._frame(b"H", msgspec.json.encode(header))
        except BaseException:
            self._file.close()
            raise

    @property
    def keys(self) -> int:
        """How many records there are so far."""
        return self._counted.records

    def write(self, block: Block) -> None:
        """Write a block, compressed if that makes it smaller."""
        body = msgspec.msgpack.encode(block)
        packed = zlib.compress(body, 1)
        self._frame(*((b"Z", packed) if len(packed) < len(body) else (b"B", body)))
        self._counted.add(block)

    def finish(self) -> Summary:
        """Write the footer, take everything to the disk and give the file its name."""
        self._frame(b"F", msgspec.json.encode(self._counted.footer(self._digest.hexdigest())))
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._part.replace(self._path)
        sync_directory(self._path.parent)
        return self._counted.summary(self.header, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self) -> int:
        """Where the last whole block ends; what stands after it is written again. 0: begin anew."""
        self._file.seek(0)
        end = 0
        try:
            with Reader(self._part) as reader:
                if not self.header.continues(reader.header):
                    return 0
                self.header = reader.header
                end = reader.start
                for block, end in reader.parts():  # noqa: B007 - the last one is wanted
                    self._counted.add(block)
                    self.place = (block.database, block.cursor)
        except Damaged:
            pass
        for start in range(0, end, 2**20):
            self._digest.update(self._file.read(min(2**20, end - start)))
        return end

    def _frame(self, kind: bytes, body: bytes) -> None:
        head = HEAD.pack(kind, len(body), zlib.crc32(body))
        self._add(head + SUM.pack(zlib.crc32(head)))
        self._add(body)
        self._file.flush()

    def _add(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
