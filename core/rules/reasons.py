"""How a clause comes out in a unit at a moment, and why: every value with where it comes from, every step counted.

The answers are plain data (JSON as ``plain`` writes it). Nothing is written; facts may be made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import inspect, select

from core.kernel import clock
from core.kernel.audit import plain
from core.kernel.database import session
from core.kernel.errors import AppError, InvalidData
from core.kernel.fields import clean
from core.records.engine import Step, flow_of
from core.records.models import Record
from core.records.types import record_type, words_of
from core.units.facts import unit_facts
from core.units.switches import enabled_plugins
from core.users.models import User

from . import coverage, obligations, penalties, schedules, unit_calendars
from .clauses import Clause
from .clocks import Deadline, Term, deadline
from .effective import Effective, effective
from .explain import steps
from .fold import Episode, Outcome, Terms, episodes, in_order, judge
from .kinds import (
    ApprovalRule,
    ChecklistRule,
    DeadlineRule,
    FeeRule,
    GateRule,
    Happened,
    PenaltyRule,
    RecordRule,
    RoutingRule,
    Rule,
    ScheduleRule,
)
from .money import yuan
from .obligation_models import Obligation
from .registry import current_rules
from .rulebook import current_rulebook

Data = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A clause in a unit at a moment, with made-up facts (name and value as typed), or as a record has it."""

    clause: Clause
    unit_id: int
    at: datetime
    given: Mapping[str, str]
    record: Record | None = None

    @property
    def zone(self) -> str:
        return unit_facts(self.unit_id).timezone

    def moment(self, moment: datetime | None) -> str | None:
        """Write a moment in the unit's zone."""
        return moment.astimezone(ZoneInfo(self.zone)).isoformat() if moment else None


def explain(
    clause_id: str,
    unit_id: int,
    at: datetime,
    given: Mapping[str, str] | None = None,
    record: Record | None = None,
) -> Data:
    """Explain a clause.

    ``given`` holds fields of a record (``urgency``) and kinds of facts with their moments (``paused``); what starts
    the clock happens at ``at`` unless it is among them. With ``record`` its own facts and fields count.

    Raises:
        InvalidData: an unknown clause, or a name in ``given`` that no rule of the clause looks at.
    """
    clause = current_rulebook().clauses.get(clause_id)
    if clause is None:
        raise InvalidData({"clause": _l("No installed rulebook has the clause %(id)s", id=clause_id)})
    asked = Question(clause, unit_id, clock.as_utc(at), given or {}, record)
    found = effective(unit_id, clause, asked.at)
    rules = [one for one in current_rules().of(Rule, enabled_plugins(unit_id)) if one.clause == clause.id]
    _refuse_unknown(asked, rules)
    return {
        "clause": clause.id,
        "title": dict(clause.title),
        "text": dict(clause.text),
        "kind": clause.kind,
        "regulation": clause.regulation,
        "plugin": clause.plugin or "core",
        "plugin_on": not clause.plugin or clause.plugin in enabled_plugins(unit_id),
        "unit": unit_facts(unit_id).code,
        "timezone": asked.zone,
        "at": asked.moment(asked.at),
        "record": record.number if record else None,
        "holds": found.holds,
        "holds_from": _source(found, ""),
        "parameters": list(_parameters(found)),
        "rules": [_RULES[type(one)](asked, one, found) for one in rules if type(one) in _RULES],
        "applies": [
            {"how": b.how, "place": b.place}
            for b in coverage.bindings(enabled_plugins(unit_id))
            if b.clause == clause.id
        ],
        "obligations": list(_owed(asked)) if record else [],
    }


# --- where values come from ------------------------------------------------------------------------


def _parameters(found: Effective) -> Iterator[Data]:
    for one in found.clause.parameters:
        yield {
            "name": one.name,
            "title": dict(one.title),
            "value": plain(found.values[one.name]),
            "default": plain(one.default),
            "unit": one.unit,
            "clock": found.values.get(f"{one.name}_clock", one.clock) if one.type == "duration" else "",
            "from": _source(found, one.name),
        }


def _source(found: Effective, name: str) -> Data | None:
    """Return the version that set a value: its unit, number and first day; None for the default."""
    version = found.sources.get(name)
    if version is None:
        return None
    return {"unit": unit_facts(version.unit_id).code, "version": version.id, "since": version.starts_on.isoformat()}


