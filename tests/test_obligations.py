"""Obligations: derived from facts, frozen when they begin, the same whatever the order of entry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session, system_scope, transaction
from core.records.engine import record_fact
from core.rules import obligations
from core.rules.obligation_models import LATE, MET, OPEN, PAUSED, VOID, Obligation
from tests.casework import make_office, reading
from tests.helpers import current

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai


@pytest.fixture
def office(app):
    return make_office()


def rows(record_id: int) -> dict[str, Obligation]:
    with reading() as work:
        found = work.scalars(select(Obligation).where(Obligation.record_id == record_id).order_by(Obligation.id))
        return {one.clause: one for one in found}


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


@pytest.mark.clause("R01-5.2b")
def test_a_case_is_answered_within_a_day(office):
    with clock.frozen(at(0)):
        key = office.new_case()
    found = rows(key)["R01-5.2b"]
    assert (found.state, found.start_at, found.due_at) == (OPEN, at(0), at(24))
    with clock.frozen(at(24)):
        office.do(key, "contact")
    found = rows(key)["R01-5.2b"]
    assert (found.state, found.ended_at, found.late_seconds) == (MET, at(24), 0)


@pytest.mark.clause("R01-5.2a")
def test_an_urgent_case_is_answered_within_two_hours(office):
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, ("classify", {"nature": "repair", "urgency": "urgent"}))
    assert "R01-5.2b" not in rows(key)
    assert rows(key)["R01-5.2a"].due_at == at(2)
    with clock.frozen(at(3)), office.at_desk(), transaction():
        record_fact(key, "contacted", at=at(2) + timedelta(seconds=1))
    found = rows(key)["R01-5.2a"]
    assert (found.state, found.late_seconds, found.late_days) == (LATE, 1, 0)


@pytest.mark.clause("R01-4.4")
def test_a_pause_stands_the_clock_still(office):
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign")
    before = rows(key)["R01-4.4"].due_at
    with clock.frozen(at(1)):
        office.do(key, "accept", "start", "wait")
    found = rows(key)["R01-4.4"]
    assert (found.state, found.due_at) == (PAUSED, None)
    with clock.frozen(at(49)):
        office.do(key, "resume")
    found = rows(key)["R01-4.4"]
    assert (found.state, found.due_at) == (OPEN, before + timedelta(days=2))
    with clock.frozen(at(50)):
        office.do(key, "cancel")
    assert rows(key)["R01-4.4"].state == VOID


def test_all_over_again_gives_the_same(office):
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign")
    before = {c: vars(o).copy() for c, o in rows(key).items()}
    with current().app_context(), system_scope("test"):
        assert obligations.recompute() == 0
        with transaction():
            session().execute(Obligation.__table__.delete(), execution_options={"unscoped": "test"})
        assert obligations.recompute() == len(before)
    after = {c: vars(o) for c, o in rows(key).items()}
    skip = {"id", "_sa_instance_state"}
    for clause, row in before.items():
        assert {k: v for k, v in row.items() if k not in skip} == {
            k: v for k, v in after[clause].items() if k not in skip
        }
