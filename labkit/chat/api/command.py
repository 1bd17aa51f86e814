"""What `labkit serve chat` does."""

from __future__ import annotations

import contextlib

from labkit.chat.api.app import create_app
from labkit.connection import connect
from labkit.serving import Server, address, listen


def run(*, host: str, port: int, redis: str | None, log_level: str) -> None:
    """Serve until the process is told to stop, by Ctrl-C or SIGTERM.

    Raises:
        OSError: The port is taken.
        CannotConnect: Redis is not reached.
    """
    app = create_app(redis)
    connect(redis).close()  # says what is wrong in one sentence, before anything is served
    listener = listen(host, port)
    server = Server(
        app,
        lambda: print(f"The chat is at {address(listener)}, for as many as like to come."),
        lifespan="on",
        log_level=log_level,
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.run([listener])
