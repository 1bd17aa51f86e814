"""Reading the file of a backup; what is damaged is refused."""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import msgspec

from labkit.inspect.backup.counted import Counted
from labkit.inspect.backup.layout import HEAD, MAGIC, SUM, Block, Damaged, Footer, Header, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

T = TypeVar("T")


class Reader:
    """A backup that is read.

    Args:
        path: Where it is.

    Attributes:
        path: Where it is.
        header: What was asked for.
        start: Where the first block begins.

    Raises:
        FileNotFoundError: It is not there.
        Damaged: It has no beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BufferedReader = path.open("rb")
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            if self._file.read(len(MAGIC)) != MAGIC:
                self._refuse(0, "it does not begin as a backup does")
            kind, body, self.start = next(self._frames(len(MAGIC)), (b"", b"", 0))
            if kind != b"H":
                self._refuse(len(MAGIC), "there is no header")
            self.header = self._decoded(msgspec.json.decode, body, Header, len(MAGIC))
        except BaseException:
            self._file.close()
            raise

    def blocks(self, first: int = 0) -> Iterator[tuple[int, Block]]:
        """The numbers of the blocks and the blocks, from one on."""
        for number, (kind, body, end) in enumerate(self._frames(self.start)):
            if kind != b"F" and number >= first:
                yield number, self._block(kind, body, end)

    def parts(self) -> Iterator[tuple[Block, int]]:
        """The blocks as far as they are sound, and where each ends.

        Raises:
            Damaged: What follows is not sound.
        """
        for kind, body, end in self._frames(self.start):
            if kind == b"F":
                return
            yield self._block(kind, body, end), end

    def check(self) -> tuple[Summary, frozenset[int], str]:
        """Read all of it.

        Returns:
            What is in it, the hashes of the keys that come more than once (see `hashed`), and the
            SHA-256 of all but the footer.

        Raises:
            Damaged: It is not what was written.
        """
        counted = Counted()
        end = self.start
        for block, end in self.parts():  # noqa: B007 - the last one is wanted
            counted.add(block)
        kind, body, last = next(self._frames(end), (b"", b"", end))
        if kind != b"F":
            self._refuse(end, "its end is missing")
        footer = self._decoded(msgspec.json.decode, body, Footer, end)
        if last != self._size:
            self._refuse(last, "there is something after its end")
        if footer != counted.footer(self._sha256(end)):
            self._refuse(end, "the sums at its end are not those of what stands before")
        summary = counted.summary(self.header, self._size)
        return summary, counted.repeats.found(), footer.sha256

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _frames(self, at: int) -> Iterator[tuple[bytes, bytes, int]]:
        """Kind and content of each part from a place on, and where it ends."""
        while at < self._size:
            self._file.seek(at)
            head, check = self._file.read(HEAD.size), self._file.read(SUM.size)
            if len(check) < SUM.size:
                self._refuse(at, "it is cut off")
            if SUM.pack(zlib.crc32(head)) != check:
                self._refuse(at, "the head of a part was changed")
            kind, length, crc = HEAD.unpack(head)
            body = self._file.read(length)
            if len(body) < length:
                self._refuse(at, "it is cut off")
            if zlib.crc32(body) != crc:
                self._refuse(at, "a part was changed")
            at += HEAD.size + SUM.size + length
            yield kind, body, at

    def _block(self, kind: bytes, body: bytes, end: int) -> Block:
        start = end - len(body)
        if kind == b"Z":
            try:
                body = zlib.decompress(body)
            except zlib.error:
                self._refuse(start, "it cannot be decompressed")
        elif kind != b"B":
            self._refuse(start, "a part is of no known kind")
        return self._decoded(msgspec.msgpack.decode, body, Block, start)

    def _decoded(self, decode: Any, body: bytes, kind: type[T], at: int) -> T:
        try:
            found: T = decode(body, type=kind)
        except msgspec.MsgspecError as error:
            self._refuse(at, f"a part cannot be read: {error}")
        return found

    def _sha256(self, end: int) -> str:
        digest = hashlib.sha256()
        self._file.seek(0)
        for start in range(0, end, 2**20):
            digest.update(self._file.read(min(2**20, end - start)))
        return digest.hexdigest()

    def _refuse(self, where: int, what: str) -> NoReturn:
        raise Damaged(self.path, where, what)
