"""The clauses about keeping, issuing, lending and returning tools.

Gates of a hand-over look at a ``Plan`` when it is offered and again when it is accepted. Confirming an existing
list (``opening``) says what already is so; no gate of issuing stands against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    DeadlineRule,
    GateRule,
    Rule,
    ServiceRule,
    Term,
    effective,
    local_day,
    session,
)

from . import custody, disposal, outings, permits, values
from .flow import CODE as TOOL
from .models import Custody, Kind, Kit, KitLine, Tool
from .plan import ACCEPT, OFFER, Plan

Values = Mapping[str, Any]
SETS_CLAUSE = "R35-4.1"
# Given to a person's own keeping; used by whoever takes it; given out of the store or on to a colleague.
KEPT = frozenset({values.ISSUE, values.TRANSFER})
USED = frozenset({values.ISSUE, values.USE, values.LOAN, values.LEND, values.TRANSFER})
GIVEN_OUT = frozenset({values.ISSUE, values.USE, values.LOAN, values.LEND})
# Applications that an issue beyond the standard set may rest on.
FOR_ISSUE = frozenset({values.A_NEW, values.A_ADDITIONAL, values.A_REPLACE})
NEVER = "never"


def _codes(tools: Iterable[Tool]) -> str:
    return "、".join(sorted(one.code for one in tools))


def _names(kinds: Iterable[Kind]) -> str:
    return "、".join(dict.fromkeys(one.name for one in kinds))


def granted(plan: Plan, *kinds: str) -> bool:
    """Tell whether a hand-over carries out an application of one of these kinds that was granted."""
    one = plan.application
    return one is not None and one.kind in kinds and one.record.state == values.GRANTED


# --- what may be given to whom -------------------------------------------------------------------


def _without_permit(plan: Plan, what: str, wanted: Callable[[Kind], bool]) -> list[Kind]:
    user_id, day = plan.taker.user_id, local_day(plan.unit_id, plan.at)
    kinds = {tool.kind_id: tool.kind for tool in plan.tools if wanted(tool.kind)}
    if plan.taker.kind != values.PERSON or user_id is None:
        return []
    return [kind for kind in kinds.values() if not permits.holds(user_id, kind.id, what, day)]


def _needs_permit(plan: Plan, _said: Values) -> Any:
    """R33-2.1: only who was trained and holds the permit on the day."""
    if plan.kind not in USED:
        return None
    missing = _without_permit(plan, values.USE_PERMIT, lambda kind: kind.needs_permit)
    if not missing:
        return None
    return _l("The receiver has no permit in force to use: %(kinds)s", kinds=_names(missing))


def _needs_registration(plan: Plan, _said: Values) -> Any:
    """R15-17: special tools are kept by registered people; a loan or a job is no keeping."""
    if plan.kind not in KEPT:
        return None
    missing = _without_permit(plan, values.KEEP_PERMIT, lambda kind: kind.category == values.SPECIAL)
    if not missing:
        return None
    return _l("The receiver is not registered as keeper of: %(kinds)s", kinds=_names(missing))


def _not_accepted(plan: Plan, _said: Values) -> Any:
    """R32-2.3: a new tool waits for its inspection."""
    waiting = [one for one in plan.tools if one.record.state == values.NEW]
    return _l("Not accepted by inspection yet: %(tools)s", tools=_codes(waiting)) if waiting else None


def _defective(plan: Plan, _said: Values) -> Any:
    """R32-5.3: what is defective goes to repair, back or away, but is not given out."""
    broken = [one for one in plan.tools if one.record.state == values.DEFECTIVE]
    if not broken or plan.kind not in GIVEN_OUT:
        return None
    return _l("Defective, not given out before it is repaired: %(tools)s", tools=_codes(broken))


def _uncalibrated(plan: Plan, _said: Values) -> Any:
    """GJ-1: the last day of the calibration has not passed."""
    if plan.kind not in GIVEN_OUT:
        return None
    day = local_day(plan.unit_id, plan.at)
    over = [one for one in plan.tools if one.calibrate_on is not None and one.calibrate_on < day]
    return _l("The calibration has run out: %(tools)s", tools=_codes(over)) if over else None


# --- sets, old for new, applications -------------------------------------------------------------


def standard_set(unit_id: int) -> Mapping[int, int]:
    """Return how many of each kind a person gets without asking: the standard sets times R35-4.1's number."""
    wanted = (
        select(KitLine.kind_id, func.sum(KitLine.quantity))
        .join(Kit, Kit.id == KitLine.kit_id)
        .where(Kit.unit_id == unit_id, Kit.standard, Kit.active)
        .group_by(KitLine.kind_id)
    )
    sets = int(effective(unit_id, SETS_CLAUSE).values["sets"])
    return {kind_id: int(quantity) * sets for kind_id, quantity in session().execute(wanted)}


