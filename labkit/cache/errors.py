"""What can go wrong in a cache, apart from what a loader raises."""

from __future__ import annotations


class Unavailable(Exception):
    """A store did not answer in time, cannot be reached, or refused what it was asked.

    Stores raise it; a cache counts it, goes on without the store, and asks again a while later.
    """
