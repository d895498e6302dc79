"""What a plan costs whom: the calculation by itself, with prices made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sdk import InvalidData
from plugins.warranty import fee_clauses, pricing, values
from plugins.warranty.pricing import COMPANY, CUSTOMER, Basis, amount_of, total, work_out
from plugins.warranty.values import Plan, PlanPart, Price

D = Decimal
DEFAULTS: dict[str, dict[str, Any]] = {
    "R13-5.1.2": {"discount": D(0)},
    "R17-5.1.1.2": {"discount": D(0)},
    "R18-5.1.1.2": {"discount": D(0)},
    "R19-5.1.1.2": {"discount": D(0)},
    "R13-5.2.2.3a": {"surcharge": D(10)},
    "R19-5.2.2.3a": {"surcharge": D(10)},
    "R17-5.2.7": {"rate": D(10), "base": "partner_parts"},
    "R23-3.2": {"share": D(50)},
}
TRIP = Plan(people=2, days=D(3), nights=D(2), travel=D(860), parts=(PlanPart("P-1", "主板", D(1), D(1000)),))


def tariff(section: str, lodging: int, meals: int, allowance: int) -> dict[str, Price]:
    """Return the prices of a section that has a clause for each item."""
    return {
        "travel": Price(D(0), values.ACTUAL, f"{section}a"),
        "lodging": Price(D(lodging), values.PERSON_NIGHT, f"{section}b"),
        "meals": Price(D(meals), values.PERSON_DAY, f"{section}c"),
        "allowance": Price(D(allowance), values.PERSON_DAY, f"{section}d"),
    }


OWN = tariff("R13-5.2.1.3", 150, 50, 200)
FOREIGN = tariff("R13-5.2.2.2", 200, 100, 300)


def basis(*clauses: str, result: str = values.OUT, **more: Any) -> Basis:
    """Return a basis with these clauses in force, at their values as shipped."""
    given = more.pop("set", {})
    found = {one: {**DEFAULTS.get(one, {}), **given.get(one, {})} for one in clauses}
    return Basis(result, clauses=found, **{"prices": OWN, **more})


def heating(**more: Any) -> Basis:
    """Return the basis of a unit that follows R13."""
    own = (one for one in fee_clauses.CLAUSES if one.startswith("R13-") and one not in fee_clauses.SHEETS)
    return basis(*own, **more)


@contextmanager
def refused(name: str) -> Iterator[None]:
    """Expect a message beside this field and no other."""
    with pytest.raises(InvalidData) as caught:
        yield
    assert set(caught.value.errors) == {name}


def short(lines: Iterable[Any], payer: str = CUSTOMER) -> list[tuple[str, str, str]]:
    """Return (code, clause, amount) of a payer's lines."""
    return [(one.code, one.clause, str(amount_of(one))) for one in lines if one.payer == payer]


# --- out of warranty -------------------------------------------------------------------------------


@pytest.mark.clause("R13-5.2.1.3a")
@pytest.mark.clause("R13-5.2.1.3b")
@pytest.mark.clause("R13-5.2.1.3c")
@pytest.mark.clause("R13-5.2.1.3d")
@pytest.mark.clause("R13-5.2.1.4")
def test_a_visit_out_of_warranty_costs_what_the_table_says() -> None:
    lines = work_out(TRIP, heating())
    assert short(lines) == [
        ("travel", "R13-5.2.1.3a", "860.00"),
        ("lodging", "R13-5.2.1.3b", "600.00"),
        ("meals", "R13-5.2.1.3c", "300.00"),
        ("allowance", "R13-5.2.1.3d", "1200.00"),
        ("material", "R13-5.2.1.4", "1000.00"),
    ]
    assert (total(lines, CUSTOMER), total(lines, COMPANY)) == (D("3960.00"), D("0.00"))


