"""The life of a tool (D6): its states and steps. Who holds it is the ledger's (``custody``), which takes the steps.

Steps with the permission ``BY_SERVICE`` follow from a hand-over, an incident or a count; nobody takes them by hand.
"""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, Field, Guard, State, Step, Transition, make_workflow

from . import care, outings, values
from .rights import DECIDE, KEEP
from .values import (
    CANCELLED,
    DEFECTIVE,
    IN_REPAIR,
    IN_STORE,
    ISSUED,
    LOST,
    NEW,
    ON_LOAN,
    RETIRED,
    SCRAPPED,
)

CODE = "tools_tool"
# A permission that nobody holds: services perform these steps with ``permitted=True``.
BY_SERVICE = "tools.by_service"
_CATEGORY = {SCRAPPED: "closed", CANCELLED: "cancelled"}
STATES = tuple(State(code, label, _CATEGORY.get(code, "open")) for code, label in values.TOOL_STATES)
FACT_KINDS = (
    FactKind("registered", _l("Tool registered"), 0),
    FactKind("accepted", _l("Accepted by inspection"), 20),
    FactKind("not_accepted", _l("Not accepted"), 20),
    FactKind("edited", _l("Details corrected"), 25, backdatable=False),
    FactKind("assigned", _l("Answers for bringing it back"), 39),
    FactKind("issued", _l("Issued to a person"), 40),
    FactKind("taken", _l("Taken for a job"), 40),
    FactKind("lent", _l("Lent"), 40),
    FactKind("lent_on", _l("Lent on to a colleague"), 41),
    FactKind("extended", _l("Time extended"), 45),
    FactKind("use_ended", _l("Use ended"), 50),
    FactKind("returned", _l("Brought back"), 60),
    FactKind("handed_on", _l("Handed to a successor"), 61),
    FactKind("moved", _l("Moved to another store"), 61),
    FactKind("relocated", _l("Place changed"), 62),
    FactKind("taken_out", _l("Taken out"), 63),
    FactKind("brought_in", _l("Brought in again"), 64),
    FactKind("defect_reported", _l("Defect reported"), 70),
    FactKind("sent_to_repair", _l("Sent to the repairer"), 71),
    FactKind("repaired", _l("Repaired"), 72),
    FactKind("cared_for", _l("Maintained"), 73),
    FactKind("calibrated", _l("Calibrated"), 73),
    FactKind("lost", _l("Reported lost"), 74),
    FactKind("found", _l("Found again"), 75),
    FactKind("retired", _l("Retired"), 80),
    FactKind("disposed", _l("Disposed of"), 90),
    FactKind("cancelled", _l("Entered by mistake"), 92),
)
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))
_DUE = Field("due_at", "moment", _l("Back by"), True)
OUT = frozenset({ISSUED, ON_LOAN})
HELD = OUT | {DEFECTIVE, LOST}


def _service(
    name: str, label: Any, sources: frozenset[str], target: str | None, fact: str, **more: Any
) -> Transition:
    """A step that follows from something else. What the fact keeps is given by the service."""
    fields = (Field("handover", "text", _l("Hand-over of tools"), max_length=60), Field("note", "long", _l("Note")))
    given = {"kept": ("handover",), "note": "note", "fields": fields, **more}
    return Transition(name, label, sources, target, BY_SERVICE, fact, **given)


def _lend(step: Step) -> None:
    step.detail.due_at, step.detail.lent_at = step.values["due_at"], step.at
    step.detail.borrowed, step.detail.used_until = step.transition.name != "take", None


def _back(step: Step) -> None:
    step.detail.due_at = step.detail.lent_at = step.detail.used_until = None
    step.detail.borrowed = step.detail.outside = False


def _reserved(step: Step) -> Any:
    from .handover_rows import open_of_tool  # hand-overs need the steps of this module

    line = open_of_tool(step.record.id)
    if line is None:
        return None
    return _l(
        "%(tool)s is on hand-over %(number)s, which is still open",
        tool=step.detail.code,
        number=line.handover.record.number,
    )


def _moved(step: Step) -> Any:
    """What was in somebody's hands has a history; it is retired, not entered by mistake."""
    return _l("It was handed over before; retire it instead") if step.detail.custody_seq > 1 else None


