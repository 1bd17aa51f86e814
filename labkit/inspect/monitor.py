"""What is asked of a server right now: a sample of MONITOR, without the passwords in it.

MONITOR sends every command to whoever watches, which costs the server a good part of its speed, so
a sample always ends: after its seconds, or after so many commands.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from labkit.clock import duration
from labkit.inspect.cli import Session
from labkit.inspect.keys import group_of
from labkit.inspect.positions import CHANNELS, keys_of
from labkit.inspect.printing import typed
from labkit.inspect.words import split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import redis

    from labkit.inspect.replies import Reply

REDACTED = b"(redacted)"

_LINE = re.compile(rb'(\d+\.\d+) \[(\d+) (.*?)\] (".*)', re.DOTALL)
_SECRET = re.compile(rb"pass|auth|user", re.IGNORECASE)  # a setting whose value nobody else sees


class Seen(NamedTuple):
    """A command that the server was asked.

    Attributes:
        at: When, by the server's clock, in seconds since the epoch.
        db: The number of the database.
        client: Who asked: "ip:port", "unix:path", or "lua" for a script.
        words: The command and its arguments; passwords are redacted.
    """

    at: float
    db: int
    client: str
    words: tuple[bytes, ...]

    @property
    def command(self) -> str:
        """The command's name in capitals."""
        return _text(self.words[0].upper())

    @property
    def key(self) -> bytes | None:
        """Its first key; None where it has none.

        A table tells it, as in `positions.keys_of`: of a module's commands it may be wrong.
        """
        if self.words[0].upper() in CHANNELS:
            return None
        at = min(keys_of(self.words), default=None)
        return None if at is None else self.words[at]

    @property
    def line(self) -> str:
        """The command as it can be typed into redis-cli."""
        return typed(self.words)


@dataclass(frozen=True)
class Sample:
    """What was asked while somebody watched.

    Attributes:
        commands: In the order in which the server served them.
        seconds: How long it took.
        cut_off: Whether the largest number of commands ended it, and not the time.
    """

    commands: list[Seen]
    seconds: float
    cut_off: bool

    def frame(self) -> pd.DataFrame:
        """One row a command: at (UTC), db, client, command, key, group, line.

        Where a command has no key, `key` and `group` are missing. Bytes that are no UTF-8 are
        escaped as surrogates.
        """
        keys = [None if seen.key is None else _text(seen.key) for seen in self.commands]
        return pd.DataFrame(
            {
                "at": pd.to_datetime([seen.at for seen in self.commands], unit="s", utc=True),
                "db": pd.Series([seen.db for seen in self.commands], dtype=int),
                "client": pd.Series([seen.client for seen in self.commands], dtype=object),
                "command": pd.Series([seen.command for seen in self.commands], dtype=object),
                "key": pd.Series(keys, dtype=object),
                "group": pd.Series([key and group_of(key) for key in keys], dtype=object),
                "line": pd.Series([seen.line for seen in self.commands], dtype=object),
            }
        )

    def by_command(self) -> pd.DataFrame:
        """How often each command was asked, the most frequent first: `count`, `share` of all."""
        return self._counted("command")

    def by_key(self) -> pd.DataFrame:
        """How often each key was asked for, likewise; commands without a key are left out."""
        return self._counted("key")

    def by_group(self) -> pd.DataFrame:
        """How often the keys of each group were asked for, likewise; see `keys.group_of`."""
        return self._counted("group")

    def _counted(self, column: str) -> pd.DataFrame:
        counts = self.frame().groupby(column).size().sort_values(ascending=False, kind="stable")
        return pd.DataFrame({"count": counts, "share": counts / max(len(self.commands), 1)})


def sample(client: redis.Redis, seconds: float | str = 1.0, most: int = 10_000) -> Sample:
    """Watch what a server is asked, until the time is over or there are so many commands.

    It has a connection of its own, which is closed then. Administrators' commands (CONFIG, ACL and
    the like) are not shown by the server.

    Args:
        client: Whose server it is.
        seconds: For how long at most; a `duration`.
        most: How many commands at most.

    Raises:
        ValueError: A limit makes no sense.
        LookupError: The server has no MONITOR, or this user may not use it.
        redis.ConnectionError: The connection is lost.
    """
    limit = duration(seconds)
    if limit == 0 or most < 1:
        raise ValueError(f"seconds is {seconds!r}, most {most}; expected more than 0, 1 or more")
    start = time.monotonic()
    with contextlib.closing(Session(client).follow("MONITOR", most=most, seconds=limit)) as replies:
        commands = list(_commands(replies))
    return Sample(commands, time.monotonic() - start, cut_off=len(commands) == most)


def redacted(words: Sequence[bytes]) -> tuple[bytes, ...]:
    """A command with "(redacted)" in the place of its passwords.

    Those of AUTH, HELLO, MIGRATE, ACL SETUSER (hashes too), and of CONFIG SET and SENTINEL SET
    where a name has "pass", "auth" or "user" in it. What a script or a value holds stays.

    Example:
        >>> redacted([b"AUTH", b"ada", b"secret"])
        (b'AUTH', b'ada', b'(redacted)')
    """
    secret = set(_secrets([word.upper() for word in words]))
    return tuple(REDACTED if at in secret else word for at, word in enumerate(words))


def _commands(replies: Iterator[Reply]) -> Iterator[Seen]:
    for reply in replies:
        if reply.kind == "error":
            raise LookupError(
                f"the server answers MONITOR with {_text(reply.value)!r}; it takes a server that "
                "has MONITOR, and a user with the right to it (+monitor)"
            )
        if match := _LINE.fullmatch(reply.value):  # all but the confirmation
            at, db, who, line = match.groups()
            words = redacted(split(_text(line)))
            yield Seen(float(at), int(db), _text(who), words)


def _secrets(words: Sequence[bytes]) -> Iterator[int]:
    """Where the passwords are; the words are in capitals."""
    match words:
        case [b"AUTH", _, _]:
            yield 2
        case [b"AUTH", *_]:
            yield from range(1, len(words))
        case [b"HELLO", _, *options]:
            yield from _after(options, 2, {b"AUTH": 2})
        case [b"MIGRATE", _, _, _, _, _, *options]:
            yield from _after(options, 6, {b"AUTH": 1, b"AUTH2": 2})
        case [b"ACL", b"SETUSER", _, *rules]:
            yield from (at for at, rule in enumerate(rules, 3) if rule[:1] in b"><#!" and rule)
        case [b"CONFIG", b"SET", *_]:
            yield from _settings(words, 2)
        case [b"SENTINEL", b"SET" | b"CONFIG", _, *_]:
            yield from _settings(words, 3)


def _after(options: Sequence[bytes], begin: int, secrets: dict[bytes, int]) -> Iterator[int]:
    """Where passwords are that follow options at such distances."""
    for at, option in enumerate(options, begin):
        if option in secrets:
            yield at + secrets[option]


def _settings(words: Sequence[bytes], begin: int) -> Iterator[int]:
    """Where the values of secret settings are among names and values."""
    yield from (at + 1 for at in range(begin, len(words), 2) if _SECRET.search(words[at]))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
