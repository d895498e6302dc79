"""What warranty adds to the case: the steps from application to consent.

The steps hold no rules: ``apply`` calls the services. What they refuse stands in ``rules``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    RESUME,
    FactKind,
    Field,
    Guard,
    Record,
    State,
    Step,
    Transition,
    WorkflowExtension,
)

from . import claims, decisions, events, quotes, values
from .rights import HANDLE
from .standing import standing_of

QUOTED = "warranty:quoted"
# The states of a case in which something is still to be done (the core's, before the pause).
ACTIVE = frozenset({"registered", "forwarded", "contacted", "classified", "planned"})
AT_WORK = frozenset({"assigned", "accepted", "in_progress"})
OPEN = ACTIVE | AT_WORK
DONE = frozenset({"solved", "confirmed"})
MOST_MONEY = Decimal("9999999999.99")

_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_REMARK = Field("reason", "long", _l("Remark"), max_length=500)
_AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))
SHOWN = "shown"  # how a field tells whether its form shows it: a function of the record and its details


def _money(name: str, label: Any, **options: Any) -> Field:
    return Field(name, "decimal", label, minimum=Decimal(0), maximum=MOST_MONEY, **options)


def _for_competitor(record: Record, case: Any) -> bool:
    return decisions.is_competitor(record)


def _papers_lost(record: Record, case: Any) -> bool:
    return claims.asks_for_papers(record)


def _repaired_before(record: Record, case: Any) -> bool:
    return decisions.was_repaired(record)


def _undecided(step: Step) -> Any:
    return None if standing_of(step.record).is_decided else _l("Decide the coverage first")


def _not_told(step: Step) -> Any:
    quote = standing_of(step.record).quote
    draft = quote is not None and quote.state == values.DRAFT
    return _l("The customer has not been told the fees yet") if draft else None


# Said beside the button already; the services refuse the same.
_DECIDED_FIRST = (Guard("undecided", _undecided),)
_TOLD_FIRST = (Guard("not_told", _not_told),)
_COMPETITOR = {SHOWN: _for_competitor}

PLAN_FIELDS = (
    Field("means", "choice", _l("How it is served"), True, values.MEANS_OF_SERVICE, default=values.ON_SITE),
    Field("people", "int", _l("People"), minimum=Decimal(1), maximum=Decimal(50), default=1),
    Field("days", "decimal", _l("Days of work"), minimum=Decimal(0), maximum=Decimal(365), default=Decimal(1)),
    Field("nights", "decimal", _l("Nights"), minimum=Decimal(0), maximum=Decimal(365), default=Decimal(0)),
    _money("travel", _l("Travel, actual cost (yuan)")),
    _money("lodging_actual", _l("Lodging, actual cost (yuan)"), help=_l("Where the tariff charges what it costs")),
    _money("freight", _l("Freight (yuan)")),
    Field("hours", "decimal", _l("Hours of labour"), minimum=Decimal(0), maximum=Decimal(999)),
    Field("provided", "many", _l("The customer provides"), choices=values.PROVIDED),
    Field(
        "parts",
        "long",
        _l("Parts"),
        max_length=4000,
        help=_l("One per line: part number, quantity; add “partner” where the partner supplies it"),
    ),
    Field("work", "choice", _l("Kind of work"), choices=values.COMPETITOR_WORKS, options=_COMPETITOR),
    *(
        _money(f"cost_{code}", _l("Cost: %(what)s (yuan)", what=label), options=_COMPETITOR)
        for code, label in values.COMPETITOR_COSTS
    ),
    _money("price", _l("Price asked (yuan)"), options=_COMPETITOR),
)

STATES = (State(QUOTED, _l("Waiting for the customer's consent"), "paused", fallback="planned"),)

_DECIDED = (
    ("result", _l("Result"), values.RESULTS),
    ("clause", _l("Clause"), ()),
    ("covered_until", _l("Covered until"), ()),
)
# What the number of a quote stands under; which approval it was is shown on the case.
_QUOTE = (("quote", _l("Quote"), ()), ("approval", "", ()), ("owed", _l("Customer owes (yuan)"), ()))

FACT_KINDS = (
    FactKind("warranty_claimed", _l("Warranty applied for"), 42),
    FactKind("papers_complete", _l("Papers complete"), 43),
    FactKind("coverage_decided", _l("Coverage decided"), 44, words=_DECIDED),
    # Written at the time of the report, so that R22-4.4b counts from there; of the same rank, the later one counts.
    FactKind("covered", _l("In warranty, counted from the report"), 2),
    FactKind("not_covered", _l("Not in warranty after all"), 2),
    FactKind("inspected_before", _l("Looked at before repair"), 60),
    FactKind("fee_quoted", _l("Fees worked out"), 46, words=_QUOTE),
    FactKind("quote_sent", _l("Quote told to the customer"), 47, visible_to_customer=True, words=_QUOTE),
    FactKind("consented", _l("Customer agreed to the fees"), 48, visible_to_customer=True, words=_QUOTE),
    FactKind("consent_refused", _l("Customer refused the fees"), 48, words=_QUOTE),
    FactKind("waiver_asked", _l("Waiver of the fees asked for"), 49, words=_QUOTE),
    FactKind("fees_waived", _l("Fees waived"), 49, words=_QUOTE),
    FactKind("cost_booked", _l("Own cost booked"), 71, words=_QUOTE),
    FactKind("part_replaced", _l("Part replaced"), 68),
    FactKind("item_exchanged", _l("Item exchanged"), 69),
    FactKind("warranty_extended", _l("Warranty extended"), 69, visible_to_customer=True),
    FactKind("deemed_admission", _l("Counts as admitted"), 45, words=_DECIDED),
    FactKind("compensation_asked", _l("Compensation asked for"), 82, words=_QUOTE),
    FactKind("compensated", _l("Compensation agreed"), 83, words=_QUOTE),
    FactKind("money_collected", _l("Money collected"), 84),
    FactKind("money_handed_in", _l("Money handed in"), 85),
    FactKind("money_returned", _l("Receipt made void"), 86),
    FactKind("invoice_asked", _l("Invoice asked for"), 87),
    FactKind("invoice_declined", _l("Customer wants no invoice"), 87),
)


def _step(name: str, label: Any, sources: frozenset[str], fact: str, *fields: Field, **options: Any) -> Transition:
    given = {"target": None, "permission": HANDLE, **options}
    return Transition(f"warranty:{name}", label, sources, fact=fact, fields=fields, **given)


TRANSITIONS = (
    _step(
        "claim",
        _l("Apply for warranty"),
        OPEN,
        "warranty_claimed",
        Field("papers", "many", _l("Papers shown"), choices=values.PAPERS),
        Field("lost", "bool", _l("Proof or card is lost"), options={SHOWN: _papers_lost}),
        _REMARK,
        apply=claims.file_step,
        kept=("papers", "lost"),
        note="reason",
        weight=16,
        assignee_may=True,
    ),
    _step(
        "decide",
        _l("Decide coverage"),
        OPEN | DONE | {QUOTED},
        "coverage_decided",
        Field("cause", "choice", _l("Cause"), True, values.CAUSES),
        Field("human_damage", "bool", _l("Signs of damage by people")),
        Field("part", "text", _l("Failed part"), max_length=60, help=_l("Its own warranty line may cover it")),
        Field("same_fault", "bool", _l("The fault that was repaired before"), options={SHOWN: _repaired_before}),
        Field("evidence", "long", _l("Evidence"), max_length=1000),
        Field(
            "result",
            "choice",
            _l("Decide otherwise"),
            choices=values.RESULTS,
            help=_l("Leave empty to decide as the clauses say; otherwise give the reason"),
        ),
        Field("reason", "long", _l("Reason"), max_length=500, help=_l("Needed to revise a decision")),
        _AT,
        apply=decisions.decide_step,
        kept=("cause", "human_damage", "part", "result", "clause", "covered_until"),
        note="reason",
        weight=17,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "inspect",
        _l("Look at it before repair"),
        AT_WORK,
        "inspected_before",
        Field("parts_complete", "bool", _l("Inner parts are complete")),
        Field("human_damage", "bool", _l("Signs of damage by people")),
        Field("finding", "long", _l("Finding"), max_length=1000),
        Field("told", "bool", _l("The customer was told of what does not fit")),
        apply=claims.inspect_step,
        kept=("parts_complete", "human_damage", "told"),
        note="finding",
        weight=23,
        assignee_may=True,
    ),
    _step(
        "quote",
        _l("Work out the fees"),
        frozenset({"classified", "planned"}) | AT_WORK | {QUOTED},
        "fee_quoted",
        *PLAN_FIELDS,
        target=QUOTED,
        guards=_DECIDED_FIRST,
        apply=quotes.quote_step,
        kept=("quote", "why"),
        weight=18,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "send",
        _l("Tell the customer the fees"),
        frozenset({QUOTED}),
        "quote_sent",
        Field(
            "by",
            "choice",
            _l("How it was told"),
            True,
            values.SENT_MEANS,
            help=_l("The quote is put on the case as a PDF, and mailed where it is sent by e-mail"),
        ),
        Field(
            "to",
            "text",
            _l("E-mail address"),
            max_length=200,
            help=_l("One on file for the customer; leave empty for the first of them"),
        ),
        _REMARK,
        apply=quotes.send_step,
        kept=("by", "quote"),
        note="reason",
        tone="primary",
        weight=16,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "consent",
        _l("Customer agrees to the fees"),
        frozenset({QUOTED}),
        "consented",
        Field("means", "choice", _l("How it was confirmed"), True, values.CONSENT_MEANS),
        Field("who", "text", _l("Who agreed"), True, max_length=60),
        Field(
            "evidence", "text", _l("Evidence"), max_length=300, help=_l("Call number, message, signed sheet ...")
        ),
        _AT,
        target=RESUME,
        guards=_TOLD_FIRST,
        apply=quotes.consent_step,
        kept=("means", "quote"),
        tone="primary",
        weight=19,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "refuse",
        _l("Customer refuses the fees"),
        frozenset({QUOTED}),
        "consent_refused",
        _REASON,
        _AT,
        target=RESUME,
        guards=_TOLD_FIRST,
        apply=quotes.refuse_step,
        kept=("quote",),
        note="reason",
        weight=20,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "ask_waiver",
        _l("Ask for a waiver of the fees"),
        OPEN | {QUOTED},
        "waiver_asked",
        _REASON,
        apply=quotes.ask_waiver_step,
        kept=("quote", "approval"),
        note="reason",
        weight=21,
    ),
    _step(
        "cost",
        _l("Book our own cost"),
        # Remote help is booked before anybody is assigned: with it the case needs no quote.
        frozenset({"classified", "planned"}) | AT_WORK | DONE,
        "cost_booked",
        *PLAN_FIELDS,
        apply=quotes.cost_step,
        kept=("means", "owed"),
        weight=33,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "replace_part",
        _l("Record a replaced part"),
        AT_WORK,
        "part_replaced",
        Field("part", "text", _l("Part"), True, max_length=60),
        Field("old_serial", "text", _l("Serial number taken out"), max_length=60),
        Field("new_serial", "text", _l("Serial number put in"), max_length=60),
        _AT,
        apply=events.replace_part_step,
        kept=("part", "old_serial", "new_serial"),
        weight=33,
        assignee_may=True,
    ),
    _step(
        "exchange",
        _l("Record an exchange"),
        AT_WORK | DONE,
        "item_exchanged",
        Field("new_serial", "text", _l("Serial number given in exchange"), True, max_length=60),
        _REASON,
        _AT,
        apply=events.exchange_step,
        kept=("new_serial",),
        note="reason",
        weight=34,
    ),
    _step(
        "extend",
        _l("Extend after a failed last service"),
        OPEN | DONE,
        "warranty_extended",
        _REASON,
        _AT,
        apply=events.extend_step,
        kept=("until",),
        note="reason",
        weight=35,
    ),
    _step(
        "no_invoice",
        _l("Customer wants no invoice"),
        AT_WORK | DONE,
        "invoice_declined",
        _REMARK,
        note="reason",
        weight=64,
        assignee_may=True,
        inside=True,
    ),
    _step(
        "compensate",
        _l("Ask for compensation of a faulty repair"),
        OPEN | DONE,
        "compensation_asked",
        _money("amount", _l("Amount (yuan)"), required=True),
        _REASON,
        apply=quotes.compensate_step,
        kept=("amount", "approval"),
        note="reason",
        weight=66,
    ),
)

CASE = WorkflowExtension(
    "case",
    states=STATES,
    transitions=TRANSITIONS,
    fact_kinds=FACT_KINDS,
    sources={name: frozenset({QUOTED}) for name in ("cancel", "chase", "escalate", "set_due", "assess")},
)
