"""Who sold an item turns out to be somebody else: its billed cases follow, also those settled long ago."""

from __future__ import annotations

import io
import threading
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel import importing
from core.kernel.outbox import Outbox
from core.sdk import Charge, Work, session, transaction
from plugins.agents import rebilling, sellers, values
from plugins.agents.models import Statement
from plugins.agents.tests import scene
from plugins.agents.tests.scene_settle import IN_DECEMBER, IN_NOVEMBER, NOVEMBER, Desk, make_desk
from plugins.products import services as products
from tests import api_scene
from tests.helpers import as_system, current, make_user

TOTAL = scene.JOB_TOTAL
FEE = "R18-5.1.2b"


@pytest.fixture
def desk(app: Any) -> Desk:
    """An item the first agent is known to have sold, with a case that was billed to it in October."""
    made = make_desk()
    made.place.item(agent=made.agents[0])
    made.cases.append(billed(made))
    return made


def billed(desk: Desk, serial: str = scene.SERIAL) -> int:
    key = desk.place.case(serial)
    desk.place.notify(key)
    desk.place.solve(key)
    desk.place.bill(key)
    return key


def item_of(desk: Desk, serial: str = scene.SERIAL) -> Any:
    return products.find_item(desk.unit.id, serial)


def correct(desk: Desk, number: int = 1, **more: str) -> None:
    """Say that another agent sold the item, as staff do on its page."""
    with desk.place.acting(), transaction():
        raw = {"agent": desk.code(number), "reason": "出库单查明", **more}
        sellers.set_seller(item_of(desk), raw, values.BY_HAND)


def owed(desk: Desk, key: int = 0) -> list[Decimal]:
    """What each of the two agents owes for a case, all corrections together."""
    lines = desk.place.charges(key or desk.cases[0], "agent")
    return [sum((one.amount for one in lines if one.payer_ref == desk.code(n)), Decimal("0.00")) for n in (0, 1)]


@pytest.mark.clause(FEE)
def test_a_seller_corrected_by_hand_bills_the_other_agent(desk: Desk) -> None:
    correct(desk)
    assert owed(desk) == [Decimal(0), TOTAL]
    bill = desk.place.bill_of(desk.cases[0])
    assert bill is not None and (bill.agent_id, bill.billed_at is None) == (desk.agents[1], False)
    assert desk.place.kinds(desk.cases[0])[-1] == "bill_changed"


@pytest.mark.clause(FEE)
def test_what_was_settled_stands_and_both_next_statements_are_corrected(desk: Desk) -> None:
    """The first agent paid in November; what it paid too much and what the other owes are lines of December."""
    desk.place.now = IN_NOVEMBER
    key = desk.invoiced()
    desk.pay(key)
    desk.do(key, "close")
    before = [(one.charge_id, one.amount) for one in desk.lines(key)]
    correct(desk)
    assert [(one.charge_id, one.amount) for one in desk.lines(key)] == before
    assert desk.sums(key)[0] == TOTAL
    assert {desk.charge(charge).state for charge, _amount in before if _amount} == {"settled"}
    desk.place.now = IN_DECEMBER
    assert desk.sums(desk.settled(NOVEMBER))[0] == -TOTAL
    assert desk.sums(desk.settled(NOVEMBER, 1))[0] == TOTAL
    assert owed(desk) == [Decimal(0), TOTAL]


@pytest.mark.clause(FEE)
def test_a_closed_case_follows_as_well(desk: Desk) -> None:
    desk.place.close(desk.cases[0])
    correct(desk)
    assert (owed(desk), desk.place.state(desk.cases[0])) == ([Decimal(0), TOTAL], "closed")


def test_named_on_one_case_the_others_of_the_item_follow(desk: Desk) -> None:
    desk.place.later(days=1)
    other = billed(desk)
    desk.place.do(other, "agents:name", {"agent": desk.code(1), "reason": "客户出示发票"})
    assert [owed(desk), owed(desk, other)] == [[Decimal(0), TOTAL]] * 2


def test_said_again_or_only_the_day_corrected_nothing_is_billed_anew(desk: Desk) -> None:
    lines = len(desk.place.charges(desk.cases[0]))
    correct(desk, 0, sold_on="2025-06-02")
    assert len(desk.place.charges(desk.cases[0])) == lines
    correct(desk)
    correct(desk, 0)
    assert owed(desk) == [TOTAL, Decimal(0)]


def test_the_contract_of_the_other_agent_counts(desk: Desk) -> None:
    desk.place.contract(desk.agents[1], (values.OWED_TO_US, values.PER_CASE, "300"))
    correct(desk)
    # The flat rate for the service, the parts by their price.
    assert owed(desk) == [Decimal(0), Decimal("600.00")]
    assert desk.place.owes(desk.cases[0], "company") == Decimal("680.00")


def test_a_case_on_which_an_agent_was_named_by_hand_stays_with_it(desk: Desk) -> None:
    desk.place.item("GTZZ16-0009", sold_class="")
    key = desk.place.case("GTZZ16-0009", product_class="4.2")
    desk.place.do(key, "agents:name", {"agent": desk.code(0)})
    desk.place.notify(key)
    desk.place.solve(key)
    desk.place.bill(key)
    with desk.place.acting():
        assert rebilling.billed_cases([item_of(desk, "GTZZ16-0009").id]) == []
        assert rebilling.billed_cases([item_of(desk).id]) == [desk.cases[0]]


