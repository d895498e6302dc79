"""Screens of hand-overs and of the custody ledger (工具台账, R32-3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, false, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Choices, Record, User, current_scope, label_of, search, session
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
    page_url,
)

from . import custody, flow, forms, kinds, parties, sides, values
from .handover_flow import CODE
from .models import Custody, Handover, Party, Tool
from .rights import VIEW

PLUGIN = "tools"
SEARCH_LIMIT, MOST_SPELLS = 500, 5000
TONES = {values.OFFERED: "warn", values.DONE: "good", values.REFUSED: "bad"}
_NAMES = "_party_names"


# --- hand-overs ----------------------------------------------------------------------------------


def handover_url(row: Handover) -> str:
    """Return the address of a hand-over, which is its record's."""
    return page_url("record.page", record_id=row.id)


def state_badge(state: str) -> tuple[Any, str]:
    """Return (label, tone) of a hand-over's state."""
    return label_of(values.HANDOVER_STATES, state), TONES.get(state, "neutral")


def waits_for(row: Handover) -> Any:
    """Name who is still to say yes; '' once it was decided."""
    if row.record.state != values.OFFERED:
        return ""
    names = _names(row)
    missing = [one for one in sides.SIDES if sides.said(row, one) is None]
    return "、".join(str(names.get(sides.party_of(row, one).id, "")) for one in missing)


def _base() -> Select[Any]:
    ends = (joinedload(Handover.giver), joinedload(Handover.taker))
    return select(Handover).join(Handover.record).options(contains_eager(Handover.record), *ends)


def _note_ends(rows: Sequence[Any]) -> None:
    """Read what the parties of a page are called, in one statement."""
    names = parties.party_names([party for row in rows for party in (row.giver, row.taker)])
    for row in rows:
        row.__dict__[_NAMES] = names


def _names(row: Any) -> Any:
    return row.__dict__.get(_NAMES, {})


def _find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, CODE, text, SEARCH_LIMIT)
    return statement.where(Handover.id.in_([one.entity_id for one in found]))


def _called(text: str) -> list[int]:
    """Return the parties of a name: of a person their name or user name. One alone is found in the list's order."""
    words = (User.name, User.username)
    people = Party.user_id.in_(select(User.id).where(or_(*(one.contains(text, autoescape=True) for one in words))))
    named = Party.name.contains(text, autoescape=True)
    is_person = Party.kind == values.PERSON
    wanted = select(Party.id).where(or_(is_person & people, ~is_person & named)).limit(SEARCH_LIMIT)
    return list(session().scalars(wanted))


def _mine(statement: Select[Any], _context: ListContext) -> Select[Any]:
    """What the actor is a side of, or a store of theirs."""
    mine = session().scalars(select(Party.id).where(Party.user_id == current_scope().actor_id))
    return _between(statement, list(mine))


def _with_party(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return _between(statement, _called(text))


def _between(statement: Select[Any], ids: Sequence[int]) -> Select[Any]:
    """Narrow to what parties gave or took over, each side by its index."""
    given = select(Handover.id).where(Handover.giver_id.in_(ids))
    return statement.where(Handover.id.in_(given.union(select(Handover.id).where(Handover.taker_id.in_(ids)))))


HANDOVERS = ListSpec(
    name="tools.handovers",
    title=_l("Hand-overs"),
    model=Handover,
    base=_base,
    prepare=_note_ends,
    columns=(
        ListColumn("number", _l("Number"), lambda h: h.record.number, "code", link=handover_url, card="title"),
        ListColumn(
            "state",
            _l("State"),
            lambda h: state_badge(h.record.state),
            "badge",
            card="badge",
            export=lambda h: str(state_badge(h.record.state)[0]),
        ),
        ListColumn("kind", _l("Kind"), lambda h: label_of(values.HANDOVER_KINDS, h.kind)),
        ListColumn("giver", _l("Giver"), lambda h: _names(h).get(h.giver_id, "")),
        ListColumn("taker", _l("Taken over by"), lambda h: _names(h).get(h.taker_id, "")),
        ListColumn("lines", _l("Lines"), lambda h: h.lines_count, "number"),
        ListColumn("waits", _l("Whose yes is missing"), waits_for),
        ListColumn("offered", _l("Offered at"), lambda h: h.record.received_at, "moment"),
        ListColumn("due", _l("Back by"), lambda h: h.due_at, "moment", card="hide"),
        ListColumn("purpose", _l("Used for"), lambda h: h.purpose, card="hide", visible=False),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Handover.id,)),
        Ordering("oldest", _l("Oldest first"), (Handover.id,), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.HANDOVER_STATES),
        Filter("kind", _l("Kind"), "choice", among(Handover.kind), values.HANDOVER_KINDS),
        Filter("party", _l("Giver or receiver"), "text", _with_party),
        Filter("period", _l("Offered at"), "dates", between(Record.received_at)),
    ),
    quick=(
        QuickFilter("waiting", _l("Waiting for an answer"), lambda s, _c: s.where(Record.state == values.OFFERED)),
        QuickFilter("mine", _l("Mine"), _mine),
        QuickFilter("done", _l("Handed over"), lambda s, _c: s.where(Record.state == values.DONE)),
    ),
    search=_find,
    search_hint=_l("Number, giver, receiver or purpose"),
    empty=_l("No hand-over yet. Tools are issued and taken back at the keeper's desk."),
)