def _refuse_unknown(asked: Question, rules: Sequence[Rule]) -> None:
    known = {name for rule in rules for name in _names(rule)}
    wrong = {
        name: _l("No rule of this clause looks at it; known: %(known)s", known=", ".join(sorted(known)) or "-")
        for name in asked.given
        if name not in known
    }
    if wrong:
        raise InvalidData(wrong)


def _names(rule: Rule) -> set[str]:
    """Return what a rule looks at: fields, and kinds of facts."""
    names = set(getattr(rule, "reads", ()))
    if isinstance(rule, DeadlineRule):
        names |= rule.fact_kinds
    if isinstance(rule, GateRule | RecordRule | FeeRule | ApprovalRule | ChecklistRule):
        names |= {one.name for one in _form(rule.step)}
    return names


def _form(step: str) -> Sequence[Any]:
    type_code, _, name = step.partition(".")
    kind = record_type(type_code)
    if kind is None:
        return ()
    if name == "register":
        return kind.intake
    found = words_of(type_code).transitions.get(name)
    return found.fields if found else ()


# --- deadlines -------------------------------------------------------------------------------------


def _deadline(asked: Question, rule: DeadlineRule, found: Effective) -> Data:
    snapshot = _snapshot(asked, rule.reads, rule.record_type)
    data: Data = {
        "kind": rule.kind,
        "record_type": rule.record_type,
        "starts_with": list(rule.start),
        "met_by": list(rule.meet),
        "ended_by": list(rule.stop),
        "paused_by": list(rule.pause),
        "looks_at": {name: plain(snapshot.get(name)) for name in rule.reads},
        "applies": bool(rule.applies(snapshot)),
        "of_record": asked.record is not None,
        "rule_version": rule.version,
    }
    if asked.record is not None and asked.record.type != rule.record_type:
        return data | {"applies": False}
    terms = _tried(lambda: obligations.fresh_terms(asked.unit_id, rule, found, snapshot))
    if not isinstance(terms, Terms):
        return data | terms
    calendar = unit_calendars.source_of(asked.unit_id)
    data["calendar"] = {
        "name": calendar.name if calendar else None,
        "code": calendar.code if calendar else None,
        "timezone": asked.zone,
        "version": terms.calendar.version,
    }
    data["term"] = _term(terms.term)
    data["target"] = _term(terms.target) if terms.target else None
    facts = _facts(asked, rule)
    data["facts"] = [{"kind": one.kind, "at": asked.moment(one.at)} for one in facts]
    data["episodes"] = [_episode(asked, rule, one, terms) for one in episodes(rule, facts)]
    return data


def _term(term: Term) -> Data:
    return {
        "amount": str(term.amount),
        "unit": term.unit,
        "clock": term.clock,
        "day_end": term.day_end if term.by_day else None,
        "roll_rest_day": term.roll if term.by_day else None,
    }


def _snapshot(asked: Question, names: Sequence[str], type_code: str) -> Data:
    given = {name: _typed(type_code, name, asked.given[name]) for name in names if name in asked.given}
    if asked.record is None or asked.record.type != type_code:
        return {name: given.get(name, "") for name in names}
    own = obligations.snapshots_of(asked.record.type, [asked.record.id], names).get(asked.record.id, {})
    return {**own, **given}


def _typed(type_code: str, name: str, value: str) -> Any:
    """Read a made-up field as its column holds it."""
    kind = record_type(type_code)
    column = inspect(kind.detail).columns.get(name) if kind else None
    wanted = column.type.python_type if column is not None else str
    read: Mapping[type, Callable[[str], Any]] = {int: int, Decimal: Decimal, date: date.fromisoformat}
    try:
        return read.get(wanted, str)(value)
    except (ValueError, InvalidOperation):
        raise InvalidData({name: _l("This is no value for this field")}) from None


def _facts(asked: Question, rule: DeadlineRule) -> list[Happened]:
    """Return the record's facts, or made-up ones: those given, and a start at the moment asked about."""
    if asked.record is not None:
        return obligations.facts_of(asked.record)
    kinds = words_of(rule.record_type).fact_kinds
    told = [(name, _moment(asked, name)) for name in asked.given if name in rule.fact_kinds]
    if rule.start and not any(name in rule.start for name, _ in told):
        told.insert(0, (rule.start[0], asked.at))
    made = [
        Happened(number, number, name, at, kinds[name].rank if name in kinds else 50, {})
        for number, (name, at) in enumerate(told, 1)
    ]
    return in_order(made)


