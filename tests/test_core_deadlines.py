"""The core's deadlines on cases: what begins each, when it is due, what meets it, and by how much it is late."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.cases import history
from core.cases.services import register_case
from core.kernel import clock
from core.records.engine import perform, record_fact
from core.records.models import Record
from core.rules import official_table
from core.rules.obligation_models import LATE, MET, OPEN, VOID, Obligation
from tests.casework import INTAKE, Office, make_office, reading
from tests.helpers import as_system
from tests.test_history import read

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai
REPAIR = {"nature": "repair", "urgency": "normal"}
INQUIRY = {"nature": "inquiry", "urgency": "normal"}
COMPLAINT = {"nature": "complaint", "urgency": "normal"}


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


def evening(day: int) -> datetime:
    """The last second of a day of November 2026 in Shanghai."""
    return datetime(2026, 11, day, 15, 59, 59, tzinfo=UTC)


@dataclass(frozen=True)
class Limit:
    """One clause: who registers what, what is done on the way, when it is due, what meets it."""

    clause: str
    due: datetime
    meets: tuple[str, Mapping[str, Any]]
    way: tuple[tuple[float, str], ...] = ()
    case: Mapping[str, Any] = field(default_factory=lambda: REPAIR)
    by: str = "after_sales"


SOLVE = ("solve", {})
LIMITS = [
    Limit("R01-4.4", evening(23), SOLVE, ((0, "assign"), (0.1, "start"))),
    Limit("R01-4.5", evening(18), ("fact:progress", {}), ((0, "assign"),)),
    Limit("R03-3.4", evening(18), ("fact:progress", {}), ((0, "assign"),)),
    Limit("R03-4.1", at(24), ("assign", {})),
    Limit("R03-4.2", at(24), ("start", {}), ((0, "assign"),)),
    Limit("R04-2.3c", evening(23), SOLVE, ((0, "assign"), (0.1, "start"))),
    *(
        one
        for regulation in ("R17", "R18", "R19")
        for one in (
            Limit(f"{regulation}-7.1.3a", at(5), ("forward", {}), by="sales"),
            Limit(f"{regulation}-7.1.3b", at(6), ("contact", {}), ((1, "forward"),), by="sales"),
            Limit(f"{regulation}-7.2.1", at(24), ("answer", {}), case=INQUIRY),
            Limit(f"{regulation}-7.2.2b", at(24), ("plan", {})),
        )
    ),
    Limit("R21-4.b", at(24), ("answer", {}), case=INQUIRY),
    Limit("R21-4.b", evening(19), SOLVE, ((0, "assign"), (0.1, "start")), case=COMPLAINT),
    Limit("R22-1.R1", at(0.05), ("fact:responded", {})),
    Limit("R22-2.9b", at(0.05), ("fact:responded", {})),
    Limit("R25-2.3.A2", at(0.5), ("forward", {}), by="sales"),
    Limit("R25-2.3.B2", at(1) + timedelta(minutes=5), ("contact", {}), ((1, "forward"),), by="sales"),
    Limit("R25-2.3.B2", at(0) + timedelta(minutes=5), ("contact", {})),
    Limit("R27-2.2.2", at(5), ("assess", {})),
]


@pytest.fixture
def office(app):
    return make_office()


def registered(office: Office, by: str, **values: Any) -> int:
    with office.acting(office.staff(by)):
        return register_case(office.unit.id, {**INTAKE, **values}).id


def held(record_id: int, clause: str) -> list[Obligation]:
    with reading() as work:
        own = select(Obligation).where(Obligation.record_id == record_id, Obligation.clause == clause)
        return list(work.scalars(own.order_by(Obligation.start_at)))


def do(office: Office, record_id: int, name: str) -> None:
    with office.at_desk():
        if name.startswith("fact:"):
            record_fact(record_id, name[5:])
        else:
            perform(record_id, name, office.usual(name))


@contextmanager
def begun(office: Office, one: Limit) -> Any:
    office.clause(one.clause)
    with clock.frozen(at(0)):
        key = registered(office, one.by, **one.case)
    for hours, name in one.way:
        with clock.frozen(at(hours)):
            do(office, key, name)
    yield key


@pytest.mark.clause("R01-4.4", "R01-4.5", "R03-3.4", "R03-4.1", "R03-4.2", "R04-2.3c", "R21-4.b", "R22-1.R1")
@pytest.mark.clause("R17-7.1.3a", "R17-7.1.3b", "R17-7.2.1", "R17-7.2.2b", "R18-7.1.3a", "R18-7.1.3b", "R18-7.2.1")
@pytest.mark.clause("R18-7.2.2b", "R19-7.1.3a", "R19-7.1.3b", "R19-7.2.1", "R19-7.2.2b", "R22-2.9b", "R25-2.3.A2")
@pytest.mark.clause("R25-2.3.B2", "R27-2.2.2")
@pytest.mark.parametrize("one", LIMITS, ids=lambda one: f"{one.clause}-{one.by}-{one.case['nature']}")
@pytest.mark.parametrize("seconds", [0, 1])
def test_a_limit_is_met_at_its_last_moment_and_late_after_it(office, one, seconds):
    with begun(office, one) as key:
        [found] = held(key, one.clause)
        assert (found.state, found.due_at) == (OPEN, one.due)
        with clock.frozen(one.due + timedelta(seconds=seconds)):
            do(office, key, one.meets[0])
    found = held(key, one.clause)[0]
    assert found.state == (LATE if seconds else MET)
    assert bool(found.late_seconds or found.late_days) == bool(seconds)


# --- for whom a limit is not meant -------------------------------------------------------------


@pytest.mark.clause("R17-7.1.3a", "R17-7.1.3b")
def test_what_the_owner_takes_in_needs_no_forwarding(office):
    office.clause("R17-7.1.3a", "R17-7.1.3b")
    with clock.frozen(at(0)):
        key = registered(office, "after_sales")
    assert held(key, "R17-7.1.3a") == []
    [found] = held(key, "R17-7.1.3b")
    assert (found.start_at, found.due_at) == (at(0), at(5))


@pytest.mark.clause("R17-7.1.3a", "R17-7.1.3b")
def test_the_owners_clock_runs_from_forwarding_only(office):
    office.clause("R17-7.1.3a", "R17-7.1.3b")
    with clock.frozen(at(0)):
        key = registered(office, "sales")
    assert held(key, "R17-7.1.3b") == []
    with clock.frozen(at(2)):
        do(office, key, "contact")  # the owner department heard of it otherwise and called
    assert [one.state for one in held(key, "R17-7.1.3a")] == [VOID]


@pytest.mark.clause("R17-7.1.3a", "R17-7.1.3b")
@pytest.mark.parametrize(("minute", "state"), [(0, MET), (1, LATE)])
def test_forwarding_over_a_make_up_sunday(office, minute, state):
    """S27: the Sunday after is a working day; two working hours on Friday, two on Sunday."""
    with as_system():
        official_table.seed([2025])
    office.clause("R17-7.1.3a", "R17-7.1.3b")
    friday = datetime(2025, 9, 26, 8, tzinfo=UTC)
    with clock.frozen(friday):
        key, other = registered(office, "sales"), registered(office, "sales")
    sunday = datetime(2025, 9, 28, 3, minute, tzinfo=UTC)
    with clock.frozen(datetime(2025, 9, 28, 2, 30, tzinfo=UTC)):
        do(office, other, "forward")
    with clock.frozen(sunday):
        do(office, key, "forward")
    assert [one.state for one in held(key, "R17-7.1.3a")] == [state]
    assert [one.due_at for one in held(other, "R17-7.1.3b")] == [datetime(2025, 9, 28, 7, 30, tzinfo=UTC)]


@pytest.mark.clause("R25-2.3.A2", "R25-2.3.B2")
def test_only_what_a_shop_takes_in_is_sent_on(office):
    office.clause("R25-2.3.A2", "R25-2.3.B2")
    with clock.frozen(at(0)):
        key = registered(office, "after_sales")
    assert held(key, "R25-2.3.A2") == []


@pytest.mark.clause("R17-7.2.1", "R17-7.2.2b", "R21-4.b")
def test_inquiries_are_answered_and_requests_are_planned(office):
    office.clause("R17-7.2.1", "R17-7.2.2b", "R21-4.b")
    with clock.frozen(at(0)):
        question, repair = registered(office, "after_sales", **INQUIRY), registered(office, "after_sales", **REPAIR)
    assert (len(held(question, "R17-7.2.1")), held(question, "R17-7.2.2b")) == (1, [])
    assert (held(repair, "R17-7.2.1"), len(held(repair, "R17-7.2.2b"))) == ([], 1)
    assert held(repair, "R21-4.b") == []


@pytest.mark.clause("R22-1.R1")
def test_a_letter_has_nobody_on_the_line(office):
    office.clause("R22-1.R1")
    with clock.frozen(at(0)):
        assert held(registered(office, "after_sales", channel="letter"), "R22-1.R1") == []


@pytest.mark.clause("R03-4.2")
def test_a_technician_sent_with_a_plan_owes_none(office):
    with clock.frozen(at(0)):
        key = registered(office, "after_sales", **REPAIR)
        for name in ("plan", "assign"):
            do(office, key, name)
    assert held(key, "R03-4.2") == []


@pytest.mark.clause("R01-4.5", "R03-3.4")
def test_the_customer_hears_again_and_again_until_it_is_done(office):
    with clock.frozen(at(0)):
        key = registered(office, "after_sales", **REPAIR)
        do(office, key, "assign")
    with clock.frozen(at(24)):
        do(office, key, "fact:progress")
        first, second = held(key, "R01-4.5")
        assert (first.state, second.state, second.due_at) == (MET, OPEN, evening(19))
        do(office, key, "start")
        do(office, key, "solve")
    assert [one.state for one in held(key, "R03-3.4")] == [MET, VOID]


@pytest.mark.clause("R01-4.1")
@pytest.mark.parametrize(("minutes", "state"), [(30, MET), (31, LATE)])
def test_a_request_is_entered_within_half_an_hour(office, minutes, state):
    with clock.frozen(at(0) + timedelta(minutes=minutes)):
        key = registered(office, "after_sales", received_at=at(0).isoformat())
    assert [(one.state, one.start_at) for one in held(key, "R01-4.1")] == [(state, at(0))]


@pytest.mark.clause("R01-4.1")
def test_what_is_written_down_at_once_has_nothing_to_watch(office):
    assert held(registered(office, "after_sales"), "R01-4.1") == []


# --- a log taken over --------------------------------------------------------------------------

COLUMN_CLAUSES = ("R01-5.2b", "R03-4.1", "R17-7.1.3a", "R17-7.1.3b")


@pytest.mark.clause("R01-5.2b", "R03-4.1", "R17-7.1.3a", "R17-7.1.3b")
@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({}, [MET, MET, MET, MET]),
        # 09:00 on a Saturday and four working hours: until 14:00 on Monday.
        (
            {"forwarded": "2025-03-03 14:01", "contacted": "2025-03-03 15:00", "confirmed": "2025-03-04 10:00"},
            [MET, MET, LATE, MET],
        ),
        # Contacted before it was forwarded: the owner had it already.
        ({"forwarded": "2025-03-01 12:00"}, [MET, MET, VOID, MET]),
        # Never contacted, confirmed in time: nothing to be late with. Arrived before the first response.
        ({"contacted": "", "responded": "2025-03-02 09:01"}, [LATE, MET, MET, VOID]),
    ],
    ids=["in order", "forwarded late", "contacted first", "odd"],
)
def test_a_log_feeds_the_clauses_its_columns_know(office, changes, states):
    office.clause("R17-7.1.3a", "R17-7.1.3b")
    with office.at_desk():
        history.take_over(office.unit.id, [read(**changes)])
    with reading() as work:
        key = work.scalars(select(Record.id)).one()
    assert [held(key, clause)[0].state for clause in COLUMN_CLAUSES] == states
    # What no column tells nobody is late with.
    assert held(key, "R27-2.2.2") == []
