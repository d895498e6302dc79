"""Agents: a month of posted lines settled by the job's own function, beside raw SQL that writes the same rows.

The raw SQL reads the same tables and writes the same lines, an agent at a time, with the sums of each; it checks
nothing, keeps no timeline, and is one transaction that is rolled back.
"""
# SQL composed from constants only; it reads best unbroken.
# ruff: noqa: E501

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, text

from core.cases.models import Case
from core.kernel import clock
from core.kernel.database import db, opened_scope, system_scope, transaction
from core.kernel.ids import uuid7
from core.kernel.jobs import Work
from core.kernel.scope import Scope
from core.records.models import Record
from core.rules.charge_models import Charge
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.units.models import Unit
from core.units.switches import enable
from plugins.agents import rights, settlement
from plugins.agents.models import Agent, Notice, OldPart
from plugins.products.models import Item, Model, ProductRecord
from plugins.warranty.models import Coverage

from .others import peak_memory
from .scene import Scene

PERIOD, POSTED = "2026-10", datetime(2026, 10, 15, 2, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 2, tzinfo=UTC)
CLAUSE = "R18-5.1.2b"
CLAUSES = (CLAUSE, "R18-5.1.2", "DL-1", "DL-2", "DL-3", "DL-5")
SOME = 2000


def measure(place: Scene, lines: int, agents: int) -> Iterator[str]:
    """Settle ``lines`` charges of ``agents`` agents, two charges a case; yield what is to be printed."""
    fill(place, lines, agents)
    with place.app.app_context(), db.engine.connect() as conn:
        raw = _timed(lambda: _raw(conn, place.unit_id))
        conn.rollback()
    before = peak_memory(anew=True)
    ours = _timed(lambda: _settle(place))
    grown = peak_memory() - before
    with place.app.app_context(), db.engine.connect() as conn:
        found = conn.execute(text("SELECT count(*) FROM agents_line")).scalar()
        if found != lines:
            raise RuntimeError(f"{found} lines instead of {lines}")
    again = _timed(lambda: _settle(place))
    what = f"statements of {lines:,} lines, {agents:,} agents"
    yield f"{what:<46}{ours:>10.1f}{raw:>10.1f} s        {ours / raw:>8.2f} x raw SQL, memory +{grown:.0f} MB"
    yield f"{'  the same again, nothing to do':<46}{again:>10.2f} s"


def _timed(run: Any) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _settle(place: Scene) -> None:
    only = frozenset({place.unit_id})
    scope = Scope(None, only, only, "benchmark", {place.unit_id: frozenset({rights.SETTLE})})
    with place.app.app_context(), opened_scope(scope), clock.frozen(NOW):
        settlement.settle(Work("bench", place.unit_id, {"period": PERIOD}))


