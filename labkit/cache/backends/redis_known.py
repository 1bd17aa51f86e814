"""Which ids exist, in Redis or Valkey: known to every process, see `labkit.cache.known`.

The ids of a name lie in one hash slot, under three keys:

    {<name>}:<kind>         what stands and is asked
    {<name>}:<kind>:new     what `replace` is building, for an hour at most
    {<name>}:<kind>:token   who builds it

Whoever adds ids adds them to what stands and to what is being built, so that a new id is not lost
when the one takes the place of the other.

What is not there cannot say that an id is unknown: after a FLUSHALL or an eviction every id is
taken for known until `replace` has built it anew. So it is as long as Redis cannot be reached.
"""

from __future__ import annotations

import itertools
import secrets
import struct
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.redis_trips import Asker
from labkit.cache.errors import Refused, Unavailable
from labkit.cache.known import BloomShape, several, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.cache.steps import Steps

_MOST = 1000  # ids a trip: a server does nothing else meanwhile, for a few milliseconds
_MOST_BITS = 2**32  # of a value in Redis
_HEADER = struct.Struct(">4sIQ")
_MAGIC = b"BLM\x01"  # the last byte is the version of the layout
_STANDS = b"\0"  # the member of a set that shows that it was built


class _RedisKnown:
    """What both kinds have in common."""

    _kind: str

    def __init__(self, client: Any, name: str, header: bytes) -> None:
        self._asker = Asker(client)
        self.blocking = not self._asker.asynchronous
        self.name = name
        self._header = header
        self._key = f"{{{name}}}:{self._kind}"
        self._keys = (self._key, f"{self._key}:new", f"{self._key}:token")

    def has(self, key: Any) -> Any:
        """Whether an id exists; True as well where that cannot be known.

        One round trip. It takes no longer than the time-outs and the retries of the client.

        Raises:
            ValueError: What stands there was made otherwise.
            Refused: Redis answered with an error.
        """
        return self._asker.carry_out(self._has(text_of(key)))

    def _has(self, key: str) -> Steps[bool]:
        try:
            return (yield from self._ask(key))
        except Refused:
            raise
        except Unavailable:
            return True

    def add(self, keys: Iterable[Any]) -> Any:
        """These ids exist from now on. One round trip for a thousand.

        Returns:
            Whether they are added. False where nothing stands that they could be added to: a few
            ids alone would make all others unknown, so `replace` has to come first.

        Raises:
            Unavailable: Redis cannot be reached. The ids may be taken for unknown when it can be
                again: add them once more then.
            ValueError: What stands there was made otherwise.
        """
        return self._asker.carry_out(self._add(several(keys)))

    def _add(self, keys: Iterable[str]) -> Steps[bool]:
        stands = True
        for some in _batches(keys):
            stands = (yield from self._run("add", b"", some)) and stands
        return stands

    def replace(self, keys: Iterable[Any]) -> Any:
        """These ids exist, and no others. One round trip for a thousand, and two more.

        What is there is asked until the new one is complete. Ids that are added from the beginning
        of this call on are kept. So give it an iterator that asks the database no earlier than it
        is asked itself: an id that was made between the query and this call would be lost.

        Raises:
            RuntimeError: Another `replace` has begun meanwhile; its ids will count.
            Unavailable: Redis cannot be reached. What stood before goes on standing.
        """
        return self._asker.carry_out(self._replace(several(keys)))

    def _replace(self, keys: Iterable[str]) -> Steps[None]:
        token = secrets.token_bytes(8)
        yield from self._run("begin", token, [])
        for some in _batches(keys):
            if not (yield from self._run("build", token, some)):
                raise self._superseded()
        if not (yield from self._run("finish", token, [])):
            raise self._superseded()

    def _run(self, what: str, token: bytes, keys: list[str]) -> Steps[bool]:
        values = [value for key in keys for value in self._values(key)]
        answer = yield from self._asker.script(
            f"known_{self._kind}", self._keys, what, self._header, token, *values
        )
        if answer < 0:
            raise self._otherwise()
        return bool(answer)

    def _superseded(self) -> RuntimeError:
        return RuntimeError(
            f"another replace of {self.name!r} began while this one ran, or it took over an hour; "
            "let one process at a time do it"
        )

    def _ask(self, key: str) -> Steps[bool]:
        raise NotImplementedError

    def _values(self, key: str) -> list[Any]:
        """What the script puts in for an id."""
        raise NotImplementedError

    def _otherwise(self) -> ValueError:
        raise NotImplementedError


class RedisBloom(_RedisKnown):
    """A Bloom filter in Redis, as `labkit.cache.known.BloomFilter` is in memory.

    Its size stands in its first bytes, so that processes that were given other numbers are refused
    instead of asking for other bits. Build it with `replace`; until then every id is known.

    Args:
        client: A client of redis-py; with one of `redis.asyncio` methods return awaitables.
        name: What tells it from others.
        capacity: For how many ids it is made.
        error_rate: The share of unknown ids that it takes for known once it is full.

    Raises:
        TypeError: `client` is no client of redis-py.
        ValueError: There is no filter like that, or it is larger than a value in Redis may be.
    """

    _kind = "bloom"

    def __init__(self, client: Any, name: str, capacity: int, error_rate: float = 0.01) -> None:
        self._shape = BloomShape.of(capacity, error_rate)
        header = _HEADER.pack(_MAGIC, self._shape.hashes, self._shape.bits)
        self._offset = 8 * len(header)
        if self._offset + self._shape.bits > _MOST_BITS:
            raise ValueError(
                f"capacity is {capacity} and error_rate {error_rate}, which take "
                f"{self._shape.bits} bits; a value in Redis has {_MOST_BITS} at most"
            )
        super().__init__(client, name, header)

    def _ask(self, key: str) -> Steps[bool]:
        header, *bits = yield from self._asker.ask(
            ("GETRANGE", self._key, 0, len(self._header) - 1),
            *(("GETBIT", self._key, at) for at in self._values(key)),
        )
        if header and header != self._header:
            raise self._otherwise()
        return not header or all(bits)

    def _values(self, key: str) -> list[Any]:
        return [self._offset + at for at in self._shape.positions(key)]

    def _otherwise(self) -> ValueError:
        return ValueError(
            f"the filter {self.name!r} was made with other numbers than this one, which has "
            f"{self._shape.bits} bits and {self._shape.hashes} hashes; give every process the same "
            "capacity and error_rate, or the new ones another name"
        )


class RedisIds(_RedisKnown):
    """Every id in a set in Redis; exact, at about 60 bytes each.

    Build it with `replace`; until then every id is known.

    Args:
        client: A client of redis-py; with one of `redis.asyncio` methods return awaitables.
        name: What tells it from others.

    Raises:
        TypeError: `client` is no client of redis-py.
    """

    _kind = "ids"

    def __init__(self, client: Any, name: str) -> None:
        super().__init__(client, name, _STANDS)

    def _ask(self, key: str) -> Steps[bool]:
        ((stands, found),) = yield from self._asker.ask(
            ("SMISMEMBER", self._key, self._header, key)
        )
        return bool(found or not stands)

    def _values(self, key: str) -> list[Any]:
        return [key]


def _batches(keys: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(keys)
    while some := list(itertools.islice(rest, _MOST)):
        yield some
