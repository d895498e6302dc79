"""Clearance of leavers and of people who change post (工具缴回、变更手续, R35-7).

The sheet is looked up live: what the person holds, what waits for a yes, what is not settled, and what other
plugins still wait for. It is settled when nothing is open, or a manager signs that the person goes with open items
(GJ-5).
It never blocks the leaving certificate: that is the law's, not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    User,
    accounts,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    current_scope,
    detail_of,
    effective,
    fetch,
    holds,
    lock,
    may,
    notify,
    perform,
    publish,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import (
    clearance_flow,
    clearance_sheet,
    handovers,
    incidents,
    notices,
    parties,
    values,
)
from .models import Clearance, Custody, Party, Stock, Tool
from .rights import CLEAR, KEEP, VIEW

CODE = "tools_clearance"
# The clause that keeps a clearance open, by its kind; who signs for open items; what is done about missing ones.
CLAUSES: Mapping[str, str] = {values.LEAVER: "R35-7.1", values.POST_CHANGE: "R35-7.2"}
MISSING_CLAUSE = "R35-7.3"
TO_SUCCESSOR = "successor"
NEVER_BLOCKED = _l(
    "This sheet never blocks the leaving certificate: the employer issues it within the legal time, whatever is "
    "open here."
)
FIELDS = (
    Field("kind", "choice", _l("Kind of clearance"), True, values.CLEARANCE_KINDS, default=values.LEAVER),
    Field("user_id", "user", _l("Employee"), True),
    Field("last_day", "date", _l("Last day there"), True, help=_l("In the company, or in the post")),
    Field("successor_id", "user", _l("Successor"), help=_l("Who takes the tools over, if anybody")),
    Field("note", "long", _l("Note"), max_length=1000),
)


# --- beginning -----------------------------------------------------------------------------------


def begin(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Begin the clearance of somebody who leaves or changes post (``FIELDS``, permission ``CLEAR``).

    Raises:
        NotAllowed. InvalidData: beside the field: not of this unit, the same person twice.
        Refused: one of this person is open already; nobody clears themselves.
    """
    require(CLEAR, unit_id)
    given = clean(FIELDS, raw)
    names, staff = dict(people(unit_id)), dict(accounts.staff_names(unit_id))
    user_id, successor = given["user_id"], given["successor_id"]
    errors: dict[str, Any] = {}
    if user_id not in names:
        errors["user_id"] = _l("This person neither works here nor holds anything")
    if successor is not None and (successor not in staff or successor == user_id):
        errors["successor_id"] = _l("Please choose somebody else who works here")
    if errors:
        raise InvalidData(errors)
    if user_id == current_scope().actor_id:
        raise Refused([Refusal("own", _l("Nobody clears themselves"))])
    with transaction():
        before = answered_before(unit_id, key, "tools.clear", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        _require_none_open(unit_id, user_id)
        record = _make(unit_id, given, names[user_id])
        remember_answer(unit_id, key, {"record": record.id})
        return record


def people(unit_id: int) -> list[tuple[int, str]]:
    """Return whom one may clear, as (id, name): staff, and who left before but still holds a tool."""
    holders = (
        select(User.id, User.name)
        .join(Party, Party.user_id == User.id)
        .join(Custody, Custody.party_id == Party.id)
        .where(Party.unit_id == unit_id, Party.kind == values.PERSON, Custody.ends_at.is_(None))
        .distinct()
    )
    found = {row.id: row.name for row in session().execute(holders)} | dict(accounts.staff_names(unit_id))
    return sorted(found.items(), key=lambda one: one[1])


def _require_none_open(unit_id: int, user_id: int) -> None:
    """One at a time: the person's party is locked, so that two at once wait for each other."""
    party = parties.person(unit_id, user_id)
    session().scalars(select(Party).where(Party.id == party.id).with_for_update()).one()
    mine = select(Record).join(Clearance, Clearance.id == Record.id).where(Clearance.user_id == user_id)
    found = session().scalars(mine.where(Record.unit_id == unit_id, Record.state == values.OPEN)).first()
    if found is not None:
        text = _l("Clearance %(number)s of this person is open already", number=found.number)
        raise Refused([Refusal("open", text)])


def _make(unit_id: int, given: Mapping[str, Any], name: str) -> Record:
    detail = Clearance(
        kind=given["kind"],
        user_id=given["user_id"],
        successor_id=given["successor_id"],
        last_day=given["last_day"],
        note=given["note"] or "",
        informed=[],
        closing=[],
    )
    record = create_record(
        TYPE,
        unit_id,
        detail,
        title=name,
        customer_id=None,
        received_at=clock.now(),
        permission=CLEAR,
        facts=[("registered", {"what": given["kind"], "last_day": given["last_day"].isoformat()})],
    )
    publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
    notify(record, notices.CLEARANCE, [detail.user_id], record.title)
    return record


# --- handing over --------------------------------------------------------------------------------


def hand_all(
    record: Record,
    to: str | int,
    *,
    tool_ids: Iterable[int] | None = None,
    key: str = "",
) -> Record:
    """Offer what the person holds to their successor (``TO_SUCCESSOR``) or to a store (its id), in one hand-over.

    ``tool_ids`` names some of them (item by item: one), which leaves small parts out; without it everything goes
    that stands on no open hand-over and is not lost. Both sides still say yes, the keeper having looked (R35-4.8b).

    Raises:
        NotAllowed. InvalidData: under ``successor_id`` or ``to``; under ``tools``: nothing there, not theirs.
        Refused: the clearance is closed, or what the hand-over says.
    """
    with transaction():
        record = lock(record.id)
        require(CLEAR, record.unit_id)
        _require_open(record)
        detail = detail_of(record)
        taker = _taker(record.unit_id, detail, to)
        found = clearance_sheet.own_sheet(record.unit_id, detail.user_id)
        tools, parts = _chosen(found, tool_ids)
        raw = {
            "kind": values.TRANSFER if taker.kind == values.PERSON else values.RETURN,
            "giver_id": parties.person(record.unit_id, detail.user_id).id,
            "taker_id": taker.id,
            "tools": [tool.id for tool in tools],
            "parts": [(one.kind_id, one.quantity) for one in parts],
            "clearance_id": record.id,
        }
        return handovers.offer(record.unit_id, raw, key=key)


def _require_open(record: Record) -> None:
    if record.state != values.OPEN:
        raise Refused([Refusal("closed", _l("This clearance is closed"))])


def _taker(unit_id: int, detail: Clearance, to: str | int) -> Party:
    if to == TO_SUCCESSOR:
        if detail.successor_id is None:
            raise InvalidData({"successor_id": _l("No successor is named")})
        return parties.person(unit_id, detail.successor_id)
    found = next((one for one in parties.stores(unit_id) if str(one.id) == str(to)), None)
    if found is None:
        raise InvalidData({"to": _l("There is no such tool store")})
    return found


def _chosen(found: clearance_sheet.Sheet, tool_ids: Iterable[int] | None) -> tuple[list[Tool], Sequence[Stock]]:
    free = {one.tool.id: one for one in found.tools if one.line is None}
    if tool_ids is None:
        tools, parts = [one.tool for one in free.values() if not one.lost], found.parts
    else:
        wanted = list(dict.fromkeys(tool_ids))
        if not set(wanted) <= set(free):
            raise InvalidData({"tools": _l("Please choose tools that this person holds and that are not offered")})
        tools, parts = [free[one].tool for one in wanted], ()
    if not tools and not parts:
        raise InvalidData({"tools": _l("There is nothing left to hand over")})
    return tools, parts


def set_successor(record: Record, user_id: int | None) -> Record:
    """Name another successor while the clearance is open.

    Raises:
        NotAllowed, Refused. InvalidData: beside ``successor_id``.
    """
    with transaction():
        record = lock(record.id)
        require(CLEAR, record.unit_id)
        _require_open(record)
        detail = detail_of(record)
        staff = dict(accounts.staff_names(record.unit_id))
        if user_id is not None and (user_id not in staff or user_id == detail.user_id):
            raise InvalidData({"successor_id": _l("Please choose somebody else who works here")})
        detail.successor_id = user_id
        session().flush()
        return record


# --- what is missing -----------------------------------------------------------------------------


def report_missing(record: Record, tool_ids: Iterable[int], what: str, *, key: str = "") -> list[Record]:
    """Report tools that cannot be given back as lost, and tell the department's manager and finance (R35-7.3).

    Raises:
        NotAllowed. InvalidData: under ``tools`` or ``what``. Refused: the clearance is closed; what a report says.
    """
    with transaction():
        record = lock(record.id)
        require(CLEAR, record.unit_id)
        _require_open(record)
        wanted = list(dict.fromkeys(tool_ids))
        before = answered_before(record.unit_id, key, f"tools.missing:{record.id}", {"tools": wanted})
        if before is not None:
            return [fetch(Record, one) for one in before["records"]]
        found = clearance_sheet.own_sheet(record.unit_id, detail_of(record).user_id)
        held = {one.tool.id: one.tool for one in found.tools if not one.lost}
        if not wanted or not set(wanted) <= set(held):
            raise InvalidData({"tools": _l("Please choose tools that this person holds")})
        if not what.strip():
            raise InvalidData({"what": _l("Please say what is known")})
        made = [_reported(record, one, what) for one in wanted]
        _inform(record, [held[one] for one in wanted])
        remember_answer(record.unit_id, key, {"records": [one.id for one in made]})
        return made


def _reported(record: Record, tool_id: int, what: str) -> Record:
    raw = {"kind": values.LOSS, "tool": tool_id, "what": what.strip()[:2000], "clearance_id": record.id}
    return incidents.report(record.unit_id, raw)


def _inform(record: Record, tools: Sequence[Tool]) -> None:
    """Tell whom R35-7.3 names, and keep who was told."""
    codes = "、".join(one.code for one in tools)
    told: dict[int, str] = {}
    if holds(record.unit_id, MISSING_CLAUSE):
        said = effective(record.unit_id, MISSING_CLAUSE).values
        for position in (str(said["position"]), str(said["finance"])):
            told |= dict(accounts.holders(position, record.unit_id))
    notify(record, notices.MISSING, told, f"{record.title}: {codes}")
    detail, at = detail_of(record), clock.now()
    entry = {"at": at.isoformat(), "tools": codes, "names": sorted(told.values())}
    detail.informed = [*(detail.informed or ()), entry]
    data = {"tools": codes, "told": sorted(told)}
    fact = append_fact(record, clearance_flow.WORKFLOW.fact_kinds["informed"], at=at, data=data)
    session().flush()
    tell_of_fact(record, fact)


# --- finding -------------------------------------------------------------------------------------


def fetch_clearance(record_id: object) -> Record:
    """Fetch a clearance the actor may see: with ``CLEAR``, ``KEEP`` or ``VIEW``, or one's own.

    Raises:
        NotFound: no such one, or not for this actor.
    """
    record = fetch(Record, record_id)
    if record.type != CODE:
        raise NotFound()
    if any(may(right, record.unit_id) for right in (CLEAR, KEEP, VIEW)):
        return record
    if detail_of(record).user_id != current_scope().actor_id:
        raise NotFound()
    return record


def settle(record_id: object, note: str = "", *, version: int | None = None) -> Record:
    """Clear somebody; refused while anything is open (R35-7.1, R35-7.2). Raises as ``perform``."""
    return perform(fetch_clearance(record_id).id, "settle", {"note": note}, version=version)


def leave_open(record_id: object, reason: str, *, version: int | None = None) -> Record:
    """Sign that somebody goes with open items (GJ-5). Raises as ``perform``."""
    return perform(fetch_clearance(record_id).id, "leave_open", {"reason": reason}, version=version)


def _search_text(record: Record, detail: Clearance) -> str:
    return "\n".join((record.number, record.title))


TYPE = RecordType(
    CODE, _l("Clearance"), "LZ", Clearance, clearance_flow.WORKFLOW, _search_text, intake=FIELDS, register=begin
)
