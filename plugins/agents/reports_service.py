"""Reports: how service agents keep the time limits of what they were given, and the map of regions as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, case, func, literal, or_, select, union, union_all

from core.sdk import (
    Choices,
    CustomerAddress,
    Field,
    Obligation,
    Record,
    Report,
    ReportColumn,
    clock,
    label_of,
    local_day,
    report_periods,
    session,
)
from plugins.products import services as products

from . import contracts, rights, values
from .models import Agent, CaseAgent, Contract, Order, Seller, Statement

Rows = Iterator[Mapping[str, Any]]
_IN_HANDS = (values.PASSED, values.ACCEPTED)
ANSWERS = "DL-5"


def is_served() -> Any:
    """Return the condition of an order whose work is in the agent's hands, or was done by it."""
    return or_(Order.state == values.DONE, and_(Order.current, Order.state.in_(_IN_HANDS)))


def cases_of_agents(units: Sequence[int]) -> Any:
    """Return a subquery of (record_id, agent_id, served): each case and each agent it has to do with."""
    sold = select(CaseAgent.record_id, CaseAgent.agent_id, literal(0).label("served")).where(
        CaseAgent.unit_id.in_(units), CaseAgent.agent_id.is_not(None)
    )
    served = select(Order.record_id, Order.agent_id, literal(1).label("served")).where(
        Order.unit_id.in_(units), is_served()
    )
    both = union(sold, served).subquery()
    keys = (both.c.record_id, both.c.agent_id)
    return select(*keys, func.max(both.c.served).label("served")).group_by(*keys).subquery()


# --- response ---------------------------------------------------------------------------------------