class HandoverScreen(ListScreen):
    """Hand-overs of the unit (交接单)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "right"

    def list_spec(self) -> ListSpec:
        return HANDOVERS

    def row_url(self, row: Any) -> str:
        return handover_url(row)


# --- the ledger ----------------------------------------------------------------------------------


def spell_url(row: Custody) -> str:
    """Return the address of the tool a spell is about."""
    return page_url("record.page", record_id=row.tool_id)


def _spells() -> Select[Any]:
    return select(Custody).options(joinedload(Custody.tool).joinedload(Tool.kind), joinedload(Custody.party))


def _note_holders(rows: Sequence[Any]) -> None:
    names = parties.party_names([row.party for row in rows])
    for row in rows:
        row.__dict__[_NAMES] = names


def how_text(row: Custody) -> Any:
    """Say by what kind of hand-over a spell began."""
    return label_of(values.HANDOVER_KINDS, row.how) if row.how else _l("By registration")


def _is_now(row: Custody) -> tuple[Any, str] | None:
    return (_l("Now"), "good") if row.ends_at is None else None


def _of_tool(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, flow.CODE, forms.as_scanned(text), SEARCH_LIMIT)
    mine = select(Custody.id).where(Custody.tool_id.in_([one.entity_id for one in found]))
    latest = mine.order_by(Custody.id.desc()).limit(MOST_SPELLS).execution_options(**custody.NARROW)
    return statement.where(Custody.id.in_(list(session().scalars(latest))))


def _of_kind(statement: Select[Any], ids: Any, _context: ListContext) -> Select[Any]:
    mine = select(Tool.id).where(Tool.kind_id.in_([int(one) for one in ids]))
    return statement.where(Custody.tool_id.in_(mine))


def _of_party(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return _of_parties(statement, _called(text))


def _of_parties(statement: Select[Any], ids: Sequence[int]) -> Select[Any]:
    """Narrow to parties; one alone is found in the list's order, and for none nothing is looked through."""
    if not ids:
        return statement.where(false())
    return statement.where(Custody.party_id == ids[0] if len(ids) == 1 else Custody.party_id.in_(ids))


def _of_party_kind(statement: Select[Any], codes: Any, _context: ListContext) -> Select[Any]:
    wanted = select(Party.id).where(Party.kind.in_(codes))
    if values.PERSON in codes:
        return statement.where(Custody.party_id.in_(wanted))
    return _of_parties(statement, list(session().scalars(wanted.limit(SEARCH_LIMIT))))


def _kind_choices() -> Choices:
    return kinds.kind_choices(g.unit.id, counted=False)


def _now(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Custody.ends_at.is_(None))


def _with_people(statement: Select[Any], context: ListContext) -> Select[Any]:
    return _of_party_kind(_now(statement, context), (values.PERSON, values.DEPARTMENT), context)


LEDGER = ListSpec(
    name="tools.ledger",
    title=_l("Custody ledger"),
    model=Custody,
    base=_spells,
    prepare=_note_holders,
    columns=(
        ListColumn("tool", _l("Tool number"), lambda c: c.tool.code, "code", link=spell_url, card="title"),
        ListColumn("name", _l("Name"), lambda c: c.tool.name),
        ListColumn("kind", _l("Kind of tool"), lambda c: kinds.kind_label(c.tool.kind), card="hide"),
        ListColumn("party", _l("Held by"), lambda c: _names(c).get(c.party_id, "")),
        ListColumn("now", "", _is_now, "badge", card="badge", export=lambda c: str((_is_now(c) or ("",))[0])),
        ListColumn("starts", _l("Since"), lambda c: c.starts_at, "moment"),
        ListColumn("ends", _l("Until"), lambda c: c.ends_at, "moment"),
        ListColumn("how", _l("How it came"), how_text, export=lambda c: str(how_text(c))),
        ListColumn("seq", _l("Move no."), lambda c: c.seq, "number", card="hide", visible=False),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Custody.id,)),
        Ordering("oldest", _l("Oldest first"), (Custody.id,), descending=False),
    ),
    filters=(
        Filter("tool", _l("Tool"), "text", _of_tool),
        Filter("party", _l("Held by"), "text", _of_party),
        Filter("party_kind", _l("Kind of holder"), "choice", _of_party_kind, values.PARTY_KINDS),
        Filter("kind", _l("Kind of tool"), "choice", _of_kind, _kind_choices),
        Filter("how", _l("How it came"), "choice", among(Custody.how), values.HANDOVER_KINDS),
        Filter("period", _l("Began"), "dates", between(Custody.starts_at)),
    ),
    quick=(
        QuickFilter("now", _l("Now"), _now),
        QuickFilter("people", _l("In people's hands"), _with_people),
    ),
    search=_of_tool,
    search_hint=_l("Number or name of a tool, or scan its label"),
    empty=_l("No tool has been registered yet."),
)


class LedgerScreen(ListScreen):
    """Who held which tool from when until when (工具台账)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "list"

    def list_spec(self) -> ListSpec:
        return LEDGER

    def row_url(self, row: Any) -> str:
        return spell_url(row)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        HandoverScreen(name=_l("Hand-overs"), endpoint="tools_handovers", url="/admin/tools/handovers"),
        LedgerScreen(name=_l("Custody ledger"), endpoint="tools_ledger", url="/admin/tools/ledger"),
    ]
