"""``perform``: the one way to change a record's state, called alike by screens, API, jobs and rehearsals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, inspect, or_, select, update
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.orm.util import identity_key

from core.kernel import clock, outbox, search
from core.kernel.access import may, require
from core.kernel.audit import plain
from core.kernel.database import current_scope, fetch, insert_once, on_refusal, session, transaction
from core.kernel.errors import AppError, ClosedUnit, Conflict, InvalidData, NotAllowed, NotFound, Refusal, Refused
from core.kernel.fields import clean
from core.kernel.hooks import hooks_for
from core.kernel.ids import read_id, uuid7
from core.kernel.numbering import draw
from core.units.facts import unit_facts
from core.units.switches import enabled_plugins

from . import ports
from .models import CANCELLED, CLOSED, OPEN_CATEGORIES, PAUSED, Fact, Idempotency, Link, Record, RefusalLog
from .types import RecordType, mirrored_roles, record_type, record_types, workflow_of
from .workflow import RESUME, FactKind, Transition, Workflow

MAX_DEPTH = 5
CLOCK_SLACK = timedelta(minutes=5)  # a phone's clock may run a little ahead of the server's
_OFFICE_FIRST = _l("The office has something to settle first; please ask there")


@dataclass
class Step:
    """One transition of one record, being asked about or performed."""

    record: Record
    kind: RecordType
    flow: Workflow
    transition: Transition
    at: datetime
    values: dict[str, Any] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)

    @cached_property
    def detail(self) -> Any:
        """The record's own fields (a row of the type's detail table)."""
        return detail_of(self.record)

    def add_fact(self, kind: str, **options: Any) -> Fact:
        """Write a further fact of this step (same options as ``append_fact``)."""
        made = append_fact(self.record, self.flow.fact_kinds[kind], **{"at": self.at, **options})
        self.facts.append(made)
        return made


@dataclass(frozen=True)
class Answer:
    """What ``ask`` says of one transition: allowed, or why not."""

    transition: Transition
    refusals: tuple[Refusal, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.refusals


# --- reading ---------------------------------------------------------------------------------


def detail_of(record: Record) -> Any:
    """Load the detail row of a record; None when its type's plugin is not installed."""
    kind = record_type(record.type)
    if kind is None:
        return None
    # Gates, panels and rules all ask: what this session holds of a record in its scope is not read again.
    held = session().identity_map.get(identity_key(kind.detail, record.id))
    if held is None or inspect(held).expired:
        held = session().scalars(select(kind.detail).where(kind.detail.id == record.id)).first()
        record.__dict__["_detail"] = held  # lives as long as the record does
    return held


def fetch_visible(record_id: object) -> Record:
    """Fetch a record the actor may view: by permission in its unit, or as its assignee.

    Raises:
        NotFound: malformed, missing, foreign, or not for this actor.
    """
    record = fetch(Record, record_id)
    if not may_act(record, "case.view") or kept_from(record):
        raise NotFound()
    return record


def kept_from(record: Record) -> bool:
    """Tell whether a record is of a type that only some of the staff read, and the actor is none of them."""
    kind = record_type(record.type)
    if kind is None or not kind.readers or any(may(one, record.unit_id) for one in kind.readers):
        return False
    actor = current_scope().actor_id
    return actor is None or kind.concerns is None or not kind.concerns(record, actor)


def read_by_some(units: frozenset[int]) -> list[ColumnElement[bool]]:
    """Return the conditions that keep types which only some of the staff read out of a list of ``units``."""
    conditions: list[ColumnElement[bool]] = []
    held = current_scope().permissions
    for kind in record_types():
        reading = frozenset(unit for unit, codes in held.items() if codes & set(kind.readers))
        if kind.readers and not units <= reading:
            conditions.append(or_(Record.type != kind.code, Record.unit_id.in_(reading)))
    return conditions


def may_act(record: Record, permission: str) -> bool:
    """Tell whether the actor may do something to a record: by permission in its unit, or as its assignee."""
    return may(permission, record.unit_id) or _is_assignee(record)


