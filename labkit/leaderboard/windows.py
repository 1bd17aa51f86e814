"""Time windows: which stretch of time a moment belongs to, in a time zone with all its jumps.

A window is a kind of stretch, such as `"daily"`; a `Period` is one stretch of it, such as
2026-11-22. The periods of a window follow each other without gap or overlap, also on the days
on which the clocks change: a local day then has 23 or 25 hours, and an hour that the clocks
repeat is two periods with two offsets in their names.
"""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FOREVER = math.inf

Moment = float | int | dt.datetime
"""Seconds since the epoch, or a datetime that knows its time zone."""


class Period(msgspec.Struct, frozen=True):
    """One stretch of a window.

    Attributes:
        window: The window it belongs to, such as `"daily"`.
        name: Its name within the window, such as `"2026-11-22"`; `"all"` for all time.
        start: Its first moment, in seconds since the epoch; minus infinity for all time.
        end: The first moment after it; infinity for all time.
    """

    window: str
    name: str
    start: float
    end: float

    @property
    def id(self) -> str:
        """The period's name with its window, such as `"daily:2026-11-22"`."""
        return self.window if self.window == self.name else f"{self.window}:{self.name}"

    def __contains__(self, moment: object) -> bool:
        """Whether a moment, in seconds since the epoch, lies in the period."""
        return isinstance(moment, (int, float)) and self.start <= moment < self.end


class Season(msgspec.Struct, frozen=True):
    """A window of your own with one period: a tournament, a holiday, a season.

    Attributes:
        name: Its name; not one of the built-in windows'.
        start: Its first moment, in seconds since the epoch or a datetime with a time zone.
        end: The first moment after it.
    """

    name: str
    start: float
    end: float

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "start", seconds(self.start, "start"))
        msgspec.structs.force_setattr(self, "end", seconds(self.end, "end"))
        if not self.start < self.end:
            raise ValueError(f"the season {self.name!r} ends before it starts")

    @property
    def period(self) -> Period:
        """The one period of the season."""
        return Period(self.name, self.name, self.start, self.end)


def seconds(moment: Any, what: str = "at") -> float:
    """A moment as seconds since the epoch.

    Raises:
        TypeError: It is neither a number nor a datetime.
        ValueError: It is a datetime without a time zone, or outside the years 1970 to 2500.
    """
    if isinstance(moment, dt.datetime):
        if moment.tzinfo is None:
            raise ValueError(
                f"{what} is {moment!r} without a time zone; expected a datetime with one, "
                "such as datetime.now(timezone.utc), or seconds since the epoch"
            )
        moment = moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, (int, float)):
        raise TypeError(
            f"{what} is {moment!r}; expected seconds since the epoch or a datetime with a time zone"
        )
    if not 0 <= moment < 16_725_225_600:
        raise ValueError(f"{what} is {moment!r}; expected a moment of the years 1970 to 2500")
    return float(moment)


