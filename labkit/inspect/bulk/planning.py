"""Making plans: which keys a pattern fits, and what each is to become."""

from __future__ import annotations

from collections import Counter
from itertools import compress
from typing import TYPE_CHECKING, Literal

from redis.client import NEVER_DECODE

from labkit.clock import duration
from labkit.inspect.bulk.actions import Copy, Delete, Expire, Rename, exist
from labkit.inspect.bulk.plan import SHOWN, Plan, shown
from labkit.inspect.scripts import CHUNK, chunks, database_of, refuse_others

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import redis

_LONGEST = 1000 * 365 * 86_400  # seconds


def delete(
    client: redis.Redis,
    pattern: str | bytes,
    *,
    type: str | None = None,  # noqa: A002 - as SCAN calls it
) -> Plan:
    """A plan to delete keys, with UNLINK.

    Undone, a key is back with its value and its expiry, unless its time is over or there is a new
    key of its name.

    Args:
        client: Whose keys they are. Not a cluster: ask its nodes.
        pattern: Which, as for SCAN: `*`, `?`, `[ab]`.
        type: Only keys of this type, as for SCAN: "string", "hash", ...

    Raises:
        TypeError: The client is not a synchronous one of one server.
        redis.RedisError: What the server refuses.
    """
    return Plan(client, Delete(), _found(client, pattern, type))


def expire(
    client: redis.Redis,
    pattern: str | bytes,
    ttl: float | str,
    *,
    only: Literal["immortal"] | None = None,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to let keys expire.

    Undone, a key has the expiry that it had, if it still has the one that it was given. A key whose
    time is over by then cannot be put back, and one whose former time is over goes.

    Args:
        client: Whose keys they are.
        pattern: Which, as for SCAN.
        ttl: How long they live from the moment at which their batch is run; a `duration`.
        only: "immortal": only keys that do not expire so far.
        type: Only keys of this type.

    Raises:
        TypeError: As in `delete`, or `ttl` is no duration.
        ValueError: `ttl` is no duration, below a millisecond or above 1,000 years; or there is no
            such choice as `only`.
        redis.RedisError: What the server refuses.
    """
    seconds = duration(ttl)
    if not 0.001 <= seconds <= _LONGEST:
        raise ValueError(
            f"ttl is {ttl!r}; expected a millisecond to 1,000 years. To remove keys, use delete"
        )
    if only not in (None, "immortal"):
        raise ValueError(f'only is {only!r}; expected "immortal" or None')
    keys = _found(client, pattern, type)
    if only is not None:
        keys = [key for key, left in zip(keys, _ttls(client, keys), strict=True) if left == -1]
    return Plan(client, Expire(round(seconds * 1000), only is not None), keys)


def persist(
    client: redis.Redis,
    pattern: str | bytes,
    *,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to let keys live for ever; those that do already are skipped.

    Undone as in `expire`. Arguments and errors as in `delete`.
    """
    return Plan(client, Expire(None, False), _found(client, pattern, type))


def rename(
    client: redis.Redis,
    pattern: str | bytes,
    to: Callable[[str], str] | str,
    *,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to rename keys, each to a name that is free.

    Undone, a key has its name again, whatever its value is then.

    Args:
        client: Whose keys they are.
        pattern: Which, as for SCAN.
        to: The new name: a text in which `{}` stands for the old one, such as "archive:{}"; or what
            makes the new name of the old one. Bytes that are no UTF-8 are surrogates in both.
        type: Only keys of this type.

    Raises:
        TypeError: As in `delete`.
        ValueError: Two keys would get one name, or one its own or that of a key that is there.
        redis.RedisError: What the server refuses.
    """
    keys = _found(client, pattern, type)
    targets = _named(keys, to)
    _refuse_conflicts(client, keys, targets, None)
    return Plan(client, Rename(), keys, targets)


def copy(
    client: redis.Redis,
    pattern: str | bytes,
    to: Callable[[str], str] | str = "{}",
    *,
    database: int | None = None,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to copy keys with their expiries, each to a name that is free.

    Undone, copies are deleted that are what they were when they were made.

    Args:
        client: Whose keys they are.
        pattern: Which, as for SCAN.
        to: The names of the copies, as in `rename`.
        database: The number of the database where they shall be; None: where the keys are.
        type: Only keys of this type.

    Raises:
        TypeError: As in `delete`.
        ValueError: As in `rename`.
        redis.RedisError: What the server refuses.
    """
    keys = _found(client, pattern, type)
    elsewhere = None if database == database_of(client) else database
    targets = _named(keys, to)
    _refuse_conflicts(client, keys, targets, elsewhere)
    return Plan(client, Copy(elsewhere), keys, targets)


def _found(client: redis.Redis, pattern: str | bytes, type: str | None) -> list[bytes]:  # noqa: A002
    """The keys that a pattern fits, in order; SCAN may give one twice."""
    refuse_others(client)
    match = pattern.encode("utf-8", "surrogateescape") if isinstance(pattern, str) else pattern
    return sorted(set(client.scan_iter(match, CHUNK, type, **{NEVER_DECODE: []})))


def _ttls(client: redis.Redis, keys: Sequence[bytes]) -> Iterator[int]:
    for some in chunks(keys):
        with client.pipeline(transaction=False) as pipeline:
            for key in some:
                pipeline.pttl(key)
            yield from pipeline.execute()


def _named(keys: Sequence[bytes], to: Callable[[str], str] | str) -> list[bytes]:
    names = [key.decode("utf-8", "surrogateescape") for key in keys]
    made = [to.replace("{}", name) if isinstance(to, str) else to(name) for name in names]
    return [name.encode("utf-8", "surrogateescape") for name in made]


def _refuse_conflicts(
    client: redis.Redis, keys: Sequence[bytes], targets: Sequence[bytes], database: int | None
) -> None:
    """Refuse new names that are not new, or not different."""
    pairs = list(zip(keys, targets, strict=True))
    own = set(keys) if database is None else set()
    count = Counter(targets)
    there = set(compress(targets, exist(client, targets, database)))
    for wrong, why in (
        ([key for key, target in pairs if count[target] > 1], "would share a name with another"),
        (
            [key for key, target in pairs if target == key and key in own],
            "would get their own name",
        ),
        ([key for key, target in pairs if target in own], "would get the name of one of them"),
        (
            [key for key, target in pairs if target in there],
            "would get the name of a key that is there",
        ),
    ):
        if wrong:
            left = len(wrong) - SHOWN
            more = f" and {left:,} more" if left > 0 else ""
            raise ValueError(
                f"{', '.join(map(shown, wrong[:SHOWN]))}{more} {why}; expected names that "
                "differ, and that no key has"
            )
