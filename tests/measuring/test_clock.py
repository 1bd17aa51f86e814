from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labkit import CommandLog, LocalServer
from labkit.clock import FakeClock, Forwarded, duration, fast_forward, run_in_virtual_time
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator

UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
SLACK = 20_000  # milliseconds that a test may take before its expectations on a TTL are off


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(params=["fake", "fake decoding", "real", "real decoding"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    decode = "decoding" in request.param
    client: redis.Redis
    if "fake" in request.param:
        client = fakeredis.FakeRedis(decode_responses=decode)
    else:
        client = request.getfixturevalue("server").client(decode_responses=decode)
    client.flushall()
    yield client
    client.close()


# --- duration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("250ms", 0.25),
        ("1001ms", 1.001),
        ("30s", 30),
        ("10m", 600),
        ("2h5m", 7500),
        (" 2h 5m ", 7500),
        ("1d", 86_400),
        ("1.5h", 5400),
        ("1m1ms", 60.001),
        ("90", 90),
        ("0s", 0),
        (90, 90),
        (0.25, 0.25),
        (0, 0),
    ],
)
def test_a_duration_reads_as_people_mean_it(written: float | str, seconds: float) -> None:
    assert duration(written) == seconds
    assert isinstance(duration(written), float)


@given(
    st.dictionaries(st.sampled_from(list(UNITS)), st.integers(0, 10_000), min_size=1),
    st.sampled_from(["", " "]),
)
def test_a_composed_duration_is_the_sum_of_its_parts(parts: dict[str, int], gap: str) -> None:
    written = gap.join(f"{parts[unit]}{unit}" for unit in UNITS if unit in parts)
    expected = sum(amount * UNITS[unit] for unit, amount in parts.items())
    assert duration(written) == pytest.approx(expected)


@given(st.decimals(0, 100_000, places=3), st.sampled_from(list(UNITS)))
def test_a_fraction_of_a_unit_counts(amount: Any, unit: str) -> None:
    assert duration(f"{amount}{unit}") == pytest.approx(float(amount) * UNITS[unit])


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "s", "ms", "5m2h", "5m5m", "-1s", "+1s", "1e3", "1e3s", "inf", "nan", "1w", "10M",
        "1 0s", "1.s", ".5s", "٣s", "1,5s", "10 minutes", "9" * 400, "9" * 400 + "d",
        -1, -0.001, float("nan"), float("inf"), 10**400,
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused_and_told_what_is_one(written: float | str) -> None:
    with pytest.raises(ValueError, match=r'not a duration: .*"250ms".*d, h, m, s, ms'):
        duration(written)


@pytest.mark.parametrize("value", [True, False, None, b"10s", [10], 1j])
def test_a_duration_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="not a duration"):
        duration(value)


@given(st.text(max_size=8))
@example("1s\n")
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert 0 <= duration(text) < float("inf")
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017 - both outcomes are right


# --- FakeClock ------------------------------------------------------------------------------------


def test_a_fake_clock_moves_only_when_told_to() -> None:
    clock = FakeClock(1_000)
    assert (clock(), clock()) == (1_000, 1_000)
    clock.advance(2.5)
    clock.advance("1m")
    assert clock() == 1_062.5
    clock.set(5)
    assert clock() == 5
    assert repr(clock) == "FakeClock(5.0)"


def test_a_fake_clock_starts_at_the_epoch() -> None:
    assert FakeClock()() == 0.0


@pytest.mark.parametrize("seconds", [-1, float("nan"), "-1s"])
def test_a_fake_clock_does_not_advance_backwards(seconds: float | str) -> None:
    clock = FakeClock(7)
    with pytest.raises(ValueError, match="not negative"):
        clock.advance(seconds)
    assert clock() == 7