def sees_inside(record: Record) -> bool:
    """Tell whether the actor sees what is meant for the unit's own staff.

    An assignee who may not see cases, somebody of another company, sees of a record only what the customer may see
    and what they did themselves.
    """
    return may("case.view", record.unit_id)


def may_read(record: Record, permission: str) -> bool:
    """As ``may_act``, for looking at what is meant for staff: an assignee needs to be one of them."""
    return may(permission, record.unit_id) or (_is_assignee(record) and sees_inside(record))


def _outward(record: Record, refusals: Sequence[Refusal]) -> Sequence[Refusal]:
    """Return reasons as the actor may read them; of those ``inside`` an outsider is told that there are some."""
    if not any(one.inside for one in refusals) or sees_inside(record) or not _is_assignee(record):
        return refusals
    return [*(one for one in refusals if not one.inside), Refusal("inside", _OFFICE_FIRST)]


def require_act(record: Record, permission: str) -> None:
    """Pass if ``may_act``.

    Raises:
        NotAllowed: they may not.
    """
    if not may_act(record, permission):
        raise NotAllowed(permission)


def _is_assignee(record: Record) -> bool:
    actor = current_scope().actor_id
    return actor is not None and record.assignee_id == actor


def flow_of(record: Record) -> Workflow:
    """Return the workflow that holds for a record in its unit today.

    Raises:
        NotFound: the record's type belongs to a plugin that is not installed or not enabled.
    """
    kind, enabled = record_type(record.type), enabled_plugins(record.unit_id)
    if kind is None or (kind.plugin and kind.plugin not in enabled):
        raise NotFound(_l("The plugin of this record is not switched on here"))
    return workflow_of(record.type, enabled)


def unit_zone(record: Record) -> str:
    """Return the time zone (IANA name) of the record's unit."""
    return unit_facts(record.unit_id).timezone


def ask(record: Record) -> list[Answer]:
    """Tell for every transition whether it is allowed now, and if not why. Writes nothing."""
    try:
        flow = flow_of(record)
    except NotFound:
        return []
    detail = detail_of(record)
    answers = []
    for transition in sorted(flow.transitions.values(), key=lambda t: (t.weight, t.name)):
        step = Step(record, cast(RecordType, record_type(record.type)), flow, transition, clock.now())
        step.__dict__["detail"] = detail
        answers.append(Answer(transition, tuple(_outward(record, _refusals(step, asking=True)))))
    return answers


# --- performing ------------------------------------------------------------------------------


def perform(
    record_id: object,
    name: str,
    raw: Mapping[str, Any] | None = None,
    *,
    at: datetime | None = None,
    key: str = "",
    version: int | None = None,
    permitted: bool = False,
) -> Record:
    """Move a record along transition ``name`` with the form input ``raw``.

    ``at`` is the business time of the step (default: now; never in the future). ``key`` makes a
    retry harmless. ``version`` is the record version the user saw. ``permitted``: the service that takes the step,
    because it follows from something else, has asked for its own permission.

    Raises:
        NotFound: no such record or transition in this unit.
        NotAllowed, Refused, InvalidData: all refusals at once; nothing is changed.
        Conflict: somebody else changed the record since ``version``.
    """
    raw = raw or {}
    with transaction(), _undone_alone():
        record = _lock_with_mirrors(record_id)
        if answered_before(record.unit_id, key, f"perform:{name}:{record.id}", raw):
            return record
        if version is not None and version != record.version:
            raise Conflict()
        step = _prepare(record, name, at)
        against = _refusals(step, asking=True)
        _refuse(step, [one for one in against if not (permitted and one.code == "permission")])
        step.values = clean(step.transition.fields, raw, timezone=unit_zone(record))
        if step.values.get("at") is not None:
            step.at = business_time(step.values["at"], record)
        _refuse(step, _refusals(step, asking=False))
        _carry_out(step)
        remember_answer(record.unit_id, key, {"record": record.id})
        outbox.publish(f"record.{name}", record.unit_id, {"record_id": record.id, "type": record.type})
        try:
            session().flush()
        except StaleDataError:
            raise Conflict() from None
        return record


