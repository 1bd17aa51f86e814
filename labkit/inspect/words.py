"""Command lines as redis-cli reads them."""

from __future__ import annotations

_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "b": b"\b", "a": b"\a"}
_BLANKS = " \t\n\r\v\f"
_ENDS = " \t\n\r"  # what ends a word; a vertical tab does not, although it may stand before one
_HEX = frozenset("0123456789abcdefABCDEF")


class InvalidArguments(ValueError):
    """A quote is not closed, something follows it without a blank, or it cannot be written."""


def split(line: str) -> list[bytes]:
    r"""The words of a command line.

    Words stand between blanks. In double quotes, `\n`, `\r`, `\t`, `\b`, `\a` and `\xff` are bytes,
    and a backslash before anything else is left out; in single quotes only `\'` means something
    else than it says. After a quote that closes a word there must be a blank.

    Args:
        line: As it is typed.

    Raises:
        InvalidArguments: A quote is not closed, or something follows it without a blank.
    """
    words: list[bytes] = []
    line, at = line.partition("\0")[0], 0
    while at < len(line):
        if line[at] in _BLANKS:
            at += 1
            continue
        word, at = _word(line, at)
        words.append(word)
    return words


def _word(line: str, at: int) -> tuple[bytes, int]:
    """The word that begins there, and where it ends."""
    word = bytearray()
    while at < len(line) and line[at] not in _ENDS:
        if line[at] == '"':
            at = _double(line, at + 1, word)
        elif line[at] == "'":
            at = _single(line, at + 1, word)
        else:
            word += _bytes(line[at])
            at += 1
            continue
        if at < len(line) and line[at] not in _BLANKS:
            raise InvalidArguments(
                f"{line[at]!r} follows a closing quote in {line!r}; expected a blank"
            )
        break
    return bytes(word), at


def _double(line: str, at: int, word: bytearray) -> int:
    while at < len(line):
        if line[at] == '"':
            return at + 1
        if line[at] != "\\" or at + 1 == len(line):
            word += _bytes(line[at])
            at += 1
            continue
        after = line[at + 1]
        if after == "x" and len(digits := line[at + 2 : at + 4]) == 2 and _HEX.issuperset(digits):
            word.append(int(digits, 16))
            at += 4
        else:
            word += _ESCAPES.get(after) or _bytes(after)
            at += 2
    raise InvalidArguments(f'a " is not closed in {line!r}')


def _single(line: str, at: int, word: bytearray) -> int:
    while at < len(line):
        if line[at] == "'":
            return at + 1
        if line.startswith("\\'", at):
            at += 1
        word += _bytes(line[at])
        at += 1
    raise InvalidArguments(f"a ' is not closed in {line!r}")


def _bytes(character: str) -> bytes:
    try:
        return character.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidArguments(f"{character!r} is half of a character; bytes are \\xff") from None
