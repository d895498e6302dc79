"""The case's states and steps (rulebook states D1), with the guards that need no plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.kernel import clock
from core.kernel.database import session
from core.kernel.errors import InvalidData
from core.kernel.fields import Field
from core.records.engine import Step, detail_of
from core.records.models import CANCELLED, CLOSED, OPEN, OPEN_CATEGORIES, PAUSED, SOLVED, Fact, Record
from core.records.services import notify
from core.records.workflow import RESUME, FactKind, Guard, State, Transition, make_workflow
from core.rules.effective import holds
from core.units.facts import local_day
from core.units.settings import setting
from core.users.positions import choices as position_choices
from core.users.services import holders, staff_of, who_may

from . import settings as _declared  # noqa: F401 - declares what the guards ask for
from . import vocabulary as words

STATES = (
    State("registered", _l("Registered"), OPEN),
    State("forwarded", _l("Forwarded"), OPEN),
    State("contacted", _l("Contacted"), OPEN),
    State("classified", _l("Classified"), OPEN),
    State("planned", _l("Planned"), OPEN),
    State("assigned", _l("Assigned"), OPEN),
    State("accepted", _l("Accepted"), OPEN),
    State("in_progress", _l("In progress"), OPEN),
    State("waiting", _l("Waiting"), PAUSED),
    State("answered", _l("Answered"), SOLVED),
    State("solved", _l("Awaiting confirmation"), SOLVED),
    State("confirmed", _l("Confirmed"), SOLVED),
    State("closed", _l("Archived"), CLOSED),
    State("cancelled", _l("Cancelled"), CANCELLED),
)
_OPEN = frozenset(s.code for s in STATES if s.category in OPEN_CATEGORIES)
_ACTIVE = frozenset(s.code for s in STATES if s.category == OPEN)
_BEFORE_ASSIGNING = frozenset({"registered", "forwarded", "contacted", "classified", "planned"})
_ASSIGNABLE = frozenset({"classified", "planned", "assigned", "accepted", "in_progress"})
_ON_THE_WAY = frozenset({"assigned", "accepted", "in_progress"})

FACT_KINDS = (
    FactKind("registered", _l("Case registered"), 0),
    FactKind("logged", _l("Entered into the system"), 1),
    FactKind("responded", _l("First response"), 10, enterable=True),
    FactKind("forwarded", _l("Forwarded"), 20),
    FactKind("contacted", _l("Customer contacted"), 30, enterable=True),
    FactKind("call_attempt", _l("Call attempt"), 31, enterable=True),
    FactKind("classified", _l("Classified"), 40),
    FactKind("assessed", _l("Fault assessed"), 41),
    FactKind("planned", _l("Solution planned"), 45),
    FactKind("answered", _l("Answered"), 50, visible_to_customer=True),
    FactKind("assigned", _l("Assigned"), 50),
    FactKind("accepted", _l("Job accepted"), 52),
    FactKind("declined", _l("Job refused"), 52),
    FactKind("departed", _l("Left for the customer"), 55, enterable=True),
    FactKind("arrived", _l("Arrived on site"), 60, enterable=True),
    FactKind("started", _l("Work started"), 61),
    FactKind("paused", _l("Clock paused"), 65),
    FactKind("resumed", _l("Work resumed"), 66),
    FactKind("progress", _l("Progress told to the customer"), 67, enterable=True, visible_to_customer=True),
    FactKind("solved", _l("Solved"), 70, visible_to_customer=True),
    FactKind("quoted", _l("Quotation or contract prepared"), 49),
    FactKind("referred", _l("Referred to a specialist"), 49),
    FactKind("result_sent", _l("Result sent to the customer"), 75, visible_to_customer=True),
    FactKind("reworked", _l("Not satisfied, back to work"), 76),
    FactKind("confirmed", _l("Confirmed by the customer"), 80),
    FactKind("rated", _l("Rated by the customer"), 81),
    FactKind("archived", _l("Archived"), 90),
    FactKind("reopened", _l("Reopened"), 91),
    FactKind("cancelled", _l("Cancelled"), 92),
    FactKind("due_set", _l("Due time set"), 46),
    FactKind("escalated", _l("Escalated"), 93),
    FactKind("chased", _l("Customer chased"), 94),
    FactKind("customer_reply", _l("Customer wrote"), 94, visible_to_customer=True),
    FactKind("comment", _l("Comment"), 95),
    FactKind("edited", _l("Details changed"), 95),
    FactKind("stage", _l("Stage set"), 95),
    FactKind("attachment", _l("File added"), 96),
)


def nature_field(required: bool) -> Field:
    """Return the input of a case's nature (R01-4.2)."""
    return Field("nature", "choice", _l("Nature"), required, words.NATURES, clause="R01-4.2")


