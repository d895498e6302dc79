"""Cases as people work on them: by phone at the desk, and with one hand in the field."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from core.cases.services import register_case
from core.records.engine import perform
from core.records.models import Attachment, Record
from core.users.permissions import all_permissions
from tests import helpers
from tests.browser.conftest import Site, Watched

pytestmark = pytest.mark.browser

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PATHS = ("/admin/", "/admin/cases/", "/admin/cases/new", "/admin/inbox/", "/my/", "record", "job")
PASTE = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const bag = new DataTransfer();
  bag.items.add(new File([bytes], name, { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: bag, bubbles: true, cancelable: true }));
}"""


def _case(site: Site, **changes: Any) -> int:
    """Register a case, assigned to the signed-in administrator."""
    raw = {
        "customer_name": "周小明",
        "contact_phone": "13912340000",
        "address_text": "浙江省杭州市西湖区文三路1号",
        "channel": "phone",
        "nature": "repair",
        "urgency": "normal",
        "product_text": "KFR-35",
        "description": "空调不制冷",
        **changes,
    }
    codes = [one.code for one in all_permissions()]
    with helpers.in_scope(site.units[0], codes, site.admin):
        record = register_case(site.units[0].id, raw)
        perform(record.id, "assign", {"assignee_id": str(site.admin.id)})
        return int(record.id)


def _stored(record_id: int) -> Record:
    with helpers.as_system() as work:
        found = work.get(Record, record_id)
        assert found is not None
        return found


@pytest.fixture
def case(site: Site) -> Iterator[int]:
    yield _case(site)


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/cases/", "/admin/cases/new", "/admin/inbox/", "/my/", "record", "job"]
)
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_pages_fit_and_keep_the_policy(request: pytest.FixtureRequest, case: int, size: str, path: str) -> None:
    watched: Watched = request.getfixturevalue(size)
    page = watched.open({"record": f"/admin/record/{case}", "job": f"/my/{case}"}.get(path, path))
    watched.shot(f"{size}-case-{path.strip('/').replace('/', '-') or 'home'}")
    assert page.locator("h1").inner_text()
    assert not page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)")
    assert watched.complaints == []


def test_a_call_is_taken_from_the_keyboard(desktop: Watched) -> None:
    page = desktop.open("/admin/cases/new")
    page.keyboard.type("13912349999")
    page.wait_for_selector("[data-caller-found] p")
    assert page.input_value("[name=contact_phone]") == "13912349999"
    page.fill("[name=customer_name]", "钱多多")
    page.check("[name=nature][value=repair]", force=True)
    page.fill("[name=description]", "洗衣机不转")
    page.fill("[name=product_text]", "XQB-80")
    page.evaluate(PASTE, ["image.png", base64.b64encode(PNG).decode()])
    page.wait_for_selector("[data-photo-list] img")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/admin/record/**")
    assert "洗衣机不转" in page.locator("main").inner_text()
    assert page.locator(".file-list li").count() == 1
    assert desktop.complaints == []
    page.goto(desktop.site.url + "/admin/cases/new")
    assert page.input_value("[name=description]") == "", "the draft was used up"


def test_open_cases_of_a_caller_come_first_and_one_key_chases(desktop: Watched, case: int) -> None:
    page = desktop.open("/admin/cases/new")
    page.fill("[data-caller]", "12340000")
    page.wait_for_selector("[data-chase]")
    desktop.shot("desk-caller")
    assert page.locator("[data-caller-found] .found-case").count() >= 1
    link = page.locator("[data-caller-found] .found-case a").first.get_attribute("href") or ""
    page.keyboard.press("Alt+1")
    page.wait_for_url("**/admin/record/**")
    assert _stored(int(link.rsplit("/", 1)[1])).chase_count == 1


def test_a_pasted_chat_line_fills_the_form(desktop: Watched) -> None:
    page = desktop.open("/admin/cases/new")
    page.click("[data-open=paste-dialog]")
    page.fill("[data-paste]", "孙丽丽 13822223333 浙江省杭州市拱墅区湖墅南路8号")
    page.click("[data-paste-go]")
    expect(page.locator("[name=customer_name]")).to_have_value("孙丽丽")
    assert page.input_value("[name=contact_phone]").replace(" ", "") == "13822223333"
    assert "拱墅区" in page.input_value("[name=address_text]")


def test_a_step_opens_in_a_dialog_and_errors_keep_what_was_typed(desktop: Watched, case: int) -> None:
    page = desktop.open(f"/admin/record/{case}")
    page.locator("#steps a[href$='/do/wait']").first.click()
    page.wait_for_selector("#form-dialog[open] [name=why]")
    desktop.shot("desk-step-dialog")
    page.fill("#form-dialog [name=reason]", "等压缩机")
    page.click("#form-dialog button.primary")
    page.wait_for_selector(".error")
    assert page.input_value("[name=reason]") == "等压缩机"
    page.select_option("[name=why]", "parts")
    page.click("main .form-foot button.primary")
    page.wait_for_selector(".toast")
    assert _stored(case).state == "waiting"
    assert desktop.complaints == [] or all("422" in text for text in desktop.complaints)


def test_a_screenshot_is_pasted_onto_a_record(desktop: Watched, case: int) -> None:
    page = desktop.open(f"/admin/record/{case}")
    page.evaluate(PASTE, ["image.png", base64.b64encode(PNG).decode()])
    page.wait_for_selector(".file-list img")
    assert desktop.complaints == []


def test_a_colleague_is_named_by_typing_at(desktop: Watched, case: int) -> None:
    page = desktop.open(f"/admin/record/{case}")
    page.click("#comment-text")
    page.keyboard.type("请看 @王管")
    page.wait_for_selector("[data-mentions] li:visible")
    page.keyboard.press("Enter")
    assert page.input_value("#comment-text") == f"请看 @{desktop.site.admin.username} "
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".entry-note")
    assert page.input_value("#comment-text") == ""


def _sign(page: Page) -> None:
    box = page.locator("canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + 30, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 80, steps=8)
    page.mouse.up()


def test_a_technician_does_the_whole_visit_on_the_phone(phone: Watched, case: int) -> None:
    page = phone.open("/my/")
    page.locator(f".job[href='/my/{case}']").click()
    assert (page.locator("a[href^='tel:']").get_attribute("href") or "").endswith("13912340000")
    assert (page.locator("a[href^='geo:']").get_attribute("href") or "").startswith("geo:")
    with page.expect_navigation():
        page.locator("form[action$='/do/accept'] button").click()
    page.locator("a[href$='/do/arrive']").click()
    page.locator("main .form-foot button.primary").click()
    page.wait_for_selector("a[href$='/do/solve']")
    page.locator("a[href$='/do/solve']").click()
    for name, text in {"cause": "缺氟", "process": "补氟", "parts_used": "无", "test_result": "正常"}.items():
        page.fill(f"[name={name}]", text)
    page.fill("[name=plan]", "现场补氟")
    page.check("[name=agreed]")
    page.set_input_files("[name=photos]", files=[{"name": "p.png", "mimeType": "image/png", "buffer": PNG}])
    page.locator("main .form-foot button.primary").click()
    page.wait_for_selector("a[href$='/do/confirm']")
    page.locator("a[href$='/do/confirm']").click()
    page.select_option("[name=means]", "signature")
    page.select_option("[name=rating]", "5")
    _sign(page)
    phone.shot("phone-signature")
    page.locator("main .form-foot button.primary").click()
    page.wait_for_url("**/my/")
    assert _stored(case).state == "confirmed"
    with helpers.as_system() as work:
        kinds = sorted(row.kind for row in work.query(Attachment).filter_by(record_id=case))
    assert kinds == ["photos", "signature"]
    assert phone.complaints == []


