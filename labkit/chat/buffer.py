"""What has been heard and not been taken yet: a bounded number of events; no locks here."""

from __future__ import annotations

from collections import deque
from typing import Literal, get_args

from labkit.chat.messages import Event, Gap, Reason, Typing

Policy = Literal["block", "drop oldest", "drop newest", "disconnect"]


class Buffer:
    """Events between a room and whoever takes them.

    | Policy | Where there is no room |
    | --- | --- |
    | `"block"` | nothing more is read; what comes is read from the stream later |
    | `"drop oldest"` | the oldest goes; a `Gap` stands in its place |
    | `"drop newest"` | the newest goes; a `Gap` stands in its place |
    | `"disconnect"` | listening ends, after what is in the buffer |

    Args:
        most: How many events there is room for.
        policy: What to do where there is none.

    Attributes:
        dropped: How many events were dropped.
        overflowed: Whether "disconnect" has ended it.

    Raises:
        ValueError: There is no such policy, or no room at all.
    """

    def __init__(self, most: int, policy: Policy) -> None:
        if policy not in get_args(Policy):
            raise ValueError(f"policy is {policy!r}; expected one of {', '.join(get_args(Policy))}")
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ValueError(f"buffer is {most!r}; expected a whole number, 1 or more")
        self.most = most
        self.policy = policy
        self.dropped = 0
        self.overflowed = False
        self._events: deque[Event] = deque()
        self._before: dict[str, Gap] = {}  # dropped before what is there, by room
        self._behind: dict[str, Gap] = {}  # dropped after it

    def __len__(self) -> int:
        return len(self._events)

    @property
    def empty(self) -> bool:
        """Whether nothing can be taken."""
        return not (self._events or self._before or self._behind)

    def put(self, event: Event) -> bool:
        """Add an event, or do what the policy says; False: it has to wait, or was the last."""
        if len(self._events) < self.most:
            self._settle()
            self._events.append(event)
            return True
        if self.policy == "block":
            return False
        if self.policy == "disconnect":
            self.overflowed = True
            return False
        self.dropped += 1
        if self.policy == "drop newest":
            _lose(self._behind, event)
        else:
            _lose(self._before, self._events.popleft())
            self._events.append(event)
        return True

    def take(self) -> Event | None:
        """The next event, or None."""
        if self._before:
            return self._before.pop(next(iter(self._before)))
        if self._events:
            return self._events.popleft()
        if self._behind:
            return self._behind.pop(next(iter(self._behind)))
        return None

    def _settle(self) -> None:
        """What was dropped stands before what comes now."""
        self._events.extend(self._behind.values())
        self._behind.clear()


def _lose(lost: dict[str, Gap], event: Event) -> None:
    if isinstance(event, Typing):
        return
    first = event.number
    reason: Reason = "slow"
    if isinstance(event, Gap):
        first = event.first
        reason = reason if event.reason == "trimmed" else event.reason
    before = lost.get(event.room)
    if before is not None and before.epoch == event.epoch:
        first, reason = min(first, before.first), before.reason
    lost[event.room] = Gap(
        room=event.room, epoch=event.epoch, first=first, number=event.number, reason=reason
    )
