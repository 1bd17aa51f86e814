"""A screen shows what a server did, and names what could not be seen."""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
from rich.console import Console

from labkit import connect
from labkit.inspect import info, top
from labkit.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def told(each: LocalServer) -> Iterator[redis.Redis]:
    with each.client() as client:
        client.flushall()
        client.config_resetstat()
        client.config_set("maxmemory", "100mb")
        client.config_set("slowlog-log-slower-than", 0)
        client.slowlog_reset()
        yield client


def printed(drawn: Any) -> str:
    file = io.StringIO()
    Console(file=file, width=200).print(drawn)
    return file.getvalue()


def watched(
    client: redis.Redis, sleep: Callable[[float], object], count: int | None = None, **how: Any
) -> str:
    file = io.StringIO()
    console = Console(file=file, width=200, **how)
    top.watch(client, "2s", count, console, sleep)
    return file.getvalue()


def line_of(screen: str, word: str) -> str:
    return next(line for line in screen.splitlines() if line.startswith(word))


def test_three_screens_follow_one_another_as_plain_text(
    each: LocalServer, told: redis.Redis
) -> None:
    slept = []

    def work(seconds: float) -> None:
        slept.append(seconds)
        for number in range(30):
            told.set(f"user:{number}", "x", ex=1000)
            told.get(f"user:{number}")
        for _ in range(10 * len(slept)):
            told.get("gone")

    text = watched(told, work, 3)
    assert slept == [2, 2]
    assert "\x1b" not in text
    screens = text.split(f"{each.kind.capitalize()} {each.version}")[1:]
    assert len(screens) == 3
    assert "nothing read" in line_of(screens[0], "hit ratio")
    assert "since the start" in screens[0]
    assert "in the last" in screens[1]
    assert "75.0%" in line_of(screens[1], "hit ratio")
    assert "40 reads" in line_of(screens[1], "hit ratio")
    assert "60.0%" in line_of(screens[2], "hit ratio")
    assert line_of(screens[2], "db0").split() == ["db0", "30", "30"]
    assert line_of(screens[2], "get ").split()[1] == "50"
    assert "GET user:*" in screens[2]
    assert "SET user:* ? EX N" in screens[2]
    assert "104.9 MB" in line_of(screens[0], "memory")


def test_ctrl_c_ends_it(told: redis.Redis) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    assert watched(told, interrupt).count("hit ratio") == 1


def test_a_terminal_shows_the_latest_on_a_screen_of_its_own(told: redis.Redis) -> None:
    text = watched(told, lambda _: None, 2, force_terminal=True, height=60)
    assert text.startswith("\x1b[?1049h")
    assert text.endswith("\x1b[?1049l")
    assert text.count("hit ratio") == 2


def test_findings_are_shown_with_what_to_do(told: redis.Redis) -> None:
    told.config_set("maxmemory", 0)
    assert "To do: CONFIG SET maxmemory" in printed(top.screen(told))
    told.config_set("maxmemory", "100mb")
    assert "To do" not in printed(top.screen(told))


def test_after_a_restart_or_a_reset_it_goes_on_from_the_start() -> None:
    with LocalServer() as server, server.client() as client:
        before = info.read(client)
        server.kill()
        server.start()
        assert "since the start" in printed(top.screen(client, before))
        before = info.read(client)
        assert "since the start" not in printed(top.screen(client, before))
        client.config_resetstat()
        assert "since the start" in printed(top.screen(client, before))


def test_what_cannot_be_seen_is_named_and_the_rest_is_shown(
    each: LocalServer, told: redis.Redis
) -> None:
    told.execute_command("ACL", "SETUSER", "some", "on", ">secret", "+info")
    with redis.Redis(port=each.port or 0, username="some", password="secret") as some:
        text = printed(top.screen(some))
    told.execute_command("ACL", "DELUSER", "some")
    assert "hit ratio" in text
    assert "not seen: this user may not ask SLOWLOG GET" in text
    fake = connect(f"fake://{uuid.uuid4().hex}")
    text = watched(fake, lambda _: None, 2)
    assert text.count("not seen: the server has no INFO") == 2
    assert text.count("not seen: the server has no SLOWLOG GET") == 2


def test_names_are_shown_as_they_are(told: redis.Redis) -> None:
    told.get("[red]:smile:")
    told.get(b"\xff\x1b[m")
    text = printed(top.screen(told))
    assert "GET [red]:smile:" in text
    assert '"\\xff\\x1b' in text


def test_a_replica_shows_its_master() -> None:
    config = {"replicaof": "127.0.0.1 1", "maxmemory": "100mb"}
    with LocalServer(config=config) as server, server.client() as client:
        text = printed(top.screen(client))
    assert line_of(text, "replication").split() == [
        *("replication", "link", "down", "of", "127.0.0.1:1"),
    ]
    assert "act: the link to the master 127.0.0.1:1 is down" in text


@pytest.mark.parametrize(("every", "count"), [("0s", None), ("1s", 0), ("soon", 1)])
def test_what_makes_no_sense_is_refused(every: str, count: int | None) -> None:
    fake = connect(f"fake://{uuid.uuid4().hex}")
    with pytest.raises(ValueError, match=r"every is|not a duration"):
        top.watch(fake, every, count)
