"""Deductions from pay (工资扣款): month by month, within the limits of the law, only by a clause of the contract.

Personnel types the wage and the local minimum wage of the month; the limit is worked out and both are forgotten:
no wages are stored, logged or kept as evidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Field,
    InvalidData,
    Record,
    Refusal,
    Refused,
    User,
    answered_before,
    append_fact,
    clean,
    clock,
    current_scope,
    fetch,
    local_day,
    lock,
    may,
    money_math,
    notify,
    perform,
    remember_answer,
    require,
    require_clause,
    session,
    tell_of_fact,
    transaction,
)

from . import judging, settling, values
from .incident_flow import WORKFLOW
from .models import Deduction, Incident
from .rights import MONEY

# The name under which the gate of GJ-2 is asked.
STEP = "tools.deduct"
MONTH = re.compile(r"^20[0-9]{2}-(0[1-9]|1[0-2])$")
_MOST = Decimal("9999999.99")
FIELDS = (
    Field("month", "text", _l("Month"), True, max_length=7, help=_l("Such as 2026-11")),
    Field("amount", "decimal", _l("Amount"), True, minimum=Decimal("0.01"), maximum=_MOST),
    Field(
        "contract_clause",
        "text",
        _l("Clause of the employment contract"),
        max_length=120,
        help=_l("Without one nothing is deducted"),
    ),
    Field("wage", "decimal", _l("Wage of the month"), True, minimum=Decimal(0), maximum=_MOST, help=_l("Not kept")),
    Field(
        "minimum_wage",
        "decimal",
        _l("Local minimum wage"),
        True,
        minimum=Decimal(0),
        maximum=_MOST,
        help=_l("Not kept"),
    ),
)
UNDO_FIELDS = (Field("reason", "long", _l("Reason"), True, max_length=500),)
_FORGOTTEN = ("wage", "minimum_wage")


@dataclass(frozen=True)
class Deducting:
    """A deduction as the gate of ``STEP`` sees it; ``before`` was taken off the same month's pay already (yuan)."""

    amount: Decimal
    before: Decimal
    wage: Decimal
    minimum_wage: Decimal
    contract_clause: str


def limit_of(wage: Decimal, minimum_wage: Decimal, rate: Decimal) -> Decimal:
    """Return what may be taken off a month's wage: ``rate`` percent, and never what leaves less than the minimum.

    In yuan, whole cents, never rounded up.
    """
    share = (wage * min(rate, Decimal(20)) / 100).quantize(Decimal("0.01"), ROUND_DOWN)
    return max(min(share, wage - minimum_wage), settling.ZERO)


def against(asked: Deducting, said: Mapping[str, Any]) -> Any:
    """Return why a deduction is refused (GJ-2), None where it is within the limits."""
    if not asked.contract_clause:
        return _l("Nothing is deducted from pay unless the employment contract says so; name its clause")
    most = limit_of(asked.wage, asked.minimum_wage, _rate(said))
    if asked.before + asked.amount <= most:
        return None
    return _l(
        "At most %(most)s yuan may be deducted from this month's pay, of which %(before)s are already",
        most=most,
        before=asked.before,
    )


def _rate(said: Mapping[str, Any]) -> Decimal:
    """Nothing set means the law's limit; a unit may set none at all."""
    found = said.get("rate")
    return Decimal(20) if found is None or found == "" else Decimal(found)


def enter(record_id: object, raw: Mapping[str, Any], *, key: str = "") -> Deduction:
    """Enter what was deducted from a month's pay for an incident (``MONEY``): ``FIELDS``.

    With the last of what is owed the incident is settled. ``key`` makes a retry harmless.

    Raises:
        NotAllowed, NotFound. InvalidData: beside the field: no month, one still to come, more than is owed.
        Refused: the person has not agreed to pay; GJ-2: no clause of the contract, or above the month's limit.
    """
    given = clean(FIELDS, raw)
    kept = {name: str(value) for name, value in given.items() if name not in _FORGOTTEN}
    with transaction():
        record = lock(record_id)
        require(MONEY, record.unit_id)
        detail = fetch(Incident, record.id)
        before = answered_before(record.unit_id, key, f"tools.deduct:{record.id}", kept)
        if before is not None:
            return fetch(Deduction, before["deduction"])
        _require_other(detail)
        _require_owed(record, detail, given)
        lock_month(detail)
        taken = deducted_in(detail.user_id, record.unit_id, given["month"])
        asked = Deducting(
            given["amount"], taken, given["wage"], given["minimum_wage"], given["contract_clause"] or ""
        )
        # Not with the record: what is refused is kept as evidence there, and it tells of the wage.
        require_clause(STEP, record.unit_id, asked)
        row = _add(record, detail, given, key)
        if not settling.left(record.id):
            perform(record.id, "settle_from_pay", permitted=True)
        remember_answer(record.unit_id, key, {"deduction": row.id})
        return row


