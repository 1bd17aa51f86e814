"""What a board sends: scripts of this package, and plain commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from labkit import calls
from labkit.calls import T_co
from labkit.leaderboard.errors import LayoutMismatch

if TYPE_CHECKING:
    from redis.exceptions import ResponseError


class Call(calls.Call[T_co]):
    """A call of this package."""

    __slots__ = ()

    package: ClassVar[str] = "labkit.leaderboard"

    def explained(self, error: ResponseError) -> Exception:
        """An error reply of a script as an exception of this package; any other as it is."""
        text = str(error)
        if text.startswith("LAYOUT "):
            return LayoutMismatch(
                f"the board was made with {text.removeprefix('LAYOUT ')!r} (order, time zone, "
                "start of the week), not with what this object says; take the settings from the "
                "board with Leaderboard.open(client, name), or choose another name"
            )
        return error
