"""Listening to rooms with a blocking client: a thread reads, a buffer keeps, you take."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from labkit.calls import scripts_of, send
from labkit.chat.buffer import Buffer, Policy
from labkit.chat.feed import CHECK, LOST, PAUSES, SLICE, too_slow
from labkit.chat.heard import Heard
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from labkit.chat.feed import Feed
    from labkit.chat.messages import Event


class Listener(Heard):
    """What happens in a room, in order, each event once; see `Room.listen`.

    An iterator: it waits for the next event, and ends when it is closed. It subscribes before it
    is handed out, so that nothing is missed that happens after that. Close it, or use it in `with`.

    Args:
        client: A blocking client of redis-py.
        feed: What to follow.
        buffer: How many events wait for whoever takes them.
        policy: What to do where there is no room; see `Buffer`.
        timeout: Ends the iteration when nothing came for this `duration`; None waits for ever.
        beat: Called now and then, so that the listener counts as present; None: never.
        every: The seconds between two beats.

    Attributes:
        reconnects: How often the connection was lost.

    Raises:
        redis.ConnectionError: The server cannot be reached.
    """

    def __init__(
        self,
        client: Any,
        feed: Feed,
        *,
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
        beat: Callable[[], object] | None = None,
        every: float = CHECK,
    ) -> None:
        super().__init__(feed, Buffer(buffer, policy))
        self._client = client
        self._held = scripts_of(client)
        self._patience = None if timeout is None else duration(timeout)
        self._beat, self._every, self._due = beat, every, 0.0
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"chat {feed.name}", daemon=True)
        self._thread.start()
        self._ready.wait()
        if error := self._failure():
            self.close()
            raise error

    def take(self, timeout: float | str | None = None) -> Event | None:
        """The next event; None where none comes within this `duration`, or it is closed.

        Raises:
            TooSlow: It has been disconnected, and everything before that was taken.
            Exception: What has ended it otherwise.
        """
        patience = None if timeout is None else duration(timeout)
        with self._changed:
            self._changed.wait_for(lambda: not self._buffer.empty or self._ended, patience)
            event = self._heard()
            if event is not None:
                self._changed.notify_all()
                return event
            if error := self._failure():
                raise error
            return None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        """The next event."""
        event = self.take(self._patience)
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """Stop listening; what is in the buffer can still be taken. Harmless when repeated."""
        self._closing.set()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _failure(self) -> BaseException | None:
        return self._error

    def _run(self) -> None:
        failures = 0
        try:
            while not self._closing.is_set():
                try:
                    with self._client.pubsub() as hub:
                        self._subscribe(hub)
                        while not self._closing.is_set():
                            self._step(hub)
                            failures = 0
                except LOST:
                    if not self._ready.is_set():
                        raise
                    self._closing.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                    failures += 1
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._ready.set()

    def _subscribe(self, hub: Any) -> None:
        feed = self._feed
        subscribe = hub.psubscribe if feed.pattern else hub.subscribe
        (hub.ssubscribe if feed.sharded else subscribe)(feed.channel)
        self._silent = 0.0

    def _step(self, hub: Any) -> None:
        """Wait a while for what the channel tells, and see to it."""
        receive = getattr(hub, "get_sharded_message", None) if self._feed.sharded else None
        message = (receive or hub.get_message)(timeout=SLICE)
        if self._beat is not None and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            self._beat()
        if message is None:
            self._silent += SLICE
            if self._silent >= CHECK:
                self._silent = 0.0
                self._catch_up()
            return
        self._silent = 0.0
        if message["type"].endswith("subscribe"):
            # At first, and after each connection, also where redis-py has made it by itself.
            self.reconnects += self._ready.is_set()
            self._catch_up()
            self._ready.set()
            return
        name, events = self._feed.heard(message)
        if events is None:
            self._replay(name)
        else:
            self._put(events)

    def _catch_up(self) -> None:
        """Find the rooms, and ask the stream of each for what was missed."""
        feed = self._feed
        names = self._send(feed.names()) if feed.pattern else [feed.name]
        for name in feed.new(names):
            feed.located(name, self._send(feed.calls(name).position()))
        feed.begin()
        for name in [*feed.rooms]:
            self._replay(name)

    def _replay(self, name: str) -> None:
        following = self._feed.rooms[name]
        while not self._closing.is_set():
            told = self._send(self._feed.calls(name).after(following.position))
            self._put(following.replayed(told))
            if following.position is not None and following.position.number >= told.last:
                return

    def _put(self, events: list[Event]) -> None:
        with self._changed:
            for event in events:
                while not self._buffer.put(event):
                    if self._buffer.overflowed:
                        raise too_slow(self._feed.name, self._buffer.most)
                    if self._closing.is_set():
                        return
                    self._ready.set()  # whoever waits for it is to take what there is
                    self._changed.notify_all()
                    self._changed.wait()
            self._changed.notify_all()

    def _send(self, call: Any) -> Any:
        return send(self._client, self._held, call)
