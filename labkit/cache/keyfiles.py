"""Keys to warm a cache with: the most read ones of an access log, or a file that lists them."""

from __future__ import annotations

import gzip
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

_STATUS = re.compile(r'" (\d{3})(?!\d)')  # in the common log format it follows the quoted request


def most_read(
    log: str | os.PathLike[str] | Iterable[str],
    pattern: str = r"GET /articles/(\d+)",
    most: int = 1000,
) -> list[str]:
    """What an access log says was read most.

    A line counts if the pattern is in it and its status is a 2xx or 304; where a line has no
    status, it counts too.

    Args:
        log: Lines in the common log format, or the path of a file of them; one that ends in `.gz`
            is unpacked.
        pattern: A regular expression; its first group is what is counted.
        most: How many to return.

    Returns:
        The most read first; of equals, the one that came first.

    Raises:
        ValueError: The pattern has no group, or `most` is below 1.
    """
    read = re.compile(pattern)
    if not read.groups:
        raise ValueError(
            f"pattern is {pattern!r}; expected a group around the part that is to be counted, "
            r"such as (\d+)"
        )
    if most < 1:
        raise ValueError(f"most is {most!r}; expected a whole number above 0")
    lines = _lines(log) if isinstance(log, (str, os.PathLike)) else log
    counts = Counter(
        match[1] for line in lines if (match := read.search(line)) and _answered(line, match.end())
    )
    return [key for key, _ in counts.most_common(most)]


def keys_in(path: str | os.PathLike[str]) -> Iterator[str]:
    """The keys of a file with one a line, as they are read.

    Empty lines and those that begin with `#` are passed over, and so is white space around a key.

    Args:
        path: The file, in UTF-8; one that ends in `.gz` is unpacked.
    """
    for _, key in _numbered(path):
        yield key


def ids_from(path: str | os.PathLike[str], read: Callable[[str], T]) -> Iterator[T]:
    """The ids of such a file, as they are read.

    Args:
        path: The file.
        read: Makes an id of a text; raises ValueError where it is none.

    Raises:
        ValueError: A line is no id; the message names the file and the line.
        OSError: The file cannot be read; the message says what it is for.
    """
    try:
        for number, key in _numbered(path):
            try:
                found = read(key)
            except ValueError as error:
                raise ValueError(f"{os.fspath(path)}:{number}: {error}") from None
            yield found
    except FileNotFoundError as error:
        told = "there is no such file of ids to warm"
        raise FileNotFoundError(error.errno, told, str(Path(path).absolute())) from None


def _numbered(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """The keys of a file, each behind the number of its line."""
    for number, line in enumerate(_lines(path), 1):
        key = line.strip()
        if key and not key.startswith("#"):
            yield number, key


def _lines(path: str | os.PathLike[str]) -> Iterator[str]:
    opened = gzip.open if Path(path).suffix == ".gz" else open
    # A log holds what clients sent; bytes that are no text spoil one line, not the whole file.
    with cast("TextIO", opened(path, "rt", encoding="utf-8-sig", errors="replace")) as file:
        yield from file


def _answered(line: str, start: int) -> bool:
    status = _STATUS.search(line, start)
    return status is None or status[1].startswith("2") or status[1] == "304"
