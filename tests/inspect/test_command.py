"""`labkit inspect`: what it prints, the same as JSON, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from labkit import connect
from labkit.__main__ import app
from labkit.inspect import command, slowlog
from labkit.inspect.command import FOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from labkit.server import LocalServer

    Ask = Callable[..., Result]


@pytest.fixture(params=["fakeredis", "server"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, redis.Redis]]:
    """The URL of a server, and a client of it; it is empty."""
    url = "fake://inspected"
    if request.param == "server":
        server: LocalServer = request.getfixturevalue("server")
        url = server.url
    with connect(url) as client:
        client.flushall()
        yield url, client


@pytest.fixture
def ask(place: tuple[str, redis.Redis]) -> Ask:
    """Types a command of `labkit inspect`."""

    def ask(name: str, *words: str) -> Result:
        return CliRunner().invoke(app, ["inspect", name, "-u", place[0], *words])

    return ask


@pytest.fixture
def client(place: tuple[str, redis.Redis]) -> redis.Redis:
    return place[1]


def rows(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_command_is_printed_as_redis_cli_prints_it(ask: Ask, client: redis.Redis) -> None:
    client.zadd("board", {"ada": 900})
    assert ask("run", "ZRANGE", "board", "0", "-1").stdout == '1) "ada"\n'
    assert ask("run", "--raw", "ZRANGE", "board", "0", "-1").stdout == "ada\n"
    assert ask("run", "--json", "ZRANGE", "board", "0", "-1").stdout == '["ada"]\n'
    wrong = ask("run", "GET", "board")
    assert (wrong.exit_code, wrong.stdout.split()[:2]) == (1, ["(error)", "WRONGTYPE"])


def test_an_address_behind_the_command_is_not_sent(ask: Ask, client: redis.Redis) -> None:
    for option in ("-u", "--redis"):
        wrong = ask("run", "SET", "key", option, "redis://:secret@127.0.0.1:1")
        assert wrong.exit_code == 2
        assert "options stand before the command" in wrong.output
        assert "secret" not in wrong.output
    assert client.dbsize() == 0
    assert ask("run", "SET", "key", "-u").stdout == "OK\n"


def test_two_forms_at_once_are_typed_wrongly(ask: Ask) -> None:
    assert ask("run", "--raw", "--csv", "PING").exit_code == 2
    assert ask("keys", "--largest", "--hottest").exit_code == 2
    assert ask("ttl", "--immortal", "--within", "5m").exit_code == 2


def test_keys_as_a_table_and_as_json(ask: Ask, client: redis.Redis) -> None:
    client.set("user:1", "ada", ex=100)
    client.hset("user:2", "name", "bob")
    client.set(b"\xff\n", "odd")
    table = ask("keys").stdout.splitlines()
    assert table[0].split()[:4] == ["key", "group", "type", "ttl"]
    assert sorted(line.split()[0] for line in table[1:]) == ['"\\xff\\n"', "user:1", "user:2"]
    found = {row["key"]: row for row in rows(ask("keys", "user:*", "--json"))}
    assert {key: row["type"] for key, row in found.items()} == {
        "user:1": "string",
        "user:2": "hash",
    }
    assert 0 < found["user:1"]["ttl"] <= 100
    assert found["user:2"]["ttl"] is None
    assert len(rows(ask("keys", "--rows", "1", "--json"))) == 1
    assert rows(ask("keys", "none*", "--json")) == []


def test_groups_and_times_to_live(ask: Ask, client: redis.Redis) -> None:
    client.mset({f"user:{number}": "x" for number in range(30)})
    client.set("session:1", "x", ex=30)
    client.set("session:2", "x", ex=3000)
    counts = {row["group"]: row["keys"] for row in rows(ask("groups", "--json"))}
    assert counts == {"user:*": 30, "session:*": 2}
    ranges = {row["ttl"]: row["keys"] for row in rows(ask("ttl", "--json")) if row["keys"]}
    assert ranges == {"never": 30, "< 1 min": 1, "10-60 min": 1}
    assert [row["key"] for row in rows(ask("ttl", "--within", "1m", "--json"))] == ["session:1"]
    assert [row["group"] for row in rows(ask("ttl", "--immortal", "--json"))] == ["user:*"]


def test_what_cannot_be_seen_is_said(ask: Ask, client: redis.Redis, server: LocalServer) -> None:
    client.set("user:1", "ada")
    result = ask("keys")
    is_fake = "fake" in repr(client.connection_pool.connection_class).lower()
    assert ("memory and encoding could not be seen" in result.stderr) == is_fake


def test_a_plan_is_shown_first_and_done_when_it_is_as_large_as_it_was(
    ask: Ask, client: redis.Redis, tmp_path: Path
) -> None:
    client.mset({f"session:{number}": "x" for number in range(3)})
    client.set("user", "ada")
    journal = tmp_path / "journal"
    shown = ask("delete", "session:*")
    assert shown.exit_code == 0
    assert "3 keys" in shown.stdout
    assert "--apply 3" in shown.stdout
    assert client.dbsize() == 4

    client.set("session:new", "x")
    refused = ask("delete", "session:*", "--apply", "3", "--undo", str(journal))
    assert (refused.exit_code, client.dbsize(), journal.exists()) == (1, 5, False)
    assert "4 keys now" in refused.stderr

    done = rows(ask("delete", "session:*", "--apply", "4", "--undo", str(journal), "--json"))
    assert (done["changed"], client.keys()) == (4, ["user"])
    assert rows(ask("resume", str(journal), "--json"))["changed"] == 4
    assert rows(ask("undo", str(journal), "--json"))["changed"] == 4
    assert client.dbsize() == 5


def test_each_bulk_command_does_what_it_is_called(ask: Ask, client: redis.Redis) -> None:
    client.set("a:1", "x")
    client.set("a:2", "x", ex=10)
    assert rows(ask("expire", "a:*", "1h", "--immortal", "--apply", "1", "--json"))["changed"] == 1
    assert (client.ttl("a:1") > 3000, client.ttl("a:2") <= 10) == (True, True)
    assert rows(ask("persist", "a:2", "--apply", "1", "--json"))["changed"] == 1
    assert client.ttl("a:2") == -1
    assert rows(ask("copy", "a:*", "b:{}", "--apply", "2", "--json"))["changed"] == 2
    assert rows(ask("rename", "b:*", "c:{}", "--apply", "2", "--json"))["changed"] == 2
    assert sorted(client.keys()) == ["a:1", "a:2", "c:b:a:1", "c:b:a:2"]


def test_a_backup_is_written_verified_restored_and_compared(
    ask: Ask, place: tuple[str, redis.Redis], tmp_path: Path
) -> None:
    url, client = place
    client.zadd("board", {"ada": 900})
    client.set("session", "x", ex=1000)
    file = str(tmp_path / "kept")
    assert rows(ask("backup", file, "--json"))["keys"] == 2
    assert ask("restore", file).exit_code == 1
    client.delete("board")
    assert rows(ask("restore", file, "--conflict", "skip", "--json"))["restored"] == 1
    assert client.zscore("board", "ada") == 900

    with connect("fake://other") as other:
        other.flushall()
        if "fake" in url:
            other.set("session", "y", ex=1000)
            differing = ask("compare", "fake://other", "--json")
            assert differing.exit_code == FOUND
            assert {json.loads(line)["key"] for line in differing.stdout.splitlines()} == {
                "board",
                "session",
            }
    assert ask("compare", url).exit_code == 0

    verified = CliRunner().invoke(app, ["inspect", "verify", file])
    assert verified.exit_code == 0
    data = bytearray(Path(file).read_bytes())
    data[len(data) // 2] ^= 1
    Path(file).write_bytes(data)
    assert CliRunner().invoke(app, ["inspect", "verify", file]).exit_code == FOUND
    assert CliRunner().invoke(app, ["inspect", "verify", file + "x"]).exit_code == 1


def test_what_fakeredis_has_not_ends_with_a_sentence(ask: Ask, client: redis.Redis) -> None:
    if "fake" not in repr(client.connection_pool.connection_class).lower():
        pytest.skip("of fakeredis")
    for name in ("info", "slowlog", "latency", "monitor"):
        result = ask(name)
        assert (result.exit_code, result.stdout) == (1, ""), name
        assert result.stderr.startswith("labkit: "), name
        assert "Traceback" not in result.output, name


def test_a_server_that_is_not_there_ends_with_a_sentence() -> None:
    result = CliRunner().invoke(app, ["inspect", "keys", "-u", "redis://127.0.0.1:1"])
    assert result.exit_code == 1
    assert result.stderr.startswith("labkit: ")


@pytest.mark.parametrize("place", ["server"], indirect=True)
class TestOnAServer:
    def test_findings_end_with_3(self, ask: Ask, client: redis.Redis) -> None:
        client.config_set("maxmemory", "1")
        try:
            told, as_json = ask("info"), ask("info", "--json")
        finally:
            client.config_set("maxmemory", "0")
        assert told.exit_code == as_json.exit_code == FOUND
        found = json.loads(as_json.stdout)["findings"]
        assert found
        assert all(finding["what"] in told.stdout for finding in found)

    def test_the_slow_log_by_shape_and_each(self, ask: Ask, client: redis.Redis) -> None:
        client.slowlog_reset()
        with slowlog.recording(client, 0):
            client.set("user:1", "ada")
            client.set("user:22", "bob")
        shapes = {row["shape"]: row["count"] for row in rows(ask("slowlog", "--json"))}
        assert shapes["SET user:* ?"] == 2
        assert "user:22" in ask("slowlog", "--each").stdout

    def test_who_is_connected(self, ask: Ask, server: LocalServer) -> None:
        held = [server.client(client_name="cabinet-7") for _ in range(3)]
        for client in held:
            client.ping()
        found = rows(ask("clients", "--json"))
        names = [row["name"] for row in rows(ask("clients", "--each", "--json"))]
        for client in held:
            client.close()
        assert "cabinet-7" in json.dumps(found)
        assert names.count("cabinet-7") == 3

    def test_times_by_command_and_of_round_trips(self, ask: Ask, client: redis.Redis) -> None:
        client.get("nothing")
        found = {
            row["command"]: row["calls"]
            for row in rows(ask("latency", "--by", "commands", "--rows", "500", "--json"))
        }
        assert found["get"] >= 1
        assert rows(ask("latency", "--by", "pings", "--json"))[0]["design"] == "PING"

    def test_one_screen(self, place: tuple[str, redis.Redis]) -> None:
        result = CliRunner().invoke(app, ["top", "-u", place[0], "--count", "1"])
        assert result.exit_code == 0
        assert "hit ratio" in result.stdout

    def test_a_user_who_may_only_read(self, ask: Ask, place: tuple[str, redis.Redis]) -> None:
        url, client = place
        client.set("user:1", "ada")
        client.acl_setuser(
            "reader",
            enabled=True,
            passwords=["+pw"],
            keys=["*"],
            commands=["+@read", "+@connection", "+eval", "+evalsha"],
        )
        theirs = url.replace("default:" + url.split(":")[2].split("@")[0], "reader:pw")
        try:
            listed = CliRunner().invoke(app, ["inspect", "keys", "-u", theirs, "--json"])
            refused = CliRunner().invoke(
                app, ["inspect", "delete", "*", "--apply", "1", "-u", theirs]
            )
        finally:
            client.acl_deluser("reader")
        assert [row["key"] for row in rows(listed)] == ["user:1"]
        assert refused.exit_code == 1
        assert refused.stderr.startswith("labkit: ")
        assert client.exists("user:1")


def test_two_moments_of_info_are_compared(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["inspect", "info", "-u", server.url, "--over"]
    with server.client() as client:

        def meanwhile(seconds: float) -> None:
            assert seconds == 5
            for number in range(7):
                client.get(f"missing:{number}")

        monkeypatch.setattr(command.time, "sleep", meanwhile)
        told = CliRunner().invoke(app, [*words, "5s", "--json"])
    assert told.exit_code in (0, FOUND), told.output
    assert json.loads(told.stdout)["change"]["keyspace_misses"] == 7
    wrong = CliRunner().invoke(app, [*words, "soon"])
    assert (wrong.exit_code, "not a duration" in wrong.output) == (1, True)
