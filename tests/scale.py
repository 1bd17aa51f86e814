"""How large a hunt is: `make test` takes the small numbers, `make soak` the same tests with large.

`make soak` draws a seed and prints it; `make soak LABKIT_SEED=...` repeats a run. Every property
test is a hunt, and so is every test with the mark `soak`.
"""

from __future__ import annotations

import os

FACTOR = int(os.environ.get("LABKIT_SOAK", "1"))
SEED = int(os.environ.get("LABKIT_SEED", "1"))


def times(number: int) -> int:
    """A count of examples, rounds or members, grown by what the run asks for."""
    return number * FACTOR
