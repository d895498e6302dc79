"""What an agent pays by contract or tariff: nothing of a plan is lost, and nothing is asked twice."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.agents import rates, values
from plugins.agents.rates import THEM, US, Borne, Priced
from plugins.agents.values import RateTerm, Terms

CENT = Decimal("0.01")
TRIP = [
    Priced("travel", {"zh": "交通费", "en": "Travel"}, Decimal(1), Decimal(330), "R18-5.2.1.3"),
    Priced("lodging", {"zh": "住宿费", "en": "Lodging"}, Decimal(1), Decimal(150), "R18-5.2.1.3"),
    Priced("meals", {"zh": "餐饮费", "en": "Meals"}, Decimal(2), Decimal(50), "R18-5.2.1.3"),
    Priced("allowance", {"zh": "人员补贴", "en": "Staff allowance"}, Decimal(2), Decimal(200), "R18-5.2.1.3"),
    Priced("material", {"zh": "配件费：油缸", "en": "Part: cylinder"}, Decimal(1), Decimal(300), "R18-5.2.1.4"),
]


def agreed(*terms: tuple[str, str] | tuple[str, str, str], direction: str = values.OWED_TO_US) -> Terms:
    """A contract with these rates: (basis, amount[, nature])."""
    made = tuple(RateTerm(direction, one[0], Decimal(one[1]), one[2] if len(one) > 2 else "") for one in terms)
    return Terms(contract_id=1, rates=made)


def worked(terms: Terms, nature: str = "repair", hours: str = "0", visits: int = 1) -> list[Borne]:
    return rates.bill(TRIP, terms, nature, Decimal(hours), visits)


def of(lines: list[Borne], payer: str) -> list[tuple[str, Decimal]]:
    return [(one.code, one.amount) for one in lines if one.payer == payer]


def total(lines: list[Any]) -> Decimal:
    return sum((one.amount for one in lines), Decimal(0))


def test_without_a_rate_everything_goes_by_the_tariff() -> None:
    lines = worked(Terms())
    assert [one.amount for one in lines] == [Decimal(one) for one in (330, 150, 100, 400, 300)]
    assert {one.payer for one in lines} == {THEM}
    assert {one.why for one in lines} == {rates.BY_TARIFF}
    assert [one.clause for one in lines] == ["R18-5.2.1.3"] * 4 + ["R18-5.2.1.4"]


def test_a_rate_per_visit_stands_for_the_service_and_holds_no_parts() -> None:
    lines = worked(agreed(("per_visit", "300")), visits=2)
    assert of(lines, THEM) == [("per_visit", Decimal(600)), ("material", Decimal(300))]
    assert of(lines, US) == [("uncovered", Decimal(380))]  # 980 by the tariff, 600 agreed


def test_a_flat_rate_above_the_tariff_leaves_nothing_to_us() -> None:
    lines = worked(agreed(("per_case", "1500")))
    assert of(lines, THEM) == [("per_case", Decimal(1500)), ("material", Decimal(300))]
    assert of(lines, US) == []


def test_flat_rates_add_up_and_a_percentage_of_the_tariff_is_not_looked_at_beside_them() -> None:
    lines = worked(agreed(("per_case", "200"), ("per_hour", "80"), ("tariff_percent", "50")), hours="2.5")
    assert of(lines, THEM) == [("per_case", Decimal(200)), ("per_hour", Decimal(200)), ("material", Decimal(300))]
    assert of(lines, US) == [("uncovered", Decimal(580))]


def test_a_rate_per_hour_without_hours_says_nothing_about_the_plan() -> None:
    assert of(worked(agreed(("per_hour", "80"))), THEM)[0] == ("travel", Decimal(330))


def test_percentages_are_of_the_tariff_and_of_the_parts_each() -> None:
    lines = worked(agreed(("tariff_percent", "80"), ("part_percent", "50")))
    assert [one for _code, one in of(lines, THEM)] == [Decimal(one) for one in (264, 120, 80, 320, 150)]
    assert total([one for one in lines if one.payer == US]) == Decimal(346)
    assert lines[0].label == {"zh": "交通费（80%）", "en": "Travel (80%)"}


def test_the_rate_for_the_nature_of_the_case_goes_before_the_one_for_any() -> None:
    both = agreed(("per_visit", "300"), ("per_visit", "500", "replacement"))
    assert of(worked(both, nature="replacement"), THEM)[0] == ("per_visit", Decimal(500))
    assert of(worked(both, nature="repair"), THEM)[0] == ("per_visit", Decimal(300))


def test_a_rate_of_zero_is_a_rate() -> None:
    lines = worked(agreed(("per_visit", "0"), ("part_percent", "0")))
    assert total([one for one in lines if one.payer == THEM]) == 0
    assert total([one for one in lines if one.payer == US]) == Decimal(1280)


def test_what_we_owe_goes_by_the_payable_rates_only() -> None:
    both = Terms(
        contract_id=1,
        rates=(
            RateTerm(values.OWED_BY_US, "per_visit", Decimal(150)),
            RateTerm(values.OWED_TO_US, "per_case", Decimal(999)),
        ),
    )
    assert [(one.code, one.amount) for one in rates.owed(both, "repair", Decimal(0), 2)] == [
        ("per_visit", Decimal(300))
    ]
    assert rates.owed(agreed(("per_visit", "1")), "repair", Decimal(0), 2) == []


money = st.decimals(0, 99999, places=2)
items = st.lists(
    st.builds(
        Priced,
        st.sampled_from(["travel", "labour", "material", "freight"]),
        st.just({"zh": "项", "en": "item"}),
        st.decimals(0, 999, places=3),
        money,
    ),
    max_size=8,
)
natures = st.sampled_from(["", "repair", "return"])


@st.composite
def contracts(draw: Any) -> Terms:
    """Any set of rates, each basis and nature once, percentages up to 1000."""
    keys = draw(st.sets(st.tuples(st.sampled_from([code for code, _ in values.RATE_BASES]), natures)))
    terms = tuple(
        RateTerm(
            values.OWED_TO_US, basis, draw(st.decimals(0, 1000, places=2) if "percent" in basis else money), nature
        )
        for basis, nature in sorted(keys)
    )
    return Terms(contract_id=1, rates=terms)


@given(items, contracts(), natures, st.decimals(0, 99, places=2), st.integers(1, 99))
def test_nothing_of_a_plan_is_lost(
    plan: list[Priced], terms: Terms, nature: str, hours: Decimal, visits: int
) -> None:
    lines = rates.bill(plan, terms, nature, hours, visits)
    whole, borne = total(plan), total(lines)
    assert borne >= whole
    flat = [one for one in lines if one.code in rates.FLAT]
    service = total([one for one in plan if one.code != "material"])
    fits = [one for one in terms.rates if one.nature in ("", nature) and "percent" in one.basis]
    if total(flat) <= service and all(one.amount <= 100 for one in fits):
        assert borne == whole
    for one in lines:
        assert one.amount >= 0 and one.amount == one.amount.quantize(CENT)
        assert one.amount == (one.quantity * one.price).quantize(CENT, ROUND_HALF_UP)
        assert one.label["zh"] and one.label["en"]


@given(items, contracts(), natures)
def test_a_plan_is_billed_the_same_however_often(plan: list[Priced], terms: Terms, nature: str) -> None:
    once = rates.bill(plan, terms, nature, Decimal(1), 1)
    assert rates.bill(plan, terms, nature, Decimal(1), 1) == once


@pytest.mark.parametrize("percent", ["33.33", "0.01", "66.67"])
def test_a_percentage_is_rounded_half_up_at_each_line(percent: str) -> None:
    item = [Priced("travel", {"zh": "交通费", "en": "Travel"}, Decimal(3), Decimal("0.35"))]
    them, *us = rates.bill(item, agreed(("tariff_percent", percent)), "repair", Decimal(0), 1)
    assert them.amount == (Decimal("1.05") * Decimal(percent) / 100).quantize(CENT, ROUND_HALF_UP)
    assert them.amount + total(us) == Decimal("1.05")
