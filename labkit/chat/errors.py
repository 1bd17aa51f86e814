"""What a room refuses."""

from __future__ import annotations


class ChatError(Exception):
    """Anything that a room refuses."""


class TooFast(ChatError):
    """Somebody says more than the room's rate allows; nothing was said.

    Attributes:
        retry_after: Seconds until it is allowed.
    """

    def __init__(self, who: str, retry_after: float) -> None:
        super().__init__(f"{who!r} says more than this room allows; wait {retry_after:.3f} s")
        self.retry_after = retry_after


class TooSlow(ChatError):
    """A listener that was to be disconnected fell behind by more than its buffer holds.

    What was in the buffer has been delivered; go on with `listen(after=listener.position)`.
    """


class Closed(ChatError):
    """The visit is over: the person has left."""
