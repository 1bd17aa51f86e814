"""What a room sends: scripts of this package, and plain commands."""

from __future__ import annotations

from typing import ClassVar

from labkit import calls
from labkit.calls import T_co


class Call(calls.Call[T_co]):
    """A call of this package."""

    __slots__ = ()

    package: ClassVar[str] = "labkit.chat"
