"""What the checks of a statement's lines look at, gathered for many lines at once in a fixed number of selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from core.sdk import Case, Charge, Record, effective, holds, local_day, session
from plugins.products import services as products
from plugins.warranty import services as warranty

from . import bearing, contracts, notices, values
from .models import Agent, Contract, OldPart, Order, StatementLine
from .spans import Span
from .values import LineFacts

# Within so many days the same work on the same item is looked at twice.
TWICE_WITHIN = timedelta(days=365)
MOST_EARLIER = 10_000  # lines of the same items that are looked at, the newest of them
CLAWBACK = "DL-2"
_COVER = frozenset((bearing.AGENT_FEE, bearing.PARTNER_FEE, bearing.PARTNER_CONTRACT))
_BY_CONTRACT = frozenset((bearing.PARTNER_CONTRACT, *bearing.OUT_CONTRACTS))
_NOTICES = {bearing.AGENT_FEE: bearing.AGENT_NOTICE, bearing.PARTNER_FEE: bearing.PARTNER_NOTICE}


class Billed(NamedTuple):
    """A posted charge with its case, as columns; ``line_id`` where it stands on a statement already."""

    id: int
    record_id: int
    clause: str
    code: str
    label: str
    label_en: str | None
    payer: str
    amount: Decimal
    adjusts_id: int | None
    posted_at: datetime
    number: str
    received_at: datetime
    address: str | None
    parts_used: str | None
    line_id: int | None = None

    @property
    def direction(self) -> str:
        return values.OWED_BY_US if self.payer == "company" else values.OWED_TO_US


def billed(*more: Any) -> Select[Any]:
    """Select posted charges for ``read``; the line of a statement may follow as one column more."""
    return select(
        Charge.id,
        Charge.record_id,
        Charge.clause,
        Charge.code,
        Charge.label,
        Charge.inputs["label"]["en"].as_string(),
        Charge.payer,
        Charge.amount,
        Charge.adjusts_id,
        Charge.posted_at,
        *more,
    )


def read(wanted: Select[Any]) -> list[Billed]:
    """Return the charges of a select made by ``billed`` with their cases; two selects for some hundred."""
    rows = session().execute(wanted).all()
    heads = (
        select(Record.id, Record.number, Record.received_at, Case.address_text, Case.parts_used)
        .outerjoin(Case, Case.id == Record.id)
        .where(Record.id.in_({row.record_id for row in rows}))
    )
    cases = {key: head for key, *head in session().execute(heads)} if rows else {}
    return [Billed(*row[:10], *cases[row.record_id], *row[10:]) for row in rows]


@dataclass(frozen=True)
class Side:
    """What is known of an agent for the checks of all its lines."""

    agent_id: int
    unit_id: int
    regions: tuple[str, ...]
    contracts: tuple[tuple[Span, int | None, tuple[str, ...]], ...]
    clawback: int | None  # days; None: nothing is taken back here
    today: date = field(default_factory=date.today)

    def contract_on(self, day: date) -> tuple[Span, int | None, tuple[str, ...]] | None:
        found = [one for one in self.contracts if one[0].holds_on(day)]
        return max(found, key=lambda one: (one[0].starts_on, one[0].id)) if found else None


def side_of(agent: Agent) -> Side:
    """Read what the checks need of an agent; one select."""
    unit_id = agent.unit_id
    held = session().scalars(
        select(Contract)
        .join(Record, Record.id == Contract.id)
        .where(Contract.agent_id == agent.id, Record.state.in_((contracts.IN_FORCE, contracts.ENDED)))
    )
    days = int(effective(unit_id, CLAWBACK).values["days"]) if holds(unit_id, CLAWBACK) else None
    return Side(
        agent.id,
        unit_id,
        tuple(agent.regions or ()),
        tuple((contracts.span_of(one), one.clawback_days, tuple(one.regions or ())) for one in held),
        days,
        local_day(unit_id),
    )


@dataclass(frozen=True)
class Known:
    """What was read about the cases of some lines, by record or item."""

    items: dict[int, int]
    decisions: dict[int, warranty.Decided]
    begun: dict[int, datetime]
    told: dict[int, datetime]
    # When our service agent was done, and in how many days its contract takes the pay back.
    orders: dict[int, tuple[datetime, int | None]]
    old_parts: dict[int, list[str]]
    earlier: dict[tuple[int, str], list[tuple[int, int, str, datetime]]]
    later: dict[int, list[products.ItemRecord]]


def facts_of(side: Side, rows: Sequence[Billed]) -> list[tuple[int | None, LineFacts]]:
    """Return item and facts of each line, in their order; a fixed number of selects for some hundred lines."""
    known = _read(side, rows)
    days = _Days(side.unit_id)
    return [_facts(side, known, row, days) for row in rows]


class _Days(dict[datetime, date]):
    """Days in the unit's zone, and which clauses hold on them, each worked out once."""

    def __init__(self, unit_id: int) -> None:
        super().__init__()
        self.unit_id = unit_id
        self._held: dict[tuple[str, date], bool] = {}

    def holds(self, clause: str, moment: datetime) -> bool:
        key = (clause, self[moment])
        if key not in self._held:
            self._held[key] = holds(self.unit_id, clause, moment)
        return self._held[key]

    def __missing__(self, moment: datetime) -> date:
        self[moment] = found = local_day(self.unit_id, moment)
        return found


