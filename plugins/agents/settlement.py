"""Making statements: one per agent and month, from posted charges that stand on none yet (R14-5.8.2, R18-5.1.2b).

An agent is a transaction, so that work that was cut off goes on where it was: whoever is done has nothing left to
take up. Lines are read and written as columns, some hundred at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, exists, insert, literal, select

from core.sdk import (
    Charge,
    InvalidData,
    Job,
    NotFound,
    Periodic,
    Record,
    Work,
    append_fact,
    charges,
    clock,
    create_record,
    current_scope,
    fetch,
    jobs,
    local_day,
    lock,
    publish,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import contracts, evidence, statement_flow, statements, values
from .checks import has_failed, judge
from .models import Agent, Statement, StatementLine
from .rights import SETTLE

JOB = "agents.settle"
# Where the screen of statements stands (screens_statements).
STATEMENTS = "/admin/agents/statements/"
# Lines that are read, checked and written at a time; their keys fit into one statement on either database.
BATCH = 500


# --- a month of a unit ---------------------------------------------------------------------------


def start(unit_id: int, period: str) -> jobs.JobRun:
    """Let the statements of a month be made as watched work (``SETTLE``).

    Raises:
        NotAllowed, InvalidData: no month, or one that is not over yet.
    """
    require(SETTLE, unit_id)
    period = read_period(unit_id, period)
    return jobs.start(JOB, unit_id, {"period": period}, _("Statements of %(period)s", period=period))


def read_period(unit_id: int, text: object) -> str:
    """Return a month that is over in the unit, as ``2026-10``.

    Raises:
        InvalidData: under ``period``.
    """
    period = str(text or "").strip()
    if not charges.MONTH.fullmatch(period):
        raise InvalidData({"period": _l("Please enter a month such as 2026-01")})
    if period >= local_day(unit_id).strftime("%Y-%m"):
        raise InvalidData({"period": _l("This month is not over yet")})
    return period


def settle(work: Work) -> dict[str, int]:
    """Make or complete every agent's statement of a month, an agent a transaction; again, nothing doubles.

    Returns:
        How many statements have new lines, how many lines, and for how many payers no agent is on file.
    """
    unit_id = work.unit_id
    if unit_id is None:
        raise NotFound()
    period = read_period(unit_id, work.payload.get("period"))
    codes = waiting_payers(unit_id, period)
    known = _agents_of(unit_id, codes)
    done = {"statements": 0, "lines": 0, "unknown": len(codes) - len(known)}
    for place, (agent_id, name) in enumerate(known, 1):
        work.progress(place - 1, len(known), name)
        lines = _settle_agent(unit_id, agent_id, period)[1]
        done["statements"] += bool(lines)
        done["lines"] += lines
        session().expunge_all()
    work.progress(len(known), len(known))
    return done


def waiting_payers(unit_id: int, period: str) -> list[str]:
    """Return the numbers of agents for whom something is to be taken up until a month, in order. One select."""
    wanted = select(Charge.payer_ref).where(*_to_take_up(unit_id, period))
    return list(session().scalars(wanted.distinct().order_by(Charge.payer_ref)))


def _agents_of(unit_id: int, codes: Sequence[str]) -> list[tuple[int, str]]:
    """Return (id, name) of the unit's agents of these numbers, by number."""
    found = []
    for place in range(0, len(codes), BATCH):
        some = codes[place : place + BATCH]
        wanted = select(Agent.id, Agent.name).where(Agent.unit_id == unit_id, Agent.code.in_(some))
        found += [(key, name) for key, name in session().execute(wanted.order_by(Agent.code))]
    return found


def _to_take_up(unit_id: int, period: str) -> tuple[ColumnElement[bool], ...]:
    """Tell of a charge that it is posted until a month, an agent's business, and on no statement."""
    held = exists().where(StatementLine.charge_id == Charge.id, ~StatementLine.released)
    return (
        Charge.unit_id == unit_id,
        Charge.state == charges.POSTED,
        Charge.month <= period,
        # Written out, since the index over those with a number is found by this very condition only.
        Charge.payer_ref != literal("", literal_execute=True),
        Charge.payer.in_(statements.STATEMENT_PAYERS),
        ~held,
    )


