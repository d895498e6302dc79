"""What the checks of a line look at is what the gates and the taking back look at."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.mail.models import Mail, Mailbox
from core.sdk import Charge
from plugins.agents import evidence, line_evidence, orders, settlement, values
from plugins.agents.checks import Result, judge
from plugins.agents.models import Agent, Notice, Order, StatementLine
from plugins.agents.tests import scene
from plugins.agents.tests.test_orders import PER_CASE, Served
from tests.helpers import as_system


def found(place: scene.Place, key: int, agent: int, payer: str = "agent") -> dict[str, Result]:
    """Return what the checks of a case's first line find now."""
    with place.acting() as work:
        wanted = evidence.billed().where(Charge.record_id == key, Charge.payer == payer, Charge.payer_ref != "")
        rows = evidence.read(wanted.order_by(Charge.id).limit(1))
        side = evidence.side_of(work.get_one(Agent, agent))
        return judge(evidence.facts_of(side, rows)[0][1])


def begun(told: bool = True) -> tuple[scene.Place, int, int]:
    """Return a case of an item an agent sold, told of it and billed, with somebody at the customer's."""
    place = scene.make_place()
    agent = place.agent()
    place.item(agent=agent)
    key = place.case()
    if told:
        place.notify(key)
    else:
        place.clause("R18-5.1.2", holds=False)
    for step in ("assign", "depart", "arrive"):
        place.later(minutes=10)
        place.do(key, step)
    place.bill(key)
    return place, key, agent


def tell(place: scene.Place, key: int, agent: int, at: datetime, **more: Any) -> None:
    """Put a notice straight into the table."""
    with as_system() as work:
        given = {"means": "phone", "to": "", "evidence": "通话", "entered_by": None, **more}
        work.add(Notice(unit_id=place.unit.id, record_id=key, agent_id=agent, told_at=at, **given))


def untell(key: int) -> None:
    with as_system() as work:
        for row in work.scalars(select(Notice).where(Notice.record_id == key)):
            work.delete(row)


def test_told_before_service_passes(app: Any) -> None:
    place, key, agent = begun()
    assert found(place, key, agent)[values.NOTICE] == (values.GOOD, "")


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=1), timedelta(days=3)])
def test_told_once_somebody_had_left_is_not_told_before_service(sqlite_app: Any, late: timedelta) -> None:
    """In the same minute it counts, as at the gate: forms know minutes only."""
    place, key, agent = begun()
    untell(key)
    left = scene.MONDAY + timedelta(minutes=20)
    tell(place, key, agent, left + late + timedelta(seconds=30))
    assert found(place, key, agent)[values.NOTICE][0] == (values.BAD if late else values.GOOD)


def test_another_agent_told_or_a_returned_mail_tells_nobody(sqlite_app: Any) -> None:
    place, key, agent = begun()
    untell(key)
    early = scene.MONDAY
    tell(place, key, place.agent(), early)
    assert found(place, key, agent)[values.NOTICE][0] == values.BAD
    mail = mail_of(place, key)
    tell(place, key, agent, early, means=values.EMAIL, mail_id=mail)
    assert found(place, key, agent)[values.NOTICE][0] == values.GOOD
    with as_system() as work:
        work.get_one(Mail, mail).state = "failed"
    assert found(place, key, agent)[values.NOTICE][0] == values.BAD


def mail_of(place: scene.Place, key: int) -> int:
    with as_system() as work:
        box = Mailbox(
            unit_id=place.unit.id,
            name="售后",
            address="us@ours.cn",
            host="mail",
            username="us",
            password="",
            since=place.now,
        )
        work.add(box)
        work.flush()
        mail = Mail(
            unit_id=place.unit.id,
            mailbox_id=box.id,
            message_id="1@ours.cn",
            record_id=key,
            direction="out",
            state="sent",
            at=place.now,
        )
        work.add(mail)
        work.flush()
        return int(mail.id)


