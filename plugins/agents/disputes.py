"""What was allowed in disputes about the bill of a case: it stands when the case is billed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import and_, func, or_, select

from core.sdk import Charge, Line, charges, money_math, session

from . import values
from .models import StatementLine

ONE = Decimal(1)


@dataclass(frozen=True)
class Allowed:
    """A billed line of a case about which a dispute was allowed, and what its payer owes by it since."""

    charge: Charge
    owed: Decimal

    @property
    def payer(self) -> tuple[str, str]:
        return self.charge.payer, self.charge.payer_ref


def allowed_of(record_id: int, source: str) -> list[Allowed]:
    """Return the lines of a bill about which disputes were allowed, by their place in it."""
    corrected = and_(
        StatementLine.state == values.CARRIED, Charge.adjusts_id.is_not(None), Charge.reason != ""
    )  # allowed, and moved to a later statement since
    bases = (
        select(func.coalesce(Charge.adjusts_id, Charge.id))
        .join(StatementLine, StatementLine.charge_id == Charge.id)
        .where(
            StatementLine.record_id == record_id,
            or_(StatementLine.state == values.ALLOWED, corrected),
        )
    )
    wanted = select(Charge).where(
        Charge.id.in_(bases), Charge.record_id == record_id, Charge.source == source, Charge.state != charges.VOID
    )
    return [Allowed(one, _owed(one)) for one in session().scalars(wanted.order_by(Charge.line))]


def _owed(charge: Charge) -> Decimal:
    """What the payer of a line owes by it, corrections among it; what was waived is still said to be owed."""
    parts = (charge, *charges.parts_of(charge))
    mine = (one for one in parts if (one.payer, one.payer_ref) == (charge.payer, charge.payer_ref))
    return sum(
        (one.amount for one in mine if one.state != charges.VOID and not charges.is_waiver(one)), money_math.ZERO
    )


def stand(record_id: int, source: str, lines: Sequence[Line]) -> list[Line]:
    """Return the lines of a bill that is worked out anew, with what was allowed in disputes left as it is.

    A line stays at what was allowed unless it comes to less by now, and keeps its place; one whose work is not in
    the bill any more is gone, and so is what was agreed with somebody else than who owes it now.
    """
    found = list(lines)
    for one in allowed_of(record_id, source):
        at = next((place for place, line in enumerate(found) if _is_about(line, one)), None)
        if at is None:
            continue
        line = found.pop(at)
        if one.owed < money_math.times(line.quantity, line.price):
            line = Line(line.code, line.label, line.payer, ONE, one.owed, line.payer_ref)
        found.insert(one.charge.line - 1, line)
    return found


def _is_about(line: Line, one: Allowed) -> bool:
    return line.code == one.charge.code and (line.payer, line.payer_ref) == one.payer


def told(record_id: int, source: str, payer_ref: str) -> str:
    """Return which lines stay at what was allowed in a dispute, for the timeline: their names and yuan."""
    mine = [one for one in allowed_of(record_id, source) if one.charge.payer_ref == payer_ref]
    return "; ".join(f"{charges.label_of(one.charge)} {one.owed:.2f}" for one in mine)
