"""Help is printed as redis-cli prints it, and what is begun is completed."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
from IPython.core.interactiveshell import InteractiveShell

from labkit import connect, inspect
from labkit.inspect import Session, cli, documentation
from labkit.inspect.documentation import complete
from tests.inspect.conftest import CLI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.server import LocalServer

LIMIT = 30.0  # seconds, after which what was awaited did not come
VERSION = re.compile(rb"^redis-cli \S+$", re.MULTILINE)  # its own, and the server's
MORE = [
    "help",
    "?",
    "? get",
    "HELP  client LIST",
    "3 help get",
    "help client",
    "help nosuch",
    "help @nosuch",
    "help @",
    "help @STRING",
    "help get foo",
    "help client-list",
    'help "client list"',
    'help ""',
    'help "\\xff"',
    'help "GET',
]


def commands_of(client: Any) -> list[str]:
    return [name.replace("|", " ") for name in client.execute_command("COMMAND LIST")]


def subcommands_of(client: Any) -> list[str]:
    known = client.execute_command("COMMAND INFO")
    return [sub[0].replace("|", " ") for entry in known for sub in entry[9]]


@pytest.fixture(scope="module")
def redis_cli() -> str:
    """The redis-cli that is followed; later ones name arguments in another way."""
    if CLI is None or b"redis-cli 7.0." not in subprocess.check_output([CLI, "--version"]):
        pytest.skip("no redis-cli 7.0 on this machine")
    return CLI


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is waited for."""
    monkeypatch.setattr(documentation, "PATIENCE", 60.0)


