"""Maintenance, calibration, overhaul and repair of tools: what was done, and when the next one is due.

Whoever may maintain takes the steps, or the maintainer named for the tool (R32-5.1). What turns out unsound becomes
a defect at once; a repair that made a defective tool sound puts it back into use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import (
    OPEN_CATEGORIES,
    Choices,
    Fact,
    Field,
    Guard,
    InvalidData,
    Record,
    Step,
    Transition,
    add_months,
    clock,
    current_scope,
    effective,
    holds,
    local_day,
    may,
    open_task,
    perform,
    session,
)

from . import custody, parties, values
from .models import Kind, Service, Tool
from .rights import DECIDE, KEEP, MAINTAIN, OWN

PARTS_CLAUSE, MAINTAINER_CLAUSE, TEST_CLAUSE, OVERHAUL_CLAUSE = "R32-5.2", "R32-5.1", "R28-5.3", "R05-3.1b"
LIFE_CLAUSE, REVIEW_CLAUSE = "R35-5.3", "R33-8.1"
SOON_DAYS = 30
MOST_SUBJECTS = 300
SOUND, DEFECT = "sound", "defect"
_YEAR = 12
_ROUND = (values.MAINTENANCE, values.OVERHAUL, values.REPAIR_DONE)


def _parts() -> Choices:
    from . import rules_care  # it names functions of this module

    return rules_care.MAINTENANCE_ITEMS


def _unsound(raw: Mapping[str, Any]) -> bool:
    return raw.get("result") == DEFECT


_DONE_ON = Field("done_on", "date", _l("Done on"), help=_l("Leave empty for today"))
_BY = Field("by", "text", _l("Done by"), max_length=120, help=_l("A person or a company; empty: whoever enters it"))
_RESULT = Field(
    "result", "choice", _l("Result"), True, ((SOUND, _l("Sound")), (DEFECT, _l("Not sound"))), default=SOUND
)
_FAULT = Field(
    "fault", "long", _l("What is wrong with it"), _unsound, max_length=1000, help=_l("It becomes a defect report")
)
_COST = Field("cost", "decimal", _l("Cost (yuan)"), minimum=Decimal(0), maximum=Decimal("9999999.99"))
_NEXT_ON = Field("next_on", "date", _l("Next one"), help=_l("Leave empty: by the interval"))
_NOTE = Field("note", "long", _l("Note"), max_length=1000)
MAINTAIN_FIELDS = (
    Field(
        "what",
        "choice",
        _l("What was done to it"),
        choices=tuple(one for one in values.SERVICES if one[0] in _ROUND),
        default=values.MAINTENANCE,
    ),
    Field("parts_done", "many", _l("Parts of maintenance"), choices=_parts),
    _RESULT,
    _FAULT,
    _DONE_ON,
    _BY,
    _COST,
    _NEXT_ON,
    _NOTE,
)
CALIBRATE_FIELDS = (
    Field("certificate", "text", _l("Number of the certificate"), True, max_length=80),
    _RESULT,
    _FAULT,
    _DONE_ON,
    Field("by", "text", _l("Calibrated by"), True, max_length=120),
    Field(
        "next_on", "date", _l("Calibration holds until"), help=_l("The last day it holds; empty: by the interval")
    ),
    _COST,
    _NOTE,
)


# --- who, and what does not fit --------------------------------------------------------------------


def may_care(tool: Tool) -> bool:
    """Tell whether the actor may enter care of a tool: with ``MAINTAIN``, or as its named maintainer."""
    return may(MAINTAIN, tool.unit_id) or tool.maintainer_id == current_scope().actor_id is not None


def _not_theirs(step: Step) -> Any:
    if may_care(step.detail):
        return None
    return _l("Only the tool's maintainer, or whoever maintains tools, can say this")


_THEIRS = Guard("not_theirs", _not_theirs)
_PRESENT = frozenset({values.IN_STORE, values.ISSUED, values.ON_LOAN, values.DEFECTIVE, values.IN_REPAIR})


def _read(step: Step) -> tuple[date, date | None]:
    """Return the day it was done and when the next one is due as typed.

    Raises:
        InvalidData: a day still to come, or before the tool was bought; the next one not after it.
    """
    today, tool, given = local_day(step.record.unit_id), step.detail, step.values
    done, following = given["done_on"] or today, given["next_on"]
    bad: dict[str, Any] = {}
    if done > today:
        bad["done_on"] = _l("This day lies in the future")
    elif tool.bought_on is not None and done < tool.bought_on:
        bad["done_on"] = _l("The tool was bought later than this")
    if following is not None and following <= done:
        bad["next_on"] = _l("This must be later than the day it was done")
    if bad:
        raise InvalidData(bad)
    return done, following


# --- what a step writes ------------------------------------------------------------------------------


def _maintain(step: Step) -> None:
    tool, what = step.detail, step.values["what"] or values.MAINTENANCE
    step.values["what"] = what
    done, following = _read(step)
    if what != values.REPAIR_DONE and following is None:
        months = months_between(tool)
        following = add_months(done, months) if months else None
    _keep(step, what, done, following)
    if what != values.REPAIR_DONE or following is not None:
        tool.maintain_on = following


def _calibrate(step: Step) -> None:
    """An instrument that failed its calibration has none: it is a defect until it passes."""
    tool = step.detail
    done, following = _read(step)
    if following is None and tool.kind.calibrate_months:
        following = add_months(done, tool.kind.calibrate_months)
    if following is None and step.values["result"] == SOUND:
        raise InvalidData({"next_on": _l("Its kind has no interval; say until when the calibration holds")})
    _keep(step, values.CALIBRATION, done, following)
    if step.values["result"] == SOUND:
        tool.calibrate_on = following


def _keep(step: Step, what: str, done: date, following: date | None) -> None:
    given = step.values
    row = Service(
        unit_id=step.record.unit_id,
        tool_id=step.record.id,
        what=what,
        done_on=done,
        by=given["by"] or "",
        parts_done=list(given.get("parts_done") or ()),
        sound=given["result"] == SOUND,
        cost=given["cost"],
        certificate=given.get("certificate") or "",
        next_on=following,
        note="\n".join(one for one in (given["fault"], given["note"]) if one),
        entered_by=current_scope().actor_id,
        entered_at=clock.now(),
    )
    session().add(row)
    session().flush()
    given["done_on"], given["next_on"] = done, following
    if row.cost is not None and row.cost != row.cost.quantize(Decimal("0.01")):
        raise InvalidData({"cost": _l("At most two decimals")})


# Steps of a tool: ``maintain`` (fact cared_for), ``calibrate`` (calibrated).
TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        "maintain",
        _l("Maintain"),
        _PRESENT,
        None,
        OWN,
        "cared_for",
        MAINTAIN_FIELDS,
        (_THEIRS,),
        apply=_maintain,
        kept=("what", "parts_done", "result", "fault", "done_on", "next_on"),
        note="note",
        help=_l("Cleaning, lubrication, test; also overhauls and repairs"),
        weight=40,
    ),
    Transition(
        "calibrate",
        _l("Calibrate"),
        _PRESENT,
        None,
        OWN,
        "calibrated",
        CALIBRATE_FIELDS,
        (_THEIRS,),
        apply=_calibrate,
        kept=("certificate", "result", "fault", "done_on", "next_on"),
        note="note",
        weight=41,
    ),
)


def record(tool: Tool, raw: Mapping[str, Any], *, key: str = "") -> Service:
    """Enter care of a tool from a plain form (importers, API): ``what`` and the fields of its step.

    Raises:
        NotAllowed, InvalidData, Refused: as the steps.
    """
    calibrates = raw.get("what") == values.CALIBRATION
    perform(tool.id, "calibrate" if calibrates else "maintain", raw, key=key)
    mine = select(Service).where(Service.tool_id == tool.id).order_by(Service.id.desc()).limit(1)
    return session().scalars(mine).one()


def after_step(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Follow care (the plugin's hook): a defect found is reported, a repaired tool is sound, tasks are done."""
    if transition not in ("maintain", "calibrate") or not facts:
        return
    said, tool = facts[0].data, session().get_one(Tool, record.id)
    if said.get("result") == DEFECT:
        _report(record, str(said.get("fault") or ""))
    elif said.get("what") == values.REPAIR_DONE and record.state == values.DEFECTIVE:
        held = custody.spell(record.id)
        at_home = held is None or held.party.kind == values.STORE
        perform(record.id, "mend" if at_home else "mend_issued", {"note": facts[0].note}, permitted=True)
    _finish_tasks(tool)


