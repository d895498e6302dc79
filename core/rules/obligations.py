"""Keeps the obligations of records in step with their facts: after each step, or all over again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Text, cast, delete, func, insert, select

from core.kernel import clock
from core.kernel.audit import plain
from core.kernel.database import insert_once, session, transaction, update_rows
from core.kernel.errors import NotFound
from core.records.models import OPEN_CATEGORIES, Fact, Record
from core.records.types import record_type, words_of
from core.units.facts import unit_facts
from core.units.switches import enabled_plugins

from . import unit_calendars
from .calendar import WorkingCalendar
from .effective import Effective, effective, never_on
from .fold import ABOUT_CLAUSES, STAGE, Episode, Terms, episodes, in_order, judge, thaw_term
from .kinds import DeadlineRule, Happened
from .obligation_models import LATE, OPEN, PENDING, Breach, Obligation
from .registry import current_rules
from .responsible import responsible
from .rulebook import current_rulebook

CHUNK = 500
Key = tuple[int, str, int]
# Told of a breach just announced, inside the transaction: penalties are proposed there.
on_breach: list[Callable[[Breach], None]] = []
Progress = Callable[[int, int], None]


class Head(NamedTuple):
    """What the fold needs of a record's head."""

    id: int
    unit_id: int
    type: str
    category: str
    next_due_at: datetime | None = None


@dataclass
class Changes:
    """What a refold changes: new rows, changed columns by id, rows that no longer follow from the facts."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    gone: list[Any] = field(default_factory=list)
    # (key, due, responsible) of what is late now and was not, and keys of what no longer is.
    broken: list[dict[str, Any]] = field(default_factory=list)
    mended: list[Key] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone)


_COLUMNS = (
    "state",
    "start_at",
    "due_at",
    "target_at",
    "warn_at",
    "ended_at",
    "end_fact_id",
    "excuse_fact_id",
    "late_seconds",
    "late_days",
    "responsible_id",
    "provisional",
)
_COMPARED = (*_COLUMNS, "month")


class Held(NamedTuple):
    """A row there is, as far as the fold compares it: ``compared`` holds ``_COMPARED``, ``text`` its terms."""

    id: int
    record_id: int
    clause: str
    root_fact_id: int
    text: str
    state: str
    due_at: datetime | None
    responsible_id: int | None
    compared: Any

    @property
    def terms(self) -> dict[str, Any]:
        return _frozen_of(self.text)


# Terms as text: those of one clause are mostly the same, and are read once.
_HELD = select(
    Obligation.id,
    Obligation.record_id,
    Obligation.clause,
    Obligation.root_fact_id,
    cast(Obligation.terms, Text),
    *(getattr(Obligation, name) for name in _COMPARED),
)


@lru_cache(maxsize=4096)
def _frozen_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


@lru_cache(maxsize=4096)
def _terms_in(text: str) -> Terms:
    return thawed_terms(_frozen_of(text))


_FACTS = select(Fact.record_id, Fact.id, Fact.seq, Fact.kind, Fact.at, cast(Fact.data, Text), Fact.actor_id)


# --- after a step ----------------------------------------------------------------------------------


def follow(record: Record, facts: Sequence[Fact]) -> None:
    """Bring a record's obligations and next due time in step with facts just written (a port of records)."""
    rules = current_rules().deadlines(record.type, enabled_plugins(record.unit_id))
    kinds = {one.kind for one in facts}
    # A change of state ends a stage that paused, whatever the rule: then all are looked at.
    moved = any("state" in one.data for one in facts)
    touched = [one for one in rules if (moved and one.pause) or _is_touched(one, kinds)]
    by = facts[-1].id if facts else None
    if len(facts) == record.fact_seq:  # its first facts, and there can be no obligations yet: nothing to be read
        _refresh(record, touched, _in_order_of(record.type, facts), [], by)
    elif touched:
        refresh(record, touched, by=by)
    elif record.category not in OPEN_CATEGORIES:
        record.next_due_at = None
    elif record.next_due_at is None or any(one.data.get("due") for one in facts):
        _set_next_due(record, facts_of(record), map(_standing, _held_by([record.id])))