def urgency_field(required: bool) -> Field:
    """Return the input of a case's urgency (R01-4.2)."""
    return Field("urgency", "choice", _l("Urgency"), required, words.URGENCIES, clause="R01-4.2")


# How a field tells whether its form shows it: a function of the record and its details.
SHOWN = "shown"
Shown = Callable[[Record, Any], bool]


def _under(*clauses: str) -> Shown:
    """Show a field where one of these clauses is on in the unit."""
    return lambda record, _case: any(holds(record.unit_id, one) for one in clauses)


def _for_presale(_record: Record, case: Any) -> bool:
    return bool(case.nature == "presale")


def _not_planned(record: Record, case: Any) -> bool:
    return not case.plan and case.nature not in words.TALK and _under("R27-2.3.2", "R31-3.1")(record, case)


def _not_agreed(record: Record, case: Any) -> bool:
    return case.agreed_at is None and case.nature in words.REPAIRS and holds(record.unit_id, "R27-2.3.2")


def _needs_presale_list(record: Record, case: Any) -> bool:
    return _for_presale(record, case) and holds(record.unit_id, "R23-1")


FAULT_TYPE = Field("fault_type", "choice", _l("Type of fault"), choices=words.FAULT_TYPES, clause="R27-2.2.2")
IMPACT = Field("impact", "choice", _l("Impact"), choices=words.IMPACTS, clause="R27-2.2.2")
PRODUCT_CLASS = Field(
    "product_class",
    "choice",
    _l("Product class"),
    choices=words.PRODUCT_CLASSES,
    options={SHOWN: _under("R13-6.1", "R17-6.1", "R18-6.1", "R19-6.1")},
)
PLAN_NOW = Field(
    "plan", "long", _l("Solution plan"), max_length=4000, clause="R31-3.1", options={SHOWN: _not_planned}
)
AGREED = Field(
    "agreed",
    "bool",
    _l("The customer has agreed to this solution"),
    clause="R27-2.3.2",
    options={SHOWN: _not_agreed},
)
PRESALE_LIST = Field(
    "presale_items",
    "many",
    _l("Services before the sale"),
    choices=words.PRESALE_ITEMS,
    clause="R23-1",
    options={SHOWN: _needs_presale_list},
)
SURE = Field("sure", "bool", _l("The answer is certain"), clause="R24-4.9", options={SHOWN: _under("R24-4.9")})
SEVERITY = Field("severity", "choice", _l("Severity"), choices=words.SEVERITIES, clause="R09-3.1")
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
REMARK = Field("reason", "long", _l("Remark"), False, max_length=500)
DUE = Field("due", "moment", _l("To be done by"), help=_l("Shown as the next due time; leave empty to keep it"))
AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))


# --- guards ----------------------------------------------------------------------------------


def _is_classified(step: Step) -> Any:
    if step.detail.nature and step.detail.urgency:
        return None
    return _l("Nature and urgency must be set first")


def _is_inquiry(step: Step) -> Any:
    if not step.detail.nature or step.detail.nature in words.TALK:
        return None
    return _l("Only inquiries are answered directly; assign this case")


def _is_presale(step: Step) -> Any:
    return None if step.detail.nature == "presale" else _l("Only for cases before the sale")


def _worker_here(step: Step) -> Any:
    chosen = step.values.get("assignee_id")
    if chosen in {user.id for user in staff_of(step.record.unit_id)}:
        return None
    return _l("This person does not work in the unit")


