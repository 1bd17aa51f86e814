"""What can go wrong in the newsroom, apart from arguments that make no sense."""

from __future__ import annotations


class DatabaseDown(ConnectionError):
    """The database did not answer: it is away, overloaded, or said to be down."""


class NotFound(LookupError):
    """A write names something that is not there; nothing was written."""


class Conflict(Exception):
    """A write was made of a version that is no longer the stored one; nothing was written."""