def _is_touched(rule: DeadlineRule, kinds: set[str]) -> bool:
    """A fact matters to a rule that names its kind; where the rule reads fields, any step may have changed them."""
    return bool(rule.reads) or not kinds.isdisjoint(rule.fact_kinds) or not kinds.isdisjoint(_SHARED)


_SHARED = frozenset({*ABOUT_CLAUSES, STAGE, "assigned", "declined"})


def refresh(record: Record, rules: Sequence[DeadlineRule] | None = None, *, by: int | None = None) -> Changes:
    """Work out the obligations of one record anew, under some rules or all; return what changed.

    ``by`` is the fact that brought it about. Nothing is written where nothing changed.
    """
    if rules is None:
        rules = current_rules().deadlines(record.type, enabled_plugins(record.unit_id))
    return _refresh(record, rules, facts_of(record), _held_by([record.id]), by)


def _refresh(
    record: Record, rules: Sequence[DeadlineRule], facts: Sequence[Happened], held: Sequence[Any], by: int | None
) -> Changes:
    """``facts`` are all of the record's, ``held`` all of its obligations."""
    head = Head(record.id, record.unit_id, record.type, record.category)
    clauses = {one.clause for one in rules}
    mine = [row for row in held if row.clause in clauses]
    changes = plan(head, facts, mine, rules, _snapshot_of(record, rules))
    _write(changes)
    _announce(changes, by)
    _set_next_due(record, facts, _standing_after(held, changes))
    return changes


def _held_by(ids: Sequence[int]) -> list[Held]:
    found = []
    for row in session().execute(_HELD.where(Obligation.record_id.in_(ids))):
        key, record_id, clause, root, text, *compared = row
        found.append(
            Held(key, record_id, clause, root, text, compared[_STATE], compared[_DUE], compared[_WHO], compared)
        )
    return found


_STATE, _DUE, _WHO = (_COMPARED.index(name) for name in ("state", "due_at", "responsible_id"))


Standing = tuple[str, datetime | None]  # state and limit of an obligation


def _standing(row: Any) -> Standing:
    return row.state, row.due_at


def _standing_after(held: Iterable[Any], changes: Changes) -> list[Standing]:
    """Return how a record's obligations stand once the changes are made."""
    gone, changed = set(changes.gone), {one["id"]: one for one in changes.changed}
    found = [(one["state"], one["due_at"]) for one in changes.new]
    for row in held:
        if row.id not in gone:
            other = changed.get(row.id, {})
            found.append((other.get("state", row.state), other.get("due_at", row.due_at)))
    return found


def _set_next_due(record: Record, facts: Sequence[Happened], standing: Iterable[Standing]) -> None:
    record.next_due_at = _next_due(record.category, facts, standing)


def _next_due(category: str, facts: Sequence[Happened], standing: Iterable[Standing]) -> datetime | None:
    """The next thing due of an open record: the first limit of its clauses, or what somebody promised."""
    if category not in OPEN_CATEGORIES:
        return None
    dues = [*(due for state, due in standing if state == OPEN), promised(facts)]
    return min((one for one in dues if one is not None), default=None)


def promised(facts: Sequence[Happened]) -> datetime | None:
    """Return until when staff last promised the work on a record, from its facts in order."""
    for fact in reversed(facts):
        if fact.data.get("due"):
            return clock.as_utc(datetime.fromisoformat(fact.data["due"]))
    return None


# --- what follows from the facts -------------------------------------------------------------------


