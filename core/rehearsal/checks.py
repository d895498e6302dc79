"""Holds what a scenario expects against what is there; tells every difference in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session
from core.kernel.errors import AppError
from core.records.engine import detail_of
from core.records.models import Fact, Record
from core.rules import charges
from core.rules.approval_models import Approval
from core.rules.charge_models import VOID, Charge, Penalty
from core.rules.clocks import late_by
from core.rules.fold import thaw_term
from core.rules.obligation_models import OPEN, Obligation
from core.rules.unit_calendars import thaw
from core.tasks.models import Task

from . import vocabulary as words
from .acts import invalid_fields, refusals_of
from .reading import END_OF_DAY, Duration, spoken_duration
from .scene import Scene
from .script import Expected, Step

Wants = Mapping[str, Any]


class Look:
    """What there is to see after a step: the database, and how the step went."""

    def __init__(self, step: Step, scene: Scene, error: AppError | None, left: Mapping[str, Any]) -> None:
        self.step, self.scene, self.error, self.left = step, scene, error, left

    def problems(self, one: Expected) -> Iterator[Any]:
        """Yield what is not as expected."""
        if one.word in words.OF_RECORD and one.on not in self.scene.records:
            yield _l("There is no record %(name)s", name=one.on)
            return
        yield from _CHECKS[one.word](self, one)

    def record(self, one: Expected) -> Record:
        """Return the record an expectation is about."""
        own = select(Record).where(Record.id == self.scene.records[one.on])
        return session().scalars(own.execution_options(populate_existing=True)).one()

    def said(self, value: Any) -> str:
        """Put a value into words as the file writes it."""
        if isinstance(value, datetime):
            return said_moment(value, self.step.zone)
        if value is None or value == "":
            return words.NONE
        return str(value)

    def person(self, user_id: int | None) -> str:
        """Return what the file calls a user."""
        return next((name for name, key in self.scene.actors.items() if key == user_id), words.NONE)

    def compare(self, wants: Wants, have: Mapping[str, Any]) -> Iterator[Any]:
        """Yield a line for every word whose value differs."""
        for name, wanted in wants.items():
            if name in have and not _same(wanted, have[name]):
                yield _l(
                    "%(name)s: expected %(wanted)s, but it is %(found)s",
                    name=name,
                    wanted=self.said(wanted),
                    found=self.said(have[name]),
                )

    def listed(self, one: Expected, rows: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        """Yield why no row is as wanted; where there is none of it, what there is instead."""
        if words.NONE in one.wants:
            if rows:
                yield _l("none is expected, but there is: %(rows)s", rows=self._rows(rows))
            return
        if any(not list(self.compare(one.wants, row)) for row in rows):
            return
        wanted = self._rows([one.wants])
        if len(rows) == 1:
            yield from self.compare(one.wants, rows[0])
        elif rows:
            yield _l("expected %(wanted)s; there is: %(rows)s", wanted=wanted, rows=self._rows(rows))
        else:
            yield _l("expected %(wanted)s; there is none", wanted=wanted)

    def _rows(self, rows: Sequence[Mapping[str, Any]]) -> str:
        return "; ".join(
            ", ".join(f"{n} {self.said(v)}" for n, v in row.items() if v not in (None, "")) for row in rows
        )


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Duration):
        return bool(wanted.all_seconds == found)
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(found, Decimal) or isinstance(wanted, Decimal):
        return found is not None and Decimal(str(wanted)) == Decimal(str(found))
    if isinstance(wanted, datetime):
        return bool(found is not None and clock.as_utc(wanted) == clock.as_utc(found))
    return (
        wanted == found or (wanted in (None, "", words.NONE) and found in (None, "")) or str(wanted) == str(found)
    )


def said_moment(moment: datetime, zone: str) -> str:
    """Write a moment as the file does, in a zone."""
    local = moment.astimezone(ZoneInfo(zone))
    text = local.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
    return text.replace(END_OF_DAY, "24:00")


# --- how the step went -----------------------------------------------------------------------------


def _refused(look: Look, one: Expected) -> Iterator[Any]:
    if look.error is None:
        yield _l("a refusal is expected, but the step went through")
        return
    found = refusals_of(look.error)
    if not found:
        yield _l("a refusal is expected, but: %(told)s", told=told(look.error))
        return
    wants = one.wants
    because = wants.get("because")
    for refusal in found:
        fits = because in (None, refusal.clause, refusal.code)
        fits = fits and wants.get("clause", refusal.clause) == refusal.clause
        fits = fits and wants.get("code", refusal.code) == refusal.code
        if fits and wants.get("says", "") in str(refusal.text):
            return
    wanted = ", ".join(str(value) for value in wants.values())
    yield _l("a refusal by %(wanted)s is expected, but: %(told)s", wanted=wanted, told=told(look.error))


def told(error: AppError) -> str:
    """Return everything an error says, with fields, clauses and reasons' codes."""
    refusals = refusals_of(error)
    if refusals:
        return "; ".join(f"{one.clause or one.code}: {one.text}" for one in refusals)
    fields = invalid_fields(error)
    if fields:
        return "; ".join(f"{name}: {text}" for name, texts in fields.items() for text in texts)
    return "; ".join(str(text) for text in error.texts())


