"""Steps that need a position's agreement first: refused until it is there, and what can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from flask_babel import lazy_gettext as _l

from core.kernel import clock
from core.kernel.database import session, transaction
from core.kernel.errors import NotAllowed, NotFound, Refusal
from core.records.engine import Step, fetch_visible, flow_of, may_read
from core.records.models import Record
from core.records.types import RecordType, record_type
from core.units.switches import enabled_plugins

from . import approvals, approvers
from .approval_models import AGREED, Approval
from .effective import Effective, effective
from .kinds import ApprovalRule
from .registry import current_rules


@dataclass(frozen=True)
class Wanted:
    """An agreement that a step of a record needs. ``state`` is '' where nobody has asked yet."""

    step: str
    label: Any
    clause: str
    title: str | dict[str, str]
    position: str
    amount: Decimal | None
    state: str = ""
    approval_id: int | None = None

    @property
    def can_ask(self) -> bool:
        """Tell whether asking makes sense: nothing is open and nothing agreed."""
        return self.state not in (*approvals.OPEN_STATES, AGREED)


def subject_of(rule_step: str, record: Record, clause: str) -> str:
    """Return the subject of the approval a clause asks for at a step of a record: ``case.cancel:88:R01-4.4``.

    Where several clauses ask, each has its own: they may want different positions.
    """
    return f"{rule_step}:{record.id}:{clause}"


def refusals(step: Step, asking: bool) -> Iterator[Refusal]:
    """Refuse a step until the position its clause wants has agreed (a port of the records room)."""
    for rule, found in _rules(step):
        missing = None if asking and rule.needs_form else _missing(rule, found, step)
        if missing:
            yield Refusal("approval", missing, rule.clause, inside=True)


def _rules(step: Step) -> Iterator[tuple[ApprovalRule, Effective]]:
    """Yield the approval rules that hold for a step of a record."""
    name = f"{step.record.type}.{step.transition.name}"
    for rule in current_rules().of(ApprovalRule, enabled_plugins(step.record.unit_id)):
        if rule.step != name:
            continue
        found = effective(step.record.unit_id, rule.clause, step.at)
        if found.holds and (rule.wanted is None or rule.wanted(step, found.values)):
            yield rule, found


def _missing(rule: ApprovalRule, found: Effective, step: Step) -> Any:
    given = approvals.agreed(step.record.unit_id, subject_of(rule.step, step.record, rule.clause))
    wanted = approvers.position_title(_position(rule, found))
    if given is None:
        return _l("Needs the agreement of %(wanted)s first", wanted=wanted)
    amount = rule.amount(step, found.values) if rule.amount else None
    if amount is not None and amount > (given.amount or 0):
        return _l(
            "%(wanted)s agreed to %(agreed)s yuan, now it is %(amount)s; ask again",
            wanted=wanted,
            agreed=given.amount or 0,
            amount=amount,
        )
    return None


def _position(rule: ApprovalRule, found: Effective) -> str:
    return rule.position or str(found.values[rule.position_from])


def spend(step: Step) -> None:
    """A step was performed: the agreement it rested on counts for once (an effect of every transition)."""
    for rule, _found in _rules(step):
        given = approvals.agreed(step.record.unit_id, subject_of(rule.step, step.record, rule.clause))
        if given is not None:
            approvals.use(given)


def wanted_for(record: Record) -> list[Wanted]:
    """Return the agreements that the steps possible for a record in its present state need."""
    try:
        flow = flow_of(record)
    except NotFound:
        return []
    found = []
    for transition in sorted(flow.transitions.values(), key=lambda one: (one.weight, one.name)):
        if record.state in transition.sources:
            step = Step(record, cast(RecordType, record_type(record.type)), flow, transition, clock.now())
            found += [_wanted(rule, terms, step) for rule, terms in _rules(step)]
    return found


def _wanted(rule: ApprovalRule, found: Effective, step: Step) -> Wanted:
    latest = approvals.latest(step.record.unit_id, subject_of(rule.step, step.record, rule.clause))
    if latest is not None and latest.state == AGREED and _missing(rule, found, step):
        latest = None
    return Wanted(
        rule.step,
        step.transition.label,
        rule.clause,
        rule.title if isinstance(rule.title, dict) else str(rule.title),
        _position(rule, found),
        rule.amount(step, found.values) if rule.amount else None,
        latest.state if latest else "",
        latest.id if latest else None,
    )


def ask_for(record_id: object, step: str, clause: str, reason: str, *, key: str = "") -> Approval:
    """Ask for the agreement that a step of a record needs; who may take the step may ask.

    Raises:
        NotFound: no such record, or the step needs no such agreement now.
        NotAllowed: the actor may not take the step.
    """
    with transaction():
        record = fetch_visible(record_id)
        wanted = next((one for one in wanted_for(record) if (one.step, one.clause) == (step, clause)), None)
        if wanted is None:
            raise NotFound(_l("This step needs no agreement now"))
        transition = flow_of(record).transitions[step.partition(".")[2]]
        if not may_read(record, transition.permission):
            raise NotAllowed(transition.permission)
        session().flush()
        return approvals.ask(
            record.unit_id,
            clause=clause,
            subject=subject_of(step, record, clause),
            title=_title(wanted.title, record),
            position=wanted.position,
            reason=reason,
            amount=wanted.amount,
            record=record,
            key=key,
        )


def _title(title: str | dict[str, str], record: Record) -> str | dict[str, str]:
    if isinstance(title, dict):
        return {language: f"{words} {record.number}" for language, words in title.items()}
    return f"{title} {record.number}"