def plan(
    head: Head,
    facts: Sequence[Happened],
    held: Iterable[Any],
    rules: Sequence[DeadlineRule],
    snapshot: Mapping[str, Any],
) -> Changes:
    """Compare what the facts ask for with the rows there are (``held``, of the rules' clauses)."""
    changes = Changes()
    rows = {(row.clause, row.root_fact_id): row for row in held}
    kinds = {one.kind for one in facts}
    off = never_on(head.unit_id) - {clause for clause, _root in rows}
    zone, clauses = ZoneInfo(unit_facts(head.unit_id).timezone), current_rulebook().clauses
    for rule in rules:
        if rule.clause in off or not rule.applies(snapshot):
            continue
        for one in episodes(rule, facts, kinds):
            row = rows.pop((rule.clause, one.root.id), None)
            found = _worked_out(head, zone, clauses[rule.clause].responsible, rule, one, facts, row, snapshot)
            if found is not None:
                _compare(head, rule.clause, one.root.id, row, found, changes)
            elif row is not None:
                _drop(row, changes)
    for row in rows.values():
        _drop(row, changes)
    return changes


def _drop(row: Held, changes: Changes) -> None:
    changes.gone.append(row.id)
    if _may_be_announced(row):
        changes.mended.append((row.record_id, row.clause, row.root_fact_id))


def _worked_out(
    head: Head,
    zone: ZoneInfo,
    position: str,
    rule: DeadlineRule,
    one: Episode,
    facts: Sequence[Happened],
    row: Held | None,
    snapshot: Mapping[str, Any],
) -> tuple[list[Any], dict[str, Any]] | None:
    """Return what is compared of an obligation, and its terms; None where its clause was off when it began."""
    frozen, terms = _terms_of(head, rule, one, row, snapshot)
    if frozen is None or terms is None:
        return None
    outcome = judge(rule, one, terms)
    if outcome.problem != frozen.get("problem", ""):
        frozen = {name: value for name, value in frozen.items() if name != "problem"}
        frozen |= {"problem": outcome.problem} if outcome.problem else {}
    start, end = one.root.at, one.end
    who = responsible(head.unit_id, position, facts, start=start, due=outcome.due_at, end=end, zone=zone)
    compared = [
        outcome.state,
        start,
        outcome.due_at,
        outcome.target_at,
        outcome.warn_at,
        outcome.ended_at,
        end.id if end else None,
        one.excuse.id if one.excuse else None,
        outcome.late_seconds,
        outcome.late_days,
        who,
        outcome.provisional,
        _month(zone, start),
    ]
    return compared, frozen


def current_position(clause_id: str) -> str:
    """Return the position a clause holds responsible, '' where it names none."""
    return current_rulebook().clauses[clause_id].responsible


def _terms_of(
    head: Head, rule: DeadlineRule, one: Episode, row: Held | None, snapshot: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, Terms | None]:
    """Reuse what the obligation froze, unless a release applied new terms to it since."""
    released = one.release.id if one.release else None
    if row is not None and (frozen := row.terms).get("released") == released:
        return frozen, _terms_in(row.text)
    at = one.settled.at if one.settled else one.root.at
    found = effective(head.unit_id, rule.clause, at)
    if not found.holds:
        return None, None
    terms = fresh_terms(head.unit_id, rule, found, snapshot)
    return frozen_terms(rule, found, terms, released), terms


def fresh_terms(unit_id: int, rule: DeadlineRule, found: Effective, snapshot: Mapping[str, Any]) -> Terms:
    """Return the terms a clause has under settings: its limit, its target, the unit's calendar."""
    term = rule.term(found.values, snapshot) if rule.term else found.term(rule.limit)
    target = found.term(rule.target) if rule.target else None
    return Terms(term, calendar_of(unit_id, rule.calendar), target)


def calendar_of(unit_id: int, code: str) -> WorkingCalendar:
    """Return the unit's calendar of that code, its usual one where it has none."""
    try:
        return unit_calendars.calendar_for(unit_id, code)
    except NotFound:
        return unit_calendars.calendar_for(unit_id)


