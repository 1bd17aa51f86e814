"""Where a listener is in a room, and what it makes of what comes; no I/O here.

Two sources tell of the same events: the channel, at once and perhaps not at all, and the stream,
whenever it is asked. Their numbers join them: what the channel tells is delivered if it is the next
one, passed over if it was delivered before, and otherwise a reason to ask the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.chat.messages import Event, Gap, Happened, Position, Reason, Typing

if TYPE_CHECKING:
    from labkit.chat.operations import Replay


class Following:
    """One room, followed.

    Args:
        room: Its name.
        position: What was seen last; None: nothing.
        kept: Follow from the oldest that is kept, and report no gap before it.
    """

    def __init__(self, room: str, position: Position | None, *, kept: bool = False) -> None:
        self.room = room
        self.position = position
        self._kept = kept

    def live(self, told: Happened | Typing) -> list[Event] | None:
        """What to deliver of what the channel told; None: ask the stream, something is missing."""
        if isinstance(told, Typing):
            return [told]
        here = self.position
        if here is None or here.epoch != told.epoch:
            return None
        if told.number <= here.number:
            return []
        if told.number > here.number + 1:
            return None
        self.position = told.position
        return [told]

    def replayed(self, told: Replay) -> list[Event]:
        """What to deliver of what the stream told."""
        here, events = self.position, list[Event]()
        begins = here is None and self._kept
        if here is None:
            here = Position(told.epoch, 0)
        elif here.epoch != told.epoch:
            # How it ended nobody knows. What there is of the new epoch follows; a gap at its begin
            # is reported as this one, from the first number.
            first = told.events[0].number if told.events else told.last + 1
            events.append(self._gap(told.epoch, 1, first - 1, "new epoch"))
            here = Position(told.epoch, first - 1)
        number = here.number
        for happened in told.events:
            if happened.number > number + 1 and not begins:
                events.append(self._gap(told.epoch, number + 1, happened.number - 1))
            begins = False
            events.append(happened)
            number = happened.number
        if not told.events and told.last > number:
            if not begins:
                events.append(self._gap(told.epoch, number + 1, told.last))
            number = told.last
        self.position = Position(told.epoch, number)
        return events

    def _gap(self, epoch: str, first: int, last: int, reason: Reason = "trimmed") -> Gap:
        return Gap(room=self.room, epoch=epoch, first=first, number=last, reason=reason)
