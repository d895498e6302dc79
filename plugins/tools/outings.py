"""What a holder says of a tool in their hands: use ended, taken out, brought in again, more time.

Only its holder takes these steps, or a keeper in their place. A company tool leaves the premises with a permission
that was granted, or on a field trip: for an open case that is assigned to the holder (R33-9.2).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    OPEN_CATEGORIES,
    Field,
    Guard,
    InvalidData,
    Position,
    Record,
    Step,
    Transition,
    accounts,
    current_locale,
    current_scope,
    effective,
    holds,
    may,
    session,
)

from . import application_rows, custody, values
from .models import Application, Party, Tool
from .rights import DECIDE, KEEP, OWN

TAKE_OUT_CLAUSE, LOAN_CLAUSE = "R33-9.2", "R33-6.1"
# The terms that run until a loan, or what was taken for a job, is back.
LOAN_TERM, JOB_TERM = "R33-6.2", "R33-4.2"
_AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))
_NOTE = Field("note", "long", _l("Note"), max_length=300)
CASE = Field(
    "case",
    "text",
    _l("Service case"),
    max_length=40,
    help=_l("On a field trip: the number of the open case assigned to the holder; else a permission is needed"),
)


# --- who -----------------------------------------------------------------------------------------


def holder_of(tool: Tool) -> Party | None:
    """Return the party that holds a tool now."""
    found = custody.spell(tool.id)
    return found.party if found is not None else None


def _not_theirs(step: Step) -> Any:
    party, actor = holder_of(step.detail), current_scope().actor_id
    if may(KEEP, step.record.unit_id) or (party is not None and actor is not None and party.user_id == actor):
        return None
    return _l("Only who holds the tool, or a keeper, can say this")


def _no_keeper(step: Step) -> Any:
    """More time is given by whoever may grant the loan, not taken by the borrower."""
    unit_id, actor = step.record.unit_id, current_scope().actor_id
    party = holder_of(step.detail)
    if party is not None and actor is not None and party.user_id == actor:
        return _l("Nobody gives themselves more time")
    if not holds(unit_id, LOAN_CLAUSE):
        return None if may(KEEP, unit_id) or may(DECIDE, unit_id) else _l("A keeper gives more time")
    position = str(effective(unit_id, LOAN_CLAUSE).values["position"])
    if actor in {user_id for user_id, _name in accounts.holders(position, unit_id)}:
        return None
    return _l("More time is given by whoever grants the loan: %(position)s", position=_title(position))


def _title(code: str) -> str:
    row = session().scalars(select(Position).where(Position.code == code)).first()
    if row is None:
        return code
    return row.title_en if current_locale() == "en" and row.title_en else row.title


_THEIRS = Guard("not_theirs", _not_theirs)


# --- taking out ----------------------------------------------------------------------------------


def not_permitted(step: Step, _said: Any = None) -> Any:
    """R33-9.2: a granted permission for this tool, or an open case assigned to its holder. Answers why not."""
    party = holder_of(step.detail)
    if party is None or party.user_id is None:
        return _l("Nobody holds %(tool)s who could take it out", tool=step.detail.code)
    number = str(step.values.get("case") or "")
    if number:
        if field_trip(step.record.unit_id, party.user_id, number) is not None:
            return None
        return _l("%(number)s is no open case assigned to the holder", number=number)
    if permission_of(step.detail, party.user_id, step.at) is not None:
        return None
    return _l("Taking it out needs a permission, or the number of an open case assigned to the holder")


def field_trip(unit_id: int, user_id: int, number: str) -> Record | None:
    """Return the open case of a number that is assigned to a person, or None."""
    wanted = select(Record).where(
        Record.unit_id == unit_id,
        Record.type == "case",
        Record.number == number.upper(),
        Record.assignee_id == user_id,
        Record.category.in_(OPEN_CATEGORIES),
    )
    return session().scalars(wanted).first()


def permission_of(tool: Tool, user_id: int, at: datetime) -> Application | None:
    """Return the granted permission of a person to take this tool out at a moment, or None."""
    kinds = (values.A_TAKE_OUT,)
    return application_rows.find_granted(tool.unit_id, user_id, tool.kind_id, kinds, tool_id=tool.id, now=at)


def _take_out(step: Step) -> None:
    from . import applications  # it needs the file, which needs the steps of this module

    step.detail.outside = True
    party = holder_of(step.detail)
    if step.values.get("case") or party is None or party.user_id is None:
        return
    granted = permission_of(step.detail, party.user_id, step.at)
    if granted is not None:
        step.values["permission"] = granted.record.number
        applications.use(granted, 1, step.record)


def _outside(step: Step) -> Any:
    return _l("It is taken out already") if step.detail.outside else None


def _inside(step: Step) -> Any:
    return None if step.detail.outside else _l("It was not taken out")


def _bring_in(step: Step) -> None:
    step.detail.outside = False


# --- use and time --------------------------------------------------------------------------------


def _used(step: Step) -> Any:
    return _l("The use ended already; please bring it back") if step.detail.used_until is not None else None


def _end_use(step: Step) -> None:
    if step.detail.lent_at is not None and step.at < step.detail.lent_at:
        raise InvalidData({"at": _l("This is before the tool was taken")})
    step.detail.used_until = step.at


def _extend(step: Step) -> None:
    due: datetime = step.values["due_at"]
    if due <= step.at:
        raise InvalidData({"due_at": _l("This time has passed already")})
    if step.detail.due_at is not None and due <= step.detail.due_at:
        raise InvalidData({"due_at": _l("This is no later than it was due")})
    step.detail.due_at = due
    step.detail.used_until = None
    # The term that runs is worked out anew: until the new time (R33-4.2, R33-6.2).
    step.add_fact("terms_released", data={"clause": LOAN_TERM if step.detail.borrowed else JOB_TERM})


_LENT, _OUT = frozenset({values.ON_LOAN}), frozenset({values.ISSUED, values.ON_LOAN})
# Steps of a tool (and their facts): ``end_use`` (use_ended), ``take_out`` (taken_out), ``bring_in`` (brought_in),
# ``extend`` (extended).
TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        "end_use",
        _l("End the use"),
        _LENT,
        None,
        OWN,
        "use_ended",
        (_AT, _NOTE),
        (_THEIRS, Guard("used", _used)),
        apply=_end_use,
        note="note",
        help=_l("Then it is cleaned and brought back"),
        weight=20,
    ),
    Transition(
        "take_out",
        _l("Take out of the premises"),
        _OUT,
        None,
        OWN,
        "taken_out",
        (CASE, Field("note", "long", _l("Where to and what for"), max_length=300), _AT),
        (_THEIRS, Guard("outside", _outside)),
        apply=_take_out,
        kept=("case", "permission"),
        note="note",
        weight=25,
    ),
    Transition(
        "bring_in",
        _l("Bring in again"),
        _OUT | {values.DEFECTIVE, values.LOST},
        None,
        OWN,
        "brought_in",
        (_AT, _NOTE),
        (_THEIRS, Guard("inside", _inside)),
        apply=_bring_in,
        note="note",
        weight=26,
    ),
    Transition(
        "extend",
        _l("Give more time"),
        _LENT,
        None,
        OWN,
        "extended",
        (Field("due_at", "moment", _l("Back by"), True), _NOTE),
        (Guard("no_keeper", _no_keeper),),
        apply=_extend,
        kept=("due_at",),
        note="note",
        weight=30,
    ),
)
