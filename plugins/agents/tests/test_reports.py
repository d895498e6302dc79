"""The reports of agents, counted by hand, on both databases. Another unit's data are never in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.kernel import clock
from core.kernel.i18n import speaking
from core.reports import making, own
from core.rules.obligation_models import Obligation
from core.sdk import Case, Charge, CustomerAddress, Fact, Record, Unit, uuid7
from plugins.agents import reports, reports_service, rights, values
from plugins.agents.models import (
    Agent,
    CaseAgent,
    Contact,
    Contract,
    Evaluation,
    Order,
    Seller,
    Statement,
    StatementLine,
)
from plugins.products import services as products
from plugins.products.tests.scene import add_customer, add_item
from tests import helpers

NOW = datetime(2026, 3, 18, 4, 0, tzinfo=UTC)
RIGHTS = {rights.VIEW, "charge.view", "report.view", "case.view"}
ROW, TOTAL = making.ROW, making.TOTAL
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _scene(app: Any) -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def unit() -> Unit:
    return new_unit()


def new_unit() -> Unit:
    made = helpers.make_unit()
    helpers.switch_on(made, "agents")
    return made


def put(row: Any) -> int:
    with helpers.as_system() as work:
        work.add(row)
        work.flush()
        return int(row.id)


def add_agent(unit: Unit, code: str, name: str, kind: str = values.AGENT, **columns: Any) -> int:
    return put(Agent(unit_id=unit.id, code=code, name=name, kind=kind, **columns))


def add_record(unit: Unit, kind: str, state: str, customer_id: int | None = None, at: datetime = NOW) -> int:
    given = {"uid": uuid7(), "number": f"N-{next(_numbers)}", "title": "维修", "state": state, "category": "open"}
    times = {"received_at": at, "entered_at": at}
    return put(Record(unit_id=unit.id, type=kind, customer_id=customer_id, **given, **times))


def add_case(
    unit: Unit,
    at: datetime = NOW,
    *,
    rating: int | None = None,
    serial: str = "",
    customer_id: int | None = None,
    nature: str = "repair",
) -> int:
    key = add_record(unit, "case", "solved", customer_id, at)
    with helpers.as_system() as work:
        work.add(Case(id=key, unit_id=unit.id, channel="phone", description="漏水", nature=nature, rating=rating))
        work.flush()
        item = products.find_item(unit.id, serial) if serial else None
        if item is not None:
            products.link_record(work.get_one(Record, key), item)
    return key


def sold_by(unit: Unit, case_id: int, agent_id: int) -> None:
    with helpers.as_system() as work:
        work.add(CaseAgent(unit_id=unit.id, record_id=case_id, agent_id=agent_id))


def passed_to(unit: Unit, case_id: int, agent_id: int, state: str = values.DONE, at: datetime = NOW) -> None:
    contact = put(Contact(unit_id=unit.id, agent_id=agent_id, name="代理师傅", role=values.TECHNICIAN))
    done_at = at if state == values.DONE else None
    given = {"record_id": case_id, "agent_id": agent_id, "contact_id": contact, "state": state}
    put(Order(unit_id=unit.id, passed_at=at, done_at=done_at, **given))


def charge(unit: Unit, record_id: int, amount: str, payer: str = "agent", ref: str = "", **columns: Any) -> int:
    given = {"clause": "R18-5.1.2b", "state": "posted", "month": "2026-03", "source": "test", **columns}
    return put(
        Charge(
            unit_id=unit.id,
            record_id=record_id,
            line=next(_numbers),
            code="travel",
            label="交通费",
            payer=payer,
            payer_ref=ref,
            amount=Decimal(amount),
            created_at=NOW,
            **given,
        )
    )


def add_statement(unit: Unit, agent_id: int, period: str = "2026-02", state: str = "sent") -> int:
    key = add_record(unit, "agents_statement", state)
    with helpers.as_system() as work:
        work.add(Statement(id=key, unit_id=unit.id, agent_id=agent_id, period=period, drafting=False))
    return key


def add_line(unit: Unit, statement_id: int, charge_id: int, case_id: int, amount: str, **columns: Any) -> int:
    given = {"clause": "R18-5.1.2b", "label": "交通费", "direction": values.OWED_TO_US, **columns}
    key = {"statement_id": statement_id, "charge_id": charge_id, "record_id": case_id}
    return put(StatementLine(unit_id=unit.id, amount=Decimal(amount), **key, **given))


@contextmanager
def looking(*units: Unit) -> Iterator[None]:
    with helpers.in_scope(units, RIGHTS), speaking("en"):
        yield


def shown(report: Any, unit: Unit, raw: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a report by column; its total has the label "Total"."""
    wanted = making.ask(report, unit.id, raw or {})
    codes = [one.code for one in wanted.columns]
    return [dict(zip(codes, line.cells, strict=True)) for line in making.lines(wanted)]


