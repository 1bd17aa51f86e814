"""Who is connected is told as the server tells it, and a leak shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from labkit.inspect import clients

if TYPE_CHECKING:
    from labkit.server import LocalServer

COLUMNS = [
    *("id", "name", "addr", "user", "lib_name", "lib_ver", "db", "age", "idle", "flags", "cmd"),
    *("sub", "psub", "ssub", "multi", "watch", "qbuf", "omem", "tot_mem", "resp"),
]


def test_the_connection_that_asks_is_there(client: redis.Redis) -> None:
    found = clients.listing(client)
    assert [*found] == COLUMNS
    assert len(found) == 1
    assert found.loc[0, "db"] == 0
    assert found.loc[0, "flags"] == "N"
    assert clients.groups(client)["connections"].to_list() == [1]


def test_what_each_connection_does_is_told(each: LocalServer) -> None:
    with (
        each.client(client_name="asks") as asks,
        each.client(client_name="listens", db=3, decode_responses=False) as listens,
        each.client(client_name="changes", protocol=2) as changes,
        listens.pubsub() as channels,
        changes.pipeline() as pipe,
    ):
        channels.subscribe("a", "b")
        channels.psubscribe("c*")
        for _ in range(3):
            channels.get_message(timeout=5)
        pipe.watch("key")
        pipe.multi()
        table: Any = clients.listing(asks)
        rows = {row.name: row for row in table.itertuples(index=False)}
    assert {*rows} == {"asks", "listens", "changes"}
    assert table["id"].is_unique
    listening = rows["listens"]
    assert (listening.sub, listening.psub, listening.db, listening.multi) == (2, 1, 3, -1)
    assert (rows["changes"].resp, rows["changes"].cmd) == (2, "watch")
    assert rows["asks"].cmd == "client|list"
    assert {row.user for row in rows.values()} == {"default"}
    assert all(row.tot_mem > 0 for row in rows.values())


def test_a_leak_is_the_largest_group(each: LocalServer) -> None:
    with each.client(client_name="asks") as asks:
        asks.execute_command("ACL", "SETUSER", "other", "on", ">secret", "+@all", "~*")
        as_other: dict[str, Any] = {"port": each.port or 0, "password": "secret"}
        pool = redis.Redis(username="other", client_name="leaky", **as_other).connection_pool
        leaked = [pool.get_connection() for _ in range(20)]
        for connection in leaked:
            connection.connect()
        with each.client(client_name="leaky") as good:
            good.ping()
            rows: Any = clients.listing(asks)
            found: Any = clients.groups(asks)
        pool.disconnect()
        asks.execute_command("ACL", "DELUSER", "other")
    assert found.index[0] == ("leaky", "other")
    assert found["connections"].to_dict() == {
        ("leaky", "other"): 20,
        ("leaky", "default"): 1,
        ("asks", "default"): 1,
    }
    mine = rows[rows["user"] == "other"]
    summed: Any = clients.groups_of(rows).loc[("leaky", "other")]
    assert (summed["idle"], summed["memory"]) == (mine["idle"].max(), mine["tot_mem"].sum())


def test_what_a_server_does_not_tell_is_missing() -> None:
    found = clients.parse(
        "id=3 addr=[::1]:5000 fd=8 name= age=5 idle=2 flags=N db=0 sub=0 psub=0 multi=-1 qbuf=0 "
        "omem=0 cmd=get user=a=b\nid=4 addr=/tmp/a.sock:0 name=x flags=b lib-name= capa=\n"
    )
    assert found["id"].to_list() == [3, 4]
    assert found.loc[0, "user"] == "a=b"
    assert found.loc[1, "addr"] == "/tmp/a.sock:0"
    assert found[["lib_name", "tot_mem", "ssub", "resp"]].isna().all(axis=None)
    assert found.loc[0, ["name"]].isna().all()
    assert found.loc[1, ["age", "user", "cmd"]].isna().all()
    assert clients.parse("").empty
    assert [*clients.parse("")] == COLUMNS


def test_without_a_name_the_library_or_the_host_is_the_origin() -> None:
    found = clients.groups_of(
        clients.parse(
            "id=1 addr=10.0.0.1:50 name=app lib-name=redis-py user=a idle=1 tot-mem=5\n"
            "id=2 addr=10.0.0.1:51 name= lib-name=redis-py user=a idle=9 tot-mem=6\n"
            "id=3 addr=[::1]:52 name= user=a idle=2\nid=4 addr=[::1]:53 name= user=a idle=7\n"
        )
    )
    assert [*found.index] == [("[::1]", "a"), ("redis-py", "a"), ("app", "a")]
    assert found["connections"].to_list() == [2, 1, 1]
    assert found["idle"].to_list() == [7, 9, 1]
    assert found["memory"].fillna(-1).to_list() == [-1, 6, 5]


def test_who_may_not_ask_is_told(each: LocalServer) -> None:
    with each.client() as client:
        client.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "+ping")
        poor = redis.Redis(port=each.port or 0, username="poor", password="secret")
        with poor, pytest.raises(LookupError, match=r"may not ask CLIENT LIST; .*\+client\|list"):
            clients.groups(poor)
        client.execute_command("ACL", "DELUSER", "poor")