def test_where_the_clause_was_off_when_service_began_no_notice_was_wanted(sqlite_app: Any) -> None:
    place, key, agent = begun(told=False)
    assert values.NOTICE not in found(place, key, agent)


# --- repaired again ------------------------------------------------------------------------------


def served_again(days: int, **columns: Any) -> tuple[Served, int]:
    """Return a case served by a service agent whose item came in again after days, as a faulty repair."""
    served = Served(PER_CASE, **columns)
    first = served.case()
    served.serve(first)
    served.place.later(days=days)
    served.place.case(cause="repair")
    return served, first


@pytest.mark.clause("DL-2")
@pytest.mark.parametrize(
    ("agreed", "days", "again"),
    [(None, 30, True), (None, 31, False), (60, 60, True), (60, 61, False), (5, 6, False), (0, 1, False)],
)
def test_check_and_taking_back_go_by_the_same_days(
    sqlite_app: Any, agreed: int | None, days: int, again: bool
) -> None:
    """The contract's days win over the clause's thirty, whether they are more or fewer."""
    served, first = served_again(days, clawback_days=agreed)
    result = found(served.place, first, served.agent, "company")[values.REPEATED]
    assert result[0] == (values.BAD if again else values.GOOD)
    assert (served.order(first).repeated_id is not None) == again


@pytest.mark.clause("DL-2")
def test_the_contract_an_order_is_paid_by_counts_not_another_one_of_that_day(app: Any) -> None:
    """Two contracts stand side by side; the one that names the series pays, and its days count."""
    served = Served(PER_CASE, clawback_days=60, series=[scene.CATEGORY])
    served.place.contract(served.agent, PER_CASE, clawback_days=3)
    first = served.case()
    served.serve(first)
    served.place.later(days=50)
    served.place.case(cause="repair")
    assert served.order(first).contract_id == served.contract
    assert found(served.place, first, served.agent, "company")[values.REPEATED][0] == values.BAD


@pytest.mark.clause("DL-2")
def test_without_a_rate_the_days_of_the_contract_count_all_the_same(sqlite_app: Any) -> None:
    served = Served(*[(values.OWED_TO_US, values.PER_CASE, "1")], clawback_days=60)
    first = served.case()
    served.serve(first)
    order = served.order(first)
    assert (order.contract_id, served.owed(first)) == (None, Decimal("0.00"))
    with served.place.acting() as work:
        assert orders.days_of(work.get_one(Order, order.id)) == 60


@pytest.mark.clause("DL-2")
def test_while_the_clause_is_off_nothing_is_looked_at(sqlite_app: Any) -> None:
    served, first = served_again(5, clawback_days=60)
    served.place.clause("DL-2", holds=False)
    assert values.REPEATED not in found(served.place, first, served.agent, "company")


def test_checks_stand_on_the_statement(sqlite_app: Any) -> None:
    place, key, agent = begun()
    place.do(key, "solve")
    untell(key)
    place.later(days=30)
    with place.acting():
        made = settlement.settle_agent(place.unit.id, agent, "2025-11")
        assert made is not None
        lines = settlement.statements.lines_of(made.id)
        assert {one.checks[values.NOTICE][0] for one in lines} == {values.BAD}


def test_the_page_of_a_line_shows_what_stands_behind_it(sqlite_app: Any) -> None:
    place, key, agent = begun()
    place.do(key, "solve")
    place.now += timedelta(days=40)
    with place.acting() as work:
        record = settlement.settle_agent(place.unit.id, agent, f"{scene.MONDAY:%Y-%m}")
        assert record is not None
        line = work.scalars(
            select(StatementLine).where(StatementLine.direction == values.OWED_TO_US).limit(1)
        ).one()
        proofs = {str(one.label): one for one in line_evidence.proofs_of(line)}
    assert list(proofs) == ["Coverage decision", "Notice to an agent", "Old part"]
    assert proofs["Coverage decision"].text == "In warranty" and proofs["Coverage decision"].clause == "R18-5.1.1.1"
    assert proofs["Notice to an agent"].at <= scene.MONDAY
