"""Penalty proposals (考核建议): what a clause says a breach comes to, put before a position that decides.

Nothing is ever deducted here: a proposal is agreed, dropped or withdrawn, and that is all the suite does with it.
The person concerned sees it, may say what there is to say until it is decided, and never decides it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.audit import plain
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotFound, Refusal, Refused
from core.kernel.fields import Field, normalise
from core.kernel.ids import read_id
from core.records.engine import lock
from core.records.models import Record
from core.records.services import notify
from core.units.settings import SettingSpec, declare, setting
from core.units.switches import enabled_plugins
from core.users import positions
from core.users.models import User
from core.users.services import holders

from . import approvals, approvers
from .approval_models import AGREED as SAID_YES
from .approval_models import REJECTED, Approval
from .charge_models import AGREED, DROPPED, PROPOSED, WITHDRAWN, Penalty
from .clauses import Clause
from .clocks import late_by
from .effective import Effective, effective
from .fold import thaw_term
from .kinds import PenaltyRule
from .money import MOST, ZERO, exact, yuan
from .obligation_models import LATE, OPEN, Breach, Obligation
from .one_by_one import one_by_one
from .registry import current_rules
from .unit_calendars import thaw

VIEW, HANDLE = "penalty.view", "penalty.handle"
SUBJECT = "penalty"
POSITION = "penalty.position"
GENERAL_MANAGER = "gm"
LONGEST = 2000
# What the inbox shows beside a decision, in both languages.
_PERSON = {"zh": "当事人", "en": "Person concerned"}
_STATEMENT = {"zh": "本人陈述", "en": "Statement of the person"}

declare(
    (
        SettingSpec(
            Field(
                POSITION,
                "choice",
                _l("Who decides on penalty proposals"),
                choices=positions.choices,
                default="service_leader",
            ),
            _l("Approvals"),
        ),
    )
)


@dataclass(frozen=True)
class Figures:
    """What a clause says a penalty comes to: an amount, ``least`` to ``most``, or ``per_day`` up to ``cap``.

    With none of them the amount is decided case by case.
    """

    amount: Decimal | None = None
    least: Decimal | None = None
    most: Decimal | None = None
    per_day: Decimal | None = None
    cap: Decimal | None = None

    def after(self, days: int) -> Decimal | None:
        """Return the amount after so many days late, None where it is still to be chosen."""
        if self.per_day is None:
            return self.amount
        grown = yuan(self.per_day * days)
        return grown if self.cap is None else min(grown, self.cap)

    @property
    def bounds(self) -> tuple[Decimal, Decimal] | None:
        """Between what the decider chooses, None where there is nothing to choose."""
        if self.amount is not None or self.per_day is not None:
            return None
        return self.least if self.least is not None else ZERO, self.most if self.most is not None else MOST


def figures_of(rule: PenaltyRule, values: Mapping[str, Any]) -> Figures:
    """Read the amounts of a rule from its clause's parameters; a parameter that is not set counts as absent."""

    def read(name: str) -> Decimal | None:
        return yuan(values[name], name) if name and values.get(name) is not None else None

    return Figures(read(rule.amount), read(rule.least), read(rule.most), read(rule.per_day), read(rule.cap))


# --- from breaches ---------------------------------------------------------------------------------


def follow_breach(breach: Breach) -> None:
    """Propose what the clauses in force say a breach just announced comes to; once for each."""
    for rule in current_rules().of(PenaltyRule, enabled_plugins(breach.unit_id)):
        if breach.clause not in rule.broken:
            continue
        found = effective(breach.unit_id, rule.clause, breach.due_at)
        if found.holds:
            _from_breach(rule, found, breach)


