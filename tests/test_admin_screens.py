"""Screens over HTTP: rights, foreign ids, forms, deleting, the module matrix, the menu."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.admin.screens.customers import CustomerScreen
from core.customers.models import Customer
from core.kernel import clock
from core.kernel.database import session
from core.units.models import Unit, UnitPlugin
from tests import helpers

ALL = ["customer.view", "customer.create", "customer.edit", "customer.merge", "customer.pii"]
BAD_IDS = ["", "abc", "0", "-1", "1e9", "9" * 19, "9" * 40, "1 or 1=1", "%00", "１"]


@pytest.fixture
def plugin(app: Flask) -> str:
    """A plugin with screens, whichever is installed."""
    entries = app.extensions["plugins"].registry.ask_once("admin_views")
    if not entries:
        pytest.skip("no installed plugin has screens")
    return str(entries[0][0])


def _customer(client: FlaskClient, name: str = "张三", **values: str) -> int:
    answer = client.post("/admin/customers/new/", data={"name": name, "kind": "person", **values})
    assert answer.status_code == 302, answer.text[-3000:]
    return int(answer.headers["Location"].rpartition("=")[2])


def _staff(client: FlaskClient, permissions: list[str], unit: Unit | None = None, below: bool = False) -> Unit:
    unit = unit or helpers.make_unit()
    helpers.login(client, helpers.make_user(unit, permissions, below=below))
    return unit


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("page", ["details", "edit", "merge"])
def test_malformed_ids_are_not_found(client: FlaskClient, page: str, bad: str) -> None:
    _staff(client, ALL)
    assert client.get(f"/admin/customers/{page}/", query_string={"id": bad}).status_code == 404


def test_a_foreign_customer_is_not_there_by_any_route(client: FlaskClient) -> None:
    _staff(client, ALL)
    key = _customer(client, phone="13812345678")
    client.post("/sign-out")
    _staff(client, ALL)
    own = _customer(client)
    routes = [
        client.get(f"/admin/customers/details/?id={key}"),
        client.get(f"/admin/customers/edit/?id={key}"),
        client.post(f"/admin/customers/edit/?id={key}", data={"name": "X"}),
        client.get(f"/admin/customers/merge/?id={own}&other={key}"),
        client.post("/admin/customers/merge/", data={"id": own, "other": key, "keep": own}),
        client.get(f"/admin/customers/part/?customer={key}&kind=address"),
        client.post("/admin/customers/reveal/", data={"id": key, "purpose": "x"}),
        client.post("/admin/customers/erase/", data={"id": key, "reason": "x"}),
        client.post("/admin/customers/delete/", data={"id": key, "confirmed": "1"}),
    ]
    assert [answer.status_code for answer in routes] == [404] * len(routes)
    assert client.get("/admin/customers/ajax/lookup/?q=1381234").json == []
    assert f"details/?id={key}" not in client.get("/admin/search/?q=13812345678").text


@pytest.mark.parametrize("path", ["new/", "edit/?id=%d", "merge/?id=%d", "part/?customer=%d&kind=address"])
def test_without_the_permission_it_is_refused_and_not_redirected(client: FlaskClient, path: str) -> None:
    unit = _staff(client, ALL)
    key = _customer(client)
    client.post("/sign-out")
    _staff(client, ["customer.view"], unit)
    assert client.get("/admin/customers/" + (path % key if "%" in path else path)).status_code == 403
    page = client.get(f"/admin/customers/details/?id={key}").text
    assert "/edit/" not in page
    assert "/merge/" not in page


def test_a_screen_one_may_not_see_is_refused_and_not_in_the_menu(client: FlaskClient) -> None:
    _staff(client, ["case.view"])
    assert client.get("/admin/customers/").status_code == 403
    assert client.get("/admin/units/").status_code == 403
    menu = client.get("/admin/").text
    assert 'href="/admin/customers/"' not in menu
    assert 'href="/admin/units/"' not in menu


def test_wrong_input_is_told_beside_its_field_and_changes_nothing(client: FlaskClient) -> None:
    _staff(client, ALL)
    answer = client.post("/admin/customers/new/", data={"name": "", "phone": "123", "email": "nowhere"})
    assert answer.status_code == 422
    assert 'id="error-name"' in answer.text
    answer = client.post(
        "/admin/customers/new/", data={"name": "A", "kind": "person", "phone": "123", "email": "nowhere"}
    )
    assert answer.status_code == 422
    assert 'id="error-phone"' in answer.text
    assert 'id="error-email"' in answer.text
    assert 'value="nowhere"' in answer.text
    with helpers.as_system() as work:
        assert work.scalars(select(Customer)).all() == []


def test_the_second_of_two_editors_is_told_and_overwrites_nothing(client: FlaskClient) -> None:
    _staff(client, ALL)
    key = _customer(client)
    first = client.post(f"/admin/customers/edit/?id={key}", data={"name": "甲", "kind": "person", "version": "1"})
    second = client.post(f"/admin/customers/edit/?id={key}", data={"name": "乙", "kind": "person", "version": "1"})
    assert (first.status_code, second.status_code) == (302, 409)
    assert 'value="乙"' in second.text
    with helpers.as_system() as work:
        assert work.scalars(select(Customer.name)).one() == "甲"


def test_a_possible_duplicate_is_shown_before_it_is_added(client: FlaskClient) -> None:
    _staff(client, ALL)
    key = _customer(client, phone="13812345678")
    again = {"name": "张三丰", "kind": "person", "phone": "138 1234 5678"}
    answer = client.post("/admin/customers/new/", data=again)
    assert answer.status_code == 422
    assert f"/admin/customers/details/?id={key}" in answer.text
    assert client.post("/admin/customers/new/", data={**again, "anyway": "1"}).status_code == 302


def test_merging_leads_from_the_old_page_to_the_new(client: FlaskClient) -> None:
    _staff(client, ALL)
    one, two = _customer(client, "甲", phone="13812345678"), _customer(client, "乙", phone="13912345678")
    client.post("/admin/customers/merge/", data={"id": one, "other": two, "keep": one})
    history = client.get(f"/admin/customers/details/?id={one}").get_data(as_text=True)
    assert "由以下客户合并而来" in history
    answer = client.get(f"/admin/customers/details/?id={two}")
    assert answer.headers["Location"].endswith(f"?id={one}")
    assert "139 1234 5678" in client.get(f"/admin/customers/details/?id={one}").text


def test_personal_data_is_masked_without_the_permission(client: FlaskClient) -> None:
    unit = _staff(client, ALL)
    key = _customer(client, phone="13812345678", address="浙江省杭州市西湖区文三路1号")
    client.post("/sign-out")
    _staff(client, ["customer.view"], unit)
    pages = (client.get("/admin/customers/"), client.get(f"/admin/customers/details/?id={key}"))
    for text in (page.text.replace(" ", "") for page in pages):
        assert "13812345678" not in text
        assert "文三路" not in text
    assert client.post("/admin/customers/reveal/", data={"id": key, "purpose": "x"}).status_code == 403


# --- deleting ----------------------------------------------------------------------------------------


@pytest.fixture
def protected(app: Flask) -> Iterator[None]:
    before = app.config.get("WTF_CSRF_ENABLED", True)
    app.config["WTF_CSRF_ENABLED"] = True
    yield
    app.config["WTF_CSRF_ENABLED"] = before


def test_every_post_needs_the_token(client: FlaskClient, protected: None) -> None:
    user = helpers.make_user(helpers.make_unit(), ALL)
    client.application.config["WTF_CSRF_ENABLED"] = False
    helpers.login(client, user)
    client.application.config["WTF_CSRF_ENABLED"] = True
    for path in ("customers/new/", "customers/delete/", "customers/export/", "customers/saved/", "plugins/switch/"):
        assert client.post(f"/admin/{path}", data={"name": "A"}).status_code == 400, path


def test_customers_are_not_deleted_from_the_screen(client: FlaskClient) -> None:
    _staff(client, ALL)
    key = _customer(client)
    assert client.get("/admin/customers/delete/").status_code == 405
    assert client.post("/admin/customers/delete/", data={"id": key, "confirmed": "1"}).status_code == 403


def test_where_deleting_is_offered_it_needs_a_post_and_a_confirmation(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CustomerScreen, "delete_permission", "customer.edit")
    monkeypatch.setattr(CustomerScreen, "delete", lambda _self, row: session().delete(row))
    _staff(client, ALL)
    key = _customer(client)
    assert client.get(f"/admin/customers/delete/?id={key}").status_code == 405
    asked = client.post("/admin/customers/delete/", data={"id": key})
    assert 'name="confirmed" value="1"' in asked.text
    with helpers.as_system() as work:
        assert work.scalars(select(Customer.id)).all() == [key]
    assert client.post("/admin/customers/delete/", data={"id": key, "confirmed": "1"}).status_code == 302
    with helpers.as_system() as work:
        assert work.scalars(select(Customer.id)).all() == []


def test_flask_admins_own_doors_are_shut(client: FlaskClient) -> None:
    _staff(client, ALL)
    assert client.post("/admin/customers/ajax/update/", data={"pk": "1"}).status_code == 404
    assert client.get("/admin/customers/export/csv/").status_code == 404


# --- units and modules ------------------------------------------------------------------------------


def test_units_are_added_below_ones_own_only(client: FlaskClient) -> None:
    head, foreign = helpers.make_unit("HEAD"), helpers.make_unit("FOREIGN")
    _staff(client, ["unit.admin"], head, below=True)
    data = {"code": "new-1", "name": "新门店", "kind": "store", "timezone": "Asia/Shanghai", "locale": "zh"}
    refused = client.post("/admin/units/new/", data={**data, "parent": foreign.id})
    assert refused.status_code == 422
    assert client.post("/admin/units/new/", data={**data, "parent": head.id}).status_code == 302
    assert client.post("/admin/units/new/", data={**data, "parent": head.id}).status_code == 422
    assert client.get(f"/admin/units/edit/?id={foreign.id}").status_code == 404
    page = client.get("/admin/units/").text
    assert "NEW-1" in page
    assert "FOREIGN" not in page


def test_a_switch_shows_and_hides_a_plugin_at_the_next_request_in_one_unit_only(
    client: FlaskClient, plugin: str
) -> None:
    codes = [p.code for p in _permissions()]
    one, two = helpers.make_unit(), helpers.make_unit()
    user = helpers.make_user(one, codes)
    helpers.login(client, user)
    view = next(
        e.view
        for e in client.application.extensions["suite_menu"].entries
        if getattr(e.view, "plugin", "") == plugin
    )
    assert client.get(f"{view.url}/").status_code == 404
    assert f'href="{view.url}/"' not in client.get("/admin/").text
    assert (
        client.post("/admin/plugins/switch/", data={"unit": one.id, "plugin": plugin, "on": "1"}).status_code == 302
    )
    # An entry of the menu may lead on to a page of the plugin's own.
    assert client.get(f"{view.url}/").status_code in (200, 302)
    assert f'href="{view.url}/"' in client.get("/admin/").text
    assert (
        client.post("/admin/plugins/switch/", data={"unit": two.id, "plugin": plugin, "on": "1"}).status_code == 404
    )
    assert (
        client.post("/admin/plugins/switch/", data={"unit": one.id, "plugin": "nobody", "on": "1"}).status_code
        == 404
    )
    client.post("/admin/plugins/switch/", data={"unit": one.id, "plugin": plugin, "on": "0", "insist": "1"})
    assert client.get(f"{view.url}/").status_code == 404


def test_a_plugin_switched_on_elsewhere_stays_hidden_here(client: FlaskClient, plugin: str) -> None:
    here, there = helpers.make_unit(), helpers.make_unit()
    with helpers.as_system() as work:
        work.add(UnitPlugin(unit_id=there.id, plugin=plugin, changed_at=clock.now()))
    _staff(client, [p.code for p in _permissions()], here)
    view = next(
        e.view
        for e in client.application.extensions["suite_menu"].entries
        if getattr(e.view, "plugin", "") == plugin
    )
    for path in ("/", "/count/", "/new/", "/ajax/lookup/"):
        assert client.get(view.url + path).status_code == 404, path


def test_settings_are_inherited_until_set(client: FlaskClient) -> None:
    head = helpers.make_unit()
    shop = helpers.make_unit(parent=head)
    _staff(client, ["unit.settings"], head, below=True)
    names = [one.name for one in _specs() if one.field.kind == "int"]
    if not names:
        pytest.skip("no whole-number setting is declared")
    name = names[0]
    assert client.post("/admin/settings/", data={name: "abc", f"own.{name}": "1"}).status_code == 422
    assert client.post("/admin/settings/", data={name: "9", f"own.{name}": "1"}).status_code == 302
    client.post("/unit", data={"unit_id": shop.id})
    page = client.get("/admin/settings/").text
    assert 'value="9"' in page
    assert str(head) in page


def _permissions() -> list[object]:
    from core.users.permissions import all_permissions

    return list(all_permissions())


def _specs() -> list[object]:
    from core.units.settings import specs

    return list(specs())