def test_corrected_over_the_api_the_cases_follow(desk: Desk) -> None:
    api = api_scene.Asker(current.app, api_scene.token_of(make_user(desk.unit, scene.ALL)))
    given = {"serial": scene.SERIAL, "agent": desk.code(1), "reason": "出库单查明"}
    answer = api.post("/agents/sellers", given)
    assert answer.status_code == 201, answer.get_json()
    assert owed(desk) == [Decimal(0), TOTAL]


def test_a_file_of_sellers_has_the_cases_billed_anew_behind_it(desk: Desk) -> None:
    """Bills are not rows of the file: they follow by themselves, and an undone file leaves them to follow back."""
    text = f"序列号,代理商,销售日期,销售单号,原因\n{scene.SERIAL},{desk.code(1)},,,年终核对\n"
    with desk.place.acting():
        run = importing.stage("agents-sellers", desk.unit.id, io.BytesIO(text.encode()), "归属.csv").id
        session().commit()
        importing.confirm(run)
    assert owed(desk) == [TOTAL, Decimal(0)]
    work_off(desk)
    assert owed(desk) == [Decimal(0), TOTAL]
    with desk.place.acting():
        importing.undo(run)
    work_off(desk)
    assert owed(desk) == [TOTAL, Decimal(0)]


def work_off(desk: Desk) -> None:
    """Do the waiting work of billing anew, twice: done again, nothing changes."""
    with as_system() as work:
        found = [one.payload for one in work.scalars(select(Outbox)) if one.payload.get("job") == rebilling.JOB]
    assert found
    for one in (found[-1], found[-1]):
        with desk.place.acting():
            rebilling.follow_all(Work("t", desk.unit.id, one["payload"]))


def test_a_file_that_changes_no_bill_leaves_no_work(desk: Desk) -> None:
    desk.place.item("GTZZ16-0007")
    text = f"序列号,代理商\nGTZZ16-0007,{desk.code(1)}\n"
    with desk.place.acting():
        run = importing.stage("agents-sellers", desk.unit.id, io.BytesIO(text.encode()), "归属.csv").id
        session().commit()
        importing.confirm(run)
    with as_system() as work:
        assert not [one for one in work.scalars(select(Outbox)) if one.payload.get("job") == rebilling.JOB]


@pytest.mark.clause(FEE)
def test_a_corrected_serial_number_bills_whoever_sold_that_item(desk: Desk) -> None:
    other = "GTZZ16-0008"
    desk.place.item(other, agent=desk.agents[1])
    desk.place.edit(desk.cases[0], serial_text=other)
    assert owed(desk) == [Decimal(0), TOTAL]
    assert desk.place.kinds(desk.cases[0])[-1] == "bill_changed"


@pytest.mark.clause(FEE)
def test_another_detail_corrected_the_bill_is_left_alone(desk: Desk) -> None:
    lines = len(desk.place.charges(desk.cases[0]))
    desk.place.edit(desk.cases[0], contact_name="另一位")
    assert len(desk.place.charges(desk.cases[0])) == lines
    assert "bill_changed" not in desk.place.kinds(desk.cases[0])


def test_an_undone_file_that_named_the_first_seller_takes_the_bills_back(desk: Desk) -> None:
    serial = "GTZZ16-0007"
    desk.place.item(serial)
    text = f"序列号,代理商\n{serial},{desk.code(1)}\n"
    with desk.place.acting():
        run = importing.stage("agents-sellers", desk.unit.id, io.BytesIO(text.encode()), "归属.csv").id
        session().commit()
        importing.confirm(run)
    key = billed(desk, serial)
    assert owed(desk, key) == [Decimal(0), TOTAL]
    with desk.place.acting():
        importing.undo(run)
    work_off(desk)
    assert owed(desk, key) == [Decimal(0), Decimal(0)]
    assert owed(desk) == [TOTAL, Decimal(0)]


def test_charges_and_statements_still_agree(desk: Desk) -> None:
    desk.place.now = IN_NOVEMBER
    desk.sent()
    correct(desk)
    desk.place.now = IN_DECEMBER
    desk.settled(NOVEMBER)
    desk.settled(NOVEMBER, 1)
    lines = [line for key in statements_of(desk) for line in desk.lines(key)]
    charges = desk._all(select(Charge).where(Charge.payer == "agent"))
    assert sorted(one.charge_id for one in lines) == sorted(one.id for one in charges)
    assert sum(one.amount for one in lines) == sum(one.amount for one in charges) == TOTAL


def statements_of(desk: Desk) -> list[int]:
    return [one.id for one in desk._all(select(Statement))]


def test_billed_while_somebody_says_who_sold_it_the_bill_is_of_whoever_it_was(app: Any) -> None:
    """Neither waits for the other in circles, and whichever comes first, the other one follows."""
    desk = make_desk()
    desk.place.item(agent=desk.agents[0])
    key = desk.place.case()
    desk.place.notify(key)
    desk.place.solve(key)
    gate, app_ = threading.Barrier(2), current()
    failed: list[BaseException] = []

    def work(act: Any) -> None:
        try:
            with app_.app_context():
                gate.wait(30)
                act()
        except Exception as error:  # looked at below
            failed.append(error)

    threads = [
        threading.Thread(target=work, args=(one,)) for one in (lambda: desk.place.bill(key), lambda: correct(desk))
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert not failed
    assert owed(desk, key) == [Decimal(0), TOTAL]
