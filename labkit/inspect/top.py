"""What a server is busy with, on one screen."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from labkit.clock import duration
from labkit.inspect import info, latency, slowlog
from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from rich.console import RenderableType

    from labkit.inspect.info import Change, Info

ROWS = 5
"""How many commands, shapes and databases a screen has."""

_STYLES = {"act": "bold red", "look": "yellow"}


def screen(client: redis.Redis, before: Info | None = None) -> RenderableType:
    """How a server is now: what it does, what it holds, what is slow, and what is worth a look.

    Args:
        client: Whose server it is. What it lacks, or this user may not ask, is named.
        before: What `info.read` gave earlier: rates are of the time since then. Without it, or
            when the server was started again, they are of the time since it started.

    Returns:
        What `rich` prints.
    """
    unseen: list[str] = []
    return _drawn(client, _read(client, unseen), before, unseen)


def watch(
    client: redis.Redis,
    every: float | str = "1s",
    count: int | None = None,
    console: Console | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Show the screen again and again, until Ctrl-C.

    A terminal shows the latest; in a pipe they follow one another as plain text.

    Args:
        client: Whose server it is.
        every: How long each is shown; a `duration`.
        count: How many screens; None: no end.
        console: Where to; None: the standard output.
        sleep: Waits for as many seconds.

    Raises:
        ValueError: `every` is no duration, or 0; or the count is less than 1.
        redis.ConnectionError: The server does not answer.
    """
    seconds = duration(every)
    if not seconds or (count is not None and count < 1):
        raise ValueError(f"every is {every!r}, count {count}; expected more than 0, 1 or more")
    console = Console() if console is None else console
    with contextlib.ExitStack() as stack:
        show: Callable[[RenderableType], Any] = console.print
        if console.is_terminal:
            live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
            show = partial(live.update, refresh=True)
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        before: Info | None = None
        shown = 0
        while True:
            unseen: list[str] = []
            now = _read(client, unseen)
            show(_drawn(client, now, before, unseen))
            before, shown = now, shown + 1
            if shown == count:
                return
            sleep(seconds)


def _read(client: redis.Redis, unseen: list[str]) -> Info | None:
    try:
        return info.read(client)
    except LookupError as error:
        unseen.append(str(error))
        return None


def _drawn(
    client: redis.Redis, now: Info | None, before: Info | None, unseen: list[str]
) -> RenderableType:
    before = _comparable(before, now)
    parts: list[RenderableType] = []
    if now is not None:
        parts += [_server(now), _figures(now, before), *_keyspace(now), *_busy(now, before)]
    parts += _slow(client, unseen)
    if now is not None:
        parts += _findings(now, before)
    return Group(*parts, *(Text(f"not seen: {what}", style="dim") for what in unseen))


def _comparable(before: Info | None, now: Info | None) -> Info | None:
    """The earlier moment, unless the server was started again or its counters were reset."""
    if before is not None and now is not None:
        with contextlib.suppress(ValueError):
            info.difference(before, now)
            return before
    return None


def _server(now: Info) -> Text:
    taken = "" if now.taken_at is None else f"{now.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    name = f"{(now.product or 'server').capitalize()} {now.version or ''}".strip()
    said = [name, now.mode, now.role, f"up {_span(now.uptime_in_seconds)}", taken]
    return Text("  ".join(word for word in said if word), style="bold")


def _figures(now: Info, before: Info | None) -> Table:
    change = info.since_start(now) if before is None else info.difference(before, now)
    table = Table.grid(padding=(0, 2))
    _add(table, "memory", _bar(now), _memory(now))
    seconds = "since the start" if before is None else f"in the last {format_time(change.seconds)}"
    _add(table, "commands", f"{_rate(change, 'total_commands_processed')} a second", seconds)
    ratio = "nothing read" if change.hit_ratio is None else f"{change.hit_ratio:.1%}"
    _add(table, "hit ratio", ratio, f"{_number(change.reads)} reads")
    _add(
        table,
        "gone",
        f"{_rate(change, 'evicted_keys')} evicted a second",
        f"{_rate(change, 'expired_keys')} expired a second",
    )
    _add(
        table,
        "clients",
        f"{_number(now.connected_clients)} of {_number(now.maxclients)}",
        f"{_number(now.blocked_clients)} blocked, "
        f"{_number(change.rejected_connections)} connections rejected",
    )
    _add(table, "disk", *_disk(now))
    _add(table, "replication", *_replication(now))
    return table


