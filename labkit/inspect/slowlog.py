"""The slowest commands that a server remembers, and what shapes they are of."""

from __future__ import annotations

import contextlib
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from redis.client import NEVER_DECODE

from labkit.clock import duration
from labkit.inspect.info import configured, needs
from labkit.inspect.keys import group_of
from labkit.inspect.positions import COUNTED, PAIRED, STREAMS, TWO_WORDS, keys_of
from labkit.inspect.printing import quoted, typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import redis

_COLUMNS = ("count", "p50", "p95", "largest", "total")

_OPTIONS = frozenset(
    b"ABSTTL AGGREGATE AFTER ALPHA ANY ASC ASYNC BEFORE BIT BLOCK BY BYBOX BYLEX BYRADIUS BYSCORE "
    b"BYTE CH CONSUMERS COPY COUNT DB DESC ENTRIESREAD EX EXAT FIELDS FREQ FROMLONLAT FROMMEMBER "
    b"FULL GET GROUP GT IDLE IDLETIME IDX INCR JUSTID KEEPTTL LASTID LEFT LEN LIMIT LT MATCH MAX "
    b"MAXLEN MIN MINID MINMATCHLEN MKSTREAM NOACK NOCREATE NOMKSTREAM NOSCORES NOVALUES NX "
    b"OVERFLOW PERSIST PX PXAT RANK RETRYCOUNT REV REPLACE RIGHT SAMPLES STORE STOREDIST STREAMS "
    b"SUM SYNC TIME TYPE WEIGHTS WITHCOORD WITHDIST WITHHASH WITHMATCHLEN WITHSCORE WITHSCORES "
    b"WITHVALUES XX AND OR XOR NOT M KM FT MI * + - > $ N ? ...".split()
)
_NUMBER = re.compile(rb"[(\[]?[-+]?(\d+\.?\d*(e[-+]?\d+)?|inf)|\d+-(\d+|\*)", re.IGNORECASE)
_DIGEST = re.compile(rb"~?[0-9a-f]{8}")
# A part or a pair between zero bytes, with two more of it behind, or with dots and any number.
_REPEATED = re.compile(
    r"(?<![^\0])([^\0]+(?:\0[^\0]+)??)"
    r"(?:(?:\0\1){2,}|(?:\0\1)*\0\.\.\.)(?:\0\1|\0\.\.\.)*(?![^\0])"
)
_CUT = re.compile(rb"\.\.\. \(\d+ more arguments\)")


class Entry(NamedTuple):
    """A command that took longer than `slowlog-log-slower-than`.

    Attributes:
        id: Its number, which no other entry has until the server starts again.
        at: When it ended.
        seconds: How long the server was at work on it: what it waited for does not count.
        words: The command; a server keeps 32 words of at most 128 bytes, and says what it left out.
        client: The address that it came from.
        name: What that called itself, or nothing.
    """

    id: int
    at: datetime
    seconds: float
    words: tuple[bytes, ...]
    client: str
    name: str

    @property
    def line(self) -> str:
        """The command as it can be typed into redis-cli."""
        return typed(self.words)


def entries(client: redis.Redis, count: int = 128) -> list[Entry]:
    """The latest slow commands, the latest first.

    Args:
        client: Whose server it is.
        count: How many at most. How many there are `slowlog-max-len` decides.

    Raises:
        ValueError: The count is less than 1.
        LookupError: The server has no SLOWLOG, or this user may not ask.
    """
    if count < 1:
        raise ValueError(f"count is {count}; expected 1 or more")
    asked: Any = client
    with needs("SLOWLOG GET"):
        found = asked.execute_command("SLOWLOG", "GET", count, **{NEVER_DECODE: []})
    return [_entry(*parts) for parts in found]


def _entry(
    number: int, at: int, micros: int, words: Sequence[bytes], address: bytes, name: bytes, *_: Any
) -> Entry:
    return Entry(
        number,
        datetime.fromtimestamp(at, UTC),
        micros / 1e6,
        tuple(words),
        *map(_text, (address, name)),
    )


