"""What every plugin keeps to, for this one."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from typing import Any

from core.sdk import Record, Unit, User, clock, session, uuid7
from plugins.tools import values
from plugins.tools.models import (
    Application,
    Clearance,
    Count,
    Custody,
    Deduction,
    Handover,
    HandoverLine,
    Incident,
    Kind,
    Kit,
    KitLine,
    Party,
    Permit,
    Place,
    Purchase,
    Service,
    Stock,
    StockMove,
    Tool,
)
from tests.contract import PluginContract

# Ids that mean the same to every list of ours: an address with one shows the same thing everywhere.
_ids = itertools.count(900_001)
_STEP = 1_000_000
_RECORDS = (
    ("tools_tool", values.ISSUED),
    ("tools_handover", values.OFFERED),
    ("tools_application", values.ASKED),
    ("tools_incident", values.REPORTED),
    ("tools_count", values.COUNTING),
    ("tools_purchase", values.DRAFT),
    ("tools_clearance", values.OPEN),
)


class TestContract(PluginContract):
    name = "tools"

    def make_rows(self, unit: Unit, count: int) -> list[Any]:
        return [_tool_with_everything(unit, key) for key in itertools.islice(_ids, count)]


def _tool_with_everything(unit: Unit, key: int) -> Tool:
    """Add a tool with one row of each of the plugin's lists, each with a person and a store of its own."""
    work, of = session(), {"unit_id": unit.id}
    user = User(username=f"contract-{key}", name=f"某人 {key}", password_hash="x")
    work.add(user)
    work.flush()
    _add_file(key, user.id, of)
    records = [_record(unit, key + place * _STEP, kind, state) for place, (kind, state) in enumerate(_RECORDS)]
    work.add_all(records)
    work.flush()
    tool = Tool(
        id=key,
        code=f"GJ{key}",
        kind_id=key,
        name=f"剥线钳 {key}",
        price=Decimal(120),
        place_id=key,
        maintainer_id=user.id,
        maintain_on=date(2026, 1, 1),
        calibrate_on=date(2026, 1, 1),
        custody_seq=1,
        **of,
    )
    work.add(tool)
    work.flush()
    _add_work(key, user.id, of, *(one.id for one in records[1:]))
    return tool


def _add_file(key: int, user_id: int, of: dict[str, int]) -> None:
    session().add_all(
        (
            Kind(id=key, code=f"K{key}", name=f"剥线钳 {key}", **of),
            Kind(id=key + _STEP, code=f"P{key}", name=f"胶布 {key}", category=values.CONSUMABLE, **of),
            Party(id=key, kind=values.STORE, name=f"工具房 {key}", user_id=user_id, **of),
            Party(id=key + _STEP, kind=values.PERSON, name=f"某人 #{key}", user_id=user_id, **of),
            Party(id=key + 2 * _STEP, kind=values.DEPARTMENT, name=f"工程部 {key}", **of),
            Party(id=key + 3 * _STEP, kind=values.REPAIRER, name=f"修理行 {key}", **of),
            Kit(id=key, name=f"套装 {key}", **of),
        )
    )
    session().flush()
    session().add_all(
        (KitLine(id=key, kit_id=key, kind_id=key, **of), Place(id=key, store_id=key, name="A柜", **of))
    )
    session().flush()


def _add_work(
    key: int,
    user_id: int,
    of: dict[str, int],
    handover: int,
    application: int,
    incident: int,
    count: int,
    purchase: int,
    clearance: int,
) -> None:
    work, now, today, person = session(), clock.now(), date(2026, 1, 1), key + _STEP
    work.add_all(
        (
            Permit(id=key, user_id=user_id, kind_id=key, starts_on=today, basis=f"培训 {key}", **of),
            Custody(id=key, tool_id=key, seq=1, party_id=person, starts_at=now, **of),
            Handover(id=handover, kind=values.RETURN, giver_id=person, taker_id=key, lines_count=1, **of),
            Application(id=application, kind=values.A_NEW, user_id=user_id, kind_id=key, reason="工作需要", **of),
            Incident(
                id=incident,
                kind=values.LOSS,
                tool_id=key,
                holder_id=person,
                user_id=user_id,
                happened_at=now,
                what="遗失",
                **of,
            ),
            Count(id=count, party_id=key, begun_at=now, **of),
            Purchase(id=purchase, kind=values.BY_NEED, period="2026-01", **of),
            Clearance(id=clearance, user_id=user_id, last_day=today, **of),
            Stock(id=key, party_id=key, kind_id=key + _STEP, quantity=Decimal(5), **of),
            StockMove(id=key, kind_id=key + _STEP, taker_id=key, quantity=Decimal(5), at=now, why="bought", **of),
            Service(id=key, tool_id=key, what=values.MAINTENANCE, done_on=today, entered_at=now, **of),
        )
    )
    work.flush()
    given = {"month": "2026-01", "amount": Decimal(10), "contract_clause": "第8条", "entered_at": now}
    work.add_all(
        (
            HandoverLine(id=key, handover_id=handover, tool_id=key, kind_id=key, **of),
            Deduction(id=key, incident_id=incident, user_id=user_id, **given, **of),
        )
    )
    work.flush()


def _record(unit: Unit, key: int, kind: str, state: str) -> Record:
    now = clock.now()
    given = {"number": f"N-{key}", "title": "工具", "state": state, "category": "open"}
    return Record(id=key, unit_id=unit.id, uid=uuid7(), type=kind, received_at=now, entered_at=now, **given)
