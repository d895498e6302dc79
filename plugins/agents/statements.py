"""Statements (结算单): the answers to their lines, what is decided of disputes, and what payments make of them.

A statement is a record with a number, a state and a timeline; its steps are in ``statement_flow``. Services flush,
never commit; whoever changes a line lets ``refresh`` work the sums out anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Blocker,
    Charge,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    Refusal,
    Refused,
    append_fact,
    charges,
    clean,
    clock,
    current_scope,
    detail_of,
    fetch,
    lock,
    may,
    money_math,
    perform,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import file, statement_flow, values
from .models import Agent, Statement, StatementLine
from .rights import SETTLE
from .statement_flow import (
    AGREED,
    APPROVED,
    BEFORE_APPROVAL,
    CANCELLED,
    CLOSED,
    CODE,
    DECIDED,
    DISPUTED,
    DRAFT,
    INVOICED,
    OWED_STATES,
    PAID,
    SEALED,
    SENT,
    STATEMENT,
    TYPES,
)
from .statement_sums import refresh

__all__ = [
    "AGREED",
    "ANSWER_FIELDS",
    "APPROVED",
    "BEFORE_APPROVAL",
    "CANCELLED",
    "CLOSED",
    "CODE",
    "DECISION_FIELDS",
    "DISPUTED",
    "DRAFT",
    "HIDDEN",
    "INVOICED",
    "OWED_STATES",
    "PAID",
    "SEALED",
    "SENT",
    "STATEMENT",
    "TYPES",
    "answer_line",
    "answer_lines",
    "carry",
    "confirm_all",
    "decide_dispute",
    "lines_of",
    "lock_agent",
    "note_check",
    "open_of",
    "paid_up",
    "refresh",
    "refuse_unless",
    "require_side",
]
# Who owes what stands on statements: agents and partners us, we (with an agent's number) them.
STATEMENT_PAYERS = ("agent", "partner", "company")
# A draft is not the agent's yet, a cancelled statement not any more.
HIDDEN = (DRAFT, CANCELLED)
CONFIRM, DISPUTE = "confirm", "dispute"
ANSWERS = ((CONFIRM, _l("Confirm")), (DISPUTE, _l("Dispute")))
ALLOW, REJECT, CARRY = "allow", "reject", "carry"
DECISIONS = (
    (ALLOW, _l("Allow the dispute")),
    (REJECT, _l("Reject the dispute")),
    (CARRY, _l("Move to a later statement")),
)
_MOST = Decimal("999999999999.99")
ANSWER_FIELDS = (
    Field("answer", "choice", _l("Answer"), True, ANSWERS),
    Field("claimed", "decimal", _l("Amount by their account"), minimum=-_MOST, maximum=_MOST),
    Field("dispute", "long", _l("Why they dispute it"), lambda raw: raw.get("answer") == DISPUTE, max_length=1000),
)
DECISION_FIELDS = (
    Field("decision", "choice", _l("Decision"), True, DECISIONS),
    Field(
        "amount",
        "decimal",
        _l("Right amount"),
        lambda raw: raw.get("decision") == ALLOW,
        minimum=-_MOST,
        maximum=_MOST,
        help=_l("What the line should come to, corrections made before included"),
    ),
    Field("reason", "long", _l("Reason"), lambda raw: raw.get("decision") != CARRY, max_length=1000),
)
_REVIEW = Field("review", "long", _l("Note on the checks"), True, max_length=300)
_CARRY_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)


# --- reading -------------------------------------------------------------------------------------


def lines_of(statement_id: int, after: int = 0, limit: int = 200) -> list[StatementLine]:
    """Return a page of a statement's lines by id, with charge's case; those moved away too."""
    wanted = (
        select(StatementLine)
        .where(StatementLine.statement_id == statement_id, StatementLine.id > after)
        .options(joinedload(StatementLine.record))
        .order_by(StatementLine.id)
        .limit(limit)
    )
    return list(session().scalars(wanted))


def open_of(statement: Statement) -> tuple[Decimal, Decimal]:
    """Return what is still to be received and to be paid (yuan) of an approved statement.

    Negative: so much more was taken back than is owed, and is to be given back or offset.
    """
    return statement.receivable - statement.received, statement.payable - statement.paid


# --- answers -------------------------------------------------------------------------------------


def answer_line(line_id: object, raw: Mapping[str, Any]) -> StatementLine:
    """Confirm a line or dispute it: ``answer`` (confirm, dispute), ``dispute`` (why), ``claimed`` (their amount).

    For people of the agent (``OWN``), or for our staff on their word (``SETTLE``), while the statement is sent.

    Raises:
        NotFound, NotAllowed, InvalidData. Refused: not sent, or closed already: take it up in the next period.
    """
    with transaction():
        line, record, statement = _locked_line(line_id)
        require_side(statement)
        refuse_unless(record, (SENT,))
        given = _cleaned_answer(raw)
        _refuse_decided(line)
        _answer(line, given)
        session().flush()
        refresh(statement)
        _go_on(record, statement)
        return line


def answer_lines(statement_id: object, answers: Mapping[int, Mapping[str, Any]]) -> Statement:
    """Take many answers over at once, by line; the statement goes on when all of them are written.

    Raises: as ``answer_line``; a line of another statement is NotFound. Nothing is written then.
    """
    with transaction():
        statement = fetch(Statement, statement_id)
        lock_agent(statement.agent_id)
        record = lock(statement.id)
        session().refresh(statement)
        require_side(statement)
        refuse_unless(record, (SENT,))
        wanted = select(StatementLine).where(StatementLine.statement_id == statement.id)
        lines = {one.id: one for one in session().scalars(wanted.execution_options(populate_existing=True))}
        for key, raw in answers.items():
            line = lines.get(key)
            if line is None:
                raise NotFound()
            _refuse_decided(line)
            _answer(line, _cleaned_answer(raw))
        refresh(statement)
        _go_on(record, statement)
        return statement


def _refuse_decided(line: StatementLine) -> None:
    _refuse_moved(line)
    if line.state == values.ALLOWED:
        raise Refused([Refusal("line", _l("This dispute was allowed already"))])


def _cleaned_answer(raw: Mapping[str, Any]) -> dict[str, Any]:
    given = clean(ANSWER_FIELDS, raw)
    if given["claimed"] is not None:
        given["claimed"] = money_math.exact(given["claimed"], "claimed")
    return given


def _answer(line: StatementLine, given: Mapping[str, Any]) -> None:
    disputed = given["answer"] == DISPUTE
    line.state = values.DISPUTED if disputed else values.CONFIRMED
    line.dispute = (given["dispute"] or "") if disputed else line.dispute
    line.claimed = given["claimed"] if disputed else None
    line.answered_by = current_scope().actor_id


def confirm_all(statement_id: object) -> Statement:
    """Confirm every line that is not answered yet; the statement is then agreed, or disputed.

    Raises: as ``answer_line``.
    """
    with transaction():
        statement = fetch(Statement, statement_id)
        record = lock(statement.id)
        session().refresh(statement)
        require_side(statement)
        refuse_unless(record, (SENT,))
        waiting = select(StatementLine).where(StatementLine.id.in_(statement_flow.waiting_lines(statement.id)))
        count = 0
        for line in session().scalars(waiting):
            _answer(line, {"answer": CONFIRM})
            count += 1
        if count:
            _tell(record, "lines_confirmed", {"count": count})
        refresh(statement)
        _go_on(record, statement)
        return statement


def _go_on(record: Record, statement: Statement) -> None:
    """When every line is answered the statement is agreed, or its disputes wait to be decided."""
    if session().scalar(statement_flow.waiting_lines(statement.id).limit(1)) is not None:
        if record.state == DISPUTED and not statement.disputed_count:
            perform(record.id, "look_again", permitted=True)
        return
    if statement.disputed_count:
        if record.state == SENT:
            perform(record.id, "all_answered", permitted=True)
    elif statement.line_count and record.state in (SENT, DISPUTED):
        perform(record.id, "all_agreed", permitted=True)


# --- disputes ------------------------------------------------------------------------------------


def decide_dispute(line_id: object, raw: Mapping[str, Any]) -> StatementLine:
    """Decide a dispute (``SETTLE``): ``decision`` is ``allow`` with the right ``amount`` (a correcting charge joins
    the statement), ``reject`` with the ``reason``, or ``carry`` the line to a later statement.

    Raises:
        NotFound, NotAllowed, InvalidData. Refused: the line is not disputed, or the statement is approved already.
    """
    with transaction():
        line, record, statement = _locked_line(line_id)
        _require_ours(statement)
        refuse_unless(record, (SENT, DISPUTED))
        given = clean(DECISION_FIELDS, raw)
        if line.state != values.DISPUTED or line.released:
            raise Refused([Refusal("line", _l("This line is not disputed"))])
        decide = {ALLOW: _allow, REJECT: _reject, CARRY: _carry_disputed}[given["decision"]]
        decide(line, statement, given)
        _tell(record, DECIDED, {"line": line.id, "decision": line.state})
        refresh(statement)
        _go_on(record, statement)
        return line


def _allow(line: StatementLine, statement: Statement, given: Mapping[str, Any]) -> None:
    """What corrects the charge stands on the same statement, so that its sum is right at once."""
    right = money_math.exact(given["amount"])
    lock(line.record_id)
    charge = session().get_one(Charge, line.charge_id)
    now = _comes_to(charge)
    if _is_worse(line, right - now):
        text = _l("It comes to %(now)s yuan; a dispute that is allowed is never to their disadvantage", now=now)
        raise InvalidData({"amount": text})
    made = charges.correct(charge, right - now, given["reason"])
    if not _join(statement, line, charge) and made is None:
        raise InvalidData({"amount": _l("It comes to this already; reject the dispute or move the line")})
    line.state, line.answer = values.ALLOWED, given["reason"]


def _is_worse(line: StatementLine, change: Decimal) -> bool:
    """Nobody is asked about the line that corrects: it cannot be disputed again."""
    return change > 0 if line.direction == values.OWED_TO_US else change < 0


def _comes_to(charge: Charge) -> Decimal:
    """What its payer owes by a charge: with every correction, where it is not a correction itself."""
    if charge.adjusts_id is not None:
        return charge.amount
    parts = [one for one in charges.parts_of(charge) if one.payer_ref == charge.payer_ref]
    return sum(
        (one.amount for one in parts if one.state != charges.VOID and one.payer == charge.payer), charge.amount
    )


def _join(statement: Statement, line: StatementLine, charge: Charge) -> bool:
    """Put the corrections of a charge that stand on no statement yet on this one; tell whether there were any."""
    base = charge if charge.adjusts_id is None else session().get_one(Charge, charge.adjusts_id)
    parts = [one for one in charges.parts_of(base) if one.state == charges.POSTED]
    mine = [one for one in parts if (one.payer, one.payer_ref) == (charge.payer, charge.payer_ref)]
    held = select(StatementLine.charge_id).where(
        StatementLine.charge_id.in_([one.id for one in mine]), ~StatementLine.released
    )
    taken = set(session().scalars(held)) if mine else set()
    fresh = [one for one in mine if one.id not in taken]
    session().add_all(
        StatementLine(
            unit_id=statement.unit_id,
            statement_id=statement.id,
            charge_id=one.id,
            record_id=one.record_id,
            clause=one.clause,
            label=one.label,
            label_en=line.label_en,
            direction=line.direction,
            amount=one.amount,
            item_id=line.item_id,
            checks={},
            state=values.ALLOWED,
        )
        for one in fresh
    )
    session().flush()
    return bool(fresh)


def _reject(line: StatementLine, _statement: Statement, given: Mapping[str, Any]) -> None:
    line.state, line.answer = values.REJECTED, given["reason"]


def _carry_disputed(line: StatementLine, _statement: Statement, given: Mapping[str, Any]) -> None:
    """Take a line off, and with it what corrects it, or it corrects, here: apart they would say something wrong."""
    for one in _together(line):
        one.state, one.released, one.answer = values.CARRIED, True, given["reason"] or ""


def _together(line: StatementLine) -> list[StatementLine]:
    """Return a line with those of its statement that are about the same charge on the same side."""
    charge = session().get_one(Charge, line.charge_id)
    base = charge.adjusts_id or charge.id
    wanted = (
        select(StatementLine)
        .join(Charge, Charge.id == StatementLine.charge_id)
        .where(
            StatementLine.statement_id == line.statement_id,
            StatementLine.direction == line.direction,
            ~StatementLine.released,
            or_(Charge.id == base, Charge.adjusts_id == base),
        )
        .order_by(StatementLine.id)
    )
    return list(session().scalars(wanted))


# --- review --------------------------------------------------------------------------------------


def carry(line_id: object, reason: object) -> StatementLine:
    """Move a line, with what corrects it there, to a later statement (``SETTLE``), until the statement is approved.

    Raises:
        NotFound, NotAllowed. InvalidData: no reason. Refused: approved already, or the line was moved before.
    """
    with transaction():
        line, record, statement = _locked_line(line_id)
        _require_ours(statement)
        refuse_unless(record, BEFORE_APPROVAL)
        given = clean((_CARRY_REASON,), {"reason": reason})
        _refuse_moved(line)
        was_disputed = line.state == values.DISPUTED
        _carry_disputed(line, statement, given)
        _tell(record, DECIDED if was_disputed else "line_carried", {"line": line.id, "decision": line.state})
        refresh(statement)
        _go_on(record, statement)
        return line


def note_check(line_id: object, text: object) -> StatementLine:
    """Keep what whoever looked at a failed check found (``SETTLE``, DL-3), until the statement is approved.

    Raises:
        NotFound, NotAllowed. InvalidData: under ``review``. Refused: approved already, or no check of it failed.
    """
    with transaction():
        line, record, statement = _locked_line(line_id)
        _require_ours(statement)
        refuse_unless(record, BEFORE_APPROVAL)
        given = clean((_REVIEW,), {"review": text})
        _refuse_moved(line)
        if not line.failed:
            raise Refused([Refusal("line", _l("No check of this line failed"))])
        line.review = given["review"]
        session().flush()
        return line


# --- payments ------------------------------------------------------------------------------------


def paid_up(statement: Statement) -> bool:
    """Follow what payments made of a statement; tell whether it is paid in full. For services that changed
    ``received`` or ``paid`` and asked for their own permission; its record is locked.

    A side that is paid in full has its charges settled, else they are open. Invoiced and paid on both sides the
    statement is *paid*; when a payment is taken back, *invoiced* again.
    """
    session().flush()
    record = lock(statement.id)
    left = dict(zip((values.OWED_TO_US, values.OWED_BY_US), open_of(statement), strict=True))
    if record.state in OWED_STATES:
        for direction, rest in left.items():
            _settle_charges(statement.id, direction, settled=rest == 0)
    done = not any(left.values())
    if done and record.state == INVOICED:
        perform(record.id, "paid", permitted=True)
    elif not done and record.state == PAID:
        perform(record.id, "unpaid", permitted=True)
    return done


def _settle_charges(statement_id: int, direction: str, *, settled: bool) -> None:
    """Settle what one side of a statement charges, or open it again; corrections are lines of their own."""
    wanted = charges.POSTED if settled else charges.SETTLED
    rows = (
        session()
        .scalars(
            select(Charge)
            .join(StatementLine, StatementLine.charge_id == Charge.id)
            .where(
                StatementLine.statement_id == statement_id,
                StatementLine.direction == direction,
                ~StatementLine.released,
                Charge.state == wanted,
            )
            .order_by(Charge.record_id, Charge.id)
        )
        .all()
    )
    for key in sorted({one.record_id for one in rows}):
        lock(key)
    move = charges.settle if settled else charges.unsettle
    for one in rows:
        move(one, alone=True)


def moving(charge: Charge, step: str) -> list[Blocker]:
    """What stands on statements is settled by payments, not by hand."""
    if step != "settle" or not charge.payer_ref or charge.payer not in STATEMENT_PAYERS or not charge.amount:
        return []
    return [Blocker(_l("Enter the payment of its statement: that settles it"))]


def after_step(record: Record, transition: str) -> None:
    """Follow a statement's own steps (a part of the hook ``record_transitioned``): where nothing is to be paid, the
    invoices end it."""
    if record.type == CODE and transition in ("approve", "invoice"):
        paid_up(detail_of(record))


# --- inside --------------------------------------------------------------------------------------


def _locked_line(line_id: object) -> tuple[StatementLine, Record, Statement]:
    """Read a line with its statement for changing it. Whoever moves lines holds the agent, then the record, so that
    a statement that is being made and a decision never take the same charge."""
    line = fetch(StatementLine, line_id)
    statement = session().get_one(Statement, line.statement_id)
    lock_agent(statement.agent_id)
    record = lock(statement.id)
    session().refresh(statement)
    session().refresh(line)
    return line, record, statement


def lock_agent(agent_id: int) -> Agent:
    """Lock an agent's lines against everybody else who moves them.

    Raises:
        NotFound: no such agent in reach.
    """
    wanted: Any = select(Agent).with_for_update(key_share=True)
    return fetch(Agent, agent_id, query=wanted)


def require_side(statement: Statement) -> None:
    """Pass for our staff who settle, and for the agent's own people from the day it was sent.

    Raises:
        NotFound: it is neither's.
    """
    if may(SETTLE, statement.unit_id):
        return
    file.require_own(statement.agent_id)
    if statement.record.state in HIDDEN:
        raise NotFound()


def _require_ours(statement: Statement) -> None:
    """Pass for our staff who settle; nobody decides about a statement of their own company."""
    require(SETTLE, statement.unit_id)
    if file.is_party(statement.agent_id):
        raise NotAllowed(SETTLE, statement_flow.OWN_COMPANY)


def refuse_unless(record: Record, states: tuple[str, ...]) -> None:
    """Pass if a statement is in one of these states.

    Raises:
        Refused: it is not; once approved, saying where corrections go.
    """
    if record.state in states:
        return
    if record.state in (*OWED_STATES, CLOSED):
        text = _l("The statement is approved; take it up in the next period, by a correcting charge")
    else:
        label = statement_flow.WORKFLOW.states[record.state].label
        text = _l("Not possible while the state is “%(state)s”", state=label)
    raise Refused([Refusal("state", text)])


def _refuse_moved(line: StatementLine) -> None:
    if line.released:
        raise Refused([Refusal("line", _l("This line was moved to a later statement"))])


def _tell(record: Record, kind: str, data: Mapping[str, Any]) -> None:
    fact = append_fact(record, statement_flow.WORKFLOW.fact_kinds[kind], at=clock.now(), data=data)
    session().flush()
    tell_of_fact(record, fact)
