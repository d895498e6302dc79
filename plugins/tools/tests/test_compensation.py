"""What a lost or damaged tool costs: the figures of each clause, and what always holds (S46)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.tools import values
from plugins.tools.compensation import (
    CARELESS,
    CLAUSES,
    HUMAN,
    LEAVER,
    LIABLE,
    LOSS,
    MISUSE,
    Figures,
    Missing,
    Owed,
    Terms,
    clause_for,
    value_after,
    whole_months,
    work_out,
)

DAY = date(2026, 3, 2)
PRICE = Decimal("168.00")
FIGURES = Figures(PRICE, None, date(2025, 3, 2), 24)


def _terms(*clauses: str, **more: Any) -> Terms:
    return Terms(dict.fromkeys(clauses, more))


def _owed(terms: Terms, kind: str, cause: str, figures: Figures = FIGURES, *, leaving: bool = False) -> Owed:
    found = work_out(terms, figures, DAY, kind, cause, leaving=leaving)
    assert found is not None
    return found


@pytest.mark.clause("R35-6.2")
def test_a_lost_tool_costs_its_original_price_or_the_same_tool() -> None:
    found = _owed(_terms(LOSS, MISUSE), values.LOSS, values.UNKNOWN)
    assert (found.clause, found.amount, found.in_kind) == (LOSS, PRICE, True)
    assert not _owed(_terms(LOSS, in_kind=False), values.LOSS, values.CARELESS).in_kind


@pytest.mark.clause("R15-18b")
@pytest.mark.parametrize(
    ("cause", "amount"),
    [
        (values.CARELESS, PRICE),
        (values.MISUSE, PRICE),
        (values.EXTERNAL, Decimal(0)),
        (values.UNKNOWN, Decimal(0)),
    ],
)
@pytest.mark.parametrize("kind", [values.LOSS, values.DAMAGE, values.ACCIDENT, values.DEFECT])
def test_only_a_persons_fault_costs_the_price(kind: str, cause: str, amount: Decimal) -> None:
    found = _owed(_terms(HUMAN), kind, cause)
    assert (found.clause, found.amount, found.in_kind) == (HUMAN, amount, False)


def test_the_price_of_today_counts_where_the_clause_says_so() -> None:
    dearer = Figures(PRICE, Decimal("180.00"), None, 24)
    assert _owed(_terms(HUMAN, basis="price"), values.LOSS, values.CARELESS, dearer).amount == Decimal("180.00")
    assert _owed(_terms(HUMAN, basis="price"), values.LOSS, values.CARELESS).amount == PRICE
    assert _owed(_terms(LOSS, basis="original_price"), values.LOSS, values.CARELESS, dearer).amount == PRICE


@pytest.mark.clause("R35-6.3")
def test_wrong_use_costs_a_share_of_the_original_price() -> None:
    assert _owed(_terms(MISUSE), values.DAMAGE, values.MISUSE).amount == Decimal("84.00")
    assert _owed(_terms(MISUSE, rate=Decimal(30)), values.DAMAGE, values.MISUSE).amount == Decimal("50.40")
    half_a_cent = Figures(Decimal("0.01"), None, None, 0)
    assert _owed(_terms(MISUSE), values.DAMAGE, values.MISUSE, half_a_cent).amount == Decimal("0.01")
    assert work_out(_terms(MISUSE), FIGURES, DAY, values.DAMAGE, values.CARELESS) is None


@pytest.mark.clause("R33-10.2")
@pytest.mark.clause("R32-6.3")
@pytest.mark.parametrize("clause", [LIABLE, CARELESS])
def test_the_companys_rule_is_the_price_for_a_loss_and_a_share_for_damage(clause: str) -> None:
    assert _owed(_terms(clause), values.LOSS, values.CARELESS).amount == PRICE
    assert _owed(_terms(clause), values.DAMAGE, values.CARELESS).amount == Decimal("84.00")
    said = _terms(clause, rate=Decimal(80), misuse_rate=Decimal(25))
    assert _owed(said, values.LOSS, values.CARELESS).amount == Decimal("134.40")
    assert _owed(said, values.DAMAGE, values.MISUSE).amount == Decimal("42.00")


@pytest.mark.clause("R35-7.3")
@pytest.mark.parametrize(
    ("bought", "amount"),
    [
        (DAY, PRICE),
        (date(2025, 3, 2), Decimal("84.00")),
        (date(2025, 3, 3), Decimal("91.00")),  # eleven whole months
        (date(2024, 8, 2), Decimal("35.00")),
        (date(2024, 3, 2), Decimal("33.60")),  # the life is over: a fifth
        (date(2010, 1, 1), Decimal("33.60")),
    ],
)
def test_a_leaver_pays_less_for_age_but_never_below_a_fifth(bought: date, amount: Decimal) -> None:
    figures = Figures(PRICE, None, bought, 24)
    found = _owed(_terms(LEAVER, LOSS), values.LOSS, values.UNKNOWN, figures, leaving=True)
    assert (found.clause, found.amount) == (LEAVER, amount)
    assert _owed(_terms(LEAVER, LOSS), values.LOSS, values.UNKNOWN, figures).clause == LOSS


def test_a_leaver_pays_the_price_where_nothing_is_taken_off() -> None:
    assert _owed(_terms(LEAVER, depreciation="none"), values.LOSS, values.UNKNOWN, leaving=True).amount == PRICE
    for_ever = Figures(PRICE, None, None, 0)
    assert _owed(_terms(LEAVER), values.LOSS, values.UNKNOWN, for_ever, leaving=True).amount == PRICE


def test_what_the_clause_reckons_with_must_be_known() -> None:
    with pytest.raises(Missing, match="price"):
        work_out(_terms(LOSS), Figures(), DAY, values.LOSS, values.CARELESS)
    with pytest.raises(Missing, match="bought_on"):
        work_out(_terms(LEAVER), Figures(PRICE, None, None, 24), DAY, values.LOSS, values.UNKNOWN, leaving=True)
    # Nothing is asked for where nothing is owed.
    assert _owed(_terms(HUMAN), values.LOSS, values.EXTERNAL, Figures()).amount == 0


@pytest.mark.parametrize("kind", [values.LOSS, values.DAMAGE, values.DEFECT, values.ACCIDENT])
def test_natural_wear_costs_nobody_anything(kind: str) -> None:
    assert work_out(_terms(*CLAUSES), FIGURES, DAY, kind, values.NATURAL) is None


@pytest.mark.parametrize(
    ("clauses", "kind", "cause", "leaving", "expected"),
    [
        (CLAUSES, values.LOSS, values.CARELESS, True, LEAVER),
        (CLAUSES, values.LOSS, values.CARELESS, False, LOSS),
        ((HUMAN, LIABLE, CARELESS), values.LOSS, values.EXTERNAL, False, HUMAN),
        ((LIABLE, CARELESS), values.LOSS, values.EXTERNAL, False, LIABLE),
        ((CARELESS,), values.LOSS, values.EXTERNAL, False, ""),
        (CLAUSES, values.DAMAGE, values.MISUSE, True, MISUSE),
        ((MISUSE, LIABLE), values.DAMAGE, values.CARELESS, False, LIABLE),
        ((MISUSE, LIABLE), values.DAMAGE, values.UNKNOWN, False, ""),
        (CLAUSES, values.BREACH, values.MISUSE, False, ""),
        ((), values.LOSS, values.CARELESS, False, ""),
    ],
)
def test_one_clause_decides(clauses: Any, kind: str, cause: str, leaving: bool, expected: str) -> None:
    assert clause_for(_terms(*clauses), kind, cause, leaving) == expected


# --- what always holds ---------------------------------------------------------------------------

prices = st.decimals(Decimal(0), Decimal("999999.99"), places=2)
percents = st.decimals(Decimal(0), Decimal(100), places=2)


@given(
    clauses=st.sets(st.sampled_from(CLAUSES)),
    price=prices,
    rate=percents,
    least=percents,
    life=st.integers(0, 240),
    age=st.integers(0, 9000),
    kind=st.sampled_from([code for code, _ in values.INCIDENT_KINDS]),
    cause=st.sampled_from([code for code, _ in values.CAUSES]),
    leaving=st.booleans(),
)
def test_never_more_than_the_price_and_never_less_than_nothing(
    clauses: set[str],
    price: Decimal,
    rate: Decimal,
    least: Decimal,
    life: int,
    age: int,
    kind: str,
    cause: str,
    leaving: bool,
) -> None:
    terms = Terms({one: {"rate": rate, "misuse_rate": rate, "least": least} for one in clauses})
    figures = Figures(price, None, DAY - timedelta(days=age), life)
    found = work_out(terms, figures, DAY, kind, cause, leaving=leaving)
    if found is None:
        return
    assert found.clause in clauses
    assert 0 <= found.amount <= price
    assert found.amount == found.amount.quantize(Decimal("0.01"))


@given(price=prices, age=st.integers(0, 400), life=st.integers(1, 240), least=percents)
def test_older_is_never_dearer_and_never_below_the_floor(
    price: Decimal, age: int, life: int, least: Decimal
) -> None:
    now, later = (value_after(price, months, life, least) for months in (age, age + 1))
    floor = value_after(price, life, life, least)
    assert floor <= later <= now <= price
    assert value_after(price, 0, life, least) == price


@given(start=st.dates(date(2000, 1, 1), date(2100, 1, 1)), days=st.integers(0, 4000))
def test_months_grow_with_the_days(start: date, days: int) -> None:
    end = start + timedelta(days=days)
    assert 0 <= whole_months(start, end) <= whole_months(start, end + timedelta(days=1))
    assert whole_months(end, start) == 0
