"""The clauses about suppliers, purchase and receiving: what is asked at which step."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, ReportRule, Rule, ScheduleRule, Step, local_day

from . import inspecting, plans, receiving_flow, releases, suppliers, values
from .order_flow import ORDER
from .receiving_flow import CODE as RECEIVING
from .release_flow import CODE as RELEASE


def _no_papers(step: Step, _said: Any) -> Any:
    return releases.no_papers(step.detail, local_day(step.record.unit_id))


def _standard(step: Step, _said: Any) -> Any:
    return None if step.detail.standard_met else _l("Confirm first that the goods meet the company's standard")


def _not_qualified(step: Step, _said: Any) -> Any:
    return suppliers.not_qualified(step.detail.supplier_id)


def _overdue(step: Step, _said: Any) -> Any:
    return suppliers.overdue(step.record.unit_id, step.detail.supplier_id)


def _overdue_now(step: Step, said: Any) -> Any:
    """What was ordered while the assessment was valid may come; new goods of such a supplier may not."""
    return _overdue(step, said) if step.detail.order_id is None else None


def _not_inspected(step: Step, _said: Any) -> Any:
    return inspecting.not_inspected(step.record, bool(step.values.get(receiving_flow.AS_EXPECTED)))


def _without_dates(step: Step, _said: Any) -> Any:
    return inspecting.without_dates(step.record)


def _on_the_shelf(step: Step, _said: Any) -> Any:
    if step.record.state == values.CHECKED:
        return None
    return _l("The goods have not been inspected and counted: they go on no shelf")


RULES: list[Rule] = [
    GateRule(clause=releases.CLAUSE, step=f"{RELEASE}.release", check=_no_papers),
    GateRule(clause="R02-6", step=f"{ORDER}.order", check=_standard),
    GateRule(clause=suppliers.CHOICE_CLAUSE, step=f"{ORDER}.order", check=_not_qualified),
    GateRule(clause=suppliers.ASSESS_CLAUSE, step=f"{ORDER}.order", check=_overdue),
    # D10: what a supplier brings is taken in where it is on the register and its assessment valid.
    GateRule(clause=suppliers.REGISTER_CLAUSE, step=f"{RECEIVING}.arrive", check=_not_qualified),
    GateRule(clause=suppliers.ASSESS_CLAUSE, step=f"{RECEIVING}.arrive", check=_overdue_now),
    GateRule(
        clause=inspecting.COUNT_CLAUSE,
        step=f"{RECEIVING}.check",
        check=_not_inspected,
        needs_form=True,
        code="count",
    ),
    GateRule(clause=inspecting.COUNT_CLAUSE, step=f"{RECEIVING}.shelve", check=_on_the_shelf, code="count"),
    GateRule(
        clause=inspecting.FILE_CLAUSE,
        step=f"{RECEIVING}.check",
        check=_without_dates,
        needs_form=True,
        code="dates",
    ),
    ScheduleRule(
        clause=suppliers.ASSESS_CLAUSE,
        title={"zh": "供应商复评", "en": "Assess the supplier again"},
        subjects=suppliers.to_assess,
        most=5000,
    ),
    ScheduleRule(
        clause=suppliers.WATCH_CLAUSE,
        title={"zh": "供应商监督评价", "en": "Supplier supervision"},
        subjects=suppliers.to_assess,
        most=5000,
    ),
    ScheduleRule(
        clause=plans.CLAUSE,
        title={"zh": "编制采购计划", "en": "Make the purchase plan"},
        report="store.reorder",
        carries="report",
    ),
    ReportRule(clause=plans.CLAUSE, endpoint="store_plans.index_view"),
]
