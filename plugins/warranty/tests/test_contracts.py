"""Service contracts: drafting, signing, putting in force, what they promise, each clause by its id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.sdk import InvalidData, NotAllowed, Record, Refused, detail_of, perform, session
from plugins.products.tests import scene as products_scene
from plugins.warranty import contracts, rights
from plugins.warranty.models import ItemEvent
from tests.casework import ALL, Office, make_office
from tests.helpers import in_scope, login, make_user, switch_on

NOW = datetime(2026, 11, 16, 2, tzinfo=UTC)
TODAY = "2026-11-16"
RIGHTS = (
    ALL | {value for name, value in vars(rights).items() if name.isupper()} | {"products.view", "products.edit"}
)
PLAN = {
    "content": "每半年巡检一次，故障免费维修",
    "form": "上门",
    "free_months": "60",
    "solve_within": "24小时",
    "repairer": "本公司杭州服务站",
    "place": "杭州市西湖区",
    "training": "操作培训两天；出厂全检",
    "extras": "随机备件一套",
}
START = {"starts_on": TODAY, "ends_on": "2031-11-15", "engineers": "张工、李工", "agents": "王代表，赵代表"}


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def office(app: Flask) -> Office:
    made = make_office()
    switch_on(made.unit, "warranty")
    return made


def act(office: Office) -> Any:
    return in_scope(office.unit, RIGHTS, office.desk)


def draft(office: Office, customer: int = 0, **values: Any) -> int:
    customer = customer or products_scene.add_customer(office.unit)
    with act(office):
        raw = {"name": "三期设备服务合同", "customer_id": str(customer), **values}
        return contracts.register(office.unit.id, raw).id


def do(office: Office, record_id: int, step: str, **values: Any) -> None:
    with act(office):
        perform(record_id, step, values)


def state(office: Office, record_id: int) -> str:
    with act(office):
        return session().get(Record, record_id).state


def detail(office: Office, record_id: int) -> Any:
    with act(office):
        return detail_of(session().get(Record, record_id))


def item(office: Office, serial: str, **values: Any) -> None:
    with in_scope(office.unit, RIGHTS) as work:
        products_scene.add_item(office.unit, serial, **values)
        work.commit()


# --- signing -----------------------------------------------------------------------------------


@pytest.mark.clause("R22-0.1")
@pytest.mark.parametrize("empty", ["content", "form", "free_months", "solve_within", "repairer", "place"])
def test_a_plan_says_its_five_things_when_it_is_signed(office: Office, empty: str) -> None:
    key = draft(office)
    office.clause("R22-0.1")
    with pytest.raises(InvalidData) as bad:
        do(office, key, "sign", signed_on=TODAY, **{**PLAN, empty: ""})
    assert list(bad.value.errors) == [empty] and "R22-0.1" in str(bad.value.errors[empty][0])
    assert state(office, key) == "draft"
    do(office, key, "sign", signed_on=TODAY, **PLAN)
    assert state(office, key) == "signed"


@pytest.mark.clause("R22-0.1")
def test_what_the_draft_says_need_not_be_typed_again(office: Office) -> None:
    key = draft(office, **PLAN)
    office.clause("R22-0.1", "R22-0.2", "R10-3.1b")
    do(office, key, "sign", signed_on=TODAY, place="宁波市")
    found = detail(office, key)
    assert (found.place, found.form, found.free_months) == ("宁波市", "上门", 60)
    assert found.signed_on == date(2026, 11, 16)


@pytest.mark.clause("R22-0.2")
def test_a_plan_covers_training_quality_and_what_else_is_free(office: Office) -> None:
    key = draft(office)
    office.clause("R22-0.2")
    with pytest.raises(InvalidData) as bad:
        do(office, key, "sign", signed_on=TODAY, **{**PLAN, "training": "", "extras": ""})
    assert set(bad.value.errors) == {"training", "extras"}
    assert "R22-0.2" in str(bad.value.errors["extras"][0])
    do(office, key, "sign", signed_on=TODAY, **PLAN)


@pytest.mark.clause("R10-3.1b")
def test_a_contract_without_service_content_is_not_signed(office: Office) -> None:
    key = draft(office)
    office.clause("R10-3.1b")
    with pytest.raises(Refused) as bad:
        do(office, key, "sign", signed_on=TODAY)
    assert [one.clause for one in bad.value.refusals] == ["R10-3.1b"]
    do(office, key, "sign", signed_on=TODAY, content="每年保养一次")
    assert state(office, key) == "signed"


def test_where_no_clause_asks_a_contract_is_signed_as_it_is(office: Office) -> None:
    key = draft(office)
    with pytest.raises(InvalidData):
        do(office, key, "sign", signed_on="2026-11-17")
    do(office, key, "sign", signed_on=TODAY)
    assert state(office, key) == "signed"


# --- in force ----------------------------------------------------------------------------------


@pytest.mark.clause("R22-1.7")
@pytest.mark.parametrize("few", [{"engineers": "张工、张工"}, {"agents": "王代表"}, {"engineers": ""}])
def test_people_for_quality_tracking_are_named_before_it_begins(office: Office, few: dict[str, str]) -> None:
    key = draft(office)
    do(office, key, "sign", signed_on=TODAY)
    office.clause("R22-1.7")
    with pytest.raises(Refused) as bad:
        do(office, key, "start", **{**START, **few})
    assert [one.clause for one in bad.value.refusals] == ["R22-1.7"]
    do(office, key, "start", **START)
    assert state(office, key) == "in_force"


@pytest.mark.clause("R22-1.7")
def test_how_many_people_follows_the_parameters(office: Office) -> None:
    key = draft(office)
    do(office, key, "sign", signed_on=TODAY)
    office.clause("R22-1.7", engineers=3, agents=0)
    with pytest.raises(Refused) as bad:
        do(office, key, "start", **START)
    assert "3" in str(bad.value.refusals[0].text)
    do(office, key, "start", **{**START, "engineers": "甲,乙；丙", "agents": ""})


@pytest.mark.clause("R22-0.1")
def test_the_free_term_of_the_plan_covers_every_item(office: Office) -> None:
    item(office, "A-001")
    item(office, "A-002")
    office.clause("R22-0.1")
    key = draft(office, serials="a-001\nA-002", **PLAN)
    do(office, key, "sign", signed_on=TODAY)
    do(office, key, "start", **START)
    with act(office):
        rows = session().scalars(select(ItemEvent).order_by(ItemEvent.id)).all()
        assert [(one.kind, one.on, one.months, one.source, one.clause) for one in rows] == [
            ("agreed", date(2026, 11, 16), 60, f"contract:{key}", "R22-0.1")
        ] * 2
        assert [one.serial for one in contracts.items_of(key)] == ["A-001", "A-002"]


def test_a_contract_without_a_free_term_covers_nothing(office: Office) -> None:
    item(office, "A-001")
    key = draft(office, serials="A-001")
    do(office, key, "sign", signed_on=TODAY)
    with pytest.raises(InvalidData):
        do(office, key, "start", **{**START, "ends_on": "2026-11-01"})
    do(office, key, "start", **START)
    with act(office):
        assert session().scalars(select(ItemEvent)).all() == []


# --- drafting ----------------------------------------------------------------------------------


def test_items_of_others_are_unknown(office: Office) -> None:
    stranger = products_scene.add_customer(office.unit, "C00009", "乙公司")
    item(office, "THEIRS-1", customer_id=str(stranger))
    other = make_office("OTHER")
    item(other, "FAR-001")
    mine = products_scene.add_customer(office.unit)
    for serial in ("FAR-001", "NONE-1", "THEIRS-1"):
        with pytest.raises(InvalidData) as bad:
            draft(office, mine, serials=serial)
        assert list(bad.value.errors) == ["serials"] and serial in str(bad.value.errors["serials"][0])
    theirs = products_scene.add_customer(other.unit)
    with pytest.raises(InvalidData) as bad:
        draft(office, theirs)
    assert list(bad.value.errors) == ["customer_id"]


@pytest.mark.parametrize(
    "line", ["P-1", "P-1 = x", "P-1 = 12.345", "P-1 = -1", "= 5", "P-1 = NaN", "P-1 = 1e20", "P-1 = 1\nP-1 = 2"]
)
def test_a_price_that_is_none_is_refused_with_its_line(office: Office, line: str) -> None:
    with pytest.raises(InvalidData) as bad:
        draft(office, prices=line if "\n" in line else f"P-0 = 1\n{line}")
    assert list(bad.value.errors) == ["prices"] and "2" in str(bad.value.errors["prices"][0])


def test_prices_read_as_they_are_shown() -> None:
    text = "P-1 = 12.50\nBD 200/4 = 0.00"
    read = contracts.read_prices(text)
    assert read == {"P-1": Decimal("12.50"), "BD 200/4": Decimal("0.00")}
    assert contracts.show_prices({number: str(price) for number, price in read.items()}) == text
    assert contracts.read_prices("Ｐ-1：¥1,250") == {"P-1": Decimal("1250.00")}


def test_a_draft_is_changed_and_what_was_signed_is_not(office: Office) -> None:
    item(office, "A-001")
    key = draft(office, prices="P-1 = 10")
    with act(office):
        contracts.change(key, {"name": "改名", "serials": "A-001", "prices": "P-1 = 11"})
    assert (detail(office, key).name, detail(office, key).prices) == ("改名", {"P-1": "11.00"})
    do(office, key, "sign", signed_on=TODAY)
    with act(office), pytest.raises(Refused):
        contracts.change(key, {"name": "再改"})
    with in_scope(office.unit, {"case.view"}), pytest.raises(NotAllowed):
        contracts.register(office.unit.id, {"name": "x", "customer_id": "1"})


# --- prices ------------------------------------------------------------------------------------


def agreed(office: Office, case_id: int, day: str = TODAY) -> dict[str, Decimal]:
    with act(office):
        at = datetime.fromisoformat(f"{day}T02:00:00+00:00")
        return dict(contracts.agreed_prices(session().get(Record, case_id), at))


def in_force(office: Office, customer: int, **values: Any) -> int:
    dates = {name: values.pop(name) for name in ("starts_on", "ends_on") if name in values}
    key = draft(office, customer, **values)
    do(office, key, "sign", signed_on=TODAY)
    do(office, key, "start", **{**START, **dates})
    return key


def test_agreed_prices_hold_from_the_first_day_to_the_last(office: Office) -> None:
    customer = products_scene.add_customer(office.unit)
    case = products_scene.add_case(office.unit, "GD-1", customer_id=customer)
    key = draft(office, customer, prices="P-1 = 10")
    assert agreed(office, case) == {}
    do(office, key, "sign", signed_on=TODAY)
    assert agreed(office, case) == {}
    do(office, key, "start", **{**START, "ends_on": "2026-12-31"})
    assert agreed(office, case) == {"P-1": Decimal("10.00")}
    assert agreed(office, case, "2026-12-31") == {"P-1": Decimal("10.00")}
    assert agreed(office, case, "2027-01-01") == agreed(office, case, "2026-11-15") == {}
    with clock.frozen(datetime(2026, 11, 20, 2, tzinfo=UTC)):
        do(office, key, "end", reason="双方商定")
    assert agreed(office, case, "2026-11-19") == {"P-1": Decimal("10.00")}
    assert agreed(office, case, "2026-11-20") == {}


def test_prices_are_the_customers_own_and_those_of_the_items_named(office: Office) -> None:
    customer = products_scene.add_customer(office.unit)
    stranger = products_scene.add_customer(office.unit, "C00002", "乙公司")
    item(office, "A-001")
    with_item = products_scene.add_case(office.unit, "GD-1", "A-001", customer_id=customer)
    without = products_scene.add_case(office.unit, "GD-2", customer_id=customer)
    others = products_scene.add_case(office.unit, "GD-3", "A-001", customer_id=stranger)
    in_force(office, customer, prices="P-1 = 10\nP-2 = 20", starts_on="2026-11-01")
    in_force(office, customer, prices="P-1 = 9", serials="A-001")
    assert agreed(office, with_item) == {"P-1": Decimal("9.00"), "P-2": Decimal("20.00")}
    assert agreed(office, without) == {"P-1": Decimal("10.00"), "P-2": Decimal("20.00")}
    assert agreed(office, others) == {}


# --- pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_contract_is_drafted_found_and_shown(office: Office, app: Flask, language: str) -> None:
    customer = products_scene.add_customer(office.unit)
    item(office, "A-001")
    client = login(app.test_client(), make_user(office.unit, RIGHTS, locale=language), unit=office.unit)
    assert "杭州某某公司" in client.get(f"/admin/warranty/contracts/new/?customer={customer}").text
    form = {"name": "三期合同", "customer_id": customer, "serials": "A-001", "prices": "P-1 = 10", **PLAN}
    answer = client.post("/admin/warranty/contracts/new/", data=form)
    assert answer.status_code == 302, answer.text
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200 and "A-001" in page.text and "10.00" in page.text and "24小时" in page.text
    with act(office):
        key = session().scalars(select(Record.id).where(Record.type == contracts.CODE)).one()
    edit = client.get(f"/admin/warranty/contracts/edit/?id={key}")
    assert "A-001" in edit.text and "P-1 = 10.00" in edit.text
    wrong = client.post(f"/admin/warranty/contracts/edit/?id={key}", data={**form, "prices": "P-1"})
    assert wrong.status_code == 422
    changed = client.post(f"/admin/warranty/contracts/edit/?id={key}", data={**form, "name": "四期合同"})
    assert changed.status_code == 302
    assert "四期合同" in client.get("/admin/warranty/contracts/").text
    assert "四期合同" in client.get(f"/admin/customers/details/?id={customer}").text
    stale = client.post(f"/admin/warranty/contracts/edit/?id={key}", data={**form, "version": "1"})
    assert stale.status_code == 409
    do(office, key, "sign", signed_on=TODAY)
    late = client.post(f"/admin/warranty/contracts/edit/?id={key}", data=form)
    assert late.status_code == 422


def test_the_list_of_contracts_asks_as_often_with_many(office: Office, app: Flask, count_queries: Any) -> None:
    customer = products_scene.add_customer(office.unit)
    client = login(app.test_client(), make_user(office.unit, RIGHTS), unit=office.unit)

    def asked() -> int:
        client.get("/admin/warranty/contracts/")
        with count_queries() as seen:
            assert client.get("/admin/warranty/contracts/").status_code == 200
        return len(seen)

    draft(office, customer)
    few = asked()
    for _ in range(8):
        draft(office, customer)
    assert asked() == few
