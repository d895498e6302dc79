"""The life of an approval: asked, sent back, asked again, passed on, and once and for all agreed or rejected.

Whoever needs one calls ``ask`` with a subject (``penalty:5``) and puts a function into ``handlers`` under the
subject's kind (``penalty``); it is called with the approval once it is decided, inside the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.exc import StaleDataError

from core.kernel import clock
from core.kernel.access import may, require
from core.kernel.audit import plain
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, Refusal, Refused
from core.kernel.fields import Field
from core.kernel.ids import read_id
from core.records.engine import answered_before, lock, remember_answer
from core.records.models import Notice, Record
from core.records.services import put_notices
from core.units.settings import SettingSpec, declare, setting
from core.users.models import Position, User
from core.users.services import holders

from . import approvers
from .approval_models import (
    AGREED,
    REJECTED,
    RETURNED,
    STATE_WORDS,
    WAITING,
    WITHDRAWN,
    Approval,
    ApprovalStep,
)
from .approvers import ALL, VIEW, Positions, powers_of
from .one_by_one import one_by_one

Handler = Callable[[Approval], None]
# By the kind of subject (what stands before its first colon); called with the decided approval.
handlers: dict[str, Handler] = {}

OPEN_STATES = (WAITING, RETURNED)
DECIDED = (AGREED, REJECTED, WITHDRAWN)
ASKED, PASSED, USED = "asked", "passed", "used"
STEP_WORDS: Mapping[str, Any] = {
    ASKED: _l("Asked"),
    PASSED: _l("Passed on"),
    USED: _l("Used"),
    **{state: STATE_WORDS[state] for state in (RETURNED, AGREED, REJECTED, WITHDRAWN)},
}
LONGEST_REASON = 1000
A_DAY = timedelta(days=1)
_ABOUT_SELF = _l("Nobody decides on a proposal about themselves")

declare(
    (
        SettingSpec(
            Field(
                "approvals.remind_hours",
                "int",
                _l("Hours after which an approval is reminded of"),
                minimum=Decimal(1),
                maximum=Decimal(720),
                default=24,
            ),
            _l("Approvals"),
        ),
    )
)


# --- asking ----------------------------------------------------------------------------------------


def ask(
    unit_id: int,
    *,
    clause: str,
    subject: str,
    title: str | Mapping[str, str],
    position: str,
    reason: str = "",
    amount: Decimal | None = None,
    record: Record | None = None,
    data: Mapping[str, Any] | None = None,
    due_at: datetime | None = None,
    key: str = "",
    in_own_name: bool = True,
) -> Approval:
    """Ask a position for its agreement in the actor's name (or in nobody's), and tell its holders.

    Where the same subject is still open, that approval is returned and nothing is asked. ``title`` may be words in
    both languages (``{"zh", "en"}``). ``data`` is what the inbox shows; its ``least`` and ``most`` let the decider
    choose the amount between them; whom it is ``about`` never decides, nor chooses who does. ``key`` makes a retry
    harmless even after the decision. Who may ask is the business of the calling service.

    Raises:
        InvalidData: the clause names no position.
    """
    if not position:
        raise InvalidData({"position": _l("The clause does not say which position decides")})
    raw = {"subject": subject, "clause": clause, "reason": reason, "amount": amount}
    with transaction():
        before = answered_before(unit_id, key, f"approval.ask:{subject}", raw)
        if before:
            return fetch(Approval, before["approval"])
        approval = _open(unit_id, subject) or _new(
            unit_id,
            clause=clause,
            subject=subject,
            title=_stored_title(title),
            position=position,
            reason=reason.strip()[:LONGEST_REASON],
            amount=amount,
            record_id=record.id if record is not None else None,
            data={**plain(dict(data or {})), **({"title": dict(title)} if isinstance(title, Mapping) else {})},
            due_at=due_at,
            asked_by=current_scope().actor_id if in_own_name else None,
        )
        remember_answer(unit_id, key, {"approval": approval.id})
        return approval


def _stored_title(title: str | Mapping[str, str]) -> str:
    words = title.get("zh", "") if isinstance(title, Mapping) else str(title)
    return words[:200]


def _open(unit_id: int, subject: str) -> Approval | None:
    wanted = Approval.unit_id == unit_id, Approval.subject == subject, Approval.state.in_(OPEN_STATES)
    return session().scalars(select(Approval).where(*wanted)).first()


def _new(unit_id: int, **values: Any) -> Approval:
    work = session()
    approval = Approval(unit_id=unit_id, state=WAITING, asked_at=clock.now(), **values)
    try:
        with work.begin_nested():
            work.add(approval)
            work.flush()
    except IntegrityError:
        # Somebody asked the same at this moment: theirs is the one.
        found = _open(unit_id, values["subject"])
        if found is None:
            raise
        return found
    _step(approval, ASKED, approval.reason, to_position=approval.position)
    _tell_deciders(approval, "approval.asked")
    work.flush()
    return approval


def ask_again(
    approval_id: object, reason: str, data: Mapping[str, Any] | None = None, *, version: int | None = None
) -> Approval:
    """Complete what was sent back: the asker says more, and it waits again.

    Raises:
        InvalidData: no reason given.
        NotAllowed: somebody else asked for it.
        Conflict, Refused: it was decided meanwhile, or nobody sent it back.
    """
    with transaction():
        approval = _lock(approval_id)
        _require_asker(approval)
        _check_open(approval, version)
        if approval.state != RETURNED:
            raise _refused(approval, "waiting", _l("Nobody has sent this back"))
        said = _said(reason)
        approval.state, approval.reason = WAITING, said
        approval.data = {**approval.data, **plain(dict(data or {}))}
        approval.reminded_at = clock.now()
        _step(approval, ASKED, said, to_position=approval.position)
        _tell_deciders(approval, "approval.asked")
        return _saved(approval)


def withdraw(approval_id: object, reason: str = "", *, version: int | None = None) -> Approval:
    """Take one's own request back, as long as it is not decided.

    Raises:
        NotAllowed: somebody else asked for it.
        Conflict: it was decided meanwhile.
    """
    with transaction():
        approval = _lock(approval_id)
        _require_asker(approval)
        if approval.state == WITHDRAWN:
            return approval
        _check_open(approval, version)
        told = approvers.deciders(approval)
        _settle(approval, WITHDRAWN, reason, None)
        _notify(approval, "approval.withdrawn", told)
        return approval


def lapse(approval_id: int, reason: str) -> None:
    """Take an open request back because what it was about is no more; nothing where it was decided.

    Who calls it knows: the handler of the subject is not told.
    """
    approval = _lock(approval_id)
    if approval.state not in OPEN_STATES:
        return
    told = approvers.deciders(approval)
    approval.state, approval.decided_by, approval.decided_at = WITHDRAWN, current_scope().actor_id, clock.now()
    _step(approval, WITHDRAWN, reason)
    _saved(approval)
    _notify(approval, "approval.withdrawn", told)


# --- deciding --------------------------------------------------------------------------------------


def agree(
    approval_id: object, reason: str = "", amount: Decimal | None = None, *, version: int | None = None
) -> Approval:
    """Agree, once and for all. ``amount`` is chosen where the approval leaves it open.

    Raises:
        Refused: the actor does not hold the wanted position, or asked for it; or it was sent back.
        InvalidData: the amount is missing or out of bounds.
        Conflict: somebody decided it before, or changed it since ``version``.
    """
    return _decide(approval_id, AGREED, reason, amount, version)


def reject(approval_id: object, reason: str, *, version: int | None = None) -> Approval:
    """Reject, once and for all, saying why. Raises as ``agree`` does, and InvalidData without a reason."""
    return _decide(approval_id, REJECTED, reason, None, version)


def _decide(approval_id: object, state: str, reason: str, amount: Decimal | None, version: int | None) -> Approval:
    with transaction():
        approval = _lock(approval_id)
        if approval.state == state and approval.decided_by == _actor():
            return approval  # a second click
        place = _require_decider(approval)
        _check_waiting(approval, version)
        if state == REJECTED:
            reason = _said(reason)
        if state == AGREED:
            _choose(approval, amount)
        _settle(approval, state, reason, place)
        _notify(approval, f"approval.{state}", {approval.asked_by})
        return approval


def _choose(approval: Approval, amount: Decimal | None) -> None:
    """Take the decider's amount where the approval leaves one open.

    Raises:
        InvalidData: none given, out of bounds, or not theirs to choose.
    """
    least, most = bounds_of(approval)
    if least is None or most is None:
        if amount is not None and amount != approval.amount:
            raise InvalidData({"amount": _l("This amount is not yours to choose")})
        return
    chosen = approval.amount if amount is None else amount
    if chosen is None:
        raise InvalidData({"amount": _l("Please fill this in")})
    if not least <= chosen <= most or chosen != chosen.quantize(Decimal("0.01")):
        raise InvalidData({"amount": _l("An amount from %(least)s to %(most)s yuan", least=least, most=most)})
    approval.amount = chosen


def bounds_of(approval: Approval) -> tuple[Decimal | None, Decimal | None]:
    """Return between what the decider may choose the amount, (None, None) where it is given."""
    least, most = approval.data.get("least"), approval.data.get("most")
    if least is None or most is None:
        return None, None
    return Decimal(str(least)), Decimal(str(most))


def _settle(approval: Approval, state: str, reason: str, place: int | None) -> None:
    approval.state, approval.decided_by, approval.decided_at = state, _actor(), clock.now()
    approval.decided_for = place
    _step(approval, state, reason, to_user_id=place)
    _saved(approval)
    handler = handlers.get(approval.subject.partition(":")[0])
    if handler is not None:
        handler(approval)
        session().flush()


def send_back(approval_id: object, reason: str, *, version: int | None = None) -> Approval:
    """Send a request back to who asked, saying what is missing. Raises as ``reject`` does."""
    with transaction():
        approval = _lock(approval_id)
        _require_decider(approval)
        _check_waiting(approval, version)
        if approval.asked_by is None:
            raise _refused(approval, "nobody", _l("Nobody asked for this in person, so it cannot be sent back"))
        said = _said(reason)
        approval.state = RETURNED
        _step(approval, RETURNED, said)
        _notify(approval, "approval.returned", {approval.asked_by})
        return _saved(approval)


def pass_on(
    approval_id: object,
    *,
    position: str = "",
    user_id: int | None = None,
    reason: str = "",
    version: int | None = None,
) -> Approval:
    """Let another position decide, or one person.

    Whom it waits for may do so; where nobody can decide it any more, also who may see all approvals of the unit.
    Never who asked for it.

    Raises:
        InvalidData: neither or both named, nobody there who could decide, or no reason.
        Refused, Conflict: as ``agree``.
    """
    with transaction():
        approval = _lock(approval_id)
        _require_passer(approval)
        _check_waiting(approval, version)
        said = _said(reason)
        _check_addressee(approval, position, user_id)
        if position:
            approval.position, approval.user_id = position, None
        else:
            approval.user_id = user_id
        approval.reminded_at = clock.now()
        _step(approval, PASSED, said, to_position=position, to_user_id=user_id)
        _tell_deciders(approval, "approval.asked")
        return _saved(approval)


def _check_addressee(approval: Approval, position: str, user_id: int | None) -> None:
    if bool(position) == bool(user_id):
        raise InvalidData({"position": _l("Choose either a position or a person")})
    own_is_fine = setting(approval.unit_id, approvers.OWN)
    if user_id:
        if user_id == approval.asked_by and not own_is_fine:
            raise InvalidData({"user_id": _l("Nobody approves their own request")})
        if user_id == approvers.about(approval):
            raise InvalidData({"user_id": _ABOUT_SELF})
        if not approvers.reaches(user_id, approval.unit_id):
            raise InvalidData({"user_id": _l("This person cannot decide anything in this unit")})
        return
    if session().scalar(select(Position.id).where(Position.code == position)) is None:
        raise InvalidData({"position": _l("There is no such position")})
    others = {held for held, _ in holders(position, approval.unit_id)} - {approvers.about(approval)}
    if not (others if own_is_fine else others - {approval.asked_by}):
        raise InvalidData({"position": _l("Nobody who could decide holds this position here")})


# --- who may ---------------------------------------------------------------------------------------


def _actor() -> int:
    actor = current_scope().actor_id
    if actor is None:
        raise NotAllowed(VIEW)
    return actor


def _require_asker(approval: Approval) -> None:
    if approval.asked_by != _actor():
        raise NotAllowed(message=_l("Only who asked for it may do this"))


def _require_decider(approval: Approval) -> int | None:
    """Return in whose place the actor decides, None by their own right.

    Raises:
        Refused: naming the position that is wanted, and the clause.
    """
    require(VIEW, approval.unit_id)
    allowed, place = approvers.right(approval, powers_of(_actor()))
    if not allowed:
        raise _wrong_person(approval)
    return place


def _wrong_person(approval: Approval) -> Refused:
    if approval.asked_by == _actor():
        return _refused(approval, "own", _l("Nobody approves their own request"))
    if approvers.about(approval) == _actor():
        return _refused(approval, "own", _ABOUT_SELF)
    wanted = approvers.wanted_words(approval)
    return _refused(approval, "wrong_role", _l("This waits for %(wanted)s; you cannot decide it", wanted=wanted))


def _require_passer(approval: Approval) -> None:
    require(VIEW, approval.unit_id)
    if not may_pass_on(approval, powers_of(_actor())):
        raise _wrong_person(approval)


def may_pass_on(approval: Approval, powers: approvers.Powers) -> bool:
    """Tell whether somebody may pass an approval on: who decides it, whose position it waited for, or a leader.

    A leader (who sees every approval of the unit) only as long as nobody can decide it; who asked, or whom it is
    about, never.
    """
    if approvers.right(approval, powers)[0]:
        return True
    if powers.user_id in (approval.asked_by, approvers.about(approval)):
        return False
    if approvers.holds_position(approval, powers):
        return True
    return may(ALL, approval.unit_id) and not approvers.deciders(approval)


def _refused(approval: Approval, code: str, text: Any) -> Refused:
    return Refused([Refusal(code, text, approval.clause)])


def _check_waiting(approval: Approval, version: int | None) -> None:
    _check_open(approval, version)
    if approval.state == RETURNED:
        raise _refused(approval, "returned", _l("This was sent back and waits for who asked"))


def _check_open(approval: Approval, version: int | None) -> None:
    if approval.state in DECIDED:
        name = session().scalars(select(User.name).where(User.id == approval.decided_by)).first() or "—"
        raise Conflict(_l("%(name)s was faster: %(state)s", name=name, state=STATE_WORDS[approval.state]))
    if version is not None and version != approval.version:
        raise Conflict()


def _said(reason: str) -> str:
    """Return a reason, tidied.

    Raises:
        InvalidData: there is none, or it is too long.
    """
    said = reason.strip()
    if not said:
        raise InvalidData({"reason": _l("Please say why")})
    if len(said) > LONGEST_REASON:
        raise InvalidData({"reason": _l("At most %(count)d characters", count=LONGEST_REASON)})
    return said


# --- looking ---------------------------------------------------------------------------------------


def state_of(unit_id: int, subject: str) -> str:
    """Return the state of the latest approval of a subject, '' where nobody has asked."""
    found = latest(unit_id, subject)
    return found.state if found else ""


def agreed(unit_id: int, subject: str) -> Approval | None:
    """Return the latest approval of a subject if it was agreed and not used up."""
    found = latest(unit_id, subject)
    if found is None or found.state != AGREED:
        return None
    used = select(ApprovalStep.id).where(ApprovalStep.approval_id == found.id, ApprovalStep.name == USED)
    return None if session().scalar(used.limit(1)) else found


def latest(unit_id: int, subject: str) -> Approval | None:
    """Return the latest approval of a subject, None where nobody has asked."""
    own = select(Approval).where(Approval.unit_id == unit_id, Approval.subject == subject)
    return session().scalars(own.order_by(Approval.id.desc()).limit(1)).first()


def use(approval: Approval) -> None:
    """Note that what was agreed has been done: the agreement counts for once."""
    _step(approval, USED)


def fetch_approval(approval_id: object) -> Approval:
    """Fetch an approval the actor may see: their own request, one they may decide or had to do with, or all.

    Raises:
        NotFound: malformed, unknown or of another unit.
        NotAllowed: not for this actor.
    """
    approval = fetch(Approval, approval_id)
    actor = current_scope().actor_id
    if actor is None or approval.asked_by == actor or may(ALL, approval.unit_id):
        return approval
    require(VIEW, approval.unit_id)
    powers = powers_of(actor)
    if approvers.right(approval, powers)[0] or approvers.holds_position(approval, powers):
        return approval
    took_part = select(ApprovalStep.id).where(
        ApprovalStep.approval_id == approval.id, ApprovalStep.actor_id == actor
    )
    if session().scalar(took_part.limit(1)) is None:
        raise NotAllowed(ALL, _l("This approval is between others"))
    return approval


def steps_of(approval: Approval) -> list[ApprovalStep]:
    """Return every step taken with an approval, in order."""
    own = select(ApprovalStep).where(ApprovalStep.approval_id == approval.id)
    return list(session().scalars(own.order_by(ApprovalStep.id)))


def inbox(user_id: int, positions: Positions | None = None, limit: int = 100) -> list[tuple[Approval, int | None]]:
    """Return what waits for a person's decision in all their units, the oldest first, and in whose place each."""
    powers = powers_of(user_id, positions)
    waiting = select(Approval).where(approvers.waiting_for(powers)).order_by(Approval.asked_at, Approval.id)
    found: list[tuple[Approval, int | None]] = []
    shown = waiting.options(joinedload(Approval.record), joinedload(Approval.asker))
    rows = session().scalars(shown.execution_options(yield_per=limit))
    for one in rows:
        allowed, place = approvers.right(one, powers)
        if allowed:
            found.append((one, place))
        if len(found) == limit:
            break
    rows.close()
    return found


