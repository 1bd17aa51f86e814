"""CommandLog records what was sent, in how many trips, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import CommandLog, connect, connect_async
from tests.scale import times

if TYPE_CHECKING:
    from labkit.course.bench import Bench


@pytest.fixture
def client(bench: Bench) -> Any:
    bench.reset()
    client = bench.client()
    yield client
    client.close()


def test_a_command_is_one_trip(client: redis.Redis) -> None:
    with CommandLog(client) as log:
        client.set("greeting", "hello", ex=60)
        client.get("greeting")
    assert log.names == ["SET", "GET"]
    assert log.commands[0].args == ("greeting", "hello", "EX", "60")
    assert [command.trip for command in log] == [1, 2]
    assert log.round_trips == 2


def test_a_pipeline_is_one_trip_however_long(client: redis.Redis) -> None:
    with CommandLog(client) as log, client.pipeline(transaction=False) as pipe:
        for number in range(5000):
            pipe.set(f"key{number}", "x" * 50)
        pipe.execute()
    assert len(log) == 5000
    assert log.round_trips == 1


def test_a_transaction_shows_its_brackets(client: redis.Redis) -> None:
    with CommandLog(client) as log:
        client.pipeline().incr("a").incr("b").execute()
    assert log.names == ["MULTI", "INCRBY", "INCRBY", "EXEC"]
    assert log.round_trips == 1


def test_watch_costs_trips_of_its_own(client: redis.Redis) -> None:
    def queue(pipe: Any) -> None:
        pipe.multi()
        pipe.incr("a")

    with CommandLog(client) as log:
        client.transaction(queue, "a")
    assert log.names == ["WATCH", "MULTI", "INCRBY", "EXEC"]
    assert log.round_trips == 2


def test_a_script_is_one_trip(client: redis.Redis) -> None:
    with CommandLog(client) as log:
        client.eval("redis.call('SET', KEYS[1], 1) return redis.call('GET', KEYS[1])", 1, "a")
    assert log.names == ["EVAL"]
    assert log.round_trips == 1


def test_a_name_of_two_words_is_split(client: redis.Redis) -> None:
    with CommandLog(client) as log:
        client.script_flush()
    assert log.commands[0].name == "SCRIPT"
    assert log.commands[0].args[0] == "FLUSH"


def test_the_greeting_of_a_new_connection_is_left_out(bench: Bench) -> None:
    client = bench.client()
    client.connection_pool.disconnect()
    with CommandLog(client) as log:
        client.get("a")
        client.connection_pool.disconnect()
        client.get("a")
    client.close()
    assert log.names == ["GET", "GET"]


def test_nothing_is_recorded_outside_the_block(client: redis.Redis) -> None:
    client.get("before")
    with CommandLog(client) as log:
        client.get("inside")
    client.get("after")
    assert [command.args for command in log] == [("inside",)]


def test_the_client_is_left_as_it_was(client: redis.Redis) -> None:
    client.get("a")
    connection = client.connection_pool.get_connection()
    client.connection_pool.release(connection)
    before = dict(vars(connection)), dict(vars(client.connection_pool))
    with CommandLog(client):
        client.get("a")
    changed = {"next_health_check"}
    assert vars(connection).keys() - changed == before[0].keys() - changed
    assert "get_connection" not in vars(client.connection_pool)
    assert connection.send_command.__self__ is connection


def test_an_error_in_the_block_ends_the_recording(client: redis.Redis) -> None:
    log = CommandLog(client)

    def block() -> None:
        with log:
            client.get("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    client.get("b")
    assert len(log) == 1


def test_a_failing_command_is_recorded(client: redis.Redis) -> None:
    client.set("a", "text")
    with CommandLog(client) as log, pytest.raises(redis.ResponseError):
        client.incr("a")
    assert log.names == ["INCRBY"]


def test_two_logs_of_one_client_both_see(client: redis.Redis) -> None:
    with CommandLog(client) as outer:
        client.get("a")
        with CommandLog(client) as inner:
            client.get("b")
        client.get("c")
    assert len(inner) == 1
    assert len(outer) == 3


def test_a_log_records_one_block_at_a_time(client: redis.Redis) -> None:
    log = CommandLog(client)
    with log, pytest.raises(RuntimeError, match="already recording"), log:
        pass


def test_threads_are_recorded_together(client: redis.Redis) -> None:
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        for _ in range(50):
            client.incr("count")

    threads = [threading.Thread(target=work) for _ in range(8)]
    with CommandLog(client) as log:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert client.get("count") == "400"
    assert len(log) == log.round_trips == 400


def test_a_single_connection_client_is_heard(bench: Bench) -> None:
    url = str(bench.url)
    client = connect(url, single_connection_client=True)
    client.get("a")
    with CommandLog(client) as log:
        client.get("b")
    client.close()
    assert [command.args for command in log] == [("b",)]


def test_a_subscriber_is_heard(client: redis.Redis) -> None:
    with CommandLog(client) as log, client.pubsub() as pubsub:
        pubsub.subscribe("news")
    assert log.names[0] == "SUBSCRIBE"


def test_before_runs_ahead_of_each_trip(client: redis.Redis, bench: Bench) -> None:
    witness = bench.client()
    found = []
    with CommandLog(client, before=lambda trip: found.append((trip, witness.dbsize()))):
        client.set("a", 1)
        client.mset({"b": 1, "c": 1})
        client.get("a")
    witness.close()
    assert found == [(1, 0), (2, 1), (3, 3)]


def test_before_may_stop_a_trip(client: redis.Redis) -> None:
    def stop(trip: int) -> None:
        if trip == 2:
            raise KeyboardInterrupt

    log = CommandLog(client, before=stop)

    def block() -> None:
        with log:
            client.set("a", 1)
            client.set("b", 1)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert log.names == ["SET"]
    assert client.exists("a", "b") == 1


def test_as_text_it_shows_trips_and_totals(client: redis.Redis) -> None:
    with CommandLog(client) as log:
        client.set("motto", "insert coin")
        client.pipeline(transaction=False).get("motto").get("b" * 100).execute()
    assert str(log).splitlines() == [
        'trip 1   SET motto "insert coin"',
        "trip 2   GET motto",
        "         GET " + "b" * 60 + "...",
        "3 commands in 2 round trips",
    ]
    assert repr(log) == "<CommandLog: 3 commands in 2 round trips>"


def test_something_else_than_a_client_is_refused() -> None:
    with pytest.raises(TypeError, match="dict has no connection pool"):
        CommandLog({})


def test_async_clients_are_heard(bench: Bench) -> None:
    async def run() -> CommandLog:
        client = await connect_async(bench.url)
        with CommandLog(client) as log:
            await client.set("a", 1)
            pipe = client.pipeline()
            pipe.get("a")
            pipe.get("b")
            await pipe.execute()
            await asyncio.gather(*(client.incr("n") for _ in range(5)))
        await client.get("unseen")
        await client.aclose()
        return log

    log = asyncio.run(run())
    assert log.names == ["SET", "MULTI", "GET", "GET", "EXEC", *["INCRBY"] * 5]
    assert log.round_trips == 7


@settings(max_examples=times(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.integers(0, 6), max_size=8))
def test_trips_and_commands_follow_the_batches(client: redis.Redis, batches: list[int]) -> None:
    with CommandLog(client) as log:
        for size in batches:
            pipe = client.pipeline(transaction=False)
            for number in range(size):
                pipe.set(f"key{number}", number)
            pipe.execute()
    assert len(log) == sum(batches)
    assert log.round_trips == sum(size > 0 for size in batches)
