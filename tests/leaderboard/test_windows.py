"""Windows cut time into periods, in every time zone, on the days on which clocks change too."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from itertools import pairwise
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from labkit.leaderboard import Season
from labkit.leaderboard.windows import WEEKDAYS, Calendar
from tests.scale import times

if TYPE_CHECKING:
    from labkit.leaderboard import Period

UTC = dt.UTC
KINDS = ("hourly", "daily", "weekly", "monthly", "yearly")
# Days and hours of odd lengths; midnights that are skipped, or come twice; days that do not exist.
PECULIAR = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Goose_Bay",
    "America/Havana",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Lisbon",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
)
zones = st.sampled_from(PECULIAR) | st.sampled_from(sorted(zoneinfo.available_timezones()))
EPOCH, LAST = 86_400 * 800, 4_102_444_800  # 1972 to 2099; nothing else changes after 2037
moments = st.floats(EPOCH, LAST)


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> float:
    return dt.datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def period(calendar: Calendar, window: str, moment: float) -> Period:
    found = calendar.period(window, moment)
    assert found is not None
    return found


def hours(found: Period) -> float:
    return (found.end - found.start) / 3600


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[str, float]:
    """A zone, and a moment that is often close to a change of its clocks."""
    zone = draw(zones)
    moment = draw(moments)
    info = zoneinfo.ZoneInfo(zone)

    def offset(instant: float) -> dt.timedelta | None:
        return dt.datetime.fromtimestamp(instant, info).utcoffset()

    if draw(st.booleans()):
        low, high = moment, min(moment + 200 * 86_400, LAST)
        if offset(low) != offset(high):
            before = offset(low)
            while high - low > 1:
                middle = (low + high) / 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            moment = max(float(EPOCH), high + draw(st.floats(-90_000, 90_000)))
    return zone, moment


@given(place=near_a_change(), window=st.sampled_from(KINDS), week_start=st.sampled_from(WEEKDAYS))
@settings(max_examples=times(300))
def test_the_periods_of_a_window_follow_each_other(
    place: tuple[str, float], window: str, week_start: str
) -> None:
    zone, moment = place
    calendar = Calendar(zone, week_start)
    found = period(calendar, window, moment)
    assert moment in found
    assert found.start < found.end
    # Every moment of it leads to it, and one just outside does not; a fresh calendar agrees.
    for inside in (found.start, (found.start + found.end) / 2, found.end - 0.001):
        assert period(Calendar(zone, week_start), window, inside) == found
    following = period(calendar, window, found.end)
    assert following.start == found.end
    assert calendar.before(following) == found
    assert following.name != found.name
    previous = calendar.before(found)
    assert previous is not None
    assert previous.end == found.start
    if window != "hourly":
        assert previous.name < found.name < following.name


def first_moment(zone: str, day: dt.date) -> float:
    """The first moment of a local day or of a later one, found by looking at every half minute."""
    info = zoneinfo.ZoneInfo(zone)
    start = dt.datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() - 26 * 3600
    ticks = (start + 30 * number for number in range(2 * 60 * 52))
    return next(tick for tick in ticks if dt.datetime.fromtimestamp(tick, info).date() >= day)


@given(place=near_a_change())
@settings(max_examples=times(60))
def test_a_day_begins_at_its_first_moment(place: tuple[str, float]) -> None:
    zone, moment = place
    found = period(Calendar(zone), "daily", moment)
    day = dt.date.fromisoformat(found.name)
    assert found.start == first_moment(zone, day)
    assert found.end == first_moment(zone, day + dt.timedelta(1))


@given(place=near_a_change())
@settings(max_examples=times(150))
def test_an_hour_has_one_offset_and_one_local_hour(place: tuple[str, float]) -> None:
    zone, moment = place
    found = period(Calendar(zone), "hourly", moment)
    info = zoneinfo.ZoneInfo(zone)
    assert 0 < found.end - found.start <= 3600
    for inside in (found.start, moment // 1, found.end - 1):
        local = dt.datetime.fromtimestamp(inside, info)
        assert f"{local:%Y-%m-%dT%H%z}" == found.name


@given(place=near_a_change(), window=st.sampled_from(["weekly", "monthly", "yearly"]))
@settings(max_examples=times(150))
def test_long_periods_are_made_of_whole_days(place: tuple[str, float], window: str) -> None:
    zone, moment = place
    calendar = Calendar(zone)
    found = period(calendar, window, moment)
    assert period(calendar, "daily", found.start).start == found.start
    assert period(calendar, "daily", found.end).start == found.end


@pytest.mark.parametrize(
    ("zone", "moment", "name", "length"),
    [
        ("Europe/Lisbon", at(2026, 3, 29, 12), "2026-03-29", 23),
        ("Europe/Lisbon", at(2026, 10, 25, 12), "2026-10-25", 25),
        ("Europe/Lisbon", at(2026, 11, 22, 12), "2026-11-22", 24),
        ("Australia/Lord_Howe", at(2026, 4, 5), "2026-04-05", 24.5),
        ("Australia/Lord_Howe", at(2026, 10, 4), "2026-10-04", 23.5),
        # Midnight was skipped in Sao Paulo and Beirut, and came twice in Havana.
        ("America/Sao_Paulo", at(2018, 11, 4, 12), "2018-11-04", 23),
        ("America/Sao_Paulo", at(2018, 2, 17, 12), "2018-02-17", 25),
        ("Asia/Beirut", at(2021, 3, 28, 12), "2021-03-28", 23),
        ("America/Havana", at(2020, 11, 1, 12), "2020-11-01", 25),
        ("America/Havana", at(2020, 3, 8, 12), "2020-03-08", 23),
        # At one minute past midnight the clocks went back, into the day before.
        ("America/St_Johns", at(2010, 11, 7, 12), "2010-11-07", 25),
        ("America/St_Johns", at(2010, 11, 7, 3), "2010-11-07", 25),
        # Samoa had no 30th of December.
        ("Pacific/Apia", at(2011, 12, 30, 9), "2011-12-29", 24),
        ("Pacific/Apia", at(2011, 12, 30, 10), "2011-12-31", 24),
        ("Asia/Kolkata", at(2026, 11, 22, 18, 29), "2026-11-22", 24),
        ("Asia/Kolkata", at(2026, 11, 22, 18, 30), "2026-11-23", 24),
    ],
)
def test_days_on_which_the_clocks_change(
    zone: str, moment: float, name: str, length: float
) -> None:
    found = period(Calendar(zone), "daily", moment)
    assert (found.name, hours(found)) == (name, length)


def hours_of_a_day(zone: str, moment: float) -> list[tuple[str, float]]:
    calendar = Calendar(zone)
    day = period(calendar, "daily", moment)
    found, start = [], day.start
    while start < day.end:
        hour = period(calendar, "hourly", start)
        found.append((hour.name[11:], hours(hour) * 60))
        start = hour.end
    return found


def test_an_hour_that_comes_twice_is_two_periods() -> None:
    lisbon = hours_of_a_day("Europe/Lisbon", at(2026, 10, 25, 12))
    assert len(lisbon) == 25
    assert lisbon[:3] == [("00+0100", 60), ("01+0100", 60), ("01+0000", 60)]
    assert len(hours_of_a_day("Europe/Lisbon", at(2026, 3, 29, 12))) == 23


def test_an_hour_of_which_half_comes_twice_is_two_periods() -> None:
    back = hours_of_a_day("Australia/Lord_Howe", at(2026, 4, 5))
    assert back[1:3] == [("01+1100", 60), ("01+1030", 30)]
    forward = hours_of_a_day("Australia/Lord_Howe", at(2026, 10, 4))
    assert forward[1:4] == [("01+1030", 60), ("02+1100", 30), ("03+1100", 60)]


def test_hours_begin_on_the_half_hour_where_the_zone_does() -> None:
    found = period(Calendar("Asia/Kolkata"), "hourly", at(2026, 11, 22, 12, 15))
    assert (found.start, found.end) == (at(2026, 11, 22, 11, 30), at(2026, 11, 22, 12, 30))
    assert found.name == "2026-11-22T17+0530"


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        (at(2026, 12, 31), "2026-W53"),
        (at(2027, 1, 3, 23, 59), "2026-W53"),
        (at(2027, 1, 4), "2027-W01"),
        (at(2021, 1, 1), "2020-W53"),
        (at(2024, 12, 30), "2025-W01"),
        (at(2022, 1, 1), "2021-W52"),
    ],
)
def test_weeks_from_monday_have_their_iso_names(moment: float, name: str) -> None:
    found = period(Calendar("UTC"), "weekly", moment)
    assert found.name == name
    assert hours(found) == 7 * 24


def test_weeks_from_another_day_are_named_by_it() -> None:
    for moment in (at(2026, 11, 22), at(2026, 11, 28, 23, 59)):
        found = period(Calendar("UTC", "sunday"), "weekly", moment)
        assert (found.name, hours(found)) == ("2026-11-22", 7 * 24)
    assert period(Calendar("UTC", "sunday"), "weekly", at(2026, 11, 21)).name == "2026-11-15"
    assert hours(period(Calendar("Europe/Lisbon", "sunday"), "weekly", at(2026, 10, 26))) == 169


def test_months_and_years() -> None:
    calendar = Calendar("Europe/Lisbon")
    assert hours(period(calendar, "monthly", at(2028, 2, 29))) == 29 * 24
    assert hours(period(calendar, "monthly", at(2027, 2, 28))) == 28 * 24
    assert hours(period(calendar, "monthly", at(2026, 10, 5))) == 31 * 24 + 1
    assert period(calendar, "daily", at(2028, 2, 29)).name == "2028-02-29"
    assert hours(period(calendar, "yearly", at(2028, 6, 1))) == 366 * 24
    turn = [period(calendar, kind, at(2026, 12, 31, 23, 59)) for kind in ("monthly", "yearly")]
    after = [period(calendar, kind, at(2027, 1, 1)) for kind in ("monthly", "yearly")]
    assert [found.name for found in turn + after] == ["2026-12", "2026", "2027-01", "2027"]
    assert {found.end for found in turn} == {found.start for found in after} == {at(2027, 1, 1)}


def test_a_calendar_asked_in_any_order_answers_the_same() -> None:
    calendar = Calendar("Europe/Lisbon")
    days = [at(2026, 10, day) for day in (20, 26, 25, 1, 26, 24)]
    for moment in days:
        assert period(calendar, "daily", moment) == period(
            Calendar("Europe/Lisbon"), "daily", moment
        )


def test_a_year_of_days_has_no_gap() -> None:
    calendar = Calendar("America/Sao_Paulo")
    found = [period(calendar, "daily", at(2018, 1, 1, 12) + 86_400 * day) for day in range(365)]
    assert all(day.end == after.start for day, after in pairwise(found))
    assert [day.name for day in found] == sorted({day.name for day in found})


def test_all_time_and_seasons() -> None:
    cup = Season("cup", dt.datetime(2026, 1, 1, tzinfo=UTC), 1_800_000_000)  # type: ignore[arg-type]
    calendar = Calendar("UTC", seasons=[cup])
    forever = period(calendar, "all", 0)
    assert forever.id == "all"
    assert all(moment in forever for moment in (0, 1e10))
    assert calendar.before(forever) is None
    found = period(calendar, "cup", at(2026, 1, 1))
    assert (found.start, found.end) == (at(2026, 1, 1), 1_800_000_000)
    assert calendar.before(found) is None
    assert calendar.period("cup", at(2026, 1, 1) - 1) is None
    assert calendar.period("cup", 1_800_000_000) is None
    assert "now" not in found


def test_nothing_precedes_the_first_days_of_the_epoch() -> None:
    calendar = Calendar("Asia/Tokyo")
    found: Period | None = period(calendar, "yearly", 86_400 * 400)
    names = []
    while found is not None:
        names.append(found.name)
        found = calendar.before(found)
    assert names == ["1971", "1970"]
