"""Prices in force: by clause, by class, by tariff; finance's part prices; who may set them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from core.sdk import InvalidData, NotAllowed, Refused
from plugins.warranty import prices, rights, tariffs, values
from plugins.warranty.tests.scene_prices import (
    R13_FOREIGN,
    R13_TABLE,
    TODAY,
    add_part,
    add_tariff,
    finance,
    make_shop,
    part_price,
    raw,
    set_clause,
)
from tests import helpers


def amounts(unit: Any, product_class: str = "4.1", day: date = TODAY) -> dict[str, tuple[Decimal, str, str]]:
    with finance(unit):
        found = prices.prices_for(unit.id, product_class, day)
    return {item: (one.amount, one.per, one.clause) for item, one in found.items()}


@pytest.mark.clause("R13-5.2.1.3a")
@pytest.mark.clause("R13-5.2.1.3b")
@pytest.mark.clause("R13-5.2.1.3c")
@pytest.mark.clause("R13-5.2.1.3d")
def test_the_clauses_own_numbers_hold_where_there_is_no_tariff(sqlite_app: Any) -> None:
    unit = make_shop(*R13_TABLE, *R13_FOREIGN)
    assert amounts(unit) == {
        values.TRANSPORT: (Decimal(0), values.ACTUAL, "R13-5.2.1.3a"),
        values.LODGING: (Decimal(150), values.PERSON_NIGHT, "R13-5.2.1.3b"),
        values.MEALS: (Decimal(50), values.PERSON_DAY, "R13-5.2.1.3c"),
        values.ALLOWANCE: (Decimal(200), values.PERSON_DAY, "R13-5.2.1.3d"),
    }


@pytest.mark.clause("R13-5.2.2.2a")
@pytest.mark.clause("R13-5.2.2.2b")
@pytest.mark.clause("R13-5.2.2.2c")
@pytest.mark.clause("R13-5.2.2.2d")
def test_class_4_3_has_numbers_of_its_own(sqlite_app: Any) -> None:
    unit = make_shop(*R13_TABLE, *R13_FOREIGN)
    assert amounts(unit, "4.3") == {
        values.TRANSPORT: (Decimal(0), values.ACTUAL, "R13-5.2.2.2a"),
        values.LODGING: (Decimal(200), values.PERSON_NIGHT, "R13-5.2.2.2b"),
        values.MEALS: (Decimal(100), values.PERSON_DAY, "R13-5.2.2.2c"),
        values.ALLOWANCE: (Decimal(300), values.PERSON_DAY, "R13-5.2.2.2d"),
    }


@pytest.mark.parametrize(
    ("clause", "product_class", "numbers"),
    [
        pytest.param("R17-5.2.3", "4.1", (150, 50, 200), marks=pytest.mark.clause("R17-5.2.3")),
        pytest.param("R18-5.2.1.3", "4.2", (150, 50, 200), marks=pytest.mark.clause("R18-5.2.1.3")),
        pytest.param("R19-5.2.1.3", "4.1", (150, 50, 200), marks=pytest.mark.clause("R19-5.2.1.3")),
        pytest.param("R19-5.2.2.2", "4.3", (200, 100, 300), marks=pytest.mark.clause("R19-5.2.2.2")),
        pytest.param("R17-5.2.6", "4.3", (200, 100, 300), marks=pytest.mark.clause("R17-5.2.6")),
    ],
)
def test_a_lost_table_takes_the_numbers_of_its_clause(
    sqlite_app: Any, clause: str, product_class: str, numbers: tuple[int, ...]
) -> None:
    unit = make_shop(clause)
    found = amounts(unit, product_class)
    assert tuple(found[item][0] for item in (values.LODGING, values.MEALS, values.ALLOWANCE)) == numbers
    assert {one[2] for one in found.values()} == {clause}


def test_a_unit_sets_a_clauses_number_and_how_lodging_is_charged_from_a_day_on(sqlite_app: Any) -> None:
    unit = make_shop(*R13_TABLE)
    set_clause(unit, "R13-5.2.1.3c", True, date(2026, 7, 1), price="60")
    set_clause(unit, "R13-5.2.1.3b", True, date(2026, 7, 1), per="actual")
    set_clause(unit, "R13-5.2.1.3d", True, date(2026, 7, 1), least="120")
    assert amounts(unit, day=date(2026, 6, 30))[values.MEALS][0] == 50
    after = amounts(unit, day=date(2026, 7, 1))
    assert after[values.MEALS][0] == 60
    assert after[values.LODGING][:2] == (0, values.ACTUAL)
    with finance(unit):
        assert prices.prices_for(unit.id, "4.1", date(2026, 7, 1))[values.ALLOWANCE].least == 120


def test_days_are_those_of_the_units_zone(sqlite_app: Any) -> None:
    for zone in ("Pacific/Kiritimati", "Asia/Shanghai", "UTC", "Pacific/Pago_Pago"):
        unit = make_shop(*R13_TABLE, timezone=zone)
        set_clause(unit, "R13-5.2.1.3c", True, date(2026, 7, 1), price="60")
        assert amounts(unit, day=date(2026, 6, 30))[values.MEALS][0] == 50, zone
        assert amounts(unit, day=date(2026, 7, 1))[values.MEALS][0] == 60, zone


def test_where_no_clause_asks_for_a_fee_there_is_no_price(sqlite_app: Any) -> None:
    unit = make_shop()
    assert amounts(unit) == {}
    with finance(unit):
        assert prices.fee_clause(unit.id, "4.1", values.LODGING, TODAY) == ""


@pytest.mark.parametrize(
    ("clauses", "product_class", "item", "expected"),
    [
        ((*R13_TABLE, "R07-6.2"), "4.1", "lodging", "R13-5.2.1.3b"),
        ((*R13_TABLE, "R07-6.2"), "4.3", "lodging", "R07-6.2"),
        ((*R13_TABLE, *R13_FOREIGN), "4.3", "meals", "R13-5.2.2.2c"),
        (("R17-5.2.3", "R17-5.2.6"), "4.3", "meals", "R17-5.2.6"),
        (("R17-5.2.3",), "4.3", "meals", "R17-5.2.3"),
        (("R18-5.2.1.3",), "4.3", "travel", "R18-5.2.1.3"),
        (("R19-5.2.1.3", "R19-5.2.2.2"), "4.1", "travel", "R19-5.2.1.3"),
        (("R07-6.2",), "4.1", "travel", "R07-6.2"),
        (("R09-5.3.3.3",), "4.1", "labour", "R09-5.3.3.3"),
        (("R17-5.2.3",), "4.1", "labour", "R17-5.2.3"),
        (("R17-5.2.3", "R17-5.2.7"), "4.1", "handling", "R17-5.2.7"),
        (tuple(R13_TABLE), "4.1", "labour", ""),
    ],
)
def test_a_price_names_the_clause_of_its_item(
    sqlite_app: Any, clauses: tuple[str, ...], product_class: str, item: str, expected: str
) -> None:
    unit = make_shop(*clauses)
    with finance(unit):
        assert prices.fee_clause(unit.id, product_class, item, TODAY) == expected


# --- tariffs -------------------------------------------------------------------------------------------


def test_a_tariff_prices_what_it_names_under_the_items_clause(sqlite_app: Any) -> None:
    unit = make_shop(*R13_TABLE, "R07-6.2")
    given = raw("2026-06-15", lodging_amount="180", meals_amount="", meals_per="", labour_amount="90")
    with finance(unit):
        tariffs.release(tariffs.save_tariff(unit.id, {**given, "allowance_least": "120"}))
    found = amounts(unit)
    assert found[values.LODGING] == (Decimal("180.00"), values.PERSON_NIGHT, "R13-5.2.1.3b")
    assert found[values.LABOUR] == (Decimal("90.00"), values.HOUR, "R07-6.2")
    assert found[values.MEALS] == (Decimal(50), values.PERSON_DAY, "R13-5.2.1.3c")  # what it leaves out
    with finance(unit):
        assert prices.prices_for(unit.id, "4.1", TODAY)[values.ALLOWANCE].least == 120
    assert amounts(unit, day=date(2026, 6, 14))[values.LODGING][0] == 150


def test_the_tariff_of_the_class_comes_before_the_one_for_all(sqlite_app: Any) -> None:
    unit = make_shop(*R13_TABLE, *R13_FOREIGN)
    add_tariff(unit, "2026-06-10", lodging_amount="160")
    add_tariff(unit, "2026-06-12", lodging_amount="260", product_class="4.3")
    assert amounts(unit, "4.1")[values.LODGING][0] == 160
    assert amounts(unit, "4.3")[values.LODGING][0] == 260
    assert amounts(unit, "4.3", date(2026, 6, 11))[values.LODGING][0] == 160
    assert amounts(unit, "4.2")[values.LODGING][0] == 160


@pytest.mark.clause("R13-5.2.1")
@pytest.mark.clause("R18-5.2.1")
@pytest.mark.clause("R19-5.2.1")
@pytest.mark.parametrize("clause", ["R13-5.2.1", "R18-5.2.1", "R19-5.2.1"])
def test_classes_4_1_and_4_2_share_a_tariff_where_the_clause_says_so(sqlite_app: Any, clause: str) -> None:
    alike, apart = make_shop("R17-5.2.3", clause), make_shop("R17-5.2.3")
    for unit in (alike, apart):
        add_tariff(unit, "2026-06-10", lodging_amount="160")
        add_tariff(unit, "2026-06-10", lodging_amount="170", product_class="4.1")
    assert amounts(alike, "4.2")[values.LODGING][0] == 170
    assert amounts(apart, "4.2")[values.LODGING][0] == 160
    assert amounts(alike, "4.3")[values.LODGING][0] == 160
    add_tariff(alike, "2026-06-11", lodging_amount="175", product_class="4.2")
    assert amounts(alike, "4.2")[values.LODGING][0] == 175
    assert amounts(alike, "4.1")[values.LODGING][0] == 170


def test_drafts_and_tariffs_of_other_units_price_nothing(sqlite_app: Any) -> None:
    above = make_shop(*R13_TABLE)
    unit = make_shop(*R13_TABLE, parent=above)
    add_tariff(above, "2026-06-10", lodging_amount="999")
    add_tariff(unit, "2026-06-10", lodging_amount="888", released=False)
    assert amounts(unit)[values.LODGING][0] == 150


def test_prices_are_read_in_few_statements(app: Any, count_queries: Any) -> None:
    unit = make_shop(*R13_TABLE)
    add_tariff(unit, "2026-06-10")
    for number in range(30):
        add_part(unit, f"P-{number}")
    with finance(unit):
        prices.prices_for(unit.id, "4.1", TODAY)
        with count_queries() as seen:
            prices.prices_for(unit.id, "4.1", TODAY)
        assert len(seen) <= 2
        with count_queries() as seen:
            assert len(prices.part_prices(unit.id, [f"P-{number}" for number in range(30)], TODAY)) == 30
        assert len(seen) == 1


# --- part prices ------------------------------------------------------------------------------------------


def test_the_latest_part_price_that_has_begun_holds(app: Any) -> None:
    unit, other = make_shop(), make_shop()
    add_part(unit, price="10", start="2026-01-01")
    add_part(unit, price="12.5", start="2026-06-15")
    add_part(unit, price="14", start="2026-06-16")
    add_part(other, price="99", start="2026-06-01")
    with finance(unit):
        assert prices.list_price(unit.id, "P-1", date(2025, 12, 31)) is None
        assert prices.list_price(unit.id, "P-1", date(2026, 6, 14)) == Decimal("10.00")
        assert prices.list_price(unit.id, "P-1", TODAY) == Decimal("12.50")
        assert prices.list_price(unit.id, "P-1", date(2030, 1, 1)) == Decimal("14.00")
        assert prices.part_prices(unit.id, ["P-1", "nope", "P-1"], TODAY).keys() == {"P-1"}
        assert prices.part_prices(unit.id, [], TODAY) == {}


def test_a_price_out_of_use_does_not_count(app: Any) -> None:
    unit = make_shop()
    add_part(unit, price="10")
    later = add_part(unit, price="12", start="2026-06-01")
    with finance(unit):
        row = part_price(later)
        tariffs.save_part_price(unit.id, {**tariffs.part_values(row), "active": ""}, row)
        assert prices.list_price(unit.id, "P-1", TODAY) == 10


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"price": "-1"}, "price"),
        ({"price": "1.005"}, "price"),
        ({"price": "100000000"}, "price"),
        ({"price": "1e30"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": ""}, "price"),
        ({"number": " "}, "number"),
        ({"name": ""}, "name"),
        ({"starts_on": "2026-02-30"}, "starts_on"),
        ({"starts_on": "0001-01-01"}, "starts_on"),
    ],
)
def test_a_wrong_part_price_is_told_beside_the_field(sqlite_app: Any, given: dict[str, str], field: str) -> None:
    unit = make_shop()
    with pytest.raises(InvalidData) as bad:
        add_part(unit, **{"number": "P-1", **given} if "starts_on" not in given else {"start": given["starts_on"]})
    assert list(bad.value.errors) == [field]


def test_the_same_part_and_day_twice_is_refused(app: Any) -> None:
    unit, other = make_shop(), make_shop()
    add_part(unit, start="2026-07-01")
    add_part(other, start="2026-07-01")
    with pytest.raises(InvalidData) as bad:
        add_part(unit, start="2026-07-01", price="13")
    assert list(bad.value.errors) == ["starts_on"]
    second = add_part(unit, start="2026-08-01")
    with pytest.raises(InvalidData), finance(unit):
        row = part_price(second)
        tariffs.save_part_price(unit.id, {**tariffs.part_values(row), "starts_on": "2026-07-01"}, row)


def test_a_part_price_that_has_begun_keeps_its_amount(sqlite_app: Any) -> None:
    unit = make_shop()
    old, today = add_part(unit, start="2026-06-14"), add_part(unit, start=str(TODAY))
    with pytest.raises(InvalidData) as bad, finance(unit):
        row = part_price(old)
        tariffs.save_part_price(unit.id, {**tariffs.part_values(row), "price": "1", "small": "1"}, row)
    assert sorted(bad.value.errors) == ["price", "small"]
    with finance(unit):
        row = part_price(old)
        tariffs.save_part_price(unit.id, {**tariffs.part_values(row), "name": "压缩机 2"}, row)
        row = part_price(today)
        tariffs.save_part_price(unit.id, {**tariffs.part_values(row), "price": "13"}, row)
        assert prices.list_price(unit.id, "P-1", TODAY) == 13


# --- who sets prices ------------------------------------------------------------------------------------------


@pytest.mark.clause("R17-3.5")
@pytest.mark.clause("R18-3.5")
@pytest.mark.clause("R19-3.5")
@pytest.mark.parametrize("clause", ["R17-3.5", "R18-3.5", "R19-3.5"])
def test_a_price_that_is_not_finances_is_refused_by_clause(sqlite_app: Any, clause: str) -> None:
    unit = make_shop(clause)
    key = add_tariff(unit, released=False)
    others = (rights.VIEW, rights.HANDLE, rights.FINANCE, rights.MONEY)
    acts = (
        lambda: tariffs.save_tariff(unit.id, raw()),
        lambda: tariffs.save_tariff(unit.id, raw(), tariffs.get_tariff(key)),
        lambda: tariffs.release(tariffs.get_tariff(key)),
        lambda: tariffs.withdraw(tariffs.get_tariff(key)),
        lambda: tariffs.copy_forward(tariffs.get_tariff(key), {"name": "x", "starts_on": "2027-01-01"}),
        lambda: tariffs.from_clauses(unit.id, {"starts_on": "2027-01-01"}),
        lambda: tariffs.save_part_price(unit.id, {"number": "1", "name": "1", "price": "1"}),
    )
    for act in acts:
        with pytest.raises(Refused) as no, finance(unit, rights=others):
            act()
        assert [one.clause for one in no.value.refusals] == [clause]
    off = make_shop()
    with pytest.raises(NotAllowed), finance(off, rights=others):
        tariffs.save_tariff(off.id, raw())


def test_finance_holds_the_permission_from_the_start_and_nobody_else(sqlite_app: Any) -> None:
    from core.users.permissions import all_permissions

    with helpers.as_system():
        found = next(one for one in all_permissions() if one.code == rights.PRICE)
    assert tuple(found.positions) == ("finance",)