def _from_breach(rule: PenaltyRule, found: Effective, breach: Breach) -> None:
    source = _source(breach)
    held = _held(breach.record_id, rule.clause, source)
    if held is not None and held.state != WITHDRAWN:
        return
    figures = figures_of(rule, found.values)
    days = late_days(_standing(breach.record_id, breach.clause, breach.root_fact_id))
    row = held or Penalty(
        unit_id=breach.unit_id,
        record_id=breach.record_id,
        clause=rule.clause,
        source=source,
        broken=breach.clause,
        root_fact_id=breach.root_fact_id,
        created_at=clock.now(),
    )
    row.state, row.reason, row.decided_at, row.decided_by = PROPOSED, "", None, None
    row.user_id, row.position = breach.responsible_id, _position_answering(breach)
    row.amount, row.least, row.most = figures.after(days), figures.least, figures.most
    row.inputs = _inputs(rule, found, figures, {"late_days": days})
    _put_forward(row, found, figures, in_own_name=False)


def follow_withdrawal(breach: Breach) -> None:
    """Withdraw what is still undecided of a breach that a fact entered later has answered; mark what is decided."""
    for row in session().scalars(
        select(Penalty).where(Penalty.record_id == breach.record_id, Penalty.source == _source(breach))
    ):
        answered = {"breach_withdrawn": plain(clock.now()), "by_fact": breach.withdrawn_fact_id}
        row.inputs = {**row.inputs, **answered}
        if row.state != PROPOSED:
            continue
        row.state, row.decided_at = WITHDRAWN, clock.now()
        if row.approval_id is not None:
            approvals.lapse(row.approval_id, _("The breach was withdrawn: a fact was entered later"))
        _tell(row, "penalty.withdrawn")
    session().flush()


def _source(breach: Breach) -> str:
    return f"breach:{breach.id}"


def _held(record_id: int, clause: str, source: str) -> Penalty | None:
    mine = Penalty.record_id == record_id, Penalty.clause == clause, Penalty.source == source
    return session().scalars(select(Penalty).where(*mine)).first()


def _position_answering(breach: Breach) -> str:
    return session().scalar(select(Obligation.position).where(*_obligation_key(breach))) or ""


def _obligation_key(one: Breach | Penalty) -> tuple[Any, ...]:
    clause = one.clause if isinstance(one, Breach) else one.broken
    return (
        Obligation.record_id == one.record_id,
        Obligation.clause == clause,
        Obligation.root_fact_id == one.root_fact_id,
    )


# --- by hand ---------------------------------------------------------------------------------------


def propose(
    record: Record,
    clause: str,
    source: str,
    user_id: int,
    *,
    amount: Any = None,
    reason: str = "",
    broken: str = "",
    inputs: Mapping[str, Any] | None = None,
) -> Penalty | None:
    """Propose a penalty that no missed deadline brings about; return it, None where the clause does not hold.

    ``source`` keeps a retry from doubling it; again with another amount, an undecided one is amended. ``amount`` is
    for clauses that leave one open, and needs a reason; ``inputs`` is what it rests on (``late_days`` where the
    clause counts by day). It asks no permission: the calling service did.

    Raises:
        InvalidData: an amount the clause does not allow, or one without a reason.
        LookupError: no rule carries the clause out here.
    """
    with transaction():
        lock(record.id)
        rule = _rule(record.unit_id, clause)
        found = effective(record.unit_id, clause)
        if not found.holds:
            return None
        given = dict(inputs or {})
        figures = figures_of(rule, found.values)
        chosen = _chosen(figures, amount, reason, int(given.get("late_days", 0)))
        row = _held(record.id, clause, source)
        if row is not None and (row.state != PROPOSED or (row.amount, row.user_id) == (chosen, user_id)):
            return row
        row = row or Penalty(
            unit_id=record.unit_id, record_id=record.id, clause=clause, source=source, created_at=clock.now()
        )
        row.state, row.user_id, row.broken, row.reason = PROPOSED, user_id, broken, reason.strip()
        row.amount, row.least, row.most = chosen, figures.least, figures.most
        given["proposed_by"] = current_scope().actor_id
        row.inputs = _inputs(rule, found, figures, given)
        _put_forward(row, found, figures, in_own_name=True)
        return row


def _rule(unit_id: int, clause: str) -> PenaltyRule:
    rules = current_rules().of(PenaltyRule, enabled_plugins(unit_id))
    rule = next((one for one in rules if one.clause == clause), None)
    if rule is None:
        raise LookupError(f"no penalty rule carries out clause {clause} here")
    return rule


