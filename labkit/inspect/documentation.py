"""Help on commands as redis-cli gives it, and what a line that is begun may become.

All of it is what the server says of its commands, asked once for each pool of connections.
"""

from __future__ import annotations

import queue
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
from redis.client import NEVER_DECODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PATIENCE = 0.5
"""Seconds that `complete` waits for a server that was not asked before."""

_ABOUT = """\
To get help about Redis commands type:
      "help @<group>" to get a list of commands in <group>
      "help <command>" for help on <command>
      "help <tab>" to get a list of possible help topics
      "quit" to exit

To set redis-cli preferences:
      ":set hints" enable online hints
      ":set nohints" disable online hints
Set your preferences in ~/.redisclirc
"""
_NO_TEXTS = (
    "The texts of help come from COMMAND DOCS, which servers have from version 7 on; this one "
    "does not, or does not let this user ask."
)
_UNKNOWN = "not known"


class _Entry(NamedTuple):
    """What there is to say of a command; its name as in "CLIENT LIST"."""

    name: str
    arguments: str
    summary: str
    since: str
    group: str


class _Book(NamedTuple):
    """The commands of a server in the order of their names, and whether it has texts for them."""

    entries: Sequence[_Entry]
    has_texts: bool


_books: weakref.WeakKeyDictionary[Any, _Book] = weakref.WeakKeyDictionary()


def helped(client: redis.Redis, words: Sequence[bytes]) -> str:
    """What redis-cli prints for `help` and these words behind it, to the last byte.

    It writes escape codes for colours wherever it writes to, and so does this. Of a server without
    COMMAND DOCS (fakeredis, Redis 6.2) there are names, arities and flags, and a sentence says so.

    Args:
        client: Whose server it is.
        words: A command, a command and its subcommand, `@` and a group, or nothing.

    Raises:
        redis.ConnectionError: The server is not reached.
    """
    if not words:
        return f"redis-cli {_version(client)}".rstrip() + "\n" + _ABOUT
    book = _book(client)
    asked = [word.upper().decode("utf-8", "surrogateescape") for word in words]
    group = asked[0].removeprefix("@").lower()
    if asked[0].startswith("@") and group in _groups(book):
        found = [_printed(entry) for entry in book.entries if entry.group == group]
    else:
        matching = (e for e in book.entries if e.name.split(" ")[: len(asked)] == asked)
        found = [_printed(e) + _line("group", e.group) for e in matching]
    note = "" if book.has_texts else f"\r\n  {_NO_TEXTS}\r\n"
    return "".join([note, *found, "\r\n"])


def complete(client: redis.Redis, text: str) -> list[str]:
    """What a line that is begun may become: commands with their subcommands, in capitals.

    After `help` also groups. It never raises, and waits no longer than PATIENCE: of a server that
    is not reached, or does not answer in time, there is nothing.

    Example:
        >>> complete(client, "client li"), complete(client, "help @so")
        (['CLIENT LIST'], ['help @sorted-set'])
    """
    return in_time(lambda: _continued(_book(client), text))


def in_time(work: Callable[[], list[str]]) -> list[str]:
    """What work gives; nothing when it fails, or takes longer than PATIENCE."""
    given: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def run() -> None:
        try:
            given.put(work())
        except Exception:  # whatever it is, nobody who types wants to see it
            given.put([])

    threading.Thread(target=run, name="labkit-complete", daemon=True).start()
    try:
        return given.get(timeout=PATIENCE)
    except queue.Empty:
        return []


def _continued(book: _Book, text: str) -> list[str]:
    names = [entry.name for entry in book.entries]
    begin = 0
    if text[:5].lower() == "help ":
        begin = len(text) - len(text[5:].lstrip())
        names = [f"@{group}" for group in _groups(book)] + names
    typed = text[begin:].lower()
    return [text[:begin] + name for name in names if name.lower().startswith(typed)]


def _groups(book: _Book) -> list[str]:
    return sorted({entry.group for entry in book.entries} - {_UNKNOWN})


def _printed(entry: _Entry) -> str:
    head = f"\r\n  \x1b[1m{entry.name}\x1b[0m \x1b[90m{entry.arguments}\x1b[0m\r\n"
    return head + _line("summary", entry.summary) + _line("since", entry.since)


def _line(name: str, value: str) -> str:
    return f"  \x1b[33m{name}:\x1b[0m {value}\r\n"


def _version(client: redis.Redis) -> str:
    """The version of Redis that a server says it is, or is compatible with; "" if it does not."""
    try:
        found: Any = client.info("server")
    except redis.ResponseError:
        return ""
    return str(found["redis_version"])


def _book(client: redis.Redis) -> _Book:
    pool = client.connection_pool
    if pool not in _books:
        _books[pool] = _asked(client)
    return _books[pool]


def _asked(client: Any) -> _Book:
    try:
        docs = client.execute_command("COMMAND DOCS", **{NEVER_DECODE: []})
        return _Book(sorted(_entries(_mapping(docs))), has_texts=True)
    except redis.ResponseError:
        pass
    try:
        known = client.command()
    except redis.ResponseError:
        known = {}
    return _Book(sorted(_untold(*item) for item in known.items()), has_texts=False)


def _entries(docs: Mapping[str, Any]) -> Iterator[_Entry]:
    """The entries of COMMAND DOCS, those of subcommands among them."""
    for name, about in docs.items():
        doc = _mapping(about)
        texts = [_text(doc.get(field, _UNKNOWN)) for field in ("summary", "since", "group")]
        yield _Entry(_name(name), _syntax(doc.get("arguments", ())), *texts)
        yield from _entries(_mapping(doc.get("subcommands", ())))


def _untold(name: str, about: Mapping[str, Any]) -> _Entry:
    """What COMMAND says of a command."""
    flags = " ".join(sorted(map(_text, about["flags"]))) or "none"
    summary = f"arity {about['arity']}, flags: {flags}"
    return _Entry(_name(name), "", summary, _UNKNOWN, _UNKNOWN)


def _name(name: str) -> str:
    return name.upper().replace("|", " ")


def _syntax(arguments: Sequence[Any], between: str = " ") -> str:
    return between.join([_argument(_mapping(argument)) for argument in arguments])


def _argument(about: Mapping[str, Any]) -> str:
    """An argument as in `[LIMIT offset count]`."""
    flags = {_text(flag) for flag in about.get("flags", ())}
    # A token may be empty, and is written as two quotes then.
    token = [_text(about["token"]) or '""'] if "token" in about else []
    match _text(about["type"]):
        case "pure-token":
            value = []
        case "oneof":
            value = [_syntax(about["arguments"], "|")]
        case "block":
            value = [_syntax(about["arguments"])]
        case _:
            value = [_text(about["name"])]
    parts = token + value
    if "multiple" in flags:
        again = parts if "multiple_token" in flags else value
        parts = [*parts, f"[{' '.join(again)} ...]"]
    return f"[{' '.join(parts)}]" if "optional" in flags else " ".join(parts)


def _mapping(value: Any) -> dict[str, Any]:
    """A map of RESP3, or the pairs that RESP2 gives for one."""
    pairs = value.items() if isinstance(value, dict) else zip(value[::2], value[1::2], strict=True)
    return {_text(key): part for key, part in pairs}


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
