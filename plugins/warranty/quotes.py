"""Quotes, consent, refusal and waiver. The lines are the record's charges; here is what was told and answered.

The prices a quote rests on stand in ``Quote.basis``: once they differ, telling it and consenting to it are refused.
A further quote replaces the one before, and the core brings the open charges to the new amounts. ``Quote.total`` is
what the customer has to pay: it falls with what is waived. Who agreed and what proves it stay in the quote, never
in a fact.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    OPEN_CATEGORIES,
    Attachment,
    Blocker,
    Charge,
    Fact,
    FactKind,
    InvalidData,
    Line,
    Record,
    Refusal,
    Refused,
    Step,
    Unit,
    append_fact,
    approvals,
    charges,
    clean,
    clock,
    current_scope,
    documents,
    draw,
    effective,
    fetch,
    fetch_visible,
    local_day,
    lock,
    mails,
    on_customer_erased,
    session,
    setting,
    speaking,
    tell_of_fact,
)

from . import decisions, plans, prices, pricing, values
from .models import Quote
from .settings import QUOTE_DAYS
from .standing import Standing, forget, standing_of

WAIVER_SUBJECT, COMPENSATION_SUBJECT = "warranty.waiver", "warranty.compensation"
# Where the customer won't pay, one of these says who may let them be served (R17-7.2.4b).
WAIVER_CLAUSES = ("R17-7.2.4b", "R18-7.2.4b", "R19-7.2.4b")
COMPENSATION_CLAUSE = "R07-7.3"
SERIES, PREFIX, FORM, PAPER_LANGUAGE = "warranty.quote", "BJ", "warranty.quote", "zh"
CUSTOMER, COMPANY = "customer", "company"
STEPS, QUOTING, BOOKING = "case.warranty:", "case.warranty:quote#", "case.warranty:cost#"
WAITING, TOLD = (values.DRAFT, values.SENT), (values.SENT,)
# What was agreed to in writing is proved by it.
IN_WRITING = ("wechat", "email", "signature", "seal")
PAPER = "document"  # kind of the attachment that a print of ours is
_FREELY = "warranty_served_free"  # in the session's info while an agreed waiver is carried out
ZERO = Decimal("0.00")
_FREE_BY_WAIVER = _l("Nothing would be left to pay: ask for a waiver of the fees instead")
RESUMED = FactKind("resumed", _l("Work resumed"), 66)  # of the core's case


def get_quote(raw_id: object) -> Quote:
    """Return a quote by an id from a request.

    Raises:
        NotFound: no such quote in the scope, or its case is not for this actor.
    """
    quote = fetch(Quote, raw_id)
    fetch_visible(quote.record_id)
    return quote


# --- quoting -------------------------------------------------------------------------------------


def quote_step(step: Step) -> None:
    """Work the fees out and keep a new quote; the one before is replaced. The clocks wait for the customer.

    Raises:
        Refused: coverage is not decided yet, or what was quoted before is posted.
        InvalidData: nothing is payable, a price is missing, an amount is impossible.
    """
    record, unit_id = step.record, step.record.unit_id
    standing = standing_of(record)
    _require_decision(standing)
    _require_unposted(record)
    worked = plans.of_step(step)
    if not pricing.total(worked.lines, CUSTOMER):
        raise InvalidData({"means": _l("The customer pays nothing for this; book our own cost instead")})
    if standing.quote is not None:
        _replace(standing.quote, _l("A further quote was worked out"), step.at)
    day = local_day(unit_id, step.at)
    quote = Quote(
        unit_id=unit_id,
        record_id=record.id,
        number=_number(unit_id, day.strftime("%Y%m")),
        total=ZERO,
        plan=_plain({name: given for name, given in step.values.items() if given is not None}),
        # Why each line is asked for; the amounts follow when the charges are written.
        lines=_why(worked.lines),
        basis=_plain(plans.basis_versions(worked.basis, worked.plan)),
        valid_until=day + timedelta(days=setting(unit_id, QUOTE_DAYS)),
        quoted_at=step.at,
        quoted_by=current_scope().actor_id,
    )
    session().add(quote)
    session().flush()
    step.values["quote"] = quote.number
    if not _waits(record):
        step.add_fact("paused", data={"why": "customer"})
    forget(record)


def after_quote(record: Record, facts: Sequence[Fact]) -> None:
    """The step's charges are written: they are quoted now, and the quote's total is what they come to.

    Raises:
        InvalidData: all of it has been waived already.
    """
    quote = standing_of(record).quote
    if quote is None:
        return
    _advance(record, "quote", _customer_sources(record))
    # Who agreed to a line of the quote before has not agreed to this one.
    charges.ask_anew(one for one in _customer_lines(record.id) if one.source.startswith(QUOTING))
    quote.lines = lines_now(quote)
    quote.total = payable(record.id)
    if quote.total <= 0:
        raise InvalidData({"means": _l("The customer pays nothing for this; book our own cost instead")})
    session().flush()


def _require_decision(standing: Standing) -> None:
    if not standing.is_decided:
        raise Refused([Refusal("undecided", _l("Decide the coverage first"))])


def _require_unposted(record: Record) -> None:
    """A posted line would follow a further quote at once, before anybody agreed to it; that is another case's."""
    if any(one.state in charges.FIXED for one in _customer_lines(record.id) if one.source.startswith(QUOTING)):
        text = _l("The fees of this case are posted: register a further case for what comes on top")
        raise Refused([Refusal("posted", text)])