def take_back(deduction_id: object, raw: Mapping[str, Any], *, key: str = "") -> Deduction:
    """Take back a deduction that was entered wrongly (``MONEY``): ``UNDO_FIELDS``. What it paid is owed again.

    The entry stays, with who took it back and why; it counts no more, in the month's limit neither.

    Raises:
        NotAllowed, NotFound. InvalidData: under ``reason``.
        Refused: taken back already, or the incident was settled otherwise since.
    """
    given = clean(UNDO_FIELDS, raw)
    with transaction():
        seen = fetch(Deduction, deduction_id)
        record = lock(seen.incident_id)
        require(MONEY, record.unit_id)
        detail = fetch(Incident, record.id)
        lock_month(detail)
        row = fetch(Deduction, seen.id)
        session().refresh(row)
        if answered_before(record.unit_id, key, f"tools.undeduct:{row.id}", given) is not None:
            return row
        _require_other(detail)
        _require_standing(record, detail, row)
        row.undone_at, row.undone_by, row.undone_reason = clock.now(), current_scope().actor_id, given["reason"]
        session().flush()
        told = {"month": row.month, "amount": str(row.amount)}
        perform(record.id, "undo_deduction", {**given, **told}, permitted=True)
        notify(record, "tools.deduction_undone", [row.user_id], f"{row.month} ¥{row.amount}")
        remember_answer(record.unit_id, key, {"deduction": row.id})
        return row


def _require_standing(record: Record, detail: Incident, row: Deduction) -> None:
    if row.undone_at is not None:
        raise Refused([Refusal("undone", _l("This deduction was taken back already"))])
    if not _stands(record, detail):
        raise Refused([Refusal("settled", _l("The incident was settled otherwise since; nothing is taken back"))])


def may_be_undone(record: Record, detail: Incident) -> bool:
    """Tell whether the actor may take deductions of an incident back, as it stands."""
    return _stands(record, detail) and may(MONEY, record.unit_id)


def _stands(record: Record, detail: Incident) -> bool:
    return record.state == values.CHARGED or (
        record.state == values.CLOSED
        and detail.settlement == values.FROM_PAY
        and judging.payable(record.id) > 0  # else the tool was found and it was paid back
    )


def _require_other(detail: Incident) -> None:
    if settling.owes(detail):
        raise Refused([Refusal("own_debt", settling.OWN_DEBT)])


def _require_owed(record: Record, detail: Incident, given: Mapping[str, Any]) -> None:
    month, now = given["month"], local_day(record.unit_id).strftime("%Y-%m")
    if not MONTH.match(month):
        raise InvalidData({"month": _l("Please enter a month such as 2026-11")})
    if month > now:
        raise InvalidData({"month": _l("This month is still to come")})
    if month < local_day(record.unit_id, detail.happened_at).strftime("%Y-%m"):
        raise InvalidData({"month": _l("This month was over before it happened")})
    if given["amount"] != money_math.yuan(given["amount"]):
        raise InvalidData({"amount": _l("At most two decimals")})
    if record.state != values.CHARGED:
        raise Refused([Refusal("not_agreed", _l("The person has not agreed to pay, or it is settled"))])
    most = settling.left(record.id)
    if given["amount"] > most:
        raise InvalidData({"amount": _l("Only %(left)s yuan are still owed", left=most)})


def lock_month(detail: Incident) -> None:
    """Two deductions from one person's pay go one after the other, whatever incidents they are for."""
    session().execute(select(User.id).where(User.id == detail.user_id).with_for_update())


def deducted_in(user_id: int | None, unit_id: int, month: str) -> Decimal:
    """Return what was taken off somebody's pay of a month for all their incidents in a unit, in yuan."""
    mine = select(money_math.cents(Deduction.amount)).where(
        Deduction.user_id == user_id,
        Deduction.unit_id == unit_id,
        Deduction.month == month,
        Deduction.undone_at.is_(None),
    )
    return money_math.from_cents(sum(session().scalars(mine)))


def _add(record: Record, detail: Incident, given: Mapping[str, Any], key: str) -> Deduction:
    row = Deduction(
        unit_id=record.unit_id,
        incident_id=record.id,
        user_id=detail.user_id,
        month=given["month"],
        amount=given["amount"],
        contract_clause=given["contract_clause"],
        entered_at=clock.now(),
        entered_by=current_scope().actor_id,
        key=key[:60],
    )
    session().add(row)
    data = {"month": row.month, "amount": str(row.amount)}
    fact = append_fact(record, WORKFLOW.fact_kinds["deducted"], at=row.entered_at, data=data)
    session().flush()
    tell_of_fact(record, fact)
    if detail.user_id is not None:
        notify(record, "tools.deducted", [detail.user_id], f"{row.month} ¥{row.amount}")
    return row


def of_incident(incident_id: int) -> Sequence[Deduction]:
    """Return the deductions for an incident, by month."""
    mine = select(Deduction).where(Deduction.incident_id == incident_id).order_by(Deduction.month, Deduction.id)
    return session().scalars(mine.options(joinedload(Deduction.user))).all()
