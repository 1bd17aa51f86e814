"""A board's settings: checked when they are made, kept with the board, sent with every write."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, cast, get_args

import msgspec

from labkit.clock import duration
from labkit.leaderboard.windows import Calendar, Season

Order = Literal["desc", "asc"]
Ties = Literal["ordinal", "competition", "dense", "modified"]
Policy = Literal["best", "last", "sum", "first"]

LARGEST = 1.7976931348623157e308
KEPT = {"hourly": "7d", "daily": "90d", "weekly": "366d", "monthly": "1100d"}
"""How long a closed period stays readable where the settings do not say; the others stay."""

_NAME = re.compile(r"[^\x00-\x1f\x7f{}\ud800-\udfff]{1,200}")
_WINDOW = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_METADATA_LIMIT = 1_000_000
_TAKEN = (*Calendar.BUILT_IN, "board", "periods", "changes", "once", "snapshot")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a board ranks, what it accepts, and how long it remembers.

    Attributes:
        order: `"desc"`: the highest score is first; `"asc"`: the lowest.
        ties: The rank of equal scores, for 30, 20, 20, 10: `"competition"` 1 2 2 4, `"dense"`
            1 2 2 3, `"modified"` 1 3 3 4, `"ordinal"` 1 2 3 4. Reads may ask for another.
        policy: Which of a member's scores counts: the `"best"`, the `"last"`, the `"first"`, or
            the `"sum"` of all.
        windows: `"hourly"`, `"daily"`, `"weekly"`, `"monthly"`, `"yearly"`, `"all"`, and seasons.
        timezone: The IANA time zone whose midnights the windows follow.
        week_start: The day on which a week begins.
        minimum: The lowest score (with `"sum"`: total) that is accepted.
        maximum: The highest.
        step: The smallest difference that counts as a change; smaller ones are refused.
        grace: For how long after its end a period takes scores that come late; then it is frozen.
        keep: For how long a frozen period stays readable, by window; None is for ever.
        remember: For how long an idempotency key is remembered.
        events: How many changes the stream keeps for `watch`; 0 keeps none.
        dense: Whether to keep an index of distinct scores, so that dense ranks cost O(log N); a
            board without one counts the distinct scores that are better. Fixed when the board is
            made; by default it follows `ties`.
        metadata_limit: The most bytes that a member's metadata may have as JSON.
    """

    order: Order = "desc"
    ties: Ties = "competition"
    policy: Policy = "best"
    windows: Sequence[str | Season] = ("all",)
    timezone: str = "UTC"
    week_start: str = "monday"
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    grace: float | str = "1h"
    keep: Mapping[str, float | str | None] = msgspec.field(default_factory=dict)
    remember: float | str = "1d"
    events: int = 10_000
    dense: bool | None = None
    metadata_limit: int = 4096

    def __post_init__(self) -> None:
        for name, choices in (("order", Order), ("ties", Ties), ("policy", Policy)):
            value = getattr(self, name)
            if value not in get_args(choices):
                expected = ", ".join(repr(choice) for choice in get_args(choices))
                raise ValueError(f"{name} is {value!r}; expected one of {expected}")
        self._check_windows()
        Calendar(self.timezone, self.week_start)
        for name in ("minimum", "maximum", "step"):
            value = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, exact(value, name))
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum} and maximum {self.maximum}: nothing fits")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step is {self.step}; expected a number above 0, or None")
        msgspec.structs.force_setattr(self, "grace", duration(self.grace))
        msgspec.structs.force_setattr(self, "remember", duration(self.remember))
        if not 0.001 <= float(self.remember) <= 10 * 366 * 86_400:
            raise ValueError("remember is outside 1ms to ten years")
        self._check_numbers()

    def _check_windows(self) -> None:
        if isinstance(self.windows, str):
            raise TypeError(f"windows is {self.windows!r}; expected several, such as ('daily',)")
        windows = tuple(self.windows)
        names = []
        for window in windows:
            if isinstance(window, Season):
                if window.name in _TAKEN or not _WINDOW.fullmatch(window.name):
                    raise ValueError(
                        f"a season is named {window.name!r}; expected a name of its own, of small "
                        "letters, digits, - and _"
                    )
                names.append(window.name)
            elif window in Calendar.BUILT_IN:
                names.append(window)
            else:
                expected = ", ".join(repr(name) for name in Calendar.BUILT_IN)
                raise ValueError(f"window is {window!r}; expected one of {expected}, or a Season")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"windows is {names!r}; expected at least one, each once")
        msgspec.structs.force_setattr(self, "windows", windows)

    def _check_numbers(self) -> None:
        if not isinstance(self.keep, Mapping):
            raise TypeError(f"keep is {self.keep!r}; expected durations by window's name")
        unknown = set(self.keep) - set(self.names)
        if unknown:
            raise ValueError(f"keep names {sorted(unknown)}, which are not among the windows")
        kept: dict[str, float | None] = {}
        for name in self.names:
            length = self.keep.get(name, KEPT.get(name))
            kept[name] = None if length is None or name == "all" else duration(length)
        msgspec.structs.force_setattr(self, "keep", kept)
        for name, highest in (("events", 10_000_000), ("metadata_limit", _METADATA_LIMIT)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
                raise ValueError(f"{name} is {value!r}; expected a whole number, 0 to {highest}")
        if self.dense is None:
            msgspec.structs.force_setattr(self, "dense", self.ties == "dense")

    @property
    def names(self) -> tuple[str, ...]:
        """The windows' names."""
        return tuple(
            window.name if isinstance(window, Season) else window for window in self.windows
        )

    @property
    def seasons(self) -> tuple[Season, ...]:
        """The windows that are seasons."""
        return tuple(window for window in self.windows if isinstance(window, Season))

    def options(self) -> SettingsOptions:
        """The settings as keyword arguments of a board."""
        return cast("SettingsOptions", msgspec.structs.asdict(self))

    @property
    def layout(self) -> str:
        """What can never change, as it would put rows in the wrong place."""
        return f"{self.order} {self.timezone} {self.week_start}"


class SettingsOptions(TypedDict, total=False):
    """The settings as keyword arguments; `Settings` describes them."""

    order: Order
    ties: Ties
    policy: Policy
    windows: Sequence[str | Season]
    timezone: str
    week_start: str
    minimum: float | None
    maximum: float | None
    step: float | None
    grace: float | str
    keep: Mapping[str, float | str | None]
    remember: float | str
    events: int
    dense: bool | None
    metadata_limit: int


def check_name(name: object) -> str:
    """A board's name: text of 1 to 200 characters, no control characters, no braces.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty, too long, or has a character that it may not have.
    """
    if not isinstance(name, str):
        raise TypeError(f"the board's name is {name!r}; expected text")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"the board's name is {name!r}; expected 1 to 200 characters, "
            "no control characters and no braces"
        )
    return name


def exact(score: Any, what: str = "score") -> float:
    """A score as a double, which keeps it exactly.

    Raises:
        TypeError: It is no number.
        ValueError: It is infinite, not a number, or an integer that no double equals.
    """
    if isinstance(score, float):
        number = float(score)
    else:
        if isinstance(score, bool) or not hasattr(score, "__float__") or isinstance(score, str):
            raise TypeError(f"{what} is {score!r}; expected a number")
        try:
            number = float(score)
        except OverflowError:
            number = math.inf
        if hasattr(score, "__index__") and number != int(score):
            raise ValueError(
                f"{what} is {score}; a score is a double, which cannot keep this integer exactly "
                "(every integer up to 2**53 fits)"
            )
    if not math.isfinite(number):
        raise ValueError(f"{what} is {score!r}; expected a finite number")
    return number + 0.0
