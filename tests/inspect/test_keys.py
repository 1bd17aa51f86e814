"""What a survey says of keys is what the server says of each."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import CommandLog, connect
from labkit.inspect import keys

if TYPE_CHECKING:
    from labkit.server import LocalServer


def fill(client: redis.Redis, names: list[bytes], seed: int) -> None:
    for number, name in enumerate(names, start=seed):
        kind = keys.TYPES[number % len(keys.TYPES)]
        client.execute_command(*{
            "string": ("SET", name, "x" * (number % 200)),
            "list": ("RPUSH", name, *range(1 + number % 20)),
            "set": ("SADD", name, "a", "b"),
            "zset": ("ZADD", name, 1, "a"),
            "hash": ("HSET", name, "field", "value"),
            "stream": ("XADD", name, "*", "field", "value"),
        }[kind])  # fmt: skip
        if number % 3 == 0:
            client.pexpire(name, 10_000_000 + number)


def asked(client: redis.Redis, name: bytes) -> dict[str, Any]:
    """What the server says of one key."""
    ttl: Any = client.pttl(name)

    def perhaps(*command: Any) -> Any:
        try:
            return client.execute_command(*command)
        except redis.ResponseError:
            return None

    return {
        "type": client.type(name),
        "ttl": None if ttl < 0 else ttl / 1000,
        "memory": perhaps("MEMORY", "USAGE", name, "SAMPLES", 0),
        "encoding": perhaps("OBJECT", "ENCODING", name),
        "idle": perhaps("OBJECT", "IDLETIME", name),
        "uses": perhaps("OBJECT", "FREQ", name),
    }


def none_for_missing(value: Any) -> Any:
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


NAMES = st.lists(
    st.binary(min_size=1, max_size=12) | st.sampled_from([b"user:1", b"user:22", b"a\nb", b"\xff"]),
    unique=True,
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=NAMES, seed=st.integers(0, 50), batch=st.integers(1, 30), rows=st.integers(1, 30))
def test_a_survey_says_of_each_key_what_the_server_says(
    client: redis.Redis, names: list[bytes], seed: int, batch: int, rows: int
) -> None:
    client.flushall()
    fill(client, names, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "ROWS", rows)
        found = keys.survey(client, samples=0, batch=batch)
    table: list[Any] = list(found.itertuples())
    by_name = {row.key.encode("utf-8", "surrogateescape"): row for row in table}
    assert by_name.keys() == {*names}
    assert len(found) == len(names)
    for name, row in by_name.items():
        expected = asked(client, name)
        ttl = none_for_missing(row.ttl)
        assert (ttl is None) == (expected["ttl"] is None)
        assert ttl is None or 0 <= ttl - expected["ttl"] < 60  # time has passed since
        assert row.type == expected["type"]
        assert none_for_missing(row.memory) == expected["memory"]
        assert none_for_missing(row.encoding) == expected["encoding"]
        assert (none_for_missing(row.idle) is None) == (expected["idle"] is None)
        assert none_for_missing(row.uses) == expected["uses"]
        assert row.group == keys.group_of(row.key)


def test_groups_add_up_what_a_survey_says(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "ROWS", 7)
    fill(client, [f"user:{number}:cart".encode() for number in range(30)], 0)
    fill(client, [f"news:{number}".encode() for number in range(20)], 1)
    fill(client, [b"config"], 0)
    found: Any = keys.groups(client, batch=5)
    rows: Any = keys.survey(client)
    assert {*found.index} == {"user:*:cart", "news:*", "config"}
    assert found["keys"].to_dict() == {"user:*:cart": 30, "news:*": 20, "config": 1}
    for name, part in rows.groupby("group"):
        assert found.loc[name, "immortal"] == part["ttl"].isna().sum()
        if part["memory"].notna().any():
            assert found.loc[name, "memory"] == part["memory"].sum()
            assert found.loc[name, "largest"] == part["memory"].max()
    if rows["memory"].notna().any():
        assert found["memory"].is_monotonic_decreasing


def test_pattern_type_and_group_choose(client: redis.Redis) -> None:
    fill(client, [f"user:{number}".encode() for number in range(12)], 0)
    fill(client, [b"other"], 0)
    seen: list[int] = []
    found = keys.survey(client, "user:*", type="hash", progress=seen.append, batch=3)
    assert {*found["type"]} == {"hash"}
    assert {*found["key"]} == {"user:4", "user:10"}
    assert seen[-1] == 2
    named = keys.survey(client, group=lambda key: key[:4])
    assert {*named["group"]} == {"user", "othe"}


def test_an_empty_server_has_an_empty_survey(client: redis.Redis) -> None:
    assert keys.survey(client).empty
    names = ["key", "group", "type", "ttl", "memory", "encoding", "idle", "uses"]
    assert [*keys.survey(client)] == names
    assert keys.largest(client).empty
    assert keys.hottest(client).empty
    assert keys.immortal(client).empty
    assert keys.groups(client).empty


def test_what_makes_no_sense_is_refused_before_anything_is_sent(client: redis.Redis) -> None:
    with CommandLog(client) as log:
        with pytest.raises(ValueError, match="type is 'hyperloglog'; expected one of string, list"):
            keys.survey(client, type="hyperloglog")
        with pytest.raises(ValueError, match="batch is 0"):
            keys.survey(client, batch=0)
    assert not len(log)


def test_only_scripts_that_scan_are_sent_and_no_step_is_large(client: redis.Redis) -> None:
    fill(client, [f"key:{number}".encode() for number in range(300)], 0)
    keys.survey(client)
    with CommandLog(client) as log:
        assert len(keys.survey(client, batch=10)) == 300
    assert {*log.names} == {"EVALSHA"}
    assert log.round_trips >= 20


def test_what_a_user_may_not_ask_is_missing_and_the_rest_is_there(server: LocalServer) -> None:
    with server.client() as client:
        client.flushall()
        fill(client, [b"a", b"b"], 0)
        rules = ["on", ">secret", "~*", "+@read", "+@scripting", "+info", "-memory", "-object"]
        client.execute_command("ACL", "SETUSER", "reader", *rules)
        port = server.port or 0
        with redis.Redis(port=port, username="reader", password="secret") as reader:
            found = keys.survey(reader)
        client.execute_command("ACL", "DELUSER", "reader")
    assert found["memory"].isna().all()
    assert found["encoding"].isna().all()
    assert {*found["type"]} == {"string", "list"}


def test_uses_are_told_under_an_lfu_policy_and_idle_times_under_others(
    server: LocalServer,
) -> None:
    with server.client() as client:
        client.flushall()
        client.set("before", 1)
        with pytest.raises(LookupError, match="maxmemory-policy allkeys-lfu makes it begin to"):
            keys.hottest(client)
        client.config_set("maxmemory-policy", "allkeys-lfu")
        client.flushall()
        client.mset(dict.fromkeys(["cold", "hot", "warm"], "x"))
        for name, times in (("hot", 2000), ("warm", 60)):
            with client.pipeline() as pipe:
                for _ in range(times):
                    pipe.get(name)
                pipe.execute()
        found = keys.survey(client)
        hottest = keys.hottest(client, 2)
        client.config_set("maxmemory-policy", "noeviction")
    assert found["idle"].isna().all()
    assert found["uses"].notna().all()
    assert [*hottest["key"]] == ["hot", "warm"]


def test_what_fakeredis_does_not_tell_is_said() -> None:
    client = connect(f"fake://{uuid.uuid4().hex}")
    client.set("a", 1)
    with pytest.raises(LookupError, match="has no MEMORY USAGE"):
        keys.largest(client)
    assert [*keys.immortal(client)["key"]] == ["a"]


def test_the_largest_and_the_immortal_are_those_of_the_survey(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "ROWS", 20)
    with server.client() as client:
        client.flushall()
        for number in range(200):
            client.set(
                f"key:{number}", "x" * (number * 37 % 1000 * 20), ex=number % 2 * 1000 or None
            )
        rows = keys.survey(client)
        expected = rows.sort_values(["memory", "key"], ascending=[False, True]).head(7)
        found = keys.largest(client, 7, batch=10)
        assert [*found["key"]] == [*expected["key"]]
        assert {*keys.immortal(client)["key"]} == {f"key:{number}" for number in range(0, 200, 2)}
        with pytest.raises(ValueError, match="count is 0; expected 1 or more"):
            keys.largest(client, 0)
