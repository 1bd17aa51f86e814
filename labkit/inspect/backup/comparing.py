"""The differences between two databases, key by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.inspect.backup.blocks import ahead, as_bytes, looked_up, missing, named, scanned
from labkit.inspect.scripts import ask, refuse_others

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import redis

    from labkit.inspect.backup.layout import Block

_NEAR = 2  # ms; Redis 6.2 tells expiries no better


class Difference(NamedTuple):
    """A key that is not the same on two servers, and what differs."""

    key: bytes
    what: str


def compare(
    client: redis.Redis, other: redis.Redis, pattern: str | bytes = "*"
) -> Iterator[Difference]:
    """The differences between the databases of two clients, as they are found.

    Two keys are the same if their types, expiries (to 2 ms) and values are. Where DUMP says the
    same of both, so are the values. Else each is read as a whole: a list by its order, a set and a
    hash in any, the expiries of fields among it, scores to the last bit; of a stream its entries,
    last and deleted ids, groups and their consumers, and what is pending for whom, since when and
    how often. When a consumer was last seen does not matter. fakeredis does not tell since when.

    Memory holds two steps, as in `save`, and a value of each that differs in its dump. What changes
    meanwhile may show as a difference; a key that SCAN gives twice may be told twice.

    Args:
        client: The one.
        other: The other.
        pattern: Which keys, as for SCAN.

    Raises:
        TypeError: A client is not a synchronous one of one server.
        redis.RedisError: What a server refuses.
    """
    refuse_others(client)
    refuse_others(other)
    return _differences(client, other, as_bytes(pattern))


def _differences(client: redis.Redis, other: redis.Redis, pattern: bytes) -> Iterator[Difference]:
    for block in ahead(scanned(client, 0, b"0", pattern)):
        mine = dict(_rows(block))
        for part in looked_up(other, block.keys):
            for key, theirs in _rows(part):
                found = mine.pop(key, None)
                what = found and _told(client, other, key, found, theirs)
                if what:
                    yield Difference(key, what)
        yield from (Difference(key, "only in the first") for key in mine)
    for keys in named(other, pattern):
        yield from (Difference(key, "only in the second") for key in missing(client, keys))


class _Key(NamedTuple):
    kind: bytes
    expiry: int
    dump: bytes


def _rows(block: Block) -> Iterator[tuple[bytes, _Key]]:
    kinds = (block.kinds[code] for code in block.types)
    return zip(block.keys, map(_Key, kinds, block.expiries, block.dumps), strict=True)


def _told(client: redis.Redis, other: redis.Redis, key: bytes, mine: _Key, theirs: _Key) -> str:
    """What differs of a key that both have; empty: nothing."""
    if mine.kind != theirs.kind:
        return f"type: {mine.kind.decode()}, {theirs.kind.decode()}"
    what = []
    if mine.dump != theirs.dump:
        one, two = (_value(whose, key) for whose in (client, other))
        what += [name for name in one | two if one.get(name) != two.get(name)]
    if bool(mine.expiry) != bool(theirs.expiry) or abs(mine.expiry - theirs.expiry) > _NEAR:
        what.append(f"expiry: {mine.expiry or 'never'}, {theirs.expiry or 'never'}")
    return ", ".join(what)


def _value(client: redis.Redis, key: bytes) -> dict[str, Any]:
    """The value of a key in parts that can be compared."""
    kind, value, *more = ask(client, "backup_value", [key])
    match kind:
        case b"set":
            return {"members": frozenset(value)}
        case b"zset":
            scores = (float(score).hex() for score in value[1::2])
            return {"members": dict(zip(value[::2], scores, strict=True))}
        case b"hash":
            return {"fields": _pairs(value), "expiries of fields": _pairs(more[0])}
        case b"stream":
            return _stream(_pairs(value))
    return {"value": value}


def _stream(told: Mapping[bytes, Any]) -> dict[str, Any]:
    names = ("entries", "last-generated-id", "max-deleted-entry-id", "entries-added")
    groups = {group[b"name"]: _group(group) for group in map(_pairs, told[b"groups"])}
    return {name: told.get(name.encode()) for name in names} | {"groups": groups}


def _group(told: Mapping[bytes, Any]) -> tuple[Any, ...]:
    consumers = {_pairs(consumer)[b"name"] for consumer in told[b"consumers"]}
    read = (told[b"last-delivered-id"], told.get(b"entries-read"))
    return (*read, told[b"pending"], consumers)


def _pairs(flat: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
