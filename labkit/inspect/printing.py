"""Replies as redis-cli prints them, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labkit.inspect.replies import Reply

Form = Literal["tty", "raw", "csv", "json"]

_EMPTY = {
    "array": b"(empty array)",
    "map": b"(empty hash)",
    "set": b"(empty set)",
    "push": b"(empty push)",
}
_MARKS = {"array": b")", "push": b")", "map": b"#", "set": b"~"}
_QUOTED = {
    **{byte: b"\\x%02x" % byte for byte in range(256) if not 32 <= byte < 127},
    ord("\\"): b"\\\\",
    ord('"'): b'\\"',
    ord("\n"): b"\\n",
    ord("\r"): b"\\r",
    ord("\t"): b"\\t",
    ord("\a"): b"\\a",
    ord("\b"): b"\\b",
}
_QUOTES = [_QUOTED.get(byte, bytes([byte])) for byte in range(256)]
_JSON = {
    **{byte: b"\\u%04x" % byte for byte in range(32)},
    ord('"'): b'\\"',
    ord("\\"): b"\\\\",
    ord("\n"): b"\\n",
    ord("\f"): b"\\f",
    ord("\r"): b"\\r",
    ord("\t"): b"\\t",
    ord("\b"): b"\\b",
}
_JSON_QUOTES = [_JSON.get(byte, bytes([byte])) for byte in range(256)]

# Commands, or the first two words of one, whose text is meant to be read as it is.
_AS_IT_IS = frozenset(
    {
        "info",
        "lolwut",
        "debug htstats",
        "debug htstats-key",
        "debug client-eviction",
        "memory malloc-stats",
        "memory doctor",
        "cluster nodes",
        "cluster info",
        "client list",
        "client info",
        "latency graph",
        "latency doctor",
        "proxy info",
    }
)


def shown(reply: Reply, form: Form = "tty", command: Sequence[bytes] = ()) -> bytes:
    """A reply as redis-cli prints it.

    Args:
        reply: The reply.
        form: "tty" as on a terminal (`--no-raw`), "raw" as in a pipe (`--raw`), "csv" or "json".
        command: What was asked; what INFO and a few others answer is printed as it is.

    Raises:
        ValueError: There is no such form.
    """
    if form not in get_args(Form):
        raise ValueError(f"form is {form!r}; expected one of {', '.join(get_args(Form))}")
    if _is_text(command):
        return _raw(reply)
    return _PRINTERS[form](reply)


def quoted(data: bytes) -> bytes:
    """Bytes in double quotes, with escapes for all that is no plain ASCII."""
    return b'"%s"' % b"".join([_QUOTES[byte] for byte in data])


def typed(words: Sequence[bytes]) -> str:
    """Words as a line that can be typed into redis-cli."""
    return b" ".join(map(quoted, words)).decode()


def _is_text(command: Sequence[bytes]) -> bool:
    words = [word.decode("utf-8", "replace").lower() for word in command[:2]]
    return " ".join(words[:1]) in _AS_IT_IS or " ".join(words) in _AS_IT_IS


def _tty(reply: Reply, prefix: bytes = b"") -> bytes:
    kind, value = reply
    if kind in _EMPTY:
        return _numbered(reply, prefix) if value else _EMPTY[kind] + b"\n"
    return _tty_line(kind, value) + b"\n"


def _tty_line(kind: str, value: Any) -> bytes:
    match kind:
        case "error":
            return b"(error) " + value  # type: ignore[no-any-return]
        case "integer":
            return b"(integer) %d" % value
        case "double":
            return b"(double) " + value  # type: ignore[no-any-return]
        case "bool":
            return b"(true)" if value else b"(false)"
        case "nil":
            return b"(nil)"
        case "string":
            return quoted(value)
        case _:
            return value  # type: ignore[no-any-return]


def _numbered(reply: Reply, prefix: bytes) -> bytes:
    """The parts of an aggregate, each behind its number; all but the first behind the prefix."""
    kind, parts = reply
    step = 2 if kind == "map" else 1
    width = len(str(len(parts) // step))
    deeper = prefix + b" " * (width + 2)
    lines = []
    for number, at in enumerate(range(0, len(parts), step), start=1):
        line = b"%*d%s " % (width, number, _MARKS[kind]) + _tty(parts[at], deeper)
        if kind == "map":
            value = _tty(parts[at + 1], deeper)
            below = b"\n" + deeper if b"\n" in value[:-1] else b""  # of more than one line
            line = line[:-1] + b" => " + below + value
        lines.append(line)
    return prefix.join(lines)


def _raw_line(reply: Reply) -> bytes:
    return _raw(reply) + b"\n"


def _raw(reply: Reply) -> bytes:
    match reply.kind:
        case "error":
            return reply.value + b"\n"  # type: ignore[no-any-return]
        case "nil":
            return b""
        case "bool" | "integer":
            return _tty_line(reply.kind, reply.value).removeprefix(b"(integer) ")
        case "map":
            parts = reply.value
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return b"\n".join([_raw(key) + b" " + _raw(value) for key, value in pairs])
        case "array" | "set" | "push":
            return b"\n".join(map(_raw, reply.value))
        case _:
            return reply.value  # type: ignore[no-any-return]


def _csv_line(reply: Reply) -> bytes:
    return _csv(reply) + b"\n"


def _csv(reply: Reply) -> bytes:
    kind, value = reply
    match kind:
        case "error":
            return b"ERROR," + quoted(value)
        case "status" | "string" | "verbatim":
            return quoted(value)
        case "nil":
            return b"NULL"
        case "bool":
            return b"true" if value else b"false"
        case "integer":
            return b"%d" % value
        case "array" | "set" | "push" | "map":
            return b",".join(map(_csv, value))
        case _:
            return value  # type: ignore[no-any-return]


def _json_line(reply: Reply) -> bytes:
    return _json(reply) + b"\n"


def _json(reply: Reply) -> bytes:
    kind, value = reply
    match kind:
        case "error":
            return b"error:" + quoted(value)
        case "status" | "string" | "verbatim":
            return _json_text(value)
        case "nil":
            return b"null"
        case "array" | "set" | "push":
            return b"[%s]" % b",".join(map(_json, value))
        case "map":
            pairs = zip(value[::2], value[1::2], strict=True)
            return b"{%s}" % b",".join([_json_key(key) + b":" + _json(part) for key, part in pairs])
        case _:
            return _csv(reply)


def _json_key(reply: Reply) -> bytes:
    if reply.kind in ("status", "string", "verbatim"):
        return _json_text(reply.value)
    return b'"%s"' % _csv(reply)


def _json_text(data: bytes) -> bytes:
    return b'"%s"' % b"".join([_JSON_QUOTES[byte] for byte in data])


_PRINTERS: dict[Form, Callable[[Reply], bytes]] = {
    "tty": _tty,
    "raw": _raw_line,
    "csv": _csv_line,
    "json": _json_line,
}
