"""The clauses about telling the fees, consent, refusal and compensation.

Nobody works for money that the customer has not agreed to. Setting out (``case.depart``, ``case.arrive``) and the
steps of the work (``case.assign``, ``case.start``, ``case.solve``) are refused

- while there is a quote that is neither agreed to nor waived, and
- without any quote, once coverage is decided and the customer would have to pay.

Where our own cost was booked after the decision and nothing came out for the customer, no quote is needed: guidance
on the telephone is free (R13-5.2.1.2), so is material where only material is charged. Booked as remote help it lets
the case be worked on, but nobody sets out for it. Where the customer pays for all there is, an emptier plan is no
answer to a quote: after one only remote help goes on. A unit that charges nothing at all is never asked, nor is the
customer of a case that somebody else pays for, as another plugin says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Fact, GateRule, Record, Rule, ServiceRule, Step, clock, holds, session, setting

from . import plans, values
from .quotes import COMPENSATION_CLAUSE, WAIVER_CLAUSES
from .settings import POLICY
from .standing import KEPT, Standing, is_borne_by_others, standing_of

# Fees are told and agreed to first; R07-6.2: what a repair out of warranty costs is agreed with the user.
CONSENT_CLAUSES = (
    "R07-6.2",
    "R13-5.2.1.5a",
    "R15-11a",
    "R17-5.2.5a",
    "R17-5.2.8",
    "R17-7.2.4a",
    "R18-5.2.1.5a",
    "R18-7.2.4a",
    "R19-5.2.1.5a",
    "R19-7.2.4a",
)
WORK, SETTING_OUT = ("assign", "start", "solve"), ("depart", "arrive")
ALL_FREE = "R03-7.1"
_DECIDED, _QUOTED, _BOOKED = "coverage_decided", "fee_quoted", "cost_booked"

_AGAINST = {
    values.DRAFT: _l("The customer has not been told the fees yet"),
    values.SENT: _l("The customer has not agreed to the fees yet"),
    values.REFUSED: _l("The customer refused the fees; ask for a waiver or work out a further quote"),
}
_UNQUOTED = _l("The customer pays for this: work the fees out and have the consent first")


def _gate(sets_out: bool) -> Callable[[Step, Any], Any]:
    return lambda step, _values: _against(step.record, sets_out)


def _against(record: Record, sets_out: bool) -> Any:
    """Return why nobody may work on a record (or set out for it) yet, or None; kept until its next fact."""
    standing = standing_of(record)
    kept = session().info[KEPT]
    key = (record.id, record.fact_seq, sets_out)
    if key not in kept:
        kept[key] = _worked_out(record, standing, sets_out)
    return kept[key]


def _worked_out(record: Record, standing: Standing, sets_out: bool) -> Any:
    if standing.quote is None and (not standing.is_decided or standing.is_free or _charges_nothing(record.unit_id)):
        return None
    if standing.quote is not None and standing.may_work:
        return None
    if _owes_nothing(record, sets_out, quoted=standing.quote is not None) or is_borne_by_others(record):
        return None
    return _UNQUOTED if standing.quote is None else _AGAINST.get(standing.quote.state, _UNQUOTED)


def _charges_nothing(unit_id: int) -> bool:
    policy = setting(unit_id, POLICY)
    return bool(policy == values.FREE or (policy == values.AUTO and holds(unit_id, ALL_FREE)))


def _owes_nothing(record: Record, sets_out: bool, *, quoted: bool) -> bool:
    """Tell whether the latest that was worked out is a cost of ours of which the customer pays nothing."""
    latest = (
        select(Fact.kind, Fact.data)
        .where(Fact.record_id == record.id, Fact.kind.in_((_DECIDED, _QUOTED, _BOOKED)))
        .order_by(Fact.seq.desc())
    )
    found = session().execute(latest.limit(1)).first()
    if found is None or found.kind != _BOOKED or found.data.get("owed") != "0.00":
        return False
    if found.data.get("means") == values.REMOTE:
        return not sets_out
    return not (quoted and plans.basis_of(record, clock.now()).is_paid)


def _refused_first(step: Step, _values: Any) -> Any:
    """Whether to serve without payment is asked about only where the customer won't pay (R17-7.2.4b)."""
    quote = standing_of(step.record).quote
    return (
        None if quote is not None and quote.state == values.REFUSED else _l("The customer has not refused the fees")
    )


_PLACE = _l("Quotes and consent")

RULES: list[Rule] = [
    *(
        GateRule(clause=clause, step=f"case.{step}", check=_gate(step in SETTING_OUT), code="consent", inside=True)
        for clause in CONSENT_CLAUSES
        for step in (*WORK, *SETTING_OUT)
    ),
    *(GateRule(clause=one, step="case.warranty:ask_waiver", check=_refused_first) for one in WAIVER_CLAUSES),
    *(
        ServiceRule(
            clause=one,
            does="approval",
            place="warranty.quotes",
            words=(_PLACE, _l("Ask for a waiver of the fees")),
        )
        for one in WAIVER_CLAUSES
    ),
    ServiceRule(
        clause=COMPENSATION_CLAUSE,
        does="fee",
        place="warranty.quotes",
        words=(_PLACE, _l("Ask for compensation of a faulty repair")),
    ),
]
