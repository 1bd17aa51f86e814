"""When keys expire, which never do, and watching them go.

What is counted comes from one pass of `keys.batches`; only sums are held, however many keys there
are. A key that SCAN gives twice counts twice.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import redis

from labkit import charts
from labkit.calls import text
from labkit.clock import duration
from labkit.inspect import keys
from labkit.inspect.cli import Session

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from labkit.inspect.replies import Reply

NEVER = "never"
BINS = ("< 1 min", "1-10 min", "10-60 min", "1-24 h", "1-7 d", "> 7 d", NEVER)
"""The ranges of times to live; each begins where the one before ends."""

_EDGES = (60, 600, 3_600, 86_400, 7 * 86_400)  # seconds
_SETTING = "notify-keyspace-events"
_FLAGS = "KEg$lshzxetdmnoc"  # those of all versions, but for A, which stands for others
_KINDS = frozenset(_FLAGS) - frozenset("KE") | {"A"}


class Event(NamedTuple):
    """Something that happened to a key.

    Attributes:
        key: The key.
        kind: What: "expired", "evicted", or with more flags the name of a command such as "del",
            "expire", "persist", "set".
        at: When it was heard of, in seconds since the epoch.
    """

    key: bytes
    kind: str
    at: float


def histogram(client: redis.Redis, pattern: str = "*", **how: Any) -> pd.DataFrame:
    """How many keys expire within which time, and how much memory they take.

    Args:
        client: Whose server it is.
        pattern: Which keys, as for SCAN.
        **how: As in `keys.batches`.

    Returns:
        A frame by range of time to live, BINS: `keys`, and `memory` in bytes (NaN: the server does
        not tell).
    """
    counts, sums, told = (np.zeros(len(BINS)) for _ in range(3))
    for frame in keys.batches(client, pattern, **how):
        ttl, memory = frame["ttl"].to_numpy(), frame["memory"]
        where = np.where(np.isnan(ttl), len(BINS) - 1, np.searchsorted(_EDGES, ttl, side="right"))
        counts += np.bincount(where, minlength=len(BINS))
        sums += np.bincount(where, memory.fillna(0), len(BINS))
        told += np.bincount(where, memory.notna(), len(BINS))
    sums[(told == 0) & (counts > 0)] = np.nan
    index = pd.Index(BINS, name="ttl")
    return pd.DataFrame({"keys": counts.astype(int), "memory": sums}, index=index)


def soon(
    client: redis.Redis,
    within: float | str = "5m",
    pattern: str = "*",
    *,
    most: int = 1000,
    **how: Any,
) -> pd.DataFrame:
    """The keys that expire within a time, the soonest first.

    Args:
        client: Whose server it is.
        within: A `duration`.
        pattern: Which keys, as for SCAN.
        most: How many rows at most; no more are held.
        **how: As in `keys.batches`; memory is not asked for unless `samples` says so.

    Returns:
        A frame with the columns `key`, `group` and `ttl` (seconds).

    Raises:
        ValueError: `within` is no duration, or `most` makes no sense.
    """
    limit = duration(within)
    if most < 1:
        raise ValueError(f"most is {most}; expected 1 or more")
    best = pd.DataFrame(columns=["key", "group", "ttl"])
    for frame in keys.batches(client, pattern, **{"samples": None, **how}):
        near = frame.loc[frame["ttl"] <= limit, ["key", "group", "ttl"]]
        both = pd.concat([best, near]) if len(best) else near
        best = both.drop_duplicates("key", keep="last").sort_values(["ttl", "key"]).head(most)
    return best.reset_index(drop=True)


def immortal(client: redis.Redis, pattern: str = "*", **how: Any) -> pd.DataFrame:
    """The groups that have keys without a time to live; those that take most memory first.

    Args:
        client: Whose server it is.
        pattern: Which keys, as for SCAN.
        **how: As in `keys.batches`.

    Returns:
        A frame by group: `immortal` (how many never expire), `keys` (how many there are), `share`
        (of the ones in the others), `memory` (bytes that those which never expire take; NaN: the
        server does not tell).
    """
    total = pd.DataFrame({"immortal": [], "keys": [], "memory": []}, dtype=float)
    for frame in keys.batches(client, pattern, **how):
        never = frame["ttl"].isna()
        rows = pd.DataFrame({"immortal": never, "keys": 1, "memory": frame["memory"].where(never)})
        part = rows.groupby(frame["group"]).sum(min_count=1)
        total = total.add(part, fill_value=0)
    total = total[total["immortal"] > 0].astype({"immortal": int, "keys": int})
    total.insert(2, "share", total["immortal"] / total["keys"])
    return total.sort_values(["memory", "immortal"], ascending=False).rename_axis("group")


def chart(client: redis.Redis, pattern: str = "*", **how: Any) -> charts.Chart:
    """The `histogram` of how many keys expire when, with what never does set apart.

    Arguments as in `histogram`.
    """
    counts = histogram(client, pattern, **{"samples": None, **how})["keys"]
    return charts.histogram(
        dict(zip(BINS, counts, strict=True)), unit="keys", across="time to live", apart=NEVER
    )


@contextlib.contextmanager
def notifying(client: redis.Redis, flags: str = "Kxe") -> Iterator[None]:
    """Let the server tell what happens to keys; after `with` its setting is what it was.

    It costs the server a message for each event, and only those who listen are told.

    Args:
        client: Whose server it is.
        flags: Those of notify-keyspace-events that it takes, added to those that are set. `watch`
            needs K, and one for what is to be heard: x expired, e evicted, g for DEL, EXPIRE,
            PERSIST and the like, $ for those of strings, A for nearly all.

    Raises:
        ValueError: There is no such flag.
        LookupError: The server has no CONFIG, or this user may not use it.
    """
    if unknown := {*flags} - {*_FLAGS, "A"}:
        raise ValueError(f"flags are {flags!r}; {sorted(unknown)} are none of {_FLAGS}A")
    before = _flags(client)
    if before is None:
        raise LookupError(
            "the server has no CONFIG, or this user may not use it; where it is set up, add "
            f"{flags} to {_SETTING}"
        )
    client.config_set(_SETTING, _with(before, flags))
    try:
        yield
    finally:
        client.config_set(_SETTING, before)


def watch(
    client: redis.Redis,
    pattern: str = "*",
    *,
    most: int | None = None,
    seconds: float | str | None = None,
) -> Generator[Event]:
    """What happens to keys, as it comes, from now on.

    The server keeps nothing of it: what happens while nobody is connected, or after the connection
    is lost, is missed. A key is "expired" when the server removes it, which may be a while after
    its time was over.

    Args:
        client: Whose server it is; its database is watched. See `notifying`.
        pattern: Which keys, as for SCAN.
        most: How many events; without it and `seconds`, until it is interrupted (Ctrl-C).
        seconds: A `duration`, after which it ends.

    Raises:
        LookupError: The server does not tell what happens to keys, or not this user.
        redis.ConnectionError: The connection is lost.

    Warns:
        UserWarning: It cannot be seen whether the server tells; where it does not, nothing comes.

    Example:
        >>> with notifying(client):
        ...     for event in watch(client, "session:*", most=1):
        ...         print(event.kind, event.key)
    """
    limit = None if seconds is None else duration(seconds)
    _refuse_silence(client)
    prefix = f"__keyspace@{client.connection_pool.connection_kwargs.get('db') or 0}__:"
    channel = (prefix + pattern).encode("utf-8", "surrogateescape")
    replies = Session(client).follow("PSUBSCRIBE", channel, most=most, seconds=limit)
    first = next(replies, None)  # from here on nothing is missed
    if first is not None and first.kind == "error":
        raise LookupError(f"the server answers PSUBSCRIBE {channel!r} with {text(first.value)!r}")
    return _events(replies, len(prefix))


def _events(replies: Generator[Reply], prefix: int) -> Generator[Event]:
    with contextlib.closing(replies):
        for reply in replies:
            _, _, channel, kind = (part.value for part in reply.value)
            yield Event(channel[prefix:], text(kind), time.time())


def _refuse_silence(client: redis.Redis) -> None:
    """Raise an error when the server does not tell what happens to keys."""
    flags = _flags(client)
    if flags is None:
        warnings.warn(
            f"it cannot be seen whether {_SETTING} is set; where it is not, nothing comes",
            stacklevel=3,
        )
    elif "K" not in flags or not _KINDS & {*flags}:
        needed = _with(flags, "K" if _KINDS & {*flags} else "Kxe")
        raise LookupError(
            f"the server does not tell what happens to keys: {_SETTING} is {flags!r}; watch within "
            f"`with notifying(client):`, or type CONFIG SET {_SETTING} {needed}"
        )


def _flags(client: redis.Redis) -> str | None:
    """What the setting is; None where that cannot be seen."""
    try:
        found: Any = client.config_get(_SETTING)
    except redis.ResponseError:
        return None
    return text(next(iter(found.values()), ""))


def _with(flags: str, more: str) -> str:
    return flags + "".join(flag for flag in more if flag not in flags)
