"""Services: items, models, links and contradictions of one unit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.jobs import recurring, runner
from core.kernel import clock, outbox
from core.sdk import Case, InvalidData, NotAllowed, NotFound, Record, fetch, publish, session, transaction
from plugins.products import fields, services
from plugins.products.models import Category, Item, KeyPart, Model, ProductRecord
from plugins.products.tests.scene import add_case, add_customer, add_item, staff, the_item
from tests import helpers

SERIAL = "RB18A-2302-00001"


@pytest.fixture(autouse=True)
def _database(app: Any) -> Any:
    return app


def test_item_is_found_in_any_spelling_of_its_serial() -> None:
    unit = helpers.make_unit()
    item_id = add_item(unit, "rb18a-2302-00001")
    with staff(unit):
        for typed in ("RB18A-2302-00001", " rb18a-2302-00001 ", "ＲＢ18Ａ－2302－00001", "RB18A-2302 -00001"):
            found = services.find_item(unit.id, typed)
            assert found is not None and found.id == item_id, typed
        assert services.find_item(unit.id, "") is None
        assert services.find_item(unit.id, "\x00'; drop table") is None


def test_serial_of_another_unit_is_not_found() -> None:
    here, there = helpers.make_unit(), helpers.make_unit()
    item_id = add_item(there)
    with staff(here):
        assert services.find_item(here.id, SERIAL) is None
        assert services.search_items(here.id, SERIAL, 5) == []
        with pytest.raises(NotFound):
            services.get_item(item_id)
    # Even somebody who may work in both units looks only where they stand.
    with helpers.in_scope([here, there], (services.VIEW,)):
        assert services.find_item(here.id, SERIAL) is None
        assert services.search_items(here.id, SERIAL, 5) == []
        assert services.find_item(there.id, SERIAL) is not None


def test_one_serial_once_per_unit_but_in_many_units() -> None:
    here, there = helpers.make_unit(), helpers.make_unit()
    add_item(here)
    add_item(there)
    with pytest.raises(InvalidData) as bad:
        add_item(here, SERIAL.lower())
    assert list(bad.value.errors) == ["serial"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"serial": ""}, "serial"),
        ({"serial": "#!"}, "serial"),
        ({"serial": "X" * 70}, "serial"),
        ({"model_id": "999999"}, "model_id"),
        ({"model_id": "abc"}, "model_id"),
        ({"sold_class": "4.1"}, "sold_class"),
        ({"channel": "telepathy"}, "channel"),
        ({"purchased_on": "2024-13-01"}, "purchased_on"),
        ({"purchased_on": "2199-01-01"}, "purchased_on"),
        ({"produced_on": "2024-02-01", "purchased_on": "2024-01-01"}, "purchased_on"),
        ({"customer_id": "99999"}, "customer_id"),
    ],
)
def test_wrong_input_is_refused_at_its_field(values: dict[str, str], field: str) -> None:
    unit = helpers.make_unit()
    add_item(unit, "FIRST-1")
    with staff(unit):
        model = session().scalars(select(Model)).one()
        with pytest.raises(InvalidData) as bad:
            services.save_item(unit.id, {"serial": "NEW-1", "model_id": str(model.id), **values})
        assert list(bad.value.errors) == [field]
        assert services.find_item(unit.id, "NEW-1") is None


def test_customer_of_another_unit_cannot_be_given_an_item() -> None:
    here, there = helpers.make_unit(), helpers.make_unit()
    foreign = add_customer(there)
    with pytest.raises(InvalidData) as bad:
        add_item(here, customer_id=str(foreign))
    assert list(bad.value.errors) == ["customer_id"]


def test_changing_needs_the_permission() -> None:
    unit = helpers.make_unit()
    add_item(unit)
    with staff(unit, (services.VIEW,)):
        item = services.find_item(unit.id, SERIAL)
        assert item is not None
        with pytest.raises(NotAllowed):
            services.set_sold_class(item, "own")
        with pytest.raises(NotAllowed):
            services.save_category(unit.id, {"name": "新类别"})


def test_key_parts_are_typed_one_per_line() -> None:
    unit = helpers.make_unit()
    with staff(unit):
        raw = {"code": "GK20A", "name": "高空作业平台", "key_parts": "控制器，KZ-7，进口\n水泵\n\n主板,,国产"}
        model = services.save_model(unit.id, raw)
        stored = [(p.name, p.part_model, p.origin) for p in model.key_parts]
        assert stored == [("控制器", "KZ-7", "imported"), ("水泵", "", ""), ("主板", "", "domestic")]
        assert len(fields.read_key_parts(fields.show_key_parts(model.key_parts))) == 3
        services.save_model(unit.id, {**raw, "key_parts": "水泵"}, model)
        assert session().scalars(select(KeyPart.name)).all() == ["水泵"]
        with pytest.raises(InvalidData) as bad:
            services.save_model(unit.id, {**raw, "key_parts": "水泵,SB,月球"}, model)
        assert list(bad.value.errors) == ["key_parts"]


def test_batch_is_made_when_an_item_names_it_and_keeps_its_model() -> None:
    unit = helpers.make_unit()
    add_item(unit, "A-1-1", batch="202302-3")
    add_item(unit, "A-1-2", batch="202302-3")
    with staff(unit):
        batches = {item.batch_id for item in session().scalars(select(Item))}
        assert len(batches) == 1 and None not in batches
        batch = services.get_item(session().scalars(select(Item.id)).first()).batch
        other = services.save_model(unit.id, {"code": "OTHER", "name": "别的"})
        with pytest.raises(InvalidData):
            services.save_batch(unit.id, {"model_id": str(other.id), "number": "202302-3"}, batch)


def test_case_is_linked_to_the_item_of_its_serial_and_follows_it() -> None:
    unit = helpers.make_unit()
    first, second = add_item(unit), add_item(unit, "RB18A-2302-00002")
    case_id = add_case(unit, "GD-1", " rb18a-2302-00001")
    with staff(unit) as work:
        record = fetch(Record, case_id)
        assert services.link_by_serial(record) is the_item(unit)
        assert services.item_of_record(record) is the_item(unit)
        assert the_item(unit).id == first
        case = work.scalars(select(Case)).one()
        case.serial_text = "RB18A-2302-00002"
        work.flush()
        assert services.link_by_serial(record) is the_item(unit, "RB18A-2302-00002")
        assert work.scalars(select(ProductRecord.item_id)).all() == [second]
        case.serial_text = "UNKNOWN-1"
        work.flush()
        assert services.link_by_serial(record) is None
        assert work.scalars(select(ProductRecord)).all() == []


def test_earlier_cases_of_the_same_serial_newest_first() -> None:
    unit, other = helpers.make_unit(), helpers.make_unit()
    add_item(unit)
    for number, days in (("GD-1", 1), ("GD-2", 2), ("GD-3", 3), ("GD-4", 4)):
        add_case(unit, number, SERIAL, days)
    add_case(other, "GD-5", SERIAL, 1)
    with staff(unit):
        third = session().scalars(select(Record).where(Record.number == "GD-3")).one()
        item = the_item(unit)
        assert [r.number for r in services.records_of_item(item, before=third)] == ["GD-2", "GD-1"]
        assert len(services.records_of_item(item)) == 4


def test_model_column_loads_a_page_at_once(count_queries: Any) -> None:
    unit = helpers.make_unit()
    for n in range(6):
        add_item(unit, f"RB18A-2302-0000{n}")
    ids = [add_case(unit, f"GD-{n}", f"RB18A-2302-0000{n}") for n in range(6)]
    with staff(unit):
        with count_queries() as few:
            services.model_codes(ids[:1])
        with count_queries() as many:
            assert services.model_codes(ids) == dict.fromkeys(ids, "RB18A")
        assert len(few) == len(many)


def test_settling_by_hand_closes_the_contradiction() -> None:
    unit = helpers.make_unit()
    item_id = add_item(unit)
    with staff(unit):
        for _ in range(2):
            services.flag_items(unit.id, [(item_id, "class_conflict", "4.1 / agent")])
        assert services.items_in_doubt(unit.id) == 1
        assert [f.subject for f in services.check(unit.id)] == [SERIAL]
        services.set_sold_class(services.get_item(item_id), "agent")
        assert services.items_in_doubt(unit.id) == 0
        # What somebody has settled is not raised again by the same source.
        services.flag_items(unit.id, [(item_id, "class_conflict", "4.1 / agent")])
        assert services.items_in_doubt(unit.id) == 0


def test_last_service_day_is_the_latest_and_bears_repetition() -> None:
    unit = helpers.make_unit()
    item_id = add_item(unit)
    early, late = add_case(unit, "GD-1", SERIAL, 1), add_case(unit, "GD-2", SERIAL, 9)
    with helpers.as_system():
        for case_id in (late, early, late):
            services.served(case_id, unit.id)
        services.served(999_999, unit.id)
    with staff(unit):
        assert services.get_item(item_id).last_service_on == date(2026, 3, 12)


def test_starter_categories_are_made_once_and_renaming_stays() -> None:
    unit = helpers.make_unit()
    with staff(unit) as work:
        services.seed_categories(unit.id)
        first = work.scalars(select(Category).order_by(Category.id)).first()
        count = len(work.scalars(select(Category)).all())
        services.save_category(unit.id, {"name": "厨房电器", "sort": "5", "active": "1"}, first)
        services.seed_categories(unit.id)
        names = work.scalars(select(Category.name)).all()
        assert len(names) == count and "厨房电器" in names


def test_search_finds_any_part_of_a_serial() -> None:
    unit = helpers.make_unit()
    item_id = add_item(unit, "RB18A-2302-00417")
    add_item(unit, "RB18A-2302-00999")
    with staff(unit):
        for typed in ("00417", "2302-00417", "rb18a 00417"):
            assert [item.id for item in services.search_items(unit.id, typed, 5)] == [item_id], typed
        assert len(services.search_items(unit.id, "空气能", 5)) == 2


def test_open_cases_are_linked_at_night_to_items_imported_later() -> None:
    unit = helpers.make_unit()
    helpers.switch_on(unit, "products")
    case_id = add_case(unit, "GD-1", SERIAL, 4)
    add_case(unit, "GD-2", SERIAL, 4)  # closed: history stays as it was
    with helpers.as_system() as work:
        work.get(Record, case_id).category = "open"
    item_id = add_item(unit)
    for minute, expected in ((59, {}), (60, {case_id: item_id}), (61, {case_id: item_id})):  # 03:59 in the unit
        moment = datetime(2026, 3, 8, 19, tzinfo=UTC) + timedelta(minutes=minute)
        with helpers.current().app_context(), clock.frozen(moment):
            recurring.publish_due()
            outbox.deliver_pending(runner.deliver)
        with staff(unit):
            links = {row.record_id: row.item_id for row in session().scalars(select(ProductRecord))}
            assert links == expected


def test_closing_a_case_reaches_its_item_through_the_outbox() -> None:
    unit = helpers.make_unit()
    helpers.switch_on(unit, "products")
    item_id = add_item(unit)
    case_id = add_case(unit, "GD-1", SERIAL, 4)
    with staff(unit), transaction():
        publish("record.close", unit.id, {"record_id": case_id, "type": "case"})
    with helpers.current().app_context():
        assert outbox.deliver_pending(runner.deliver) >= 1
    with staff(unit):
        assert services.get_item(item_id).last_service_on == date(2026, 3, 7)
