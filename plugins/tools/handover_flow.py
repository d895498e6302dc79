"""The steps of a hand-over: each side says yes, then all of it moves at once. Services alone take them.

``agree`` is the giver's yes; the receiver's is ``accept_issue`` where a person takes a tool into use,
``accept_return`` where a store takes one back, else ``accept``. ``complete`` follows when both have spoken.

``confirm`` is the one step that people take by themselves: the word of whoever is signed in, for themselves or for
the store they keep. It is carried out as an acceptance (``acceptance.after_step``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    NOT_CONCERNED,
    Choices,
    FactKind,
    Field,
    Guard,
    State,
    Step,
    Transition,
    current_scope,
    holds,
    make_workflow,
)

from . import rules_care, sides, values
from .flow import BY_SERVICE
from .rights import OWN
from .values import DONE, OFFERED, REFUSED, WITHDRAWN

CODE = "tools_handover"
STATES = tuple(
    State(code, label, {OFFERED: "open", DONE: "closed"}.get(code, "cancelled"))
    for code, label in values.HANDOVER_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("Hand-over offered"), 0),
    FactKind("confirmed", _l("Confirmed while signed in"), 29),
    FactKind("agreed", _l("The giver said yes"), 30),
    FactKind("accepted", _l("The receiver said yes"), 31),
    FactKind("lines_refused", _l("Some lines refused"), 35),
    FactKind("done", _l("Handed over"), 40),
    FactKind("refused", _l("Hand-over refused"), 90),
    FactKind("withdrawn", _l("Hand-over withdrawn"), 91),
)
# Who takes a tool into use reads these; who takes one back looks at those (fields by their clause).
USE_FIELDS = (
    ("use_manual", _l("Use"), "R32-4.1"),
    ("use_rules", _l("Rules of use"), "R33-5"),
    ("use_correct", _l("Correct use"), "R35-4.2"),
    ("use_care", _l("Daily care"), "R35-3.2"),
    ("use_private", _l("No private use"), "R15-18a"),
)
BACK_FIELDS = (
    ("back_clean", _l("Clean"), "R33-3.1"),
    ("back_tidy", _l("Tidy"), "R35-4.5"),
    ("back_place", _l("In its place"), "R33-4.1"),
)
INTO_USE = frozenset({values.ISSUE, values.USE, values.LOAN, values.LEND, values.TRANSFER})


def _items(name: str) -> Choices:
    return {**rules_care.USE_ITEMS, **rules_care.BACK_ITEMS}[name]


def _ticks(fields: Sequence[tuple[str, Any, str]]) -> tuple[Field, ...]:
    return tuple(
        Field(name, "many", label, choices=partial(_items, name), clause=clause) for name, label, clause in fields
    )


_YES = (
    Field("means", "choice", _l("How"), choices=values.MEANS),
    Field("paper", "text", _l("Number of the paper"), max_length=120),
)
_REASON = Field("reason", "long", _l("Reason"), max_length=300)
_OPEN = frozenset({OFFERED})


def _step(name: str, label: Any, target: str | None, fact: str, **more: Any) -> Transition:
    return Transition(name, label, _OPEN, target, BY_SERVICE, fact, **more)


def _yes(name: str, label: Any, fact: str, ticks: tuple[Field, ...] = ()) -> Transition:
    kept = ("means", "paper", *(one.name for one in ticks))
    return _step(name, label, None, fact, fields=(*_YES, *ticks), kept=kept)


CONFIRM = "confirm"


def side_of_actor(handover: Any) -> str:
    """Return the side whose word is missing and the actor's to give, as a person or keeper; '' if there is none."""
    actor = current_scope().actor_id
    missing = [one for one in sides.SIDES if sides.said(handover, one) is None]
    own = (one for one in missing if sides.speaks_for(sides.party_of(handover, one), actor))
    store = (one for one in missing if sides.keeps(sides.party_of(handover, one)))
    return next(own, next(store, ""))


def _theirs(step: Step) -> Any:
    return None if side_of_actor(step.detail) else _l("It does not wait for your word")


_CONFIRM = Transition(
    CONFIRM,
    _l("Confirm the hand-over"),
    _OPEN,
    None,
    OWN,
    "confirmed",
    (
        Field("keeps_rules", "bool", _l("I have read the rules of use and return and keep to them")),
        Field("condition", "choice", _l("Condition"), choices=values.CONDITIONS, help=_l("As it came back")),
    ),
    (Guard(NOT_CONCERNED, _theirs),),
    kept=("keeps_rules", "condition"),
    weight=10,
)
TRANSITIONS = (
    _CONFIRM,
    _yes("agree", _l("Say yes as the giver"), "agreed"),
    _yes("accept", _l("Say yes as the receiver"), "accepted"),
    _yes("accept_issue", _l("Take into use"), "accepted", _ticks(USE_FIELDS)),
    _yes("accept_return", _l("Take back"), "accepted", _ticks(BACK_FIELDS)),
    _step("complete", _l("Hand over"), DONE, "done"),
    _step("refuse_lines", _l("Refuse lines"), None, "lines_refused", fields=(_REASON,), note="reason"),
    _step("refuse", _l("Refuse the hand-over"), REFUSED, "refused", fields=(_REASON,), note="reason"),
    _step("withdraw", _l("Withdraw the hand-over"), WITHDRAWN, "withdrawn", fields=(_REASON,), note="reason"),
)
WORKFLOW = make_workflow(OFFERED, STATES, TRANSITIONS, FACT_KINDS)


def step_of_taker(kind: str) -> str:
    """Return the step by which the receiver of a kind of hand-over says yes."""
    if kind in INTO_USE:
        return "accept_issue"
    return "accept_return" if kind == values.RETURN else "accept"


def ticks_wanted(unit_id: int, kind: str) -> list[tuple[str, str, Any]]:
    """Return what the receiver ticks: (field, code, words) of each item whose clause holds in the unit."""
    wanted = {"accept_issue": USE_FIELDS, "accept_return": BACK_FIELDS}.get(step_of_taker(kind), ())
    return [
        (name, code, words)
        for name, _label, clause in wanted
        if holds(unit_id, clause)
        for code, words in _items(name)
    ]
