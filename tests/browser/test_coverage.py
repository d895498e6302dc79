"""The box about warranty and fees on a case: it fits a phone, and its buttons open the steps."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from core.kernel import clock
from plugins.warranty.tests.scene_coverage import add_case, add_item, decide, step
from tests.casework import Office

from .conftest import Site, Watched

pytestmark = pytest.mark.browser
BOX = "#panel-warranty-coverage"


def _overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"))


@pytest.fixture(scope="module")
def cases(site: Site) -> dict[str, int]:
    """One case that waits for its papers, one that was decided twice and quoted."""
    office = Office(site.units[0], site.admin, site.admin)
    office.clause("R07-3.1", "R07-3.2", "R07-6.1", "R07-6.2", "R10-2.4c")
    office.clause("R03-7.1", on=False)
    add_item(office, purchased_on="2025-06-01")
    now = clock.now()
    waiting = add_case(office, now, contact_phone="13112355341")
    step(office, now, waiting, "claim", papers=["proof"])
    quoted = add_case(office, now, contact_phone="13112355342")
    step(office, now, quoted, "claim", papers=["proof", "card"])
    decide(office, now, quoted, part="压缩机", evidence="照片三张，现场已签字确认")
    decide(office, now, quoted, cause="misuse", reason="拆机发现进水，客户自行改装过电路")
    plan = {"means": "on_site", "people": "2", "days": "3", "nights": "2", "travel": "860"}
    step(office, now, quoted, "quote", **plan)
    step(office, now, quoted, "send", by="phone")
    return {"waiting": waiting, "quoted": quoted}


def test_the_box_fits_a_phone(phone: Watched, cases: dict[str, int]) -> None:
    for name, case in cases.items():
        page = phone.open(f"/admin/record/{case}")
        page.locator(BOX).scroll_into_view_if_needed()
        phone.shot(f"phone-coverage-{name}")
        assert not _overflows(page), name
    assert phone.complaints == []


def test_its_buttons_open_the_steps(desktop: Watched, cases: dict[str, int]) -> None:
    page = desktop.open(f"/admin/record/{cases['quoted']}")
    page.locator(BOX).scroll_into_view_if_needed()
    desktop.shot("coverage-quoted")
    first = page.locator(f"{BOX} .buttons a").first
    assert "warranty:consent" in (first.get_attribute("href") or "")
    first.click()
    page.locator("dialog[open] [name=who]").wait_for()
    page = desktop.open(f"/admin/record/{cases['waiting']}")
    desktop.shot("coverage-waiting")
    page.locator(f"{BOX} a[href*='warranty:claim']").click()
    page.locator("dialog[open] [name=papers]").first.wait_for()
    assert desktop.complaints == []
