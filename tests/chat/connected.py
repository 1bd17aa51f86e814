"""Channels and groups of one face on one server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit import connect, connect_async
from labkit.chat.groups import AsyncGroup, Group
from labkit.chat.plain import AsyncChannel, Channel
from tests.chat.faces import Blocking, Loop

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("sync", "sync bytes", "async", "async bytes")


class Connected:
    """Makes them, blocking ones and async ones that behave as if they were.

    Attributes:
        fake: Whether the server is fakeredis.
        client: A blocking client that answers texts.
    """

    def __init__(self, url: str, kind: str, loop: Loop) -> None:
        self.fake = url.startswith("fake:")
        self.client: Any = connect(url, decode_responses=True)
        self.flush()
        self._loop = loop if kind.startswith("async") else None
        options = {"decode_responses": not kind.endswith("bytes")}
        self._inner: Any = (
            connect(url, **options)
            if self._loop is None
            else loop.run(connect_async(url, **options))
        )

    def flush(self) -> None:
        """Remove every key."""
        self.client.flushall()

    def channel(self, name: str = "news") -> Any:
        """A channel, whose listeners have begun when they are returned."""
        if self._loop is None:
            return Channel(self._inner, name)
        return _Heard(self._loop, AsyncChannel(self._inner, name))

    def group(self, name: str = "mail", group: str = "senders", **options: Any) -> Any:
        """A group."""
        if self._loop is None:
            return Group(self._inner, name, group, **options)
        return Blocking(self._loop, AsyncGroup(self._inner, name, group, **options))

    def close(self) -> None:
        """Close the clients."""
        self.client.close()
        if self._loop is None:
            self._inner.close()
        else:
            self._loop.run(self._inner.aclose())


class _Heard(Blocking):
    @property
    def listen(self) -> Callable[..., Any]:
        def listen(**options: Any) -> Any:
            listener = Blocking(self._on, self._inner.listen(**options))
            listener.start()
            return listener

        return listen