def create_record(
    kind: RecordType,
    unit_id: int,
    detail: Any,
    *,
    title: str,
    customer_id: int | None,
    received_at: datetime,
    permission: str,
    facts: Sequence[tuple[str, Mapping[str, Any]]],
    number: str = "",
    assignee_id: int | None = None,
    priority: int = 3,
    uid: UUID | None = None,
    then: Callable[[Record], None] | None = None,
) -> Record:
    """Create a record with its detail row and first facts (kind, data), all at ``received_at``.

    ``then`` is further work on the new record (files, parts of the form); after it the number is drawn, last of
    all, so that nobody waits for the counter meanwhile. ``uid``: one that was told to somebody beforehand. The
    caller announces the record (``register_done``) when its own work is done.

    Raises:
        NotAllowed: the actor lacks ``permission`` in the unit.
    """
    require(permission, unit_id)
    moment = clock.now()
    flow = workflow_of(kind.code, enabled_plugins(unit_id))
    uid = uid or uuid7()
    routed = _routed(kind, unit_id, detail)
    with transaction() as work:
        record = Record(
            uid=uid,
            unit_id=unit_id,
            type=kind.code,
            number=number or uid.hex,
            title=title[:200],
            state=flow.initial,
            category=flow.states[flow.initial].category,
            customer_id=customer_id,
            assignee_id=assignee_id,
            priority=priority if routed.priority is None else routed.priority,
            owner_position=routed.position,
            received_at=received_at,
            entered_at=moment,
            # Known beforehand, so that one INSERT does.
            fact_seq=len(facts),
        )
        work.add(record)
        work.flush()
        detail.id, detail.unit_id = record.id, unit_id
        written = [
            _fact(
                record,
                flow.fact_kinds[code],
                seq,
                at=received_at,
                data=data if seq > 1 else {**data, **routed.data},
            )
            for seq, (code, data) in enumerate(facts, start=1)
        ]
        work.add_all([detail, *written])
        work.flush()
        follow(record, written)
        _tell_plugins(record, "register", written)
        if routed.tell:
            routed.tell(record)
        if then:
            then(record)
        if not number:
            # What follows from the facts (the next limit) is written with the number, in one statement.
            with work.no_autoflush:
                record.number = _draw_number(kind, unit_id, received_at)
        # A plugin or ``then`` that performed a step has indexed the record already.
        index(record, detail, fresh=record.fact_seq == len(facts))
        return record


def _routed(kind: RecordType, unit_id: int, detail: Any) -> ports.Routed:
    found = ports.Routed()
    for router in ports.new_routers:
        found = router(kind.code, unit_id, detail)
    return found


def register_done(record: Record) -> None:
    """Announce a newly created record (outbox); the last step of an intake service."""
    outbox.publish("record.registered", record.unit_id, {"record_id": record.id, "type": record.type})


def index(record: Record, detail: Any = None, *, fresh: bool = False) -> None:
    """Refresh the words a record is found by. ``fresh``: it was never indexed."""
    kind = record_type(record.type)
    if kind is None or kind.search_text is None:
        return
    words = kind.search_text(record, detail if detail is not None else detail_of(record))
    search.put(record.type, record.id, record.unit_id, words, fresh=fresh)


def lock(record_id: object) -> Record:
    """Read a record inside the scope and lock its row until the transaction ends.

    Raises:
        NotFound: malformed, unknown or foreign id.
        ClosedUnit: a unit the actor may only read.
    """
    key = record_id if isinstance(record_id, int) else read_id(record_id)
    if key is None:
        raise NotFound()
    statement = select(Record).where(Record.id == key).with_for_update().execution_options(populate_existing=True)
    found = session().scalars(statement).first()
    if found is None:
        raise NotFound()
    if found.unit_id not in current_scope().write:
        raise ClosedUnit()
    return found


def _lock_with_mirrors(record_id: object) -> Record:
    """Lock a record after those of lower id that its facts are mirrored on: in id order nobody waits in circles."""
    key = record_id if isinstance(record_id, int) else read_id(record_id)
    roles = mirrored_roles()
    if key is not None and roles:
        lower = select(Link.to_id).where(Link.from_id == key, Link.to_id < key, Link.role.in_(roles))
        for other in sorted(set(session().scalars(lower))):
            lock(other)
    return lock(record_id)


