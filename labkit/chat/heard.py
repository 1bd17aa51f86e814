"""What both listeners know of what they have heard; no I/O here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.chat.messages import Typing

if TYPE_CHECKING:
    from labkit.chat.buffer import Buffer
    from labkit.chat.feed import Feed
    from labkit.chat.messages import Event, Position


class Heard:
    """What has been heard, and how much of it was taken.

    Args:
        feed: What is followed.
        buffer: What waits to be taken.

    Attributes:
        reconnects: How often the connection was lost.
    """

    def __init__(self, feed: Feed, buffer: Buffer) -> None:
        self.reconnects = 0
        self._feed = feed
        self._buffer = buffer
        self._taken: dict[str, Position] = {}
        self._ended = False

    @property
    def position(self) -> Position | None:
        """Where the one room stands of which all was taken so far; None where nothing was."""
        return self._taken.get(self._feed.name)

    @property
    def positions(self) -> dict[str, Position]:
        """The same for each room; `listen(after=...)` goes on there."""
        return dict(self._taken)

    @property
    def dropped(self) -> int:
        """How many events did not fit into the buffer."""
        return self._buffer.dropped

    @property
    def ended(self) -> bool:
        """Whether nothing more is heard; what is in the buffer can still be taken."""
        return self._ended

    @property
    def waiting(self) -> int:
        """How many events are in the buffer."""
        return len(self._buffer)

    def _heard(self) -> Event | None:
        """Take the next event, if there is one."""
        event = self._buffer.take()
        if event is not None and not isinstance(event, Typing):
            self._taken[event.room] = event.position
        return event