def _result_sent(step: Step) -> Any:
    if step.detail.result_sent_at:
        return None
    return _l("The result has not been sent to the customer yet")


def _cause_of_complaint(step: Step) -> Any:
    if step.detail.nature != "complaint" or step.detail.cause:
        return None
    return _l("A complaint is archived only with its cause")


def _silence_is_long_enough(step: Step) -> Any:
    if step.values.get("means") != "silence":
        return None
    unit_id = step.record.unit_id
    days = setting(unit_id, "case.silence_days")
    sent = step.detail.result_sent_at
    # The day of sending does not count, the last day does in full (C0-T2).
    if sent and local_day(unit_id, step.at) - local_day(unit_id, sent) > timedelta(days=days):
        return None
    return _l("Silence counts only %(days)d days after the result was sent", days=days)


def _signature_rule(step: Step) -> Any:
    rule = setting(step.record.unit_id, "case.signature_rule")
    means = step.values.get("means")
    if rule == "none" or means in ("seal", "silence") or (rule == "signature" and means == "signature"):
        return None
    if step.detail.nature == "inquiry":
        return None
    if rule == "seal":
        return _l("This unit needs the customer's signature and seal")
    return _l("This unit needs the customer's signature")


# --- what the steps write ----------------------------------------------------------------------


def _forward(step: Step) -> None:
    step.record.owner_position = step.values["position"]


def _classify(step: Step) -> None:
    for name in ("nature", "urgency", "severity"):
        setattr(step.detail, name, step.values.get(name) or "")
    step.record.priority = words.PRIORITY[step.detail.urgency]
    for name in ("fault_type", "impact", "product_class"):
        if step.values.get(name):
            setattr(step.detail, name, step.values[name])
    if step.values.get("fault_type") and step.values.get("impact"):
        step.add_fact("assessed", data={name: step.values[name] for name in ("fault_type", "impact")})


def _assess(step: Step) -> None:
    step.detail.fault_type, step.detail.impact = step.values["fault_type"], step.values["impact"]


def _promise(step: Step) -> None:
    """Keep until when the matter is to be done, where somebody said so."""
    due = step.values.get("due")
    if due is None:
        return
    if due <= clock.now():
        raise InvalidData({"due": _l("This time has passed")})
    step.record.next_due_at = due


def _settle(step: Step) -> None:
    """Keep the plan and the customer's agreement to it where the form brings them; the fact says so."""
    plan = step.values.get("plan")
    if plan:
        step.detail.plan = plan
        step.values["planned"] = True
    if step.values.get("agreed"):
        step.detail.agreed_at = step.at
    else:
        step.values.pop("agreed", None)


def _plan(step: Step) -> None:
    _settle(step)
    _promise(step)


def _quote(step: Step) -> None:
    for name in ("quotation", "contract"):
        setattr(step.detail, name, step.values.get(name) or "")


def _refer(step: Step) -> None:
    step.record.owner_position = step.values["position"]
    people = [user for user, _ in holders(step.values["position"], step.record.unit_id)]
    notify(step.record, "routed", people, step.values.get("reason") or "")


def _answer(step: Step) -> None:
    step.detail.answer = step.values["answer"]
    step.detail.result_sent_at = step.at


def _assign(step: Step) -> None:
    step.record.assignee_id = step.values["assignee_id"]
    if step.values.get("distance_km") is not None:
        step.detail.distance_km = step.values["distance_km"]
    if step.detail.plan:
        step.values["planned"] = True
    _promise(step)
    notify(step.record, "assigned", [step.record.assignee_id])


def _decline(step: Step) -> None:
    step.record.assignee_id = None


# From the first of these on, a person serves the customer.
_AT_WORK = ("started", "arrived", "departed", "accepted")


