"""Ageing by the day an amount is due: every bucket's edges, both directions, sums to the cent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.agents import ageing
from plugins.agents.tests.scene_payments import Books, make_books
from plugins.agents.values import OWED_BY_US, OWED_TO_US


def rows(books: Books) -> list[ageing.AgentAgeing]:
    with books.acting():
        return ageing.ageing_of(books.unit.id)


def test_days_fall_into_their_buckets(app: Any) -> None:
    books = make_books()
    for days, amount in (
        (-1, "1"),
        (0, "2"),
        (1, "4"),
        (30, "8"),
        (31, "16"),
        (60, "32"),
        (61, "64"),
        (90, "128"),
        (91, "256"),
    ):
        books.statement(amount, "0.01", due_on=books.today - timedelta(days=days))
    books.statement("512", due_on=None)
    for state in ("draft", "sent", "disputed", "agreed", "cancelled"):
        books.statement("7777", state=state)
    (found,) = rows(books)
    assert found.owed[OWED_TO_US] == [Decimal(one) for one in (515, 12, 48, 192, 256)]
    assert found.owed[OWED_BY_US] == [Decimal(one) / 100 for one in (2, 2, 2, 2, 1)]
    assert found.total(OWED_TO_US) == 1023


def test_agents_stand_apart_with_what_is_on_account(app: Any) -> None:
    books = make_books()
    other = books.place.agent()
    books.statement("100", state="invoiced")
    books.statement("40", agent=other)
    books.pay("130")
    books.pay("25.5", "out", agent_id=other)
    first, second = rows(books)
    assert (first.total(OWED_TO_US), first.on_account["in"]) == (0, 30)
    assert (second.total(OWED_TO_US), second.on_account["out"]) == (40, Decimal("25.5"))
    whole = ageing.totals_of([first, second])
    assert whole.total(OWED_TO_US) == 40 and whole.on_account == {"in": Decimal(30), "out": Decimal("25.5")}
    assert rows(make_books("OTHER")) == []


@given(
    amounts=st.lists(
        st.tuples(st.decimals("-999.99", "9999999.99", places=2), st.integers(-40, 140)), min_size=1, max_size=8
    ),
    paid=st.decimals("0.01", "9999.99", places=2),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_buckets_sum_to_what_is_open(app: Any, amounts: list[tuple[Decimal, int]], paid: Decimal) -> None:
    books = make_books(f"A{next(_codes)}")
    for amount, days in amounts:
        books.statement(str(amount), due_on=books.today - timedelta(days=days))
    books.pay(str(paid))
    owed = sum((amount for amount, _days in amounts), Decimal(0))
    whole = ageing.totals_of(rows(books))
    assert whole.total(OWED_TO_US) - whole.on_account["in"] == owed - paid


_codes = iter(range(1, 10_000))
