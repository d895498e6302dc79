"""Receipts, invoices and statements as people meet them: pages, boxes, tiles, papers, the API."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel.audit import Audit
from core.sdk import Record, clock
from plugins.warranty import invoices, receipts, rights
from plugins.warranty.tests.scene_money import ALL, NOVEMBER, Place, make_place
from plugins.warranty.tests.test_invoices import BUYER
from tests.api_scene import Asker, token_of
from tests.helpers import login, make_user, switch_off


class Desk:
    """A place, and somebody of it signed in who may do everything."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.place: Place = make_place()
        self.user = make_user(self.place.unit, ALL, name="前台", locale="en")
        self.client: FlaskClient = login(app.test_client(), self.user)

    def get(self, url: str, status: int = 200, client: FlaskClient | None = None) -> str:
        answer = (client or self.client).get(url)
        assert answer.status_code == status, answer.text[-1500:]
        return answer.text

    def post(self, url: str, status: int = 302, client: FlaskClient | None = None, **form: Any) -> Any:
        answer = (client or self.client).post(url, data=form)
        assert answer.status_code == status, answer.text[-3000:]
        return answer

    def of(self, permissions: Any) -> FlaskClient:
        return login(self.app.test_client(), make_user(self.place.unit, permissions, locale="en"))

    def newest(self, code: str) -> int:
        with self.place.acting() as work:
            return (
                work.scalars(select(Record.id).where(Record.type == code).order_by(Record.id.desc())).first() or 0
            )

    def receipt(self, case: int, amount: str, **values: Any) -> int:
        with self.place.acting():
            given = {"case_id": case, "amount": amount, "means": "cash", **values}
            return receipts.register(self.place.unit.id, given).id


@pytest.fixture
def desk(app: Any) -> Any:
    with clock.frozen(NOVEMBER):
        yield Desk(app)


def test_money_is_collected_from_the_page_of_a_case(desk: Desk) -> None:
    case = desk.place.case("100", "50")
    page = desk.get(f"/admin/record/{case}")
    assert "¥150.00" in page and f"/p/warranty/receipt/new?case={case}" in page
    address = f"/p/warranty/receipt/new?case={case}"
    form = desk.get(address)
    assert 'value="150.00"' in form and form.count('name="charges"') == 2
    one, two = re.findall(r'name="charges" value="(\d+)"', form)
    assert "100.00" in desk.post(address, 422, charges=[one], amount="100.01", means="cash").text
    assert "charges" in desk.post(address, 422, amount="1", means="cash").text
    given = {"charges": [one, two], "amount": "150", "means": "cash", "payer_name": "张三", "key": "k-1"}
    first = desk.post(address, **given).headers["Location"]
    assert "¥150.00" in desk.get(first) and "壹佰伍拾元整" in desk.get(first)
    assert "Nothing is open" in desk.get(address)
    assert "SK-" in desk.get(f"/admin/record/{case}")


def test_the_amounts_of_a_receipt_are_for_whoever_collected_or_sees_money(desk: Desk) -> None:
    case = desk.place.case("100")
    key = desk.receipt(case, "88.01", payer_name="王五")
    for rights_ in (ALL - {rights.MONEY}, {"case.view"}):
        client = desk.of(rights_)
        page = desk.get(f"/admin/record/{key}", client=client)
        assert "88.01" not in page and "王五" not in page
    assert "88.01" not in desk.get("/admin/warranty/receipts/", client=desk.of(ALL - {rights.MONEY}))
    collector = login(desk.app.test_client(), desk.place.collector)
    assert "88.01" in desk.get(f"/admin/record/{key}", client=collector)
    with desk.place.acting() as work:
        told = [str(one.after) for one in work.scalars(select(Audit))]
    assert not any("王五" in one for one in told)


