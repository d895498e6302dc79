"""Collecting, invoicing and statements on a phone: nothing overflows, the browser complains of nothing."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from plugins.warranty import invoices, receipts
from plugins.warranty.tests.scene_money import FEE, Place
from plugins.warranty.tests.test_invoices import BUYER
from tests.casework import Office

from .conftest import Site, Watched

pytestmark = pytest.mark.browser


def _overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"))


@pytest.fixture(scope="module")
def pages(site: Site) -> dict[str, str]:
    """Let a customer owe money, pay a part of it and want an invoice; return the pages that show it."""
    office = Office(site.units[0], site.admin, site.admin)
    office.clause(FEE)
    place = Place(office, site.admin, site.admin, site.admin)
    case = place.case("1234567.89", "50")
    customer = place.customer_of(case)
    given: dict[str, Any] = {"case_id": case, "amount": "1000000", "means": "cash", "payer_name": "张三"}
    with place.acting():
        receipt = receipts.register(place.unit.id, given).id
        invoice = invoices.request(place.unit.id, {"case_id": case, **BUYER, "amount": "100000"}).id
    return {
        "case": f"/admin/record/{case}",
        "collect": f"/p/warranty/receipt/new?case={case}",
        "ask_invoice": f"/p/warranty/invoice/new?case={case}",
        "receipt": f"/admin/record/{receipt}",
        "invoice": f"/admin/record/{invoice}",
        "issue": f"/admin/record/{invoice}/do/issue",
        "customer": f"/admin/customers/details/?id={customer}",
        "statement": f"/p/warranty/statement/{customer}",
        "ageing": "/admin/warranty/ageing/",
        "receipts": "/admin/warranty/receipts/",
        "invoices": "/admin/warranty/invoices/",
        "first": "/admin/",
    }


def test_pages_of_money_fit_a_phone(phone: Watched, pages: dict[str, str]) -> None:
    for name, path in pages.items():
        page = phone.open(path)
        phone.shot(f"phone-money-{name}")
        assert not _overflows(page), name
    assert phone.complaints == []


def test_pages_of_money_fit_a_desk(desktop: Watched, pages: dict[str, str]) -> None:
    for name, path in pages.items():
        page = desktop.open(path)
        desktop.shot(f"desk-money-{name}")
        assert not _overflows(page), name
    assert desktop.complaints == []


def test_money_is_collected_by_hand(phone: Watched, pages: dict[str, str]) -> None:
    page = phone.open(pages["collect"])
    page.fill("input[name=amount]", "12.34")
    page.select_option("select[name=means]", "wechat")
    page.locator(".form-foot button.primary").click()
    page.wait_for_url("**/admin/record/**")
    assert "12.34" in page.locator("#panel-warranty-receipt").inner_text()
