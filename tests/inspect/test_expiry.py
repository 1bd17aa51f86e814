"""What is said of times to live is what the keys have, and what happens to keys is heard."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import connect
from labkit.clock import fast_forward
from labkit.inspect import expiry, keys
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.server import LocalServer

LIMIT = 30.0  # seconds, after which what was awaited did not come

# Times to live that stay in their range while a test runs.
INSIDE = dict(zip(expiry.BINS, (50, 500, 3_000, 80_000, 500_000, 900_000, None), strict=True))
GROUPS = ("user:{}", "news:{}:text", "config")
FILLED = st.dictionaries(
    st.builds(str.format, st.sampled_from(GROUPS), st.integers(0, 99)),
    st.sampled_from(expiry.BINS),
    max_size=40,
)


def fill(client: redis.Redis, filled: dict[str, str]) -> None:
    client.flushall()
    for number, (key, name) in enumerate(filled.items()):
        client.set(key, "x" * number, ex=INSIDE[name])


def memory_of(client: redis.Redis, names: list[str]) -> float:
    """What the server says that keys take; NaN where it does not."""
    try:
        return sum(client.memory_usage(name, samples=5) or 0 for name in names)
    except redis.ResponseError:
        return math.nan if names else 0.0


@pytest.fixture
def told(server: LocalServer) -> Iterator[redis.Redis]:
    """A server that tells what happens to keys."""
    with server.client() as client:
        client.flushall()
        with expiry.notifying(client, "Kxeg"):
            yield client


@settings(max_examples=times(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filled=FILLED, batch=st.integers(1, 20), rows=st.integers(1, 20))
def test_keys_are_counted_by_time_to_live_and_by_group(
    client: redis.Redis, filled: dict[str, str], batch: int, rows: int
) -> None:
    fill(client, filled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "ROWS", rows)
        found = expiry.histogram(client, batch=batch)
        never = expiry.immortal(client, batch=batch)
    assert [*found.index] == [*expiry.BINS]
    for name in expiry.BINS:
        inside = [key for key, own in filled.items() if own == name]
        assert found.loc[name, "keys"] == len(inside)
        assert found.loc[name, "memory"] == pytest.approx(memory_of(client, inside), nan_ok=True)
    by_group: dict[str, list[str]] = {}
    for key in filled:
        by_group.setdefault(keys.group_of(key), []).append(key)
    expected = {
        group: [key for key in own if filled[key] == expiry.NEVER]
        for group, own in by_group.items()
    }
    assert {*never.index} == {group for group, own in expected.items() if own}
    for group, row in never.iterrows():
        own = expected[str(group)]
        assert (row["immortal"], row["keys"]) == (len(own), len(by_group[str(group)]))
        assert row["share"] == row["immortal"] / row["keys"]
        assert row["memory"] == pytest.approx(memory_of(client, own), nan_ok=True)
    assert never["memory"].isna().all() or never["memory"].is_monotonic_decreasing


def test_a_range_begins_where_the_one_before_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    edges = [0, 59.999, 60, 599.999, 600, 3_600, 86_400, 604_799.999, 604_800, math.nan]
    frame = keys.survey(connect(f"fake://{uuid.uuid4().hex}"))
    frame = frame.reindex(range(len(edges))).assign(ttl=edges, memory=math.nan)
    monkeypatch.setattr(keys, "batches", lambda *_, **__: iter([frame]))
    found = expiry.histogram(redis.Redis())
    assert [*found["keys"]] == [2, 2, 1, 1, 2, 1, 1]


def test_the_soonest_come_first_and_no_more_than_asked_for(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "ROWS", 7)
    for number in range(60):
        client.set(f"key:{number}", "x", ex=100 + 10 * number)
    client.set("never", "x")
    found = expiry.soon(client, "5m", batch=5)
    assert [*found] == ["key", "group", "ttl"]
    assert [*found["key"]] == [f"key:{number}" for number in range(21)]
    assert found["ttl"].is_monotonic_increasing
    assert [*expiry.soon(client, 10_000, "key:?", most=2)["key"]] == ["key:0", "key:1"]
    assert expiry.soon(client, within="90s").empty
    fast_forward(client, 250)
    assert [*expiry.soon(client, within=30)["key"]] == ["key:16", "key:17", "key:18"]
    with pytest.raises(ValueError, match="most is 0; expected 1 or more"):
        expiry.soon(client, most=0)
    with pytest.raises(ValueError, match="not a duration"):
        expiry.soon(client, "later")


def test_an_empty_server_has_zeros(client: redis.Redis) -> None:
    assert [*expiry.histogram(client)["keys"]] == [0] * 7
    assert expiry.soon(client).empty
    assert expiry.immortal(client).empty
    assert [*expiry.immortal(client)] == ["immortal", "keys", "share", "memory"]
    assert expiry.chart(client).png()


def test_the_chart_has_the_figures_in_words(client: redis.Redis) -> None:
    fill(client, {"a": "< 1 min", "b": "1-24 h", "c": "never", "d": "never"})
    assert expiry.chart(client).words == (
        "By time to live, in keys: < 1 min 1 (25 %), 1-10 min 0 (0 %), 10-60 min 0 (0 %), "
        "1-24 h 1 (25 %), 1-7 d 0 (0 %), > 7 d 0 (0 %), never 2 (50 %)."
    )
    assert "never 2 (100 %)" in expiry.chart(client, "[cd]").words


@pytest.mark.parametrize("name", [b"session:1", b"session:\xff\n*", b"session:"])
def test_a_key_that_expires_is_heard_of(told: redis.Redis, name: bytes) -> None:
    began = time.time()
    events = expiry.watch(told, "session:*", seconds=LIMIT)
    told.set("other", "x", px=1)
    told.set(name, "x", px=1)
    while told.exists(name, "other"):
        assert time.time() < began + LIMIT
    seen = [next(events), next(events)]
    events.close()
    assert [(event.key, event.kind) for event in seen] == [(name, "expire"), (name, "expired")]
    assert began <= seen[0].at <= seen[1].at


def test_what_else_happens_is_heard_of(told: redis.Redis) -> None:
    events = expiry.watch(told, most=4, seconds=LIMIT)
    told.set("a", "x")  # strings are not among the flags
    told.expire("a", 100)
    told.persist("a")
    told.expire("a", 100)
    told.delete("a")
    assert [event.kind for event in events] == ["expire", "persist", "expire", "del"]


def test_only_the_database_of_the_client_is_watched(server: LocalServer, told: redis.Redis) -> None:
    with server.client(db=3) as third:
        events = expiry.watch(third, most=1, seconds=LIMIT)
        for client in (told, third):
            client.set(f"of {client is third}", "x")
            client.delete(f"of {client is third}")
    assert [event.key for event in events] == [b"of True"]


def test_what_is_evicted_is_heard_of(told: redis.Redis) -> None:
    info: Any = told.info("memory")
    events = expiry.watch(told, seconds=LIMIT)
    before: Any = told.config_get("maxmemory*")
    told.config_set("maxmemory-policy", "allkeys-random")
    told.config_set("maxmemory", info["used_memory"] + 2_000_000)
    for number in range(40):
        told.set(f"key:{number}", "x" * 100_000)
    event = next(events)
    events.close()
    for name in ("maxmemory", "maxmemory-policy"):
        told.config_set(name, before[name])
    assert event.kind == "evicted"
    assert event.key.startswith(b"key:")


def test_watching_ends_after_its_time_or_its_events(told: redis.Redis) -> None:
    assert [*expiry.watch(told, seconds="10ms")] == []
    assert [*expiry.watch(told, most=0)] == []


def test_flags_are_added_and_taken_back(server: LocalServer) -> None:
    with server.client() as client:

        def flags() -> set[str]:
            found: Any = client.config_get("notify-keyspace-events")
            return {*found["notify-keyspace-events"]}

        for before in ("", "KE$", "AKE"):
            client.config_set("notify-keyspace-events", before)
            with contextlib.suppress(ZeroDivisionError), expiry.notifying(client):
                assert flags() >= {*before, "K"}
                assert flags() & {"x", "A"}
                raise ZeroDivisionError
            assert flags() == {*before}
        client.config_set("notify-keyspace-events", "")
        with pytest.raises(ValueError, match=r"flags are 'KQ'; \['Q'\] are none of"):
            expiry.notifying(client, "KQ").__enter__()


@pytest.mark.parametrize(
    ("flags", "needed"), [("", "Kxe"), ("E$", r"\$EK"), ("K", "Kxe"), ("Ex", "xEK")]
)
def test_a_server_that_does_not_tell_is_named_with_the_command_to_type(
    server: LocalServer, flags: str, needed: str
) -> None:
    with server.client() as client:
        client.config_set("notify-keyspace-events", flags)
        with pytest.raises(LookupError, match=rf"CONFIG SET notify-keyspace-events {needed}$"):
            expiry.watch(client)
        client.config_set("notify-keyspace-events", "")


def test_who_may_not_see_or_listen_is_told(told: redis.Redis, server: LocalServer) -> None:
    rules = ["on", ">secret", "~*", "&__keyspace@0__:*", "+psubscribe"]
    told.execute_command("ACL", "SETUSER", "reader", *rules)
    told.execute_command("ACL", "SETUSER", "other", *rules, "resetchannels")
    options: dict[str, Any] = {"port": server.port, "password": "secret"}
    with redis.Redis(username="reader", **options) as reader:
        with pytest.warns(UserWarning, match="cannot be seen whether notify-keyspace-events is"):
            events = expiry.watch(reader, most=1, seconds=LIMIT)
        told.set("a", "x", ex=100)
        assert [event.key for event in events] == [b"a"]
        with pytest.raises(LookupError, match="add Kxe to notify-keyspace-events"):
            expiry.notifying(reader).__enter__()
    with (
        redis.Redis(username="other", **options) as other,
        pytest.warns(UserWarning, match="cannot be seen"),
        pytest.raises(LookupError, match=r"PSUBSCRIBE.*NOPERM"),
    ):
        expiry.watch(other)
    told.execute_command("ACL", "DELUSER", "reader", "other")
