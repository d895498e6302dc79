"""Clocks: every rule of C0, the dated scenarios, pauses, lateness and bands."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.kernel.errors import InvalidData
from core.rules.calendar import DAY, OWN, NoWorkingTime, TooFar, WorkingCalendar
from core.rules.clocks import (
    Bands,
    Pause,
    Term,
    add_months,
    deadline,
    elapsed,
    immediately,
    late_by,
    pick_named,
    region_class,
    warn_at,
)
from tests.clock_scene import OFFICE, at, office

HOUR = 3600
FIVE_PM = 17 * HOUR
NEVER = office(weekly=((),) * 7, makeup=(), official=OWN)
NEW_YORK = office(timezone="America/New_York", official=OWN, weekly=(((9 * HOUR, 17 * HOUR),),) * 5 + ((), ()))


def term(amount: object, unit: str, clock: str = "calendar", **more: object) -> Term:
    return Term(Decimal(str(amount)), unit, clock, **more)


WH4, WH8 = term(4, "hour", "working"), term(8, "hour", "working")
WD1, WD2, WD3, WD5 = (term(n, "day", "working") for n in (1, 2, 3, 5))
SAME_DAY, SAME_WD = term(0, "day"), term(0, "day", "working")


def due(one: Term, start: str, *pauses: tuple[str, str], calendar: WorkingCalendar = OFFICE) -> datetime:
    held = [Pause(at(a), at(b) if b else None) for a, b in pauses]
    return deadline(one, at(start), calendar, held).at


def end(day: str) -> datetime:
    return at(f"{day} 23:59:59")


# --- C0, rule by rule ----------------------------------------------------------------------------


@pytest.mark.clause("C0-T1")
def test_hours_run_all_day_every_day_unless_they_are_working_hours() -> None:
    assert due(term(24, "hour"), "2025-09-26 16:30") == at("2025-09-27 16:30")
    assert due(term(3, "minute"), "2025-10-18 14:00:00") == at("2025-10-18 14:03:00")
    assert due(term(24, "hour", "working"), "2025-09-26 16:30") == at("2025-09-30 16:30")


@pytest.mark.clause("C0-T2")
def test_the_day_of_the_event_is_not_counted() -> None:
    assert due(term(3, "day"), "2025-08-14 00:00") == end("2025-08-17")
    assert due(term(3, "day"), "2025-08-14 23:59") == end("2025-08-17")
    assert due(WD3, "2025-07-07 08:00") == end("2025-07-10")


@pytest.mark.clause("C0-T3")
def test_a_day_ends_at_midnight_or_when_business_closes() -> None:
    close = term(0, "day", day_end="business_close")
    assert due(SAME_DAY, "2025-07-09 17:40") == end("2025-07-09")
    assert due(close, "2025-07-09 17:40") == at("2025-07-09 18:00")
    assert due(close, "2025-07-09 18:00:01") == at("2025-07-10 18:00")
    assert due(term(3, "day", day_end="business_close"), "2025-07-09 17:40") == end("2025-07-12"), "a Saturday"
    assert due(term(1, "day", "working", day_end="business_close"), "2025-09-26 10:00") == at("2025-09-28 18:00")


@pytest.mark.clause("C0-T4")
def test_a_last_day_that_is_a_rest_day_rolls_only_where_set_so() -> None:
    assert due(term(3, "day"), "2025-05-29 10:00") == end("2025-06-01")
    rolled = deadline(term(3, "day", roll=True), at("2025-05-29 10:00"), OFFICE)
    assert (rolled.at, rolled.rolled_from) == (end("2025-06-03"), date(2025, 6, 1))
    assert due(term(1, "month", roll=True), "2025-09-01 10:00") == end("2025-10-09")
    assert due(term(2, "day", roll=True), "2025-09-26 10:00") == end("2025-09-28"), (
        "a make-up Sunday is no rest day"
    )


@pytest.mark.clause("C0-T5")
def test_a_working_day_has_eight_working_hours() -> None:
    assert due(WH8, "2025-09-24 09:00") == at("2025-09-24 18:00")


@pytest.mark.clause("C0-T6")
def test_a_working_clock_outside_hours_starts_at_the_next_opening() -> None:
    found = deadline(WH4, at("2025-09-26 20:00"), OFFICE)
    assert (found.began, found.at) == (at("2025-09-28 09:00"), at("2025-09-28 14:00"))
    assert due(SAME_WD, "2025-09-26 20:00") == end("2025-09-28")
    assert due(SAME_WD, "2025-10-03 10:00") == end("2025-10-09")
    assert due(SAME_WD, "2025-09-26 08:00") == due(SAME_WD, "2025-09-26 17:59") == end("2025-09-26")


@pytest.mark.clause("C0-T7")
@pytest.mark.parametrize(
    ("start", "amount", "unit", "last"),
    [
        ("2024-03-12", 1, "year", "2025-03-12"),
        ("2024-02-29", 1, "year", "2025-02-28"),
        ("2024-02-29", 4, "year", "2028-02-29"),
        ("2025-01-31", 1, "month", "2025-02-28"),
        ("2025-01-31", 2, "month", "2025-03-31"),
        ("2025-12-15", 1, "month", "2026-01-15"),
        ("2025-08-31", 6, "month", "2026-02-28"),
    ],
)
def test_months_and_years_end_on_the_same_date(start: str, amount: int, unit: str, last: str) -> None:
    assert due(term(amount, unit), f"{start} 10:00") == end(last)


@pytest.mark.clause("C0-T8")
def test_within_includes_the_limit() -> None:
    limit = deadline(term(3, "minute"), at("2025-10-18 14:00:00"), OFFICE)
    assert not late_by(term(3, "minute"), limit, at("2025-10-18 14:03:00"), OFFICE).late
    assert late_by(term(3, "minute"), limit, at("2025-10-18 14:03:01"), OFFICE).late
    assert Bands(((Decimal(300), "near"), (None, "far"))).pick(300) == "near"


@pytest.mark.clause("C0-T9")
def test_words_that_exclude_the_number() -> None:
    bands = Bands(((Decimal(1000), "tool"), (None, "asset")), inclusive=False)
    assert [bands.pick(one) for one in ("999.99", "1000.00", "1000.01")] == ["tool", "asset", "asset"]


@pytest.mark.clause("C0-T10")
def test_immediately_is_a_target_and_a_limit() -> None:
    found = immediately(at("2025-09-26 10:00"), OFFICE)
    assert (found.target.at, found.limit.at) == (at("2025-09-26 10:30"), end("2025-09-26"))
    saturday = immediately(at("2025-09-27 22:00"), OFFICE)
    assert (saturday.target.at, saturday.limit.at) == (at("2025-09-27 22:30"), end("2025-09-28"))
    close = term(0, "day", "working", day_end="business_close")
    tight = immediately(at("2025-09-26 17:50"), OFFICE, limit=close)
    assert tight.target.at == tight.limit.at == at("2025-09-26 18:00")


@pytest.mark.clause("C0-T11")
def test_promptly_is_a_term_like_any_other() -> None:
    assert due(WH4, "2025-09-26 17:00") == at("2025-09-28 12:00")


@pytest.mark.clause("C0-T12")
def test_days_late_are_the_dates_after_the_due_date() -> None:
    limit = deadline(WD5, at("2025-07-07 15:00"), OFFICE)
    assert limit.at == end("2025-07-14")
    assert late_by(WD5, limit, at("2025-07-16 09:00"), OFFICE).days == 2
    assert late_by(WD5, limit, at("2025-07-15 00:00"), OFFICE).days == 1
    assert not late_by(WD5, limit, at("2025-07-14 23:59:59"), OFFICE).late
    limit = deadline(WD3, at("2025-09-30 18:00"), OFFICE)
    done = at("2025-10-13 10:00")
    assert [late_by(WD3, limit, done, OFFICE, day_unit=u).days for u in ("calendar", "working", "")] == [2, 1, 1]


# --- the dated scenarios ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "one", "start", "expected"),
    [
        ("S01", term(1, "year"), "2024-03-12 10:00", end("2025-03-12")),
        ("S03a", WD2, "2026-01-04 10:00", end("2026-01-06")),
        ("S03b", WD2, "2025-12-31 10:00", end("2026-01-05")),
        ("S05 set", term(36, "month"), "2023-06-15 10:00", end("2026-06-15")),
        ("S05 part", term(36, "month"), "2025-11-20 10:00", end("2028-11-20")),
        ("S07", term(1, "year"), "2026-06-15 10:00", end("2027-06-15")),
        ("S10a", term(24, "hour"), "2025-09-26 16:30", at("2025-09-27 16:30")),
        ("S10b", term(48, "hour"), "2025-09-26 16:30", at("2025-09-28 16:30")),
        ("S10e", term(72, "hour"), "2025-09-26 16:30", at("2025-09-29 16:30")),
        ("S11", term(7, "day"), "2025-11-03 11:00", end("2025-11-10")),
        ("S12", term(48, "hour"), "2025-09-30 10:00", at("2025-10-02 10:00")),
        ("S14a", term(3, "day"), "2025-05-29 10:00", end("2025-06-01")),
        ("S14b", term(1, "week"), "2025-05-29 10:00", end("2025-06-05")),
        ("S14c", term(10, "day"), "2025-05-29 10:00", end("2025-06-08")),
        ("S14a roll", term(3, "day", roll=True), "2025-05-29 10:00", end("2025-06-03")),
        ("S14c roll", term(10, "day", roll=True), "2025-05-29 10:00", end("2025-06-09")),
        ("S15", SAME_DAY, "2025-07-09 17:40", end("2025-07-09")),
        ("S27a", WH4, "2025-09-26 16:00", at("2025-09-28 11:00")),
        ("S27b", WH4, "2025-09-28 10:30", at("2025-09-28 15:30")),
        ("S31", WD3, "2025-09-30 17:00", end("2025-10-11")),
        ("S32", WD5, "2025-07-07 15:00", end("2025-07-14")),
        ("S35", term(180, "day"), "2025-01-10 08:00", end("2025-07-09")),
        ("S36", WD2, "2025-09-30 17:00", end("2025-10-10")),
        ("S43", term(3, "day"), "2025-08-14 17:00", end("2025-08-17")),
        ("S53", WD3, "2026-02-12 10:00", end("2026-02-24")),
        ("S54a", term(4, "hour"), "2025-11-28 15:00", at("2025-11-28 19:00")),
        ("S54b", term(5, "hour"), "2025-11-28 17:30", at("2025-11-28 22:30")),
    ],
)
def test_the_dated_scenarios(name: str, one: Term, start: str, expected: datetime) -> None:
    found = deadline(one, at(start), OFFICE)
    assert found.at == expected, name
    assert found.provisional == ()


def test_scenarios_that_tell_by_how_much() -> None:
    s12, s54 = term(48, "hour"), term(5, "hour")
    assert late_by(s12, at("2025-10-02 10:00"), at("2025-10-03 09:00"), OFFICE).seconds == 23 * HOUR
    assert late_by(s54, at("2025-11-28 22:30"), at("2025-11-28 22:31"), OFFICE).seconds == 60
    s27 = late_by(WH4, at("2025-09-28 11:00"), at("2025-09-28 11:01"), OFFICE)
    assert (s27.late, s27.seconds, s27.days) == (True, 60, 0)
    overnight = late_by(WH4, at("2025-09-29 18:00"), at("2025-09-30 08:00"), OFFICE)
    assert (overnight.late, overnight.seconds) == (True, 0), "late, though no working time has gone by"


@pytest.mark.parametrize(("km", "hours"), [("300", 24), ("300.1", 48), ("301", 48), ("1000", 48), ("1000.5", 72)])
def test_distances_fall_into_their_bands(km: str, hours: int) -> None:
    """S10, E07."""
    assert Bands(((Decimal(300), 24), (Decimal(1000), 48), (None, 72))).pick(km) == hours


def test_regions_and_urgencies_are_picked_by_name() -> None:
    """S14, E12."""
    days = {"inside": 3, "outside": 7, "remote": 10}
    places = {"330106": 3, "310104": 7, "542421": 10, "659001": 10}
    for code, expected in places.items():
        assert pick_named(days, region_class(code, "330000", ["54", "659001", ""])) == expected
    assert pick_named({"urgent": 2, "normal": 24}, "whatever", "normal") == 24
    with pytest.raises(InvalidData):
        pick_named({"urgent": 2}, "whatever")
    for bad in ("", "33010", "33010x", "３３０１０６"):
        with pytest.raises(InvalidData):
            region_class(bad, "330000")


# --- times of day ------------------------------------------------------------------------------------


def test_by_five_o_clock_and_after_it_by_five_tomorrow() -> None:
    """R25-2.1.1, E56: what comes after the cut-off counts to the next day."""
    daily = term(0, "day", until=FIVE_PM, cutoff=FIVE_PM)
    assert due(daily, "2025-09-26 17:00") == at("2025-09-26 17:00")
    assert due(daily, "2025-09-26 17:00:01") == at("2025-09-27 17:00")
    on_workdays = term(0, "day", "working", until=FIVE_PM, cutoff=FIVE_PM)
    assert due(on_workdays, "2025-09-26 17:00:01") == at("2025-09-28 17:00")
    assert due(on_workdays, "2025-10-01 09:00") == at("2025-10-09 17:00")


def test_without_a_cut_off_a_passed_hour_means_the_next_day() -> None:
    assert due(term(0, "day", until=FIVE_PM), "2025-09-26 17:30") == at("2025-09-27 17:00")
    assert due(term(0, "day", "working", until=FIVE_PM), "2025-09-26 17:30") == at("2025-09-28 17:00")


def test_the_next_day_by_noon() -> None:
    assert due(term(1, "day", "working", until=12 * HOUR), "2025-09-26 16:00") == at("2025-09-28 12:00")
    order = term(1, "day", "working", cutoff=FIVE_PM)
    assert due(order, "2025-09-26 17:00") == end("2025-09-28")
    for late in ("2025-09-26 17:30", "2025-09-27 10:00", "2025-09-28 10:00"):
        assert due(order, late) == end("2025-09-29"), "what counts to Sunday is due on Monday"
    assert due(term(1, "day", until=12 * HOUR, cutoff=FIVE_PM), "2025-09-26 17:30") == at("2025-09-28 12:00")


# --- pauses --------------------------------------------------------------------------------------------


def test_pauses_add_up_in_the_term_s_own_calendar() -> None:
    start = "2025-09-24 09:00"
    assert due(WH4, start, ("2025-09-24 10:00", "2025-09-24 11:00")) == at("2025-09-24 15:00")
    twice = (("2025-09-24 10:00", "2025-09-24 10:30"), ("2025-09-24 11:00", "2025-09-24 11:30"))
    assert due(WH4, start, *twice) == at("2025-09-24 15:00")
    assert due(term(4, "hour"), start, *twice) == at("2025-09-24 14:00")


def test_a_pause_outside_working_time_changes_nothing() -> None:
    for one in (WH4, WH8, WD1, WD3, SAME_WD):
        for pause in (("2025-09-26 18:00", "2025-09-28 09:00"), ("2025-09-26 12:00", "2025-09-26 13:00")):
            assert due(one, "2025-09-26 09:00", pause) == due(one, "2025-09-26 09:00"), (one, pause)


def test_a_day_counts_when_the_clock_ran_as_it_closed() -> None:
    start = "2025-07-07 10:00"
    assert due(WD3, start, ("2025-07-08 09:00", "2025-07-08 17:00")) == end("2025-07-10")
    assert due(WD3, start, ("2025-07-08 10:00", "2025-07-10 09:00")) == end("2025-07-14")
    assert due(term(3, "day"), start, ("2025-07-08 10:00", "2025-07-10 09:00")) == end("2025-07-12")
    assert due(term(1, "month"), "2025-01-31 10:00", ("2025-02-01 10:00", "2025-02-03 09:00")) == end("2025-03-02")


def test_pauses_that_overlap_count_once_and_those_after_the_limit_not_at_all() -> None:
    start = "2025-09-24 09:00"
    over = (("2025-09-24 10:00", "2025-09-24 11:00"), ("2025-09-24 10:30", "2025-09-24 11:30"))
    assert due(WH4, start, *over) == at("2025-09-24 15:30")
    assert due(WH4, start, ("2025-09-24 14:00", "2025-09-24 15:00")) == at("2025-09-24 14:00")
    assert due(WH4, start, ("2025-09-23 09:00", "2025-09-24 10:00")) == at("2025-09-24 15:00")
    assert due(WH4, start, ("2025-09-20 09:00", "2025-09-23 10:00")) == at("2025-09-24 14:00")


def test_a_pause_may_keep_a_later_one_before_the_limit() -> None:
    held = (("2025-09-24 13:00", "2025-09-24 14:00"), ("2025-09-24 14:30", "2025-09-24 15:30"))
    assert due(WH4, "2025-09-24 09:00", *held) == at("2025-09-24 16:00")


@pytest.mark.parametrize("one", [WH4, term(4, "hour"), WD1, term(1, "month")])
def test_while_a_pause_lasts_nothing_is_due(one: Term) -> None:
    found = deadline(one, at("2025-09-24 09:00"), OFFICE, [Pause(at("2025-09-24 10:00"))])
    assert (found.at, found.day) == (None, None)
    assert not late_by(one, found, at("2030-01-01 00:00"), OFFICE).late and warn_at(one, found, OFFICE) is None
    passed = deadline(one, at("2025-09-24 09:00"), OFFICE, [Pause(at("2026-09-24 10:00"))])
    assert passed.at == deadline(one, at("2025-09-24 09:00"), OFFICE).at


def test_a_pause_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        due(WH4, "2025-09-24 09:00", ("2025-09-24 11:00", "2025-09-24 10:00"))


# --- elapsed, warnings ----------------------------------------------------------------------------------


def test_time_gone_by_in_the_term_s_own_clock() -> None:
    start, done = at("2025-09-26 16:00"), at("2025-09-28 11:00")
    assert elapsed(WH4, start, done, OFFICE) == 4 * HOUR
    assert elapsed(term(4, "hour"), start, done, OFFICE) == 43 * HOUR
    assert elapsed(WD2, start, done, OFFICE) == 1 and elapsed(term(1, "week"), start, done, OFFICE) == 2
    pause = [Pause(at("2025-09-26 17:00"), at("2025-09-28 10:00"))]
    assert elapsed(WH4, start, done, OFFICE, pause) == 2 * HOUR
    assert elapsed(WD2, start, done, OFFICE, pause) == 0
    assert elapsed(WH4, done, start, OFFICE) == 0
    assert elapsed(WH4, start, done, OFFICE, [Pause(at("2025-09-28 10:00"))]) == 3 * HOUR


def test_a_warning_comes_when_a_quarter_is_left() -> None:
    found = deadline(WH4, at("2025-09-26 16:00"), OFFICE)
    assert warn_at(WH4, found, OFFICE) == at("2025-09-28 10:00")
    day = term(24, "hour")
    assert warn_at(day, deadline(day, at("2025-09-26 16:00"), OFFICE), OFFICE, Decimal("0.5")) == at(
        "2025-09-27 04:00"
    )
    with pytest.raises(ValueError):
        warn_at(WH4, found, OFFICE, Decimal(2))


# --- what a deadline rests on ---------------------------------------------------------------------------


def test_a_deadline_names_the_provisional_years_it_rests_on() -> None:
    assert deadline(WD5, at("2026-12-30 10:00"), OFFICE).provisional == (2027,)
    assert deadline(WH4, at("2026-12-31 17:00"), OFFICE).provisional == (2027,)
    assert deadline(WD2, at("2026-12-28 10:00"), OFFICE).provisional == ()
    assert deadline(term(24, "hour"), at("2026-12-31 17:00"), OFFICE).provisional == (), "no calendar is asked"
    assert deadline(term(1, "month"), at("2026-12-31 17:00"), OFFICE).provisional == ()
    assert deadline(term(1, "month", roll=True), at("2026-12-31 17:00"), OFFICE).provisional == (2027,)


# --- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("amount", {"amount": "x", "unit": "hour"}),
        ("amount", {"amount": None, "unit": "hour"}),
        ("amount", {"amount": "-1", "unit": "hour"}),
        ("amount", {"amount": "NaN", "unit": "hour"}),
        ("amount", {"amount": "1e99", "unit": "day"}),
        ("amount", {"amount": "1.5", "unit": "day"}),
        ("amount", {"amount": "0.0001", "unit": "hour"}),
        ("unit", {"amount": 1, "unit": "fortnight"}),
        ("unit", {"amount": 1}),
        ("clock", {"amount": 1, "unit": "hour", "clock": "sand"}),
        ("clock", {"amount": 1, "unit": "month", "clock": "working"}),
        ("day_end", {"amount": 1, "unit": "day", "day_end": "noon"}),
        ("until", {"amount": 1, "unit": "day", "until": 90000}),
        ("length", {"amount": 1, "unit": "day", "length": 2}),
    ],
)
def test_impossible_terms_name_the_field(field: str, raw: dict) -> None:
    with pytest.raises(InvalidData) as told:
        Term.thawed(raw)
    assert list(told.value.errors) == [field]


def test_a_frozen_term_thaws_into_the_same() -> None:
    one = term("0.5", "hour", "working")
    two = term(1, "day", "working", day_end="business_close", roll=True, until=FIVE_PM, cutoff=FIVE_PM)
    for each in (one, two):
        assert Term.thawed(json.loads(json.dumps(each.frozen()))) == each


@pytest.mark.parametrize(
    "limits", [(), ((None, 1), (Decimal(3), 2)), ((Decimal(3), 1), (Decimal(3), 2), (None, 3)), ((Decimal(3), 1),)]
)
def test_bands_that_leave_a_gap_are_refused(limits: tuple) -> None:
    with pytest.raises(InvalidData):
        Bands(limits)


@pytest.mark.parametrize("value", ["", "x", "-0.1", None, float("nan"), "Infinity"])
def test_a_distance_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InvalidData):
        Bands(((Decimal(300), 24), (None, 72))).pick(value)


def test_no_working_time_and_too_far_are_said_and_never_hang() -> None:
    for one in (WH4, WD2, SAME_WD, term(1, "day", roll=True)):
        with pytest.raises(NoWorkingTime):
            due(one, "2025-09-26 10:00", calendar=NEVER)
    assert due(term(4, "hour"), "2025-09-26 10:00", calendar=NEVER) == at("2025-09-26 14:00")
    with pytest.raises(TooFar):
        deadline(term(1, "day"), datetime(9999, 12, 31, tzinfo=UTC), OFFICE)
    with pytest.raises(ValueError, match="time zone"):
        deadline(WH4, datetime(2025, 9, 26), OFFICE)


# --- properties -------------------------------------------------------------------------------------------------

moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 1)).map(
    lambda d: d.replace(tzinfo=UTC, microsecond=0)
)
terms = st.builds(
    term,
    st.integers(0, 40),
    st.sampled_from(["minute", "hour", "day", "week"]),
    st.sampled_from(["calendar", "working"]),
    day_end=st.sampled_from(["24:00", "business_close"]),
    roll=st.booleans(),
    until=st.sampled_from([None, FIVE_PM, DAY]),
    cutoff=st.sampled_from([None, FIVE_PM]),
) | st.builds(term, st.integers(0, 40), st.just("month"), roll=st.booleans())
zones = st.sampled_from([OFFICE, NEW_YORK])
lengths = st.integers(0, 20 * DAY).map(lambda n: timedelta(seconds=n))


@settings(deadline=None, max_examples=300)
@given(zones, terms, moments, moments)
def test_a_later_event_is_never_due_earlier(calendar: WorkingCalendar, one: Term, a: datetime, b: datetime) -> None:
    a, b = sorted((a, b))
    assert a <= deadline(one, a, calendar).at <= deadline(one, b, calendar).at


@settings(deadline=None, max_examples=300)
@given(zones, terms, moments, lengths, lengths)
def test_a_pause_never_brings_a_deadline_forward(
    calendar: WorkingCalendar, one: Term, start: datetime, after: timedelta, length: timedelta
) -> None:
    pause = Pause(start + after, start + after + length)
    plain, paused = deadline(one, start, calendar), deadline(one, start, calendar, [pause])
    assert paused.at >= plain.at
    middle = pause.start + length / 2
    halves = [Pause(middle, pause.end), Pause(pause.start, middle)]
    assert deadline(one, start, calendar, halves) == paused


@settings(deadline=None, max_examples=200)
@given(terms, moments, st.dates(date(2024, 1, 1), date(2027, 12, 31)))
def test_a_holiday_never_brings_a_deadline_forward(one: Term, start: datetime, day: date) -> None:
    # A holiday has no closing time: with "business_close" its own last second counts.
    holiday = office(off=OFFICE.terms.off | {day})
    assert deadline(one, start, holiday).at >= deadline(one, start, OFFICE).at


@settings(deadline=None, max_examples=200)
@given(zones, moments, st.integers(0, 200), st.integers(0, 200))
def test_pauses_of_closed_hours_are_neutral(
    calendar: WorkingCalendar, start: datetime, hours: int, skip: int
) -> None:
    one = term(hours, "hour", "working")
    closing = calendar.end_of(calendar.add_days(calendar.day_of(start), skip), at_close=True)
    opening = calendar.add(closing, 1) - timedelta(seconds=1)
    assert opening > closing
    held = deadline(one, start, calendar, [Pause(closing, opening)])
    assert held.at == deadline(one, start, calendar).at


@settings(deadline=None, max_examples=200)
@given(zones, terms, moments)
def test_the_limit_itself_is_in_time_and_the_next_second_late(
    calendar: WorkingCalendar, one: Term, start: datetime
) -> None:
    found = deadline(one, start, calendar)
    assert not late_by(one, found, found.at, calendar).late
    assert late_by(one, found, found.at + timedelta(seconds=1), calendar).late
    assert found.day == calendar.day_of(found.at)


@settings(deadline=None, max_examples=200)
@given(zones, moments, st.integers(1, 60), st.sampled_from(["calendar", "working"]))
def test_elapsed_at_the_limit_is_the_term(
    calendar: WorkingCalendar, start: datetime, count: int, clock: str
) -> None:
    for unit, each in (("hour", HOUR), ("day", 1)):
        one = term(count, unit, clock)
        found = deadline(one, start, calendar)
        assert elapsed(one, start, found.at, calendar) == count * each


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 600))
def test_the_anchor_day_comes_back(day: date, count: int) -> None:
    later = add_months(day, count)
    assert later.day == day.day or (later + timedelta(days=1)).day == 1
    assert (later.year - day.year) * 12 + later.month - day.month == count
