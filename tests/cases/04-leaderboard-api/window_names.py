import datetime as dt
import time
from zoneinfo import ZoneInfo

from tests.cases import right, wrong


@right
def isocalendar(moment, timezone):
    local = dt.datetime.fromtimestamp(moment, ZoneInfo(timezone))
    year, week, _ = local.isocalendar()
    day = local.date().isoformat()
    return {"daily": day, "weekly": f"{year}-W{week:02}", "monthly": day[:7]}


def formatted(local, week="%G-W%V"):
    forms = {"daily": "%Y-%m-%d", "weekly": week, "monthly": "%Y-%m"}
    return {window: local.strftime(form) for window, form in forms.items()}


@right
def strftime(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment, tz=ZoneInfo(timezone)))


@right
def from_utc_to_the_place(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment, dt.UTC).astimezone(ZoneInfo(timezone)))


@right
def from_this_machine_to_the_place(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment).astimezone(ZoneInfo(timezone)))


@right
def the_thursday_of_the_week(moment, timezone):
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    day = (epoch + dt.timedelta(seconds=moment)).astimezone(ZoneInfo(timezone)).date()
    thursday = day + dt.timedelta(days=3 - day.weekday())
    week = (thursday.timetuple().tm_yday - 1) // 7 + 1
    weekly = f"{thursday.year}-W{week:02d}"
    return {"daily": str(day), "weekly": weekly, "monthly": f"{day.year}-{day.month:02d}"}


@right
def the_monday_that_iso_gives(moment, timezone):
    local = dt.datetime.fromtimestamp(moment, ZoneInfo(timezone))
    iso = local.isocalendar()
    weekly = f"{iso.year}-W{str(iso.week).zfill(2)}"
    return {"daily": f"{local:%Y-%m-%d}", "weekly": weekly, "monthly": f"{local:%Y-%m}"}


@wrong(says="It is another day there than in UTC")
def utc(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment, dt.UTC))


@wrong(says="and on this machine's clock")
def the_clock_of_this_machine(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment))


@wrong(says="It is another day there than in UTC")
def names_the_zone_and_does_not_convert(moment, timezone):
    utc = dt.datetime.fromtimestamp(moment, dt.UTC).replace(tzinfo=None)
    return formatted(utc.replace(tzinfo=ZoneInfo(timezone)))


@wrong(says="A time zone is more than an offset")
def the_offset_of_winter(moment, timezone):
    offset = dt.datetime(2026, 1, 1, tzinfo=ZoneInfo(timezone)).utcoffset()
    return formatted(dt.datetime.fromtimestamp(moment, dt.timezone(offset)))


@wrong(says="A time zone is more than an offset")
def the_offset_of_this_moment(moment, timezone):
    offset = dt.datetime.now(ZoneInfo(timezone)).utcoffset()
    return formatted(dt.datetime.fromtimestamp(moment, dt.timezone(offset)))


@wrong(says="A time zone is more than an offset")
def standard_time_all_the_year(moment, timezone):
    local = dt.datetime.fromtimestamp(moment, ZoneInfo(timezone))
    return formatted(local - (local.dst() or dt.timedelta()))


OFFSETS = {
    "UTC": 0,
    "Europe/Lisbon": 1,
    "America/New_York": -4,
    "Asia/Tokyo": 9,
    "Asia/Kolkata": 5.5,
    "Australia/Sydney": 10,
}


@wrong(says="A time zone is more than an offset")
def a_table_of_offsets(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment + 3600 * OFFSETS[timezone], dt.UTC))


@wrong(says="take the year from `isocalendar()` too")
def the_year_of_the_calendar(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment, ZoneInfo(timezone)), "%Y-W%V")


@wrong(says="a week is of ISO 8601")
def weeks_from_the_first_monday(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment, ZoneInfo(timezone)), "%Y-W%W")


@wrong(says="a week is of ISO 8601")
def weeks_from_the_first_sunday(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment, ZoneInfo(timezone)), "%Y-W%U")


@wrong(says="the first one has the year's first Thursday")
def weeks_of_seven_days_from_new_year(moment, timezone):
    local = dt.datetime.fromtimestamp(moment, ZoneInfo(timezone))
    week = (local.timetuple().tm_yday - 1) // 7
    return formatted(local, f"%G-W{week:02}")


@wrong(says="days and weeks have two digits")
def a_week_of_one_digit(moment, timezone):
    local = dt.datetime.fromtimestamp(moment, ZoneInfo(timezone))
    year, week, _ = local.isocalendar()
    return formatted(local, f"{year}-W{week}")


@wrong(says="Months, days and weeks have two digits")
def a_month_of_one_digit(moment, timezone):
    local = dt.datetime.fromtimestamp(moment, ZoneInfo(timezone))
    return formatted(local) | {"monthly": f"{local.year}-{local.month}"}


@wrong(says="weekly at")
def a_week_without_its_letter(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment, ZoneInfo(timezone)), "%G-%V")


@wrong(says="monthly at")
def forgets_the_month(moment, timezone):
    names = isocalendar.answer(moment, timezone)
    return {window: names[window] for window in ("daily", "weekly")}


@wrong(says="expected {")
def adds_the_year(moment, timezone):
    names = isocalendar.answer(moment, timezone)
    return names | {"yearly": names["daily"][:4]}


@wrong(says="Return a dictionary with three names, not (")
def three_names_without_their_windows(moment, timezone):
    return tuple(isocalendar.answer(moment, timezone).values())


@wrong(says="(date instead of str)")
def a_date_and_no_text(moment, timezone):
    local = dt.datetime.fromtimestamp(moment, ZoneInfo(timezone))
    return formatted(local) | {"daily": local.date()}


@wrong(says="daily at")
def the_present_moment(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(time.time(), ZoneInfo(timezone)))


@wrong(says="raised")
def milliseconds(moment, timezone):
    return formatted(dt.datetime.fromtimestamp(moment * 1000, ZoneInfo(timezone)))
