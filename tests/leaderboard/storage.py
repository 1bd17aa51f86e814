"""What a board keeps on the server, looked at from outside."""

from __future__ import annotations

from typing import Any

NOON = 1_795_348_800.0
"""Sunday 2026-11-22, 12:00 UTC."""

_OPTIONS: dict[str, Any] = {"NEVER_DECODE": True}


def dump(client: Any, match: str = "*") -> dict[bytes, tuple[bool, Any]]:
    """Every key with its value, and whether it has a time to live; as bytes."""
    found = {}
    for key in set(client.scan_iter(match=match, count=1000, **_OPTIONS)):
        value: Any
        kind = client.type(key)
        if kind in (b"hash", "hash"):
            flat = client.execute_command("HGETALL", key, **_OPTIONS)
            value = (
                flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
            )
        elif kind in (b"zset", "zset"):
            value = client.execute_command("ZRANGE", key, 0, -1, "WITHSCORES", **_OPTIONS)
        else:
            value = client.execute_command("XRANGE", key, "-", "+", **_OPTIONS)
        found[key] = (client.pttl(key) >= 0, value)
    return found


def mentions(client: Any, text: str) -> list[bytes]:
    """The keys in whose name or value a text occurs; the stream of past changes aside."""
    needle = text.encode()
    return [
        key
        for key, (_, value) in dump(client).items()
        if not key.endswith(b":changes") and (needle in key or needle in _flat(value))
    ]


def _flat(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b"\0\0".join(_flat(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return b"\0\0".join(map(_flat, value))
    return str(value).encode()


def check_storage(client: Any, name: str) -> None:
    """Every row has its field in the hash of members and the other way round; the index of
    distinct scores, where there is one, has exactly the scores that are there.
    """
    base = f"leaderboard:{{{name}}}:"
    keys = {key.decode().removeprefix(base) for key in dump(client, "*")}
    special = {"board", "periods", "changes", "once", "once:due", "once:by"}
    suffixes = (":members", ":levels")
    periods = {key.removesuffix(":members").removesuffix(":levels") for key in keys - special}
    board = client.execute_command("HGET", f"{base}board", "levels", **_OPTIONS)
    for period in periods:
        if period.startswith("snapshot:"):
            continue
        rows = pairs(client, f"{base}{period}")
        fields = client.execute_command("HGETALL", f"{base}{period}{suffixes[0]}", **_OPTIONS)
        if not isinstance(fields, dict):
            fields = dict(zip(fields[::2], fields[1::2], strict=True))
        stamps = {row[18:]: row[:18] for row in rows}
        assert len(stamps) == len(rows), f"a member has two rows in {period}"
        # Rows that were loaded together have one field for all.
        shared = fields.pop(b"", None)
        own = {member: value[:18] for member, value in fields.items()}
        together = {member: shared for member in stamps if member not in own}
        assert stamps == {**together, **own}, period
        levels = pairs(client, f"{base}{period}{suffixes[1]}")
        if board:
            assert set(levels.values()) == set(rows.values()), f"levels of {period}"
            assert len(levels) == len(set(rows.values())), f"levels of {period}"
        else:
            assert not levels


def pairs(client: Any, key: str) -> dict[bytes, float]:
    """A sorted set, as bytes and scores."""
    found = client.execute_command("ZRANGE", key, 0, -1, "WITHSCORES", **_OPTIONS)
    if found and isinstance(found[0], (list, tuple)):
        return {member: float(score) for member, score in found}
    return {member: float(score) for member, score in zip(found[::2], found[1::2], strict=True)}