def fill(place: Scene, lines: int, agents: int) -> None:
    """Put agents, and cases with an item, a decision, a notice, an old part and two posted charges, into the unit."""
    with place.app.app_context(), system_scope("benchmark") as work, transaction():
        enable(work.get_one(Unit, place.unit_id), "agents", with_dependencies=True)
        given = {"unit_id": place.unit_id, "starts_on": date(2020, 1, 1), "holds": True, "values": {}, "schema": 1}
        more = {"reason": "bench", "open_records": "keep", "state": IN_FORCE, "created_at": POSTED}
        work.add_all(ClauseSetting(clause=one, **given, **more) for one in CLAUSES)
        work.add(Model(id=1, unit_id=place.unit_id, code="M1", name="platform", warranty_months=12))
        work.flush()
        work.execute(
            insert(Agent),
            [{"unit_id": place.unit_id, "code": f"DL{n:04}", "name": f"代理商{n}"} for n in range(agents)],
        )
        for first in range(1, lines // 2 + 1, SOME):
            _fill_cases(work, place.unit_id, range(first, min(first + SOME, lines // 2 + 1)), agents)
    if place.kind == "postgresql":
        _analysed(place)


def _analysed(place: Scene) -> None:
    """Let the ids of records go on after those that were given, and the planner know the tables, as in production."""
    with place.app.app_context(), db.engine.connect() as conn, conn.execution_options(isolation_level="AUTOCOMMIT"):
        conn.execute(text("SELECT setval(pg_get_serial_sequence('core_record', 'id'), max(id)) FROM core_record"))
        conn.execute(text("ANALYZE"))


def _fill_cases(work: Any, unit_id: int, numbers: range, agents: int) -> None:
    mine = {"unit_id": unit_id}
    head = {"type": "case", "title": "x", "state": "solved", "category": "open", "fact_seq": 1, "priority": 3}
    moments = {"received_at": POSTED, "entered_at": POSTED}
    record = {**mine, **head, **moments, "owner_position": "", "resume_state": ""}
    case = {**mine, "channel": "phone", "description": "x", "address_text": "浙江省杭州市", "parts_used": "油缸"}
    decided = {**mine, "current": True, "result": "in_warranty", "covered_until": date(2027, 1, 1)}
    charge = {
        **mine,
        "clause": CLAUSE,
        "label": "人工费",
        "payer": "agent",
        "quantity": Decimal(1),
        "state": "posted",
    }
    posted = {"month": PERIOD, "posted_at": POSTED, "created_at": POSTED, "inputs": {"label": {"en": "Labour"}}}
    rows: dict[Any, list[dict[str, Any]]] = {
        Record: [{**record, "id": n, "uid": uuid7(), "number": f"GD-{n:07}"} for n in numbers],
        Case: [{**case, "id": n} for n in numbers],
        Item: [{**mine, "id": n, "serial": f"SN-{n:07}", "model_id": 1, "created_at": POSTED} for n in numbers],
        ProductRecord: [{**mine, "record_id": n, "item_id": n} for n in numbers],
        Coverage: [{**decided, "record_id": n, "item_id": n, "decided_at": POSTED} for n in numbers],
        Notice: [
            {**mine, "record_id": n, "agent_id": n % agents + 1, "means": "phone", "told_at": POSTED}
            for n in numbers
        ],
        OldPart: [{**mine, "record_id": n, "part": "油缸", "state": "received"} for n in numbers],
        Charge: [
            {
                **charge,
                **posted,
                "record_id": n,
                "source": f"bench:{code}",
                "code": code,
                "payer_ref": f"DL{n % agents:04}",
                "price": amount,
                "amount": amount,
            }
            for n in numbers
            for code, amount in (("labour", Decimal("100.10")), ("material", Decimal("33.33")))
        ],
    }
    for model, values in rows.items():
        work.execute(insert(model), values)


def _raw(conn: Connection, unit_id: int) -> None:
    """Write the rows that statements are made of, an agent at a time."""
    postgres = conn.dialect.name == "postgresql"
    true, false, empty = ("true", "false", "'{}'::jsonb") if postgres else ("1", "0", "'{}'")
    uid = "gen_random_uuid()" if postgres else "lower(hex(randomblob(16)))"
    english = "c.inputs #>> '{label,en}'" if postgres else "json_extract(c.inputs, '$.label.en')"
    numbers = conn.execute(
        text(
            f"SELECT a.id, a.code FROM agents_agent a WHERE a.unit_id = :unit AND a.code IN (SELECT DISTINCT payer_ref FROM core_charge c WHERE c.unit_id = :unit AND c.payer_ref <> '' AND c.state = 'posted' AND c.month <= :period AND NOT EXISTS (SELECT 1 FROM agents_line l WHERE l.charge_id = c.id AND l.released = {false}))"
        ),
        {"unit": unit_id, "period": PERIOD},
    ).all()
    record = text(
        "INSERT INTO core_record (id, uid, unit_id, type, number, title, state, category, resume_state, owner_position, priority, received_at, entered_at, chase_count, escalated, fact_seq, version) "
        f"VALUES (:id, {uid}, :unit, 'agents_statement', :number, 'x', 'draft', 'open', '', '', 3, :now, :now, 0, '', 1, 1)"
    )
    statement = text(
        "INSERT INTO agents_statement (id, unit_id, agent_id, period, drafting, receivable, payable, line_count, failed_count, disputed_count, netting, clause, received, paid, our_invoice, their_invoice) "
        f"VALUES (:id, :unit, :agent, :period, {true}, 0, 0, 0, 0, 0, {false}, '', 0, 0, '', '')"
    )
    lines = text(
        "INSERT INTO agents_line (unit_id, statement_id, charge_id, record_id, clause, code, label, label_en, direction, amount, item_id, checks, failed, state, dispute, answer, review, released) "
        f"SELECT c.unit_id, :id, c.id, c.record_id, c.clause, c.code, c.label, coalesce({english}, ''), CASE c.payer WHEN 'company' THEN 'payable' ELSE 'receivable' END, c.amount, p.item_id, {empty}, {false}, CASE WHEN v.covered_until IS NULL AND n.id IS NULL AND o.id IS NULL AND k.address_text = i.serial THEN 'x' ELSE 'open' END, '', '', '', {false} "
        "FROM core_charge c JOIN core_record r ON r.id = c.record_id LEFT JOIN core_case k ON k.id = c.record_id LEFT JOIN products_record p ON p.record_id = c.record_id LEFT JOIN products_item i ON i.id = p.item_id LEFT JOIN warranty_coverage v ON v.record_id = c.record_id AND v.current LEFT JOIN agents_notice n ON n.record_id = c.record_id LEFT JOIN agents_old_part o ON o.record_id = c.record_id "
        f"WHERE c.unit_id = :unit AND c.payer_ref = :code AND c.payer_ref <> '' AND c.state = 'posted' AND c.month <= :period AND NOT EXISTS (SELECT 1 FROM agents_line l WHERE l.charge_id = c.id AND l.released = {false})"
    )
    sums = text(
        "UPDATE agents_statement SET receivable = (SELECT coalesce(sum(amount), 0) FROM agents_line WHERE statement_id = :id AND direction = 'receivable'), payable = (SELECT coalesce(sum(amount), 0) FROM agents_line WHERE statement_id = :id AND direction = 'payable'), line_count = (SELECT count(*) FROM agents_line WHERE statement_id = :id) WHERE id = :id"
    )
    now = NOW if postgres else NOW.replace(tzinfo=None).isoformat(sep=" ")
    for place, (agent, code) in enumerate(numbers):
        given = {"id": 10_000_000 + place, "unit": unit_id, "agent": agent, "code": code, "period": PERIOD}
        conn.execute(record, {**given, "number": f"DZ-{place:06}", "now": now})
        for one in (statement, lines, sums):
            conn.execute(one, given)
