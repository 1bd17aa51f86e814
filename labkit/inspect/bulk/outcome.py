"""What came of keys: a code for each, and the counts that a run tells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST = 512 * 2**20
"""Bytes that a dumped value may have; a server takes no larger one back."""

# The first five are in lua/bulk_common.lua, too.
AGAIN, CHANGED, GONE, TAKEN, OTHER, ENDLESS, MORTAL, LARGE = range(8)

_REASONS = {
    TAKEN: "a key of that name is there",
    OTHER: "it was changed meanwhile",
    ENDLESS: "it does not expire",
    MORTAL: "it expires already",
    LARGE: f"a value of more than {LARGEST // 2**20} MB could not be put back",
}


@dataclass(frozen=True)
class Done:
    """What came of keys; every one counts once.

    Attributes:
        changed: So many were changed.
        skipped: So many were left as they are.
        gone: So many were not there any more.
        reasons: Why some were skipped, and how many for each reason.
    """

    changed: int
    skipped: int
    gone: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.changed:,} changed, {self.skipped:,} skipped, {self.gone:,} gone"]
        return "\n".join(
            lines + [f"{count:,} skipped: {why}" for why, count in self.reasons.items()]
        )


def counted(came: Iterable[int]) -> Done:
    """Codes, added up."""
    counts = Counter(came)
    reasons = {why: counts[code] for code, why in _REASONS.items() if counts[code]}
    return Done(counts[CHANGED], sum(reasons.values()), counts[GONE], reasons)