def shape(words: Sequence[bytes]) -> str:
    """What a command is one of many of, as it would be typed.

    The name and its options stay; for a key its `keys.group_of` is there, for a number `N`, for
    another argument `?`, and `...` for what comes three times or more, and after the first pair of
    MSET. EVAL and EVALSHA have the first 8 letters of the script's digest, behind `~` where the
    log has cut the script and the digest is of what is left.

    Example:
        >>> shape([b"ZRANGE", b"board:7", b"0", b"99", b"WITHSCORES"])
        'ZRANGE board:* N N WITHSCORES'
        >>> shape([b"MGET", b"user:1", b"user:2", b"user:3"])
        'MGET user:* ...'

    Args:
        words: The command, as in `Entry`.

    Raises:
        ValueError: There is no word.
    """
    if not words:
        raise ValueError("words are empty; expected a command and its arguments")
    name = words[0].upper()
    if name in PAIRED and len(words) > 3:
        words = [*words[:3], b"..."]
    keys = keys_of(words)
    parts = [_part(name, at, word, at in keys) for at, word in enumerate(words)]
    if name in STREAMS:  # each position counts: the first half are keys
        return " ".join(parts)
    head = 1 + COUNTED.get(name, int(name in TWO_WORDS))
    return " ".join([*parts[:head], *_folded(parts[head:])])


def _part(name: bytes, at: int, word: bytes, is_key: bool) -> str:
    """What stands for a word."""
    if at == 0 or (at == 1 and name in TWO_WORDS):
        return _typed(word.upper())
    if at == 1 and name in (b"EVAL", b"EVAL_RO"):
        return _digest(word)
    if at == 1 and name in (b"EVALSHA", b"EVALSHA_RO"):
        return _typed(word.lower()[:8])
    if (at == 1 and name in (b"FCALL", b"FCALL_RO")) or (at == COUNTED.get(name)):
        return _typed(word)
    if _CUT.fullmatch(word):
        return "..."
    if is_key:
        return _typed(group_of(_text(word)).encode("utf-8", "surrogateescape"))
    if word.upper() in _OPTIONS:
        return word.upper().decode()
    return "N" if _NUMBER.fullmatch(word) else "?"


def _digest(code: bytes) -> str:
    """The script's digest, or what stands for it in a shape."""
    if _DIGEST.fullmatch(code):
        return code.decode()
    cut = "~" if re.search(rb"\.\.\. \(\d+ more bytes\)$", code) else ""
    return cut + hashlib.sha1(code, usedforsecurity=False).hexdigest()[:8]


def _folded(parts: list[str]) -> list[str]:
    """Parts that come three times or more, alone or in pairs, once, with `...` after them."""
    joined = "\0".join(parts)
    while (shorter := _REPEATED.sub("\\1\0...", joined)) != joined:
        joined = shorter
    return joined.split("\0") if joined else []


def _typed(word: bytes) -> str:
    """A word as it would be typed: in quotes where there is something odd in it."""
    text = _text(word)
    plain = text.isprintable() and not set(text) & set(" \"'") and text
    return text if plain else quoted(word).decode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def grouped(entries: Sequence[Entry]) -> pd.DataFrame:
    """Entries by the shape of their commands; what took most time, all together, first.

    Returns:
        A frame by shape: `count`, and `p50`, `p95`, `largest` and `total` in seconds.
    """
    if not entries:
        return pd.DataFrame(columns=list(_COLUMNS), index=pd.Index([], name="shape"))
    rows = [(shape(entry.words), entry.seconds) for entry in entries]
    seconds = pd.DataFrame(rows, columns=["shape", "seconds"]).groupby("shape")["seconds"]
    found = pd.DataFrame(
        {
            "count": seconds.count(),
            "p50": seconds.quantile(0.50),
            "p95": seconds.quantile(0.95),
            "largest": seconds.max(),
            "total": seconds.sum(),
        }
    )
    return found.sort_values("total", ascending=False, kind="stable")


@contextlib.contextmanager
def recording(client: redis.Redis, slower: float | str, most: int = 1024) -> Iterator[None]:
    """Have the server remember slow commands while the block runs, then set it as it was.

    Read the `entries` in the block: afterwards the server keeps as many as before.

    Args:
        client: Whose server it is.
        slower: How long a command takes at least to be remembered; a `duration`, 0: all.
        most: How many are remembered.

    Raises:
        ValueError: `slower` is no duration, or `most` less than 1.
        LookupError: The server has no such settings, or this user may not change them.
    """
    micros = round(duration(slower) * 1e6)
    if most < 1:
        raise ValueError(f"most is {most}; expected 1 or more")
    with configured(client, slowlog_log_slower_than=micros, slowlog_max_len=most):
        yield
