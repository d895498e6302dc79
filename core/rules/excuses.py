"""Excusing a lateness: asked for with a reason, agreed by a position, kept as a fact; apart from "met"."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.access import may, require
from core.kernel.database import fetch, session, transaction
from core.kernel.errors import InvalidData, Refusal, Refused
from core.kernel.fields import Field
from core.kernel.ids import read_id
from core.records.engine import append_fact, flow_of, lock, tell_of_fact
from core.records.models import Attachment, Fact, Record
from core.units.settings import SettingSpec, declare, setting
from core.users import positions

from . import approvals
from .approval_models import AGREED, Approval
from .effective import effective
from .fold import EXCUSE, LIFT
from .obligation_models import LATE, OPEN, PAUSED, Obligation
from .rulebook import current_rulebook

SUBJECT = "excuse"
PERMISSION = "rules.excuse"
PARAMETER = "excuse_position"

declare(
    (
        SettingSpec(
            Field(
                "rules.excuse_position",
                "choice",
                _l("Who agrees to excusing a lateness"),
                choices=positions.choices,
                default="service_leader",
            ),
            _l("Approvals"),
        ),
    )
)


def ask_excuse(obligation_id: object, reason: str, evidence_id: object = None, *, key: str = "") -> Approval:
    """Ask that the lateness of an obligation be excused; the clause or the unit says which position decides.

    ``evidence_id`` is a file of the record.

    Raises:
        NotFound: unknown, or of another unit.
        NotAllowed: the actor may not ask for it.
        InvalidData: no reason, or a file of another record.
        Refused: there is nothing to excuse.
    """
    with transaction():
        obligation = fetch(Obligation, obligation_id)
        require(PERMISSION, obligation.unit_id)
        if not excusable(obligation):
            raise Refused([Refusal("excuse", _l("There is no lateness to excuse here"), obligation.clause)])
        if not reason.strip():
            raise InvalidData({"reason": _l("Please say why")})
        due = obligation.due_at.isoformat() if obligation.due_at else None
        data: dict[str, Any] = {"due": due, "root": obligation.root_fact_id}
        file = _evidence(obligation.record_id, evidence_id)
        if file is not None:
            data["evidence"] = {"id": file.id, "name": file.name}
        record = session().scalars(select(Record).where(Record.id == obligation.record_id)).one()
        return approvals.ask(
            obligation.unit_id,
            clause=obligation.clause,
            # By its key, not its id: rows of obligations come and go with the facts.
            subject=f"{SUBJECT}:{obligation.root_fact_id}:{obligation.clause}",
            title={
                "zh": f"{record.number} 申请豁免：{obligation.clause}",
                "en": f"{record.number}: excuse the lateness under {obligation.clause}",
            },
            position=approver(obligation),
            reason=reason,
            record=record,
            data=data,
            key=key,
        )


def excusable(obligation: Obligation) -> bool:
    """Tell whether an obligation is late, or overdue by now."""
    if obligation.state == LATE:
        return True
    overdue = obligation.due_at is not None and obligation.due_at < clock.now()
    return obligation.state in (OPEN, PAUSED) and overdue


def approver(obligation: Obligation) -> str:
    """Return the position that decides: the clause's parameter, else the unit's setting."""
    clause = current_rulebook().clauses.get(obligation.clause)
    if clause is not None and PARAMETER in {one.name for one in clause.parameters}:
        return str(effective(obligation.unit_id, clause, obligation.start_at).values[PARAMETER])
    return str(setting(obligation.unit_id, "rules.excuse_position"))


def _evidence(record_id: int, evidence_id: object) -> Attachment | None:
    if evidence_id in (None, ""):
        return None
    key = read_id(evidence_id)
    own = select(Attachment).where(Attachment.id == key, Attachment.record_id == record_id)
    found = session().scalars(own).first() if key is not None else None
    if found is None:
        raise InvalidData({"evidence": _l("This is not a file of this record")})
    return found


def lift(obligation_id: object, reason: str) -> Fact:
    """Take an excuse back: the obligation is judged by its facts again.

    Raises:
        NotFound, NotAllowed: as ``ask_excuse``.
        InvalidData: no reason.
        Refused: nothing is excused here.
    """
    with transaction():
        obligation = fetch(Obligation, obligation_id)
        require(PERMISSION, obligation.unit_id)
        if obligation.excuse_fact_id is None:
            raise Refused([Refusal("excuse", _l("Nothing is excused here"), obligation.clause)])
        if not reason.strip():
            raise InvalidData({"reason": _l("Please say why")})
        return _append(obligation, LIFT, {}, reason)


def _decided(approval: Approval) -> None:
    """An agreed excuse becomes a fact; a rejected one changes nothing."""
    if approval.state != AGREED:
        return
    key = (
        Obligation.record_id == approval.record_id,
        Obligation.clause == approval.clause,
        Obligation.root_fact_id == approval.data["root"],
    )
    obligation = session().scalars(select(Obligation).where(*key)).first()
    if obligation is None:
        # Facts entered later may have taken the obligation away since it was asked for.
        raise Refused([Refusal("excuse", _l("The lateness to be excused is no longer there"), approval.clause)])
    _append(obligation, EXCUSE, {"approval": approval.id}, approval.reason)


def _append(obligation: Obligation, kind: str, data: dict[str, Any], note: str) -> Fact:
    record = lock(obligation.record_id)
    about = {"clause": obligation.clause, "root": obligation.root_fact_id, **data}
    fact = append_fact(
        record, flow_of(record).fact_kinds[kind], at=clock.now(), data=about, note=note.strip()[:500]
    )
    session().flush()
    tell_of_fact(record, fact)
    return fact


def attach() -> None:
    """Let decided excuses be carried out."""
    approvals.handlers[SUBJECT] = _decided


def may_ask(unit_id: int) -> bool:
    """Tell whether the actor may ask for excuses in a unit, and take them back."""
    return may(PERMISSION, unit_id)


def require_ask(unit_id: int) -> None:
    """Pass if the actor may ask for excuses in a unit.

    Raises:
        NotAllowed: they may not.
    """
    require(PERMISSION, unit_id)
