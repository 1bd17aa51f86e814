"""`labkit serve newsroom`: it serves, it stops, and it says what is wrong."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from labkit import LocalServer
from labkit.site.editing import KEY_VARIABLE
from tests.cache.crowd import until
from tests.site.served import DEADLINE, command, told

if TYPE_CHECKING:
    from pathlib import Path


def test_the_command_serves_and_stops() -> None:
    arguments = ("--articles", "30", "--latency", "1ms", "--editable")
    with LocalServer() as server, command(*arguments, "--redis", server.url) as process:
        line, url = told(process)
        assert line.startswith("The newsroom is at http://127.0.0.1:")
        with httpx.Client(base_url=url, timeout=DEADLINE) as http:
            assert http.get("/articles/30").headers["X-Cache"] == "miss"
            assert http.get("/articles/30").headers["X-Cache"] == "hit"
            assert http.get("/articles/31").status_code == 404
            edit = http.post("/articles/30", data={"title": "Ferry"}, follow_redirects=True)
            assert "<h1>Ferry</h1>" in edit.text
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
        assert (process.returncode, errors) == (0, "")


def test_the_command_serves_comments_and_leaves_nothing_of_a_database_that_is_gone() -> None:
    with LocalServer() as server, server.client() as client:
        with command("--articles", "30", "--comments", "--redis", server.url) as process:
            _, url = told(process)
            with httpx.Client(base_url=url, timeout=DEADLINE) as http:
                given = {"reader": "ada", "body": "About time."}
                said = http.post("/articles/30/comments", json=given).json()
                path = "/articles/30/comments?order=newest"
                assert http.get(path).json()["comments"][0] == said
                until(lambda: list(client.scan_iter("*:{comments}:live")), "the views")
                assert http.get(path).json()["comments"][0] == said
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=DEADLINE)
            assert (process.returncode, errors) == (0, "")
        assert list(client.scan_iter("*:{comments}:*")) == []


@pytest.mark.parametrize("kept", [False, True])
def test_a_database_that_is_made_anew_is_not_taken_for_the_one_before(
    tmp_path: Path, kept: bool
) -> None:
    """What Redis still has of one in memory is of the same versions, and of other texts."""
    database = f"sqlite:///{tmp_path / 'news.db'}" if kept else "sqlite://"
    with LocalServer() as server:
        pages = []
        for edit in ({"body": "One."}, {"title": "Two"}):
            options = ("--database", database, "--redis", server.url, "--articles", "5")
            with command(*options, "--editable") as process:
                _, url = told(process)
                with httpx.Client(base_url=url, timeout=DEADLINE) as http:
                    assert http.post("/articles/5", data=edit).status_code == 303
                    pages.append(http.get("/articles/5").text)
        assert "<p>One.</p>" in pages[0]
        assert "<h1>Two</h1>" in pages[1]
        assert ("<p>One.</p>" in pages[1]) == kept


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--host", "0.0.0.0", "--editable"), KEY_VARIABLE),
        (("--host", "example.org", "--editable"), "--editor-key"),
        (("--editable", "--editor-key", "short"), "at least 16"),
        (("--editor-key", "an editor's key, 0123456789"), "Add --editable"),
        (("--redis", "redis://127.0.0.1:1"), "nothing listens there"),
        (("--database", "mysql://somewhere"), "postgresql://"),
        (("--database", "postgresql://127.0.0.1:1/news"), "did not answer"),
        (("--latency", "soon"), "250ms"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], hint: str) -> None:
    from typer.testing import CliRunner

    from labkit.__main__ import app

    given = ["--port", "0", "--articles", "5", *arguments]
    result = CliRunner().invoke(app, ["serve", "newsroom", *given])
    assert result.exit_code == 1
    said = result.output.strip()
    assert said.startswith("labkit: ")
    assert hint in said


def test_a_port_that_is_taken() -> None:
    from typer.testing import CliRunner

    from labkit.__main__ import app

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given: list[Any] = ["serve", "newsroom", "--port", port, "--articles", "5"]
        result = CliRunner().invoke(app, [*given, "--redis", "fake://taken"])
    assert result.exit_code == 1
    assert "Choose a --port." in result.output
