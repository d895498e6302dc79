"""Conditions of steps that clauses ask for: all refusals at once, each naming its clause."""

from __future__ import annotations

from collections.abc import Iterator

from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData, Refusal
from core.records.engine import Step
from core.units.switches import enabled_plugins

from .effective import effective, holds
from .kinds import GateRule, RecordRule
from .registry import current_rules
from .rulebook import current_rulebook


def refusals(step: Step, asking: bool) -> Iterator[Refusal]:
    """Ask the gate rules of a step (a port of the records room); ``asking``: its form has not been filled yet.

    Raises:
        InvalidData: fields a clause wants on record are missing; beside each field.
    """
    name = f"{step.record.type}.{step.transition.name}"
    unit_id = step.record.unit_id
    enabled = enabled_plugins(unit_id)
    for rule in current_rules().of(GateRule, enabled):
        if rule.step != name or rule.needs_form == asking:
            continue
        found = effective(unit_id, rule.clause, step.at)
        reason = rule.check(step, found.values) if found.holds else None
        if reason:
            yield Refusal(rule.code, reason, rule.clause)
    if not asking:
        require_fields(name, unit_id, step.values, enabled)


def require_fields(name: str, unit_id: int, values: dict[str, object], enabled: frozenset[str]) -> None:
    """Pass if every field that record clauses want at a step is filled.

    Raises:
        InvalidData: beside each missing field, naming the clause.
    """
    missing = {
        field: _l("Please fill this in (clause %(clause)s)", clause=rule.clause)
        for rule in current_rules().of(RecordRule, enabled)
        if rule.step == name and holds(unit_id, rule.clause) and rule.when(values)
        for field in rule.fields
        if values.get(field) in (None, "")
    }
    if missing:
        raise InvalidData(missing)


def is_switched_off(unit_id: int, clause_id: str) -> bool:
    """Tell whether the rulebook knows a clause and the unit has it off (a port of the records room)."""
    return clause_id in current_rulebook().clauses and not holds(unit_id, clause_id)
