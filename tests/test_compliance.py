"""Compliance: the formula against a naive count, whatever obligations there are; periods, scope, gates."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from core.kernel import clock
from core.kernel.database import session
from core.kernel.errors import InvalidData, NotAllowed
from core.records.models import Fact, RefusalLog
from core.rules import compliance
from core.rules.compliance import Figures, Question, percent
from core.rules.obligation_models import Obligation
from tests.casework import make_office
from tests.helpers import as_system, in_scope, make_unit

NOW = datetime(2026, 11, 18, 4, tzinfo=UTC)
MONTHS = ("2026-09", "2026-10", "2026-11")
CLAUSES = ("R01-5.2a", "R01-5.2b", "R99-gone")
SEEN = {compliance.VIEW, "case.view"}

row = st.fixed_dictionaries(
    {
        "unit": st.integers(0, 1),
        "month": st.sampled_from(("2026-08", *MONTHS)),
        "clause": st.sampled_from(CLAUSES),
        "state": st.sampled_from(("met", "late", "open", "paused", "excused", "void")),
        "who": st.integers(0, 2),
        "due": st.integers(-2, 2),
    }
)


@pytest.fixture
def office(app):
    return make_office()


@pytest.fixture
def scene(office):
    """Two units, three people, and a case to hang obligations on."""
    with clock.frozen(NOW):
        key = office.new_case()
    below = make_unit(parent=office.unit)
    with as_system() as work:
        work.execute(delete(Obligation).where(Obligation.record_id == key))
        root = work.scalars(select(Fact.id).where(Fact.record_id == key)).first()
    return office, below, key, root


def fill(scene, rows):
    """Replace all obligations; the unique key is kept apart by facts of their own."""
    office, below, key, _root = scene
    people = (office.desk.id, office.technician.id, None)
    with as_system() as work:
        work.execute(delete(Obligation))
        work.execute(delete(Fact).where(Fact.seq > 1000))
        for number, one in enumerate(rows):
            fact = Fact(
                unit_id=office.unit.id, record_id=key, seq=1001 + number, kind="comment", at=NOW, entered_at=NOW
            )
            work.add(fact)
            work.flush()
            values = {
                "unit_id": (office.unit.id, below.id)[one["unit"]],
                "record_id": key,
                "clause": one["clause"],
                "root_fact_id": fact.id,
                "state": one["state"],
                "month": one["month"],
                "start_at": NOW - timedelta(days=1),
                "due_at": None if one["state"] == "paused" else NOW + timedelta(seconds=one["due"]),
                "responsible_id": people[one["who"]],
            }
            work.execute(insert(Obligation), [values])


def naive(rows, keep=lambda one: True):
    """Count as the rule is told to people: met / (met + late), an open one past its limit is late."""
    counted = Counter()
    for one in rows:
        if one["month"] in MONTHS and keep(one):
            state = one["state"]
            if state == "open":
                state = "late" if one["due"] < 0 else "pending"
                counted["overdue"] += state == "late"
            counted[state] += 1
    return Figures(**counted)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(row, max_size=14))
def test_figures_are_what_one_would_count_by_hand(scene, rows):
    office, below, _key, _root = scene
    fill(scene, rows)
    units = (office.unit.id, below.id)
    question = Question(units, MONTHS[0], MONTHS[-1])
    with clock.frozen(NOW), in_scope(units, SEEN):
        found = compliance.answer(question)
        people = compliance.by_person(question)
        one_clause = compliance.answer(Question(units, MONTHS[0], MONTHS[-1], (CLAUSES[0],), office.desk.id)).total
        assert compliance.trend(question) == found.by_month and compliance.by_unit(question) == found.by_unit
        positions = found.by_position
    assert found.total == naive(rows)
    for clause in CLAUSES:
        assert found.by_clause.get(clause, Figures()) == naive(rows, lambda one, c=clause: one["clause"] == c)
    for month in MONTHS:
        assert found.by_month[month] == naive(rows, lambda one, m=month: one["month"] == m)
    for number, unit_id in enumerate(units):
        assert found.by_unit.get(unit_id, Figures()) == naive(rows, lambda one, n=number: one["unit"] == n)
    for number, who in enumerate((office.desk.id, office.technician.id, None)):
        assert people.get(who, Figures()) == naive(rows, lambda one, n=number: one["who"] == n)
    assert one_clause == naive(rows, lambda one: one["clause"] == CLAUSES[0] and one["who"] == 0)
    assert sum(positions.values(), Figures()) == found.total


@given(met=st.integers(0, 10_000), late=st.integers(0, 10_000))
def test_the_rate(met, late):
    rate = Figures(met=met, late=late).rate
    if met + late == 0:
        assert rate is None and percent(rate) == "—"
        return
    assert rate == Decimal(met) / Decimal(met + late)
    assert (percent(rate) == "100.0%") == (late == 0)
    assert (percent(rate) == "0.0%") == (met == 0)
    assert abs(Decimal(percent(rate).rstrip("%")) - rate * 100) <= Decimal("0.1")


def test_what_counts_neither_way_has_no_rate():
    assert Figures(excused=3, pending=2, paused=1, void=4).rate is None


def test_it_is_one_statement_however_much_there_is(scene, count_queries):
    office, below, _key, _root = scene
    question = Question((office.unit.id, below.id), MONTHS[0], MONTHS[-1])
    with clock.frozen(NOW), in_scope(question.units, SEEN), count_queries() as seen:
        compliance.answer(question)
        compliance.by_person(question)
    assert len(seen) == 2


def test_units_one_may_not_see_stay_out(scene):
    office, below, _key, _root = scene
    with in_scope([office.unit, below], {"case.view"}), pytest.raises(NotAllowed):
        compliance.answer(Question((office.unit.id,), MONTHS[0], MONTHS[-1]))
    with in_scope(office.unit, SEEN):
        assert compliance.units_for(office.unit.id, below=True) == (office.unit.id,)
        with pytest.raises(NotAllowed):
            compliance.answer(Question((below.id,), MONTHS[0], MONTHS[-1]))
    with in_scope([office.unit, below], SEEN):
        assert compliance.units_for(office.unit.id, below=True) == (office.unit.id, below.id)


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("2026-11", "2026-10", "last"),
        ("2026-13", "", "first"),
        ("", "November", "last"),
        ("2020-01", "2026-10", "first"),
    ],
)
def test_periods_that_make_no_sense_are_told(scene, first, last, field):
    office = scene[0]
    with clock.frozen(NOW), in_scope(office.unit, SEEN), pytest.raises(InvalidData) as bad:
        compliance.months_of(office.unit.id, first, last)
    assert list(bad.value.errors) == [field]


def test_the_usual_period_is_three_months_in_the_units_zone(scene):
    office = scene[0]
    # In Shanghai it is December already.
    with clock.frozen(datetime(2026, 11, 30, 17, tzinfo=UTC)), in_scope(office.unit, SEEN):
        assert compliance.months_of(office.unit.id) == ("2026-10", "2026-12")
        assert compliance.months_between("2025-11", "2026-02") == ["2025-11", "2025-12", "2026-01", "2026-02"]


def test_one_clause_for_its_page(scene):
    office = scene[0]
    fill(scene, [{"unit": 0, "month": "2026-11", "clause": CLAUSES[0], "state": "met", "who": 0, "due": 0}])
    with clock.frozen(NOW), in_scope(office.unit, SEEN):
        assert compliance.of_clause(office.unit.id, CLAUSES[0]).total.met == 1
        assert compliance.of_clause(office.unit.id, CLAUSES[1]).total.total == 0
        assert compliance.latest_month((office.unit.id,)) == "2026-11"


def test_refusals_are_counted_by_clause(scene):
    office, _below, key, _root = scene
    with as_system() as work:
        for clause, day in (("R01-4.2", 1), ("R01-4.2", 2), ("R01-4.3", 2), ("", 2), ("R01-4.2", 90)):
            refused = RefusalLog(
                unit_id=office.unit.id, record_id=key, transition="assign", code="clause", text="-"
            )
            refused.code, refused.clause, refused.at = "clause", clause, NOW - timedelta(days=day)
            work.add(refused)
    with clock.frozen(NOW), in_scope(office.unit, SEEN):
        found = compliance.refusals(Question((office.unit.id,), MONTHS[0], MONTHS[-1]))
        assert list(found.items()) == [("R01-4.2", 2), ("R01-4.3", 1)]
        one = Question((office.unit.id,), MONTHS[0], MONTHS[-1], ("R01-4.3",), office.desk.id)
        assert compliance.refusals(one) == {}


def test_refusals_of_each_unit_are_counted_in_its_own_month(scene):
    office, _below, key, _root = scene
    west = make_unit(parent=office.unit, timezone="America/New_York")
    # 1 November 02:00 in Shanghai, still October in New York.
    border = datetime(2026, 10, 31, 18, tzinfo=UTC)
    with as_system() as work:
        for unit in (office.unit, west):
            refused = RefusalLog(unit_id=unit.id, record_id=key, transition="assign", code="clause", text="-")
            refused.clause, refused.at = "R01-4.2", border
            work.add(refused)
    units = (office.unit.id, west.id)
    with clock.frozen(NOW), in_scope([office.unit, west], SEEN):
        assert compliance.refusals(Question(units, "2026-11", "2026-11")) == {"R01-4.2": 1}
        assert compliance.refusals(Question(units, "2026-10", "2026-10")) == {"R01-4.2": 1}


def test_lateness_is_said_in_the_clauses_own_clock(office):
    friday = datetime(2026, 11, 20, 9, tzinfo=UTC)  # 17:00 in Shanghai
    with clock.frozen(friday):
        key = office.new_case()
    with clock.frozen(friday + timedelta(days=3)), office.at_desk():
        late = session().scalars(select(Obligation).filter_by(record_id=key, clause="R01-5.2b")).one()
        found = compliance.lateness(late)
        assert found is not None and found.seconds == 2 * 86400
        assert compliance.standing(late.state, late.due_at, clock.now()) == "overdue"