def _read(side: Side, rows: Sequence[Billed]) -> Known:
    records = sorted({row.record_id for row in rows})
    items = products.item_ids_of_records(records)
    noticed = sorted({row.record_id for row in rows if row.clause in _NOTICES})
    paid = sorted({row.record_id for row in rows if row.direction == values.OWED_BY_US})
    orders = _orders(side.agent_id, paid)
    old_parts: dict[int, list[str]] = {}
    parts = select(OldPart.record_id, OldPart.state).where(OldPart.record_id.in_(records)).order_by(OldPart.id)
    for record_id, state in session().execute(parts):
        old_parts.setdefault(record_id, []).append(state)
    return Known(
        items,
        warranty.decisions_of(records),
        notices.begun(noticed),
        notices.told(noticed, side.agent_id),
        orders,
        old_parts,
        _billed_before(items, rows),
        _served_later(items, rows, [at for at, _days in orders.values()]),
    )


def _orders(agent_id: int, records: Sequence[int]) -> dict[int, tuple[datetime, int | None]]:
    if not records:
        return {}
    done = (
        select(Order.record_id, Order.done_at, Contract.clawback_days)
        .outerjoin(Contract, Contract.id == Order.contract_id)
        .where(Order.record_id.in_(records), Order.agent_id == agent_id, Order.done_at.is_not(None))
        .order_by(Order.id)
    )
    return {key: (at, days) for key, at, days in session().execute(done) if at is not None}


def _billed_before(
    items: dict[int, int], rows: Sequence[Billed]
) -> dict[tuple[int, str], list[tuple[int, int, str, datetime]]]:
    """Return (line, record, number, received) of what was billed for these items, by item and work.

    The oldest line first; those of this very batch come last, with line 0.
    """
    mine = [row for row in rows if row.record_id in items and row.direction == values.OWED_TO_US]
    found: dict[tuple[int, str], list[tuple[int, int, str, datetime]]] = {}
    if not mine:
        return found
    lines = (
        select(StatementLine.id, StatementLine.item_id, StatementLine.code, StatementLine.record_id)
        .where(
            StatementLine.item_id.in_({items[row.record_id] for row in mine}),
            StatementLine.code.in_({row.code for row in mine}),
            StatementLine.direction == values.OWED_TO_US,
            ~StatementLine.released,
        )
        .order_by(StatementLine.id.desc())
        .limit(MOST_EARLIER)
    )
    held = session().execute(lines).all()
    # By themselves: joined, one of the databases begins with all records of the unit.
    heads = select(Record.id, Record.number, Record.received_at).where(Record.id.in_({row[3] for row in held}))
    known = {key: (number, at) for key, number, at in session().execute(heads)} if held else {}
    for line_id, item_id, code, record_id in reversed(held):
        found.setdefault((item_id or 0, code), []).append((line_id, record_id, *known[record_id]))
    for row in mine:
        if row.line_id is None and row.adjusts_id is None:
            key = (items[row.record_id], row.code)
            found.setdefault(key, []).append((0, row.record_id, row.number, row.received_at))
    return found