def count_inbox(user_id: int, positions: Positions | None = None, cap: int = 100) -> int:
    """Count what waits for a person's decision, up to ``cap``."""
    powers = powers_of(user_id, positions)
    heads = select(Approval.unit_id, Approval.position, Approval.user_id, Approval.asked_by, Approval.data)
    rows = session().execute(heads.where(approvers.waiting_for(powers)).execution_options(yield_per=cap))
    count = 0
    for row in rows:
        count += approvers.right(row, powers)[0]
        if count == cap:
            break
    rows.close()
    return count


def asked_by(user_id: int, limit: int = 100) -> list[Approval]:
    """Return what a person asked for: the open ones first, then the newest."""
    own = select(Approval).where(Approval.asked_by == user_id).options(joinedload(Approval.record))
    rows = session().scalars(own.order_by(Approval.asked_at.desc(), Approval.id.desc()).limit(limit)).all()
    return sorted(rows, key=lambda one: one.state not in OPEN_STATES)


def nobody_decides(unit_ids: Iterable[int]) -> list[Approval]:
    """Return what waits in units where nobody is left who could decide it."""
    waiting = (
        select(Approval)
        .where(Approval.unit_id.in_(list(unit_ids)), Approval.state == WAITING)
        .options(joinedload(Approval.record), joinedload(Approval.asker))
    )
    known: dict[tuple[Any, ...], bool] = {}
    found = []
    for one in session().scalars(waiting.order_by(Approval.asked_at, Approval.id)):
        key = (one.unit_id, one.position, one.user_id, one.asked_by, approvers.about(one))
        if key not in known:
            known[key] = not approvers.deciders(one)
        if known[key]:
            found.append(one)
    return found