def test_what_the_customer_provides_costs_nothing_and_is_told() -> None:
    lines = work_out(replace(TRIP, provided=frozenset({"lodging", "meals"})), heating())
    assert [(one.code, one.why) for one in lines if not one.price] == [
        ("lodging", "provided"),
        ("meals", "provided"),
    ]
    assert total(lines, CUSTOMER) == D("3060.00")
    assert total(lines, COMPANY) == 0


@pytest.mark.clause("R13-5.2.1.3b")
def test_lodging_is_charged_at_what_it_cost_where_the_clause_says_so() -> None:
    actual = {**OWN, "lodging": Price(D(0), values.ACTUAL, "R13-5.2.1.3b")}
    lines = work_out(replace(TRIP, lodging_actual=D("437.50")), heating(prices=actual))
    assert ("lodging", "R13-5.2.1.3b", "437.50") in short(lines)
    with refused("lodging_actual"):
        work_out(replace(TRIP, lodging_actual=D("437.50")), heating())


@pytest.mark.clause("R13-5.2.2.2a")
@pytest.mark.clause("R13-5.2.2.2b")
@pytest.mark.clause("R13-5.2.2.2c")
@pytest.mark.clause("R13-5.2.2.2d")
@pytest.mark.clause("R13-5.2.2.3a")
def test_class_43_has_a_table_of_its_own_and_dearer_parts() -> None:
    lines = work_out(TRIP, heating(prices=FOREIGN, product_class="4.3"))
    assert short(lines) == [
        ("travel", "R13-5.2.2.2a", "860.00"),
        ("lodging", "R13-5.2.2.2b", "800.00"),
        ("meals", "R13-5.2.2.2c", "600.00"),
        ("allowance", "R13-5.2.2.2d", "1800.00"),
        ("material", "R13-5.2.2.3a", "1100.00"),
    ]


@pytest.mark.clause("R13-5.2.2.3a")
@pytest.mark.clause("R19-5.2.2.3a")
@pytest.mark.parametrize("clause", fee_clauses.FOREIGN_PARTS)
@pytest.mark.parametrize(
    ("surcharge", "price", "expected"),
    [(D(10), D("1000"), "1100.00"), (D(0), D("1000"), "1000.00"), (D("12.5"), D("0.08"), "0.09")],
)
def test_the_surcharge_is_never_less_than_the_clause_says(clause, surcharge, price, expected) -> None:
    said = basis(clause, "R13-5.2.1.4", "R19-5.2.1.4", product_class="4.3", set={clause: {"surcharge": surcharge}})
    plan = Plan(means=values.WORKSHOP, parts=(PlanPart("P", "阀", D(1), price),))
    (line,) = work_out(plan, said)
    assert (line.clause, str(amount_of(line))) == (clause, expected)
    assert line.price >= price * (100 + surcharge) / 100
    # Other classes pay finance's price.
    (line,) = work_out(plan, replace(said, product_class="4.1"))
    assert (line.clause, line.price) == ("R13-5.2.1.4", price)


@pytest.mark.clause("R17-5.2.3")
@pytest.mark.clause("R18-5.2.1.3")
@pytest.mark.clause("R19-5.2.1.3")
@pytest.mark.clause("R17-5.2.6")
@pytest.mark.clause("R19-5.2.2.2")
@pytest.mark.parametrize("clause", ["R17-5.2.3", "R18-5.2.1.3", "R19-5.2.1.3", "R17-5.2.6", "R19-5.2.2.2"])
def test_a_table_in_one_clause_gives_all_four_lines(clause: str) -> None:
    prices = {code: replace(one, clause=clause) for code, one in OWN.items()}
    plan = replace(TRIP, parts=())
    assert {one[1] for one in short(work_out(plan, basis(clause, prices=prices)))} == {clause}
    assert total(work_out(plan, basis(clause, prices=prices)), CUSTOMER) == D("2960.00")
    # Where no clause asks for it, nothing is charged behind anybody's back.
    with refused("travel"):
        work_out(plan, basis(prices={}))


