"""`labkit inspect ...`: what the package shows, on a terminal or as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
import redis
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labkit.clock import duration
from labkit.connection import CannotConnect, connect
from labkit.inspect.cli import session
from labkit.inspect.printing import quoted, shown

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import pandas as pd

    from labkit.inspect.backup import Summary
    from labkit.inspect.bulk import Done, Plan
    from labkit.inspect.slowlog import Entry

FOUND = 3
"""The exit code where something was found that needs a look."""

app = typer.Typer(
    help="Look into a Redis server. Ends with 0 when all is well, 1 when it is refused or fails, "
    "2 when it was typed wrongly, 3 when something was found that needs a look.",
    no_args_is_help=True,
)

_WIDE = 1000  # columns where nobody looks: lines are not folded in a file
_MAY_BE_REFUSED = ("memory", "encoding")

Server = Annotated[
    str | None,
    typer.Option("--redis", "-u", help="The URL of the server; without it LABKIT_REDIS_URL's."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="The same as JSON.")]
Pattern = Annotated[str, typer.Argument(help="Which keys, as for SCAN: user:*.")]
Type = Annotated[str | None, typer.Option("--type", help="Only keys of this type, such as hash.")]
Rows = Annotated[int, typer.Option("--rows", "-n", help="How many rows at most.", min=1)]
Seconds = Annotated[str | None, typer.Option("--for", help="For how long, such as 10s.")]


@app.command("run", context_settings={"allow_interspersed_args": False})
def run_line(
    words: Annotated[list[str], typer.Argument(help="A command and its arguments.")],
    redis_url: Server = None,
    as_json: AsJSON = False,
    raw: Annotated[bool, typer.Option("--raw", help="Texts as they are.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One line, with commas.")] = False,
    resp3: Annotated[bool, typer.Option("--resp3", "-3", help="In RESP3.")] = False,
) -> None:
    """Run a command and print what redis-cli prints; options stand before it.

    An error of the server ends with 1.
    """
    if raw + csv + as_json > 1:
        raise typer.BadParameter("--raw, --csv and --json do not go together; expected one")
    if any(word in ("-u", "--redis") and "://" in url for word, url in pairwise(words)):
        # Sent to the server it would come back in an error, and its password with it.
        raise typer.BadParameter("options stand before the command, such as -u with the address")
    form: Any = "raw" if raw else "csv" if csv else "json" if as_json else "tty"
    with _server(redis_url) as client:
        command = [word.encode("utf-8", "surrogateescape") for word in words]
        reply = session(client, 3 if resp3 or as_json else 2).ask(*command)
        sys.stdout.buffer.write(shown(reply, form, command))
    if reply.kind == "error":
        raise typer.Exit(1)


@app.command("keys")
def keys_command(
    pattern: Pattern = "*",
    largest: Annotated[bool, typer.Option("--largest", help="By memory.")] = False,
    hottest: Annotated[
        bool, typer.Option("--hottest", help="By use; under an LFU policy.")
    ] = False,
    rows: Rows = 20,
    kind: Type = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Show keys: type, time to live, memory, encoding, idle time."""
    from labkit.inspect import keys

    if largest and hottest:
        raise typer.BadParameter("--largest and --hottest do not go together; expected one")
    with _server(redis_url) as client:
        if largest or hottest:
            best = keys.largest if largest else keys.hottest
            found = best(client, rows, pattern, type=kind, progress=_counting)
        else:
            found = _first(keys.batches(client, pattern, type=kind), rows)
        _show(found, as_json)


