"""describe(): what a server is, and what it lacks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
import redis

import labkit.connection
from labkit import LocalServer, connect, connect_async, describe
from labkit.connection import ServerInfo
from tests.connection.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.mark.parametrize(
    "options", [{}, {"protocol": 2}, {"decode_responses": False}, {"max_connections": 1}]
)
def test_a_real_server(binary: Path, options: Mapping[str, Any]) -> None:
    with LocalServer(binary=binary) as server, server.client(**options) as client:
        info = describe(client)
    assert info == ServerInfo(
        kind=server.kind,
        version=server.version,
        url=f"redis://127.0.0.1:{server.port}",
        private=True,
        mode="standalone",
        lacks=(),
    )


def test_a_unix_socket(binary: Path) -> None:
    with LocalServer(binary=binary, unix_socket=True) as server, connect(server.url) as client:
        info = describe(client)
    assert info.url == f"unix://{server.address}"
    assert info.private


def test_without_a_client_it_is_connects_server() -> None:
    with connect() as client:
        assert describe() == describe(client)
    assert describe().private


@pytest.mark.parametrize("url", ["fake://", "fake://lesson"])
def test_fakeredis(url: str) -> None:
    info = describe(connect(url))
    assert (info.kind, info.version, info.url) == ("fakeredis", fakeredis.__version__, url)
    assert not info.private
    assert set(info.lacks) == {
        "INFO",
        "CONFIG",
        "OBJECT",
        "MEMORY",
        "SLOWLOG",
        "LATENCY",
        "CLIENT TRACKING",
        "MONITOR",
    }


def test_someone_elses_fakeredis() -> None:
    assert describe(fakeredis.FakeRedis()).url == "fake://"


def test_offers() -> None:
    info = describe(connect("fake://"))
    assert info.offers("EVAL")
    assert not info.offers("MONITOR")
    assert not info.offers("client tracking")
    with pytest.raises(ValueError, match=r"OBJECT.*not 'HGETALL'"):
        info.offers("HGETALL")


def test_what_a_user_may_not_do_is_lacking(binary: Path) -> None:
    with LocalServer(binary=binary) as server, server.client() as admin:
        admin.acl_setuser(
            "ada",
            enabled=True,
            passwords=["+pw"],
            keys="*",
            categories=["+@all", "-@dangerous", "-@scripting"],
        )
        info = describe(connect(f"redis://ada:pw@127.0.0.1:{server.port}"))
    assert info.kind == server.kind
    assert info.version == server.version
    assert set(info.lacks) == {"INFO", "CONFIG", "SLOWLOG", "LATENCY", "EVAL", "MONITOR"}
    assert info.offers("OBJECT")


def test_what_an_administrator_took_away_is_lacking(binary: Path) -> None:
    config = {"rename-command": 'CONFIG ""'}
    with LocalServer(binary=binary, config=config) as server:
        assert describe(server.client()).lacks == ("CONFIG",)


def test_it_leaves_the_clients_connections_alone(server: LocalServer) -> None:
    with server.client() as client, server.client() as witness:
        client.execute_command("CLIENT", "TRACKING", "ON")
        connection = client.client_id()
        describe(client)
        assert client.client_id() == connection
        assert ["on"] in client.client_trackinginfo()
        assert eventually(lambda: len(witness.client_list()) == 2), "its own connection stays"


def test_it_describes_a_client_whose_connections_are_all_in_use(server: LocalServer) -> None:
    with server.client(max_connections=1) as client, client.pubsub() as listener:
        listener.subscribe("news")
        assert describe(client).kind == server.kind


def test_a_server_of_another_make(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(connection: object, *command: str) -> object:
        return {"server": "dragonfly", "version": "1.2"} if command == ("HELLO",) else "OK"

    monkeypatch.setattr(labkit.connection, "_ask", ask)
    info = describe(connect("fake://"))
    assert (info.kind, info.version, info.mode) == ("other", "1.2", "standalone")


def test_a_server_that_does_not_know_hello() -> None:
    with LocalServer(config={"rename-command": 'HELLO ""'}) as old:
        info = describe(connect(old.url, protocol=2))
    assert (info.kind, info.version, info.mode) == ("other", "unknown", "standalone")


def test_an_asyncio_client_is_not_for_describe() -> None:
    client: Any = asyncio.run(connect_async("fake://"))
    with pytest.raises(TypeError, match="same URL"):
        describe(client)


REDIS = ServerInfo("redis", "7.0.15", "redis://127.0.0.1:2000", True, "standalone", (), True)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (REDIS, "Redis 7.0.15, a private server started for you on 127.0.0.1:2000."),
        (
            ServerInfo("valkey", "9.1.2", "redis://db:6379", False, "standalone", ("MONITOR",)),
            "Valkey 9.1.2, at redis://db:6379. "
            "It has no MONITOR: cells that need more say so and are skipped.",
        ),
        (
            ServerInfo("fakeredis", "2.40", "fake://", False, "standalone", ("A", "B", "C")),
            "fakeredis 2.40, an imitation of Redis inside this Python process. "
            "It has no A, B or C: cells that need more say so and are skipped.",
        ),
        (
            ServerInfo("redis", "7.0", "redis://a:1", False, "cluster", (), False),
            "Redis 7.0, in a cluster, at redis://a:1. "
            "hiredis is not installed, so replies are read more slowly.",
        ),
        (
            ServerInfo("redis", "7.0", "redis+sentinel://a:1/main", False, "sentinel", ()),
            "Redis 7.0, found by redis+sentinel://a:1/main.",
        ),
        (
            ServerInfo("other", "unknown", "redis://a:1", False, "standalone", ()),
            "A server of version unknown, at redis://a:1.",
        ),
    ],
)
def test_it_speaks_in_plain_sentences(info: ServerInfo, said: str) -> None:
    assert str(info) == said


def test_hiredis_is_in_use(server: LocalServer) -> None:
    with server.client() as client:
        assert describe(client).hiredis
        connection: Any = client.connection_pool.get_connection()
        assert "hiredis" in type(connection._parser).__name__.lower()
        client.connection_pool.release(connection)
    assert redis.utils.HIREDIS_AVAILABLE
