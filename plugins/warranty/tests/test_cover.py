"""The cover of items by the clauses in force, the unit's own table and what happened: through the services."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refused
from core.records.engine import perform
from core.units.settings import set_setting
from plugins.products import services as products
from plugins.products.models import Item, ItemPart
from plugins.products.tests.scene import the_item
from plugins.warranty import cover, events, rights, terms, values
from plugins.warranty.models import ItemEvent, Term
from plugins.warranty.tests.scene_terms import SERIAL, TODAY, ends, lines_of, make_shop, on_day, sell
from plugins.warranty.values import WarrantyLine
from tests import helpers
from tests.casework import Office

DAY = date(2023, 6, 15)
DAYS: dict[str, Any] = {
    "purchased_on": DAY,
    "delivered_on": DAY + timedelta(days=1),
    "handed_over_on": DAY + timedelta(days=2),
}


@dataclass
class Term_:
    """A clause about a term: what it gives an item of ``DAYS``, and what another value does."""

    clause: str
    end: date
    changed: dict[str, Any]
    changed_end: date
    scope: str = values.SET
    action: str = values.REPAIR
    part: str = ""
    item: dict[str, Any] = field(default_factory=dict)


TERMS = [
    Term_("R07-3.1", date(2024, 6, 15), {"term": 24}, date(2025, 6, 15)),
    Term_("R22-2.8a", date(2026, 6, 17), {"term": 48}, date(2027, 6, 17)),
    Term_("R22-2.8b", date(2028, 6, 17), {"term": 72}, date(2029, 6, 17), values.KEY_PART, part="压缩机"),
    Term_("R22-2.8c", date(2028, 6, 17), {"start": "purchase"}, date(2028, 6, 15)),
    Term_("R22-4.3", date(2028, 6, 17), {"start": "delivery"}, date(2028, 6, 16)),
    Term_("R23-3.1.1", date(2033, 6, 15), {"term": 60}, date(2028, 6, 15), action=values.EXCHANGE),
    Term_("R23-3.1.2", date(2028, 6, 17), {"term": 12}, date(2024, 6, 17)),
    Term_("SB-1", date(2023, 6, 22), {"days": 10}, date(2023, 6, 25), values.STATUTORY, values.RETURN),
    Term_("SB-2", date(2023, 6, 30), {"days": 30}, date(2023, 7, 15), values.STATUTORY, values.EXCHANGE),
    Term_("SB-3", date(2024, 6, 15), {"term": 24}, date(2025, 6, 15), values.STATUTORY),
    Term_("SB-4", date(2026, 6, 15), {"term": 60}, date(2028, 6, 15), values.STATUTORY, part="压缩机"),
]
BY_CLAUSE = {one.clause: one for one in TERMS}


def sell_pump(shop: Office, serial: str = SERIAL, **given: Any) -> int:
    """An item of the category that R23 names, with a key part."""
    with on_day(TODAY, shop):
        category = products.save_category(shop.unit.id, {"name": f"监控设备{serial}", "active": "1"})
        category.name = "监控设备" if serial == SERIAL else category.name
        model = {"code": f"M-{serial}", "name": "摄像机", "active": "1", "category_id": str(category.id)}
        products.save_model(shop.unit.id, {**model, "key_parts": "压缩机"})
    return sell(shop, serial, f"M-{serial}", **given)


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param("R07-3.1", marks=pytest.mark.clause("R07-3.1")),
        pytest.param("R22-2.8a", marks=pytest.mark.clause("R22-2.8a")),
        pytest.param("R22-2.8b", marks=pytest.mark.clause("R22-2.8b")),
        pytest.param("R22-2.8c", marks=pytest.mark.clause("R22-2.8c")),
        pytest.param("R22-4.3", marks=pytest.mark.clause("R22-4.3")),
        pytest.param("R23-3.1.1", marks=pytest.mark.clause("R23-3.1.1")),
        pytest.param("R23-3.1.2", marks=pytest.mark.clause("R23-3.1.2")),
        pytest.param("SB-1", marks=pytest.mark.clause("SB-1")),
        pytest.param("SB-2", marks=pytest.mark.clause("SB-2")),
        pytest.param("SB-3", marks=pytest.mark.clause("SB-3")),
        pytest.param("SB-4", marks=pytest.mark.clause("SB-4")),
    ],
)
def test_a_clause_gives_its_term_only_where_it_is_on(app: Flask, clause: str) -> None:
    one = BY_CLAUSE[clause]
    shop, other = make_shop(one.clause), make_shop(one.clause, on=False)
    for place in (shop, other):
        sell_pump(place, **DAYS)
    (line,) = lines_of(shop)
    assert line.clause == one.clause and line.ends_on == one.end
    assert (line.scope, line.action, line.part) == (one.scope, one.action, one.part)
    assert lines_of(other) == []


@pytest.mark.parametrize("one", TERMS, ids=lambda one: str(one.clause))
def test_a_term_follows_the_clauses_parameter(sqlite_app: Flask, one: Term_) -> None:
    shop = make_shop(one.clause, **one.changed)
    sell_pump(shop, **DAYS)
    (line,) = lines_of(shop)
    assert line.ends_on == one.changed_end


@pytest.mark.clause("R23-3.1.1")
@pytest.mark.clause("R23-3.1.2")
def test_the_promise_of_ten_years_is_for_its_category_only(sqlite_app: Flask) -> None:
    shop = make_shop("R23-3.1.1", "R23-3.1.2")
    sell(shop, "OTHER-1", **DAYS)
    assert lines_of(shop, "OTHER-1") == []
    everywhere = make_shop("R23-3.1.1", category="")
    sell(everywhere, "OTHER-1", **DAYS)
    assert ends(lines_of(everywhere, "OTHER-1"), "R23-3.1.1") == [date(2033, 6, 15)]


@pytest.mark.clause("R07-3.1")
def test_the_units_setting_says_what_a_warranty_begins_with(sqlite_app: Flask) -> None:
    shop = make_shop("R07-3.1")
    sell(shop, **DAYS)
    with helpers.as_system() as work:
        set_setting(work.merge(shop.unit), "warranty.start", "handover")
    assert ends(lines_of(shop), "R07-3.1") == [date(2024, 6, 17)]


def test_an_unknown_day_is_told(sqlite_app: Flask) -> None:
    shop = make_shop("R07-3.1", "R22-2.8a")
    sell(shop)
    assert {(line.clause, line.missing, line.ends_on) for line in lines_of(shop)} == {
        ("R07-3.1", "purchase", None),
        ("R22-2.8a", "handover", None),
    }


def test_terms_of_the_models_file_count_beside_the_clauses(sqlite_app: Flask) -> None:
    shop = make_shop("R07-3.1")
    with on_day(TODAY, shop):
        model = {"code": "LONG", "name": "长保机", "active": "1", "warranty_months": "30"}
        products.save_model(shop.unit.id, model)
    sell(shop, model="LONG", **DAYS)
    found = lines_of(shop)
    assert [line.ends_on for line in found if line.source == cover.FROM_MODEL] == [date(2025, 12, 15)]
    assert terms.covered_until(found) == date(2025, 12, 15)


def test_the_units_own_table_with_its_days_of_validity(app: Flask) -> None:
    shop = make_shop()
    key = sell(shop, **DAYS)
    with on_day(TODAY, shop) as work:
        item = the_item(shop.unit)
        shared = {"unit_id": shop.unit.id, "months": 24}
        work.add_all(
            [
                Term(name="本型号", model_id=item.model_id, **shared),
                Term(name="从前的", valid_to=DAY - timedelta(days=1), **shared),
                Term(name="后来的", valid_from=DAY + timedelta(days=1), **shared),
                Term(name="当天", valid_from=DAY, valid_to=DAY, part="滤芯", scope=values.KEY_PART, **shared),
                Term(name="停用", active=False, **shared),
                Term(name="代理的", sold_class="agent", **shared),
            ]
        )
    found = lines_of(shop)
    with on_day(TODAY, shop):
        names = cover.term_names([shop.unit.id])
    assert [names[line.source] for line in found] == ["本型号", "当天"]
    assert [line.part for line in found] == ["", "滤芯"]
    with on_day(TODAY, shop) as work:
        held = work.get(Item, key)
        assert held is not None
        held.sold_class = "agent"
    assert "代理的" in [names[line.source] for line in lines_of(shop)]


@pytest.mark.clause("R07-3.1")
def test_what_was_sold_keeps_the_term_of_its_day(sqlite_app: Flask) -> None:
    shop = make_shop("R07-3.1", opened=datetime(2020, 3, 2, tzinfo=UTC))
    later(shop, date(2024, 1, 1), term=6)
    sell(shop, "OLD", purchased_on=date(2023, 12, 31))
    sell(shop, "NEW", purchased_on=date(2024, 1, 1))
    assert ends(lines_of(shop, "OLD"), "R07-3.1") == [date(2024, 12, 31)]
    assert ends(lines_of(shop, "NEW"), "R07-3.1") == [date(2024, 7, 1)]
    with clock.frozen(datetime(2025, 3, 2, tzinfo=UTC)):  # off for a while: nothing of what was sold changes
        helpers.switch_off(shop.unit, "warranty")
        helpers.switch_on(shop.unit, "warranty")
    assert ends(lines_of(shop, "OLD"), "R07-3.1") == [date(2024, 12, 31)]


def test_what_was_sold_before_the_start_is_judged_by_the_first_settings(sqlite_app: Flask) -> None:
    shop = make_shop()
    later(shop, TODAY)
    sell(shop, **DAYS)
    assert ends(lines_of(shop, day=TODAY + timedelta(days=3)), "R07-3.1") == [date(2024, 6, 15)]
    later(shop, TODAY + timedelta(days=200), term=60)
    assert ends(lines_of(shop, day=TODAY + timedelta(days=300)), "R07-3.1") == [date(2024, 6, 15)]


def later(shop: Office, day: date, **given: Any) -> None:
    """Set R07-3.1 from a day on."""
    from core.rules.setting_models import IN_FORCE, ClauseSetting

    with helpers.as_system() as work:
        row = ClauseSetting(unit_id=shop.unit.id, clause="R07-3.1", starts_on=day, holds=True, values=given)
        row.reason, row.open_records, row.state, row.schema = "test", "keep", IN_FORCE, 1
        row.created_at = clock.now()
        work.add(row)


@pytest.mark.parametrize("count", [5, 50])
def test_the_cover_of_many_items_takes_the_same_statements(
    app: Flask, count: int, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    shop = make_shop("R07-3.1", "R22-2.8a", "R22-2.8b", "SB-3", "SB-4")
    for number in range(count):
        sell(shop, f"SN-{number:04}", purchased_on=DAY + timedelta(days=number), handed_over_on=DAY)
    with on_day(TODAY, shop) as work:
        work.add(Term(name="自有", unit_id=shop.unit.id, months=6))
        for item in work.scalars(select(Item)):
            events.add_event(item, "agreed", DAY, source="test", until=date(2029, 1, 1))
    with on_day(TODAY, shop) as work:
        rows = list(work.scalars(select(Item)))
        with count_queries() as seen:
            found = cover.cover_of_many(rows)
    assert len(found) == count and all(len(lines) >= 4 for lines in found.values())
    assert len(seen) <= 14, seen


# --- what happens --------------------------------------------------------------------------------


def pump_replaced(shop: Office, day: date = date(2025, 11, 20), part: str = "水泵") -> ItemEvent:
    with on_day(day, shop):
        return events.add_event(the_item(shop.unit), "replaced", day, source="test:1", part=part)


def of_part(lines: list[WarrantyLine], part: str) -> list[date | None]:
    return [line.ends_on for line in lines if line.scope == values.PART and line.part == part]


@pytest.mark.clause("R22-1.W4")
def test_a_replaced_part_has_a_whole_term_of_its_scope(app: Flask) -> None:
    shop = make_shop("R22-1.W4", "R22-2.8a", "R22-2.8b")
    sell_pump(shop, handed_over_on=DAY)
    pump_replaced(shop)
    found = lines_of(shop)
    assert of_part(found, "水泵") == [date(2028, 11, 20)]
    assert ends(found, "R22-2.8a") == [date(2026, 6, 15)]
    with on_day(TODAY, shop):
        events.add_event(the_item(shop.unit), "replaced", date(2025, 12, 1), source="test:2", part="压缩机")
    assert of_part(lines_of(shop), "压缩机") == [date(2030, 12, 1)]


@pytest.mark.clause("R22-1.W4")
def test_without_the_clause_a_replaced_part_has_no_term(sqlite_app: Flask) -> None:
    shop = make_shop("R22-2.8a")
    sell(shop, handed_over_on=DAY)
    event = pump_replaced(shop)
    assert of_part(lines_of(shop), "水泵") == [] and event.clause == ""


def test_a_unit_may_give_replaced_parts_a_whole_term_by_its_setting(sqlite_app: Flask) -> None:
    shop = make_shop("R22-2.8a")
    with helpers.as_system() as work:
        set_setting(work.merge(shop.unit), "warranty.repaired_cover", "full_restart")
    sell(shop, handed_over_on=DAY)
    pump_replaced(shop)
    assert of_part(lines_of(shop), "水泵") == [date(2028, 11, 20)]


@pytest.mark.clause("R22-1.W6b")
def test_a_failed_last_service_extends_the_set_once_for_each_source(app: Flask) -> None:
    shop = make_shop("R22-1.W6b", "R22-2.8a")
    sell(shop, handed_over_on=DAY)
    with on_day(date(2026, 6, 3), shop):
        item = the_item(shop.unit)
        first = events.extend(item, date(2026, 6, 3), source="followup:1", reason="泵体渗漏")
        again = events.extend(item, date(2026, 6, 3), source="followup:1")
        assert first.id == again.id
    assert ends(lines_of(shop), "R22-2.8a") == [date(2027, 6, 15)]
    with on_day(date(2027, 6, 1), shop):
        events.extend(the_item(shop.unit), date(2027, 6, 1), source="followup:2")
    assert ends(lines_of(shop), "R22-2.8a") == [date(2028, 6, 15)]


@pytest.mark.clause("R22-1.W6b")
def test_the_extension_is_what_the_clause_says_and_refused_without_it(sqlite_app: Flask) -> None:
    shop = make_shop("R22-2.8a")
    shop.clause("R22-1.W6b", extension=6)
    without = make_shop("R22-2.8a")
    without.clause("R22-1.W6b", on=False)
    day = date(2026, 6, 3)
    for place in (shop, without):
        sell(place, handed_over_on=DAY)
    with on_day(day, shop):
        events.extend(the_item(shop.unit), day, source="a")
    assert ends(lines_of(shop), "R22-2.8a") == [date(2026, 12, 15)]
    with on_day(day, without), pytest.raises(Refused) as caught:
        events.extend(the_item(without.unit), day, source="a")
    assert caught.value.refusals[0].clause == "R22-1.W6b"


def test_nothing_is_extended_that_does_not_run(sqlite_app: Flask) -> None:
    shop = make_shop("R22-2.8a", "R22-1.W6b")
    sell(shop, handed_over_on=DAY)
    sell(shop, "UNDATED")
    with on_day(TODAY, shop):
        for serial in (SERIAL, "UNDATED"):
            with pytest.raises(Refused):
                events.extend(the_item(shop.unit, serial), TODAY, source="late")


@pytest.mark.clause("R07-7.1")
@pytest.mark.parametrize(
    ("given", "end"),
    [
        ({"on": True}, date(2024, 6, 15)),
        ({"on": True, "least": 365}, date(2025, 1, 9)),
        ({"on": False}, None),
    ],
)
def test_what_was_repaired_in_warranty_stays_covered(
    sqlite_app: Flask, given: dict[str, Any], end: date | None
) -> None:
    shop = make_shop("R07-3.1")
    shop.clause("R07-7.1", **given)
    sell(shop, **DAYS)
    record_id = repaired_case(shop, date(2024, 1, 10))
    found = [line for line in lines_of(shop) if line.scope == values.REPAIRED]
    assert [line.ends_on for line in found] == ([end] if end else [])
    with on_day(TODAY, shop) as work:
        kept = work.scalars(select(ItemEvent).where(ItemEvent.kind == "repaired")).one()
        assert kept.record_id == record_id and kept.fault == "壁挂炉报E1故障"


def repaired_case(shop: Office, day: date, serial: str = SERIAL, came: date | None = None, **more: Any) -> int:
    """A case about the item, taken in on one day and solved on another; as its fields say."""
    moment = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
    first = came or day
    with clock.frozen(datetime(first.year, first.month, first.day, 1, tzinfo=UTC)):
        record_id = shop.new_case(serial_text=serial, **more)
        shop.do(record_id, "classify", "plan", "assign")
    with clock.frozen(moment):
        with shop.on_the_road():
            perform(record_id, "start", shop.usual("start"))
        shop.do(record_id, "solve")
    return record_id


@pytest.mark.clause("R07-7.1")
def test_a_repair_out_of_warranty_gives_nothing(sqlite_app: Flask) -> None:
    shop = make_shop("R07-3.1", "R07-7.1")
    sell(shop, **DAYS)
    repaired_case(shop, date(2024, 7, 1))
    assert not [line for line in lines_of(shop) if line.scope == values.REPAIRED]


@pytest.mark.clause("R07-7.1")
def test_the_clause_may_cover_every_fault_after_a_repair(sqlite_app: Flask) -> None:
    after = date(2024, 8, 1)
    for same, covered in ((True, False), (False, True)):
        shop = make_shop("R07-3.1")
        shop.clause("R07-7.1", same_fault=same)
        sell(shop, **DAYS)
        repaired_case(shop, date(2024, 6, 1))
        found = lines_of(shop)
        assert (terms.best(found, after) is not None) is covered
        assert terms.best(found, after, fault="壁挂炉报E1故障") is not None


@pytest.mark.clause("SB-6")
def test_time_in_repair_is_left_out_of_the_statutory_term(app: Flask) -> None:
    ends_of = {}
    for name, given in (("on", {}), ("off", {"on": False}), ("counted", {"counted_out": False})):
        shop = make_shop("SB-3")
        shop.clause("SB-6", **given)
        sell(shop, **DAYS)
        repaired_case(shop, date(2024, 1, 20), came=date(2024, 1, 10))
        ends_of[name] = ends(lines_of(shop), "SB-3")
    assert ends_of == {"on": [date(2024, 6, 25)], "off": [date(2024, 6, 15)], "counted": [date(2024, 6, 15)]}


@pytest.mark.clause("SB-5")
def test_repaired_often_an_exchange_is_due(sqlite_app: Flask) -> None:
    shop = make_shop("SB-3", "SB-5")
    sell(shop, **DAYS)
    for day in (date(2024, 1, 10), date(2024, 2, 10)):
        repaired_case(shop, day)
    assert due(shop, date(2024, 3, 1)) == [("壁挂炉报E1故障", 2)]
    shop.clause_settings_gone()
    shop.clause("SB-3")
    shop.clause("SB-5", repairs=3)
    assert due(shop, date(2024, 3, 1)) == []
    shop.clause_settings_gone()
    shop.clause("SB-3")
    shop.clause("SB-5", on=False)
    assert due(shop, date(2024, 3, 1)) == []


def due(shop: Office, day: date) -> list[tuple[str, int]]:
    from plugins.warranty.lookup import owed_today

    with on_day(day, shop):
        return [(one.what, one.repairs) for one in owed_today(the_item(shop.unit)) if one.clause == "SB-5"]


@pytest.mark.clause("SB-7")
def test_an_exchange_begins_the_statutory_term_anew(app: Flask) -> None:
    for given, anew in (({}, [date(2025, 3, 1)]), ({"anew": False}, []), ({"on": False}, [])):
        shop = make_shop("SB-3")
        shop.clause("SB-7", **given)
        sell(shop, **DAYS)
        sell(shop, "NEW-1")
        with on_day(date(2024, 3, 1), shop):
            old, new = the_item(shop.unit), the_item(shop.unit, "NEW-1")
            kept = events.exchange(old, new, date(2024, 3, 1), source="test", reason="修不好")
            assert (kept.item_id, kept.old_serial, kept.new_serial) == (new.id, SERIAL, "NEW-1")
            assert old.replaced_by_id == new.id
        found = lines_of(shop, "NEW-1")
        assert ends(found, "SB-7") == anew
        assert terms.covered_until(found) == max([date(2024, 6, 15), *anew])


def test_the_step_of_a_case_exchanges_and_replaces(app: Flask) -> None:
    shop = make_shop("R22-1.W4", "R22-2.8a", "SB-3", "SB-7")
    sell_pump(shop, **DAYS)
    sell(shop, "NEW-1")
    day = date(2024, 3, 1)
    with clock.frozen(datetime(2024, 3, 1, 1, tzinfo=UTC)):
        record_id = shop.new_case(serial_text=SERIAL)
        shop.do(record_id, "classify", "plan", "assign")
    with on_day(day, shop) as work:
        given = {"part": "水泵", "old_serial": "P1", "new_serial": "P2"}
        perform(record_id, "warranty:replace_part", given)
        perform(record_id, "warranty:replace_part", {"part": "压缩机", "new_serial": "Y2"})
        part = work.scalars(select(ItemPart).where(ItemPart.removed_on.is_(None))).one()
        assert (part.name, part.serial) == ("压缩机", "Y2")
        for wrong in ("NOWHERE", SERIAL):
            with pytest.raises(InvalidData) as caught:
                perform(record_id, "warranty:exchange", {"new_serial": wrong, "reason": "修不好"})
            assert "new_serial" in caught.value.errors
        perform(record_id, "warranty:exchange", {"new_serial": "NEW-1", "reason": "修不好"})
    assert of_part(lines_of(shop), "水泵") == [date(2027, 3, 1)]
    assert ends(lines_of(shop, "NEW-1"), "SB-7") == [date(2025, 3, 1)]


def test_a_part_of_an_unknown_item_is_refused(sqlite_app: Flask) -> None:
    shop = make_shop("R22-1.W4")
    record_id = shop.new_case(serial_text="NOT-ON-FILE")
    shop.do(record_id, "classify", "plan", "assign")
    with on_day(TODAY, shop), pytest.raises(InvalidData) as caught:
        perform(record_id, "warranty:replace_part", {"part": "水泵"})
    assert "part" in caught.value.errors


def test_a_withdrawn_event_counts_no_more_and_stays(app: Flask) -> None:
    shop = make_shop("R22-1.W4", "R22-2.8a")
    sell(shop, handed_over_on=DAY)
    event = pump_replaced(shop)
    with on_day(TODAY, shop):
        with pytest.raises(InvalidData):
            events.withdraw_event(event.id, " ")
        events.withdraw_event(event.id, "录错了")
    assert of_part(lines_of(shop), "水泵") == []
    with on_day(TODAY, shop):
        (kept,) = cover.history_of(the_item(shop.unit))
        assert kept.withdrawn_at is not None and kept.withdrawn_why == "录错了"
    stranger = make_shop()
    with on_day(TODAY, stranger), pytest.raises(NotFound):
        events.withdraw_event(event.id, "别家的")
    with helpers.in_scope(shop.unit, (rights.VIEW,)), pytest.raises(NotAllowed):
        events.withdraw_event(event.id, "没权限")


@pytest.mark.parametrize(
    ("kind", "day", "field"),
    [
        ("replaced", TODAY + timedelta(days=1), "on"),
        ("replaced", DAY - timedelta(days=1), "on"),
        ("stolen", TODAY, "kind"),
    ],
)
def test_events_that_cannot_be_are_told(sqlite_app: Flask, kind: str, day: date, field: str) -> None:
    shop = make_shop("R22-1.W4")
    sell(shop, **DAYS)
    with on_day(TODAY, shop) as work:
        with pytest.raises(InvalidData) as caught:
            events.add_event(the_item(shop.unit), kind, day, source="x")
        assert list(caught.value.errors) == [field]
        assert not work.scalars(select(ItemEvent)).all()


def test_an_item_of_another_unit_is_refused(sqlite_app: Flask) -> None:
    shop, other = make_shop(), make_shop()
    sell(other, **DAYS)
    record_id = shop.new_case()
    with helpers.as_system() as work:
        from core.records.models import Record

        record = work.get(Record, record_id)
        item = work.scalars(select(Item)).one()
        with pytest.raises(InvalidData) as caught:
            events.add_event(item, "replaced", DAY + timedelta(days=9), source="x", record=record)
    assert "serial" in caught.value.errors
