"""The states of outgoing goods (出库单): issued, and all taken back. What moves is in ``issues``."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, State, Transition, make_workflow

from . import values
from .removal_flow import BY_SERVICE
from .values import ISSUED, TAKEN_BACK

CODE = "store_issue"
STATES = tuple(State(code, label, "closed") for code, label in values.ISSUE_STATES)
FACT_KINDS = (
    FactKind(
        "registered",
        _l("Goods issued"),
        0,
        words=(("kind", _l("Kind"), values.ISSUE_KINDS), ("pieces", _l("Pieces"), ())),
    ),
    FactKind(
        "taken_back", _l("Goods taken back"), 20, words=(("goods", _l("Goods"), ()), ("pieces", _l("Pieces"), ()))
    ),
    FactKind("all_back", _l("Everything is back"), 60),
)
TRANSITIONS = (
    Transition("all_back", _l("Everything is back"), frozenset({ISSUED}), TAKEN_BACK, BY_SERVICE, "all_back"),
)
WORKFLOW = make_workflow(ISSUED, STATES, TRANSITIONS, FACT_KINDS)
