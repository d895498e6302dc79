"""Disposal (报废处置): retired tools leave the books agreed to and with a proof of where they went (R33-8.2).

Asked for with how it is done and who buys; the clause's position agrees; the keeper hands it to the scrap heap with
the proof. Sold to somebody who works here it is only where that was agreed to by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Attachment,
    Fact,
    Field,
    Record,
    Refusal,
    Refused,
    accounts,
    approvals,
    charges,
    clean,
    effective,
    fetch,
    holds,
    label_of,
    lock,
    normalise,
    penalties,
    require,
    require_clause,
    session,
    transaction,
)

from . import custody, handovers, parties, values
from .models import Tool
from .plan import Plan
from .rights import KEEP

CLAUSE, STEP, SUBJECT = "R33-8.2", "tools.disposal", "tools.disposal"
RECYCLED, SOLD, DESTROYED = "recycled", "sold", "destroyed"
WAYS = (
    (RECYCLED, _l("Handed to a recycler")),
    (SOLD, _l("Sold by the rules")),
    (DESTROYED, _l("Destroyed")),
)
HOW = Field("how", "choice", _l("How it is disposed of"), True, WAYS)
BUYER = Field(
    "buyer",
    "text",
    _l("Recycler or buyer"),
    lambda raw: raw.get("how") != DESTROYED,
    max_length=120,
)
ASK_FIELDS = (HOW, BUYER, Field("reason", "long", _l("Reason"), True, max_length=500))
PROOF = Field(
    "proof",
    "text",
    _l("Number of the proof"),
    max_length=60,
    help=_l("Receipt of the recycler, invoice, protocol; its scan may lie on the tool's page instead"),
)
FIELDS = (HOW, BUYER, PROOF)


@dataclass(frozen=True)
class Disposing:
    """A disposal as the gate of ``STEP`` sees it: ``agreed`` is what was agreed to, None where nobody did."""

    tool: Tool
    how: str
    buyer: str
    proof: str
    agreed: Mapping[str, Any] | None


# --- the clause ----------------------------------------------------------------------------------


def against(asked: Disposing, _values: Any = None) -> Any:
    """Return why a tool is not disposed of so (R33-8.2): nobody agreed, to this way and buyer, or no proof."""
    if asked.agreed is None:
        return _l("The disposal of %(tool)s has not been agreed to", tool=asked.tool.code)
    if (asked.how, _tidy(asked.buyer)) != (asked.agreed.get("how"), _tidy(str(asked.agreed.get("buyer") or ""))):
        return _l("Agreed to was another way or another buyer; ask anew")
    if not asked.proof:
        return _l("Disposal needs its proof: the number, or a scan on the tool's page")
    return None


def in_plan(plan: Plan, _values: Any = None) -> Any:
    """Return why a hand-over for disposal is refused (R33-8.2): a tool of it whose disposal nobody agreed to."""
    if plan.kind != values.DISPOSE:
        return None
    missing = [one.code for one in plan.tools if agreed_for(plan.unit_id, one.id) is None]
    if not missing:
        return None
    return _l("Private disposal is forbidden; not agreed to: %(tools)s", tools="、".join(missing))


def agreed_for(unit_id: int, tool_id: int) -> approvals.Approval | None:
    """Return the agreement to a tool's disposal that was not used yet, or None."""
    return approvals.agreed(unit_id, f"{SUBJECT}:{tool_id}")


def _tidy(text: str) -> str:
    return "".join(normalise(text).split()).casefold()


def works_here(unit_id: int, name: str) -> bool:
    """Tell whether a buyer is called like somebody who works in the unit."""
    wanted = _tidy(name)
    return bool(wanted) and any(_tidy(one.name) == wanted for one in accounts.staff_of(unit_id))


# --- asking and doing ----------------------------------------------------------------------------