@pytest.mark.parametrize("moment", [float("nan"), float("inf")])
def test_a_fake_clock_stands_at_a_finite_moment(moment: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        FakeClock(moment)
    clock = FakeClock(7)
    with pytest.raises(ValueError, match="finite"):
        clock.set(moment)
    assert clock() == 7


def test_no_step_is_lost_between_threads() -> None:
    clock = FakeClock()

    def step() -> None:
        for _ in range(5_000):
            clock.advance(1)

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock() == 20_000


# --- fast_forward ---------------------------------------------------------------------------------


def test_keys_are_shortened_expired_or_left_alone(client: redis.Redis) -> None:
    client.set("short", 1, ex=30)
    client.set("long", 1, ex=300)
    client.set("forever", 1)
    assert fast_forward(client, "1m") == Forwarded(shortened=1, expired=1)
    assert client.exists("short") == 0
    assert 240_000 - SLACK < client.pttl("long") <= 240_000
    assert client.pttl("forever") == -1


def test_only_keys_that_match_feel_the_time(client: redis.Redis) -> None:
    client.set("lesson:a", 1, ex=300)
    client.set("other:a", 1, ex=300)
    assert fast_forward(client, 1_000, match="lesson:*") == (0, 1)
    assert client.exists("lesson:a", "other:a") == 1
    assert fast_forward(client, 100, match=b"other:*") == (1, 0)


def test_a_whole_time_to_live_is_enough_to_expire(client: redis.Redis) -> None:
    client.set("key", 1, px=60_000)
    fast_forward(client, 60)
    assert not client.exists("key")


def test_every_type_of_key_expires(client: redis.Redis) -> None:
    client.hset("hash", "field", "1")
    client.rpush("list", "1")
    client.zadd("zset", {"member": 1})
    for key in ("hash", "list", "zset"):
        client.expire(key, 10)
    assert fast_forward(client, 11) == (0, 3)
    assert client.dbsize() == 0


def test_no_time_and_no_end_of_time(client: redis.Redis) -> None:
    client.set("key", 1, ex=300)
    assert fast_forward(client, 0) == (1, 0)
    assert 300_000 - SLACK < client.pttl("key") <= 300_000
    assert fast_forward(client, 1e308) == (0, 1)


def test_an_empty_server_has_nothing_to_forward(client: redis.Redis) -> None:
    assert fast_forward(client, 10) == (0, 0)


@settings(
    max_examples=times(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    ttls=st.dictionaries(
        st.binary(min_size=1, max_size=4),
        st.none() | st.integers(1, 10).map(lambda n: n * 100),
        max_size=12,
    ),
    steps=st.lists(st.integers(0, 4).map(lambda n: n * 100 + 50), max_size=3),
)
@example(ttls={b"\xff\xfe": 100, b"\x00": 200, b"*": None}, steps=[50, 150])
def test_times_to_live_follow_a_plain_model(
    client: redis.Redis, ttls: dict[bytes, int | None], steps: list[int]
) -> None:
    client.flushall()
    for key, ttl in ttls.items():
        client.set(key, 1, ex=ttl)
    model = dict(ttls)
    for step in steps:
        aged = {key: ttl - step for key, ttl in model.items() if ttl is not None}
        gone = {key for key, ttl in aged.items() if ttl <= 0}
        model = {key: aged.get(key) for key in model if key not in gone}
        assert fast_forward(client, step) == (len(aged) - len(gone), len(gone))
    assert client.dbsize() == len(model)
    for key, ttl in model.items():
        left = client.pttl(key)
        assert left == -1 if ttl is None else ttl * 1000 - SLACK < left <= ttl * 1000


def test_many_keys_take_few_round_trips_and_never_keys(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for number in range(2_500):
            pipeline.set(f"key:{number}", 1, ex=30 if number % 2 else 300)
        pipeline.execute()
    with CommandLog(client) as log:
        assert fast_forward(client, 60) == (1_250, 1_250)
    assert set(log.names) == {"SCAN", "PTTL", "PEXPIRE"}
    assert log.round_trips <= 12


def test_a_key_that_scan_repeats_is_shortened_once(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.set("key", 1, ex=300)
    gone = [b"gone:%d" % number for number in range(2_500)]
    monkeypatch.setattr(client, "scan_iter", lambda **_: iter([b"key", *gone, b"key"]))
    assert fast_forward(client, 100) == (1, 0)
    assert 200_000 - SLACK < client.pttl("key") <= 200_000


@pytest.mark.parametrize("other", [redis.asyncio.Redis(), fakeredis.FakeAsyncRedis(), None, "url"])
def test_what_is_no_synchronous_client_is_refused(other: Any) -> None:
    with pytest.raises(TypeError, match=r"client is a .*expected a synchronous redis.Redis"):
        fast_forward(other, 1)


@pytest.mark.parametrize("seconds", [-1, "soon", float("nan")])
def test_time_does_not_run_backwards(client: redis.Redis, seconds: float | str) -> None:
    client.set("key", 1, ex=300)
    with pytest.raises(ValueError, match="not a duration"):
        fast_forward(client, seconds)
    assert client.pttl("key") > 300_000 - SLACK


# --- Simulated time


def test_sleepers_wake_in_their_order_and_nobody_waits() -> None:
    clock = FakeClock(100)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, clock()))

    async def main() -> str:
        await asyncio.gather(sleeper("late", 86_400), sleeper("early", 0.25), sleeper("same", 0.25))
        return "done"

    assert run_in_virtual_time(main, clock) == "done"
    assert woken == [("early", 100.25), ("same", 100.25), ("late", 86_500.0)]


def test_time_outs_go_by_the_simulated_clock() -> None:
    clock = FakeClock()

    async def main() -> None:
        async with asyncio.timeout(3600):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_in_virtual_time(main, clock)
    assert clock() == 3600


def test_simulated_time_can_be_had_inside_a_running_loop() -> None:
    clock = FakeClock()

    async def inner() -> None:
        await asyncio.sleep(60)

    async def notebook() -> None:
        run_in_virtual_time(inner, clock)

    asyncio.run(notebook())
    assert clock() == 60


def test_threads_may_still_call_in() -> None:
    async def main() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert run_in_virtual_time(main, FakeClock()) == 7
