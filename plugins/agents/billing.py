"""Billing a case's service to an agent or partner (R18-5.1.2b, R19-5.1.2b), and what changes it afterwards.

What was typed about the work (``CaseAgent.plan``) is priced as if the customer paid for everything; contract or
tariff then say what the agent pays of it (``rates``), the rest is ours, the customer sees a line of zero. The lines
are the charges of the case's step ``agents:bill``: posted when the work is done, and from then on corrected by
adjusting lines only. When another decision or another agent counts, the kept plan is worked out anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    OPEN_CATEGORIES,
    Charge,
    Fact,
    FactKind,
    InvalidData,
    Line,
    Record,
    Refusal,
    Refused,
    Step,
    append_fact,
    charges,
    clean,
    clock,
    detail_of,
    money_math,
    session,
    tell_of_fact,
)
from plugins.warranty import services as warranty

from . import bearing, disputes, file, rates, sellers, values
from .bearing import Bearer
from .models import Agent, CaseAgent
from .rates import Borne, Priced

STEP, BILLING = "case.agents:bill", "case.agents:bill#"
CUSTOMER, COMPANY = "customer", "company"
FREE, FREE_LABEL = "free", {"zh": "免费服务", "en": "Free of charge"}
VISITS = "visits"
ONE = Decimal(1)
PLANNED = frozenset(one.name for one in warranty.PLAN_FIELDS) | {VISITS}
NOBODY = _l("No agent or partner bears this case: who pays follows from class and coverage decision")
UNKNOWN = _l("Say which agent or partner it is first")
POSTING = ("solve", "confirm", "close", "agents:bill")
# Steps and facts after which somebody else may bear a case, or nobody.
TELLING = frozenset(
    {"warranty:decide", "agents:name", "classify", "fact:deemed_admission", "fact:covered", "fact:not_covered"}
)
# Details of a case that say which item it is about, and so who sold it.
EDITED, ITEM_FIELDS = "fact:edited", frozenset({"serial_text"})
_KEPT = "agents_worked"  # with a step


@dataclass(frozen=True)
class Bill:
    """What a plan comes to: who bears the case, the agent, and the lines."""

    bearer: Bearer
    agent: Agent
    lines: Sequence[Borne]


# --- working out ---------------------------------------------------------------------------------


def of_step(step: Step) -> Bill:
    """Work out the bill of a step; once, kept with the step for the service and every clause's rule.

    Raises:
        Refused, InvalidData: as ``work_out``.
    """
    if _KEPT not in step.__dict__:
        step.__dict__[_KEPT] = work_out(step.record, step.values, step.at)
    found: Bill = step.__dict__[_KEPT]
    return found


def work_out(record: Record, given: Mapping[str, Any], at: datetime) -> Bill:
    """Work out what whoever bears a case pays for a plan (the cleaned input of the step), at the prices of ``at``.

    Raises:
        Refused: nobody bears it, it is not known who, or there is no contract where the clause wants one.
        InvalidData: beside the plan's field.
    """
    bearer = bearing.bearer_of(record)
    if bearer is None:
        raise Refused([Refusal("no_bearer", NOBODY)])
    if bearer.agent is None:
        raise Refused([Refusal("agent_unknown", UNKNOWN, bearer.clause)])
    if bearer.against is not None:
        raise Refused([bearer.against])
    # In warranty the parts a partner supplied itself cost nobody anything; beyond it we take a fee for them.
    supplied = bearer.clause not in bearing.OUT_CONTRACTS
    priced = warranty.priced_as_paid(record, given, at, supplied_free=supplied)
    hours, visits = Decimal(given.get("hours") or 0), int(given.get(VISITS) or 1)
    nature = str(getattr(detail_of(record), "nature", ""))
    lines = rates.bill(_items(priced, CUSTOMER), bearer.terms, nature, hours, visits)
    return Bill(bearer, bearer.agent, [*lines, *_ours(priced)])


def _items(priced: Sequence[warranty.PricedLine], payer: str) -> list[Priced]:
    found = [
        Priced(one.code, one.label, one.quantity, one.price, one.clause) for one in priced if one.payer == payer
    ]
    return [one for one in found if one.amount]


def _ours(priced: Sequence[warranty.PricedLine]) -> list[Borne]:
    """What the tariff asks nobody for, such as guidance on the telephone, is our own cost here too."""
    return [
        Borne(one.code, one.label, rates.US, one.quantity, one.price, rates.NOT_COVERED, one.clause)
        for one in _items(priced, COMPANY)
    ]


def lines_of(record: Record, bill: Bill) -> list[Line]:
    """Return the lines of money of a bill; the first shows the customer that they owe nothing.

    A line about which a dispute was allowed stays at what was allowed: only the rest follows the bill.
    """
    lines = [Line(FREE, FREE_LABEL, CUSTOMER, ONE, money_math.ZERO), *(_line(one, bill) for one in bill.lines)]
    return disputes.stand(record.id, f"{BILLING}{bill.bearer.clause}", lines)


def _line(one: Borne, bill: Bill) -> Line:
    if one.payer == rates.US:
        return Line(one.code, one.label, COMPANY, one.quantity, one.price)
    return Line(one.code, one.label, bill.bearer.payer, one.quantity, one.price, bill.agent.code)


# --- the steps -----------------------------------------------------------------------------------


def bill_step(step: Step) -> None:
    """Check the plan of a case's service and keep it; the fee rules charge it to whoever bears it.

    What was booked before as our own cost, or quoted to the customer, for the same work is taken back.

    Raises:
        Refused: nobody bears the case, it is not known who, or no contract is in force where the clause wants one.
        InvalidData: beside the plan's field.
    """
    _hold_seller(step.record)
    bill = of_step(step)
    row = _row(step.record)
    _keep(row, bill)
    row.plan = _plain({name: given for name, given in step.values.items() if name in PLANNED and given is not None})
    row.billed_at, row.nothing_because = step.at, ""
    session().flush()
    warranty.take_back(step.record, str(_l("Billed to the agent")))
    step.values["agent"] = named(bill.agent)
    if told := disputes.told(step.record.id, f"{BILLING}{bill.bearer.clause}", bill.agent.code):
        step.values["stands"] = told
    bearing.forget(step.record)


def _hold_seller(record: Record) -> None:
    """Whoever says that another one sold the item waits until this case is billed, and bills it anew."""
    item = bearing.item_of(record)
    if item is not None:
        sellers.lock_items([item.id])
        bearing.forget(record)


def nothing_step(step: Step) -> None:
    """Keep, with the reason, that nothing is collected for a case; what was billed is taken back.

    Raises:
        Refused: nobody bears the case.
    """
    if bearing.bearer_of(step.record) is None:
        raise Refused([Refusal("no_bearer", NOBODY)])
    row = _row(step.record)
    _take_back(step.record, row, step.values["reason"])
    row.nothing_because = step.values["reason"]
    session().flush()
    bearing.forget(step.record)


def name_step(step: Step) -> None:
    """Name the agent a case has to do with; with an item on file it becomes the item's seller.

    Raises:
        InvalidData: no such agent, one of another kind, an own product; another is known and no reason is given.
    """
    record, given = step.record, step.values
    agent = file.find_agent(record.unit_id, given["agent"])
    if agent is None:
        raise InvalidData({"agent": _l("No agent with this number or name")})
    row, item = _row(record), bearing.item_of(record)
    if item is not None and item.sold_class in sellers.KIND_OF:
        said = {"agent": agent.code, "document": given.get("document"), "reason": given.get("reason")}
        sellers.set_seller(item, said, values.BY_CASE, case=record)
        row.named = False  # the item knows
    else:
        _check_named(record, row, agent, given.get("reason"))
        row.named = True
    if row.agent_id != agent.id:
        row.nothing_because = ""  # that was about somebody else
    row.agent_id = agent.id
    session().flush()
    given["agent"] = named(agent)
    bearing.forget(record)


def _check_named(record: Record, row: CaseAgent, agent: Agent, reason: Any) -> None:
    sold_class = bearing.sold_class_of(record)
    wanted = sellers.KIND_OF.get(sold_class)
    if sold_class and wanted is None:
        raise InvalidData({"agent": _l("This product was not sold by an agent or partner")})
    if wanted is not None and agent.kind != wanted:
        raise InvalidData({"agent": _l("By its class this product is not one of theirs")})
    if row.named and row.agent_id != agent.id and not reason:
        raise InvalidData({"reason": _l("Another agent is named on this case; give the reason")})


def named(agent: Agent) -> str:
    """Return how facts tell of an agent."""
    return f"{agent.code} {agent.name}"


def _row(record: Record) -> CaseAgent:
    held = session().get(CaseAgent, record.id)
    if held is not None:
        return held
    made = CaseAgent(
        record_id=record.id, unit_id=record.unit_id, named=False, nothing_because="", plan={}, lines=[]
    )
    session().add(made)
    return made


def bill_of(record: Record) -> CaseAgent | None:
    """Return what a case has to do with an agent, None where nothing was entered."""
    return session().get(CaseAgent, record.id)


def is_settled(record: Record) -> bool:
    """Tell whether a case was billed, or nothing is collected for a reason."""
    row = bill_of(record)
    return row is not None and bool(row.billed_at or row.nothing_because)


def is_waived(record: Record) -> bool:
    """Tell whether nothing is collected for a case: what it costs is ours then."""
    row = bill_of(record)
    return row is not None and bool(row.nothing_because)


def _keep(row: CaseAgent, bill: Bill) -> None:
    """Keep what a bill came to, with why: the charges say who owes it."""
    row.agent_id, row.contract_id, row.clause = bill.agent.id, bill.bearer.terms.contract_id, bill.bearer.clause
    row.lines = [
        {
            "code": one.code,
            "label": dict(one.label),
            "payer": bill.bearer.payer if one.payer == rates.THEM else COMPANY,
            "agent": bill.agent.code,
            "quantity": f"{one.quantity.normalize():f}",
            "price": f"{one.price.normalize():f}",
            "amount": f"{one.amount:.2f}",
            "why": one.why,
            "clause": one.clause,
        }
        for one in bill.lines
    ]


def _plain(given: Any) -> Any:
    """Return a value as JSON keeps it, sets in order."""
    return json.loads(json.dumps(given, default=_as_json))


def _as_json(one: Any) -> Any:
    return sorted(one, key=str) if isinstance(one, set | frozenset) else str(one)


# --- what happens afterwards ---------------------------------------------------------------------


def after_step(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Follow what happens to a case (a part of the hook ``record_transitioned``): post when it is solved, take back
    when cancelled, bill anew when the coverage decision or the agent changed."""
    if transition in POSTING:
        post(record)
    elif transition == "cancel":
        _cancelled(record)
    elif transition in TELLING or (transition == EDITED and _is_other_item(facts)):
        follow(record)