@app.command()
def groups(
    pattern: Pattern = "*",
    rows: Rows = 20,
    kind: Type = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Show keys by what they are called: how many, how large, how many never expire."""
    from labkit.inspect import keys

    with _server(redis_url) as client:
        found = keys.groups(client, pattern, type=kind, progress=_counting)
        _show(found.head(rows).reset_index(), as_json)


@app.command()
def ttl(
    pattern: Pattern = "*",
    within: Annotated[
        str | None, typer.Option(help="The keys that expire within this time, such as 5m.")
    ] = None,
    immortal: Annotated[
        bool, typer.Option("--immortal", help="The groups with keys that never expire.")
    ] = False,
    rows: Rows = 20,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Show when keys expire: how many in which range of times."""
    from labkit.inspect import expiry

    if within is not None and immortal:
        raise typer.BadParameter("--within and --immortal do not go together; expected one")
    with _server(redis_url) as client:
        if within is not None:
            _show(expiry.soon(client, within, pattern, most=rows), as_json)
        elif immortal:
            _show(expiry.immortal(client, pattern).head(rows).reset_index(), as_json)
        else:
            _show(expiry.histogram(client, pattern).reset_index(), as_json)


@app.command()
def watch(
    pattern: Pattern = "*",
    most: Annotated[int | None, typer.Option(help="How many events at most.", min=1)] = None,
    seconds: Seconds = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Say what expires, as it does, until Ctrl-C; the server's setting is put back at the end."""
    from labkit.inspect import expiry

    limit = None if seconds is None else duration(seconds)
    with _server(redis_url) as client, expiry.notifying(client):
        for event in expiry.watch(client, pattern, most=most, seconds=limit):
            key = event.key.decode("utf-8", "surrogateescape")
            row = {"at": event.at, "kind": event.kind, "key": key}
            print(_json(row) if as_json else f"{event.kind:8} {_printable(key)}", flush=True)


@app.command()
def monitor(
    seconds: Annotated[str, typer.Option("--for", help="For how long at most.")] = "1s",
    most: Annotated[int, typer.Option(help="How many commands at most.", min=1)] = 10_000,
    by: Annotated[str, typer.Option(help="command, key, group, or line: each of them.")] = "line",
    rows: Rows = 20,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Watch what the server is asked, without the passwords. MONITOR slows the server down."""
    from labkit.inspect import monitor

    if by not in ("command", "key", "group", "line"):
        raise typer.BadParameter(f"--by is {by!r}; expected command, key, group or line")
    with _server(redis_url) as client:
        sample = monitor.sample(client, seconds, most)
        if by == "line":
            found = sample.frame()[["at", "db", "client", "line"]].astype({"at": str})
        else:
            counts = {"command": sample.by_command, "key": sample.by_key, "group": sample.by_group}
            found = counts[by]().reset_index()
        _show(found.head(rows), as_json)


@app.command("info")
def info_command(
    seconds: Annotated[
        str | None, typer.Option("--over", help="Compare two moments so far apart, such as 5s.")
    ] = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Say what in INFO needs a look, and why; ends with 3 when something does."""
    from labkit.inspect import info

    with _server(redis_url) as client:
        before = None
        if seconds is not None:
            apart = duration(seconds)
            before = info.read(client)
            time.sleep(apart)
        now = info.read(client)
        findings = info.findings(now, before)
    if as_json:
        change = None if before is None else info.difference(before, now)
        print(_json(msgspec.to_builtins({"info": now.raw, "change": change, "findings": findings})))
    else:
        for finding in findings:
            print(f"{finding.severity}: {finding.what}; {finding.why}. To do: {finding.advice}.")
        if not findings:
            print("Nothing in INFO needs a look.")
    if findings:
        raise typer.Exit(FOUND)


@app.command("slowlog")
def slowlog_command(
    each: Annotated[bool, typer.Option("--each", help="Each entry, the newest first.")] = False,
    rows: Rows = 20,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Show slow commands by their shape: how often, how slow, how long in all."""
    from labkit.inspect import slowlog

    with _server(redis_url) as client:
        entries = slowlog.entries(client, 1024)
        found = _each(entries) if each else slowlog.grouped(entries).reset_index()
        _show(found.head(rows), as_json)


def _each(entries: list[Entry]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (entry.id, str(entry.at), entry.seconds, entry.line, entry.client, entry.name)
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=["id", "at", "seconds", "line", "client", "name"])


@app.command("latency")
def latency_command(
    by: Annotated[str, typer.Option(help="events, commands or pings.")] = "events",
    rows: Rows = 20,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Show what took long: events that the server noted, time by command, or round trips."""
    from labkit.inspect import latency

    if by not in ("events", "commands", "pings"):
        raise typer.BadParameter(f"--by is {by!r}; expected events, commands or pings")
    with _server(redis_url) as client:
        if by == "pings":
            found = latency.pings(client).summary().reset_index(names="design")
        else:
            ask = latency.events if by == "events" else latency.commands
            found = ask(client).reset_index()
        _show(found.head(rows), as_json)


@app.command("clients")
def clients_command(
    each: Annotated[bool, typer.Option("--each", help="Each connection.")] = False,
    rows: Rows = 20,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Show who is connected, by origin: a leak is many, idle, of one."""
    from labkit.inspect import clients

    with _server(redis_url) as client:
        found = clients.listing(client) if each else clients.groups(client).reset_index()
        _show(found.head(rows), as_json)


@app.command()
def top(
    every: Annotated[str, typer.Option(help="How often, such as 2s.")] = "1s",
    count: Annotated[int | None, typer.Option(help="How many screens.", min=1)] = None,
    redis_url: Server = None,
) -> None:
    """Show on one screen what the server does, again and again, until Ctrl-C."""
    from labkit.inspect import top

    with _server(redis_url) as client:
        top.watch(client, every, count=count)


Apply = Annotated[
    int | None,
    typer.Option(help="Do it, if it is exactly so many keys; without it, only show.", min=0),
]
Journal = Annotated[
    Path | None, typer.Option("--undo", help="The journal to write, a new file; see `undo`.")
]
Rate = Annotated[float | None, typer.Option(help="How many keys a second at most.")]
To = Annotated[str, typer.Argument(help="The new name; {} stands for the old one: archive:{}.")]


@app.command()
def delete(
    pattern: Pattern,
    kind: Type = None,
    apply: Apply = None,
    undo: Journal = None,
    rate: Rate = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Delete keys: show which, and with --apply do it."""
    from labkit.inspect import bulk

    with _server(redis_url) as client:
        _carry_out(bulk.delete(client, pattern, type=kind), apply, undo, rate, as_json)


@app.command()
def expire(
    pattern: Pattern,
    lifetime: Annotated[str, typer.Argument(help="How long they live, such as 1h.")],
    immortal: Annotated[
        bool, typer.Option("--immortal", help="Only keys that never expire so far.")
    ] = False,
    kind: Type = None,
    apply: Apply = None,
    undo: Journal = None,
    rate: Rate = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Let keys expire: show which, and with --apply do it."""
    from labkit.inspect import bulk

    with _server(redis_url) as client:
        only: Any = "immortal" if immortal else None
        plan = bulk.expire(client, pattern, lifetime, only=only, type=kind)
        _carry_out(plan, apply, undo, rate, as_json)


@app.command()
def persist(
    pattern: Pattern,
    kind: Type = None,
    apply: Apply = None,
    undo: Journal = None,
    rate: Rate = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Let keys live for ever: show which, and with --apply do it."""
    from labkit.inspect import bulk

    with _server(redis_url) as client:
        _carry_out(bulk.persist(client, pattern, type=kind), apply, undo, rate, as_json)


@app.command()
def rename(
    pattern: Pattern,
    to: To,
    kind: Type = None,
    apply: Apply = None,
    undo: Journal = None,
    rate: Rate = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Rename keys: show which, and with --apply do it."""
    from labkit.inspect import bulk

    with _server(redis_url) as client:
        _carry_out(bulk.rename(client, pattern, to, type=kind), apply, undo, rate, as_json)


@app.command()
def copy(
    pattern: Pattern,
    to: To = "{}",
    database: Annotated[
        int | None, typer.Option(help="The number of the database to copy to.", min=0)
    ] = None,
    kind: Type = None,
    apply: Apply = None,
    undo: Journal = None,
    rate: Rate = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Copy keys: show which, and with --apply do it."""
    from labkit.inspect import bulk

    with _server(redis_url) as client:
        plan = bulk.copy(client, pattern, to, database=database, type=kind)
        _carry_out(plan, apply, undo, rate, as_json)


@app.command()
def resume(
    journal: Annotated[Path, typer.Argument(help="What --undo named.")],
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Go on with a run that was stopped."""
    from labkit.inspect import bulk

    with _server(redis_url) as client:
        _tell(bulk.resume(client, journal), as_json)


@app.command("undo")
def undo_command(
    journal: Annotated[Path, typer.Argument(help="What --undo named.")],
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Put back what a run has changed."""
    from labkit.inspect import bulk

    with _server(redis_url) as client:
        _tell(bulk.undo(client, journal), as_json)


File = Annotated[Path, typer.Argument(help="The backup.")]


@app.command("backup")
def backup_command(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    pattern: Pattern = "*",
    every_database: Annotated[
        bool, typer.Option("--all", help="All databases, not the one of the URL alone.")
    ] = False,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Save keys of all types to one file; what was cut off goes on."""
    from labkit.inspect import backup

    with _server(redis_url) as client:
        databases: Any = "all" if every_database else None
        kept = backup.save(client, file, pattern=pattern, databases=databases, progress=_counting)
        _tell_backup(kept, as_json)


@app.command()
def verify(file: File, as_json: AsJSON = False) -> None:
    """Read all of a backup and say what is in it; ends with 3 when it is damaged."""
    from labkit.inspect import backup

    try:
        _tell_backup(backup.verify(file), as_json)
    except backup.Damaged as error:
        print(f"labkit: {error}", file=sys.stderr)
        raise typer.Exit(FOUND) from None
    except OSError as error:
        _fail(str(error))


@app.command()
def restore(
    file: File,
    conflict: Annotated[
        str, typer.Option(help="Where a key is there already: refuse, skip or replace.")
    ] = "refuse",
    rate: Rate = None,
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Write the keys of a backup, once all of it has been checked; what was cut off goes on."""
    from labkit.inspect import backup

    with _server(redis_url) as client:
        how: Any = conflict
        came = backup.restore(client, file, conflict=how, rate=rate, progress=_counting)
        _end_counting()
        counts = msgspec.to_builtins(came)
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        print(_json(counts) if as_json else told)


@app.command()
def compare(
    other: Annotated[str, typer.Argument(help="The URL of the other server.")],
    pattern: Pattern = "*",
    redis_url: Server = None,
    as_json: AsJSON = False,
) -> None:
    """Name the keys that differ between two servers; ends with 3 when some do."""
    from labkit.inspect import backup

    same = True
    with _server(redis_url) as client, _server(other) as theirs:
        for name, what in backup.compare(client, theirs, pattern):
            same = False
            key = name.decode("utf-8", "surrogateescape")
            print(_json({"key": key, "what": what}) if as_json else f"{_printable(key)}: {what}")
    if not same:
        raise typer.Exit(FOUND)


def _carry_out(
    plan: Plan, apply: int | None, undo: Path | None, rate: float | None, as_json: bool
) -> None:
    """Show a plan, or do it if it is as large as the caller has seen it."""
    if apply is None:
        names = [key.decode("utf-8", "surrogateescape") for key in plan.keys]
        print(_json({"plan": str(plan), "count": len(plan), "keys": names}) if as_json else plan)
        if not as_json:
            print(f"Nothing was changed. To do it: --apply {len(plan)} --undo FILE")
        return
    if len(plan) != apply:
        raise ValueError(
            f"there are {len(plan):,} keys now, and --apply says {apply:,}; nothing was changed. "
            "Look again without --apply"
        )
    _tell(plan.run(undo=undo, rate=rate, progress=_counting), as_json)


def _tell(done: Done, as_json: bool) -> None:
    _end_counting()
    print(_json(msgspec.to_builtins(done)) if as_json else done)


def _tell_backup(summary: Summary, as_json: bool) -> None:
    _end_counting()
    pattern = summary.pattern.decode("utf-8", "surrogateescape")
    if as_json:
        told = msgspec.to_builtins(summary) | {"keys": summary.keys, "pattern": pattern}
        print(_json(told))
        return
    kinds = Counter[str]()
    for counts in summary.counts.values():
        kinds.update(counts)
    types = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    print(f"{summary.keys:,} keys ({types or 'none'}) that fit {pattern}, {summary.size:,} bytes")


def _first(frames: Generator[pd.DataFrame], rows: int) -> pd.DataFrame:
    """The first rows, each key once; the rest is not looked at."""
    import pandas as pd

    parts: list[pd.DataFrame] = []
    with contextlib.closing(frames):
        for frame in frames:
            parts.append(frame)
            if sum(map(len, parts)) >= rows:
                break
    found = pd.concat(parts) if parts else pd.DataFrame(columns=["key"])
    return found.drop_duplicates("key").head(rows)


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[redis.Redis]:
    """The client of a server; what goes wrong becomes a sentence and an exit code."""
    try:
        client = connect(url)
        try:
            yield client
        finally:
            client.close()
    except (redis.RedisError, CannotConnect, LookupError, ValueError, OSError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _fail(sentence: str) -> NoReturn:
    print(f"labkit: {sentence}", file=sys.stderr)
    raise typer.Exit(1)


def _counting(count: int) -> None:
    """Say how many keys have been looked at, where somebody sits in front of it."""
    if sys.stderr.isatty():
        print(f"\r{count:,} keys", end="", file=sys.stderr, flush=True)


def _end_counting() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _show(frame: pd.DataFrame, as_json: bool) -> None:
    """A frame as a table, or as a list of objects; what could not be seen is named on stderr."""
    rows = [
        {str(name): _plain(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
    missing = [str(name) for name in frame.columns if rows and frame[name].isna().all()]
    _end_counting()
    if as_json:
        print(_json(rows))
    else:
        width = None if sys.stdout.isatty() else _WIDE
        names = [str(name) for name in frame.columns if str(name) not in missing]
        Console(highlight=False, width=width).print(_table(names, rows))
    if unseen := [name for name in _MAY_BE_REFUSED if name in missing]:
        print(
            f"labkit: {' and '.join(unseen)} could not be seen: the server does not tell, or not "
            "this user",
            file=sys.stderr,
        )


def _table(names: list[str], rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        values = [row[name] for row in rows if row[name] is not None]
        numbers = bool(values) and all(isinstance(value, int | float) for value in values)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*[escape(_cell(row[name])) for name in names])
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 or value.is_integer() else f"{value:.4g}"
    return f"{value:,}" if type(value) is int else _printable(str(value))


def _printable(text: str) -> str:
    """A name as it is where it can be printed, and quoted as redis-cli does where not."""
    if text.isprintable():
        return text
    return quoted(text.encode("utf-8", "surrogateescape")).decode()


def _plain(value: Any) -> Any:
    """A value of a frame as one of JSON; None where it is missing."""
    if hasattr(value, "item"):
        value = value.item()
    return None if value is None or value != value else value


def _json(value: Any) -> str:
    return json.dumps(value, default=str)
