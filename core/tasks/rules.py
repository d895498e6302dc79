"""The core's recurring clauses, and the time limit every recurring clause gives what it makes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from core.customers.models import Customer
from core.kernel.database import session
from core.records.models import Record
from core.records.types import record_type, words_of
from core.rules.clocks import DAYS, Term
from core.rules.effective import effective
from core.rules.kinds import DeadlineRule, Rule, ScheduleRule, Snapshot, Values

from .services import TASK

# When the last day of a rule with a day of its own is over: seconds after the next midnight.
MORNING = 6 * 3600
# The report a task is about, as (end point, words of its address without the day).
MONTH_REPORT = "reports.index"


def customers_to_contact(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return whom R04-4.1c is about: the unit as a whole, or the customers of its latest business one by one.

    The parameter ``customers`` says how many; at most so many tasks come of it in each period.
    """
    wanted = int(effective(unit_id, "R04-4.1c").values.get("customers") or 0)
    if not wanted:
        return [("unit", "", None)]
    latest = func.max(Record.received_at)
    rows = session().execute(
        select(Customer.id, Customer.name)
        .join(Record, Record.customer_id == Customer.id)
        .where(Record.unit_id == unit_id, Record.type != TASK.code, Customer.merged_into_id.is_(None))
        .group_by(Customer.id, Customer.name)
        .order_by(latest.desc(), Customer.id.desc())
        .limit(wanted)
    )
    return [(f"customer:{key}", name, key) for key, name in rows]


SCHEDULES: tuple[ScheduleRule, ...] = (
    ScheduleRule(
        clause="R03-5.1",
        title={"zh": "核对人手与工作量", "en": "Compare staff with the workload"},
        report=MONTH_REPORT,
        carries="report",
    ),
    ScheduleRule(
        clause="R28-4.5",
        title={"zh": "统计分析", "en": "Statistics and analysis"},
        report=MONTH_REPORT,
        carries="report",
    ),
    ScheduleRule(
        clause="R04-2.5a",
        title={"zh": "收集行业和同行信息", "en": "Information on the trade and on competitors"},
        carries="record",
    ),
    ScheduleRule(
        clause="R04-4.1c",
        title={"zh": "联系客户并记录满意度", "en": "Contact customers and note satisfaction"},
        subjects=customers_to_contact,
        carries="record",
    ),
    ScheduleRule(
        clause="R20-1.D",
        title={"zh": "核对更新客户资料", "en": "Review customer data"},
        carries="record",
    ),
)


def limits(rules: Iterable[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
    """Return, for each schedule among declared rules (plugin, rule), the time limit of what it makes.

    So recurring work shows in compliance as kept or late like anything else a clause asks for.
    """
    return [(plugin, _limit(one)) for plugin, one in rules if isinstance(one, ScheduleRule)]


def _limit(rule: ScheduleRule) -> DeadlineRule:
    def is_ours(task: Snapshot) -> bool:
        return bool(task.get("clause") == rule.clause)

    made = rule.makes or TASK.code

    return DeadlineRule(
        clause=rule.clause,
        version=rule.version,
        record_type=made,
        start=("registered",),
        meet=("finished",),
        stop=("cancelled", *(("skipped",) if _skips(made) else ())),
        pause=(),
        resume=(),
        reads=("clause", "starts_on", "due_on"),
        applies=is_ours,
        term=_until_due if rule.today is None else _until_morning,
    )


def _skips(made: str) -> bool:
    return record_type(made) is not None and "skipped" in words_of(made).fact_kinds


def _until_due(values: Values, task: Snapshot) -> Term:
    """A task begins with its period and is due when the day it names is over; rest days were looked at then."""
    days = (_day(task["due_on"]) - _day(task["starts_on"])).days
    return Term(Decimal(days), DAYS, day_end=values.get("day_end", "24:00"))


def _until_morning(_values: Values, task: Snapshot) -> Term:
    """A day of a rule's own (a hotel's) ends the next morning: what the night does is not late at midnight."""
    days = (_day(task["due_on"]) - _day(task["starts_on"])).days + 1
    return Term(Decimal(days), DAYS, until=MORNING)


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
