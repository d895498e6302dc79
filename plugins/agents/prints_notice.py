"""The notice to an agent on paper (服务通知)."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    PrintForm,
    Record,
    Refusal,
    Refused,
    current_locale,
    detail_of,
    effective,
    label_of,
    local_day,
)

from . import bearing, notices, sellers, values
from .models import Agent
from .rights import HANDLE


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(
            code=notices.FORM,
            title=_l("Notice of service"),
            subject="case",
            template="agents/notice.typ",
            data=notice_paper,
            permission=HANDLE,
            seal="business",
        )
    ]


def notice_paper(record: Record) -> dict[str, Any]:
    """Return what the notice says: to whom, which item, what is wrong, what we are about to do, by which clause.

    It goes to another company: nothing of the customer but what the fault is and where.

    Raises:
        Refused: nobody knows who sold the item.
    """
    agent = bearing.agent_of(record)
    if agent is None:
        raise Refused([Refusal("agent_unknown", notices.UNKNOWN)])
    case, item = detail_of(record), bearing.item_of(record)
    bearer = bearing.bearer_of(record)
    clause = bearer.notice_clause if bearer is not None else ""
    sold = sellers.seller_of(item.id) if item is not None else None
    return {
        "agent": agent.name,
        "kind": str(label_of(values.KINDS, agent.kind)),
        "case": record.number,
        "received": local_day(record.unit_id, record.received_at).isoformat(),
        "product": f"{item.model.code} {item.model.name}" if item is not None else case.product_text,
        "serial": item.serial if item is not None else case.serial_text,
        "sold": _sold(sold, agent),
        "fault": case.description,
        "plan": case.plan or _("Repair of the fault, on the spot where needed"),
        "assignee": record.assignee.name if record.assignee else "",
        "in_warranty": bool(clause),
        "clause": clause,
        "clause_title": _title(record.unit_id, clause),
        "fee_clause": bearer.clause if bearer is not None else "",
        "by_contract": bearer.terms.contract_number if bearer is not None else "",
    }


def _sold(sold: Any, agent: Agent) -> str:
    """The sales record as it is known of this agent."""
    if sold is None or sold.agent_id != agent.id:
        return ""
    return " ".join(part for part in (sold.sold_on.isoformat() if sold.sold_on else "", sold.document) if part)


def _title(unit_id: int, clause: str) -> str:
    """Name a clause in the language of the print."""
    if not clause:
        return ""
    title = effective(unit_id, clause).clause.title
    return title.get(current_locale()) or title["zh"]