def frozen_terms(rule: DeadlineRule, found: Effective, terms: Terms, released: int | None = None) -> dict[str, Any]:
    """Return terms as an obligation keeps them: JSON, with everything needed to explain and repeat the limit."""
    unit_calendars.freeze(terms.calendar)
    kept: dict[str, Any] = {
        "rule": rule.version,
        "schema": found.clause.schema,
        "term": terms.term.frozen(),
        "values": {name: plain(value) for name, value in found.values.items()},
        "settings": list(found.versions),
        "calendar": terms.calendar.version,
    }
    if terms.target:
        kept["target"] = terms.target.frozen()
    if released is not None:
        kept["released"] = released
    return kept


def thawed_terms(kept: Mapping[str, Any]) -> Terms:
    """Read what ``frozen_terms`` wrote."""
    target = thaw_term(kept["target"]) if kept.get("target") else None
    return Terms(thaw_term(kept["term"]), unit_calendars.thaw(kept["calendar"]), target)


def _month(zone: ZoneInfo, at: datetime) -> str:
    local = at.astimezone(zone)
    return f"{local.year:04d}-{local.month:02d}"


def _compare(
    head: Head,
    clause: str,
    root: int,
    row: Held | None,
    found: tuple[list[Any], dict[str, Any]],
    changes: Changes,
) -> None:
    compared, frozen = found
    if row is not None and row.compared == compared and row.terms == frozen:
        return
    new = dict(zip(_COMPARED, compared, strict=True))
    key = {"unit_id": head.unit_id, "record_id": head.id, "clause": clause, "root_fact_id": root}
    if row is None:
        changes.new.append({**key, **new, "position": current_position(clause), "terms": frozen})
    else:
        other = {name: new[name] for name, old in zip(_COMPARED, row.compared, strict=True) if new[name] != old}
        if row.terms != frozen:
            other["terms"] = frozen
        if "due_at" in other:
            other["warned_at"] = None
        changes.changed.append({"id": row.id, "unit_id": head.unit_id, **other})
    _note_breach(row, {**key, **new}, changes)


def _note_breach(row: Held | None, found: Mapping[str, Any], changes: Changes) -> None:
    if found["state"] == LATE:
        if row is None or row.state != LATE:
            changes.broken.append(dict(found))
    elif row is not None and _may_be_announced(row) and (found["state"] not in PENDING or _moved_later(row, found)):
        changes.mended.append((found["record_id"], found["clause"], found["root_fact_id"]))


def _may_be_announced(row: Held) -> bool:
    """Only what was late, or overdue, can have been announced: nothing else need be looked up."""
    return row.state == LATE or (row.due_at is not None and row.due_at <= clock.now())


def _moved_later(row: Any, found: Mapping[str, Any]) -> bool:
    return row.due_at <= clock.now() and (found["due_at"] is None or found["due_at"] > clock.now())


# --- writing ---------------------------------------------------------------------------------------


def _write(changes: Changes) -> None:
    work = session()
    if changes.gone:
        work.execute(delete(Obligation).where(Obligation.id.in_(changes.gone)), execution_options=_QUIET)
    if changes.new:
        work.execute(insert(Obligation), changes.new)
    update_rows(Obligation, changes.changed)


_QUIET = {"synchronize_session": False}


def _announce(changes: Changes, by: int | None) -> None:
    """Keep new breaches as rows of their own, and withdraw those that a fact entered later has answered."""
    for key in changes.mended:
        withdraw(key, by)
    for one in changes.broken:
        announce(one["record_id"], one["clause"], one["root_fact_id"])


