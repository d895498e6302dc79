"""What an attacker of terms, cover and decisions tried; each of these once went wrong or nearly did."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import system_scope
from core.kernel.outbox import Outbox
from core.rules import approvals, obligations
from core.rules.obligation_models import Obligation
from core.sdk import Event, InvalidData, Record, Refused, fetch, perform
from plugins.products import services as products
from plugins.products.tests.scene import the_item
from plugins.warranty import (
    api_terms,
    contracts,
    cover,
    coverage,
    events,
    lookup,
    plugin,
    reports_cover,
    rights,
    terms,
    values,
)
from plugins.warranty.coverage import Situation
from plugins.warranty.models import Claim, ItemEvent
from plugins.warranty.tests import scene_terms as shelf
from plugins.warranty.tests.scene_coverage import (
    DESK,
    HEAD,
    SERIAL,
    add_case,
    add_item,
    at,
    classify,
    decide,
    happened,
    history,
    make_shop,
    now,
    step,
)
from plugins.warranty.values import WarrantyLine
from tests.helpers import as_system, in_scope, login, make_user

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 in the unit's zone
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOUGHT = {"purchased_on": "2025-06-01"}
R07 = ("R07-3.1", "R07-6.1", "R07-6.2", "R07-7.1")
WORK = ("plan", "assign", "accept", "start", "solve")


@pytest.fixture(autouse=True)
def _database(app: Flask) -> Flask:
    return app


def finish(shop: Any, moment: datetime, key: int) -> None:
    """Bring a decided case to its solution."""
    with clock.frozen(moment):
        shop.do(key, *WORK)


def events_of(serial: str = SERIAL) -> list[ItemEvent]:
    with as_system() as work:
        rows = list(work.scalars(select(ItemEvent).order_by(ItemEvent.id)))
        work.expunge_all()
        return rows


def counted(kind: str) -> int:
    return sum(one.kind == kind and one.withdrawn_at is None for one in events_of())


# --- repaired goods ----------------------------------------------------------------------------


@pytest.mark.clause("R07-7.1")
def test_the_same_fault_is_free_again_where_no_part_was_named() -> None:
    shop = make_shop(*R07)
    add_item(shop, **BOUGHT)
    late_in_term = datetime(2026, 5, 25, 1, tzinfo=UTC)
    first = add_case(shop, late_in_term, description="机身漏水")
    decide(shop, late_in_term + HOUR, first)
    finish(shop, late_in_term + 2 * HOUR, first)
    after = datetime(2026, 7, 20, 1, tzinfo=UTC)  # the year is over since 1 June, the 90 days are not
    again = add_case(shop, after, description="又漏水了")
    assert decide(shop, after + HOUR, again).result == "out_of_warranty"
    found = decide(shop, after + HOUR, again, same_fault="1", reason="同一故障")
    assert (found.result, found.clause) == ("in_warranty", "R07-7.1")
    other = add_case(shop, after + 90 * DAY)
    assert decide(shop, after + 90 * DAY + HOUR, other, same_fault="1").result == "out_of_warranty"


@pytest.mark.clause("R07-7.1")
def test_what_a_repair_gave_follows_a_revised_decision() -> None:
    shop = make_shop(*R07)
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    decide(shop, MONDAY + HOUR, key)
    finish(shop, MONDAY + 2 * HOUR, key)
    assert counted("repaired") == 1
    decide(shop, MONDAY + 3 * HOUR, key, cause="misuse", reason="拆机照片表明进水")
    assert counted("repaired") == 0
    decide(shop, MONDAY + 4 * HOUR, key, cause="quality", reason="复核为密封缺陷")
    assert counted("repaired") == 1


@pytest.mark.clause("R22-1.W4")
def test_what_a_replaced_part_got_follows_a_revised_decision() -> None:
    shop = make_shop("R22-2.8a", "R22-1.W4", "R22-1.W5")
    add_item(shop, handed_over_on="2025-06-01", delivered_on="2025-06-01", **BOUGHT)
    key = add_case(shop, MONDAY)
    decide(shop, MONDAY + HOUR, key)
    with clock.frozen(MONDAY + 2 * HOUR):
        shop.do(key, *WORK[:-1])
    step(shop, MONDAY + 3 * HOUR, key, "replace_part", part="水泵")

    def pump() -> list[date | None]:
        with at(shop, MONDAY + DAY):
            lines = cover.cover_of(the_item(shop.unit, SERIAL))
            return [one.ends_on for one in lines if one.part == "水泵"]

    assert pump() == [date(2029, 3, 2)]
    decide(shop, MONDAY + 4 * HOUR, key, cause="misuse", reason="进水")
    assert pump() == []
    decide(shop, MONDAY + 5 * HOUR, key, cause="quality", reason="复核")
    assert pump() == [date(2029, 3, 2)]


# --- exchange ----------------------------------------------------------------------------------


@pytest.mark.clause("SB-7")
def test_an_exchange_pressed_again_later_begins_no_further_term() -> None:
    shop = shelf.make_shop("SB-3", "SB-7")
    shelf.sell(shop, purchased_on=date(2025, 6, 1))
    shelf.sell(shop, "NEW-1")
    for day in (date(2026, 3, 2), date(2026, 5, 2)):
        with shelf.on_day(day, shop):
            old, new = the_item(shop.unit), the_item(shop.unit, "NEW-1")
            events.exchange(old, new, day, source=f"press:{day}")
    assert shelf.ends(shelf.lines_of(shop, "NEW-1"), "SB-7") == [date(2027, 3, 2)]
    assert len(events_of()) == 2


@pytest.mark.clause("R07-3.1")
def test_an_exchange_is_no_new_term_where_terms_begin_with_delivery() -> None:
    shop = shelf.make_shop("R07-3.1")
    shop.set("warranty.start", "delivery")
    shop.clause_settings_gone()
    shop.clause("R07-3.1", start="setting")
    shelf.sell(shop, purchased_on=date(2025, 6, 1), delivered_on=date(2025, 6, 3))
    shelf.sell(shop, "NEW-1")
    shelf.sell(shop, "NEW-2")
    assert terms.covered_until(shelf.lines_of(shop)) == date(2026, 6, 3)
    for day, one, other in (
        (date(2026, 3, 2), shelf.SERIAL, "NEW-1"),
        (date(2026, 5, 2), "NEW-1", "NEW-2"),
    ):
        with shelf.on_day(day, shop):
            events.exchange(the_item(shop.unit, one), the_item(shop.unit, other), day, source=str(day))
    assert terms.covered_until(shelf.lines_of(shop, "NEW-1")) == date(2026, 6, 3)
    assert terms.covered_until(shelf.lines_of(shop, "NEW-2")) == date(2026, 6, 3)


def test_a_serial_that_was_given_back_in_exchange_is_not_decided_on() -> None:
    shop = make_shop(*R07)
    add_item(shop, **BOUGHT)
    add_item(shop, "NEW-1")
    running = add_case(shop, MONDAY)
    with at(shop, MONDAY + HOUR) as work:
        old, new = products.find_item(shop.unit.id, SERIAL), products.find_item(shop.unit.id, "NEW-1")
        events.exchange(old, new, date(2026, 3, 2), source="test")
        work.commit()
    # The case that led to the exchange is still about the old one.
    assert decide(shop, MONDAY + 2 * HOUR, running).result == "in_warranty"
    key = add_case(shop, MONDAY + 5 * DAY)
    with pytest.raises(Refused) as caught:
        decide(shop, MONDAY + 5 * DAY + HOUR, key)
    assert "NEW-1" in str(caught.value.refusals[0].text)


@pytest.mark.clause("SB-7")
def test_an_exchange_entered_in_the_product_file_counts_as_well(app: Flask) -> None:
    shop = shelf.make_shop("SB-3", "SB-7")
    shelf.sell(shop, purchased_on=date(2025, 6, 1))
    shelf.sell(shop, "NEW-1")
    with shelf.on_day(date(2026, 3, 2), shop):
        products.replace_item(the_item(shop.unit), the_item(shop.unit, "NEW-1"), date(2026, 3, 2))
    with clock.frozen(datetime(2026, 3, 3, tzinfo=UTC)):
        deliver()
        deliver()
    assert shelf.ends(shelf.lines_of(shop, "NEW-1"), "SB-7") == [date(2027, 3, 2)]
    assert len(events_of()) == 2


def deliver() -> None:
    with as_system() as work:
        for row in work.scalars(select(Outbox).where(Outbox.topic == "products.exchanged")).all():
            plugin.event_committed(event=Event(row.id, row.topic, row.unit_id, row.payload, row.created_at))


# --- what is shown -----------------------------------------------------------------------------


def test_a_contract_that_begins_later_is_no_cover_today() -> None:
    shop = shelf.make_shop("R07-3.1")
    shelf.sell(shop, purchased_on=date(2024, 6, 1))
    with shelf.on_day(shelf.TODAY, shop):
        item = the_item(shop.unit)
        events.add_event(item, events.AGREED, date(2027, 1, 1), months=12, source="contract:1")
    with shelf.on_day(shelf.TODAY, shop):
        item = the_item(shop.unit)
        lines = cover.cover_of(item)
        badge = lookup.badge_of(item, lines)
        assert badge is not None and badge.tone != "good" and "2027-01-01" in str(badge.label)
        (told,) = api_terms._cover([item])
        assert told["in_warranty"] is False
    with shelf.on_day(date(2027, 1, 1), shop):
        item = the_item(shop.unit)
        assert api_terms._cover([item])[0]["in_warranty"] is True


@pytest.mark.clause("R22-1.W6b")
def test_an_extension_withdrawn_by_mistake_can_be_entered_again() -> None:
    shop = shelf.make_shop("R22-2.8a", "R22-1.W6b")
    shelf.sell(shop, handed_over_on=date(2024, 6, 15))
    for _time in (1, 2):
        with shelf.on_day(shelf.TODAY, shop):
            kept = events.extend(the_item(shop.unit), shelf.TODAY, source="hand:1", reason="未通过")
            again = events.extend(the_item(shop.unit), shelf.TODAY, source="hand:1", reason="未通过")
            assert again.id == kept.id
        assert shelf.ends(shelf.lines_of(shop), "R22-2.8a") == [date(2028, 6, 15)]
        with shelf.on_day(shelf.TODAY, shop):
            events.withdraw_event(kept.id, "录错了")
        assert shelf.ends(shelf.lines_of(shop), "R22-2.8a") == [date(2027, 6, 15)]


# --- decisions ---------------------------------------------------------------------------------


@pytest.mark.clause("R25-3.2.16")
def test_damage_seen_before_the_repair_counts_when_it_is_decided() -> None:
    shop = make_shop(*R07, "R25-3.2.16", "R13-5.1.2")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    with clock.frozen(MONDAY + HOUR):
        shop.do(key, "plan", "assign", "accept")
    seen = {"parts_complete": "1", "human_damage": "1", "told": "1", "finding": "外壳有撬痕"}
    step(shop, MONDAY + 2 * HOUR, key, "inspect", **seen)
    assert decide(shop, MONDAY + 3 * HOUR, key).result == "misuse"


@pytest.mark.clause("R23-3.1.1")
def test_wear_after_the_free_repair_is_no_reason_for_an_exchange() -> None:
    line = WarrantyLine(values.SET, date(2020, 1, 1), date(2030, 1, 1), "R23-3.1.1", action=values.EXCHANGE)
    given: dict[str, Any] = {"R23-3.1.1": {}, "R23-3.1.2": {}, "R23-3.2": {}}
    for cause, result in (("quality", "in_warranty"), ("wear", "out_of_warranty"), ("outside", "out_of_warranty")):
        found = coverage.judge(Situation(date(2026, 1, 1), (line,), cause=cause, clauses=given))
        assert found.result == result, cause


@pytest.mark.clause("R22-1.R5")
def test_a_call_that_turns_out_to_be_a_question_admits_nothing() -> None:
    shop = make_shop("R22-1.R5", "R22-2.8a")
    add_item(shop, handed_over_on="2025-06-01", delivered_on="2025-06-01", **BOUGHT)
    key = add_case(shop, MONDAY, nature="", channel="phone")
    happened(shop, MONDAY + timedelta(minutes=9), key, "responded")
    found = now(shop, key).coverage
    assert found is not None and found.result == "deemed"
    with at(shop, MONDAY + HOUR):
        classify(key, "inquiry")
    assert now(shop, key).coverage is None


@pytest.mark.clause("R07-3.2")
def test_lost_papers_agreed_after_the_case_is_over_change_nothing() -> None:
    shop = make_shop(*R07, "R07-3.2", "R07-4.2")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    lost = {"papers": ["proof", "serial"], "lost": "1", "reason": "搬家遗失"}
    step(shop, MONDAY + HOUR, key, "claim", **lost)
    step(shop, MONDAY + 2 * HOUR, key, "claim", **lost)  # pressed twice: one question
    with as_system() as work:
        rows = list(work.scalars(select(approvals.Approval)))
        assert len(rows) == 1
        asked = rows[0].id
    step(shop, MONDAY + 3 * HOUR, key, "cancel", DESK | {"case.cancel"}, reason="重复登记")
    with as_system() as work:
        state = work.get_one(approvals.Approval, asked).state
        claim = work.get_one(Claim, key)
        assert claim.complete_at is None
    assert state == "withdrawn"


def test_two_people_deciding_at_once_leave_one_decision(app: Flask) -> None:
    shop = make_shop(*R07)
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    gate, answers = threading.Barrier(2), []

    def press(cause: str) -> None:
        with app.app_context():
            gate.wait()
            try:
                with in_scope(shop.unit, DESK, shop.desk):
                    perform(key, "warranty:decide", {"cause": cause})
                answers.append("done")
            except Exception as problem:
                answers.append(type(problem).__name__)

    threads = [threading.Thread(target=press, args=(cause,)) for cause in ("quality", "misuse")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert sorted(answers) == ["InvalidData", "done"]
    assert len([one for one in history(key) if one.current]) == 1 and len(history(key)) == 1


# --- what is to be looked at -------------------------------------------------------------------


@pytest.mark.clause("R22-1.R5")
def test_an_admission_is_to_be_reviewed_until_a_leader_has_chosen_it(client: Any) -> None:
    shop = make_shop("R22-1.R5", "R22-2.8a")
    add_item(shop, handed_over_on="2025-06-01", delivered_on="2025-06-01", **BOUGHT)
    key = add_case(shop, MONDAY, channel="phone")
    happened(shop, MONDAY + timedelta(minutes=9), key, "responded")
    head = make_user(shop.unit, {rights.VIEW, rights.DECIDE_OTHERWISE, rights.HANDLE, "case.view"})
    login(client, head, unit=shop.unit)
    listed = "/admin/warranty/decisions/?quick=to_review"
    number = record_number(key)
    assert number in client.get(listed).text
    assert "quick=to_review" in client.get("/admin/").text
    # Whoever may not decide otherwise confirms nothing, and a finding of misuse is no review.
    assert decide(shop, MONDAY + HOUR, key, cause="misuse").to_review is True
    assert decide(shop, MONDAY + HOUR, key, result="deemed", reason="如此").to_review is True
    found = decide(shop, MONDAY + HOUR, key, HEAD, result="deemed", reason="录音已核对，确实未接")
    assert (found.result, found.to_review) == ("deemed", False)
    assert number not in client.get(listed).text
    assert "quick=to_review" not in client.get("/admin/").text


def record_number(key: int) -> str:
    with as_system() as work:
        return work.get_one(Record, key).number


def test_the_report_of_warranties_that_end_soon_lists_what_runs_today() -> None:
    shop = shelf.make_shop("R07-3.1")
    days = {"A-END": 364, "B-OVER": 366, "C-LATER": 300, "D-DAY": 365}
    for serial, ago in days.items():
        shelf.sell(shop, serial, purchased_on=shelf.TODAY - timedelta(days=ago))
    with shelf.on_day(shelf.TODAY, shop):
        found = [row["serial"] for row in reports_cover.ENDING.rows([shop.unit.id], {"days": 1})]
        wide = [row["serial"] for row in reports_cover.ENDING.rows([shop.unit.id], {"days": 90})]
    assert found == ["D-DAY", "A-END"]
    assert wide == ["D-DAY", "A-END", "C-LATER"]


# --- other units, plugin off -------------------------------------------------------------------


def test_a_serial_of_another_unit_is_unknown_by_every_way(client: Any) -> None:
    shop, other = shelf.make_shop("R07-3.1"), shelf.make_shop("R07-3.1")
    shelf.sell(other, "SECRET-1", purchased_on=date(2026, 6, 1))
    shelf.sell(shop, "OURS-1", purchased_on=date(2026, 6, 1))
    with as_system() as work:
        foreign = work.scalars(select(products.Item).where(products.Item.serial == "SECRET-1")).one().id
    staff = make_user(shop.unit, {*shelf.RIGHTS, rights.CONTRACT, "api.use"})
    login(client, staff, unit=shop.unit)
    page = client.get("/p/warranty/lookup?serial=SECRET-1").text
    assert "2027-06-01" not in page and "空气能热泵" not in page
    assert client.post("/p/warranty/events/extend", data={"id": foreign, "reason": "x"}).status_code == 404
    with shelf.on_day(shelf.TODAY, shop, rights.CONTRACT):
        with pytest.raises(InvalidData):
            contracts._read_items(shop.unit.id, None, "SECRET-1 OURS-1")
        assert products.items_by_serial(shop.unit.id, ["SECRET-1"]) == {}
        assert products.search_ids(frozenset({shop.unit.id}), "SECRET", 9) == []
    key = shop.new_case(serial_text="SECRET-1")
    with shelf.on_day(shelf.TODAY, shop):
        assert products.item_of_record(fetch(Record, key)) is None
        perform(key, "classify", {"nature": "repair", "urgency": "normal"})
        with pytest.raises(Refused):
            perform(key, "warranty:decide", {"cause": "quality"})
    page = client.get(f"/admin/record/{key}")
    assert page.status_code == 200 and "2027-06-01" not in page.text


def test_recomputing_gives_the_same_clocks(app: Flask) -> None:
    shop = make_shop("R22-4.4b", "R22-1.R5", "R22-2.8a", "R01-5.3")
    add_item(shop, handed_over_on="2025-06-01", delivered_on="2025-06-01", **BOUGHT)
    key = add_case(shop, MONDAY, channel="phone")
    happened(shop, MONDAY + timedelta(minutes=9), key, "responded")
    happened(shop, MONDAY + timedelta(minutes=12), key, "responded", MONDAY + timedelta(minutes=2))
    decide(shop, MONDAY + HOUR, key)
    decide(shop, MONDAY + 2 * HOUR, key, cause="misuse", reason="进水")
    decide(shop, MONDAY + 3 * HOUR, key, cause="quality", reason="复核")

    def rows() -> list[Any]:
        with as_system() as work:
            found = select(Obligation.clause, Obligation.state, Obligation.due_at, Obligation.start_at)
            return sorted(map(tuple, work.execute(found.where(Obligation.record_id == key))), key=str)

    before = rows()
    with clock.frozen(MONDAY + 4 * HOUR), app.app_context(), system_scope("test"):
        assert obligations.recompute(shop.unit.id) == 0
    assert rows() == before and before
