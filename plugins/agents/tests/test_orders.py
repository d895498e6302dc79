"""Cases passed to service agents: whose hands they are in, what we owe for them, what is taken back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.rules.obligation_models import Obligation
from core.sdk import InvalidData, NotAllowed, Record, Refused, User, charges, money_math, perform
from plugins.agents import orders, values
from plugins.agents.models import Contact, Order
from plugins.agents.tests import scene
from tests.casework import SOLVED
from tests.helpers import as_system, login, make_user

PER_CASE = (values.OWED_BY_US, values.PER_CASE, "180")
PER_VISIT = (values.OWED_BY_US, values.PER_VISIT, "60")


class Served:
    """A place with a service agent, its technician and a contract that pays for cases and visits."""

    def __init__(self, *rates: Any, **columns: Any) -> None:
        self.place = scene.make_place()
        self.agent = self.place.agent(values.SERVICE, regions=["杭州"])
        self.contract = self.place.contract(self.agent, *rates, **columns) if rates else None
        _contact, self.technician = self.place.contact(self.agent)

    def case(self, **changes: Any) -> int:
        if "serial" not in changes:
            self.place.item(sold_class="own")
        return self.place.case(**changes)

    def assign(self, key: int, user: User | None = None) -> None:
        self.place.do(key, "assign", {"assignee_id": (user or self.technician).id})

    def as_technician(self, key: int, step: str, given: Any = None, user: User | None = None) -> None:
        """Take a step as the agent's person, who holds nothing but the permission of their own pages."""
        with self.place.acting(user or self.technician, {"agents.own"}):
            perform(key, step, given or {})

    def serve(self, key: int) -> None:
        self.assign(key)
        for step in ("accept", "depart", "arrive"):
            self.as_technician(key, step)
        self.place.later(hours=2)
        self.as_technician(key, "solve", SOLVED)

    def orders(self, key: int) -> list[Order]:
        return self.place._all(select(Order).where(Order.record_id == key).order_by(Order.id))

    def order(self, key: int) -> Order:
        return self.orders(key)[-1]

    def owed(self, key: int) -> Decimal:
        code = self.place.code_of(self.agent)
        mine = [one for one in self.place.charges(key, "company") if one.payer_ref == code]
        return sum((one.amount for one in mine), Decimal("0.00"))


