"""What `labkit.inspect` prints is what redis-cli prints, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.inspect import Session
from tests.inspect.corpus import LINES
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.server import LocalServer

MODES: list[Any] = [
    pytest.param("tty", 2, ["--no-raw"], id="tty"),
    pytest.param("raw", 2, ["--raw"], id="raw"),
    pytest.param("csv", 2, ["--csv"], id="csv"),
    pytest.param("json", 3, ["--json"], id="json"),
    pytest.param("tty", 3, ["-3", "--no-raw"], id="tty-resp3"),
    pytest.param("raw", 3, ["-3", "--raw"], id="raw-resp3"),
    pytest.param("csv", 3, ["-3", "--csv"], id="csv-resp3"),
]


@pytest.fixture(scope="module")
def server(each: LocalServer) -> LocalServer:
    """Every program in turn: a comparison holds for Redis and for Valkey."""
    return each


def ours(server: LocalServer, form: Any, resp: Any, lines: list[str]) -> list[bytes]:
    with server.client() as client, Session(client, resp=resp) as session:
        printed = [session.run(line, form=form) for line in lines]
    return [text.encode("utf-8", "surrogateescape") for text in printed]


@pytest.mark.parametrize(("form", "resp", "options"), MODES)
def test_every_line_is_printed_as_redis_cli_prints_it(
    server: LocalServer, cli: Callable[..., bytes], form: Any, resp: Any, options: list[str]
) -> None:
    with server.client() as client:
        client.flushall()
        client.script_flush()
        theirs = cli(*options, lines="\n".join(LINES) + "\n")
        client.flushall()
        client.script_flush()
    pieces = ours(server, form, resp, LINES)
    at = 0
    for line, piece in zip(LINES, pieces, strict=True):
        assert theirs[at : at + len(piece)] == piece, line
        at += len(piece)
    assert theirs[at:] == b""


ROUGH = st.text(
    st.sampled_from("\"'\\\\xfa0n \tä€😀\r\x0b") | st.characters(codec="utf-8"), max_size=12
)


@settings(max_examples=times(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rough=st.lists(ROUGH, min_size=1, max_size=60))
def test_words_are_split_as_redis_cli_splits_them(
    server: LocalServer, cli: Callable[..., bytes], rough: list[str]
) -> None:
    lines = ["ECHO " + text.replace("\n", "").replace("\0", "") for text in rough]
    theirs = cli("--no-raw", lines="\n".join(lines) + "\n")
    assert b"".join(ours(server, "tty", 2, lines)) == theirs


def lua_text(raw: bytes) -> str:
    return "'" + "".join(f"\\\\{byte:03}" for byte in raw) + "'"


def lua_list(parts: list[str]) -> str:
    return "{" + ",".join(parts) + "}"


PLAIN = st.one_of(
    st.integers(-(2**53), 2**53).map(str),
    st.binary(max_size=8).map(lua_text),
    st.just("false"),
    st.text("abcXYZ 09", max_size=8).map(lambda text: f"{{ok='{text}'}}"),
    st.text("abcXYZ 09", min_size=1, max_size=8).map(lambda text: f"{{err='{text}'}}"),
)
TYPED = st.one_of(
    PLAIN,
    st.just("true"),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{{double={number!r}}}"),
)
"""What a script returns: replies of RESP2, and what RESP3 adds."""


def nested(leaves: st.SearchStrategy[str], *, typed: bool) -> st.SearchStrategy[str]:
    def around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        parts = st.lists(inner, max_size=4)
        if not typed:
            return parts.map(lua_list)
        pairs = st.lists(st.tuples(st.binary(max_size=4).map(lua_text), inner), max_size=3)
        return st.one_of(
            parts.map(lua_list),
            pairs.map(lambda some: f"{{map={lua_list([f'[{k}]={v}' for k, v in some])}}}"),
            st.lists(st.binary(max_size=4).map(lua_text), max_size=3).map(
                lambda some: f"{{set={lua_list([f'[{each}]=true' for each in some])}}}"
            ),
        )

    return st.recursive(leaves, around, max_leaves=12)


@pytest.mark.parametrize(("form", "resp", "options"), MODES)
@settings(max_examples=times(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_replied_is_printed_as_redis_cli_prints_it(
    server: LocalServer,
    cli: Callable[..., bytes],
    form: Any,
    resp: Any,
    options: list[str],
    data: st.DataObject,
) -> None:
    """Nested arrays, nil, statuses, errors, bytes; in RESP3 maps, sets, doubles and booleans."""
    replies = nested(TYPED if resp == 3 else PLAIN, typed=resp == 3)
    bodies = data.draw(st.lists(replies, min_size=1, max_size=30))
    begin = "redis.setresp(3) " if resp == 3 else ""
    lines = [f'EVAL "{begin}return {body}" 0' for body in bodies]
    theirs = cli(*options, lines="\n".join(lines) + "\n")
    assert b"".join(ours(server, form, resp, lines)) == theirs


@pytest.mark.parametrize("resp", [2, 3])
def test_what_follows_a_subscription_is_printed_as_it_comes(
    server: LocalServer, cli_process: Callable[..., Any], resp: Any
) -> None:
    """In RESP3 it comes as pushes."""
    expected = cli_process("SUBSCRIBE news chat", 'PSUBSCRIBE "n*s"', resp=resp)
    with server.client() as client, server.client() as other:
        for line, theirs in expected.items():
            printed: list[str] = []
            with Session(client, resp=resp) as session:
                for piece in session.lines(line, most=2):
                    printed.append(piece)
                    if len(printed) == 1 + line.count(" "):  # all of it is confirmed
                        other.publish("news", "hello\n")
                        other.publish("news", b"\x80")
            assert "".join(printed).encode("utf-8", "surrogateescape") == theirs
