"""Plans as people type them: parts line by line, figures that fit together, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from core.kernel import clock
from core.sdk import InvalidData, clean
from plugins.warranty import plans, pricing, values
from plugins.warranty.workflow import PLAN_FIELDS

from .scene_fees import make_shop
from .scene_prices import add_part, add_tariff
from .scene_quotes import MONDAY

D = Decimal


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(MONDAY):
        yield


@pytest.fixture
def desk(sqlite_app: Any) -> Any:
    return make_shop(sqlite_app, "R18-3.5", "R17-5.2.3", "R17-5.2.4")


def read(desk: Any, **given: Any) -> values.Plan:
    with desk.acting():
        return plans.read_plan(desk.unit.id, clean(PLAN_FIELDS, {"means": "on_site", **given}), MONDAY)


def wrong(desk: Any, **given: Any) -> dict[str, str]:
    with pytest.raises(InvalidData) as caught:
        read(desk, **given)
    return {name: " ".join(map(str, texts)) for name, texts in caught.value.errors.items()}


def test_parts_are_read_as_people_type_them(desk: Any) -> None:
    plan = read(desk, parts="P-1，2\n\n  K－1、１.5，合作方 \r\nS-1\t3")
    assert [(one.number, one.quantity, one.partner, one.small) for one in plan.parts] == [
        ("P-1", D(2), False, False),
        ("K-1", D("1.5"), True, False),
        ("S-1", D(3), False, True),
    ]
    assert [one.price for one in plan.parts] == [D(1000), D(2400), D("0.50")]


def test_a_part_without_finances_price_is_told_with_its_line(desk: Any) -> None:
    assert wrong(desk, parts="P-1, 1\nX-9, 1") == {
        "parts": "Line 2: finance has set no price for X-9 (clause R18-3.5)"
    }


@pytest.mark.parametrize("typed", ["P-1, 1, 900", "P-1，1，¥900.00", "P-1, 1, 合作方, 900元"])
def test_a_price_typed_by_sales_is_refused(desk: Any, typed: str) -> None:
    assert wrong(desk, parts=typed) == {"parts": "Line 1: prices come from finance (clause R18-3.5)"}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (", 1", "part number"),
        ("P" * 61, "part number"),
        ("P-1, viele", "quantity"),
        ("P-1, 0", "quantity"),
        ("P-1, -1", "quantity"),
        ("P-1, 1e9", "quantity"),
        ("P-1, 0.0001", "quantity"),
        ("P-1, nan", "quantity"),
        ("P-1, 1, morgen", "morgen"),
        ("\n".join(["P-1, 1"] * 201), "200"),
    ],
)
def test_what_cannot_be_read_is_told(desk: Any, typed: str, words: str) -> None:
    assert words in wrong(desk, parts=typed)["parts"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nights": "4", "days": "3"}, "nights"),
        ({"days": "1.234"}, "days"),
        ({"travel": "1.005"}, "travel"),
        ({"travel": "10000000000"}, "travel"),
        ({"people": "0"}, "people"),
        ({"means": "workshop", "travel": "10"}, "travel"),
        ({"means": "remote", "nights": "1"}, "nights"),
        ({"means": "part_only", "hours": "1"}, "hours"),
        ({"travel": "10", "provided": ["travel"]}, "travel"),
        ({"lodging_actual": "10", "provided": ["lodging"]}, "lodging_actual"),
    ],
)
def test_figures_that_do_not_fit_are_told_beside_them(desk: Any, given: dict[str, Any], field: str) -> None:
    assert set(wrong(desk, **given)) == {field}


def test_what_is_left_empty_has_its_usual_value(desk: Any) -> None:
    assert read(desk) == values.Plan()


def test_a_price_of_tomorrow_is_not_todays(desk: Any) -> None:
    add_part(desk.unit, "N-1", "5.00", "2026-12-01")
    assert "N-1" in wrong(desk, parts="N-1")["parts"]


def test_what_a_quote_rests_on_changes_with_what_it_uses_and_nothing_else(desk: Any) -> None:
    plan = values.Plan(people=2, days=D(3))

    def rests_on() -> Any:
        with desk.acting():
            return plans.basis_versions(plans.basis_for(desk.unit.id, clock.now(), result=values.OUT), plan)

    before = rests_on()
    assert before == rests_on()
    add_part(desk.unit, "Z-1", "5.00", "2026-02-01")
    assert rests_on() == before
    add_tariff(desk.unit, "2026-03-01")  # the same prices
    assert rests_on() == before
    with clock.frozen(MONDAY.replace(month=4)):
        add_tariff(desk.unit, "2026-04-01", meals_amount="55")
        assert rests_on() != before


@pytest.mark.parametrize(
    ("clauses", "category", "policy"),
    [
        ((), "", values.PAID),
        (("R22-4.7",), "", values.MATERIAL_ONLY),
        (("R23-3.2",), "监控设备", values.PARTIAL_MATERIAL),
        (("R23-3.2",), "热泵", values.PAID),
        (("R23-3.2", "R22-4.7"), "监控设备", values.PARTIAL_MATERIAL),
        (("R23-3.2", "R22-4.7"), "热泵", values.MATERIAL_ONLY),
        (("R03-7.1", "R22-4.7", "R23-3.2"), "监控设备", values.FREE),
    ],
)
def test_who_pays_follows_from_the_clauses_in_force(
    sqlite_app: Any, clauses: tuple[str, ...], category: str, policy: str
) -> None:
    desk = make_shop(sqlite_app, *(clauses or ("R17-3.5",)))
    with desk.acting():
        assert plans.policy_of(desk.unit.id, category, MONDAY) == policy
    desk.office.set("charge.policy", values.MATERIAL_ONLY)
    with desk.acting():
        assert plans.policy_of(desk.unit.id, category, MONDAY) == values.MATERIAL_ONLY


def test_what_is_told_and_what_we_bear() -> None:
    prices = {"labour": values.Price(D(100), values.HOUR, "")}
    clauses = {"R23-3.2": {"share": D(50)}}
    plan = values.Plan(means="workshop", hours=D(1), parts=(values.PlanPart("P", "阀", D(1), D(60)),))
    said = pricing.Basis(values.OUT, policy=values.PARTIAL_MATERIAL, prices=prices, clauses=clauses)
    lines = pricing.work_out(plan, said)
    assert [(one.code, one.price) for one in plans.charged(lines)] == [("labour", D(0)), ("material", D(30))]
    assert [(one.code, one.price) for one in plans.borne(lines)] == [("labour", D(100)), ("material", D(30))]