_FREE = Guard("reserved", _reserved)
_LENT = {
    "fields": (Field("handover", "text", _l("Hand-over of tools"), max_length=60), _DUE),
    "kept": ("handover", "due_at"),
    "note": "",
    "apply": _lend,
}
SERVICE_STEPS = (
    _service("issue", _l("Give out"), frozenset({IN_STORE}), ISSUED, "issued", apply=_back),
    _service("take", _l("Take for a job"), frozenset({IN_STORE}), ON_LOAN, "taken", **_LENT),
    _service("lend", _l("Lend"), frozenset({IN_STORE}), ON_LOAN, "lent", **_LENT),
    # A holder lends on: the holder of the ledger changes, the term begins; back to the lender by ``hand_on``.
    _service("lend_on", _l("Lend on"), frozenset({ISSUED}), ON_LOAN, "lent_on", **_LENT),
    _service("return", _l("Bring back"), OUT | {LOST}, IN_STORE, "returned", apply=_back),
    _service("return_defective", _l("Bring back defective"), frozenset({DEFECTIVE}), None, "returned", apply=_back),
    _service("hand_on", _l("Hand to a successor"), OUT | {DEFECTIVE}, None, "handed_on", apply=_back),
    _service("give_back", _l("Give back to the lender"), frozenset({ON_LOAN}), ISSUED, "returned", apply=_back),
    _service("move", _l("Move to another store"), frozenset({IN_STORE, DEFECTIVE, RETIRED}), None, "moved"),
    _service(
        "send_repair", _l("Send to the repairer"), frozenset({IN_STORE, DEFECTIVE}), IN_REPAIR, "sent_to_repair"
    ),
    _service("come_back", _l("Back from the repairer"), frozenset({IN_REPAIR}), IN_STORE, "repaired"),
    _service("come_back_defective", _l("Back unrepaired"), frozenset({IN_REPAIR}), DEFECTIVE, "returned"),
    _service("report_defect", _l("Report a defect"), OUT | {IN_STORE}, DEFECTIVE, "defect_reported"),
    _service("lose", _l("Report lost"), OUT | {IN_STORE, DEFECTIVE, IN_REPAIR}, LOST, "lost"),
    _service("find", _l("Found with its holder"), frozenset({LOST}), ISSUED, "found"),
    # Also what was written off as lost turns up again.
    _service(
        "find_in_store", _l("Found in the store"), frozenset({LOST, SCRAPPED}), IN_STORE, "found", apply=_back
    ),
    # A repaired tool goes back to where it is: in the store, or with whoever it was issued to.
    _service("mend", _l("Repaired in the store"), frozenset({DEFECTIVE}), IN_STORE, "repaired"),
    _service("mend_issued", _l("Repaired with its holder"), frozenset({DEFECTIVE}), ISSUED, "repaired"),
    # What is compensated for or gone for good leaves the books.
    _service("write_off", _l("Write off"), frozenset({LOST, DEFECTIVE}), SCRAPPED, "disposed", apply=_back),
    _service("dispose", _l("Dispose of"), frozenset({RETIRED}), SCRAPPED, "disposed", apply=_back),
)
OWN_STEPS = (
    Transition(
        "accept",
        _l("Accept by inspection"),
        frozenset({NEW}),
        IN_STORE,
        KEEP,
        "accepted",
        (
            Field("result", "long", _l("What was inspected"), True, max_length=500),
            _AT,
        ),
        note="result",
        tone="primary",
        weight=10,
    ),
    Transition(
        "not_accept",
        _l("Do not accept"),
        frozenset({NEW}),
        CANCELLED,
        KEEP,
        "not_accepted",
        (_REASON,),
        note="reason",
        tone="danger",
        weight=15,
    ),
    *care.TRANSITIONS,
    *outings.TRANSITIONS,
    Transition(
        "retire",
        _l("Retire"),
        frozenset({IN_STORE, DEFECTIVE}),
        RETIRED,
        KEEP,
        "retired",
        (
            Field(
                "why",
                "choice",
                _l("Why"),
                True,
                (
                    ("life", _l("Service life is over")),
                    ("worn", _l("Naturally worn")),
                    ("irreparable", _l("Cannot be repaired")),
                    ("unfit", _l("No longer fit or needed")),
                ),
            ),
            _REASON,
        ),
        (_FREE,),
        kept=("why",),
        note="reason",
        weight=60,
    ),
    Transition(
        "cancel",
        _l("Entered by mistake"),
        frozenset({NEW, IN_STORE}),
        CANCELLED,
        DECIDE,
        "cancelled",
        (_REASON,),
        (_FREE, Guard("moved", _moved)),
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(NEW, STATES, (*OWN_STEPS, *SERVICE_STEPS), FACT_KINDS)
