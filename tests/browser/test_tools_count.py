"""Counting a tool store on a phone, with a gun, and without scripts nothing else is needed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page
from sqlalchemy import select

from core.kernel import clock
from plugins.tools import counts, values
from plugins.tools.models import CountLine
from plugins.tools.tests.scene import Place, code_of
from tests import casework

from .conftest import Site, Watched

pytestmark = pytest.mark.browser


def _overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"))


@pytest.fixture(scope="module")
def place(site: Site) -> Place:
    """A store with a few tools, kept by the administrator."""
    unit, admin = site.units[0], site.admin
    made = Place(casework.Office(unit, admin, admin), admin, admin, admin, admin, admin)
    made.now = clock.now() - timedelta(days=3)
    made.store = made.party(values.STORE, "盘点库房", admin)
    return made


def _results(place: Place, key: int) -> dict[int, str]:
    rows = place.all(select(CountLine).where(CountLine.count_id == key, CountLine.tool_id.is_not(None)))
    return {row.tool_id: row.result for row in rows}


def test_a_store_is_counted_on_a_phone(phone: Watched, place: Place) -> None:
    shelf = place.shelf("A-01")
    tools = [place.tool("网络测线仪", model="NF-8209", place_id=shelf), *place.tools(4, "剥线钳")]
    elsewhere = place.tool("电批", holder=place.party(values.STORE, "盘点分库"))
    place.parts("扎带", "40")
    with place.acting():
        key = counts.begin(place.unit.id, {"party": place.store}).id
    page = phone.open(f"/p/tools/count/{key}")
    assert not _overflows(page)
    phone.shot("tools-count-begin")
    for one in (tools[0], tools[1], elsewhere):
        page.keyboard.type(code_of(place, one))
        page.keyboard.press("Enter")
    page.locator(".desk-note.tone-warn").wait_for()
    assert page.locator("progress").get_attribute("value") == "2"
    page.locator(".count-line summary").nth(1).click()
    page.locator("select[name^=condition-]").nth(1).select_option("damaged")
    phone.shot("tools-count-say")
    assert not _overflows(page)
    page.locator("button[form=say]").nth(1).click()
    page.locator("button[value^='missing ']").first.click()
    page.select_option("select[name=part]", label="扎带")
    page.fill("input[name=quantity]", "38")
    page.click("button[value=part]")
    phone.shot("tools-count-middle")
    assert not _overflows(page)
    found = _results(place, key)
    assert found[tools[0]] == found[tools[1]] == values.FOUND and found[elsewhere] == values.EXTRA
    assert sorted(found.values()).count(values.MISSING) == 1
    page.check("input[name=rest_missing]")
    page.click("button[value=sign]")
    page.wait_for_url("**/admin/record/**")
    assert place.state(key) == values.COUNTED
    phone.shot("tools-count-signed")
    assert not _overflows(page)
    assert phone.complaints == []


def test_the_lists_on_a_desktop(desktop: Watched, place: Place) -> None:
    today = place.now.date()
    tool = place.tool("万用表", calibrate_on=today - timedelta(days=1), maintain_on=today + timedelta(days=9))
    for name in ("counts", "maintenance-due", "calibration-due", "care", "old"):
        page = desktop.open(f"/admin/tools/{name}/")
        assert not _overflows(page)
        desktop.shot(f"tools-{name}")
    desktop.open(f"/admin/record/{tool}")
    desktop.shot("tools-care-of-tool")
    desktop.open("/p/tools/count/new")
    desktop.shot("tools-count-new")
    assert desktop.complaints == []