@pytest.mark.clause("R13-5.2.1.4")
@pytest.mark.clause("R17-5.2.4")
@pytest.mark.clause("R18-5.2.1.4")
@pytest.mark.clause("R19-5.2.1.4")
@pytest.mark.parametrize("clause", fee_clauses.PARTS)
def test_parts_are_charged_at_finances_price(clause: str) -> None:
    plan = Plan(means=values.DELIVERED_PART, parts=(PlanPart("P", "阀", D(3), D("33.335")),))
    assert short(work_out(plan, basis(clause))) == [("material", clause, "100.01")]
    with refused("parts"):
        work_out(plan, basis())
    with refused("parts"):
        work_out(replace(plan, parts=(PlanPart("P", "阀", D(3), None),)), basis(clause))


@pytest.mark.clause("R13-5.2.1.2")
@pytest.mark.clause("R17-5.2.2")
@pytest.mark.clause("R18-5.2.1.2")
@pytest.mark.clause("R19-5.2.1.2")
@pytest.mark.parametrize("clause", fee_clauses.REMOTE_FREE)
def test_guidance_by_telephone_is_free_and_parts_are_not(clause: str) -> None:
    prices = {"labour": Price(D(120), values.HOUR, "R07-6.2")}
    plan = Plan(means=values.REMOTE, hours=D("1.5"))
    lines = work_out(plan, basis(clause, "R07-6.2", prices=prices))
    assert short(lines) == [("labour", clause, "0.00")]
    assert short(lines, COMPANY) == [("labour", clause, "180.00")]
    assert short(work_out(plan, basis("R07-6.2", prices=prices))) == [("labour", "R07-6.2", "180.00")]
    # Without anything to count there is a line all the same that shows why nothing is owed.
    assert short(work_out(Plan(means=values.REMOTE), basis(clause))) == [("free", clause, "0.00")]
    part = replace(plan, parts=(PlanPart("P", "阀", D(1), D(60)),))
    assert total(work_out(part, basis(clause, "R13-5.2.1.4", "R07-6.2", prices=prices)), CUSTOMER) == D("60.00")


@pytest.mark.clause("R17-5.2.7")
def test_a_handling_fee_on_the_partners_parts_or_on_all() -> None:
    parts = (PlanPart("K-1", "油缸", D(1), D(2400), partner=True), PlanPart("P-1", "主板", D(1), D(1000)))
    plan = Plan(means=values.WORKSHOP, parts=parts)
    own = basis("R17-5.2.4", "R17-5.2.7")
    assert ("handling", "R17-5.2.7", "240.00") in short(work_out(plan, own))
    every = basis("R17-5.2.4", "R17-5.2.7", set={"R17-5.2.7": {"base": "all_parts"}})
    assert ("handling", "R17-5.2.7", "340.00") in short(work_out(plan, every))
    assert ("handling", "R17-5.2.7", "100.00") in short(work_out(replace(plan, parts=parts[1:]), every))
    without = [one[0] for one in short(work_out(plan, basis("R17-5.2.4")))]
    assert without == ["material", "material"]
    assert "handling" not in [one[0] for one in short(work_out(replace(plan, parts=parts[1:]), own))]


def test_a_tariffs_handling_fee_goes_before_the_clauses_rate() -> None:
    plan = Plan(means=values.WORKSHOP, parts=(PlanPart("K", "油缸", D(1), D(2400), partner=True),))
    rate = {"handling": Price(D("12.345"), values.PERCENT, "R17-5.2.7")}
    assert short(work_out(plan, basis("R17-5.2.4", "R17-5.2.7", prices=rate)))[1][2] == "296.28"
    once = {"handling": Price(D(80), values.PIECE, "R17-5.2.7")}
    assert short(work_out(plan, basis("R17-5.2.4", "R17-5.2.7", prices=once)))[1][2] == "80.00"