def _moment(asked: Question, name: str) -> datetime:
    try:
        read = datetime.fromisoformat(asked.given[name])
    except ValueError:
        raise InvalidData({name: _l("Please enter a date and time such as 2026-01-31 09:30")}) from None
    return clock.as_utc(read if read.tzinfo else read.replace(tzinfo=ZoneInfo(asked.zone)))


def _episode(asked: Question, rule: DeadlineRule, one: Episode, terms: Terms) -> Data:
    outcome = judge(rule, one, terms)
    data: Data = {
        "started_by": one.root.kind,
        "start": asked.moment(one.root.at),
        "pauses": [{"from": asked.moment(p.start), "until": asked.moment(p.end)} for p in one.pauses],
        "met": asked.moment(one.met.at) if one.met else None,
        "ended": asked.moment(one.stopped.at) if one.stopped else None,
        **_outcome(asked, outcome),
    }
    if not outcome.problem:
        due = deadline(terms.term, one.root.at, terms.calendar, one.pauses)
        data |= _counted(terms, one, due)
    return data


def _outcome(asked: Question, outcome: Outcome) -> Data:
    over = outcome.state == "open" and outcome.due_at is not None and outcome.due_at < clock.now()
    return {
        "state": "overdue" if over else outcome.state,
        "due": asked.moment(outcome.due_at),
        "target": asked.moment(outcome.target_at),
        "warning": asked.moment(outcome.warn_at),
        "late_seconds": outcome.late_seconds,
        "late_days": outcome.late_days,
        "provisional": outcome.provisional,
        "problem": outcome.problem,
    }


def _counted(terms: Terms, one: Episode, due: Deadline) -> Data:
    days, left_out = steps(terms.term, one.root.at, due, terms.calendar)
    return {
        "provisional_years": list(due.provisional),
        "days": [
            {"day": step.day.isoformat(), "is": step.kind, "seconds": step.seconds, "number": step.number}
            for step in days
        ],
        "days_left_out": left_out,
    }


def _owed(asked: Question) -> Iterator[Data]:
    """The record's own obligations under the clause, with the terms they froze."""
    assert asked.record is not None
    mine = (Obligation.record_id == asked.record.id, Obligation.clause == asked.clause.id)
    for row in session().scalars(select(Obligation).where(*mine).order_by(Obligation.start_at, Obligation.id)):
        who = (
            session().scalar(select(User.name).where(User.id == row.responsible_id)) if row.responsible_id else None
        )
        yield {
            "state": row.state,
            "start": asked.moment(row.start_at),
            "due": asked.moment(row.due_at),
            "ended": asked.moment(row.ended_at),
            "late_seconds": row.late_seconds,
            "late_days": row.late_days,
            "responsible": who,
            "position": row.position,
            "provisional": row.provisional,
            "terms": row.terms,
        }


# --- the other kinds -------------------------------------------------------------------------------


def _step(asked: Question, name: str) -> Step | None:
    """Return a step of the record asked about, filled with what was given; None without a record."""
    if asked.record is None or name.partition(".")[0] != asked.record.type:
        return None
    kind, flow = record_type(asked.record.type), flow_of(asked.record)
    transition = flow.transitions.get(name.partition(".")[2])
    if kind is None or transition is None:
        return None
    fields = [one for one in transition.fields if one.name in asked.given]
    step = Step(asked.record, kind, flow, transition, asked.at)
    step.values = {one.name: None for one in transition.fields} | clean(fields, asked.given, timezone=asked.zone)
    return step


def _tried(call: Callable[[], Any]) -> Any:
    """Rules of plugins may need more of a form than was given: that is an answer, too."""
    try:
        return call()
    except (AppError, KeyError, TypeError, AttributeError, ValueError) as error:
        return {"cannot_tell": str(error) or type(error).__name__}


def _gate(asked: Question, rule: GateRule, found: Effective) -> Data:
    step = _step(asked, rule.step)
    reason = _tried(lambda: rule.check(step, found.values)) if step else None
    data: Data = {"kind": rule.kind, "step": rule.step, "needs_form": rule.needs_form, "asked": step is not None}
    if step:
        data["refused"] = str(reason) if reason and not isinstance(reason, dict) else reason
    return data


