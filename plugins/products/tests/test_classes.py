"""Which class of the regulations an item belongs to, and what becomes of it: exchange, key parts."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask

from core.sdk import InvalidData
from plugins.products import fields, history, services
from plugins.products.classes import class_number, competitor_numbers, sold_class_of
from plugins.products.tests import scene
from tests.casework import Office, make_office
from tests.helpers import in_scope, switch_on

ALL_ON = ("R13-4.1", "R13-4.2", "R17-4.1", "R18-4.1", "R19-4.1", "R19-4.4")
DAY = date(2026, 3, 2)


@pytest.fixture
def office(app: Flask) -> Office:
    made = make_office()
    switch_on(made.unit, "products")
    return made


def numbers(office: Office) -> dict[str, str]:
    with in_scope(office.unit):
        return {code: class_number(office.unit.id, code) for code, _ in fields.SOLD_CLASSES}


def test_where_no_clause_of_the_family_is_on_nothing_has_a_number(office: Office) -> None:
    assert set(numbers(office).values()) == {""}


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (("R13-4.1", "R13-4.2"), ("4.1", "", "", "4.3", "4.2")),
        (("R17-4.1",), ("4.1", "4.2", "4.2", "4.3", "")),
        (("R18-4.1",), ("4.1", "4.2", "4.2", "4.3", "")),
        (("R19-4.1", "R19-4.4"), ("4.1", "4.2", "4.2", "4.3", "4.4")),
        (("R13-4.2",), ("", "", "", "4.3", "4.2")),
        (ALL_ON, ("4.1", "4.2", "4.2", "4.3", "4.4")),
    ],
)
def test_the_clauses_in_force_give_the_numbers(office: Office, on: tuple, expected: tuple) -> None:
    office.clause(*on)
    assert tuple(numbers(office).values()) == expected


def test_a_unit_may_number_its_classes_itself(office: Office) -> None:
    office.clause("R17-4.1", **{"class": "A"})
    office.clause("R19-4.4", **{"class": "9.9"})
    assert (numbers(office)["own"], numbers(office)["competitor"]) == ("A", "9.9")
    with in_scope(office.unit):
        assert competitor_numbers(office.unit.id) == {"9.9"}
        assert sold_class_of(office.unit.id, "A") == "own"
        # Agents' and partner's items share 4.2: the number alone does not tell.
        assert sold_class_of(office.unit.id, "4.2") == ""
        assert sold_class_of(office.unit.id, "") == ""


def test_the_regulation_in_force_tells_whose_class_4_2_is(office: Office) -> None:
    office.clause("R18-4.1")
    with in_scope(office.unit):
        assert sold_class_of(office.unit.id, "4.2") == "agent"
    office.clause_settings_gone()
    office.clause("R19-4.1")
    with in_scope(office.unit):
        assert sold_class_of(office.unit.id, "4.2") == "partner"
    office.clause_settings_gone()
    office.clause("R13-4.2")
    with in_scope(office.unit):
        assert sold_class_of(office.unit.id, "4.2") == "competitor"


def test_a_competitor_is_one_only_where_the_unit_treats_it_so(office: Office) -> None:
    office.clause("R13-4.2", competitor=False)
    with in_scope(office.unit):
        assert competitor_numbers(office.unit.id) == frozenset()


# --- exchange ----------------------------------------------------------------------------------


def pair(office: Office) -> None:
    customer = str(scene.add_customer(office.unit))
    scene.add_item(
        office.unit, "OLD-001", customer_id=customer, sold_class="own", purchased_on="2025-01-05", seller="总店"
    )
    scene.add_item(office.unit, "NEW-001", produced_on="2026-02-01")


def test_the_new_item_takes_over_customer_class_and_dates(office: Office) -> None:
    pair(office)
    with scene.staff(office.unit):
        old, new = scene.the_item(office.unit, "OLD-001"), scene.the_item(office.unit, "NEW-001")
        services.replace_item(old, new, DAY)
        services.replace_item(old, new, DAY)
    with scene.staff(office.unit):
        old, new = scene.the_item(office.unit, "OLD-001"), scene.the_item(office.unit, "NEW-001")
        assert (old.replaced_by_id, old.active) == (new.id, False)
        assert new.customer_id == old.customer_id
        assert (new.sold_class, new.seller, new.purchased_on) == ("own", "总店", date(2025, 1, 5))
        assert new.delivered_on == DAY
        assert [one.serial for one in history.successors(old)] == ["NEW-001"]
        assert [one.serial for one in history.predecessors(new)] == ["OLD-001"]


def test_an_exchanged_item_can_be_edited_though_it_was_made_after_the_purchase(office: Office) -> None:
    pair(office)
    with scene.staff(office.unit):
        old, new = scene.the_item(office.unit, "OLD-001"), scene.the_item(office.unit, "NEW-001")
        services.replace_item(old, new, DAY)
        raw = {
            "serial": new.serial,
            "model_id": str(new.model_id),
            "produced_on": "2026-02-01",
            "purchased_on": "2025-01-05",
        }
        services.save_item(office.unit.id, raw, new)
        assert new.produced_on == date(2026, 2, 1)


def refused_exchange(old: str, new: str, office: Office) -> dict:
    with scene.staff(office.unit), pytest.raises(InvalidData) as bad:
        services.replace_item(scene.the_item(office.unit, old), scene.the_item(office.unit, new), DAY)
    return bad.value.errors


def test_no_circles_and_no_item_stands_for_two(office: Office) -> None:
    pair(office)
    scene.add_item(office.unit, "NEW-002")
    with scene.staff(office.unit):
        services.replace_item(scene.the_item(office.unit, "OLD-001"), scene.the_item(office.unit, "NEW-001"), DAY)
    assert refused_exchange("NEW-001", "OLD-001", office)
    assert refused_exchange("NEW-001", "NEW-001", office)
    assert refused_exchange("OLD-001", "NEW-002", office)
    assert refused_exchange("NEW-002", "NEW-001", office)


def test_items_of_another_customer_or_unit_are_not_given_away(office: Office) -> None:
    pair(office)
    other = make_office("OTHER")
    scene.add_item(other.unit, "NEW-009")
    stranger = str(scene.add_customer(office.unit, "C00002", "乙公司"))
    scene.add_item(office.unit, "NEW-003", customer_id=stranger)
    assert refused_exchange("OLD-001", "NEW-003", office)
    with in_scope([office.unit, other.unit], scene.RIGHTS), pytest.raises(InvalidData):
        services.replace_item(scene.the_item(office.unit, "OLD-001"), scene.the_item(other.unit, "NEW-009"), DAY)
    with scene.staff(office.unit), pytest.raises(InvalidData) as bad:
        services.replace_item(
            scene.the_item(office.unit, "OLD-001"), scene.the_item(office.unit, "NEW-001"), date(2099, 1, 1)
        )
    assert set(bad.value.errors) == {"on"}


# --- key parts ---------------------------------------------------------------------------------


def test_a_part_is_taken_out_and_another_one_fitted(office: Office) -> None:
    record_id = scene.add_case(office.unit, "GD-1", "OLD-001")
    scene.add_item(office.unit, "OLD-001")
    with scene.staff(office.unit) as work:
        item = scene.the_item(office.unit, "OLD-001")
        record = work.get(services.Record, record_id)
        first = services.swap_part(item, "压缩机", "", "y-100", date(2025, 5, 1))
        second = services.swap_part(item, "压缩机", "Y-100", "Y-200", DAY, record, origin="imported")
        again = services.swap_part(item, "压缩机", "Y-100", "Y-200", DAY, record)
        assert second is again
        assert (first.removed_on, first.record_id) == (DAY, record_id)
        assert (second.serial, second.fitted_on, second.origin) == ("Y-200", DAY, "imported")
        assert [part.serial for part in services.parts_in(item)] == ["Y-200"]
        assert services.part_names(item) == ["压缩机"]
        found = history.items_with_part(office.unit.id, "y-100", 5)
        assert [(part.serial, one.serial) for part, one in found] == [("Y-100", "OLD-001")]


def test_a_part_that_was_never_written_down_is_kept_as_taken_out(office: Office) -> None:
    scene.add_item(office.unit, "OLD-001")
    with scene.staff(office.unit):
        item = scene.the_item(office.unit, "OLD-001")
        services.swap_part(item, "水泵", "P-1", "P-2", DAY)
        assert [(one.serial, one.removed_on) for one in services.parts_of(item)] == [("P-2", None), ("P-1", DAY)]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (("", "P-1", "P-2", DAY), "part"),
        (("水泵", "P-1", "P-2", date(2099, 1, 1)), "on"),
        (("水泵", "P-1", "P-1", DAY), "new_serial"),
        (("水泵", "P-8", "P-9", date(2025, 1, 1)), "on"),
        (("水泵", "", "P-7", DAY), "new_serial"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(office: Office, given: tuple, wrong: str) -> None:
    scene.add_item(office.unit, "OLD-001")
    scene.add_item(office.unit, "OLD-002")
    with scene.staff(office.unit):
        item = scene.the_item(office.unit, "OLD-001")
        services.swap_part(item, "水泵", "", "P-8", date(2025, 6, 1))
        services.swap_part(scene.the_item(office.unit, "OLD-002"), "水泵", "", "P-7", DAY)
        with pytest.raises(InvalidData) as bad:
            services.swap_part(item, *given)
        assert set(bad.value.errors) == {wrong}


def test_a_search_shows_no_parts_of_other_units(office: Office) -> None:
    other = make_office("OTHER")
    scene.add_item(other.unit, "FAR-001")
    with scene.staff(other.unit):
        services.swap_part(scene.the_item(other.unit, "FAR-001"), "水泵", "", "FAR-P1", DAY)
    with scene.staff(office.unit):
        assert history.items_with_part(office.unit.id, "FAR-P1", 5) == []