def _response(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count the obligations of the period by agent and clause. An open one past its limit is late."""
    period = report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    asked = (Obligation.unit_id.in_(units), Obligation.start_at >= start, Obligation.start_at < end)
    found = union_all(_of_orders(asked), _of_statements(asked)).subquery()
    listed = (
        select(Agent.code, Agent.name, found.c.clause, *(func.sum(found.c[name]) for name in _STANDINGS))
        .join(found, found.c.agent_id == Agent.id)
        .group_by(Agent.code, Agent.name, found.c.clause)
    )
    if wanted.get("kind"):
        listed = listed.where(Agent.kind == wanted["kind"])
    for code, name, clause, *counts in sorted(session().execute(listed), key=lambda row: tuple(row[:3])):
        met, late, *others = (int(one) for one in counts)
        yield {
            "agent": f"{code} {name}",
            "clause": clause,
            "met": met,
            "late": late,
            "counted": met + late,
            **dict(zip(_STANDINGS[2:], others, strict=True)),
        }


_STANDINGS = ("met", "late", "excused", "pending")


def _counted() -> list[Any]:
    """Return a column of 0 or 1 for each way an obligation may stand at this moment."""
    state = Obligation.state
    overdue = and_(state == "open", Obligation.due_at < clock.now())
    conditions = (
        state == "met",
        or_(state == "late", overdue),
        state == "excused",
        or_(state == "paused", and_(state == "open", ~overdue)),
    )
    pairs = zip(_STANDINGS, conditions, strict=True)
    return [case((condition, 1), else_=0).label(name) for name, condition in pairs]


def _of_orders(asked: Any) -> Any:
    """Obligations of cases that were still to be met when the case was passed on, and not late by then.

    What begins after their work is done is not theirs.
    """
    open_then = or_(Obligation.ended_at.is_(None), Obligation.ended_at >= Order.passed_at)
    in_time = or_(Obligation.due_at.is_(None), Obligation.due_at >= Order.passed_at)
    before_done = or_(Order.done_at.is_(None), Obligation.start_at <= Order.done_at)
    return (
        select(Order.agent_id, Obligation.clause, *_counted())
        .join(Order, and_(Order.record_id == Obligation.record_id, is_served()))
        .where(*asked, Obligation.state != "void", open_then, in_time, before_done)
    )


def _of_statements(asked: Any) -> Any:
    """Answers to statements (DL-5)."""
    return (
        select(Statement.agent_id, Obligation.clause, *_counted())
        .join(Statement, Statement.id == Obligation.record_id)
        .where(*asked, Obligation.clause == ANSWERS, Obligation.state != "void")
    )


RESPONSE = Report(
    code="agents.response",
    title=_l("Response of agents by clause"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("agent", _l("Agent")),
        ReportColumn("clause", _l("Clause")),
        ReportColumn("counted", _l("Counted"), "number", total=True),
        ReportColumn("met", _l("In time"), "number", total=True),
        ReportColumn("late", _l("Late"), "number", total=True),
        ReportColumn("share", _l("Share in time"), "percent", share=("met", "counted")),
        ReportColumn("excused", _l("Excused"), "number", total=True),
        ReportColumn("pending", _l("Pending"), "number", total=True),
    ),
    rows=_response,
    filters=(
        *report_periods.fields("quarter"),
        Field("kind", "choice", _l("Kind"), choices=values.KINDS),
    ),
    group_by=("agent", "clause"),
    chart=("agent", "late"),
    help=_l(
        "Time limits of cases that were passed on and had not run out by then, and of answers to statements, by the"
        " day they began. Excused and pending ones count neither way."
    ),
)


# --- regions ----------------------------------------------------------------------------------------

NOBODY, ONE, SEVERAL = "none", "one", "several"
COVERED: Choices = (
    (NOBODY, _l("No agent")),
    (ONE, _l("One agent")),
    (SEVERAL, _l("Two agents or more")),
)


@dataclass
class _Region:
    """What is known of a region. ``until``: the first end of the contracts in force of its agents."""

    agents: list[Agent] = field(default_factory=list)
    until: date | None = None
    items: int = 0
    outside: int = 0
    cases: int = 0


def _regions(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List the regions of agents in use, and the provinces where agents' items are but no agent has the region."""
    found = _declared(units)
    for place, items, outside in session().execute(_items(units)):
        for region in _lying_in(place, found):
            region.items += items
            region.outside += int(outside)
    start, end = report_periods.moments(report_periods.of(wanted, units[0]), units[0])
    for place, cases in session().execute(_cases(units, start, end)):
        for region in _lying_in(place, found):
            region.cases += cases
    for name, region in sorted(found.items()):
        covered = (NOBODY, ONE)[len(region.agents)] if len(region.agents) < 2 else SEVERAL
        if wanted.get("covered") not in (None, "", covered):
            continue
        yield {
            "region": name or _("Place not known"),
            "covered": str(label_of(COVERED, covered)),
            "agents": _(", ").join(f"{one.code} {one.name}" for one in region.agents),
            "until": region.until,
            "items": region.items,
            "outside": region.outside,
            "cases": region.cases,
        }


def _declared(units: Sequence[int]) -> dict[str, _Region]:
    ends = _ends(units)
    found: dict[str, _Region] = {}
    agents = select(Agent).where(Agent.unit_id.in_(units), Agent.active).order_by(Agent.code, Agent.id)
    for agent in session().scalars(agents):
        for name in dict.fromkeys(agent.regions):
            region = found.setdefault(name, _Region())
            region.agents.append(agent)
            for regions, end in ends.get(agent.id, ()):
                if not regions or name in regions:
                    region.until = min(region.until or end, end)
    return found


def _ends(units: Sequence[int]) -> dict[int, list[tuple[list[str], date]]]:
    """Return by agent the regions and last days of the contracts that are in force today and end at all."""
    today = local_day(units[0])
    last = func.coalesce(Contract.ended_on, Contract.ends_on)
    rows = (
        select(Contract.agent_id, Contract.regions, last)
        .join(Record, Record.id == Contract.id)
        .where(Contract.unit_id.in_(units), Record.state == contracts.IN_FORCE)
        .where(Contract.starts_on <= today, last >= today)
    )
    found: dict[int, list[tuple[list[str], date]]] = {}
    for agent_id, regions, end in session().execute(rows):
        found.setdefault(agent_id, []).append((regions, end))
    return found


def _lying_in(place: str, found: dict[str, _Region]) -> list[_Region]:
    """Return the regions a place lies in; one that lies in none counts for its province, which no agent has."""
    province, mark, rest = place.partition(_BREAK)
    known = [region for name, region in found.items() if name and name in province + rest]
    return known or [found.setdefault(province if mark else "", _Region())]


# Between a province and what follows, so that the province can be told again.
_BREAK = "\n"


def _place() -> Any:
    """Return the first address of a customer as far as regions go; the street only where nothing else is known."""
    one = CustomerAddress
    return func.coalesce(
        case((one.province == "", one.detail), else_=one.province + _BREAK + one.city + one.county), ""
    )


def _first_address(found: Any, customer_id: Any) -> Any:
    first = (
        select(CustomerAddress.customer_id, func.min(CustomerAddress.id).label("id"))
        .group_by(CustomerAddress.customer_id)
        .subquery()
    )
    return found.outerjoin(first, first.c.customer_id == customer_id).outerjoin(
        CustomerAddress, CustomerAddress.id == first.c.id
    )


def _items(units: Sequence[int]) -> Any:
    """Items whose seller is known, by place, with how many were sold outside the region of the seller."""
    place = _place()
    found = select(place, func.count(), func.sum(case((Seller.outside, 1), else_=0))).select_from(Seller)
    found = found.join(products.Item, products.Item.id == Seller.item_id)
    found = _first_address(found, products.Item.customer_id)
    return found.where(Seller.unit_id.in_(units), Seller.current).group_by(place)


def _cases(units: Sequence[int], start: Any, end: Any) -> Any:
    """Cases of the period that have to do with an agent, by place, each once."""
    of, place = cases_of_agents(units), _place()
    found = select(place, func.count(func.distinct(Record.id))).select_from(Record)
    found = found.join(of, of.c.record_id == Record.id)
    found = _first_address(found, Record.customer_id)
    found = found.where(Record.unit_id.in_(units), Record.received_at >= start, Record.received_at < end)
    return found.group_by(place)


REGIONS = Report(
    code="agents.regions",
    title=_l("Regions of agents"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("region", _l("Region")),
        ReportColumn("covered", _l("Agents there")),
        ReportColumn("agents", _l("Agents")),
        ReportColumn("until", _l("Contract until"), "date"),
        ReportColumn("items", _l("Items sold there"), "number"),
        ReportColumn("outside", _l("Sold by an agent of another region"), "number"),
        ReportColumn("cases", _l("Cases"), "number"),
    ),
    rows=_regions,
    filters=(*report_periods.fields("year"), Field("covered", "choice", _l("Agents there"), choices=COVERED)),
    group_by=("covered",),
    chart=("region", "items"),
    help=_l(
        "Regions as agents have them on file, and provinces where their items are but no agent has the region. An"
        " item counts where its customer's first address lies; regions may overlap. Cases are those of the period."
    ),
)

REPORTS = (RESPONSE, REGIONS)
