"""What `labkit serve newsroom` does."""

from __future__ import annotations

import contextlib
import os
import secrets

from labkit import newsroom
from labkit.cache.errors import Unavailable
from labkit.connection import CannotConnect, connect
from labkit.newsroom import Latency
from labkit.serving import Server, address, is_loopback, listen
from labkit.site.app import NAMESPACE, create_app
from labkit.site.comments.rebuilding import drop
from labkit.site.comments.views import CommentViews
from labkit.site.editing import KEY_VARIABLE, Editors


def run(
    *,
    host: str,
    port: int,
    redis: str | None,
    database: str | None,
    articles: int,
    latency: str,
    editable: bool,
    editor_key: str | None,
    log_level: str,
    comments: bool = False,
) -> None:
    """Serve until the process is told to stop, by Ctrl-C or SIGTERM.

    Raises:
        ValueError: An option that cannot be, or a site that everybody on a network may edit.
        OSError: The port is taken, or the database is not reached.
        CannotConnect: Redis is not reached.
    """
    if editor_key is not None and not editable:
        raise ValueError("There is a key for editors, but nobody may edit. Add --editable.")
    if editable and not Editors(editor_key).keyed and not is_loopback(host):
        raise ValueError(
            f"Without a key everybody who reaches {host} could edit every article. Give one with "
            f"--editor-key or the environment variable {KEY_VARIABLE}, or listen on 127.0.0.1."
        )
    slow = Latency(latency, 0)
    connect(redis).close()  # says what is wrong in one sentence, before anything is served
    namespace = _namespace(database or os.environ.get("LABKIT_DATABASE_URL"))
    with newsroom.open(database, articles=articles, outbox=comments) as db:
        db.latency = slow
        app = create_app(
            db,
            redis,
            editable=editable,
            editor_key=editor_key,
            comments=comments,
            namespace=namespace,
        )
        listener = listen(host, port)
        server = Server(
            app,
            lambda: print(f"The newsroom is at {address(listener)}, its cache at /cache."),
            lifespan="on",
            log_level=log_level,
        )
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run([listener])
        finally:
            if comments and namespace != NAMESPACE:
                _forget_views(redis, namespace)


def _forget_views(redis: str | None, namespace: str) -> None:
    """Remove views, which do not expire, of a database that is gone."""
    with contextlib.suppress(CannotConnect, Unavailable), connect(redis) as client:
        drop(CommentViews(client, namespace))


def _namespace(database: str | None) -> str:
    """A namespace for the pages of a database; one in memory is made anew each time."""
    in_memory = database in (None, "", "sqlite://", "sqlite:///:memory:")
    return f"{NAMESPACE}:{secrets.token_hex(4)}" if in_memory else NAMESPACE