def _report(record: Record, fault: str) -> None:
    from . import incidents  # it needs the steps of this module

    if record.state not in (values.IN_STORE, values.ISSUED, values.ON_LOAN):
        return  # it is known to be defective, or is with the repairer
    if any(may(one, record.unit_id) for one in (KEEP, DECIDE, MAINTAIN)):
        incidents.report(record.unit_id, {"kind": values.DEFECT, "tool": record.id, "what": fault})
        return
    perform(record.id, "report_defect", {"note": fault}, permitted=True)


def _finish_tasks(tool: Tool) -> None:
    """Finish the overhaul of this piece, and a maintainer's round when nothing of theirs is due any more."""
    unit_id, today = tool.unit_id, local_day(tool.unit_id)
    result = {"result": f"{tool.code} {tool.name}"}
    if tool.kind.category == values.EQUIPMENT:
        _finish(open_task(unit_id, OVERHAUL_CLAUSE, subject_of_tool(tool.id), today), result)
    if tool.maintainer_id is None:
        return
    left = select(Tool.id).where(_in_use(unit_id), Tool.maintainer_id == tool.maintainer_id)
    if session().scalars(left.where(Tool.maintain_on <= today).join(Tool.record).limit(1)).first() is None:
        _finish(open_task(unit_id, MAINTAINER_CLAUSE, subject_of_person(tool.maintainer_id), today), result)