def _number(unit_id: int, period: str) -> str:
    """Numbers run per unit and month of the unit's zone: BJ-HQ-202611-0001."""
    unit = session().get_one(Unit, unit_id)
    return f"{PREFIX}-{unit.code}-{period}-{draw(unit_id, SERIES, period):04d}"


def _replace(quote: Quote, reason: Any, at: datetime) -> None:
    """A quote counts no more; one whose time ran out unanswered is kept as lapsed."""
    quote.state = values.LAPSED if is_lapsed(quote, at) else values.REPLACED
    quote.current = False
    if quote.approval_id is not None:
        approvals.lapse(quote.approval_id, str(reason))
    session().flush()


def is_lapsed(quote: Quote, at: datetime | None = None) -> bool:
    """Tell whether a quote that waits for an answer is past its last day."""
    return (
        quote.state in WAITING
        and quote.valid_until is not None
        and local_day(quote.unit_id, at) > quote.valid_until
    )


def _waits(record: Record) -> bool:
    """Tell whether the clocks stand already: the quote before is still unanswered."""
    last = select(Fact.kind).where(Fact.record_id == record.id, Fact.kind.in_(("paused", "resumed")))
    return session().scalars(last.order_by(Fact.seq.desc()).limit(1)).first() == "paused"


def _plain(given: Any) -> Any:
    """Return a value as JSON keeps it, sets in order, so that what was stored compares with what is worked out."""
    return json.loads(json.dumps(given, default=_as_json, sort_keys=True))


def _as_json(one: Any) -> Any:
    return sorted(one, key=str) if isinstance(one, set | frozenset) else str(one)


# --- what a quote comes to -----------------------------------------------------------------------


def payable(record_id: int) -> Decimal:
    """Return what the customer of a record has to pay now: charged, corrected and waived together."""
    return next((one.payable for one in charges.totals(record_id) if one.payer == CUSTOMER), ZERO)


def lines_now(quote: Quote) -> list[dict[str, Any]]:
    """Return the customer's lines as they are now, with clause and reason; waivers follow what they waive."""
    return lines_of(quote.record_id, quote)


def lines_of(record_id: int, quote: Quote | None) -> list[dict[str, Any]]:
    """Return what the customer of a record is charged, with clause; the reasons stand in the quote, if any."""
    told = quote.lines if quote is not None else ()
    reasons = {(one["clause"], one["line"]): one["why"] for one in told if one["why"]}
    return [_line(one, reasons) for one in _customer_lines(record_id)]


