"""Reports: cost and quality by agent, disputes. Response and the map of regions: ``reports_service.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import aliased

from core.sdk import (
    Case,
    Charge,
    Field,
    Record,
    Report,
    ReportColumn,
    Unit,
    effective,
    label_of,
    money_math,
    report_periods,
    session,
)
from plugins.products import services as products

from . import reports_service, rights, values
from .models import Agent, CaseAgent, Evaluation, Order, Statement, StatementLine

Rows = Iterator[Mapping[str, Any]]
BOOKED = ("posted", "settled")
THEIRS, COMPANY = ("agent", "partner"), "company"
KIND = Field("kind", "choice", _l("Kind"), choices=values.KINDS)
_TENTH = Decimal("0.1")
# Natures of cases that count as a repair again.
_REPAIRS = ("repair", "replacement", "return")
_SCORES = (Evaluation.awareness, Evaluation.attitude, Evaluation.skill, Evaluation.quality)
# Whole cents: SQLite would add decimals as floats.
_CENTS = money_math.cents(Charge.amount)
_yuan = money_math.from_cents


def _sum(condition: Any, amount: Any) -> Any:
    return func.coalesce(func.sum(case((condition, amount), else_=0)), 0)


@dataclass(frozen=True)
class _Asked:
    """What a report is asked for: units, the period in days, months and moments."""

    units: Sequence[int]
    period: Any
    start: Any
    end: Any

    @property
    def months(self) -> tuple[str, str]:
        return f"{self.period.first:%Y-%m}", f"{self.period.last:%Y-%m}"

    def posted(self, found: Any) -> Any:
        """Narrow a select over charges to what was posted in the months of the period."""
        first, last = self.months
        return found.where(
            Charge.unit_id.in_(self.units), Charge.state.in_(BOOKED), Charge.month >= first, Charge.month <= last
        )

    def received(self, found: Any) -> Any:
        """Narrow a select over records to what was received in the period."""
        return found.where(
            Record.unit_id.in_(self.units), Record.received_at >= self.start, Record.received_at < self.end
        )


def _asked(units: Sequence[int], wanted: Mapping[str, Any]) -> _Asked:
    period = report_periods.of(wanted, units[0])
    return _Asked(units, period, *report_periods.moments(period, units[0]))


# --- cost and quality -------------------------------------------------------------------------------

# The agent is None where the key of a charge is not on file: a row of its own, so that sums agree.
Figures = dict[tuple[int, int | None], dict[str, Any]]


def _costs(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    asked = _asked(units, wanted)
    found: Figures = {}
    for part in (_money(asked), _own_cost(asked), _cases(asked), _again(asked), _scores(asked), _failed(asked)):
        for unit_id, agent_id, figures in part:
            found.setdefault((unit_id, agent_id), {}).update(figures)
    for unit, agent in _agents(units, wanted.get("kind")):
        row = found.get((unit.id, agent.id if agent is not None else None))
        if row:
            yield {**_NOTHING, **row, **_who(unit, agent)}


_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("cases", "served", "again", "failed"), 0),
    **dict.fromkeys(("billed", "owed", "own"), Decimal(0)),
}


def _agents(units: Sequence[int], kind: str | None) -> Iterator[tuple[Unit, Agent | None]]:
    """Yield the agents of units in order, and for each unit None for whoever is not on file."""
    names = {unit.id: unit for unit in session().scalars(select(Unit).where(Unit.id.in_(units)))}
    listed = select(Agent).where(Agent.unit_id.in_(units)).order_by(Agent.code, Agent.id)
    for agent in session().scalars(listed.where(Agent.kind == kind) if kind else listed).all():
        yield names[agent.unit_id], agent
    if not kind:
        yield from ((names[unit_id], None) for unit_id in units)


def _who(unit: Unit, agent: Agent | None) -> dict[str, str]:
    if agent is None:
        return {"agent": _("Not on file"), "unit": str(unit), "kind": ""}
    return {
        "agent": f"{agent.code} {agent.name}",
        "unit": str(unit),
        "kind": str(label_of(values.KINDS, agent.kind)),
    }


Part = Iterator[tuple[int, int | None, dict[str, Any]]]


def _money(asked: _Asked) -> Part:
    """What was billed to agents and what is owed to them, by the charges that name them."""
    theirs = Charge.payer.in_(THEIRS)
    named = and_(Agent.unit_id == Charge.unit_id, Agent.code == Charge.payer_ref)
    found = select(Charge.unit_id, Agent.id, _sum(theirs, _CENTS), _sum(~theirs, _CENTS)).select_from(Charge)
    found = asked.posted(found.outerjoin(Agent, named))
    found = found.where(or_(theirs, and_(Charge.payer == COMPANY, Charge.payer_ref != "")))
    for unit_id, agent_id, billed, owed in session().execute(found.group_by(Charge.unit_id, Agent.id)):
        yield unit_id, agent_id, {"billed": _yuan(billed), "owed": _yuan(owed)}


def _own_cost(asked: _Asked) -> Part:
    """What stays with our company of agents' cases; a case counts for who sold the item, else who served it."""
    agent_id = func.coalesce(CaseAgent.agent_id, Order.agent_id)
    found = select(Charge.unit_id, agent_id, func.sum(_CENTS)).select_from(Charge)
    found = found.outerjoin(CaseAgent, CaseAgent.record_id == Charge.record_id)
    found = found.outerjoin(Order, and_(Order.record_id == Charge.record_id, Order.current))
    found = asked.posted(found).where(Charge.payer == COMPANY, Charge.payer_ref == "", agent_id.is_not(None))
    for unit_id, key, cents in session().execute(found.group_by(Charge.unit_id, agent_id)):
        yield unit_id, key, {"own": _yuan(cents)}