def settle_due(unit_id: int) -> int:
    """Make the last month's statements of the agents whose contract's settlement day has come; return how many.

    A day that the month does not have is its last one. Who has no contract in force is settled by hand.
    """
    today = local_day(unit_id)
    period = (today.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    count = 0
    for agent_id, _name in _agents_of(unit_id, waiting_payers(unit_id, period)):
        agreed = contracts.terms_of_all(session().get_one(Agent, agent_id), today).settlement_day
        if agreed is not None and today.day >= min(agreed, _last_day(f"{today:%Y-%m}").day):
            count += bool(_settle_agent(unit_id, agent_id, period)[1])
    return count


# --- an agent ------------------------------------------------------------------------------------


def settle_agent(unit_id: int, agent_id: int, period: str) -> Record | None:
    """Make or complete one agent's statement; None where nothing is to be settled.

    While a statement is a draft, what is new joins it. Once it was sent, what is new waits for the next month.

    Raises:
        NotAllowed. NotFound: no such agent in this unit. InvalidData: no month, or one that is not over yet.
    """
    return _settle_agent(unit_id, agent_id, read_period(unit_id, period))[0]


def _settle_agent(unit_id: int, agent_id: int, period: str) -> tuple[Record | None, int]:
    """Return the statement and how many lines are new."""
    require(SETTLE, unit_id)
    with transaction():
        agent = statements.lock_agent(agent_id)
        if agent.unit_id != unit_id:
            raise NotFound()
        draft, sent = _held(agent, period)
        if sent:
            return None, 0
        found = _waiting(agent, period)
        first = next(found, None)
        if first is None:
            return (session().get_one(Record, draft.id) if draft else None), 0
        if draft is None:
            return _make(agent, period, first, found)
        return _complete(agent, draft, first, found)


def _held(agent: Agent, period: str) -> tuple[Statement | None, bool]:
    """Return the draft of a month, and whether one was sent already."""
    rows = (
        session()
        .scalars(
            select(Statement)
            .join(Record, Record.id == Statement.id)
            .where(
                Statement.agent_id == agent.id,
                Statement.period == period,
                Record.state != statement_flow.CANCELLED,
            )
        )
        .all()
    )
    draft = next((one for one in rows if one.drafting), None)
    return draft, draft is None and bool(rows)


def _waiting(agent: Agent, period: str) -> Iterator[list[evidence.Billed]]:
    """Yield what is to be taken up, some hundred charges at a time."""
    last = 0
    wanted = (
        evidence.billed()
        .where(*_to_take_up(agent.unit_id, period), Charge.payer_ref == agent.code)
        .order_by(Charge.id)
        .limit(BATCH)
    )
    while rows := evidence.read(wanted.where(Charge.id > last)):
        yield rows
        if len(rows) < BATCH:
            return
        last = rows[-1].id


def _make(
    agent: Agent, period: str, first: list[evidence.Billed], more: Iterator[list[evidence.Billed]]
) -> tuple[Record, int]:
    detail = Statement(
        agent_id=agent.id,
        period=period,
        drafting=True,
        clause=statement_flow.due_clause(agent.unit_id, agent.kind),
        made_by=current_scope().actor_id,
        **_terms(agent, period),
    )
    added = 0

    def then(_record: Record) -> None:
        nonlocal added
        added = _take_up(agent, detail, first, more)

    record = create_record(
        statement_flow.STATEMENT,
        agent.unit_id,
        detail,
        title=f"{agent.name} {period}",
        customer_id=None,
        received_at=clock.now(),
        permission=SETTLE,
        facts=[("registered", {"period": period})],
        then=then,
    )
    publish("record.registered", agent.unit_id, {"record_id": record.id, "type": statement_flow.CODE})
    return record, added


def _complete(
    agent: Agent, draft: Statement, first: list[evidence.Billed], more: Iterator[list[evidence.Billed]]
) -> tuple[Record, int]:
    record = lock(draft.id)
    session().refresh(draft)
    added = _take_up(agent, draft, first, more)
    kind = statement_flow.WORKFLOW.fact_kinds[statement_flow.COMPLETED]
    fact = append_fact(record, kind, at=clock.now(), data={"count": added})
    session().flush()
    tell_of_fact(record, fact)
    return record, added


def _terms(agent: Agent, period: str) -> dict[str, Any]:
    """What a contract in force on the last day of a month says about paying."""
    found = contracts.terms_of_all(agent, _last_day(period))
    return {
        "contract_id": found.contract_id,
        "netting": found.netting,
        "payment_days": found.payment_days,
    }


def _last_day(period: str) -> date:
    first = date.fromisoformat(f"{period}-01")
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _take_up(
    agent: Agent, statement: Statement, first: list[evidence.Billed], more: Iterator[list[evidence.Billed]]
) -> int:
    """Write the lines of a statement with their checks; return how many."""
    side, count, batch = evidence.side_of(agent), 0, first
    while batch:
        facts = evidence.facts_of(side, batch)
        rows = [_line(statement, row, *one) for row, one in zip(batch, facts, strict=True)]
        # Asked for the keys, a database is sent many rows in one statement; else it may get them one by one.
        session().execute(insert(StatementLine).returning(StatementLine.id), rows).close()
        count += len(rows)
        batch = next(more, [])
    statements.refresh(statement)
    return count


def _line(
    statement: Statement, row: evidence.Billed, item_id: int | None, facts: values.LineFacts
) -> Mapping[str, Any]:
    found = judge(facts)
    return {
        "unit_id": statement.unit_id,
        "statement_id": statement.id,
        "charge_id": row.id,
        "record_id": row.record_id,
        "clause": row.clause,
        "code": "" if row.adjusts_id else row.code,
        "label": row.label,
        "label_en": (row.label_en or "")[:200],
        "direction": facts.direction,
        "amount": row.amount,
        "item_id": item_id,
        "checks": found,
        "failed": has_failed(found),
        # Written out: a default is worked out anew for every row.
        **_UNANSWERED,
    }


_UNANSWERED = {"state": values.OPEN, "dispute": "", "answer": "", "review": "", "released": False}


# --- looking again -------------------------------------------------------------------------------


def check_again(statement_id: object) -> Statement:
    """Check the lines of a statement anew, until it is approved (``SETTLE``): an old part came in since, say.

    Raises:
        NotFound, NotAllowed. Refused: it is approved already.
    """
    with transaction():
        statement = fetch(Statement, statement_id)
        require(SETTLE, statement.unit_id)
        agent = statements.lock_agent(statement.agent_id)
        record = lock(statement.id)
        statements.refuse_unless(record, statement_flow.BEFORE_APPROVAL)
        side = evidence.side_of(agent)
        for batch in _standing(statement.id):
            _check(side, batch)
        statements.refresh(statement)
        return statement


def _standing(statement_id: int) -> Iterator[list[evidence.Billed]]:
    """Yield what stands on a statement, some hundred lines at a time."""
    last = 0
    wanted = (
        evidence.billed(StatementLine.id)
        .join(StatementLine, StatementLine.charge_id == Charge.id)
        .where(StatementLine.statement_id == statement_id, ~StatementLine.released)
        .order_by(StatementLine.id)
        .limit(BATCH)
    )
    while rows := evidence.read(wanted.where(StatementLine.id > last)):
        yield rows
        last = rows[-1].line_id or 0


def _check(side: evidence.Side, batch: list[evidence.Billed]) -> None:
    wanted = select(StatementLine).where(StatementLine.id.in_([row.line_id for row in batch]))
    lines = {line.charge_id: line for line in session().scalars(wanted)}
    for row, (_item, facts) in zip(batch, evidence.facts_of(side, batch), strict=True):
        found = judge(facts)
        line = lines[row.id]
        if line.checks != {name: list(one) for name, one in found.items()}:
            line.checks, line.failed = dict(found), has_failed(found)
            line.review = ""  # what was noted was about what had been found then


def _settle_and_show(work: Work) -> dict[str, Any]:
    """Settle, and answer which page to go on to: the statements of the month."""
    return {**settle(work), "url": f"{STATEMENTS}?f_period={work.payload.get('period')}"}


def declared() -> list[Job | Periodic]:
    """Return the jobs of the plugin's settlement."""
    return [
        Job(JOB, _l("Make the statements of a month"), _settle_and_show),
        Periodic("agents.settle_due", _l("Make the statements whose settlement day has come"), settle_due, hour=5),
    ]
