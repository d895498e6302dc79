"""The warranty look-up and the marks beside serial numbers, on a phone and at a desk."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from core.kernel import clock
from core.sdk import local_day
from plugins.products.tests.scene import the_item
from plugins.warranty import events
from plugins.warranty.tests.scene_terms import RIGHTS, sell
from tests import helpers
from tests.casework import Office

from .conftest import Site, Watched

pytestmark = pytest.mark.browser
SERIAL = "RB18A-2302-00001"


def _overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"))


@pytest.fixture(scope="module")
def item(site: Site) -> int:
    """An item in warranty with a replaced part, a withdrawn entry and several lines."""
    office = Office(site.units[0], site.admin, site.admin)
    office.clause("R07-3.1", "R22-1.W4", "R22-1.W6b", "R22-2.8a", "SB-2", "SB-3")
    today = clock.now().date()
    key = sell(office, SERIAL, purchased_on=today - timedelta(days=200), handed_over_on=today - timedelta(days=190))
    with helpers.in_scope(office.unit, RIGHTS, site.admin) as work:
        row, day = the_item(office.unit, SERIAL), local_day(office.unit.id)
        names = {"part": "水泵总成（含密封圈）", "old_serial": "P-2302-000001", "new_serial": "P-2511-000777"}
        events.add_event(row, "replaced", day - timedelta(days=20), source="a", **names)
        wrong = events.add_event(row, "replaced", day - timedelta(days=10), source="b", part="主板")
        events.withdraw_event(wrong.id, "录错了设备")
        work.commit()
    return key


def test_the_look_up_fits_a_phone(phone: Watched, item: int) -> None:
    pages = ("/p/warranty/lookup", f"/p/warranty/lookup?serial={SERIAL}", "/p/warranty/lookup?serial=NOWHERE")
    more = (f"/admin/products/items/details/?id={item}", "/admin/products/items/", "/admin/warranty/terms/")
    for number, path in enumerate((*pages, *more)):
        page = phone.open(path)
        phone.shot(f"phone-warranty-{number}")
        assert not _overflows(page), path
    assert phone.complaints == []


def test_somebody_looks_a_number_up_and_withdraws_an_entry(desktop: Watched, item: int) -> None:
    page = desktop.open("/p/warranty/lookup")
    page.fill("main input[name=serial]", SERIAL.lower())
    page.press("main input[name=serial]", "Enter")
    page.wait_for_url("**serial=**")
    desktop.shot("warranty-lookup")
    assert page.locator("main .badge").first.is_visible()
    page.locator("main details.drop summary").first.click()
    page.locator("main details[open] input[name=reason]").fill("试一试")
    desktop.shot("warranty-lookup-withdraw")
    page.locator("main details[open] button").first.click()
    page.wait_for_url("**serial=**")
    assert page.locator("main").get_by_text("试一试").count() == 1
    desktop.shot("warranty-lookup-withdrawn")
    assert desktop.complaints == []


def test_the_case_form_tells_how_an_item_is_covered(desktop: Watched, item: int) -> None:
    page = desktop.open("/admin/cases/new")
    page.fill("input[name=serial_text]", SERIAL)
    page.locator("[data-products-lookup] .badge").first.wait_for()
    desktop.shot("warranty-case-form")
    assert desktop.complaints == []