def announce(record_id: int, clause: str, root_fact_id: int) -> Breach | None:
    """Keep the breach of an obligation, once; None where it was announced before and still stands."""
    work = session()
    work.flush()
    mine = (
        Obligation.record_id == record_id,
        Obligation.clause == clause,
        Obligation.root_fact_id == root_fact_id,
    )
    late = work.execute(select(Obligation.unit_id, Obligation.due_at, Obligation.responsible_id).where(*mine)).one()
    row = {
        "unit_id": late.unit_id,
        "record_id": record_id,
        "clause": clause,
        "root_fact_id": root_fact_id,
        "due_at": late.due_at,
        "responsible_id": late.responsible_id,
        "announced_at": clock.now(),
    }
    fresh = insert_once(Breach, row)
    found = work.scalars(_breach((record_id, clause, root_fact_id))).one()
    if not fresh:
        if found.withdrawn_at is None:
            return None
        found.withdrawn_at = found.withdrawn_fact_id = None
        found.due_at, found.responsible_id = late.due_at, late.responsible_id
        work.flush()
    for tell in on_breach:
        tell(found)
    return found


def withdraw(key: Key, by: int | None) -> None:
    """Mark an announced breach as answered by a fact entered later; nothing where none was announced."""
    found = session().scalars(_breach(key)).first()
    if found is None or found.withdrawn_at is not None:
        return
    found.withdrawn_at, found.withdrawn_fact_id = clock.now(), by
    for tell in on_withdrawn:
        tell(found)


on_withdrawn: list[Callable[[Breach], None]] = []


def _breach(key: Key) -> Any:
    record_id, clause, root = key
    return select(Breach).where(Breach.record_id == record_id, Breach.clause == clause, Breach.root_fact_id == root)


# --- all over again --------------------------------------------------------------------------------


def recompute(
    unit_id: int | None = None, *, record_ids: Sequence[int] | None = None, progress: Progress = lambda *_: None
) -> int:
    """Work out the obligations of many records anew; return how many rows changed.

    Memory stays flat: ``CHUNK`` records at a time, each chunk a transaction of its own. Breaches are not announced.
    Run it inside ``system_scope``, or in a transaction whose scope may write the units concerned.
    """
    changed = done = 0
    total = _count(unit_id) if record_ids is None else len(record_ids)
    for ids in _batches(unit_id) if record_ids is None else batched(sorted(record_ids)):
        with transaction():
            changed += _recompute(ids)
        done += len(ids)
        progress(done, total)
    return changed


def _count(unit_id: int | None) -> int:
    wanted = select(func.count(Record.id))
    return session().scalar(wanted if unit_id is None else wanted.where(Record.unit_id == unit_id)) or 0


def _batches(unit_id: int | None) -> Iterator[Sequence[int]]:
    wanted = select(Record.id).order_by(Record.id).limit(CHUNK)
    if unit_id is not None:
        wanted = wanted.where(Record.unit_id == unit_id)
    last = 0
    while ids := session().scalars(wanted.where(Record.id > last)).all():
        last = ids[-1]
        yield ids


