"""Where several texts hold at once nobody pays twice, and a breach brings one proposal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules.charge_models import Penalty
from core.rules.obligation_models import Breach
from core.sdk import Charge, charges, perform
from plugins.tools import compensation, incidents, values
from plugins.tools.tests.scene import Place, code_of, make_place

TEXTS = ("R15-18b", "R32-6.3", "R33-10.2", "R35-6.2", "R35-6.3", "R35-7.3")


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    made = make_place()
    made.with_clauses("R35-5.3", "R32-6.2", "R33-10.1")
    return made


def report(place: Place, kind: str, **more: object) -> int:
    tool = place.tool()
    place.issue(place.ann, tool)
    place.later(hours=1)
    with place.acting(place.keeper):
        raw = {"kind": kind, "tool": code_of(place, tool), "what": "未带回", **more}
        return incidents.report(place.unit.id, raw).id


def judge(place: Place, key: int, **given: object) -> None:
    with place.acting(place.manager):
        perform(key, "judge", {"user": place.ann.id, **given})


def judged(place: Place, kind: str, cause: str) -> list[tuple[str, Decimal]]:
    """Report and judge; return the clauses and amounts of what is to be paid."""
    key = report(place, kind)
    judge(place, key, cause=cause, judgement="本人承认")
    mine = select(Charge).where(Charge.record_id == key, Charge.state != charges.VOID)
    return [(one.clause, one.amount) for one in place.all(mine)]


@pytest.mark.clause(*TEXTS)
@pytest.mark.parametrize(
    ("held", "kind", "cause", "owed"),
    [
        (TEXTS, values.LOSS, values.CARELESS, [("R35-6.2", Decimal("120.00"))]),
        (TEXTS, values.DAMAGE, values.MISUSE, [("R35-6.3", Decimal("60.00"))]),
        (TEXTS, values.DAMAGE, values.NATURAL, []),
        (TEXTS[:3], values.LOSS, values.CARELESS, [("R15-18b", Decimal("120.00"))]),
        (TEXTS[:3], values.LOSS, values.EXTERNAL, []),
        (TEXTS[1:3], values.DAMAGE, values.MISUSE, [("R33-10.2", Decimal("60.00"))]),
        (TEXTS[1:2], values.DAMAGE, values.CARELESS, [("R32-6.3", Decimal("60.00"))]),
        ((), values.LOSS, values.CARELESS, []),
    ],
)
def test_one_clause_at_a_time_says_what_is_owed(
    place: Place, held: tuple[str, ...], kind: str, cause: str, owed: list[tuple[str, Decimal]]
) -> None:
    place.with_clauses(*held)
    assert judged(place, kind, cause) == owed


def test_every_clause_about_compensation_is_bound() -> None:
    assert set(compensation.CLAUSES) == set(TEXTS)


def proposals(place: Place, breach: str) -> list[tuple[str, int | None, Decimal | None]]:
    key = report(place, values.BREACH, breach=breach, user=place.ann.id)
    judge(place, key, judgement="经查属实", penalty="50")
    rows = place.all(select(Penalty).where(Penalty.record_id == key))
    return [(one.clause, one.user_id, one.amount) for one in rows]


@pytest.mark.clause("R32-6.2", "R33-10.1", "R33-2.2")
def test_a_breach_brings_one_proposal(place: Place) -> None:
    ann, fifty = place.ann.id, Decimal("50.00")
    assert proposals(place, values.PRIVATE_LENDING) == [("R32-6.2", ann, fifty)]
    assert proposals(place, values.TAKEN_OUT) == [("R33-10.1", ann, fifty)]
    place.without("R32-6.2")
    assert proposals(place, values.PRIVATE_LENDING) == [("R33-10.1", ann, fifty)]
    place.without("R33-10.1")
    assert proposals(place, values.PRIVATE_LENDING) == []


@pytest.mark.clause("R33-4.2", "R33-6.2", "R33-10.1")
@pytest.mark.parametrize(("kind", "clause"), [(values.USE, "R33-4.2"), (values.LOAN, "R33-6.2")])
def test_who_brings_a_tool_back_late_gets_one_proposal_without_an_amount(
    place: Place, kind: str, clause: str
) -> None:
    """R33-10.1 leaves the amount to whoever decides; in time, or with the clause off, there is no proposal."""
    place.with_clauses("R33-4.2", "R33-6.2")
    late, punctual = place.tool(), place.tool()
    place.hand(kind, place.store, place.person(place.ann), [late, punctual])
    place.later(hours=2)
    place.bring_back(place.ann, punctual)
    place.later(days=3)
    place.bring_back(place.ann, late)
    (made,) = place.all(select(Penalty))
    assert (made.record_id, made.clause, made.broken, made.user_id) == (late, "R33-10.1", clause, place.ann.id)
    assert (made.amount, made.least, made.most, made.state) == (None, None, None, "proposed")


@pytest.mark.clause("R33-10.1")
def test_with_the_clause_off_being_late_costs_nothing(place: Place) -> None:
    place.with_clauses("R33-6.2")
    place.without("R33-10.1")
    tool = place.tool()
    place.hand(values.LOAN, place.store, place.person(place.ann), [tool])
    place.later(days=3)
    place.bring_back(place.ann, tool)
    assert [one.clause for one in place.all(select(Breach).where(Breach.record_id == tool))] == ["R33-6.2"]
    assert place.all(select(Penalty.id).where(Penalty.record_id == tool)) == []