def _finish(task: Record | None, result: Mapping[str, Any]) -> None:
    if task is not None:
        perform(task.id, "finish", result, permitted=True)


# --- intervals and lives -----------------------------------------------------------------------------


def clause_months(unit_id: int, clause: str, name: str) -> int:
    """Return a duration that a clause sets in months; 0 where the clause does not hold."""
    if not holds(unit_id, clause):
        return 0
    found = effective(unit_id, clause)
    amount = int(Decimal(str(found.values[name])))
    return amount * (_YEAR if found.clause.parameter(name).unit == "year" else 1)


def months_between(tool: Tool) -> int:
    """Return how many months lie between two services of a tool: its kind's, else the clause's; 0: none."""
    kind = tool.kind
    if kind.maintain_months:
        return kind.maintain_months
    if kind.category == values.EQUIPMENT:
        return clause_months(tool.unit_id, OVERHAUL_CLAUSE, "interval")
    tested = clause_months(tool.unit_id, TEST_CLAUSE, "interval") if kind.category == values.TEST else 0
    named = clause_months(tool.unit_id, MAINTAINER_CLAUSE, "interval") if tool.maintainer_id is not None else 0
    return min((one for one in (tested, named) if one), default=0)


def _in_use(unit_id: int) -> ColumnElement[bool]:
    return and_(Tool.unit_id == unit_id, Record.category.in_(OPEN_CATEGORIES))


