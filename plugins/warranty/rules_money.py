"""The clauses about collecting, invoicing and handing in."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import DeadlineRule, GateRule, Rule, ServiceRule, Step

from . import invoices, ledger, receipts


def _invoiced(step: Step, _values: Any) -> Any:
    """R15-11b: what the customer paid for is archived with an invoice, or with the mark that none is wanted."""
    rows = ledger.of_record(step.record.id)
    payable = sum((one.payable for one in rows if one.charge.state in ledger.PAYABLE), ledger.ZERO)
    if payable <= 0 or invoices.is_settled(step.record.id):
        return None
    return _l("No invoice was asked for, and nobody noted that the customer wants none")


def _handed_in(step: Step, _values: Any) -> Any:
    """R29-2.2a: money collected is with finance before the case is archived."""
    if not receipts.unsettled_of(step.record.id):
        return None
    return _l("Money collected on this case has not been handed in")


def _hand_in(clause: str) -> DeadlineRule:
    return DeadlineRule(
        clause=clause,
        record_type=receipts.CODE,
        start=("registered",),
        meet=("handed_in",),
        stop=("voided",),
        restart=("sent_back",),
        pause=(),
        resume=(),
    )


RULES: list[Rule] = [
    ServiceRule(
        clause="R15-11b",
        does="fee",
        place="warranty.receipts",
        words=(_l("Warranty and fees"), _l("Receipts")),
    ),
    GateRule(clause="R15-11b", step="case.close", check=_invoiced, code="no_invoice"),
    _hand_in("R15-11c"),
    _hand_in("R29-2.2a"),
    GateRule(clause="R29-2.2a", step="case.close", check=_handed_in, code="money_in_hand"),
]