@pytest.mark.parametrize("options", [["--no-raw"], ["--raw"], ["--csv"], ["--json"], ["-3"], []])
def test_all_help_is_printed_as_redis_cli_prints_it(
    each: LocalServer, redis_cli: str, options: list[str]
) -> None:
    with each.client(protocol=2) as client, Session(client) as session:
        names = commands_of(client) + subcommands_of(client)
        assert len(names) > 350
        lines = [*(f"help {name}" for name in names), *complete(client, "help @"), *MORE]
        theirs = subprocess.run(
            [redis_cli, "-u", each.url, "--no-auth-warning", *options],
            input="".join(f"{line}\n" for line in lines).encode(),
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        pieces = [VERSION.sub(b"redis-cli", session.run(line).encode()) for line in lines]
    theirs = VERSION.sub(b"redis-cli", theirs)
    at = 0
    for line, piece in zip(lines, pieces, strict=True):
        assert theirs[at : at + len(piece)] == piece, line
        at += len(piece)
    assert theirs[at:] == b""


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
def test_any_client_is_helped_within_a_transaction_too(
    each: LocalServer, protocol: int, decode: bool
) -> None:
    with each.client(protocol=protocol, decode_responses=decode) as client:
        with Session(client) as session:
            session.run("MULTI")
            printed = session.run("help zscore")
            assert session.run("EXEC") == "(empty array)\n"
        assert "\x1b[1mZSCORE\x1b[0m \x1b[90mkey member\x1b[0m\r\n" in printed
        assert "\x1b[33mgroup:\x1b[0m sorted-set\r\n" in printed
        assert cli.help("zscore", client=client) == printed
        assert cli.help(client=client).startswith(f"redis-cli {client.info()['redis_version']}\n")


def test_help_is_asked_for_once(each: LocalServer) -> None:
    with each.client() as client:
        cli.help("get", client=client)
        before: Any = client.info("commandstats")
        cli.help("@string", client=client)
        complete(client, "ge")
        after: Any = client.info("commandstats")
    asked = "cmdstat_command|docs"
    assert before[asked]["calls"] == after[asked]["calls"]


def test_a_server_without_texts_says_what_it_knows() -> None:
    client = connect(f"fake://{uuid.uuid4().hex}")
    printed = cli.help("get", client=client)
    assert "which servers have from version 7 on; this one does not" in printed
    assert "\x1b[1mGET\x1b[0m" in printed
    assert "\x1b[33msummary:\x1b[0m arity 2, flags: fast readonly\r\n" in printed
    assert "from version 7 on" in cli.help("@string", client=client)
    assert cli.help(client=client).startswith("redis-cli\nTo get help")
    assert "CLIENT SETNAME" in complete(client, "client s")


def test_who_may_not_ask_is_told(each: LocalServer) -> None:
    with each.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+get")
        with redis.Redis(port=each.port or 0, username="reader", password="secret") as reader:
            assert "does not let this user ask" in cli.help("get", client=reader)
            assert complete(reader, "g") == []
        client.execute_command("ACL", "DELUSER", "reader")


@pytest.mark.parametrize(
    ("text", "among"),
    [
        ("zra", ["ZRANDMEMBER", "ZRANGE", "ZRANGESTORE", "ZRANK"]),
        ("CLIENT LI", ["CLIENT LIST"]),
        ("client li", ["CLIENT LIST"]),
        ("help @so", ["help @sorted-set"]),
        ("HELP  ge", ["HELP  GET", "HELP  GEOADD"]),
    ],
)
def test_commands_are_completed_as_in_redis_cli(
    each: LocalServer, text: str, among: list[str]
) -> None:
    with each.client() as client:
        found = complete(client, text)
    assert {*among} <= {*found}
    assert all(line.lower().startswith(text.lower()) for line in found)


@pytest.mark.parametrize("text", ["? ge", " ge", "client  li", "get key", "nosuch", "@str", "\x00"])
def test_what_redis_cli_does_not_complete_is_not(each: LocalServer, text: str) -> None:
    with each.client() as client:
        assert complete(client, text) == []


def test_a_server_that_is_not_reached_or_is_silent_completes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documentation, "PATIENCE", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert complete(redis.Redis(port=free.getsockname()[1]), "ge") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = redis.Redis(port=silent.getsockname()[1], socket_timeout=LIMIT)
        found: list[list[str]] = []
        typing = threading.Thread(target=lambda: found.append(complete(client, "ge")), daemon=True)
        typing.start()
        typing.join(LIMIT / 2)
        assert found == [[]]


@pytest.fixture
def shell(each: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    cli.client_of.cache_clear()
    with each.client() as client:
        monkeypatch.setattr("labkit.inspect.cli.connect", lambda *_: client)
        shell = InteractiveShell.instance()
        inspect.load_ipython_extension(shell)
        yield shell
    cli.client_of.cache_clear()


@pytest.mark.filterwarnings("ignore:.*Completer.complete. is pending deprecation")
@pytest.mark.parametrize(
    ("line", "symbol", "found"),
    [
        ("%redis ZRAN", "ZRAN", ["ZRANDMEMBER", "ZRANGE", "ZRANK"]),
        ("%redis zran", "zran", ["ZRANDMEMBER", "ZRANGE", "ZRANK"]),
        ("%redis CLIENT LI", "LI", ["LIST"]),
        ("%redis CLIENT ", "", ["LIST", "KILL"]),
        ("%%redis PINGX", "PINGX", []),
        ("%%redis PIN", "PIN", ["PING"]),
        ("%redis --raw -3 -u redis://there ZCAR", "ZCAR", ["ZCARD"]),
        ("%redis help @hyper", "hyper", ["hyperloglog"]),
        ("%redis --xml ZCAR", "ZCAR", []),
        ("%redis -u redis://ther", "ther", []),
    ],
)
def test_ipython_completes_what_follows_the_magic(
    shell: InteractiveShell, line: str, symbol: str, found: list[str]
) -> None:
    _, matches = shell.complete(symbol, line, len(line))
    assert {*found} <= {*matches}
    assert found or not matches


@pytest.mark.filterwarnings("ignore:.*Completer.complete. is pending deprecation")
def test_ipython_completes_nothing_where_no_server_is_and_asks_none_before_its_url_is_typed(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(url: str) -> redis.Redis:
        asked.append(url)
        raise redis.ConnectionError("nobody there")

    monkeypatch.setattr("labkit.inspect.cli.connect", refuse)
    for line, symbol in (("%redis -u redis://nob", "nob"), ("%redis -u redis://nobody ZRA", "ZRA")):
        assert shell.complete(symbol, line, len(line))[1] == []
    assert {*asked} == {"redis://nobody"}
