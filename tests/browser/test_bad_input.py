"""Hostile and careless text on screens: nothing runs, nothing bursts the layout."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.cases.services import register_case
from core.customers.models import Customer
from core.kernel import clock
from core.kernel.database import session
from core.records.attachments import attach
from core.records.services import comment, remind
from tests import helpers
from tests.casework import ALL, INTAKE

pytestmark = pytest.mark.browser
LONG = "无边无际" * 7 + "W" * 150
RUNS = '<img src=x onerror="document.title=1">"\'><script>document.title=1</script>'


def _fill(site, word):
    """Put ``word`` wherever staff and customers can write."""
    with helpers.in_scope(site.units[0], ALL, site.admin):
        raw = {
            **INTAKE,
            "customer_name": word[:120],
            "contact_name": word[:60],
            "address_text": word[:200],
            "product_text": word[:120],
            "serial_text": word[:60],
            "description": word,
        }
        case = register_case(site.units[0].id, raw).id
        comment(case, f"{word} @{site.admin.username}")
        attach(case, f"{word[:150]}.txt", io.BytesIO(word.encode()))
        remind(case, word, clock.now() + timedelta(hours=1))
        customer = session().scalars(select(Customer.id).order_by(Customer.id.desc()).limit(1)).one()
    return case, customer


def _pages(case, customer):
    return (
        f"/admin/record/{case}",
        "/admin/",
        "/admin/cases/",
        "/admin/records/",
        "/admin/customers/",
        f"/admin/customers/details/?id={customer}",
        f"/admin/customers/merge/?id={customer}",
        "/admin/reminders/",
        "/admin/inbox/?all=1",
        "/admin/audit/",
        "/admin/search/?q=W",
        f"/admin/cases/new?customer={customer}",
        f"/admin/record/{case}/do/cancel",
    )


def test_endless_words_do_not_burst_the_phone(phone):
    case, customer = _fill(phone.site, LONG)
    wide = []
    for path in _pages(case, customer):
        page = phone.open(path)
        if page.evaluate("document.documentElement.scrollWidth > Math.min(window.innerWidth, screen.width)"):
            wide.append(path)
    assert wide == []


def test_markup_in_texts_never_runs(desktop):
    case, customer = _fill(desktop.site, RUNS)
    for path in _pages(case, customer):
        page = desktop.open(path)
        assert page.title() != "1", path
        assert page.locator("img[src=x]").count() == 0, path
    page = desktop.open("/admin/cases/new")
    page.fill("[data-caller]", "13112355344")
    page.wait_for_selector("[data-take-customer]")
    page.click("[data-take-customer]")
    page.fill("[data-suggest] input[name=q]", "onerror")
    page.wait_for_selector("[data-suggest-list] a")
    assert page.title() != "1" and page.locator("img[src=x]").count() == 0
    assert [text for text in desktop.complaints if "Content Security" in text] == []
