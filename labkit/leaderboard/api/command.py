"""What `labkit serve leaderboard` does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labkit.connection import connect
from labkit.leaderboard.api.app import create_app
from labkit.leaderboard.api.security import KEYS_VARIABLE, Keyring
from labkit.leaderboard.api.serving import StreamingServer
from labkit.serving import address, is_loopback, listen

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(
    *,
    host: str,
    port: int,
    redis: str | None,
    keys: Sequence[str],
    rate_limit: str | None,
    cors_origins: Sequence[str],
    prefix: str,
    log_level: str,
) -> None:
    """Serve until the process is told to stop, by Ctrl-C or SIGTERM.

    Raises:
        ValueError: An option that cannot be, or a service open to everybody on a network.
        OSError: The port is taken.
        CannotConnect: Redis is not reached.
    """
    given = list(keys) or None
    if not Keyring(given) and not is_loopback(host):
        raise ValueError(
            f"Without an API key everybody who reaches {host} could change every board. Give keys "
            f"with --key name:scope:secret or the environment variable {KEYS_VARIABLE}, "
            "or listen on 127.0.0.1."
        )
    app = create_app(
        redis, keys=given, rate_limit=rate_limit, cors_origins=cors_origins, prefix=prefix
    )
    connect(redis).close()  # says what is wrong in one sentence, before anything is served
    listener = listen(host, port)
    server = StreamingServer(
        app,
        lambda: print(f"The leaderboard is at {address(listener)}, its documentation at /docs."),
        lifespan="on",
        log_level=log_level,
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.run([listener])
