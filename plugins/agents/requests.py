"""Written requests of a partner and who agrees to them (R13-5.2.2.1, R19-5.2.2.1).

What a partner sold itself is served out of warranty only once the partner asked for it in writing and the position
of the clause agreed. Which class that is, the clause of the group says (R13-5.2.2, R19-5.2.2). A call is kept, but
nobody is asked because of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import event, select
from sqlalchemy.orm import Session, joinedload

from core.sdk import (
    Attachment,
    Choices,
    FactKind,
    InvalidData,
    Record,
    Refusal,
    Refused,
    Step,
    append_fact,
    approvals,
    clock,
    current_scope,
    effective,
    holds,
    local_day,
    lock,
    session,
    tell_of_fact,
)
from plugins.warranty import services as warranty

from . import bearing, file, values
from .models import Agent, Request

# What asks for the request, and the clause that says which class it is about.
CLAUSES: Mapping[str, str] = {"R19-5.2.2.1": "R19-5.2.2", "R13-5.2.2.1": "R13-5.2.2"}
KEPT, SUBJECT = "agents_requests", "agents.request"
PAPER = "document"  # kind of the attachment that a print of ours is
EARLIEST = date(2000, 1, 1)  # a letter dated before is a slip of the pen
SPOKEN, WAITING, AGREED, REJECTED, WITHDRAWN = "spoken", "waiting", "agreed", "rejected", "withdrawn"
STATES: Choices = (
    (SPOKEN, _l("By telephone only")),
    (WAITING, _l("Waiting for the decision")),
    (AGREED, _l("Agreed to")),
    (REJECTED, _l("Rejected")),
    (WITHDRAWN, _l("Taken back")),
)
_AGAINST = {
    "": _l("The partner asks for this service in writing first"),
    SPOKEN: _l("A telephone call is not enough; the partner asks in writing"),
    WAITING: _l("The request of the partner is not decided yet"),
    REJECTED: _l("The request of the partner was rejected; a new letter may be put forward"),
    WITHDRAWN: _l("The request of the partner was taken back before it was decided"),
}
_IS_DECIDED = {
    approvals.AGREED: AGREED,
    approvals.REJECTED: REJECTED,
    approvals.WITHDRAWN: WITHDRAWN,
}


# --- reading -------------------------------------------------------------------------------------


def request_of(record: Record) -> Request | None:
    """Return the current request of a case."""
    current = select(Request).where(Request.record_id == record.id, Request.current)
    return session().scalars(current.options(joinedload(Request.agent))).first()


def state_of(request: Request) -> str:
    """Return where a request stands (``STATES``)."""
    if request.agreed_at is not None:
        return AGREED
    if request.approval_id is None:
        return SPOKEN
    return _IS_DECIDED.get(session().get_one(approvals.Approval, request.approval_id).state, WAITING)


def clause_for(record: Record, at: datetime | None = None) -> str:
    """Return the clause that wants a partner's request for what a case is about, '' for none."""
    if record.type != "case":
        return ""
    return next((one for one in CLAUSES if _is_about(record, one, at)), "")


def _is_about(record: Record, clause: str, at: datetime | None) -> bool:
    """Tell whether a case is of the class that a clause wants requests for."""
    number = class_under(record.unit_id, clause, at)
    return bool(number) and number == _kept(record, "class", lambda: warranty.product_class_of(record))


def class_under(unit_id: int, clause: str, at: datetime | None = None) -> str:
    """Return the class number that a clause wants requests for in a unit, '' where it wants none."""
    group = CLAUSES[clause]
    if not (holds(unit_id, clause, at) and holds(unit_id, group, at)):
        return ""
    return str(effective(unit_id, group, at).values["class"])


def not_wanted(record: Record, at: datetime | None = None) -> Any:
    """Return why no partner has to ask for the service of a case, or None where one has to."""
    if not clause_for(record, at):
        return _l("Only for products that a partner sold itself; this case is of another class")
    if warranty.standing_of(record).is_free:
        return _l("In warranty the partner need not ask for the service")
    return None


def against(record: Record, clause: str, at: datetime | None = None) -> Any:
    """Return why a case may not be served under a clause yet, or None.

    Before the coverage is decided the clauses about that speak; in warranty the contract does (R19-5.1.3).
    """
    standing = warranty.standing_of(record)
    if not standing.is_decided or standing.is_free:
        return None
    if not _is_about(record, clause, at):
        return None
    return _AGAINST.get(_kept(record, "state", lambda: _state_now(record)))


def _state_now(record: Record) -> str:
    request = request_of(record)
    return state_of(request) if request is not None else ""


def _kept(record: Record, name: str, work_out: Callable[[], str]) -> str:
    """Gates of many steps ask the same: the answer is kept in the session until the record changes."""
    kept = session().info.setdefault(KEPT, {})
    key = (record.id, record.version, record.fact_seq, name)
    if key not in kept:
        kept[key] = work_out()
    return str(kept[key])


@event.listens_for(Session, "after_soft_rollback")
def _forget_all(work: Session, _before: object) -> None:
    """What was undone never was: the record's next fact gets the same number again."""
    work.info.pop(KEPT, None)


# --- entering ------------------------------------------------------------------------------------