def _beyond(plan: Plan) -> Iterator[tuple[Kind, bool]]:
    """Yield the kinds of which a person would have more than the standard set, and whether they belong to it."""
    allowed = standard_set(plan.unit_id)
    giving: dict[int, list[Tool]] = {}
    for tool in plan.tools:
        giving.setdefault(tool.kind_id, []).append(tool)
    for kind_id, tools in giving.items():
        most = allowed.get(kind_id, 0)
        if custody.held_of_kind(plan.taker.id, kind_id) + len(tools) > most:
            yield tools[0].kind, most > 0


def _application_of_kind(plan: Plan, kind: Kind) -> bool:
    return granted(plan, *FOR_ISSUE) and plan.application is not None and plan.application.kind_id == kind.id


def _unasked(in_set: bool) -> Callable[[Plan, Values], Any]:
    def check(plan: Plan, _said: Values) -> Any:
        if plan.kind != values.ISSUE:
            return None
        missing = [
            kind for kind, inside in _beyond(plan) if inside == in_set and not _application_of_kind(plan, kind)
        ]
        if not missing:
            return None
        if in_set:
            return _l(
                "More than the set of one person, without a granted application: %(kinds)s", kinds=_names(missing)
            )
        return _l("Not part of the standard set, without a granted application: %(kinds)s", kinds=_names(missing))

    return check


def _old_one_out(plan: Plan, _said: Values) -> Any:
    """R35-4.3: the old one is back before the new one goes out; one for one."""
    if plan.kind != values.ISSUE:
        return None
    out = list(_old_ones(plan))
    if not out:
        return None
    return _l("Old for new: the old one comes back first: %(tools)s", tools=_codes(out))


def _old_ones(plan: Plan) -> list[Tool]:
    """The tool that the application replaces, and defective ones of the same kinds, while the receiver has them."""
    kinds = {tool.kind_id for tool in plan.tools}
    wanted = (
        select(Tool)
        .join(Custody, Custody.tool_id == Tool.id)
        .where(Custody.party_id == plan.taker.id, Custody.ends_at.is_(None), Tool.kind_id.in_(kinds))
    )
    held = session().scalars(wanted).all()
    replaced = plan.application.tool_id if granted(plan, values.A_REPLACE) and plan.application else None
    extra = granted(plan, values.A_ADDITIONAL)
    return [
        one
        for one in held
        if one.record.state != values.LOST
        and (one.id == replaced or (one.record.state == values.DEFECTIVE and not extra))
    ]


def _wear_part_unasked(plan: Plan, _said: Values) -> Any:
    """R33-3.2: what is not in the standard set goes out on a granted application."""
    if plan.kind not in (values.ISSUE, values.USE) or granted(plan, values.A_WEAR_PART, *FOR_ISSUE):
        return None
    allowed = standard_set(plan.unit_id) if plan.parts else {}
    missing = [kind for kind, _quantity in plan.parts if kind.id not in allowed]
    if not missing:
        return None
    return _l("Wear parts go out on a granted application: %(kinds)s", kinds=_names(missing))


# --- loans ---------------------------------------------------------------------------------------


def _loan_unasked(plan: Plan, _said: Values) -> Any:
    """R33-6.1: who borrows has asked before."""
    if plan.kind != values.LOAN or granted(plan, values.A_BORROW):
        return None
    return _l("A loan needs an application that was granted before")


def _lent_on(plan: Plan, said: Values) -> Any:
    """R33-2.2 and R35-4.6: never, or only with an application granted before, as the unit set it."""
    if plan.kind != values.LEND:
        return None
    if said["lending"] == NEVER:
        return _l("Tools are not lent on; bring it back to the store, which lends it")
    if granted(plan, values.A_LEND):
        return None
    return _l("Lending on needs an application that was granted before; the keeper enters it")


def _to_department(plan: Plan, _said: Values) -> Any:
    """R35-4.8a: another department borrows from the store, by a time, and somebody signs for it."""
    if plan.taker.kind != values.DEPARTMENT or plan.kind == values.OPENING:
        return None
    if plan.kind != values.LOAN or plan.giver.kind != values.STORE or plan.due_at is None:
        return _l("Another department borrows from the store only, with the time to bring it back")
    if plan.taker.user_id is None and not plan.taker.contact:
        return _l("Say who signs for the department")
    return None


