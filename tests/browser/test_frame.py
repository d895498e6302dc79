"""The frame as people use it: dialogs, keyboard, phone cards, and no violation of the content policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from core.admin.screens.customers import CustomerScreen
from core.customers.models import Customer
from tests import helpers
from tests.browser.conftest import Watched

pytestmark = pytest.mark.browser

FILE = """客户编号,客户名称,联系电话,地址
K001,甲公司,13712345678,上海市浦东新区一路1号
K002,,13712345679,
K003,丙,１３７１２３４５６７０,
"""
PAGES = {
    "home": "/admin/",
    "customers": "/admin/customers/",
    "customers_filtered": "/admin/customers/?f_kind=company&f_created=today&quick=companies",
    "customer_new": "/admin/customers/new/",
    "customer": "/admin/customers/details/?id=1",
    "merge": "/admin/customers/merge/?id=1&other=2",
    "units": "/admin/units/",
    "unit_edit": "/admin/units/edit/?id=1",
    "settings": "/admin/settings/",
    "plugins": "/admin/plugins/",
    "imports": "/admin/imports/",
    "search": "/admin/search/?q=%E5%BC%A0%E4%BC%9F",
}


def _overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"))


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_desk_and_keep_the_policy(desktop: Watched, name: str) -> None:
    page = desktop.open(PAGES[name])
    desktop.shot(f"desk-{name}")
    assert page.locator("h1").inner_text()
    assert not _overflows(page)
    assert desktop.complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_phone_and_keep_the_policy(phone: Watched, name: str) -> None:
    page = phone.open(PAGES[name])
    phone.shot(f"phone-{name}")
    assert not _overflows(page)
    assert phone.complaints == []


def test_a_list_becomes_cards_on_a_phone(phone: Watched) -> None:
    page = phone.open("/admin/customers/")
    row = page.locator("tr[data-row]").first
    assert row.evaluate("e => getComputedStyle(e).display") == "grid"
    assert not page.locator(".list thead").is_visible()
    box = row.bounding_box()
    assert box is not None
    assert box["width"] <= 390
    page.locator(".bottom [data-drawer]").click()
    page.locator("#side").wait_for(state="visible")
    phone.shot("phone-drawer")


def test_a_dangerous_button_asks_in_a_dialog(desktop: Watched) -> None:
    page = desktop.open("/admin/units/")
    before = page.url
    page.locator("form[data-confirm] button").last.click()
    assert page.locator("#confirm").is_visible()
    desktop.shot("desk-dialog")
    page.locator("#confirm button[value=no]").click()
    assert page.url == before
    assert page.locator("#confirm").is_hidden()
    page.locator("form[data-confirm] button").last.click()
    page.locator("#confirm [data-yes]").click()
    page.wait_for_selector(".toast")
    assert desktop.complaints == []


def test_deleting_shows_a_dialog_and_does_nothing_when_given_up(
    desktop: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(CustomerScreen, "delete_permission", "customer.edit")
    monkeypatch.setattr(CustomerScreen, "delete", lambda _self, row: asked.append(row.id))
    page = desktop.open("/admin/customers/details/?id=1")
    page.locator("form[action*='/delete/'] button").click()
    assert page.locator("#confirm").is_visible()
    page.keyboard.press("Escape")
    assert asked == []
    page.locator("form[action*='/delete/'] button").click()
    page.locator("#confirm [data-yes]").click()
    page.wait_for_selector(".toast")
    assert asked == [1]
    assert desktop.complaints == []


def test_a_file_is_imported_with_a_preview(desktop: Watched) -> None:
    page = desktop.open("/admin/imports/")
    page.set_input_files(
        "#file",
        files=[{"name": "客户.csv", "mimeType": "text/csv", "buffer": FILE.encode("gb18030")}],
    )
    page.locator("form[enctype] .primary").click()
    page.wait_for_selector(".tiles", timeout=20_000)
    desktop.shot("desk-import-preview")
    assert page.locator(".tile.tone-bad strong").inner_text() == "1"
    page.locator("a[href*='show=good']").click()
    desktop.shot("desk-import-good")
    page.locator("button[name=confirm][value='1']").click()
    page.locator("#confirm [data-yes]").click()
    page.wait_for_selector(".note.tone-good", timeout=20_000)
    desktop.shot("desk-import-done")
    with page.expect_download() as download:
        page.locator("a[href*='/rejected/']").click()
    assert download.value.suggested_filename.startswith("客户")
    assert desktop.complaints == []


def test_groups_of_the_menu_stay_as_they_were_left(desktop: Watched) -> None:
    page = desktop.open("/admin/")
    first, last = page.locator("details[data-group]").nth(1), page.locator("details[data-group]").last
    # What is set up once starts folded, the daily work open.
    assert first.locator("a").first.is_visible()
    assert not last.locator("a").first.is_visible()
    first.locator("summary").click()
    last.locator("summary").click()
    desktop.open("/admin/customers/")
    assert not first.locator("a").first.is_visible()
    assert last.locator("a").first.is_visible()
    page.locator("[data-fold]").click()
    assert first.locator("a").first.is_visible()
    desktop.shot("desk-folded")
    assert desktop.complaints == []


def test_keyboard(desktop: Watched) -> None:
    page = desktop.open("/admin/customers/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert "at" in (page.locator("tr[data-row]").nth(1).get_attribute("class") or "")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url("**/details/**")
    assert desktop.complaints == []


def test_choosing_rows_shows_the_bulk_bar_only_where_there_are_actions(desktop: Watched) -> None:
    page = desktop.open("/admin/audit/")
    assert page.locator("[data-bulk-bar]").count() == 0
    page = desktop.open("/admin/customers/")
    assert page.locator("[data-bulk-bar]").count() == 1 and not page.locator("[data-bulk-bar]").is_visible()
    page.locator("tbody input[type=checkbox]").first.check()
    assert page.locator("[data-bulk-bar]").is_visible()
    assert page.locator("[data-count]").inner_text().startswith("6")


def test_the_search_box_suggests_while_typing(desktop: Watched) -> None:
    page = desktop.open("/admin/")
    page.locator("[data-slash]").type("张伟")
    page.wait_for_selector("[data-suggest-list] a")
    desktop.shot("desk-suggest")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/details/**")


def test_a_pasted_line_fills_the_form(desktop: Watched) -> None:
    page = desktop.open("/admin/customers/new/")
    page.fill("#paste", "钱多多 13998765432 浙江省杭州市西湖区文三路99号")
    with page.expect_navigation():
        page.locator("form[action*=paste] button").click()
    assert page.input_value("#name") == "钱多多"
    page.locator("form[action*=new] .primary").click()
    page.wait_for_url("**/details/**")
    with helpers.as_system() as work:
        from sqlalchemy import select

        assert (
            work.scalars(select(Customer).where(Customer.name == "钱多多")).one().phones[0].digits == "13998765432"
        )


def test_the_language_can_be_switched(desktop: Watched) -> None:
    page = desktop.open("/admin/customers/")
    with page.expect_navigation():
        page.locator("form[action='/language'] button:visible").click()
    assert page.locator("html").get_attribute("lang") == "en"
    for name, path in PAGES.items():
        desktop.open(path)
        desktop.shot(f"desk-en-{name}")
        assert not _overflows(page), name
    with page.expect_navigation():
        page.locator("form[action='/language'] button:visible").click()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
