"""What can go wrong in a cache, apart from what a loader raises."""

from __future__ import annotations


class Unavailable(Exception):
    """A store did not answer in time or cannot be reached.

    Stores raise it; a cache counts it, goes on without the store, and asks again a while later.
    """


class Contended(Exception):
    """Others changed the same thing for as long as this was tried; nothing was written."""


class Refused(Unavailable):
    """A store answered, but would not do this: it is full, read-only or may not.

    A cache counts it and keeps asking the store for other things.
    """
