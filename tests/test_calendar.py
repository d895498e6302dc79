"""The working calendar: hours, holidays and make-up days, zones, and that it never hangs."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.rules.calendar import (
    ALL,
    DAY,
    HOLIDAYS,
    OWN,
    CalendarTerms,
    NoWorkingTime,
    TooFar,
    WorkingCalendar,
    epoch,
)
from core.rules.official import shipped_days
from tests.clock_scene import OFFICE, SHANGHAI, at, office

HOUR = 3600
NEVER = WorkingCalendar(CalendarTerms(weekly=((),) * 7, makeup=()))
ROUND_THE_CLOCK = ((0, DAY),)


def zone_calendar(zone: str, hours=((9 * HOUR, 17 * HOUR),), days: int = 7) -> WorkingCalendar:
    weekly = tuple(hours if n < days else () for n in range(7))
    return WorkingCalendar(CalendarTerms(timezone=zone, weekly=weekly, makeup=(), official=OWN))


BERLIN = zone_calendar("Europe/Berlin", ((0, 6 * HOUR), (22 * HOUR, 30 * HOUR - HOUR * 6)), 5)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 11, 1)).map(lambda d: d.replace(tzinfo=UTC))
amounts = st.integers(0, 400 * HOUR)
calendars = st.sampled_from([OFFICE, BERLIN, zone_calendar("Europe/Berlin"), zone_calendar("Asia/Tokyo", days=6)])


# --- the office of C0-T5 --------------------------------------------------------------------------


@pytest.mark.clause("C0-T5")
def test_a_usual_day_has_eight_hours_with_lunch_out() -> None:
    assert OFFICE.between(at("2025-09-26 00:00"), at("2025-09-27 00:00")) == 8 * HOUR
    assert not OFFICE.is_open(at("2025-09-26 12:30"))
    assert OFFICE.is_open(at("2025-09-26 09:00")) and not OFFICE.is_open(at("2025-09-26 18:00"))
    assert OFFICE.add(at("2025-09-26 11:30"), HOUR) == at("2025-09-26 13:30")


@pytest.mark.clause("C0-T5")
@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ("2025-09-28", "makeup"),
        ("2025-10-06", "holiday"),
        ("2025-10-11", "makeup"),
        ("2026-02-14", "makeup"),
        ("2026-02-22", "holiday"),
        ("2026-02-24", "work"),
        ("2026-03-01", "rest"),
    ],
)
def test_holidays_are_out_and_makeup_days_in(day: str, kind: str) -> None:
    one = date.fromisoformat(day)
    assert OFFICE.kind_of(one) == kind
    assert OFFICE.is_working_day(one) == (kind in ("makeup", "work"))


@pytest.mark.clause("C0-T6")
def test_outside_hours_the_clock_starts_at_the_next_opening() -> None:
    for text in ("2025-09-29 18:00:01", "2025-09-30 03:00", "2025-09-30 09:00"):
        assert OFFICE.add(at(text), HOUR) == at("2025-09-30 10:00")
        assert OFFICE.add(at(text), 0) == at("2025-09-30 09:00")


def test_a_target_that_ends_at_closing_is_due_at_closing() -> None:
    assert OFFICE.add(at("2025-09-26 16:00"), 2 * HOUR) == at("2025-09-26 18:00")
    assert OFFICE.add(at("2025-09-26 11:00"), HOUR) == at("2025-09-26 12:00")
    assert OFFICE.add(at("2025-09-26 18:00"), 0) == at("2025-09-26 18:00")


def test_counting_back_ends_at_an_opening() -> None:
    assert OFFICE.add(at("2025-09-28 11:00"), -4 * HOUR) == at("2025-09-26 16:00")
    assert OFFICE.add(at("2025-09-28 11:00"), -2 * HOUR) == at("2025-09-28 09:00")


def test_own_dated_hours_go_before_the_official_table() -> None:
    own = ((date(2025, 10, 2), ((9 * HOUR, 11 * HOUR),)), (date(2025, 9, 29), ()))
    shop = office(overrides=own)
    assert shop.kind_of(date(2025, 10, 2)) == "own"
    assert shop.between(at("2025-10-01 00:00"), at("2025-10-03 00:00")) == 2 * HOUR
    assert not shop.is_working_day(date(2025, 9, 29))


def test_a_trade_may_ignore_makeup_days_or_the_whole_table() -> None:
    week = OFFICE.terms.weekly
    holidays_only = office(official=HOLIDAYS)
    assert holidays_only.kind_of(date(2025, 9, 28)) == "rest"
    assert holidays_only.kind_of(date(2025, 10, 1)) == "holiday"
    shop = office(official=OWN, weekly=(*week[:6], week[0]))
    assert shop.is_working_day(date(2025, 10, 1)) and shop.provisional(date(2025, 1, 1), date(2099, 1, 1)) == ()


def test_a_shift_over_midnight_belongs_to_the_day_it_begins() -> None:
    hotel = office(official=OWN, weekly=(((22 * HOUR, 30 * HOUR),), (), (), (), (), (), ()))
    assert hotel.is_open(at("2025-09-30 05:59")) and not hotel.is_open(at("2025-09-30 06:00"))
    assert hotel.add(at("2025-09-29 23:00"), 8 * HOUR) == at("2025-10-06 23:00")
    assert hotel.add(at("2025-01-01 01:00"), 0) == at("2025-01-06 22:00")
    assert hotel.end_of(date(2025, 9, 29), at_close=True) == at("2025-09-30 06:00")


def test_a_shift_of_new_years_eve_reaches_into_the_first_year_asked() -> None:
    bar = office(official=OWN, weekly=(((22 * HOUR, 30 * HOUR),),) * 7)
    assert bar.is_open(at("2025-01-01 05:00"))
    assert bar.between(at("2025-01-01 00:00"), at("2025-01-02 00:00")) == 8 * HOUR


# --- provisional years -----------------------------------------------------------------------------


def test_years_without_a_published_table_are_told() -> None:
    assert OFFICE.provisional(date(2026, 12, 30), date(2027, 1, 4)) == (2027,)
    assert OFFICE.provisional(date(2025, 1, 1), date(2026, 12, 31)) == ()


# --- never hangs ------------------------------------------------------------------------------------


def test_a_calendar_without_working_time_says_so_at_once() -> None:
    start, begun = at("2025-09-26 16:00"), time.perf_counter()
    for ask in (
        lambda: NEVER.add(start, 1),
        lambda: NEVER.add(start, 0),
        lambda: NEVER.add(start, -1),
        lambda: NEVER.add_days(date(2025, 9, 26), 1),
        lambda: NEVER.add_days(date(2025, 9, 26), -1),
        lambda: NEVER.add_days(date(2025, 9, 26), 0),
    ):
        with pytest.raises(NoWorkingTime):
            ask()
    assert NEVER.between(start, at("2026-09-26 16:00")) == 0
    assert time.perf_counter() - begun < 2


def test_a_calendar_that_works_on_one_dated_day_only() -> None:
    once = office(official=OWN, weekly=((),) * 7, overrides=((date(2031, 5, 1), ((0, HOUR),)),))
    assert once.add(at("2025-09-26 16:00"), HOUR) == at("2031-05-01 01:00")
    assert once.add(at("2040-09-26 16:00"), -HOUR) == at("2031-05-01 00:00")
    with pytest.raises(NoWorkingTime):
        once.add(at("2025-09-26 16:00"), HOUR + 1)


def test_what_lies_too_far_away_is_refused() -> None:
    with pytest.raises(TooFar):
        OFFICE.add(at("2025-09-26 16:00"), 10**12)
    with pytest.raises(TooFar):
        OFFICE.add(datetime(9999, 12, 31, tzinfo=UTC), 1)
    with pytest.raises(TooFar):
        OFFICE.add(datetime(1, 1, 2, tzinfo=UTC), 1)
    with pytest.raises(ValueError, match="time zone"):
        OFFICE.add(datetime(2025, 1, 1), 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timezone": "Mars/Olympus"},
        {"timezone": "../etc/passwd"},
        {"weekly": ((),) * 6},
        {"official": "some"},
        {"makeup": ((5, 5),)},
        {"makeup": ((0, DAY + 1),)},
        {"makeup": ((0, 20), (10, 30))},
        {"makeup": ((9 * HOUR, 12 * HOUR), (22 * HOUR, 34 * HOUR))},
        {"makeup": ((-1, 5),)},
        {"makeup": ((DAY, DAY + 5),)},
    ],
)
def test_impossible_terms_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError):
        CalendarTerms(**wrong)


# --- snapshots --------------------------------------------------------------------------------------


def test_a_frozen_calendar_thaws_into_the_same_version() -> None:
    own = office(overrides=((date(2025, 10, 2), ((9 * HOUR, 11 * HOUR),)),))
    thawed = CalendarTerms.thawed(json.loads(json.dumps(own.terms.frozen())))
    assert thawed == own.terms and thawed.version == own.version
    assert WorkingCalendar(thawed).add(at("2025-10-01 00:00"), HOUR) == at("2025-10-02 10:00")
    assert own.version != OFFICE.version and len(own.version) == 32


@pytest.mark.parametrize("junk", [{}, {"timezone": 5}, {**CalendarTerms().frozen(), "weekly": [[["a", 1]]] * 7}])
def test_what_was_never_frozen_is_refused(junk: dict) -> None:
    with pytest.raises(ValueError):
        CalendarTerms.thawed(junk)


# --- zones with summer time ---------------------------------------------------------------------------


def test_the_night_of_the_change_has_its_real_length() -> None:
    day_and_night = zone_calendar("Europe/Berlin", ROUND_THE_CLOCK)
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in ((date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2025, 10, 27), 24)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=berlin)
        following = midnight.replace(day=day.day + 1)
        assert day_and_night.between(midnight, following) == hours * HOUR


def test_hours_that_the_change_swallows() -> None:
    early = zone_calendar("Europe/Berlin", ((2 * HOUR + 1800, 4 * HOUR),))
    berlin = ZoneInfo("Europe/Berlin")
    # 02:30-04:00 on the night when 02:00 becomes 03:00: one hour is left.
    assert early.between(datetime(2025, 3, 30, tzinfo=berlin), datetime(2025, 3, 31, tzinfo=berlin)) == HOUR
    assert early.add(datetime(2025, 3, 30, tzinfo=berlin), 0) == datetime(2025, 3, 30, 3, tzinfo=berlin)
    # Clocks go back: 02:30-04:00 begins when they first show 02:30.
    assert early.between(datetime(2025, 10, 26, tzinfo=berlin), datetime(2025, 10, 27, tzinfo=berlin)) == 2.5 * HOUR
    # 01:00-02:30 ends when they show 02:30 for the last time.
    night = zone_calendar("Europe/Berlin", ((HOUR, 2 * HOUR + 1800),))
    assert night.between(datetime(2025, 10, 26, tzinfo=berlin), datetime(2025, 10, 27, tzinfo=berlin)) == 2.5 * HOUR


def test_china_had_summer_time_once() -> None:
    always = office(official=OWN, weekly=(ROUND_THE_CLOCK,) * 7)
    assert always.between(at("1988-04-17 00:00"), at("1988-04-18 00:00")) == 23 * HOUR
    assert always.between(at("1995-04-17 00:00"), at("1995-04-18 00:00")) == 24 * HOUR


# --- properties ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(calendars, moments, amounts, amounts)
def test_adding_in_parts_is_adding_at_once(calendar: WorkingCalendar, start: datetime, one: int, two: int) -> None:
    assert calendar.add(calendar.add(start, one), two) == calendar.add(start, one + two)


@settings(deadline=None, max_examples=200)
@given(calendars, moments, amounts)
def test_what_was_added_is_what_lies_between(calendar: WorkingCalendar, start: datetime, amount: int) -> None:
    due = calendar.add(start, amount)
    assert calendar.between(start, due) == amount
    assert amount == 0 or calendar.between(start, due - timedelta(seconds=1)) == amount - 1


@settings(deadline=None, max_examples=200)
@given(calendars, moments, moments, amounts, amounts)
def test_later_or_longer_is_never_due_earlier(
    calendar: WorkingCalendar, one: datetime, two: datetime, less: int, more: int
) -> None:
    assume(one <= two and less <= more)
    assert calendar.add(one, less) <= calendar.add(two, less)
    assert calendar.add(one, less) <= calendar.add(one, more)


@settings(deadline=None, max_examples=100)
@given(moments, amounts, st.dates(date(2024, 1, 1), date(2027, 12, 31)))
def test_a_holiday_never_brings_a_deadline_forward(start: datetime, amount: int, day: date) -> None:
    holiday = office(off=OFFICE.terms.off | {day})
    assert holiday.add(start, amount) >= OFFICE.add(start, amount)


@settings(deadline=None, max_examples=100)
@given(moments, st.integers(0, 30 * HOUR))
def test_it_agrees_with_counting_second_by_minute(start: datetime, amount: int) -> None:
    """The slow way: walk minute by minute, asking the wall clock."""
    start = start.replace(second=0, microsecond=0)
    minutes, now = amount // 60, start
    while minutes:
        local = now.astimezone(SHANGHAI)
        clock = local.hour * HOUR + local.minute * 60
        minutes -= any(a <= clock < b for a, b in OFFICE.hours_of(local.date()))
        now += timedelta(minutes=1)
    assert OFFICE.add(start, amount // 60 * 60) == (now if amount >= 60 else OFFICE.add(start, 0))


@settings(deadline=None, max_examples=100)
@given(calendars, moments, st.integers(1, 300))
def test_working_days_are_counted_alike_in_both_directions(
    calendar: WorkingCalendar, start: datetime, count: int
) -> None:
    day = calendar.day_of(start)
    later = calendar.add_days(day, count)
    assert calendar.is_working_day(later) and calendar.days_between(day, later) == count
    assert calendar.add_days(later, -count) <= day or calendar.add_days(later, -count) == calendar.add_days(day, 0)


@settings(deadline=None, max_examples=15)
@given(moments, amounts)
def test_the_table_grows_without_changing_answers(start: datetime, amount: int) -> None:
    fresh = office()
    first = fresh.add(start, amount)
    fresh.add(datetime(1999, 5, 5, tzinfo=UTC), 400 * HOUR)
    fresh.add(datetime(2040, 5, 5, tzinfo=UTC), 400 * HOUR)
    assert fresh.add(start, amount) == first


def test_fractions_of_a_second_are_dropped() -> None:
    late = at("2025-09-26 16:00").replace(microsecond=999_999)
    assert epoch(late) == epoch(late.replace(microsecond=0))
    assert OFFICE.add(late, 0) == late.replace(microsecond=0)
    assert epoch(datetime(1960, 1, 1, 0, 0, 0, 5, tzinfo=UTC)) == epoch(datetime(1960, 1, 1, tzinfo=UTC))


# --- the official table ----------------------------------------------------------------------------------


def span(first: str, last: str) -> set[date]:
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return {begin + timedelta(days=n) for n in range((end - begin).days + 1)}


OFF_2025 = [("01-01", "01-01"), ("01-28", "02-04"), ("04-04", "04-06"), ("05-01", "05-05"), ("05-31", "06-02")]
OFF_2026 = [("01-01", "01-03"), ("02-15", "02-23"), ("04-04", "04-06"), ("05-01", "05-05"), ("06-19", "06-21")]
NOTICES = {
    2025: ([*OFF_2025, ("10-01", "10-08")], ["01-26", "02-08", "04-27", "09-28", "10-11"]),
    2026: (
        [*OFF_2026, ("09-25", "09-27"), ("10-01", "10-07")],
        ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"],
    ),
}


@pytest.mark.clause("C0-T5")
@pytest.mark.parametrize("year", NOTICES)
def test_the_shipped_table_is_the_published_notice(year: int) -> None:
    off, work = NOTICES[year]
    shipped = {one.day: one.kind for one in shipped_days([year])}
    assert {d for d, kind in shipped.items() if kind == "off"} == set().union(
        *(span(f"{year}-{a}", f"{year}-{b}") for a, b in off)
    )
    assert {d for d, kind in shipped.items() if kind == "work"} == {date.fromisoformat(f"{year}-{d}") for d in work}


def test_every_shipped_day_has_a_name_in_both_languages_and_makeup_days_are_weekends() -> None:
    days = shipped_days(range(2004, 2028))
    assert all(one.name and one.name_en for one in days)
    assert all(one.day.weekday() >= 5 for one in days if one.kind == "work")
    assert {one.day.year for one in days} == set(range(2004, 2028))
    assert not any(one.kind == "work" for one in days if one.day.year == 2027)
    spring = {one.day: one.name for one in days if one.day.year == 2026 and one.day.month == 2}
    assert spring[date(2026, 2, 15)] == "春节" and "春节" in spring[date(2026, 2, 14)]


def test_a_second_witness_agrees_on_every_day_but_one() -> None:
    from chinese_calendar import is_workday

    shipped = {one.day: one.kind for one in shipped_days(range(2004, 2027))}
    first = date(2004, 1, 1)
    days = (first + timedelta(days=n) for n in range((date(2026, 12, 31) - first).days + 1))
    ours = {day: shipped.get(day, "work" if day.weekday() < 5 else "off") == "work" for day in days}
    assert [day for day, works in ours.items() if works != is_workday(day)] == [date(2005, 12, 31)]


def test_all_uses_of_the_table_are_known() -> None:
    assert office(official=ALL).version == OFFICE.version
