"""The list component over HTTP: pages, cursors, filters, counts, saved views, export."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import openpyxl
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.admin.listing import BulkAction, ListContext, load_page
from core.admin.screens import customers as screen
from core.customers.models import Customer
from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import session
from core.kernel.errors import Refusal, Refused
from core.kernel.extensions import Column, Unavailable
from core.kernel.fields import Field
from core.kernel.ids import uuid7
from core.units.models import Unit
from core.users.models import SavedView
from tests import helpers

VIEW = ["customer.view", "customer.export", "customer.pii"]


def _customers(unit: Unit, count: int, name: str = "", **values: Any) -> None:
    with helpers.as_system() as work:
        for number in range(count):
            work.add(
                Customer(
                    uid=uuid7(),
                    unit_id=unit.id,
                    number=f"{name}{number:05d}",
                    name=name or f"客户{number % 3}",
                    created_at=clock.now(),
                    **values,
                )
            )


def _staff(client: FlaskClient, permissions: list[str] | None = None, **values: Any) -> Unit:
    unit = helpers.make_unit()
    helpers.login(client, helpers.make_user(unit, permissions or VIEW, **values))
    return unit


def _names(page: str) -> list[str]:
    return re.findall(r"data-row-link>([^<]+)</a>", page)


def _numbers(page: str) -> list[str]:
    return re.findall(r'data-label="[^"]*">([A-Z]*\d{5})</td>', page)


def _link(page: str, rel: str) -> str | None:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    return found.group(1).replace("&amp;", "&") if found else None


def _walk(client: FlaskClient, path: str, rel: str) -> list[list[str]]:
    pages: list[list[str]] = []
    link: str | None = path
    while link and len(pages) < 50:
        page = client.get("/admin/customers/" + link).text
        pages.append(_numbers(page))
        link = _link(page, rel)
    return pages


def test_the_statements_of_a_list_do_not_grow_with_its_rows(
    client: FlaskClient, count_queries: Callable[..., Any]
) -> None:
    unit = _staff(client)
    seen = []
    for more in (5, 45):
        _customers(unit, more, name="AB"[more > 5])
        client.get("/admin/customers/")
        with count_queries() as statements:
            page = client.get("/admin/customers/").text
        assert len(_numbers(page)) == (5 if more == 5 else 50)
        seen.append(len(statements))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("order", ["newest", "name"])
def test_pages_hold_every_row_exactly_once_even_with_equal_names(client: FlaskClient, order: str) -> None:
    unit = _staff(client)
    _customers(unit, 93)
    pages = _walk(client, f"?order={order}&size=25", "next")
    numbers = [number for page in pages for number in page]
    assert [len(page) for page in pages] == [25, 25, 25, 18]
    assert len(set(numbers)) == 93


def test_going_back_shows_the_same_pages(client: FlaskClient) -> None:
    unit = _staff(client)
    _customers(unit, 60)
    forward, link = [], "?order=name&size=25"
    while link:
        page = client.get("/admin/customers/" + link).text
        forward.append(_numbers(page))
        link = _link(page, "next") or ""
    back = [_numbers(page)]
    while previous := _link(page, "prev"):
        page = client.get("/admin/customers/" + previous).text
        back.append(_numbers(page))
    assert back == forward[::-1]


@pytest.mark.parametrize(
    "words",
    ["cursor=zzz", "cursor=WyJuIixbXV0.bad", "cursor=" + "a" * 5000, "order=none", "size=-1", "size=1e9", "quick=x",
     "f_kind=robot", "f_created=2026-13-45..", "f_created=..", "cols=secret", "units=all&units=none", "%FF%FE=1",
     "search=%00%00"],
)  # fmt: skip
def test_malformed_words_count_as_absent(client: FlaskClient, words: str) -> None:
    unit = _staff(client)
    _customers(unit, 3)
    answer = client.get(f"/admin/customers/?{words}")
    assert answer.status_code == 200
    assert len(_numbers(answer.text)) == 3


def test_a_cursor_of_another_order_is_not_used(client: FlaskClient) -> None:
    unit = _staff(client)
    _customers(unit, 30)
    first = client.get("/admin/customers/?size=25").text
    cursor = re.search(r"cursor=([^&\"]+)", _link(first, "next") or "")
    assert cursor
    page = client.get(f"/admin/customers/?size=25&order=name&cursor={cursor.group(1)}").text
    assert len(_numbers(page)) == 25


def test_filters_stand_in_the_url_and_as_chips(client: FlaskClient) -> None:
    unit = _staff(client)
    _customers(unit, 4, name="A")
    _customers(unit, 2, name="B", kind="company")
    page = client.get("/admin/customers/?f_kind=company").text
    assert _names(page) == ["B", "B"]
    assert 'class="chip" href="?"' in page
    dates = client.get("/admin/customers/?f_created_from=2020-01-01&f_created_to=2020-02-01").text
    assert _names(dates) == []
    assert "f_created=2020-01-01..2020-02-01" in dates


def test_dates_are_those_of_the_unit(client: FlaskClient, frozen_clock: Callable[[datetime], None]) -> None:
    frozen_clock(datetime(2026, 3, 1, 17, 0, tzinfo=UTC))
    unit = _staff(client)
    _customers(unit, 1)
    assert len(_names(client.get("/admin/customers/?f_created=2026-03-02..2026-03-02").text)) == 1
    assert len(_names(client.get("/admin/customers/?f_created=2026-03-01..2026-03-01").text)) == 0


def test_the_count_is_asked_for_apart_and_capped(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = _staff(client)
    _customers(unit, 12)
    assert client.get("/admin/customers/count/").json == {"count": "12"}
    assert client.get("/admin/customers/count/?f_kind=company").json == {"count": "0"}
    monkeypatch.setattr("core.admin.listing.COUNT_CAP", 10)
    assert client.get("/admin/customers/count/").json == {"count": "10+"}


def test_lists_show_the_current_unit_and_on_demand_all_where_the_permission_is_held(client: FlaskClient) -> None:
    mine, other = helpers.make_unit(), helpers.make_unit()
    user = helpers.make_user(mine, VIEW)
    blind = helpers.make_unit()
    with helpers.as_system() as work:
        from datetime import date

        from core.users.models import UserPosition

        seeing, unseeing = helpers.make_position(permissions=VIEW), helpers.make_position(permissions=["case.view"])
        for unit, position in ((other, seeing), (blind, unseeing)):
            work.add(
                UserPosition(user_id=user.id, unit_id=unit.id, position_id=position.id, valid_from=date(2020, 1, 1))
            )
    for unit, name in ((mine, "MINE"), (other, "OTHER"), (blind, "BLIND"), (helpers.make_unit(), "FOREIGN")):
        _customers(unit, 1, name=name)
    helpers.login(client, user)
    assert _names(client.get("/admin/customers/").text) == ["MINE"]
    assert sorted(_names(client.get("/admin/customers/?units=all").text)) == ["MINE", "OTHER"]


def test_an_export_is_the_view_safe_logged_and_named_in_chinese(client: FlaskClient) -> None:
    unit = _staff(client, username="wang")
    _customers(unit, 2, name="=HYPERLINK(1)")
    _customers(unit, 1, name="B", kind="company")
    answer = client.post("/admin/customers/export/?f_kind=person&cols=name&cols=number")
    assert answer.status_code == 200
    assert "filename*=UTF-8''" in answer.headers["Content-Disposition"]
    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).active
    answer.close()
    rows = list(sheet.iter_rows(values_only=True))
    assert [len(row) for row in rows] == [2, 2, 2]
    assert [row[0] for row in rows[1:]] == ["'=HYPERLINK(1)"] * 2
    assert all(cell.data_type == "s" for row in sheet.iter_rows() for cell in row)
    with helpers.as_system() as work:
        entry = work.scalars(select(Audit).where(Audit.action == "export")).one()
        assert entry.detail["rows"] == 2
        assert entry.unit_id == unit.id


def test_an_export_needs_its_permission_and_a_post(client: FlaskClient) -> None:
    _staff(client, ["customer.view"])
    assert client.post("/admin/customers/export/").status_code == 403
    assert client.get("/admin/customers/export/").status_code == 405
    assert "/export/" not in client.get("/admin/customers/").text


def test_saved_views_are_personal_shared_or_pinned(client: FlaskClient) -> None:
    unit = _staff(client, [*VIEW, "view.share"])
    client.post("/admin/customers/saved/?f_kind=company", data={"name": "公司客户", "shared": "1"})
    client.post("/admin/customers/saved/?search=x", data={"name": "只给自己"})
    page = client.get("/admin/customers/").text
    assert "公司客户" in page
    assert "只给自己" in page
    with helpers.as_system() as work:
        views = {v.name: v for v in work.scalars(select(SavedView))}
    assert views["公司客户"].shared_unit_id == unit.id
    assert views["公司客户"].query == "f_kind=company"
    client.post("/admin/customers/saved/", data={"pin": views["公司客户"].id})
    client.post("/sign-out")
    helpers.login(client, helpers.make_user(unit, VIEW))
    page = client.get("/admin/customers/").text
    assert "公司客户" in page
    assert "只给自己" not in page
    assert client.post("/admin/customers/saved/", data={"drop": views["公司客户"].id}).status_code == 404
    assert client.post("/admin/customers/saved/", data={"drop": "abc"}).status_code == 404


# --- bulk actions and plugin columns -----------------------------------------------------------------


def _bulk(monkeypatch: pytest.MonkeyPatch, permission: str = "customer.edit") -> None:
    def run(row: Customer, values: dict[str, Any]) -> None:
        if row.name == "BAD":
            raise Refused([Refusal("odd", "这一行不行")])
        row.note = values["note"]
        session().flush()

    action = BulkAction("note", "写备注", run, permission, fields=lambda: [Field("note", "text", "备注", True)])
    monkeypatch.setattr(screen, "SPEC", replace(screen.SPEC, actions=(action,)))


def test_a_bulk_action_asks_for_its_fields_and_reports_row_by_row(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bulk(monkeypatch)
    unit = _staff(client, [*VIEW, "customer.edit"])
    _customers(unit, 2, name="GOOD")
    _customers(unit, 1, name="BAD")
    foreign = helpers.make_unit()
    _customers(foreign, 1, name="FOREIGN")
    with helpers.as_system() as work:
        ids = list(work.scalars(select(Customer.id)))
    asked = client.post("/admin/customers/action/", data={"action": "note", "id": ids})
    assert 'name="note"' in asked.text
    report = client.post(
        "/admin/customers/action/", data={"action": "note", "go": "1", "id": [*ids, "x"], "note": "急"}
    )
    assert "这一行不行" in report.text
    assert "FOREIGN" not in report.text
    with helpers.as_system() as work:
        notes = {c.name: c.note for c in work.scalars(select(Customer))}
    assert notes == {"GOOD": "急", "BAD": "", "FOREIGN": ""}


def test_a_bulk_action_reaches_everything_the_filters_match(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bulk(monkeypatch)
    unit = _staff(client, [*VIEW, "customer.edit"])
    _customers(unit, 30, name="A", kind="company")
    _customers(unit, 3, name="B")
    done = client.post("/admin/customers/action/?f_kind=company&size=25", data={"action": "note", "all": "1"})
    ids = re.findall(r'name="id" value="(\d+)"', done.text)
    assert len(ids) == 30


def test_a_bulk_action_needs_its_permission(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _bulk(monkeypatch)
    unit = _staff(client)
    _customers(unit, 1)
    assert client.post("/admin/customers/action/", data={"action": "note", "id": "1"}).status_code == 403
    assert client.post("/admin/customers/action/", data={"action": "none", "id": "1"}).status_code == 404
    assert "data-pick" not in client.get("/admin/customers/").text


def test_plugin_columns_are_loaded_once_a_page_and_a_broken_one_leaves_the_list(sqlite_app: Flask) -> None:
    loads: list[int] = []

    def load(rows: Sequence[Any]) -> dict[int, str]:
        loads.append(len(rows))
        return {row.id: f"第{row.id}" for row in rows}

    def broken(_rows: Sequence[Any]) -> dict[int, str]:
        raise RuntimeError("no")

    offered = [
        ("one", [Column("a", "甲", load), Column("b", "乙", broken)]),
        ("two", Unavailable("two", "list_columns")),
    ]
    hooks = SimpleNamespace(list_columns=lambda list_name: offered)
    unit = helpers.make_unit()
    _customers(unit, 7)
    with helpers.in_scope(unit, VIEW):
        page = load_page(screen.SPEC, {}, ListContext(1, unit.id, "Asia/Shanghai", hooks, frozenset({unit.id})))
        added = {column.key: column for column in page.columns if "." in column.key}
        assert [added["one.a"].value(row) for row in page.rows] == [f"第{row.id}" for row in page.rows]
        assert [added["one.b"].value(row) for row in page.rows] == [""] * 7
    assert loads == [7]