def _cases(asked: _Asked) -> Part:
    """Cases received in the period that an agent sold the item of or served, each once, and how they were rated."""
    of = reports_service.cases_of_agents(asked.units)
    found = (
        select(
            Record.unit_id,
            of.c.agent_id,
            func.count(),
            func.sum(of.c.served),
            func.sum(Case.rating),
            func.count(Case.rating),
        )
        .select_from(of)
        .join(Record, Record.id == of.c.record_id)
        .join(Case, Case.id == Record.id)
        .group_by(Record.unit_id, of.c.agent_id)
    )
    for unit_id, agent_id, cases, served, points, rated in session().execute(asked.received(found)):
        yield unit_id, agent_id, {"cases": cases, "served": int(served), "rating": _average(points, rated)}


def _average(points: Any, count: int) -> Decimal | None:
    return (Decimal(int(points)) / count).quantize(_TENTH, ROUND_HALF_UP) if count else None


def _again(asked: _Asked) -> Part:
    """Repairs of the period by service agents after which the same item came in again within the days of DL-2."""
    link, later_link, later, nature = (
        products.ProductRecord,
        aliased(products.ProductRecord),
        aliased(Record),
        aliased(Case),
    )
    found = (
        select(Record.unit_id, Order.agent_id, Order.record_id, Order.done_at, func.min(later.received_at))
        .select_from(Order)
        .join(Record, Record.id == Order.record_id)
        .join(link, link.record_id == Record.id)
        .join(later_link, and_(later_link.item_id == link.item_id, later_link.record_id != Record.id))
        .join(later, later.id == later_link.record_id)
        .join(nature, nature.id == later.id)
        .where(Order.state == values.DONE, later.received_at > Order.done_at)
        .where(nature.nature.in_(_REPAIRS), later.category != "cancelled")
        .group_by(Record.unit_id, Order.agent_id, Order.record_id, Order.done_at)
    )
    counts: dict[tuple[int, int], int] = {}
    for unit_id, agent_id, _record_id, done_at, again_at in session().execute(asked.received(found)):
        if again_at - done_at <= timedelta(days=effective(unit_id, "DL-2").values["days"]):
            counts[unit_id, agent_id] = counts.get((unit_id, agent_id), 0) + 1
    for (unit_id, agent_id), count in counts.items():
        yield unit_id, agent_id, {"again": count}


def _scores(asked: _Asked) -> Part:
    """The average of the four scores of the evaluations in the period."""
    points = sum((func.sum(one) for one in _SCORES[1:]), func.sum(_SCORES[0]))
    found = (
        select(Evaluation.unit_id, Evaluation.agent_id, points, func.count())
        .where(Evaluation.unit_id.in_(asked.units))
        .where(Evaluation.on >= asked.period.first, Evaluation.on <= asked.period.last)
        .group_by(Evaluation.unit_id, Evaluation.agent_id)
    )
    for unit_id, agent_id, total, count in session().execute(found):
        yield unit_id, agent_id, {"score": _average(total, count * len(_SCORES))}


def _failed(asked: _Asked) -> Part:
    """Lines of statements of the months whose check failed."""
    found = _of_months(select(Statement.unit_id, Statement.agent_id, func.count()), asked)
    found = found.where(StatementLine.failed, ~StatementLine.released)
    for unit_id, agent_id, count in session().execute(found.group_by(Statement.unit_id, Statement.agent_id)):
        yield unit_id, agent_id, {"failed": count}


def _of_months(found: Any, asked: _Asked) -> Any:
    """Join the statements of the months of the period to their lines; those that were cancelled are left out."""
    first, last = asked.months
    return (
        found.select_from(StatementLine)
        .join(Statement, Statement.id == StatementLine.statement_id)
        .join(Record, Record.id == Statement.id)
        .where(Statement.unit_id.in_(asked.units), Statement.period >= first, Statement.period <= last)
        .where(Record.state != "cancelled")
    )