def test_assigned_to_an_agents_technician_a_case_becomes_their_order(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.assign(key)
    order = served.order(key)
    assert (order.state, order.current, order.agent_id) == (values.PASSED, True, served.agent)
    assert "passed_on" in served.place.kinds(key)
    served.as_technician(key, "accept")
    assert served.order(key).state == values.ACCEPTED
    assert served.order(key).answered_at == served.place.now


def test_our_own_technician_is_no_order(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.place.do(key, "assign")
    assert served.orders(key) == []


@pytest.mark.parametrize("change", ["role", "contact", "agent", "kind"])
def test_only_a_technician_in_use_of_a_serving_agent_gets_orders(app: Any, change: str) -> None:
    served = Served(PER_CASE)
    with as_system() as work:
        contact = work.scalars(select(Contact).where(Contact.user_id == served.technician.id)).one()
        if change == "role":
            contact.role = values.BUSINESS
        elif change == "contact":
            contact.active = False
        elif change == "agent":
            contact.agent.active = False
        else:
            contact.agent.kind = values.PARTNER
    key = served.case()
    served.assign(key)
    assert served.orders(key) == []


def test_who_sets_out_has_accepted(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.assign(key)
    served.as_technician(key, "depart")
    assert served.order(key).state == values.ACCEPTED


def test_declined_it_is_in_nobodys_hands(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.assign(key)
    served.as_technician(key, "decline", {"reason": "人手不够"})
    order = served.order(key)
    assert (order.state, order.current, order.reason) == (values.DECLINED, False, "人手不够")
    assert served.owed(key) == 0


def test_given_to_another_the_former_order_is_withdrawn(app: Any) -> None:
    served = Served(PER_CASE)
    other = served.place.agent(values.SERVICE)
    _contact, their = served.place.contact(other, name="乙方师傅")
    key = served.case()
    served.assign(key)
    served.assign(key, their)
    first, second = served.orders(key)
    assert (first.state, first.current) == (values.WITHDRAWN, False)
    assert (second.state, second.current, second.agent_id) == (values.PASSED, True, other)
    served.place.do(key, "assign")
    assert [one.state for one in served.orders(key)] == [values.WITHDRAWN, values.WITHDRAWN]


def test_another_person_of_the_same_agent_takes_the_order_over(app: Any) -> None:
    served = Served(PER_CASE)
    contact, colleague = served.place.contact(served.agent, name="同事")
    key = served.case()
    served.assign(key)
    served.as_technician(key, "accept")
    served.assign(key, colleague)
    (order,) = served.orders(key)
    assert (order.state, order.contact_id, order.answered_at) == (values.PASSED, contact, None)


@pytest.mark.clause("DL-1")
def test_solved_we_owe_what_the_contract_says_and_it_is_posted(app: Any) -> None:
    served = Served(PER_CASE, PER_VISIT, (values.OWED_BY_US, values.PER_HOUR, "30"))
    key = served.case()
    served.serve(key)
    made = [one for one in served.place.charges(key, "company") if one.payer_ref]
    assert {(one.code, one.amount, one.clause, one.state) for one in made} == {
        (values.PER_CASE, Decimal("180.00"), "DL-1", "posted"),
        (values.PER_VISIT, Decimal("60.00"), "DL-1", "posted"),
        (values.PER_HOUR, Decimal("60.00"), "DL-1", "posted"),
    }
    assert {one.payer_ref for one in made} == {served.place.code_of(served.agent)}
    order = served.order(key)
    assert (order.state, order.contract_id, order.done_at) == (values.DONE, served.contract, served.place.now)


@pytest.mark.clause("DL-1")
def test_without_a_rate_nothing_is_owed_and_it_waits_on_a_list(app: Any) -> None:
    served = Served()
    key = served.case()
    served.serve(key)
    assert served.owed(key) == 0
    assert (served.order(key).state, served.order(key).contract_id) == (values.DONE, None)
    client = login(app.test_client(), make_user(served.place.unit, scene.ALL))
    number = _number(served.place, key)
    assert number in client.get("/admin/agents/orders/?quick=no_rate").text
    assert number not in client.get("/admin/agents/orders/?quick=repeated").text


@pytest.mark.clause("DL-1")
def test_a_contract_that_ran_out_pays_nothing_more(app: Any) -> None:
    served = Served(PER_CASE, ends_on=(scene.MONDAY - timedelta(days=10)).date())
    key = served.case()
    served.serve(key)
    assert served.owed(key) == 0
    assert served.order(key).contract_id is None


@pytest.mark.clause("DL-1")
def test_where_the_clause_is_off_nothing_is_owed(app: Any) -> None:
    served = Served(PER_CASE)
    served.place.clause("DL-1", holds=False)
    key = served.case()
    served.serve(key)
    assert served.owed(key) == 0


def test_a_rate_that_is_entered_later_is_worked_out_by_hand(app: Any) -> None:
    served = Served()
    key = served.case()
    served.serve(key)
    served.contract = served.place.contract(served.agent, PER_VISIT)
    order = served.order(key)
    with served.place.acting():
        orders.work_out(order.id, {"visits": "2"})
    assert served.owed(key) == Decimal("120.00")
    with served.place.acting():
        orders.work_out(order.id, {"visits": "1"})
    assert served.owed(key) == Decimal("60.00")
    assert served.order(key).contract_id == served.contract


@pytest.mark.clause("DL-1")
def test_worked_on_again_it_is_never_owed_twice(app: Any) -> None:
    served = Served(PER_CASE, (values.OWED_BY_US, values.PER_HOUR, "30"))
    key = served.case()
    served.serve(key)
    once = served.owed(key)
    served.place.do(key, "rework")
    assert (served.order(key).state, served.order(key).done_at) == (values.ACCEPTED, None)
    served.place.later(hours=5)
    served.as_technician(key, "solve", SOLVED)
    assert served.owed(key) == once
    served.place.do(key, "confirm", {"means": "seal", "rating": "5"})
    served.place.do(key, "reopen")
    served.serve(key)
    assert served.owed(key) == once
    assert len(served.orders(key)) == 1


def test_sent_back_and_given_to_our_own_people_it_is_owed_no_more(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.serve(key)
    served.place.do(key, "rework")
    served.place.do(key, "assign")
    assert served.order(key).state == values.WITHDRAWN
    assert served.owed(key) == 0
    assert len(served.place.charges(key, "company")) == 2  # the posted line stays, another corrects it


def test_reopened_for_somebody_else_what_was_done_stays_owed(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.serve(key)
    served.place.do(key, "confirm", {"means": "seal", "rating": "5"})
    served.place.do(key, "reopen")
    served.place.do(key, "assign")
    assert (served.order(key).state, served.order(key).current) == (values.DONE, False)
    assert served.owed(key) == Decimal("180.00")


def test_cancelled_it_is_withdrawn(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.assign(key)
    served.place.do(key, "cancel")
    assert (served.order(key).state, served.order(key).current) == (values.WITHDRAWN, False)


# --- the same clocks -----------------------------------------------------------------------------


def _clocks(place: scene.Place, key: int) -> list[tuple[Any, ...]]:
    rows = place._all(select(Obligation).where(Obligation.record_id == key).order_by(Obligation.clause))
    return [(one.clause, one.state, one.start_at, one.due_at) for one in rows]


def test_passing_on_leaves_the_time_limits_of_the_case_as_they_are(app: Any) -> None:
    served = Served(PER_CASE)
    served.place.office.clause("R01-4.3a")
    ours, theirs = served.case(), served.case(serial=scene.SERIAL)
    served.place.do(ours, "assign")
    served.assign(theirs)
    assert _clocks(served.place, ours)
    assert _clocks(served.place, ours) == _clocks(served.place, theirs)
    served.place.later(minutes=20)
    for step in ("accept", "depart", "arrive"):
        served.place.do(ours, step)
        served.as_technician(theirs, step)
        assert _clocks(served.place, ours) == _clocks(served.place, theirs)
    served.place.do(ours, "solve")
    served.as_technician(theirs, "solve", SOLVED)
    assert _clocks(served.place, ours) == _clocks(served.place, theirs)


# --- taking back ---------------------------------------------------------------------------------


def _again(served: Served, days: int, cause: str = "repair") -> tuple[int, int]:
    """Serve a case, and let the same item come in again after days; return both."""
    first = served.case()
    served.serve(first)
    served.place.later(days=days)
    return first, served.place.case(cause=cause)


@pytest.mark.clause("DL-2")
@pytest.mark.parametrize(("days", "marked"), [(30, True), (31, False)])
def test_a_faulty_repair_inside_the_days_marks_the_order_done_before(app: Any, days: int, marked: bool) -> None:
    served = Served(PER_CASE)
    first, again = _again(served, days)
    assert served.order(first).repeated_id == (again if marked else None)
    assert served.owed(first) == Decimal("180.00")  # only a person takes it back


@pytest.mark.clause("DL-2")
def test_the_days_of_the_contract_win(app: Any) -> None:
    served = Served(PER_CASE, clawback_days=90)
    first, again = _again(served, 60)
    assert served.order(first).repeated_id == again


@pytest.mark.clause("DL-2")
def test_another_cause_marks_nothing_and_a_revised_one_takes_the_mark_away(app: Any) -> None:
    served = Served(PER_CASE)
    first, again = _again(served, 5, cause="quality")
    assert served.order(first).repeated_id is None
    served.place.do(again, "warranty:decide", {"cause": "repair", "reason": "拆检后"})
    assert served.order(first).repeated_id == again
    served.place.do(again, "warranty:decide", {"cause": "quality", "reason": "复核"})
    assert served.order(first).repeated_id is None


@pytest.mark.clause("DL-2")
def test_pay_is_taken_back_by_a_correcting_line(app: Any) -> None:
    served = Served(PER_CASE, PER_VISIT)
    first, _again_key = _again(served, 5)
    order = served.order(first)
    with served.place.acting():
        orders.take_back(order.id, {"amount": "200", "reason": "30天内返修"})
    assert served.owed(first) == Decimal("40.00")
    assert served.order(first).taken_back_at == served.place.now
    lines = [one for one in served.place.charges(first, "company") if one.payer_ref]
    assert sorted(one.amount for one in lines) == [
        Decimal("-140.00"),
        Decimal("-60.00"),
        Decimal("60.00"),
        Decimal("180.00"),
    ]
    assert {one.reason for one in lines if one.amount < 0} == {"30天内返修"}
    with served.place.acting(), pytest.raises(Refused):
        orders.work_out(order.id, {"visits": "1"})
    with served.place.acting():
        orders.take_back(order.id, {"reason": "全部"})
    assert served.owed(first) == 0
    with served.place.acting(), pytest.raises(Refused):
        orders.take_back(order.id, {"reason": "再来"})


@pytest.mark.clause("DL-2")
@pytest.mark.parametrize(
    "given", [{"reason": ""}, {"amount": "0", "reason": "x"}, {"amount": "180.01", "reason": "x"}]
)
def test_a_reason_is_needed_and_no_more_is_taken_than_was_owed(app: Any, given: dict[str, str]) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.serve(key)
    with served.place.acting(), pytest.raises(InvalidData):
        orders.take_back(served.order(key).id, given)
    assert served.owed(key) == Decimal("180.00")


@pytest.mark.clause("DL-2")
def test_where_the_clause_is_off_nothing_is_taken_back(app: Any) -> None:
    served = Served(PER_CASE)
    served.place.clause("DL-2", holds=False)
    first, _key = _again(served, 5)
    assert served.order(first).repeated_id is None
    with served.place.acting(), pytest.raises(Refused):
        orders.take_back(served.order(first).id, {"reason": "x"})


def test_only_who_settles_takes_back_and_only_what_is_done(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.assign(key)
    with served.place.acting(), pytest.raises(Refused):
        orders.take_back(served.order(key).id, {"reason": "x"})
    for call in (orders.take_back, orders.work_out):
        with served.place.acting(permissions=scene.ALL - {"agents.settle"}), pytest.raises(NotAllowed):
            call(served.order(key).id, {"reason": "x", "visits": "1"})


# --- screens -------------------------------------------------------------------------------------


def _number(place: scene.Place, key: int) -> str:
    return str(place._all(select(Record.number).where(Record.id == key))[0])


def test_staff_see_the_order_take_pay_back_and_see_what_the_customer_got_back(app: Any) -> None:
    served = Served(PER_CASE)
    first, again = _again(served, 5)
    client = login(app.test_client(), make_user(served.place.unit, scene.ALL))
    order = served.order(first)
    page = client.get(f"/p/agents/order/{order.id}")
    assert page.status_code == 200
    assert _number(served.place, again) in page.text and "180.00" in page.text
    assert _number(served.place, first) in client.get("/admin/agents/orders/?quick=repeated").text
    bad = client.post(f"/p/agents/order/{order.id}/take-back", data={"amount": "500", "reason": "返修"})
    assert bad.status_code == 422
    done = client.post(f"/p/agents/order/{order.id}/take-back", data={"amount": "80", "reason": "返修"})
    assert done.status_code == 302
    assert served.owed(first) == Decimal("100.00")
    record = client.get(f"/admin/record/{first}").text
    assert f"/p/agents/order/{order.id}" in record
    assert client.get(f"/p/agents/order/{order.id}/work-out").status_code == 200


def test_the_case_names_service_agents_of_its_region(app: Any) -> None:
    served = Served(PER_CASE)
    far = served.place.agent(values.SERVICE, name="广东服务站", regions=["广州"])
    served.place.contact(far, name="粤师傅")
    key = served.case()
    client = login(app.test_client(), make_user(served.place.unit, scene.ALL))
    text = client.get(f"/admin/record/{key}").text
    assert "代理师傅" in text.split("panel-agents-orders")[1]
    assert "粤师傅" not in text.split("panel-agents-orders")[1].split("</section>")[0]


def test_pages_of_orders_are_for_those_who_may(app: Any) -> None:
    served = Served(PER_CASE)
    key = served.case()
    served.serve(key)
    order = served.order(key)
    nobody = login(app.test_client(), make_user(served.place.unit, {"case.view"}))
    for path in ("", "/take-back", "/work-out"):
        assert nobody.get(f"/p/agents/order/{order.id}{path}").status_code == 404
    looker = login(app.test_client(), make_user(served.place.unit, {"agents.view"}))
    assert looker.get(f"/p/agents/order/{order.id}").status_code == 200
    assert looker.post(f"/p/agents/order/{order.id}/take-back", data={"reason": "x"}).status_code == 403
    assert looker.get("/p/agents/order/99999999").status_code == 404


def test_hours_are_counted_to_the_thousandth(app: Any) -> None:
    served = Served((values.OWED_BY_US, values.PER_HOUR, "100"))
    key = served.case()
    served.assign(key)
    served.as_technician(key, "depart")
    served.place.later(minutes=20)
    served.as_technician(key, "solve", SOLVED)
    (line,) = [one for one in served.place.charges(key, "company") if one.payer_ref]
    assert (line.quantity, line.amount) == (Decimal("0.333"), money_math.times(Decimal("0.333"), Decimal(100)))
    assert line.state == charges.POSTED
