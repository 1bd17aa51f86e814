"""`%redis` and `%%redis`: redis-cli in a notebook. `%load_ext labkit.inspect` brings them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.inspect.cli import Session, client_of, session

if TYPE_CHECKING:
    from labkit.inspect.printing import Form

_FORMS: dict[str, Form] = {"--no-raw": "tty", "--raw": "raw", "--csv": "csv", "--json": "json"}


class _Asked(NamedTuple):
    """What the options say, and the rest of the line."""

    form: Form
    session: Session
    rest: str


def load(shell: Any) -> None:
    """Give a shell of IPython the magics."""
    shell.register_magic_function(redis_magic, "line_cell", "redis")


def redis_magic(line: str, cell: str | None = None) -> None:
    """Run a line, or each line of a cell, and print what redis-cli would.

    Options, as those of redis-cli, stand before the command: `--raw`, `--csv`, `--json`, `--no-raw`
    (the default), `-3` for RESP3, `-u URL` for another server than that of `labkit.connect()`.
    SUBSCRIBE, MONITOR and the like go on until the kernel is interrupted.
    """
    asked = _read(line)
    for each in [asked.rest] if cell is None else [asked.rest, *cell.splitlines()]:
        for piece in asked.session.lines(each, form=asked.form):
            print(piece, end="", flush=True)


def _read(line: str) -> _Asked:
    form: Form = "tty"
    resp3 = False
    client = None
    rest = line.strip()
    while re.match(r"-3\b|-(?![0-9])", rest):  # not the number of times
        option, _, rest = rest.partition(" ")
        rest = rest.lstrip()
        if option == "-u":
            url, _, rest = rest.partition(" ")
            client = client_of(url)
        elif option == "-3":
            resp3 = True
        elif option in _FORMS:
            form = _FORMS[option]
        else:
            known = ", ".join(["-3", "-u URL", *_FORMS])
            raise ValueError(f"%redis has no option {option!r}; expected one of {known}")
    return _Asked(form, session(client, 3 if resp3 or form == "json" else 2), rest.lstrip())
