"""Sessions: what goes on from line to line, what is interrupted, and fakeredis."""

from __future__ import annotations

import gc
import threading
import uuid
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import redis
from IPython.core.interactiveshell import InteractiveShell

from labkit import connect, inspect
from labkit.inspect import Reply, Session

if TYPE_CHECKING:
    from labkit.server import LocalServer


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("PING", "PONG\n"),
        ('SET greeting "hello\\n\\xff"', "OK\n"),
        ("GET greeting", '"hello\\n\\xff"\n'),
        ("GET missing", "(nil)\n"),
        ("RPUSH l a b", "(integer) 2\n"),
        ("LRANGE l 0 -1", '1) "a"\n2) "b"\n'),
        ("LRANGE missing 0 -1", "(empty array)\n"),
        ("INCR greeting", "(error) ERR value is not an integer or out of range\n"),
        ("2 INCR n", "(integer) 1\n(integer) 2\n"),
        ("TYPE l", "list\n"),
        ("SET fine OK", "OK\n"),
        ("GET fine", '"OK"\n'),
        ("", ""),
        ('GET "', "Invalid argument(s)\n"),
        ("GET \ud800", "Invalid argument(s)\n"),
    ],
)
def test_run_prints_what_redis_cli_prints(client: redis.Redis, line: str, printed: str) -> None:
    client.set("greeting", b"hello\n\xff")
    client.set("fine", "OK")
    if line != "RPUSH l a b":
        client.rpush("l", "a", "b")
    assert inspect.run(line, client=client) == printed


@pytest.mark.parametrize(
    ("form", "printed"), [("raw", "a\n1\n"), ("csv", '"a","1"\n'), ("json", '{"a":"1"}\n')]
)
def test_run_prints_in_other_forms(client: redis.Redis, form: Any, printed: str) -> None:
    client.hset("h", "a", "1")
    assert inspect.run("HGETALL h", client=client, form=form) == printed


def test_a_session_keeps_its_database_and_its_transaction(client: redis.Redis) -> None:
    with Session(client) as session:
        assert session.run("SELECT 3") == "OK\n"
        session.close()  # the connection is lost, and made anew in the same database
        assert session.run("SET here 1") == "OK\n"
        lines = ["SELECT 0", "EXISTS here", "SELECT 3", "EXISTS here"]
        assert [session.run(line) for line in lines][1::2] == ["(integer) 0\n", "(integer) 1\n"]
        lines = ["MULTI", "INCR n", "EXEC"]
        assert [session.run(line) for line in lines] == ["OK\n", "QUEUED\n", "1) (integer) 1\n"]
        session.run("FLUSHDB")


def test_ask_gives_replies_with_their_types(client: redis.Redis) -> None:
    with Session(client) as session:
        assert session.ask("SET", "key", b"\x80") == Reply("status", b"OK")
        assert session.ask("GET", "key") == Reply("string", b"\x80")
        assert session.ask("GET", "missing") == Reply("nil")
        assert session.ask("INCR", "key").kind == "error"


BEGUN = 'Reading messages... (press Ctrl-C to quit)\n1) "subscribe"\n2) "news"\n3) (integer) 1\n'


def test_what_does_not_end_ends_after_so_many_messages(client: redis.Redis) -> None:
    assert inspect.run("SUBSCRIBE news", client=client, most=0) == BEGUN
    pieces = inspect.session(client).lines("SUBSCRIBE news", most=1)
    assert next(pieces) + next(pieces) == BEGUN
    client.publish("news", "hello")
    assert "".join(pieces) == '1) "message"\n2) "news"\n3) "hello"\n'


def test_it_ends_after_so_many_seconds_also_where_messages_never_stop(client: redis.Redis) -> None:
    over = threading.Event()

    def flood() -> None:
        with client.pipeline(transaction=False) as pipe:
            while not over.is_set():
                for _ in range(100):
                    pipe.publish("news", "hello")
                pipe.execute()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        printed = inspect.run("SUBSCRIBE news", client=client, seconds=0.2)
    finally:
        over.set()
        flooding.join()
    assert printed.startswith("Reading messages...")


def test_a_session_goes_on_beside_what_does_not_end(client: redis.Redis) -> None:
    session = inspect.session(client)
    assert session.run("MULTI") == "OK\n"
    pieces = session.lines("SUBSCRIBE news")
    assert next(pieces) + next(pieces) == BEGUN
    assert session.run("PUBLISH news hello") == "QUEUED\n"
    assert session.run("EXEC") == "1) (integer) 1\n"
    assert next(pieces) == '1) "message"\n2) "news"\n3) "hello"\n'
    pieces.close()


def test_a_session_goes_with_its_client() -> None:
    client = connect(f"fake://{uuid.uuid4().hex}")
    assert inspect.run("PING", client=client) == "PONG\n"
    session = weakref.ref(inspect.session(client))
    del client
    gc.collect()
    assert session() is None


def test_an_interrupt_ends_what_waits_and_leaves_a_session_that_works(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(client)
    session.run("PING")
    wire: Any = session._wire

    def interrupted(_: float | None = None) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(wire, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.run("ECHO before")
    assert session.run("ECHO after") == '"after"\n'
    session.close()


def test_a_lost_connection_is_an_error_and_the_next_line_connects_again(
    server: LocalServer,
) -> None:
    with server.client() as client, Session(client) as session:
        assert session.run("PING") == "PONG\n"
        client.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(redis.ConnectionError, match="the next command connects again"):
            session.run("PING")
        assert session.run("PING") == "PONG\n"


def test_no_other_protocol_and_no_other_form(client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="resp is 4; expected 2 or 3"):
        Session(client, resp=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="form is 'xml'; expected one of tty, raw, csv, json"):
        inspect.run("PING", client=client, form="xml")  # type: ignore[arg-type]


def test_the_magics_print(
    client: redis.Redis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.inspect.cli.connect", lambda _: client)
    shell = InteractiveShell.instance()
    inspect.load_ipython_extension(shell)
    url = f"there-{uuid.uuid4().hex}"
    shell.run_line_magic("redis", f"-u {url} SET a '1 2'")
    shell.run_line_magic("redis", f"-u {url} --json GET a")
    shell.run_cell_magic("redis", f"--raw -u {url}", "GET a\n\n2 INCR n\n")
    assert capsys.readouterr().out == 'OK\n"1 2"\n1 2\n1\n2\n'
    with pytest.raises(ValueError, match="no option '--xml'; expected one of -3, -u URL, --no-raw"):
        shell.run_line_magic("redis", "--xml GET a")
