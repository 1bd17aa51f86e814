"""What is raised where a value has no text that a key could hold."""

from __future__ import annotations

NEEDED = "a key needs plain values, containers of them, dataclasses, or objects with __cache_key__"


class Unkeyable(TypeError):
    """A value has no text of its own that a key could hold; the message says where and what."""


class NoText(Exception):
    """What `Unkeyable` is made of, before anybody knows which argument it was."""

    def __init__(self, found: str, advice: str = NEEDED) -> None:
        self.found = found
        self.advice = advice
        self.path = ""

    def about(self, subject: str) -> str:
        """The message."""
        path = self.path if len(self.path) <= 60 else f"{self.path[:60]}..."
        where = f"holds {self.found} at {path}" if path else f"is {self.found}"
        return f"{subject} {where}; {self.advice}"
