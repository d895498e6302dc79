"""The product file over HTTP: look-up, case form, panels, lists; switched off and from other units."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core.sdk import Unit, session
from plugins.products import plugin, services
from plugins.products.models import Category, Item, ProductRecord
from plugins.products.tests.scene import add_case, add_customer, add_item, staff
from tests import helpers

SERIAL = "RB18A-2302-00001"
OFFICE = (
    services.VIEW,
    services.EDIT,
    services.IMPORT,
    "case.view",
    "case.create",
    "case.edit",
    "customer.view",
    "customer.create",
)
PAGES = ("items", "models", "batches", "categories")


class Office:
    """A unit with the plugin on, and somebody of its office signed in."""

    def __init__(self, app: Any, **values: Any) -> None:
        self.unit: Unit = helpers.make_unit(**values)
        helpers.switch_on(self.unit, "products")
        self.user = helpers.make_user(self.unit, OFFICE, locale="en")
        self.client: FlaskClient = helpers.login(app.test_client(), self.user)

    def get(self, url: str, status: int = 200) -> str:
        answer = self.client.get(url)
        assert answer.status_code == status, answer.get_data(as_text=True)[:800]
        return answer.get_data(as_text=True)


@pytest.fixture
def office(app: Any) -> Office:
    return Office(app)


def version_on(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found is not None
    return found.group(1)


def test_lists_and_forms_open(office: Office) -> None:
    for page in PAGES:
        office.get(f"/admin/products/{page}/")
        office.get(f"/admin/products/{page}/new/")
        office.get(f"/admin/products/{page}/?search=%25_'&order=nope&f_model=abc&cursor=x")


def test_switched_off_everything_is_gone_and_the_data_stays(office: Office) -> None:
    item = add_item(office.unit)
    helpers.switch_off(office.unit, "products")
    for url in (
        *(f"/admin/products/{page}/" for page in PAGES),
        f"/admin/products/items/details/?id={item}",
        f"/p/products/lookup?serial={SERIAL}",
        f"/p/products/s/{SERIAL}",
    ):
        office.get(url, 404)
    assert "products/items" not in office.get("/admin/")
    helpers.switch_on(office.unit, "products")
    assert SERIAL in office.get(f"/admin/products/items/details/?id={item}")


def test_starter_categories_come_with_the_switch_once(office: Office) -> None:
    def count() -> int:
        with staff(office.unit) as work:
            return len(work.scalars(select(Category.id)).all())

    before = count()
    helpers.switch_off(office.unit, "products")
    helpers.switch_on(office.unit, "products")
    assert before > 0 and count() == before


def test_lookup_answers_for_the_own_unit_only(office: Office, app: Any) -> None:
    other = Office(app)
    customer = add_customer(office.unit)
    add_item(office.unit, customer_id=str(customer), sold_class="agent", purchased_on="2023-04-27")
    url = "/p/products/lookup"
    found = office.client.get(url, query_string={"serial": " rb18a-2302-00001"}).get_json()
    assert found["found"] and found["text"] == "RB18A 空气能热泵" and found["customer"]["id"] == customer
    assert found["purchased_on"] == "2023-04-27"
    assert other.client.get(url, query_string={"serial": SERIAL}).get_json() == {"found": False}
    for wrong in ("", "%", "x" * 500, "\x00", "1 OR 1=1"):
        assert office.client.get(url, query_string={"serial": wrong}).get_json() == {"found": False}


def test_customers_and_cases_stay_hidden_from_who_may_not_see_them(office: Office, app: Any) -> None:
    add_item(office.unit, customer_id=str(add_customer(office.unit)))
    viewer = helpers.make_user(office.unit, (services.VIEW,), locale="en")
    client = helpers.login(app.test_client(), viewer)
    found = client.get("/p/products/lookup", query_string={"serial": SERIAL}).get_json()
    assert found["found"] and "customer" not in found
    assert "杭州某某公司" not in client.get("/admin/products/items/").get_data(as_text=True)
    item = found["id"]
    add_case(office.unit, "GD-SECRET-1", SERIAL)
    page = client.get(f"/admin/products/items/details/?id={item}").get_data(as_text=True)
    assert SERIAL in page and "杭州某某公司" not in page and "GD-SECRET-1" not in page
    nobody = helpers.login(app.test_client(), helpers.make_user(office.unit, ("case.view",), locale="en"))
    assert nobody.get("/p/products/lookup", query_string={"serial": SERIAL}).status_code == 403
    assert nobody.get("/admin/products/items/").status_code == 403


def test_item_of_another_unit_is_not_there(office: Office, app: Any) -> None:
    other = Office(app)
    item = add_item(other.unit)
    for raw in (item, "abc", "9" * 30, "", "-1"):
        office.get(f"/admin/products/items/details/?id={raw}", 404)
        office.get(f"/admin/products/items/edit/?id={raw}", 404)
    office.get(f"/p/products/s/{SERIAL}", 404)
    assert SERIAL not in office.get("/admin/products/items/")
    assert SERIAL not in office.get("/admin/products/items/?units=all")


def test_item_is_registered_and_changed_on_screen(office: Office) -> None:
    with staff(office.unit):
        model = services.save_model(office.unit.id, {"code": "RB18A", "name": "空气能热泵", "active": "1"})
        model_id = model.id
    data = {"serial": "ｒｂ18a-1", "model_id": model_id, "batch": "202302-3", "active": "1"}
    wrong = office.client.post("/admin/products/items/new/", data={**data, "serial": "#"})
    assert wrong.status_code == 422 and "letters, digits" in wrong.get_data(as_text=True)
    made = office.client.post("/admin/products/items/new/", data=data)
    assert made.status_code == 302
    page = office.get(made.headers["Location"])
    assert "RB18A-1" in page and "202302-3" in page
    edit = made.headers["Location"].replace("details", "edit")
    seen = version_on(office.get(edit))
    first = office.client.post(edit, data={**data, "note": "甲", "version": seen})
    second = office.client.post(edit, data={**data, "note": "乙", "version": seen})
    assert (first.status_code, second.status_code) == (302, 409)
    with staff(office.unit) as work:
        assert work.scalars(select(Item.note)).one() == "甲"


def test_item_page_shows_its_cases_and_the_last_service(office: Office) -> None:
    item = add_item(office.unit)
    add_case(office.unit, "GD-OLD-1", SERIAL, 1)
    add_case(office.unit, "GD-OLD-2", SERIAL, 5)
    page = office.get(f"/admin/products/items/details/?id={item}")
    assert "GD-OLD-1" in page and "GD-OLD-2" in page and "2026-03-08" in page


def test_bulk_settling_of_the_class(office: Office) -> None:
    ids = [add_item(office.unit, f"RB18A-2302-0000{n}") for n in range(3)]
    with staff(office.unit):
        services.flag_items(office.unit.id, [(key, "class_conflict", "4.1 / agent") for key in ids])
    assert "RB18A-2302-00000" in office.get("/admin/products/items/?quick=doubt")
    answer = office.client.post(
        "/admin/products/items/action/", data={"action": "class", "id": ids[:2], "sold_class": "agent", "go": "1"}
    )
    assert answer.status_code == 302
    with staff(office.unit) as work:
        assert services.items_in_doubt(office.unit.id) == 1
        assert sorted(work.scalars(select(Item.sold_class))) == ["", "agent", "agent"]


def register(office: Office, **changes: Any) -> str:
    data = {
        "customer_name": "张三",
        "contact_phone": "13812345678",
        "channel": "phone",
        "nature": "repair",
        "urgency": "normal",
        "product_text": "RB18A",
        "description": "不制热",
        "key": uuid.uuid4().hex,
        **changes,
    }
    answer = office.client.post("/admin/cases/new", data=data)
    assert answer.status_code == 302, answer.get_data(as_text=True)
    return str(answer.headers["Location"]).split("?")[0]


def test_case_form_offers_the_look_up_and_saving_links_the_item(office: Office) -> None:
    item = add_item(office.unit, sold_class="own", purchased_on="2023-04-27", proof="yes")
    add_case(office.unit, "GD-OLD-1", SERIAL)
    assert "data-products-lookup" in office.get("/admin/cases/new")
    page = office.get(register(office, serial_text=SERIAL.lower()))
    assert "panel-products-item" in page and "RB18A 空气能热泵" in page and "2023-04-27" in page
    assert "GD-OLD-1" in page and "Sold by us" in page
    with staff(office.unit):
        assert session().scalars(select(ProductRecord.item_id)).all() == [item]
    assert "RB18A" in office.get("/admin/cases/")


def test_link_follows_a_corrected_serial(office: Office) -> None:
    add_item(office.unit)
    second = add_item(office.unit, "RB18A-2302-00002")
    page = register(office, serial_text=SERIAL)
    edit = f"/admin/cases/{page.rsplit('/', 1)[-1]}/edit"
    data = {
        "contact_phone": "13812345678",
        "channel": "phone",
        "product_text": "RB18A",
        "description": "不制热",
        "serial_text": "RB18A-2302-00002",
        "version": version_on(office.get(edit)),
    }
    assert office.client.post(edit, data=data).status_code == 302
    with staff(office.unit) as work:
        assert work.scalars(select(ProductRecord.item_id)).all() == [second]


def test_unknown_serial_is_told_and_the_case_is_registered_all_the_same(office: Office) -> None:
    page = office.get(register(office, serial_text="UNKNOWN-9"))
    assert "No item with serial number UNKNOWN-9" in page
    assert "serial=UNKNOWN-9" in page
    assert "panel-products-item" not in office.get(register(office))


def test_case_page_stands_without_the_plugin(office: Office) -> None:
    add_item(office.unit)
    page = register(office, serial_text=SERIAL)
    helpers.switch_off(office.unit, "products")
    assert "panel-products-item" not in office.get(page)


def test_customer_page_shows_the_items(office: Office) -> None:
    customer = add_customer(office.unit)
    add_item(office.unit, customer_id=str(customer))
    assert SERIAL in office.get(f"/admin/customers/details/?id={customer}")


def test_search_finds_any_part_of_a_serial(office: Office, app: Any) -> None:
    add_item(office.unit)
    assert SERIAL in office.get("/admin/search/?q=00001")
    assert SERIAL not in Office(app).get("/admin/search/?q=00001")


def test_dashboard_counts_what_waits(office: Office) -> None:
    item = add_item(office.unit)
    with staff(office.unit):
        services.flag_items(office.unit.id, [(item, "class_conflict", "4.1 / agent")])
    assert "Items to be checked" in office.get("/admin/")


def test_list_asks_the_same_number_of_statements_for_few_and_many_rows(office: Office, count_queries: Any) -> None:
    add_item(office.unit, "RB18A-0001")
    office.get("/admin/products/items/")
    with count_queries() as few:
        office.get("/admin/products/items/")
    for n in range(2, 12):
        add_item(office.unit, f"RB18A-{n:04}")
    with count_queries() as many:
        office.get("/admin/products/items/")
    assert len(many) == len(few)


def test_switching_off_warns_of_open_cases(office: Office) -> None:
    add_item(office.unit)
    register(office, serial_text=SERIAL)
    with staff(office.unit):
        assert len(plugin.unit_disabling(office.unit)) == 1


def test_what_is_in_use_is_not_deleted(office: Office) -> None:
    add_item(office.unit)
    with staff(office.unit):
        used = services.save_category(office.unit.id, {"name": "锅炉", "active": "1"})
        services.save_model(office.unit.id, {"code": "X1", "name": "X", "category_id": str(used.id), "active": "1"})
        idle = services.save_category(office.unit.id, {"name": "多余"})
        keys = used.id, idle.id
    assert "锅炉" in office.get(f"/admin/products/categories/details/?id={keys[0]}").partition("card-body")[2]
    told = []
    for key in keys:
        asked = office.client.post("/admin/products/categories/delete/", data={"id": key})
        assert "cannot be undone" in asked.get_data(as_text=True), "without a script the page asks"
        sent = {"id": key, "confirmed": "1"}
        done = office.client.post("/admin/products/categories/delete/", data=sent, follow_redirects=True)
        told.append(done.get_data(as_text=True))
    with staff(office.unit):
        assert session().scalars(select(Category.name).where(Category.id.in_(keys))).all() == ["锅炉"]
    assert "Models belong to this category" in told[0] and "Deleted." in told[1]