def test_a_lost_network_loses_nothing_and_sends_once(phone: Watched, case: int) -> None:
    page = phone.open(f"/my/{case}/do/wait")
    context: BrowserContext = page.context
    page.select_option("[name=why]", "customer")
    page.fill("[name=reason]", "客户不在家")
    page.set_input_files("[name=photos]", files=[{"name": "door.png", "mimeType": "image/png", "buffer": PNG}])
    context.set_offline(True)
    page.locator("main .form-foot button.primary").click()
    page.wait_for_selector(".waiting-bar")
    phone.shot("phone-offline")
    assert _stored(case).state == "assigned"
    context.set_offline(False)
    page.wait_for_url(f"**/my/{case}", timeout=20_000)
    assert _stored(case).state == "waiting"
    with helpers.as_system() as work:
        assert len(work.query(Attachment).filter_by(record_id=case).all()) == 1


def test_forms_of_a_job_open_without_a_network_and_wait_for_it(phone: Watched, case: int) -> None:
    page = phone.open(f"/my/{case}")
    before = _stored(case).fact_seq
    page.context.set_offline(True)
    page.locator("a[href$='/do/wait']").click()
    page.select_option("[name=why]", "customer")
    page.go_back()
    assert page.locator("a[href$='/do/decline']").is_visible()
    page.locator("a[href$='/do/wait']").click()
    assert page.input_value("[name=why]") == "customer"
    page.fill("[name=reason]", "客户不在家")
    page.set_input_files("[name=photos]", files=[{"name": "door.png", "mimeType": "image/png", "buffer": PNG}])
    button = page.locator("main .form-foot button.primary")
    button.click()
    page.wait_for_selector(".waiting-bar")
    button.click()
    assert _stored(case).fact_seq == before
    page.context.set_offline(False)
    page.wait_for_url(f"**/my/{case}", timeout=20_000)
    record = _stored(case)
    # The pause and its picture, once each.
    assert (record.state, record.fact_seq) == ("waiting", before + 2)


def test_what_was_not_sent_is_told_on_the_list_and_sent_from_the_job(phone: Watched, case: int) -> None:
    page = phone.open(f"/my/{case}/do/wait")
    page.select_option("[name=why]", "customer")
    page.fill("[name=reason]", "客户不在家")
    page.context.set_offline(True)
    page.locator("main .form-foot button.primary").click()
    page.wait_for_selector(".waiting-bar")
    # Back on the network, but the server does not answer before the page is left.
    page.route("**/do/wait", lambda route: route.abort())
    page.context.set_offline(False)
    page.goto(page.url.split("/my/")[0] + "/my/")
    page.unroute("**/do/wait")
    page.locator(".waiting-bar a").click()
    page.wait_for_url(f"**/my/{case}", timeout=20_000)
    page.locator("a[href$='/contacted']").wait_for()
    assert _stored(case).state == "waiting"
    phone.open("/my/")
    assert page.locator(".waiting-bar").count() == 0


def test_an_answer_lost_on_the_way_is_not_done_twice(phone: Watched, case: int) -> None:
    page = phone.open(f"/my/{case}/do/wait")
    page.select_option("[name=why]", "customer")
    page.fill("[name=reason]", f"客户不在家 {uuid.uuid4().hex[:4]}")

    def lose(route: Route) -> None:
        route.fetch(max_redirects=0)  # the server does it; the answer never arrives
        route.abort()

    page.route("**/do/wait", lose, times=1)
    page.locator("main .form-foot button.primary").click()
    page.wait_for_selector(".waiting-bar")
    before = _stored(case)
    assert before.state == "waiting"
    page.reload()
    page.wait_for_url(f"**/my/{case}", timeout=20_000)
    assert _stored(case).fact_seq == before.fact_seq
