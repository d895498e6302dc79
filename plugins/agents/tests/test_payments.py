"""Payments: matched oldest first, on account, taken back, offset only by agreement; sums agree to the cent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.sdk import InvalidData, NotAllowed, NotFound, Refused, fetch
from plugins.agents import payments, rights
from plugins.agents.models import Agent, Payment
from plugins.agents.tests import scene
from plugins.agents.tests.scene_payments import Books, make_books

IN, OUT, OFFSET = "in", "out", "offset"


@pytest.fixture
def books(app: Any) -> Books:
    return make_books()


def two(one: str, other: str) -> tuple[Decimal, Decimal]:
    return Decimal(one), Decimal(other)


def test_the_statement_approved_first_is_paid_first_and_the_rest_is_on_account(books: Books) -> None:
    first, second = books.statement("100"), books.statement("50.05", "30")
    key = books.pay("120.01")
    assert books.sides(first) == two("100", "0") and books.sides(second) == two("20.01", "0")
    more = books.pay("40")
    assert books.sides(second) == two("50.05", "0") and books.rest(more) == Decimal("9.96")
    assert books.rest(key) == 0
    books.pay("30", OUT)
    assert books.sides(second) == two("50.05", "30")
    books.check()


def test_a_later_statement_takes_what_is_on_account(books: Books) -> None:
    key = books.pay("100")
    assert books.rest(key) == 100
    draft = books.statement("500", state="sent")
    books.statement("30")
    last = books.statement("80", "10")
    with books.acting():
        assert payments.match_rest(fetch(Agent, books.agent)) == 100
        assert payments.match_rest(fetch(Agent, books.agent)) == 0
    assert books.sides(last) == two("70", "0") and books.sides(draft) == two("0", "0") and books.rest(key) == 0
    books.check()


def test_a_chosen_statement_only_is_paid(books: Books) -> None:
    first, second = books.statement("100"), books.statement("60")
    key = books.pay("70", statement_id=second)
    assert books.sides(first) == two("0", "0") and books.sides(second) == two("60", "0")
    assert books.rest(key) == 10
    with pytest.raises(InvalidData) as bad:
        books.pay("1", statement_id=books.statement("5", state="draft"))
    assert list(bad.value.errors) == ["statement_id"]
    other = books.place.agent()
    for wrong in (books.statement("5", agent=other), 999999, "abc"):
        with pytest.raises(NotFound):
            books.pay("1", statement_id=wrong)


def test_a_payment_taken_back_opens_what_it_paid(books: Books) -> None:
    first, second = books.statement("100"), books.statement("50")
    kept, key = books.pay("60"), books.pay("80", reference="T-1")
    with books.acting():
        with pytest.raises(InvalidData):
            payments.void(key, "  ")
        assert payments.void(key, "退票").void
        with pytest.raises(Refused):
            payments.void(key, "退票")
    assert books.sides(first) == two("60", "0") and books.sides(second) == two("0", "0")
    assert books.rest(key) == 0 and books.rest(kept) == 0
    books.pay("80", reference="T-1")  # the number is free again
    assert books.sides(second) == two("40", "0")
    books.check()


def test_what_a_closed_statement_was_paid_with_stays(books: Books) -> None:
    key = books.statement("100")
    paid = books.pay("100")
    with books.acting():
        from core.sdk import lock, transaction

        with transaction():
            lock(key).state = "closed"
        with pytest.raises(Refused):
            payments.void(paid, "退票")
    assert books.sides(key) == two("100", "0")


def test_paid_on_both_sides_its_charges_are_settled_until_a_payment_is_taken_back(
    books: Books,
) -> None:
    key = books.with_lines("100.10", "-20", payable=["30"], state="invoiced")

    def charged() -> set[tuple[str, str]]:
        return {(one.payer, one.state) for one in books.place.charges(books.cases[0])}

    books.pay("80.10")
    assert books.state(key) == "invoiced" and charged() == {("agent", "settled"), ("company", "posted")}
    last = books.pay("30", OUT)
    assert books.state(key) == "paid" and charged() == {("agent", "settled"), ("company", "settled")}
    with books.acting():
        payments.void(last, "退票")
    assert books.state(key) == "invoiced" and charged() == {("agent", "settled"), ("company", "posted")}


def test_the_same_transfer_is_entered_once(books: Books) -> None:
    books.statement("100")
    books.pay("10", reference="ICBC 2026-1")
    for again in ("ICBC 2026-1", " icbc　2026-1 ", "ICBC ２０２６-1"):
        with pytest.raises(InvalidData) as bad:
            books.pay("20", reference=again)
        assert list(bad.value.errors) == ["reference"]
    books.pay("10", OUT, reference="ICBC 2026-1")  # ours to them is another one
    with books.acting():
        other = books.place.agent()
    books.pay("10", reference="ICBC 2026-1", agent_id=other)
    assert len(books.all(Payment)) == 3


@pytest.mark.parametrize(
    "amount", ["", "0", "-1", "0.005", "0.001", "1e-3", "12.345", "1E+20", "NaN", "一百", "9" * 30]
)
def test_amounts_that_are_none_are_refused_beside_the_field(books: Books, amount: str) -> None:
    key = books.statement("100")
    with pytest.raises(InvalidData) as bad:
        books.pay(amount)
    assert list(bad.value.errors) == ["amount"]
    assert not books.all(Payment) and books.sides(key) == two("0", "0")


def test_full_width_digits_are_digits(books: Books) -> None:
    key = books.statement("100")
    books.pay("１２.３０")
    assert books.sides(key) == two("12.30", "0")


def test_days_to_come_and_kinds_unknown_are_refused(books: Books) -> None:
    for name, value in (
        ("paid_on", (books.today + timedelta(days=1)).isoformat()),
        ("paid_on", "gestern"),
        ("paid_on", "0026-01-01"),
        ("kind", "gift"),
        ("reference", " "),
    ):
        with pytest.raises(InvalidData) as bad:
            wrong: dict[str, Any] = {name: value}
            books.pay("1", **wrong)
        assert list(bad.value.errors) == [name]


def test_only_finance_enters_payments_and_only_of_its_own_unit(books: Books) -> None:
    books.statement("100")
    key = books.pay("1")
    raw = {"agent_id": books.agent, "kind": IN, "amount": "1", "paid_on": books.today, "reference": "x"}
    with books.acting(permissions=scene.ALL - {rights.FINANCE}):
        with pytest.raises(NotAllowed):
            payments.register(books.unit.id, raw)
        with pytest.raises(NotAllowed):
            payments.void(key, "退票")
    other = make_books("OTHER")
    with other.acting():
        for wrong in (books.agent, 99999, None, "x"):
            with pytest.raises(NotFound):
                payments.register(other.unit.id, {**raw, "agent_id": wrong})
        with pytest.raises(NotFound):
            payments.void(key, "退票")


@pytest.mark.clause("DL-4")
def test_amounts_are_offset_only_where_a_contract_in_force_says_so(books: Books) -> None:
    books.place.now -= timedelta(days=6)
    key = books.statement("100", "40")
    books.place.later(days=6)
    books.contract(netting=False)
    ended = books.today - timedelta(days=5)
    books.contract(netting=True, state="ended", ended_on=ended)
    books.contract(netting=True, state="draft")
    with pytest.raises(Refused) as bad:
        books.pay("40", OFFSET)
    assert [(one.code, one.clause) for one in bad.value.refusals] == [("no_netting", "DL-4")]
    assert books.sides(key) == two("0", "0")
    books.pay("10", OFFSET, paid_on=ended.isoformat())
    assert books.sides(key) == two("10", "10")
    books.contract(netting=True)
    with pytest.raises(InvalidData) as much:
        books.pay("30.01", OFFSET)
    assert list(much.value.errors) == ["amount"]
    books.pay("30", OFFSET)
    assert books.sides(key) == two("40", "40")
    with pytest.raises(InvalidData):
        books.pay("1", OFFSET)
    books.check()


@pytest.mark.clause("DL-4")
def test_where_the_clause_is_switched_off_offset_asks_for_no_contract(books: Books) -> None:
    key = books.statement("100", "40")
    books.place.office.clause("DL-4", on=False)
    books.pay("40", OFFSET)
    assert books.sides(key) == two("40", "40")


@pytest.mark.clause("DL-4")
def test_an_agreement_that_ended_is_not_reached_back_for(books: Books) -> None:
    """What was approved after it had ended is not offset by giving the offset an earlier day."""
    ended = books.today - timedelta(days=5)
    books.contract(netting=True, state="ended", ended_on=ended)
    key = books.statement("100", "40")
    with pytest.raises(InvalidData) as bad:
        books.pay("10", OFFSET, paid_on=ended.isoformat())
    assert list(bad.value.errors) == ["amount"]
    assert books.sides(key) == two("0", "0")


def test_an_offset_goes_over_several_statements_and_back(books: Books) -> None:
    books.contract(netting=True)
    first, second = books.statement("100"), books.statement("0", "150")
    key = books.pay("100", OFFSET)
    assert books.sides(first) == two("100", "0") and books.sides(second) == two("0", "100")
    assert books.rest(key) == 0
    books.check()
    with books.acting():
        payments.void(key, "写错")
    assert books.sides(first) == books.sides(second) == two("0", "0")


def test_a_side_below_zero_is_paid_back_by_the_other(books: Books) -> None:
    """A claw-back larger than what became due: they pay us back, or it is offset; nothing goes past zero."""
    key = books.statement("-20", "-100")
    books.pay("60")
    assert books.sides(key) == two("0", "-60")
    rest = books.pay("50")
    assert books.sides(key) == two("0", "-100") and books.rest(rest) == 10
    books.pay("20", OUT)
    assert books.sides(key) == two("-20", "-100")
    books.check()


AMOUNT = st.decimals("0.01", "300", places=2)
OWED = st.one_of(AMOUNT, st.just(Decimal(0)), st.decimals("-50", "-0.01", places=2))
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("statement"), OWED, OWED),
        st.tuples(st.sampled_from([IN, OUT, OFFSET]), AMOUNT, st.just(Decimal(0))),
        st.tuples(st.just("void"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("match"), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@given(acts=ACTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_paid_offset_and_taken_back_the_sums_agree(app: Any, acts: list[tuple[Any, Any, Any]]) -> None:
    books = make_books(f"P{next(_codes)}")
    books.contract(netting=True)
    for act, one, other in acts:
        if act == "statement":
            books.statement(str(one), str(other))
        elif act == "void":
            good = [row.id for row in books.all(Payment) if not row.void]
            if good:
                with books.acting():
                    payments.void(good[one % len(good)], "退票")
        elif act == "match":
            with books.acting():
                payments.match_rest(fetch(Agent, books.agent))
        else:
            try:
                books.pay(str(one), act)
            except InvalidData as bad:
                assert act == OFFSET and list(bad.errors) == ["amount"]
        books.check()


_codes = iter(range(1, 10_000))
