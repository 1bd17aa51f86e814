"""Replies with their types, which clients for programs throw away and redis-cli shows.

A client gives `b"OK"` for a status and for a text alike, and a list for an array, a set and a push.
So these are read here from the bytes of the protocol (RESP2 and RESP3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

Kind = Literal[
    "status",
    "error",
    "integer",
    "string",
    "nil",
    "array",
    "map",
    "set",
    "push",
    "double",
    "bool",
    "bignum",
    "verbatim",
]

_SIMPLE: dict[bytes, Kind] = {
    b"+": "status",
    b"-": "error",
    b":": "integer",
    b",": "double",
    b"(": "bignum",
}
_BULK: dict[bytes, Kind] = {b"$": "string", b"!": "error", b"=": "verbatim"}
_AGGREGATE: dict[bytes, Kind] = {b"*": "array", b"%": "map", b"~": "set", b">": "push"}
_LONGEST_LINE = 64 * 1024
_GIVES_TEXTS = frozenset(
    {b"get", b"getset", b"getdel", b"getex", b"getrange", b"substr", b"echo", b"hget", b"lindex"}
    | {b"lpop", b"rpop", b"lmove", b"rpoplpush", b"spop", b"srandmember", b"eval", b"evalsha"}
)  # of which "OK" may be one


class BadReply(ValueError):
    """What came is not of the protocol."""


class Reply(NamedTuple):
    """A reply, or a part of one.

    Attributes:
        kind: What the protocol calls it.
        value: The bytes of a status, error, string, double, bignum or verbatim; an int; a bool; the
            replies in an array, set or push; those of a map as key, value, key, value; None of nil.
    """

    kind: Kind
    value: Any = None


NIL = Reply("nil")


def read(stream: BinaryIO) -> Reply:
    """Read the next reply.

    Raises:
        ConnectionError: The connection ended.
        BadReply: It is not of the protocol.
    """
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\r\n"):
        if not line or len(line) < _LONGEST_LINE:
            raise ConnectionError("the server closed the connection")
        raise BadReply(f"a line of more than {_LONGEST_LINE} bytes: {line[:60]!r}")
    mark, rest = line[:1], line[1:-2]
    if mark in _SIMPLE:
        kind = _SIMPLE[mark]
        return Reply(kind, _number(rest) if kind == "integer" else rest)
    if mark in _BULK:
        length = _number(rest)
        return NIL if length < 0 else Reply(_BULK[mark], _bulk(stream, length, _BULK[mark]))
    if mark in _AGGREGATE:
        count = _number(rest)
        if count < 0:
            return NIL
        kind = _AGGREGATE[mark]
        return Reply(kind, [read(stream) for _ in range(count * (2 if kind == "map" else 1))])
    if mark == b"_":
        return NIL
    if mark == b"#" and rest in (b"t", b"f"):
        return Reply("bool", rest == b"t")
    if mark == b"|":  # attributes: about the reply that follows
        for _ in range(2 * _number(rest)):
            read(stream)
        return read(stream)
    raise BadReply(f"no reply begins with {line[:60]!r}")


def _bulk(stream: BinaryIO, length: int, kind: Kind) -> bytes:
    data = stream.read(length + 2)
    if len(data) != length + 2:
        raise ConnectionError("the server closed the connection")
    return data[4:-2] if kind == "verbatim" else data[:-2]


def _number(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError:
        raise BadReply(f"{digits[:60]!r} is no number") from None


def of_python(value: Any, command: Sequence[bytes] = ()) -> Reply:
    """A reply from what fakeredis answers, which has no protocol in between.

    Args:
        value: The answer.
        command: What was asked, since fakeredis gives a status and a text alike.
    """
    if isinstance(value, Exception):
        words = str(value)
        code = words.partition(" ")[0]
        return Reply("error", (words if code.isupper() else f"ERR {words}").encode())
    if isinstance(value, bytes) and _is_status(value, command):
        return Reply("status", value)
    return _of_python(value)


def _is_status(value: bytes, command: Sequence[bytes]) -> bool:
    name = command[0].lower() if command else b""
    return (
        value == b"QUEUED"
        or (value == b"OK" and name not in _GIVES_TEXTS)
        or (value == b"PONG" and [word.lower() for word in command] == [b"ping"])
        or name == b"type"
    )


def _of_python(value: Any) -> Reply:
    if value is None:
        return NIL
    if isinstance(value, bool):
        return Reply("bool", value)
    if isinstance(value, int):
        return Reply("integer", value)
    if isinstance(value, float):
        return Reply("double", b"%.17g" % value)
    if isinstance(value, bytes):
        return Reply("string", value)
    if isinstance(value, str):
        return Reply("string", value.encode("utf-8", "surrogateescape"))
    if isinstance(value, Exception):
        return of_python(value)
    if isinstance(value, dict):
        return Reply("map", [_of_python(part) for pair in value.items() for part in pair])
    if isinstance(value, (set, frozenset)):
        return Reply("set", sorted(map(_of_python, value)))
    if isinstance(value, (list, tuple)):
        return Reply("array", [_of_python(part) for part in value])
    raise TypeError(f"{value!r} is no reply; expected what a client of Redis answers")
