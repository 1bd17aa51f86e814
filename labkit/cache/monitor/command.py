"""What `labkit serve cache-monitor` does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labkit.cache.monitor.app import create_app
from labkit.cache.monitor.demo import Demo
from labkit.connection import connect
from labkit.serving import Server, address, listen

if TYPE_CHECKING:
    import socket


class StreamingServer(Server):
    """A server that ends the live streams before it waits for its connections to end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything else."""
        await self.config.app.state.monitor.end()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def run(
    *, host: str, port: int, redis: str | None, name: str, every: str, demo: bool, log_level: str
) -> None:
    """Serve until the process is told to stop, by Ctrl-C or SIGTERM.

    Raises:
        ValueError: An option that cannot be.
        OSError: The port is taken.
        CannotConnect: Redis is not reached.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connect(redis))
        app = create_app(client, name, every=every)
        listener = listen(host, port)
        if demo:
            stack.enter_context(Demo(client, name))
        server = StreamingServer(
            app,
            lambda: print(f"The monitor is at {address(listener)}, for what reports as {name!r}."),
            lifespan="on",
            log_level=log_level,
        )
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])
