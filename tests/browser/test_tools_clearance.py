"""The sheet of a leaver and the form of an application, on a phone and on a desktop."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from core.kernel import clock
from plugins.tools import clearance, rights, values
from plugins.tools.tests.scene import Place
from tests import casework
from tests.helpers import make_user

from .conftest import Site, Watched

pytestmark = pytest.mark.browser


def _overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"))


@pytest.fixture(scope="module")
def place(site: Site) -> Place:
    """A store kept by the administrator, and two technicians."""
    unit, admin = site.units[0], site.admin
    ann, bob = (make_user(unit, (rights.OWN,), name=name) for name in ("安师傅", "鲍师傅"))
    made = Place(casework.Office(unit, admin, admin), admin, admin, admin, ann, bob)
    made.now = clock.now() - timedelta(days=1)
    made.store = made.party(values.STORE, "清点库房", admin)
    return made


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_leaver_on_the_sheet(size: str, place: Place, request: pytest.FixtureRequest) -> None:
    watched: Watched = request.getfixturevalue(size)
    person = place.person(place.ann)
    tools = [place.tool("剥线钳", holder=person, state=values.ISSUED) for _one in range(3)]
    raw = {"kind": values.LEAVER, "user_id": place.ann.id, "successor_id": place.bob.id, "last_day": "2030-01-31"}
    with place.acting():
        key = clearance.begin(place.unit.id, raw).id
    page = watched.open(f"/p/tools/clearance/{key}")
    assert not _overflows(page)
    watched.shot(f"tools-clearance-{size}")
    page.locator(f"input[name=tool][value='{tools[0]}']").check()
    page.locator("textarea[name=what]").fill("说不清放在哪里")
    page.locator("button[formaction]").click()
    page.locator("button[value=all]").click()
    assert not _overflows(page)
    assert place.state(tools[0]) == values.LOST
    watched.shot(f"tools-clearance-{size}-handed")
    page = watched.open(f"/admin/record/{key}")
    assert not _overflows(page)
    watched.shot(f"tools-clearance-{size}-record")
    place.step(key, "cancel", reason="再试一次")
    assert watched.complaints == []


def test_applying_and_the_lists(phone: Watched, place: Place) -> None:
    place.kind("剥线钳")
    for path in ("application/new", "clearance/new"):
        page = phone.open(f"/p/tools/{path}")
        assert not _overflows(page)
        phone.shot(f"tools-{path.replace('/', '-')}")
    for name in ("applications", "clearances", "reminders"):
        assert not _overflows(phone.open(f"/admin/tools/{name}/"))
    assert phone.complaints == []