def _minutes_of_service(step: Step) -> int | None:
    begun = select(func.min(Fact.at)).where(Fact.record_id == step.record.id, Fact.kind.in_(_AT_WORK))
    first = session().scalar(begun)
    return max(0, int((step.at - clock.as_utc(first)).total_seconds() // 60)) if first else None


def _solve(step: Step) -> None:
    _settle(step)
    step.detail.service_minutes = _minutes_of_service(step)
    for name in ("cause", "process", "parts_used", "test_result"):
        setattr(step.detail, name, step.values.get(name) or "")


def _send_result(step: Step) -> None:
    step.detail.result_sent_at = step.at


def _rework(step: Step) -> None:
    step.detail.result_sent_at = None


def _confirm(step: Step) -> None:
    step.detail.confirmed_by = step.values["means"]
    rating = step.values.get("rating")
    if rating:
        step.detail.rating = int(rating)
        step.detail.rating_comment = step.values.get("comment") or ""
        step.add_fact("rated", data={"rating": int(rating)}, note=step.detail.rating_comment)


def _escalate(step: Step) -> None:
    step.record.escalated = step.values["level"]


def _chase(step: Step) -> None:
    step.record.chase_count += 1
    if step.record.assignee_id:
        notify(step.record, "chased", [step.record.assignee_id], step.values.get("reason") or "")


def _reopen(step: Step) -> None:
    """Somebody of another company has done, or lost, what was passed to them; it is assigned anew."""
    assignee = step.record.assignee_id
    if assignee is not None and not who_may("case.view", step.record.unit_id, (assignee,)):
        step.record.assignee_id = None
    step.detail.result_sent_at = None
    step.detail.confirmed_by = ""


def needs_rating(raw: Mapping[str, Any]) -> bool:
    """The customer rates when confirming; silence has nobody to ask (R03-3.5, R34-4.4.1)."""
    return raw.get("means") != "silence"


_CLASSIFIED = Guard("unclassified", _is_classified, "R01-4.2")

TRANSITIONS = (
    Transition(
        "forward",
        _l("Forward"),
        frozenset({"registered", "forwarded"}),
        "forwarded",
        "case.forward",
        "forwarded",
        (Field("position", "choice", _l("To which position"), True, position_choices), REMARK),
        apply=_forward,
        kept=("position",),
        note="reason",
        weight=10,
        help=_l("Pass the request to the department that owns it"),
    ),
    Transition(
        "contact",
        _l("Record the contact"),
        frozenset({"registered", "forwarded"}),
        "contacted",
        "case.forward",
        "contacted",
        (AT, REMARK),
        note="reason",
        weight=11,
        assignee_may=True,
    ),
    Transition(
        "classify",
        _l("Classify"),
        _BEFORE_ASSIGNING - {"planned"},
        "classified",
        "case.classify",
        "classified",
        (nature_field(True), urgency_field(True), SEVERITY, FAULT_TYPE, IMPACT, PRODUCT_CLASS),
        apply=_classify,
        kept=("nature", "urgency", "severity", "product_class"),
        weight=12,
    ),
    Transition(
        "assess",
        _l("Assess the fault"),
        _ACTIVE,
        None,
        "case.classify",
        "assessed",
        (replace(FAULT_TYPE, required=True), replace(IMPACT, required=True), REMARK),
        apply=_assess,
        kept=("fault_type", "impact"),
        note="reason",
        assignee_may=True,
        weight=60,
    ),
    Transition(
        "answer",
        _l("Answer"),
        _BEFORE_ASSIGNING,
        "answered",
        "case.answer",
        "answered",
        (Field("answer", "long", _l("Answer"), True, max_length=4000, clause="R17-7.2.1"), SURE),
        (_CLASSIFIED, Guard("not_inquiry", _is_inquiry)),
        _answer,
        note="answer",
        weight=13,
    ),
    Transition(
        "plan",
        _l("Plan the solution"),
        _BEFORE_ASSIGNING,
        "planned",
        "case.handle",
        "planned",
        (
            Field("plan", "long", _l("Solution plan"), True, max_length=4000, clause="R17-7.2.2b"),
            AGREED,
            PRESALE_LIST,
            DUE,
        ),
        (_CLASSIFIED,),
        apply=_plan,
        kept=("due", "agreed", "presale_items"),
        note="plan",
        weight=14,
    ),
    Transition(
        "assign",
        _l("Assign"),
        _BEFORE_ASSIGNING | _ASSIGNABLE,
        "assigned",
        "case.assign",
        "assigned",
        (
            Field("assignee_id", "user", _l("Technician"), True, clause="R01-4.3a"),
            Field("distance_km", "decimal", _l("Distance (km)"), minimum=Decimal(0), maximum=Decimal(20000)),
            DUE,
            REMARK,
        ),
        (_CLASSIFIED, Guard("stranger", _worker_here, needs_form=True)),
        _assign,
        kept=("assignee_id", "distance_km", "due", "planned"),
        note="reason",
        weight=15,
    ),
    Transition(
        "accept",
        _l("Accept the job"),
        frozenset({"assigned"}),
        "accepted",
        "case.assign",
        "accepted",
        assignee_may=True,
        weight=20,
    ),
    Transition(
        "decline",
        _l("Refuse the job"),
        frozenset({"assigned", "accepted"}),
        "classified",
        "case.assign",
        "declined",
        (REASON,),
        apply=_decline,
        note="reason",
        assignee_may=True,
        tone="danger",
        weight=21,
    ),
    Transition(
        "depart",
        _l("Leave for the customer"),
        frozenset({"assigned", "accepted", "in_progress"}),
        "in_progress",
        "case.handle",
        "departed",
        (AT,),
        assignee_may=True,
        weight=22,
    ),
    Transition(
        "arrive",
        _l("Arrive on site"),
        _ON_THE_WAY,
        "in_progress",
        "case.handle",
        "arrived",
        (AT,),
        assignee_may=True,
        weight=23,
    ),
    Transition(
        "start",
        _l("Start work"),
        frozenset({"assigned", "accepted"}),
        "in_progress",
        "case.handle",
        "started",
        (PLAN_NOW, AGREED),
        apply=_settle,
        kept=("planned", "agreed"),
        assignee_may=True,
        weight=24,
    ),
    Transition(
        "wait",
        _l("Pause"),
        _ACTIVE,
        "waiting",
        "case.handle",
        "paused",
        (
            Field("why", "choice", _l("What for"), True, words.WAIT_REASONS),
            Field("reason", "long", _l("Reason"), True, max_length=500),
        ),
        kept=("why",),
        note="reason",
        assignee_may=True,
        weight=30,
    ),
    Transition(
        "resume",
        _l("Resume"),
        frozenset({"waiting"}),
        RESUME,
        "case.handle",
        "resumed",
        (REMARK,),
        note="reason",
        assignee_may=True,
        weight=31,
    ),
    Transition(
        "solve",
        _l("Finish"),
        frozenset({"in_progress"}),
        "solved",
        "case.handle",
        "solved",
        (
            Field("cause", "long", _l("Cause"), True, max_length=1000, clause="R34-4.3.2"),
            Field("process", "long", _l("What was done"), True, clause="R34-4.3.2"),
            Field(
                "parts_used",
                "text",
                _l("Parts used"),
                True,
                max_length=300,
                clause="R34-4.3.2",
                help=_l("Write “none” where no part was used"),
            ),
            Field("test_result", "text", _l("Test result"), True, max_length=300, clause="R34-4.3.2"),
            PLAN_NOW,
            AGREED,
            AT,
        ),
        apply=_solve,
        kept=("planned", "agreed"),
        note="process",
        assignee_may=True,
        tone="primary",
        weight=32,
    ),
    Transition(
        "rework",
        _l("Customer not satisfied"),
        frozenset({"solved", "answered"}),
        "in_progress",
        "case.handle",
        "reworked",
        (REASON,),
        apply=_rework,
        note="reason",
        weight=41,
    ),
    Transition(
        "send_result",
        _l("Send the result"),
        frozenset({"solved", "answered", "confirmed"}),
        None,
        "case.handle",
        "result_sent",
        (Field("message", "long", _l("Message to the customer"), True),),
        apply=_send_result,
        note="message",
        assignee_may=True,
        weight=40,
    ),
    Transition(
        "confirm",
        _l("Customer confirms"),
        frozenset({"solved", "answered"}),
        "confirmed",
        "case.confirm",
        "confirmed",
        (
            Field("means", "choice", _l("How it was confirmed"), True, words.CONFIRMATIONS),
            Field("rating", "choice", _l("Rating"), needs_rating, words.RATINGS, clause="R34-4.4.1"),
            Field("comment", "long", _l("Customer's words"), max_length=400),
        ),
        (
            Guard("silence", _silence_is_long_enough, needs_form=True),
            Guard("signature", _signature_rule, "R10-2.5", needs_form=True),
        ),
        _confirm,
        kept=("means",),
        assignee_may=True,
        tone="primary",
        weight=42,
    ),
    Transition(
        "close",
        _l("Archive"),
        frozenset({"confirmed"}),
        "closed",
        "case.close",
        "archived",
        (REMARK,),
        (
            Guard("result_not_sent", _result_sent, "R01-4.6"),
            Guard("no_cause", _cause_of_complaint, "R20-2.D"),
        ),
        note="reason",
        tone="primary",
        weight=43,
    ),
    Transition(
        "reopen",
        _l("Reopen"),
        frozenset({"closed", "confirmed", "cancelled", "answered"}),
        "classified",
        "case.reopen",
        "reopened",
        (REASON,),
        apply=_reopen,
        note="reason",
        weight=60,
    ),
    Transition(
        "chase",
        _l("Customer chases"),
        _OPEN,
        None,
        "case.chase",
        "chased",
        (Field("reason", "long", _l("What the customer said"), max_length=500),),
        apply=_chase,
        note="reason",
        weight=61,
    ),
    Transition(
        "set_due",
        _l("Set the due time"),
        _OPEN,
        None,
        "case.handle",
        "due_set",
        (replace(DUE, required=True, help=""), REMARK),
        apply=_promise,
        kept=("due",),
        note="reason",
        weight=61,
    ),
    Transition(
        "escalate",
        _l("Escalate"),
        _OPEN,
        None,
        "case.escalate",
        "escalated",
        (Field("level", "choice", _l("To whom"), True, words.LEVELS, clause="R03-7.2"), REASON),
        apply=_escalate,
        kept=("level",),
        note="reason",
        assignee_may=True,
        weight=62,
    ),
    Transition(
        "quote",
        _l("Quotation and contract"),
        _ACTIVE,
        None,
        "case.answer",
        "quoted",
        (
            Field("quotation", "text", _l("Quotation"), True, max_length=300, clause="R04-2.1c"),
            Field("contract", "text", _l("Contract"), max_length=300, clause="R04-2.1c"),
            REMARK,
        ),
        (Guard("state", _is_presale),),
        _quote,
        note="reason",
        weight=63,
    ),
    Transition(
        "refer",
        _l("Refer to a specialist"),
        _ACTIVE,
        None,
        "case.answer",
        "referred",
        (Field("position", "choice", _l("To which position"), True, position_choices, clause="R24-4.9"), REASON),
        apply=_refer,
        kept=("position",),
        note="reason",
        weight=64,
    ),
    Transition(
        "cancel",
        _l("Cancel the case"),
        _OPEN,
        "cancelled",
        "case.cancel",
        "cancelled",
        (REASON,),
        note="reason",
        tone="danger",
        weight=70,
    ),
)


def received_time(value: Any, now: Any, limit_days: int) -> Any:
    """Check when the request was received: not in the future, not earlier than the unit allows.

    Raises:
        InvalidData: beside ``received_at``.
    """
    if value is None:
        return now
    if value > now + timedelta(minutes=5):
        raise InvalidData({"received_at": _l("This time lies in the future")})
    if now - value > timedelta(days=limit_days):
        raise InvalidData(
            {"received_at": _l("Entering requests older than %(days)d days is not allowed here", days=limit_days)}
        )
    return min(value, now)


def fields_now(record: Record, step: Transition) -> list[Field]:
    """Return the fields a step's form shows for a record: those its unit's clauses and its nature ask for."""
    if not any(SHOWN in one.options for one in step.fields):
        return list(step.fields)
    case = detail_of(record)
    return [one for one in step.fields if SHOWN not in one.options or one.options[SHOWN](record, case)]


CASE_WORKFLOW = make_workflow("registered", STATES, TRANSITIONS, FACT_KINDS)
