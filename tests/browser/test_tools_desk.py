"""The keeper's desk with a scan gun, a person's PIN and signature; one's own tools on a phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from core.kernel import clock
from plugins.tools import rights, values
from plugins.tools.tests.scene import PIN, Place, code_of
from tests import casework
from tests.helpers import make_user

from .conftest import Site, Watched

pytestmark = pytest.mark.browser


def _overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"))


@pytest.fixture(scope="module")
def place(site: Site) -> Place:
    """Tools in a store; the administrator keeps it, a technician has a PIN."""
    unit, admin = site.units[0], site.admin
    office = casework.Office(unit, admin, admin)
    ann, bob = make_user(unit, (rights.OWN,), name="安师傅"), make_user(unit, (rights.OWN,), name="鲍师傅")
    made = Place(office, admin, admin, admin, ann, bob)
    made.now = clock.now() - timedelta(days=3)
    made.store = made.party(values.STORE, "总工具房", admin)
    for clause in ("R35-4.4", "R35-5.1", "R33-6.1"):
        made.clause(clause, False)
    for clause in ("R33-5", "R32-4.1", "R35-4.2"):
        made.clause(clause)
    made.pin(ann)
    return made


def _gun(page: Page, *texts: str) -> None:
    """Type as a scan gun does: at once, with Enter behind, whatever has the focus."""
    for text in texts:
        page.keyboard.type(text)
        page.keyboard.press("Enter")


def test_a_gun_fills_the_list_and_the_person_signs(desktop: Watched, place: Place) -> None:
    tools = [place.tool("网络测线仪", model="NF-8209"), *place.tools(3, "剥线钳")]
    codes = [code_of(place, one) for one in tools]
    page = desktop.open("/p/tools/desk/issue")
    desktop.shot("tools-desk-empty")
    _gun(page, *codes, "NOWHERE-1")
    page.locator(".desk-scan .error").wait_for()
    assert page.locator(".desk-lines input[name=tool]").count() == 4
    page.locator("h1").click()  # the focus is elsewhere, yet the next scan lands in the box
    _gun(page, codes[0])
    page.locator(".desk-scan .error", has_text=codes[0]).wait_for()
    page.select_option("select[name=receiver]", f"user:{place.ann.id}")
    assert page.evaluate("document.activeElement.name") == "scan"
    desktop.shot("tools-desk-list")
    page.click("button[value=sign]")
    page.wait_for_url("**/accept/**")
    page.check("[data-tick-all]")
    assert page.locator("[data-tick]:not(:checked)").count() == 0
    page.fill("input#pin", PIN)
    page.locator(".signature canvas").scroll_into_view_if_needed()
    box = page.locator(".signature canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 80)
    page.mouse.down()
    for step in range(12):
        page.mouse.move(box["x"] + 60 + step * 30, box["y"] + 80 + (step % 3) * 40)
    page.mouse.up()
    page.screenshot(path="var/screenshots/tools-accept-pin.png", full_page=True)
    page.click("button[value=accept]")
    page.wait_for_url("**/desk/issue")
    holder = place.person(place.ann)
    assert [place.holder(one) for one in tools] == [holder] * 4
    desktop.open(f"/p/tools/person/{place.ann.id}")
    desktop.shot("tools-card")
    desktop.open("/admin/tools/people/")
    desktop.shot("tools-people")
    desktop.open("/admin/tools/loans/")
    desktop.shot("tools-loans")
    assert desktop.complaints == []


def test_my_tools_on_a_phone(phone: Watched, place: Place, site: Site) -> None:
    me = place.person(site.admin)
    mine = [
        place.tool("电动螺丝刀", holder=me, state=values.ISSUED),
        place.tool("剥线钳", holder=me, state=values.ISSUED),
    ]
    place.tool(
        "测电笔", holder=me, state=values.ON_LOAN, due_at=clock.now() - timedelta(hours=5), lent_at=place.now
    )
    place.tool("梯子", holder=me, state=values.ON_LOAN, due_at=clock.now() + timedelta(hours=5), lent_at=place.now)
    place.parts("胶布", "3", holder=me)
    (offered,) = place.tools(1, "尖嘴钳")
    key = place.offer(values.ISSUE, place.store, me, [offered, *place.tools(2, "平口螺丝刀")], user=site.admin)
    pages = {
        "own": "/p/tools/own",
        "accept": f"/p/tools/accept/{key}",
        "desk": "/p/tools/desk/issue",
        "return": "/p/tools/desk/return",
        "set": "/p/tools/desk/set",
        "card": f"/p/tools/person/{site.admin.id}",
        "people": "/admin/tools/people/",
    }
    for name, path in pages.items():
        page = phone.open(path)
        page.screenshot(path=f"var/screenshots/phone-tools-{name}.png", full_page=True)
        assert not _overflows(page), path
    page = phone.open("/p/tools/own")
    page.check(f"#tool-{mine[1]}")
    page.click("#back .form-foot button")
    page.wait_for_url("**/own")
    assert page.locator(f"#tool-{mine[1]}").is_disabled()
    page = phone.open("/p/tools/desk/issue")
    _gun(page, code_of(place, place.tool("电工刀")))
    page.locator(".desk-lines input[name=tool]").wait_for(state="attached")
    page.screenshot(path="var/screenshots/phone-tools-desk-list.png", full_page=True)
    assert not _overflows(page)
    assert phone.complaints == []
