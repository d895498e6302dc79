"""Hand-overs (交接单): offered by one side, accepted by both, nothing moves before.

An offer reserves its tools: each stands on one open line at a time. ``acceptance`` has what comes after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    RecordType,
    Refused,
    accounts,
    answered_before,
    clean,
    clock,
    create_record,
    current_scope,
    fetch,
    label_of,
    may,
    money_math,
    notify,
    publish,
    remember_answer,
    require,
    session,
    transaction,
    unit_facts,
)

from . import application_rows, file, holders, parties, sides, values
from .acceptance import accept, say
from .handover_flow import CODE, WORKFLOW, ticks_wanted
from .handover_reasons import against_offer
from .handover_rows import (
    fetch_handover,
    lock_tools,
    locked,
    open_lines,
    open_of_tool,
    waiting_for,
    waiting_for_stores,
)
from .models import Application, Clearance, Custody, Handover, HandoverLine, Incident, Kind, Party, Tool
from .plan import Plan
from .refusing import refuse, withdraw
from .rights import CLEAR, KEEP, OWN, VIEW
from .sides import GIVER, TAKER, Voice, Word

__all__ = [
    "FIELDS",
    "TYPE",
    "accept",
    "fetch_handover",
    "find_tools",
    "give_at_once",
    "offer",
    "open_lines",
    "open_of_tool",
    "refuse",
    "still_going_on",
    "ticks_wanted",
    "waiting_for",
    "waiting_for_stores",
    "withdraw",
]
MOST_LINES, CHUNK = 500, 500
_PART = (
    Field("kind", "user", _l("Kind of tool"), True),
    Field("quantity", "decimal", _l("Quantity"), True, minimum=Decimal("0.01"), maximum=Decimal(100_000)),
)
_PARTY = {"help": _l("Or the person below")}
FIELDS = (
    Field("kind", "choice", _l("Kind"), True, values.HANDOVER_KINDS),
    Field("giver_id", "user", _l("Giver"), **_PARTY),
    Field("giver_user_id", "user", _l("Giving person")),
    Field("taker_id", "user", _l("Taken over by"), **_PARTY),
    Field("taker_user_id", "user", _l("Receiving person")),
    Field("due_at", "moment", _l("Back by")),
    Field("purpose", "text", _l("Used for"), max_length=300),
    Field("application_id", "user", _l("Application")),
    Field("clearance_id", "user", _l("Clearance")),
    Field("incident_id", "user", _l("Incident")),
)
# What people type: a store by its name, tools by their numbers.
INTAKE = (
    FIELDS[0],
    Field("store", "text", _l("Tool store"), max_length=120, help=_l("Empty: the only one there is")),
    *(one for one in FIELDS if one.name in ("giver_user_id", "taker_user_id", "due_at", "purpose")),
    Field(
        "tools", "long", _l("Numbers of the tools"), True, max_length=20_000, help=_l("Their numbers, one a line")
    ),
)
# Applications that a kind of hand-over carries out.
_CARRIES_OUT = {
    values.ISSUE: (values.A_REPLACE, values.A_NEW, values.A_ADDITIONAL, values.A_WEAR_PART),
    values.LOAN: (values.A_BORROW,),
    values.LEND: (values.A_LEND,),
}


def still_going_on(unit_id: int) -> list[str]:
    """Say what speaks against switching the plugin off in a unit: open hand-overs, tools in people's hands."""
    waiting = select(func.count()).select_from(Record)
    waiting = waiting.where(Record.unit_id == unit_id, Record.type == CODE, Record.state == values.OFFERED)
    out = select(func.count()).select_from(Custody).join(Party, Party.id == Custody.party_id)
    out = out.where(Custody.unit_id == unit_id, Custody.ends_at.is_(None), Party.kind.in_(sides.PEOPLE))
    open_ones, held = session().scalar(waiting) or 0, session().scalar(out) or 0
    said = []
    if open_ones:
        said.append(_("%(count)d hand-overs of tools wait for an answer", count=open_ones))
    if held:
        said.append(_("%(count)d tools are in people's hands", count=held))
    return said


