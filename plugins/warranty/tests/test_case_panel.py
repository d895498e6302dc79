"""The box on a case, the column of the list, and what a decision does to a quote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.sdk import Record, charges
from plugins.warranty import case_panel, values
from plugins.warranty.models import Quote
from plugins.warranty.standing import standing_of
from plugins.warranty.tests.scene_coverage import DESK, PAPERS, add_case, add_item, at, decide, make_shop, now, step
from tests.casework import ALL
from tests.helpers import as_system, in_scope, login, make_user

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LATER = MONDAY + timedelta(hours=1)
R07 = ("R07-3.1", "R07-3.2", "R07-6.1", "R07-6.2", "R10-2.4c")
OUT_OF_DATE, IN_DATE = {"purchased_on": "2024-01-01"}, {"purchased_on": "2025-06-01"}
PLAN = {"means": "on_site", "people": "1", "travel": "120.50"}


@pytest.fixture(autouse=True)
def _database(app: Any) -> Any:
    return app


def page(app: Any, shop: Any, url: str, permissions: Any = DESK) -> str:
    user = make_user(shop.unit, permissions, locale="en")
    with clock.frozen(LATER):
        answer = login(app.test_client(), user, unit=shop.unit).get(url)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def steps(shop: Any, key: int) -> list[str]:
    with at(shop, LATER) as work:
        record = work.get_one(Record, key)
        return case_panel._wanted(record, standing_of(record))


def customer_owes(key: int) -> Decimal:
    with as_system():
        return next((one.payable for one in charges.totals(key) if one.payer == "customer"), Decimal(0))


def test_what_is_missing_and_what_is_next_is_on_the_case(app: Any) -> None:
    shop = make_shop(*R07)
    add_item(shop, **IN_DATE)
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "claim", papers=["proof"])
    text = page(app, shop, f"/admin/record/{key}")
    for words in ("Not decided yet", "Covered until 2026-06-01", "Proof of purchase", "Warranty card"):
        assert words in text, words
    assert f"/admin/record/{key}/do/warranty:claim" in text
    step(shop, LATER, key, "claim", papers=["card"])
    decide(shop, LATER, key, evidence="照片三张")
    decide(shop, LATER, key, cause="misuse", reason="拆机发现进水")
    text = page(app, shop, f"/admin/record/{key}")
    for words in ("Misuse", "R10-2.4c", "拆机发现进水", "1 earlier decision", "Improper use"):
        assert words in text, words
    # The timeline names what was decided, in words.
    timeline = text[text.index('id="timeline"') :]
    assert "In warranty" in timeline and "in_warranty" not in timeline
    assert '<span class="muted">Covered until</span> 2026-06-01' in timeline


def test_the_way_of_a_paid_case_through_the_box(app: Any) -> None:
    shop = make_shop(*R07)
    add_item(shop, **OUT_OF_DATE)
    key = add_case(shop, MONDAY)
    assert steps(shop, key) == ["claim", "decide"]
    decide(shop, LATER, key)
    assert steps(shop, key) == ["quote"]
    step(shop, LATER, key, "quote", **PLAN)
    assert steps(shop, key) == ["send", "quote"]
    step(shop, LATER, key, "send", by="phone")
    assert steps(shop, key) == ["consent", "refuse"]
    text = page(app, shop, f"/admin/record/{key}")
    for words in ("120.50", "Told to the customer", "Who pays", "Out of warranty"):
        assert words in text, words
    step(shop, LATER, key, "refuse", reason="太贵")
    assert steps(shop, key) == ["quote", "ask_waiver"]


@pytest.mark.parametrize("consented", [True, False])
def test_a_decision_revised_to_free_takes_the_quote_back(consented: bool) -> None:
    shop = make_shop(*R07)
    add_item(shop, **IN_DATE)
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "claim", **PAPERS)
    decide(shop, LATER, key, cause="misuse")
    step(shop, LATER, key, "quote", **PLAN)
    step(shop, LATER, key, "send", by="phone")
    if consented:
        step(shop, LATER, key, "consent", means="phone", who="马林")
    assert customer_owes(key) == Decimal("120.50")
    decide(shop, LATER, key, cause="quality", reason="复核：出厂缺陷")
    assert customer_owes(key) == 0
    assert now(shop, key).quote is None
    with as_system() as work:
        assert work.get_one(Record, key).state == "classified"
        quote = work.scalars(select(Quote).where(Quote.record_id == key)).one()
        assert (quote.state, quote.current, quote.total) == (values.REPLACED, False, 0)


def test_nothing_of_it_is_shown_to_who_may_not_see_it(app: Any) -> None:
    shop = make_shop(*R07)
    add_item(shop, **IN_DATE)
    key = add_case(shop, MONDAY)
    assert "panel-warranty-coverage" in page(app, shop, f"/admin/record/{key}")
    assert "panel-warranty-coverage" not in page(app, shop, f"/admin/record/{key}", ALL)
    question = add_case(shop, MONDAY, nature="inquiry", contact_phone="13112355345")
    assert "panel-warranty-coverage" not in page(app, shop, f"/admin/record/{question}")


def test_the_list_of_cases_shows_the_coverage_in_one_statement(app: Any, count_queries: Any) -> None:
    shop = make_shop("R07-3.1", "R07-6.1", "R07-6.2")
    add_item(shop, **IN_DATE)
    keys = [add_case(shop, MONDAY, contact_phone=f"1311235534{n}") for n in range(3)]
    decide(shop, LATER, keys[0])
    decide(shop, LATER, keys[1], cause="misuse")
    with in_scope(shop.unit, DESK, shop.desk) as work:
        rows = [work.get_one(Record, key) for key in keys]
        with count_queries() as seen:
            found = case_panel.of_rows(rows)
        assert len(seen) == 1
        assert {key: str(text) for key, text in found.items()} == {keys[0]: "In warranty", keys[1]: "Misuse"}
        assert case_panel.of_rows([]) == {}
    assert "In warranty" in page(app, shop, "/admin/cases/")
