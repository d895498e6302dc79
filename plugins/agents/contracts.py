"""Contracts with agents (代理合同): drafted, signed, in force, ended. What was signed does not change any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Attachment,
    FactKind,
    Field,
    Guard,
    InvalidData,
    Record,
    RecordType,
    Refusal,
    Refused,
    State,
    Step,
    Transition,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    local_day,
    lock,
    make_workflow,
    publish,
    read_id,
    require,
    session,
    tell_of_fact,
    transaction,
)
from plugins.products import services as products

from . import contract_form, file, values
from .contract_form import AGENT, FIELDS, PLAIN, rate_name
from .models import Agent, Contract, Rate
from .rights import KEEP
from .spans import Span, choose
from .values import RateTerm, Terms

CODE = "agents_contract"
DRAFT, SIGNED, IN_FORCE, ENDED, CANCELLED = "draft", "signed", "in_force", "ended", "cancelled"
OVER = (ENDED, CANCELLED)

# --- the workflow --------------------------------------------------------------------------------


def _no_paper(step: Step) -> Any:
    """The clauses point to the signed contract: without the paper nobody can look there."""
    found = select(Attachment.id).where(Attachment.record_id == step.record.id).limit(1)
    if session().scalars(found).first() is not None:
        return None
    return _l("Add the signed contract to the files of this page first")


def _sign(step: Step) -> None:
    if step.values["signed_on"] > local_day(step.record.unit_id):
        raise InvalidData({"signed_on": _l("This date lies in the future")})
    step.detail.signed_on = step.values["signed_on"]


def _overlaps(step: Step) -> Any:
    other = overlapping(step.record, step.detail)
    if other is None:
        return None
    record, contract = other
    return _l(
        "Contract %(number)s “%(name)s” holds from %(first)s to %(last)s for the same products; end it first",
        number=record.number,
        name=contract.name,
        first=contract.starts_on,
        last=last_day(contract) or _l("further notice"),
    )


def _start(step: Step) -> None:
    """Contracts of one agent are put in force one after the other, so that two at once do not slip past."""
    session().scalars(select(Agent).where(Agent.id == step.detail.agent_id).with_for_update()).one()
    reason = _overlaps(step)
    if reason:
        raise Refused([Refusal("overlap", reason)])


def _end(step: Step) -> None:
    detail, today = step.detail, local_day(step.record.unit_id)
    day = step.values["ended_on"] or today
    if day > today:
        raise InvalidData({"ended_on": _l("This date lies in the future")})
    if detail.starts_on <= today and day < detail.starts_on:
        raise InvalidData({"ended_on": _l("This is before it begins")})
    detail.ended_on = day if detail.ends_on is None else min(day, detail.ends_on)


_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
STATES = (
    State(DRAFT, _l("Draft"), "open"),
    State(SIGNED, _l("Signed"), "open"),
    State(IN_FORCE, _l("In force"), "open"),
    State(ENDED, _l("Contract ended"), "closed"),
    State(CANCELLED, _l("Contract cancelled"), "cancelled"),
)
FACT_KINDS = (
    FactKind("registered", _l("Contract drafted"), 0),
    FactKind("changed", _l("Draft changed"), 10),
    FactKind("signed", _l("Contract signed"), 40),
    FactKind("started", _l("Contract in force"), 50),
    FactKind("ended", _l("Contract ended"), 90),
    FactKind("cancelled", _l("Contract cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "sign",
        _l("Sign"),
        frozenset({DRAFT}),
        SIGNED,
        KEEP,
        "signed",
        (Field("signed_on", "date", _l("Signed on"), True),),
        (Guard("no_paper", _no_paper),),
        apply=_sign,
        tone="primary",
        help=_l("What was signed does not change any more"),
        weight=10,
    ),
    Transition(
        "start",
        _l("Put in force"),
        frozenset({SIGNED}),
        IN_FORCE,
        KEEP,
        "started",
        (),
        (Guard("overlap", _overlaps),),
        apply=_start,
        tone="primary",
        weight=20,
    ),
    Transition(
        "end",
        _l("End the contract"),
        frozenset({IN_FORCE}),
        ENDED,
        KEEP,
        "ended",
        (Field("ended_on", "date", _l("Last day"), help=_l("Leave empty for today")), _REASON),
        apply=_end,
        kept=("ended_on",),
        note="reason",
        help=_l("What was billed until then stays as it is"),
        tone="danger",
        weight=30,
    ),
    Transition(
        "cancel",
        _l("Cancel the contract"),
        frozenset({DRAFT, SIGNED}),
        CANCELLED,
        KEEP,
        "cancelled",
        (_REASON,),
        note="reason",
        tone="danger",
        weight=70,
    ),
)
WORKFLOW = make_workflow(DRAFT, STATES, TRANSITIONS, FACT_KINDS)


# --- drafting ------------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Draft a contract with its rates (``KEEP``): ``AGENT`` (id, number or name) and ``FIELDS``.

    Raises:
        NotAllowed, InvalidData: beside the field: an unknown agent or series, days or rates that do not fit.
    """
    require(KEEP, unit_id)
    errors: dict[str, Any] = {}
    agent = None
    try:
        agent = _agent_of(unit_id, clean((AGENT,), raw)["agent_id"])
    except InvalidData as bad:
        errors |= bad.errors
    plain, rates = contract_form.read(unit_id, raw, errors)
    detail = Contract(agent_id=agent.id if agent else None, **plain)

    def then(made: Record) -> None:
        _set_rates(made, rates)

    with transaction():
        record = create_record(
            CONTRACT_TYPE,
            unit_id,
            detail,
            title=plain["name"],
            customer_id=None,
            received_at=clock.now(),
            permission=KEEP,
            facts=[("registered", {})],
            then=then,
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
    return record


def _agent_of(unit_id: int, text: str) -> Agent:
    by_id = select(Agent).where(Agent.id == read_id(text), Agent.unit_id == unit_id)
    found = session().scalars(by_id).first() if read_id(text) else None
    found = found or file.find_agent(unit_id, text)
    if found is None:
        raise InvalidData({"agent_id": _l("This agent is not in the file")})
    if not found.active:
        raise InvalidData({"agent_id": _l("This agent is out of use")})
    return found


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Change a draft; which fields were changed is on the timeline, what they said in the audit trail.

    Raises:
        NotFound, NotAllowed. InvalidData: as ``register``. Refused: it was signed already.
    """
    with transaction():
        record = lock(record_id)
        require(KEEP, record.unit_id)
        if record.state != DRAFT:
            text = _l("What was signed does not change any more; draft a further contract")
            raise Refused([Refusal("agents.signed", text)])
        plain, rates = contract_form.read(record.unit_id, raw, {})
        detail = detail_of(record)
        changed = [name for name, value in plain.items() if getattr(detail, name) != value]
        for name in changed:
            setattr(detail, name, plain[name])
        if _set_rates(record, rates):
            changed.append("rates")
        if not changed:
            return record
        record.title = plain["name"][:200]
        fact = append_fact(record, WORKFLOW.fact_kinds["changed"], at=clock.now(), data={"fields": changed})
        session().flush()
        tell_of_fact(record, fact)
        return record


def _set_rates(record: Record, wanted: Sequence[RateTerm]) -> bool:
    """Make the rates of a draft those ``wanted``; tell whether anything changed."""
    held = {(one.direction, one.basis, one.nature): one for one in rates_of([record.id]).get(record.id, ())}
    changed = False
    for term in wanted:
        row = held.pop((term.direction, term.basis, term.nature), None)
        if row is not None and row.amount == term.amount:
            continue
        changed = True
        if row is not None:
            row.amount = term.amount
            continue
        made = Rate(unit_id=record.unit_id, contract_id=record.id, direction=term.direction, basis=term.basis)
        made.nature, made.amount = term.nature, term.amount
        session().add(made)
    for row in held.values():
        session().delete(row)
        changed = True
    session().flush()
    return changed


def form_values(record: Record, detail: Contract) -> dict[str, Any]:
    """Return what the form of a draft starts with."""
    rates = {
        rate_name(one.direction, one.basis, one.nature): one.amount
        for one in rates_of([record.id]).get(record.id, ())
    }
    plain = {name: getattr(detail, name) for name in PLAIN}
    return {**plain, **rates, "series": ", ".join(detail.series or ()), "regions": ", ".join(detail.regions or ())}


# --- what holds ----------------------------------------------------------------------------------


def last_day(contract: Contract) -> date | None:
    """Return the last day a contract holds, None for one without an end."""
    days = [one for one in (contract.ends_on, contract.ended_on) if one is not None]
    return min(days) if days else None


def span_of(contract: Contract) -> Span:
    """Return a contract's days and series as ``spans`` looks at them."""
    early = contract.ended_on is not None and (contract.ends_on is None or contract.ended_on < contract.ends_on)
    series = frozenset(one.casefold() for one in contract.series or ())
    return Span(contract.id, contract.starts_on, last_day(contract), series, early)


def gone_series(unit_id: int, held: Iterable[Contract]) -> dict[int, list[str]]:
    """Return the series that contracts of a unit name and that are no category or model (any more), by contract.

    A contract goes by the names: what was renamed since drops out of it. A few selects for all of them.
    """
    named = {one.id: list(one.series or ()) for one in held}
    known = products.series_known(unit_id, sorted({name for names in named.values() for name in names}))
    gone = {key: [name for name in names if name.casefold() not in known] for key, names in named.items()}
    return {key: names for key, names in gone.items() if names}


def rates_of(contract_ids: Sequence[int]) -> dict[int, list[Rate]]:
    """Return the rates of contracts, in one select."""
    found: dict[int, list[Rate]] = {}
    if contract_ids:
        wanted = select(Rate).where(Rate.contract_id.in_(contract_ids)).order_by(Rate.id)
        for row in session().scalars(wanted):
            found.setdefault(row.contract_id, []).append(row)
    return found


def terms_of(agent: Agent, day: date, series: Collection[str] = (), after_expiry: str = "tariff") -> Terms:
    """Return what holds with an agent on a day for a product of these series (category name, model code).

    The contract in force then that names the series, or all; of two the one that names it. After it ran out what
    ``after_expiry`` says: ``Terms()`` (the tariff), the last contract's with ``expired``, or:

    Raises:
        Refused: ``refuse``, and no contract is in force (code ``no_contract``).
    """
    held = {contract.id: (record, contract) for record, contract in _that_held(agent.id)}
    spans = [span_of(contract) for _record, contract in held.values()]
    choice = choose(spans, day, frozenset(one.casefold() for one in series), after_expiry)
    if choice.span is not None:
        return _terms(*held[choice.span.id], choice.expired)
    if after_expiry == values.NO_SERVICE:
        text = _l("No contract with %(agent)s is in force on %(day)s", agent=agent.name, day=day)
        raise Refused([Refusal("no_contract", text)])
    return Terms()


def terms_of_all(agent: Agent, day: date) -> Terms:
    """Return what holds with an agent on a day where no product is looked at (days to pay, offset): the contract in
    force for all series, else the latest of those that name some; ``Terms()`` where there is none."""
    held = {contract.id: (record, contract) for record, contract in _that_held(agent.id)}
    spans = [one for one in (span_of(contract) for _record, contract in held.values()) if one.holds_on(day)]
    if not spans:
        return Terms()
    chosen = max(spans, key=lambda one: (not one.series, one.starts_on, one.id))
    return _terms(*held[chosen.id], expired=False)


def _that_held(agent_id: int) -> Iterable[tuple[Record, Contract]]:
    found = (
        select(Record, Contract)
        .join(Contract, Contract.id == Record.id)
        .where(Contract.agent_id == agent_id, Record.type == CODE, Record.state.in_((IN_FORCE, ENDED)))
    )
    return [(row[0], row[1]) for row in session().execute(found)]


def _terms(record: Record, contract: Contract, expired: bool) -> Terms:
    rates = rates_of([contract.id]).get(contract.id, ())
    return Terms(
        contract_id=contract.id,
        contract_number=record.number,
        rates=tuple(RateTerm(one.direction, one.basis, one.amount, one.nature) for one in rates),
        handling_rate=contract.handling_rate,
        handling_base=contract.handling_base,
        out_payer=contract.out_payer,
        netting=contract.netting,
        payment_days=contract.payment_days,
        settlement_day=contract.settlement_day,
        clawback_days=contract.clawback_days,
        expired=expired,
    )


def overlapping(record: Record, contract: Contract) -> tuple[Record, Contract] | None:
    """Return another contract of the same agent that answers for the same products on the same days, or None."""
    mine = span_of(contract)
    for other_record, other in _that_held(contract.agent_id):
        if other.id != record.id and mine.meets(span_of(other)):
            return other_record, other
    return None


def others_in_region(contract: Contract, limit: int = 20) -> list[tuple[Record, Contract]]:
    """Return contracts of other agents for the same days, series and regions: allowed, but worth knowing.

    Of two contracts that name no region none is meant.
    """
    mine, regions = span_of(contract), set(contract.regions or contract.agent.regions or ())
    if not regions:
        return []
    first = mine.last or date.max - timedelta(days=1)
    found = (
        select(Record, Contract, Agent)
        .join(Contract, Contract.id == Record.id)
        .join(Agent, Agent.id == Contract.agent_id)
        .where(
            Record.unit_id == contract.unit_id,
            Record.type == CODE,
            Record.state.in_((IN_FORCE, ENDED)),
            Contract.agent_id != contract.agent_id,
            Contract.starts_on <= first,
        )
        .order_by(Contract.id.desc())
        .limit(500)
    )
    shared = []
    for other_record, other, agent in session().execute(found):
        span = span_of(other)
        alike = not mine.series or not span.series or not mine.series.isdisjoint(span.series)
        days = span.last is None or span.last >= mine.starts_on
        if days and alike and _touch(regions, other.regions or agent.regions or ()):
            shared.append((other_record, other))
    return shared[:limit]


def _touch(mine: Iterable[str], theirs: Iterable[str]) -> bool:
    """Tell whether lists of regions share a place: 江苏 and 江苏省 do."""
    theirs = list(theirs)
    return any(one.startswith(other) or other.startswith(one) for one in mine for other in theirs)


def contracts_of(agent_id: int, limit: int = 20) -> list[tuple[Record, Contract]]:
    """Return the newest contracts with an agent."""
    found = (
        select(Record, Contract)
        .join(Contract, Contract.id == Record.id)
        .where(Contract.agent_id == agent_id)
        .order_by(Contract.id.desc())
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session().execute(found)]


def _search_text(record: Record, detail: Contract) -> str:
    agent = session().get(Agent, detail.agent_id)
    parts = (record.number, detail.name, agent.name if agent else "", agent.code if agent else "")
    return "\n".join(part for part in parts if part)


CONTRACT_TYPE = RecordType(
    CODE,
    _l("Agent contract"),
    "DH",
    Contract,
    WORKFLOW,
    _search_text,
    intake=(AGENT, *FIELDS),
    register=register,
)
TYPES: list[RecordType] = [CONTRACT_TYPE]