def some(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


# --- cost and quality -----------------------------------------------------------------------------


def test_costs_by_agent_are_the_charges_of_the_core(unit: Unit) -> None:
    seller, server = add_agent(unit, "DL0001", "甲代理"), add_agent(unit, "DL0002", "乙服务", values.SERVICE)
    sold, served = add_case(unit), add_case(unit)
    sold_by(unit, sold, seller)
    passed_to(unit, served, server)
    charge(unit, sold, "100.10", ref="DL0001")
    charge(unit, sold, "0.20", payer="partner", ref="DL0001", state="settled")
    charge(unit, sold, "-0.03", ref="DL0001")
    charge(unit, sold, "7.77", payer="company")
    charge(unit, served, "80.05", payer="company", ref="DL0002", month="2026-01")
    charge(unit, served, "5.00", payer="company")
    charge(unit, served, "9.99", ref="X-7")
    charge(unit, served, "1000.00", ref="DL0001", state="proposed", month="")
    charge(unit, served, "400.00", ref="DL0001", month="2025-12")
    other = new_unit()
    add_agent(other, "DL0001", "外单位代理")
    charge(other, add_case(other), "555.00", ref="DL0001")
    with looking(unit, other):
        rows = shown(reports.COSTS, unit)
        money = Decimal
        assert some(rows, "agent", "billed", "owed", "own") == [
            ("DL0001 甲代理", money("100.27"), money("0"), money("7.77")),
            ("DL0002 乙服务", money("0"), money("80.05"), money("5")),
            ("Not on file", money("9.99"), money("0"), money("0")),
            ("Total", money("110.26"), money("80.05"), money("12.77")),
        ]
        core = {payer: shown(own.CHARGES, unit, {"payer": payer})[-1] for payer in ("agent", "partner", "company")}
        assert rows[-1]["billed"] == core["agent"]["amount"] + core["partner"]["amount"]
        assert rows[-1]["owed"] + rows[-1]["own"] == core["company"]["amount"]
        assert some(shown(reports.COSTS, unit, {"kind": "service"}), "agent") == [("DL0002 乙服务",), ("Total",)]


def test_quality_counts_cases_ratings_repeats_scores_and_checks(unit: Unit) -> None:
    agent, idle = add_agent(unit, "DL0001", "甲代理"), add_agent(unit, "DL0002", "乙服务", values.SERVICE)
    add_item(unit, "LN-1")
    add_item(unit, "LN-2")
    first, second = (add_case(unit, NOW - timedelta(days=40), rating=4, serial=f"LN-{n}") for n in (1, 2))
    passed_to(unit, first, agent, at=NOW - timedelta(days=39))
    passed_to(unit, second, agent, at=NOW - timedelta(days=39))
    sold_by(unit, first, agent)
    both = add_case(unit, rating=5)
    sold_by(unit, both, agent)
    passed_to(unit, add_case(unit), idle, state=values.DECLINED)
    add_case(unit, NOW - timedelta(days=9), serial="LN-1")  # thirty days after the repair
    add_case(unit, NOW - timedelta(days=8), serial="LN-2")  # a day too late
    add_case(unit, NOW - timedelta(days=20), serial="LN-2", nature="inquiry")
    scores = {"awareness": 4, "attitude": 5, "skill": 3, "quality": 4}
    for on in (date(2026, 3, 1), date(2025, 6, 1)):
        worse = scores if on.year == 2026 else dict.fromkeys(scores, 1)
        put(Evaluation(unit_id=unit.id, agent_id=agent, on=on, means="visit", entered_at=NOW, **worse))
    paper, gone = add_statement(unit, agent), add_statement(unit, agent, state="cancelled")
    bills = [charge(unit, both, "1.00", ref="DL0001") for _number in range(4)]
    add_line(unit, paper, bills[0], both, "1.00", failed=True)
    add_line(unit, paper, bills[1], both, "1.00", failed=True, released=True)
    add_line(unit, paper, bills[2], both, "1.00")
    add_line(unit, gone, bills[3], both, "1.00", failed=True)
    with looking(unit):
        rows = shown(reports.COSTS, unit, {"period": "year"})
        names = ("agent", "cases", "served", "again", "again_share", "rating", "score", "failed")
        (row, total) = some(rows, *names)
        half = Decimal("0.5")
        assert row == ("DL0001 甲代理", 3, 2, 1, half, Decimal("4.3"), Decimal("4.0"), 1)
        assert total == ("Total", 3, 2, 1, half, None, None, 1)


# --- disputes -------------------------------------------------------------------------------------


def test_disputes_say_what_became_of_them(unit: Unit) -> None:
    agent, content = add_agent(unit, "DL0001", "甲代理"), add_agent(unit, "DL0002", "乙代理")
    case_id = add_case(unit)
    paper = add_statement(unit, agent)
    raw = {"dispute": "重复收费"}
    allowed = charge(unit, case_id, "100.10", ref="DL0001")
    add_line(unit, paper, allowed, case_id, "100.10", state=values.ALLOWED, **raw)
    correction = charge(unit, case_id, "-40.05", ref="DL0001", adjusts_id=allowed)
    add_line(unit, paper, correction, case_id, "-40.05", state=values.ALLOWED)
    owed = {"payer": "company", "ref": "DL0001"}
    add_line(
        unit,
        paper,
        charge(unit, case_id, "30.00", **owed),
        case_id,
        "30.00",
        state=values.REJECTED,
        direction=values.OWED_BY_US,
        **raw,
    )
    carried = charge(unit, case_id, "5.00", ref="DL0001")
    add_line(unit, paper, carried, case_id, "5.00", state=values.CARRIED, released=True, **raw)
    add_line(unit, paper, charge(unit, case_id, "1.00", ref="DL0001"), case_id, "1.00", state=values.CONFIRMED)
    quiet = add_statement(unit, content)
    add_line(unit, quiet, charge(unit, case_id, "1.00", ref="DL0002"), case_id, "1.00", state=values.CONFIRMED)
    other = new_unit()
    foreign, stranger = add_case(other), add_agent(other, "DL0001", "外单位代理")
    strange = charge(other, foreign, "9.00", ref="DL0001")
    add_line(other, add_statement(other, stranger), strange, foreign, "9.00", state=values.DISPUTED, **raw)
    with looking(unit, other):
        rows = shown(reports.DISPUTES, unit)
    counts = ("agent", "period", "lines", "disputed", "allowed", "rejected", "carried", "disputed_now", "confirmed")
    found = [{**row, "disputed_now": row[reports.UNDECIDED]} for row in rows]
    assert some(found, *counts)[:-1] == [("DL0001 甲代理", "2026-02", 4, 3, 1, 1, 1, 0, 0)]
    money = Decimal
    assert (
        some(rows, "to_us", "to_us_corrected", "by_us", "by_us_corrected")
        == [(money("105.10"), money("-40.05"), money("30"), money("0"))] * 2
    )


# --- response -------------------------------------------------------------------------------------


def owe(unit: Unit, record_id: int, clause: str, state: str, start: datetime, **columns: Any) -> None:
    with helpers.as_system() as work:
        fact = Fact(
            unit_id=unit.id, record_id=record_id, kind="note", seq=next(_numbers), at=start, entered_at=start
        )
        work.add(fact)
        work.flush()
        work.add(
            Obligation(
                unit_id=unit.id,
                record_id=record_id,
                clause=clause,
                root_fact_id=fact.id,
                state=state,
                month=f"{start:%Y-%m}",
                start_at=start,
                **{"due_at": start + timedelta(hours=4), **columns},
            )
        )


@pytest.mark.clause("DL-5")
def test_response_counts_what_agents_had_in_hand(unit: Unit) -> None:
    agent = add_agent(unit, "DL0001", "甲服务", values.SERVICE)
    case_id, kept, refused = add_case(unit), add_case(unit), add_case(unit)
    start = NOW - timedelta(days=3)
    passed_to(unit, case_id, agent, values.ACCEPTED, start)
    passed_to(unit, refused, agent, values.DECLINED, start)
    early = start - timedelta(hours=2)
    # Begun before it was passed on, but still in time then.
    owe(unit, case_id, "R18-7.1.3b", "met", early, ended_at=start + timedelta(hours=1))
    owe(unit, case_id, "R18-7.1.3b", "late", start, ended_at=start + timedelta(hours=9))
    owe(unit, case_id, "R18-7.1.3b", "open", start)
    owe(unit, case_id, "R18-7.1.3b", "open", NOW - timedelta(hours=1))
    owe(unit, case_id, "R18-7.1.3b", "excused", start)
    owe(unit, case_id, "R18-7.1.3b", "void", start)
    # Over or late before it was theirs, never theirs, or declined.
    owe(unit, case_id, "R18-7.1.3b", "met", early, ended_at=start - timedelta(hours=1))
    owe(unit, case_id, "R18-7.1.3b", "late", start - timedelta(days=1), ended_at=start + timedelta(hours=1))
    owe(unit, kept, "R18-7.1.3b", "late", start, ended_at=NOW)
    owe(unit, refused, "R18-7.1.3b", "late", start, ended_at=NOW)
    paper = add_statement(unit, agent)
    owe(unit, paper, "DL-5", "late", start, ended_at=NOW)
    owe(unit, paper, "DL-5", "met", start, ended_at=start)
    other = new_unit()
    stranger = add_agent(other, "DL0001", "外单位代理")
    owe(other, add_statement(other, stranger), "DL-5", "late", start, ended_at=NOW)
    with looking(unit, other):
        rows = shown(reports_service.RESPONSE, unit)
        assert some(rows, "agent", "clause", "counted", "met", "late", "excused", "pending") == [
            ("DL0001 甲服务", "DL-5", 2, 1, 1, 0, 0),
            ("DL0001 甲服务", "R18-7.1.3b", 3, 1, 2, 1, 1),
            ("Total", None, 5, 2, 3, 1, 1),
        ]
        assert rows[-1]["share"] == Decimal(2) / 5
        assert len(shown(reports_service.RESPONSE, unit, {"kind": "partner"})) == 1


# --- regions --------------------------------------------------------------------------------------


def lives_in(unit: Unit, customer_id: int, province: str, city: str = "", detail: str = "") -> None:
    address = {"province": province, "city": city, "detail": detail}
    put(CustomerAddress(unit_id=unit.id, customer_id=customer_id, **address))


def sell(unit: Unit, serial: str, agent_id: int, customer_id: int, **columns: Any) -> None:
    item = add_item(unit, serial)
    with helpers.as_system() as work:
        work.get_one(products.Item, item).customer_id = customer_id
    put(Seller(unit_id=unit.id, item_id=item, agent_id=agent_id, entered_at=NOW, **columns))


def test_the_map_shows_regions_with_two_agents_or_none(unit: Unit) -> None:
    east = add_agent(unit, "DL0001", "甲代理", regions=["浙江省", "苏州市"])
    west = add_agent(unit, "DL0002", "乙代理", regions=["苏州市"])
    add_agent(unit, "DL0003", "停用代理", regions=["江西省"], active=False)
    for agent_id, ends, state, regions in (
        (east, date(2026, 12, 31), "in_force", []),
        (east, date(2026, 6, 30), "in_force", ["浙江省"]),
        (west, date(2026, 3, 17), "in_force", []),
        (west, date(2026, 4, 1), "draft", []),
    ):
        key = add_record(unit, "agents_contract", state)
        given = {"agent_id": agent_id, "name": "合同", "starts_on": date(2026, 1, 1), "ends_on": ends}
        put(Contract(id=key, unit_id=unit.id, regions=regions, **given))
    hangzhou, suzhou, hefei, nowhere = (add_customer(unit, f"C-{n}") for n in range(4))
    lives_in(unit, hangzhou, "浙江省", "杭州市")
    lives_in(unit, hangzhou, "江西省")  # a second address counts no second time
    lives_in(unit, suzhou, "江苏省", "苏州市")
    lives_in(unit, hefei, "安徽省", "合肥市")
    sell(unit, "A-1", east, hangzhou)
    sell(unit, "A-2", west, hangzhou, outside=True)
    sell(unit, "A-3", west, suzhou)
    sell(unit, "A-4", west, hefei, outside=True)
    sell(unit, "A-5", west, nowhere)
    put(Seller(unit_id=unit.id, item_id=add_item(unit, "A-6"), agent_id=east, entered_at=NOW, current=False))
    case_id = add_case(unit, customer_id=suzhou)
    sold_by(unit, case_id, west)
    passed_to(unit, case_id, east)
    add_case(unit, customer_id=suzhou)
    other = new_unit()
    add_agent(other, "DL0001", "外单位代理", regions=["浙江省"])
    with looking(unit, other):
        rows = shown(reports_service.REGIONS, unit)
        assert some(rows, "region", "covered", "agents", "until", "items", "outside", "cases") == [
            ("Place not known", "No agent", "", None, 1, 0, 0),
            ("安徽省", "No agent", "", None, 1, 1, 0),
            ("浙江省", "One agent", "DL0001 甲代理", date(2026, 6, 30), 2, 1, 0),
            ("苏州市", "Two agents or more", "DL0001 甲代理, DL0002 乙代理", date(2026, 12, 31), 1, 0, 1),
        ]
        assert some(shown(reports_service.REGIONS, unit, {"covered": "several"}), "region") == [("苏州市",)]


def test_whoever_may_not_see_agents_sees_none_of_their_reports(unit: Unit) -> None:
    with helpers.in_scope(unit, RIGHTS - {rights.VIEW}):
        usable = {one.code for one in making.usable(unit.id)}
    assert not usable & {one.code for one in reports.reports()}
    with looking(unit):
        assert {one.code for one in reports.reports()} <= {one.code for one in making.usable(unit.id)}