def append_fact(
    record: Record,
    kind: FactKind,
    *,
    at: datetime,
    data: Mapping[str, Any] | None = None,
    note: str = "",
    visible: bool | None = None,
    actor_id: int | None = None,
) -> Fact:
    """Append a fact to a locked record, mirrored on linked records where its kind says so."""
    record.fact_seq += 1
    fact = _fact(record, kind, record.fact_seq, at=at, data=data, note=note, visible=visible, actor_id=actor_id)
    session().add(fact)
    if kind.propagates:
        _mirror(record, kind, fact)
    return fact


def _fact(
    record: Record,
    kind: FactKind,
    seq: int,
    *,
    at: datetime,
    data: Mapping[str, Any] | None = None,
    note: str = "",
    visible: bool | None = None,
    actor_id: int | None = None,
) -> Fact:
    return Fact(
        record_id=record.id,
        unit_id=record.unit_id,
        seq=seq,
        kind=kind.code,
        at=at,
        entered_at=clock.now(),
        actor_id=actor_id if actor_id is not None else current_scope().actor_id,
        visible_to_customer=kind.visible_to_customer if visible is None else visible,
        note=note,
        data=dict(data or {}),
    )


def record_fact(
    record_id: object,
    kind_code: str,
    *,
    at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
    note: str = "",
    visible: bool | None = None,
    permission: str = "case.handle",
) -> Fact:
    """Enter something that happened, without a change of state (also late: it is then marked 补录).

    Raises:
        NotFound: unknown record, or a kind staff cannot enter by itself.
        NotAllowed: the actor may not handle the record.
        InvalidData: a time in the future, before the record was received, or not backdatable.
    """
    with transaction() as work:
        record = lock(record_id)
        kind = flow_of(record).fact_kinds.get(kind_code)
        if kind is None or not kind.enterable:
            raise NotFound()
        require_act(record, permission)
        moment = business_time(at, record)
        if not kind.backdatable and clock.now() - moment > CLOCK_SLACK:
            raise InvalidData({"at": _l("This cannot be entered for a past time")})
        fact = append_fact(record, kind, at=moment, data=data, note=note, visible=visible)
        work.flush()
        tell_of_fact(record, fact)
        return fact


def business_time(at: datetime | None, record: Record) -> datetime:
    """Check the business time of a fact; a moment ahead of the server's clock counts as now.

    Raises:
        InvalidData: in the future, before the record was received, or earlier than the actor may enter.
    """
    now = clock.now()
    if at is None:
        return now
    at = clock.as_utc(at)
    if at > now + CLOCK_SLACK:
        raise InvalidData({"at": _l("This time lies in the future")})
    # Forms know minutes only: the minute of receipt itself counts as the moment of receipt.
    if at < record.received_at.replace(second=0, microsecond=0):
        raise InvalidData({"at": _l("This is before the request was received")})
    at = max(at, record.received_at)
    if now - at > CLOCK_SLACK and not may("case.backdate", record.unit_id):
        raise InvalidData({"at": _l("Your position does not allow entering what happened earlier")})
    return min(at, now)


def link_records(from_id: int, to_id: int, role: str) -> None:
    """Link two records of the scope; linking twice is the same as once."""
    work = session()
    for side in (from_id, to_id):
        if work.scalar(select(Record.id).where(Record.id == side)) is None:
            raise NotFound()
    found = select(Link.id).where(Link.from_id == from_id, Link.to_id == to_id, Link.role == role)
    if work.scalar(found) is None:
        unit_id = work.scalar(select(Record.unit_id).where(Record.id == from_id))
        work.add(Link(from_id=from_id, to_id=to_id, role=role, unit_id=unit_id))
        work.flush()


# --- idempotency -----------------------------------------------------------------------------