# --- reminding -------------------------------------------------------------------------------------


def remind_due(now: datetime) -> int:
    """Remind the deciders of what waits too long; return how many approvals.

    Harmless to run again: each is reminded of once a day, after the unit's first hours.
    """
    own = select(Approval.id, Approval.unit_id, Approval.asked_at, Approval.reminded_at)
    waiting = session().execute(own.where(Approval.state == WAITING).order_by(Approval.id)).all()
    due = [row.id for row in waiting if _remind_at(row) <= now]
    return one_by_one("reminders", due, lambda key: _remind(key, now))


def _remind_at(row: Any) -> datetime:
    hours = timedelta(hours=setting(row.unit_id, "approvals.remind_hours"))
    due: datetime = row.asked_at + hours if row.reminded_at is None else row.reminded_at + max(hours, A_DAY)
    return due


def _remind(approval_id: int, now: datetime) -> bool:
    with transaction():
        approval = _lock(approval_id)
        if approval.state != WAITING or _remind_at(approval) > now:
            return False
        _tell_deciders(approval, "approval.reminder")
        # Past the version: whoever has the approval before them shall be able to decide it.
        kept = update(Approval).where(Approval.id == approval_id).values(reminded_at=now)
        session().execute(kept, execution_options={"audited": "bookkeeping, not worth an entry"})
        return True


