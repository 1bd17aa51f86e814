"""Which ids exist, so that made-up ones never reach the database.

Whoever asks for ids that do not exist misses every cache, and each miss is a query. What knows the
ids that do exist answers such questions itself. It may take an id that does not exist for a known
one, which costs a query; it never takes one that exists for unknown.

An id may be whatever a key can be made of, and is asked for by its text: see `text_of`. So 1 and
"1" are one id here, which no source has two of.
"""

from __future__ import annotations

import hashlib
import math
import struct
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from labkit.cache.keys import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

_HEADER = struct.Struct(">4sQdQ8s")
_MAGIC = b"BLM\x01"  # the last byte is the version of the layout


class Known(Protocol):
    """Knows which ids exist, by their texts. Methods may as well be coroutine functions."""

    blocking: bool
    """Whether a call may wait for something outside this process, without being a coroutine."""

    def has(self, key: str) -> bool | Awaitable[bool]:
        """Whether an id exists; True as well where that is not certain."""

    def add(self, keys: Iterable[str]) -> object:
        """These ids exist from now on."""


def text_of(key: Any) -> str:
    """What stands for an id: a text for itself, anything else as it stands in a key.

    Raises:
        Unkeyable: It has no text of its own.
    """
    return str(key) if isinstance(key, str) else encode(key)


class KnownSet:
    """Knows every id itself; exact, at about 100 bytes each.

    Args:
        keys: The ids.

    Example:
        >>> ids = KnownSet([1, 2])
        >>> ids.has(1), ids.has("1"), ids.has(3)
        (True, True, False)
    """

    blocking = False

    def __init__(self, keys: Iterable[Any] = ()) -> None:
        self._keys: set[str] = set()
        self.add(keys)

    def has(self, key: Any) -> bool:
        """Whether an id exists."""
        return text_of(key) in self._keys

    def add(self, keys: Iterable[Any]) -> None:
        """These ids exist from now on."""
        self._keys.update(several(keys))

    def __len__(self) -> int:
        """How many ids there are."""
        return len(self._keys)


class BloomShape(NamedTuple):
    """How large a Bloom filter is, and which of its bits stand for an id.

    The bits of an id are h1, h1 + h2, h1 + 2 * h2 ... for two hashes: that is as good as many
    hashes (Kirsch and Mitzenmacher, *Less Hashing, Same Performance: Building a Better Bloom
    Filter*, 2006). They are the same in every process and on every machine.

    Attributes:
        bits: How many bits the filter has.
        hashes: How many of them stand for an id.
    """

    bits: int
    hashes: int

    @classmethod
    def of(cls, capacity: int, error_rate: float) -> BloomShape:
        """The smallest shape for so many ids and such a share of errors.

        Raises:
            ValueError: There is none: `capacity` is below 1, or `error_rate` no share between 0
                and 1.
        """
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise ValueError(f"capacity is {capacity!r}; expected a number of ids, 1 or more")
        if not 0 < error_rate < 1:
            raise ValueError(
                f"error_rate is {error_rate!r}; expected a share above 0 and below 1, such as 0.01"
            )
        bits = math.ceil(-capacity * math.log(error_rate) / math.log(2) ** 2)
        return cls(bits, max(1, round(bits / capacity * math.log(2))))

    def positions(self, key: str) -> list[int]:
        """Which bits stand for an id."""
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        first = int.from_bytes(digest[:8], "big")
        step = int.from_bytes(digest[8:], "big")
        return [(first + i * step) % self.bits for i in range(self.hashes)]


class BloomFilter:
    """Knows ids in a few bits each, and takes a small share of others for known.

    Each id sets a few bits; one with a bit that nobody has set is certainly not there (Bloom,
    *Space/Time Trade-offs in Hash Coding with Allowable Errors*, 1970). At 1 % of errors that is
    9.6 bits an id. An id cannot be taken out: make a new filter when many are gone.

    Args:
        capacity: For how many ids it is made. It takes more, and errs more often then.
        error_rate: The share of unknown ids that it takes for known once it is full.

    Raises:
        ValueError: There is no filter like that.
    """

    blocking = False

    def __init__(self, capacity: int, error_rate: float = 0.01) -> None:
        self._shape = BloomShape.of(capacity, error_rate)
        self.capacity = capacity
        self.error_rate = error_rate
        self._bytes = bytearray((self._shape.bits + 7) // 8)
        self._count = 0
        self._lock = threading.Lock()  # two who set bits of one byte could lose one of them

    @property
    def shape(self) -> BloomShape:
        """How large it is."""
        return self._shape

    @property
    def fill(self) -> float:
        """The share of bits that are set: a half where it holds what it is made for."""
        return int.from_bytes(self._bytes, "big").bit_count() / self._shape.bits

    @property
    def expected_error(self) -> float:
        """The share of unknown ids that it takes for known as it is now."""
        return float(self.fill**self._shape.hashes)

    def has(self, key: Any) -> bool:
        """Whether an id exists; one that does not is taken for known now and then."""
        found = self._bytes
        return all(found[at >> 3] & 128 >> (at & 7) for at in self._shape.positions(text_of(key)))

    def add(self, keys: Iterable[Any]) -> None:
        """These ids exist from now on."""
        for key in several(keys):
            positions = self._shape.positions(key)
            with self._lock:
                new = False
                for at in positions:
                    mask = 128 >> (at & 7)
                    new |= not self._bytes[at >> 3] & mask
                    self._bytes[at >> 3] |= mask
                self._count += new

    def __len__(self) -> int:
        """How many ids were new to it: those that were added, but for the few it took for known."""
        return self._count

    def dumps(self) -> bytes:
        """The filter as bytes, for `loads`."""
        with self._lock:
            content = bytes(self._bytes)
            count = self._count
        head = (self.capacity, self.error_rate, count)
        return _HEADER.pack(_MAGIC, *head, _sum(*head, content)) + content

    @classmethod
    def loads(cls, data: bytes) -> BloomFilter:
        """The filter that `dumps` made bytes of.

        Raises:
            ValueError: The bytes are not a whole filter.
        """
        if len(data) >= _HEADER.size:
            magic, capacity, error_rate, count, digest = _HEADER.unpack_from(data)
            content = data[_HEADER.size :]
            if magic == _MAGIC and digest == _sum(capacity, error_rate, count, content):
                made = cls(capacity, error_rate)
                if len(content) == len(made._bytes):
                    made._bytes[:] = content
                    made._count = count
                    return made
        raise ValueError(
            f"these {len(data)} bytes are no whole Bloom filter; expected what dumps() returned"
        )

    def __repr__(self) -> str:
        return f"<BloomFilter of {self.capacity} ids: {len(self)} added, {self.fill:.0%} full>"


def several(keys: Iterable[Any]) -> Iterable[str]:
    """The texts of ids, as they are asked for, unless they are one text.

    Raises:
        TypeError: They are one text, whose characters would be taken for ids.
    """
    if isinstance(keys, (str, bytes)):
        raise TypeError(f"keys is the text {keys!r}; expected several ids: [{keys!r}]")
    return map(text_of, keys)


def _sum(capacity: int, error_rate: float, count: int, content: bytes) -> bytes:
    """What shows that no byte of a filter has changed: a bit that is lost hides an id."""
    head = struct.pack(">QdQ", capacity, error_rate, count)
    return hashlib.blake2b(head + content, digest_size=8).digest()