@pytest.mark.clause("R07-6.2")
@pytest.mark.clause("R09-5.3.3.3")
@pytest.mark.parametrize("clause", fee_clauses.NEGOTIATED)
def test_where_no_table_is_in_the_rules_the_units_own_tariff_is_asked(clause: str) -> None:
    prices = {
        "labour": Price(D(90), values.HOUR, ""),
        "lodging": Price(D(180), values.PERSON_NIGHT, ""),
        "installation": Price(D(50), values.PIECE, ""),
        "freight": Price(D(15), values.PIECE, ""),
    }
    plan = replace(TRIP, hours=D(2))
    assert short(work_out(plan, basis(clause, prices=prices))) == [
        ("travel", clause, "860.00"),
        ("lodging", clause, "720.00"),
        ("labour", clause, "180.00"),
        ("installation", clause, "50.00"),
        ("freight", clause, "15.00"),
        ("material", clause, "1000.00"),
    ]
    with pytest.raises(InvalidData):
        work_out(plan, basis(prices=prices))


def test_hours_without_a_price_are_told_beside_the_hours() -> None:
    with refused("hours"):
        work_out(Plan(means=values.WORKSHOP, hours=D(2)), basis("R07-6.2", prices={}))


# --- misuse ----------------------------------------------------------------------------------------


@pytest.mark.clause("R13-5.1.2")
@pytest.mark.clause("R17-5.1.1.2")
@pytest.mark.clause("R18-5.1.1.2")
@pytest.mark.clause("R19-5.1.1.2")
@pytest.mark.parametrize("clause", fee_clauses.MISUSE[:4])
def test_misuse_is_charged_as_out_of_warranty_with_parts_at_a_preferential_price(clause: str) -> None:
    said = heating(result=values.MISUSE)
    others = {name: terms for name, terms in said.clauses.items() if name != "R13-5.1.2"}
    said = replace(said, clauses={**others, clause: {"discount": D(0)}})
    lines = work_out(TRIP, said)
    assert short(lines)[:4] == short(work_out(TRIP, heating()))[:4]
    assert short(lines)[4] == ("material", clause, "1000.00")
    said = replace(said, clauses={**others, clause: {"discount": D("12.5")}})
    lines = work_out(TRIP, said)
    assert short(lines)[4] == ("material", clause, "875.00")
    assert short(lines, COMPANY) == [("material", clause, "125.00")]


@pytest.mark.clause("R10-2.4c")
def test_misuse_is_paid_where_no_other_clause_prices_it() -> None:
    prices = {"labour": Price(D(90), values.HOUR, "")}
    plan = Plan(means=values.WORKSHOP, hours=D(1), parts=(PlanPart("P", "阀", D(1), D(60)),))
    said = basis("R10-2.4c", result=values.MISUSE, prices=prices)
    assert {one[1] for one in short(work_out(plan, said))} == {"R10-2.4c"}
    assert total(work_out(plan, said), CUSTOMER) == D("150.00")
    with pytest.raises(InvalidData):
        work_out(plan, replace(said, result=values.OUT))


# --- free ------------------------------------------------------------------------------------------


@pytest.mark.clause("R13-5.1.1.1")
@pytest.mark.clause("R17-5.1.1.1")
@pytest.mark.clause("R18-5.1.1.1")
@pytest.mark.clause("R19-5.1.1.1")
@pytest.mark.clause("R07-6.1")
@pytest.mark.clause("R09-5.3.4.1")
@pytest.mark.clause("R22-1.W1a")
@pytest.mark.clause("R22-1.W5")
@pytest.mark.parametrize("clause", fee_clauses.FREE_REPAIR)
def test_in_warranty_the_company_bears_everything_under_the_clause(clause: str) -> None:
    lines = work_out(TRIP, basis(clause, result=values.IN_WARRANTY, decision_clause=clause))
    assert short(lines) == [("free", clause, "0.00")]
    assert total(lines, COMPANY) == D("3960.00")
    assert {one[1] for one in short(lines, COMPANY)} == {clause}


