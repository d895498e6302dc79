"""The clauses about consent, one by one: what they refuse, and that without them nothing is refused."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel.errors import AppError, Refused
from core.records.engine import ask
from core.sdk import Record, charges, clock, perform, session, transaction
from plugins.warranty import quotes, values
from plugins.warranty.rules_consent import CONSENT_CLAUSES
from plugins.warranty.tests.scene_quotes import AGREED, MONDAY, PRICING, R17, SHORT, VISIT, Desk, make_desk

WORK = ("assign", "start", "solve", "depart", "arrive")


@pytest.fixture(autouse=True)
def on_monday() -> Any:
    with clock.frozen(MONDAY):
        yield


def against(desk: Desk, key: int) -> dict[str, set[str]]:
    """Return which clauses stand against each step of the work, as the case's page shows it."""
    with desk.acting() as work:
        record = work.scalars(select(Record).where(Record.id == key)).one()
        return {
            one.transition.name: {refusal.clause for refusal in one.refusals if refusal.code == "consent"}
            for one in ask(record)
            if one.transition.name in WORK
        }


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param("R07-6.2", marks=pytest.mark.clause("R07-6.2")),
        pytest.param("R13-5.2.1.5a", marks=pytest.mark.clause("R13-5.2.1.5a")),
        pytest.param("R15-11a", marks=pytest.mark.clause("R15-11a")),
        pytest.param("R17-5.2.5a", marks=pytest.mark.clause("R17-5.2.5a")),
        pytest.param("R17-5.2.8", marks=pytest.mark.clause("R17-5.2.8")),
        pytest.param("R17-7.2.4a", marks=pytest.mark.clause("R17-7.2.4a")),
        pytest.param("R18-5.2.1.5a", marks=pytest.mark.clause("R18-5.2.1.5a")),
        pytest.param("R18-7.2.4a", marks=pytest.mark.clause("R18-7.2.4a")),
        pytest.param("R19-5.2.1.5a", marks=pytest.mark.clause("R19-5.2.1.5a")),
        pytest.param("R19-7.2.4a", marks=pytest.mark.clause("R19-7.2.4a")),
    ],
)
def test_nobody_works_before_the_customer_agreed(sqlite_app: Any, clause: str) -> None:
    desk = make_desk(sqlite_app, clause, *PRICING)
    everywhere, nowhere = {one: {clause} for one in WORK}, {one: set() for one in WORK}
    key = desk.case()
    assert against(desk, key) == everywhere  # not even quoted
    for step, given_ in (
        ("warranty:quote", VISIT),
        ("warranty:send", {"by": "phone"}),
        ("warranty:refuse", {"reason": "太贵"}),
        ("warranty:quote", VISIT),
        ("warranty:send", {"by": "phone"}),
    ):
        desk.do(key, step, given_)
        assert against(desk, key) == everywhere, step
    with pytest.raises(Refused):
        desk.do(key, "assign")
    assert clause in desk.clauses_against(key, "assign")
    desk.do(key, "warranty:consent", AGREED)
    assert against(desk, key) == nowhere
    desk.at_work(key)
    desk.do(key, "solve")
    assert against(desk, desk.case("in_warranty")) == nowhere
    assert against(desk, desk.case("")) == nowhere


def test_without_these_clauses_work_begins_unasked(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app, *PRICING)
    key = desk.case()
    assert not any(against(desk, key).values())
    desk.do(key, "warranty:quote", VISIT)
    desk.do(key, "warranty:send", {"by": "phone"})
    desk.do(key, "warranty:refuse", {"reason": "太贵"})
    desk.at_work(key)
    desk.do(key, "solve")
    # What the customer refused is owed by nobody, all the same.
    assert {one.state for one in desk.charges(key)} == {"quoted"}


def test_the_clauses_are_asked_with_few_statements(sqlite_app: Any, count_queries: Any) -> None:
    desk = make_desk(sqlite_app, *CONSENT_CLAUSES, *PRICING)
    key = desk.case()
    with desk.acting() as work:
        record = work.scalars(select(Record).where(Record.id == key)).one()
        ask(record)
        session().info.pop("warranty_standing")
        with count_queries() as seen:
            ask(record)
    ours = [one for one in seen if "warranty_" in one or "core_fact" in one]
    assert len(ours) <= 6, "\n".join(ours)


# --- whatever the order: the quote is what the customer owes -----------------------------------------

MOVES = ("quote", "cheaper", "send", "consent", "refuse", "waive", "reduce", "void", "drop", "solve")


def play(desk: Desk, key: int, gm: Any, move: str) -> None:
    steps: dict[str, tuple[str, dict[str, Any]]] = {
        "quote": ("warranty:quote", VISIT),
        "cheaper": ("warranty:quote", SHORT),
        "send": ("warranty:send", {"by": "phone"}),
        "consent": ("warranty:consent", AGREED),
        "refuse": ("warranty:refuse", {"reason": "太贵"}),
    }
    if move in steps:
        with desk.acting():
            perform(key, *steps[move])
    elif move == "waive":
        with contextlib.suppress(AppError):
            desk.do(key, *steps["refuse"])
        desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
        desk.decide_on(gm, desk.approvals(key)[-1].id)
    elif move == "reduce":
        rows = [one for one in desk.charges(key) if one.code == "meals" and one.adjusts_id is None]
        with desk.acting(), transaction():
            charges.waived(session().merge(rows[0]), "优惠", "10")
    elif move == "void":
        rows = [one for one in desk.charges(key) if one.code == "travel" and one.adjusts_id is None]
        with desk.acting():
            charges.move(rows[0].id, "void", "客户自己来接")
    elif move == "drop":
        desk.decide(key, "in_warranty")
        desk.decide(key, "out_of_warranty")
    else:
        with contextlib.suppress(AppError):
            desk.do(key, *steps["consent"])
        desk.at_work(key)
        desk.do(key, "solve")
        desk.do(key, "rework", {"reason": "又坏了"})


def check(desk: Desk, key: int) -> None:
    rows = [one for one in desk.charges(key) if one.state != "void"]
    owed = sum((one.amount for one in rows), Decimal(0))
    assert owed >= 0
    held = [one for one in desk.quotes(key) if one.current]
    assert len(held) <= 1
    if not held:
        return
    with desk.acting():
        assert quotes.payable(key) == owed
        shown = quotes.lines_now(quotes.get_quote(held[0].id))
        assert sum(Decimal(one["amount"]) for one in shown) == owed
    assert held[0].total == owed
    told = {values.CONSENTED, values.REPLACED, values.LAPSED}
    posted = [one for one in rows if one.state == "posted" and one.amount > 0]
    assert not posted or told & {one.state for one in desk.quotes(key)}


def test_in_any_order_a_quote_is_what_the_customer_owes(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app, *R17)
    gm = desk.office.staff("gm")
    done: Counter[str] = Counter()
    chance = random.Random(20)
    for _ in range(25):
        key = desk.case()
        for move in ("quote", "send", *chance.choices(MOVES, k=9)):
            try:
                play(desk, key, gm, move)
            except (AppError, IndexError):
                continue
            done[move] += 1
            check(desk, key)
    assert set(done) == set(MOVES), done
