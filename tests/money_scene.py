"""A few clauses about money beside the core's own, and people who hold real positions, for tests of money."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from flask import Flask
from sqlalchemy import select

from core.rules import registry, rulebook
from core.rules.clauses import Clause, Parameter, Rulebook
from core.rules.kinds import FeeRule, Line, PenaltyRule
from core.users.models import Position, User
from core.users.positions import seed_positions
from tests.casework import ALL, Office, make_office
from tests.helpers import as_system, in_scope, make_user

# The deadline whose breach the penalty clauses below answer: first response within a day.
BROKEN = "R01-5.2b"
VISIT, QUOTE, FINE, RANGE, DAILY, OPEN = ("R01-91", "R01-92", "R01-93", "R01-94", "R01-95", "R01-96")


def clause(number: str, kind: str, *parameters: Parameter, on: bool = True) -> Clause:
    words = {"zh": f"测试条款{number}", "en": f"Test clause {number}"}
    return Clause(number, "R01", kind, words, words, parameters=parameters, on=on)


def parameter(name: str, default: Any, kind: str = "decimal") -> Parameter:
    value = Decimal(default) if kind == "decimal" else default
    return Parameter(name, kind, {"zh": name, "en": name}, value)


CLAUSES = (
    clause(VISIT, "fee", parameter("price", "400")),
    clause(QUOTE, "fee", parameter("waiver_position", "gm", "position")),
    clause(FINE, "penalty", parameter("amount", "50"), on=False),
    clause(RANGE, "penalty", parameter("least", "50"), parameter("most", "500"), on=False),
    clause(DAILY, "penalty", parameter("per_day", "10"), parameter("cap", "30"), on=False),
    clause(OPEN, "penalty", on=False),
)


def visit_lines(step: Any, values: Any) -> list[Line]:
    """Charge the visit by the number in the plan: "2次" are two."""
    count = "".join(c for c in str(step.values.get("plan") or "") if c.isdigit())
    label = {"zh": "上门费", "en": "Visit"}
    return [Line("visit", label, "customer", Decimal(count), values["price"])] if count else []


RULES = (
    FeeRule(clause=VISIT, step="case.plan", lines=visit_lines),
    PenaltyRule(clause=FINE, broken=(BROKEN,), amount="amount"),
    PenaltyRule(clause=RANGE, broken=(BROKEN,), least="least", most="most"),
    PenaltyRule(clause=DAILY, broken=(BROKEN,), per_day="per_day", cap="cap"),
    PenaltyRule(clause=OPEN, broken=()),
)


@contextmanager
def money_clauses(app: Flask, *in_force: str) -> Iterator[None]:
    """Let the application know the clauses above, those ``in_force`` being on beside the fees."""
    book: Rulebook = app.extensions[rulebook.EXTENSION]
    rules = app.extensions[registry.EXTENSION]
    more = {one.id: _on(one) if one.id in in_force else one for one in CLAUSES}
    larger = Rulebook(book.regulations, {**book.clauses, **more})
    app.extensions[rulebook.EXTENSION] = larger
    declared = [*((one.plugin, one) for one in rules.rules), *(("", one) for one in RULES)]
    app.extensions[registry.EXTENSION] = registry.build(declared, larger)
    try:
        yield
    finally:
        app.extensions[rulebook.EXTENSION] = book
        app.extensions[registry.EXTENSION] = rules


def _on(one: Clause) -> Clause:
    return Clause(**{**vars(one), "on": True})


def holder(office: Office, code: str, name: str = "") -> User:
    """Add somebody who holds one of the seeded positions in the office's unit."""
    with as_system() as work:
        seed_positions()
        position = work.scalars(select(Position).where(Position.code == code)).one()
    return make_user(office.unit, position=position, name=name or code)


@contextmanager
def acting(office: Office, user: User, permissions: Any = ALL) -> Iterator[Any]:
    with in_scope(office.unit, permissions, user) as work:
        yield work


__all__ = ["BROKEN", "DAILY", "FINE", "OPEN", "QUOTE", "RANGE", "VISIT", "make_office"]
