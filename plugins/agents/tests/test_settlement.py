"""Statements are made of what was posted: nothing twice, nothing lost, sums that always agree."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, select, update

from core.kernel.database import db
from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refused
from core.kernel.jobs import Cancelled, Work
from core.sdk import Charge, Line, Record, charges, jobs, session, transaction
from plugins.agents import rights, settlement, statements
from plugins.agents.models import Statement
from plugins.agents.tests import scene
from plugins.agents.tests.scene_settle import (
    FEE,
    IN_DECEMBER,
    IN_NOVEMBER,
    NOVEMBER,
    OCTOBER,
    Desk,
    make_desk,
)
from tests.helpers import as_system, current


@pytest.fixture
def desk(app: Any) -> Desk:
    return make_desk()


@pytest.fixture
def over(desk: Desk) -> Desk:
    """Charges of October for both agents; it is November."""
    desk.bill("100.10")
    desk.bill("250.00", payer="company")
    desk.bill("70.00", number=1)
    desk.place.now = IN_NOVEMBER
    return desk


@pytest.mark.clause("R18-5.1.2b", "R14-5.8.2")
def test_a_statement_takes_up_both_sides_gross(over: Desk) -> None:
    key = over.settled()
    assert over.sums(key) == (Decimal("100.10"), Decimal("250.00"), 2)
    first, second = over.lines(key)
    assert (first.direction, first.clause, first.label_en) == ("receivable", FEE, "Labour")
    assert (second.direction, second.amount) == ("payable", Decimal("250.00"))


def test_settled_twice_nothing_is_billed_twice(over: Desk) -> None:
    key = over.settled()
    assert over.settle() == key
    assert over.sums(key) == (Decimal("100.10"), Decimal("250.00"), 2)


def test_while_it_is_a_draft_what_is_new_joins_it_later_it_waits_for_the_next(over: Desk) -> None:
    key = over.settled()
    with over.acting(), transaction():
        # A month that was still open when it was posted: put into October by hand.
        made = over.bill("5.00")
        _into_october(made)
    assert over.settle() == key
    assert over.sums(key)[2] == 3
    over.do(key, "send")
    _into_october(over.bill("7.00"))
    assert over.settle() is None
    over.place.now = IN_DECEMBER
    assert over.sums(over.settled(NOVEMBER))[0] == Decimal("7.00")


def _into_october(charge: int) -> None:
    with as_system() as work:
        work.execute(
            update(Charge).where(Charge.id == charge).values(month=OCTOBER), execution_options={"audited": "test"}
        )


@pytest.mark.parametrize("period", ["2025-11", "2025-12", "2025-13", "", "latest", None])
def test_only_a_month_that_is_over_is_settled(over: Desk, period: Any) -> None:
    with over.acting(), pytest.raises(InvalidData) as refused:
        settlement.start(over.unit.id, period)
    assert "period" in refused.value.errors


def test_who_may_not_settle_starts_nothing(over: Desk) -> None:
    with over.acting(permissions=scene.ALL - {rights.SETTLE}):
        with pytest.raises(NotAllowed):
            settlement.start(over.unit.id, OCTOBER)
        with pytest.raises(NotAllowed):
            settlement.settle_agent(over.unit.id, over.agents[0], OCTOBER)


def test_an_agent_of_another_unit_is_not_found(over: Desk) -> None:
    other = scene.make_place(code="QT")
    with other.acting(), pytest.raises(NotFound):
        settlement.settle_agent(other.unit.id, over.agents[0], OCTOBER)


def test_charges_of_later_months_wait(desk: Desk) -> None:
    desk.place.now = IN_NOVEMBER
    desk.bill("10.00")
    assert desk.settle(OCTOBER) is None


def run_job(desk: Desk, period: str = OCTOBER, progress: Any = None) -> dict[str, int]:
    with desk.acting():
        work = Work("k", desk.unit.id, {"period": period}, report=progress or (lambda *_: None))
        return settlement.settle(work)


def test_the_job_makes_a_statement_for_whoever_has_something_to_settle(over: Desk) -> None:
    over.place.agent(name="没有业务的代理商")
    assert run_job(over) == {"statements": 2, "lines": 3, "unknown": 0}
    assert run_job(over) == {"statements": 0, "lines": 0, "unknown": 0}


def test_the_job_is_started_and_watched(over: Desk) -> None:
    with over.acting():
        run = settlement.start(over.unit.id, OCTOBER)
        assert (run.job, run.payload) == (settlement.JOB, {"period": OCTOBER})
        assert settlement.JOB in jobs.declared()


def test_cut_off_in_the_middle_the_rest_is_done_next_time(over: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = settlement.evidence.facts_of, []

    def dies(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise RuntimeError("killed")
        return real(*given)

    monkeypatch.setattr(settlement.evidence, "facts_of", dies)
    with pytest.raises(RuntimeError):
        run_job(over)
    assert len(_statements(over)) == 1
    assert run_job(over) == {"statements": 1, "lines": 1, "unknown": 0}
    assert sorted(one.line_count for one in _statements(over)) == [1, 2]


def test_cancelled_it_stops_between_two_agents(over: Desk) -> None:
    def stop(done: int, *_more: Any) -> None:
        if done:
            raise Cancelled()

    with pytest.raises(Cancelled):
        run_job(over, progress=stop)
    assert len(_statements(over)) == 1


def _statements(desk: Desk) -> list[Any]:
    return desk._all(select(Statement).order_by(Statement.id))


def test_a_payer_without_an_agent_is_told_not_lost(over: Desk) -> None:
    over.place.now = over.place.now.replace(month=10)
    key = over.place.case(serial="", cause="")
    with over.acting(), transaction():
        record = session().get_one(Record, key)
        line = Line("labour", {"zh": "人工费", "en": "Labour"}, "agent", Decimal(1), Decimal(9), "DL9999")
        charges.propose(record, FEE, "test:lost", [line])
        charges.advance(record, "post", "test:lost")
    over.place.now = IN_NOVEMBER
    assert run_job(over)["unknown"] == 1


def test_two_runners_at_once_make_one_statement_each(over: Desk) -> None:
    app, errors, barrier = current(), [], threading.Barrier(2)

    def run() -> None:
        try:
            with app.app_context():
                barrier.wait()
                run_job(over)
        except Exception as error:  # told below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert not errors
    made = _statements(over)
    assert len(made) == 2
    assert sum((one.receivable for one in made), Decimal(0)) == Decimal("170.10")


def test_a_correction_after_the_month_was_closed_stands_on_the_next_statement(over: Desk) -> None:
    """The core's month is closed too: the correction goes into the open one, and can be negative in all."""
    with over.acting():
        charges.close_month(over.unit.id, OCTOBER)
    key = over.settled(number=1)
    line = over.lines(key)[0]
    over.adjust(line.charge_id, "0")
    assert over.sums(over.settled(number=1))[0] == Decimal("70.00")
    over.place.now = IN_DECEMBER
    after = over.settled(NOVEMBER, number=1)
    assert over.sums(after) == (Decimal("-70.00"), Decimal("0.00"), 1)