def ask(tool_id: object, raw: Mapping[str, Any], *, key: str = "") -> approvals.Approval:
    """Ask the clause's position to agree to a retired tool's disposal (``KEEP``): ``ASK_FIELDS``.

    A buyer who works here is pointed out to who decides.

    Raises:
        NotAllowed, NotFound. InvalidData: beside the field. Refused: the tool is not retired.
    """
    with transaction():
        record, tool = _retired(tool_id)
        given = clean(ASK_FIELDS, raw)
        found = effective(record.unit_id, CLAUSE)
        inside = works_here(record.unit_id, given["buyer"] or "")
        facts = [{"label": {"zh": "处置方式", "en": "Way"}, "value": _words(given["how"])}]
        if given["buyer"]:
            facts.append({"label": {"zh": "回收商或买方", "en": "Recycler or buyer"}, "value": given["buyer"]})
        if inside:
            text = {"zh": "买方与本单位人员同名，请核实", "en": "Called like somebody who works here"}
            facts.append({"label": {"zh": "注意", "en": "Note"}, "value": text})
        return approvals.ask(
            record.unit_id,
            clause=CLAUSE,
            subject=f"{SUBJECT}:{tool.id}",
            title={"zh": f"工具处置：{tool.code} {tool.name}", "en": f"Disposal: {tool.code} {tool.name}"},
            position=penalties.decided_by_position(record.unit_id, found.clause, found.values),
            reason=given["reason"],
            record=record,
            data={"how": given["how"], "buyer": given["buyer"] or "", "inside": inside, "facts": facts},
            key=key,
        )


def _words(how: str) -> dict[str, str]:
    return charges.both_languages(label_of(WAYS, how))


def dispose(tool_id: object, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Hand a retired tool to the scrap heap with its proof (``KEEP``): ``FIELDS``; return the hand-over.

    Empty ``how`` and ``buyer`` are taken from what was agreed to.

    Raises:
        NotAllowed, NotFound. InvalidData: beside the field.
        Refused: not retired, not in a store; R33-8.2: not agreed to, another buyer, no proof.
    """
    with transaction():
        record, tool = _retired(tool_id)
        approval = agreed_for(record.unit_id, tool.id)
        agreed = approval.data if approval is not None else None
        given = clean(FIELDS, {**_agreed_values(agreed), **{name: one for name, one in raw.items() if one}})
        proof = given["proof"] or _scan_of(tool)
        asked = Disposing(tool, given["how"], given["buyer"] or "", proof, agreed)
        require_clause(STEP, record.unit_id, asked, record)
        held = custody.spell(tool.id)
        if held is None or held.party.kind != values.STORE:
            raise Refused([Refusal("not_in_store", _l("%(tool)s is not in a store", tool=tool.code))])
        purpose = " · ".join(one for one in (str(label_of(WAYS, given["how"])), given["buyer"], proof) if one)
        heap = parties.scrap_heap(record.unit_id)
        offered = {"kind": values.DISPOSE, "giver_id": held.party_id, "taker_id": heap.id, "tools": [tool.id]}
        made = handovers.offer(record.unit_id, {**offered, "purpose": purpose[:300]}, key=key)
        if made.state == values.OFFERED:
            handovers.accept(made.id, means=values.ON_PAPER, paper=proof or purpose[:60])
        return made


def _agreed_values(agreed: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if agreed is None else {"how": agreed.get("how"), "buyer": agreed.get("buyer")}


def _retired(tool_id: object) -> tuple[Record, Tool]:
    tool = fetch(Tool, tool_id)
    require(KEEP, tool.unit_id)
    record = lock(tool.id)
    if record.state != values.RETIRED:
        raise Refused([Refusal("not_retired", _l("Only retired tools are disposed of"))])
    return record, tool


def _scan_of(tool: Tool) -> str:
    """Return the name of the latest file put on a tool's page since it was retired, '' without one."""
    retired = select(Fact.entered_at).where(Fact.record_id == tool.id, Fact.kind == "retired")
    since = session().scalar(retired.order_by(Fact.seq.desc()).limit(1))
    wanted = select(Attachment).where(Attachment.record_id == tool.id).order_by(Attachment.id.desc())
    if since is not None:
        wanted = wanted.where(Attachment.at >= since)
    found = session().scalars(wanted.limit(1)).first()
    return found.name[:60] if found is not None else ""


def needs_agreement(unit_id: int) -> bool:
    """Tell whether disposal waits for somebody's agreement in a unit."""
    return holds(unit_id, CLAUSE)


# --- following -----------------------------------------------------------------------------------


def follow(record: Record, transition: str) -> None:
    """An agreement counts for one disposal (a part of the hook ``record_transitioned``)."""
    if record.type != "tools_tool" or transition != "dispose":
        return
    approval = agreed_for(record.unit_id, record.id)
    if approval is not None:
        approvals.use(approval)
