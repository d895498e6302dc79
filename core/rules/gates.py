"""Conditions of steps that clauses ask for: all refusals at once, each naming its clause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData, Refusal, Refused
from core.kernel.fields import label_of
from core.records.engine import Step, keep_evidence
from core.records.models import Record
from core.units.switches import enabled_plugins

from .effective import effective, holds
from .kinds import ChecklistRule, GateRule, RecordRule, Values
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
            yield Refusal(rule.code, reason, rule.clause, rule.inside)
    if asking:
        return
    yield from _unticked(step, name, enabled)
    require_fields(name, unit_id, step.values, enabled)


def _unticked(step: Step, name: str, enabled: frozenset[str]) -> Iterator[Refusal]:
    for rule in current_rules().of(ChecklistRule, enabled):
        if rule.step != name or (rule.when and not rule.when(step)):
            continue
        found = effective(step.record.unit_id, rule.clause, step.at)
        if not found.holds:
            continue
        ticked = set(step.values.get(rule.field) or ())
        open_ones = [code for code, _ in rule.items if code not in ticked]
        least = found.values[rule.least] if rule.least else len(rule.items)
        if open_ones and len(rule.items) - len(open_ones) < least:
            missing = "、".join(str(label_of(rule.items, code)) for code in open_ones)
            yield Refusal("checklist", _l("Not ticked yet: %(items)s", items=missing), rule.clause)


def require_clause(name: str, unit_id: int, context: Any, record: Record | None = None) -> None:
    """Pass if no gate rule of ``name`` refuses; for services that do something beside the steps of a workflow.

    The rules' ``check`` gets ``context``. What is refused on a ``record`` is kept as evidence there.

    Raises:
        Refused: with every reason, each naming its clause.
    """
    found = []
    for rule in current_rules().of(GateRule, enabled_plugins(unit_id)):
        if rule.step != name:
            continue
        said = effective(unit_id, rule.clause)
        reason = rule.check(context, said.values) if said.holds else None
        if reason:
            found.append(Refusal(rule.code, reason, rule.clause))
    if not found:
        return
    if record is not None:
        keep_evidence(record, name, found)
    raise Refused(found)


def wanted_fields(name: str, unit_id: int, values: Values, enabled: frozenset[str] | None = None) -> dict[str, str]:
    """Return the fields that record clauses want at a step, each with the first clause that does."""
    plugins = enabled_plugins(unit_id) if enabled is None else enabled
    found: dict[str, str] = {}
    for rule in current_rules().of(RecordRule, plugins):
        if rule.step == name and holds(unit_id, rule.clause) and rule.when(values):
            for one in rule.fields:
                found.setdefault(one, rule.clause)
    return found


def missing_fields(
    name: str, unit_id: int, values: Values, enabled: frozenset[str] | None = None
) -> Mapping[str, Any]:
    """Return a message for each field that is wanted at a step and empty, naming the clause."""
    return {
        one: _l("Please fill this in (clause %(clause)s)", clause=clause)
        for one, clause in wanted_fields(name, unit_id, values, enabled).items()
        if values.get(one) in (None, "", False, [])
    }


def require_fields(name: str, unit_id: int, values: Values, enabled: frozenset[str] | None = None) -> None:
    """Pass if every field that record clauses want at a step is filled.

    Raises:
        InvalidData: beside each missing field, naming the clause.
    """
    missing = missing_fields(name, unit_id, values, enabled)
    if missing:
        raise InvalidData(missing)


def is_switched_off(unit_id: int, clause_id: str) -> bool:
    """Tell whether the rulebook knows a clause and the unit has it off (a port of the records room)."""
    return clause_id in current_rulebook().clauses and not holds(unit_id, clause_id)
