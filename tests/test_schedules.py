"""Recurring work: periods keep their anchor day, and each makes one task, however often and by whom it is run."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import system_scope
from core.kernel.manifest import PluginError
from core.records.models import Record
from core.rules import registry, schedules
from core.rules.clocks import add_months
from core.rules.kinds import ScheduleRule
from core.rules.rulebook import current_rulebook
from core.rules.schedule_models import ScheduleRun
from core.rules.schedules import Interval, begin_of, due_periods
from core.rules.setting_models import ClauseSetting
from core.tasks.models import Task
from core.tasks.services import label_of
from tests.casework import make_office, reading
from tests.helpers import as_system, current, switch_off, switch_on

STATISTICS = "R28-4.5"
MONTHLY = frozenset({"R03-5.1", "R04-4.1c", STATISTICS})


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(one) for one in texts]


def noon(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(hours=4)


def run(unit, day: str) -> int:
    with clock.frozen(noon(day)), current().app_context(), system_scope("test"):
        return schedules.create_due(unit.id)


def tasks(clause: str = "") -> list[Task]:
    with reading() as work:
        found = work.scalars(select(Task).order_by(Task.starts_on, Task.clause, Task.subject)).all()
        return [one for one in found if clause in ("", one.clause)]


def set_clause(unit, clause: str, starts_on: str, holds: bool | None = None, **values: object) -> None:
    with as_system() as work:
        row = ClauseSetting(unit_id=unit.id, clause=clause, starts_on=date.fromisoformat(starts_on))
        row.holds, row.values, row.created_at = holds, values, noon(starts_on)
        work.add(row)


@pytest.fixture
def unit(app):
    return make_office().unit


# --- periods ---------------------------------------------------------------------------------------


def test_the_31st_comes_back_after_a_short_month():
    found = due_periods(date(2026, 1, 31), Interval(1, "month"), date(2026, 1, 1), date(2026, 5, 31))
    assert [one.first for one in found] == days(
        "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"
    )
    assert [one.last for one in found][:2] == days("2026-02-27", "2026-03-30")


def test_a_leap_day_comes_back_every_four_years():
    found = due_periods(date(2024, 2, 29), Interval(1, "year"), date(2025, 1, 1), date(2028, 12, 31))
    assert [one.first for one in found] == days("2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29")


def test_weeks_keep_their_weekday_and_a_last_day_moves_to_a_working_day():
    weekend = {5: 2, 6: 1}

    def to_monday(day: date) -> date:
        return day + timedelta(days=weekend.get(day.weekday(), 0))

    found = due_periods(date(2026, 11, 2), Interval(1, "week"), date(2026, 11, 10), date(2026, 11, 30), to_monday)
    assert [one.first for one in found] == days("2026-11-16", "2026-11-23", "2026-11-30")
    assert (found[0].last, found[0].due) == (date(2026, 11, 22), date(2026, 11, 23))


@pytest.mark.parametrize("interval", [Interval(0, "month"), Interval(-1, "day"), Interval(1, "hour")])
def test_an_interval_that_never_ends_is_refused(interval):
    with pytest.raises(ValueError):
        due_periods(date(2026, 1, 1), interval, date(2026, 1, 1), date(2026, 2, 1))


ANY_DAY = st.dates(date(2000, 1, 1), date(2060, 12, 31))
INTERVALS = st.builds(Interval, st.integers(1, 40), st.sampled_from(["day", "week", "month", "year"]))


@given(ANY_DAY, INTERVALS, ANY_DAY, st.integers(0, 800))
def test_periods_follow_each_other_without_gap_or_overlap(anchor, interval, since, length):
    until = since + timedelta(days=length)
    found = due_periods(anchor, interval, since, until)
    assert all(max(anchor, since) <= one.first <= until for one in found)
    for one, following in pairwise(found):
        assert one.last + timedelta(days=1) == following.first
    # None is forgotten: counted one by one from the anchor.
    step, unit = interval
    count, expected = 0, []
    while True:
        if unit in ("month", "year"):
            first = add_months(anchor, count * step * (12 if unit == "year" else 1))
        else:
            first = anchor + timedelta(days=count * step * (7 if unit == "week" else 1))
        if first > until:
            break
        expected += [first] if first >= since else []
        count += 1
    assert [one.first for one in found] == expected


@given(ANY_DAY, INTERVALS, st.integers(0, 4000))
def test_a_day_lies_in_the_period_that_is_found_for_it(anchor, interval, later):
    day = anchor + timedelta(days=later)
    first = begin_of(anchor, interval, day)
    assert due_periods(anchor, interval, first, day) == due_periods(anchor, interval, first, first)
    assert due_periods(anchor, interval, first, first)[0].last >= day


@given(ANY_DAY, INTERVALS, st.integers(1, 500), st.integers(1, 500))
def test_looking_twice_sees_the_same_as_looking_once(anchor, interval, one, two):
    middle, end = anchor + timedelta(days=one), anchor + timedelta(days=one + two)
    parts = [
        *due_periods(anchor, interval, anchor, middle),
        *due_periods(anchor, interval, middle + timedelta(days=1), end),
    ]
    assert parts == due_periods(anchor, interval, anchor, end)


def test_periods_are_named_as_people_do():
    january = due_periods(date(2026, 1, 1), Interval(1, "month"), date(2026, 1, 1), date(2026, 1, 1))[0]
    whole_year = due_periods(date(2026, 1, 1), Interval(1, "year"), date(2026, 1, 1), date(2026, 1, 1))[0]
    quarter = due_periods(date(2026, 1, 1), Interval(3, "month"), date(2026, 4, 1), date(2026, 4, 1))[0]
    one_day = due_periods(date(2026, 1, 1), Interval(1, "day"), date(2026, 1, 5), date(2026, 1, 5))[0]
    assert [label_of(one) for one in (january, whole_year, quarter, one_day)] == [
        "2026-01",
        "2026",
        "2026-04 – 2026-06",
        "2026-01-05",
    ]


# --- creating --------------------------------------------------------------------------------------


@pytest.mark.clause("R28-4.5")
@pytest.mark.clause("R03-5.1")
@pytest.mark.clause("R04-4.1c")
@pytest.mark.clause("R04-2.5a")
@pytest.mark.clause("R20-1.D")
def test_each_recurring_clause_has_its_task_once(unit):
    set_clause(unit, "R20-1.D", "2020-01-01", holds=True)  # a regulation that is off unless a unit works by it
    assert run(unit, "2026-11-02") == 5
    assert run(unit, "2026-11-02") == 0
    assert run(unit, "2026-11-30") == 0
    periods = {one.clause: (one.starts_on, one.due_on) for one in tasks()}
    month = (date(2026, 11, 1), date(2026, 11, 30))
    assert periods == {
        **dict.fromkeys(MONTHLY, month),
        "R04-2.5a": (date(2026, 10, 1), date(2026, 12, 31)),
        "R20-1.D": (date(2026, 1, 1), date(2026, 12, 31)),
    }
    assert run(unit, "2026-12-01") == 3
    assert {one.clause for one in tasks() if one.starts_on == date(2026, 12, 1)} == MONTHLY


def test_what_a_standstill_missed_is_made_up_for(unit):
    run(unit, "2026-01-10")
    assert run(unit, "2026-04-02") == 3 * 3 + 1
    assert [one.starts_on for one in tasks(STATISTICS)] == days(
        "2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"
    )


def test_after_a_long_standstill_the_latest_are_made_up_for_and_it_says_so(unit):
    run(unit, "2024-01-10")
    run(unit, "2026-01-10")
    found = tasks(STATISTICS)
    assert len(found) == 1 + schedules.MOST_MISSED
    assert found[1].starts_on == date(2025, 2, 1)
    assert "2024-02-01" in found[1].note and "2025-01-31" in found[1].note
    assert [one.note for one in found[2:]] == [""] * 11
    assert run(unit, "2026-01-10") == 0


def test_a_clause_that_is_off_on_a_periods_first_day_asks_for_nothing(unit):
    set_clause(unit, STATISTICS, "2026-01-01", holds=True)
    set_clause(unit, STATISTICS, "2026-02-15", holds=False)
    set_clause(unit, STATISTICS, "2026-05-10", holds=True)
    run(unit, "2026-01-10")
    run(unit, "2026-04-10")
    assert [one.starts_on for one in tasks(STATISTICS)] == days("2026-01-01")
    run(unit, "2026-05-20")
    run(unit, "2026-06-20")
    # February began while it was on, and was missed; March to May began while it was off.
    assert [one.starts_on for one in tasks(STATISTICS)] == days("2026-01-01", "2026-02-01", "2026-06-01")


def test_the_interval_and_the_day_it_begins_are_parameters(unit):
    set_clause(unit, STATISTICS, "2026-01-01", anchor_day=31, interval="2")
    run(unit, "2026-04-15")
    run(unit, "2026-06-01")
    assert [(one.starts_on, one.due_on) for one in tasks(STATISTICS)] == [
        (date(2026, 3, 31), date(2026, 5, 30)),
        (date(2026, 5, 31), date(2026, 7, 30)),
    ]


@pytest.mark.clause("R04-4.1c")
def test_customers_are_contacted_one_by_one_where_the_unit_says_so(app):
    office = make_office()
    with clock.frozen(noon("2026-10-05")):
        office.new_case()
    with clock.frozen(noon("2026-10-06")):
        office.new_case(customer_name="西溪宾馆", contact_phone="13900001111")
        office.new_case(customer_name="老客户", contact_phone="13900002222")
    set_clause(office.unit, "R04-4.1c", "2026-01-01", customers=2)
    run(office.unit, "2026-11-02")
    assert [one.subject_text for one in tasks("R04-4.1c")] == ["西溪宾馆", "老客户"]
    with clock.frozen(noon("2026-11-10")):
        office.new_case()
    # The one who came in the middle of the month begins with it; who comes back owes nothing for the time between.
    run(office.unit, "2026-11-12")
    run(office.unit, "2027-02-01")
    found = [(one.starts_on.isoformat(), one.subject_text) for one in tasks("R04-4.1c")]
    assert found.count(("2026-11-01", "盟新科技有限公司")) == 1
    assert ("2027-02-01", "老客户") in found


def test_a_new_unit_begins_with_its_first_whole_period(app):
    from core.units.models import UnitParent

    office = make_office()
    with as_system() as work:
        row = work.scalars(select(UnitParent).where(UnitParent.unit_id == office.unit.id)).one()
        row.valid_from = date(2026, 11, 10)
    assert run(office.unit, "2026-11-20") == 0
    assert run(office.unit, "2026-12-01") == 3


def test_several_runners_at_once_create_each_task_once(unit):
    counts: list[int] = []
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        counts.append(run(unit, "2026-11-02"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sum(counts) == 4
    with reading() as found:
        assert len(found.scalars(select(Record.id).where(Record.type == "task")).all()) == 4
        assert all(one is not None for one in found.scalars(select(ScheduleRun.record_id)))


def test_a_failure_leaves_no_trace_and_the_next_run_creates_it(unit, monkeypatch):
    real = schedules.maker[0]

    def broken(wanted):
        real(wanted)
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(schedules, "maker", [broken])
    with pytest.raises(RuntimeError):
        run(unit, "2026-11-02")
    assert tasks() == []
    monkeypatch.setattr(schedules, "maker", [real])
    assert run(unit, "2026-11-02") == 4


def test_a_switched_off_plugin_creates_nothing(unit, monkeypatch):
    rule = ScheduleRule(clause=STATISTICS, title={"zh": "盘点", "en": "Count"}, plugin="products")
    monkeypatch.setattr(
        schedules,
        "current_rules",
        lambda: type("Rules", (), {"of": lambda _self, kind, on: [rule] if "products" in on else []})(),
    )
    assert run(unit, "2026-11-02") == 0
    with clock.frozen(noon("2026-11-03")):
        switch_on(unit, "products")
    assert run(unit, "2026-11-05") == 0  # this month had begun before
    assert run(unit, "2026-12-01") == 1
    with clock.frozen(noon("2026-12-03")):
        switch_off(unit, "products")
    assert run(unit, "2027-01-02") == 0


@pytest.mark.parametrize(("unit_of_time", "minimum"), [("hour", 1), ("month", 0), ("month", None)])
def test_an_interval_that_cannot_recur_stops_the_start(sqlite_app, unit_of_time, minimum):
    with sqlite_app.app_context():
        book = current_rulebook()
        clause = book.clauses[STATISTICS]
        odd = replace(clause.parameter("interval"), unit=unit_of_time, minimum=minimum)
        clauses = {**book.clauses, STATISTICS: replace(clause, parameters=(odd,))}
        rule = ScheduleRule(clause=STATISTICS, title={"zh": "统计", "en": "Statistics"})
        with pytest.raises(PluginError) as bad:
            registry.build([("", rule)], replace(book, clauses=clauses))
    assert STATISTICS in str(bad.value)