def beyond_life(unit_id: int) -> ColumnElement[bool]:
    """Return the condition for tools whose service life is over (R33-8.1, R35-5.3).

    Months differ in length, so each life that occurs is a comparison of its own with the day of purchase; lives
    are a handful. Select from ``Tool`` joined to ``Kind``.
    """
    today, said = local_day(unit_id), clause_months(unit_id, LIFE_CLAUSE, "life")
    own = select(Tool.life_months).where(Tool.unit_id == unit_id, Tool.life_months.is_not(None)).distinct()
    kinds = select(Kind.life_months).where(Kind.unit_id == unit_id, Kind.life_months.is_not(None)).distinct()
    lives = {said, *session().scalars(own.limit(MOST_SUBJECTS)), *session().scalars(kinds.limit(MOST_SUBJECTS))}
    life = func.coalesce(Tool.life_months, Kind.life_months, said)
    over = [and_(life == one, Tool.bought_on <= add_months(today, -one)) for one in sorted(lives) if one]
    return or_(*over) if over else Tool.id.is_(None)


def life_ends(tool: Tool) -> date | None:
    """Return the day a tool's service life ended or ends: its own life, else its kind's, else the clause's."""
    from . import file  # it needs the steps of this module

    months = file.life_of(tool, clause_months(tool.unit_id, LIFE_CLAUSE, "life"))
    return add_months(tool.bought_on, months) if months and tool.bought_on is not None else None


def old_tools(unit_id: int, limit: int = MOST_SUBJECTS) -> Sequence[Tool]:
    """Return tools in use whose service life is over, for the review of R33-8.1."""
    wanted = (
        select(Tool)
        .join(Tool.record)
        .join(Tool.kind)
        .where(_in_use(unit_id), Record.state != values.RETIRED, beyond_life(unit_id))
        .options(contains_eager(Tool.record), contains_eager(Tool.kind))
        .order_by(Tool.bought_on, Tool.id)
        .limit(limit)
    )
    return session().scalars(wanted).all()


# --- what is due -------------------------------------------------------------------------------------


def due(unit_id: int, column: Any, days: int = SOON_DAYS, limit: int = MOST_SUBJECTS) -> Sequence[Tool]:
    """Return tools in use whose ``column`` (Tool.maintain_on or Tool.calibrate_on) falls due within days."""
    last = local_day(unit_id) + timedelta(days=days)
    wanted = (
        select(Tool)
        .join(Tool.record)
        .where(_in_use(unit_id), column <= last)
        .options(contains_eager(Tool.record), joinedload(Tool.kind))
        .order_by(column, Tool.id)
        .limit(limit)
    )
    return session().scalars(wanted).all()


def services_of(tool_id: int, limit: int = 50) -> Sequence[Service]:
    """Return what was done to a tool, the latest first."""
    mine = select(Service).where(Service.tool_id == tool_id).order_by(Service.id.desc()).limit(limit)
    return session().scalars(mine).all()


# --- subjects of recurring work ----------------------------------------------------------------------


def subject_of_tool(tool_id: int) -> str:
    """Return the key under which recurring work is about one tool."""
    return f"tool:{tool_id}"


def subject_of_person(user_id: int) -> str:
    """Return the key under which recurring work is somebody's."""
    return f"user:{user_id}"


def maintainers(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the named maintainers of tools in use (R32-5.1), as subjects of recurring work."""
    ids = select(Tool.maintainer_id).join(Tool.record).where(_in_use(unit_id), Tool.maintainer_id.is_not(None))
    held = {one for one in session().scalars(ids.distinct().limit(MOST_SUBJECTS)) if one is not None}
    return [(subject_of_person(key), name, None) for key, name in sorted(parties.user_names(held).items())]


def equipment(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the production equipment in use (R05-3.1b), the first few hundred pieces, as subjects."""
    wanted = (
        select(Tool.id, Tool.code, Tool.name)
        .join(Tool.record)
        .join(Tool.kind)
        .where(_in_use(unit_id), Kind.category == values.EQUIPMENT)
        .order_by(Tool.id)
        .limit(MOST_SUBJECTS)
    )
    return [(subject_of_tool(row.id), f"{row.code} {row.name}", None) for row in session().execute(wanted)]
