"""When periods begin, against a table made another way: by walking the wall clock's days one by one."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paygate import BadCommand, Interval
from paygate.scheduler.calendar import period_at, period_start, zone_named

ZONES = ("UTC", "Asia/Seoul", "America/New_York", "Pacific/Kiritimati")
SEOUL = ZoneInfo("Asia/Seoul")


def walked(anchor: date, unit: str, count: int, until: date) -> list[date]:
    """Every date of the interval, found by looking at each day in turn."""
    found, day, months, days = [], anchor, 0, 0
    while day <= until:
        wanted = min(anchor.day, calendar.monthrange(day.year, day.month)[1])
        if unit in ("day", "week"):
            is_one = days % (count * (7 if unit == "week" else 1)) == 0
        else:
            is_one = day.day == wanted and months % (count * (12 if unit == "year" else 1)) == 0
        if is_one:
            found.append(day)
        after = day + timedelta(days=1)
        days, months, day = days + 1, months + (after.month != day.month), after
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("unit", "count"), [("day", 1), ("day", 10), ("week", 1), ("week", 2), ("month", 1),
                                             ("month", 3), ("year", 1), ("year", 2)])
@pytest.mark.parametrize("first", [date(2024, 1, 31), date(2024, 2, 29), date(2024, 12, 30), date(2025, 6, 15)])
def test_periods_begin_on_the_days_of_an_independent_calendar(zone: str, unit: str, count: int, first: date) -> None:
    at, place = time(9, 0), ZoneInfo(zone)
    anchor = datetime.combine(first, at, place)

    table = walked(first, unit, count, date(2032, 12, 31))
    counted = [period_start(anchor, Interval(unit, count), n, place).astimezone(place) for n in range(len(table))]

    assert [c.date() for c in counted] == table
    assert {c.time() for c in counted} == {at}


def test_the_anchors_day_comes_back_after_a_short_month() -> None:
    anchor = datetime(2025, 1, 31, 9, tzinfo=SEOUL)
    days = [period_start(anchor, Interval("month"), n, SEOUL).astimezone(SEOUL).strftime("%m-%d") for n in range(5)]
    assert days == ["01-31", "02-28", "03-31", "04-30", "05-31"]


def test_a_leap_day_falls_on_the_28th_in_common_years_and_comes_back() -> None:
    anchor = datetime(2024, 2, 29, 0, 0, tzinfo=SEOUL)
    days = [period_start(anchor, Interval("year"), n, SEOUL).astimezone(SEOUL).date().isoformat() for n in range(5)]
    assert days == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


@pytest.mark.parametrize(("utc", "day"), [("2026-01-30T14:59:59+00:00", "02-28 23:59:59"),
                                          ("2026-01-30T15:00:00+00:00", "02-28 00:00:00")])
def test_the_day_is_that_of_the_merchants_wall_clock(utc: str, day: str) -> None:
    """14:59:59 UTC is still the 30th in Seoul, a second later is the 31st."""
    start = period_start(datetime.fromisoformat(utc), Interval("month"), 1, SEOUL).astimezone(SEOUL)
    assert start.strftime("%m-%d %H:%M:%S") == day


def test_summer_time_keeps_the_wall_clock_and_moves_a_missing_time_forward() -> None:
    zone = ZoneInfo("America/New_York")
    anchor = datetime(2024, 2, 10, 2, 30, tzinfo=zone)
    times = [period_start(anchor, Interval("month"), n, zone).astimezone(zone).isoformat() for n in range(3)]
    assert times == ["2024-02-10T02:30:00-05:00", "2024-03-10T03:30:00-04:00", "2024-04-10T02:30:00-04:00"]


def test_of_a_time_that_comes_twice_the_first_is_meant_unless_it_is_the_anchor_itself() -> None:
    zone = ZoneInfo("America/New_York")
    anchor = datetime(2024, 10, 3, 1, 30, tzinfo=zone)
    twice = period_start(anchor, Interval("month"), 1, zone)
    assert twice.astimezone(zone).date() == date(2024, 11, 3)
    assert twice == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)
    second = datetime(2024, 11, 3, 6, 30, tzinfo=UTC)
    assert period_start(second, Interval("month"), 0, zone) == second


EARLIEST, LATEST = datetime(2024, 1, 1), datetime(2032, 1, 1)  # noqa: DTZ001 (the strategy adds the zone)


@given(anchor=st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC)),
       unit=st.sampled_from(["day", "week", "month", "year"]), count=st.integers(1, 13), n=st.integers(0, 200),
       zone=st.sampled_from(ZONES), early=st.timedeltas(timedelta(microseconds=1), timedelta(hours=1)))
def test_the_period_at_an_instant_is_the_last_that_has_begun(anchor: datetime, unit: str, count: int, n: int,
                                                             zone: str, early: timedelta) -> None:
    every, place = Interval(unit, count), ZoneInfo(zone)
    start = period_start(anchor, every, n, place)

    assert period_at(anchor, every, start, place) == n
    assert period_at(anchor, every, start - early, place) == n - 1
    assert start < period_start(anchor, every, n + 1, place)


@pytest.mark.parametrize("name", ["Asia/Gotham", "../etc/passwd", "", "KST", "/etc/localtime"])
def test_a_zone_that_the_machine_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(BadCommand, match="no time zone"):
        zone_named(name)


def test_there_is_no_period_before_the_first_nor_after_the_year_9999() -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    for n in (-1, 8000):
        with pytest.raises(BadCommand):
            period_start(anchor, Interval("year"), n, SEOUL)
