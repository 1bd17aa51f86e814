"""How a memory in front of Redis hears what others change.

Two things come over one connection. What caches write, they publish themselves, each message with
its author: those are heard at once, and one's own are told apart. And the server tells which values
changed, whoever changed them (client tracking in broadcast mode, since Redis 6): so a `redis-cli
DEL`, an eviction and a FLUSHALL are heard too. The server cannot say who it was; what it tells of a
key within a second of one's own write to it is taken for the echo of that write.

A cluster and servers that cannot track do without the second.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from redis import exceptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labkit.cache.backends.base import Listener

_TRACKED = "__redis__:invalidate"  # where a server of this protocol tells what changed
_CHANGES = ("changed", "dropped", "prefix_deleted", "cleared")
_ECHO = 1.0  # seconds
_MANY = 1024


class Echoes:
    """Which values this process has written in the last second."""

    def __init__(self) -> None:
        self._written: dict[str, float] = {}

    def expect(self, keys: Iterable[str]) -> None:
        """These values are about to be written."""
        now = time.monotonic()
        if len(self._written) > _MANY:
            recent = {key: at for key, at in self._written.copy().items() if now - at < _ECHO}
            self._written = recent
        for key in keys:
            self._written[key] = now

    def hears(self, key: str) -> bool:
        """Whether a change of the value that is told now is the process's own."""
        at = self._written.get(key)
        return at is not None and time.monotonic() - at < _ECHO


class RedisFeed:
    """Hears what others change, in a thread with connections of its own.

    The line is taken for cut when nothing has come for `bound` seconds, although it is asked for a
    sign of life three times in that time.

    Args:
        client: Whose server it is; the feed closes it in the end.
        channel: Where caches publish what they change.
        prefixes: What the names of values begin with; none, where the server is not to track.
        author: What one's own messages are known by.
        echoes: What one writes oneself.
        listener: Who is told.
        bound: Seconds within which a silent line is found out.
    """

    def __init__(
        self,
        client: Any,
        channel: str,
        prefixes: Sequence[str],
        author: bytes,
        echoes: Echoes,
        listener: Listener,
        bound: float,
    ) -> None:
        self._client = client
        self._channel = channel
        self._prefixes = prefixes
        self._author = author
        self._echoes = echoes
        self._listener = listener
        self._pause = max(bound / 3, 0.001)
        self._closed = threading.Event()
        self._tried = threading.Event()
        self._process = os.getpid()
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"feed of {channel}", daemon=True)
        self._thread.start()
        self._tried.wait(bound)

    @property
    def alive(self) -> bool:
        """Whether it runs in this process."""
        return self._process == os.getpid() and self._thread.is_alive()

    def close(self) -> None:
        """Stop."""
        self._closed.set()
        # The last reference to a cache may be dropped by the very thread that tells it something.
        if self._process == os.getpid() and threading.current_thread() is not self._thread:
            self._thread.join()
            self._client.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with self._client.pubsub() as line, contextlib.ExitStack() as stack:
                    tracker = self._track(line, stack) if self._prefixes else None
                    # In this order, so that all is heard when the last is confirmed.
                    line.subscribe(*[_TRACKED] * (tracker is not None), self._channel)
                    self._hear(line, tracker)
            except Exception:  # whatever it is: a thread that ended could not say that it is deaf
                pass
            if self._closed.is_set():
                return
            self._listener.cut(time.monotonic() - self._heard)
            self._tried.set()
            self._closed.wait(self._pause)

    def _track(self, line: Any, stack: contextlib.ExitStack) -> Any:
        """A connection for which the server tracks values, and tells the line; None: it cannot."""
        pool = self._client.connection_pool
        try:
            line.execute_command("CLIENT", "ID")
            name = line.parse_response()
            tracker = pool.get_connection()
            stack.callback(pool.release, tracker)
            stack.callback(tracker.disconnect)
            words = [word for prefix in self._prefixes for word in ("PREFIX", prefix)]
            tracker.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", name, "BCAST", *words)
            tracker.read_response()
        except exceptions.ResponseError:
            return None
        return tracker

    def _hear(self, line: Any, tracker: Any) -> None:
        """Tell what comes, until the line is silent for too long."""
        heard = asked = time.monotonic()
        while not self._closed.is_set():
            message = line.get_message(timeout=min(self._pause, 0.1))
            now = time.monotonic()
            if message is not None:
                heard = now
                self._tell(message)
            if now - asked >= self._pause:
                if now - heard >= 2 * self._pause:
                    return
                line.ping()
                if tracker is not None:  # it says nothing by itself
                    tracker.send_command("PING")
                    tracker.read_response()
                asked = now
            self._heard = min(heard, asked) if tracker is not None else heard

    def _tell(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            if _text(message["channel"]) == self._channel:
                self._listener.restored()
                self._tried.set()
        elif message["type"] == "message":
            if _text(message["channel"]) == _TRACKED:
                self._tell_tracked(message["data"])
            else:
                self._tell_published(message["data"])

    def _tell_tracked(self, names: list[bytes] | None) -> None:
        if names is None:  # everything is gone
            self._listener.cleared()
            return
        keys = [_key(_text(name), self._prefixes) for name in names]
        if foreign := [key for key in keys if not self._echoes.hears(key)]:
            self._listener.changed(foreign)

    def _tell_published(self, data: bytes) -> None:
        with contextlib.suppress(msgspec.DecodeError, ValueError, TypeError, AttributeError):
            author, what, which = msgspec.msgpack.decode(data)
            if author == self._author or what not in _CHANGES:
                return
            if what == "cleared":
                self._listener.cleared()
            else:
                getattr(self._listener, what)(which)


def _text(name: bytes | str) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "surrogatepass")


def _key(name: str, prefixes: Sequence[str]) -> str:
    return next((name[len(p) :] for p in prefixes if name.startswith(p)), name)