def test_lists_with_bulk_hand_in_and_confirmation_row_by_row(desk: Desk) -> None:
    one, two = (desk.receipt(desk.place.case("100"), "100") for _ in range(2))
    page = desk.get("/admin/warranty/receipts/?quick=in_hand")
    assert page.count("¥100.00") >= 2
    action = "/admin/warranty/receipts/action/"
    desk.post(action, action="hand_in", id=[str(one)])
    report = desk.post(action, 200, action="hand_in", id=[str(one), str(two)]).text
    assert "Handed in, to be confirmed" in report
    desk.post(action, action="confirm", id=[str(one), str(two)])
    desk.post(action, 403, client=desk.of(ALL - {rights.FINANCE}), action="confirm", id=[str(one)])
    for quick in ("in_hand", "mine", "overdue", "to_confirm"):
        desk.get(f"/admin/warranty/receipts/?quick={quick}&search=SK&f_state=collected&f_means=cash")
    assert desk.get("/admin/warranty/receipts/?f_state=confirmed").count("With finance") >= 2
    desk.get("/admin/warranty/invoices/?quick=requested&search=KP")
    with desk.client.post("/admin/warranty/receipts/export/", data={"format": "xlsx"}) as answer:
        assert answer.status_code == 200 and answer.data[:2] == b"PK"


def test_the_lists_ask_as_often_for_many_rows_as_for_few(desk: Desk, count_queries: Any) -> None:
    def queries() -> int:
        with count_queries() as seen:
            desk.get("/admin/warranty/receipts/")
            desk.get("/admin/warranty/ageing/")
        return len(seen)

    case = desk.place.case("1000")
    desk.receipt(case, "1")
    queries()
    few = queries()
    for amount in range(2, 12):
        desk.receipt(case, str(amount))
        desk.place.case("5")
    assert queries() == few


def test_money_in_hand_stands_on_the_first_page(desk: Desk) -> None:
    desk.place.office.clause("R15-11c", limit="0")
    desk.receipt(desk.place.case("100"), "100")
    mine = login(desk.app.test_client(), desk.place.collector)
    assert "¥100.00" in desk.get("/admin/", client=mine)
    with clock.frozen(NOVEMBER + timedelta(days=2)):
        page = desk.get("/admin/", client=desk.of(ALL))
        assert "Collected, not handed in" in page and "Overdue to be handed in" in page
        assert "¥100.00" not in desk.get("/admin/", client=desk.of({rights.COLLECT, "case.view"}))


def test_an_invoice_is_asked_for_issued_with_a_file_and_taken_back(desk: Desk) -> None:
    case = desk.place.case("113")
    address = f"/p/warranty/invoice/new?case={case}"
    form = desk.get(address)
    assert "盟新科技有限公司" in form and 'value="13.00"' in form
    charge = re.findall(r'name="charges" value="(\d+)"', form)
    assert "tax_number" in desk.post(address, 422, **{**BUYER, "tax_number": "1", "charges": charge}).text
    page = desk.get(desk.post(address, **BUYER, charges=charge).headers["Location"])
    assert "¥13.00" in page and BUYER["tax_number"] in page
    key = desk.newest(invoices.CODE)
    assert BUYER["tax_number"] not in desk.get(f"/admin/record/{key}", client=desk.of(ALL - {rights.MONEY}))
    form = desk.get(f"/admin/record/{key}/do/issue")
    assert 'type="file"' in form
    desk.post(f"/admin/record/{key}/do/issue", invoice_number="26332000000012345678")
    desk.post(f"/admin/record/{key}/do/take_back", red_number="26332000000012345679", reason="开错")
    assert "26332000000012345679" in desk.get(f"/admin/record/{key}")
    assert "Nothing posted" not in desk.get(address)
    assert "26332000000012345678" in desk.get("/admin/warranty/invoices/")


