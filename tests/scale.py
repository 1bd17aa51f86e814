"""How large a hunt is: `make test` takes the small numbers, `make soak` the same tests with large.

Both print the seed they began from; `LABKIT_SEED` repeats a run.
"""

from __future__ import annotations

import os
import secrets

FACTOR = int(os.environ.get("LABKIT_SOAK", "1"))
# Set for the workers as well, so that all of them tell the same one.
SEED = int(os.environ.setdefault("LABKIT_SEED", str(secrets.randbits(32) if FACTOR > 1 else 1)))


def times(number: int) -> int:
    """A count of examples, rounds or members, grown by what the run asks for."""
    return number * FACTOR