# --- offering ------------------------------------------------------------------------------------


def offer(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Offer a hand-over: ``FIELDS``; ``tools`` (ids as numbers, else codes or what was scanned), ``parts`` as
    (kind id, quantity), ``conditions`` by tool id, ``ticks``. Nothing moves yet, but the tools are reserved.

    The side the actor acts for says yes at once: the giving store or person; the receiving store of a return where
    the keeper says the ``conditions``, of what comes from a repairer, or which they keep themselves.

    Raises:
        NotAllowed: a store's side without ``KEEP``; a transfer without ``CLEAR``; somebody else's tools.
        NotFound: a tool or party of another unit. InvalidData: beside the field.
        Refused: every reason at once: not in the giver's hands, reserved, states, clauses.
    """
    given = clean(FIELDS, raw, timezone=unit_facts(unit_id).timezone)
    with transaction():
        before = answered_before(unit_id, key, "tools.offer", dict(raw))
        if before is not None:
            return fetch_handover(before["record"])
        ends = _ends(unit_id, given)
        _check_papers(unit_id, given, ends[0])
        permission = _permission(unit_id, given["kind"], *ends, given["clearance_id"])
        record = _offer(_plan(unit_id, given, raw, ends), given, permission, raw)
        remember_answer(unit_id, key, {"record": record.id})
        return record


def register(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Offer a hand-over as people type it (``INTAKE``); raises as ``offer``."""
    given = clean(INTAKE, raw, timezone=unit_facts(unit_id).timezone)
    ends = {}
    for side, kinds in zip((GIVER, TAKER), values.ENDS[given["kind"]], strict=True):
        if values.STORE in kinds and given[f"{side}_user_id"] is None:
            ends[f"{side}_id"] = holders.find_store(unit_id, given["store"]).id
    typed = {name: value for name, value in raw.items() if name not in ("store", "tools")}
    return offer(unit_id, {**typed, **ends, "tools": [one for one in given["tools"].splitlines() if one.strip()]})


def give_at_once(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Offer and accept in the names of both parties, for demo data: nobody real said these words.

    Raises:
        NotAllowed: without ``KEEP``. And as ``offer`` and ``accept``.
    """
    require(KEEP, unit_id)
    given = clean(FIELDS, raw, timezone=unit_facts(unit_id).timezone)
    ticks: dict[str, list[str]] = {}
    for name, code, _words in ticks_wanted(unit_id, given["kind"]):
        ticks.setdefault(name, []).append(code)
    raw = {**raw, "ticks": ticks}
    with transaction():
        made = _offer(_plan(unit_id, given, raw, _ends(unit_id, given)), given, KEEP, raw)
        record, handover, lines = locked(made.id)
        for side in (GIVER, TAKER):
            if sides.said(handover, side) is None:
                party = sides.party_of(handover, side)
                means = values.OWN_DEVICE if party.kind in sides.PEOPLE else values.ON_PAPER
                conditions = raw.get("conditions") if side == TAKER else {}
                how = Voice(party.user_id, means)
                say(record, handover, lines, side, how, Word(), conditions=conditions, ticks=_ticks(side, ticks))
        return record


def _ticks(side: str, ticks: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    return ticks if side == TAKER else {}


def _offer(plan: Plan, given: Mapping[str, Any], permission: str, raw: Mapping[str, Any]) -> Record:
    lock_tools(tool.id for tool in plan.tools)
    against = against_offer(plan)
    if against:
        raise Refused(against)
    with session().begin_nested():
        record, lines = _make(plan, given, permission)
        _say_at_once(record, lines, raw)
    return record


def _ends(unit_id: int, given: Mapping[str, Any]) -> tuple[Party, Party]:
    giver, taker = _party(unit_id, given, GIVER), _party(unit_id, given, TAKER)
    _check_ends(given["kind"], giver, taker)
    return giver, taker


def _plan(unit_id: int, given: Mapping[str, Any], raw: Mapping[str, Any], ends: tuple[Party, Party]) -> Plan:
    tools, parts = find_tools(unit_id, raw.get("tools") or ()), _parts(unit_id, raw.get("parts") or ())
    if not tools and not parts:
        raise InvalidData({"tools": _l("There is nothing to hand over yet")})
    if len(tools) + len(parts) > MOST_LINES:
        raise InvalidData({"tools": _l("At most %(count)d lines on one hand-over", count=MOST_LINES)})
    plan = Plan(
        unit_id=unit_id,
        kind=given["kind"],
        giver=ends[0],
        taker=ends[1],
        at=clock.now(),
        tools=tools,
        parts=parts,
        due_at=_due(given["kind"], given["due_at"]),
        clearance_id=given["clearance_id"],
        conditions=dict(raw.get("conditions") or {}),
    )
    return replace(plan, application=_application(plan, given["application_id"]))


def _party(unit_id: int, given: Mapping[str, Any], side: str) -> Party:
    name = f"{side}_id"
    if given[name] is not None:
        party = fetch(Party, given[name])
        if party.unit_id != unit_id:
            raise NotFound()
        return party
    user_id = given[f"{side}_user_id"]
    if user_id is None:
        raise InvalidData({name: _l("Please fill this in")})
    try:
        return parties.person(unit_id, user_id)
    except InvalidData as bad:
        raise InvalidData({name: bad.errors["user"]}) from None


def _check_ends(kind: str, giver: Party, taker: Party) -> None:
    errors: dict[str, Any] = {}
    for name, party, kinds in zip(("giver_id", "taker_id"), (giver, taker), values.ENDS[kind], strict=True):
        if party.kind not in kinds:
            allowed = "、".join(str(label_of(values.PARTY_KINDS, one)) for one in kinds)
            errors[name] = _l("For this kind of hand-over choose: %(kinds)s", kinds=allowed)
    if giver.id == taker.id:
        errors["taker_id"] = _l("Giver and receiver are the same")
    elif not taker.active:
        errors["taker_id"] = _l("This holder is out of use")
    elif taker.kind == values.PERSON and taker.user_id not in {one.id for one in accounts.staff_of(taker.unit_id)}:
        errors["taker_id"] = _l("This person does not work in the unit")
    if errors:
        raise InvalidData(errors)


def _check_papers(unit_id: int, given: Mapping[str, Any], giver: Party) -> None:
    """Pass if the clearance named is the giver's and open, and the incident named is one of the unit."""
    errors: dict[str, Any] = {}
    if given["clearance_id"] is not None:
        theirs = Clearance.id == given["clearance_id"], Clearance.user_id == giver.user_id
        still = Record.unit_id == unit_id, Record.state == values.OPEN
        found = select(Clearance.id).join(Record, Record.id == Clearance.id).where(*theirs, *still)
        if session().scalars(found).first() is None:
            errors["clearance_id"] = _l("This is no open clearance of the giver")
    if given["incident_id"] is not None:
        mine = Incident.unit_id == unit_id, Incident.id == given["incident_id"]
        if session().scalars(select(Incident.id).where(*mine)).first() is None:
            errors["incident_id"] = _l("There is no such incident here")
    if errors:
        raise InvalidData(errors)


def _permission(unit_id: int, kind: str, giver: Party, taker: Party, clearance_id: int | None) -> str:
    """Return the permission by which the actor may offer this.

    Raises:
        NotAllowed: they may not.
    """
    actor = current_scope().actor_id
    stores = values.STORE in (giver.kind, taker.kind)
    if stores and may(KEEP, unit_id):
        return KEEP
    clearing = kind == values.TRANSFER or (kind == values.RETURN and clearance_id is not None)
    if clearing and may(CLEAR, unit_id):
        return CLEAR
    theirs = sides.speaks_for(giver, actor) or (taker.kind == values.PERSON and sides.speaks_for(taker, actor))
    if kind in (values.RETURN, values.LEND) and theirs and may(OWN, unit_id):
        return OWN
    raise NotAllowed(CLEAR if kind == values.TRANSFER else KEEP)


def find_tools(unit_id: int, given: Iterable[object]) -> list[Tool]:
    """Return tools by id (numbers) or by code, serial or scanned label (text), each once, in that order.

    Raises:
        NotFound: an id of no tool here. InvalidData: under ``tools``, naming what was not found.
    """
    wanted = list(dict.fromkeys(given))
    ids = [one for one in wanted if isinstance(one, int)]
    codes = [one.strip() for one in wanted if isinstance(one, str)]
    by_id = {tool.id: tool for tool in _tools(unit_id, Tool.id, ids)}
    by_code = {tool.code: tool for tool in _tools(unit_id, Tool.code, codes)}
    if set(ids) - set(by_id):
        raise NotFound()
    found = [
        by_id[one] if isinstance(one, int) else by_code.get(str(one).strip()) or _scanned(unit_id, one)
        for one in wanted
    ]
    return list({tool.id: tool for tool in found}.values())


def _tools(unit_id: int, column: Any, values_: Sequence[object]) -> list[Tool]:
    found: list[Tool] = []
    for start in range(0, len(values_), CHUNK):
        wanted = select(Tool).where(Tool.unit_id == unit_id, column.in_(values_[start : start + CHUNK]))
        found += session().scalars(wanted.options(joinedload(Tool.kind)))
    return found


def _scanned(unit_id: int, text: object) -> Tool:
    try:
        return file.find_tool(unit_id, str(text))
    except InvalidData as bad:
        raise InvalidData({"tools": [said for texts in bad.errors.values() for said in texts]}) from None


def _parts(unit_id: int, given: Iterable[tuple[object, object]]) -> list[tuple[Kind, Decimal]]:
    found: dict[int, tuple[Kind, Decimal]] = {}
    for kind_id, quantity in given:
        one = clean(_PART, {"kind": kind_id, "quantity": quantity})
        kind = fetch(Kind, one["kind"])
        if kind.unit_id != unit_id:
            raise NotFound()
        if kind.category != values.CONSUMABLE:
            raise InvalidData({"parts": _l("%(kind)s has numbers: scan each one", kind=kind.name)})
        found[kind.id] = (
            kind,
            money_math.exact(one["quantity"], "parts") + found.get(kind.id, (kind, Decimal(0)))[1],
        )
    return list(found.values())


def _due(kind: str, due_at: datetime | None) -> datetime | None:
    if kind not in values.WITH_DUE:
        return None
    if due_at is None:
        raise InvalidData({"due_at": _l("Please say by when it is to be back")})
    if due_at <= clock.now():
        raise InvalidData({"due_at": _l("This time has passed already")})
    return due_at


def _application(plan: Plan, application_id: int | None) -> Application | None:
    """Return the granted application a plan carries out: the one named, else one of this person for this kind."""
    person = plan.giver if plan.kind == values.LEND else plan.taker
    if application_id is not None:
        return _named(plan, person, application_id)
    kinds = {*(tool.kind_id for tool in plan.tools), *(kind.id for kind, _quantity in plan.parts)}
    if plan.kind not in _CARRIES_OUT or person.user_id is None or len(kinds) != 1:
        return None
    # An old tool that is to be replaced is named by its application, too: it is not the one that is given.
    borrowed = plan.kind != values.ISSUE and len(plan.tools) == 1
    found = application_rows.find_granted(
        plan.unit_id,
        person.user_id,
        kinds.pop(),
        _CARRIES_OUT[plan.kind],
        tool_id=plan.tools[0].id if borrowed else None,
    )
    return found if found is not None and _enough(plan, found) and _to_whom(plan, found) else None


def _named(plan: Plan, person: Party, application_id: int) -> Application:
    named = fetch(Application, application_id)
    fits = named.unit_id == plan.unit_id and person.user_id == named.user_id
    fits = fits or (named.department_id is not None and named.department_id == plan.taker.id)
    if not (fits and _to_whom(plan, named)) or named.record.state != values.GRANTED:
        raise InvalidData({"application_id": _l("This application is not granted for this person")})
    if not _enough(plan, named):
        left = named.quantity - named.fulfilled
        raise InvalidData({"application_id": _l("This application is for %(left)d more only", left=left)})
    return named


def _enough(plan: Plan, application: Application) -> bool:
    wanted = sum(1 for tool in plan.tools if tool.kind_id == application.kind_id)
    wanted += sum(ceil(quantity) for kind, quantity in plan.parts if kind.id == application.kind_id)
    return wanted <= application.quantity - application.fulfilled


def _to_whom(plan: Plan, application: Application) -> bool:
    """Lending on was granted for one colleague."""
    return plan.kind != values.LEND or application.to_user_id in (None, plan.taker.user_id)


# --- the record ----------------------------------------------------------------------------------


def _make(plan: Plan, given: Mapping[str, Any], permission: str) -> tuple[Record, list[HandoverLine]]:
    detail = Handover(
        kind=plan.kind,
        giver=plan.giver,
        taker=plan.taker,
        due_at=plan.due_at,
        purpose=given["purpose"] or "",
        application_id=plan.application.id if plan.application else None,
        clearance_id=given["clearance_id"],
        incident_id=given["incident_id"],
        lines_count=len(plan.tools) + len(plan.parts),
    )
    lines = [HandoverLine(tool=tool, kind=tool.kind, condition=tool.condition) for tool in plan.tools]
    lines += [HandoverLine(kind=kind, quantity=quantity) for kind, quantity in plan.parts]
    for line in lines:
        line.unit_id, line.handover = plan.unit_id, detail
    record = create_record(
        TYPE,
        plan.unit_id,
        detail,
        title=f"{parties.party_name(plan.giver)} → {parties.party_name(plan.taker)}",
        customer_id=None,
        received_at=plan.at,
        permission=permission,
        facts=[("registered", {"kind": plan.kind})],
    )
    publish("record.registered", plan.unit_id, {"record_id": record.id, "type": CODE})
    notify(record, "tools.offered", [one for one in (plan.giver.user_id, plan.taker.user_id) if one is not None])
    return record, lines


def _say_at_once(record: Record, lines: Sequence[HandoverLine], raw: Mapping[str, Any]) -> None:
    handover = lines[0].handover
    conditions, ticks = raw.get("conditions") or {}, raw.get("ticks") or {}
    keeper, actor = may(KEEP, record.unit_id), current_scope().actor_id
    here = Voice(actor, values.OWN_DEVICE)
    giver, taker = handover.giver, handover.taker
    if (giver.kind == values.STORE and keeper) or sides.speaks_for(giver, actor):
        say(record, handover, lines, GIVER, here, Word(), conditions={})
    now = handover.kind == values.REPAIRED or taker.user_id == actor
    now = bool(conditions) if handover.kind == values.RETURN else now
    if taker.kind == values.STORE and keeper and now:
        say(record, handover, lines, TAKER, here, Word(), conditions=conditions, ticks=ticks)


def _search_text(record: Record, detail: Handover) -> str:
    return "\n".join((record.number, record.title, detail.purpose))


TYPE = RecordType(
    CODE,
    _l("Hand-over of tools"),
    "JJ",
    Handover,
    WORKFLOW,
    _search_text,
    intake=INTAKE,
    register=register,
    files=VIEW,
)
