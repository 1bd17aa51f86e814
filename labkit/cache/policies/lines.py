"""In which line of a TOML text each key stands, which `tomllib` does not tell.

The text has been read by `tomllib` before, so that its grammar is in order; what is left is to tell
keys from what only looks like them, in strings and comments.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Path: TypeAlias = tuple[str, ...]
"""A key and the tables that it is in, the outermost first."""

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_BLANK = re.compile(r"(?:[ \t\r\n]|\#[^\n]*)*")
_OPENING = re.compile(r"\[\[?[ \t]*")
_CLOSING = re.compile(r"[ \t]*\]\]?")
_SEPARATOR = re.compile(r"[ \t]*=[ \t]*")
_PLAIN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'  # up to two quotes more belong to the text
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|[^,\[\]{}#\n]+",
    re.DOTALL,
)


def lines(text: str) -> dict[Path, int]:
    """The line of every key and table, from 1; of a table that is written in parts, the first.

    Keys in arrays have no path, and are left out.

    Args:
        text: A text that `tomllib` reads.
    """
    return _Scan(text).found


class _Scan:
    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._text = text
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._at = 0
        table: Path | None = ()
        while self._skip(_BLANK) < len(text):
            if text[self._at] == "[":
                self._skip(_OPENING)
                table = self._key(())
                self._skip(_CLOSING)
            else:
                self._assignment(table)

    def _assignment(self, table: Path | None) -> None:
        """A key and its value."""
        path = self._key(table)
        self._skip(_SEPARATOR)
        self._value(path)

    def _key(self, table: Path | None) -> Path | None:
        """A key, perhaps with dots; noted down with the tables that it stands for."""
        start = self._at
        self._skip(_KEY)
        if table is None:
            return None
        line = bisect.bisect_left(self._ends, start) + 1
        path = table
        for part in _parts(self._text[start : self._at]):
            path = (*path, part)
            self.found.setdefault(path, line)
        return path

    def _value(self, path: Path | None) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._sequence("]", lambda: self._value(None))
        elif opening == "{":
            self._sequence("}", lambda: self._assignment(path))
        else:
            self._skip(_PLAIN)

    def _sequence(self, closing: str, item: Callable[[], None]) -> None:
        """What stands between two brackets, with commas."""
        self._at += 1
        self._skip(_BLANK)
        while self._text[self._at] != closing:
            item()
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Pass over what a pattern takes; answers where that leads."""
        match = pattern.match(self._text, self._at)
        assert match is not None, self._text[self._at : self._at + 20]
        self._at = match.end()
        return self._at


def _parts(key: str) -> list[str]:
    """The parts of a key, without their quotes and escapes."""
    parts = []
    table: Any = tomllib.loads(f"{key} = 0")
    while isinstance(table, dict):
        ((part, table),) = table.items()
        parts.append(part)
    return parts