def _served_later(
    items: dict[int, int], rows: Sequence[Billed], done: Sequence[datetime]
) -> dict[int, list[products.ItemRecord]]:
    """Return the cases of items that we pay the service of, by item, oldest first; ``done``: when orders were."""
    paid = [row for row in rows if row.record_id in items and row.direction == values.OWED_BY_US]
    found: dict[int, list[products.ItemRecord]] = {}
    if paid:
        keys = sorted({items[row.record_id] for row in paid})
        for one in products.records_of_items(keys, min([row.posted_at for row in paid] + list(done))):
            found.setdefault(one.item_id, []).append(one)
    return found


def _facts(side: Side, known: Known, row: Billed, days: _Days) -> tuple[int | None, LineFacts]:
    item_id = known.items.get(row.record_id)
    if row.adjusts_id is not None:
        return item_id, LineFacts(row.direction, row.code, item_id, adjusts=True)
    received, owed_to_us = days[row.received_at], row.direction == values.OWED_TO_US
    held = side.contract_on(received)
    parts = tuple(known.old_parts.get(row.record_id, ()))
    done, rest = _rest(side, known, row, held) if not owed_to_us else (row.posted_at, None)
    last = days[done] + timedelta(rest) if rest is not None else None
    began = known.begun.get(row.record_id, row.posted_at)
    return item_id, LineFacts(
        direction=row.direction,
        code=row.code,
        item_id=item_id,
        received_on=received,
        region=row.address or "",
        needs_cover=row.clause in _COVER,
        covered=_covered(known.decisions.get(row.record_id), received),
        needs_notice=row.clause in _NOTICES and days.holds(_NOTICES[row.clause], began),
        notified=row.record_id in known.told and known.told[row.record_id] <= began,
        needs_contract=not owed_to_us or row.clause in _BY_CONTRACT,
        has_contract=held is not None,
        regions=(held[2] if held else ()) or side.regions,
        parts=row.code == warranty.MATERIAL if owed_to_us else bool(parts or row.parts_used),
        old_parts=parts,
        billed_before=_before(known, row, item_id) if owed_to_us and item_id else "",
        needs_rest=last is not None,
        repeated_by=_again(known, row, item_id, (done, last), days) if last is not None and item_id else "",
        may_still_fail=last is not None and side.today <= last,
    )


def _rest(
    side: Side, known: Known, row: Billed, held: tuple[Span, int | None, tuple[str, ...]] | None
) -> tuple[datetime, int | None]:
    """Return when paid work was done, and in how many days a repeated repair takes it back.

    The contract's word wins; for what was passed on that is the contract it is paid by (``orders.days_of``).
    """
    agreed = held[1] if held is not None else None
    done, agreed = known.orders.get(row.record_id, (row.posted_at, agreed))
    if side.clawback is None:
        return done, None
    return done, side.clawback if agreed is None else agreed


def _covered(decided: warranty.Decided | None, day: date) -> bool | None:
    if decided is None:
        return None
    if not decided.is_free:
        return False
    return decided.covered_until >= day if decided.covered_until else None


def _before(known: Known, row: Billed, item_id: int) -> str:
    """Return the case for which the same work on the item was billed before, '' for none."""
    for line_id, record_id, number, received in known.earlier.get((item_id, row.code), ()):
        if record_id == row.record_id or abs(received - row.received_at) > TWICE_WITHIN:
            continue
        if line_id == 0:
            is_before = (received, record_id) < (row.received_at, row.record_id)
        else:
            is_before = row.line_id is None or line_id < row.line_id
        if is_before:
            return number
    return ""


def _again(known: Known, row: Billed, item_id: int, span: tuple[datetime, date], days: _Days) -> str:
    """Return the case in which the item failed again between a moment and a day, '' for none."""
    done, last = span
    for one in known.later.get(item_id, ()):
        if one.record_id != row.record_id and one.received_at > done and days[one.received_at] <= last:
            return one.number
    return ""