def test_each_line_stands_under_one_clause_the_decisions_own_first() -> None:
    every = (*fee_clauses.FREE_REPAIR, "R22-1.W1d", "R22-1.R4")
    lines = work_out(
        replace(TRIP, freight=D(30)), basis(*every, result=values.IN_WARRANTY, decision_clause="R18-5.1.1.1")
    )
    assert [one[:2] for one in short(lines, COMPANY)] == [
        ("travel", "R22-1.W1d"),
        ("lodging", "R22-1.W1d"),
        ("meals", "R22-1.W1d"),
        ("allowance", "R22-1.W1d"),
        ("freight", "R22-1.W5"),
        ("material", "R18-5.1.1.1"),
    ]


@pytest.mark.clause("R22-1.W1d")
@pytest.mark.clause("R22-1.R4")
@pytest.mark.parametrize("clause", fee_clauses.STAFF_FREE)
def test_staff_cost_of_tender_units_is_the_companys(clause: str) -> None:
    lines = work_out(TRIP, basis(clause, "R22-1.W1a", result=values.IN_WARRANTY, decision_clause="R22-1.W1a"))
    assert {one[1] for one in short(lines, COMPANY) if one[0] != "material"} == {clause}
    assert short(lines, COMPANY)[-1][:2] == ("material", "R22-1.W1a")


def test_an_admission_is_borne_under_the_clause_that_admits() -> None:
    lines = work_out(TRIP, basis("R22-1.R5", result=values.DEEMED, decision_clause="R22-1.R5"))
    assert total(lines, CUSTOMER) == 0
    assert {one.clause for one in lines} == {"R22-1.R5"}


@pytest.mark.clause("R03-7.1")
@pytest.mark.parametrize("result", [values.OUT, values.MISUSE, values.EXCLUDED, values.IN_WARRANTY])
def test_where_all_is_free_the_company_pays_whatever_was_decided(result: str) -> None:
    lines = work_out(TRIP, basis("R03-7.1", "R13-5.2.1.4", result=result, policy=values.FREE))
    assert short(lines) == [("free", "R03-7.1", "0.00")]
    assert {one[1] for one in short(lines, COMPANY)} == {"R03-7.1"}
    assert total(lines, COMPANY) == D("3960.00")


def test_where_no_clause_says_who_bears_it_nothing_is_made_up() -> None:
    with pytest.raises(InvalidData):
        work_out(TRIP, basis(result=values.IN_WARRANTY))


# --- material --------------------------------------------------------------------------------------


@pytest.mark.clause("R22-4.7")
def test_only_material_is_charged_delivery_and_installation_are_free() -> None:
    lines = work_out(TRIP, basis("R22-4.7", policy=values.MATERIAL_ONLY))
    owed = short(lines)
    assert ("material", "R22-4.7", "1000.00") in owed
    assert ("freight", "R22-4.7", "0.00") in owed
    assert ("installation", "R22-4.7", "0.00") in owed
    assert total(lines, CUSTOMER) == D("1000.00")
    assert total(lines, COMPANY) == D("2960.00")
    freight = work_out(replace(TRIP, freight=D("45.5")), basis("R22-4.7", policy=values.MATERIAL_ONLY))
    assert ("freight", "R22-4.7", "45.50") in short(freight, COMPANY)


@pytest.mark.clause("R23-3.2")
def test_labour_and_small_fittings_are_free_and_part_of_the_material_is_charged() -> None:
    prices = {"labour": Price(D(100), values.HOUR, "")}
    parts = (PlanPart("C-1", "摄像机", D(1), D("999.99")), PlanPart("S-1", "螺丝", D(4), D("0.50"), small=True))
    plan = Plan(means=values.WORKSHOP, hours=D(2), parts=parts)
    said = basis("R23-3.2", policy=values.PARTIAL_MATERIAL, prices=prices)
    lines = work_out(plan, said)
    assert short(lines) == [
        ("labour", "R23-3.2", "0.00"),
        ("material", "R23-3.2", "500.00"),  # half of 999.99, half up
        ("material", "R23-3.2", "0.00"),
    ]
    assert short(lines, COMPANY) == [
        ("labour", "R23-3.2", "200.00"),
        ("material", "R23-3.2", "499.99"),
        ("material", "R23-3.2", "2.00"),
    ]
    third = basis("R23-3.2", policy=values.PARTIAL_MATERIAL, prices=prices, set={"R23-3.2": {"share": D("33.33")}})
    assert short(work_out(plan, third))[1][2] == "333.30"