def test_cancelled_its_lines_are_free_again(over: Desk) -> None:
    key = over.settled()
    over.do(key, "cancel", {"reason": "合同还没签"})
    assert (over.sums(key)[2], over.state(key)) == (0, "cancelled")
    again = over.settled()
    assert again != key
    assert over.sums(again) == (Decimal("100.10"), Decimal("250.00"), 2)


def test_lines_of_a_page_come_by_id_with_their_case(over: Desk) -> None:
    key = over.settled()
    with over.acting():
        first = statements.lines_of(key, limit=1)
        rest = statements.lines_of(key, after=first[0].id)
        assert [one.record.number[:2] for one in (*first, *rest)] == ["GD", "GD"]


def test_a_settled_month_of_many_lines_costs_as_many_statements_as_one_of_few(over: Desk) -> None:
    case = over.place.case(serial="", cause="")
    over.place.now = over.place.now.replace(month=10)
    for _ in range(3):
        over.bill("1.00", case=case)
    for _ in range(40):
        over.bill("1.00", number=1, case=case)
    over.place.now = IN_NOVEMBER
    counts = []
    for number in (0, 1):
        with over.acting():
            seen: list[str] = []

            def note(_c: Any, _cursor: Any, sql: str, *_: Any, seen: list[str] = seen) -> None:
                seen.append(sql)

            event.listen(db.engine, "before_cursor_execute", note)
            settlement.settle_agent(over.unit.id, over.agents[number], OCTOBER)
            event.remove(db.engine, "before_cursor_execute", note)
            counts.append(len(seen))
    assert abs(counts[0] - counts[1]) <= 3, counts


def test_settling_by_hand_is_refused_for_what_stands_on_statements(over: Desk) -> None:
    line = over.lines(over.settled())[0]
    with over.acting(), pytest.raises(Refused):
        charges.move(line.charge_id, "settle")


@pytest.mark.clause("R14-5.8.2")
@pytest.mark.parametrize(("day", "agreed", "made"), [(10, 10, 1), (10, 11, 0), (30, 31, 1), (9, 10, 0)])
def test_on_the_settlement_day_of_a_contract_the_statement_is_made_by_itself(
    sqlite_app: Any, day: int, agreed: int, made: int
) -> None:
    """A day the month does not have is its last one. The other agent has no contract: theirs is made by hand."""
    desk = make_desk()
    desk.bill("100.10")
    desk.bill("70.00", number=1)
    desk.place.contract(desk.agents[0], settlement_day=agreed)
    desk.place.now = IN_NOVEMBER.replace(day=day)
    with desk.place.acting(), transaction():
        assert settlement.settle_due(desk.unit.id) == made
        assert settlement.settle_due(desk.unit.id) == 0
    with as_system() as work:
        assert [one.agent_id for one in work.scalars(select(Statement))] == desk.agents[:1] * made


def test_who_sent_a_statement_that_was_made_by_itself_does_not_approve_it(sqlite_app: Any) -> None:
    desk = make_desk()
    desk.bill("100.10")
    desk.place.contract(desk.agents[0], settlement_day=1)
    desk.place.now = IN_NOVEMBER
    key = desk.settled()
    with as_system() as work:
        work.get_one(Statement, key).made_by = None
    desk.do(key, "send")
    with desk.as_agent():
        statements.confirm_all(key)
    desk.look_through(key)
    with pytest.raises(Refused, match="sent"):
        desk.do(key, "approve")
    desk.do(key, "approve", user=desk.approver)
    assert desk.state(key) == "approved"
