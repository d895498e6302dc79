"""Incidents: defects, damage, losses, accidents, breaches. Reported here; judged, charged and settled by its steps.

What a report means for the tool follows at once: a defective one is not given out, a lost one is marked lost with
whoever held it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import (
    OPEN_CATEGORIES,
    Blocker,
    Charge,
    Fact,
    Field,
    InvalidData,
    NotAllowed,
    Record,
    RecordType,
    Refusal,
    Refused,
    accounts,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    current_scope,
    fetch,
    lock,
    may,
    notify,
    perform,
    publish,
    remember_answer,
    session,
    tell_of_fact,
    transaction,
    unit_facts,
)

from . import custody, disposal, file, flow, judging, settling, values
from .incident_flow import WORKFLOW
from .models import Custody, Incident, Party, Tool
from .rights import CLEAR, DECIDE, KEEP, MAINTAIN, OWN

CODE = "tools_incident"
# What one may report without holding the tool.
ANYTHING = (KEEP, DECIDE, CLEAR, MAINTAIN)
MOST = 200
FIELDS = (
    Field("kind", "choice", _l("Kind of incident"), True, values.INCIDENT_KINDS),
    Field("tool", "text", _l("Tool"), True, max_length=200, help=_l("Scan or type its number")),
    Field("happened_at", "moment", _l("When"), help=_l("Leave empty for the present time")),
    Field("where", "text", _l("Place of the event"), max_length=120),
    Field("what", "long", _l("What exactly"), True, max_length=2000),
    Field("injured", "bool", _l("Somebody is hurt")),
    Field("secured", "bool", _l("Use was stopped and the site secured")),
    Field(
        "breach",
        "choice",
        _l("Which rule was broken"),
        lambda raw: raw.get("kind") == values.BREACH,
        values.BREACHES,
        help=_l("Only for a breach of the rules"),
    ),
    Field("user", "user", _l("Person concerned"), lambda raw: raw.get("kind") == values.BREACH),
    Field("clearance_id", "user", _l("Clearance")),
    Field("count_line_id", "user", _l("Line of a count")),
)
# What a person fills in; the rest comes from the services that report.
FORM = tuple(one for one in FIELDS if not one.name.endswith("_id"))


# --- reporting -----------------------------------------------------------------------------------


def report(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Report what happened to a tool: ``FIELDS`` (``tool``: its id as a number, else what was scanned).

    Who holds it may (``OWN``); keepers, leaders and maintainers for every tool, breaches of the rules they alone.
    The tool is marked defective or lost at once, and who looks after it is told (R32-5.3, R33-3.3, R33-7.2).

    Raises:
        NotAllowed, NotFound. InvalidData: beside the field: no such tool, a time to come or before it was here.
        Refused: the tool is not on the books, or was reported lost already.
    """
    given = clean(FIELDS, raw, timezone=unit_facts(unit_id).timezone)
    with transaction():
        before = answered_before(unit_id, key, "tools.incident", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        tool = _tool(unit_id, raw.get("tool"))
        permission = _require_reporter(unit_id, given["kind"], tool)
        lock(tool.id)
        at = _moment(given["happened_at"], tool)
        _require_on_books(given["kind"], tool)
        if given["kind"] == values.BREACH:
            judging.require_staff(unit_id, given["user"])
        record = _make(unit_id, permission, given, tool, at)
        _mark(record, given["kind"], tool)
        _tell(record, given["kind"], tool)
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _tool(unit_id: int, text: Any) -> Tool:
    if isinstance(text, int):
        tool = fetch(Tool, text)
        if tool.unit_id == unit_id:
            return tool
    try:
        return file.find_tool(unit_id, text)
    except InvalidData as bad:
        raise InvalidData({"tool": bad.texts()}) from None


def _require_reporter(unit_id: int, kind: str, tool: Tool) -> str:
    """Return the permission by which the actor may report this of a tool.

    Raises:
        NotAllowed. InvalidData: beside ``kind`` or ``tool``, for who holds tools but not this one.
    """
    for permission in ANYTHING:
        if may(permission, unit_id):
            return permission
    held = custody.spell(tool.id)
    mine = held is not None and held.party.user_id is not None and held.party.user_id == current_scope().actor_id
    if not may(OWN, unit_id):
        raise NotAllowed(KEEP)
    if kind == values.BREACH:
        raise InvalidData({"kind": _l("Keepers and leaders report breaches of the rules; please tell them")})
    if not mine:
        raise InvalidData({"tool": _l("This tool is not in your hands; please tell the keeper")})
    return OWN


def _moment(given: datetime | None, tool: Tool) -> datetime:
    now = clock.now()
    if given is None:
        return now
    if given > now:
        raise InvalidData({"happened_at": _l("This time lies in the future")})
    if given < tool.record.received_at.replace(second=0, microsecond=0):
        raise InvalidData({"happened_at": _l("The tool was not registered then")})
    return given


def _require_on_books(kind: str, tool: Tool) -> None:
    state = tool.record.state
    if kind == values.BREACH and state not in (values.CANCELLED,):
        return
    if state == values.LOST:
        raise Refused([Refusal("lost", _l("%(code)s was reported lost already", code=tool.code))])
    if state in (values.NEW, values.RETIRED, values.SCRAPPED, values.CANCELLED):
        text = _l("%(code)s is not in use: %(state)s", code=tool.code, state=flow.WORKFLOW.states[state].label)
        raise Refused([Refusal("not_in_use", text)])


def holder_at(tool_id: int, at: datetime) -> Party | None:
    """Return who held a tool at a moment; where it was not here yet, who holds it now."""
    then = and_(Custody.starts_at <= at, or_(Custody.ends_at.is_(None), Custody.ends_at > at))
    mine = select(Custody).where(Custody.tool_id == tool_id, then).order_by(Custody.seq.desc()).limit(1)
    found = session().scalars(mine.options(joinedload(Custody.party))).first() or custody.spell(tool_id)
    return found.party if found is not None else None


def _make(unit_id: int, permission: str, given: Mapping[str, Any], tool: Tool, at: datetime) -> Record:
    kind = given["kind"]
    holder = holder_at(tool.id, at)
    detail = Incident(
        kind=kind,
        breach=(given["breach"] or "") if kind == values.BREACH else "",
        tool_id=tool.id,
        holder_id=holder.id if holder is not None else None,
        happened_at=at,
        where=given["where"] or "",
        what=given["what"],
        injured=given["injured"],
        secured=given["secured"],
        user_id=given["user"] if kind == values.BREACH else None,
        clearance_id=given["clearance_id"],
        count_line_id=given["count_line_id"],
    )
    label = dict(values.INCIDENT_KINDS)[kind]

    def then(made: Record) -> None:
        fact = append_fact(made, WORKFLOW.fact_kinds["reported"], at=clock.now())
        session().flush()
        tell_of_fact(made, fact)

    return create_record(
        TYPE,
        unit_id,
        detail,
        title=f"{tool.code} {tool.name}",
        customer_id=None,
        received_at=at,
        permission=permission,
        facts=[("registered", {"kind": kind, "tool": tool.code, "label": str(label)}), ("occurred", {})],
        then=then,
    )


def _mark(record: Record, kind: str, tool: Tool) -> None:
    """A broken tool is not given out until it was looked at, a lost one is missing with its holder."""
    given = {"handover": record.number}
    if kind == values.LOSS:
        perform(tool.id, "lose", given, permitted=True)
    elif kind != values.BREACH and tool.record.state in (values.IN_STORE, values.ISSUED, values.ON_LOAN):
        perform(tool.id, "report_defect", given, permitted=True)


def _tell(record: Record, kind: str, tool: Tool) -> None:
    """Tell the maintainer, the keeper of the store, and who judges; clauses name others."""
    unit_id = record.unit_id
    people = {tool.maintainer_id, file.home_of(tool).user_id}
    if kind != values.DEFECT:
        people |= accounts.who_may(DECIDE, unit_id, [one.id for one in accounts.staff_of(unit_id)])
    notify(record, "tools.reported", [one for one in people if one is not None], record.title)


# --- reading -------------------------------------------------------------------------------------


def open_of_person(unit_id: int, user_id: int) -> Sequence[Incident]:
    """Return the incidents that somebody answers for, or that happened in their hands, and that are still open.

    Once it is judged only who answers counts.
    """
    theirs = or_(
        Incident.user_id == user_id,
        and_(Incident.user_id.is_(None), Incident.holder_id.in_(_held_as(unit_id, user_id))),
    )
    wanted = (
        select(Incident)
        .join(Incident.record)
        .where(Incident.unit_id == unit_id, Record.category.in_(OPEN_CATEGORIES), theirs)
        .options(contains_eager(Incident.record), joinedload(Incident.tool))
        .order_by(Incident.id)
        .limit(MOST)
    )
    return session().scalars(wanted).all()


def _held_as(unit_id: int, user_id: int) -> Sequence[int]:
    """Return the parties somebody holds tools as: themselves, departments they sign for."""
    mine = Party.unit_id == unit_id, Party.user_id == user_id, Party.kind.in_((values.PERSON, values.DEPARTMENT))
    return session().scalars(select(Party.id).where(*mine)).all()


def concerns(detail: Incident, user_id: int | None) -> bool:
    """Tell whether somebody may see an incident as their own: they answer for it, or held the tool then."""
    if user_id is None:
        return False
    holder = detail.holder
    return detail.user_id == user_id or (
        holder is not None and holder.kind != values.STORE and holder.user_id == user_id
    )


def of_tool(tool_id: int, limit: int = 50) -> Sequence[Incident]:
    """Return the newest incidents of a tool."""
    mine = select(Incident).where(Incident.tool_id == tool_id).order_by(Incident.id.desc()).limit(limit)
    return session().scalars(mine.options(joinedload(Incident.user))).all()


# --- following -----------------------------------------------------------------------------------

_BACK = ("return", "give_back", "find", "find_in_store")
_SOUND = ("mend", "mend_issued", "come_back")


def after_step(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Follow the steps of tools: what was lost came back, what was defective is sound (the hook of the plugin)."""
    disposal.follow(record, transition)
    if record.type == CODE and transition == "repaired" and record.state == values.REPORTED:
        _mended(record.id)
    if record.type != flow.CODE or transition not in _BACK + _SOUND:
        return
    cause = str(facts[0].data.get("handover") or "") if facts else ""
    for one in _open_of_tool(record.id):
        if one.record.number == cause:
            continue  # its own step brought this about
        if transition in _SOUND:
            _mended(one.id)
        elif one.kind == values.LOSS and one.record.state != values.REFUND:
            name = "found_paid" if settling.deducted(one.id) else "found"
            perform(one.id, name, {"reason": str(_l("Brought back"))}, permitted=True)


def _mended(incident_id: int) -> None:
    """A defect that nobody has judged is over when the tool is sound; damage is judged all the same."""
    detail = session().get_one(Incident, incident_id)
    if detail.kind == values.DEFECT and detail.record.state == values.REPORTED:
        perform(incident_id, "mended", permitted=True)


def _open_of_tool(tool_id: int) -> Sequence[Incident]:
    wanted = (
        select(Incident)
        .join(Record, Record.id == Incident.id)
        .where(Incident.tool_id == tool_id, Record.category.in_(OPEN_CATEGORIES))
        .order_by(Incident.id)
        .limit(MOST)
    )
    return session().scalars(wanted).all()


def charge_changed(charge: Charge) -> None:
    """Tell the person when what they owe for a tool was waived or corrected by hand (a hook of the plugin).

    Raises:
        Refused: it is their own, comes to more than they were asked for or less than was taken off their pay, or is
            settled.
    """
    if not charge.source.startswith(judging.SOURCE):
        return
    record = session().get_one(Record, charge.record_id)
    detail = session().get(Incident, record.id)
    if detail is None:
        return
    against = settling.against_change(detail, charge)
    if against is not None:
        raise Refused([Refusal("compensation", against, charge.clause)])
    if detail.user_id is not None and record.category in OPEN_CATEGORIES:
        notify(record, "tools.charge_changed", [detail.user_id], record.title)


def moving(charge: Charge, step: str) -> list[Blocker]:
    """A compensation goes by the steps of its incident: the person's yes is given by the person alone."""
    if not charge.source.startswith(judging.SOURCE):
        return []
    return [Blocker(_l("This goes by the steps of the incident"))]


def search_text(record: Record, detail: Any) -> str:
    """Return the words an incident is found by."""
    return "\n".join(one for one in (record.number, record.title, detail.where) if one)


TYPE = RecordType(
    CODE, _l("Incident"), "SG", Incident, WORKFLOW, search_text, intake=FORM, register=report, files=OWN
)
