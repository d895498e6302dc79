"""The steps of a clearance: settled, signed with open items, cancelled."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    FactKind,
    Field,
    Guard,
    State,
    Step,
    Transition,
    accounts,
    current_scope,
    effective,
    make_workflow,
)

from . import clearance_sheet, values
from .rights import CLEAR

SIGNED_CLAUSE = "GJ-5"


def _own_one(step: Step) -> Any:
    if current_scope().actor_id == step.detail.user_id:
        return _l("Nobody clears themselves")
    return None


def _others_open(step: Step) -> Any:
    """What other plugins wait for keeps the sheet open too, whatever the clauses about tools say."""
    waiting = clearance_sheet.sheet(step.record).others
    if not waiting:
        return None
    return _l("Still open elsewhere: %(items)s", items="、".join(str(item.text) for _plugin, item in waiting[:10]))


def _nothing_open(step: Step) -> Any:
    return None if clearance_sheet.sheet(step.record).is_open else _l("Nothing is open: settle it instead")


def still_open(kind: str) -> Any:
    """Return the check of R35-7.1 or R35-7.2: why a clearance of this kind is not settled yet, or None."""

    def check(step: Step, _said: Any = None) -> Any:
        if step.detail.kind != kind:
            return None
        found = clearance_sheet.sheet(step.record)
        if not found.ours:
            return None
        named = clearance_sheet.lines_of(
            clearance_sheet.Sheet(found.tools, found.parts, found.handovers, found.incidents, ())
        )
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
    found = clearance_sheet.sheet(step.record)
    step.detail.closing = [
        *({"open": True, "text": text} for text in clearance_sheet.lines_of(found)),
        *({"open": False, "text": one.record.number} for one in clearance_sheet.handed(step.record)),
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
