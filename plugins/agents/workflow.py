"""What agents add to the case. The steps hold no rules: ``apply`` calls services, what they refuse is in ``rules``.

The choices of agents in forms come from ``file.agent_choices`` of the present unit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import NOT_CONCERNED, FactKind, Field, Guard, Step, Transition, WorkflowExtension
from plugins.warranty.services import PLAN_FIELDS

from . import bearing, billing, notices, requests, values
from .rights import HANDLE

# The states of a case in which something is still to be done, and those in which the work is done.
OPEN = frozenset(
    {"registered", "forwarded", "contacted", "classified", "planned", "assigned", "accepted", "in_progress"}
) | {"warranty:quoted"}
AT_WORK = frozenset({"assigned", "accepted", "in_progress"})
DONE = frozenset({"solved", "confirmed"})

_AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))
_REASON = Field("reason", "long", _l("Reason"), True, max_length=300)
AGENT = Field("agent", "text", _l("Agent or partner"), True, max_length=120, help=_l("Number or name in the file"))

FACT_KINDS = (
    FactKind("agent_named", _l("Agent named"), 43, words=(("agent", _l("Agent"), ()),)),
    FactKind(
        "agent_notified",
        _l("Agent told before service"),
        47,
        words=(("agent", _l("Agent"), ()), ("means", _l("How they were told"), values.NOTICE_MEANS)),
    ),
    FactKind("partner_requested", _l("Partner asked for service"), 43),
    FactKind("request_agreed", _l("Request of the partner agreed to"), 44),
    FactKind("request_rejected", _l("Request of the partner rejected"), 44),
    FactKind(
        "agent_billed",
        _l("Service billed to the agent"),
        72,
        words=(("agent", _l("Agent"), ()), ("stands", _l("Stands as it was allowed in a dispute"), ())),
    ),
    FactKind("agent_not_billed", _l("Nothing is billed to the agent"), 72),
    FactKind("bill_changed", _l("Bill of the agent changed"), 73),
    FactKind("passed_on", _l("Passed on to a service agent"), 51, words=(("agent", _l("Agent"), ()),)),
)


def _no_bearer(step: Step) -> Any:
    return None if bearing.bearer_of(step.record, step.at) is not None else billing.NOBODY


def _not_asked(step: Step) -> Any:
    return requests.not_wanted(step.record, step.at)


# Said beside the button already; the services refuse the same.
_BORNE_FIRST = (Guard(NOT_CONCERNED, _no_bearer),)


def _step(name: str, label: Any, sources: frozenset[str], fact: str, *fields: Field, **options: Any) -> Transition:
    given = {"target": None, "permission": HANDLE, **options}
    return Transition(f"agents:{name}", label, sources, fact=fact, fields=fields, **given)


TRANSITIONS = (
    _step(
        "name",
        _l("Name the agent"),
        OPEN | DONE,
        "agent_named",
        AGENT,
        Field("document", "text", _l("Sales record"), max_length=80),
        Field("reason", "long", _l("Reason"), max_length=300, help=_l("Needed where another agent is known")),
        apply=billing.name_step,
        kept=("agent",),
        note="reason",
        weight=17,
    ),
    _step(
        "notify",
        _l("Tell the agent before service"),
        OPEN,
        "agent_notified",
        Field("means", "choice", _l("How they were told"), True, values.NOTICE_MEANS),
        Field(
            "to",
            "text",
            _l("Told to whom"),
            max_length=120,
            help=_l("Person, number or address; leave empty for the e-mail address on file"),
        ),
        Field("evidence", "text", _l("Evidence"), max_length=300, help=_l("Call number, message, fax report ...")),
        _AT,
        guards=(
            Guard(NOT_CONCERNED, lambda step: notices.nobody_to_tell(step.record)),
            Guard("agent_unknown", lambda step: notices.not_known(step.record)),
        ),
        apply=notices.notify_step,
        kept=("means", "agent"),
        weight=18,
    ),
    _step(
        "request",
        _l("Enter the partner's request"),
        OPEN,
        "partner_requested",
        Field(
            "agent",
            "text",
            _l("Partner who asks"),
            max_length=120,
            help=_l("Number or name; empty: the only partner"),
        ),
        Field("form", "choice", _l("Form of the request"), True, values.REQUEST_FORMS),
        Field("number", "text", _l("Number of the letter"), max_length=60),
        Field("dated_on", "date", _l("Dated")),
        Field("note", "long", _l("What is asked for"), max_length=1000),
        guards=(Guard(NOT_CONCERNED, _not_asked),),
        apply=requests.request_step,
        kept=("form", "agent", "number"),
        note="note",
        weight=18,
    ),
    _step(
        "bill",
        _l("Work out what the agent pays"),
        AT_WORK | DONE,
        "agent_billed",
        *PLAN_FIELDS,
        Field("visits", "int", _l("Visits"), minimum=Decimal(1), maximum=Decimal(99), default=1),
        guards=_BORNE_FIRST,
        apply=billing.bill_step,
        kept=("agent", "means", "stands"),
        weight=32,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "nothing",
        _l("Nothing to collect from the agent"),
        AT_WORK | DONE,
        "agent_not_billed",
        _REASON,
        guards=_BORNE_FIRST,
        apply=billing.nothing_step,
        note="reason",
        weight=33,
    ),
)

CASE = WorkflowExtension("case", transitions=TRANSITIONS, fact_kinds=FACT_KINDS)
