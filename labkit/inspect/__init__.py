"""What redis-cli shows, from Python."""

from typing import Any

from labkit.inspect.cli import Session, help, run, session  # noqa: A004 - as redis-cli's
from labkit.inspect.printing import Form, shown
from labkit.inspect.replies import Reply
from labkit.inspect.words import InvalidArguments, split

__all__ = [
    "Form",
    "InvalidArguments",
    "Reply",
    "Session",
    "help",
    "run",
    "session",
    "shown",
    "split",
]


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext labkit.inspect` does."""
    from labkit.inspect import magics

    magics.load(shell)
