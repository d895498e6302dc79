"""Statements and ageing: to the cent what charges and receipts say, whatever happened in whatever order."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.sdk import AppError, Charge, Record, charges, clock, perform
from plugins.warranty import receipts, statements
from plugins.warranty.models import Receipt
from plugins.warranty.tests.scene_money import NOVEMBER, Place, make_place

NEW_YEAR, LAST = date(2026, 1, 1), date(2026, 12, 31)


@pytest.fixture
def place(app: Any) -> Any:
    with clock.frozen(NOVEMBER):
        yield make_place()


def pay(place: Place, case: int, amount: str, **values: Any) -> int:
    with place.acting():
        given = {"case_id": case, "amount": amount, "means": "cash", **values}
        return receipts.register(place.unit.id, given).id


def statement(place: Place, case: int, first: date = NEW_YEAR, last: date = LAST) -> statements.Statement:
    customer = place.customer_of(case)
    with place.acting():
        return statements.statement_of(customer, [place.unit.id], first, last)


def test_a_statement_shows_every_movement(place: Place) -> None:
    key = place.case("100", "50")
    pay(place, key, "30")
    with clock.frozen(NOVEMBER + timedelta(days=1)):
        with place.acting() as work:
            charges.adjust(place.charges_of(key)[1].id, "60", "漏算")
            charges.waive(place.charges_of(key)[0].id, "老客户", "20")
            work.commit()
        void = pay(place, key, "10")
    with clock.frozen(NOVEMBER + timedelta(days=2)):
        place.do(void, "void", {"reason": "错"})
        found = statement(place, key)
    kinds = [one.kind for one in found.entries]
    assert sorted(kinds) == sorted(["charged", "charged", "received", "adjusted", "waived", "received", "returned"])
    assert (found.opening, found.charged, found.waived, found.received, found.closing) == tuple(
        map(Decimal, ("0.00", "160.00", "20.00", "30.00", "110.00"))
    )
    assert found.entries[-1].balance == found.closing == found.ageing.total


def test_the_opening_balance_is_the_closing_one_of_the_day_before(place: Place) -> None:
    key = place.case("100")
    with clock.frozen(NOVEMBER + timedelta(days=20)):
        pay(place, key, "40")
        day = date(2026, 12, 1)
        before, after = statement(place, key, NEW_YEAR, day - timedelta(days=1)), statement(place, key, day)
    assert before.closing == after.opening == Decimal("100.00")
    assert after.closing == Decimal("60.00")


@pytest.mark.parametrize(("days", "place_of"), [(0, 0), (30, 0), (31, 1), (60, 1), (61, 2), (90, 2), (91, 3)])
def test_the_age_counts_from_the_day_of_posting(days: int, place_of: int) -> None:
    assert statements.bucket_for(LAST - timedelta(days=days), LAST) == place_of


def test_a_charge_ages_from_its_posting_not_from_its_quote(place: Place) -> None:
    key = place.case("100", state="consented")
    with clock.frozen(NOVEMBER + timedelta(days=40)):
        with place.acting() as work:
            charges.move(place.charges_of(key)[0].id, "post")
            work.commit()
        assert statement(place, key).ageing.buckets[0] == Decimal("100.00")
    with clock.frozen(NOVEMBER + timedelta(days=80)):
        assert statement(place, key).ageing.buckets == tuple(map(Decimal, ("0", "100.00", "0", "0")))


def test_what_is_paid_beforehand_is_a_credit(place: Place) -> None:
    key = place.case("100", state="consented")
    pay(place, key, "100")
    found = statement(place, key)
    assert (found.closing, found.ageing.credit) == (Decimal("-100.00"), Decimal("-100.00"))


def test_the_list_of_a_unit_agrees_with_each_statement(place: Place, count_queries: Any) -> None:
    keys = [place.case("100", str(10 * one)) for one in range(1, 4)]
    pay(place, keys[0], "110")
    pay(place, keys[1], "20.50")
    with place.acting(), count_queries() as few:
        rows = statements.ageing_list(place.unit.id)
    totals = [one.total for one in rows]
    assert totals == [Decimal("130.00"), Decimal("99.50")]
    for row in rows:
        with place.acting():
            ageing = statements.ageing_of(row.customer_id, [place.unit.id])
        assert (tuple(row.buckets), row.credit, row.total) == (ageing.buckets, ageing.credit, ageing.total)
    for _more in range(8):
        place.case("77")
    with place.acting(), count_queries() as many:
        assert len(statements.ageing_list(place.unit.id)) == 10
        assert statements.total_of(place.unit.id) == Decimal("845.50")
    assert len(many) == len(few) + 1
    with place.acting():
        assert len(statements.ageing_list(place.unit.id, most=2)) == 2


def test_of_other_units_nothing_is_told(place: Place) -> None:
    key = place.case("100")
    stranger = make_place()
    with stranger.acting():
        found = statements.statement_of(place.customer_of(key), [place.unit.id, stranger.unit.id], NEW_YEAR, LAST)
        assert not found.entries and not statements.ageing_list(stranger.unit.id)


# --- whatever happens, it adds up ----------------------------------------------------------------

AMOUNTS = st.sampled_from(["0.01", "19.99", "50", "100", "120.5"])
STEPS = st.one_of(
    st.tuples(st.just("charge"), AMOUNTS),
    st.tuples(st.just("pay"), AMOUNTS),
    st.tuples(st.just("adjust"), AMOUNTS, st.integers(0, 3)),
    st.tuples(st.just("waive"), AMOUNTS, st.integers(0, 3)),
    st.tuples(st.just("void"), st.integers(0, 3)),
    st.tuples(st.just("consented"), AMOUNTS),
    st.tuples(st.just("post"), st.integers(0, 3)),
    st.tuples(st.just("day"), st.integers(1, 40)),
)


@pytest.fixture
def sqlite_place(sqlite_app: Any) -> Any:
    with clock.frozen(NOVEMBER):
        yield make_place()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=10))
def test_a_statement_is_charges_less_receipts_in_any_order(sqlite_place: Place, steps: list[Any]) -> None:
    key = sqlite_place.case("100")
    now = NOVEMBER
    for one in steps:
        now += timedelta(days=one[1]) if one[0] == "day" else timedelta(0)
        with suppress(AppError), clock.frozen(now):
            _take(sqlite_place, key, one)
        with clock.frozen(now):
            _agrees(sqlite_place, key)


def _take(place: Place, key: int, step: Any) -> None:
    name, *rest = step
    if name in ("charge", "consented"):
        place.charge(key, rest[0], state="consented" if name == "consented" else "posted")
    elif name == "pay":
        pay(place, key, rest[0])
    elif name == "void":
        with place.acting() as work:
            paid = work.scalars(select(Receipt.id).where(Receipt.case_id == key).order_by(Receipt.id)).all()
        if rest[0] < len(paid):
            with place.acting():
                perform(paid[rest[0]], "void", {"reason": "错"})
    elif name != "day":
        roots = [one.id for one in place.charges_of(key) if one.adjusts_id is None]
        if rest[-1] < len(roots):
            with place.acting() as work:
                charge = roots[rest[-1]]
                {
                    "adjust": lambda: charges.adjust(charge, rest[0], "改"),
                    "waive": lambda: charges.waive(charge, "免", rest[0]),
                    "post": lambda: charges.move(charge, "post"),
                }[name]()
                work.commit()


def _agrees(place: Place, key: int) -> None:
    far = date(2030, 1, 1)
    found = statement(place, key, NEW_YEAR, far)
    with place.acting() as work:
        posted = select(Charge.amount).where(
            Charge.record_id == key, Charge.payer == "customer", Charge.state.in_(("posted", "settled"))
        )
        taken = (
            select(Receipt.amount)
            .join(Record, Record.id == Receipt.id)
            .where(Receipt.case_id == key, Record.state != "void")
        )
        expected = sum(work.scalars(posted), Decimal(0)) - sum(work.scalars(taken), Decimal(0))
        rows = {one.customer_id: one for one in statements.ageing_list(place.unit.id)}
    assert found.closing == expected == found.ageing.total
    mine = rows.get(place.customer_of(key))
    assert (mine.total if mine else Decimal(0)) == expected
    if mine:
        assert tuple(mine.buckets) == found.ageing.buckets and mine.credit == found.ageing.credit
    for one in place.charges_of(key):
        assert one.state != "settled" or one.month
