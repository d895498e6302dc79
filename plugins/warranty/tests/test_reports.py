"""The reports of warranty and fees, counted by hand, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from core.kernel import clock
from core.kernel.database import db
from core.kernel.i18n import speaking
from core.reports import making, own
from core.rules.approval_models import Approval
from core.rules.charge_models import Charge
from core.sdk import Record, Unit
from plugins.products import services as products
from plugins.products.tests.scene import add_case, add_customer, add_item
from plugins.warranty import reports
from plugins.warranty.models import Coverage
from plugins.warranty.rights import MONEY
from tests import helpers

NOW = datetime(2026, 3, 18, 4, 0, tzinfo=UTC)
RIGHTS = {MONEY, "charge.view", "report.view", "case.view"}
ROW, TOTAL = making.ROW, making.TOTAL


@pytest.fixture(autouse=True)
def _scene(app: Any) -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def unit() -> Unit:
    made = helpers.make_unit()
    helpers.switch_on(made, "warranty")
    return made


def served(unit: Unit, number: str, *, model: str = "", result: str = "", number_of_class: str = "") -> int:
    """Write a case, about an item of a model, decided to be something."""
    case_id = add_case(unit, number, customer_id=add_customer(unit, f"C-{number}"))
    serial = f"{model}-1"
    with helpers.as_system():
        there = bool(model) and products.find_item(unit.id, serial) is not None
    if model and not there:
        add_item(unit, serial, model)
    with helpers.as_system() as work:
        item = products.find_item(unit.id, serial) if model else None
        if item is not None:
            products.link_record(work.get_one(Record, case_id), item)
        if result:
            work.add(
                Coverage(
                    unit_id=unit.id,
                    record_id=case_id,
                    result=result,
                    product_class=number_of_class,
                    decided_at=NOW,
                )
            )
    return case_id


def charge(unit: Unit, record_id: int, line: int, amount: str, **columns: Any) -> int:
    with helpers.as_system() as work:
        made = Charge(
            unit_id=unit.id,
            record_id=record_id,
            line=line,
            code="travel",
            label="交通费",
            amount=Decimal(amount),
            created_at=columns.pop("created_at", NOW),
            **{
                "clause": "R17-5.2.3",
                "payer": "customer",
                "state": "posted",
                "month": "2026-03",
                "source": "test",
                **columns,
            },
        )
        work.add(made)
        work.flush()
        return made.id


@contextmanager
def looking(*units: Unit) -> Iterator[None]:
    with helpers.in_scope(units, RIGHTS), speaking("en"):
        yield


def shown(report: Any, unit: Unit, raw: dict[str, Any] | None = None, **more: Any) -> list[tuple[Any, ...]]:
    return [(line.kind, *line.cells) for line in making.lines(making.ask(report, unit.id, raw or {}, **more))]


def total(report: Any, unit: Unit, column: str, **raw: Any) -> Any:
    wanted = making.ask(report, unit.id, raw)
    place = [one.code for one in wanted.columns].index(column)
    return list(making.lines(wanted))[-1].cells[place]


def test_fees_stand_by_class_month_and_model(unit: Unit) -> None:
    heated = served(unit, "GD-1", model="LN-24", result="out_of_warranty", number_of_class="4.1")
    other = served(unit, "GD-2")
    charge(unit, heated, 1, "150.00")
    line = charge(unit, heated, 2, "0.10")
    charge(unit, heated, 1, "-0.03", adjusts_id=line, source=f"waiver:{line}")
    charge(unit, heated, 3, "50.00", month="2026-02", clause="R17-5.2.4", state="settled")
    charge(unit, other, 1, "20.00", payer="agent")
    charge(unit, other, 2, "99.00", state="quoted", month="")
    charge(unit, other, 3, "70.00", payer="company")
    foreign = helpers.make_unit()
    charge(foreign, add_case(foreign, "GD-9"), 1, "1000.00")
    with looking(unit, foreign):
        model, money = "LN-24 空气能热泵", Decimal
        assert shown(reports.FEES, unit) == [
            (ROW, "2026-02", "4.1", model, "R17-5.2.4", "Customer", 1, money("50"), money("0"), money("50")),
            (ROW, "2026-03", "Not known", "Without item", "R17-5.2.3", "Agent", 1, money(20), money(0), money(20)),
            (
                ROW,
                "2026-03",
                "4.1",
                model,
                "R17-5.2.3",
                "Customer",
                3,
                money("150.10"),
                money("0.03"),
                money("150.07"),
            ),
            (TOTAL, "Total", None, None, None, None, 5, money("220.10"), money("0.03"), money("220.07")),
        ]
        assert total(reports.FEES, unit, "amount", product_class="4.1") == money("200.07")
        assert total(reports.FEES, unit, "amount", product_class="none") == money("20")
        assert total(reports.FEES, unit, "amount", payer="agent") == money("20")
        by_class = shown(reports.FEES, unit, group="product_class")
        assert [row[1] for row in by_class if row[0] == making.SUBTOTAL] == ["4.1: subtotal", "Not known: subtotal"]


def test_fees_and_costs_together_are_the_charges_of_the_core(unit: Unit) -> None:
    for number in range(6):
        case_id = served(
            unit, f"GD-{number}", model=("LN-24", "")[number % 2], result=("in_warranty", "", "misuse")[number % 3]
        )
        for line in range(1, 8):
            payer = ("customer", "company", "agent", "employee")[(number + line) % 4]
            charge(unit, case_id, line, f"{line}.{number}7", payer=payer, month=f"2026-0{1 + line % 3}")
    with looking(unit):
        whole = total(own.CHARGES, unit, "amount")
        assert whole > 0
        assert total(reports.FEES, unit, "amount") + total(reports.COSTS, unit, "amount") == whole
        of_company = total(own.CHARGES, unit, "amount", payer="company")
        assert total(reports.COSTS, unit, "amount") == of_company
        assert total(reports.COSTS, unit, "cases") == 6


def test_free_service_is_counted_by_case_and_averaged(unit: Unit) -> None:
    within = served(unit, "GD-1", model="LN-24", result="in_warranty")
    without = served(unit, "GD-2", result="misuse")
    undecided = served(unit, "GD-3")
    charge(unit, within, 1, "100.00", payer="company", clause="R17-5.1.1.1")
    charge(unit, within, 2, "50.00", payer="company", clause="R22-1.W1d")
    charge(unit, without, 1, "30.00", payer="company", clause="R17-5.1.1.1")
    charge(unit, undecided, 1, "60.00", payer="company", clause="R17-5.1.1.1", month="2026-01")
    with looking(unit):
        money = Decimal
        found = shown(reports.COSTS, unit)
        assert found == [
            (ROW, "2026-01", "Not decided", "R17-5.1.1.1", "Without item", 1, 0, 0, money(60), money(60)),
            (ROW, "2026-03", "In warranty", "R17-5.1.1.1", "LN-24 空气能热泵", 1, 1, 0, money(100), money(100)),
            (ROW, "2026-03", "In warranty", "R22-1.W1d", "LN-24 空气能热泵", 0, 0, 0, money(50), None),
            (ROW, "2026-03", "Misuse", "R17-5.1.1.1", "Without item", 1, 0, 1, money(30), money(30)),
            (TOTAL, "Total", None, None, None, 3, 1, 1, money(240), money(80)),
        ]
        assert total(reports.COSTS, unit, "amount", result="in_warranty") == money(150)
    with looking(unit), speaking("zh"):
        assert making.cell_text(found[-1][-1], "money", "UTC") == "80.00"


def test_waivers_say_who_agreed_and_what_kind_they_are(unit: Unit) -> None:
    head, clerk = helpers.make_user(unit, name="陈建国"), helpers.make_user(unit, name="林淑芬")
    case_id = served(unit, "GD-1", result="out_of_warranty", number_of_class="4.1")
    agreed = {}
    with helpers.as_system() as work:
        for clause, subject, position in (
            ("R17-7.2.4b", "warranty.waiver", "gm"),
            ("R17-5.2.3", "warranty.rounding", "service_leader"),
        ):
            asked = Approval(
                unit_id=unit.id,
                clause=clause,
                subject=f"{subject}:1",
                title="减免",
                position=position,
                state="agreed",
                asked_at=NOW,
                decided_by=head.id,
                decided_at=NOW,
                record_id=case_id,
            )
            work.add(asked)
            work.flush()
            agreed[subject] = asked.id
    lines = [charge(unit, case_id, place, "100.00") for place in (1, 2, 3)]
    common = {"created_by": clerk.id, "month": "", "state": "waived"}
    charge(
        unit,
        case_id,
        1,
        "-100.00",
        **common,
        adjusts_id=lines[0],
        source=f"waiver:{lines[0]}",
        approval_id=agreed["warranty.waiver"],
        reason="客户拒绝付费",
    )
    charge(unit, case_id, 1, "-20.00", **common, adjusts_id=lines[1], source=f"waiver:{lines[1]}", reason="老客户")
    charge(
        unit,
        case_id,
        1,
        "-0.40",
        **common,
        adjusts_id=lines[2],
        source=f"waiver:{lines[2]}",
        reason="抹零",
        approval_id=agreed["warranty.rounding"],
        created_at=NOW + timedelta(minutes=1),
    )
    charge(
        unit,
        case_id,
        2,
        "-5.00",
        **{**common, "state": "void"},
        adjusts_id=lines[2],
        source=f"waiver:{lines[2]}",
    )
    with looking(unit):
        found = shown(reports.WAIVERS, unit)
        zero, money = Decimal(0), Decimal
        assert found[0][1:5] == ("GD-1", NOW.date(), "Served without payment", "R17-7.2.4b")
        assert found[0][5].startswith("陈建国") and found[0][6] == "客户拒绝付费"
        assert [row[3] for row in found[1:3]] == ["Reduction", "Rounded off"]
        assert found[1][5] == "林淑芬" and found[2][5].startswith("陈建国")
        assert [row[7:] for row in found] == [
            (money(100), zero),
            (money(20), zero),
            (zero, money("0.40")),
            (money(120), money("0.40")),
        ]
        assert total(reports.WAIVERS, unit, "rounding", kind="rounding") == money("0.40")
        assert total(reports.WAIVERS, unit, "waived", product_class="4.2") == 0


def test_the_number_of_statements_does_not_grow(unit: Unit) -> None:
    def count() -> int:
        seen: list[str] = []

        def note(*args: Any) -> None:
            seen.append(args[2])

        with looking(unit):
            event.listen(db.engine, "before_cursor_execute", note)
            try:
                for report in reports.reports():
                    shown(report, unit)
            finally:
                event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    def add(number: int) -> None:
        case_id = served(unit, f"GD-{number}", model=f"M-{number}", result="in_warranty", number_of_class="4.1")
        line = charge(unit, case_id, 1, "10.00", clause=f"R17-{number}")
        charge(unit, case_id, 2, "10.00", payer="company", clause=f"R17-{number}")
        charge(unit, case_id, 1, "-1.00", adjusts_id=line, source=f"waiver:{line}", reason="x")

    add(0)
    few = count()
    for number in range(1, 12):
        add(number)
    assert count() == few


def test_they_are_declared_for_units_with_the_plugin(unit: Unit) -> None:
    off = helpers.make_unit()
    with looking(unit, off):
        here = [one.code for one in making.usable(unit.id) if one.plugin == "warranty"]
        assert here == ["warranty.fees", "warranty.costs", "warranty.waivers"]
        assert not [one for one in making.usable(off.id) if one.plugin == "warranty"]
