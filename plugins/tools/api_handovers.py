"""API: hand-overs, saying yes or no to them, and the ledger.

``handovers`` takes offers, ``handover-answers`` what is said to them (accept, refuse, withdraw), each once for the
request's key. What needs somebody else's PIN is done on a screen: over the API everybody speaks for themselves, or
for a store they may keep.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core.sdk import ApiResource, Field, InvalidData, NotFound, Record, clean, session

from . import handovers, parties, sides, values
from .models import Custody, Handover, HandoverLine, Party, Tool
from .rights import OWN, VIEW

ACCEPT, REFUSE, WITHDRAW = "accept", "refuse", "withdraw"
ANSWERS = ((ACCEPT, _l("Accept")), (REFUSE, _l("Refuse")), (WITHDRAW, _l("Withdraw")))
_SEPARATED = _l("Numbers of tools, separated by commas")
OFFER_FIELDS = (
    *handovers.FIELDS,
    Field("tools", "long", _l("Numbers of the tools"), max_length=20_000, help=_SEPARATED),
    Field("parts", "long", _l("Small parts"), max_length=4000, help=_l("id of the kind:quantity, by commas")),
)
ANSWER_FIELDS = (
    Field("handover", "user", _l("Hand-over of tools"), True),
    Field("do", "choice", _l("Answer"), True, choices=ANSWERS),
    Field("side", "choice", _l("Side"), choices=((sides.GIVER, _l("Giver")), (sides.TAKER, _l("Taken over by")))),
    Field("refused", "long", _l("Tools refused"), max_length=20_000, help=_SEPARATED),
    Field("reason", "text", _l("Reason"), max_length=300),
    Field("condition", "choice", _l("Condition of all"), choices=values.CONDITIONS),
    Field("paper", "text", _l("Number of the paper"), max_length=120),
    Field("keeps_rules", "bool", _l("Has read and keeps to what the clauses ask")),
)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [
        _handovers("handovers", _l("Hand-overs of tools"), OFFER_FIELDS, _offer),
        _handovers("handover-answers", _l("Answers to hand-overs of tools"), ANSWER_FIELDS, _answer),
        _ledger(),
    ]


# --- hand-overs ----------------------------------------------------------------------------------


def _handovers(
    path: str, title: Any, fields: Sequence[Field], create: Callable[[int, Mapping[str, Any]], Handover]
) -> ApiResource:
    return ApiResource(
        path=path,
        title=title,
        model=Handover,
        permission=VIEW,
        write_permission=OWN,
        read={
            "id": "integer",
            "number": "string",
            "state": "string",
            "kind": "string",
            "giver": "string",
            "giver_id": "integer",
            "giver_at": "moment",
            "giver_means": "string",
            "taker": "string",
            "taker_id": "integer",
            "taker_at": "moment",
            "taker_means": "string",
            "due_at": "moment",
            "purpose": "string",
            "lines": "objects",
        },
        show=_show_handovers,
        filters={"kind": Handover.kind, "giver_id": Handover.giver_id, "taker_id": Handover.taker_id},
        fields=fields,
        create=create,
        own=_theirs,
    )


def _theirs(user_id: int) -> Any:
    """Return the criterion of the hand-overs somebody gives or takes."""
    mine = select(Party.id).where(Party.user_id == user_id, Party.kind.in_(sides.PEOPLE))
    return or_(Handover.giver_id.in_(mine), Handover.taker_id.in_(mine))


def _show_handovers(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    ids = [row.id for row in rows]
    heads = {one.id: one for one in session().scalars(select(Record).where(Record.id.in_(ids)))}
    names, lines = _names([one for row in rows for one in (row.giver_id, row.taker_id)]), _lines(ids)
    plain = ("id", "kind", "giver_id", "giver_at", "giver_means", "taker_id", "taker_at", "taker_means")
    return [
        {
            **{name: getattr(row, name) for name in (*plain, "due_at", "purpose")},
            "number": heads[row.id].number,
            "state": heads[row.id].state,
            "giver": names.get(row.giver_id, ""),
            "taker": names.get(row.taker_id, ""),
            "lines": lines[row.id],
        }
        for row in rows
    ]


def _names(ids: Sequence[int]) -> dict[int, str]:
    found = parties.party_names(session().scalars(select(Party).where(Party.id.in_(set(ids)))).all())
    return {key: str(name) for key, name in found.items()}


def _lines(ids: Sequence[int]) -> Mapping[int, list[dict[str, Any]]]:
    wanted = select(HandoverLine).where(HandoverLine.handover_id.in_(ids)).order_by(HandoverLine.id)
    whole = (joinedload(HandoverLine.tool), joinedload(HandoverLine.kind))
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in session().scalars(wanted.options(*whole)):
        found[one.handover_id].append(
            {
                "tool": one.tool.code if one.tool else "",
                "kind": one.kind.code,
                "quantity": f"{one.quantity.normalize():f}",
                "state": one.state,
                "condition": one.condition,
                "reason": one.reason,
            }
        )
    return found


def _offer(unit_id: int, given: Mapping[str, Any]) -> Handover:
    if given.get("kind") == values.OPENING:
        # It asks for no permit and no application, since what it is about happened long ago.
        raise InvalidData({"kind": _l("Only the import of an existing list asks this")})
    raw = {name: given.get(name) for name in (one.name for one in handovers.FIELDS)}
    record = handovers.offer(
        unit_id, {**raw, "tools": _split(given.get("tools")), "parts": _parts(given.get("parts"))}
    )
    return _detail(record.id)


def _split(text: object) -> list[str]:
    listed = text if isinstance(text, list | tuple) else str(text or "").replace("，", ",").split(",")
    return [word for word in (str(one).strip() for one in listed) if word]


def _parts(text: object) -> list[tuple[str, str]]:
    pairs = [one.replace("：", ":").partition(":") for one in _split(text)]
    if not all(kind.strip() and quantity.strip() for kind, _colon, quantity in pairs):
        raise InvalidData({"parts": _l("Write id of the kind:quantity, separated by commas")})
    return [(kind.strip(), quantity.strip()) for kind, _colon, quantity in pairs]


def _detail(handover_id: int) -> Handover:
    return session().scalars(select(Handover).where(Handover.id == handover_id)).one()


def _answer(unit_id: int, given: Mapping[str, Any]) -> Handover:
    """Say yes or no to a hand-over.

    Raises:
        NotFound: no such one in the unit. InvalidData: a tool that is not on it. And as the services.
    """
    read = clean(ANSWER_FIELDS, given)
    record = handovers.fetch_handover(read["handover"])
    if record.unit_id != unit_id:
        raise NotFound()
    row, reason = _detail(record.id), read["reason"] or ""
    refused = _refused_lines(row, read)
    if read["do"] == WITHDRAW:
        handovers.withdraw(row.id, reason)
    elif read["do"] == REFUSE:
        handovers.refuse(row.id, reason, line_ids=list(refused) or None)
    else:
        _accept(row, read, dict.fromkeys(refused, reason))
    return row


def _accept(row: Handover, given: Mapping[str, Any], refused: Mapping[int, str]) -> None:
    ticks: dict[str, list[str]] = defaultdict(list)
    if given["keeps_rules"]:
        for name, code, _words in handovers.ticks_wanted(row.unit_id, row.kind):
            ticks[name].append(code)
    mine = select(HandoverLine.tool_id).where(HandoverLine.handover_id == row.id, HandoverLine.tool_id.is_not(None))
    condition, paper = given["condition"], given["paper"] or ""
    handovers.accept(
        row.id,
        side=given["side"] or "",
        refused=refused,
        means=values.ON_PAPER if paper else "",
        paper=paper,
        conditions=dict.fromkeys(session().scalars(mine), condition) if condition else None,
        ticks=ticks,
    )


def _refused_lines(row: Handover, given: Mapping[str, Any]) -> dict[int, str]:
    wanted = _split(given["refused"])
    if not wanted:
        return {}
    mine = select(HandoverLine.id, Tool.code).join(Tool, Tool.id == HandoverLine.tool_id)
    found = {code: key for key, code in session().execute(mine.where(HandoverLine.handover_id == row.id))}
    unknown = [one for one in wanted if one not in found]
    if unknown:
        raise InvalidData({"refused": _l("Not on this hand-over: %(tools)s", tools="、".join(unknown))})
    return {found[one]: one for one in wanted}


# --- the ledger ----------------------------------------------------------------------------------


def _ledger() -> ApiResource:
    return ApiResource(
        path="ledger",
        title=_l("Custody ledger"),
        model=Custody,
        permission=VIEW,
        read={
            "id": "integer",
            "tool": "string",
            "tool_id": "integer",
            "seq": "integer",
            "party": "string",
            "party_id": "integer",
            "party_kind": "string",
            "starts_at": "moment",
            "ends_at": "moment",
            "how": "string",
            "handover_id": "integer",
        },
        show=_show_spells,
        filters={"tool_id": Custody.tool_id, "party_id": Custody.party_id, "how": Custody.how},
    )


def _show_spells(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    wanted = select(Tool.id, Tool.code).where(Tool.id.in_({row.tool_id for row in rows}))
    codes = {row.id: row.code for row in session().execute(wanted)}
    held = {one.id: one for one in session().scalars(select(Party).where(Party.id.in_({r.party_id for r in rows})))}
    names = parties.party_names(held.values())
    plain = ("id", "tool_id", "seq", "party_id", "starts_at", "ends_at", "how", "handover_id")
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "tool": codes.get(row.tool_id, ""),
            "party": str(names.get(row.party_id, "")),
            "party_kind": held[row.party_id].kind,
        }
        for row in rows
    ]
