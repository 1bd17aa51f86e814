"""How long things took is what the server says of what was really done."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from labkit import CommandLog, connect
from labkit.inspect import info, latency

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.server import LocalServer

BUSY = "local n = 0 for i = 1, 3000000 do n = n + i end return n"
COLUMNS = ["calls", "seconds", "mean", "p50", "p99", "rejected", "failed"]


@pytest.fixture
def told(each: LocalServer) -> Iterator[redis.Redis]:
    with each.client() as client:
        client.flushall()
        client.config_resetstat()
        client.execute_command("LATENCY", "RESET")
        yield client


def threshold(client: redis.Redis) -> Any:
    return client.config_get("latency-monitor-threshold")


@pytest.mark.parametrize("decode", [True, False])
def test_what_held_the_server_up_is_told(
    each: LocalServer, told: redis.Redis, decode: bool
) -> None:
    with each.client(decode_responses=decode) as client:
        with latency.watching(client, "1ms"):
            assert [*latency.events(client)] == ["event", "at", "seconds", "largest"]
            client.eval(BUSY, 0)
        found: Any = latency.events(client)
    rows = found[found["event"] == "command"]
    assert len(rows)
    assert (rows["seconds"] >= 0.001).all()
    assert (rows["largest"] >= rows["seconds"]).all()
    assert abs(rows["at"].iloc[0] - datetime.now(UTC)) < timedelta(hours=1)


def test_a_server_that_does_not_look_is_told_from_one_that_saw_nothing(told: redis.Redis) -> None:
    with pytest.raises(LookupError, match="the server watches no latency"):
        latency.events(told)
    with latency.watching(told, "1h"):
        assert latency.events(told).empty


def test_the_threshold_comes_back_also_after_an_error(told: redis.Redis) -> None:
    before = threshold(told)

    def fail() -> None:
        with latency.watching(told, "100ms"):
            assert threshold(told) == {"latency-monitor-threshold": "100"}
            raise RuntimeError("oops")

    with pytest.raises(RuntimeError, match="oops"):
        fail()
    assert threshold(told) == before
    refused = pytest.raises(ValueError, match="longer is 0; expected 1 ms or more")
    with CommandLog(told) as log, refused, latency.watching(told, 0):
        pass
    assert not len(log)


def test_pings_are_as_many_as_are_asked_for(client: redis.Redis) -> None:
    found = latency.pings(client, 30)
    assert {*found.samples} == {"PING"}
    assert len(found.samples["PING"]) == 30
    with pytest.raises(ValueError, match="expected at least 1"):
        latency.pings(client, 0)


def test_commands_are_counted_as_they_were_sent(told: redis.Redis) -> None:
    told.set("text", "x")
    for _ in range(5):
        told.get("text")
    with pytest.raises(redis.ResponseError):
        told.lpush("text", 1)
    with pytest.raises(redis.ResponseError):
        told.execute_command("GET")
    told.eval(BUSY, 0)
    found: Any = latency.commands(told)
    assert [*found] == COLUMNS
    assert found.index[0] == "eval"
    assert found["seconds"].is_monotonic_decreasing
    assert found.loc["get", ["calls", "rejected", "failed"]].to_list() == [5, 1, 0]
    assert found.loc["lpush", ["calls", "rejected", "failed"]].to_list() == [1, 0, 1]
    row = found.loc["eval"]
    assert row["mean"] == row["seconds"]
    assert row["p50"] == pytest.approx(row["seconds"], rel=0.05)  # a histogram is that exact
    assert row["p50"] <= row["p99"]


def test_between_two_moments_only_what_was_done_between_counts(told: redis.Redis) -> None:
    told.set("a", 1)
    told.get("a")
    before = info.read(told)
    for _ in range(4):
        told.get("a")
    told.hset("h", "f", 1)
    found: Any = latency.commands_of(info.read(told), before)
    assert found["calls"].to_dict() == {"get": 4, "hset": 1, "info": 1}
    assert found["p50"].isna().all()
    assert (found["mean"] * found["calls"] - found["seconds"]).abs().max() < 1e-12


COUNTS = st.fixed_dictionaries(
    {
        "calls": st.integers(1, 10**6),
        "usec": st.integers(0, 10**9),
        "failed_calls": st.integers(0, 9),
    }
)


@given(st.dictionaries(st.sampled_from(["get", "set", "config|get", "ft.search"]), COUNTS))
def test_a_server_without_percentiles_tells_the_rest(said: dict[str, dict[str, int]]) -> None:
    lines = [
        f"cmdstat_{name}:" + ",".join(f"{part}={value}" for part, value in parts.items())
        for name, parts in said.items()
    ]
    found: Any = latency.commands_of(info.parse("\r\n".join(["# Commandstats", *lines])))
    assert [*found] == COLUMNS
    assert {*found.index} == {*said}
    assert found["seconds"].is_monotonic_decreasing
    for name, parts in said.items():
        row = found.loc[name]
        assert (row["calls"], row["failed"]) == (parts["calls"], parts["failed_calls"])
        assert row["seconds"] == parts["usec"] / 1e6
        assert row["mean"] == pytest.approx(parts["usec"] / 1e6 / parts["calls"])
        assert row[["p50", "p99", "rejected"]].isna().all()


def test_what_lacks_is_named(each: LocalServer, told: redis.Redis) -> None:
    fake = connect(f"fake://{uuid.uuid4().hex}")
    with pytest.raises(LookupError, match="the server has no LATENCY LATEST"):
        latency.events(fake)
    with pytest.raises(LookupError, match="the server has no INFO"):
        latency.commands(fake)
    told.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "+latency|latest")
    with redis.Redis(port=each.port or 0, username="poor", password="secret") as poor:
        assert latency.events(poor).empty  # whether it looks, this user may not ask
        with latency.watching(told, "1ms"):
            told.eval(BUSY, 0)
        with pytest.raises(LookupError, match=r"\+latency\|history gives"):
            latency.events(poor)
        refused = pytest.raises(LookupError, match=r"\+config\|get gives")
        with refused, latency.watching(poor, "1ms"):
            pass
    told.execute_command("ACL", "DELUSER", "poor")
