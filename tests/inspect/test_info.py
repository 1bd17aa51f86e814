"""What INFO says is read as it is said, and what is worth a look is found."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from labkit import connect
from labkit.inspect import info
from labkit.server import LocalServer, find_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = st.sampled_from(info.Info.__struct_fields__) | st.text(
    st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1
).filter(lambda name: ":" not in name and not name.startswith("#"))
VALUES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))
TITLES = st.text("abcdefXYZ_", min_size=1)
NUMBERS = [name for name in info.Change.__struct_fields__ if name != "seconds"] + [
    *("used_memory", "used_memory_rss", "maxmemory", "uptime_in_seconds", "blocked_clients"),
]


@pytest.fixture
def told(each: LocalServer) -> Iterator[redis.Redis]:
    """A client of each kind of server, whose settings and counters are those of a new one."""
    with each.client() as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_resetstat()
        yield client


def eventually(client: redis.Redis, holds: Callable[[info.Info], bool]) -> info.Info:
    """What INFO says as soon as it says so."""
    deadline = time.monotonic() + 20
    while not holds(now := info.read(client)):
        assert time.monotonic() < deadline, "it did not come to that"
        threading.Event().wait(0.01)
    return now


def rules(found: list[info.Finding]) -> dict[str, str]:
    return {finding.rule: finding.severity for finding in found}


def info_of(**fields: Any) -> info.Info:
    return info.parse("".join(f"{name}:{value}\r\n" for name, value in fields.items()))


@given(
    st.dictionaries(TITLES, st.dictionaries(NAMES, VALUES), max_size=5),
    st.sampled_from(["\r\n", "\n"]),
)
def test_all_that_is_said_is_kept(sections: dict[str, dict[str, str]], end: str) -> None:
    lines = []
    for title, fields in sections.items():
        lines += [f"# {title}", *(f"{name}:{value}" for name, value in fields.items()), ""]
    assert info.parse(end.join(lines)).raw == sections


@given(st.dictionaries(st.sampled_from(NUMBERS), st.integers(0, 2**53)))
def test_numbers_are_those_that_are_said_and_the_others_are_none(said: dict[str, int]) -> None:
    found = info_of(**said)
    assert {name: getattr(found, name) for name in NUMBERS} == dict.fromkeys(NUMBERS) | said


def test_what_servers_say_in_parts_or_strangely_is_read_or_left() -> None:
    found = info.parse(
        "# Server\r\nredis_version:8.2.0\r\nserver_time_usec:1700000000500000\r\n"
        "# Memory\r\nmem_fragmentation_ratio:-nan\r\nused_memory:many\r\n"
        "# Replication\r\nrole:master\r\n"
        "slave0:ip=::1,port=6380,state=online,offset=12,lag=1,io-thread=0\r\n"
        "slave1:ip=10.0.0.2,port=6381,state=wait_bgsave\r\n"
        "# Modules\r\nmodule:name=a,ver=1\r\nmodule:name=b,ver=2\r\n"
        "# Keyspace\r\ndb0:keys=3,expires=2,avg_ttl=70,subexpiry=1\r\ndb11:keys=1,expires=0\r\n"
        "db0_distrib_strings_sizes:1=1\r\n"
    )
    assert (found.product, found.version) == ("redis", "8.2.0")
    assert found.taken_at == datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)
    assert found.mem_fragmentation_ratio is None
    assert found.used_memory is None
    assert found.replicas == (
        info.Replica("::1:6380", "online", 1, 12),
        info.Replica("10.0.0.2:6381", "wait_bgsave", None, None),
    )
    assert found.keyspace == {0: info.Database(3, 2, 70), 11: info.Database(1, 0, None)}
    assert found.raw["Modules"]["module"] == "name=a,ver=1\nname=b,ver=2"


def test_a_server_says_what_it_is(each: LocalServer, told: redis.Redis) -> None:
    told.set("a", 1, ex=1000)
    told.set("b", 1)
    with each.client(decode_responses=False) as plain:
        for client in (told, plain):
            now = info.read(client)
            missing = {
                name
                for name in now.__struct_fields__
                if getattr(now, name) is None and not name.startswith("master_")
            }
            assert not missing
            assert (now.product, now.version) == (each.kind, each.version)
            assert (now.role, now.mode, now.aof_enabled) == ("master", "standalone", False)
            database = now.keyspace[0]
            assert (database.keys, database.expires) == (2, 1)
            assert now.used_memory == int(now.raw["Memory"]["used_memory"])


def test_hits_and_misses_are_counted_exactly(told: redis.Redis) -> None:
    told.set("here", 1)
    before = info.read(told)
    assert info.difference(before, info.read(told)).hit_ratio is None
    for _ in range(3):
        told.get("here")
    told.get("gone")
    told.set("short", 1, px=1)
    eventually(told, lambda now: now.expired_keys == 1)
    between = info.read(told)
    change = info.difference(before, between)
    assert (change.keyspace_hits, change.keyspace_misses, change.hit_ratio) == (3, 1, 0.75)
    assert (change.expired_keys, change.evicted_keys) == (1, 0)
    assert change.rate("expired_keys") == 1 / change.seconds
    assert info.difference(between, info.read(told)).total_commands_processed == 1
    with pytest.raises(ValueError, match="counter is 'reads'; expected one of total_conn"):
        change.rate("reads")


def test_moments_that_cannot_be_compared_are_refused(told: redis.Redis) -> None:
    before = info.read(told)
    after = info.read(told)
    with pytest.raises(ValueError, match="seconds after before; expected more than none"):
        info.difference(after, before)
    told.config_resetstat()
    with pytest.raises(ValueError, match="went back: somebody sent CONFIG RESETSTAT"):
        info.difference(after, info.read(told))
    with pytest.raises(ValueError, match="give `parse` taken_at"):
        info.difference(info.parse("uptime_in_seconds:1"), after)


@pytest.mark.parametrize("binary", find_servers(), ids=lambda path: path.name)
def test_a_server_that_was_started_again_is_refused(binary: Path) -> None:
    with LocalServer(binary=binary) as server, server.client() as client:
        before = info.read(client)
        server.kill()
        server.start()
        after = info.read(client)
    with pytest.raises(ValueError, match="was started again in between"):
        info.difference(before, after)


def test_a_time_that_the_text_does_not_say_can_be_given() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    before = info.parse("keyspace_hits:1", moment)
    after = info.parse("keyspace_hits:5", moment + timedelta(seconds=2))
    change = info.difference(before, after)
    assert (change.seconds, change.rate("keyspace_hits")) == (2, 2)
    assert change.reads is None
    assert change.rate("evicted_keys") is None


def test_what_lacks_is_named(each: LocalServer) -> None:
    with pytest.raises(LookupError, match="the server has no INFO"):
        info.read(connect(f"fake://{uuid.uuid4().hex}"))
    with each.client() as client:
        client.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "+ping")
        poor = redis.Redis(port=each.port or 0, username="poor", password="secret")
        with poor, pytest.raises(LookupError, match=r"this user may not ask INFO; .* \+info gives"):
            info.read(poor)
        client.execute_command("ACL", "DELUSER", "poor")


def test_of_a_healthy_server_there_is_nothing(told: redis.Redis) -> None:
    told.config_set("maxmemory", "100mb")
    before = info.read(told)
    for number in range(1200):
        told.set(f"key:{number}", number, ex=1000)
        told.get(f"key:{number}")
    assert info.findings(info.read(told)) == []
    assert info.findings(info.read(told), before) == []


def test_a_low_hit_ratio_and_no_limit_are_found(told: redis.Redis) -> None:
    with told.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.get(f"gone:{number}")
        pipe.execute()
    now = info.read(told)
    found = info.findings(now)
    assert rules(found) == {"hit ratio": "look", "no maxmemory": "look"}
    assert "0% of 1,000 reads" in found[0].what
    assert rules(info.findings(info.read(told), now)) == {"no maxmemory": "look"}
    assert rules(info.findings(info_of(maxmemory=0, used_memory=8, total_system_memory=10))) == {
        "no maxmemory": "act"
    }


def test_evictions_and_keys_that_cannot_be_evicted_are_found(told: redis.Redis) -> None:
    limit = (info.read(told).used_memory or 0) + 1_000_000
    told.config_set("maxmemory", limit)
    told.config_set("maxmemory-policy", "volatile-lru")
    before = info.read(told)
    with contextlib.suppress(redis.ResponseError):  # out of memory, after some
        for number in range(3000):
            told.set(f"key:{number}", "x" * 1000)
    found = info.findings(info.read(told), before)
    assert rules(found) == {"volatile policy": "act"}
    told.config_set("maxmemory-policy", "noeviction")
    assert rules(info.findings(info.read(told), before)) == {"memory full": "act"}
    told.config_set("maxmemory-policy", "allkeys-lru")
    for number in range(3000):
        told.set(f"key:{number}", "x" * 1000)
    now = info.read(told)
    found = info.findings(now, before)
    assert rules(found) == {"evictions": "look"}
    assert f"{now.evicted_keys:,} keys were evicted" in found[0].what
    assert rules(info.findings(info.read(told), now)) == {}


def test_clients_that_wait_are_found_when_they_are_many(told: redis.Redis) -> None:
    told.config_set("maxmemory", "100mb")
    waiting = [told.connection_pool.make_connection() for _ in range(12)]
    try:
        for connection in waiting:
            connection.connect()
            connection.send_command("BLPOP", "nothing", 0)
        now = eventually(told, lambda now: now.blocked_clients == 12)
        found = info.findings(now)
        assert rules(found) == {"blocked clients": "look"}
        assert f"12 of {now.connected_clients} clients" in found[0].what
    finally:
        for connection in waiting:
            connection.disconnect()
    assert info.findings(eventually(told, lambda now: now.connected_clients == 1)) == []


def test_rejected_and_short_connections_are_found(each: LocalServer, told: redis.Redis) -> None:
    told.config_set("maxmemory", "100mb")
    before = info.read(told)
    for _ in range(120):
        with each.client() as client:
            client.get("a")
    found = info.findings(info.read(told), before)
    assert rules(found) == {"short connections": "look"}
    before = info.read(told)
    told.config_set("maxclients", 1)
    try:
        with each.client(retry=None) as client, pytest.raises(redis.ConnectionError):
            client.ping()
    finally:
        told.config_set("maxclients", 10_000)
    now = info.read(told)
    found = info.findings(now, before)
    assert rules(found) == {"rejected connections": "act"}
    assert f"{now.rejected_connections} connections were refused" in found[0].what


@pytest.mark.parametrize("binary", find_servers(), ids=lambda path: path.name)
def test_a_client_that_does_not_read_is_found(binary: Path) -> None:
    with (
        LocalServer(binary=binary, config={"maxmemory": "200mb"}) as server,
        server.client() as client,
    ):
        client.set("large", "x" * 20_000_000)
        deaf = client.connection_pool.make_connection()
        deaf.connect()
        deaf.send_command("GET", "large")
        now = eventually(
            client, lambda now: (now.client_recent_max_output_buffer or 0) > 10_000_000
        )
        deaf.disconnect()
    assert rules(info.findings(now)) == {"output buffers": "look"}


@pytest.mark.parametrize("binary", find_servers(), ids=lambda path: path.name)
def test_a_snapshot_that_failed_is_found(binary: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    config = {"maxmemory": "100mb"}
    with (
        LocalServer(binary=binary, directory=folder, config=config) as server,
        server.client() as client,
    ):
        client.set("a", 1)
        shutil.rmtree(folder)
        with contextlib.suppress(redis.ResponseError):
            client.bgsave()
        now = eventually(client, lambda now: now.rdb_last_bgsave_status == "err")
        found = info.findings(now)
        folder.mkdir()
    assert rules(found) == {"bgsave failed": "act"}
    assert "1 changes are in none" in found[0].what


@pytest.mark.parametrize("binary", find_servers(), ids=lambda path: path.name)
def test_a_master_knows_its_replica_and_a_replica_that_has_lost_it_is_found(binary: Path) -> None:
    common = {"maxmemory": "100mb", "repl-diskless-sync-delay": "0"}
    with ExitStack() as stack:
        master = stack.enter_context(LocalServer(binary=binary, config=common))
        following = {
            "masterauth": urlsplit(master.url).password or "",
            "replicaof": f"127.0.0.1 {master.port}",
        }
        replica = stack.enter_context(LocalServer(binary=binary, config=common | following))
        told = stack.enter_context(master.client())
        client = stack.enter_context(replica.client())
        now = eventually(told, lambda now: [it.state for it in now.replicas] == ["online"])
        assert now.replicas[0].address == f"127.0.0.1:{replica.port}"
        assert now.replicas[0].lag is not None
        now = eventually(client, lambda now: now.master_link_status == "up")
        assert (now.role, now.master_port) == ("slave", master.port)
        assert rules(info.findings(now)) == {}
        client.execute_command("REPLICAOF", "127.0.0.1", 1)
        found = info.findings(info.read(client))
    assert rules(found) == {"replica link": "act"}
    assert "the link to the master 127.0.0.1:1 is down" in found[0].what


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "used_memory": 200_000_000,
                "used_memory_rss": 400_000_000,
                "mem_fragmentation_ratio": 2,
            },
            {"fragmentation": "look"},
        ),
        (
            {"used_memory": 1_000_000, "used_memory_rss": 9_000_000, "mem_fragmentation_ratio": 9},
            {},
        ),
        ({"used_memory": 500_000_000, "used_memory_rss": 300_000_000}, {"swap": "act"}),
        ({"used_memory": 500_000_000}, {}),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, {"aof failed": "act"}),
        ({"aof_enabled": 0, "aof_last_write_status": "err"}, {}),
    ],
)
def test_what_is_hard_to_bring_about_is_found_in_a_text(
    fields: dict[str, Any], expected: dict[str, str]
) -> None:
    assert rules(info.findings(info_of(**fields))) == expected


def test_the_urgent_comes_first_and_each_says_what_to_do() -> None:
    found = info.findings(
        info_of(maxmemory=0, evicted_keys=7, rejected_connections=2, rdb_last_bgsave_status="err")
    )
    assert [finding.severity for finding in found] == ["act", "act", "look", "look"]
    assert all(finding.what and finding.why and finding.advice for finding in found)
