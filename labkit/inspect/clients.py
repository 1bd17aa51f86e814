"""Who is connected to a server, and where the many come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from redis.client import NEVER_DECODE

from labkit.inspect.info import needs

if TYPE_CHECKING:
    import redis

_TEXTS = ("name", "addr", "user", "lib_name", "lib_ver", "flags", "cmd")
_COLUMNS = (
    *("id", "name", "addr", "user", "lib_name", "lib_ver", "db", "age", "idle", "flags", "cmd"),
    *("sub", "psub", "ssub", "multi", "watch", "qbuf", "omem", "tot_mem", "resp"),
)


def listing(client: redis.Redis) -> pd.DataFrame:
    """The connections of a server, one row each, in the server's order.

    Args:
        client: Whose server it is; its own connection is among them.

    Returns:
        A frame with columns as CLIENT LIST calls them, `_` for `-`: `id`, `name`, `addr`, `user`,
        `lib_name`, `lib_ver`, `db`, `age` and `idle` (seconds), `flags`, `cmd` (the last command),
        `sub`, `psub` and `ssub` (channels, patterns, sharded channels), `multi` (commands in a
        transaction, -1: in none), `watch` (keys), `qbuf`, `omem` and `tot_mem` (bytes that came,
        that wait to be sent, and all) and `resp`. What a server does not tell is None, or NaN.

    Raises:
        LookupError: The server has no CLIENT LIST, or this user may not ask.
    """
    asked: Any = client
    with needs("CLIENT LIST"):
        reply = asked.execute_command("CLIENT", "LIST", **{NEVER_DECODE: []})
    return parse(reply.decode("utf-8", "surrogateescape"))


def parse(told: str) -> pd.DataFrame:
    """The same from a text of CLIENT LIST."""
    rows = [_row(line) for line in told.split("\n") if line.strip()]
    return pd.DataFrame({name: _column(name, rows) for name in _COLUMNS})


def _row(line: str) -> dict[str, str]:
    fields = (field.partition("=") for field in line.strip().split(" "))
    return {name.replace("-", "_"): value for name, _, value in fields}


def _column(name: str, rows: list[dict[str, str]]) -> Any:
    told: list[Any] = [row.get(name) or None for row in rows]
    return pd.Series(told, dtype=object) if name in _TEXTS else pd.to_numeric(pd.Series(told))


def groups(client: redis.Redis) -> pd.DataFrame:
    """The connections by where they come from; the largest group first.

    Many of one origin, of which some are idle for long, are a leak: something connects and does
    not give back.

    Args:
        client: As in `listing`.

    Returns:
        A frame by `origin` (the name that clients gave themselves, or else their library, or else
        the host) and `user`: `connections`, `idle` (seconds of that which is idle longest) and
        `memory` (bytes, all together).

    Raises:
        LookupError: As in `listing`.
    """
    return groups_of(listing(client))


def groups_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The same of what `listing` gave."""
    origins = rows["name"].fillna(rows["lib_name"]).fillna(rows["addr"].map(_host))
    by = rows.assign(origin=origins).groupby(["origin", "user"], dropna=False)
    found = pd.DataFrame(
        {
            "connections": by.size(),
            "idle": by["idle"].max(),
            "memory": by["tot_mem"].sum(min_count=1),
        }
    )
    return found.sort_values(["connections", "memory"], ascending=False)


def _host(address: str) -> str:
    return address.rpartition(":")[0]
