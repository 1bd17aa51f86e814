"""What is told of writes that wait, that were applied, and that could not be."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from labkit.cache.sources.limited import Overloaded


class QueueFull(Overloaded):
    """A write found no room in time, and was not carried out: too many others wait."""


class Applied(msgspec.Struct, frozen=True, gc=False):
    """What happened to waiting writes; false where nothing did.

    Attributes:
        applied: How many reached the source, or were covered by a later one that did.
        coalesced: How many of those were covered by a later one.
        retried: How many tries failed, and are followed by another one.
        aside: How many were put aside.
    """

    applied: int = 0
    coalesced: int = 0
    retried: int = 0
    aside: int = 0

    def __bool__(self) -> bool:
        return any(msgspec.structs.astuple(self))

    def __add__(self, other: Applied) -> Applied:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Applied(*map(sum, pairs))


class Aside(msgspec.Struct, frozen=True):
    """A write that the source refuses.

    Attributes:
        id: What `again` and `forget` want.
        key: The key.
        value: The value; None: it is a deletion; MISSING: it cannot be read.
        version: Its version.
        reason: The last error, its class and its message.
        at: When it was put aside, in seconds since the epoch.
        superseded: Whether the key was written since, so that it cannot be put back.
    """

    id: str
    key: Any
    value: Any
    version: int
    reason: str
    at: float
    superseded: bool


class Measure(NamedTuple):
    """A number for a monitoring system.

    Attributes:
        name: What it is called.
        text: What it says.
        grows: Whether it only grows.
        value: The number.
    """

    name: str
    text: str
    grows: bool
    value: float


class Waiting(msgspec.Struct, frozen=True):
    """How a queue is, and what this process has done about it.

    Attributes:
        depth: How many writes wait.
        age: For how many seconds the oldest of them has; 0 where none waits.
        aside: How many stand aside.
        done: What this process has done.
        lag: How many seconds the oldest write of its last batch had waited; None: there was none.
    """

    depth: int
    age: float
    aside: int
    done: Applied
    lag: float | None

    def measures(self) -> list[Measure]:
        """The same as numbers for a monitoring system."""
        done = self.done
        return [
            Measure("queue_depth", "Writes that wait.", False, self.depth),
            Measure("queue_age_seconds", "For how long the oldest has.", False, self.age),
            Measure("queue_lag_seconds", "How long the last ones waited.", False, self.lag or 0.0),
            Measure("queue_aside", "Writes that stand aside.", False, self.aside),
            Measure("queue_applied", "Writes that were applied.", True, done.applied),
            Measure("queue_coalesced", "Those covered by a later one.", True, done.coalesced),
            Measure("queue_retried", "Tries that failed and are repeated.", True, done.retried),
            Measure("queue_put_aside", "Writes that were put aside.", True, done.aside),
        ]