def _record(asked: Question, rule: RecordRule, _found: Effective) -> Data:
    values = dict(asked.given)
    missing = [name for name in rule.fields if not values.get(name)] if _tried(lambda: rule.when(values)) else []
    return {"kind": rule.kind, "step": rule.step, "fields": list(rule.fields), "missing": missing}


def _routing(asked: Question, rule: RoutingRule, found: Effective) -> Data:
    snapshot = _snapshot(asked, rule.reads, rule.step.partition(".")[0])
    data: Data = {"kind": rule.kind, "step": rule.step, "looks_at": {k: plain(v) for k, v in snapshot.items()}}
    if rule.position:
        data["position"] = _tried(lambda: rule.position(snapshot, found.values) if rule.position else "")
    if rule.priority:
        data["priority"] = _tried(lambda: rule.priority(snapshot, found.values) if rule.priority else None)
    return data


def _fee(asked: Question, rule: FeeRule, found: Effective) -> Data:
    step = _step(asked, rule.step)
    data: Data = {"kind": rule.kind, "step": rule.step, "asked": step is not None}
    if step:
        lines = _tried(lambda: [_line(one) for one in rule.lines(step, found.values)])
        data["lines"] = lines
    return data


def _line(one: Any) -> Data:
    return {
        "code": one.code,
        "label": str(one.label),
        "payer": one.payer,
        "quantity": str(one.quantity),
        "price": str(one.price),
        "amount": str(yuan(one.quantity * one.price)),
    }


def _penalty(_asked: Question, rule: PenaltyRule, found: Effective) -> Data:
    figures = penalties.figures_of(rule, found.values)
    amounts = {name: plain(getattr(figures, name)) for name in ("amount", "least", "most", "per_day", "cap")}
    return {"kind": rule.kind, "after_breach_of": list(rule.broken), **amounts}


def _approval(asked: Question, rule: ApprovalRule, found: Effective) -> Data:
    step = _step(asked, rule.step)
    position = rule.position or str(found.values[rule.position_from])
    data: Data = {"kind": rule.kind, "step": rule.step, "position": position, "asked": step is not None}
    if step:
        data["wanted"] = _tried(lambda: rule.wanted is None or bool(rule.wanted(step, found.values)))
        data["amount"] = plain(_tried(lambda: rule.amount(step, found.values) if rule.amount else None))
    return data


def _schedule(asked: Question, rule: ScheduleRule, found: Effective) -> Data:
    interval = schedules.interval_of(found, rule.interval)
    first = schedules.first_day_of(asked.unit_id)
    anchor = schedules.anchor_of(interval, first, int(found.values.get("anchor_day", 1) or 1))
    day = clock.day_in(asked.zone, asked.at)
    if rule.today and day == clock.day_in(asked.zone, clock.now()):
        day = rule.today(asked.unit_id)
    begins = schedules.begin_of(anchor, interval, day)
    until = schedules.nth(begins, interval, 3)
    periods = schedules.due_periods(begins, interval, begins, until, schedules.shift_of(asked.unit_id, found))
    return {
        "kind": rule.kind,
        "every": {"amount": interval.amount, "unit": interval.unit},
        "makes": rule.makes or "task",
        "counted_from": anchor.isoformat(),
        "periods": [
            {"from": one.first.isoformat(), "to": one.last.isoformat(), "due": one.due.isoformat()}
            for one in periods[:3]
        ],
    }


def _checklist(_asked: Question, rule: ChecklistRule, found: Effective) -> Data:
    least = found.values[rule.least] if rule.least else len(rule.items)
    items = [{"code": code, "label": str(label)} for code, label in rule.items]
    return {"kind": rule.kind, "step": rule.step, "field": rule.field, "least": plain(least), "items": items}


_RULES: Mapping[type, Callable[..., Data]] = {
    DeadlineRule: _deadline,
    GateRule: _gate,
    RecordRule: _record,
    RoutingRule: _routing,
    FeeRule: _fee,
    PenaltyRule: _penalty,
    ApprovalRule: _approval,
    ScheduleRule: _schedule,
    ChecklistRule: _checklist,
}
