"""Tariffs: drafts, releases one after the other, withdrawal, copies; two people at once; recurring work."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from core.kernel import clock
from core.kernel.database import system_scope
from core.records.models import Record
from core.rules import schedules
from core.sdk import InvalidData, Refused, transaction
from core.tasks.models import Task
from plugins.warranty import prices, pricing, screens_prices, tariffs, values
from plugins.warranty.models import Tariff
from plugins.warranty.tests.scene_prices import (
    FINANCE,
    R13_FOREIGN,
    R13_TABLE,
    TODAY,
    add_tariff,
    finance,
    make_shop,
    noon,
    raw,
    the_tariff,
)
from tests import helpers


def spans(unit: Any, product_class: str = "") -> list[tuple[str, str]]:
    """Return first and last day of the released tariffs of a class, in order."""
    with finance(unit) as work:
        found = select(Tariff).where(
            Tariff.unit_id == unit.id, Tariff.product_class == product_class, Tariff.state == prices.RELEASED
        )
        return [
            (str(one.starts_on), str(one.ends_on or "")) for one in work.scalars(found.order_by(Tariff.starts_on))
        ]


def act(unit: Any, what: Any, key: int, day: date = TODAY, **more: Any) -> Any:
    with finance(unit, day):
        return what(the_tariff(key), **more)


def reason(no: Any) -> str:
    return str(no.value.refusals[0].code)


# --- drafts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"name": ""}, "name"),
        ({"starts_on": ""}, "starts_on"),
        ({"starts_on": "nope"}, "starts_on"),
        ({"starts_on": "0001-01-01"}, "starts_on"),
        ({"starts_on": "9999-12-31"}, "starts_on"),
        ({"ends_on": "2026-06-30"}, "ends_on"),
        ({"product_class": "5.1"}, "product_class"),
        ({"lodging_amount": "-0.01"}, "lodging_amount"),
        ({"lodging_amount": "1.005"}, "lodging_amount"),
        ({"lodging_amount": "10000000"}, "lodging_amount"),
        ({"lodging_amount": "1e999999"}, "lodging_amount"),
        ({"lodging_amount": "NaN"}, "lodging_amount"),
        ({"lodging_amount": "一百"}, "lodging_amount"),
        ({"lodging_amount": ""}, "lodging_amount"),
        ({"lodging_per": "hour"}, "lodging_per"),
        ({"allowance_least": "200.01"}, "allowance_least"),
        ({"allowance_least": "-1"}, "allowance_least"),
        ({"allowance_least": "0.001"}, "allowance_least"),
        ({"travel_amount": "860"}, "travel_amount"),
        ({"travel_least": "1"}, "travel_least"),
        ({"handling_amount": "100.01", "handling_per": "percent"}, "handling_amount"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(sqlite_app: Any, given_: dict[str, str], field: str) -> None:
    unit = make_shop()
    with pytest.raises(InvalidData) as bad:
        add_tariff(unit, **{**raw(), **given_}) if "starts_on" not in given_ else _save(unit, given_)
    assert list(bad.value.errors) == [field]
    with finance(unit) as work:
        assert work.scalars(select(Tariff)).all() == []


def _save(unit: Any, given_: dict[str, str]) -> None:
    with finance(unit):
        tariffs.save_tariff(unit.id, {**raw(), **given_})


def test_a_draft_is_changed_as_often_as_wanted_and_an_empty_row_takes_its_price_away(app: Any) -> None:
    unit = make_shop()
    key = add_tariff(unit, released=False, labour_amount="0")
    with finance(unit):
        one = the_tariff(key)
        assert {price.item: price.amount for price in one.prices}[values.LABOUR] == 0
        before = one.version
        tariffs.save_tariff(unit.id, {**raw(), "lodging_amount": "１８０．５０".replace("．", ".")}, one)
        assert one.version == before + 1
    with finance(unit):
        held = {price.item: (price.amount, price.per) for price in the_tariff(key).prices}
    assert held == {
        values.TRANSPORT: (0, values.ACTUAL),
        values.LODGING: (Decimal("180.50"), values.PERSON_NIGHT),
        values.MEALS: (50, values.PERSON_DAY),
        values.ALLOWANCE: (200, values.PERSON_DAY),
    }


def test_an_item_without_a_way_to_charge_gets_the_usual_one(app: Any) -> None:
    unit = make_shop()
    key = add_tariff(unit, released=False, travel_per="", travel_amount="100", labour_amount="80", lodging_per="")
    with finance(unit):
        per = {one.item: one.per for one in the_tariff(key).prices}
    assert per[values.TRANSPORT] == values.PIECE and per[values.LABOUR] == values.HOUR
    assert per[values.LODGING] == values.PERSON_NIGHT


# --- released, one after the other ----------------------------------------------------------------


def test_a_release_ends_what_runs_the_day_before(app: Any) -> None:
    unit = make_shop()
    add_tariff(unit, "2026-01-01")
    add_tariff(unit, "2026-07-01")
    add_tariff(unit, "2027-01-01")
    add_tariff(unit, "2026-07-01", product_class="4.3")
    assert spans(unit) == [("2026-01-01", "2026-06-30"), ("2026-07-01", "2026-12-31"), ("2027-01-01", "")]
    assert spans(unit, "4.3") == [("2026-07-01", "")]


def test_one_that_is_released_later_and_begins_earlier_ends_before_the_next(app: Any) -> None:
    unit = make_shop()
    add_tariff(unit, "2027-01-01")
    add_tariff(unit, "2026-07-01")
    assert spans(unit) == [("2026-07-01", "2026-12-31"), ("2027-01-01", "")]


@pytest.mark.parametrize(
    ("held", "start", "more", "code"),
    [
        (["2026-07-01"], "2026-07-01", {}, "tariff_same_day"),
        (["2026-07-01", "2027-01-01"], "2026-09-01", {}, "tariff_inside"),
        (["2026-07-01"], "2026-06-20", {"ends_on": "2026-07-01"}, "tariff_overlap"),
        (["2026-06-01"], "2026-06-14", {}, "tariff_past"),
        (["2026-06-01"], "2026-05-01", {}, "tariff_past"),
    ],
)
def test_days_are_never_priced_twice_or_anew(
    app: Any, held: list[str], start: str, more: dict[str, str], code: str
) -> None:
    unit = make_shop()
    for one in held:
        add_tariff(unit, one)
    before = spans(unit)
    key = add_tariff(unit, start, released=False, **more)
    with pytest.raises(Refused) as no:
        act(unit, tariffs.release, key)
    assert reason(no) == code and str(no.value)
    assert spans(unit) == before


def test_an_end_of_its_own_leaves_a_gap_that_the_clauses_fill(app: Any) -> None:
    unit = make_shop(*R13_TABLE)
    add_tariff(unit, "2026-07-01", ends_on="2026-09-30", lodging_amount="180")
    add_tariff(unit, "2027-01-01", lodging_amount="190")
    assert spans(unit) == [("2026-07-01", "2026-09-30"), ("2027-01-01", "")]
    with finance(unit):
        found = [
            prices.prices_for(unit.id, "4.1", date(2026, month, 1))[values.LODGING].amount for month in (9, 10)
        ]
    assert found == [180, 150]


def test_what_is_released_never_changes(app: Any) -> None:
    unit = make_shop()
    key = add_tariff(unit)
    with pytest.raises(Refused) as no, finance(unit):
        tariffs.save_tariff(unit.id, raw(lodging_amount="1"), the_tariff(key))
    assert reason(no) == "tariff_no_draft"
    with pytest.raises(Refused):
        act(unit, tariffs.release, key)
    with finance(unit):
        one = the_tariff(key)
        assert {price.item: price.amount for price in one.prices}[values.LODGING] == 150
        assert one.state == prices.RELEASED and one.released_at is not None


def test_an_empty_draft_is_not_released(app: Any) -> None:
    unit = make_shop()
    with finance(unit):
        key = tariffs.save_tariff(unit.id, {"name": "空", "starts_on": "2026-07-01"}).id
    with pytest.raises(Refused) as no:
        act(unit, tariffs.release, key)
    assert reason(no) == "tariff_empty"


# --- withdrawn ------------------------------------------------------------------------------------


def test_before_it_begins_a_tariff_can_be_withdrawn_and_the_one_before_goes_on(app: Any) -> None:
    unit = make_shop()
    add_tariff(unit, "2026-01-01")
    key = add_tariff(unit, "2026-07-01")
    act(unit, tariffs.withdraw, key, date(2026, 6, 30))
    assert spans(unit) == [("2026-01-01", "")]
    add_tariff(unit, "2026-07-01")
    add_tariff(unit, "2027-01-01")
    assert spans(unit)[0] == ("2026-01-01", "2026-06-30")
    with pytest.raises(Refused):
        act(unit, tariffs.withdraw, key)


def test_a_withdrawn_one_in_the_middle_gives_its_days_back_up_to_the_next(app: Any) -> None:
    unit = make_shop()
    add_tariff(unit, "2026-01-01")
    middle = add_tariff(unit, "2026-07-01")
    add_tariff(unit, "2027-01-01")
    act(unit, tariffs.withdraw, middle)
    assert spans(unit) == [("2026-01-01", "2026-12-31"), ("2027-01-01", "")]


def test_an_end_of_its_own_stays_when_the_next_is_withdrawn(app: Any) -> None:
    unit = make_shop()
    add_tariff(unit, "2026-07-01", ends_on="2026-12-31")
    key = add_tariff(unit, "2027-01-01")
    act(unit, tariffs.withdraw, key)
    assert spans(unit) == [("2026-07-01", "2026-12-31")]


def test_a_tariff_that_has_begun_is_not_withdrawn(app: Any) -> None:
    unit = make_shop()
    key = add_tariff(unit, "2026-07-01")
    with pytest.raises(Refused) as no:
        act(unit, tariffs.withdraw, key, date(2026, 7, 1))
    assert reason(no) == "tariff_begun"
    assert spans(unit) == [("2026-07-01", "")]
    draft = add_tariff(unit, "2026-05-01", released=False)
    act(unit, tariffs.withdraw, draft)  # a draft never began


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["", "4.3"]),
            st.integers(0, 40),
            st.none() | st.integers(0, 30),
            st.booleans(),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_whatever_is_released_in_whatever_order_a_day_has_one_tariff_of_a_class(
    sqlite_app: Any, steps: list[tuple[str, int, int | None, bool]]
) -> None:
    unit = make_shop()  # one of its own for every example
    expected: dict[int, int] = {}
    for product_class, start, length, take_back in steps:
        first = TODAY + timedelta(days=start)
        ends = "" if length is None else str(first + timedelta(days=length))
        key = add_tariff(unit, first, released=False, product_class=product_class, ends_on=ends)
        try:
            act(unit, tariffs.release, key)
            if take_back and start:
                act(unit, tariffs.withdraw, key)
            else:
                expected[key] = start
        except Refused:
            continue
    with finance(unit) as work:
        held = work.scalars(select(Tariff).where(Tariff.state == prices.RELEASED)).all()
        assert {one.id for one in held} == expected.keys()
        for product_class in ("", "4.3"):
            mine = [one for one in held if one.product_class == product_class]
            for number in range(80):
                day = TODAY + timedelta(days=number)
                covering = [o for o in mine if o.starts_on <= day and (o.ends_on is None or o.ends_on >= day)]
                assert len(covering) <= 1
        for one in held:  # every one of them holds at least on its first day
            found = prices.tariff_of(unit.id, one.product_class, one.starts_on)
            assert found is not None and found.id == one.id


# --- two people at once ---------------------------------------------------------------------------


def together(unit: Any, *calls: Any) -> list[Any]:
    """Run calls at the same moment, each in a thread and a transaction of its own; return results or errors."""
    gate, found = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place: int, call: Any) -> None:
        gate.wait()
        try:
            with clock.frozen(noon(TODAY)), helpers.in_scope(unit, FINANCE), transaction():
                found[place] = call()
        except Exception as error:  # the test looks at it
            found[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return found


def test_of_two_who_release_for_the_same_day_one_is_told(app: Any) -> None:
    unit = make_shop()
    add_tariff(unit, "2026-01-01")
    for round_ in range(3):
        start = date(2026, 7 + round_, 1)
        keys = [add_tariff(unit, start, released=False) for _ in range(2)]
        found = together(unit, *[lambda key=key: tariffs.release(the_tariff(key)).id for key in keys])
        refused = [one for one in found if isinstance(one, Refused)]
        assert len(refused) == 1 and refused[0].refusals[0].code == "tariff_same_day", found
        assert [one for one in found if one in keys]
    assert [first for first, _ in spans(unit)] == ["2026-01-01", "2026-07-01", "2026-08-01", "2026-09-01"]
    assert [last for _, last in spans(unit)] == ["2026-06-30", "2026-07-31", "2026-08-31", ""]


def test_two_who_release_for_different_days_never_overlap(app: Any) -> None:
    for _ in range(3):
        unit = make_shop()
        add_tariff(unit, "2026-01-01")
        keys = [add_tariff(unit, start, released=False) for start in ("2026-07-01", "2026-09-01")]
        found = together(unit, *[lambda key=key: tariffs.release(the_tariff(key)).id for key in keys])
        assert all(one in keys or isinstance(one, Refused) for one in found), found
        whole = spans(unit)
        assert whole[-1][1] == "" and len(whole) >= 2
        for (_, last), (first, _) in pairwise(whole):
            assert date.fromisoformat(last) + timedelta(days=1) == date.fromisoformat(first)


def test_the_same_draft_released_twice_at_once_is_released_once(app: Any) -> None:
    unit = make_shop()
    key = add_tariff(unit, released=False)
    found = together(unit, *[lambda: tariffs.release(the_tariff(key)).id] * 2)
    assert found.count(key) == 1
    assert isinstance(next(one for one in found if one != key), Refused | StaleDataError)
    assert spans(unit) == [("2026-07-01", "")]


def test_of_two_who_price_a_part_from_the_same_day_one_is_told(app: Any) -> None:
    unit = make_shop()
    for number in range(3):
        part = {"number": f"P-{number}", "name": "阀", "price": "1", "starts_on": "2026-07-01", "active": "1"}
        found = together(unit, *[lambda part=part: tariffs.save_part_price(unit.id, part).number] * 2)
        assert found.count(part["number"]) == 1
        told = next(one for one in found if one != part["number"])
        assert isinstance(told, InvalidData) and list(told.errors) == ["starts_on"], told


# --- copied forward, made from the clauses --------------------------------------------------------


def test_next_years_draft_is_a_copy_with_every_price_changed_and_rounded_half_up(app: Any) -> None:
    unit = make_shop()
    more = {"labour_amount": "0.50", "handling_amount": "10", "handling_per": "percent"}
    key = add_tariff(unit, "2026-01-01", lodging_amount="150.50", allowance_least="33.33", **more)
    with finance(unit):
        assert tariffs.copy_values(the_tariff(key)) == {"name": "收费标准 2027", "starts_on": date(2027, 1, 1)}
        made = tariffs.copy_forward(the_tariff(key), {"name": "明年", "starts_on": "2027-01-01", "percent": "3"}).id
    with finance(unit):
        copy = the_tariff(made)
        held = {one.item: (one.amount, one.least, one.per) for one in copy.prices}
        assert (copy.state, copy.copied_from, copy.name) == (prices.DRAFT, key, "明年")
    assert held == {
        values.TRANSPORT: (0, 0, values.ACTUAL),
        values.LODGING: (Decimal("155.02"), 0, values.PERSON_NIGHT),  # 155.015
        values.MEALS: (Decimal("51.50"), 0, values.PERSON_DAY),
        values.ALLOWANCE: (206, Decimal("34.33"), values.PERSON_DAY),  # 34.3299
        values.LABOUR: (Decimal("0.52"), 0, values.HOUR),  # 0.515
        values.HANDLING: (10, 0, values.PERCENT),
    }
    assert spans(unit) == [("2026-01-01", "")]


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"percent": "-100.01"}, "percent"),
        ({"percent": "1001"}, "percent"),
        ({"percent": "2.555"}, "percent"),
        ({"starts_on": ""}, "starts_on"),
        ({"name": ""}, "name"),
    ],
)
def test_a_wrong_copy_is_told_beside_the_field(sqlite_app: Any, given_: dict[str, str], field: str) -> None:
    unit = make_shop()
    key = add_tariff(unit)
    with pytest.raises(InvalidData) as bad, finance(unit):
        tariffs.copy_forward(the_tariff(key), {"name": "x", "starts_on": "2027-01-01", **given_})
    assert list(bad.value.errors) == [field]


def test_a_copy_may_not_grow_beyond_what_a_price_may_be(sqlite_app: Any) -> None:
    unit = make_shop()
    key = add_tariff(unit, lodging_amount="9999999")
    with pytest.raises(InvalidData) as bad, finance(unit):
        tariffs.copy_forward(the_tariff(key), {"name": "x", "starts_on": "2027-01-01", "percent": "900"})
    assert list(bad.value.errors) == ["percent"]


def test_the_first_tariffs_are_made_from_the_clauses_in_force(app: Any) -> None:
    unit = make_shop(*R13_TABLE, *R13_FOREIGN)
    with finance(unit):
        made = tariffs.from_clauses(unit.id, {"starts_on": "2026-07-01"})
        assert [(one.product_class, one.state) for one in made] == [("", "draft"), ("4.3", "draft")]
        lodging = [{price.item: price.amount for price in one.prices}[values.LODGING] for one in made]
        assert lodging == [150, 200]
        assert "R13-5.2.1.3b" in made[0].note and "R13-5.2.2.2b" in made[1].note
    one_table = make_shop("R17-5.2.3")
    with finance(one_table):
        assert len(tariffs.from_clauses(one_table.id, {"starts_on": "2026-07-01"})) == 1
    none = make_shop("R07-6.2")
    with pytest.raises(Refused), finance(none):
        tariffs.from_clauses(none.id, {"starts_on": "2026-07-01"})


def test_the_worked_example_is_the_visit_of_the_regulations(sqlite_app: Any) -> None:
    unit = make_shop(*R13_TABLE, *R13_FOREIGN)
    with finance(unit):
        made = tariffs.from_clauses(unit.id, {"starts_on": "2026-07-01"})
        total = [pricing.total(screens_prices.example(one), pricing.CUSTOMER) for one in made]
    assert total == [2960, 4060]


# --- every year -----------------------------------------------------------------------------------


@pytest.mark.clause("R13-5.2.1.3e")
@pytest.mark.clause("R17-5.2.3e")
@pytest.mark.clause("R18-5.2.1.3e")
@pytest.mark.clause("R19-5.2.1.3e")
@pytest.mark.parametrize("clause", ["R13-5.2.1.3e", "R17-5.2.3e", "R18-5.2.1.3e", "R19-5.2.1.3e"])
def test_finance_gets_a_task_every_year_to_go_over_the_tariff(app: Any, clause: str) -> None:
    helpers.make_user(position=helpers.make_position("finance"))
    with clock.frozen(noon(date(2025, 12, 1))):
        unit, off = make_shop(clause), make_shop()
    for year in (2026, 2027):
        with clock.frozen(noon(date(year, 1, 2))), helpers.current().app_context(), system_scope("test"):
            schedules.create_due(unit.id)
            schedules.create_due(unit.id)
            schedules.create_due(off.id)
    with helpers.as_system() as work:
        found = work.execute(
            select(Task.clause, Task.starts_on, Task.due_on)
            .join(Record, Record.id == Task.id)
            .where(Task.clause.like("%e"), Record.unit_id.in_([unit.id, off.id]))
            .order_by(Task.starts_on)
        ).all()
    assert [(one.clause, one.starts_on) for one in found] == [
        (clause, date(2026, 1, 1)),
        (clause, date(2027, 1, 1)),
    ]
    assert found[0].due_on == date(2026, 12, 31)
