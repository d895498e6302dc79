"""Clauses about settlement: failed checks, the time to answer, the time to pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import DeadlineRule, GateRule, Rule, Step, Term, session

from . import values
from .models import StatementLine
from .statement_flow import CODE

CHECKED, ANSWER = "DL-3", "DL-5"


def _unreviewed(step: Step, said: Mapping[str, Any]) -> Any:
    """DL-3: a line whose check failed has been looked at, or stands on another statement."""
    waiting = select(StatementLine.checks).where(
        StatementLine.statement_id == step.record.id,
        StatementLine.failed,
        ~StatementLine.released,
        StatementLine.review == "",
    )
    ignored = set() if said["old_parts"] else {values.OLD_PART}
    count = sum(_counts(checks, ignored) for checks in session().scalars(waiting))
    if not count:
        return None
    return _l("%(count)d lines whose check failed have no note yet; write one or move them", count=count)


def _counts(checks: Mapping[str, Any], ignored: set[str]) -> bool:
    return any(result == values.BAD and name not in ignored for name, (result, _detail) in checks.items())


def _time_to_pay(said: Mapping[str, Any], read: Mapping[str, Any]) -> Term:
    """What the contract says, else the clause."""
    days = read["payment_days"]
    return Term(said["due"] if days is None else days, "day")


def _due(clause: str) -> DeadlineRule:
    return DeadlineRule(
        clause=clause,
        record_type=CODE,
        start=("approved",),
        meet=("paid",),
        restart=("unpaid",),
        pause=(),
        resume=(),
        reads=("clause", "payment_days"),
        applies=lambda read: read["clause"] == clause,
        term=_time_to_pay,
    )


RULES: list[Rule] = [
    GateRule(clause=CHECKED, step=f"{CODE}.approve", check=_unreviewed, code="failed_checks"),
    DeadlineRule(
        clause=ANSWER,
        record_type=CODE,
        start=("sent",),
        restart=("returned", "reopened"),
        meet=("answered", "agreed"),
        stop=("agreed_without", "cancelled"),
        pause=(),
        resume=(),
    ),
    _due("R18-5.1.2b"),
    _due("R19-5.1.2b"),
]
