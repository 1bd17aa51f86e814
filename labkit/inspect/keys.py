"""What keys there are: type, time to live, memory, encoding, idle time, and what they are called.

One pass with SCAN and one script for each of its steps, so that nothing but the answers travels,
and nobody waits for longer than a step. KEYS is never used.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labkit.inspect.scripts import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import redis

BATCH = 1000
"""Keys that one step looks at; the server serves nobody else for some three milliseconds then."""
ROWS = 10_000
"""Rows that a frame has at least, but for the last: small frames cost more than what is in them."""
TYPES = ("string", "list", "set", "zset", "hash", "stream")

_COLUMNS = ("key", "group", "type", "ttl", "memory", "encoding", "idle", "uses")
_ENDS = np.frombuffer(b":/\n", np.uint8)  # what ends a part
_PART = re.compile(r"[^:/\n]*[0-9][^:/\n]*")


def group_of(key: str) -> str:
    """What a key is one of many of: each part with a digit in it becomes `*`.

    Example:
        >>> group_of("user:17:cart"), group_of("news:2026-11-26"), group_of("config")
        ('user:*:cart', 'news:*', 'config')
    """
    return _PART.sub("*", key)


def batches(
    client: redis.Redis,
    pattern: str = "*",
    *,
    type: str | None = None,  # noqa: A002 - as SCAN calls it
    samples: int | None = 5,
    batch: int = BATCH,
    group: Callable[[str], str] = group_of,
) -> Generator[pd.DataFrame]:
    """What there is to know of keys, as it comes: frames with the columns of `survey`.

    Memory stays bounded however many keys there are. While one batch is worked on, the server
    looks at the next. As SCAN promises, each key that is there all the time comes at least once;
    now and then one comes twice.

    Args:
        client: Whose server it is; its database is looked at. Not a cluster: ask its nodes.
        pattern: Which keys, as for SCAN: `*`, `?`, `[ab]`.
        type: Only keys of this type.
        samples: How many parts of a large value are measured to tell its memory; 0: all of them;
            None: memory is not asked for.
        batch: How many keys one step looks at.
        group: What a key is one of many of.

    Raises:
        ValueError: There is no such type, or a number makes no sense.
        redis.RedisError: What the server refuses.
    """
    if type is not None and type not in TYPES:
        raise ValueError(f"type is {type!r}; expected one of {', '.join(TYPES)}")
    if batch < 1 or (samples is not None and samples < 0):
        raise ValueError(f"batch is {batch}, samples {samples}; expected 1 or more, 0 or more")
    words = (pattern, batch, type or "", "" if samples is None else samples)
    return _batches(client, words, group)


def _batches(
    client: redis.Redis, words: Sequence[Any], group: Callable[[str], str]
) -> Generator[pd.DataFrame]:
    steps: list[Any] = []
    waiting = 0
    with ThreadPoolExecutor(1, "labkit-survey") as ahead:
        coming = ahead.submit(_step, client, b"0", words)
        cursor = b""
        while cursor != b"0":
            cursor, *columns = coming.result()
            if cursor != b"0":
                coming = ahead.submit(_step, client, cursor, words)
            # In small pieces, while the server looks: the reply is not kept waiting.
            steps.append(_arrays(columns, group))
            waiting += len(columns[1])
            if waiting >= ROWS or (waiting and cursor == b"0"):
                yield _frame(steps)
                steps, waiting = [], 0


def survey(
    client: redis.Redis,
    pattern: str = "*",
    *,
    progress: Callable[[int], None] | None = None,
    **how: Any,
) -> pd.DataFrame:
    """What there is to know of all keys that a pattern fits, one row each.

    Args:
        client: Whose server it is.
        pattern: Which keys, as for SCAN.
        progress: Called after each step with the number of keys so far.
        **how: `type`, `samples`, `batch` and `group`, as in `batches`.

    Returns:
        A frame with the columns `key` (bytes that are no UTF-8 are escaped as surrogates), `group`,
        `type`, `ttl` (seconds, NaN: never expires), `memory` (bytes), `encoding`, `idle` (seconds)
        and `uses` (the logarithmic counter of OBJECT FREQ, 0 to 255). A server tells idle times, or
        uses under an LFU policy; what it does not tell is missing.
    """
    frames, count = [], 0
    for frame in batches(client, pattern, **how):
        frames.append(frame)
        count += len(frame)
        if progress is not None:
            progress(count)
    if not frames:
        return pd.DataFrame(columns=list(_COLUMNS))
    found = {name: _joined([frame[name] for frame in frames]) for name in _COLUMNS}
    return pd.DataFrame(found).drop_duplicates("key", keep="last", ignore_index=True)


def largest(client: redis.Redis, count: int = 10, pattern: str = "*", **how: Any) -> pd.DataFrame:
    """The keys that take most memory, the largest first; what is held does not grow with the keys.

    Args:
        client: Whose server it is.
        count: How many.
        pattern: Which keys, as for SCAN.
        **how: As in `survey`.

    Raises:
        LookupError: The server does not tell how much memory a key takes.
    """
    advice = "the server has no MEMORY USAGE, or this user may not ask for it"
    return _best(client, "memory", count, advice, pattern, **how)


def hottest(client: redis.Redis, count: int = 10, pattern: str = "*", **how: Any) -> pd.DataFrame:
    """The keys that are used most, the hottest first; under an LFU policy only.

    Arguments as in `largest`.

    Raises:
        LookupError: The server does not count uses.
    """
    advice = (
        "the server does not count how often keys are used; CONFIG SET maxmemory-policy "
        "allkeys-lfu makes it begin to"
    )
    return _best(client, "uses", count, advice, pattern, **how)


def immortal(client: redis.Redis, pattern: str = "*", **how: Any) -> pd.DataFrame:
    """The keys that never expire; arguments as in `survey`."""
    rows = survey(client, pattern, **how)
    return rows[rows["ttl"].isna()].reset_index(drop=True)


def _best(
    client: redis.Redis,
    column: str,
    count: int,
    advice: str,
    pattern: str,
    *,
    progress: Callable[[int], None] | None = None,
    **how: Any,
) -> pd.DataFrame:
    """The rows with the highest values of a column; the advice is for where none has a value."""
    if count < 1:
        raise ValueError(f"count is {count}; expected 1 or more")
    best, seen = pd.DataFrame(columns=list(_COLUMNS)), 0
    for frame in batches(client, pattern, **how):
        told = frame.dropna(subset=[column]).astype({"type": object, "encoding": object})
        if told.empty and best.empty:
            raise LookupError(advice)
        part = told.nlargest(count, column, keep="all")
        both = pd.concat([best, part]).drop_duplicates("key", keep="last") if seen else part
        best = both.sort_values([column, "key"], ascending=[False, True]).head(count)
        seen += len(frame)
        if progress is not None:
            progress(seen)
    return best.reset_index(drop=True)


def groups(
    client: redis.Redis,
    pattern: str = "*",
    *,
    progress: Callable[[int], None] | None = None,
    **how: Any,
) -> pd.DataFrame:
    """What keys there are, by group: how many, how large, how many never expire; largest first.

    Only the sums are held, so that memory does not grow with the number of keys. A key that SCAN
    gives twice counts twice.

    Args:
        client: Whose server it is.
        pattern: Which keys, as for SCAN.
        progress: As in `survey`.
        **how: As in `batches`.

    Returns:
        A frame by group: `keys`, `memory` (bytes, all together), `largest` (bytes), `immortal` (how
        many never expire) and `soonest` (seconds until the first expires; NaN: none does).
    """
    total: pd.DataFrame | None = None
    count = 0
    for frame in batches(client, pattern, **how):
        part = _summed(
            pd.DataFrame(
                {
                    "group": frame["group"],
                    "keys": 1,
                    "memory": frame["memory"],
                    "largest": frame["memory"],
                    "immortal": frame["ttl"].isna().astype(int),
                    "soonest": frame["ttl"],
                }
            )
        )
        total = part if total is None else _summed(pd.concat([total, part]).reset_index())
        count += len(frame)
        if progress is not None:
            progress(count)
    if total is None:
        return pd.DataFrame(columns=["keys", "memory", "largest", "immortal", "soonest"])
    return total.sort_values(["memory", "keys"], ascending=False)


def _summed(frame: pd.DataFrame) -> pd.DataFrame:
    ways = {"keys": "sum", "memory": "sum", "largest": "max", "immortal": "sum", "soonest": "min"}
    return frame.groupby("group").agg(ways)


def _step(client: redis.Redis, cursor: bytes, words: Sequence[Any]) -> list[Any]:
    return ask(client, "survey", (), cursor, *words)


def _arrays(columns: Sequence[Any], group: Callable[[str], str]) -> Sequence[Any]:
    """The columns of one step as a frame has them, but for the names that codes stand for."""
    keys, types, ttls, sizes, codes, idles, uses, kinds, encodings = columns
    joined = isinstance(keys, bytes)
    names = _lines(keys) if joined else [_text(key) for key in keys]
    groups = _groups(keys) if joined and group is group_of else map(group, names)
    seen = [_numbers(column, len(types)) for column in (ttls, sizes, idles, uses)]
    return names, groups, *seen, (types, kinds), (codes, encodings)


def _frame(steps: Sequence[Sequence[Any]]) -> pd.DataFrame:
    names, groups, ttls, sizes, idles, uses, types, encodings = zip(*steps, strict=True)
    return pd.DataFrame(
        {
            "key": list(chain.from_iterable(names)),
            "group": list(chain.from_iterable(groups)),
            "type": _named(types),
            "ttl": np.concatenate(ttls) / 1000,
            "memory": np.concatenate(sizes),
            "encoding": _named(encodings),
            "idle": np.concatenate(idles),
            "uses": np.concatenate(uses),
        },
        copy=False,
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _lines(names: bytes) -> list[str]:
    """Names that are the lines of one text: that takes a third of the time of one by one."""
    return _text(names).split("\n")


def _groups(names: bytes) -> list[str]:
    """`group_of` of each line; a third of the time of the regular expression."""
    text = np.frombuffer(names, np.uint8)
    end = np.isin(text, _ENDS)
    part = np.cumsum(end)
    counted = np.zeros(len(text) + 1, bool)
    counted[part[(text >= ord("0")) & (text <= ord("9"))]] = True
    inside = counted[part] & ~end  # of a part with a digit in it
    first = inside & np.append(True, end[:-1])
    return _lines(np.where(first, ord("*"), text)[first | ~inside].tobytes())


def _named(steps: Sequence[tuple[bytes, Sequence[bytes]]]) -> Any:
    """The names that letters stand for, from A on, where each step has a list of its own."""
    names = dict.fromkeys(name for _, own in steps for name in own)
    known = {name: at for at, name in enumerate(names)}
    parts = [
        np.array([-1, *(known[name] for name in own)])[np.frombuffer(codes, np.uint8) - ord("@")]
        for codes, own in steps
    ]
    return pd.Categorical.from_codes(
        np.concatenate(parts).astype(int), categories=pd.Index([name.decode() for name in known])
    )


def _numbers(column: Sequence[int], count: int) -> np.ndarray[Any, Any]:
    """So many numbers; NaN where there is none, or one below 0."""
    if not column:
        return np.full(count, np.nan)
    found = np.asarray(column, dtype=float)
    found[found < 0] = np.nan
    return found


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0].dtype, pd.CategoricalDtype):
        return pd.api.types.union_categoricals(parts)
    return pd.concat(parts, ignore_index=True)
