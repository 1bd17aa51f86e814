"""A sample holds what the server was asked, word for word, and no password."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import connect, inspect
from labkit.inspect import Session, monitor, split
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from labkit.server import LocalServer

LIMIT = 30.0  # seconds, after which what was awaited did not come
END = (b"ECHO", b"end")


@pytest.fixture
def watched(server: LocalServer) -> Iterator[redis.Redis]:
    with server.client(decode_responses=False) as client:
        client.flushall()
        yield client


def watched_while(client: redis.Redis, *commands: Sequence[bytes]) -> list[monitor.Seen]:
    """What a sample holds of these commands, which are sent as soon as it watches."""
    found: list[monitor.Sample] = []
    most = len(commands) + 1
    watching = threading.Thread(target=lambda: found.append(monitor.sample(client, LIMIT, most)))
    with Session(client) as session:
        session.ask("PING")
        watching.start()
        while watching.is_alive() and b"cmd=monitor" not in session.ask("CLIENT", "LIST").value:
            pass
        for words in commands:
            session.ask(*words)
        while watching.is_alive():  # what the server does not show is made up for
            session.ask(*END)
    (sample,) = found
    assert sample.cut_off
    return [seen for seen in sample.commands if seen.words != END]


WORDS = st.lists(st.binary(max_size=30), min_size=1, max_size=6)


@settings(max_examples=times(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(WORDS, max_size=10))
def test_words_come_back_as_they_were_sent(watched: redis.Redis, rows: list[list[bytes]]) -> None:
    commands = [(b"DEL", *words) for words in rows]
    seen = watched_while(watched, *commands)
    assert [one.words for one in seen] == commands
    assert [tuple(split(one.line)) for one in seen] == commands
    assert [one.key for one in seen] == [words[1] for words in commands]
    assert all(one.db == 0 and one.client.startswith("127.0.0.1:") for one in seen)


def test_a_command_may_be_large(watched: redis.Redis) -> None:
    (seen,) = watched_while(watched, (b"SET", b"large", b"\xff" * 1_000_000))
    assert seen.words == (b"SET", b"large", b"\xff" * 1_000_000)


def test_databases_and_scripts_are_told(watched: redis.Redis) -> None:
    script = b"return redis.call('GET', KEYS[1])"
    commands = [(b"SELECT", b"3"), (b"EVAL", script, b"1", b"a:1"), (b"SELECT", b"0")]
    seen = watched_while(watched, *commands, (b"PING",))
    by_name = {one.command: one for one in seen}
    assert (by_name["EVAL"].db, by_name["GET"].db, by_name["PING"].db) == (3, 3, 0)
    assert by_name["GET"].client == "lua"
    assert (by_name["EVAL"].key, by_name["GET"].key) == (b"a:1", b"a:1")


SECRET = st.text("abcXYZ019 ~!\\\"'é", min_size=1).map(lambda text: f"s3cr3t{text}".encode())
WITH_SECRETS = [
    "AUTH {}",
    "auth ada {}",
    "AUTH {} {} {}",
    "HELLO 3 AUTH ada {} SETNAME keys",
    "HELLO 2 SETNAME keys auth ada {}",
    "CONFIG SET requirepass {}",
    "config set maxmemory 1gb masterauth {} tls-key-file-pass {}",
    "CONFIG SET masteruser {}",
    "ACL SETUSER ada on >{} ~* <{} #{} !{} +@all",
    "MIGRATE localhost 1 key 0 10 COPY AUTH {}",
    "MIGRATE localhost 1 '' 0 10 auth2 KEYS {} KEYS a b",
    "SENTINEL SET main down-after-milliseconds 5 auth-pass {}",
    "SENTINEL CONFIG SET sentinel-pass {}",
]


def filled(line: str, secret: bytes) -> list[bytes]:
    return [word.replace(b"{}", secret) for word in split(line)]


@pytest.mark.parametrize("line", WITH_SECRETS)
@given(secret=SECRET)
def test_passwords_are_redacted_and_nothing_else_is(line: str, secret: bytes) -> None:
    words = filled(line, secret)
    expected = [b"(redacted)" if b"{}" in word else word for word in split(line)]
    assert [*monitor.redacted(words)] == expected


@given(words=st.lists(st.binary(max_size=5) | st.sampled_from([b"AUTH", b"ACL", b"SETUSER"])))
def test_any_words_can_be_redacted_and_seen(words: list[bytes]) -> None:
    assert len(monitor.redacted(words)) == len(words)
    assert monitor.redacted([b"SET", *words]) == (b"SET", *words)
    for name in (b"MIGRATE", b"XREAD", b"EVAL", b"LMPOP", b"OBJECT", b"GET", b"PING"):
        key = monitor.Seen(0.0, 0, "lua", (name, *words)).key
        assert key is None or key in words


@settings(max_examples=times(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRET)
def test_no_secret_is_in_a_sample(watched: redis.Redis, secret: bytes) -> None:
    lines = [line for line in WITH_SECRETS if "requirepass" not in line and "maxm" not in line]
    seen = watched_while(watched, *[filled(line, secret) for line in lines])
    watched.execute_command("CONFIG", "SET", "masteruser", "")
    watched.execute_command("ACL", "DELUSER", "ada")
    assert {"AUTH", "HELLO", "MIGRATE"} <= {one.command for one in seen}
    assert not [word for one in seen for word in one.words if b"s3cr3t" in word]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("GET a", b"a"),
        ("PING a", None),
        ("get", None),
        ("EVAL script 1 a b", b"a"),
        ("EVAL script 0 a", None),
        ("BZMPOP 1 2 a b MIN", b"a"),
        ("ZUNION 2 a b", b"a"),
        ("OBJECT ENCODING a", b"a"),
        ("OBJECT HELP", None),
        ("BITOP AND a b c", b"a"),
        ("XREAD COUNT 2 streams a b 0 0", b"a"),
        ("XREADGROUP GROUP g c STREAMS a >", b"a"),
        ("XREAD COUNT 2", None),
        ("MIGRATE host 1 a 0 5", b"a"),
        ("MIGRATE host 1 '' 0 5 KEYS a b", b"a"),
        ("MIGRATE host 1 '' 0 5", None),
    ],
)
def test_the_key_is_the_first_of_the_command(line: str, key: bytes | None) -> None:
    assert monitor.Seen(0.0, 0, "lua", tuple(split(line))).key == key


def test_a_sample_is_counted_by_command_key_and_group(watched: redis.Redis) -> None:
    lines = ["GET user:1", "get user:2", "GET user:2", "SET user:2 x", "PING", 'GET "\\xff"']
    sample = monitor.Sample(watched_while(watched, *map(split, lines)), 2.0, cut_off=False)
    frame = sample.frame()
    assert [*frame] == ["at", "db", "client", "command", "key", "group", "line"]
    assert [*frame["command"]] == ["GET", "GET", "GET", "SET", "PING", "GET"]
    assert frame["at"].is_monotonic_increasing
    assert str(frame["at"].dt.tz) == "UTC"
    assert [*frame["key"].isna()] == [False] * 4 + [True, False]
    assert frame["line"][5] == '"GET" "\\xff"'
    assert sample.by_command()["count"].to_dict() == {"GET": 4, "PING": 1, "SET": 1}
    assert sample.by_key()["count"].to_dict() == {"user:2": 3, "user:1": 1, "\udcff": 1}
    assert [*sample.by_group().index] == ["user:*", "\udcff"]
    assert [*sample.by_group()["share"]] == [4 / 6, 1 / 6]


def test_an_empty_sample_has_empty_frames(watched: redis.Redis) -> None:
    sample = monitor.sample(watched, seconds=0.001)
    assert (sample.commands, sample.cut_off) == ([], False)
    assert sample.frame().empty
    assert sample.by_command().empty
    assert [*sample.by_key()] == ["count", "share"]


def test_a_flood_ends_at_either_limit_and_the_connection_is_closed(watched: redis.Redis) -> None:
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            with watched.pipeline(transaction=False) as pipe:
                for _ in range(100):
                    pipe.get("a")
                pipe.execute()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        by_count = monitor.sample(watched, seconds=LIMIT, most=500)
        by_time = monitor.sample(watched, seconds="100ms", most=10**9)
    finally:
        over.set()
        flooding.join()
    assert (len(by_count.commands), by_count.cut_off) == (500, True)
    assert by_count.seconds < LIMIT
    assert by_time.commands
    assert not by_time.cut_off
    with Session(watched) as session:
        deadline = 10_000  # questions
        while b"cmd=monitor" in session.ask("CLIENT", "LIST").value:
            deadline -= 1
            assert deadline, "a connection that monitors is left"


def test_who_may_not_watch_is_told(watched: redis.Redis, server: LocalServer) -> None:
    with pytest.raises(LookupError, match=r"unknown command.*takes a server that has MONITOR"):
        monitor.sample(connect(f"fake://{uuid.uuid4().hex}"))
    watched.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read")
    reader = redis.Redis(port=server.port or 0, username="reader", password="secret")
    with reader, pytest.raises(LookupError, match=r"NOPERM.*the right to it \(\+monitor\)"):
        monitor.sample(reader)
    watched.execute_command("ACL", "DELUSER", "reader")


def test_a_refusal_ends_what_would_not_end() -> None:
    client = connect(f"fake://{uuid.uuid4().hex}")
    printed: list[str] = []
    asking = threading.Thread(
        target=lambda: printed.append(inspect.run("MONITOR", client=client)), daemon=True
    )
    asking.start()
    asking.join(LIMIT)
    assert printed
    assert printed[0].startswith("(error) ERR unknown command 'monitor'")


def test_limits_that_make_no_sense_are_refused(watched: redis.Redis) -> None:
    with pytest.raises(ValueError, match="seconds is 0, most 10000; expected more than 0"):
        monitor.sample(watched, seconds=0)
    with pytest.raises(ValueError, match="most 0; expected"):
        monitor.sample(watched, most=0)
    with pytest.raises(ValueError, match="not a duration: 'soon'"):
        monitor.sample(watched, seconds="soon")
