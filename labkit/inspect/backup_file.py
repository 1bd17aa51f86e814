"""The file of a backup: parts behind their lengths and checksums, and one checksum over them all.

| Part | What is in it |
| --- | --- |
| `H` | a `Header`, as JSON |
| `B`, `Z` | a `Block`, as MessagePack; `Z`: compressed with zlib |
| `F` | what was counted, as JSON, and the SHA-256 of all before |

Each part stands behind a head, which has its kind, its length and two checksums: of the part, and
of the head itself. The footer comes last: without it, a backup is not whole.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from array import array
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import msgspec

from labkit.inspect.durable import lock, private, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from io import BufferedRandom, BufferedReader

T = TypeVar("T")

_MAGIC = b"labkit backup 1\n"
_HEAD = struct.Struct("<cQI")  # kind, length and CRC-32 of a part
_SUM = struct.Struct("<I")  # CRC-32 of the head
_SHELVES = 256


class Damaged(ValueError):
    """A file that is no backup, or is no longer what was written.

    Attributes:
        where: The byte from which on it cannot be read.
        what: What is wrong there.
    """

    def __init__(self, path: Path, where: int, what: str) -> None:
        super().__init__(f"{path} is damaged at byte {where:,}: {what}. Take another backup")
        self.where = where
        self.what = what


class Header(msgspec.Struct, frozen=True):
    """What was asked for, and of whom.

    Attributes:
        product: `redis` or `valkey`; None, like the next two, where the server does not say.
        version: Such as `7.0.15`.
        run_id: Another one each time that a server starts.
        began: When.
        pattern: Which keys, as for SCAN.
        databases: The numbers of the databases, in the order of their blocks.
        everything: Whether all databases with keys were asked for.
    """

    product: str | None
    version: str | None
    run_id: str | None
    began: datetime
    pattern: bytes
    databases: list[int]
    everything: bool

    def continues(self, other: Header) -> bool:
        """Whether the backup that is asked for with this header is the one of the other."""
        return (
            self.run_id is not None
            and (self.run_id, self.pattern, self.everything)
            == (other.run_id, other.pattern, other.everything)
            and (self.everything or self.databases == other.databases)
        )


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Some keys of a database, in columns.

    Attributes:
        database: Its number.
        cursor: Where SCAN goes on after it; empty: the database is over.
        keys: The names.
        kinds: The names of the types that there are among them.
        types: For each key its type, as a number, from 0, into `kinds`.
        expiries: When each expires, in ms since the epoch; 0: never.
        dumps: What DUMP says of each.
    """

    database: int
    cursor: bytes
    keys: list[bytes]
    kinds: list[bytes]
    types: list[int]
    expiries: list[int]
    dumps: list[bytes]


class _Footer(msgspec.Struct, frozen=True):
    blocks: int
    counts: dict[int, dict[str, int]]
    sha256: str


@dataclass(frozen=True)
class Summary:
    """What is in a backup.

    Attributes:
        product: `redis` or `valkey`; None, like the next, where the server did not say.
        version: The version of the server, such as `7.0.15`.
        began: When the backup began.
        pattern: Which keys were asked for.
        counts: How many records there are, by database and type.
        repeated: How many of them a later record of the same key replaces.
        size: The bytes of the file.
    """

    product: str | None
    version: str | None
    began: datetime
    pattern: bytes
    counts: Mapping[int, Mapping[str, int]]
    repeated: int
    size: int

    @property
    def keys(self) -> int:
        """How many keys there are in it; each counts once."""
        return sum(sum(kinds.values()) for kinds in self.counts.values()) - self.repeated


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
        self._counted = _Counted()
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
                self._add(_MAGIC)
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
        head = _HEAD.pack(kind, len(body), zlib.crc32(body))
        self._add(head + _SUM.pack(zlib.crc32(head)))
        self._add(body)
        self._file.flush()

    def _add(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)


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
            if self._file.read(len(_MAGIC)) != _MAGIC:
                self._refuse(0, "it does not begin as a backup does")
            kind, body, self.start = next(self._frames(len(_MAGIC)), (b"", b"", 0))
            if kind != b"H":
                self._refuse(len(_MAGIC), "there is no header")
            self.header = self._decoded(msgspec.json.decode, body, Header, len(_MAGIC))
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
        counted = _Counted()
        end = self.start
        for block, end in self.parts():  # noqa: B007 - the last one is wanted
            counted.add(block)
        kind, body, last = next(self._frames(end), (b"", b"", end))
        if kind != b"F":
            self._refuse(end, "its end is missing")
        footer = self._decoded(msgspec.json.decode, body, _Footer, end)
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
            head, check = self._file.read(_HEAD.size), self._file.read(_SUM.size)
            if len(check) < _SUM.size:
                self._refuse(at, "it is cut off")
            if _SUM.pack(zlib.crc32(head)) != check:
                self._refuse(at, "the head of a part was changed")
            kind, length, crc = _HEAD.unpack(head)
            body = self._file.read(length)
            if len(body) < length:
                self._refuse(at, "it is cut off")
            if zlib.crc32(body) != crc:
                self._refuse(at, "a part was changed")
            at += _HEAD.size + _SUM.size + length
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


def hashed(database: int, key: bytes) -> int:
    """The hash of a key by which `Reader.check` tells those that come more than once."""
    return hash((database, key))


class _Counted:
    """What has been counted of blocks so far."""

    def __init__(self) -> None:
        self.blocks = self.records = 0
        self.repeats = _Repeats()
        self._counts: dict[int, Counter[str]] = {}

    def add(self, block: Block) -> None:
        kinds = [kind.decode("utf-8", "replace") for kind in block.kinds]
        counts = self._counts.setdefault(block.database, Counter())
        for code, count in Counter(block.types).items():
            counts[kinds[code]] += count
        self.repeats.add(hashed(block.database, key) for key in block.keys)
        self.records += len(block.keys)
        self.blocks += 1

    def footer(self, sha256: str) -> _Footer:
        return _Footer(self.blocks, self._plain(), sha256)

    def summary(self, header: Header, size: int) -> Summary:
        counts = {number: self._plain().get(number, {}) for number in header.databases}
        return Summary(
            header.product,
            header.version,
            header.began,
            header.pattern,
            counts,
            self.repeats.count(),
            size,
        )

    def _plain(self) -> dict[int, dict[str, int]]:
        return {number: dict(kinds) for number, kinds in self._counts.items()}


class _Repeats:
    """Which keys came more than once, in 8 bytes for each."""

    def __init__(self) -> None:
        # Sorting one shelf after the other takes little more memory than there is on them.
        self._shelves = [array("q") for _ in range(_SHELVES)]

    def add(self, hashes: Iterable[int]) -> None:
        for one in hashes:
            self._shelves[one % _SHELVES].append(one)

    def found(self) -> frozenset[int]:
        return frozenset(self._twice())

    def count(self) -> int:
        return sum(1 for _ in self._twice())

    def _twice(self) -> Iterator[int]:
        for shelf in self._shelves:
            for one, other in pairwise(sorted(shelf)):
                if one == other:
                    yield one