def _bar(now: Info) -> RenderableType:
    """How much of the limit is used, or, without one, of the machine."""
    whole = now.maxmemory or now.total_system_memory
    if not whole or now.used_memory is None:
        return ""
    return ProgressBar(total=whole, completed=min(now.used_memory, whole), width=24)


def _memory(now: Info) -> str:
    limit = (
        f"of {decimal(now.maxmemory)} ({(now.used_memory or 0) / now.maxmemory:.0%}), "
        f"{now.maxmemory_policy}"
        if now.maxmemory
        else f"of the machine's {_size(now.total_system_memory)}, no maxmemory"
    )
    ratio = now.mem_fragmentation_ratio
    fragmentation = "" if ratio is None else f", fragmentation {ratio:.2f}"
    sizes = f"peak {_size(now.used_memory_peak)}, rss {_size(now.used_memory_rss)}"
    return f"{_size(now.used_memory)} {limit}; {sizes}{fragmentation}"


def _disk(now: Info) -> tuple[str, str]:
    changes = _number(now.rdb_changes_since_last_save)
    snapshot = f"last snapshot {now.rdb_last_bgsave_status or '?'}, {changes} changes since"
    return snapshot, f"append-only file {now.aof_last_write_status if now.aof_enabled else 'off'}"


def _replication(now: Info) -> tuple[str, str]:
    if now.role == "slave":
        where = f"of {now.master_host}:{now.master_port}"
        return f"link {now.master_link_status}", where
    lags = [f"{it.address} {it.state}, lag {_number(it.lag)} s" for it in now.replicas]
    return f"{_number(now.connected_slaves)} replicas", "; ".join(lags[:ROWS])


def _keyspace(now: Info) -> list[RenderableType]:
    table = _table("database", "keys", "that expire")
    for number, held in sorted(now.keyspace.items())[:ROWS]:
        _add(table, f"db{number}", _number(held.keys), _number(held.expires))
    return [table] if table.row_count else []


def _busy(now: Info, before: Info | None) -> list[RenderableType]:
    rows: list[Any] = list(latency.commands_of(now, before).head(ROWS).itertuples())
    table = _table("busiest", "calls", "all together", "each")
    for row in rows:
        _add(table, row.Index, f"{row.calls:,}", format_time(row.seconds), format_time(row.mean))
    return [table] if rows else []


def _slow(client: redis.Redis, unseen: list[str]) -> list[RenderableType]:
    try:
        grouped = slowlog.grouped(slowlog.entries(client))
    except LookupError as error:
        unseen.append(str(error))
        return []
    rows: list[Any] = list(grouped.head(ROWS).itertuples())
    table = _table("slow log", "count", "all together", "largest")
    for row in rows:
        figures = (format_time(row.total), format_time(row.largest))
        _add(table, row.Index, _number(row.count), *figures)
    return [table] if rows else []


def _findings(now: Info, before: Info | None) -> list[RenderableType]:
    return [
        Text(f"{it.severity}: {it.what}; {it.why}. To do: {it.advice}.", _STYLES[it.severity])
        for it in info.findings(now, before)
    ]


def _table(title: str, *columns: str) -> Table:
    table = Table(title, box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _add(table: Table, *cells: RenderableType) -> None:
    # As Text, what a server says is shown as it is: a str could be markup, or a name of an emoji.
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _rate(change: Change, counter: str) -> str:
    rate = change.rate(counter)
    return "?" if rate is None else f"{rate:,.1f}"


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _size(size: int | None) -> str:
    return "?" if size is None else decimal(size)


def _span(seconds: int | None) -> str:
    """Such as `3d 2h`: the two largest units."""
    if seconds is None:
        return "?"
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    told = [f"{amount}{unit}" for amount, unit in parts if amount][:2]
    return " ".join(told) or "0s"