COSTS = Report(
    code="agents.costs",
    title=_l("Cost and quality by agent"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("agent", _l("Agent")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("kind", _l("Kind")),
        ReportColumn("cases", _l("Cases"), "number", total=True),
        ReportColumn("served", _l("Served by them"), "number", total=True),
        ReportColumn("billed", _l("They owe us (yuan)"), "money", total=True),
        ReportColumn("owed", _l("We owe them (yuan)"), "money", total=True),
        ReportColumn("own", _l("Stays with us (yuan)"), "money", total=True),
        ReportColumn("again", _l("Repaired again soon after"), "number", total=True),
        ReportColumn("again_share", _l("Share repaired again"), "percent", share=("again", "served")),
        ReportColumn("rating", _l("Average rating"), "number"),
        ReportColumn("score", _l("Average score of evaluations"), "number"),
        ReportColumn("failed", _l("Lines whose check failed"), "number", total=True),
    ),
    rows=_costs,
    filters=(*report_periods.fields("year"), KIND),
    group_by=("kind", "unit"),
    chart=("agent", "billed"),
    help=_l(
        "Cases received in the period; amounts posted in its months; evaluations of its days; statements of its"
        " months. What stays with us is what our company bears of the agent's cases."
    ),
)


# --- disputes ---------------------------------------------------------------------------------------

UNDECIDED = "undecided"
# What became of disputed lines: column, state of the line, heading.
OUTCOMES = (
    (UNDECIDED, values.DISPUTED, _l("Dispute open")),
    (values.ALLOWED, values.ALLOWED, _l("Allowed")),
    (values.REJECTED, values.REJECTED, _l("Rejected")),
    (values.CARRIED, values.CARRIED, _l("Moved")),
    (values.CONFIRMED, values.CONFIRMED, _l("Confirmed after all")),
)
_LINE_CENTS = money_math.cents(StatementLine.amount)


def _disputes(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count the lines that were disputed, by agent and month, as they stand now."""
    asked = _asked(units, wanted)
    disputed, keys = StatementLine.dispute != "", (Statement.agent_id, Statement.period)
    # What an allowed dispute changed is a line of the same statement, in the same state.
    correcting = and_(~disputed, StatementLine.state == values.ALLOWED)
    to_us = StatementLine.direction == values.OWED_TO_US
    found = select(
        *keys,
        _sum(~StatementLine.released, 1),
        _sum(disputed, 1),
        *(_sum(and_(disputed, StatementLine.state == state), 1) for _code, state, _words in OUTCOMES),
        _sum(and_(disputed, to_us), _LINE_CENTS),
        _sum(and_(disputed, ~to_us), _LINE_CENTS),
        _sum(and_(correcting, to_us), _LINE_CENTS),
        _sum(and_(correcting, ~to_us), _LINE_CENTS),
    )
    found = _of_months(found, asked).group_by(*keys).having(_sum(disputed, 1) > 0)
    by_key = {(row[0], row[1]): row[2:] for row in session().execute(found)}
    for agent in session().scalars(select(Agent).where(Agent.unit_id.in_(units)).order_by(Agent.code, Agent.id)):
        if wanted.get("kind") and agent.kind != wanted["kind"]:
            continue
        for key in sorted(one for one in by_key if one[0] == agent.id):
            lines, count, *outcomes, to_us_cents, by_us_cents, less_to_us, less_by_us = by_key[key]
            yield {
                "agent": f"{agent.code} {agent.name}",
                "period": key[1],
                "lines": int(lines),
                "disputed": int(count),
                **{code: int(part) for (code, _state, _words), part in zip(OUTCOMES, outcomes, strict=True)},
                "to_us": _yuan(to_us_cents),
                "by_us": _yuan(by_us_cents),
                "to_us_corrected": _yuan(less_to_us),
                "by_us_corrected": _yuan(less_by_us),
            }


DISPUTES = Report(
    code="agents.disputes",
    title=_l("Disputes by agent and month"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("agent", _l("Agent")),
        ReportColumn("period", _l("Settled month")),
        ReportColumn("lines", _l("Lines of statements"), "number", total=True),
        ReportColumn("disputed", _l("Disputed"), "number", total=True),
        ReportColumn("share", _l("Share disputed"), "percent", share=("disputed", "lines")),
        *(ReportColumn(code, words, "number", total=True) for code, _state, words in OUTCOMES),
        ReportColumn("to_us", _l("Disputed of what they owe us (yuan)"), "money", total=True),
        ReportColumn("to_us_corrected", _l("Corrected of it (yuan)"), "money", total=True),
        ReportColumn("by_us", _l("Disputed of what we owe them (yuan)"), "money", total=True),
        ReportColumn("by_us_corrected", _l("Corrected of that (yuan)"), "money", total=True),
    ),
    rows=_disputes,
    filters=(*report_periods.fields("year"), KIND),
    group_by=("agent", "period"),
    chart=("agent", "disputed"),
    help=_l(
        "Lines of statements of the months that were ever disputed, as they stand now. Corrections are the lines"
        " that allowed disputes added to the same statement."
    ),
)


def reports() -> list[Report]:
    """Return the reports."""
    return [COSTS, DISPUTES, *reports_service.REPORTS]
