"""What stands behind a line of a statement: request, decision, notice, contract, old parts."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from core.sdk import Record, label_of, session
from plugins.warranty import services as warranty

from . import billing, notices, old_parts, requests, values
from .models import Contract, StatementLine


class Proof(NamedTuple):
    """One thing that shows why a line is owed; ``at`` is a moment, '' where none is told."""

    label: Any
    text: str
    clause: str = ""
    at: Any = ""


def proofs_of(line: StatementLine) -> list[Proof]:
    """Return what shows why a line is owed, in the order in which it happened. A fixed number of statements."""
    record = session().get_one(Record, line.record_id)
    return [*_request(record), *_decision(record), *_notice(record), *_contract(record), *_old_parts(record)]


def _request(record: Record) -> list[Proof]:
    found = requests.request_of(record)
    if found is None:
        return []
    state = str(label_of(requests.STATES, requests.state_of(found)))
    return [Proof(_l("Request of a partner"), f"{found.number} {state}".strip(), found.clause, found.entered_at)]


def _decision(record: Record) -> list[Proof]:
    found = warranty.standing_of(record).coverage
    if found is None:
        return []
    result = str(label_of(warranty.RESULTS, found.result))
    return [Proof(_l("Coverage decision"), result, found.clause, found.decided_at)]


def _notice(record: Record) -> list[Proof]:
    found = notices.notice_of(record)
    if found is None:
        return []
    means = str(label_of(values.NOTICE_MEANS, found.means))
    return [Proof(_l("Notice to an agent"), f"{means} {found.evidence}".strip(), "", found.told_at)]


def _contract(record: Record) -> list[Proof]:
    bill = billing.bill_of(record)
    contract = session().get(Contract, bill.contract_id) if bill is not None and bill.contract_id else None
    if contract is None:
        return []
    return [Proof(_l("Agent contract"), f"{contract.record.number} {contract.name}")]


def _old_parts(record: Record) -> list[Proof]:
    return [
        Proof(_l("Old part"), f"{one.part} {one.serial} {label_of(values.OLD_PART_STATES, one.state)}")
        for one in old_parts.of_records([record.id]).get(record.id, ())
    ]