def _invalid(look: Look, one: Expected) -> Iterator[Any]:
    if look.error is None:
        yield _l("a message beside a field is expected, but the step went through")
        return
    found = invalid_fields(look.error)
    wants = one.wants
    texts = {name: " ".join(map(str, found[name])) for name in found if wants.get("field", name) == name}
    marks = (wants.get("says", ""), wants.get("clause", ""))
    if not any(all(mark in text for mark in marks) for text in texts.values()):
        wanted = ", ".join(str(value) for value in wants.values())
        yield _l("a message beside %(wanted)s is expected, but: %(told)s", wanted=wanted, told=told(look.error))


def _imported(look: Look, one: Expected) -> Iterator[Any]:
    counts = look.left.get("imported", {})
    yield from look.compare(one.wants, {name: counts.get(name, 0) for name in one.wants})


# --- the record ------------------------------------------------------------------------------------


def _state(look: Look, one: Expected) -> Iterator[Any]:
    yield from look.compare(one.wants, {"is": look.record(one).state})


def _category(look: Look, one: Expected) -> Iterator[Any]:
    yield from look.compare(one.wants, {"is": look.record(one).category})


def _assignee(look: Look, one: Expected) -> Iterator[Any]:
    wants = {"is": words.NONE} if words.NONE in one.wants else one.wants
    yield from look.compare(wants, {"is": look.person(look.record(one).assignee_id)})


def _next_due(look: Look, one: Expected) -> Iterator[Any]:
    wants = {"is": None} if words.NONE in one.wants else one.wants
    yield from look.compare(wants, {"is": look.record(one).next_due_at})


def _field(look: Look, one: Expected) -> Iterator[Any]:
    record = look.record(one)
    detail = detail_of(record)
    if detail is not None:
        session().refresh(detail)
    have = {
        name: getattr(detail, name) if hasattr(detail, name) else getattr(record, name, None) for name in one.wants
    }
    yield from look.compare(one.wants, have)


def _fact(look: Look, one: Expected) -> Iterator[Any]:
    own = select(Fact).where(Fact.record_id == look.scene.records[one.on], Fact.kind == one.wants["kind"])
    found = session().scalars(own.order_by(Fact.seq)).all()
    if "count" in one.wants and one.wants["count"] != len(found):
        yield _l(
            "%(name)s: expected %(wanted)s, but it is %(found)s",
            name="count",
            wanted=one.wants["count"],
            found=len(found),
        )
        return
    if one.wants.get("count") == 0:
        return
    rows = [{"kind": f.kind, "at": f.at, "by": look.person(f.actor_id), "note": f.note} for f in found]
    yield from look.listed(one, rows)


def _obligation(look: Look, one: Expected) -> Iterator[Any]:
    mine = (Obligation.record_id == look.scene.records[one.on], Obligation.clause == one.wants["clause"])
    found = session().scalars(select(Obligation).where(*mine).order_by(Obligation.start_at, Obligation.id)).all()
    if one.wants.get("state") == words.ABSENT:
        if found:
            yield _l("nothing is expected to be owed, but there is: %(state)s", state=_obligation_state(found[-1]))
        return
    number = one.wants.get("episode", len(found))
    if not found or not 1 <= number <= len(found):
        yield _l("nothing is owed under %(clause)s", clause=one.wants["clause"])
        return
    row = found[number - 1]
    wants = {name: value for name, value in one.wants.items() if name not in ("clause", "episode", "late_by")}
    have = {
        "state": _obligation_state(row),
        "due": row.due_at,
        "target": row.target_at,
        "started": row.start_at,
        "ended": row.ended_at,
        "responsible": look.person(row.responsible_id),
        "provisional": row.provisional,
    }
    yield from look.compare(wants, have)
    if "late_by" in one.wants:
        yield from _late_by(row, one.wants["late_by"])


