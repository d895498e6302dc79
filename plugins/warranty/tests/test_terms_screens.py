"""Terms and the look-up as people meet them: pages, list, marks, file, API."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel import clock, importing
from plugins.products.tests.scene import add_customer, the_item
from plugins.warranty import events, rights
from plugins.warranty.models import ItemEvent, Term
from plugins.warranty.tests.scene_terms import MORNING, RIGHTS, SERIAL, TODAY, make_shop, on_day, sell
from tests import helpers
from tests.api_scene import Asker, token_of
from tests.casework import Office

DAY = date(2023, 6, 15)


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(MORNING):
        yield


class Desk:
    """A shop with somebody signed in."""

    def __init__(self, app: Flask, *clauses: str, permissions: tuple[str, ...] = RIGHTS, **values: Any) -> None:
        self.shop: Office = make_shop(*clauses, **values)
        self.user = helpers.make_user(self.shop.unit, permissions, locale="en")
        self.client: FlaskClient = helpers.login(app.test_client(), self.user)

    def get(self, url: str, status: int = 200) -> str:
        answer = self.client.get(url)
        assert answer.status_code == status, answer.text[:800]
        return answer.text


def look(desk: Desk, serial: str = SERIAL) -> str:
    return desk.get(f"/p/warranty/lookup?serial={serial}")


def test_the_look_up_says_what_is_covered_and_owed(app: Flask) -> None:
    desk = Desk(app, "R07-3.1", "R22-2.8a", "SB-2", "SB-3")
    sell(desk.shop, purchased_on=TODAY - timedelta(days=3), handed_over_on=None)
    page = look(desk, " rb18a-2302-00001 ")
    assert "In warranty until 2027-11-13" in page and "Date of hand-over not known" in page
    for clause in ("R07-3.1", "R22-2.8a", "SB-2", "SB-3"):
        assert clause in page
    assert "Free repair" in page and "Exchange" in page and "Statutory" in page


@pytest.mark.parametrize(
    ("bought", "words"),
    [
        (TODAY - timedelta(days=30), "In warranty until 2027-10-17"),
        (date(2025, 12, 1), "Ending soon, in warranty until 2026-12-01"),
        (date(2025, 11, 16), "Ending soon, in warranty until 2026-11-16"),
        (date(2025, 11, 15), "Warranty ended on 2026-11-15"),
        (None, "Starting day not known"),
    ],
)
def test_the_mark_tells_how_it_stands(sqlite_app: Flask, bought: date | None, words: str) -> None:
    desk = Desk(sqlite_app, "R07-3.1")
    sell(desk.shop, purchased_on=bought)
    assert words in look(desk)


def test_an_unknown_number_and_one_of_another_unit_are_told_alike(app: Flask) -> None:
    desk, other = Desk(app, "R07-3.1"), Desk(app, "R07-3.1")
    sell(other.shop, "ELSEWHERE-1", purchased_on=DAY)
    foreign, unknown = look(desk, "ELSEWHERE-1"), look(desk, "NOWHERE-22")
    assert "No item with serial number ELSEWHERE-1 in this unit." in foreign
    assert foreign.replace("ELSEWHERE-1", "NOWHERE-22").count("NOWHERE-22") == unknown.count("NOWHERE-22")
    for odd in ("", "%", "x" * 500, "%00", "1 OR 1=1", "<i>"):
        look(desk, odd)


def test_who_may_not_see_warranty_sees_no_mark_and_no_page(sqlite_app: Flask) -> None:
    few = tuple(one for one in RIGHTS if not one.startswith("warranty."))
    desk = Desk(sqlite_app, "R07-3.1", permissions=few)
    key = sell(desk.shop, purchased_on=DAY)
    desk.get(f"/p/warranty/lookup?serial={SERIAL}", 403)
    pages = (f"/admin/products/items/details/?id={key}", "/admin/products/items/")
    mark = "Warranty ended"
    assert all(mark not in desk.get(page) for page in pages)
    allowed = Desk(sqlite_app, "R07-3.1")
    own = sell(allowed.shop, purchased_on=DAY)
    assert mark in allowed.get(f"/admin/products/items/details/?id={own}") and mark in allowed.get(pages[1])


def test_marks_stand_wherever_a_serial_number_shows(app: Flask) -> None:
    desk = Desk(app, "R07-3.1")
    customer = add_customer(desk.shop.unit, "K00001")
    key = sell(desk.shop, purchased_on=DAY, customer_id=str(customer))
    words = "Warranty ended on 2024-06-15"
    item = desk.get(f"/admin/products/items/details/?id={key}")
    assert item.count(words) >= 2 and "Warranty lines" in item and "/p/warranty/lookup?serial=" in item
    record_id = desk.shop.new_case(serial_text=SERIAL)
    for page in (
        "/admin/products/items/",
        f"/admin/customers/details/?id={customer}",
        f"/admin/record/{record_id}",
        "/admin/search/?q=RB18A",
    ):
        assert words in desk.get(page), page
    answer = desk.client.get("/p/products/lookup", query_string={"serial": SERIAL}).get_json()
    assert answer["marks"] == [{"label": words, "tone": "bad"}]


def test_where_the_plugin_is_off_nothing_of_it_shows(sqlite_app: Flask) -> None:
    desk = Desk(sqlite_app, "R07-3.1")
    key = sell(desk.shop, purchased_on=DAY)
    helpers.switch_off(desk.shop.unit, "warranty")
    for page in (f"/admin/products/items/details/?id={key}", "/admin/products/items/", "/admin/search/?q=RB18A"):
        assert "Warranty ended on" not in desk.get(page)
    desk.get(f"/p/warranty/lookup?serial={SERIAL}", 404)
    desk.get("/admin/warranty/terms/", 404)
    helpers.switch_on(desk.shop.unit, "warranty")
    assert "Warranty ended on" in desk.get("/admin/products/items/")


@pytest.mark.parametrize("count", [5, 50])
def test_the_list_asks_for_all_marks_at_once(
    sqlite_app: Flask, count: int, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    desk = Desk(sqlite_app, "R07-3.1", "R22-2.8a")
    for number in range(count):
        sell(desk.shop, f"SN-{number:04}", purchased_on=DAY + timedelta(days=number))
    desk.get("/admin/products/items/")
    with count_queries() as seen:
        page = desk.get("/admin/products/items/")
    assert page.count("Warranty ended on") >= min(count, 20)
    assert len(seen) <= 30, len(seen)


def test_the_whole_history_shows_and_an_entry_may_be_withdrawn(app: Flask) -> None:
    desk = Desk(app, "R22-1.W4", "R22-2.8a")
    sell(desk.shop, handed_over_on=DAY)
    with on_day(TODAY, desk.shop):
        row = events.add_event(the_item(desk.shop.unit), "replaced", date(2025, 11, 20), source="t", part="水泵")
        key = row.id
    assert "2028-11-20" in look(desk)
    answer = desk.client.post("/p/warranty/events/withdraw", data={"id": key, "reason": ""})
    assert answer.status_code == 302 and "2028-11-20" in look(desk)
    desk.client.post("/p/warranty/events/withdraw", data={"id": key, "reason": "录错了"})
    page = look(desk)
    assert "2028-11-20" not in page and "录错了" in page and "Withdrawn" in page and "水泵" in page
    other = Desk(app)
    assert other.client.post("/p/warranty/events/withdraw", data={"id": key, "reason": "x"}).status_code == 404
    plain_user = helpers.make_user(desk.shop.unit, (rights.VIEW,), locale="en")
    client = helpers.login(app.test_client(), plain_user)
    assert client.post("/p/warranty/events/withdraw", data={"id": key, "reason": "x"}).status_code == 403


@pytest.mark.clause("R22-1.W6b")
def test_a_failed_last_service_is_entered_by_hand_once(sqlite_app: Flask) -> None:
    desk = Desk(sqlite_app, "R22-1.W6b", "R22-2.8a")
    key = sell(desk.shop, handed_over_on=date(2023, 12, 15))
    assert "2026-12-15" in look(desk)
    for _again in range(2):
        desk.client.post("/p/warranty/events/extend", data={"id": key, "reason": "泵体渗漏"})
    page = look(desk)
    assert "2027-12-15" in page and "2028-12-15" not in page and "泵体渗漏" in page
    with on_day(TODAY, desk.shop) as work:
        assert len(work.scalars(select(ItemEvent)).all()) == 1
    off = Desk(sqlite_app, "R22-2.8a")
    off.shop.clause("R22-1.W6b", on=False)
    other = sell(off.shop, handed_over_on=date(2023, 12, 15))
    assert "Extend after a failed last service" not in look(off)
    off.client.post("/p/warranty/events/extend", data={"id": other, "reason": "x"})
    assert "2027-12-15" not in look(off)


def test_what_was_exchanged_points_to_what_was_given(sqlite_app: Flask) -> None:
    desk = Desk(sqlite_app, "SB-3", "SB-7")
    sell(desk.shop, purchased_on=TODAY - timedelta(days=90))
    sell(desk.shop, "NEW-1")
    with on_day(TODAY, desk.shop):
        unit = desk.shop.unit
        events.exchange(the_item(unit), the_item(unit, "NEW-1"), TODAY, source="t", reason="修不好")
    page = look(desk)
    assert "This item was exchanged" in page and "NEW-1" in page and "Nothing free of charge is owed" in page
    assert "In warranty until 2027-11-16" in look(desk, "NEW-1")


# --- the unit's own terms ------------------------------------------------------------------------


def test_terms_are_made_and_changed_on_screen(app: Flask) -> None:
    desk = Desk(app, "R07-3.1")
    sell(desk.shop, purchased_on=DAY)
    page = desk.get("/admin/warranty/terms/")
    assert "Terms of the clauses that hold today" in page and "R07-3.1" in page and "12 months" in page
    new = "/admin/warranty/terms/new/"
    desk.get(new)
    data = {"name": "长保", "scope": "set", "months": "60", "start": "purchase", "action": "repair", "active": "1"}
    wrong = desk.client.post(new, data={**data, "months": "0", "part": "主板"})
    assert wrong.status_code == 422
    made = desk.client.post(new, data=data)
    assert made.status_code == 302
    assert "长保" in desk.get(made.headers["Location"]) and "长保" in desk.get("/admin/warranty/terms/")
    assert "In warranty until 2028-06-15" in look(desk) and "长保" in look(desk)
    again = desk.client.post(new, data=data)
    assert again.status_code == 422 and "already exists" in again.text
    edit = made.headers["Location"].replace("details", "edit")
    desk.get(edit)
    early = desk.client.post(
        edit, data={**data, "version": "1", "valid_from": "2024-01-01", "valid_to": "2023-01-01"}
    )
    assert early.status_code == 422
    changed = desk.client.post(edit, data={**data, "months": "72", "version": "1"})
    assert changed.status_code == 302 and "2029-06-15" in look(desk)


def test_terms_of_another_unit_and_without_the_right(sqlite_app: Flask) -> None:
    desk, other = Desk(sqlite_app), Desk(sqlite_app)
    with on_day(TODAY, desk.shop) as work:
        work.add(Term(unit_id=desk.shop.unit.id, name="本机构的"))
    with on_day(TODAY, desk.shop) as work:
        key = work.scalars(select(Term.id)).one()
    other.get(f"/admin/warranty/terms/details/?id={key}", 404)
    assert "本机构的" not in other.get("/admin/warranty/terms/?units=all")
    reader = Desk(sqlite_app, permissions=(rights.VIEW,))
    reader.get("/admin/warranty/terms/")
    assert reader.client.get("/admin/warranty/terms/new/").status_code == 403


FILE = """名称,保修月数,保修范围,关键件,起算,类别,型号,生效日期,启用
整机三年,36,整机,,移交,,,2020-01-01,是
压缩机五年,60,关键件,压缩机,购买,,RB18A,,
,12,整机,,,,,,
月数不对,abc,整机,,,,,,
型号没有,12,整机,,,,XX99,,
范围不懂,12,半机,,,,,,
整机三年,24,整机,,,,,,
整机带件,12,整机,主板,,,,,
"""


def staged(desk: Desk, content: str) -> int:
    with on_day(TODAY, desk.shop):
        return importing.stage("warranty-terms", desk.shop.unit.id, io.BytesIO(content.encode()), "terms.csv").id


def test_terms_come_from_a_file_and_go_again(app: Flask) -> None:
    desk = Desk(app)
    sell(desk.shop, purchased_on=DAY, handed_over_on=DAY)
    run_id = staged(desk, FILE)
    with on_day(TODAY, desk.shop) as work:
        run = work.scalars(select(importing.ImportRun).where(importing.ImportRun.id == run_id)).one()
        counts = importing.check(run)
        wrong = {view.line: {name for name, _ in view.errors} for view in importing.preview_rows(run, "error")}
        assert not work.scalars(select(Term)).all()
    assert counts["create"] == 2 and counts["error"] == 6
    assert wrong == {4: {"name"}, 5: {"months"}, 6: {"model"}, 7: {"scope"}, 8: {"name"}, 9: {"part"}}
    with on_day(TODAY, desk.shop):
        importing.confirm(run_id)
    page = look(desk)
    assert "整机三年" in page and "2026-06-15" in page
    again = staged(desk, "name,months,model\n压缩机五年,48,RB18A\n整机三年,36,\n")
    with on_day(TODAY, desk.shop):
        second = importing.confirm(again)
        assert second.counts["update"] == 2
    with on_day(TODAY, desk.shop):
        importing.undo(again)
    with on_day(TODAY, desk.shop) as work:
        held = {row.name: (row.months, row.scope) for row in work.scalars(select(Term))}
        assert held == {"整机三年": (36, "set"), "压缩机五年": (60, "key_part")}
    with on_day(TODAY, desk.shop):
        importing.undo(run_id)
    with on_day(TODAY, desk.shop) as work:
        assert not work.scalars(select(Term)).all()


def test_the_file_may_have_english_headings(sqlite_app: Flask) -> None:
    desk = Desk(sqlite_app)
    run_id = staged(desk, "Name,Months,Scope,Part,Start,Action\nBoard,60,key part,主板,hand-over,exchange\n")
    with on_day(TODAY, desk.shop):
        importing.confirm(run_id)
    with on_day(TODAY, desk.shop) as work:
        row = work.scalars(select(Term)).one()
        assert (row.scope, row.part, row.start, row.action) == ("key_part", "主板", "handover", "exchange")


def test_the_api_reads_and_writes_terms_and_reads_covers(app: Flask) -> None:
    desk = Desk(app, "R07-3.1", "SB-2", "SB-3")
    sell(desk.shop, purchased_on=TODAY - timedelta(days=2))
    api = Asker(app, token_of(desk.user, units=[desk.shop.unit]))
    body = {"name": "接口", "scope": "set", "months": 24, "start": "purchase", "action": "repair", "active": True}
    made = api.post("/warranty/terms", body)
    assert made.status_code == 201, made.text
    row = made.get_json()
    row = row.get("data", row)
    assert api.post("/warranty/terms", {**body, "name": "错", "months": 0}).status_code == 422
    address = f"/warranty/terms/{row['id']}"
    changed = api.patch(address, {"months": 36}, If_Match=api.get(address).headers["ETag"])
    assert changed.status_code == 200, changed.text
    found = api.get(f"/warranty/cover?serial={SERIAL}").get_json()
    item = (found.get("data") or found.get("items"))[0]
    assert item["in_warranty"] is True and item["covered_until"] >= "2028-11-14"
    assert {"R07-3.1", "SB-2", "SB-3"} <= {line["clause"] for line in item["lines"]}
    assert {one["action"] for one in item["owed"]} == {"repair", "exchange"}
