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

import struct
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAGIC = b"labkit backup 1\n"
HEAD = struct.Struct("<cQI")  # kind, length and CRC-32 of a part
SUM = struct.Struct("<I")  # CRC-32 of the head


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


class Footer(msgspec.Struct, frozen=True):
    """What was counted, by database and type, and the SHA-256 of all before."""

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