def request_step(step: Step) -> None:
    """Keep a partner's request; one in writing is put before the position of the clause, one by phone is not.

    Raises:
        Refused: nobody has to ask for this case; a letter waits, is agreed to, or is the one that was rejected.
        InvalidData: no such partner, nothing in writing is there, an impossible date.
    """
    record, given = step.record, step.values
    reason, clause = not_wanted(record, step.at), clause_for(record, step.at)
    if reason:
        raise Refused([Refusal("no_request", reason, clause)])
    partner = _partner(record, given.get("agent"))
    before = request_of(record)
    _require_open(before, given, clause)
    if given["form"] == values.WRITTEN:
        _require_letter(record, given, clause)
    request = Request(
        unit_id=record.unit_id,
        record_id=record.id,
        agent_id=partner.id,
        form=given["form"],
        number=given.get("number") or "",
        dated_on=given.get("dated_on"),
        note=given.get("note") or "",
        clause=clause,
        entered_at=step.at,
        entered_by=current_scope().actor_id,
    )
    _replace(before)
    session().add(request)
    session().flush()
    given["agent"] = partner.name
    if request.form == values.WRITTEN:
        _ask(record, request, partner, step.at)


def _partner(record: Record, text: object) -> Agent:
    if not text:
        found = bearing.agent_of(record)
        if found is not None and found.kind == values.PARTNER and found.active:
            return found
        raise InvalidData({"agent": _l("Say which partner asks")})
    found = file.find_agent(record.unit_id, text)
    if found is None or found.kind != values.PARTNER:
        raise InvalidData({"agent": _l("There is no partner of this number or name on file")})
    if not found.active:
        raise InvalidData({"agent": _l("This partner is out of use")})
    return found


def _require_open(before: Request | None, given: Mapping[str, Any], clause: str) -> None:
    """What was asked for in writing is not asked again, and no call takes the place of a letter that waits."""
    state = state_of(before) if before is not None else ""
    if state == AGREED:
        raise Refused([Refusal("agreed", _l("The request of the partner is agreed to already"), clause)])
    if before is None or state != WAITING:
        return
    if given["form"] == values.SPOKEN or (given.get("number") or "") == before.number:
        raise Refused([Refusal("asked", _l("This has been asked for already"), clause)])


def _require_letter(record: Record, given: Mapping[str, Any], clause: str) -> None:
    """In writing: a letter has a number or lies on the case; one that was rejected proves nothing more."""
    dated, number = given.get("dated_on"), given.get("number") or ""
    if dated is not None and dated > local_day(record.unit_id):
        raise InvalidData({"dated_on": _l("This date lies in the future")})
    if dated is not None and dated < EARLIEST:
        raise InvalidData({"dated_on": _l("This date is too long ago")})
    rejected = _rejected(record)
    if number and number in {one.number for one in rejected}:
        raise Refused([Refusal("rejected", _l("This letter was rejected; the partner writes a new one"), clause)])
    since = max((one.entered_at for one in rejected), default=None)
    if not number and not _has_file(record, since):
        raise InvalidData({"number": _l("Enter the number of the letter, or put the letter on the case first")})


def _rejected(record: Record) -> Sequence[Request]:
    found = select(Request).join(approvals.Approval, approvals.Approval.id == Request.approval_id)
    mine = Request.record_id == record.id, approvals.Approval.state == approvals.REJECTED
    return session().scalars(found.where(*mine)).all()


def _has_file(record: Record, since: datetime | None) -> bool:
    held = select(Attachment.id).where(Attachment.record_id == record.id, Attachment.kind != PAPER)
    if since is not None:
        held = held.where(Attachment.at > since)
    return session().scalars(held.limit(1)).first() is not None


def _replace(before: Request | None) -> None:
    if before is None:
        return
    before.current = False
    if before.approval_id is not None:
        approvals.lapse(before.approval_id, str(_l("A further request of the partner came in")))
    session().flush()


def _ask(record: Record, request: Request, partner: Agent, at: datetime) -> None:
    position = str(effective(record.unit_id, request.clause, at).values["position"])
    if not position:
        text = _l("The clause does not say which position decides")
        raise Refused([Refusal("no_position", text, request.clause)])
    letter = " ".join(one for one in (request.number, str(request.dated_on or "")) if one)
    approval = approvals.ask(
        record.unit_id,
        clause=request.clause,
        subject=f"{SUBJECT}:{request.id}",
        title={"zh": f"合作厂服务请求：{record.number}", "en": f"Partner's request for service: {record.number}"},
        position=position,
        reason=request.note,
        record=record,
        data={
            "facts": [
                {"label": {"zh": "合作厂", "en": "Partner"}, "value": partner.name},
                *([{"label": {"zh": "来函", "en": "Letter"}, "value": letter}] if letter else []),
            ]
        },
    )
    request.approval_id = approval.id
    session().flush()


# --- deciding ------------------------------------------------------------------------------------


def request_decided(approval: approvals.Approval) -> None:
    """Agreed: the case may be served from now on. Rejected: it is told on the case (a handler of approvals)."""
    if approval.record_id is None or approval.state not in (approvals.AGREED, approvals.REJECTED):
        return
    record = lock(approval.record_id)
    request = request_of(record)
    if request is None or request.approval_id != approval.id:
        return
    agreed = approval.state == approvals.AGREED
    if agreed:
        request.agreed_at = approval.decided_at
    _enter(record, "request_agreed" if agreed else "request_rejected", approval.id)


approvals.handlers[SUBJECT] = request_decided


def _enter(record: Record, kind: str, approval_id: int) -> None:
    """Write a fact that no step brings."""
    fact = append_fact(record, _kind(kind), at=clock.now(), data={"approval": approval_id})
    session().flush()
    tell_of_fact(record, fact)


def _kind(code: str) -> FactKind:
    from .workflow import FACT_KINDS  # it names the step above

    return next(one for one in FACT_KINDS if one.code == code)
