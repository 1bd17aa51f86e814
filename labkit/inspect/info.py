"""What INFO says of a server: typed, as differences between two moments, and what to do about it.

Fields are called as the server calls them, so that its documentation holds for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import redis
from redis.client import NEVER_DECODE
from rich.filesize import decimal

from labkit.calls import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Severity = Literal["look", "act"]

_MEGABYTE = 1_000_000


class Replica(msgspec.Struct, frozen=True):
    """A replica as its master sees it.

    Attributes:
        address: Host and port.
        state: `online` when it follows.
        lag: Seconds since it was heard of.
        offset: How far it has come, in bytes.
    """

    address: str
    state: str | None
    lag: int | None
    offset: int | None


class Database(msgspec.Struct, frozen=True):
    """What a database holds.

    Attributes:
        keys: How many keys.
        expires: How many of them expire.
        avg_ttl: The mean time that those have left, in milliseconds, as the server estimates it.
    """

    keys: int = 0
    expires: int = 0
    avg_ttl: int | None = None


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself. A field is None where it does not say.

    Memory is in bytes. Counters count since the server started, or since CONFIG RESETSTAT.

    Attributes:
        taken_at: When, by the server's clock.
        product: `redis` or `valkey`.
        version: Such as `7.0.15`.
        mode: `standalone`, `cluster` or `sentinel`.
        run_id: Another one each time that the server starts.
        uptime_in_seconds: Since it started.
        connected_clients: Connections, but for those of replicas.
        blocked_clients: Those of them that wait, as in BLPOP.
        maxclients: How many there may be.
        client_recent_max_output_buffer: What waits to be sent to the one that takes most.
        used_memory: What the server has asked for.
        used_memory_rss: What the system has given it, as of the pages in RAM.
        used_memory_peak: The most that it ever asked for.
        maxmemory: The limit; 0: none.
        maxmemory_policy: What happens at the limit.
        mem_fragmentation_ratio: `used_memory_rss` by `used_memory`.
        mem_not_counted_for_evict: What does not count for the limit.
        total_system_memory: What the machine has.
        loading: Whether it is reading its data and not ready yet.
        rdb_last_save_time: When it last saved a snapshot, or started.
        rdb_last_bgsave_status: `ok`, or how the last snapshot failed.
        rdb_changes_since_last_save: Changes that no snapshot has.
        aof_enabled: Whether it writes an append-only file.
        aof_last_write_status: `ok`, or how the last write to it failed.
        total_connections_received: Connections that were accepted.
        rejected_connections: Those that were not, for there were `maxclients`.
        total_commands_processed: Commands.
        instantaneous_ops_per_sec: Commands a second, in the last two seconds or so.
        keyspace_hits: Reads of keys that were there.
        keyspace_misses: Reads of keys that were not.
        expired_keys: Keys that went when their time was over.
        evicted_keys: Keys that went for want of memory.
        total_net_input_bytes: What came.
        total_net_output_bytes: What was sent.
        role: `master` or `slave`.
        connected_slaves: Replicas.
        master_host: Of a replica, where its master is.
        master_port: And at which port.
        master_link_status: `up`, or `down`.
        master_last_io_seconds_ago: Seconds since the master was heard of; -1: the link is down.
        replicas: What there is to know of each replica.
        keyspace: What each database holds; one without keys is not there.
        raw: All that was said, as text, by section and field.
    """

    taken_at: datetime | None = None
    product: str | None = None
    version: str | None = None
    mode: str | None = None
    run_id: str | None = None
    uptime_in_seconds: int | None = None
    connected_clients: int | None = None
    blocked_clients: int | None = None
    maxclients: int | None = None
    client_recent_max_output_buffer: int | None = None
    used_memory: int | None = None
    used_memory_rss: int | None = None
    used_memory_peak: int | None = None
    maxmemory: int | None = None
    maxmemory_policy: str | None = None
    mem_fragmentation_ratio: float | None = None
    mem_not_counted_for_evict: int | None = None
    total_system_memory: int | None = None
    loading: bool | None = None
    rdb_last_save_time: datetime | None = None
    rdb_last_bgsave_status: str | None = None
    rdb_changes_since_last_save: int | None = None
    aof_enabled: bool | None = None
    aof_last_write_status: str | None = None
    total_connections_received: int | None = None
    rejected_connections: int | None = None
    total_commands_processed: int | None = None
    instantaneous_ops_per_sec: int | None = None
    keyspace_hits: int | None = None
    keyspace_misses: int | None = None
    expired_keys: int | None = None
    evicted_keys: int | None = None
    total_net_input_bytes: int | None = None
    total_net_output_bytes: int | None = None
    role: str | None = None
    connected_slaves: int | None = None
    master_host: str | None = None
    master_port: int | None = None
    master_link_status: str | None = None
    master_last_io_seconds_ago: int | None = None
    replicas: tuple[Replica, ...] = ()
    keyspace: Mapping[int, Database] = {}
    raw: Mapping[str, Mapping[str, str]] = {}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How far the counters of a server went in some time; None where it does not count.

    Attributes:
        seconds: How long it was.
        total_connections_received: As in `Info`, and so are the others.
        rejected_connections: As in `Info`.
        total_commands_processed: As in `Info`.
        keyspace_hits: As in `Info`.
        keyspace_misses: As in `Info`.
        expired_keys: As in `Info`.
        evicted_keys: As in `Info`.
        total_net_input_bytes: As in `Info`.
        total_net_output_bytes: As in `Info`.
    """

    seconds: float
    total_connections_received: int | None = None
    rejected_connections: int | None = None
    total_commands_processed: int | None = None
    keyspace_hits: int | None = None
    keyspace_misses: int | None = None
    expired_keys: int | None = None
    evicted_keys: int | None = None
    total_net_input_bytes: int | None = None
    total_net_output_bytes: int | None = None

    @property
    def reads(self) -> int | None:
        """Keys that were asked for, there or not."""
        if self.keyspace_hits is None or self.keyspace_misses is None:
            return None
        return self.keyspace_hits + self.keyspace_misses

    @property
    def hit_ratio(self) -> float | None:
        """The share of reads that found their key, 0 to 1; None when nothing was read."""
        return (self.keyspace_hits or 0) / self.reads if self.reads else None

    def rate(self, counter: str) -> float | None:
        """How far a counter went a second.

        Args:
            counter: Its name, such as `"evicted_keys"`.

        Returns:
            None where the server does not count, or no time has passed.

        Raises:
            ValueError: There is no such counter.
        """
        if counter not in _COUNTERS:
            raise ValueError(f"counter is {counter!r}; expected one of {', '.join(_COUNTERS)}")
        counted: int | None = getattr(self, counter)
        return None if counted is None or not self.seconds else counted / self.seconds


_COUNTERS = tuple(name for name in Change.__struct_fields__ if name != "seconds")


class Finding(msgspec.Struct, frozen=True):
    """Something about a server that is worth a look.

    Attributes:
        rule: Which rule found it.
        severity: `act`: data or service is in danger; `look`: perhaps it is meant so.
        what: What was seen, with its figure.
        why: What that does.
        advice: What to do.
    """

    rule: str
    severity: Severity
    what: str
    why: str
    advice: str


@contextlib.contextmanager
def needs(command: str) -> Iterator[None]:
    """Say what is missing where a server lacks a command, or a user the right to it.

    Args:
        command: The command that the block sends, such as `"SLOWLOG GET"`.

    Raises:
        LookupError: The server does not have it, or this user may not use it.
    """
    try:
        yield
    except redis.exceptions.NoPermissionError as error:
        right = command.lower().replace(" ", "|")
        raise LookupError(
            f"this user may not ask {command}; ACL SETUSER and the user's name with +{right} "
            "gives the right"
        ) from error
    except redis.ResponseError as error:
        if "unknown" not in str(error).lower():
            raise
        raise LookupError(
            f"the server has no {command}; a Redis or Valkey server has it, unless it was renamed"
        ) from error


@contextlib.contextmanager
def configured(client: redis.Redis, **values: int) -> Iterator[None]:
    """Change settings of a server while the block runs, and put them back, also after an error.

    Args:
        client: Whose server it is.
        **values: The settings, with `_` for `-`.

    Raises:
        LookupError: The server has no CONFIG or no such setting, or this user may not change it.
    """
    names = {name.replace("_", "-"): value for name, value in values.items()}
    before = {name: _setting(client, name) for name in names}
    changed = []
    try:
        for name, value in names.items():
            with needs("CONFIG SET"):
                client.config_set(name, value)
            changed.append(name)
        yield
    finally:
        for name in changed:
            client.config_set(name, before[name])


def _setting(client: redis.Redis, name: str) -> str:
    with needs("CONFIG GET"):
        found: Any = client.config_get(name)
    if not found:
        raise LookupError(f"the server has no setting {name}; another version of it has")
    return text(next(iter(found.values())))


def read(client: redis.Redis) -> Info:
    """What a server says of itself now, all sections of it.

    Args:
        client: Whose server it is. Not a cluster: ask its nodes.

    Raises:
        LookupError: The server has no INFO, or this user may not ask.
    """
    asked: Any = client
    with needs("INFO"):
        # The name is bytes, for which redis-py has no parser: that leaves out the sections.
        reply = asked.execute_command(b"INFO", "everything", **{NEVER_DECODE: []})
    return parse(reply.decode("utf-8", "surrogateescape"), datetime.now(UTC))


def parse(info: str, taken_at: datetime | None = None) -> Info:
    """What a text of INFO says, of Redis from 6.2 on or of Valkey.

    Args:
        info: The text, as redis-cli prints it.
        taken_at: When it was asked for, where the text does not say.
    """
    raw = _sections(info)
    said = {name: value for section in reversed(raw.values()) for name, value in section.items()}
    valkey = "valkey_version" in said
    micros = _converted(said.get("server_time_usec"), int | None)
    derived = {
        "taken_at": taken_at if micros is None else datetime.fromtimestamp(micros / 1e6, UTC),
        "product": "valkey" if valkey else "redis" if "redis_version" in said else None,
        "version": said.get("valkey_version" if valkey else "redis_version"),
        "mode": said.get("redis_mode", said.get("server_mode")),
        "replicas": tuple(map(_replica, _numbered(said, "slave").values())),
        "keyspace": {number: _database(told) for number, told in _numbered(said, "db").items()},
        "raw": raw,
    }
    return Info(**_typed(said) | derived)


def pairs(value: str) -> dict[str, str]:
    """The parts of a value such as `keys=3,expires=0`."""
    return {name: part for name, _, part in (item.partition("=") for item in value.split(","))}


def _sections(info: str) -> dict[str, dict[str, str]]:
    """What each section says; of a field that it says several times, one line each."""
    sections: dict[str, dict[str, str]] = {}
    title = ""
    for line in info.replace("\r\n", "\n").split("\n"):
        if line.startswith("#"):
            title = line.removeprefix("#").strip()
            sections.setdefault(title, {})
        elif ":" in line:
            name, _, value = line.partition(":")
            section = sections.setdefault(title, {})
            section[name] = f"{section[name]}\n{value}" if name in section else value
    return sections


def _typed(said: Mapping[str, str]) -> dict[str, Any]:
    """The fields of `Info` that are said under their own names."""
    return {
        field.name: _converted(said[field.name], field.type)
        for field in msgspec.structs.fields(Info)
        if field.name in said
    }


def _converted(value: str | None, kind: Any) -> Any:
    """A value as its type, None where it is none of it: servers write such as `-nan`."""
    with contextlib.suppress(msgspec.ValidationError):
        found = msgspec.convert(value, kind, strict=False)
        return found if found == found else None  # only NaN differs from itself
    return None


def _numbered(said: Mapping[str, str], word: str) -> dict[int, dict[str, str]]:
    """The parts of `word0`, `word1` and so on."""
    return {
        int(number): pairs(value)
        for name, value in said.items()
        if name.startswith(word) and (number := name.removeprefix(word)).isdecimal()
    }


def _replica(told: Mapping[str, str]) -> Replica:
    address = f"{told.get('ip')}:{told.get('port')}"
    lag, offset = (_converted(told.get(name), int | None) for name in ("lag", "offset"))
    return Replica(address, told.get("state"), lag, offset)


def _database(told: Mapping[str, str]) -> Database:
    keys, expires, ttl = (
        _converted(told.get(name), int | None) for name in Database.__struct_fields__
    )
    return Database(keys or 0, expires or 0, ttl)


def difference(before: Info, after: Info) -> Change:
    """How far the counters went between two moments of one run of a server.

    Args:
        before: The earlier moment.
        after: The later one.

    Raises:
        ValueError: They are no such moments: the server was started again in between, or its
            counters were reset; they are in the other order; or it is not known when they were.
    """
    if before.taken_at is None or after.taken_at is None:
        raise ValueError("it is not known when both were taken; give `parse` taken_at")
    seconds = (after.taken_at - before.taken_at).total_seconds()
    if before.run_id != after.run_id or _went_back(before, after, "uptime_in_seconds"):
        raise ValueError(
            "the server was started again in between, or it is another one; compare two moments "
            "of one run"
        )
    if seconds <= 0:
        raise ValueError(f"after is {seconds:g} seconds after before; expected more than none")
    back = [name for name in _COUNTERS if _went_back(before, after, name)]
    if back:
        raise ValueError(
            f"{', '.join(back)} went back: somebody sent CONFIG RESETSTAT; take both moments after"
        )
    return Change(seconds=seconds, **{name: _step(before, after, name) for name in _COUNTERS})


def since_start(now: Info) -> Change:
    """How far the counters went since the server started, or since CONFIG RESETSTAT."""
    counted = {name: getattr(now, name) for name in _COUNTERS}
    return Change(seconds=float(now.uptime_in_seconds or 0), **counted)


def _step(before: Info, after: Info, name: str) -> int | None:
    first, last = getattr(before, name), getattr(after, name)
    return None if first is None or last is None else last - first


def _went_back(before: Info, after: Info, name: str) -> bool:
    return (_step(before, after, name) or 0) < 0


def findings(after: Info, before: Info | None = None) -> list[Finding]:
    """What is worth a look; the urgent first. Of a healthy server there is nothing.

    What a server does not say cannot be found.

    Args:
        after: The server now.
        before: And before: counters are then of the time between; without it since the start.

    Raises:
        ValueError: As in `difference`.
    """
    change = since_start(after) if before is None else difference(before, after)
    found = [finding for rule in _RULES if (finding := rule(after, change)) is not None]
    return sorted(found, key=lambda finding: finding.severity)


def _hit_ratio(_: Info, change: Change) -> Finding | None:
    ratio = change.hit_ratio
    if ratio is None or ratio >= 0.8 or (change.reads or 0) < 1000:
        return None
    return Finding(
        "hit ratio",
        "look",
        f"{ratio:.0%} of {change.reads:,} reads found their key",
        "each miss of a cache is work for what stands behind it",
        "see whether keys expire or are evicted too early, or whether readers ask for keys that "
        "nobody writes",
    )


def _evictions(now: Info, change: Change) -> Finding | None:
    if not change.evicted_keys:
        return None
    rate = change.rate("evicted_keys")
    often = "" if rate is None else f", {rate:,.1f} a second"
    return Finding(
        "evictions",
        "look",
        f"{change.evicted_keys:,} keys were evicted{often}",
        "the data does not fit; what was evicted has to be made again",
        f"if the hit ratio suffers, raise maxmemory (now {_size(now.maxmemory)}), shorten times to "
        "live, or store less",
    )


def _no_maxmemory(now: Info, _: Change) -> Finding | None:
    if now.maxmemory != 0:
        return None
    used, whole = now.used_memory or 0, now.total_system_memory or 0
    return Finding(
        "no maxmemory",
        "act" if whole and used > 0.75 * whole else "look",
        f"there is no limit of memory; {_size(used)} of the machine's {_size(whole)} are used",
        "a server that grows past the machine's memory swaps, or is killed by the system",
        "CONFIG SET maxmemory to what may be used, and choose a maxmemory-policy",
    )


def _memory_full(now: Info, _: Change) -> Finding | None:
    if now.maxmemory_policy != "noeviction" or _fullness(now) < 0.9:
        return None
    return Finding(
        "memory full",
        "act",
        f"{_fullness(now):.0%} of maxmemory ({_size(now.maxmemory)}) are used, and the policy is "
        "noeviction",
        "at the limit writes are refused with an OOM error",
        "raise maxmemory, delete what is not needed, or, for a cache, CONFIG SET maxmemory-policy "
        "allkeys-lru",
    )


def _volatile(now: Info, _: Change) -> Finding | None:
    keys = sum(database.keys for database in now.keyspace.values())
    lasting = keys - sum(database.expires for database in now.keyspace.values())
    if not (now.maxmemory_policy or "").startswith("volatile-") or lasting * 2 <= keys:
        return None
    return Finding(
        "volatile policy",
        "act" if _fullness(now) >= 0.9 else "look",
        f"{lasting:,} of {keys:,} keys never expire, and the policy is {now.maxmemory_policy}",
        "it evicts only keys that expire; when there are none left, writes are refused",
        "give keys a time to live, or CONFIG SET maxmemory-policy to one of allkeys-*",
    )


def _fragmentation(now: Info, _: Change) -> Finding | None:
    ratio = now.mem_fragmentation_ratio or 0
    wasted = (now.used_memory_rss or 0) - (now.used_memory or 0)
    if ratio <= 1.5 or wasted <= 100 * _MEGABYTE:
        return None
    return Finding(
        "fragmentation",
        "look",
        f"the process holds {ratio:.2f} times what the data takes, {_size(wasted)} more",
        "memory that was freed is not given back to the system",
        "CONFIG SET activedefrag yes where the server can, or MEMORY PURGE; or restart it in a "
        "quiet hour",
    )


def _swap(now: Info, _: Change) -> Finding | None:
    outside = (now.used_memory or 0) - (now.used_memory_rss or now.used_memory or 0)
    # The server measures rss ten times a second: what has just grown seems to be elsewhere.
    if outside <= 100 * _MEGABYTE:
        return None
    return Finding(
        "swap",
        "act",
        f"{_size(outside)} of {_size(now.used_memory)} are not in RAM",
        "the system has swapped them out; a command that needs them waits for the disk",
        "set maxmemory below the machine's memory, or move something else off the machine",
    )


def _blocked(now: Info, _: Change) -> Finding | None:
    blocked, connected = now.blocked_clients or 0, now.connected_clients or 0
    if blocked < 10 or blocked * 2 < connected:
        return None
    return Finding(
        "blocked clients",
        "look",
        f"{blocked:,} of {connected:,} clients wait in a blocking command",
        "workers that wait for work are fine; others wait for somebody who does not come",
        "see in CLIENT LIST which wait (flags=b), and give blocking commands a timeout",
    )


def _rejected(now: Info, change: Change) -> Finding | None:
    if not change.rejected_connections:
        return None
    return Finding(
        "rejected connections",
        "act",
        f"{change.rejected_connections:,} connections were refused; maxclients is "
        f"{now.maxclients or 'not told'}",
        "whoever was refused has no Redis",
        "find who holds connections without need, or raise maxclients",
    )


def _output_buffers(now: Info, _: Change) -> Finding | None:
    waiting = now.client_recent_max_output_buffer or 0
    if waiting <= 10 * _MEGABYTE:
        return None
    return Finding(
        "output buffers",
        "look",
        f"{_size(waiting)} wait to be sent to one client",
        "it asks for more than it reads; the buffer takes memory from the data",
        "see omem in CLIENT LIST, ask for less at once, and set client-output-buffer-limit",
    )


def _bgsave_failed(now: Info, _: Change) -> Finding | None:
    if now.rdb_last_bgsave_status in (None, "ok"):
        return None
    return Finding(
        "bgsave failed",
        "act",
        f"the last snapshot failed ({now.rdb_last_bgsave_status}); "
        f"{now.rdb_changes_since_last_save or 0:,} changes are in none",
        "they are lost when the server ends; with stop-writes-on-bgsave-error writes are refused",
        "read the server's log: the disk may be full, or there was no memory for the fork",
    )


def _aof_failed(now: Info, _: Change) -> Finding | None:
    if not now.aof_enabled or now.aof_last_write_status in (None, "ok"):
        return None
    return Finding(
        "aof failed",
        "act",
        f"the last write to the append-only file failed ({now.aof_last_write_status})",
        "the server refuses writes until it can write the file again",
        "read the server's log: the disk may be full, or not writable",
    )


def _replica_link(now: Info, _: Change) -> Finding | None:
    if now.master_link_status in (None, "up"):
        return None
    return Finding(
        "replica link",
        "act",
        f"the link to the master {now.master_host}:{now.master_port} is {now.master_link_status}",
        "what is read here is old, and gets older",
        "see whether the master runs and can be reached, and whether masterauth is right",
    )


def _short_connections(_: Info, change: Change) -> Finding | None:
    connections = change.total_connections_received or 0
    each = (change.total_commands_processed or 0) / max(connections, 1)
    if connections < 100 or each >= 10:
        return None
    return Finding(
        "short connections",
        "look",
        f"{connections:,} connections came, with {each:.1f} commands each",
        "to connect and to sign in takes longer than most commands",
        "let each process keep one client, whose pool keeps connections",
    )


_RULES: tuple[Callable[[Info, Change], Finding | None], ...] = (
    _hit_ratio,
    _evictions,
    _no_maxmemory,
    _memory_full,
    _volatile,
    _fragmentation,
    _swap,
    _blocked,
    _rejected,
    _output_buffers,
    _bgsave_failed,
    _aof_failed,
    _replica_link,
    _short_connections,
)


def _fullness(now: Info) -> float:
    """The share of maxmemory that is used; 0 without a limit."""
    counted = (now.used_memory or 0) - (now.mem_not_counted_for_evict or 0)
    return counted / now.maxmemory if now.maxmemory else 0.0


def _size(size: int | None) -> str:
    return "unknown" if size is None else decimal(size)