def _is_other_item(facts: Sequence[Fact]) -> bool:
    return any(ITEM_FIELDS.intersection(one.data.get("fields", ())) for one in facts)


def post(record: Record) -> None:
    """The work is done: what was billed is owed. Again, nothing more happens."""
    if record.category in OPEN_CATEGORIES:
        return
    for _clause, source in _sources(record):
        charges.advance(record, "post", source)


def _cancelled(record: Record) -> None:
    row = bill_of(record)
    if row is not None and row.billed_at is not None:
        _take_back(record, row, str(_l("The case was cancelled")))


def follow(record: Record) -> None:
    """Who bears a billed case may have changed: the same plan is worked out anew, at the prices of its day.

    For services that have locked the case.
    """
    row = bill_of(record)
    if row is None or row.billed_at is None:
        return
    before, owed = (row.lines, row.clause), _owed(record)
    try:
        bill = work_out(record, _plan_of(row), row.billed_at)
    except (Refused, InvalidData):
        # Nobody bears it any more, or somebody must look at it: then it is billed by hand again.
        _take_back(record, row, str(_l("Who bears this case has changed")))
        _enter(record, {"agent": ""})
        return
    _keep(row, bill)
    if (row.lines, row.clause) == before:
        return  # what was agreed about its lines since, in a dispute say, stands
    _propose(record, bill)
    if (row.lines, row.clause) != before or _owed(record) != owed:
        _enter(record, {"agent": named(bill.agent)})