def _obligation_state(row: Obligation) -> str:
    over = row.state == OPEN and row.due_at is not None and row.due_at < clock.now()
    return words.OVERDUE if over else row.state


def _late_by(row: Obligation, wanted: Duration) -> Iterator[Any]:
    """Days are those of a term in days, by its own clock; everything else is its clock's seconds."""
    term = thaw_term(row.terms["term"])
    seconds, days = row.late_seconds, row.late_days
    if row.state == OPEN and row.due_at is not None:
        late = late_by(term, row.due_at, clock.now(), thaw(row.terms["calendar"]))
        seconds, days = late.seconds, late.days
    by_days = term.by_day and wanted.days and not wanted.seconds
    if (days, 0) == (wanted.days, wanted.seconds) if by_days else seconds == wanted.all_seconds:
        return
    found = f"{days}d" if by_days else spoken_duration(seconds)
    yield _l("%(name)s: expected %(wanted)s, but it is %(found)s", name="late_by", wanted=wanted, found=found)


# --- money, approvals, tasks -----------------------------------------------------------------------


def _charge(look: Look, one: Expected) -> Iterator[Any]:
    own = select(Charge).where(Charge.record_id == look.scene.records[one.on], Charge.state != VOID)
    if one.wants.get("state") == VOID:
        own = select(Charge).where(Charge.record_id == look.scene.records[one.on])
    rows = [
        {
            "clause": row.clause,
            "code": row.code,
            "label": row.label,
            "payer": row.payer,
            "amount": row.amount,
            "state": row.state,
        }
        for row in session().scalars(own.order_by(Charge.id))
    ]
    yield from look.listed(one, rows)


def _total(look: Look, one: Expected) -> Iterator[Any]:
    """What is payable in the end: charged less waived, of one payer or of all."""
    found = charges.totals(look.scene.records[one.on])
    payer = one.wants.get("payer")
    amount = sum((t.payable for t in found if payer in (None, t.payer)), Decimal("0.00"))
    yield from look.compare({"amount": one.wants["amount"]}, {"amount": amount})


def _penalty(look: Look, one: Expected) -> Iterator[Any]:
    own = select(Penalty).where(Penalty.record_id == look.scene.records[one.on]).order_by(Penalty.id)
    rows = [
        {
            "clause": row.clause,
            "broken": row.broken,
            "amount": row.amount,
            "least": row.least,
            "most": row.most,
            "against": look.person(row.user_id),
            "state": row.state,
        }
        for row in session().scalars(own)
    ]
    yield from look.listed(one, rows)


def _approval(look: Look, one: Expected) -> Iterator[Any]:
    own = select(Approval).where(Approval.unit_id == look.scene.units[look.step.unit]).order_by(Approval.id)
    if one.on in look.scene.records:
        own = own.where((Approval.record_id == look.scene.records[one.on]) | Approval.record_id.is_(None))
    rows = [
        {"clause": row.clause, "position": row.position, "amount": row.amount, "state": row.state}
        for row in session().scalars(own)
    ]
    yield from look.listed(one, rows)


def _task(look: Look, one: Expected) -> Iterator[Any]:
    """Tasks of the unit under a clause; due is the last day of the period they are for."""
    own = select(Record, Task).join(Task, Task.id == Record.id).where(Task.clause == one.wants["clause"])
    own = own.where(Record.unit_id == look.scene.units[look.step.unit]).order_by(Record.id)
    found = session().execute(own).all()
    if "count" in one.wants and one.wants["count"] != len(found):
        yield _l(
            "%(name)s: expected %(wanted)s, but it is %(found)s",
            name="count",
            wanted=one.wants["count"],
            found=len(found),
        )
        return
    if one.wants.get("count") == 0:
        return
    rows = [{"clause": task.clause, "state": record.state, "due": task.due_on} for record, task in found]
    yield from look.listed(one, rows)


_CHECKS: Mapping[str, Callable[[Look, Expected], Iterator[Any]]] = {
    "refused": _refused,
    "invalid": _invalid,
    "imported": _imported,
    "state": _state,
    "category": _category,
    "assignee": _assignee,
    "next_due": _next_due,
    "field": _field,
    "fact": _fact,
    "obligation": _obligation,
    "charge": _charge,
    "total": _total,
    "penalty": _penalty,
    "approval": _approval,
    "task": _task,
}
