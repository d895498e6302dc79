"""Whose turn it is with a purchase plan, and what is agreed to by whom, once."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from core.sdk import Record, Refused
from plugins.tools import purchase, values
from plugins.tools.tests.scene import Place, clauses, make_place

LINES = "测线仪, 2, 168.00, 永康五金 168 元"
FIRST = ("R15-19", "R32-2.1", "R35-4.4", "R35-4.9")


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def draft(place: Place, kind: str = values.BY_NEED, period: str = "") -> int:
    with place.acting(place.manager):
        raw = {"kind": kind, "period": period, "reason": "增配", "lines": LINES}
        return purchase.register(place.unit.id, raw).id


def owner(place: Place, key: int) -> str:
    return str(place.all(select(Record.owner_position).where(Record.id == key))[0])


@pytest.mark.clause("R15-19")
def test_finance_checks_the_prices_then_the_leader_agrees(place: Place) -> None:
    assert owner(place, draft(place)) == ""
    place.clause("R15-19")
    key = draft(place)
    assert owner(place, key) == "finance"
    place.step(key, "price", place.finance, note="比过三家")
    assert owner(place, key) == "responsible_leader"
    with pytest.raises(Refused) as refused:
        place.step(key, "approve", place.manager)
    assert clauses(refused.value) == {"R15-19"}


@pytest.mark.clause("R35-4.4", "R35-4.9", "R32-2.1")
@pytest.mark.parametrize(
    ("kind", "period", "clause"),
    [
        (values.BY_NEED, "", "R35-4.4"),
        (values.MONTHLY, "2026-02", "R35-4.9"),
        (values.YEARLY, "2027", "R32-2.1"),
    ],
)
def test_one_clause_asks_for_the_agreement_to_a_plan(place: Place, kind: str, period: str, clause: str) -> None:
    place.with_clauses(*FIRST[1:])
    key = draft(place, kind, period)
    with pytest.raises(Refused) as refused:
        place.step(key, "approve", place.manager)
    assert clauses(refused.value) == {clause}
    place.without(clause)
    place.step(key, "approve", place.manager)
    assert place.state(key) == values.APPROVED