def _plan_of(row: CaseAgent) -> dict[str, Any]:
    plan = clean(warranty.PLAN_FIELDS, {name: given for name, given in row.plan.items() if name != VISITS})
    return {**plan, VISITS: row.plan.get(VISITS)}


def _propose(record: Record, bill: Bill) -> None:
    """Bring the charges to a bill: lines under another clause are taken back first."""
    clause = bill.bearer.clause
    _withdraw(record, {"billed": clause}, but=clause)
    charges.propose(record, clause, f"{BILLING}{clause}", lines_of(record, bill), {"agent": bill.agent.code})
    post(record)
    session().flush()


def _take_back(record: Record, row: CaseAgent, reason: str) -> None:
    """Nothing is owed for a case any more: open lines are void, posted ones get adjusting lines."""
    _withdraw(record, {"taken_back": reason})
    row.billed_at, row.lines, row.contract_id, row.clause = None, [], None, ""
    session().flush()
    bearing.forget(record)


def _withdraw(record: Record, why: Mapping[str, Any], but: str = "") -> None:
    """Take back what was billed under every clause ``but`` one."""
    for (clause, source), since in _sources(record).items():
        if clause != but:
            # The clause held when the lines came about, whatever holds by now.
            charges.propose(record, clause, source, [], why, at=since)


def _sources(record: Record) -> dict[tuple[str, str], datetime]:
    """Return clause and source of the bill's lines that count, with when they came about."""
    return {(one.clause, one.source): one.created_at for one in billed_lines(record)}


def _owed(record: Record) -> dict[tuple[str, str], Decimal]:
    """Return who owes how much by bills of a case, corrections and waivers among it."""
    ids = {one.id for one in billed_lines(record)}
    found: dict[tuple[str, str], Decimal] = {}
    for one in charges.lines_of(record.id):
        if one.state != charges.VOID and (one.adjusts_id or one.id) in ids:
            key = (one.payer, one.payer_ref)
            found[key] = found.get(key, money_math.ZERO) + one.amount
    return {key: amount for key, amount in found.items() if amount}


def billed_lines(record: Record) -> list[Charge]:
    """Return the charges that bills of a case brought, without those that correct them."""
    return [
        one
        for one in charges.lines_of(record.id)
        if one.adjusts_id is None and one.state != charges.VOID and one.source.startswith(BILLING)
    ]


def _enter(record: Record, data: Mapping[str, Any]) -> None:
    """Write that a bill changed: no step of its own brings that."""
    fact = append_fact(record, _kind("bill_changed"), at=clock.now(), data=data)
    session().flush()
    tell_of_fact(record, fact)


def _kind(code: str) -> FactKind:
    from .workflow import FACT_KINDS  # it names the steps above

    return next(one for one in FACT_KINDS if one.code == code)