# --- contracts and competitors -----------------------------------------------------------------------


@pytest.mark.clause("R14-5.4.3")
@pytest.mark.clause("R14-5.4.5")
def test_a_bid_price_stays_and_holds_the_freight() -> None:
    plan = Plan(means=values.DELIVERED_PART, freight=D(40), parts=(PlanPart("P-1", "烧杯", D(10), D("12.50")),))
    agreed = {"P-1": D("9.80")}
    lines = work_out(plan, basis("R14-5.4.5", "R07-6.2", agreed=agreed))
    assert short(lines) == [("freight", "R14-5.4.5", "0.00"), ("material", "R14-5.4.5", "98.00")]
    assert short(lines, COMPANY) == [("freight", "R14-5.4.5", "40.00")]
    kept = work_out(plan, basis("R14-5.4.3", "R07-6.2", agreed=agreed))
    assert short(kept) == [("freight", "R07-6.2", "40.00"), ("material", "R14-5.4.3", "98.00")]
    market = work_out(plan, basis("R07-6.2", agreed=agreed))
    assert short(market)[1] == ("material", "R07-6.2", "125.00")


@pytest.mark.clause("R13-5.2.3.2")
@pytest.mark.clause("R19-5.2.3.2")
@pytest.mark.parametrize("clause", fee_clauses.SHEETS)
def test_a_competitors_product_costs_the_price_of_its_sheet(clause: str) -> None:
    said = basis(clause, "R13-5.2.1.4", is_competitor=True)
    assert short(work_out(Plan(price=D(9600), travel=D(100)), said)) == [("competitor", clause, "9600.00")]
    for plan, name in ((Plan(), "price"), (replace(TRIP, price=D(1)), "parts")):
        with refused(name):
            work_out(plan, said)


@pytest.mark.parametrize(
    ("profit", "on", "least"),
    [(20, "cost", "9600.00"), (20, "price", "10000.00"), (0, "cost", "8000.00"), (30, "price", "11428.58")],
)
def test_the_least_price_for_a_competitors_product(profit: int, on: str, least: str) -> None:
    assert pricing.least_price([D(1000)] * 8, D(profit), on) == D(least)


def test_a_profit_of_all_the_price_is_never_reached() -> None:
    assert pricing.least_price([D(1000)], D(100), "price") > D(10) ** 9


def test_what_no_account_holds_is_told_beside_its_field() -> None:
    huge = Plan(people=50, days=D(365), parts=(PlanPart("P", "阀", D(99999), D("9999999999.99")),))
    with refused("parts"):
        work_out(huge, heating())


# --- what always holds -------------------------------------------------------------------------------

CENTS = st.integers(0, 5_000_00).map(lambda cents: D(cents) / 100)
PARTS = st.builds(
    PlanPart,
    number=st.sampled_from(["P-1", "P-2", "K-1"]),
    name=st.just("零件"),
    quantity=st.integers(1, 40_000).map(lambda n: D(n) / 1000),
    price=CENTS,
    partner=st.booleans(),
    small=st.booleans(),
)
PLANS = st.builds(
    Plan,
    means=st.sampled_from([code for code, _ in values.MEANS_OF_SERVICE]),
    people=st.integers(1, 9),
    days=st.integers(0, 60).map(lambda n: D(n) / 2),
    nights=st.integers(0, 30).map(D),
    travel=CENTS,
    hours=st.integers(0, 80).map(lambda n: D(n) / 4),
    freight=CENTS,
    provided=st.frozensets(st.sampled_from(["travel", "lodging", "meals"])),
    parts=st.lists(PARTS, max_size=4).map(tuple),
)
PRICES = {**OWN, "labour": Price(D("88.88"), values.HOUR, ""), "freight": Price(D(0), values.ACTUAL, "")}
BASES = st.builds(
    Basis,
    result=st.sampled_from([code for code, _ in values.RESULTS]),
    product_class=st.sampled_from(["4.1", "4.2", "4.3", "4.4", ""]),
    policy=st.sampled_from([code for code, _ in values.POLICIES if code != values.AUTO]),
    prices=st.just(PRICES),
    agreed=st.sampled_from([{}, {"P-1": D("9.99")}]),
    clauses=st.builds(
        lambda taken, discount, share, surcharge: {
            one: {"discount": discount, "share": share, "surcharge": surcharge, "rate": D(10), "base": "all_parts"}
            for one in (*taken, "R07-6.2", "R07-6.1")
        },
        st.frozensets(st.sampled_from(fee_clauses.CLAUSES)),
        st.integers(0, 1000).map(lambda n: D(n) / 10),
        st.integers(0, 1000).map(lambda n: D(n) / 10),
        st.integers(0, 300).map(lambda n: D(n) / 10),
    ),
)


