"""`%redis` and `%%redis`: redis-cli in a notebook. `%load_ext labkit.inspect` brings them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from labkit.inspect.cli import client_of, session
from labkit.inspect.documentation import complete, in_time

if TYPE_CHECKING:
    import redis

    from labkit.inspect.printing import Form

_FORMS: dict[str, Form] = {"--no-raw": "tty", "--raw": "raw", "--csv": "csv", "--json": "json"}


class _Asked(NamedTuple):
    """What the options say, and the rest of the line."""

    form: Form
    url: str | None
    resp: Literal[2, 3]
    rest: str


def load(shell: Any) -> None:
    """Give a shell of IPython the magics, and commands where Tab is pressed behind them."""
    shell.register_magic_function(redis_magic, "line_cell", "redis")
    shell.set_hook("complete_command", _completions, re_key=r"%%?redis\b")


def redis_magic(line: str, cell: str | None = None) -> None:
    """Run a line, or each line of a cell, and print what redis-cli would.

    Options, as those of redis-cli, stand before the command: `--raw`, `--csv`, `--json`, `--no-raw`
    (the default), `-3` for RESP3, `-u URL` for another server than that of `labkit.connect()`.
    SUBSCRIBE, MONITOR and the like go on until the kernel is interrupted.
    """
    asked = _read(line)
    asked_of = session(_client(asked), asked.resp)
    for each in [asked.rest] if cell is None else [asked.rest, *cell.splitlines()]:
        for piece in asked_of.lines(each, form=asked.form):
            print(piece, end="", flush=True)


def _read(line: str) -> _Asked:
    form: Form = "tty"
    resp3 = False
    url = None
    rest = line.lstrip()
    while re.match(r"-3\b|-(?![0-9])", rest):  # not the number of times
        option, _, rest = rest.partition(" ")
        rest = rest.lstrip()
        if option == "-u":
            url, _, rest = rest.partition(" ")
        elif option == "-3":
            resp3 = True
        elif option in _FORMS:
            form = _FORMS[option]
        else:
            known = ", ".join(["-3", "-u URL", *_FORMS])
            raise ValueError(f"%redis has no option {option!r}; expected one of {known}")
    return _Asked(form, url, 3 if resp3 or form == "json" else 2, rest.lstrip())


def _client(asked: _Asked) -> redis.Redis:
    return client_of() if asked.url is None else client_of(asked.url)


def _completions(_: Any, event: Any) -> list[str]:
    """What may stand in the place of the word that the cursor is behind."""

    def found() -> list[str]:
        _, _, line = event.text_until_cursor.lstrip().partition(" ")
        asked = _read(line)
        before = len(asked.rest) - len(event.symbol)
        if before < 0:  # the word is no part of a command, but an option, or the magic itself
            return []
        return [whole[before:] for whole in complete(_client(asked), asked.rest)]

    return in_time(found)
