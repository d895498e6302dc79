"""A live server on a free port, a scene in it, and Debian's Chromium driven by Playwright."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from waitress.server import create_server

from core.customers import services as customers
from core.jobs.runner import Runner
from core.kernel import clock
from core.kernel.fields import clean
from core.units.models import Unit, UnitPlugin
from core.users.models import User
from core.users.permissions import all_permissions
from tests import databases, helpers
from tests.fixtures import database_below

SHOTS = Path(__file__).parents[2] / "var" / "screenshots"
NAMES = ("张伟", "王芳", "李娜", "刘洋", "陈静", "杨磊", "赵敏", "黄强", "周杰", "吴艳", "徐刚", "孙丽")
PLACES = (
    "浙江省杭州市西湖区文三路",
    "上海市浦东新区世纪大道",
    "广东省深圳市南山区科技园路",
    "四川省成都市高新区天府大道",
)


@dataclass
class Site:
    """The running site: its address, its units and an administrator."""

    url: str
    app: Flask
    units: list[Unit]
    admin: User
    # The cookies of the administrator, who signs in once.
    signed_in: dict[str, Any] = field(default_factory=dict)


@dataclass
class Watched:
    """A page and everything the browser complained about."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}.png"))


@pytest.fixture(scope="module")
def site(
    whole_app: Flask, sqlite_source: databases.SqliteSource, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Serve the application from a thread, on a database of its own, with CSRF protection on."""
    with database_below(whole_app, sqlite_source.apart(tmp_path_factory.mktemp("browser"))):
        before = whole_app.config.get("WTF_CSRF_ENABLED", True)
        whole_app.config["WTF_CSRF_ENABLED"] = True
        units, admin = _scene(whole_app)
        server = create_server(whole_app, host="127.0.0.1", port=0, threads=4)
        thread = threading.Thread(target=_run, args=(server,), daemon=True)
        thread.start()
        runner = Runner(whole_app, pause=0.1).start()
        try:
            yield Site(f"http://127.0.0.1:{server.effective_port}", whole_app, units, admin)
        finally:
            runner.stop()
            server.close()
            whole_app.config["WTF_CSRF_ENABLED"] = before


def _run(server: Any) -> None:
    # Closing the server takes the socket away from under its loop, which is how waitress is stopped from outside.
    with contextlib.suppress(OSError):
        server.run()


def _scene(app: Flask) -> tuple[list[Unit], User]:
    head = helpers.make_unit("HQ", name="华东售后总部", name_en="East China headquarters")
    shop = helpers.make_unit("SH01", head, name="上海门店", name_en="Shanghai store", kind="store")
    hotel = helpers.make_unit("HZ01", head, name="杭州西湖酒店", name_en="Hangzhou hotel", kind="hotel")
    codes = [one.code for one in all_permissions()]
    admin = helpers.make_user(head, codes, username="admin", below=True, name="王管理")
    fields = (*customers.CUSTOMER_FIELDS, *customers.ADDRESS_FIELDS)
    with helpers.as_system() as work:
        for name in app.extensions["plugins"].plugins:
            work.add(UnitPlugin(unit_id=head.id, plugin=name.name, changed_at=clock.now()))
        for number in range(64):
            raw = {
                "name": NAMES[number % 12] if number % 5 else f"{NAMES[number % 12]}电器有限公司",
                "kind": "person" if number % 5 else "company",
                "phone": f"138{12345600 + number * 7:08d}",
                "address": f"{PLACES[number % 4]}{number + 1}号",
            }
            customers.create_customer(head.id, clean(fields, raw))
    return [head, shop, hotel], admin


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tool:
        chosen = tool.chromium.launch(executable_path=helpers.chromium(), args=["--no-sandbox"])
        yield chosen
        chosen.close()


def _signed_in(browser: Browser, site: Site, **options: Any) -> Iterator[Watched]:
    site.signed_in = site.signed_in or _sign_in(browser, site)
    context = browser.new_context(locale="zh-CN", storage_state=site.signed_in, **options)
    page = context.new_page()
    watched = Watched(page, site)
    page.on("console", lambda m: watched.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    watched.open("/admin/")
    yield watched
    context.close()


def _sign_in(browser: Browser, site: Site) -> Any:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(f"{site.url}/sign-in")
    page.fill("input[name=username]", site.admin.username)
    page.fill("input[name=password]", helpers.PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/admin/**")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def desktop(browser: Browser, site: Site) -> Iterator[Watched]:
    """A signed-in administrator at an office computer (1366 x 820)."""
    yield from _signed_in(browser, site, viewport={"width": 1366, "height": 820})


@pytest.fixture
def phone(browser: Browser, site: Site) -> Iterator[Watched]:
    """The same on a phone (390 x 800, touch)."""
    yield from _signed_in(
        browser, site, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