def _chosen(figures: Figures, amount: Any, reason: str, days: int) -> Decimal | None:
    said = figures.after(days)
    if amount is None:
        return said
    given = exact(amount)
    if figures.bounds is None:
        if given != said:
            raise InvalidData({"amount": _l("The clause says %(amount)s yuan", amount=said)})
        return said
    check_bounds(figures.bounds, given)
    if not reason.strip():
        raise InvalidData({"reason": _l("Please say why")})
    return given


def check_bounds(bounds: tuple[Decimal, Decimal], amount: Decimal) -> None:
    """Pass if an amount lies inside what a clause allows.

    Raises:
        InvalidData: it does not.
    """
    least, most = bounds
    if not least <= amount <= most:
        raise InvalidData({"amount": _l("An amount from %(least)s to %(most)s yuan", least=least, most=most)})


def _inputs(rule: PenaltyRule, found: Effective, figures: Figures, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what explains a proposal later: parameter values, the versions that set them, what they met."""
    kept = {
        "rule": rule.version,
        "schema": found.clause.schema,
        "values": {name: plain(value) for name, value in found.values.items()},
        "settings": list(found.versions),
        "given": plain(dict(given)),
    }
    if figures.per_day is not None:
        kept["per_day"], kept["cap"] = plain(figures.per_day), plain(figures.cap)
    return kept


# --- put before who decides --------------------------------------------------------------------------


def decided_by_position(unit_id: int, clause: Clause, values: Mapping[str, Any]) -> str:
    """Return the position that decides: by the clause's parameter, else by the unit's setting."""
    named = next((values[one.name] for one in clause.parameters if one.type == "position"), "")
    return str(named or setting(unit_id, POSITION))


def _decider(row: Penalty, found: Effective) -> str:
    """Where nobody but the person concerned holds the deciding position, the general manager decides."""
    position = decided_by_position(row.unit_id, found.clause, found.values)
    held_by = {user_id for user_id, _name in holders(position, row.unit_id)}
    return GENERAL_MANAGER if held_by == {row.user_id} else position


def _put_forward(row: Penalty, found: Effective, figures: Figures, *, in_own_name: bool) -> None:
    """Keep a proposal, ask for its decision and tell the person concerned."""
    work = session()
    work.add(row)
    work.flush()
    record = work.get_one(Record, row.record_id)
    data: dict[str, Any] = {"about": row.user_id}
    if figures.bounds is not None:
        data["least"], data["most"] = map(str, figures.bounds)
    title = found.clause.title
    approval = approvals.ask(
        row.unit_id,
        clause=row.clause,
        subject=f"{SUBJECT}:{row.id}",
        title={"zh": f"考核建议：{title['zh']}", "en": f"Penalty proposal: {title.get('en', title['zh'])}"},
        position=_decider(row, found),
        reason=row.reason,
        amount=row.amount,
        record=record,
        data=data,
        in_own_name=in_own_name,
    )
    row.approval_id = approval.id
    _tell_decider(row)
    work.flush()
    _tell(row, "penalty.proposed")


def _tell_decider(row: Penalty) -> None:
    """Let whoever decides see what it comes to now, who is concerned and what they said, beside the decision."""
    approval = session().get(Approval, row.approval_id) if row.approval_id else None
    if approval is None or approval.state not in approvals.OPEN_STATES:
        return
    approval.amount = row.amount
    name = session().scalar(select(User.name).where(User.id == row.user_id)) or "—"
    facts = [{"label": _PERSON, "value": name}]
    if row.statement:
        facts.append({"label": _STATEMENT, "value": row.statement})
    given = {"late_days": row.inputs["given"]["late_days"]} if row.inputs["given"].get("late_days") else {}
    approval.data = {**approval.data, **given, "about": row.user_id, "facts": facts}


def _tell(row: Penalty, kind: str) -> None:
    if row.user_id is not None:
        notify(session().get_one(Record, row.record_id), kind, [row.user_id], row.clause)


# --- growing by the day ------------------------------------------------------------------------------


def _standing(record_id: int, clause: str, root_fact_id: int | None) -> Any:
    """Read what an obligation looks like in the database: rules write it past the session."""
    return (
        session()
        .execute(
            select(Obligation.state, Obligation.due_at, Obligation.late_days, Obligation.terms).where(
                Obligation.record_id == record_id,
                Obligation.clause == clause,
                Obligation.root_fact_id == root_fact_id,
            )
        )
        .first()
    )


def late_days(obligation: Any) -> int:
    """Return by how many days (C0-T12) something is late; it grows as long as it is not done."""
    if obligation is None:
        return 0
    if obligation.state == LATE:
        return int(obligation.late_days)
    if obligation.state != OPEN or obligation.due_at is None:
        return 0
    terms = obligation.terms
    return late_by(thaw_term(terms["term"]), obligation.due_at, clock.now(), thaw(terms["calendar"])).days


def amount_now(row: Penalty, obligation: Any = None) -> Decimal | None:
    """Return what a proposal comes to, one that counts by the day and is undecided as it is now.

    ``obligation`` is the row's own unless given.
    """
    per_day = row.inputs.get("per_day")
    if per_day is None or row.state != PROPOSED or row.root_fact_id is None:
        return row.amount
    cap = row.inputs.get("cap")
    figures = Figures(per_day=Decimal(per_day), cap=Decimal(cap) if cap is not None else None)
    return figures.after(late_days(obligation if obligation is not None else row.obligation))


def grow(_now: datetime | None = None) -> int:
    """Bring the amounts of undecided proposals that count by the day up to date; return how many changed.

    A kind of work of ``ticks``; in a scope that may write the units concerned. Each is a transaction of its own.
    """
    waiting = select(Penalty.id, Penalty.inputs).where(Penalty.state == PROPOSED, Penalty.root_fact_id.is_not(None))
    rows = session().execute(waiting.order_by(Penalty.id)).all()
    return one_by_one("penalties", [one.id for one in rows if "per_day" in one.inputs], _grow_one)


def _grow_one(penalty_id: int) -> int:
    row = _locked(penalty_id)
    return int(row.state == PROPOSED and _grow(row))


def _grow(row: Penalty) -> bool:
    standing = _standing(row.record_id, row.broken, row.root_fact_id)
    amount = amount_now(row, standing)
    if amount == row.amount:
        return False
    row.amount = amount
    row.inputs = {**row.inputs, "given": {**row.inputs["given"], "late_days": late_days(standing)}}
    _tell_decider(row)
    session().flush()
    return True


# --- the person's word -------------------------------------------------------------------------------


def state(penalty_id: object, text: str) -> Penalty:
    """Keep what the person concerned has to say, until it is decided; written again, it replaces what was said.

    Raises:
        NotFound: no such proposal, or one about somebody else.
        InvalidData: nothing said, or too much.
        Refused: it is decided.
    """
    with transaction():
        row = _locked(penalty_id)
        if row.user_id is None or row.user_id != current_scope().actor_id:
            raise NotFound()
        _require_open(row)
        said = normalise(text.replace("\r\n", "\n"))
        if not said:
            raise InvalidData({"statement": _l("Please fill this in")})
        if len(said) > LONGEST:
            raise InvalidData({"statement": _l("At most %(count)d characters", count=LONGEST)})
        row.statement, row.statement_at = said, clock.now()
        _tell_decider(row)
        session().flush()
        return row


def fetch_visible(penalty_id: object) -> Penalty:
    """Fetch a proposal that is about the actor, that they may decide, or that their position lets them see.

    Raises:
        NotFound: malformed, missing, foreign, or not for this actor.
    """
    row = fetch(Penalty, penalty_id)
    scope = current_scope()
    mine = row.user_id is not None and row.user_id == scope.actor_id
    if mine or scope.may(VIEW, row.unit_id) or may_decide(row):
        return row
    raise NotFound()


def _locked(penalty_id: object) -> Penalty:
    """Read a proposal for changing it; its record is locked so that no breach is withdrawn meanwhile."""
    row = fetch(Penalty, penalty_id)
    lock(row.record_id)
    session().refresh(row)
    return row


def _require_open(row: Penalty) -> None:
    if row.state != PROPOSED:
        raise Refused([Refusal("penalty", _l("This has been decided already"), row.clause)])


# --- deciding --------------------------------------------------------------------------------------


def may_decide(row: Penalty) -> bool:
    """Tell whether the actor may decide a proposal now; nobody decides one about themselves."""
    actor = current_scope().actor_id
    if actor is None or row.state != PROPOSED or row.approval_id is None or actor == row.user_id:
        return False
    approval = session().get(Approval, row.approval_id)
    if approval is None or approval.state != approvals.WAITING:
        return False
    allowed, place = approvers.right(approval, approvers.powers_of(actor))
    return allowed and (place is None or place != row.user_id)


def bounds_of(row: Penalty) -> tuple[Decimal, Decimal] | None:
    """Return between what the decider chooses the amount of a proposal, None where the clause says it."""
    approval = session().get(Approval, row.approval_id) if row.approval_id else None
    least, most = approvals.bounds_of(approval) if approval is not None else (None, None)
    return None if least is None or most is None else (least, most)


def agree(penalty_id: object, reason: str = "", amount: Any = None) -> Penalty:
    """Agree to a proposal; ``amount`` (with a reason) where the clause leaves it open. Nothing is deducted by it.

    Raises:
        Refused: the actor does not hold the deciding position, or it is about themselves, or about nobody.
        InvalidData: an amount outside what the clause allows, or no reason for it.
    """
    with transaction():
        row = _locked(penalty_id)
        _require_open(row)
        approvals.agree(row.approval_id, reason, None if amount is None else exact(amount))
        return row


def drop(penalty_id: object, reason: str) -> Penalty:
    """Drop a proposal, saying why. Raises as ``agree`` does."""
    with transaction():
        row = _locked(penalty_id)
        _require_open(row)
        approvals.reject(row.approval_id, reason)
        return row


def decided(approval: Approval) -> None:
    """Carry the decision of an approval over to its proposal (a handler of approvals).

    Raises:
        Refused: who decided is the person concerned, or stood in for them; or nobody is named.
        InvalidData: an amount was chosen without a reason.
        Conflict: it was decided before.
    """
    key = read_id(approval.subject.partition(":")[2])
    row = _locked(key)
    if row.state != PROPOSED:
        raise Conflict()
    if row.user_id is not None and row.user_id in (approval.decided_by, approval.decided_for):
        raise _refused(row, _l("Nobody decides on a proposal about themselves"))
    said = approvals.steps_of(approval)[-1].reason
    if approval.state == SAID_YES:
        _agree(row, approval, said)
    else:
        row.state = DROPPED if approval.state == REJECTED else WITHDRAWN
    row.reason = said or row.reason
    row.decided_at, row.decided_by = approval.decided_at, approval.decided_by
    session().flush()
    _tell(row, f"penalty.{row.state}")


def _agree(row: Penalty, approval: Approval, said: str) -> None:
    if row.user_id is None:
        raise _refused(row, _l("Nobody answers for this; it can only be dropped"))
    least, _most = approvals.bounds_of(approval)
    if least is not None:
        if not (said or row.reason):
            raise InvalidData({"reason": _l("Please say why")})
        row.amount = approval.amount
    else:
        standing = _standing(row.record_id, row.broken, row.root_fact_id)
        approval.amount = row.amount = amount_now(row, standing)
    row.state = AGREED


def _refused(row: Penalty, text: Any) -> Refused:
    return Refused([Refusal("penalty", text, row.clause)])


# --- looking ---------------------------------------------------------------------------------------


def of_record(record_id: int) -> Sequence[Penalty]:
    """Return the proposals of a record, oldest first."""
    mine = select(Penalty).where(Penalty.record_id == record_id).order_by(Penalty.id)
    return session().scalars(mine.options(joinedload(Penalty.user), joinedload(Penalty.obligation))).all()
