"""Warranty applications: which papers were shown, and the look at the goods before repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    InvalidData,
    Record,
    Step,
    append_fact,
    approvals,
    clock,
    current_scope,
    effective,
    label_of,
    lock,
    session,
    tell_of_fact,
)

from . import values
from .models import Claim
from .standing import forget

SUBJECT = "warranty.papers"
TITLE = {"zh": "凭证遗失仍按保修受理", "en": "Warranty without the lost papers"}
# Which papers the clauses ask for; R07-4.2 asks the applicant for those that R07-3.2 names.
WARRANTY, APPLICANT = "R07-3.2", "R07-4.2"
SUBSTITUTES = (values.SERIAL, values.INVOICE, values.SALES_RECORD)
COMPLETE = "papers_complete"


def wanted_papers(unit_id: int, at: Any = None) -> tuple[str, ...]:
    """Return the papers a warranty application needs in a unit (R07-3.2, R07-4.2)."""
    said = effective(unit_id, WARRANTY, at)
    if not (said.holds or effective(unit_id, APPLICANT, at).holds):
        return ()
    return tuple(one for one in (values.PROOF, values.CARD) if said.values[one])


def asks_for_papers(record: Record) -> bool:
    """Tell whether the unit wants proof or card (R07-3.2)."""
    return bool(wanted_papers(record.unit_id))


def claim_of(record: Record) -> Claim | None:
    """Return the application of a record, None where there is none."""
    return session().get(Claim, record.id)


def missing_papers(record: Record, claim: Claim | None, at: Any = None) -> tuple[str, ...]:
    """Return the papers still to be shown; none once the application is complete."""
    if claim is not None and claim.complete_at is not None:
        return ()
    shown = claim.papers if claim is not None else []
    return tuple(one for one in wanted_papers(record.unit_id, at) if one not in shown)


def names_of(papers: Sequence[str]) -> str:
    """Return papers by name, for a message."""
    return "、".join(str(label_of(values.PAPERS, one)) for one in papers)


def file_step(step: Step) -> None:
    """Keep the papers shown so far; when they are complete the review clock begins (R07-3.5).

    Raises:
        InvalidData: papers are said to be lost without a reason, or without anything that stands in for them.
    """
    shown = list(step.values.get("papers") or ())
    claim = claim_of(step.record) or _new(step)
    claim.papers = [code for code, _ in values.PAPERS if code in {*claim.papers, *shown}]
    missing = missing_papers(step.record, claim, step.at)
    if claim.complete_at is not None:
        return
    if not missing:
        _withdraw(claim)
        claim.complete_at = step.at
        step.add_fact(COMPLETE, data={"papers": list(claim.papers)})
    elif step.values.get("lost"):
        _ask(step, claim, missing)
    session().flush()


def _new(step: Step) -> Claim:
    made = Claim(record_id=step.record.id, unit_id=step.record.unit_id, papers=[], filed_at=step.at, inspection={})
    session().add(made)
    return made


def _withdraw(claim: Claim) -> None:
    """What was lost has turned up: nobody needs to decide on it any more."""
    if claim.approval_id:
        approvals.lapse(claim.approval_id, str(_l("The papers were shown")))


def _ask(step: Step, claim: Claim, missing: Sequence[str]) -> None:
    """Ask the position of R07-3.2 to accept other evidence in place of lost papers."""
    reason = (step.values.get("reason") or "").strip()
    if not reason:
        raise InvalidData({"reason": _l("Say how the papers were lost")})
    instead = [one for one in SUBSTITUTES if one in claim.papers]
    if not instead:
        text = _l("Lost papers need other evidence: %(papers)s", papers=names_of(SUBSTITUTES))
        raise InvalidData({"papers": text})
    claim.lost, claim.lost_reason = True, reason
    record, said = step.record, effective(step.record.unit_id, WARRANTY, step.at)
    facts = (({"zh": "缺少", "en": "Missing"}, missing), ({"zh": "其他依据", "en": "Other evidence"}, instead))
    approval = approvals.ask(
        record.unit_id,
        clause=WARRANTY if said.holds else APPLICANT,
        subject=f"{SUBJECT}:{record.id}",
        title=TITLE,
        position=said.values["lost_position"],
        reason=reason,
        record=record,
        data={"facts": [{"label": label, "value": names_of(papers)} for label, papers in facts]},
    )
    claim.approval_id = approval.id


def cancelled(record: Record) -> None:
    """The case is no more: nobody needs to decide on its lost papers."""
    claim = claim_of(record)
    if claim is not None and claim.approval_id:
        approvals.lapse(claim.approval_id, str(_l("The case was cancelled")))


def lost_papers_decided(approval: Any) -> None:
    """Carry out what was decided on lost papers: agreed, the application is complete from now on."""
    if approval.state != "agreed":
        return
    record = lock(approval.record_id)
    claim = claim_of(record)
    if claim is None or claim.complete_at is not None or record.category in ("closed", "cancelled"):
        return
    claim.complete_at = clock.now()
    forget(record)
    fact = append_fact(record, kind_of(COMPLETE), at=claim.complete_at, data={"papers": list(claim.papers)})
    session().flush()
    tell_of_fact(record, fact)


def kind_of(code: str) -> Any:
    """Return a kind of fact of this plugin, for services that write one by themselves."""
    from .workflow import FACT_KINDS  # the workflow names the steps of this module

    return next(one for one in FACT_KINDS if one.code == code)


approvals.handlers[SUBJECT] = lost_papers_decided


# --- the look before the repair ------------------------------------------------------------------


def inspect_step(step: Step) -> None:
    """Keep what was found before the repair (R25-3.2.16).

    Raises:
        InvalidData: something does not fit, and the customer was not told.
    """
    given = step.values
    found = {name: bool(given.get(name)) for name in ("parts_complete", "human_damage", "told")}
    mismatch = found["human_damage"] or not found["parts_complete"]
    if mismatch and not found["told"]:
        raise InvalidData({"told": _l("What does not fit is told to the customer before the repair")})
    if mismatch and not given.get("finding"):
        raise InvalidData({"finding": _l("Say what was found")})
    claim = claim_of(step.record) or _new(step)
    claim.inspected_at = step.at
    claim.inspection = {**found, "finding": given.get("finding") or "", "by": current_scope().actor_id}
    session().flush()