def _customer_lines(record_id: int) -> list[Charge]:
    return [one for one in charges.lines_of(record_id) if one.payer == CUSTOMER and one.state != charges.VOID]


def _why(lines: Iterable[values.PricedLine]) -> list[dict[str, Any]]:
    """Return why each line is asked for, by clause and place: what the company bears stands under another step."""
    found: list[dict[str, Any]] = []
    places: dict[str, int] = {}
    for one in lines:
        if one.payer == COMPANY:
            continue
        places[one.clause] = places.get(one.clause, 0) + 1
        found.append({"clause": one.clause, "line": places[one.clause], "why": str(one.why)})
    return found


def _line(charge: Charge, reasons: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    own = charge.adjusts_id is None and charge.source.startswith(QUOTING)
    return {
        "clause": charge.clause,
        "line": charge.line,
        "code": charge.code,
        "label": charge.inputs.get("label") or {"zh": charge.label, "en": charge.label},
        "quantity": f"{charge.quantity.normalize():f}",
        "price": f"{charge.price:.2f}",
        "amount": f"{charge.amount:.2f}",
        "why": reasons.get((charge.clause, charge.line), "") if own else "",
        "waiver": charges.is_waiver(charge),
    }


def _customer_sources(record: Record) -> list[str]:
    return list(dict.fromkeys(one.source for one in _customer_lines(record.id) if one.adjusts_id is None))


def _advance(record: Record, name: str, sources: Iterable[str]) -> None:
    for source in sources:
        charges.advance(record, name, source)


# --- telling and answering -----------------------------------------------------------------------


def send_step(step: Step) -> None:
    """Keep that the customer was told, and how (R15-11a). The quote is issued as a paper and lies on the case.

    Raises:
        Refused: nothing waits to be told, it lapsed, or a price has changed since.
        InvalidData: beside ``to``: it is to be mailed, and cannot be.
    """
    quote = _asked_about(step, WAITING)
    _require_valid(step, quote)
    quote.lines = lines_now(quote)
    quote.total = payable(step.record.id)
    quote.state = values.SENT
    quote.sent_at = quote.sent_at or step.at
    quote.sent_by_means = step.values["by"]
    step.values["quote"] = quote.number
    session().flush()
    paper = documents.issue(FORM, step.record.id, PAPER_LANGUAGE)
    if step.values["by"] == values.BY_EMAIL:
        mails.mail_document(step.record, paper, _letter(step.record, quote), step.values.get("to") or "")


def _letter(record: Record, quote: Quote) -> str:
    """Word the e-mail that brings a quote, in the language of the paper."""
    with speaking(PAPER_LANGUAGE):
        return _(
            "Please find our quote %(quote)s for your request %(case)s attached: %(total)s yuan in all, "
            "valid until %(day)s.\n"
            "Please answer this e-mail to tell us whether you agree. Work begins when we have your answer.",
            quote=quote.number,
            case=record.number,
            total=f"{quote.total:,.2f}",
            day=quote.valid_until or "",
        )


def consent_step(step: Step) -> None:
    """Keep the customer's consent and lock the prices (R13-5.2.1.5a).

    Raises:
        Refused: not told yet, lapsed, or a price has changed since the quote.
        InvalidData: agreed before it was told; or in writing, and nothing shows it.
    """
    quote = _asked_about(step, TOLD)
    _require_valid(step, quote)
    _require_after_telling(step, quote)
    means, evidence = step.values["means"], step.values.get("evidence") or ""
    if means in IN_WRITING and not evidence and not _has_files(step.record):
        raise InvalidData({"evidence": _l("Say what shows it, or put the file on the case first")})
    _answer(step, quote, values.CONSENTED)
    quote.answered_by, quote.means, quote.evidence = step.values["who"], means, evidence
    _advance(step.record, "consent", _customer_sources(step.record))


def refuse_step(step: Step) -> None:
    """Keep that the customer refused; from here only a waiver, a new quote or cancelling leads on (R17-7.2.4b).

    Raises:
        Refused: the customer has not been told.
        InvalidData: refused before it was told.
    """
    quote = _asked_about(step, TOLD)
    _require_after_telling(step, quote)
    _answer(step, quote, values.REFUSED)
    quote.reason = step.values["reason"]


def _asked_about(step: Step, states: tuple[str, ...]) -> Quote:
    """Return the record's quote, which must be in one of these states.

    Raises:
        Refused: there is none, or it was not told, or it is answered already.
    """
    quote = standing_of(step.record).quote
    if quote is None:
        raise Refused([Refusal("no_quote", _l("The fees have not been worked out yet"))])
    if quote.state in states:
        return quote
    if quote.state == values.DRAFT:
        raise Refused([Refusal("not_told", _l("The customer has not been told the fees yet"))])
    raise Refused([Refusal("answered", _l("The customer has answered already; work out a further quote"))])


def _require_valid(step: Step, quote: Quote) -> None:
    if is_lapsed(quote, step.at):
        text = _l("The quote was valid until %(day)s; work the fees out again", day=quote.valid_until)
        raise Refused([Refusal("lapsed", text)])
    if _basis_now(step, quote) != quote.basis:
        raise Refused([Refusal("price_changed", _l("A price has changed since; work the fees out again"))])


def _basis_now(step: Step, quote: Quote) -> Any:
    """Return what the quote's plan would rest on at this moment; None where it cannot be worked out any more."""
    fields = step.flow.transitions["warranty:quote"].fields
    try:
        plan = plans.read_plan(quote.unit_id, clean(fields, quote.plan), step.at)
    except InvalidData:
        return None
    return _plain(plans.basis_versions(plans.basis_of(step.record, step.at), plan))


def _require_after_telling(step: Step, quote: Quote) -> None:
    # Forms know minutes only.
    if quote.sent_at is not None and step.at < quote.sent_at.replace(second=0, microsecond=0):
        raise InvalidData({"at": _l("This is before the customer was told the fees")})


def _has_files(record: Record) -> bool:
    held = select(Attachment.id).where(Attachment.record_id == record.id, Attachment.kind != PAPER)
    return session().scalars(held.limit(1)).first() is not None


def _answer(step: Step, quote: Quote, state: str) -> None:
    quote.state, quote.answered_at, quote.total = state, step.at, payable(step.record.id)
    step.values["quote"] = quote.number
    step.add_fact("resumed")
    forget(step.record)


# --- waiver --------------------------------------------------------------------------------------


def waiver_clause(unit_id: int, at: datetime | None = None) -> tuple[str, str]:
    """Return the clause that lets a customer be served who won't pay, and the position that agrees; "" for none."""
    for clause in WAIVER_CLAUSES:
        found = effective(unit_id, clause, at)
        if found.holds:
            return clause, str(found.values["position"])
    return "", ""


def ask_waiver_step(step: Step) -> None:
    """Ask the position of the clause to serve without payment (R17-7.2.4b). Agreed, it is carried out at once.

    Raises:
        InvalidData: no clause of the unit lets fees be waived.
        Refused: the customer has not refused, or it has been asked already.
    """
    record = step.record
    clause, position = waiver_clause(record.unit_id, step.at)
    if not clause:
        raise InvalidData({"reason": _l("No clause lets fees be waived here")})
    quote = standing_of(record).quote
    if quote is None or quote.state != values.REFUSED:
        raise Refused([Refusal("not_refused", _l("The customer has not refused the fees"), clause)])
    if _is_open(quote.approval_id):
        raise Refused([Refusal("asked", _l("This has been asked for already"), clause)])
    approval = approvals.ask(
        record.unit_id,
        clause=clause,
        subject=f"{WAIVER_SUBJECT}:{quote.id}",
        title={"zh": f"免费服务申请：{quote.number}", "en": f"Service without payment: {quote.number}"},
        position=position,
        reason=step.values["reason"],
        amount=payable(record.id),
        record=record,
    )
    quote.approval_id = approval.id
    step.values["quote"], step.values["approval"] = quote.number, approval.id


def _is_open(approval_id: int | None) -> bool:
    if approval_id is None:
        return False
    found = session().get(approvals.Approval, approval_id)
    return found is not None and found.state in approvals.OPEN_STATES


def waiver_decided(approval: approvals.Approval) -> None:
    """Agreed: waive every line the customer would pay; rejected, the refusal stands (a handler of approvals)."""
    if approval.state != approvals.AGREED:
        return
    quote = session().get_one(Quote, int(approval.subject.partition(":")[2]))
    record = lock(quote.record_id)
    if not quote.current or quote.state != values.REFUSED:
        return
    session().info[_FREELY] = True
    try:
        for row in _customer_lines(record.id):
            if charges.may_waive(row) and charges.payable_of(row) > 0:
                charges.waived(row, approval.reason, approval_id=approval.id)
    finally:
        session().info.pop(_FREELY)
    quote.state, quote.total = values.WAIVED, payable(record.id)
    _enter(record, "fees_waived", {"quote": quote.number, "approval": approval.id})


approvals.handlers[WAIVER_SUBJECT] = waiver_decided


def lowering(charge: Charge, amount: Decimal) -> list[Blocker]:
    """Say what stands against waiving part of a line: its tariff says how far it may go (R13-5.2.1.3d)."""
    if charge.payer != CUSTOMER or not charge.source.startswith(QUOTING) or session().info.get(_FREELY):
        return []
    if _asks_first(charge) and payable(charge.record_id) <= amount:
        return [Blocker(str(_FREE_BY_WAIVER))]
    least = least_of(charge)
    if charges.payable_of(charge) - amount >= least:
        return []
    return [Blocker(str(_l("This may not be lowered below %(least)s yuan", least=f"{least:.2f}")))]


def _asks_first(charge: Charge) -> bool:
    """Tell whether serving for nothing is a question here: not agreed to yet, and a clause says who may agree."""
    quote = _quote_of(charge)
    return (
        quote is not None and quote.state in (*WAITING, values.REFUSED) and bool(waiver_clause(charge.unit_id)[0])
    )


def _quote_of(charge: Charge) -> Quote | None:
    return standing_of(session().get_one(Record, charge.record_id)).quote


def moving(charge: Charge, step: str) -> list[Blocker]:
    """Quoting and consent are about the whole quote: no line goes past it."""
    if step not in ("quote", "consent") or charge.payer != CUSTOMER or not charge.source.startswith(QUOTING):
        return []
    quote = standing_of(charge.record).quote
    if quote is not None and quote.state in values.SETTLED_QUOTES:
        return []
    return [Blocker(_l("Record the consent on the case: it is about the whole quote"))]


def follow(charge: Charge) -> None:
    """A line of a record changed by itself: what its quote comes to follows.

    Raises:
        Refused: nothing would be left to pay without the waiver's agreement.
    """
    if charge.payer != CUSTOMER:
        return
    quote = _quote_of(charge)
    if quote is None:
        return
    quote.total = payable(charge.record_id)
    if charge.state == charges.VOID and quote.total <= 0 and _asks_first(charge):
        raise Refused([Refusal("waiver", _FREE_BY_WAIVER, waiver_clause(charge.unit_id)[0])])


def least_of(charge: Charge) -> Decimal:
    """Return how low a line may go by the tariff of its day: so much per person and day, say."""
    if charge.code not in dict(values.TARIFF_ITEMS):
        return ZERO
    record = session().get_one(Record, charge.record_id)
    coverage = standing_of(record).coverage
    product_class = (coverage.product_class if coverage is not None else "") or decisions.product_class_of(record)
    day = local_day(charge.unit_id, charge.created_at)
    price = prices.prices_for(charge.unit_id, product_class, day).get(charge.code)
    return (price.least * charge.quantity).quantize(ZERO) if price is not None else ZERO


# --- our own cost, compensation ------------------------------------------------------------------


def cost_step(step: Step) -> None:
    """Check the plan of our own cost; the fee rules book what the company bears.

    The fact keeps how it is served and what the customer would owe for it: where that is nothing, as for guidance
    on the telephone (R13-5.2.1.2), the work needs no quote.

    Raises:
        Refused: coverage is not decided yet.
        InvalidData: a price is missing, an amount is impossible.
    """
    _require_decision(standing_of(step.record))
    step.values["owed"] = f"{pricing.total(plans.of_step(step).lines, CUSTOMER):.2f}"


def compensate_step(step: Step) -> None:
    """Ask for the agreement to compensate a faulty repair (R07-7.3). The amount is decided case by case.

    Raises:
        InvalidData: no amount, or the unit does not have the clause.
    """
    record, amount = step.record, step.values["amount"]
    found = effective(record.unit_id, COMPENSATION_CLAUSE, step.at)
    if not found.holds:
        raise InvalidData({"amount": _l("No clause lets a faulty repair be compensated here")})
    if not amount > 0 or amount != amount.quantize(ZERO):
        raise InvalidData({"amount": _l("Please enter an amount in yuan, to the cent")})
    subject = f"{COMPENSATION_SUBJECT}:{record.id}"
    waiting = select(approvals.Approval.id).where(
        approvals.Approval.unit_id == record.unit_id,
        approvals.Approval.subject == subject,
        approvals.Approval.state.in_(approvals.OPEN_STATES),
    )
    if session().scalars(waiting).first() is not None:
        raise Refused([Refusal("asked", _l("This has been asked for already"), COMPENSATION_CLAUSE)])
    approval = approvals.ask(
        record.unit_id,
        clause=COMPENSATION_CLAUSE,
        subject=subject,
        title={"zh": f"维修赔偿：{record.number}", "en": f"Compensation for a repair: {record.number}"},
        position=str(found.values["position"]),
        reason=step.values["reason"],
        amount=amount,
        record=record,
        data={"least": "0.01", "most": str(amount)},
    )
    step.values["approval"] = approval.id


def compensation_decided(approval: approvals.Approval) -> None:
    """Agreed: the company bears the amount that was decided (a handler of approvals)."""
    if approval.state != approvals.AGREED or approval.record_id is None or approval.amount is None:
        return
    record = lock(approval.record_id)
    label = values.LINE_LABELS[values.COMPENSATION]
    charges.propose(
        record,
        COMPENSATION_CLAUSE,
        f"{COMPENSATION_SUBJECT}:{approval.id}",
        [Line(values.COMPENSATION, label, COMPANY, Decimal(1), approval.amount)],
        {"approval": approval.id},
        at=approval.asked_at,
    )
    _enter(record, "compensated", {"amount": f"{approval.amount:.2f}", "approval": approval.id})
    post_charges(record)


approvals.handlers[COMPENSATION_SUBJECT] = compensation_decided


def _enter(record: Record, kind: str, data: Mapping[str, Any]) -> None:
    """Write a fact that no step brings."""
    fact = append_fact(record, _kind(kind), at=clock.now(), data=data)
    session().flush()
    tell_of_fact(record, fact)


def _kind(code: str) -> FactKind:
    from .workflow import FACT_KINDS  # it names the steps above

    return next(one for one in (*FACT_KINDS, RESUMED) if one.code == code)


# --- posting and taking back ---------------------------------------------------------------------


def post_charges(record: Record) -> None:
    """The work is done: post what was consented to and what we bear ourselves. Again, nothing more happens."""
    if record.category in OPEN_CATEGORIES:
        return
    rows = [one for one in charges.lines_of(record.id) if one.adjusts_id is None and _is_ours(one)]
    # A quote that nobody agreed to is owed by nobody, whatever was agreed to before it.
    owed = standing_of(record).may_work
    held_back = set() if owed else {one.source for one in rows if one.payer == CUSTOMER}
    _advance(record, "post", dict.fromkeys(one.source for one in rows if one.source not in held_back))


def _is_ours(row: Charge) -> bool:
    return row.payer == CUSTOMER or row.source.startswith((STEPS, COMPENSATION_SUBJECT))


def drop(record: Record, reason: str) -> None:
    """The customer owes nothing after all: the quote counts no more, its charges are taken back.

    Open lines are void, posted ones get adjusting lines. For a coverage decision that was revised to free.

    Raises:
        Refused: something stands against lowering a posted line (an invoice, say).
    """
    quote = standing_of(record).quote
    for (clause, source), at in _quoted(record).items():
        charges.propose(record, clause, source, [], {"dropped": reason}, at=at)
    if quote is not None:
        _replace(quote, reason, clock.now())
        quote.reason, quote.total = reason, ZERO
    _go_on(record)
    session().flush()
    forget(record)


def take_back(record: Record, reason: str) -> None:
    """Somebody else pays for the work: neither the customer nor we do. Quote and booked cost are taken back.

    Raises:
        Refused: something stands against lowering a posted line (an invoice, say).
    """
    if standing_of(record).quote is not None or has_lines(record):
        drop(record, reason)
    booked = {
        (one.clause, one.source): one.created_at
        for one in charges.lines_of(record.id)
        if one.adjusts_id is None and one.state != charges.VOID and one.source.startswith(BOOKING)
    }
    for (clause, source), at in booked.items():
        charges.propose(record, clause, source, [], {"taken_back": reason}, at=at)


def cancelled(record: Record) -> None:
    """The case is off: nothing that was only quoted or agreed to is owed; a case taken up again is quoted anew."""
    quote = standing_of(record).quote
    _advance(record, "void", {source for _clause, source in _quoted(record)})
    if quote is not None:
        _replace(quote, _l("The case was cancelled"), clock.now())
        forget(record)


def has_lines(record: Record) -> bool:
    """Tell whether a quote brought the customer lines that count, be it replaced by now."""
    return bool(_quoted(record))


def _quoted(record: Record) -> dict[tuple[str, str], datetime]:
    """Return clause and source of the customer's lines that quotes brought, with when: the clause held then."""
    return {
        (one.clause, one.source): one.created_at
        for one in _customer_lines(record.id)
        if one.adjusts_id is None and one.source.startswith(QUOTING)
    }


def _go_on(record: Record) -> None:
    """Nobody waits for the customer any more: the case goes on where it stood."""
    from .workflow import QUOTED

    if record.state != QUOTED:
        return
    record.state, record.category = record.resume_state or "planned", "open"
    _enter(record, "resumed", {})


def waiting(unit_id: int) -> int:
    """Count the quotes of a unit that wait for an answer."""
    open_ones = (
        select(func.count())
        .select_from(Quote)
        .join(Record, Record.id == Quote.record_id)
        .where(
            Quote.unit_id == unit_id,
            Quote.current,
            Quote.state.in_(WAITING),
            Record.category.in_(OPEN_CATEGORIES),
        )
    )
    return cast(int, session().scalar(open_ones))


def forget_answers(customer_ids: Sequence[int]) -> None:
    """Take who agreed, and what shows it, off the quotes of erased customers; that they agreed stays."""
    of_them = select(Record.id).where(Record.customer_id.in_(list(customer_ids)))
    for quote in session().scalars(select(Quote).where(Quote.record_id.in_(of_them))):
        quote.answered_by = quote.evidence = ""


on_customer_erased(forget_answers)