def test_a_customers_account_and_the_statement(desk: Desk) -> None:
    case = desk.place.case("100")
    customer = desk.place.customer_of(case)
    desk.receipt(case, "30")
    page = desk.get(f"/admin/customers/details/?id={customer}")
    assert "¥70.00" in page and f"/p/warranty/statement/{customer}" in page
    shown = desk.get(f"/p/warranty/statement/{customer}")
    assert "¥70.00" in shown and "-¥30.00" in shown
    assert "¥70.00" in desk.get(f"/p/warranty/statement/{customer}?first=2027-01-01&last=2026-01-01")
    desk.get(f"/p/warranty/statement/{customer}?first=x&last=2026-99-99")
    assert "¥70.00" in desk.get("/admin/warranty/ageing/")
    for bad in ("0", "abc", "9" * 40):
        desk.get(f"/p/warranty/statement/{bad}", 404)
    desk.get(f"/p/warranty/statement/{customer}", 404, desk.of(ALL - {rights.MONEY}))
    desk.get("/admin/warranty/ageing/", 403, desk.of(ALL - {rights.MONEY}))
    other = Desk(desk.app)
    other.get(f"/p/warranty/statement/{customer}", 404)
    other.get(f"/p/warranty/receipt/new?case={case}", 404)
    other.get(f"/p/warranty/invoice/new?customer={customer}", 404)
    desk.get("/p/warranty/receipt/new", 404)
    switch_off(desk.place.unit, "warranty")
    for url in (f"/p/warranty/statement/{customer}", "/admin/warranty/receipts/", "/admin/warranty/ageing/"):
        desk.get(url, 404)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_papers_are_printed(sqlite_app: Any, language: str) -> None:
    with clock.frozen(NOVEMBER):
        desk = Desk(sqlite_app)
        case = desk.place.case("1234.50")
        key = desk.receipt(case, "1234.05")
        customer = desk.place.customer_of(case)
        for form, subject, row in (
            ("warranty.receipt", receipts.CODE, key),
            ("warranty.statement", "customer", customer),
        ):
            given = {"form": form, "subject": subject, "id": row, "locale": language}
            answer = desk.client.post("/admin/printing/preview", data=given)
            assert answer.data.startswith(b"%PDF"), answer.text[:2000]
            if form == "warranty.receipt" and shutil.which("pdftotext"):
                done = subprocess.run(["pdftotext", "-", "-"], input=answer.data, capture_output=True, check=True)
                said = "".join(done.stdout.decode().split())
                assert ("不是发票" if language == "zh" else "notaninvoice") in said
            denied = desk.of(ALL - {rights.MONEY}).post("/admin/printing/preview", data=given)
            assert denied.status_code in (403, 404)


def test_receipts_and_invoices_over_the_api(desk: Desk) -> None:
    case = desk.place.case("113")
    with desk.place.acting() as work:
        number = work.scalars(select(Record.number).where(Record.id == case)).one()
    asker = Asker(desk.app, token_of(desk.user, units=[desk.place.unit]))
    body = {"case": number, "amount": 100, "means": "pos", "reference": "P-1"}
    first = asker.post("/warranty/receipts", body, Idempotency_Key="a1")
    assert first.status_code == 201, first.text
    assert asker.post("/warranty/receipts", body, Idempotency_Key="a1").json["id"] == first.json["id"]
    assert first.json["amount"] == "100.00" and first.json["state"] == "collected"
    assert first.json["lines"][0]["amount"] == "100.00"
    for wrong in ({**body, "amount": 13.01}, {**body, "amount": 1, "case": "GD-1"}, {**body, "means": "gold"}):
        assert asker.post("/warranty/receipts", wrong).status_code == 422
    made = asker.post("/warranty/invoices", {"case": number, **BUYER, "rate": 13})
    assert made.status_code == 201 and made.json["tax"] == "13.00", made.text
    assert asker.get(f"/warranty/receipts/{first.json['id']}").json["number"].startswith("SK-")
    for path in ("receipts", "invoices", "quotes"):
        assert asker.get(f"/warranty/{path}").status_code == 200
    poor = make_user(desk.place.unit, ALL - {rights.MONEY, rights.COLLECT}, locale="en")
    other = Asker(desk.app, token_of(poor, units=[desk.place.unit]))
    assert other.post("/warranty/receipts", body).status_code == 403
    assert other.get(f"/warranty/receipts/{first.json['id']}").status_code == 404


def test_the_receipt_says_that_it_is_no_invoice(whole_app: Any) -> None:
    from pathlib import Path

    text = (Path(receipts.__file__).parent / "templates" / "warranty" / "receipt.typ").read_text()
    assert "不是发票" in text and "不能代替发票报销" in text and "not an invoice" in text
