"""Who is of which class, what follows from it, in which currency fees are settled, and what recurs."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.kernel.errors import Refused
from core.records.attachments import attach
from core.records.engine import ask
from core.rules import schedules
from core.sdk import Record, perform, system_scope
from core.tasks.models import Task
from plugins.agents import rights, values
from plugins.agents.models import Agent, Contract, Statement
from plugins.agents.tests.scene import EQUIP, JOB, JOB_TOTAL, PLAT_K, Place, make_place
from plugins.products import services as products
from plugins.warranty import services as warranty
from tests.casework import reading
from tests.helpers import as_system, current

LONG_AGO = "2019-03-08"
FINANCE = frozenset({rights.VIEW, rights.FINANCE})


@pytest.fixture
def place(sqlite_app: Any) -> Place:
    return make_place(EQUIP)


@pytest.fixture
def korea(sqlite_app: Any) -> Place:
    return make_place(PLAT_K)


def number(place: Place, sold_class: str) -> str:
    with reading():
        return products.class_number(place.unit.id, sold_class)


def class_of(place: Place, key: int) -> str:
    with place.acting() as work:
        return warranty.product_class_of(work.get_one(Record, key))


# --- classes -------------------------------------------------------------------------------------


@pytest.mark.clause("R18-4.2")
def test_sold_by_an_agent_is_the_class_the_clause_says(place: Place) -> None:
    place.item()
    assert class_of(place, place.case(cause="")) == "4.2"
    place.clause("R18-4.2", **{"class": "4.6"})
    assert number(place, "agent") == "4.6"
    assert class_of(place, place.case(cause="")) == "4.6"
    assert number(place, "own") == "4.1"


@pytest.mark.clause("R19-4.2", "R19-4.3")
def test_a_partners_product_is_of_the_class_of_who_sold_it(korea: Place) -> None:
    assert (number(korea, "partner"), number(korea, "partner_sold")) == ("4.2", "4.3")
    korea.clause("R19-4.2", **{"class": "4.5"})
    korea.clause("R19-4.3", **{"class": "4.6"})
    assert (number(korea, "partner"), number(korea, "partner_sold")) == ("4.5", "4.6")
    korea.item("HF-1", "partner")
    korea.item("HF-2", "partner_sold")
    assert class_of(korea, korea.case("HF-1", cause="")) == "4.5"
    assert class_of(korea, korea.case("HF-2", cause="")) == "4.6"


@pytest.mark.clause("R18-4.2")
def test_a_class_keeps_its_number_where_no_clause_names_one(place: Place) -> None:
    place.clause("R18-4.2", holds=False, **{"class": "4.6"})
    assert number(place, "agent") == "4.2"


@pytest.mark.clause("R18-5.2.2")
def test_out_of_warranty_an_agents_customer_pays_like_everybody(place: Place) -> None:
    agent = place.agent()
    place.item("A-1", "agent", agent, purchased_on=LONG_AGO)
    place.item("O-1", "own", purchased_on=LONG_AGO)
    for serial in ("A-1", "O-1"):
        key = place.case(serial, cause="wear")
        place.do(key, "warranty:quote", JOB)
        assert place.total(key, "customer").payable == JOB_TOTAL
        assert place.charges(key, "agent") == []
        with place.acting() as work:
            against = {
                refusal.clause
                for one in ask(work.get_one(Record, key))
                for refusal in one.refusals
                if one.transition.name in ("assign", "depart", "arrive", "start")
            }
        assert "R18-5.1.2" not in against


# --- currency ------------------------------------------------------------------------------------


def drafted(place: Place, currency: str, state: str = "draft") -> int:
    """A contract with its paper, as its page has it."""
    key = place.contract(place.agent(), currency=currency, state=state)
    with place.acting():
        attach(key, "contract.txt", io.BytesIO(b"paper"))
    return key


def sign(place: Place, key: int) -> None:
    with place.acting():
        perform(key, "sign", {"signed_on": "2025-11-03"})


def refused(call: Any) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        call()
    return [(one.code, one.clause) for one in caught.value.refusals]


@pytest.mark.clause("R14-5.8.1")
def test_contracts_are_signed_in_renminbi(place: Place) -> None:
    place.clause("R14-5.8.1")
    dollars, yuan = drafted(place, "USD"), drafted(place, "CNY")
    assert refused(lambda: sign(place, dollars)) == [("currency", "R14-5.8.1")]
    assert place.state(dollars) == "draft"
    sign(place, yuan)
    assert place.state(yuan) == "signed"
    place.clause("R14-5.8.1", currency="usd")
    sign(place, dollars)
    assert refused(lambda: sign(place, drafted(place, "CNY"))) == [("currency", "R14-5.8.1")]


@pytest.mark.clause("R14-5.8.1")
def test_a_contract_signed_before_the_clause_is_not_put_in_force(place: Place) -> None:
    place.clause("R14-5.8.1", holds=False)
    key = drafted(place, "KRW")
    sign(place, key)
    place.clause("R14-5.8.1")
    with place.acting():
        assert refused(lambda: perform(key, "start", {})) == [("currency", "R14-5.8.1")]


@pytest.mark.clause("R14-5.8.1")
@pytest.mark.parametrize(("currency", "allowed"), [("CNY", True), ("USD", False), ("", True)])
def test_a_statement_in_another_currency_is_not_invoiced(place: Place, currency: str, allowed: bool) -> None:
    place.clause("R14-5.8.1")
    agent = place.agent()
    contract = place.contract(agent, currency=currency) if currency else None
    key = sealed(place, agent, contract)
    with place.acting(permissions=FINANCE | {"case.view"}):
        if allowed:
            perform(key, "invoice", {"our_invoice": "04400001"})
        else:
            against = refused(lambda: perform(key, "invoice", {"our_invoice": "04400001"}))
            assert against == [("currency", "R14-5.8.1")]
    assert place.state(key) == ("invoiced" if allowed else "sealed")


def sealed(place: Place, agent: int, contract: int | None) -> int:
    """A statement that both sides have sealed."""
    key = place.contract(agent, state="draft")  # its record serves as that of the statement
    with as_system() as work:
        work.delete(work.get_one(Contract, key))
        work.flush()
        record = work.get_one(Record, key)
        record.type, record.state, record.number = "agents_statement", "sealed", f"DZ-{key}"
        made = Statement(id=key, unit_id=place.unit.id, agent_id=agent, period="2025-10", drafting=False)
        made.receivable, made.contract_id = Decimal("100.00"), contract
        work.add(made)
    return key


# --- what recurs ---------------------------------------------------------------------------------


def due(place: Place, day: date) -> list[tuple[str, str, str, date]]:
    """Let the recurring work of a day be made; return (clause, subject, begin, due) of ours."""
    moment = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
    with clock.frozen(moment), current().app_context(), system_scope("test") as work:
        schedules.create_due(place.unit.id)
        wanted = select(Task).where(Task.unit_id == place.unit.id, Task.clause.in_(("R14-5.8.2", "R22-1.X4")))
        found = work.scalars(wanted.order_by(Task.id))
        return [(one.clause, one.subject_text, one.starts_on.isoformat(), one.due_on) for one in found]


@pytest.mark.clause("R14-5.8.2")
def test_every_month_somebody_is_asked_for_the_statements(app: Any) -> None:
    place = make_place(EQUIP)
    place.clause("R14-5.8.2")
    assert due(place, date(2025, 11, 20)) == []  # the plugin came in the middle of that month
    first = ("R14-5.8.2", "", "2025-12-01", date(2025, 12, 31))
    assert due(place, date(2025, 12, 1)) == due(place, date(2025, 12, 20)) == [first]
    assert due(place, date(2026, 1, 1)) == [first, ("R14-5.8.2", "", "2026-01-01", date(2026, 1, 31))]


@pytest.mark.clause("R22-1.X4")
def test_every_service_agent_in_use_is_evaluated_every_half_year(app: Any) -> None:
    place = make_place(EQUIP)
    place.clause("R22-1.X4")
    first = place.agent(values.SERVICE, "宁波服务站")
    place.agent(values.SERVICE, "停用服务站", active=False)
    place.agent(values.AGENT, "华东代理")
    ningbo = ("R22-1.X4", "宁波服务站", "2026-01-01", date(2026, 6, 30))
    assert due(place, date(2026, 1, 4)) == [ningbo]
    second = place.agent(values.SERVICE, "温州服务站")
    wenzhou = ("R22-1.X4", "温州服务站", "2026-01-01", date(2026, 6, 30))
    assert due(place, date(2026, 1, 5)) == [ningbo, wenzhou]
    with as_system() as work:
        work.get_one(Agent, first).active = False
        work.get_one(Agent, second).name = "温州维修站"  # a task follows the number, not the name
    again = ("R22-1.X4", "温州维修站", "2026-07-01", date(2026, 12, 31))
    assert due(place, date(2026, 7, 1)) == [ningbo, wenzhou, again]