def _unseen(plan: Plan, _said: Values) -> Any:
    """R35-4.8b: the keeper says of each tool how it came back."""
    if plan.kind != values.RETURN or plan.taker.kind != values.STORE:
        return None
    unseen = [one for one in plan.tools if one.id not in plan.conditions]
    return _l("Say how it came back: %(tools)s", tools=_codes(unseen)) if unseen else None


def gate(clause: str, step: str, check: Callable[[Any, Any], Any], code: str, **more: Any) -> GateRule:
    """Return a gate whose ``check`` looks at what the service that asks hands over, not only at a step."""
    return GateRule(clause=clause, step=step, check=check, code=code, **more)


def _gates(clause: str, check: Callable[[Plan, Values], Any], code: str) -> Iterator[Rule]:
    for step in (OFFER, ACCEPT):
        yield gate(clause, step, check, code)


# --- terms ---------------------------------------------------------------------------------------


def until_due(said: Values, read: Values) -> Term:
    """Return the time from the loan to the moment it is to be back, and the clause's grace, in whole minutes."""
    lent_at, due_at = read["lent_at"], read["due_at"]
    if lent_at is None or due_at is None:  # worked out anew after it came back: nothing is known of its time
        return Term(Decimal(0), "day")
    minutes = int((due_at - lent_at).total_seconds() // 60) + int(said["grace"]) * 60
    return Term(Decimal(max(minutes, 0)), "minute")


def _back_in_time(clause: str, start: tuple[str, ...]) -> DeadlineRule:
    return DeadlineRule(
        clause=clause,
        record_type=TOOL,
        start=start,
        restart=start,
        meet=("returned", "handed_on"),
        stop=("lost", "disposed", "cancelled"),
        pause=(),
        resume=(),
        reads=("lent_at", "due_at"),
        term=until_due,
    )


_ISSUING = (_l("Hand-over of tools"), _l("Offer and acceptance"))
RULES: list[Rule] = [
    *_gates("R15-17", _needs_registration, "no_keeper"),
    *_gates("R33-2.1", _needs_permit, "no_permit"),
    *_gates("R32-2.3", _not_accepted, "not_accepted"),
    *_gates("R32-5.3", _defective, "defective"),
    *_gates("GJ-1", _uncalibrated, "calibration"),
    *_gates("R35-4.3", _old_one_out, "old_for_new"),
    *_gates("R35-4.4", _unasked(in_set=True), "not_applied"),
    *_gates("R35-5.1", _unasked(in_set=False), "not_applied"),
    *_gates("R33-3.2", _wear_part_unasked, "not_applied"),
    *_gates("R33-6.1", _loan_unasked, "not_applied"),
    *_gates("R33-2.2", _lent_on, "lent_on"),
    *_gates("R35-4.6", _lent_on, "lent_on"),
    *_gates("R35-4.8a", _to_department, "department"),
    gate(outings.TAKE_OUT_CLAUSE, f"{TOOL}.take_out", outings.not_permitted, "no_permission", needs_form=True),
    gate("R35-4.8b", ACCEPT, _unseen, "unseen"),
    *_gates(disposal.CLAUSE, disposal.in_plan, "not_agreed"),
    gate(disposal.CLAUSE, disposal.STEP, disposal.against, "not_agreed"),
    ServiceRule(clause="R33-9.1", does="gate", place="tools.view", words=(_l("Tools"), _l("Who may see them"))),
    ServiceRule(clause="GJ-4", does="gate", place="tools.accept", words=_ISSUING),
    ServiceRule(
        clause="R32-3.1", does="record", place="tools.file", words=(_l("Tool"), _l("Store, keeper and place"))
    ),
    ServiceRule(clause="R15-16", does="routing", place="tools.file", words=(_l("Tool"), _l("Asset class"))),
    ServiceRule(clause="R32-3.2", does="record", place="tools.custody", words=(_l("Custody ledger"),)),
    ServiceRule(clause=SETS_CLAUSE, does="record", place="tools.custody", words=(_l("Person's card"),)),
    _back_in_time("R33-4.2", ("taken",)),
    _back_in_time("R33-6.2", ("lent", "lent_on")),
    DeadlineRule(
        clause="R32-4.3",
        record_type=TOOL,
        start=("use_ended",),
        restart=("use_ended",),
        meet=("returned", "handed_on"),
        stop=("lost", "disposed", "cancelled"),
        pause=(),
        resume=(),
    ),
]