def answered_before(
    unit_id: int, key: str, action: str, raw: Mapping[str, Any], answer: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return the first answer given under ``key``; None means: go on, the key is now this transaction's.

    A second request with the same key waits here for the first one and then gets its answer. ``answer`` is what
    this one will answer, where that is known beforehand; else ``remember_answer`` says it at the end.

    Raises:
        Conflict: the key was used before with other input.
    """
    if not key or _claim(unit_id, key, action, raw, answer or {}):
        return None
    row = session().scalars(select(Idempotency).where(*_key_of(unit_id, key))).one()
    if row.action != action[:80] or row.fingerprint != _fingerprint(raw):
        raise Conflict(_l("This request key was already used for something else"))
    return row.answer or None


def _claim(unit_id: int, key: str, action: str, raw: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Write the key's row; False when it is there already (after waiting for its writer)."""
    row = {
        "unit_id": unit_id,
        "actor_id": current_scope().actor_id or 0,
        "key": key[:80],
        "action": action[:80],
        "fingerprint": _fingerprint(raw),
        "answer": dict(answer),
        "at": clock.now(),
    }
    return insert_once(Idempotency, row)


def remember_answer(unit_id: int, key: str, answer: Mapping[str, Any]) -> None:
    """Keep the answer of a finished action under its key, in the same transaction."""
    if not key:
        return
    kept = update(Idempotency).where(*_key_of(unit_id, key)).values(answer=dict(answer))
    session().execute(kept, execution_options={"synchronize_session": False})


def _key_of(unit_id: int, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        Idempotency.unit_id == unit_id,
        Idempotency.actor_id == (current_scope().actor_id or 0),
        Idempotency.key == key[:80],
    )


def _fingerprint(raw: Mapping[str, Any]) -> str:
    text = json.dumps(raw, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# --- inside ----------------------------------------------------------------------------------


def _undone_alone() -> AbstractContextManager[object]:
    """Inside another step's hooks a step has a savepoint: who catches its failure finds nothing half done."""
    work = session()
    return work.begin_nested() if work.info.get("perform_depth") else nullcontext()


def _prepare(record: Record, name: str, at: datetime | None) -> Step:
    flow = flow_of(record)
    transition = flow.transitions.get(name)
    if transition is None:
        raise NotFound(_l("There is no such step"))
    kind = cast(RecordType, record_type(record.type))
    return Step(record, kind, flow, transition, business_time(at, record))


def _refusals(step: Step, *, asking: bool) -> list[Refusal]:
    """Collect every reason against the step. ``asking``: the form has not been filled yet."""
    record, transition = step.record, step.transition
    found = []
    if asking:
        if record.state not in transition.sources:
            label = step.flow.states[record.state].label
            found.append(Refusal("state", _l("Not possible while the state is “%(state)s”", state=label)))
        allowed = may(transition.permission, record.unit_id) or _may_as_assignee(step)
        if not (allowed or any(lets(step) for lets in ports.allowances)):
            found.append(Refusal("permission", _l("Your position does not allow this")))
    for guard in transition.guards:
        if guard.needs_form == asking or _is_switched_off(guard.clause, record.unit_id):
            continue
        reason = guard.check(step)
        if reason:
            found.append(Refusal(guard.code, reason, guard.clause))
    for gate in ports.gates:
        found.extend(gate(step, asking))
    return found


def _may_as_assignee(step: Step) -> bool:
    if not (step.transition.assignee_may and _is_assignee(step.record)):
        return False
    return not step.transition.inside or sees_inside(step.record)


def _is_switched_off(clause: str, unit_id: int) -> bool:
    """A guard that names a clause holds as long as the clause does; one that the rulebook does not know always."""
    return bool(clause) and any(is_off(unit_id, clause) for is_off in ports.clause_is_off)


def _refuse(step: Step, refusals: Sequence[Refusal]) -> None:
    if not refusals:
        return
    if any(r.code == "permission" for r in refusals):
        raise NotAllowed(step.transition.permission)
    keep_evidence(step.record, step.transition.name, refusals)
    raise Refused(_outward(step.record, refusals))


def keep_evidence(record: Record, name: str, refusals: Sequence[Refusal]) -> None:
    """Keep what was refused and why. The refusal rolls everything back; the rows are written right after that."""
    actor, moment = current_scope().actor_id, clock.now()
    rows = [
        {
            "record_id": record.id,
            "unit_id": record.unit_id,
            "transition": name[:60],
            "code": r.code,
            "clause": r.clause,
            "text": str(r.text)[:400],
            "at": moment,
            "actor_id": actor,
        }
        for r in refusals
    ]
    record_id = record.id
    on_refusal(lambda: _write_evidence(record_id, rows))


def _write_evidence(record_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the refusals, unless the rollback took the record itself away."""
    if session().scalar(select(Record.id).where(Record.id == record_id)) is not None:
        session().add_all(RefusalLog(**row) for row in rows)


def _carry_out(step: Step) -> None:
    record, transition, flow = step.record, step.transition, step.flow
    _move(record, transition, flow, step.at)
    if transition.apply:
        transition.apply(step)
    note = str(step.values.get(transition.note) or "") if transition.note else ""
    data = {name: plain(step.values[name]) for name in transition.kept if step.values.get(name) is not None}
    if transition.target:
        data["state"] = record.state
    for router in ports.routers:
        data |= router(step)
    fact = append_fact(record, flow.fact_kinds[transition.fact], at=step.at, data=data, note=note)
    step.facts.insert(0, fact)
    session().flush()
    if transition.apply:  # nothing else writes the words a record is found by
        index(record, step.detail)
    for effect in ports.effects:
        effect(step)
    follow(record, step.facts)
    _tell_plugins(record, transition.name, step.facts)


def _move(record: Record, transition: Transition, flow: Workflow, at: datetime) -> None:
    if not transition.target:
        # The row is touched anyway (fact_seq), so its version tells other editors of the change.
        return
    target = transition.target
    if target == RESUME:
        target = record.resume_state or flow.initial
    old, new = flow.states[record.state], flow.states[target]
    if new.category == PAUSED and old.category != PAUSED:
        record.resume_state = record.state
    record.state, record.category, record.stage_id = new.code, new.category, None
    if new.category not in OPEN_CATEGORIES:
        record.next_due_at = None
    if new.category in (CLOSED, CANCELLED):
        record.closed_at = at
    elif new.category in OPEN_CATEGORIES:
        record.closed_at = None


def tell_of_fact(record: Record, fact: Fact) -> None:
    """Let the enabled plugins react to a fact that a service appended itself; call after flushing it."""
    follow(record, [fact])
    _tell_plugins(record, f"fact:{fact.kind}", [fact])


def follow(record: Record, facts: Sequence[Fact]) -> None:
    """Let the rooms above bring what they derive from facts up to date; the facts have been flushed."""
    for follower in ports.followers:
        follower(record, facts)


def _tell_plugins(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Let the enabled plugins react, inside the transaction; they may perform on linked records."""
    info = session().info
    depth = info.get("perform_depth", 0)
    if depth >= MAX_DEPTH:
        raise AppError(_l("Too many linked steps in one action"))
    info["perform_depth"] = depth + 1
    try:
        hooks = hooks_for(enabled_plugins(record.unit_id))
        hooks.record_transitioned(record=record, transition=transition, facts=list(facts))
    finally:
        info["perform_depth"] = depth


def _mirror(record: Record, kind: FactKind, fact: Fact) -> None:
    targets = select(Link.to_id).where(Link.from_id == record.id, Link.role.in_(kind.propagates))
    for other_id in sorted(session().scalars(targets)):
        other = lock(other_id)
        plain = FactKind(kind.code, kind.label, kind.rank)
        made = append_fact(other, plain, at=fact.at, data={**fact.data, "from_record": record.id}, note=fact.note)
        session().flush()
        follow(other, [made])


def _draw_number(kind: RecordType, unit_id: int, received_at: datetime) -> str:
    """Numbers run per unit, type and month of receipt in the unit's zone: GD-HQ-202611-0001."""
    unit = unit_facts(unit_id)
    period = received_at.astimezone(ZoneInfo(unit.timezone)).strftime("%Y%m")
    value = draw(unit_id, kind.code, period)
    return f"{kind.prefix}-{unit.code}-{period}-{value:04d}"
