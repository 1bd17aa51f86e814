"""How long things take: the server's stalls, round trips to it, and its commands."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from labkit.calls import text
from labkit.clock import duration
from labkit.inspect.info import configured, difference, needs, pairs, read
from labkit.latency import measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import redis

    from labkit.inspect.info import Info
    from labkit.latency import Measurement

_THRESHOLD = "latency-monitor-threshold"
_EVENTS = ("event", "at", "seconds", "largest")
_COMMANDS = ("calls", "seconds", "mean", "p50", "p99", "rejected", "failed")
_COUNTS = {
    "calls": "calls",
    "seconds": "usec",
    "rejected": "rejected_calls",
    "failed": "failed_calls",
}
_QUANTILES = {"p50": "p50", "p99": "p99"}


def events(client: redis.Redis) -> pd.DataFrame:
    """What held the server up for longer than `latency-monitor-threshold`.

    Args:
        client: Whose server it is.

    Returns:
        A frame with a row for each time, up to 160 of an event: `event` (such as `command`, `fork`
        or `expire-cycle`), `at`, `seconds`, and `largest`, the most seconds that this event ever
        took, which may be of a time that is no longer there.

    Raises:
        LookupError: The server watches no latency and has seen none, has no LATENCY, or this user
            may not ask.
    """
    asked: Any = client
    with needs("LATENCY LATEST"):
        latest = asked.execute_command("LATENCY", "LATEST")
    if not latest:
        _check_watched(client)
    rows = []
    for event, _, _, largest, *_ in latest:
        with needs("LATENCY HISTORY"):
            history = asked.execute_command("LATENCY", "HISTORY", event)
        rows += [
            (text(event), datetime.fromtimestamp(at, UTC), taken / 1e3, largest / 1e3)
            for at, taken in history
        ]
    return pd.DataFrame(rows, columns=list(_EVENTS))


def _check_watched(client: redis.Redis) -> None:
    """Tell a server that saw nothing from one that does not look."""
    try:
        with needs("CONFIG GET"):
            found: Any = client.config_get(_THRESHOLD)
    except LookupError:
        return
    if [text(value) for value in found.values()] == ["0"]:
        raise LookupError(
            f"the server watches no latency; `watching`, or CONFIG SET {_THRESHOLD} and a number "
            "of milliseconds, makes it begin to"
        )


@contextlib.contextmanager
def watching(client: redis.Redis, longer: float | str) -> Iterator[None]:
    """Have the server note what holds it up while the block runs, then set it as it was.

    Args:
        client: Whose server it is.
        longer: What takes as long as that, or longer; a `duration` of 1 ms or more.

    Raises:
        ValueError: It is no such duration.
        LookupError: The server has no such setting, or this user may not change it.
    """
    milliseconds = round(duration(longer) * 1e3)
    if milliseconds < 1:
        raise ValueError(f"longer is {longer!r}; expected 1 ms or more")
    with configured(client, latency_monitor_threshold=milliseconds):
        yield


def pings(client: redis.Redis, count: int = 1000) -> Measurement:
    """Round trips of PING: what every command takes at least, on this way to the server.

    Args:
        client: Whose server it is.
        count: How many.

    Raises:
        ValueError: The count is less than 1.
    """
    return measure({"PING": client.ping}, rounds=count)


def commands(client: redis.Redis) -> pd.DataFrame:
    """How long commands took the server, since it started or since CONFIG RESETSTAT.

    Args:
        client: Whose server it is.

    Returns:
        A frame by command: `calls`, and in seconds `seconds` (all together), `mean`, `p50` and
        `p99`; `rejected` (calls that were refused before they were run) and `failed`. What took
        most time comes first. What a server does not tell is NaN: percentiles come with Redis 7.

    Raises:
        LookupError: The server has no INFO, or this user may not ask.
    """
    return commands_of(read(client))


def commands_of(after: Info, before: Info | None = None) -> pd.DataFrame:
    """The same from what INFO said; with `before`, of the time between, without percentiles.

    Raises:
        ValueError: As in `info.difference`.
    """
    found = _counted(after)
    if before is not None:
        difference(before, after)  # refuses what cannot be compared
        found = found.sub(_counted(before).reindex(found.index, fill_value=0)).query("calls > 0")
    table = found.assign(mean=found["seconds"] / found["calls"].where(found["calls"] > 0))
    quantiles = _table(after, "Latencystats", "latency_percentiles_usec_", _QUANTILES) / 1e6
    if before is not None:
        quantiles = quantiles.head(0)
    table = table.join(quantiles)[list(_COMMANDS)]
    return table.sort_values(["seconds", "calls"], ascending=False)


def _counted(info: Info) -> pd.DataFrame:
    found = _table(info, "Commandstats", "cmdstat_", _COUNTS)
    return found.assign(seconds=found["seconds"] / 1e6)


def _table(info: Info, section: str, prefix: str, names: Mapping[str, str]) -> pd.DataFrame:
    """The fields of a section as rows, with these of their parts, which are numbers."""
    rows = {
        field.removeprefix(prefix): pairs(value)
        for field, value in info.raw.get(section, {}).items()
        if field.startswith(prefix)
    }
    columns = {
        name: pd.to_numeric(pd.Series([row.get(told) for row in rows.values()], dtype=object))
        for name, told in names.items()
    }
    return pd.DataFrame(columns).set_axis(pd.Index(list(rows), name="command", dtype=object))
