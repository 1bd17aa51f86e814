"""Histories of reads and writes, and whether some order of them explains what was read.

`linearizable` searches for an order as Wing and Gong do (Testing and Verifying Concurrent Objects,
Journal of Parallel and Distributed Computing 17, 1993), with Lowe's memory of the states that were
visited (Testing for Linearizability, Concurrency and Computation 29(4), 2017). A history is
linearizable where each of its keys is (Herlihy and Wing 1990), so that one key at a time is judged.
`outdated` is weaker: what Lamport calls regular (On Interprocess Communication, 1986), without
those reads that come before their write.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Event(NamedTuple):
    """A read or a write of one key.

    Attributes:
        what: "read" or "write".
        value: What was read or written; a value is written once.
        begin: When it was called, in any unit.
        end: When it returned; infinity where it did not, and may have happened or not.
    """

    what: str
    value: Any
    begin: float
    end: float = math.inf


def linearizable(history: Sequence[Event], initial: Any = None) -> bool:
    """Whether each operation can have happened at one moment between its begin and its end.

    Args:
        history: The operations on one key.
        initial: Its value before them.
    """
    history = [each for each in history if each.what == "write" or each.end < math.inf]
    must = sum(1 << i for i, each in enumerate(history) if each.end < math.inf)
    seen: set[tuple[int, Any]] = set()
    states = [(0, initial)]
    while states:
        state = states.pop()
        if state in seen:
            continue
        seen.add(state)
        done, value = state
        if done & must == must:
            return True
        left = [(i, each) for i, each in enumerate(history) if not done >> i & 1]
        first_end = min(each.end for _, each in left)
        for i, each in left:  # what began after another one's end comes after it
            if each.begin <= first_end and (each.what == "write" or each.value == value):
                states.append((done | 1 << i, each.value))
    return False


def outdated(history: Sequence[Event], initial: Any = None) -> list[Event]:
    """The reads of a value that was overwritten before they began, or that nobody had written yet.

    Args:
        history: The operations on one key.
        initial: Its value before them.
    """
    writes = [Event("write", initial, -math.inf, -math.inf)]
    writes += [each for each in history if each.what == "write"]
    by_value = {each.value: each for each in writes}

    def wrong(read: Event) -> bool:
        written = by_value.get(read.value)
        return (
            written is None
            or written.begin > read.end
            or any(written.end < each.begin and each.end < read.begin for each in writes)
        )

    return [each for each in history if each.what == "read" and each.end < math.inf and wrong(each)]
