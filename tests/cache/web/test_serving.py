"""Over a real connection: what HTTP itself allows, by a server that is strict about it."""

from __future__ import annotations

import http.client
import threading
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI

from labkit.cache import Cache
from labkit.cache.web import cached_response, install
from labkit.serving import Server, listen

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 20.0


@pytest.fixture
def port() -> Iterator[int]:
    """An application on loopback."""
    app, cache = FastAPI(), Cache(ttl=600)
    install(app, cache)

    @app.api_route("/{text}", methods=["GET", "HEAD"])
    @cached_response(cache, x_cache=True)
    def page(text: str) -> str:
        return text * 100

    ready = threading.Event()
    server = Server(app, ready.set, log_level="error")
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert ready.wait(DEADLINE)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_one_connection_serves_all_kinds_of_responses(port: int) -> None:
    """A body too much or too little would spoil the next response on the same connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.connect()
    socket = connection.sock

    def ask(method: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, "/ferry", headers=named)
        answer = connection.getresponse()
        return answer, answer.read()

    first, body = ask("GET")
    etag = first.headers["ETag"]
    assert (first.status, len(body)) == (200, 502)
    for _ in range(2):
        head, nothing = ask("HEAD")
        assert (head.status, nothing) == (200, b"")
        assert head.headers["Content-Length"] == "502"
        known, nothing = ask("GET", If_None_Match=etag)
        assert (known.status, nothing) == (304, b"")
        assert known.headers["Content-Length"] is None
        known, nothing = ask("HEAD", If_None_Match=etag)
        assert (known.status, nothing) == (304, b"")
        again, same = ask("GET")
        assert (again.headers["X-Cache"], same) == ("hit", body)
        assert len(again.headers.get_all("Date") or []) == 1
    assert connection.sock is socket
    connection.close()