def batched(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut ids into pieces that one statement can name."""
    for first in range(0, len(ids), CHUNK):
        yield ids[first : first + CHUNK]


def _recompute(ids: Sequence[int]) -> int:
    heads = _locked(ids)
    held: dict[int, list[Any]] = defaultdict(list)
    for row in _held_by(ids):
        held[row.record_id].append(row)
    count = 0
    for type_code in {one.type for one in heads}:
        same = [one for one in heads if one.type == type_code]
        count += _recompute_type(type_code, same, held)
    return count


def _locked(ids: Sequence[int]) -> list[Head]:
    """Read the heads of records and lock them, so that nobody adds facts meanwhile; in id order, as everybody."""
    head = select(Record.id, Record.unit_id, Record.type, Record.category, Record.next_due_at)
    rows = session().execute(head.where(Record.id.in_(ids)).order_by(Record.id).with_for_update())
    return [Head(*row) for row in rows]


def _recompute_type(type_code: str, heads: Sequence[Head], held: Mapping[int, Sequence[Any]]) -> int:
    ids = [one.id for one in heads]
    facts = _facts_of(ids, type_code)
    all_rules = {u: current_rules().deadlines(type_code, enabled_plugins(u)) for u in {h.unit_id for h in heads}}
    snapshots = snapshots_of(
        type_code, ids, {name for rules in all_rules.values() for r in rules for name in r.reads}
    )
    total = Changes()
    dues: list[dict[str, Any]] = []
    for head in heads:
        rules = all_rules[head.unit_id]
        clauses = {one.clause for one in rules}
        mine = held.get(head.id, ())
        known = facts[head.id]
        changes = plan(
            head, known, [row for row in mine if row.clause in clauses], rules, snapshots.get(head.id, {})
        )
        total.new += changes.new
        total.changed += changes.changed
        total.gone += changes.gone
        due = _next_due(head.category, known, _standing_after(mine, changes))
        if due != head.next_due_at:
            dues.append({"id": head.id, "unit_id": head.unit_id, "next_due_at": due})
    _write(total)
    update_rows(Record, dues)
    return len(total.new) + len(total.changed) + len(total.gone)


def _facts_of(ids: Sequence[int], type_code: str) -> dict[int, list[Happened]]:
    """Return the facts of records of one type, in order."""
    ranks = _ranks(type_code)
    found: dict[int, list[Happened]] = {one: [] for one in ids}
    for record_id, fact_id, seq, kind, at, text, actor in session().execute(_FACTS.where(Fact.record_id.in_(ids))):
        data = _NOTHING if text == "{}" else json.loads(text)
        found[record_id].append(Happened(fact_id, seq, kind, at, ranks.get(kind, UNRANKED), data, actor))
    return {key: in_order(facts) for key, facts in found.items()}


def _in_order_of(type_code: str, facts: Iterable[Fact]) -> list[Happened]:
    """Return rows in memory, facts of one record of that type, as rules see them."""
    ranks = _ranks(type_code)
    return in_order(
        Happened(one.id, one.seq, one.kind, one.at, ranks.get(one.kind, UNRANKED), one.data, one.actor_id)
        for one in facts
    )


_NOTHING: Mapping[str, Any] = MappingProxyType({})
UNRANKED = 50  # facts of a kind that is not installed any more


def _ranks(type_code: str) -> dict[str, int]:
    kinds = words_of(type_code).fact_kinds if record_type(type_code) else {}
    return {code: one.rank for code, one in kinds.items()}


def facts_of(record: Record) -> list[Happened]:
    """Return the facts of a record as rules see them, in order."""
    return _facts_of([record.id], record.type)[record.id]


def snapshots_of(type_code: str, ids: Sequence[int], names: Iterable[str]) -> dict[int, dict[str, Any]]:
    """Return fields of records (of head or details) by record id; a name neither has is left out."""
    kind = record_type(type_code)
    wanted = sorted(set(names))
    if kind is None or not wanted:
        return {}
    wanted = [name for name in wanted if hasattr(kind.detail, name) or hasattr(Record, name)]
    columns = [getattr(kind.detail if hasattr(kind.detail, n) else Record, n).label(n) for n in wanted]
    rows = session().execute(
        select(Record.id.label("record_key"), *columns)
        .join(kind.detail, kind.detail.id == Record.id)
        .where(Record.id.in_(ids))
    )
    return {row.record_key: {name: getattr(row, name) for name in wanted} for row in rows}


def _snapshot_of(record: Record, rules: Sequence[DeadlineRule]) -> dict[str, Any]:
    """Return the fields of a record at hand; its details are in the session already where a step changed them."""
    names = {name for one in rules for name in one.reads}
    kind = record_type(record.type)
    if kind is None or not names:
        return {}
    detail = session().get(kind.detail, record.id)
    return {
        name: getattr(detail if hasattr(kind.detail, name) else record, name)
        for name in names
        if hasattr(kind.detail, name) or hasattr(Record, name)
    }


def of_record(record_id: int) -> Sequence[Obligation]:
    """Return a record's obligations, the open ones first, by their limit."""
    own = select(Obligation).where(Obligation.record_id == record_id)
    rows = session().scalars(own.order_by(Obligation.due_at, Obligation.id)).all()
    return sorted(rows, key=lambda one: one.state not in PENDING)