def cent(amount: Decimal) -> Decimal:
    return amount.quantize(D("0.01"), ROUND_HALF_UP)


def full_cost(plan: Plan, said: Basis) -> Decimal:
    """Work out in another way what a plan costs at the prices that count."""
    cost, asked, on = D(0), not said.is_free, said.clauses.keys()
    if plan.means == values.ON_SITE:
        persons = {"lodging": plan.people * plan.nights * 150, "meals": plan.people * plan.days * 50}
        cost += sum(cent(amount) for code, amount in persons.items() if code not in plan.provided)
        cost += cent(plan.people * plan.days * 200) + (0 if "travel" in plan.provided else plan.travel)
    cost += plan.freight
    if plan.means != values.DELIVERED_PART:
        cost += cent(plan.hours * D("88.88"))
    base = D(0)
    for one in plan.parts:
        price, is_agreed = one.price, False
        assert price is not None
        if asked and one.number in said.agreed and {"R14-5.4.3", "R14-5.4.5"} & on:
            price, is_agreed = said.agreed[one.number], True
        elif (
            not said.is_free and said.product_class == "4.3" and {*fee_clauses.FOREIGN_PARTS} & said.clauses.keys()
        ):
            raised = price * (100 + next(iter(said.clauses.values()))["surcharge"]) / 100
            price = raised.quantize(D("0.0001"), "ROUND_CEILING")
        cost += cent(one.quantity * price)
        base += 0 if is_agreed else cent(one.quantity * price)
    if said.is_paid and "R17-5.2.7" in said.clauses:
        cost += cent(base * 10 / 100)
    return cost


@given(plan=PLANS, said=BASES)
def test_customer_and_company_together_pay_what_the_plan_costs(plan: Plan, said: Basis) -> None:
    lines = work_out(plan, said)
    assert total(lines, CUSTOMER) + total(lines, COMPANY) == full_cost(plan, said)
    assert all(one.quantity >= 0 and one.price >= 0 for one in lines)
    assert all(one.clause in said.clauses for one in lines)
    assert lines == work_out(plan, said)
    if said.is_free:
        assert total(lines, CUSTOMER) == 0
    order = ["travel", "lodging", "meals", "allowance", "labour", "installation", "freight", "material", "handling"]
    places = [order.index(one.code) for one in lines if one.code != "free"]
    assert places == sorted(places)


@given(plan=PLANS, low=st.integers(0, 100), high=st.integers(0, 100))
def test_the_more_is_taken_off_the_less_the_customer_pays(plan: Plan, low: int, high: int) -> None:
    low, high = sorted((low, high))
    sums = []
    for off in (low, high):
        said = heating(result=values.MISUSE, prices=PRICES)
        clauses = {**said.clauses, "R13-5.1.2": {"discount": D(off)}, "R07-6.2": {}}
        sums.append(total(work_out(plan, replace(said, clauses=clauses)), CUSTOMER))
    assert sums[0] >= sums[1] >= 0
