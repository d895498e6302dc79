"""Clearance of leavers and of people who change post (工具缴回、变更手续, R35-7).

The sheet is looked up live: what the person holds, what waits for a yes, what is not settled, and what other
plugins still wait for. It is settled when nothing is open, or a manager signs that the person goes with open items
(GJ-5).
It never blocks the leaving certificate: that is the law's, not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import has_request_context, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    FactKind,
    Field,
    Guard,
    InvalidData,
    NotFound,
    OpenItem,
    Record,
    RecordType,
    Refusal,
    Refused,
    State,
    Step,
    Transition,
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
    make_workflow,
    may,
    notify,
    open_items_of_leaver,
    perform,
    publish,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import custody, handover_rows, handovers, incidents, notices, parties, stock, values
from .models import Clearance, Custody, Handover, HandoverLine, Incident, Party, Stock, Tool
from .rights import CLEAR, KEEP, VIEW

CODE, PLUGIN = "tools_clearance", "tools"
# The clause that keeps a clearance open, by its kind; who signs for open items; what is done about missing ones.
CLAUSES: Mapping[str, str] = {values.LEAVER: "R35-7.1", values.POST_CHANGE: "R35-7.2"}
SIGNED_CLAUSE, MISSING_CLAUSE = "GJ-5", "R35-7.3"
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


# --- the sheet -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A tool in the person's hands; ``line`` is the open hand-over it stands on, if any."""

    tool: Tool
    line: HandoverLine | None

    @property
    def lost(self) -> bool:
        return self.tool.record.state == values.LOST


@dataclass(frozen=True)
class Sheet:
    """What is open with a person: our own things, and ``others`` as (plugin, item)."""

    tools: Sequence[Held]
    parts: Sequence[Stock]
    handovers: Sequence[Handover]
    incidents: Sequence[Incident]
    others: Sequence[tuple[str, OpenItem]]

    @property
    def ours(self) -> bool:
        """Whether anything of tool custody is open."""
        return bool(self.tools or self.parts or self.handovers or self.incidents)

    @property
    def is_open(self) -> bool:
        return self.ours or bool(self.others)


def sheet_of(unit_id: int, user_id: int) -> Sheet:
    """Return what is open with a person in a unit now. It asks no permission."""
    others = [one for one in open_items_of_leaver(unit_id, user_id) if one[0] != PLUGIN]
    return _own_sheet(unit_id, user_id, others)


def sheet(record: Record) -> Sheet:
    """Return what is open with the person of a clearance."""
    return sheet_of(record.unit_id, detail_of(record).user_id)


def _own_sheet(unit_id: int, user_id: int, others: Sequence[tuple[str, OpenItem]] = ()) -> Sheet:
    party, answers = parties.held_as(unit_id, user_id), incidents.open_of_person(unit_id, user_id)
    if party is None:
        return Sheet((), (), (), answers, others)
    tools = custody.held_by(party.id)
    lines = handover_rows.open_lines(tool.id for tool in tools)
    held = [Held(tool, lines.get(tool.id)) for tool in tools]
    return Sheet(held, stock.of_party(party.id), _waiting(party), answers, others)


def _waiting(party: Party) -> Sequence[Handover]:
    """Return the hand-overs from or to a person that are not decided."""
    wanted = (
        select(Handover)
        .join(Record, Record.id == Handover.id)
        .where(or_(Handover.giver_id == party.id, Handover.taker_id == party.id))
        .where(Record.state == values.OFFERED)
        .options(joinedload(Handover.giver), joinedload(Handover.taker))
        .order_by(Handover.id)
    )
    return session().scalars(wanted).all()


def open_items(unit_id: int, user_id: int) -> list[OpenItem]:
    """Return what a person still holds or owes (what ``leaving`` answers for this plugin)."""
    found = _own_sheet(unit_id, user_id)
    card = url_for("tools.card", user_id=user_id) if has_request_context() else ""
    items = []
    if found.tools:
        items.append(OpenItem(_("%(count)d tools in their hands", count=len(found.tools)), card))
    if found.parts:
        items.append(OpenItem(_("%(count)d kinds of small parts in their hands", count=len(found.parts)), card))
    if found.handovers:
        items.append(OpenItem(_("%(count)d hand-overs that wait for a yes", count=len(found.handovers)), card))
    for one in found.incidents:
        url = url_for("record.page", record_id=one.id) if has_request_context() else ""
        text = _("Not settled: %(number)s, %(tool)s", number=one.record.number, tool=one.tool.code)
        items.append(OpenItem(text, url))
    return items


