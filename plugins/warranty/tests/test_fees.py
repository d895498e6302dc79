"""Money of cases by clause: what the customer is asked for, what the company bears, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from core.kernel import clock
from core.rules.approval_gate import ask_for, wanted_for
from core.sdk import InvalidData, NotFound, Record, Refused, fetch_visible, perform
from plugins.warranty import contracts, fee_clauses, prices, values

from .scene_fees import PART, TRIP, lines, make_shop, set_class
from .scene_quotes import MONDAY

D = Decimal
TABLES = {
    "R13-5.2.1.3": tuple(f"R13-5.2.1.3{one}" for one in "abcd"),
    "R17-5.2.3": ("R17-5.2.3",) * 4,
    "R18-5.2.1.3": ("R18-5.2.1.3",) * 4,
    "R19-5.2.1.3": ("R19-5.2.1.3",) * 4,
}
FOREIGN_TABLES = {
    "R13-5.2.2.2": tuple(f"R13-5.2.2.2{one}" for one in "abcd"),
    "R17-5.2.6": ("R17-5.2.6",) * 4,
    "R19-5.2.2.2": ("R19-5.2.2.2",) * 4,
}
NO_PART = {name: given for name, given in TRIP.items() if name != "parts"}


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(MONDAY):
        yield


def refused_by(desk: Any, key: int, step: str, given: dict[str, str]) -> set[str]:
    with pytest.raises(Refused) as caught:
        desk.do(key, step, given)
    return {one.clause for one in caught.value.refusals}


def wrong(desk: Any, key: int, step: str, given: dict[str, str]) -> dict[str, str]:
    with pytest.raises(InvalidData) as caught:
        desk.do(key, step, given)
    return {name: " ".join(map(str, texts)) for name, texts in caught.value.errors.items()}


# --- out of warranty -------------------------------------------------------------------------------


@pytest.mark.clause("R13-5.2.1.3a")
@pytest.mark.clause("R13-5.2.1.3b")
@pytest.mark.clause("R13-5.2.1.3c")
@pytest.mark.clause("R13-5.2.1.3d")
@pytest.mark.clause("R17-5.2.3")
@pytest.mark.clause("R18-5.2.1.3")
@pytest.mark.clause("R19-5.2.1.3")
@pytest.mark.parametrize("clauses", TABLES.values(), ids=TABLES)
def test_a_visit_is_quoted_by_the_table_of_the_regulation(app: Any, clauses: tuple[str, ...]) -> None:
    desk = make_shop(app, *dict.fromkeys(clauses))
    key = desk.quoted(NO_PART)
    codes, sums = ("travel", "lodging", "meals", "allowance"), (D(860), D(600), D(300), D(1200))
    assert sorted(lines(desk, key)) == sorted(zip(codes, clauses, sums, strict=True))
    assert desk.quote(key).total == D(2960)
    assert lines(desk, key, "company") == []


@pytest.mark.clause("R13-5.2.2.2a")
@pytest.mark.clause("R13-5.2.2.2b")
@pytest.mark.clause("R13-5.2.2.2c")
@pytest.mark.clause("R13-5.2.2.2d")
@pytest.mark.clause("R17-5.2.6")
@pytest.mark.clause("R19-5.2.2.2")
@pytest.mark.parametrize("clauses", FOREIGN_TABLES.values(), ids=FOREIGN_TABLES)
def test_class_43_is_quoted_by_its_own_table(sqlite_app: Any, clauses: tuple[str, ...]) -> None:
    desk = make_shop(sqlite_app, *dict.fromkeys(clauses))
    key = desk.case("")
    set_class(desk, key, "4.3")
    desk.decide(key, values.OUT)
    desk.do(key, "warranty:quote", NO_PART)
    codes, sums = ("travel", "lodging", "meals", "allowance"), (D(860), D(800), D(600), D(1800))
    assert sorted(lines(desk, key)) == sorted(zip(codes, clauses, sums, strict=True))


@pytest.mark.clause("R13-5.2.1.4")
@pytest.mark.clause("R17-5.2.4")
@pytest.mark.clause("R18-5.2.1.4")
@pytest.mark.clause("R19-5.2.1.4")
@pytest.mark.parametrize("clause", fee_clauses.PARTS)
def test_a_part_is_quoted_at_finances_price(sqlite_app: Any, clause: str) -> None:
    desk = make_shop(sqlite_app, clause)
    assert lines(desk, desk.quoted(PART)) == [("material", clause, D(1000))]


@pytest.mark.clause("R13-5.2.2.3a")
@pytest.mark.clause("R19-5.2.2.3a")
@pytest.mark.parametrize("clause", fee_clauses.FOREIGN_PARTS)
def test_a_part_for_class_43_is_dearer(sqlite_app: Any, clause: str) -> None:
    desk = make_shop(sqlite_app, clause, surcharge="12.5")
    key = desk.case("")
    set_class(desk, key, "4.3")
    desk.decide(key, values.OUT)
    desk.do(key, "warranty:quote", PART)
    assert lines(desk, key) == [("material", clause, D(1125))]


@pytest.mark.clause("R17-5.2.7")
@pytest.mark.parametrize(("base", "fee"), [("partner_parts", D(240)), ("all_parts", D(340))])
def test_the_handling_fee_has_its_rate_and_its_base(sqlite_app: Any, base: str, fee: Decimal) -> None:
    desk = make_shop(sqlite_app, "R17-5.2.7", "R17-5.2.4", base=base)
    key = desk.quoted({"means": "workshop", "parts": "K-1, 1, 合作方\nP-1, 1"})
    assert ("handling", "R17-5.2.7", fee) in lines(desk, key)


@pytest.mark.clause("R07-6.2")
@pytest.mark.clause("R09-5.3.3.3")
@pytest.mark.parametrize("clause", fee_clauses.NEGOTIATED)
def test_without_a_table_what_is_agreed_is_quoted(sqlite_app: Any, clause: str) -> None:
    desk = make_shop(sqlite_app, clause)
    key = desk.quoted({"means": "on_site", "travel": "120.50", "parts": "P-1"})
    assert sorted(lines(desk, key)) == [("material", clause, D(1000)), ("travel", clause, D("120.50"))]


@pytest.mark.clause("R13-5.2.1.2")
@pytest.mark.clause("R17-5.2.2")
@pytest.mark.clause("R18-5.2.1.2")
@pytest.mark.clause("R19-5.2.1.2")
@pytest.mark.parametrize("clause", fee_clauses.REMOTE_FREE)
def test_guidance_on_the_telephone_leaves_a_line_of_zero(sqlite_app: Any, clause: str) -> None:
    desk = make_shop(sqlite_app, clause)
    key = desk.case()
    assert set(wrong(desk, key, "warranty:quote", {"means": "remote"})) == {"means"}
    desk.do(key, "assign")
    desk.do(key, "warranty:cost", {"means": "remote"})
    assert lines(desk, key) == [("free", clause, D(0))]


# --- misuse and free -------------------------------------------------------------------------------


@pytest.mark.clause("R13-5.1.2")
@pytest.mark.clause("R17-5.1.1.2")
@pytest.mark.clause("R18-5.1.1.2")
@pytest.mark.clause("R19-5.1.1.2")
@pytest.mark.clause("R10-2.4c")
@pytest.mark.parametrize("clause", fee_clauses.MISUSE)
def test_misuse_is_paid_with_parts_at_the_clauses_discount(sqlite_app: Any, clause: str) -> None:
    has_discount = clause != "R10-2.4c"
    desk = make_shop(sqlite_app, clause, **({"discount": "20"} if has_discount else {}))
    key = desk.case(values.MISUSE)
    desk.do(key, "warranty:quote", PART)
    assert lines(desk, key) == [("material", clause, D(800) if has_discount else D(1000))]
    if has_discount:
        told, agreed = {"by": "phone"}, {"means": "phone", "who": "马林"}
        desk.do(key, "warranty:send", told)
        desk.do(key, "warranty:consent", agreed)
        desk.do(key, "assign")
        desk.do(key, "warranty:cost", PART)
        assert lines(desk, key, "company") == [("material", clause, D(200))]


@pytest.mark.clause("R07-6.1")
@pytest.mark.clause("R09-5.3.4.1")
@pytest.mark.clause("R13-5.1.1.1")
@pytest.mark.clause("R17-5.1.1.1")
@pytest.mark.clause("R18-5.1.1.1")
@pytest.mark.clause("R19-5.1.1.1")
@pytest.mark.clause("R22-1.W1a")
@pytest.mark.clause("R22-1.W5")
@pytest.mark.parametrize("clause", fee_clauses.FREE_REPAIR)
def test_in_warranty_the_customer_owes_nothing_and_we_book_our_cost(sqlite_app: Any, clause: str) -> None:
    desk = make_shop(sqlite_app, clause)
    key = desk.case(values.IN_WARRANTY)
    assert set(wrong(desk, key, "warranty:quote", PART)) == {"means"}
    desk.do(key, "assign")
    desk.do(key, "warranty:cost", {**TRIP, "lodging_actual": "420"})
    assert lines(desk, key) == [("free", clause, D(0))]
    assert sorted(lines(desk, key, "company")) == [
        ("lodging", clause, D(420)),
        ("material", clause, D(1000)),
        ("travel", clause, D(860)),
    ]


@pytest.mark.clause("R22-1.W1d")
@pytest.mark.clause("R22-1.R4")
@pytest.mark.parametrize("clause", fee_clauses.STAFF_FREE)
def test_staff_cost_of_a_tender_is_booked_under_its_clause(sqlite_app: Any, clause: str) -> None:
    desk = make_shop(sqlite_app, clause, "R22-1.W1a")
    key = desk.case(values.IN_WARRANTY)
    desk.do(key, "assign")
    desk.do(key, "warranty:cost", TRIP)
    assert sorted(lines(desk, key, "company")) == [("material", "R22-1.W1a", D(1000)), ("travel", clause, D(860))]


@pytest.mark.clause("R03-7.1")
def test_where_the_company_bears_everything_a_quote_is_refused(app: Any) -> None:
    desk = make_shop(app, "R03-7.1", *TABLES["R13-5.2.1.3"])
    key = desk.case()
    assert refused_by(desk, key, "warranty:quote", NO_PART) == {"R03-7.1"}
    desk.do(key, "assign")
    desk.do(key, "warranty:cost", NO_PART)
    assert lines(desk, key) == [("free", "R03-7.1", D(0))]
    assert sum(one[2] for one in lines(desk, key, "company")) == D(2960)
    assert {one[1] for one in lines(desk, key, "company")} == {"R03-7.1"}


def test_the_units_own_choice_goes_before_the_clauses(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, "R03-7.1", "R13-5.2.1.4")
    desk.office.set("charge.policy", values.PAID)
    assert lines(desk, desk.quoted(PART)) == [("material", "R13-5.2.1.4", D(1000))]


@pytest.mark.clause("R22-4.7")
def test_only_the_material_is_charged(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, "R22-4.7", "R17-5.2.3")
    key = desk.quoted({**TRIP, "freight": "35"})
    shown = lines(desk, key)
    assert ("material", "R22-4.7", D(1000)) in shown
    assert ("freight", "R22-4.7", D(0)) in shown and ("installation", "R22-4.7", D(0)) in shown
    assert desk.quote(key).total == D(1000)


@pytest.mark.clause("R23-3.2")
def test_of_the_material_the_share_is_charged_and_small_fittings_are_free(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, "R23-3.2", share="30", category="")
    key = desk.quoted({"means": "workshop", "parts": "P-1, 1\nS-1, 40"})
    assert lines(desk, key) == [
        ("labour", "R23-3.2", D(0)),
        ("material", "R23-3.2", D(300)),
        ("material", "R23-3.2", D(0)),
    ]


@pytest.mark.clause("R23-3.2")
def test_other_categories_pay_all_of_it(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, "R23-3.2", "R17-5.2.4")
    assert lines(desk, desk.quoted(PART)) == [("material", "R17-5.2.4", D(1000))]


# --- competitors -----------------------------------------------------------------------------------

SHEET = {
    "means": "workshop",
    "work": "arm",
    **{f"cost_{code}": "1000" for code, _label in values.COMPETITOR_COSTS},
}
FAMILIES = {"R13": ("R13-5.2.3.2", "R13-5.2.3.1"), "R19": ("R19-5.2.3.2", "R19-5.2.3.1")}
CLASSES, NUMBERS = {"R13": "R13-4.2", "R19": "R19-4.4"}, {"R13": "4.2", "R19": "4.4"}


def competitors_case(app: Any, family: str, **terms: Any) -> tuple[Any, int]:
    desk = make_shop(app, *FAMILIES[family], **terms)
    for one, clause in CLASSES.items():
        desk.office.clause(clause, on=one == family)
    key = desk.case("")
    set_class(desk, key, NUMBERS[family])
    desk.decide(key, values.EXCLUDED)
    return desk, key


@pytest.mark.clause("R13-5.2.3.2")
@pytest.mark.clause("R19-5.2.3.2")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_competitors_job_is_quoted_with_all_costs_and_a_fifth_of_profit(app: Any, family: str) -> None:
    desk, key = competitors_case(app, family)
    gate = FAMILIES[family][0]
    assert refused_by(desk, key, "warranty:quote", {**SHEET, "price": "9599.99"}) == {gate}
    missing = {name: given for name, given in SHEET.items() if name != "cost_tax"}
    assert refused_by(desk, key, "warranty:quote", {**missing, "price": "9600"}) == {gate}
    assert refused_by(desk, key, "warranty:quote", SHEET) == {gate}
    desk.do(key, "warranty:quote", {**SHEET, "price": "9600.00"})
    assert lines(desk, key) == [("competitor", gate, D(9600))]


@pytest.mark.clause("R13-5.2.3.2")
@pytest.mark.clause("R19-5.2.3.2")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_profit_may_be_counted_on_the_price(sqlite_app: Any, family: str) -> None:
    desk, key = competitors_case(sqlite_app, family, basis="price")
    assert refused_by(desk, key, "warranty:quote", {**SHEET, "price": "9999.99"}) == {FAMILIES[family][0]}
    desk.do(key, "warranty:quote", {**SHEET, "price": "10000"})
    assert desk.quote(key).total == D(10000)


@pytest.mark.clause("R13-5.2.3.1")
@pytest.mark.clause("R19-5.2.3.1")
@pytest.mark.parametrize("family", FAMILIES)
def test_other_work_for_a_competitors_product_waits_for_the_general_manager(app: Any, family: str) -> None:
    desk, key = competitors_case(app, family)
    clause = FAMILIES[family][1]
    other = {**SHEET, "work": "other", "price": "9600"}
    assert refused_by(desk, key, "warranty:quote", other) == {clause}
    with desk.acting():
        assert [one.clause for one in wanted_for(fetch_visible(key))] == [clause]
        ask_for(key, "case.warranty:quote", clause, "客户一再要求")
    assert refused_by(desk, key, "warranty:quote", other) == {clause}
    (waiting,) = desk.approvals(key)
    assert waiting.position == "gm"
    desk.decide_on(desk.office.staff("gm"), waiting.id)
    desk.do(key, "warranty:quote", other)
    assert desk.quote(key).total == D(9600)
    # It counted once.
    assert refused_by(desk, key, "warranty:quote", other) == {clause}


def test_our_own_products_need_no_such_agreement(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, "R19-5.2.3.1", "R19-5.2.3.2", "R19-5.2.1.4")
    key = desk.quoted({**PART, "work": "other"})
    assert lines(desk, key) == [("material", "R19-5.2.1.4", D(1000))]
    with desk.acting(), pytest.raises(NotFound):
        ask_for(key, "case.warranty:quote", "R19-5.2.3.1", "试试")


# --- again, and otherwise ----------------------------------------------------------------------------


def test_a_second_quote_replaces_the_lines_of_the_first(app: Any) -> None:
    desk = make_shop(app, *TABLES["R13-5.2.1.3"], "R13-5.2.1.4")
    key = desk.quoted(TRIP)
    assert desk.quote(key).total == D(3960)
    desk.do(key, "warranty:quote", {**TRIP, "provided": ["lodging", "meals"]})
    assert desk.quote(key).total == D(3060)
    assert ("lodging", "R13-5.2.1.3b", D(0)) in lines(desk, key)
    desk.do(key, "warranty:quote", PART)
    assert lines(desk, key) == [("material", "R13-5.2.1.4", D(1000))]


def test_all_lines_are_worked_out_once_for_a_step(sqlite_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_shop(sqlite_app, *TABLES["R13-5.2.1.3"], "R13-5.2.1.4")
    key, asked = desk.case(), []
    real = prices.prices_for
    monkeypatch.setattr(prices, "prices_for", lambda *given: asked.append(given) or real(*given))
    desk.do(key, "warranty:quote", TRIP)
    assert len(asked) == 1


# --- contracts ---------------------------------------------------------------------------------------


@pytest.mark.clause("R14-5.4.5")
def test_the_price_of_a_contract_in_force_is_quoted_in_place_of_the_list(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, "R14-5.4.5", "R07-6.2")
    key = desk.case()
    day = MONDAY.date().isoformat()
    with desk.acting() as work:
        customer = str(work.get_one(Record, key).customer_id)
        raw = {"name": "框架合同", "customer_id": customer, "content": "维修", "prices": "P-1 = 880"}
        made = contracts.register(desk.unit.id, raw).id
        perform(made, "sign", {"signed_on": day})
        perform(made, "start", {"starts_on": day, "ends_on": "2027-03-01"})
    desk.do(key, "warranty:quote", {"means": "part_only", "parts": "P-1, 2", "freight": "40"})
    found = {code: (of, amount) for code, of, amount in lines(desk, key)}
    assert found["material"] == ("R14-5.4.5", D(1760))


@pytest.mark.clause("R14-5.4.3")
@pytest.mark.clause("R14-5.4.5")
@pytest.mark.parametrize(("clause", "freight"), [("R14-5.4.5", D(0)), ("R14-5.4.3", D(40))])
def test_a_contracts_price_is_quoted(
    sqlite_app: Any, monkeypatch: pytest.MonkeyPatch, clause: str, freight: Decimal
) -> None:
    monkeypatch.setattr(contracts, "agreed_prices", lambda _record, _at: {"P-1": D("880.00")})
    desk = make_shop(sqlite_app, clause, "R07-6.2")
    key = desk.quoted({"means": "part_only", "parts": "P-1, 2", "freight": "40"})
    found = {code: (of, amount) for code, of, amount in lines(desk, key)}
    assert found["material"] == (clause, D(1760))
    assert found["freight"][1] == freight