class Calendar:
    """The windows of one board in one time zone.

    Args:
        timezone: An IANA name, such as `"Europe/Lisbon"`.
        week_start: The day on which a week begins. With `"monday"` weeks are ISO 8601 weeks and
            named so (`2026-W53`); with any other day they are named by their first day.
        seasons: Windows of your own.

    Raises:
        ValueError: The time zone or the weekday is not known.
    """

    BUILT_IN = ("hourly", "daily", "weekly", "monthly", "yearly", "all")

    def __init__(
        self, timezone: str = "UTC", week_start: str = "monday", seasons: Sequence[Season] = ()
    ) -> None:
        try:
            self._zone = zoneinfo.ZoneInfo(timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise ValueError(
                f"timezone is {timezone!r}; expected an IANA name such as 'Europe/Lisbon' or 'UTC'"
            ) from None
        if week_start not in WEEKDAYS:
            raise ValueError(f"week_start is {week_start!r}; expected one of {', '.join(WEEKDAYS)}")
        self._first_weekday = WEEKDAYS.index(week_start)
        self._seasons = {season.name: season for season in seasons}
        self._latest: dict[str, Period] = {}

    def period(self, window: str, moment: float) -> Period | None:
        """The period of `window` that holds a moment; None outside a season."""
        latest = self._latest.get(window)
        if latest is not None and latest.start <= moment < latest.end:
            return latest
        season = self._seasons.get(window)
        if season is not None:
            return season.period if moment in season.period else None
        if window == "all":
            found = Period("all", "all", -FOREVER, FOREVER)
        elif window == "hourly":
            found = self._hour(moment)
        else:
            found = self._days(window, moment)
        self._latest[window] = found
        return found

    def before(self, period: Period) -> Period | None:
        """The period that precedes `period`; None before a season and before all time."""
        if period.window == "all" or period.window in self._seasons or period.start < 1:
            return None
        return self.period(period.window, period.start - 0.001)

    def _local(self, moment: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(moment, self._zone)

    def _midnight(self, day: dt.date) -> float:
        """The first moment of a local day; where the clocks skip midnight, the jump itself."""
        return dt.datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()

    def _days(self, window: str, moment: float) -> Period:
        """The period of a window whose periods are whole local days."""
        first = _FIRST_DAY[window]
        after = _NEXT[window]
        start_day = first(self._local(moment).date(), self._first_weekday)
        # Some zones have turned their clocks back across midnight, so that a date comes twice:
        # the periods stay in one piece, from one first midnight to the next.
        if moment < self._midnight(start_day):
            start_day = first(start_day - dt.timedelta(days=1), self._first_weekday)
        while moment >= self._midnight(after(start_day)):
            start_day = after(start_day)
        return Period(
            window,
            self._day_name(window, start_day),
            self._midnight(start_day),
            self._midnight(after(start_day)),
        )

    def _day_name(self, window: str, day: dt.date) -> str:
        if window == "weekly" and self._first_weekday == 0:
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02}"
        return day.isoformat()[: {"monthly": 7, "yearly": 4}.get(window, 10)]

    def _hour(self, moment: float) -> Period:
        """The local hour, cut where the clocks change within it."""
        second = float(math.floor(moment))  # a datetime rounds: 59.9999999 s becomes the next hour
        local = self._local(second)
        offset = local.utcoffset()
        whole = second - (local.minute * 60 + local.second)
        start = self._offset_begins(whole, second, offset)
        end = self._offset_ends(second, whole + 3600, offset)
        return Period("hourly", f"{local:%Y-%m-%dT%H%z}", start, end)

    def _offset_begins(self, low: float, high: float, offset: dt.timedelta | None) -> float:
        """The first whole second of `low`..`high` from which the offset holds."""
        if self._local(low).utcoffset() == offset:
            return low
        return _bisect(low, high, lambda moment: self._local(moment).utcoffset() == offset)

    def _offset_ends(self, low: float, high: float, offset: dt.timedelta | None) -> float:
        """The first whole second of `low`..`high` from which the offset no longer holds."""
        if self._local(high - 1).utcoffset() == offset:
            return high
        return _bisect(low, high, lambda moment: self._local(moment).utcoffset() != offset)


def _bisect(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """The first whole second after `low` at which `holds`, which holds at `high`."""
    first, last = math.floor(low), math.ceil(high)
    while last - first > 1:
        middle = (first + last) // 2
        if holds(middle):
            last = middle
        else:
            first = middle
    return float(last)


def _first_of_week(day: dt.date, first_weekday: int) -> dt.date:
    return day - dt.timedelta(days=(day.weekday() - first_weekday) % 7)


def _next_month(day: dt.date) -> dt.date:
    return (day.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


_FIRST_DAY: dict[str, Callable[[dt.date, int], dt.date]] = {
    "daily": lambda day, _: day,
    "weekly": _first_of_week,
    "monthly": lambda day, _: day.replace(day=1),
    "yearly": lambda day, _: day.replace(month=1, day=1),
}
_NEXT: dict[str, Callable[[dt.date], dt.date]] = {
    "daily": lambda day: day + dt.timedelta(days=1),
    "weekly": lambda day: day + dt.timedelta(days=7),
    "monthly": _next_month,
    "yearly": lambda day: day.replace(year=day.year + 1),
}