def lines_of(found: Sheet) -> list[str]:
    """Return a sheet's open items in words, as they are kept when the clearance is closed."""
    return [
        *(f"{one.tool.code} {one.tool.name}" for one in found.tools),
        *(
            f"{one.kind.name} × {stock.plain_number(one.quantity)} {one.kind.measure}".strip()
            for one in found.parts
        ),
        *(one.record.number for one in found.handovers),
        *(f"{one.record.number} {one.tool.code}" for one in found.incidents),
        *(str(item.text) for _plugin, item in found.others),
    ]


def handed(record: Record) -> Sequence[Handover]:
    """Return the hand-overs of a clearance, with parties and lines, the newest first."""
    mine = select(Handover).where(Handover.clearance_id == record.id)
    whole = joinedload(Handover.giver), joinedload(Handover.taker)
    return session().scalars(mine.options(*whole).order_by(Handover.id.desc()).limit(200)).all()


# --- the workflow --------------------------------------------------------------------------------


def _own_one(step: Step) -> Any:
    if current_scope().actor_id == step.detail.user_id:
        return _l("Nobody clears themselves")
    return None


def _others_open(step: Step) -> Any:
    """What other plugins wait for keeps the sheet open too, whatever the clauses about tools say."""
    waiting = sheet(step.record).others
    if not waiting:
        return None
    return _l("Still open elsewhere: %(items)s", items="、".join(str(item.text) for _plugin, item in waiting[:10]))


def _nothing_open(step: Step) -> Any:
    return None if sheet(step.record).is_open else _l("Nothing is open: settle it instead")


def still_open(kind: str) -> Any:
    """Return the check of R35-7.1 or R35-7.2: why a clearance of this kind is not settled yet, or None."""

    def check(step: Step, _said: Any = None) -> Any:
        if step.detail.kind != kind:
            return None
        found = sheet(step.record)
        if not found.ours:
            return None
        named = lines_of(Sheet(found.tools, found.parts, found.handovers, found.incidents, ()))
        more = len(named) - 10
        text = "、".join(named[:10])
        return _l("Not settled: %(items)s", items=f"{text} (+{more})" if more > 0 else text)

    return check


def _not_manager(step: Step) -> Any:
    """GJ-5: whoever holds the position of the clause signs."""
    said = effective(step.record.unit_id, SIGNED_CLAUSE).values
    signers = {user_id for user_id, _name in accounts.holders(str(said["position"]), step.record.unit_id)}
    if current_scope().actor_id in signers:
        return None
    return _l("Going with open items is signed by the manager")


def _close(step: Step) -> None:
    found = sheet(step.record)
    step.detail.closing = [
        *({"open": True, "text": text} for text in lines_of(found)),
        *({"open": False, "text": one.record.number} for one in handed(step.record)),
    ]


_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_OPEN = frozenset({values.OPEN})
_OWN = Guard("own", _own_one)
STATES = tuple(
    State(code, label, {values.OPEN: "open", values.CANCELLED: "cancelled"}.get(code, "closed"))
    for code, label in values.CLEARANCE_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("Clearance begun"), 0),
    FactKind("informed", _l("Missing tools reported"), 40, backdatable=False),
    FactKind("settled", _l("Cleared"), 80),
    FactKind("left_open", _l("Signed: leaves with open items"), 81),
    FactKind("cancelled", _l("Clearance cancelled"), 90),
)
TRANSITIONS = (
    Transition(
        "settle",
        _l("Settle the clearance"),
        _OPEN,
        values.SETTLED,
        CLEAR,
        "settled",
        (Field("note", "long", _l("Note"), max_length=500),),
        (_OWN, Guard("others_open", _others_open)),
        apply=_close,
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "leave_open",
        _l("Sign: leaves with open items"),
        _OPEN,
        values.WITH_OPEN_ITEMS,
        CLEAR,
        "left_open",
        (_REASON,),
        (
            _OWN,
            Guard("nothing_open", _nothing_open),
            Guard("not_manager", _not_manager, SIGNED_CLAUSE),
        ),
        apply=_close,
        note="reason",
        help=_l("What is open stays open, and is asked for outside this sheet"),
        tone="danger",
        weight=20,
    ),
    Transition(
        "cancel",
        _l("Cancel the clearance"),
        _OPEN,
        values.CANCELLED,
        CLEAR,
        "cancelled",
        (_REASON,),
        (_OWN,),
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(values.OPEN, STATES, TRANSITIONS, FACT_KINDS)


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
        found = _own_sheet(record.unit_id, detail.user_id)
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


def _chosen(found: Sheet, tool_ids: Iterable[int] | None) -> tuple[list[Tool], Sequence[Stock]]:
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
        found = _own_sheet(record.unit_id, detail_of(record).user_id)
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
    fact = append_fact(record, WORKFLOW.fact_kinds["informed"], at=at, data=data)
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


TYPE = RecordType(CODE, _l("Clearance"), "LZ", Clearance, WORKFLOW, _search_text, intake=FIELDS, register=begin)
