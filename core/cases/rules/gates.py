"""Conditions of steps. Those that the workflow always has (R01-4.2, R01-4.6) stand there as guards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask_babel import lazy_gettext as _l

from core.cases import vocabulary as words
from core.kernel import clock
from core.kernel.access import may
from core.kernel.database import current_scope
from core.records.engine import Step
from core.rules.effective import effective
from core.rules.kinds import ChecklistRule, GateRule, Rule, Values
from core.units.facts import local_day
from core.users.services import actor_positions

# Steps that deal with the customer's problem itself.
WORK = ("plan", "start", "solve")


def _is_theirs(step: Step) -> bool:
    """The assignee works on a case, or whoever decides who does."""
    actor = current_scope().actor_id
    return actor is None or step.record.assignee_id == actor or may("case.assign", step.record.unit_id)


def _direct_positions(step: Step) -> set[str]:
    """Return the positions that may take on quality problems themselves where R17-7.1.2b or a sister is on."""
    said = [effective(step.record.unit_id, f"{one}-7.1.2b", step.at) for one in ("R17", "R18", "R19")]
    return {one.values["direct_position"] for one in said if one.holds}


def _within_authority(step: Step, _values: Values) -> Any:
    if _is_theirs(step) or not _direct_positions(step).isdisjoint(actor_positions(step.record.unit_id)):
        return None
    return _l("Only whoever the case is assigned to, or who may assign it, works on it")


def _owner_handles_it(step: Step, _values: Values) -> Any:
    """Quality problems: others than the owner department and development only pass them on."""
    if step.detail.nature not in (*words.REPAIRS, "complaint") or _within_authority(step, _values) is None:
        return None
    return _l("Quality problems go to the owner department; pass the case on")


def _agreed(step: Step, _values: Values) -> Any:
    if step.detail.nature not in words.REPAIRS or step.detail.agreed_at or step.values.get("agreed"):
        return None
    return _l("The customer has not agreed to a solution yet; settle it before the repair and say so here")


def _has_solution(step: Step, _values: Values) -> Any:
    """Advice, diagnosis, solution, completion: the work does not end before a solution was fixed."""
    if step.detail.nature in words.TALK or step.detail.plan or step.values.get("plan"):
        return None
    return _l("No solution is on record yet: advice, diagnosis, solution and completion come in this order")


def _owner_and_time(step: Step, _values: Values) -> Any:
    """Who does it the form says; until when either the form or a clause with a limit."""
    if not step.values.get("assignee_id"):
        return _l("Say who does it")
    if step.values.get("due") or effective(step.record.unit_id, "R01-4.4", step.at).holds:
        return None
    return _l("Say until when it is to be done: no clause of this unit sets a limit")


_ARCHIVE = (
    ("description", _l("What is wrong")),
    ("process", _l("What was done")),
    ("result", _l("Result")),
)


def _archive_complete(step: Step, _values: Values) -> Any:
    if step.record.state not in step.transition.sources:
        return None  # it is told that already
    case = step.detail
    talk = case.nature in words.TALK and case.answer
    held = {
        "description": case.description,
        "process": case.answer if talk else case.process,
        "result": case.answer if talk else case.test_result or case.answer,
    }
    missing = [label for name, label in _ARCHIVE if not held[name]]
    if not step.record.customer_id:
        missing.insert(0, _l("Customer"))
    if not missing:
        return None
    return _l("Missing for the archive: %(items)s", items="、".join(map(str, missing)))


def _entered_in_time(step: Step, values: Values) -> Any:
    unit_id = step.record.unit_id
    latest = local_day(unit_id, step.at) + timedelta(days=int(values["limit"]))
    if local_day(unit_id, clock.now()) <= latest or step.values.get("reason"):
        return None
    return _l("Contacts are entered in time; say in the remark why this one comes later")


def _sure(step: Step, _values: Values) -> Any:
    if step.values.get("sure"):
        return None
    return _l("Answer only when certain; otherwise refer the question to a specialist")


def _proposal_first(step: Step, _values: Values) -> Any:
    if step.detail.nature != "presale" or step.detail.plan:
        return None
    return _l("The customer's need has no solution proposal yet")


def _is_presale(step: Step) -> bool:
    return bool(step.detail.nature == "presale")


RULES: tuple[Rule, ...] = (
    *(GateRule(clause="R03-7.3", step=f"case.{name}", check=_within_authority, code="authority") for name in WORK),
    *(
        GateRule(clause=f"{regulation}-7.1.2a", step=f"case.{name}", check=_owner_handles_it, code="authority")
        for regulation in ("R17", "R18", "R19")
        for name in WORK
    ),
    *(
        GateRule(clause="R27-2.3.2", step=f"case.{name}", check=_agreed, code="not_agreed", needs_form=True)
        for name in ("start", "solve")
    ),
    GateRule(clause="R31-3.1", step="case.solve", check=_has_solution, code="stage", needs_form=True),
    GateRule(clause="R28-3.1", step="case.assign", check=_owner_and_time, code="no_time", needs_form=True),
    GateRule(clause="R01-4.7", step="case.close", check=_archive_complete, code="incomplete"),
    GateRule(clause="R04-2.4a", step="case.contact", check=_entered_in_time, code="entered_late", needs_form=True),
    GateRule(clause="R24-4.9", step="case.answer", check=_sure, code="unsure", needs_form=True),
    GateRule(clause="R04-2.1a", step="case.answer", check=_proposal_first, code="no_proposal"),
    ChecklistRule(
        clause="R23-1",
        step="case.plan",
        items=words.PRESALE_ITEMS,
        field="presale_items",
        least="items",
        when=_is_presale,
    ),
)
