"""Who gets a record: the position that owns it, its priority, and who is told. Every answer names its clauses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from core.kernel.access import may
from core.kernel.database import session
from core.records.engine import Step, detail_of
from core.records.models import Fact, Record
from core.records.ports import Routed
from core.records.services import notify
from core.units.switches import enabled_plugins
from core.users.services import actor_positions, holders

from .effective import effective
from .kinds import RoutingRule, Snapshot, Values
from .registry import current_rules

Read = Callable[[str], Any]
ACTOR = "actor_positions"


@dataclass
class Decision:
    """What the routing clauses of a step say. The first that answers decides; ``clauses`` are those that agree."""

    position: str = ""
    priority: int | None = None
    clauses: list[str] = field(default_factory=list)
    tells: list[str] = field(default_factory=list)

    @property
    def words(self) -> dict[str, Any]:
        """Return what the step's fact keeps of it."""
        kept: dict[str, Any] = {"clauses": list(dict.fromkeys(self.clauses))} if self.clauses else {}
        return {**kept, "owner": self.position} if self.position else kept


def decide(name: str, unit_id: int, read: Read, at: datetime | None = None) -> Decision:
    """Ask the routing rules of a step; ``read`` answers a field of the record."""
    found = Decision()
    for rule, snapshot, values in _asked(name, unit_id, read, at):
        position = rule.position(snapshot, values) if rule.position else ""
        priority = rule.priority(snapshot, values) if rule.priority else None
        tells = rule.tells(snapshot, values) if rule.tells else ()
        found.position = found.position or position
        found.priority = priority if found.priority is None else found.priority
        found.tells += tells
        agrees = (position and position == found.position) or (priority is not None and priority == found.priority)
        if agrees or tells:
            found.clauses.append(rule.clause)
    return found


def _asked(
    name: str, unit_id: int, read: Read, at: datetime | None
) -> Iterator[tuple[RoutingRule, Snapshot, Values]]:
    for rule in current_rules().of(RoutingRule, enabled_plugins(unit_id)):
        if rule.step != name:
            continue
        said = effective(unit_id, rule.clause, at)
        if said.holds:
            yield rule, {one: read(one) for one in rule.reads}, said.values


def _reader(unit_id: int, *sources: Any) -> Read:
    def read(name: str) -> Any:
        if name == ACTOR:
            return actor_positions(unit_id)
        return next((getattr(one, name) for one in sources if hasattr(one, name)), None)

    return read


def new_record(type_code: str, unit_id: int, detail: Any) -> Routed:
    """Route a record about to be written (a port of the records room)."""
    found = decide(f"{type_code}.register", unit_id, _reader(unit_id, detail))
    tell = (lambda record: _tell(record, found.tells)) if found.tells else None
    return Routed(found.position, found.priority, found.words, tell)


def step_taken(step: Step) -> Mapping[str, Any]:
    """Route the record of a step that has been applied; return words for its fact (a port of the records room).

    A position that somebody chose by forwarding stays.
    """
    record = step.record
    found = decide(f"{record.type}.{step.transition.name}", record.unit_id, _reader_of(step), step.at)
    if found.priority is not None:
        record.priority = found.priority
    if found.position == record.owner_position or _was_chosen(step):
        found.position = ""
    if found.position:
        record.owner_position = found.position
    _tell(record, found.tells)
    return found.words


def _was_chosen(step: Step) -> bool:
    if step.values.get("position"):
        return True
    passed_on = (
        select(Fact.id).where(Fact.record_id == step.record.id, Fact.kind.in_(("forwarded", "referred"))).limit(1)
    )
    return bool(step.record.owner_position) and session().scalar(passed_on) is not None


def _reader_of(step: Step) -> Read:
    return _reader(step.record.unit_id, step.detail, step.record)


def _tell(record: Record, positions: Iterable[str]) -> None:
    people = {user for position in dict.fromkeys(positions) for user, _ in holders(position, record.unit_id)}
    if people:
        notify(record, "routed", people, record.title)


def lets(step: Step) -> bool:
    """Tell whether a routing clause lets somebody take a step who only sees the record (a port of records)."""
    name = f"{step.record.type}.{step.transition.name}"
    rules: Sequence[Any] = [one for one in current_rules().of(RoutingRule, _plugins(step)) if one.step == name]
    if not any(one.lets for one in rules) or not may("case.view", step.record.unit_id):
        return False
    asked = _asked(name, step.record.unit_id, _reader_of(step), step.at)
    return any(rule.lets(snapshot, values) for rule, snapshot, values in asked if rule.lets)


def _plugins(step: Step) -> frozenset[str]:
    return enabled_plugins(step.record.unit_id)


def suggestion(record: Record, step: str = "register") -> str:
    """Return the position the clauses would give a record to at a step, '' where they name none."""
    read = _reader(record.unit_id, detail_of(record), record)
    return decide(f"{record.type}.{step}", record.unit_id, read).position
