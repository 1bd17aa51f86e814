"""Slow commands are those that were sent, and those of one kind have one shape."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from labkit import CommandLog, connect
from labkit.inspect import slowlog
from labkit.inspect.words import split
from labkit.latency import percentile
from labkit.lua import script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.server import LocalServer

BUSY = "local n = 0 for i = 1, 3000000 do n = n + i end return n"
COMMANDS = [
    *(b"GET SET MGET MSET DEL HSET ZADD ZRANGE BLPOP XREAD XREADGROUP XADD EVAL EVALSHA".split()),
    *(b"FCALL ZUNIONSTORE ZINTER LMPOP BITOP SCAN OBJECT CONFIG CLIENT RENAME SUBSCRIBE".split()),
    *(b"get PING NEW.COMMAND".split()),
]
WORDS = st.binary(max_size=6) | st.sampled_from(
    [
        *(b"user:17 board:* 0 1 2 3 -1 1.5 (5 5-1 +inf nx WITHSCORES STREAMS N ? ...".split()),
        *(b"... (7 more bytes)", b"... (3 more arguments)", b"a b", b'"', "ключ:1".encode()),
    ]
)


@pytest.fixture
def told(each: LocalServer) -> Iterator[redis.Redis]:
    with each.client() as client:
        client.flushall()
        client.slowlog_reset()
        yield client


def settings(client: redis.Redis) -> dict[str, str]:
    found: Any = client.config_get("slowlog-*")
    return dict(found)


def entry(seconds: float, *words: bytes) -> slowlog.Entry:
    return slowlog.Entry(1, datetime.now(UTC), seconds, words, "127.0.0.1:1", "")


@pytest.mark.parametrize("decode", [True, False])
def test_what_was_sent_is_there_the_latest_first(
    each: LocalServer, told: redis.Redis, decode: bool
) -> None:
    with each.client(decode_responses=decode, client_name="worker") as client:
        client.ping()
        with slowlog.recording(told, 0):
            client.set(b"key:\xff", "value")
            client.get(b"key:\xff")
            found = slowlog.entries(client)
            assert len(slowlog.entries(client, 1)) == 1
    mine = [it for it in found if it.name == "worker"]
    assert [it.words for it in mine] == [(b"GET", b"key:\xff"), (b"SET", b"key:\xff", b"value")]
    assert mine[0].id == mine[1].id + 1
    assert all(it.client.startswith("127.0.0.1:") for it in mine)
    assert all(it.seconds >= 0 for it in mine)
    assert abs(mine[0].at - datetime.now(UTC)) < timedelta(hours=1)
    with pytest.raises(ValueError, match="count is 0; expected 1 or more"):
        slowlog.entries(told, 0)


def test_a_busy_script_is_what_takes_most(told: redis.Redis) -> None:
    with slowlog.recording(told, 0):
        told.mset({f"user:{number}": number for number in range(30)})
        for number in range(30):
            told.get(f"user:{number}")
        told.eval(BUSY, 0)
        found = slowlog.grouped(slowlog.entries(told))
    assert found.index[0].startswith("EVAL ")
    assert found.loc["GET user:*", "count"] == 30
    assert found["total"].is_monotonic_decreasing
    assert "MSET user:* N ..." in found.index


def test_groups_are_what_their_entries_are() -> None:
    times = [0.5, 0.1, 0.2, 0.4]
    found: Any = slowlog.grouped(
        [
            entry(0.01, b"PING"),
            *(entry(took, b"GET", b"a:%d" % at) for at, took in enumerate(times)),
        ]
    )
    assert [*found.index] == ["GET a:*", "PING"]
    assert found.index.name == "shape"
    row = found.loc["GET a:*"]
    assert row["count"] == 4
    assert row["total"] == pytest.approx(sum(times))
    assert row["largest"] == max(times)
    assert row["p50"] == pytest.approx(percentile(times, 50))
    assert row["p95"] == pytest.approx(percentile(times, 95))
    assert slowlog.grouped([]).empty
    assert [*slowlog.grouped([])] == [*found]


def test_settings_come_back_also_after_an_error(told: redis.Redis) -> None:
    before = settings(told)
    with slowlog.recording(told, "2ms", most=7):
        assert settings(told) == before | {
            "slowlog-log-slower-than": "2000",
            "slowlog-max-len": "7",
        }
    assert settings(told) == before
    with pytest.raises(RuntimeError, match="oops"), slowlog.recording(told, "2ms"):
        raise RuntimeError("oops")
    assert settings(told) == before


def test_what_makes_no_sense_is_refused_before_anything_is_sent(told: redis.Redis) -> None:
    with CommandLog(told) as log:
        with pytest.raises(ValueError, match="most is 0"), slowlog.recording(told, "1ms", most=0):
            pass
        with pytest.raises(ValueError, match="not a duration"), slowlog.recording(told, "soon"):
            pass
    assert not len(log)


def test_what_lacks_is_named_and_nothing_is_changed(each: LocalServer, told: redis.Redis) -> None:
    fake = connect(f"fake://{uuid.uuid4().hex}")
    with pytest.raises(LookupError, match="the server has no SLOWLOG GET"):
        slowlog.entries(fake)
    with (
        pytest.raises(LookupError, match="the server has no CONFIG GET"),
        slowlog.recording(fake, 0),
    ):
        pass
    before = settings(told)
    told.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "+config|get")
    with redis.Redis(port=each.port or 0, username="poor", password="secret") as poor:
        with pytest.raises(LookupError, match=r"may not ask SLOWLOG GET; .* \+slowlog\|get gives"):
            slowlog.entries(poor)
        with pytest.raises(LookupError, match=r"\+config\|set gives"), slowlog.recording(poor, 0):
            pass
    told.execute_command("ACL", "DELUSER", "poor")
    assert settings(told) == before


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("zrange board:7 0 99 withscores", "ZRANGE board:* N N WITHSCORES"),
        ("SET session:9 {} nx ex 60", "SET session:* ? NX EX N"),
        ("MGET a:1 a:2", "MGET a:* a:*"),
        ("MGET a:1 a:2 a:3 a:4", "MGET a:* ..."),
        ("MSET a:1 x a:2 y a:3 z", "MSET a:* ? ..."),
        ("ZADD b 1 x 2 y 3 z", "ZADD b N ? ..."),
        ("SCAN 0 MATCH user:* COUNT 10", "SCAN N MATCH ? COUNT N"),
        ("OBJECT ENCODING user:1", "OBJECT ENCODING user:*"),
        ("CONFIG GET maxmemory", "CONFIG GET ?"),
        ("DEBUG SLEEP 0.1", "DEBUG SLEEP N"),
        ("BLPOP queue:1 queue:2 5", "BLPOP queue:* queue:* N"),
        ("ZUNIONSTORE all:1 2 a:1 b:1 WEIGHTS 1 2", "ZUNIONSTORE all:* 2 a:* b:* WEIGHTS N N"),
        ("EVALSHA ABCDEF0123 1 user:1 7", "EVALSHA abcdef01 1 user:* N"),
        ("FCALL spend 1 user:1 7 x", "FCALL spend 1 user:* N ?"),
        ("XREAD COUNT 2 STREAMS s:1 s:2 0-0 $", "XREAD COUNT N STREAMS s:* s:* N $"),
        ("XADD log:1 * event login", "XADD log:* * ? ?"),
        ("BITOP AND to:1 from:1", "BITOP AND to:* from:*"),
        ("GET 'a key'", 'GET "a key"'),
        ('GET "\\xff:1"', 'GET "\\xff:*"'),
        ("GET ключ:1", "GET ключ:*"),
        ("PING", "PING"),
        ('DEL a:1 "... (5 more arguments)"', "DEL a:* ..."),
        ("EVAL 'return 1' 99999999999999999999 a", "EVAL e0e1f9fa 99999999999999999999 ?"),
    ],
)
def test_shapes(line: str, expected: str) -> None:
    assert slowlog.shape(split(line)) == expected


@given(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=12))
def test_the_shape_of_a_shape_is_itself(name: bytes, arguments: list[bytes]) -> None:
    shape = slowlog.shape([name, *arguments])
    assert slowlog.shape(split(shape)) == shape


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=4), st.text(max_size=20))
def test_other_numbers_and_values_have_the_same_shape(numbers: list[int], value: str) -> None:
    a, b, c, d = numbers
    said = f"value of {value}".encode("utf-8", "surrogatepass")
    for made, expected in (
        (["GET", f"user:{a}:cart"], "GET user:*:cart"),
        (["SET", f"user:{a}", said, "EX", b], "SET user:* ? EX N"),
        (["ZRANGEBYSCORE", f"board:{a}", b, f"({c}", "LIMIT", 0, d],
         "ZRANGEBYSCORE board:* N N LIMIT N N"),
        (["EVALSHA", "f" * 40, 1, f"user:{a}", b, said], "EVALSHA ffffffff 1 user:* N ?"),
    ):  # fmt: skip
        words = [it if isinstance(it, bytes) else str(it).encode() for it in made]
        assert slowlog.shape(words) == expected


def test_a_script_is_called_by_its_digest_and_one_that_was_cut_is_marked(told: redis.Redis) -> None:
    known = script("labkit.inspect", "survey")
    assert slowlog.shape([b"EVAL", known.text.encode(), b"0"]) == f"EVAL {known.digest[:8]} 0"
    with slowlog.recording(told, 0):
        told.eval(f"return '{'x' * 200}'", 0)
        told.eval("return 1", 0)
        found = [slowlog.shape(it.words) for it in slowlog.entries(told)]
    assert any(it.startswith("EVAL ~") for it in found)
    assert "EVAL e0e1f9fa 0" in found


def test_no_words_have_no_shape() -> None:
    with pytest.raises(ValueError, match="words are empty"):
        slowlog.shape([])
