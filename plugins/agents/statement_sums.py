"""The sums of a statement: worked out anew from its lines, never added to, so that the two always agree."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import BigInteger, case, cast, func, select, update

from core.sdk import money_math, record_audit, session

from . import values
from .models import Statement, StatementLine


def refresh(statement: Statement) -> None:
    """Let a statement say what its lines come to; those moved away are left out."""
    session().flush()
    # Whole cents, since one of the databases would add fractions as floating point.
    cents = func.sum(cast(func.round(StatementLine.amount * 100), BigInteger))
    failed = func.sum(case((StatementLine.failed, 1), else_=0))
    disputed = func.sum(case((StatementLine.state == values.DISPUTED, 1), else_=0))
    rows = session().execute(
        select(StatementLine.direction, cents, func.count(), failed, disputed)
        .where(StatementLine.statement_id == statement.id, ~StatementLine.released)
        .group_by(StatementLine.direction)
    )
    found = {direction: counts for direction, *counts in rows}
    sums = {one: Decimal(int(found[one][0])).scaleb(-2) if one in found else money_math.ZERO for one in _SIDES}
    statement.receivable, statement.payable = sums[values.OWED_TO_US], sums[values.OWED_BY_US]
    statement.line_count, statement.failed_count, statement.disputed_count = (
        sum(int(counts[place]) for counts in found.values()) for place in (1, 2, 3)
    )
    session().flush()


_SIDES = (values.OWED_TO_US, values.OWED_BY_US)


def release_all(statement: Statement) -> None:
    """Take every line off a statement: what they charge is free for another one."""
    session().flush()
    record_audit("change", statement, detail={"released": statement.line_count})
    session().execute(
        update(StatementLine)
        .where(StatementLine.statement_id == statement.id, ~StatementLine.released)
        .values(released=True),
        execution_options={"audited": "one entry for the statement", "synchronize_session": "fetch"},
    )