# --- inside ----------------------------------------------------------------------------------------


def _lock(approval_id: object) -> Approval:
    key = approval_id if isinstance(approval_id, int) else read_id(approval_id)
    if key is None:
        raise NotFound()
    # The record first, as its steps do: whoever withdraws an approval from a step would wait in a circle else.
    record_id = session().scalar(select(Approval.record_id).where(Approval.id == key))
    if record_id is not None:
        lock(record_id)
    own = select(Approval).where(Approval.id == key).with_for_update().execution_options(populate_existing=True)
    found = session().scalars(own).first()
    if found is None:
        raise NotFound()
    return found


def _saved(approval: Approval) -> Approval:
    try:
        session().flush()
    except StaleDataError:
        raise Conflict() from None
    return approval


def _step(
    approval: Approval, name: str, reason: str = "", *, to_position: str = "", to_user_id: int | None = None
) -> None:
    session().add(
        ApprovalStep(
            unit_id=approval.unit_id,
            approval_id=approval.id,
            name=name,
            at=clock.now(),
            actor_id=current_scope().actor_id,
            to_position=to_position,
            to_user_id=to_user_id,
            reason=reason.strip()[:LONGEST_REASON],
        )
    )


def _tell_deciders(approval: Approval, kind: str) -> None:
    """Tell who may decide; where nobody may, who sees all approvals of the unit and can pass it on."""
    found = approvers.deciders(approval)
    if found:
        _notify(approval, kind, found)
    else:
        _notify(approval, "approval.nobody", approvers.leaders(approval.unit_id))


def _notify(approval: Approval, kind: str, user_ids: Iterable[int | None]) -> None:
    actor = current_scope().actor_id
    put_notices(
        Notice(
            user_id=user_id,
            unit_id=approval.unit_id,
            record_id=approval.record_id,
            kind=kind,
            text=approval.title,
            at=clock.now(),
        )
        for user_id in sorted({one for one in user_ids if one is not None})
        if user_id != actor
    )
