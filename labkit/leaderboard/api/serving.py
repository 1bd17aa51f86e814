"""Running the application: in a thread of this process, or as a command."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.leaderboard.api.app import create_app
from labkit.serving import Server, address, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from fastapi import FastAPI


class StreamingServer(Server):
    """A server that ends the live streams before it waits for its connections to end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything else."""
        self.config.app.state.service.live.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


@dataclass(frozen=True)
class Serving:
    """A service that runs.

    Attributes:
        url: Its address, such as `"http://127.0.0.1:40123"`.
        app: The application.
    """

    url: str
    app: FastAPI


@contextlib.contextmanager
def serve(
    app: FastAPI | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Serving]:
    """Run the service in a thread of this process, for as long as the block lasts.

    Works in a notebook. When the block is left, live streams end, requests under way are answered
    (within 5 seconds), and the thread, the port and the connections are gone.

    Args:
        app: The application; None is `create_app()`.
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Yields:
        The running service, with its `url`.

    Raises:
        OSError: The port is taken.
        labkit.CannotConnect: Redis is not reached.

    Example:
        >>> with serve(create_app()) as service:
        ...     httpx.put(f"{service.url}/boards/arcade").status_code
        201
    """
    app = app or create_app()
    listener = listen(host, port)
    url = address(listener)
    started: Future[None] = Future()
    server = StreamingServer(
        app,
        lambda: started.set_result(None),
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
    )
    thread = threading.Thread(target=_run, args=(server, app, listener, started), name="labkit-api")
    thread.start()
    try:
        started.result()
        yield Serving(url, app)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _run(server: Server, app: FastAPI, listener: socket.socket, started: Future[None]) -> None:
    async def run() -> None:
        # Not left to the server, which would only log what keeps it from starting.
        async with app.router.lifespan_context(app):
            await server.serve([listener])

    try:
        asyncio.run(run())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
